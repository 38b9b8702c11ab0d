//! How a command ends: exit codes, and errors with the next command.

use std::process::ExitCode;
use zkprov_engine::error::{ProviderError, ProviderErrorKind, one_line};
use zkprov_plans::event::Outcome;

/// The exit codes users and pipelines rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, or nothing to change.
    Done,
    /// A failure, an invalid file too.
    Failed,
    /// `plan --detailed-exitcode`: changes are pending.
    Changes,
    /// Refused by a safety gate; nothing was changed. `status --check`: the ensemble does not serve.
    Refused,
    /// Another run holds the lock.
    Locked,
    /// Partly applied; run again to resume.
    Partial,
    /// The saved plan is stale; nothing was changed.
    Stale,
    /// Wrong usage.
    Usage,
    /// Interrupted by Ctrl-C; consistent.
    Interrupted,
    /// Terminated; consistent.
    Terminated,
}

impl Exit {
    /// Every code with what it means, for the reference.
    pub(crate) const MEANINGS: [(Self, &'static str); 10] = [
        (Self::Done, "done, or nothing to change"),
        (
            Self::Failed,
            "a failure: an invalid file, something that could not be read, a request that was refused",
        ),
        (Self::Changes, "`plan --detailed-exitcode`: changes are pending"),
        (
            Self::Refused,
            "refused by a safety gate, nothing was changed; `status --check`: the ensemble does not serve",
        ),
        (Self::Locked, "another run holds the ensemble's lock"),
        (Self::Partial, "partly applied; run the same command again to resume"),
        (Self::Stale, "the saved plan is stale, nothing was changed; make a new one"),
        (Self::Usage, "wrong usage"),
        (Self::Interrupted, "interrupted by Ctrl-C; consistent, run the same command again to resume"),
        (Self::Terminated, "terminated; consistent, run the same command again to resume"),
    ];

    /// The process's exit status.
    pub(crate) const fn status(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Changes => 2,
            Self::Refused => 3,
            Self::Locked => 4,
            Self::Partial => 5,
            Self::Stale => 6,
            Self::Usage => 64,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::Done,
            Outcome::Partial => Self::Partial,
            Outcome::Failed => Self::Failed,
            Outcome::Interrupted => Self::Interrupted,
            Outcome::Stale => Self::Stale,
            Outcome::Refused => Self::Refused,
            Outcome::Locked => Self::Locked,
        }
    }
}

/// Why a command did not do its work.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What is wrong: the whole chain, without repeats. Empty when everything was said already.
    pub(crate) message: String,
    /// Next commands or edits, each a line.
    pub(crate) hints: Vec<String>,
}

impl CommandError {
    /// An error of a kind.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hints: Vec::new() }
    }

    /// A failure with its cause.
    pub(crate) fn failed(doing: &str, cause: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(Exit::Failed, format!("{doing}: {}", one_line(cause)))
    }

    /// The command has said everything itself.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self::new(exit, String::new())
    }

    /// Adds a hint, unless it is empty.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        if !hint.is_empty() {
            self.hints.push(hint);
        }
        self
    }
}

impl From<ProviderError> for CommandError {
    fn from(error: ProviderError) -> Self {
        let exit = match error.kind {
            ProviderErrorKind::Locked => Exit::Locked,
            ProviderErrorKind::Refused => Exit::Refused,
            ProviderErrorKind::Stale => Exit::Stale,
            ProviderErrorKind::Transient
            | ProviderErrorKind::NotFound
            | ProviderErrorKind::AlreadyExists
            | ProviderErrorKind::Denied
            | ProviderErrorKind::QuotaExceeded
            | ProviderErrorKind::Invalid
            | ProviderErrorKind::Busy
            | ProviderErrorKind::OutcomeUnknown
            | ProviderErrorKind::Failed
            | ProviderErrorKind::Deadline => Exit::Failed,
        };
        Self::new(exit, one_line(&error)).hint(error.hint)
    }
}
