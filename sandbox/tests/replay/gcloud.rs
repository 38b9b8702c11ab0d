//! What gcloud sends: requests recorded from it, sent to a world whose state they should bring about.
#![expect(clippy::unwrap_used, reason = "a broken recording ends the test")]

use serde_json::{Value, json};
use zkprov_sandbox::api::{Endpoints, Request, Response, Service, decode_query};
use zkprov_sandbox::kubernetes::Answer;
use zkprov_sandbox::world::World;

const COMPUTE: &str = include_str!("../fixtures/gcloud/compute.http");
const CONTAINER: &str = include_str!("../fixtures/gcloud/container.http");
const STORAGE: &str = include_str!("../fixtures/gcloud/storage.http");

const ZONE: &str = "/compute/v1/projects/my-project/zones/us-east1-d";
const CLUSTER: &str = "/v1beta1/projects/my-project/locations/us-east1-d/clusters/c1";

/// Virtual time after each request: longer than any operation takes.
const PAUSE: u64 = 10 * 60_000;

struct Gcloud {
    world: World,
    service: Service,
    recorded: &'static str,
}

impl Gcloud {
    fn new(service: Service, recorded: &'static str) -> Self {
        Self { world: World::new(1, 1_767_225_600_000), service, recorded }
    }

    /// The recorded request of a command.
    fn request(&self, command: &str) -> Request {
        let mut blocks = self.recorded.strip_prefix("### ").unwrap().split("\n### ");
        let block = blocks.find(|block| block.lines().next() == Some(&format!("gcloud {command}")[..]));
        let block = block.unwrap_or_else(|| panic!("gcloud {command} is not recorded"));
        let (head, body) = block.split_once("\n\n").unwrap();
        let mut lines = head.lines().skip(1);
        let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Request {
            service: self.service.clone(),
            method: method.to_owned(),
            path: path.to_owned(),
            query: decode_query(query),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: body.trim_end_matches('\n').as_bytes().to_vec(),
        }
    }

    fn send(&mut self, request: &Request) -> Response {
        let endpoints = Endpoints {
            clusters: [("my-project/us-east1-d/c1".to_owned(), "127.0.0.1:6443".to_owned())].into(),
            ca_pem: "PEM".to_owned(),
        };
        let now = self.world.now;
        let Answer::Done(response) = self.world.handle(request, now, &endpoints) else {
            panic!("a response")
        };
        self.world.advance_to(now + PAUSE);
        response
    }

    /// Sends a command's request, and returns what it is answered.
    fn runs(&mut self, command: &str) -> Value {
        self.answer(&self.request(command), 200)
    }

