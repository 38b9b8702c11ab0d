//! ZooKeeper's protocol and files in virtual time: what its server promises about sessions, and what it leaves on disk.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

use crate::support::{Lab, SHARE, address};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Read as _;
use zkprov_sandbox::exhibitor::{Connected, Received, Znode};

const CREATE: i32 = 1;
const DELETE: i32 = 2;
const EXISTS: i32 = 3;
const SET_DATA: i32 = 5;
const PING: i32 = 11;
const MULTI: i32 = 14;
const CREATE_2: i32 = 15;
const CLOSE: i32 = -11;
const EPHEMERAL: i32 = 1;

/// Encodes as ZooKeeper's jute does.
#[derive(Default)]
struct Jute(Vec<u8>);

impl Jute {
    fn int(mut self, value: i32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn long(mut self, value: i64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        let mut jute = self.int(i32::try_from(bytes.len()).unwrap());
        jute.0.extend(bytes);
        jute
    }

    /// A create that anyone may do anything with.
    fn create(self, path: &str, data: &[u8], flags: i32) -> Self {
        self.bytes(path.as_bytes()).bytes(data).int(1).int(31).bytes(b"world").bytes(b"anyone").int(flags)
    }
}

fn int_at(frame: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(frame[at..at + 4].try_into().unwrap())
}

/// A client of one member.
struct Client {
    number: u64,
    session: i64,
    password: Vec<u8>,
}

impl Lab {
    fn dial(&mut self, member: usize) -> u64 {
        let number = self.ids.number();
        assert_eq!(self.shares.connect(&address(member), 2181, number), Connected::Open(number));
        number
    }

    /// Connects; the time-out that was granted, 0 when the session has expired, `None` when the server hangs up.
    fn attach(&mut self, member: usize, session: i64, password: &[u8], seen: i64) -> Option<(Client, i32)> {
        let number = self.dial(member);
        let hello = Jute::default().int(0).long(seen).int(10_000).long(session).bytes(password).0;
        let mut frames = match self.shares.receive(number, &hello, self.now) {
            Received::Answers(frames) | Received::Last(frames) => frames,
            Received::Later => panic!("a server that hangs"),
        };
        let frame = frames.pop()?;
        let session = i64::from_be_bytes(frame[8..16].try_into().unwrap());
        Some((Client { number, session, password: frame[20..36].to_vec() }, int_at(&frame, 4)))
    }

    fn client(&mut self, member: usize) -> Client {
        self.attach(member, 0, &[0; 16], 0).expect("a server that serves").0
    }

    /// Code of the answer, and its body.
    fn ask(&mut self, client: &Client, kind: i32, body: Jute) -> (i32, Vec<u8>) {
        let frame = [Jute::default().int(7).int(kind).0, body.0].concat();
        match self.shares.receive(client.number, &frame, self.now) {
            Received::Answers(mut frames) | Received::Last(mut frames) => {
                let frame = frames.pop().expect("an answer");
                (int_at(&frame, 12), frame[16..].to_vec())
            }
            Received::Later => panic!("a server that hangs"),
        }
    }

