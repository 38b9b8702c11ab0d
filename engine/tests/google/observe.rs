//! Reading: every reading is Known, Absent or Unavailable with what, why and what to do.

use super::support::server::{Server, error, ok};
use super::support::{connection, desired, fixture, id, spec};
use google_cloud_container_v1::model::Cluster;
use serde_json::{Value, json};
use zkprov_engine::connection::Connection;
use zkprov_engine::credentials::Credentials;
use zkprov_engine::provider::{Observation, Provider, ReadRequest};
use zkprov_engine::providers::compute::ComputeProvider;
use zkprov_engine::providers::filestore::FilestoreProvider;
use zkprov_engine::providers::gke::{GkeProvider, LIVE_NODE_COUNT};
use zkprov_plans::document::Desired;
use zkprov_plans::observed::{Ownership, Reading};

const ZONE: &str = "/compute/v1/projects/my-project/zones/us-east1-d";
const REGION: &str = "/compute/v1/projects/my-project/regions/us-east1";
const GLOBAL: &str = "/compute/v1/projects/my-project/global";
const GKE: &str = "/v1/projects/my-project/locations/us-east1-d";

fn credentials(connection: &Connection) -> Credentials {
    Credentials::find(&connection.credentials).unwrap()
}

/// Answers every list of Compute Engine with nothing.
async fn empty_compute() -> (Server, ComputeProvider) {
    let server = Server::start().await;
    for path in [ZONE, REGION, GLOBAL] {
        server.on(&format!("GET {path}/operations"), [ok(json!({}))]);
    }
    for list in ["instances", "disks"] {
        server.on(&format!("GET {ZONE}/{list}"), [ok(json!({"items": []}))]);
    }
    for list in ["addresses", "resourcePolicies"] {
        server.on(&format!("GET {REGION}/{list}"), [ok(json!({}))]);
    }
    server.on(&format!("GET {GLOBAL}/firewalls"), [ok(json!({}))]);
    let connection = connection(&server.url);
    let provider = ComputeProvider::connect(&connection, &credentials(&connection)).await.unwrap();
    (server, provider)
}

