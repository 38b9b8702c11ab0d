//! StatefulSets: pods with names that stay, each with its claims.

use super::super::deletion::{self, DeleteOptions};
use super::super::events::Note;
use super::super::kind::Kind;
use super::super::managers::Actor;
use super::super::registry::{Registry, Write};
use super::super::selectors::selects;
use super::super::tree::{self, int, items, name, namespace, text};
use super::deployment::{template_hash, wanted};
use super::{controller_of, is_active, is_ready};
use serde_json::{Value, json};

const COMPONENT: &str = "statefulset-controller";
const REVISION: &str = "/metadata/labels/controller-revision-hash";

/// Brings every StatefulSet a step on.
pub(super) fn run(registry: &mut Registry<'_>) {
    let all: Vec<Value> = registry.store.list(Kind::StatefulSet, None).cloned().collect();
    for set in all {
        if !tree::is_deleting(&set) {
            adopt(registry, &set);
            let revision = revision(&set);
            if fill(registry, &set, &revision) && shrink(registry, &set) {
                roll(registry, &set, &revision);
            }
            retain(registry, &set);
        }
        write_status(registry, &set);
    }
}

/// The revision of the template as it is now.
fn revision(set: &Value) -> String {
    format!("{}-{}", name(set), template_hash(set.pointer("/spec/template").unwrap_or(&Value::Null)))
}

/// The number of a pod in a set, by its name.
fn ordinal(set: &Value, pod: &Value) -> Option<i64> {
    name(pod).strip_prefix(name(set))?.strip_prefix('-')?.parse().ok()
}

fn own(registry: &Registry<'_>, set: &Value) -> Vec<Value> {
    let all = registry.store.list(Kind::Pod, Some(namespace(set)));
    let mut own: Vec<Value> = all.filter(|pod| controller_of(pod) == Some(tree::uid(set))).cloned().collect();
    own.sort_by_key(|pod| ordinal(set, pod));
    own
}

fn is_ordered(set: &Value) -> bool {
    text(set, "/spec/podManagementPolicy") != Some("Parallel")
}

/// Takes on pods of the right name that nobody controls: an earlier set of this name has left them.
fn adopt(registry: &mut Registry<'_>, set: &Value) {
    let selector = set.pointer("/spec/selector").cloned().unwrap_or_default();
    let orphans: Vec<Value> = registry
        .store
        .list(Kind::Pod, Some(namespace(set)))
        .filter(|pod| controller_of(pod).is_none() && is_active(pod))
        .filter(|pod| ordinal(set, pod).is_some() && selects(&selector, pod))
        .cloned()
        .collect();
    for mut pod in orphans {
        tree::put(&mut pod, "/metadata/ownerReferences", json!([owner(set)]));
        registry.commit(Kind::Pod, pod, &Actor::new(super::MANAGER));
    }
}

fn owner(set: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name(set), "uid": tree::uid(set),
        "controller": true, "blockOwnerDeletion": true})
}

/// Makes the pods that are missing: all at once, or one when those before it are ready. Whether all are there.
fn fill(registry: &mut Registry<'_>, set: &Value, revision: &str) -> bool {
    for number in 0..wanted(set) {
        let pod_name = format!("{}-{number}", name(set));
        let pod = registry.store.get(Kind::Pod, namespace(set), &pod_name).cloned();
        match pod {
            None => create(registry, set, number, revision),
            // It ended, or somebody deletes it: its name is free once it is gone.
            Some(pod) if !is_active(&pod) => {
                if !tree::is_deleting(&pod) {
                    remove(registry, set, &pod);
                }
                if is_ordered(set) {
                    return false;
                }
            }
            Some(pod) if is_ordered(set) && !is_ready(&pod) => return false,
            Some(_) => {}
        }
        if is_ordered(set)
            && registry.store.get(Kind::Pod, namespace(set), &pod_name).is_none_or(|p| !is_ready(p))
        {
            return false;
        }
    }
    true
}

