//! Regions, zones and their address slices, and which machine types there are.

use serde::{Deserialize, Serialize};

/// Regions with the second octet of the `default` network's subnetwork (`10.OCTET.0.0/20`) and the letters of their zones.
const REGIONS: &[(&str, u8, &str)] = &[
    ("africa-south1", 218, "abc"),
    ("asia-east1", 140, "abc"),
    ("asia-east2", 170, "abc"),
    ("asia-northeast1", 146, "abc"),
    ("asia-northeast2", 174, "abc"),
    ("asia-northeast3", 178, "abc"),
    ("asia-south1", 160, "abc"),
    ("asia-south2", 190, "abc"),
    ("asia-southeast1", 148, "abc"),
    ("asia-southeast2", 184, "abc"),
    ("australia-southeast1", 152, "abc"),
    ("australia-southeast2", 192, "abc"),
    ("europe-central2", 186, "abc"),
    ("europe-north1", 166, "abc"),
    ("europe-north2", 226, "abc"),
    ("europe-southwest1", 204, "abc"),
    ("europe-west1", 132, "bcd"),
    ("europe-west10", 214, "abc"),
    ("europe-west12", 210, "abc"),
    ("europe-west2", 154, "abc"),
    ("europe-west3", 156, "abc"),
    ("europe-west4", 164, "abc"),
    ("europe-west6", 172, "abc"),
    ("europe-west8", 198, "abc"),
    ("europe-west9", 200, "abc"),
    ("me-central1", 212, "abc"),
    ("me-west1", 208, "abc"),
    ("northamerica-northeast1", 162, "abc"),
    ("northamerica-northeast2", 188, "abc"),
    ("northamerica-south1", 224, "abc"),
    ("southamerica-east1", 158, "abc"),
    ("southamerica-west1", 194, "abc"),
    ("us-central1", 128, "abcf"),
    ("us-east1", 142, "bcd"),
    ("us-east4", 150, "abc"),
    ("us-east5", 202, "abc"),
    ("us-south1", 206, "abc"),
    ("us-west1", 138, "abc"),
    ("us-west2", 168, "abc"),
    ("us-west3", 180, "abc"),
    ("us-west4", 182, "abc"),
];

/// Where a cluster is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Place {
    /// One zone.
    Zone(String),
    /// A region, with nodes in several of its zones.
    Region(String),
}

impl Place {
    /// The zone or region of this name, if there is one.
    pub(crate) fn find(name: &str) -> Option<Self> {
        if REGIONS.iter().any(|(region, _, _)| *region == name) {
            return Some(Self::Region(name.to_owned()));
        }
        let (region, letter) = name.rsplit_once('-')?;
        let (_, _, letters) = REGIONS.iter().find(|(known, _, _)| *known == region)?;
        (letter.len() == 1 && letters.contains(letter)).then(|| Self::Zone(name.to_owned()))
    }

    /// Name of the zone or region.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Zone(name) | Self::Region(name) => name,
        }
    }

    /// `zones/Z` or `locations/R`: how links and messages name it.
    pub(crate) fn link(&self) -> String {
        match self {
            Self::Zone(name) => format!("zones/{name}"),
            Self::Region(name) => format!("locations/{name}"),
        }
    }

    /// The region it is in.
    pub(crate) fn region(&self) -> &str {
        match self {
            Self::Zone(name) => name.rsplit_once('-').map_or(name, |(region, _)| region),
            Self::Region(name) => name,
        }
    }

    /// Zones a cluster here has nodes in unless it names others: its own, or three of the region.
    pub(crate) fn node_zones(&self) -> Vec<String> {
        match self {
            Self::Zone(name) => vec![name.clone()],
            Self::Region(name) => {
                let letters = REGIONS
                    .iter()
                    .find(|(region, _, _)| region == name)
                    .map_or("", |(_, _, letters)| letters);
                letters.chars().take(3).map(|letter| format!("{name}-{letter}")).collect()
            }
        }
    }

    /// Whether a zone is this one or in this region.
    pub(crate) fn holds(&self, zone: &str) -> bool {
        matches!(Self::find(zone), Some(Self::Zone(zone)) if zone.starts_with(&format!("{}-", self.region())))
    }
}

