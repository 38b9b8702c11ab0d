//! Cloud Storage: objects of a bucket, by the JSON API.
//!
//! Nothing is ever overwritten: an object is created, read, deleted. So every call may come twice, and is repeated when
//! its answer is lost.

use super::caller::{Caller, Patience};
use super::classify::{Api, is_absent, quoted_permission};
use crate::connection::{Connection, install_crypto};
use crate::credentials::Credentials;
use crate::error::{ProviderError, ProviderErrorKind};
use bytes::Bytes;
use google_cloud_auth::credentials::{CacheableResource, Credentials as GoogleCredentials};
use google_cloud_gax::Result as Answered;
use google_cloud_gax::error::Error;
use google_cloud_gax::error::rpc::Status;
use http::{Extensions, HeaderMap, Method, header};
use reqwest::{Client, Request, RequestBuilder, Response, Url};
use serde::Deserialize;
use std::time::Duration;

const ENDPOINT: &str = "https://storage.googleapis.com";
/// How a 404 begins that is about an object, and not about its bucket.
const NO_OBJECT: &str = "No such object";
/// Tries of one call, and no further one after this time: what is written here has taken a while to come by.
const TRIES: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes a second that a connection carries at the least.
const SLOWEST: u64 = 256 << 10;

/// Cloud Storage.
pub struct Storage {
    caller: Caller,
    client: Client,
    endpoint: Url,
    credentials: GoogleCredentials,
}

/// An object, of which nothing is known but its name.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    /// Its bucket.
    pub bucket: &'a str,
    /// Its name, slashes included.
    pub name: &'a str,
}

impl Object<'_> {
    fn url(&self) -> String {
        format!("gs://{}/{}", self.bucket, self.name)
    }
}

/// One page of a list by folders.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    prefixes: Vec<String>,
    next_page_token: Option<String>,
}

impl Storage {
    /// Makes the client; sends nothing.
    ///
    /// # Errors
    /// [`ProviderErrorKind::Invalid`] when the endpoint is not a URL.
    pub fn connect(connection: &Connection, credentials: &Credentials) -> Result<Self, ProviderError> {
        install_crypto();
        let invalid = |why: String| {
            let doing = format!("connecting to the {}", Api::Storage.title());
            ProviderError::new(ProviderErrorKind::Invalid, doing, why)
                .hint("an endpoint is a URL such as http://127.0.0.1:8080")
        };
        let endpoint = connection.endpoints.storage.as_deref().unwrap_or(ENDPOINT);
        Ok(Self {
            caller: Caller::new(Api::Storage, connection),
            client: Client::builder().build().map_err(|error| invalid(crate::error::one_line(&error)))?,
            endpoint: Url::parse(endpoint)
                .ok()
                .filter(|url| !url.cannot_be_a_base())
                .ok_or_else(|| invalid(format!("{endpoint} is not a URL")))?,
            credentials: credentials.google(),
        })
    }

    /// The names of the folders that are directly in a folder, sorted: what stands before the next slash in names of
    /// objects. `prefix` is empty, or ends with a slash.
    ///
    /// # Errors
    /// When the bucket can't be listed.
    pub async fn folders(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, ProviderError> {
        let what = format!("gs://{bucket}/{prefix}");
        let page = |token: Option<String>| {
            let mut url = self.url(&["storage", "v1", "b", bucket, "o"]);
            url.query_pairs_mut()
                .append_pair("delimiter", "/")
                .append_pair("prefix", prefix)
                .append_pair("fields", "prefixes,nextPageToken");
            if let Some(token) = &token {
                url.query_pairs_mut().append_pair("pageToken", token);
            }
            let request = self.client.get(url);
            async move {
                let answer = self.send(request).await?.bytes().await.map_err(Error::io)?;
                let page: Page = serde_json::from_slice(&answer).map_err(Error::deser)?;
                Ok((page.prefixes, page.next_page_token))
            }
        };
        let found = self.caller.pages(&what, page).await.map_err(|error| explained(error, bucket))?;
        let name = |path: String| {
            path.strip_prefix(prefix).map(|name| name.trim_end_matches('/').to_owned()).unwrap_or(path)
        };
        Ok(found.into_iter().map(name).collect())
    }

    /// Whether an object is there.
    ///
    /// # Errors
    /// When that can't be told.
    pub async fn exists(&self, object: Object<'_>) -> Result<bool, ProviderError> {
        let url = self.object_url(object);
        let looked = self
            .repeat("reading", object, 0, || async {
                self.send(self.client.get(url.clone())).await.map(|_| ())
            })
            .await;
        present(looked).map(|found| found.is_some())
    }

    /// The bytes of an object; `None` when it is not there. Of one that is longer than `limit` bytes no more than that and
    /// a little: it is not what its reader looks for.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn read(&self, object: Object<'_>, limit: u64) -> Result<Option<Vec<u8>>, ProviderError> {
        let mut url = self.object_url(object);
        url.query_pairs_mut().append_pair("alt", "media");
        let read = self
            .repeat("reading", object, limit, || async {
                let mut response = self.send(self.client.get(url.clone())).await?;
                let mut bytes = Vec::new();
                while let Some(chunk) = response.chunk().await.map_err(Error::io)? {
                    bytes.extend_from_slice(&chunk);
                    if bytes.len() as u64 > limit {
                        break;
                    }
                }
                Ok(bytes)
            })
            .await;
        present(read)
    }

