//! Compute Engine's behaviour, over real sockets on an instant clock.

use crate::support::{Reply, send};
use serde_json::{Value, json};
use zkprov_sandbox::server::{Options, Running, start};
use zkprov_sandbox::views::Export;

const ZONE: &str = "/compute/v1/projects/p/zones/us-east1-d";
const REGION: &str = "/compute/v1/projects/p/regions/us-east1";
const GLOBAL: &str = "/compute/v1/projects/p/global";
const SCRIPT: &str = "#!/bin/bash\nGENERATION='g1'\nDEVICE_NAME=data # the data disk\nSHARE_PATH=\"/data\"\n";

struct Cloud(Running);

impl Cloud {
    async fn new() -> Self {
        Self(start(Options::default()).await.expect("a sandbox"))
    }

    async fn call(&self, method: &str, target: &str, body: Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        send(&self.0.compute, method, target, &body).await.expect("a response")
    }

    async fn get(&self, target: &str) -> Value {
        let reply = self.call("GET", target, Value::Null).await;
        assert_eq!(reply.status, 200, "{target}: {}", reply.body);
        reply.json()
    }

    /// Makes a change and waits for its operation; returns the finished operation.
    async fn done(&self, method: &str, target: &str, body: Value) -> Value {
        let reply = self.call(method, target, body).await;
        assert_eq!(reply.status, 200, "{method} {target}: {}", reply.body);
        let link = reply.json()["selfLink"].as_str().expect("an operation").to_owned();
        let path = link.strip_prefix("https://www.googleapis.com").expect("a link");
        let waited = self.call("POST", &format!("{path}/wait"), Value::Null).await.json();
        assert_eq!(waited["status"], "DONE", "{waited}");
        waited
    }

    /// A change that is refused: status and reason.
    async fn refused(&self, method: &str, target: &str, body: Value) -> (u16, String) {
        let reply = self.call(method, target, body).await;
        assert!(reply.status >= 400, "{method} {target} went through: {}", reply.body);
        let reason = reply.json()["error"]["errors"][0]["reason"].as_str().unwrap_or_default().to_owned();
        (reply.status, reason)
    }

    async fn file_server(&self) {
        self.done(
            "POST",
            &format!("{ZONE}/disks"),
            json!({"name": "data", "sizeGb": 10, "type": format!("{}/diskTypes/pd-ssd", &ZONE[12..])}),
        )
        .await;
        self.done(
            "POST",
            &format!("{REGION}/addresses"),
            json!({"name": "files", "addressType": "INTERNAL"}),
        )
        .await;
        self.done("POST", &format!("{ZONE}/instances"), vm("files")).await;
    }

    /// Polls until the guest says so, as a client does.
    async fn until_status(&self, start: &str) -> String {
        let target = format!("{ZONE}/instances/files/getGuestAttributes?queryPath=fileserver%2Fstatus");
        for _ in 0..50 {
            let reply = self.call("GET", &target, Value::Null).await;
            let value =
                reply.json()["queryValue"]["items"][0]["value"].as_str().unwrap_or_default().to_owned();
            if value.starts_with(start) {
                return value;
            }
        }
        panic!("the guest never said {start:?}")
    }

    fn export(&self) -> Export {
        let mut exports = self.0.world().expect("a world").google.compute.exports();
        exports.pop().expect("an export")
    }
}

fn vm(name: &str) -> Value {
    json!({
        "name": name,
        "machineType": "zones/us-east1-d/machineTypes/e2-small",
        "disks": [
            {"boot": true, "autoDelete": true, "deviceName": "boot",
             "initializeParams": {"sourceImage": "projects/debian-cloud/global/images/family/debian-12", "diskSizeGb": "20"}},
            {"source": "projects/p/zones/us-east1-d/disks/data", "deviceName": "data"},
        ],
        "networkInterfaces": [{
            "networkIP": "https://www.googleapis.com/compute/v1/projects/p/regions/us-east1/addresses/files",
            "accessConfigs": [{"type": "ONE_TO_ONE_NAT"}],
        }],
        "metadata": {"items": [
            {"key": "enable-guest-attributes", "value": "TRUE"}, {"key": "startup-script", "value": SCRIPT},
        ]},
        "tags": {"items": ["files"]},
    })
}

