//! The scale subresource.

use super::failure::{Cause, Failure};
use super::kind::Kind;
use super::registry::{Registry, Write};
use super::{admission, selectors, tree};
use serde_json::{Value, json};

/// The scale of a Deployment, ReplicaSet, ReplicationController or StatefulSet.
pub(super) fn of(object: &Value) -> Value {
    let mut metadata = json!({});
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        tree::carry(object, &mut metadata, &format!("/metadata/{key}"));
    }
    let metadata = metadata.get("metadata").cloned().unwrap_or_default();
    let selector = object.pointer("/spec/selector").map(|selector| {
        // A ReplicationController's is a plain map.
        let plain = selector.get("matchLabels").is_none() && selector.get("matchExpressions").is_none();
        if plain {
            selectors::to_text(&json!({"matchLabels": selector}))
        } else {
            selectors::to_text(selector)
        }
    });
    let selector = selector.unwrap_or_default();
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": {},
        "status": {"replicas": tree::int(object, "/status/replicas").unwrap_or(0), "selector": selector},
    });
    // None is left out.
    if let Some(replicas) = tree::int(object, "/spec/replicas").filter(|replicas| *replicas != 0) {
        tree::put(&mut scale, "/spec/replicas", replicas);
    }
    scale
}

/// Sets the replicas and returns the object as stored.
///
/// # Errors
/// 409 for another version, 422 for a negative number, 422 or 403 when admission refuses it.
pub(super) fn write(
    registry: &mut Registry<'_>,
    kind: Kind,
    old: &Value,
    wanted: &Value,
    write: &Write,
) -> Result<Value, Failure> {
    let replicas = tree::int(wanted, "/spec/replicas").unwrap_or(0);
    if replicas < 0 {
        let why = "must be greater than or equal to 0";
        let cause = Cause::invalid("spec.replicas", &json!(replicas), why);
        return Err(Failure::invalid_scale(tree::name(old), cause));
    }
    let mut new = old.clone();
    tree::put(&mut new, "/spec/replicas", replicas);
    tree::carry(wanted, &mut new, "/metadata/resourceVersion");
    if tree::text(wanted, "/metadata/resourceVersion").is_none() {
        tree::carry(old, &mut new, "/metadata/resourceVersion");
    }
    let (before, after) = (of(old), {
        let mut after = of(&new);
        tree::carry(old, &mut after, "/status/replicas");
        after
    });
    admission::admit(registry.store, &admission::Attempt::update(kind, &after, &before, Some("scale")))?;
    registry.update(kind, old, new, write)
}
