//! gcloud on the embedded cloud: the tutorial's commands, what it changes behind zkprov's back, what it made before.

mod adopt;
mod drift;

use super::{Cloud, kubectl};
use serde_json::Value;
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
    let nowhere = ["CLOUDRESOURCEMANAGER", "IAM"];
    let program = nowhere.iter().fold(program, |program, service| {
        program.env(&format!("CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}"), "http://127.0.0.1:1/")
    });
    let program = QUIET.iter().fold(program, |program, (name, value)| program.env(name, value));
    program.env("CLOUDSDK_CONFIG", cloud.bench.path("gcloud"))
}

fn gcloud(cloud: &Cloud, line: &str) -> Output {
    gcloud_of(cloud, &line.split_whitespace().collect::<Vec<_>>())
}

/// Runs gcloud with arguments that may hold spaces.
fn gcloud_of(cloud: &Cloud, args: &[&str]) -> Output {
    let path = std::env::var_os("PATH").unwrap_or_default();
    assert!(
        std::env::split_paths(&path).any(|folder| folder.join("gcloud").is_file()),
        "gcloud is not installed: https://cloud.google.com/sdk, or leave its tests out as `tests/run` does: \
         cargo nextest run -E 'not test(gcloud)'"
    );
    quiet(cloud, cloud.program("gcloud"))
        .env("CLOUDSDK_COMPUTE_ZONE", "us-east1-d")
        .env("CLOUDSDK_FILESTORE_ZONE", "us-east1-d")
        .args(args)
        .run()
        .exits(0)
}

/// What a command that changes or reads one resource says of it, in gcloud's JSON.
fn one(cloud: &Cloud, line: &str) -> Value {
    let said = gcloud(cloud, &format!("{line} --format json"));
    match said.json() {
        Value::Array(list) if list.len() == 1 => list[0].clone(),
        Value::Object(fields) => Value::Object(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            panic!("not one resource\n{said}")
        }
    }
}

/// A plan in JSON.
struct Planned(Value);

impl Planned {
    fn change(&self, kind: &str, name: &str) -> Option<&Value> {
        let changes = self.0["resource_changes"].as_array().unwrap();
        changes.iter().find(|change| change["type"] == kind && change["name"] == name)
    }

    /// Actions and reason of a resource's change.
    fn does(&self, kind: &str, name: &str, actions: &[&str], reason: &str) -> &Value {
        let change = self.change(kind, name).unwrap_or_else(|| panic!("no {kind} {name} in {:#}", self.0));
        assert_eq!(change["change"]["actions"], serde_json::json!(actions), "{change:#}");
        let given = &change["action_reason"];
        let word = given.as_str().or_else(|| given.as_object()?.keys().next().map(String::as_str));
        assert_eq!(word, Some(reason), "{change:#}");
        change
    }

    /// The fields that differ, all of them, as `path: before -> after`.
    fn differs(&self, kind: &str, name: &str, fields: &[&str]) {
        let change = self.does(kind, name, &["update"], "fields-differ");
        assert_eq!(fields_of(change), fields, "{change:#}");
    }

    fn findings(&self) -> Vec<String> {
        let findings = self.0["ensembles"][0]["findings"].as_array().unwrap().iter();
        findings.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
    }
}

/// The fields of a change, as `path: before -> after`.
fn fields_of(change: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let line = |field: &Value| {
        let path = field["path"].as_str().unwrap();
        format!("{path}: {} -> {}", text(&field["before"]), text(&field["after"]))
    };
    change["fields"].as_array().unwrap().iter().map(line).collect()
}

#[test]
fn gcloud_finds_what_zkprov_made() {
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
