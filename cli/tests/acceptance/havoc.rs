//! Havoc on the embedded cloud: what is refused, what is told first, and runs that hold, break their budget, and are cut short.

use super::{Shared, bench};
use regex::Regex;
use serde_json::Value;
use zkprov_tests::{Background, Served, example, wait_for};

/// Virtual seconds in one second while a client writes: the embedded cloud stores its world at each step that time takes, and
/// a client's connection has every step taken at its time.
const RATE: (&str, &str) = ("ZKPROV_SANDBOX_RATE", "10");

const SCHEDULE: &str = "\
Havoc on exhibitor: 2 rounds, seed 5; 1 of 3 voters may be gone at once, 2 make the quorum

  round 1, wave 1   node NODE: reset its VM; takes ADDRESS (id ID)
  round 1, wave 2   voter 2: delete POD without grace; takes ADDRESS (id 2)
                    file server: reset the VM singlefs-1-vm; takes no voter
  round 2, wave 1   voter 3: delete POD without grace; takes ADDRESS (id 3)
                    file server: reset the VM singlefs-1-vm; takes no voter
  round 2, wave 2   node NODE: reset its VM; takes ADDRESS (id ID)

";

#[test]
fn the_schedule_is_told_first_and_what_is_unsafe_refused() {
    let bench = bench();
    bench.tutorial("havoc --dry-run").run().exits(1).complains(&["the cluster does not exist"]);
    bench.apply("tutorial", &[]);
    let before = bench.inventory();

    let line = "havoc --pods 1 --nodes 1 --file-server --rounds 2 --seed 5 --dry-run";
    let told = bench.tutorial(line).run().exits(0).out;
    assert!(unnamed(&told).starts_with(SCHEDULE), "{}", unnamed(&told));
    assert_eq!(bench.tutorial(line).run().exits(0).out, told, "the same seed, the same bytes");
    let json = bench.tutorial(&format!("{line} --format json")).run().exits(0).json();
    assert_eq!(json["rounds"][1][0][0]["aim"]["voter"], 3, "{json:#}");

    for (line, status, words) in [
        ("havoc", 64, "--confirm exhibitor"),
        ("havoc --confirm other", 3, "`other` is not the name"),
        ("havoc --confirm exhibitor --set spec.protection.destroy=true", 3, "spec.protection.destroy"),
        ("havoc --dry-run --set spec.protection.data=true", 3, "spec.protection.data"),
        ("havoc --dry-run --set spec.exhibitor.replicas=5", 3, "is not whole: 3 of 5 members"),
        ("havoc --dry-run --budget 0", 3, "a pod takes 1 voter"),
        ("havoc --dry-run --budget 2", 3, "breaks the quorum"),
        ("havoc --dry-run --pods 0", 3, "nothing is to be killed"),
        ("havoc --dry-run --budget all", 64, "neither `quorum-1` nor a number"),
    ] {
        bench.tutorial(line).run().exits(status).complains(&[words]);
    }
    assert_eq!(bench.inventory(), before);

    let single = "--yes --set spec.exhibitor.allowSingle=true";
    bench.tutorial(&format!("scale 1 {single}")).run().exits(0);
    let one = "havoc --dry-run --set spec.exhibitor.allowSingle=true --set spec.exhibitor.replicas=1";
    bench.tutorial(one).run().exits(3).complains(&["an ensemble of 1 survives no loss", "zkprov scale 3"]);
}

/// The text without the names that a cloud gives.
fn unnamed(text: &str) -> String {
    let replaced = |text: &str, pattern: &str, word: &str| {
        Regex::new(pattern).unwrap().replace_all(text, word).into_owned()
    };
    let text = replaced(text, r"exhibitor-[a-z0-9]+-[a-z0-9]{5}", "POD");
    let text = replaced(&text, r"gke-cluster-1-[a-z0-9-]+", "NODE");
    let text = replaced(&text, r"10\.8\.[0-9.]+", "ADDRESS");
    // Nodes are counted by name, and which member is on the first differs with it.
    replaced(&text, r"(node NODE: .*) \(id [123]\)", "$1 (id ID)")
}

