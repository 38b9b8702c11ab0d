//! Autopilot clusters.

use super::*;

const REGION: &str = "/v1/projects/p/locations/us-central1";
const CLUSTER: &str = "p/us-central1/auto";

fn autopilot() -> Gke {
    let mut gke = Gke::new();
    gke.endpoints.clusters.insert(CLUSTER.to_owned(), "127.0.0.1:7443".to_owned());
    let body = json!({"cluster": {"name": "auto", "autopilot": {"enabled": true}}});
    gke.ok("POST", &format!("{REGION}/clusters"), &body);
    gke.pass(240);
    gke
}

#[test]
fn it_says_of_itself_what_the_recorded_one_says() {
    let mut gke = autopilot();
    let cluster = gke.get("/v1beta1/projects/p/locations/us-central1/clusters/auto");
    assert_eq!(cluster["status"], "RUNNING");
    // Values of the Config Connector's recording (GKE 1.35, September 2026).
    for (pointer, value) in [
        ("/autopilot", json!({"enabled": true})),
        ("/location", json!("us-central1")),
        ("/locations", json!(["us-central1-a", "us-central1-b", "us-central1-c", "us-central1-f"])),
        ("/addonsConfig/gcpFilestoreCsiDriverConfig", json!({"enabled": true})),
        ("/addonsConfig/networkPolicyConfig", json!({"disabled": true})),
        ("/autoscaling/autoscalingProfile", json!("OPTIMIZE_UTILIZATION")),
        ("/autoscaling/enableNodeAutoprovisioning", json!(true)),
        ("/autoscaling/resourceLimits/0", json!({"maximum": "1000000000", "resourceType": "cpu"})),
        (
            "/autoscaling/autoprovisioningNodePoolDefaults/upgradeSettings",
            json!({"maxSurge": 1, "strategy": "SURGE"}),
        ),
        ("/networkConfig/datapathProvider", json!("ADVANCED_DATAPATH")),
        ("/networkConfig/dnsConfig/clusterDns", json!("CLOUD_DNS")),
        ("/networkConfig/gatewayApiConfig", json!({"channel": "CHANNEL_STANDARD"})),
        ("/rbacBindingConfig/enableInsecureBindingSystemAuthenticated", json!(false)),
        ("/verticalPodAutoscaling", json!({"enabled": true})),
        ("/workloadIdentityConfig/workloadPool", json!("p.svc.id.goog")),
        ("/releaseChannel", json!({"channel": "REGULAR"})),
        ("/nodePools/0/name", json!("default-pool")),
        ("/nodePools/0/initialNodeCount", json!(1)),
        (
            "/nodePools/0/autoscaling",
            json!({"enabled": true, "locationPolicy": "BALANCED", "maxNodeCount": 1000}),
        ),
        ("/nodePools/0/config/machineType", json!("ek-standard-8")),
        ("/nodePools/0/config/workloadMetadataConfig/mode", json!("GKE_METADATA")),
        ("/nodePools/0/maxPodsConstraint", json!({"maxPodsPerNode": "32"})),
        ("/nodePools/0/podIpv4CidrSize", json!(26)),
        ("/nodeConfig/machineType", json!("ek-standard-8")),
    ] {
        assert_eq!(cluster.pointer(pointer), Some(&value), "{pointer}");
    }
    for absent in ["initialNodeCount", "currentNodeCount"] {
        assert_eq!(cluster.get(absent), None, "{absent}");
    }
    assert_eq!(cluster["nodePools"][1].get("initialNodeCount"), None);
    assert_eq!(cluster["nodePools"][0]["instanceGroupUrls"].as_array().unwrap().len(), 1);
    assert_eq!(cluster["nodePools"][1]["instanceGroupUrls"].as_array().unwrap().len(), 4);
}

