//! What Autopilot does to workloads: its mutator raises small resource requests, its Warden refuses what touches nodes.
//!
//! Words and rules: Warden's refusals as users met them (notes on Chaos Mesh by dralquinta; SigNoz/charts#310;
//! SumoLogic/sumologic-kubernetes-collection#3437; the install notes of steadybit and of CrowdStrike), among them the `Status`
//! with code 400 and the reason below. Resource rules are those of Google's page on resource requests in Autopilot, for the
//! general-purpose class on clusters that support bursting (all from GKE 1.30.2 on): 50m CPU and 52 MiB at least, between 1
//! and 6.5 GiB for each CPU; 0.5 CPU, 2 GiB and 1 GiB of ephemeral storage where nothing is given.

use super::failure::Failure;
use super::kind::Kind;
use super::tree::{self, is_true, items, name, namespace, text};
use serde_json::{Map, Value, json};

const WEBHOOK: &str = "warden-validating.common-webhooks.networking.gke.io";
const REASON: &str = "GKE Warden constraints violations";
/// Capabilities that containers may add.
const CAPABILITIES: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
    "SYS_PTRACE",
];
/// The only part of a node that pods may see, and only to read.
const READABLE: &str = "/var/log/";
const VERSION: &str = "2.7.41";

/// Thousandths of a CPU.
const LEAST_CPU: u64 = 50;
const DEFAULT_CPU: u64 = 500;
const MIB: u64 = 1 << 20;
const LEAST_MEMORY: u64 = 52 * MIB;
const DEFAULT_MEMORY: u64 = 2048 * MIB;
const DEFAULT_STORAGE: &str = "1Gi";

/// Where the pod of an object is described, if it has one.
fn pod_spec(kind: Kind, object: &Value) -> Option<&'static str> {
    let own = if kind == Kind::Pod { "/spec" } else { "/spec/template/spec" };
    let all = [own, "/spec/jobTemplate/spec/template/spec"];
    all.into_iter().find(|path| object.pointer(&format!("{path}/containers")).is_some())
}

/// Refuses what pods of Autopilot may not have.
///
/// # Errors
/// 400 with all violations, by constraint.
pub(super) fn judge(kind: Kind, object: &Value) -> Result<(), Failure> {
    let Some(spec) = pod_spec(kind, object).and_then(|path| object.pointer(path)) else { return Ok(()) };
    let mut violations: Map<String, Value> = Map::new();
    let mut found = |constraint: &str, what: Vec<String>| {
        if !what.is_empty() {
            violations.insert(format!("[denied by {constraint}]"), json!(what));
        }
    };
    let containers = || items(spec, "/initContainers").iter().chain(items(spec, "/containers"));
    let capabilities = containers().filter_map(|container| {
        let added = items(container, "/securityContext/capabilities/add").iter().filter_map(Value::as_str);
        let wrong: Vec<&str> = added.filter(|own| !CAPABILITIES.contains(own)).collect();
        (!wrong.is_empty()).then(|| {
            format!(
                "linux capability '{}' on container '{}' not allowed; Autopilot only allows the capabilities: '{}'.",
                wrong.join(","),
                container_name(container),
                CAPABILITIES.join(",")
            )
        })
    });
    found("autogke-default-linux-capabilities", capabilities.collect());
    let namespaces = ["hostIPC", "hostNetwork", "hostPID"].into_iter();
    let shared = namespaces.filter(|field| is_true(spec, &format!("/{field}")));
    found(
        "autogke-disallow-hostnamespaces",
        shared.map(|field| format!("enabling {field} is not allowed in Autopilot.")).collect(),
    );
    let privileged = containers().filter(|container| is_true(container, "/securityContext/privileged"));
    found(
        "autogke-disallow-privilege",
        privileged
            .map(|own| format!("container {} is privileged; not allowed in Autopilot", container_name(own)))
            .collect(),
    );
    let ports = containers().filter_map(|container| {
        let ports = items(container, "/ports").iter().filter_map(|port| tree::int(port, "/hostPort"));
        let ports: Vec<String> = ports.filter(|port| *port > 0).map(|port| port.to_string()).collect();
        (!ports.is_empty()).then(|| {
            format!(
                "container {} specifies host ports [{}], which are disallowed in Autopilot.",
                container_name(container),
                ports.join(" ")
            )
        })
    });
    found("autogke-no-host-port", ports.collect());
    found("autogke-no-write-mode-hostpath", host_paths(spec));
    if violations.is_empty() {
        return Ok(());
    }
    Err(Failure::by_webhook(
        WEBHOOK,
        REASON,
        &format!(
            "GKE Warden rejected the request because it violates one or more constraints.\nViolations details: {}\n\
             Requested by user: 'admin', groups: 'system:authenticated'.",
            Value::Object(violations)
        ),
    ))
}

