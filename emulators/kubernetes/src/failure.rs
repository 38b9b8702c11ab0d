//! Errors as `metav1.Status` says them.

use super::kind::Kind;
use crate::api::Response;
use serde_json::{Value, json};

/// One cause of a failure, about one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    reason: &'static str,
    field: String,
    message: String,
}

impl Cause {
    /// A cause with its machine-readable reason (`FieldValueInvalid`, …), the field's path and the message.
    pub(super) fn new(reason: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason, field: field.into(), message: message.into() }
    }

    /// A value that is not allowed; `value` as shown in the message.
    pub(super) fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Self {
        Self::new("FieldValueInvalid", field, format!("Invalid value: {value}: {why}"))
    }

    /// A value that must be there.
    pub(super) fn required(field: impl Into<String>, why: &str) -> Self {
        let message =
            if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        Self::new("FieldValueRequired", field, message)
    }
}

/// What the API server says where it says no more.
const UNPROCESSABLE: &str = "the server rejected our request due to an error in our request";

/// What the details of a failure name beside the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// The resource; the kind where a validation refuses.
    Resource,
    /// The kind.
    Kind,
    /// The scale of the object.
    Scale,
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// HTTP status.
    pub(super) code: u16,
    reason: &'static str,
    message: String,
    object: Option<(Kind, String)>,
    causes: Vec<Cause>,
    retry_after: Option<u32>,
    names: Names,
}

