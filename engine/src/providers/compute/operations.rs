//! Operations of Compute Engine: `wait` is a long poll of up to two minutes, so nothing sleeps while the cloud works.

use super::super::classify::operation_failure;
use super::super::scan::{List, link_end};
use super::ComputeProvider;
use super::job::{Job, Kind, Place};
use crate::error::{ProviderError, ProviderErrorKind};
use crate::provider::{Course, Progress};
use crate::wait::{Backoff, Deadline};
use google_cloud_compute_v1::model::Operation;
use google_cloud_compute_v1::model::operation::Status;
use google_cloud_gax::Result as Answered;
use std::time::Duration;
use tokio::time::Instant;

/// The service answers a long poll after two minutes at the latest.
const LONG_POLL: Duration = Duration::from_secs(150);
/// What the API is asked for: an operation list without it goes back weeks.
const NOT_DONE: &str = "status != DONE";
/// How often an operation may be unknown to the API that has just named it.
const NOT_FOUND_LIMIT: u32 = 5;

impl ComputeProvider {
    /// Sends a write of a job and waits until its operation is done.
    pub(super) async fn sent(
        &self,
        job: &Job<'_>,
        send: impl Future<Output = Answered<Operation>>,
    ) -> Result<(), ProviderError> {
        let operation = self.caller.write(&job.doing, send).await?;
        self.wait(&job.doing, &job.place, operation, job.progress).await
    }

    pub(super) async fn wait(
        &self,
        doing: &str,
        place: &Place<'_>,
        mut operation: Operation,
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        let deadline = Deadline::after(self.caller.pace.step, &self.caller.pace);
        let mut backoff = Backoff::polling(&self.caller.pace);
        let mut not_found = 0;
        loop {
            if operation.status == Some(Status::Done) {
                return outcome(doing, &operation);
            }
            let state = state(&operation);
            progress(Course::UnderWay(state.clone()));
            let name = operation.name.clone().unwrap_or_default();
            let begin = Instant::now();
            match self.caller.poll(doing, LONG_POLL, self.long_poll(place, &name)).await {
                Ok(answer) => operation = answer,
                Err(error) if error.kind == ProviderErrorKind::Transient => {}
                Err(error) if error.kind == ProviderErrorKind::NotFound && not_found < NOT_FOUND_LIMIT => {
                    not_found += 1;
                }
                Err(error) => return Err(error),
            }
            // A server that answers at once instead of holding the request must not be asked in a busy loop.
            let early = operation.status != Some(Status::Done) && begin.elapsed() < self.caller.pace.poll_max;
            let pause = if early { backoff.pause() } else { Duration::ZERO };
            deadline.sleep(pause, doing, &state).await?;
        }
    }

    async fn long_poll(&self, place: &Place<'_>, name: &str) -> Answered<Operation> {
        match place.kind {
            Kind::Instance | Kind::Disk => {
                let wait = self.zone_operations.wait().set_project(place.project).set_zone(place.location);
                wait.set_operation(name).send().await
            }
            Kind::Address | Kind::SnapshotSchedule => {
                let wait =
                    self.region_operations.wait().set_project(place.project).set_region(place.location);
                wait.set_operation(name).send().await
            }
            Kind::Firewall => {
                self.global_operations.wait().set_project(place.project).set_operation(name).send().await
            }
        }
    }

    /// Operations of a location that are not done. `kind` says whether the location is a zone, a region or `global`.
    pub(super) async fn operations_under_way(
        &self,
        kind: Kind,
        project: &str,
        location: &str,
    ) -> Result<Vec<Operation>, ProviderError> {
        let what = format!("operations in {location} of {project}");
        let operations = match kind {
            Kind::Instance | Kind::Disk => {
                let list =
                    self.zone_operations.list().set_project(project).set_zone(location).set_filter(NOT_DONE);
                let page = |token| {
                    let list = list.clone().set_or_clear_page_token(token);
                    async move { list.send().await.map(|page| (page.items, page.next_page_token)) }
                };
                self.caller.pages(&what, page).await?
            }
            Kind::Address | Kind::SnapshotSchedule => {
                let list = self.region_operations.list().set_project(project).set_region(location);
                let list = list.set_filter(NOT_DONE);
                let page = |token| {
                    let list = list.clone().set_or_clear_page_token(token);
                    async move { list.send().await.map(|page| (page.items, page.next_page_token)) }
                };
                self.caller.pages(&what, page).await?
            }
            Kind::Firewall => {
                let list = self.global_operations.list().set_project(project).set_filter(NOT_DONE);
                let page = |token| {
                    let list = list.clone().set_or_clear_page_token(token);
                    async move { list.send().await.map(|page| (page.items, page.next_page_token)) }
                };
                self.caller.pages(&what, page).await?
            }
        };
        // A server that does not know the filter sends them all.
        Ok(operations.into_iter().filter(|operation| operation.status != Some(Status::Done)).collect())
    }

    /// Waits for what is under way on one resource.
    pub(super) async fn settle_operations(
        &self,
        place: &Place<'_>,
        list: &List,
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        let under_way = self.operations_under_way(place.kind, place.project, &list.location).await?;
        for operation in under_way {
            if target(&operation) == Some((place.kind.collection(), place.name)) {
                let verb = operation.operation_type.clone().unwrap_or_default();
                self.wait(&format!("waiting for {verb} of {}", place.what()), place, operation, progress)
                    .await?;
            }
        }
        Ok(())
    }
}

/// Collection and name of what an operation works on.
pub(super) fn target(operation: &Operation) -> Option<(&str, &str)> {
    operation.target_link.as_deref().and_then(link_end)
}

fn state(operation: &Operation) -> String {
    let verb = operation.operation_type.as_deref().unwrap_or("operation");
    let status = operation.status.as_ref().and_then(Status::name).unwrap_or("PENDING");
    match operation.progress {
        Some(percent) if percent > 0 => format!("{verb} {status} {percent} %"),
        Some(_) | None => format!("{verb} {status}"),
    }
}

/// A DONE operation may have failed: the HTTP status says nothing about it.
fn outcome(doing: &str, operation: &Operation) -> Result<(), ProviderError> {
    let errors = operation.error.iter().flat_map(|error| &error.errors);
    let mut failures = errors.map(|error| {
        operation_failure(
            doing,
            error.code.as_deref().unwrap_or("ERROR"),
            error.message.as_deref().unwrap_or_default(),
        )
    });
    if let Some(first) = failures.next() {
        return Err(first);
    }
    match operation.http_error_status_code {
        Some(status) if status >= 400 => {
            let message = operation.http_error_message.as_deref().unwrap_or_default();
            Err(operation_failure(doing, &format!("HTTP {status}"), message))
        }
        Some(_) | None => Ok(()),
    }
}
