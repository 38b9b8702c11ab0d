//! The scheduler: a node for every pod, as far as selectors, anti-affinity and the pods on each node go.

use super::super::claims::{claim_of, is_class};
use super::super::events::Note;
use super::super::kind::Kind;
use super::super::managers::Actor;
use super::super::registry::Registry;
use super::super::selectors::selects;
use super::super::store::Store;
use super::super::tree::{entries, is_true, items, name, namespace, text};
use super::super::{clock, tree};
use super::{is_active, is_condition, set_condition};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const COMPONENT: &str = "default-scheduler";
const ZONE: &str = "/metadata/labels/topology.kubernetes.io~1zone";

/// The zones of the disks behind claims, by the claims' uids. A disk is made in the zone of the first node that a pod with
/// its claim gets, and stays there.
pub(in super::super) type Disks = BTreeMap<String, String>;

/// Gives every waiting pod a node, or the reason why there is none.
pub(super) fn run(registry: &mut Registry<'_>, disks: &mut Disks) {
    let waiting: Vec<Value> = registry
        .store
        .list(Kind::Pod, None)
        .filter(|pod| text(pod, "/spec/nodeName").is_none() && is_active(pod))
        .cloned()
        .collect();
    for pod in waiting {
        match unclaimed(registry.store, &pod).map_or_else(|| choose(registry, &pod, disks), Err) {
            Ok(node) => {
                place_disks(registry.store, &pod, &node, disks);
                bind(registry, pod, &node);
            }
            Err(why) => report(registry, pod, &why),
        }
    }
}

/// The claims of a pod that are there.
fn claims<'s>(store: &'s Store, pod: &'s Value) -> impl Iterator<Item = &'s Value> {
    let names = items(pod, "/spec/volumes").iter().filter_map(claim_of);
    names.filter_map(|name| store.get(Kind::PersistentVolumeClaim, namespace(pod), name))
}

/// Notes where the disks of a pod are made that has got its node.
fn place_disks(store: &Store, pod: &Value, node: &str, disks: &mut Disks) {
    let zone = store.get(Kind::Node, "", node).and_then(|node| text(node, ZONE));
    let Some(zone) = zone else { return };
    for claim in claims(store, pod) {
        disks.entry(tree::uid(claim).to_owned()).or_insert_with(|| zone.to_owned());
    }
    let known =
        |uid: &str| store.list(Kind::PersistentVolumeClaim, None).any(|claim| tree::uid(claim) == uid);
    disks.retain(|uid, _| known(uid));
}

/// Whether a node is where all disks of a pod are.
fn has_disks(store: &Store, pod: &Value, node: &Value, disks: &Disks) -> bool {
    let zone = text(node, ZONE);
    claims(store, pod).filter_map(|claim| disks.get(tree::uid(claim))).all(|own| Some(own.as_str()) == zone)
}

/// What a pod's claims lack, if anything: without volumes it gets no node.
fn unclaimed(store: &Store, pod: &Value) -> Option<String> {
    items(pod, "/spec/volumes").iter().filter_map(claim_of).find_map(|wanted| {
        let claim = store.get(Kind::PersistentVolumeClaim, namespace(pod), wanted);
        match claim {
            None => Some(format!("persistentvolumeclaim \"{wanted}\" not found")),
            Some(claim) if tree::is_deleting(claim) => {
                Some(format!("persistentvolumeclaim \"{wanted}\" is being deleted"))
            }
            Some(claim) if !text(claim, "/spec/storageClassName").is_some_and(is_class) => {
                let total = store.list(Kind::Node, None).count();
                Some(format!(
                    "0/{total} nodes are available: pod has unbound immediate PersistentVolumeClaims."
                ))
            }
            Some(_) => None,
        }
    })
}

fn terms<'v>(pod: &'v Value, kind: &str, strength: &str) -> &'v [Value] {
    items(pod, &format!("/spec/affinity/{kind}/{strength}DuringSchedulingIgnoredDuringExecution"))
}

