//! What can go wrong at an API, by what to do about it.

use std::time::Duration;
use zkprov_plans::observed::Gap;

/// Classes of failure. The executor decides by the class, never by text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderErrorKind {
    /// 429, 500, 503, 403 `rateLimitExceeded`, a connection that could not be made, and for reads 502, 504, resets,
    /// time-outs and unreadable answers: try again.
    Transient,
    /// 412, 409 ABORTED / Conflict: what the write rested on moved. Refresh and compare.
    Stale,
    /// 404.
    NotFound,
    /// 409 on a create.
    AlreadyExists,
    /// 401, 403: permission or API switched off.
    Denied,
    /// Quota or stock-out, named in the message.
    QuotaExceeded,
    /// 400 and 422: our body is wrong, or an admission policy refused.
    Invalid,
    /// The resource is busy with another operation (GKE 400 FAILED_PRECONDITION, 409 operationInProgress): wait, try again.
    Busy,
    /// 502, 504, a time-out or a lost answer after a mutation was sent: it may or may not have happened. Refresh.
    OutcomeUnknown,
    /// The resource or the operation itself reports a final failure.
    Failed,
    /// A deadline of ours passed.
    Deadline,
    /// Another run holds the lock of this ensemble.
    Locked,
    /// A safety gate did not open.
    Refused,
}

/// A failure at an API.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {message}")]
pub struct ProviderError {
    /// What to do about it.
    pub kind: ProviderErrorKind,
    /// What was being done, e.g. `creating instance singlefs-1-vm`.
    pub doing: String,
    /// What the API said, in one line, without credentials.
    pub message: String,
    /// The next command or edit, chosen by type; may be empty.
    pub hint: String,
    /// `Retry-After`, where sent.
    pub retry_after: Option<Duration>,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ProviderError {
    /// An error without hint, cause or delay.
    #[must_use]
    pub fn new(kind: ProviderErrorKind, doing: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            doing: doing.into(),
            message: message.into(),
            hint: String::new(),
            retry_after: None,
            source: None,
        }
    }

    /// Adds the next command or edit.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Adds the cause. Its text must not be part of the message already.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same failure for a second waiter: without its cause, which can't be copied.
    pub(crate) fn again(&self) -> Self {
        Self {
            kind: self.kind,
            doing: self.doing.clone(),
            message: self.message.clone(),
            hint: self.hint.clone(),
            retry_after: self.retry_after,
            source: None,
        }
    }

    /// What could not be read because of this error. `what` names it for people, e.g.
    /// `Compute Engine API, instances in us-east1-d`.
    #[must_use]
    pub fn gap(&self, what: impl Into<String>) -> Gap {
        Gap { what: what.into(), why: self.message.clone(), hint: self.hint.clone() }
    }
}

/// An error and its causes in one line, without repeating what an outer message says already.
#[must_use]
pub fn one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() {
            line = text;
        } else if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        next = error.source();
    }
    line
}
