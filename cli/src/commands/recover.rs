//! `zkprov recover`: rebuild an ensemble whose majority is lost from the member that knows most.

use super::run::{self, Sink};
use crate::args::Recover;
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::pipeline::{self, Planned};
use crate::session::Session;
use crate::{input, ui};
use serde_json::json;
use std::collections::BTreeSet;
use zkprov_engine::provider::ReadRequest;
use zkprov_plans::check::CheckedPlan;
use zkprov_plans::document::Desired;
use zkprov_plans::observed::{EnsembleState, Reading};
use zkprov_plans::plan::Mode;
use zkprov_plans::planner::{self, PlanInput};
use zkprov_plans::recovery::judge;
use zkprov_plans::report;
use zkprov_plans::spec::ValidSpec;

pub(super) async fn run(context: &Context, args: &Recover) -> Result<Exit, CommandError> {
    let mut specs = input::specs(context)?;
    let (Some(spec), true) = (specs.pop(), specs.is_empty()) else {
        return Err(CommandError::new(Exit::Usage, "recover is for one ensemble, and the file has several")
            .hint("name a file with one document: -f FILE"));
    };
    let session = Session::open(context).await?;
    let result = recover(context, args, &session, spec).await;
    session.close().await;
    result
}

async fn recover(
    context: &Context,
    args: &Recover,
    session: &Session,
    spec: ValidSpec,
) -> Result<Exit, CommandError> {
    let sink = Sink::new(context, args.format);
    let desired = pipeline::render(context, std::slice::from_ref(&spec))?.pop().unwrap_or_default();
    let planned = plan(context, args, session, spec, desired, &sink).await?;
    let planned = vec![planned];
    if sink.is_text() {
        super::plan::print(context, &planned)?;
    } else {
        for one in &planned {
            context.ui.result(&report::json_line(&one.report()))?;
        }
    }
    run::refuse(&planned, sink.is_text())?;
    if args.dry_run {
        return Ok(Exit::Done);
    }
    let approval = super::destroy::confirm(
        context,
        args.confirm.as_ref(),
        &planned,
        "What no pod that is left knows is lost for good. Type the name `NAME` to rebuild it:",
    )?;
    run::carry_out(context, session, planned, approval, &sink).await
}

/// Reads, judges, shows the evidence.
async fn plan(
    context: &Context,
    args: &Recover,
    session: &Session,
    spec: ValidSpec,
    desired: Desired,
    sink: &Sink,
) -> Result<Planned, CommandError> {
    let request = ReadRequest { spec: &spec, desired: &desired };
    let mut observed = session.cloud.observe(std::slice::from_ref(&request)).await;
    let Some(observed) = observed.pop() else {
        return Err(CommandError::new(Exit::Failed, "the ensemble could not be read"));
    };
    let state = match &observed.ensemble {
        Reading::Known(state) => state,
        Reading::Absent => {
            return Err(CommandError::new(
                Exit::Refused,
                format!("{} has no pods: there is nothing to recover from", spec.name),
            )
            .hint("`zkprov apply` makes a new ensemble, into which a backup can be restored"));
        }
        Reading::Unavailable(gap) => {
            let message = format!("{} could not be read: {}; nothing was changed", gap.what, gap.why);
            return Err(CommandError::new(Exit::Failed, message).hint(gap.hint.clone()));
        }
    };
    known(state, &args.without)?;
    let evidence = session.cloud.members(&spec, &desired).await?.evidence(state).await;
    let verdict = judge(state, &evidence, spec.exhibitor.replicas, &args.without);
    if sink.is_text() {
        context.ui.result(&format!("{}\n", ui::evidence_table(&evidence, &verdict)))?;
    } else {
        let line = json!({ "type": "evidence", "name": spec.name, "members": evidence, "verdict": verdict });
        context.ui.result_line(&line.to_string())?;
    }
    let input = PlanInput {
        spec: &spec,
        desired: &desired,
        observed: &observed,
        mode: Mode::Apply,
        replace: &BTreeSet::new(),
        adopt: false,
        compact_ids: false,
    };
    let checked = CheckedPlan::of(planner::recover(&input, state, &verdict), &input);
    Ok(Planned { spec, checked })
}

/// A pod that is given up has to be one: a slip of the pen must not pass for consent.
fn known(state: &EnsembleState, without: &[String]) -> Result<(), CommandError> {
    match without.iter().find(|name| state.pods.iter().all(|pod| pod.name != **name)) {
        None => Ok(()),
        Some(name) => {
            let pods: Vec<&str> = state.pods.iter().map(|pod| pod.name.as_str()).collect();
            Err(CommandError::new(Exit::Usage, format!("--without {name}: there is no such pod"))
                .hint(format!("the pods are {}", pods.join(", "))))
        }
    }
}
