//! The `Ensemble` document: what the file may say ([`mod@file`]), how it is read and checked ([`load`]), and what is left
//! when it is right: [`ValidSpec`], every default filled in.

mod backup_formats;
mod complete;
mod cron;
mod edit;
pub mod file;
mod formats;
mod inputs;
mod jvm_options;
mod load;
#[cfg(test)]
mod load_tests;
mod overrides;
pub(crate) mod path;
mod quantity;
mod source;
mod starter;
mod substitute;
mod tree;
pub mod valid;
mod walk;

pub use edit::{EditError, set_replicas, set_scalar};
pub use file::schema;
pub use inputs::Inputs;
pub use load::{Loaded, load};
pub use source::Source;
pub use starter::starter;
pub use valid::*;

use serde::{Deserialize, Serialize};

/// The name of an ensemble whose file gives none.
pub const DEFAULT_NAME: &str = "exhibitor";

/// What the command line and the environment say when a file does not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defaults {
    /// `--project`, else `GOOGLE_CLOUD_PROJECT`: the project of documents that name none.
    pub project: Option<String>,
}
