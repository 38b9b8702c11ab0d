//! ZooKeeper's client protocol: what requests and answers look like. Frames are without their lengths here.

use super::acl::Acl;
use super::jute::{Reader, Writer};

/// Numbers of operations, in requests and in transactions.
pub(super) mod op {
    pub(in super::super) const ERROR: i32 = -1;
    pub(in super::super) const CREATE_SESSION: i32 = -10;
    pub(in super::super) const CLOSE_SESSION: i32 = -11;
    pub(in super::super) const CREATE: i32 = 1;
    pub(in super::super) const DELETE: i32 = 2;
    pub(in super::super) const EXISTS: i32 = 3;
    pub(in super::super) const GET_DATA: i32 = 4;
    pub(in super::super) const SET_DATA: i32 = 5;
    pub(in super::super) const GET_ACL: i32 = 6;
    pub(in super::super) const SET_ACL: i32 = 7;
    pub(in super::super) const GET_CHILDREN: i32 = 8;
    pub(in super::super) const SYNC: i32 = 9;
    pub(in super::super) const PING: i32 = 11;
    pub(in super::super) const GET_CHILDREN_2: i32 = 12;
    pub(in super::super) const CHECK: i32 = 13;
    pub(in super::super) const MULTI: i32 = 14;
    pub(in super::super) const AUTH: i32 = 100;
    pub(in super::super) const SET_WATCHES: i32 = 101;
}

/// ZooKeeper's codes of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(pub(super) i32);

impl Code {
    pub(super) const OK: Self = Self(0);
    /// Of the operations of a transaction that come after the one that failed.
    pub(super) const RUNTIME_INCONSISTENCY: Self = Self(-2);
    pub(super) const MARSHALLING: Self = Self(-5);
    pub(super) const UNIMPLEMENTED: Self = Self(-6);
    pub(super) const BAD_ARGUMENTS: Self = Self(-8);
    pub(super) const NO_NODE: Self = Self(-101);
    pub(super) const NO_AUTH: Self = Self(-102);
    pub(super) const BAD_VERSION: Self = Self(-103);
    pub(super) const NO_CHILDREN_FOR_EPHEMERALS: Self = Self(-108);
    pub(super) const NODE_EXISTS: Self = Self(-110);
    pub(super) const NOT_EMPTY: Self = Self(-111);
    pub(super) const SESSION_EXPIRED: Self = Self(-112);
    pub(super) const INVALID_ACL: Self = Self(-114);
    pub(super) const AUTH_FAILED: Self = Self(-115);
}

/// The first frame of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConnectRequest {
    /// The newest transaction that the client has heard of.
    pub(super) last_zxid: i64,
    /// Milliseconds asked for.
    pub(super) timeout: i32,
    /// 0 for a new one.
    pub(super) session: i64,
    pub(super) password: Vec<u8>,
    /// Whether the client sent the flag of 3.4, and so gets it back.
    pub(super) knows_read_only: bool,
}

/// A change that is asked for. A version of -1 is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Create { path: String, data: Vec<u8>, acl: Vec<Acl>, ephemeral: bool, sequential: bool },
    Delete { path: String, version: i32 },
    SetData { path: String, data: Vec<u8>, version: i32 },
    SetAcl { path: String, acl: Vec<Acl>, version: i32 },
    Check { path: String, version: i32 },
}

/// A question about one znode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Exists,
    Data,
    Acl,
    Children,
    /// Children with the stat.
    ChildrenAndStat,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    Change(Change),
    Multi(Vec<Change>),
    Ask {
        question: Question,
        path: String,
        watch: bool,
    },
    Sync {
        path: String,
    },
    Ping,
    Auth {
        scheme: String,
        credentials: Vec<u8>,
    },
    /// The watches of a client that comes back, and the newest transaction that it has heard of.
    SetWatches {
        last_zxid: i64,
        data: Vec<String>,
        exist: Vec<String>,
        child: Vec<String>,
    },
    Close,
    /// No operation of 3.4.
    Unknown,
}

