//! The `Ensemble` document as people write it: every optional key optional, every value still to be judged.
//!
//! These types are the one description of the file. Their JSON Schema ([`schema`]) is what editors use and what
//! [`load`](super::load) checks a document against, key by key; a document that passes deserialises into them.
//! A string's `format` names its rule in the module `formats`, which both keep to.

use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

use super::formats;

/// The only `apiVersion`.
pub const API_VERSION: &str = "zkprov.dev/v1";
/// The only `kind`.
pub const KIND: &str = "Ensemble";

/// A ZooKeeper ensemble supervised by Exhibitor on Google Kubernetes Engine, with the file server that holds its shared
/// configuration.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    /// Always `zkprov.dev/v1`.
    #[schemars(required, extend("const" = API_VERSION))]
    pub api_version: Option<String>,
    /// Always `Ensemble`.
    #[schemars(required, extend("const" = KIND))]
    pub kind: Option<String>,
    /// Name and labels of the ensemble.
    pub metadata: Option<Metadata>,
    /// What is wanted.
    #[schemars(required)]
    pub spec: Option<Spec>,
}

/// Name and labels of the ensemble.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Names the ensemble, its Deployment and its Service: lower-case letters, digits and hyphens, at most 50.
    #[schemars(extend("format" = "ensemble-name", "default" = "exhibitor"))]
    pub name: Option<String>,
    /// Labels for every resource that can carry them; valid as Google Cloud labels and as Kubernetes labels.
    #[serde(default)]
    #[schemars(schema_with = "labels")]
    pub labels: BTreeMap<String, String>,
}

/// What is wanted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Google Cloud project id. Without it, `--project` or `GOOGLE_CLOUD_PROJECT` says it.
    #[schemars(extend("format" = "project"))]
    pub project: Option<String>,
    /// The one zone of file server and cluster, such as `us-east1-d`.
    #[schemars(extend("format" = "zone"))]
    pub zone: Option<String>,
    /// Where Exhibitor's shared configuration lives: one of `singleNode` (default), `filestore` and `external`.
    pub file_server: Option<FileServer>,
    /// Where the pods run.
    pub cluster: Option<Cluster>,
    /// The ensemble itself.
    #[schemars(required)]
    pub exhibitor: Option<Exhibitor>,
    /// What must not go.
    pub protection: Option<Protection>,
}

/// Where Exhibitor's shared configuration lives: exactly one of the three.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct FileServer {
    /// A VM that serves one data disk by NFS and SMB; `{}` takes every default.
    pub single_node: Option<SingleNode>,
    /// A Filestore instance (NFS only).
    pub filestore: Option<Filestore>,
    /// Any NFS server that somebody else runs.
    pub external: Option<External>,
}

