//! What the API server allocates for services.

use super::addresses::Addresses;
use super::tree::{carry, default, items, put, remove, text};
use serde_json::{Value, json};

/// Gives a service its addresses and ports, or keeps those it had.
pub(super) fn allocate(service: &mut Value, old: Option<&Value>, addresses: &mut Addresses) {
    let kind = text(service, "/spec/type").unwrap_or("ClusterIP").to_owned();
    if kind == "ExternalName" {
        for key in ["clusterIP", "clusterIPs"] {
            remove(service, &format!("/spec/{key}"));
        }
        return;
    }
    if let Some(old) = old.filter(|old| text(old, "/spec/type") != Some("ExternalName")) {
        for key in ["clusterIP", "clusterIPs"] {
            if service.pointer(&format!("/spec/{key}")).is_none() {
                carry(old, service, &format!("/spec/{key}"));
            }
        }
        keep_node_ports(service, old);
    }
    if text(service, "/spec/clusterIP").is_none() {
        let address = addresses.service();
        put(service, "/spec/clusterIP", address);
    }
    let address = text(service, "/spec/clusterIP").unwrap_or_default().to_owned();
    default(service, "/spec/clusterIPs", json!([address]));
    default(service, "/spec/ipFamilies", json!(["IPv4"]));
    default(service, "/spec/ipFamilyPolicy", "SingleStack");
    for index in 0..items(service, "/spec/ports").len() {
        let port = format!("/spec/ports/{index}/nodePort");
        if kind == "ClusterIP" {
            if let Some(port) =
                service.pointer_mut(&format!("/spec/ports/{index}")).and_then(Value::as_object_mut)
            {
                port.shift_remove("nodePort");
            }
        } else if service.pointer(&port).is_none() {
            put(service, &port, addresses.node_port());
        }
    }
    default(service, "/status/loadBalancer", json!({}));
}

fn keep_node_ports(service: &mut Value, old: &Value) {
    for index in 0..items(service, "/spec/ports").len() {
        let at = format!("/spec/ports/{index}");
        let port = service.pointer(&format!("{at}/port")).cloned();
        let had = items(old, "/spec/ports").iter().find(|had| had.get("port") == port.as_ref());
        if let Some(number) = had.and_then(|had| had.get("nodePort")).cloned() {
            default(service, &format!("{at}/nodePort"), number);
        }
    }
}
