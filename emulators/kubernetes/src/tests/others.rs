//! Workloads that are none of zkprov's: DaemonSets, ReplicationControllers, Jobs, pods of nobody.

use super::workloads::PODS;
use super::*;

const DAEMONS: &str = "/apis/apps/v1/namespaces/default/daemonsets";
const CONTROLLERS: &str = "/api/v1/namespaces/default/replicationcontrollers";
const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";

fn daemon_set(image: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": {
        "selector": {"matchLabels": {"app": "agent"}}, "template": {"metadata": {"labels": {"app": "agent"}},
            "spec": {"containers": [{"name": "a", "image": image}]}}}})
}

fn controller(replicas: i64) -> Value {
    json!({"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "old"}, "spec": {
        "replicas": replicas, "template": {"metadata": {"labels": {"app": "old"}},
            "spec": {"containers": [{"name": "a", "image": "nginx:1"}]}}}})
}

fn job(command: &[&str], more: &Value) -> Value {
    let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": {
        "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "busybox:1", "command": command}]}}}});
    for (key, value) in more.as_object().unwrap() {
        job["spec"][key] = value.clone();
    }
    job
}

fn bare(name: &str, command: &[&str]) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": {
        "restartPolicy": "Never", "containers": [{"name": "a", "image": "busybox:1", "command": command}]}})
}

fn budget(app: &str) -> Value {
    json!({"metadata": {"name": app}, "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": app}}}})
}

impl Bench {
    /// Node and image of each pod that is not ending, by node.
    fn placed(&mut self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pods = self.pods().into_iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        let mut placed: Vec<(String, String)> = pods
            .map(|pod| (text(&pod["spec"]["nodeName"]), text(&pod["spec"]["containers"][0]["image"])))
            .collect();
        placed.sort();
        placed
    }

    fn evict(&mut self, pod: &str) -> u16 {
        let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}});
        self.call("POST", &format!("{PODS}/{pod}/eviction"), &body).0
    }

    fn conditions(&mut self) -> Vec<(String, String)> {
        let job = self.get(&format!("{JOBS}/j"));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let all = job["status"]["conditions"].as_array().cloned().unwrap_or_default();
        all.iter().map(|one| (text(&one["type"]), text(&one["reason"]))).collect()
    }
}

#[test]
fn a_daemon_set_has_a_pod_on_each_node() {
    let mut bench = Bench::new(2);
    bench.make(DAEMONS, &daemon_set("agent:1"));
    bench.pass(60_000);
    let on = |nodes: &[&str], image: &str| -> Vec<(String, String)> {
        nodes.iter().map(|node| ((*node).to_owned(), image.to_owned())).collect()
    };
    assert_eq!(bench.placed(), on(&["node-0", "node-1"], "agent:1"));
    let status = bench.get(&format!("{DAEMONS}/agent"))["status"].clone();
    assert_eq!((&status["desiredNumberScheduled"], &status["numberAvailable"]), (&json!(2), &json!(2)));
    // Nodes come, go, and are cordoned.
    bench.cluster.set_nodes(&[node("node-1"), node("node-2")], bench.now);
    bench.pass(120_000);
    assert_eq!(bench.placed(), on(&["node-1", "node-2"], "agent:1"));
    let cordon = json!({"spec": {"unschedulable": true}});
    assert_eq!(bench.call("MERGE", "/api/v1/nodes/node-1", &cordon).0, 200);
    let pod = bench.pods().into_iter().find(|pod| pod["spec"]["nodeName"] == "node-1").unwrap();
    let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(bench.call("DELETE", &format!("{PODS}/{name}"), &Value::Null).0, 200);
    bench.pass(60_000);
    assert_eq!(bench.placed(), on(&["node-1", "node-2"], "agent:1"), "it tolerates the taint");
    let revision = bench.get(&format!("{DAEMONS}/agent"))["metadata"]["resourceVersion"].clone();
    bench.pass(600_000);
    assert_eq!(bench.get(&format!("{DAEMONS}/agent"))["metadata"]["resourceVersion"], revision);
    // A node selector takes them off.
    let patch =
        json!({"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": "node-2"}}}}});
    assert_eq!(bench.call("STRATEGIC", &format!("{DAEMONS}/agent"), &patch).0, 200);
    bench.pass(120_000);
    assert_eq!(bench.placed(), on(&["node-2"], "agent:1"));
    assert_eq!(bench.call("DELETE", &format!("{DAEMONS}/agent"), &Value::Null).0, 200);
    bench.pass(60_000);
    assert_eq!(bench.placed(), []);
}

