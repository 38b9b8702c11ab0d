//! `PUT clusters/C` with one `desired…` field, and the older method for each of these.

use super::access;
use super::create::maintenance;
use super::model::{Change, Cluster, Effect, Kind};
use super::operations::{Job, LABELS, UPDATE};
use super::pools::{autoscaling_change, check_etag};
use super::render::label_fingerprint;
use super::route::Route;
use super::settle::strings;
use super::{Container, autopilot, defaults, find_pool, versions};
use crate::api::Context;
use crate::rest::{Code, Failure};
use crate::schema::Api;
use serde_json::{Map, Value, json};

/// Fields of `ClusterUpdate` that stand elsewhere in the cluster than their name says.
const ELSEWHERE: &[(&str, &str)] = &[
    ("desiredClusterAutoscaling", "autoscaling"),
    ("desiredDatapathProvider", "networkConfig.datapathProvider"),
    ("desiredDefaultSnatStatus", "networkConfig.defaultSnatStatus"),
    ("desiredDnsConfig", "networkConfig.dnsConfig"),
    ("desiredEnableCiliumClusterwideNetworkPolicy", "networkConfig.enableCiliumClusterwideNetworkPolicy"),
    ("desiredEnableFqdnNetworkPolicy", "networkConfig.enableFqdnNetworkPolicy"),
    ("desiredEnableMultiNetworking", "networkConfig.enableMultiNetworking"),
    ("desiredGatewayApiConfig", "networkConfig.gatewayApiConfig"),
    ("desiredInTransitEncryptionConfig", "networkConfig.inTransitEncryptionConfig"),
    ("desiredIntraNodeVisibilityConfig", "networkConfig.enableIntraNodeVisibility"),
    ("desiredL4ilbSubsettingConfig", "networkConfig.enableL4ilbSubsetting"),
    ("desiredNodePoolAutoConfigNetworkTags", "nodePoolAutoConfig.networkTags"),
    ("desiredNodePoolAutoConfigResourceManagerTags", "nodePoolAutoConfig.resourceManagerTags"),
    ("desiredNodePoolAutoConfigKubeletConfig", "nodePoolAutoConfig.nodeKubeletConfig"),
    ("desiredNodePoolLoggingConfig", "nodePoolDefaults.nodeConfigDefaults.loggingConfig"),
    ("desiredPrivateIpv6GoogleAccess", "networkConfig.privateIpv6GoogleAccess"),
    ("desiredServiceExternalIpsConfig", "networkConfig.serviceExternalIpsConfig"),
    ("desiredStackType", "ipAllocationPolicy.stackType"),
];

/// Fields that may stand together in one update; every other comes alone.
const TOGETHER: &[&[&str]] = &[
    &["desiredLoggingService", "desiredMonitoringService"],
    &["desiredLoggingConfig", "desiredMonitoringConfig"],
    &["desiredNodePoolAutoscaling", "desiredNodePoolId"],
    &["desiredNodeVersion", "desiredNodePoolId"],
    &["desiredImageType", "desiredNodePoolId"],
];

/// The refusal of a custom method this world does not have.
pub(super) fn no_such_verb(verb: &str) -> Failure {
    Failure::new(Code::Unimplemented, format!("Method \"{verb}\" is not part of the embedded cloud."))
}

impl Container {
    /// Starts an update of a cluster.
    pub(super) fn update_cluster(
        &mut self,
        route: &Route,
        name: &str,
        body: &Value,
        context: &mut Context<'_>,
    ) -> Result<String, Failure> {
        let body = Api::Container.accept(route.version, "UpdateClusterRequest", "", body)?;
        let Some(Value::Object(update)) = body.get("update").cloned() else {
            return Err(Failure::invalid("Must specify a field to update."));
        };
        self.apply_update(route, name, update, context)
    }

