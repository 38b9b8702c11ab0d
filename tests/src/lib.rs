//! What the whole-binary tests share: running `zkprov` and other programs, waiting for as long as something moves, and reading
//! what became of the embedded cloud.

#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

mod applied;
mod inventory;
mod process;
mod progress;

pub use inventory::{inventory, inventory_of};
pub use process::{Background, Output, Program};
pub use progress::{Patience, STILL, Strain, wait_for};

use std::path::{Path, PathBuf};

/// Virtual seconds of the embedded cloud in one second of a test: quick, and slow enough that a busy machine keeps up.
pub const RATE: &str = "80";

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file below `examples/`.
#[must_use]
pub fn example(path: &str) -> PathBuf {
    root().join("examples").join(path)
}

/// An empty folder with an embedded cloud of its own, and a `zkprov` that works on it.
pub struct Bench {
    folder: tempfile::TempDir,
    binary: PathBuf,
}

impl Bench {
    /// A new one; `binary` is the built `zkprov`.
    #[must_use]
    pub fn new(binary: &str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), binary: PathBuf::from(binary) }
    }

    /// A path in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of the embedded cloud.
    #[must_use]
    pub fn cloud(&self) -> PathBuf {
        self.path("cloud")
    }

    /// What stands in the embedded cloud, comparable with another one's.
    #[must_use]
    pub fn inventory(&self) -> Vec<String> {
        inventory(&self.cloud())
    }

    /// A program in the folder, with an environment of its own: nothing of the user's is read or written.
    #[must_use]
    pub fn program(&self, path: impl AsRef<Path>) -> Program {
        let home = self.folder.path();
        Program::new(path.as_ref())
            .within(home)
            .env("HOME", home)
            .env("ZKPROV_SANDBOX_RATE", RATE)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
    }

    /// The built `zkprov`.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// `zkprov` with arguments, neither file nor cloud named.
    #[must_use]
    pub fn bare(&self, args: &str) -> Program {
        self.program(&self.binary).args(args.split_whitespace())
    }

    /// `zkprov` on the embedded cloud, no file named.
    #[must_use]
    pub fn sandbox(&self, args: &str) -> Program {
        self.bare(args).args([format!("--sandbox={}", self.cloud().display())])
    }

    /// `zkprov` on the embedded cloud with the tutorial's file.
    #[must_use]
    pub fn tutorial(&self, args: &str) -> Program {
        self.sandbox(args).args(["-f"]).args([example("tutorial/zkprov.yaml")])
    }

    /// Serves the embedded cloud to programs that get to it by environment variables.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn serve(&self) -> Served {
        Served::by(self.sandbox("sandbox serve"))
    }
}

/// An embedded cloud that is served.
#[derive(Debug)]
pub struct Served {
    exports: Vec<(String, String)>,
    _server: Background,
}

impl Served {
    /// The cloud that `zkprov sandbox serve`, given as a program, serves.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn by(serve: Program) -> Self {
        let mut server = serve.start();
        let export = |server: &mut Background| {
            let line = server.until("export ");
            let (name, value) = line.trim().trim_start_matches("export ").split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        };
        let exports = (0..6).map(|_| export(&mut server)).collect();
        Self { exports, _server: server }
    }

    /// A variable that `sandbox serve` says to export.
    ///
    /// # Panics
    /// When it says nothing of that name.
    #[must_use]
    pub fn of(&self, name: &str) -> &str {
        self.exports.iter().find(|(known, _)| known == name).map(|(_, value)| value).unwrap()
    }

    /// Lets a program find the cloud by what `sandbox serve` says to export.
    #[must_use]
    pub fn to(&self, program: Program) -> Program {
        self.exports.iter().fold(program, |program, (name, value)| program.env(name, value))
    }
}
