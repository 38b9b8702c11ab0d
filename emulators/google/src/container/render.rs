//! Clusters, node pools, operations and nodes as they are answered.

use super::Container;
use super::access::{self, Addresses};
use super::model::{Cluster, Group, Kind, Operation, Pool, set};
use super::settle::strings;
use super::trouble::{self, Code, Condition};
use super::{autopilot, key, refusal, versions};
use crate::api::{Endpoints, Time};
use crate::compute::catalog;
use crate::rest::{Version, base64, project_number, sha256_hex, timestamp};
use crate::views::Node;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const HOST: &str = "https://container.googleapis.com";

impl Container {
    /// The cluster as the API gives it.
    pub(super) fn render_cluster(&self, cluster: &Cluster, version: Version, endpoints: &Endpoints) -> Value {
        let mut out = cluster.spec.clone();
        let at = key(&cluster.project, &cluster.place, &cluster.name);
        let groups: Vec<Value> = cluster.pools.iter().flat_map(|pool| group_urls(cluster, pool)).collect();
        let status = match self.running_on(cluster).map(|operation| operation.kind) {
            Some(Kind::CreateCluster) => "PROVISIONING",
            Some(Kind::DeleteCluster) => "STOPPING",
            Some(_) => "RECONCILING",
            None if self.refusal_of(cluster, None).is_some() => "ERROR",
            None if !cluster.upkeep.conditions.is_empty() => "ERROR",
            None if self.degraded(&at, None).is_some() => "DEGRADED",
            None => "RUNNING",
        };
        let services =
            out.get("ipAllocationPolicy").and_then(|policy| policy.get("servicesIpv4CidrBlock")).cloned();
        let node_version =
            cluster.pools.iter().map(|pool| &pool.version).min_by_key(|own| versions::numbers(own));
        for (name, value) in [
            ("clusterIpv4Cidr", json!(cluster.pod_range)),
            ("createTime", json!(timestamp(cluster.created))),
            ("currentMasterVersion", json!(cluster.master_version)),
            ("currentNodeVersion", json!(node_version.unwrap_or(&cluster.master_version))),
            ("etag", json!(cluster.etag)),
            ("id", json!(cluster.id)),
            ("initialClusterVersion", json!(cluster.initial_version)),
            ("labelFingerprint", json!(label_fingerprint(cluster.spec.get("resourceLabels")))),
            ("location", json!(cluster.place.name())),
            ("name", json!(cluster.name)),
            ("selfLink", json!(self_link(cluster, version))),
            ("servicesIpv4Cidr", services.unwrap_or_default()),
            ("status", json!(status)),
            ("zone", json!(cluster.place.name())),
            (
                "nodePools",
                cluster.pools.iter().map(|pool| self.render_pool(cluster, pool, version)).collect(),
            ),
        ] {
            out.insert(name.to_owned(), value);
        }
        if !groups.is_empty() {
            out.insert("instanceGroupUrls".to_owned(), Value::Array(groups));
        }
        if cluster.initial_nodes > 0 && !autopilot::is_on(&cluster.spec) {
            out.insert("initialNodeCount".to_owned(), json!(cluster.initial_nodes));
        }
        // The field of the time before node pools is a copy of the first pool's.
        if let Some(config) = cluster.pools.first().and_then(|pool| pool.spec.get("config")) {
            out.insert("nodeConfig".to_owned(), config.clone());
        }
        let standing = self.degraded(&at, None).filter(|_| cluster.ready).map(Code::standing);
        give_conditions(&mut out, &standing.unwrap_or_else(|| cluster.upkeep.conditions.clone()));
        if let Some(refusal) = self.refusal_of(cluster, None) {
            refusal::tell(&mut out, refusal, "conditions");
        }
        control_plane(cluster, endpoints, &mut out);
        let nodes = node_count(&cluster.pools);
        if nodes > 0 {
            out.insert("currentNodeCount".to_owned(), json!(nodes));
            if let Some(Value::Object(policy)) = out.get_mut("ipAllocationPolicy") {
                policy.insert(
                    "defaultPodIpv4RangeUtilization".to_owned(),
                    utilization(nodes, &cluster.pod_range),
                );
            }
        }
        Value::Object(out)
    }

