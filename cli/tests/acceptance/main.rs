//! The program as its users meet it: exit codes, what it says, and what it leaves behind.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod backup;
mod bucket;
mod config;
mod havoc;
mod ids;
mod interrupted;
mod kubeconfig;
mod life;
mod lock;
mod offline;
mod recover;
mod scheduled;
mod start_up;
mod watch;
mod world;

use zkprov_tests::{Bench, Program, Served, example};

fn bench() -> Bench {
    Bench::new(env!("CARGO_BIN_EXE_zkprov"))
}

/// An embedded cloud that others can get at.
struct Shared {
    bench: Bench,
    served: Served,
}

impl Shared {
    /// `zkprov` with the tutorial's file, on the served cloud.
    fn zkprov(&self, line: &str) -> Program {
        self.served.to(self.bench.bare(line)).args(["-f"]).args([example("tutorial/zkprov.yaml")])
    }

    /// Host and port of an API.
    fn host(&self, service: &str) -> &str {
        let url = self.served.of(&format!("CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}"));
        url.trim_start_matches("http://").split('/').next().unwrap()
    }
}
