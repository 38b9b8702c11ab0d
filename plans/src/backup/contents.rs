//! The znodes of a backup, a line of JSON each.

use crate::zookeeper::tree::split;
use crate::zookeeper::{Acl, Stat, Tree, Znode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// One znode of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Its data; none is Java's null.
    pub data: Option<Vec<u8>>,
    /// Who may do what.
    pub acl: Vec<Acl>,
    /// Versions, times, owner.
    pub stat: Stat,
}

impl Saved {
    /// Whether it ended with its session, and is not restored.
    #[must_use]
    pub fn is_ephemeral(&self) -> bool {
        self.stat.ephemeral_owner != 0
    }
}

/// All znodes of a backup, by path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// Parents before children.
    pub znodes: BTreeMap<String, Saved>,
}

/// A line that is no znode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadLine {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// The form of a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    path: String,
    #[serde(default, skip_serializing_if = "is_false")]
    ephemeral: bool,
    /// Base64.
    data: Option<String>,
    acl: Vec<Acl>,
    stat: LineStat,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// [`Stat`], under the names that ZooKeeper's clients know.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LineStat {
    czxid: crate::zookeeper::Zxid,
    mzxid: crate::zookeeper::Zxid,
    pzxid: crate::zookeeper::Zxid,
    ctime: i64,
    mtime: i64,
    version: i32,
    aversion: i32,
    /// Nodes ever made below it.
    creates: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ephemeral_owner: Option<i64>,
}

impl Contents {
    /// Everything that a server had.
    #[must_use]
    pub fn of(tree: &Tree) -> Self {
        let saved = |node: &Znode| Saved {
            data: node.data.clone(),
            acl: node.acl.as_deref().unwrap_or_default().to_vec(),
            stat: node.stat,
        };
        Self { znodes: tree.nodes().iter().map(|(path, node)| (path.clone(), saved(node))).collect() }
    }

    /// The lines, one a znode, each with its end.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.znodes.iter().map(|(path, saved)| {
            let stat = saved.stat;
            let line = Line {
                path: path.clone(),
                ephemeral: saved.is_ephemeral(),
                data: saved.data.as_ref().map(|data| STANDARD.encode(data)),
                acl: saved.acl.clone(),
                stat: LineStat {
                    czxid: stat.czxid,
                    mzxid: stat.mzxid,
                    pzxid: stat.pzxid,
                    ctime: stat.ctime,
                    mtime: stat.mtime,
                    version: stat.version,
                    aversion: stat.aversion,
                    creates: stat.creates,
                    ephemeral_owner: saved.is_ephemeral().then_some(stat.ephemeral_owner),
                },
            };
            let mut text = serde_json::to_string(&line).unwrap_or_default();
            text.push('\n');
            text
        })
    }

    /// Adds the znode of a line; `number` counts from 1.
    ///
    /// # Errors
    /// When it is no znode, was there already, or its parent was not.
    pub fn read_line(&mut self, number: usize, text: &str) -> Result<(), BadLine> {
        let bad = |why: String| BadLine { line: number, why };
        let line: Line = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        let data = line.data.map(|data| STANDARD.decode(data)).transpose();
        let data = data.map_err(|error| bad(format!("data of {}: {error}", line.path)))?;
        let has_parent = match split(&line.path) {
            Some((parent, _)) => crate::zookeeper::is_path(&line.path) && self.znodes.contains_key(parent),
            None => line.path == "/",
        };
        if !has_parent || self.znodes.contains_key(&line.path) {
            return Err(bad(format!("{:?} is there twice, or before its parent", line.path)));
        }
        let stat = Stat {
            czxid: line.stat.czxid,
            mzxid: line.stat.mzxid,
            pzxid: line.stat.pzxid,
            ctime: line.stat.ctime,
            mtime: line.stat.mtime,
            version: line.stat.version,
            creates: line.stat.creates,
            aversion: line.stat.aversion,
            ephemeral_owner: line.stat.ephemeral_owner.unwrap_or(0),
        };
        if line.ephemeral != (stat.ephemeral_owner != 0) {
            return Err(bad(format!("{} is marked ephemeral and has no owner, or the reverse", line.path)));
        }
        self.znodes.insert(line.path, Saved { data, acl: line.acl, stat });
        Ok(())
    }

    /// A name for this content that no other has: the SHA-256 of its lines, in hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        self.lines().for_each(|line| hash.update(line));
        hex::encode(hash.finalize())
    }
}
