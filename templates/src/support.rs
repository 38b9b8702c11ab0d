//! Specs for the unit tests.

use std::collections::BTreeMap;
use zkprov_plans::spec::{
    Cluster, Exhibitor, Exposure, FileServer, ManagedCluster, Protection, Resources, Settings, SingleNode,
    Spread, Squash, ValidSpec,
};

/// The tutorial's spec, every default filled in.
pub(crate) fn tutorial() -> ValidSpec {
    ValidSpec {
        name: "exhibitor".into(),
        labels: BTreeMap::new(),
        project: "my-project".into(),
        zone: "us-east1-d".into(),
        file_server: FileServer::SingleNode(SingleNode {
            name: "singlefs-1-vm".into(),
            zone: "us-east1-d".into(),
            machine_type: "n1-standard-1".into(),
            image: "projects/debian-cloud/global/images/family/debian-13".into(),
            boot_disk_gb: 10,
            disk_gb: 100,
            disk_type: "pd-standard".into(),
            path: "/data".into(),
            smb: true,
            squash: Squash::All,
            snapshots: None,
            allowed_ranges: vec![],
            external_address: true,
            network: "default".into(),
            subnetwork: None,
            node_ranges: vec!["10.128.0.0/9".into()],
        }),
        cluster: Cluster::Managed(ManagedCluster {
            name: "cluster-1".into(),
            node_count: 3,
            machine_type: "e2-medium".into(),
            disk_gb: 100,
            disk_type: "pd-balanced".into(),
            version: None,
            release_channel: "REGULAR".into(),
            network: "default".into(),
            subnetwork: None,
            private_nodes: false,
            labels: BTreeMap::new(),
        }),
        exhibitor: Exhibitor {
            replicas: 3,
            namespace: "default".into(),
            image: "mbabineau/zookeeper-exhibitor:latest".into(),
            pull_policy: "IfNotPresent".into(),
            resources: Resources { cpu: "250m".into(), memory: "1Gi".into() },
            heap_mib: 256,
            settings: Settings {
                check_ms: 30_000,
                settling_ms: 180_000,
                cleanup_period_ms: 300_000,
                cleanup_max_files: 20,
                zoo_cfg: [
                    ("tickTime", "2000"),
                    ("initLimit", "10"),
                    ("syncLimit", "5"),
                    ("quorumListenOnAllIPs", "true"),
                ]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
                backup: None,
            },
            client_port: 2181,
            api_port: 8181,
            exposure: Exposure::ClusterIp,
            network_policy: true,
            client_labels: BTreeMap::new(),
            disruption_budget: true,
            spread: Spread::Preferred,
            termination_grace_seconds: 30,
        },
        protection: Protection { destroy: false, data: true },
        origins: BTreeMap::new(),
    }
}
