//! What time brings about: operations that are done take effect, nodes come and go.

use super::model::{Change, Cluster, Effect, Group, Machine, Operation, Pool, set};
use super::{Container, autopilot, defaults, key};
use crate::api::Time;
use crate::compute::catalog;
use crate::ids::Ids;
use crate::rest::sha256_hex;
use serde_json::Value;
use std::collections::BTreeSet;

/// Addresses that nodes can have in one region, `10.OCTET.8.2` to `10.OCTET.14.254`: the upper half of the `default`
/// subnetwork, so that they never meet the addresses that VMs get, from the lower half.
const SUBNETS: std::ops::RangeInclusive<u8> = 8..=14;
const HOSTS: std::ops::RangeInclusive<u8> = 2..=254;

/// Most nodes one project can have in a region.
pub(super) const MOST_NODES: usize = 7 * 253;

impl Container {
    /// Carries out everything due by now, oldest operation first.
    pub(super) fn settle(&mut self, now: Time, ids: &mut Ids) {
        let due: Vec<String> = self
            .operations
            .values()
            .filter(|operation| operation.next_event().is_some_and(|due| due <= now))
            .map(|operation| operation.name.clone())
            .collect();
        for name in due {
            self.replace_next(&name, now, ids);
            let done =
                self.operations.get_mut(&name).filter(|operation| operation.end <= now).map(|operation| {
                    operation.settled = true;
                    operation.clone()
                });
            if let Some(operation) = done {
                self.finish(&operation, ids);
            }
        }
        self.grow(now, ids);
        self.begin_upgrades(now, ids);
    }

    fn finish(&mut self, operation: &Operation, ids: &mut Ids) {
        let key = key(&operation.project, &operation.place, &operation.cluster);
        if matches!(operation.effect, Effect::ClusterGone) {
            self.clusters.remove(&key);
            return;
        }
        let mut taken = self.taken_addresses(&operation.project, operation.place.region());
        let Some(cluster) = self.clusters.get_mut(&key) else { return };
        cluster.busy = None;
        cluster.upkeep.look_again = 0;
        cluster.etag = ids.uuid();
        let mut staff = Staff { taken: &mut taken, octet: catalog::octet(operation.place.region()), ids };
        match (&operation.effect, operation.pool.as_deref()) {
            (Effect::ClusterGone, _) => {}
            (Effect::Broken(why), Some(name)) => {
                pool_mut(cluster, name).into_iter().for_each(|pool| pool.conditions.clone_from(why));
            }
            (Effect::Broken(why), None) => {
                cluster.upkeep.conditions.clone_from(why);
                cluster.pools.iter_mut().for_each(|pool| pool.conditions.clone_from(why));
            }
            (Effect::ClusterReady, _) => {
                cluster.ready = true;
                // Nodes of an Autopilot cluster come when pods need them.
                let autopilot = autopilot::is_on(&cluster.spec);
                for pool in &mut cluster.pools {
                    if autopilot { pool.ready = true } else { staff.open(pool) }
                }
            }
            (Effect::PoolGone, Some(name)) => cluster.pools.retain(|pool| pool.name != name),
            (Effect::PoolReady, Some(name)) => {
                pool_mut(cluster, name).into_iter().for_each(|pool| staff.open(pool))
            }
            (Effect::PoolSize(size), Some(name)) => {
                pool_mut(cluster, name).into_iter().for_each(|pool| staff.resize(pool, *size));
            }
            (Effect::Fields(changes), Some(name)) => {
                if let Some(pool) = pool_mut(cluster, name) {
                    // An upgrade that was cancelled leaves its last node where it is.
                    let nodes = pool.groups.iter_mut().flat_map(|group| &mut group.nodes);
                    nodes.for_each(|node| (node.draining, node.outdated, node.alone) = (None, false, false));
                    staff.fill_up(pool);
                    change_pool(pool, changes);
                    pool.etag = staff.ids.uuid();
                }
                staff.follow_locations(cluster);
            }
            (Effect::Fields(changes), None) => {
                change_cluster(cluster, changes);
                staff.follow_locations(cluster);
            }
            (Effect::PoolGone | Effect::PoolReady | Effect::PoolSize(_), None)
            | (Effect::Refused { .. }, _) => {}
        }
    }

    /// Addresses of all nodes of a project in a region.
    pub(super) fn taken_addresses(&self, project: &str, region: &str) -> BTreeSet<String> {
        self.clusters
            .values()
            .filter(|cluster| cluster.project == project && cluster.place.region() == region)
            .flat_map(|cluster| &cluster.pools)
            .flat_map(|pool| &pool.groups)
            .flat_map(|group| &group.nodes)
            .map(|node| node.ip.clone())
            .collect()
    }
}

pub(super) fn pool_mut<'a>(cluster: &'a mut Cluster, name: &str) -> Option<&'a mut Pool> {
    cluster.pools.iter_mut().find(|pool| pool.name == name)
}

