//! Real files, damaged ones, arbitrary bytes; and a model of a server that takes a snapshot while it works.

use super::log::{Log, Tail};
use super::transaction::{Change, Transaction};
use super::tree::split;
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use proptest::prelude::*;
use serde_json::Value;
use std::io::Read;
use std::path::Path;

const SNAPSHOT: &str = "snapshot.195b";
const FIRST: &str = "log.16dc";
const SECOND: &str = "log.1989";

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zookeeper");
    let packed = std::fs::read(folder.join(format!("{name}.gz"))).unwrap();
    let mut bytes = Vec::new();
    GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
    bytes
}

fn loaded(files: &[(&str, &[u8])]) -> Result<Loaded, Unreadable> {
    load(&files.iter().map(|(name, bytes)| File { name, bytes }).collect::<Vec<_>>())
}

fn whole() -> [(&'static str, Vec<u8>); 3] {
    [SNAPSHOT, FIRST, SECOND].map(|name| (name, fixture(name)))
}

fn with(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Result<Loaded, Unreadable> {
    let mut files = whole();
    change(&mut files.iter_mut().find(|file| file.0 == name).unwrap().1);
    loaded(&files.each_ref().map(|(name, bytes)| (*name, &bytes[..])))
}

/// Where the last record of a log ends.
fn end(log: &[u8]) -> usize {
    log.iter().rposition(|byte| *byte != 0).unwrap() + 1
}

#[test]
fn real_files_give_what_a_client_read() {
    let loaded = with(SNAPSHOT, |_| ()).unwrap();
    let read: Value = serde_json::from_slice(&fixture("tree.json")).unwrap();
    let read = read.as_object().unwrap();
    assert_eq!(loaded.tree.nodes().keys().collect::<Vec<_>>().len(), read.len());
    for (path, node) in loaded.tree.nodes() {
        let shown = serde_json::json!({
            "data": STANDARD.encode(node.data.as_deref().unwrap_or_default()),
            "acl": node.acl.as_deref().unwrap(),
            "czxid": node.stat.czxid.0, "mzxid": node.stat.mzxid.0,
            "ctime": node.stat.ctime, "mtime": node.stat.mtime,
            "version": node.stat.version, "cversion": node.cversion(), "aversion": node.stat.aversion,
            "ephemeralOwner": node.stat.ephemeral_owner, "pzxid": node.stat.pzxid.0,
        });
        assert_eq!(shown, read[path], "{path}");
    }
    let owners = loaded.tree.nodes().values().map(|node| node.stat.ephemeral_owner);
    let owner = owners.max().unwrap();
    assert!(loaded.sessions.contains_key(&owner), "the session of the one ephemeral node is open");
    assert_eq!(loaded.sessions.len(), 2);
    assert_eq!(loaded.tail, None);
}

/// The fixture is worth something: its snapshot alone is of no moment at all.
#[test]
fn a_fuzzy_snapshot_without_its_log_is_refused() {
    let bytes = fixture(SNAPSHOT);
    let alone = loaded(&[(SNAPSHOT, &bytes)]).unwrap_err();
    assert!(
        matches!(alone, Unreadable::Ahead { newest, last: Zxid(0x195b) } if newest.0 > 0x195b),
        "{alone}"
    );
}

#[test]
fn a_missing_log_is_noticed() {
    let (snapshot, second) = (fixture(SNAPSHOT), fixture(SECOND));
    let gap = loaded(&[(SNAPSHOT, &snapshot), (SECOND, &second)]).unwrap_err();
    assert_eq!(
        gap.to_string(),
        "transactions are missing between 0x195b and 0x1989, which log.1989 goes on with"
    );
    let none = loaded(&[(SECOND, &second)]).unwrap_err();
    assert!(none.to_string().starts_with("transactions are missing between 0x0 and 0x1989"), "{none}");
}

/// A log with one transaction, a session that begins.
fn log_of_one(zxid: i64) -> Vec<u8> {
    let mut record = [&7i64.to_be_bytes()[..], &1i32.to_be_bytes(), &zxid.to_be_bytes()].concat();
    record.extend([&0i64.to_be_bytes()[..], &(-10i32).to_be_bytes(), &10_000i32.to_be_bytes()].concat());
    let length = u32::try_from(record.len()).unwrap();
    let head =
        [b"ZKLG", &2u32.to_be_bytes()[..], &[0; 8], &super::adler::checksum(&record).to_be_bytes()].concat();
    [&head[..], &length.to_be_bytes(), &record, b"B"].concat()
}

/// What a member has on its disk that was there from the beginning: it has never had to write a snapshot.
#[test]
fn logs_from_the_first_transaction_on_need_no_snapshot() {
    let all = loaded(&[("log.100000001", &log_of_one(0x1_0000_0001))]).unwrap();
    assert_eq!((all.zxid, all.snapshot, all.sessions.get(&7)), (Zxid(0x1_0000_0001), None, Some(&10_000)));
    let late = loaded(&[("log.100000002", &log_of_one(0x1_0000_0002))]).unwrap_err();
    assert!(matches!(late, Unreadable::Gap { .. }), "{late}");
}

#[test]
fn no_files_are_a_new_server() {
    let new = loaded(&[("acceptedEpoch", b"3\n")]).unwrap();
    assert_eq!(new.tree, Tree::default());
    assert_eq!(new.zxid, Zxid(0));
}

#[test]
fn a_log_ends_at_a_cut_record() {
    let all = with(SNAPSHOT, |_| ()).unwrap();
    let end = end(&fixture(SECOND));
    for cut in 1..40 {
        let short = with(SECOND, |log| log.truncate(end - cut)).unwrap();
        assert_eq!(short.zxid.0, all.zxid.0 - 1);
        assert!(
            short.tail.as_ref().unwrap().starts_with("log.1989: a cut record at byte "),
            "{:?}",
            short.tail
        );
        let zeros = with(SECOND, |log| log[end - cut..].fill(0)).unwrap();
        assert_eq!((zeros.zxid, &zeros.tree), (short.zxid, &short.tree));
    }
}

#[test]
fn a_damaged_record_ends_the_last_log_and_refuses_an_earlier_one() {
    let all = with(SNAPSHOT, |_| ()).unwrap();
    let last = end(&fixture(SECOND)) - 2;
    let damaged = with(SECOND, |log| log[last] ^= 1).unwrap();
    assert_eq!(damaged.zxid.0, all.zxid.0 - 1);
    assert!(damaged.tail.unwrap().contains("a damaged record at byte"));
    let last = end(&fixture(FIRST)) - 2;
    let refused = with(FIRST, |log| log[last] ^= 1).unwrap_err();
    assert!(matches!(refused, Unreadable::Damaged { .. }), "{refused}");
}

#[test]
fn a_damaged_snapshot_is_passed_over_and_named_when_there_is_no_other() {
    let refused = with(SNAPSHOT, |snapshot| snapshot[400] ^= 1).unwrap_err();
    assert!(refused.to_string().starts_with("no whole snapshot (snapshot.195b: "), "{refused}");
    let refused = with(SNAPSHOT, |snapshot| snapshot.truncate(2000)).unwrap_err();
    assert!(refused.to_string().contains("the end of the data"), "{refused}");
}

#[test]
fn a_log_without_records_is_empty() {
    for (bytes, tail) in
        [(vec![], Tail::Clean), (vec![0; 64], Tail::Clean), (b"ZKLG\0\0".to_vec(), Tail::Cut(0))]
    {
        let mut log = Log::open(&bytes).unwrap();
        assert_eq!(log.next().unwrap(), None);
        assert_eq!(log.tail(), Some(tail));
    }
    assert!(Log::open(&[7; 16]).is_err());
}

#[test]
fn what_3_4_does_not_know_is_refused_by_name() {
    for (kind, word) in
        [(19, "a container node"), (21, "a node with a time to live"), (77, "a transaction of kind 77")]
    {
        let mut record = vec![0; 28];
        record.extend_from_slice(&i32::to_be_bytes(kind));
        let refused = transaction::read(&record).unwrap_err();
        assert!(refused.what.starts_with(word), "{refused}");
    }
}

#[test]
fn epochs_are_numbers() {
    assert_eq!(epoch::read(b"12\n"), Ok(12));
    for bad in ["", "x", "-1", "1 2"] {
        assert!(epoch::read(bad.as_bytes()).is_err(), "{bad:?}");
    }
}

#[test]
fn a_zxid_follows_within_its_epoch_or_begins_a_later_one() {
    let follows = |after: &str, before: &str| after.parse::<Zxid>().unwrap().follows(before.parse().unwrap());
    assert!(follows("0x100000002", "0x100000001"));
    assert!(follows("0x300000001", "0x100000007"));
    assert!(!follows("0x100000003", "0x100000001"));
    assert!(!follows("0x300000005", "0x100000007"));
    assert!(!follows("0x100000001", "0x200000001"));
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = snapshot::read(&bytes);
        let _ = transaction::read(&bytes);
        let _ = epoch::read(&bytes);
        if let Ok(mut log) = Log::open(&bytes) {
            while let Ok(Some(_)) = log.next() {}
        }
        let _ = loaded(&[("snapshot.0", &bytes), ("log.1", &bytes)]);
    }

    /// Also with a good head, which gets further.
    #[test]
    fn arbitrary_content_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let head = |magic: &[u8]| [magic, &[0, 0, 0, 2], &[255; 8], &bytes].concat();
        prop_assert!(snapshot::read(&head(b"ZKSN")).is_err());
        if let Ok(mut log) = Log::open(&head(b"ZKLG")) {
            while let Ok(Some(_)) = log.next() {}
            prop_assert!(log.tail().is_some());
        }
    }

    #[test]
    fn a_changed_byte_of_a_snapshot_is_noticed(at in 0_usize..1_000_000, bit in 0_u8..8) {
        let mut bytes = fixture(SNAPSHOT);
        // What stands behind the checksum, and the id of the database, which nobody reads, are not covered.
        let at = at % (bytes.len() - 5);
        bytes[at] ^= 1 << bit;
        prop_assert!(snapshot::read(&bytes).is_err());
    }

    /// A snapshot is taken node by node while transactions go on; with the log it gives what the server had at the end.
    #[test]
    fn a_fuzzy_snapshot_and_its_log_give_the_servers_tree(
        before in prop::collection::vec(request(), 0..40),
        during in prop::collection::vec(request(), 0..60),
        pace in prop::collection::vec(0_usize..6, 1..30),
        blind in any::<bool>(),
    ) {
        let mut server = Server::default();
        before.iter().for_each(|request| server.take(request));
        let start = server.zxid;
        let (mut requests, mut paces) = (during.iter(), pace.iter().cycle());
        let mut taken = Tree::default();
        let known = server.tree.clone();
        let mut paths = vec!["/".to_owned()];
        while let Some(path) = paths.pop() {
            let Some(mut node) = server.tree.nodes().get(&path).cloned() else { continue };
            let below = std::mem::take(&mut node.children);
            paths.extend(below.iter().rev().map(|name| format!("{}/{name}", path.trim_end_matches('/'))));
            if blind && !known.nodes().values().any(|old| old.acl == node.acl) {
                node.acl = None;
            }
            prop_assert!(taken.load(path, node));
            requests.by_ref().take(*paces.next().unwrap()).for_each(|request| server.take(request));
        }
        requests.for_each(|request| server.take(request));
        for transaction in server.log.iter().filter(|transaction| transaction.zxid > start) {
            taken.apply(transaction);
        }
        // A session's end does not say which nodes it took along. Those that the snapshot has no more leave their parent's
        // `pzxid` behind, in a real server as well.
        let lax = during.iter().any(|request| matches!(request, Request::Close(_)));
        let (taken, mut real) = (taken.nodes().clone(), server.tree.nodes().clone());
        for (path, node) in &taken {
            if lax && let Some(real) = real.get_mut(path) {
                prop_assert!(node.stat.pzxid <= real.stat.pzxid, "{}", path);
                real.stat.pzxid = node.stat.pzxid;
            }
        }
        prop_assert_eq!(taken, real);
    }
}