#[tokio::test]
async fn a_file_server_boots_reports_and_exports() {
    let cloud = Cloud::new().await;
    cloud.file_server().await;
    let early = cloud
        .call("GET", &format!("{ZONE}/instances/files/getGuestAttributes?queryPath=fileserver/"), Value::Null)
        .await;
    assert_eq!(early.status, 404, "nothing is reported before the script runs");
    cloud.until_status("running generation=g1").await;
    assert!(!cloud.export().up);
    let status = cloud.until_status("ready generation=g1").await;
    assert!(status.ends_with("bytes=10737418240"), "{status}");
    let export = cloud.export();
    assert!(export.up);
    assert_eq!(export.path, "/data");
    assert_eq!(export.names[..2], ["files.us-east1-d.c.p.internal", "files"]);
    let serial = cloud.get(&format!("{ZONE}/instances/files/serialPort")).await;
    assert!(serial["contents"].as_str().unwrap().contains("READY generation=g1"));
    let next = serial["next"].as_str().unwrap();
    let rest = cloud.get(&format!("{ZONE}/instances/files/serialPort?start={next}")).await;
    assert_eq!(rest["contents"], "");
    let address = cloud.get(&format!("{REGION}/addresses/files")).await;
    assert_eq!(address["status"], "IN_USE");
    let instance = cloud.get(&format!("{ZONE}/instances/files")).await;
    assert_eq!(instance["networkInterfaces"][0]["networkIP"], address["address"]);
}

#[tokio::test]
async fn new_metadata_is_applied_without_a_reboot_and_needs_the_fingerprint() {
    let cloud = Cloud::new().await;
    cloud.file_server().await;
    let boot = cloud.until_status("ready").await.split(' ').nth(2).unwrap().to_owned();
    let instance = format!("{ZONE}/instances/files");
    let print = cloud.get(&instance).await["metadata"]["fingerprint"].clone();
    let items = |generation: &str| {
        json!([{"key": "enable-guest-attributes", "value": "TRUE"},
               {"key": "startup-script", "value": SCRIPT.replace("g1", generation)}])
    };
    let set = format!("{instance}/setMetadata");
    assert_eq!(
        cloud.refused("POST", &set, json!({"items": items("g2")})).await,
        (412, "conditionNotMet".into())
    );
    cloud.done("POST", &set, json!({"items": items("g2"), "fingerprint": print})).await;
    let status = cloud.until_status("ready generation=g2").await;
    assert!(status.contains(&boot), "the same boot: {status}");
    let stale = json!({"items": items("g3"), "fingerprint": print});
    assert_eq!(cloud.refused("POST", &set, stale).await.0, 412);
}

#[tokio::test]
async fn a_script_that_is_told_to_fails() {
    let cloud = Cloud::new().await;
    cloud.done("POST", &format!("{ZONE}/disks"), json!({"name": "data"})).await;
    cloud
        .done("POST", &format!("{REGION}/addresses"), json!({"name": "files", "addressType": "INTERNAL"}))
        .await;
    let mut body = vm("files");
    body["metadata"]["items"]
        .as_array_mut()
        .unwrap()
        .push(json!({"key": "sandbox-startup-script", "value": "fail"}));
    cloud.done("POST", &format!("{ZONE}/instances"), body).await;
    let status = cloud.until_status("failed generation=g1").await;
    assert!(status.contains("step=packages reason="), "{status}");
    assert!(!cloud.export().up);
}

#[tokio::test]
async fn a_stopped_machine_serves_nothing_and_can_change_its_type() {
    let cloud = Cloud::new().await;
    cloud.file_server().await;
    cloud.until_status("ready").await;
    let instance = format!("{ZONE}/instances/files");
    let machine = json!({"machineType": "zones/us-east1-d/machineTypes/e2-medium"});
    assert_eq!(cloud.refused("POST", &format!("{instance}/setMachineType"), machine.clone()).await.0, 400);
    cloud.done("POST", &format!("{instance}/stop"), Value::Null).await;
    assert!(!cloud.export().up);
    assert_eq!(
        cloud.refused("GET", &format!("{instance}/serialPort"), Value::Null).await.1,
        "resourceNotReady"
    );
    cloud.done("POST", &format!("{instance}/setMachineType"), machine).await;
    cloud.done("POST", &format!("{instance}/start"), Value::Null).await;
    let seen = cloud.get(&instance).await;
    assert!(seen["machineType"].as_str().unwrap().ends_with("/e2-medium"));
    assert_eq!(seen["status"], "RUNNING");
    assert!(!cloud.export().up, "not before the script has run");
    for _ in 0..20 {
        cloud.get(&instance).await;
    }
    assert!(cloud.export().up);
}

