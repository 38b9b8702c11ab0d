//! Service Usage: which APIs a project has switched on. gcloud asks before it creates a cluster.
//!
//! Served beside GKE's API, whose paths it shares no part with.

use crate::api::{Answer, Request, Response};
use crate::rest::{Code, Failure, project_number};
use serde_json::json;

/// What every project of this world has on: the APIs that it has.
const ENABLED: &[&str] =
    &["compute.googleapis.com", "container.googleapis.com", "file.googleapis.com", "storage.googleapis.com"];

/// Answers a request for one service of a project; `None` for a path of any other API.
#[must_use]
pub fn handle(request: &Request) -> Option<Answer> {
    let segments = request.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let ["v1", "projects", project, "services", name] = parts.as_slice() else { return None };
    if request.method != "GET" {
        return Some(Failure::new(Code::NotFound, "Method not found.").plain().into());
    }
    let parent = format!("projects/{}", project_number(project));
    let body = json!({
        "name": format!("{parent}/services/{name}"),
        "parent": parent,
        "config": { "name": name },
        "state": if ENABLED.contains(name) { "ENABLED" } else { "DISABLED" },
    });
    Some(Response::json(200, &body).into())
}
