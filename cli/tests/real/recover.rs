//! What real members do not get out of by themselves: a roll of Exhibitor's that waits for a pod that is gone, and a lost majority.

use super::node;
use super::rig::Real;
use serde_json::Value;
use std::time::Instant;
use zkprov_tests::{Output, wait_for};

/// Enough of HTTP for Exhibitor's explorer, in the pod itself.
fn explorer(real: &Real, pod: &str, request: &str) -> Output {
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/8181; printf '{request}' >&3; timeout 600 cat <&3");
    real.in_pod(pod, &script)
}

fn pods(real: &Real) -> Vec<String> {
    let list = real.told("get pods -l app=exhibitor -o jsonpath={.items[*].metadata.name}");
    list.split_whitespace().map(str::to_owned).collect()
}

/// Somebody has Exhibitor roll a change, and the pod of the first member that it comes to goes. Nobody moves the roll on from
/// there; the next apply ends it, and its successor takes part.
fn a_roll_that_waits_for_ever_is_ended(real: &Real) {
    let proxied = |pod: &str, path: &str| {
        format!("--raw /api/v1/namespaces/default/pods/{pod}:8181/proxy/exhibitor/v1/config/{path}")
    };
    let asked = pods(real).remove(0);
    let told = real.told(&format!("get {}", proxied(&asked, "get-state")));
    let mut config = serde_json::from_str::<Value>(&told).unwrap()["config"].take();
    let fields = config.as_object_mut().unwrap();
    fields.retain(|key, _| {
        !key.starts_with("roll") && !["hostname", "serverId", "controlPanel"].contains(&key.as_str())
    });
    for value in fields.values_mut().filter(|value| value.is_number()) {
        *value = value.to_string().into();
    }
    fields.insert("javaEnvironment".to_owned(), "export JVMFLAGS=\"-Xms200m -Xmx200m\"".into());
    std::fs::write(real.bench.path("roll.json"), config.to_string()).unwrap();
    let answer = real.told(&format!("create {} -f roll.json", proxied(&asked, "set-rolling")));
    assert!(answer.contains("\"succeeded\":true"), "{answer}");

    let told = real.told(&format!("get {}", proxied(&asked, "get-state")));
    let status = serde_json::from_str::<Value>(&told).unwrap()["config"]["rollStatus"].take();
    let reached = status.as_str().unwrap().split('"').nth(1).unwrap().to_owned();
    let all = node::pods(real);
    let at = all.iter().find(|pod| pod["status"]["podIP"] == reached.as_str()).unwrap();
    real.told(&format!("delete pod {} --grace-period=0 --force", node::name(at)));
    let waits = format!("Exhibitor's roll waits for {reached}");
    // It may have been the leader: then the others elect first.
    let plan = wait_for("a plan that ends the roll", || {
        let (status, plan) = (real.zkprov("status").run(), real.zkprov("plan --detailed-exitcode").run());
        let named = status.out.contains(&waits) && plan.status == Some(2);
        if named { Ok(plan.says(&[&waits])) } else { Err((status.out, plan.out)) }
    });
    println!("{}", plan.out);
    let start = Instant::now();
    real.zkprov("apply --yes").run().exits(0).says(&["3 of 3 voters serve"]);
    println!("the roll is ended and its member replaced after {} s", start.elapsed().as_secs());
    real.zkprov("plan --detailed-exitcode").run().exits(0).says(&["no changes"]);
}

#[test]
fn a_majority_that_is_lost_on_a_real_node_is_rebuilt_from_the_member_that_is_left() {
    let real = Real::up();
    real.zkprov("apply --yes").run().exits(0).says(&["3 of 3 voters serve"]);
    a_roll_that_waits_for_ever_is_ended(&real);
    let before = pods(&real);
    let put = "PUT /exhibitor/v1/explorer/znode/precious HTTP/1.0\\r\\nContent-Type: application/json\\r\\n\
        Content-Length: 11\\r\\n\\r\\n67 6f 6c 64";
    let answer = explorer(&real, &before[0], put);
    assert!(answer.out.contains("\"succeeded\":true"), "{answer}");

    real.told(&format!("delete pod {} {} --grace-period=0 --force", before[1], before[2]));
    real.told("wait --for=jsonpath={.status.phase}=Running pod -l app=exhibitor --timeout=20m");
    let start = Instant::now();
    println!("{}", real.zkprov("recover --dry-run").run());
    let recovered = real.zkprov("recover --confirm exhibitor").run();
    println!("recover: {} s\n{recovered}", start.elapsed().as_secs());
    // Exhibitor puts the new pods in the lost ones' places by itself after one to two minutes: it may have been faster.
    if recovered.status != Some(0) {
        let by_itself = ["there is nothing to recover", "changing ensemble"];
        assert!(by_itself.iter().any(|word| recovered.to_string().contains(word)), "{recovered}");
        real.zkprov("apply --yes").run().exits(0);
    }
    real.zkprov("status --check").run().exits(0).says(&["3 of 3 voters serve"]);
    for pod in pods(&real) {
        let get = "GET /exhibitor/v1/explorer/node-data?key=/precious HTTP/1.0\\r\\n\\r\\n";
        let answer = explorer(&real, &pod, get);
        assert!(answer.out.contains("\"str\":\"gold\""), "{pod}: {answer}");
    }
    real.zkprov("plan --detailed-exitcode").run().exits(0).says(&["no changes"]);
}
