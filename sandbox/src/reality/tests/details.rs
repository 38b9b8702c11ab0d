//! The refusals one by one.

use super::{CLUSTERS, Cloud, GLOBAL, REGION, ZONE, cluster, disk, vm};
use crate::api::Service;
use serde_json::{Value, json};

/// Limit and usage of a quota, as the region shows them.
fn shown(cloud: &mut Cloud, metric: &str) -> (Value, Value) {
    let region = cloud.compute("GET", REGION, &Value::Null).1;
    let quotas = region["quotas"].as_array().unwrap();
    let quota = quotas.iter().find(|quota| quota["metric"] == metric).unwrap();
    (quota["limit"].clone(), quota["usage"].clone())
}

#[test]
fn a_region_shows_what_stands_in_it() {
    let switches =
        ["quota.SSD_TOTAL_GB=500", "quota.DISKS_TOTAL_GB=99", "quota.CPUS=24", "quota.IN_USE_ADDRESSES=8"];
    let mut cloud = Cloud::with(&switches);
    cloud.change("POST", &format!("{ZONE}/disks"), &disk("data", 40, "pd-ssd")).unwrap();
    cloud.change("POST", &format!("{ZONE}/instances"), &vm("v")).unwrap();
    cloud.change_gke("POST", CLUSTERS, &cluster("c", 3)).unwrap();
    assert_eq!(
        shown(&mut cloud, "SSD_TOTAL_GB"),
        (json!(500), json!(340)),
        "three nodes of 100 GB and a disk"
    );
    assert_eq!(shown(&mut cloud, "DISKS_TOTAL_GB"), (json!(99), json!(10)), "the boot disk");
    assert_eq!(shown(&mut cloud, "CPUS"), (json!(24), json!(8)), "four machines of 2");
    assert_eq!(shown(&mut cloud, "IN_USE_ADDRESSES"), (json!(8), json!(4)));
    // A machine that is stopped needs a disk, and nothing else.
    cloud.change("POST", &format!("{ZONE}/instances/v/stop"), &Value::Null).unwrap();
    assert_eq!(shown(&mut cloud, "CPUS").1, json!(6));
    assert_eq!(shown(&mut cloud, "DISKS_TOTAL_GB").1, json!(10));
    let elsewhere = cloud.compute("GET", "/compute/v1/projects/p/regions", &Value::Null).1;
    let regions = elsewhere["items"].as_array().unwrap();
    let west = regions.iter().find(|region| region["name"] == "us-west1").unwrap();
    assert_eq!(west["quotas"][0], json!({ "metric": "SSD_TOTAL_GB", "limit": 500, "usage": 0 }));
    cloud.change_gke("DELETE", &format!("{CLUSTERS}/c"), &Value::Null).unwrap();
    assert_eq!(shown(&mut cloud, "SSD_TOTAL_GB").1, json!(40));
}

