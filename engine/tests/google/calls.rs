//! Writing: the request that goes out, the handle it rests on, and the wait for its operation.

use super::support::server::{Server, error, ok, rpc_error};
use super::support::{change, connection, fixture, known};
use serde_json::{Value, json};
use std::sync::Mutex;
use zkprov_engine::credentials::Credentials;
use zkprov_engine::error::{ProviderError, ProviderErrorKind};
use zkprov_engine::provider::{Course, Provider};
use zkprov_engine::providers::compute::ComputeProvider;
use zkprov_engine::providers::filestore::FilestoreProvider;
use zkprov_engine::providers::gke::GkeProvider;
use zkprov_plans::observed::{Live, Reading};
use zkprov_plans::plan::Call;

const ZONE: &str = "/compute/v1/projects/my-project/zones/us-east1-d";
const GKE: &str = "/v1/projects/my-project/locations/us-east1-d";
const VM: &str = "instance/my-project/us-east1-d/singlefs-1-vm";
const DISK: &str = "disk/my-project/us-east1-d/singlefs-1-vm-data";
const RULE: &str = "firewall/my-project/global/rule";
const CLUSTER: &str = "gke/my-project/us-east1-d/cluster-1";
const POOL: &str = "node-pool/my-project/us-east1-d/cluster-1/default-pool";
const FILES: &str = "filestore/my-project/us-east1-d/exhibitor-files";
const REQUEST_ID: &str = "6f1c3c8e-0000-4000-8000-00000000000f";

/// One of the three providers at a server.
async fn provider(server: &Server, of: &str) -> Box<dyn Provider> {
    let connection = connection(&server.url);
    let credentials = Credentials::find(&connection.credentials).unwrap();
    if of.starts_with("gke") || of.starts_with("node-pool") {
        Box::new(GkeProvider::connect(&connection, &credentials).await.unwrap())
    } else if of.starts_with("filestore") {
        Box::new(FilestoreProvider::new(&connection, &credentials))
    } else {
        Box::new(ComputeProvider::connect(&connection, &credentials).await.unwrap())
    }
}

async fn send(
    server: &Server,
    of: &str,
    call: Call,
    body: Value,
    live: &Reading<Live>,
) -> (Result<(), ProviderError>, Vec<String>) {
    let provider = provider(server, of).await;
    let change = change(of, body, call);
    let told = Mutex::new(Vec::new());
    let tell = |course: Course| told.lock().unwrap().push(course.words());
    let result = provider.call(&change, &change.calls[0], live, REQUEST_ID, &tell).await;
    drop(provider);
    (result, told.into_inner().unwrap())
}

fn operation(status: &str) -> Value {
    json!({"name": "op-1", "operationType": "insert", "status": status, "progress": 0})
}

#[tokio::test]
async fn an_insert_waits_for_its_operation() {
    let server = Server::start().await;
    server.on(&format!("POST {ZONE}/instances"), [ok(operation("RUNNING"))]);
    server.on(
        &format!("POST {ZONE}/operations/op-1/wait"),
        [
            error(404, "notFound", "not yet known"),
            ok(operation("RUNNING")),
            error(503, "backendError", "try again"),
            ok(operation("DONE")),
        ],
    );
    let body = json!({"name": "singlefs-1-vm", "disks": [{"boot": true}]});
    let (result, told) = send(&server, VM, Call::Insert, body.clone(), &Reading::Absent).await;
    result.unwrap();
    assert_eq!(told[0], "insert RUNNING");
    let sent = server.seen_on(&format!("POST {ZONE}/instances"));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].body, body);
    assert!(sent[0].query.contains(&format!("requestId={REQUEST_ID}")), "{}", sent[0].query);
    assert_eq!(server.seen_on(&format!("POST {ZONE}/operations/op-1/wait")).len(), 4);
}

