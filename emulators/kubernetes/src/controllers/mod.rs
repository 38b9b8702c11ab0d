//! The controllers, the scheduler and the kubelets.

mod balancers;
mod budget;
mod claims;
mod daemonset;
mod deployment;
mod drain;
mod endpoints;
mod garbage;
mod job;
mod kubelet;
mod namespaces;
mod network;
mod pods;
mod policies;
mod probes;
pub(super) mod program;
mod replicaset;
mod rollout;
mod scheduler;
mod statefulset;

pub(super) use self::scheduler::{Disks, homeless, would_run};

use super::images::ImageFaults;
use super::registry::Registry;
use super::store::Store;
use super::tree;
use crate::api::Time;
use crate::containers::Containers;
use crate::views::{Export, PolicyEngine};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The name that the controllers write under.
const MANAGER: &str = "kube-controller-manager";

/// Rounds of all controllers at one moment. Each round settles one step of a chain (Deployment, ReplicaSet, pods,
/// endpoints); what is left after so many is picked up at the next moment.
const ROUNDS: usize = 50;

/// What of the world beyond the API the controllers and the kubelets go by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outside<'a> {
    /// What can be mounted.
    pub(super) exports: &'a [Export],
    /// Where the shares are that pods mount.
    pub(super) network: &'a str,
    /// What enforces network policies.
    pub(super) policies: PolicyEngine,
    /// Images that cannot be pulled.
    pub(super) images: &'a ImageFaults,
}

/// What they remember between runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Controllers {
    /// Revision up to which everything was reconciled.
    reconciled: u64,
    /// When a controller wants to look again although nothing changed.
    wake: Option<Time>,
    kubelet: kubelet::Kubelet,
    /// Nodes to be emptied, and since when.
    #[serde(default)]
    draining: BTreeMap<String, Time>,
    /// Pods of Jobs whose end their Job's status has.
    #[serde(default)]
    counted: BTreeSet<String>,
    /// Whether a network policy stands between any members.
    #[serde(default)]
    walled: bool,
    /// Where the disks of claims are.
    #[serde(default)]
    disks: Disks,
}

/// The earliest of the moments that controllers ask to be woken at.
#[derive(Debug, Default)]
struct Alarm(Option<Time>);

impl Alarm {
    fn at(&mut self, time: Time) {
        self.0 = Some(self.0.map_or(time, |earlier| earlier.min(time)));
    }
}

impl Controllers {
    /// When something is due.
    pub(super) fn next_event(&self, store: &Store, shares: &dyn Containers) -> Option<Time> {
        let changed = (store.revision() != self.reconciled).then(|| store.written());
        [changed, self.wake, self.kubelet.next_due(store, shares)].into_iter().flatten().min()
    }

    /// Times that go by while nothing happens.
    pub(super) fn clocks(&mut self) -> impl Iterator<Item = &mut Time> {
        self.kubelet.clocks()
    }

    /// Lets the periods before `now` pass in which nothing changed.
    pub(super) fn skip(&mut self, store: &Store, now: Time) {
        self.kubelet.skip(store, now);
    }

    /// Does what is due.
    pub(super) fn run(
        &mut self,
        registry: &mut Registry<'_>,
        shares: &mut dyn Containers,
        outside: Outside<'_>,
    ) {
        let Outside { policies, .. } = outside;
        if policies == PolicyEngine::None && self.walled {
            self.walled = network::run(registry.store, policies, shares);
        }
        for _ in 0..ROUNDS {
            self.kubelet.run(registry, shares, outside);
            let woken = self.wake.is_some_and(|wake| wake <= registry.now);
            if registry.store.revision() == self.reconciled && !woken {
                return;
            }
            self.reconciled = registry.store.revision();
            let mut alarm = Alarm::default();
            garbage::run(registry);
            namespaces::run(registry);
            policies::run(registry);
            deployment::run(registry, &mut alarm);
            replicaset::run(registry, &mut alarm);
            statefulset::run(registry);
            daemonset::run(registry, &mut alarm);
            job::run(registry, &mut self.counted, &mut alarm);
            claims::run(registry);
            scheduler::run(registry, &mut self.disks);
            endpoints::run(registry);
            balancers::run(registry, &mut alarm);
            budget::run(registry, &mut alarm);
            drain::run(registry, &self.draining, &mut alarm);
            if policies != PolicyEngine::None {
                self.walled = network::run(registry.store, policies, shares);
            }
            self.wake = alarm.0;
        }
    }

