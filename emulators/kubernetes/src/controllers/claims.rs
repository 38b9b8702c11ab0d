//! Volumes for claims: made with the first pod, grown as asked, kept while a pod uses them.

use super::super::claims::{PROTECTION, claim_of, is_class};
use super::super::kind::Kind;
use super::super::managers::Actor;
use super::super::registry::Registry;
use super::super::tree::{self, items, name, namespace, text};
use serde_json::{Value, json};

/// Brings every claim a step on.
pub(super) fn run(registry: &mut Registry<'_>) {
    let all: Vec<Value> = registry.store.list(Kind::PersistentVolumeClaim, None).cloned().collect();
    for claim in all {
        let used = registry.store.list(Kind::Pod, Some(namespace(&claim))).any(|pod| {
            let volumes = items(pod, "/spec/volumes");
            text(pod, "/spec/nodeName").is_some()
                && volumes.iter().any(|volume| claim_of(volume) == Some(name(&claim)))
        });
        if tree::is_deleting(&claim) {
            let left: Vec<&Value> = items(&claim, "/metadata/finalizers").iter().collect();
            if !used && left.iter().all(|finalizer| *finalizer == PROTECTION) {
                let (namespace, name) = (namespace(&claim), name(&claim));
                registry.store.remove(Kind::PersistentVolumeClaim, namespace, name, registry.now);
            }
        } else if used && is_class(text(&claim, "/spec/storageClassName").unwrap_or_default()) {
            provide(registry, claim);
        }
    }
}

/// A volume as large as the claim asks for.
fn provide(registry: &mut Registry<'_>, mut claim: Value) {
    if text(&claim, "/spec/volumeName").is_none() {
        let volume = format!("pvc-{}", tree::uid(&claim));
        tree::put(&mut claim, "/spec/volumeName", volume);
        claim = registry.commit(Kind::PersistentVolumeClaim, claim, &Actor::new(super::MANAGER));
    }
    let size = claim.pointer("/spec/resources/requests/storage").cloned().unwrap_or_default();
    tree::put(&mut claim, "/status/phase", "Bound");
    let modes = claim.pointer("/spec/accessModes").cloned().unwrap_or_default();
    tree::put(&mut claim, "/status/accessModes", modes);
    tree::put(&mut claim, "/status/capacity", json!({"storage": size}));
    registry.commit(Kind::PersistentVolumeClaim, claim, &Actor::through(super::MANAGER, "status"));
}