#[test]
fn a_default_cluster_does_not_fit_a_project_on_trial() {
    let mut cloud = Cloud::with(&["quota.SSD_TOTAL_GB=250"]);
    let (status, body) = cloud.gke("POST", CLUSTERS, &cluster("c", 3));
    // The words of terraform-google-modules/terraform-google-kubernetes-engine#1795.
    let text = "Insufficient regional quota to satisfy request: resource \"SSD_TOTAL_GB\": request requires '300.0' and is \
                short '50.0'. project has a quota of '250.0' with '250.0' available. View and manage quotas at \
                https://console.cloud.google.com/iam-admin/quotas?usage=USED&project=p.";
    let errors = json!([{ "message": text, "domain": "global", "reason": "forbidden" }]);
    let error = json!({ "code": 403, "message": text, "status": "PERMISSION_DENIED", "errors": errors });
    assert_eq!((status, body), (403, json!({ "error": error })));
    let list = cloud.gke("GET", CLUSTERS, &Value::Null).1;
    assert_eq!(list, json!({}), "nothing of it stands");
    let mut small = cluster("c", 3);
    small["cluster"]["nodeConfig"] = json!({ "diskSizeGb": 50 });
    cloud.change_gke("POST", CLUSTERS, &small).unwrap();
    // The next 150 GB are 50 short: what stands is counted.
    let pool =
        json!({ "nodePool": { "name": "more", "initialNodeCount": 3, "config": { "diskSizeGb": 50 } } });
    let refused = cloud.change_gke("POST", &format!("{CLUSTERS}/c/nodePools"), &pool).unwrap_err();
    assert!(refused.contains("requires '150.0' and is short '50.0'"), "{refused}");
    assert!(refused.contains("a quota of '250.0' with '100.0' available"), "{refused}");
    let size = format!("{CLUSTERS}/c/nodePools/default-pool:setSize");
    let refused = cloud.change_gke("POST", &size, &json!({ "nodeCount": 6 })).unwrap_err();
    assert!(refused.contains("requires '150.0' and is short '50.0'"), "{refused}");
    cloud.change_gke("POST", &size, &json!({ "nodeCount": 5 })).unwrap();
}

#[test]
fn several_quotas_are_told_in_one_refusal() {
    let mut cloud = Cloud::with(&["quota.CPUS=8", "quota.IN_USE_ADDRESSES=4"]);
    let mut body = cluster("c", 6);
    body["cluster"]["nodeConfig"] = json!({ "machineType": "n1-standard-2" });
    let refused = cloud.change_gke("POST", CLUSTERS, &body).unwrap_err();
    // The words of googlecodelabs/feedback#950.
    let cpus = "403 \n\t(1) insufficient regional quota to satisfy request: resource \"CPUS\": request requires '12.0' and \
                is short '4.0'. project has a quota of '8.0' with '8.0' available.";
    assert!(refused.starts_with(cpus), "{refused}");
    assert!(
        refused.contains(
            "\n\t(2) insufficient regional quota to satisfy request: resource \"IN_USE_ADDRESSES\""
        )
    );
    // Private nodes need no addresses.
    let mut private = cluster("c", 4);
    private["cluster"]["networkConfig"] = json!({ "defaultEnablePrivateNodes": true });
    cloud.change_gke("POST", CLUSTERS, &private).unwrap();
    assert_eq!(shown(&mut cloud, "IN_USE_ADDRESSES").1, json!(0));
}

#[test]
fn what_compute_engine_has_no_quota_for_is_not_made() {
    let mut cloud = Cloud::with(&["quota.SSD_TOTAL_GB=100", "quota.CPUS=2", "quota.IN_USE_ADDRESSES=1"]);
    cloud.change("POST", &format!("{ZONE}/disks"), &disk("data", 60, "pd-balanced")).unwrap();
    let path = format!("{ZONE}/disks/data/resize");
    let refused = cloud.change("POST", &path, &json!({ "sizeGb": "101" })).unwrap_err();
    assert_eq!(refused, "QUOTA_EXCEEDED Quota 'SSD_TOTAL_GB' exceeded.  Limit: 100.0 in region us-east1.");
    assert_eq!(cloud.compute("GET", &format!("{ZONE}/disks/data"), &Value::Null).1["sizeGb"], "60");
    cloud.change("POST", &path, &json!({ "sizeGb": "100" })).unwrap();
    // A machine that is refused leaves no disk behind.
    cloud.change("POST", &format!("{ZONE}/instances"), &vm("first")).unwrap();
    let refused = cloud.change("POST", &format!("{ZONE}/instances"), &vm("second")).unwrap_err();
    assert!(refused.starts_with("QUOTA_EXCEEDED Quota 'CPUS' exceeded."), "{refused}");
    for gone in ["instances/second", "disks/second"] {
        assert_eq!(cloud.compute("GET", &format!("{ZONE}/{gone}"), &Value::Null).0, 404, "{gone}");
    }
    // What is stopped needs CPUs again to be started.
    cloud.change("POST", &format!("{ZONE}/instances/first/stop"), &Value::Null).unwrap();
    cloud.change("POST", &format!("{ZONE}/instances"), &vm("second")).unwrap();
    let refused = cloud.change("POST", &format!("{ZONE}/instances/first/start"), &Value::Null).unwrap_err();
    assert!(refused.starts_with("QUOTA_EXCEEDED"), "{refused}");
}

