//! How a call is made: bounded in time, in number and in repetitions.

use super::classify::{Api, Intent, classify};
use crate::connection::{Connection, Pace};
use crate::credentials::Credentials;
use crate::error::{ProviderError, ProviderErrorKind};
use crate::wait::Backoff;
use google_cloud_auth::credentials::Credentials as GoogleCredentials;
use google_cloud_gax::Result as Answered;
use google_cloud_gax::client_builder::ClientBuilder;
use google_cloud_gax::retry_policy::NeverRetry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// Tries of one read.
const READ_TRIES: u32 = 3;
/// No further try of a read begins after this: an API that can't be reached is reported while the user still looks.
const READ_PATIENCE: Duration = Duration::from_secs(10);
/// How much longer than a read a write may take.
const WRITE_FACTOR: u32 = 3;
/// Pages of one list: far more than any project has, and an end for a server that never stops.
const MAX_PAGES: usize = 10_000;

/// How long a call that may be repeated is tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Time-out of one try.
    pub(super) time: Duration,
    /// How often.
    pub(super) tries: u32,
    /// No further try begins after this.
    pub(super) total: Duration,
}

/// Makes calls of one API.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) api: Api,
    pub(super) pace: Pace,
    permits: Arc<Semaphore>,
}

impl Caller {
    pub(super) fn new(api: Api, connection: &Connection) -> Self {
        Self { api, pace: connection.pace, permits: Arc::new(Semaphore::new(connection.parallelism.max(1))) }
    }

    /// A read, repeated a few times when that may help. `what` completes "reading ..".
    pub(super) async fn read<T, F>(&self, what: &str, send: impl Fn() -> F) -> Result<T, ProviderError>
    where
        F: Future<Output = Answered<T>>,
    {
        let patience = Patience { time: self.pace.request, tries: READ_TRIES, total: READ_PATIENCE };
        self.repeat(&format!("reading {what}"), patience, send).await
    }

    /// A call that may come twice, repeated when that may help: a read, or a write that is as good as one when its answer
    /// is lost.
    pub(super) async fn repeat<T, F>(
        &self,
        doing: &str,
        patience: Patience,
        send: impl Fn() -> F,
    ) -> Result<T, ProviderError>
    where
        F: Future<Output = Answered<T>>,
    {
        let begin = Instant::now();
        let mut backoff = Backoff::retrying(&self.pace);
        let mut tries = 1;
        loop {
            let error = match self.once(doing, Intent::Read, patience.time, send()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let pause = error.retry_after.unwrap_or_default().max(backoff.pause());
            let hopeless = error.kind != ProviderErrorKind::Transient || tries == patience.tries;
            if hopeless || begin.elapsed() + pause > patience.total {
                return Err(error);
            }
            tracing::debug!(%error, ?pause, "trying again");
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }

    /// Every item of a list that comes in pages. `send` gets the page token and answers items and the next token.
    pub(super) async fn pages<T, F>(
        &self,
        what: &str,
        send: impl Fn(Option<String>) -> F,
    ) -> Result<Vec<T>, ProviderError>
    where
        F: Future<Output = Answered<(Vec<T>, Option<String>)>>,
    {
        let (mut all, mut token) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let (items, next) = self.read(what, || send(token.clone())).await?;
            all.extend(items);
            match next.filter(|next| !next.is_empty()) {
                None => return Ok(all),
                Some(next) if token.as_ref() == Some(&next) => break,
                next @ Some(_) => token = next,
            }
        }
        let message = format!("{} sends the same page again and again", self.api.title());
        Err(ProviderError::new(ProviderErrorKind::Failed, format!("reading {what}"), message))
    }

    /// A write, sent once: whether to repeat it is the executor's decision.
    pub(super) async fn write<T>(
        &self,
        doing: &str,
        send: impl Future<Output = Answered<T>>,
    ) -> Result<T, ProviderError> {
        self.once(doing, Intent::Write, self.write_time(), send).await
    }

    /// One try of a long poll or of a poll. Takes no permit: many may be under way for minutes.
    pub(super) async fn poll<T>(
        &self,
        doing: &str,
        time: Duration,
        send: impl Future<Output = Answered<T>>,
    ) -> Result<T, ProviderError> {
        self.bounded(doing, Intent::Read, time, send).await
    }

    pub(super) fn write_time(&self) -> Duration {
        self.pace.request * WRITE_FACTOR
    }

    async fn once<T>(
        &self,
        doing: &str,
        intent: Intent,
        time: Duration,
        send: impl Future<Output = Answered<T>>,
    ) -> Result<T, ProviderError> {
        // Never closed, so a permit always comes.
        let _permit = self.permits.acquire().await.ok();
        self.bounded(doing, intent, time, send).await
    }

    async fn bounded<T>(
        &self,
        doing: &str,
        intent: Intent,
        time: Duration,
        send: impl Future<Output = Answered<T>>,
    ) -> Result<T, ProviderError> {
        let answer = timeout(time, send)
            .await
            .unwrap_or_else(|late| Err(google_cloud_gax::error::Error::timeout(late)));
        answer.map_err(|error| classify(self.api, intent, doing, error))
    }
}

/// Sets what all clients have in common: where, as whom, and that they repeat nothing by themselves.
pub(super) fn tuned<F>(
    builder: ClientBuilder<F, GoogleCredentials>,
    endpoint: Option<&String>,
    credentials: &Credentials,
) -> ClientBuilder<F, GoogleCredentials> {
    let builder = builder.with_credentials(credentials.google()).with_retry_policy(NeverRetry);
    match endpoint {
        Some(endpoint) => builder.with_endpoint(endpoint.clone()),
        None => builder,
    }
}

/// A client that could not be made: a wrong endpoint, mostly.
pub(super) fn not_connected(api: Api, error: &google_cloud_gax::client_builder::Error) -> ProviderError {
    let doing = format!("connecting to the {}", api.title());
    ProviderError::new(ProviderErrorKind::Invalid, doing, crate::error::one_line(error))
        .hint("an endpoint is a URL such as http://127.0.0.1:8080")
}
