//! Refusals, in Cloud Storage's form.

use crate::api::Response;
use serde_json::{Value, json};

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    http: u16,
    reason: &'static str,
    message: String,
    /// The header that the refused condition stands for.
    header: Option<&'static str>,
}

impl Failure {
    pub(super) fn new(http: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { http, reason, message: message.into(), header: None }
    }

    /// Something of the real service that this world does not have.
    pub(super) fn not_here(what: &str) -> Self {
        Self::new(501, "notImplemented", format!("The embedded cloud does not have {what}."))
    }

    pub(super) fn at(mut self, header: &'static str) -> Self {
        self.header = Some(header);
        self
    }

    /// Where an object's bytes were asked for, the message alone.
    pub(super) fn response(self, media: bool) -> Response {
        if media {
            return Response::text(self.http, "text/html; charset=UTF-8", self.message);
        }
        let mut error = json!({ "message": self.message, "domain": "global", "reason": self.reason });
        if let Some(header) = self.header {
            error["locationType"] = json!("header");
            error["location"] = Value::from(header);
        }
        let body = json!({ "error": { "code": self.http, "message": self.message, "errors": [error] } });
        Response::json(self.http, &body)
    }
}