/// Whether another pod stands against this term of a pod, on a node of the same topology.
fn collides(term: &Value, owner: &Value, other: &Value) -> bool {
    let namespaces = items(term, "/namespaces");
    let here = if namespaces.is_empty() {
        namespace(owner) == namespace(other)
    } else {
        namespaces.iter().any(|name| name == namespace(other))
    };
    here && term.get("labelSelector").is_some_and(|selector| selects(selector, other))
}

fn topology<'v>(node: &'v Value, term: &Value) -> Option<&'v str> {
    let key = text(term, "/topologyKey")?;
    text(node, &format!("/metadata/labels/{}", tree::escape(key)))
}

/// Pods that the scheduler has found no place for.
pub(in super::super) fn homeless(store: &Store) -> impl Iterator<Item = &Value> {
    store.list(Kind::Pod, None).filter(|pod| {
        let reason = super::condition(pod, "PodScheduled").and_then(|condition| text(condition, "/reason"));
        text(pod, "/spec/nodeName").is_none() && is_active(pod) && reason == Some("Unschedulable")
    })
}

/// Whether a pod would run on a node that is not there yet, beside the pods that are and those others.
pub(in super::super) fn would_run(
    store: &Store,
    pod: &Value,
    node: &Value,
    others: &[(&Value, &Value)],
    disks: &Disks,
) -> bool {
    let mut placed = placed(store);
    placed.extend_from_slice(others);
    unclaimed(store, pod).is_none()
        && refusal(pod, node, &placed).is_none()
        && has_disks(store, pod, node, disks)
}

/// The pods that have a node, with it.
fn placed(store: &Store) -> Vec<(&Value, &Value)> {
    let nodes: Vec<&Value> = store.list(Kind::Node, None).collect();
    store
        .list(Kind::Pod, None)
        .filter(|other| is_active(other) || tree::is_deleting(other))
        .filter_map(|other| {
            let node = nodes.iter().find(|node| Some(name(node)) == text(other, "/spec/nodeName"))?;
            Some((other, *node))
        })
        .collect()
}

/// The node for a pod, or a sentence that says why there is none.
fn choose(registry: &Registry<'_>, pod: &Value, disks: &Disks) -> Result<String, String> {
    let nodes: Vec<&Value> = registry.store.list(Kind::Node, None).collect();
    let placed = placed(registry.store);
    let mut refusals: BTreeMap<&str, usize> = BTreeMap::new();
    let mut best: Option<(i64, usize, String)> = None;
    for node in &nodes {
        let reason = refusal(pod, node, &placed);
        let away = !has_disks(registry.store, pod, node, disks);
        if let Some(reason) = reason.or(away.then_some("node(s) had volume node affinity conflict")) {
            *refusals.entry(reason).or_default() += 1;
            continue;
        }
        let penalty: i64 = terms(pod, "podAntiAffinity", "preferred")
            .iter()
            .filter_map(|weighted| {
                let term = weighted.get("podAffinityTerm")?;
                let near = placed.iter().filter(|(other, at)| {
                    topology(at, term) == topology(node, term) && collides(term, pod, other)
                });
                Some(near.count() as i64 * tree::int(weighted, "/weight").unwrap_or(1))
            })
            .sum();
        let load = placed.iter().filter(|(_, at)| name(at) == name(node)).count();
        let score = (penalty, load, name(node).to_owned());
        if best.as_ref().is_none_or(|best| score < *best) {
            best = Some(score);
        }
    }
    best.map(|(_, _, node)| node).ok_or_else(|| {
        let reasons: Vec<String> =
            refusals.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        let total = nodes.len();
        if reasons.is_empty() {
            "no nodes available to schedule pods".to_owned()
        } else {
            format!(
                "0/{total} nodes are available: {}. preemption: 0/{total} nodes are available: {total} No \
                     preemption victims found for incoming pod.",
                reasons.join(", ")
            )
        }
    })
}

