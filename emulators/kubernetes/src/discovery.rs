//! Discovery: which groups, kinds and verbs there are.

use super::kind::Kind;
use crate::api::{Request, Response};
use serde_json::{Value, json};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Groups in the order of discovery, the core first. The last two serve reviews only.
const GROUPS: [&str; 11] = [
    "",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "batch",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "admissionregistration.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
];

/// Reviews: answered, never stored.
const REVIEWS: [(&str, &str, &str); 4] = [
    ("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview"),
    ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
    ("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview"),
];

/// Everything that a stored kind can be asked for.
const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// One line of discovery.
struct Entry {
    name: String,
    singular: &'static str,
    namespaced: bool,
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    verbs: Vec<&'static str>,
    short: &'static [&'static str],
    categories: &'static [&'static str],
}

/// Answers a discovery path.
pub(super) fn answer(path: &str, request: &Request, version: &str) -> Option<Response> {
    let aggregated = request
        .header("accept")
        .is_some_and(|accept| accept.contains("g=apidiscovery.k8s.io") && accept.contains("v=v2;"));
    match path.trim_end_matches('/') {
        "/version" => Some(Response::json(200, &version_info(version))),
        "/healthz" | "/livez" | "/readyz" => Some(Response::text(200, "text/plain; charset=utf-8", "ok")),
        "/api" if aggregated => Some(aggregate(&[""])),
        "/apis" if aggregated => Some(aggregate(&GROUPS[1..])),
        "/api" => Some(Response::json(
            200,
            &json!({"kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": []}),
        )),
        "/apis" => {
            let groups: Vec<Value> = GROUPS.iter().skip(1).map(|group| group_json(group, false)).collect();
            Some(Response::json(200, &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})))
        }
        "" => {
            let mut paths = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
            for group in GROUPS.iter().skip(1) {
                paths.extend([format!("/apis/{group}"), format!("/apis/{group}/v1")]);
            }
            let own = ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"];
            paths.extend(own.map(str::to_owned));
            Some(Response::json(200, &json!({"paths": paths})))
        }
        other => {
            let group = GROUPS.iter().skip(1).find(|group| other.strip_prefix("/apis/") == Some(group))?;
            Some(Response::json(200, &group_json(group, true)))
        }
    }
}

/// Whether this is a group, or the version of the core.
pub(super) fn serves(group: &str) -> bool {
    group == "v1" || GROUPS.contains(&group)
}

/// The kinds of one group.
pub(super) fn group(name: &str) -> Option<Response> {
    let group = GROUPS.iter().find(|group| **group == name)?;
    let resources: Vec<Value> = entries(group)
        .iter()
        .map(|entry| {
            let mut line = json!({
                "name": entry.name, "singularName": entry.singular, "namespaced": entry.namespaced,
                "kind": entry.kind, "verbs": entry.verbs,
            });
            if entry.group != *group {
                super::tree::put(&mut line, "/group", entry.group);
                super::tree::put(&mut line, "/version", entry.version);
            }
            if !entry.short.is_empty() {
                super::tree::put(&mut line, "/shortNames", entry.short.to_vec());
            }
            if !entry.categories.is_empty() {
                super::tree::put(&mut line, "/categories", entry.categories.to_vec());
            }
            line
        })
        .collect();
    let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
    let mut list = json!({"kind": "APIResourceList", "groupVersion": version, "resources": resources});
    if !group.is_empty() {
        super::tree::put(&mut list, "/apiVersion", "v1");
    }
    Some(Response::json(200, &list))
}

fn group_json(group: &str, alone: bool) -> Value {
    let version = json!({"groupVersion": format!("{group}/v1"), "version": "v1"});
    let mut json = json!({"name": group, "versions": [version], "preferredVersion": version});
    if alone {
        super::tree::put(&mut json, "/kind", "APIGroup");
        super::tree::put(&mut json, "/apiVersion", "v1");
    }
    json
}

