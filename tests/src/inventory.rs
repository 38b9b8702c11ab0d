//! What stands in an embedded cloud, without what differs from run to run: random names, addresses, ids and times.

use serde_json::{Value, json};
use std::path::Path;

/// Kinds whose objects controllers make under random names: they are counted.
const COUNTED: [&str; 5] = ["EndpointSlice", "Node", "Pod", "ReplicaSet", "Endpoints"];
/// Kinds that come and go.
const PASSING: [&str; 2] = ["Event", "Lease"];
/// Fields of Compute Engine's resources that tell one from another.
const FIELDS: [&str; 8] =
    ["status", "labels", "sizeGb", "machineType", "allowed", "denied", "sourceRanges", "deletionProtection"];

/// One line a resource, sorted, of the world that is kept in a folder.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn inventory(cloud: &Path) -> Vec<String> {
    let world = zkprov_sandbox::server::read(cloud).unwrap();
    inventory_of(&serde_json::to_value(&world).unwrap())
}

/// One line a resource, sorted, of a world in the form it is stored in.
#[must_use]
pub fn inventory_of(world: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, resource) in entries(&world["compute"]["resources"]) {
        let fields: Vec<String> = FIELDS.iter().map(|field| resource[field].to_string()).collect();
        lines.push(format!("{} {}", without_suffix(path), fields.join(" ")));
    }
    for (key, cluster) in entries(&world["container"]["clusters"]) {
        lines.push(format!("cluster {key} {} {}", cluster["ready"], cluster["spec"]["resourceLabels"]));
    }
    for (key, instance) in entries(&world["filestore"]["instances"]) {
        lines.push(format!("filestore {key} {}", instance["tier"]));
    }
    for (cluster, kubernetes) in entries(&world["kubernetes"]) {
        for (kind, objects) in entries(&kubernetes["store"]["objects"]) {
            lines.extend(of_kind(kind, objects).into_iter().map(|line| format!("{cluster} {line}")));
        }
    }
    for (name, share) in entries(&world["exhibitor"]["shares"]) {
        // The network that it is in comes first.
        let name = name.rsplit(' ').next().unwrap_or(name);
        let text = share["file"]["text"].as_str().unwrap_or_default();
        lines.extend(text.lines().filter_map(setting).map(|line| format!("{name} {line}")));
    }
    lines.sort();
    lines
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Node VMs and their disks end in two random words.
fn without_suffix(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, name)) if name.starts_with("gke-") => {
            let name = name.rsplitn(3, '-').last().unwrap_or(name);
            format!("{folder}/{name}")
        }
        Some(_) | None => path.to_owned(),
    }
}

fn of_kind(kind: &str, objects: &Value) -> Vec<String> {
    if PASSING.contains(&kind) {
        return Vec::new();
    }
    if COUNTED.contains(&kind) {
        return vec![format!("{kind}: {}", entries(objects).count())];
    }
    let line = |(name, object): (&String, &Value)| {
        let mut spec = object["spec"].clone();
        if let Some(spec) = spec.as_object_mut() {
            spec.retain(|field, _| !field.starts_with("clusterIP") && field != "volumeName");
        }
        let labels = &object["metadata"]["labels"];
        format!("{kind} {name} {}", json!([labels, spec, object["data"]]))
    };
    entries(objects).map(line).collect()
}

/// A line of Exhibitor's shared file: the members are counted, what a roll leaves behind is left out.
fn setting(line: &str) -> Option<String> {
    let (key, value) = line.strip_prefix("com.netflix.exhibitor.")?.split_once('=')?;
    if key == "servers-spec" {
        return Some(format!("{key}: {} members", value.split(',').filter(|one| !one.is_empty()).count()));
    }
    Some(format!("{key}={value}"))
}