#[test]
fn a_failed_operation_says_what_a_real_one_says() {
    let mut cloud = Cloud::with(&["quota.SSD_TOTAL_GB=10"]);
    let path = format!("{ZONE}/disks?requestId=5d0e2d1c-0000-0000-0000-000000000001");
    let begun = cloud.compute("POST", &path, &disk("d", 20, "pd-ssd")).1;
    assert_eq!((&begun["status"], begun.get("error")), (&json!("RUNNING"), None));
    let again = cloud.compute("POST", &path, &disk("d", 20, "pd-ssd")).1;
    assert_eq!(again["name"], begun["name"], "a repetition of the request has the same operation");
    cloud.pass(10);
    let link =
        begun["selfLink"].as_str().unwrap().strip_prefix("https://www.googleapis.com").unwrap().to_owned();
    let done = cloud.compute("GET", &link, &Value::Null).1;
    let fields = ["operationType", "status", "progress", "error", "httpErrorStatusCode", "httpErrorMessage"];
    let error = json!({ "errors": [{
        "code": "QUOTA_EXCEEDED", "message": "Quota 'SSD_TOTAL_GB' exceeded.  Limit: 10.0 in region us-east1.",
    }] });
    let expected = [json!("insert"), json!("DONE"), json!(100), error, json!(403), json!("FORBIDDEN")];
    assert_eq!(fields.map(|field| done[field].clone()), expected);
}

#[test]
fn constraints_are_told_all_at_once() {
    let mut cloud =
        Cloud::with(&["policy.compute.vmExternalIpAccess=deny", "policy.compute.requireShieldedVm=enforced"]);
    let path = format!("{ZONE}/instances");
    let (status, body) = cloud.compute("POST", &path, &vm("v"));
    let errors = body["error"]["errors"].as_array().unwrap();
    let reasons: Vec<&Value> = errors.iter().map(|error| &error["reason"]).collect();
    assert_eq!((status, reasons), (412, vec![&json!("conditionNotMet"); 2]));
    let number = crate::google::rest::project_number("p");
    assert_eq!(
        errors[1]["message"],
        format!(
            "Constraint constraints/compute.vmExternalIpAccess violated for project {number}. Add instance \
             projects/p/zones/us-east1-d/instances/v to the constraint to use external IP with it."
        )
    );
    assert_eq!(body["error"]["message"], errors[0]["message"]);
    assert_eq!(body["error"].get("status"), None, "as Compute Engine's errors are");
    // What keeps to both is made, and stays within them.
    let mut good = vm("v");
    good["networkInterfaces"] = json!([{}]);
    good["shieldedInstanceConfig"] = json!({ "enableSecureBoot": true });
    cloud.change("POST", &path, &good).unwrap();
    let access = json!({ "type": "ONE_TO_ONE_NAT", "name": "external-nat" });
    let refused = cloud.change("POST", &format!("{path}/v/addAccessConfig?networkInterface=nic0"), &access);
    assert!(refused.unwrap_err().contains("constraints/compute.vmExternalIpAccess violated"));
    let off = json!({ "enableSecureBoot": false });
    let refused = cloud.change("PATCH", &format!("{path}/v/updateShieldedInstanceConfig"), &off);
    assert!(refused.unwrap_err().contains("Secure Boot is not enabled"));
}

