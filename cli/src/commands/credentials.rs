//! `zkprov credentials`: a kubeconfig context for people, as `gcloud container clusters get-credentials` writes it.

use crate::args::Credentials;
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::input;
use crate::session::Session;
use std::io::Write as _;
use std::path::Path;
use zkprov_engine::providers::kubernetes::kubeconfig::merge;

pub(super) async fn run(context: &Context, args: &Credentials) -> Result<Exit, CommandError> {
    let specs = input::specs(context)?;
    let path = args.kubeconfig.clone().or_else(|| context.kubeconfig()).ok_or_else(|| {
        CommandError::new(Exit::Failed, "neither KUBECONFIG nor HOME is set").hint("--kubeconfig FILE")
    })?;
    let session = Session::open(context).await?;
    let mut result = Ok(());
    for spec in &specs {
        result = write(context, &session, spec, &path).await;
        if result.is_err() {
            break;
        }
    }
    session.close().await;
    result.map(|()| Exit::Done)
}

async fn write(
    context: &Context,
    session: &Session,
    spec: &zkprov_plans::spec::ValidSpec,
    path: &Path,
) -> Result<(), CommandError> {
    let text = if path.exists() {
        std::fs::read_to_string(path)
            .map_err(|error| CommandError::failed(&format!("reading {}", path.display()), &error))?
    } else {
        String::new()
    };
    let kube = session.cloud.kube_context(spec).await?;
    let merged = merge(&text, &kube)
        .map_err(|error| CommandError::failed(&format!("reading {}", path.display()), &error))?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)
            .map_err(|error| CommandError::failed(&format!("creating {}", parent.display()), &error))?;
    }
    input::write_atomically(context, path, |file| file.write_all(merged.as_bytes()))?;
    context.ui.result_line(&format!("kubeconfig {} has the context {}", path.display(), kube.name))?;
    if session.is_sandbox() {
        context.ui.note(
            "the embedded cloud's cluster answers only while `zkprov sandbox serve` runs: run `credentials` with its \
             endpoints instead of --sandbox",
        );
    }
    Ok(())
}
