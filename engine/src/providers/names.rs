//! Names for enums. The clients ask for numbers (`enum-encoding=int`), write numbers, and know the names; documents
//! have names, as the REST reference and the templates do.

use serde_json::Value;

/// The name of an enum's number; `None` for one that this client does not know yet.
type Namer = fn(i32) -> Option<String>;

/// An enum field: the end of its path, without list indices, and its enum. `$` stands for the document's root.
pub(super) type Table = [(&'static [&'static str], Namer)];

/// Replaces the numbers of the table's fields by names; what is unknown stays a number.
pub(super) fn with_names(mut document: Value, table: &Table) -> Value {
    let mut path = vec!["$".to_owned()];
    name_within(&mut document, &mut path, table);
    document
}

fn name_within(value: &mut Value, path: &mut Vec<String>, table: &Table) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                path.push(key.clone());
                name_within(value, path, table);
                path.pop();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| name_within(item, path, table)),
        Value::Number(number) => {
            let namer = table.iter().find(|(end, _)| ends_with(path, end)).map(|(_, namer)| namer);
            let number = number.as_i64().and_then(|number| i32::try_from(number).ok());
            if let Some(name) = namer.zip(number).and_then(|(namer, number)| namer(number)) {
                *value = Value::String(name);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn ends_with(path: &[String], end: &[&str]) -> bool {
    path.len() >= end.len() && path.iter().rev().zip(end.iter().rev()).all(|(own, wanted)| own == wanted)
}

macro_rules! table {
    ($($($key:literal).+ => $kind:path,)+) => {
        &[$((&[$($key),+], |number| <$kind>::from(number).name().map(str::to_owned))),+]
    };
}

/// Every enum of a GKE cluster and its node pools.
#[expect(deprecated, reason = "old clusters still answer with the deprecated fields")]
pub(super) fn cluster() -> &'static Table {
    use google_cloud_container_v1::model as of;
    table! {
        "$"."networkConfig"."networkPerformanceConfig"."totalEgressBandwidthTier" => of::network_config::cluster_network_performance_config::Tier,
        "$"."status" => of::cluster::Status,
        "additionalIpRangesConfigs"."status" => of::additional_ip_ranges_config::Status,
        "advancedDatapathObservabilityConfig"."relayMode" => of::advanced_datapath_observability_config::RelayMode,
        "advancedMachineFeatures"."performanceMonitoringUnit" => of::advanced_machine_features::PerformanceMonitoringUnit,
        "anonymousAuthenticationConfig"."mode" => of::anonymous_authentication_config::Mode,
        "autoMonitoringConfig"."scope" => of::auto_monitoring_config::Scope,
        "autoscaling"."autoscalingProfile" => of::cluster_autoscaling::AutoscalingProfile,
        "autoscaling"."locationPolicy" => of::node_pool_autoscaling::LocationPolicy,
        "binaryAuthorization"."evaluationMode" => of::binary_authorization::EvaluationMode,
        "blueGreenInfo"."phase" => of::node_pool::update_info::blue_green_info::Phase,
        "cloudRunConfig"."loadBalancerType" => of::cloud_run_config::LoadBalancerType,
        "compliancePostureConfig"."mode" => of::compliance_posture_config::Mode,
        "conditions"."code" => of::status_condition::Code,
        "confidentialNodes"."confidentialInstanceType" => of::confidential_nodes::ConfidentialInstanceType,
        "config"."effectiveCgroupMode" => of::node_config::EffectiveCgroupMode,
        "config"."localSsdEncryptionMode" => of::node_config::LocalSsdEncryptionMode,
        "controlPlaneEgress"."mode" => of::control_plane_egress::Mode,
        "databaseEncryption"."currentState" => of::database_encryption::CurrentState,
        "databaseEncryption"."state" => of::database_encryption::State,
        "dataplaneV2Config"."scalabilityMode" => of::dataplane_v_2_config::ScalabilityMode,
        "dnsConfig"."clusterDns" => of::dns_config::Provider,
        "dnsConfig"."clusterDnsScope" => of::dns_config::DNSScope,
        "enterpriseConfig"."clusterTier" => of::enterprise_config::ClusterTier,
        "enterpriseConfig"."desiredTier" => of::enterprise_config::ClusterTier,
        "filter"."eventType" => of::notification_config::EventType,
        "fleet"."membershipType" => of::fleet::MembershipType,
        "gatewayApiConfig"."channel" => of::gateway_api_config::Channel,
        "gkeAutoUpgradeConfig"."patchMode" => of::gke_auto_upgrade_config::PatchMode,
        "gpuDirectConfig"."gpuDirectStrategy" => of::gpu_direct_config::GPUDirectStrategy,
        "gpuDriverInstallationConfig"."gpuDriverVersion" => of::gpu_driver_installation_config::GPUDriverVersion,
        "gpuSharingConfig"."gpuSharingStrategy" => of::gpu_sharing_config::GPUSharingStrategy,
        "hosts"."capabilities" => of::containerd_config::registry_host_config::HostCapability,
        "ipAllocationPolicy"."ipv6AccessType" => of::IPv6AccessType,
        "ipAllocationPolicy"."stackType" => of::StackType,
        "linuxNodeConfig"."cgroupMode" => of::linux_node_config::CgroupMode,
        "linuxNodeConfig"."transparentHugepageDefrag" => of::linux_node_config::TransparentHugepageDefrag,
        "linuxNodeConfig"."transparentHugepageEnabled" => of::linux_node_config::TransparentHugepageEnabled,
        "loggingConfig"."componentConfig"."enableComponents" => of::logging_component_config::Component,
        "managedOpentelemetryConfig"."scope" => of::managed_open_telemetry_config::Scope,
        "monitoringConfig"."componentConfig"."enableComponents" => of::monitoring_component_config::Component,
        "networkConfig"."datapathProvider" => of::DatapathProvider,
        "networkConfig"."inTransitEncryptionConfig" => of::InTransitEncryptionConfig,
        "networkConfig"."privateIpv6GoogleAccess" => of::PrivateIPv6GoogleAccess,
        "networkPolicy"."provider" => of::network_policy::Provider,
        "networkTierConfig"."networkTier" => of::network_tier_config::NetworkTier,
        "nodeAffinities"."operator" => of::sole_tenant_config::node_affinity::Operator,
        "nodeConfig"."effectiveCgroupMode" => of::node_config::EffectiveCgroupMode,
        "nodeConfig"."localSsdEncryptionMode" => of::node_config::LocalSsdEncryptionMode,
        "nodeCreationConfig"."nodeCreationMode" => of::node_creation_config::Mode,
        "nodeKernelModuleLoading"."policy" => of::linux_node_config::node_kernel_module_loading::Policy,
        "nodePools"."networkConfig"."networkPerformanceConfig"."totalEgressBandwidthTier" => of::node_network_config::network_performance_config::Tier,
        "nodePools"."status" => of::node_pool::Status,
        "placementPolicy"."type" => of::node_pool::placement_policy::Type,
        "podAutoscaling"."hpaProfile" => of::pod_autoscaling::HPAProfile,
        "releaseChannel"."channel" => of::release_channel::Channel,
        "reservationAffinity"."consumeReservationType" => of::reservation_affinity::Type,
        "sandboxConfig"."type" => of::sandbox_config::Type,
        "secondaryBootDisks"."mode" => of::secondary_boot_disk::Mode,
        "securityPostureConfig"."mode" => of::security_posture_config::Mode,
        "securityPostureConfig"."vulnerabilityMode" => of::security_posture_config::VulnerabilityMode,
        "taintConfig"."architectureTaintBehavior" => of::taint_config::ArchitectureTaintBehavior,
        "taints"."effect" => of::node_taint::Effect,
        "upgradeSettings"."strategy" => of::NodePoolUpdateStrategy,
        "variantConfig"."variant" => of::logging_variant_config::Variant,
        "windowsNodeConfig"."osVersion" => of::windows_node_config::OSVersion,
        "workloadMetadataConfig"."mode" => of::workload_metadata_config::Mode,
    }
}

/// Every enum of a Filestore instance.
pub(super) fn filestore() -> &'static Table {
    use google_cloud_filestore_v1::model as of;
    table! {
        "$"."protocol" => of::instance::FileProtocol,
        "$"."state" => of::instance::State,
        "$"."suspensionReasons" => of::instance::SuspensionReason,
        "$"."tier" => of::instance::Tier,
        "networks"."connectMode" => of::network_config::ConnectMode,
        "networks"."modes" => of::network_config::AddressMode,
        "nfsExportOptions"."accessMode" => of::nfs_export_options::AccessMode,
        "nfsExportOptions"."squashMode" => of::nfs_export_options::SquashMode,
        "replicas"."state" => of::replica_config::State,
        "replicas"."stateReasons" => of::replica_config::StateReason,
        "replication"."role" => of::replication::Role,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use google_cloud_container_v1::model::Cluster;
    use serde_json::json;

    #[test]
    fn a_captured_cluster_keeps_its_names() {
        let captured: Value =
            serde_json::from_str(include_str!("../../tests/fixtures/cluster.json")).unwrap();
        let typed: Cluster = serde_json::from_value(captured.clone()).unwrap();
        let numbers = serde_json::to_value(&typed).unwrap();
        assert_eq!(numbers["status"], 2);
        let named = with_names(numbers, cluster());
        assert_eq!(enums(&named), enums(&captured));
        assert_eq!(enums(&named)["$.nodePools.upgradeSettings.strategy"], json!("SURGE"));
    }

    /// Every text in capitals, by its path: the enums of a document.
    fn enums(document: &Value) -> std::collections::BTreeMap<String, Value> {
        let mut found = std::collections::BTreeMap::new();
        collect(document, "$".to_owned(), &mut found);
        found
    }

    fn collect(value: &Value, path: String, found: &mut std::collections::BTreeMap<String, Value>) {
        match value {
            Value::Object(map) => {
                map.iter().for_each(|(key, value)| collect(value, format!("{path}.{key}"), found));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, path.clone(), found)),
            Value::String(text)
                if text.len() > 2 && text.chars().all(|c| c.is_ascii_uppercase() || c == '_') =>
            {
                found.insert(path, value.clone());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn a_number_that_is_not_known_stays() {
        let document =
            with_names(json!({"status": 77, "nodePools": [{"status": -1}, 3], "other": 1}), cluster());
        assert_eq!(document, json!({"status": 77, "nodePools": [{"status": -1}, 3], "other": 1}));
    }
}
