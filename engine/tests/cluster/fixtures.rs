//! The spec and documents of one ensemble, as validation and rendering would make them.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use zkprov_plans::document::{Desired, Document};
use zkprov_plans::plan::{Action, Change, Disruption, Precondition, ReadyWhen, Reason};
use zkprov_plans::spec::ValidSpec;

pub(crate) fn spec() -> ValidSpec {
    serde_json::from_value(json!({
        "name": "exhibitor", "labels": {}, "project": "p", "zone": "us-east1-d",
        "file_server": {"external": {"server": "files.example", "path": "/data"}},
        "cluster": {"existing": {"name": "cluster-1"}},
        "exhibitor": {
            "replicas": 3, "namespace": "default", "image": "i", "pullPolicy": "IfNotPresent",
            "resources": {"cpu": "250m", "memory": "1Gi"}, "heapMib": 256,
            "settings": {"checkMs": 30000, "settlingMs": 180_000, "cleanupPeriodMs": 300_000,
                "cleanupMaxFiles": 20, "zooCfg": {}, "backup": null},
            "clientPort": 2181, "apiPort": 8181, "exposure": "clusterIp", "networkPolicy": true,
            "clientLabels": {}, "disruptionBudget": true, "spread": "preferred",
            "terminationGraceSeconds": 30, "storage": "ephemeral"
        },
        "protection": {"destroy": false, "data": true},
        "origins": BTreeMap::<String, Value>::new()
    }))
    .unwrap()
}

pub(crate) fn document(id: &str, body: Value) -> Document {
    Document { id: id.parse().unwrap(), template: "t".to_owned(), body }
}

pub(crate) fn desired(documents: &[(&str, Value)]) -> Desired {
    Desired { documents: documents.iter().map(|(id, body)| document(id, body.clone())).collect() }
}

pub(crate) fn change(id: &str, action: Action, body: Value, ready_when: ReadyWhen) -> Change {
    Change {
        id: id.parse().unwrap(),
        action,
        reason: Reason::FieldsDiffer,
        diff: Vec::new(),
        body,
        calls: Vec::new(),
        via: None,
        precondition: Precondition::Absent,
        ready_when,
        disruption: Disruption::None,
        notes: Vec::new(),
    }
}
