//! Cells that are not in memory, and how they get there and back.

use crate::api::{ClusterKey, Time};
use crate::google::Google;
use crate::ids::Ids;
use crate::kubernetes::ImageFaults;
use crate::reality::{Rates, Reality};
use crate::world::{Cell, Residence, World};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use zkprov_emulator_common::table::{Rows, Tables};

/// A part of the world that is stored by itself: a rest, and the rows of its tables.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// Time and ids.
    Head,
    /// Google's APIs.
    Google,
    /// Which clusters and shares belong together.
    Cells,
    /// One cluster's Kubernetes API.
    Cluster(ClusterKey),
    /// One share with its members.
    Share(String),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("head"),
            Self::Google => f.write_str("google"),
            Self::Cells => f.write_str("cells"),
            Self::Cluster(key) => write!(f, "cluster {key}"),
            Self::Share(name) => write!(f, "share {name}"),
        }
    }
}

impl Part {
    /// The part that [`Self::fmt`] wrote of.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.split_once(' ') {
            None if text == "head" => Some(Self::Head),
            None if text == "google" => Some(Self::Google),
            None if text == "cells" => Some(Self::Cells),
            Some(("cluster", key)) => Some(Self::Cluster(key.to_owned())),
            Some(("share", name)) => Some(Self::Share(name.to_owned())),
            Some(_) | None => None,
        }
    }
}

/// A row of a part: its table (empty for the rest), its key, its JSON. A table with no key and no JSON is all rows of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// Name of the table; empty for the rest.
    pub(crate) table: String,
    /// Key in the table; empty for the rest.
    pub(crate) key: String,
    /// JSON; `None` when the row is gone.
    pub(crate) value: Option<String>,
}

/// All rows of a part that are stored, none if it is not; why not, if they can't be read.
type Read = dyn Fn(&Part) -> Result<Vec<Row>, String> + Send + Sync;

/// Where parts are read from.
#[derive(Clone)]
pub(crate) struct Archive(Arc<Read>);

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Archive")
    }
}

impl Archive {
    /// An archive that is read by this function.
    pub(crate) fn new(read: impl Fn(&Part) -> Result<Vec<Row>, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// All rows of a part, none if it is not there.
    ///
    /// # Errors
    /// When they can't be read.
    pub(crate) fn read(&self, part: &Part) -> Result<Vec<Row>, String> {
        (self.0)(part)
    }
}

/// A part out of its rows; `None` when there are none.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn assemble<T: Tables + DeserializeOwned>(rows: &[Row]) -> Result<Option<T>, String> {
    let Some(rest) = rest_of(rows) else {
        return if rows.is_empty() { Ok(None) } else { Err("its rest is missing".to_owned()) };
    };
    let mut part: T = serde_json::from_str(rest).map_err(|error| format!("it is damaged: {error}"))?;
    fill(&mut part, rows)?;
    Ok(Some(part))
}

/// The rest of a part among its rows.
fn rest_of(rows: &[Row]) -> Option<&str> {
    rows.iter().find(|row| row.table.is_empty())?.value.as_deref()
}

/// Puts rows into the tables of a part.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn fill(part: &mut dyn Tables, rows: &[Row]) -> Result<(), String> {
    let mut problem = None;
    part.tables(&mut |name, table| {
        for row in rows.iter().filter(|row| row.table == name) {
            if let Err(error) = table.load(&row.key, row.value.as_deref()) {
                problem.get_or_insert(format!("{name}: {error}"));
            }
        }
        table.loaded();
    });
    problem.map_or(Ok(()), Err)
}

/// Digest of a part's rest, whatever its clocks show.
fn rest_digest<T: Tables + Serialize>(part: &mut T) -> serde_json::Result<u64> {
    let times: Vec<Time> = part.clocks().into_iter().map(std::mem::take).collect();
    let timeless = part.rest();
    for (clock, time) in part.clocks().into_iter().zip(times) {
        *clock = time;
    }
    timeless.map(|text| digest(&text))
}

/// Tells one text from another.
pub(crate) fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// What of the world is small and always in memory.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Head {
    now: Time,
    ids: Ids,
    image_faults: ImageFaults,
    reality: Reality,
    rates: Rates,
}

impl Head {
    fn of(world: &World) -> Self {
        let World { now, ids, image_faults, reality, rates, .. } = world;
        Self {
            now: *now,
            ids: ids.clone(),
            image_faults: image_faults.clone(),
            reality: reality.clone(),
            rates: rates.clone(),
        }
    }

    /// Tells what differs from it from what is only later, or asked more often.
    fn digest(&self) -> u64 {
        digest(&serde_json::json!([self.ids, self.image_faults, self.reality]).to_string())
    }
}

