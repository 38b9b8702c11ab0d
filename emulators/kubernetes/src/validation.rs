//! What the API server refuses to store.

use super::failure::{Cause, Failure};
use super::kind::Kind;
use super::selectors::selects_labels;
use super::tree::{entries, int, items, name, text};
use serde_json::{Value, json};

/// Checks an object that is about to be stored; `old` is what it replaces.
///
/// # Errors
/// 422 with every cause.
pub(super) fn check(kind: Kind, object: &Value, old: Option<&Value>) -> Result<(), Failure> {
    let mut causes = Vec::new();
    metadata(kind, object, &mut causes);
    match kind {
        Kind::Deployment => {
            deployment(object, &mut causes);
            if let Some(old) = old {
                immutable(object, old, "/spec/selector", &mut causes);
            }
        }
        Kind::ReplicaSet | Kind::DaemonSet => {
            workload(object, &mut causes);
            if let Some(old) = old {
                immutable(object, old, "/spec/selector", &mut causes);
            }
        }
        Kind::ReplicationController => replication_controller(object, &mut causes),
        Kind::StatefulSet => stateful_set(object, old, &mut causes),
        Kind::CronJob => cron_job(object, &mut causes),
        Kind::Job => {
            job_spec(object, "spec", &mut causes);
            if let Some(old) = old {
                for field in ["/spec/selector", "/spec/template", "/spec/completions"] {
                    immutable(object, old, field, &mut causes);
                }
            }
        }
        Kind::RoleBinding => {
            let changed = |old: &Value| old.get("roleRef") != object.get("roleRef");
            if old.is_some_and(changed) {
                // Named as the server's own type has them.
                let field = |key: &str| text(object, &format!("/roleRef/{key}")).unwrap_or_default();
                let role =
                    json!({"APIGroup": field("apiGroup"), "Kind": field("kind"), "Name": field("name")});
                causes.push(Cause::invalid("roleRef", &role, "cannot change roleRef"));
            }
        }
        Kind::PersistentVolumeClaim => super::claims::check(object, old, &mut causes),
        Kind::Pod => pod(object, old, &mut causes),
        Kind::Service => service(object, old, &mut causes),
        Kind::ConfigMap | Kind::Secret => data(kind, object, old, &mut causes),
        Kind::PodDisruptionBudget => budget(object, &mut causes),
        Kind::ValidatingAdmissionPolicy => super::admission::check_policy(object, &mut causes),
        Kind::ValidatingAdmissionPolicyBinding => {
            if text(object, "/spec/policyName").is_none() {
                causes.push(Cause::required("spec.policyName", ""));
            }
            if items(object, "/spec/validationActions").is_empty() {
                causes.push(Cause::required("spec.validationActions", ""));
            }
        }
        Kind::Endpoints
        | Kind::Event
        | Kind::Namespace
        | Kind::Node
        | Kind::ServiceAccount
        | Kind::NetworkPolicy
        | Kind::Role
        | Kind::EndpointSlice
        | Kind::Lease => {}
    }
    if causes.is_empty() { Ok(()) } else { Err(Failure::invalid(kind, name(object), causes)) }
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
    and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
    start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
    validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
    '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex \
    used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const PORT: &str = "must be between 1 and 65535, inclusive";
const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

fn is_label(text: &str) -> bool {
    let edge = |letter: Option<char>| letter.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    text.len() <= 63
        && edge(text.chars().next())
        && edge(text.chars().last())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn metadata(kind: Kind, object: &Value, causes: &mut Vec<Cause>) {
    let name = name(object);
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
        return;
    }
    let wrong = match kind {
        Kind::Namespace => (!is_label(name)).then_some(LABEL),
        Kind::Service => {
            let good = is_label(name) && !name.starts_with(|c: char| c.is_ascii_digit());
            (!good).then_some(LABEL_1035)
        }
        Kind::ConfigMap
        | Kind::Endpoints
        | Kind::Event
        | Kind::Node
        | Kind::Pod
        | Kind::Secret
        | Kind::ServiceAccount
        | Kind::DaemonSet
        | Kind::Deployment
        | Kind::ReplicationController
        | Kind::ReplicaSet
        | Kind::StatefulSet
        | Kind::CronJob
        | Kind::Job
        | Kind::PersistentVolumeClaim
        | Kind::PodDisruptionBudget
        | Kind::NetworkPolicy
        | Kind::Role
        | Kind::RoleBinding
        | Kind::EndpointSlice
        | Kind::Lease
        | Kind::ValidatingAdmissionPolicy
        | Kind::ValidatingAdmissionPolicyBinding => {
            (name.len() > 253 || !name.split('.').all(is_label)).then_some(SUBDOMAIN)
        }
    };
    if let Some(why) = wrong {
        causes.push(Cause::invalid("metadata.name", &json!(name), why));
    }
    labels(object, "metadata.labels", causes);
}

fn labels(object: &Value, field: &str, causes: &mut Vec<Cause>) {
    let pointer = format!("/{}", field.replace('.', "/"));
    for (_, value) in entries(object, &pointer) {
        let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let edges = [value.chars().next(), value.chars().last()];
        let good = value.len() <= 63
            && value.chars().all(inner)
            && edges.into_iter().flatten().all(|c| c.is_ascii_alphanumeric());
        if !good {
            causes.push(Cause::invalid(field, &json!(value), LABEL_VALUE));
        }
    }
}

fn immutable(object: &Value, old: &Value, pointer: &str, causes: &mut Vec<Cause>) {
    let (before, after) = (old.pointer(pointer), object.pointer(pointer));
    if before != after {
        let field = pointer.trim_start_matches('/').replace('/', ".");
        causes.push(Cause::invalid(field, after.unwrap_or(&Value::Null), "field is immutable"));
    }
}

fn deployment(object: &Value, causes: &mut Vec<Cause>) {
    workload(object, causes);
    let deadline = int(object, "/spec/progressDeadlineSeconds").unwrap_or(600);
    if deadline <= int(object, "/spec/minReadySeconds").unwrap_or(0) {
        let why = "must be greater than minReadySeconds";
        causes.push(Cause::invalid("spec.progressDeadlineSeconds", &json!(deadline), why));
    }
    let zero = |key: &str| match object.pointer(&format!("/spec/strategy/rollingUpdate/{key}")) {
        Some(Value::String(text)) => text == "0%" || text == "0",
        Some(value) => value.as_i64() == Some(0),
        None => false,
    };
    if zero("maxUnavailable") && zero("maxSurge") {
        let why = "may not be 0 when `maxSurge` is 0";
        causes.push(Cause::invalid("spec.strategy.rollingUpdate.maxUnavailable", &json!(0), why));
    }
    if text(object, "/spec/strategy/type") == Some("Recreate")
        && object.pointer("/spec/strategy/rollingUpdate").is_some()
    {
        let why = "Forbidden: may not be specified when strategy `type` is 'Recreate'";
        causes.push(Cause::new("FieldValueForbidden", "spec.strategy.rollingUpdate", why));
    }
}

fn stateful_set(object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let templates = items(object, "/spec/volumeClaimTemplates");
    let claimed: Vec<&str> = templates.iter().map(name).collect();
    workload_with(object, &claimed, causes);
    for (index, template) in templates.iter().enumerate() {
        super::claims::check_spec(template, &format!("spec.volumeClaimTemplates[{index}].spec"), causes);
    }
    if let (Some("OnDelete"), Some(rolling)) =
        (text(object, "/spec/updateStrategy/type"), object.pointer("/spec/updateStrategy/rollingUpdate"))
    {
        let value = |key: &str| rolling.get(key).cloned().unwrap_or_default();
        let shown = json!({"Partition": value("partition"), "MaxUnavailable": value("maxUnavailable")});
        let why = "only allowed for updateStrategy 'RollingUpdate'";
        causes.push(Cause::invalid("spec.updateStrategy.rollingUpdate", &shown, why));
    }
    let fixed = |object: &Value| {
        let mut spec = object.get("spec").cloned().unwrap_or_default();
        for key in [
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
        ] {
            super::tree::remove(&mut spec, &format!("/{key}"));
        }
        spec
    };
    if old.is_some_and(|old| fixed(old) != fixed(object)) {
        let why = "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                   'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                   'minReadySeconds' are forbidden";
        causes.push(Cause::new("FieldValueForbidden", "spec", why));
    }
}

/// The selector of this older kind is a plain map, and may change.
fn replication_controller(object: &Value, causes: &mut Vec<Cause>) {
    let mut modern = object.clone();
    let selector = object.pointer("/spec/selector").cloned().unwrap_or_default();
    super::tree::put(&mut modern, "/spec/selector", json!({"matchLabels": selector}));
    workload(&modern, causes);
}

fn cron_job(object: &Value, causes: &mut Vec<Cause>) {
    // What its jobs are called has eleven characters more.
    if name(object).len() > 52 {
        let why = "must be no more than 52 characters";
        causes.push(Cause::invalid("metadata.name", &json!(name(object)), why));
    }
    if text(object, "/spec/schedule").is_none_or(str::is_empty) {
        causes.push(Cause::required("spec.schedule", ""));
    }
    job_spec(object, "spec.jobTemplate.spec", causes);
}

fn job_spec(object: &Value, field: &str, causes: &mut Vec<Cause>) {
    let spec = object.pointer(&format!("/{}/template/spec", field.replace('.', "/"))).unwrap_or(&Value::Null);
    labels(object, &format!("{field}.template.metadata.labels"), causes);
    pod_spec(spec, &format!("{field}.template.spec"), &[], causes);
    if !matches!(text(spec, "/restartPolicy"), Some("OnFailure" | "Never")) {
        let why = "valid values: \"OnFailure\", \"Never\"";
        causes.push(Cause::required(format!("{field}.template.spec.restartPolicy"), why));
    }
}

fn workload(object: &Value, causes: &mut Vec<Cause>) {
    workload_with(object, &[], causes);
}

/// Checks a workload whose pods get these volumes besides their template's own.
fn workload_with(object: &Value, claimed: &[&str], causes: &mut Vec<Cause>) {
    let replicas = int(object, "/spec/replicas").unwrap_or(0);
    if replicas < 0 {
        causes.push(Cause::invalid("spec.replicas", &json!(replicas), NOT_NEGATIVE));
    }
    match object.pointer("/spec/selector") {
        None => causes.push(Cause::required("spec.selector", "")),
        Some(selector) if selector.as_object().is_none_or(serde_json::Map::is_empty) => {
            let why = "empty selector is invalid for deployment";
            causes.push(Cause::invalid("spec.selector", selector, why));
        }
        Some(selector) if !selects_labels(selector, object, "/spec/template/metadata/labels") => {
            let labels = object.pointer("/spec/template/metadata/labels").unwrap_or(&Value::Null);
            let why = "`selector` does not match template `labels`";
            causes.push(Cause::invalid("spec.template.metadata.labels", labels, why));
        }
        Some(_) => {}
    }
    labels(object, "spec.template.metadata.labels", causes);
    if let Some(policy) =
        text(object, "/spec/template/spec/restartPolicy").filter(|policy| *policy != "Always")
    {
        let message = format!("Unsupported value: {policy:?}: supported values: \"Always\"");
        causes.push(Cause::new("FieldValueNotSupported", "spec.template.spec.restartPolicy", message));
    }
    match object.pointer("/spec/template/spec") {
        Some(spec) => pod_spec(spec, "spec.template.spec", claimed, causes),
        None => causes.push(Cause::required("spec.template.spec.containers", "")),
    }
}

fn pod_spec(spec: &Value, field: &str, claimed: &[&str], causes: &mut Vec<Cause>) {
    if items(spec, "/containers").is_empty() {
        causes.push(Cause::required(format!("{field}.containers"), ""));
    }
    let volumes: Vec<&str> =
        items(spec, "/volumes").iter().filter_map(|volume| text(volume, "/name")).collect();
    for (index, volume) in items(spec, "/volumes").iter().enumerate() {
        let at = format!("{field}.volumes[{index}]");
        if volumes.iter().take(index).any(|earlier| Some(*earlier) == text(volume, "/name")) {
            let value = volume.get("name").unwrap_or(&Value::Null);
            causes.push(Cause::new(
                "FieldValueDuplicate",
                format!("{at}.name"),
                format!("Duplicate value: {value}"),
            ));
        }
        if volume.get("nfs").is_some() {
            for key in ["server", "path"] {
                if text(volume, &format!("/nfs/{key}")).is_none() {
                    causes.push(Cause::required(format!("{at}.nfs.{key}"), ""));
                }
            }
        }
    }
    let volumes = [volumes, claimed.to_vec()].concat();
    let mut seen = Vec::new();
    for (index, item) in items(spec, "/containers").iter().enumerate() {
        let at = format!("{field}.containers[{index}]");
        let name = item.get("name").unwrap_or(&Value::Null);
        if seen.contains(&name) {
            causes.push(Cause::new(
                "FieldValueDuplicate",
                format!("{at}.name"),
                format!("Duplicate value: {name}"),
            ));
        }
        seen.push(name);
        container(item, &at, &volumes, causes);
    }
}

fn container(container: &Value, at: &str, volumes: &[&str], causes: &mut Vec<Cause>) {
    match text(container, "/name") {
        None => causes.push(Cause::required(format!("{at}.name"), "")),
        Some(name) if !is_label(name) => {
            causes.push(Cause::invalid(format!("{at}.name"), &json!(name), LABEL));
        }
        Some(_) => {}
    }
    if text(container, "/image").is_none() {
        causes.push(Cause::required(format!("{at}.image"), ""));
    }
    for (index, port) in items(container, "/ports").iter().enumerate() {
        check_port(port, "containerPort", &format!("{at}.ports[{index}].containerPort"), causes);
    }
    for (index, variable) in items(container, "/env").iter().enumerate() {
        if text(variable, "/name").is_none() {
            causes.push(Cause::required(format!("{at}.env[{index}].name"), ""));
        }
        if variable.get("value").is_some() && variable.get("valueFrom").is_some() {
            let why = "Invalid value: \"\": may not be specified when `value` is not empty";
            causes.push(Cause::new("FieldValueInvalid", format!("{at}.env[{index}].valueFrom"), why));
        }
    }
    for (index, mount) in items(container, "/volumeMounts").iter().enumerate() {
        let name = text(mount, "/name").unwrap_or_default();
        if !volumes.contains(&name) {
            let message = format!("Not found: {name:?}");
            causes.push(Cause::new(
                "FieldValueNotFound",
                format!("{at}.volumeMounts[{index}].name"),
                message,
            ));
        }
        if text(mount, "/mountPath").is_none() {
            causes.push(Cause::required(format!("{at}.volumeMounts[{index}].mountPath"), ""));
        }
    }
    for which in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get(which) {
            handlers(probe, &format!("{at}.{which}"), causes);
        }
    }
}

