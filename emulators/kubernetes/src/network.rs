//! Which connections to pods network policies let through, where something enforces them.
//!
//! The rules are those of Kubernetes' documentation, "Network Policies": a pod that no policy selects takes every
//! connection; one that some select takes what any of them allows; the sender's policies count as the receiver's do; a
//! pod always reaches itself. A policy changes nothing about connections that are open already (the documentation leaves
//! that to the implementation, and Calico keeps them).
//!
//! What does not come from another pod:
//! - Probes come from the node, whose traffic to its pods is always let in (same document).
//! - `exec` and `port-forward` come out of the kubelet, which enters the pod's own network namespace: containerd's
//!   `PortForward` connects to `localhost` there. No policy sees them.
//! - The API server's proxy, on GKE, comes out of `konnectivity-agent`, a pod in `kube-system`: it is let in where a policy
//!   lets that pod in, and not otherwise.

use super::kind::Kind;
use super::selectors::selects;
use super::store::Store;
use super::tree::{int, is_true, items, namespace, text};
use crate::views::PolicyEngine;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::LazyLock;

/// The ports that a connection may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ports {
    /// Any.
    All,
    /// These ranges, first and last.
    Only(Vec<(u16, u16)>),
}

impl Ports {
    /// Whether this port is one of them.
    pub(super) fn has(&self, port: i64) -> bool {
        match self {
            Self::All => true,
            Self::Only(ranges) => {
                ranges.iter().any(|(first, last)| (i64::from(*first)..=i64::from(*last)).contains(&port))
            }
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, ports) | (ports, Self::All) => ports,
            (Self::Only(one), Self::Only(other)) => {
                let both = one.iter().flat_map(|(first, last)| {
                    other.iter().map(move |(from, to)| (*first.max(from), *last.min(to)))
                });
                Self::Only(both.filter(|(first, last)| first <= last).collect())
            }
        }
    }
}

/// The pod that the API server's connections to pods come out of: `k8s-app: konnectivity-agent` is its label on GKE.
static KONNECTIVITY_AGENT: LazyLock<Value> = LazyLock::new(|| {
    json!({"metadata": {"name": "konnectivity-agent", "namespace": "kube-system",
        "labels": {"k8s-app": "konnectivity-agent"}}, "status": {"podIP": "10.8.0.2"}})
});

/// The pods' network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Network<'s> {
    pub(super) store: &'s Store,
    pub(super) engine: PolicyEngine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    const fn policy_type(self) -> &'static str {
        match self {
            Self::Ingress => "Ingress",
            Self::Egress => "Egress",
        }
    }

    const fn rules(self) -> &'static str {
        match self {
            Self::Ingress => "/spec/ingress",
            Self::Egress => "/spec/egress",
        }
    }

    const fn peers(self) -> &'static str {
        match self {
            Self::Ingress => "/from",
            Self::Egress => "/to",
        }
    }
}