    /// The node pool as the API gives it.
    pub(super) fn render_pool(&self, cluster: &Cluster, pool: &Pool, version: Version) -> Value {
        let mut out = pool.spec.clone();
        let at = key(&cluster.project, &cluster.place, &cluster.name);
        let standing = self.degraded(&at, Some(&pool.name)).filter(|_| pool.ready).map(Code::standing);
        let operation =
            self.running_on(cluster).filter(|own| own.pool.as_ref().is_none_or(|name| *name == pool.name));
        let status = match operation.map(|operation| operation.kind) {
            Some(Kind::CreateCluster | Kind::CreateNodePool) => "PROVISIONING",
            Some(Kind::DeleteCluster | Kind::DeleteNodePool) => "STOPPING",
            Some(Kind::UpgradeNodes | Kind::SetNodePoolSize | Kind::SetNodePoolManagement) => "RECONCILING",
            Some(Kind::UpdateCluster | Kind::UpgradeMaster | Kind::SetMaintenancePolicy) | None => {
                match (pool.conditions.is_empty(), &standing) {
                    (false, _) => "ERROR",
                    (true, Some(_)) => "RUNNING_WITH_ERROR",
                    (true, None) => "RUNNING",
                }
            }
        };
        give_conditions(&mut out, standing.as_ref().unwrap_or(&pool.conditions));
        for (name, value) in [
            ("name", json!(pool.name)),
            ("etag", json!(pool.etag)),
            ("selfLink", json!(format!("{}/nodePools/{}", self_link(cluster, version), pool.name))),
            ("status", json!(status)),
            ("version", json!(pool.version)),
        ] {
            out.insert(name.to_owned(), value);
        }
        if pool.ready {
            out.insert("instanceGroupUrls".to_owned(), Value::Array(group_urls(cluster, pool)));
        }
        if pool.initial > 0 {
            out.insert("initialNodeCount".to_owned(), json!(pool.initial));
        }
        let nodes = node_count(std::slice::from_ref(pool));
        if let Some(Value::Object(network)) = out.get_mut("networkConfig").filter(|_| nodes > 0) {
            network.insert("podIpv4RangeUtilization".to_owned(), utilization(nodes, &cluster.pod_range));
        }
        if let Some(refusal) = self.refusal_of(cluster, Some(pool)) {
            out.insert("status".to_owned(), json!("ERROR"));
            refusal::tell(&mut out, refusal, "conditions");
        }
        Value::Object(out)
    }
}

/// Why a cluster or pool is not well, and the same in the older field.
fn give_conditions(out: &mut Map<String, Value>, conditions: &[Condition]) {
    if !conditions.is_empty() {
        out.insert("conditions".to_owned(), trouble::listed(conditions));
        out.insert("statusMessage".to_owned(), json!(trouble::summary(conditions)));
    }
}

/// Endpoints and certificate, once the Kubernetes API answers.
fn control_plane(cluster: &Cluster, endpoints: &Endpoints, out: &mut Map<String, Value>) {
    let dns = dns_name(cluster);
    let mut auth = json!({ "clientCertificateConfig": {} });
    set(out, "controlPlaneEndpointsConfig.dnsEndpointConfig.endpoint", json!(dns));
    if cluster.ready {
        auth["clusterCaCertificate"] = json!(base64(endpoints.ca_pem.as_bytes()));
        let public = endpoints.clusters.get(&key(&cluster.project, &cluster.place, &cluster.name));
        let private = access::address_in_own_block(&cluster.spec).unwrap_or_else(|| {
            format!("10.{}.15.{}", catalog::octet(cluster.place.region()), 2 + cluster.serial % 250)
        });
        if let Some(public) = public {
            access::show(out, &Addresses { dns, private, public: public.clone() });
        }
    }
    out.insert("masterAuth".to_owned(), auth);
}

