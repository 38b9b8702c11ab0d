//! Two of three real members are deleted at once, with their data: what the third knows comes back.

use super::rig::Real;
use std::time::Instant;
use zkprov_tests::Output;

/// Enough of HTTP for Exhibitor's explorer, in the pod itself.
fn explorer(real: &Real, pod: &str, request: &str) -> Output {
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/8181; printf '{request}' >&3; timeout 20 cat <&3");
    real.in_pod(pod, &script)
}

fn pods(real: &Real) -> Vec<String> {
    let list = real.told("get pods -l app=exhibitor -o jsonpath={.items[*].metadata.name}");
    list.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_majority_that_is_lost_on_a_real_node_is_rebuilt_from_the_member_that_is_left() {
    let real = Real::up();
    real.zkprov("apply --yes").run().exits(0).says(&["3 of 3 voters serve"]);
    let before = pods(&real);
    let put = "PUT /exhibitor/v1/explorer/znode/precious HTTP/1.0\\r\\nContent-Type: application/json\\r\\n\
        Content-Length: 11\\r\\n\\r\\n67 6f 6c 64";
    let answer = explorer(&real, &before[0], put);
    assert!(answer.out.contains("\"succeeded\":true"), "{answer}");

    real.told(&format!("delete pod {} {} --grace-period=0 --force", before[1], before[2]));
    real.told("wait --for=jsonpath={.status.phase}=Running pod -l app=exhibitor --timeout=60s");
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
