//! A project without the network `default`, as those are whose organisation forbids to make it.
//!
//! A network that is named and not there is 404 at Compute Engine, where firewall rules and machines name it. GKE answers
//! 400, `Project "P" has no network named "default".`: GoogleCloudPlatform/cloud-ops-sandbox#678.

use super::Reality;
use super::key::Key;
use super::words::{change_body, compute_error, project_of};
use crate::api::{Request, Response, Service};
use crate::google::rest::Failure;
use serde_json::{Value, json};

/// Refuses what names the network, or would be in it without naming any.
pub(super) fn refuse(reality: &Reality, request: &Request) -> Option<Response> {
    if !reality.is_on(Key::DefaultNetwork) {
        return None;
    }
    let segments = request.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let project = project_of(request);
    match (&request.service, request.method.as_str(), parts.as_slice()) {
        (Service::Compute, "GET", [.., "networks", "default"]) => Some(no_network(&project)),
        (Service::Compute, "GET", [.., "regions", region, "subnetworks", "default"]) => {
            Some(not_found(&format!("projects/{project}/regions/{region}/subnetworks/default")))
        }
        (Service::Compute, "POST", [.., "instances"]) => {
            let body = request.json().ok()?;
            let nics = body.get("networkInterfaces")?.as_array()?;
            nics.iter().any(is_default).then(|| no_network(&project))
        }
        (Service::Compute, "POST", [.., "firewalls"]) => {
            is_default(&request.json().ok()?).then(|| no_network(&project))
        }
        (Service::Compute, "POST", [.., "regions", region, "addresses"]) => {
            let body = request.json().ok()?;
            let internal = body.get("addressType").and_then(Value::as_str) == Some("INTERNAL");
            let path = format!("projects/{project}/regions/{region}/subnetworks/default");
            internal.then(|| not_found(&path))
        }
        (Service::Container, "POST", [_, "projects", _, "locations" | "zones", _, "clusters"]) => {
            let body = request.json().ok()?;
            let text = format!("Project \"{project}\" has no network named \"default\".");
            is_default(body.get("cluster")?).then(|| Failure::invalid(text).with_errors())
        }
        _ => None,
    }
}

/// Takes the network and its subnetworks out of lists.
pub(super) fn hide(reality: &Reality, request: &Request, response: &mut Response) {
    let network = ["/networks", "/subnetworks"].iter().any(|end| request.path.ends_with(end));
    if !reality.is_on(Key::DefaultNetwork) || request.service != Service::Compute || !network {
        return;
    }
    change_body(response, |body| {
        let Some(fields) = body.as_object_mut() else { return };
        if fields.get("items").is_some_and(Value::is_object) {
            fields.insert("items".to_owned(), json!({}));
        } else {
            fields.remove("items");
        }
        fields.remove("nextPageToken");
    });
}

/// Whether a body is in the network `default`: it names that, or none.
fn is_default(body: &Value) -> bool {
    let named = body.get("network").and_then(Value::as_str).unwrap_or_default();
    named.is_empty() || named.rsplit('/').next() == Some("default")
}

fn no_network(project: &str) -> Response {
    not_found(&format!("projects/{project}/global/networks/default"))
}

fn not_found(path: &str) -> Response {
    compute_error(404, "notFound", &[format!("The resource '{path}' was not found")])
}