/// A VM that serves one data disk by NFS and SMB.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SingleNode {
    /// VM name, at most 50 characters; the data disk is `NAME-data`.
    #[schemars(extend("format" = "ensemble-name", "default" = "singlefs-1-vm"))]
    pub name: Option<String>,
    /// The spec's zone, if said again.
    #[schemars(extend("format" = "zone"))]
    pub zone: Option<String>,
    /// Compute Engine machine type.
    #[schemars(extend("format" = "machine-type", "default" = "n1-standard-1"))]
    pub machine_type: Option<String>,
    /// Boot image: `projects/P/global/images/NAME` or `projects/P/global/images/family/NAME`.
    #[schemars(extend("format" = "boot-image", "default" = "projects/debian-cloud/global/images/family/debian-13"))]
    pub image: Option<String>,
    /// The boot disk.
    pub boot_disk: Option<BootDisk>,
    /// The data disk.
    pub disk: Option<DataDisk>,
    /// Mount point and export path.
    #[schemars(extend("format" = "path", "default" = "/data"))]
    pub path: Option<String>,
    /// Serve SMB beside NFS.
    #[schemars(extend("default" = true))]
    pub smb: Option<bool>,
    /// Which NFS uids become the share's owner.
    #[schemars(extend("default" = "all"))]
    pub squash: Option<super::Squash>,
    /// Daily snapshots of the data disk; none without this key, `{}` takes the defaults.
    pub snapshots: Option<Snapshots>,
    /// IPv4 ranges (CIDR) that may use NFS and SMB besides the cluster's nodes.
    #[serde(default)]
    #[schemars(schema_with = "ranges")]
    pub allowed_ranges: Option<Vec<String>>,
    /// An ephemeral external address, so that the VM can install packages.
    #[schemars(extend("default" = true))]
    pub external_address: Option<bool>,
    /// VPC network, name or `projects/P/global/networks/NAME`; the cluster's by default.
    #[schemars(extend("format" = "network"))]
    pub network: Option<String>,
    /// Subnetwork, name or `projects/P/regions/R/subnetworks/NAME`.
    #[schemars(extend("format" = "subnetwork"))]
    pub subnetwork: Option<String>,
    /// IPv4 ranges (CIDR) of the cluster's nodes; `10.128.0.0/9`, the auto-mode range, by default.
    #[serde(default)]
    #[schemars(schema_with = "ranges")]
    pub node_ranges: Option<Vec<String>>,
}

/// The boot disk of the file server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BootDisk {
    /// Size with its unit.
    #[schemars(extend("format" = "disk-size", "default" = "10GB"))]
    pub size: Option<String>,
}

/// The data disk of the file server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataDisk {
    /// Size with its unit; a disk only ever grows.
    #[schemars(extend("format" = "disk-size", "default" = "100GB"))]
    pub size: Option<String>,
    /// Persistent disk type.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["pd-standard", "pd-balanced", "pd-ssd"], "default" = "pd-standard"))]
    pub disk_type: Option<String>,
}

/// Daily snapshots of the data disk.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Snapshots {
    /// Start of the daily window in UTC, on the hour.
    #[schemars(extend("format" = "hour", "default" = "04:00"))]
    pub start_time: Option<String>,
    /// Days a snapshot is kept.
    #[schemars(range(min = 1, max = 65535), extend("default" = 7))]
    pub keep_days: Option<u32>,
}

/// A Filestore instance.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filestore {
    /// Instance name; the ensemble's with `-files` by default.
    #[schemars(extend("format" = "resource-name"))]
    pub name: Option<String>,
    /// Service tier.
    #[schemars(extend("enum" = ["BASIC_HDD", "BASIC_SSD", "ZONAL", "REGIONAL", "ENTERPRISE"], "default" = "BASIC_HDD"))]
    pub tier: Option<String>,
    /// Capacity with its unit; the tier's least by default.
    #[schemars(extend("format" = "disk-size"))]
    pub capacity: Option<String>,
    /// File share name: letters, digits and underscores, at most 16.
    #[schemars(extend("format" = "share-name", "default" = "data"))]
    pub share: Option<String>,
    /// VPC network, short name.
    #[schemars(extend("format" = "network"))]
    pub network: Option<String>,
    /// The /29 that the instance's address is taken from.
    #[schemars(extend("format" = "cidr", "default" = "10.87.0.0/29"))]
    pub reserved_range: Option<String>,
    /// The spec's zone (or its region for `REGIONAL` and `ENTERPRISE`), if said again.
    #[schemars(extend("format" = "location"))]
    pub location: Option<String>,
}

/// Any NFS server that somebody else runs: Red Hat Gluster, Avere, another VM.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct External {
    /// Host name or address.
    #[schemars(required, extend("format" = "host"))]
    pub server: Option<String>,
    /// Export path, absolute.
    #[schemars(required, extend("format" = "path"))]
    pub path: Option<String>,
}

