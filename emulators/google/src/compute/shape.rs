//! What an instance's document looks like: defaults, and fields read back.

use super::disks::each_attached;
use super::failure::Failure;
use super::operations::{fields_of, set};
use super::route::{link, relative};
use super::{Document, fingerprint};
use serde_json::{Value, json};

/// Adds what every instance has.
pub(super) fn complete(instance: &mut Document) {
    for (field, value) in [
        ("canIpForward", false),
        ("deletionProtection", false),
        ("startRestricted", false),
        ("satisfiesPzi", true),
    ] {
        instance.entry(field).or_insert_with(|| value.into());
    }
    let given = instance.remove("scheduling").unwrap_or_default();
    instance.insert("scheduling".into(), scheduling(given));
    let shielded = shielded_config(instance.remove("shieldedInstanceConfig"));
    let integrity = json!({ "updateAutoLearnPolicy": true });
    let tags = instance.remove("tags").and_then(|tags| tags.get("items").cloned());
    set(
        instance,
        [
            ("shieldedVmConfig", shielded.clone()),
            ("shieldedVmIntegrityPolicy", integrity.clone()),
            ("shieldedInstanceConfig", shielded),
            ("shieldedInstanceIntegrityPolicy", integrity),
            ("tags", tags_of(tags)),
            (
                "resourceStatus",
                json!({ "effectiveInstanceMetadata": { "vmDnsSettingMetadataValue": "ZonalOnly" }, "scheduling": {} }),
            ),
        ],
    );
}

/// The defaults of the three switches.
pub(super) fn shielded_config(given: Option<Value>) -> Value {
    let mut config = fields_of(given.unwrap_or_default());
    for (field, value) in
        [("enableIntegrityMonitoring", true), ("enableSecureBoot", false), ("enableVtpm", true)]
    {
        config.entry(field).or_insert_with(|| value.into());
    }
    Value::Object(config)
}

/// Scheduling with its defaults; preemptible machines have other ones.
pub(super) fn scheduling(given: Value) -> Value {
    let mut given = fields_of(given);
    given.retain(|_, value| value.as_str() != Some("") && !value.as_array().is_some_and(Vec::is_empty));
    let preemptible = given.get("preemptible").and_then(Value::as_bool).unwrap_or(false);
    given.entry("automaticRestart").or_insert_with(|| (!preemptible).into());
    given
        .entry("onHostMaintenance")
        .or_insert_with(|| if preemptible { "TERMINATE" } else { "MIGRATE" }.into());
    given.entry("preemptible").or_insert_with(|| false.into());
    if !preemptible {
        given.entry("provisioningModel").or_insert_with(|| "STANDARD".into());
    }
    Value::Object(given)
}

/// Tags with their fingerprint; no empty list.
pub(super) fn tags_of(items: Option<Value>) -> Value {
    match items.filter(|items| items.as_array().is_some_and(|items| !items.is_empty())) {
        Some(items) => json!({ "fingerprint": fingerprint(&items), "items": items }),
        None => json!({ "fingerprint": fingerprint(&Value::Null) }),
    }
}

/// Metadata with its fingerprint; no empty list.
///
/// # Errors
/// When a key is not good or there twice.
pub(super) fn metadata_of(given: Option<Value>) -> Result<Value, Failure> {
    let items = given.and_then(|given| given.get("items").cloned());
    let items = items.filter(|items| items.as_array().is_some_and(|items| !items.is_empty()));
    let mut keys: Vec<&str> = Vec::new();
    for item in items.as_ref().and_then(Value::as_array).map_or(&[][..], Vec::as_slice) {
        let key = item.get("key").and_then(Value::as_str).unwrap_or_default();
        let good = !key.is_empty()
            && key.len() <= 128
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !good {
            let why = "Must be a match of regex '[a-zA-Z0-9-_]{1,128}'";
            return Err(Failure::invalid("resource.metadata.items.key", key, why));
        }
        if keys.contains(&key) {
            return Err(Failure::invalid("resource.metadata", key, "Duplicate metadata key."));
        }
        keys.push(key);
    }
    let print = fingerprint(items.as_ref().unwrap_or(&json!([])));
    Ok(match items {
        Some(items) => json!({ "kind": "compute#metadata", "fingerprint": print, "items": items }),
        None => json!({ "kind": "compute#metadata", "fingerprint": print }),
    })
}

/// The value of a metadata item.
pub(super) fn metadata_item<'a>(instance: &'a Document, key: &str) -> Option<&'a str> {
    let items = instance.get("metadata")?.get("items")?.as_array()?;
    items.iter().find(|item| item.get("key").and_then(Value::as_str) == Some(key))?.get("value")?.as_str()
}

/// A disk as an instance shows it.
pub(super) fn attached_disk(given: &Document, path: &str, disk: &Document, index: usize) -> Document {
    let mut attached = given.clone();
    attached.remove("initializeParams");
    attached.remove("forceAttach");
    for field in ["architecture", "guestOsFeatures", "licenses"] {
        if let Some(value) = disk.get(field) {
            attached.insert(field.into(), value.clone());
        }
    }
    for (field, value) in [
        ("autoDelete", Value::from(false)),
        ("boot", false.into()),
        ("deviceName", format!("persistent-disk-{index}").into()),
        ("interface", "SCSI".into()),
        ("mode", "READ_WRITE".into()),
    ] {
        attached.entry(field).or_insert(value);
    }
    set(
        &mut attached,
        [
            ("diskSizeGb", disk.get("sizeGb").cloned().unwrap_or_default()),
            ("index", index.into()),
            ("kind", "compute#attachedDisk".into()),
            ("source", link(path).into()),
            ("type", "PERSISTENT".into()),
        ],
    );
    attached
}

/// Relative paths of the attached disks, and whether each goes with the instance.
pub(super) fn attached_sources(instance: &Document) -> Vec<(String, bool)> {
    let mut sources = Vec::new();
    each_attached(&mut instance.clone(), |disk| {
        if let Some(path) = disk.get("source").and_then(Value::as_str).and_then(relative) {
            sources.push((path.to_owned(), disk.get("autoDelete").and_then(Value::as_bool) == Some(true)));
        }
    });
    sources
}

/// The instance's own fingerprint follows its content.
pub(super) fn set_fingerprint(instance: &mut Document) {
    instance.remove("fingerprint");
    let print = fingerprint(&Value::Object(instance.clone()));
    instance.insert("fingerprint".into(), print.into());
}

pub(super) fn internal_ip_of(instance: &Document) -> Option<String> {
    instance.get("networkInterfaces")?.get(0)?.get("networkIP")?.as_str().map(str::to_owned)
}

pub(super) fn nat_ip_of(instance: &Document) -> Option<String> {
    let config = instance.get("networkInterfaces")?.get(0)?.get("accessConfigs")?.get(0)?;
    config.get("natIP")?.as_str().map(str::to_owned)
}
