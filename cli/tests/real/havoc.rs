//! Havoc on real members: two rounds, a pod each, the leader first. Nothing that was acknowledged is lost.

use super::rig::Real;
use serde_json::Value;
use std::path::PathBuf;

/// Exhibitor waits for the statuses of lost members to be steady; as short as its checks allow.
const QUICK: &str =
    "--set spec.exhibitor.settings.check=1s --set spec.exhibitor.settings.settling=5s --confirm exhibitor";

#[test]
fn havoc_on_a_real_node_strikes_the_leader_and_loses_nothing() {
    let real = Real::up();
    let settings = QUICK.trim_end_matches("--confirm exhibitor");
    real.zkprov(&format!("apply --yes {settings}")).run().exits(0).says(&["3 of 3 voters serve"]);
    let before = real.zkprov(&format!("status --format json {settings}")).run().exits(0).json();
    let members = before["members"].as_array().unwrap();
    let leader = members.iter().find(|member| member["role"] == "leader").unwrap()["host"].clone();

    // The draw knows no roles: this is the first seed that strikes the leader first, and another voter after it.
    let victims = |seed: u32| -> Vec<Value> {
        let line = format!("havoc --rounds 2 --seed {seed} --dry-run --format json {QUICK}");
        let drawn = real.zkprov(&line).run().exits(0).json();
        let rounds = drawn["rounds"].as_array().unwrap();
        rounds.iter().map(|round| round[0][0]["takes"][0]["host"].clone()).collect()
    };
    let seed = (1..30).find(|seed| matches!(&victims(*seed)[..], [first, _] if *first == leader)).unwrap();
    let line = format!("havoc --rounds 2 --seed {seed} --out report --format json {QUICK}");
    let run = real.zkprov(&line).run();
    if let Some(kept) = std::env::var_os("ZKPROV_KEEP_PICTURES").map(PathBuf::from) {
        for name in ["report.txt", "report.json", "junit.xml", "availability.svg"] {
            std::fs::copy(real.bench.path("report").join(name), kept.join(name)).unwrap();
        }
    }
    let text = std::fs::read_to_string(real.bench.path("report/report.txt")).unwrap();
    println!("{text}");
    let report = run.exits(0).json();
    assert_eq!(report["held"], true, "{text}");
    let strikes = report["record"]["strikes"].as_array().unwrap();
    assert_eq!(strikes.len(), 2, "{text}");
    assert_eq!(strikes[0]["kills"][0]["takes"][0]["host"], leader, "{text}");
    // Without a leader nobody writes for a while, and the canary has to notice.
    assert!(report["availability"]["writes"]["longestGapMs"].as_u64().unwrap() > 0, "{text}");
    let check = &report["record"]["check"];
    assert_eq!(
        (check["result"].as_str(), check["members"].as_array().map(Vec::len)),
        (Some("read"), Some(3))
    );

    // Both victims were replaced, and the canary's znodes are gone from each member.
    let after = real.zkprov(&format!("status --check --format json {settings}")).run().exits(0).json();
    for member in after["members"].as_array().unwrap() {
        assert!(strikes.iter().all(|strike| strike["kills"][0]["takes"][0]["host"] != member["host"]));
        assert_eq!(member["znodes"], 4, "{after:#}");
    }
}
