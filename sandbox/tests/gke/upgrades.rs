//! Upgrades that GKE begins by itself, and how nodes are replaced.

use super::*;
use zkprov_sandbox::google::container::{Settings, Upgrades};

const CLUSTER: &str = "p/us-east1-d/cluster-1";
const POOL: &str = "/clusters/cluster-1/nodePools/default-pool";
const DAY: u64 = 86_400;

fn switch_on(gke: &mut Gke, minors: bool) {
    let settings = Settings { upgrades: Some(Upgrades { every: DAY, minors }), ..Settings::default() };
    gke.world.google.container.set_settings(settings, gke.world.now);
}

/// Type and start of the operations since the cluster was made.
fn operations(gke: &mut Gke) -> Vec<(String, String)> {
    let list = gke.get("/operations");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = list["operations"].as_array().unwrap().iter().skip(1);
    all.map(|own| (text(&own["operationType"]), text(&own["startTime"]))).collect()
}

fn versions(gke: &mut Gke) -> (String, String) {
    let cluster = gke.get("/clusters/cluster-1");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&cluster["currentMasterVersion"]), text(&cluster["currentNodeVersion"]))
}

fn maintain(gke: &mut Gke, window: &Value) {
    let version = gke.get("/clusters/cluster-1")["maintenancePolicy"]["resourceVersion"].clone();
    let policy = json!({"maintenancePolicy": {"window": window, "resourceVersion": version}});
    gke.ok("POST", "/clusters/cluster-1:setMaintenancePolicy", &policy);
    gke.pass(5);
}

#[test]
fn nothing_happens_unless_it_is_switched_on() {
    let mut gke = Gke::running();
    let before = (versions(&mut gke), gke.node_names());
    gke.pass(90 * DAY);
    assert_eq!((versions(&mut gke), gke.node_names()), before);
    assert!(operations(&mut gke).is_empty());
}

