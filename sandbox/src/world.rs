//! The whole world: Google's APIs, and *cells* of clusters beside them, moved on by requests and by virtual time.
//!
//! A cell is a cluster with the shares that its pods mount, or several clusters that mount the same share. Cells do not meet, so each
//! has a time of its own: it is brought to the present when a request reaches it, and may stay in the archive until then. What a
//! request costs is what it touches, however many ensembles there are.

use crate::api::{ClusterKey, Context, Endpoints, Request, Response, Service, Time};
use crate::archive::{Archive, Part, digest};
use crate::exhibitor::Shares;
use crate::google::Google;
use crate::ids::Ids;
use crate::kubernetes::{Answer, Cluster, ImageFaults};
use crate::reality::{self, Rates, Reality};
use crate::views::{ClusterView, Export, share_name};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use zkprov_emulator_common::table::Table;

/// Everything there is, as far as it is in memory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct World {
    /// Virtual time the world has been moved on to.
    pub now: Time,
    /// Ids still to be given out.
    pub ids: Ids,
    /// Google's APIs.
    #[serde(flatten)]
    pub google: Google,
    /// The Kubernetes APIs of running clusters.
    pub kubernetes: BTreeMap<ClusterKey, Cluster>,
    /// Images that no cluster's nodes can pull.
    #[serde(default)]
    pub image_faults: ImageFaults,
    /// What the projects are like.
    #[serde(default)]
    pub reality: Reality,
    /// What was asked of the APIs in the present minute, where that is limited.
    #[serde(default)]
    pub rates: Rates,
    /// The Exhibitor ensembles, one for each shared directory.
    pub exhibitor: Shares,
    /// By the name of the first cluster.
    pub(crate) cells: Table<String, Cell>,
    #[serde(skip)]
    pub(crate) residence: Residence,
}

/// Equal are worlds with equal state; where it is kept does not matter.
impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.now == other.now
            && self.ids == other.ids
            && self.google == other.google
            && self.kubernetes == other.kubernetes
            && self.image_faults == other.image_faults
            && self.reality == other.reality
            && self.rates == other.rates
            && self.exhibitor == other.exhibitor
    }
}

/// What belongs to a cell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cell {
    /// Its clusters, each with a digest of the view that it was last given.
    clusters: BTreeMap<ClusterKey, u64>,
    /// Names of the shares that its pods have named.
    shares: BTreeSet<String>,
    /// When something last happened in it.
    now: Time,
    /// Whether GKE waits for pods of it to go: then it moves with the world.
    draining: bool,
}

/// What of the world is in memory, and what became of it there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Residence {
    /// Where cells are that are not in memory; without one all are.
    pub(crate) archive: Option<Archive>,
    /// Cells in memory, with a number that says how long ago each was used. All are without an archive.
    pub(crate) loaded: BTreeMap<String, u64>,
    /// Cells in which something may have happened since they were last stored.
    pub(crate) touched: BTreeSet<String>,
    /// Parts that are gone since the world was last stored.
    pub(crate) gone: BTreeSet<Part>,
    /// Sessions of ZooKeeper clients that are there, whatever the virtual time.
    pub(crate) sessions: Vec<i64>,
    /// Digests of the parts' rests as they were last stored; of the head, that of its ids.
    pub(crate) rests: BTreeMap<Part, u64>,
    /// Names of the parts' tables that are stored.
    pub(crate) tables: BTreeMap<Part, BTreeSet<String>>,
    /// Digest of the count of requests that was last stored.
    pub(crate) counted: u64,
    /// Whether nothing of it is stored yet.
    pub(crate) renewed: bool,
    /// Whether nothing has changed but how many requests there were.
    pub(crate) only_counted: bool,
    /// Why the archive could not be read.
    pub(crate) broken: Option<String>,
    pub(crate) uses: u64,
}

impl World {
    /// An empty world at a virtual time.
    #[must_use]
    pub fn new(seed: u64, now: Time) -> Self {
        Self {
            now,
            ids: Ids::new(seed),
            google: Google::default(),
            kubernetes: BTreeMap::new(),
            image_faults: ImageFaults::default(),
            reality: Reality::default(),
            rates: Rates::default(),
            exhibitor: Shares::default(),
            cells: Table::default(),
            residence: Residence::default(),
        }
    }

