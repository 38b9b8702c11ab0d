//! Field-by-field differences between what is live and what the file asks for.

use crate::document::FIELD_MANAGER;
use crate::exhibitor;
use crate::field_path::{FieldPath, Segment};
use crate::labels;
use crate::managed_fields;
use crate::observed::Live;
use crate::plan::{FieldChange, Fingerprint};
use crate::resource::{Family, ResourceId, ResourceKind};
use crate::rules::{self, How};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// What differs, and how it can be brought in line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    /// Field by field, in the order of the tables or of the document.
    pub fields: Vec<FieldChange>,
    /// How, without repeats, in order of first need; only for Google resources.
    pub(crate) how: Vec<How>,
}

/// Compares a live resource with its desired body.
#[must_use]
pub fn diff(id: &ResourceId, body: &Value, live: &Live) -> Difference {
    match id.kind.family() {
        Family::Kubernetes => kubernetes(body, live),
        Family::Ensemble => ensemble(body, &live.document),
        Family::Google => google(id.kind, body, &live.document),
    }
}

/// Digest of what a change rests on: the resource's identity, and its fields as far as the file declares them.
#[must_use]
pub fn fingerprint(id: &ResourceId, body: &Value, live: &Live) -> Fingerprint {
    match id.kind.family() {
        Family::Kubernetes => {
            let uid = live.document.pointer("/metadata/uid").cloned().unwrap_or_default();
            digest(&json!([uid, kubernetes(body, live).fields]))
        }
        Family::Ensemble => digest(&live.document),
        Family::Google => rules::fingerprint(id.kind, body, &live.document),
    }
}

fn digest(value: &Value) -> Fingerprint {
    Fingerprint(hex::encode(Sha256::digest(value.to_string())))
}

/// Every declared field of a document that is to be created.
#[must_use]
pub fn declared(kind: ResourceKind, body: &Value) -> Vec<FieldChange> {
    let mut fields = Vec::new();
    collect(body, FieldPath::default(), &mut |path, value| {
        let text = path.to_string();
        let cause = rules::rules(kind)
            .iter()
            .find(|rule| !rule.cause.is_empty() && text.starts_with(rule.path.trim_end_matches("[]")))
            .map(|rule| rule.cause.to_owned());
        fields.push(change(path, None, Some(value.clone()), cause));
    });
    fields
}

fn change(
    path: FieldPath,
    before: Option<Value>,
    after: Option<Value>,
    cause: Option<String>,
) -> FieldChange {
    FieldChange { path, before, after, cause, manager: None, replaces: false }
}

fn google(kind: ResourceKind, body: &Value, live: &Value) -> Difference {
    let mut difference = Difference::default();
    for rule in rules::rules(kind).iter().filter(|rule| rule.how != How::InputOnly) {
        let Some(wanted) = rules::at(body, rule.path) else { continue };
        let there = live_value(kind, rule.path, live);
        let dropped = dropped_labels(rule, wanted, there);
        if rule.compare.equal(wanted, there) && dropped.is_empty() {
            continue;
        }
        let shrinks = rule.how == How::ResizeDisk && number(wanted) < there.map_or(0.0, number);
        let how = if shrinks { How::Replace } else { rule.how };
        let mut fields = rule_fields(rule, wanted, there);
        fields.extend(dropped);
        for field in &mut fields {
            field.replaces = how == How::Replace;
            if field.path == BOOT_DISK {
                field.replaces = true;
                field.cause = Some("spec.fileServer.singleNode".to_owned());
            }
        }
        difference.fields.extend(fields);
        if !difference.how.contains(&how) {
            difference.how.push(how);
        }
    }
    if let Some(private) = private_no_longer(kind, body, live) {
        difference.fields.push(private);
        difference.how.push(How::Replace);
    }
    if kind == ResourceKind::Instance
        && let Some(status) = stopped(live)
    {
        difference.fields.push(change("status".into(), Some(status.clone()), Some(json!("RUNNING")), None));
        difference.how.push(How::StartInstance);
    }
    difference
}

/// Labels that the file no longer has.
fn dropped_labels(rule: &rules::Rule, wanted: &Value, live: Option<&Value>) -> Vec<FieldChange> {
    let labels = ["labels", "resourceLabels"].contains(&rule.path);
    let (Some(wanted), Some(live), true) = (wanted.as_object(), live.and_then(Value::as_object), labels)
    else {
        return Vec::new();
    };
    let cause = (!rule.cause.is_empty()).then(|| rule.cause.to_owned());
    let gone = |(key, value): (&str, &Value)| {
        change(FieldPath::from(rule.path).item(key), Some(value.clone()), None, cause.clone())
    };
    labels::dropped(live, wanted).into_iter().map(gone).collect()
}

