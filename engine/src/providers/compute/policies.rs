//! The snapshot schedule of the data disk.

use super::super::scan::{List, Listed};
use super::super::strict::json;
use super::ComputeProvider;
use super::job::{Job, Place};
use crate::error::ProviderError;
use google_cloud_compute_v1::model::ResourcePolicy;
use serde_json::Value;

impl ComputeProvider {
    pub(super) async fn list_policies(&self, list: &List, filter: Option<String>) -> Listed {
        let call = self
            .policies
            .list()
            .set_project(&list.project)
            .set_region(&list.location)
            .set_or_clear_filter(filter);
        let page = |token| {
            let call = call.clone().set_or_clear_page_token(token);
            async move { call.send().await.map(|page| (page.items, page.next_page_token)) }
        };
        Ok(self.caller.pages(&list.what(), page).await?.iter().map(json).collect())
    }

    pub(super) async fn get_policy(&self, place: &Place<'_>) -> Result<Value, ProviderError> {
        let get = self
            .policies
            .get()
            .set_project(place.project)
            .set_region(place.location)
            .set_resource_policy(place.name);
        self.caller.read(&place.what(), || get.clone().send()).await.map(|found| json(&found))
    }

    pub(super) async fn insert_policy(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let (place, body) = (&job.place, job.typed::<ResourcePolicy>(&job.change.body)?);
        let insert = self.policies.insert().set_project(place.project).set_region(place.location);
        self.sent(job, insert.set_request_id(job.request_id(0)).set_body(body).send()).await
    }

    pub(super) async fn delete_policy(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let place = &job.place;
        let delete = self
            .policies
            .delete()
            .set_project(place.project)
            .set_region(place.location)
            .set_resource_policy(place.name);
        self.sent(job, delete.set_request_id(job.request_id(0)).send()).await
    }

    /// Snapshot schedules have no fingerprint: the executor reads and compares right before this.
    pub(super) async fn patch_policy(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let (place, body) = (&job.place, job.typed::<ResourcePolicy>(&job.change.body)?);
        let patch = self
            .policies
            .patch()
            .set_project(place.project)
            .set_region(place.location)
            .set_resource_policy(place.name);
        self.sent(job, patch.set_request_id(job.request_id(0)).set_body(body).send()).await
    }
}
