//! An ensemble whose majority is lost, rebuilt from the member that still knows.

use super::bench;
use super::world::{change, of_pods, pods};
use serde_json::{Value, json};
use zkprov_tests::Bench;

/// Deletes pods at once, and their data with them.
fn delete(bench: &Bench, names: &[&str]) {
    change(bench, |world| {
        for name in names {
            of_pods(world, &format!("DELETE {name}?gracePeriodSeconds=0"), &Value::Null);
        }
        // The successors' Exhibitors answer after 10 s; automatic management looks a minute later at the earliest.
        let then = world.now + 40_000;
        world.advance_to(then);
    });
}

fn write(bench: &Bench, address: &str, path: &str, data: &[u8]) {
    change(bench, |world| {
        world.exhibitor.write(address, path, data).unwrap();
    });
}

/// What each pod's ZooKeeper serves at a path.
fn served(bench: &Bench, path: &str) -> Vec<Option<Vec<u8>>> {
    let addresses = pods(bench);
    let mut found = Vec::new();
    change(bench, |world| {
        let read = |address: &str| world.exhibitor.read(address, path).map(|node| node.data.clone());
        found = addresses.iter().map(|(_, address)| read(address)).collect();
    });
    found
}

/// Of the members of an ensemble that serves, all but the first were deleted at once; the name of the first.
fn left_alone(bench: &Bench) -> String {
    let before = pods(bench);
    write(bench, &before[0].1, "/precious", b"gold");
    delete(bench, &[before[1].0.as_str(), before[2].0.as_str()]);
    before[0].0.clone()
}

#[test]
fn an_ensemble_is_rebuilt_from_the_one_member_that_is_left() {
    let bench = bench();
    bench.tutorial("recover --dry-run").run().exits(3).complains(&["there is nothing to recover from"]);
    bench.apply("tutorial", &[]);
    let fine = bench.tutorial("recover --dry-run").run().exits(3);
    fine.says(&["3 of 3 members serve: there is nothing to recover", "LAST LOGGED"]);

    let survivor = left_alone(&bench);
    let status = bench.tutorial("status --check").run().exits(3);
    status.says(&["the majority is lost: 2 of 3 members have no pod any more", "zkprov recover"]);
    bench.tutorial("plan").run().exits(3).says(&["the majority is lost", "zkprov recover"]);

    let shown = bench.tutorial("recover --dry-run").run().exits(0);
    shown.says(&[
        &format!("{survivor} knows most"),
        "gone, and its data",
        "is lost: its last transaction is 0x",
    ]);
    let name = bench.tutorial("recover").run().exits(64);
    name.complains(&["--confirm exhibitor"]);
    bench.tutorial("recover --confirm other").run().exits(3).complains(&["is not the name"]);
    bench.tutorial("recover --without nobody").run().exits(64).complains(&["there is no such pod"]);

    bench.tutorial("recover --confirm exhibitor").run().exits(0).says(&["3 of 3 voters serve"]);
    assert_eq!(served(&bench, "/precious"), vec![Some(b"gold".to_vec()); 3]);
    bench.tutorial("plan --detailed-exitcode").run().exits(0).says(&["no changes"]);
}

#[test]
fn an_interrupted_recovery_is_taken_up_again() {
    let bench = bench();
    bench.apply("tutorial", &[]);
    let survivor = left_alone(&bench);
    let mut run = bench.tutorial("recover --confirm exhibitor --format jsonl").start();
    run.until("step_finished");
    run.signal("INT");
    run.wait().exits(130);
    let again = bench.tutorial("recover --dry-run --format jsonl").run().exits(0);
    let evidence: Value = serde_json::from_str(again.out.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&evidence["type"], &evidence["verdict"]),
        (&json!("evidence"), &json!({"verdict": "resume", "voters": 1}))
    );
    let own = evidence["members"]
        .as_array()
        .unwrap()
        .iter()
        .find(|member| member["pod"] == survivor.as_str())
        .unwrap();
    assert_eq!(own["serves"], "standalone");

    bench.tutorial("recover --confirm exhibitor").run().exits(0).says(&["3 of 3 voters serve"]);
    assert_eq!(served(&bench, "/precious"), vec![Some(b"gold".to_vec()); 3]);
}
