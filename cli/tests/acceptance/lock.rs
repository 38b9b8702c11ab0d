//! One run at a time.

use super::bench;
use super::world::let_the_lock_hold;
use zkprov_tests::example;

#[test]
fn a_second_run_is_turned_away_while_the_first_goes_on() {
    let bench = bench();
    // Served by a third process: the first run must not stop the cloud with itself.
    let cloud = bench.serve();
    let apply = |args: &str| cloud.to(bench.bare(args).args([example("tutorial/zkprov.yaml")]));
    let mut first = apply("apply --yes --format jsonl -f").start();
    first.until("deployment/cluster-1/default/exhibitor");
    // It holds its lock and its breath, so that the second one meets it for sure.
    first.signal("STOP");
    let_the_lock_hold(&bench);
    let second = apply("apply --yes -f").run();
    first.signal("CONT");
    second.exits(4).complains(&["holds the lock of ensemble exhibitor since"]);
    first.wait().exits(0).says(&[r#""outcome":"done""#]);
}