/// Where the pods run: a GKE cluster of ours, an existing one, or any cluster of a kubeconfig.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    /// Cluster name, at most 40 characters.
    #[schemars(extend("format" = "cluster-name", "default" = "cluster-1"))]
    pub name: Option<String>,
    /// Use a cluster that zkprov does not own, and never change it.
    #[schemars(extend("default" = false))]
    pub existing: Option<bool>,
    /// Use a cluster outside GKE, with `fileServer.external`.
    pub kubeconfig: Option<Kubeconfig>,
    /// Nodes in the pool; the replicas by default, at least 3.
    #[schemars(range(min = 1, max = 1000))]
    pub node_count: Option<u32>,
    /// Compute Engine machine type of the nodes.
    #[schemars(extend("format" = "machine-type", "default" = "e2-medium"))]
    pub machine_type: Option<String>,
    /// Disk of each node.
    pub disk: Option<NodeDisk>,
    /// A fixed version, such as `"1.33"` or `1.33.5-gke.100`; not together with a release channel.
    #[schemars(extend("format" = "gke-version"))]
    pub version: Option<String>,
    /// GKE release channel; `UNSPECIFIED` with a fixed version.
    #[schemars(extend("enum" = ["RAPID", "REGULAR", "STABLE", "UNSPECIFIED"], "default" = "REGULAR"))]
    pub release_channel: Option<String>,
    /// VPC network, name or `projects/P/global/networks/NAME`.
    #[schemars(extend("format" = "network", "default" = "default"))]
    pub network: Option<String>,
    /// Subnetwork, name or `projects/P/regions/R/subnetworks/NAME`.
    #[schemars(extend("format" = "subnetwork"))]
    pub subnetwork: Option<String>,
    /// Nodes without external addresses.
    #[schemars(extend("default" = false))]
    pub private_nodes: Option<bool>,
    /// Resource labels beside the ensemble's.
    #[serde(default)]
    #[schemars(schema_with = "labels")]
    pub labels: BTreeMap<String, String>,
}

/// A cluster of the user's kubeconfig.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kubeconfig {
    /// Context name.
    #[schemars(required, extend("format" = "line"))]
    pub context: Option<String>,
}

/// Disk of each node.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeDisk {
    /// Size with its unit.
    #[schemars(extend("format" = "disk-size", "default" = "100GB"))]
    pub size: Option<String>,
    /// Persistent disk type.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["pd-standard", "pd-balanced", "pd-ssd"], "default" = "pd-balanced"))]
    pub disk_type: Option<String>,
}

/// The ensemble itself.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exhibitor {
    /// Members of the ensemble: odd, 1 to 9; 1 needs `allowSingle: true`.
    #[schemars(required, schema_with = "replicas")]
    pub replicas: Option<u32>,
    /// Accept an ensemble of one, which no member can leave without an outage.
    #[schemars(extend("default" = false))]
    pub allow_single: Option<bool>,
    /// Kubernetes namespace.
    #[schemars(extend("format" = "namespace", "default" = "default"))]
    pub namespace: Option<String>,
    /// Container image.
    #[schemars(extend("format" = "container-image", "default" = "mbabineau/zookeeper-exhibitor:latest"))]
    pub image: Option<String>,
    /// When the kubelet pulls the image.
    #[schemars(extend("enum" = ["IfNotPresent", "Always", "Never"], "default" = "IfNotPresent"))]
    pub pull_policy: Option<String>,
    /// CPU and memory of the container.
    pub resources: Option<Resources>,
    /// ZooKeeper's heap with its unit.
    #[schemars(extend("format" = "heap", "default" = "256MiB"))]
    pub heap: Option<String>,
    /// Further options of ZooKeeper's JVM, with spaces between them.
    #[schemars(extend("format" = "jvm-options", "default" = ""))]
    pub jvm_options: Option<String>,
    /// Exhibitor's shared settings.
    pub settings: Option<Settings>,
    /// Write the znode `/zkprov` before each step that restarts members, and read it on every member after it.
    #[schemars(extend("default" = true))]
    pub canary: Option<bool>,
    /// ZooKeeper's client port.
    #[schemars(range(min = 1, max = 65535), extend("default" = 2181))]
    pub client_port: Option<u16>,
    /// Exhibitor's REST port, as the image has it; never exposed outside the cluster.
    #[schemars(range(min = 1, max = 65535), extend("default" = 8181))]
    pub api_port: Option<u16>,
    /// Which Service clients use.
    #[schemars(extend("default" = "clusterIp"))]
    pub exposure: Option<super::Exposure>,
    /// Render a NetworkPolicy that lets clients reach ZooKeeper only.
    #[schemars(extend("default" = true))]
    pub network_policy: Option<bool>,
    /// Labels that a client pod must carry to reach ZooKeeper; none: any pod.
    #[serde(default)]
    #[schemars(schema_with = "kube_labels")]
    pub client_labels: BTreeMap<String, String>,
    /// Render a PodDisruptionBudget that lets one member go at a time.
    #[schemars(extend("default" = true))]
    pub disruption_budget: Option<bool>,
    /// How hard members avoid each other's nodes.
    #[schemars(extend("default" = "preferred"))]
    pub spread: Option<super::Spread>,
    /// Time a pod has to stop, in whole seconds.
    #[schemars(extend("format" = "duration", "default" = "30s"))]
    pub termination_grace: Option<String>,
    /// Where members keep their data: one of `ephemeral` (default) and `persistent`.
    pub storage: Option<Storage>,
    /// Backups on a schedule; none without this key.
    pub backup: Option<BackupSchedule>,
}

