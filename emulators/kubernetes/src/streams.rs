//! Streams into pods, as far as the world answers them: a program run in a container, and ports that are forwarded.

use super::failure::Failure;
use super::kind::Kind;
use super::network::Network;
use super::programs;
use super::route::Target;
use super::store::Store;
use super::tree;
use crate::answer::PodStream;
use crate::api::{Request, Service, Time};
use crate::containers::Containers;
use serde_json::{Value, json};

/// The protocol of forwarded ports that is served.
const CHANNELS: &str = "v4.channel.k8s.io";

/// Runs a program in a pod's container.
///
/// # Errors
/// 404 without the pod, 400 when it does not run or the request names no program or no stream.
pub(super) fn exec(
    network: Network<'_>,
    request: &Request,
    target: &Target,
    shares: &dyn Containers,
    now: Time,
) -> Result<PodStream, Failure> {
    let pod = running(network.store, request, target)?;
    let wanted = |name: &str| matches!(request.query(name), Some("true" | "1"));
    let (stdout, stderr) = (wanted("stdout"), wanted("stderr"));
    if !(wanted("stdin") || stdout || stderr) {
        return Err(Failure::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
    }
    let words = request.query.iter().filter(|(key, _)| key == "command");
    let command: Vec<String> = words.map(|(_, word)| word.clone()).collect();
    if command.is_empty() {
        return Err(Failure::bad_request("you must specify at least one command for the container"));
    }
    let connected = programs::run(network, pod.object, &command, shares, now);
    let ended = connected.unwrap_or_else(|| shares.run(&pod.address, &command));
    Ok(PodStream::Exec {
        stdout: stdout.then_some(ended.stdout),
        stderr: stderr.then(|| ended.stderr.into_bytes()),
        status: exit_status(ended.code),
    })
}

/// The `Status` that ends a program's stream.
fn exit_status(code: u8) -> Value {
    if code == 0 {
        return json!({ "metadata": {}, "status": "Success" });
    }
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": { "causes": [{ "reason": "ExitCode", "message": code.to_string() }] },
    })
}

/// Opens the way to ports of a pod.
///
/// # Errors
/// 404 without the pod, 400 when it does not run or no port is named.
pub(super) fn forward(store: &Store, request: &Request, target: &Target) -> Result<PodStream, Failure> {
    let pod = running(store, request, target)?;
    let named =
        request.query.iter().filter(|(key, _)| key == "ports").flat_map(|(_, value)| value.split(','));
    let mut ports = Vec::new();
    for port in named {
        let number = port.parse::<u16>().ok().filter(|number| *number > 0);
        ports.push(number.ok_or_else(|| Failure::bad_request(format!("invalid port {port:?}")))?);
    }
    // The tunnels of kubectl name their ports later; they are refused for what they are.
    let offered = request.header("sec-websocket-protocol").unwrap_or_default();
    if ports.is_empty() && offered.contains(CHANNELS) {
        return Err(Failure::bad_request("query parameter \"ports\" is required"));
    }
    let cluster = match &request.service {
        Service::Kubernetes(key) => key.clone(),
        Service::Compute | Service::Container | Service::Filestore | Service::Storage => String::new(),
    };
    Ok(PodStream::Forward { pod: pod.label, cluster, address: pod.address, ports })
}

struct Running<'s> {
    object: &'s Value,
    /// `NAME, uid UID`
    label: String,
    address: String,
}

fn running<'s>(store: &'s Store, request: &Request, target: &Target) -> Result<Running<'s>, Failure> {
    let (namespace, name) =
        (target.namespace.as_deref().unwrap_or_default(), target.name.as_deref().unwrap_or_default());
    let pod = store.get(Kind::Pod, namespace, name).ok_or_else(|| Failure::not_found(Kind::Pod, name))?;
    if tree::text(pod, "/spec/nodeName").is_none() {
        return Err(Failure::bad_request(format!("pod {name} does not have a host assigned")));
    }
    let statuses = tree::items(pod, "/status/containerStatuses");
    let wanted = request.query("container").filter(|wanted| !wanted.is_empty());
    let is_wanted = |status: &&Value| wanted.is_none_or(|wanted| tree::text(status, "/name") == Some(wanted));
    let runs =
        statuses.iter().find(is_wanted).is_some_and(|status| status.pointer("/state/running").is_some());
    let address = tree::text(pod, "/status/podIP").filter(|_| runs);
    let container = || {
        let first = tree::items(pod, "/spec/containers").first();
        wanted.or_else(|| first.and_then(|first| tree::text(first, "/name"))).unwrap_or_default()
    };
    let address =
        address.ok_or_else(|| Failure::bad_request(format!("container not found ({:?})", container())))?;
    let uid = tree::text(pod, "/metadata/uid").unwrap_or_default();
    Ok(Running { object: pod, label: format!("{name}, uid {uid}"), address: address.to_owned() })
}
