//! A ZooKeeper address on this machine: each connection to it goes to a member, through the API server.

use super::reach::Members;
use crate::error::{ProviderError, ProviderErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Which member a connection goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One that is ready now, the next one each time.
    Ready,
    /// The pod of this name, ready or not.
    Pod(String),
}

/// A listener on the loopback address. It ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Gateway {
    pub(super) async fn open(members: Members, target: Target) -> Result<Self, ProviderError> {
        let unusable = |error: std::io::Error| {
            let doing = "listening on a port of this machine";
            ProviderError::new(ProviderErrorKind::Failed, doing, error.to_string())
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        Ok(Self { address, task: tokio::spawn(accept(listener, Arc::new(Way { members, target }))) })
    }

    /// Where a ZooKeeper client connects to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Way {
    members: Members,
    target: Target,
}

/// How many connections were begun: whose turn it is.
static TURN: AtomicUsize = AtomicUsize::new(0);

async fn accept(listener: TcpListener, way: Arc<Way>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(Arc::clone(&way).carry(stream));
                }
                // Out of file descriptors, for one: the next may do better.
                Err(error) => {
                    tracing::debug!(%error, "a connection was not accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

impl Way {
    /// Carries one connection. When there is no way to a member it is closed, and the client comes again.
    async fn carry(self: Arc<Self>, mut client: TcpStream) {
        let _ = client.set_nodelay(true);
        let member = match self.member().await {
            Ok(member) => member,
            Err(error) => {
                tracing::debug!(%error, "no member to connect to");
                return;
            }
        };
        match self.members.connect(&member).await {
            Ok(mut stream) => {
                let ended = tokio::io::copy_bidirectional(&mut client, &mut stream).await;
                tracing::debug!(pod = member, ?ended, "a connection to a member ended");
            }
            Err(error) => tracing::debug!(%error, "no connection to a member"),
        }
    }

    async fn member(&self) -> Result<String, ProviderError> {
        match &self.target {
            Target::Pod(name) => Ok(name.clone()),
            Target::Ready => {
                let mut ready = self.members.ready().await?;
                if ready.is_empty() {
                    let doing = "choosing a member to connect to";
                    return Err(ProviderError::new(ProviderErrorKind::Transient, doing, "no pod is ready"));
                }
                let turn = TURN.fetch_add(1, Ordering::Relaxed) % ready.len();
                Ok(ready.swap_remove(turn))
            }
        }
    }
}