async fn observe(provider: &dyn Provider, desired: &Desired) -> Observation {
    let spec = spec();
    let mut all = provider.observe(&[ReadRequest { spec: &spec, desired }]).await;
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// A cluster as the real service sends it to these clients: enums as numbers.
fn cluster_with_numbers(change: impl FnOnce(&mut Value)) -> Value {
    let mut cluster = fixture("cluster.json");
    change(&mut cluster);
    let typed: Cluster = serde_json::from_value(cluster).unwrap();
    let numbers = serde_json::to_value(typed).unwrap();
    assert!(numbers["status"].is_number(), "the fixture's enums are numbers");
    numbers
}

#[tokio::test]
async fn one_list_for_each_kind_and_place_whatever_the_number_of_ensembles() {
    let (server, provider) = empty_compute().await;
    let (first, mut second) = (spec(), spec());
    second.name = "other".to_owned();
    let desired = desired(&["instance/my-project/us-east1-d/singlefs-1-vm"]);
    let requests =
        [ReadRequest { spec: &first, desired: &desired }, ReadRequest { spec: &second, desired: &desired }];
    let all = provider.observe(&requests).await;
    assert_eq!(all.len(), 2);
    for observation in all {
        assert_eq!(observation.resources[&desired.documents[0].id], Reading::Absent);
        assert_eq!(observation.resources.len(), 1);
    }
    let mut routes: Vec<String> = server.seen().into_iter().map(|seen| seen.route).collect();
    routes.sort_unstable();
    assert_eq!(routes.len(), 8, "{routes:#?}");
    routes.dedup();
    assert_eq!(routes.len(), 8, "{routes:#?}");
}

#[tokio::test]
async fn known_absent_and_further_resources_of_ours() {
    let (server, provider) = empty_compute().await;
    let mut orphan = fixture("disk.json");
    orphan["name"] = json!("orphan");
    orphan["labels"] = json!({"zkprov-ensemble": "exhibitor"});
    let mut foreign = fixture("disk.json");
    foreign["name"] = json!("foreign");
    let page = |items: Value, next: Option<&str>| ok(json!({"items": items, "nextPageToken": next}));
    server
        .on(&format!("GET {ZONE}/disks"), [page(json!([orphan]), Some("t1")), page(json!([foreign]), None)]);
    server.on(&format!("GET {ZONE}/instances"), [page(json!([fixture("instance.json")]), None)]);
    let rule = json!({"name": "rule", "description": "NFS from the nodes; managed by zkprov for ensemble exhibitor"});
    let theirs = json!({"name": "theirs", "description": "managed by zkprov for ensemble exhibitor-2"});
    server.on(&format!("GET {GLOBAL}/firewalls"), [page(json!([rule, theirs]), None)]);
    server.on(&format!("GET {ZONE}/operations"), [ok(json!({"items": [
        {"name": "op-1", "operationType": "insert", "status": "RUNNING",
         "targetLink": "https://www.googleapis.com/compute/v1/projects/123456/zones/us-east1-d/instances/singlefs-1-vm"},
        {"name": "op-2", "operationType": "delete", "status": "RUNNING",
         "targetLink": "https://www.googleapis.com/compute/v1/projects/123456/zones/us-east1-d/instances/stranger"},
        {"name": "op-3", "operationType": "stop", "status": "DONE",
         "targetLink": "https://www.googleapis.com/compute/v1/projects/123456/zones/us-east1-d/instances/singlefs-1-vm"}]}))]);
    let vm = id("instance/my-project/us-east1-d/singlefs-1-vm");
    let data = id("disk/my-project/us-east1-d/singlefs-1-vm-data");
    let seen = observe(&provider, &desired(&[&vm.to_string(), &data.to_string()])).await;
    let live = seen.resources[&vm].known().unwrap();
    assert_eq!(live.document, fixture("instance.json"), "a document is what the API sent");
    assert_eq!(live.ownership, Ownership::Foreign);
    assert_eq!(seen.resources[&data], Reading::Absent);
    let names: Vec<String> = seen.resources.keys().map(|id| id.name.clone()).collect();
    assert_eq!(names, ["orphan", "singlefs-1-vm-data", "rule", "singlefs-1-vm"]);
    let operations: Vec<(&str, &str)> =
        seen.operations.iter().map(|operation| (operation.verb.as_str(), operation.name.as_str())).collect();
    assert_eq!(operations, [("insert", "op-1")]);
    let pages = server.seen_on(&format!("GET {ZONE}/disks"));
    assert!(pages[1].query.contains("pageToken=t1"), "{}", pages[1].query);
}

#[tokio::test]
async fn what_could_not_be_read_is_never_absent() {
    let vm = id("instance/my-project/us-east1-d/singlefs-1-vm");
    for (answer, why, hint) in [
        (
            error(403, "forbidden", "Required 'compute.instances.list' permission for 'projects/my-project'"),
            "compute.instances.list",
            "--role=roles/compute.admin (compute.instances.list is missing)",
        ),
        (
            error(
                403,
                "accessNotConfigured",
                "Compute Engine API has not been used in project 1 before or it is disabled.",
            ),
            "disabled",
            "gcloud services enable compute.googleapis.com",
        ),
        (
            error(401, "authError", "Invalid Credentials"),
            "Invalid Credentials",
            "gcloud auth application-default login",
        ),
        (
            error(404, "notFound", "The resource 'projects/my-project' was not found"),
            "'projects/my-project' was not found",
            "",
        ),
        (error(500, "internalError", "Internal error"), "Internal error", ""),
        (ok(json!({"items": 7})), "unreadable answer", ""),
    ] {
        let (server, provider) = empty_compute().await;
        server.on(&format!("GET {ZONE}/instances"), [answer]);
        let seen = observe(&provider, &desired(&[&vm.to_string()])).await;
        let Reading::Unavailable(gap) = &seen.resources[&vm] else {
            panic!("{why}: {:?}", seen.resources[&vm])
        };
        assert_eq!(gap.what, "Compute Engine API, instances in us-east1-d of my-project");
        assert!(gap.why.contains(why), "{}", gap.why);
        assert!(gap.hint.contains(hint), "{}", gap.hint);
        assert_eq!(seen.resources.len(), 1, "the other kinds were read");
        let undeclared = observe(&provider, &Desired::default()).await;
        let whole = id("instance/my-project/us-east1-d/*");
        assert!(matches!(undeclared.resources[&whole], Reading::Unavailable(_)), "an orphan may be there");
    }
}

#[tokio::test]
async fn an_api_that_does_not_listen_is_a_gap() {
    let connection = connection("http://127.0.0.1:1");
    let provider = GkeProvider::connect(&connection, &credentials(&connection)).await.unwrap();
    let (cluster, pool) =
        ("gke/my-project/us-east1-d/cluster-1", "node-pool/my-project/us-east1-d/cluster-1/default-pool");
    let seen = observe(&provider, &desired(&[cluster, pool])).await;
    for reading in [&seen.resources[&id(cluster)], &seen.resources[&id(pool)]] {
        let Reading::Unavailable(gap) = reading else { panic!("{reading:?}") };
        assert!(gap.why.starts_with("Kubernetes Engine API can't be reached: "), "{}", gap.why);
    }
}

#[tokio::test]
async fn a_cluster_brings_its_pools_its_size_and_its_access_with_one_list() {
    let server = Server::start().await;
    let cluster = cluster_with_numbers(|cluster| {
        cluster["resourceLabels"] = json!({"zkprov-ensemble": "exhibitor"});
        cluster["masterAuth"]["clusterCaCertificate"] = json!("LS0tLS1CRUdJTg==");
        cluster["nodePools"][0]["instanceGroupUrls"] = json!([
            "https://www.googleapis.com/compute/v1/projects/my-project/zones/us-east1-d/instanceGroupManagers/gke-1-grp"
        ]);
    });
    server.on(&format!("GET {GKE}/clusters"), [ok(json!({"clusters": [cluster]}))]);
    server.on(&format!("GET {GKE}/operations"), [ok(json!({"operations": [
        {"name": "op-1", "operationType": 4, "status": 2,
         "targetLink": "https://container.googleapis.com/v1/projects/123456/zones/us-east1-d/clusters/cluster-1"},
        {"name": "op-2", "operationType": 1, "status": 3,
         "targetLink": "https://container.googleapis.com/v1/projects/123456/zones/us-east1-d/clusters/cluster-1"}]}))]);
    server.on(
        &format!("GET {ZONE}/instanceGroupManagers"),
        [ok(json!({"items": [
        {"name": "gke-1-grp", "targetSize": 5}, {"name": "other", "targetSize": 7}]}))],
    );
    let connection = connection(&server.url);
    let provider = GkeProvider::connect(&connection, &credentials(&connection)).await.unwrap();
    let cluster_id = id("gke/my-project/us-east1-d/cluster-1");
    let pool_id = id("node-pool/my-project/us-east1-d/cluster-1/default-pool");
    let desired = desired(&[&cluster_id.to_string(), &pool_id.to_string()]);
    let (seen, access) = futures::join!(
        observe(&provider, &desired),
        provider.cluster_access("my-project", "us-east1-d", "cluster-1")
    );
    let live = seen.resources[&cluster_id].known().unwrap();
    assert_eq!(live.ownership, Ownership::Ours);
    assert_eq!(live.document["status"], "RUNNING");
    assert_eq!(live.document["releaseChannel"], json!({"channel": "REGULAR"}));
    let pool = seen.resources[&pool_id].known().unwrap();
    assert_eq!(pool.ownership, Ownership::Ours);
    assert_eq!((&pool.document["status"], &pool.document[LIVE_NODE_COUNT]), (&json!("RUNNING"), &json!(5)));
    assert_eq!(seen.operations.len(), 1);
    assert_eq!(
        (seen.operations[0].verb.as_str(), &seen.operations[0].target),
        ("UPGRADE_NODES", &cluster_id)
    );
    let Reading::Known(access) = access.unwrap() else { panic!("no access") };
    assert_eq!((access.endpoint.as_str(), access.ca_pem.as_str()), ("https://34.1.2.3", "-----BEGIN"));
    assert_eq!(access.status, "RUNNING");
    assert_eq!(server.seen_on(&format!("GET {GKE}/clusters")).len(), 1, "the list was shared");
    let again = provider.cluster_access("my-project", "us-east1-d", "nobody").await.unwrap();
    assert_eq!(again, Reading::Absent);
    assert_eq!(server.seen_on(&format!("GET {GKE}/clusters")).len(), 1, "no list is under way");
    assert_eq!(server.seen_on(&format!("GET {GKE}/clusters/nobody")).len(), 1, "so it is read by its name");
}

#[tokio::test]
async fn the_size_falls_back_to_the_cluster_of_one_pool() {
    let server = Server::start().await;
    let cluster = cluster_with_numbers(|cluster| cluster["currentNodeCount"] = json!(4));
    server.on(&format!("GET {GKE}/clusters"), [ok(json!({"clusters": [cluster]}))]);
    server.on(&format!("GET {GKE}/operations"), [ok(json!({}))]);
    server.on(&format!("GET {ZONE}/instanceGroupManagers"), [error(403, "forbidden", "no")]);
    let connection = connection(&server.url);
    let provider = GkeProvider::connect(&connection, &credentials(&connection)).await.unwrap();
    let pool = "node-pool/my-project/us-east1-d/cluster-1/default-pool";
    let seen = observe(&provider, &desired(&[pool])).await;
    assert_eq!(seen.resources[&id(pool)].known().unwrap().document[LIVE_NODE_COUNT], 4);
}

#[tokio::test]
async fn filestore_is_asked_only_when_it_is_wanted() {
    let server = Server::start().await;
    server.on(&format!("GET {GKE}/instances"), [ok(json!({"instances": [
        {"name": "projects/my-project/locations/us-east1-d/instances/exhibitor-files", "tier": 3, "state": 2,
         "fileShares": [{"name": "data", "capacityGb": "1024"}], "networks": [{"network": "default", "modes": [1]}],
         "labels": {"zkprov-ensemble": "exhibitor"}, "etag": "e"}]}))]);
    server.on(&format!("GET {GKE}/operations"), [ok(json!({}))]);
    let connection = connection(&server.url);
    let provider = FilestoreProvider::new(&connection, &credentials(&connection));
    assert_eq!(observe(&provider, &Desired::default()).await.resources.len(), 0);
    assert_eq!(server.seen().len(), 0);
    let files = "filestore/my-project/us-east1-d/exhibitor-files";
    let seen = observe(&provider, &desired(&[files])).await;
    let live = seen.resources[&id(files)].known().unwrap();
    assert_eq!(live.ownership, Ownership::Ours);
    assert_eq!((&live.document["state"], &live.document["tier"]), (&json!("READY"), &json!("BASIC_HDD")));
    assert_eq!(live.document["networks"][0]["modes"], json!(["MODE_IPV4"]));
}
