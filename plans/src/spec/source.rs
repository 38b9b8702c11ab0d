//! Inputs and places in them, and the list of findings.

use crate::diagnostic::{Diagnostic, Location, Severity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One input: a file that somebody else has read, as UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Path as the user gave it, or `<stdin>`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A place in one of the sources; lines and columns are 1-based, columns and length count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub source: usize,
    pub line: u32,
    pub column: u32,
    pub length: u32,
}

/// Where a finding points: a place and, for a value that came by `--set`, the place in the file that it replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub span: Span,
    pub replaced: Option<Span>,
}

impl From<Span> for Place {
    fn from(span: Span) -> Self {
        Self { span, replaced: None }
    }
}

/// The most findings that are reported: more help nobody.
const MAX_FINDINGS: usize = 500;

/// Everything found so far, and the sources that it was found in.
pub(super) struct Findings {
    sources: Vec<Source>,
    lines: Vec<Vec<String>>,
    list: Vec<Diagnostic>,
    errors: usize,
    untold: usize,
}

impl Findings {
    pub(super) fn new(sources: Vec<Source>) -> Self {
        let lines = sources.iter().map(|source| lines(&source.text).map(str::to_owned).collect()).collect();
        Self { sources, lines, list: Vec::new(), errors: 0, untold: 0 }
    }

    /// How many errors there are; a document is valid when reading it added none.
    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    /// Whether further findings are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MAX_FINDINGS
    }

    pub(super) fn error(
        &mut self,
        place: Option<Place>,
        code: &str,
        message: String,
        reason: &str,
        fix: String,
    ) {
        self.errors += 1;
        self.push(place, Severity::Error, [code, &message, reason, &fix]);
    }

    pub(super) fn warning(
        &mut self,
        place: Option<Place>,
        code: &str,
        message: String,
        reason: &str,
        fix: String,
    ) {
        self.push(place, Severity::Warning, [code, &message, reason, &fix]);
    }

    fn push(&mut self, place: Option<Place>, severity: Severity, [code, message, reason, fix]: [&str; 4]) {
        if self.is_full() {
            self.untold += 1;
            return;
        }
        let mut reason = reason.to_owned();
        if let Some(replaced) = place.and_then(|place| place.replaced) {
            if !reason.is_empty() {
                reason.push(' ');
            }
            let line = self.source_line(replaced).unwrap_or_default();
            let code = line.split(" #").next().unwrap_or_default().trim();
            reason.push_str(&format!("It overrides `{code}` at {}.", self.location(replaced)));
        }
        self.list.push(Diagnostic {
            location: place.map(|place| self.location(place.span)),
            severity,
            code: code.to_owned(),
            message: message.to_owned(),
            reason,
            fix: fix.to_owned(),
            source_line: place.and_then(|place| self.source_line(place.span)),
        });
    }

    pub(super) fn location(&self, span: Span) -> Location {
        let file = self.sources.get(span.source).map(|source| source.name.clone()).unwrap_or_default();
        Location { file, line: span.line, column: span.column, length: span.length.max(1) }
    }

    fn source_line(&self, span: Span) -> Option<String> {
        let index = usize::try_from(span.line).ok()?.checked_sub(1)?;
        self.lines.get(span.source)?.get(index).cloned()
    }

    /// All findings: in the order of the sources as given, then by line; each one once.
    pub(super) fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        let order: BTreeMap<String, usize> = self
            .sources
            .iter()
            .enumerate()
            .rev()
            .map(|(index, source)| (source.name.clone(), index))
            .collect();
        let key = |finding: &Diagnostic| {
            let place = finding.location.as_ref();
            place.map(|place| (order.get(&place.file).copied(), place.line, place.column))
        };
        self.list.sort_by_key(key);
        self.list.dedup();
        if self.untold > 0 {
            self.list.push(Diagnostic {
                location: None,
                severity: if self.errors > 0 { Severity::Error } else { Severity::Warning },
                code: "too-many-problems".to_owned(),
                message: format!("{} more problems are not shown", self.untold),
                reason: format!("{MAX_FINDINGS} are enough to begin with."),
                fix: "mend those above and run again".to_owned(),
                source_line: None,
            });
        }
        self.list
    }
}

/// The lines of a text as YAML counts them: ended by `\n`, `\r\n` or a lone `\r`.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}
