//! The tutorial's commands with gcloud.

use super::{Cloud, kubectl};
use zkprov_tests::{Output, Program};

/// What keeps gcloud from talking to anybody but the embedded cloud, and from asking.
const QUIET: [(&str, &str); 6] = [
    ("CLOUDSDK_CORE_PROJECT", "my-project"),
    ("CLOUDSDK_CORE_DISABLE_PROMPTS", "1"),
    ("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "true"),
    ("CLOUDSDK_CORE_SHOULD_PROMPT_TO_ENABLE_API", "false"),
    ("CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "true"),
    ("CLOUDSDK_SURVEY_DISABLE_PROMPTS", "true"),
];

fn quiet(cloud: &Cloud, program: Program) -> Program {
    // Nothing listens on port 1: an API that the embedded cloud lacks is not there.
    let nowhere = ["SERVICEUSAGE", "CLOUDRESOURCEMANAGER", "IAM"];
    let program = nowhere.iter().fold(program, |program, service| {
        program.env(&format!("CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}"), "http://127.0.0.1:1/")
    });
    let program = QUIET.iter().fold(program, |program, (name, value)| program.env(name, value));
    program.env("CLOUDSDK_CONFIG", cloud.bench.path("gcloud"))
}

fn gcloud(cloud: &Cloud, line: &str) -> Output {
    quiet(cloud, cloud.program("gcloud")).args(line.split_whitespace()).run().exits(0)
}

#[test]
fn gcloud_finds_what_zkprov_made() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    assert!(
        std::env::split_paths(&path).any(|folder| folder.join("gcloud").is_file()),
        "gcloud is not installed: https://cloud.google.com/sdk, or leave its tests out as `tests/run` does: \
         cargo nextest run -E 'not test(gcloud)'"
    );
    let cloud = Cloud::new();
    gcloud(&cloud, "config set compute/zone us-east1-d");
    let instances = gcloud(&cloud, "compute instances list");
    let line = instances.out.lines().find(|line| line.starts_with("singlefs-1-vm ")).unwrap();
    for word in ["us-east1-d", "n1-standard-1", "RUNNING"] {
        assert!(line.contains(word), "{line}");
    }
    let nodes = instances.out.lines().filter(|line| line.starts_with("gke-cluster-1-")).count();
    assert_eq!(nodes, 3, "{instances}");

    let vm = gcloud(&cloud, "compute instances describe singlefs-1-vm --format json").json();
    assert_eq!(vm["status"], "RUNNING");
    assert!(vm["machineType"].as_str().unwrap().ends_with("/n1-standard-1"), "{vm:#}");
    let clusters = gcloud(&cloud, "container clusters list").says(&["cluster-1", "RUNNING"]);
    assert_eq!(clusters.out.lines().count(), 2, "{clusters}");

    gcloud(&cloud, "container clusters get-credentials cluster-1");
    // The plugin that the written context calls takes its token from gcloud.
    let token = cloud.bench.path("token");
    std::fs::write(&token, "anonymous").unwrap();
    let pods = quiet(&cloud, cloud.program(kubectl()))
        .env("CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "false")
        .env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", &token)
        .args(["get", "pods", "-o", "name"])
        .run()
        .exits(0);
    assert_eq!(pods.out.lines().count(), 3, "{pods}");
}