#[tokio::test]
async fn regional_and_global_operations_are_waited_for_where_they_are() {
    for (of, collection, base) in [
        ("address/my-project/us-east1/a", "addresses", "/compute/v1/projects/my-project/regions/us-east1"),
        (
            "snapshot-schedule/my-project/us-east1/s",
            "resourcePolicies",
            "/compute/v1/projects/my-project/regions/us-east1",
        ),
        (RULE, "firewalls", "/compute/v1/projects/my-project/global"),
        (DISK, "disks", ZONE),
    ] {
        let server = Server::start().await;
        server.on(&format!("POST {base}/{collection}"), [ok(operation("PENDING"))]);
        server.on(&format!("POST {base}/operations/op-1/wait"), [ok(operation("DONE"))]);
        let name = of.rsplit('/').next().unwrap();
        let (result, _) = send(&server, of, Call::Insert, json!({"name": name}), &Reading::Absent).await;
        result.unwrap();
        server.on(&format!("DELETE {base}/{collection}/{name}"), [ok(operation("DONE"))]);
        let (result, _) = send(&server, of, Call::Delete, Value::Null, &known(json!({}))).await;
        result.unwrap();
        assert_eq!(server.seen().len(), 3, "{of}");
    }
}

#[tokio::test]
async fn a_done_operation_may_have_failed() {
    for (code, message, kind, hint) in [
        (
            "QUOTA_EXCEEDED",
            "Quota 'CPUS' exceeded.  Limit: 8.0 in region us-east1.",
            ProviderErrorKind::QuotaExceeded,
            "quotas",
        ),
        (
            "ZONE_RESOURCE_POOL_EXHAUSTED",
            "The zone does not have enough resources",
            ProviderErrorKind::QuotaExceeded,
            "another zone",
        ),
        ("RESOURCE_ALREADY_EXISTS", "exists", ProviderErrorKind::AlreadyExists, ""),
        ("SOMETHING_ELSE", "odd", ProviderErrorKind::Failed, ""),
    ] {
        let server = Server::start().await;
        let mut failed = operation("DONE");
        failed["error"] = json!({"errors": [{"code": code, "message": message}]});
        failed["httpErrorStatusCode"] = json!(403);
        server.on(&format!("POST {ZONE}/disks"), [ok(failed)]);
        let (result, _) = send(&server, DISK, Call::Insert, json!({"name": "d"}), &Reading::Absent).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.starts_with(code), "{error}");
        assert!(error.hint.contains(hint), "{}", error.hint);
        assert_eq!(error.doing, "creating disk singlefs-1-vm-data");
    }
}

#[tokio::test]
async fn conditional_writes_carry_the_live_handle() {
    let live = known(fixture("instance.json"));
    let body = json!({
        "labels": {"a": "b"}, "tags": {"items": ["nfs"]}, "machineType": "projects/p/zones/z/machineTypes/e2-small",
        "metadata": {"items": [{"key": "startup-script", "value": "new"}]}
    });
    for (call, route, expected) in [
        (
            Call::SetLabels,
            "setLabels",
            json!({"labelFingerprint": "abcdef0123A=", "labels": {
            "a": "b", "cnrm-test": "true", "label-one": "value-one", "managed-by-cnrm": "true"}}),
        ),
        (Call::SetTags, "setTags", json!({"items": ["nfs"], "fingerprint": "42WmSpB8rSM="})),
        (
            Call::SetMetadata,
            "setMetadata",
            json!({"fingerprint": "PzqKmDpbceQ=", "items": [
            {"key": "bar", "value": "baz"}, {"key": "foo", "value": "bar"}, {"key": "startup-script", "value": "new"}]}),
        ),
    ] {
        let server = Server::start().await;
        let route = format!("POST {ZONE}/instances/singlefs-1-vm/{route}");
        server.on(&route, [ok(operation("DONE"))]);
        send(&server, VM, call.clone(), body.clone(), &live).await.0.unwrap();
        assert_eq!(server.seen_on(&route)[0].body, expected);
        let (result, _) = send(&server, VM, call, body.clone(), &Reading::Absent).await;
        assert_eq!(result.unwrap_err().kind, ProviderErrorKind::Stale);
        assert_eq!(server.seen().len(), 1, "nothing is sent without a handle");
        server.on(&route, [error(412, "conditionNotMet", "Invalid fingerprint.")]);
    }
}

