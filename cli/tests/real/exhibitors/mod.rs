//! The embedded Exhibitor and the real one on one schedule: alike in what they answer, in who is a member, in who leads up to
//! which one it is, and in time as far as the schedule's bounds say.

mod schedule;
mod worlds;

use schedule::{Bounds, LOCK, SCHEDULE, Step, Wanted};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use worlds::{Embedded, Real, World, address, settings};

/// Differences that are accepted, each with its reason.
const ACCEPTED: &str = include_str!("accepted.txt");

/// Between two looks at members, and how long something has to stay so, milliseconds.
const LOOK: u64 = 500;
const STAYS: u64 = 4_000;
/// Nothing takes longer on a machine that has time for it, milliseconds: automatic instance management may need its second look, after twice 120 s.
const LIMIT: u64 = 280_000;

/// Lines that the four-letter words have of a leader alone.
const OF_A_LEADER: [&str; 7] = [
    "Proposal sizes last/min/max",
    "zk_followers",
    "zk_synced_followers",
    "zk_pending_syncs",
    "zk_last_proposal_size",
    "zk_max_proposal_size",
    "zk_min_proposal_size",
];

/// What came of a step.
#[derive(Default)]
struct Seen {
    /// By what was asked: status and body.
    answers: Vec<(String, Value)>,
    times: Vec<Took>,
}

/// What something took that was waited for.
struct Took {
    what: String,
    millis: u64,
    bounds: Bounds,
    /// What a busy machine added to it at most, milliseconds.
    excuse: u64,
}

struct Play<W> {
    world: W,
    /// Members that run.
    running: BTreeSet<u8>,
}

impl<W: World> Play<W> {
    fn new(world: W) -> Self {
        Self { world, running: BTreeSet::new() }
    }

    fn get(&mut self, member: u8, path: &str) -> Value {
        let (_, body) = self.world.ask(member, "GET", path, "");
        serde_json::from_str(&body).unwrap_or(Value::Null)
    }

    /// Carries a part of the schedule out; the error says what never came true.
    fn carry_out(&mut self, steps: &[Step]) -> Result<Seen, String> {
        let mut seen = Seen::default();
        let mut since = self.world.now();
        for step in steps {
            match *step {
                Step::Start(members) => {
                    // A busy machine takes its time to start the containers, too.
                    since = self.world.now();
                    for member in members {
                        self.world.start(*member);
                        self.running.insert(*member);
                    }
                }
                Step::Stop(member) => {
                    self.world.stop(member);
                    self.running.remove(&member);
                    since = self.world.now();
                }
                Step::KillZooKeeper(member) => {
                    self.world.kill_zookeeper(member);
                    since = self.world.now();
                }
                Step::Share(damage) => {
                    self.world.damage(damage);
                    since = self.world.now();
                }
                Step::Pause(seconds) => self.world.pass(seconds * 1_000),
                Step::Set { at, rolling, changes } => {
                    let body = settings(&self.get(at, "config/get-state"), changes);
                    let path = if rolling { "config/set-rolling" } else { "config/set" };
                    let asked = self.world.now();
                    let answer = self.answer(at, "POST", path, &body);
                    let (millis, excuse) = (self.world.now() - asked, self.world.excuse(asked));
                    seen.times.push(Took { what: format!("{at} POST {path}"), millis, bounds: LOCK, excuse });
                    seen.answers.push((format!("{at} POST {path}"), answer));
                    since = self.world.now();
                }
                Step::Ask { at, method, path, body } => {
                    let answer = self.answer(at, method, path, body);
                    let what = format!("{at} {method} {path} {body}").trim_end().to_owned();
                    seen.answers.push((what, answer));
                }
                Step::Until(wanted, bounds) => {
                    let until = self.until(&wanted)?;
                    let (millis, excuse) = (until.saturating_sub(since), self.world.excuse(since));
                    seen.times.push(Took { what: format!("{wanted:?}"), millis, bounds, excuse });
                    since = until;
                }
            }
        }
        seen.answers.push(("everybody".to_owned(), self.view()));
        Ok(seen)
    }

    fn answer(&mut self, at: u8, method: &str, path: &str, body: &str) -> Value {
        let (status, body) = self.world.ask(at, method, path, body);
        json!({ "status": status, "body": normal(path, &body) })
    }

