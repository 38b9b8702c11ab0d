//! Compute Engine's errors.

use crate::api::Response;
use serde_json::json;

/// An error response: HTTP status, machine-readable reason, text for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: u16,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Failure {
    fn new(code: u16, reason: &'static str, message: String) -> Self {
        Self { code, reason, message }
    }

    /// `path` is relative, `projects/…`.
    pub(super) fn not_found(path: &str) -> Self {
        Self::new(404, "notFound", format!("The resource '{path}' was not found"))
    }

    pub(super) fn exists(path: &str) -> Self {
        Self::new(409, "alreadyExists", format!("The resource '{path}' already exists"))
    }

    pub(super) fn invalid(field: &str, value: &str, why: &str) -> Self {
        Self::new(400, "invalid", format!("Invalid value for field '{field}': '{value}'. {why}"))
    }

    pub(super) fn required(field: &str) -> Self {
        Self::new(400, "required", format!("Required field '{field}' not specified"))
    }

    /// A body or a query that is not well formed.
    pub(super) fn malformed(message: String) -> Self {
        Self::new(400, "invalid", message)
    }

    /// A stale or missing fingerprint.
    pub(super) fn stale(message: &str) -> Self {
        Self::new(412, "conditionNotMet", message.to_owned())
    }

    pub(super) fn in_use(kind: &str, path: &str, by: &str) -> Self {
        Self::new(
            400,
            "resourceInUseByAnotherResource",
            format!("The {kind} resource '{path}' is already being used by '{by}'"),
        )
    }

    pub(super) fn not_ready(path: &str) -> Self {
        Self::new(400, "resourceNotReady", format!("The resource '{path}' is not ready"))
    }

    /// The reason is the one that is seen with these words (litmuschaos/chaos-charts #562).
    pub(super) fn usage(why: &str) -> Self {
        Self::new(400, "invalidResourceUsage", format!("Invalid resource usage: '{why}'."))
    }
}

impl From<Failure> for Response {
    fn from(failure: Failure) -> Self {
        let Failure { code, reason, message } = failure;
        let errors = json!([{ "message": message, "domain": "global", "reason": reason }]);
        Self::json(code, &json!({ "error": { "code": code, "message": message, "errors": errors } }))
    }
}
