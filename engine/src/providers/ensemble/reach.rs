//! Into the pods of an ensemble: commands, connections to ZooKeeper, its four-letter words.

use super::gateway::{Gateway, Target};
use super::{EnsembleProvider, namespace};
use crate::error::{ProviderError, ProviderErrorKind};
use crate::providers::kubernetes::api::{READ, plain};
use crate::providers::kubernetes::{Exit, Pod, pods_path, text};
use http::Method;
use kube::api::ListParams;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zkprov_plans::observed::EnsembleState;
use zkprov_plans::pods;
use zkprov_plans::resource::ResourceId;

/// Deadline of a four-letter word.
const WORD: Duration = Duration::from_secs(10);
/// The longest answer to one: `mntr` has 2 kB.
const ANSWER: u64 = 64 * 1024;

/// The way to one ensemble's members.
#[derive(Clone)]
pub struct Members {
    ensemble: Arc<EnsembleProvider>,
    id: ResourceId,
    port: u16,
}

impl Members {
    pub(crate) fn new(ensemble: Arc<EnsembleProvider>, id: ResourceId, port: u16) -> Self {
        Self { ensemble, id, port }
    }

    /// Looks at the ensemble once.
    ///
    /// # Errors
    /// When the pods can't be listed.
    pub async fn look(&self) -> Result<EnsembleState, ProviderError> {
        self.ensemble.look(&self.id).await
    }

    /// Names of the pods that are ready, by age.
    ///
    /// # Errors
    /// When the pods can't be listed.
    pub async fn ready(&self) -> Result<Vec<String>, ProviderError> {
        let params = ListParams::default().labels(&self.ensemble.selector(&self.id));
        let kubernetes = &self.ensemble.kubernetes;
        let (documents, _) = kubernetes.list(pods_path(namespace(&self.id)?), &params).await?;
        let ready = pods::pods(&documents).into_iter().filter(|pod| pod.ready && !pod.deleting);
        Ok(ready.map(|pod| pod.name).collect())
    }

    /// Runs a command in a pod, without a shell, and copies its standard output as it comes.
    ///
    /// # Errors
    /// When it can't be started, when its output or its end is lost, or it takes longer than `limit`. A command that fails is
    /// no error: see [`Exit::success`].
    pub async fn exec(
        &self,
        pod: &str,
        command: &[&str],
        into: &mut (dyn AsyncWrite + Unpin + Send),
        limit: Duration,
    ) -> Result<Exit, ProviderError> {
        let kubernetes = &self.ensemble.kubernetes;
        let path = format!("{}/{pod}", pods_path(namespace(&self.id)?));
        let read = kubernetes.api.json(plain(Method::GET, &path), READ).await;
        let document = read.map_err(|failure| failure.of_read(format!("reading pod {pod}")))?;
        // What is injected into a pod comes after what its template says.
        let container = text(&document, "/spec/containers/0/name");
        kubernetes.exec(Pod { container, ..self.place(pod)? }, command, into, limit).await
    }

    /// A connection to ZooKeeper in a pod.
    ///
    /// # Errors
    /// When the API server does not begin the stream. That ZooKeeper does not listen shows in the stream, which ends.
    pub async fn connect(
        &self,
        pod: &str,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + use<>, ProviderError> {
        self.ensemble.kubernetes.connect_to(self.place(pod)?, self.port).await
    }

    /// Opens a ZooKeeper address on this machine.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn gateway(&self, target: Target) -> Result<Gateway, ProviderError> {
        Gateway::open(self.clone(), target).await
    }

    /// What ZooKeeper in a pod answers to a four-letter word; empty when it does not know it.
    ///
    /// # Errors
    /// When it does not answer within 10 s.
    pub async fn word(&self, pod: &str, word: &str) -> Result<String, ProviderError> {
        let doing = || format!("asking ZooKeeper in pod {pod} for `{word}`");
        let ask = async {
            let mut stream = self.connect(pod).await?;
            let mut answer = Vec::new();
            let talk = async {
                stream.write_all(word.as_bytes()).await?;
                stream.take(ANSWER).read_to_end(&mut answer).await
            };
            let talked: std::io::Result<usize> = talk.await;
            talked.map_err(|error| {
                ProviderError::new(ProviderErrorKind::Transient, doing(), error.to_string())
            })?;
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        tokio::time::timeout(WORD, ask).await.unwrap_or_else(|_| {
            let late = format!("no answer within {} s", WORD.as_secs());
            Err(ProviderError::new(ProviderErrorKind::Deadline, doing(), late))
        })
    }

    fn place<'a>(&'a self, pod: &'a str) -> Result<Pod<'a>, ProviderError> {
        Ok(Pod { namespace: namespace(&self.id)?, name: pod, container: None })
    }
}
