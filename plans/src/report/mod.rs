//! A plan for its readers: text for people, Markdown for pull requests, JSON for programs. Pure: strings in, strings out.

mod json;
mod markdown;
mod text;
mod words;

pub use json::{all_json, json, json_line};
pub use markdown::markdown;
pub use text::text;
pub use words::{action_word, gate_words, summary};

use crate::plan::Plan;
use crate::spec::ValidSpec;

/// What a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// The spec, for the places of keys in the file.
    pub spec: &'a ValidSpec,
    /// The plan.
    pub plan: &'a Plan,
}

/// How the text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// ANSI colours.
    pub color: bool,
    /// Columns to fill, at least 40; piped output uses a fixed 100.
    pub width: usize,
    /// Every declared field of what is created, not only the first few.
    pub verbose: bool,
}
