//! Creating and deleting clusters.

use super::model::{Cluster, Effect, Kind, Upkeep, fill, set};
use super::operations::{CREATE_CLUSTER, DELETE_CLUSTER, Job};
use super::pools::{self, Home};
use super::route::Route;
use super::settle::{MOST_NODES, strings};
use super::{Container, autopilot, defaults, key, versions};
use crate::api::Context;
use crate::container::places::Place;
use crate::rest::{Code, Failure, sha256_hex};
use crate::schema::Api;
use serde_json::{Map, Value, json};

/// Fields only the server sets, and those kept outside the spec.
const NOT_IN_SPEC: &[&str] = &[
    "clusterIpv4Cidr",
    "conditions",
    "createTime",
    "currentMasterVersion",
    "currentNodeCount",
    "currentNodeVersion",
    "endpoint",
    "etag",
    "expireTime",
    "id",
    "initialClusterVersion",
    "initialNodeCount",
    "instanceGroupUrls",
    "labelFingerprint",
    "location",
    "masterAuth",
    "name",
    "nodeConfig",
    "nodeIpv4CidrSize",
    "nodePools",
    "satisfiesPzi",
    "satisfiesPzs",
    "selfLink",
    "servicesIpv4Cidr",
    "status",
    "statusMessage",
    "tpuIpv4CidrBlock",
    "zone",
];

impl Container {
    /// Starts to create a cluster.
    pub(super) fn create_cluster(
        &mut self,
        route: &Route,
        body: &Value,
        context: &mut Context<'_>,
    ) -> Result<String, Failure> {
        let place = route.place()?;
        let mut body = Api::Container.accept(route.version, "CreateClusterRequest", "", body)?;
        let Some(Value::Object(mut given)) = body.get_mut("cluster").map(Value::take) else {
            return Err(Failure::invalid("Required field \"cluster\" must be specified."));
        };
        let mut whole = Value::Object(given);
        Api::Container.drop_defaults("Cluster", &mut whole);
        let Value::Object(whole) = whole else { return Err(Failure::invalid("Cluster must be an object.")) };
        given = whole;
        let name = given.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        check_name("cluster.name", &name)?;
        let id = key(&route.project, place, &name);
        if self.clusters.contains_key(&id) {
            let link = place.link();
            return Err(Failure::new(
                Code::AlreadyExists,
                format!("Already exists: projects/{}/{link}/clusters/{name}.", route.project),
            ));
        }
        let cluster = self.new_cluster(route, place, &name, given, context)?;
        let (duration, effect) = match self.strike(&id, None) {
            None => (CREATE_CLUSTER, Effect::ClusterReady),
            Some(code) => {
                let why = code.conditions(&route.project, place, &cluster.pools);
                (CREATE_CLUSTER + code.delay(), Effect::Broken(why))
            }
        };
        self.clusters.insert(id, cluster);
        let job =
            Job { cluster: &name, pool: None, kind: Kind::CreateCluster, duration, effect, recreated: 0 };
        self.start(route, job, context)
    }

    fn new_cluster(
        &self,
        route: &Route,
        place: &Place,
        name: &str,
        given: Map<String, Value>,
        context: &mut Context<'_>,
    ) -> Result<Cluster, Failure> {
        let autopilot = autopilot::is_on(&given);
        if autopilot {
            autopilot::check(place, &given)?;
        }
        let channel = text(&given, "/releaseChannel/channel").unwrap_or("REGULAR");
        let version =
            versions::resolve(text(&given, "/initialClusterVersion").unwrap_or_default(), channel, "Master")?;
        let zones = if autopilot { place.all_zones() } else { zones(place, &given)? };
        let pod_range =
            self.pod_range(&route.project, text(&given, "/ipAllocationPolicy/clusterIpv4CidrBlock"), name)?;
        let id = context.ids.hex(64);
        let mut spec = given.clone();
        spec.retain(|field, _| !NOT_IN_SPEC.contains(&field.as_str()));
        set(&mut spec, "locations", json!(zones));
        network(&mut spec, &route.project, place);
        addresses(&mut spec, &format!("gke-{name}-pods-{}", &id[..8]), &pod_range);
        set(&mut spec, "maintenancePolicy", maintenance(given.get("maintenancePolicy")));
        if spec.get("networkPolicy").and_then(Value::as_object).is_some_and(Map::is_empty) {
            spec.remove("networkPolicy");
        }
        if autopilot {
            autopilot::defaults(&mut spec, &route.project, place, name);
        }
        defaults::cluster(&mut spec);
        let serial =
            (0..).find(|serial| self.clusters.values().all(|other| other.serial != *serial)).unwrap_or(0);
        let mut cluster = Cluster {
            project: route.project.clone(),
            place: place.clone(),
            name: name.to_owned(),
            id,
            created: context.now,
            ready: false,
            busy: None,
            spec,
            pools: Vec::new(),
            initial_nodes: 0,
            initial_version: version.clone(),
            master_version: version,
            etag: context.ids.uuid(),
            pod_range,
            serial,
            upkeep: Upkeep::default(),
        };
        if autopilot {
            cluster.pools = autopilot::pools(&Home::of(&cluster), context.ids)?;
            return Ok(cluster);
        }
        for pool in first_pools(given)? {
            let home = Home::of(&cluster);
            let pool = pools::new_pool(&home, pool, context.ids)?;
            if cluster.pools.iter().any(|other| other.name == pool.name) {
                return Err(Failure::invalid(format!("Duplicate node pool name \"{}\".", pool.name)));
            }
            cluster.pools.push(pool);
        }
        cluster.initial_nodes = cluster.pools.first().map_or(0, |pool| pool.initial);
        let wanted = cluster.pools.iter().map(|pool| pool.initial as usize * pool.groups.len()).sum();
        self.check_room(&route.project, place, wanted)?;
        Ok(cluster)
    }