#[test]
fn os_login_and_the_console_are_guarded_in_later_metadata_too() {
    let switches =
        ["policy.compute.requireOsLogin=enforced", "policy.compute.disableSerialPortAccess=enforced"];
    let mut cloud = Cloud::with(&switches);
    let path = format!("{ZONE}/instances");
    let mut body = vm("v");
    let item = |key: &str, value: &str| json!({ "key": key, "value": value });
    // What zkprov sends: OS Login on, the serial port's output logged.
    body["metadata"] =
        json!({ "items": [item("enable-oslogin", "TRUE"), item("serial-port-logging-enable", "TRUE")] });
    cloud.change("POST", &path, &body).unwrap();
    let print = cloud.compute("GET", &format!("{path}/v"), &Value::Null).1["metadata"]["fingerprint"].clone();
    for (key, value, constraint) in [
        ("enable-oslogin", "false", "requireOsLogin"),
        ("serial-port-enable", "1", "disableSerialPortAccess"),
    ] {
        let metadata = json!({ "fingerprint": print, "items": [item(key, value)] });
        let refused = cloud.change("POST", &format!("{path}/v/setMetadata"), &metadata).unwrap_err();
        assert!(
            refused.starts_with(&format!("412 Constraint constraints/compute.{constraint} violated")),
            "{refused}"
        );
    }
    let (status, _) = cloud.compute("GET", &format!("{path}/v/serialPort"), &Value::Null);
    assert_eq!(status, 200, "the output is no access");
}

#[test]
fn a_cluster_whose_machines_are_forbidden_ends_in_an_error() {
    let mut cloud = Cloud::with(&["policy.compute.vmExternalIpAccess=deny"]);
    let created = cloud.gke("POST", CLUSTERS, &cluster("c", 3));
    assert_eq!((created.0, &created.1["status"]), (200, &json!("RUNNING")), "it is taken");
    cloud.pass(600);
    let name = created.1["name"].as_str().unwrap();
    let operation =
        cloud.gke("GET", &format!("/v1/projects/p/locations/us-east1-d/operations/{name}"), &Value::Null).1;
    // The words of 2i2c-org/infrastructure#489.
    let cause = operation["error"]["message"].as_str().unwrap();
    assert!(cause.starts_with("Instance 'gke-c-default-pool-"), "{cause}");
    assert!(cause.contains(
        "' creation failed: Constraint constraints/compute.vmExternalIpAccess violated for project "
    ));
    assert!(cause.ends_with(" to the constraint to use external IP with it."), "{cause}");
    let summary = operation["statusMessage"].as_str().unwrap();
    let head = "Not all instances running in IGM after 40.240072593s. Expected 3, running 0, transitioning 3. Current \
                errors: [CONDITION_NOT_MET]: Instance 'gke-c-default-pool-";
    assert!(summary.starts_with(head), "{summary}");
    assert_eq!(operation["error"]["code"], 9);
    assert_eq!(operation["clusterConditions"][0]["canonicalCode"], "FAILED_PRECONDITION");
    let cluster = cloud.gke("GET", &format!("{CLUSTERS}/c"), &Value::Null).1;
    assert_eq!((&cluster["status"], &cluster["statusMessage"]), (&json!("ERROR"), &json!(summary)));
    assert_eq!(cluster["conditions"][1]["message"], summary);
    assert!(cloud.world.google.container.running_clusters().is_empty(), "it has no Kubernetes API");
    assert!(cloud.world.google.container.nodes().is_empty());
    cloud.change_gke("DELETE", &format!("{CLUSTERS}/c"), &Value::Null).unwrap();
    let mut private = super::cluster("c", 3);
    private["cluster"]["networkConfig"] = json!({ "defaultEnablePrivateNodes": true });
    cloud.change_gke("POST", CLUSTERS, &private).unwrap();
    let cluster = cloud.gke("GET", &format!("{CLUSTERS}/c"), &Value::Null).1;
    assert_eq!((&cluster["status"], cluster.get("conditions")), (&json!("RUNNING"), None));
}