#[tokio::test]
async fn what_is_in_use_stays() {
    let cloud = Cloud::new().await;
    cloud.file_server().await;
    let in_use = (400, "resourceInUseByAnotherResource".to_owned());
    assert_eq!(cloud.refused("DELETE", &format!("{ZONE}/disks/data"), Value::Null).await, in_use);
    assert_eq!(cloud.refused("DELETE", &format!("{REGION}/addresses/files"), Value::Null).await, in_use);
    let policy = json!({"name": "daily", "snapshotSchedulePolicy": {"schedule": {"dailySchedule": {"daysInCycle": 1, "startTime": "04:00"}}}});
    cloud.done("POST", &format!("{REGION}/resourcePolicies"), policy).await;
    let named = json!({"resourcePolicies": ["projects/p/regions/us-east1/resourcePolicies/daily"]});
    cloud.done("POST", &format!("{ZONE}/disks/data/addResourcePolicies"), named.clone()).await;
    assert_eq!(
        cloud.refused("DELETE", &format!("{REGION}/resourcePolicies/daily"), Value::Null).await,
        in_use
    );
    cloud.done("POST", &format!("{ZONE}/disks/data/removeResourcePolicies"), named).await;
    cloud.done("DELETE", &format!("{REGION}/resourcePolicies/daily"), Value::Null).await;
    let protect = format!("{ZONE}/instances/files/setDeletionProtection?deletionProtection=");
    cloud.done("POST", &format!("{protect}true"), Value::Null).await;
    assert_eq!(cloud.refused("DELETE", &format!("{ZONE}/instances/files"), Value::Null).await.0, 400);
    cloud.done("POST", &format!("{protect}false"), Value::Null).await;
    cloud.done("DELETE", &format!("{ZONE}/instances/files"), Value::Null).await;
    let disks = cloud.get(&format!("{ZONE}/disks")).await;
    let names: Vec<&str> =
        disks["items"].as_array().unwrap().iter().filter_map(|disk| disk["name"].as_str()).collect();
    assert_eq!(names, ["data"], "the boot disk went, the data disk stayed");
    assert!(disks["items"][0].get("users").is_none());
    assert_eq!(cloud.get(&format!("{REGION}/addresses/files")).await["status"], "RESERVED");
    cloud.done("DELETE", &format!("{ZONE}/disks/data"), Value::Null).await;
}

#[tokio::test]
async fn disks_grow_and_never_shrink() {
    let cloud = Cloud::new().await;
    cloud.file_server().await;
    let resize = format!("{ZONE}/disks/data/resize");
    assert_eq!(cloud.refused("POST", &resize, json!({"sizeGb": "10"})).await.0, 400);
    cloud.done("POST", &resize, json!({"sizeGb": "15"})).await;
    let instance = cloud.get(&format!("{ZONE}/instances/files")).await;
    assert_eq!(instance["disks"][1]["diskSizeGb"], "15");
}

#[tokio::test]
async fn a_request_id_makes_a_repetition_harmless() {
    let cloud = Cloud::new().await;
    let target = format!("{ZONE}/disks?requestId=5c0d1d0e-8a1b-4f0e-9d3c-2b1a0f9e8d7c");
    let first = cloud.done("POST", &target, json!({"name": "data"})).await;
    let second = cloud.done("POST", &target, json!({"name": "data"})).await;
    assert_eq!(first["name"], second["name"]);
    let (status, reason) = cloud.refused("POST", &format!("{ZONE}/disks"), json!({"name": "data"})).await;
    assert_eq!((status, reason.as_str()), (409, "alreadyExists"));
}