    /// A range for the pods of a cluster: the block asked for, or the next free one of the size asked for.
    fn pod_range(&self, project: &str, wanted: Option<&str>, name: &str) -> Result<String, Failure> {
        let size = match wanted {
            Some(block) if !block.starts_with('/') => return Ok(block.to_owned()),
            Some(size) => {
                size[1..].parse::<u32>().ok().filter(|size| (9..=21).contains(size)).ok_or_else(|| {
                    Failure::invalid(format!("Invalid CIDR \"{size}\" for cluster.ip_allocation_policy."))
                })?
            }
            None => 14,
        };
        // One /14 for each cluster, which what is asked for fits in: from 10.8.0.0 up to the VMs' ranges (from 10.128), then from the
        // other ranges that a subnetwork may have (https://cloud.google.com/vpc/docs/subnets#valid-ranges).
        let tens = (2..32).chain([1]).map(|nth| (10, nth * 4));
        let others = [(172, 16..32), (100, 64..128)].into_iter();
        let others = others.flat_map(|(first, range)| range.step_by(4).map(move |second| (first, second)));
        let reserved = (240..255).flat_map(|first| (0..64).map(move |nth| (first, nth * 4)));
        let taken = |(first, second): (u32, u32)| {
            let prefix = format!("{first}.{second}.");
            self.clusters
                .values()
                .any(|other| other.project == project && other.pod_range.starts_with(&prefix))
        };
        let free = tens.chain(others).chain(reserved).find(|block| !taken(*block));
        free.map(|(first, second)| format!("{first}.{second}.0.0/{}", size.max(14))).ok_or_else(|| {
            Failure::invalid(format!(
                "The network \"default\" does not have available private IP space in 10.0.0.0/8 to reserve a /{size} \
                 block for pods for cluster \"{name}\"."
            ))
        })
    }

    /// Whether so many more nodes find addresses.
    pub(super) fn check_room(&self, project: &str, place: &Place, more: usize) -> Result<(), Failure> {
        let taken = self.taken_addresses(project, place.region()).len();
        if taken + more <= MOST_NODES {
            return Ok(());
        }
        Err(Failure::invalid(format!(
            "Insufficient regional quota to satisfy request: resource \"IN_USE_ADDRESSES\": request requires \
             '{more}.0' and is short '{}.0'.",
            taken + more - MOST_NODES
        )))
    }

    /// Starts to delete a cluster.
    pub(super) fn delete_cluster(
        &mut self,
        route: &Route,
        name: &str,
        context: &mut Context<'_>,
    ) -> Result<String, Failure> {
        self.idle_cluster(route, name)?;
        let job = Job {
            cluster: name,
            pool: None,
            kind: Kind::DeleteCluster,
            duration: DELETE_CLUSTER,
            effect: Effect::ClusterGone,
            recreated: 0,
        };
        self.start(route, job, context)
    }
}

/// Pools of the request, or `default-pool` of the older fields. Exactly one of both must be given.
fn first_pools(mut given: Map<String, Value>) -> Result<Vec<Value>, Failure> {
    let count = given.get("initialNodeCount").and_then(Value::as_i64).unwrap_or(0);
    match given.remove("nodePools") {
        Some(Value::Array(pools)) if !pools.is_empty() => {
            if count != 0 || given.get("nodeConfig").is_some() {
                return Err(Failure::invalid(
                    "Cluster.initial_node_count and Cluster.node_config must not be set when Cluster.node_pools is.",
                ));
            }
            Ok(pools)
        }
        _ if count <= 0 => Err(Failure::invalid("Cluster.initial_node_count must be greater than zero.")),
        _ => {
            let config = given.remove("nodeConfig").unwrap_or_else(|| json!({}));
            Ok(vec![json!({ "name": "default-pool", "initialNodeCount": count, "config": config })])
        }
    }
}

