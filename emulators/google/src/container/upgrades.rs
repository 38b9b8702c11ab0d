//! Upgrades that GKE begins by itself: the control plane, then the pools one after the other.
//!
//! Google's page on cluster upgrades: GKE upgrades control planes and, where `management.autoUpgrade` is on, node pools; it
//! begins within the maintenance windows and outside of the exclusions, and the operations are `UPGRADE_MASTER` and
//! `UPGRADE_NODES` like those of users. Where no newer version is on offer the nodes are made anew at theirs: the API
//! reference of `Operation.Type` calls that an upgrade, too.

use super::model::{Change, Cluster, Effect, Kind};
use super::operations::Job;
use super::pools::job;
use super::replace::outdate;
use super::settings::Upgrades;
use super::settle::change_pool;
use super::windows::{self, Part};
use super::{Container, versions};
use crate::api::{ClusterKey, Time};
use crate::ids::Ids;
use serde_json::{Value, json};

/// Milliseconds that the upgrade of a control plane takes which GKE begins.
const MASTER: Time = 300_000;

impl Container {
    /// When GKE next looks whether it may upgrade a cluster.
    pub(super) fn upgrade_due(&self) -> Option<Time> {
        let upgrades = self.settings.upgrades?;
        self.clusters.values().filter_map(|cluster| self.due(cluster, upgrades)).min()
    }

    fn due(&self, cluster: &Cluster, upgrades: Upgrades) -> Option<Time> {
        if !cluster.ready || cluster.busy.is_some() {
            return None;
        }
        let upkeep = &cluster.upkeep;
        let since = self.upgrades_since.max(cluster.created).max(upkeep.upgraded);
        let every = upgrades.every.max(1).saturating_mul(1000);
        let due = if upkeep.rollout.is_some() { 0 } else { since.saturating_add(every) };
        Some(due.max(upkeep.look_again))
    }

    /// Begins what is due and allowed.
    pub(super) fn begin_upgrades(&mut self, now: Time, ids: &mut Ids) {
        let Some(upgrades) = self.settings.upgrades else { return };
        let due = |cluster: &Cluster| self.due(cluster, upgrades).is_some_and(|due| due <= now);
        let due: Vec<ClusterKey> =
            self.clusters.iter().filter(|(_, cluster)| due(cluster)).map(|(key, _)| key.clone()).collect();
        for key in due {
            if self.begin_control_plane(&key, upgrades, now, ids) {
                self.begin_pool(&key, now, ids);
            }
        }
    }

    /// Begins to upgrade a control plane; whether it is the turn of the pools instead.
    fn begin_control_plane(&mut self, key: &str, upgrades: Upgrades, now: Time, ids: &mut Ids) -> bool {
        let Some(cluster) = self.clusters.get_mut(key) else { return false };
        if cluster.upkeep.rollout.is_some() {
            return true;
        }
        let policy = cluster.spec.get("maintenancePolicy").cloned();
        let open = |part| windows::next_opening(policy.as_ref(), part, now);
        if let Some(later) = wait(open(Part::ControlPlane), now) {
            cluster.upkeep.look_again = later;
            return false;
        }
        let minor = upgrades.minors && open(Part::Minor).is_some_and(|opening| opening <= now);
        let target = versions::newer(&cluster.master_version, minor);
        cluster.upkeep.upgraded = now;
        cluster.upkeep.rollout = Some(cluster.pools.iter().map(|pool| pool.name.clone()).collect());
        let Some(target) = target else { return true };
        let (project, place, name) = (cluster.project.clone(), cluster.place.clone(), cluster.name.clone());
        let effect = Effect::Fields(vec![Change::new("currentMasterVersion", json!(target))]);
        let job = Job {
            cluster: &name,
            pool: None,
            kind: Kind::UpgradeMaster,
            duration: MASTER,
            effect,
            recreated: 0,
        };
        let operation = self.begin((&project, &place), job, now, ids);
        self.by_itself(&operation);
        false
    }

    /// Begins to upgrade the next pool.
    fn begin_pool(&mut self, key: &str, now: Time, ids: &mut Ids) {
        let Some(cluster) = self.clusters.get_mut(key) else { return };
        let policy = cluster.spec.get("maintenancePolicy");
        if let Some(later) = wait(windows::next_opening(policy, Part::Nodes, now), now) {
            cluster.upkeep.look_again = later;
            return;
        }
        let names = cluster.upkeep.rollout.take().unwrap_or_default();
        let mut names = names.into_iter();
        let version = cluster.master_version.clone();
        for name in names.by_ref() {
            let upgrades = |spec: &serde_json::Map<String, Value>| {
                let management = spec.get("management");
                management.and_then(|own| own.get("autoUpgrade")).is_some_and(|on| on == true)
            };
            let pool = cluster.pools.iter_mut().find(|pool| pool.name == name && upgrades(&pool.spec));
            let Some(pool) = pool else { continue };
            change_pool(pool, &[Change::new("version", json!(version))]);
            let recreated = outdate(pool);
            let (project, place) = (cluster.project.clone(), cluster.place.clone());
            let home = cluster.name.clone();
            cluster.upkeep.rollout = Some(names.collect());
            let job = Job { recreated, ..job(&home, &name, Kind::UpgradeNodes, Effect::Fields(Vec::new())) };
            let operation = self.begin((&project, &place), job, now, ids);
            self.by_itself(&operation);
            return;
        }
    }

    fn by_itself(&mut self, operation: &str) {
        if let Some(operation) = self.operations.get_mut(operation) {
            operation.automatic = true;
        }
    }
}

/// When to look again, unless it is open now.
fn wait(opening: Option<Time>, now: Time) -> Option<Time> {
    match opening {
        Some(opening) if opening <= now => None,
        Some(opening) => Some(opening),
        None => Some(now + windows::LOOK_AGAIN),
    }
}
