//! Who reaches the control plane and the nodes: fields that say the same twice, once in the words of the time before
//! `controlPlaneEndpointsConfig` and `networkConfig`.
//!
//! What follows from what is as recorded from the real service in August 2025 by the Config Connector project (commit
//! a9901101de, its tests `containercluster-private-masteripv4cidr`, `-dnsendpoint-ipendpoint` and
//! `-dnsendpoint-noipendpoint`).

use super::model::{Change, fill, set};
use crate::schema::Api;
use serde_json::{Map, Value, json};
use std::net::Ipv4Addr;

const ENDPOINTS: &str = "controlPlaneEndpointsConfig";
const NETWORKS: &str = "authorizedNetworksConfig";
const PRIVATE_NODES: &str = "networkConfig.defaultEnablePrivateNodes";
const PRIVATE_NODES_BEFORE: &str = "privateClusterConfig.enablePrivateNodes";

/// Brings the twins of a new cluster in line, and completes them.
pub(super) fn at_creation(spec: &mut Map<String, Value>) {
    let is_on = |path: &str| at(spec, path).is_some_and(|value| value == true);
    let private = is_on(PRIVATE_NODES) || is_on(PRIVATE_NODES_BEFORE);
    let closed = is_on("privateClusterConfig.enablePrivateEndpoint");
    let subnetwork = at(spec, "privateClusterConfig.privateEndpointSubnetwork").cloned();
    let global = is_on("privateClusterConfig.masterGlobalAccessConfig.enabled");
    let older = at(spec, "masterAuthorizedNetworksConfig").cloned();
    if private {
        set(spec, PRIVATE_NODES, true.into());
        set(spec, PRIVATE_NODES_BEFORE, true.into());
    }
    let mut endpoints = match spec.remove(ENDPOINTS) {
        Some(Value::Object(endpoints)) => endpoints,
        _ => Map::new(),
    };
    let ip = |field: &str| format!("ipEndpointsConfig.{field}");
    for (is_given, field, value) in
        [(closed, "enablePublicEndpoint", !closed), (global, "globalAccess", global)]
    {
        if is_given {
            set(&mut endpoints, &ip(field), value.into());
        }
    }
    if let Some(subnetwork) = subnetwork {
        fill(&mut endpoints, json!({ "ipEndpointsConfig": { "privateEndpointSubnetwork": subnetwork } }));
    }
    let is_empty = |value: &Value| value.as_object().is_none_or(Map::is_empty);
    let newer = at(&endpoints, &ip(NETWORKS)).filter(|value| !is_empty(value)).cloned();
    let mut networks = match older.filter(|value| !is_empty(value)).or(newer) {
        Some(Value::Object(networks)) => networks,
        _ => Map::new(),
    };
    let default = if private { "privateEndpointEnforcementEnabled" } else { "gcpPublicCidrsAccessEnabled" };
    networks.entry(default).or_insert(Value::Bool(true));
    set(&mut endpoints, &ip(NETWORKS), Value::Object(networks));
    fill(
        &mut endpoints,
        json!({
            "dnsEndpointConfig": {
                "allowExternalTraffic": false, "enableK8sCertsViaDns": false, "enableK8sTokensViaDns": false,
            },
            "ipEndpointsConfig": { "enablePublicEndpoint": true, "enabled": true },
        }),
    );
    for change in endpoint_changes(Value::Object(endpoints)) {
        set(spec, &change.path, change.value);
    }
}

/// What an update of one of these fields changes; `None` for any other field.
pub(super) fn update(spec: &Map<String, Value>, field: &str, value: &Value) -> Option<Vec<Change>> {
    let given = match field {
        "desiredDefaultEnablePrivateNodes" => {
            let older = if *value == true { value.clone() } else { Value::Null };
            return Some(vec![
                Change::new(PRIVATE_NODES, value.clone()),
                Change::new(PRIVATE_NODES_BEFORE, older),
            ]);
        }
        "desiredControlPlaneEndpointsConfig" => value.clone(),
        "desiredMasterAuthorizedNetworksConfig" => json!({ "ipEndpointsConfig": { NETWORKS: value } }),
        "desiredEnablePrivateEndpoint" => {
            json!({ "ipEndpointsConfig": { "enablePublicEndpoint": *value != true } })
        }
        // Its other fields cannot be updated.
        "desiredPrivateClusterConfig" => {
            let global = value.pointer("/masterGlobalAccessConfig/enabled").is_some_and(|on| *on == true);
            let closed = value.get("enablePrivateEndpoint").is_some_and(|on| *on == true);
            json!({ "ipEndpointsConfig": { "enablePublicEndpoint": !closed, "globalAccess": global } })
        }
        _ => return None,
    };
    let present = spec.get(ENDPOINTS).cloned().unwrap_or_default();
    let mut merged =
        Api::Container.merge("ClusterUpdate", "desiredControlPlaneEndpointsConfig", &present, given);
    // The networks are replaced, but for the two switches that have presence.
    let before = present.pointer("/ipEndpointsConfig/authorizedNetworksConfig");
    if let Some(Value::Object(networks)) = merged.pointer_mut("/ipEndpointsConfig/authorizedNetworksConfig") {
        for field in ["gcpPublicCidrsAccessEnabled", "privateEndpointEnforcementEnabled"] {
            if let Some(value) = before.and_then(|before| before.get(field)) {
                networks.entry(field).or_insert_with(|| value.clone());
            }
        }
    }
    Some(endpoint_changes(merged))
}

