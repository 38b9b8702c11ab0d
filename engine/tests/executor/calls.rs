//! What becomes of one change: its precondition, its calls by class of error, its wait.

use crate::script::{Fault, PACE, Script, create, delete, grow, only, seconds};
use tokio::time::Instant;
use zkprov_engine::error::{ProviderErrorKind as Kind, one_line};
use zkprov_plans::event::{Event, Outcome};
use zkprov_plans::observed::Ownership;
use zkprov_plans::plan::{Call, Change, ReadyWhen};
use zkprov_plans::readiness::Verdict;

/// More of them than any call is tried.
const FOR_EVER: usize = 100;

#[tokio::test(start_paused = true)]
async fn an_error_is_tried_again_by_its_class() {
    use Fault::{Fails, Lost};
    for (faults, calls, outcome) in [
        (vec![], 1, Outcome::Done),
        (vec![Fails(Kind::Transient); 2], 3, Outcome::Done),
        (vec![Fails(Kind::Busy); 2], 3, Outcome::Done),
        (vec![Fails(Kind::OutcomeUnknown)], 2, Outcome::Done),
        (vec![Lost], 1, Outcome::Done),
        (vec![Fails(Kind::Transient), Lost], 2, Outcome::Done),
        (vec![Fails(Kind::Transient); FOR_EVER], 8, Outcome::Failed),
        (vec![Fails(Kind::Busy); FOR_EVER], 8, Outcome::Failed),
        (vec![Fails(Kind::OutcomeUnknown); FOR_EVER], 8, Outcome::Failed),
        (vec![Fails(Kind::Denied)], 1, Outcome::Failed),
        (vec![Fails(Kind::QuotaExceeded)], 1, Outcome::Failed),
        (vec![Fails(Kind::Invalid)], 1, Outcome::Failed),
        (vec![Fails(Kind::Failed)], 1, Outcome::Failed),
    ] {
        for change in [create("a"), grow("a")] {
            let script = Script::default().faults("a", &faults);
            let script = if change.calls == [Call::Insert] { script } else { script.disk("a", 100) };
            let report = script.run(&only(change), 1).await;
            let what = format!("{:?} ...: {:?}", faults.first(), report.failures);
            assert_eq!((script.calls().len(), report.outcome), (calls, outcome), "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_repeated_under_its_own_name_and_each_has_another() {
    let faults = [Fault::Fails(Kind::OutcomeUnknown), Fault::Fails(Kind::Transient)];
    let script = Script::default().disk("a", 100).faults("a", &faults);
    assert_eq!(script.run(&only(delete("a")), 1).await.outcome, Outcome::Done);
    let ids: Vec<String> = script.calls().into_iter().map(|(_, _, id)| id).collect();
    let [first, again, third, delete] = ids.as_slice() else { panic!("{ids:?}") };
    assert!(first == again && again == third && third != delete, "{ids:?}");
}

#[tokio::test(start_paused = true)]
async fn the_server_says_how_long_to_wait() {
    let (script, start) = (Script::default().faults("a", &[Fault::Later(37)]), Instant::now());
    assert_eq!(script.run(&only(create("a")), 1).await.outcome, Outcome::Done);
    // Two calls of two seconds each.
    assert_eq!(seconds(start), 37 + 4);
    let pause = |event| if let Event::StepRetried { delay_ms, .. } = event { Some(delay_ms) } else { None };
    let pauses = script.events().into_iter().filter_map(pause);
    assert_eq!(pauses.collect::<Vec<_>>(), [37_000]);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_answered_by_looking_never_by_blind_repetition() {
    for (fault, calls) in [(Fault::Lost, 1), (Fault::Fails(Kind::OutcomeUnknown), 2)] {
        let script = Script::default().faults("a", &[fault]);
        assert_eq!(script.run(&only(create("a")), 1).await.outcome, Outcome::Done);
        assert_eq!((script.calls().len(), script.reads()), (calls, 2), "{fault:?}");
        assert_eq!(script.sizes(), [("a".to_owned(), 100)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_written_over_only_if_the_approved_difference_stands() {
    for (size, calls, outcome) in [
        // Something else about it changed: the same difference is written on what is there now.
        (None, 2, Outcome::Done),
        // It has become what we want.
        (Some(200), 1, Outcome::Done),
        // It has become something that nobody has approved to change.
        (Some(150), 1, Outcome::Stale),
    ] {
        let script = Script::default().disk("a", 100).faults("a", &[Fault::Overtaken(size)]);
        let report = script.run(&only(grow("a")), 1).await;
        assert_eq!(
            (script.calls().len(), report.outcome),
            (calls, outcome),
            "{size:?}: {:?}",
            report.failures
        );
        let left = if outcome == Outcome::Done { 200 } else { 150 };
        assert_eq!(script.sizes(), [("a".to_owned(), left)]);
        for (_, error) in &report.failures {
            let line = one_line(error);
            assert!(
                line.contains(r#""100" -> "200""#) && line.contains(r#""150" -> "200""#),
                "both differences: {line}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_rests_on_what_was_approved() {
    let another = || Ownership::Other("another".to_owned());
    for (found, change, calls, outcome) in [
        (None, create("a"), 1, Outcome::Done),
        (Some((100, Ownership::Ours)), create("a"), 0, Outcome::Done),
        (Some((150, Ownership::Ours)), create("a"), 0, Outcome::Stale),
        (Some((100, another())), create("a"), 0, Outcome::Stale),
        (Some((100, Ownership::Foreign)), create("a"), 0, Outcome::Stale),
        (Some((100, Ownership::Ours)), grow("a"), 1, Outcome::Done),
        (Some((200, Ownership::Ours)), grow("a"), 0, Outcome::Done),
        (Some((300, Ownership::Ours)), grow("a"), 0, Outcome::Stale),
        (None, grow("a"), 0, Outcome::Stale),
        (Some((100, Ownership::Ours)), delete("a"), 2, Outcome::Done),
        (Some((150, Ownership::Ours)), delete("a"), 2, Outcome::Done),
        (Some((150, another())), delete("a"), 0, Outcome::Stale),
        (None, delete("a"), 0, Outcome::Done),
    ] {
        let script = Script::default();
        let what = format!("{found:?}, {:?}", change.action);
        let script = match found {
            Some((size, ownership)) => script.somebodys_disk("a", size, ownership),
            None => script,
        };
        let report = script.run(&only(change), 1).await;
        assert_eq!((script.calls().len(), report.outcome), (calls, outcome), "{what}: {:?}", report.failures);
    }
}

#[tokio::test(start_paused = true)]
async fn protection_is_set_again_when_the_deletion_fails() {
    let protect = |on| Call::SetDeletionProtection { on };
    for (faults, calls) in [
        (vec![], vec![protect(false), Call::Delete]),
        (vec![Fault::Passes, Fault::Fails(Kind::Denied)], vec![protect(false), Call::Delete, protect(true)]),
        (vec![Fault::Fails(Kind::Denied)], vec![protect(false)]),
    ] {
        let script = Script::default().disk("a", 100).faults("a", &faults);
        let report = script.run(&only(delete("a")), 1).await;
        assert_eq!(report.failures.is_empty(), faults.is_empty());
        assert_eq!(script.calls().into_iter().map(|(_, call, _)| call).collect::<Vec<_>>(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn every_wait_has_a_deadline() {
    let never = [Verdict::Progressing("VM STAGING".to_owned())];
    for (ready_when, limit) in [
        (ReadyWhen::ClusterRunning, PACE.step),
        (ReadyWhen::NodePoolRunning, PACE.step),
        (ReadyWhen::FilestoreReady, PACE.step),
        (ReadyWhen::FileServerReady { generation: "1".to_owned() }, PACE.step),
        (ReadyWhen::PodsAnswer { replicas: 3 }, PACE.step),
        (ReadyWhen::Gone, PACE.step),
        (ReadyWhen::EnsembleServes { voters: 3 }, PACE.formation),
    ] {
        let (script, start) = (Script::default().verdicts("a", &never), Instant::now());
        let report = script.run(&only(Change { ready_when, ..create("a") }), 1).await;
        let [(0, error)] = report.failures.as_slice() else { panic!("{:?}", report.failures) };
        assert_eq!((error.kind, seconds(start)), (Kind::Deadline, limit.as_secs() + 2));
        assert!(one_line(error).contains("VM STAGING"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_final_failure_is_not_waited_out() {
    let hopeless =
        Verdict::Failed { reason: "ImagePullBackOff".to_owned(), hint: "look at the image".to_owned() };
    let (script, start) = (Script::default().verdicts("a", &[hopeless]), Instant::now());
    let change = Change { ready_when: ReadyWhen::PodsAnswer { replicas: 3 }, ..create("a") };
    let report = script.run(&only(change), 1).await;
    let [(0, error)] = report.failures.as_slice() else { panic!("{:?}", report.failures) };
    assert_eq!((error.kind, error.hint.as_str(), seconds(start)), (Kind::Failed, "look at the image", 2));
}
