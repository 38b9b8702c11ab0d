//! `zkprov apply`: plan, ask, carry out; or carry out a saved plan.

use super::run::{self, Sink};
use crate::args::{Apply, Consent};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::pipeline::{self, Planned};
use crate::session::Session;
use crate::{input, ui};
use std::path::Path;
use zkprov_plans::plan::{Mode, Plan};
use zkprov_plans::planner;
use zkprov_plans::saved::{Approval, SavedPlan, moved};
use zkprov_plans::spec::ValidSpec;

pub(super) async fn run(context: &Context, args: &Apply) -> Result<Exit, CommandError> {
    let sink = Sink::new(context, args.format);
    match &args.plan {
        Some(path) => saved(context, path, &sink).await,
        None => {
            let specs = input::specs(context)?;
            let session = Session::open(context).await?;
            let result = fresh(context, &session, specs, &args.consent, args.yes, &sink).await;
            session.close().await;
            result
        }
    }
}

/// Plans on fresh readings, asks, carries out.
pub(super) async fn fresh(
    context: &Context,
    session: &Session,
    specs: Vec<zkprov_plans::spec::ValidSpec>,
    consent: &Consent,
    yes: bool,
    sink: &Sink,
) -> Result<Exit, CommandError> {
    let desired = pipeline::render(context, &specs)?;
    run::settle(session, &specs, &desired, Mode::Apply, sink).await?;
    let mut planned = pipeline::plan_rendered(session, specs, desired, Mode::Apply, consent).await?;
    if planned.iter().any(|one| one.plan().waits_for_members()) {
        // A run that was killed leaves members that restart. Those that stay away are refused by the second plan.
        run::rest(session, &planned, sink).await?;
        let (specs, desired) =
            planned.into_iter().map(|one| (one.spec, one.checked.into_plan().desired)).unzip();
        planned = pipeline::plan_rendered(session, specs, desired, Mode::Apply, consent).await?;
    }
    if sink.is_text() {
        super::plan::print(context, &planned)?;
    }
    run::refuse(&planned, sink.is_text())?;
    if planned.iter().all(|one| one.plan().steps.is_empty()) {
        return run::conclude(context, session, planned, sink).await;
    }
    let approval = if yes { Approval::Flag } else { ask(context)? };
    run::carry_out(context, session, planned, approval, sink).await
}

/// The prompt: only the word `yes` approves.
fn ask(context: &Context) -> Result<Approval, CommandError> {
    if !context.interactive() {
        return Err(CommandError::new(
            Exit::Usage,
            "there is no terminal to ask at, and --yes was not given",
        )
        .hint("add --yes, or apply a saved plan: `zkprov plan --out p.json`, then `zkprov apply p.json`"));
    }
    if context.ui.ask("Apply this plan? Only `yes` is taken as yes:")? == "yes" {
        Ok(Approval::Prompt)
    } else {
        Err(CommandError::new(Exit::Failed, "not approved; nothing was changed"))
    }
}

/// Applies exactly what was saved, or refuses as stale with what moved.
async fn saved(context: &Context, path: &Path, sink: &Sink) -> Result<Exit, CommandError> {
    let doing = format!("reading {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| CommandError::failed(&doing, &error))?;
    let saved = SavedPlan::open(&text).and_then(SavedPlan::specs).map_err(|error| {
        CommandError::failed(&doing, &error).hint("make a new one: `zkprov plan --out FILE`")
    })?;
    let session = Session::open(context).await?;
    let result = apply_saved(context, &session, saved, sink).await;
    session.close().await;
    result
}

async fn apply_saved(
    context: &Context,
    session: &Session,
    saved: Vec<(ValidSpec, Plan)>,
    sink: &Sink,
) -> Result<Exit, CommandError> {
    let mut planned: Vec<Planned> = Vec::new();
    let mut lines = Vec::new();
    for (spec, plan) in saved {
        let (specs, desired) = (vec![spec], vec![plan.desired.clone()]);
        let consent = Consent {
            replace: replaced(&plan),
            adopt: adopts(&plan),
            compact_ids: planner::renumbers(&plan),
        };
        let now = pipeline::plan_rendered(session, specs, desired, plan.mode, &consent).await?;
        for one in now {
            lines.extend(
                one.plan().gaps.iter().map(|gap| format!("{} could not be read: {}", gap.what, gap.why)),
            );
            lines.extend(moved(&plan, one.plan()));
            planned.push(one);
        }
    }
    let mut created = pipeline::Created::default();
    planned.iter_mut().for_each(|one| created.expect(&mut one.checked));
    if !lines.is_empty() {
        let stale = CommandError::new(
            Exit::Stale,
            format!("the saved plan is stale, nothing was changed; what moved:\n  {}", lines.join("\n  ")),
        );
        return Err(stale.hint("make a new plan: `zkprov plan --out FILE`"));
    }
    run::carry_out(context, session, planned, Approval::PlanFile, sink).await
}

/// Replacements that the saved plan contains were consented to when it was made.
fn replaced(plan: &zkprov_plans::plan::Plan) -> Vec<String> {
    use zkprov_plans::plan::Action;
    plan.changes()
        .filter(|(_, change)| matches!(change.action, Action::Replace | Action::Delete))
        .map(|(_, change)| change.id.to_string())
        .collect()
}

fn adopts(plan: &zkprov_plans::plan::Plan) -> bool {
    plan.changes().any(|(_, change)| change.action == zkprov_plans::plan::Action::Adopt)
}

/// How to reach the ensemble, after a run.
pub(super) fn connection_words(planned: &Planned, state: &zkprov_plans::observed::EnsembleState) -> String {
    let (spec, exhibitor) = (&planned.spec, &planned.spec.exhibitor);
    let name = format!("{}.{}.svc.cluster.local", spec.name, exhibitor.namespace);
    let variable = spec.name.to_uppercase().replace('-', "_");
    format!(
        "{}\nconnect from the cluster:\n  ZooKeeper  {name}:{}\n  Exhibitor  {name}:{}\n  environment of later pods of \
         the namespace: {variable}_SERVICE_HOST, {variable}_SERVICE_PORT_ZK={}, {variable}_SERVICE_PORT_API={}\n",
        ui::ensemble_table(state),
        exhibitor.client_port,
        exhibitor.api_port,
        exhibitor.client_port,
        exhibitor.api_port,
    )
}
