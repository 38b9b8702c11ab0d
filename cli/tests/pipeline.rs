//! The steps of `examples/pipelines/github`, acted out in their order by a real shell on the embedded cloud.

#![expect(clippy::disallowed_methods, reason = "a test reads files, starts programs and keeps time")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/pipelines/github");
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/tutorial/zkprov.yaml");

/// GitHub's side of `fetch.sh`, for one merged pull request: its runs keep their artifacts in `$STORE`.
const GH: &str = r#"#!/usr/bin/env bash
set -euo pipefail
case "$1 $2" in
  "api repos/owner/name/commits/merged/pulls") echo head ;;
  "api repos/owner/name/commits/"*) ;;
  "run list") [[ " $* " == *" --commit head "* && " $* " == *" --status success "* ]] && echo 4711 ;;
  "run download") [[ $3 == 4711 && $4 == --name ]] && cp -r "$STORE/$5" "$7" ;;
  *) echo "unexpected: $*" >&2; exit 1 ;;
esac
"#;

/// How a step ended.
struct Step {
    status: i32,
    said: String,
    summary: String,
    outputs: String,
}

/// A runner with one embedded cloud; every job has a folder of its own.
struct Runner {
    folder: tempfile::TempDir,
}

impl Runner {
    fn new() -> Self {
        let runner = Self { folder: tempfile::tempdir().unwrap() };
        let gh = runner.path("bin/gh");
        fs::create_dir_all(gh.parent().unwrap()).unwrap();
        fs::write(&gh, GH).unwrap();
        assert!(Command::new("chmod").arg("+x").arg(&gh).status().unwrap().success());
        runner
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn cloud(&self) -> String {
        format!("--sandbox={}", self.path("cloud").display())
    }

    /// The tools of a step: zkprov, the stand-in for gh, and what the machine has.
    fn tools(&self) -> OsString {
        let binary = Path::new(env!("CARGO_BIN_EXE_zkprov")).parent().unwrap().to_owned();
        let present = std::env::var_os("PATH").unwrap_or_default();
        let all = [self.path("bin"), binary].into_iter().chain(std::env::split_paths(&present));
        std::env::join_paths(all).unwrap()
    }

    fn step(&self, job: &str, script: &str, args: &[&str]) -> Step {
        let folder = self.path(job);
        fs::create_dir_all(&folder).unwrap();
        let (summary, outputs) = (folder.join("summary.md"), folder.join("outputs"));
        for file in [&summary, &outputs] {
            fs::write(file, "").unwrap();
        }
        let output = Command::new("bash")
            .arg(Path::new(SCRIPTS).join(script))
            .args(args)
            .current_dir(&folder)
            .env("PATH", self.tools())
            .env("GITHUB_STEP_SUMMARY", &summary)
            .env("GITHUB_OUTPUT", &outputs)
            .env("GITHUB_REPOSITORY", "owner/name")
            .env("STORE", self.path("artifacts"))
            .env("CI", "true")
            .env("ZKPROV_SANDBOX_RATE", zkprov_tests::RATE)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        let text = |path: &Path| fs::read_to_string(path).unwrap();
        Step { status: output.status.code().unwrap(), said, summary: text(&summary), outputs: text(&outputs) }
    }

    /// What `actions/upload-artifact` does with the job's `plan/`.
    fn upload(&self, job: &str) {
        let store = self.path("artifacts/zkprov-plan");
        fs::create_dir_all(&store).unwrap();
        for entry in fs::read_dir(self.path(job).join("plan")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), store.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn a_merge_applies_the_plan_of_its_pull_request_once() {
    let runner = Runner::new();
    let cloud = runner.cloud();

    let planned = runner.step("pull-request", "plan.sh", &["-f", FILE, &cloud]);
    assert_eq!(planned.status, 0, "{}", planned.said);
    assert_eq!(planned.outputs, "changes=true\n");
    assert!(
        planned.summary.contains("deployment") && planned.summary.contains("SHA-256"),
        "{}",
        planned.summary
    );
    runner.upload("pull-request");

    let fetched = runner.step("merge", "fetch.sh", &["merged"]);
    assert_eq!(fetched.status, 0, "{}", fetched.said);
    let applied = runner.step("merge", "apply.sh", &[&cloud]);
    assert_eq!(applied.status, 0, "{}", applied.said);
    assert!(applied.summary.contains("3 of 3 voters serve"), "{}", applied.summary);

    // The same plan again: the world has moved, by this very plan.
    let fetched = runner.step("again", "fetch.sh", &["merged"]);
    assert_eq!(fetched.status, 0, "{}", fetched.said);
    let stale = runner.step("again", "apply.sh", &[&cloud]);
    assert_eq!(stale.status, 6, "{}", stale.said);
    assert!(stale.said.contains("what moved:\n  "), "{}", stale.said);
    assert!(stale.said.contains("::error title=stale plan::"), "{}", stale.said);
    assert!(stale.summary.contains("Stale plan, nothing was changed"), "{}", stale.summary);

    // Nothing is left to do, and that is no failure.
    let settled = runner.step("next-pull-request", "plan.sh", &["-f", FILE, &cloud]);
    assert_eq!((settled.status, settled.outputs.as_str()), (0, "changes=false\n"), "{}", settled.said);
}

#[test]
fn a_refused_plan_fails_the_check_and_leaves_nothing_to_apply() {
    let runner = Runner::new();
    let even = ["-f", FILE, "--set", "spec.exhibitor.replicas=4", &runner.cloud()];
    let planned = runner.step("pull-request", "plan.sh", &even);
    assert_eq!(planned.status, 1, "{}", planned.said);
    assert!(planned.said.contains("3 or 5"), "{}", planned.said);
    assert!(planned.summary.contains("There is no plan to apply"), "{}", planned.summary);
    assert!(!runner.path("pull-request/plan/plan.json").exists());
}

#[test]
fn another_plan_than_the_reviewed_one_is_not_applied() {
    let runner = Runner::new();
    let cloud = runner.cloud();
    let planned = runner.step("job", "plan.sh", &["-f", FILE, &cloud]);
    assert_eq!(planned.status, 0, "{}", planned.said);
    let plan = runner.path("job/plan/plan.json");
    let text = fs::read_to_string(&plan).unwrap();
    fs::write(&plan, text.replace("n1-standard-1", "n1-standard-8")).unwrap();
    let refused = runner.step("job", "apply.sh", &[&cloud]);
    assert_eq!(refused.status, 1, "{}", refused.said);
    assert!(refused.said.contains("not the reviewed plan"), "{}", refused.said);
    let unplanned = runner.step("job", "fetch.sh", &["pushed-without-review"]);
    assert_eq!(unplanned.status, 1, "{}", unplanned.said);
    assert!(unplanned.said.contains("no pull request"), "{}", unplanned.said);
}
