use super::*;
use serde_json::json;

fn document(name: &str, created: &str, status: &Value) -> Value {
    json!({"metadata": {"name": name, "uid": format!("uid-{name}"), "creationTimestamp": created},
        "spec": {"nodeName": "node-1"}, "status": status})
}

fn running(name: &str) -> Value {
    let status = json!({"phase": "Running", "podIP": "10.0.0.1",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [{"state": {"running": {"startedAt": "t"}}}]});
    document(name, "2026-01-01T00:00:00Z", &status)
}

fn waiting(name: &str, reason: &str) -> Value {
    let state = json!({"waiting": {"reason": reason, "message": "why\n  it waits"}});
    document(
        name,
        "2026-01-01T00:00:00Z",
        &json!({"phase": "Pending", "containerStatuses": [{"state": state}]}),
    )
}

fn deployment(generation: u64, observed: u64, replicas: u64, updated: u64) -> Value {
    json!({"metadata": {"name": "exhibitor", "generation": generation},
        "status": {"observedGeneration": observed, "replicas": replicas, "updatedReplicas": updated}})
}

fn deleting(mut document: Value) -> Value {
    document["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    document
}

#[test]
fn a_pod_in_the_table() {
    let read = pod(&running("a")).unwrap();
    assert_eq!((read.phase.as_str(), read.ready, read.trouble), ("Running", false, None));
    assert_eq!((read.ip.as_deref(), read.node.as_deref()), (Some("10.0.0.1"), Some("node-1")));
    let creating = pod(&waiting("a", "ContainerCreating")).unwrap();
    assert_eq!((creating.ip, creating.trouble), (None, None), "that is no trouble");
    assert_eq!(pod(&waiting("a", "ImagePullBackOff")).unwrap().trouble.as_deref(), Some("ImagePullBackOff"));
    let evicted = document("a", "", &json!({"phase": "Failed", "reason": "Evicted"}));
    assert_eq!(pod(&evicted).unwrap().trouble.as_deref(), Some("Evicted"));
    for hostile in [json!(null), json!({"metadata": 3}), json!({"metadata": {"name": 3}})] {
        assert_eq!(pod(&hostile), None);
    }
    let young = document("a", "2026-01-02T00:00:00Z", &json!({}));
    let old = [
        document("c", "2026-01-01T00:00:00Z", &json!({})),
        document("b", "2026-01-01T00:00:00Z", &json!({})),
    ];
    let names: Vec<String> =
        pods(&[young, old[0].clone(), old[1].clone()]).into_iter().map(|pod| pod.name).collect();
    assert_eq!(names, ["b", "c", "a"]);
}

#[test]
fn rollouts() {
    let two = [running("a"), running("b")];
    let table: [(Value, Vec<Value>, &str); 8] = [
        (deployment(2, 1, 2, 2), two.to_vec(), "not seen"),
        (deployment(2, 2, 2, 1), two.to_vec(), "1 of 2 pods have the new template"),
        (deployment(2, 2, 3, 2), two.to_vec(), "3 pods, 2 wanted"),
        (deployment(2, 2, 2, 2), vec![running("a")], "1 of 2 pods run"),
        (deployment(2, 2, 2, 2), vec![running("a"), waiting("b", "ContainerCreating")], "1 of 2 pods run"),
        (deployment(2, 2, 2, 2), vec![running("a"), deleting(running("b"))], "1 of 2 pods run"),
        (deleting(deployment(2, 2, 2, 2)), two.to_vec(), "being deleted"),
        (json!({}), two.to_vec(), "0 of 2"),
    ];
    for (deployment, pods, word) in table {
        let Rollout::Waiting(message) = rollout(&deployment, &pods, 2) else { panic!("{word}") };
        assert!(message.contains(word), "{word}: {message}");
    }
    let mut pods = two.to_vec();
    pods.push(deleting(running("c")));
    pods.push(document("d", "", &json!({"phase": "Failed"})));
    let done = Rollout::Running(vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(rollout(&deployment(2, 2, 2, 2), &pods, 2), done, "Ready is not asked for");
}

#[test]
fn troubles_by_their_reason() {
    let none = json!({});
    for (reason, kind) in [
        ("ErrImagePull", TroubleKind::Image),
        ("ImagePullBackOff", TroubleKind::Image),
        ("CreateContainerConfigError", TroubleKind::Config),
        ("CrashLoopBackOff", TroubleKind::Crash),
    ] {
        let found = troubles(&none, &[waiting("a", reason)], &[]);
        assert_eq!(found.len(), 1, "{reason}");
        assert_eq!((found[0].kind, found[0].message.as_str()), (kind, "why it waits"));
        assert!(troubles(&none, &[deleting(waiting("a", reason))], &[]).is_empty());
    }
    assert!(troubles(&none, &[waiting("a", "ContainerCreating"), running("b")], &[]).is_empty());
    let unschedulable = json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]});
    let found = troubles(&none, &[document("a", "", &unschedulable)], &[]);
    assert_eq!((found[0].kind, found[0].message.as_str()), (TroubleKind::Schedule, "0/3 nodes"));
    let refused = json!({"metadata": {"name": "exhibitor"}, "status": {"conditions": [
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}]}});
    assert_eq!(troubles(&refused, &[], &[])[0].kind, TroubleKind::Create);
}

#[test]
fn an_event_counts_while_its_pod_has_not_started() {
    let event = |uid: &str, reason: &str| {
        json!({"reason": reason, "message": "mount.nfs: timed out",
            "involvedObject": {"kind": "Pod", "name": "a", "uid": uid}})
    };
    let events = [event("uid-a", "FailedMount"), event("uid-a", "Unhealthy"), json!(7)];
    let creating = [waiting("a", "ContainerCreating")];
    let found = troubles(&json!({}), &creating, &events);
    assert_eq!((found[0].kind, found[0].reason.as_str()), (TroubleKind::Mount, "FailedMount"));
    assert!(troubles(&json!({}), &[running("a")], &events).is_empty(), "it has healed");
    assert!(troubles(&json!({}), &creating, &[event("an-older-pod", "FailedMount")]).is_empty());
}

#[test]
fn only_a_lasting_trouble_fails() {
    let second = Duration::from_secs;
    let image = troubles(&json!({}), &[waiting("a", "ErrImagePull")], &[]);
    let again = troubles(&json!({}), &[waiting("a", "ImagePullBackOff")], &[]);
    let mut log = TroubleLog::default();
    assert_eq!(log.look(&image, second(100), second(1)), None);
    assert_eq!(log.look(&again, second(119), second(1)), None);
    assert_eq!(log.look(&image, second(120), second(1)), image.first(), "one class, whatever its word");
    assert_eq!(log.look(&[], second(121), second(1)), None);
    assert_eq!(log.look(&image, second(122), second(1)), None, "healed in between");
    let mut fast = TroubleLog::default();
    assert_eq!(fast.look(&image, second(0), Duration::from_millis(10)), None);
    assert_eq!(fast.look(&image, Duration::from_millis(200), Duration::from_millis(10)), image.first());
}

#[test]
fn a_pod_of_a_stateful_set_has_a_name_that_stays() {
    let mut document = running("zk-1");
    assert_eq!(pod(&document).unwrap().address(), Some("10.0.0.1"));
    document["metadata"]["namespace"] = json!("zoo");
    document["spec"]["hostname"] = json!("zk-1");
    document["spec"]["subdomain"] = json!("zk-members");
    assert_eq!(pod(&document).unwrap().address(), Some("zk-1.zk-members.zoo.svc"));
}
