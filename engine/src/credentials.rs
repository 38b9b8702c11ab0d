//! Who we are: one token source for Google's APIs and for clusters.
//!
//! Application default credentials come first, as Google's own tools find them: the file that
//! `GOOGLE_APPLICATION_CREDENTIALS` names, the file of `gcloud auth application-default login`, the metadata server.
//! Only when neither file is there and no metadata server answers is `gcloud auth print-access-token` asked.

use crate::connection::{CredentialSource, install_crypto};
use crate::error::{ProviderError, ProviderErrorKind};
use google_cloud_auth::credentials::{
    AccessTokenCredentials, Builder, CacheableResource, CredentialsProvider, EntityTag,
};
use google_cloud_auth::errors::CredentialsError;
use http::{Extensions, HeaderMap, HeaderValue, header::AUTHORIZATION};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Command;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::{Instant, timeout};

/// The token that stands for nobody, for emulators.
const ANONYMOUS_TOKEN: &str = "anonymous";
/// What Google's APIs and clusters are asked for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long a metadata server may take to answer: on a machine without one the address leads nowhere.
const METADATA_PATIENCE: Duration = Duration::from_secs(3);
/// How long `gcloud` may take: it is slow to start and may refresh its own token.
const GCLOUD_PATIENCE: Duration = Duration::from_secs(30);
/// How long a token of `gcloud` is used: it never hands out one that ends sooner.
const GCLOUD_TOKEN_LIFE: Duration = Duration::from_secs(4 * 60);
const LOGIN: &str = "gcloud auth application-default login";

/// One token source, shared by every clone. Its `Debug` form shows no token.
#[derive(Clone)]
pub struct Credentials(Arc<Source>);

enum Source {
    Anonymous,
    /// A file: nothing else is tried when it fails, or we would act as somebody else than the user chose.
    File(AccessTokenCredentials),
    /// The metadata server, or `gcloud` where there is none; found out when the first token is needed.
    Ambient {
        metadata: AccessTokenCredentials,
        chosen: OnceCell<Ambient>,
        gcloud: Gcloud,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ambient {
    Metadata,
    Gcloud,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.0.as_ref() {
            Source::Anonymous => "anonymous",
            Source::File(_) => "file",
            Source::Ambient { .. } => "metadata server or gcloud",
        };
        f.debug_struct("Credentials").field("source", &source).field("token", &"[redacted]").finish()
    }
}

impl Credentials {
    /// Finds the token source; reads at most one file and sends nothing.
    ///
    /// # Errors
    /// [`ProviderErrorKind::Denied`] when a credentials file is named or found, but can't be used.
    pub fn find(source: &CredentialSource) -> Result<Self, ProviderError> {
        install_crypto();
        match source {
            CredentialSource::Anonymous => Ok(Self(Arc::new(Source::Anonymous))),
            CredentialSource::Default => {
                let found = Builder::default().with_scopes([SCOPE]).build_access_token_credentials();
                let found = found.map_err(|error| {
                    ProviderError::new(
                        ProviderErrorKind::Denied,
                        "reading application default credentials",
                        crate::error::one_line(&error),
                    )
                    .hint(format!("{LOGIN}, or name a key file in GOOGLE_APPLICATION_CREDENTIALS"))
                })?;
                Ok(Self::of(found, Gcloud::new("gcloud")))
            }
        }
    }

    fn of(found: AccessTokenCredentials, gcloud: Gcloud) -> Self {
        Self(Arc::new(if is_metadata_server(&found) {
            Source::Ambient { metadata: found, chosen: OnceCell::new(), gcloud }
        } else {
            Source::File(found)
        }))
    }

