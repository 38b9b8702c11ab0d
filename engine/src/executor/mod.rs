//! The executor: the driver of a plan's ready-queue. It makes no choices of its own.
//!
//! Steps start as soon as all they come after are done. A failure, or the user's wish to stop, starts nothing more;
//! what is in flight drains. The loop itself never leaves early.

mod retry;
mod step;

pub(crate) use step::request_id;

use crate::connection::Pace;
use crate::error::{ProviderError, ProviderErrorKind};
use crate::provider::Provider;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;
use zkprov_plans::event::{Event, Outcome};
use zkprov_plans::plan::{Plan, Step, StepIndex, StepKind};
use zkprov_plans::report::{action_word, gate_words};
use zkprov_plans::resource::ResourceId;
use zkprov_plans::saved::ApprovedPlan;
use zkprov_plans::schedule::Schedule;

/// Where events go. Progress on a terminal, JSON lines and recordings are all sinks.
pub trait EventSink: Send + Sync {
    /// Takes one event; must not block for long.
    fn emit(&self, event: Event);
}

/// Finds the provider of a resource. Clusters that a plan creates are reached once they run.
pub trait Providers: Send + Sync {
    /// The provider of a resource.
    ///
    /// # Errors
    /// When its API cannot be reached; [`ProviderErrorKind::NotFound`] when the cluster it lives in is not there.
    fn of<'a>(&'a self, id: &'a ResourceId) -> BoxFuture<'a, Result<Arc<dyn Provider>, ProviderError>>;

    /// Makes sure that no other run works on this ensemble, as far as that can be known before this step; called before
    /// each step that works inside a cluster.
    ///
    /// # Errors
    /// [`ProviderErrorKind::Locked`] when another run holds the lock.
    fn lock<'a>(&'a self, id: &'a ResourceId) -> BoxFuture<'a, Result<(), ProviderError>>;
}

/// What a run needs beside the plan.
pub struct Run<'a> {
    /// Finds providers.
    pub providers: &'a dyn Providers,
    /// Takes events.
    pub sink: &'a dyn EventSink,
    /// How fast to poll, how long to wait.
    pub pace: Pace,
    /// Steps under way at once, at least 1.
    pub parallelism: usize,
    /// Becomes true when the user asks to stop.
    pub stop: watch::Receiver<bool>,
    /// Names the run: request ids are derived from it, so that a repeated call is recognised.
    pub run_id: String,
}

/// How a run ended.
#[derive(Debug)]
pub struct ApplyReport {
    /// The verdict, which decides the exit code.
    pub outcome: Outcome,
    /// Root causes: steps that failed themselves, with their errors. Skipped dependents are not listed.
    pub failures: Vec<(StepIndex, ProviderError)>,
    /// Steps that were done.
    pub done: usize,
}

/// Carries out an approved plan.
pub async fn run(approved: &ApprovedPlan, run: &Run<'_>) -> ApplyReport {
    let plan = approved.plan();
    let started = Instant::now();
    run.sink.emit(Event::RunStarted { ensemble: plan.ensemble.clone(), steps: plan.steps.len() });
    let mut schedule = Schedule::new(&plan.steps);
    let mut running = FuturesUnordered::new();
    let (mut failures, mut done, mut changed, mut interrupted) = (Vec::new(), 0, false, false);
    let mut stop = run.stop.clone();
    loop {
        // Asked before anything is started: a stop that comes together with the end of a step still comes first.
        if !interrupted && *stop.borrow() {
            interrupted = true;
            schedule.stop();
            run.sink.emit(Event::Interrupted);
        }
        let free = run.parallelism.max(1).saturating_sub(running.len());
        for index in schedule.ready().into_iter().take(free) {
            if let Some(step) = plan.steps.get(index) {
                schedule.start(index);
                running.push(one(plan, index, step, run));
            }
        }
        if running.is_empty() {
            break;
        }
        tokio::select! {
            Some((index, result)) = running.next() => match result {
                Ok(Ended::Left) => {}
                Ok(Ended::Done) => {
                    schedule.finish(index);
                    done += 1;
                    changed |= plan.steps.get(index).is_some_and(|step| matches!(step.kind, StepKind::Change(_)));
                }
                Err(error) => {
                    schedule.fail(index);
                    failures.push((index, error));
                }
            },
            () = stopped(&mut stop), if !interrupted => {}
        }
    }
    for (step, because) in schedule.skip_rest() {
        run.sink.emit(Event::StepSkipped { step, because });
    }
    let outcome = outcome(&failures, interrupted && !schedule.all_done(), changed);
    run.sink.emit(Event::RunFinished { outcome, elapsed_ms: millis(started) });
    ApplyReport { outcome, failures, done }
}

/// How a step ended that did not fail.
enum Ended {
    Done,
    /// The run is to stop, and there was nothing to do but wait.
    Left,
}

/// Returns when the run is to stop and the step only waits.
async fn may_leave(mut stop: watch::Receiver<bool>, mut waits: watch::Receiver<bool>) {
    stopped(&mut stop).await;
    stopped(&mut waits).await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A closed channel means nobody can ask any more.
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// `changed`: some change is done; a passed gate has changed nothing.
fn outcome(failures: &[(StepIndex, ProviderError)], interrupted: bool, changed: bool) -> Outcome {
    let kind = |wanted: ProviderErrorKind| failures.iter().any(|(_, error)| error.kind == wanted);
    if failures.is_empty() {
        return if interrupted { Outcome::Interrupted } else { Outcome::Done };
    }
    if changed {
        return Outcome::Partial;
    }
    if kind(ProviderErrorKind::Locked) {
        Outcome::Locked
    } else if kind(ProviderErrorKind::Stale) {
        Outcome::Stale
    } else if kind(ProviderErrorKind::Refused) {
        Outcome::Refused
    } else {
        Outcome::Failed
    }
}

async fn one(
    plan: &Plan,
    index: StepIndex,
    step: &Step,
    run: &Run<'_>,
) -> (StepIndex, Result<Ended, ProviderError>) {
    let started = Instant::now();
    let (subject, action) = match &step.kind {
        StepKind::Change(change) => (change.id.to_string(), action_word(change.action).to_owned()),
        StepKind::Gate(gate) => (gate_words(gate), "gate".to_owned()),
    };
    run.sink.emit(Event::StepStarted { step: index, subject, action });
    let context = step::Context { plan, run, index, waits: watch::Sender::new(false) };
    let work = async {
        match &step.kind {
            StepKind::Change(change) => context.change(change).await,
            StepKind::Gate(gate) => context.gate(gate).await,
        }
    };
    let result = tokio::select! {
        biased;
        result = work => result.map(|()| Ended::Done),
        () = may_leave(run.stop.clone(), context.waits.subscribe()) => Ok(Ended::Left),
    };
    match &result {
        Ok(Ended::Left) => {
            let message = "left as it is: the next run waits for it".to_owned();
            run.sink.emit(Event::StepProgress { step: index, message });
        }
        Ok(Ended::Done) => run.sink.emit(Event::StepFinished { step: index, elapsed_ms: millis(started) }),
        Err(error) => run.sink.emit(Event::StepFailed {
            step: index,
            error: crate::error::one_line(error),
            hint: error.hint.clone(),
        }),
    }
    (index, result)
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
