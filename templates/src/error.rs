//! Why a spec could not be rendered.

use std::fmt;

/// A template that could not be used, or that made something other than a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{template}{place}: {reason}\n  fix: {fix}")]
pub struct RenderError {
    /// Name of the template, e.g. `instance.json.j2`.
    pub template: String,
    /// Where in it, or in what it made.
    pub place: Place,
    /// What is wrong, without a full stop.
    pub reason: String,
    /// The edit that mends it.
    pub fix: String,
}

/// Where a template went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The template as a whole.
    Whole,
    /// A 1-based line of the template.
    Template(usize),
    /// A 1-based line of the text that the template made, and that line.
    Output {
        /// 1-based line of the rendered text.
        line: usize,
        /// The rendered line.
        text: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Template(line) => write!(f, ":{line}"),
            Self::Output { line, text } => write!(f, " made `{}` in line {line} of its output", text.trim()),
        }
    }
}

impl RenderError {
    pub(crate) fn whole(template: &str, reason: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { template: template.to_owned(), place: Place::Whole, reason: reason.into(), fix: fix.into() }
    }

    pub(crate) fn output(template: &str, text: &str, line: usize, reason: impl Into<String>) -> Self {
        let shown = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        Self {
            template: template.to_owned(),
            place: Place::Output { line, text: shown.to_owned() },
            reason: reason.into(),
            fix: "correct the template; `zkprov render` shows what the built-in one makes".to_owned(),
        }
    }

    /// A failure of the template engine: a syntax error, an undefined variable, a value without a literal.
    pub(crate) fn engine(template: &str, error: &minijinja::Error) -> Self {
        let mut reason = error.kind().to_string();
        let mut cause: Option<&minijinja::Error> = Some(error);
        let mut place = (template.to_owned(), error.line());
        while let Some(this) = cause {
            if let Some(detail) = this.detail() {
                reason = format!("{}: {detail}", this.kind());
            }
            // An error in an included template names the includer first, then the place itself.
            if let (Some(name), Some(line)) = (this.name(), this.line()) {
                place = (name.to_owned(), Some(line));
            }
            cause = std::error::Error::source(this).and_then(|source| source.downcast_ref());
        }
        let fix = if error.kind() == minijinja::ErrorKind::UndefinedError {
            "use a name that the built-in template uses: undefined ones are never left blank"
        } else {
            "correct the template"
        };
        Self {
            template: place.0,
            place: place.1.map_or(Place::Whole, Place::Template),
            reason,
            fix: fix.to_owned(),
        }
    }
}
