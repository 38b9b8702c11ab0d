//! DaemonSets: a pod on every node that they are meant for.

use super::super::deletion::{self, DeleteOptions};
use super::super::events::Note;
use super::super::kind::Kind;
use super::super::managers::Actor;
use super::super::registry::{Registry, Write};
use super::super::tree::{self, int, items, name, namespace, text};
use super::deployment::template_hash;
use super::{Alarm, controller_of, is_active, is_ready, replicaset, scaled, scheduler};
use serde_json::{Value, json};

const COMPONENT: &str = "daemonset-controller";
const REVISION: &str = "/metadata/labels/controller-revision-hash";
const AFFINITY: &str = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution";

/// Taints that the pods of every DaemonSet tolerate (`AddOrUpdateDaemonPodTolerations` of Kubernetes).
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// Whether a DaemonSet controls a pod.
pub(super) fn is_daemon(pod: &Value) -> bool {
    let controls =
        |owner: &Value| tree::is_true(owner, "/controller") && text(owner, "/kind") == Some("DaemonSet");
    items(pod, "/metadata/ownerReferences").iter().any(controls)
}

/// Brings every DaemonSet a step on.
pub(super) fn run(registry: &mut Registry<'_>, alarm: &mut Alarm) {
    let all: Vec<Value> = registry.store.list(Kind::DaemonSet, None).cloned().collect();
    for set in all {
        if !tree::is_deleting(&set) {
            place(registry, &set);
            roll(registry, &set, alarm);
        }
        write_status(registry, &set, alarm);
    }
}

/// The node that a pod of a DaemonSet is for, on it or not yet.
fn node_of(pod: &Value) -> Option<&str> {
    let meant = || text(pod, &format!("{AFFINITY}/nodeSelectorTerms/0/matchFields/0/values/0"));
    text(pod, "/spec/nodeName").or_else(meant)
}

fn own(registry: &Registry<'_>, set: &Value) -> Vec<Value> {
    let all = registry.store.list(Kind::Pod, Some(namespace(set)));
    all.filter(|pod| controller_of(pod) == Some(tree::uid(set))).cloned().collect()
}

/// Names of the nodes that a set is meant for.
fn nodes(registry: &Registry<'_>, set: &Value) -> Vec<String> {
    let template = set.pointer("/spec/template").unwrap_or(&Value::Null);
    let nodes = registry.store.list(Kind::Node, None);
    nodes.filter(|node| scheduler::is_meant_for(template, node)).map(|node| name(node).to_owned()).collect()
}

fn revision(set: &Value) -> String {
    template_hash(set.pointer("/spec/template").unwrap_or(&Value::Null))
}

/// Makes the pods that are missing, and removes those on nodes that the set is not meant for, and those that ended.
fn place(registry: &mut Registry<'_>, set: &Value) {
    let (pods, nodes) = (own(registry, set), nodes(registry, set));
    for pod in pods.iter().filter(|pod| !tree::is_deleting(pod)) {
        let wanted = node_of(pod).is_some_and(|node| nodes.iter().any(|known| known == node));
        if !wanted || !is_active(pod) {
            remove(registry, set, pod);
        }
    }
    for node in &nodes {
        // The one before is to be gone first.
        if !pods.iter().any(|pod| node_of(pod) == Some(node)) {
            create(registry, set, node);
        }
    }
}

fn create(registry: &mut Registry<'_>, set: &Value, node: &str) {
    let mut pod = replicaset::from_template(Kind::DaemonSet, set);
    tree::put(&mut pod, REVISION, revision(set));
    tree::put(&mut pod, "/metadata/labels/pod-template-generation", "1");
    let field = json!({"key": "metadata.name", "operator": "In", "values": [node]});
    let terms = items(&pod, &format!("{AFFINITY}/nodeSelectorTerms")).to_vec();
    let terms = if terms.is_empty() { vec![json!({})] } else { terms };
    let terms: Vec<Value> = terms
        .into_iter()
        .map(|mut term| {
            tree::put(&mut term, "/matchFields", json!([field]));
            term
        })
        .collect();
    tree::put(&mut pod, &format!("{AFFINITY}/nodeSelectorTerms"), terms);
    let mut tolerations = items(&pod, "/spec/tolerations").to_vec();
    tolerations
        .extend(TOLERATED.map(|(key, effect)| json!({"key": key, "operator": "Exists", "effect": effect})));
    tree::put(&mut pod, "/spec/tolerations", tolerations);
    let note = match registry.create(Kind::Pod, pod, &Write::by(super::MANAGER)) {
        Ok(pod) => Note::normal(COMPONENT, "SuccessfulCreate", format!("Created pod: {}", name(&pod))),
        Err(failure) => {
            let why = failure.status();
            let message = format!("Error creating: {}", text(&why, "/message").unwrap_or_default());
            Note::warning(COMPONENT, "FailedCreate", message)
        }
    };
    registry.note(Kind::DaemonSet, set, &note);
}