/// Makes nodes.
pub(super) struct Staff<'a> {
    pub(super) taken: &'a mut BTreeSet<String>,
    pub(super) octet: u8,
    pub(super) ids: &'a mut Ids,
}

impl Staff<'_> {
    pub(super) fn node(&mut self, base: &str) -> Option<Machine> {
        let octet = self.octet;
        let ip = SUBNETS
            .flat_map(|subnet| HOSTS.map(move |host| format!("10.{octet}.{subnet}.{host}")))
            .find(|ip| !self.taken.contains(ip))?;
        self.taken.insert(ip.clone());
        let name = format!("{base}-{}", self.ids.suffix(4));
        Some(Machine { name, ip, draining: None, outdated: false, alone: false })
    }

    /// Makes the successors of nodes that went before these came.
    pub(super) fn fill_up(&mut self, pool: &mut Pool) {
        for group in &mut pool.groups {
            while group.missing > 0 {
                let Some(node) = self.node(&group.base) else { return };
                group.nodes.push(node);
                group.missing -= 1;
            }
        }
    }

    /// Creates the nodes of a new pool.
    fn open(&mut self, pool: &mut Pool) {
        pool.ready = true;
        let initial = pool.initial;
        self.resize(pool, initial);
    }

    fn resize(&mut self, pool: &mut Pool, size: u32) {
        for group in &mut pool.groups {
            self.resize_group(group, size);
        }
        pool.etag = self.ids.uuid();
    }

    fn resize_group(&mut self, group: &mut Group, size: u32) {
        let size = size as usize;
        group.nodes.truncate(size);
        while group.nodes.len() < size {
            let Some(node) = self.node(&group.base) else { return };
            group.nodes.push(node);
        }
    }

    /// Gives every pool a group in each of its zones and none elsewhere, of the size the others have.
    fn follow_locations(&mut self, cluster: &mut Cluster) {
        let name = cluster.name.clone();
        let id = cluster.id.clone();
        for pool in &mut cluster.pools {
            let zones = strings(pool.spec.get("locations"));
            let size = pool.groups.first().map_or(0, |group| group.nodes.len());
            pool.groups.retain(|group| zones.contains(&group.zone));
            for zone in zones {
                if pool.groups.iter().any(|group| group.zone == zone) {
                    continue;
                }
                let mut group = new_group(&name, &id, &pool.name, zone);
                self.resize_group(&mut group, u32::try_from(size).unwrap_or(0));
                pool.groups.push(group);
            }
        }
    }
}

/// An empty instance group: `gke-CLUSTER-POOL-HASH` with both names cut to 32 characters together.
pub(super) fn new_group(cluster: &str, id: &str, pool: &str, zone: String) -> Group {
    let spare = |other: &str| 16 + 16usize.saturating_sub(other.len());
    let short = |name: &str, most: usize| name.chars().take(most).collect::<String>();
    let hash = sha256_hex(&format!("{id}/{pool}/{zone}"), 8);
    let base = format!("gke-{}-{}-{hash}", short(cluster, spare(pool)), short(pool, spare(cluster)));
    Group { zone, base, nodes: Vec::new(), missing: 0 }
}

pub(super) fn strings(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn change_cluster(cluster: &mut Cluster, changes: &[Change]) {
    for change in changes {
        match (change.path.as_str(), change.value.as_str()) {
            ("currentMasterVersion", Some(version)) => version.clone_into(&mut cluster.master_version),
            ("locations", _) => {
                set(&mut cluster.spec, "locations", change.value.clone());
                for pool in &mut cluster.pools {
                    set(&mut pool.spec, "locations", change.value.clone());
                }
            }
            (path, _) => set(&mut cluster.spec, path, change.value.clone()),
        }
    }
}

/// Applies changes to a pool; its version is kept beside the spec.
pub(super) fn change_pool(pool: &mut Pool, changes: &[Change]) {
    for change in changes {
        match (change.path.as_str(), change.value.as_str()) {
            ("version", Some(version)) => version.clone_into(&mut pool.version),
            (path, _) => set(&mut pool.spec, path, change.value.clone()),
        }
    }
    // Node labels that GKE itself sets come back after an update of the others.
    defaults::pool(&mut pool.spec);
}

#[cfg(test)]
mod tests {
    use super::new_group;

    #[test]
    fn groups_are_named_as_gke_names_them() {
        let base = |cluster, pool| {
            let base = new_group(cluster, "id", pool, "us-east1-d".to_owned()).base;
            base.rsplit_once('-').unwrap().0.to_owned()
        };
        assert_eq!(base("cluster-1", "default-pool"), "gke-cluster-1-default-pool");
        let long = "cluster-sample-5v7ypabcdefgh";
        assert_eq!(base(long, "default-pool"), "gke-cluster-sample-5v7yp-default-pool");
        assert_eq!(
            base("cluster-sample-duutpabc", "nodepool-sample-duutp"),
            "gke-cluster-sample-d-nodepool-sample-"
        );
    }
}
