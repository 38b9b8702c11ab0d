use super::*;
use crate::Place;
use crate::support::tutorial;
use serde_json::{Value as Json, json};
use zkprov_plans::document::GENERATION_METADATA;
use zkprov_plans::spec::{Backup, Cluster, Exposure, External, Filestore, Snapshots, Spread};

fn rendered(spec: &ValidSpec) -> Desired {
    Templates::new(&Overrides::new()).unwrap().render(spec).unwrap()
}

fn body<'a>(desired: &'a Desired, template: &str) -> &'a Json {
    &desired.documents.iter().find(|document| document.template == template).unwrap().body
}

fn ids(desired: &Desired) -> Vec<String> {
    desired.documents.iter().map(|document| document.id.to_string()).collect()
}

fn override_error(template: &str, text: &str) -> RenderError {
    let overrides = Overrides::from([(template.to_owned(), text.to_owned())]);
    crate::render(&tutorial(), &overrides).unwrap_err()
}

fn vm(spec: &mut ValidSpec) -> &mut zkprov_plans::spec::SingleNode {
    match &mut spec.file_server {
        FileServer::SingleNode(vm) => vm,
        FileServer::Filestore(_) | FileServer::External(_) => unreachable!(),
    }
}

fn metadata(desired: &Desired, key: &str) -> String {
    let items = body(desired, "instance.json.j2").pointer("/metadata/items").unwrap().as_array().unwrap();
    let item = items.iter().find(|item| item["key"] == key).unwrap();
    item["value"].as_str().unwrap().to_owned()
}

#[test]
fn the_tutorial_is_these_documents_in_this_order() {
    assert_eq!(
        ids(&rendered(&tutorial())),
        [
            "address/my-project/us-east1/singlefs-1-vm",
            "disk/my-project/us-east1-d/singlefs-1-vm-data",
            "firewall/my-project/global/singlefs-1-vm-allow",
            "firewall/my-project/global/singlefs-1-vm-deny",
            "instance/my-project/us-east1-d/singlefs-1-vm",
            "gke/my-project/us-east1-d/cluster-1",
            "node-pool/my-project/us-east1-d/cluster-1/default-pool",
            "validatingadmissionpolicy/cluster-1/-/odd-replicas.exhibitor.default.zkprov.dev",
            "validatingadmissionpolicybinding/cluster-1/-/odd-replicas.exhibitor.default.zkprov.dev",
            "configmap/cluster-1/default/exhibitor-ensemble",
            "networkpolicy/cluster-1/default/exhibitor",
            "poddisruptionbudget/cluster-1/default/exhibitor",
            "service/cluster-1/default/exhibitor",
            "deployment/cluster-1/default/exhibitor",
            "ensemble/cluster-1/default/exhibitor",
        ]
    );
}

#[test]
fn options_add_and_remove_documents() {
    let mut spec = tutorial();
    vm(&mut spec).snapshots = Some(Snapshots { start_time: "04:00".into(), keep_days: 7 });
    spec.exhibitor.namespace = "zk".into();
    spec.exhibitor.exposure = Exposure::Internal;
    spec.exhibitor.network_policy = false;
    spec.exhibitor.disruption_budget = false;
    spec.cluster = Cluster::Existing { name: "shared".into() };
    let desired = rendered(&spec);
    assert_eq!(
        ids(&desired),
        [
            "address/my-project/us-east1/singlefs-1-vm",
            "snapshot-schedule/my-project/us-east1/singlefs-1-vm-daily",
            "disk/my-project/us-east1-d/singlefs-1-vm-data",
            "firewall/my-project/global/singlefs-1-vm-allow",
            "firewall/my-project/global/singlefs-1-vm-deny",
            "instance/my-project/us-east1-d/singlefs-1-vm",
            "namespace/shared/-/zk",
            "validatingadmissionpolicy/shared/-/odd-replicas.exhibitor.zk.zkprov.dev",
            "validatingadmissionpolicybinding/shared/-/odd-replicas.exhibitor.zk.zkprov.dev",
            "configmap/shared/zk/exhibitor-ensemble",
            "service/shared/zk/exhibitor",
            "service/shared/zk/exhibitor-internal",
            "deployment/shared/zk/exhibitor",
            "ensemble/shared/zk/exhibitor",
        ]
    );
    let policies = &body(&desired, "disk.json.j2")["resourcePolicies"];
    assert_eq!(
        *policies,
        json!(["projects/my-project/regions/us-east1/resourcePolicies/singlefs-1-vm-daily"])
    );
}

