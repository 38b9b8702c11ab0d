//! `coordination.k8s.io/v1` Leases, as JSON.

use crate::error::{ProviderError, ProviderErrorKind};
use crate::providers::kubernetes::KubernetesProvider;
use crate::providers::kubernetes::api::{READ, WRITE};
use crate::providers::kubernetes::objects::text;
use kube::api::{DeleteParams, GetParams, PostParams, Preconditions};
use kube::core::Request;
use serde_json::Value;
use zkprov_plans::document::FIELD_MANAGER;

fn leases(namespace: &str) -> Request {
    Request::new(format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"))
}

impl KubernetesProvider {
    /// Reads a Lease; `None` when it is not there.
    pub(crate) async fn lease(&self, namespace: &str, name: &str) -> Result<Option<Value>, ProviderError> {
        let look = || async {
            match self.api.json(leases(namespace).get(name, &GetParams::default()), READ).await {
                Ok(lease) => Ok(Some(lease)),
                Err(failure) if failure.is_not_found() => Ok(None),
                Err(failure) => Err(failure.of_read(format!("reading lease {name}"))),
            }
        };
        self.patiently(look).await
    }

    /// Creates a Lease, or replaces the one of its resource version.
    pub(crate) async fn put_lease(
        &self,
        namespace: &str,
        name: &str,
        lease: &Value,
    ) -> Result<Value, ProviderError> {
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let body = lease.to_string().into_bytes();
        let request = if text(lease, "/metadata/resourceVersion").is_some() {
            leases(namespace).replace(name, &params, body)
        } else {
            leases(namespace).create(&params, body)
        };
        let answer = self.api.json(request, WRITE).await;
        answer.map_err(|failure| failure.of_write(format!("writing lease {name}")))
    }

    /// Deletes exactly this Lease; one that is gone is fine, one that has moved on is [`ProviderErrorKind::Stale`].
    pub(crate) async fn delete_lease(
        &self,
        namespace: &str,
        name: &str,
        lease: &Value,
    ) -> Result<(), ProviderError> {
        let field = |pointer| text(lease, pointer).map(str::to_owned);
        let params = DeleteParams::background().preconditions(Preconditions {
            uid: field("/metadata/uid"),
            resource_version: field("/metadata/resourceVersion"),
        });
        let answer = self.api.json(leases(namespace).delete(name, &params), WRITE).await;
        match answer.map_err(|failure| failure.of_write(format!("deleting lease {name}"))) {
            Ok(_) => Ok(()),
            Err(error) if error.kind == ProviderErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}