    /// Writes a new object, as a whole or not at all.
    ///
    /// # Errors
    /// [`ProviderErrorKind::AlreadyExists`] when there is one of this name with other bytes: it is left as it is.
    pub async fn create(
        &self,
        object: Object<'_>,
        content_type: &'static str,
        bytes: Vec<u8>,
    ) -> Result<(), ProviderError> {
        let mut url = self.url(&["upload", "storage", "v1", "b", object.bucket, "o"]);
        url.query_pairs_mut()
            .append_pair("uploadType", "media")
            .append_pair("name", object.name)
            // Only if no object of this name is there.
            .append_pair("ifGenerationMatch", "0");
        let bytes = Bytes::from(bytes);
        let length = bytes.len() as u64;
        let created = self
            .repeat("writing", object, length, || async {
                let post = self.client.post(url.clone()).header(header::CONTENT_TYPE, content_type);
                self.send(post.body(bytes.clone())).await.map(|_| ())
            })
            .await;
        match created {
            // The first try may have done it, and its answer was lost: bytes tell.
            Err(error) if error.kind == ProviderErrorKind::Stale => match self.read(object, length).await? {
                Some(there) if there == bytes => Ok(()),
                Some(_) | None => Err(ProviderError::new(
                    ProviderErrorKind::AlreadyExists,
                    error.doing,
                    "there is an object of this name already, with other contents",
                )),
            },
            created => created,
        }
    }

    /// Deletes an object, and is content when it is gone already.
    ///
    /// # Errors
    /// When it can't be deleted.
    pub async fn delete(&self, object: Object<'_>) -> Result<(), ProviderError> {
        let url = self.object_url(object);
        let deleted = self
            .repeat("deleting", object, 0, || async {
                self.send(self.client.request(Method::DELETE, url.clone())).await.map(|_| ())
            })
            .await;
        present(deleted).map(|_| ())
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.endpoint.clone();
        // An endpoint that has no segments is refused at the beginning.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    fn object_url(&self, object: Object<'_>) -> Url {
        self.url(&["storage", "v1", "b", object.bucket, "o", object.name])
    }

    /// Makes a call for an object, with time for the bytes that it carries.
    async fn repeat<T, F>(
        &self,
        verb: &str,
        object: Object<'_>,
        bytes: u64,
        send: impl Fn() -> F,
    ) -> Result<T, ProviderError>
    where
        F: Future<Output = Answered<T>>,
    {
        let time = self.caller.write_time() + Duration::from_secs(bytes / SLOWEST);
        let patience = Patience { time, tries: TRIES, total: PATIENCE.max(time) };
        let doing = format!("{verb} {}", object.url());
        self.caller.repeat(&doing, patience, send).await.map_err(|error| explained(error, object.bucket))
    }

    /// Sends a request as whom we are; an answer that is no success is an error.
    async fn send(&self, request: RequestBuilder) -> Answered<Response> {
        let headers = self.credentials.headers(Extensions::new()).await.map_err(Error::authentication)?;
        let request = match headers {
            CacheableResource::New { data, .. } => request.headers(data),
            // Of what we have not asked for before nothing is known.
            CacheableResource::NotModified => request,
        };
        let request: Request = request.build().map_err(Error::ser)?;
        let response = self.client.execute(request).await.map_err(not_sent)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let headers: HeaderMap = response.headers().clone();
        let payload = response.bytes().await.map_err(Error::io)?;
        Err(match Status::try_from(&payload) {
            Ok(said) => Error::service_with_http_metadata(said, Some(status), Some(headers)),
            Err(_) => Error::http(status, headers, payload),
        })
    }
}

