//! `zkprov init`: a commented starter file.

use crate::args::Init;
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::input;
use std::io::Write as _;
use zkprov_plans::spec;

pub(super) fn run(context: &Context, args: &Init) -> Result<Exit, CommandError> {
    if args.path.exists() && !args.force {
        return Err(CommandError::new(Exit::Failed, format!("{} exists already", args.path.display()))
            .hint("name another path, or add --force to replace it"));
    }
    let project = match &context.global.project {
        Some(project) => project.clone(),
        None => answer(context, "Google Cloud project [my-project]:", "my-project")?,
    };
    let zone = match &args.zone {
        Some(zone) => zone.clone(),
        None => answer(context, "Zone [us-east1-d]:", "us-east1-d")?,
    };
    let text = spec::starter(&project, &zone, &args.name);
    let source = spec::Source { name: args.path.display().to_string(), text: text.clone() };
    let loaded = spec::load(&[source], &[], &|name| context.env(name), &spec::Defaults::default());
    if !loaded.diagnostics.is_empty() {
        input::report(context, &loaded.diagnostics);
        return Err(CommandError::new(Exit::Failed, "nothing was written"));
    }
    input::write_atomically(context, &args.path, |file| file.write_all(text.as_bytes()))?;
    context.ui.note(&format!(
        "wrote {}; try `zkprov apply -f {} --sandbox` next: it needs no account",
        args.path.display(),
        args.path.display()
    ));
    Ok(Exit::Done)
}

/// Asks at a terminal; elsewhere the default stands.
fn answer(context: &Context, question: &str, default: &str) -> Result<String, CommandError> {
    if !context.interactive() {
        return Ok(default.to_owned());
    }
    let answer = context.ui.ask(question)?;
    Ok(if answer.is_empty() { default.to_owned() } else { answer })
}
