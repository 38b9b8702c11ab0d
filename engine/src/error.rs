//! What can go wrong at an API, by what to do about it.

use std::time::Duration;

/// Classes of failure. The executor decides by the class, never by text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderErrorKind {
    /// 429, 500, 502, 503, 504, 403 `rateLimitExceeded`, resets and time-outs of reads: try again.
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
    /// A time-out or a lost connection after a mutation was sent: it may or may not have happened. Refresh.
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
}