    /// When it came to be so for good.
    fn until(&mut self, wanted: &Wanted) -> Result<u64, String> {
        let began = self.world.now();
        let mut held: Option<u64> = None;
        loop {
            let now = self.world.now();
            let stays = match wanted {
                Wanted::Serves(_) => STAYS,
                Wanted::Answers(_) | Wanted::Setting(..) | Wanted::Rolls(_) | Wanted::Runs(..) => 0,
            };
            if self.holds(wanted) {
                // A real member that starts holds the question up until it answers: it is so from then on.
                let seen = self.world.now();
                let first = *held.get_or_insert(seen);
                if seen - first >= stays {
                    return Ok(first);
                }
            } else {
                held = None;
            }
            if now - began > LIMIT + self.world.excuse(began) {
                return Err(format!("never {wanted:?}: {:#}", self.view()));
            }
            self.world.pass(LOOK);
        }
    }

    fn holds(&mut self, wanted: &Wanted) -> bool {
        match *wanted {
            Wanted::Answers(members) => {
                members.iter().all(|member| self.world.ask(*member, "GET", "cluster/state", "").0 == 200)
            }
            Wanted::Serves(members) => {
                let hosts: Vec<String> = members.iter().map(|member| address(*member)).collect();
                let modes: Vec<String> = members.iter().map(|member| self.mode(*member)).collect();
                let voters = modes.iter().all(|mode| mode == "leader" || mode == "follower");
                let leaders = modes.iter().filter(|mode| *mode == "leader").count();
                voters
                    && leaders == 1
                    && members.iter().all(|member| {
                        self.get(*member, "cluster/list")["servers"] == json!(hosts)
                            && self.get(*member, "cluster/state")["state"] == 3
                            && self.get(*member, "config/get-state")["config"]["rollInProgress"] == false
                    })
            }
            Wanted::Setting(members, key, value) => members.iter().all(|member| {
                let state = self.get(*member, "config/get-state");
                state["config"][key].to_string().trim_matches('"') == value
            }),
            Wanted::Runs(members, line) => members.iter().all(|member| {
                let words = self.get(*member, "cluster/4ltr/conf");
                words.as_str().unwrap_or_default().lines().any(|one| one == line)
            }),
            Wanted::Rolls(member) => self.get(member, "config/get-state")["config"]["rollInProgress"] == true,
        }
    }

    /// Leader, follower, standalone; empty for one that serves nobody.
    fn mode(&mut self, member: u8) -> String {
        let words = self.get(member, "cluster/4ltr/srvr");
        let words = words.as_str().unwrap_or_default();
        words.lines().find_map(|line| line.strip_prefix("Mode: ")).unwrap_or_default().to_owned()
    }

    /// Everything that all members say of themselves and of the ensemble.
    fn view(&mut self) -> Value {
        let running: Vec<u8> = self.running.iter().copied().collect();
        let mut modes: BTreeMap<String, u64> = BTreeMap::new();
        let mut members = serde_json::Map::new();
        for member in running {
            *modes.entry(self.mode(member)).or_default() += 1;
            let paths =
                ["cluster/status", "cluster/list", "cluster/state", "config/get-state", "cluster/4ltr/ruok"];
            let said = paths.map(|path| (path.to_owned(), self.answer(member, "GET", path, "")));
            members.insert(address(member), Value::Object(said.into_iter().collect()));
        }
        json!({ "modes": modes, "members": members })
    }
}

/// A body without what is chance: which one leads, numbers of traffic and time, and the words of stack traces.
fn normal(path: &str, body: &str) -> Value {
    let Ok(mut value) = serde_json::from_str::<Value>(body) else {
        let told = body.lines().filter(|line| line.contains("HTTP ERROR"));
        return json!(told.map(str::trim).collect::<Vec<_>>());
    };
    if path == "cluster/status" {
        let entries = value.as_array().cloned().unwrap_or_default();
        let hosts: Vec<&Value> = entries.iter().map(|entry| &entry["hostname"]).collect();
        let states = |entry: &Value| format!("{} {}", entry["code"], entry["description"]);
        let states: Vec<String> = entries.iter().map(states).collect();
        let leaders = entries.iter().filter(|entry| entry["isLeader"] == true).count();
        return json!({ "hosts": hosts, "states": states, "leaders": leaders });
    }
    if path.starts_with("cluster/state") {
        value.as_object_mut().map(|object| object.remove("isLeader"));
    }
    if path.starts_with("cluster/4ltr")
        && let Some(text) = value.as_str()
    {
        // Which lines there are; what they count is chance.
        let names = text.lines().map(|line| line.split([':', '=', '\t']).next().unwrap_or_default().trim());
        let names: BTreeSet<String> = names.filter(|name| !OF_A_LEADER.contains(name)).map(masked).collect();
        value = json!(names);
    }
    if let Some(stat) = value.get_mut("stat") {
        *stat = json!(masked(stat.as_str().unwrap_or_default()));
    }
    value
}

