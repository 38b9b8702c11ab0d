//! How the APIs are reached: endpoints, credentials, pace.

use crate::wait::Clock;
use std::time::Duration;

/// Where each API answers; `None` is Google's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// `https://compute.googleapis.com`
    pub compute: Option<String>,
    /// `https://container.googleapis.com`
    pub container: Option<String>,
    /// `https://file.googleapis.com`
    pub filestore: Option<String>,
    /// `https://storage.googleapis.com`
    pub storage: Option<String>,
}

/// Who we are to Google's APIs and to clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// No credentials: an emulator. Clusters get the static bearer token `anonymous`.
    Anonymous,
    /// Application default credentials, a metadata server, or `gcloud auth print-access-token` when nothing else is there.
    Default,
}

/// How fast to poll and how long to wait. Waits are long polls and watches wherever an API has them.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// First pause between polls of an API that has no long poll (GKE operations, Exhibitor).
    pub poll: Duration,
    /// Longest pause between polls.
    pub poll_max: Duration,
    /// First pause before a retry.
    pub retry: Duration,
    /// Time-out of one read; a write has three times as long.
    pub request: Duration,
    /// Deadline of one operation or readiness wait.
    pub step: Duration,
    /// Deadline of a formation.
    pub formation: Duration,
    /// How long Exhibitor may take to bring every member back by itself: to give the place of a lost one to a new pod it
    /// takes up to two minutes, to restart the others another, and an election can take half of one more.
    pub restart: Duration,
    /// The clock that measures the last three.
    pub clock: Clock,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            poll_max: Duration::from_secs(5),
            retry: Duration::from_secs(1),
            request: Duration::from_secs(10),
            step: Duration::from_secs(45 * 60),
            formation: Duration::from_secs(15 * 60),
            restart: Duration::from_secs(4 * 60),
            clock: Clock::MACHINE,
        }
    }
}

/// Everything needed to reach the APIs.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Where.
    pub endpoints: Endpoints,
    /// As whom.
    pub credentials: CredentialSource,
    /// How fast.
    pub pace: Pace,
    /// Requests under way at once, at least 1.
    pub parallelism: usize,
    /// Whether this runs in a pod of the ensemble's cluster, and is to reach it as that pod: whatever cluster the file names.
    pub in_cluster: bool,
}

/// Makes `ring` the process's one TLS crypto provider. The clients of Google's APIs and of Kubernetes both take the
/// process default; see `docs/decisions/001-ring-only.md`. May be called any number of times, from any thread.
pub fn install_crypto() {
    // An error means that a provider is installed already: the caller's own choice, or an earlier call.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::crypto::CryptoProvider;
    use rustls::{ClientConfig, RootCertStore};

    #[test]
    fn one_provider_is_installed_and_a_second_call_is_harmless() {
        install_crypto();
        install_crypto();
        assert!(CryptoProvider::get_default().is_some());
        // Panics when no provider is installed and none, or more than one, is linked.
        let config =
            ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        assert!(!config.crypto_provider().cipher_suites.is_empty());
    }
}