/// A cluster whose nodes are to have addresses: a body that says nothing of private nodes compares with nothing.
fn private_no_longer(kind: ResourceKind, body: &Value, live: &Value) -> Option<FieldChange> {
    const PATH: &str = "privateClusterConfig.enablePrivateNodes";
    let private = rules::at(live, PATH).filter(|private| **private == Value::Bool(true))?;
    let cause = Some("spec.cluster.privateNodes".to_owned());
    (kind == ResourceKind::Cluster && rules::at(body, PATH).is_none()).then(|| FieldChange {
        replaces: true,
        ..change(PATH.into(), Some(private.clone()), Some(Value::Bool(false)), cause)
    })
}

/// The metadata item that records the boot disk's image and size: a VM keeps the boot disk it was made with.
const BOOT_DISK: &str = "metadata.items[zkprov-boot-disk]";

/// The status of a VM that somebody stopped: a file server has to run.
fn stopped(live: &Value) -> Option<&Value> {
    live.get("status").filter(|status| ["TERMINATED", "STOPPED"].iter().any(|stopped| *status == stopped))
}

/// What two fields say only at creation is read elsewhere: a resize leaves `initialNodeCount` alone, an upgrade leaves
/// `initialClusterVersion` alone.
fn live_value<'a>(kind: ResourceKind, path: &str, live: &'a Value) -> Option<&'a Value> {
    let elsewhere = match (kind, path) {
        (ResourceKind::NodePool, "initialNodeCount") => live.get(LIVE_NODE_COUNT),
        (ResourceKind::Cluster, "initialClusterVersion") => live.get("currentMasterVersion"),
        _ => None,
    };
    elsewhere.or_else(|| rules::at(live, path))
}

/// Where the GKE provider puts the number of nodes a pool has now, read from its instance groups.
pub const LIVE_NODE_COUNT: &str = "zkprovLiveNodeCount";

fn number(value: &Value) -> f64 {
    rules::text(value).parse().unwrap_or(0.0)
}

/// One change for a scalar; one for each key of a map or of metadata items.
fn rule_fields(rule: &rules::Rule, wanted: &Value, live: Option<&Value>) -> Vec<FieldChange> {
    let before = live.map(|live| rule.compare.normal(wanted, Some(live)));
    let after = rule.compare.normal(wanted, Some(wanted));
    let cause = (!rule.cause.is_empty()).then(|| rule.cause.to_owned());
    let (Some(keys), empty) = (after.as_object(), Map::new()) else {
        return vec![change(rule.path.into(), before, Some(after), cause)];
    };
    let old = before.as_ref().and_then(Value::as_object).unwrap_or(&empty);
    keys.iter()
        .filter(|(key, value)| old.get(*key) != Some(value))
        .map(|(key, value)| {
            let path = FieldPath::from(rule.path).item(key);
            change(path, old.get(key).cloned(), Some(value.clone()), cause.clone())
        })
        .collect()
}

/// Key of an ensemble's live document, only where a switch of Exhibitor keeps members from restarting: a roll was cut off.
pub const RESTARTS: &str = "restarts";

/// Key of an ensemble's live document, only where Exhibitor's own roll waits for a member that is gone.
pub const ROLL: &str = "roll";

/// Whether this is about a roll that has to be brought to its end, and not about what the file declares.
#[must_use]
pub fn is_of_a_roll(field: &FieldChange) -> bool {
    [RESTARTS, ROLL].iter().any(|of_a_roll| field.path == *of_a_roll)
}

