//! `zkprov scale N`: the guarded steps to another odd size.

use super::run::Sink;
use crate::args::{Consent, Scale};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::input;
use crate::session::Session;
use std::io::Write as _;
use zkprov_plans::diagnostic::Severity;
use zkprov_plans::quorum;
use zkprov_plans::spec;

pub(super) async fn run(context: &Context, args: &Scale) -> Result<Exit, CommandError> {
    refuse_even(args.replicas)?;
    let mut set = context.global.set.clone();
    set.push(format!("spec.exhibitor.replicas={}", args.replicas));
    let loaded = input::load_with(context, &set)?;
    input::report(context, &loaded.diagnostics);
    if loaded.diagnostics.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(CommandError::silent(Exit::Refused));
    }
    if loaded.specs.len() != 1 {
        return Err(CommandError::new(Exit::Usage, "scale changes one ensemble, and the file has several")
            .hint("name a file with one document: -f FILE"));
    }
    let name = loaded.specs.first().map(|spec| spec.name.clone()).unwrap_or_default();
    let sink = Sink::new(context, args.format);
    let session = Session::open(context).await?;
    let result =
        super::apply::fresh(context, &session, loaded.specs, &Consent::default(), args.yes, &sink).await;
    session.close().await;
    let exit = result?;
    if args.write && exit == Exit::Done {
        write(context, &name, args.replicas)?;
    }
    Ok(exit)
}

/// The command's own guard, before anything is read.
fn refuse_even(replicas: u32) -> Result<(), CommandError> {
    if !replicas.is_multiple_of(2) && replicas <= 9 {
        return Ok(());
    }
    let (below, above) = quorum::neighbours(replicas);
    if replicas > 9 {
        return Err(CommandError::new(
            Exit::Refused,
            format!("{replicas} members are more than 9; nothing was changed"),
        )
        .hint("every write waits for a majority: more voters make it slower, not safer"));
    }
    let choices = match below {
        Some(below) if below > 0 => format!("`zkprov scale {below}` or `zkprov scale {above}`"),
        Some(_) | None => format!("`zkprov scale {above}`"),
    };
    let (more, need) = (quorum::need(replicas), quorum::need(replicas.saturating_sub(1)));
    Err(CommandError::new(
        Exit::Refused,
        format!(
            "an ensemble of {replicas} is refused: it needs {more} members to serve where {} need {need}, and survives \
             no more failures; nothing was changed",
            replicas.saturating_sub(1)
        ),
    )
    .hint(choices))
}

/// The file follows, its comments and layout kept.
fn write(context: &Context, ensemble: &str, replicas: u32) -> Result<(), CommandError> {
    let files = input::named(context);
    let [path] = files.as_slice() else {
        return Err(CommandError::new(Exit::Failed, "--write needs exactly one file")
            .hint("the ensemble has its new size; edit `spec.exhibitor.replicas` by hand"));
    };
    let doing = format!("editing {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| CommandError::failed(&doing, &error))?;
    let edited = spec::set_replicas(&text, ensemble, replicas)
        .map_err(|error| CommandError::failed(&doing, &error))?;
    input::write_atomically(context, path, |file| file.write_all(edited.as_bytes()))?;
    context.ui.note(&format!("{} says {replicas} replicas now", path.display()));
    Ok(())
}
