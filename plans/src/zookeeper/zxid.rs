//! Transaction ids.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A transaction id: the epoch of the leader that proposed it, and a counter within the epoch. In text as `0x100000002`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Zxid(pub i64);

impl Zxid {
    /// The epoch: the higher half.
    pub fn epoch(self) -> i64 {
        self.0 >> 32
    }

    /// The count of transactions of the epoch: the lower half.
    pub fn counter(self) -> i64 {
        self.0 & 0xffff_ffff
    }

    /// Whether a log may hold this id directly after `before`: the next of its epoch, or the first of a later one.
    pub fn follows(self, before: Self) -> bool {
        if self.epoch() == before.epoch() {
            self.0 == before.0.saturating_add(1)
        } else {
            self.epoch() > before.epoch() && self.counter() <= 1
        }
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl FromStr for Zxid {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        i64::from_str_radix(text.trim_start_matches("0x"), 16).map(Self)
    }
}

impl Serialize for Zxid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Zxid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