/// The endpoints as they are answered, and their twins in the older fields.
fn endpoint_changes(endpoints: Value) -> Vec<Change> {
    let mut whole = json!({ ENDPOINTS: endpoints });
    Api::Container.drop_defaults("Cluster", &mut whole);
    let mut endpoints = whole.get_mut(ENDPOINTS).map(Value::take).unwrap_or_default();
    // `globalAccess` is given back only when it is on, and the subnetwork without its host.
    if let Some(Value::Object(ip)) = endpoints.get_mut("ipEndpointsConfig") {
        ip.retain(|name, value| name != "globalAccess" || *value == true);
        if let Some(Value::String(subnetwork)) = ip.get_mut("privateEndpointSubnetwork") {
            let start = subnetwork.find("projects/").unwrap_or_default();
            subnetwork.replace_range(..start, "");
        }
    }
    let ip = |field: &str| endpoints.get("ipEndpointsConfig").and_then(|ip| ip.get(field));
    let closed = ip("enablePublicEndpoint").is_some_and(|public| *public == false);
    let global = ip("globalAccess").map(|_| json!({ "enabled": true }));
    let networks = ip(NETWORKS).cloned().unwrap_or_default();
    let subnetwork = ip("privateEndpointSubnetwork").cloned().unwrap_or_default();
    vec![
        Change::new("privateClusterConfig.privateEndpointSubnetwork", subnetwork),
        Change::new("masterAuthorizedNetworksConfig", networks),
        Change::new(
            "privateClusterConfig.enablePrivateEndpoint",
            if closed { Value::Bool(true) } else { Value::Null },
        ),
        Change::new("privateClusterConfig.masterGlobalAccessConfig", global.unwrap_or_default()),
        Change::new(ENDPOINTS, endpoints),
    ]
}

/// Where the control plane can be reached.
pub(super) struct Addresses {
    pub(super) dns: String,
    pub(super) private: String,
    pub(super) public: String,
}

/// Puts the addresses into a cluster as it is answered. An endpoint that is switched off is not told, nor what belongs
/// to it, and the cluster's `endpoint` is the next best: public, private, by name.
pub(super) fn show(out: &mut Map<String, Value>, addresses: &Addresses) {
    let says = |out: &Map<String, Value>, field: &str, wanted: bool| {
        at(out, &format!("{ENDPOINTS}.ipEndpointsConfig.{field}")).is_some_and(|value| *value == wanted)
    };
    let public = json!(addresses.public);
    if says(out, "enabled", false) {
        set(out, "endpoint", json!(addresses.dns));
        set(out, &format!("{ENDPOINTS}.ipEndpointsConfig"), json!({ "enabled": false }));
        out.remove("masterAuthorizedNetworksConfig");
        set(out, "privateClusterConfig.publicEndpoint", public);
        return;
    }
    let closed = says(out, "enablePublicEndpoint", false);
    let private = json!(addresses.private);
    set(out, "endpoint", if closed { private.clone() } else { public.clone() });
    set(out, &format!("{ENDPOINTS}.ipEndpointsConfig.privateEndpoint"), private.clone());
    if !closed {
        set(out, &format!("{ENDPOINTS}.ipEndpointsConfig.publicEndpoint"), public.clone());
    }
    set(out, "privateClusterConfig.privateEndpoint", private);
    set(out, "privateClusterConfig.publicEndpoint", public);
}

/// The private address of a control plane that was given a block of its own: the third of the block.
pub(super) fn address_in_own_block(spec: &Map<String, Value>) -> Option<String> {
    let block = at(spec, "privateClusterConfig.masterIpv4CidrBlock")?.as_str()?;
    let first: Ipv4Addr = block.split('/').next()?.parse().ok()?;
    Some(Ipv4Addr::from(u32::from(first).checked_add(2)?).to_string())
}

/// Whether pools of a cluster have nodes without external addresses, unless they say otherwise.
pub(super) fn has_private_nodes(spec: &Map<String, Value>) -> bool {
    at(spec, PRIVATE_NODES).is_some_and(|value| *value == true)
}

/// The value at a path, `networkConfig.dnsConfig`.
fn at<'a>(spec: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    let value = spec.get(head)?;
    match rest {
        Some(rest) => value.pointer(&format!("/{}", rest.replace('.', "/"))),
        None => Some(value),
    }
}
