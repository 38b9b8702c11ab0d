//! Rendering: a valid spec in, the documents that the APIs take out. Pure: the built-in templates are part of the
//! program, and overrides come in as text.
//!
//! A template's name ends in the language it makes: `.json.j2` (request bodies), `.yaml.j2` (manifests), `.sh.j2` (the
//! file server's start-up script). Every `{{ value }}` is put out as a literal of that language, quotes included, and may
//! stand only where a literal may: whatever the file says, it stays one value. Undefined names are errors.
//!
//! Templates see the spec and what is derived from it, never live state.

mod catalogue;
mod context;
mod error;
pub mod naming;
mod placement;
mod quote;
mod renderer;
#[cfg(test)]
mod support;

pub use catalogue::names;
pub use error::{Place, RenderError};
pub use renderer::Templates;

use std::collections::BTreeMap;
use zkprov_plans::document::Desired;
use zkprov_plans::spec::ValidSpec;

/// Texts that replace built-in templates, by template name.
pub type Overrides = BTreeMap<String, String>;

/// Everything that the spec asks for, in the order of creation.
///
/// For many specs make [`Templates`] once.
///
/// # Errors
/// An override without a built-in template of its name, a template that is wrong, or one that makes something other
/// than the resource it stands for.
pub fn render(spec: &ValidSpec, overrides: &Overrides) -> Result<Desired, RenderError> {
    Templates::new(overrides)?.render(spec)
}
