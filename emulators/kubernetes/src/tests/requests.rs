//! Verbs, apply, admission, watches.

use super::*;

#[test]
fn an_object_is_created_read_replaced_and_deleted() {
    let mut bench = Bench::new(1);
    let (code, made) = bench.call("POST", DEPLOYMENTS, &deployment("d", 3));
    assert_eq!((code, made["metadata"]["generation"].as_i64()), (201, Some(1)), "{made}");
    assert_eq!(made["spec"]["progressDeadlineSeconds"], 600);
    let (code, again) = bench.call("POST", DEPLOYMENTS, &deployment("d", 3));
    assert_eq!((code, again["reason"].as_str()), (409, Some("AlreadyExists")));
    let url = format!("{DEPLOYMENTS}/d");
    let mut changed = bench.get(&url);
    changed["spec"]["replicas"] = json!(5);
    let (code, stored) = bench.call("PUT", &url, &changed);
    assert_eq!((code, stored["metadata"]["generation"].as_i64()), (200, Some(2)));
    let (code, stale) = bench.call("PUT", &url, &changed);
    assert_eq!(code, 409, "{stale}");
    assert_eq!(
        stale["message"],
        "Operation cannot be fulfilled on deployments.apps \"d\": the object has been modified; please apply your \
         changes to the latest version and try again"
    );
    let (code, _) = bench.call("DELETE", &url, &json!({"preconditions": {"uid": "other"}}));
    assert_eq!(code, 409);
    let (code, gone) = bench.call("DELETE", &url, &Value::Null);
    assert_eq!((code, gone["status"].as_str()), (200, Some("Success")));
    assert_eq!(bench.call("GET", &url, &Value::Null).0, 404);
}

#[test]
fn a_dry_run_stores_nothing() {
    let mut bench = Bench::new(1);
    let (code, shown) = bench.call("POST", &format!("{DEPLOYMENTS}?dryRun=All"), &deployment("d", 3));
    assert_eq!((code, shown["spec"]["revisionHistoryLimit"].as_i64()), (201, Some(10)));
    assert_eq!(bench.get(DEPLOYMENTS)["items"], json!([]));
}

#[test]
fn applies_own_their_fields_and_conflict() {
    let mut bench = Bench::new(1);
    let url = format!("{DEPLOYMENTS}/d");
    let (code, made) = bench.call("APPLY", &format!("{url}?fieldManager=one"), &deployment("d", 3));
    assert_eq!(code, 201, "{made}");
    assert_eq!(made["metadata"]["managedFields"][0]["operation"], "Apply");
    let (code, same) = bench.call("APPLY", &format!("{url}?fieldManager=one"), &deployment("d", 3));
    assert_eq!((code, &same["metadata"]["resourceVersion"]), (200, &made["metadata"]["resourceVersion"]));
    let (code, edited) =
        bench.call("MERGE", &format!("{url}?fieldManager=kubectl-edit"), &json!({"spec": {"replicas": 5}}));
    assert_eq!((code, edited["spec"]["replicas"].as_i64()), (200, Some(5)));
    let (code, refused) = bench.call("APPLY", &format!("{url}?fieldManager=one"), &deployment("d", 3));
    assert_eq!(code, 409);
    let wanted = "Apply failed with 1 conflict: conflict with \"kubectl-edit\" using apps/v1: .spec.replicas";
    assert_eq!(refused["message"], wanted);
    let (code, taken) =
        bench.call("APPLY", &format!("{url}?fieldManager=one&force=true"), &deployment("d", 3));
    assert_eq!((code, taken["spec"]["replicas"].as_i64()), (200, Some(3)));
}