#[tokio::test]
async fn a_machine_type_is_stop_set_start_with_an_id_each() {
    for (status, steps) in [("RUNNING", 3), ("TERMINATED", 2)] {
        let server = Server::start().await;
        let mut vm = fixture("instance.json");
        vm["status"] = json!(status);
        server.on(&format!("GET {ZONE}/instances/singlefs-1-vm"), [ok(vm.clone())]);
        for method in ["stop", "setMachineType", "start"] {
            server.on(&format!("POST {ZONE}/instances/singlefs-1-vm/{method}"), [ok(operation("DONE"))]);
        }
        let body = json!({"machineType": "projects/p/zones/z/machineTypes/e2-small"});
        send(&server, VM, Call::SetMachineType, body.clone(), &known(vm)).await.0.unwrap();
        let writes: Vec<_> =
            server.seen().into_iter().filter(|seen| seen.route.starts_with("POST")).collect();
        let ids: std::collections::BTreeSet<&str> = writes
            .iter()
            .filter_map(|seen| seen.query.split('&').find_map(|pair| pair.strip_prefix("requestId=")))
            .collect();
        assert_eq!((writes.len(), ids.len()), (steps, steps), "{ids:?}");
        assert_eq!(
            server.seen_on(&format!("POST {ZONE}/instances/singlefs-1-vm/setMachineType"))[0].body,
            body
        );
    }
}

#[tokio::test]
async fn further_calls_of_the_vm_and_its_disk() {
    let server = Server::start().await;
    let live = known(fixture("instance.json"));
    for route in ["start", "setDeletionProtection", "addAccessConfig", "deleteAccessConfig"] {
        server.on(&format!("POST {ZONE}/instances/singlefs-1-vm/{route}"), [ok(operation("DONE"))]);
    }
    for route in ["resize", "setLabels", "addResourcePolicies", "removeResourcePolicies"] {
        server.on(&format!("POST {ZONE}/disks/singlefs-1-vm-data/{route}"), [ok(operation("DONE"))]);
    }
    server.on("PATCH /compute/v1/projects/my-project/global/firewalls/rule", [ok(operation("DONE"))]);
    send(&server, VM, Call::StartInstance, json!({}), &live).await.0.unwrap();
    send(&server, VM, Call::SetDeletionProtection { on: false }, json!({}), &live).await.0.unwrap();
    send(&server, VM, Call::SetAccessConfig { external: false }, json!({}), &live).await.0.unwrap();
    let mut disk = fixture("disk.json");
    disk["labels"] = json!({"a": "old"});
    let disk = known(disk);
    let body = json!({"sizeGb": "200", "labels": {"a": "b"}});
    send(&server, DISK, Call::ResizeDisk, body.clone(), &disk).await.0.unwrap();
    send(&server, DISK, Call::SetLabels, body, &disk).await.0.unwrap();
    let policies = Call::SetDiskPolicies { add: vec!["new".to_owned()], remove: vec!["old".to_owned()] };
    send(&server, DISK, policies, json!({}), &disk).await.0.unwrap();
    let rule = json!({"name": "rule", "sourceRanges": ["10.0.0.0/8"]});
    send(&server, RULE, Call::PatchFirewall, rule, &known(json!({}))).await.0.unwrap();
    let seen: Vec<String> = server
        .seen()
        .into_iter()
        .map(|seen| format!("{} {}", seen.route.rsplit('/').next().unwrap(), seen.body))
        .collect();
    assert_eq!(
        seen,
        [
            "start {}",
            "setDeletionProtection {}",
            "deleteAccessConfig {}",
            "resize {\"sizeGb\":\"200\"}",
            "setLabels {\"labelFingerprint\":\"abcdef0123A=\",\"labels\":{\"a\":\"b\"}}",
            "removeResourcePolicies {\"resourcePolicies\":[\"old\"]}",
            "addResourcePolicies {\"resourcePolicies\":[\"new\"]}",
            "rule {\"name\":\"rule\",\"sourceRanges\":[\"10.0.0.0/8\"]}",
        ]
    );
}

