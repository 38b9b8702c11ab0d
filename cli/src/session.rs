//! One connection to a cloud: Google's own, or the embedded one. The only place that knows the difference.

use crate::context::Context;
use crate::error::{CommandError, Exit};
use std::time::Duration;
use zkprov_engine::cloud::Cloud;
use zkprov_engine::connection::{Connection, CredentialSource, Endpoints, Pace};
use zkprov_sandbox::server::{self, Clock, Options, Running, State};

/// Virtual seconds of the embedded cloud that pass in one second: the tutorial's apply, about 5 minutes on Google's
/// cloud, takes under 15 s.
const RATE: f64 = 40.0;

/// A cloud, and the server of the embedded one while it is needed.
pub(crate) struct Session {
    pub(crate) cloud: Cloud,
    sandbox: Option<Running>,
}

impl Session {
    /// Connects as the options and the environment say.
    pub(crate) async fn open(context: &Context) -> Result<Self, CommandError> {
        Self::connect(context, false).await
    }

    /// The same from a pod of the ensemble's cluster, which is reached as that pod.
    pub(crate) async fn open_in_cluster(context: &Context) -> Result<Self, CommandError> {
        Self::connect(context, true).await
    }

    async fn connect(context: &Context, in_cluster: bool) -> Result<Self, CommandError> {
        let mut pace = Pace::default();
        let (sandbox, endpoints, credentials) = match sandbox_options(context)? {
            Some(options) => {
                let running = server::start(options)
                    .await
                    .map_err(|error| CommandError::failed("starting the embedded cloud", &error))?;
                let endpoints = Endpoints {
                    compute: Some(running.compute.clone()),
                    container: Some(running.container.clone()),
                    filestore: Some(running.filestore.clone()),
                    storage: Some(running.storage.clone()),
                };
                // Its time runs faster, and so do the polls.
                pace.poll = Duration::from_millis(50);
                pace.poll_max = Duration::from_millis(200);
                pace.retry = Duration::from_millis(50);
                (Some(running), endpoints, CredentialSource::Anonymous)
            }
            None => (None, endpoints(context), credentials(context)),
        };
        if let Some(timeout) = context.global.timeout {
            (pace.step, pace.formation) = (timeout, timeout);
        }
        let parallelism = usize::from(context.global.parallelism);
        let cloud =
            Cloud::connect(Connection { endpoints, credentials, pace, parallelism, in_cluster }).await?;
        Ok(Self { cloud, sandbox })
    }

    /// Ends the embedded cloud's server; its state stays.
    pub(crate) async fn close(self) {
        if let Some(running) = self.sandbox {
            running.stop().await;
        }
    }

    /// Whether this is the embedded cloud.
    pub(crate) const fn is_sandbox(&self) -> bool {
        self.sandbox.is_some()
    }
}

/// How the embedded cloud is served, if `--sandbox` is given.
pub(crate) fn sandbox_options(context: &Context) -> Result<Option<Options>, CommandError> {
    let Some(directory) = &context.global.sandbox else { return Ok(None) };
    let directory = match directory {
        Some(directory) if directory.as_os_str().is_empty() => {
            return Err(CommandError::new(Exit::Usage, "--sandbox= names no directory").hint("--sandbox=DIR"));
        }
        Some(directory) => directory.clone(),
        None => context.default_sandbox()?,
    };
    let clock = Clock::Paced { rate: rate(context)? };
    Ok(Some(Options { state: State::Dir(directory), clock, ..Options::default() }))
}

/// `ZKPROV_SANDBOX_RATE` paces the embedded cloud for tests and demonstrations.
fn rate(context: &Context) -> Result<f64, CommandError> {
    const NAME: &str = "ZKPROV_SANDBOX_RATE";
    let Some(text) = context.env(NAME) else { return Ok(RATE) };
    text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0).ok_or_else(|| {
        CommandError::new(Exit::Usage, format!("{NAME} is `{text}`, not a positive number"))
            .hint(format!("unset {NAME}: {RATE} virtual seconds then pass in one"))
    })
}

/// Who we are to Google's own cloud, or to an emulator for which gcloud, too, is told to send no credentials.
fn credentials(context: &Context) -> CredentialSource {
    let disabled = context.env("CLOUDSDK_AUTH_DISABLE_CREDENTIALS");
    if disabled
        .is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on"))
    {
        CredentialSource::Anonymous
    } else {
        CredentialSource::Default
    }
}

/// Endpoint overrides, by the variables that gcloud reads.
fn endpoints(context: &Context) -> Endpoints {
    let of = |service: &str| {
        let url = context.env(&format!("CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}"))?;
        // gcloud's overrides of Compute and Storage end with the version; ours are hosts.
        let url = url.trim_end_matches('/');
        let url = url.trim_end_matches("/compute/v1").trim_end_matches("/storage/v1").to_owned();
        (!url.is_empty()).then_some(url)
    };
    Endpoints {
        compute: of("COMPUTE"),
        container: of("CONTAINER"),
        filestore: of("FILE"),
        storage: of("STORAGE"),
    }
}
