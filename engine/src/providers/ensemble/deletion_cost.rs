//! What a Deployment's controller is told of which pods to remove first.

use super::read::Sight;
use super::{EnsembleProvider, namespace};
use crate::error::ProviderError;
use crate::providers::kubernetes::api::WRITE;
use crate::providers::kubernetes::{pods_path, text};
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use serde_json::{Value, json};
use zkprov_plans::document::FIELD_MANAGER;
use zkprov_plans::observed::Server;
use zkprov_plans::plan::EnsembleTarget;
use zkprov_plans::resource::ResourceId;
use zkprov_plans::{pods, roll};

/// Which pods a Deployment removes first: the lowest cost.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
/// The cost of a pod that leaves the ensemble; others have 0.
const LEAVING: &str = "-100";
/// The cost of the leader's pod.
const LEADING: &str = "100";

impl EnsembleProvider {
    /// Gives the leader's pod the highest deletion cost, and takes it from one that leads no more. While nobody leads, it stays.
    pub(super) async fn mark_leader(
        &self,
        ensemble: &ResourceId,
        sight: &Sight,
    ) -> Result<(), ProviderError> {
        let Some(leader) = roll::last(&sight.state) else { return Ok(()) };
        self.mark(ensemble, sight, |address, cost| match (address == leader, cost) {
            (true, Some(LEADING | LEAVING)) | (false, None) => None,
            (true, _) => Some(json!(LEADING)),
            (false, Some(LEADING)) => Some(Value::Null),
            (false, Some(_)) => None,
        })
        .await
    }

    /// Gives the pods that leave a deletion cost, so that the Deployment removes them and no member; takes it from members
    /// that an earlier, unfinished step had marked.
    pub(super) async fn mark_leaving(
        &self,
        id: &ResourceId,
        sight: &Sight,
        servers: &[Server],
        target: &EnsembleTarget,
    ) -> Result<(), ProviderError> {
        self.mark(id, sight, |address, cost| {
            let leaves = target.remove.iter().any(|leaving| leaving == address);
            let stays = servers.iter().any(|server| server.hostname == address);
            match (leaves, cost) {
                (true, Some(LEAVING)) => None,
                (true, _) => Some(json!(LEAVING)),
                (false, Some(LEAVING)) if stays => Some(Value::Null),
                (false, _) => None,
            }
        })
        .await
    }

    /// Sets deletion costs: by the pod's address and its present cost, what is to change.
    async fn mark(
        &self,
        id: &ResourceId,
        sight: &Sight,
        wanted: impl Fn(&str, Option<&str>) -> Option<Value>,
    ) -> Result<(), ProviderError> {
        for pod in &sight.documents {
            // A StatefulSet goes by the numbers of its pods alone.
            let Some(ip) = pods::pod(pod).filter(|pod| pod.host.is_none()).and_then(|pod| pod.ip) else {
                continue;
            };
            let annotations = pod.pointer("/metadata/annotations");
            let cost = annotations.and_then(|annotations| annotations.get(DELETION_COST)?.as_str());
            if let Some(cost) = wanted(&ip, cost) {
                self.annotate(id, pod, cost).await?;
            }
        }
        Ok(())
    }

    async fn annotate(&self, id: &ResourceId, pod: &Value, cost: Value) -> Result<(), ProviderError> {
        let name = text(pod, "/metadata/name").unwrap_or_default();
        let mut metadata = json!({"annotations": {DELETION_COST: cost}});
        if let Some((uid, metadata)) = text(pod, "/metadata/uid").zip(metadata.as_object_mut()) {
            metadata.insert("uid".to_owned(), json!(uid));
        }
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let pods = Request::new(pods_path(namespace(id)?));
        let request = pods.patch(name, &params, &Patch::Merge(json!({"metadata": metadata})));
        match self.kubernetes.api.json(request, WRITE).await {
            Ok(_) => Ok(()),
            // It leaves by itself.
            Err(failure) if failure.is_not_found() => Ok(()),
            Err(failure) => Err(failure.of_write(format!("setting the deletion cost of pod {name}"))),
        }
    }
}
