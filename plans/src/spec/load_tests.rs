//! What `load` makes of right files, and of overrides and variables.

use super::path::join;
use super::*;
use crate::diagnostic::Severity;
use crate::diagnostic::render_text;

const TUTORIAL: &str = include_str!("../../../examples/tutorial/zkprov.yaml");

fn read(text: &str, overrides: &[&str]) -> Loaded {
    let source = Source { name: "zkprov.yaml".to_owned(), text: text.to_owned() };
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    let lookup = |name: &str| match name {
        "PROJECT" => Some("from-env".to_owned()),
        "N" => Some("5".to_owned()),
        _ => None,
    };
    load(&[source], &overrides, &lookup, &Defaults::default())
}

fn valid(text: &str, overrides: &[&str]) -> ValidSpec {
    let mut loaded = read(text, overrides);
    assert_eq!(render_text(&loaded.diagnostics, false), "");
    loaded.specs.remove(0)
}

fn report(text: &str, overrides: &[&str]) -> String {
    let loaded = read(text, overrides);
    assert_eq!(loaded.specs, []);
    render_text(&loaded.diagnostics, false)
}

#[test]
fn the_tutorial_gets_the_tutorials_defaults() {
    let spec = valid(TUTORIAL, &[]);
    assert_eq!(
        (spec.name.as_str(), spec.project.as_str(), spec.zone.as_str()),
        ("exhibitor", "my-project", "us-east1-d")
    );
    let FileServer::SingleNode(vm) = &spec.file_server else { panic!("{:?}", spec.file_server) };
    assert_eq!(
        (vm.name.as_str(), vm.machine_type.as_str(), vm.disk_gb),
        ("singlefs-1-vm", "n1-standard-1", 100)
    );
    assert_eq!((vm.path.as_str(), vm.smb, vm.network.as_str()), ("/data", true, "default"));
    let Cluster::Managed(cluster) = &spec.cluster else { panic!("{:?}", spec.cluster) };
    assert_eq!((cluster.name.as_str(), cluster.node_count), ("cluster-1", 3));
    assert_eq!((spec.exhibitor.client_port, spec.exhibitor.api_port), (2181, 8181));
    assert_eq!(spec.exhibitor.settings.zoo_cfg["quorumListenOnAllIPs"], "true");
    assert!(!spec.protection.data && !spec.protection.destroy);
    let origin = &spec.origins["spec.exhibitor.replicas"];
    assert_eq!(TUTORIAL.lines().nth(origin.line as usize - 1).unwrap().trim().get(..11), Some("replicas: 3"));
    assert!(!spec.origins.contains_key("spec.exhibitor.image"));
}

#[test]
fn an_override_is_reported_at_the_argument_with_the_files_own_place() {
    let text = report(TUTORIAL, &["spec.exhibitor.replicas=4"]);
    assert_eq!(
        text,
        "\
error[even-replicas]: 4 replicas are an even number
 --> --set spec.exhibitor.replicas=4:1:25
  |
1 | spec.exhibitor.replicas=4
  |                         ^
  = reason: ZooKeeper needs a majority, 3 of 4: that survives no more failures than 2 of 3, and a split into halves stops it. It overrides `replicas: 3` at zkprov.yaml:26:15.
  = fix: write 3 or 5
"
    );
}

#[test]
fn overrides_make_what_is_missing_and_reach_one_document_by_name() {
    let spec =
        valid(TUTORIAL, &[r"metadata.labels.team=infra", "spec.fileServer.singleNode.disk.size=200GB"]);
    assert_eq!(spec.labels["team"], "infra");
    assert_eq!(spec.origins["metadata.labels.team"].file, "--set metadata.labels.team=infra");
    let FileServer::SingleNode(vm) = &spec.file_server else { panic!("{:?}", spec.file_server) };
    assert_eq!(vm.disk_gb, 200);
    let two = format!(
        "{TUTORIAL}---\n{}",
        TUTORIAL.replace("name: exhibitor", "name: other").replace("us-east1-d", "us-east1-b")
    );
    let loaded = read(&two, &["other:spec.exhibitor.replicas=5"]);
    assert_eq!(render_text(&loaded.diagnostics, false), "");
    let sizes: Vec<u32> = loaded.specs.iter().map(|spec| spec.exhibitor.replicas).collect();
    assert_eq!(sizes, [3, 5]);
    assert!(report(&two, &["none:spec.exhibitor.replicas=5"]).contains("The files have: exhibitor, other."));
}

