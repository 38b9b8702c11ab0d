//! The shell around the world: loopback HTTP and TLS, the state file, the wall clock, injected faults.
//!
//! One process serves four Google APIs on a port each, and the Kubernetes API of every running cluster on a port of its
//! own. Several processes may serve one state directory at once; they take turns by request.

mod admin;
mod clusters;
mod core;
mod http;
mod offline;
mod spdy;
mod store;
mod streams;
mod tls;
mod tunnel;
mod zookeeper;

pub use offline::{read, reset, show, write};
pub use store::StoreError;
pub use tls::TlsError;

use crate::api::{Endpoints, Service, Time};
use crate::faults::{Faults, Rule};
use crate::reality::{Change, Reality};
use crate::world::World;
use clusters::{Listeners, Opened};
use core::Core;
use serde::Serialize;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::Directory;
use tls::Tls;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Where the world is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum State {
    /// In memory, gone with the server.
    #[default]
    Memory,
    /// In a directory, made when it is not there.
    Dir(PathBuf),
}

/// How virtual time goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Clock {
    /// With the wall clock, `rate` virtual seconds for each second, more than 0. Time goes on only while some process
    /// serves the state.
    Paced {
        /// Virtual seconds per second.
        rate: f64,
    },
    /// By itself whenever someone waits: a long poll, an idle watch, or a read that is repeated while nothing has changed
    /// takes time to the next event. Each request costs a virtual millisecond.
    #[default]
    Instant,
}

/// On which side of its effect a request is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The request has no effect.
    Before,
    /// The request takes effect; its response is lost.
    After,
}

/// Acts out the crash of a client: the connection of one changing request is dropped, and everything after it refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Which changing request, counted from 1 over all APIs.
    pub at: usize,
    /// Before or after it takes effect.
    pub side: Side,
}

/// A Kubernetes API outside the embedded cloud, which every cluster hands out as its own: Google's APIs are then acted out,
/// Kubernetes is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideCluster {
    /// `host:port`, reached by TLS.
    pub address: String,
    /// PEM of the CA that signed its certificate.
    pub ca_pem: String,
}

/// How to serve.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where the world is kept.
    pub state: State,
    /// Ports of Compute Engine, GKE, Filestore and Cloud Storage, in this order; 0 is any free port.
    pub ports: [u16; 4],
    /// How virtual time goes on.
    pub clock: Clock,
    /// Seed of a new world's ids. A stored world goes on with its own.
    pub seed: u64,
    /// Injected faults.
    pub faults: Vec<Rule>,
    /// Where to act out a crash.
    pub cut_at: Option<Cut>,
    /// What clusters hand out in place of an embedded Kubernetes API.
    pub outside_cluster: Option<OutsideCluster>,
    /// How what the projects are like is to be changed at the start.
    pub reality: Change,
}

/// Why the sandbox does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A port could not be had.
    #[error("cannot listen on 127.0.0.1:{port}: {source}")]
    Listen {
        /// The port asked for; 0 is any.
        port: u16,
        /// Why not.
        source: io::Error,
    },
    /// The clock's rate is not a positive number.
    #[error("the sandbox's clock rate must be a positive number, not {0}")]
    Rate(f64),
}

/// A request that was served, or refused by a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogEntry {
    /// Virtual time of its arrival, before the clock was read again.
    pub at: Time,
    /// `compute`, `container`, `filestore`, `storage` or `kubernetes`.
    pub service: String,
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The fault that struck it.
    pub fault: Option<String>,
}

/// A sandbox that is being served. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    /// Base URL of the Compute Engine API, `http://127.0.0.1:PORT`.
    pub compute: String,
    /// Base URL of the GKE API.
    pub container: String,
    /// Base URL of the Filestore API.
    pub filestore: String,
    /// Base URL of the Cloud Storage API.
    pub storage: String,
    core: Arc<Core>,
    running: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// Starts serving on loopback, in the background of the present Tokio runtime.
///
/// # Errors
/// When the state can't be used, or a port can't be had.
pub async fn start(options: Options) -> Result<Running, StartError> {
    if let Clock::Paced { rate } = options.clock
        && !(rate.is_finite() && rate > 0.0)
    {
        return Err(StartError::Rate(rate));
    }
    let directory = match &options.state {
        State::Memory => None,
        State::Dir(path) => Some(Directory::open(path)?),
    };
    let tls = match &directory {
        None => Tls::open(None)?,
        Some(directory) => {
            let _turn = directory.lock()?;
            Tls::open(Some(directory.path()))?
        }
    };
    let place = directory.as_ref().map(|directory| directory.path().display().to_string());
    let (opened, clusters) = mpsc::unbounded_channel();
    let listeners = Listeners::new(tls.ca_pem.clone(), opened, place, options.outside_cluster.clone());
    let core = Arc::new(Core::new(directory, listeners, Arc::clone(&tls.server), &options)?);
    let (running, _) = watch::channel(true);
    let mut tasks = JoinSet::new();
    let services = [Service::Compute, Service::Container, Service::Filestore, Service::Storage];
    let mut urls = Vec::with_capacity(services.len());
    for (service, port) in services.into_iter().zip(options.ports) {
        let error = |source| StartError::Listen { port, source };
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(error)?;
        urls.push(format!("http://{}", listener.local_addr().map_err(error)?));
        tasks.spawn(accept(Arc::clone(&core), service, listener, running.subscribe(), None));
    }
    tasks.spawn(accept_clusters(
        Arc::clone(&core),
        clusters,
        running.subscribe(),
        TlsAcceptor::from(tls.server),
    ));
    let mut urls = urls.into_iter();
    let mut url = || urls.next().unwrap_or_default();
    Ok(Running { compute: url(), container: url(), filestore: url(), storage: url(), core, running, tasks })
}