    fn answer(&mut self, request: &Request, status: u16) -> Value {
        let response = self.send(request);
        let text = String::from_utf8_lossy(&response.body).into_owned();
        assert_eq!(response.status, status, "{} {}: {text}", request.method, request.path);
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    fn call(&mut self, method: &str, target: &str, body: &Value, status: u16) -> Value {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request {
            service: self.service.clone(),
            method: method.to_owned(),
            path: path.to_owned(),
            query: decode_query(query),
            headers: Vec::new(),
            body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        };
        self.answer(&request, status)
    }

    fn get(&mut self, target: &str) -> Value {
        self.call("GET", target, &Value::Null, 200)
    }
}

const CREATE: &str = "compute instances create vm1 --machine-type e2-small --image-family debian-12 \
     --image-project debian-cloud --create-disk=name=d9,size=10,auto-delete=no,device-name=d1";

fn with_a_vm() -> Gcloud {
    let mut gcloud = Gcloud::new(Service::Compute, COMPUTE);
    gcloud.runs(CREATE);
    gcloud
}

#[test]
fn deletion_protection_protects() {
    let mut gcloud = with_a_vm();
    let vm = format!("{ZONE}/instances/vm1");
    gcloud.runs("compute instances update vm1 --deletion-protection");
    assert_eq!(gcloud.get(&vm)["deletionProtection"], true);
    let refused = gcloud.call("DELETE", &vm, &Value::Null, 400);
    assert!(refused["error"]["message"].as_str().unwrap().contains("protected against deletion"));
    gcloud.runs("compute instances update vm1 --no-deletion-protection");
    assert_eq!(gcloud.get(&vm)["deletionProtection"], false);
    // The parameter's default is true, and a value that is no boolean is refused.
    gcloud.call("POST", &format!("{vm}/setDeletionProtection"), &Value::Null, 200);
    assert_eq!(gcloud.get(&vm)["deletionProtection"], true);
    let target = format!("{vm}/setDeletionProtection?deletionProtection=off");
    let refused = gcloud.call("POST", &target, &Value::Null, 400);
    assert_eq!(refused["error"]["message"], "Invalid value at 'deletion_protection' (TYPE_BOOL), \"off\"");
    assert_eq!(gcloud.get(&vm)["deletionProtection"], true);
}

#[test]
fn every_api_refuses_what_is_no_boolean() {
    let instances = format!("{ZONE}/instances?returnPartialSuccess");
    let files = "/v1/projects/my-project/locations/-/instances?returnPartialSuccess";
    for (service, target, says) in [
        (Service::Compute, instances.as_str(), "return_partial_success"),
        (Service::Container, "/v1/projects/my-project/locations/-/clusters?prettyPrint", "pretty_print"),
        (Service::Filestore, files, "return_partial_success"),
        (Service::Storage, "/storage/v1/b?project=my-project&returnPartialSuccess", "return_partial_success"),
    ] {
        let mut gcloud = Gcloud::new(service, "");
        // As gcloud, Go and the documents spell them.
        for value in ["True", "true", "1", "FALSE"] {
            gcloud.get(&format!("{target}={value}"));
        }
        let refused = gcloud.call("GET", &format!("{target}=maybe"), &Value::Null, 400);
        let says = format!("Invalid value at '{says}' (TYPE_BOOL), \"maybe\"");
        assert_eq!(refused["error"]["message"], says);
    }
}

#[test]
fn a_disk_goes_with_its_instance_when_it_is_told_to() {
    let mut gcloud = with_a_vm();
    let vm = format!("{ZONE}/instances/vm1");
    gcloud.runs("compute instances set-disk-auto-delete vm1 --disk d9 --auto-delete");
    assert_eq!(gcloud.get(&vm)["disks"][1]["autoDelete"], true);
    gcloud.call("POST", &format!("{vm}/setDiskAutoDelete?autoDelete=True&deviceName=d9"), &Value::Null, 400);
    gcloud.call("POST", &format!("{vm}/setDiskAutoDelete?deviceName=d1"), &Value::Null, 400);
    gcloud.call("DELETE", &vm, &Value::Null, 200);
    gcloud.call("GET", &format!("{ZONE}/disks/d9"), &Value::Null, 404);
}

#[test]
fn a_suspended_instance_goes_on_where_it_was() {
    let mut gcloud = with_a_vm();
    let vm = format!("{ZONE}/instances/vm1");
    let started = gcloud.get(&vm)["lastStartTimestamp"].clone();
    gcloud.runs("compute instances suspend vm1");
    let suspended = gcloud.get(&vm);
    assert_eq!(suspended["status"], "SUSPENDED");
    assert!(suspended["lastSuspendedTimestamp"].is_string());
    gcloud.call("POST", &format!("{vm}/suspend"), &Value::Null, 400);
    gcloud.call("POST", &format!("{vm}/stop"), &Value::Null, 400);
    gcloud.runs("compute instances resume vm1");
    let resumed = gcloud.get(&vm);
    assert_eq!((&resumed["status"], &resumed["lastStartTimestamp"]), (&json!("RUNNING"), &started));
    gcloud.call("POST", &format!("{vm}/resume"), &Value::Null, 400);
}

#[test]
fn an_instance_is_put_back_changed() {
    let mut gcloud = with_a_vm();
    let vm = format!("{ZONE}/instances/vm1");
    let mut request = gcloud.request(
        "compute instances update-from-file vm1 --source=vm1.yaml --most-disruptive-allowed-action=REFRESH",
    );
    // Fingerprint and addresses are those of the world it was recorded from: ours stand in for them.
    let present = gcloud.get(&vm);
    let mut body: Value = serde_json::from_slice(&request.body).unwrap();
    for field in ["networkInterfaces", "creationTimestamp", "id"] {
        body[field] = present[field].clone();
    }
    request.body = body.to_string().into_bytes();
    assert_eq!(gcloud.answer(&request, 412)["error"]["errors"][0]["reason"], "conditionNotMet");
    body["fingerprint"] = present["fingerprint"].clone();
    request.body = body.to_string().into_bytes();
    let operation = gcloud.answer(&request, 200);
    assert_eq!(operation["operationType"], "update");
    let changed = gcloud.get(&vm);
    assert_eq!((&changed["description"], &changed["canIpForward"]), (&json!("hello"), &json!(true)));
    assert_ne!(changed["fingerprint"], present["fingerprint"]);
    assert_eq!(changed["lastStartTimestamp"], present["lastStartTimestamp"]);
    // Everything else is as it was, disks and addresses among it.
    for field in [
        "disks",
        "metadata",
        "networkInterfaces",
        "scheduling",
        "serviceAccounts",
        "shieldedInstanceConfig",
        "tags",
    ] {
        assert_eq!(changed[field], present[field], "{field}");
    }
    // Another machine type needs a restart, which this request does not allow; a name can't be changed at all.
    let mut body = changed.clone();
    body.as_object_mut().unwrap().retain(|field, _| !field.starts_with("shieldedVm"));
    body["machineType"] = json!(format!("{ZONE}/machineTypes/e2-medium").replace("/compute/v1/", ""));
    let target = format!("{vm}?mostDisruptiveAllowedAction=REFRESH");
    gcloud.call("PUT", &target, &body, 400);
    gcloud.call("PUT", &vm, &body, 200);
    let restarted = gcloud.get(&vm);
    assert!(restarted["machineType"].as_str().unwrap().ends_with("/e2-medium"));
    assert_ne!(restarted["lastStartTimestamp"], changed["lastStartTimestamp"]);
    body["fingerprint"] = restarted["fingerprint"].clone();
    body["hostname"] = json!("other.example.com");
    gcloud.call("PUT", &vm, &body, 400);
}

#[test]
fn commands_about_several_resources_come_as_one_batch() {
    let mut gcloud = Gcloud::new(Service::Compute, COMPUTE);
    let request = gcloud.request("compute disks create b1 b2 --size 10");
    let response = gcloud.send(&request);
    assert_eq!(response.status, 200);
    let kind = &response.headers.iter().find(|(name, _)| name == "content-type").unwrap().1;
    let boundary = kind.strip_prefix("multipart/mixed; boundary=").unwrap();
    let text = String::from_utf8(response.body).unwrap();
    let parts: Vec<&str> = text.split(&format!("--{boundary}")).collect();
    // Nothing before the first boundary, and the end behind the last.
    assert_eq!((parts.len(), parts[0], parts[3]), (4, "", "--\r\n"));
    let asked = String::from_utf8(request.body.clone()).unwrap();
    let ids: Vec<&str> = asked.lines().filter_map(|line| line.strip_prefix("Content-ID: <")).collect();
    for ((part, id), name) in parts[1..3].iter().zip(ids).zip(["b1", "b2"]) {
        assert!(part.contains(&format!("Content-ID: <response-{id}")), "{part}");
        let (_, http) = part.split_once("\r\n\r\n").unwrap();
        let (head, body) = http.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let operation: Value = serde_json::from_str(body.trim()).unwrap();
        assert!(operation["targetLink"].as_str().unwrap().ends_with(name));
        assert_eq!(gcloud.get(&format!("{ZONE}/disks/{name}"))["sizeGb"], "10");
    }
    // Again: each call has its own refusal, and the batch none.
    let response = gcloud.send(&request);
    let text = String::from_utf8(response.body).unwrap();
    assert_eq!((response.status, text.matches("HTTP/1.1 409 Conflict").count()), (200, 2));
}

#[test]
fn a_batch_of_waits_waits() {
    let mut gcloud = Gcloud::new(Service::Compute, COMPUTE);
    let disk = json!({"name": "d"});
    let made = Request {
        body: disk.to_string().into_bytes(),
        method: "POST".into(),
        path: format!("{ZONE}/disks"),
        query: Vec::new(),
        headers: Vec::new(),
        service: Service::Compute,
    };
    let now = gcloud.world.now;
    let Answer::Done(response) = gcloud.world.handle(&made, now, &Endpoints::default()) else { panic!() };
    let operation: Value = serde_json::from_slice(&response.body).unwrap();
    let wait = format!("POST {ZONE}/operations/{}/wait HTTP/1.1\n\n", operation["name"].as_str().unwrap());
    let batch = Request {
        body: format!("--b\nContent-ID: <x+0>\n\n{wait}\n--b--").into_bytes(),
        path: "/batch/compute/v1".into(),
        headers: vec![("content-type".into(), "multipart/mixed; boundary=b".into())],
        ..made
    };
    assert_eq!(gcloud.world.handle(&batch, now, &Endpoints::default()), Answer::Later);
    gcloud.world.advance_to(now + PAUSE);
    let Answer::Done(response) = gcloud.world.handle(&batch, now, &Endpoints::default()) else { panic!() };
    assert!(String::from_utf8(response.body).unwrap().contains("\"status\":\"DONE\""));
}

#[test]
fn disks_change_and_have_snapshots() {
    let mut gcloud = Gcloud::new(Service::Compute, COMPUTE);
    gcloud.call("POST", &format!("{ZONE}/disks"), &json!({"name": "d1", "sizeGb": "10"}), 200);
    let hyper = format!("{ZONE}/diskTypes/hyperdisk-balanced").replace("/compute/v1/", "");
    gcloud.call("POST", &format!("{ZONE}/disks"), &json!({"name": "b1", "sizeGb": "10", "type": hyper}), 200);
    gcloud.runs("compute disks update d1 --size 12");
    assert_eq!(gcloud.get(&format!("{ZONE}/disks/d1"))["sizeGb"], "12");
    gcloud.runs("compute disks update b1 --provisioned-iops 4000");
    assert_eq!(gcloud.get(&format!("{ZONE}/disks/b1"))["provisionedIops"], "4000");
    let slow = format!("{ZONE}/disks/d1?paths=provisionedIops");
    gcloud.call("PATCH", &slow, &json!({"name": "d1", "provisionedIops": "4000"}), 400);
    gcloud.call("PATCH", &format!("{ZONE}/disks/d1?paths=zone"), &json!({"zone": "z"}), 400);

    let operation = gcloud.runs("compute disks snapshot d1 --snapshot-names s1 --labels x=y --guest-flush");
    assert_eq!(operation["operationType"], "createSnapshot");
    assert!(operation["targetLink"].as_str().unwrap().ends_with("/disks/d1"));
    let snapshots = "/compute/v1/projects/my-project/global/snapshots";
    let snapshot = gcloud.get(&format!("{snapshots}/s1"));
    assert_eq!(
        (&snapshot["kind"], &snapshot["status"], &snapshot["diskSizeGb"], &snapshot["labels"]),
        (&json!("compute#snapshot"), &json!("READY"), &json!("12"), &json!({"x": "y"}))
    );
    let disk = gcloud.get(&format!("{ZONE}/disks/d1"));
    assert_eq!((&snapshot["sourceDisk"], &snapshot["sourceDiskId"]), (&disk["selfLink"], &disk["id"]));
    gcloud.runs("compute snapshots create s2 --source-disk d1 --source-disk-zone us-east1-d");
    let listed = gcloud.get(snapshots);
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][1]["name"]), (2, &json!("s2")));

    // A disk is made from a snapshot, and is never smaller.
    let from = json!({"name": "copy", "sourceSnapshot": "projects/my-project/global/snapshots/s1"});
    gcloud.call("POST", &format!("{ZONE}/disks"), &from, 200);
    let copy = gcloud.get(&format!("{ZONE}/disks/copy"));
    assert_eq!((&copy["sizeGb"], &copy["sourceSnapshotId"]), (&json!("12"), &snapshot["id"]));
    let small = json!({"name": "small", "sizeGb": "11", "sourceSnapshot": "global/snapshots/s1"});
    gcloud.call("POST", &format!("{ZONE}/disks"), &small, 400);

    gcloud.runs("compute snapshots delete s1 s2");
    assert_eq!(gcloud.get(snapshots).get("items"), None);
}

