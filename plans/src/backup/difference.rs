//! What a restore has to change.

use super::contents::{Contents, Saved};
use super::{is_system, is_within};
use crate::zookeeper::tree::split;
use crate::zookeeper::{Tree, Znode};
use std::collections::{BTreeMap, BTreeSet};

/// A parent whose next sequential node would get a number that was given before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// The parent.
    pub path: String,
    /// By how much its count has to grow.
    pub behind: u32,
}

/// What makes the contents of an ensemble equal to a backup, each by path. Ephemeral nodes of a backup are left out, and those
/// of living sessions left alone, unless they stand where something is restored or in what is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// Ephemeral nodes that stand where another node is restored.
    pub clear: Vec<String>,
    /// Nodes to make, parents first.
    pub create: Vec<String>,
    /// Nodes with other data.
    pub data: Vec<String>,
    /// Nodes with another ACL.
    pub acl: Vec<String>,
    /// Nodes to delete, children first.
    pub delete: Vec<String>,
    /// Counters to bring forward.
    pub counters: Vec<Counter>,
}

impl Difference {
    /// Whether contents and ACLs are equal; counters apart, which not every restore can bring forward.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { clear, create, data, acl, delete, counters: _ } = self;
        [clear, create, data, acl, delete].iter().all(|paths| paths.is_empty())
    }
}

/// Whether an ensemble holds nothing but what ZooKeeper and zkprov put there.
#[must_use]
pub fn is_vacant(tree: &Tree) -> bool {
    tree.nodes().keys().all(|path| path == "/" || is_system(path))
}

/// Compares an ensemble with a backup.
#[must_use]
pub fn difference(now: &Tree, wanted: &Contents) -> Difference {
    let mut difference = Difference::default();
    let mut made: BTreeMap<&str, i64> = BTreeMap::new();
    let restored = || wanted.znodes.iter().filter(|(path, saved)| !saved.is_ephemeral() && !is_system(path));
    for (path, saved) in restored() {
        let there = now.nodes().get(path);
        let ephemeral = there.is_some_and(|node| node.stat.ephemeral_owner != 0);
        let Some(node) = there.filter(|_| !ephemeral) else {
            if ephemeral {
                difference.clear.push(path.clone());
            }
            difference.create.push(path.clone());
            if let Some((parent, _)) = split(path) {
                *made.entry(parent).or_default() += 1;
            }
            continue;
        };
        if !same_data(path, node, saved.data.as_deref()) {
            difference.data.push(path.clone());
        }
        if node.acl.as_deref() != Some(saved.acl.as_slice()) {
            difference.acl.push(path.clone());
        }
    }
    difference.delete = surplus(now, wanted);
    for (path, saved) in restored() {
        let gone = difference.create.binary_search(path).is_ok();
        let had = now.nodes().get(path).filter(|_| !gone).map_or(0, |node| i64::from(node.stat.creates));
        let will = had + made.get(path.as_str()).copied().unwrap_or(0);
        if let Ok(behind) = u32::try_from(i64::from(saved.stat.creates) - will)
            && behind > 0
        {
            difference.counters.push(Counter { path: path.clone(), behind });
        }
    }
    difference
}

/// Null and nothing are the same to most clients, and few can write the one or the other. What ZooKeeper counts itself is
/// no data.
fn same_data(path: &str, node: &Znode, wanted: Option<&[u8]>) -> bool {
    let counted = is_within(path, "/zookeeper/quota") && path.ends_with("/zookeeper_stats");
    counted || node.data.as_deref().unwrap_or_default() == wanted.unwrap_or_default()
}

/// Nodes that the backup does not have, children first. Ephemeral ones only below them.
fn surplus(now: &Tree, wanted: &Contents) -> Vec<String> {
    let mut deleted: BTreeSet<&str> = BTreeSet::new();
    for (path, node) in now.nodes() {
        let Some((parent, _)) = split(path) else { continue };
        let unknown = wanted.znodes.get(path).is_none_or(Saved::is_ephemeral);
        let below = deleted.contains(parent);
        if !is_system(path) && (below || (unknown && node.stat.ephemeral_owner == 0)) {
            deleted.insert(path);
        }
    }
    deleted.into_iter().rev().map(str::to_owned).collect()
}
