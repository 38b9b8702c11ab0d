//! A scripted HTTP server on loopback, and the specs and changes that the tests send through the providers.

pub mod server;

use serde_json::{Value, json};
use std::time::Duration;
use zkprov_engine::connection::{Connection, CredentialSource, Endpoints, Pace};
use zkprov_plans::document::{Desired, Document};
use zkprov_plans::observed::{Live, Ownership, Reading};
use zkprov_plans::plan::{Action, Call, Change, Disruption, Fingerprint, Precondition, ReadyWhen, Reason};
use zkprov_plans::resource::ResourceId;
use zkprov_plans::spec::ValidSpec;

/// Everything at one server, nobody's credentials, and pauses of milliseconds.
pub fn connection(url: &str) -> Connection {
    let endpoint = Some(url.to_owned());
    Connection {
        endpoints: Endpoints { compute: endpoint.clone(), container: endpoint.clone(), filestore: endpoint },
        credentials: CredentialSource::Anonymous,
        pace: Pace {
            poll: Duration::from_millis(2),
            poll_max: Duration::from_millis(5),
            retry: Duration::from_millis(5),
            request: Duration::from_millis(400),
            step: Duration::from_secs(5),
            ..Pace::default()
        },
        parallelism: 8,
    }
}

/// An ensemble `exhibitor` with the defaults of the tutorial.
pub fn spec() -> ValidSpec {
    serde_json::from_value(json!({
        "name": "exhibitor", "labels": {}, "project": "my-project", "zone": "us-east1-d",
        "file_server": {"singleNode": {"name": "singlefs-1-vm", "zone": "us-east1-d", "machineType": "n1-standard-1",
            "image": "projects/debian-cloud/global/images/family/debian-13", "bootDiskGb": 10, "diskGb": 100,
            "diskType": "pd-standard", "path": "/data", "smb": true, "squash": "all", "snapshots": null,
            "allowedRanges": [], "externalAddress": true, "network": "default", "subnetwork": null,
            "nodeRanges": ["10.128.0.0/9"]}},
        "cluster": {"managed": {"name": "cluster-1", "nodeCount": 3, "machineType": "e2-medium", "diskGb": 100,
            "diskType": "pd-balanced", "version": null, "releaseChannel": "REGULAR", "network": "default",
            "subnetwork": null, "privateNodes": false, "labels": {}}},
        "exhibitor": {"replicas": 3, "namespace": "default", "image": "mbabineau/zookeeper-exhibitor:latest",
            "pullPolicy": "IfNotPresent", "resources": {"cpu": "250m", "memory": "1Gi"}, "heapMib": 256,
            "settings": {"checkMs": 30000, "settlingMs": 180_000, "cleanupPeriodMs": 300_000, "cleanupMaxFiles": 20,
                "zooCfg": {}, "backup": null},
            "clientPort": 2181, "apiPort": 8181, "exposure": "clusterIp", "networkPolicy": true, "clientLabels": {},
            "disruptionBudget": true, "spread": "preferred", "terminationGraceSeconds": 30},
        "protection": {"destroy": false, "data": true}, "origins": {}
    }))
    .expect("a valid spec")
}

pub fn id(text: &str) -> ResourceId {
    text.parse().expect("a resource id")
}

/// Desired documents with these ids and empty bodies.
pub fn desired(ids: &[&str]) -> Desired {
    let document = |text: &&str| Document {
        id: id(text),
        template: String::new(),
        body: json!({}),
        text: String::new(),
    };
    Desired { documents: ids.iter().map(document).collect() }
}

pub fn change(of: &str, body: Value, call: Call) -> Change {
    Change {
        id: id(of),
        action: Action::Update,
        reason: Reason::FieldsDiffer,
        diff: Vec::new(),
        body,
        calls: vec![call],
        via: None,
        precondition: Precondition::Unchanged(Fingerprint(String::new())),
        ready_when: ReadyWhen::Done,
        disruption: Disruption::None,
        notes: Vec::new(),
    }
}

pub fn known(document: Value) -> Reading<Live> {
    Reading::Known(Live { document, predicted: None, ownership: Ownership::Ours })
}

/// A capture of the real API.
pub fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).expect("a fixture")).expect("JSON")
}