/// Whether a pod's node selector and the node affinity that it requires match a node.
pub(super) fn is_meant_for(pod: &Value, node: &Value) -> bool {
    let label = |key: &str| text(node, &format!("/metadata/labels/{}", tree::escape(key)));
    if entries(pod, "/spec/nodeSelector").any(|(key, value)| label(key) != Some(value)) {
        return false;
    }
    let affinity = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution";
    let terms = items(pod, &format!("{affinity}/nodeSelectorTerms"));
    // The only field that can be matched is the name.
    let named = |field: &Value| items(field, "/values").iter().any(|value| value == name(node));
    let fits = |term: &Value| {
        selects(term, node)
            && items(term, "/matchFields")
                .iter()
                .all(|field| named(field) == (text(field, "/operator") == Some("In")))
    };
    terms.is_empty() || terms.iter().any(fits)
}

/// Whether a pod takes a node with this taint.
fn tolerates(pod: &Value, taint: &str) -> bool {
    items(pod, "/spec/tolerations").iter().any(|toleration| match text(toleration, "/key") {
        Some(key) => key == taint,
        None => text(toleration, "/operator") == Some("Exists"),
    })
}

/// Why a pod can't run on a node.
fn refusal(pod: &Value, node: &Value, placed: &[(&Value, &Value)]) -> Option<&'static str> {
    if is_true(node, "/spec/unschedulable") && !tolerates(pod, "node.kubernetes.io/unschedulable") {
        return Some("node(s) were unschedulable");
    }
    if !is_condition(node, "Ready") {
        return Some("node(s) had untolerated taint {node.kubernetes.io/not-ready: }");
    }
    if !is_meant_for(pod, node) {
        return Some("node(s) didn't match Pod's node affinity/selector");
    }
    let near =
        |term: &Value, at: &Value| topology(at, term).is_some() && topology(at, term) == topology(node, term);
    let own = terms(pod, "podAntiAffinity", "required");
    if own.iter().any(|term| placed.iter().any(|(other, at)| near(term, at) && collides(term, pod, other))) {
        return Some("node(s) didn't match pod anti-affinity rules");
    }
    let against = placed.iter().any(|(other, at)| {
        let theirs = terms(other, "podAntiAffinity", "required");
        theirs.iter().any(|term| near(term, at) && collides(term, other, pod))
    });
    if against {
        return Some("node(s) didn't satisfy existing pods anti-affinity rules");
    }
    let needed = terms(pod, "podAffinity", "required");
    let missing =
        |term: &&Value| !placed.iter().any(|(other, at)| near(term, at) && collides(term, pod, other));
    if needed
        .iter()
        .any(|term| missing(&term) && !selects(term.get("labelSelector").unwrap_or(&Value::Null), pod))
    {
        return Some("node(s) didn't match pod affinity rules");
    }
    None
}

fn bind(registry: &mut Registry<'_>, mut pod: Value, node: &str) {
    tree::put(&mut pod, "/spec/nodeName", node);
    let at = clock::seconds(registry.now);
    set_condition(
        &mut pod,
        &json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null,
        "lastTransitionTime": at}),
    );
    // A binding has no field manager.
    let pod = registry.store.put(Kind::Pod, pod, registry.now);
    let message = format!("Successfully assigned {}/{} to {node}", namespace(&pod), name(&pod));
    registry.note(Kind::Pod, &pod, &Note::normal(COMPONENT, "Scheduled", message));
}

fn report(registry: &mut Registry<'_>, mut pod: Value, why: &str) {
    let at = clock::seconds(registry.now);
    let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why,
        "lastProbeTime": null, "lastTransitionTime": at});
    if set_condition(&mut pod, &condition) {
        let pod = registry.commit(Kind::Pod, pod, &Actor::through("kube-scheduler", "status"));
        registry.note(Kind::Pod, &pod, &Note::warning(COMPONENT, "FailedScheduling", why));
    }
}
