//! Endpoints and EndpointSlices of services, from the readiness of their pods.

use super::super::deletion::{self, DeleteOptions};
use super::super::kind::Kind;
use super::super::managers::Actor;
use super::super::registry::{Registry, Write};
use super::super::selectors::selects;
use super::super::tree::{self, int, is_true, items, name, namespace, text};
use super::{is_active, is_ready};
use serde_json::{Value, json};

/// Brings the endpoints of every service up to date.
pub(super) fn run(registry: &mut Registry<'_>) {
    let services: Vec<Value> = registry.store.list(Kind::Service, None).cloned().collect();
    for service in services.iter().filter(|service| service.pointer("/spec/selector").is_some()) {
        let selector = json!({"matchLabels": service.pointer("/spec/selector")});
        let pods: Vec<Value> = registry
            .store
            .list(Kind::Pod, Some(namespace(service)))
            .filter(|pod| selects(&selector, pod) && is_active(pod) && text(pod, "/status/podIP").is_some())
            .cloned()
            .collect();
        let (ready, waiting): (Vec<&Value>, Vec<&Value>) =
            pods.iter().partition(|pod| is_ready(pod) || is_true(service, "/spec/publishNotReadyAddresses"));
        write_endpoints(registry, service, &ready, &waiting);
        write_slice(registry, service, &pods, &ready);
    }
    forget(registry, &services);
}

/// Endpoints go with their service; slices have an owner and are collected.
fn forget(registry: &mut Registry<'_>, services: &[Value]) {
    let orphans: Vec<Value> = registry
        .store
        .list(Kind::Endpoints, None)
        .filter(|object| {
            text(object, "/metadata/annotations/endpoints.kubernetes.io~1last-change-trigger-time").is_some()
                && !services
                    .iter()
                    .any(|service| name(service) == name(object) && namespace(service) == namespace(object))
        })
        .cloned()
        .collect();
    for object in &orphans {
        let options = DeleteOptions::plain();
        drop(deletion::delete(registry, Kind::Endpoints, namespace(object), name(object), &options));
    }
}

/// The ports of a service on these pods.
fn ports(service: &Value, pods: &[&Value]) -> Vec<Value> {
    let resolve = |target: &Value| {
        let Some(wanted) = target.as_str() else { return target.as_i64() };
        let containers = items(pods.first()?, "/spec/containers");
        let mut known = containers.iter().flat_map(|container| items(container, "/ports"));
        int(known.find(|port| text(port, "/name") == Some(wanted))?, "/containerPort")
    };
    let each = items(service, "/spec/ports").iter().filter_map(|port| {
        let number = port.get("targetPort").and_then(resolve)?;
        let mut shown = json!({"port": number, "protocol": text(port, "/protocol").unwrap_or("TCP")});
        if let Some(name) = text(port, "/name") {
            tree::put(&mut shown, "/name", name);
        }
        Some(shown)
    });
    each.collect()
}

fn reference(pod: &Value) -> Value {
    json!({"kind": "Pod", "namespace": namespace(pod), "name": name(pod), "uid": tree::uid(pod)})
}

fn labels(service: &Value) -> Value {
    service.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}))
}

fn write_endpoints(registry: &mut Registry<'_>, service: &Value, ready: &[&Value], waiting: &[&Value]) {
    let address = |pod: &&Value| json!({"ip": text(pod, "/status/podIP"), "nodeName": text(pod, "/spec/nodeName"), "targetRef": reference(pod)});
    let mut subset = json!({});
    for (key, pods) in [("addresses", ready), ("notReadyAddresses", waiting)] {
        if !pods.is_empty() {
            tree::put(&mut subset, &format!("/{key}"), pods.iter().map(address).collect::<Vec<_>>());
        }
    }
    let subsets = if ready.is_empty() && waiting.is_empty() {
        Value::Null
    } else {
        let all: Vec<&Value> = ready.iter().chain(waiting).copied().collect();
        tree::put(&mut subset, "/ports", ports(service, &all));
        json!([subset])
    };
    let old = registry.store.get(Kind::Endpoints, namespace(service), name(service)).cloned();
    if old.as_ref().is_some_and(|old| old.get("subsets").unwrap_or(&Value::Null) == &subsets) {
        return;
    }
    let mut object = old.clone().unwrap_or_else(|| {
        json!({"metadata": {"name": name(service), "namespace": namespace(service), "labels": labels(service)}})
    });
    let at = super::super::clock::seconds(registry.now);
    tree::put(&mut object, "/metadata/annotations/endpoints.kubernetes.io~1last-change-trigger-time", at);
    if subsets.is_null() {
        tree::remove(&mut object, "/subsets");
    } else {
        tree::put(&mut object, "/subsets", subsets);
    }
    store(registry, Kind::Endpoints, object, old.is_some());
}

fn store(registry: &mut Registry<'_>, kind: Kind, object: Value, exists: bool) {
    if exists {
        registry.commit(kind, object, &Actor::new(super::MANAGER));
    } else {
        // A namespace on its way out takes no new objects.
        drop(registry.create(kind, object, &Write::by(super::MANAGER)));
    }
}

fn write_slice(registry: &mut Registry<'_>, service: &Value, pods: &[Value], ready: &[&Value]) {
    let all: Vec<&Value> = pods.iter().collect();
    let endpoints: Vec<Value> = pods
        .iter()
        .map(|pod| {
            let serves = ready.iter().any(|other| name(other) == name(pod));
            json!({"addresses": [text(pod, "/status/podIP")], "nodeName": text(pod, "/spec/nodeName"),
                "conditions": {"ready": serves, "serving": is_ready(pod), "terminating": false},
                "targetRef": reference(pod)})
        })
        .collect();
    let old = registry
        .store
        .list(Kind::EndpointSlice, Some(namespace(service)))
        .find(|slice| text(slice, "/metadata/labels/kubernetes.io~1service-name") == Some(name(service)));
    let old = old.cloned();
    let mut labels = labels(service);
    tree::put(&mut labels, "/kubernetes.io~1service-name", name(service));
    tree::put(&mut labels, "/endpointslice.kubernetes.io~1managed-by", "endpointslice-controller.k8s.io");
    let mut object = old.clone().unwrap_or_else(|| {
        json!({"metadata": {"generateName": format!("{}-", name(service)), "namespace": namespace(service),
            "labels": labels, "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": name(service),
                "uid": tree::uid(service), "controller": true, "blockOwnerDeletion": true}]},
            "addressType": "IPv4"})
    });
    tree::put(&mut object, "/endpoints", endpoints);
    tree::put(&mut object, "/ports", ports(service, &all));
    store(registry, Kind::EndpointSlice, object, old.is_some());
}