/// What a client asks for: three names deep, so that requests meet.
#[derive(Debug, Clone)]
enum Request {
    Create { path: String, session: i64, ephemeral: bool, sequential: bool, acl: i32 },
    Delete(String),
    SetData(String),
    SetAcl(String, i32),
    Close(i64),
    Both(Box<Request>, Box<Request>),
}

fn request() -> impl Strategy<Value = Request> {
    let path = || "(/[ab]){1,3}";
    let single = prop_oneof![
        4 => (path(), 1_i64..4, any::<bool>(), any::<bool>(), 1_i32..32).prop_map(
            |(path, session, ephemeral, sequential, acl)| Request::Create { path, session, ephemeral, sequential, acl }
        ),
        2 => path().prop_map(Request::Delete),
        2 => path().prop_map(Request::SetData),
        1 => (path(), 1_i32..32).prop_map(|(path, acl)| Request::SetAcl(path, acl)),
        1 => (1_i64..4).prop_map(Request::Close),
    ];
    let both =
        (single.clone(), single.clone()).prop_map(|(one, two)| Request::Both(Box::new(one), Box::new(two)));
    prop_oneof![9 => single, 1 => both]
}

/// The part of a server that checks a request and makes a transaction of it.
#[derive(Debug, Default)]
struct Server {
    tree: Tree,
    zxid: Zxid,
    log: Vec<Transaction>,
}