    fn tree(&self, member: usize) -> Option<&Znode> {
        self.shares.read(&address(member), "/e")
    }
}

#[test]
fn a_silent_session_expires_and_one_that_is_heard_does_not() {
    let mut lab = Lab::serving(3);
    let (silent, heard) = (lab.client(1), lab.client(2));
    assert_eq!(lab.ask(&silent, CREATE, Jute::default().create("/e", b"", EPHEMERAL)).0, 0);
    assert_eq!(lab.tree(3).unwrap().owner, silent.session);
    for _ in 0..3 {
        lab.advance(5_000);
        assert_eq!(lab.ask(&heard, PING, Jute::default()).0, 0);
    }
    assert_eq!(lab.tree(3), None);
    assert_eq!(lab.shares.fetch(silent.number), None, "its connection is cut");
    let (_, timeout) = lab.attach(3, silent.session, &silent.password, 0).unwrap();
    assert_eq!(timeout, 0, "it has expired everywhere");
    assert!(lab.shares.fetch(heard.number).is_some());
}

#[test]
fn a_session_is_taken_up_elsewhere_by_its_password_only() {
    let mut lab = Lab::serving(3);
    let client = lab.client(1);
    lab.ask(&client, CREATE, Jute::default().create("/e", b"", EPHEMERAL));
    assert_eq!(lab.attach(2, client.session, &[1; 16], 0).unwrap().1, 0);
    let (moved, timeout) = lab.attach(2, client.session, &client.password, 0).unwrap();
    assert_eq!((moved.session, timeout), (client.session, 10_000));
    assert_eq!(lab.shares.fetch(client.number), None, "a session has one connection");
    // A client that has seen more than a server is not served by it.
    assert!(lab.attach(3, 0, &[0; 16], i64::MAX).is_none());
    assert_eq!(lab.ask(&moved, CLOSE, Jute::default()).0, 0);
    assert_eq!(lab.tree(1), None);
}

#[test]
fn without_a_quorum_clients_are_sent_away_and_sessions_outlive_it() {
    let mut lab = Lab::serving(3);
    let client = lab.client(1);
    lab.ask(&client, CREATE, Jute::default().create("/e", b"", EPHEMERAL));
    for member in [2, 3] {
        lab.shares.kill_zookeeper(&address(member));
    }
    assert_eq!(lab.shares.fetch(client.number), None);
    assert!(lab.attach(1, 0, &[0; 16], 0).is_none());
    lab.until(60_000, |lab| lab.shares.healthy_voters(SHARE) == 3);
    let (_, timeout) = lab.attach(1, client.session, &client.password, 0).unwrap();
    assert_eq!(timeout, 10_000, "the new leader counts from its election");
}

#[test]
fn a_server_that_hangs_answers_when_it_goes_on() {
    let mut lab = Lab::serving(3);
    let client = lab.client(1);
    lab.shares.hang(&address(1));
    let ping = Jute::default().int(-2).int(PING).0;
    assert_eq!(lab.shares.receive(client.number, &ping, lab.now), Received::Later);
}

#[test]
fn a_transaction_is_all_or_nothing_and_numbers_what_failed() {
    let mut lab = Lab::serving(1);
    let client = lab.client(1);
    let step = |jute: Jute, kind: i32| {
        Jute([jute.0, Jute::default().int(kind).0, vec![0], Jute::default().int(-1).0].concat())
    };
    let end =
        |jute: Jute| Jute([jute.0, Jute::default().int(-1).0, vec![1], Jute::default().int(-1).0].concat());
    let made = |jute, path: &str| step(jute, CREATE).create(path, b"", 0);
    let both = end(made(made(Jute::default(), "/e"), "/e/f"));
    let (code, body) = lab.ask(&client, MULTI, both);
    assert_eq!((code, int_at(&body, 0), &body[13..15]), (0, CREATE, &b"/e"[..]));
    let (code, body) = lab.ask(&client, MULTI, end(made(made(made(Jute::default(), "/g"), "/e"), "/h")));
    // Before the one that failed: no error. After it: not tried.
    let codes: Vec<i32> = body.chunks(13).take(3).map(|part| int_at(part, 9)).collect();
    assert_eq!((code, codes), (0, vec![0, -110, -2]));
    assert_eq!(lab.shares.read(&address(1), "/g"), None);
    assert_eq!(lab.ask(&client, CREATE_2, Jute::default().create("/i", b"", 0)).0, -6);
}

/// Contents of a member's files of a kind, in the order of their transactions.
fn files(lab: &Lab, member: usize, directory: &str, kind: &str) -> Vec<Vec<u8>> {
    let directory = format!("/opt/zookeeper/{directory}");
    let command = ["tar", "-C", &directory, "-cf", "-", "version-2"].map(str::to_owned);
    let ended = lab.shares.run(&address(member), &command);
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(ended.stdout.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        if let Some((_, zxid)) = path.split_once(kind) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            found.insert(u64::from_str_radix(zxid, 16).unwrap(), bytes);
        }
    }
    found.into_values().collect()
}