fn entries(group: &'static str) -> Vec<Entry> {
    let mut entries = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.info().group == group) {
        let info = kind.info();
        let base = |name: String, kind: &'static str, verbs: Vec<&'static str>| Entry {
            name,
            kind,
            verbs,
            singular: "",
            namespaced: info.namespaced,
            group,
            version: "v1",
            short: &[],
            categories: &[],
        };
        let categories: &[&str] = if group == "admissionregistration.k8s.io" {
            &["api-extensions"]
        } else if matches!(
            kind,
            Kind::Pod
                | Kind::Service
                | Kind::DaemonSet
                | Kind::Deployment
                | Kind::ReplicationController
                | Kind::ReplicaSet
                | Kind::StatefulSet
                | Kind::CronJob
                | Kind::Job
        ) {
            &["all"]
        } else {
            &[]
        };
        let mut verbs = VERBS.to_vec();
        // Namespaces go one by one.
        verbs.retain(|verb| kind != Kind::Namespace || *verb != "deletecollection");
        let whole = base(info.plural.to_owned(), info.kind, verbs);
        entries.push(Entry { singular: info.singular, short: info.short, categories, ..whole });
        for subresource in info.subresources {
            let name = format!("{}/{subresource}", info.plural);
            entries.push(match *subresource {
                "scale" => {
                    Entry { group: "autoscaling", ..base(name, "Scale", vec!["get", "patch", "update"]) }
                }
                "eviction" => Entry { group: "policy", ..base(name, "Eviction", vec!["create"]) },
                "proxy" => {
                    let verbs = vec!["create", "delete", "get", "patch", "update"];
                    base(
                        name,
                        if kind == Kind::Pod { "PodProxyOptions" } else { "ServiceProxyOptions" },
                        verbs,
                    )
                }
                "log" => base(name, info.kind, vec!["get"]),
                "exec" => base(name, "PodExecOptions", vec!["create", "get"]),
                "portforward" => base(name, "PodPortForwardOptions", vec!["create", "get"]),
                "finalize" => base(name, info.kind, vec!["update"]),
                _ => base(name, info.kind, vec!["get", "patch", "update"]),
            });
        }
    }
    let reviews = REVIEWS.iter().filter(|(home, ..)| *home == group);
    entries.extend(reviews.map(|(_, name, kind)| Entry {
        name: (*name).to_owned(),
        singular: "",
        namespaced: false,
        group,
        version: "v1",
        kind,
        verbs: vec!["create"],
        short: &[],
        categories: &[],
    }));
    entries
}

fn aggregate(groups: &[&'static str]) -> Response {
    let items: Vec<Value> = groups.iter().map(|group| aggregate_group(group)).collect();
    let list = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    });
    let mut response = Response::json(200, &list);
    response.headers = vec![("content-type".to_owned(), AGGREGATED.to_owned())];
    response
}

fn aggregate_group(group: &'static str) -> Value {
    let entries = entries(group);
    let kind_of = |entry: &Entry| json!({"group": entry.group, "version": entry.version, "kind": entry.kind});
    let scope = |entry: &Entry| if entry.namespaced { "Namespaced" } else { "Cluster" };
    let resources: Vec<Value> = entries
        .iter()
        .filter(|entry| !entry.name.contains('/'))
        .map(|entry| {
            let prefix = format!("{}/", entry.name);
            let parts: Vec<Value> = entries
                .iter()
                .filter_map(|part| {
                    let name = part.name.strip_prefix(&prefix)?;
                    Some(json!({"subresource": name, "responseKind": kind_of(part), "verbs": part.verbs}))
                })
                .collect();
            let mut line = json!({
                "resource": entry.name, "responseKind": kind_of(entry), "scope": scope(entry),
                "singularResource": entry.singular, "verbs": entry.verbs,
            });
            for (key, words) in [("shortNames", entry.short), ("categories", entry.categories)] {
                if !words.is_empty() {
                    super::tree::put(&mut line, &format!("/{key}"), words.to_vec());
                }
            }
            if !parts.is_empty() {
                super::tree::put(&mut line, "/subresources", parts);
            }
            line
        })
        .collect();
    let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
    json!({"metadata": metadata, "versions": [{"version": "v1", "resources": resources, "freshness": "Current"}]})
}

fn version_info(version: &str) -> Value {
    let mut numbers = version.trim_start_matches('v').split('.');
    json!({
        "major": numbers.next().unwrap_or("1"), "minor": numbers.next().unwrap_or("33"),
        "gitVersion": format!("v{}", version.trim_start_matches('v')), "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2025-09-10T09:08:47Z", "goVersion": "go1.24.6", "compiler": "gc", "platform": "linux/amd64",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_discovered_in_its_group() {
        let names: Vec<String> =
            GROUPS.iter().flat_map(|group| entries(group)).map(|entry| entry.name).collect();
        for kind in Kind::ALL {
            assert!(names.contains(&kind.info().plural.to_owned()), "{kind:?}");
        }
        assert!(
            names.contains(&"deployments/scale".to_owned()) && names.contains(&"pods/eviction".to_owned())
        );
    }
}
