//! The trait each API is reached through. One provider per API, not one per kind.

use crate::error::{ProviderError, ProviderErrorKind};
use futures::future::BoxFuture;
use serde_json::Value;
use std::collections::BTreeMap;
use zkprov_plans::document::Desired;
use zkprov_plans::measure::Measure;
use zkprov_plans::observed::{Live, Observed, Reading, RunningOperation};
use zkprov_plans::plan::{Call, Change};
use zkprov_plans::readiness::Verdict;
use zkprov_plans::resource::ResourceId;
use zkprov_plans::spec::ValidSpec;

/// One ensemble to be read.
#[derive(Debug, Clone, Copy)]
pub struct ReadRequest<'a> {
    /// Its spec.
    pub spec: &'a ValidSpec,
    /// Its rendered documents.
    pub desired: &'a Desired,
}

/// What one provider read for all requests: one entry an ensemble, in the order of the requests.
pub type Observations = Vec<Observation>;

/// What one provider read for one ensemble.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// Desired resources of this API, and further live ones that carry the ensemble's mark.
    pub resources: BTreeMap<ResourceId, Reading<Live>>,
    /// Operations under way on them.
    pub operations: Vec<RunningOperation>,
}

/// What a provider tells of its course, in words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Course {
    /// What it does, or waits for.
    Doing(String),
    /// The request is answered and its operation under way: the cloud goes on by itself, whoever waits for it.
    UnderWay(String),
}

impl Course {
    /// The words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Doing(words) | Self::UnderWay(words) => words,
        }
    }
}

/// Tells the course.
pub type Progress<'a> = &'a (dyn Fn(Course) + Send + Sync);

/// One API.
pub trait Provider: Send + Sync {
    /// Whether this provider serves the resource.
    fn serves(&self, id: &ResourceId) -> bool;

    /// Reads what the requests need, all requests of one kind and location with one list call. Never fails: what could
    /// not be read is [`Reading::Unavailable`].
    fn observe<'a>(&'a self, requests: &'a [ReadRequest<'a>]) -> BoxFuture<'a, Observations>;

    /// Reads one resource again.
    ///
    /// # Errors
    /// When the API does not answer; absence is not an error.
    fn refresh<'a>(
        &'a self,
        id: &'a ResourceId,
        body: &'a Value,
    ) -> BoxFuture<'a, Result<Reading<Live>, ProviderError>>;

    /// Carries out one call of a change on what `live` says, and waits until its operation is done. The write is
    /// conditional on `live`'s concurrency handle where the API has one. `request_id` (a UUID) makes a repetition of the
    /// same call harmless where the API knows it.
    ///
    /// # Errors
    /// By class, see [`crate::error::ProviderErrorKind`].
    fn call<'a>(
        &'a self,
        change: &'a Change,
        call: &'a Call,
        live: &'a Reading<Live>,
        request_id: &'a str,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), ProviderError>>;

    /// Looks once whether the change's `ready_when` holds.
    ///
    /// # Errors
    /// When the API does not answer.
    fn ready<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Verdict, ProviderError>>;

    /// Measures what a change must not cost, before it: `None` where there is nothing to measure. `mark` is written where the
    /// change says so, to be found again by [`Self::measure_again`].
    ///
    /// # Errors
    /// When the API does not answer, or does not take the mark.
    fn measure<'a>(
        &'a self,
        _change: &'a Change,
        _mark: &'a str,
    ) -> BoxFuture<'a, Result<Option<Measure>, ProviderError>> {
        Box::pin(async { Ok(None) })
    }

    /// Measures the same after the change, on every member by itself.
    ///
    /// # Errors
    /// When the API does not answer.
    fn measure_again<'a>(
        &'a self,
        change: &'a Change,
        before: &'a Measure,
    ) -> BoxFuture<'a, Result<Measure, ProviderError>> {
        let nothing = format!("nothing was measured of {} before", change.id);
        let error =
            ProviderError::new(ProviderErrorKind::Invalid, format!("measuring {}", before.zxid), nothing);
        Box::pin(async { Err(error) })
    }

    /// Returns when it is worth looking again: something changed, or a pause has passed. The pause is the provider's own
    /// (its pace), a watch where the API has one.
    fn changed<'a>(&'a self, _change: &'a Change) -> BoxFuture<'a, ()> {
        Box::pin(tokio::time::sleep(std::time::Duration::from_secs(1)))
    }

    /// Waits for operations that were already under way on this resource, from whichever machine they were started.
    ///
    /// # Errors
    /// When the API does not answer or an operation failed.
    fn settle<'a>(
        &'a self,
        id: &'a ResourceId,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), ProviderError>>;
}

/// Everything read for a set of ensembles, in the order of the requests.
pub type AllObserved = Vec<Observed>;
