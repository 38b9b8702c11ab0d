//! What the process brings: environment, wall clock, terminal. Nothing else reads them.

use crate::args::{ColorChoice, Global};
use crate::error::CommandError;
use crate::ui::Ui;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use zkprov_engine::lease::Clock;

/// The process's surroundings.
pub(crate) struct Context {
    /// Options of every command.
    pub(crate) global: Global,
    /// The one door to the terminal.
    pub(crate) ui: Ui,
}

impl Context {
    /// Reads the surroundings once.
    pub(crate) fn of_process(global: Global) -> Result<Self, CommandError> {
        let (out, err) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        let color = |terminal: bool| match global.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                let off = env("NO_COLOR").is_some_and(|value| !value.is_empty())
                    || env("CLICOLOR").as_deref() == Some("0");
                terminal && !off
            }
        };
        let bars = err && !global.quiet && env("CI").is_none() && env("TERM").as_deref() != Some("dumb");
        let width = if out { terminal_width() } else { 100 };
        let in_place = out && env("TERM").as_deref() != Some("dumb");
        let ui = Ui::new(color(out), color(err), bars, global.quiet, width).in_place(in_place);
        crate::ui::log(global.verbose);
        Ok(Self { global, ui })
    }

    /// An environment variable, if it is set and is text.
    pub(crate) fn env(&self, name: &str) -> Option<String> {
        env(name)
    }

    /// Whether the user can be asked.
    pub(crate) fn interactive(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && env("CI").is_none()
    }

    /// The wall clock, for those who may not read it themselves.
    pub(crate) fn clock(&self) -> Clock {
        Arc::new(jiff::Timestamp::now)
    }

    /// A name for this run that no other run has: host, process and time.
    pub(crate) fn run_id(&self) -> String {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        format!("{}-{}-{nanos}", self.host(), self.process())
    }

    /// The number of this process.
    pub(crate) fn process(&self) -> u32 {
        std::process::id()
    }

    /// Who holds a lock, for people: `user@host, process 4711`.
    pub(crate) fn holder(&self) -> String {
        let user = env("USER").or_else(|| env("LOGNAME")).unwrap_or_else(|| "unknown".to_owned());
        format!("{user}@{}, process {}", self.host(), self.process())
    }

    fn host(&self) -> String {
        let file = || std::fs::read_to_string("/etc/hostname").ok().map(|name| name.trim().to_owned());
        env("HOSTNAME")
            .or_else(file)
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "localhost".to_owned())
    }

    /// A command to go on with, on the cloud that this run works on: without `--sandbox` it would go to the real one.
    pub(crate) fn on_the_same_cloud(&self, command: &str) -> String {
        match &self.global.sandbox {
            None => command.to_owned(),
            Some(None) => format!("{command} --sandbox"),
            Some(Some(directory)) => format!("{command} --sandbox={}", directory.display()),
        }
    }

    /// Where the embedded cloud lives unless told otherwise: `$XDG_STATE_HOME/zkprov/sandbox`.
    pub(crate) fn default_sandbox(&self) -> Result<PathBuf, CommandError> {
        let state = env("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || env("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        state.or_else(home).map(|state| state.join("zkprov/sandbox")).ok_or_else(|| {
            CommandError::new(crate::error::Exit::Failed, "neither XDG_STATE_HOME nor HOME is set")
                .hint("name a directory: --sandbox=DIR")
        })
    }

    /// The kubeconfig that `kubectl` would write.
    pub(crate) fn kubeconfig(&self) -> Option<PathBuf> {
        let first = env("KUBECONFIG")
            .and_then(|list| list.split(':').find(|part| !part.is_empty()).map(PathBuf::from));
        first.or_else(|| env("HOME").map(|home| PathBuf::from(home).join(".kube/config")))
    }
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn terminal_width() -> usize {
    usize::from(console::Term::stdout().size().1).clamp(40, 160)
}
