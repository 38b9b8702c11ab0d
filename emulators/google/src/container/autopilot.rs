//! Autopilot clusters: GKE manages the nodes.
//!
//! What such a cluster says of itself is that of a recording of the real service by the Config Connector project
//! (`containercluster-autopilot-privilegedadmission/_http.log`, GKE 1.35, September 2026). Refusals are those that users
//! met: GoogleCloudPlatform/ai-on-gke#628, turbot/steampipe-plugin-gcp#591.

use super::Container;
use super::model::{Cluster, Pool, fill, set};
use super::places::Place;
use super::pools::{self, Home};
use super::route::{Route, Target};
use super::settle::Staff;
use crate::api::{ClusterKey, Time};
use crate::compute::catalog;
use crate::ids::Ids;
use crate::rest::Failure;
use serde_json::{Map, Value, json};

/// Machine type of the recorded nodes. It is not on offer to users.
const MACHINE_TYPE: &str = "ek-standard-8";

/// Milliseconds from a pod that finds no place to the node it gets.
const GROWTH: Time = 90_000;

/// The pool that grows. The recorded cluster has four like it.
const GROWING: &str = "pool-1";

/// Whether a cluster is one.
pub(super) fn is_on(spec: &Map<String, Value>) -> bool {
    spec.get("autopilot").and_then(|config| config.get("enabled")).is_some_and(|on| on == true)
}

fn pools_are_closed() -> Failure {
    Failure::invalid("Autopilot node pools cannot be accessed or modified.")
}

/// # Errors
/// 400 for one zone, and for node pools.
pub(super) fn check(place: &Place, given: &Map<String, Value>) -> Result<(), Failure> {
    if place.is_zone() {
        return Err(Failure::invalid("Autopilot clusters must be regional clusters."));
    }
    if given.get("nodePools").and_then(Value::as_array).is_some_and(|pools| !pools.is_empty()) {
        return Err(pools_are_closed());
    }
    Ok(())
}

/// # Errors
/// 400 where a cluster's pools are GKE's business.
pub(super) fn check_pools_of(cluster: &Cluster) -> Result<(), Failure> {
    if is_on(&cluster.spec) { Err(pools_are_closed()) } else { Ok(()) }
}

/// What the service adds to what a client sends, where it differs from other clusters.
pub(super) fn defaults(spec: &mut Map<String, Value>, project: &str, place: &Place, name: &str) {
    let on = || json!({ "enabled": true });
    let most = |what: &str| json!({ "maximum": "1000000000", "resourceType": what });
    let pool = format!("{project}.svc.id.goog");
    let provider =
        format!("https://container.googleapis.com/v1/projects/{project}/{}/clusters/{name}", place.link());
    fill(
        spec,
        json!({
            "addonsConfig": {
                "gcpFilestoreCsiDriverConfig": on(), "gcsFuseCsiDriverConfig": on(),
                "parallelstoreCsiDriverConfig": on(), "statefulHaConfig": on(),
            },
            "autoscaling": {
                "autoprovisioningNodePoolDefaults": {
                    "oauthScopes": super::defaults::SCOPES,
                    "upgradeSettings": { "maxSurge": 1, "strategy": "SURGE" },
                },
                "autoscalingProfile": "OPTIMIZE_UTILIZATION",
                "enableNodeAutoprovisioning": true,
                "resourceLimits":
                    [most("cpu"), most("memory"), most("nvidia-tesla-t4"), most("nvidia-tesla-a100")],
            },
            "monitoringConfig": { "advancedDatapathObservabilityConfig": { "enableMetrics": true } },
            "networkConfig": {
                "datapathProvider": "ADVANCED_DATAPATH",
                "dnsConfig": {
                    "clusterDns": "CLOUD_DNS", "clusterDnsDomain": "cluster.local", "clusterDnsScope": "CLUSTER_SCOPE",
                },
                "gatewayApiConfig": { "channel": "CHANNEL_STANDARD" },
            },
            "nodePoolDefaults": { "nodeConfigDefaults": { "gcfsConfig": on() } },
            "rbacBindingConfig": {
                "enableInsecureBindingSystemAuthenticated": false,
                "enableInsecureBindingSystemUnauthenticated": false,
            },
            "verticalPodAutoscaling": on(),
            "workloadIdentityConfig":
                { "identityNamespace": pool, "identityProvider": provider, "workloadPool": pool },
        }),
    );
}

