//! The terminal: arguments, one file per command, progress, prompts, colours, exit codes, reading of files.
//!
//! Only [`ui`] writes to the terminal, only [`context`] reads environment and wall clock.

mod args;
mod commands;
#[expect(clippy::disallowed_methods, reason = "environment and wall clock are read here alone")]
mod context;
mod error;
mod input;
mod page;
mod pipeline;
mod session;
mod signals;
#[expect(clippy::disallowed_methods, reason = "this is the one door to the terminal")]
mod ui;

use clap::{CommandFactory, Parser};
use std::process::ExitCode;

/// Unoptimised builds of the API clients keep large frames.
const STACK: usize = 8 << 20;

/// The command line as clap sees it, for the reference and for completions.
#[must_use]
pub fn command() -> clap::Command {
    args::Args::command()
}

/// Every exit status with what it means, for the reference.
pub fn exit_codes() -> impl Iterator<Item = (u8, &'static str)> {
    error::Exit::MEANINGS.into_iter().map(|(exit, meaning)| (exit.status(), meaning))
}

/// Runs the program with the process's arguments and environment; returns the exit code, one of [`exit_codes`].
#[must_use]
pub fn run() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => return ui::usage(&error),
    };
    let context = match context::Context::of_process(args.global) {
        Ok(context) => context,
        Err(error) => return ui::bare_failure(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(STACK)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return ui::bare_failure(&error::CommandError::failed("starting", &error)),
    };
    let result = runtime.block_on(commands::dispatch(args.command, &context));
    // Requests that nobody waits for any more must not hold the process back.
    runtime.shutdown_background();
    match result {
        Ok(code) => code.into(),
        Err(error) => context.ui.failure(&error).into(),
    }
}
