//! Deployments: one ReplicaSet for each revision of the template, and their status.

use super::super::events::Note;
use super::super::kind::Kind;
use super::super::managers::Actor;
use super::super::registry::{Registry, Write};
use super::super::tree::{int, is_true, name, namespace, text};
use super::super::{clock, deletion, tree};
use super::{Alarm, condition, controller_of, rollout, set_condition};
use crate::api::Time;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Who speaks in events.
pub(super) const COMPONENT: &str = "deployment-controller";
const HASH: &str = "/metadata/labels/pod-template-hash";
const REVISION: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";

/// Brings every Deployment a step on.
pub(super) fn run(registry: &mut Registry<'_>, alarm: &mut Alarm) {
    let all: Vec<Value> = registry.store.list(Kind::Deployment, None).cloned().collect();
    for deployment in all {
        reconcile(registry, deployment, alarm);
    }
}

/// Replicas that the spec asks for.
pub(super) fn wanted(object: &Value) -> i64 {
    int(object, "/spec/replicas").unwrap_or(1)
}

/// ReplicaSets of a Deployment, oldest first.
fn replica_sets(registry: &Registry<'_>, deployment: &Value) -> Vec<Value> {
    let own = registry.store.list(Kind::ReplicaSet, Some(namespace(deployment)));
    let mut own: Vec<Value> =
        own.filter(|set| controller_of(set) == Some(tree::uid(deployment))).cloned().collect();
    own.sort_by_key(|set| (revision(set), name(set).to_owned()));
    own
}

fn revision(set: &Value) -> i64 {
    text(set, REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn reconcile(registry: &mut Registry<'_>, deployment: Value, alarm: &mut Alarm) {
    if tree::is_deleting(&deployment) {
        return;
    }
    let mut deployment = deployment;
    let template = deployment.pointer("/spec/template").cloned().unwrap_or_default();
    let mut sets = replica_sets(registry, &deployment);
    let mut current = sets.iter().position(|set| same_template(set, &template));
    let paused = is_true(&deployment, "/spec/paused");
    let mut created = false;
    if current.is_none() && !paused {
        let next = sets.iter().map(revision).max().unwrap_or(0) + 1;
        if let Some(set) = create_set(registry, &deployment, &template, next) {
            sets.push(set);
            current = Some(sets.len() - 1);
            created = true;
        }
    } else if let Some(set) = current.and_then(|at| sets.get_mut(at)) {
        *set = promote(registry, set, &deployment);
    }
    let (new, old) = split(sets, current);
    rollout::step(registry, &deployment, new.as_ref(), &old, paused);
    forget_old(registry, &deployment, &old);
    let sets = replica_sets(registry, &deployment);
    let current = sets.iter().position(|set| same_template(set, &template));
    let (new, old) = split(sets, current);
    write_status(registry, &mut deployment, new.as_ref(), &old, created, alarm);
}

fn split(mut sets: Vec<Value>, current: Option<usize>) -> (Option<Value>, Vec<Value>) {
    let new = current.filter(|at| *at < sets.len()).map(|at| sets.remove(at));
    (new, sets)
}

fn same_template(set: &Value, template: &Value) -> bool {
    let mut own = set.pointer("/spec/template").cloned().unwrap_or_default();
    tree::remove(&mut own, HASH);
    own == *template
}

/// The hash of a template, in the letters that Kubernetes uses.
pub(super) fn template_hash(template: &Value) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let digest = Sha256::digest(template.to_string());
    let number = digest.iter().take(4).fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
    let letter = |digit: u8| LETTERS.get(usize::from(digit) % LETTERS.len()).copied().map_or('b', char::from);
    number.to_string().bytes().map(letter).collect()
}

fn create_set(
    registry: &mut Registry<'_>,
    deployment: &Value,
    template: &Value,
    revision: i64,
) -> Option<Value> {
    let hash = template_hash(template);
    let mut template = template.clone();
    tree::put(&mut template, HASH, hash.as_str());
    let mut selector = deployment.pointer("/spec/selector").cloned().unwrap_or_default();
    tree::put(&mut selector, "/matchLabels/pod-template-hash", hash.as_str());
    let labels = template.pointer("/metadata/labels").cloned();
    let mut set = json!({
        "metadata": {"name": format!("{}-{hash}", name(deployment)), "namespace": namespace(deployment),
            "labels": labels, "annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": name(deployment),
                "uid": tree::uid(deployment), "controller": true, "blockOwnerDeletion": true}]},
        "spec": {"replicas": 0, "selector": selector, "template": template},
    });
    if let Some(seconds) = int(deployment, "/spec/minReadySeconds") {
        tree::put(&mut set, "/spec/minReadySeconds", seconds);
    }
    registry.create(Kind::ReplicaSet, set, &Write::by(super::MANAGER)).ok()
}

