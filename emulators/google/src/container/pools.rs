//! Node pools: creating, deleting, and what can be set on them.

use super::access;
use super::create::check_name;
use super::model::{Change, Cluster, Effect, Kind, Pool, fill, set};
use super::operations::{Job, POOL, SET_SIZE, UPDATE};
use super::places::Place;
use super::replace::outdate;
use super::route::Route;
use super::settle::{change_pool, new_group, strings};
use super::{Container, defaults, find_pool, key, versions};
use crate::api::Context;
use crate::compute::catalog;
use crate::ids::Ids;
use crate::rest::{Code, Failure};
use crate::schema::Api;
use serde_json::{Map, Value, json};

/// Most nodes a pool can have in one zone.
const MOST_IN_ZONE: i64 = 1000;

/// What a pool takes from its cluster.
pub(super) struct Home {
    cluster: String,
    id: String,
    place: Place,
    zones: Vec<String>,
    version: String,
    channel: String,
    pods: Value,
    pod_range: Value,
    subnetwork: Value,
    private_nodes: bool,
}

impl Home {
    pub(super) fn of(cluster: &Cluster) -> Self {
        let at = |pointer: &str| {
            let (head, rest) = pointer.split_once('/').unwrap_or((pointer, ""));
            cluster.spec.get(head).and_then(|value| value.get(rest)).cloned().unwrap_or_default()
        };
        Self {
            cluster: cluster.name.clone(),
            id: cluster.id.clone(),
            place: cluster.place.clone(),
            zones: strings(cluster.spec.get("locations")),
            version: cluster.master_version.clone(),
            channel: channel(cluster).to_owned(),
            pods: at("ipAllocationPolicy/clusterIpv4CidrBlock"),
            pod_range: at("ipAllocationPolicy/clusterSecondaryRangeName"),
            subnetwork: at("networkConfig/subnetwork"),
            private_nodes: access::has_private_nodes(&cluster.spec),
        }
    }
}

impl Home {
    /// The first of its zones.
    pub(super) fn first_zone(&self) -> &str {
        self.zones.first().map_or("", String::as_str)
    }
}

/// Release channel of a cluster, empty for none.
fn channel(cluster: &Cluster) -> &str {
    let channel = cluster.spec.get("releaseChannel").and_then(|channel| channel.get("channel"));
    channel.and_then(Value::as_str).unwrap_or_default()
}

/// A pool as it will be, without nodes yet.
pub(super) fn new_pool(home: &Home, given: Value, ids: &mut Ids) -> Result<Pool, Failure> {
    let mut given = given;
    Api::Container.drop_defaults("NodePool", &mut given);
    let Value::Object(mut spec) = given else { return Err(Failure::invalid("NodePool must be an object.")) };
    let name = spec.remove("name").and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
    check_name("node_pool.name", &name)?;
    let initial =
        nodes_in_zone(spec.remove("initialNodeCount").as_ref().and_then(Value::as_i64).unwrap_or(0))?;
    let mut zones = strings(spec.get("locations"));
    if zones.is_empty() {
        zones.clone_from(&home.zones);
    }
    if let Some(stranger) = zones.iter().find(|zone| !home.place.holds(zone)) {
        return Err(Failure::invalid(format!(
            "Location \"{stranger}\" is not a zone of the cluster's region."
        )));
    }
    let machine_type =
        spec.get("config").and_then(|config| config.get("machineType")).and_then(Value::as_str);
    check_machine_type(machine_type.unwrap_or("e2-medium"), &zones)?;
    defaults::check_management(spec.get("management"), &home.channel)?;
    let version = match spec.remove("version").as_ref().and_then(Value::as_str) {
        None | Some("-") => home.version.clone(),
        Some(wanted) => node_version(wanted, &home.version)?,
    };
    for field in
        ["etag", "instanceGroupUrls", "selfLink", "status", "statusMessage", "conditions", "updateInfo"]
    {
        spec.remove(field);
    }
    set(&mut spec, "locations", json!(zones));
    set(&mut spec, "networkConfig.podIpv4CidrBlock", home.pods.clone());
    set(&mut spec, "networkConfig.podRange", home.pod_range.clone());
    set(&mut spec, "networkConfig.subnetwork", home.subnetwork.clone());
    if home.private_nodes {
        fill(&mut spec, json!({ "networkConfig": { "enablePrivateNodes": true } }));
    }
    defaults::pool(&mut spec);
    let groups = zones.into_iter().map(|zone| new_group(&home.cluster, &home.id, &name, zone)).collect();
    Ok(Pool { name, spec, initial, ready: false, version, etag: ids.uuid(), groups, conditions: Vec::new() })
}

