//! Where clusters can be.

use crate::compute::catalog;
use serde::{Deserialize, Serialize};

/// Where a cluster is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// One zone.
    Zone(String),
    /// A region, with nodes in several of its zones.
    Region(String),
}

impl Place {
    /// The zone or region of this name, if there is one.
    pub fn find(name: &str) -> Option<Self> {
        match () {
            () if catalog::is_region(name) => Some(Self::Region(name.to_owned())),
            () if catalog::is_zone(name) => Some(Self::Zone(name.to_owned())),
            () => None,
        }
    }

    /// Whether it is one zone.
    pub(crate) const fn is_zone(&self) -> bool {
        matches!(self, Self::Zone(_))
    }

    /// Name of the zone or region.
    pub fn name(&self) -> &str {
        match self {
            Self::Zone(name) | Self::Region(name) => name,
        }
    }

    /// `zones/Z` or `locations/R`: how links and messages name it.
    pub fn link(&self) -> String {
        match self {
            Self::Zone(name) => format!("zones/{name}"),
            Self::Region(name) => format!("locations/{name}"),
        }
    }

    /// The region it is in.
    pub fn region(&self) -> &str {
        match self {
            Self::Zone(name) => name.rsplit_once('-').map_or(name, |(region, _)| region),
            Self::Region(name) => name,
        }
    }

    /// Zones a cluster here has nodes in unless it names others: its own, or three of the region.
    pub fn node_zones(&self) -> Vec<String> {
        let mut zones = self.all_zones();
        zones.truncate(3);
        zones
    }

    /// Its own zone, or all of the region.
    pub fn all_zones(&self) -> Vec<String> {
        match self {
            Self::Zone(name) => vec![name.clone()],
            Self::Region(name) => {
                let inside = |zone: &String| zone.rsplit_once('-').is_some_and(|(region, _)| region == name);
                catalog::zones().filter(inside).collect()
            }
        }
    }

    /// Whether a zone is this one or in this region.
    pub fn holds(&self, zone: &str) -> bool {
        matches!(Self::find(zone), Some(Self::Zone(zone)) if zone.starts_with(&format!("{}-", self.region())))
    }
}

/// Whether a family has Hyperdisk only.
pub fn hyperdisk_only(machine_type: &str) -> bool {
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
    }
}
