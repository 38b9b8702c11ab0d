//! Server defaults never show as drift: what was sent to Google Cloud in recorded traffic, held against what came back.

#[path = "../../sandbox/tests/replay/capture.rs"]
mod capture;

use capture::Exchange;
use serde_json::Value;
use zkprov_plans::diff;
use zkprov_plans::observed::{Live, Ownership};
use zkprov_plans::resource::{ResourceId, ResourceKind, Scope};

const LOGS: [(&str, &str); 6] = [
    ("instance_c8c7", include_str!("../../sandbox/tests/fixtures/google-cloud/instance_c8c7.log")),
    ("instance_1e63", include_str!("../../sandbox/tests/fixtures/google-cloud/instance_1e63.log")),
    ("cluster_minimal", include_str!("../../sandbox/tests/fixtures/google-cloud/cluster_minimal.log")),
    ("cluster_full", include_str!("../../sandbox/tests/fixtures/google-cloud/cluster_full.log")),
    ("nodepool", include_str!("../../sandbox/tests/fixtures/google-cloud/nodepool.log")),
    ("filestore", include_str!("../../sandbox/tests/fixtures/google-cloud/filestore.log")),
];

/// The kind that a create request makes, by its collection.
fn kind(exchange: &Exchange) -> Option<ResourceKind> {
    let path = path(exchange);
    let collection = path.rsplit('/').next()?;
    let service = exchange.host.split('.').next()?;
    match (service, collection) {
        ("compute", "instances") => Some(ResourceKind::Instance),
        ("compute", "disks") => Some(ResourceKind::Disk),
        ("compute", "addresses") => Some(ResourceKind::Address),
        ("container", "clusters") => Some(ResourceKind::Cluster),
        ("container", "nodePools") => Some(ResourceKind::NodePool),
        ("file", "instances") => Some(ResourceKind::FilestoreInstance),
        _ => None,
    }
}

fn path(exchange: &Exchange) -> &str {
    exchange.target.split('?').next().unwrap_or_default()
}

/// The body of a create request, out of the wrapper that GKE's requests have, and the name it gives.
fn created(exchange: &Exchange) -> Option<(Value, String)> {
    let body =
        exchange.body.get("cluster").or_else(|| exchange.body.get("nodePool")).unwrap_or(&exchange.body);
    let in_query =
        exchange.target.split("instanceId=").nth(1).map(|rest| rest.split('&').next().unwrap_or_default());
    let name = body.get("name").and_then(Value::as_str).or(in_query)?;
    Some((body.clone(), name.rsplit('/').next()?.to_owned()))
}

/// What the service returned of it before anybody changed anything in its collection. The recordings mask names, not
/// always alike, and hold one resource of a collection at a time. An address takes its labels in a request of its own.
fn answered<'a>(after: &'a [Exchange], collection: &str, kind: ResourceKind) -> Option<&'a Value> {
    let below = |exchange: &&Exchange| path(exchange).starts_with(collection);
    let itself = |exchange: &Exchange| {
        path(exchange)
            .strip_prefix(collection)
            .is_some_and(|name| name.starts_with('/') && !name[1..].contains('/'))
    };
    let labels =
        |exchange: &Exchange| kind == ResourceKind::Address && path(exchange).ends_with("/setLabels");
    let unchanged = after
        .iter()
        .filter(below)
        .take_while(|exchange| exchange.method == "GET" || labels(exchange))
        .filter(|exchange| exchange.method == "GET" && exchange.status == 200 && itself(exchange));
    unchanged.last().map(|exchange| &exchange.response)
}

#[test]
fn recorded_answers_hold_no_drift() {
    let mut seen = std::collections::BTreeMap::<ResourceKind, usize>::new();
    for (log, text) in LOGS {
        let exchanges = capture::read(text);
        for (at, exchange) in exchanges.iter().enumerate() {
            let Some(kind) = kind(exchange).filter(|_| exchange.method == "POST" && exchange.status == 200)
            else {
                continue;
            };
            let place = format!("{log}, block {}: {}", exchange.block, path(exchange));
            let Some((body, name)) = created(exchange) else { panic!("{place}: no name") };
            let Some(document) = answered(&exchanges[at + 1..], path(exchange), kind) else {
                panic!("{place}: {name} is never read")
            };
            let scope = Scope::Google { project: "p".to_owned(), location: "l".to_owned() };
            let id = ResourceId { kind, scope, name };
            let live = Live { document: document.clone(), predicted: None, ownership: Ownership::Ours };
            assert_eq!(diff::diff(&id, &body, &live).fields, [], "{place}");
            *seen.entry(kind).or_default() += 1;
        }
    }
    // The recordings hold each of these: a test that compares nothing proves nothing.
    for kind in [
        ResourceKind::Instance,
        ResourceKind::Disk,
        ResourceKind::Address,
        ResourceKind::Cluster,
        ResourceKind::NodePool,
        ResourceKind::FilestoreInstance,
    ] {
        assert!(seen.contains_key(&kind), "{kind:?} was never compared: {seen:?}");
    }
}
