//! What needs no cloud, and what is said when there is none.

use super::bench;
use zkprov_tests::example;

#[test]
fn render_prints_every_document_of_the_tutorial() {
    let output =
        bench().bare("render --format yaml -f").args([example("tutorial/zkprov.yaml")]).run().exits(0);
    let output = output.says(&[
        "singlefs-1-vm-data",
        "machineType: projects/my-project/zones/us-east1-d/machineTypes/n1-standard-1",
        "kind: ValidatingAdmissionPolicyBinding",
        "kind: PodDisruptionBudget",
        "kind: NetworkPolicy",
        "kind: ConfigMap",
        "kind: Service",
        "kind: Deployment",
    ]);
    let documents = output.out.split("\n---\n").count();
    assert_eq!(documents, 15, "{output}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let bench = bench();
    let render = bench.bare("render -f").args([example("tutorial/zkprov.yaml")]);
    let output = render.start_unread().wait().exits(0);
    assert_eq!(output.err, "", "{output}");
}

#[test]
fn an_even_number_is_refused_where_it_was_written() {
    let bench = bench();
    let output = bench.tutorial("plan --set spec.exhibitor.replicas=4").run().exits(1).complains(&[
        "--set spec.exhibitor.replicas=4:1:25",
        "zkprov.yaml:26:15",
        "4 replicas are an even number",
        "needs a majority, 3 of 4",
        "3 or 5",
    ]);
    assert_eq!(output.out, "", "{output}");
    assert!(!bench.cloud().exists(), "nothing was read");
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    for line in ["", "plam", "plan --format colourful", "scale", "scale three", "apply p.json --set a=b"] {
        let output = bench().bare(line).run().exits(64).complains(&["--help"]);
        assert_eq!(output.out, "", "{output}");
    }
    // There is nobody to ask, and nobody said yes.
    bench().tutorial("apply").run().exits(64).complains(&["--yes"]);
    assert_eq!(bench().bare("--help").run().exits(0).err, "");
}

#[test]
fn what_cannot_be_read_is_unknown_and_nothing_is_planned_for_it() {
    // Nothing listens on port 1.
    let unreachable = |args: &str| {
        bench()
            .bare(args)
            .args([example("tutorial/zkprov.yaml")])
            .env("CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "true")
            .env("CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", "http://127.0.0.1:1/compute/v1/")
            .env("CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER", "http://127.0.0.1:1/")
            .env("CLOUDSDK_API_ENDPOINT_OVERRIDES_FILE", "http://127.0.0.1:1/")
            .run()
            .exits(1)
    };
    let plan = unreachable("plan --format json -f").json();
    assert_eq!(plan["resource_changes"], serde_json::json!([]), "{plan:#}");
    assert_eq!(plan["ensembles"][0]["steps"], serde_json::json!([]), "{plan:#}");

    let text = unreachable("plan -f").says(&[
        "Compute Engine API, instances in us-east1-d of my-project",
        "Kubernetes Engine API, clusters in us-east1-d of my-project",
        "Connection refused",
        "could not be read",
    ]);
    for word in ["create", "delete", "no changes"] {
        assert!(!text.out.contains(word), "{text}");
    }
    let refused = unreachable("apply --yes -f").complains(&["could not be read", "nothing was changed"]);
    assert!(!refused.err.contains("create"), "{refused}");
}
