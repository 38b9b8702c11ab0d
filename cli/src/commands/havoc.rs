//! `zkprov havoc`: kills pods, nodes and the file server under a budget of voters, and reports how the ensemble came back.

use crate::args::{Havoc, HavocFormat};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::session::Session;
use crate::signals::Signals;
use crate::{input, pipeline};
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
use zkprov_engine::cloud::{Ground, Holder};
use zkprov_engine::havoc::{self, Field};
use zkprov_plans::document::Desired;
use zkprov_plans::havoc::{End, Placement, Record, Refusal, Schedule, picture, report, schedule};
use zkprov_plans::quorum;
use zkprov_plans::readiness::Verdict;
use zkprov_plans::spec::ValidSpec;

pub(super) async fn run(context: &Context, args: &Havoc) -> Result<Exit, CommandError> {
    let mut specs = input::specs(context)?;
    let (Some(spec), true) = (specs.pop(), specs.is_empty()) else {
        return Err(CommandError::new(Exit::Usage, "havoc is for one ensemble, and the file has several")
            .hint("name a file with one document: -f FILE"));
    };
    refuse_protected(&spec)?;
    let mut desired = pipeline::render(context, std::slice::from_ref(&spec))?;
    let Some(desired) = desired.pop() else { return Ok(Exit::Done) };
    let session = Session::open(context).await?;
    let result = on(context, args, &session, &spec, &desired).await;
    session.close().await;
    result
}

async fn on(
    context: &Context,
    args: &Havoc,
    session: &Session,
    spec: &ValidSpec,
    desired: &Desired,
) -> Result<Exit, CommandError> {
    let holder = Holder { name: context.holder(), clock: context.clock() };
    let ground = session.cloud.ground(spec, desired, holder).await?;
    let placement = place(&ground, spec).await?;
    let drawn = schedule(&args.wanted(), &placement).map_err(refused)?;
    if args.dry_run || args.format == HavocFormat::Text {
        print_schedule(context, args, &drawn, spec, &placement)?;
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    confirm(context, args, spec)?;
    let record = carry_out(context, args, session, &ground, spec, drawn).await;
    ground.release().await;
    let (record, signals) = record?;
    if let Some(folder) = &args.out {
        write_all(context, folder, &record)?;
    }
    match args.format {
        HavocFormat::Text => context.ui.result(&format!("\n{}", report::text(&record)))?,
        HavocFormat::Json => context.ui.result_json(&report::json(&record))?,
        HavocFormat::Junit => context.ui.result(&report::junit(&record))?,
    }
    Ok(match record.end {
        End::Interrupted => signals.exit(),
        End::Done | End::TimeUp | End::BudgetBroken(_) | End::NotRecovered(_) | End::Aborted(_) => {
            if record.held() { Exit::Done } else { Exit::Failed }
        }
    })
}

/// Whoever protects an ensemble does not want it struck.
fn refuse_protected(spec: &ValidSpec) -> Result<(), CommandError> {
    let guard = match (spec.protection.destroy, spec.protection.data) {
        (true, _) => "destroy",
        (false, true) => "data",
        (false, false) => return Ok(()),
    };
    let message =
        format!("{} is protected: `spec.protection.{guard}` is true; nothing was killed", spec.name);
    Err(CommandError::new(Exit::Refused, message)
        .hint(format!("try it on an ensemble that nobody needs, or set `spec.protection.{guard}: false`")))
}

fn refused(refusal: Refusal) -> CommandError {
    CommandError::new(Exit::Refused, format!("{}; nothing was killed", refusal.why)).hint(refusal.hint)
}

/// Where the voters are, of an ensemble that is whole.
async fn place(ground: &Ground<'_>, spec: &ValidSpec) -> Result<Placement, CommandError> {
    let state = ground.look().await?;
    let not_whole = |why: String| {
        CommandError::new(Exit::Refused, format!("{} is not whole: {why}; nothing was killed", spec.name))
            .hint("`zkprov status` shows every member; `zkprov apply` brings it back")
    };
    match quorum::converged(&state, spec.exhibitor.replicas) {
        Verdict::Ready => {}
        Verdict::Progressing(why) | Verdict::Failed { reason: why, .. } => return Err(not_whole(why)),
    }
    ground.place(&state).await?.map_err(not_whole)
}

fn print_schedule(
    context: &Context,
    args: &Havoc,
    drawn: &Schedule,
    spec: &ValidSpec,
    placement: &Placement,
) -> Result<(), CommandError> {
    match args.format {
        HavocFormat::Json => context.ui.result_json(&report::schedule_json(&spec.name, drawn, placement)),
        HavocFormat::Text | HavocFormat::Junit => {
            context.ui.result(&report::schedule_text(&spec.name, drawn, placement))
        }
    }
}

/// The name has to be typed, or given.
fn confirm(context: &Context, args: &Havoc, spec: &ValidSpec) -> Result<(), CommandError> {
    let name = &spec.name;
    let typed = match &args.confirm {
        Some(typed) => typed.clone(),
        None if context.interactive() => {
            context.ui.ask(&format!("Members will be killed. Type the name `{name}` to go on:"))?
        }
        None => {
            return Err(CommandError::new(
                Exit::Usage,
                "there is no terminal to type the name at, and --confirm was not given",
            )
            .hint(format!("--confirm {name}")));
        }
    };
    if typed == *name {
        return Ok(());
    }
    Err(CommandError::new(Exit::Refused, format!("`{typed}` is not the name `{name}`; nothing was killed"))
        .hint(format!("--confirm {name}")))
}

async fn carry_out(
    context: &Context,
    args: &Havoc,
    session: &Session,
    ground: &Ground<'_>,
    spec: &ValidSpec,
    drawn: Schedule,
) -> Result<(Record, Signals), CommandError> {
    ground.hold().await?;
    let signals = Signals::listen()?;
    // The canary's znodes and request ids are named after it: a path's characters alone.
    let run = context.run_id().replace('/', "-");
    let canary = havoc::Session::new(ground.members(), &run).await?;
    let pace = session.cloud.pace();
    let tell = |words: String| context.ui.note(&format!("  {words}"));
    let run = havoc::Havoc {
        field: ground,
        canary: &canary,
        pace,
        deadline: pace.formation,
        duration: args.duration,
        stop: signals.stop.clone(),
        tell: &tell,
        ensemble: spec.name.clone(),
        run,
    };
    let record = havoc::run(drawn, &run).await;
    Ok((record, signals))
}

/// The report in every form.
fn write_all(context: &Context, folder: &Path, record: &Record) -> Result<(), CommandError> {
    let doing = format!("writing {}", folder.display());
    std::fs::create_dir_all(folder).map_err(|error| CommandError::failed(&doing, &error))?;
    let json: Value = report::json(record);
    let files = [
        ("report.txt", report::text(record)),
        ("report.json", format!("{json:#}\n")),
        ("junit.xml", report::junit(record)),
        ("availability.svg", picture::svg(record)),
    ];
    for (name, text) in files {
        input::write_atomically(context, &folder.join(name), |file| file.write_all(text.as_bytes()))?;
    }
    context.ui.note(&format!("the report is in {}", folder.display()));
    Ok(())
}