/// `Node count` of a member's `srvr`, which counts the root twice.
fn node_count(lab: &mut Lab, member: usize) -> usize {
    let number = lab.dial(member);
    let text = lab.shares.four_letters(number, "srvr", lab.now).unwrap();
    text.lines().find_map(|line| line.strip_prefix("Node count: ")).unwrap().parse::<usize>().unwrap() - 1
}

/// The tree that a member's files hold: the snapshot, and the transactions after it.
fn reread(lab: &Lab, member: usize) -> BTreeMap<String, (Vec<u8>, u64)> {
    let snapshots = files(lab, member, "snapshots", "snapshot.");
    let mut reader = Reader(&snapshots[0]);
    assert_eq!(reader.take(4), b"ZKSN");
    reader.take(12);
    for _ in 0..reader.int() {
        reader.take(12);
    }
    for _ in 0..reader.int() {
        reader.long();
        for _ in 0..reader.int() {
            reader.int();
            reader.bytes();
            reader.bytes();
        }
    }
    let mut tree = BTreeMap::new();
    loop {
        let path = reader.string();
        if path == "/" {
            break;
        }
        let (data, _acl) = (reader.bytes().to_vec(), reader.long());
        reader.take(32);
        let version = u64::try_from(reader.int()).unwrap();
        reader.take(4 + 4 + 8 + 8);
        tree.insert(if path.is_empty() { "/".to_owned() } else { path }, (data, version));
    }
    reader.long();
    assert_eq!((reader.string().as_str(), reader.0.len()), ("/", 0));
    for log in files(lab, member, "transactions", "log.") {
        let mut reader = Reader(&log);
        assert_eq!((reader.take(4), reader.take(12).len()), (&b"ZKLG"[..], 12));
        while reader.long() != 0 {
            let mut entry = Reader(reader.bytes());
            assert_eq!(reader.take(1), b"B");
            entry.take(28);
            match entry.int() {
                CREATE => {
                    let (path, data) = (entry.string(), entry.bytes().to_vec());
                    tree.entry(path).or_insert((data, 0));
                }
                SET_DATA => {
                    let (path, data, version) = (entry.string(), entry.bytes().to_vec(), entry.int());
                    tree.entry(path).and_modify(|node| *node = (data, u64::try_from(version).unwrap()));
                }
                DELETE => {
                    tree.remove(&entry.string());
                }
                _ => {}
            }
        }
    }
    tree
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn int(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    fn long(&mut self) -> i64 {
        i64::from_be_bytes(self.take(8).try_into().unwrap())
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = self.int();
        self.take(usize::try_from(length).unwrap())
    }

    fn string(&mut self) -> String {
        String::from_utf8(self.bytes().to_vec()).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever clients did: what the files of a member give back is what the member serves.
    #[test]
    fn files_hold_what_the_member_serves(
        steps in prop::collection::vec((0..4usize, 0..6usize, 0..3i32, prop::collection::vec(any::<u8>(), 0..9)), 1..260),
    ) {
        let mut lab = Lab::serving(3);
        let client = lab.client(2);
        for (kind, name, flags, data) in &steps {
            let path = format!("/{}", ["a", "b", "c", "a/x", "b/y", "a/x/z"][*name]);
            let path = path.as_str();
            match kind {
                0 | 1 => lab.ask(&client, CREATE, Jute::default().create(path, data, *flags)),
                2 => lab.ask(&client, SET_DATA, Jute::default().bytes(path.as_bytes()).bytes(data).int(-1)),
                _ => lab.ask(&client, DELETE, Jute::default().bytes(path.as_bytes()).int(-1)),
            };
        }
        let (code, _) = lab.ask(&client, EXISTS, Jute(([Jute::default().bytes(b"/").0, vec![0]]).concat()));
        prop_assert_eq!(code, 0);
        for member in 1..=3 {
            for (path, (data, version)) in reread(&lab, member) {
                let node = lab.shares.read(&address(member), &path).expect("a znode of the files");
                prop_assert_eq!((&node.data, node.version), (&data, version));
            }
            prop_assert_eq!(reread(&lab, member).len(), node_count(&mut lab, member));
        }
    }
}
