//! How the Kubernetes API of a cluster is reached, from the cluster object: never from anybody's kubeconfig.

use crate::error::{ProviderError, ProviderErrorKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// How the Kubernetes API of a cluster is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterAccess {
    /// `https://34.1.2.3`; empty while the cluster is being created.
    pub endpoint: String,
    /// The cluster's own certificate authority, PEM; empty while the cluster is being created.
    pub ca_pem: String,
    /// Zone or region of the cluster.
    pub zone: String,
    /// VPC network, short name.
    pub network: String,
    /// Subnetwork, short name.
    pub subnetwork: String,
    /// `PROVISIONING`, `RUNNING`, `RECONCILING`, ...
    pub status: String,
}

impl ClusterAccess {
    /// Reads a cluster's document.
    ///
    /// # Errors
    /// [`ProviderErrorKind::Invalid`] when the certificate authority is not base64 of a PEM text.
    pub(super) fn of(cluster: &Value, zone: &str) -> Result<Self, ProviderError> {
        let text = |pointer: &str| cluster.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let endpoint = text("/endpoint");
        let has_scheme = endpoint.is_empty() || endpoint.contains("://");
        let location = text("/location");
        Ok(Self {
            endpoint: if has_scheme { endpoint.to_owned() } else { format!("https://{endpoint}") },
            ca_pem: pem(text("/masterAuth/clusterCaCertificate"), text("/name"))?,
            zone: if location.is_empty() { zone.to_owned() } else { location.to_owned() },
            network: text("/network").to_owned(),
            subnetwork: text("/subnetwork").to_owned(),
            status: text("/status").to_owned(),
        })
    }

    /// Whether there is something to connect to.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        !self.endpoint.is_empty() && !self.ca_pem.is_empty()
    }
}

fn pem(encoded: &str, cluster: &str) -> Result<String, ProviderError> {
    let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.ok_or_else(|| {
        ProviderError::new(
            ProviderErrorKind::Invalid,
            format!("reading cluster {cluster}"),
            "its certificate authority is not base64 of a PEM text",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn access_comes_from_the_cluster() {
        let cluster = json!({"name": "cluster-1", "endpoint": "34.1.2.3", "location": "us-east1-d", "network": "default",
            "subnetwork": "default", "status": "RUNNING", "masterAuth": {"clusterCaCertificate": "LS0tLS1CRUdJTg=="}});
        let access = ClusterAccess::of(&cluster, "us-east1-d").unwrap();
        assert_eq!((access.endpoint.as_str(), access.ca_pem.as_str()), ("https://34.1.2.3", "-----BEGIN"));
        assert!(access.is_reachable());
        let creating =
            ClusterAccess::of(&json!({"name": "c", "status": "PROVISIONING"}), "us-east1-d").unwrap();
        assert!(!creating.is_reachable());
        assert_eq!(creating.zone, "us-east1-d");
        let broken = json!({"masterAuth": {"clusterCaCertificate": "%%%"}});
        assert_eq!(ClusterAccess::of(&broken, "z").unwrap_err().kind, ProviderErrorKind::Invalid);
    }
}
