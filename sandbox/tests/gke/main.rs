//! GKE as its clients see it: clusters and node pools by requests alone, and what upgrades do to an ensemble.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

mod autopilot;
mod regional;
mod troubles;
mod upgrades;

use serde_json::{Value, json};
use zkprov_sandbox::api::{Endpoints, Request, Response, Service};
use zkprov_sandbox::kubernetes::Answer;
use zkprov_sandbox::views::PolicyEngine;
use zkprov_sandbox::world::World;

const ZONE: &str = "/v1/projects/p/locations/us-east1-d";
const START: u64 = 1_800_000_000_000;

/// The share of the ensemble.
const SHARE: &str = "projects/p/global/networks/default files.example:/data";

struct Gke {
    world: World,
    endpoints: Endpoints,
}

impl Gke {
    fn new() -> Self {
        let endpoints = Endpoints {
            clusters: [("p/us-east1-d/cluster-1".to_owned(), "127.0.0.1:6443".to_owned())].into(),
            ca_pem: "PEM".to_owned(),
        };
        Self { world: World::new(7, START), endpoints }
    }

    /// A world with a running cluster of two nodes.
    fn running() -> Self {
        let mut gke = Self::new();
        gke.ok("POST", "/clusters", &json!({"cluster": {"name": "cluster-1", "initialNodeCount": 2}}));
        gke.pass(240);
        gke
    }

    fn call(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query = query.split('&').filter_map(|pair| pair.split_once('='));
        let request = Request {
            service: Service::Container,
            method: method.to_owned(),
            path: if path.starts_with("/v1") { path.to_owned() } else { format!("{ZONE}{path}") },
            query: query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            headers: Vec::new(),
            body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        };
        let now = self.world.now;
        let Answer::Done(response) = self.world.handle(&request, now, &self.endpoints) else {
            panic!("a response")
        };
        (response.status, serde_json::from_slice(&response.body).unwrap())
    }

    fn ok(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let (status, body) = self.call(method, path, body);
        assert_eq!(status, 200, "{method} {path}: {body}");
        body
    }

    fn get(&mut self, path: &str) -> Value {
        self.ok("GET", path, &Value::Null)
    }

    fn refused(&mut self, method: &str, path: &str, body: &Value) -> (u16, String, String) {
        let (status, body) = self.call(method, path, body);
        let text = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
        assert_eq!(body["error"]["errors"][0]["message"], body["error"]["message"]);
        (status, text("status"), text("message"))
    }

    fn pass(&mut self, seconds: u64) {
        self.world.advance_to(self.world.now + seconds * 1000);
    }

    /// Asks the Kubernetes API of a cluster.
    fn kube(&mut self, cluster: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let response = self.kube_response(cluster, method, path, body);
        (response.status, serde_json::from_slice(&response.body).unwrap())
    }

    fn kube_response(&mut self, cluster: &str, method: &str, path: &str, body: &Value) -> Response {
        let request = Request {
            service: Service::Kubernetes(cluster.to_owned()),
            method: method.to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        };
        let now = self.world.now;
        let Answer::Done(response) = self.world.handle(&request, now, &self.endpoints) else {
            panic!("a response")
        };
        response
    }

