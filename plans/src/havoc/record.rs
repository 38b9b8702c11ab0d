//! What a run leaves behind: a timeline, and what it says of the ensemble. Times are milliseconds since the run began.

use super::schedule::{Kill, Schedule};
use crate::members;
use crate::observed::{EnsembleState, Mode};
use crate::{quorum, readiness};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// An answer that takes longer than this is no service, in milliseconds.
const SLOW: u64 = 1_000;

/// One try of the canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// When it was begun.
    pub at: u64,
    /// How long it took, in milliseconds.
    pub took: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Acknowledged, or read.
    Ok,
    /// No answer, or an error.
    Failed,
    /// The session read less than it had been told is written.
    Stale,
}

/// What a member does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It leads.
    Leads,
    /// It follows.
    Follows,
    /// It is there and does not serve in the quorum.
    Waits,
    /// It is gone: its pod is, or answers no more.
    Gone,
}

/// One member's states: each with when it was first seen.
pub type Lane = Vec<(u64, State)>;

/// One wave of kills, and how the ensemble came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Strike {
    /// Round, from 1.
    pub round: usize,
    /// When it struck.
    pub at: u64,
    /// What.
    pub kills: Vec<Kill>,
    /// Until the loss was seen; `None`: never seen.
    pub detected: Option<u64>,
    /// Until the quorum held again for the first time after it was lost: enough served, and somebody led; 0 when it held at every
    /// look, `None`: lost and not seen again.
    pub quorum: Option<u64>,
    /// Until every voter served again; `None`: not in time, or nobody waited.
    pub serving: Option<u64>,
}

impl Strike {
    /// Notes a look at the members, `at` milliseconds after the run began. A look that saw nobody's list says nothing, and a roll
    /// of Exhibitor's is no outage by itself.
    pub fn note_quorum(&mut self, at: u64, state: &EnsembleState) {
        if state.servers.is_empty() {
            return;
        }
        let served = EnsembleState { rolling: false, ..state.clone() };
        let holds = quorum::holds(&served, quorum::need(quorum::voters(state))) == readiness::Verdict::Ready;
        match self.quorum {
            Some(0) if !holds => self.quorum = None,
            None if holds => self.quorum = Some(at.saturating_sub(self.at).max(1)),
            Some(_) | None => {}
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "how", content = "why")]
pub enum End {
    /// All rounds are done.
    Done,
    /// The time that was given is over.
    TimeUp,
    /// More voters were gone than the budget allows.
    BudgetBroken(String),
    /// The ensemble did not come back in time.
    NotRecovered(String),
    /// Nothing more was to be done.
    Aborted(String),
    /// By the user.
    Interrupted,
}

/// What became of acknowledged writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "result")]
pub enum Check {
    /// Every member was read.
    Read {
        /// Members that were read.
        members: Vec<String>,
        /// Numbers of acknowledged writes that a member lacks, by member.
        lost: BTreeMap<String, Vec<u64>>,
    },
    /// They were not read: why.
    NotRead {
        /// In words.
        why: String,
    },
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Ensemble.
    pub ensemble: String,
    /// The run's name, below which the canary wrote.
    pub run: String,
    /// What was to be done.
    pub schedule: Schedule,
    /// How long a recovery may take, in milliseconds.
    pub deadline: u64,
    /// What was done.
    pub strikes: Vec<Strike>,
    /// Members by address, each with its states.
    pub members: BTreeMap<String, Lane>,
    /// Most voters that were gone at once.
    pub most_down: u32,
    /// The canary's writes, in their order.
    pub writes: Vec<Sample>,
    /// The canary's reads, in their order.
    pub reads: Vec<Sample>,
    /// How long the run took.
    pub took: u64,
    /// How it ended.
    pub end: End,
    /// What became of acknowledged writes.
    pub check: Check,
}

impl Record {
    /// Writes that were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.writes.iter().filter(|sample| sample.outcome == Outcome::Ok).count()
    }

    /// Whether every verdict that could be reached is good, and nothing cut the run short.
    #[must_use]
    pub fn held(&self) -> bool {
        let finished = matches!(self.end, End::Done | End::TimeUp);
        finished && verdicts(self).iter().all(|verdict| verdict.passed == Some(true))
    }
}

/// One judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Its name.
    pub name: &'static str,
    /// Whether it is good; `None`: it could not be reached.
    pub passed: Option<bool>,
    /// The finding, in words.
    pub words: String,
}

/// The judgements over a run, in a fixed order.
#[must_use]
pub fn verdicts(record: &Record) -> Vec<Verdict> {
    vec![budget(record), recovery(record), writes(record), reads(record)]
}

fn budget(record: &Record) -> Verdict {
    let (most, allowed) = (record.most_down, record.schedule.budget);
    let words = match &record.end {
        End::BudgetBroken(why) => format!("{most} voters were gone at once, {allowed} may be: {why}"),
        End::Done | End::TimeUp | End::NotRecovered(_) | End::Aborted(_) | End::Interrupted => {
            format!("{most} of {} voters were gone at once at most, {allowed} may be", record.schedule.voters)
        }
    };
    Verdict { name: "budget", passed: Some(most <= allowed), words }
}

