//! Clusters, node pools and operations as they are kept.

use super::places::Place;
use super::trouble::Condition;
use crate::api::Time;
use crate::rest::sha256_hex;
use crate::views::PolicyEngine;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Cluster {
    pub(super) project: String,
    pub(super) place: Place,
    pub(super) name: String,
    /// 64 hex digits.
    pub(super) id: String,
    pub(super) created: Time,
    /// Whether creation is over: the Kubernetes API answers.
    pub(super) ready: bool,
    /// Name of the operation in flight; there is one at most.
    pub(super) busy: Option<String>,
    /// What the client and the server's defaults set, in the form it is answered in.
    pub(super) spec: Map<String, Value>,
    pub(super) pools: Vec<Pool>,
    /// Nodes in each zone that the first pool was made with, whatever became of it.
    #[serde(default)]
    pub(super) initial_nodes: u32,
    pub(super) initial_version: String,
    pub(super) master_version: String,
    pub(super) etag: String,
    /// Pod range, `10.4.0.0/14`.
    pub(super) pod_range: String,
    /// Last octet pair of the control plane's private address is made from this.
    pub(super) serial: u32,
    /// What GKE does with it by itself.
    #[serde(default)]
    pub(super) upkeep: Upkeep,
}

/// What GKE knows of a cluster beside what it was told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Upkeep {
    /// Why it ended in `ERROR`; nothing when it did not.
    pub(super) conditions: Vec<Condition>,
    /// When GKE last began to upgrade it by itself.
    pub(super) upgraded: Time,
    /// The pools that an upgrade which GKE began has still to reach.
    pub(super) rollout: Option<Vec<String>>,
    /// Not before this moment does GKE look again whether the maintenance policy lets it go on.
    pub(super) look_again: Time,
    /// Zones in which nodes are on their way that pods wait for, and when they are there.
    pub(super) growing: Option<(Time, Vec<String>)>,
}

impl Cluster {
    /// What enforces network policies in it. Autopilot's clusters have Dataplane V2.
    pub(super) fn policy_engine(&self) -> PolicyEngine {
        let field = |[first, second]: [&str; 2]| self.spec.get(first).and_then(|part| part.get(second));
        let is_true = |path: [&str; 2]| field(path).and_then(Value::as_bool) == Some(true);
        let provider = field(["networkConfig", "datapathProvider"]).and_then(Value::as_str);
        let addon = self.spec.get("addonsConfig").and_then(|addons| addons.get("networkPolicyConfig"));
        // A field that is not there is off in the API's own types: the add-on is not disabled then.
        let addon = addon.is_some_and(|addon| addon.get("disabled").and_then(Value::as_bool) != Some(true));
        if provider == Some("ADVANCED_DATAPATH") || is_true(["autopilot", "enabled"]) {
            PolicyEngine::Cilium
        } else if addon && is_true(["networkPolicy", "enabled"]) {
            PolicyEngine::Calico
        } else {
            PolicyEngine::None
        }
    }
}

/// A node pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) spec: Map<String, Value>,
    /// Nodes for each zone it was created with.
    pub(super) initial: u32,
    /// Whether creation is over: the nodes are there.
    pub(super) ready: bool,
    pub(super) version: String,
    pub(super) etag: String,
    /// One for each zone.
    pub(super) groups: Vec<Group>,
    /// Why it ended in `ERROR`; nothing when it did not.
    #[serde(default)]
    pub(super) conditions: Vec<Condition>,
}

/// The managed instance group of one pool in one zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) zone: String,
    /// Name of its VMs without their suffix: `gke-CLUSTER-POOL-HASH`.
    pub(super) base: String,
    pub(super) nodes: Vec<Machine>,
    /// Nodes that went before their successors came, and have none yet.
    #[serde(default)]
    pub(super) missing: u32,
}

impl Group {
    /// Name of the instance group manager.
    pub(super) fn manager(&self) -> String {
        format!("{}-grp", self.base)
    }

    /// Name of a VM that Compute Engine refused to make.
    pub(super) fn refused_machine(&self) -> String {
        format!("{}-{}", self.base, sha256_hex(&self.base, 4))
    }
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) ip: String,
    /// Since when its pods are being evicted, because a fresh node takes its place.
    #[serde(default)]
    pub(super) draining: Option<Time>,
    /// Whether an upgrade under way has still to replace it.
    #[serde(default)]
    pub(super) outdated: bool,
    /// Whether it goes before its successor comes.
    #[serde(default)]
    pub(super) alone: bool,
}