/// Backups on a schedule: a CronJob that runs `zkprov backup`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackupSchedule {
    /// When, as cron writes it: minute, hour, day of the month, month, day of the week.
    #[schemars(required, extend("format" = "cron"))]
    pub schedule: Option<String>,
    /// Time zone of the schedule, a name of the IANA's database.
    #[schemars(extend("format" = "time-zone", "default" = "Etc/UTC"))]
    pub time_zone: Option<String>,
    /// How many backups are kept; older ones go after each new one.
    #[schemars(range(min = 1, max = 10000), extend("default" = 14))]
    pub keep: Option<u32>,
    /// Where they are kept: `fileServer`, in `backups/NAME` of its share, or `gs://BUCKET[/PREFIX]`.
    #[schemars(extend("format" = "backup-place", "default" = "fileServer"))]
    pub to: Option<String>,
    /// Container image with `zkprov` in it; `images/zkprov` builds one.
    #[schemars(required, extend("format" = "container-image"))]
    pub image: Option<String>,
    /// Google service account that writes to the bucket, by Workload Identity: `NAME@PROJECT.iam.gserviceaccount.com`.
    #[schemars(extend("format" = "google-service-account"))]
    pub google_service_account: Option<String>,
    /// CPU and memory of the job: it holds the files of one member's data, and all znodes.
    pub resources: Option<Resources>,
}

/// Where members keep their data: exactly one of the two.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct Storage {
    /// In their pods, as in the tutorial: `{}`. All pods gone at once means all data gone.
    pub ephemeral: Option<Ephemeral>,
    /// On a volume each, under names that stay; `{}` takes every default.
    pub persistent: Option<Persistent>,
}

/// Data in the pods; nothing to set.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ephemeral {}

/// A volume for each member.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Persistent {
    /// Size with its unit; a volume only ever grows.
    #[schemars(extend("format" = "disk-size", "default" = "10GB"))]
    pub size: Option<String>,
    /// Storage class; the cluster's default without this key. It cannot change later.
    #[schemars(extend("format" = "storage-class"))]
    pub class: Option<String>,
    /// What becomes of the volume of a member that leaves for good.
    #[schemars(extend("default" = "keep"))]
    pub retention: Option<super::Retention>,
}

