//! Looking whether a change is done.

use super::support::server::{Server, error, ok, rpc_error};
use super::support::{change, connection, fixture};
use serde_json::{Value, json};
use zkprov_engine::credentials::Credentials;
use zkprov_engine::provider::Provider;
use zkprov_engine::providers::compute::ComputeProvider;
use zkprov_engine::providers::gke::GkeProvider;
use zkprov_plans::plan::{Call, ReadyWhen};
use zkprov_plans::readiness::Verdict;

const VM: &str = "instance/my-project/us-east1-d/singlefs-1-vm";
const VM_PATH: &str = "/compute/v1/projects/my-project/zones/us-east1-d/instances/singlefs-1-vm";
const CLUSTER_PATH: &str = "/v1/projects/my-project/locations/us-east1-d/clusters/cluster-1";

async fn look(server: &Server, of: &str, ready_when: ReadyWhen) -> Verdict {
    let connection = connection(&server.url);
    let credentials = Credentials::find(&connection.credentials).unwrap();
    let mut change = change(of, Value::Null, Call::Insert);
    change.ready_when = ready_when;
    if of.starts_with("instance") {
        ComputeProvider::connect(&connection, &credentials).await.unwrap().ready(&change).await.unwrap()
    } else {
        GkeProvider::connect(&connection, &credentials).await.unwrap().ready(&change).await.unwrap()
    }
}

fn generation() -> ReadyWhen {
    ReadyWhen::FileServerReady { generation: "g1".to_owned() }
}

fn status(value: &str) -> Value {
    json!({"queryPath": "fileserver/", "queryValue": {"items": [
        {"namespace": "fileserver", "key": "other", "value": "ready generation=g1"},
        {"namespace": "fileserver", "key": "status", "value": value}]}})
}

#[tokio::test]
async fn the_file_server_is_ready_when_its_script_says_so() {
    let server = Server::start().await;
    let mut vm = fixture("instance.json");
    vm["status"] = json!("STAGING");
    server.on(&format!("GET {VM_PATH}"), [ok(vm), ok(fixture("instance.json"))]);
    assert_eq!(look(&server, VM, generation()).await, Verdict::Progressing("VM STAGING".to_owned()));
    server.on(
        &format!("GET {VM_PATH}/getGuestAttributes"),
        [
            error(404, "notFound", "nothing written"),
            ok(status("ready generation=g0 boot=b bytes=1")),
            ok(status("running generation=g1 boot=b")),
            ok(status("ready generation=g1 boot=b bytes=1")),
            ok(status("failed generation=g1 boot=b step=disk reason=swap signature")),
        ],
    );
    server.on(&format!("GET {VM_PATH}/serialPort"), [
        ok(json!({"contents": "boot\n"})),
        ok(json!({"contents": "x fileserver: step=disk\nx fileserver: FAILED generation=g1 step=disk reason=swap signature\n"})),
    ]);
    let unreported = Verdict::Progressing("start-up script has not reported yet".to_owned());
    assert_eq!(look(&server, VM, generation()).await, unreported);
    assert_eq!(look(&server, VM, generation()).await, unreported, "a report of another rendering");
    assert!(
        matches!(look(&server, VM, generation()).await, Verdict::Progressing(text) if text.contains("running"))
    );
    assert_eq!(look(&server, VM, generation()).await, Verdict::Ready);
    let Verdict::Failed { reason, hint } = look(&server, VM, generation()).await else {
        panic!("not failed")
    };
    assert!(reason.contains("swap signature\nits last lines:\n  step=disk"), "{reason}");
    assert!(hint.contains("get-serial-port-output"));
    assert!(
        server.seen_on(&format!("GET {VM_PATH}/getGuestAttributes"))[0]
            .query
            .contains("queryPath=fileserver%2F")
    );
}

#[tokio::test]
async fn the_serial_console_reports_where_guest_attributes_are_forbidden() {
    let server = Server::start().await;
    server.on(&format!("GET {VM_PATH}"), [ok(fixture("instance.json"))]);
    let forbidden = error(403, "forbidden", "Required 'compute.instances.getGuestAttributes' permission");
    server.on(&format!("GET {VM_PATH}/getGuestAttributes"), [forbidden]);
    let report = "x fileserver: READY generation=g1 boot=b bytes=1\n";
    server.on(&format!("GET {VM_PATH}/serialPort"), [ok(json!({"contents": report}))]);
    assert_eq!(look(&server, VM, generation()).await, Verdict::Ready);
}

#[tokio::test]
async fn gone_is_gone() {
    let server = Server::start().await;
    let vm = ok(fixture("instance.json"));
    server.on(&format!("GET {VM_PATH}"), [vm, error(404, "notFound", "not found")]);
    assert_eq!(look(&server, VM, ReadyWhen::Gone).await, Verdict::Progressing("still RUNNING".to_owned()));
    assert_eq!(look(&server, VM, ReadyWhen::Gone).await, Verdict::Ready);
}

#[tokio::test]
async fn a_cluster_and_its_pool() {
    let (cluster, pool) =
        ("gke/my-project/us-east1-d/cluster-1", "node-pool/my-project/us-east1-d/cluster-1/default-pool");
    let server = Server::start().await;
    server.on(&format!("GET {CLUSTER_PATH}"), [
        rpc_error(404, "NOT_FOUND", "Not found: projects/p/zones/z/clusters/cluster-1."),
        ok(json!({"name": "cluster-1", "status": 1})),
        ok(json!({"name": "cluster-1", "status": 2, "nodePools": [{"name": "default-pool", "status": 1}]})),
        ok(json!({"name": "cluster-1", "status": 2, "nodePools": [{"name": "default-pool", "status": 2}]})),
        ok(json!({"name": "cluster-1", "status": 5, "statusMessage": "out of addresses"})),
    ]);
    let not_there = Verdict::Progressing("not there yet".to_owned());
    assert_eq!(look(&server, cluster, ReadyWhen::ClusterRunning).await, not_there);
    assert_eq!(
        look(&server, cluster, ReadyWhen::ClusterRunning).await,
        Verdict::Progressing("cluster PROVISIONING".to_owned())
    );
    let provisioning = Verdict::Progressing("node pool PROVISIONING".to_owned());
    assert_eq!(look(&server, pool, ReadyWhen::NodePoolRunning).await, provisioning);
    assert_eq!(look(&server, pool, ReadyWhen::NodePoolRunning).await, Verdict::Ready);
    assert!(
        matches!(look(&server, cluster, ReadyWhen::ClusterRunning).await, Verdict::Failed { reason, .. } if reason.ends_with("out of addresses"))
    );
}
