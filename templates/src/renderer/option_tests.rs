//! No option is silently ignored: a change of any leaf of a spec changes what is rendered.

use crate::support::tutorial;
use crate::{Overrides, Templates};
use serde_json::{Value, json};
use zkprov_plans::spec::{
    Backup, Cluster, External, FileServer, Filestore, Retention, Snapshots, Storage, ValidSpec, Volume,
};

/// What templates rightly do not see.
const NOT_RENDERED: [&str; 4] = [
    // Places in the file, for messages.
    "/origins",
    // The planner's business: it refuses to delete or replace what holds data.
    "/protection/data",
    // It deletes claims by a step of its own.
    "/exhibitor/storage/persistent/retention",
    // An apply writes it into ZooKeeper.
    "/exhibitor/canary",
];

/// Pointers to the leaves of a value; empty lists and maps and missing options are leaves too.
fn leaves(value: &Value, at: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                leaves(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), out);
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => out.push(at.to_owned()),
    }
}

/// Other values for a leaf; one of them is of the right type.
fn others(leaf: &Value) -> Vec<Value> {
    match leaf {
        Value::Null => {
            vec![json!("other"), json!({"startTime": "05:00", "keepDays": 1, "periodMs": 1, "maxStoreMs": 2})]
        }
        Value::Bool(flag) => vec![json!(!flag)],
        Value::Number(number) => vec![json!(number.as_u64().unwrap() + 2)],
        Value::String(text) if text == "ephemeral" => {
            vec![json!({"persistent": {"sizeGb": 10, "class": null, "retention": "keep"}})]
        }
        // An enum takes only its own words.
        Value::String(text) => ["root", "headless", "required"]
            .into_iter()
            .filter(|word| word != text)
            .map(Value::from)
            .chain([json!(format!("{text}-other"))])
            .collect(),
        Value::Array(_) => vec![json!(["192.0.2.0/24"])],
        Value::Object(_) => vec![json!({"other": "other"})],
    }
}

/// Changes every leaf but those, one at a time.
fn check(spec: &ValidSpec, but: &[&str]) {
    let templates = Templates::new(&Overrides::new()).unwrap();
    let before = templates.render(spec).unwrap();
    let value = serde_json::to_value(spec).unwrap();
    let mut all = vec![];
    leaves(&value, "", &mut all);
    assert!(all.len() > 30, "{all:?}");
    for leaf in
        all.iter().filter(|leaf| !NOT_RENDERED.iter().chain(but).any(|prefix| leaf.starts_with(prefix)))
    {
        let changed = others(value.pointer(leaf).unwrap()).into_iter().find_map(|other| {
            let mut value = value.clone();
            *value.pointer_mut(leaf).unwrap() = other;
            serde_json::from_value::<ValidSpec>(value).ok()
        });
        let changed = changed.unwrap_or_else(|| panic!("no other value for {leaf}"));
        let after = templates.render(&changed).unwrap();
        let bodies = |desired: &zkprov_plans::document::Desired| {
            desired.documents.iter().map(|d| (d.id.to_string(), d.body.clone())).collect::<Vec<_>>()
        };
        assert_ne!(bodies(&before), bodies(&after), "{leaf} changes nothing");
    }
}

#[test]
fn every_option_of_a_single_node_and_our_cluster_is_rendered() {
    let mut spec = tutorial();
    if let FileServer::SingleNode(vm) = &mut spec.file_server {
        vm.snapshots = Some(Snapshots { start_time: "04:00".to_owned(), keep_days: 7 });
    }
    spec.exhibitor.settings.backup = Some(Backup { period_ms: 600_000, max_store_ms: 21_600_000 });
    check(&spec, &[]);
    check(&tutorial(), &[]);
    let class = Some("premium-rwo".to_owned());
    spec.exhibitor.storage = Storage::Persistent(Volume { size_gb: 10, class, retention: Retention::Keep });
    check(&spec, &[]);
}

#[test]
fn every_option_of_other_servers_and_clusters_is_rendered() {
    let mut spec = tutorial();
    spec.file_server = FileServer::Filestore(Filestore {
        name: "exhibitor-files".to_owned(),
        tier: "BASIC_HDD".to_owned(),
        capacity_gb: 1024,
        share: "data".to_owned(),
        network: "default".to_owned(),
        reserved_range: "10.87.0.0/29".to_owned(),
        location: "us-east1-d".to_owned(),
    });
    spec.cluster = Cluster::Existing { name: "shared".to_owned() };
    // Where the cluster is not ours and there is no VM, zone and project say only where to look, and no API has a
    // protection to set (Filestore's is not there for basic tiers): zkprov itself refuses.
    check(&spec, &["/zone", "/protection/destroy"]);
    spec.file_server =
        FileServer::External(External { server: "nfs".to_owned(), path: "/export".to_owned() });
    spec.cluster = Cluster::Kubeconfig { context: "kind".to_owned() };
    check(&spec, &["/zone", "/project", "/protection/destroy"]);
}

/// A body without its strings: what a value must not be able to change.
fn shape(value: &Value) -> Value {
    match value {
        Value::String(_) => Value::Null,
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Every string of a spec in turn: no value breaks a document or changes its structure, whatever validation lets by.
#[test]
fn no_string_changes_the_structure_of_a_document() {
    let templates = Templates::new(&Overrides::new()).unwrap();
    let mut spec = tutorial();
    spec.exhibitor.namespace = "zk".to_owned();
    spec.exhibitor.client_labels = [("role".to_owned(), "client".to_owned())].into();
    let class = Some("premium-rwo".to_owned());
    spec.exhibitor.storage = Storage::Persistent(Volume { size_gb: 10, class, retention: Retention::Keep });
    let value = serde_json::to_value(&spec).unwrap();
    let shapes = |spec: &ValidSpec| {
        templates
            .render(spec)
            .unwrap()
            .documents
            .iter()
            .map(|d| (d.id.kind, shape(&d.body)))
            .collect::<Vec<_>>()
    };
    let before = shapes(&spec);
    let mut all = vec![];
    leaves(&value, "", &mut all);
    all.retain(|leaf| value.pointer(leaf).is_some_and(Value::is_string) && !leaf.starts_with("/origins"));
    let mut tried = 0;
    for hostile in
        ["\": {\"x\": [", "no", "1e3", "'$(id)'\n- a: b\n---\n", "{{ name }}{% if %}{#", "\u{85}\u{2028}\t#"]
    {
        for leaf in &all {
            let mut value = value.clone();
            *value.pointer_mut(leaf).unwrap() = json!(hostile);
            // An enum takes only its own words.
            let Ok(changed) = serde_json::from_value::<ValidSpec>(value) else { continue };
            assert_eq!(shapes(&changed), before, "{leaf} = {hostile:?}");
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
}
