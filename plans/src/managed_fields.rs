//! Who set a field of a Kubernetes object: `metadata.managedFields` decoded.

use crate::field_path::{FieldPath, Segment};
use serde_json::Value;

/// The managers that own the field at `path`, or something in it, in the order of `managedFields`, without repeats.
///
/// A field that nobody is recorded for has no manager.
#[must_use]
pub fn managers(object: &Value, path: &FieldPath) -> Vec<String> {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    let segments = path.segments();
    if segments.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<String> = Vec::new();
    for entry in entries.map_or(&[] as &[Value], Vec::as_slice) {
        let Some(manager) = entry.get("manager").and_then(Value::as_str) else { continue };
        let owns = entry.get("fieldsV1").is_some_and(|fields| owns(fields, segments));
        if owns && !found.iter().any(|name| name == manager) {
            found.push(manager.to_owned());
        }
    }
    found
}

/// The manager other than `ours` that owns the field, if there is one: who made a field drift.
#[must_use]
pub fn other_manager(object: &Value, path: &FieldPath, ours: &str) -> Option<String> {
    managers(object, path).into_iter().find(|manager| manager != ours)
}

/// Whether the field set holds the path. A set that ends above the path owns it only if it ends in a leaf (`{}`): an
/// atomic list or map is owned as a whole.
fn owns(fields: &Value, segments: &[Segment]) -> bool {
    let Some((segment, rest)) = segments.split_first() else { return true };
    let Some(fields) = fields.as_object() else { return false };
    let below = fields.iter().filter(|(key, _)| matches(key, segment));
    let mut children = below.map(|(_, child)| child);
    children.any(|child| {
        let leaf = child.as_object().is_some_and(serde_json::Map::is_empty);
        (leaf && !rest.is_empty()) || owns(child, rest)
    })
}

/// Whether a key of `fieldsV1` (`f:NAME`, `k:{"name":"x"}`, `v:"x"`, `i:0`) is this segment.
fn matches(key: &str, segment: &Segment) -> bool {
    let Some((kind, value)) = key.split_once(':') else { return false };
    match (kind, segment) {
        ("f", Segment::Key(name) | Segment::Item(name)) => value == name,
        ("i", Segment::Item(item)) => value == item,
        ("v", Segment::Item(item)) => serde_json::from_str(value).is_ok_and(|value: Value| is(&value, item)),
        ("k", Segment::Item(item)) => {
            let keys: Result<serde_json::Map<String, Value>, _> = serde_json::from_str(value);
            keys.is_ok_and(|keys| keys.values().any(|value| is(value, item)))
        }
        _ => false,
    }
}

/// Whether a value reads like the item in a path.
fn is(value: &Value, item: &str) -> bool {
    let json = value.to_string();
    value.as_str().unwrap_or(&json) == item
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment() -> Value {
        json!({"metadata": {"managedFields": [
            {"manager": "zkprov", "operation": "Apply", "fieldsV1": {
                "f:metadata": {"f:labels": {"f:zkprov.dev/ensemble": {}}},
                "f:spec": {
                    "f:selector": {},
                    "f:template": {"f:spec": {"f:containers": {
                        "k:{\"name\":\"exhibitor\"}": {".": {}, "f:name": {}, "f:args": {},
                            "f:ports": {"k:{\"containerPort\":2181,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}}}}}}}}},
            {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {
                "f:metadata": {"f:finalizers": {"v:\"keep\"": {}}},
                "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {
                    "k:{\"name\":\"exhibitor\"}": {"f:image": {}}}}}}}},
            {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status",
                "fieldsV1": {"f:status": {"f:replicas": {}}}},
            {"operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            "nonsense",
        ]}})
    }

    #[test]
    fn names_the_owner_of_a_field() {
        let object = deployment();
        for (path, expected) in [
            ("spec.template.spec.containers[exhibitor].image", &["kubectl-edit"][..]),
            ("spec.template.spec.containers[exhibitor].args[0]", &["zkprov"]),
            ("spec.template.spec.containers[exhibitor].ports[2181].name", &["zkprov"]),
            ("spec.template.spec.containers[exhibitor]", &["zkprov", "kubectl-edit"]),
            ("spec.template.spec.containers[other].image", &[]),
            ("spec.replicas", &["kubectl-edit"]),
            ("status.replicas", &["kube-controller-manager"]),
            ("spec.selector.matchLabels.app", &["zkprov"]),
            ("metadata.labels[zkprov.dev/ensemble]", &["zkprov"]),
            ("metadata.finalizers[keep]", &["kubectl-edit"]),
            ("spec.paused", &[]),
        ] {
            assert_eq!(managers(&object, &path.into()), expected, "{path}");
        }
        assert_eq!(
            other_manager(&object, &"spec.replicas".into(), "zkprov").as_deref(),
            Some("kubectl-edit")
        );
        assert_eq!(other_manager(&object, &"spec.selector".into(), "zkprov"), None);
    }

    #[test]
    fn hostile_input_has_no_owner() {
        for object in [
            json!(null),
            json!({"metadata": {"managedFields": 7}}),
            json!({"metadata": {"managedFields": [{"manager": "m", "fieldsV1": "x"}]}}),
            json!({"metadata": {"managedFields": [{"manager": "m", "fieldsV1": {"f": {}, "k:{": {}, "v:": {}}}]}}),
        ] {
            for path in ["spec.replicas", "[", "[\"", "\\", "a[b", "x]"] {
                assert!(managers(&object, &path.into()).is_empty(), "{object} {path}");
            }
        }
    }
}
