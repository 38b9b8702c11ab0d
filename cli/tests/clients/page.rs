//! Exhibitor's page as the embedded cloud serves it, in a real browser.

use std::path::PathBuf;
use std::process::Command;
use zkprov_tests::{Bench, root};

/// A Chromium that runs without a window.
fn browser() -> PathBuf {
    let output = Command::new(root().join("tests/install/chromium.sh")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

#[test]
fn exhibitors_page_shows_members_and_znodes_and_restarts_a_member() {
    let bench = Bench::new(env!("CARGO_BIN_EXE_zkprov"));
    bench.tutorial("apply --yes").run().exits(0);
    // Slowly: a member that restarts is down for some seconds, and the page looks every second.
    let ui = bench.tutorial("ui --no-open --port 0").env("ZKPROV_SANDBOX_RATE", "0.5");
    let mut ui = ui.start();
    let url = ui.until("http://127.0.0.1:").trim().to_owned();
    let pictures = std::env::var_os("ZKPROV_KEEP_PICTURES").map_or_else(|| bench.path("."), PathBuf::from);
    let script = root().join("cli/tests/clients/page.py");
    let used = bench.program("python3").args([&script, &browser()]).args([&url]).args([&pictures]);
    let used = used.run().exits(0);

    let members: Vec<&str> = used.out.lines().filter(|line| line.starts_with("member 10.8.")).collect();
    assert_eq!(members.len(), 3, "{used}");
    assert_eq!(members.iter().filter(|line| line.ends_with(": leader, serving")).count(), 1, "{used}");
    assert_eq!(members.iter().filter(|line| line.ends_with(": follower, serving")).count(), 2, "{used}");
    used.says(&[
        "summary: 3 of 3 members serve; a quorum takes 2.",
        "znode by keyboard: /zookeeper/quota",
        "znode by path: hello",
        "no znode: /nowhere does not exist.",
        "asked: Restart ZooKeeper on HOST?\ntold: False\nasked: Restart ZooKeeper on HOST?\ntold: True",
        "told: Restarting HOST\ntold: HOST is down (",
        "told: HOST serves again: ",
        "roles afterwards: follower, follower, leader",
        "log: listed",
        "configuration: listed",
        "1200 px, light: fits\n1200 px, dark: fits\n400 px, light: fits\n400 px, dark: fits",
        "elements without a name: none",
        "errors: none",
    ]);
    ui.signal("INT");
    let _ = ui.wait().exits(0);
}
