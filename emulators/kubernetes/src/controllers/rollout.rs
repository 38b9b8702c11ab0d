//! How a Deployment moves its pods from old ReplicaSets to the new one.

use super::super::registry::Registry;
use super::super::tree::{int, text};
use super::deployment::{scale, wanted};
use super::scaled;
use serde_json::Value;

/// Pods that may be there beyond the wanted number, and pods that may be missing.
pub(super) fn budget(deployment: &Value) -> (i64, i64) {
    if text(deployment, "/spec/strategy/type") == Some("Recreate") {
        return (0, wanted(deployment));
    }
    let value = |key: &str| deployment.pointer(&format!("/spec/strategy/rollingUpdate/{key}"));
    let surge = scaled(value("maxSurge"), wanted(deployment), true);
    let unavailable = scaled(value("maxUnavailable"), wanted(deployment), false);
    // With neither nothing could ever move.
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

fn available(set: &Value) -> i64 {
    int(set, "/status/availableReplicas").unwrap_or(0)
}

/// One step: the sizes that the ReplicaSets should have now.
pub(super) fn step(
    registry: &mut Registry<'_>,
    deployment: &Value,
    new: Option<&Value>,
    old: &[Value],
    paused: bool,
) {
    let Some(new) = new else { return };
    let active: Vec<&Value> = old.iter().filter(|set| wanted(set) > 0).collect();
    if active.is_empty() {
        let left: i64 = old.iter().filter_map(|set| int(set, "/status/replicas")).sum();
        let recreate = text(deployment, "/spec/strategy/type") == Some("Recreate");
        if !(recreate && left > 0) {
            scale(registry, deployment, new, wanted(deployment));
        }
        return;
    }
    if paused {
        return;
    }
    if text(deployment, "/spec/strategy/type") == Some("Recreate") {
        for set in active {
            scale(registry, deployment, set, 0);
        }
        return;
    }
    if !grow(registry, deployment, new, &active) {
        shrink(registry, deployment, new, &active);
    }
}

/// Sizes the new ReplicaSet; says whether it changed.
fn grow(registry: &mut Registry<'_>, deployment: &Value, new: &Value, old: &[&Value]) -> bool {
    let (surge, _) = budget(deployment);
    let total: i64 = wanted(new) + old.iter().map(|set| wanted(set)).sum::<i64>();
    let room = (wanted(deployment) + surge - total).max(0);
    let size = (wanted(new) + room).min(wanted(deployment));
    scale(registry, deployment, new, size);
    size != wanted(new)
}

/// Takes pods from old ReplicaSets: first those that don't serve, then as many as may be missing.
fn shrink(registry: &mut Registry<'_>, deployment: &Value, new: &Value, old: &[&Value]) {
    let (_, unavailable) = budget(deployment);
    let least = wanted(deployment) - unavailable;
    let total: i64 = wanted(new) + old.iter().map(|set| wanted(set)).sum::<i64>();
    let mut spare = total - least - (wanted(new) - available(new)).max(0);
    let mut sizes: Vec<i64> = old.iter().map(|set| wanted(set)).collect();
    for (set, size) in old.iter().zip(&mut sizes) {
        let idle = (*size - available(set)).clamp(0, spare.max(0));
        *size -= idle;
        spare -= idle;
    }
    let serving: i64 = available(new) + old.iter().map(|set| available(set)).sum::<i64>();
    let mut excess = (serving - least).max(0).min(spare.max(0));
    for size in &mut sizes {
        let gone = (*size).min(excess);
        *size -= gone;
        excess -= gone;
    }
    for (set, size) in old.iter().zip(sizes) {
        scale(registry, deployment, set, size);
    }
}