#[test]
fn a_pool_without_secure_boot_ends_in_an_error_alone() {
    let mut cloud = Cloud::new();
    cloud.change_gke("POST", CLUSTERS, &cluster("c", 1)).unwrap();
    cloud.switch(&["policy.compute.requireShieldedVm=enforced"]);
    let pools = format!("{CLUSTERS}/c/nodePools");
    let pool = |name: &str, config: Value| json!({ "nodePool": { "name": name, "initialNodeCount": 1, "config": config } });
    let refused = cloud.change_gke("POST", &pools, &pool("bare", json!({}))).unwrap_err();
    // The words of hashicorp-education/learn-terraform-provision-gke-cluster#8.
    let words = "creation failed: Constraint constraints/compute.requireShieldedVm violated for project projects/p. Secure \
                 Boot is not enabled in the 'shielded_instance_config' field.";
    assert!(refused.contains(words), "{refused}");
    assert_eq!(cloud.gke("GET", &format!("{pools}/bare"), &Value::Null).1["status"], "ERROR");
    assert_eq!(cloud.gke("GET", &format!("{pools}/default-pool"), &Value::Null).1["status"], "RUNNING");
    assert_eq!(cloud.gke("GET", &format!("{CLUSTERS}/c"), &Value::Null).1["status"], "RUNNING");
    let secure =
        json!({ "shieldedInstanceConfig": { "enableSecureBoot": true, "enableIntegrityMonitoring": true } });
    cloud.change_gke("POST", &pools, &pool("shielded", secure)).unwrap();
    cloud.change_gke("DELETE", &format!("{pools}/bare"), &Value::Null).unwrap();
}

#[test]
fn lists_lack_what_was_not_read_and_gets_do_not() {
    let mut cloud = Cloud::new();
    cloud.change("POST", &format!("{ZONE}/disks"), &disk("d", 10, "pd-ssd")).unwrap();
    cloud
        .change(
            "POST",
            "/compute/v1/projects/p/zones/us-west1-a/disks",
            &json!({ "name": "w", "sizeGb": "10" }),
        )
        .unwrap();
    cloud.change_gke("POST", CLUSTERS, &cluster("c", 1)).unwrap();
    let west = "/v1/projects/p/locations/us-west1-a/clusters";
    assert_eq!(cloud.gke("POST", west, &cluster("w", 1)).0, 200);
    cloud.switch(&["partial.container=us-east1-d", "partial.compute=us-east1-d,us-east1"]);
    let list = cloud.gke("GET", "/v1/projects/p/locations/-/clusters", &Value::Null).1;
    let names: Vec<&Value> =
        list["clusters"].as_array().unwrap().iter().map(|cluster| &cluster["name"]).collect();
    assert_eq!((names, &list["missingZones"]), (vec![&json!("w")], &json!(["us-east1-d"])));
    let other = cloud.gke("GET", west, &Value::Null).1;
    assert_eq!(other.get("missingZones"), None, "a list of another zone is whole");
    let own = cloud.gke("GET", CLUSTERS, &Value::Null).1;
    assert_eq!(own, json!({ "missingZones": ["us-east1-d"] }));
    assert_eq!(cloud.gke("GET", &format!("{CLUSTERS}/c"), &Value::Null).0, 200, "what is named is read");

    let disks = cloud.compute("GET", "/compute/v1/projects/p/aggregated/disks", &Value::Null).1;
    let warning = json!({ "code": "UNREACHABLE", "message": "A given scope cannot be reached.",
        "data": [{ "key": "scope", "value": "zones/us-east1-d" }] });
    assert_eq!(disks["items"]["zones/us-east1-d"], json!({ "warning": warning }));
    assert_eq!(disks["items"]["zones/us-west1-a"]["disks"][0]["name"], "w");
    assert_eq!((&disks["unreachables"], &disks["warning"]), (&json!(["zones/us-east1-d"]), &warning));
    let addresses = cloud.compute("GET", "/compute/v1/projects/p/aggregated/addresses", &Value::Null).1;
    assert_eq!(addresses["unreachables"], json!(["regions/us-east1"]), "addresses are a region's");
    assert_eq!(cloud.compute("GET", &format!("{ZONE}/disks/d"), &Value::Null).0, 200);
}

