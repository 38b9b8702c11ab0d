//! How clients reach the clusters: by address, by DNS endpoint, and not at all.
#![expect(clippy::unwrap_used, reason = "a failed assumption ends the test")]

use crate::support::send;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use zkprov_sandbox::server::{Options, Running, start};

const CLUSTERS: &str = "/v1/projects/p/locations/us-east1-d/clusters";

/// A sandbox with a cluster `c` whose endpoints are as told.
async fn with_cluster(endpoints: Value) -> Running {
    let sandbox = start(Options::default()).await.unwrap();
    let cluster =
        json!({"cluster": {"name": "c", "initialNodeCount": 1, "controlPlaneEndpointsConfig": endpoints}});
    assert_eq!(send(&sandbox.container, "POST", CLUSTERS, &cluster.to_string()).await.unwrap().status, 200);
    sandbox.advance(Duration::from_secs(1200)).unwrap();
    sandbox
}

async fn cluster(sandbox: &Running) -> Value {
    send(&sandbox.container, "GET", &format!("{CLUSTERS}/c"), "").await.unwrap().json()
}

fn dns_name(cluster: &Value) -> String {
    let name = &cluster["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["endpoint"];
    name.as_str().unwrap().to_owned()
}

/// Asks a proxy for a connection: the status line of its answer, and the stream.
async fn connect(base: &str, target: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(base.strip_prefix("http://").unwrap()).await.unwrap();
    let request = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    (head.lines().next().unwrap().to_owned(), stream)
}

/// `GET /version` over TLS, by a name that the certificate has to have; empty when the connection breaks.
async fn ask(sandbox: &Running, name: &str, stream: TcpStream) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(sandbox.endpoints().ca_pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let request = "GET /version HTTP/1.1\r\nhost: c\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    // The server need not say goodbye to TLS.
    let _ = stream.read_to_string(&mut text).await;
    text
}

async fn version(sandbox: &Running, name: &str, stream: TcpStream) -> Value {
    serde_json::from_str(ask(sandbox, name, stream).await.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn a_dns_endpoint_is_reached_through_any_google_port() {
    let open =
        json!({"dnsEndpointConfig": {"allowExternalTraffic": true}, "ipEndpointsConfig": {"enabled": false}});
    let sandbox = with_cluster(open).await;
    let cluster = cluster(&sandbox).await;
    let name = dns_name(&cluster);
    // As in the recordings: `gke-` and 36 digits, the project's number, the location.
    assert!(name.starts_with("gke-") && name.ends_with(".us-east1-d.gke.goog"), "{name}");
    for base in [&sandbox.container, &sandbox.compute] {
        let (status, stream) = connect(base, &format!("{name}:443")).await;
        assert_eq!(status, "HTTP/1.1 200 OK");
        let version = version(&sandbox, &name, stream).await;
        assert_eq!(version["gitVersion"], format!("v{}", cluster["currentMasterVersion"].as_str().unwrap()));
    }
    // Its address is gone, and nothing else is to be reached.
    assert!(sandbox.endpoints().clusters.is_empty());
    for target in ["example.com:443", "gke-other.us-east1-d.gke.goog:443", &format!("{name}:22")] {
        let (status, _) = connect(&sandbox.container, target).await;
        assert_eq!(status, "HTTP/1.1 502 Bad Gateway", "{target}");
    }
}

#[tokio::test]
async fn a_dns_endpoint_lets_nobody_in_unless_it_is_opened() {
    let sandbox = with_cluster(json!({})).await;
    let live = cluster(&sandbox).await;
    let name = dns_name(&live);
    let (status, _) = connect(&sandbox.container, &format!("{name}:443")).await;
    assert_eq!(status, "HTTP/1.1 403 Forbidden");
    // The address leads there, too: a client that sends everything through its proxy finds it.
    let address = sandbox.endpoints().clusters["p/us-east1-d/c"].clone();
    let (status, stream) = connect(&sandbox.container, &address).await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert_eq!(version(&sandbox, "127.0.0.1", stream).await["major"], "1");
    let update = json!({"update": {"desiredControlPlaneEndpointsConfig":
        {"dnsEndpointConfig": {"allowExternalTraffic": true}}}});
    let update =
        send(&sandbox.container, "PUT", &format!("{CLUSTERS}/c"), &update.to_string()).await.unwrap();
    assert_eq!(update.status, 200, "{}", update.body);
    sandbox.advance(Duration::from_secs(60)).unwrap();
    let (status, stream) = connect(&sandbox.container, &format!("{name}:443")).await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert_eq!(version(&sandbox, &name, stream).await["major"], "1");
}

#[tokio::test]
async fn the_switches_of_gke_are_set_over_http() {
    let sandbox = start(Options::default()).await.unwrap();
    let off = json!({"troubles": [], "upgrades": null, "zonalUpgradesTakeApiAway": false});
    let get = || send(&sandbox.container, "GET", "/_sandbox/gke", "");
    assert_eq!(get().await.unwrap().json(), off);
    let wanted =
        json!({"upgrades": {"every": 3600}, "troubles": [{"code": "GCE_STOCKOUT", "outcome": "ERROR"}]});
    let set = send(&sandbox.compute, "PUT", "/_sandbox/gke", &wanted.to_string()).await.unwrap();
    assert_eq!(set.status, 200, "{}", set.body);
    let on = json!({"troubles": [{"code": "GCE_STOCKOUT", "outcome": "ERROR"}],
        "upgrades": {"every": 3600, "minors": false}, "zonalUpgradesTakeApiAway": false});
    assert_eq!(get().await.unwrap().json(), on);
    let body = r#"{"cluster":{"name":"c","initialNodeCount":1}}"#;
    assert_eq!(send(&sandbox.container, "POST", CLUSTERS, body).await.unwrap().status, 200);
    sandbox.advance(Duration::from_secs(3600)).unwrap();
    assert_eq!(cluster(&sandbox).await["status"], "ERROR");
    let wrong = send(&sandbox.container, "PUT", "/_sandbox/gke", r#"{"upgrade": {}}"#).await.unwrap();
    assert_eq!(wrong.status, 400);
    assert!(wrong.body.contains("unknown field `upgrade`"), "{}", wrong.body);
}

#[tokio::test]
async fn a_zonal_control_plane_is_away_and_comes_back_when_it_is_waited_for() {
    let sandbox = with_cluster(json!({})).await;
    let on = r#"{"zonalUpgradesTakeApiAway": true}"#;
    assert_eq!(send(&sandbox.container, "PUT", "/_sandbox/gke", on).await.unwrap().status, 200);
    let update = r#"{"update": {"desiredMasterVersion": "latest"}}"#;
    assert_eq!(send(&sandbox.container, "PUT", &format!("{CLUSTERS}/c"), update).await.unwrap().status, 200);
    let address = sandbox.endpoints().clusters["p/us-east1-d/c"].clone();
    let try_it = || async { ask(&sandbox, "127.0.0.1", TcpStream::connect(&address).await.unwrap()).await };
    assert_eq!(try_it().await, "");
    // Each try takes time by itself on this clock: the upgrade ends.
    let mut tries = 0;
    let text = loop {
        let text = try_it().await;
        tries += 1;
        if !text.is_empty() || tries == 20 {
            break text;
        }
    };
    assert!(text.contains("1.35.1-gke.1396002"), "{text}");
}
