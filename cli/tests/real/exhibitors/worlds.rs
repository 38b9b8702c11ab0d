//! The two: the simulated Exhibitor on a clock of its own, and the real one in containers.

use super::schedule::Damage;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};
use zkprov_sandbox::api::{Answer, Context, Endpoints, Request, Service};
use zkprov_sandbox::containers::ContainerStart;
use zkprov_sandbox::exhibitor::Shares;
use zkprov_sandbox::ids::Ids;
use zkprov_tests::{Strain, root};

/// What can be done to members and asked of them.
pub(super) trait World {
    fn start(&mut self, member: u8);
    fn stop(&mut self, member: u8);
    fn kill_zookeeper(&mut self, member: u8);
    fn damage(&mut self, damage: Damage);
    /// Status and body; status 0 where nothing listens.
    fn ask(&mut self, member: u8, method: &str, path: &str, body: &str) -> (u16, String);
    /// Lets time go by, in milliseconds.
    fn pass(&mut self, ms: u64);
    /// Milliseconds since the beginning.
    fn now(&self) -> u64;
    /// How much longer something may take that began at `since` than on a machine that has time for it, milliseconds.
    fn excuse(&self, since: u64) -> u64;
}

const SHARE: &str = "198.18.0.1:/share";
const EPOCH: u64 = 1_795_418_000_000;

/// Address of a member.
pub(super) fn address(member: u8) -> String {
    format!("198.18.0.{member}")
}

/// A lock as a member leaves it that is killed while it holds it: young, and older than any other's.
fn lock(now: u64) -> String {
    format!("exhibitor-lock-_{}_1", now.saturating_sub(60_000))
}

pub(super) struct Embedded {
    shares: Shares,
    ids: Ids,
    now: u64,
    lock: String,
}

impl Embedded {
    pub(super) fn new() -> Self {
        Self { shares: Shares::default(), ids: Ids::new(11), now: EPOCH, lock: String::new() }
    }

    fn advance(&mut self, to: u64) {
        self.now = self.now.max(to);
        self.shares.advance(self.now, &mut self.ids);
    }
}

impl World for Embedded {
    fn start(&mut self, member: u8) {
        let env = [("EXHIBITOR_CONFIG_CHECK_MS", "1000"), ("EXHIBITOR_KEEPS_COPY", "1")];
        let env: BTreeMap<String, String> = env.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let start = ContainerStart {
            share: SHARE.to_owned(),
            address: address(member),
            hostname: address(member),
            volume: None,
            ensemble_size: 3,
            env,
        };
        self.shares.start(start, self.now, &mut self.ids);
    }

    fn stop(&mut self, member: u8) {
        self.shares.stop(&address(member), self.now);
    }

    fn kill_zookeeper(&mut self, member: u8) {
        self.shares.kill_zookeeper(&address(member));
    }

    fn damage(&mut self, damage: Damage) {
        match damage {
            Damage::LeaveLock => {
                self.lock = lock(self.now);
                self.shares.leave_lock(SHARE, &self.lock);
            }
            Damage::RemoveLock => self.shares.remove_lock(SHARE, &self.lock),
            Damage::Empty => self.shares.empty_file(SHARE),
            Damage::Cut => self.shares.cut_file(SHARE),
        }
    }

    fn ask(&mut self, member: u8, method: &str, path: &str, body: &str) -> (u16, String) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let request = Request {
            service: Service::Kubernetes("p/z/c".to_owned()),
            method: method.to_owned(),
            path: format!("/exhibitor/v1/{path}"),
            query: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: body.as_bytes().to_vec(),
        };
        let (arrived, endpoints) = (self.now, Endpoints::default());
        loop {
            let mut context = Context { now: self.now, arrived, ids: &mut self.ids, endpoints: &endpoints };
            match self.shares.handle(&address(member), &request, &mut context) {
                None => return (0, String::new()),
                Some(Answer::Done(response)) => {
                    return (response.status, String::from_utf8_lossy(&response.body).into_owned());
                }
                Some(Answer::Later) => {
                    let next = self.shares.next_event().expect("a request that waits is an event");
                    self.advance(next);
                }
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        self.advance(self.now + ms);
    }

    fn now(&self) -> u64 {
        self.now - EPOCH
    }

    fn excuse(&self, _: u64) -> u64 {
        0
    }
}

/// Containers of our image, made by `tests/real/members`.
pub(super) struct Real {
    folder: PathBuf,
    began: Instant,
    /// How busy the machine has been since each of these moments.
    strains: Vec<(u64, Strain)>,
    lock: PathBuf,
    _temporary: tempfile::TempDir,
}

impl Real {
    pub(super) fn new() -> Self {
        // Built by `tests/run` already, or now.
        let built = Command::new(root().join("images/exhibitor/build.sh")).arg(image()).output().unwrap();
        assert!(built.status.success(), "no image: {}", String::from_utf8_lossy(&built.stderr));
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("members");
        let archive = String::from_utf8(built.stdout).unwrap();
        let strains = vec![(0, Strain::begin())];
        let real =
            Self { folder, began: Instant::now(), strains, lock: PathBuf::new(), _temporary: temporary };
        real.members("up", &[archive.trim()]);
        real
    }

