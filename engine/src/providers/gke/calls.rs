//! Writing to GKE.

use super::super::labels;
use super::super::strict::typed;
use super::{GkeProvider, Place, not_ours, with_path};
use crate::error::{ProviderError, ProviderErrorKind};
use crate::provider::Progress;
use futures::FutureExt;
use google_cloud_container_v1::model::{
    CreateClusterRequest, CreateNodePoolRequest, SetLabelsRequest, SetNodePoolSizeRequest,
    UpdateClusterRequest, UpdateNodePoolRequest,
};
use serde_json::{Value, json};
use zkprov_plans::observed::{Live, Reading};
use zkprov_plans::plan::{Call, Change};

/// One call of a change.
pub(super) struct Job<'a> {
    place: Place<'a>,
    change: &'a Change,
    live: &'a Reading<Live>,
    doing: String,
    progress: Progress<'a>,
}

impl<'a> Job<'a> {
    pub(super) fn new(
        change: &'a Change,
        call: &Call,
        live: &'a Reading<Live>,
        progress: Progress<'a>,
    ) -> Result<Self, ProviderError> {
        let place = Place::of(&change.id)?;
        let doing = match call {
            Call::Insert => format!("creating {}", place.what()),
            Call::Delete => format!("deleting {}", place.what()),
            Call::SetLabels => format!("labelling {}", place.what()),
            Call::UpdateCluster { field, .. } => format!("setting {field} of {}", place.what()),
            Call::SetNodePoolSize { nodes } => format!("resizing {} to {nodes} nodes", place.what()),
            Call::UpdateNodePool { .. } => format!("updating {}", place.what()),
            Call::SetTags
            | Call::SetMetadata
            | Call::SetMachineType
            | Call::StartInstance
            | Call::SetDeletionProtection { .. }
            | Call::ResizeDisk
            | Call::SetDiskPolicies { .. }
            | Call::PatchFirewall
            | Call::PatchSnapshotSchedule
            | Call::SetAccessConfig { .. }
            | Call::PatchFilestore { .. }
            | Call::Apply
            | Call::SpareLeader { .. }
            | Call::ReplacePods { .. }
            | Call::SetEnsemble(_) => return Err(not_ours(&change.id, "a call of another API")),
        };
        Ok(Self { place, change, live, doing, progress })
    }

    /// A field of the live document that a conditional write rests on.
    fn handle(&self, key: &str) -> Result<&'a Value, ProviderError> {
        let stale = |message: String| ProviderError::new(ProviderErrorKind::Stale, &self.doing, message);
        match self.live {
            Reading::Known(live) => {
                live.document.get(key).ok_or_else(|| stale(format!("the live document has no {key}")))
            }
            Reading::Absent => Err(stale("it is not there any more".to_owned())),
            Reading::Unavailable(gap) => Err(stale(format!("it could not be read: {}", gap.why))),
        }
    }

    /// A part of the live document.
    fn live_at(&self, pointer: &str) -> Option<&'a Value> {
        self.live.known()?.document.pointer(pointer)
    }

    /// `projects/P/locations/Z/clusters/C/nodePools/N`
    fn pool_path(&self) -> Result<String, ProviderError> {
        let pool =
            self.place.pool.ok_or_else(|| not_ours(&self.change.id, "a node pool's call on a cluster"))?;
        Ok(format!("{}/nodePools/{pool}", self.place.cluster_path()))
    }
}

impl GkeProvider {
    pub(super) async fn carry_out(&self, job: &Job<'_>, call: &Call) -> Result<(), ProviderError> {
        match call {
            Call::Insert => self.insert(job).boxed().await,
            Call::Delete => self.delete(job).boxed().await,
            Call::SetLabels => self.set_labels(job).boxed().await,
            Call::UpdateCluster { field, value } => self.update_cluster(job, field, value).boxed().await,
            Call::SetNodePoolSize { nodes } => self.set_size(job, *nodes).boxed().await,
            Call::UpdateNodePool { fields } => self.update_pool(job, fields).boxed().await,
            Call::SetTags
            | Call::SetMetadata
            | Call::SetMachineType
            | Call::StartInstance
            | Call::SetDeletionProtection { .. }
            | Call::ResizeDisk
            | Call::SetDiskPolicies { .. }
            | Call::PatchFirewall
            | Call::PatchSnapshotSchedule
            | Call::SetAccessConfig { .. }
            | Call::PatchFilestore { .. }
            | Call::Apply
            | Call::SpareLeader { .. }
            | Call::ReplacePods { .. }
            | Call::SetEnsemble(_) => Err(not_ours(&job.change.id, "a call of another API")),
        }
    }

