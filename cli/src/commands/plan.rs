//! `zkprov plan`: what apply would do.

use crate::args::{Plan, PlanFormat};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::input;
use crate::pipeline::{self, Planned};
use crate::session::Session;
use std::io::Write as _;
use zkprov_plans::plan::Mode;
use zkprov_plans::report;
use zkprov_plans::saved::SavedPlan;
use zkprov_plans::spec::Inputs;

pub(super) async fn run(context: &Context, args: &Plan) -> Result<Exit, CommandError> {
    let (inputs, specs) = input::specs_with_inputs(context)?;
    let mode = if args.destroy {
        Mode::Destroy { delete_data: args.delete_data }
    } else if args.refresh_only {
        Mode::RefreshOnly
    } else {
        Mode::Apply
    };
    let desired = pipeline::render(context, &specs)?;
    let session = Session::open(context).await?;
    let plans = pipeline::read_all(&session, specs, desired, mode, &args.consent).await;
    session.close().await;
    let plans = plans?;
    let mut seen = Seen::default();
    // Plans are kept only where all of them are needed at once.
    let mut kept = Vec::new();
    for (index, one) in plans.enumerate() {
        let one = one?;
        seen.add(&one);
        context.ui.result(&text_of(context, args.format, index, &one))?;
        if args.format == PlanFormat::Json || args.out.is_some() {
            kept.push(one);
        }
    }
    if args.format == PlanFormat::Json {
        let reports: Vec<_> = kept.iter().map(Planned::report).collect();
        context.ui.result_json(&report::all_json(&reports))?;
    }
    if let Some(path) = &args.out {
        save(context, path, inputs, kept)?;
    }
    Ok(seen.exit(args.detailed_exitcode))
}

/// What decides the exit code.
#[derive(Default)]
struct Seen {
    gaps: bool,
    refusals: bool,
    steps: bool,
}

impl Seen {
    fn add(&mut self, one: &Planned) {
        self.gaps |= !one.plan().gaps.is_empty();
        self.refusals |= one.refused();
        self.steps |= !one.plan().steps.is_empty();
    }

    /// What could not be read is a failure; a refusal is one too, of its own kind.
    const fn exit(&self, detailed: bool) -> Exit {
        if self.gaps {
            Exit::Failed
        } else if self.refusals {
            Exit::Refused
        } else if detailed && self.steps {
            Exit::Changes
        } else {
            Exit::Done
        }
    }
}

/// Plans for people, on stdout.
pub(super) fn print(context: &Context, planned: &[Planned]) -> Result<(), CommandError> {
    planned
        .iter()
        .enumerate()
        .try_for_each(|(index, one)| context.ui.result(&text_of(context, PlanFormat::Text, index, one)))
}

/// The plan at this index of the run, in a form; an empty line keeps it from the one before it.
fn text_of(context: &Context, format: PlanFormat, index: usize, one: &Planned) -> String {
    let space = if index > 0 { "\n" } else { "" };
    match format {
        PlanFormat::Text => {
            let style = context.ui.style(context.global.verbose > 0);
            format!("{space}{}", report::text(&one.report(), style))
        }
        PlanFormat::Markdown => format!("{space}{}", report::markdown(&one.report())),
        PlanFormat::Jsonl => report::json_line(&one.report()),
        // One value holds them all: it comes last.
        PlanFormat::Json => String::new(),
    }
}

fn save(
    context: &Context,
    path: &std::path::Path,
    inputs: Inputs,
    planned: Vec<Planned>,
) -> Result<(), CommandError> {
    if planned.iter().any(|one| one.refused() || !one.plan().gaps.is_empty()) {
        context.ui.note("the plan is not written: it could not be applied");
        return Ok(());
    }
    let plans = planned.into_iter().map(|one| one.checked.into_plan()).collect();
    let saved = SavedPlan::seal(env!("CARGO_PKG_VERSION"), inputs, plans);
    input::write_atomically(context, path, |file| {
        serde_json::to_writer_pretty(&mut *file, &saved)?;
        writeln!(file)
    })?;
    let apply = context.on_the_same_cloud(&format!("zkprov apply {}", path.display()));
    context.ui.note(&format!("wrote the plan; `{apply}` applies exactly this"));
    Ok(())
}
