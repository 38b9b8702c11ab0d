use crate::World;
use crate::api::{Answer, Endpoints, Request, Service};
use serde_json::{Value, json};

const ZONE: &str = "/v1/projects/p/locations/us-east1-d";

struct Filestore {
    world: World,
}

impl Filestore {
    fn new() -> Self {
        Self { world: World::new(7, 1_800_000_000_000) }
    }

    fn call(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query = query.split('&').filter_map(|pair| pair.split_once('='));
        let request = Request {
            service: Service::Filestore,
            method: method.to_owned(),
            path: if path.starts_with("/v1") { path.to_owned() } else { format!("{ZONE}{path}") },
            query: query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            headers: Vec::new(),
            body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        };
        let now = self.world.now;
        let answer = self.world.handle(&request, now, &Endpoints::default());
        let Answer::Done(response) = answer else { panic!("a response") };
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

    fn refused(&mut self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let (status, body) = self.call(method, path, body);
        assert!(body["error"].get("errors").is_none());
        (status, body["error"]["message"].as_str().unwrap().to_owned())
    }

    fn pass(&mut self, seconds: u64) {
        self.world.advance_to(self.world.now + seconds * 1000);
    }
}

fn instance() -> Value {
    json!({"tier": "BASIC_HDD", "fileShares": [{"name": "share", "capacityGb": 1024}], "networks": [{"network": "default"}]})
}

#[test]
fn an_instance_from_creation_to_deletion() {
    let mut files = Filestore::new();
    let create = files.ok("POST", "/instances?instanceId=nfs", &instance());
    assert_eq!((&create["done"], &create["metadata"]["apiVersion"]), (&json!(false), &json!("v1")));
    let instance = files.get("/instances/nfs");
    assert_eq!((&instance["state"], instance["networks"][0].get("ipAddresses")), (&json!("CREATING"), None));
    assert!(!files.world.google.filestore.exports()[0].up);
    files.pass(180);
    let instance = files.get("/instances/nfs");
    assert_eq!(instance["state"], "READY");
    let network = json!({"network": "default", "reservedIpRange": "10.240.0.0/29", "ipAddresses": ["10.240.0.2"],
        "modes": ["MODE_IPV4"], "connectMode": "DIRECT_PEERING"});
    assert_eq!(instance["networks"][0], network);
    assert_eq!(instance.get("capacityGb"), None);
    let export = &files.world.google.filestore.exports()[0];
    assert_eq!((export.path.as_str(), export.up, export.names[0].as_str()), ("/share", true, "10.240.0.2"));
    let name = create["name"].as_str().unwrap();
    let done = files.get(&format!("/v1/{name}?$alt=json;enum-encoding=int"));
    assert_eq!(
        (&done["done"], &done["response"]["state"], &done["response"]["tier"]),
        (&json!(true), &json!(2), &json!(3))
    );

    files.ok("DELETE", "/instances/nfs", &Value::Null);
    assert_eq!(files.get("/v1/projects/p/locations/-/instances")["instances"][0]["state"], "DELETING");
    assert!(!files.world.google.filestore.exports()[0].up);
    files.pass(60);
    let gone = files.refused("GET", "/instances/nfs", &Value::Null);
    assert_eq!(
        gone,
        (404, "Resource 'projects/p/locations/us-east1-d/instances/nfs' was not found".to_owned())
    );
    assert_eq!(files.get("/instances"), json!({}));
}

#[test]
fn ranges_are_honoured_and_never_overlap() {
    let mut files = Filestore::new();
    let with_range = |range: &str| {
        let mut body = instance();
        body["networks"][0]["reservedIpRange"] = json!(range);
        body
    };
    files.ok("POST", "/instances?instanceId=a", &with_range("10.9.8.16/29"));
    files.pass(180);
    assert_eq!(files.get("/instances/a")["networks"][0]["ipAddresses"], json!(["10.9.8.18"]));
    for range in ["10.9.8.16/29", "10.9.8.0/24", "10.9.8.17/29", "10.9.8.0/30", "here"] {
        assert_eq!(files.refused("POST", "/instances?instanceId=b", &with_range(range)).0, 400, "{range}");
    }
    files.ok("POST", "/instances?instanceId=b", &instance());
    files.ok("POST", "/instances?instanceId=c", &instance());
    assert_eq!(files.get("/instances/c")["networks"][0]["reservedIpRange"], "10.240.0.8/29");
}

#[test]
fn refusals_of_create() {
    let mut files = Filestore::new();
    files.ok("POST", "/instances?instanceId=nfs", &instance());
    let changed = |path: &str, value: Value| {
        let mut body = instance();
        *body.pointer_mut(path).unwrap() = value;
        body
    };
    let cases = [
        ("nfs", instance(), 409, "Resource 'projects/p/locations/us-east1-d/instances/nfs' already exists"),
        ("Nfs", instance(), 400, "Invalid value for field 'instance_id'"),
        (
            "n",
            changed("/fileShares/0/capacityGb", json!(1000)),
            400,
            "Invalid value for field 'instance.file_shares[0].capacity_gb'",
        ),
        (
            "n",
            changed("/fileShares/0/name", json!("Share")),
            400,
            "Invalid value for field 'instance.file_shares[0].name'",
        ),
        ("n", changed("/fileShares", json!([])), 400, "Invalid value for field 'instance.file_shares'"),
        (
            "n",
            changed("/networks", json!([{}])),
            400,
            "Invalid value for field 'instance.networks[0].network'",
        ),
        ("n", changed("/tier", json!("FASTEST")), 400, "Invalid value at 'instance.tier'"),
        ("n", changed("/tier", json!("ENTERPRISE")), 400, "Location 'us-east1-d' is invalid"),
        ("n", json!({"size": 1}), 400, "Invalid JSON payload received. Unknown name \"size\" at 'instance'"),
        ("n", json!({}), 400, "Invalid value for field 'instance.tier'"),
    ];
    for (name, body, status, message) in cases {
        let refused = files.refused("POST", &format!("/instances?instanceId={name}"), &body);
        assert_eq!(refused.0, status, "{body}");
        assert!(refused.1.starts_with(message), "{body}: {}", refused.1);
    }
    let nowhere = files.refused("GET", "/v1/projects/p/locations/mars/instances", &Value::Null);
    assert_eq!(nowhere, (403, "Location mars is not found or access is unauthorized.".to_owned()));
    assert_eq!(files.refused("GET", "/instances/a/b", &Value::Null).1, "Method not found.");
}

#[test]
fn updates_follow_their_mask() {
    let mut files = Filestore::new();
    files.ok("POST", "/instances?instanceId=nfs", &instance());
    let busy = files.refused("DELETE", "/instances/nfs", &Value::Null);
    assert_eq!(busy.0, 409);
    files.pass(180);
    let before = files.get("/instances/nfs");
    let body = json!({"fileShares": [{"name": "share", "capacityGb": "2048"}], "labels": {"a": "b"},
        "description": "not in the mask", "etag": before["etag"]});
    files.ok("PATCH", "/instances/nfs?updateMask=file_shares,labels", &body);
    files.pass(30);
    let after = files.get("/instances/nfs");
    assert_eq!(
        (&after["fileShares"][0]["capacityGb"], &after["labels"]),
        (&json!("2048"), &json!({"a": "b"}))
    );
    assert_eq!(after.get("description"), None);
    assert_ne!(after["etag"], before["etag"]);

    let patch = |mask: &str| format!("/instances/nfs?updateMask={mask}");
    let shrink = json!({"fileShares": [{"name": "share", "capacityGb": 1024}]});
    assert!(
        files
            .refused("PATCH", &patch("fileShares"), &shrink)
            .1
            .contains("cannot be reduced from 2048 to 1024")
    );
    let rename = json!({"fileShares": [{"name": "other", "capacityGb": 2048}]});
    assert!(files.refused("PATCH", &patch("fileShares"), &rename).1.contains("cannot be changed"));
    assert_eq!(
        files.refused("PATCH", &patch("labels"), &body),
        (
            409,
            format!(
                "etag '{}' does not match '{}'",
                before["etag"].as_str().unwrap(),
                after["etag"].as_str().unwrap()
            )
        )
    );
    assert_eq!(files.refused("PATCH", "/instances/nfs", &json!({})).0, 400);
    assert!(files.refused("PATCH", &patch("tier"), &json!({})).1.contains("'tier' cannot be updated"));

    files.ok("PATCH", &patch("deletionProtectionEnabled"), &json!({"deletionProtectionEnabled": true}));
    files.pass(30);
    assert!(files.refused("DELETE", "/instances/nfs", &Value::Null).1.contains("deletion protection"));
}
