//! A principal without a role: each API's 403, in its own words. And the default service account without any.
//!
//! - Compute Engine: `Required 'compute.instances.create' permission for 'projects/P/zones/Z/instances/I'`, reason
//!   `forbidden` (the whole body in GoogleCloudPlatform/java-docs-samples#6552).
//! - GKE: `Required "container.clusters.get" permission(s) for "projects/P/locations/L/clusters/C".`
//!   (terraform-google-modules/terraform-google-kubernetes-engine#926, pulumi/examples#150 for a creation, which is of the
//!   project); 400 for nodes as a service account that the principal may not use (rancher/rancher#10553).
//! - Kubernetes behind GKE: `... requires one of ["container.pods.create"] permission(s).` (apache/airflow#37795).
//! - Filestore: `Permission 'file.instances.list' denied on resource '...' (or it may not exist).`, as Google's newer APIs have
//!   it in common, with an ErrorInfo whose reason is IAM_PERMISSION_DENIED (AIP-211).
//! - Cloud Storage: `... does not have storage.buckets.create access to the Google Cloud project. Permission '...' denied on
//!   resource (or it may not exist).` (data-integrations/google-cloud#1503).

use super::Reality;
use super::key::{Key, Role};
use super::words::{CALLER, change_body, compute_error, kubernetes_forbidden};
use crate::api::{Request, Response, Service};
use crate::google::container::places::Place;
use crate::google::rest::{Code, Failure, enums_as_numbers};
use serde_json::{Value, json};

/// Refuses what needs a role that the principal has not.
pub(super) fn refuse(reality: &Reality, request: &Request) -> Option<Response> {
    if !Role::ALL.iter().any(|role| reality.is_on(Key::Role(*role))) {
        return None;
    }
    let lacks = |role| reality.is_on(Key::Role(role));
    let segments = request.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    match &request.service {
        Service::Compute => {
            let (permission, resource, reads) = compute_need(request, &parts)?;
            let role = if reads { Role::ComputeViewer } else { Role::ComputeAdmin };
            let text = format!("Required '{permission}' permission for '{resource}'");
            lacks(role).then(|| compute_error(403, "forbidden", &[text]))
        }
        Service::Container => {
            let (permission, resource) = container_need(request, &parts)?;
            let reads = request.method == "GET";
            let role = if reads { Role::ContainerClusterViewer } else { Role::ContainerAdmin };
            if lacks(role) {
                let text = format!("Required \"{permission}\" permission(s) for \"{resource}\".");
                return Some(Failure::new(Code::PermissionDenied, text).with_errors());
            }
            lacks(Role::ServiceAccountUser).then(|| no_service_account(request, &parts)).flatten()
        }
        Service::Filestore => {
            let (permission, resource, reads) = filestore_need(request, &parts)?;
            let role = if reads { Role::FileViewer } else { Role::FileEditor };
            lacks(role).then(|| filestore_denied(&permission, &resource))
        }
        Service::Storage => {
            let (permission, what, reads) = storage_need(request, &parts)?;
            let role = if reads { Role::StorageObjectViewer } else { Role::StorageObjectAdmin };
            lacks(role).then(|| storage_denied(request, permission, what))
        }
        Service::Kubernetes(_) => {
            lacks(Role::ContainerDeveloper).then(|| kubernetes_denied(request, &parts)).flatten()
        }
    }
}

/// Says of clusters whose nodes run as the default service account that it has no roles, and of the principal that he may do
/// nothing in a cluster.
pub(super) fn mark_clusters(reality: &Reality, request: &Request, response: &mut Response) {
    match &request.service {
        Service::Kubernetes(_) if request.path.ends_with("/selfsubjectaccessreviews") => {
            if reality.is_on(Key::Role(Role::ContainerDeveloper)) {
                change_body(response, |body| body["status"] = json!({ "allowed": false }));
            }
        }
        Service::Container if request.method == "GET" && reality.is_on(Key::DefaultServiceAccount) => {
            let numbers = enums_as_numbers(request);
            change_body(response, |body| match body.get_mut("clusters").and_then(Value::as_array_mut) {
                Some(clusters) => clusters.iter_mut().for_each(|cluster| mark(cluster, numbers)),
                None => mark(body, numbers),
            });
        }
        Service::Container
        | Service::Compute
        | Service::Filestore
        | Service::Storage
        | Service::Kubernetes(_) => {}
    }
}