    async fn insert(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let (place, body) = (&job.place, &job.change.body);
        if place.pool.is_some() {
            let request = json!({"parent": place.cluster_path(), "nodePool": body});
            let request: CreateNodePoolRequest = typed(&job.doing, &request)?;
            let send = self.clusters.create_node_pool().with_request(request).send().boxed();
            return self.sent(&job.doing, place, job.progress, send).await;
        }
        let request = json!({"parent": place.parent(), "cluster": body});
        let request: CreateClusterRequest = typed(&job.doing, &request)?;
        let send = self.clusters.create_cluster().with_request(request).send().boxed();
        self.sent(&job.doing, place, job.progress, send).await
    }

    /// Deletes, and is content when it is gone already.
    async fn delete(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let (doing, place) = (&job.doing, &job.place);
        let deleted = if place.pool.is_some() {
            let send = self.clusters.delete_node_pool().set_name(job.pool_path()?).send().boxed();
            self.sent(doing, place, job.progress, send).await
        } else {
            let send = self.clusters.delete_cluster().set_name(place.cluster_path()).send().boxed();
            self.sent(doing, place, job.progress, send).await
        };
        match deleted {
            Err(error) if error.kind == ProviderErrorKind::NotFound => Ok(()),
            Ok(()) | Err(_) => deleted,
        }
    }

    async fn set_labels(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let wanted = job.change.body.get("resourceLabels").cloned().unwrap_or_default();
        let labels = labels::beside(job.live_at("/resourceLabels"), &wanted);
        let more = json!({"resourceLabels": labels, "labelFingerprint": job.handle("labelFingerprint")?});
        let request: SetLabelsRequest = typed(&job.doing, &with_path(job.place.cluster_path(), more))?;
        let send = self.clusters.set_labels().with_request(request).send().boxed();
        self.sent(&job.doing, &job.place, job.progress, send).await
    }

    /// One field a call. After the first, the etag of `live` is out of date: the executor refreshes between calls.
    async fn update_cluster(&self, job: &Job<'_>, field: &str, value: &Value) -> Result<(), ProviderError> {
        let update = json!({field: value, "etag": job.handle("etag")?});
        let request = with_path(job.place.cluster_path(), json!({"update": update}));
        let request: UpdateClusterRequest = typed(&job.doing, &request)?;
        let send = self.clusters.update_cluster().with_request(request).send().boxed();
        self.sent(&job.doing, &job.place, job.progress, send).await
    }

    /// The API counts nodes a zone; our clusters have one.
    async fn set_size(&self, job: &Job<'_>, nodes: u32) -> Result<(), ProviderError> {
        let request = with_path(job.pool_path()?, json!({"nodeCount": nodes}));
        let request: SetNodePoolSizeRequest = typed(&job.doing, &request)?;
        let send = self.clusters.set_node_pool_size().with_request(request).send().boxed();
        self.sent(&job.doing, &job.place, job.progress, send).await
    }

    async fn update_pool(&self, job: &Job<'_>, fields: &Value) -> Result<(), ProviderError> {
        let mut request = with_path(job.pool_path()?, fields.clone());
        for field in ["labels", "resourceLabels"] {
            if let Some(wanted) = request.get_mut(field).and_then(|field| field.get_mut("labels")) {
                *wanted = labels::beside(job.live_at(&format!("/config/{field}")), wanted);
            }
        }
        request["etag"] = job.handle("etag")?.clone();
        let request: UpdateNodePoolRequest = typed(&job.doing, &request)?;
        let send = self.clusters.update_node_pool().with_request(request).send().boxed();
        self.sent(&job.doing, &job.place, job.progress, send).await
    }
}
