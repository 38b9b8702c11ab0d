//! The tree of znodes, and what logged transactions do to it.

use super::transaction::{Change, Transaction};
use super::zxid::Zxid;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One entry of an access control list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acl {
    /// Bits: 1 read, 2 write, 4 create, 8 delete, 16 administer.
    pub perms: i32,
    /// `world`, `digest`, `ip` or another.
    pub scheme: String,
    /// Whom, in the words of the scheme.
    pub id: String,
}

impl Acl {
    /// Everybody may do everything: what a node has that was made without an ACL.
    pub fn open() -> Arc<[Self]> {
        Arc::from([Self { perms: 31, scheme: "world".to_owned(), id: "anyone".to_owned() }])
    }
}

/// What is kept about a node, as ZooKeeper stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stat {
    /// The transaction that made it.
    pub czxid: Zxid,
    /// The one that changed its data last.
    pub mzxid: Zxid,
    /// When it was made, in ms since 1970.
    pub ctime: i64,
    /// When its data changed last, in ms since 1970.
    pub mtime: i64,
    /// Changes of its data.
    pub version: i32,
    /// Nodes ever made below it: the number of the next sequential one. A client sees twice that less the children, as
    /// `cversion`.
    pub creates: i32,
    /// Changes of its ACL.
    pub aversion: i32,
    /// The session it ends with; 0 for none.
    pub ephemeral_owner: i64,
    /// The transaction that changed its children last.
    pub pzxid: Zxid,
}

impl Stat {
    /// How many nodes were ever made below a node, of what a client sees of it.
    #[must_use]
    pub fn creates(cversion: i32, children: i32) -> i32 {
        // Their sum is twice the number, also when it no longer fits and wraps.
        let twice = i64::from(cversion.cast_unsigned()) + i64::from(children);
        i32::try_from((twice / 2) & 0x7fff_ffff).unwrap_or(i32::MAX)
    }
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Znode {
    /// Its data; none is Java's null, which most clients show as empty.
    pub data: Option<Vec<u8>>,
    /// Who may do what; none when the snapshot did not have it and no transaction told.
    pub acl: Option<Arc<[Acl]>>,
    /// Versions, times, owner.
    pub stat: Stat,
    /// Names of its children.
    pub children: BTreeSet<String>,
}

impl Znode {
    fn new(data: Option<Vec<u8>>, acl: Arc<[Acl]>, stat: Stat) -> Self {
        Self { data, acl: Some(acl), stat, children: BTreeSet::new() }
    }

    /// `cversion` as a client sees it: children made and deleted.
    pub fn cversion(&self) -> i32 {
        let children = i32::try_from(self.children.len()).unwrap_or(i32::MAX);
        self.stat.creates.wrapping_mul(2).wrapping_sub(children)
    }
}

/// All nodes of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    nodes: BTreeMap<String, Znode>,
    /// Paths by the session they end with.
    ephemerals: BTreeMap<i64, BTreeSet<String>>,
    acls: BTreeSet<Arc<[Acl]>>,
}

/// The tree of a server that has never stored anything.
impl Default for Tree {
    fn default() -> Self {
        let mut tree = Self { nodes: BTreeMap::new(), ephemerals: BTreeMap::new(), acls: BTreeSet::new() };
        for path in ["/", "/zookeeper", "/zookeeper/quota"] {
            tree.insert(path.to_owned(), Znode::new(Some(Vec::new()), Acl::open(), Stat::default()));
        }
        tree
    }
}

/// The parent's path and the name, of every path but the root's.
pub fn split(path: &str) -> Option<(&str, &str)> {
    match path.rsplit_once('/') {
        Some((_, "")) | None => None,
        Some(("", name)) => Some(("/", name)),
        Some(split) => Some(split),
    }
}

impl Tree {
    /// All nodes by path, parents before children.
    pub fn nodes(&self) -> &BTreeMap<String, Znode> {
        &self.nodes
    }

    /// The newest transaction that any node names.
    pub fn newest(&self) -> Zxid {
        let of = |node: &Znode| node.stat.czxid.max(node.stat.mzxid).max(node.stat.pzxid);
        self.nodes.values().map(of).max().unwrap_or_default()
    }

    /// Puts a node of a snapshot in its place; false when its parent is not there or it is there already.
    pub(super) fn load(&mut self, path: String, node: Znode) -> bool {
        if path == "/" {
            // A snapshot has all nodes of a server, its own included.
            self.nodes.clear();
            self.ephemerals.clear();
        } else if self.nodes.contains_key(&path) {
            return false;
        }
        self.insert(path, node)
    }

