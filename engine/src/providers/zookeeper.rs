//! A ZooKeeper client that asks for nothing that 3.4 does not know.

use std::net::SocketAddr;
use std::time::Duration;
use zkprov_plans::zookeeper::{Acl, Stat, Zxid};
use zookeeper_client as zk;

/// Deadline of one request, beyond what the session's own time-out bounds.
const REQUEST: Duration = Duration::from_secs(30);

/// Classes of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is no such node, or no parent for it.
    NoNode,
    /// The node is there already.
    NodeExists,
    /// The node has children.
    NotEmpty,
    /// The node has another version.
    BadVersion,
    /// An ACL forbids it to this session.
    NoAuth,
    /// ZooKeeper does not accept this ACL: no such scheme there, or no such id in it.
    InvalidAcl,
    /// No answer: a write may have happened.
    Lost,
    /// The session is gone, and its ephemeral nodes with it: connect again. A write may have happened.
    Expired,
    /// Something else.
    Other,
}

/// A failure of ZooKeeper's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{doing}: {message}")]
pub struct Error {
    /// What to do about it.
    pub kind: Kind,
    /// What was being done, e.g. `creating /app`.
    pub doing: String,
    /// What ZooKeeper said.
    pub message: String,
}

/// Who a session is.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    /// `digest`, for one.
    pub scheme: String,
    /// `USER:PASSWORD`, for `digest`.
    pub secret: Vec<u8>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Auth({}, ...)", self.scheme)
    }
}

/// How a node is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It stays.
    Persistent,
    /// It stays, and its name ends with its number.
    PersistentSequential,
    /// It ends with the session.
    Ephemeral,
    /// It ends with the session, and its name ends with its number.
    EphemeralSequential,
}

/// One of several changes that happen together or not at all. Making a node is none of them: within a multi the library asks
/// for that in a way that only 3.5 knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Sets the data, of whatever version without one.
    SetData {
        /// The path.
        path: &'a str,
        /// The data.
        data: &'a [u8],
        /// The version that the node must have.
        version: Option<i32>,
    },
    /// Deletes a node without children, of whatever version without one.
    Delete {
        /// The path.
        path: &'a str,
        /// The version that the node must have.
        version: Option<i32>,
    },
}

/// One session. It is closed when the last clone is dropped.
#[derive(Clone)]
pub struct ZooKeeper {
    client: zk::Client,
}

impl ZooKeeper {
    /// Begins a session; tries until `session` has passed. Ephemeral nodes live on for that long after a connection is lost; the
    /// server may choose another time, see [`ZooKeeper::session_timeout`].
    ///
    /// # Errors
    /// When no server answers in time, or one refuses the credentials.
    pub async fn connect(address: SocketAddr, session: Duration, auth: &[Auth]) -> Result<Self, Error> {
        let mut connector =
            zk::Client::connector().with_server_version(3, 4, 6).with_session_timeout(session);
        for auth in auth {
            connector = connector.with_auth(&auth.scheme, &auth.secret);
        }
        let doing = || "connecting to ZooKeeper".to_owned();
        let address = address.to_string();
        let connect = connector.connect(&address);
        let connected = tokio::time::timeout(session.max(Duration::from_secs(1)) * 2, connect).await;
        let connected = connected.map_err(|_| lost(doing(), "no session in time"))?;
        connected.map(|client| Self { client }).map_err(|error| failed(doing(), &error))
    }

    /// The time-out that the server chose.
    #[must_use]
    pub fn session_timeout(&self) -> Duration {
        self.client.session_timeout()
    }

    /// The session's number: the owner of its ephemeral nodes.
    #[must_use]
    pub fn session(&self) -> i64 {
        self.client.session_id().0
    }

