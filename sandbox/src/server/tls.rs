//! The certificates of the Kubernetes endpoints: one CA for a state directory, kept there, so that later processes
//! present certificates of the same CA.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate could not be made.
    #[error("cannot make the clusters' certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The TLS library refused it.
    #[error("cannot serve TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The CA could not be kept.
    #[error("cannot keep the clusters' CA: {0}")]
    Io(#[from] io::Error),
}

/// A CA and a server configuration that it vouches for.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    pub(crate) ca_pem: String,
    pub(crate) server: Arc<ServerConfig>,
}

impl Tls {
    /// Uses the CA of the directory, made when it is not there; without a directory, a CA of its own.
    pub(crate) fn open(directory: Option<&Path>) -> Result<Self, TlsError> {
        let (ca_pem, ca_key) = match directory {
            None => new_ca()?,
            Some(path) => kept_ca(path)?,
        };
        // The issuer is made from the parameters again: name and key are all that a chain is checked by.
        let issuer = Issuer::new(ca_params()?, ca_key);
        let key = KeyPair::generate()?;
        let names = ["localhost", "127.0.0.1", "kubernetes", "kubernetes.default.svc"];
        let mut params = CertificateParams::new(names.map(str::to_owned))?;
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        let certificate = params.signed_by(&key, &issuer)?;
        let usual = certified(&certificate, &key)?;
        let mut server =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(Certificates { usual: Arc::new(usual), issuer, key }));
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { ca_pem, server: Arc::new(server) })
    }
}

/// Certificates by the name that a client asks for.
struct Certificates {
    usual: Arc<CertifiedKey>,
    issuer: Issuer<'static, KeyPair>,
    key: KeyPair,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl Certificates {
    /// A certificate for the DNS endpoint of a cluster.
    fn of_endpoint(&self, name: &str) -> Result<CertifiedKey, TlsError> {
        let params = CertificateParams::new(vec![name.to_owned()])?;
        certified(&params.signed_by(&self.key, &self.issuer)?, &self.key)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match hello.server_name().filter(|name| name.ends_with(".gke.goog")) {
            Some(name) => self.of_endpoint(name).ok().map(Arc::new),
            None => Some(Arc::clone(&self.usual)),
        }
    }
}

fn certified(certificate: &Certificate, key: &KeyPair) -> Result<CertifiedKey, TlsError> {
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(CertifiedKey::new(chain, any_supported_type(&key)?))
}

fn ca_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "zkprov sandbox CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn new_ca() -> Result<(String, KeyPair), rcgen::Error> {
    let key = KeyPair::generate()?;
    let certificate = ca_params()?.self_signed(&key)?;
    Ok((certificate.pem(), key))
}

/// Certificate and key are one file: two could be from two processes.
fn kept_ca(directory: &Path) -> Result<(String, KeyPair), TlsError> {
    let path = directory.join("ca.pem");
    match fs::read_to_string(&path) {
        Ok(text) => {
            let end = "-----END CERTIFICATE-----\n";
            let at = text.find(end).map_or(0, |at| at + end.len());
            let (certificate, key) = text.split_at(at);
            Ok((certificate.to_owned(), KeyPair::from_pem(key)?))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (certificate, key) = new_ca()?;
            let temporary = directory.join("ca.pem.tmp");
            fs::write(&temporary, format!("{}{}", unix_lines(&certificate), key.serialize_pem()))?;
            restrict(&temporary)?;
            fs::rename(&temporary, &path)?;
            Ok((unix_lines(&certificate), key))
        }
        Err(error) => Err(error.into()),
    }
}

fn unix_lines(pem: &str) -> String {
    pem.replace("\r\n", "\n")
}

#[cfg(unix)]
fn restrict(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn restrict(_path: &Path) -> io::Result<()> {
    Ok(())
}
