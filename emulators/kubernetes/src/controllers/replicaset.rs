//! ReplicaSets and ReplicationControllers: as many pods as wanted.

use super::super::deletion::{self, DeleteOptions};
use super::super::events::Note;
use super::super::kind::Kind;
use super::super::managers::Actor;
use super::super::registry::{Registry, Write};
use super::super::tree::{int, name, namespace, text};
use super::super::{clock, tree};
use super::{Alarm, condition, controller_of, is_active, is_ready};
use crate::api::Time;
use serde_json::{Value, json};

/// One of both kinds, and who speaks for it in events.
const KINDS: [(Kind, &str); 2] =
    [(Kind::ReplicaSet, "replicaset-controller"), (Kind::ReplicationController, "replication-controller")];

/// Brings every set of replicas to its size.
pub(super) fn run(registry: &mut Registry<'_>, alarm: &mut Alarm) {
    for kind in KINDS {
        let all: Vec<Value> = registry.store.list(kind.0, None).cloned().collect();
        for set in &all {
            if !tree::is_deleting(set) {
                resize(registry, kind, set);
            }
            write_status(registry, kind.0, set, alarm);
        }
    }
}

fn pods(registry: &Registry<'_>, set: &Value) -> Vec<Value> {
    let own = registry.store.list(Kind::Pod, Some(namespace(set)));
    own.filter(|pod| controller_of(pod) == Some(tree::uid(set)) && is_active(pod)).cloned().collect()
}

fn resize(registry: &mut Registry<'_>, kind: (Kind, &'static str), set: &Value) {
    let mut own = pods(registry, set);
    let wanted = usize::try_from(int(set, "/spec/replicas").unwrap_or(1)).unwrap_or(0);
    for _ in own.len()..wanted {
        create_pod(registry, kind, set);
    }
    if own.len() > wanted {
        let nodes: Vec<String> =
            own.iter().filter_map(|pod| text(pod, "/spec/nodeName").map(str::to_owned)).collect();
        own.sort_by_key(|pod| rank(pod, &nodes));
        let excess = own.len() - wanted;
        for pod in own.iter().take(excess) {
            drop(deletion::delete(registry, Kind::Pod, namespace(pod), name(pod), &DeleteOptions::plain()));
            let message = format!("Deleted pod: {}", name(pod));
            registry.note(kind.0, set, &Note::normal(kind.1, "SuccessfulDelete", message));
        }
    }
}

/// What sorts pods into the order of their deletion.
type Rank =
    (bool, u8, bool, i64, std::cmp::Reverse<usize>, std::cmp::Reverse<Time>, std::cmp::Reverse<u64>, String);

/// The order of deletion: unassigned, pending, not ready, cheap, crowded, ready for a short time, young.
fn rank(pod: &Value, nodes: &[String]) -> Rank {
    let node = text(pod, "/spec/nodeName");
    let phase = match text(pod, "/status/phase") {
        Some("Running") => 2,
        Some("Pending") | None => 0,
        Some(_) => 1,
    };
    let cost = "/metadata/annotations/controller.kubernetes.io~1pod-deletion-cost";
    let cost = text(pod, cost).and_then(|text| text.parse().ok()).unwrap_or(0);
    let crowd = nodes.iter().filter(|other| Some(other.as_str()) == node).count();
    let born = text(pod, "/metadata/creationTimestamp").and_then(clock::parse).unwrap_or(0);
    (
        node.is_some(),
        phase,
        is_ready(pod),
        cost,
        std::cmp::Reverse(crowd),
        std::cmp::Reverse(ready_since(pod).unwrap_or(0)),
        std::cmp::Reverse(born),
        name(pod).to_owned(),
    )
}

/// Since when a pod is ready.
pub(super) fn ready_since(pod: &Value) -> Option<Time> {
    condition(pod, "Ready").and_then(|ready| text(ready, "/lastTransitionTime")).and_then(clock::parse)
}

fn create_pod(registry: &mut Registry<'_>, (kind, component): (Kind, &'static str), set: &Value) {
    let pod = from_template(kind, set);
    let note = match registry.create(Kind::Pod, pod, &Write::by(super::MANAGER)) {
        Ok(pod) => Note::normal(component, "SuccessfulCreate", format!("Created pod: {}", name(&pod))),
        Err(failure) => {
            let why = failure.status();
            let message = format!("Error creating: {}", text(&why, "/message").unwrap_or_default());
            Note::warning(component, "FailedCreate", message)
        }
    };
    registry.note(kind, set, &note);
}

/// A pod of a workload's template, owned by it.
pub(super) fn from_template(kind: Kind, owner: &Value) -> Value {
    let template = owner.pointer("/spec/template").cloned().unwrap_or_default();
    let mut metadata = json!({
        "generateName": format!("{}-", name(owner)), "namespace": namespace(owner),
        "ownerReferences": [{"apiVersion": kind.api_version(), "kind": kind.info().kind, "name": name(owner),
            "uid": tree::uid(owner), "controller": true, "blockOwnerDeletion": true}],
    });
    for key in ["labels", "annotations"] {
        if let Some(value) = template.pointer(&format!("/metadata/{key}")) {
            tree::put(&mut metadata, &format!("/{key}"), value.clone());
        }
    }
    json!({"metadata": metadata, "spec": template.get("spec")})
}

fn write_status(registry: &mut Registry<'_>, kind: Kind, set: &Value, alarm: &mut Alarm) {
    let own = pods(registry, set);
    let Some(mut set) = registry.store.get(kind, namespace(set), name(set)).cloned() else {
        return;
    };
    let hold = u64::try_from(int(&set, "/spec/minReadySeconds").unwrap_or(0)).unwrap_or(0) * 1000;
    let mut available = 0;
    for since in own.iter().filter(|pod| is_ready(pod)).filter_map(ready_since) {
        if since + hold <= registry.now {
            available += 1;
        } else {
            alarm.at(since + hold);
        }
    }
    let ready = own.iter().filter(|pod| is_ready(pod)).count();
    let counts =
        [("fullyLabeledReplicas", own.len()), ("readyReplicas", ready), ("availableReplicas", available)];
    for (key, count) in counts {
        let pointer = format!("/status/{key}");
        if count == 0 {
            tree::remove(&mut set, &pointer);
        } else {
            tree::put(&mut set, &pointer, count);
        }
    }
    tree::put(&mut set, "/status/replicas", own.len());
    let generation = int(&set, "/metadata/generation").unwrap_or(1);
    tree::put(&mut set, "/status/observedGeneration", generation);
    registry.commit(kind, set, &Actor::through(super::MANAGER, "status"));
}