    /// A Deployment of so many pods, no two of them on one node.
    fn spread(&mut self, cluster: &str, replicas: usize) {
        let labels = json!({"app": "web"});
        let apart =
            json!([{"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}}]);
        let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": "nginx:1"}],
                    "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": apart}}}}}});
        let (status, answer) =
            self.kube(cluster, "POST", "/apis/apps/v1/namespaces/default/deployments", &body);
        assert_eq!(status, 201, "{answer}");
    }

    /// Three members of an ensemble on a file server elsewhere, no two of them on one node.
    fn ensemble(&mut self, cluster: &str) {
        let labels = json!({"app": "web"});
        let apart =
            json!([{"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}}]);
        let container = json!({"name": "exhibitor", "image": "mbabineau/zookeeper-exhibitor",
            "ports": [{"containerPort": 2181}, {"containerPort": 8181}],
            "env": [{"name": "HOSTNAME", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            "readinessProbe": {"httpGet": {"path": "/exhibitor/v1/cluster/4ltr/ruok", "port": 8181}},
            "volumeMounts": [{"name": "nfs", "mountPath": "/opt/zookeeper/local_configs"}]});
        let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "exhibitor"},
            "spec": {"replicas": 3, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container],
                    "volumes": [{"name": "nfs", "nfs": {"server": "files.example", "path": "/data"}}],
                    "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": apart}}}}}});
        let (status, answer) =
            self.kube(cluster, "POST", "/apis/apps/v1/namespaces/default/deployments", &body);
        assert_eq!(status, 201, "{answer}");
    }

    /// A budget for these pods.
    fn budget(&mut self, cluster: &str, most: usize) {
        let body = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
            "spec": {"maxUnavailable": most, "selector": {"matchLabels": {"app": "web"}}}});
        let path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
        let (status, answer) = self.kube(cluster, "POST", path, &body);
        assert_eq!(status, 201, "{answer}");
    }

    /// Pods that are ready, as node and name.
    fn ready_pods(&mut self, cluster: &str) -> Vec<(String, String)> {
        let (_, list) = self.kube(cluster, "GET", "/api/v1/namespaces/default/pods", &Value::Null);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let ready = |pod: &Value| {
            let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
            pod["metadata"].get("deletionTimestamp").is_none()
                && conditions.iter().any(|own| own["type"] == "Ready" && own["status"] == "True")
        };
        let pods = list["items"].as_array().cloned().unwrap_or_default();
        let pods = pods.iter().filter(|pod| ready(pod));
        pods.map(|pod| (text(&pod["spec"]["nodeName"]), text(&pod["metadata"]["name"]))).collect()
    }

    /// Lets time go by, with a look after each event.
    fn each_event(&mut self, seconds: u64, mut look: impl FnMut(&mut Self)) {
        let end = self.world.now + seconds * 1000;
        while self.world.now < end {
            let next = self.world.next_event().map_or(end, |next| next.clamp(self.world.now + 1, end));
            self.world.advance_to(next);
            look(self);
        }
    }

    fn done(&mut self, operation: &Value) -> Value {
        self.get(&format!("/operations/{}", operation["name"].as_str().unwrap()))
    }

    fn node_names(&self) -> Vec<String> {
        self.world.google.container.nodes().into_iter().map(|node| node.name).collect()
    }
}

#[test]
fn a_cluster_from_creation_to_deletion() {
    let mut gke = Gke::new();
    let body =
        json!({"cluster": {"name": "cluster-1", "initialNodeCount": 2, "nodeConfig": {"tags": ["zk"]}}});
    let create = gke.ok("POST", "/clusters", &body);
    assert_eq!(
        (create["operationType"].as_str(), create["status"].as_str()),
        (Some("CREATE_CLUSTER"), Some("RUNNING"))
    );
    let cluster = gke.get("/clusters/cluster-1");
    assert_eq!((cluster["status"].as_str(), cluster.get("endpoint")), (Some("PROVISIONING"), None));
    assert!(gke.world.google.container.running_clusters().is_empty());
    gke.pass(120);
    let operation = gke.done(&create);
    assert_eq!(operation["progress"]["metrics"][2], json!({"intValue": "6", "name": "CLUSTER_DEPLOYING"}));
    gke.pass(120);
    assert_eq!(gke.done(&create)["status"], "DONE");
    assert_eq!(gke.done(&create)["endTime"], "2027-01-15T08:04:00Z");

    let cluster = gke.get("/clusters/cluster-1");
    assert_eq!(cluster["status"], "RUNNING");
    assert_eq!(cluster["endpoint"], "127.0.0.1:6443");
    assert_eq!(cluster["masterAuth"]["clusterCaCertificate"], "UEVN");
    assert_eq!(cluster["currentNodeCount"], 2);
    assert_eq!(
        cluster["selfLink"],
        "https://container.googleapis.com/v1/projects/p/zones/us-east1-d/clusters/cluster-1"
    );
    assert_eq!(cluster.get("clusterTelemetry"), None);
    let view = &gke.world.google.container.running_clusters()[0];
    assert_eq!(view.key, "p/us-east1-d/cluster-1");
    let node = &view.nodes[0];
    assert!(node.name.starts_with("gke-cluster-1-default-pool-"));
    assert_eq!(
        (node.ip.as_str(), node.zone.as_str(), node.machine_type.as_str()),
        ("10.142.8.2", "us-east1-d", "e2-medium")
    );
    assert_eq!(node.tags[0], "zk");
    assert!(node.name.starts_with(node.group.strip_suffix("-grp").unwrap()));

    let delete = gke.ok("DELETE", "/clusters/cluster-1", &Value::Null);
    assert_eq!(gke.get("/clusters/cluster-1")["status"], "STOPPING");
    assert!(gke.world.google.container.running_clusters().is_empty());
    gke.pass(180);
    assert_eq!(gke.done(&delete)["status"], "DONE");
    let gone = gke.refused("GET", "/clusters/cluster-1", &Value::Null);
    assert_eq!(
        gone,
        (404, "NOT_FOUND".into(), "Not found: projects/p/zones/us-east1-d/clusters/cluster-1.".into())
    );
    assert_eq!(gke.get("/clusters"), json!({}));
    assert!(gke.world.google.container.nodes().is_empty());
}

