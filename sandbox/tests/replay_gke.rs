//! Replays captured traffic with the real GKE and Filestore APIs and compares every answer, field by field.
//!
//! The captures were made by the Config Connector project against Google Cloud and normalised by it.
#![expect(clippy::unwrap_used, reason = "a broken capture ends the test")]

#[path = "replay/capture.rs"]
mod capture;
#[path = "replay/fields.rs"]
mod fields;

use capture::Exchange;
use fields::{Accepted, differences};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use zkprov_sandbox::api::{Endpoints, Request, Service, percent_decode};
use zkprov_sandbox::google::rest::project_number;
use zkprov_sandbox::kubernetes::Answer;
use zkprov_sandbox::world::World;

const PROJECT: &str = "capture-project";

/// What differs from GKE's captures, and why that is right.
const GKE: &[Accepted] = &[
    Accepted { path: "etag", reason: "chosen by the server" },
    Accepted { path: "labelFingerprint", reason: "chosen by the server" },
    Accepted { path: "masterAuth.clusterCaCertificate", reason: "our own authority signed ours" },
    Accepted { path: "endpoint", reason: "our API is on loopback" },
    Accepted { path: "publicEndpoint", reason: "our API is on loopback" },
    Accepted { path: "privateEndpoint", reason: "chosen by the server" },
    Accepted { path: "currentMasterVersion", reason: "the default version moves with time" },
    Accepted { path: "currentNodeVersion", reason: "the default version moves with time" },
    Accepted { path: "initialClusterVersion", reason: "the default version moves with time" },
    Accepted { path: "version", reason: "the default version moves with time" },
    Accepted { path: "clusterIpv4Cidr", reason: "the next free block" },
    Accepted {
        path: "clusterIpv4CidrBlock",
        reason: "the next free block; the log blanks the size asked for",
    },
    Accepted { path: "networkConfig.podIpv4CidrBlock", reason: "the next free block" },
    Accepted { path: "defaultPodIpv4RangeUtilization", reason: "the real one reports it some minutes late" },
    Accepted {
        path: "networkConfig.podIpv4RangeUtilization",
        reason: "the real one reports it some minutes late",
    },
];

/// What the capture of 2025 lacks: the service answers with more defaults since.
const GKE_2025: &[Accepted] = &[
    Accepted { path: "addonsConfig.dnsCacheConfig", reason: "a default since 2026" },
    Accepted { path: "anonymousAuthenticationConfig.mode", reason: "ENABLED until 2026, LIMITED since" },
    Accepted { path: "autoscaling.autoprovisioningNodePoolDefaults", reason: "answered since 2026" },
    Accepted { path: "controlPlaneEgress", reason: "answered since 2026" },
    Accepted { path: "dnsEndpointConfig.enableK8sCertsViaDns", reason: "answered since 2026" },
    Accepted { path: "dnsEndpointConfig.enableK8sTokensViaDns", reason: "answered since 2026" },
    Accepted { path: "ipAllocationPolicy.networkTierConfig", reason: "answered since 2026" },
    Accepted { path: "networkConfig.networkTierConfig", reason: "answered since 2026" },
    Accepted { path: "podAutoscaling.hpaProfile", reason: "unspecified until 2026, PERFORMANCE since" },
];

/// What differs from Filestore's capture, which was made against a mock of the service.
const FILESTORE: &[Accepted] = &[
    Accepted { path: "etag", reason: "the mock has none" },
    Accepted { path: "protocol", reason: "a default that the mock leaves out" },
    Accepted { path: "connectMode", reason: "a default that the mock leaves out" },
    Accepted { path: "ipAddresses[0]", reason: "the mock gives every instance 10.20.30.1" },
    Accepted { path: "reservedIpRange", reason: "the mock gives every instance 10.20.30.0/24" },
    Accepted { path: "error.message", reason: "the mock names another zone than the request" },
];

struct Replay {
    world: World,
    endpoints: Endpoints,
    /// Name of the operation started last.
    operation: String,
    /// Last `labelFingerprint` answered.
    fingerprint: String,
}