#[test]
fn nodes_are_listed_by_their_group() {
    let mut gcloud = Gcloud::new(Service::Container, CONTAINER);
    let cluster = json!({"cluster": {"name": "c1", "initialNodeCount": 2}});
    gcloud.call("POST", CLUSTER.strip_suffix("/c1").unwrap(), &cluster, 200);
    let url = gcloud.get(CLUSTER)["instanceGroupUrls"][0].as_str().unwrap().to_owned();
    let group = url.rsplit('/').next().unwrap().to_owned();
    (gcloud.service, gcloud.recorded) = (Service::Compute, COMPUTE);
    for (command, items, status) in [
        ("compute instance-groups managed list-instances GROUP", "managedInstances", "instanceStatus"),
        ("compute instance-groups list-instances GROUP", "items", "status"),
    ] {
        let mut request = gcloud.request(command);
        request.path = request.path.replace("/-/", &format!("/{group}/"));
        let listed = gcloud.answer(&request, 200);
        let listed = listed[items].as_array().unwrap();
        assert_eq!(listed.len(), 2);
        for item in listed {
            assert_eq!(item[status], "RUNNING");
            let (_, path) = item["instance"].as_str().unwrap().split_once("/projects/").unwrap();
            assert_eq!(gcloud.get(&format!("/compute/v1/projects/{path}"))["selfLink"], item["instance"]);
        }
        request.path = request.path.replace(&group, "none");
        gcloud.answer(&request, 404);
    }
}