#[test]
fn a_new_template_rolls_over_the_daemons_one_by_one() {
    let mut bench = Bench::new(3);
    bench.make(DAEMONS, &daemon_set("agent:1"));
    bench.pass(60_000);
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "agent:2"}]}}}});
    assert_eq!(bench.call("STRATEGIC", &format!("{DAEMONS}/agent"), &patch).0, 200);
    for _ in 0..300 {
        bench.pass(500);
        let pods = bench.pods();
        let serving = |pod: &&Value| Bench::is_ready(pod) && pod["metadata"]["deletionTimestamp"].is_null();
        assert!(pods.iter().filter(serving).count() >= 2, "one away at most");
    }
    assert!(bench.placed().iter().all(|(_, image)| image == "agent:2"));
    let status = bench.get(&format!("{DAEMONS}/agent"))["status"].clone();
    assert_eq!(status["updatedNumberScheduled"], 3);
}

#[test]
fn a_drain_leaves_daemons_where_they_are() {
    let mut bench = Bench::new(2);
    bench.make(DAEMONS, &daemon_set("agent:1"));
    bench.make(DEPLOYMENTS, &deployment("d", 1));
    bench.make(PODS, &bare("done", &["true"]));
    bench.pass(60_000);
    let home = |bench: &mut Bench| {
        let pods = bench.pods();
        let pod = pods.iter().find(|pod| pod["metadata"]["labels"]["app"] == "d").unwrap().clone();
        pod["spec"]["nodeName"].as_str().unwrap().to_owned()
    };
    let old = home(&mut bench);
    let nodes: Vec<Node> = ["node-0", "node-1"]
        .map(|name| Node { draining: (name == old).then_some(bench.now), ..node(name) })
        .into();
    bench.cluster.set_nodes(&nodes, bench.now);
    bench.pass(120_000);
    assert_eq!(bench.cluster.drained(), std::slice::from_ref(&old));
    assert_ne!(home(&mut bench), old);
    let left: Vec<(String, String)> = bench.placed().into_iter().filter(|(node, _)| *node == old).collect();
    assert_eq!(left, [(old, "agent:1".to_owned())]);
}

#[test]
fn a_replication_controller_keeps_its_replicas() {
    let mut bench = Bench::new(2);
    let made = bench.make(CONTROLLERS, &controller(3));
    assert_eq!(made["spec"]["selector"], json!({"app": "old"}), "the template's labels");
    bench.make(BUDGETS, &budget("old"));
    bench.pass(60_000);
    let status = bench.get(&format!("{CONTROLLERS}/old"))["status"].clone();
    assert_eq!((&status["readyReplicas"], &status["replicas"]), (&json!(3), &json!(3)));
    let pod = bench.pods()[0].clone();
    assert_eq!(pod["metadata"]["ownerReferences"][0]["kind"], "ReplicationController");
    // Its scale counts for the budget, and is there to be set.
    assert_eq!(bench.get(&format!("{BUDGETS}/old"))["status"]["expectedPods"], 3);
    let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(bench.evict(&name), 201);
    bench.pass(1);
    let pods = bench.pods();
    let other =
        pods.iter().find(|other| Bench::is_ready(other) && other["metadata"]["name"] != name.as_str());
    let other = other.unwrap()["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(bench.evict(&other), 429);
    bench.pass(60_000);
    let scale = bench.get(&format!("{CONTROLLERS}/old/scale"));
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["selector"]), (&json!(3), &json!("app=old")));
    let fewer = json!({"spec": {"replicas": 1}});
    assert_eq!(bench.call("MERGE", &format!("{CONTROLLERS}/old/scale"), &fewer).0, 200);
    bench.pass(60_000);
    assert_eq!(bench.placed().len(), 1);
}

