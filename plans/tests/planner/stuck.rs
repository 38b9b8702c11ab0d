//! Plans while a roll of Exhibitor's waits for a member whose pod is gone.

use crate::states::{everything, golden, planned, predict, shown, targets, tutorial};
use zkprov_plans::diff;
use zkprov_plans::observed::{Observed, Reading, StuckRoll};
use zkprov_plans::plan::{Mode, Reason};
use zkprov_plans::resource::ResourceKind;

fn wait_for(observed: &mut Observed, host: &str) {
    for (id, reading) in &mut observed.resources {
        if let (ResourceKind::Ensemble, Reading::Known(live)) = (id.kind, reading) {
            live.document[diff::ROLL] = format!("waits for {host}").into();
        }
    }
    let Reading::Known(state) = &mut observed.ensemble else { panic!("no members") };
    state.stuck = Some(StuckRoll { waits_for: host.to_owned(), before: false });
}

/// The first member's pod is gone, and the roll waits for it.
fn wait_for_the_first(observed: &mut Observed) {
    wait_for(observed, "10.0.0.1");
    let Reading::Known(state) = &mut observed.ensemble else { panic!("no members") };
    state.pods.remove(0);
    state.members[0].zookeeper = None;
}

#[test]
fn the_member_that_is_gone_is_replaced_and_the_roll_ended_by_it() {
    let (spec, desired) = tutorial(&[]);
    let mut observed = everything(&desired, 3);
    wait_for_the_first(&mut observed);
    let plan = planned(&spec, &desired, &observed, Mode::Apply);
    golden("tutorial-roll-stuck.txt", &shown(&spec, &plan));
    // A live step would end the roll without holding anybody.
    assert!(targets(&plan).first().is_some_and(|target| target.rolling), "{:?}", targets(&plan));
}

#[test]
fn other_changes_wait_for_it_and_say_how() {
    let (_, three) = tutorial(&[]);
    let (spec, five) = tutorial(&["spec.exhibitor.replicas=5"]);
    let mut observed = everything(&three, 3);
    predict(&mut observed, &five);
    wait_for_the_first(&mut observed);
    let plan = planned(&spec, &five, &observed, Mode::Apply);
    let refused = plan.findings.iter().find(|finding| finding.code == "member-missing").unwrap();
    assert!(refused.fix.contains("--set spec.exhibitor.replicas=3"), "{refused:?}");
}

#[test]
fn a_newcomer_that_is_gone_before_it_took_part_leaves_only_the_roll_to_end() {
    let (spec, desired) = tutorial(&[]);
    let mut observed = everything(&desired, 3);
    wait_for(&mut observed, "10.0.0.9");
    let plan = planned(&spec, &desired, &observed, Mode::Apply);
    let steps: Vec<_> = plan.changes().map(|(_, change)| (&change.reason, change.diff.len())).collect();
    assert_eq!(steps, [(&Reason::RollStuck("10.0.0.9".to_owned()), 1)], "{}", shown(&spec, &plan));
    let drift = planned(&spec, &desired, &observed, Mode::RefreshOnly);
    assert!(drift.changes().any(|(_, change)| change.diff.iter().any(|field| field.path == diff::ROLL)));
}
