//! The `zkprov` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    zkprov::run()
}
