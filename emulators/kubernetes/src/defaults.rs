//! The values that the API server fills in.

use super::kind::Kind;
use super::tree::{default, int, items, name, put, text};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

/// Sets every default of an object.
pub(super) fn apply(kind: Kind, object: &mut Value) {
    match kind {
        Kind::Deployment => deployment(object),
        Kind::ReplicaSet => replica_set(object),
        Kind::DaemonSet => daemon_set(object),
        Kind::ReplicationController => replication_controller(object),
        Kind::StatefulSet => stateful_set(object),
        Kind::CronJob => cron_job(object),
        Kind::Job => job(object),
        Kind::PersistentVolumeClaim => claim(object, ""),
        Kind::Pod => {
            default(object, "/spec/enableServiceLinks", true);
            pod_spec(object, "/spec");
        }
        Kind::Service => service(object),
        Kind::Namespace => namespace(object),
        Kind::Secret => secret(object),
        Kind::NetworkPolicy => network_policy(object),
        Kind::RoleBinding => role_binding(object),
        Kind::ValidatingAdmissionPolicy => admission_policy(object),
        Kind::ValidatingAdmissionPolicyBinding => match_resources(object, "/spec/matchResources"),
        Kind::ConfigMap
        | Kind::Endpoints
        | Kind::Event
        | Kind::Node
        | Kind::ServiceAccount
        | Kind::PodDisruptionBudget
        | Kind::Role
        | Kind::EndpointSlice
        | Kind::Lease => {}
    }
}

/// Sets what a new object gets beside its defaults: from its kind's strategy, and from admission.
pub(super) fn on_create(kind: Kind, object: &mut Value) {
    match kind {
        Kind::Pod => pod_only(object),
        Kind::Namespace => default(object, "/status/phase", "Active"),
        Kind::Job => job_only(object),
        Kind::Deployment | Kind::CronJob | Kind::Node => default(object, "/status", json!({})),
        Kind::ReplicaSet | Kind::ReplicationController => default(object, "/status/replicas", 0),
        Kind::DaemonSet => {
            put(object, "/metadata/annotations/deprecated.daemonset.template.generation", "1");
            for count in
                ["currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"]
            {
                default(object, &format!("/status/{count}"), 0);
            }
        }
        Kind::StatefulSet => {
            default(object, "/status/replicas", 0);
            default(object, "/status/availableReplicas", 0);
        }
        Kind::PersistentVolumeClaim => {
            default(object, "/status/phase", "Pending");
            default(object, "/spec/storageClassName", super::claims::DEFAULT_CLASS);
            put(object, "/metadata/finalizers", json!([super::claims::PROTECTION]));
        }
        Kind::PodDisruptionBudget => {
            for count in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
                default(object, &format!("/status/{count}"), 0);
            }
        }
        Kind::ConfigMap
        | Kind::Endpoints
        | Kind::Event
        | Kind::Secret
        | Kind::Service
        | Kind::ServiceAccount
        | Kind::NetworkPolicy
        | Kind::Role
        | Kind::RoleBinding
        | Kind::EndpointSlice
        | Kind::Lease
        | Kind::ValidatingAdmissionPolicy
        | Kind::ValidatingAdmissionPolicyBinding => {}
    }
}

fn deployment(object: &mut Value) {
    default(object, "/spec/replicas", 1);
    default(object, "/spec/strategy/type", "RollingUpdate");
    if text(object, "/spec/strategy/type") == Some("RollingUpdate") {
        default(object, "/spec/strategy/rollingUpdate/maxUnavailable", "25%");
        default(object, "/spec/strategy/rollingUpdate/maxSurge", "25%");
    }
    default(object, "/spec/revisionHistoryLimit", 10);
    default(object, "/spec/progressDeadlineSeconds", 600);
    pod_spec(object, "/spec/template/spec");
}