    /// Where the disks of claims are.
    pub(super) const fn disks(&self) -> &Disks {
        &self.disks
    }

    /// Nodes to be emptied, and since when.
    pub(super) const fn draining(&self) -> &BTreeMap<String, Time> {
        &self.draining
    }

    /// Says which nodes are to be emptied.
    pub(super) fn drain(&mut self, nodes: BTreeMap<String, Time>) {
        self.draining = nodes;
    }

    /// Those of them that are empty.
    pub(super) fn drained(&self, store: &Store) -> Vec<String> {
        self.draining.keys().filter(|node| drain::pods_on(store, node).next().is_none()).cloned().collect()
    }

    /// The machine of a node was reset.
    pub(super) fn reset_node(&mut self, node: &str, shares: &mut dyn Containers, now: Time) {
        self.kubelet.reset(node, shares, now);
    }

    /// The cluster is gone.
    pub(super) fn stop(&mut self, _store: &Store, shares: &mut dyn Containers, now: Time) {
        self.kubelet.stop_all(shares, now);
    }
}

/// The controller that owns an object, by uid.
fn controller_of(object: &Value) -> Option<&str> {
    let references = tree::items(object, "/metadata/ownerReferences");
    let controller = references.iter().find(|reference| tree::is_true(reference, "/controller"))?;
    tree::text(controller, "/uid")
}

/// A condition of an object's status.
fn condition<'v>(object: &'v Value, ty: &str) -> Option<&'v Value> {
    tree::items(object, "/status/conditions")
        .iter()
        .find(|condition| tree::text(condition, "/type") == Some(ty))
}

/// Whether a condition is `True`.
fn is_condition(object: &Value, ty: &str) -> bool {
    condition(object, ty).is_some_and(|condition| tree::text(condition, "/status") == Some("True"))
}

/// Whether a pod is ready to serve.
fn is_ready(pod: &Value) -> bool {
    is_condition(pod, "Ready")
}

/// Whether a pod counts: not ended, and not on its way out.
fn is_active(pod: &Value) -> bool {
    !tree::is_deleting(pod) && !matches!(tree::text(pod, "/status/phase"), Some("Succeeded" | "Failed"))
}

/// A number, or a percentage of a total.
fn scaled(value: Option<&Value>, total: i64, round_up: bool) -> i64 {
    match value {
        Some(Value::String(text)) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            if round_up { (total * percent + 99) / 100 } else { total * percent / 100 }
        }
        Some(value) => value.as_i64().unwrap_or(0),
        None => 0,
    }
}

/// Sets a condition; its transition time moves only when its status does. Returns whether anything changed.
fn set_condition(object: &mut Value, new: &Value) -> bool {
    let mut conditions = tree::items(object, "/status/conditions").to_vec();
    let mut new = new.clone();
    let at = conditions.iter().position(|old| old.get("type") == new.get("type"));
    let slot = at.and_then(|at| conditions.get_mut(at));
    let changed = match slot {
        Some(old) => {
            if old.get("status") == new.get("status") {
                tree::carry(old, &mut new, "/lastTransitionTime");
            }
            let changed = *old != new;
            *old = new;
            changed
        }
        None => {
            conditions.push(new);
            true
        }
    };
    tree::put(object, "/status/conditions", conditions);
    changed
}