/// `NODE_SERVICE_ACCOUNT_MISSING_PERMISSIONS`, number 10, of the API reference: its description is the text.
fn mark(cluster: &mut Value, numbers: bool) {
    let is_default = |pool: &Value| {
        let account = pool.get("config").and_then(|config| config.get("serviceAccount"));
        account.is_some_and(|account| account == "default")
    };
    let pools = cluster.get("nodePools").and_then(Value::as_array);
    if !pools.is_some_and(|pools| pools.iter().any(is_default)) {
        return;
    }
    let code = if numbers { json!(10) } else { json!("NODE_SERVICE_ACCOUNT_MISSING_PERMISSIONS") };
    let condition = json!({ "code": code, "message": "Node service account is missing permissions." });
    if let Some(conditions) = cluster.get_mut("conditions").and_then(Value::as_array_mut) {
        conditions.push(condition);
    } else {
        cluster["conditions"] = json!([condition]);
    }
}

/// Permission, resource, and whether it is a read.
fn compute_need(request: &Request, parts: &[&str]) -> Option<(String, String, bool)> {
    let ["compute", _, "projects", project, rest @ ..] = parts else { return None };
    let (parent, rest) = match rest {
        ["aggregated", rest @ ..] => (format!("projects/{project}"), rest),
        ["global", rest @ ..] => (format!("projects/{project}/global"), rest),
        ["zones" | "regions", place, rest @ ..] if !rest.is_empty() => {
            let scope = parts.get(4).copied().unwrap_or_default();
            (format!("projects/{project}/{scope}/{place}"), rest)
        }
        rest => (format!("projects/{project}"), rest),
    };
    let scoped = |collection: &str| match (collection, parts.get(4).copied()) {
        ("operations", Some("zones")) => "zoneOperations".to_owned(),
        ("operations", Some("regions")) => "regionOperations".to_owned(),
        ("operations", _) => "globalOperations".to_owned(),
        (other, _) => other.to_owned(),
    };
    let body = request.json().unwrap_or_default();
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
    let (collection, verb, resource) = match (request.method.as_str(), rest) {
        ("GET", []) => ("projects", "get", parent),
        ("GET", [collection]) => (*collection, "list", format!("projects/{project}")),
        ("GET", [collection, name, ..]) => {
            let verb = match rest.get(2) {
                Some(&"serialPort") => "getSerialPortOutput",
                Some(&"getGuestAttributes") => "getGuestAttributes",
                _ => "get",
            };
            (*collection, verb, format!("{parent}/{collection}/{name}"))
        }
        ("POST", [collection @ "operations", name, "wait"]) => {
            (*collection, "get", format!("{parent}/{collection}/{name}"))
        }
        ("POST", [collection]) => (*collection, "create", format!("{parent}/{collection}/{name}")),
        ("POST", [collection, name, verb]) => (*collection, *verb, format!("{parent}/{collection}/{name}")),
        ("DELETE", [collection, name]) => (*collection, "delete", format!("{parent}/{collection}/{name}")),
        ("PATCH" | "PUT", [collection, name]) => {
            (*collection, "update", format!("{parent}/{collection}/{name}"))
        }
        ("PATCH" | "PUT", [collection, name, verb]) => {
            (*collection, *verb, format!("{parent}/{collection}/{name}"))
        }
        _ => return None,
    };
    let reads = matches!(verb, "get" | "list" | "getSerialPortOutput" | "getGuestAttributes");
    Some((format!("compute.{}.{verb}", scoped(collection)), resource, reads))
}

/// Permission and resource. What a server offers and how its operations go can be read by everybody here.
fn container_need(request: &Request, parts: &[&str]) -> Option<(String, String)> {
    let [_, "projects", project, "locations" | "zones", location, "clusters", rest @ ..] = parts else {
        return None;
    };
    let whole = format!("projects/{project}");
    let link = Place::find(location).map_or_else(|| format!("locations/{location}"), |place| place.link());
    let one = |name: &str| {
        let name = name.split(':').next().unwrap_or_default();
        format!("projects/{project}/{link}/clusters/{name}")
    };
    let (verb, resource) = match (request.method.as_str(), rest) {
        ("GET", []) => ("list", whole),
        ("POST", []) => ("create", whole),
        ("GET", [name, ..]) => ("get", one(name)),
        ("DELETE", [name]) => ("delete", one(name)),
        (_, [name, ..]) => ("update", one(name)),
        (_, []) => return None,
    };
    Some((format!("container.clusters.{verb}"), resource))
}

/// Refuses nodes as an account that the principal may not use.
fn no_service_account(request: &Request, parts: &[&str]) -> Option<Response> {
    let creates = matches!(parts, [.., "clusters" | "nodePools"]) && request.method == "POST";
    let body = request.json().ok().filter(|_| creates)?;
    let configs = ["/nodePool/config", "/cluster/nodeConfig", "/cluster/nodePools/0/config"];
    let named = configs.iter().filter_map(|at| body.pointer(at)?.get("serviceAccount")?.as_str());
    let account = named.into_iter().find(|name| !name.is_empty()).unwrap_or("default");
    let text = format!("The user does not have access to service account \"{account}\".");
    Some(Failure::invalid(text).with_errors())
}

