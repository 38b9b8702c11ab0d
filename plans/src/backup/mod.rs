//! Backups of an ensemble's data: what one consists of, and what a restore changes.

mod bucket;
mod contents;
mod difference;
mod manifest;
#[cfg(test)]
mod tests;

pub use bucket::{BadBucketUrl, BucketUrl};
pub use contents::{BadLine, Contents, Saved};
pub use difference::{Counter, Difference, difference, is_vacant};
pub use manifest::{Checksum, Counts, FORMAT, Manifest, Source, Unusable, ZNODES};

/// Where zkprov keeps nodes of its own: never saved back, never deleted by a restore.
pub const OWN: &str = "/zkprov";

/// Whether a node belongs to ZooKeeper or to zkprov itself.
fn is_system(path: &str) -> bool {
    matches!(path, "/zookeeper" | "/zookeeper/quota" | "/zookeeper/config") || is_within(path, OWN)
}

/// Whether a path is another one or below it.
fn is_within(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