fn nodes_in_zone(count: i64) -> Result<u32, Failure> {
    u32::try_from(count).ok().filter(|count| i64::from(*count) <= MOST_IN_ZONE).ok_or_else(|| {
        Failure::invalid(format!("Node count {count} must be between 0 and {MOST_IN_ZONE} in each zone."))
    })
}

fn check_machine_type(machine_type: &str, zones: &[String]) -> Result<(), Failure> {
    if catalog::is_machine_type(machine_type) {
        return Ok(());
    }
    let zone = zones.first().map_or("", String::as_str);
    Err(Failure::invalid(format!(
        "Machine type with name \"{machine_type}\" does not exist in zone \"{zone}\"."
    )))
}

/// A node version, which is never newer than the control plane's.
fn node_version(wanted: &str, master: &str) -> Result<String, Failure> {
    let version = versions::resolve(wanted, "", "Node")?;
    if versions::numbers(&version) > versions::numbers(master) {
        return Err(Failure::invalid(format!(
            "Node version \"{version}\" must not be greater than the master version \"{master}\"."
        )));
    }
    Ok(version)
}

/// Fields of `UpdateNodePoolRequest` with their place in the pool, and whether the change recreates the nodes.
const UPDATES: &[(&str, &str, bool)] = &[
    ("accelerators", "config.accelerators", true),
    ("bootDisk", "config.bootDisk", true),
    ("confidentialNodes", "config.confidentialNodes", true),
    ("containerdConfig", "config.containerdConfig", true),
    ("diskSizeGb", "config.diskSizeGb", true),
    ("diskType", "config.diskType", true),
    ("fastSocket", "config.fastSocket", true),
    ("flexStart", "config.flexStart", true),
    ("gcfsConfig", "config.gcfsConfig", true),
    ("gvnic", "config.gvnic", true),
    ("imageType", "config.imageType", true),
    ("kubeletConfig", "config.kubeletConfig", true),
    ("labels", "config.labels", false),
    ("linuxNodeConfig", "config.linuxNodeConfig", true),
    ("locations", "locations", false),
    ("loggingConfig", "config.loggingConfig", true),
    ("machineType", "config.machineType", true),
    ("maxRunDuration", "config.maxRunDuration", true),
    ("nodeNetworkConfig", "networkConfig", true),
    ("nodeVersion", "version", true),
    ("queuedProvisioning", "queuedProvisioning", false),
    ("resourceLabels", "config.resourceLabels", false),
    ("resourceManagerTags", "config.resourceManagerTags", false),
    ("storagePools", "config.storagePools", true),
    ("tags", "config.tags", false),
    ("taints", "config.taints", false),
    ("upgradeSettings", "upgradeSettings", false),
    ("windowsNodeConfig", "config.windowsNodeConfig", true),
    ("workloadMetadataConfig", "config.workloadMetadataConfig", true),
];

/// Fields of requests that only say what is meant, and the etag.
const ADDRESSING: &[&str] = &["clusterId", "etag", "name", "nodePoolId", "projectId", "zone"];

impl Container {
    pub(super) fn create_pool(
        &mut self,
        route: &Route,
        cluster: &str,
        body: &Value,
        context: &mut Context<'_>,
    ) -> Result<String, Failure> {
        let mut body = Api::Container.accept(route.version, "CreateNodePoolRequest", "", body)?;
        let given = body.get_mut("nodePool").map(Value::take).unwrap_or_default();
        let home = self.idle_cluster(route, cluster)?;
        let pool = new_pool(&Home::of(home), given, context.ids)?;
        if find_pool(home, &pool.name).is_ok() {
            return Err(Failure::new(
                Code::AlreadyExists,
                format!("Already exists: node pool \"{}\" already exists.", pool.name),
            ));
        }
        let wanted = pool.initial as usize * pool.groups.len();
        self.check_room(&route.project, route.place()?, wanted)?;
        let name = pool.name.clone();
        let at = key(&route.project, route.place()?, cluster);
        let (delay, effect) = match self.strike(&at, Some(&name)) {
            None => (0, Effect::PoolReady),
            Some(code) => {
                let why = code.conditions(&route.project, route.place()?, std::slice::from_ref(&pool));
                (code.delay(), Effect::Broken(why))
            }
        };
        if let Some(home) = self.clusters.get_mut(&at) {
            home.pools.push(pool);
        }
        let job = job(cluster, &name, Kind::CreateNodePool, effect);
        self.start(route, Job { duration: job.duration + delay, ..job }, context)
    }