fn remove(registry: &mut Registry<'_>, set: &Value, pod: &Value) {
    drop(deletion::delete(registry, Kind::Pod, namespace(pod), name(pod), &DeleteOptions::plain()));
    let message = format!("Deleted pod: {}", name(pod));
    registry.note(Kind::DaemonSet, set, &Note::normal(COMPONENT, "SuccessfulDelete", message));
}

/// Whether a pod has been ready for as long as the set asks.
fn is_available(pod: &Value, set: &Value, now: u64, alarm: &mut Alarm) -> bool {
    let hold = u64::try_from(int(set, "/spec/minReadySeconds").unwrap_or(0)).unwrap_or(0) * 1000;
    let until = replicaset::ready_since(pod).unwrap_or(0) + hold;
    if is_ready(pod) && until > now {
        alarm.at(until);
    }
    is_ready(pod) && until <= now
}

/// Replaces pods of an older template, as many at a time as may be away. A set that surges replaces as many without
/// having the new ones up first.
fn roll(registry: &mut Registry<'_>, set: &Value, alarm: &mut Alarm) {
    if text(set, "/spec/updateStrategy/type") == Some("OnDelete") {
        return;
    }
    let (pods, nodes) = (own(registry, set), nodes(registry, set));
    let total = i64::try_from(nodes.len()).unwrap_or(0);
    let rolling = |key: &str| set.pointer(&format!("/spec/updateStrategy/rollingUpdate/{key}"));
    let most = scaled(rolling("maxUnavailable"), total, true).max(scaled(rolling("maxSurge"), total, true));
    let (available, away): (Vec<&Value>, Vec<&Value>) =
        pods.iter().filter(|pod| is_active(pod)).partition(|pod| is_available(pod, set, registry.now, alarm));
    let present = i64::try_from(available.len()).unwrap_or(0);
    let spare = usize::try_from(most - (total - present)).unwrap_or(0);
    let revision = revision(set);
    let old = |pod: &&&Value| text(pod, REVISION) != Some(&revision);
    for pod in away.iter().filter(old).chain(available.iter().filter(old).take(spare)) {
        remove(registry, set, pod);
    }
}

fn write_status(registry: &mut Registry<'_>, set: &Value, alarm: &mut Alarm) {
    let (pods, nodes) = (own(registry, set), nodes(registry, set));
    let Some(mut set) = registry.store.get(Kind::DaemonSet, namespace(set), name(set)).cloned() else {
        return;
    };
    let revision = revision(&set);
    let placed = |pod: &&Value| {
        text(pod, "/spec/nodeName").is_some_and(|node| nodes.iter().any(|known| known == node))
    };
    let here: Vec<&Value> = pods.iter().filter(|pod| is_active(pod)).filter(placed).collect();
    let stray =
        pods.iter().filter(|pod| is_active(pod) && !placed(pod) && text(pod, "/spec/nodeName").is_some());
    let available = here.iter().filter(|pod| is_available(pod, &set, registry.now, alarm)).count();
    let updated = here.iter().filter(|pod| text(pod, REVISION) == Some(&revision)).count();
    for (key, count) in [
        ("currentNumberScheduled", here.len()),
        ("desiredNumberScheduled", nodes.len()),
        ("numberMisscheduled", stray.count()),
        ("numberReady", here.iter().filter(|pod| is_ready(pod)).count()),
    ] {
        tree::put(&mut set, &format!("/status/{key}"), count);
    }
    for (key, count) in [
        ("numberAvailable", available),
        ("numberUnavailable", nodes.len().saturating_sub(available)),
        ("updatedNumberScheduled", updated),
    ] {
        let pointer = format!("/status/{key}");
        if count == 0 {
            tree::remove(&mut set, &pointer);
        } else {
            tree::put(&mut set, &pointer, count);
        }
    }
    let generation = int(&set, "/metadata/generation").unwrap_or(1);
    tree::put(&mut set, "/status/observedGeneration", generation);
    registry.commit(Kind::DaemonSet, set, &Actor::through(super::MANAGER, "status"));
}
