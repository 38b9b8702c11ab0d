//! Controllers, scheduler and kubelets, in virtual time.

use super::*;

pub(super) const PODS: &str = "/api/v1/namespaces/default/pods";

impl Bench {
    pub(super) fn pods(&mut self) -> Vec<Value> {
        self.get(PODS)["items"].as_array().unwrap().clone()
    }

    pub(super) fn make(&mut self, url: &str, body: &Value) -> Value {
        let (code, made) = self.call("POST", url, body);
        assert_eq!(code, 201, "{made}");
        made
    }

    pub(super) fn reasons(&mut self) -> Vec<String> {
        let events = self.get("/api/v1/namespaces/default/events");
        events["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["reason"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(super) fn is_ready(pod: &Value) -> bool {
        let conditions = pod["status"]["conditions"].as_array().unwrap();
        conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    }
}

pub(super) fn waiting(pod: &Value) -> &str {
    pod.pointer("/status/containerStatuses/0/state/waiting/reason").and_then(Value::as_str).unwrap_or("")
}

pub(super) fn exhibitor(replicas: i64) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "exhibitor"}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"run": "exhibitor"}}, "template": {
            "metadata": {"labels": {"run": "exhibitor"}}, "spec": {
                "containers": [{"name": "exhibitor", "image": "mbabineau/zookeeper-exhibitor",
                    "ports": [{"name": "zk", "containerPort": 2181}, {"name": "api", "containerPort": 8181}],
                    "env": [{"name": "HOSTNAME", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
                    "readinessProbe": {"httpGet": {"path": "/exhibitor/v1/cluster/4ltr/ruok", "port": 8181}},
                    "volumeMounts": [{"name": "nfs", "mountPath": "/opt/zookeeper/local_configs"}]}],
                "volumes": [{"name": "nfs", "nfs": {"server": "singlefs-1-vm", "path": "/data"}}]}}}})
}

#[test]
fn a_deployment_becomes_available() {
    let mut bench = Bench::new(3);
    bench.make(DEPLOYMENTS, &deployment("d", 3));
    bench.pass(60_000);
    let live = bench.get(&format!("{DEPLOYMENTS}/d"));
    assert_eq!(live["status"]["availableReplicas"], 3, "{live}");
    assert_eq!(live["status"]["observedGeneration"], 1);
    let progressing = &live["status"]["conditions"][1];
    assert_eq!(
        (&progressing["type"], &progressing["reason"]),
        (&json!("Progressing"), &json!("NewReplicaSetAvailable"))
    );
    let pods = bench.pods();
    let mut nodes: Vec<&str> = pods.iter().map(|pod| pod["spec"]["nodeName"].as_str().unwrap()).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["node-0", "node-1", "node-2"]);
    for wanted in
        ["ScalingReplicaSet", "SuccessfulCreate", "Scheduled", "Pulling", "Pulled", "Created", "Started"]
    {
        assert!(bench.reasons().contains(&wanted.to_owned()), "{wanted}");
    }
    let revision = live["metadata"]["resourceVersion"].clone();
    bench.pass(3_600_000);
    assert_eq!(
        bench.get(&format!("{DEPLOYMENTS}/d"))["metadata"]["resourceVersion"],
        revision,
        "a quiet cluster writes nothing"
    );
}