    pub(super) fn delete_pool(
        &mut self,
        route: &Route,
        (cluster, pool): (&str, &str),
        context: &mut Context<'_>,
    ) -> Result<String, Failure> {
        find_pool(self.idle_cluster(route, cluster)?, pool)?;
        self.start(route, job(cluster, pool, Kind::DeleteNodePool, Effect::PoolGone), context)
    }

    /// `setSize`, `setManagement` and `setAutoscaling`.
    pub(super) fn set_on_pool(
        &mut self,
        route: &Route,
        (cluster, pool): (&str, &str),
        verb: &str,
        body: &Value,
        context: &mut Context<'_>,
    ) -> Result<String, Failure> {
        let request = match verb {
            "setSize" => "SetNodePoolSizeRequest",
            "setManagement" => "SetNodePoolManagementRequest",
            "setAutoscaling" => "SetNodePoolAutoscalingRequest",
            _ => return Err(super::update::no_such_verb(verb)),
        };
        let body = Api::Container.accept(route.version, request, "", body)?;
        let present = find_pool(self.idle_cluster(route, cluster)?, pool)?;
        let job = match verb {
            "setSize" => {
                let size = nodes_in_zone(body.get("nodeCount").and_then(Value::as_i64).unwrap_or(0))?;
                let now: usize = present.groups.iter().map(|group| group.nodes.len()).sum();
                let more = (size as usize * present.groups.len()).saturating_sub(now);
                self.check_room(&route.project, route.place()?, more)?;
                Job {
                    duration: SET_SIZE,
                    ..job(cluster, pool, Kind::SetNodePoolSize, Effect::PoolSize(size))
                }
            }
            "setManagement" => {
                let mut management = body.get("management").cloned().unwrap_or_else(|| json!({}));
                Api::Container.drop_defaults("NodeManagement", &mut management);
                let home = self.cluster(route, cluster)?;
                defaults::check_management(Some(&management), channel(home))?;
                let change = Change::new("management", management);
                let effect = Effect::Fields(vec![change]);
                Job { duration: UPDATE, ..job(cluster, pool, Kind::SetNodePoolManagement, effect) }
            }
            _ => {
                let change = autoscaling_change(body.get("autoscaling"));
                let effect = Effect::Fields(vec![change]);
                Job { duration: UPDATE, ..job(cluster, pool, Kind::UpdateCluster, effect) }
            }
        };
        self.start(route, job, context)
    }

    /// `PUT nodePools/N`: fields of the pool, by recreating its nodes one after the other where that is needed.
    pub(super) fn update_pool(
        &mut self,
        route: &Route,
        (cluster, pool): (&str, &str),
        body: &Value,
        context: &mut Context<'_>,
    ) -> Result<String, Failure> {
        let body = Api::Container.accept(route.version, "UpdateNodePoolRequest", "", body)?;
        let home = self.idle_cluster(route, cluster)?;
        let present = find_pool(home, pool)?;
        check_etag(&body, &present.etag)?;
        let Value::Object(fields) = body else {
            return Err(Failure::invalid("The request must be an object."));
        };
        let mut changes = Vec::new();
        let mut recreates = false;
        for (name, value) in fields {
            if ADDRESSING.contains(&name.as_str()) {
                continue;
            }
            let Some((_, path, recreate)) = UPDATES.iter().find(|(field, _, _)| *field == name) else {
                return Err(Failure::new(
                    Code::Unimplemented,
                    format!("Field \"{name}\" of a node pool cannot be updated in the embedded cloud."),
                ));
            };
            recreates |= recreate;
            changes.extend(pool_changes(home, path, value)?);
        }
        if changes.is_empty() {
            return Err(Failure::invalid(
                "At least one field of the node pool must be specified for update.",
            ));
        }
        self.upgrade(route, (cluster, pool), changes, recreates, context)
    }