#[test]
fn regional_clusters_have_nodes_in_three_zones_and_share_no_address() {
    let mut gke = Gke::running();
    let region = "/v1/projects/p/locations/us-east1/clusters";
    gke.ok("POST", region, &json!({"cluster": {"name": "wide", "initialNodeCount": 1}}));
    gke.pass(240);
    let wide = gke.get(&format!("{region}/wide"));
    assert_eq!(wide["currentNodeCount"], 3);
    assert_eq!(wide["locations"], json!(["us-east1-b", "us-east1-c", "us-east1-d"]));
    assert_eq!(wide["instanceGroupUrls"].as_array().unwrap().len(), 3);
    let mut addresses: Vec<String> =
        gke.world.google.container.nodes().into_iter().map(|node| node.ip).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 5);
    let all = gke.get("/v1/projects/p/locations/-/clusters");
    let ranges: Vec<&str> =
        all["clusters"].as_array().unwrap().iter().filter_map(|c| c["clusterIpv4Cidr"].as_str()).collect();
    assert_eq!(ranges, ["10.8.0.0/14", "10.12.0.0/14"]);
    assert_eq!(gke.get("/v1/projects/other/zones/-/clusters"), json!({}));
}

#[test]
fn refusals_of_create() {
    let mut gke = Gke::running();
    let cases = [
        (json!({"cluster": {"name": "c"}}), 400, "Cluster.initial_node_count must be greater than zero."),
        (
            json!({"cluster": {"name": "C", "initialNodeCount": 1}}),
            400,
            "Invalid value for field \"cluster.name\": \"C\".",
        ),
        (
            json!({"cluster": {"name": "c", "initialNodeCount": 1, "nodePools": [{"name": "n", "initialNodeCount": 1}]}}),
            400,
            "Cluster.initial_node_count and Cluster.node_config must not be set",
        ),
        (
            json!({"cluster": {"name": "cluster-1", "initialNodeCount": 1}}),
            409,
            "Already exists: projects/p/zones/us-east1-d/clusters/cluster-1.",
        ),
        (
            json!({"cluster": {"name": "c", "initialNodeCount": 1, "initialClusterVersion": "1.10"}}),
            400,
            "Master version \"1.10\" is unsupported.",
        ),
        (
            json!({"cluster": {"name": "c", "initialNodeCount": 1, "nodeConfig": {"machineType": "n9-huge-1"}}}),
            400,
            "Machine type with name \"n9-huge-1\" does not exist in zone \"us-east1-d\".",
        ),
        (
            json!({"cluster": {"name": "c", "initialNodeCount": 1, "locations": ["us-east4-a"]}}),
            400,
            "Location \"us-east4-a\" is not a zone of region \"us-east1\".",
        ),
        (
            json!({"cluster": {"name": "c", "nodeCount": 1}}),
            400,
            "Invalid JSON payload received. Unknown name \"nodeCount\" at 'cluster': Cannot find field.",
        ),
        (
            json!({"cluster": {"name": "c", "initialNodeCount": 1, "releaseChannel": {"channel": "SLOW"}}}),
            400,
            "Invalid value at 'cluster.release_channel.channel'",
        ),
        (json!({"cluster": {"name": "c", "initialNodeCount": 5000}}), 400, "Node count 5000 must be between"),
        (json!({}), 400, "Required field \"cluster\" must be specified."),
    ];
    let before = gke.world.clone();
    for (body, status, message) in cases {
        let refused = gke.refused("POST", "/clusters", &body);
        assert_eq!(refused.0, status, "{body}");
        assert!(refused.2.starts_with(message), "{body}: {}", refused.2);
    }
    assert_eq!(gke.world.google.container, before.google.container);
    let nowhere = gke.refused("POST", "/v1/projects/p/zones/us-east1-a/clusters", &json!({}));
    assert_eq!(nowhere.2, "Location \"us-east1-a\" does not exist.");
}