fn handlers(probe: &Value, at: &str, causes: &mut Vec<Cause>) {
    let count =
        ["exec", "httpGet", "tcpSocket", "grpc"].iter().filter(|key| probe.get(**key).is_some()).count();
    if count == 0 {
        causes.push(Cause::required(at, "must specify a handler type"));
    } else if count > 1 {
        let why = "Forbidden: may not specify more than 1 handler type";
        causes.push(Cause::new("FieldValueForbidden", at, why));
    }
}

fn check_port(value: &Value, key: &str, field: &str, causes: &mut Vec<Cause>) {
    match value.get(key) {
        None => causes.push(Cause::required(field, "")),
        Some(port) if !port.as_i64().is_some_and(|port| (1..=65_535).contains(&port)) => {
            causes.push(Cause::invalid(field, port, PORT));
        }
        Some(_) => {}
    }
}

fn pod(object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let Some(spec) = object.get("spec") else {
        causes.push(Cause::required("spec.containers", ""));
        return;
    };
    pod_spec(spec, "spec", &[], causes);
    let fixed = |object: &Value| {
        let mut spec = object.get("spec").cloned().unwrap_or_default();
        for list in ["containers", "initContainers"] {
            for index in 0..items(&spec, &format!("/{list}")).len() {
                super::tree::remove(&mut spec, &format!("/{list}/{index}/image"));
            }
        }
        for key in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName"] {
            super::tree::remove(&mut spec, &format!("/{key}"));
        }
        spec
    };
    if old.is_some_and(|old| fixed(old) != fixed(object)) {
        let why = "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,\
                   `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
                   existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
                   previously negative)";
        causes.push(Cause::new("FieldValueForbidden", "spec", why));
    }
}