fn container_name(container: &Value) -> &str {
    text(container, "/name").unwrap_or_default()
}

/// What is wrong with the hostPath volumes of a pod: written to, or outside of the logs. One that no container mounts is
/// outside of them, too.
fn host_paths(spec: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let containers = || items(spec, "/initContainers").iter().chain(items(spec, "/containers"));
    for volume in items(spec, "/volumes") {
        let Some(path) = text(volume, "/hostPath/path") else { continue };
        let volume = text(volume, "/name").unwrap_or_default();
        let readable = format!("{}/", path.trim_end_matches('/')).starts_with(READABLE);
        for container in containers() {
            let own = container_name(container);
            let mounts = items(container, "/volumeMounts").iter();
            let mut mounts = mounts.filter(|mount| text(mount, "/name") == Some(volume)).peekable();
            if mounts.peek().is_none() {
                continue;
            }
            if !readable {
                wrong.push(format!(
                    "hostPath volume {volume} used in container {own} uses path {path} which is not allowed in \
                     Autopilot. Allowed path prefixes for hostPath volumes are: [{READABLE}]."
                ));
            } else if mounts.any(|mount| !is_true(mount, "/readOnly")) {
                wrong.push(format!(
                    "hostPath volume {volume} in container {own} is accessed in write mode; disallowed in Autopilot."
                ));
            }
        }
    }
    wrong
}

/// Brings the resource requests of a workload up to what Autopilot wants; the warning that tells of it.
pub(super) fn adjust(kind: Kind, object: &mut Value) -> Option<String> {
    let path = pod_spec(kind, object)?;
    let given = items(object, &format!("{path}/containers")).to_vec();
    let mut containers = given.clone();
    let (mut defaulted, mut adjusted) = (Changes::default(), Changes::default());
    for container in &mut containers {
        let own = container_name(container).to_owned();
        for (resource, default) in [
            ("cpu", cpu_text(DEFAULT_CPU)),
            ("memory", memory_text(DEFAULT_MEMORY)),
            ("ephemeral-storage", DEFAULT_STORAGE.to_owned()),
        ] {
            let pointer = format!("/resources/requests/{resource}");
            if container.pointer(&pointer).is_none() {
                // Kubernetes takes a limit for the request before anybody else looks.
                let limit = container.pointer(&format!("/resources/limits/{resource}")).cloned();
                tree::put(container, &pointer, limit.unwrap_or_else(|| json!(default)));
                defaulted.note(resource, &own);
            }
        }
    }
    let sum = |resource: &str, read: fn(&Value) -> u64| -> u64 {
        let pointer = format!("/resources/requests/{resource}");
        containers.iter().filter_map(|container| container.pointer(&pointer)).map(read).sum()
    };
    let (cpu, memory) = (sum("cpu", thousandths), sum("memory", bytes));
    // 1 GiB for each CPU at least, and 6.5 at most.
    let wanted_memory = memory.max(LEAST_MEMORY).max((cpu.max(LEAST_CPU) * 1024).div_ceil(1000) * MIB);
    let wanted_cpu = cpu.max(LEAST_CPU).max((wanted_memory / MIB * 1000).div_ceil(6656));
    if let Some(first) = containers.first_mut() {
        let own = container_name(first).to_owned();
        let at = |resource: &str| format!("/resources/requests/{resource}");
        if wanted_cpu > cpu {
            let present = first.pointer(&at("cpu")).map_or(0, thousandths);
            raise(first, "cpu", cpu_text(present + wanted_cpu - cpu), thousandths);
            adjusted.note("cpu", &own);
        }
        if wanted_memory > memory {
            let present = first.pointer(&at("memory")).map_or(0, bytes);
            raise(first, "memory", memory_text(present + wanted_memory - memory), bytes);
            adjusted.note("memory", &own);
        }
    }
    if containers == given {
        return None;
    }
    let shown = |all: &[Value]| -> Vec<Value> {
        let one = |container: &Value| {
            let mut shown = container.get("resources").cloned().unwrap_or_else(|| json!({}));
            shown["name"] = json!(container_name(container));
            shown
        };
        all.iter().map(one).collect()
    };
    let adjustment = json!({
        "input": { "containers": shown(&given) }, "output": { "containers": shown(&containers) }, "modified": true,
    });
    tree::put(object, &format!("{path}/containers"), containers);
    let annotation = |name: &str| format!("/metadata/annotations/{}", tree::escape(name));
    tree::put(object, &annotation("autopilot.gke.io/resource-adjustment"), adjustment.to_string());
    tree::put(object, &annotation("autopilot.gke.io/warden-version"), VERSION);
    let whole = format!("{} {}/{}", kind.info().kind, namespace(object), name(object));
    let told: Vec<String> = [
        defaulted.tell("defaulted unspecified ", " for containers ", "autopilot-defaults"),
        adjusted.tell("adjusted ", " to meet requirements for containers ", "autopilot-resources"),
    ]
    .into_iter()
    .flatten()
    .collect();
    Some(format!("autopilot-default-resources-mutator:Autopilot updated {whole}: {}.", told.join(", and ")))
}