impl Replay {
    fn answer(&mut self, exchange: &Exchange, service: Service) -> (u16, Value) {
        let done = exchange.response["status"] == "DONE" || exchange.response["done"] == true;
        let seconds = if done { 600 } else { 1 };
        self.world.advance_to(self.world.now + seconds * 1000);
        let mut body = exchange.body.clone();
        if let Some(fingerprint) = body.get_mut("labelFingerprint") {
            *fingerprint = json!(self.fingerprint);
        }
        let (path, query) = exchange.target.split_once('?').unwrap_or((&exchange.target, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let request = Request {
            service,
            method: exchange.method.clone(),
            path: path.replace("${operationID}", &self.operation),
            query: pairs.map(|(name, value)| (name.to_owned(), percent_decode(value))).collect(),
            headers: Vec::new(),
            body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        };
        let now = self.world.now;
        let Answer::Done(response) = self.world.handle(&request, now, &self.endpoints) else {
            panic!("a response")
        };
        let value: Value = serde_json::from_slice(&response.body).unwrap();
        if let Some(fingerprint) = value["labelFingerprint"].as_str() {
            fingerprint.clone_into(&mut self.fingerprint);
        }
        let started = exchange.method != "GET" && response.status == 200;
        if let Some(name) = value["name"].as_str().filter(|_| started) {
            self.operation = name.rsplit('/').next().unwrap_or_default().to_owned();
        }
        let text = value.to_string();
        let text =
            if self.operation.is_empty() { text } else { text.replace(&self.operation, "${operationID}") };
        (response.status, serde_json::from_str(&text).unwrap())
    }
}

/// Replays the exchanges of one log with `host`, and checks that nothing but the accepted differs.
fn replay(log: &str, unique: &str, host: &str, accepted: &[Accepted]) -> BTreeMap<&'static str, usize> {
    let number = project_number(PROJECT).to_string();
    let placeholders = [
        ("${projectId}", PROJECT),
        ("${projectNumber}", number.as_str()),
        ("${uniqueId}", unique),
        ("${networkID}", "network-of-capture"),
        ("${subnetworkID}", "subnetwork-of-capture"),
    ];
    let keys = ["us-central1-a/cluster-sample-", "us-west2/containercluster-"];
    let clusters = keys.iter().map(|key| (format!("{PROJECT}/{key}{unique}"), "127.0.0.1:6443".to_owned()));
    let mut replay = Replay {
        world: World::new(1, 1_790_000_000_000),
        endpoints: Endpoints { clusters: clusters.collect(), ca_pem: "PEM".to_owned() },
        operation: String::new(),
        fingerprint: String::new(),
    };
    let service = if host.starts_with("container") { Service::Container } else { Service::Filestore };
    let log = placeholders.iter().fold(log.to_owned(), |log, (name, value)| log.replace(name, value));
    let exchanges = capture::read(&log);
    let mut used = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut replayed = 0;
    for exchange in exchanges.iter().filter(|exchange| exchange.host == host) {
        replayed += 1;
        let (status, ours) = replay.answer(exchange, service.clone());
        let line = format!("block {}: {} {}", exchange.block, exchange.method, exchange.target);
        if status != exchange.status {
            wrong.push(format!("{line}: status {status}, captured {}: {ours}", exchange.status));
        }
        let found = differences(&ours, &exchange.response, accepted, &mut used);
        wrong.extend(found.into_iter().map(|difference| format!("{line}\n    {difference}")));
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    assert!(replayed >= 9, "only {replayed} exchanges with {host}");
    used
}

/// An accepted difference that no capture shows any more must go from the table.
fn all_used(accepted: &[Accepted], used: &[BTreeMap<&'static str, usize>]) {
    for entry in accepted {
        let seen = used.iter().any(|used| used.contains_key(entry.path));
        assert!(seen, "{} ({}) is accepted but differs nowhere", entry.path, entry.reason);
    }
}

fn both(one: &'static [Accepted], other: &'static [Accepted]) -> Vec<Accepted> {
    one.iter().chain(other).map(|entry| Accepted { path: entry.path, reason: entry.reason }).collect()
}

#[test]
fn clusters_and_node_pools_answer_as_captured() {
    let host = "container.googleapis.com";
    let old = both(GKE, GKE_2025);
    let used = [
        replay(include_str!("fixtures/google-cloud/cluster_minimal.log"), "qidxxxxxxxxxxxxxxxxx", host, &old),
        replay(include_str!("fixtures/google-cloud/cluster_full.log"), "5v7ypxxxxxxxxxxxxxxx", host, GKE),
        replay(include_str!("fixtures/google-cloud/nodepool.log"), "duutpxxxxxxxxxxxxxxx", host, GKE),
    ];
    all_used(&old, &used);
}

#[test]
fn filestore_answers_as_captured() {
    let log = include_str!("fixtures/google-cloud/filestore.log");
    let used = replay(log, "files", "file.googleapis.com", FILESTORE);
    all_used(FILESTORE, &[used]);
}
