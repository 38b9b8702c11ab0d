//! Where the pods run.

use super::{Context, or, quantity};
use crate::spec::{Cluster, ManagedCluster, file, quantity::disk_gb};

/// Nodes of a cluster of ours when the file does not say: one for each member, and never fewer than this.
const MIN_DEFAULT_NODES: u32 = 3;
/// Least and most of a node's disk, in GB.
const NODE_DISK: std::ops::RangeInclusive<u32> = 10..=65_536;

pub(super) fn complete(given: file::Cluster, replicas: u32, context: &mut Context<'_>) -> Cluster {
    let existing = given.existing == Some(true);
    if given.kubeconfig.is_some() || context.places.has("spec.cluster.kubeconfig") {
        refuse_others(
            &["kubeconfig"],
            "a cluster of a kubeconfig is used as it is, and never changed",
            context,
        );
        let context_name = given.kubeconfig.and_then(|kubeconfig| kubeconfig.context).unwrap_or_default();
        return Cluster::Kubeconfig { context: context_name };
    }
    let name = or(given.name.clone(), "cluster-1");
    if existing {
        refuse_others(
            &["name", "existing"],
            "an existing cluster is used as it is, and never changed",
            context,
        );
        return Cluster::Existing { name };
    }
    Cluster::Managed(managed(given, name, replicas, context))
}

/// Everything but the keys named says how to make a cluster, which this one is not ours to be.
fn refuse_others(allowed: &[&str], reason: &str, context: &mut Context<'_>) {
    let all = [
        "name",
        "existing",
        "kubeconfig",
        "nodeCount",
        "machineType",
        "disk",
        "version",
        "releaseChannel",
        "network",
        "subnetwork",
        "privateNodes",
        "labels",
    ];
    for key in all.into_iter().filter(|key| !allowed.contains(key)) {
        let path = format!("spec.cluster.{key}");
        if context.places.has(&path) {
            let owner = allowed.last().copied().unwrap_or_default();
            context.error(
                &path,
                "conflicting-keys",
                format!("`{key}` cannot stand beside `{owner}`"),
                &format!("With `{owner}`, {reason}."),
                format!("remove `{key}`, or remove `{owner}`"),
            );
        }
    }
}

fn managed(given: file::Cluster, name: String, replicas: u32, context: &mut Context<'_>) -> ManagedCluster {
    let disk = given.disk.unwrap_or_default();
    let disk_gb = quantity(disk.size, disk_gb, 100);
    super::file_server::check_size("spec.cluster.disk.size", disk_gb, &NODE_DISK, context);
    let fixed = given.version.is_some();
    let release_channel = or(given.release_channel, if fixed { "UNSPECIFIED" } else { "REGULAR" });
    if let (Some(version), true) = (&given.version, release_channel != "UNSPECIFIED") {
        context.error(
            "spec.cluster.version",
            "version-and-channel",
            format!("version `{version}` and release channel `{release_channel}` exclude each other"),
            "A channel upgrades the cluster by itself: the version would be undone, and fought over at each apply.",
            "remove `version`, or write `releaseChannel: UNSPECIFIED`".to_owned(),
        );
    }
    ManagedCluster {
        name,
        node_count: given.node_count.unwrap_or(replicas.max(MIN_DEFAULT_NODES)),
        machine_type: or(given.machine_type, "e2-medium"),
        disk_gb,
        disk_type: or(disk.disk_type, "pd-balanced"),
        version: given.version,
        release_channel,
        network: or(given.network, "default"),
        subnetwork: given.subnetwork,
        private_nodes: given.private_nodes.unwrap_or(false),
        labels: given.labels,
    }
}