impl Running {
    /// Requests that arrived so far, refused ones included.
    #[must_use]
    pub fn request_count(&self) -> usize {
        self.core.request_count()
    }

    /// Tells the cloud's time, as the last request left it.
    pub fn clock(&self) -> impl Fn() -> Time + Send + Sync + 'static {
        let core = Arc::clone(&self.core);
        move || core.now()
    }

    /// Changing requests that arrived so far; what [`Cut::at`] counts.
    #[must_use]
    pub fn mutation_count(&self) -> usize {
        self.core.mutation_count()
    }

    /// Method and target of the request at which [`Options::cut_at`] has happened; `None` when it has not.
    #[must_use]
    pub fn cut_request(&self) -> Option<String> {
        self.core.struck()
    }

    /// The most recent requests, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<LogEntry> {
        self.core.log()
    }

    /// Where to act out the next crash, with changing requests counted from now on. `None` serves again after one, as
    /// to a client that is started anew.
    pub fn set_cut(&self, cut: Option<Cut>) {
        self.core.set_cut(cut);
    }

    /// Puts a copy of a world in the place of the present one; virtual time becomes the copy's.
    ///
    /// # Errors
    /// When the state can't be read or stored.
    pub fn restore(&self, world: World) -> Result<(), StoreError> {
        self.core.restore(world)
    }

    /// Lets `act` change the world itself, as no client can: its switches, for one.
    ///
    /// # Errors
    /// When the state can't be read or stored.
    pub fn alter<T>(&self, act: impl FnOnce(&mut World) -> T) -> Result<T, StoreError> {
        self.core.alter(act)
    }

    /// Where the clusters' Kubernetes APIs answer, and their CA.
    #[must_use]
    pub fn endpoints(&self) -> Endpoints {
        self.core.endpoints()
    }

    /// Lets `act` see or change the fault rules.
    pub fn faults<T>(&self, act: impl FnOnce(&mut Faults) -> T) -> T {
        self.core.faults(act)
    }

    /// What the projects are like.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn reality(&self) -> Result<Reality, StoreError> {
        self.core.reality()
    }

    /// Changes what the projects are like.
    ///
    /// # Errors
    /// When the state can't be read or stored.
    pub fn set_reality(&self, reality: Reality) -> Result<(), StoreError> {
        self.core
            .set_reality(|present| {
                *present = reality;
                true
            })
            .map(drop)
    }

    /// A copy of the world as it is now.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn world(&self) -> Result<World, StoreError> {
        self.core.world()
    }

    /// Moves virtual time on; returns the new time.
    ///
    /// # Errors
    /// When the state can't be read or stored.
    pub fn advance(&self, by: Duration) -> Result<Time, StoreError> {
        self.core.advance(u64::try_from(by.as_millis()).unwrap_or(u64::MAX))
    }

    /// Stops: no new connections, requests under way get two seconds to end.
    pub async fn stop(mut self) {
        self.running.send_replace(false);
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_secs(2), drained).await.is_err() {
            tracing::debug!("requests under way were cut off");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.running.send_replace(false);
        if let Err(error) = self.core.close() {
            tracing::warn!(%error, "the sandbox's last moment was not stored");
        }
    }
}

/// Accepts connections until the server stops; waits for those under way.
async fn accept(
    core: Arc<Core>,
    service: Service,
    listener: TcpListener,
    running: watch::Receiver<bool>,
    tls: Option<TlsAcceptor>,
) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    continue;
                }
            },
            () = http::stopped(running.clone()) => break,
        };
        // Small answers on loopback must not wait for acknowledgements.
        let _ = stream.set_nodelay(true);
        let (core, service, running, tls) =
            (Arc::clone(&core), service.clone(), running.clone(), tls.clone());
        connections.spawn(async move {
            match tls {
                None => http::serve_connection(core, service, stream, running).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => http::serve_connection(core, service, stream, running).await,
                    Err(error) => tracing::debug!(%error, "TLS handshake failed"),
                },
            }
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Serves the Kubernetes API of each cluster that appears, until the cluster or the server is gone.
async fn accept_clusters(
    core: Arc<Core>,
    mut clusters: mpsc::UnboundedReceiver<Opened>,
    running: watch::Receiver<bool>,
    tls: TlsAcceptor,
) {
    let mut open = JoinSet::new();
    loop {
        let opened = tokio::select! {
            opened = clusters.recv() => opened,
            () = http::stopped(running.clone()) => None,
        };
        let Some(Opened { key, listener, open: cluster_open }) = opened else { break };
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(cluster = key, %error, "the cluster's API is not served");
                continue;
            }
        };
        let (core, tls) = (Arc::clone(&core), tls.clone());
        let serve = accept(core, Service::Kubernetes(key), listener, cluster_open, Some(tls));
        let running = running.clone();
        open.spawn(async move {
            tokio::select! {
                () = serve => {}
                () = http::stopped(running) => {}
            }
        });
    }
}
