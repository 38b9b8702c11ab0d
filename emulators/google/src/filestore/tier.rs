//! What each service tier allows.

use crate::container::places::Place;
use crate::rest::Failure;

/// Limits of a service tier.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tier {
    name: &'static str,
    /// Capacity in GiB: smallest and largest.
    capacity: (i64, i64),
    /// Whether an instance is of a region, not of a zone.
    regional: bool,
    /// Whether capacity can shrink.
    shrinks: bool,
    /// Prefix length of the address range.
    pub(super) range_bits: u32,
}

const TIERS: &[Tier] = &[
    Tier { name: "STANDARD", capacity: (1024, 65_433), regional: false, shrinks: false, range_bits: 29 },
    Tier { name: "PREMIUM", capacity: (2560, 65_433), regional: false, shrinks: false, range_bits: 29 },
    Tier { name: "BASIC_HDD", capacity: (1024, 65_433), regional: false, shrinks: false, range_bits: 29 },
    Tier { name: "BASIC_SSD", capacity: (2560, 65_433), regional: false, shrinks: false, range_bits: 29 },
    Tier {
        name: "HIGH_SCALE_SSD",
        capacity: (10_240, 102_400),
        regional: false,
        shrinks: true,
        range_bits: 24,
    },
    Tier { name: "ENTERPRISE", capacity: (1024, 10_240), regional: true, shrinks: true, range_bits: 26 },
    Tier { name: "ZONAL", capacity: (1024, 102_400), regional: false, shrinks: true, range_bits: 26 },
    Tier { name: "REGIONAL", capacity: (1024, 102_400), regional: true, shrinks: true, range_bits: 26 },
];

impl Tier {
    /// # Errors
    /// 400 when there is none of this name.
    pub(super) fn find(name: &str) -> Result<&'static Self, Failure> {
        TIERS.iter().find(|tier| tier.name == name).ok_or_else(|| {
            Failure::invalid("Invalid value for field 'instance.tier': tier must be specified.")
        })
    }

    /// Whether an instance of this tier can be at a location.
    ///
    /// # Errors
    /// 400 when it needs a zone and this is a region, or the other way round.
    pub(super) fn check_location(&self, location: &str) -> Result<(), Failure> {
        let regional = matches!(Place::find(location), Some(Place::Region(_)));
        if regional == self.regional {
            return Ok(());
        }
        let wanted = if self.regional { "region" } else { "zone" };
        Err(Failure::invalid(format!(
            "Location '{location}' is invalid: tier {} needs a {wanted}.",
            self.name
        )))
    }

    /// Whether a share can have a capacity, after a present one if there is one.
    ///
    /// # Errors
    /// 400 when it is too small, too large, or would shrink and cannot.
    pub(super) fn check_capacity(&self, capacity: i64, present: Option<i64>) -> Result<(), Failure> {
        let (least, most) = self.capacity;
        if !(least..=most).contains(&capacity) {
            return Err(Failure::invalid(format!(
                "Invalid value for field 'instance.file_shares[0].capacity_gb': {capacity} must be between {least} and \
                 {most} for tier {}.",
                self.name
            )));
        }
        match present {
            Some(present) if capacity < present && !self.shrinks => Err(Failure::invalid(format!(
                "Invalid value for field 'instance.file_shares[0].capacity_gb': the capacity of a {} instance cannot be \
                 reduced from {present} to {capacity}.",
                self.name
            ))),
            _ => Ok(()),
        }
    }
}
