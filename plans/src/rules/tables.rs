//! The tables. One row a declared field; sources: the update methods of Compute Engine v1, GKE v1 and Filestore v1.

use super::Compare::{Enum, Exact, Flag, Items, Keys, Link, LinkSet, Presence, Set, Version};
use super::How::{self, InputOnly, Replace};
use super::{Compare, Rule};

const fn rule(path: &'static str, compare: Compare, how: How, cause: &'static str) -> Rule {
    Rule { path, compare, how, cause }
}

const VM: &str = "spec.fileServer.singleNode";

pub(super) const ADDRESS: &[Rule] = &[
    rule("name", Exact, InputOnly, ""),
    rule("addressType", Exact, Replace, ""),
    rule("purpose", Exact, Replace, ""),
    rule("subnetwork", Link, Replace, "spec.fileServer.singleNode.subnetwork"),
    rule("network", Link, Replace, "spec.fileServer.singleNode.network"),
    rule("description", Exact, Replace, ""),
    rule("labels", Keys, How::SetLabels, "metadata.labels"),
];

pub(super) const DISK: &[Rule] = &[
    rule("name", Exact, InputOnly, ""),
    rule("sizeGb", Exact, How::ResizeDisk, "spec.fileServer.singleNode.disk.size"),
    rule("type", Link, Replace, "spec.fileServer.singleNode.disk.type"),
    rule("description", Exact, Replace, ""),
    rule("labels", Keys, How::SetLabels, "metadata.labels"),
    rule("resourcePolicies", LinkSet, How::SetDiskPolicies, "spec.fileServer.singleNode.snapshots"),
];

pub(super) const SNAPSHOT_SCHEDULE: &[Rule] = &[
    rule("name", Exact, InputOnly, ""),
    rule("description", Exact, How::PatchSnapshotSchedule, ""),
    rule(
        "snapshotSchedulePolicy.schedule.dailySchedule.daysInCycle",
        Exact,
        How::PatchSnapshotSchedule,
        "spec.fileServer.singleNode.snapshots",
    ),
    rule(
        "snapshotSchedulePolicy.schedule.dailySchedule.startTime",
        Exact,
        How::PatchSnapshotSchedule,
        "spec.fileServer.singleNode.snapshots.startTime",
    ),
    rule(
        "snapshotSchedulePolicy.retentionPolicy",
        Keys,
        How::PatchSnapshotSchedule,
        "spec.fileServer.singleNode.snapshots.keepDays",
    ),
    rule("snapshotSchedulePolicy.snapshotProperties", Keys, How::PatchSnapshotSchedule, "metadata.labels"),
];

pub(super) const FIREWALL: &[Rule] = &[
    rule("name", Exact, InputOnly, ""),
    rule("direction", Exact, Replace, ""),
    rule("network", Link, How::PatchFirewall, "spec.fileServer.singleNode.network"),
    rule("priority", Exact, How::PatchFirewall, ""),
    rule("description", Exact, How::PatchFirewall, ""),
    rule("disabled", Flag, How::PatchFirewall, ""),
    rule("allowed", Set, How::PatchFirewall, "spec.fileServer.singleNode.smb"),
    rule("denied", Set, How::PatchFirewall, "spec.fileServer.singleNode.smb"),
    rule("sourceRanges", Set, How::PatchFirewall, "spec.fileServer.singleNode.allowedRanges"),
    rule("sourceTags", Set, How::PatchFirewall, "spec.cluster.name"),
    rule("targetTags", Set, How::PatchFirewall, ""),
    rule("logConfig", Flag, How::PatchFirewall, ""),
];

pub(super) const INSTANCE: &[Rule] = &[
    rule("name", Exact, InputOnly, ""),
    rule("machineType", Link, How::SetMachineType, "spec.fileServer.singleNode.machineType"),
    rule("description", Exact, InputOnly, ""),
    rule("labels", Keys, How::SetLabels, "metadata.labels"),
    rule("tags.items", Set, How::SetTags, VM),
    rule("metadata.items", Items, How::SetMetadata, VM),
    rule("deletionProtection", Flag, How::SetDeletionProtection, "spec.protection.destroy"),
    rule("networkInterfaces[].network", Link, Replace, "spec.fileServer.singleNode.network"),
    rule("networkInterfaces[].subnetwork", Link, Replace, "spec.fileServer.singleNode.subnetwork"),
    rule("networkInterfaces[].networkIP", Exact, InputOnly, ""),
    rule(
        "networkInterfaces[].accessConfigs",
        Presence,
        How::SetAccessConfig,
        "spec.fileServer.singleNode.externalAddress",
    ),
    rule("networkInterfaces[].stackType", Exact, Replace, ""),
    // Attached at creation. The boot image is never given back; the data disk is a resource of its own.
    rule("disks", Set, InputOnly, ""),
    rule("scheduling", Keys, InputOnly, ""),
    rule("serviceAccounts", Set, InputOnly, ""),
    rule("shieldedInstanceConfig", Keys, InputOnly, ""),
    rule("canIpForward", Flag, Replace, ""),
];