    fn apply_update(
        &mut self,
        route: &Route,
        name: &str,
        mut update: Map<String, Value>,
        context: &mut Context<'_>,
    ) -> Result<String, Failure> {
        let cluster = self.idle_cluster(route, name)?;
        check_etag(&json!({ "etag": update.remove("etag") }), &cluster.etag)?;
        check_alone(&update)?;
        if let Some(pool) = pool_update(cluster, &update)? {
            autopilot::check_pools_of(cluster)?;
            return self.update_named_pool(route, name, pool, context);
        }
        let mut changes = Vec::new();
        for (field, value) in update {
            changes.extend(cluster_changes(cluster, &field, value)?);
        }
        let upgrades = changes.iter().any(|change| change.path == "currentMasterVersion");
        let kind = if upgrades { Kind::UpgradeMaster } else { Kind::UpdateCluster };
        let job = Job {
            cluster: name,
            pool: None,
            kind,
            duration: UPDATE,
            effect: Effect::Fields(changes),
            recreated: 0,
        };
        self.start(route, job, context)
    }

    fn update_named_pool(
        &mut self,
        route: &Route,
        cluster: &str,
        (pool, change): (String, Change),
        context: &mut Context<'_>,
    ) -> Result<String, Failure> {
        if change.path != "autoscaling" {
            return self.upgrade(route, (cluster, &pool), vec![change], true, context);
        }
        let effect = Effect::Fields(vec![change]);
        let kind = Kind::UpdateCluster;
        let job = Job { cluster, pool: Some(&pool), kind, duration: UPDATE, effect, recreated: 0 };
        self.start(route, job, context)
    }

    /// The custom methods of a cluster.
    pub(super) fn set_on_cluster(
        &mut self,
        route: &Route,
        name: &str,
        verb: &str,
        body: &Value,
        context: &mut Context<'_>,
    ) -> Result<String, Failure> {
        // What a custom method sets, as a field of the general update.
        let (message, given, desired) = match verb {
            "setResourceLabels" => return self.set_labels(route, name, body, context),
            "setMaintenancePolicy" => return self.set_maintenance(route, name, body, context),
            "setLogging" => ("SetLoggingServiceRequest", "loggingService", "desiredLoggingService"),
            "setMonitoring" => {
                ("SetMonitoringServiceRequest", "monitoringService", "desiredMonitoringService")
            }
            "setAddons" => ("SetAddonsConfigRequest", "addonsConfig", "desiredAddonsConfig"),
            "setLocations" => ("SetLocationsRequest", "locations", "desiredLocations"),
            "updateMaster" => ("UpdateMasterRequest", "masterVersion", "desiredMasterVersion"),
            "setNetworkPolicy" => ("SetNetworkPolicyRequest", "networkPolicy", "desiredNetworkPolicy"),
            "setLegacyAbac" => ("SetLegacyAbacRequest", "enabled", "desiredLegacyAbac"),
            _ => return Err(no_such_verb(verb)),
        };
        let body = Api::Container.accept(route.version, message, "", body)?;
        let value = body.get(given).cloned().unwrap_or_else(|| json!(false));
        let value = if verb == "setLegacyAbac" { json!({ "enabled": value }) } else { value };
        self.apply_update(route, name, Map::from_iter([(desired.to_owned(), value)]), context)
    }

    fn set_labels(
        &mut self,
        route: &Route,
        name: &str,
        body: &Value,
        context: &mut Context<'_>,
    ) -> Result<String, Failure> {
        let body = Api::Container.accept(route.version, "SetLabelsRequest", "", body)?;
        let cluster = self.idle_cluster(route, name)?;
        let present = label_fingerprint(cluster.spec.get("resourceLabels"));
        if body.get("labelFingerprint").and_then(Value::as_str) != Some(present.as_str()) {
            return Err(Failure::new(
                Code::FailedPrecondition,
                "Labels could not be set due to fingerprint mismatch. Please read the cluster again and retry.",
            ));
        }
        let labels =
            body.get("resourceLabels").filter(|labels| labels.as_object().is_some_and(|all| !all.is_empty()));
        let change = Change::new("resourceLabels", labels.cloned().unwrap_or_default());
        let effect = Effect::Fields(vec![change]);
        let kind = Kind::UpdateCluster;
        let job = Job { cluster: name, pool: None, kind, duration: LABELS, effect, recreated: 0 };
        self.start(route, job, context)
    }