    /// Makes a node and returns its path, which for a sequential one ends with its number.
    ///
    /// # Errors
    /// As ZooKeeper says; without an answer it may have been made.
    pub async fn create(&self, path: &str, data: &[u8], mode: Mode, acl: &[Acl]) -> Result<String, Error> {
        let acls = theirs(acl);
        let kind = match mode {
            Mode::Persistent => zk::CreateMode::Persistent,
            Mode::PersistentSequential => zk::CreateMode::PersistentSequential,
            Mode::Ephemeral => zk::CreateMode::Ephemeral,
            Mode::EphemeralSequential => zk::CreateMode::EphemeralSequential,
        };
        let options = kind.with_acls(zk::Acls::new(&acls));
        let create = self.client.create(path, data, &options);
        let (_, sequence) = within(|| format!("creating {path}"), create).await?;
        Ok(match mode {
            Mode::Persistent | Mode::Ephemeral => path.to_owned(),
            Mode::PersistentSequential | Mode::EphemeralSequential => format!("{path}{sequence}"),
        })
    }

    /// Data and stat of a node; none when it is not there.
    ///
    /// # Errors
    /// As ZooKeeper says.
    pub async fn get(&self, path: &str) -> Result<Option<(Vec<u8>, Stat)>, Error> {
        let read = absent_is_none(within(|| format!("reading {path}"), self.client.get_data(path)).await)?;
        Ok(read.map(|(data, stat)| (data, ours(&stat))))
    }

    /// The stat of a node; none when it is not there.
    ///
    /// # Errors
    /// As ZooKeeper says.
    pub async fn stat(&self, path: &str) -> Result<Option<Stat>, Error> {
        let stat = within(|| format!("looking at {path}"), self.client.check_stat(path)).await?;
        Ok(stat.as_ref().map(ours))
    }

    /// Names of a node's children, sorted; none when the node is not there.
    ///
    /// # Errors
    /// As ZooKeeper says.
    pub async fn children(&self, path: &str) -> Result<Option<Vec<String>>, Error> {
        let list = within(|| format!("listing {path}"), self.client.list_children(path)).await;
        Ok(absent_is_none(list)?.map(|mut names| {
            names.sort();
            names
        }))
    }

    /// Who may do what with a node; none when it is not there.
    ///
    /// # Errors
    /// As ZooKeeper says.
    pub async fn acl(&self, path: &str) -> Result<Option<Vec<Acl>>, Error> {
        let read = within(|| format!("reading the ACL of {path}"), self.client.get_acl(path)).await;
        Ok(absent_is_none(read)?.map(|(acls, _)| acls.iter().map(our_acl).collect()))
    }

    /// Sets the data of a node, of whatever version without one.
    ///
    /// # Errors
    /// As ZooKeeper says; without an answer it may have been set.
    pub async fn set(&self, path: &str, data: &[u8], version: Option<i32>) -> Result<Stat, Error> {
        let set = self.client.set_data(path, data, version);
        within(|| format!("setting {path}"), set).await.map(|stat| ours(&stat))
    }

    /// Sets the ACL of a node, whatever its version.
    ///
    /// # Errors
    /// As ZooKeeper says; without an answer it may have been set.
    pub async fn set_acl(&self, path: &str, acl: &[Acl]) -> Result<(), Error> {
        let acls = theirs(acl);
        let set = self.client.set_acl(path, &acls, None);
        within(|| format!("setting the ACL of {path}"), set).await.map(|_| ())
    }

    /// Deletes a node without children, of whatever version without one.
    ///
    /// # Errors
    /// As ZooKeeper says; without an answer it may have been deleted.
    pub async fn delete(&self, path: &str, version: Option<i32>) -> Result<(), Error> {
        within(|| format!("deleting {path}"), self.client.delete(path, version)).await
    }

    /// Waits until the member of this session has everything that the leader had: what is read afterwards is no older.
    ///
    /// # Errors
    /// As ZooKeeper says.
    pub async fn sync(&self) -> Result<(), Error> {
        within(|| "waiting for the leader's changes".to_owned(), self.client.sync("/")).await
    }

