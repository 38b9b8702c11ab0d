//! Streams into a pod through the API server: commands, and connections to its ports.

use super::KubernetesProvider;
use super::api::{Failure, transport};
use crate::error::{ProviderError, ProviderErrorKind};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use kube::api::{AttachParams, AttachedProcess};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How much of the output waits for its reader.
const BUFFER: usize = 1024 * 1024;
/// How much of what a command complains about is kept.
const COMPLAINT: u64 = 16 * 1024;
/// How long the API server may take to begin a stream.
const BEGIN: Duration = Duration::from_secs(20);

/// Which container of which pod.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pod<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    /// None for the only one.
    pub(crate) container: Option<&'a str>,
}

/// How a command in a pod ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Its exit status; 0 is success.
    pub code: i32,
    /// What it wrote to its standard error, the first 16 KiB.
    pub stderr: String,
}

impl Exit {
    /// The error of a command that must not fail.
    ///
    /// # Errors
    /// When the status is not 0, with what the command said.
    pub fn success(self, doing: impl Into<String>) -> Result<(), ProviderError> {
        if self.code == 0 {
            return Ok(());
        }
        let said = self.stderr.trim();
        let message = if said.is_empty() { format!("exit status {}", self.code) } else { said.to_owned() };
        Err(ProviderError::new(ProviderErrorKind::Failed, doing, message))
    }
}

impl KubernetesProvider {
    /// Runs a command in a pod, without a shell, and copies its standard output as it comes.
    ///
    /// # Errors
    /// When it can't be started, when its output or its end is lost, or it takes longer than `limit`. What was copied until then
    /// is no whole output. A command that fails is no error: see [`Exit::success`].
    pub(crate) async fn exec(
        &self,
        pod: Pod<'_>,
        command: &[&str],
        into: &mut (dyn AsyncWrite + Unpin + Send),
        limit: Duration,
    ) -> Result<Exit, ProviderError> {
        let doing = || format!("running `{}` in pod {}", command.join(" "), pod.name);
        let run = async {
            let mut process = self.begin(pod, command).await.map_err(|failure| failure.of_read(doing()))?;
            let lost = |why: &str| ProviderError::new(ProviderErrorKind::Transient, doing(), why);
            let (Some(mut stdout), Some(stderr), Some(status)) = (
                AttachedProcess::stdout(&mut process),
                AttachedProcess::stderr(&mut process),
                process.take_status(),
            ) else {
                return Err(lost("the stream has no output"));
            };
            let mut said = Vec::new();
            let listen = async {
                let mut stderr = stderr;
                let _ = (&mut stderr).take(COMPLAINT).read_to_end(&mut said).await;
                // What is not read would stop the command.
                let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
            };
            let copy = async {
                tokio::io::copy(&mut stdout, into).await?;
                into.flush().await
            };
            let (copied, (), status) = tokio::join!(copy, listen, status);
            copied.map_err(|error| lost(&format!("its output: {error}")))?;
            let status = status.ok_or_else(|| lost("the connection ended before the command did"))?;
            let code = exit_code(&status).ok_or_else(|| {
                let why = status.message.unwrap_or_else(|| "no exit status".to_owned());
                ProviderError::new(ProviderErrorKind::Failed, doing(), why)
            })?;
            Ok(Exit { code, stderr: String::from_utf8_lossy(&said).into_owned() })
        };
        tokio::time::timeout(limit, run).await.unwrap_or_else(|_| {
            let late = format!("it did not end within {} s", limit.as_secs());
            Err(ProviderError::new(ProviderErrorKind::Deadline, doing(), late))
        })
    }

    async fn begin(&self, pod: Pod<'_>, command: &[&str]) -> Result<AttachedProcess, Failure> {
        let params = AttachParams {
            container: pod.container.map(str::to_owned),
            ..AttachParams::default().stdin(false).max_stdout_buf_size(BUFFER)
        };
        let begin = async {
            let pods = self.pods(pod.namespace).await?;
            pods.exec(pod.name, command.iter().copied(), &params).await.map_err(transport)
        };
        in_time(begin).await
    }

    /// Connects to a port of a pod, as it sees it on its own loopback address.
    ///
    /// # Errors
    /// When the API server does not begin the stream. That nothing listens in the pod shows in the stream, which ends.
    pub(crate) async fn connect_to(
        &self,
        pod: Pod<'_>,
        port: u16,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + use<>, ProviderError> {
        let doing = || format!("connecting to port {port} of pod {}", pod.name);
        let begin = async {
            let pods = self.pods(pod.namespace).await?;
            pods.portforward(pod.name, &[port]).await.map_err(transport)
        };
        let mut forwarder = in_time(begin).await.map_err(|failure| failure.of_read(doing()))?;
        let stream = forwarder.take_stream(port);
        stream.ok_or_else(|| ProviderError::new(ProviderErrorKind::Failed, doing(), "there is no stream"))
    }

    async fn pods(&self, namespace: &str) -> Result<Api<core::Pod>, Failure> {
        Ok(Api::namespaced(self.api.streaming().await?, namespace))
    }
}

async fn in_time<T>(begin: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let late = |_| Failure::Lost(format!("no answer within {} s", BEGIN.as_secs()));
    tokio::time::timeout(BEGIN, begin).await.map_err(late)?
}

/// The exit status that the API server reports; none when the command did not run to its end.
fn exit_code(status: &Status) -> Option<i32> {
    if status.status.as_deref() == Some("Success") {
        return Some(0);
    }
    let causes = status.details.as_ref()?.causes.as_ref()?;
    let code = causes.iter().find(|cause| cause.reason.as_deref() == Some("ExitCode"))?;
    code.message.as_ref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn code(status: Value) -> Option<i32> {
        exit_code(&serde_json::from_value(status).unwrap())
    }

    #[test]
    fn the_exit_status_is_among_the_causes() {
        assert_eq!(code(json!({"status": "Success"})), Some(0));
        let failed = json!({"status": "Failure", "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": "2"}]}});
        assert_eq!(code(failed), Some(2));
        let never_ran =
            json!({"status": "Failure", "reason": "InternalError", "message": "no such container"});
        assert_eq!(code(never_ran), None);
    }

    #[test]
    fn a_failure_says_what_the_command_said() {
        let exit = Exit { code: 2, stderr: "tar: version-2: No such file\n".to_owned() };
        let error = exit.success("reading").unwrap_err();
        assert_eq!(error.to_string(), "reading: tar: version-2: No such file");
        assert!(Exit { code: 0, stderr: "a warning".to_owned() }.success("reading").is_ok());
    }
}
