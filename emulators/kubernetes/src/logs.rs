//! Container logs: of Exhibitor, its own log; of a backup, why it was not taken; other containers are silent.

use super::controllers::program;
use super::failure::Failure;
use super::kind::Kind;
use super::route::Target;
use super::store::Store;
use super::tree;
use crate::api::{Answer, Context, Request, Response};
use crate::containers::Containers;
use serde_json::Value;

/// Answers `GET` of a pod's log.
///
/// # Errors
/// 404 without the pod, 400 for a container that is not there or waits to start.
pub(super) fn answer(
    store: &Store,
    request: &Request,
    target: &Target,
    shares: &mut dyn Containers,
    context: &mut Context<'_>,
) -> Result<Response, Failure> {
    let (namespace, name) =
        (target.namespace.as_deref().unwrap_or_default(), target.name.as_deref().unwrap_or_default());
    let pod = store.get(Kind::Pod, namespace, name).ok_or_else(|| Failure::not_found(Kind::Pod, name))?;
    let containers = tree::items(pod, "/spec/containers");
    let names: Vec<&str> = containers.iter().filter_map(|item| tree::text(item, "/name")).collect();
    let container = match request.query("container").filter(|name| !name.is_empty()) {
        Some(wanted) if names.contains(&wanted) => wanted,
        Some(wanted) => {
            return Err(Failure::bad_request(format!("container {wanted} is not valid for pod {name}")));
        }
        None if names.len() > 1 => {
            let list = names.join(" ");
            return Err(Failure::bad_request(format!(
                "a container name must be specified for pod {name}, choose one of: [{list}]"
            )));
        }
        None => names.first().copied().unwrap_or_default(),
    };
    let statuses = tree::items(pod, "/status/containerStatuses");
    let status = statuses.iter().find(|status| tree::text(status, "/name") == Some(container));
    if let Some(reason) = status.and_then(|status| tree::text(status, "/state/waiting/reason")) {
        let why = format!("container {container:?} in pod {name:?} is waiting to start: {reason}");
        return Err(Failure::bad_request(why));
    }
    let backs_up = containers
        .iter()
        .any(|item| tree::text(item, "/name") == Some(container) && program::is_backup(item));
    if backs_up {
        let why = "error: the embedded cloud does not run zkprov in its pods: no backup was taken\n";
        return Ok(Response::text(200, "text/plain", why));
    }
    let lines =
        tree::text(pod, "/status/podIP").map(|address| exhibitor_log(address, shares, context, request));
    let mut lines = lines.unwrap_or_default();
    if let Some(tail) = request.query("tailLines").and_then(|text| text.parse::<usize>().ok()) {
        lines.drain(..lines.len().saturating_sub(tail));
    }
    let text: String = lines.into_iter().map(|line| line + "\n").collect();
    Ok(Response::text(200, "text/plain", text))
}

/// Exhibitor's log, oldest line first; empty when nothing answers.
fn exhibitor_log(
    address: &str,
    shares: &mut dyn Containers,
    context: &mut Context<'_>,
    request: &Request,
) -> Vec<String> {
    let ask = Request {
        method: "GET".to_owned(),
        path: "/exhibitor/v1/cluster/log".to_owned(),
        query: Vec::new(),
        headers: vec![("accept".to_owned(), "application/json".to_owned())],
        body: Vec::new(),
        service: request.service.clone(),
    };
    let Some(Answer::Done(response)) = shares.handle(address, &ask, context) else { return Vec::new() };
    let log: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let mut lines: Vec<String> = log.as_str().unwrap_or_default().lines().map(str::to_owned).collect();
    lines.reverse();
    lines
}