#[test]
fn every_day_the_control_plane_and_then_the_pools() {
    let mut gke = Gke::running();
    let before = gke.node_names();
    let old = "1.34.4-gke.1047000".to_owned();
    switch_on(&mut gke, false);
    gke.pass(DAY - 1);
    assert_eq!(versions(&mut gke), (old.clone(), old.clone()));
    gke.pass(1);
    assert_eq!(gke.get("/clusters/cluster-1")["status"], "RECONCILING");
    gke.pass(300);
    let new = "1.34.6-gke.1154000".to_owned();
    assert_eq!(versions(&mut gke).0, new);
    gke.pass(60);
    assert_eq!(versions(&mut gke), (new.clone(), new.clone()));
    assert!(gke.node_names().iter().all(|name| !before.contains(name)));
    let (_, nodes) = gke.kube(CLUSTER, "GET", "/api/v1/nodes", &Value::Null);
    let kubelets: Vec<&Value> = nodes["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| &node["status"]["nodeInfo"]["kubeletVersion"])
        .collect();
    assert_eq!(kubelets, [&json!(format!("v{new}")); 2]);
    assert_eq!(gke.kube(CLUSTER, "GET", "/version", &Value::Null).1["gitVersion"], format!("v{new}"));
    let types = |gke: &mut Gke| operations(gke).into_iter().map(|(kind, _)| kind).collect::<Vec<String>>();
    assert_eq!(types(&mut gke), ["UPGRADE_MASTER", "UPGRADE_NODES"]);
    // Nothing newer is on offer in this minor: the nodes are made anew.
    let before = gke.node_names();
    gke.pass(DAY);
    assert_eq!(types(&mut gke), ["UPGRADE_MASTER", "UPGRADE_NODES", "UPGRADE_NODES"]);
    assert!(gke.node_names().iter().all(|name| !before.contains(name)));
    assert_eq!(versions(&mut gke), (new.clone(), new));
    assert_eq!(gke.get("/clusters/cluster-1")["status"], "RUNNING");
}

#[test]
fn minors_are_taken_when_they_may_be() {
    let mut gke = Gke::running();
    switch_on(&mut gke, true);
    let freeze = json!({"maintenanceExclusions": {"freeze": {"startTime": "2027-01-01T00:00:00Z",
        "endTime": "2027-01-17T00:00:00Z", "maintenanceExclusionOptions": {"scope": "NO_MINOR_UPGRADES"}}}});
    maintain(&mut gke, &freeze);
    gke.pass(DAY + 400);
    assert_eq!(versions(&mut gke).0, "1.34.6-gke.1154000");
    gke.pass(DAY);
    assert_eq!(versions(&mut gke), ("1.35.1-gke.1396002".to_owned(), "1.35.1-gke.1396002".to_owned()));
}

#[test]
fn windows_and_exclusions_are_kept() {
    // The cluster is there on January 15, 2027 at 08:04.
    let mut gke = Gke::running();
    switch_on(&mut gke, false);
    let window = json!({"dailyMaintenanceWindow": {"startTime": "03:00"},
        "maintenanceExclusions": {"nodes": {"startTime": "2027-01-15T00:00:00Z", "endTime": "2027-01-19T00:00:00Z",
            "maintenanceExclusionOptions": {"scope": "NO_MINOR_OR_NODE_UPGRADES"}}}});
    maintain(&mut gke, &window);
    gke.pass(10 * DAY);
    let began: Vec<(String, String)> = operations(&mut gke).into_iter().skip(1).take(3).collect();
    let at = |kind: &str, start: &str| (kind.to_owned(), start.to_owned());
    assert_eq!(
        began,
        [
            // Due on the 16th at 08:04, when the window is over.
            at("UPGRADE_MASTER", "2027-01-17T03:00:00Z"),
            at("UPGRADE_NODES", "2027-01-19T03:00:00Z"),
            // The next is due a day after the last began; nothing is newer any more.
            at("UPGRADE_NODES", "2027-01-19T03:01:00Z"),
        ]
    );
}

#[test]
fn an_upgrade_that_reaches_the_end_of_its_window_pauses() {
    let mut gke = Gke::running();
    gke.spread(CLUSTER, 2);
    gke.pass(120);
    assert_eq!(gke.ready_pods(CLUSTER).len(), 2);
    gke.budget(CLUSTER, 0);
    switch_on(&mut gke, false);
    // Open for half an hour: the budget holds the first node for an hour.
    let window = json!({"recurringWindow": {"recurrence": "FREQ=DAILY",
        "window": {"startTime": "2027-01-16T09:00:00Z", "endTime": "2027-01-16T09:30:00Z"}}});
    maintain(&mut gke, &window);
    let before = gke.node_names();
    // To 10:20 of the 16th.
    gke.pass(DAY + 2 * 3600 + 14 * 60);
    let middle = gke.node_names();
    assert_eq!(middle.iter().filter(|name| before.contains(name)).count(), 1, "{middle:?}");
    gke.pass(20 * 3600);
    assert_eq!(gke.node_names(), middle);
    assert_eq!(gke.get("/clusters/cluster-1")["status"], "RECONCILING");
    gke.pass(4 * 3600);
    assert!(gke.node_names().iter().all(|name| !before.contains(name)));
}

#[test]
fn a_drain_asks_the_budgets_for_an_hour_and_then_deletes() {
    let mut gke = Gke::running();
    gke.spread(CLUSTER, 2);
    gke.pass(120);
    let before = gke.ready_pods(CLUSTER);
    assert_eq!(before.len(), 2);
    gke.budget(CLUSTER, 0);
    switch_on(&mut gke, false);
    gke.pass(DAY + 300 + 59 * 60);
    assert_eq!(gke.ready_pods(CLUSTER), before);
    // Each of the two nodes holds out for its own hour.
    gke.pass(30 * 60);
    let middle = gke.ready_pods(CLUSTER);
    assert_eq!((middle.len(), middle.iter().filter(|pod| before.contains(pod)).count()), (2, 1));
    gke.pass(60 * 60);
    let after = gke.ready_pods(CLUSTER);
    assert_eq!((after.len(), after.iter().filter(|pod| before.contains(pod)).count()), (2, 0));
    assert_eq!(versions(&mut gke).1, "1.34.6-gke.1154000");
}

#[test]
fn a_budget_lets_one_pod_go_at_a_time() {
    let mut gke = Gke::running();
    gke.ok("POST", &format!("{POOL}:setSize"), &json!({"nodeCount": 4}));
    gke.pass(45);
    gke.ok(
        "PUT",
        POOL,
        &json!({"upgradeSettings": {"maxSurge": 4, "maxUnavailable": 0, "strategy": "SURGE"}}),
    );
    gke.pass(60);
    gke.spread(CLUSTER, 4);
    gke.pass(120);
    gke.budget(CLUSTER, 1);
    switch_on(&mut gke, false);
    gke.pass(DAY + 299);
    gke.each_event(600, |gke| assert!(gke.ready_pods(CLUSTER).len() >= 3));
    assert_eq!(versions(&mut gke).1, "1.34.6-gke.1154000");
    assert_eq!(gke.ready_pods(CLUSTER).len(), 4);
}

#[test]
fn surge_settings_say_how_many_nodes_go_at_once() {
    for (surge, unavailable) in [(2, 1), (0, 2)] {
        let mut gke = Gke::running();
        gke.ok("POST", &format!("{POOL}:setSize"), &json!({"nodeCount": 5}));
        gke.pass(45);
        let settings = json!({"maxSurge": surge, "maxUnavailable": unavailable, "strategy": "SURGE"});
        gke.ok("PUT", POOL, &json!({ "upgradeSettings": settings }));
        gke.pass(60);
        // Pods that take their time to stop keep the nodes draining for a while.
        gke.spread(CLUSTER, 5);
        gke.pass(120);
        assert_eq!(gke.ready_pods(CLUSTER).len(), 5);
        gke.ok("PUT", POOL, &json!({"machineType": "e2-standard-4"}));
        let (mut most, mut least, mut draining) = (0, usize::MAX, 0);
        gke.each_event(600, |gke| {
            let nodes = gke.world.google.container.nodes();
            most = most.max(nodes.len());
            let serving = nodes.iter().filter(|node| node.draining.is_none()).count();
            least = least.min(serving);
            draining = draining.max(nodes.len() - serving);
        });
        let case = format!("maxSurge {surge}, maxUnavailable {unavailable}");
        assert_eq!(draining, surge + unavailable, "{case}");
        assert!(most <= 5 + surge, "{case}: {most} nodes");
        assert_eq!(least, 5 - unavailable, "{case}");
        assert_eq!(gke.node_names().len(), 5, "{case}");
        assert_eq!(gke.get(POOL)["status"], "RUNNING", "{case}");
        assert!(gke.world.google.container.nodes().iter().all(|node| node.machine_type == "e2-standard-4"));
    }
}

#[test]
fn pools_without_auto_upgrade_stay_behind() {
    let mut gke = Gke::new();
    let pool = |name: &str, on: bool| json!({"name": name, "initialNodeCount": 1, "management": {"autoRepair": true, "autoUpgrade": on}});
    gke.ok(
        "POST",
        "/clusters",
        &json!({"cluster": {"name": "cluster-1", "releaseChannel": {"channel": "UNSPECIFIED"},
            "nodePools": [pool("still", false), pool("moving", true)]}}),
    );
    gke.pass(240);
    switch_on(&mut gke, false);
    gke.pass(DAY + 3600);
    let cluster = gke.get("/clusters/cluster-1");
    let versions: Vec<&Value> =
        cluster["nodePools"].as_array().unwrap().iter().map(|own| &own["version"]).collect();
    assert_eq!(versions, ["1.34.4-gke.1047000", "1.34.6-gke.1154000"]);
}

#[test]
fn a_client_s_operation_comes_first() {
    let mut gke = Gke::running();
    switch_on(&mut gke, false);
    gke.pass(DAY - 10);
    gke.ok("PUT", "/clusters/cluster-1", &json!({"update": {"desiredLoggingService": "none"}}));
    gke.pass(29);
    let types: Vec<String> = operations(&mut gke).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(types, ["UPDATE_CLUSTER"]);
    gke.pass(1);
    let last = operations(&mut gke).pop().unwrap();
    assert_eq!(last.0, "UPGRADE_MASTER");
    let busy = gke.refused("DELETE", "/clusters/cluster-1", &Value::Null);
    assert!(busy.2.contains("is currently upgrading cluster cluster-1."), "{}", busy.2);
}

#[test]
fn an_ensemble_is_seen_through_an_upgrade() {
    let mut gke = Gke::running();
    gke.ok("POST", &format!("{POOL}:setSize"), &json!({"nodeCount": 3}));
    gke.pass(45);
    gke.ensemble(CLUSTER);
    gke.pass(1800);
    let votes = |gke: &Gke| {
        let health = gke.world.exhibitor.health(SHARE).unwrap();
        (health.declared, health.healthy)
    };
    assert_eq!(votes(&gke), (3, 3));
    gke.budget(CLUSTER, 1);
    let before = gke.ready_pods(CLUSTER);
    gke.world.exhibitor.forget_worst(SHARE);
    let settings = Settings { upgrades: Some(Upgrades { every: 600, minors: false }), ..Settings::default() };
    gke.world.google.container.set_settings(settings, gke.world.now);
    // The control plane takes five minutes of these, and the members none.
    gke.pass(600 + 290);
    assert_eq!(gke.world.exhibitor.worst(SHARE).outage, 0);
    gke.pass(60);
    gke.world.google.container.set_settings(Settings::default(), gke.world.now);
    gke.pass(3600);
    let after = gke.ready_pods(CLUSTER);
    assert!(after.len() == 3 && after.iter().all(|pod| !before.contains(pod)), "{before:?} {after:?}");
    assert_eq!(versions(&mut gke).1, "1.34.6-gke.1154000");
    // What the upgrade does to the members is there to be seen: one at least did not serve for a while.
    let worst = gke.world.exhibitor.worst(SHARE);
    assert!(worst.healthy.is_some_and(|worst| worst.healthy < 3), "{worst:?}");
    assert_eq!(votes(&gke), (3, 3));
}
