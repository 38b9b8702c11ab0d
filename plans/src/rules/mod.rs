//! Field rules: what each declared field of a Google resource means for a diff and for the calls that change it.
//!
//! A declared field without a rule is an error, so the tables cannot lag behind the templates. What changes in place
//! and what needs a replacement follows the APIs' own update methods (Compute Engine `instances.set…`, GKE
//! `ClusterUpdate`, Filestore `updateMask`). Kubernetes needs no table: the server's own dry-run says what an apply
//! would change.

mod compare;
mod tables;

pub use compare::Compare;
pub(crate) use compare::{items, text};

use crate::plan::Fingerprint;
use crate::resource::{Family, ResourceKind};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// How a field that differs is brought in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum How {
    /// Never compared: the name, the place, or what the API takes but does not give back.
    InputOnly,
    /// Only by deleting and creating the resource again.
    Replace,
    /// `setLabels`, `setResourceLabels`.
    SetLabels,
    /// `setTags`.
    SetTags,
    /// `setMetadata`.
    SetMetadata,
    /// `stop`, `setMachineType`, `start`.
    SetMachineType,
    /// `instances.start`: somebody stopped it.
    StartInstance,
    /// `setDeletionProtection`.
    SetDeletionProtection,
    /// `addAccessConfig`, `deleteAccessConfig`.
    SetAccessConfig,
    /// `disks.resize`; a disk never shrinks.
    ResizeDisk,
    /// `addResourcePolicies`, `removeResourcePolicies`.
    SetDiskPolicies,
    /// `firewalls.patch`.
    PatchFirewall,
    /// `resourcePolicies.patch`.
    PatchSnapshotSchedule,
    /// `clusters.update` with this one `desired…` field.
    UpdateCluster(&'static str),
    /// `nodePools.setSize`.
    SetNodePoolSize,
    /// `nodePools.update` with this field.
    UpdateNodePool(&'static str),
    /// Filestore `patch` with this entry of the mask.
    PatchFilestore(&'static str),
}

/// The rule of one declared field. It covers everything below `path` too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// Dotted path in the document; `[]` stands for the one element a list may have.
    pub path: &'static str,
    /// How it is compared.
    pub compare: Compare,
    /// How it is changed.
    pub how: How,
    /// The key of the file it comes from; empty for what zkprov itself decides.
    pub cause: &'static str,
}

/// The rules of a kind; none for kinds whose API predicts changes itself.
pub(crate) fn rules(kind: ResourceKind) -> &'static [Rule] {
    match kind {
        ResourceKind::Address => tables::ADDRESS,
        ResourceKind::Disk => tables::DISK,
        ResourceKind::SnapshotSchedule => tables::SNAPSHOT_SCHEDULE,
        ResourceKind::Firewall => tables::FIREWALL,
        ResourceKind::Instance => tables::INSTANCE,
        ResourceKind::FilestoreInstance => tables::FILESTORE,
        ResourceKind::Cluster => tables::CLUSTER,
        ResourceKind::NodePool => tables::NODE_POOL,
        ResourceKind::Kube(_) | ResourceKind::Ensemble => &[],
    }
}

/// Declared leaves of a document that no rule covers, as dotted paths.
#[must_use]
pub fn uncovered(kind: ResourceKind, body: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    if kind.family() == Family::Google {
        leaves(body, String::new(), &mut paths);
        paths.retain(|path| !rules(kind).iter().any(|rule| covers(rule.path, path)));
        paths.dedup();
    }
    paths
}

fn covers(rule: &str, path: &str) -> bool {
    path.strip_prefix(rule)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with('['))
}

fn leaves(value: &Value, path: String, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, child) in map {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(child, below, out);
            }
        }
        Value::Array(list) => {
            for child in list {
                leaves(child, format!("{path}[]"), out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push(path),
    }
}

/// The value at a rule's path; `[]` takes the first element.
pub(crate) fn at<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(document, |value, part| match part.strip_suffix("[]") {
        Some(list) => value.get(list)?.get(0),
        None => value.get(part),
    })
}

/// Digest of a live Google resource: its own id and the fields the desired body declares.
#[must_use]
pub fn fingerprint(kind: ResourceKind, body: &Value, live: &Value) -> Fingerprint {
    let identity = ["id", "selfLink", "createTime", "name"].iter().find_map(|key| live.get(key));
    let mut hash = Sha256::new();
    hash.update(identity.map(Value::to_string).unwrap_or_default());
    for rule in rules(kind) {
        if rule.how == How::InputOnly {
            continue;
        }
        if let Some(wanted) = at(body, rule.path) {
            hash.update(rule.path);
            hash.update(rule.compare.normal(wanted, at(live, rule.path)).to_string());
        }
    }
    Fingerprint(hex::encode(hash.finalize()))
}
