//! `zkprov sandbox`: the embedded cloud for other clients.

use crate::args::{ProjectLike, Sandbox, Serve};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::session::sandbox_options;
use std::path::PathBuf;
use zkprov_sandbox::reality::{Change, Preset};
use zkprov_sandbox::server::{self, OutsideCluster, State};

pub(super) async fn run(context: &Context, command: Sandbox) -> Result<Exit, CommandError> {
    match command {
        Sandbox::Serve(args) => serve(context, &args).await,
        Sandbox::Show => {
            let world = server::show(&directory(context)?)
                .map_err(|error| CommandError::failed("reading the embedded cloud", &error))?;
            context.ui.result_line(&format!("{world:#}"))?;
            Ok(Exit::Done)
        }
        Sandbox::Reset => {
            let directory = directory(context)?;
            let there = server::reset(&directory)
                .map_err(|error| CommandError::failed("resetting the embedded cloud", &error))?;
            let words = if there { "forgotten" } else { "there was none" };
            context.ui.result_line(&format!("embedded cloud in {}: {words}", directory.display()))?;
            Ok(Exit::Done)
        }
    }
}

/// The directory that `--sandbox` names, or the default one.
fn directory(context: &Context) -> Result<PathBuf, CommandError> {
    match &context.global.sandbox {
        Some(Some(directory)) => Ok(directory.clone()),
        Some(None) | None => context.default_sandbox(),
    }
}

const fn preset(like: ProjectLike) -> Preset {
    match like {
        ProjectLike::Default => Preset::Default,
        ProjectLike::New => Preset::New,
        ProjectLike::Trial => Preset::Trial,
        ProjectLike::Strict => Preset::Strict,
    }
}

async fn serve(context: &Context, args: &Serve) -> Result<Exit, CommandError> {
    let mut options = sandbox_options(context)?.unwrap_or_default();
    options.state = State::Dir(directory(context)?);
    for (port, asked) in options.ports.iter_mut().zip(args.ports.iter().flatten()) {
        *port = *asked;
    }
    if let (Some(address), Some(path)) = (&args.cluster_endpoint, &args.cluster_ca) {
        let ca_pem = crate::input::text_of(path)?;
        options.outside_cluster = Some(OutsideCluster { address: address.clone(), ca_pem });
    }
    for rule in &args.fault {
        let rule = serde_json::from_str(rule).map_err(|error| {
            CommandError::new(Exit::Usage, format!("--fault {rule}: {error}"))
                .hint("docs/guides/sandbox.md lists the fields of a fault")
        })?;
        options.faults.push(rule);
    }
    options.reality = Change { like: args.project_like.map(preset), set: args.reality.clone() };
    let running = server::start(options)
        .await
        .map_err(|error| CommandError::failed("starting the embedded cloud", &error))?;
    context.ui.result(&format!(
        "export CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE={}/compute/v1/\n\
         export CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER={}/\n\
         export CLOUDSDK_API_ENDPOINT_OVERRIDES_SERVICEUSAGE={}/\n\
         export CLOUDSDK_API_ENDPOINT_OVERRIDES_FILE={}/\n\
         export CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE={}/storage/v1/\n\
         export CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true\n",
        running.compute, running.container, running.container, running.filestore, running.storage
    ))?;
    context.ui.note("serving; Ctrl-C ends it, the state stays");
    let mut signals = crate::signals::Signals::listen()?;
    // An error means that the listener is gone, and nobody can end us any more.
    let _ = signals.stop.wait_for(|stop| *stop).await;
    running.stop().await;
    Ok(Exit::Done)
}
