//! The house rules: what ARCHITECTURE.md promises, checked. See CONTRIBUTING.md for what to do when one fails.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod files;
mod invariants;
mod layers;
mod links;
mod reference;
mod rules;
mod source;

use std::path::Path;
use std::sync::LazyLock;

/// The repository's root.
fn repository() -> &'static Path {
    static ROOT: LazyLock<std::path::PathBuf> =
        LazyLock::new(|| Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf());
    &ROOT
}
