//! `zkprov plan`: what apply would do.

use crate::args::{Plan, PlanFormat};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::input;
use crate::pipeline::{self, Planned};
use crate::session::Session;
use serde_json::json;
use zkprov_plans::plan::Mode;
use zkprov_plans::report;
use zkprov_plans::saved::{FORMAT_VERSION, SavedEnsemble, SavedPlan};

pub(super) async fn run(context: &Context, args: &Plan) -> Result<Exit, CommandError> {
    let specs = input::specs(context)?;
    let mode = if args.destroy {
        Mode::Destroy { delete_data: args.delete_data }
    } else if args.refresh_only {
        Mode::RefreshOnly
    } else {
        Mode::Apply
    };
    let session = Session::open(context).await?;
    let planned = pipeline::plan_all(context, &session, specs, mode, &args.consent).await;
    session.close().await;
    let planned = planned?;
    context.ui.result(&text_of(context, args.format, &planned))?;
    if let Some(path) = &args.out {
        save(context, path, &planned)?;
    }
    Ok(exit(args, &planned))
}

/// What could not be read is a failure; a refusal is one too, of its own kind.
fn exit(args: &Plan, planned: &[Planned]) -> Exit {
    if planned.iter().any(|one| !one.plan.gaps.is_empty()) {
        Exit::Failed
    } else if planned.iter().any(Planned::refused) {
        Exit::Refused
    } else if args.detailed_exitcode && planned.iter().any(|one| !one.plan.steps.is_empty()) {
        Exit::Changes
    } else {
        Exit::Done
    }
}

/// Plans in a form.
pub(super) fn text_of(context: &Context, format: PlanFormat, planned: &[Planned]) -> String {
    let style = context.ui.style(context.global.verbose > 0);
    match format {
        PlanFormat::Text => {
            planned.iter().map(|one| report::text(&one.report(), style)).collect::<Vec<_>>().join("\n")
        }
        PlanFormat::Markdown => {
            planned.iter().map(|one| report::markdown(&one.report())).collect::<Vec<_>>().join("\n")
        }
        PlanFormat::Jsonl => planned.iter().map(|one| report::json_line(&one.report())).collect(),
        PlanFormat::Json => {
            let plans: Vec<_> = planned.iter().map(|one| report::json(&one.report())).collect();
            let all: Vec<_> = plans
                .iter()
                .filter_map(|plan| plan["resource_changes"].as_array())
                .flatten()
                .cloned()
                .collect();
            let value =
                json!({ "format_version": FORMAT_VERSION, "resource_changes": all, "ensembles": plans });
            format!("{value:#}\n")
        }
    }
}

fn save(context: &Context, path: &std::path::Path, planned: &[Planned]) -> Result<(), CommandError> {
    if planned.iter().any(|one| one.refused() || !one.plan.gaps.is_empty()) {
        context.ui.note("the plan is not written: it could not be applied");
        return Ok(());
    }
    let ensembles =
        planned.iter().map(|one| SavedEnsemble { spec: one.spec.clone(), plan: one.plan.clone() }).collect();
    let saved = SavedPlan::seal(env!("CARGO_PKG_VERSION"), ensembles);
    let text = serde_json::to_string_pretty(&saved)
        .map_err(|error| CommandError::failed("writing the plan", &error))?;
    input::write_atomically(context, path, &(text + "\n"))?;
    context.ui.note(&format!("wrote the plan; `zkprov apply {}` applies exactly this", path.display()));
    Ok(())
}
