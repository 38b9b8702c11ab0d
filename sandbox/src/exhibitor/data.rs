//! ZooKeeper's data: the tree of znodes, transaction ids and the log that followers are synchronised from.

use crate::api::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// How many transactions a server keeps to bring a follower up to date without a snapshot.
const COMMITTED_LOG: usize = 500;

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
    /// Changes of children.
    pub cversion: u64,
}

/// What a transaction does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Operation {
    Create { path: String, data: Vec<u8> },
    SetData { path: String, data: Vec<u8> },
    Delete { path: String },
}

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Transaction {
    pub(super) zxid: u64,
    pub(super) time: Time,
    pub(super) operation: Operation,
}

/// One server's copy of the data. It lives as long as the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Data {
    /// `currentEpoch`: of the last leader followed.
    pub(super) epoch: u64,
    /// Last transaction processed: epoch in the upper half, counter in the lower.
    pub(super) zxid: u64,
    pub(super) nodes: BTreeMap<String, Znode>,
    pub(super) log: VecDeque<Transaction>,
}

impl Default for Data {
    fn default() -> Self {
        let node = |children: u64| Znode { cversion: children, ..Znode::default() };
        let nodes = [("/", node(0)), ("/zookeeper", node(0)), ("/zookeeper/quota", node(0))]
            .map(|(path, node)| (path.to_owned(), node));
        Self { epoch: 0, zxid: 0, nodes: BTreeMap::from(nodes), log: VecDeque::new() }
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

    /// Carries out a transaction and logs it. One that does not fit the tree (a replica that has silently diverged)
    /// only moves the transaction id, as in ZooKeeper.
    pub(super) fn apply(&mut self, transaction: &Transaction) {
        let Transaction { zxid, time, operation } = transaction;
        match operation {
            Operation::Create { path, data } => self.create(path, data, *zxid, *time),
            Operation::SetData { path, data } => {
                if let Some(node) = self.nodes.get_mut(path) {
                    node.data.clone_from(data);
                    node.version += 1;
                    node.mzxid = *zxid;
                    node.mtime = *time;
                }
            }
            Operation::Delete { path } => {
                if self.children(path).is_empty() && self.nodes.remove(path).is_some() {
                    self.touch_parent(path, *zxid);
                }
            }
        }
        self.zxid = *zxid;
        self.log.push_back(transaction.clone());
        if self.log.len() > COMMITTED_LOG {
            self.log.pop_front();
        }
    }

    fn create(&mut self, path: &str, data: &[u8], zxid: u64, time: Time) {
        let fits = parent(path).is_some_and(|parent| self.nodes.contains_key(parent));
        if !fits || self.nodes.contains_key(path) {
            return;
        }
        let node = Znode {
            data: data.to_vec(),
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            version: 0,
            cversion: 0,
        };
        self.nodes.insert(path.to_owned(), node);
        self.touch_parent(path, zxid);
    }

    fn touch_parent(&mut self, path: &str, zxid: u64) {
        if let Some(node) = parent(path).and_then(|parent| self.nodes.get_mut(parent)) {
            node.cversion += 1;
            node.pzxid = zxid;
        }
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
                self.log.clone_from(&leader.log);
                self.zxid = newest.unwrap_or(0);
            }
        }
        self.epoch = leader.epoch;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(data: &mut Data, zxid: u64, path: &str) {
        let operation = Operation::Create { path: path.to_owned(), data: b"x".to_vec() };
        data.apply(&Transaction { zxid, time: 1, operation });
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
