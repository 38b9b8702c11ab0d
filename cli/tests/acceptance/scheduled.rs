//! Backups on a schedule: with the ensemble, changed in place, gone when the file has them no longer; and only so many kept.

use super::bench;
use std::fs;
use std::thread::sleep;
use std::time::Duration;
use zkprov_tests::{Bench, Program};

const SCHEDULE: &str = "spec.exhibitor.backup={schedule: \"0 3 * * *\", image: example.com/zkprov:1}";

/// A command on the tutorial's ensemble, with backups on a schedule.
fn scheduled(bench: &Bench, args: &str) -> Program {
    bench.tutorial(args).args(["--set", SCHEDULE])
}

#[test]
fn a_schedule_comes_changes_and_goes() {
    let bench = &bench();
    scheduled(bench, "apply --yes").run().exits(0).says(&["Plan: 20 to create, 1 to change"]);
    scheduled(bench, "plan --detailed-exitcode").run().exits(0).says(&["no changes"]);
    let mine = |line: &&String| line.contains("exhibitor-backup");
    assert_eq!(bench.inventory().iter().filter(mine).count(), 5, "{:#?}", bench.inventory());

    let later = ["--set", "spec.exhibitor.backup.schedule=0 4 * * *"];
    let plan = scheduled(bench, "plan --detailed-exitcode").args(later).run().exits(2);
    plan.says(&[
        "Plan: 1 to change",
        "spec.schedule: 0 3 * * * -> 0 4 * * *  <- spec.exhibitor.backup.schedule",
    ]);
    scheduled(bench, "apply --yes").args(later).run().exits(0);
    scheduled(bench, "plan --detailed-exitcode").args(later).run().exits(0);

    runs_as_a_job(bench);
    bench.tutorial("apply --yes").run().exits(0).says(&["5 to delete"]);
    bench.tutorial("plan --detailed-exitcode").run().exits(0).says(&["no changes"]);
    // Its job went with it.
    assert_eq!(bench.inventory().iter().filter(mine).count(), 0, "{:#?}", bench.inventory());

    scheduled(bench, "apply --yes").run().exits(0);
    scheduled(bench, "destroy --confirm exhibitor").run().exits(0).says(&["no orphans"]);
    assert_eq!(bench.inventory().iter().filter(mine).count(), 0, "{:#?}", bench.inventory());
}

/// No pod runs zkprov in the embedded cloud: the job is made, and fails, and its log says why.
fn runs_as_a_job(bench: &Bench) {
    let bare = bench.tutorial("backup --to fileServer").run().exits(1);
    bare.complains(&["exhibitor has no scheduled backups", "add `spec.exhibitor.backup`"]);
    let bucket = ["--set", "spec.exhibitor.backup.to=gs://my-backups"];
    let elsewhere = scheduled(bench, "backup --to fileServer").args(bucket).run().exits(1);
    elsewhere.complains(&["kept in gs://my-backups"]);
    let failed = scheduled(bench, "backup --to fileServer").run().exits(1);
    let failed = failed.says(&["the embedded cloud does not run zkprov in its pods: no backup was taken"]);
    failed.complains(&["failed: BackoffLimitExceeded: Job has reached the specified backoff limit"]);
    let jobs =
        bench.inventory().into_iter().filter(|line| line.contains(" Job default/exhibitor-backup-")).count();
    assert_eq!(jobs, 1, "{:#?}", bench.inventory());
    scheduled(bench, "backup list --to fileServer").run().exits(64).complains(&["mount its share"]);
    scheduled(bench, "backup --in-cluster").run().exits(64);
    let outside = bench.bare("backup --in-cluster -f zkprov.yaml");
    fs::write(bench.path("zkprov.yaml"), file_of_a_job(bench)).unwrap();
    outside.run().exits(1).complains(&["this is no pod with a service account"]);
}

/// What the job's ConfigMap holds.
fn file_of_a_job(bench: &Bench) -> String {
    let documents = scheduled(bench, "render --format json").run().exits(0).json();
    let mut bodies = documents.as_array().unwrap().iter().map(|document| &document["body"]);
    let map =
        bodies.find(|body| body["kind"] == "ConfigMap" && body["metadata"]["name"] == "exhibitor-backup");
    map.unwrap()["data"]["zkprov.yaml"].as_str().unwrap().to_owned()
}

#[test]
fn only_so_many_of_the_ensemble_are_kept() {
    let bench = &bench();
    bench.apply("tutorial", &[]);
    let list = || {
        let all = bench.tutorial("backup list --to kept --format json").run().exits(0).json();
        let names = all.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    bench.tutorial("backup --to kept --keep 2").run().exits(0);
    let first = list();
    // Another ensemble's, and older than all.
    let (from, to) = (bench.path("kept").join(&first[0]), bench.path("kept/other"));
    fs::create_dir(&to).unwrap();
    fs::copy(from.join("znodes.jsonl.gz"), to.join("znodes.jsonl.gz")).unwrap();
    let manifest = fs::read_to_string(from.join("manifest.json")).unwrap();
    let manifest = manifest.replace("\"ensemble\": \"exhibitor\"", "\"ensemble\": \"other\"");
    fs::write(to.join("manifest.json"), manifest.replace("\"time\": \"20", "\"time\": \"19")).unwrap();

    for _ in 0..2 {
        sleep(Duration::from_secs(1));
        bench.tutorial("backup --to kept --keep 2").run().exits(0);
    }
    let left = list();
    assert_eq!((left.len(), left[0].as_str()), (3, "other"), "{left:?}");
    assert!(!left.contains(&first[0]), "{left:?}");
    // Nothing goes where nothing came.
    bench.tutorial("backup --to kept --keep 1 --set spec.exhibitor.namespace=elsewhere").run().exits(3);
    assert_eq!(list(), left);
    bench.tutorial("backup list --to kept --keep 1").run().exits(64);
}
