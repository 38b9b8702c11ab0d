//! What is wrong with an input, where, why, and the edit or command that mends it.

use serde::{Deserialize, Serialize};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing stops.
    Warning,
    /// The input is refused.
    Error,
}

/// A place in an input: a file (or `<stdin>`, `--set`), and 1-based line and column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    /// Path as the user gave it, `<stdin>`, or `--set spec.zone=…`.
    pub file: String,
    /// 1-based line.
    pub line: u32,
    /// 1-based column, in characters.
    pub column: u32,
    /// Length in characters of what the caret underlines, at least 1.
    pub length: u32,
}

/// One finding about an input. All findings of a run are reported together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Where; `None` when the finding is about the input as a whole.
    pub location: Option<Location>,
    /// How bad.
    pub severity: Severity,
    /// Stable kebab-case code, e.g. `even-replicas`.
    pub code: String,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// Why it is refused, one or two sentences; may be empty.
    pub reason: String,
    /// The edit or command that mends it; may be empty.
    pub fix: String,
    /// The source line the caret stands under, without its line end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_line: Option<String>,
}