fn recovery(record: &Record) -> Verdict {
    let name = "recovery";
    let limit = seconds(record.deadline);
    let late = record.strikes.iter().find(|strike| strike.serving.is_none());
    match (&record.end, late, record.strikes.iter().filter_map(|strike| strike.serving).max()) {
        (End::NotRecovered(why), Some(late), _) => {
            let words = format!("round {}: not every voter serves after {limit}: {why}", late.round);
            Verdict { name, passed: Some(false), words }
        }
        (_, Some(late), _) => {
            let words = format!("round {}: nobody waited for it", late.round);
            Verdict { name, passed: None, words }
        }
        (_, None, Some(longest)) => {
            let words = format!("every voter served again after {} at most", seconds(longest));
            Verdict { name, passed: Some(true), words }
        }
        (_, None, None) => Verdict { name, passed: None, words: "nothing was killed".to_owned() },
    }
}

fn writes(record: &Record) -> Verdict {
    let name = "acknowledged writes";
    let count = record.acknowledged();
    let (passed, words) = match &record.check {
        Check::NotRead { why } => (None, format!("{count} acknowledged, not read back: {why}")),
        Check::Read { members, lost } => {
            let lacks = |(member, numbers): (&String, &Vec<u64>)| format!("{member} lacks {}", numbers.len());
            let lost: Vec<String> =
                lost.iter().filter(|(_, numbers)| !numbers.is_empty()).map(lacks).collect();
            if !lost.is_empty() {
                (Some(false), format!("of {count} acknowledged: {}", lost.join(", ")))
            } else if count == 0 {
                (Some(false), "not one write was acknowledged".to_owned())
            } else {
                (Some(true), format!("{count}, each on all of {} members", members.len()))
            }
        }
    };
    Verdict { name, passed, words }
}

fn reads(record: &Record) -> Verdict {
    let stale = record.reads.iter().filter(|sample| sample.outcome == Outcome::Stale).count();
    let read = record.reads.iter().filter(|sample| sample.outcome != Outcome::Failed).count();
    let words = format!("{stale} stale of {read}");
    Verdict { name: "reads", passed: (read > 0).then_some(stale == 0), words }
}

/// Voters that are gone, by address: without a pod that runs, or silent now and, of `before`, at the look before. With them,
/// who is silent now.
#[must_use]
pub fn down(state: &EnsembleState, before: &BTreeSet<String>) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut gone, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for server in state.servers.iter().filter(|server| !server.observer) {
        let host = &server.hostname;
        let pod = state.pods.iter().find(|pod| !pod.deleting && pod.address() == Some(host.as_str()));
        match pod {
            Some(pod) if pod.phase == "Running" => {
                if members::is_silent(state, &pod.name) {
                    silent.insert(host.clone());
                }
            }
            Some(_) | None => drop(gone.insert(host.clone())),
        }
    }
    gone.extend(silent.intersection(before).cloned());
    (gone, silent)
}

/// Notes in `lanes` what each member does at a look; `gone` as [`down`] tells.
pub fn lanes(lanes: &mut BTreeMap<String, Lane>, at: u64, state: &EnsembleState, gone: &BTreeSet<String>) {
    let mut seen: BTreeMap<&str, State> = BTreeMap::new();
    for server in &state.servers {
        let member = state.members.iter().find(|member| member.hostname == server.hostname);
        let mode = member.and_then(|member| member.zookeeper.as_ref()).map(|srvr| srvr.mode);
        let does = match mode {
            _ if gone.contains(&server.hostname) => State::Gone,
            Some(Mode::Leader) => State::Leads,
            Some(Mode::Follower | Mode::Observer) => State::Follows,
            Some(Mode::Standalone) | None => State::Waits,
        };
        seen.insert(&server.hostname, does);
    }
    // A member that is no longer listed was replaced.
    if !seen.is_empty() {
        let replaced: Vec<String> =
            lanes.keys().filter(|host| !seen.contains_key(host.as_str())).cloned().collect();
        for host in replaced {
            note(lanes.entry(host).or_default(), at, State::Gone);
        }
    }
    for (host, does) in seen {
        note(lanes.entry(host.to_owned()).or_default(), at, does);
    }
}

fn note(lane: &mut Lane, at: u64, state: State) {
    if lane.last().is_none_or(|(_, last)| *last != state) {
        lane.push((at, state));
    }
}

/// A span without service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// From the begin of the first try that failed or was slow.
    pub from: u64,
    /// To the next answer, or to the end.
    pub to: u64,
}

/// When tries found no service: from the begin of one that failed, or took longer than a second, to the next answer. `end` closes
/// what is still open.
#[must_use]
pub fn gaps(samples: &[Sample], end: u64) -> Vec<Window> {
    let mut gaps = Vec::new();
    let mut open = None;
    for sample in samples {
        let done = sample.at.saturating_add(sample.took);
        let served = match sample.outcome {
            Outcome::Ok | Outcome::Stale => true,
            Outcome::Failed => false,
        };
        if !served || sample.took > SLOW {
            open = open.or(Some(sample.at));
        }
        if served && let Some(from) = open.take() {
            gaps.push(Window { from, to: done });
        }
    }
    gaps.extend(open.map(|from| Window { from, to: end.max(from) }));
    gaps
}

/// Milliseconds as seconds with one digit.
pub(super) fn seconds(milliseconds: u64) -> String {
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}