#[test]
fn a_new_template_rolls_out_within_its_budget() {
    let mut bench = Bench::new(3);
    let mut body = deployment("d", 3);
    body["spec"]["strategy"] = json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}});
    bench.make(DEPLOYMENTS, &body);
    bench.pass(60_000);
    let patch =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "nginx:2"}]}}}});
    assert_eq!(bench.call("STRATEGIC", &format!("{DEPLOYMENTS}/d"), &patch).0, 200);
    for _ in 0..240 {
        bench.pass(500);
        let pods = bench.pods();
        let active: Vec<&Value> =
            pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect();
        assert!(active.len() <= 3, "no surge");
        assert!(active.iter().filter(|pod| Bench::is_ready(pod)).count() >= 2, "one missing at most");
    }
    let images: Vec<Value> =
        bench.pods().iter().map(|pod| pod["spec"]["containers"][0]["image"].clone()).collect();
    assert_eq!(images, ["nginx:2", "nginx:2", "nginx:2"]);
    let live = bench.get(&format!("{DEPLOYMENTS}/d"));
    assert_eq!(live["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
    assert_eq!(
        (&live["status"]["updatedReplicas"], &live["status"]["unavailableReplicas"]),
        (&json!(3), &Value::Null)
    );
}

#[test]
fn scaling_down_takes_the_cheapest_pods() {
    let mut bench = Bench::new(3);
    bench.make(DEPLOYMENTS, &deployment("d", 3));
    bench.pass(60_000);
    let victim = bench.pods()[1]["metadata"]["name"].as_str().unwrap().to_owned();
    let cost = json!({"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5"}}});
    assert_eq!(bench.call("MERGE", &format!("{PODS}/{victim}"), &cost).0, 200);
    assert_eq!(
        bench.call("MERGE", &format!("{DEPLOYMENTS}/d/scale"), &json!({"spec": {"replicas": 2}})).0,
        200
    );
    bench.pass(40_000);
    let left = bench.pods();
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|pod| pod["metadata"]["name"] != victim.as_str()));
}

#[test]
fn what_keeps_pods_from_running_is_told() {
    let mut bench = Bench::new(1);
    bench.exports = vec![Export {
        network: String::new(),
        names: vec!["singlefs-1-vm".to_owned()],
        path: "/data".to_owned(),
        up: false,
    }];
    bench.make(DEPLOYMENTS, &exhibitor(1));
    let mut image = deployment("image", 1);
    image["spec"]["template"]["spec"]["containers"][0]["image"] = json!("example.com/does-not-exist:1");
    bench.make(DEPLOYMENTS, &image);
    let mut config = deployment("config", 1);
    config["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}]);
    bench.make(DEPLOYMENTS, &config);
    let mut apart = deployment("apart", 2);
    apart["spec"]["template"]["spec"]["affinity"] = json!({"podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": {"app": "apart"}}}]}});
    bench.make(DEPLOYMENTS, &apart);
    bench.pass(30_000);
    let pods = bench.pods();
    let state = |prefix: &str| {
        let of = pods.iter().filter(|pod| pod["metadata"]["name"].as_str().unwrap().starts_with(prefix));
        of.map(|pod| format!("{}{}", pod["status"]["phase"].as_str().unwrap(), waiting(pod)))
            .collect::<Vec<_>>()
    };
    assert_eq!(state("exhibitor"), ["PendingContainerCreating"]);
    assert!(["PendingImagePullBackOff", "PendingErrImagePull"].contains(&state("image")[0].as_str()));
    assert_eq!(state("config"), ["PendingCreateContainerConfigError"]);
    let mut spread = state("apart");
    spread.sort();
    assert_eq!(spread, ["Pending", "Running"]);
    let reasons = bench.reasons();
    for wanted in ["FailedMount", "Failed", "BackOff", "FailedScheduling"] {
        assert!(reasons.contains(&wanted.to_owned()), "{wanted}: {reasons:?}");
    }
    bench.make(
        "/api/v1/namespaces/default/configmaps",
        &json!({"metadata": {"name": "m"}, "data": {"k": "v"}}),
    );
    bench.exports[0].up = true;
    bench.pass(180_000);
    let phases: Vec<Value> = bench
        .pods()
        .iter()
        .filter(|pod| {
            let name = pod["metadata"]["name"].as_str().unwrap();
            name.starts_with("config") || name.starts_with("exhibitor")
        })
        .map(|pod| pod["status"]["phase"].clone())
        .collect();
    assert_eq!(phases, ["Running", "Running"]);
    let image = bench.get(&format!("{DEPLOYMENTS}/image"));
    assert_eq!(image["status"]["conditions"][1]["reason"], "ReplicaSetUpdated");
    bench.pass(500_000);
    let image = bench.get(&format!("{DEPLOYMENTS}/image"));
    assert_eq!(image["status"]["conditions"][1]["reason"], "ProgressDeadlineExceeded");
}