fn filestore_need(request: &Request, parts: &[&str]) -> Option<(String, String, bool)> {
    let [_, "projects", project, "locations", location, collection, rest @ ..] = parts else { return None };
    let parent = format!("projects/{project}/locations/{location}");
    let (verb, resource, reads) = match (request.method.as_str(), rest) {
        ("GET", []) => ("list", parent, true),
        ("GET", [name, ..]) => ("get", format!("{parent}/{collection}/{name}"), true),
        ("POST", []) => ("create", parent, false),
        ("PATCH", [name]) => ("update", format!("{parent}/{collection}/{name}"), false),
        ("DELETE", [name]) => ("delete", format!("{parent}/{collection}/{name}"), false),
        _ => return None,
    };
    Some((format!("file.{collection}.{verb}"), resource, reads))
}

fn filestore_denied(permission: &str, resource: &str) -> Response {
    let resource = format!("//file.googleapis.com/{resource}");
    let text = format!("Permission '{permission}' denied on resource '{resource}' (or it may not exist).");
    let details = vec![json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "domain": "file.googleapis.com",
        "metadata": { "permission": permission, "resource": resource },
        "reason": "IAM_PERMISSION_DENIED",
    })];
    Failure { details, ..Failure::new(Code::PermissionDenied, text) }.plain()
}

/// Permission, what it is about, and whether it is a read. Roles for objects are of no use for buckets.
fn storage_need(request: &Request, parts: &[&str]) -> Option<(&'static str, &'static str, bool)> {
    let at = parts.iter().position(|part| *part == "b")?;
    match (request.method.as_str(), parts.get(at + 2..)?) {
        ("GET", ["o"]) => Some(("storage.objects.list", "bucket", true)),
        ("GET", ["o", _]) => Some(("storage.objects.get", "object", true)),
        ("POST", ["o"]) => Some(("storage.objects.create", "object", false)),
        ("DELETE", ["o", _]) => Some(("storage.objects.delete", "object", false)),
        _ => None,
    }
}

fn storage_denied(request: &Request, permission: &str, what: &str) -> Response {
    let text = format!(
        "{CALLER} does not have {permission} access to the Google Cloud Storage {what}. Permission '{permission}' denied on \
         resource (or it may not exist)."
    );
    // Where an object's bytes were asked for, the text alone.
    if request.query("alt") == Some("media") || request.path.starts_with("/download/") {
        return Response::text(403, "text/html; charset=UTF-8", text);
    }
    compute_error(403, "forbidden", &[text])
}

/// Refuses what is about objects; everybody may ask what an API server has.
fn kubernetes_denied(request: &Request, parts: &[&str]) -> Option<Response> {
    let (group, rest) = match parts {
        ["api", _, rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => return None,
    };
    if rest.is_empty() || matches!(group, "authorization.k8s.io" | "authentication.k8s.io") {
        return None;
    }
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
        rest => (None, rest),
    };
    let (plural, name) = (rest.first()?, rest.get(1));
    let watches = request.query("watch").is_some_and(|watch| watch == "true" || watch == "1");
    let (verb, permission) = match (request.method.as_str(), name) {
        ("GET" | "HEAD", Some(_)) => ("get", "get"),
        ("GET" | "HEAD", None) if watches => ("watch", "list"),
        ("GET" | "HEAD", None) => ("list", "list"),
        ("POST", _) => ("create", "create"),
        ("PUT", _) => ("update", "update"),
        ("PATCH", _) => ("patch", "update"),
        ("DELETE", Some(_)) => ("delete", "delete"),
        (_, _) => ("deletecollection", "delete"),
    };
    let part = rest.get(2).map(|part| format!("/{part}")).unwrap_or_default();
    let object = name.map(|name| format!(" \"{name}\"")).unwrap_or_default();
    let place = namespace.map(|namespace| format!(" in the namespace \"{namespace}\"")).unwrap_or_default();
    let kind = if group.is_empty() { (*plural).to_owned() } else { format!("{plural}.{group}") };
    let text = format!(
        "{kind}{object} is forbidden: User \"{CALLER}\" cannot {verb} resource \"{plural}{part}\" in API group \
         \"{group}\"{place}: requires one of [\"container.{plural}.{permission}\"] permission(s)."
    );
    let mut details = json!({ "kind": plural });
    if let Some(name) = name {
        details["name"] = json!(name);
    }
    if !group.is_empty() {
        details["group"] = json!(group);
    }
    Some(kubernetes_forbidden(&text, &details))
}