impl ConnectRequest {
    pub(super) fn read(frame: &[u8]) -> Option<Self> {
        let mut reader = Reader(frame);
        let _version = reader.int()?;
        let (last_zxid, timeout, session) = (reader.long()?, reader.int()?, reader.long()?);
        let password = reader.buffer()?.to_vec();
        Some(Self { last_zxid, timeout, session, password, knows_read_only: reader.bool().is_some() })
    }

    /// The answer: a session and its time-out in ms, or nothing of both, which says that it has expired.
    pub(super) fn answer(&self, session: i64, timeout: u32, password: &[u8]) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.int(0).count(timeout.into()).long(session).buffer(password);
        if self.knows_read_only {
            writer.bool(false);
        }
        writer.0
    }
}

/// A request's number and what it asks for; `None` when it can't be read.
pub(super) fn read_request(frame: &[u8]) -> Option<(i32, Call)> {
    let mut reader = Reader(frame);
    let (xid, kind) = (reader.int()?, reader.int()?);
    let ask = |question, reader: &mut Reader<'_>, watched: bool| {
        let path = reader.string()?;
        Some(Call::Ask { question, path, watch: watched && reader.bool()? })
    };
    let call = match kind {
        op::CREATE | op::DELETE | op::SET_DATA | op::SET_ACL | op::CHECK => {
            Call::Change(read_change(kind, &mut reader)?)
        }
        op::MULTI => Call::Multi(read_multi(&mut reader)?),
        op::EXISTS => ask(Question::Exists, &mut reader, true)?,
        op::GET_DATA => ask(Question::Data, &mut reader, true)?,
        op::GET_ACL => ask(Question::Acl, &mut reader, false)?,
        op::GET_CHILDREN => ask(Question::Children, &mut reader, true)?,
        op::GET_CHILDREN_2 => ask(Question::ChildrenAndStat, &mut reader, true)?,
        op::SYNC => Call::Sync { path: reader.string()? },
        op::PING => Call::Ping,
        op::AUTH => {
            let _kind = reader.int()?;
            Call::Auth { scheme: reader.string()?, credentials: reader.buffer()?.to_vec() }
        }
        op::SET_WATCHES => Call::SetWatches {
            last_zxid: reader.long()?,
            data: reader.strings()?,
            exist: reader.strings()?,
            child: reader.strings()?,
        },
        op::CLOSE_SESSION => Call::Close,
        _ => Call::Unknown,
    };
    Some((xid, call))
}

fn read_change(kind: i32, reader: &mut Reader<'_>) -> Option<Change> {
    let path = reader.string()?;
    Some(match kind {
        op::CREATE => {
            let (data, acl, flags) = (reader.buffer()?.to_vec(), reader.acl()?, reader.int()?);
            Change::Create { path, data, acl, ephemeral: flags & 1 != 0, sequential: flags & 2 != 0 }
        }
        op::DELETE => Change::Delete { path, version: reader.int()? },
        op::SET_DATA => Change::SetData { path, data: reader.buffer()?.to_vec(), version: reader.int()? },
        op::SET_ACL => Change::SetAcl { path, acl: reader.acl()?, version: reader.int()? },
        op::CHECK => Change::Check { path, version: reader.int()? },
        _ => return None,
    })
}

fn read_multi(reader: &mut Reader<'_>) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    loop {
        let (kind, done, _error) = (reader.int()?, reader.bool()?, reader.int()?);
        if done {
            return Some(changes);
        }
        changes.push(read_change(kind, reader)?);
    }
}

/// The header of an answer.
pub(super) fn reply(xid: i32, zxid: u64, code: Code) -> Writer {
    let mut writer = Writer::default();
    writer.int(xid).unsigned(zxid).int(code.0);
    writer
}

/// What happened to a watched znode, as it is numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happened {
    Created = 1,
    Deleted = 2,
    Changed = 3,
    ChildrenChanged = 4,
}

/// The frame that tells a client what happened to a znode that it watches.
pub(super) fn notification(happened: Happened, path: &str) -> Vec<u8> {
    const CONNECTED: i32 = 3;
    let mut writer = Writer::default();
    writer.int(-1).long(-1).int(0).int(happened as i32).int(CONNECTED).string(path);
    writer.0
}
