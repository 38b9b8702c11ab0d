//! What zkprov renders for Kubernetes, read by the API's own types of older and newer minor versions.

use serde_json::Value;
use std::process::{Command, Stdio};
use zkprov_tests::{Bench, Output, example, root};

/// The oldest minor that has every API version we render (`ValidatingAdmissionPolicy` is v1 from 1.30 on), the oldest that the
/// embedded cloud's GKE offers, and the rig's own.
const VERSIONS: [&str; 3] = ["0.30.14", "0.33.5", "0.36.3"];
/// One too old: the check itself has to see it.
const TOO_OLD: &str = "0.29.15";

/// The documents of every example, one a line, in `documents` of the bench's folder.
fn render(bench: &Bench) {
    let mut lines = String::new();
    for folder in std::fs::read_dir(example("")).unwrap() {
        let file = folder.unwrap().path().join("zkprov.yaml");
        if !file.exists() {
            continue;
        }
        for exposure in ["clusterIp", "headless", "internal"] {
            let set = format!("spec.exhibitor.exposure={exposure}");
            let render = bench.bare("render --stage kubernetes --format json --set").args([set]);
            let documents = render.args(["-f"]).args([&file]).run().exits(0).json();
            let bodies = documents.as_array().unwrap().iter().map(|document| &document["body"]);
            lines.extend(bodies.map(|body: &Value| format!("{body}\n")));
        }
    }
    std::fs::write(bench.path("documents"), lines).unwrap();
}

/// What the types of a version say to the documents.
fn read(bench: &Bench, version: &str) -> Output {
    let script = root().join("tests/real/types/build.sh");
    // With the user's own environment: caches are there.
    let built = Command::new(&script).arg(version).stderr(Stdio::inherit()).output().unwrap();
    assert!(built.status.success(), "{} {version} failed", script.display());
    let reader = String::from_utf8(built.stdout).unwrap();
    bench.program("bash").args(["-c", "exec \"$1\" <documents", "read", reader.trim()]).run()
}

#[test]
fn every_minor_from_1_30_on_knows_every_kind_and_field() {
    let bench = Bench::new(env!("CARGO_BIN_EXE_zkprov"));
    render(&bench);
    for version in VERSIONS {
        println!("{version}: {}", read(&bench, version).exits(0).says(&[" 0 refused"]).out.trim());
    }
    read(&bench, TOO_OLD).exits(1).says(&["no kind \"ValidatingAdmissionPolicy\" is registered"]);
}
