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
mod start_up;
mod watch;
mod world;

use zkprov_tests::Bench;

fn bench() -> Bench {
    Bench::new(env!("CARGO_BIN_EXE_zkprov"))
}