#[test]
fn filestore_names_the_locations_it_could_not_read() {
    let mut cloud = Cloud::new();
    let body = json!({ "tier": "BASIC_HDD", "fileShares": [{ "name": "vol", "capacityGb": "1024" }],
        "networks": [{ "network": "default" }] });
    let create = format!("{}?instanceId=f", super::FILES);
    assert_eq!(cloud.ask(Service::Filestore, "POST", &create, &body).0, 200);
    let list = |cloud: &mut Cloud, place: &str| {
        cloud
            .ask(
                Service::Filestore,
                "GET",
                &format!("/v1/projects/p/locations/{place}/instances"),
                &Value::Null,
            )
            .1
    };
    assert_eq!(list(&mut cloud, "-")["instances"].as_array().map(Vec::len), Some(1));
    cloud.switch(&["partial.filestore=us-east1-d,us-west1-a"]);
    let unread = json!(["projects/p/locations/us-east1-d", "projects/p/locations/us-west1-a"]);
    assert_eq!(list(&mut cloud, "-"), json!({ "unreachable": unread }));
    assert_eq!(list(&mut cloud, "europe-west1-b"), json!({}));
    let get = format!("{}/f", super::FILES);
    assert_eq!(cloud.ask(Service::Filestore, "GET", &get, &Value::Null).0, 200);
}

#[test]
fn rates_are_refilled_at_the_start_of_the_next_minute() {
    let mut cloud = Cloud::with(&["rate.compute.perMinute=2"]);
    cloud.pass(50);
    let list = format!("{ZONE}/disks");
    let statuses = |cloud: &mut Cloud| [(); 3].map(|()| cloud.compute("GET", &list, &Value::Null).0);
    assert_eq!(statuses(&mut cloud), [200, 200, 403]);
    // Changes are counted by themselves, and so is each project.
    assert_eq!(cloud.compute("POST", &list, &disk("d", 10, "pd-ssd")).0, 200);
    assert_eq!(cloud.compute("GET", "/compute/v1/projects/q/zones/us-east1-d/disks", &Value::Null).0, 200);
    assert_eq!(cloud.gke("GET", CLUSTERS, &Value::Null).0, 200);
    let refused = cloud.compute("GET", &list, &Value::Null).1;
    let error = &refused["error"];
    assert_eq!((&error["errors"][0]["reason"], error.get("status")), (&json!("rateLimitExceeded"), None));
    assert_eq!(error["details"][0]["reason"], "RATE_LIMIT_EXCEEDED");
    let minute = cloud.world.now / 60_000;
    assert_eq!(cloud.world.next_event().map(|next| next / 60_000), Some(minute), "the disk is made first");
    cloud.pass(5);
    assert_eq!(cloud.world.next_event(), Some((minute + 1) * 60_000), "whoever waits, waits for the refill");
    cloud.pass(10);
    assert_eq!(statuses(&mut cloud), [200, 200, 403]);
}