/// Makes a ReplicaSet the latest revision, as a rollback does.
fn promote(registry: &mut Registry<'_>, set: &Value, deployment: &Value) -> Value {
    let newest = replica_sets(registry, deployment).iter().map(revision).max().unwrap_or(0);
    if revision(set) == newest {
        return set.clone();
    }
    let mut set = set.clone();
    tree::put(&mut set, REVISION, (newest + 1).to_string());
    registry.commit(Kind::ReplicaSet, set, &Actor::new(super::MANAGER))
}

/// Sets the size of a ReplicaSet and says so.
pub(super) fn scale(registry: &mut Registry<'_>, deployment: &Value, set: &Value, replicas: i64) {
    let before = wanted(set);
    if before == replicas {
        return;
    }
    let mut set = set.clone();
    tree::put(&mut set, "/spec/replicas", replicas);
    let (surge, _) = rollout::budget(deployment);
    let annotation = |key: &str| format!("/metadata/annotations/deployment.kubernetes.io~1{key}");
    tree::put(&mut set, &annotation("desired-replicas"), wanted(deployment).to_string());
    tree::put(&mut set, &annotation("max-replicas"), (wanted(deployment) + surge).to_string());
    let up = if replicas > before { "up" } else { "down" };
    let message = format!("Scaled {up} replica set {} from {before} to {replicas}", name(&set));
    registry.commit(Kind::ReplicaSet, set, &Actor::new(super::MANAGER));
    registry.note(Kind::Deployment, deployment, &Note::normal(COMPONENT, "ScalingReplicaSet", message));
}

/// Deletes the oldest ReplicaSets beyond the history limit.
fn forget_old(registry: &mut Registry<'_>, deployment: &Value, old: &[Value]) {
    let limit = int(deployment, "/spec/revisionHistoryLimit").unwrap_or(10);
    let idle: Vec<&Value> = old
        .iter()
        .filter(|set| {
            wanted(set) == 0 && int(set, "/status/replicas").unwrap_or(0) == 0 && !tree::is_deleting(set)
        })
        .collect();
    let excess = idle.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
    for set in idle.into_iter().take(excess) {
        let options = deletion::DeleteOptions::plain();
        drop(deletion::delete(registry, Kind::ReplicaSet, namespace(set), name(set), &options));
    }
}

fn sum(sets: &[&Value], pointer: &str) -> i64 {
    sets.iter().filter_map(|set| int(set, pointer)).sum()
}

