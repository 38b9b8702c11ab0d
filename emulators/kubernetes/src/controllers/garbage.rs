//! Garbage collection: objects whose owners are gone.

use super::super::deletion::{self, DeleteOptions, owners};
use super::super::kind::Kind;
use super::super::managers::Actor;
use super::super::registry::Registry;
use super::super::tree;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Deletes what no owner holds any more, and lets go of owners that wait for their dependents.
pub(super) fn run(registry: &mut Registry<'_>) {
    let mut alive: BTreeSet<String> = BTreeSet::new();
    let mut waiting: Vec<(Kind, Value)> = Vec::new();
    let mut owned: Vec<(Kind, Value)> = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Event) {
        for object in registry.store.list(kind, None) {
            alive.insert(tree::uid(object).to_owned());
            if tree::items(object, "/metadata/finalizers").iter().any(|name| name == "foregroundDeletion") {
                waiting.push((kind, object.clone()));
            }
            if owners(object).next().is_some() {
                owned.push((kind, object.clone()));
            }
        }
    }
    let doomed = |object: &Value| {
        let lost = owners(object).all(|uid| !alive.contains(uid));
        lost || owners(object).any(|uid| waiting.iter().any(|(_, owner)| tree::uid(owner) == uid))
    };
    for (kind, object) in owned.iter().filter(|(_, object)| doomed(object) && !tree::is_deleting(object)) {
        // Who waits for a dependent waits for what that one holds, too.
        let awaited = owners(object).any(|uid| waiting.iter().any(|(_, owner)| tree::uid(owner) == uid));
        let holds = owned.iter().any(|(_, other)| owners(other).any(|uid| uid == tree::uid(object)));
        let options = if awaited && holds { DeleteOptions::foreground() } else { DeleteOptions::plain() };
        // It may be gone already, with another owner.
        drop(deletion::delete(registry, *kind, tree::namespace(object), tree::name(object), &options));
    }
    for (kind, owner) in &waiting {
        let held = owned.iter().any(|(kind, object)| {
            owners(object).any(|uid| uid == tree::uid(owner))
                && registry.store.get(*kind, tree::namespace(object), tree::name(object)).is_some()
        });
        if !held {
            release(registry, *kind, owner);
        }
    }
}

fn release(registry: &mut Registry<'_>, kind: Kind, owner: &Value) {
    let (namespace, name) = (tree::namespace(owner), tree::name(owner));
    let finalizers = tree::items(owner, "/metadata/finalizers").iter();
    let left: Vec<Value> = finalizers.filter(|name| **name != json!("foregroundDeletion")).cloned().collect();
    if left.is_empty() && kind != Kind::Namespace {
        registry.store.remove(kind, namespace, name, registry.now);
        return;
    }
    if let Some(mut owner) = registry.store.get(kind, namespace, name).cloned() {
        tree::put(&mut owner, "/metadata/finalizers", left);
        registry.commit(kind, owner, &Actor::new(super::MANAGER));
    }
}