    /// A bearer token that is valid now, for the Kubernetes API of a cluster. Cached and refreshed by the source. Never
    /// log it.
    ///
    /// # Errors
    /// [`ProviderErrorKind::Denied`] when no source gives a token, [`ProviderErrorKind::Transient`] when the source
    /// itself says that trying again may help.
    pub async fn access_token(&self) -> Result<String, ProviderError> {
        match self.0.as_ref() {
            Source::Anonymous => Ok(ANONYMOUS_TOKEN.to_owned()),
            Source::File(file) => token_of(file).await,
            Source::Ambient { metadata, chosen, gcloud } => {
                let chosen = chosen.get_or_try_init(|| choose(metadata, gcloud)).await?;
                match chosen {
                    Ambient::Metadata => token_of(metadata).await,
                    Ambient::Gcloud => gcloud.token().await,
                }
            }
        }
    }

    /// The same for Google's clients.
    pub(crate) fn google(&self) -> google_cloud_auth::credentials::Credentials {
        match self.0.as_ref() {
            Source::Anonymous => google_cloud_auth::credentials::anonymous::Builder::new().build(),
            // Keeps the file's quota project and universe domain.
            Source::File(file) => google_cloud_auth::credentials::Credentials::from(file.clone()),
            Source::Ambient { .. } => google_cloud_auth::credentials::Credentials::from(self.clone()),
        }
    }
}

impl CredentialsProvider for Credentials {
    async fn headers(&self, _: Extensions) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        let failed = |error: ProviderError| {
            CredentialsError::from_msg(error.kind == ProviderErrorKind::Transient, error.to_string())
        };
        let token = self.access_token().await.map_err(failed)?;
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| CredentialsError::from_msg(false, "the access token is not a valid header value"))?;
        value.set_sensitive(true);
        Ok(CacheableResource::New {
            entity_tag: EntityTag::new(),
            data: HeaderMap::from_iter([(AUTHORIZATION, value)]),
        })
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}

/// Whether the library fell back to the metadata server. It has no other way to tell, and reading the environment a
/// second time ourselves could disagree with it.
fn is_metadata_server(found: &AccessTokenCredentials) -> bool {
    format!("{found:?}").contains("MDSCredentials")
}

async fn choose(metadata: &AccessTokenCredentials, gcloud: &Gcloud) -> Result<Ambient, ProviderError> {
    if let Ok(Ok(_)) = timeout(METADATA_PATIENCE, metadata.access_token()).await {
        return Ok(Ambient::Metadata);
    }
    gcloud.token().await.map(|_| Ambient::Gcloud)
}

async fn token_of(source: &AccessTokenCredentials) -> Result<String, ProviderError> {
    let token = source.access_token().await.map_err(|error| {
        let kind =
            if error.is_transient() { ProviderErrorKind::Transient } else { ProviderErrorKind::Denied };
        ProviderError::new(kind, "fetching an access token", crate::error::one_line(&error)).hint(LOGIN)
    })?;
    Ok(token.token)
}

/// `gcloud auth print-access-token`: the account that the user logged in with.
struct Gcloud {
    program: String,
    cached: Mutex<Option<(String, Instant)>>,
}

impl Gcloud {
    fn new(program: &str) -> Self {
        Self { program: program.to_owned(), cached: Mutex::new(None) }
    }

    async fn token(&self) -> Result<String, ProviderError> {
        let mut cached = self.cached.lock().await;
        if let Some((token, since)) = cached.as_ref()
            && since.elapsed() < GCLOUD_TOKEN_LIFE
        {
            return Ok(token.clone());
        }
        let token = self.print_access_token().await?;
        *cached = Some((token.clone(), Instant::now()));
        Ok(token)
    }

