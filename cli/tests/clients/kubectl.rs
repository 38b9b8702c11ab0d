//! The tutorial with kubectl, and kubectl against what zkprov guards.

use super::{Cloud, kubectl};
use serde_json::Value;
use std::path::PathBuf;
use zkprov_tests::{Output, Program, example, wait_for};

/// A served ensemble with kubectl's context written by `zkprov credentials`.
struct Cluster {
    cloud: Cloud,
    kubectl: PathBuf,
}

impl Cluster {
    fn new() -> Self {
        let cloud = Cloud::new();
        let zkprov = cloud.program(env!("CARGO_BIN_EXE_zkprov")).args(["credentials", "-f"]);
        zkprov
            .args([example("tutorial/zkprov.yaml")])
            .run()
            .exits(0)
            .says(&["gke_my-project_us-east1-d_cluster-1"]);
        Self { cloud, kubectl: kubectl() }
    }

    fn program(&self, line: &str) -> Program {
        self.cloud.program(&self.kubectl).args(line.split_whitespace())
    }

    fn run(&self, line: &str) -> Output {
        self.program(line).run()
    }

    fn names(&self, line: &str) -> Vec<String> {
        self.run(line).exits(0).out.lines().map(str::to_owned).collect()
    }
}

#[test]
fn kubectl_is_refused_an_even_size_and_its_edits_are_seen() {
    let cluster = Cluster::new();
    for line in [
        "scale deployment exhibitor --replicas=4",
        r#"patch deployment exhibitor --type=merge -p {"spec":{"replicas":4}}"#,
    ] {
        let refused = cluster.run(line).exits(1);
        refused.complains(&["odd-replicas", "replicas must be odd, not 4", "use 3 or 5"]);
    }
    let size = "get deployment exhibitor -o jsonpath={.spec.replicas}";
    assert_eq!(cluster.run(size).exits(0).out.trim(), "3");

    let editor = "sed -i 's/maxUnavailable: 1/maxUnavailable: 2/'";
    cluster.program("edit poddisruptionbudget exhibitor").env("EDITOR", editor).run().exits(0);
    let drift = cluster.cloud.bench.tutorial("plan --refresh-only --detailed-exitcode").run().exits(2);
    drift.says(&["poddisruptionbudget exhibitor", "spec.maxUnavailable: 2 -> 1", "set by kubectl-edit"]);
    cluster.cloud.bench.tutorial("apply --yes").run().exits(0);
    cluster.cloud.bench.tutorial("plan --refresh-only --detailed-exitcode").run().exits(0);
}

#[test]
fn kubectl_watches_a_deleted_pod_being_replaced() {
    let cluster = Cluster::new();
    let list = "get pods -l app=exhibitor -o name";
    let before = cluster.names(list);
    assert_eq!(before.len(), 3);
    let gone = before[0].trim_start_matches("pod/");

    let mut watch = cluster.program("get pods -l app=exhibitor -w").start();
    watch.until(gone);
    cluster.run(&format!("delete pod {gone} --wait=false")).exits(0);
    while !watch.until(gone).contains("Terminating") {}
    let newcomer = watch.until("ContainerCreating");
    let newcomer = newcomer.split_whitespace().next().unwrap();
    assert!(!before.contains(&format!("pod/{newcomer}")), "{newcomer}");

    // Exhibitor takes it into the ensemble by itself.
    cluster.run(&format!("wait --for=condition=Ready pod/{newcomer} --timeout=20m")).exits(0);
    // The others restart with the new list, one after the other.
    let status = || cluster.cloud.bench.tutorial("status --format json").run().exits(0).json();
    let serving = |status: &Value| status["healthy"] == 3 && status["voters"] == 3;
    wait_for("three members", || {
        let status = status();
        if serving(&status) { Ok(()) } else { Err(status) }
    });
}

#[test]
fn kubectl_applies_the_tutorials_manifest_and_curl_and_jq_read_its_status() {
    let cluster = Cluster::new();
    // The file server of zkprov's ensemble holds its configuration; this one gets a server of its own.
    let manifest = std::fs::read_to_string(example("tutorial/exhibitor.yaml")).unwrap();
    let path = cluster.cloud.bench.path("exhibitor.yaml");
    std::fs::write(&path, manifest.replace("singlefs-1-vm", "another-file-server")).unwrap();
    cluster.run("create namespace by-hand").exits(0);
    let applied = cluster.run("apply -n by-hand -f exhibitor.yaml").exits(0);
    applied.says(&["deployment.apps/exhibitor created", "service/exhibitor created"]);
    cluster.run("rollout status -n by-hand deployment/exhibitor --timeout=20m").exits(0);
    cluster.run("apply -n by-hand -f exhibitor.yaml").exits(0).says(&["deployment.apps/exhibitor unchanged"]);
    assert_eq!(cluster.names("get pods -n by-hand -l name=exhibitor -o name").len(), 3);
    cluster.run("scale -n by-hand deployment exhibitor --replicas=5").exits(0);

    let mut proxy = cluster.program("proxy --port=0").start();
    let address = proxy.until("Starting to serve on").trim().rsplit_once(' ').unwrap().1.to_owned();
    let service = "api/v1/namespaces/default/services/exhibitor:api/proxy/exhibitor/v1/cluster/status";
    let curl = cluster.cloud.program("curl").args(["-fsS", &format!("http://{address}/{service}")]);
    std::fs::write(cluster.cloud.bench.path("status.json"), curl.run().exits(0).out).unwrap();
    let jq = |filter: &str| {
        let jq = cluster.cloud.program("jq").args(["-r", filter, "status.json"]);
        jq.run().exits(0).out.trim().to_owned()
    };
    assert_eq!(jq("length"), "3");
    assert_eq!(jq(r#"map(select(.description == "serving")) | length"#), "3");
    assert_eq!(jq("map(select(.isLeader)) | length"), "1");
}
