//! Who owns which fields of an object: `metadata.managedFields`.

use super::clock;
use super::failure::{Cause, Failure};
use super::fields::{Comparison, FieldSet, show};
use super::tree;
use crate::api::Time;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How a manager writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    /// Server-side apply.
    Apply,
    /// Any other write.
    Update,
}

/// Who writes, and through which door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Actor {
    /// Name of the field manager.
    pub(super) manager: String,
    /// Subresource, if not the object itself.
    pub(super) subresource: Option<&'static str>,
}

impl Actor {
    /// A manager that writes the object itself.
    pub(super) fn new(manager: &str) -> Self {
        Self { manager: manager.to_owned(), subresource: None }
    }

    /// A manager that writes a subresource.
    pub(super) fn through(manager: &str, subresource: &'static str) -> Self {
        Self { manager: manager.to_owned(), subresource: Some(subresource) }
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    operation: Operation,
    time: String,
    manager: String,
    api_version: String,
    subresource: String,
    fields: FieldSet,
}

impl Entry {
    fn is_of(&self, operation: Operation, actor: &Actor) -> bool {
        self.operation == operation
            && self.manager == actor.manager
            && self.subresource == actor.subresource.unwrap_or_default()
    }

    fn read(value: &Value) -> Option<Self> {
        let operation = match tree::text(value, "/operation")? {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return None,
        };
        let text = |pointer: &str| tree::text(value, pointer).unwrap_or_default().to_owned();
        Some(Self {
            operation,
            time: text("/time"),
            manager: text("/manager"),
            api_version: text("/apiVersion"),
            subresource: text("/subresource"),
            fields: FieldSet::from_json(value.get("fieldsV1")?),
        })
    }

    fn json(&self) -> Value {
        let operation = match self.operation {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        };
        let mut entry = json!({
            "manager": self.manager, "operation": operation, "apiVersion": self.api_version, "time": self.time,
            "fieldsType": "FieldsV1", "fieldsV1": self.fields.to_json(),
        });
        if !self.subresource.is_empty() {
            tree::put(&mut entry, "/subresource", self.subresource.as_str());
        }
        entry
    }

    /// As conflicts name it. Appliers have no version, for they are the same manager in every version.
    fn shown(&self) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            text += &format!(" with subresource {:?}", self.subresource);
        }
        match self.operation {
            Operation::Apply => text,
            Operation::Update => format!("{text} using {}", self.api_version),
        }
    }
}

/// Everyone who owns a field of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Managers {
    entries: Vec<Entry>,
}

/// Nobody owns these.
fn strip(fields: &mut FieldSet) {
    for path in [&["f:apiVersion"] as &[&str], &["f:kind"]] {
        fields.drop_tree(path);
    }
    for key in [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "generation",
        "managedFields",
        "resourceVersion",
    ] {
        fields.drop_tree(&["f:metadata", &format!("f:{key}")]);
    }
}

impl Managers {
    /// Reads an object's entries; those it can't read are dropped, as the API server does.
    pub(super) fn of(object: &Value) -> Self {
        Self {
            entries: tree::items(object, "/metadata/managedFields").iter().filter_map(Entry::read).collect(),
        }
    }

    /// Writes the entries into an object.
    pub(super) fn write(mut self, object: &mut Value) {
        self.entries.retain(|entry| !entry.fields.is_empty());
        self.entries
            .sort_by(|a, b| (a.operation, &a.time, &a.manager).cmp(&(b.operation, &b.time, &b.manager)));
        if self.entries.is_empty() {
            tree::remove(object, "/metadata/managedFields");
        } else {
            tree::put(
                object,
                "/metadata/managedFields",
                self.entries.iter().map(Entry::json).collect::<Value>(),
            );
        }
    }

    /// Fields owned by everyone but this applier.
    pub(super) fn others(&self, operation: Operation, actor: &Actor) -> FieldSet {
        let others = self.entries.iter().filter(|entry| !entry.is_of(operation, actor));
        others.fold(FieldSet::default(), |all, entry| all.union(&entry.fields))
    }

    /// Fields that this applier claimed the last time.
    pub(super) fn applied(&self, actor: &Actor) -> FieldSet {
        let mine = self.entries.iter().find(|entry| entry.is_of(Operation::Apply, actor));
        mine.map(|entry| entry.fields.clone()).unwrap_or_default()
    }