/// A long-running operation. Its status is a function of the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) project: String,
    pub(super) place: Place,
    /// Name of the cluster.
    pub(super) cluster: String,
    /// Name of the node pool, if it is about one.
    pub(super) pool: Option<String>,
    pub(super) kind: Kind,
    pub(super) start: Time,
    /// When it runs, PENDING before.
    pub(super) running: Time,
    pub(super) end: Time,
    /// Whether what it does has been carried out (or never will be, when it was cancelled).
    pub(super) settled: bool,
    pub(super) cancelled: bool,
    pub(super) effect: Effect,
    /// Nodes to recreate, and how many have been.
    pub(super) nodes_total: u32,
    pub(super) nodes_done: u32,
    /// When the next node is to be recreated; never while the pods of one are being evicted.
    #[serde(default = "never")]
    pub(super) node_due: Time,
    /// Whether GKE began it by itself: then it keeps to the maintenance windows.
    #[serde(default)]
    pub(super) automatic: bool,
    /// Why it failed; nothing when it did not.
    #[serde(default)]
    pub(super) conditions: Vec<Condition>,
}

/// A moment that does not come.
pub(super) const NEVER: Time = Time::MAX;

const fn never() -> Time {
    NEVER
}

/// `operationType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    CreateCluster,
    DeleteCluster,
    UpdateCluster,
    UpgradeMaster,
    SetMaintenancePolicy,
    CreateNodePool,
    DeleteNodePool,
    UpgradeNodes,
    SetNodePoolSize,
    SetNodePoolManagement,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::CreateCluster => "CREATE_CLUSTER",
            Self::DeleteCluster => "DELETE_CLUSTER",
            Self::UpdateCluster => "UPDATE_CLUSTER",
            Self::UpgradeMaster => "UPGRADE_MASTER",
            Self::SetMaintenancePolicy => "SET_MAINTENANCE_POLICY",
            Self::CreateNodePool => "CREATE_NODE_POOL",
            Self::DeleteNodePool => "DELETE_NODE_POOL",
            Self::UpgradeNodes => "UPGRADE_NODES",
            Self::SetNodePoolSize => "SET_NODE_POOL_SIZE",
            Self::SetNodePoolManagement => "SET_NODE_POOL_MANAGEMENT",
        }
    }

    /// How the service says that it is busy with this.
    pub(super) const fn doing(self) -> &'static str {
        match self {
            Self::CreateCluster => "creating cluster",
            Self::DeleteCluster => "deleting cluster",
            Self::UpdateCluster | Self::SetMaintenancePolicy => "updating cluster",
            Self::UpgradeMaster | Self::UpgradeNodes => "upgrading cluster",
            Self::CreateNodePool => "creating a node pool for cluster",
            Self::DeleteNodePool => "deleting a node pool for cluster",
            Self::SetNodePoolSize => "setting size of a node pool for cluster",
            Self::SetNodePoolManagement => "updating a node pool for cluster",
        }
    }
}

/// What an operation brings about when it is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Effect {
    /// The cluster and its pools are ready.
    ClusterReady,
    /// The cluster is gone.
    ClusterGone,
    /// The pool is ready.
    PoolReady,
    /// The pool is gone.
    PoolGone,
    /// The pool has this many nodes in each zone.
    PoolSize(u32),
    /// Fields change: of the pool if the operation names one, else of the cluster.
    Fields(Vec<Change>),
    /// What was to be created never is: its machines were refused.
    Refused {
        /// What Compute Engine says of the first machine.
        cause: String,
        /// What GKE makes of that.
        summary: String,
    },
    /// What was to be created stands in `ERROR`, and this is why.
    Broken(Vec<Condition>),
}

/// One field of a spec gets a value; `Null` takes it away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Change {
    /// Path in the spec, `networkConfig.dnsConfig`.
    pub(super) path: String,
    pub(super) value: Value,
}

impl Change {
    pub(super) fn new(path: &str, value: Value) -> Self {
        Self { path: path.to_owned(), value }
    }
}

/// Sets a field of a document by its path, making the objects on the way.
pub(super) fn set(spec: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        Some((head, rest)) => {
            let inner = spec.entry(head).or_insert_with(|| Value::Object(Map::new()));
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            if let Value::Object(inner) = inner {
                set(inner, rest, value);
            }
        }
        None if value.is_null() => {
            spec.remove(path);
        }
        None => {
            spec.insert(path.to_owned(), value);
        }
    }
}

/// Puts `defaults` under `given`: objects field by field, everything else only where nothing is given.
pub(super) fn fill(given: &mut Map<String, Value>, defaults: Value) {
    let Value::Object(defaults) = defaults else { return };
    for (name, default) in defaults {
        match (given.get_mut(&name), default) {
            (Some(Value::Object(inner)), default @ Value::Object(_)) => fill(inner, default),
            (Some(_), _) => {}
            (None, default) => {
                given.insert(name, default);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_set_and_filled() {
        let Value::Object(mut spec) = json!({"a": {"b": 1}, "l": []}) else { panic!("an object") };
        set(&mut spec, "a.c", json!(2));
        set(&mut spec, "a.b", Value::Null);
        set(&mut spec, "x.y.z", json!(3));
        fill(&mut spec, json!({"a": {"c": 9, "d": 4}, "l": [1], "n": {}}));
        assert_eq!(
            Value::Object(spec),
            json!({"a": {"c": 2, "d": 4}, "l": [], "x": {"y": {"z": 3}}, "n": {}})
        );
    }
}
