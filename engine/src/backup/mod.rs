//! Backups of an ensemble's data: reading it from a member, keeping it in a folder or a bucket, restoring it.

mod bucket;
mod files;
mod folder;
mod member;
mod place;
mod restore;

pub use bucket::Bucket;
pub use folder::Folder;
pub use member::{Taken, take};
pub use place::{Found, Place};
pub use restore::{Restored, restore};