fn service(object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let ports = items(object, "/spec/ports");
    let headless = text(object, "/spec/clusterIP") == Some("None");
    if ports.is_empty() && !headless && text(object, "/spec/type") != Some("ExternalName") {
        causes.push(Cause::required("spec.ports", ""));
    }
    for (index, port) in ports.iter().enumerate() {
        check_port(port, "port", &format!("spec.ports[{index}].port"), causes);
        if ports.len() > 1 && text(port, "/name").is_none() {
            causes.push(Cause::required(format!("spec.ports[{index}].name"), ""));
        }
        let same = |other: &Value| text(port, "/name").is_some() && port.get("name") == other.get("name");
        if ports.iter().take(index).any(same) {
            let message = format!("Duplicate value: {}", port.get("name").unwrap_or(&Value::Null));
            causes.push(Cause::new("FieldValueDuplicate", format!("spec.ports[{index}].name"), message));
        }
    }
    let kind = text(object, "/spec/type").unwrap_or_default();
    if !["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"].contains(&kind) {
        let message = format!(
            "Unsupported value: {kind:?}: supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\""
        );
        causes.push(Cause::new("FieldValueNotSupported", "spec.type", message));
    }
    let had = old.and_then(|old| text(old, "/spec/clusterIP"));
    if had.is_some() && kind != "ExternalName" && had != text(object, "/spec/clusterIP") {
        let value = object.pointer("/spec/clusterIP").unwrap_or(&Value::Null);
        let shown = json!([value]);
        causes.push(Cause::invalid("spec.clusterIPs[0]", &shown, "may not change once set"));
    }
}