fn ensemble(body: &Value, live: &Value) -> Difference {
    let mut fields = Vec::new();
    for (path, cause) in [("voters", "spec.exhibitor.replicas"), ("fixedSize", "spec.exhibitor.replicas")] {
        if body.get(path) != live.get(path) {
            fields.push(change(
                path.into(),
                live.get(path).cloned(),
                body.get(path).cloned(),
                Some(cause.to_owned()),
            ));
        }
    }
    // Always to be on: whoever it is off at has not been restarted by a roll, and is not when it crashes.
    if let Some(off) = live.get(RESTARTS) {
        fields.push(change(RESTARTS.into(), Some(off.clone()), Some(json!("on")), None));
    }
    if let Some(waits) = live.get(ROLL) {
        fields.push(change(ROLL.into(), Some(waits.clone()), None, None));
    }
    if let Some(settings) = body.get("settings") {
        collect(settings, FieldPath::from("settings"), &mut |path, value| {
            let there = by_path(live, &path).first().copied();
            if there.map(rules::text) != Some(rules::text(value)) {
                let others = path == JAVA && same_heap(there, value);
                let cause =
                    if others { "spec.exhibitor.jvmOptions" } else { setting_cause(&path) }.to_owned();
                fields.push(change(path, there.cloned(), Some(value.clone()), Some(cause)));
            }
        });
    }
    Difference { fields, how: Vec::new() }
}

const JAVA: &str = "settings.javaEnvironment";

/// Whether two `javaEnvironment`s of ours have the same heap, so that it is the other options which differ.
fn same_heap(one: Option<&Value>, other: &Value) -> bool {
    let heap = |java: &Value| -> Option<Vec<String>> {
        let flags = exhibitor::jvm_flags(java.as_str()?)?;
        Some(flags.filter(|flag| flag.starts_with("-Xm")).map(str::to_owned).collect())
    };
    one.and_then(heap).is_some_and(|one| Some(one) == heap(other))
}

/// The key of the file behind one of Exhibitor's settings.
fn setting_cause(path: &FieldPath) -> &'static str {
    const CAUSES: [(&str, &str); 9] = [
        ("settings.checkMs", "spec.exhibitor.settings.check"),
        ("settings.autoManageInstancesSettlingPeriodMs", "spec.exhibitor.settings.settling"),
        ("settings.cleanupPeriodMs", "spec.exhibitor.settings.cleanupPeriod"),
        ("settings.cleanupMaxFiles", "spec.exhibitor.settings.cleanupMaxFiles"),
        ("settings.zooCfgExtra", "spec.exhibitor.settings.zooCfg"),
        ("settings.backupPeriodMs", "spec.exhibitor.settings.backup.period"),
        ("settings.backupMaxStoreMs", "spec.exhibitor.settings.backup.maxStore"),
        (JAVA, "spec.exhibitor.heap"),
        ("settings.clientPort", "spec.exhibitor.clientPort"),
    ];
    let known = CAUSES.iter().find(|(setting, _)| path.starts_with(&FieldPath::from(*setting)));
    known.map_or("spec.exhibitor.settings", |(_, cause)| cause)
}

/// Fields that the server keeps for itself.
const SERVER_OWNED: [&str; 7] = [
    "metadata.managedFields",
    "metadata.resourceVersion",
    "metadata.generation",
    "metadata.uid",
    "metadata.creationTimestamp",
    "metadata.annotations[deployment.kubernetes.io/revision]",
    "status",
];

fn is_server_owned(path: &FieldPath) -> bool {
    SERVER_OWNED.iter().any(|owned| path == *owned)
}

/// Why the server refuses our body, if a replacement would not help either.
#[must_use]
pub fn refused(live: &Live) -> Option<&str> {
    refusal(live).filter(|_| immutable(live).is_none())
}

/// Why the server refuses our body, if its dry-run of it was answered with a `Status`.
#[must_use]
pub fn refusal(live: &Live) -> Option<&str> {
    let predicted = live.predicted.as_ref()?;
    (predicted.get("kind")? == "Status")
        .then(|| predicted.get("message").and_then(Value::as_str).unwrap_or_default())
}

/// The fields that the server says it never changes, where that alone is why it refuses our body.
fn immutable(live: &Live) -> Option<Vec<&str>> {
    const NEVER: [&str; 2] = ["field is immutable", "may not change once set"];
    if refusal(live)?.contains(OTHER_FIELDS) {
        return Some(vec![CLAIMS]);
    }
    let causes = live.predicted.as_ref()?.pointer("/details/causes")?.as_array()?;
    let field = |cause: &'_ Value| {
        let message = cause.get("message")?.as_str()?;
        NEVER.iter().any(|never| message.contains(never)).then_some(())
    };
    if causes.is_empty() || !causes.iter().all(|cause| field(cause).is_some()) {
        return None;
    }
    Some(causes.iter().filter_map(|cause| cause.get("field")?.as_str()).collect())
}

/// How the server refuses a change of a StatefulSet beyond its template and size. Of these fields the templates let the file
/// change one alone: the claims.
const OTHER_FIELDS: &str = "updates to statefulset spec for fields other than";
const CLAIMS: &str = "spec.volumeClaimTemplates";

