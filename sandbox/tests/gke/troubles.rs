//! Creations that fail, and clusters that are not well.

use super::*;
use zkprov_sandbox::google::container::{Code, Outcome, Settings, Trouble};

fn trouble(code: Code, outcome: Outcome) -> Trouble {
    Trouble { cluster: None, pool: None, code, outcome, times: None }
}

fn troubled(gke: &mut Gke, troubles: Vec<Trouble>) {
    let settings = Settings { troubles, ..Settings::default() };
    gke.world.google.container.set_settings(settings, gke.world.now);
}

#[test]
fn a_quota_spoils_a_creation_as_a_thread_shows_it() {
    let mut gke = Gke::new();
    troubled(&mut gke, vec![trouble(Code::GceQuotaExceeded, Outcome::Error)]);
    let body = json!({"cluster": {"name": "cluster-1", "initialNodeCount": 3}});
    let create = gke.ok("POST", "/clusters", &body);
    assert_eq!(create.get("error"), None);
    gke.pass(250);
    assert_eq!(gke.get("/clusters/cluster-1")["status"], "PROVISIONING");
    gke.pass(20);
    let operation = gke.done(&create);
    assert_eq!(operation["status"], "DONE");
    // kubernetes-sigs/sig-storage-local-static-provisioner#526, with the quota of a new project.
    let conditions = operation["clusterConditions"].as_array().unwrap();
    let cause = conditions[0]["message"].as_str().unwrap();
    assert!(cause.starts_with("Instance 'gke-cluster-1-default-pool-"), "{cause}");
    assert!(
        cause
            .ends_with("' creation failed: Quota 'SSD_TOTAL_GB' exceeded.  Limit: 250.0 in region us-east1."),
        "{cause}"
    );
    let summary = format!(
        "Insufficient quota to satisfy the request: Not all instances running in IGM after 26.633785888s. Expected 3, \
         running 0, transitioning 3. Current errors: [GCE_QUOTA_EXCEEDED]: {cause}"
    );
    let expected = json!([
        {"canonicalCode": "RESOURCE_EXHAUSTED", "code": "GCE_QUOTA_EXCEEDED", "message": cause},
        {"canonicalCode": "RESOURCE_EXHAUSTED", "message": summary},
    ]);
    assert_eq!(operation["clusterConditions"], expected);
    assert_eq!(operation["error"], json!({"code": 8, "message": cause}));
    assert_eq!((&operation["detail"], &operation["statusMessage"]), (&json!(summary), &json!(summary)));

    let cluster = gke.get("/clusters/cluster-1");
    assert_eq!((&cluster["status"], &cluster["conditions"]), (&json!("ERROR"), &expected));
    assert_eq!(cluster["statusMessage"], json!(summary));
    assert_eq!((cluster.get("endpoint"), cluster.get("currentNodeCount")), (None, None));
    assert_eq!(cluster["nodePools"][0]["status"], "ERROR");
    assert_eq!(cluster["nodePools"][0]["conditions"], expected);
    // By number, as zkprov asks: ERROR is 5.
    assert_eq!(gke.get("/clusters/cluster-1?$alt=json;enum-encoding=int")["status"], 5);
    assert!(gke.world.google.container.running_clusters().is_empty());
    assert!(gke.world.google.container.nodes().is_empty());
    // Whoever deletes it and has more quota gets it.
    troubled(&mut gke, Vec::new());
    assert_eq!(gke.get("/clusters/cluster-1")["status"], "ERROR");
    gke.ok("DELETE", "/clusters/cluster-1", &Value::Null);
    gke.pass(180);
    gke.ok("POST", "/clusters", &body);
    gke.pass(240);
    assert_eq!(gke.get("/clusters/cluster-1")["status"], "RUNNING");
}

#[test]
fn a_stock_out_shows_after_35_minutes_and_strikes_as_often_as_it_is_told() {
    let mut gke = Gke::new();
    let once = Trouble { times: Some(1), ..trouble(Code::GceStockout, Outcome::Error) };
    troubled(&mut gke, vec![once]);
    let region = "/v1/projects/p/locations/us-east1";
    let cluster = |name: &str| json!({"cluster": {"name": name, "initialNodeCount": 1}});
    let create = gke.ok("POST", &format!("{region}/clusters"), &cluster("one"));
    let second = gke.ok("POST", &format!("{region}/clusters"), &cluster("two"));
    let operation = |gke: &mut Gke, operation: &Value| {
        gke.get(&format!("{region}/operations/{}", operation["name"].as_str().unwrap()))
    };
    gke.pass(240);
    assert_eq!(operation(&mut gke, &create)["status"], "RUNNING");
    assert_eq!(operation(&mut gke, &second)["status"], "DONE");
    assert_eq!(operation(&mut gke, &second).get("error"), None);
    gke.pass(35 * 60);
    let failed = operation(&mut gke, &create);
    let message = failed["error"]["message"].as_str().unwrap();
    // akka/akka-core#32992
    let words = "creation failed: The zone 'projects/p/zones/us-east1-b' does not have enough resources available to \
                 fulfill the request.  '(resource type:compute)'.";
    assert!(message.ends_with(words), "{message}");
    let detail = failed["detail"].as_str().unwrap();
    let start = "Google Compute Engine: Not all instances running in IGM after 35m4.033429035s. Expected 1, running 0, \
                 transitioning 1. Current errors: [GCE_STOCKOUT]: Instance 'gke-one-default-pool-";
    assert!(detail.starts_with(start), "{detail}");
    assert_eq!(failed["clusterConditions"][0]["code"], "GCE_STOCKOUT");
    let all = gke.get(&format!("{region}/clusters"));
    let states: Vec<&Value> = all["clusters"].as_array().unwrap().iter().map(|own| &own["status"]).collect();
    assert_eq!(states, ["ERROR", "RUNNING"]);
    assert_eq!(gke.world.google.container.settings().troubles[0].times, Some(0));
}