impl Server {
    fn take(&mut self, request: &Request) {
        self.zxid.0 += 1;
        let mut session = 9;
        let change = match request {
            Request::Both(one, two) => {
                let changes = vec![self.allow(one, &mut session), self.allow(two, &mut session)];
                // A real server checks the second against what the first will do. Two that don't meet need no such thing.
                let (one, two) = (target(one), target(two));
                let meet = one.is_none()
                    || two.is_none()
                    || one.zip(two).is_some_and(|(one, two)| {
                        one.starts_with(two)
                            || two.starts_with(one)
                            || split(one).map(|s| s.0) == split(two).map(|s| s.0)
                    });
                if meet { Change::Error { code: -101 } } else { Change::Multi(changes) }
            }
            Request::Create { .. }
            | Request::Delete(_)
            | Request::SetData(_)
            | Request::SetAcl(..)
            | Request::Close(_) => self.allow(request, &mut session),
        };
        let transaction = Transaction { session, zxid: self.zxid, time: self.zxid.0 * 10, change };
        self.tree.apply(&transaction);
        self.log.push(transaction);
    }

    fn allow(&self, request: &Request, owner: &mut i64) -> Change {
        let refused = Change::Error { code: -101 };
        let acl = |perms| vec![Acl { perms, scheme: "world".to_owned(), id: "anyone".to_owned() }];
        match request {
            Request::Create { path, session, ephemeral, sequential, acl: perms } => {
                let parent = self.tree.nodes().get(split(path).unwrap().0);
                let Some(parent) = parent.filter(|parent| parent.stat.ephemeral_owner == 0) else {
                    return refused;
                };
                let number = parent.stat.creates;
                let path = if *sequential { format!("{path}{number:010}") } else { path.clone() };
                if self.tree.nodes().contains_key(&path) {
                    return refused;
                }
                *owner = *session;
                let data = Some(self.zxid.0.to_be_bytes().to_vec());
                Change::Create {
                    path,
                    data,
                    acl: acl(*perms),
                    ephemeral: *ephemeral,
                    parent_creates: number + 1,
                }
            }
            Request::Delete(path) => match self.tree.nodes().get(path) {
                Some(node) if node.children.is_empty() => Change::Delete { path: path.clone() },
                Some(_) | None => refused,
            },
            Request::SetData(path) => self.tree.nodes().get(path).map_or(refused, |node| Change::SetData {
                path: path.clone(),
                data: Some(self.zxid.0.to_be_bytes().to_vec()),
                version: node.stat.version + 1,
            }),
            Request::SetAcl(path, perms) => self.tree.nodes().get(path).map_or(refused, |node| {
                Change::SetAcl { path: path.clone(), acl: acl(*perms), version: node.stat.aversion + 1 }
            }),
            Request::Close(session) => {
                *owner = *session;
                Change::CloseSession
            }
            Request::Both(..) => refused,
        }
    }
}

/// The path that a request names; none when it may change others.
fn target(request: &Request) -> Option<&str> {
    match request {
        Request::Create { path, ephemeral: false, .. } => Some(path),
        Request::Delete(path) | Request::SetData(path) | Request::SetAcl(path, _) => Some(path),
        Request::Create { .. } | Request::Close(_) | Request::Both(..) => None,
    }
}
