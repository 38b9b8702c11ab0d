//! ZooKeeper's data: the tree of znodes, sessions, transaction ids, and the log that followers are synchronised from.

use super::shared::Map;
use super::tree::Tree;
use super::zookeeper::acl::{self, Acl};
use crate::api::Time;
use crate::table::Rows;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many transactions a server keeps to bring a follower up to date without a snapshot.
const COMMITTED_LOG: usize = 500;
/// How many transactions a server logs before it takes the next snapshot. ZooKeeper's own default is 100,000; here it
/// has to stay below [`COMMITTED_LOG`], from which the log files are written.
const SNAPSHOT_AFTER: usize = 200;

/// One znode.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Znode {
    /// Content.
    pub data: Vec<u8>,
    /// Transaction that created it.
    pub czxid: u64,
    /// Transaction that last changed its content.
    pub mzxid: u64,
    /// Transaction that last changed its children.
    pub pzxid: u64,
    /// Creation, ms since the epoch.
    pub ctime: Time,
    /// Last change of content, ms since the epoch.
    pub mtime: Time,
    /// Changes of content.
    pub version: u64,
    /// Children ever created, as ZooKeeper keeps it; what it shows counts deletions as well ([`Znode::shown_cversion`]).
    pub cversion: u64,
    /// Changes of the access control list.
    #[serde(default)]
    pub aversion: u64,
    /// The session that an ephemeral znode goes with; 0 for any other.
    #[serde(default)]
    pub owner: i64,
    /// Who may do what; empty is anyone anything.
    #[serde(default)]
    pub acl: Vec<Acl>,
}

impl Znode {
    /// `cversion` of a stat: changes of children, with so many of them there now.
    #[must_use]
    pub fn shown_cversion(&self, children: usize) -> i64 {
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        count(self.cversion.saturating_mul(2)) - i64::try_from(children).unwrap_or(i64::MAX)
    }

    /// The access control list, written out.
    pub(super) fn access(&self) -> Vec<Acl> {
        if self.acl.is_empty() { acl::open() } else { self.acl.clone() }
    }
}

/// What a transaction does. Versions are those that it leaves behind, so that it can be carried out twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Operation {
    /// An ephemeral znode belongs to the transaction's session.
    Create {
        path: String,
        data: Vec<u8>,
        #[serde(default)]
        acl: Vec<Acl>,
        #[serde(default)]
        ephemeral: bool,
        /// `cversion` of the parent afterwards.
        #[serde(default)]
        parent_cversion: u64,
    },
    SetData {
        path: String,
        data: Vec<u8>,
        #[serde(default)]
        version: u64,
    },
    Delete {
        path: String,
    },
    SetAcl {
        path: String,
        acl: Vec<Acl>,
        version: u64,
    },
    /// Part of a `Multi` only.
    Check {
        path: String,
        version: i32,
    },
    CreateSession {
        /// Milliseconds.
        timeout: u32,
    },
    /// Takes the session's ephemeral znodes with it.
    CloseSession,
    Multi(Vec<Operation>),
    /// A write that was refused takes a transaction id, too.
    Error(i32),
}

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Transaction {
    pub(super) zxid: u64,
    pub(super) time: Time,
    /// The session that asked for it, and its number for it; 0 for Exhibitor's own.
    #[serde(default)]
    pub(super) session: i64,
    #[serde(default)]
    pub(super) cxid: i32,
    pub(super) operation: Operation,
}

/// What a transaction did to a tree, for those who watch it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    Created(String),
    Changed(String),
    Deleted(String),
}

/// The tree and the sessions as a snapshot keeps them. It holds of the tree only what has changed since.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Snapshot {
    /// Last transaction in it.
    pub(super) zxid: u64,
    pub(super) sessions: BTreeMap<i64, u32>,
    /// The znodes that were made, changed or removed since, as they were; `None` for one that was not there.
    before: Map<Arc<str>, Option<Arc<Znode>>>,
}

impl Snapshot {
    /// The tree as it was, of what the tree is now.
    pub(super) fn tree(&self, now: &Tree) -> Tree {
        let mut tree = now.clone();
        for (path, node) in self.before.iter() {
            match node {
                Some(node) => tree.insert(path, Arc::clone(node)),
                None => tree.remove(path),
            };
        }
        tree
    }
}

