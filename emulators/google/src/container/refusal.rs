//! What clusters use of Compute Engine's quotas, and node pools whose machines Compute Engine refuses.

use super::Container;
use super::model::{Cluster, Effect, Group, Kind, Operation, Pool};
use crate::compute::usage::{Usage, Usages};
use crate::rest::sha256_hex;
use serde_json::{Map, Value, json};

/// Machines that an operation is about to make, alike and in one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fresh {
    /// Project.
    pub project: String,
    /// Zone.
    pub zone: String,
    /// Name of the first of them.
    pub name: String,
    /// How many.
    pub number: u32,
    /// Whether they have external addresses.
    pub external: bool,
    /// Whether they have Secure Boot.
    pub secure_boot: bool,
    /// Whether they have integrity monitoring.
    pub integrity_monitoring: bool,
}

impl Container {
    /// What the nodes of all clusters use, those that are being made included.
    #[must_use]
    pub fn usages(&self) -> Usages {
        let mut usages = Usages::default();
        for cluster in self.clusters.values() {
            for pool in &cluster.pools {
                let nodes = u64::from(self.most_nodes(cluster, pool));
                let config = |field: &str| pool.spec.get("config").and_then(|config| config.get(field));
                let text = |field, default| config(field).and_then(Value::as_str).unwrap_or(default);
                let size = config("diskSizeGb").and_then(Value::as_u64).unwrap_or(100);
                let disk = (text("diskType", "pd-balanced"), size);
                let machine_type = text("machineType", "e2-medium");
                let usage = Usage::of_machines(nodes, machine_type, disk, is_external(cluster, pool));
                usages.put(&cluster.project, cluster.place.region(), usage);
            }
        }
        usages
    }

    /// Nodes that a pool has, or will have when the operation on it is done.
    fn most_nodes(&self, cluster: &Cluster, pool: &Pool) -> u32 {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let zones = count(pool.groups.len());
        let running = self.running_on(cluster);
        let present = count(pool.groups.iter().map(|group| group.nodes.len()).sum());
        let about = |operation: &&Operation| operation.pool.as_ref().is_none_or(|name| *name == pool.name);
        let wanted = match running.filter(about).map(|operation| &operation.effect) {
            Some(Effect::PoolSize(size)) => size * zones,
            Some(Effect::ClusterReady | Effect::PoolReady) => pool.initial * zones,
            Some(
                Effect::ClusterGone
                | Effect::PoolGone
                | Effect::Fields(_)
                | Effect::Refused { .. }
                | Effect::Broken(_),
            )
            | None => 0,
        };
        wanted.max(present)
    }

    /// How many clusters a project has in a zone; those of its region don't count.
    #[must_use]
    pub fn zonal_clusters(&self, project: &str, zone: &str) -> u64 {
        let in_zone = |cluster: &&Cluster| cluster.project == project && cluster.place.name() == zone;
        self.clusters.values().filter(in_zone).count() as u64
    }

    /// The machines that a creation of a cluster or node pool is about to make.
    #[must_use]
    pub fn about_to_make(&self, operation: &str) -> Vec<Fresh> {
        let Some(operation) = self.operations.get(operation).filter(|own| is_creation(own.kind)) else {
            return Vec::new();
        };
        let Some(cluster) = self.clusters.values().find(|cluster| is_of(operation, cluster)) else {
            return Vec::new();
        };
        let asked = operation.pool.as_deref();
        let made =
            |pool: &&Pool| !pool.ready && pool.initial > 0 && asked.is_none_or(|name| name == pool.name);
        cluster.pools.iter().filter(made).flat_map(|pool| fresh_of(cluster, pool)).collect()
    }

    /// Lets a creation end in an error. `cause` is what Compute Engine says, `summary` what GKE makes of it.
    pub fn spoil(&mut self, operation: &str, cause: String, summary: String) {
        if let Some(operation) = self.operations.get_mut(operation) {
            operation.effect = Effect::Refused { cause, summary };
        }
    }

