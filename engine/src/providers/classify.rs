//! From what a client reports to what can be done about it.

use crate::error::{ProviderError, ProviderErrorKind, one_line};
use google_cloud_gax::error::rpc::{Code, StatusDetails};
use google_cloud_gax::error::{CredentialsError, Error};
use std::error::Error as _;
use std::time::Duration;

/// The Google APIs that are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Compute,
    Container,
    Filestore,
    Storage,
}

impl Api {
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Compute => "Compute Engine API",
            Self::Container => "Kubernetes Engine API",
            Self::Filestore => "Cloud Filestore API",
            Self::Storage => "Cloud Storage API",
        }
    }

    const fn service(self) -> &'static str {
        match self {
            Self::Compute => "compute.googleapis.com",
            Self::Container => "container.googleapis.com",
            Self::Filestore => "file.googleapis.com",
            Self::Storage => "storage.googleapis.com",
        }
    }

    const fn role(self) -> &'static str {
        match self {
            Self::Compute => "roles/compute.admin",
            Self::Container => "roles/container.admin",
            Self::Filestore => "roles/file.editor",
            Self::Storage => "roles/storage.objectAdmin",
        }
    }
}

/// Whether a call changes something: after a lost answer, a read can be repeated and a write can't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    Read,
    Write,
}

impl Intent {
    const fn lost(self) -> ProviderErrorKind {
        match self {
            Self::Read => ProviderErrorKind::Transient,
            Self::Write => ProviderErrorKind::OutcomeUnknown,
        }
    }
}

/// Says what `error` means for a call of `api`.
pub(super) fn classify(api: Api, intent: Intent, doing: &str, error: Error) -> ProviderError {
    use ProviderErrorKind::{Denied, Invalid, Transient};
    let at = |kind, message| ProviderError::new(kind, doing, message);
    if error.is_authentication() {
        let credentials = error.source().and_then(|source| source.downcast_ref::<CredentialsError>());
        let kind = if credentials.is_some_and(CredentialsError::is_transient) { Transient } else { Denied };
        let message = credentials.map_or_else(|| one_line(&error), |source| one_line(source));
        return at(kind, message).hint("gcloud auth application-default login");
    }
    if let Some(answer) = Answer::of(&error) {
        let (kind, hint) = (answer.kind(intent), answer.hint(api));
        let mut mine = at(kind, answer.message.clone()).hint(hint);
        mine.retry_after = answer.retry_after;
        // All that it says is in the message.
        return mine;
    }
    if error.is_connect() {
        return at(Transient, format!("{} can't be reached: {}", api.title(), root_cause(&error)))
            .hint("check the network, the proxy and the endpoint, then run the same command again");
    }
    if error.is_timeout() {
        return at(intent.lost(), format!("{} did not answer in time", api.title()));
    }
    if error.is_io() || error.is_transport() {
        return at(intent.lost(), format!("the connection to {} broke: {}", api.title(), root_cause(&error)));
    }
    if error.is_deserialization() {
        return at(
            intent.lost(),
            format!("{} sent an unreadable answer: {}", api.title(), root_cause(&error)),
        );
    }
    at(Invalid, one_line(&error))
}

/// The innermost cause: `connection refused` rather than four wrappers around it.
fn root_cause(error: &Error) -> String {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    one_line(cause)
}

/// An error that the service itself answered.
struct Answer {
    http: u16,
    code: Option<Code>,
    message: String,
    reasons: Vec<String>,
    permission: Option<String>,
    retry_after: Option<Duration>,
}

impl Answer {
    fn of(error: &Error) -> Option<Self> {
        let status = error.status();
        let http = error.http_status_code().filter(|http| *http >= 400);
        if status.is_none() && http.is_none() {
            return None;
        }
        let mut answer = Self {
            http: http.unwrap_or_default(),
            code: status.map(|status| status.code),
            message: String::new(),
            reasons: Vec::new(),
            permission: None,
            retry_after: header_delay(error),
        };
        for detail in status.into_iter().flat_map(|status| &status.details) {
            if let StatusDetails::ErrorInfo(info) = detail {
                answer.reasons.push(info.reason.clone());
                answer.permission = answer.permission.or_else(|| info.metadata.get("permission").cloned());
            }
            if let StatusDetails::RetryInfo(retry) = detail {
                let delay = retry.retry_delay.as_ref().and_then(|delay| Duration::try_from(*delay).ok());
                answer.retry_after = answer.retry_after.or(delay);
            }
        }
        let said = match status {
            Some(status) if !status.message.is_empty() => status.message.clone(),
            Some(_) | None => payload_text(error),
        };
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        answer.message = match http {
            Some(http) if said.is_empty() => format!("HTTP status {http}"),
            Some(http) => format!("{said} (HTTP {http})"),
            None => said,
        };
        answer.permission = answer.permission.or_else(|| quoted_permission(&answer.message));
        Some(answer)
    }