/// The claims of a StatefulSet, field by field: what the server adds to them is no difference.
fn claims(body: &Value, live: &Value) -> Vec<FieldChange> {
    let templates = |document: &'_ Value| {
        let list = document.pointer("/spec/volumeClaimTemplates").and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let name = |template: &'_ Value| template.pointer("/metadata/name").cloned();
    let mut fields = Vec::new();
    for template in templates(body) {
        let there =
            templates(live).into_iter().find(|other| name(other) == name(&template)).unwrap_or_default();
        let name = name(&template).as_ref().map(rules::text).unwrap_or_default();
        let path = FieldPath::from(CLAIMS).item(&name);
        collect(&template, FieldPath::default(), &mut |below, value| {
            let before = by_path(&there, &below);
            if !before.contains(&value) {
                let before = before.first().map(|value| (*value).clone());
                fields.push(change(path.join(&below), before, Some(value.clone()), None));
            }
        });
    }
    fields
}

/// What a forced apply of our body would change, by the server's own dry-run; without one, the declared leaves.
fn kubernetes(body: &Value, live: &Live) -> Difference {
    let mut fields = Vec::new();
    let fixed = immutable(live).unwrap_or_default();
    match &live.predicted {
        Some(predicted) if fixed.is_empty() => {
            trees(&live.document, predicted, FieldPath::default(), &mut fields)
        }
        Some(_) | None => collect(body, FieldPath::default(), &mut |path, value| {
            let there = by_path(&live.document, &path);
            if path != CLAIMS && !there.contains(&value) {
                let before = there.first().map(|value| (*value).clone());
                fields.push(change(path, before, Some(value.clone()), None));
            }
        }),
    }
    if fixed.contains(&CLAIMS) {
        fields.extend(claims(body, &live.document));
    }
    fields.extend(headless_no_longer(body, live));
    for field in &mut fields {
        let path = field.path.to_string();
        field.cause = kubernetes_cause(&path).map(str::to_owned);
        field.manager = managed_fields::other_manager(&live.document, &field.path, FIELD_MANAGER);
        // The server speaks of `spec.clusterIPs[0]` where `spec.clusterIP` is declared.
        field.replaces |= fixed.iter().any(|fixed| fixed.starts_with(&path) || path.starts_with(fixed));
    }
    Difference { fields, how: Vec::new() }
}

/// A headless Service that is to have an address: a body without one says nothing to the server, which keeps `None`.
fn headless_no_longer(body: &Value, live: &Live) -> Option<FieldChange> {
    let address = |document: &'_ Value| document.pointer("/spec/clusterIP").cloned();
    let service = body.get("kind").is_some_and(|kind| kind == "Service");
    let headless = address(&live.document).filter(|address| address == "None")?;
    let path = "spec.clusterIP".into();
    (service && address(body).is_none())
        .then(|| FieldChange { replaces: true, ..change(path, Some(headless), None, None) })
}

/// The key of the file behind a field of a Kubernetes object.
fn kubernetes_cause(path: &str) -> Option<&'static str> {
    const CAUSES: [(&str, &str); 33] = [
        ("requests.storage", "spec.exhibitor.storage.persistent.size"),
        ("storageClassName", "spec.exhibitor.storage.persistent.class"),
        ("spec.replicas", "spec.exhibitor.replicas"),
        ("data.size", "spec.exhibitor.replicas"),
        ("spec.schedule", "spec.exhibitor.backup.schedule"),
        ("spec.timeZone", "spec.exhibitor.backup.timeZone"),
        ("gcp-service-account", "spec.exhibitor.backup.googleServiceAccount"),
        ("].imagePullPolicy", "spec.exhibitor.pullPolicy"),
        ("containers[backup].image", "spec.exhibitor.backup.image"),
        ("containers[backup].resources.requests.cpu", "spec.exhibitor.backup.resources.cpu"),
        ("containers[backup].resources", "spec.exhibitor.backup.resources.memory"),
        // Its arguments are one list.
        ("spec.jobTemplate", "spec.exhibitor.backup"),
        ("data[zkprov.yaml]", "spec.exhibitor"),
        ("].image", "spec.exhibitor.image"),
        ("].resources.requests.cpu", "spec.exhibitor.resources.cpu"),
        ("].resources", "spec.exhibitor.resources.memory"),
        ("[POD_NAME]", "spec.exhibitor.settings.backup"),
        ("volumeMounts[backups]", "spec.exhibitor.settings.backup"),
        ("volumes[backups]", "spec.exhibitor.settings.backup"),
        ("volumes[share]", "spec.fileServer"),
        ("affinity", "spec.exhibitor.spread"),
        ("terminationGracePeriodSeconds", "spec.exhibitor.terminationGrace"),
        ("].ports[api]", "spec.exhibitor.apiPort"),
        ("].ports[zk]", "spec.exhibitor.clientPort"),
        ("spec.ports[api]", "spec.exhibitor.apiPort"),
        ("spec.ports[zk]", "spec.exhibitor.clientPort"),
        ("readinessProbe.exec", "spec.exhibitor.clientPort"),
        ("preStop.exec", "spec.exhibitor"),
        ("spec.clusterIP", "spec.exhibitor.exposure"),
        // Ports and client labels in one list.
        ("spec.ingress", "spec.exhibitor"),
        ("metadata.labels[app", ""),
        ("metadata.labels.app", ""),
        ("metadata.labels", "metadata.labels"),
    ];
    CAUSES
        .iter()
        .find(|(part, _)| path.contains(part))
        .map(|(_, cause)| *cause)
        .filter(|cause| !cause.is_empty())
}

