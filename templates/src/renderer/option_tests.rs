//! No option is silently ignored: a change of any leaf of a spec changes what is rendered.

use crate::support::tutorial;
use crate::{Overrides, Templates};
use serde_json::{Value, json};
use zkprov_plans::spec::{
    Backup, BackupPlace, BackupSchedule, Cluster, Defaults, External, FileServer, Filestore, Resources,
    Retention, Snapshots, Source, Squash, Storage, ValidSpec, Volume, load,
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
            let resources = json!({"cpu": "1m", "memory": "1Mi"});
            vec![
                json!("other"),
                json!({"startTime": "05:00", "keepDays": 1, "periodMs": 1, "maxStoreMs": 2}),
                json!({"schedule": "@daily", "timeZone": "Etc/UTC", "keep": 1, "to": "fileServer", "image": "other",
                    "googleServiceAccount": null, "resources": resources}),
            ]
        }
        Value::Bool(flag) => vec![json!(!flag)],
        Value::Number(number) => vec![json!(number.as_u64().unwrap() + 2)],
        Value::String(text) if text == "ephemeral" => {
            vec![json!({"persistent": {"sizeGb": 10, "class": null, "retention": "keep"}})]
        }
        Value::String(text) if text == "fileServer" => vec![json!({"bucket": "gs://other"})],
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

fn schedule(to: BackupPlace) -> BackupSchedule {
    BackupSchedule {
        schedule: "0 3 * * *".to_owned(),
        time_zone: "Etc/UTC".to_owned(),
        keep: 14,
        to,
        image: "example.com/zkprov:1".to_owned(),
        google_service_account: None,
        resources: Resources { cpu: "250m".to_owned(), memory: "1Gi".to_owned() },
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
    spec.exhibitor.backup = Some(schedule(BackupPlace::FileServer));
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
    spec.exhibitor.backup = Some(schedule(BackupPlace::Bucket("gs://bucket/prefix".to_owned())));
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
    spec.exhibitor.backup = Some(schedule(BackupPlace::FileServer));
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

/// Who writes has to be let: everybody where the server makes everybody the share's owner, else who the members are.
#[test]
fn a_backup_is_root_only_where_nobody_else_could_write() {
    let templates = Templates::new(&Overrides::new()).unwrap();
    let user = |spec: &ValidSpec| {
        let desired = templates.render(spec).unwrap();
        let job = desired.documents.iter().find(|d| d.template == "backup-cron-job.yaml.j2").unwrap();
        job.body["spec"]["jobTemplate"]["spec"]["template"]["spec"]["securityContext"]["runAsUser"].clone()
    };
    let mut spec = tutorial();
    spec.exhibitor.backup = Some(schedule(BackupPlace::FileServer));
    assert_eq!(user(&spec), 65_532);
    if let FileServer::SingleNode(vm) = &mut spec.file_server {
        vm.squash = Squash::Root;
    }
    assert_eq!(user(&spec), 0);
    spec.exhibitor.backup = Some(schedule(BackupPlace::Bucket("gs://bucket".to_owned())));
    assert_eq!(user(&spec), 65_532);
}

/// A job reads the file that is mounted: it has to be one, and to lead to the same members.
#[test]
fn the_file_of_a_backup_names_the_ensemble() {
    let mut spec = tutorial();
    spec.exhibitor.backup = Some(schedule(BackupPlace::FileServer));
    spec.exhibitor.client_port = 2182;
    let desired = Templates::new(&Overrides::new()).unwrap().render(&spec).unwrap();
    let map = desired.documents.iter().find(|d| d.template == "backup-config-map.yaml.j2").unwrap();
    let text = map.body["data"]["zkprov.yaml"].as_str().unwrap().to_owned();
    let source = Source { name: "zkprov.yaml".to_owned(), text };
    let loaded = load(&[source], &[], &|_| None, &Defaults::default());
    assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
    let read = &loaded.specs[0];
    assert_eq!((&read.name, read.share()), (&spec.name, spec.share()));
    let ports = |spec: &ValidSpec| {
        let exhibitor = &spec.exhibitor;
        (exhibitor.namespace.clone(), exhibitor.client_port, exhibitor.api_port)
    };
    assert_eq!(ports(read), ports(&spec));
}
