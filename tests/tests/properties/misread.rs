//! A member that reads the shared configuration in the moment when it is being written, believes in an empty one and goes off
//! on its own. It is told again, before its automatic management writes a list of its own over the ensemble's or, since the
//! embedded cloud's time leaps from event to event, after that: then further applies bring the ensemble back. Data stays.

use crate::harness::{Lab, block_on, example, share, specs};
use std::time::Duration;
use zkprov_plans::plan::{Reason, StepKind};
use zkprov_plans::spec::ValidSpec;
use zkprov_sandbox::world::World;

/// Applies after which an ensemble is whole again. Automatic management, which had an empty list, can write lists of its own while
/// the first is under way, and give members other ids than they run with.
const APPLIES: usize = 3;

fn ensemble(replicas: u32) -> ValidSpec {
    specs(&example("tutorial"), &[&format!("spec.exhibitor.replicas={replicas}")]).remove(0)
}

/// The members' addresses in the shared file, by id.
fn servers(world: &World) -> Vec<String> {
    let text = world.exhibitor.properties(&share(world)).unwrap_or_default();
    let spec = text.lines().find_map(|line| line.strip_prefix("com.netflix.exhibitor.servers-spec="));
    let spec = spec.unwrap_or_default().replace('\\', "");
    spec.split(',').filter_map(|entry| Some(entry.rsplit_once(':')?.1.to_owned())).collect()
}

fn change(lab: &Lab, change: impl FnOnce(&mut World)) {
    let mut world = lab.running.world().unwrap();
    change(&mut world);
    lab.running.restore(world).unwrap();
}

/// A formed ensemble with a znode, and a member that misreads the so-manieth file that is written from now on.
async fn formed(member: usize, nth: u32) -> (Lab, Vec<String>) {
    let lab = Lab::start().await;
    lab.apply(&ensemble(3)).await.unwrap();
    let before = servers(&lab.running.world().unwrap());
    change(&lab, |world| {
        world.exhibitor.write(&before[0], "/kept", b"kept").unwrap();
        world.exhibitor.misreads(&before[member], nth);
    });
    (lab, before)
}

/// All that the file names are there and have the znode, and nothing is left to do.
async fn is_whole(lab: &Lab, spec: &ValidSpec, case: &str) {
    // Whoever still believes in an empty list now would write one of his own.
    lab.running.advance(Duration::from_secs(300)).unwrap();
    let world = lab.running.world().unwrap();
    let members = servers(&world);
    assert_eq!(members.len(), spec.exhibitor.replicas as usize, "{case}: {members:?}");
    for member in &members {
        assert!(world.exhibitor.read(member, "/kept").is_some(), "{case}: {member} has lost the znode");
    }
    let again = lab.plan(spec).await;
    assert!(again.is_empty(), "{case}:\n{}", again.words());
}

async fn changed(member: usize, nth: u32, to: &ValidSpec) {
    let (lab, _) = formed(member, nth).await;
    let case = format!("member {member} misreads file {nth} on the way to {}", to.exhibitor.replicas);
    let mut errors = Vec::new();
    while let Err(error) = lab.apply(to).await {
        errors.push(error);
        assert!(errors.len() < APPLIES, "{case}:\n{}", errors.join("\n"));
    }
    is_whole(&lab, to, &case).await;
}

#[test]
fn a_file_misread_while_the_ensemble_grows_costs_no_data() {
    block_on(async {
        for (member, nth) in [(0, 1), (1, 3), (2, 6), (0, 9)] {
            changed(member, nth, &ensemble(5)).await;
        }
    });
}

#[test]
fn the_last_file_misread_costs_no_data() {
    block_on(async {
        let set = ["spec.exhibitor.settings.check=20s"];
        let settings = specs(&example("tutorial"), &set).remove(0);
        for member in 0..3 {
            changed(member, 1, &settings).await;
        }
    });
}

#[test]
fn who_misread_the_file_is_told_again_by_the_next_apply() {
    block_on(async {
        let (lab, before) = formed(1, 1).await;
        change(&lab, |world| {
            let share = share(world);
            let text = world.exhibitor.properties(&share).unwrap().to_owned();
            world.exhibitor.restore_file(&share, &text);
        });
        while lab.running.world().unwrap().exhibitor.mode(&before[1]) != Some("standalone") {
            lab.running.advance(Duration::from_secs(1)).unwrap();
        }
        let spec = ensemble(3);
        let planned = lab.plan(&spec).await;
        let reasons = planned.plan.steps.iter().filter_map(|step| match &step.kind {
            StepKind::Change(change) => Some(&change.reason),
            StepKind::Gate(_) => None,
        });
        assert!(
            matches!(reasons.collect::<Vec<_>>()[..], [Reason::Misread(pods)] if pods.len() == 1),
            "{}",
            planned.words()
        );
        lab.apply(&spec).await.unwrap();
        is_whole(&lab, &spec, "told again").await;
    });
}

/// The shared file is gone, and with it the ensemble: its members serve alone until they are brought together again.
async fn brought_back(kill: bool) {
    let (lab, before) = formed(0, 0).await;
    change(&lab, |world| {
        let share = share(world);
        world.exhibitor.delete_file(&share);
    });
    if kill {
        lab.kill_pod(2);
    }
    while lab.running.world().unwrap().exhibitor.mode(&before[0]) != Some("standalone") {
        lab.running.advance(Duration::from_secs(1)).unwrap();
    }
    let spec = ensemble(3);
    if let Err(error) = lab.apply(&spec).await {
        // Automatic management may have begun an ensemble of its own in the meantime.
        lab.apply(&spec).await.unwrap_or_else(|again| panic!("{error}\n{again}"));
    }
    is_whole(&lab, &spec, "brought back").await;
}

#[test]
fn members_without_their_configuration_are_brought_together_with_their_data() {
    block_on(brought_back(false));
}

#[test]
fn members_with_data_form_the_ensemble_before_an_empty_one_joins() {
    block_on(brought_back(true));
}
