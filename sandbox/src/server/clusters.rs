//! A listener on loopback for the Kubernetes API of each running cluster.

use super::OutsideCluster;
use crate::api::{ClusterKey, Endpoints};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// A cluster's listener, to be served until `open` turns false or its sender is gone.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) key: ClusterKey,
    pub(crate) listener: TcpListener,
    pub(crate) open: watch::Receiver<bool>,
}

/// The listeners of this process.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) endpoints: Endpoints,
    open: BTreeMap<ClusterKey, watch::Sender<bool>>,
    opened: mpsc::UnboundedSender<Opened>,
    /// What the preferred ports are derived from; `None`: any free port.
    place: Option<String>,
    /// Handed out in place of listeners.
    outside: Option<String>,
}

impl Listeners {
    pub(crate) fn new(
        ca_pem: String,
        opened: mpsc::UnboundedSender<Opened>,
        place: Option<String>,
        outside: Option<OutsideCluster>,
    ) -> Self {
        let (outside, ca_pem) = match outside {
            Some(OutsideCluster { address, ca_pem }) => (Some(address), ca_pem),
            None => (None, ca_pem),
        };
        let endpoints = Endpoints { clusters: BTreeMap::new(), ca_pem };
        Self { endpoints, open: BTreeMap::new(), opened, place, outside }
    }

    /// Whether clusters hand out a Kubernetes API that is not this process's.
    pub(crate) const fn is_outside(&self) -> bool {
        self.outside.is_some()
    }

    /// Opens and closes listeners so that exactly these clusters have one.
    pub(crate) fn sync(&mut self, keys: &BTreeSet<&ClusterKey>) {
        if let Some(address) = &self.outside {
            self.endpoints.clusters = keys.iter().map(|key| ((*key).clone(), address.clone())).collect();
            return;
        }
        if self.open.keys().eq(keys.iter().copied()) {
            return;
        }
        self.open.retain(|key, _| keys.contains(&key));
        self.endpoints.clusters.retain(|key, _| keys.contains(&key));
        for key in keys {
            if !self.open.contains_key(*key) {
                self.open_one(key);
            }
        }
    }

    fn open_one(&mut self, key: &str) {
        let listener = match bind(self.preferred_port(key)) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(cluster = key, %error, "no port for the cluster's API");
                return;
            }
        };
        let Ok(address) = listener.local_addr() else { return };
        let (sender, open) = watch::channel(true);
        // The receiver is gone only when the server stops.
        if self.opened.send(Opened { key: key.to_owned(), listener, open }).is_ok() {
            self.open.insert(key.to_owned(), sender);
            self.endpoints.clusters.insert(key.to_owned(), address.to_string());
        }
    }

    /// A kubeconfig stays good from one serving process to the next because the port is the same, if it is free.
    fn preferred_port(&self, key: &str) -> Option<u16> {
        let place = self.place.as_ref()?;
        let digest = Sha256::digest(format!("{place}\n{key}"));
        let number = digest.iter().take(4).fold(0u32, |value, byte| (value << 8) | u32::from(*byte));
        u16::try_from(20_000 + number % 12_000).ok()
    }
}

fn bind(preferred: Option<u16>) -> std::io::Result<TcpListener> {
    let kept = preferred.and_then(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let listener = kept.map_or_else(|| TcpListener::bind(("127.0.0.1", 0)), Ok)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
