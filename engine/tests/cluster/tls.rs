//! The cluster's own certificate authority is believed, and no other.

use crate::loopback::{Answer, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use zkprov_engine::connection::Pace;
use zkprov_engine::error::ProviderErrorKind;
use zkprov_engine::providers::kubernetes::{KubeAccess, KubernetesProvider, static_token};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Accepts TLS for 127.0.0.1.
    fn acceptor(&self) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate: CertificateDer<'static> = params.signed_by(&key, &self.0).unwrap().der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

async fn provider(server: &Server, ca_pem: String) -> KubernetesProvider {
    let access = KubeAccess::Cluster {
        endpoint: server.endpoint.trim_start_matches("https://").to_owned(),
        ca_pem,
        token: static_token("t0ken"),
    };
    let pace = Pace { retry: std::time::Duration::from_millis(1), ..Pace::default() };
    KubernetesProvider::connect("cluster-1", &access, pace).await.unwrap()
}

#[tokio::test]
async fn the_cluster_s_authority_is_believed() {
    let authority = Authority::new();
    let version = |_: &_| Answer::Json(200, json!({"gitVersion": "v1.33.5"}));
    let server = Server::start_tls(authority.acceptor(), version).await;
    provider(&server, authority.0.pem()).await.answers().await.unwrap();
    assert_eq!(server.seen()[0].authorization, "Bearer t0ken");
}

#[tokio::test]
async fn another_authority_gets_no_token() {
    let version = |_: &_| Answer::Json(200, json!({"gitVersion": "v1.33.5"}));
    let server = Server::start_tls(Authority::new().acceptor(), version).await;
    let error = provider(&server, Authority::new().0.pem()).await.answers().await.unwrap_err();
    assert_eq!(error.kind, ProviderErrorKind::Failed, "waiting does not help: {error}");
    assert!(error.hint.contains("certificate"), "{}", error.hint);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_broken_authority_is_refused_before_anything_is_sent() {
    let pem = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".to_owned();
    let access =
        KubeAccess::Cluster { endpoint: "127.0.0.1:1".to_owned(), ca_pem: pem, token: static_token("t0ken") };
    assert!(KubernetesProvider::connect("cluster-1", &access, Pace::default()).await.is_err());
}