fn replica_set(object: &mut Value) {
    default(object, "/spec/replicas", 1);
    if object.pointer("/spec/template").is_some() {
        pod_spec(object, "/spec/template/spec");
    }
}

fn daemon_set(object: &mut Value) {
    default(object, "/spec/updateStrategy/type", "RollingUpdate");
    if text(object, "/spec/updateStrategy/type") == Some("RollingUpdate") {
        default(object, "/spec/updateStrategy/rollingUpdate/maxUnavailable", 1);
        default(object, "/spec/updateStrategy/rollingUpdate/maxSurge", 0);
    }
    default(object, "/spec/revisionHistoryLimit", 10);
    pod_spec(object, "/spec/template/spec");
}

fn replication_controller(object: &mut Value) {
    default(object, "/spec/replicas", 1);
    if let Some(labels) = object.pointer("/spec/template/metadata/labels").cloned() {
        default(object, "/spec/selector", labels.clone());
        default(object, "/metadata/labels", labels);
    }
    pod_spec(object, "/spec/template/spec");
}

fn stateful_set(object: &mut Value) {
    default(object, "/spec/replicas", 1);
    default(object, "/spec/podManagementPolicy", "OrderedReady");
    default(object, "/spec/updateStrategy/type", "RollingUpdate");
    if text(object, "/spec/updateStrategy/type") == Some("RollingUpdate") {
        default(object, "/spec/updateStrategy/rollingUpdate/partition", 0);
    }
    default(object, "/spec/revisionHistoryLimit", 10);
    default(object, "/spec/persistentVolumeClaimRetentionPolicy/whenDeleted", "Retain");
    default(object, "/spec/persistentVolumeClaimRetentionPolicy/whenScaled", "Retain");
    for index in 0..items(object, "/spec/volumeClaimTemplates").len() {
        let at = format!("/spec/volumeClaimTemplates/{index}");
        put(object, &format!("{at}/apiVersion"), "v1");
        put(object, &format!("{at}/kind"), "PersistentVolumeClaim");
        claim(object, &at);
        default(object, &format!("{at}/status/phase"), "Pending");
    }
    pod_spec(object, "/spec/template/spec");
}

fn cron_job(object: &mut Value) {
    default(object, "/spec/concurrencyPolicy", "Allow");
    default(object, "/spec/suspend", false);
    default(object, "/spec/successfulJobsHistoryLimit", 3);
    default(object, "/spec/failedJobsHistoryLimit", 1);
    default(object, "/spec/jobTemplate/metadata", json!({}));
    pod_spec(object, "/spec/jobTemplate/spec/template/spec");
}

fn job(object: &mut Value) {
    if object.pointer("/spec/parallelism").is_none() {
        default(object, "/spec/completions", 1);
    }
    for (key, value) in [("parallelism", 1), ("backoffLimit", 6)] {
        default(object, &format!("/spec/{key}"), value);
    }
    for key in ["manualSelector", "suspend"] {
        default(object, &format!("/spec/{key}"), false);
    }
    default(object, "/spec/completionMode", "NonIndexed");
    default(object, "/spec/podReplacementPolicy", "TerminatingOrFailed");
    if let Some(labels) = object.pointer("/spec/template/metadata/labels").cloned() {
        default(object, "/metadata/labels", labels);
    }
    pod_spec(object, "/spec/template/spec");
}

/// How a Job finds its pods. Labels that it has from its template are the same map there, and grow with it.
fn job_only(object: &mut Value) {
    let labels = |at: &str| object.pointer(at).filter(|labels| labels.is_object());
    let (own, template) = ("/metadata/labels", "/spec/template/metadata/labels");
    let shared = labels(own).is_some() && labels(own) == labels(template);
    let places: &[&str] = if shared { &[own, template] } else { &[template] };
    let uid = super::tree::uid(object).to_owned();
    let name = name(object).to_owned();
    put(object, "/spec/selector/matchLabels/batch.kubernetes.io~1controller-uid", uid.clone());
    for (key, value) in [("controller-uid", uid), ("job-name", name)] {
        for (place, prefix) in places.iter().flat_map(|place| [(place, "batch.kubernetes.io~1"), (place, "")])
        {
            put(object, &format!("{place}/{prefix}{key}"), value.clone());
        }
    }
    default(object, "/status", json!({}));
}

