//! What every project finds: regions, zones, machine types, disk types, public images, the default network.

use super::operations::fields_of;
use super::route::{last, link, stable_id};
use serde_json::{Map, Value, json};

/// Region, letters of its zones, second octet of its subnetwork in the default network (`10.OCTET.0.0/20`).
#[rustfmt::skip]
const REGIONS: &[(&str, &str, u8)] = &[
    ("africa-south1", "abc", 218), ("asia-east1", "abc", 140), ("asia-east2", "abc", 170),
    ("asia-northeast1", "abc", 146), ("asia-northeast2", "abc", 174), ("asia-northeast3", "abc", 178),
    ("asia-south1", "abc", 160), ("asia-south2", "abc", 190), ("asia-southeast1", "abc", 148),
    ("asia-southeast2", "abc", 184), ("australia-southeast1", "abc", 152), ("australia-southeast2", "abc", 192),
    ("europe-central2", "abc", 186), ("europe-north1", "abc", 166), ("europe-north2", "abc", 226),
    ("europe-southwest1", "abc", 204), ("europe-west1", "bcd", 132), ("europe-west10", "abc", 214),
    ("europe-west12", "abc", 210), ("europe-west2", "abc", 154), ("europe-west3", "abc", 156),
    ("europe-west4", "abc", 164), ("europe-west6", "abc", 172), ("europe-west8", "abc", 198),
    ("europe-west9", "abc", 200), ("me-central1", "abc", 212), ("me-central2", "abc", 216),
    ("me-west1", "abc", 208), ("northamerica-northeast1", "abc", 162), ("northamerica-northeast2", "abc", 188),
    ("northamerica-south1", "abc", 224), ("southamerica-east1", "abc", 158), ("southamerica-west1", "abc", 194),
    ("us-central1", "abcf", 128), ("us-east1", "bcd", 142), ("us-east4", "abc", 150),
    ("us-east5", "abc", 202), ("us-east7", "abc", 196), ("us-south1", "abc", 206),
    ("us-west1", "abc", 138), ("us-west2", "abc", 168), ("us-west3", "abc", 180),
    ("us-west4", "abc", 182), ("us-west8", "abc", 220),
];

/// Prefix of the name, memory for each virtual CPU in MiB, numbers of virtual CPUs.
#[rustfmt::skip]
const MACHINE_FAMILIES: &[(&str, u64, &[u64])] = &[
    ("c3-highcpu", 2048, &[4, 8, 22, 44, 88, 176]), ("c3-standard", 4096, &[4, 8, 22, 44, 88, 176]),
    ("c3d-standard", 4096, &[4, 8, 16, 30, 60, 90]), ("c4-standard", 3840, &[2, 4, 8, 16, 24, 32, 48, 96]),
    ("e2-highcpu", 1024, &[2, 4, 8, 16, 32]), ("e2-highmem", 8192, &[2, 4, 8, 16]),
    ("e2-standard", 4096, &[2, 4, 8, 16, 32]), ("n1-highcpu", 922, &[2, 4, 8, 16, 32, 64, 96]),
    ("n1-highmem", 6656, &[2, 4, 8, 16, 32, 64, 96]), ("n1-standard", 3840, &[1, 2, 4, 8, 16, 32, 64, 96]),
    ("n2-highmem", 8192, &[2, 4, 8, 16, 32, 48, 64]), ("n2-standard", 4096, &[2, 4, 8, 16, 32, 48, 64, 80]),
    ("n2d-standard", 4096, &[2, 4, 8, 16, 32, 48, 64]), ("n4-standard", 4096, &[2, 4, 8, 16, 32, 48, 64, 80]),
    ("t2a-standard", 4096, &[1, 2, 4, 8, 16, 32, 48]), ("t2d-standard", 4096, &[1, 2, 4, 8, 16, 32, 48, 60]),
];

/// Machine types that share their CPUs: name, virtual CPUs, memory in MiB.
const SHARED_CORE: &[(&str, u64, u64)] = &[
    ("e2-medium", 2, 4096),
    ("e2-micro", 2, 1024),
    ("e2-small", 2, 2048),
    ("f1-micro", 1, 614),
    ("g1-small", 1, 1740),
];

