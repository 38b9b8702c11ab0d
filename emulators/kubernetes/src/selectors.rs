//! Label selectors and field selectors.

use super::failure::Failure;
use super::kind::Kind;
use super::tree;
use serde_json::Value;

/// One requirement on the labels.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

/// What a list or watch selects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, String, bool)>,
}

fn matches(requirements: &[Requirement], object: &Value, pointer: &str) -> bool {
    let label =
        |key: &str| object.pointer(&format!("{pointer}/{}", tree::escape(key))).and_then(Value::as_str);
    requirements.iter().all(|requirement| match requirement {
        Requirement::In(key, values) => {
            label(key).is_some_and(|label| values.iter().any(|value| value == label))
        }
        Requirement::NotIn(key, values) => {
            label(key).is_none_or(|label| values.iter().all(|value| value != label))
        }
        Requirement::Exists(key) => label(key).is_some(),
        Requirement::Missing(key) => label(key).is_none(),
    })
}

/// Splits at commas outside parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn requirement(text: &str) -> Option<Requirement> {
    let values = |list: &str| -> Option<Vec<String>> {
        let inner = list.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(inner.split(',').map(|value| value.trim().to_owned()).collect())
    };
    if let Some((key, list)) = text.split_once(" notin ") {
        return Some(Requirement::NotIn(key.trim().to_owned(), values(list)?));
    }
    if let Some((key, list)) = text.split_once(" in ") {
        return Some(Requirement::In(key.trim().to_owned(), values(list)?));
    }
    if let Some((key, value)) = text.split_once("!=") {
        return Some(Requirement::NotIn(key.trim().to_owned(), vec![value.trim().to_owned()]));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Some(Requirement::In(key.trim().to_owned(), vec![value.trim().to_owned()]));
    }
    match text.strip_prefix('!') {
        Some(key) => Some(Requirement::Missing(key.trim().to_owned())),
        None => Some(Requirement::Exists(text.trim().to_owned())).filter(|_| !text.contains(' ')),
    }
}

impl Selector {
    /// Reads the `labelSelector` and `fieldSelector` parameters.
    ///
    /// # Errors
    /// 400 when one can't be read, or names a field that the kind has no selector for.
    pub(super) fn parse(kind: Kind, labels: &str, fields: &str) -> Result<Self, Failure> {
        let labels = split(labels)
            .into_iter()
            .map(|part| {
                requirement(part).ok_or_else(|| {
                    Failure::bad_request(format!(
                        "unable to parse requirement: found '{part}', expected: a selector"
                    ))
                })
            })
            .collect::<Result<_, _>>()?;
        let fields = split(fields).into_iter().map(|part| field(kind, part)).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// Whether the object is selected.
    pub(super) fn matches(&self, object: &Value) -> bool {
        let field = |path: &str| {
            let value = object.pointer(&format!("/{}", path.replace('.', "/")));
            value
                .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                .unwrap_or_default()
        };
        matches(&self.labels, object, "/metadata/labels")
            && self.fields.iter().all(|(path, value, equal)| (field(path) == *value) == *equal)
    }
}

fn field(kind: Kind, text: &str) -> Result<(String, String, bool), Failure> {
    let split = text.split_once("!=").map(|(path, value)| (path, value, false));
    let split = split.or_else(|| text.split_once("==").map(|(path, value)| (path, value, true)));
    let split = split.or_else(|| text.split_once('=').map(|(path, value)| (path, value, true)));
    let Some((path, value, equal)) = split else {
        return Err(Failure::bad_request(format!("invalid selector: '{text}'; can't understand '{text}'")));
    };
    let known: &[&str] = match kind {
        Kind::Pod => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        Kind::Event => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        Kind::Node => &["spec.unschedulable"],
        Kind::Namespace => &["status.phase"],
        Kind::Secret => &["type"],
        Kind::Service => &["spec.clusterIP", "spec.type"],
        Kind::ReplicaSet | Kind::ReplicationController => &["status.replicas"],
        Kind::Job => &["status.successful"],
        Kind::ConfigMap
        | Kind::Endpoints
        | Kind::ServiceAccount
        | Kind::DaemonSet
        | Kind::Deployment
        | Kind::StatefulSet
        | Kind::CronJob
        | Kind::PersistentVolumeClaim
        | Kind::PodDisruptionBudget
        | Kind::NetworkPolicy
        | Kind::Role
        | Kind::RoleBinding
        | Kind::EndpointSlice
        | Kind::Lease
        | Kind::ValidatingAdmissionPolicy
        | Kind::ValidatingAdmissionPolicyBinding => &[],
    };
    if !["metadata.name", "metadata.namespace"].contains(&path) && !known.contains(&path) {
        let message = format!("field label not supported: {path}");
        return Err(Failure::bad_request(message));
    }
    Ok((path.to_owned(), value.to_owned(), equal))
}

/// Whether a `LabelSelector` object selects an object by its labels. An empty selector selects everything.
pub(super) fn selects(selector: &Value, object: &Value) -> bool {
    selects_labels(selector, object, "/metadata/labels")
}

/// Whether a `LabelSelector` object selects the labels at a pointer.
pub(super) fn selects_labels(selector: &Value, object: &Value, pointer: &str) -> bool {
    let mut requirements: Vec<Requirement> = tree::entries(selector, "/matchLabels")
        .map(|(key, value)| Requirement::In(key.to_owned(), vec![value.to_owned()]))
        .collect();
    for expression in tree::items(selector, "/matchExpressions") {
        let key = tree::text(expression, "/key").unwrap_or_default().to_owned();
        let values =
            tree::items(expression, "/values").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        requirements.push(match tree::text(expression, "/operator").unwrap_or_default() {
            "In" => Requirement::In(key, values),
            "NotIn" => Requirement::NotIn(key, values),
            "Exists" => Requirement::Exists(key),
            _ => Requirement::Missing(key),
        });
    }
    matches(&requirements, object, pointer)
}

/// A `LabelSelector` object as the `labelSelector` parameter and the scale subresource write it.
pub(super) fn to_text(selector: &Value) -> String {
    let pairs: Vec<String> =
        tree::entries(selector, "/matchLabels").map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn label_selectors_of_every_form() {
        let object = json!({"metadata": {"name": "n", "labels": {"app": "x", "a/b": "1"}}, "status": {"phase": "Running"}});
        let selects =
            |labels: &str, fields: &str| Selector::parse(Kind::Pod, labels, fields).unwrap().matches(&object);
        assert!(selects(
            "app=x,a/b==1,app in (x, y),z notin (q),!z,app",
            "metadata.name=n,status.phase!=Failed"
        ));
        for refused in ["app=y", "app!=x", "app in (y)", "z", "!app", "app notin (x)"] {
            assert!(!selects(refused, ""), "{refused}");
        }
        assert!(!selects("", "metadata.name=m"));
        assert!(Selector::parse(Kind::Pod, "", "spec.bogus=1").is_err());
        assert!(Selector::parse(Kind::Pod, "a b c", "").is_err());
    }
}