    fn set_maintenance(
        &mut self,
        route: &Route,
        name: &str,
        body: &Value,
        context: &mut Context<'_>,
    ) -> Result<String, Failure> {
        let body = Api::Container.accept(route.version, "SetMaintenancePolicyRequest", "", body)?;
        let cluster = self.idle_cluster(route, name)?;
        let policy = body.get("maintenancePolicy");
        let present = cluster.spec.get("maintenancePolicy");
        let version =
            |policy: Option<&Value>| policy.and_then(|policy| policy.get("resourceVersion")).cloned();
        let has_window = present.is_some_and(|policy| policy.get("window").is_some());
        if has_window && version(policy) != version(present) {
            return Err(Failure::new(
                Code::FailedPrecondition,
                "The resource version of the maintenance policy does not match. Please read the cluster again and retry.",
            ));
        }
        let effect = Effect::Fields(vec![Change::new("maintenancePolicy", maintenance(policy))]);
        let kind = Kind::SetMaintenancePolicy;
        let job = Job { cluster: name, pool: None, kind, duration: LABELS, effect, recreated: 0 };
        self.start(route, job, context)
    }
}

fn check_alone(update: &Map<String, Value>) -> Result<(), Failure> {
    let fields: Vec<&str> = update.keys().map(String::as_str).collect();
    if fields.is_empty() {
        return Err(Failure::invalid("Must specify a field to update."));
    }
    let together = TOGETHER.iter().any(|group| fields.iter().all(|field| group.contains(field)));
    if fields.len() > 1 && !together {
        return Err(Failure::invalid("Exactly one update can be applied to a cluster with each request."));
    }
    Ok(())
}

/// The pool an update of the cluster is about, and what changes in it.
fn pool_update(cluster: &Cluster, update: &Map<String, Value>) -> Result<Option<(String, Change)>, Failure> {
    let wanted = update.get("desiredNodePoolId").and_then(Value::as_str);
    let change = if let Some(autoscaling) = update.get("desiredNodePoolAutoscaling") {
        autoscaling_change(Some(autoscaling))
    } else if let Some(version) = update.get("desiredNodeVersion").and_then(Value::as_str) {
        let master = cluster.master_version.clone();
        let version = if version == "-" { master } else { versions::resolve(version, "", "Node")? };
        Change::new("version", json!(version))
    } else if let Some(image) = update.get("desiredImageType") {
        Change::new("config.imageType", image.clone())
    } else {
        return Ok(None);
    };
    let pool = match (wanted, cluster.pools.as_slice()) {
        (Some(name), _) => find_pool(cluster, name)?.name.clone(),
        (None, [only]) => only.name.clone(),
        (None, _) => {
            return Err(Failure::invalid(
                "desired_node_pool_id must be specified if there is more than one node pool.",
            ));
        }
    };
    Ok(Some((pool, change)))
}