/// Name of the DNS endpoint.
pub(super) fn dns_name(cluster: &Cluster) -> String {
    let id = cluster.id.get(..36).unwrap_or_default();
    format!("gke-{id}-{}.{}.gke.goog", project_number(&cluster.project), cluster.place.name())
}

fn self_link(cluster: &Cluster, version: Version) -> String {
    let (version, place) = (version.as_str(), cluster.place.link());
    format!("{HOST}/{version}/projects/{}/{place}/clusters/{}", cluster.project, cluster.name)
}

fn group_urls(cluster: &Cluster, pool: &Pool) -> Vec<Value> {
    let url = |group: &Group| {
        json!(format!(
            "https://www.googleapis.com/compute/v1/projects/{}/zones/{}/instanceGroupManagers/{}",
            cluster.project,
            group.zone,
            group.manager()
        ))
    };
    if pool.ready { pool.groups.iter().map(url).collect() } else { Vec::new() }
}

fn node_count(pools: &[Pool]) -> usize {
    pools.iter().flat_map(|pool| &pool.groups).map(|group| group.nodes.len()).sum()
}

/// How much of the pod range the nodes' /24 blocks take, to three digits or four where it is small.
fn utilization(nodes: usize, range: &str) -> Value {
    let bits = range.rsplit_once('/').and_then(|(_, bits)| bits.parse::<u32>().ok()).unwrap_or(14).min(24);
    let blocks = f64::from(1u32 << (24 - bits));
    let nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
    json!((f64::from(nodes) / blocks * 10_000.0).round() / 10_000.0)
}

/// Fingerprint of labels: a function of what they are. The first is what the service gives for no labels.
pub(super) fn label_fingerprint(labels: Option<&Value>) -> String {
    let labels: Option<BTreeMap<String, Value>> =
        labels.and_then(|labels| serde_json::from_value(labels.clone()).ok());
    match labels.filter(|labels| !labels.is_empty()) {
        None => "a9dc16a7".to_owned(),
        Some(labels) => sha256_hex(&format!("{labels:?}"), 8),
    }
}

/// An operation as the API gives it.
pub(super) fn operation(operation: &Operation, version: Version, now: Time) -> Value {
    let base = format!(
        "{HOST}/{}/projects/{}/{}",
        version.as_str(),
        project_number(&operation.project),
        operation.place.link()
    );
    let pool = operation.pool.as_ref().map(|pool| format!("/nodePools/{pool}")).unwrap_or_default();
    let status = match () {
        () if now >= operation.end => "DONE",
        () if now >= operation.running => "RUNNING",
        () => "PENDING",
    };
    let mut out = json!({
        "name": operation.name,
        "operationType": operation.kind.as_str(),
        "selfLink": format!("{base}/operations/{}", operation.name),
        "startTime": timestamp(operation.start),
        "status": status,
        "targetLink": format!("{base}/clusters/{}{pool}", operation.cluster),
        "zone": operation.place.name(),
    });
    if status == "DONE" {
        out["endTime"] = json!(timestamp(operation.end));
    }
    let metrics = metrics(operation, now);
    if status != "PENDING" && !metrics.is_empty() {
        out["progress"] = json!({ "metrics": metrics });
    }
    if status == "DONE" {
        refusal::tell_operation(&mut out, operation);
    }
    if status == "DONE" && !operation.conditions.is_empty() {
        trouble::tell(&mut out, &operation.conditions, operation.pool.is_some());
    }
    if operation.cancelled {
        out["error"] = json!({ "code": 1, "message": "Operation was aborted: cancelled by user." });
        out["statusMessage"] = json!("Operation was aborted: cancelled by user.");
    }
    out
}

