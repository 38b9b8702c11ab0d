//! One API server: requests as JSON, with a deadline each, and failures by what they mean for a write.

use crate::error::{ProviderError, ProviderErrorKind};
use crate::providers::kubernetes::access::TokenSource;
use http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response};
use kube::api::WatchEvent;
use kube::client::Body;
use kube::{Client, Config};
use serde_json::Value;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Deadline of a read.
pub(crate) const READ: Duration = Duration::from_secs(15);
/// Deadline of a write.
pub(crate) const WRITE: Duration = Duration::from_secs(30);

/// Requests under way at once: the reads of several ensembles fit, and an API server is not flooded.
const CONCURRENCY: usize = 64;

/// One API server.
pub(crate) struct ApiServer {
    client: Client,
    config: Config,
    token: Option<TokenSource>,
    slots: Semaphore,
}

/// Why a request has no useful answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The API answered with an error status.
    Refused(Box<Refusal>),
    /// The request was never sent: no connection, no credentials, or it could not be built.
    Unsent(Box<ProviderError>),
    /// The request was sent; the answer was lost, late or cut.
    Lost(String),
}

/// An error status of the API.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// HTTP status.
    pub(crate) code: u16,
    /// `reason` of the Status object; empty when the answer was none.
    pub(crate) reason: String,
    /// `message` of the Status object, or the beginning of the answer.
    pub(crate) message: String,
    /// The answer, if it was JSON.
    pub(crate) status: Value,
    /// `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    /// Whether the API said that the object is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == 404)
    }

    /// The failure of a read.
    pub(crate) fn of_read(self, doing: impl Into<String>) -> ProviderError {
        self.into_error(doing.into(), false)
    }

    /// The failure of a write: without a clear answer it may have happened.
    pub(crate) fn of_write(self, doing: impl Into<String>) -> ProviderError {
        self.into_error(doing.into(), true)
    }

    fn into_error(self, doing: String, write: bool) -> ProviderError {
        match self {
            Self::Unsent(error) => ProviderError { doing, ..*error },
            Self::Lost(message) if write => {
                ProviderError::new(ProviderErrorKind::OutcomeUnknown, doing, message)
            }
            Self::Lost(message) => ProviderError::new(ProviderErrorKind::Transient, doing, message),
            Self::Refused(refusal) => refusal.into_error(doing, write),
        }
    }
}

impl Refusal {
    fn kind(&self, write: bool) -> ProviderErrorKind {
        match self.code {
            401 | 403 => ProviderErrorKind::Denied,
            404 => ProviderErrorKind::NotFound,
            409 if self.reason == "AlreadyExists" => ProviderErrorKind::AlreadyExists,
            409 | 410 | 412 => ProviderErrorKind::Stale,
            429 | 503 => ProviderErrorKind::Transient,
            500..=599 if write => ProviderErrorKind::OutcomeUnknown,
            500..=599 => ProviderErrorKind::Transient,
            _ => ProviderErrorKind::Invalid,
        }
    }

    fn into_error(self, doing: String, write: bool) -> ProviderError {
        let hint = match self.code {
            401 => "the cluster does not know these credentials: `gcloud auth application-default login`",
            403 => "ask for the role roles/container.developer on the project, or the same rights by RBAC",
            _ => "",
        };
        let mut error = ProviderError::new(self.kind(write), doing, self.message).hint(hint);
        error.retry_after = self.retry_after;
        error
    }
}

impl ApiServer {
    pub(crate) fn new(client: Client, config: Config, token: Option<TokenSource>) -> Self {
        Self { client, config, token, slots: Semaphore::new(CONCURRENCY) }
    }

    /// A client for one stream into a pod. Streams begin as an upgrade of HTTP/1.1, and each takes a connection of its own.
    pub(crate) async fn streaming(&self) -> Result<Client, Failure> {
        let mut config = self.config.clone();
        if let Some(source) = &self.token {
            let token = source().await.map_err(|error| Failure::Unsent(Box::new(error)))?;
            config.auth_info.token = Some(token.into());
        }
        Client::try_from(config).map_err(transport)
    }