    fn has(&self, reasons: &[&str]) -> bool {
        self.reasons.iter().any(|own| reasons.iter().any(|reason| own.eq_ignore_ascii_case(reason)))
    }

    fn rate_limited(&self) -> bool {
        self.has(&[
            "rateLimitExceeded",
            "userRateLimitExceeded",
            "RATE_LIMIT_EXCEEDED",
            "CONCURRENT_OPERATIONS_QUOTA_EXCEEDED",
        ])
    }

    fn switched_off(&self) -> bool {
        self.has(&["accessNotConfigured", "SERVICE_DISABLED"])
    }

    fn over_quota(&self) -> bool {
        self.has(&["quotaExceeded", "QUOTA_EXCEEDED"])
    }

    /// The service is working on the resource already. GKE says so with FAILED_PRECONDITION and a text alone.
    fn busy(&self) -> bool {
        let busy_reason = self.has(&[
            "operationInProgress",
            "resourceNotReady",
            "resourceInUseByAnotherResource",
            "CLUSTER_ALREADY_HAS_OPERATION",
        ]);
        let precondition = self.code == Some(Code::FailedPrecondition) || self.has(&["failedPrecondition"]);
        let says = |part: &str| self.message.contains(part);
        busy_reason
            || precondition && (says("incompatible operation") || says("currently") || says("operation-"))
    }

    fn stale(&self) -> bool {
        let precondition = self.code == Some(Code::FailedPrecondition) || self.has(&["conditionNotMet"]);
        precondition && self.message.to_ascii_lowercase().contains("fingerprint")
    }

    fn kind(&self, intent: Intent) -> ProviderErrorKind {
        use ProviderErrorKind::{
            AlreadyExists, Busy, Denied, Failed, Invalid, NotFound, QuotaExceeded, Stale, Transient,
        };
        match self.http {
            _ if self.rate_limited() => Transient,
            400 | 409 if self.busy() => Busy,
            400 if self.stale() => Stale,
            403 | 429 if self.over_quota() => QuotaExceeded,
            401 | 403 => Denied,
            404 => NotFound,
            409 if self.has(&["alreadyExists"]) || self.code == Some(Code::AlreadyExists) => AlreadyExists,
            409 | 412 => Stale,
            408 | 502 | 504 => intent.lost(),
            429 | 500 | 503 => Transient,
            400..=499 => Invalid,
            // 501, 505 and what else a server says of itself: no repetition helps.
            _ => Failed,
        }
    }

    fn hint(&self, api: Api) -> String {
        match self.http {
            _ if self.rate_limited() => String::new(),
            _ if self.switched_off() => {
                format!("gcloud services enable {} --project={}", api.service(), project(&self.message))
            }
            403 | 429 if self.over_quota() => {
                "ask for more at https://console.cloud.google.com/iam-admin/quotas, or ask for less in the file".to_owned()
            }
            401 => "gcloud auth application-default login".to_owned(),
            // Who may is the bucket's own matter, and its name is not known here.
            403 if api == Api::Storage => String::new(),
            403 => {
                let missing = self.permission.as_ref().map(|name| format!(" ({name} is missing)")).unwrap_or_default();
                format!(
                    "gcloud projects add-iam-policy-binding {} --member=\"user:$(gcloud config get account)\" --role={}{missing}",
                    project(&self.message),
                    api.role()
                )
            }
            _ => String::new(),
        }
    }
}

