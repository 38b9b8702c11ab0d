//! The objects of a cluster and the history of their changes: what etcd and the watch cache hold.

use super::kind::Kind;
use super::tree;
use crate::api::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use zkprov_emulator_common::table::{Rows, Table};

/// Changes kept for watches.
const HISTORY: usize = 1000;

/// How an object changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ChangeKind {
    /// It is new.
    Added,
    /// It was written.
    Modified,
    /// It is gone; the object is its last state.
    Deleted,
}

/// What selectors look at, of the state before a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Before {
    metadata: Value,
    spec: Value,
    status: Value,
}

impl Before {
    /// The parts of an object that selectors read.
    pub(super) fn of(object: &Value) -> Self {
        let keep = |pointer: &str, key: &str| match object.pointer(pointer) {
            Some(value) => json!({ key: value }),
            None => json!({}),
        };
        Self {
            metadata: keep("/metadata/labels", "labels"),
            spec: keep("/spec/nodeName", "nodeName"),
            status: keep("/status/phase", "phase"),
        }
    }

    /// An object that selectors treat like the former state; name and namespace are those of `after`.
    pub(super) fn object(&self, after: &Value) -> Value {
        let mut object = json!({"metadata": self.metadata, "spec": self.spec, "status": self.status});
        tree::put(&mut object, "/metadata/name", tree::name(after));
        tree::put(&mut object, "/metadata/namespace", tree::namespace(after));
        object
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Change {
    /// Revision that it made.
    pub(super) revision: u64,
    /// Kind of the object.
    pub(super) kind: Kind,
    /// What happened.
    pub(super) change: ChangeKind,
    /// The object after the change.
    pub(super) object: Value,
    /// What it was before.
    pub(super) before: Option<Before>,
}

/// Objects by kind and `NAMESPACE/NAME`, with a revision that every write moves on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Store {
    revision: u64,
    objects: BTreeMap<Kind, Table<String, Value>>,
    history: Table<u64, Change>,
    /// Revision of the last change that is no longer in the history.
    compacted: u64,
    /// When the last write happened.
    written: Time,
    /// `SERVER:PATH` of every NFS volume that an object has named.
    mounts: BTreeSet<String>,
}

/// Finds the NFS volumes that an object names, wherever: in a pod, in a template, as a persistent volume.
fn mounts_of(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let nfs = fields
                .get("nfs")
                .and_then(|nfs| Some((nfs.get("server")?.as_str()?, nfs.get("path")?.as_str()?)));
            if let Some((server, path)) = nfs {
                found.insert(format!("{server}:{path}"));
            }
            fields.values().for_each(|value| mounts_of(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| mounts_of(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

impl Store {
    /// An empty store.
    pub(super) fn new() -> Self {
        Self {
            revision: 1,
            objects: BTreeMap::new(),
            history: Table::default(),
            compacted: 1,
            written: 0,
            mounts: BTreeSet::new(),
        }
    }

    /// What is kept row by row.
    pub(super) fn tables(&mut self, show: &mut dyn FnMut(&str, &mut dyn Rows)) {
        for (kind, objects) in &mut self.objects {
            show(&format!("objects/{}", kind.info().kind), objects);
        }
        show("history", &mut self.history);
    }

    /// `SERVER:PATH` of every NFS volume that an object has named.
    pub(super) const fn mounts(&self) -> &BTreeSet<String> {
        &self.mounts
    }

    /// Revision of the last write.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// When the last write happened.
    pub(super) fn written(&self) -> Time {
        self.written
    }

    /// One object; the namespace is empty for kinds without.
    pub(super) fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Value> {
        self.objects.get(&kind)?.get(&key(namespace, name))
    }

    /// All objects of a kind, of one namespace or of all, by namespace and name.
    pub(super) fn list<'s>(
        &'s self,
        kind: Kind,
        namespace: Option<&'s str>,
    ) -> impl Iterator<Item = &'s Value> {
        let all = self.objects.get(&kind).into_iter().flat_map(|table| table.values());
        all.filter(move |object| namespace.is_none_or(|wanted| tree::namespace(object) == wanted))
    }

    /// Writes an object under its own name, gives it the next revision, and returns it as stored.
    pub(super) fn put(&mut self, kind: Kind, mut object: Value, now: Time) -> Value {
        self.stamp(&mut object, now);
        mounts_of(&object, &mut self.mounts);
        let key = key(tree::namespace(&object), tree::name(&object));
        let before = self.objects.entry(kind).or_default().insert(key, object.clone());
        let change = if before.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        let before = before.as_ref().map(Before::of);
        self.record(Change { revision: self.revision, kind, change, object: object.clone(), before });
        object
    }

    /// Removes an object and returns its last state.
    pub(super) fn remove(&mut self, kind: Kind, namespace: &str, name: &str, now: Time) -> Option<Value> {
        let mut object = self.objects.get_mut(&kind)?.remove(&key(namespace, name))?;
        self.stamp(&mut object, now);
        let before = Some(Before::of(&object));
        let change = ChangeKind::Deleted;
        self.record(Change { revision: self.revision, kind, change, object: object.clone(), before });
        Some(object)
    }

    fn stamp(&mut self, object: &mut Value, now: Time) {
        self.revision += 1;
        self.written = self.written.max(now);
        tree::put(object, "/metadata/resourceVersion", self.revision.to_string());
    }

    fn record(&mut self, change: Change) {
        self.history.insert(change.revision, change);
        while self.history.len() > HISTORY {
            self.compacted = self.history.pop_first().map_or(self.compacted, |(revision, _)| revision);
        }
    }

    /// Changes of a kind after a revision, oldest first; `None` when some of them are no longer kept.
    pub(super) fn changes(&self, kind: Kind, after: u64) -> Option<impl Iterator<Item = &Change>> {
        (after >= self.compacted).then(|| {
            self.history
                .range(after + 1..)
                .map(|(_, change)| change)
                .filter(move |change| change.kind == kind)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_bounded_and_says_when_it_is_cut() {
        let mut store = Store::new();
        let object = |n: usize| json!({"metadata": {"name": format!("c{n}"), "namespace": "default"}});
        let first = store.put(Kind::ConfigMap, object(0), 5);
        assert_eq!(first["metadata"]["resourceVersion"], "2");
        for n in 1..=HISTORY {
            store.put(Kind::ConfigMap, object(n), 6);
        }
        assert!(store.changes(Kind::ConfigMap, 1).is_none(), "the first change is gone");
        assert_eq!(store.changes(Kind::ConfigMap, 2).unwrap().count(), HISTORY);
        assert_eq!(store.changes(Kind::Pod, 2).unwrap().count(), 0);
    }
}