#[test]
fn one_operation_at_a_time() {
    let mut gke = Gke::new();
    let create =
        gke.ok("POST", "/clusters", &json!({"cluster": {"name": "cluster-1", "initialNodeCount": 1}}));
    let name = create["name"].as_str().unwrap().to_owned();
    let busy = format!(
        "Operation {name} is currently creating cluster cluster-1. Please wait and try again once it is done."
    );
    for (method, path, body) in [
        ("DELETE", "/clusters/cluster-1", Value::Null),
        ("PUT", "/clusters/cluster-1", json!({"update": {"desiredLoggingService": "none"}})),
        ("POST", "/clusters/cluster-1/nodePools", json!({"nodePool": {"name": "n", "initialNodeCount": 1}})),
        ("POST", "/clusters/cluster-1/nodePools/default-pool:setSize", json!({"nodeCount": 1})),
        ("POST", "/clusters/cluster-1:setResourceLabels", json!({"labelFingerprint": "x"})),
    ] {
        let refused = gke.refused(method, path, &body);
        assert_eq!(refused, (400, "FAILED_PRECONDITION".to_owned(), busy.clone()), "{method} {path}");
    }
}

#[test]
fn a_pool_changes_its_size() {
    let mut gke = Gke::running();
    let before = gke.node_names();
    for (path, size) in [
        ("/clusters/cluster-1/nodePools/default-pool:setSize", 4),
        ("/v1/projects/p/zones/us-east1-d/clusters/cluster-1/nodePools/default-pool/setSize", 3),
    ] {
        let resize = gke.ok("POST", path, &json!({"nodeCount": size}));
        assert_eq!(
            (resize["operationType"].as_str(), resize["status"].as_str()),
            (Some("SET_NODE_POOL_SIZE"), Some("PENDING"))
        );
        gke.pass(10);
        assert_eq!(gke.done(&resize)["status"], "RUNNING");
        gke.pass(35);
        let cluster = gke.get("/clusters/cluster-1");
        assert_eq!(cluster["currentNodeCount"], size);
        assert_eq!(cluster["nodePools"][0]["initialNodeCount"], 2);
    }
    assert_eq!(gke.node_names()[..2], before[..]);
    let refused = gke.refused("POST", "/clusters/cluster-1/nodePools/none:setSize", &json!({"nodeCount": 1}));
    assert_eq!(refused.2, "Not found: node pool \"none\" not found.");
}

