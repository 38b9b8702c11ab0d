//! Other people's programs on the embedded cloud: the tutorial's own commands with kubectl, curl, jq and gcloud.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod gcloud;
mod kubectl;

use std::path::{Path, PathBuf};
use std::process::Command;
use zkprov_tests::{Bench, Program, Served, root};

/// The tutorial's ensemble on an embedded cloud that is served to others.
struct Cloud {
    bench: Bench,
    served: Served,
}

impl Cloud {
    /// Applies the tutorial and serves what came of it.
    fn new() -> Self {
        let bench = Bench::new(env!("CARGO_BIN_EXE_zkprov"));
        bench.tutorial("apply --yes").run().exits(0);
        let served = bench.serve();
        Self { bench, served }
    }

    /// A program that finds the served cloud by the exported variables, and the cluster by a kubeconfig of its own.
    fn program(&self, path: impl AsRef<Path>) -> Program {
        self.served.to(self.bench.program(path).env("KUBECONFIG", self.bench.path("kubeconfig")))
    }
}

/// The kubectl that `tests/run` found, or the one that its install script finds.
fn kubectl() -> PathBuf {
    if let Some(path) = std::env::var_os("ZKPROV_KUBECTL") {
        return PathBuf::from(path);
    }
    let script = root().join("tests/install/kubectl.sh");
    let output = Command::new(&script).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "no kubectl: run {}\n{complaint}", script.display());
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}
