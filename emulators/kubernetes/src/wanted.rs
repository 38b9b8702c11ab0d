//! The nodes that pods of an Autopilot cluster wait for.

use super::controllers::{Disks, homeless, would_run};
use super::store::Store;
use super::tree;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Zones in which nodes should come so that the pods which find no place get one. A pod that would not run on a fresh node
/// either brings none about.
pub(super) fn zones(store: &Store, zones: &[String], disks: &Disks) -> Vec<String> {
    let mut planned: Vec<(Value, String)> = Vec::new();
    let mut placed: Vec<(Value, Value)> = Vec::new();
    let mut count: BTreeMap<&str, usize> = zones.iter().map(|zone| (zone.as_str(), 0)).collect();
    for node in store.list(super::Kind::Node, None) {
        let zone = tree::text(node, "/metadata/labels/topology.kubernetes.io~1zone").unwrap_or_default();
        if let Some(count) = count.get_mut(zone) {
            *count += 1;
        }
    }
    for pod in homeless(store) {
        let known: Vec<(&Value, &Value)> = placed.iter().map(|(pod, node)| (pod, node)).collect();
        if let Some((node, _)) = planned.iter().find(|(node, _)| would_run(store, pod, node, &known, disks)) {
            placed.push((pod.clone(), node.clone()));
            continue;
        }
        let mut by_load: Vec<&str> = count.keys().copied().collect();
        by_load.sort_by_key(|zone| count.get(zone).copied().unwrap_or(0));
        let fresh = by_load.into_iter().map(|zone| (fresh(zone, planned.len()), zone));
        let fit = fresh.into_iter().find(|(node, _)| would_run(store, pod, node, &known, disks));
        if let Some((node, zone)) = fit {
            if let Some(count) = count.get_mut(zone) {
                *count += 1;
            }
            placed.push((pod.clone(), node.clone()));
            planned.push((node, zone.to_owned()));
        }
    }
    planned.into_iter().map(|(_, zone)| zone).collect()
}

/// A node as it would come.
fn fresh(zone: &str, number: usize) -> Value {
    let name = format!("planned-{number}");
    let region = zone.rsplit_once('-').map_or(zone, |(region, _)| region);
    json!({
        "metadata": {"name": name, "labels": {
            "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "kubernetes.io/hostname": name,
            "topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": zone,
        }},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    })
}