#[test]
fn other_file_servers_are_mounted_instead() {
    let mut spec = tutorial();
    spec.file_server = FileServer::Filestore(Filestore {
        name: "exhibitor-files".into(),
        tier: "BASIC_HDD".into(),
        capacity_gb: 1024,
        share: "data".into(),
        network: "default".into(),
        reserved_range: "10.87.0.0/29".into(),
        location: "us-east1-d".into(),
    });
    let desired = rendered(&spec);
    assert_eq!(ids(&desired)[0], "filestore/my-project/us-east1-d/exhibitor-files");
    assert_eq!(
        body(&desired, "filestore.json.j2")["fileShares"],
        json!([{"name": "data", "capacityGb": "1024"}])
    );
    let share = "/spec/template/spec/volumes/0/nfs";
    let expected = json!({"server": "10.87.0.2", "path": "/data"});
    assert_eq!(body(&desired, "deployment.yaml.j2").pointer(share), Some(&expected));

    spec.file_server =
        FileServer::External(External { server: "nfs.example.com".into(), path: "/a b".into() });
    spec.cluster = Cluster::Kubeconfig { context: "kind-a".into() };
    let desired = rendered(&spec);
    let expected = json!({"server": "nfs.example.com", "path": "/a b"});
    assert_eq!(body(&desired, "deployment.yaml.j2").pointer(share), Some(&expected));
    assert!(ids(&desired)[0].starts_with("validatingadmissionpolicy/kind-a/"));
}

#[test]
fn a_new_size_leaves_the_pod_template_alone() {
    let template = |replicas| {
        let mut spec = tutorial();
        spec.exhibitor.replicas = replicas;
        body(&rendered(&spec), "deployment.yaml.j2").pointer("/spec/template").unwrap().clone()
    };
    assert_eq!(template(1), template(3));
    assert_eq!(template(3), template(5));
}

#[test]
fn labels_reach_everything_but_the_pod_template() {
    let mut spec = tutorial();
    let before = rendered(&spec);
    spec.labels = [("team".to_owned(), "storage".to_owned())].into();
    let after = rendered(&spec);
    for template in ["address.json.j2", "disk.json.j2", "instance.json.j2"] {
        assert_eq!(
            body(&after, template)["labels"],
            json!({"team": "storage", "zkprov-ensemble": "exhibitor", "zkprov-labels-1": "ca8b"})
        );
    }
    assert_eq!(body(&after, "cluster.json.j2")["resourceLabels"]["team"], "storage");
    let deployment = |desired| body(desired, "deployment.yaml.j2").clone();
    assert_eq!(deployment(&after)["metadata"]["labels"]["team"], "storage");
    assert_eq!(deployment(&after)["spec"], deployment(&before)["spec"]);
}

#[test]
fn nobody_overrides_the_ensembles_own_label() {
    let mut spec = tutorial();
    spec.labels = [("zkprov-ensemble".to_owned(), "other".to_owned())].into();
    if let Cluster::Managed(cluster) = &mut spec.cluster {
        cluster.labels = spec.labels.clone();
    }
    let desired = rendered(&spec);
    assert_eq!(body(&desired, "disk.json.j2")["labels"]["zkprov-ensemble"], "exhibitor");
    assert_eq!(body(&desired, "cluster.json.j2")["resourceLabels"]["zkprov-ensemble"], "exhibitor");
}