/// Three running pods on so many nodes, and a budget that spares two of them.
fn with_budget(nodes: usize) -> Bench {
    let mut bench = Bench::new(nodes);
    bench.make(DEPLOYMENTS, &deployment("d", 3));
    bench.make(
        "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
        &json!({"metadata": {"name": "b"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "d"}}}}),
    );
    bench.pass(60_000);
    bench
}

#[test]
fn evictions_respect_the_budget() {
    let mut bench = with_budget(3);
    let names: Vec<String> =
        bench.pods().iter().map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect();
    let eviction =
        |name: &str| json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
    assert_eq!(bench.call("POST", &format!("{PODS}/{}/eviction", names[0]), &eviction(&names[0])).0, 201);
    bench.pass(1);
    let (code, refused) = bench.call("POST", &format!("{PODS}/{}/eviction", names[1]), &eviction(&names[1]));
    assert_eq!((code, refused["reason"].as_str()), (429, Some("TooManyRequests")));
    assert_eq!(
        refused["details"]["causes"][0]["message"],
        "The disruption budget b needs 2 healthy pods and has 2 currently"
    );
    bench.pass(60_000);
    assert_eq!(bench.call("POST", &format!("{PODS}/{}/eviction", names[1]), &eviction(&names[1])).0, 201);
}

#[test]
fn a_node_is_drained_within_the_budget() {
    let mut bench = with_budget(1);
    let old = Node { draining: Some(bench.now), ..node("node-0") };
    bench.cluster.set_nodes(&[old, node("node-1")], bench.now);
    assert!(bench.cluster.drained().is_empty());
    for _ in 0..2000 {
        bench.pass(100);
        let ready = bench.get(&format!("{DEPLOYMENTS}/d"))["status"]["readyReplicas"].as_i64();
        assert!(ready >= Some(2), "{ready:?}");
    }
    assert_eq!(bench.cluster.drained(), ["node-0"]);
    assert!(bench.pods().iter().all(|pod| pod["spec"]["nodeName"] == "node-1"));
}

#[test]
fn exhibitors_answer_behind_pod_and_service_proxies() {
    let mut bench = Bench::new(3);
    bench.make(DEPLOYMENTS, &exhibitor(3));
    bench.make("/api/v1/namespaces/default/services", &json!({"metadata": {"name": "exhibitor"}, "spec": {
        "selector": {"run": "exhibitor"}, "ports": [{"name": "zk", "port": 2181}, {"name": "api", "port": 8181}]}}));
    let service = "/api/v1/namespaces/default/services/exhibitor:api/proxy/exhibitor/v1/cluster/list";
    let (code, none) = bench.call("GET", service, &Value::Null);
    assert_eq!((code, none["reason"].as_str()), (503, Some("ServiceUnavailable")));
    bench.pass(90_000);
    assert_eq!(bench.get(&format!("{DEPLOYMENTS}/exhibitor"))["status"]["readyReplicas"], 3);
    let endpoints = bench.get("/api/v1/namespaces/default/endpoints/exhibitor");
    assert_eq!(endpoints["subsets"][0]["addresses"].as_array().unwrap().len(), 3, "{endpoints}");
    assert_eq!(endpoints["subsets"][0]["ports"].as_array().unwrap().len(), 2);
    assert_eq!(bench.get(service)["port"], 2181);
    let pod = bench.pods()[0].clone();
    let name = pod["metadata"]["name"].as_str().unwrap();
    assert_eq!(bench.get(&format!("{PODS}/{name}:8181/proxy/exhibitor/v1/cluster/list"))["port"], 2181);
    assert_eq!(bench.call("GET", &format!("{PODS}/{name}:9/proxy/"), &Value::Null).0, 503);
    let log = bench.raw("GET", &format!("{PODS}/{name}/log"), &[], &Value::Null);
    assert_eq!(log.status, 200);
    bench.call("DELETE", &format!("{PODS}/{name}"), &Value::Null);
    bench.pass(10_000);
    assert_eq!(bench.pods().len(), 4, "the image ignores SIGTERM: the old pod lasts its whole grace period");
    bench.pass(60_000);
    let pods = bench.pods();
    assert!(pods.len() == 3 && pods.iter().all(|other| other["metadata"]["name"] != name));
}

