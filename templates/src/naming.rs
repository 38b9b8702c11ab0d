//! The names zkprov gives to what it makes. They are all the state it keeps: a name never depends on anything but
//! the file.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zkprov_plans::spec::{Cluster, ManagedCluster, SingleNode, ValidSpec};

/// The one node pool of a cluster that zkprov creates.
pub const NODE_POOL: &str = "default-pool";

/// Device name of the data disk: the guest finds it as `/dev/disk/by-id/google-data`.
pub const DATA_DEVICE: &str = "data";

/// The data disk.
#[must_use]
pub fn data_disk(vm: &SingleNode) -> String {
    format!("{}-data", vm.name)
}

/// The snapshot schedule of the data disk.
#[must_use]
pub fn snapshot_schedule(vm: &SingleNode) -> String {
    format!("{}-daily", vm.name)
}

/// The firewall rule that lets nodes and declared ranges in.
#[must_use]
pub fn firewall_allow(vm: &SingleNode) -> String {
    format!("{}-allow", vm.name)
}

/// The firewall rule that keeps everybody else out.
#[must_use]
pub fn firewall_deny(vm: &SingleNode) -> String {
    format!("{}-deny", vm.name)
}

/// The network tag of the nodes of a cluster that zkprov creates.
#[must_use]
pub fn node_tag(cluster: &ManagedCluster) -> String {
    format!("{}-nodes", cluster.name)
}

/// The ConfigMap that holds the declared size and is the ApplySet's parent.
#[must_use]
pub fn config_map(spec: &ValidSpec) -> String {
    format!("{}-ensemble", spec.name)
}

/// What scheduled backups are made of: CronJob, ConfigMap, and who they run as with what it may.
#[must_use]
pub fn backup(spec: &ValidSpec) -> String {
    format!("{}-backup", spec.name)
}

/// The internal load balancer's Service.
#[must_use]
pub fn internal_service(spec: &ValidSpec) -> String {
    format!("{}-internal", spec.name)
}

/// The headless Service that gives members with volumes their names.
#[must_use]
pub fn members_service(spec: &ValidSpec) -> String {
    format!("{}-members", spec.name)
}

/// The name of the volume among those of a member's pod, and the first part of its claim's name.
pub const DATA_VOLUME: &str = "data";

/// The claim of a member's volume, as the StatefulSet's controller looks for it; `ordinal` counts from 0.
#[must_use]
pub fn volume_claim(spec: &ValidSpec, ordinal: u32) -> String {
    format!("{DATA_VOLUME}-{}-{ordinal}", spec.name)
}

/// The admission policy and its binding, which live outside namespaces. Neither part can hold a dot, so two
/// ensembles never share a name.
#[must_use]
pub fn admission_policy(spec: &ValidSpec) -> String {
    format!("odd-replicas.{}.{}.zkprov.dev", spec.name, spec.exhibitor.namespace)
}

/// The id of the ApplySet as its specification derives it: from name, namespace, kind and group of the parent.
#[must_use]
pub fn apply_set(spec: &ValidSpec) -> String {
    let parent = format!("{}.{}.ConfigMap.", config_map(spec), spec.exhibitor.namespace);
    format!("applyset-{}-v1", BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(parent.as_bytes())))
}

/// `projects/P/global/networks/N` for a short name; a path stays.
pub(crate) fn network_path(project: &str, network: &str) -> String {
    if network.contains('/') {
        network.to_owned()
    } else {
        format!("projects/{project}/global/networks/{network}")
    }
}

/// The project that a network belongs to, and with it its firewall rules: with a shared VPC, the host project.
pub(crate) fn network_project<'a>(project: &'a str, network: &'a str) -> &'a str {
    let path = network.strip_prefix("projects/").and_then(|path| path.split_once('/'));
    path.map_or(project, |(owner, _)| owner)
}

/// `projects/P/regions/R/subnetworks/S` for a short name; a path stays. Without one, the subnetwork that an auto-mode
/// network has in the region: it bears the network's name.
pub(crate) fn subnetwork_path(spec: &ValidSpec, network: &str, subnetwork: Option<&str>) -> String {
    let network = network_path(&spec.project, network);
    let (owner, short) = match network.split_once("/global/networks/") {
        Some((owner, short)) => (owner, short),
        None => ("", network.as_str()),
    };
    match subnetwork {
        Some(path) if path.contains('/') => path.to_owned(),
        // A short name is looked up beside the network: with a shared VPC, in the host project.
        Some(short) => format!("{owner}/regions/{}/subnetworks/{short}", spec.region()),
        None => format!("{owner}/regions/{}/subnetworks/{short}", spec.region()),
    }
}

/// First 16 hexadecimal digits of the text's SHA-256.
pub(crate) fn digest16(text: &str) -> String {
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}

/// The cluster, when it is ours.
pub(crate) fn managed(spec: &ValidSpec) -> Option<&ManagedCluster> {
    match &spec.cluster {
        Cluster::Managed(cluster) => Some(cluster),
        Cluster::Existing { .. } | Cluster::Kubeconfig { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::tutorial;

    #[test]
    fn links_are_expanded_and_paths_kept() {
        let spec = tutorial();
        let sub = |network: &str, subnetwork| subnetwork_path(&spec, network, subnetwork);
        assert_eq!(sub("default", None), "projects/my-project/regions/us-east1/subnetworks/default");
        assert_eq!(sub("vpc", Some("a")), "projects/my-project/regions/us-east1/subnetworks/a");
        assert_eq!(
            sub("projects/host/global/networks/v", Some("a")),
            "projects/host/regions/us-east1/subnetworks/a"
        );
        assert_eq!(
            sub("vpc", Some("projects/h/regions/r/subnetworks/s")),
            "projects/h/regions/r/subnetworks/s"
        );
        assert_eq!(network_project("p", "vpc"), "p");
        assert_eq!(network_project("p", "projects/host/global/networks/v"), "host");
        assert_eq!(network_path("p", "projects/host/global/networks/v"), "projects/host/global/networks/v");
    }

    /// `kubectl apply --applyset=configmap/exhibitor-ensemble` computes the same.
    #[test]
    fn the_apply_set_id_follows_the_specification() {
        let id = apply_set(&tutorial());
        assert_eq!(id.len(), "applyset-".len() + 43 + "-v1".len());
        // printf exhibitor-ensemble.default.ConfigMap. | openssl dgst -sha256 -binary | basenc --base64url | tr -d =
        assert_eq!(id, "applyset-Bz39eHL_613pmtFO0U0B34wZ35jS2YEQp2S23qnDSyw-v1");
    }
}