#[test]
fn nfs_is_open_to_our_nodes_tag_or_to_the_range_of_theirs() {
    let mut spec = tutorial();
    vm(&mut spec).allowed_ranges = vec!["192.0.2.0/24".into()];
    vm(&mut spec).smb = false;
    let own = rendered(&spec);
    let allow = body(&own, "firewall-allow.json.j2");
    assert_eq!(allow["sourceTags"], body(&own, "node-pool.json.j2")["config"]["tags"]);
    assert_eq!(allow["sourceRanges"], json!(["192.0.2.0/24"]));
    assert_eq!(allow["allowed"][0]["ports"], json!(["111", "2049", "20048", "32765", "32803"]));
    assert_eq!(allow["targetTags"], body(&own, "instance.json.j2")["tags"]["items"]);

    spec.cluster = Cluster::Existing { name: "shared".into() };
    let theirs = rendered(&spec);
    let allow = body(&theirs, "firewall-allow.json.j2");
    assert_eq!(allow.get("sourceTags"), None);
    assert_eq!(allow["sourceRanges"], json!(["10.128.0.0/9", "192.0.2.0/24"]));

    // No source at all would mean every source.
    vm(&mut spec).allowed_ranges.clear();
    vm(&mut spec).node_ranges.clear();
    let error = crate::render(&spec, &Overrides::new()).unwrap_err();
    assert_eq!(error.template, "firewall-allow.json.j2");
    assert!(error.reason.contains("nobody would be allowed in"), "{error}");
}

#[test]
fn the_pool_of_the_cluster_is_the_pool_document() {
    let desired = rendered(&tutorial());
    assert_eq!(body(&desired, "cluster.json.j2")["nodePools"], json!([body(&desired, "node-pool.json.j2")]));
}

#[test]
fn settings_are_strings_as_exhibitor_needs_them() {
    let mut spec = tutorial();
    spec.exhibitor.settings.backup = Some(Backup { period_ms: 60_000, max_store_ms: 120_000 });
    let desired = rendered(&spec);
    let settings = body(&desired, "ensemble.json.j2")["settings"].as_object().unwrap();
    for (key, value) in settings {
        let objects = ["zooCfgExtra", "backupExtra"];
        assert!(value.is_string() != objects.contains(&key.as_str()), "{key}: {value}");
    }
    let directory = settings["backupExtra"]["directory"].as_str().unwrap();
    let mounts = body(&desired, "deployment.yaml.j2")
        .pointer("/spec/template/spec/containers/0/volumeMounts")
        .unwrap();
    assert!(mounts.as_array().unwrap().iter().any(|mount| mount["mountPath"] == directory), "{mounts}");
}

#[test]
fn the_generation_is_a_digest_of_everything_else_in_the_script() {
    let desired = rendered(&tutorial());
    let (script, generation) =
        (metadata(&desired, "startup-script"), metadata(&desired, GENERATION_METADATA));
    let line = format!("GENERATION='{generation}'");
    let kept: Vec<&str> = script.lines().filter(|text| *text != line).collect();
    assert_eq!(kept.len() + 1, script.lines().count());
    assert_eq!(naming::digest16(&kept.join("\n")), generation);

    let mut other = tutorial();
    vm(&mut other).smb = false;
    assert_ne!(metadata(&rendered(&other), GENERATION_METADATA), generation);
    other = tutorial();
    other.exhibitor.replicas = 5;
    assert_eq!(metadata(&rendered(&other), GENERATION_METADATA), generation);
}

#[test]
fn hostile_values_stay_values() {
    let hostile = "no' \"$(touch /tmp/x)\" {{ name }} {% raw %}\n  - a: b # `id`\n---\n";
    let mut spec = tutorial();
    spec.exhibitor.image = hostile.into();
    spec.exhibitor.spread = Spread::Required;
    spec.exhibitor.client_labels = [(hostile.to_owned(), hostile.to_owned())].into();
    spec.exhibitor.settings.zoo_cfg = [(hostile.to_owned(), hostile.to_owned())].into();
    vm(&mut spec).path = hostile.into();
    vm(&mut spec).machine_type = hostile.into();
    let desired = rendered(&spec);
    let container = body(&desired, "deployment.yaml.j2").pointer("/spec/template/spec/containers/0").unwrap();
    assert_eq!(container["image"], hostile);
    assert_eq!(body(&desired, "ensemble.json.j2")["settings"]["zooCfgExtra"], json!({hostile: hostile}));
    let selector = "/spec/ingress/0/from/0/podSelector/matchLabels";
    assert_eq!(body(&desired, "network-policy.yaml.j2").pointer(selector), Some(&json!({hostile: hostile})));
    let machine_type = body(&desired, "instance.json.j2")["machineType"].as_str().unwrap().to_owned();
    assert!(machine_type.ends_with(hostile));
    let script = metadata(&desired, "startup-script");
    let head: String = script
        .lines()
        .take_while(|line| !line.starts_with("SQUASH"))
        .fold(String::new(), |head, line| head + line + "\n");
    let output = std::process::Command::new("bash")
        .args(["-c", &format!("{head}printf %s \"$SHARE_PATH\"")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), hostile);
}

