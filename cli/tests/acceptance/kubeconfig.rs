//! A cluster outside GKE, reached by a context of the user's kubeconfig; the share is somebody's file server.

use super::bench;
use zkprov_tests::{Program, example};

const CONTEXT: &str = "gke_my-project_us-east1-d_cluster-1";

#[test]
fn an_ensemble_lives_in_a_cluster_of_the_kubeconfig() {
    let bench = bench();
    bench.apply("tutorial", &[]);
    let served = bench.serve();
    let program = |args: &str| -> Program {
        served.to(bench.bare(args).env("KUBECONFIG", bench.path("kubeconfig"))).args(["-f"])
    };
    // What zkprov writes is a kubeconfig like any other.
    program("credentials").args([example("tutorial/zkprov.yaml")]).run().exits(0).says(&[CONTEXT]);
    let file = bench.path("elsewhere.yaml");
    let text = format!(
        "apiVersion: zkprov.dev/v1\nkind: Ensemble\nmetadata:\n  name: elsewhere\nspec:\n  fileServer:\n    \
         external:\n      server: nfs.corp.example.com\n      path: /export/elsewhere\n  cluster:\n    kubeconfig:\n      \
         context: {CONTEXT}\n  exhibitor:\n    namespace: elsewhere\n    replicas: 3\n"
    );
    std::fs::write(&file, text).unwrap();
    let elsewhere = |args: &str| program(args).args([&file]).run();
    elsewhere("apply --yes").exits(0).says(&["3 of 3 voters serve"]);
    elsewhere("plan --detailed-exitcode").exits(0).says(&["no changes"]);
    elsewhere("scale 4 --yes").exits(3);
    elsewhere("destroy --confirm elsewhere").exits(0);
    // The other ensemble of the cluster is none of its business.
    bench.tutorial("plan --detailed-exitcode").run().exits(0).says(&["no changes"]);
}
