//! What a record of a transaction log says.

use super::jute::{Malformed, Reader};
use super::tree::Acl;
use super::zxid::Zxid;

/// One logged transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The session that asked for it.
    pub session: i64,
    /// Its place in the order of all transactions.
    pub zxid: Zxid,
    /// When the leader proposed it, in ms since 1970.
    pub time: i64,
    /// What it does.
    pub change: Change,
}

/// What a transaction does to the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A session begins.
    CreateSession {
        /// Its time-out in ms.
        timeout: i32,
    },
    /// A session ends, and its ephemeral nodes with it.
    CloseSession,
    /// A node is made.
    Create {
        /// Its path, with the number of a sequential one.
        path: String,
        /// Its data; none is Java's null.
        data: Option<Vec<u8>>,
        /// Who may do what.
        acl: Vec<Acl>,
        /// Whether it ends with the session.
        ephemeral: bool,
        /// How many nodes were ever made below the parent, this one included; -1 is one more than before.
        parent_creates: i32,
    },
    /// A node is deleted.
    Delete {
        /// Its path.
        path: String,
    },
    /// A node gets other data.
    SetData {
        /// Its path.
        path: String,
        /// The data; none is Java's null.
        data: Option<Vec<u8>>,
        /// The version it has from now on.
        version: i32,
    },
    /// A node gets another ACL.
    SetAcl {
        /// Its path.
        path: String,
        /// Who may do what from now on.
        acl: Vec<Acl>,
        /// The ACL's version from now on.
        version: i32,
    },
    /// A version was checked, within a multi.
    Check {
        /// The path that was looked at.
        path: String,
    },
    /// Something was refused: the tree stays as it is.
    Error {
        /// ZooKeeper's code.
        code: i32,
    },
    /// Several at once; with an error among them none of them happened.
    Multi(Vec<Change>),
}

const CREATE: i32 = 1;
const DELETE: i32 = 2;
const SET_DATA: i32 = 5;
const SET_ACL: i32 = 7;
const CHECK: i32 = 13;
const MULTI: i32 = 14;
const CREATE2: i32 = 15;
const RECONFIG: i32 = 16;
const CREATE_CONTAINER: i32 = 19;
const DELETE_CONTAINER: i32 = 20;
const CREATE_TTL: i32 = 21;
const ERROR: i32 = -1;
const CREATE_SESSION: i32 = -10;
const CLOSE_SESSION: i32 = -11;

/// Reads one record. What newer servers write after it is passed over.
///
/// # Errors
/// When it is cut, or of a kind that 3.4 does not know.
pub fn read(bytes: &[u8]) -> Result<Transaction, Malformed> {
    let mut reader = Reader::new(bytes);
    let session = reader.long("the session")?;
    reader.int("the client's own number")?;
    let zxid = Zxid(reader.long("the zxid")?);
    let time = reader.long("the time")?;
    let kind = reader.int("the kind of transaction")?;
    let change = if kind == MULTI { multi(&mut reader)? } else { single(kind, &mut reader)? };
    Ok(Transaction { session, zxid, time, change })
}

fn multi(reader: &mut Reader<'_>) -> Result<Change, Malformed> {
    let count = reader.count(8, "operations of a multi")?;
    let operation = |_| {
        let kind = reader.int("the kind of an operation")?;
        let body = reader.buffer("an operation of a multi")?.unwrap_or_default();
        single(kind, &mut Reader::new(body))
    };
    (0..count).map(operation).collect::<Result<_, _>>().map(Change::Multi)
}

fn single(kind: i32, reader: &mut Reader<'_>) -> Result<Change, Malformed> {
    let refused = |what: &str| {
        let what = format!("{what}, which ZooKeeper 3.4 does not know and zkprov does not keep");
        Err(reader.malformed(what))
    };
    match kind {
        CREATE_SESSION => Ok(Change::CreateSession { timeout: reader.int("the time-out of a session")? }),
        CLOSE_SESSION => Ok(Change::CloseSession),
        ERROR => Ok(Change::Error { code: reader.int("the code of an error")? }),
        CREATE | CREATE2 => create(reader),
        DELETE => Ok(Change::Delete { path: reader.path("the path of a delete")? }),
        SET_DATA | RECONFIG => Ok(Change::SetData {
            path: reader.path("the path of a setData")?,
            data: reader.buffer("data")?.map(<[u8]>::to_vec),
            version: reader.int("the version of the data")?,
        }),
        SET_ACL => Ok(Change::SetAcl {
            path: reader.path("the path of a setACL")?,
            acl: reader.acls()?,
            version: reader.int("the version of an ACL")?,
        }),
        CHECK => Ok(Change::Check { path: reader.path("the path of a check")? }),
        CREATE_CONTAINER | DELETE_CONTAINER => refused("a container node"),
        CREATE_TTL => refused("a node with a time to live"),
        other => refused(&format!("a transaction of kind {other}")),
    }
}

/// A `create`. Servers before 3.4 did not write the count of the parent.
fn create(reader: &mut Reader<'_>) -> Result<Change, Malformed> {
    let path = reader.path("the path of a create")?;
    let data = reader.buffer("data")?.map(<[u8]>::to_vec);
    let acl = reader.acls()?;
    let ephemeral = reader.bool("whether a node is ephemeral")?;
    let parent_creates = if reader.remaining() == 0 { -1 } else { reader.int("the count of the parent")? };
    Ok(Change::Create { path, data, acl, ephemeral, parent_creates })
}