/// CPU and memory of the container, as Kubernetes quantities.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// CPU request in millicores.
    #[schemars(extend("format" = "cpu", "default" = "250m"))]
    pub cpu: Option<String>,
    /// Memory request and limit.
    #[schemars(extend("format" = "memory", "default" = "1Gi"))]
    pub memory: Option<String>,
}

/// Exhibitor's shared settings.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// How often Exhibitor looks at its ZooKeeper.
    #[schemars(extend("format" = "duration", "default" = "30s"))]
    pub check: Option<String>,
    /// How long statuses must be steady before Exhibitor changes membership; more than twice `check`.
    #[schemars(extend("format" = "duration", "default" = "180s"))]
    pub settling: Option<String>,
    /// How often old logs are removed.
    #[schemars(extend("format" = "duration", "default" = "5m"))]
    pub cleanup_period: Option<String>,
    /// Snapshots kept by the clean-up.
    #[schemars(range(min = 1, max = 10000), extend("default" = 20))]
    pub cleanup_max_files: Option<u32>,
    /// Lines for zoo.cfg, beside those that zkprov and Exhibitor write.
    #[serde(default)]
    #[schemars(schema_with = "zoo_cfg")]
    pub zoo_cfg: BTreeMap<String, Value>,
    /// Exhibitor's own transaction-log backup; none without this key, `{}` takes the defaults.
    pub backup: Option<Backup>,
}

/// Exhibitor's own transaction-log backup.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backup {
    /// How often.
    #[schemars(extend("format" = "duration", "default" = "10m"))]
    pub period: Option<String>,
    /// How long copies are kept.
    #[schemars(extend("format" = "duration", "default" = "6h"))]
    pub max_store: Option<String>,
}

/// What must not go.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Protection {
    /// `destroy` refuses.
    #[schemars(extend("default" = false))]
    pub destroy: Option<bool>,
    /// Nothing that holds data may be deleted or replaced, not even with `--delete-data` or `--replace`.
    #[schemars(extend("default" = false))]
    pub data: Option<bool>,
}

fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": { "format": "label-key" },
        "additionalProperties": { "type": "string", "format": "label-value" },
    })
}

fn kube_labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": { "format": "kube-label-key" },
        "additionalProperties": { "type": "string", "format": "kube-label-value" },
    })
}

fn zoo_cfg(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": { "format": "zoo-cfg-key" },
        "additionalProperties": { "type": ["string", "integer", "boolean"], "format": "line" },
    })
}

fn ranges(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "string", "format": "source-range" } })
}

/// The sizes are an `enum` so that an editor offers them; why 4 is none of them is said by `load`.
fn replicas(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "enum": [1, 3, 5, 7, 9] })
}

/// The JSON Schema (draft 7) of one document, for editors: `additionalProperties: false`, enums, ranges, patterns and
/// defaults.
#[must_use]
pub fn schema() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let generator = settings.with_transform(RecursiveTransform(tidy)).into_generator();
    generator.into_root_schema_for::<Document>().to_value()
}

/// Optional means left out, never `null`; a description is one line; and a named format brings its pattern.
fn tidy(schema: &mut Schema) {
    unwrap_nullable(schema);
    if let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    let pattern = schema.get("format").and_then(Value::as_str).and_then(formats::pattern);
    if let Some(pattern) = pattern {
        // A variable may stand for any text.
        schema.insert("pattern".to_owned(), Value::from(format!(r"{pattern}|\$\{{env:")));
    }
}

/// Turns `anyOf: [X, null]` into X, keeping the outer description.
fn unwrap_nullable(schema: &mut Schema) {
    let Some(Value::Array(variants)) = schema.get("anyOf") else { return };
    let mut kept = variants.iter().filter(|variant| variant.get("type").is_none_or(|name| name != "null"));
    let (Some(Value::Object(inner)), None) = (kept.next().cloned(), kept.next()) else { return };
    schema.remove("anyOf");
    for (key, value) in inner {
        if schema.get(&key).is_none() {
            schema.insert(key, value);
        }
    }
}
