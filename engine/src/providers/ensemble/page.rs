//! The members' own page and REST API, through the API server's pod proxy.

use super::EnsembleProvider;
use super::read::proxied;
use super::write::spokesman;
use crate::error::{ProviderError, ProviderErrorKind};
use http::{Method, Request, Response};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use zkprov_plans::resource::ResourceId;

/// Deadline of one request: Exhibitor's explorer waits a minute for a ZooKeeper that does not serve.
const PATIENCE: Duration = Duration::from_secs(70);

/// One ensemble's Exhibitor. The same member is asked for as long as it answers, so that what one request changed the next
/// one shows.
pub struct Page {
    ensemble: Arc<EnsembleProvider>,
    id: ResourceId,
    pod: Mutex<Option<Value>>,
}

impl Page {
    pub(crate) fn new(ensemble: Arc<EnsembleProvider>, id: ResourceId) -> Self {
        Self { ensemble, id, pod: Mutex::default() }
    }

    /// The name of the pod that is asked.
    ///
    /// # Errors
    /// When the pods can't be listed, or none answers.
    pub async fn pod(&self) -> Result<String, ProviderError> {
        let pod = self.choose().await?;
        Ok(pod.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Sends a request whose path is below `/exhibitor/v1/`, with Exhibitor's answer whatever its status. A question to a member
    /// that is gone goes to another one; a change is not repeated.
    ///
    /// # Errors
    /// When the path is elsewhere, when no member answers, or the answer to a change is lost.
    pub async fn ask(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, ProviderError> {
        let question = matches!(*request.method(), Method::GET | Method::HEAD);
        let again = question.then(|| request.clone());
        let first = self.send(request).await;
        let gone = first.as_ref().map_or(true, of_api_server);
        match again.filter(|_| gone) {
            Some(request) => {
                *self.pod.lock().await = None;
                self.send(request).await
            }
            None => first,
        }
    }

    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, ProviderError> {
        let pod = self.choose().await?;
        let doing = || format!("asking Exhibitor of {}", self.id.name);
        let (mut head, body) = request.into_parts();
        let rest = head.uri.path_and_query().map(|path| path.as_str()).unwrap_or_default();
        let invalid = |message: String| ProviderError::new(ProviderErrorKind::Invalid, doing(), message);
        let rest = rest
            .strip_prefix("/exhibitor/v1/")
            .ok_or_else(|| invalid(format!("{rest} is not below /exhibitor/v1/")))?;
        head.uri = proxied(&self.id, &pod, rest)?
            .parse()
            .map_err(|error: http::uri::InvalidUri| invalid(error.to_string()))?;
        let question = matches!(head.method, Method::GET | Method::HEAD);
        let api = &self.ensemble.kubernetes.api;
        api.forward(Request::from_parts(head, body), PATIENCE)
            .await
            .map_err(|failure| if question { failure.of_read(doing()) } else { failure.of_write(doing()) })
    }

    async fn choose(&self) -> Result<Value, ProviderError> {
        let mut pod = self.pod.lock().await;
        if let Some(pod) = &*pod {
            return Ok(pod.clone());
        }
        let sight = self.ensemble.sight(&self.id).await?;
        let chosen = spokesman(&sight).cloned().ok_or_else(|| {
            let why = sight.state.gaps.iter().map(|gap| gap.why.as_str()).collect::<Vec<_>>().join("; ");
            let why = if why.is_empty() { "there are no pods".to_owned() } else { why };
            let doing = format!("looking for a member of {} that answers", self.id.name);
            ProviderError::new(ProviderErrorKind::NotFound, doing, why)
                .hint("`zkprov status` shows what each pod waits for")
        })?;
        Ok(pod.insert(chosen).clone())
    }
}

/// Whether the API server answered in place of a pod that it could not reach: with an object of its own.
fn of_api_server(answer: &Response<Vec<u8>>) -> bool {
    let status = || serde_json::from_slice::<Value>(answer.body()).ok();
    !answer.status().is_success() && status().is_some_and(|status| status["kind"] == "Status")
}
