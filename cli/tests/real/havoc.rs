//! Havoc on real members: the leader's pod. Nothing that was acknowledged is lost.

use super::rig::Real;
use serde_json::Value;
use std::path::PathBuf;

/// Exhibitor waits for the statuses of lost members to be steady; as short as its checks allow.
const QUICK: &str = "--set spec.exhibitor.settings.check=1s --set spec.exhibitor.settings.settling=5s";

#[test]
fn havoc_on_a_real_node_strikes_the_leader_and_loses_nothing() {
    let real = Real::up();
    real.zkprov(&format!("apply --yes {QUICK}")).run().exits(0).says(&["3 of 3 voters serve"]);
    let before = real.zkprov(&format!("status --format json {QUICK}")).run().exits(0).json();
    let members = before["members"].as_array().unwrap();
    let leader = members.iter().find(|member| member["role"] == "leader").unwrap()["host"].clone();

    // The draw knows no roles: this is the first seed that strikes the leader. One round, since Exhibitor takes its minutes to
    // replace a lost member.
    let victim = |seed: u32| -> Value {
        let line = format!("havoc --seed {seed} --dry-run --format json {QUICK}");
        real.zkprov(&line).run().exits(0).json()["rounds"][0][0][0]["takes"][0]["host"].clone()
    };
    let seed = (1..30).find(|seed| victim(*seed) == leader).unwrap();
    let line = format!("havoc --confirm exhibitor --seed {seed} --out report --format json {QUICK}");
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
    assert_eq!(strikes.len(), 1, "{text}");
    assert_eq!(strikes[0]["kills"][0]["takes"][0]["host"], leader, "{text}");
    // Without a leader nobody writes for a while, and the canary has to notice.
    assert!(report["availability"]["writes"]["longestGapMs"].as_u64().unwrap() > 0, "{text}");
    let check = &report["record"]["check"];
    assert_eq!(
        (check["result"].as_str(), check["members"].as_array().map(Vec::len)),
        (Some("read"), Some(3))
    );

    // The victim was replaced, and the canary's znodes are gone from each member.
    let after = real.zkprov(&format!("status --check --format json {QUICK}")).run().exits(0).json();
    for member in after["members"].as_array().unwrap() {
        assert_ne!(member["host"], leader, "{after:#}");
        assert_eq!(member["znodes"], 4, "{after:#}");
    }
}
