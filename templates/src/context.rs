//! What templates see: the spec, and the names and links derived from it. Never live state.

use crate::naming;
use serde::Serialize;
use std::collections::BTreeMap;
use zkprov_plans::document::{
    BACKUP_LABEL, ENSEMBLE_LABEL, GENERATION_METADATA, KUBE_ENSEMBLE_LABEL, OWNER_MARK, STORAGE_LABEL,
};
use zkprov_plans::labels::record;
use zkprov_plans::spec::{
    BackupPlace, Exhibitor, FileServer, Filestore, ManagedCluster, Protection, SingleNode, Squash, Storage,
    ValidSpec, Volume,
};

/// The variables of every template.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Context<'a> {
    /// Name of the ensemble.
    name: &'a str,
    project: &'a str,
    zone: &'a str,
    region: &'a str,
    /// Labels of Google resources: the file's and the ensemble's.
    labels: BTreeMap<String, String>,
    /// Ends with the ensemble's name; marks what can carry no label.
    description: String,
    /// The single-node file server, when there is one; none otherwise.
    vm: Option<Vm<'a>>,
    filestore: Option<&'a Filestore>,
    /// The cluster, when it is ours; none otherwise.
    cluster: Option<Gke<'a>>,
    exhibitor: &'a Exhibitor,
    kube: Kube<'a>,
    share: Share,
    protection: Protection,
    /// The rendered start-up script; empty until it is there.
    startup_script: &'a str,
    /// Digest of the start-up script; the VM reports with it.
    generation: &'a str,
    /// Key of the metadata item that holds it.
    generation_key: &'static str,
}

/// A single-node file server with its links.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Vm<'a> {
    #[serde(flatten)]
    spec: &'a SingleNode,
    data_disk: String,
    data_device: &'a str,
    snapshot_schedule: String,
    firewall_allow: String,
    firewall_deny: String,
    network_path: String,
    subnetwork_path: String,
    /// TCP ports of NFS, and of SMB when it is served.
    ports: Vec<&'a str>,
    /// Network tags that may use them.
    source_tags: Vec<String>,
    /// IPv4 ranges that may use them.
    source_ranges: Vec<&'a str>,
    /// What the server's own allow list holds.
    client_ranges: Vec<&'a str>,
}

/// A cluster of ours with its links.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Gke<'a> {
    #[serde(flatten)]
    spec: &'a ManagedCluster,
    pool: &'a str,
    node_tag: String,
    network_path: String,
    subnetwork_path: Option<String>,
    /// The cluster's own labels on top of the ensemble's.
    resource_labels: BTreeMap<String, String>,
}

/// Names and labels inside the cluster.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Kube<'a> {
    config_map: String,
    internal_service: String,
    members_service: String,
    /// The volume of each member; none where members keep their data in their pods.
    volume: Option<&'a Volume>,
    /// Name of the volume in the pods.
    data_volume: &'a str,
    admission_policy: String,
    apply_set: String,
    /// What the ApplySet has objects of, as its specification writes it.
    apply_set_kinds: String,
    /// Name of everything that scheduled backups are made of.
    backup: String,
    /// Label of their pods; they carry none that a Service selects.
    backup_label: &'a str,
    /// The bucket that they are kept in; none for the file server.
    backup_bucket: Option<&'a str>,
    /// Whether the share belongs to whoever writes to it; else only the members' own user may.
    everybody_writes: bool,
    /// Label that carries the ensemble's name.
    ensemble_label: &'a str,
    /// Label of pods with volumes.
    storage_label: &'a str,
    /// Labels of objects that live outside namespaces.
    labels: BTreeMap<&'a str, String>,
    /// Labels of objects in the namespace: members of the ApplySet.
    member_labels: BTreeMap<&'a str, String>,
}

/// The NFS share.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Share {
    server: String,
    path: String,
}

/// NFS with its helpers on fixed ports: portmapper, nfsd, mountd, statd, lockd.
const NFS_PORTS: [&str; 5] = ["111", "2049", "20048", "32765", "32803"];
const SMB_PORT: &str = "445";

/// `KIND.GROUP`, sorted, with commas between.
fn apply_set_kinds(spec: &ValidSpec) -> String {
    let mut kinds = vec!["NetworkPolicy.networking.k8s.io", "PodDisruptionBudget.policy", "Service"];
    match spec.exhibitor.storage {
        Storage::Ephemeral => kinds.push("Deployment.apps"),
        Storage::Persistent(_) => kinds.extend(["PersistentVolumeClaim", "StatefulSet.apps"]),
    }
    if spec.exhibitor.backup.is_some() {
        kinds.extend([
            "ConfigMap",
            "CronJob.batch",
            "Role.rbac.authorization.k8s.io",
            "RoleBinding.rbac.authorization.k8s.io",
            "ServiceAccount",
        ]);
    }
    kinds.sort_unstable();
    kinds.join(",")
}

