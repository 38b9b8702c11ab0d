//! How objects are shown to who asks for tables (`kubectl get`) or for metadata only.

use super::clock;
use super::columns::{Column, columns};
use super::kind::Kind;
use super::tree::{entries, int, is_deleting, is_true, items, name, text};
use crate::api::Time;
use serde_json::{Value, json};

/// The representation that a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The objects themselves.
    Full,
    /// `meta.k8s.io/v1 PartialObjectMetadata`
    Metadata,
    /// `meta.k8s.io/v1 Table`, with this much of each object.
    Table(Include),
}

/// How much of an object goes with its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Include {
    /// Nothing.
    None,
    /// Its metadata.
    Metadata,
    /// All of it.
    Object,
}

const NONE: &str = "<none>";

fn cells(kind: Kind, object: &Value, now: Time) -> Vec<Value> {
    let age = json!(age_of(object, now));
    let own = json!(name(object));
    let at = |pointer: &str| json!(text(object, pointer).unwrap_or(NONE));
    let number = |pointer: &str| json!(int(object, pointer).unwrap_or(0));
    let count = |pointer: &str| {
        let value = object.pointer(pointer);
        json!(
            value
                .and_then(Value::as_object)
                .map_or_else(|| items(object, pointer).len(), serde_json::Map::len)
        )
    };
    match kind {
        Kind::ConfigMap => vec![own, count("/data"), age],
        Kind::Endpoints => vec![own, json!(endpoints(object)), age],
        Kind::Event => event(object, now),
        Kind::Namespace => vec![own, at("/status/phase"), age],
        Kind::Node => node(object, age),
        Kind::Pod => pod(object, age),
        Kind::Secret => vec![own, at("/type"), count("/data"), age],
        Kind::ServiceAccount => vec![own, count("/secrets"), age],
        Kind::Service => vec![
            own,
            at("/spec/type"),
            at("/spec/clusterIP"),
            json!(external(object)),
            json!(ports(object)),
            age,
            json!(pairs(object, "/spec/selector")),
        ],
        Kind::Deployment => {
            let ready = int(object, "/status/readyReplicas").unwrap_or(0);
            let ready = format!("{ready}/{}", int(object, "/spec/replicas").unwrap_or(0));
            let mut row = vec![
                own,
                json!(ready),
                number("/status/updatedReplicas"),
                number("/status/availableReplicas"),
                age,
            ];
            row.extend(template(object));
            row
        }
        Kind::StatefulSet => {
            let ready = int(object, "/status/readyReplicas").unwrap_or(0);
            let ready = format!("{ready}/{}", int(object, "/spec/replicas").unwrap_or(0));
            let [containers, images, _] = template(object);
            vec![own, json!(ready), age, containers, images]
        }
        Kind::CronJob => {
            let last = text(object, "/status/lastScheduleTime").and_then(clock::parse);
            let job = object.pointer("/spec/jobTemplate").unwrap_or(&Value::Null);
            let mut row = vec![
                own,
                at("/spec/schedule"),
                at("/spec/timeZone"),
                json!(if is_true(object, "/spec/suspend") { "True" } else { "False" }),
                count("/status/active"),
                json!(last.map_or_else(|| NONE.to_owned(), |last| clock::age(last, now))),
                age,
            ];
            row.extend(template(job));
            row
        }
        Kind::Job => {
            let done = int(object, "/status/succeeded").unwrap_or(0);
            let ended = |ty: &str| {
                let mut conditions = items(object, "/status/conditions").iter();
                conditions.any(|one| text(one, "/type") == Some(ty) && text(one, "/status") == Some("True"))
            };
            let status = ["Complete", "Failed"].into_iter().find(|ty| ended(ty)).unwrap_or("Running");
            let completions = format!("{done}/{}", int(object, "/spec/completions").unwrap_or(1));
            let mut row = vec![own, json!(status), json!(completions), json!(""), age];
            row.extend(template(object));
            row
        }
        Kind::Role => vec![own, at("/metadata/creationTimestamp")],
        Kind::RoleBinding => {
            let role = |key: &str| text(object, &format!("/roleRef/{key}")).unwrap_or_default();
            vec![own, json!(format!("{}/{}", role("kind"), role("name"))), age]
        }
        Kind::PersistentVolumeClaim => {
            let modes = items(object, "/spec/accessModes").iter().filter_map(Value::as_str);
            let short = modes.map(|mode| if mode == "ReadWriteOnce" { "RWO" } else { mode }.to_owned());
            vec![
                own,
                at("/status/phase"),
                json!(text(object, "/spec/volumeName").unwrap_or_default()),
                json!(text(object, "/status/capacity/storage").unwrap_or_default()),
                json!(short.collect::<Vec<_>>().join(",")),
                json!(text(object, "/spec/storageClassName").unwrap_or_default()),
                json!("<unset>"),
                age,
                at("/spec/volumeMode"),
            ]
        }
        Kind::DaemonSet => {
            let mut row = vec![
                own,
                number("/status/desiredNumberScheduled"),
                number("/status/currentNumberScheduled"),
                number("/status/numberReady"),
                number("/status/updatedNumberScheduled"),
                number("/status/numberAvailable"),
                json!(pairs(object, "/spec/template/spec/nodeSelector")),
                age,
            ];
            row.extend(template(object));
            row
        }
        Kind::ReplicationController => {
            let mut row = vec![
                own,
                number("/spec/replicas"),
                number("/status/replicas"),
                number("/status/readyReplicas"),
                age,
            ];
            let [containers, images, _] = template(object);
            row.extend([containers, images, json!(pairs(object, "/spec/selector"))]);
            row
        }
        Kind::ReplicaSet => {
            let mut row = vec![
                own,
                number("/spec/replicas"),
                number("/status/replicas"),
                number("/status/readyReplicas"),
                age,
            ];
            row.extend(template(object));
            row
        }
        Kind::PodDisruptionBudget => {
            let shown = |key: &str| match object.pointer(&format!("/spec/{key}")) {
                Some(Value::String(text)) => json!(text),
                Some(value) => json!(value.to_string()),
                None => json!("N/A"),
            };
            vec![
                own,
                shown("minAvailable"),
                shown("maxUnavailable"),
                number("/status/disruptionsAllowed"),
                age,
            ]
        }
        Kind::NetworkPolicy => vec![own, json!(pairs(object, "/spec/podSelector/matchLabels")), age],
        Kind::EndpointSlice => {
            vec![own, at("/addressType"), json!(slice_ports(object)), json!(slice(object)), age]
        }
        Kind::Lease => vec![own, at("/spec/holderIdentity"), age],
        Kind::ValidatingAdmissionPolicy => vec![own, count("/spec/validations"), json!("<unset>"), age],
        Kind::ValidatingAdmissionPolicyBinding => vec![own, at("/spec/policyName"), json!("<unset>"), age],
    }
}

