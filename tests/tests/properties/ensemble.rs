//! The ensemble under random schedules: whatever is asked for, killed, cut or disturbed, its fixed size stays odd, what we
//! do to a healthy ensemble costs it no quorum, and in the end it is what the file says.

use crate::harness::{Lab, block_on, example, share, specs};
use std::time::Duration;
use zkprov_plans::spec::ValidSpec;
use zkprov_sandbox::exhibitor::Worst;
use zkprov_sandbox::ids::Ids;
use zkprov_sandbox::server::{Cut, Side};

/// Things that happen in one schedule.
const LENGTH: usize = 4;
const FIXED_SIZE: &str = "com.netflix.exhibitor.auto-manage-instances-fixed-ensemble-size=";

#[derive(Debug)]
enum Act {
    Apply(u32),
    /// Apply, killed at this changing call, and run again.
    Cut(u32, Cut),
    /// Apply while every so many calls to Kubernetes fail.
    Faults(u32, u64),
    KillPod(u64),
    Wait(Duration),
}

impl Act {
    fn random(dice: &mut Ids) -> Self {
        let replicas = [3, 5, 7, 1][usize::try_from(dice.below(4)).unwrap()];
        match dice.below(6) {
            0 | 1 => Self::Apply(replicas),
            2 => {
                let side = if dice.below(2) == 0 { Side::Before } else { Side::After };
                let at = 1 + usize::try_from(dice.below(8)).unwrap();
                Self::Cut(replicas, Cut { at, side })
            }
            3 => Self::Faults(replicas, 7 + dice.below(20)),
            4 => Self::KillPod(dice.number()),
            _ => Self::Wait(Duration::from_secs(dice.below(600))),
        }
    }
}

fn ensemble(replicas: u32) -> ValidSpec {
    let replicas = format!("spec.exhibitor.replicas={replicas}");
    let set = [&replicas, "spec.exhibitor.allowSingle=true"];
    specs(&example("tutorial"), &set).remove(0)
}

/// Forgets the worst moment so far; whether every voter serves now.
fn begin(lab: &Lab) -> bool {
    let mut world = lab.running.world().unwrap();
    let share = share(&world);
    world.exhibitor.forget_worst(&share);
    let healthy = world.exhibitor.health(&share).is_some_and(|now| now.healthy == now.declared);
    lab.running.restore(world).unwrap();
    healthy
}

async fn carry_out(lab: &Lab, act: &Act) {
    // What is refused or fails half-way is taken up later; what it may do to the ensemble is the same.
    match act {
        Act::Apply(replicas) => drop(lab.apply(&ensemble(*replicas)).await),
        Act::Cut(replicas, cut) => {
            let spec = ensemble(*replicas);
            lab.running.set_cut(Some(*cut));
            tokio::select! {
                () = lab.cut_strikes() => {}
                _ = lab.apply(&spec) => {}
            }
            lab.running.set_cut(None);
            drop(lab.apply(&spec).await);
        }
        Act::Faults(replicas, every) => {
            let rule = format!("service=kubernetes,every={every},status=503").parse().unwrap();
            lab.running.faults(|faults| faults.push(rule));
            drop(lab.apply(&ensemble(*replicas)).await);
            lab.running.faults(zkprov_sandbox::faults::Faults::clear);
        }
        Act::KillPod(which) => lab.kill_pod(*which),
        Act::Wait(by) => drop(lab.running.advance(*by).unwrap()),
    }
}

/// Longest time an election may take after the leader's restart, virtual ms.
const ELECTION: u64 = 10_000;

/// What a run did to an ensemble of which every voter served, if it cost more than elections. An ensemble of one or two
/// has no member to spare.
fn lost_quorum(worst: Worst) -> bool {
    let spared = |declared| declared > 2;
    worst.up.is_some_and(|up| spared(up.declared) && up.up < up.quorum)
        || worst.healthy.is_some_and(|health| spared(health.declared)) && worst.outage > ELECTION
}

async fn schedule(seed: u64) {
    let lab = Lab::start().await;
    lab.apply(&ensemble(3)).await.unwrap();
    let mut dice = Ids::new(seed);
    let mut acts = Vec::new();
    // A killed pod goes on for a while: what it costs shows in the acts after it.
    let mut killed = false;
    for _ in 0..LENGTH {
        let act = Act::random(&mut dice);
        killed = match act {
            Act::KillPod(_) => true,
            Act::Wait(_) => false,
            Act::Apply(_) | Act::Cut(..) | Act::Faults(..) => killed,
        };
        let healthy = begin(&lab);
        carry_out(&lab, &act).await;
        acts.push(act);
        let world = lab.running.world().unwrap();
        let share = share(&world);
        let worst = world.exhibitor.worst(&share);
        assert!(!(healthy && !killed && lost_quorum(worst)), "seed {seed}: {acts:?}: {worst:?}");
        let properties = world.exhibitor.properties(&share).unwrap_or_default();
        let fixed = properties.lines().find_map(|line| line.strip_prefix(FIXED_SIZE)).unwrap();
        assert!(fixed.parse::<u32>().unwrap() % 2 == 1, "seed {seed}: {acts:?}: fixed size {fixed}");
    }
    // Lost members come back by themselves before anybody changes the ensemble.
    lab.running.advance(Duration::from_secs(30 * 60)).unwrap();
    let spec = ensemble(5);
    if let Err(error) = lab.apply(&spec).await {
        panic!("seed {seed}: {acts:?}: {error}");
    }
    let plan = lab.plan(&spec).await;
    assert!(plan.is_empty(), "seed {seed}: {acts:?}: {}", plan.words());
    let world = lab.running.world().unwrap();
    let end = world.exhibitor.health(&share(&world)).unwrap();
    assert_eq!((end.declared, end.healthy), (5, 5), "seed {seed}: {acts:?}");
}

macro_rules! schedules {
    ($($name:ident $seed:literal)*) => {$(
        #[test]
        fn $name() {
            block_on(schedule($seed));
        }
    )*};
}

schedules! {
    schedule_1_keeps_the_quorum 1
    schedule_2_keeps_the_quorum 2
    schedule_3_keeps_the_quorum 3
}