    async fn print_access_token(&self) -> Result<String, ProviderError> {
        let denied = |message: String| {
            ProviderError::new(ProviderErrorKind::Denied, "looking for Google Cloud credentials", message)
                .hint(format!("{LOGIN}, or name a key file in GOOGLE_APPLICATION_CREDENTIALS"))
        };
        let mut command = Command::new(&self.program);
        command
            .args(["auth", "print-access-token", "--quiet"])
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        let output = match timeout(GCLOUD_PATIENCE, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(denied(
                    "there are no application default credentials, no metadata server answers, and gcloud is not \
                     installed"
                        .to_owned(),
                ));
            }
            Ok(Err(error)) => return Err(denied("gcloud could not be started".to_owned()).because(error)),
            Err(_) => return Err(denied("gcloud auth print-access-token did not answer in 30 s".to_owned())),
        };
        // Only the error stream may be shown: the other one is where the token would be.
        let complaint = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let first = complaint.lines().find(|line| !line.trim().is_empty()).unwrap_or("no message").trim();
            return Err(denied(format!("gcloud auth print-access-token failed: {first}")));
        }
        match String::from_utf8(output.stdout).map(|text| text.trim().to_owned()) {
            Ok(token) if !token.is_empty() => Ok(token),
            Ok(_) | Err(_) => Err(denied("gcloud auth print-access-token printed no token".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use google_cloud_auth::credentials::{mds, user_account};
    use serde_json::json;

    fn metadata() -> AccessTokenCredentials {
        // Nothing listens on port 1.
        mds::Builder::default().with_endpoint("http://127.0.0.1:1").build_access_token_credentials().unwrap()
    }

    fn script(name: &str, text: &str) -> (tempfile::TempDir, Gcloud) {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let gcloud = Gcloud::new(path.to_str().unwrap());
        (folder, gcloud)
    }

    #[tokio::test]
    async fn anonymous_is_nobody() {
        let credentials = Credentials::find(&CredentialSource::Anonymous).unwrap();
        assert_eq!(credentials.access_token().await.unwrap(), "anonymous");
    }

    #[tokio::test]
    async fn a_file_is_never_replaced_by_gcloud() {
        install_crypto();
        let file = user_account::Builder::new(json!({"type": "authorized_user", "client_id": "c",
            "client_secret": "s", "refresh_token": "r", "token_uri": "http://127.0.0.1:1/token"}));
        let found = file.build_access_token_credentials().unwrap();
        assert!(!is_metadata_server(&found));
        let (_folder, gcloud) = script("gcloud", "#!/bin/sh\necho other-account\n");
        assert!(matches!(Credentials::of(found, gcloud).0.as_ref(), Source::File(_)));
    }

    #[tokio::test]
    async fn gcloud_is_asked_when_nothing_else_is_there() {
        install_crypto();
        assert!(is_metadata_server(&metadata()));
        let (folder, gcloud) = script(
            "gcloud",
            "#!/bin/sh\n[ \"$1 $2\" = 'auth print-access-token' ] || exit 1\necho x >> \"$(dirname \"$0\")/calls\"\n\
             echo secret-token\n",
        );
        let credentials = Credentials::of(metadata(), gcloud);
        assert_eq!(credentials.access_token().await.unwrap(), "secret-token");
        assert_eq!(credentials.access_token().await.unwrap(), "secret-token");
        assert_eq!(std::fs::read_to_string(folder.path().join("calls")).unwrap(), "x\n", "asked once");
        assert!(!format!("{credentials:?}").contains("secret-token"));
        let CacheableResource::New { data, .. } = credentials.headers(Extensions::new()).await.unwrap()
        else {
            panic!("no headers")
        };
        assert_eq!(data.get(AUTHORIZATION).unwrap(), "Bearer secret-token");
        assert!(!format!("{data:?}").contains("secret-token"));
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        install_crypto();
        let (_folder, failing) =
            script("gcloud", "#!/bin/sh\necho 'ERROR: not logged in' >&2\necho half-token\nexit 1\n");
        let error = Credentials::of(metadata(), failing).access_token().await.unwrap_err();
        assert_eq!(error.kind, ProviderErrorKind::Denied);
        assert!(error.message.contains("not logged in") && !error.message.contains("half-token"), "{error}");
        let absent = Credentials::of(metadata(), Gcloud::new("/nonexistent/gcloud"));
        let error = absent.access_token().await.unwrap_err();
        assert!(error.message.contains("gcloud is not installed"), "{error}");
        assert!(error.hint.contains("gcloud auth application-default login"));
    }
}