pub(super) const FILESTORE: &[Rule] = &[
    rule("name", Exact, InputOnly, ""),
    rule("tier", Exact, Replace, "spec.fileServer.filestore.tier"),
    rule("description", Exact, How::PatchFilestore("description"), ""),
    rule("labels", Keys, How::PatchFilestore("labels"), "metadata.labels"),
    rule("fileShares[].name", Exact, Replace, "spec.fileServer.filestore.share"),
    rule(
        "fileShares[].capacityGb",
        Exact,
        How::PatchFilestore("fileShares"),
        "spec.fileServer.filestore.capacity",
    ),
    rule("networks[].network", Link, Replace, "spec.fileServer.filestore.network"),
    rule("networks[].modes", Set, Replace, ""),
    rule("networks[].connectMode", Exact, InputOnly, ""),
    rule("networks[].reservedIpRange", Exact, Replace, "spec.fileServer.filestore.reservedRange"),
];

pub(super) const CLUSTER: &[Rule] = &[
    rule("name", Exact, InputOnly, ""),
    rule("description", Exact, InputOnly, ""),
    rule("network", Link, Replace, "spec.cluster.network"),
    rule("subnetwork", Link, Replace, "spec.cluster.subnetwork"),
    // What GKE makes of these is its own (it forces VPC-native, chooses the ranges).
    rule("ipAllocationPolicy", Keys, InputOnly, ""),
    rule(
        "releaseChannel.channel",
        Enum("UNSPECIFIED"),
        How::UpdateCluster("desiredReleaseChannel"),
        "spec.cluster.releaseChannel",
    ),
    // Compared with the version the master has now, see `diff::live_value`.
    rule(
        "initialClusterVersion",
        Version,
        How::UpdateCluster("desiredMasterVersion"),
        "spec.cluster.version",
    ),
    rule("resourceLabels", Keys, How::SetLabels, "spec.cluster.labels"),
    rule("privateClusterConfig.enablePrivateNodes", Flag, Replace, "spec.cluster.privateNodes"),
    rule("privateClusterConfig", Keys, InputOnly, "spec.cluster.privateNodes"),
    rule("networkConfig.defaultEnablePrivateNodes", Flag, Replace, "spec.cluster.privateNodes"),
    rule("shieldedNodes", Flag, InputOnly, ""),
    rule("workloadIdentityConfig", Keys, InputOnly, ""),
    // The pool is a resource of its own; its body travels with the cluster's at creation.
    rule("nodePools", Set, InputOnly, ""),
];

pub(super) const NODE_POOL: &[Rule] = &[
    rule("name", Exact, InputOnly, ""),
    rule("initialNodeCount", Exact, How::SetNodePoolSize, "spec.cluster.nodeCount"),
    rule("config.machineType", Exact, How::UpdateNodePool("machineType"), "spec.cluster.machineType"),
    rule("config.diskSizeGb", Exact, How::UpdateNodePool("diskSizeGb"), "spec.cluster.disk.size"),
    rule("config.diskType", Exact, How::UpdateNodePool("diskType"), "spec.cluster.disk.type"),
    rule("config.tags", Set, How::UpdateNodePool("tags"), ""),
    rule("config.labels", Keys, How::UpdateNodePool("labels"), "metadata.labels"),
    rule("config.resourceLabels", Keys, How::UpdateNodePool("resourceLabels"), "metadata.labels"),
    rule("config.oauthScopes", Set, Replace, ""),
    rule("config.shieldedInstanceConfig", Keys, InputOnly, ""),
    rule("config.metadata", Keys, InputOnly, ""),
    rule("networkConfig.enablePrivateNodes", Flag, Replace, "spec.cluster.privateNodes"),
    rule("management", Keys, InputOnly, ""),
];
