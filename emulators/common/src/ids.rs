//! Seeded, deterministic ids: the same calls on the same seed make the same world.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A counter and a seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    seed: u64,
    next: u64,
}

impl Ids {
    /// Starts at the seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, next: 0 }
    }

    fn digest(&mut self) -> [u8; 32] {
        self.next += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(self.next.to_be_bytes());
        hash.finalize().into()
    }

    /// A number below `bound`, for jitter.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound.max(1)
    }

    /// A 63-bit number.
    pub fn number(&mut self) -> u64 {
        let digest = self.digest();
        digest.iter().take(8).fold(0u64, |value, byte| (value << 8) | u64::from(*byte)) >> 1
    }

    /// A numeric id as Compute Engine prints them, 19 digits.
    pub fn numeric(&mut self) -> String {
        format!("{:019}", 1_000_000_000_000_000_000 + self.number() % 8_000_000_000_000_000_000)
    }

    /// A lower-case UUID.
    pub fn uuid(&mut self) -> String {
        let hex = self.hex(32);
        format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
    }

    /// Lower-case hex digits, at most 64.
    pub fn hex(&mut self, length: usize) -> String {
        let mut text = hex::encode(self.digest());
        text.truncate(length);
        text
    }

    /// A suffix as Kubernetes makes them (no vowels, no look-alikes), at most 32 characters.
    pub fn suffix(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        self.digest()
            .iter()
            .take(length)
            .filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()))
            .map(|byte| char::from(*byte))
            .collect()
    }
}