/// A text with every run of digits as one letter.
fn masked(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '0'..='9' if out.ends_with('N') => {}
            '0'..='9' => out.push('N'),
            other => out.push(other),
        }
    }
    out
}

/// Where two values differ: by path.
fn differences(path: &str, embedded: &Value, real: &Value, out: &mut Vec<(String, Value, Value)>) {
    match (embedded, real) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let (a, b) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                differences(&format!("{path}/{key}"), a, b, out);
            }
        }
        (a, b) if a == b => {}
        (a, b) => out.push((path.to_owned(), a.clone(), b.clone())),
    }
}

/// An accepted difference: step, and where in it; `*` stands for anything.
struct Accepted {
    step: &'static str,
    place: &'static str,
    used: bool,
}

fn accepted() -> Vec<Accepted> {
    let lines = ACCEPTED.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let parts: Vec<&str> = line.splitn(3, " | ").map(str::trim).collect();
            let [step, place, reason] = parts[..] else { panic!("accepted.txt: {line}") };
            assert!(reason.len() > 20, "accepted.txt: `{line}` has no reason");
            Accepted { step, place, used: false }
        })
        .collect()
}

fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    for (at, part) in parts.iter().enumerate() {
        if at + 1 == parts.len() {
            return rest.ends_with(part);
        }
        let Some(found) = rest.find(part) else { return false };
        rest = &rest[found + part.len()..];
    }
    rest.is_empty()
}

/// What of a step is not alike.
fn compare(step: &str, embedded: &Seen, real: &Seen) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for ((what, a), (_, b)) in embedded.answers.iter().zip(&real.answers) {
        let mut found = Vec::new();
        differences(what, a, b, &mut found);
        out.extend(found.into_iter().map(|(place, a, b)| (place, format!("embedded {a}, real {b}"))));
    }
    for (embedded, real) in embedded.times.iter().zip(&real.times) {
        #[expect(clippy::cast_precision_loss, reason = "minutes in milliseconds")]
        let seconds = |millis: u64| millis as f64 / 1_000.0;
        let (a, b, excuse) = (seconds(embedded.millis), seconds(real.millis), seconds(real.excuse));
        let what = &embedded.what;
        println!(
            "{step}: {what}: embedded {a:.1} s, real {b:.1} s, of which a busy machine may be {excuse:.1} s"
        );
        let Bounds { factor, slack } = embedded.bounds;
        if b > a * factor + slack + excuse || b < a / factor - slack {
            out.push((what.clone(), format!("takes {a:.1} s embedded, {b:.1} s for real")));
        }
    }
    out
}

#[test]
fn the_embedded_exhibitor_does_what_real_members_on_a_node_do() {
    let mut embedded = Play::new(Embedded::new());
    let mut real = Play::new(Real::new());
    let mut accepted = accepted();
    let mut wrong = Vec::new();
    for (step, parts) in SCHEDULE {
        let (a, b) = match (embedded.carry_out(parts), real.carry_out(parts)) {
            (Ok(a), Ok(b)) => (a, b),
            (a, b) => {
                for (who, ended) in [("embedded", a.err()), ("real", b.err())] {
                    wrong.extend(ended.map(|why| format!("{step}: {who}: {why}")));
                }
                break;
            }
        };
        for (place, what) in compare(step, &a, &b) {
            let entry = accepted.iter_mut().find(|entry| fits(entry.step, step) && fits(entry.place, &place));
            match entry {
                Some(entry) => entry.used = true,
                None => wrong.push(format!("{step}: {place}: {what}")),
            }
        }
    }
    if wrong.is_empty() {
        for entry in accepted.iter().filter(|entry| !entry.used) {
            wrong.push(format!("accepted.txt: `{} | {}` is no difference any more", entry.step, entry.place));
        }
    }
    let logs = if wrong.is_empty() { String::new() } else { real.world.logs() };
    assert!(wrong.is_empty(), "{logs}\n{}", wrong.join("\n"));
}
