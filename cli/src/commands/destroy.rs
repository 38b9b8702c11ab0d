//! `zkprov destroy`: the plan against nothing, the typed name, the orphan check.

use super::run::{self, Sink};
use crate::args::{Consent, Destroy};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::input;
use crate::pipeline::{self, Planned};
use crate::session::Session;
use serde_json::json;
use zkprov_engine::provider::ReadRequest;
use zkprov_plans::observed::{Ownership, Reading};
use zkprov_plans::plan::{Mode, Reason};
use zkprov_plans::saved::Approval;

pub(super) async fn run(context: &Context, args: &Destroy) -> Result<Exit, CommandError> {
    let specs = input::specs(context)?;
    let sink = Sink::new(context, args.format);
    let session = Session::open(context).await?;
    let result = destroy(context, args, &session, specs, &sink).await;
    session.close().await;
    result
}

async fn destroy(
    context: &Context,
    args: &Destroy,
    session: &Session,
    mut specs: Vec<zkprov_plans::spec::ValidSpec>,
    sink: &Sink,
) -> Result<Exit, CommandError> {
    // The reverse of creation: an ensemble in another one's cluster goes first.
    specs.reverse();
    let desired = pipeline::render(context, &specs)?;
    let mode = Mode::Destroy { delete_data: args.delete_data };
    run::settle(session, &specs, &desired, mode, sink).await?;
    let planned = pipeline::plan_rendered(session, specs, desired, mode, &Consent::default()).await?;
    if sink.is_text() {
        super::plan::print(context, &planned)?;
    }
    run::refuse(&planned, sink.is_text())?;
    if planned.iter().all(|one| one.plan().steps.is_empty()) {
        return run::conclude(context, session, planned, sink).await;
    }
    let question = "This cannot be undone. Type the name `NAME` to destroy it:";
    let approval = confirm(context, args.confirm.as_ref(), &planned, question)?;
    run::carry_out(context, session, planned, approval, sink).await
}

/// The name has to be typed, or given; in the question it stands for `NAME`.
pub(super) fn confirm(
    context: &Context,
    given: Option<&String>,
    planned: &[Planned],
    question: &str,
) -> Result<Approval, CommandError> {
    let names: Vec<&str> = planned.iter().map(|one| one.spec.name.as_str()).collect();
    let name = names.join(",");
    let wrong = |typed: &str| {
        CommandError::new(Exit::Refused, format!("`{typed}` is not the name `{name}`; nothing was changed"))
            .hint(format!("--confirm {name}"))
    };
    match given {
        Some(typed) if *typed == name => Ok(Approval::Flag),
        Some(typed) => Err(wrong(typed)),
        None if !context.interactive() => Err(CommandError::new(
            Exit::Usage,
            "there is no terminal to type the name at, and --confirm was not given",
        )
        .hint(format!("--confirm {name}"))),
        None => {
            let typed = context.ui.ask(&question.replace("NAME", &name))?;
            if typed == name { Ok(Approval::Prompt) } else { Err(wrong(&typed)) }
        }
    }
}

/// Reads everything once more: nothing of the ensemble may be left but what is kept on purpose.
pub(super) async fn orphans(
    context: &Context,
    session: &Session,
    one: &Planned,
    sink: &Sink,
) -> Result<(), CommandError> {
    let request = ReadRequest { spec: &one.spec, desired: &one.plan().desired };
    let observed = session.cloud.observe(&[request]).await;
    let kept: Vec<String> = one
        .plan()
        .kept
        .iter()
        .filter(|change| matches!(change.reason, Reason::Retained(_)))
        .map(|change| change.id.to_string())
        .collect();
    let mut left = Vec::new();
    for (id, reading) in observed.iter().flat_map(|one| &one.resources) {
        match reading {
            Reading::Known(live) if live.ownership == Ownership::Ours && !kept.contains(&id.to_string()) => {
                left.push(id.to_string());
            }
            Reading::Known(_) | Reading::Absent => {}
            Reading::Unavailable(gap) => left.push(format!("{id} (could not be read: {})", gap.why)),
        }
    }
    if !left.is_empty() {
        return Err(CommandError::new(Exit::Partial, format!("left over: {}", left.join(", ")))
            .hint("run `zkprov destroy` again"));
    }
    if sink.is_text() {
        let kept_words =
            if kept.is_empty() { "nothing is kept".to_owned() } else { format!("kept: {}", kept.join(", ")) };
        context.ui.result_line(&format!("destroyed {}; no orphans; {kept_words}", one.spec.name))
    } else {
        let line = json!({ "type": "destroyed", "name": one.spec.name, "kept": kept, "orphans": [] });
        context.ui.result_line(&line.to_string())
    }
}
