//! The clusters' DNS endpoints: an HTTP proxy in place of the name system.
//!
//! Nothing on loopback can answer to `gke-….LOCATION.gke.goog`. So every Google port takes `CONNECT` as well, for those
//! names alone: a client that has `HTTPS_PROXY` set to one of them (or `proxy-url` in its kubeconfig) speaks TLS with the
//! cluster through it, by the name that the cluster gives out. The real endpoint's certificate is public; here it is of the
//! sandbox's CA.

use super::core::Core;
use super::http::{Payload, refuse, serve_connection, whole};
use crate::api::{ClusterKey, Service};
use http::uri::Authority;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// What a name and port that a client wants to reach lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The Kubernetes API of a cluster.
    Cluster(ClusterKey),
    /// The DNS endpoint of a cluster that lets nobody in from outside of Google.
    Closed,
    /// Nothing.
    Unknown,
}

/// Answers a `CONNECT`, and serves the cluster on the connection from then on.
pub(crate) fn open(
    core: &Arc<Core>,
    service: &Service,
    request: hyper::Request<Incoming>,
    running: watch::Receiver<bool>,
) -> hyper::Response<Payload> {
    let target = request.uri().authority().cloned();
    let reach = match (service, &target) {
        (Service::Kubernetes(_), _) | (_, None) => Ok(Reach::Unknown),
        (_, Some(target)) => core.reach(target.host(), target.port_u16()),
    };
    let name = target.as_ref().map_or("", Authority::as_str);
    let key = match reach {
        Ok(Reach::Cluster(key)) => key,
        Ok(Reach::Closed) => {
            return whole(refuse(403, &format!("{name} lets no traffic in from outside of Google Cloud")));
        }
        Ok(Reach::Unknown) => {
            return whole(refuse(
                502,
                &format!("the sandbox reaches its clusters' endpoints only, not {name}"),
            ));
        }
        Err(error) => return whole(refuse(500, &error.to_string())),
    };
    let (core, tls) = (Arc::clone(core), TlsAcceptor::from(Arc::clone(&core.tls)));
    tokio::spawn(async move {
        let stream = match hyper::upgrade::on(request).await {
            Ok(upgraded) => tls.accept(TokioIo::new(upgraded)).await,
            Err(error) => return tracing::debug!(%error, "no tunnel"),
        };
        match stream {
            Ok(stream) => serve_connection(core, Service::Kubernetes(key), stream, running).await,
            Err(error) => tracing::debug!(%error, "TLS handshake failed"),
        }
    });
    hyper::Response::new(Payload::Whole(None))
}