fn age_of(object: &Value, now: Time) -> String {
    let created = text(object, "/metadata/creationTimestamp").and_then(clock::parse);
    created.map_or_else(|| "<unknown>".to_owned(), |created| clock::age(created, now))
}

fn join(parts: impl Iterator<Item = String>) -> String {
    let joined = parts.collect::<Vec<_>>().join(",");
    if joined.is_empty() { NONE.to_owned() } else { joined }
}

fn pairs(object: &Value, pointer: &str) -> String {
    join(entries(object, pointer).map(|(key, value)| format!("{key}={value}")))
}

fn template(object: &Value) -> [Value; 3] {
    let containers = items(object, "/spec/template/spec/containers");
    let each = |key: &str| join(containers.iter().filter_map(|item| text(item, key).map(str::to_owned)));
    [json!(each("/name")), json!(each("/image")), json!(pairs(object, "/spec/selector/matchLabels"))]
}

fn endpoints(object: &Value) -> String {
    let all: Vec<String> = items(object, "/subsets")
        .iter()
        .flat_map(|subset| {
            let ports = items(subset, "/ports").iter().map(|port| int(port, "/port").unwrap_or(0));
            ports.flat_map(|port| {
                let addresses = items(subset, "/addresses").iter();
                addresses.map(move |address| format!("{}:{port}", text(address, "/ip").unwrap_or_default()))
            })
        })
        .collect();
    let more = if all.len() > 3 { format!(" + {} more...", all.len() - 3) } else { String::new() };
    format!("{}{more}", join(all.into_iter().take(3)))
}

fn slice(object: &Value) -> String {
    join(items(object, "/endpoints").iter().flat_map(|endpoint| {
        items(endpoint, "/addresses").iter().filter_map(Value::as_str).map(str::to_owned)
    }))
}

