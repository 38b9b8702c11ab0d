//! The tutorial from nothing to nothing: apply, look, scale, destroy.

use super::bench;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use zkprov_tests::{Bench, example};

#[test]
fn the_tutorial_comes_up_grows_and_goes() {
    let bench = bench();
    applies(&bench);
    has_nothing_left_to_do(&bench);
    serves(&bench, 3);
    refuses_four(&bench);
    grows_to_five_by_a_saved_plan(&bench);
    serves(&bench, 5);
    is_destroyed_by_its_name_alone(&bench);
}

fn applies(bench: &Bench) {
    let output = bench.tutorial("apply --yes").run().exits(0).says(&[
        "Plan: 15 to create, 1 to change",
        "3 of 3 voters serve",
        "exhibitor.default.svc.cluster.local:2181",
        "exhibitor.default.svc.cluster.local:8181",
    ]);
    let leaders = output.out.lines().filter(|line| line.contains("  leader  ")).count();
    assert_eq!(leaders, 1, "{output}");
}

fn has_nothing_left_to_do(bench: &Bench) {
    bench.tutorial("plan --detailed-exitcode").run().exits(0).says(&["no changes"]);
    bench.tutorial("plan --refresh-only --detailed-exitcode").run().exits(0);
}

fn serves(bench: &Bench, count: usize) {
    let set = format!("status --check --format json --set spec.exhibitor.replicas={count}");
    let status = bench.tutorial(&set).run().exits(0).json();
    let members = status["members"].as_array().unwrap();
    let ids: BTreeSet<u64> = members.iter().filter_map(|member| member["id"].as_u64()).collect();
    let role = |role: &str| members.iter().filter(|member| member["role"] == role).count();
    assert_eq!(ids.len(), count, "{status:#}");
    assert_eq!((role("leader"), role("follower")), (1, count - 1), "{status:#}");
    assert!(members.iter().all(|member| member["serving"] == Value::Bool(true)), "{status:#}");
}

fn refuses_four(bench: &Bench) {
    let before = bench.inventory();
    let output = bench.tutorial("scale 4 --yes").run().exits(3);
    output.complains(&["an ensemble of 4 is refused", "zkprov scale 3", "zkprov scale 5"]);
    assert_eq!(bench.inventory(), before);
}

fn grows_to_five_by_a_saved_plan(bench: &Bench) {
    let plan = "plan --set spec.exhibitor.replicas=5 --out p.json --detailed-exitcode";
    let planned = bench.tutorial(plan).run().exits(2).says(&[
        "voters 3 -> 4 -> 5",
        "quorum: voters 3, need 3, healthy 3 -> 3",
        "quorum: voters 4, need 3, healthy 4 -> 4",
    ]);
    planned.complains(&[&format!("`zkprov apply p.json --sandbox={}`", bench.cloud().display())]);
    bench.sandbox("apply p.json").run().exits(0).says(&["5 of 5 voters serve"]);
    let before = bench.inventory();
    let again = bench.sandbox("apply p.json").run().exits(6);
    again.complains(&["stale", "deployment/cluster-1/default/exhibitor", "zkprov plan --out"]);
    assert_eq!(bench.inventory(), before);
}

fn is_destroyed_by_its_name_alone(bench: &Bench) {
    let before = bench.inventory();
    bench.tutorial("destroy").run().exits(64).complains(&["--confirm exhibitor"]);
    bench.tutorial("destroy --confirm other").run().exits(3).complains(&["`other` is not the name"]);
    let protected = "destroy --confirm exhibitor --set spec.protection.destroy=true";
    bench.tutorial(protected).run().exits(3).complains(&["nothing was changed"]);
    assert_eq!(bench.inventory(), before);

    let words = ["destroyed exhibitor; no orphans", "kept: disk/my-project/us-east1-d/singlefs-1-vm-data"];
    bench.tutorial("destroy --confirm exhibitor").run().exits(0).says(&words);
    let mut left = bench.inventory();
    // What is on the disk.
    left.retain(|line| !line.starts_with("singlefs-1-vm.us-east1-d.c.my-project.internal:/data "));
    assert!(left.len() == 1 && left[0].contains("disks/singlefs-1-vm-data"), "{left:#?}");
}

#[test]
fn a_cluster_that_one_ensemble_creates_is_there_for_the_next() {
    let bench = bench();
    let both = example("two-ensembles/zkprov.yaml");
    let plan = |file: &Path| bench.sandbox("plan --detailed-exitcode").args(["-f"]).args([file]).run();
    plan(&both).exits(2);
    // Alone, the second would wait for a cluster that nobody creates.
    let text = std::fs::read_to_string(&both).unwrap();
    let second = bench.path("second.yaml");
    std::fs::write(&second, text.split("\n---\n").last().unwrap()).unwrap();
    plan(&second).says(&["refused[cluster-not-found]"]);
}