fn role_binding(object: &mut Value) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    default(object, "/roleRef/apiGroup", GROUP);
    for index in 0..items(object, "/subjects").len() {
        let at = format!("/subjects/{index}");
        if matches!(text(object, &format!("{at}/kind")), Some("User" | "Group")) {
            default(object, &format!("{at}/apiGroup"), GROUP);
        }
    }
}

fn claim(object: &mut Value, at: &str) {
    default(object, &format!("{at}/spec/volumeMode"), "Filesystem");
}

fn pod_spec(object: &mut Value, at: &str) {
    for list in ["initContainers", "containers"] {
        for index in 0..items(object, &format!("{at}/{list}")).len() {
            container(object, &format!("{at}/{list}/{index}"));
        }
    }
    for index in 0..items(object, &format!("{at}/volumes")).len() {
        volume(object, &format!("{at}/volumes/{index}"));
    }
    default(object, &format!("{at}/restartPolicy"), "Always");
    default(object, &format!("{at}/terminationGracePeriodSeconds"), 30);
    default(object, &format!("{at}/dnsPolicy"), "ClusterFirst");
    default(object, &format!("{at}/securityContext"), json!({}));
    default(object, &format!("{at}/schedulerName"), "default-scheduler");
    if let Some(account) = text(object, &format!("{at}/serviceAccountName")).map(str::to_owned) {
        default(object, &format!("{at}/serviceAccount"), account);
    } else if let Some(account) = text(object, &format!("{at}/serviceAccount")).map(str::to_owned) {
        default(object, &format!("{at}/serviceAccountName"), account);
    }
}

/// What admission and the API server add to pods but not to templates.
fn pod_only(object: &mut Value) {
    default(object, "/spec/serviceAccountName", "default");
    default(object, "/spec/serviceAccount", "default");
    default(object, "/spec/preemptionPolicy", "PreemptLowerPriority");
    default(object, "/spec/priority", 0);
    let tolerate = |key: &str| json!({"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300});
    if items(object, "/spec/tolerations").is_empty() {
        let both = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].map(tolerate);
        put(object, "/spec/tolerations", both.to_vec());
    }
    default(object, "/status/phase", "Pending");
    let class = quality(object);
    default(object, "/status/qosClass", class);
}

fn quality(object: &Value) -> &'static str {
    let containers = items(object, "/spec/containers");
    let has = |container: &Value, what: &str, unit: &str| {
        container.pointer(&format!("/resources/{what}/{unit}")).cloned()
    };
    let any = containers.iter().any(|container| {
        ["requests", "limits"]
            .iter()
            .any(|what| ["cpu", "memory"].iter().any(|unit| has(container, what, unit).is_some()))
    });
    let all = containers.iter().all(|container| {
        ["cpu", "memory"].iter().all(|unit| {
            let limit = has(container, "limits", unit);
            limit.is_some() && has(container, "requests", unit).is_none_or(|request| Some(request) == limit)
        })
    });
    match (any, all) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// The tag or digest part of an image name decides the pull policy.
fn pull_policy(image: &str) -> &'static str {
    let last = image.rsplit('/').next().unwrap_or(image);
    match last.split_once(':') {
        _ if image.contains('@') => "IfNotPresent",
        None | Some((_, "latest")) => "Always",
        Some(_) => "IfNotPresent",
    }
}