#[test]
fn etags_and_fingerprints_guard_changes() {
    let mut gke = Gke::running();
    let cluster = gke.get("/clusters/cluster-1");
    let update = |etag: &Value| json!({"update": {"desiredLoggingService": "none", "etag": etag}});
    assert_eq!(gke.refused("PUT", "/clusters/cluster-1", &update(&json!("old"))).1, "ABORTED");
    gke.ok("PUT", "/clusters/cluster-1", &update(&cluster["etag"]));
    gke.pass(30);
    let after = gke.get("/clusters/cluster-1");
    assert_eq!((after["loggingService"].as_str(), after["status"].as_str()), (Some("none"), Some("RUNNING")));
    assert_ne!(after["etag"], cluster["etag"]);

    let labels = |fingerprint: &Value| json!({"resourceLabels": {"a": "b"}, "labelFingerprint": fingerprint});
    assert_eq!(
        gke.refused("POST", "/clusters/cluster-1:setResourceLabels", &labels(&json!("x"))).1,
        "FAILED_PRECONDITION"
    );
    gke.ok(
        "POST",
        "/v1/projects/p/zones/us-east1-d/clusters/cluster-1/resourceLabels",
        &labels(&after["labelFingerprint"]),
    );
    gke.pass(5);
    let labelled = gke.get("/clusters/cluster-1");
    assert_eq!(labelled["resourceLabels"], json!({"a": "b"}));
    assert_ne!(labelled["labelFingerprint"], after["labelFingerprint"]);
    assert_eq!(gke.world.google.container.nodes()[0].labels["a"], "b");

    let window = json!({"dailyMaintenanceWindow": {"startTime": "03:00"}});
    let policy =
        |version: &Value| json!({"maintenancePolicy": {"window": window, "resourceVersion": version}});
    gke.ok(
        "POST",
        "/clusters/cluster-1:setMaintenancePolicy",
        &policy(&labelled["maintenancePolicy"]["resourceVersion"]),
    );
    gke.pass(5);
    let kept = gke.get("/clusters/cluster-1");
    assert_eq!(kept["maintenancePolicy"]["window"]["dailyMaintenanceWindow"]["startTime"], "03:00");
    let stale = gke.refused("POST", "/clusters/cluster-1:setMaintenancePolicy", &policy(&json!("e3b0c442")));
    assert_eq!(stale.1, "FAILED_PRECONDITION");
}

#[test]
fn updates_come_one_by_one() {
    let mut gke = Gke::running();
    let put = |update: Value| json!({ "update": update });
    let two = put(json!({"desiredLoggingService": "none", "desiredMasterVersion": "latest"}));
    let refused = gke.refused("PUT", "/clusters/cluster-1", &two);
    assert_eq!(refused.2, "Exactly one update can be applied to a cluster with each request.");
    assert_eq!(
        gke.refused("PUT", "/clusters/cluster-1", &put(json!({}))).2,
        "Must specify a field to update."
    );

    let upgrade = gke.ok("PUT", "/clusters/cluster-1", &put(json!({"desiredMasterVersion": "latest"})));
    assert_eq!(upgrade["operationType"], "UPGRADE_MASTER");
    gke.pass(30);
    let cluster = gke.get("/clusters/cluster-1");
    assert_eq!(cluster["currentMasterVersion"], "1.35.1-gke.1396002");
    assert_eq!(cluster["currentNodeVersion"], "1.34.4-gke.1047000");
    let back = gke.refused("PUT", "/clusters/cluster-1", &put(json!({"desiredMasterVersion": "1.34"})));
    assert!(back.2.contains("cannot downgrade"), "{}", back.2);

    for (update, pointer, value) in [
        (json!({"desiredReleaseChannel": {"channel": "STABLE"}}), "/releaseChannel/channel", json!("STABLE")),
        (json!({"desiredShieldedNodes": {"enabled": false}}), "/shieldedNodes", json!({})),
        (
            json!({"desiredDnsConfig": {"clusterDns": "CLOUD_DNS"}}),
            "/networkConfig/dnsConfig/clusterDns",
            json!("CLOUD_DNS"),
        ),
        (
            json!({"desiredIntraNodeVisibilityConfig": {"enabled": true}}),
            "/networkConfig/enableIntraNodeVisibility",
            json!(true),
        ),
        (
            json!({"desiredAddonsConfig": {"gcpFilestoreCsiDriverConfig": {"enabled": true}}}),
            "/addonsConfig/gcpFilestoreCsiDriverConfig/enabled",
            json!(true),
        ),
    ] {
        gke.ok("PUT", "/clusters/cluster-1", &put(update));
        gke.pass(30);
        let cluster = gke.get("/clusters/cluster-1");
        assert_eq!(cluster.pointer(pointer), Some(&value), "{pointer}");
        assert_eq!(cluster["addonsConfig"]["kubernetesDashboard"], json!({"disabled": true}));
    }
}