impl Residence {
    /// What of a part has changed since it was last stored, its rest first; `all` of it if that is wanted. A table that it no longer
    /// has is gone.
    ///
    /// # Errors
    /// When a value has no JSON.
    fn changes_of<T: Tables + Serialize>(
        &mut self,
        part: Part,
        state: &mut T,
        all: bool,
    ) -> serde_json::Result<(Part, Vec<Row>)> {
        let digest = rest_digest(state)?;
        let same = self.rests.insert(part.clone(), digest) == Some(digest);
        let (mut rows, mut tables, mut problem) = (Vec::new(), BTreeSet::new(), None);
        state.tables(&mut |name, table: &mut dyn Rows| {
            tables.insert(name.to_owned());
            match if all { table.all() } else { table.changes() } {
                Ok(changes) => rows.extend(changes.into_iter().map(|(key, value)| Row {
                    table: name.to_owned(),
                    key,
                    value,
                })),
                Err(error) => drop(problem.get_or_insert(error)),
            }
        });
        problem.map_or(Ok(()), Err)?;
        let former = self.tables.insert(part.clone(), tables.clone()).unwrap_or_default();
        let gone = former.into_iter().filter(|table| !tables.contains(table));
        rows.extend(gone.map(|table| Row { table, key: String::new(), value: None }));
        if all || !same || !rows.is_empty() {
            rows.insert(0, Row { table: String::new(), key: String::new(), value: Some(state.rest()?) });
        }
        Ok((part, rows))
    }
}

impl World {
    /// What has changed since this was last called, everything at the first. That time went by is a change only if `moment`.
    ///
    /// # Errors
    /// When a value has no JSON.
    pub(crate) fn changes(&mut self, moment: bool) -> serde_json::Result<Vec<(Part, Vec<Row>)>> {
        let all = std::mem::take(&mut self.residence.renewed);
        let mut changes = Vec::new();
        changes.push(self.residence.changes_of(Part::Google, &mut self.google, all)?);
        let touched = std::mem::take(&mut self.residence.touched);
        let ids: Vec<String> =
            if all { self.cells.keys().cloned().collect() } else { touched.into_iter().collect() };
        for id in ids {
            let Some(cell) = self.cells.get(&id).cloned() else { continue };
            for key in cell.clusters() {
                if let Some(cluster) = self.kubernetes.get_mut(key) {
                    changes.push(self.residence.changes_of(Part::Cluster(key.clone()), cluster, all)?);
                }
            }
            for name in cell.shares() {
                if let Some(share) = self.exhibitor.get_mut(name) {
                    changes.push(self.residence.changes_of(Part::Share(name.clone()), share, all)?);
                }
            }
        }
        let cells = if all { self.cells.all()? } else { self.cells.changes()? };
        let table = "cells".to_owned();
        let cells = cells.into_iter().map(|(key, value)| Row { table: table.clone(), key, value });
        changes.push((Part::Cells, cells.collect()));
        changes.retain(|(_, rows)| !rows.is_empty());
        let head = Head::of(self);
        let drawn = self.residence.rests.insert(Part::Head, head.digest()) != Some(head.digest());
        let counted =
            std::mem::replace(&mut self.residence.counted, digest(&serde_json::to_string(&self.rates)?));
        let counted = counted != self.residence.counted;
        let quiet = !moment && !drawn && changes.is_empty() && self.residence.gone.is_empty();
        self.residence.only_counted = quiet && counted;
        if !quiet || counted {
            let value = Some(serde_json::to_string(&head)?);
            changes.push((Part::Head, vec![Row { table: String::new(), key: String::new(), value }]));
        }
        Ok(changes)
    }

