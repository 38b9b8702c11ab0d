//! Rolls that zkprov drives: followers first, the leader last with one election, the quorum kept; and a roll that is cut off at any
//! call ends the same, with every switch on, whether the next run goes on with it or goes back.

use crate::harness::{Lab, block_on, example, share, specs};
use zkprov_plans::plan::{Plan, Reason};
use zkprov_plans::spec::ValidSpec;
use zkprov_sandbox::server::{Cut, Side};
use zkprov_sandbox::world::World;

/// Tests that share the cuts, so that they run side by side.
const STRIPES: usize = 4;
/// Longest time without a quorum, virtual ms: one election, and the restart of the leader's process.
pub(crate) const ELECTION: u64 = 5_000;

fn ensemble(heap: &str) -> ValidSpec {
    let heap = format!("spec.exhibitor.heap={heap}");
    specs(&example("tutorial"), &[&heap, "spec.exhibitor.settings.check=1s"]).remove(0)
}

/// The members' addresses in the shared file, by id.
fn servers(world: &World) -> Vec<String> {
    let text = world.exhibitor.properties(&share(world)).unwrap_or_default();
    let spec = text.lines().find_map(|line| line.strip_prefix("com.netflix.exhibitor.servers-spec="));
    let spec = spec.unwrap_or_default().replace('\\', "");
    spec.split(',').filter_map(|entry| Some(entry.rsplit_once(':')?.1.to_owned())).collect()
}

/// The number of leaders there have been, by the epoch of a transaction.
pub(crate) fn elections(lab: &Lab) -> u64 {
    let mut world = lab.running.world().unwrap();
    let first = servers(&world).remove(0);
    let zxid = world.exhibitor.write(&first, "/counted", b"x").unwrap();
    lab.running.restore(world).unwrap();
    zxid >> 32
}

pub(crate) fn names_the_cut(plan: &Plan) -> bool {
    plan.changes().any(|(_, change)| matches!(change.reason, Reason::RollInterrupted(_)))
}

pub(crate) fn forget_worst(lab: &Lab) {
    let mut world = lab.running.world().unwrap();
    let share = share(&world);
    world.exhibitor.forget_worst(&share);
    lab.running.restore(world).unwrap();
}

/// What a run has cost: too many elections, a vote too much, a switch that is off, or work that is left.
async fn fault(lab: &Lab, spec: &ValidSpec, before: u64, most: u64) -> Option<String> {
    let world = lab.running.world().unwrap();
    let worst = world.exhibitor.worst(&share(&world));
    let had = elections(lab) - before;
    if had == 0 || had > most {
        return Some(format!("{had} elections"));
    }
    if worst.up.is_some_and(|up| up.up < up.quorum) || worst.outage > ELECTION {
        return Some(format!("{worst:?}"));
    }
    let plan = lab.plan(spec).await;
    (!plan.is_empty()).then(|| format!("the next plan: {}", plan.words()))
}

#[test]
fn followers_go_first_and_one_election_is_all() {
    block_on(async {
        let lab = Lab::start().await;
        lab.apply(&ensemble("256MiB")).await.unwrap();
        for heap in ["300MiB", "320MiB", "340MiB"] {
            let before = elections(&lab);
            forget_worst(&lab);
            lab.apply(&ensemble(heap)).await.unwrap();
            assert_eq!(fault(&lab, &ensemble(heap), before, 1).await, None, "{heap}");
        }
    });
}

/// What a second run wants, after one that was cut on the way from 256 to 300 MiB, and how many elections both may cost together.
const THEN: [(&str, u64); 2] = [("300MiB", 1), ("256MiB", 2)];

/// Cuts a roll at each changing call of its stripe; from there one run goes on with it, and another one goes back.
async fn cut(stripe: usize) {
    let lab = Lab::start().await;
    lab.apply(&ensemble("256MiB")).await.unwrap();
    let world = lab.running.world().unwrap();
    let before = elections(&lab);
    lab.running.set_cut(None);
    lab.apply(&ensemble("300MiB")).await.unwrap();
    let calls = lab.running.mutation_count();
    // Three switches off, three restarts, three switches on, and the configuration.
    assert!(calls >= 10, "{calls} calls");
    let mut resumed = [0, 0];
    for at in (1..=calls).skip(stripe).step_by(STRIPES) {
        // After one call is before the next.
        let sides = if at == 1 { &[Side::Before, Side::After][..] } else { &[Side::After] };
        for side in sides.iter().copied() {
            lab.running.restore(world.clone()).unwrap();
            forget_worst(&lab);
            lab.running.set_cut(Some(Cut { at, side }));
            let died = lab.until_cut(lab.apply(&ensemble("300MiB"))).await;
            lab.running.set_cut(None);
            let (cut, request) = (lab.running.world().unwrap(), died.unwrap_or_default());
            for ((then, most), resumed) in THEN.into_iter().zip(&mut resumed) {
                let case = format!("cut {at} of {calls}, {side:?} {request}, then {then}");
                lab.running.restore(cut.clone()).unwrap();
                let plan = lab.plan(&ensemble(then)).await;
                *resumed += usize::from(names_the_cut(&plan.plan));
                if let Err(error) = lab.apply(&ensemble(then)).await {
                    panic!("{case}: {error}");
                }
                // A cut before the first restart, undone, has cost nothing.
                let rolled = then == "300MiB" || elections(&lab) > before;
                if rolled && let Some(fault) = fault(&lab, &ensemble(then), before, most).await {
                    panic!("{case}: {fault}");
                }
            }
        }
    }
    assert!(resumed.iter().all(|count| *count > 0), "no plan named the roll that was cut off: {resumed:?}");
}

macro_rules! stripes {
    ($($name:ident $stripe:literal)*) => {$(
        #[test]
        fn $name() {
            block_on(cut($stripe));
        }
    )*};
}

stripes! {
    a_roll_cut_at_every_fourth_call_goes_on_and_goes_back 0
    a_roll_cut_at_every_fourth_call_from_the_second_goes_on_and_goes_back 1
    a_roll_cut_at_every_fourth_call_from_the_third_goes_on_and_goes_back 2
    a_roll_cut_at_every_fourth_call_from_the_fourth_goes_on_and_goes_back 3
}
