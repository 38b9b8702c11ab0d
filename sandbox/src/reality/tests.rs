//! The project's refusals, on a world without a server.

mod details;
mod walk;

use super::{Change, Reality, Switch};
use crate::api::{Endpoints, Request, Service};
use crate::kubernetes::Answer;
use crate::world::World;
use serde_json::{Value, json};

const START: u64 = 1_800_000_000_000;
const ZONE: &str = "/compute/v1/projects/p/zones/us-east1-d";
const REGION: &str = "/compute/v1/projects/p/regions/us-east1";
const GLOBAL: &str = "/compute/v1/projects/p/global";
const CLUSTERS: &str = "/v1/projects/p/locations/us-east1-d/clusters";
const FILES: &str = "/v1/projects/p/locations/us-east1-d/instances";

struct Cloud {
    world: World,
}

impl Cloud {
    fn new() -> Self {
        Self { world: World::new(7, START) }
    }

    /// A cloud with these switches on.
    fn with(switches: &[&str]) -> Self {
        let mut cloud = Self::new();
        cloud.switch(switches);
        cloud
    }

    fn switch(&mut self, switches: &[&str]) {
        for switch in switches {
            self.world.reality.set(switch.parse::<Switch>().unwrap());
        }
    }

    fn ask(&mut self, service: Service, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
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
        let answer = match self.world.throttle(&request) {
            Some(refusal) => refusal,
            None => self.world.handle(&request, now, &Endpoints::default()),
        };
        let Answer::Done(response) = answer else { panic!("a response") };
        (response.status, serde_json::from_slice(&response.body).unwrap_or_default())
    }

    fn compute(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.ask(Service::Compute, method, path, body)
    }

    fn gke(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.ask(Service::Container, method, path, body)
    }

    /// The answer, or the text of the refusal.
    fn outcome((status, body): (u16, Value)) -> Result<Value, String> {
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let text = body["error"]["message"].as_str().or_else(|| body["message"].as_str());
        Err(format!("{status} {}", text.unwrap_or("no text")))
    }

    /// Makes a change at Compute Engine and waits; the text of the refusal or of the operation's error.
    fn change(&mut self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let operation = Self::outcome(self.compute(method, path, body))?;
        self.pass(60);
        let link = operation["selfLink"].as_str().unwrap();
        let done =
            self.compute("GET", link.strip_prefix("https://www.googleapis.com").unwrap(), &Value::Null).1;
        assert_eq!(done["status"], "DONE", "{done}");
        match done["error"]["errors"][0].as_object() {
            None => Ok(done),
            Some(error) => {
                Err(format!("{} {}", error["code"].as_str().unwrap(), error["message"].as_str().unwrap()))
            }
        }
    }

    /// The same at GKE.
    fn change_gke(&mut self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let operation = Self::outcome(self.gke(method, path, body))?;
        self.pass(600);
        let name = operation["name"].as_str().unwrap();
        let done = self
            .gke("GET", &format!("/v1/projects/p/locations/us-east1-d/operations/{name}"), &Value::Null)
            .1;
        assert_eq!(done["status"], "DONE", "{done}");
        match done["error"]["message"].as_str() {
            None => Ok(done),
            Some(text) => Err(text.to_owned()),
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.world.advance_to(self.world.now + seconds * 1000);
    }
}

fn disk(name: &str, gb: u64, kind: &str) -> Value {
    json!({ "name": name, "sizeGb": gb.to_string(), "type": format!("projects/p/zones/us-east1-d/diskTypes/{kind}") })
}

fn vm(name: &str) -> Value {
    json!({
        "name": name,
        "machineType": "zones/us-east1-d/machineTypes/e2-small",
        "disks": [{
            "boot": true, "autoDelete": true,
            "initializeParams": { "sourceImage": "projects/debian-cloud/global/images/family/debian-12" },
        }],
        "networkInterfaces": [{ "accessConfigs": [{ "type": "ONE_TO_ONE_NAT" }] }],
    })
}

fn cluster(name: &str, nodes: u64) -> Value {
    json!({ "cluster": { "name": name, "initialNodeCount": nodes } })
}

fn change(body: &Value) -> Result<Change, String> {
    Change::read(body).map_err(|error| error.to_string())
}

#[test]
fn presets_are_known_by_their_switches() {
    for (name, on) in [
        ("default", json!({})),
        (
            "new",
            json!({"quota.SSD_TOTAL_GB": "500", "quota.CPUS": "24", "quota.IN_USE_ADDRESSES": "8",
            "quota.ZONAL_CLUSTERS": "100"}),
        ),
        (
            "trial",
            json!({"quota.SSD_TOTAL_GB": "250", "quota.CPUS": "8", "quota.IN_USE_ADDRESSES": "4",
            "quota.ZONAL_CLUSTERS": "100"}),
        ),
        (
            "strict",
            json!({"policy.compute.vmExternalIpAccess": "deny", "policy.compute.requireOsLogin": "enforced",
            "policy.compute.requireShieldedVm": "enforced", "policy.compute.disableSerialPortAccess": "enforced",
            "network.default": "absent", "serviceAccount.default": "roleless", "quota.ZONAL_CLUSTERS": "100"}),
        ),
    ] {
        let mut reality = Reality::default();
        reality.apply(&change(&json!({ "like": name })).unwrap());
        assert_eq!(reality.summary(), json!({ "like": name, "on": on }));
    }
}

#[test]
fn changes_are_read_and_applied_in_order() {
    let mut reality = Reality::default();
    let body = json!({ "like": "trial", "set": { "quota.CPUS": 12, "quota.SSD_TOTAL_GB": null, "role.file.editor": "absent" } });
    reality.apply(&change(&body).unwrap());
    let on = json!({ "quota.CPUS": "12", "quota.IN_USE_ADDRESSES": "4", "quota.ZONAL_CLUSTERS": "100",
        "role.file.editor": "absent" });
    assert_eq!(reality.summary(), json!({ "on": on }), "that is no preset");
    reality.apply(&change(&json!({ "set": { "role.file.editor": "present" } })).unwrap());
    assert_eq!(reality.summary()["on"].get("role.file.editor"), None);
    reality.apply(&change(&json!({ "like": "default" })).unwrap());
    assert_eq!(reality, Reality::default());
}

#[test]
fn what_is_no_change_says_why() {
    for (body, why) in [
        (json!([]), "a change is"),
        (json!({ "liek": "new" }), "a change is"),
        (json!({ "like": "old" }), "there are default, new, trial, strict"),
        (json!({ "set": { "quota.GPUS": 1 } }), "\"quota.GPUS\" is no switch; there are quota.SSD_TOTAL_GB"),
        (json!({ "set": { "quota.GPUS": null } }), "is no switch"),
        (json!({ "set": { "quota.CPUS": "few" } }), "quota.CPUS takes N or unlimited, not \"few\""),
        (json!({ "set": { "network.default": "gone" } }), "network.default takes absent or present"),
        (json!({ "set": { "partial.compute": "us-east1-z" } }), "\"us-east1-z\" is no zone or region"),
    ] {
        let error = change(&body).unwrap_err();
        assert!(error.contains(why), "{body}: {error}");
    }
    assert!("quota.CPUS".parse::<Switch>().unwrap_err().to_string().contains("KEY=VALUE"));
}

#[test]
fn a_world_of_before_has_everything() {
    let mut stored = serde_json::to_value(World::new(7, START)).unwrap();
    let fields = stored.as_object_mut().unwrap();
    fields.remove("reality");
    fields.remove("rates");
    let world: World = serde_json::from_value(stored).unwrap();
    assert_eq!(world, World::new(7, START));
}