/// The labels of a Google resource that has some of its own: with the file's, and with what tells later whose they are. The
/// ensemble's label says who owns the resource: nothing overrides it.
fn google_labels(spec: &ValidSpec, own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut labels = own.clone();
    labels.extend(spec.labels.clone());
    let record = record(labels.keys().map(String::as_str));
    labels.extend(record);
    labels.insert(ENSEMBLE_LABEL.to_owned(), spec.name.clone());
    labels
}

impl<'a> Context<'a> {
    pub(crate) fn new(spec: &'a ValidSpec) -> Self {
        let (server, path) = spec.share();
        let (vm, filestore) = match &spec.file_server {
            FileServer::SingleNode(vm) => (Some(Vm::new(spec, vm)), None),
            FileServer::Filestore(filestore) => (None, Some(filestore)),
            FileServer::External(_) => (None, None),
        };
        Self {
            name: &spec.name,
            project: &spec.project,
            zone: &spec.zone,
            region: spec.region(),
            description: format!("{OWNER_MARK}{}", spec.name),
            vm,
            filestore,
            cluster: naming::managed(spec).map(|cluster| Gke::new(spec, cluster)),
            labels: google_labels(spec, &BTreeMap::new()),
            exhibitor: &spec.exhibitor,
            kube: Kube::new(spec),
            share: Share { server, path },
            protection: spec.protection,
            startup_script: "",
            generation: "",
            generation_key: GENERATION_METADATA,
        }
    }

    /// The same with the start-up script in place.
    pub(crate) fn with_script<'b>(self, script: &'b str, generation: &'b str) -> Context<'b>
    where
        'a: 'b,
    {
        Context { startup_script: script, generation, ..self }
    }
}

impl<'a> Vm<'a> {
    fn new(spec: &'a ValidSpec, vm: &'a SingleNode) -> Self {
        let own = naming::managed(spec);
        let allowed = || vm.allowed_ranges.iter().map(String::as_str);
        let nodes = || vm.node_ranges.iter().map(String::as_str);
        Self {
            data_disk: naming::data_disk(vm),
            data_device: naming::DATA_DEVICE,
            snapshot_schedule: naming::snapshot_schedule(vm),
            firewall_allow: naming::firewall_allow(vm),
            firewall_deny: naming::firewall_deny(vm),
            network_path: naming::network_path(&spec.project, &vm.network),
            subnetwork_path: naming::subnetwork_path(spec, &vm.network, vm.subnetwork.as_deref()),
            ports: NFS_PORTS.into_iter().chain(vm.smb.then_some(SMB_PORT)).collect(),
            source_tags: own.map(naming::node_tag).into_iter().collect(),
            // Nodes that are not ours carry no tag of ours: their subnetwork's range stands for them.
            source_ranges: if own.is_some() {
                allowed().collect()
            } else {
                nodes().chain(allowed()).collect()
            },
            client_ranges: nodes().chain(allowed()).collect(),
            spec: vm,
        }
    }
}

impl<'a> Gke<'a> {
    fn new(spec: &'a ValidSpec, cluster: &'a ManagedCluster) -> Self {
        let subnetwork = cluster.subnetwork.as_deref();
        Self {
            spec: cluster,
            pool: naming::NODE_POOL,
            node_tag: naming::node_tag(cluster),
            network_path: naming::network_path(&spec.project, &cluster.network),
            subnetwork_path: subnetwork
                .map(|short| naming::subnetwork_path(spec, &cluster.network, Some(short))),
            resource_labels: google_labels(spec, &cluster.labels),
        }
    }
}

impl<'a> Kube<'a> {
    fn new(spec: &'a ValidSpec) -> Self {
        let own = [
            ("app", spec.name.clone()),
            ("app.kubernetes.io/managed-by", "zkprov".to_owned()),
            (KUBE_ENSEMBLE_LABEL, spec.name.clone()),
        ];
        let labels: BTreeMap<&str, String> =
            spec.labels.iter().map(|(key, value)| (key.as_str(), value.clone())).chain(own).collect();
        let mut member_labels = labels.clone();
        member_labels.insert("applyset.kubernetes.io/part-of", naming::apply_set(spec));
        Self {
            config_map: naming::config_map(spec),
            internal_service: naming::internal_service(spec),
            members_service: naming::members_service(spec),
            volume: spec.exhibitor.storage.volume(),
            data_volume: naming::DATA_VOLUME,
            admission_policy: naming::admission_policy(spec),
            apply_set: naming::apply_set(spec),
            apply_set_kinds: apply_set_kinds(spec),
            backup: naming::backup(spec),
            backup_label: BACKUP_LABEL,
            backup_bucket: spec.exhibitor.backup.as_ref().and_then(|backup| match &backup.to {
                BackupPlace::FileServer => None,
                BackupPlace::Bucket(bucket) => Some(bucket.as_str()),
            }),
            everybody_writes: match &spec.file_server {
                FileServer::SingleNode(vm) => vm.squash == Squash::All,
                FileServer::Filestore(_) | FileServer::External(_) => false,
            },
            ensemble_label: KUBE_ENSEMBLE_LABEL,
            storage_label: STORAGE_LABEL,
            labels,
            member_labels,
        }
    }
}