/// The pools GKE makes: `default-pool` in one zone, which stays empty, and one that grows in all zones.
///
/// # Errors
/// None by what is given here.
pub(super) fn pools(home: &Home, ids: &mut Ids) -> Result<Vec<Pool>, Failure> {
    let taints =
        json!([{ "effect": "NO_SCHEDULE", "key": "cloud.google.com/gke-quick-remove", "value": "true" }]);
    let given = |name: &str, pods: &str, bits: u32| {
        json!({
            "name": name,
            "autoscaling": { "enabled": true, "maxNodeCount": 1000 },
            "config": {
                "gcfsConfig": { "enabled": true },
                "gvnic": { "enabled": true },
                "reservationAffinity": { "consumeReservationType": "NO_RESERVATION" },
                "shieldedInstanceConfig": { "enableIntegrityMonitoring": true, "enableSecureBoot": true },
                "workloadMetadataConfig": { "mode": "GKE_METADATA" },
            },
            "maxPodsConstraint": { "maxPodsPerNode": pods },
            "podIpv4CidrSize": bits,
        })
    };
    let mut default = given("default-pool", "32", 26);
    default["initialNodeCount"] = json!(1);
    default["config"]["taints"] = taints;
    default["locations"] = json!([home.first_zone()]);
    let mut pools = Vec::new();
    for pool in [default, given(GROWING, "110", 24)] {
        let mut pool = pools::new_pool(home, pool, ids)?;
        set(&mut pool.spec, "config.machineType", json!(MACHINE_TYPE));
        for group in &mut pool.groups {
            group.base = group.base.replacen("gke-", "gk3-", 1);
        }
        pools.push(pool);
    }
    Ok(pools)
}

impl Container {
    /// # Errors
    /// 400 for the node pools of an Autopilot cluster, whatever is asked of them.
    pub(super) fn check_pools_are_open(&self, route: &Route) -> Result<(), Failure> {
        let (Target::Pools(name) | Target::Pool(name, _)) = &route.target else { return Ok(()) };
        self.cluster(route, name).map_or(Ok(()), check_pools_of)
    }

    /// Pods of a cluster wait for nodes in these zones.
    pub fn want_nodes(&mut self, key: &str, zones: Vec<String>, now: Time) {
        let Some(cluster) = self.clusters.get_mut(key).filter(|_| !zones.is_empty()) else { return };
        // Those on their way may do: the rest is asked for again when these are there.
        if cluster.upkeep.growing.is_none() {
            cluster.upkeep.growing = Some((now + GROWTH, zones));
        }
    }

    /// When nodes that pods wait for are there.
    pub(super) fn growth_due(&self) -> Option<Time> {
        let growing = |cluster: &Cluster| cluster.upkeep.growing.as_ref().map(|(due, _)| *due);
        self.clusters.values().filter_map(growing).min()
    }

    /// Adds the nodes that are there now.
    pub(super) fn grow(&mut self, now: Time, ids: &mut Ids) {
        let due = |cluster: &Cluster| cluster.upkeep.growing.as_ref().is_some_and(|(due, _)| *due <= now);
        let keys: Vec<ClusterKey> =
            self.clusters.iter().filter(|(_, cluster)| due(cluster)).map(|(key, _)| key.clone()).collect();
        for at in keys {
            let Some(cluster) = self.clusters.get(&at) else { continue };
            let (project, place) = (cluster.project.clone(), cluster.place.clone());
            let mut taken = self.taken_addresses(&project, place.region());
            let mut staff = Staff { taken: &mut taken, octet: catalog::octet(place.region()), ids };
            let Some(cluster) = self.clusters.get_mut(&at) else { continue };
            let (_, zones) = cluster.upkeep.growing.take().unwrap_or_default();
            let Some(pool) = cluster.pools.iter_mut().find(|pool| pool.name == GROWING) else { continue };
            for zone in zones {
                let group = pool.groups.iter_mut().find(|group| group.zone == zone);
                if let Some(group) = group
                    && let Some(node) = staff.node(&group.base)
                {
                    group.nodes.push(node);
                }
            }
        }
    }
}
