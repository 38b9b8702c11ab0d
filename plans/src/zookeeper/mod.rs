//! What ZooKeeper keeps on its disk: snapshots, transaction logs and epochs, read without ZooKeeper.
//!
//! The formats are those of 3.4; what newer servers append to a record or to a snapshot is passed over, and kinds of
//! transactions that 3.4 does not know are refused. All input is untrusted: no length in a file makes an allocation that
//! the file's own size does not back.

mod adler;
pub mod archive;
pub mod epoch;
pub mod files;
mod jute;
pub mod log;
pub mod snapshot;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "its fixtures are files")]
mod tests;
pub mod transaction;
pub mod tree;
pub mod zxid;

pub use files::{File, Loaded, Unreadable, load};
pub use jute::Malformed;
pub(crate) use jute::is_path;
pub use tree::{Acl, Stat, Tree, Znode};
pub use zxid::Zxid;