#[tokio::test]
async fn a_cluster_is_created_updated_and_deleted() {
    let server = Server::start().await;
    let op = |status: u8| json!({"name": "op-1", "operationType": 1, "status": status});
    server.on(&format!("POST {GKE}/clusters"), [ok(op(1))]);
    server.on(
        &format!("GET {GKE}/operations/op-1"),
        [ok(op(2)), rpc_error(503, "UNAVAILABLE", "later"), ok(op(3))],
    );
    let body = json!({"name": "cluster-1", "releaseChannel": {"channel": "REGULAR"}, "nodePools": [{"name": "default-pool"}]});
    let (result, told) = send(&server, CLUSTER, Call::Insert, body, &Reading::Absent).await;
    result.unwrap();
    assert_eq!(told, ["CREATE_CLUSTER PENDING", "CREATE_CLUSTER RUNNING", "CREATE_CLUSTER RUNNING"]);
    let sent = &server.seen_on(&format!("POST {GKE}/clusters"))[0].body;
    assert_eq!(sent["cluster"]["releaseChannel"]["channel"], 2);

    let live = known(json!({"etag": "e1", "labelFingerprint": "l1"}));
    for (of, call, route) in [
        (
            CLUSTER,
            Call::UpdateCluster {
                field: "desiredReleaseChannel".to_owned(),
                value: json!({"channel": "STABLE"}),
            },
            format!("PUT {GKE}/clusters/cluster-1"),
        ),
        (CLUSTER, Call::SetLabels, format!("POST {GKE}/clusters/cluster-1:setResourceLabels")),
        (
            POOL,
            Call::SetNodePoolSize { nodes: 5 },
            format!("POST {GKE}/clusters/cluster-1/nodePools/default-pool:setSize"),
        ),
        (
            POOL,
            Call::UpdateNodePool { fields: json!({"machineType": "e2-standard-2"}) },
            format!("PUT {GKE}/clusters/cluster-1/nodePools/default-pool"),
        ),
        (POOL, Call::Delete, format!("DELETE {GKE}/clusters/cluster-1/nodePools/default-pool")),
        (CLUSTER, Call::Delete, format!("DELETE {GKE}/clusters/cluster-1")),
    ] {
        server.on(&route, [ok(op(3))]);
        send(&server, of, call, json!({"resourceLabels": {"a": "b"}}), &live).await.0.unwrap();
        assert_eq!(server.seen_on(&route).len(), 1, "{route}");
    }
    let body = |route: &str| server.seen_on(&format!("{route} {GKE}/clusters/cluster-1"))[0].body.clone();
    assert_eq!(body("PUT")["update"], json!({"desiredReleaseChannel": {"channel": 3}, "etag": "e1"}));
    let labels = server.seen_on(&format!("POST {GKE}/clusters/cluster-1:setResourceLabels"))[0].body.clone();
    assert_eq!((&labels["labelFingerprint"], &labels["resourceLabels"]), (&json!("l1"), &json!({"a": "b"})));
    let size = server.seen_on(&format!("POST {GKE}/clusters/cluster-1/nodePools/default-pool:setSize"))[0]
        .body
        .clone();
    assert_eq!(size["nodeCount"], 5);
    let pool =
        server.seen_on(&format!("PUT {GKE}/clusters/cluster-1/nodePools/default-pool"))[0].body.clone();
    assert_eq!((&pool["machineType"], &pool["etag"]), (&json!("e2-standard-2"), &json!("e1")));
}

#[tokio::test]
async fn a_gke_operation_may_fail() {
    let server = Server::start().await;
    server.on(&format!("POST {GKE}/clusters"), [
        ok(json!({"name": "op-1", "operationType": 1, "status": 3, "error": {"code": 8, "message": "insufficient quota CPUS"}})),
        ok(json!({"name": "op-1", "operationType": 1, "status": 3, "statusMessage": "out of addresses"})),
    ]);
    let (result, _) =
        send(&server, CLUSTER, Call::Insert, json!({"name": "cluster-1"}), &Reading::Absent).await;
    let error = result.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ProviderErrorKind::QuotaExceeded, "RESOURCE_EXHAUSTED: insufficient quota CPUS")
    );
    let (result, _) =
        send(&server, CLUSTER, Call::Insert, json!({"name": "cluster-1"}), &Reading::Absent).await;
    assert_eq!(result.unwrap_err().to_string(), "creating cluster cluster-1: FAILED: out of addresses");
}