/// What one field of `ClusterUpdate` changes.
fn cluster_changes(cluster: &Cluster, field: &str, value: Value) -> Result<Vec<Change>, Failure> {
    if let Some(changes) = access::update(&cluster.spec, field, &value) {
        return Ok(changes);
    }
    Ok(match field {
        "desiredLoggingService" => services(cluster, "logging", &value),
        "desiredMonitoringService" => services(cluster, "monitoring", &value),
        "desiredLoggingConfig" => {
            let on = value.pointer("/componentConfig/enableComponents").is_some();
            let service = if on { "logging.googleapis.com/kubernetes" } else { "none" };
            vec![Change::new("loggingConfig", value), Change::new("loggingService", json!(service))]
        }
        "desiredLocations" => {
            let zones = strings(Some(&value));
            match zones.iter().find(|zone| !cluster.place.holds(zone)) {
                Some(stranger) => {
                    return Err(Failure::invalid(format!(
                        "Location \"{stranger}\" is not a zone of the cluster's region."
                    )));
                }
                None if zones.is_empty() => return Err(Failure::invalid("Locations must not be empty.")),
                None => vec![Change::new("locations", value)],
            }
        }
        "desiredMasterVersion" => {
            let channel = cluster.spec.get("releaseChannel").and_then(|channel| channel.get("channel"));
            let channel = channel.and_then(Value::as_str).unwrap_or_default();
            let version = versions::resolve(value.as_str().unwrap_or_default(), channel, "Master")?;
            let minor = |version: &str| versions::numbers(version).into_iter().take(2).collect::<Vec<u64>>();
            if minor(&version) < minor(&cluster.master_version) {
                return Err(Failure::invalid(format!(
                    "Master cannot be upgraded to \"{version}\": cannot downgrade the minor version."
                )));
            }
            vec![Change::new("currentMasterVersion", json!(version))]
        }
        "desiredIntraNodeVisibilityConfig" | "desiredL4ilbSubsettingConfig" => {
            let enabled = value.get("enabled").cloned().unwrap_or(Value::Null);
            vec![Change::new(elsewhere(field).unwrap_or_default(), enabled)]
        }
        // Only what an update names changes in these.
        "desiredAddonsConfig" | "desiredClusterAutoscaling" | "desiredMonitoringConfig" => {
            let own = own_name(field);
            let path = elsewhere(field).map_or(own.as_str(), |path| path);
            let fields = value.as_object().cloned().unwrap_or_default();
            fields.into_iter().map(|(name, value)| Change::new(&format!("{path}.{name}"), value)).collect()
        }
        _ => match elsewhere(field) {
            Some(path) => vec![Change::new(path, compact(path, value))],
            None => {
                let path = own_name(field);
                if !Api::Container.has_field("Cluster", &path) {
                    return Err(Failure::new(
                        Code::Unimplemented,
                        format!("Field \"{field}\" of a cluster cannot be updated in the embedded cloud."),
                    ));
                }
                let present = cluster.spec.get(&path).cloned().unwrap_or_default();
                let value = Api::Container.merge("ClusterUpdate", field, &present, value);
                vec![Change::new(&path, compact(&path, value))]
            }
        },
    })
}

fn elsewhere(field: &str) -> Option<&'static str> {
    ELSEWHERE.iter().find(|(name, _)| *name == field).map(|(_, path)| *path)
}

/// `desiredReleaseChannel` is `releaseChannel`.
fn own_name(field: &str) -> String {
    let name = field.strip_prefix("desired").unwrap_or(field);
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// A value as it is answered: without proto3 defaults.
fn compact(path: &str, value: Value) -> Value {
    let name = path.split('.').next().unwrap_or(path);
    if name != path {
        return value;
    }
    let mut whole = json!({ name: value });
    Api::Container.drop_defaults("Cluster", &mut whole);
    whole.get(name).cloned().unwrap_or_default()
}

/// A service of logging or monitoring, with the configuration it stands for.
fn services(cluster: &Cluster, what: &str, service: &Value) -> Vec<Change> {
    let off = service == "none";
    let config = match (what, off) {
        ("logging", true) => json!({ "componentConfig": {} }),
        ("logging", false) => defaults::logging(),
        (_, true) => defaults::monitoring_none(),
        (_, false) => defaults::monitoring(),
    };
    let component = config.get("componentConfig").cloned().unwrap_or_default();
    let mut changes = vec![
        Change::new(&format!("{what}Service"), service.clone()),
        Change::new(&format!("{what}Config.componentConfig"), component),
    ];
    if what == "logging" && cluster.spec.contains_key("clusterTelemetry") {
        let telemetry = if off { "DISABLED" } else { "ENABLED" };
        changes.push(Change::new("clusterTelemetry.type", json!(telemetry)));
    }
    changes
}