    /// Gives the changed fields to the writer of an update and takes them from everyone else.
    pub(super) fn record_update(
        &mut self,
        comparison: &Comparison,
        actor: &Actor,
        api_version: &str,
        now: Time,
    ) {
        let mut written = comparison.written.clone();
        strip(&mut written);
        self.take(&comparison.written.clone().union(&comparison.removed));
        let mine = self.entries.iter_mut().find(|entry| entry.is_of(Operation::Update, actor));
        match mine {
            Some(entry) if !written.is_empty() => {
                entry.fields = std::mem::take(&mut entry.fields).union(&written);
                entry.time = clock::seconds(now);
                api_version.clone_into(&mut entry.api_version);
            }
            None if !written.is_empty() => self.add(Operation::Update, actor, api_version, now, written),
            Some(_) | None => {}
        }
    }

    /// Gives an applier exactly the fields of its configuration, and takes those it changes from everyone else.
    pub(super) fn record_apply(
        &mut self,
        mut claimed: FieldSet,
        actor: &Actor,
        api_version: &str,
        now: Time,
    ) {
        strip(&mut claimed);
        let mine = self.entries.iter_mut().find(|entry| entry.is_of(Operation::Apply, actor));
        match mine {
            Some(entry) if entry.fields == claimed && entry.api_version == api_version => {}
            Some(entry) => {
                entry.fields = claimed;
                entry.time = clock::seconds(now);
                api_version.clone_into(&mut entry.api_version);
            }
            None => self.add(Operation::Apply, actor, api_version, now, claimed),
        }
    }

    fn add(&mut self, operation: Operation, actor: &Actor, api_version: &str, now: Time, fields: FieldSet) {
        self.entries.push(Entry {
            operation,
            time: clock::seconds(now),
            manager: actor.manager.clone(),
            api_version: api_version.to_owned(),
            subresource: actor.subresource.unwrap_or_default().to_owned(),
            fields,
        });
    }

    /// Takes fields from everyone.
    fn take(&mut self, fields: &FieldSet) {
        for entry in &mut self.entries {
            entry.fields = std::mem::take(&mut entry.fields).minus(fields);
        }
    }

    /// Takes the changed fields from everyone but this applier.
    pub(super) fn take_from_others(&mut self, changed: &Comparison, actor: &Actor) {
        let fields = changed.written.clone().union(&changed.removed);
        for entry in self.entries.iter_mut().filter(|entry| !entry.is_of(Operation::Apply, actor)) {
            entry.fields = std::mem::take(&mut entry.fields).minus(&fields);
        }
    }

    /// Refuses an apply that changes what others own.
    ///
    /// # Errors
    /// 409 with every field and its owner.
    pub(super) fn check_conflicts(&self, changed: &Comparison, actor: &Actor) -> Result<(), Failure> {
        let mut owned: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| !entry.is_of(Operation::Apply, actor)) {
            let mut common = entry.fields.intersection(&changed.written);
            strip(&mut common);
            let paths = common.paths();
            if !paths.is_empty() {
                owned.entry(entry.shown()).or_default().extend(paths.iter().map(|path| show(path)));
            }
        }
        let causes: Vec<Cause> = owned
            .iter()
            .flat_map(|(manager, paths)| paths.iter().map(move |path| (manager, path)))
            .map(|(manager, path)| {
                Cause::new("FieldManagerConflict", path, format!("conflict with {manager}"))
            })
            .collect();
        if causes.is_empty() {
            return Ok(());
        }
        let single = owned.iter().next().filter(|_| causes.len() == 1);
        let message = if let Some((manager, paths)) = single {
            format!("Apply failed with 1 conflict: conflict with {manager}: {}", paths.concat())
        } else {
            let lines = owned.iter().map(|(manager, paths)| {
                let paths: String = paths.iter().map(|path| format!("\n- {path}")).collect();
                format!("conflicts with {manager}:{paths}")
            });
            let lines: Vec<String> = lines.collect();
            format!("Apply failed with {} conflicts: {}", causes.len(), lines.join("\n"))
        };
        Err(Failure::apply_conflict(message, causes))
    }
}
