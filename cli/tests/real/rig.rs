//! A real cluster for one test, with Google's APIs acted out beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use zkprov_tests::{Bench, Output, Program, Served, example, root};

/// The tutorial's file server.
const FILE_SERVER: &str = "singlefs-1-vm.us-east1-d.c.my-project.internal";

/// A rig of `tests/real/rig`, taken down when dropped.
pub(crate) struct Rig {
    name: String,
    script: PathBuf,
    /// What `rig env` tells.
    env: BTreeMap<String, String>,
}

impl Rig {
    /// With a real node. Several have different labels, of one letter.
    pub(crate) fn node(label: char) -> Self {
        let rig = Self::up(label, &[]);
        assert_eq!(
            rig.of("ZKPROV_RIG_TIER"),
            "node",
            "no real node here: run as root, or leave out test(node)"
        );
        rig
    }

    /// The API server alone, with acted nodes.
    pub(crate) fn api() -> Self {
        Self::up('t', &["--api-only"])
    }

    fn up(label: char, options: &[&str]) -> Self {
        let name = format!("{label}{}", std::process::id());
        let mut rig = Self { name, script: root().join("tests/real/rig"), env: BTreeMap::new() };
        rig.told(&["up"], options);
        let env = rig.told(&["env"], &[]);
        let pairs = env.lines().filter_map(|line| line.split_once('='));
        rig.env = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        rig
    }

    /// A program in the rig's network, with a kubeconfig.
    pub(crate) fn program(&self, bench: &Bench, path: impl AsRef<Path>) -> Program {
        bench.program(&self.script).args(["exec", &self.name]).args([path.as_ref()])
    }

    /// Runs the rig's script, with the user's own environment: caches are there. Its progress goes to the test's output.
    pub(crate) fn told(&self, command: &[&str], args: &[&str]) -> String {
        let mut script = Command::new(&self.script);
        let output =
            script.args(command).arg(&self.name).args(args).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "{} {command:?} {args:?} failed", self.script.display());
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A variable of `rig env`, empty when it tells none.
    pub(crate) fn of(&self, name: &str) -> &str {
        self.env.get(name).map_or("", String::as_str)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let keep = std::thread::panicking().then_some("--keep-logs");
        // What is left of it, `rig list` shows.
        let _ = Command::new(&self.script).args(["down", &self.name]).args(keep).status();
    }
}

/// A real cluster that an embedded Google Cloud hands out as its own.
pub(crate) struct Real {
    served: Served,
    pub(crate) bench: Bench,
    rig: Rig,
}

impl Real {
    /// Brings everything up, with the image of the members and the file server's export.
    pub(crate) fn up() -> Self {
        let bench = Bench::new(env!("CARGO_BIN_EXE_zkprov"));
        let rig = Rig::node('t');
        rig.told(&["import"], &[]);
        let serve = format!(
            "sandbox serve --sandbox={} --cluster-endpoint {} --cluster-ca {}",
            bench.cloud().display(),
            rig.of("ZKPROV_RIG_API"),
            rig.of("ZKPROV_RIG_CA"),
        );
        let served = Served::by(rig.program(&bench, bench.binary()).args(serve.split_whitespace()));
        let real = Self { served, bench, rig };
        real.export(FILE_SERVER, "/data");
        real
    }

    /// What stands for the share of the tutorial's file server.
    pub(crate) fn share(&self) -> PathBuf {
        self.bench.path(&format!("share-of-{FILE_SERVER}"))
    }

    /// Gives the node an image.
    pub(crate) fn import(&self, archive: &str) {
        self.rig.told(&["import"], &[archive]);
    }

    /// A new directory that stands for what a file server exports.
    pub(crate) fn export(&self, server: &str, path: &str) -> PathBuf {
        let share = self.bench.path(&format!("share-of-{server}"));
        std::fs::create_dir(&share).unwrap();
        self.rig.told(&["export"], &[server, path, &share.display().to_string()]);
        share
    }

    /// A program in the cluster's network, which finds cluster and cloud by its environment.
    pub(crate) fn program(&self, path: impl AsRef<Path>) -> Program {
        self.served.to(self.rig.program(&self.bench, path))
    }

    /// `zkprov` with the tutorial's file and the image that is here.
    pub(crate) fn zkprov(&self, line: &str) -> Program {
        self.zkprov_on(&example("tutorial/zkprov.yaml"), line)
    }

    /// `zkprov` with a file and the image that is here.
    pub(crate) fn zkprov_on(&self, file: &Path, line: &str) -> Program {
        let image = format!("spec.exhibitor.image={}", self.image());
        self.program(self.bench.binary())
            .args(line.split_whitespace())
            .args(["--set", &image, "-f"])
            .args([file])
    }

    pub(crate) fn kubectl(&self, line: &str) -> Program {
        self.program("kubectl").args(line.split_whitespace())
    }

    /// What a kubectl command prints.
    pub(crate) fn told(&self, line: &str) -> String {
        self.kubectl(line).run().exits(0).out.trim().to_owned()
    }

    /// Runs a script of bash in a pod.
    pub(crate) fn in_pod(&self, pod: &str, script: &str) -> Output {
        self.kubectl(&format!("exec {pod} --")).args(["bash", "-c", script]).run()
    }

    pub(crate) fn image(&self) -> &str {
        self.rig.of("ZKPROV_RIG_IMAGE")
    }
}
