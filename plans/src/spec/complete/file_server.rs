//! Where Exhibitor's shared configuration lives.

use super::{Context, or, quantity};
use crate::spec::quantity::disk_gb;
use crate::spec::{Cluster, External, FileServer, Filestore, SingleNode, Snapshots, Squash, file};
use std::ops::RangeInclusive;

/// Least and most of a boot or data disk, in GB.
const DISK: RangeInclusive<u32> = 10..=65_536;
/// The addresses of nodes in an auto-mode network.
const AUTO_MODE_RANGE: &str = "10.128.0.0/9";

/// A Filestore tier: its least and greatest capacity in GB, and whether it lives in a region.
struct Tier {
    name: &'static str,
    capacity: RangeInclusive<u32>,
    regional: bool,
}

const TIERS: [Tier; 5] = [
    Tier { name: "BASIC_HDD", capacity: 1024..=65_433, regional: false },
    Tier { name: "BASIC_SSD", capacity: 2560..=65_433, regional: false },
    Tier { name: "ZONAL", capacity: 1024..=102_400, regional: false },
    Tier { name: "REGIONAL", capacity: 100..=102_400, regional: true },
    Tier { name: "ENTERPRISE", capacity: 1024..=10_240, regional: true },
];

/// What the file server has to fit to.
pub(super) struct Surroundings<'a> {
    /// Name of the ensemble.
    pub ensemble: &'a str,
    /// The spec's zone; empty when it is missing, wrong or not needed.
    pub zone: &'a str,
    pub cluster: &'a Cluster,
}

impl Surroundings<'_> {
    fn network(&self) -> (&str, Option<&str>) {
        match self.cluster {
            Cluster::Managed(managed) => (&managed.network, managed.subnetwork.as_deref()),
            Cluster::Existing { .. } | Cluster::Kubeconfig { .. } => ("default", None),
        }
    }
}

const KINDS: [&str; 3] = ["singleNode", "filestore", "external"];

pub(super) fn complete(
    given: Option<file::FileServer>,
    around: &Surroundings<'_>,
    context: &mut Context<'_>,
) -> FileServer {
    check_kinds(given.is_some(), around.cluster, context);
    let given = given.unwrap_or_default();
    match given {
        file::FileServer { external: Some(external), .. } => FileServer::External(External {
            server: external.server.unwrap_or_default(),
            path: external.path.unwrap_or_default(),
        }),
        file::FileServer { filestore: Some(filestore), .. } => {
            FileServer::Filestore(complete_filestore(filestore, around, context))
        }
        file::FileServer { single_node, .. } => {
            FileServer::SingleNode(complete_single_node(single_node.unwrap_or_default(), around, context))
        }
    }
}

/// Exactly one kind, and `external` where Google Cloud cannot reach.
fn check_kinds(given: bool, cluster: &Cluster, context: &mut Context<'_>) {
    let has = |kind: &&str| context.places.has(&format!("spec.fileServer.{kind}"));
    let kinds: Vec<&str> = KINDS.into_iter().filter(has).collect();
    match kinds.as_slice() {
        [] if given => context.error(
            "spec.fileServer",
            "no-file-server",
            "`fileServer` names no kind".to_owned(),
            "It is one of `singleNode`, `filestore` and `external`.",
            "write `singleNode: {}` below it, or remove `fileServer`: that is the default".to_owned(),
        ),
        [first, others @ ..] => {
            for other in others {
                context.error(
                    &format!("spec.fileServer.{other}"),
                    "several-file-servers",
                    format!("`{other}` cannot stand beside `{first}`"),
                    "An ensemble has one shared configuration, on one file server.",
                    format!("remove `{first}` or `{other}`"),
                );
            }
        }
        [] => {}
    }
    let external = kinds.contains(&"external");
    if matches!(cluster, Cluster::Kubeconfig { .. }) && !external {
        context.error(
            "spec.cluster.kubeconfig",
            "file-server-out-of-reach",
            "a cluster of a kubeconfig needs `fileServer.external`".to_owned(),
            "zkprov makes file servers in Google Cloud's network only, where a cluster outside GKE cannot mount them.",
            "add `fileServer: {external: {server: ..., path: ...}}` below `spec`".to_owned(),
        );
    }
}

/// Refuses a disk size outside its range; a disk smaller than the least would have to be made again to grow.
pub(super) fn check_size(path: &str, gb: u32, range: &RangeInclusive<u32>, context: &mut Context<'_>) {
    if range.contains(&gb) {
        return;
    }
    let (least, most) = (range.start(), range.end());
    let near = if gb < *least { least } else { most };
    context.error(
        path,
        "disk-size",
        format!("a disk of {gb} GB is out of range"),
        &format!("Google Cloud makes disks from {least} GB to {most} GB."),
        format!("write `{near}GB`, or another size in the range"),
    );
}

fn check_zone(path: &str, given: Option<&str>, expected: &str, context: &mut Context<'_>) {
    let Some(given) = given.filter(|given| *given != expected && !expected.is_empty()) else { return };
    context.error(
        path,
        "different-zones",
        format!("the file server is in `{given}`, the cluster in `{expected}`"),
        "They share one zone: traffic between zones is slow and billed, and either zone's outage would stop the ensemble.",
        format!("remove the key, or write `{expected}`"),
    );
}