/// Disk type, smallest and largest size in GB, size of a blank disk when none is given, text.
const DISK_TYPES: &[(&str, u64, u64, u64, &str)] = &[
    ("hyperdisk-balanced", 4, 65_536, 100, "Hyperdisk Balanced Persistent Disk"),
    ("pd-balanced", 10, 65_536, 100, "Balanced Persistent Disk"),
    ("pd-extreme", 500, 65_536, 1000, "Extreme Persistent Disk"),
    ("pd-ssd", 10, 65_536, 100, "SSD Persistent Disk"),
    ("pd-standard", 10, 65_536, 500, "Standard Persistent Disk"),
];

/// A public image: project, family, name, size in GB, licence, text.
pub(super) struct Image {
    project: &'static str,
    family: &'static str,
    name: &'static str,
    pub(super) size_gb: u64,
    license: &'static str,
    description: &'static str,
}

#[rustfmt::skip]
const IMAGES: &[Image] = &[
    Image { project: "cos-cloud", family: "cos-121-lts", name: "cos-121-18867-199-52", size_gb: 10, license: "cos",
        description: "Google, Container-Optimized OS, 121-18867.199.52 LTS, x86_64" },
    Image { project: "cos-cloud", family: "cos-stable", name: "cos-stable-125-19216-104-25", size_gb: 10, license: "cos",
        description: "Google, Container-Optimized OS, 125-19216.104.25 stable, x86_64" },
    Image { project: "debian-cloud", family: "debian-11", name: "debian-11-bullseye-v20260609", size_gb: 10,
        license: "debian-11-bullseye", description: "Debian, Debian GNU/Linux, 11 (bullseye), amd64 built on 20260609" },
    Image { project: "debian-cloud", family: "debian-12", name: "debian-12-bookworm-v20260609", size_gb: 10,
        license: "debian-12-bookworm", description: "Debian, Debian GNU/Linux, 12 (bookworm), amd64 built on 20260609" },
    Image { project: "debian-cloud", family: "debian-13", name: "debian-13-trixie-v20260609", size_gb: 10,
        license: "debian-13-trixie", description: "Debian, Debian GNU/Linux, 13 (trixie), amd64 built on 20260609" },
];

const LONG_AGO: &str = "2024-04-01T12:34:56.123-07:00";

/// `us-east1` of `us-east1-d`.
pub(super) fn region_of(zone: &str) -> &str {
    zone.rsplit_once('-').map_or(zone, |(region, _)| region)
}

/// Whether there is a region of this name.
#[must_use]
pub fn is_region(name: &str) -> bool {
    REGIONS.iter().any(|(region, _, _)| *region == name)
}

/// Whether there is a zone of this name.
#[must_use]
pub fn is_zone(name: &str) -> bool {
    zones().any(|zone| zone == name)
}

pub(crate) fn zones() -> impl Iterator<Item = String> {
    REGIONS
        .iter()
        .flat_map(|(region, letters, _)| letters.chars().map(move |letter| format!("{region}-{letter}")))
}

pub(super) fn regions() -> impl Iterator<Item = &'static str> {
    REGIONS.iter().map(|(region, _, _)| *region)
}

/// Second octet of a region's subnetwork in the default network.
pub(crate) fn octet(region: &str) -> u8 {
    REGIONS.iter().find(|(name, _, _)| *name == region).map_or(128, |(_, _, octet)| *octet)
}

/// A document of something that is always there, with what they all have.
fn standing(kind: &str, path: &str, rest: Value) -> Map<String, Value> {
    let mut document = Map::new();
    document.insert("kind".into(), format!("compute#{kind}").into());
    document.insert("id".into(), stable_id(path).into());
    document.insert("creationTimestamp".into(), LONG_AGO.into());
    document.insert("name".into(), last(path).into());
    document.insert("selfLink".into(), link(path).into());
    document.extend(fields_of(rest));
    document
}

pub(super) fn zone(project: &str, name: &str) -> Option<Map<String, Value>> {
    #[rustfmt::skip]
    const PLATFORMS: &[&str] = &[
        "Ampere Altra", "Intel Broadwell", "Intel Cascade Lake", "Intel Emerald Rapids", "AMD Genoa", "NVIDIA Grace",
        "Intel Granite Rapids", "Intel Haswell", "Intel Ice Lake", "Intel Ivy Bridge", "Google Axion", "AMD Milan",
        "AMD Rome", "Intel Sandy Bridge", "Intel Sapphire Rapids", "Intel Skylake", "AMD Turin",
    ];
    let region = link(&format!("projects/{project}/regions/{}", region_of(name)));
    is_zone(name).then(|| {
        let rest = json!({
            "availableCpuPlatforms": PLATFORMS, "description": name, "region": region, "status": "UP",
            "supportsPzs": false,
        });
        standing("zone", &format!("projects/{project}/zones/{name}"), rest)
    })
}