/// Leaves of a tree, lists of named objects by name, other lists as one value.
fn collect(value: &Value, path: FieldPath, visit: &mut dyn FnMut(FieldPath, &Value)) {
    match value {
        Value::Object(map) => {
            for (key, child) in map {
                collect(child, path.key(key), visit);
            }
        }
        Value::Array(list) => match list_key(list) {
            Some(key) => {
                for child in list {
                    let name = child.get(key).map(rules::text).unwrap_or_default();
                    collect(child, path.item(&name), visit);
                }
            }
            None => visit(path, value),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => visit(path, value),
    }
}

/// The key that tells the objects of a list apart, if they all have it.
fn list_key(list: &[Value]) -> Option<&'static str> {
    ["name", "key", "mountPath", "containerPort", "port", "topologyKey", "deviceName"].into_iter().find(
        |key| !list.is_empty() && list.iter().all(|item| item.get(key).is_some_and(|key| !key.is_object())),
    )
}

/// The values at a path: several where a list names things twice, as mounts do.
fn by_path<'a>(document: &'a Value, path: &FieldPath) -> Vec<&'a Value> {
    path.segments().iter().fold(vec![document], |found, segment| {
        found.into_iter().flat_map(|value| inside(value, segment)).collect()
    })
}

fn inside<'a>(value: &'a Value, segment: &Segment) -> Vec<&'a Value> {
    match value {
        Value::Object(map) => map.get(segment.name()).into_iter().collect(),
        Value::Array(list) => {
            let key = list_key(list).unwrap_or_default();
            let is_it =
                |item: &&Value| item.get(key).is_some_and(|value| rules::text(value) == segment.name());
            list.iter().filter(is_it).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn trees(before: &Value, after: &Value, path: FieldPath, out: &mut Vec<FieldChange>) {
    if before == after || is_server_owned(&path) {
        return;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                pair(old.get(key), new.get(key), path.key(key), out);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            match list_key(old).filter(|key| list_key(new) == Some(key)) {
                Some(key) => {
                    let name = |item: &Value| item.get(key).map(rules::text).unwrap_or_default();
                    let names: BTreeSet<String> = old.iter().chain(new).map(name).collect();
                    for wanted in names {
                        let item = |list: &'_ [Value]| list.iter().find(|item| name(item) == wanted).cloned();
                        pair(item(old).as_ref(), item(new).as_ref(), path.item(&wanted), out);
                    }
                }
                None => out.push(change(path, Some(before.clone()), Some(after.clone()), None)),
            }
        }
        _ => out.push(change(path, Some(before.clone()), Some(after.clone()), None)),
    }
}

fn pair(before: Option<&Value>, after: Option<&Value>, path: FieldPath, out: &mut Vec<FieldChange>) {
    if is_server_owned(&path) {
        return;
    }
    match (before, after) {
        (Some(before), Some(after)) => trees(before, after, path, out),
        (None, Some(after)) => {
            collect(after, path, &mut |path, value| out.push(change(path, None, Some(value.clone()), None)));
        }
        (Some(before), None) => {
            collect(before, path, &mut |path, value| out.push(change(path, Some(value.clone()), None, None)));
        }
        (None, None) => {}
    }
}