fn complete_single_node(
    given: file::SingleNode,
    around: &Surroundings<'_>,
    context: &mut Context<'_>,
) -> SingleNode {
    const BASE: &str = "spec.fileServer.singleNode";
    check_zone(&format!("{BASE}.zone"), given.zone.as_deref(), around.zone, context);
    let boot_disk_gb = quantity(given.boot_disk.and_then(|disk| disk.size), disk_gb, 10);
    check_size(&format!("{BASE}.bootDisk.size"), boot_disk_gb, &DISK, context);
    let disk = given.disk.unwrap_or_default();
    let data_gb = quantity(disk.size, disk_gb, 100);
    check_size(&format!("{BASE}.disk.size"), data_gb, &DISK, context);

    let (network, subnetwork) = around.network();
    let same_network = given.network.as_deref().is_none_or(|own| own == network);
    if !same_network {
        let message = "file server and cluster are in different networks".to_owned();
        let reason =
            format!("The cluster's is `{network}`; its nodes reach another network through peering only.");
        let path = format!("{BASE}.network");
        context.warning(&path, "different-networks", message, &reason, "remove the key".to_owned());
    }
    let own_subnetwork = given.subnetwork.or(subnetwork.filter(|_| same_network).map(str::to_owned));
    if own_subnetwork.is_some() && given.node_ranges.is_none() {
        context.warning(
            &format!("{BASE}.nodeRanges"),
            "default-node-ranges",
            format!("the subnetwork's addresses are taken to lie in {AUTO_MODE_RANGE}"),
            "The file server lets those addresses in that `nodeRanges` names; a subnetwork of your own has others.",
            "add `nodeRanges: [...]` with the subnetwork's range below `singleNode`".to_owned(),
        );
    }
    SingleNode {
        name: or(given.name, "singlefs-1-vm"),
        zone: around.zone.to_owned(),
        machine_type: or(given.machine_type, "n1-standard-1"),
        image: or(given.image, "projects/debian-cloud/global/images/family/debian-13"),
        boot_disk_gb,
        disk_gb: data_gb,
        disk_type: or(disk.disk_type, "pd-standard"),
        path: or(given.path, "/data"),
        smb: given.smb.unwrap_or(true),
        squash: given.squash.unwrap_or(Squash::All),
        snapshots: given.snapshots.map(|snapshots| Snapshots {
            start_time: or(snapshots.start_time, "04:00"),
            keep_days: snapshots.keep_days.unwrap_or(7),
        }),
        allowed_ranges: given.allowed_ranges.unwrap_or_default(),
        external_address: given.external_address.unwrap_or(true),
        network: or(given.network, network),
        subnetwork: own_subnetwork,
        node_ranges: given.node_ranges.unwrap_or_else(|| vec![AUTO_MODE_RANGE.to_owned()]),
    }
}

fn complete_filestore(
    given: file::Filestore,
    around: &Surroundings<'_>,
    context: &mut Context<'_>,
) -> Filestore {
    const BASE: &str = "spec.fileServer.filestore";
    let name = or(given.tier, "BASIC_HDD");
    let (least, regional) = match TIERS.iter().find(|tier| tier.name == name) {
        Some(tier) => (*tier.capacity.start(), tier.regional),
        None => (0, false),
    };
    let capacity_gb = quantity(given.capacity, disk_gb, least);
    check_capacity(&name, capacity_gb, context);
    let zone = around.zone;
    let region = zone.rsplit_once('-').map_or(zone, |(region, _)| region);
    let location = if regional { region } else { zone };
    check_location(&name, given.location.as_deref(), location, context);
    let reserved_range = or(given.reserved_range, "10.87.0.0/29");
    if !reserved_range.ends_with("/29") {
        context.error(
            &format!("{BASE}.reservedRange"),
            "reserved-range",
            format!("`{reserved_range}` is not a /29"),
            "A Filestore instance takes its address from a range of eight.",
            format!("write `{}/29`", reserved_range.split('/').next().unwrap_or_default()),
        );
    }
    Filestore {
        name: given.name.unwrap_or_else(|| format!("{}-files", around.ensemble)),
        tier: name,
        capacity_gb,
        share: or(given.share, "data"),
        network: or(given.network, around.network().0),
        reserved_range,
        location: location.to_owned(),
    }
}

/// A zonal instance stands in the spec's zone, a regional one in its region.
fn check_location(tier: &str, given: Option<&str>, expected: &str, context: &mut Context<'_>) {
    const PATH: &str = "spec.fileServer.filestore.location";
    let dashes = |text: &str| text.matches('-').count();
    match given {
        Some(given) if !expected.is_empty() && dashes(given) != dashes(expected) => context.error(
            PATH,
            "wrong-location",
            format!("a {tier} instance does not live in `{given}`"),
            "REGIONAL and ENTERPRISE instances live in a region, the others in a zone.",
            format!("remove the key, or write `{expected}`"),
        ),
        Some(_) | None => check_zone(PATH, given, expected, context),
    }
}

fn check_capacity(tier_name: &str, gb: u32, context: &mut Context<'_>) {
    let Some(tier) = TIERS.iter().find(|tier| tier.name == tier_name && !tier.capacity.contains(&gb)) else {
        return;
    };
    let (least, most) = (tier.capacity.start(), tier.capacity.end());
    let smaller = TIERS.iter().filter(|other| other.capacity.contains(&gb)).map(|other| other.name);
    let others: Vec<&str> = smaller.collect();
    let hint = match others.as_slice() {
        [] => String::new(),
        others => format!(", or a tier that has {gb} GB: {}", others.join(", ")),
    };
    let near = if gb < *least { least } else { most };
    context.error(
        "spec.fileServer.filestore.capacity",
        "filestore-capacity",
        format!("{tier_name} has no instance of {gb} GB"),
        &format!("This tier goes from {least} GB to {most} GB."),
        format!("write `{near}GB`{hint}"),
    );
}
