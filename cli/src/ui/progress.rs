//! The course of a run: bars at a terminal, lines with a heartbeat elsewhere, JSON lines for programs.

use super::Ui;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zkprov_engine::executor::EventSink;
use zkprov_plans::event::Event;

/// How often lines say that the run goes on.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Waiting steps named in a heartbeat line.
const SHOWN: usize = 3;

/// Progress for people, on stderr.
pub(crate) struct Progress {
    ui: Ui,
    bars: Option<MultiProgress>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    steps: usize,
    done: usize,
    running: BTreeMap<usize, Running>,
    last: Option<Instant>,
}

struct Running {
    subject: String,
    action: String,
    message: String,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Progress in the manner the surroundings ask for.
    pub(crate) fn new(ui: &Ui) -> Self {
        let bars = ui.bars.then(MultiProgress::new);
        Self { ui: ui.clone(), bars, state: Mutex::new(State::default()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, text: &str) {
        match &self.bars {
            // A closed terminal is no reason to stop.
            Some(bars) => drop(bars.println(text)),
            None => self.ui.note(text),
        }
    }

    /// Says what is waited for, unless something was said within the last ten seconds. To be called about once a second.
    pub(crate) fn heartbeat(&self) {
        let mut state = self.state();
        if self.bars.is_some()
            || state.running.is_empty()
            || state.last.is_some_and(|at| at.elapsed() < HEARTBEAT)
        {
            return;
        }
        state.last = Some(Instant::now());
        let waiting: Vec<String> = state
            .running
            .values()
            .take(SHOWN)
            .map(|one| format!("{}: {}", one.subject, one.message))
            .collect();
        let line = format!("... {} of {} steps done; {}", state.done, state.steps, waiting.join("; "));
        drop(state);
        self.line(&line);
    }

    fn start(&self, step: usize, subject: String, action: String) {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {wide_msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.set_prefix(format!("{action} {subject}"));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let mut state = self.state();
        state.running.insert(step, Running { subject, action, message: "started".to_owned(), bar });
    }

    /// Takes a step off the board; its subject and action.
    fn end(&self, step: usize) -> (String, String) {
        let mut state = self.state();
        state.last = Some(Instant::now());
        match state.running.remove(&step) {
            Some(running) => {
                if let Some(bar) = running.bar {
                    bar.finish_and_clear();
                }
                (running.subject, running.action)
            }
            None => Default::default(),
        }
    }
}

impl EventSink for Progress {
    fn emit(&self, event: Event) {
        match event {
            // A file of several ensembles is one run for each.
            Event::RunStarted { steps, .. } => {
                let mut state = self.state();
                (state.done, state.steps) = (0, steps);
            }
            Event::StepStarted { step, subject, action } => self.start(step, subject, action),
            Event::StepProgress { step, message } => {
                if let Some(running) = self.state().running.get_mut(&step) {
                    if let Some(bar) = &running.bar {
                        bar.set_message(message.clone());
                    }
                    running.message = message;
                }
            }
            Event::StepRetried { error, delay_ms, .. } => {
                self.line(&format!(
                    "  again in {:.1} s: {error}",
                    Duration::from_millis(delay_ms).as_secs_f64()
                ));
            }
            Event::StepMeasured { before, after, .. } => self.line(&format!("  {}", before.words(&after))),
            Event::StepFinished { step, elapsed_ms } => {
                let (subject, action) = self.end(step);
                let (done, steps) = {
                    let mut state = self.state();
                    state.done += 1;
                    (state.done, state.steps)
                };
                let seconds = Duration::from_millis(elapsed_ms).as_secs_f64();
                self.line(&format!("[{done}/{steps}] {action} {subject} ({seconds:.1} s)"));
            }
            Event::StepFailed { step, error, hint } => {
                let (subject, action) = self.end(step);
                self.line(&format!("failed: {action} {subject}: {error}"));
                if !hint.is_empty() {
                    self.line(&format!("  next: {hint}"));
                }
            }
            // Only root causes are told; the summary counts the rest.
            Event::StepSkipped { .. } | Event::RunFinished { .. } => {}
            Event::Interrupted => {
                self.line(
                    "stopping: nothing more is started, requests in flight return; Ctrl-C again exits now",
                );
            }
        }
    }
}

/// Every event as one JSON line on stdout.
pub(crate) struct JsonLines;

impl EventSink for JsonLines {
    fn emit(&self, event: Event) {
        if let Ok(line) = serde_json::to_string(&event) {
            // A reader that went away does not stop the run.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    }
}
