//! Whether a live resource is ready: pure functions of what was read.

use serde::{Deserialize, Serialize};

/// The verdict of one look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is ready.
    Ready,
    /// Not yet; what is waited for, for people.
    Progressing(String),
    /// It will not become ready by waiting: why, with the next command or edit if there is one.
    Failed {
        /// What is wrong.
        reason: String,
        /// May be empty.
        hint: String,
    },
}