fn metrics(operation: &Operation, now: Time) -> Vec<Value> {
    let metric = |name: &str, value: u64| json!({ "intValue": value.to_string(), "name": name });
    match operation.kind {
        // Nothing is counted before the first poll.
        Kind::CreateCluster if now == operation.start => Vec::new(),
        Kind::CreateCluster => {
            let regional = operation.place.region() == operation.place.name();
            let span = (operation.end - operation.start).max(1);
            let passed = now.min(operation.end) - operation.start;
            let share = |total: u64| total * passed / span;
            let configuring = if regional { 13 } else { 8 };
            vec![
                metric("CLUSTER_CONFIGURING", share(configuring)),
                metric("CLUSTER_CONFIGURING_TOTAL", configuring),
                metric("CLUSTER_DEPLOYING", share(12)),
                metric("CLUSTER_DEPLOYING_TOTAL", 12),
                metric("CLUSTER_HEALTHCHECKING", share(1)),
                metric("CLUSTER_HEALTHCHECKING_TOTAL", 2),
            ]
        }
        Kind::UpdateCluster if operation.pool.is_some() => vec![metric("NODES_TOTAL", 0)],
        Kind::UpgradeNodes => {
            let mut all = vec![metric("NODES_TOTAL", operation.nodes_total.into())];
            if operation.nodes_total > 0 {
                all.push(metric("NODES_COMPLETE", operation.nodes_done.into()));
            }
            all
        }
        Kind::UpdateCluster
        | Kind::DeleteCluster
        | Kind::UpgradeMaster
        | Kind::SetMaintenancePolicy
        | Kind::CreateNodePool
        | Kind::DeleteNodePool
        | Kind::SetNodePoolSize
        | Kind::SetNodePoolManagement => Vec::new(),
    }
}

/// Node VMs of a cluster.
/// The network of a cluster, `projects/P/global/networks/N`.
pub(super) fn network(cluster: &Cluster) -> String {
    let named = cluster.spec.get("network").and_then(Value::as_str).unwrap_or("default");
    let path =
        cluster.spec.get("networkConfig").and_then(|config| config.get("network")).and_then(Value::as_str);
    path.map_or_else(|| format!("projects/{}/global/networks/{named}", cluster.project), str::to_owned)
}

pub(super) fn nodes(cluster: &Cluster) -> Vec<Node> {
    let node_tag = format!("gke-{}-{}-node", cluster.name, cluster.id.get(..8).unwrap_or_default());
    let mut out = Vec::new();
    for pool in &cluster.pools {
        let config = pool.spec.get("config").cloned().unwrap_or_default();
        let mut labels = texts(cluster.spec.get("resourceLabels"));
        labels.extend(texts(config.get("resourceLabels")));
        for (name, value) in [
            ("goog-gke-node", ""),
            ("goog-k8s-cluster-location", cluster.place.name()),
            ("goog-k8s-cluster-name", &cluster.name),
            ("goog-k8s-node-pool-name", &pool.name),
        ] {
            labels.insert(name.to_owned(), value.to_owned());
        }
        let mut tags = strings(config.get("tags"));
        tags.push(node_tag.clone());
        let machine_type = config.get("machineType").and_then(Value::as_str).unwrap_or("e2-medium");
        let machines =
            pool.groups.iter().flat_map(|group| group.nodes.iter().map(move |machine| (group, machine)));
        out.extend(machines.map(|(group, machine)| Node {
            name: machine.name.clone(),
            project: cluster.project.clone(),
            zone: group.zone.clone(),
            ip: machine.ip.clone(),
            machine_type: machine_type.to_owned(),
            tags: tags.clone(),
            group: group.manager(),
            labels: labels.clone(),
            draining: machine.draining,
            version: pool.version.clone(),
        }));
    }
    out
}

fn texts(value: Option<&Value>) -> BTreeMap<String, String> {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}