pub(super) fn region(project: &str, name: &str) -> Option<Map<String, Value>> {
    let (_, letters, _) = REGIONS.iter().find(|(region, _, _)| *region == name)?;
    let zones: Vec<String> =
        letters.chars().map(|letter| link(&format!("projects/{project}/zones/{name}-{letter}"))).collect();
    let rest = json!({
        "description": name, "quotas": [], "status": "UP", "supportsPzs": false, "zones": zones,
    });
    Some(standing("region", &format!("projects/{project}/regions/{name}"), rest))
}

pub(super) fn project(name: &str) -> Map<String, Value> {
    let rest = json!({
        "commonInstanceMetadata": { "kind": "compute#metadata", "fingerprint": "8uVmjkmLcBU=" },
        "defaultNetworkTier": "PREMIUM",
        "defaultServiceAccount": format!("{}-compute@developer.gserviceaccount.com", project_number(name)),
        "quotas": [], "vmDnsSetting": "ZONAL_ONLY", "xpnProjectStatus": "UNSPECIFIED_XPN_PROJECT_STATUS",
    });
    standing("project", &format!("projects/{name}"), rest)
}

/// The number Google gives every project beside its id.
pub(super) fn project_number(project: &str) -> String {
    crate::rest::project_number(project).to_string()
}

/// Machine types: name, virtual CPUs, memory in MiB, whether the CPUs are shared; in the order of their names.
fn machines() -> Vec<(String, u64, u64, bool)> {
    let whole = MACHINE_FAMILIES.iter().flat_map(|(family, memory, counts)| {
        counts.iter().map(move |count| (format!("{family}-{count}"), *count, memory * count, false))
    });
    let shared = SHARED_CORE.iter().map(|(name, cpus, memory)| ((*name).to_owned(), *cpus, *memory, true));
    let mut all: Vec<_> = whole.chain(shared).collect();
    all.sort();
    all
}

pub(super) fn machine_types(project: &str, zone: &str) -> Vec<Map<String, Value>> {
    machines()
        .into_iter()
        .map(|(name, cpus, memory, shared)| {
            let plural = if cpus == 1 { "" } else { "s" };
            let gib = memory / 1024;
            let rest = json!({
                "architecture": if name.starts_with("t2a") { "ARM64" } else { "X86_64" },
                "description": format!("{cpus} vCPU{plural}, {gib} GB RAM"),
                "guestCpus": cpus, "imageSpaceGb": 0, "isSharedCpu": shared,
                "maximumPersistentDisks": if shared { 16 } else { 128 },
                "maximumPersistentDisksSizeGb": if shared { "3072" } else { "263168" },
                "memoryMb": memory, "zone": zone,
            });
            standing("machineType", &format!("projects/{project}/zones/{zone}/machineTypes/{name}"), rest)
        })
        .collect()
}

pub(crate) fn is_machine_type(name: &str) -> bool {
    machines().iter().any(|(known, ..)| known == name)
}

pub(super) fn disk_types(project: &str, zone: &str) -> Vec<Map<String, Value>> {
    DISK_TYPES
        .iter()
        .map(|(name, least, most, default, description)| {
            let rest = json!({
                "defaultDiskSizeGb": default.to_string(), "description": description,
                "validDiskSize": format!("{least}GB-{most}GB"),
                "zone": link(&format!("projects/{project}/zones/{zone}")),
            });
            standing("diskType", &format!("projects/{project}/zones/{zone}/diskTypes/{name}"), rest)
        })
        .collect()
}

/// Virtual CPUs of a machine type, custom ones included: `e2-custom-4-8192` has 4.
pub(crate) fn cpus(name: &str) -> Option<u64> {
    let custom = name.split_once("custom-").and_then(|(_, sizes)| sizes.split('-').next()?.parse().ok());
    custom.or_else(|| machines().into_iter().find(|(known, ..)| known == name).map(|(_, cpus, ..)| cpus))
}

/// Smallest, largest and default size in GB of a disk of this type.
pub(super) fn disk_sizes(name: &str) -> Option<(u64, u64, u64)> {
    let found = DISK_TYPES.iter().find(|(known, ..)| *known == name)?;
    Some((found.1, found.2, found.3))
}

