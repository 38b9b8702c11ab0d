//! Snapshots, `snapshot.ZXID`: the tree while it was being changed.

use super::adler::checksum;
use super::jute::{Malformed, Reader};
use super::tree::{Acl, Stat, Tree, Znode};
use super::zxid::Zxid;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `ZKSN`.
const MAGIC: i32 = 0x5a4b_534e;
const VERSION: i32 = 2;

/// What a snapshot holds. It is fuzzy: some of the transactions after the one it is named by may be in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Time-outs in ms, by session.
    pub sessions: BTreeMap<i64, i32>,
    /// The nodes.
    pub tree: Tree,
}

/// Reads a whole snapshot and compares its checksum. What newer servers write after it is passed over.
///
/// # Errors
/// When it is cut, damaged, or something else.
pub fn read(bytes: &[u8]) -> Result<Snapshot, Malformed> {
    let mut reader = Reader::new(bytes);
    if reader.int("the head")? != MAGIC {
        return Err(Malformed { what: "no snapshot".to_owned(), offset: 0 });
    }
    let version = reader.int("the head")?;
    if version != VERSION {
        return Err(Malformed { what: format!("a snapshot of version {version}, not {VERSION}"), offset: 4 });
    }
    reader.long("the head")?;
    let sessions = sessions(&mut reader)?;
    let acls = acls(&mut reader)?;
    let tree = nodes(&mut reader, &acls)?;
    let end = reader.position();
    let sum = reader.long("the checksum")?;
    if bytes.get(..end).map(checksum) != Some(sum) {
        return Err(Malformed { what: "a checksum of other content".to_owned(), offset: end });
    }
    Ok(Snapshot { sessions, tree })
}

fn sessions(reader: &mut Reader<'_>) -> Result<BTreeMap<i64, i32>, Malformed> {
    let count = reader.count(12, "sessions")?;
    let session = |_| Ok((reader.long("a session")?, reader.int("the time-out of a session")?));
    (0..count).map(session).collect()
}

/// Lists of ACL entries by the number that nodes refer to them with.
fn acls(reader: &mut Reader<'_>) -> Result<BTreeMap<i64, Arc<[Acl]>>, Malformed> {
    let count = reader.count(12, "ACLs")?;
    let acl = |_| Ok((reader.long("the number of an ACL")?, Arc::from(reader.acls()?)));
    (0..count).map(acl).collect()
}

fn nodes(reader: &mut Reader<'_>, acls: &BTreeMap<i64, Arc<[Acl]>>) -> Result<Tree, Malformed> {
    let mut tree = Tree::default();
    let open = Acl::open();
    let mut rooted = false;
    loop {
        // The root is written as the empty path; the end as a slash.
        let path = reader.string("a path")?;
        let path = match path.as_str() {
            "/" if rooted => return Ok(tree),
            "" => "/".to_owned(),
            _ => path,
        };
        if rooted == (path == "/") {
            return Err(reader.malformed("a tree that does not begin with its root"));
        }
        rooted = true;
        let data = reader.buffer("data")?.map(<[u8]>::to_vec);
        let acl = match reader.long("the number of an ACL")? {
            -1 => Some(Arc::clone(&open)),
            // A node made while the snapshot was written may have an ACL that was not there when the ACLs were. The
            // transaction that made it follows in the log, and says which.
            number => acls.get(&number).cloned(),
        };
        let stat = stat(reader)?;
        let node = Znode { data, acl, stat, children: std::collections::BTreeSet::new() };
        if !super::jute::is_path(&path) || !tree.load(path.clone(), node) {
            return Err(reader.malformed(format!("node {path:?} without its parent, or twice")));
        }
    }
}

fn stat(reader: &mut Reader<'_>) -> Result<Stat, Malformed> {
    let what = "the stat of a node";
    Ok(Stat {
        czxid: Zxid(reader.long(what)?),
        mzxid: Zxid(reader.long(what)?),
        ctime: reader.long(what)?,
        mtime: reader.long(what)?,
        version: reader.int(what)?,
        creates: reader.int(what)?,
        aversion: reader.int(what)?,
        ephemeral_owner: reader.long(what)?,
        pzxid: Zxid(reader.long(what)?),
    })
}
