//! Steps that restart members, watched: what each costs a client that writes all the while, and who leads before and after.

use super::rig::Real;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use zkprov_tests::{Background, Output, Program, Strain};

/// Longest time without an acknowledged write that a step may cost: 5 s, and what the client itself adds: it pauses up to 1 s
/// between two tries to connect, and the Service may lead the first to a member that restarts.
const TARGET: Duration = Duration::from_secs(7);

/// Runs a command that prints JSON lines, and tells for each of so many steps for how long the client had to wait. Returns what it
/// printed.
pub(crate) fn watched(real: &Real, line: &str, steps: usize, writer: &mut Background) -> Output {
    // What came before counts for nothing.
    gap(writer);
    let mut strain = Strain::begin();
    let mut run = real.zkprov(&format!("{line} --format jsonl")).start();
    for _ in 0..steps {
        let measured: Value = serde_json::from_str(run.until("step_measured").trim()).unwrap();
        let waited = gap(writer);
        let (before, after) = (&measured["before"], &measured["after"]);
        let elections = epoch(after) - epoch(before);
        println!(
            "{line}: longest gap {waited:.1} s, {elections} elections, znodes {} -> {}, zxid {} -> {}",
            before["znodes"], after["znodes"], before["zxid"], after["zxid"]
        );
        assert!(waited < strain.allows(TARGET).as_secs_f64(), "{line}: {waited} s without a write");
        strain = Strain::begin();
        let read = after["canary"].as_array().unwrap();
        assert!(!read.is_empty() && read.iter().all(|one| one[1] == before["canary"][0][1]), "{measured}");
    }
    run.wait().exits(0)
}

/// A change of the JVM's options goes to every member, leader last: one election. Killed in its middle it is named, and the next
/// run goes on with it; without the option in the file the run after it goes back.
pub(crate) fn rolls_options_leader_last(real: &Real, writer: &mut Background) {
    let option = "-Dzkprov.test=1";
    let line = format!("apply --yes --set spec.exhibitor.jvmOptions={option}");
    let with = |pods: usize| {
        // Of ZooKeeper's process alone: the words of this script stand in the list of processes, too.
        let script = format!(
            "pid=$(jps | sed -n 's/ QuorumPeerMain$//p'); tr '\\0' '\\n' </proc/$pid/cmdline | grep -cx -e {option}; true"
        );
        let pods_with = super::node::pods(real)
            .iter()
            .filter(|pod| real.in_pod(super::node::name(pod), &script).exits(0).out.trim() != "0")
            .count();
        assert_eq!(pods_with, pods, "members that run with the option");
    };
    let before = last_epoch(real);
    let mut run = real.zkprov(&format!("{line} --format jsonl")).start();
    run.until("is back and in sync");
    run.signal("KILL");
    drop(run);
    real.zkprov(&format!("{} --detailed-exitcode", line.replace("apply --yes", "plan")))
        .run()
        .exits(2)
        .says(&["a roll was cut off before it came to", "restarts: off at"]);
    real.zkprov("status").run().says(&["switch for restarts is off"]);
    // The run is dead: as its lock's message advises, rather than wait until it expires.
    real.told("delete lease zkprov-exhibitor");
    let resumed = watched(real, &line, 1, writer);
    assert!(resumed.out.contains("restarting "), "{resumed}");
    with(3);
    assert_eq!(last_epoch(real) - before, 1, "the leader restarts last, and once");
    real.zkprov(&line).run().exits(0);
    // The file says nothing of it: back.
    let before = last_epoch(real);
    watched(real, "apply --yes", 1, writer);
    with(0);
    assert_eq!(last_epoch(real) - before, 1, "the leader restarts last, and once");
}

/// The longest time without an acknowledged write since it was asked last, seconds.
fn gap(writer: &mut Background) -> f64 {
    writer.signal("USR1");
    let told = writer.until("longest gap");
    let seconds = told.rsplit_once("longest gap ").unwrap().1.trim().trim_end_matches(" s");
    seconds.parse().unwrap()
}

/// How many leaders there have been at a transaction.
fn epoch(measure: &Value) -> u64 {
    let zxid = measure["zxid"].as_str().unwrap().strip_prefix("0x").unwrap();
    u64::from_str_radix(zxid, 16).unwrap() >> 32
}

/// The epoch that the members are in, by their own words.
fn last_epoch(real: &Real) -> u64 {
    let status = real.zkprov("status --format json").run().exits(0).json();
    let members = status["members"].as_array().unwrap().iter();
    members.filter(|member| member["zxid"].is_string()).map(epoch).max().unwrap()
}

/// A new template goes to every pod, the leader's last: one election, handed over before that pod goes. Killed in its middle it is
/// named, and the next run goes on with it.
pub(crate) fn replaces_pods_leader_last(
    real: &Real,
    zkprov: &dyn Fn(&Real, &str) -> Program,
    writer: &mut Background,
) {
    let pods = || uids(real);
    let (before, epoch) = (pods(), last_epoch(real));
    gap(writer);
    let strain = Strain::begin();
    let mut run = zkprov(real, "apply --yes --format jsonl").start();
    run.until("which is back and in sync");
    run.signal("KILL");
    drop(run);
    let plan = zkprov(real, "plan --detailed-exitcode").run().exits(2);
    plan.says(&["a roll was cut off before it came to exhibitor-"]);
    // The run is dead: as its lock's message advises, rather than wait until it expires.
    real.told("delete lease zkprov-exhibitor");
    let start = Instant::now();
    zkprov(real, "apply --yes").run().exits(0);
    assert!(pods().is_disjoint(&before), "every pod is replaced");
    let (waited, took) = (gap(writer), start.elapsed().as_secs());
    println!("every pod replaced: longest gap {waited:.1} s; the last two took {took} s");
    assert!(waited < strain.allows(TARGET).as_secs_f64(), "{waited} s without a write");
    assert_eq!(last_epoch(real) - epoch, 1, "one election");
    zkprov(real, "plan --detailed-exitcode").run().exits(0).says(&["no changes"]);
}

/// Longest time without a write while Exhibitor itself makes the others know each newcomer: two elections.
const BY_EXHIBITOR: Duration = Duration::from_secs(12);

/// The same without volumes: a Deployment's controller takes the pods, and waits for the ensemble between two of them.
pub(crate) fn replaces_pods_of_a_deployment(
    real: &Real,
    zkprov: &dyn Fn(&Real, &str) -> Program,
    writer: &mut Background,
) {
    let before = uids(real);
    gap(writer);
    let (strain, start) = (Strain::begin(), Instant::now());
    let applied = zkprov(real, "apply --yes").run().exits(0);
    assert!(uids(real).is_disjoint(&before), "every pod is replaced\n{applied}");
    let (waited, took) = (gap(writer), start.elapsed().as_secs());
    println!("every pod of the Deployment replaced in {took} s: longest gap {waited:.1} s");
    assert!(waited < strain.allows(BY_EXHIBITOR).as_secs_f64(), "{waited} s without a write");
    zkprov(real, "plan --detailed-exitcode").run().exits(0).says(&["no changes"]);
}

fn uids(real: &Real) -> BTreeSet<String> {
    super::node::pods(real).iter().map(|pod| pod["metadata"]["uid"].to_string()).collect()
}