#[test]
fn other_apis_say_that_they_are_exhausted() {
    let mut cloud = Cloud::with(&["rate.container.perMinute=0", "rate.filestore.perMinute=0"]);
    let (status, body) = cloud.gke("GET", CLUSTERS, &Value::Null);
    assert_eq!((status, &body["error"]["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
    assert_eq!(body["error"]["errors"][0]["reason"], "rateLimitExceeded");
    let (status, body) = cloud.ask(Service::Filestore, "GET", super::FILES, &Value::Null);
    assert_eq!((status, &body["error"]["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
    assert_eq!(body["error"]["details"][0]["metadata"]["quota_limit_value"], "0");
}

#[test]
fn a_missing_role_takes_its_part_alone() {
    let mut cloud = Cloud::new();
    cloud.change("POST", &format!("{ZONE}/disks"), &disk("d", 10, "pd-ssd")).unwrap();
    cloud.change_gke("POST", CLUSTERS, &cluster("c", 1)).unwrap();
    cloud.switch(&["role.compute.admin=absent", "role.container.admin=absent"]);
    let denied = |answer: (u16, Value), permission: &str| {
        let text = answer.1["error"]["message"].as_str().unwrap().to_owned();
        assert!(answer.0 == 403 && text.contains(permission), "{permission}: {} {text}", answer.0);
        assert_eq!(answer.1["error"]["errors"][0]["reason"], "forbidden");
    };
    let disk_path = format!("{ZONE}/disks/d");
    denied(
        cloud.compute("DELETE", &disk_path, &Value::Null),
        "'compute.disks.delete' permission for 'projects/p/zones/",
    );
    denied(cloud.compute("POST", &format!("{disk_path}/resize"), &json!({})), "'compute.disks.resize'");
    denied(
        cloud.compute("PATCH", &format!("{GLOBAL}/firewalls/r"), &json!({})),
        "'compute.firewalls.update'",
    );
    denied(cloud.gke("DELETE", &format!("{CLUSTERS}/c"), &Value::Null), "\"container.clusters.delete\"");
    let pool = format!("{CLUSTERS}/c/nodePools/default-pool:setSize");
    denied(cloud.gke("POST", &pool, &json!({ "nodeCount": 2 })), "\"container.clusters.update\"");
    for (status, _) in [
        cloud.compute("GET", &disk_path, &Value::Null),
        cloud.compute("GET", "/compute/v1/projects/p/aggregated/disks", &Value::Null),
        cloud.gke("GET", CLUSTERS, &Value::Null),
        cloud.gke("GET", "/v1/projects/p/locations/us-east1-d/serverConfig", &Value::Null),
    ] {
        assert_eq!(status, 200);
    }
    cloud.switch(&["role.compute.viewer=absent"]);
    let path = format!("{ZONE}/operations/o/wait");
    denied(cloud.compute("POST", &path, &Value::Null), "'compute.zoneOperations.get'");
}

#[test]
fn kubernetes_says_who_may_not_do_what() {
    let mut cloud = Cloud::new();
    cloud.change_gke("POST", CLUSTERS, &cluster("c", 1)).unwrap();
    cloud.switch(&["role.container.developer=absent"]);
    let mut ask = |method: &str, path: &str| {
        cloud.ask(Service::Kubernetes("p/us-east1-d/c".to_owned()), method, path, &json!({}))
    };
    let (status, body) = ask("DELETE", "/apis/apps/v1/namespaces/zk/deployments/exhibitor");
    assert_eq!(
        (status, body["message"].as_str().unwrap()),
        (
            403,
            "deployments.apps \"exhibitor\" is forbidden: User \"sandbox@example.com\" cannot delete resource \
             \"deployments\" in API group \"apps\" in the namespace \"zk\": requires one of \
             [\"container.deployments.delete\"] permission(s)."
        )
    );
    assert_eq!((&body["kind"], &body["reason"]), (&json!("Status"), &json!("Forbidden")));
    assert_eq!(body["details"], json!({ "name": "exhibitor", "group": "apps", "kind": "deployments" }));
    assert!(
        ask("GET", "/api/v1/nodes?watch=true").1["message"]
            .as_str()
            .unwrap()
            .contains("cannot watch resource")
    );
    assert_eq!(ask("GET", "/version").0, 200, "everybody may ask what there is");
    assert_eq!(ask("GET", "/apis/apps/v1").0, 200);
    let review = ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews");
    assert_eq!((review.0, &review.1["status"]), (201, &json!({ "allowed": false })));
}