fn write_status(
    registry: &mut Registry<'_>,
    deployment: &mut Value,
    new: Option<&Value>,
    old: &[Value],
    created: bool,
    alarm: &mut Alarm,
) {
    let before = deployment.clone();
    let all: Vec<&Value> = new.into_iter().chain(old).collect();
    let total = sum(&all, "/status/replicas");
    let available = sum(&all, "/status/availableReplicas");
    let updated = new.and_then(|set| int(set, "/status/replicas")).unwrap_or(0);
    let counts = [
        ("replicas", total),
        ("updatedReplicas", updated),
        ("readyReplicas", sum(&all, "/status/readyReplicas")),
        ("availableReplicas", available),
        ("unavailableReplicas", (wanted(deployment).max(total) - available).max(0)),
    ];
    for (key, count) in counts {
        let pointer = format!("/status/{key}");
        if count == 0 {
            tree::remove(deployment, &pointer);
        } else {
            tree::put(deployment, &pointer, count);
        }
    }
    let generation = int(deployment, "/metadata/generation").unwrap_or(1);
    tree::put(deployment, "/status/observedGeneration", generation);
    if let Some(revision) = new.and_then(|set| text(set, REVISION)) {
        tree::put(deployment, REVISION, revision);
    }
    let now = registry.now;
    let (_, unavailable) = rollout::budget(deployment);
    let enough = available >= wanted(deployment) - unavailable;
    let (status, reason, message) = if enough {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    write_condition(deployment, "Available", (status, reason, message), now, false);
    progress(deployment, &before, new, created, now, alarm);
    if *deployment != before {
        registry.commit(Kind::Deployment, deployment.clone(), &Actor::through(super::MANAGER, "status"));
    }
}

fn write_condition(
    deployment: &mut Value,
    ty: &str,
    (status, reason, message): (&str, &str, &str),
    now: Time,
    touch: bool,
) {
    let at = clock::seconds(now);
    let old = condition(deployment, ty);
    let same =
        old.is_some_and(|old| text(old, "/status") == Some(status) && text(old, "/reason") == Some(reason));
    let updated =
        old.and_then(|old| text(old, "/lastUpdateTime")).filter(|_| same && !touch).unwrap_or(&at).to_owned();
    let new = json!({"type": ty, "status": status, "reason": reason, "message": message,
        "lastUpdateTime": updated, "lastTransitionTime": at});
    set_condition(deployment, &new);
}

/// Says that it is paused, or goes on: nothing of it is timed meanwhile.
fn is_paused(deployment: &mut Value, now: Time) -> bool {
    let paused = is_true(deployment, "/spec/paused");
    let reason = condition(deployment, "Progressing").and_then(|old| text(old, "/reason"));
    let says = match (paused, reason) {
        (_, Some("ProgressDeadlineExceeded")) | (true, Some("DeploymentPaused")) => None,
        (true, _) => Some(("Unknown", "DeploymentPaused", "Deployment is paused")),
        (false, Some("DeploymentPaused")) => Some(("Unknown", "DeploymentResumed", "Deployment is resumed")),
        (false, _) => None,
    };
    if let Some(says) = says {
        write_condition(deployment, "Progressing", says, now, true);
    }
    paused
}

fn progress(
    deployment: &mut Value,
    before: &Value,
    new: Option<&Value>,
    created: bool,
    now: Time,
    alarm: &mut Alarm,
) {
    if is_paused(deployment, now) {
        return;
    }
    let Some(set) = new.map(name) else { return };
    let count = |object: &Value, key: &str| int(object, &format!("/status/{key}")).unwrap_or(0);
    let replicas = wanted(deployment);
    let complete = ["replicas", "updatedReplicas", "availableReplicas"]
        .iter()
        .all(|key| count(deployment, key) == replicas);
    let grown = |key: &str| count(deployment, key) > count(before, key);
    let old_pods = |object: &Value| count(object, "replicas") - count(object, "updatedReplicas");
    let moved = grown("updatedReplicas")
        || grown("readyReplicas")
        || grown("availableReplicas")
        || old_pods(deployment) < old_pods(before);
    let reason = condition(deployment, "Progressing").and_then(|old| text(old, "/reason")).map(str::to_owned);
    if complete {
        let message = format!("ReplicaSet \"{set}\" has successfully progressed.");
        let touch = reason.as_deref() != Some("NewReplicaSetAvailable");
        write_condition(deployment, "Progressing", ("True", "NewReplicaSetAvailable", &message), now, touch);
    } else if created {
        let message = format!("Created new replica set \"{set}\"");
        write_condition(deployment, "Progressing", ("True", "NewReplicaSetCreated", &message), now, true);
    } else if moved || (reason.as_deref() != Some("NewReplicaSetAvailable") && reason.is_none()) {
        let message = format!("ReplicaSet \"{set}\" is progressing.");
        write_condition(deployment, "Progressing", ("True", "ReplicaSetUpdated", &message), now, true);
    }
    // A rollout that once completed is not timed again until something progresses.
    let waiting = matches!(
        condition(deployment, "Progressing").and_then(|old| text(old, "/reason")),
        Some("ReplicaSetUpdated" | "NewReplicaSetCreated" | "FoundNewReplicaSet" | "DeploymentResumed")
    );
    if complete || !waiting {
        return;
    }
    let seconds = int(deployment, "/spec/progressDeadlineSeconds").unwrap_or(600);
    let since = condition(deployment, "Progressing")
        .and_then(|old| text(old, "/lastUpdateTime"))
        .and_then(clock::parse);
    let deadline = since.unwrap_or(now) + u64::try_from(seconds).unwrap_or(600) * 1000 + 1000;
    if now >= deadline {
        let message = format!("ReplicaSet \"{set}\" has timed out progressing.");
        write_condition(
            deployment,
            "Progressing",
            ("False", "ProgressDeadlineExceeded", &message),
            now,
            true,
        );
    } else {
        alarm.at(deadline);
    }
}
