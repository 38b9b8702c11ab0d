//! The data disk: never deleted with its VM, grown in place, never shrunk.

use super::super::scan::{List, Listed};
use super::super::strict::json;
use super::ComputeProvider;
use super::job::{Job, Place};
use crate::error::ProviderError;
use google_cloud_compute_v1::model::{
    Disk, DisksAddResourcePoliciesRequest, DisksRemoveResourcePoliciesRequest, DisksResizeRequest,
    ZoneSetLabelsRequest,
};
use serde_json::{Value, json as object};

impl ComputeProvider {
    pub(super) async fn list_disks(&self, list: &List, filter: Option<String>) -> Listed {
        let call =
            self.disks.list().set_project(&list.project).set_zone(&list.location).set_or_clear_filter(filter);
        let page = |token| {
            let call = call.clone().set_or_clear_page_token(token);
            async move { call.send().await.map(|page| (page.items, page.next_page_token)) }
        };
        Ok(self.caller.pages(&list.what(), page).await?.iter().map(json).collect())
    }

    pub(super) async fn get_disk(&self, place: &Place<'_>) -> Result<Value, ProviderError> {
        let get = self.disks.get().set_project(place.project).set_zone(place.location).set_disk(place.name);
        self.caller.read(&place.what(), || get.clone().send()).await.map(|found| json(&found))
    }

    pub(super) async fn insert_disk(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let (place, body) = (&job.place, job.typed::<Disk>(&job.change.body)?);
        let insert = self.disks.insert().set_project(place.project).set_zone(place.location);
        self.sent(job, insert.set_request_id(job.request_id(0)).set_body(body).send()).await
    }

    pub(super) async fn delete_disk(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let place = &job.place;
        let delete =
            self.disks.delete().set_project(place.project).set_zone(place.location).set_disk(place.name);
        self.sent(job, delete.set_request_id(job.request_id(0)).send()).await
    }

    pub(super) async fn label_disk(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let place = &job.place;
        let body = object!({"labels": job.labels()?, "labelFingerprint": job.handle("/labelFingerprint")?});
        let body: ZoneSetLabelsRequest = job.typed(&body)?;
        let label = self
            .disks
            .set_labels()
            .set_project(place.project)
            .set_zone(place.location)
            .set_resource(place.name);
        self.sent(job, label.set_request_id(job.request_id(0)).set_body(body).send()).await
    }

    /// Grows the disk to the body's size; the API refuses to shrink it.
    pub(super) async fn resize_disk(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let place = &job.place;
        let body: DisksResizeRequest = job.typed(&object!({"sizeGb": job.body("sizeGb")}))?;
        let resize =
            self.disks.resize().set_project(place.project).set_zone(place.location).set_disk(place.name);
        self.sent(job, resize.set_request_id(job.request_id(0)).set_body(body).send()).await
    }

    /// Detaches snapshot schedules first: a disk takes only one.
    pub(super) async fn set_disk_policies(
        &self,
        job: &Job<'_>,
        add: &[String],
        remove: &[String],
    ) -> Result<(), ProviderError> {
        let place = &job.place;
        if !remove.is_empty() {
            let body = DisksRemoveResourcePoliciesRequest::new().set_resource_policies(remove);
            let detach = self.disks.remove_resource_policies().set_project(place.project);
            let detach =
                detach.set_zone(place.location).set_disk(place.name).set_request_id(job.request_id(0));
            self.sent(job, detach.set_body(body).send()).await?;
        }
        if !add.is_empty() {
            let body = DisksAddResourcePoliciesRequest::new().set_resource_policies(add);
            let attach = self.disks.add_resource_policies().set_project(place.project);
            let attach =
                attach.set_zone(place.location).set_disk(place.name).set_request_id(job.request_id(1));
            self.sent(job, attach.set_body(body).send()).await?;
        }
        Ok(())
    }
}