#[tokio::test]
async fn filestore_is_created_patched_and_deleted() {
    let server = Server::start().await;
    let path = format!("{GKE}/instances/exhibitor-files");
    let name = "projects/my-project/locations/us-east1-d/operations/op-1";
    let running = json!({"name": name, "done": false, "metadata": {
        "@type": "type.googleapis.com/google.cloud.common.OperationMetadata", "verb": "create",
        "target": "projects/my-project/locations/us-east1-d/instances/exhibitor-files"}});
    let done = json!({"name": name, "done": true, "response": {"@type": "type.googleapis.com/google.protobuf.Empty"}});
    server.on(&format!("POST {GKE}/instances"), [ok(running.clone())]);
    server.on(&format!("GET /v1/{name}"), [ok(running), ok(done.clone())]);
    let body = json!({"tier": "BASIC_HDD", "fileShares": [{"name": "data", "capacityGb": "1024"}]});
    let (result, told) = send(&server, FILES, Call::Insert, body.clone(), &Reading::Absent).await;
    result.unwrap();
    assert_eq!(told[0], "create under way");
    let sent = &server.seen_on(&format!("POST {GKE}/instances"))[0];
    assert!(sent.query.contains("instanceId=exhibitor-files"), "{}", sent.query);
    assert_eq!(sent.body["fileShares"][0]["capacityGb"], "1024");
    server.on(&format!("PATCH {path}"), [ok(done.clone())]);
    let patch = Call::PatchFilestore { mask: vec!["fileShares".to_owned(), "labels".to_owned()] };
    send(&server, FILES, patch, body, &known(json!({"etag": "e1"}))).await.0.unwrap();
    let sent = &server.seen_on(&format!("PATCH {path}"))[0];
    assert!(sent.query.contains("updateMask=fileShares%2Clabels"), "{}", sent.query);
    assert_eq!((&sent.body["etag"], sent.body.get("tier")), (&json!("e1"), None));
    server.on(&format!("DELETE {path}"), [ok(done), rpc_error(404, "NOT_FOUND", "gone")]);
    send(&server, FILES, Call::Delete, Value::Null, &known(json!({}))).await.0.unwrap();
    send(&server, FILES, Call::Delete, Value::Null, &known(json!({}))).await.0.unwrap();
}

#[tokio::test]
async fn an_unknown_field_is_refused_before_anything_is_sent() {
    for (of, body, field) in [
        (VM, json!({"name": "x", "disks": [{"bot": true}]}), "disks[0].bot"),
        (
            CLUSTER,
            json!({"nodePools": [{"config": {"machinetype": "e2"}}]}),
            "cluster.nodePools[0].config.machinetype",
        ),
        (FILES, json!({"fileShares": [{"capacity": 1}]}), "instance.fileShares[0].capacity"),
    ] {
        let server = Server::start().await;
        let (result, _) = send(&server, of, Call::Insert, body, &Reading::Absent).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind, ProviderErrorKind::Invalid);
        assert_eq!(error.message, format!("the API knows no field {field}"));
        assert_eq!(server.seen().len(), 0);
    }
}

#[tokio::test]
async fn a_call_of_another_api_is_an_error_and_sends_nothing() {
    for (of, call) in [
        (VM, Call::Apply),
        (CLUSTER, Call::StartInstance),
        (FILES, Call::SetTags),
        (RULE, Call::SetLabels),
        (CLUSTER, Call::SetNodePoolSize { nodes: 3 }),
    ] {
        let server = Server::start().await;
        let (result, _) = send(&server, of, call, json!({}), &known(json!({}))).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind, ProviderErrorKind::Invalid);
        assert!(error.message.contains("bug in zkprov"), "{error}");
        assert_eq!(server.seen().len(), 0);
    }
}