    /// Why a cluster, or a pool of it, was not made.
    pub(super) fn refusal_of(&self, cluster: &Cluster, pool: Option<&Pool>) -> Option<&Effect> {
        let ready = pool.map_or(cluster.ready, |pool| pool.ready);
        if ready || cluster.busy.is_some() {
            return None;
        }
        let about = |operation: &&Operation| {
            is_of(operation, cluster)
                && operation.pool.as_deref().is_none_or(|name| pool.is_some_and(|pool| pool.name == name))
        };
        let effects = self.operations.values().rev().filter(about).map(|operation| &operation.effect);
        effects.into_iter().find(|effect| matches!(effect, Effect::Refused { .. }))
    }
}

/// What an operation or a resource says of why it was not made. `conditions` is the field's name.
///
/// The shape is that of a creation that Compute Engine's quotas refused, kubernetes-sigs/sig-storage-local-static-
/// provisioner#526; the canonical code of a condition that is not met is FAILED_PRECONDITION.
pub(super) fn tell(out: &mut Map<String, Value>, effect: &Effect, conditions: &str) {
    let Effect::Refused { cause, summary } = effect else { return };
    let condition = |message| json!({ "canonicalCode": "FAILED_PRECONDITION", "message": message });
    out.insert("statusMessage".to_owned(), json!(summary));
    out.insert(conditions.to_owned(), json!([condition(cause), condition(summary)]));
}

/// The same for an operation, which has an error besides.
pub(super) fn tell_operation(out: &mut Value, operation: &Operation) {
    let (Some(fields), Effect::Refused { cause, summary }) = (out.as_object_mut(), &operation.effect) else {
        return;
    };
    // 9 is FAILED_PRECONDITION of google.rpc.Code.
    fields.insert("error".to_owned(), json!({ "code": 9, "message": cause }));
    fields.insert("detail".to_owned(), json!(summary));
    let conditions = if operation.pool.is_some() { "nodepoolConditions" } else { "clusterConditions" };
    tell(fields, &operation.effect, conditions);
}

fn is_creation(kind: Kind) -> bool {
    match kind {
        Kind::CreateCluster | Kind::CreateNodePool => true,
        Kind::DeleteCluster
        | Kind::UpdateCluster
        | Kind::UpgradeMaster
        | Kind::SetMaintenancePolicy
        | Kind::DeleteNodePool
        | Kind::UpgradeNodes
        | Kind::SetNodePoolSize
        | Kind::SetNodePoolManagement => false,
    }
}

fn is_of(operation: &Operation, cluster: &Cluster) -> bool {
    operation.cluster == cluster.name
        && operation.project == cluster.project
        && operation.place == cluster.place
        && operation.start >= cluster.created
}

fn fresh_of<'a>(cluster: &'a Cluster, pool: &'a Pool) -> impl Iterator<Item = Fresh> + 'a {
    let shielded = move |field: &str| {
        let config = pool.spec.get("config").and_then(|config| config.get("shieldedInstanceConfig"));
        config.and_then(|config| config.get(field)).and_then(Value::as_bool) == Some(true)
    };
    pool.groups.iter().map(move |group| Fresh {
        project: cluster.project.clone(),
        zone: group.zone.clone(),
        name: first_machine(group),
        number: pool.initial,
        external: is_external(cluster, pool),
        secure_boot: shielded("enableSecureBoot"),
        integrity_monitoring: shielded("enableIntegrityMonitoring"),
    })
}

/// A name as machines of the group have.
fn first_machine(group: &Group) -> String {
    format!("{}-{}", group.base, sha256_hex(&group.base, 4))
}

/// Whether nodes of the pool have external addresses: unless they are private.
fn is_external(cluster: &Cluster, pool: &Pool) -> bool {
    let field = |spec: &Map<String, Value>, part: &str, field: &str| {
        spec.get(part).and_then(|part| part.get(field)).and_then(Value::as_bool)
    };
    let own = field(&pool.spec, "networkConfig", "enablePrivateNodes");
    let clusters = field(&cluster.spec, "networkConfig", "defaultEnablePrivateNodes")
        .or_else(|| field(&cluster.spec, "privateClusterConfig", "enablePrivateNodes"));
    !own.or(clusters).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::first_machine;
    use crate::container::model::Group;

    #[test]
    fn refused_machines_are_named_as_machines_are() {
        let base = "gke-c-default-pool-0a1b2c3d".to_owned();
        let name =
            first_machine(&Group { zone: String::new(), base: base.clone(), nodes: Vec::new(), missing: 0 });
        assert_eq!(name.strip_prefix(&format!("{base}-")).map(str::len), Some(4));
    }
}
