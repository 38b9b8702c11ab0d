//! The other kinds on the same real things: a cluster of the kubeconfig, and an NFS server that is somebody's.

use super::rig::Real;

const FILE: &str = "apiVersion: zkprov.dev/v1
kind: Ensemble
metadata:
  name: elsewhere
spec:
  fileServer:
    external:
      server: nfs.corp.example.com
      path: /export/elsewhere
  cluster:
    kubeconfig:
      context: rig
  exhibitor:
    namespace: elsewhere
    replicas: 3
";

/// An ensemble that has nothing on Google Cloud: it comes, has nothing left to do, and goes; what is on the share stays.
pub(crate) fn lives_on_an_external_server_in_a_cluster_of_the_kubeconfig(real: &Real) {
    let share = real.export("nfs.corp.example.com", "/export/elsewhere");
    std::fs::write(real.bench.path("elsewhere.yaml"), FILE).unwrap();
    let elsewhere = |line: &str| {
        let image = format!("spec.exhibitor.image={}", real.image());
        let program = real.program(real.bench.binary()).args(line.split_whitespace());
        program.args(["--set", &image, "-f", "elsewhere.yaml"]).run()
    };
    elsewhere("plan --detailed-exitcode").exits(2);
    elsewhere("apply --yes")
        .exits(0)
        .says(&["3 of 3 voters serve", "elsewhere.elsewhere.svc.cluster.local:2181"]);
    elsewhere("plan --detailed-exitcode").exits(0).says(&["no changes"]);
    let shared = std::fs::read_to_string(share.join("exhibitor.properties")).unwrap();
    assert!(shared.contains("servers-spec=1\\:198.18."), "{shared}");
    let status = elsewhere("status --check --format json").exits(0).json();
    let members = status["members"].as_array().unwrap();
    assert_eq!(members.iter().filter(|member| member["role"] == "leader").count(), 1, "{status:#}");
    elsewhere("destroy --confirm elsewhere").exits(0).says(&["destroyed elsewhere"]);
    let left =
        real.told("get deployments,services,configmaps,pods --namespace elsewhere -l app=elsewhere -o name");
    assert_eq!(left, "");
    assert!(share.join("exhibitor.properties").exists(), "the share is not ours to empty");
}