#[test]
fn one_zone_and_node_pools_are_refused() {
    let mut gke = autopilot();
    let zonal = json!({"cluster": {"name": "auto", "autopilot": {"enabled": true}}});
    assert_eq!(
        gke.refused("POST", &format!("{REGION}-a/clusters"), &zonal),
        (400, "INVALID_ARGUMENT".to_owned(), "Autopilot clusters must be regional clusters.".to_owned())
    );
    let pools = json!({"cluster": {"name": "other", "autopilot": {"enabled": true},
        "nodePools": [{"name": "n", "initialNodeCount": 1}]}});
    let words = "Autopilot node pools cannot be accessed or modified.";
    assert_eq!(gke.refused("POST", &format!("{REGION}/clusters"), &pools).2, words);
    let all = format!("{REGION}/clusters/auto/nodePools");
    for (method, path, body) in [
        ("GET", all.clone(), Value::Null),
        ("GET", format!("{all}/default-pool"), Value::Null),
        ("POST", all.clone(), json!({"nodePool": {"name": "n", "initialNodeCount": 1}})),
        ("POST", format!("{all}/default-pool:setSize"), json!({"nodeCount": 3})),
        ("PUT", format!("{all}/pool-1"), json!({"machineType": "e2-standard-4"})),
        ("DELETE", format!("{all}/pool-1"), Value::Null),
    ] {
        let refused = gke.refused(method, &path, &body);
        assert_eq!((refused.0, refused.2.as_str()), (400, words), "{method} {path}");
    }
    for update in [
        json!({"desiredNodeVersion": "-", "desiredNodePoolId": "pool-1"}),
        json!({"desiredNodePoolAutoscaling": {"enabled": true}, "desiredNodePoolId": "pool-1"}),
    ] {
        let refused = gke.refused("PUT", &format!("{REGION}/clusters/auto"), &json!({ "update": update }));
        assert_eq!(refused.2, words, "{update}");
    }
    // A cluster that is none keeps its pools open.
    let standard =
        json!({"cluster": {"name": "plain", "initialNodeCount": 1, "autopilot": {"enabled": false}}});
    gke.ok("POST", &format!("{REGION}/clusters"), &standard);
    gke.pass(240);
    assert_eq!(
        gke.get(&format!("{REGION}/clusters/plain/nodePools"))["nodePools"][0]["name"],
        "default-pool"
    );
}

#[test]
fn nodes_come_as_pods_need_them() {
    let mut gke = autopilot();
    gke.pass(3600);
    assert!(gke.node_names().is_empty());
    gke.spread(CLUSTER, 3);
    gke.pass(30);
    let (_, pods) = gke.kube(CLUSTER, "GET", "/api/v1/namespaces/default/pods", &Value::Null);
    assert_eq!(pods["items"][0]["status"]["phase"], "Pending");
    assert!(gke.node_names().is_empty());
    gke.pass(180);
    assert_eq!(gke.ready_pods(CLUSTER).len(), 3);
    let nodes = gke.world.google.container.nodes();
    assert!(nodes.iter().all(|node| node.name.starts_with("gk3-auto-pool-1-")), "{nodes:?}");
    let mut zones: Vec<&str> = nodes.iter().map(|node| node.zone.as_str()).collect();
    zones.sort_unstable();
    assert_eq!(zones, ["us-central1-a", "us-central1-b", "us-central1-c"]);
    // A pod that no node suits brings none about.
    let nowhere = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "nowhere"},
        "spec": {"nodeSelector": {"disk": "tape"}, "containers": [{"name": "c", "image": "nginx:1"}]}});
    assert_eq!(gke.kube(CLUSTER, "POST", "/api/v1/namespaces/default/pods", &nowhere).0, 201);
    gke.pass(3600);
    assert_eq!(gke.node_names().len(), 3);
    assert_eq!(gke.get(&format!("{REGION}/clusters/auto"))["currentNodeCount"], 3);
}

#[test]
fn small_requests_are_raised_and_the_cluster_says_so() {
    let mut gke = autopilot();
    let body = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "small", "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "nginx:1",
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "20Mi"}}}]}});
    let response = gke.kube_response(CLUSTER, "POST", "/api/v1/namespaces/default/pods", &body);
    // The form of the chaos-mesh notes and of several installation guides.
    let warning = "299 - \"autopilot-default-resources-mutator:Autopilot updated Pod default/small: defaulted \
                   unspecified 'ephemeral-storage' resource for containers [c] (see \
                   http://g.co/gke/autopilot-defaults), and adjusted resources to meet requirements for containers [c] \
                   (see http://g.co/gke/autopilot-resources).\"";
    assert!(response.headers.contains(&("warning".to_owned(), warning.to_owned())), "{:?}", response.headers);
    let pod: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(response.status, 201, "{pod}");
    let resources = &pod["spec"]["containers"][0]["resources"];
    let requests = json!({"cpu": "50m", "memory": "52Mi", "ephemeral-storage": "1Gi"});
    assert_eq!((&resources["requests"], &resources["limits"]["memory"]), (&requests, &json!("52Mi")));
    let adjustment = pod["metadata"]["annotations"]["autopilot.gke.io/resource-adjustment"].as_str().unwrap();
    let adjustment: Value = serde_json::from_str(adjustment).unwrap();
    assert_eq!(adjustment["input"]["containers"][0]["requests"], json!({"cpu": "10m", "memory": "16Mi"}));
    assert_eq!(adjustment["output"]["containers"][0]["requests"], requests);
    assert_eq!(adjustment["modified"], true);

    // Nothing given: the defaults. As a Deployment, whose pods are as its template says.
    gke.spread(CLUSTER, 1);
    gke.pass(300);
    let (_, pods) = gke.kube(CLUSTER, "GET", "/api/v1/namespaces/default/pods", &Value::Null);
    let web = pods["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|pod| pod["metadata"]["labels"]["app"] == "web")
        .unwrap();
    assert_eq!(
        web["spec"]["containers"][0]["resources"]["requests"],
        json!({"cpu": "500m", "memory": "2Gi", "ephemeral-storage": "1Gi"})
    );
    // Another cluster takes what it is given.
    let standard = json!({"cluster": {"name": "plain", "initialNodeCount": 1}});
    gke.ok("POST", &format!("{REGION}/clusters"), &standard);
    gke.pass(240);
    let (_, pod) = gke.kube("p/us-central1/plain", "POST", "/api/v1/namespaces/default/pods", &body);
    assert_eq!(
        pod["spec"]["containers"][0]["resources"]["requests"],
        json!({"cpu": "10m", "memory": "16Mi"})
    );
    assert_eq!(pod["metadata"].get("annotations"), None);
}

