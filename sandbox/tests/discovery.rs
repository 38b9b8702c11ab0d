//! Holds every answer of a whole session with the world against Google's own discovery documents: the method exists, and
//! each field of the answer is known, of the right JSON type, and an enum's value is one of its values.
#![expect(clippy::unwrap_used, reason = "a broken document ends the test")]

#[expect(clippy::disallowed_methods, reason = "the documents are files")]
mod documents;

use documents::Document;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use zkprov_sandbox::api::{Endpoints, Request, Service};
use zkprov_sandbox::google::container::{Code, Outcome, Settings, Trouble};
use zkprov_sandbox::kubernetes::Answer;
use zkprov_sandbox::world::World;

/// Fields that the real v1 API answers, as the captures show, although its document does not know them.
const UNDOCUMENTED: &[&str] = &[
    "isStateful",
    "locked",
    "minReadySec",
    "multiWriter",
    "serviceAccount",
    "shieldedVmConfig",
    "shieldedVmIntegrityPolicy",
];

const CLUSTER: &str = "cluster-1";

/// A world, and what it answered.
struct Session {
    world: World,
    endpoints: Endpoints,
    documents: BTreeMap<&'static str, Document>,
    /// Methods called with success.
    called: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Session {
    fn new() -> Self {
        let clusters = [(format!("p/us-east1-d/{CLUSTER}"), "127.0.0.1:6443".to_owned())];
        let names = [
            "compute.v1",
            "container.v1",
            "container.v1beta1",
            "file.v1",
            "file.v1beta1",
            "serviceusage.v1",
            "storage.v1",
        ];
        Self {
            world: World::new(3, 1_795_000_000_000),
            endpoints: Endpoints { clusters: clusters.into(), ca_pem: "PEM".to_owned() },
            documents: names.map(|name| (name, Document::read(name))).into(),
            called: BTreeSet::new(),
            wrong: Vec::new(),
        }
    }

    /// Calls a method that must succeed, checks request and answer, and lets an hour pass after a change.
    fn call(&mut self, api: &'static str, method: &str, path: &str, body: &Value) -> Value {
        let (api_name, version) = api.split_once('.').unwrap();
        let (service, root) = match api_name {
            "compute" => (Service::Compute, "/compute"),
            // Both at one address.
            "container" | "serviceusage" => (Service::Container, ""),
            _ => (Service::Filestore, ""),
        };
        let target = format!("{root}/{version}/projects/p/{path}");
        self.exchange(api, service, method, &target, body)
    }

    /// Calls Cloud Storage, whose paths know no project.
    fn storage(&mut self, method: &str, target: &str, body: &Value) -> Value {
        self.exchange("storage.v1", Service::Storage, method, target, body)
    }

    fn exchange(
        &mut self,
        api: &'static str,
        service: Service,
        method: &str,
        target: &str,
        body: &Value,
    ) -> Value {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = query.split('&').filter_map(|pair| pair.split_once('='));
        let request = Request {
            service,
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            headers: Vec::new(),
            body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        };
        let now = self.world.now;
        let Answer::Done(response) = self.world.handle(&request, now, &self.endpoints) else {
            panic!("a response")
        };
        assert!(
            response.status < 300,
            "{api} {method} {target}: {}",
            String::from_utf8_lossy(&response.body)
        );
        // Only a deletion that takes no time has nothing to say.
        let value: Value = match response.status {
            204 => Value::Null,
            _ => serde_json::from_slice(&response.body).unwrap(),
        };

        let document = &self.documents[api];
        let found = document.method(method, path).unwrap_or_else(|| panic!("{api} has no {method} {path}"));
        self.called.insert(found["id"].as_str().unwrap().to_owned());
        for (name, _) in &request.query {
            assert!(document.has_parameter(found, name), "{api} {method} {path}: no parameter {name}");
        }
        for (what, value) in [("request", body), ("response", &value)] {
            if let (Some(schema), false) = (found[what]["$ref"].as_str(), value.is_null()) {
                let at = format!("{api} {method} {path} {what}");
                document.check(&json!({ "$ref": schema }), value, &at, &mut self.wrong);
            }
        }
        if method != "GET" {
            self.world.advance_to(self.world.now + 3_600_000);
        }
        value
    }

    fn get(&mut self, api: &'static str, path: &str) -> Value {
        self.call(api, "GET", path, &Value::Null)
    }

    fn finish(mut self) -> BTreeSet<String> {
        let undocumented =
            |line: &str| UNDOCUMENTED.iter().any(|name| line.ends_with(&format!(": no field {name}")));
        self.wrong.retain(|line| !(line.starts_with("compute.v1 ") && undocumented(line)));
        assert!(self.wrong.is_empty(), "{} findings:\n{}", self.wrong.len(), self.wrong.join("\n"));
        self.called
    }
}

/// Everything GKE does here, by both versions and both forms of paths.
fn gke(session: &mut Session, api: &'static str) {
    let cluster = format!("locations/us-east1-d/clusters/{CLUSTER}");
    let pool = format!("{cluster}/nodePools/extra");
    session.get(api, "locations/us-east1-d/serverConfig");
    session.get(api, "zones/us-east1-d/serverconfig");
    session.get(api, "locations/-/clusters");
    let body = json!({ "cluster": {
        "name": CLUSTER, "initialNodeCount": 2, "resourceLabels": { "a": "b" }, "releaseChannel": { "channel": "STABLE" },
        "nodeConfig": { "spot": true, "tags": ["zk"], "taints": [{ "key": "k", "value": "v", "effect": "NO_SCHEDULE" }] },
        "maintenancePolicy": { "window": { "dailyMaintenanceWindow": { "startTime": "03:00" } } },
        "masterAuthorizedNetworksConfig": { "enabled": true, "cidrBlocks": [{ "cidrBlock": "10.0.0.0/8" }] },
    } });
    let create = session.call(api, "POST", "locations/us-east1-d/clusters", &body);
    session.get(api, &format!("locations/us-east1-d/operations/{}", create["name"].as_str().unwrap()));
    session.get(api, "zones/-/operations");
    session.get(api, "locations/us-east1-d/clusters");
    let live = session.get(api, &format!("zones/us-east1-d/clusters/{CLUSTER}"));
    let set = |field: &str, value: Value| json!({ "update": { field: value } });
    for update in [
        set("desiredLoggingService", json!("none")),
        set("desiredMonitoringConfig", json!({ "componentConfig": { "enableComponents": ["POD"] } })),
        set("desiredLocations", json!(["us-east1-d", "us-east1-c"])),
        set("desiredWorkloadIdentityConfig", json!({ "workloadPool": "p.svc.id.goog" })),
        set("desiredDnsConfig", json!({ "clusterDns": "CLOUD_DNS", "clusterDnsScope": "VPC_SCOPE" })),
        set("desiredMasterVersion", json!("1.34")),
        set("desiredNodeVersion", json!("-")),
    ] {
        session.call(api, "PUT", &cluster, &update);
    }
    let labels = json!({ "resourceLabels": { "c": "d" }, "labelFingerprint": live["labelFingerprint"] });
    session.call(api, "POST", &format!("{cluster}:setResourceLabels"), &labels);
    let policy =
        json!({ "maintenancePolicy": { "resourceVersion": live["maintenancePolicy"]["resourceVersion"] } });
    session.call(api, "POST", &format!("{cluster}:setMaintenancePolicy"), &policy);
    let management = json!({ "autoUpgrade": true, "autoRepair": true });
    let autoscaling = json!({ "enabled": true, "minNodeCount": 1, "maxNodeCount": 3 });
    let body = json!({ "nodePool": { "name": "extra", "initialNodeCount": 1, "autoscaling": autoscaling } });
    session.call(api, "POST", &format!("{cluster}/nodePools"), &body);
    session.get(api, &format!("{cluster}/nodePools"));
    session.call(api, "POST", &format!("{pool}:setSize"), &json!({ "nodeCount": 3 }));
    session.call(api, "POST", &format!("{pool}:setManagement"), &json!({ "management": management }));
    session.call(
        api,
        "POST",
        &format!("{pool}:setAutoscaling"),
        &json!({ "autoscaling": { "enabled": false } }),
    );
    let upgrade =
        session.call(api, "PUT", &pool, &json!({ "machineType": "n2-standard-2", "diskSizeGb": "50" }));
    session.get(api, &format!("locations/us-east1-d/operations/{}", upgrade["name"].as_str().unwrap()));
    session.get(api, &pool);
    session.call(api, "DELETE", &pool, &Value::Null);
    session.get(api, &cluster);
    session.call(api, "DELETE", &format!("zones/us-east1-d/clusters/{CLUSTER}"), &Value::Null);
    clusters_of_regions(session, api);
}

/// An Autopilot cluster, one whose creation failed, one that is degraded.
fn clusters_of_regions(session: &mut Session, api: &'static str) {
    let trouble = |cluster: &str, code: Code, outcome: Outcome| Trouble {
        cluster: Some(format!("*/{cluster}")),
        pool: None,
        code,
        outcome,
        times: None,
    };
    let troubles = vec![
        trouble("failed", Code::GceQuotaExceeded, Outcome::Error),
        trouble("degraded", Code::CaExpiring, Outcome::Degraded),
    ];
    let now = session.world.now;
    session.world.google.container.set_settings(Settings { troubles, ..Settings::default() }, now);
    for (name, given) in [
        ("auto", json!({ "autopilot": { "enabled": true } })),
        ("failed", json!({ "initialNodeCount": 1 })),
        ("degraded", json!({ "initialNodeCount": 1 })),
    ] {
        let mut body = json!({ "cluster": given });
        body["cluster"]["name"] = json!(name);
        let create = session.call(api, "POST", "locations/us-east1/clusters", &body);
        let operation = create["name"].as_str().unwrap();
        let operation = session.get(api, &format!("locations/us-east1/operations/{operation}"));
        assert_eq!(operation.get("clusterConditions").is_some(), name == "failed", "{operation}");
        let cluster = format!("locations/us-east1/clusters/{name}");
        assert_eq!(session.get(api, &cluster).get("conditions").is_some(), name != "auto", "{name}");
        session.call(api, "DELETE", &cluster, &Value::Null);
    }
}

fn filestore(session: &mut Session, api: &'static str) {
    let instances = "locations/us-east1-d/instances";
    let options =
        json!([{ "accessMode": "READ_WRITE", "squashMode": "NO_ROOT_SQUASH", "ipRanges": ["10.0.0.0/8"] }]);
    let shares = json!([{ "name": "share", "capacityGb": "2560", "nfsExportOptions": options }]);
    let networks = json!([{ "network": "default", "modes": ["MODE_IPV4"] }]);
    let body =
        json!({ "tier": "BASIC_SSD", "fileShares": shares, "networks": networks, "labels": { "a": "b" } });
    let create = session.call(api, "POST", &format!("{instances}?instanceId=nfs"), &body);
    let name = create["name"].as_str().unwrap().strip_prefix("projects/p/").unwrap().to_owned();
    session.get(api, &name);
    session.get(api, "locations/us-east1-d/operations");
    session.get(api, "locations/-/instances");
    session.get(api, &format!("{instances}/nfs"));
    let update = json!({ "description": "for ZooKeeper" });
    session.call(api, "PATCH", &format!("{instances}/nfs?updateMask=description"), &update);
    session.get(api, &format!("{instances}/nfs"));
    session.call(api, "DELETE", &format!("{instances}/nfs"), &Value::Null);
}

#[test]
fn gke_answers_are_known_to_its_discovery_documents() {
    for api in ["container.v1", "container.v1beta1"] {
        let mut session = Session::new();
        gke(&mut session, api);
        assert!(session.finish().len() >= 20);
    }
}

#[test]
fn filestore_answers_are_known_to_its_discovery_documents() {
    for api in ["file.v1", "file.v1beta1"] {
        let mut session = Session::new();
        filestore(&mut session, api);
        assert!(session.finish().len() >= 7);
    }
}

#[test]
fn service_usage_answers_are_known_to_its_discovery_document() {
    let mut session = Session::new();
    let service = session.get("serviceusage.v1", "services/container.googleapis.com");
    assert_eq!(service["state"], "ENABLED");
    assert_eq!(session.get("serviceusage.v1", "services/dns.googleapis.com")["state"], "DISABLED");
    assert_eq!(session.finish().len(), 1);
}

/// What file servers are made of, the nodes of a cluster, and what every project finds.
fn compute(session: &mut Session) {
    let api = "compute.v1";
    let cluster = json!({ "cluster": { "name": CLUSTER, "initialNodeCount": 1 } });
    session.call("container.v1", "POST", "locations/us-east1-d/clusters", &cluster);
    let (zone, region) = ("zones/us-east1-d", "regions/us-east1");
    let schedule = json!({
        "schedule": { "dailySchedule": { "daysInCycle": 1, "startTime": "04:00" } },
        "retentionPolicy": { "maxRetentionDays": 7 },
    });
    let instance = json!({
        "name": "vm", "machineType": format!("{zone}/machineTypes/n1-standard-1"), "tags": { "items": ["nfs"] },
        "disks": [
            { "boot": true, "autoDelete": true,
              "initializeParams": { "sourceImage": "projects/debian-cloud/global/images/family/debian-12" } },
            { "source": "projects/p/zones/us-east1-d/disks/data" },
        ],
        "networkInterfaces": [{ "network": "global/networks/default", "accessConfigs": [{ "type": "ONE_TO_ONE_NAT" }] }],
    });
    let rule = json!({
        "name": "nfs", "sourceRanges": ["10.0.0.0/8"], "allowed": [{ "IPProtocol": "tcp", "ports": ["2049"] }],
    });
    for (collection, name, body) in [
        (format!("{region}/addresses"), "ip", json!({ "name": "ip", "addressType": "INTERNAL" })),
        (
            format!("{region}/resourcePolicies"),
            "daily",
            json!({ "name": "daily", "snapshotSchedulePolicy": schedule }),
        ),
        (format!("{zone}/disks"), "data", json!({ "name": "data", "sizeGb": "10" })),
        ("global/firewalls".to_owned(), "nfs", rule),
        (format!("{zone}/instances"), "vm", instance),
    ] {
        let insert = session.call(api, "POST", &collection, &body);
        let scope = collection.rsplit_once('/').unwrap().0;
        session.get(api, &format!("{scope}/operations/{}", insert["name"].as_str().unwrap()));
        session.get(api, &format!("{collection}/{name}"));
        session.get(api, &collection);
    }
    for path in [
        "zones",
        "regions",
        "global/networks",
        "global/networks/default",
        "aggregated/instances",
        "zones/us-east1-d",
        "zones/us-east1-d/machineTypes",
        "zones/us-east1-d/diskTypes",
        "zones/us-east1-d/instanceGroupManagers",
        "regions/us-east1/subnetworks/default",
        "zones/us-east1-d/instances/vm/serialPort",
    ] {
        session.get(api, path);
    }
    let vm = format!("{zone}/instances/vm");
    let groups = session.get(api, &format!("{zone}/instanceGroupManagers"));
    let group = groups["items"][0]["name"].as_str().unwrap();
    for call in ["instanceGroupManagers/GROUP/listManagedInstances", "instanceGroups/GROUP/listInstances"] {
        session.call(api, "POST", &format!("{zone}/{}", call.replace("GROUP", group)), &Value::Null);
    }
    session.call(api, "POST", &format!("{zone}/disks/data/createSnapshot"), &json!({ "name": "s" }));
    session.get(api, "global/snapshots/s");
    session.get(api, "global/snapshots");
    session.call(api, "PATCH", &format!("{zone}/disks/data?paths=sizeGb"), &json!({ "sizeGb": "15" }));
    for call in
        ["setDiskAutoDelete?deviceName=persistent-disk-1&autoDelete=false", "suspend", "resume", "stop"]
    {
        session.call(api, "POST", &format!("{vm}/{call}"), &Value::Null);
    }
    session.get(api, &vm);
    session.call(api, "POST", &format!("{zone}/disks/data/resize"), &json!({ "sizeGb": "20" }));
    session.call(api, "POST", &format!("{vm}/start"), &Value::Null);
    session.call(api, "DELETE", &vm, &Value::Null);
    session.call(api, "DELETE", &format!("{zone}/disks/data"), &Value::Null);
}

/// A bucket, and objects in it.
#[test]
fn storage_answers_are_known_to_its_discovery_document() {
    let mut session = Session::new();
    let bucket = json!({ "name": "backups", "location": "us-east1",
        "iamConfiguration": { "uniformBucketLevelAccess": { "enabled": true }, "publicAccessPrevention": "enforced" } });
    session.storage("POST", "/storage/v1/b?project=p", &bucket);
    session.storage("GET", "/storage/v1/b?project=p", &Value::Null);
    session.storage("GET", "/storage/v1/b/backups", &Value::Null);
    session.storage("GET", "/storage/v1/b/backups/storageLayout", &Value::Null);
    session.storage("GET", "/storage/v1/b/backups/managedFolders?pageSize=1000", &Value::Null);
    let lifecycle = json!({ "rule": [{ "action": { "type": "Delete" }, "condition": { "age": 30 } }] });
    let changes =
        json!({ "lifecycle": lifecycle, "versioning": { "enabled": true }, "labels": { "a": "b" } });
    session.storage("PATCH", "/storage/v1/b/backups", &changes);
    // The body is the object itself here; as JSON it would have to be one, and an empty one is.
    let upload = "/upload/storage/v1/b/backups/o?uploadType=media&ifGenerationMatch=0&name=zk/a";
    session.storage("POST", upload, &json!({}));
    let object = "/storage/v1/b/backups/o/zk%2Fa";
    session.storage("GET", object, &Value::Null);
    assert_eq!(session.storage("GET", &format!("{object}?alt=media"), &Value::Null), json!({}));
    for query in
        ["prefix=zk/&maxResults=5", "prefix=zk&delimiter=/&fields=prefixes,nextPageToken&pageToken=a"]
    {
        session.storage("GET", &format!("/storage/v1/b/backups/o?{query}"), &Value::Null);
    }
    session.storage("DELETE", &format!("{object}?ifGenerationMatch=1795007200000000"), &Value::Null);
    session.storage("GET", "/storage/v1/b/backups/o?versions=true", &Value::Null);
    session.storage("DELETE", &format!("{object}?generation=1795007200000000"), &Value::Null);
    session.storage("DELETE", "/storage/v1/b/backups", &Value::Null);
    assert_eq!(session.finish().len(), 11);
}

#[test]
fn compute_answers_are_known_to_its_discovery_document() {
    let mut session = Session::new();
    compute(&mut session);
    assert!(session.finish().len() >= 25);
}

/// What is answered where less is whole than in a plain world.
#[test]
fn answers_of_a_stranger_s_project_are_known_to_the_discovery_documents() {
    let mut session = Session::new();
    for switch in [
        "quota.SSD_TOTAL_GB=50",
        "policy.compute.vmExternalIpAccess=deny",
        "serviceAccount.default=roleless",
        "partial.compute=us-east1-d,us-west1",
        "partial.container=us-west1-a",
        "partial.filestore=us-west1-a",
    ] {
        session.world.reality.set(switch.parse().unwrap());
    }
    let compute = "compute.v1";
    session.get(compute, "regions");
    session.get(compute, "regions/us-east1");
    let disk = json!({ "name": "d", "sizeGb": "60", "type": "projects/p/zones/us-east1-d/diskTypes/pd-ssd" });
    let begun = session.call(compute, "POST", "zones/us-east1-d/disks", &disk);
    let name = begun["name"].as_str().unwrap();
    let failed = session.get(compute, &format!("zones/us-east1-d/operations/{name}"));
    assert_eq!(failed["error"]["errors"][0]["code"], "QUOTA_EXCEEDED");
    for collection in ["instances", "addresses", "disks"] {
        let list = session.get(compute, &format!("aggregated/{collection}"));
        assert_eq!(list["warning"]["code"], "UNREACHABLE", "{collection}");
    }
    for api in ["container.v1", "container.v1beta1"] {
        let config = json!({ "diskSizeGb": 20 });
        let cluster = json!({ "name": CLUSTER, "initialNodeCount": 1, "nodeConfig": config });
        let clusters = "locations/us-east1-d/clusters";
        let begun = session.call(api, "POST", clusters, &json!({ "cluster": cluster }));
        let name = begun["name"].as_str().unwrap();
        let failed = session.get(api, &format!("locations/us-east1-d/operations/{name}"));
        assert_eq!(failed["error"]["code"], 9);
        let own = session.get(api, &format!("{clusters}/{CLUSTER}"));
        assert_eq!((&own["status"], own["conditions"].as_array().map(Vec::len)), (&json!("ERROR"), Some(3)));
        assert_eq!(session.get(api, "locations/-/clusters")["missingZones"], json!(["us-west1-a"]));
        session.call(api, "DELETE", &format!("{clusters}/{CLUSTER}"), &Value::Null);
    }
    let list = session.get("file.v1", "locations/-/instances");
    assert_eq!(list["unreachable"], json!(["projects/p/locations/us-west1-a"]));
    assert!(session.finish().len() >= 13);
}