    /// Answers one request at the world's own time. `arrived` is when the same request was first handed in.
    pub fn handle(&mut self, request: &Request, arrived: Time, endpoints: &Endpoints) -> Answer {
        if let Some(refusal) = reality::refuse(self, request) {
            return refusal;
        }
        let before = reality::Before::of(self, request);
        let answer = self.answer(request, arrived, endpoints);
        before.judge(self, request, answer)
    }

    /// Counts a request that was not handed in before; the refusal where there are too many of its kind in a minute.
    pub fn throttle(&mut self, request: &Request) -> Option<Answer> {
        self.rates.count(&self.reality, request, self.now).map(Answer::Done)
    }

    /// What the API that the request came to says, whatever the project is like.
    fn answer(&mut self, request: &Request, arrived: Time, endpoints: &Endpoints) -> Answer {
        match &request.service {
            Service::Kubernetes(key) => self.handle_in_cluster(key, request, arrived, endpoints),
            Service::Compute | Service::Container | Service::Filestore | Service::Storage => {
                // A read changes nothing that a cell would have to see, and is most of what is asked.
                let before = (request.method != "GET").then(|| self.google.exports());
                let mut context = Context { now: self.now, arrived, ids: &mut self.ids, endpoints };
                let answer = self.google.handle(request, &mut context);
                if let Some(before) = before {
                    for node in self.google.compute.reset_nodes() {
                        self.reset_node(&node);
                    }
                    self.settle_google(&before);
                }
                answer.map_or_else(|| Response::text(404, "text/plain", "no such API").into(), Answer::from)
            }
        }
    }

    fn handle_in_cluster(
        &mut self,
        key: &str,
        request: &Request,
        arrived: Time,
        endpoints: &Endpoints,
    ) -> Answer {
        let absent = || Response::text(503, "text/plain", "no such cluster").into();
        let Some(id) = self.present(key) else { return absent() };
        // Reads change nothing, unless they go through a pod's or a service's proxy to Exhibitor, which takes orders by GET.
        let reads = matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS");
        if !reads || request.path.contains("/proxy") {
            self.residence.touched.insert(id.clone());
        }
        let now = self.now;
        let answer = self.inside(&id, |inside| {
            let Inside { kubernetes, shares, ids, .. } = inside;
            let mut context = Context { now, arrived, ids, endpoints };
            let cluster = kubernetes.get_mut(key)?;
            Some(cluster.handle(request, shares, &mut context))
        });
        self.join_by_mounts(&id, key);
        // What the request asks of controllers and members begins at once.
        self.present(key);
        answer.flatten().unwrap_or_else(absent)
    }

    /// Lets `act` at the members of a cluster, at the present time; `None` when there is no such cluster.
    pub(crate) fn in_cluster<T>(&mut self, key: &str, act: impl FnOnce(&mut Shares, Time) -> T) -> Option<T> {
        let id = self.present(key)?;
        let now = self.now;
        self.residence.touched.insert(id.clone());
        self.inside(&id, |inside| act(inside.shares, now))
    }

    /// Lets `act` look at a cluster at the present time; `None` when there is no such cluster.
    pub(crate) fn look<T>(&mut self, key: &str, act: impl FnOnce(&Cluster, Time) -> T) -> Option<T> {
        self.present(key)?;
        Some(act(self.kubernetes.get(key)?, self.now))
    }

    /// Keys of the clusters whose Kubernetes API answers.
    pub(crate) fn clusters(&self) -> Vec<&ClusterKey> {
        self.cells.values().flat_map(|cell| cell.clusters.keys()).collect()
    }

    /// When something happens next by itself, if anything: at Google, in cells that GKE waits for, and in the cell of a cluster
    /// that somebody waits for.
    pub(crate) fn next_event_for(&self, cluster: Option<&str>) -> Option<Time> {
        let draining = self.cells.iter().filter(|(_, cell)| cell.draining).map(|(id, _)| id.as_str());
        let focus = cluster.and_then(|key| self.cell_of(key));
        let cells = draining.chain(focus).filter_map(|id| self.next_event_in(id));
        self.google.next_event().into_iter().chain(self.rates.next_event()).chain(cells).min()
    }

    /// When something happens next by itself, anywhere.
    #[must_use]
    pub fn next_event(&self) -> Option<Time> {
        let cells = self.cells.keys().filter_map(|id| self.next_event_in(id));
        self.google.next_event().into_iter().chain(self.rates.next_event()).chain(cells).min()
    }

