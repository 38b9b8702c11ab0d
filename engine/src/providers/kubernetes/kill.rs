//! Pods that are killed, and the machines of nodes.

use crate::error::{ProviderError, ProviderErrorKind};
use crate::providers::kubernetes::KubernetesProvider;
use crate::providers::kubernetes::api::{READ, WRITE};
use crate::providers::kubernetes::objects::text;
use crate::providers::kubernetes::ready::pods_path;
use kube::api::{DeleteParams, GetParams, ListParams, Preconditions};
use kube::core::Request;
use std::collections::BTreeMap;
use zkprov_plans::havoc::Machine;
use zkprov_plans::observed::Pod;
use zkprov_plans::pods;

impl KubernetesProvider {
    /// Kills a pod: it is deleted without grace, and no disruption budget is asked. Only the pod that is at `address` is meant.
    ///
    /// # Errors
    /// [`ProviderErrorKind::Stale`] when it is another one by now, or none; else when the API does not answer.
    pub(crate) async fn kill_pod(
        &self,
        namespace: &str,
        name: &str,
        address: &str,
    ) -> Result<(), ProviderError> {
        let doing = format!("killing pod {name}");
        let path = Request::new(pods_path(namespace));
        let pod = self.api.json(path.get(name, &GetParams::default()), READ).await;
        let pod = pod.map_err(|failure| failure.of_read(&doing))?;
        if pods::pod(&pod).as_ref().and_then(Pod::address) != Some(address) {
            let message = format!("it is not at {address} any more");
            return Err(ProviderError::new(ProviderErrorKind::Stale, doing, message));
        }
        self.delete_pod(namespace, name, text(&pod, "/metadata/uid"), Some(0)).await
    }

    /// Deletes this very pod; whoever is by its name later is another one. `grace` in seconds, in place of the pod's own.
    ///
    /// # Errors
    /// [`ProviderErrorKind::NotFound`] when it is gone; else when the API does not answer, or refuses.
    pub(crate) async fn delete_pod(
        &self,
        namespace: &str,
        name: &str,
        uid: Option<&str>,
        grace: Option<u32>,
    ) -> Result<(), ProviderError> {
        let preconditions = Preconditions { uid: uid.map(str::to_owned), ..Preconditions::default() };
        let params = DeleteParams { grace_period_seconds: grace, ..DeleteParams::default() };
        let path = Request::new(pods_path(namespace));
        let request = path.delete(name, &params.preconditions(preconditions));
        let deleted = self.api.json(request, WRITE).await;
        deleted.map(drop).map_err(|failure| failure.of_write(format!("deleting pod {name}")))
    }

    /// The VMs of Compute Engine that nodes run on, by node; nodes that run on something else are not among them.
    ///
    /// # Errors
    /// When the nodes can't be listed.
    pub(crate) async fn machines(&self) -> Result<BTreeMap<String, Machine>, ProviderError> {
        let (nodes, _) = self.list("/api/v1/nodes".to_owned(), &ListParams::default()).await?;
        let machine = |id: &str| {
            let mut parts = id.strip_prefix("gce://")?.split('/').map(str::to_owned);
            Some(Machine { project: parts.next()?, zone: parts.next()?, name: parts.next()? })
        };
        let of = |node| {
            Some((text(node, "/metadata/name")?.to_owned(), machine(text(node, "/spec/providerID")?)?))
        };
        Ok(nodes.iter().filter_map(of).collect())
    }
}
