//! Clusters of a region.

use super::*;

const REGION: &str = "/v1/projects/p/locations/us-central1";

/// A world with a cluster of a region, two nodes in each of three zones, beside a zonal one of the same name.
fn regional() -> Gke {
    let mut gke = Gke::new();
    let endpoints = ["p/us-central1/cluster-1", "p/us-central1-a/cluster-1"];
    gke.endpoints.clusters = endpoints.iter().map(|key| ((*key).to_owned(), format!("at {key}"))).collect();
    let body = json!({"cluster": {"name": "cluster-1", "initialNodeCount": 2}});
    gke.ok("POST", &format!("{REGION}/clusters"), &body);
    gke.ok("POST", &format!("{REGION}-a/clusters"), &body);
    gke.pass(240);
    gke
}

fn zones_of(gke: &Gke, cluster: &str) -> Vec<String> {
    let views = gke.world.google.container.running_clusters();
    let view = views.into_iter().find(|view| view.key == cluster).unwrap();
    view.nodes.into_iter().map(|node| node.zone).collect()
}

#[test]
fn a_regional_cluster_names_its_region_everywhere() {
    let mut gke = regional();
    let cluster = gke.get(&format!("{REGION}/clusters/cluster-1"));
    // As in the recording of us-west2 (cluster_minimal.log): `zone` holds the region, too.
    assert_eq!((&cluster["location"], &cluster["zone"]), (&json!("us-central1"), &json!("us-central1")));
    assert_eq!(cluster["locations"], json!(["us-central1-a", "us-central1-b", "us-central1-c"]));
    assert_eq!(cluster["endpoint"], "at p/us-central1/cluster-1");
    assert_eq!((&cluster["initialNodeCount"], &cluster["currentNodeCount"]), (&json!(2), &json!(6)));
    let link = "https://container.googleapis.com/v1/projects/p/locations/us-central1/clusters/cluster-1";
    assert_eq!(cluster["selfLink"], link);
    assert_eq!(cluster["nodePools"][0]["selfLink"], format!("{link}/nodePools/default-pool"));
    assert_eq!(cluster["nodePools"][0]["locations"], cluster["locations"]);
    let groups: Vec<&str> =
        cluster["instanceGroupUrls"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for (group, zone) in groups.iter().zip(["us-central1-a", "us-central1-b", "us-central1-c"]) {
        assert!(group.contains(&format!("/zones/{zone}/instanceGroupManagers/gke-cluster-1-default-pool-")));
    }
    assert_eq!(groups.len(), 3);
    // Each group has its own size in Compute Engine.
    for group in groups {
        let path = group.strip_prefix("https://www.googleapis.com").unwrap();
        let request = Request {
            service: Service::Compute,
            method: "GET".to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let now = gke.world.now;
        let Answer::Done(response) = gke.world.handle(&request, now, &gke.endpoints) else { panic!() };
        let manager: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(manager["targetSize"], 2, "{path}: {manager}");
    }
}

#[test]
fn lists_are_of_one_location_or_of_all() {
    let mut gke = regional();
    let mut names = |path: &str| -> Vec<String> {
        let list = gke.get(path);
        let all = list["clusters"].as_array().cloned().unwrap_or_default();
        all.iter().map(|cluster| cluster["location"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("/v1/projects/p/locations/us-central1/clusters"), ["us-central1"]);
    assert_eq!(names("/v1/projects/p/locations/us-central1-a/clusters"), ["us-central1-a"]);
    assert_eq!(names("/v1/projects/p/zones/us-central1-a/clusters"), ["us-central1-a"]);
    assert_eq!(names("/v1/projects/p/locations/us-central1-b/clusters"), Vec::<String>::new());
    assert_eq!(names("/v1/projects/p/locations/-/clusters"), ["us-central1-a", "us-central1"]);
}

#[test]
fn operations_are_the_regions() {
    let mut gke = regional();
    let pools = format!("{REGION}/clusters/cluster-1/nodePools");
    let resize = gke.ok("POST", &format!("{pools}/default-pool:setSize"), &json!({"nodeCount": 1}));
    let name = resize["name"].as_str().unwrap().to_owned();
    assert_eq!(resize["zone"], "us-central1");
    assert!(
        resize["selfLink"].as_str().unwrap().ends_with(&format!("/locations/us-central1/operations/{name}"))
    );
    assert!(
        resize["targetLink"]
            .as_str()
            .unwrap()
            .ends_with("/locations/us-central1/clusters/cluster-1/nodePools/default-pool")
    );
    gke.pass(45);
    assert_eq!(gke.get(&format!("{REGION}/operations/{name}"))["status"], "DONE");
    assert_eq!(gke.refused("GET", &format!("{REGION}-a/operations/{name}"), &Value::Null).0, 404);
    // So many in each zone; the zonal cluster of the same name keeps its own.
    assert_eq!(
        zones_of(&gke, "p/us-central1/cluster-1"),
        ["us-central1-a", "us-central1-b", "us-central1-c"]
    );
    assert_eq!(zones_of(&gke, "p/us-central1-a/cluster-1"), ["us-central1-a", "us-central1-a"]);
}

#[test]
fn pools_and_locations_follow_the_zones_they_are_given() {
    let mut gke = regional();
    let cluster = format!("{REGION}/clusters/cluster-1");
    let pool =
        |zones: Value| json!({"nodePool": {"name": "extra", "initialNodeCount": 1, "locations": zones}});
    let stranger = gke.refused("POST", &format!("{cluster}/nodePools"), &pool(json!(["us-east1-b"])));
    assert_eq!(stranger.2, "Location \"us-east1-b\" is not a zone of the cluster's region.");
    gke.ok("POST", &format!("{cluster}/nodePools"), &pool(json!(["us-central1-f"])));
    gke.pass(60);
    let extra = gke.get(&format!("{cluster}/nodePools/extra"));
    assert_eq!(extra["instanceGroupUrls"].as_array().unwrap().len(), 1);
    gke.ok("PUT", &cluster, &json!({"update": {"desiredLocations": ["us-central1-b", "us-central1-f"]}}));
    gke.pass(30);
    // Two nodes of default-pool and one of the other in each, as before.
    let mut zones = zones_of(&gke, "p/us-central1/cluster-1");
    zones.sort_unstable();
    let [b, f] = ["us-central1-b", "us-central1-f"];
    assert_eq!(zones, [b, b, b, f, f, f]);
    assert_eq!(gke.get(&cluster)["locations"], json!(["us-central1-b", "us-central1-f"]));
}

#[test]
fn the_older_paths_refuse_regions() {
    let mut gke = regional();
    for (method, path) in [
        ("GET", "/v1/projects/p/zones/us-central1/clusters/cluster-1"),
        ("GET", "/v1/projects/p/zones/us-central1/clusters"),
        ("POST", "/v1/projects/p/zones/us-central1/clusters"),
        ("GET", "/v1beta1/projects/p/zones/us-central1/operations"),
        ("POST", "/v1/projects/p/zones/us-central1/clusters/cluster-1/resourceLabels"),
    ] {
        let refused = gke.refused(method, path, &json!({}));
        let words = "'zone' field cannot be used to access GKE regional clusters. Use 'name' or 'parent' fields instead.";
        assert_eq!(refused, (400, "INVALID_ARGUMENT".to_owned(), words.to_owned()), "{method} {path}");
    }
    let missing = gke.refused("GET", &format!("{REGION}/clusters/none"), &Value::Null);
    assert_eq!(missing.2, "Not found: projects/p/locations/us-central1/clusters/none.");
}

#[test]
fn upgrades_go_zone_by_zone() {
    let mut gke = regional();
    let path = format!("{REGION}/clusters/cluster-1/nodePools/default-pool");
    // Pods keep a node draining while they stop.
    gke.spread("p/us-central1/cluster-1", 6);
    gke.pass(120);
    gke.ok("PUT", &path, &json!({"upgradeSettings": {"maxSurge": 5, "strategy": "SURGE"}}));
    gke.pass(60);
    gke.ok("PUT", &path, &json!({"machineType": "e2-standard-4"}));
    let mut order: Vec<String> = Vec::new();
    gke.each_event(900, |gke| {
        let nodes = gke.world.google.container.nodes();
        let mut zones: Vec<&str> =
            nodes.iter().filter(|node| node.draining.is_some()).map(|node| node.zone.as_str()).collect();
        zones.dedup();
        assert!(zones.len() <= 1, "{zones:?}");
        order.extend(zones.into_iter().map(str::to_owned));
    });
    order.dedup();
    assert_eq!(order, ["us-central1-a", "us-central1-b", "us-central1-c"]);
    assert_eq!(gke.get(&path)["status"], "RUNNING");
}

#[test]
fn a_zonal_control_plane_is_away_while_it_is_upgraded_if_that_is_switched_on() {
    let mut gke = regional();
    let upgrade = json!({"update": {"desiredMasterVersion": "latest"}});
    let keys = ["p/us-central1-a/cluster-1", "p/us-central1/cluster-1"];
    let away = |gke: &Gke| keys.map(|key| gke.world.google.container.api_away(key, gke.world.now));
    for place in [format!("{REGION}-a"), REGION.to_owned()] {
        gke.ok("PUT", &format!("{place}/clusters/cluster-1"), &upgrade);
    }
    assert_eq!(away(&gke), [false, false]);
    let settings = zkprov_sandbox::google::container::Settings {
        zonal_upgrades_take_api_away: true,
        ..Default::default()
    };
    gke.world.google.container.set_settings(settings, gke.world.now);
    assert_eq!(away(&gke), [true, false]);
    gke.pass(30);
    assert_eq!(away(&gke), [false, false]);
    let version = gke.get(&format!("{REGION}/clusters/cluster-1"))["currentMasterVersion"].clone();
    assert_eq!(version, "1.35.1-gke.1396002");
}

#[test]
fn a_disk_keeps_its_pod_in_its_zone() {
    let mut gke = regional();
    let key = "p/us-central1/cluster-1";
    let labels = json!({"app": "web"});
    let apart =
        json!([{"topologyKey": "topology.kubernetes.io/zone", "labelSelector": {"matchLabels": labels}}]);
    let body = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "disks"}, "spec": {
        "serviceName": "disks", "replicas": 3, "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {
            "containers": [{"name": "c", "image": "nginx:1", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": apart}}}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}}]}});
    let (status, answer) = gke.kube(key, "POST", "/apis/apps/v1/namespaces/default/statefulsets", &body);
    assert_eq!(status, 201, "{answer}");
    gke.pass(120);
    let homes = |gke: &mut Gke| {
        let zones: std::collections::BTreeMap<String, String> =
            gke.world.google.container.nodes().into_iter().map(|node| (node.name, node.zone)).collect();
        let mut pods = gke.ready_pods(key);
        pods.sort_by(|one, other| one.1.cmp(&other.1));
        pods.into_iter().map(|(node, pod)| (pod, zones[&node].clone())).collect::<Vec<(String, String)>>()
    };
    let before = homes(&mut gke);
    assert_eq!(before.len(), 3);
    // The nodes are all replaced, and the pods stay in their zones.
    let nodes = gke.node_names();
    let path = format!("{REGION}/clusters/cluster-1/nodePools/default-pool");
    gke.ok("PUT", &path, &json!({"machineType": "e2-standard-4"}));
    gke.pass(1800);
    let of_cluster = zones_of(&gke, key).len();
    assert!(gke.node_names().iter().filter(|name| nodes.contains(name)).count() == nodes.len() - of_cluster);
    assert_eq!(homes(&mut gke), before);
    // Without its zone a pod waits, though another one stands empty.
    let cluster = format!("{REGION}/clusters/cluster-1");
    gke.ok(
        "PUT",
        &cluster,
        &json!({"update": {"desiredLocations": ["us-central1-a", "us-central1-b", "us-central1-f"]}}),
    );
    gke.pass(300);
    let left: Vec<(String, String)> =
        before.iter().filter(|(_, zone)| zone != "us-central1-c").cloned().collect();
    assert_eq!((left.len(), homes(&mut gke)), (2, left));
    let (_, pods) = gke.kube(key, "GET", "/api/v1/namespaces/default/pods", &Value::Null);
    let text = pods.to_string();
    let why = "0/6 nodes are available: 4 node(s) didn't match pod anti-affinity rules, 2 node(s) had volume node affinity \
               conflict.";
    assert!(text.contains(why), "{text}");
}
