//! Disruption budgets: how many pods may be evicted now.

use super::super::kind::Kind;
use super::super::managers::Actor;
use super::super::registry::Registry;
use super::super::selectors::selects;
use super::super::tree::{entries, int, name, namespace};
use super::super::{clock, tree};
use super::{Alarm, controller_of, is_active, is_ready, scaled, set_condition};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Milliseconds after which an eviction that led to nothing is forgotten.
const FORGET: u64 = 120_000;

/// Counts every budget anew.
pub(super) fn run(registry: &mut Registry<'_>, alarm: &mut Alarm) {
    let budgets: Vec<Value> = registry.store.list(Kind::PodDisruptionBudget, None).cloned().collect();
    for budget in budgets {
        count(registry, budget, alarm);
    }
}

/// Kinds of controllers that have a scale.
const SCALED: [Kind; 3] = [Kind::ReplicaSet, Kind::StatefulSet, Kind::ReplicationController];

/// Replicas that the controllers of these pods want: of Deployments through their ReplicaSets. Pods without a controller
/// do not count.
///
/// # Errors
/// What a budget's condition says where a controller has no scale.
fn expected(registry: &Registry<'_>, pods: &[Value]) -> Result<i64, String> {
    let mut owners: BTreeSet<&str> = BTreeSet::new();
    let mut total = 0;
    let find =
        |kind: Kind, uid: &str| registry.store.list(kind, None).find(|object| tree::uid(object) == uid);
    for uid in pods.iter().filter_map(controller_of) {
        let Some(set) = SCALED.into_iter().find_map(|kind| find(kind, uid)) else {
            let other = [Kind::DaemonSet, Kind::Job].into_iter().find(|kind| find(*kind, uid).is_some());
            match other {
                Some(kind) => {
                    return Err(format!("{} does not implement the scale subresource", kind.qualified()));
                }
                None => continue,
            }
        };
        let owner = controller_of(set).and_then(|uid| find(Kind::Deployment, uid)).unwrap_or(set);
        if owners.insert(tree::uid(owner)) {
            total += int(owner, "/spec/replicas").unwrap_or(1);
        }
    }
    Ok(total)
}

/// A budget that cannot be worked out allows no eviction, as in `failSafe` of Kubernetes' disruption controller.
fn give_up(registry: &mut Registry<'_>, mut budget: Value, why: &str) {
    let generation = int(&budget, "/metadata/generation").unwrap_or(1);
    tree::put(&mut budget, "/status/disruptionsAllowed", 0);
    set_condition(
        &mut budget,
        &json!({"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": why,
            "observedGeneration": generation, "lastTransitionTime": clock::seconds(registry.now)}),
    );
    registry.commit(Kind::PodDisruptionBudget, budget, &Actor::through(super::MANAGER, "status"));
}

fn count(registry: &mut Registry<'_>, mut budget: Value, alarm: &mut Alarm) {
    let selector = budget.pointer("/spec/selector").cloned().unwrap_or_default();
    let pods: Vec<Value> = registry
        .store
        .list(Kind::Pod, Some(namespace(&budget)))
        .filter(|pod| !selector.is_null() && selects(&selector, pod) && is_active(pod))
        .cloned()
        .collect();
    let disrupted: Map<String, Value> = entries(&budget, "/status/disruptedPods")
        .filter(|(pod, at)| {
            let until = clock::parse(at).unwrap_or(0) + FORGET;
            let there = pods.iter().any(|known| name(known) == *pod);
            if there && until > registry.now {
                alarm.at(until);
            }
            there && until > registry.now
        })
        .map(|(pod, at)| (pod.to_owned(), json!(at)))
        .collect();
    let healthy = pods.iter().filter(|pod| is_ready(pod) && !disrupted.contains_key(name(pod))).count();
    let healthy = i64::try_from(healthy).unwrap_or(0);
    let wanted = expected(registry, &pods);
    let by_scale = matches!(
        (budget.pointer("/spec/maxUnavailable"), budget.pointer("/spec/minAvailable")),
        (Some(_), _) | (None, Some(Value::String(_)))
    );
    if let (true, Err(why)) = (by_scale, &wanted) {
        return give_up(registry, budget, why);
    }
    let wanted = wanted.unwrap_or(0);
    let (expected, desired) =
        match (budget.pointer("/spec/maxUnavailable"), budget.pointer("/spec/minAvailable")) {
            (Some(most), _) => (wanted, (wanted - scaled(Some(most), wanted, true)).max(0)),
            (None, Some(Value::String(least))) => (wanted, scaled(Some(&json!(least)), wanted, true)),
            (None, Some(least)) => (i64::try_from(pods.len()).unwrap_or(0), least.as_i64().unwrap_or(0)),
            (None, None) => (i64::try_from(pods.len()).unwrap_or(0), 0),
        };
    let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
    for (key, number) in [
        ("expectedPods", expected),
        ("desiredHealthy", desired),
        ("currentHealthy", healthy),
        ("disruptionsAllowed", allowed),
    ] {
        tree::put(&mut budget, &format!("/status/{key}"), number);
    }
    if disrupted.is_empty() {
        tree::remove(&mut budget, "/status/disruptedPods");
    } else {
        tree::put(&mut budget, "/status/disruptedPods", disrupted);
    }
    let generation = int(&budget, "/metadata/generation").unwrap_or(1);
    tree::put(&mut budget, "/status/observedGeneration", generation);
    let (status, reason) =
        if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    set_condition(
        &mut budget,
        &json!({"type": "DisruptionAllowed", "status": status, "reason": reason, "message": "",
        "observedGeneration": generation, "lastTransitionTime": clock::seconds(registry.now)}),
    );
    registry.commit(Kind::PodDisruptionBudget, budget, &Actor::through(super::MANAGER, "status"));
}
