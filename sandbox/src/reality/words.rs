//! Answers in the form of each API, and what several switches read of a request.

use super::key::{Api, SwitchError};
use super::{Preset, Switch};
use crate::api::{Request, Response, Service};
use serde_json::{Value, json};

/// Who asks, as the APIs name him.
pub(super) const CALLER: &str = "sandbox@example.com";

/// An error of Compute Engine, with one entry for each reason there is; the first is the answer's own.
pub(super) fn compute_error(code: u16, reason: &str, messages: &[String]) -> Response {
    let errors: Vec<Value> = messages
        .iter()
        .map(|message| json!({ "message": message, "domain": "global", "reason": reason }))
        .collect();
    let message = messages.first().map_or("", String::as_str);
    Response::json(code, &json!({ "error": { "code": code, "message": message, "errors": errors } }))
}

/// An error as Kubernetes says it.
pub(super) fn kubernetes_forbidden(message: &str, details: &Value) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": "Forbidden", "details": details, "code": 403,
    });
    let mut response = Response::json(403, &body);
    response.headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    response
}

/// The API of those that have rates and partial answers.
pub(super) const fn api_of(service: &Service) -> Option<Api> {
    match service {
        Service::Compute => Some(Api::Compute),
        Service::Container => Some(Api::Container),
        Service::Filestore => Some(Api::Filestore),
        Service::Storage | Service::Kubernetes(_) => None,
    }
}

/// The project that a request to one of Google's APIs names: `P` of `/compute/v1/projects/P/...`.
pub(super) fn project_of(request: &Request) -> String {
    let segments = request.segments();
    let mut parts = segments.iter().skip_while(|part| *part != "projects");
    parts.nth(1).cloned().unwrap_or_default()
}

/// Whether a client that asks for some fields of the answer asks for this one.
pub(super) fn wants(request: &Request, field: &str) -> bool {
    request
        .query("fields")
        .or_else(|| request.query("$fields"))
        .is_none_or(|fields| fields.contains('*') || fields.contains(field))
}

/// Lets `act` change the JSON of an answer.
pub(super) fn change_body(response: &mut Response, act: impl FnOnce(&mut Value)) {
    let Ok(mut body) = serde_json::from_slice::<Value>(&response.body) else { return };
    act(&mut body);
    response.body = body.to_string().into_bytes();
}

/// There is no preset of this name.
pub(super) fn no_preset(text: &str) -> SwitchError {
    let names = Preset::ALL.map(Preset::name).join(", ");
    Switch::error(format!("{text:?} is no preset; there are {names}"))
}

/// What a change of switches looks like.
pub(super) fn change_form() -> SwitchError {
    Switch::error(
        "a change is {\"like\": PRESET, \"set\": {SWITCH: VALUE, ...}}, either part by itself too".to_owned(),
    )
}
