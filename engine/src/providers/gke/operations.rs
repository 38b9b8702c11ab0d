//! Operations of GKE: there is no long poll, so they are asked for at a growing pace.

use super::super::classify::operation_failure;
use super::{GkeProvider, Place};
use crate::error::{ProviderError, ProviderErrorKind};
use crate::provider::{Course, Progress};
use crate::wait::{Backoff, Deadline};
use google_cloud_container_v1::model::Operation;
use google_cloud_container_v1::model::operation::Status;
use google_cloud_gax::Result as Answered;
use google_cloud_gax::error::rpc::Code;

/// How often an operation may be unknown to the API that has just named it.
const NOT_FOUND_LIMIT: u32 = 5;

impl GkeProvider {
    /// Sends a write and waits until its operation is done.
    pub(super) async fn sent(
        &self,
        doing: &str,
        place: &Place<'_>,
        progress: Progress<'_>,
        send: impl Future<Output = Answered<Operation>>,
    ) -> Result<(), ProviderError> {
        let operation = self.caller.write(doing, send).await?;
        self.wait(doing, place, operation, progress).await
    }

    async fn wait(
        &self,
        doing: &str,
        place: &Place<'_>,
        mut operation: Operation,
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        let deadline = Deadline::after(self.caller.pace.step, &self.caller.pace);
        let mut backoff = Backoff::polling(&self.caller.pace);
        let mut not_found = 0;
        let get = self.clusters.get_operation().set_name(format!(
            "{}/operations/{}",
            place.parent(),
            operation.name
        ));
        while operation.status != Status::Done {
            let state = state(&operation);
            progress(Course::UnderWay(state.clone()));
            deadline.sleep(backoff.pause(), doing, &state).await?;
            match self.caller.poll(doing, self.caller.pace.request, get.clone().send()).await {
                Ok(answer) => operation = answer,
                Err(error) if error.kind == ProviderErrorKind::Transient => {}
                Err(error) if error.kind == ProviderErrorKind::NotFound && not_found < NOT_FOUND_LIMIT => {
                    not_found += 1;
                }
                Err(error) => return Err(error),
            }
        }
        outcome(doing, &operation)
    }

    /// Operations of a zone that are not done.
    pub(super) async fn operations_under_way(
        &self,
        project: &str,
        zone: &str,
    ) -> Result<Vec<Operation>, ProviderError> {
        let list = self.clusters.list_operations().set_parent(format!("projects/{project}/locations/{zone}"));
        let what = format!("GKE operations in {zone} of {project}");
        let listed = self.caller.read(&what, || list.clone().send()).await?;
        Ok(listed.operations.into_iter().filter(|operation| operation.status != Status::Done).collect())
    }

    /// Waits for what is under way on a cluster or any of its pools: GKE does one thing at a time there.
    pub(super) async fn settle_operations(
        &self,
        place: &Place<'_>,
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        let ends = format!("/clusters/{}", place.cluster);
        let inside = format!("{ends}/");
        for operation in self.operations_under_way(place.project, place.location).await? {
            let target = operation.target_link.as_str();
            if target.ends_with(&ends) || target.contains(&inside) {
                let verb = operation.operation_type.name().unwrap_or("operation").to_owned();
                self.wait(&format!("waiting for {verb} of {}", place.what()), place, operation, progress)
                    .await?;
            }
        }
        Ok(())
    }
}

fn state(operation: &Operation) -> String {
    let verb = operation.operation_type.name().unwrap_or("operation");
    let status = operation.status.name().unwrap_or("PENDING");
    let detail = if operation.detail.is_empty() { "" } else { ": " };
    format!("{verb} {status}{detail}{}", operation.detail)
}

/// A DONE operation may have failed. Old servers say so in `statusMessage` alone, and then any text is a failure.
#[expect(deprecated, reason = "older servers fill statusMessage and not error")]
fn outcome(doing: &str, operation: &Operation) -> Result<(), ProviderError> {
    match &operation.error {
        Some(error) if error.code != 0 || !error.message.is_empty() => {
            Err(operation_failure(doing, Code::from(error.code).name(), &error.message))
        }
        Some(_) | None if operation.status_message.is_empty() => Ok(()),
        Some(_) | None => Err(operation_failure(doing, "FAILED", &operation.status_message)),
    }
}
