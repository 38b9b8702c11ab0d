//! Backups of an ensemble's data: reading it from a member, keeping it in a folder, restoring it.

mod folder;
mod member;
mod restore;

pub use folder::{Folder, Found};
pub use member::{Taken, take};
pub use restore::{Restored, restore};