/// One server's copy of the data. It lives as long as the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Data {
    /// `currentEpoch`: of the last leader followed.
    pub(super) epoch: u64,
    /// `acceptedEpoch`: the last that was promised to a leader.
    #[serde(default)]
    pub(super) accepted_epoch: u64,
    /// Last transaction processed: epoch in the upper half, counter in the lower.
    pub(super) zxid: u64,
    pub(super) nodes: Tree,
    /// Sessions that are open, with their time-outs in ms.
    #[serde(default)]
    pub(super) sessions: BTreeMap<i64, u32>,
    /// The newest transactions, by their ids.
    pub(super) log: Map<u64, Arc<Transaction>>,
    /// The newest snapshot on the disk; none before the first start.
    #[serde(default)]
    pub(super) snapshot: Option<Snapshot>,
    /// Transactions up to this one came in a snapshot from a leader: they are in no log file of this server.
    #[serde(default)]
    pub(super) received: u64,
}

impl Default for Data {
    fn default() -> Self {
        let mut nodes = Tree::default();
        for path in ["/", "/zookeeper", "/zookeeper/quota"] {
            nodes.insert(path, Arc::default());
        }
        Self {
            epoch: 0,
            accepted_epoch: 0,
            zxid: 0,
            nodes,
            sessions: BTreeMap::new(),
            log: Map::default(),
            snapshot: None,
            received: 0,
        }
    }
}

/// Path of the parent; `None` for the root.
pub(super) fn parent(path: &str) -> Option<&str> {
    match path.rsplit_once('/') {
        Some(("", "")) | None => None,
        Some(("", _)) => Some("/"),
        Some((parent, _)) => Some(parent),
    }
}

impl Data {
    /// Nodes as `srvr` counts them: the root stands twice in ZooKeeper's tree.
    pub(super) fn node_count(&self) -> usize {
        self.nodes.len() + 1
    }

    /// What is kept row by row, under the owner's name.
    pub(super) fn tables(&mut self, owner: &str, show: &mut dyn FnMut(&str, &mut dyn Rows)) {
        show(&format!("znodes/{owner}"), &mut self.nodes);
        show(&format!("transactions/{owner}"), &mut self.log);
        if let Some(snapshot) = &mut self.snapshot {
            show(&format!("snapshot/{owner}"), &mut snapshot.before);
        }
    }

