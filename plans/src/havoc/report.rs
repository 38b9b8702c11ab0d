//! A schedule and a run, printed: text for people, JSON for programs, JUnit XML for pipelines.

use super::record::{End, Outcome, Record, Sample, Strike, Verdict, Window, gaps, seconds, verdicts};
use super::schedule::{Aim, Kill, Means, Placement, Schedule, aim};
use crate::quorum;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// From where the canary looked: it belongs to every number about availability.
pub const SEEN_FROM: &str = "as a client sees it through the API server's port-forward";

/// The schedule as it stands on a placement.
#[must_use]
pub fn schedule_text(ensemble: &str, schedule: &Schedule, placement: &Placement) -> String {
    let Schedule { seed, voters, budget, rounds } = schedule;
    let mut out = format!(
        "Havoc on {ensemble}: {}, seed {seed}; {budget} of {voters} voters may be gone at once, {} make the quorum\n\n",
        count(rounds.len(), "round"),
        quorum::need(*voters)
    );
    for (number, round) in (1..).zip(rounds) {
        for (wave, aims) in (1..).zip(&round.waves) {
            let place = if round.waves.len() > 1 {
                format!("round {number}, wave {wave}")
            } else {
                format!("round {number}")
            };
            let lines = match aim(aims, placement, *budget) {
                Ok(kills) => kills.iter().map(|kill| format!("{}: {}", kill.aim, how(kill))).collect(),
                Err(why) => vec![why],
            };
            for (nth, line) in lines.iter().enumerate() {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "  {:<16}  {line}", if nth == 0 { place.as_str() } else { "" });
            }
        }
    }
    out.push_str(
        "\nEach wave strikes at once, when every voter serves, and the next waits until every voter serves again. Voters are\n\
         counted in the order of their ids and named as they are now: one that was replaced has a new pod and a higher id.\n",
    );
    out
}

/// The schedule as JSON, with the kills as they stand on a placement.
#[must_use]
pub fn schedule_json(ensemble: &str, schedule: &Schedule, placement: &Placement) -> Value {
    let rounds = schedule.rounds.iter().map(|round| {
        let waves = round.waves.iter().map(|aims| match aim(aims, placement, schedule.budget) {
            Ok(kills) => json!(kills),
            Err(why) => json!({ "aims": aims, "why": why }),
        });
        Value::Array(waves.collect())
    });
    json!({
        "ensemble": ensemble,
        "seed": schedule.seed,
        "voters": schedule.voters,
        "budget": schedule.budget,
        "rounds": rounds.collect::<Vec<_>>(),
    })
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// What a kill does.
fn how(kill: &Kill) -> String {
    let takes: Vec<String> =
        kill.takes.iter().map(|voter| format!("{} (id {})", voter.host, voter.id)).collect();
    let takes = if takes.is_empty() { "no voter".to_owned() } else { takes.join(", ") };
    match &kill.means {
        Means::DeletePods(pods) => format!("delete {} without grace; takes {takes}", pods.join(", ")),
        Means::Reset(machine) if kill.aim == Aim::Node(machine.name.clone()) => {
            format!("reset its VM; takes {takes}")
        }
        Means::Reset(machine) => format!("reset the VM {}; takes {takes}", machine.name),
    }
}

/// A kill in a few words.
fn short(kill: &Kill) -> String {
    let pods: Vec<&str> = kill.takes.iter().map(|voter| voter.pod.as_str()).collect();
    if pods.is_empty() { kill.aim.to_string() } else { format!("{} ({})", kill.aim, pods.join(", ")) }
}

/// All kills of a strike in a few words.
pub(super) fn killed(strike: &Strike) -> String {
    strike.kills.iter().map(short).collect::<Vec<_>>().join(" + ")
}

fn ending(record: &Record) -> String {
    match &record.end {
        End::Done if record.held() => "held".to_owned(),
        End::TimeUp if record.held() => "held until its time was over".to_owned(),
        End::Done | End::TimeUp => "failed".to_owned(),
        End::BudgetBroken(why) => format!("aborted, the budget is broken: {why}"),
        End::NotRecovered(why) => format!("failed, not recovered: {why}"),
        End::Aborted(why) => format!("aborted: {why}"),
        End::Interrupted => "interrupted".to_owned(),
    }
}

/// Part of the time with service, in per mille, and the longest window without.
fn served(samples: &[Sample], took: u64) -> (u64, u64) {
    let gaps = gaps(samples, took);
    let length = |gap: &Window| gap.to.saturating_sub(gap.from);
    let without: u64 = gaps.iter().map(length).sum();
    let served = 1000_u64.saturating_sub(without.saturating_mul(1000) / took.max(1));
    (served, gaps.iter().map(length).max().unwrap_or(0))
}

/// The longest window without an acknowledged write that opened in a strike's time, in milliseconds.
fn write_gap(record: &Record, strike: &Strike) -> u64 {
    let next = record.strikes.iter().map(|other| other.at).find(|at| *at > strike.at).unwrap_or(u64::MAX);
    let mine =
        gaps(&record.writes, record.took).into_iter().filter(|gap| gap.to > strike.at && gap.from < next);
    mine.map(|gap| gap.to - gap.from).max().unwrap_or(0)
}

/// The run for people.
#[must_use]
pub fn text(record: &Record) -> String {
    let mut out = format!("Havoc on {}: {}\n", record.ensemble, ending(record));
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "run {}, seed {}, {}, {} of {} writes acknowledged\n",
        record.run,
        record.schedule.seed,
        seconds(record.took),
        record.acknowledged(),
        record.writes.len()
    );
    let mut rows =
        vec![["ROUND", "DETECTED", "QUORUM", "ALL SERVE", "NO WRITES", "KILLED"].map(str::to_owned)];
    for strike in &record.strikes {
        let time = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), seconds);
        rows.push([
            strike.round.to_string(),
            time(strike.detected),
            time(strike.quorum),
            time(strike.serving),
            seconds(write_gap(record, strike)),
            killed(strike),
        ]);
    }
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
    out.push('\n');
    for (name, samples) in [("writes", &record.writes), ("reads", &record.reads)] {
        let (per_mille, longest) = served(samples, record.took);
        let _ = writeln!(
            out,
            "{name}: answered {}.{} % of the time, longest gap {}",
            per_mille / 10,
            per_mille % 10,
            seconds(longest)
        );
    }
    let _ = writeln!(out, "({SEEN_FROM})\n");
    for verdict in verdicts(record) {
        let word = match verdict.passed {
            Some(true) => "pass",
            Some(false) => "FAIL",
            None => "  ? ",
        };
        let _ = writeln!(out, "  {word}  {}: {}", verdict.name, verdict.words);
    }
    out
}

