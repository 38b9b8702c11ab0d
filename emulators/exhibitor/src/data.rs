//! ZooKeeper's data: the tree of znodes, sessions, transaction ids, and the log that followers are synchronised from.

use super::zookeeper::acl::{self, Acl};
use crate::api::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

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

/// The tree and the sessions as a snapshot keeps them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Snapshot {
    /// Last transaction in it.
    pub(super) zxid: u64,
    pub(super) nodes: BTreeMap<String, Znode>,
    pub(super) sessions: BTreeMap<i64, u32>,
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
    pub(super) nodes: BTreeMap<String, Znode>,
    /// Sessions that are open, with their time-outs in ms.
    #[serde(default)]
    pub(super) sessions: BTreeMap<i64, u32>,
    pub(super) log: VecDeque<Transaction>,
    /// The newest snapshot on the disk; none before the first start.
    #[serde(default)]
    pub(super) snapshot: Option<Snapshot>,
    /// Transactions up to this one came in a snapshot from a leader: they are in no log file of this server.
    #[serde(default)]
    pub(super) received: u64,
}

impl Default for Data {
    fn default() -> Self {
        let nodes = ["/", "/zookeeper", "/zookeeper/quota"].map(|path| (path.to_owned(), Znode::default()));
        Self {
            epoch: 0,
            accepted_epoch: 0,
            zxid: 0,
            nodes: BTreeMap::from(nodes),
            sessions: BTreeMap::new(),
            log: VecDeque::new(),
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
    /// Names of the children, sorted.
    pub(super) fn children(&self, path: &str) -> Vec<String> {
        let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        let below = self.nodes.range(prefix.clone()..);
        below
            .map_while(|(path, _)| path.strip_prefix(&prefix))
            .filter(|rest| !rest.is_empty() && !rest.contains('/'))
            .map(str::to_owned)
            .collect()
    }

    /// Nodes as `srvr` counts them: the root stands twice in ZooKeeper's tree.
    pub(super) fn node_count(&self) -> usize {
        self.nodes.len() + 1
    }

    /// `zk_approximate_data_size`: paths and contents, the root's path being empty.
    pub(super) fn size(&self) -> usize {
        self.nodes.iter().map(|(path, node)| node.data.len() + if path == "/" { 1 } else { path.len() }).sum()
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
    pub(super) fn apply(&mut self, transaction: &Transaction) -> Vec<Event> {
        let mut events = Vec::new();
        self.carry_out(transaction, &transaction.operation, &mut events);
        self.zxid = transaction.zxid;
        self.log.push_back(transaction.clone());
        if self.log.len() > COMMITTED_LOG {
            self.log.pop_front();
        }
        let saved = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.zxid);
        if self.log.iter().rev().take_while(|logged| logged.zxid > saved).count() >= SNAPSHOT_AFTER {
            self.save();
        }
        events
    }

    /// Writes a snapshot.
    pub(super) fn save(&mut self) {
        let (nodes, sessions) = (self.nodes.clone(), self.sessions.clone());
        self.snapshot = Some(Snapshot { zxid: self.zxid, nodes, sessions });
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
                if let Some(node) = self.nodes.get_mut(path) {
                    node.data.clone_from(data);
                    node.version = *version;
                    node.mzxid = *zxid;
                    node.mtime = *time;
                    events.push(Event::Changed(path.clone()));
                }
            }
            Operation::Delete { path } => self.delete(path, *zxid, events),
            Operation::SetAcl { path, acl, version } => {
                if let Some(node) = self.nodes.get_mut(path) {
                    node.acl.clone_from(acl);
                    node.aversion = *version;
                }
            }
            Operation::CreateSession { timeout } => {
                self.sessions.insert(*session, *timeout);
            }
            Operation::CloseSession => {
                self.sessions.remove(session);
                for path in self.ephemerals(*session) {
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

    /// Ephemeral znodes of all sessions.
    pub(super) fn ephemeral_count(&self) -> usize {
        self.nodes.values().filter(|node| node.owner != 0).count()
    }

    /// Paths of a session's ephemeral znodes.
    pub(super) fn ephemerals(&self, session: i64) -> Vec<String> {
        let owned = self.nodes.iter().filter(|(_, node)| node.owner == session && session != 0);
        owned.map(|(path, _)| path.clone()).collect()
    }

    fn create(&mut self, path: &str, node: Znode, parent_cversion: u64) -> bool {
        if self.nodes.contains_key(path) {
            return false;
        }
        let Some(above) = parent(path).and_then(|parent| self.nodes.get_mut(parent)) else { return false };
        above.cversion = parent_cversion;
        above.pzxid = node.czxid;
        self.nodes.insert(path.to_owned(), node);
        true
    }

    fn delete(&mut self, path: &str, zxid: u64, events: &mut Vec<Event>) {
        if !self.children(path).is_empty() || self.nodes.remove(path).is_none() {
            return;
        }
        if let Some(above) = parent(path).and_then(|parent| self.nodes.get_mut(parent)) {
            above.pzxid = zxid;
        }
        events.push(Event::Deleted(path.to_owned()));
    }

    /// Brings a follower up to the leader: `DIFF` when the leader's log reaches back to the follower's last
    /// transaction, else a snapshot (which stands for `TRUNC` as well). A `DIFF` does not look at what the follower
    /// holds, so data written to a stand-alone server survives in it unseen.
    pub(super) fn synchronise(&mut self, leader: &Self) {
        let oldest = leader.log.front().map(|transaction| transaction.zxid);
        let newest = leader.log.back().map(|transaction| transaction.zxid);
        match (oldest, newest) {
            (Some(oldest), Some(newest)) if (oldest..=newest).contains(&self.zxid) => {
                let missing: Vec<Transaction> =
                    leader.log.iter().filter(|transaction| transaction.zxid > self.zxid).cloned().collect();
                for transaction in missing {
                    self.apply(&transaction);
                }
            }
            (Some(_) | None, Some(_) | None) => {
                self.nodes.clone_from(&leader.nodes);
                self.sessions.clone_from(&leader.sessions);
                self.log.clone_from(&leader.log);
                self.zxid = newest.unwrap_or(0);
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
        data.apply(&Transaction { zxid, time: 1, session: 0, cxid: 0, operation });
    }

    #[test]
    fn an_empty_tree_counts_as_zookeepers_does() {
        let data = Data::default();
        assert_eq!((data.node_count(), data.size()), (4, 27));
        assert_eq!(data.children("/"), vec!["zookeeper"]);
        assert_eq!(data.children("/zookeeper"), vec!["quota"]);
    }

    #[test]
    fn an_empty_follower_gets_the_leaders_snapshot() {
        let (mut leader, mut follower) = (Data::default(), Data::default());
        write(&mut leader, 1, "/a");
        follower.synchronise(&leader);
        assert_eq!(follower.nodes, leader.nodes);
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
