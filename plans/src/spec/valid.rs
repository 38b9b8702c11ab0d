//! A spec that has passed validation: no options left open, no value that an API would refuse.

use crate::diagnostic::Location;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One `Ensemble` document, valid and complete. Only validation makes one: it is not read from anywhere else.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "unchecked", derive(Deserialize))]
#[non_exhaustive]
pub struct ValidSpec {
    /// `metadata.name`: names the Deployment, the Service and the ensemble; RFC 1035 label, at most 50 characters.
    pub name: String,
    /// `metadata.labels`: copied to every resource that can carry labels; valid Google label keys and values.
    pub labels: BTreeMap<String, String>,
    /// Google Cloud project id; empty only with `cluster.kubeconfig`.
    pub project: String,
    /// The one zone of file server and cluster; empty only with `cluster.kubeconfig`.
    pub zone: String,
    /// Where Exhibitor's shared configuration lives.
    pub file_server: FileServer,
    /// Where the pods run.
    pub cluster: Cluster,
    /// The ensemble itself.
    pub exhibitor: Exhibitor,
    /// What must not go.
    pub protection: Protection,
    /// Where each key of the file stands: `spec.exhibitor.replicas` to its place. Keys left to their default are absent.
    pub origins: BTreeMap<String, Location>,
}

impl ValidSpec {
    /// The region of the zone: `us-east1` for `us-east1-d`.
    #[must_use]
    pub fn region(&self) -> &str {
        self.zone.rsplit_once('-').map_or(self.zone.as_str(), |(region, _)| region)
    }

    /// Host name or address, and export path, that the pods mount.
    ///
    /// A single-node server is named by its zonal DNS name, `VM.ZONE.c.PROJECT.internal`, and a domain-scoped project
    /// `example.com:p` reads `c.p.example.com.internal` there. A Filestore instance gets its address only when it is
    /// created: its place is taken by a reserved range, see [`Filestore::address`].
    #[must_use]
    pub fn share(&self) -> (String, String) {
        match &self.file_server {
            FileServer::SingleNode(vm) => {
                let project = match self.project.split_once(':') {
                    Some((domain, id)) => format!("{id}.{domain}"),
                    None => self.project.clone(),
                };
                (format!("{}.{}.c.{project}.internal", vm.name, vm.zone), vm.path.clone())
            }
            FileServer::Filestore(filestore) => (filestore.address(), format!("/{}", filestore.share)),
            FileServer::External(server) => (server.server.clone(), server.path.clone()),
        }
    }
}

/// Where Exhibitor's shared configuration lives.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "unchecked", derive(Deserialize))]
#[serde(rename_all = "camelCase")]
pub enum FileServer {
    /// A VM of ours that serves one data disk by NFS and SMB.
    SingleNode(SingleNode),
    /// A Filestore instance.
    Filestore(Filestore),
    /// Any NFS server that somebody else runs.
    External(External),
}

/// A VM of ours that serves one data disk by NFS and SMB.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "unchecked", derive(Deserialize))]
#[serde(rename_all = "camelCase")]
pub struct SingleNode {
    /// VM name; default `singlefs-1-vm`. The data disk is `NAME-data`, address and rules begin with it too.
    pub name: String,
    /// Equal to the spec's zone.
    pub zone: String,
    /// Default `n1-standard-1`.
    pub machine_type: String,
    /// Boot image, `projects/P/global/images/[family/]NAME`; default `projects/debian-cloud/global/images/family/debian-13`.
    pub image: String,
    /// Boot disk size in GB (10^9 as Google counts: GiB), default 10.
    pub boot_disk_gb: u32,
    /// Data disk size in GB, default 100, 10 to 65536.
    pub disk_gb: u32,
    /// `pd-standard` (default), `pd-balanced`, `pd-ssd`.
    pub disk_type: String,
    /// Mount point and export path, default `/data`.
    pub path: String,
    /// Serve SMB too; default true.
    pub smb: bool,
    /// NFS uid mapping; default [`Squash::All`].
    pub squash: Squash,
    /// Daily snapshots of the data disk; default none.
    pub snapshots: Option<Snapshots>,
    /// IPv4 CIDRs that may use NFS and SMB besides the cluster's nodes.
    pub allowed_ranges: Vec<String>,
    /// An ephemeral external address, for packages; default true.
    pub external_address: bool,
    /// VPC network, short name or `projects/P/global/networks/N`; default the cluster's, else `default`.
    pub network: String,
    /// Subnetwork, short name or path; `None` for an auto-mode network's own.
    pub subnetwork: Option<String>,
    /// IPv4 CIDRs of the subnetwork's nodes; the script's allow list. Default `10.128.0.0/9`, the auto-mode range.
    pub node_ranges: Vec<String>,
}

/// Which NFS uids become the share's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Squash {
    /// Every uid (default).
    All,
    /// Root alone.
    Root,
    /// None: root in the allowed ranges is root on the disk.
    None,
}

