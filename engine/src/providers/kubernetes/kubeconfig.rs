//! A context for people: what `gcloud container clusters get-credentials` writes, merged into a kubeconfig's text.

use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};

/// Where gcloud tells people to get its plugin.
const PLUGIN_HINT: &str = "Install gke-gcloud-auth-plugin for use with kubectl by following \
    https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-access-for-kubectl#install_plugin";

/// How kubectl authenticates in the context.
#[derive(Clone, PartialEq, Eq)]
pub enum ContextUser {
    /// By gcloud's plugin, as the person who runs kubectl.
    GkePlugin,
    /// By this bearer token: an emulator's.
    Token(String),
}

/// A context to write.
#[derive(Clone, PartialEq, Eq)]
pub struct KubeContext {
    /// Name of context, cluster and user entry; [`gke_context_name`] makes gcloud's.
    pub name: String,
    /// `HOST` or `HOST:PORT` of the API server.
    pub endpoint: String,
    /// The cluster's certificate authority, PEM.
    pub ca_pem: String,
    /// How kubectl authenticates.
    pub user: ContextUser,
}

/// A kubeconfig that can't be merged into. Nothing is lost: there is no new text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubeconfigError {
    /// It is no YAML.
    #[error("not a kubeconfig: {0}")]
    Syntax(String),
    /// It is YAML of another shape.
    #[error("not a kubeconfig: {0}")]
    Shape(String),
}

/// The name gcloud gives the context of a cluster: `gke_PROJECT_LOCATION_NAME`.
#[must_use]
pub fn gke_context_name(project: &str, location: &str, cluster: &str) -> String {
    format!("gke_{project}_{location}_{cluster}")
}

/// The kubeconfig `text` with the context added, or replaced where one of its name is, and made the current one. All
/// else stays, but for comments and layout, as with kubectl. An empty text is a new file.
///
/// # Errors
/// When `text` is no kubeconfig.
pub fn merge(text: &str, context: &KubeContext) -> Result<String, KubeconfigError> {
    let mut config = if text.trim().is_empty() {
        Map::new()
    } else {
        match serde_saphyr::from_str::<Value>(text) {
            Ok(Value::Object(config)) => config,
            Ok(Value::Null) => Map::new(),
            Ok(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                return Err(KubeconfigError::Shape("it is no mapping".to_owned()));
            }
            Err(error) => return Err(KubeconfigError::Syntax(error.to_string())),
        }
    };
    for (key, value) in [("apiVersion", "v1"), ("kind", "Config")] {
        config.entry(key).or_insert_with(|| json!(value));
    }
    let name = context.name.as_str();
    let cluster = json!({
        "certificate-authority-data": ByteString(context.ca_pem.clone().into_bytes()),
        "server": format!("https://{}", context.endpoint),
    });
    put(&mut config, "clusters", "cluster", name, cluster)?;
    put(&mut config, "users", "user", name, user(&context.user))?;
    let mut own = kept(&config, name);
    own.insert("cluster".to_owned(), json!(name));
    own.insert("user".to_owned(), json!(name));
    put(&mut config, "contexts", "context", name, Value::Object(own))?;
    config.insert("current-context".to_owned(), json!(name));
    serde_saphyr::to_string(&Value::Object(config)).map_err(|error| KubeconfigError::Shape(error.to_string()))
}

fn user(user: &ContextUser) -> Value {
    match user {
        ContextUser::GkePlugin => json!({"exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "gke-gcloud-auth-plugin",
            "installHint": PLUGIN_HINT,
            "provideClusterInfo": true,
        }}),
        ContextUser::Token(token) => json!({"token": token}),
    }
}

/// What the context of this name says besides cluster and user: a namespace, say.
fn kept(config: &Map<String, Value>, name: &str) -> Map<String, Value> {
    let contexts = config.get("contexts").and_then(Value::as_array);
    let own =
        contexts.into_iter().flatten().find(|entry| entry.get("name").is_some_and(|found| found == name));
    own.and_then(|entry| entry.get("context")?.as_object().cloned()).unwrap_or_default()
}

