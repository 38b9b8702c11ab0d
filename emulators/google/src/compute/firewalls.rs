//! VPC firewall rules. They have no fingerprint: the last writer wins.

use super::failure::Failure;
use super::operations::{Begin, Effect, resolve, set, takes};
use super::route::link;
use super::{Change, Compute, Document, newborn, schema, unsupported};
use crate::api::Context;
use serde_json::{Value, json};

impl Compute {
    pub(super) fn change_firewalls(
        &mut self,
        change: Change<'_>,
        context: &mut Context<'_>,
    ) -> Result<Value, Failure> {
        let Change { request, route, body } = change;
        let path = route.path();
        let begin = |kind, effect| Begin { kind, target: &path, takes: takes::FIREWALL, effect };
        match (request.method.as_str(), route.name.is_some(), route.verb.as_deref()) {
            ("POST", false, None) => {
                let body = schema::check("Firewall", body)?;
                let path = self.vacant(route, &body)?;
                let rule = completed(newborn("firewall", &path, body, context), &route.project)?;
                self.resources.insert(path.clone(), rule);
                let begin =
                    Begin { kind: "insert", target: &path, takes: takes::FIREWALL, effect: Effect::Nothing };
                Ok(self.begin(route, &begin, context))
            }
            ("PATCH" | "PUT", true, None) => {
                let body = schema::check("Firewall", body)?;
                let present = self.get(&path)?;
                let kept = ["kind", "id", "creationTimestamp", "name", "selfLink"];
                let mut rule: Document = match request.method.as_str() {
                    "PATCH" => present.clone(),
                    _ => present
                        .iter()
                        .filter(|(name, _)| kept.contains(&name.as_str()))
                        .map(|(name, value)| (name.clone(), value.clone()))
                        .collect(),
                };
                let given = body.into_iter().filter(|(name, _)| !kept.contains(&name.as_str()));
                rule.extend(given);
                let direction = |rule: &Document| rule.get("direction").cloned();
                let rule = completed(rule, &route.project)?;
                if direction(&rule) != direction(present) {
                    return Err(Failure::invalid(
                        "resource.direction",
                        "",
                        "The direction of a rule cannot be changed.",
                    ));
                }
                self.resources.insert(path.clone(), rule);
                let kind = if request.method == "PATCH" {
                    "compute.firewalls.patch"
                } else {
                    "compute.firewalls.update"
                };
                Ok(self.begin(route, &begin(kind, Effect::Nothing), context))
            }
            ("DELETE", true, None) => {
                self.get(&path)?;
                if self.being_removed(&path) {
                    return Err(Failure::not_ready(&path));
                }
                Ok(self.begin(route, &begin("delete", Effect::Removed), context))
            }
            _ => Err(unsupported(request)),
        }
    }
}

/// Checks a rule and adds the defaults.
fn completed(mut rule: Document, project: &str) -> Result<Document, Failure> {
    // Empty lists are as good as none.
    rule.retain(|_, value| !value.as_array().is_some_and(Vec::is_empty));
    rule.remove("params");
    let (allowed, denied) = (rule.contains_key("allowed"), rule.contains_key("denied"));
    if allowed == denied {
        let why = "Exactly one of allowed and denied must be given.";
        return Err(Failure::invalid("resource.allowed", "", why));
    }
    for field in ["allowed", "denied"] {
        let rules = rule.get(field).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for one in rules {
            check_ports(field, one)?;
        }
    }
    rule.entry("direction").or_insert_with(|| "INGRESS".into());
    rule.entry("priority").or_insert_with(|| 1000.into());
    rule.entry("disabled").or_insert_with(|| false.into());
    rule.entry("logConfig").or_insert_with(|| json!({ "enable": false }));
    match rule.get("priority").and_then(Value::as_i64) {
        Some(0..=65_535) => {}
        other => {
            return Err(Failure::invalid(
                "resource.priority",
                &format!("{other:?}"),
                "Must be between 0 and 65535.",
            ));
        }
    }
    for field in ["sourceRanges", "destinationRanges"] {
        for range in super::disks::strings(rule.get(field)) {
            check_range(field, &range)?;
        }
    }
    let ingress = rule.get("direction").and_then(Value::as_str) == Some("INGRESS");
    let open = ["sourceRanges", "sourceTags", "sourceServiceAccounts"]
        .iter()
        .all(|field| !rule.contains_key(*field));
    if ingress && open {
        rule.insert("sourceRanges".into(), json!(["0.0.0.0/0"]));
    }
    let network = rule.get("network").and_then(Value::as_str).unwrap_or("global/networks/default");
    let path = resolve(network, &format!("projects/{project}/global"), "networks");
    if path != format!("projects/{project}/global/networks/default") {
        return Err(Failure::not_found(&path));
    }
    set(&mut rule, [("network", link(&path).into())]);
    Ok(rule)
}

fn check_ports(field: &str, rule: &Value) -> Result<(), Failure> {
    let protocol = rule.get("IPProtocol").and_then(Value::as_str).unwrap_or_default();
    let known = ["tcp", "udp", "icmp", "esp", "ah", "ipip", "sctp", "all"];
    if !known.contains(&protocol) && protocol.parse::<u8>().is_err() {
        return Err(Failure::invalid(
            &format!("resource.{field}[0].IPProtocol"),
            protocol,
            "Unknown protocol.",
        ));
    }
    for port in super::disks::strings(rule.get("ports")) {
        let (from, to) = port.split_once('-').unwrap_or((&port, &port));
        let good = matches!((from.parse::<u16>(), to.parse::<u16>()), (Ok(from), Ok(to)) if from <= to);
        if !good || !["tcp", "udp", "sctp", "6", "17", "132"].contains(&protocol) {
            return Err(Failure::invalid(
                &format!("resource.{field}[0].ports[0]"),
                &port,
                "Must be a port or a range of ports of TCP, UDP or SCTP.",
            ));
        }
    }
    Ok(())
}

/// A CIDR block with no bits set outside of its prefix.
fn check_range(field: &str, range: &str) -> Result<(), Failure> {
    let parsed = range
        .split_once('/')
        .and_then(|(ip, length)| Some((ip.parse::<std::net::IpAddr>().ok()?, length.parse::<u32>().ok()?)));
    let good = match parsed {
        Some((std::net::IpAddr::V4(ip), length @ 0..=32)) => {
            ip.to_bits().checked_shl(length).unwrap_or(0) == 0
        }
        Some((std::net::IpAddr::V6(ip), length @ 0..=128)) => {
            ip.to_bits().checked_shl(length).unwrap_or(0) == 0
        }
        // A lone address stands for itself.
        _ => range.parse::<std::net::IpAddr>().is_ok(),
    };
    let why = "Must be a CIDR address range, with no bits outside of its prefix.";
    if good { Ok(()) } else { Err(Failure::invalid(&format!("resource.{field}[0]"), range, why)) }
}