    /// Of a cell that is in memory.
    fn next_event_in(&self, id: &str) -> Option<Time> {
        let cell = self.cells.get(id)?;
        let clusters =
            cell.clusters.keys().filter_map(|key| self.kubernetes.get(key)?.next_event(&self.exhibitor));
        let shares = cell.shares.iter().filter_map(|share| self.exhibitor.next_event_of(share));
        clusters.chain(shares).min()
    }

    /// Moves virtual time on, event by event, for all that is in memory. Time never runs backwards.
    pub fn advance_to(&mut self, target: Time) {
        self.move_to(target);
        for id in self.cells.keys().cloned().collect::<Vec<_>>() {
            self.advance_cell(&id, None);
        }
    }

    /// Moves virtual time on; cells follow when they are looked at. Says whether something happened.
    pub(crate) fn move_to(&mut self, target: Time) -> bool {
        let mut happened = false;
        while let Some(next) = self.next_event_for(None).filter(|next| *next <= target) {
            let overdue = next <= self.now;
            self.now = self.now.max(next);
            self.settle();
            happened = true;
            // What settling twice leaves undone waits for time to go by: it must not hold time up.
            if overdue && self.next_event_for(None) == Some(next) {
                break;
            }
        }
        self.now = self.now.max(target);
        happened
    }

    /// Carries out what is due at Google and where Google waits.
    fn settle(&mut self) {
        let before = self.google.exports();
        self.rates.advance(self.now);
        self.settle_google(&before);
        let draining: Vec<String> =
            self.cells.iter().filter(|(_, cell)| cell.draining).map(|(id, _)| id.clone()).collect();
        for id in draining {
            self.advance_cell(&id, None);
        }
    }