/// Puts `value` under `key` of the list's entry of this name.
fn put(
    config: &mut Map<String, Value>,
    list: &str,
    key: &str,
    name: &str,
    value: Value,
) -> Result<(), KubeconfigError> {
    let entries = config.entry(list).or_insert(Value::Null);
    if entries.is_null() {
        *entries = json!([]);
    }
    let entries = entries.as_array_mut();
    let entries = entries.ok_or_else(|| KubeconfigError::Shape(format!("`{list}` is no list")))?;
    let same = entries.iter_mut().find(|entry| entry.get("name").is_some_and(|found| found == name));
    match same.and_then(Value::as_object_mut) {
        Some(entry) => {
            entry.insert(key.to_owned(), value);
        }
        None => entries.push(json!({key: value, "name": name})),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::config::Kubeconfig;

    fn context(user: ContextUser) -> KubeContext {
        KubeContext {
            name: gke_context_name("my-project", "us-east1-d", "cluster-1"),
            endpoint: "203.0.113.7".to_owned(),
            ca_pem: "-----BEGIN CERTIFICATE-----\n".to_owned(),
            user,
        }
    }

    fn tree(text: &str) -> Value {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn a_new_file_is_what_kubectl_reads() {
        let text = merge("", &context(ContextUser::GkePlugin)).unwrap();
        let name = "gke_my-project_us-east1-d_cluster-1";
        let config = Kubeconfig::from_yaml(&text).unwrap();
        assert_eq!(config.current_context.as_deref(), Some(name));
        let cluster = config.clusters[0].cluster.as_ref().unwrap();
        assert_eq!(cluster.server.as_deref(), Some("https://203.0.113.7"));
        assert_eq!(
            cluster.certificate_authority_data.as_deref(),
            Some("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==")
        );
        let exec = config.auth_infos[0].auth_info.as_ref().unwrap().exec.as_ref().unwrap();
        assert_eq!(exec.command.as_deref(), Some("gke-gcloud-auth-plugin"));
        let emulator = tree(&merge("", &context(ContextUser::Token("t".to_owned()))).unwrap());
        assert_eq!(emulator["users"][0]["user"], json!({"token": "t"}));
    }

    #[test]
    fn everything_else_stays() {
        let before = r##"
apiVersion: v1
kind: Config
preferences: {colors: true}
clusters:
- {name: other, cluster: {server: "https://other", extensions: [{name: x, extension: {a: 1}}]}}
- {name: gke_my-project_us-east1-d_cluster-1, cluster: {server: "https://old", insecure-skip-tls-verify: true}}
contexts:
- {name: other, context: {cluster: other, user: "no"}}
- {name: gke_my-project_us-east1-d_cluster-1, context: {cluster: c, user: u, namespace: zk}}
users:
- {name: "no", user: {token: "0123", password: "1e5", username: "on"}}
current-context: other
my-key: ["~", "null", "2026-01-01", "0x10", "a: b", "# c", " d ", "", "é\n\tf"]
"##;
        let text = merge(before, &context(ContextUser::GkePlugin)).unwrap();
        let (was, is) = (tree(before), tree(&text));
        for path in ["/preferences", "/my-key", "/users/0", "/clusters/0", "/contexts/0", "/apiVersion"] {
            assert_eq!(is.pointer(path), was.pointer(path), "{path}\n{text}");
        }
        assert_eq!(is["clusters"].as_array().unwrap().len(), 2);
        assert_eq!(is["clusters"][1]["cluster"]["server"], "https://203.0.113.7");
        assert!(is["clusters"][1]["cluster"].get("insecure-skip-tls-verify").is_none());
        assert_eq!(is["contexts"][1]["context"]["namespace"], "zk");
        assert_eq!(is["users"].as_array().unwrap().len(), 2);
        assert_eq!(
            merge(&text, &context(ContextUser::GkePlugin)).unwrap(),
            text,
            "a second time changes nothing"
        );
        for word in ["on", "no", "0123", "1e5"] {
            let plain = text.lines().any(|line| line.trim_end().ends_with(&format!(": {word}")));
            assert!(!plain, "YAML 1.1 readers take a bare {word} for something else:\n{text}");
        }
    }

    #[test]
    fn what_is_no_kubeconfig_is_refused() {
        for text in ["- a", "clusters: 7", "users: {a: b}", "a: [", "a: 1\na: 2", "just text"] {
            assert!(merge(text, &context(ContextUser::GkePlugin)).is_err(), "{text}");
        }
        assert!(merge("clusters:\nusers: null\n", &context(ContextUser::GkePlugin)).is_ok());
    }
}