fn data(kind: Kind, object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let keys = object.get("data").and_then(Value::as_object);
    for key in keys.into_iter().flatten().map(|(key, _)| key) {
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            let why = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  \
                       or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
            causes.push(Cause::invalid(format!("data[{key}]"), &json!(key), why));
        }
    }
    let Some(old) = old else { return };
    if super::tree::is_true(old, "/immutable") && (old.get("data") != object.get("data")) {
        let why = "Forbidden: field is immutable when `immutable` is set";
        causes.push(Cause::new("FieldValueForbidden", "data", why));
    }
    if kind == Kind::Secret {
        immutable(object, old, "/type", causes);
    }
}

fn budget(object: &Value, causes: &mut Vec<Cause>) {
    if object.pointer("/spec/minAvailable").is_some() && object.pointer("/spec/maxUnavailable").is_some() {
        let why = "minAvailable and maxUnavailable cannot be both set";
        causes.push(Cause::invalid("spec", object.get("spec").unwrap_or(&Value::Null), why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(kind: Kind, object: &Value, old: Option<&Value>) -> String {
        let status = check(kind, object, old).unwrap_err().status();
        assert_eq!(status["code"], 422);
        status["message"].as_str().unwrap().to_owned()
    }

    fn deployment(labels: Value) -> Value {
        json!({"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
    }

    #[test]
    fn selectors_must_match_and_stay() {
        let good = deployment(json!({"app": "x"}));
        assert_eq!(check(Kind::Deployment, &good, Some(&good)), Ok(()));
        let message = refused(Kind::Deployment, &deployment(json!({"app": "y"})), None);
        assert_eq!(
            message,
            "Deployment.apps \"d\" is invalid: spec.template.metadata.labels: Invalid value: {\"app\":\"y\"}: \
             `selector` does not match template `labels`"
        );
        let mut moved = deployment(json!({"app": "x", "b": "1"}));
        moved["spec"]["selector"]["matchLabels"]["b"] = json!("1");
        assert!(refused(Kind::Deployment, &moved, Some(&good)).contains("field is immutable"));
    }

    #[test]
    fn every_cause_is_reported_at_once() {
        let mut object = deployment(json!({"app": "x"}));
        object["spec"]["replicas"] = json!(-1);
        object["spec"]["template"]["spec"]["containers"] = json!([{"name": "A", "ports": [{"containerPort": 0}],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]);
        let causes = check(Kind::Deployment, &object, None).unwrap_err().status();
        assert_eq!(causes["details"]["causes"].as_array().unwrap().len(), 5);
    }

    #[test]
    fn names_follow_their_kind() {
        let named = |name: &str| json!({"metadata": {"name": name}, "spec": {"type": "ClusterIP", "clusterIP": "None"}});
        assert!(check(Kind::Service, &named("a-1"), None).is_ok());
        assert!(refused(Kind::Service, &named("1a"), None).contains("DNS-1035"));
        assert!(refused(Kind::ConfigMap, &named("A"), None).contains("RFC 1123 subdomain"));
        assert!(check(Kind::ConfigMap, &named("a.b"), None).is_ok());
    }
}