#[test]
fn upgrading_nodes_replaces_them_one_after_the_other() {
    let mut gke = Gke::running();
    let before = gke.node_names();
    let path = "/clusters/cluster-1/nodePools/default-pool";
    let upgrade = gke.ok("PUT", path, &json!({"machineType": "e2-standard-4"}));
    gke.pass(30);
    let middle = gke.node_names();
    assert_ne!(middle[0], before[0]);
    assert_eq!(middle[1], before[1]);
    let metrics = gke.done(&upgrade)["progress"]["metrics"].clone();
    assert_eq!(
        metrics,
        json!([{"intValue": "2", "name": "NODES_TOTAL"}, {"intValue": "1", "name": "NODES_COMPLETE"}])
    );
    gke.pass(30);
    assert!(gke.node_names().iter().all(|name| !before.contains(name)));
    assert_eq!(gke.world.google.container.nodes()[1].machine_type, "e2-standard-4");

    let now = gke.node_names();
    let taints = json!([{"key": "k", "value": "v", "effect": "NO_SCHEDULE"}]);
    gke.ok("PUT", path, &json!({"taints": {"taints": taints}}));
    gke.pass(60);
    assert_eq!((gke.get(path)["config"]["taints"].clone(), gke.node_names()), (taints, now));
}

#[test]
fn what_was_switched_off_stays_off() {
    let mut gke = Gke::new();
    let mut cluster = json!({"name": "cluster-1", "shieldedNodes": {"enabled": false},
        "addonsConfig": {"gcePersistentDiskCsiDriverConfig": {"enabled": false}},
        "nodePools": [{"name": "n", "initialNodeCount": 1, "management": {"autoRepair": true, "autoUpgrade": false}}]});
    let refused = gke.refused("POST", "/clusters", &json!({ "cluster": cluster }));
    assert_eq!(refused.2, "Auto_upgrade cannot be false when release_channel REGULAR is set.");
    cluster["releaseChannel"] = json!({"channel": "UNSPECIFIED"});
    gke.ok("POST", "/clusters", &json!({ "cluster": cluster }));
    gke.pass(240);
    let live = gke.get("/clusters/cluster-1");
    assert_eq!((&live["shieldedNodes"], &live["releaseChannel"]), (&json!({}), &json!({})));
    assert_eq!(live["addonsConfig"]["gcePersistentDiskCsiDriverConfig"], json!({}));
    assert_eq!(live["nodePools"][0]["management"], json!({"autoRepair": true}));
    let path = "/clusters/cluster-1/nodePools/n:setManagement";
    gke.ok("POST", path, &json!({"management": {}}));
    gke.pass(30);
    assert_eq!(gke.get("/clusters/cluster-1/nodePools/n")["management"], json!({}));
}

#[test]
fn cancelled_creations_are_taken_back() {
    let mut gke = Gke::running();
    let create = gke.ok(
        "POST",
        "/clusters/cluster-1/nodePools",
        &json!({"nodePool": {"name": "extra", "initialNodeCount": 1}}),
    );
    assert_eq!(gke.get("/clusters/cluster-1/nodePools/extra")["status"], "PROVISIONING");
    let cancel = format!("/operations/{}:cancel", create["name"].as_str().unwrap());
    assert_eq!(gke.ok("POST", &cancel, &json!({})), json!({}));
    gke.pass(0);
    assert_eq!(gke.done(&create)["error"]["code"], 1);
    assert_eq!(gke.refused("GET", "/clusters/cluster-1/nodePools/extra", &Value::Null).0, 404);
    assert_eq!(gke.refused("POST", &cancel, &json!({})).1, "FAILED_PRECONDITION");
    assert_eq!(gke.get("/clusters/cluster-1")["status"], "RUNNING");
}

