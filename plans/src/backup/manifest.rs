//! `manifest.json`: what a backup is of, and what it has to consist of.

use super::contents::Contents;
use crate::zookeeper::Zxid;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The version of the form that this program writes and reads.
pub const FORMAT: u32 = 1;
/// The file with the znodes: lines of JSON, compressed with gzip.
pub const ZNODES: &str = "znodes.jsonl.gz";

/// What a backup says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The ensemble's name.
    pub ensemble: String,
    /// When it was taken, as RFC 3339 in UTC.
    pub time: String,
    /// The member that it was read from.
    pub source: Source,
    /// The epoch of the last transaction that is in it.
    pub epoch: i64,
    /// The last transaction that is in it.
    pub zxid: Zxid,
    /// What it consists of.
    pub counts: Counts,
    /// The other files, by name.
    pub files: BTreeMap<String, Checksum>,
    /// The version of zkprov that wrote it.
    pub zkprov: String,
}

/// The member that a backup was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// Its pod.
    pub pod: String,
    /// `follower`, `leader` or `standalone`.
    pub role: String,
    /// What it was loaded from, e.g. `snapshot 0x100000000 and 12 transactions`.
    pub read: String,
}

/// How much there is in a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Counts {
    /// Znodes, ZooKeeper's own included.
    pub znodes: u64,
    /// Those that ended with their session.
    pub ephemerals: u64,
    /// Different ACLs.
    pub acls: u64,
    /// Bytes of data.
    pub bytes: u64,
}

/// What a file has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checksum {
    /// Its length.
    pub bytes: u64,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// Why a backup can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// No manifest that this program reads.
    #[error("manifest.json: {0}")]
    Manifest(String),
    /// A file that is not there.
    #[error("{0} is missing")]
    Missing(String),
    /// The znodes alone, in a place where the manifest is written last and deleted first.
    #[error("it has no manifest: it is being written or deleted, or that was cut")]
    Unfinished,
    /// A file that was cut or changed.
    #[error("{file} is not what the manifest says: {what}")]
    Changed {
        /// Which file.
        file: String,
        /// In what it differs.
        what: String,
    },
}

impl Counts {
    /// Counts what there is.
    #[must_use]
    pub fn of(contents: &Contents) -> Self {
        let nodes = || contents.znodes.values();
        let length = |data: &Option<Vec<u8>>| data.as_ref().map_or(0, |data| data.len() as u64);
        Self {
            znodes: contents.znodes.len() as u64,
            ephemerals: nodes().filter(|node| node.is_ephemeral()).count() as u64,
            acls: nodes().map(|node| &node.acl).collect::<BTreeSet<_>>().len() as u64,
            bytes: nodes().map(|node| length(&node.data)).sum(),
        }
    }
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// When it is none, or of another format.
    pub fn read(text: &str) -> Result<Self, Unusable> {
        let manifest: Self =
            serde_json::from_str(text).map_err(|error| Unusable::Manifest(error.to_string()))?;
        if manifest.format == FORMAT {
            return Ok(manifest);
        }
        let why = format!("format {}, and this zkprov reads {FORMAT}", manifest.format);
        Err(Unusable::Manifest(why))
    }

    /// Compares a file with what it has to be.
    ///
    /// # Errors
    /// When it is another one.
    pub fn compare(&self, file: &str, found: &Checksum) -> Result<(), Unusable> {
        let wanted =
            self.files.get(file).ok_or_else(|| Unusable::Missing(format!("{file} in the manifest")))?;
        let changed = |what: String| Err(Unusable::Changed { file: file.to_owned(), what });
        if wanted.bytes != found.bytes {
            return changed(format!("{} bytes, not {}", found.bytes, wanted.bytes));
        }
        if wanted.sha256 != found.sha256 {
            return changed(format!("SHA-256 {}, not {}", found.sha256, wanted.sha256));
        }
        Ok(())
    }

    /// Compares what was loaded with what was counted.
    ///
    /// # Errors
    /// When they differ.
    pub fn compare_counts(&self, contents: &Contents) -> Result<(), Unusable> {
        let found = Counts::of(contents);
        if found == self.counts {
            return Ok(());
        }
        let what = format!("{found:?}, not {:?}", self.counts);
        Err(Unusable::Changed { file: ZNODES.to_owned(), what })
    }
}
