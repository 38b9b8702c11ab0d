//! Adler-32, the checksum of snapshots and log records (RFC 1950).

const MODULUS: u32 = 65_521;
/// The most bytes whose sums fit 32 bits before they have to be reduced.
const CHUNK: usize = 5552;

/// The checksum of `bytes`, as the 64-bit number that ZooKeeper writes.
pub(super) fn checksum(bytes: &[u8]) -> i64 {
    let (mut low, mut high) = (1_u32, 0_u32);
    for chunk in bytes.chunks(CHUNK) {
        for byte in chunk {
            low += u32::from(*byte);
            high += low;
        }
        low %= MODULUS;
        high %= MODULUS;
    }
    i64::from(high << 16 | low)
}
