//! Runs that are stopped or killed, and taken up again.

use super::bench;
use super::world::{let_the_lock_expire, let_the_lock_hold};
use zkprov_tests::{Bench, Output};

#[test]
fn a_run_stopped_and_killed_at_every_stage_ends_where_an_undisturbed_one_does() {
    let undisturbed = bench();
    // Nobody reads what it says: that does not disturb it.
    undisturbed.tutorial("apply --yes").start_unread().wait().exits(0);

    let bench = bench();
    at(&bench, "gke/my-project/us-east1-d/cluster-1", "KILL").exits_by_signal();
    let stopped = at(&bench, "validatingadmissionpolicy/cluster-1", "INT").exits(130);
    stopped.complains(&["run the same command again to resume"]);
    let stopped = at(&bench, "validatingadmissionpolicybinding/cluster-1", "TERM").exits(143);
    stopped.complains(&["run the same command again to resume"]);
    at(&bench, "config/set", "KILL").exits_by_signal();
    let_the_lock_expire(&bench);
    bench.tutorial("apply --yes").run().exits(0).says(&["3 of 3 voters serve"]);
    bench.tutorial("plan --detailed-exitcode").run().exits(0).says(&["no changes"]);
    assert_eq!(bench.inventory(), undisturbed.inventory());
}

#[test]
fn a_killed_runs_lock_holds_for_a_minute_and_then_lets_go() {
    let bench = bench();
    // The second wave of objects: the lock is held since the first.
    at(&bench, "validatingadmissionpolicybinding/cluster-1", "KILL").exits_by_signal();
    let_the_lock_hold(&bench);
    let locked = bench.tutorial("apply --yes").run().exits(4);
    locked.complains(&["holds the lock of ensemble exhibitor", "expires"]);
    let_the_lock_expire(&bench);
    bench.tutorial("apply --yes").run().exits(0).says(&["3 of 3 voters serve"]);
}

/// Applies, and sends a signal at the first event that names `what`.
fn at(bench: &Bench, what: &str, signal: &str) -> Output {
    let mut run = bench.tutorial("apply --yes --format jsonl").start();
    run.until(what);
    run.signal(signal);
    run.wait()
}