/// The run for programs.
#[must_use]
pub fn json(record: &Record) -> Value {
    let service = |samples: &[Sample]| {
        let (per_mille, longest) = served(samples, record.took);
        let failed = samples.iter().filter(|sample| sample.outcome != Outcome::Ok).count();
        json!({ "tries": samples.len(), "failed": failed, "perMille": per_mille, "longestGapMs": longest,
            "gaps": gaps(samples, record.took) })
    };
    json!({
        "held": record.held(),
        "verdicts": verdicts(record),
        "availability": {
            "seenFrom": SEEN_FROM, "writes": service(&record.writes), "reads": service(&record.reads),
        },
        "record": record,
    })
}

/// A case of JUnit: class, name, milliseconds, and what became of it.
struct Case {
    name: String,
    took: u64,
    passed: Option<bool>,
    words: String,
}

impl From<Verdict> for Case {
    fn from(verdict: Verdict) -> Self {
        Self { name: verdict.name.to_owned(), took: 0, passed: verdict.passed, words: verdict.words }
    }
}

/// The run for pipelines: a case for each strike and for each verdict.
#[must_use]
pub fn junit(record: &Record) -> String {
    let strikes = record.strikes.iter().map(|strike| Case {
        name: format!("round {}: {}", strike.round, killed(strike)),
        took: strike.serving.unwrap_or(record.deadline),
        passed: match (&record.end, strike.serving) {
            (_, Some(_)) => Some(true),
            (End::NotRecovered(_) | End::BudgetBroken(_), None) => Some(false),
            (End::Done | End::TimeUp | End::Aborted(_) | End::Interrupted, None) => None,
        },
        words: ending(record),
    });
    let mut cases: Vec<Case> = strikes.chain(verdicts(record).into_iter().map(Case::from)).collect();
    if let End::Aborted(why) = &record.end {
        let name = "the run goes to its end".to_owned();
        cases.push(Case { name, took: 0, passed: Some(false), words: why.clone() });
    }
    let of = |passed: Option<bool>| cases.iter().filter(|case| case.passed == passed).count();
    let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "<testsuites name=\"zkprov havoc\">\n  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" \
         skipped=\"{}\" time=\"{}\">",
        xml(&record.ensemble),
        cases.len(),
        of(Some(false)),
        of(None),
        decimal(record.took)
    );
    for case in &cases {
        let head = format!(
            "    <testcase classname=\"havoc.{}\" name=\"{}\" time=\"{}\"",
            xml(&record.ensemble),
            xml(&case.name),
            decimal(case.took)
        );
        let element = match case.passed {
            Some(true) => None,
            Some(false) => Some("failure"),
            None => Some("skipped"),
        };
        let _ = match element {
            None => writeln!(out, "{head}/>"),
            Some(element) => {
                writeln!(out, "{head}>\n      <{element} message=\"{}\"/>\n    </testcase>", xml(&case.words))
            }
        };
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn decimal(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

/// Text as it may stand in XML, also between quotes; what XML cannot carry is left out.
pub(super) fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => {}
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}
