//! How a cluster is reached: by what the GKE API says of it, or by a named context of the user's kubeconfig; never by
//! the current context.

use crate::error::{ProviderError, ProviderErrorKind};
use crate::providers::kubernetes::api::{ApiServer, chain};
use futures::future::BoxFuture;
use http::uri::Scheme;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{ClientBuilder, ConfigExt};
use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(15);
/// How often an API server that owes an answer is asked for a sign of life, and how long it may take to give one: a
/// connection that is dead must not be used for the next request.
const PING: Duration = Duration::from_secs(10);

/// Gives a bearer token for each request; renews it when it runs out.
pub type TokenSource = Arc<dyn Fn() -> BoxFuture<'static, Result<String, ProviderError>> + Send + Sync>;

/// A token that never changes.
#[must_use]
pub fn static_token(token: impl Into<String>) -> TokenSource {
    let token = token.into();
    Arc::new(move || {
        let token = token.clone();
        Box::pin(async move { Ok(token) })
    })
}

/// How a cluster is reached.
#[derive(Clone)]
pub enum KubeAccess {
    /// By the cluster object.
    Cluster {
        /// `HOST` or `HOST:PORT`, reached by TLS. `http://` is taken for a loopback address alone.
        endpoint: String,
        /// The cluster's certificate authority, PEM.
        ca_pem: String,
        /// Bearer token for each request.
        token: TokenSource,
    },
    /// By this context of the user's kubeconfig, with its own way to authenticate.
    Context(String),
    /// As the pod that this runs in, by its service account.
    Pod,
}

impl fmt::Debug for KubeAccess {
    /// Without the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster { endpoint, .. } => write!(f, "KubeAccess::Cluster({endpoint})"),
            Self::Pod => f.write_str("KubeAccess::Pod"),
            Self::Context(name) => write!(f, "KubeAccess::Context({name})"),
        }
    }
}

fn unusable(message: impl Into<String>) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Invalid, "connecting to the cluster", message)
}

/// Makes the client; nothing is sent yet.
pub(crate) async fn connect(access: &KubeAccess) -> Result<ApiServer, ProviderError> {
    // A process has one TLS provider; another part of it may have chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match access {
        KubeAccess::Cluster { endpoint, ca_pem, token } => {
            let config = cluster_config(endpoint, ca_pem)?;
            let client = cluster_client(&config)?;
            Ok(ApiServer::new(client, config, Some(Arc::clone(token))))
        }
        KubeAccess::Context(name) => with_own_credentials(context_config(name).await?),
        KubeAccess::Pod => with_own_credentials(pod_config()?),
    }
}

/// A client of a configuration that says who we are.
fn with_own_credentials(mut config: Config) -> Result<ApiServer, ProviderError> {
    // Repeating is the executor's decision: it knows which calls may be repeated.
    config.default_retry = false;
    let client = Client::try_from(config.clone()).map_err(|error| unusable(chain(&error)))?;
    Ok(ApiServer::new(client, config, None))
}

/// A client that repeats nothing, and carries all requests over one connection: an API server speaks HTTP/2, and no
/// proxy in between could ask for less, since only the cluster's own authority is believed.
fn cluster_client(config: &Config) -> Result<Client, ProviderError> {
    let mut tls = config.rustls_client_config().map_err(|error| unusable(chain(&error)))?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    let client = legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .http2_only(config.cluster_url.scheme() == Some(&Scheme::HTTPS))
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PING)
        .build(HttpsConnector::from((tcp, tls)));
    let builder = ClientBuilder::new(client, config.default_namespace.clone());
    Ok(builder.with_layer(&config.base_uri_layer()).build())
}

fn cluster_config(endpoint: &str, ca_pem: &str) -> Result<Config, ProviderError> {
    let url = match endpoint.strip_prefix("http://") {
        Some(host) if is_loopback(host) => endpoint.to_owned(),
        Some(_) => return Err(unusable(format!("{endpoint} is not encrypted"))),
        None => format!("https://{}", endpoint.strip_prefix("https://").unwrap_or(endpoint)),
    };
    let url = url.parse().map_err(|error| unusable(format!("endpoint {endpoint}: {error}")))?;
    let mut config = Config::new(url);
    if !ca_pem.is_empty() {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(ca_pem.as_bytes())
            .map(|certificate| certificate.map(|der| der.as_ref().to_vec()))
            .collect();
        let certificates =
            certificates.map_err(|error| unusable(format!("the cluster's CA certificate: {error}")))?;
        config.root_cert = Some(certificates);
    }
    Ok(config)
}

fn is_loopback(host: &str) -> bool {
    let host = host.split('/').next().unwrap_or_default();
    let address = host.rsplit_once(':').map_or(host, |(address, _)| address);
    address == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn context_config(name: &str) -> Result<Config, ProviderError> {
    let options = KubeConfigOptions { context: Some(name.to_owned()), ..KubeConfigOptions::default() };
    Config::from_kubeconfig(&options).await.map_err(|error| {
        unusable(format!("kubeconfig context {name}: {}", chain(&error)))
            .hint("`kubectl config get-contexts` lists the contexts")
    })
}

fn pod_config() -> Result<Config, ProviderError> {
    Config::incluster().map_err(|error| {
        unusable(format!("this is no pod with a service account: {}", chain(&error)))
            .hint("--in-cluster is for jobs in the ensemble's cluster; leave it out elsewhere")
    })
}
