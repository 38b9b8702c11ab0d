use super::{Api, camel_case, snake_case};
use crate::rest::Version;
use serde_json::json;

#[test]
fn tables_are_readable() {
    assert!(Api::Container.table().messages.contains_key("Cluster"));
    assert!(Api::Filestore.table().messages.contains_key("Instance"));
    assert_eq!(Api::Container.table().enums["Cluster.Status"]["RUNNING"], Some(2));
}

#[test]
fn names_change_case() {
    assert_eq!(camel_case("initial_node_count"), "initialNodeCount");
    assert_eq!(snake_case("initialNodeCount"), "initial_node_count");
    assert_eq!(camel_case("enableK8sTokensViaDns"), "enableK8sTokensViaDns");
}

#[test]
fn canonical_form() {
    let body = json!({"cluster": {"initial_node_count": "3", "releaseChannel": {"channel": 2}, "description": null,
        "nodePools": [{"config": {"bootDisk": {"sizeGb": 20}}}], "resourceLabels": {"a": "b"}}});
    let read = Api::Container.accept(Version::V1, "CreateClusterRequest", "", &body).unwrap();
    assert_eq!(
        read,
        json!({"cluster": {"initialNodeCount": 3, "releaseChannel": {"channel": "REGULAR"},
            "nodePools": [{"config": {"bootDisk": {"sizeGb": "20"}}}], "resourceLabels": {"a": "b"}}})
    );
}

#[test]
fn everything_wrong_is_told_at_once() {
    let body = json!({"nope": 1, "cluster": {"x": 1, "initialNodeCount": "many", "nodePools": [{"y": 2}],
        "releaseChannel": {"channel": "FASTEST"}, "clusterTelemetry": {}}});
    let failure = Api::Container.accept(Version::V1, "CreateClusterRequest", "", &body).unwrap_err();
    let lines: Vec<&str> = failure.message.lines().collect();
    assert_eq!(
        lines,
        [
            r#"Invalid JSON payload received. Unknown name "nope": Cannot find field."#,
            r#"Invalid JSON payload received. Unknown name "x" at 'cluster': Cannot find field."#,
            r#"Invalid value at 'cluster.initial_node_count' (TYPE_INT32), "many""#,
            r#"Invalid JSON payload received. Unknown name "y" at 'cluster.node_pools[0]': Cannot find field."#,
            "Invalid value at 'cluster.release_channel.channel' \
             (type.googleapis.com/google.container.v1.ReleaseChannel.Channel), \"FASTEST\"",
            r#"Invalid JSON payload received. Unknown name "clusterTelemetry" at 'cluster': Cannot find field."#,
        ]
    );
    assert_eq!(failure.details[0]["fieldViolations"][1]["field"], "cluster");
    assert!(Api::Container.accept(Version::V1, "CreateClusterRequest", "", &json!([])).is_err());
}

#[test]
fn defaults_without_presence_are_dropped() {
    let mut cluster = json!({"autopilot": {"enabled": false}, "description": "", "locations": [],
        "podAutoscaling": {"hpaProfile": "HPA_PROFILE_UNSPECIFIED"},
        "releaseChannel": {"channel": "UNSPECIFIED"},
        "controlPlaneEndpointsConfig": {"dnsEndpointConfig": {"allowExternalTraffic": false}}});
    Api::Container.drop_defaults("Cluster", &mut cluster);
    assert_eq!(
        cluster,
        json!({"autopilot": {}, "podAutoscaling": {"hpaProfile": "HPA_PROFILE_UNSPECIFIED"}, "releaseChannel": {},
            "controlPlaneEndpointsConfig": {"dnsEndpointConfig": {"allowExternalTraffic": false}}})
    );
}

#[test]
fn defaults_go_under_what_was_given() {
    let mut given = json!({"shieldedNodes": {}, "monitoringConfig": {"managedPrometheusConfig": {}},
        "resourceLabels": {"a": "b"}, "controlPlaneEndpointsConfig": {"ipEndpointsConfig": {}}});
    let defaults = json!({"shieldedNodes": {"enabled": true}, "resourceLabels": {"a": "c", "d": "e"},
        "monitoringConfig": {"managedPrometheusConfig": {"enabled": true}, "componentConfig": {}},
        "controlPlaneEndpointsConfig": {"ipEndpointsConfig": {"enabled": true}}, "privateCluster": true});
    Api::Container.fill("Cluster", given.as_object_mut().unwrap(), defaults);
    assert_eq!(
        given,
        json!({"shieldedNodes": {}, "monitoringConfig": {"managedPrometheusConfig": {}, "componentConfig": {}},
            "resourceLabels": {"a": "b", "d": "e"},
            "controlPlaneEndpointsConfig": {"ipEndpointsConfig": {"enabled": true}}, "privateCluster": true})
    );
}

#[test]
fn answers_by_version_and_encoding() {
    let cluster = json!({"status": "RUNNING", "master": {}, "nodePools": [{"status": "PROVISIONING"}],
        "loggingConfig": {"componentConfig": {"enableComponents": ["SYSTEM_COMPONENTS", "KCP_VPA"]}}});
    let answer = |version, numbers| Api::Container.answer(version, "Cluster", numbers, cluster.clone());
    assert_eq!(answer(Version::V1Beta1, false), cluster);
    assert_eq!(
        answer(Version::V1, true),
        json!({"status": 2, "nodePools": [{"status": 1}],
            "loggingConfig": {"componentConfig": {"enableComponents": [1, "KCP_VPA"]}}})
    );
}