    /// Sends a request and returns the JSON of a 2xx answer; `null` for an empty one.
    pub(crate) async fn json(
        &self,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
        deadline: Duration,
    ) -> Result<Value, Failure> {
        let bytes = self.bytes(built(request)?, deadline).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| Failure::Lost(format!("the answer is no JSON: {error}")))
    }

    /// Sends a request and returns the text of a 2xx answer.
    pub(crate) async fn text(
        &self,
        request: Request<Vec<u8>>,
        deadline: Duration,
    ) -> Result<String, Failure> {
        let bytes = self.bytes(request, deadline).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn bytes(&self, request: Request<Vec<u8>>, deadline: Duration) -> Result<Vec<u8>, Failure> {
        let (head, body) = self.forward(request, deadline).await?.into_parts();
        if head.status.is_success() {
            return Ok(body);
        }
        let seconds = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let refusal = refusal(head.status.as_u16(), &body, seconds.map(Duration::from_secs));
        Err(Failure::Refused(Box::new(refusal)))
    }

    /// Sends a request and returns the answer whatever its status.
    pub(crate) async fn forward(
        &self,
        request: Request<Vec<u8>>,
        deadline: Duration,
    ) -> Result<Response<Vec<u8>>, Failure> {
        let _slot = self.slots.acquire().await;
        let request = self.authorized(request).await?;
        let answer = tokio::time::timeout(deadline, async {
            let response = self.client.send(request.map(Body::from)).await.map_err(transport)?;
            let (head, body) = response.into_parts();
            let body = body.collect_bytes().await;
            let body = body.map_err(|error| Failure::Lost(format!("the answer was cut: {error}")))?;
            Ok(Response::from_parts(head, body.to_vec()))
        });
        let late = |_| Failure::Lost(format!("no answer within {} s", deadline.as_secs()));
        answer.await.map_err(late)?
    }

    async fn authorized(&self, mut request: Request<Vec<u8>>) -> Result<Request<Vec<u8>>, Failure> {
        if let Some(source) = &self.token {
            let token = source().await.map_err(|error| Failure::Unsent(Box::new(error)))?;
            let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
                let message = "the access token has characters that no header can carry";
                unsent(ProviderErrorKind::Denied, message, "")
            })?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(request)
    }

    /// Opens a watch; its events come as JSON objects `{type, object}` decoded by the client.
    pub(crate) async fn watch(
        &self,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<impl futures::Stream<Item = Result<WatchEvent<Value>, kube::Error>>, Failure> {
        let request = self.authorized(built(request)?).await?;
        self.client.request_events::<Value>(request).await.map_err(transport)
    }
}

fn built(request: Result<Request<Vec<u8>>, kube::core::request::Error>) -> Result<Request<Vec<u8>>, Failure> {
    request.map_err(|error| unsent(ProviderErrorKind::Invalid, error.to_string(), ""))
}

/// A failure before anything was sent.
fn unsent(kind: ProviderErrorKind, message: impl Into<String>, hint: &str) -> Failure {
    Failure::Unsent(Box::new(ProviderError::new(kind, "", message).hint(hint)))
}

/// A plain request without a body.
pub(crate) fn plain(method: Method, path: &str) -> Result<Request<Vec<u8>>, kube::core::request::Error> {
    Request::builder()
        .method(method)
        .uri(path)
        .body(Vec::new())
        .map_err(kube::core::request::Error::BuildRequest)
}

/// What an error status says. Exhibitor and proxies answer with text or HTML, the API server with a `Status`.
fn refusal(code: u16, body: &[u8], retry_after: Option<Duration>) -> Refusal {
    let status: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let field = |name: &str| status.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut message = field("message");
    if message.is_empty() {
        let text = String::from_utf8_lossy(body);
        let start: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect();
        message = if start.is_empty() { format!("status {code}") } else { format!("status {code}: {start}") };
    }
    Refusal { code, reason: field("reason"), message, status, retry_after }
}

/// Tells a request that was never sent from one whose answer was lost.
pub(crate) fn transport(error: kube::Error) -> Failure {
    if let kube::Error::Api(status) = &error {
        let body = serde_json::to_vec(&status).unwrap_or_default();
        return Failure::Refused(Box::new(refusal(status.code, &body, None)));
    }
    if let kube::Error::Auth(_) | kube::Error::BuildRequest(_) | kube::Error::TlsRequired = &error {
        return unsent(ProviderErrorKind::Denied, chain(&error), "");
    }
    let causes =
        || std::iter::successors(Some(&error as &(dyn std::error::Error + 'static)), |error| error.source());
    if causes().any(is_tls) {
        let hint = "the API server's certificate is not the one of this cluster; \
                    is there a proxy in between, or was the cluster replaced?";
        return unsent(ProviderErrorKind::Failed, chain(&error), hint);
    }
    let unconnected = |error: &(dyn std::error::Error + 'static)| {
        error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect())
    };
    if causes().any(unconnected) {
        return unsent(ProviderErrorKind::Transient, chain(&error), "");
    }
    Failure::Lost(chain(&error))
}

/// Whether this is TLS's own error. I/O errors carry it inside, and skip it among their sources.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    inner.is_some_and(|inner| is_tls(inner))
}

/// The causes of an error in one line, each once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        let text = current.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = current.source();
    }
    line
}
