//! The reserved internal address of the file server.

use super::super::scan::{List, Listed};
use super::super::strict::json;
use super::ComputeProvider;
use super::job::{Job, Place};
use crate::error::ProviderError;
use google_cloud_compute_v1::model::{Address, RegionSetLabelsRequest};
use serde_json::{Value, json as object};

impl ComputeProvider {
    pub(super) async fn list_addresses(&self, list: &List, filter: Option<String>) -> Listed {
        let call = self
            .addresses
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

    pub(super) async fn get_address(&self, place: &Place<'_>) -> Result<Value, ProviderError> {
        let get = self
            .addresses
            .get()
            .set_project(place.project)
            .set_region(place.location)
            .set_address(place.name);
        self.caller.read(&place.what(), || get.clone().send()).await.map(|found| json(&found))
    }

    pub(super) async fn insert_address(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let (place, body) = (&job.place, job.typed::<Address>(&job.change.body)?);
        let insert = self.addresses.insert().set_project(place.project).set_region(place.location);
        self.sent(job, insert.set_request_id(job.request_id(0)).set_body(body).send()).await
    }

    pub(super) async fn delete_address(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let place = &job.place;
        let delete = self
            .addresses
            .delete()
            .set_project(place.project)
            .set_region(place.location)
            .set_address(place.name);
        self.sent(job, delete.set_request_id(job.request_id(0)).send()).await
    }

    pub(super) async fn label_address(&self, job: &Job<'_>) -> Result<(), ProviderError> {
        let place = &job.place;
        let body = object!({"labels": job.labels()?, "labelFingerprint": job.handle("/labelFingerprint")?});
        let body: RegionSetLabelsRequest = job.typed(&body)?;
        let label = self
            .addresses
            .set_labels()
            .set_project(place.project)
            .set_region(place.location)
            .set_resource(place.name);
        self.sent(job, label.set_request_id(job.request_id(0)).set_body(body).send()).await
    }
}
