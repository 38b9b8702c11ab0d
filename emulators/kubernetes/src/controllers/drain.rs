//! Emptying nodes that are to go, as an upgrade of a node pool does: by eviction, so within the disruption budgets.

use super::super::deletion::{self, DeleteOptions};
use super::super::eviction;
use super::super::kind::Kind;
use super::super::registry::Registry;
use super::super::store::Store;
use super::super::tree::{self, name, namespace, text};
use super::{Alarm, daemonset};
use crate::api::Time;
use serde_json::Value;
use std::collections::BTreeMap;

/// Milliseconds between two tries of an eviction that came to nothing.
const AGAIN: Time = 5_000;
/// Milliseconds for which GKE respects the budgets.
const PATIENCE: Time = 3_600_000;

/// The pods on a node that have to leave it, those that are ending too. Pods of DaemonSets stay: there is no other node
/// for them.
pub(super) fn pods_on<'s>(store: &'s Store, node: &str) -> impl Iterator<Item = &'s Value> {
    store
        .list(Kind::Pod, None)
        .filter(move |pod| text(pod, "/spec/nodeName") == Some(node) && !daemonset::is_daemon(pod))
}

/// Evicts what may be evicted now.
pub(super) fn run(registry: &mut Registry<'_>, draining: &BTreeMap<String, Time>, alarm: &mut Alarm) {
    for (node, since) in draining {
        let impatient = registry.now >= since + PATIENCE;
        let pods = pods_on(registry.store, node).filter(|pod| !tree::is_deleting(pod));
        let pods: Vec<Value> = pods.cloned().collect();
        for pod in pods {
            let allowed = impatient
                || !eviction::needs_budget(&pod)
                || eviction::spend_budget(registry, namespace(&pod), &pod, false).is_ok();
            // Refused only where it is gone already.
            let gone = allowed
                && deletion::delete(
                    registry,
                    Kind::Pod,
                    namespace(&pod),
                    name(&pod),
                    &DeleteOptions::plain(),
                )
                .is_ok();
            if !allowed {
                // What the budget says changes with the objects, and then the controllers run anyway.
                alarm.at(since + PATIENCE);
            } else if !gone {
                alarm.at(registry.now + AGAIN);
            }
        }
    }
}