    /// Starts to bring changes to the nodes of a pool. A pool whose nodes are recreated has its new fields at once: each
    /// fresh node is made from them.
    pub(super) fn upgrade(
        &mut self,
        route: &Route,
        (cluster, pool): (&str, &str),
        changes: Vec<Change>,
        recreates: bool,
        context: &mut Context<'_>,
    ) -> Result<String, Failure> {
        let at = key(&route.project, route.place()?, cluster);
        let present =
            self.clusters.get_mut(&at).and_then(|home| home.pools.iter_mut().find(|own| own.name == pool));
        let mut recreated = 0;
        let mut left = changes;
        if let Some(present) = present.filter(|_| recreates) {
            change_pool(present, &left);
            left = Vec::new();
            recreated = outdate(present);
        }
        let job = Job { recreated, ..job(cluster, pool, Kind::UpgradeNodes, Effect::Fields(left)) };
        self.start(route, job, context)
    }
}

/// A job of the usual length on a pool.
pub(super) fn job<'a>(cluster: &'a str, pool: &'a str, kind: Kind, effect: Effect) -> Job<'a> {
    Job { cluster, pool: Some(pool), kind, duration: POOL, effect, recreated: 0 }
}

/// # Errors
/// 409 `ABORTED` when the request carries another etag than the resource's.
pub(super) fn check_etag(body: &Value, etag: &str) -> Result<(), Failure> {
    match body.get("etag").and_then(Value::as_str) {
        Some(given) if !given.is_empty() && given != etag => Err(Failure::new(
            Code::Aborted,
            format!("The etag \"{given}\" does not match the current etag \"{etag}\"; read again and retry."),
        )),
        _ => Ok(()),
    }
}

/// What one field of an update changes: the twins of the boot disk change together.
fn pool_changes(home: &Cluster, path: &str, value: Value) -> Result<Vec<Change>, Failure> {
    Ok(match path {
        "version" => {
            let wanted = value.as_str().unwrap_or_default();
            let version = if wanted == "-" {
                home.master_version.clone()
            } else {
                node_version(wanted, &home.master_version)?
            };
            vec![Change::new(path, json!(version))]
        }
        "config.machineType" => {
            check_machine_type(value.as_str().unwrap_or_default(), &home.place.node_zones())?;
            vec![Change::new(path, value)]
        }
        // An int64, and so a string, in the request; an int32 in the pool.
        "config.diskSizeGb" => boot_disk_changes(&json!({ "sizeGb": value })),
        "config.diskType" => boot_disk_changes(&json!({ "diskType": value })),
        "config.bootDisk" => boot_disk_changes(&value),
        // These arrive wrapped: {"taints": {"taints": [...]}}.
        "config.taints" | "config.tags" | "config.labels" | "config.resourceLabels" => {
            let inner = value.as_object().and_then(|wrapper| wrapper.values().next()).cloned();
            let empty = |value: &Value| {
                value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty)
            };
            vec![Change::new(path, inner.filter(|value| !empty(value)).unwrap_or_default())]
        }
        "locations" => {
            let zones = strings(Some(&value));
            match zones.iter().find(|zone| !home.place.holds(zone)) {
                Some(stranger) => {
                    return Err(Failure::invalid(format!(
                        "Location \"{stranger}\" is not a zone of the cluster's region."
                    )));
                }
                None => vec![Change::new(path, value)],
            }
        }
        "upgradeSettings" | "networkConfig" | "config.kubeletConfig" => {
            let fields = value.as_object().cloned().unwrap_or_default();
            fields.into_iter().map(|(name, value)| Change::new(&format!("{path}.{name}"), value)).collect()
        }
        _ => vec![Change::new(path, value)],
    })
}

/// A boot disk changes together with its older twins.
fn boot_disk_changes(disk: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    if let Some(kind) = disk.get("diskType") {
        changes.push(Change::new("config.diskType", kind.clone()));
        changes.push(Change::new("config.bootDisk.diskType", kind.clone()));
    }
    if let Some(size) = disk.get("sizeGb").and_then(Value::as_str) {
        changes.push(Change::new("config.diskSizeGb", json!(size.parse::<i64>().unwrap_or(0))));
        changes.push(Change::new("config.bootDisk.sizeGb", json!(size)));
    }
    changes
}

/// Autoscaling as it stands afterwards; switched off, it is not there.
pub(super) fn autoscaling_change(given: Option<&Value>) -> Change {
    let mut pool = json!({ "autoscaling": given.cloned().unwrap_or_default() });
    Api::Container.drop_defaults("NodePool", &mut pool);
    if let Value::Object(spec) = &mut pool {
        defaults::pool(spec);
    }
    Change::new("autoscaling", pool.get("autoscaling").cloned().unwrap_or_default())
}
