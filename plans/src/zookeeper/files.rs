//! The files of a server, loaded as the server loads them when it starts.

use super::jute::Malformed;
use super::log::{Log, Tail};
use super::snapshot;
use super::transaction::Change;
use super::tree::Tree;
use super::zxid::Zxid;
use std::collections::BTreeMap;

/// One file of a data or log directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File<'a> {
    /// Its name without a directory.
    pub name: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
}

/// What the files of a server hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The nodes.
    pub tree: Tree,
    /// Time-outs in ms of the sessions that were not closed.
    pub sessions: BTreeMap<i64, i32>,
    /// The last transaction that is in it.
    pub zxid: Zxid,
    /// The snapshot it began with; none for a server that has written none yet.
    pub snapshot: Option<Zxid>,
    /// Transactions that were applied over it.
    pub transactions: u64,
    /// Where the newest log is cut or damaged, as `log.1: a cut record at byte 16`; none when it ends well. A server that
    /// is writing leaves a cut record now and then.
    pub tail: Option<String>,
}

/// Why files could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A file is not what its name says.
    #[error("{file}: {cause}")]
    File {
        /// Its name.
        file: String,
        /// What is wrong with it.
        cause: Malformed,
    },
    /// There are snapshots, and none is whole.
    #[error("no whole snapshot ({newest})")]
    NoSnapshot {
        /// What is wrong with the newest one.
        newest: String,
    },
    /// Transactions are missing: a log was removed, or is not here.
    #[error("transactions are missing between {after} and {next}, which {file} goes on with")]
    Gap {
        /// The last one before.
        after: Zxid,
        /// The first one after.
        next: Zxid,
        /// The log that has it.
        file: String,
    },
    /// A log in the middle has a record with another checksum.
    #[error("{file}: a damaged record at byte {offset}, and later logs go on after it")]
    Damaged {
        /// The log.
        file: String,
        /// Where the record begins.
        offset: usize,
    },
    /// The snapshot is of a time after the last log: logs are missing or were read too early.
    #[error("the snapshot has transaction {newest}, and the logs end at {last}")]
    Ahead {
        /// The newest transaction that the tree names.
        newest: Zxid,
        /// The last one that the logs have.
        last: Zxid,
    },
    /// A node has an ACL that neither snapshot nor logs tell.
    #[error("the ACL of {path} is not in the snapshot, and no transaction tells it")]
    NoAcl {
        /// The node.
        path: String,
    },
}

/// The transaction that a file is named by: `snapshot.10000002f` or `log.100000001`.
pub fn named(name: &str, prefix: &str) -> Option<Zxid> {
    let digits = name.strip_prefix(prefix)?.strip_prefix('.')?;
    digits.parse().ok()
}

/// Loads the newest whole snapshot, and applies the logs after it. Other files are passed over. A record that is cut ends its
/// log, and a damaged one the last log; no files are the tree of a new server.
///
/// Unlike a server, it refuses logs in which transactions are missing.
///
/// # Errors
/// When the files do not tell what the server had.
pub fn load(files: &[File<'_>]) -> Result<Loaded, Unreadable> {
    let of = |prefix: &str| -> BTreeMap<Zxid, File<'_>> {
        files.iter().filter_map(|file| Some((named(file.name, prefix)?, *file))).collect()
    };
    let logs = of("log");
    let mut loaded = begin(&of("snapshot"))?;
    // The last log that begins at or before the snapshot may go on after it.
    let first = logs.range(..=Zxid(loaded.zxid.0.saturating_add(1))).next_back().map(|(zxid, _)| *zxid);
    let needed: Vec<File<'_>> = logs.range(first.unwrap_or_default()..).map(|(_, file)| *file).collect();
    for (index, file) in needed.iter().enumerate() {
        let last = index + 1 == needed.len();
        apply(&mut loaded, file, last)?;
    }
    let newest = loaded.tree.newest();
    if newest > loaded.zxid {
        return Err(Unreadable::Ahead { newest, last: loaded.zxid });
    }
    match loaded.tree.nodes().iter().find(|(_, node)| node.acl.is_none()) {
        Some((path, _)) => Err(Unreadable::NoAcl { path: path.clone() }),
        None => Ok(loaded),
    }
}

/// The newest whole snapshot. A server of ZooKeeper 3.4 that has followed its leader from the first transaction on has none yet: its
/// logs begin with the empty tree, and one that begins later is seen to.
fn begin(snapshots: &BTreeMap<Zxid, File<'_>>) -> Result<Loaded, Unreadable> {
    let mut loaded = Loaded {
        tree: Tree::default(),
        sessions: BTreeMap::new(),
        zxid: Zxid(0),
        snapshot: None,
        transactions: 0,
        tail: None,
    };
    let mut newest = None;
    for (zxid, file) in snapshots.iter().rev() {
        match snapshot::read(file.bytes) {
            Ok(snapshot) => {
                loaded.tree = snapshot.tree;
                loaded.sessions = snapshot.sessions;
                loaded.zxid = *zxid;
                loaded.snapshot = Some(*zxid);
                return Ok(loaded);
            }
            Err(cause) => newest = newest.or(Some(format!("{}: {cause}", file.name))),
        }
    }
    match newest {
        None => Ok(loaded),
        Some(newest) => Err(Unreadable::NoSnapshot { newest }),
    }
}

/// Applies the transactions of one log that are newer than the tree.
fn apply(loaded: &mut Loaded, file: &File<'_>, last: bool) -> Result<(), Unreadable> {
    let refused = |cause| Unreadable::File { file: file.name.to_owned(), cause };
    let mut log = Log::open(file.bytes).map_err(refused)?;
    while let Some(transaction) = log.next().map_err(refused)? {
        if transaction.zxid <= loaded.zxid {
            continue;
        }
        if !transaction.zxid.follows(loaded.zxid) {
            let (after, next) = (loaded.zxid, transaction.zxid);
            return Err(Unreadable::Gap { after, next, file: file.name.to_owned() });
        }
        match &transaction.change {
            Change::CreateSession { timeout } => {
                loaded.sessions.insert(transaction.session, *timeout);
            }
            Change::CloseSession => {
                loaded.sessions.remove(&transaction.session);
            }
            Change::Create { .. }
            | Change::Delete { .. }
            | Change::SetData { .. }
            | Change::SetAcl { .. }
            | Change::Check { .. }
            | Change::Error { .. }
            | Change::Multi(_) => {}
        }
        loaded.tree.apply(&transaction);
        loaded.zxid = transaction.zxid;
        loaded.transactions += 1;
    }
    loaded.tail = match log.tail() {
        Some(Tail::Damaged(offset)) if !last => {
            return Err(Unreadable::Damaged { file: file.name.to_owned(), offset });
        }
        Some(Tail::Damaged(offset)) => Some(format!("{}: a damaged record at byte {offset}", file.name)),
        Some(Tail::Cut(offset)) => Some(format!("{}: a cut record at byte {offset}", file.name)),
        Some(Tail::Clean) | None => None,
    };
    Ok(())
}
