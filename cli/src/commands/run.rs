//! What apply, destroy and scale share: approval, the executor, its course, the end of it.

use crate::args::ApplyFormat;
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::pipeline::Planned;
use crate::session::Session;
use crate::signals::Signals;
use crate::ui::{JsonLines, Progress};
use serde_json::json;
use std::time::Duration;
use zkprov_engine::cloud::Holder;
use zkprov_engine::executor::{self, EventSink, Run};
use zkprov_engine::provider::{Course, ReadRequest};
use zkprov_plans::document::Desired;
use zkprov_plans::event::{Event, Outcome};
use zkprov_plans::observed::Reading;
use zkprov_plans::plan::Mode;
use zkprov_plans::saved::{Approval, approve};
use zkprov_plans::spec::ValidSpec;

/// Where the course of a run goes.
pub(super) enum Sink {
    Text(Progress),
    Json(JsonLines),
}

impl Sink {
    pub(super) fn new(context: &Context, format: ApplyFormat) -> Self {
        match format {
            ApplyFormat::Text => Self::Text(Progress::new(&context.ui)),
            ApplyFormat::Jsonl => Self::Json(JsonLines),
        }
    }

    pub(super) const fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    fn events(&self) -> &dyn EventSink {
        match self {
            Self::Text(progress) => progress,
            Self::Json(lines) => lines,
        }
    }

    /// Never returns: says once in a while that the run goes on.
    async fn beat(&self) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if let Self::Text(progress) = self {
                progress.heartbeat();
            }
        }
    }
}

/// Waits for what a run before this one, from whichever machine, left under way: operations, and unless the ensemble is
/// to go, its members.
pub(super) async fn settle(
    session: &Session,
    specs: &[ValidSpec],
    desired: &[Desired],
    mode: Mode,
    sink: &Sink,
) -> Result<(), CommandError> {
    let requests: Vec<ReadRequest<'_>> =
        specs.iter().zip(desired).map(|(spec, desired)| ReadRequest { spec, desired }).collect();
    let progress =
        |course: Course| sink.events().emit(Event::StepProgress { step: 0, message: course.words() });
    let settled = async {
        session.cloud.settle(&requests, &progress).await?;
        match mode {
            Mode::Apply => session.cloud.settle_members(&requests, &progress).await,
            Mode::Destroy { .. } | Mode::RefreshOnly => Ok(()),
        }
    };
    tokio::select! {
        result = settled => Ok(result?),
        never = sink.beat() => match never {},
    }
}

/// Waits for members that restart.
pub(super) async fn rest(session: &Session, planned: &[Planned], sink: &Sink) -> Result<(), CommandError> {
    let requests: Vec<ReadRequest<'_>> =
        planned.iter().map(|one| ReadRequest { spec: &one.spec, desired: &one.plan().desired }).collect();
    let progress =
        |course: Course| sink.events().emit(Event::StepProgress { step: 0, message: course.words() });
    tokio::select! {
        result = session.cloud.rest_members(&requests, &progress) => Ok(result?),
        never = sink.beat() => match never {},
    }
}

/// Plans with gaps or fatal findings are not carried out. `said`: the plan itself was printed already.
pub(super) fn refuse(planned: &[Planned], said: bool) -> Result<(), CommandError> {
    let gap = planned.iter().flat_map(|one| &one.plan().gaps).next();
    if let Some(gap) = gap {
        let message = format!("{} could not be read: {}; nothing was changed", gap.what, gap.why);
        return Err(CommandError::new(Exit::Failed, message).hint(gap.hint.clone()));
    }
    let fatal: Vec<_> =
        planned.iter().flat_map(|one| &one.plan().findings).filter(|finding| finding.fatal).collect();
    let Some(first) = fatal.first() else { return Ok(()) };
    if said {
        return Err(CommandError::new(Exit::Refused, "the plan is refused; nothing was changed"));
    }
    Err(CommandError::new(Exit::Refused, first.message.clone()).hint(first.fix.clone()))
}

