//! Other people's programs on the embedded cloud: the tutorial's own commands with kubectl, curl, jq and gcloud.

#![expect(clippy::disallowed_methods, reason = "a test reads files, starts programs and keeps time")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod gcloud;
mod kubectl;
mod page;
mod persistent;
mod storage;

use std::path::{Path, PathBuf};
use std::process::Command;
use zkprov_tests::{Bench, Program, Served, example, root};

/// An embedded cloud that is served to others, and the file of an ensemble.
struct Cloud {
    bench: Bench,
    served: Served,
    file: PathBuf,
    settings: Vec<String>,
}

impl Cloud {
    /// Applies the tutorial and serves what came of it.
    fn new() -> Self {
        Self::applied("tutorial", &[])
    }

    /// Applies an example with settings of `--set` and serves what came of it.
    fn applied(name: &str, settings: &[&str]) -> Self {
        let bench = Bench::new(env!("CARGO_BIN_EXE_zkprov"));
        bench.apply(name, settings);
        Self::serving(bench, name, settings)
    }

    /// Serves a cloud in which there is nothing of an example yet.
    fn empty(name: &str, settings: &[&str]) -> Self {
        Self::serving(Bench::new(env!("CARGO_BIN_EXE_zkprov")), name, settings)
    }

    fn serving(bench: Bench, name: &str, settings: &[&str]) -> Self {
        let served = bench.serve();
        let settings = settings.iter().map(|setting| format!("--set={setting}")).collect();
        Self { bench, served, file: example(&format!("{name}/zkprov.yaml")), settings }
    }

    /// `zkprov` with the example's file, on the served cloud.
    fn zkprov(&self, args: &str) -> Program {
        let program = self.bench.bare(args).args(&self.settings).args(["-f"]).args([&self.file]);
        self.served.to(program)
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