/// Sets a request, and the limit where it would be lower.
fn raise(container: &mut Value, resource: &str, to: String, read: fn(&Value) -> u64) {
    let limit = format!("/resources/limits/{resource}");
    if container.pointer(&limit).is_some_and(|limit| read(limit) < read(&json!(to))) {
        tree::put(container, &limit, to.as_str());
    }
    tree::put(container, &format!("/resources/requests/{resource}"), to);
}

/// What was changed in which containers.
#[derive(Default)]
struct Changes {
    resources: Vec<String>,
    containers: Vec<String>,
}

impl Changes {
    fn note(&mut self, resource: &str, container: &str) {
        for (list, what) in [(&mut self.resources, resource), (&mut self.containers, container)] {
            if !list.iter().any(|known| known == what) {
                list.push(what.to_owned());
            }
        }
    }

    fn tell(&self, did: &str, to: &str, page: &str) -> Option<String> {
        let what = match self.resources.as_slice() {
            [] => return None,
            [only] => format!("'{only}' resource"),
            _ => "resources".to_owned(),
        };
        Some(format!("{did}{what}{to}[{}] (see http://g.co/gke/{page})", self.containers.join(", ")))
    }
}

fn cpu_text(thousandths: u64) -> String {
    format!("{thousandths}m")
}

fn memory_text(bytes: u64) -> String {
    if bytes.is_multiple_of(1024 * MIB) {
        format!("{}Gi", bytes / (1024 * MIB))
    } else {
        format!("{}Mi", bytes.div_ceil(MIB))
    }
}

/// A quantity as a number; 0 for what is none.
fn quantity(value: &Value) -> f64 {
    const UNITS: &[(&str, f64)] = &[
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("m", 0.001),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
    ];
    let Some(text) = value.as_str() else { return value.as_f64().unwrap_or(0.0) };
    let unit = UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (number, factor) = unit.unwrap_or((text, 1.0));
    number.parse::<f64>().map_or(0.0, |number| number * factor)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate")]
fn thousandths(value: &Value) -> u64 {
    (quantity(value) * 1000.0).round() as u64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate")]
fn bytes(value: &Value) -> u64 {
    quantity(value).round() as u64
}