/// An image by its path: `projects/P/global/images/NAME`, `…/images/family/FAMILY`, or, as gcloud names a family,
/// `projects/P/zones/ZONE/imageFamilyViews/FAMILY`.
pub(super) fn image(path: &str) -> Option<&'static Image> {
    let parts: Vec<&str> = path.split('/').collect();
    let (project, family, wanted) = match parts.as_slice() {
        ["projects", project, "global", "images", "family", family]
        | ["projects", project, "zones", _, "imageFamilyViews", family] => (project, true, family),
        ["projects", project, "global", "images", name] => (project, false, name),
        _ => return None,
    };
    images(project).find(|image| *wanted == if family { image.family } else { image.name })
}

/// The newest images of a project.
pub(super) fn images(project: &str) -> impl Iterator<Item = &'static Image> + '_ {
    IMAGES.iter().filter(move |image| image.project == project)
}

impl Image {
    /// Relative path of this version.
    pub(super) fn path(&self) -> String {
        format!("projects/{}/global/images/{}", self.project, self.name)
    }

    /// What a disk made from the image takes over from it.
    pub(super) fn on_disk(&self) -> Map<String, Value> {
        let license = format!("projects/{}/global/licenses/{}", self.project, self.license);
        fields_of(json!({
            "architecture": "X86_64",
            "guestOsFeatures": [
                { "type": "UEFI_COMPATIBLE" }, { "type": "VIRTIO_SCSI_MULTIQUEUE" }, { "type": "GVNIC" },
            ],
            "licenseCodes": [stable_id(&license)],
            "licenses": [link(&license)],
        }))
    }

    pub(super) fn document(&self) -> Map<String, Value> {
        let rest = json!({
            "archiveSizeBytes": (self.size_gb * 206_000_000).to_string(), "description": self.description,
            "diskSizeGb": self.size_gb.to_string(), "enableConfidentialCompute": false, "family": self.family,
            "labelFingerprint": "42WmSpB8rSM=", "labels": { "public-image": "true" },
            "rawDisk": { "containerType": "TAR", "source": "" }, "sourceType": "RAW", "status": "READY",
            "storageLocations": ["asia", "us", "eu"],
        });
        let mut document = standing("image", &self.path(), rest);
        document.extend(self.on_disk());
        document
    }
}

pub(super) fn network(project: &str) -> Map<String, Value> {
    let path = format!("projects/{project}/global/networks/default");
    let subnetworks: Vec<String> = regions()
        .map(|region| link(&format!("projects/{project}/regions/{region}/subnetworks/default")))
        .collect();
    let rest = json!({
        "autoCreateSubnetworks": true, "mtu": 1460, "description": "Default network for the project",
        "networkFirewallPolicyEnforcementOrder": "AFTER_CLASSIC_FIREWALL",
        "routingConfig": { "bgpBestPathSelectionMode": "LEGACY", "routingMode": "REGIONAL" },
        "selfLinkWithId": link(&format!("projects/{project}/global/networks/{}", stable_id(&path))),
        "subnetworks": subnetworks,
    });
    standing("network", &path, rest)
}

pub(super) fn subnetwork(project: &str, region: &str) -> Map<String, Value> {
    let octet = octet(region);
    let rest = json!({
        "allowSubnetCidrRoutesOverlap": false, "enableFlowLogs": false, "fingerprint": "42WmSpB8rSM=",
        "gatewayAddress": format!("10.{octet}.0.1"), "ipCidrRange": format!("10.{octet}.0.0/20"),
        "logConfig": { "enable": false }, "network": link(&format!("projects/{project}/global/networks/default")),
        "privateIpGoogleAccess": false, "privateIpv6GoogleAccess": "DISABLE_GOOGLE_ACCESS", "purpose": "PRIVATE",
        "region": link(&format!("projects/{project}/regions/{region}")), "stackType": "IPV4_ONLY",
    });
    standing("subnetwork", &format!("projects/{project}/regions/{region}/subnetworks/default"), rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn subnetworks_do_not_overlap() {
        let octets: BTreeSet<u8> = regions().map(octet).collect();
        assert_eq!(octets.len(), REGIONS.len());
        assert!(octets.iter().all(|octet| *octet >= 128), "within 10.128.0.0/9");
    }

    #[test]
    fn families_and_names_find_images_and_nothing_else_does() {
        let family = image("projects/debian-cloud/global/images/family/debian-13").unwrap();
        assert_eq!(image(&family.path()).unwrap().name, family.name);
        assert!(image("projects/debian-cloud/global/images/debian-13").is_none());
    }
}