    /// A world out of the rows of its head, of Google's APIs and of its cells; the contents of a cell are read when a request concerns it.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn assemble(rows: &[(Part, Row)], archive: Option<Archive>) -> Result<Self, String> {
        let mut world = Self::new(0, 0);
        world.residence.archive = archive;
        world.accept(rows)?;
        Ok(world)
    }

    /// Takes what another process has changed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn accept(&mut self, rows: &[(Part, Row)]) -> Result<(), String> {
        let of = |part: &Part| {
            rows.iter().filter(|(own, _)| own == part).map(|(_, row)| row.clone()).collect::<Vec<Row>>()
        };
        let changed: BTreeSet<&Part> = rows.iter().map(|(part, _)| part).collect();
        let cells = of(&Part::Cells);
        let stale: Vec<String> = self
            .cells
            .iter()
            .filter(|(id, cell)| {
                cells.iter().any(|row| row.key == **id)
                    || cell.clusters().any(|key| changed.contains(&Part::Cluster(key.clone())))
                    || cell.shares().iter().any(|name| changed.contains(&Part::Share(name.clone())))
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in &stale {
            self.unload(id);
        }
        for row in &cells {
            self.cells.load(&row.key, row.value.as_deref())?;
        }
        let google = of(&Part::Google);
        if let Some(rest) = rest_of(&google)
            && self.residence.rests.insert(Part::Google, digest(rest)) != Some(digest(rest))
        {
            let mut fresh: Google =
                serde_json::from_str(rest).map_err(|error| format!("it is damaged: {error}"))?;
            // Its tables are empty: their rows are those that are here.
            let mut held = Vec::new();
            self.google.tables(&mut |name, table| held.push((name.to_owned(), table.all())));
            for (name, rows) in held {
                let rows = rows.map_err(|error| error.to_string())?;
                let rows: Vec<Row> =
                    rows.into_iter().map(|(key, value)| Row { table: name.clone(), key, value }).collect();
                fill(&mut fresh, &rows)?;
            }
            self.google = fresh;
        }
        fill(&mut self.google, &google)?;
        if let Some(head) = rest_of(&of(&Part::Head)) {
            let head: Head = serde_json::from_str(head).map_err(|error| format!("it is damaged: {error}"))?;
            self.residence.rests.insert(Part::Head, head.digest());
            Head {
                now: self.now,
                ids: self.ids,
                image_faults: self.image_faults,
                reality: self.reality,
                rates: self.rates,
            } = head;
        }
        Ok(())
    }

    /// Brings a cell into memory. Says whether it is there.
    pub(crate) fn load(&mut self, id: &str) -> bool {
        let Some(cell) = self.cells.get(id) else { return false };
        if let Some(archive) = self.residence.archive.clone()
            && !self.residence.loaded.contains_key(id)
            && let Err(problem) = self.read_cell(&archive, &cell.clone())
        {
            self.residence.broken.get_or_insert(problem);
            return false;
        }
        self.use_cell(id);
        true
    }

    /// Brings all cells into memory.
    ///
    /// # Errors
    /// When one can't be read.
    pub(crate) fn load_all(&mut self) -> Result<(), String> {
        for id in self.cells.keys().cloned().collect::<Vec<_>>() {
            self.load(&id);
        }
        self.residence.broken.take().map_or(Ok(()), Err)
    }

    /// Remembers that a cell is in memory and was used now.
    pub(crate) fn use_cell(&mut self, id: &str) {
        self.residence.uses += 1;
        self.residence.loaded.insert(id.to_owned(), self.residence.uses);
    }

    fn read_cell(&mut self, archive: &Archive, cell: &Cell) -> Result<(), String> {
        for key in cell.clusters() {
            if let Some(cluster) = self.read_part(archive, Part::Cluster(key.clone()))? {
                self.kubernetes.insert(key.clone(), cluster);
            }
        }
        for name in cell.shares() {
            if let Some(share) = self.read_part(archive, Part::Share(name.clone()))? {
                self.exhibitor.insert(name.clone(), share);
            }
        }
        Ok(())
    }

    fn read_part<T: Tables + Serialize + DeserializeOwned>(
        &mut self,
        archive: &Archive,
        part: Part,
    ) -> Result<Option<T>, String> {
        let rows = archive.read(&part)?;
        let of_part = |problem: String| format!("{part}: {problem}");
        let mut read: Option<T> = assemble(&rows).map_err(of_part)?;
        if let Some(read) = &mut read {
            let digest = rest_digest(read).map_err(|error| of_part(error.to_string()))?;
            self.residence.rests.insert(part.clone(), digest);
        }
        let tables = rows.iter().filter(|row| !row.table.is_empty()).map(|row| row.table.clone());
        self.residence.tables.insert(part, tables.collect());
        Ok(read)
    }

    /// Takes cells out of memory but for those that were used last, so many of them. Those that `stay` says so of do.
    pub(crate) fn unload_idle(&mut self, most: usize, stay: impl Fn(&Cell) -> bool) {
        if self.residence.archive.is_none() || self.residence.loaded.len() <= most {
            return;
        }
        let mut idle: Vec<(u64, String)> =
            self.residence.loaded.iter().map(|(id, used)| (*used, id.clone())).collect();
        idle.sort();
        let too_many = idle.len() - most;
        for (_, id) in idle.into_iter().take(too_many) {
            if !self.cells.get(&id).is_some_and(&stay) {
                self.unload(&id);
            }
        }
    }

    /// Takes a cell out of memory; it is in the archive.
    pub(crate) fn unload(&mut self, id: &str) {
        self.residence.loaded.remove(id);
        self.residence.touched.remove(id);
        let Some(cell) = self.cells.get(id) else { return };
        for key in cell.clusters() {
            self.kubernetes.remove(key);
            self.residence.forget(&Part::Cluster(key.clone()));
        }
        for name in cell.shares() {
            self.residence.forget(&Part::Share(name.clone()));
        }
        drop(self.exhibitor.take(cell.shares()));
    }

    /// Makes all of it stored at the next turn, into an archive that is empty now.
    pub(crate) fn settle_in(&mut self, archive: Option<Archive>) {
        self.residence = Residence { archive, renewed: true, ..Residence::default() };
        for id in self.cells.keys().cloned().collect::<Vec<_>>() {
            self.use_cell(&id);
        }
    }
}