/// Carries out approved plans, one ensemble after the other, and says how it ended.
#[expect(clippy::disallowed_methods, reason = "plans are approved here alone")]
pub(super) async fn carry_out(
    context: &Context,
    session: &Session,
    planned: Vec<Planned>,
    approval: Approval,
    sink: &Sink,
) -> Result<Exit, CommandError> {
    let signals = Signals::listen()?;
    let mut finished = Vec::new();
    for one in planned {
        let refused = |findings: Vec<zkprov_plans::plan::Finding>| {
            let first = findings.into_iter().next();
            let (message, fix) =
                first.map_or_else(Default::default, |finding| (finding.message, finding.fix));
            CommandError::new(Exit::Refused, message).hint(fix)
        };
        let approved = approve(one.checked.clone(), approval).map_err(refused)?;
        let holder = Holder { name: context.holder(), clock: context.clock() };
        let providers = session.cloud.providers(&one.spec, holder);
        let run = Run {
            providers: &providers,
            sink: sink.events(),
            pace: session.cloud.pace(),
            parallelism: usize::from(context.global.parallelism),
            stop: signals.stop.clone(),
            run_id: context.run_id(),
        };
        let ended = tokio::select! {
            ended = executor::run(&approved, &run) => ended,
            never = sink.beat() => match never {},
        };
        providers.release().await;
        match ended.outcome {
            Outcome::Done => finished.push(one),
            Outcome::Interrupted => {
                context.ui.complain(
                    "interrupted: nothing else was started; what the cloud has begun goes on there by itself",
                );
                context.ui.complain("  next: run the same command again to resume");
                return Err(CommandError::silent(signals.exit()));
            }
            Outcome::Partial | Outcome::Failed | Outcome::Stale | Outcome::Refused | Outcome::Locked => {
                return Err(failed(&ended, one.plan().steps.len()));
            }
        }
    }
    conclude(context, session, finished, sink).await
}

/// Root causes with their hints; the rest is a number.
fn failed(ended: &executor::ApplyReport, steps: usize) -> CommandError {
    let causes: Vec<String> =
        ended.failures.iter().map(|(_, error)| zkprov_engine::error::one_line(error)).collect();
    let left = steps - ended.done;
    let message = match ended.outcome {
        Outcome::Partial => {
            format!("{}; {} of {steps} steps are done, {left} are left", causes.join("; "), ended.done)
        }
        Outcome::Done
        | Outcome::Failed
        | Outcome::Interrupted
        | Outcome::Stale
        | Outcome::Refused
        | Outcome::Locked => format!("{}; nothing was changed", causes.join("; ")),
    };
    let mut error = CommandError::new(ended.outcome.into(), message);
    for (_, cause) in &ended.failures {
        error = error.hint(cause.hint.clone());
    }
    if ended.outcome == Outcome::Partial {
        error.hint("then run the same command again to resume")
    } else {
        error
    }
}

/// The end of a successful run: the ensemble table and how to connect; after a destroy, what is left.
pub(super) async fn conclude(
    context: &Context,
    session: &Session,
    finished: Vec<Planned>,
    sink: &Sink,
) -> Result<Exit, CommandError> {
    for one in &finished {
        match one.plan().mode {
            Mode::Destroy { .. } => super::destroy::orphans(context, session, one, sink).await?,
            Mode::Apply | Mode::RefreshOnly => summary(context, session, one, sink).await?,
        }
    }
    Ok(Exit::Done)
}

async fn summary(
    context: &Context,
    session: &Session,
    one: &Planned,
    sink: &Sink,
) -> Result<(), CommandError> {
    let Reading::Known(state) = session.cloud.ensemble(&one.spec, &one.plan().desired).await else {
        return Err(CommandError::new(Exit::Failed, "the ensemble cannot be read after the run")
            .hint("`zkprov status` tries again"));
    };
    if sink.is_text() {
        context.ui.result(&format!("\n{}", super::apply::connection_words(one, &state)))
    } else {
        let line = json!({ "type": "ensemble", "name": one.spec.name, "state": state });
        context.ui.result_line(&line.to_string())
    }
}