    fn run(&self, verb: &str, args: &[&str]) -> Output {
        let script = root().join("tests/real/members");
        Command::new(script).arg(verb).arg(&self.folder).args(args).output().unwrap()
    }

    fn members(&self, verb: &str, args: &[&str]) {
        let output = self.run(verb, args);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "members {verb} {args:?}: {complaint}");
    }

    fn share(&self) -> PathBuf {
        self.folder.join("share")
    }

    /// The ends of the members' logs.
    pub(super) fn logs(&self) -> String {
        let mut all = String::new();
        for member in std::fs::read_dir(self.folder.join("members")).into_iter().flatten().flatten() {
            let log = std::fs::read(member.path().join("log")).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(40)..].join("\n");
            all.push_str(&format!("--- {}\n{end}\n", member.path().display()));
        }
        all
    }
}

/// The name that `tests/real/versions.env` gives the image.
fn image() -> String {
    let versions = std::fs::read_to_string(root().join("tests/real/versions.env")).unwrap();
    let line = versions.lines().find_map(|line| line.strip_prefix("EXHIBITOR_IMAGE="));
    line.expect("EXHIBITOR_IMAGE in versions.env").to_owned()
}

impl Drop for Real {
    fn drop(&mut self) {
        let output = self.run("down", &[]);
        if !output.status.success() {
            println!("members down: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap()
}

fn wall() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    millis(since)
}

fn cut(path: &Path, keep: impl Fn(usize) -> usize) {
    let text = std::fs::read(path).unwrap();
    std::fs::write(path, &text[..keep(text.len())]).unwrap();
}

impl World for Real {
    fn start(&mut self, member: u8) {
        self.members("start", &[&member.to_string()]);
    }

    fn stop(&mut self, member: u8) {
        self.members("stop", &[&member.to_string()]);
    }

    fn kill_zookeeper(&mut self, member: u8) {
        self.members("kill-zookeeper", &[&member.to_string()]);
    }

    fn damage(&mut self, damage: Damage) {
        let file = self.share().join("exhibitor.properties");
        match damage {
            Damage::LeaveLock => {
                self.lock = self.share().join(lock(wall()));
                std::fs::write(&self.lock, "198.18.0.99").unwrap();
            }
            Damage::RemoveLock => std::fs::remove_file(&self.lock).unwrap(),
            Damage::Empty => cut(&file, |_| 0),
            Damage::Cut => cut(&file, |length| length / 2),
        }
    }

    fn ask(&mut self, member: u8, method: &str, path: &str, body: &str) -> (u16, String) {
        let url = format!("http://{}:8181/exhibitor/v1/{path}", address(member));
        let mut args = vec!["--request", method, "--write-out", "\n%{http_code}", &url];
        if !body.is_empty() {
            args.extend(["--header", "Content-Type: application/json", "--data-binary", body]);
        }
        let output = self.run("ask", &args);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap_or(("", "0"));
        (status.parse().unwrap_or(0), body.to_owned())
    }

    fn pass(&mut self, ms: u64) {
        sleep(Duration::from_millis(ms));
        self.strains.push((self.now(), Strain::begin()));
    }

    fn now(&self) -> u64 {
        millis(self.began.elapsed())
    }

    fn excuse(&self, since: u64) -> u64 {
        // By the last mark before it: marks are as close as the looks at the members.
        let strain = self.strains.iter().rev().find(|(at, _)| *at <= since);
        strain.map_or(0, |(_, strain)| millis(strain.allows(Duration::ZERO)))
    }
}

/// The settings as `config/set` wants them: numbers as strings, and with these changes. Pairs go as an object.
pub(super) fn settings(state: &serde_json::Value, changes: &[(&str, &str)]) -> String {
    let mut config = state["config"].as_object().expect("settings").clone();
    for key in ["rollInProgress", "rollStatus", "rollPercentDone", "hostname", "serverId", "controlPanel"] {
        config.remove(key);
    }
    for value in config.values_mut() {
        if value.is_number() {
            *value = json!(value.to_string());
        }
    }
    for (key, value) in changes {
        let value = match *key {
            "zooCfgExtra" => {
                let pairs = value.split('&').filter_map(|pair| pair.split_once('='));
                json!(pairs.collect::<BTreeMap<_, _>>())
            }
            _ => json!(value),
        };
        config.insert((*key).to_owned(), value);
    }
    json!(config).to_string()
}