#[test]
fn a_pool_fails_on_its_own() {
    let mut gke = Gke::running();
    let pools = Trouble {
        cluster: Some("p/us-east1-d/*".to_owned()),
        pool: Some("big*".to_owned()),
        ..trouble(Code::GceStockout, Outcome::Error)
    };
    troubled(&mut gke, vec![pools]);
    let body = |name: &str| json!({"nodePool": {"name": name, "initialNodeCount": 1}});
    gke.ok("POST", "/clusters/cluster-1/nodePools", &body("small"));
    gke.pass(60);
    assert_eq!(gke.get("/clusters/cluster-1/nodePools/small")["status"], "RUNNING");
    let create = gke.ok("POST", "/clusters/cluster-1/nodePools", &body("bigger"));
    gke.pass(60 + 35 * 60);
    let operation = gke.done(&create);
    assert_eq!(operation["nodepoolConditions"][0]["code"], "GCE_STOCKOUT");
    assert_eq!(operation.get("clusterConditions"), None);
    let pool = gke.get("/clusters/cluster-1/nodePools/bigger");
    assert_eq!((&pool["status"], &pool["conditions"]), (&json!("ERROR"), &operation["nodepoolConditions"]));
    let cluster = gke.get("/clusters/cluster-1");
    assert_eq!((&cluster["status"], cluster.get("conditions")), (&json!("RUNNING"), None));
    assert_eq!(cluster["currentNodeCount"], 3);
    gke.ok("DELETE", "/clusters/cluster-1/nodePools/bigger", &Value::Null);
    gke.pass(60);
    assert_eq!(gke.refused("GET", "/clusters/cluster-1/nodePools/bigger", &Value::Null).0, 404);
}

#[test]
fn degraded_clusters_work_and_say_why() {
    let mut gke = Gke::running();
    let code = Code::NodeServiceAccountMissingPermissions;
    troubled(&mut gke, vec![trouble(code, Outcome::Degraded)]);
    let cluster = gke.get("/clusters/cluster-1");
    assert_eq!(cluster["status"], "DEGRADED");
    // The text is the API reference's of the code.
    assert_eq!(
        cluster["conditions"],
        json!([{"code": "NODE_SERVICE_ACCOUNT_MISSING_PERMISSIONS",
            "message": "Node service account is missing permissions."}])
    );
    assert_eq!(cluster["nodePools"][0]["status"], "RUNNING");
    assert_eq!(cluster["endpoint"], "127.0.0.1:6443");
    assert_eq!(gke.world.google.container.running_clusters().len(), 1);
    let update = json!({"update": {"desiredLoggingService": "none"}});
    gke.ok("PUT", "/clusters/cluster-1", &update);
    assert_eq!(gke.get("/clusters/cluster-1")["status"], "RECONCILING");
    gke.pass(30);
    assert_eq!(gke.get("/clusters/cluster-1")["status"], "DEGRADED");
    troubled(&mut gke, Vec::new());
    assert_eq!(gke.get("/clusters/cluster-1")["status"], "RUNNING");
}

#[test]
fn the_switches_read_as_json() {
    let text = json!({
        "troubles": [{"cluster": "p/*", "code": "GCE_STOCKOUT", "outcome": "ERROR", "times": 2},
            {"code": "CA_EXPIRING", "outcome": "DEGRADED"}],
        "upgrades": {"every": 86400},
        "zonalUpgradesTakeApiAway": true,
    });
    let settings: Settings = serde_json::from_value(text).unwrap();
    assert_eq!(settings.troubles[0].times, Some(2));
    assert_eq!(settings.troubles[1].code, Code::CaExpiring);
    assert_eq!(settings.upgrades.map(|upgrades| (upgrades.every, upgrades.minors)), Some((86400, false)));
    assert_eq!(serde_json::from_value::<Settings>(json!({})).unwrap(), Settings::default());
    assert!(serde_json::from_value::<Settings>(json!({"trouble": []})).is_err());
}