/// Removes the pods beyond the size: all at once, or the last one when the one after it is gone. Whether none is left.
fn shrink(registry: &mut Registry<'_>, set: &Value) -> bool {
    let beyond: Vec<Value> = own(registry, set)
        .into_iter()
        .filter(|pod| ordinal(set, pod).is_none_or(|number| number >= wanted(set)))
        .collect();
    let at_once = if is_ordered(set) { 1 } else { beyond.len() };
    for pod in beyond.iter().rev().take(at_once) {
        if is_active(pod) {
            remove(registry, set, pod);
        }
    }
    beyond.is_empty() || !is_ordered(set)
}

/// Replaces one pod of an older template, the highest number first, when all that follow it are ready.
fn roll(registry: &mut Registry<'_>, set: &Value, revision: &str) {
    if text(set, "/spec/updateStrategy/type") == Some("OnDelete") {
        return;
    }
    let first = int(set, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    let pods = own(registry, set);
    for pod in pods.iter().rev().filter(|pod| ordinal(set, pod).is_some_and(|number| number >= first)) {
        if tree::is_deleting(pod) {
            return;
        }
        if text(pod, REVISION) != Some(revision) {
            return remove(registry, set, pod);
        }
        if !is_ready(pod) {
            return;
        }
    }
}

fn remove(registry: &mut Registry<'_>, set: &Value, pod: &Value) {
    drop(deletion::delete(registry, Kind::Pod, namespace(pod), name(pod), &DeleteOptions::plain()));
    let message = format!("delete Pod {0} in StatefulSet {1} successful", name(pod), name(set));
    registry.note(Kind::StatefulSet, set, &Note::normal(COMPONENT, "SuccessfulDelete", message));
}

/// Names of the claims of a pod, by the template of each.
fn claims(set: &Value, number: i64) -> impl Iterator<Item = (&Value, String)> {
    let templates = items(set, "/spec/volumeClaimTemplates").iter();
    templates.map(move |template| (template, format!("{}-{}-{number}", name(template), name(set))))
}

fn create(registry: &mut Registry<'_>, set: &Value, number: i64, revision: &str) {
    for (template, claim_name) in claims(set, number) {
        if registry.store.get(Kind::PersistentVolumeClaim, namespace(set), &claim_name).is_none() {
            let mut claim = json!({"metadata": {"name": claim_name, "namespace": namespace(set)},
                "spec": template.get("spec")});
            let labels = [template.pointer("/metadata/labels"), set.pointer("/spec/selector/matchLabels")];
            for (key, value) in labels.into_iter().flatten().filter_map(Value::as_object).flatten() {
                tree::put(&mut claim, &format!("/metadata/labels/{}", tree::escape(key)), value.clone());
            }
            drop(registry.create(Kind::PersistentVolumeClaim, claim, &Write::by(super::MANAGER)));
        }
    }
    let pod = pod(set, number, revision);
    let note = match registry.create(Kind::Pod, pod, &Write::by(super::MANAGER)) {
        Ok(pod) => {
            let message = format!("create Pod {0} in StatefulSet {1} successful", name(&pod), name(set));
            Note::normal(COMPONENT, "SuccessfulCreate", message)
        }
        Err(failure) => {
            let why = failure.status();
            let why = text(&why, "/message").unwrap_or_default();
            let pod = format!("{}-{number}", name(set));
            let message = format!("create Pod {pod} in StatefulSet {} failed error: {why}", name(set));
            Note::warning(COMPONENT, "FailedCreate", message)
        }
    };
    registry.note(Kind::StatefulSet, set, &note);
}

fn pod(set: &Value, number: i64, revision: &str) -> Value {
    let template = set.pointer("/spec/template").cloned().unwrap_or_default();
    let pod_name = format!("{}-{number}", name(set));
    let mut metadata = json!({"name": pod_name, "generateName": format!("{}-", name(set)), "namespace": namespace(set),
            "ownerReferences": [owner(set)]});
    for key in ["labels", "annotations"] {
        if let Some(value) = template.pointer(&format!("/metadata/{key}")) {
            tree::put(&mut metadata, &format!("/{key}"), value.clone());
        }
    }
    for (key, value) in [
        ("statefulset.kubernetes.io~1pod-name", pod_name.as_str()),
        ("apps.kubernetes.io~1pod-index", &number.to_string()),
        ("controller-revision-hash", revision),
    ] {
        tree::put(&mut metadata, &format!("/labels/{key}"), value);
    }
    let mut pod = json!({"metadata": metadata, "spec": template.get("spec")});
    tree::put(&mut pod, "/spec/hostname", pod_name);
    tree::put(&mut pod, "/spec/subdomain", text(set, "/spec/serviceName").unwrap_or_default());
    let claimed: Vec<Value> = claims(set, number)
        .map(|(template, claim)| json!({"name": name(template), "persistentVolumeClaim": {"claimName": claim}}))
        .collect();
    let mut volumes: Vec<Value> = items(&pod, "/spec/volumes").to_vec();
    volumes.retain(|volume| claimed.iter().all(|claim| claim.get("name") != volume.get("name")));
    volumes.extend(claimed);
    tree::put(&mut pod, "/spec/volumes", volumes);
    pod
}

/// Claims follow their pods where the set says so: those beyond the size when the pod is gone, all with the set itself.
fn retain(registry: &mut Registry<'_>, set: &Value) {
    let policy = |when: &str| {
        text(set, &format!("/spec/persistentVolumeClaimRetentionPolicy/{when}")) == Some("Delete")
    };
    let (scaled, deleted) = (policy("whenScaled"), policy("whenDeleted"));
    if !scaled && !deleted {
        return;
    }
    let all: Vec<Value> =
        registry.store.list(Kind::PersistentVolumeClaim, Some(namespace(set))).cloned().collect();
    for template in items(set, "/spec/volumeClaimTemplates") {
        let prefix = format!("{}-{}-", name(template), name(set));
        for claim in &all {
            let Some(number) = name(claim).strip_prefix(&prefix).and_then(|text| text.parse::<i64>().ok())
            else {
                continue;
            };
            let pod = format!("{}-{number}", name(set));
            let unused = registry.store.get(Kind::Pod, namespace(set), &pod).is_none();
            if scaled && number >= wanted(set) && unused && !tree::is_deleting(claim) {
                let options = DeleteOptions::plain();
                let kind = Kind::PersistentVolumeClaim;
                drop(deletion::delete(registry, kind, namespace(claim), name(claim), &options));
            } else if deleted && claim.pointer("/metadata/ownerReferences").is_none() {
                let mut claim = claim.clone();
                let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name(set),
                    "uid": tree::uid(set)});
                tree::put(&mut claim, "/metadata/ownerReferences", json!([owner]));
                registry.commit(Kind::PersistentVolumeClaim, claim, &Actor::new(super::MANAGER));
            }
        }
    }
}