#[test]
fn an_override_with_dots_in_a_key_and_a_list() {
    let spec = valid(
        TUTORIAL,
        &[
            r"spec.exhibitor.clientLabels.app\.kubernetes\.io/name=web",
            "spec.fileServer.singleNode.allowedRanges=[10.0.0.0/8, 192.168.1.7/32]",
        ],
    );
    assert_eq!(spec.exhibitor.client_labels["app.kubernetes.io/name"], "web");
    assert!(spec.origins.contains_key(r"spec.exhibitor.clientLabels.app\.kubernetes\.io/name"));
    assert!(spec.origins.contains_key("spec.fileServer.singleNode.allowedRanges.1"));
}

#[test]
fn variables_stand_for_whatever_their_key_wants() {
    let text = TUTORIAL.replace("my-project", "${env:PROJECT}").replace("replicas: 3", "replicas: ${env:N}");
    let spec = valid(&text, &[]);
    assert_eq!((spec.project.as_str(), spec.exhibitor.replicas), ("from-env", 5));
    let Cluster::Managed(cluster) = &spec.cluster else { panic!("{:?}", spec.cluster) };
    assert_eq!(cluster.node_count, 5);
}

#[test]
fn an_escaped_variable_is_text() {
    let text = format!("{TUTORIAL}    settings:\n      zooCfg: {{x: \"$${{env:NONE}}\"}}\n");
    assert_eq!(valid(&text, &[]).exhibitor.settings.zoo_cfg["x"], "${env:NONE}");
}

#[test]
fn an_unset_variable_has_its_own_place() {
    let text = report(&TUTORIAL.replace("us-east1-d", "us-east1-${env:LETTER}"), &[]);
    assert!(
        text.starts_with("error[unset-variable]: the environment variable `LETTER` is not set\n"),
        "{text}"
    );
    assert!(text.contains("|                  ^^^^^^^^^^^^^\n"), "{text}");
}

#[test]
fn a_cluster_of_a_kubeconfig_needs_no_project() {
    let text = "apiVersion: zkprov.dev/v1\nkind: Ensemble\nspec:\n  cluster: {kubeconfig: {context: kind}}\n  \
                fileServer: {external: {server: nfs.example.com, path: /exports/zk}}\n  exhibitor: {replicas: 3}\n";
    let spec = valid(text, &[]);
    assert_eq!((spec.project.as_str(), spec.zone.as_str(), spec.cluster.name()), ("", "", "kind"));
    assert_eq!(spec.share(), ("nfs.example.com".to_owned(), "/exports/zk".to_owned()));
}

#[test]
fn the_project_may_come_from_outside() {
    let source = Source { name: "f".to_owned(), text: TUTORIAL.replace("  project: my-project", "  # none") };
    let defaults = Defaults { project: Some("outside-project".to_owned()) };
    let loaded = load(std::slice::from_ref(&source), &[], &|_| None, &defaults);
    assert_eq!(loaded.specs[0].project, "outside-project");
    let codes = |defaults: &Defaults| -> Vec<String> {
        load(std::slice::from_ref(&source), &[], &|_| None, defaults)
            .diagnostics
            .into_iter()
            .map(|d| d.code)
            .collect()
    };
    assert_eq!(codes(&Defaults::default()), ["missing-project"]);
    assert_eq!(codes(&Defaults { project: Some("No".to_owned()) }), ["invalid-project"]);
}

#[test]
fn aliases_repeat_values_and_warnings_stop_nothing() {
    let text =
        TUTORIAL.replace("singleNode: {}", "singleNode: {nodeRanges: &r [10.0.0.0/8], allowedRanges: *r}");
    let loaded = read(&text.replace("replicas: 3", "replicas: 7"), &[]);
    assert_eq!(loaded.specs.len(), 1);
    assert_eq!(loaded.diagnostics[0].code, "many-replicas");
    assert!(!loaded.has_errors());
}

/// The types and the walk read the same schema; every string rule that the schema names exists.
#[test]
fn every_format_of_the_schema_is_known() {
    fn formats(schema: &serde_json::Value, found: &mut Vec<String>) {
        if let Some(children) = schema.as_object() {
            let numeric = children.get("type").is_some_and(|name| name == "integer");
            found.extend(
                children.get("format").filter(|_| !numeric).and_then(|f| f.as_str()).map(str::to_owned),
            );
            children.values().for_each(|child| formats(child, found));
        }
    }
    let mut found = Vec::new();
    formats(&schema(), &mut found);
    assert!(found.len() > 30, "{found:?}");
    for name in found {
        assert!(super::formats::find(&name).is_some(), "{name}");
    }
}

