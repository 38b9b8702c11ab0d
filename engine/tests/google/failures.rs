//! Failures: each class of what can go wrong, and what is repeated.

use super::support::server::{Reply, Server, error, ok, reply, rpc_error};
use super::support::{change, connection, fixture, id, known};
use serde_json::{Value, json};
use std::time::Duration;
use zkprov_engine::credentials::Credentials;
use zkprov_engine::error::{ProviderError, ProviderErrorKind as Kind};
use zkprov_engine::provider::Provider;
use zkprov_engine::providers::compute::ComputeProvider;
use zkprov_engine::providers::gke::GkeProvider;
use zkprov_plans::observed::Reading;
use zkprov_plans::plan::Call;

const VM: &str = "instance/my-project/us-east1-d/singlefs-1-vm";
const VM_PATH: &str = "/compute/v1/projects/my-project/zones/us-east1-d/instances";
const CLUSTER: &str = "gke/my-project/us-east1-d/cluster-1";
const CLUSTER_PATH: &str = "/v1/projects/my-project/locations/us-east1-d/clusters";

async fn compute(url: &str) -> ComputeProvider {
    let connection = connection(url);
    let credentials = Credentials::find(&connection.credentials).unwrap();
    ComputeProvider::connect(&connection, &credentials).await.unwrap()
}

async fn insert(provider: &dyn Provider, of: &str) -> ProviderError {
    let change = change(of, json!({"name": "x"}), Call::Insert);
    let uuid = "6f1c3c8e-0000-4000-8000-000000000000";
    provider.call(&change, &change.calls[0], &Reading::Absent, uuid, &|_| {}).await.unwrap_err()
}

#[tokio::test]
async fn answers_of_compute_engine_to_a_write() {
    for (answer, kind) in [
        (error(409, "alreadyExists", "The resource 'x' already exists"), Kind::AlreadyExists),
        (error(409, "operationInProgress", "busy"), Kind::Busy),
        (error(412, "conditionNotMet", "Invalid fingerprint."), Kind::Stale),
        (error(429, "rateLimitExceeded", "slow down"), Kind::Transient),
        (error(403, "rateLimitExceeded", "Quota exceeded for quota metric 'Read requests'"), Kind::Transient),
        (error(403, "quotaExceeded", "Quota 'CPUS' exceeded"), Kind::QuotaExceeded),
        (error(403, "forbidden", "Required 'compute.instances.create' permission"), Kind::Denied),
        (error(401, "authError", "Invalid Credentials"), Kind::Denied),
        (error(400, "invalid", "Invalid value for field"), Kind::Invalid),
        (error(400, "resourceNotReady", "not ready"), Kind::Busy),
        (error(400, "resourceInUseByAnotherResource", "in use"), Kind::Busy),
        (error(404, "notFound", "no such zone"), Kind::NotFound),
        (error(500, "internalError", "oops"), Kind::Transient),
        (error(503, "backendError", "oops"), Kind::Transient),
        (error(502, "badGateway", "oops"), Kind::OutcomeUnknown),
        (error(504, "gatewayTimeout", "oops"), Kind::OutcomeUnknown),
        (reply(500, json!("not an error document")), Kind::Transient),
        (ok(json!({"name": "op", "status": "DONE"})).cut(), Kind::OutcomeUnknown),
        (ok(json!("no operation")), Kind::OutcomeUnknown),
        (ok(json!({})).silent(), Kind::OutcomeUnknown),
    ] {
        let server = Server::start().await;
        let route = format!("POST {VM_PATH}");
        server.on(&route, [answer]);
        let error = insert(&compute(&server.url).await, VM).await;
        assert_eq!(error.kind, kind, "{error}");
        assert_eq!(server.seen_on(&route).len(), 1, "a write is sent once: {error}");
    }
}

#[tokio::test]
async fn answers_of_gke_to_a_write() {
    for (answer, kind) in [
        (
            rpc_error(
                400,
                "FAILED_PRECONDITION",
                "Operation operation-1 is currently upgrading cluster cluster-1. Please wait and try again once it is done.",
            ),
            Kind::Busy,
        ),
        (
            rpc_error(400, "FAILED_PRECONDITION", "Cluster is running incompatible operation operation-1."),
            Kind::Busy,
        ),
        (rpc_error(400, "FAILED_PRECONDITION", "Label fingerprint does not match"), Kind::Stale),
        (rpc_error(400, "FAILED_PRECONDITION", "Network has no subnetworks"), Kind::Invalid),
        (rpc_error(409, "ABORTED", "etag mismatch"), Kind::Stale),
        (
            rpc_error(409, "ALREADY_EXISTS", "Already exists: projects/p/zones/z/clusters/n."),
            Kind::AlreadyExists,
        ),
        (rpc_error(429, "RESOURCE_EXHAUSTED", "too fast"), Kind::Transient),
        (
            reply(
                403,
                json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "API disabled", "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED",
             "domain": "googleapis.com", "metadata": {"service": "container.googleapis.com"}}]}}),
            ),
            Kind::Denied,
        ),
    ] {
        let server = Server::start().await;
        server.on(&format!("POST {CLUSTER_PATH}"), [answer]);
        let connection = connection(&server.url);
        let credentials = Credentials::find(&connection.credentials).unwrap();
        let provider = GkeProvider::connect(&connection, &credentials).await.unwrap();
        let error = insert(&provider, CLUSTER).await;
        assert_eq!(error.kind, kind, "{error}");
        if error.message.contains("disabled") {
            assert!(
                error.hint.starts_with("gcloud services enable container.googleapis.com"),
                "{}",
                error.hint
            );
        }
    }
}