fn write_status(registry: &mut Registry<'_>, set: &Value) {
    let Some(mut set) = registry.store.get(Kind::StatefulSet, namespace(set), name(set)).cloned() else {
        return;
    };
    let pods = own(registry, &set);
    let revision = revision(&set);
    let count = |holds: &dyn Fn(&Value) -> bool| pods.iter().filter(|pod| holds(pod)).count();
    let ready = count(&|pod| is_ready(pod));
    let new = count(&|pod| text(pod, REVISION) == Some(&revision) && is_active(pod));
    let current = text(&set, "/status/currentRevision").unwrap_or(&revision).to_owned();
    // Where others delete the pods, the controller keeps what it called current at first.
    let rolls = text(&set, "/spec/updateStrategy/type") != Some("OnDelete");
    let rolled = rolls && new == pods.len() && ready == pods.len();
    let current = if rolled { revision.clone() } else { current };
    let old = count(&|pod| text(pod, REVISION) == Some(&current) && is_active(pod));
    for (key, count) in [("readyReplicas", ready), ("currentReplicas", old), ("updatedReplicas", new)] {
        let pointer = format!("/status/{key}");
        if count == 0 {
            tree::remove(&mut set, &pointer);
        } else {
            tree::put(&mut set, &pointer, count);
        }
    }
    tree::put(&mut set, "/status/replicas", pods.len());
    tree::put(&mut set, "/status/availableReplicas", ready);
    tree::put(&mut set, "/status/currentRevision", current);
    tree::put(&mut set, "/status/updateRevision", revision);
    tree::put(&mut set, "/status/collisionCount", 0);
    let generation = int(&set, "/metadata/generation").unwrap_or(1);
    tree::put(&mut set, "/status/observedGeneration", generation);
    registry.commit(Kind::StatefulSet, set, &Actor::through(super::MANAGER, "status"));
}
