//! What the emulators say of themselves to each other: GKE's nodes are VMs, its clusters have Kubernetes APIs, and pods mount what
//! file servers export.

use crate::api::{ClusterKey, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a share goes by, of `SERVER:PATH`: the same address is another server's in another network.
#[must_use]
pub fn share_name(network: &str, mount: &str) -> String {
    format!("{network} {mount}")
}

/// A directory that some server of this world exports by NFS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The network that it is in, `projects/P/global/networks/N`.
    pub network: String,
    /// Every name and address the server is reached by.
    pub names: Vec<String>,
    /// Export path.
    pub path: String,
    /// Whether it answers now.
    pub up: bool,
}

/// A running GKE cluster as the rest of the world needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterView {
    /// `PROJECT/LOCATION/NAME`
    pub key: ClusterKey,
    /// Kubernetes version, `1.33.5-gke.100`.
    pub version: String,
    /// The network that its nodes and pods are in, `projects/P/global/networks/N`.
    pub network: String,
    /// Range of its pods' addresses, `10.8.0.0/14`; no other cluster of the network has one of them.
    pub pod_range: String,
    /// What enforces its network policies.
    pub policies: PolicyEngine,
    /// Zones in which nodes come as pods need them, when the nodes are GKE's business: an Autopilot cluster's.
    pub autopilot: Option<Vec<String>>,
    /// Node names with their internal addresses.
    pub nodes: Vec<Node>,
}

/// What enforces the network policies of a cluster. GKE's documentation, "Control communication between Pods using network
/// policies": Dataplane V2 does, and so does the network policy add-on; without either they change nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyEngine {
    /// Nothing does: the API keeps them.
    #[default]
    None,
    /// The network policy add-on.
    Calico,
    /// Dataplane V2.
    Cilium,
}

/// A node of a GKE cluster, which is a VM too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// VM and node name.
    pub name: String,
    /// Project of the VM.
    pub project: String,
    /// Zone of the VM.
    pub zone: String,
    /// Internal address.
    pub ip: String,
    /// Machine type, short name.
    pub machine_type: String,
    /// Network tags.
    pub tags: Vec<String>,
    /// Name of the instance group manager that owns it.
    pub group: String,
    /// Labels of the VM.
    pub labels: BTreeMap<String, String>,
    /// Since when its pods are to be evicted, because it is being replaced.
    pub draining: Option<Time>,
    /// Kubernetes version of a fresh node of its pool.
    #[serde(default)]
    pub version: String,
}