fn container(object: &mut Value, at: &str) {
    let policy = pull_policy(text(object, &format!("{at}/image")).unwrap_or_default());
    for index in 0..items(object, &format!("{at}/ports")).len() {
        default(object, &format!("{at}/ports/{index}/protocol"), "TCP");
    }
    for index in 0..items(object, &format!("{at}/env")).len() {
        let field = format!("{at}/env/{index}/valueFrom/fieldRef");
        if object.pointer(&field).is_some() {
            default(object, &format!("{field}/apiVersion"), "v1");
        }
    }
    for which in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if object.pointer(&format!("{at}/{which}")).is_some() {
            probe(object, &format!("{at}/{which}"));
        }
    }
    for hook in ["postStart", "preStop"] {
        http_get(object, &format!("{at}/lifecycle/{hook}/httpGet"));
    }
    requests_from_limits(object, at);
    default(object, &format!("{at}/resources"), json!({}));
    default(object, &format!("{at}/terminationMessagePath"), "/dev/termination-log");
    default(object, &format!("{at}/terminationMessagePolicy"), "File");
    default(object, &format!("{at}/imagePullPolicy"), policy);
}

/// A limit without a request is the request too.
fn requests_from_limits(object: &mut Value, at: &str) {
    let limits = object.pointer(&format!("{at}/resources/limits")).and_then(Value::as_object).cloned();
    for (unit, value) in limits.into_iter().flatten() {
        default(object, &format!("{at}/resources/requests/{}", super::tree::escape(&unit)), value);
    }
}

fn probe(object: &mut Value, at: &str) {
    for (key, value) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        let pointer = format!("{at}/{key}");
        if int(object, &pointer).unwrap_or(0) == 0 {
            put(object, &pointer, value);
        }
    }
    http_get(object, &format!("{at}/httpGet"));
    if object.pointer(&format!("{at}/grpc")).is_some() {
        default(object, &format!("{at}/grpc/service"), "");
    }
}

fn http_get(object: &mut Value, at: &str) {
    if object.pointer(at).is_some() {
        default(object, &format!("{at}/path"), "/");
        default(object, &format!("{at}/scheme"), "HTTP");
    }
}

fn volume(object: &mut Value, at: &str) {
    for source in ["configMap", "secret", "downwardAPI", "projected"] {
        if object.pointer(&format!("{at}/{source}")).is_some() {
            default(object, &format!("{at}/{source}/defaultMode"), 420);
        }
    }
    for index in 0..items(object, &format!("{at}/projected/sources")).len() {
        let token = format!("{at}/projected/sources/{index}/serviceAccountToken");
        if object.pointer(&token).is_some() {
            default(object, &format!("{token}/expirationSeconds"), 3600);
        }
    }
    if object.pointer(&format!("{at}/hostPath")).is_some() {
        default(object, &format!("{at}/hostPath/type"), "");
    }
    let sources = object.pointer(at).and_then(Value::as_object).map_or(0, serde_json::Map::len);
    if sources == 1 {
        put(object, &format!("{at}/emptyDir"), json!({}));
    }
}

fn service(object: &mut Value) {
    default(object, "/spec/sessionAffinity", "None");
    default(object, "/spec/type", "ClusterIP");
    if text(object, "/spec/sessionAffinity") == Some("ClientIP") {
        default(object, "/spec/sessionAffinityConfig/clientIP/timeoutSeconds", 10_800);
    }
    for index in 0..items(object, "/spec/ports").len() {
        let at = format!("/spec/ports/{index}");
        default(object, &format!("{at}/protocol"), "TCP");
        let port = object.pointer(&format!("{at}/port")).cloned().unwrap_or(Value::Null);
        default(object, &format!("{at}/targetPort"), port);
    }
    match text(object, "/spec/type") {
        Some("ExternalName") => {}
        Some(kind @ ("NodePort" | "LoadBalancer")) => {
            let balanced = kind == "LoadBalancer";
            default(object, "/spec/externalTrafficPolicy", "Cluster");
            default(object, "/spec/internalTrafficPolicy", "Cluster");
            if balanced {
                default(object, "/spec/allocateLoadBalancerNodePorts", true);
            }
        }
        Some(_) | None => default(object, "/spec/internalTrafficPolicy", "Cluster"),
    }
    default(object, "/status/loadBalancer", json!({}));
}