impl Failure {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            object: None,
            causes: Vec::new(),
            retry_after: None,
            names: Names::Resource,
        }
    }

    fn about(mut self, kind: Kind, name: &str) -> Self {
        self.object = Some((kind, name.to_owned()));
        self
    }

    /// 404 for an object.
    pub(super) fn not_found(kind: Kind, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", kind.qualified())).about(kind, name)
    }

    /// 404 for a path of a group that is served.
    pub(super) fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    /// 409 on creation.
    pub(super) fn already_exists(kind: Kind, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} \"{name}\" already exists", kind.qualified()))
            .about(kind, name)
    }

    /// 409 on a write that was not made from the latest version, or on a precondition.
    pub(super) fn conflict(kind: Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified());
        Self::new(409, "Conflict", message).about(kind, name)
    }

    /// 409 of a deletion whose precondition does not hold; `what` the precondition is about, and what may have happened.
    pub(super) fn precondition(kind: Kind, name: &str, what: &str, values: [&str; 2], fate: &str) -> Self {
        let shown = kind.of_group();
        let [wanted, actual] = values;
        let message = format!(
            "Operation cannot be fulfilled on {shown} \"{name}\": the {what} in the precondition ({wanted}) does not \
             match the {what} in record ({actual}). The object might have been {fate}"
        );
        let mut failure = Self::new(409, "Conflict", message).about(kind, name);
        failure.names = Names::Kind;
        failure
    }

    /// 409 of a server-side apply.
    pub(super) fn apply_conflict(message: String, causes: Vec<Cause>) -> Self {
        Self { causes, ..Self::new(409, "Conflict", message) }
    }

    /// 422 with every cause.
    pub(super) fn invalid(kind: Kind, name: &str, causes: Vec<Cause>) -> Self {
        let mut texts: Vec<String> =
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        texts.dedup();
        let list =
            if let [only] = texts.as_slice() { only.clone() } else { format!("[{}]", texts.join(", ")) };
        let shown = kind.of_group();
        let message = format!("{shown} \"{name}\" is invalid: {list}");
        Self { causes, ..Self::new(422, "Invalid", message) }.about(kind, name)
    }

    /// 422 of a scale.
    pub(super) fn invalid_scale(name: &str, cause: Cause) -> Self {
        let message = format!("Scale.autoscaling \"{name}\" is invalid: {}: {}", cause.field, cause.message);
        let object = Some((Kind::Deployment, name.to_owned()));
        Self { causes: vec![cause], object, names: Names::Scale, ..Self::new(422, "Invalid", message) }
    }

    /// 422 of an admission policy: the whole message, and its bare text as the cause.
    pub(super) fn refused(kind: Kind, name: &str, code: u16, reason: &'static str, message: &str) -> Self {
        let whole = format!("{} \"{name}\" is forbidden: {message}", kind.qualified());
        let cause = Cause::new("", "", message);
        Self { causes: vec![cause], ..Self::new(code, reason, whole) }.about(kind, name)
    }

    /// 400 of an admission webhook, with a reason of its own.
    pub(super) fn by_webhook(webhook: &str, reason: &'static str, message: &str) -> Self {
        Self::new(400, reason, format!("admission webhook \"{webhook}\" denied the request: {message}"))
    }

    /// 403.
    pub(super) fn forbidden(kind: Kind, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", kind.qualified());
        Self::new(403, "Forbidden", message).about(kind, name)
    }

    /// 400.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 405.
    pub(super) fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    /// 422 of a JSON patch that can't be applied.
    pub(super) fn unprocessable() -> Self {
        Self::new(422, "Invalid", UNPROCESSABLE)
    }

    /// 415: a body in a format that is not read here.
    pub(super) fn unsupported_body(content_type: &str) -> Self {
        let message = format!("the body of the request was in an unknown format: {content_type}");
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 500 without a reason: what a server-side apply says of fields that are not in the schema.
    pub(super) fn untyped(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// 415: a patch of an unknown kind.
    pub(super) fn unsupported_patch() -> Self {
        let types = "application/json-patch+json, application/merge-patch+json, \
                     application/strategic-merge-patch+json, application/apply-patch+yaml";
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {types}"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 410: a continuation or a watch from before the kept history.
    pub(super) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 429 of an eviction that a disruption budget forbids.
    pub(super) fn disruption_budget(budget: &str, needs: i64, has: i64) -> Self {
        let text =
            format!("The disruption budget {budget} needs {needs} healthy pods and has {has} currently");
        Self {
            causes: vec![Cause::new("DisruptionBudget", "", text)],
            ..Self::new(
                429,
                "TooManyRequests",
                "Cannot evict pod as it would violate the pod's disruption budget.",
            )
        }
    }

    /// 503 of a proxy that finds nothing to talk to.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }

    /// The `metav1.Status` object.
    pub(super) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message,
        });
        let mut details = serde_json::Map::new();
        if let Some((kind, name)) = &self.object {
            let info = kind.info();
            // Validation errors name the kind, most others the resource.
            let admission = self.causes.iter().any(|cause| cause.reason.is_empty());
            let (group, shown) = match self.names {
                Names::Scale => ("autoscaling", "Scale"),
                Names::Kind => (info.group, info.kind),
                Names::Resource if self.reason == "Invalid" && !admission => (info.group, info.kind),
                Names::Resource => (info.group, info.plural),
            };
            details.insert("name".to_owned(), json!(name));
            if !group.is_empty() {
                details.insert("group".to_owned(), json!(group));
            }
            details.insert("kind".to_owned(), json!(shown));
        }
        if !self.causes.is_empty() {
            details.insert("causes".to_owned(), self.causes.iter().map(Cause::json).collect());
        }
        if let Some(seconds) = self.retry_after {
            details.insert("retryAfterSeconds".to_owned(), json!(seconds));
        }
        if let Value::Object(map) = &mut status {
            if !self.reason.is_empty() {
                map.insert("reason".to_owned(), json!(self.reason));
            }
            if !details.is_empty() || self.code == 404 || self.message == UNPROCESSABLE {
                map.insert("details".to_owned(), Value::Object(details));
            }
            map.insert("code".to_owned(), json!(self.code));
        }
        status
    }
}

impl Cause {
    fn json(&self) -> Value {
        let pairs =
            [("reason", self.reason), ("message", self.message.as_str()), ("field", self.field.as_str())];
        let filled = pairs.into_iter().filter(|(_, text)| !text.is_empty());
        Value::Object(filled.map(|(key, text)| (key.to_owned(), json!(text))).collect())
    }
}

impl From<Failure> for Response {
    fn from(failure: Failure) -> Self {
        let mut response = Self::json(failure.code, &failure.status());
        if let Some(seconds) = failure.retry_after {
            response.headers.push(("retry-after".to_owned(), seconds.to_string()));
        }
        response
    }
}