/// Zones of the nodes: those asked for, which must be of the region.
fn zones(place: &Place, given: &Map<String, Value>) -> Result<Vec<String>, Failure> {
    let wanted = strings(given.get("locations"));
    if let Some(stranger) = wanted.iter().find(|zone| !place.holds(zone)) {
        return Err(Failure::invalid(format!(
            "Location \"{stranger}\" is not a zone of region \"{}\".",
            place.region()
        )));
    }
    Ok(if wanted.is_empty() { place.node_zones() } else { wanted })
}

/// Short names beside, full paths inside `networkConfig`.
fn network(spec: &mut Map<String, Value>, project: &str, place: &Place) {
    let short = |name: &str| {
        let given = spec.get(name).and_then(Value::as_str);
        given.and_then(|path| path.rsplit('/').next()).map(str::to_owned)
    };
    let host = |name: &str| {
        let path = spec.get(name).and_then(Value::as_str).unwrap_or_default();
        let (_, rest) = path.split_once("projects/")?;
        rest.split('/').next().map(str::to_owned)
    };
    let (network, subnetwork) = (short("network"), short("subnetwork"));
    let (network_host, subnetwork_host) = (host("network"), host("subnetwork"));
    let network = network.unwrap_or_else(|| "default".to_owned());
    // Auto mode networks name their subnetworks as themselves.
    let subnetwork = subnetwork.unwrap_or_else(|| network.clone());
    let full = format!("projects/{}/global/networks/{network}", network_host.as_deref().unwrap_or(project));
    let region = place.region();
    let host = subnetwork_host.as_deref().unwrap_or(project);
    set(spec, "networkConfig.network", json!(full));
    set(
        spec,
        "networkConfig.subnetwork",
        json!(format!("projects/{host}/regions/{region}/subnetworks/{subnetwork}")),
    );
    set(spec, "network", json!(network));
    set(spec, "subnetwork", json!(subnetwork));
}

/// VPC-native whatever was asked for: routes-based clusters can't be made any more by these defaults.
fn addresses(spec: &mut Map<String, Value>, range_name: &str, pods: &str) {
    const SERVICES: &str = "34.118.224.0/20";
    let services = text(spec, "/ipAllocationPolicy/servicesIpv4CidrBlock")
        .filter(|block| !block.starts_with('/'))
        .unwrap_or(SERVICES)
        .to_owned();
    for (field, value) in [
        ("useIpAliases", json!(true)),
        ("clusterIpv4Cidr", json!(pods)),
        ("clusterIpv4CidrBlock", json!(pods)),
        ("servicesIpv4Cidr", json!(services)),
        ("servicesIpv4CidrBlock", json!(services)),
    ] {
        set(spec, &format!("ipAllocationPolicy.{field}"), value);
    }
    fill(
        spec,
        json!({ "ipAllocationPolicy": {
            "clusterSecondaryRangeName": range_name,
            "networkTierConfig": { "networkTier": "NETWORK_TIER_DEFAULT" },
            "podCidrOverprovisionConfig": {},
            "stackType": "IPV4",
        } }),
    );
}

/// A maintenance policy with its own version, which is made from its content.
pub(super) fn maintenance(given: Option<&Value>) -> Value {
    let mut policy = given.cloned().unwrap_or_default();
    Api::Container.drop_defaults("MaintenancePolicy", &mut policy);
    // The service chooses how long a daily window is: four hours, as recorded in July 2025 by the Config Connector
    // project (commit 8dcf8121f6, `containercluster-maintenancepolicy`).
    if let Some(Value::Object(daily)) = policy.pointer_mut("/window/dailyMaintenanceWindow") {
        daily.insert("duration".to_owned(), json!("PT4H0M0S"));
    }
    let window =
        policy.get("window").filter(|window| window.as_object().is_some_and(|fields| !fields.is_empty()));
    let version = sha256_hex(&window.map(Value::to_string).unwrap_or_default(), 8);
    match window {
        Some(window) => json!({ "window": window, "resourceVersion": version }),
        None => json!({ "resourceVersion": version }),
    }
}

fn text<'a>(given: &'a Map<String, Value>, pointer: &str) -> Option<&'a str> {
    let (first, rest) =
        pointer.get(1..)?.split_once('/').map_or((pointer.get(1..)?, ""), |(first, rest)| (first, rest));
    let value = given.get(first)?;
    if rest.is_empty() { value.as_str() } else { value.pointer(&format!("/{rest}"))?.as_str() }
}

/// Checks the name of a cluster or node pool.
///
/// # Errors
/// 400 in the words of the service.
pub(super) fn check_name(field: &str, name: &str) -> Result<(), Failure> {
    let inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let good = (1..=40).contains(&name.len())
        && name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.chars().all(inner)
        && !name.ends_with('-');
    if good {
        return Ok(());
    }
    Err(Failure::invalid(format!(
        "Invalid value for field \"{field}\": \"{name}\". Must be a match of regex \
         '(?:[a-z](?:[-a-z0-9]{{0,38}}[a-z0-9])?)' (only alphanumerics and '-' allowed, must start with a letter and end \
         with an alphanumeric, and must be no longer than 40 characters)."
    )))
}
