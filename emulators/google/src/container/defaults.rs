//! What the service adds to what a client sends, as captured from the real one in 2026.

use super::access;
use super::model::fill;
use super::places::hyperdisk_only;
use crate::rest::Failure;
use crate::schema::Api;
use serde_json::{Map, Value, json};

/// Scopes of node service accounts that name none.
pub(super) const SCOPES: &[&str] = &[
    "https://www.googleapis.com/auth/devstorage.read_only",
    "https://www.googleapis.com/auth/logging.write",
    "https://www.googleapis.com/auth/monitoring",
    "https://www.googleapis.com/auth/service.management.readonly",
    "https://www.googleapis.com/auth/servicecontrol",
    "https://www.googleapis.com/auth/trace.append",
];

/// What monitoring collects unless told otherwise.
const MONITORED: &[&str] = &[
    "SYSTEM_COMPONENTS",
    "DEPLOYMENT",
    "STATEFULSET",
    "JOBSET",
    "STORAGE",
    "HPA",
    "POD",
    "DAEMONSET",
    "CADVISOR",
    "KUBELET",
    "DCGM",
];

/// Logging of a cluster that sends its logs.
pub(super) fn logging() -> Value {
    json!({ "componentConfig": { "enableComponents": ["SYSTEM_COMPONENTS", "WORKLOADS"] } })
}

/// Monitoring of a cluster that sends its metrics.
pub(super) fn monitoring() -> Value {
    json!({ "componentConfig": { "enableComponents": MONITORED } })
}

/// Monitoring of a cluster whose `monitoringService` is `none`: what cannot be switched off.
pub(super) fn monitoring_none() -> Value {
    json!({ "componentConfig": { "enableComponents": ["APISERVER", "SCHEDULER", "CONTROLLER_MANAGER"] } })
}

/// Completes the fields of a cluster that do not depend on where it is.
pub(super) fn cluster(spec: &mut Map<String, Value>) {
    access::at_creation(spec);
    services(spec);
    autoscaling(spec);
    // A channel that was given and is empty is the wish for none.
    spec.entry("releaseChannel").or_insert_with(|| json!({ "channel": "REGULAR" }));
    Api::Container.fill(
        "Cluster",
        spec,
        json!({
            "addonsConfig": {
                "dnsCacheConfig": { "enabled": true },
                "gcePersistentDiskCsiDriverConfig": { "enabled": true },
                "kubernetesDashboard": { "disabled": true },
                "networkPolicyConfig": { "disabled": true },
            },
            "anonymousAuthenticationConfig": { "mode": "LIMITED" },
            "autopilot": {},
            "binaryAuthorization": {},
            "controlPlaneEgress": { "mode": "VIA_CONTROL_PLANE" },
            "databaseEncryption": { "currentState": "CURRENT_STATE_DECRYPTED", "state": "DECRYPTED" },
            "defaultMaxPodsConstraint": { "maxPodsPerNode": "110" },
            "enterpriseConfig": { "clusterTier": "STANDARD" },
            "legacyAbac": {},
            "master": {},
            "monitoringConfig": {
                "advancedDatapathObservabilityConfig": {},
                "managedPrometheusConfig": { "enabled": true },
            },
            "networkConfig": { "defaultSnatStatus": {}, "serviceExternalIpsConfig": {} },
            "nodePoolAutoConfig": { "nodeKubeletConfig": { "insecureKubeletReadonlyPortEnabled": false } },
            "nodePoolDefaults": { "nodeConfigDefaults": {
                "loggingConfig": { "variantConfig": { "variant": "DEFAULT" } },
                "nodeKubeletConfig": { "insecureKubeletReadonlyPortEnabled": false },
            } },
            "notificationConfig": { "pubsub": {} },
            "podAutoscaling": { "hpaProfile": "PERFORMANCE" },
            "privateCluster": true,
            "privateClusterConfig": {},
            "protectConfig": {
                "workloadConfig": { "auditMode": "BASIC" },
                "workloadVulnerabilityMode": "WORKLOAD_VULNERABILITY_MODE_UNSPECIFIED",
            },
            "rbacBindingConfig": {
                "enableInsecureBindingSystemAuthenticated": true,
                "enableInsecureBindingSystemUnauthenticated": true,
            },
            "securityPostureConfig": { "mode": "BASIC", "vulnerabilityMode": "VULNERABILITY_MODE_UNSPECIFIED" },
            "shieldedNodes": { "enabled": true },
            "userManagedKeysConfig": {},
        }),
    );
}

/// Brings `loggingService` and `loggingConfig`, and the pair of monitoring, in line; the services win when given alone.
pub(super) fn services(spec: &mut Map<String, Value>) {
    let none = |spec: &Map<String, Value>, name: &str| spec.get(name).and_then(Value::as_str) == Some("none");
    let logging_config =
        if none(spec, "loggingService") { json!({ "componentConfig": {} }) } else { logging() };
    let monitoring_config = if none(spec, "monitoringService") { monitoring_none() } else { monitoring() };
    if !spec.contains_key("loggingConfig") {
        fill(spec, json!({ "loggingConfig": logging_config }));
    }
    let collects = |spec: &Map<String, Value>| {
        spec.get("monitoringConfig").is_some_and(|config| config.get("componentConfig").is_some())
    };
    if !collects(spec) {
        fill(spec, json!({ "monitoringConfig": monitoring_config }));
    }
    let off = spec
        .get("loggingConfig")
        .and_then(|config| config.pointer("/componentConfig/enableComponents"))
        .is_none();
    let telemetry = if off { "DISABLED" } else { "ENABLED" };
    let logging_service = if off { "none" } else { "logging.googleapis.com/kubernetes" };
    fill(
        spec,
        json!({
            "clusterTelemetry": { "type": telemetry },
            "loggingService": logging_service,
            "monitoringService": "monitoring.googleapis.com/kubernetes",
        }),
    );
}