fn namespace(object: &mut Value) {
    let label = name(object).to_owned();
    put(object, "/metadata/labels/kubernetes.io~1metadata.name", label);
    default(object, "/spec", json!({}));
}

fn secret(object: &mut Value) {
    default(object, "/type", "Opaque");
    let plain = super::tree::remove(object, "/stringData");
    for (key, value) in plain.iter().filter_map(Value::as_object).flatten() {
        let encoded = BASE64_STANDARD.encode(value.as_str().unwrap_or_default().as_bytes());
        put(object, &format!("/data/{}", super::tree::escape(key)), encoded);
    }
}

fn network_policy(object: &mut Value) {
    for direction in ["ingress", "egress"] {
        for rule in 0..items(object, &format!("/spec/{direction}")).len() {
            for port in 0..items(object, &format!("/spec/{direction}/{rule}/ports")).len() {
                default(object, &format!("/spec/{direction}/{rule}/ports/{port}/protocol"), "TCP");
            }
        }
    }
    let types =
        if items(object, "/spec/egress").is_empty() { vec!["Ingress"] } else { vec!["Ingress", "Egress"] };
    default(object, "/spec/policyTypes", types);
    default(object, "/spec/podSelector", json!({}));
}

fn match_resources(object: &mut Value, at: &str) {
    if object.pointer(at).is_none() {
        return;
    }
    default(object, &format!("{at}/matchPolicy"), "Equivalent");
    default(object, &format!("{at}/namespaceSelector"), json!({}));
    default(object, &format!("{at}/objectSelector"), json!({}));
    for list in ["resourceRules", "excludeResourceRules"] {
        for index in 0..items(object, &format!("{at}/{list}")).len() {
            default(object, &format!("{at}/{list}/{index}/scope"), "*");
        }
    }
}

fn admission_policy(object: &mut Value) {
    default(object, "/spec/failurePolicy", "Fail");
    match_resources(object, "/spec/matchConstraints");
    default(object, "/status", json!({}));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_gets_the_defaults_of_the_api_server() {
        let mut object = json!({"spec": {"template": {"spec": {"containers": [{
            "name": "c", "image": "mbabineau/zookeeper-exhibitor", "ports": [{"containerPort": 2181}],
            "readinessProbe": {"httpGet": {"port": 8181}},
            "env": [{"name": "H", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]}],
            "volumes": [{"name": "e"}, {"name": "n", "nfs": {"server": "s", "path": "/p"}}]}}}});
        apply(Kind::Deployment, &mut object);
        let spec = json!({"template": {"spec": {"containers": [{
                "name": "c", "image": "mbabineau/zookeeper-exhibitor",
                "ports": [{"containerPort": 2181, "protocol": "TCP"}],
                "readinessProbe": {"httpGet": {"port": 8181, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1,
                    "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
                "env": [{"name": "H", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}],
                "resources": {}, "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File", "imagePullPolicy": "Always"}],
                "volumes": [{"name": "e", "emptyDir": {}}, {"name": "n", "nfs": {"server": "s", "path": "/p"}}],
                "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
                "securityContext": {}, "schedulerName": "default-scheduler"}},
            "replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}});
        assert_eq!(object, json!({"spec": spec}));
        let once = object.clone();
        apply(Kind::Deployment, &mut object);
        assert_eq!(object, once, "defaults are set once");
    }

    #[test]
    fn the_tag_decides_the_pull_policy() {
        let policies = ["a", "a:latest", "h:5000/a", "a:1", "h:5000/a:1", "a@sha256:0"].map(pull_policy);
        let wanted = ["Always", "Always", "Always", "IfNotPresent", "IfNotPresent", "IfNotPresent"];
        assert_eq!(policies, wanted);
    }
}