#[test]
fn warden_refuses_what_touches_nodes() {
    let mut gke = autopilot();
    let pod =
        |spec: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bad"}, "spec": spec});
    let container = |extra: Value| {
        let mut container = json!({"name": "c", "image": "nginx:1"});
        container.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!([container])
    };
    let host = |path: &str| json!([{"name": "data", "hostPath": {"path": path}}]);
    let mounted = |read_only: bool| {
        container(json!({"volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": read_only}]}))
    };
    for (spec, constraint, violation) in [
        (
            json!({"containers": mounted(true), "volumes": host("/var/lib/docker/containers")}),
            "autogke-no-write-mode-hostpath",
            "hostPath volume data used in container c uses path /var/lib/docker/containers which is not allowed in \
             Autopilot. Allowed path prefixes for hostPath volumes are: [/var/log/].",
        ),
        (
            json!({"containers": mounted(false), "volumes": host("/var/log/pods")}),
            "autogke-no-write-mode-hostpath",
            "hostPath volume data in container c is accessed in write mode; disallowed in Autopilot.",
        ),
        (
            json!({"containers": container(json!({"securityContext": {"privileged": true}}))}),
            "autogke-disallow-privilege",
            "container c is privileged; not allowed in Autopilot",
        ),
        (
            json!({"hostPID": true, "containers": container(json!({}))}),
            "autogke-disallow-hostnamespaces",
            "enabling hostPID is not allowed in Autopilot.",
        ),
        (
            json!({"containers": container(json!({"ports": [{"containerPort": 80, "hostPort": 8080}]}))}),
            "autogke-no-host-port",
            "container c specifies host ports [8080], which are disallowed in Autopilot.",
        ),
        (
            json!({"containers": container(json!({"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}))}),
            "autogke-default-linux-capabilities",
            "linux capability 'SYS_ADMIN' on container 'c' not allowed; Autopilot only allows the capabilities: \
             'AUDIT_WRITE,CHOWN,DAC_OVERRIDE,FOWNER,FSETID,KILL,MKNOD,NET_BIND_SERVICE,NET_RAW,SETFCAP,SETGID,SETPCAP,\
             SETUID,SYS_CHROOT,SYS_PTRACE'.",
        ),
    ] {
        let (code, status) = gke.kube(CLUSTER, "POST", "/api/v1/namespaces/default/pods", &pod(spec.clone()));
        assert_eq!((code, &status["reason"]), (400, &json!("GKE Warden constraints violations")), "{status}");
        let message = format!(
            "admission webhook \"warden-validating.common-webhooks.networking.gke.io\" denied the request: GKE Warden \
             rejected the request because it violates one or more constraints.\nViolations details: {}\nRequested by \
             user: 'admin', groups: 'system:authenticated'.",
            json!({format!("[denied by {constraint}]"): [violation]})
        );
        assert_eq!(status["message"], message);
    }
    // Logs may be read; and a workload is refused as its pods would be.
    let logs = pod(json!({"containers": mounted(true), "volumes": host("/var/log")}));
    assert_eq!(gke.kube(CLUSTER, "POST", "/api/v1/namespaces/default/pods", &logs).0, 201);
    let labels = json!({"app": "bad"});
    let template = json!({"metadata": {"labels": labels},
        "spec": {"containers": mounted(false), "volumes": host("/mnt/disks")}});
    let body = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "bad"},
        "spec": {"serviceName": "bad", "selector": {"matchLabels": labels}, "template": template}});
    let path = "/apis/apps/v1/namespaces/default/statefulsets";
    let (code, status) = gke.kube(CLUSTER, "POST", path, &body);
    assert_eq!(code, 400, "{status}");
    assert_eq!(gke.kube(CLUSTER, "GET", &format!("{path}/bad"), &Value::Null).0, 404);
}

#[test]
fn an_ensemble_comes_up() {
    let mut gke = autopilot();
    gke.ensemble(CLUSTER);
    gke.pass(1800);
    let health = gke.world.exhibitor.health(SHARE).unwrap();
    assert_eq!((health.declared, health.healthy), (3, 3));
    assert_eq!(gke.node_names().len(), 3);
}
