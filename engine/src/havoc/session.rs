//! The canary's session with ZooKeeper, through the API server.

use super::{Store, root};
use crate::error::ProviderError;
use crate::providers::ensemble::{Gateway, Members, Target};
use crate::providers::zookeeper::{Error, Kind, Mode, Operation, ZooKeeper};
use futures::future::BoxFuture;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use zkprov_plans::zookeeper::Acl;

/// How long the session outlives its connection, as applications have it: short enough to come back soon from a member that fell
/// silent, long enough for a busy machine.
const SESSION: Duration = Duration::from_secs(10);
/// Znodes removed together.
const TOGETHER: usize = 100;

/// Writes through whichever member is ready, below `/zkprov/havoc/RUN`.
pub struct Session {
    members: Members,
    root: String,
    gateway: Gateway,
    state: Mutex<State>,
}

enum State {
    Closed,
    /// A try to connect may take longer than the canary waits for one write.
    Opening(JoinHandle<Result<ZooKeeper, Error>>),
    Open(ZooKeeper),
}

impl Session {
    /// Opens a way to the members; a session begins with the first write.
    ///
    /// # Errors
    /// When no port of this machine can be had.
    pub async fn new(members: Members, run: &str) -> Result<Self, ProviderError> {
        let gateway = members.gateway(Target::Ready).await?;
        Ok(Self { members, root: root(run), gateway, state: Mutex::new(State::Closed) })
    }

    fn path(&self, number: u64) -> String {
        format!("{}/{number:010}", self.root)
    }

    /// The session that is open, or a new one.
    async fn open(&self) -> Result<ZooKeeper, String> {
        let mut state = self.state.lock().await;
        if let State::Open(session) = &*state {
            return Ok(session.clone());
        }
        if let State::Closed = &*state {
            *state = State::Opening(tokio::spawn(begin(self.gateway.address(), self.root.clone())));
        }
        let State::Opening(opening) = &mut *state else { return Err("no session".to_owned()) };
        // Whoever does not wait that long finds the try where it was.
        let opened = opening.await;
        *state = State::Closed;
        let session = opened.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        *state = State::Open(session.clone());
        Ok(session)
    }

    /// What an error means for the session.
    async fn after(&self, error: Error) -> String {
        match error.kind {
            Kind::Expired => *self.state.lock().await = State::Closed,
            Kind::NoNode
            | Kind::NodeExists
            | Kind::NotEmpty
            | Kind::BadVersion
            | Kind::NoAuth
            | Kind::InvalidAcl
            | Kind::Lost
            | Kind::Other => {}
        }
        error.to_string()
    }

    async fn numbers(&self, session: &ZooKeeper) -> Result<BTreeSet<u64>, Error> {
        let names = session.children(&self.root).await?.unwrap_or_default();
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    async fn remove(&self) -> Result<(), Error> {
        let gateway = self.gateway.address();
        let session = ZooKeeper::connect(gateway, SESSION, &[]).await?;
        let numbers: Vec<u64> = self.numbers(&session).await?.into_iter().collect();
        for some in numbers.chunks(TOGETHER) {
            let paths: Vec<String> = some.iter().map(|number| self.path(*number)).collect();
            let deletes: Vec<Operation<'_>> =
                paths.iter().map(|path| Operation::Delete { path, version: None }).collect();
            session.multi(&deletes).await?;
        }
        for path in parents(&self.root).rev() {
            match session.delete(path, None).await {
                // Another run's.
                Err(error) if error.kind == Kind::NotEmpty => break,
                Err(error) if error.kind == Kind::NoNode => {}
                Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A path and those above it, the highest first.
fn parents(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    let ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]).collect();
    ends.into_iter().filter_map(|end| path.get(..end))
}

async fn begin(address: SocketAddr, root: String) -> Result<ZooKeeper, Error> {
    let session = ZooKeeper::connect(address, SESSION, &[]).await?;
    for path in parents(&root) {
        match session.create(path, b"", Mode::Persistent, &Acl::open()).await {
            Err(error) if error.kind == Kind::NodeExists => {}
            Ok(_) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(session)
}

impl Store for Session {
    fn write(&self, number: u64) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let session = self.open().await?;
            let (path, data) = (self.path(number), number.to_string());
            match session.create(&path, data.as_bytes(), Mode::Persistent, &Acl::open()).await {
                Ok(_) => Ok(()),
                Err(error) => Err(self.after(error).await),
            }
        })
    }

    fn read(&self, number: u64) -> BoxFuture<'_, Result<bool, String>> {
        Box::pin(async move {
            let State::Open(session) = &*self.state.lock().await else {
                return Err("the session is over".to_owned());
            };
            let read = session.get(&self.path(number)).await.map_err(|error| error.to_string())?;
            Ok(read.is_some_and(|(data, _)| data == number.to_string().as_bytes()))
        })
    }

    fn numbers_on<'a>(&'a self, pod: &'a str) -> BoxFuture<'a, Result<BTreeSet<u64>, String>> {
        Box::pin(async move {
            let gateway = self.members.gateway(Target::Pod(pod.to_owned())).await;
            let gateway = gateway.map_err(|error| crate::error::one_line(&error))?;
            let read = async {
                let session = ZooKeeper::connect(gateway.address(), SESSION, &[]).await?;
                session.sync().await?;
                self.numbers(&session).await
            };
            read.await.map_err(|error: Error| error.to_string())
        })
    }

    fn clean(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { self.remove().await.map_err(|error| error.to_string()) })
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_parents_of_a_path_come_from_the_top() {
        let all: Vec<&str> = super::parents("/zkprov/havoc/r").collect();
        assert_eq!(all, ["/zkprov", "/zkprov/havoc", "/zkprov/havoc/r"]);
    }
}
