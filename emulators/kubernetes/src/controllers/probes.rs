//! Probes of a running container.

use super::super::store::Store;
use super::super::tree::int;
use super::pods;
use crate::api::Time;
use crate::containers::Containers;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zkprov_emulator_common::ticks::tick_at_or_after;

/// Milliseconds after which a container that is not Exhibitor serves.
const OTHERS_SERVE_AFTER: Time = 2000;

/// Where the probes of a pod stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Probing {
    /// When to probe next.
    pub(super) next: Time,
    /// Whether the start-up probe has succeeded.
    pub(super) started: bool,
    successes: i64,
    failures: i64,
    /// What the readiness probes say.
    pub(super) ready: bool,
}

/// What a probe is about.
pub(super) struct Subject<'a> {
    /// The pod.
    pub(super) pod: &'a Value,
    /// Its address.
    pub(super) address: &'a str,
    /// `ZK_ENSEMBLE_SIZE` of its environment.
    pub(super) size: u32,
    /// Since when its containers run.
    pub(super) since: Time,
}

/// What came of one probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing changed.
    Same,
    /// The pod became ready, or no longer is.
    Changed,
    /// The probe failed for the first time after a success.
    Failing,
}

fn milliseconds(probe: &Value, key: &str, default: i64) -> Time {
    Time::try_from(int(probe, key).unwrap_or(default)).unwrap_or(0) * 1000
}

fn period(probe: &Value) -> Time {
    milliseconds(probe, "/periodSeconds", 10).max(1000)
}

impl Probing {
    /// Before the first probe.
    pub(super) fn new(subject: &Subject<'_>) -> Self {
        let probe = subject_probe(subject.pod, false);
        let unprobed = if pods::exhibitor(subject.pod).is_some() { 0 } else { OTHERS_SERVE_AFTER };
        let delay = probe.map_or(unprobed, |probe| milliseconds(probe, "/initialDelaySeconds", 0));
        Self { next: subject.since + delay, ..Self::default() }
    }

    /// Whether the next probe would change anything, by what holds now. Whoever changes what a probe finds asks again.
    pub(super) fn matters(&self, store: &Store, shares: &dyn Containers, subject: &Subject<'_>) -> bool {
        let Some(probe) = subject_probe(subject.pod, self.started) else { return true };
        // What is not Exhibitor begins to serve when its time has come.
        if pods::exhibitor(subject.pod).is_none() && !self.ready {
            return true;
        }
        let good = succeeds(probe, store, shares, subject, self.next);
        match (self.started, self.ready) {
            (false, _) => good,
            (true, true) => !good || self.failures > 0,
            (true, false) => good || self.failures == 0,
        }
    }

    /// Lets the probes before `now` pass, which changed nothing.
    pub(super) fn skip(&mut self, pod: &Value, now: Time) {
        if self.next < now
            && let Some(probe) = subject_probe(pod, self.started)
        {
            self.next = tick_at_or_after(self.next, period(probe), now);
        }
    }

    /// Probes once and sets when to probe again.
    pub(super) fn probe(
        &mut self,
        store: &Store,
        shares: &dyn Containers,
        subject: &Subject<'_>,
        now: Time,
    ) -> Outcome {
        let Some(probe) = subject_probe(subject.pod, self.started) else {
            // Nothing to ask: what runs is ready.
            self.next = Time::MAX;
            let changed = !self.ready;
            (self.started, self.ready) = (true, true);
            return if changed { Outcome::Changed } else { Outcome::Same };
        };
        self.next = now + period(probe);
        let good = succeeds(probe, store, shares, subject, now);
        if !self.started {
            self.started = good;
            // The readiness probe begins at once.
            self.next = if good { now } else { self.next };
            return Outcome::Same;
        }
        if good {
            (self.successes, self.failures) = (self.successes + 1, 0);
            if !self.ready && self.successes >= int(probe, "/successThreshold").unwrap_or(1) {
                self.ready = true;
                return Outcome::Changed;
            }
            return Outcome::Same;
        }
        (self.successes, self.failures) = (0, self.failures + 1);
        if self.ready && self.failures >= int(probe, "/failureThreshold").unwrap_or(3) {
            self.ready = false;
            return Outcome::Changed;
        }
        if self.failures == 1 { Outcome::Failing } else { Outcome::Same }
    }
}

/// The probe that counts now: of Exhibitor's container, else of the first one.
fn subject_probe(pod: &Value, started: bool) -> Option<&Value> {
    let container = pods::exhibitor(pod).or_else(|| pod.pointer("/spec/containers/0"))?;
    let startup = container.get("startupProbe").filter(|_| !started);
    startup.or_else(|| container.get("readinessProbe"))
}

/// The port that a probe's command asks: none if it reads ZooKeeper's own from its configuration.
fn asked_port(command: &[Value]) -> Option<i64> {
    let words: Vec<&str> = command.iter().filter_map(Value::as_str).collect();
    if words.iter().any(|word| word.contains("zoo.cfg")) {
        return None;
    }
    Some(words.iter().rev().find_map(|word| word.parse().ok()).unwrap_or(2181))
}

fn succeeds(probe: &Value, store: &Store, shares: &dyn Containers, subject: &Subject<'_>, now: Time) -> bool {
    let Some(container) = pods::exhibitor(subject.pod) else {
        return now >= subject.since + OTHERS_SERVE_AFTER;
    };
    if let Some(command) = probe.pointer("/exec/command").and_then(Value::as_array) {
        let standalone = pods::accepts_standalone(store, subject.pod, container, subject.size);
        return shares.ready(subject.address, asked_port(command), standalone);
    }
    // Any other probe reaches Exhibitor's own port, whose answers say nothing of ZooKeeper: `ruok` is always 200.
    shares.answers(subject.address, now)
}