    /// Makes several changes together, or none.
    ///
    /// # Errors
    /// When one of them is refused, with its path; without an answer all of them may have happened.
    pub async fn multi(&self, operations: &[Operation<'_>]) -> Result<(), Error> {
        let mut writer = self.client.new_multi_writer();
        for operation in operations {
            let added = match operation {
                Operation::SetData { path, data, version } => writer.add_set_data(path, data, *version),
                Operation::Delete { path, version } => writer.add_delete(path, *version),
            };
            added.map_err(|error| failed(operation.doing(), &error))?;
        }
        let all = || format!("making {} changes together", operations.len());
        let committed = tokio::time::timeout(REQUEST, writer.commit()).await;
        match committed.map_err(|_| lost(all(), "no answer in time"))? {
            Ok(_) => Ok(()),
            Err(zk::MultiWriteError::OperationFailed { index, source }) => {
                let doing = operations.get(index).map_or_else(all, Operation::doing);
                Err(failed(doing, &source))
            }
            Err(zk::MultiWriteError::RequestFailed { source }) => Err(failed(all(), &source)),
        }
    }
}

impl Operation<'_> {
    fn doing(&self) -> String {
        match self {
            Self::SetData { path, .. } => format!("setting {path}"),
            Self::Delete { path, .. } => format!("deleting {path}"),
        }
    }
}

async fn within<T>(
    doing: impl Fn() -> String,
    request: impl Future<Output = Result<T, zk::Error>>,
) -> Result<T, Error> {
    let answer = tokio::time::timeout(REQUEST, request).await;
    answer.map_err(|_| lost(doing(), "no answer in time"))?.map_err(|error| failed(doing(), &error))
}

fn absent_is_none<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind == Kind::NoNode => Ok(None),
        Err(error) => Err(error),
    }
}

fn lost(doing: String, message: &str) -> Error {
    Error { kind: Kind::Lost, doing, message: message.to_owned() }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the crate may learn of more errors")]
fn failed(doing: String, error: &zk::Error) -> Error {
    let kind = match error {
        zk::Error::NoNode => Kind::NoNode,
        zk::Error::NodeExists => Kind::NodeExists,
        zk::Error::NotEmpty => Kind::NotEmpty,
        zk::Error::BadVersion => Kind::BadVersion,
        zk::Error::NoAuth | zk::Error::AuthFailed => Kind::NoAuth,
        zk::Error::InvalidAcl => Kind::InvalidAcl,
        zk::Error::ConnectionLoss | zk::Error::Timeout | zk::Error::NoHosts => Kind::Lost,
        zk::Error::SessionExpired | zk::Error::ClientClosed => Kind::Expired,
        _ => Kind::Other,
    };
    Error { kind, doing, message: error.to_string() }
}

fn ours(stat: &zk::Stat) -> Stat {
    Stat {
        czxid: Zxid(stat.czxid),
        mzxid: Zxid(stat.mzxid),
        ctime: stat.ctime,
        mtime: stat.mtime,
        version: stat.version,
        creates: Stat::creates(stat.cversion, stat.num_children),
        aversion: stat.aversion,
        ephemeral_owner: stat.ephemeral_owner,
        pzxid: Zxid(stat.pzxid),
    }
}

/// Each permission with its bit, since the crate gives no numbers.
const PERMISSIONS: [(i32, zk::Permission); 5] = [
    (1, zk::Permission::READ),
    (2, zk::Permission::WRITE),
    (4, zk::Permission::CREATE),
    (8, zk::Permission::DELETE),
    (16, zk::Permission::ADMIN),
];

fn our_acl(acl: &zk::Acl) -> Acl {
    let perms = PERMISSIONS.iter().filter(|(_, permission)| acl.permission().has(*permission));
    let perms = perms.map(|(bit, _)| bit).sum();
    Acl { perms, scheme: acl.scheme().to_owned(), id: acl.id().to_owned() }
}

fn theirs(acl: &[Acl]) -> Vec<zk::Acl> {
    let permissions = |perms: i32| {
        let set = PERMISSIONS.iter().filter(|(bit, _)| perms & bit != 0);
        set.fold(zk::Permission::NONE, |all, (_, permission)| all | *permission)
    };
    acl.iter()
        .map(|acl| zk::Acl::new(permissions(acl.perms), zk::AuthId::new(&acl.scheme, &acl.id)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_comes_back() {
        for perms in 0..32 {
            let acl = Acl { perms, scheme: "digest".to_owned(), id: "who:hash".to_owned() };
            let there: Vec<Acl> = theirs(std::slice::from_ref(&acl)).iter().map(our_acl).collect();
            assert_eq!(there, [acl]);
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let auth = Auth { scheme: "digest".to_owned(), secret: b"user:secret".to_vec() };
        assert_eq!(format!("{auth:?}"), "Auth(digest, ...)");
    }
}