#[test]
fn a_job_runs_to_its_completions() {
    let mut bench = Bench::new(2);
    bench.make(JOBS, &job(&["backup"], &json!({"completions": 3, "parallelism": 2})));
    let mut most = 0;
    for _ in 0..600 {
        bench.pass(100);
        let running = bench.pods().iter().filter(|pod| pod["status"]["phase"] == "Running").count();
        most = most.max(running);
    }
    assert_eq!(most, 2);
    let live = bench.get(&format!("{JOBS}/j"));
    let status = &live["status"];
    assert_eq!((&status["succeeded"], &status["active"]), (&json!(3), &Value::Null), "{status}");
    assert!(status["completionTime"].is_string() && status["startTime"].is_string());
    let ended = |ty: &str| (ty.to_owned(), "CompletionsReached".to_owned());
    assert_eq!(bench.conditions(), [ended("SuccessCriteriaMet"), ended("Complete")]);
    let pods = bench.pods();
    assert!(pods.len() == 3 && pods.iter().all(|pod| pod["status"]["phase"] == "Succeeded"));
    assert_eq!(pods[0]["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], 0);
    assert_eq!(pods[0]["metadata"]["labels"]["batch.kubernetes.io/job-name"], "j");
    for wanted in ["SuccessfulCreate", "Completed"] {
        assert!(bench.reasons().contains(&wanted.to_owned()), "{wanted}");
    }
    // They are no one's to evict, and take no room in a budget; they go with the Job.
    assert_eq!(
        bench.call("DELETE", &format!("{JOBS}/j"), &json!({"propagationPolicy": "Background"})).0,
        200
    );
    bench.pass(60_000);
    assert_eq!(bench.placed(), []);
}

#[test]
fn a_job_gives_up_after_so_many_failures() {
    let mut bench = Bench::new(1);
    bench.make(
        JOBS,
        &job(&["sh", "-c", "exit 3"], &json!({"backoffLimit": 2, "ttlSecondsAfterFinished": 100})),
    );
    bench.pass(60_000);
    let status = bench.get(&format!("{JOBS}/j"))["status"].clone();
    assert_eq!(status["failed"], 3, "{status}");
    let failed = |ty: &str| (ty.to_owned(), "BackoffLimitExceeded".to_owned());
    assert_eq!(bench.conditions(), [failed("FailureTarget"), failed("Failed")]);
    let pods = bench.pods();
    assert!(pods.len() == 3 && pods.iter().all(|pod| pod["status"]["phase"] == "Failed"));
    let terminated = &pods[0]["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((&terminated["exitCode"], &terminated["reason"]), (&json!(3), &json!("Error")));
    bench.pass(100_000);
    assert_eq!(bench.call("GET", &format!("{JOBS}/j"), &Value::Null).0, 404, "its time is over");
    bench.pass(1_000);
    assert_eq!(bench.placed(), []);
}

#[test]
fn containers_of_a_job_are_started_again_where_it_says_so() {
    let mut bench = Bench::new(1);
    let mut body = job(&["false"], &json!({"backoffLimit": 2}));
    body["spec"]["template"]["spec"]["restartPolicy"] = json!("OnFailure");
    bench.make(JOBS, &body);
    bench.pass(25_000);
    let status = &bench.pods()[0]["status"]["containerStatuses"][0];
    assert_eq!(status["state"]["waiting"]["reason"], "CrashLoopBackOff", "{status}");
    bench.pass(120_000);
    assert_eq!(bench.conditions()[1], ("Failed".to_owned(), "BackoffLimitExceeded".to_owned()));
    assert_eq!(bench.placed(), [], "what was active is deleted");
}

#[test]
fn a_job_waits_while_it_is_suspended_and_fails_at_its_deadline() {
    let mut bench = Bench::new(1);
    bench.make(JOBS, &job(&["sleep", "3600"], &json!({"suspend": true, "activeDeadlineSeconds": 60})));
    bench.pass(60_000);
    assert_eq!(bench.placed(), []);
    assert_eq!(bench.call("MERGE", &format!("{JOBS}/j"), &json!({"spec": {"suspend": false}})).0, 200);
    bench.pass(30_000);
    assert_eq!(bench.get(&format!("{JOBS}/j"))["status"]["active"], 1);
    bench.pass(60_000);
    assert_eq!(bench.conditions()[1], ("Failed".to_owned(), "DeadlineExceeded".to_owned()));
}

#[test]
fn bare_pods_run_and_are_nobodys_to_replace() {
    let mut bench = Bench::new(2);
    bench.make(PODS, &bare("alone", &["server"]));
    bench.make(PODS, &bare("short", &["sleep", "20"]));
    bench.make(BUDGETS, &budget("alone"));
    bench.make(
        BUDGETS,
        &json!({"metadata": {"name": "short"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "short"}}}}),
    );
    bench.pass(15_000);
    let phase = |bench: &mut Bench, pod: &str| bench.get(&format!("{PODS}/{pod}"))["status"]["phase"].clone();
    assert_eq!(
        (phase(&mut bench, "alone"), phase(&mut bench, "short")),
        (json!("Running"), json!("Running"))
    );
    // A controller that is not there has no scale to reckon with; a number is a number.
    assert_eq!(bench.get(&format!("{BUDGETS}/alone"))["status"]["expectedPods"], 0);
    assert_eq!((bench.evict("alone"), bench.evict("short")), (429, 429));
    bench.pass(30_000);
    assert_eq!(phase(&mut bench, "short"), "Succeeded");
    assert_eq!(bench.evict("short"), 201, "what has ended needs no budget");
    bench.call("DELETE", &format!("{BUDGETS}/alone"), &Value::Null);
    assert_eq!(bench.evict("alone"), 201);
    bench.pass(60_000);
    assert_eq!(bench.placed(), []);
}

#[test]
fn budgets_cannot_be_worked_out_for_what_has_no_scale() {
    let mut bench = Bench::new(2);
    bench.make(DAEMONS, &daemon_set("agent:1"));
    bench.make(BUDGETS, &budget("agent"));
    bench.pass(60_000);
    let status = bench.get(&format!("{BUDGETS}/agent"))["status"].clone();
    assert_eq!(status["disruptionsAllowed"], 0);
    let condition = &status["conditions"][0];
    assert_eq!(condition["reason"], "SyncFailed");
    assert_eq!(condition["message"], "daemonsets.apps does not implement the scale subresource");
    let pod = bench.pods()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(bench.evict(&pod), 429);
}

#[test]
fn a_boot_of_the_node_fails_what_is_not_started_again() {
    let mut bench = Bench::new(1);
    bench.make(PODS, &bare("once", &["sleep", "3600"]));
    bench.make(PODS, &bare("done", &["true"]));
    bench.make(JOBS, &job(&["sleep", "90"], &json!({})));
    bench.pass(30_000);
    let now = bench.now;
    bench.cluster.reset_node("node-0", &mut bench.shares, now);
    bench.pass(60_000);
    assert_eq!(bench.get(&format!("{PODS}/once"))["status"]["phase"], "Failed");
    assert_eq!(bench.get(&format!("{PODS}/done"))["status"]["phase"], "Succeeded");
    bench.pass(200_000);
    let status = bench.get(&format!("{JOBS}/j"))["status"].clone();
    assert_eq!((&status["failed"], &status["succeeded"]), (&json!(1), &json!(1)), "{status}");
}