#[tokio::test]
async fn firewalls_get_their_defaults_and_are_patched() {
    let cloud = Cloud::new().await;
    let rules = format!("{GLOBAL}/firewalls");
    let allowed = json!([{"IPProtocol": "tcp", "ports": ["2049"]}]);
    cloud.done("POST", &rules, json!({"name": "nfs", "allowed": allowed})).await;
    let rule = cloud.get(&format!("{rules}/nfs")).await;
    assert_eq!(rule["sourceRanges"], json!(["0.0.0.0/0"]));
    assert_eq!((&rule["priority"], &rule["direction"]), (&json!(1000), &json!("INGRESS")));
    let operation =
        cloud.done("PATCH", &format!("{rules}/nfs"), json!({"sourceRanges": ["10.0.0.0/8"]})).await;
    assert_eq!(operation["operationType"], "compute.firewalls.patch");
    let patched = cloud.get(&format!("{rules}/nfs")).await;
    assert_eq!((&patched["sourceRanges"], &patched["allowed"]), (&json!(["10.0.0.0/8"]), &allowed));
    for body in [
        json!({"name": "x", "allowed": allowed, "denied": allowed}),
        json!({"name": "x"}),
        json!({"name": "x", "allowed": [{"IPProtocol": "icmp", "ports": ["1"]}]}),
        json!({"name": "x", "allowed": allowed, "sourceRanges": ["10.0.0.1/8"]}),
        json!({"name": "x", "allowed": allowed, "network": "global/networks/other"}),
    ] {
        assert!([400, 404].contains(&cloud.refused("POST", &rules, body).await.0));
    }
}

#[tokio::test]
async fn bad_bodies_and_places_are_refused() {
    let cloud = Cloud::new().await;
    for (target, body, says) in [
        (format!("{ZONE}/disks"), json!({"name": "d", "colour": "red"}), "Unknown name \\\"colour\\\""),
        (format!("{ZONE}/disks"), json!({"name": "Data"}), "Must be a match of regex"),
        (format!("{ZONE}/disks"), json!({"name": "d", "type": "pd-fast"}), "disk type cannot be found"),
        (format!("{ZONE}/disks"), json!({"name": "d", "labels": {"A": "b"}}), "Label key"),
        (ZONE.replace("-d", "-x") + "/disks", json!({"name": "d"}), "Unknown zone."),
        (format!("{ZONE}/instances"), vm("files"), "was not found"),
        (
            format!("{ZONE}/disks"),
            json!({"name": "d", "sourceImage": "projects/debian-cloud/global/images/family/debian-99"}),
            "was not found",
        ),
    ] {
        let reply = cloud.call("POST", &target, body).await;
        assert!((400..500).contains(&reply.status) && reply.body.contains(says), "{says}: {}", reply.body);
    }
    let mut body = vm("files");
    body["machineType"] = json!("zones/us-east1-d/machineTypes/e2-tiny");
    let reply = cloud.call("POST", &format!("{ZONE}/instances"), body).await;
    assert!(
        reply.body.contains("Machine type with name 'e2-tiny' does not exist in zone 'us-east1-d'"),
        "{}",
        reply.body
    );
}

#[tokio::test]
async fn lists_are_filtered_and_aggregated() {
    let cloud = Cloud::new().await;
    for (zone, name) in [("us-east1-c", "a"), ("us-east1-d", "b")] {
        let body = json!({"name": name, "labels": {"of": name}});
        cloud.done("POST", &format!("/compute/v1/projects/p/zones/{zone}/disks"), body).await;
    }
    let all = cloud.get("/compute/v1/projects/p/aggregated/disks").await;
    assert_eq!(all["items"]["zones/us-east1-c"]["disks"][0]["name"], "a");
    let one = cloud.get("/compute/v1/projects/p/aggregated/disks?filter=labels.of%20%3D%20b").await;
    assert_eq!(one["items"].as_object().unwrap().len(), 1);
    let none = cloud.get(&format!("{ZONE}/disks?filter=name%20eq%20%22x.*%22")).await;
    assert!(none.get("items").is_none());
    let running = cloud.get("/compute/v1/projects/p/aggregated/operations?filter=status%20!%3D%20DONE").await;
    assert_eq!(running["items"], json!({}));
}