/// Daily snapshots of the data disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "unchecked", derive(Deserialize))]
#[serde(rename_all = "camelCase")]
pub struct Snapshots {
    /// Start of the daily window, UTC, `HH:00`; default `04:00`.
    pub start_time: String,
    /// Days kept, 1 to 65535; default 7.
    pub keep_days: u32,
}

/// A Filestore instance.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "unchecked", derive(Deserialize))]
#[serde(rename_all = "camelCase")]
pub struct Filestore {
    /// Instance name; default `NAME-files`.
    pub name: String,
    /// `BASIC_HDD` (default), `BASIC_SSD`, `ZONAL`, `REGIONAL`, `ENTERPRISE`.
    pub tier: String,
    /// Capacity in GB; default the tier's least.
    pub capacity_gb: u32,
    /// File share name; default `data`.
    pub share: String,
    /// VPC network, short name.
    pub network: String,
    /// The /29 that the instance's address is taken from: fixed in the file so that every document is complete
    /// before the instance exists; default `10.87.0.0/29`.
    pub reserved_range: String,
    /// Zone, or the region for `REGIONAL` and `ENTERPRISE`.
    pub location: String,
}

impl Filestore {
    /// The address the instance gets: the third of its reserved range (`10.87.0.2` of `10.87.0.0/29`), as in every
    /// capture of a basic instance.
    #[must_use]
    pub fn address(&self) -> String {
        let base = self.reserved_range.split('/').next().unwrap_or_default();
        match base.parse::<std::net::Ipv4Addr>() {
            Ok(address) => std::net::Ipv4Addr::from(u32::from(address).saturating_add(2)).to_string(),
            Err(_) => base.to_owned(),
        }
    }
}

/// Any NFS server that somebody else runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "unchecked", derive(Deserialize))]
#[serde(rename_all = "camelCase")]
pub struct External {
    /// Host name or address.
    pub server: String,
    /// Export path, absolute.
    pub path: String,
}

/// Where the pods run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "unchecked", derive(Deserialize))]
#[serde(rename_all = "camelCase")]
pub enum Cluster {
    /// A GKE cluster that zkprov creates, changes and deletes.
    Managed(ManagedCluster),
    /// A GKE cluster that somebody else owns: used, never changed.
    Existing {
        /// Cluster name, in the spec's zone.
        name: String,
    },
    /// Any cluster, by a context of the user's kubeconfig.
    Kubeconfig {
        /// Context name.
        context: String,
    },
}

impl Cluster {
    /// Cluster name, or the kubeconfig context.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Managed(cluster) => &cluster.name,
            Self::Existing { name } => name,
            Self::Kubeconfig { context } => context,
        }
    }
}

/// A GKE cluster that zkprov owns, with its one node pool `default-pool`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "unchecked", derive(Deserialize))]
#[serde(rename_all = "camelCase")]
pub struct ManagedCluster {
    /// Default `cluster-1`.
    pub name: String,
    /// Nodes in the pool, 1 to 1000; default the replicas, at least 3.
    pub node_count: u32,
    /// Default `e2-medium`.
    pub machine_type: String,
    /// Node disk in GB, default 100.
    pub disk_gb: u32,
    /// Node disk type, default `pd-balanced`.
    pub disk_type: String,
    /// A fixed master version (`1.33.5-gke.100` or `1.33`); excludes `release_channel` other than `UNSPECIFIED`.
    pub version: Option<String>,
    /// `RAPID`, `REGULAR` (default), `STABLE`, `UNSPECIFIED`.
    pub release_channel: String,
    /// VPC network, short name or path; default `default`.
    pub network: String,
    /// Subnetwork, short name or path.
    pub subnetwork: Option<String>,
    /// Nodes without external addresses; default false.
    pub private_nodes: bool,
    /// Resource labels beside the ensemble's.
    pub labels: BTreeMap<String, String>,
}

/// The ensemble.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "unchecked", derive(Deserialize))]
#[serde(rename_all = "camelCase")]
pub struct Exhibitor {
    /// Declared voters: odd, 1 to 9.
    pub replicas: u32,
    /// Kubernetes namespace, default `default`.
    pub namespace: String,
    /// Default `mbabineau/zookeeper-exhibitor:latest`.
    pub image: String,
    /// `IfNotPresent` (default), `Always`, `Never`.
    pub pull_policy: String,
    /// CPU and memory, Kubernetes quantities.
    pub resources: Resources,
    /// ZooKeeper's heap in MiB, default 256.
    pub heap_mib: u32,
    /// Further options of ZooKeeper's JVM, one space between two; empty by default.
    #[serde(default)]
    pub jvm_options: String,
    /// A znode of ours shows at each step that restarts members that nothing is lost; default true.
    #[serde(default)]
    pub canary: bool,
    /// Exhibitor's settings.
    pub settings: Settings,
    /// Client port, default 2181.
    pub client_port: u16,
    /// Exhibitor's REST port, default 8181.
    pub api_port: u16,
    /// Which Service clients use.
    pub exposure: Exposure,
    /// Render a NetworkPolicy; default true.
    pub network_policy: bool,
    /// Labels that a client pod must carry to reach port 2181; empty: any pod of the namespace's cluster.
    pub client_labels: BTreeMap<String, String>,
    /// Render a PodDisruptionBudget with `maxUnavailable: 1`; default true.
    pub disruption_budget: bool,
    /// How hard pods avoid each other's nodes; default [`Spread::Preferred`].
    pub spread: Spread,
    /// Seconds a pod has to stop, default 30.
    pub termination_grace_seconds: u32,
    /// Where members keep their data; default [`Storage::Ephemeral`].
    pub storage: Storage,
    /// Backups on a schedule.
    #[serde(default)]
    pub backup: Option<BackupSchedule>,
}

