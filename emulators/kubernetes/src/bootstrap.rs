//! What a new cluster holds, and the objects of its nodes.

use super::addresses::Addresses;
use super::clock;
use super::deletion::{self, DeleteOptions};
use super::kind::Kind;
use super::managers::Actor;
use super::registry::{Registry, Write};
use super::tree;
use crate::views::Node;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A node as the cluster keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NodeSpec {
    /// Its name.
    pub(super) name: String,
    /// Its number, for the addresses of its pods; never used again.
    number: u32,
}

/// A seed that is always the same for the same text.
pub(super) fn seed(text: &str) -> u64 {
    Sha256::digest(text).iter().take(8).fold(0, |seed, byte| (seed << 8) | u64::from(*byte))
}

/// Namespaces, service accounts and the API server's own service.
pub(super) fn fill(registry: &mut Registry<'_>) {
    let write = Write::by("kube-apiserver");
    let mut make = |kind: Kind, object: Value| {
        // The objects are ours and valid; a refusal would only leave one out.
        drop(registry.create(kind, object, &write));
    };
    for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        make(Kind::Namespace, json!({"metadata": {"name": name}}));
        make(Kind::ServiceAccount, json!({"metadata": {"name": "default", "namespace": name}}));
    }
    let address = Addresses::api_server();
    make(
        Kind::Service,
        json!({
            "metadata": {"name": "kubernetes", "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"}},
            "spec": {"type": "ClusterIP", "clusterIP": address, "clusterIPs": [address],
                "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 443}]},
        }),
    );
}

/// Makes the nodes stand, and no others. Returns what to keep.
pub(super) fn sync_nodes(
    registry: &mut Registry<'_>,
    known: Vec<NodeSpec>,
    nodes: &[Node],
    version: &str,
) -> Vec<NodeSpec> {
    let mut next = known.iter().map(|node| node.number + 1).max().unwrap_or(0);
    let mut kept = Vec::new();
    for node in nodes {
        let number = known.iter().find(|old| old.name == node.name).map(|old| old.number);
        if number.is_none() {
            let own = if node.version.is_empty() { version } else { &node.version };
            let object = node_object(node, next, own, registry);
            drop(registry.create(Kind::Node, object.clone(), &Write::by("kubelet")));
            registry.commit(
                Kind::Node,
                with_status(registry, object, node),
                &Actor::through("kubelet", "status"),
            );
        }
        let number = number.unwrap_or_else(|| {
            next += 1;
            next - 1
        });
        cordon(registry, node);
        kept.push(NodeSpec { name: node.name.clone(), number });
    }
    for gone in known.iter().filter(|old| !nodes.iter().any(|node| node.name == old.name)) {
        drop(deletion::delete(registry, Kind::Node, "", &gone.name, &DeleteOptions::plain()));
    }
    kept
}

/// Lets no new pods onto a node that is to go.
fn cordon(registry: &mut Registry<'_>, node: &Node) {
    let Some(stored) = registry.store.get(Kind::Node, "", &node.name) else { return };
    if node.draining.is_some() && !tree::is_true(stored, "/spec/unschedulable") {
        let mut stored = stored.clone();
        tree::put(&mut stored, "/spec/unschedulable", true);
        registry.commit(Kind::Node, stored, &Actor::new("gke-upgrade"));
    }
}

/// The stored node with the status of the new one.
fn with_status(registry: &Registry<'_>, object: Value, node: &Node) -> Value {
    let Some(stored) = registry.store.get(Kind::Node, "", &node.name) else { return object };
    let mut stored = stored.clone();
    tree::carry(&object, &mut stored, "/status");
    stored
}

/// CPU cores and memory in KiB of a machine type, as far as names tell.
fn capacity(machine_type: &str) -> (u32, u64) {
    let cores = machine_type.rsplit('-').next().and_then(|text| text.parse().ok());
    match machine_type {
        "e2-micro" => (2, 1_000_000),
        "e2-small" => (2, 2_000_000),
        "e2-medium" => (2, 4_015_476),
        _ => {
            let cores: u32 = cores.unwrap_or(2);
            (cores, u64::from(cores) * 3_840_000)
        }
    }
}

fn node_object(node: &Node, number: u32, version: &str, registry: &Registry<'_>) -> Value {
    let since = clock::seconds(registry.now);
    let (cores, memory) = capacity(&node.machine_type);
    let region = node.zone.rsplit_once('-').map_or(node.zone.as_str(), |(region, _)| region);
    let range = registry.addresses.pod_range(number);
    let condition = |ty: &str, status: &str, reason: &str, message: &str| {
        json!({"type": ty, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": since, "lastTransitionTime": since})
    };
    let mut object = json!({
        "kind": "Node", "apiVersion": "v1",
        "metadata": {"name": node.name, "labels": {
            "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux",
            "cloud.google.com/gke-nodepool": pool(node),
            "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux",
            "node.kubernetes.io/instance-type": node.machine_type,
            "topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": node.zone,
        }},
        "spec": {"podCIDR": range, "podCIDRs": [range],
            "providerID": format!("gce://{}/{}/{}", node.project, node.zone, node.name)},
        "status": {
            "addresses": [{"type": "InternalIP", "address": node.ip}, {"type": "Hostname", "address": node.name}],
            "capacity": {"cpu": cores.to_string(), "memory": format!("{memory}Ki"), "pods": "110"},
            "allocatable": {"cpu": format!("{}m", cores * 1000 - 60), "memory": format!("{}Ki", memory * 7 / 10),
                "pods": "110"},
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory",
                    "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ],
            "nodeInfo": {"architecture": "amd64", "operatingSystem": "linux", "kubeletVersion": format!("v{version}"),
                "kubeProxyVersion": format!("v{version}"), "osImage": "Container-Optimized OS from Google",
                "kernelVersion": "6.6.87+", "containerRuntimeVersion": "containerd://2.0.4"},
        },
    });
    for (key, value) in &node.labels {
        tree::put(&mut object, &format!("/metadata/labels/{}", tree::escape(key)), value.as_str());
    }
    object
}

/// The node pool, from the name of the instance group: `gke-CLUSTER-POOL-HASH-grp`.
fn pool(node: &Node) -> String {
    node.labels.get("cloud.google.com/gke-nodepool").cloned().unwrap_or_else(|| "default-pool".to_owned())
}