/// The project that a message is about, or what a shell puts in its place.
fn project(message: &str) -> String {
    let named = message.split("projects/").nth(1).unwrap_or_default();
    let part = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.');
    let name: String = named.chars().take_while(part).collect();
    let name = name.trim_end_matches(['.', ':']);
    if name.is_empty() { "\"$(gcloud config get project)\"".to_owned() } else { name.to_owned() }
}

/// Whether a 404 says that this resource (`clusters/cluster-1`) is absent, and not its project or its location.
pub(super) fn is_absent(error: &ProviderError, resource: &str) -> bool {
    error.kind == ProviderErrorKind::NotFound && error.message.contains(resource)
}

/// `Retry-After` in seconds; a date is rare enough to be left to the usual pause.
fn header_delay(error: &Error) -> Option<Duration> {
    let value = error.http_headers()?.get(http::header::RETRY_AFTER)?;
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The beginning of an answer that is not one of Google's error documents, e.g. a proxy's page.
fn payload_text(error: &Error) -> String {
    let payload =
        error.http_payload().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
    payload.chars().take(200).collect()
}

/// `compute.instances.list` in `Required 'compute.instances.list' permission for 'projects/p'`.
pub(super) fn quoted_permission(message: &str) -> Option<String> {
    let words = message.split(['\'', '"']).skip(1).step_by(2);
    let is_permission = |word: &&str| {
        word.split('.').count() == 3 && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
    };
    words.into_iter().find(is_permission).map(str::to_owned)
}

/// What an operation that ended in an error means. `code` is a compute error code (`QUOTA_EXCEEDED`) or the name of an
/// RPC code (`RESOURCE_EXHAUSTED`).
pub(super) fn operation_failure(doing: &str, code: &str, message: &str) -> ProviderError {
    use ProviderErrorKind::{
        AlreadyExists, Busy, Denied, Failed, Invalid, NotFound, QuotaExceeded, Transient,
    };
    let stock_out = code.starts_with("ZONE_RESOURCE_POOL_EXHAUSTED");
    let kind = match code {
        _ if stock_out => QuotaExceeded,
        "QUOTA_EXCEEDED" | "RESOURCE_EXHAUSTED" | "GCE_STOCKOUT" | "GCE_QUOTA_EXCEEDED" => QuotaExceeded,
        "RESOURCE_ALREADY_EXISTS" | "ALREADY_EXISTS" => AlreadyExists,
        "RESOURCE_NOT_FOUND" | "NOT_FOUND" => NotFound,
        "RESOURCE_NOT_READY" | "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE" | "RESOURCE_OPERATION_RATE_EXCEEDED" => {
            Busy
        }
        "PERMISSIONS_ERROR" | "PERMISSION_DENIED" | "UNAUTHENTICATED" => Denied,
        "INVALID_ARGUMENT" | "INVALID_FIELD_VALUE" | "INVALID_USAGE" | "BAD_REQUEST" => Invalid,
        "INTERNAL_ERROR" | "INTERNAL" | "UNAVAILABLE" | "DEADLINE_EXCEEDED" => Transient,
        _ => Failed,
    };
    let hint = if stock_out {
        "the zone has no such machine now: try later, another machineType, or another zone"
    } else if kind == QuotaExceeded {
        "ask for more at https://console.cloud.google.com/iam-admin/quotas, or ask for less in the file"
    } else {
        ""
    };
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = if message.is_empty() { code.to_owned() } else { format!("{code}: {message}") };
    ProviderError::new(kind, doing, message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::{is_absent, project};
    use crate::error::{ProviderError, ProviderErrorKind};

    #[test]
    fn hints_can_be_pasted() {
        let denied = "Required 'compute.instances.list' permission for 'projects/my-project' (HTTP 403)";
        assert_eq!(project(denied), "my-project");
        assert_eq!(project("denied on projects/example.com:p."), "example.com:p");
        assert_eq!(project("denied"), "\"$(gcloud config get project)\"");
    }

    #[test]
    fn only_the_resource_itself_is_absent() {
        let error = |message: &str| ProviderError::new(ProviderErrorKind::NotFound, "reading", message);
        let resource = "clusters/cluster-1";
        assert!(is_absent(&error("Not found: projects/p/zones/z/clusters/cluster-1."), resource));
        assert!(!is_absent(&error("Not found: projects/p."), resource));
        assert!(!is_absent(&error("Location \"z\" does not exist."), resource));
    }
}