#[test]
fn nodes_and_the_file_server_are_reset_and_nothing_is_lost() {
    let bench = bench();
    bench.apply("tutorial", &[]);
    let line = "havoc --nodes 1 --file-server --confirm exhibitor --out report --format json";
    let report = bench.tutorial(line).env(RATE.0, RATE.1).run().exits(0).json();
    assert_eq!(report["held"], true, "{report:#}");
    let [strike] = &report["record"]["strikes"].as_array().unwrap()[..] else { panic!("{report:#}") };
    assert_eq!(strike["kills"].as_array().unwrap().len(), 2, "{strike:#}");
    let time = |name: &str| strike[name].as_u64().unwrap();
    assert!(time("detected") < time("serving") && time("quorum") <= time("serving"), "{strike:#}");
    assert_eq!(report["record"]["mostDown"], 1, "{report:#}");
    let writes = report["record"]["writes"].as_array().unwrap();
    assert!(writes.iter().filter(|write| write["outcome"] == "ok").count() > 5, "{report:#}");
    assert_eq!(report["record"]["check"]["result"], "read");
    assert_eq!(report["record"]["check"]["members"].as_array().unwrap().len(), 3);

    let read = |name: &str| std::fs::read_to_string(bench.path("report").join(name)).unwrap();
    let kept: Value = serde_json::from_str(&read("report.json")).unwrap();
    assert_eq!(kept, report);
    assert!(read("report.txt").starts_with("Havoc on exhibitor: held\n"), "{}", read("report.txt"));
    assert!(read("junit.xml").contains("failures=\"0\""), "{}", read("junit.xml"));
    let picture = read("availability.svg");
    assert!(picture.starts_with("<svg ") && picture.contains("node gke-"));
    // Nothing of the canary is left: the four znodes of a new ensemble.
    let status = bench.tutorial("status --check --format json").run().exits(0).json();
    assert!(status["members"].as_array().unwrap().iter().all(|member| member["znodes"] == 4), "{status:#}");
    bench.tutorial("plan --detailed-exitcode").run().exits(0);
}

#[test]
fn a_member_with_a_volume_comes_back_under_its_name() {
    let bench = bench();
    let zkprov = |line: &str| bench.sandbox(line).args(["-f"]).args([example("persistent/zkprov.yaml")]);
    bench.apply("persistent", &[]);
    let report = zkprov("havoc --confirm exhibitor --format json").env(RATE.0, RATE.1).run().exits(0).json();
    assert_eq!(report["held"], true, "{report:#}");
    let [strike] = &report["record"]["strikes"].as_array().unwrap()[..] else { panic!("{report:#}") };
    let struck = strike["kills"][0]["takes"][0]["host"].as_str().unwrap();
    assert!(report["record"]["members"][struck].as_array().unwrap().len() >= 3, "{report:#}");
    assert_eq!(report["record"]["members"].as_object().unwrap().len(), 3, "{report:#}");
}

/// A shared cloud with an ensemble in it.
fn with_ensemble() -> Shared {
    let bench = bench();
    bench.apply("tutorial", &[]);
    let served = Served::by(bench.sandbox("sandbox serve").env(RATE.0, RATE.1));
    Shared { bench, served }
}

impl Shared {
    /// Asks Compute Engine about the instances of the zone.
    fn compute(&self, method: &str, path: &str) -> Value {
        let path = format!("/compute/v1/projects/my-project/zones/us-east1-d/instances{path}");
        let answer =
            super::watch::ask(self.host("COMPUTE"), &format!("{method} {path}"), "Host: {address}\r\n", "");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// When each node's machine was started last.
    fn starts(&self) -> Vec<(String, String)> {
        let list = self.compute("GET", "");
        let all = list["items"].as_array().unwrap().iter();
        let text = |vm: &Value, key: &str| vm[key].as_str().unwrap().to_owned();
        let starts = all.map(|vm| (text(vm, "name"), text(vm, "lastStartTimestamp")));
        starts.filter(|(name, _)| name.starts_with("gke-")).collect()
    }

    /// Waits for a run to strike a node; a node that was not struck.
    fn struck(&self, run: &mut Background, before: &[(String, String)]) -> String {
        wait_for("a node to be struck", || {
            assert!(!run.has_ended(), "no node was struck");
            let now = self.starts();
            if now == before {
                Err(run.signs())
            } else {
                Ok(before.iter().find(|start| now.contains(start)).unwrap().0.clone())
            }
        })
    }
}

#[test]
fn a_run_ends_at_once_when_others_break_its_budget() {
    let shared = with_ensemble();
    let before = shared.starts();
    let mut havoc = shared.zkprov("havoc --nodes 1 --rounds 3 --confirm exhibitor").start();
    let other = shared.struck(&mut havoc, &before);
    shared.compute("POST", &format!("/{other}/reset"));
    let output = havoc.wait().exits(1);
    let output = output.says(&["aborted, the budget is broken", "are gone", "FAIL  budget"]);
    assert_eq!(output.out.lines().filter(|line| line.starts_with("1  ")).count(), 1, "{output}");
    assert!(!output.out.lines().any(|line| line.starts_with("2  ")), "{output}");
}

#[test]
fn an_interrupted_run_kills_nothing_more_and_gives_its_lock_back() {
    let shared = with_ensemble();
    let before = shared.starts();
    let mut havoc = shared.zkprov("havoc --nodes 1 --rounds 3 --confirm exhibitor").start();
    let _ = shared.struck(&mut havoc, &before);
    let struck = shared.starts();
    havoc.signal("INT");
    // It does not stay for the check at the end.
    havoc.wait().exits(130).says(&["Havoc on exhibitor: interrupted", "not read back"]);
    assert_eq!(shared.starts(), struck);
    // Nobody holds the lock, and the ensemble comes back.
    shared.zkprov("apply --yes").run().exits(0).says(&["3 of 3 voters serve"]);
}
