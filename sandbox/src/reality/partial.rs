//! Lists over several locations that lack some of them, and say so.
//!
//! Fields from the discovery documents: `missingZones` of GKE's ListClustersResponse, `unreachable` of Filestore's
//! ListInstancesResponse, `unreachables` and `warning` of Compute Engine's aggregated lists and `warning` of each scope, whose
//! code `UNREACHABLE` is "A given scope cannot be reached". What is asked for by its name is answered.

use super::Reality;
use super::key::{Api, Key};
use super::words::{change_body, project_of, wants};
use crate::api::{Request, Response, Service};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Takes the unread locations out of a list.
pub(super) fn cut(reality: &Reality, request: &Request, response: &mut Response) {
    if request.method != "GET" {
        return;
    }
    let segments = request.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let away = |api| reality.places(Key::Partial(api));
    match (&request.service, parts.as_slice()) {
        (Service::Container, [_, "projects", _, "locations" | "zones", asked, "clusters"]) => {
            if let Some(away) = away(Api::Container) {
                change_body(response, |body| cut_clusters(body, request, asked, away));
            }
        }
        (Service::Filestore, [_, "projects", _, "locations", asked, "instances"]) => {
            if let Some(away) = away(Api::Filestore) {
                change_body(response, |body| cut_instances(body, request, asked, away));
            }
        }
        (Service::Compute, ["compute", _, "projects", _, "aggregated", collection]) => {
            if let Some(away) = away(Api::Compute) {
                change_body(response, |body| cut_scopes(body, request, collection, away));
            }
        }
        _ => {}
    }
}

/// The unread locations that a list over this location (`-` for all) would have read.
fn concerned<'a>(asked: &str, away: &'a BTreeSet<String>) -> Vec<&'a String> {
    away.iter().filter(|place| asked == "-" || *place == asked).collect()
}

fn cut_clusters(body: &mut Value, request: &Request, asked: &str, away: &BTreeSet<String>) {
    let missing = concerned(asked, away);
    if missing.is_empty() {
        return;
    }
    keep(body, "clusters", |cluster| {
        let location = cluster.get("location").or_else(|| cluster.get("zone")).and_then(Value::as_str);
        !location.is_some_and(|location| missing.iter().any(|place| *place == location))
    });
    if wants(request, "missingZones") {
        body["missingZones"] = json!(missing);
    }
}

fn cut_instances(body: &mut Value, request: &Request, asked: &str, away: &BTreeSet<String>) {
    let missing = concerned(asked, away);
    if missing.is_empty() {
        return;
    }
    keep(body, "instances", |instance| {
        let name = instance.get("name").and_then(Value::as_str).unwrap_or_default();
        !missing.iter().any(|place| name.contains(&format!("/locations/{place}/")))
    });
    if wants(request, "unreachable") {
        let project = project_of(request);
        let names = missing.iter().map(|place| json!(format!("projects/{project}/locations/{place}")));
        body["unreachable"] = names.collect();
    }
}

fn cut_scopes(body: &mut Value, request: &Request, collection: &str, away: &BTreeSet<String>) {
    let scopes: Vec<String> = away.iter().filter_map(|place| scope_of(collection, place)).collect();
    if scopes.is_empty() {
        return;
    }
    if let Some(items) = body.get_mut("items").and_then(Value::as_object_mut) {
        for scope in &scopes {
            let entry = items.entry(scope).or_insert_with(|| json!({}));
            let mut left = Map::new();
            left.insert("warning".to_owned(), unreachable(std::slice::from_ref(scope)));
            *entry = Value::Object(left);
        }
    }
    if wants(request, "unreachables") {
        body["unreachables"] = json!(scopes);
    }
    if wants(request, "warning") {
        body["warning"] = unreachable(&scopes);
    }
}

/// `zones/us-east1-d`, if the collection's members can stand there.
fn scope_of(collection: &str, place: &str) -> Option<String> {
    let zonal = crate::google::compute::catalog::is_zone(place);
    match (collection, zonal) {
        ("addresses" | "resourcePolicies" | "subnetworks", true) => None,
        (
            "instances" | "disks" | "instanceGroupManagers" | "instanceGroups" | "machineTypes" | "diskTypes",
            false,
        ) => None,
        (_, true) => Some(format!("zones/{place}")),
        (_, false) => Some(format!("regions/{place}")),
    }
}

fn unreachable(scopes: &[String]) -> Value {
    let data: Vec<Value> = scopes.iter().map(|scope| json!({ "key": "scope", "value": scope })).collect();
    json!({ "code": "UNREACHABLE", "message": "A given scope cannot be reached.", "data": data })
}

/// Keeps some of a list; the field goes with its last entry.
fn keep(body: &mut Value, field: &str, good: impl Fn(&Value) -> bool) {
    let Some(fields) = body.as_object_mut() else { return };
    if let Some(Value::Array(list)) = fields.get_mut(field) {
        list.retain(good);
        if list.is_empty() {
            fields.remove(field);
        }
    }
}