impl Network<'_> {
    /// The ports of a pod that another pod reaches.
    pub(super) fn between(&self, from: &Value, to: &Value) -> Ports {
        let engine = self.engine != PolicyEngine::None;
        if !engine || same_pod(from, to) {
            return Ports::All;
        }
        // Policies say nothing of pods in the node's network; what they send comes from a node.
        let ingress = if is_true(to, "/spec/hostNetwork") || sends_from_node(from, to) {
            Ports::All
        } else {
            self.allowed(Direction::Ingress, to, from, to)
        };
        let egress = if is_true(from, "/spec/hostNetwork") {
            Ports::All
        } else {
            self.allowed(Direction::Egress, from, to, to)
        };
        ingress.and(egress)
    }

    /// The ports of a pod that the API server reaches.
    pub(super) fn for_api_server(&self, to: &Value) -> Ports {
        self.between(&KONNECTIVITY_AGENT, to)
    }

    /// What the policies of a pod allow in a direction with another one; `server` is the one that is connected to.
    fn allowed(&self, direction: Direction, own: &Value, other: &Value, server: &Value) -> Ports {
        let mut selected = false;
        let mut ranges = Vec::new();
        for policy in self.store.list(Kind::NetworkPolicy, Some(namespace(own))) {
            let empty = json!({});
            let selector = policy.pointer("/spec/podSelector").unwrap_or(&empty);
            let of_type = items(policy, "/spec/policyTypes").iter().any(|ty| ty == direction.policy_type());
            if !of_type || !selects(selector, own) {
                continue;
            }
            selected = true;
            for rule in items(policy, direction.rules()) {
                let peers = items(rule, direction.peers());
                if !peers.is_empty() && !peers.iter().any(|peer| self.is_peer(peer, namespace(policy), other))
                {
                    continue;
                }
                let ports = items(rule, "/ports");
                if ports.is_empty() {
                    return Ports::All;
                }
                ranges.extend(ports.iter().flat_map(|port| port_ranges(port, server)));
            }
        }
        if selected { Ports::Only(ranges) } else { Ports::All }
    }

    fn is_peer(&self, peer: &Value, home: &str, pod: &Value) -> bool {
        if let Some(block) = peer.get("ipBlock") {
            // Calico goes by addresses alone. For Cilium a pod of the cluster is never an address: "CIDR rules do not
            // apply to traffic where both sides of the connection are managed by Cilium" (its documentation).
            return match self.engine {
                PolicyEngine::None | PolicyEngine::Cilium => false,
                PolicyEngine::Calico => text(pod, "/status/podIP").is_some_and(|ip| in_block(block, ip)),
            };
        }
        if is_true(pod, "/spec/hostNetwork") {
            return false;
        }
        let near = match peer.get("namespaceSelector") {
            None => namespace(pod) == home,
            Some(selector) => {
                let place = self.store.get(Kind::Namespace, "", namespace(pod));
                place.is_some_and(|place| selects(selector, place))
            }
        };
        near && peer.get("podSelector").is_none_or(|selector| selects(selector, pod))
    }
}

fn same_pod(one: &Value, other: &Value) -> bool {
    super::tree::name(one) == super::tree::name(other) && namespace(one) == namespace(other)
}

/// Whether a pod's traffic is that of the node on which another one runs.
fn sends_from_node(from: &Value, to: &Value) -> bool {
    is_true(from, "/spec/hostNetwork") && text(from, "/spec/nodeName") == text(to, "/spec/nodeName")
}

/// What a rule's port means in the pod that is connected to; none of it for a name that no container has, or another
/// protocol than TCP.
fn port_ranges(port: &Value, server: &Value) -> Vec<(u16, u16)> {
    let number = |value: i64| u16::try_from(value).ok();
    if text(port, "/protocol").is_some_and(|protocol| protocol != "TCP") {
        return Vec::new();
    }
    match port.get("port") {
        None | Some(Value::Null) => vec![(0, u16::MAX)],
        Some(Value::String(name)) => items(server, "/spec/containers")
            .iter()
            .flat_map(|container| items(container, "/ports"))
            .filter(|known| text(known, "/name") == Some(name))
            .filter_map(|known| number(int(known, "/containerPort")?))
            .map(|number| (number, number))
            .collect(),
        Some(_) => {
            let first = int(port, "/port").and_then(number);
            let last = int(port, "/endPort").and_then(number);
            first.map(|first| (first, last.unwrap_or(first))).into_iter().collect()
        }
    }
}

fn in_block(block: &Value, ip: &str) -> bool {
    let Ok(ip) = ip.parse::<Ipv4Addr>() else { return false };
    let excepted = items(block, "/except").iter().filter_map(Value::as_str);
    text(block, "/cidr").is_some_and(|cidr| in_cidr(cidr, ip))
        && !excepted.into_iter().any(|cidr| in_cidr(cidr, ip))
}

fn in_cidr(cidr: &str, ip: Ipv4Addr) -> bool {
    let Some((base, length)) = cidr.split_once('/') else { return false };
    let (Ok(base), Ok(length)) = (base.parse::<Ipv4Addr>(), length.parse::<u32>()) else { return false };
    let mask = u32::MAX.checked_shl(32_u32.saturating_sub(length)).unwrap_or(0);
    u32::from(base) & mask == u32::from(ip) & mask
}