/// Backups on a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "unchecked", derive(Deserialize))]
#[serde(rename_all = "camelCase")]
pub struct BackupSchedule {
    /// Five fields of cron, or a word such as `@daily`.
    pub schedule: String,
    /// Name in the IANA's database, default `Etc/UTC`.
    pub time_zone: String,
    /// How many are kept, 1 to 10000, default 14.
    pub keep: u32,
    /// Where they are kept; default [`BackupPlace::FileServer`].
    pub to: BackupPlace,
    /// Image with zkprov.
    pub image: String,
    /// Google service account of the job, for a bucket.
    pub google_service_account: Option<String>,
    /// CPU and memory of the job; default `250m` and `1Gi`.
    pub resources: Resources,
}

/// Where scheduled backups are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "unchecked", derive(Deserialize))]
#[serde(rename_all = "camelCase")]
pub enum BackupPlace {
    /// `backups/NAME` of the share that holds Exhibitor's configuration (default).
    FileServer,
    /// `gs://BUCKET[/PREFIX]`
    Bucket(String),
}

/// Where members keep their data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "unchecked", derive(Deserialize))]
#[serde(rename_all = "camelCase")]
pub enum Storage {
    /// In their pods: a Deployment, as in the tutorial. A pod that is lost is replaced by an empty one (default).
    Ephemeral,
    /// On a volume each: a StatefulSet. A pod that is lost comes back under its name, with its data.
    Persistent(Volume),
}

impl Storage {
    /// The volume of each member, if members have volumes.
    #[must_use]
    pub const fn volume(&self) -> Option<&Volume> {
        match self {
            Self::Ephemeral => None,
            Self::Persistent(volume) => Some(volume),
        }
    }
}

/// The volume of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "unchecked", derive(Deserialize))]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Size in GB (10^9 as Google counts: GiB), default 10, 1 to 65536.
    pub size_gb: u32,
    /// Storage class; `None` for the cluster's default.
    pub class: Option<String>,
    /// What becomes of the volume of a member that leaves for good; default [`Retention::Keep`].
    pub retention: Retention,
}

/// What becomes of the volume of a member that leaves for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Retention {
    /// It is kept (default).
    Keep,
    /// It is deleted, by a planned step.
    Delete,
}

/// CPU and memory of the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "unchecked", derive(Deserialize))]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// Request, e.g. `250m`.
    pub cpu: String,
    /// Request and limit, e.g. `1Gi`.
    pub memory: String,
}

/// Exhibitor's shared settings. Times in milliseconds, as Exhibitor counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "unchecked", derive(Deserialize))]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// How often Exhibitor looks at its ZooKeeper; default 30000, the image's own.
    pub check_ms: u32,
    /// How long statuses must be steady before Exhibitor changes membership; more than twice `check_ms`, default 180000.
    pub settling_ms: u32,
    /// How often old logs are removed; default 300000.
    pub cleanup_period_ms: u32,
    /// Snapshots kept by the clean-up; default 20.
    pub cleanup_max_files: u32,
    /// Lines for zoo.cfg; `tickTime`, `initLimit`, `syncLimit`, `quorumListenOnAllIPs` have defaults.
    pub zoo_cfg: BTreeMap<String, String>,
    /// Log backup of Exhibitor.
    pub backup: Option<Backup>,
}

/// Exhibitor's own transaction-log backup, to a node-local directory of each member.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "unchecked", derive(Deserialize))]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// How often, default 600000.
    pub period_ms: u32,
    /// How long copies are kept, default 21600000.
    pub max_store_ms: u32,
}

/// Which Service clients use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Exposure {
    /// `ClusterIP` with ports `zk` and `api` (default).
    ClusterIp,
    /// Headless: DNS answers with the serving members' addresses.
    Headless,
    /// An internal load balancer for port 2181 only, beside the ClusterIP.
    Internal,
}

/// How hard pods avoid each other's nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Spread {
    /// One member a node, or it stays pending.
    Required,
    /// One member a node where there are enough (default).
    Preferred,
    /// Wherever the scheduler likes.
    None,
}

/// What must not go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "unchecked", derive(Deserialize))]
#[serde(rename_all = "camelCase")]
pub struct Protection {
    /// `destroy` refuses.
    pub destroy: bool,
    /// Nothing that holds data may be deleted or replaced, not even with `--delete-data` or `--replace`; default false:
    /// each of these flags is a consent of its own.
    pub data: bool,
}