#[test]
fn enums_travel_as_numbers_too() {
    let mut gke = Gke::running();
    let cluster = gke.get("/clusters/cluster-1?$alt=json;enum-encoding=int");
    assert_eq!((&cluster["status"], &cluster["nodePools"][0]["status"]), (&json!(2), &json!(2)));
    assert_eq!(cluster["releaseChannel"]["channel"], 2);
    let body = json!({"update": {"desiredReleaseChannel": {"channel": 3}}});
    let operation = gke.ok("PUT", "/clusters/cluster-1?alt=json;enum-encoding=int", &body);
    assert_eq!((&operation["status"], &operation["operationType"]), (&json!(2), &json!(6)));
}

#[test]
fn server_config_and_unknown_methods() {
    let mut gke = Gke::new();
    let config = gke.get("/serverConfig");
    assert_eq!(config["channels"][1]["defaultVersion"], config["defaultClusterVersion"]);
    assert_eq!(gke.get("/v1/projects/p/zones/us-east1-d/serverconfig"), config);
    assert_eq!(gke.refused("PATCH", "/clusters/c", &Value::Null).2, "Method not found.");
    assert_eq!(gke.refused("GET", "/operations/operation-1-x", &Value::Null).0, 404);
}

#[test]
fn the_world_survives_its_state_file() {
    let gke = Gke::running();
    let text = serde_json::to_string(&gke.world).unwrap();
    assert_eq!(serde_json::from_str::<World>(&text).unwrap(), gke.world);
}

#[test]
fn network_policies_are_enforced_where_the_cluster_says_so() {
    let addon = |enabled: bool, disabled: bool| {
        json!({"networkPolicy": {"enabled": enabled, "provider": "CALICO"},
            "addonsConfig": {"networkPolicyConfig": {"disabled": disabled}}})
    };
    for (fields, engine) in [
        (json!({}), PolicyEngine::None),
        (json!({"networkConfig": {"datapathProvider": "LEGACY_DATAPATH"}}), PolicyEngine::None),
        (json!({"networkConfig": {"datapathProvider": "ADVANCED_DATAPATH"}}), PolicyEngine::Cilium),
        (addon(true, false), PolicyEngine::Calico),
        (addon(true, true), PolicyEngine::None),
        (addon(false, false), PolicyEngine::None),
    ] {
        let mut gke = Gke::new();
        let mut cluster = json!({"name": "cluster-1", "initialNodeCount": 1});
        for (key, value) in fields.as_object().unwrap() {
            cluster[key] = value.clone();
        }
        gke.ok("POST", "/clusters", &json!({"cluster": cluster}));
        gke.pass(240);
        assert_eq!(gke.world.google.container.running_clusters()[0].policies, engine, "{fields}");
    }
}

#[test]
fn the_policy_add_on_is_turned_on_and_off() {
    let mut gke = Gke::running();
    let engine = |gke: &Gke| gke.world.google.container.running_clusters()[0].policies;
    assert_eq!(engine(&gke), PolicyEngine::None);
    for (on, expected) in [(true, PolicyEngine::Calico), (false, PolicyEngine::None)] {
        let addons = json!({"addonsConfig": {"networkPolicyConfig": {"disabled": !on}}});
        gke.ok("POST", "/clusters/cluster-1:setAddons", &addons);
        gke.pass(600);
        let policy = json!({"networkPolicy": {"enabled": on, "provider": "CALICO"}});
        gke.ok("POST", "/clusters/cluster-1:setNetworkPolicy", &policy);
        gke.pass(600);
        assert_eq!(engine(&gke), expected);
    }
}