#[test]
fn an_unknown_override_names_the_known_ones() {
    let error = override_error("instances.json.j2", "{}");
    assert_eq!(error.place, Place::Whole);
    assert!(error.fix.contains("instance.json.j2"), "{error}");
}

#[test]
fn wrong_templates_are_refused_with_their_place() {
    let cases = [
        ("cluster.json.j2", "{\n  \"name\": {{ nobody }}\n}", Place::Template(2), "undefined"),
        ("cluster.json.j2", "{\n  \"name\": {{ cluster.nome }}\n}", Place::Template(2), "undefined"),
        ("cluster.json.j2", "{\n  \"name\": {{ \"a\" ~ cluster.nome }}\n}", Place::Template(2), "undefined"),
        ("cluster.json.j2", "{\n  \"version\": {{ cluster.version }}\n}", Place::Template(2), "none"),
        ("cluster.json.j2", "{\n{% if cluster %}\n", Place::Template(2), "syntax"),
        ("cluster.json.j2", "{\n  \"name\": \"{{ cluster.name }}\"\n}", Place::Template(2), "whole value"),
        (
            "cluster.json.j2",
            "{% autoescape false %}\n{\"name\": {{ cluster.name }}\n}{% endautoescape %}",
            Place::Template(2),
            "quoting",
        ),
        ("startup-script.sh.j2", "#!/bin/sh\necho {{ vm.path }}\n", Place::Template(2), "assignment"),
    ];
    for (template, text, place, reason) in cases {
        let error = override_error(template, text);
        assert_eq!((error.template.as_str(), &error.place), (template, &place), "{text}: {error}");
        assert!(error.reason.contains(reason), "{text}: {error}");
    }
}

#[test]
fn what_is_not_the_resource_is_refused() {
    let cases = [
        ("disk.json.j2", "{\n  \"name\": {{ vm.dataDisk }}\n  \"sizeGb\": 1\n}", 3, "not valid JSON"),
        ("disk.json.j2", "{\n  \"name\": {{ vm.name }}\n}", 2, "has to be `singlefs-1-vm-data`"),
        ("service.yaml.j2", "apiVersion: v1\nkind: Service\n  a: b\n", 3, "not valid YAML"),
        ("service.yaml.j2", "apiVersion: v1\nkind: Pod\n", 1, "kind has to be `Service`"),
        ("ensemble.json.j2", "[]\n", 1, "not an object"),
    ];
    for (template, text, line, reason) in cases {
        let error = override_error(template, text);
        assert!(matches!(&error.place, Place::Output { line: at, .. } if *at == line), "{text}: {error}");
        assert!(error.reason.contains(reason), "{text}: {error}");
    }
    assert!(override_error("startup-script.sh.j2", "#!/bin/sh\n").reason.contains("GENERATION"));
}

#[test]
fn an_error_in_an_included_template_names_that_template() {
    let error = override_error("node-pool.json.j2", "{\n\"name\": {{ nobody }}\n}");
    assert_eq!((error.template.as_str(), error.place), ("node-pool.json.j2", Place::Template(2)));
}

#[test]
fn an_override_replaces_its_namesake_alone() {
    let text = "{\n\"name\": {{ cluster.pool }}, \"initialNodeCount\": 9\n}\n".to_owned();
    let overrides = Overrides::from([("node-pool.json.j2".to_owned(), text)]);
    let desired = crate::render(&tutorial(), &overrides).unwrap();
    assert_eq!(body(&desired, "cluster.json.j2")["nodePools"][0]["initialNodeCount"], 9);
    assert_eq!(body(&desired, "disk.json.j2"), body(&rendered(&tutorial()), "disk.json.j2"));
}