    /// Nothing of it is stored: the data has got another owner.
    pub(super) fn forget_known(&mut self) {
        self.nodes.forget_known();
        self.log.forget_known();
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.before.forget_known();
        }
    }

    /// The operation that makes a znode open to anyone.
    pub(super) fn creation(&self, path: &str, data: &[u8]) -> Operation {
        Operation::Create {
            path: path.to_owned(),
            data: data.to_vec(),
            acl: Vec::new(),
            ephemeral: false,
            parent_cversion: self.next_cversion(path),
        }
    }

    /// The operation that sets a znode's content.
    pub(super) fn change(&self, path: &str, data: &[u8]) -> Operation {
        let version = self.nodes.get(path).map_or(0, |node| node.version) + 1;
        Operation::SetData { path: path.to_owned(), data: data.to_vec(), version }
    }

    /// `cversion` of a znode's parent once the znode is made.
    pub(super) fn next_cversion(&self, path: &str) -> u64 {
        parent(path).and_then(|parent| self.nodes.get(parent)).map_or(0, |node| node.cversion) + 1
    }

    /// Carries out a transaction and logs it; returns what became of the tree. One that does not fit the tree (a
    /// replica that has silently diverged) only moves the transaction id, as in ZooKeeper.
    pub(super) fn apply(&mut self, transaction: &Arc<Transaction>) -> Vec<Event> {
        let mut events = Vec::new();
        self.carry_out(transaction, &transaction.operation, &mut events);
        self.zxid = transaction.zxid;
        self.log.insert(transaction.zxid, Arc::clone(transaction));
        if self.log.len() > COMMITTED_LOG
            && let Some(oldest) = self.log.first().map(|(zxid, _)| *zxid)
        {
            self.log.remove(&oldest);
        }
        let saved = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.zxid);
        if self.log.from(&(saved + 1)).count() >= SNAPSHOT_AFTER {
            self.save();
        }
        events
    }

    /// Writes a snapshot.
    pub(super) fn save(&mut self) {
        let snapshot = self.snapshot.get_or_insert_default();
        snapshot.zxid = self.zxid;
        snapshot.sessions.clone_from(&self.sessions);
        snapshot.before.take_over(&Map::default());
    }

    /// The first and the last transaction in the log.
    pub(super) fn logged(&self) -> Option<(&Transaction, &Transaction)> {
        let ((_, first), (_, last)) = self.log.first().zip(self.log.last())?;
        Some((first, last))
    }

    /// Lets the snapshot keep a znode as it is, before its first change since.
    fn keep(&mut self, path: &str) {
        if let Some(snapshot) = &mut self.snapshot
            && snapshot.before.get(path).is_none()
        {
            snapshot.before.insert(Arc::from(path), self.nodes.shared(path).cloned());
        }
    }

    fn put(&mut self, path: &str, node: Znode) {
        self.keep(path);
        self.nodes.insert(path, Arc::new(node));
    }

    fn edit(&mut self, path: &str, change: impl FnOnce(&mut Znode)) -> bool {
        if !self.nodes.contains_key(path) {
            return false;
        }
        self.keep(path);
        self.nodes.update(path, change)
    }

    /// Does to the tree what an operation of a transaction says, without logging it.
    pub(super) fn carry_out(
        &mut self,
        transaction: &Transaction,
        operation: &Operation,
        events: &mut Vec<Event>,
    ) {
        let Transaction { zxid, time, session, .. } = transaction;
        match operation {
            Operation::Create { path, data, acl, ephemeral, parent_cversion } => {
                let node = Znode {
                    data: data.clone(),
                    czxid: *zxid,
                    mzxid: *zxid,
                    pzxid: *zxid,
                    ctime: *time,
                    mtime: *time,
                    owner: if *ephemeral { *session } else { 0 },
                    acl: acl.clone(),
                    ..Znode::default()
                };
                if self.create(path, node, *parent_cversion) {
                    events.push(Event::Created(path.clone()));
                }
            }
            Operation::SetData { path, data, version } => {
                let changed = self.edit(path, |node| {
                    node.data.clone_from(data);
                    node.version = *version;
                    node.mzxid = *zxid;
                    node.mtime = *time;
                });
                if changed {
                    events.push(Event::Changed(path.clone()));
                }
            }
            Operation::Delete { path } => self.delete(path, *zxid, events),
            Operation::SetAcl { path, acl, version } => {
                self.edit(path, |node| {
                    node.acl.clone_from(acl);
                    node.aversion = *version;
                });
            }
            Operation::CreateSession { timeout } => {
                self.sessions.insert(*session, *timeout);
            }
            Operation::CloseSession => {
                self.sessions.remove(session);
                for path in self.nodes.ephemerals(*session) {
                    self.delete(&path, *zxid, events);
                }
            }
            Operation::Multi(operations) => {
                if !operations.iter().any(|operation| matches!(operation, Operation::Error(_))) {
                    for operation in operations {
                        self.carry_out(transaction, operation, events);
                    }
                }
            }
            Operation::Check { .. } | Operation::Error(_) => {}
        }
    }

    fn create(&mut self, path: &str, node: Znode, parent_cversion: u64) -> bool {
        if self.nodes.contains_key(path) {
            return false;
        }
        let changed = |above: &mut Znode| {
            above.cversion = parent_cversion;
            above.pzxid = node.czxid;
        };
        if !parent(path).is_some_and(|parent| self.edit(parent, changed)) {
            return false;
        }
        self.put(path, node);
        true
    }

    fn delete(&mut self, path: &str, zxid: u64, events: &mut Vec<Event>) {
        if self.nodes.child_count(path) > 0 || !self.nodes.contains_key(path) {
            return;
        }
        self.keep(path);
        self.nodes.remove(path);
        if let Some(parent) = parent(path) {
            self.edit(parent, |above| above.pzxid = zxid);
        }
        events.push(Event::Deleted(path.to_owned()));
    }

    /// Brings a follower up to the leader: `DIFF` when the leader's log reaches back to the follower's last
    /// transaction, else a snapshot (which stands for `TRUNC` as well). A `DIFF` does not look at what the follower
    /// holds, so data written to a stand-alone server survives in it unseen.
    pub(super) fn synchronise(&mut self, leader: &Self) {
        let ends = leader.logged().map(|(first, last)| (first.zxid, last.zxid));
        match ends {
            Some((oldest, newest)) if (oldest..=newest).contains(&self.zxid) => {
                for (_, transaction) in leader.log.from(&(self.zxid + 1)) {
                    self.apply(transaction);
                }
            }
            Some(_) | None => {
                self.nodes.take_over(&leader.nodes);
                self.sessions.clone_from(&leader.sessions);
                self.log.take_over(&leader.log);
                self.zxid = ends.map_or(0, |(_, newest)| newest);
                self.received = self.zxid;
            }
        }
        self.epoch = leader.epoch;
        self.accepted_epoch = leader.epoch;
        self.save();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(data: &mut Data, zxid: u64, path: &str) {
        let operation = data.creation(path, b"x");
        data.apply(&Arc::new(Transaction { zxid, time: 1, session: 0, cxid: 0, operation }));
    }

    #[test]
    fn an_empty_tree_counts_as_zookeepers_does() {
        let data = Data::default();
        assert_eq!((data.node_count(), data.nodes.bytes()), (4, 27));
        assert_eq!(data.nodes.children("/").collect::<Vec<_>>(), ["zookeeper"]);
        assert_eq!(data.nodes.children("/zookeeper").collect::<Vec<_>>(), ["quota"]);
    }

    #[test]
    fn an_empty_follower_gets_the_leaders_snapshot() {
        let (mut leader, mut follower) = (Data::default(), Data::default());
        write(&mut leader, 1, "/a");
        follower.synchronise(&leader);
        assert_eq!(follower.nodes, leader.nodes);
    }

    /// Keys of the rows that have changed.
    fn rows(data: &mut Data) -> [Vec<String>; 3] {
        let mut all = Vec::new();
        data.tables("one", &mut |_, table| {
            all.push(table.changes().unwrap().into_iter().map(|(key, _)| key).collect());
        });
        all.try_into().unwrap()
    }

    /// Whatever is done after it, a snapshot is the tree as it was; and the store is told of what was done only.
    #[test]
    fn a_snapshot_is_the_tree_at_its_transaction() {
        let mut data = Data::default();
        for number in 1..=1_000 {
            write(&mut data, number, &format!("/a{number}"));
        }
        data.save();
        let (then, zxid) = (data.nodes.clone(), data.zxid);
        rows(&mut data);
        let change = data.change("/a1", b"changed");
        let session = 7;
        let own = Operation::Create {
            path: "/own".to_owned(),
            data: Vec::new(),
            acl: Vec::new(),
            ephemeral: true,
            parent_cversion: 1,
        };
        let ended = [Operation::CreateSession { timeout: 1 }, own, Operation::CloseSession];
        let delete = Operation::Delete { path: "/a2".to_owned() };
        let operations = ended.into_iter().chain([change, delete, data.creation("/new", b"")]);
        for (zxid, operation) in (zxid + 1..).zip(operations) {
            data.apply(&Arc::new(Transaction { zxid, time: 1, session, cxid: 0, operation }));
        }
        let snapshot = data.snapshot.clone().expect("a snapshot");
        assert_eq!((snapshot.zxid, snapshot.tree(&data.nodes)), (zxid, then));
        let [znodes, log, snapshot] = rows(&mut data);
        assert_eq!(znodes, ["/", "/a1", "/a2", "/new"], "/own came and went");
        assert_eq!(snapshot[1..], ["/", "/a1", "/a2", "/new", "/own"]);
        assert_eq!(log.len(), 2 * 6, "as many are dropped from the log as are added");
    }

    #[test]
    fn stand_alone_servers_that_join_keep_different_data() {
        let (mut leader, mut follower) = (Data::default(), Data::default());
        write(&mut follower, 1, "/customer-a");
        write(&mut leader, 1, "/customer-b");
        write(&mut leader, 2, "/later");
        follower.synchronise(&leader);
        assert!(follower.nodes.contains_key("/customer-a") && !follower.nodes.contains_key("/customer-b"));
        assert!(follower.nodes.contains_key("/later"));
    }
}
