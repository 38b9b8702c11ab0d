//! What this GKE does that nobody asked for: nothing, unless it is switched on.

use super::Container;
use super::model::Operation;
use super::trouble::{Code, Outcome};
use crate::api::Time;
use serde::{Deserialize, Serialize};
use zkprov_emulator_common::glob::glob_matches;

/// Switches of GKE. A new world has all of them off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// Clusters and node pools that come to a bad end, or are not well.
    pub troubles: Vec<Trouble>,
    /// GKE upgrades clusters by itself.
    pub upgrades: Option<Upgrades>,
    /// The Kubernetes API of a zonal cluster is away while its control plane is being upgraded, as it really is; that of
    /// a regional cluster never is.
    pub zonal_upgrades_take_api_away: bool,
}

/// Which cluster or node pool is in trouble, and in which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trouble {
    /// `PROJECT/LOCATION/CLUSTER`, where `*` stands for any characters; absent: any cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Name of a node pool, `*` as above: the trouble is the pool's. Absent: it is the cluster's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// What is wrong.
    pub code: Code,
    /// What comes of it.
    pub outcome: Outcome,
    /// How many creations it still strikes; absent: all of them. A `DEGRADED` stands as long as its rule does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

/// Upgrades that GKE starts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Upgrades {
    /// Seconds of the cloud's time from one upgrade of a cluster to the next.
    pub every: u64,
    /// Whether the next minor version is taken when there is one; else the newest patch of the present minor.
    #[serde(default)]
    pub minors: bool,
}

impl Trouble {
    fn fits(&self, cluster: &str, pool: Option<&str>) -> bool {
        let named =
            |glob: &Option<String>, name: &str| glob.as_ref().is_none_or(|glob| glob_matches(glob, name));
        let its_own = match (&self.pool, pool) {
            (None, None) => true,
            (Some(glob), Some(name)) => glob_matches(glob, name),
            (None, Some(_)) | (Some(_), None) => false,
        };
        its_own && named(&self.cluster, cluster)
    }
}

impl Container {
    /// The switches as they are.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sets all switches. Upgrades are counted from now on.
    pub fn set_settings(&mut self, settings: Settings, now: Time) {
        if settings.upgrades != self.settings.upgrades {
            self.upgrades_since = now;
        }
        self.settings = settings;
    }

    /// The trouble that strikes a creation, counted down.
    pub(super) fn strike(&mut self, cluster: &str, pool: Option<&str>) -> Option<Code> {
        let trouble = self.settings.troubles.iter_mut().find(|trouble| {
            trouble.outcome == Outcome::Error && trouble.times != Some(0) && trouble.fits(cluster, pool)
        })?;
        if let Some(times) = &mut trouble.times {
            *times -= 1;
        }
        Some(trouble.code)
    }

    /// What a cluster, or a pool of it, that was made well suffers from now.
    pub(super) fn degraded(&self, cluster: &str, pool: Option<&str>) -> Option<Code> {
        let mut troubles = self.settings.troubles.iter();
        let fits = |trouble: &&Trouble| trouble.outcome == Outcome::Degraded && trouble.fits(cluster, pool);
        troubles.find(fits).map(|trouble| trouble.code)
    }

    /// Whether a cluster's Kubernetes API is away for now: its one control plane is being upgraded.
    #[must_use]
    pub fn api_away(&self, cluster: &str, now: Time) -> bool {
        let Some(cluster) = self.clusters.get(cluster).filter(|_| self.settings.zonal_upgrades_take_api_away)
        else {
            return false;
        };
        cluster.place.is_zone()
            && self.running_on(cluster).is_some_and(|operation| upgrading_master(operation, now))
    }
}

fn upgrading_master(operation: &Operation, now: Time) -> bool {
    operation.kind == super::model::Kind::UpgradeMaster && now < operation.end
}