    /// Carries out what is due at Google, and lets cells see what has changed there since `before` was exported: servers that
    /// export differently, nodes, clusters that came and went.
    fn settle_google(&mut self, before: &[Export]) {
        self.google.advance(self.now, &mut self.ids);
        if !self.google.is_touched() {
            return;
        }
        let after = self.google.exports();
        let differ: Vec<&Export> = before
            .iter()
            .filter(|export| !after.contains(export))
            .chain(after.iter().filter(|export| !before.contains(export)))
            .collect();
        if !differ.is_empty() {
            // Until now the cells that mount from them lived with what was there before.
            let concerned =
                self.cells.iter().filter(|(_, cell)| differ.iter().any(|export| cell.mounts(export)));
            for id in concerned.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
                self.advance_cell(&id, Some(before));
            }
        }
        if self.google.container.is_touched() {
            self.follow_clusters();
        }
    }

    /// A running GKE cluster has a Kubernetes API; a deleted one takes its pods with it.
    fn follow_clusters(&mut self) {
        let running: BTreeMap<ClusterKey, ClusterView> = self
            .google
            .container
            .running_clusters()
            .into_iter()
            .map(|view| (view.key.clone(), view))
            .collect();
        let gone: Vec<ClusterKey> =
            self.clusters().into_iter().filter(|key| !running.contains_key(*key)).cloned().collect();
        for key in gone {
            self.remove_cluster(&key);
        }
        for (key, view) in running {
            let digest = digest(&json!(view).to_string());
            let known = self.cell_of(&key).and_then(|id| self.cells.get(id)?.clusters.get(&key));
            if known == Some(&digest) {
                continue;
            }
            let id = match self.present(&key) {
                Some(id) => id,
                None => self.new_cell(&key, &view),
            };
            let now = self.now;
            let draining = self.inside(&id, |inside| {
                let clusters = &mut *inside.kubernetes;
                if let Some(cluster) = clusters.get_mut(&key) {
                    cluster.follow(&view);
                    cluster.set_nodes(&view.nodes, now);
                    cluster.enforce(view.policies);
                }
                inside.cell.clusters.keys().any(|key| clusters.get(key).is_some_and(Cluster::is_draining))
            });
            if let Some(cell) = self.cells.get_mut(&id) {
                cell.draining = draining.unwrap_or(false);
                cell.clusters.insert(key.clone(), digest);
            }
            self.residence.touched.insert(id.clone());
            self.advance_cell(&id, None);
        }
    }

    /// A cell for a new cluster.
    fn new_cell(&mut self, key: &str, view: &ClusterView) -> String {
        self.kubernetes.insert(key.to_owned(), Cluster::new(view, self.now));
        let mut cell = Cell { now: self.now, ..Cell::default() };
        // Shares outlive the clusters that mounted them, and a cluster of the same name may come again.
        if let Some(former) = self.load(key).then(|| self.cells.get(key)).flatten() {
            cell.shares.clone_from(&former.shares);
        }
        cell.clusters.insert(key.to_owned(), 0);
        self.cells.insert(key.to_owned(), cell);
        self.use_cell(key);
        key.to_owned()
    }

    fn remove_cluster(&mut self, key: &str) {
        let Some(id) = self.present(key) else { return };
        let now = self.now;
        self.inside(&id, |inside| {
            if let Some(mut cluster) = inside.kubernetes.remove(key) {
                cluster.stop(inside.shares, now);
            }
        });
        if let Some(cell) = self.cells.get_mut(&id) {
            cell.clusters.remove(key);
        }
        self.residence.touched.insert(id);
        self.residence.gone.insert(Part::Cluster(key.to_owned()));
    }

    fn reset_node(&mut self, node: &str) {
        let running = self.google.container.running_clusters().into_iter();
        for ClusterView { key, .. } in running.filter(|view| view.nodes.iter().any(|own| own.name == node)) {
            let Some(id) = self.present(&key) else { continue };
            let now = self.now;
            self.residence.touched.insert(id.clone());
            self.inside(&id, |inside| {
                if let Some(cluster) = inside.kubernetes.get_mut(&key) {
                    cluster.reset_node(node, inside.shares, now);
                }
            });
        }
    }

    /// A share that pods of two cells name makes one cell of them.
    fn join_by_mounts(&mut self, id: &str, key: &str) {
        let Some(cell) = self.cells.get(id) else { return };
        let named = self.kubernetes.get(key).into_iter().flat_map(Cluster::shares);
        let new: Vec<String> = named.filter(|share| !cell.shares.contains(share)).collect();
        for share in new {
            let other = self.cells.iter().find(|(other, cell)| *other != id && cell.shares.contains(&share));
            if let Some(other) = other.map(|(other, _)| other.clone()) {
                self.advance_cell(&other, None);
                if let (Some(joined), Some(cell)) = (self.cells.remove(&other), self.cells.get_mut(id)) {
                    cell.clusters.extend(joined.clusters);
                    cell.shares.extend(joined.shares);
                    cell.draining |= joined.draining;
                }
                self.residence.loaded.remove(&other);
                self.residence.touched.remove(&other);
            }
            if let Some(cell) = self.cells.get_mut(id) {
                cell.shares.insert(share);
            }
            self.residence.touched.insert(id.to_owned());
        }
    }

    /// The cell of a cluster.
    pub(crate) fn cell_of(&self, key: &str) -> Option<&str> {
        // Most cells are named after their only cluster.
        let has = |cell: &Cell| cell.clusters.contains_key(key);
        let own = self.cells.get_key_value(key).filter(|(_, cell)| has(cell));
        own.or_else(|| self.cells.iter().find(|(_, cell)| has(cell))).map(|(id, _)| id.as_str())
    }

    /// Brings the cell of a cluster to the present; returns its name.
    fn present(&mut self, key: &str) -> Option<String> {
        let id = self.cell_of(key)?.to_owned();
        self.advance_cell(&id, None).then_some(id)
    }

    /// Moves a cell on to the present, event by event, with what servers export now or did until now. Says whether the cell is
    /// there.
    fn advance_cell(&mut self, id: &str, exports: Option<&[Export]>) -> bool {
        if !self.load(id) {
            return false;
        }
        let target = self.now;
        let sessions = std::mem::take(&mut self.residence.sessions);
        let mut mounted: Option<Vec<Export>> = None;
        while let Some(next) = self.next_event_in(id).filter(|next| *next <= target) {
            let Some(cell) = self.cells.get(id) else { break };
            let mounted = mounted.get_or_insert_with(|| {
                let exports = exports.map_or_else(|| self.google.exports(), <[Export]>::to_vec);
                exports.into_iter().filter(|export| cell.mounts(export)).collect()
            });
            let (overdue, now) = (next <= cell.now, cell.now.max(next).min(target));
            if let Some(cell) = self.cells.get_mut(id) {
                cell.now = now;
            }
            self.settle_cell(id, now, mounted, &sessions);
            if overdue && self.next_event_in(id) == Some(next) {
                break;
            }
        }
        self.residence.sessions = sessions;
        for key in self.cells.get(id).into_iter().flat_map(Cell::clusters) {
            if let Some(cluster) = self.kubernetes.get_mut(key) {
                cluster.skip(target);
            }
        }
        true
    }

    /// Carries out what is due in a cell, and lets its parts see each other's changes.
    fn settle_cell(&mut self, id: &str, now: Time, exports: &[Export], sessions: &[i64]) {
        self.residence.touched.insert(id.to_owned());
        let (until, faults) = (self.now, self.image_faults.clone());
        let drained = self.inside(id, |inside| {
            let Inside { kubernetes, shares, cell, ids } = inside;
            shares.keep_alive(sessions, until);
            let mut drained = Vec::new();
            for key in cell.clusters.keys() {
                let Some(cluster) = kubernetes.get_mut(key) else { continue };
                cluster.refuse_images(&faults);
                cluster.advance(now, ids, shares, exports);
                let nodes = if cluster.is_draining() { cluster.drained() } else { Vec::new() };
                if !nodes.is_empty() {
                    drained.push((key.clone(), nodes));
                }
            }
            shares.advance(now, ids);
            // Where GKE manages the nodes, pods that find no place bring some about.
            let wanted: Vec<(ClusterKey, Vec<String>)> = cell
                .clusters
                .keys()
                .filter_map(|key| Some((key.clone(), kubernetes.get(key)?.wanted_nodes())))
                .filter(|(_, zones)| !zones.is_empty())
                .collect();
            (drained, wanted)
        });
        // A node whose pods have gone is gone at once.
        let (drained, wanted) = drained.unwrap_or_default();
        for (key, zones) in wanted {
            self.google.container.want_nodes(&key, zones, now);
        }
        for (key, nodes) in &drained {
            self.google.container.drained(key, nodes, now);
        }
        if !drained.is_empty() {
            self.google.advance(self.now, &mut self.ids);
            self.follow_clusters();
        }
    }

    /// Lets `act` at the parts of a cell that is in memory.
    fn inside<T>(&mut self, id: &str, act: impl FnOnce(Inside<'_>) -> T) -> Option<T> {
        let cell = self.cells.get(id)?.clone();
        let mut shares = self.exhibitor.take(&cell.shares);
        let result = act(Inside {
            kubernetes: &mut self.kubernetes,
            shares: &mut shares,
            cell: &cell,
            ids: &mut self.ids,
        });
        let new: Vec<String> = shares.keys().filter(|share| !cell.shares.contains(*share)).cloned().collect();
        if let Some(cell) = (!new.is_empty()).then(|| self.cells.get_mut(id)).flatten() {
            cell.shares.extend(new);
        }
        self.exhibitor.give(shares);
        Some(result)
    }

    /// What there is, in few words: for `zkprov sandbox show`.
    #[must_use]
    pub fn summary(&self) -> Value {
        let clusters: Vec<Value> = self
            .google
            .container
            .running_clusters()
            .iter()
            .map(|view| {
                let nodes: Vec<&str> = view.nodes.iter().map(|node| node.name.as_str()).collect();
                json!({ "cluster": view.key, "version": view.version, "nodes": nodes })
            })
            .collect();
        let exports: Vec<Value> = self
            .google
            .exports()
            .into_iter()
            .map(|export| json!({ "names": export.names, "path": export.path, "up": export.up }))
            .collect();
        json!({
            "now": crate::api::timestamp(self.now),
            "compute": self.google.compute.summary(),
            "runningClusters": clusters,
            "exports": exports,
            "buckets": self.google.storage.summary(),
            "reality": self.reality.summary(),
        })
    }
}

/// The parts of one cell.
struct Inside<'a> {
    /// Those of all cells in memory.
    kubernetes: &'a mut BTreeMap<ClusterKey, Cluster>,
    /// Those of the cell alone.
    shares: &'a mut Shares,
    cell: &'a Cell,
    ids: &'a mut Ids,
}

impl Cell {
    /// Whether a pod of it may have this mounted.
    fn mounts(&self, export: &Export) -> bool {
        export.names.iter().any(|name| {
            let server = share_name(&export.network, &format!("{name}:"));
            self.shares.range(server.clone()..).next().is_some_and(|share| share.starts_with(&server))
        })
    }

    /// Its clusters.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = &ClusterKey> {
        self.clusters.keys()
    }

    /// Its shares.
    pub(crate) fn shares(&self) -> &BTreeSet<String> {
        &self.shares
    }
}

impl Residence {
    /// A part is not in memory any more.
    pub(crate) fn forget(&mut self, part: &Part) {
        self.rests.remove(part);
        self.tables.remove(part);
    }
}
