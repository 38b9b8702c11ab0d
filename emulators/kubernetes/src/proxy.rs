//! Requests that the API server passes on to pods, directly or through a service.

use super::failure::Failure;
use super::kind::Kind;
use super::network::Network;
use super::route::Target;
use super::store::Store;
use super::tree;
use crate::answer::Answer;
use crate::api::{Context, Request, Time};
use crate::containers::{self, Containers};
use serde_json::Value;

/// Milliseconds that the API server waits for a connection: the dialer's time-out in `k8s.io/apimachinery/pkg/util/net`.
const DIAL_TIMEOUT: Time = 30_000;

/// Passes a request on to the Exhibitor of a pod.
///
/// # Errors
/// 404 without the object, 400 for a port that it does not have, 503 when nothing answers.
pub(super) fn answer(
    network: Network<'_>,
    request: &Request,
    target: &Target,
    shares: &mut dyn Containers,
    context: &mut Context<'_>,
) -> Result<Answer, Failure> {
    let store = network.store;
    let namespace = target.namespace.as_deref().unwrap_or_default();
    let (name, port) = split(target.name.as_deref().unwrap_or_default());
    let (pod, port) = if target.kind == Kind::Service {
        behind_service(store, namespace, name, port, context.now)?
    } else {
        let pod = store.get(Kind::Pod, namespace, name).ok_or_else(|| Failure::not_found(Kind::Pod, name))?;
        (pod, pod_port(pod, port)?)
    };
    let address = tree::text(pod, "/status/podIP");
    let address = address.ok_or_else(|| Failure::bad_request("address not allowed"))?;
    if !network.for_api_server(pod).has(port) {
        // The packets are dropped: nothing comes back until the dialer gives up.
        if context.now < context.arrived + DIAL_TIMEOUT {
            return Ok(Answer::Later);
        }
        let why = format!("error trying to reach service: dial tcp {address}:{port}: i/o timeout");
        return Err(Failure::unavailable(why));
    }
    let inner = Request {
        path: if target.rest.is_empty() { "/".to_owned() } else { target.rest.clone() },
        ..request.clone()
    };
    let answer =
        if port == i64::from(containers::PORT) { shares.handle(address, &inner, context) } else { None };
    answer.map(Answer::from).ok_or_else(|| {
        let why =
            format!("error trying to reach service: dial tcp {address}:{port}: connect: connection refused");
        Failure::unavailable(why)
    })
}

/// `[SCHEME:]NAME[:PORT]`
fn split(text: &str) -> (&str, &str) {
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [_, name, port] => (name, port),
        [name, port] => (name, port),
        _ => (text, ""),
    }
}

/// A pod's port by number or by name; the first one when none is said.
fn pod_port(pod: &Value, port: &str) -> Result<i64, Failure> {
    let mut ports = tree::items(pod, "/spec/containers").iter().flat_map(|item| tree::items(item, "/ports"));
    if let Ok(number) = port.parse() {
        return Ok(number);
    }
    let found = ports.find(|known| port.is_empty() || tree::text(known, "/name") == Some(port));
    match found.and_then(|known| tree::int(known, "/containerPort")) {
        Some(number) => Ok(number),
        None if port.is_empty() => Ok(80),
        None => Err(Failure::bad_request(format!("pod has no port {port:?}"))),
    }
}

/// The pod that a service picks for one of its ports, with the port there.
///
/// # Errors
/// 404 without the service, 503 without the port or a pod that is ready.
pub(super) fn behind_service<'s>(
    store: &'s Store,
    namespace: &str,
    name: &str,
    port: &str,
    now: u64,
) -> Result<(&'s Value, i64), Failure> {
    let service = store.get(Kind::Service, namespace, name);
    let service = service.ok_or_else(|| Failure::not_found(Kind::Service, name))?;
    let ports = tree::items(service, "/spec/ports");
    let found = ports.iter().find(|known| {
        tree::text(known, "/name") == Some(port)
            || tree::int(known, "/port").is_some_and(|number| port == number.to_string())
            || (port.is_empty() && ports.len() == 1)
    });
    let none = || Failure::unavailable(format!("no endpoints available for service {name:?}"));
    let found = found.ok_or_else(|| {
        Failure::unavailable(format!("no service port {port:?} found for service {name:?}"))
    })?;
    let endpoints = store.get(Kind::Endpoints, namespace, name).ok_or_else(none)?;
    let ready: Vec<&Value> = tree::items(endpoints, "/subsets")
        .iter()
        .flat_map(|subset| tree::items(subset, "/addresses"))
        .collect();
    // Any of them, as a real API server: the clock is as good as a die here, and the same again on a replay.
    let at = usize::try_from(now).unwrap_or(0) % ready.len().max(1);
    let pod_name =
        ready.get(at).and_then(|address| tree::text(address, "/targetRef/name")).ok_or_else(none)?;
    let pod = store.get(Kind::Pod, namespace, pod_name).ok_or_else(none)?;
    let wanted = match found.get("targetPort") {
        Some(Value::String(text)) => text.clone(),
        Some(number) => number.to_string(),
        None => tree::int(found, "/port").unwrap_or(0).to_string(),
    };
    Ok((pod, pod_port(pod, &wanted)?))
}
