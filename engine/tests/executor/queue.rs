//! Which steps run, and what a failure, a stop or a lock means for the others.

use crate::script::{Fault, PACE, Script, create, delete, gate, grow, only, plan, seconds};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use zkprov_engine::error::ProviderErrorKind as Kind;
use zkprov_plans::event::{Event, Outcome};
use zkprov_plans::plan::{Call, Change, Plan, ReadyWhen, StepKind};
use zkprov_plans::readiness::Verdict;

fn change(change: Change) -> StepKind {
    StepKind::Change(change)
}

fn skipped(script: &Script) -> Vec<(usize, Option<usize>)> {
    let skip =
        |event| if let Event::StepSkipped { step, because } = event { Some((step, because)) } else { None };
    script.events().into_iter().filter_map(skip).collect()
}

fn finished(script: &Script) -> Vec<usize> {
    let finish = |event| if let Event::StepFinished { step, .. } = event { Some(step) } else { None };
    script.events().into_iter().filter_map(finish).collect()
}

#[tokio::test(start_paused = true)]
async fn branches_run_side_by_side_as_far_as_allowed() {
    // A call takes two seconds.
    for (parallelism, busiest, took) in [(0, 1, 12), (1, 1, 12), (2, 2, 6), (4, 4, 4), (9, 6, 2)] {
        let (script, start) = (Script::default(), Instant::now());
        let six = plan(["a", "b", "c", "d", "e", "f"].map(|name| (change(create(name)), &[][..])).to_vec());
        let report = script.run(&six, parallelism).await;
        assert_eq!((report.outcome, report.done), (Outcome::Done, 6), "{:?}", report.failures);
        assert_eq!((script.busiest(), seconds(start)), (busiest, took), "parallelism {parallelism}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_starts_nothing_more_lets_what_runs_end_and_is_the_only_cause_told() {
    let faults = [Fault::Fails(Kind::Denied)];
    let slow = Change { ready_when: ReadyWhen::ClusterRunning, ..create("slow") };
    let wait = [Verdict::Progressing("cluster PROVISIONING".to_owned()), Verdict::Ready];
    let script = Script::default().faults("bad", &faults).verdicts("slow", &wait);
    let steps = plan(vec![
        (change(slow), &[]),
        (change(create("bad")), &[]),
        (change(create("after-bad")), &[1]),
        (change(create("after-that")), &[2]),
        (change(create("after-slow")), &[0]),
    ]);
    let report = script.run(&steps, 8).await;
    assert_eq!((report.outcome, report.done), (Outcome::Partial, 1));
    let failed: Vec<usize> = report.failures.iter().map(|(step, _)| *step).collect();
    assert_eq!(failed, [1]);
    assert_eq!(skipped(&script), [(2, Some(1)), (3, Some(1)), (4, Some(1))]);
    assert_eq!(finished(&script), [0], "what ran was waited for to its end");
}

#[tokio::test(start_paused = true)]
async fn the_verdict_of_a_run_that_changed_nothing_is_its_errors() {
    for (script, outcome) in [
        (Script::default().faults("a", &[Fault::Fails(Kind::Denied)]), Outcome::Failed),
        (Script::default().disk("a", 50), Outcome::Stale),
        (Script::default().locked(), Outcome::Locked),
    ] {
        let locked = outcome == Outcome::Locked;
        let mut one = create("a");
        if locked {
            one.id = "configmap/cluster-1/default/a".parse().unwrap();
            one.calls = vec![Call::Apply];
        }
        let report = script.run(&only(one), 1).await;
        assert_eq!((report.outcome, report.done), (outcome, 0), "{:?}", report.failures);
        assert!(!locked || script.reads() == 0, "without the lock nothing is looked at");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_stays_shut_refuses_what_comes_after_it() {
    let shut = Verdict::Progressing("2 of 3 pods answer".to_owned());
    for (verdict, took) in [
        (shut.clone(), PACE.step.as_secs()),
        (Verdict::Failed { reason: "ImagePullBackOff".to_owned(), hint: String::new() }, 0),
    ] {
        let (script, start) = (Script::default().verdicts("pods", &[verdict]), Instant::now());
        let steps = plan(vec![(StepKind::Gate(gate("pods")), &[]), (change(create("a")), &[0])]);
        let report = script.run(&steps, 8).await;
        assert_eq!((report.outcome, seconds(start)), (Outcome::Refused, took));
        assert!(script.calls().is_empty());
    }
    let opens = Script::default().verdicts("pods", &[shut.clone(), shut, Verdict::Ready]);
    let steps = plan(vec![(StepKind::Gate(gate("pods")), &[]), (change(create("a")), &[0])]);
    assert_eq!(opens.run(&steps, 8).await.outcome, Outcome::Done);
}

/// Stops the run of a chain of three calls, two seconds each, after this many seconds.
async fn stopped_after(wait: u64, script: Script) -> (Script, Outcome, u64) {
    let start = Instant::now();
    let first = Change { ready_when: ReadyWhen::ClusterRunning, ..create("a") };
    let chain = plan(vec![(change(first), &[]), (change(create("b")), &[0]), (change(create("c")), &[1])]);
    let (ask, stop) = watch::channel(wait == 0);
    let asked = async {
        sleep(Duration::from_secs(wait)).await;
        ask.send_replace(true);
        // Whoever asks stays there, as a terminal does.
        std::future::pending::<()>().await;
    };
    let report = tokio::select! {
        report = script.stoppable(&chain, 8, stop) => report,
        () = asked => unreachable!(),
    };
    (script, report.outcome, seconds(start))
}

#[tokio::test(start_paused = true)]
async fn a_stop_starts_nothing_more_and_lets_calls_under_way_end() {
    for (wait, done, outcome, took) in [
        (0, 0, Outcome::Interrupted, 0),
        (1, 1, Outcome::Interrupted, 2),
        (3, 2, Outcome::Interrupted, 4),
        (5, 3, Outcome::Done, 6),
        (7, 3, Outcome::Done, 6),
    ] {
        let (script, ended, seconds) = stopped_after(wait, Script::default()).await;
        assert_eq!((script.sizes().len(), ended, seconds), (done, outcome, took), "stopped after {wait} s");
        let rest: Vec<_> = (done..3).map(|step| (step, None)).collect();
        assert_eq!(skipped(&script), rest, "nobody is to blame");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_what_goes_on_in_the_cloud_by_itself() {
    let operation = || Script::default().faults("a", &[Fault::UnderWay(600)]);
    let pods = || Script::default().verdicts("a", &[Verdict::Progressing("0 of 3 pods run".to_owned())]);
    for (script, wait) in [(operation(), 20), (pods(), 20)] {
        let (script, ended, seconds) = stopped_after(wait, script).await;
        assert_eq!((script.calls().len(), ended, seconds), (1, Outcome::Interrupted, wait));
    }
}

/// Polls a future this often and drops it: the run is gone at whatever await it had come to.
async fn dropped_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|context| match left.checked_sub(1) {
        None => Poll::Ready(None),
        Some(fewer) => {
            left = fewer;
            future.as_mut().poll(context).map(Some)
        }
    })
    .await
}

fn everything() -> (Script, Plan) {
    let script = Script::default().disk("grown", 100).disk("gone", 100).faults("made", &[Fault::Lost]);
    let steps = plan(vec![
        (change(create("made")), &[]),
        (change(grow("grown")), &[]),
        (change(delete("gone")), &[0]),
        (change(create("last")), &[1, 2]),
    ]);
    (script, steps)
}

#[tokio::test(start_paused = true)]
async fn a_run_dropped_at_any_await_is_taken_up_by_the_next() {
    let wanted = [("grown", 200), ("last", 100), ("made", 100)].map(|(name, size)| (name.to_owned(), size));
    for polls in 0.. {
        let (script, steps) = everything();
        let ended = dropped_after(polls, script.run(&steps, 2)).await;
        let report = script.run(&steps, 2).await;
        assert_eq!(report.outcome, Outcome::Done, "dropped after {polls} polls: {:?}", report.failures);
        assert_eq!(script.sizes(), wanted, "dropped after {polls} polls");
        if ended.is_some() {
            assert!(polls > 10, "a run has many awaits, not {polls}");
            return;
        }
    }
}