fn not_sent(error: reqwest::Error) -> Error {
    if error.is_connect() {
        Error::connect(error)
    } else if error.is_timeout() {
        Error::timeout(error)
    } else {
        Error::io(error)
    }
}

/// `None` when the object itself is what is not there, and not its bucket.
fn present<T>(answer: Result<T, ProviderError>) -> Result<Option<T>, ProviderError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if is_absent(&error, NO_OBJECT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Adds the next command to what can be said of a bucket.
fn explained(error: ProviderError, bucket: &str) -> ProviderError {
    if error.kind == ProviderErrorKind::NotFound && !is_absent(&error, NO_OBJECT) {
        return error.hint(format!(
            "zkprov makes no buckets: gcloud storage buckets create gs://{bucket} --location=LOCATION \
             --uniform-bucket-level-access --public-access-prevention"
        ));
    }
    let permission = quoted_permission(&error.message).filter(|name| name.starts_with("storage."));
    match permission {
        Some(permission) if error.kind == ProviderErrorKind::Denied => {
            let hint = format!(
                "gcloud storage buckets add-iam-policy-binding gs://{bucket} --member={} --role={} ({permission} is \
                 missing; roles/storage.objectAdmin has all that backups need)",
                member(&error.message),
                role(&permission),
            );
            error.hint(hint)
        }
        Some(_) | None => error,
    }
}

/// The narrowest of the predefined roles with a permission.
fn role(permission: &str) -> &'static str {
    match permission {
        "storage.objects.create" => "roles/storage.objectCreator",
        "storage.objects.get" | "storage.objects.list" => "roles/storage.objectViewer",
        _ => "roles/storage.objectAdmin",
    }
}

/// Who a refusal is about: it begins with that.
fn member(message: &str) -> String {
    match message.split_whitespace().next() {
        Some(who) if who.starts_with("principal://") => who.to_owned(),
        Some(who) if who.ends_with(".gserviceaccount.com") => format!("serviceAccount:{who}"),
        Some(who) if who.contains('@') => format!("user:{who}"),
        Some(_) | None => "\"user:$(gcloud config get account)\"".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_the_next_command() {
        let error =
            |kind, message: &str| explained(ProviderError::new(kind, "writing", message), "backups").hint;
        let denied = |who: &str, permission: &str| {
            let message = format!(
                "{who} does not have {permission} access to the Google Cloud Storage object. Permission '{permission}' \
                 denied on resource (or it may not exist). (HTTP 403)"
            );
            error(ProviderErrorKind::Denied, &message)
        };
        for (who, permission, wanted) in [
            (
                "zk@p.iam.gserviceaccount.com",
                "storage.objects.create",
                "gs://backups --member=serviceAccount:zk@p.iam.gserviceaccount.com --role=roles/storage.objectCreator (",
            ),
            (
                "me@example.com",
                "storage.objects.get",
                "--member=user:me@example.com --role=roles/storage.objectViewer (",
            ),
            (
                "Caller",
                "storage.objects.delete",
                "--member=\"user:$(gcloud config get account)\" --role=roles/storage.objectAdmin (",
            ),
        ] {
            let hint = denied(who, permission);
            assert!(hint.contains(wanted) && hint.contains(&format!("{permission} is missing")), "{hint}");
        }
        let missing = error(ProviderErrorKind::NotFound, "The specified bucket does not exist. (HTTP 404)");
        assert!(missing.contains("gcloud storage buckets create gs://backups "), "{missing}");
        let kept = "Object 'b/o' is under active retention and cannot be deleted (HTTP 403)";
        assert_eq!(error(ProviderErrorKind::Denied, kept), "");
    }

    #[test]
    fn only_the_object_itself_is_absent() {
        let error = |kind, message: &str| Err::<(), _>(ProviderError::new(kind, "reading", message));
        let missing = |message| error(ProviderErrorKind::NotFound, message);
        assert!(present(missing("No such object: backups/a/manifest.json (HTTP 404)")).unwrap().is_none());
        assert!(present(missing("The specified bucket does not exist. (HTTP 404)")).is_err());
        assert!(present(missing("Not Found (HTTP 404)")).is_err());
        assert!(present(error(ProviderErrorKind::Denied, "No such object (HTTP 403)")).is_err());
    }
}