#[test]
fn access_to_a_cluster_changes_part_by_part() {
    let mut gcloud = Gcloud::new(Service::Container, CONTAINER);
    gcloud.runs(
        "container clusters create c1 --num-nodes 1 --enable-ip-alias --enable-private-nodes --enable-dns-access \
         --no-enable-ip-access",
    );
    let made = gcloud.get(CLUSTER);
    let dns = &made["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["endpoint"];
    assert!(dns.as_str().unwrap().ends_with(".us-east1-d.gke.goog"), "{dns}");
    // As in the recording of the real service with the IP endpoints off.
    assert_eq!(&made["endpoint"], dns);
    assert_eq!(made["controlPlaneEndpointsConfig"]["ipEndpointsConfig"], json!({"enabled": false}));
    assert_eq!(made.get("masterAuthorizedNetworksConfig"), None);
    assert_eq!(
        made["privateClusterConfig"],
        json!({"enablePrivateNodes": true, "publicEndpoint": "127.0.0.1:6443"})
    );
    assert_eq!(made["networkConfig"]["defaultEnablePrivateNodes"], true);
    assert_eq!(made["nodePools"][0]["networkConfig"]["enablePrivateNodes"], true);
    assert_eq!(made["initialNodeCount"], 1);

    gcloud.runs("container clusters update c1 --enable-ip-access");
    let open = gcloud.get(CLUSTER);
    assert_eq!(open["endpoint"], "127.0.0.1:6443");
    assert_eq!(
        open["controlPlaneEndpointsConfig"]["dnsEndpointConfig"],
        made["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]
    );
    assert_eq!(open["masterAuthorizedNetworksConfig"], json!({"privateEndpointEnforcementEnabled": true}));

    gcloud.runs("container clusters update c1 --enable-master-global-access");
    gcloud.runs(
        "container clusters update c1 --enable-master-authorized-networks --master-authorized-networks 10.0.0.0/8",
    );
    gcloud.runs("container clusters update c1 --no-enable-dns-access");
    let cluster = gcloud.get(CLUSTER);
    let networks = json!({"cidrBlocks": [{"cidrBlock": "10.0.0.0/8"}], "enabled": true,
        "privateEndpointEnforcementEnabled": true});
    assert_eq!(cluster["masterAuthorizedNetworksConfig"], networks);
    let endpoints = &cluster["controlPlaneEndpointsConfig"];
    assert_eq!(endpoints["ipEndpointsConfig"]["authorizedNetworksConfig"], networks);
    assert_eq!(endpoints["ipEndpointsConfig"]["globalAccess"], true);
    assert_eq!(endpoints["ipEndpointsConfig"]["enabled"], true);
    assert_eq!(endpoints["ipEndpointsConfig"]["enablePublicEndpoint"], true);
    assert_eq!(endpoints["dnsEndpointConfig"]["allowExternalTraffic"], false);
    assert_eq!(endpoints["dnsEndpointConfig"]["endpoint"], *dns);
    assert_eq!(cluster["privateClusterConfig"]["masterGlobalAccessConfig"], json!({"enabled": true}));

    // Private nodes: the default changes, the pool that is there keeps what it was made with.
    gcloud.runs("container clusters update c1 --no-enable-private-nodes");
    gcloud.runs("container node-pools create p2 --cluster c1 --num-nodes 1");
    let cluster = gcloud.get(CLUSTER);
    assert_eq!(cluster["networkConfig"]["defaultEnablePrivateNodes"], false);
    assert_eq!(cluster["privateClusterConfig"].get("enablePrivateNodes"), None);
    assert_eq!(cluster["nodePools"][0]["networkConfig"]["enablePrivateNodes"], true);
    assert_eq!(cluster["nodePools"][1]["networkConfig"].get("enablePrivateNodes"), None);

    // Without a public endpoint, as the Config Connector project recorded it.
    let closed = json!({"update": {"desiredControlPlaneEndpointsConfig": {"ipEndpointsConfig": {
        "authorizedNetworksConfig": {"enabled": true, "gcpPublicCidrsAccessEnabled": false},
        "enablePublicEndpoint": false, "globalAccess": false}}}});
    gcloud.call("PUT", CLUSTER, &closed, 200);
    let cluster = gcloud.get(CLUSTER);
    let ip = &cluster["controlPlaneEndpointsConfig"]["ipEndpointsConfig"];
    assert_eq!(cluster["endpoint"], ip["privateEndpoint"]);
    assert_eq!((ip.get("publicEndpoint"), ip.get("globalAccess")), (None, None));
    assert_eq!(
        cluster["privateClusterConfig"],
        json!({"enablePrivateEndpoint": true, "privateEndpoint": ip["privateEndpoint"], "publicEndpoint": "127.0.0.1:6443"})
    );
    assert_eq!(
        cluster["masterAuthorizedNetworksConfig"],
        json!({"enabled": true, "gcpPublicCidrsAccessEnabled": false, "privateEndpointEnforcementEnabled": true})
    );
}

/// Values and answers are those that the Config Connector project recorded (commit a9901101de,
/// `containercluster-private-masteripv4cidr` and `-privateendpointsubnetwork`).
#[test]
fn a_private_control_plane_has_its_address_where_it_was_asked_for() {
    let mut gcloud = Gcloud::new(Service::Container, CONTAINER);
    let subnetwork = "projects/my-project/regions/us-east1/subnetworks/default";
    let cluster = json!({"cluster": {"name": "c1", "initialNodeCount": 1,
        "controlPlaneEndpointsConfig": {"ipEndpointsConfig": {"authorizedNetworksConfig": {},
            "enablePublicEndpoint": true, "enabled": true, "globalAccess": false,
            "privateEndpointSubnetwork": format!("https://www.googleapis.com/compute/v1/{subnetwork}")}},
        "networkConfig": {"defaultEnablePrivateNodes": true},
        "privateClusterConfig": {"enablePrivateNodes": true, "masterIpv4CidrBlock": "172.16.2.32/28"}}});
    gcloud.call("POST", CLUSTER.strip_suffix("/c1").unwrap(), &cluster, 200);
    let made = gcloud.get(CLUSTER);
    assert_eq!(
        made["privateClusterConfig"],
        json!({"enablePrivateNodes": true, "masterIpv4CidrBlock": "172.16.2.32/28", "privateEndpoint": "172.16.2.34",
            "privateEndpointSubnetwork": subnetwork, "publicEndpoint": "127.0.0.1:6443"})
    );
    assert_eq!(
        made["controlPlaneEndpointsConfig"]["ipEndpointsConfig"],
        json!({"authorizedNetworksConfig": {"privateEndpointEnforcementEnabled": true}, "enablePublicEndpoint": true,
            "enabled": true, "privateEndpoint": "172.16.2.34", "privateEndpointSubnetwork": subnetwork,
            "publicEndpoint": "127.0.0.1:6443"})
    );
    assert_eq!(made["masterAuthorizedNetworksConfig"], json!({"privateEndpointEnforcementEnabled": true}));
}

#[test]
fn a_cluster_says_what_it_was_made_with() {
    let mut gcloud = Gcloud::new(Service::Container, CONTAINER);
    gcloud.runs(
        "container clusters create c1 --num-nodes 1 --enable-ip-alias --enable-private-nodes --enable-dns-access \
         --no-enable-ip-access",
    );
    gcloud.runs("container node-pools create p2 --cluster c1 --num-nodes 1");
    let resize = json!({"nodeCount": 3});
    gcloud.call("POST", &format!("{CLUSTER}/nodePools/default-pool:setSize"), &resize, 200);
    assert_eq!(gcloud.get(CLUSTER)["initialNodeCount"], 1);
    gcloud.runs("container node-pools delete default-pool --cluster c1");
    let cluster = gcloud.get(CLUSTER);
    assert_eq!((&cluster["initialNodeCount"], &cluster["currentNodeCount"]), (&json!(1), &json!(1)));
    assert_eq!(cluster["nodeConfig"], cluster["nodePools"][0]["config"]);
    gcloud.call("DELETE", &format!("{CLUSTER}/nodePools/p2"), &Value::Null, 200);
    let cluster = gcloud.get(CLUSTER);
    assert_eq!((&cluster["initialNodeCount"], cluster.get("nodeConfig")), (&json!(1), None));
}

#[test]
fn a_daily_window_is_four_hours_long() {
    let mut gcloud = Gcloud::new(Service::Container, CONTAINER);
    let cluster = json!({"cluster": {"name": "c1", "initialNodeCount": 1}});
    gcloud.call("POST", CLUSTER.strip_suffix("/c1").unwrap(), &cluster, 200);
    assert_eq!(gcloud.get(CLUSTER)["maintenancePolicy"], json!({"resourceVersion": "e3b0c442"}));
    gcloud.runs("container clusters update c1 --maintenance-window 03:00");
    let policy = gcloud.get(CLUSTER)["maintenancePolicy"].clone();
    assert_eq!(
        policy["window"],
        json!({"dailyMaintenanceWindow": {"startTime": "03:00", "duration": "PT4H0M0S"}})
    );
    // The scope that is the enum's default is not given back.
    let holidays = json!({"startTime": "2025-12-24T00:00:00Z", "endTime": "2026-01-02T00:00:00Z",
        "maintenanceExclusionOptions": {"scope": "NO_UPGRADES"}});
    let body = json!({"maintenancePolicy": {"resourceVersion": policy["resourceVersion"],
        "window": {"maintenanceExclusions": {"holidays": holidays}}}});
    gcloud.call("POST", &format!("{CLUSTER}:setMaintenancePolicy"), &body, 200);
    let policy = gcloud.get(CLUSTER)["maintenancePolicy"].clone();
    assert_eq!(
        policy["window"]["maintenanceExclusions"]["holidays"]["maintenanceExclusionOptions"],
        json!({})
    );
    let mut request = gcloud.request("container clusters update c1 --clear-maintenance-window");
    let mut body: Value = serde_json::from_slice(&request.body).unwrap();
    body["maintenancePolicy"]["resourceVersion"] = policy["resourceVersion"].clone();
    request.body = body.to_string().into_bytes();
    gcloud.answer(&request, 200);
    assert_eq!(gcloud.get(CLUSTER)["maintenancePolicy"], json!({"resourceVersion": "e3b0c442"}));
}

#[test]
fn objects_come_in_parts_whose_lines_end_in_lf() {
    let mut gcloud = Gcloud::new(Service::Storage, STORAGE);
    gcloud.runs("storage buckets create gs://bk1 --location us-east1 --uniform-bucket-level-access");
    let object = gcloud.runs("storage cp f2 gs://bk1/f2");
    assert_eq!((&object["name"], &object["contentType"]), (&json!("f2"), &json!("application/octet-stream")));
    // The file's own lines: CRLF, CRLF, LF.
    let bytes = gcloud.get("/storage/v1/b/bk1/o/f2?alt=media");
    assert_eq!(bytes, "line\r\n\r\nbare\n");
    let listed = gcloud.runs("storage ls gs://bk1/");
    assert_eq!(listed["items"][0]["name"], "f2");
}

#[test]
fn a_bucket_changes_and_keeps_versions() {
    let mut gcloud = Gcloud::new(Service::Storage, STORAGE);
    let bucket = "/storage/v1/b/bk1";
    gcloud.runs("storage buckets create gs://bk1 --location us-east1 --uniform-bucket-level-access");
    gcloud.runs("storage buckets update gs://bk1 --lifecycle-file=life.json");
    let rules = json!({"rule": [{"action": {"type": "Delete"}, "condition": {"age": 30}}]});
    let changed = gcloud.get(bucket);
    assert_eq!((&changed["lifecycle"], &changed["metageneration"]), (&rules, &json!("2")));
    let body = json!({"lifecycle": {"rule": []}});
    assert_eq!(gcloud.call("PATCH", bucket, &body, 200).get("lifecycle"), None);
    gcloud.runs("storage buckets update gs://bk1 --lifecycle-file=life.json");
    assert_eq!(gcloud.runs("storage buckets update gs://bk1 --clear-lifecycle").get("lifecycle"), None);
    assert_eq!(
        gcloud.runs("storage buckets update gs://bk1 --update-labels a=b")["labels"],
        json!({"a": "b"})
    );
    let none = gcloud.call("PATCH", bucket, &json!({"labels": {"a": null}}), 200);
    assert_eq!(none.get("labels"), None);
    gcloud.call("PATCH", bucket, &json!({"website": {}}), 501);

    let upload = |gcloud: &mut Gcloud, name: &str| {
        let target = format!("/upload/storage/v1/b/bk1/o?uploadType=media&name={name}");
        gcloud.call("POST", &target, &json!("bytes"), 200)["generation"].as_str().unwrap().to_owned()
    };
    // Without versioning what is overwritten is gone.
    let first = upload(&mut gcloud, "f1");
    let second = upload(&mut gcloud, "f1");
    assert_eq!(
        gcloud.runs("storage buckets update gs://bk1 --versioning")["versioning"],
        json!({"enabled": true})
    );
    let third = upload(&mut gcloud, "f1");
    let generations = |listed: &Value| -> Vec<String> {
        let items = listed["items"].as_array().map_or(&[][..], Vec::as_slice);
        items.iter().map(|item| item["generation"].as_str().unwrap().to_owned()).collect()
    };
    let all = gcloud.runs("storage ls -a gs://bk1/f1");
    assert_eq!(generations(&all), [second.clone(), third.clone()]);
    assert!(all["items"][0]["timeDeleted"].is_string() && all["items"][1].get("timeDeleted").is_none());
    assert_eq!(generations(&gcloud.get("/storage/v1/b/bk1/o")), vec![third.clone()]);
    let mut token = String::new();
    let mut paged = Vec::new();
    for _ in 0..2 {
        let page = gcloud.get(&format!("/storage/v1/b/bk1/o?versions=true&maxResults=1{token}"));
        paged.extend(generations(&page));
        token = page["nextPageToken"]
            .as_str()
            .map(|next| format!("&pageToken={}", next.replace('\n', "%0A")))
            .unwrap_or_default();
    }
    assert_eq!((paged, token.as_str()), (vec![second.clone(), third.clone()], ""));

    let object = "/storage/v1/b/bk1/o/f1";
    gcloud.call("GET", &format!("{object}?generation={first}"), &Value::Null, 404);
    gcloud.call("DELETE", object, &Value::Null, 204);
    gcloud.call("GET", object, &Value::Null, 404);
    assert_eq!(gcloud.get(&format!("{object}?generation={third}"))["generation"], third);
    gcloud.call("DELETE", bucket, &Value::Null, 409);
    for generation in [second, third] {
        gcloud.call("DELETE", &format!("{object}?generation={generation}"), &Value::Null, 204);
    }
    gcloud.call("DELETE", bucket, &Value::Null, 204);
}