fn slice_ports(object: &Value) -> String {
    join(items(object, "/ports").iter().filter_map(|port| int(port, "/port")).map(|port| port.to_string()))
}

fn external(service: &Value) -> String {
    let addresses =
        items(service, "/status/loadBalancer/ingress").iter().filter_map(|entry| text(entry, "/ip"));
    let addresses: Vec<&str> = addresses.collect();
    match text(service, "/spec/type") {
        Some("LoadBalancer") if addresses.is_empty() => "<pending>".to_owned(),
        Some("LoadBalancer") => addresses.join(","),
        Some("ExternalName") => text(service, "/spec/externalName").unwrap_or(NONE).to_owned(),
        Some(_) | None => NONE.to_owned(),
    }
}

fn ports(service: &Value) -> String {
    join(items(service, "/spec/ports").iter().map(|port| {
        let protocol = text(port, "/protocol").unwrap_or("TCP");
        let number = int(port, "/port").unwrap_or(0);
        match int(port, "/nodePort") {
            Some(node) => format!("{number}:{node}/{protocol}"),
            None => format!("{number}/{protocol}"),
        }
    }))
}

fn event(object: &Value, now: Time) -> Vec<Value> {
    let since = |pointer: &str| {
        let at = text(object, pointer).and_then(clock::parse);
        at.map_or_else(|| "<unknown>".to_owned(), |at| clock::age(at, now))
    };
    let at = |pointer: &str| text(object, pointer).unwrap_or_default();
    let subject = format!("{}/{}", at("/involvedObject/kind").to_lowercase(), at("/involvedObject/name"));
    let count = int(object, "/count").unwrap_or(1);
    vec![
        json!(since("/lastTimestamp")),
        json!(at("/type")),
        json!(at("/reason")),
        json!(subject),
        json!(at("/involvedObject/fieldPath")),
        json!(at("/source/component")),
        json!(at("/message").trim()),
        json!(since("/firstTimestamp")),
        json!(count),
        json!(name(object)),
    ]
}

fn node(object: &Value, age: Value) -> Vec<Value> {
    let ready = items(object, "/status/conditions")
        .iter()
        .find(|condition| text(condition, "/type") == Some("Ready"));
    let mut status = match ready.and_then(|ready| text(ready, "/status")) {
        Some("True") => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if is_true(object, "/spec/unschedulable") {
        status += ",SchedulingDisabled";
    }
    let info = |key: &str| json!(text(object, &format!("/status/nodeInfo/{key}")).unwrap_or("<unknown>"));
    let address = |wanted: &str| {
        let found =
            items(object, "/status/addresses").iter().find(|entry| text(entry, "/type") == Some(wanted));
        json!(found.and_then(|entry| text(entry, "/address")).unwrap_or(NONE))
    };
    vec![
        json!(name(object)),
        json!(status),
        json!(NONE),
        age,
        info("kubeletVersion"),
        address("InternalIP"),
        address("ExternalIP"),
        info("osImage"),
        info("kernelVersion"),
        info("containerRuntimeVersion"),
    ]
}

/// What `kubectl get pods` shows under STATUS.
fn pod_status(object: &Value) -> String {
    if is_deleting(object) {
        return "Terminating".to_owned();
    }
    let mut status = text(object, "/status/reason").or(text(object, "/status/phase")).unwrap_or("Unknown");
    for container in items(object, "/status/containerStatuses") {
        let reason = text(container, "/state/waiting/reason").or(text(container, "/state/terminated/reason"));
        status = reason.unwrap_or(status);
    }
    status.to_owned()
}

fn pod(object: &Value, age: Value) -> Vec<Value> {
    let statuses = items(object, "/status/containerStatuses");
    let ready = statuses.iter().filter(|status| is_true(status, "/ready")).count();
    let restarts: i64 = statuses.iter().filter_map(|status| int(status, "/restartCount")).sum();
    let total = items(object, "/spec/containers").len();
    let at = |pointer: &str| json!(text(object, pointer).unwrap_or(NONE));
    vec![
        json!(name(object)),
        json!(format!("{ready}/{total}")),
        json!(pod_status(object)),
        json!(restarts.to_string()),
        age,
        at("/status/podIP"),
        at("/spec/nodeName"),
        at("/status/nominatedNodeName"),
        json!(NONE),
    ]
}

fn metadata_only(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object.get("metadata")})
}

