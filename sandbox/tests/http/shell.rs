//! The shell around the world: sockets, the state directory, faults and cuts.

use crate::support::send;
use std::fs;
use std::time::Duration;
use zkprov_sandbox::server::{Clock, Cut, Options, OutsideCluster, Side, State, StoreError, start};

const INSTANCES: &str = "/compute/v1/projects/p/zones/us-east1-d/instances";

fn kept(path: &std::path::Path) -> Options {
    Options { state: State::Dir(path.to_owned()), ..Options::default() }
}

#[tokio::test]
async fn requests_are_counted_and_logged() {
    let sandbox = start(Options::default()).await.unwrap();
    send(&sandbox.compute, "GET", INSTANCES, "").await.unwrap();
    send(&sandbox.filestore, "GET", "/v1/projects/p/locations/l/instances?pageSize=2", "").await.unwrap();
    assert_eq!((sandbox.request_count(), sandbox.mutation_count()), (2, 0));
    let log = sandbox.log();
    assert_eq!(log[1].service, "filestore");
    assert_eq!(log[1].target, "/v1/projects/p/locations/l/instances?pageSize=2");
    sandbox.stop().await;
}

#[tokio::test]
async fn upgrades_and_unknown_admin_calls_are_refused_with_a_reason() {
    let sandbox = start(Options::default()).await.unwrap();
    let reply = send(&sandbox.compute, "GET", "/_sandbox/nothing", "").await.unwrap();
    assert_eq!(reply.status, 404);
    let reply = send(&sandbox.compute, "POST", "/_sandbox/advance", r#"{"seconds":"soon"}"#).await.unwrap();
    assert_eq!(reply.status, 400);
}

#[tokio::test]
async fn time_moved_on_is_kept_in_the_directory_and_seen_by_another_server() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(kept(dir.path())).await.unwrap();
    let second = start(kept(dir.path())).await.unwrap();
    let before = second.world().unwrap().now;
    let reply = send(&first.container, "POST", "/_sandbox/advance", r#"{"seconds":3600}"#).await.unwrap();
    assert!(reply.json()["now"].as_u64().unwrap() >= before + 3_600_000);
    assert!(second.world().unwrap().now >= before + 3_600_000);
    drop((first, second));
    let third = start(kept(dir.path())).await.unwrap();
    assert!(third.world().unwrap().now >= before + 3_600_000);
}

#[tokio::test]
async fn a_directory_of_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.tex"), "years of work").unwrap();
    let error = start(kept(dir.path())).await.unwrap_err().to_string();
    assert!(error.contains("is not a sandbox"), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was added");
    assert!(matches!(zkprov_sandbox::reset(dir.path()), Err(StoreError::NotASandbox { .. })));
}

#[tokio::test]
async fn a_damaged_or_foreign_state_is_refused_and_left_as_it_is() {
    for (damage, complaint) in [
        ((|state| state.truncate(60)) as fn(&mut Vec<u8>), "no database"),
        (|state| state.truncate(4_200), "cut"),
        (|state| state.truncate(4_096), "damaged"),
        (|state| state[100..].fill(7), "damaged"),
        (|state| *state = b"[]".to_vec(), "no database"),
        (|state| state[63] = 99, "its version is 99"),
        (|state| state[71] = 0, "not written by zkprov"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        start(kept(dir.path())).await.unwrap().stop().await;
        let file = dir.path().join("world.db");
        let mut state = fs::read(&file).unwrap();
        damage(&mut state);
        fs::write(&file, &state).unwrap();
        let error = start(kept(dir.path())).await.unwrap_err().to_string();
        assert!(error.contains("zkprov sandbox reset") && error.contains(complaint), "{complaint}: {error}");
        assert!(fs::read(&file).unwrap() == state, "{complaint}: it is not as it was");
        assert!(zkprov_sandbox::show(dir.path()).is_err());
        assert!(zkprov_sandbox::reset(dir.path()).unwrap());
        start(kept(dir.path())).await.unwrap();
    }
}

#[tokio::test]
async fn a_state_damaged_while_it_is_served_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = start(kept(dir.path())).await.unwrap();
    let file = dir.path().join("world.db");
    fs::write(&file, "{").unwrap();
    let reply = send(&sandbox.compute, "POST", "/_sandbox/advance", r#"{"seconds":1}"#).await.unwrap();
    assert_eq!(reply.status, 500);
    assert!(reply.body.contains("left as it is"), "{}", reply.body);
    drop(sandbox);
    assert_eq!(fs::read_to_string(&file).unwrap(), "{");
}

#[tokio::test]
async fn a_state_of_an_earlier_version_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let former = r#"{"format":"zkprov-sandbox","version":1,"anchor":1,"world":{}}"#;
    fs::write(dir.path().join(".zkprov-sandbox.lock"), "").unwrap();
    fs::write(dir.path().join("world.json"), former).unwrap();
    let error = start(kept(dir.path())).await.unwrap_err().to_string();
    assert!(error.contains("an earlier version of zkprov wrote it"), "{error}");
    assert_eq!(fs::read_to_string(dir.path().join("world.json")).unwrap(), former);
    assert!(zkprov_sandbox::reset(dir.path()).unwrap());
    start(kept(dir.path())).await.unwrap();
}

#[tokio::test]
async fn a_world_that_is_forgotten_while_it_is_served_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = start(kept(dir.path())).await.unwrap();
    let disks = "/compute/v1/projects/p/zones/us-east1-d/disks";
    let made = send(&sandbox.compute, "POST", disks, r#"{"name":"d","sizeGb":"10"}"#).await.unwrap();
    assert_eq!(made.status, 200, "{}", made.body);
    assert!(zkprov_sandbox::reset(dir.path()).unwrap());
    assert!(!zkprov_sandbox::reset(dir.path()).unwrap(), "there is none any more");
    let gone = send(&sandbox.compute, "GET", &format!("{disks}/d"), "").await.unwrap();
    assert_eq!(gone.status, 404);
}

#[tokio::test]
async fn the_clusters_ca_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(kept(dir.path())).await.unwrap().endpoints().ca_pem;
    let second = start(kept(dir.path())).await.unwrap().endpoints().ca_pem;
    assert!(first.starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(first, second);
}

#[tokio::test]
async fn faults_break_the_calls_they_name() {
    let rules = [
        "path=*/instances,nth=1,status=503",
        "path=*/instances,nth=2,reset=before",
        "path=*/instances,nth=3,reset=after",
        "path=*/instances,nth=4,truncate",
        "path=*/instances,nth=5,retry-after=7",
    ];
    let faults = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let sandbox = start(Options { faults, ..Options::default() }).await.unwrap();
    let get = || send(&sandbox.compute, "GET", INSTANCES, "");
    assert_eq!(get().await.unwrap().status, 503);
    for _ in 0..3 {
        get().await.unwrap_err();
    }
    let limited = get().await.unwrap();
    assert_eq!(limited.status, 429);
    assert!(limited.head.contains("retry-after: 7"));
    assert!(get().await.unwrap().status < 500);
}

#[tokio::test]
async fn faults_can_be_set_and_removed_while_serving() {
    let sandbox = start(Options::default()).await.unwrap();
    let rule = r#"{"path":"*/instances","when":{"first":9},"effect":{"status":{"code":418}}}"#;
    assert_eq!(send(&sandbox.compute, "POST", "/_sandbox/faults", rule).await.unwrap().status, 200);
    assert_eq!(send(&sandbox.compute, "GET", INSTANCES, "").await.unwrap().status, 418);
    let listed = send(&sandbox.compute, "GET", "/_sandbox/faults", "").await.unwrap().json();
    assert_eq!(listed["faults"][0]["matched"], 1);
    send(&sandbox.compute, "DELETE", "/_sandbox/faults", "").await.unwrap();
    assert_ne!(send(&sandbox.compute, "GET", INSTANCES, "").await.unwrap().status, 418);
    let bad = send(&sandbox.compute, "POST", "/_sandbox/faults", r#"{"effect":"explode"}"#).await.unwrap();
    assert_eq!(bad.status, 400);
}

#[tokio::test]
async fn nothing_is_served_after_a_cut() {
    for side in [Side::Before, Side::After] {
        let cut = Some(Cut { at: 2, side });
        let sandbox = start(Options { cut_at: cut, ..Options::default() }).await.unwrap();
        let post = || send(&sandbox.compute, "POST", INSTANCES, "{}");
        post().await.unwrap();
        send(&sandbox.compute, "GET", INSTANCES, "").await.unwrap();
        assert_eq!(sandbox.cut_request(), None);
        post().await.unwrap_err();
        assert!(sandbox.cut_request().is_some());
        send(&sandbox.compute, "GET", INSTANCES, "").await.unwrap_err();
    }
}

#[tokio::test]
async fn a_paced_clock_goes_on_at_its_rate() {
    let options = Options { clock: Clock::Paced { rate: 1000.0 }, ..Options::default() };
    let sandbox = start(options).await.unwrap();
    let before = sandbox.world().unwrap().now;
    tokio::time::sleep(Duration::from_millis(30)).await;
    let after = sandbox.world().unwrap().now;
    assert!(after >= before + 25_000, "{before} {after}");
    let error = start(Options { clock: Clock::Paced { rate: 0.0 }, ..Options::default() }).await;
    assert!(error.is_err());
}

#[tokio::test]
async fn two_servers_of_one_directory_lose_nothing_of_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (start(kept(dir.path())).await.unwrap(), start(kept(dir.path())).await.unwrap());
    let disks = INSTANCES.replace("instances", "disks");
    let make = async |base: &str, side: &str| {
        for number in 0..8 {
            let body = format!(r#"{{"name":"{side}-{number}"}}"#);
            assert_eq!(send(base, "POST", &disks, &body).await.unwrap().status, 200);
        }
    };
    tokio::join!(make(&first.compute, "left"), make(&second.compute, "right"));
    let seen = |base: &str| {
        let base = base.to_owned();
        let disks = disks.clone();
        async move { send(&base, "GET", &disks, "").await.unwrap().json()["items"].as_array().unwrap().len() }
    };
    assert_eq!((seen(&first.compute).await, seen(&second.compute).await), (16, 16));
    // What is on disk is whole at any moment, with no help from the servers.
    assert!(zkprov_sandbox::show(dir.path()).unwrap()["compute"]["disks"].as_array().unwrap().len() == 16);
}

#[tokio::test]
async fn a_clusters_api_is_served_by_tls_under_the_ca_that_the_cluster_shows() {
    use std::sync::Arc;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

    let sandbox = start(Options::default()).await.unwrap();
    let clusters = "/v1/projects/p/locations/us-east1-d/clusters";
    let body = r#"{"cluster":{"name":"c","initialNodeCount":1}}"#;
    assert_eq!(send(&sandbox.container, "POST", clusters, body).await.unwrap().status, 200);
    sandbox.advance(Duration::from_secs(1200)).unwrap();
    let cluster = send(&sandbox.container, "GET", &format!("{clusters}/c"), "").await.unwrap().json();
    let endpoint = cluster["endpoint"].as_str().unwrap();
    let known = sandbox.endpoints();
    assert_eq!(known.clusters["p/us-east1-d/c"], endpoint);

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(known.ca_pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(endpoint).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .expect("a certificate of the cluster's CA");
}

#[tokio::test]
async fn a_kubernetes_from_outside_is_handed_out_with_its_own_ca() {
    let outside = OutsideCluster { address: "192.0.2.1:6443".to_owned(), ca_pem: "its CA".to_owned() };
    let sandbox = start(Options { outside_cluster: Some(outside), ..Options::default() }).await.unwrap();
    let clusters = "/v1/projects/p/locations/us-east1-d/clusters";
    let body = r#"{"cluster":{"name":"c","initialNodeCount":1}}"#;
    assert_eq!(send(&sandbox.container, "POST", clusters, body).await.unwrap().status, 200);
    sandbox.advance(Duration::from_secs(1200)).unwrap();
    let cluster = send(&sandbox.container, "GET", &format!("{clusters}/c"), "").await.unwrap().json();
    assert_eq!(cluster["endpoint"], "192.0.2.1:6443");
    assert_eq!(cluster["masterAuth"]["clusterCaCertificate"], "aXRzIENB");
    let delete = send(&sandbox.container, "DELETE", &format!("{clusters}/c"), "").await.unwrap();
    assert_eq!(delete.status, 200);
    sandbox.advance(Duration::from_secs(1200)).unwrap();
    assert!(sandbox.endpoints().clusters.is_empty());
}
