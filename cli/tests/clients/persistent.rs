//! Members with volumes, with the whole binary, and kubectl for what people do to them.

use super::{Cloud, kubectl};
use zkprov_tests::{Output, Program, example, wait_for};

/// Exhibitor in one member, through the API server.
const EXHIBITOR: &str = "/api/v1/namespaces/default/pods/exhibitor-0:8181/proxy/exhibitor/v1";

#[test]
fn all_pods_are_deleted_at_once_and_every_znode_is_there_when_they_are_back() {
    let cloud = Cloud::applied("persistent", &[]);
    let credentials = cloud.program(env!("CARGO_BIN_EXE_zkprov")).args(["credentials", "-f"]);
    credentials.args([example("persistent/zkprov.yaml")]).run().exits(0);
    let program = |line: &str| -> Program { cloud.program(kubectl()).args(line.split_whitespace()) };
    let told = |line: &str| -> Output { program(line).run().exits(0) };

    let claims = "get pvc -o jsonpath={.items[*].metadata.name}";
    assert_eq!(told(claims).out.trim(), "data-exhibitor-0 data-exhibitor-1 data-exhibitor-2");
    told("get statefulset exhibitor").says(&["3/3"]);
    let even = program("scale statefulset exhibitor --replicas=4").run().exits(1);
    even.complains(&["odd-replicas", "replicas must be odd, not 4", "use 3 or 5"]);

    std::fs::write(cloud.bench.path("data"), "68 69").unwrap();
    let path = format!("{EXHIBITOR}/explorer/znode/precious");
    // kubectl sends a file with PUT only where it is a replacement.
    told(&format!("replace --raw {path} -f data")).says(&["\"succeeded\":true"]);
    let read = format!("get --raw {EXHIBITOR}/explorer/node-data?key=/precious");
    told(&read).says(&["\"str\":\"hi\""]);

    told("delete pods -l app=exhibitor --grace-period=0 --force");
    told("wait --for=condition=Ready pod -l app=exhibitor --timeout=20m");
    // A pod is ready when its ZooKeeper serves; its Exhibitor looks up to a check period later.
    let settled = wait_for("the members to be settled", || {
        let status = cloud.zkprov("status --check").run();
        if status.status == Some(0) { Ok(status) } else { Err(status.out) }
    });
    settled.says(&["exhibitor-0.exhibitor-members.default.svc"]);
    told(&read).says(&["\"str\":\"hi\""]);
    cloud.zkprov("plan --detailed-exitcode").run().exits(0).says(&["no changes"]);

    cloud.zkprov("destroy --confirm exhibitor").run().exits(0).says(&[
        "persistentvolumeclaim/cluster-1/default/data-exhibitor-0",
        "gke/my-project/us-east1-d/cluster-1",
    ]);
    assert_eq!(told(claims).out.split_whitespace().count(), 3);
    cloud.zkprov("destroy --confirm exhibitor --delete-data").run().exits(0).says(&["no orphans"]);
}
