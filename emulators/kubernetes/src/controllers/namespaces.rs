//! Namespaces: what each new one gets, and the end of those that are deleted.

use super::super::deletion::{self, DeleteOptions};
use super::super::kind::Kind;
use super::super::registry::{Registry, Write};
use super::super::tree;
use serde_json::{Value, json};

/// Fills new namespaces and empties deleted ones.
pub(super) fn run(registry: &mut Registry<'_>) {
    let all: Vec<Value> = registry.store.list(Kind::Namespace, None).cloned().collect();
    for namespace in &all {
        let name = tree::name(namespace);
        if tree::is_deleting(namespace) {
            empty(registry, name);
        } else if registry.store.get(Kind::ServiceAccount, name, "default").is_none() {
            let account = json!({"metadata": {"name": "default", "namespace": name}});
            drop(registry.create(Kind::ServiceAccount, account, &Write::by(super::MANAGER)));
        }
    }
}

fn empty(registry: &mut Registry<'_>, name: &str) {
    let mut left = false;
    for kind in Kind::ALL.into_iter().filter(|kind| kind.info().namespaced) {
        let objects: Vec<Value> = registry.store.list(kind, Some(name)).cloned().collect();
        for object in &objects {
            if !tree::is_deleting(object) {
                drop(deletion::delete(registry, kind, name, tree::name(object), &DeleteOptions::plain()));
            }
            left |= registry.store.get(kind, name, tree::name(object)).is_some();
        }
    }
    if !left {
        registry.store.remove(Kind::Namespace, "", name, registry.now);
    }
}