#[test]
fn owners_and_namespaces_take_what_they_hold_with_them() {
    let mut bench = Bench::new(2);
    bench.make("/api/v1/namespaces", &json!({"metadata": {"name": "n"}}));
    let there = "/apis/apps/v1/namespaces/n/deployments";
    bench.make(there, &deployment("d", 2));
    bench.make(DEPLOYMENTS, &deployment("d", 2));
    bench.pass(60_000);
    assert_eq!(
        bench.call("DELETE", &format!("{DEPLOYMENTS}/d"), &json!({"propagationPolicy": "Foreground"})).0,
        200
    );
    bench.pass(1);
    assert!(bench.get(&format!("{DEPLOYMENTS}/d"))["metadata"]["deletionTimestamp"].is_string());
    let (code, gone) = bench.call("DELETE", "/api/v1/namespaces/n", &Value::Null);
    assert_eq!((code, gone["status"]["phase"].as_str()), (200, Some("Terminating")));
    let (code, refused) =
        bench.call("POST", "/api/v1/namespaces/n/configmaps", &json!({"metadata": {"name": "m"}}));
    assert_eq!(code, 403, "{refused}");
    bench.pass(60_000);
    assert_eq!(bench.call("GET", &format!("{DEPLOYMENTS}/d"), &Value::Null).0, 404);
    assert_eq!(bench.call("GET", "/api/v1/namespaces/n", &Value::Null).0, 404);
    assert_eq!(bench.get("/api/v1/pods")["items"], json!([]));
    assert_eq!(bench.get("/apis/apps/v1/replicasets")["items"], json!([]));
}

#[test]
fn pods_of_a_lost_node_come_back_elsewhere() {
    let mut bench = Bench::new(2);
    bench.make(DEPLOYMENTS, &deployment("d", 2));
    bench.pass(60_000);
    bench.cluster.set_nodes(&[node("node-1")], bench.now);
    bench.pass(120_000);
    let pods = bench.pods();
    assert_eq!(pods.len(), 2);
    assert!(pods.iter().all(|pod| pod["spec"]["nodeName"] == "node-1" && Bench::is_ready(pod)));
}

#[test]
fn the_cluster_survives_its_state_file() {
    let mut bench = Bench::new(2);
    bench.make(DEPLOYMENTS, &deployment("d", 2));
    bench.pass(3_000);
    let text = serde_json::to_string(&bench.cluster).unwrap();
    let read: Cluster = serde_json::from_str(&text).unwrap();
    assert_eq!(read, bench.cluster);
    bench.cluster = read;
    bench.pass(60_000);
    assert_eq!(bench.get(&format!("{DEPLOYMENTS}/d"))["status"]["availableReplicas"], 2);
}

#[test]
fn a_node_that_is_reset_keeps_its_pods_and_none_of_their_addresses() {
    let mut bench = Bench::new(2);
    bench.make(DEPLOYMENTS, &deployment("d", 2));
    bench.pass(60_000);
    let told = |bench: &mut Bench, node: &str| {
        let pod = bench.pods().into_iter().find(|pod| pod["spec"]["nodeName"] == node).unwrap();
        let restarts = pod["status"]["containerStatuses"][0]["restartCount"].as_i64().unwrap();
        (pod["metadata"]["uid"].clone(), pod["status"]["podIP"].clone(), restarts, Bench::is_ready(&pod))
    };
    let (reset, other) = (told(&mut bench, "node-0"), told(&mut bench, "node-1"));
    let now = bench.now;
    bench.cluster.reset_node("node-0", &mut bench.shares, now);
    bench.pass(20_000);
    // Nobody tells the API server yet.
    assert_eq!(told(&mut bench, "node-0"), reset);
    bench.pass(60_000);
    let back = told(&mut bench, "node-0");
    assert_eq!((&back.0, back.2, back.3), (&reset.0, 1, true));
    assert_ne!(back.1, reset.1);
    assert_eq!(told(&mut bench, "node-1"), other);
}
