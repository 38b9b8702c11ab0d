//! What zkprov sends Kubernetes, on a real API server with acted nodes: also where there is no root.

use super::rig::Rig;
use zkprov_tests::{Bench, example};

#[test]
fn a_real_api_server_takes_every_object_and_refuses_four() {
    let rig = Rig::api();
    let bench = Bench::new(env!("CARGO_BIN_EXE_zkprov"));
    let render = |set: &str| {
        let line = format!("render --stage kubernetes --set {set} -f");
        bench.bare(&line).args([example("tutorial/zkprov.yaml")]).run().exits(0).out
    };
    let kubectl = |line: &str| rig.program(&bench, "kubectl").args(line.split_whitespace());

    std::fs::write(bench.path("three.yaml"), render("spec.exhibitor.replicas=3")).unwrap();
    // Strict: an unknown field is an error.
    let apply = "apply --server-side --validate=strict -f three.yaml";
    let applied = kubectl(apply).run().exits(0);
    for kind in ["deployment.apps", "service", "configmap", "networkpolicy", "poddisruptionbudget"] {
        assert!(applied.out.contains(kind), "no {kind}\n{applied}");
    }
    // A second time changes nothing.
    let version = "get deployment exhibitor -o jsonpath={.metadata.resourceVersion},{.metadata.generation}";
    let before = kubectl(version).run().exits(0).out;
    kubectl(apply).run().exits(0);
    assert_eq!(kubectl(version).run().exits(0).out.split(',').nth(1), before.split(',').nth(1));

    kubectl("wait --for=condition=Available deployment/exhibitor --timeout=20m").run().exits(0);
    let refused = kubectl("scale deployment exhibitor --replicas=4").run().exits(1);
    refused.complains(&["replicas must be odd, not 4", "use 3 or 5"]);
    kubectl("scale deployment exhibitor --replicas=5").run().exits(0);
    kubectl("delete -f three.yaml --timeout=20m").run().exits(0);
}