/// Every key that the schema offers is taken by the walk and by the types: none of the three can go its own way.
#[test]
fn every_key_of_the_schema_is_read() {
    fn leaves(schema: &serde_json::Value, path: &str, found: &mut Vec<(String, serde_json::Value)>) {
        let properties = schema.get("properties").and_then(|properties| properties.as_object());
        match properties {
            None => found.push((path.to_owned(), schema.clone())),
            Some(properties) => {
                properties.iter().for_each(|(name, child)| leaves(child, &join(path, name), found));
            }
        }
    }
    let mut found = Vec::new();
    leaves(&schema(), "", &mut found);
    assert!(found.len() > 60, "{}", found.len());
    for (path, schema) in found {
        let text = |name: &str| schema.get(name).and_then(|value| value.as_str()).unwrap_or_default();
        let first = |name: &str| schema.pointer(&format!("/{name}/0")).cloned();
        let value = match (text("type"), text("format")) {
            _ if schema.get("default").is_some_and(|default| !default.is_object()) => {
                schema["default"].clone()
            }
            _ if schema.get("const").is_some() => schema["const"].clone(),
            ("integer", _) => first("enum").unwrap_or(schema["minimum"].clone()),
            ("object" | "array", _) => continue,
            (_, "project") => "my-project".into(),
            (_, "zone" | "location") => "us-east1-d".into(),
            (_, "path") => "/data".into(),
            (_, "disk-size") => "100GB".into(),
            (_, "gke-version") => "1.33.5".into(),
            (_, _) => "name".into(),
        };
        let loaded = read(TUTORIAL, &[&format!("{path}={value}")]);
        for finding in &loaded.diagnostics {
            let structural = ["unknown-key", "wrong-type", "internal", "unknown-value", "invalid-name"];
            assert!(!structural.contains(&finding.code.as_str()), "{path}={value}: {finding:?}");
        }
        if loaded.has_errors() {
            continue;
        }
        assert_eq!(loaded.specs[0].origins[&path].file, format!("--set {path}={value}"));
    }
}

#[test]
fn a_fleet_is_read_in_one_go() {
    let one = |number: usize| {
        let text = TUTORIAL.replace("name: exhibitor", &format!("name: zk-{number}"));
        text.replace("cluster-1", &format!("c-{number}")).replace("{} #", &format!("{{name: vm-{number}}} #"))
    };
    let fleet: Vec<String> = (0..300).map(one).collect();
    let loaded = read(&fleet.join("---\n"), &["zk-7:spec.exhibitor.replicas=5"]);
    assert_eq!(render_text(&loaded.diagnostics, false), "");
    assert_eq!(loaded.specs.len(), 300);
    assert_eq!((loaded.specs[7].exhibitor.replicas, loaded.specs[8].exhibitor.replicas), (5, 3));
}

#[test]
fn files_are_checked_against_each_other() {
    let source = |name: &str, text: String| Source { name: name.to_owned(), text };
    let second = TUTORIAL.replace("name: exhibitor", "name: other").replace("{} #", "{name: vm-2} #");
    let files = [source("a.yaml", TUTORIAL.to_owned()), source("b.yaml", second.clone())];
    let loaded = load(&files, &[], &|_| None, &Defaults::default());
    assert_eq!(loaded.specs, []);
    let finding = &loaded.diagnostics[0];
    assert_eq!((finding.code.as_str(), loaded.diagnostics.len()), ("shared-cluster", 1));
    assert_eq!(finding.location.as_ref().unwrap().file, "b.yaml");
    assert!(finding.reason.contains("a.yaml:"), "{}", finding.reason);
    let user = second.replace("name: cluster-1", "name: cluster-1\n    existing: true");
    let files = [source("a.yaml", TUTORIAL.to_owned()), source("b.yaml", user)];
    assert_eq!(load(&files, &[], &|_| None, &Defaults::default()).specs.len(), 2);
}

#[test]
fn a_file_that_is_all_wrong_ends_in_a_count() {
    let wrong: String = (0..2_000).map(|number| format!("key{number}: ${{env:A}}${{\n")).collect();
    let loaded = read(&wrong, &[]);
    assert_eq!(loaded.diagnostics.len(), 501);
    let last = loaded.diagnostics.last().unwrap();
    assert_eq!((last.code.as_str(), last.severity), ("too-many-problems", Severity::Error));
}

#[test]
fn too_large_a_text_is_not_read() {
    assert!(report(&" ".repeat((16 << 20) + 1), &[]).contains("error[too-large]"));
}