#[tokio::test]
async fn a_write_that_never_left_may_be_repeated() {
    let error = insert(&compute("http://127.0.0.1:1").await, VM).await;
    assert_eq!(error.kind, Kind::Transient, "{error}");
    assert!(error.message.contains("can't be reached"), "{error}");
}

#[tokio::test]
async fn retry_after_is_passed_on() {
    let server = Server::start().await;
    server.on(
        &format!("POST {VM_PATH}"),
        [error(429, "rateLimitExceeded", "slow down").header("retry-after", "17")],
    );
    let error = insert(&compute(&server.url).await, VM).await;
    assert_eq!(error.retry_after, Some(Duration::from_secs(17)));
}

async fn refresh(server: &Server) -> Result<Reading<zkprov_plans::observed::Live>, ProviderError> {
    compute(&server.url).await.refresh(&id(VM), &Value::Null).await
}

#[tokio::test]
async fn a_read_is_repeated_while_that_may_help() {
    let vm = || ok(fixture("instance.json"));
    let route = format!("GET {VM_PATH}/singlefs-1-vm");
    let last: [(Vec<Reply>, usize, bool); 6] = [
        (vec![error(503, "backendError", "x"), error(429, "rateLimitExceeded", "x"), vm()], 3, true),
        (vec![vm().cut(), vm()], 2, true),
        (vec![error(403, "rateLimitExceeded", "x").header("retry-after", "0"), vm()], 2, true),
        (vec![error(500, "internalError", "x")], 3, false),
        (vec![error(403, "forbidden", "x")], 1, false),
        (vec![error(503, "backendError", "x").header("retry-after", "3600")], 1, false),
    ];
    for (replies, requests, succeeds) in last {
        let server = Server::start().await;
        server.on(&route, replies);
        assert_eq!(refresh(&server).await.is_ok(), succeeds);
        assert_eq!(server.seen_on(&route).len(), requests);
    }
}

#[tokio::test]
async fn a_silent_api_is_reported_soon() {
    let server = Server::start().await;
    let route = format!("GET {VM_PATH}/singlefs-1-vm");
    server.on(&route, [ok(json!({})).silent()]);
    let error = refresh(&server).await.unwrap_err();
    assert!(error.message.contains("did not answer in time"), "{error}");
    assert_eq!(server.seen_on(&route).len(), 1, "it is not asked again");
}

#[tokio::test]
async fn a_resource_that_is_not_found_is_absent_and_a_project_is_not() {
    let server = Server::start().await;
    let route = format!("GET {VM_PATH}/singlefs-1-vm");
    let gone = "The resource 'projects/my-project/zones/us-east1-d/instances/singlefs-1-vm' was not found";
    server.on(&route, [error(404, "notFound", gone)]);
    assert_eq!(refresh(&server).await.unwrap(), Reading::Absent);
    server.on(&route, [error(404, "notFound", "The resource 'projects/my-project' was not found")]);
    assert!(matches!(refresh(&server).await.unwrap(), Reading::Unavailable(_)));
    server.on(&route, [ok(fixture("instance.json"))]);
    assert_eq!(refresh(&server).await.unwrap().known().unwrap().document, fixture("instance.json"));
}

#[tokio::test]
async fn operations_under_way_are_waited_for() {
    let server = Server::start().await;
    let zone = "/compute/v1/projects/my-project/zones/us-east1-d";
    let link = |name: &str| {
        format!("https://www.googleapis.com/compute/v1/projects/1/zones/us-east1-d/instances/{name}")
    };
    let running = |op: &str, name: &str| json!({"name": op, "operationType": "stop", "status": "RUNNING", "targetLink": link(name)});
    server.on(
        &format!("GET {zone}/operations"),
        [ok(json!({"items": [running("op-1", "singlefs-1-vm"), running("op-2", "other")]}))],
    );
    server.on(&format!("POST {zone}/operations/op-1/wait"), [ok(json!({"name": "op-1", "status": "DONE"}))]);
    compute(&server.url).await.settle(&id(VM), &|_| {}).await.unwrap();
    let routes: Vec<String> = server.seen().into_iter().map(|seen| seen.route).collect();
    assert_eq!(routes, [format!("GET {zone}/operations"), format!("POST {zone}/operations/op-1/wait")]);
    assert!(server.seen()[0].query.contains("filter=status"), "{}", server.seen()[0].query);
}

#[tokio::test]
async fn a_wait_ends_at_its_deadline() {
    let server = Server::start().await;
    let zone = "/compute/v1/projects/my-project/zones/us-east1-d";
    let running = json!({"name": "op-1", "operationType": "delete", "status": "RUNNING", "progress": 40});
    server.on(&format!("DELETE {VM_PATH}/singlefs-1-vm"), [ok(running.clone())]);
    server.on(&format!("POST {zone}/operations/op-1/wait"), [ok(running)]);
    let mut connection = connection(&server.url);
    connection.pace.step = Duration::from_millis(60);
    let credentials = Credentials::find(&connection.credentials).unwrap();
    let provider = ComputeProvider::connect(&connection, &credentials).await.unwrap();
    let change = change(VM, Value::Null, Call::Delete);
    let done = provider.call(&change, &change.calls[0], &known(json!({})), "0", &|_| {}).await;
    let error = done.unwrap_err();
    assert_eq!(error.kind, Kind::Deadline);
    assert!(error.message.ends_with("last seen: delete RUNNING 40 %"), "{error}");
}