fn definitions(kind: Kind) -> Vec<Value> {
    let definition = |(column, wide): &Column| {
        let ty = if matches!(
            *column,
            "Data"
                | "Desired"
                | "Current"
                | "Up-to-date"
                | "Available"
                | "Validations"
                | "Allowed Disruptions"
                | "Secrets"
                | "Count"
        ) || (*column == "Ready"
            && matches!(kind, Kind::DaemonSet | Kind::ReplicaSet | Kind::ReplicationController))
        {
            "integer"
        } else {
            "string"
        };
        let format = if *column == "Name" { "name" } else { "" };
        json!({"name": column, "type": ty, "format": format, "description": "", "priority": i32::from(*wide)})
    };
    columns(kind).iter().map(definition).collect()
}

impl Form {
    /// What the `Accept` header and `includeObject` ask for.
    pub(super) fn of(accept: Option<&str>, include: Option<&str>) -> Self {
        let first = accept.unwrap_or_default().split(',').next().unwrap_or_default();
        if first.contains("as=Table") {
            Self::Table(match include {
                Some("None") => Include::None,
                Some("Object") => Include::Object,
                Some(_) | None => Include::Metadata,
            })
        } else if first.contains("as=PartialObjectMetadata") {
            Self::Metadata
        } else {
            Self::Full
        }
    }

    fn row(self, kind: Kind, object: &Value, now: Time) -> Value {
        let mut row = json!({"cells": cells(kind, object, now)});
        let shown = match self {
            Self::Table(Include::Metadata) => Some(metadata_only(object)),
            Self::Table(Include::Object) => Some(object.clone()),
            Self::Table(Include::None) | Self::Full | Self::Metadata => None,
        };
        if let Some(shown) = shown {
            super::tree::put(&mut row, "/object", shown);
        }
        row
    }

    /// One object in this form. In a watch only the first table has columns.
    pub(super) fn one(self, kind: Kind, object: &Value, now: Time, with_columns: bool) -> Value {
        match self {
            Self::Full => object.clone(),
            Self::Metadata => metadata_only(object),
            Self::Table(_) => {
                let revision = object.pointer("/metadata/resourceVersion");
                let columns = if with_columns { json!(definitions(kind)) } else { Value::Null };
                json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": revision},
                    "columnDefinitions": columns, "rows": [self.row(kind, object, now)]})
            }
        }
    }

    /// A list with this metadata in this form.
    pub(super) fn list(self, kind: Kind, metadata: &Value, objects: &[&Value], now: Time) -> Value {
        match self {
            Self::Full => {
                let name = format!("{}List", kind.info().kind);
                let bare = |object: &&Value| {
                    let mut object = (*object).clone();
                    super::tree::remove(&mut object, "/kind");
                    super::tree::remove(&mut object, "/apiVersion");
                    object
                };
                let items: Vec<Value> = objects.iter().map(bare).collect();
                json!({"kind": name, "apiVersion": kind.api_version(), "metadata": metadata, "items": items})
            }
            Self::Metadata => {
                let items: Vec<Value> = objects.iter().map(|object| metadata_only(object)).collect();
                json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                    "items": items})
            }
            Self::Table(_) => {
                let rows: Vec<Value> = objects.iter().map(|object| self.row(kind, object, now)).collect();
                json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                    "columnDefinitions": definitions(kind), "rows": rows})
            }
        }
    }

    /// A bookmark in this form.
    pub(super) fn bookmark(self, bookmark: Value, kind: Kind) -> Value {
        match self {
            Self::Full => bookmark,
            Self::Metadata => metadata_only(&bookmark),
            Self::Table(_) => {
                let mut row = json!({"cells": vec![Value::Null; columns(kind).len()]});
                super::tree::put(&mut row, "/object", metadata_only(&bookmark));
                json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": null,
                    "metadata": bookmark.get("metadata"), "rows": [row]})
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_cell_for_every_column() {
        for kind in Kind::ALL {
            assert_eq!(cells(kind, &json!({}), 0).len(), columns(kind).len(), "{kind:?}");
        }
    }

    #[test]
    fn a_waiting_container_gives_the_pod_its_status() {
        let pod = json!({"status": {"phase": "Pending", "containerStatuses": [
            {"ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff"}}}]},
            "spec": {"containers": [{}]}});
        let row = cells(Kind::Pod, &pod, 0);
        assert_eq!(&row[1..4], [json!("0/1"), json!("ImagePullBackOff"), json!("0")]);
    }
}