fn autoscaling(spec: &mut Map<String, Value>) {
    let provisioning = spec
        .get("autoscaling")
        .and_then(|config| config.get("enableNodeAutoprovisioning"))
        .is_some_and(|enabled| enabled == true);
    let defaults = if provisioning {
        json!({
            "oauthScopes": [
                "https://www.googleapis.com/auth/userinfo.email", "https://www.googleapis.com/auth/cloud-platform",
            ],
            "upgradeSettings": { "strategy": "SURGE" },
        })
    } else {
        json!({ "oauthScopes": SCOPES })
    };
    let mut pool_defaults = json!({
        "imageType": "COS_CONTAINERD",
        "management": { "autoRepair": true, "autoUpgrade": true },
        "serviceAccount": "default",
    });
    if let Value::Object(pool_defaults) = &mut pool_defaults {
        fill(pool_defaults, defaults);
    }
    fill(
        spec,
        json!({ "autoscaling": { "autoprovisioningNodePoolDefaults": pool_defaults, "autoscalingProfile": "BALANCED" } }),
    );
    let given =
        spec.get_mut("autoscaling").and_then(|config| config.get_mut("autoprovisioningNodePoolDefaults"));
    // `automatic` is what the service chooses anyway; it does not give it back.
    if let Some(Value::Object(given)) = given
        && given.get("minCpuPlatform").is_some_and(|platform| platform == "automatic")
    {
        given.remove("minCpuPlatform");
    }
}

/// Completes the configuration of nodes.
pub(super) fn node_config(config: &mut Map<String, Value>) {
    let machine_type = config.get("machineType").and_then(Value::as_str).unwrap_or("e2-medium").to_owned();
    let model =
        ["spot", "preemptible"].into_iter().find(|model| config.get(*model).is_some_and(|on| on == true));
    let boot = config.get("bootDisk").cloned().unwrap_or_default();
    let disk_type =
        [config.get("diskType"), boot.get("diskType")].into_iter().flatten().find_map(Value::as_str);
    let default_type = if hyperdisk_only(&machine_type) { "hyperdisk-balanced" } else { "pd-balanced" };
    let disk_type = disk_type.unwrap_or(default_type).to_owned();
    let twin_size = boot.get("sizeGb").and_then(Value::as_str).and_then(|size| size.parse::<i64>().ok());
    let size = config.get("diskSizeGb").and_then(Value::as_i64).or(twin_size).unwrap_or(100);
    Api::Container.fill(
        "NodeConfig",
        config,
        json!({
            "bootDisk": { "diskType": disk_type, "sizeGb": size.to_string() },
            "diskSizeGb": size,
            "diskType": disk_type,
            "effectiveCgroupMode": "EFFECTIVE_CGROUP_MODE_V2",
            "imageType": "COS_CONTAINERD",
            "kubeletConfig": { "insecureKubeletReadonlyPortEnabled": false, "maxParallelImagePulls": 2 },
            "machineType": machine_type,
            "metadata": { "disable-legacy-endpoints": "true" },
            "oauthScopes": SCOPES,
            "resourceLabels": { "goog-gke-node-pool-provisioning-model": model.unwrap_or("on-demand") },
            "serviceAccount": "default",
            "shieldedInstanceConfig": { "enableIntegrityMonitoring": true },
            "windowsNodeConfig": {},
        }),
    );
}

/// Completes a node pool; its configuration included.
pub(super) fn pool(spec: &mut Map<String, Value>) {
    if let Some(Value::Object(autoscaling)) = spec.get_mut("autoscaling") {
        if autoscaling.get("enabled").is_some_and(|on| on == true) {
            fill(autoscaling, json!({ "locationPolicy": "BALANCED" }));
        } else {
            spec.remove("autoscaling");
        }
    }
    Api::Container.fill(
        "NodePool",
        spec,
        json!({
            "config": {},
            "management": { "autoRepair": true, "autoUpgrade": true },
            "maxPodsConstraint": { "maxPodsPerNode": "110" },
            "networkConfig": { "networkTierConfig": { "networkTier": "NETWORK_TIER_DEFAULT" } },
            "podIpv4CidrSize": 24,
            "upgradeSettings": { "strategy": "SURGE" },
        }),
    );
    if let Some(Value::Object(settings)) = spec.get_mut("upgradeSettings") {
        let surges = settings.get("strategy").is_some_and(|strategy| strategy == "SURGE");
        if surges && !settings.contains_key("maxUnavailable") {
            fill(settings, json!({ "maxSurge": 1 }));
        }
    }
    if let Some(Value::Object(config)) = spec.get_mut("config") {
        node_config(config);
    }
}

/// # Errors
/// 400 when nodes would not be upgraded or repaired although a release channel is set.
pub(super) fn check_management(management: Option<&Value>, channel: &str) -> Result<(), Failure> {
    let off =
        |field: &str| management.is_some_and(|management| management.get(field).is_none_or(|on| on == false));
    let what = match (off("autoUpgrade"), off("autoRepair")) {
        (false, false) => return Ok(()),
        _ if matches!(channel, "" | "UNSPECIFIED") => return Ok(()),
        (true, true) => "Auto_upgrade and auto_repair",
        (true, false) => "Auto_upgrade",
        (false, true) => "Auto_repair",
    };
    Err(Failure::invalid(format!("{what} cannot be false when release_channel {channel} is set.")))
}