#[test]
fn the_admission_policy_refuses_even_numbers_through_every_door() {
    let mut bench = Bench::new(1);
    let group = "/apis/admissionregistration.k8s.io/v1";
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "odd"}, "spec": {"failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"], "resources": ["deployments", "deployments/scale"],
                "resourceNames": ["d"]}]},
            "variables": [{"name": "replicas", "expression": "has(object.spec.replicas) ? object.spec.replicas : 1"}],
            "validations": [{"expression": "variables.replicas % 2 == 1", "reason": "Invalid", "message": "odd",
                "messageExpression": "'got ' + string(variables.replicas) + ' for ' + request.resource.resource + \
                    (has(request.subResource) ? '/' + request.subResource : '')"}]}});
    let (code, made) = bench.call("POST", &format!("{group}/validatingadmissionpolicies"), &policy);
    assert_eq!(code, 201, "{made}");
    let binding = json!({"metadata": {"name": "odd"}, "spec": {"policyName": "odd", "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}}});
    assert_eq!(bench.call("POST", &format!("{group}/validatingadmissionpolicybindings"), &binding).0, 201);
    let (code, refused) = bench.call("POST", DEPLOYMENTS, &deployment("d", 4));
    assert_eq!((code, refused["reason"].as_str()), (422, Some("Invalid")));
    assert_eq!(
        refused["message"],
        "deployments.apps \"d\" is forbidden: ValidatingAdmissionPolicy 'odd' with binding 'odd' denied request: got 4 \
         for deployments"
    );
    assert_eq!(bench.call("POST", DEPLOYMENTS, &deployment("other", 4)).0, 201);
    assert_eq!(bench.call("POST", DEPLOYMENTS, &deployment("d", 3)).0, 201);
    let scale = format!("{DEPLOYMENTS}/d/scale");
    let (code, refused) = bench.call("MERGE", &scale, &json!({"spec": {"replicas": 4}}));
    assert_eq!(code, 422);
    assert!(refused["message"].as_str().unwrap().ends_with("got 4 for deployments/scale"), "{refused}");
    let (code, scaled) = bench.call("MERGE", &scale, &json!({"spec": {"replicas": 5}}));
    assert_eq!((code, scaled["spec"]["replicas"].as_i64()), (200, Some(5)));
    let broken = json!({"metadata": {"name": "b"}, "spec": {"matchConstraints": {}, "validations": [{"expression": "1 +"}]}});
    assert_eq!(bench.call("POST", &format!("{group}/validatingadmissionpolicies"), &broken).0, 422);
}

#[test]
fn watches_deliver_what_their_selector_sees() {
    let mut bench = Bench::new(1);
    let maps = "/api/v1/namespaces/default/configmaps";
    let map = |label: &str| json!({"metadata": {"name": "m", "labels": {"a": label}}});
    bench.call("POST", maps, &map("x"));
    let revision = bench.get(maps)["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let mut all = bench.watch(&format!("{maps}?watch=true"));
    let mut some = bench.watch(
        &format!("{maps}?watch=true&resourceVersion={revision}&labelSelector=a%3Dy").replace("%3D", "="),
    );
    let types = |events: &[Value]| {
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(types(&bench.poll(&mut all).0), ["ADDED"]);
    bench.call("PUT", &format!("{maps}/m"), &map("y"));
    assert_eq!(types(&bench.poll(&mut some).0), ["ADDED"]);
    bench.call("PUT", &format!("{maps}/m"), &map("z"));
    bench.call("DELETE", &format!("{maps}/m"), &Value::Null);
    assert_eq!(types(&bench.poll(&mut all).0), ["MODIFIED", "MODIFIED", "DELETED"]);
    assert_eq!(types(&bench.poll(&mut some).0), ["DELETED"]);
    let mut old = bench.watch(&format!("{maps}?watch=true&resourceVersion=0&timeoutSeconds=5"));
    assert!(!bench.poll(&mut old).1);
    bench.pass(5000);
    assert!(bench.poll(&mut old).1, "the watch ends at its time-out");
    for n in 0..1100 {
        bench.call("POST", maps, &json!({"metadata": {"name": format!("n{n}")}}));
    }
    let mut late = bench.watch(&format!("{maps}?watch=true&resourceVersion={revision}"));
    let (events, ended) = bench.poll(&mut late);
    assert_eq!((events[0]["object"]["code"].as_i64(), ended), (Some(410), true));
}

#[test]
fn lists_come_in_pages_and_tables() {
    let mut bench = Bench::new(1);
    let maps = "/api/v1/namespaces/default/configmaps";
    for name in ["a", "b", "c"] {
        bench.call("POST", maps, &json!({"metadata": {"name": name}, "data": {"k": "v"}}));
    }
    let first = bench.get(&format!("{maps}?limit=2"));
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    let token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    let second = bench.get(&format!("{maps}?limit=2&continue={token}"));
    assert_eq!(second["items"][0]["metadata"]["name"], "c");
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")];
    let response = bench.raw("GET", maps, &accept, &Value::Null);
    let table: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(table["rows"][0]["cells"], json!(["a", 1, "0s"]));
}

#[test]
fn unknown_fields_are_refused_or_warned_about() {
    let mut bench = Bench::new(1);
    let mut body = deployment("d", 1);
    body["spec"]["replicaz"] = json!(1);
    let (code, refused) = bench.call("POST", &format!("{DEPLOYMENTS}?fieldValidation=Strict"), &body);
    assert_eq!(code, 400);
    assert_eq!(
        refused["message"],
        "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: unknown field \"spec.replicaz\""
    );
    let response = bench.raw("POST", DEPLOYMENTS, &[], &body);
    assert_eq!(response.status, 201);
    assert!(
        response
            .headers
            .contains(&("warning".to_owned(), r#"299 - "unknown field \"spec.replicaz\"""#.to_owned()))
    );
}

#[test]
fn hostile_bodies_and_paths_get_a_status() {
    let mut bench = Bench::new(1);
    for body in [
        json!([]),
        json!(1),
        json!({"metadata": 1}),
        json!({"metadata": {"name": []}}),
        json!({"spec": null}),
    ] {
        for (method, url) in [
            ("POST", DEPLOYMENTS),
            ("APPLY", &format!("{DEPLOYMENTS}/d?fieldManager=m")),
            ("POST", "/api/v1/namespaces"),
        ] {
            let (code, answer) = bench.call(method, url, &body);
            assert!((400..=500).contains(&code), "{method} {url} {body}: {code} {answer}");
        }
    }
    assert_eq!(bench.call("GET", "/api/v1/namespaces/default/nonsense", &Value::Null).0, 404);
    assert_eq!(bench.call("POST", &format!("{DEPLOYMENTS}/x"), &Value::Null).0, 405);
}