/// Second octet of the `default` network in a region.
pub(crate) fn octet(region: &str) -> u8 {
    REGIONS.iter().find(|(known, _, _)| *known == region).map_or(127, |(_, octet, _)| *octet)
}

/// Whether a machine type can exist: a predefined one of a known family, or a custom one.
pub(crate) fn machine_type_exists(name: &str) -> bool {
    const SHARED_CORE: &[&str] = &["e2-micro", "e2-small", "e2-medium", "f1-micro", "g1-small"];
    const SIZES: &[(&str, &[u32])] = &[
        ("c2", &[4, 8, 16, 30, 60]),
        ("c2d", &[2, 4, 8, 16, 32, 56, 112]),
        ("c3", &[4, 8, 22, 44, 88, 176, 192]),
        ("c3d", &[4, 8, 16, 30, 60, 90, 180, 360]),
        ("c4", &[2, 4, 8, 16, 24, 32, 48, 96, 144, 192, 288]),
        ("c4a", &[1, 2, 4, 8, 16, 32, 48, 64, 72]),
        ("c4d", &[2, 4, 8, 16, 32, 48, 64, 96, 192, 384]),
        ("e2", &[2, 4, 8, 16, 32]),
        ("n1", &[1, 2, 4, 8, 16, 32, 64, 96]),
        ("n2", &[2, 4, 8, 16, 32, 48, 64, 80, 96, 128]),
        ("n2d", &[2, 4, 8, 16, 32, 48, 64, 80, 96, 128, 224]),
        ("n4", &[2, 4, 8, 16, 32, 48, 64, 80]),
        ("t2a", &[1, 2, 4, 8, 16, 32, 48]),
        ("t2d", &[1, 2, 4, 8, 16, 32, 48, 60]),
    ];
    if SHARED_CORE.contains(&name) {
        return true;
    }
    let parts: Vec<&str> = name.split('-').collect();
    let family = |name: &str| SIZES.iter().find(|(known, _)| *known == name).map(|(_, sizes)| *sizes);
    match parts.as_slice() {
        ["custom", cpus, memory] => cpus.parse::<u32>().is_ok() && memory.parse::<u32>().is_ok(),
        [name, "custom", cpus, memory] => {
            family(name).is_some() && cpus.parse::<u32>().is_ok() && memory.parse::<u32>().is_ok()
        }
        [name, "standard" | "highmem" | "highcpu", cpus] => {
            family(name).zip(cpus.parse::<u32>().ok()).is_some_and(|(sizes, cpus)| sizes.contains(&cpus))
        }
        _ => false,
    }
}

/// Whether a family has Hyperdisk only.
pub(crate) fn hyperdisk_only(machine_type: &str) -> bool {
    matches!(machine_type.split('-').next(), Some("c4" | "c4a" | "c4d" | "n4"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        assert_eq!(Place::find("us-east1-d"), Some(Place::Zone("us-east1-d".to_owned())));
        assert_eq!(Place::find("us-east1-a"), None);
        assert_eq!(Place::find("us-east1-"), None);
        assert_eq!(Place::find("mars-north1"), None);
        let region = Place::find("us-east1").unwrap();
        assert_eq!(region.node_zones(), ["us-east1-b", "us-east1-c", "us-east1-d"]);
        assert!(region.holds("us-east1-c") && !region.holds("us-east4-c") && !region.holds("us-east1-a"));
        assert_eq!((octet("us-east1"), octet("us-central1")), (142, 128));
    }

    #[test]
    fn no_two_regions_share_a_slice() {
        let mut octets: Vec<u8> = REGIONS.iter().map(|(_, octet, _)| *octet).collect();
        octets.sort_unstable();
        octets.dedup();
        assert_eq!(octets.len(), REGIONS.len());
    }

    #[test]
    fn machine_types() {
        for name in ["e2-medium", "n1-standard-1", "n4-standard-2", "custom-2-4096", "n2-custom-4-8192"] {
            assert!(machine_type_exists(name), "{name}");
        }
        for name in ["n1-standard-3", "e2-large", "x9-standard-2", "", "n1-standard", "n1-standard-two"] {
            assert!(!machine_type_exists(name), "{name}");
        }
    }
}
