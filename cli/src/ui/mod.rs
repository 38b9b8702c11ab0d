//! The one door to the terminal: stdout is the result, stderr is progress and errors.

mod progress;
mod prompt;
mod table;

pub(crate) use progress::{JsonLines, Progress};
pub(crate) use table::{ensemble_table, evidence_table, settings_table};

use crate::error::{CommandError, Exit};
use serde::Serialize;
use std::io::{self, Write};
use std::process::ExitCode;
use zkprov_plans::report::Style;

/// Where output goes and how it looks.
#[derive(Debug, Clone)]
pub(crate) struct Ui {
    color_out: bool,
    color_err: bool,
    /// Progress bars rather than lines.
    pub(crate) bars: bool,
    quiet: bool,
    width: usize,
    /// What stdout shows can be drawn over.
    in_place: bool,
}

impl Ui {
    pub(crate) const fn new(color_out: bool, color_err: bool, bars: bool, quiet: bool, width: usize) -> Self {
        Self { color_out, color_err, bars, quiet, width, in_place: false }
    }

    /// With a stdout that can be drawn over.
    pub(crate) const fn in_place(self, in_place: bool) -> Self {
        Self { in_place, ..self }
    }

    /// How a plan on stdout is laid out.
    pub(crate) const fn style(&self, verbose: bool) -> Style {
        Style { color: self.color_out, width: self.width, verbose }
    }

    /// Writes a result to stdout. A reader that went away is no reason to stop: what was begun is finished, and the exit
    /// code tells how.
    pub(crate) fn result(&self, text: &str) -> Result<(), CommandError> {
        self.write(text).map(|_| ())
    }

    /// Writes a part of a result without an end; returns whether anybody still reads.
    pub(crate) fn write(&self, text: &str) -> Result<bool, CommandError> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(CommandError::failed("writing to standard output", &error)),
        }
    }

    /// Writes a text in the place of the one before it; below it where there is no terminal to move about in, and what is
    /// JSON or the like stays. Returns whether anybody still reads.
    pub(crate) fn redraw(&self, before: &str, text: &str) -> Result<bool, CommandError> {
        if before.is_empty() {
            return self.write(text);
        }
        if !self.in_place {
            return self.write(&format!("\n{text}"));
        }
        let rows: usize = before.lines().map(|line| line.chars().count().max(1).div_ceil(self.width)).sum();
        self.write(&format!("\u{1b}[{rows}A\u{1b}[J{text}"))
    }

    /// Writes a result and ends its line.
    pub(crate) fn result_line(&self, text: &str) -> Result<(), CommandError> {
        self.result(&format!("{}\n", text.trim_end_matches('\n')))
    }

    /// Writes a result as indented JSON, piece by piece: its text can be many times what it is made from.
    pub(crate) fn result_json(&self, value: &impl Serialize) -> Result<(), CommandError> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        let written = serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from);
        match written.and_then(|()| writeln!(out)).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(CommandError::failed("writing to standard output", &error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// A remark on stderr; not with `--quiet`.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            err_line(text);
        }
    }

    /// Findings on stderr, coloured like errors.
    pub(crate) const fn color_errors(&self) -> bool {
        self.color_err
    }

    /// Something on stderr whatever `--quiet` says.
    pub(crate) fn complain(&self, text: &str) {
        err_line(text.trim_end_matches('\n'));
    }

    /// Prints an error with its hints; returns the exit code.
    pub(crate) fn failure(&self, error: &CommandError) -> Exit {
        if !error.message.is_empty() {
            let word = if self.color_err { "\u{1b}[1;31merror\u{1b}[0m" } else { "error" };
            err_line(&format!("{word}: {}", error.message));
        }
        for hint in &error.hints {
            err_line(&format!("  next: {hint}"));
        }
        error.exit
    }
}

fn err_line(text: &str) {
    // Nobody is left to tell when stderr is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// An error before there is a context.
pub(crate) fn bare_failure(error: &CommandError) -> ExitCode {
    Ui::new(false, false, false, false, 100).failure(error).into()
}

/// Wrong usage, help and version, as clap words them.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let asked = !error.use_stderr();
    if error.print().is_err() {
        return Exit::Failed.into();
    }
    if asked { Exit::Done.into() } else { Exit::Usage.into() }
}

/// Sends the log to stderr: warnings, with `-v` what is done, with `-vv` every request.
pub(crate) fn log(verbose: u8) {
    let level = match verbose {
        0 => "error,kube_client=off",
        1 => "warn,zkprov=info",
        2 => "info,zkprov=debug,zkprov_engine=debug",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::new(level);
    // A second call finds the first's subscriber in place.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false).try_init();
}