    fn insert(&mut self, path: String, node: Znode) -> bool {
        if let Some((parent, name)) = split(&path) {
            let Some(parent) = self.nodes.get_mut(parent) else { return false };
            parent.children.insert(name.to_owned());
        }
        if node.stat.ephemeral_owner != 0 {
            self.ephemerals.entry(node.stat.ephemeral_owner).or_default().insert(path.clone());
        }
        self.nodes.insert(path, node);
        true
    }

    /// Applies a logged transaction, as a server does when it starts. The tree may have it already, as a whole or in
    /// parts, and those after it, since snapshots are taken while the tree changes: so what is there is not made again, and what
    /// is missing is not missed.
    pub fn apply(&mut self, transaction: &Transaction) {
        self.change(transaction, &transaction.change);
    }

    fn change(&mut self, transaction: &Transaction, change: &Change) {
        match change {
            Change::CreateSession { .. } | Change::Check { .. } | Change::Error { .. } => {}
            Change::CloseSession => {
                for path in self.ephemerals.remove(&transaction.session).unwrap_or_default() {
                    self.delete(&path, transaction.zxid);
                }
            }
            Change::Create { path, data, acl, ephemeral, parent_creates } => {
                let acl = self.shared(acl);
                self.create(transaction, path, data.clone(), acl, *ephemeral, *parent_creates);
            }
            Change::Delete { path } => self.delete(path, transaction.zxid),
            Change::SetData { path, data, version } => {
                if let Some(node) = self.nodes.get_mut(path) {
                    node.data.clone_from(data);
                    node.stat.mtime = transaction.time;
                    node.stat.mzxid = transaction.zxid;
                    node.stat.version = *version;
                }
            }
            Change::SetAcl { path, acl, version } => {
                let acl = self.shared(acl);
                if let Some(node) = self.nodes.get_mut(path) {
                    node.acl = Some(acl);
                    node.stat.aversion = *version;
                }
            }
            Change::Multi(changes) => {
                if !changes.iter().any(|change| matches!(change, Change::Error { .. })) {
                    changes.iter().for_each(|change| self.change(transaction, change));
                }
            }
        }
    }

    fn create(
        &mut self,
        transaction: &Transaction,
        path: &str,
        data: Option<Vec<u8>>,
        acl: Arc<[Acl]>,
        ephemeral: bool,
        parent_creates: i32,
    ) {
        let zxid = transaction.zxid;
        let Some((parent_path, name)) = split(path) else { return };
        let Some(parent) = self.nodes.get_mut(parent_path) else { return };
        let creates = if parent_creates == -1 { parent.stat.creates.wrapping_add(1) } else { parent_creates };
        if parent.children.contains(name) {
            // It was made while the snapshot was written, perhaps after its parent had been.
            if creates > parent.stat.creates {
                parent.stat.creates = creates;
                parent.stat.pzxid = zxid;
            }
            // ZooKeeper itself can lose the ACL here, since it keeps numbers for ACLs; a running server has this one.
            if let Some(node) = self.nodes.get_mut(path) {
                node.acl.get_or_insert(acl);
            }
            return;
        }
        parent.stat.creates = creates;
        parent.stat.pzxid = zxid;
        let stat = Stat {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: transaction.time,
            mtime: transaction.time,
            ephemeral_owner: if ephemeral { transaction.session } else { 0 },
            ..Stat::default()
        };
        self.insert(path.to_owned(), Znode::new(data, acl, stat));
    }

    fn delete(&mut self, path: &str, zxid: Zxid) {
        let Some((parent, name)) = split(path) else { return };
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.children.remove(name);
            // Also when the node is gone already, as servers do from 3.5.5 on: a running one has it so.
            parent.stat.pzxid = parent.stat.pzxid.max(zxid);
        }
        let Some(node) = self.nodes.remove(path) else { return };
        if let Some(paths) = self.ephemerals.get_mut(&node.stat.ephemeral_owner) {
            paths.remove(path);
        }
    }

    /// One copy of each list: a tree has a few, and a million nodes.
    fn shared(&mut self, acl: &[Acl]) -> Arc<[Acl]> {
        if let Some(known) = self.acls.get(acl) {
            return Arc::clone(known);
        }
        let acl: Arc<[Acl]> = Arc::from(acl);
        self.acls.insert(Arc::clone(&acl));
        acl
    }
}
