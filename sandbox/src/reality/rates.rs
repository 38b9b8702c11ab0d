//! So many calls a minute, refilled at the start of the next minute.
//!
//! Compute Engine answers 403 with the reason `rateLimitExceeded`, the others 429 RESOURCE_EXHAUSTED
//! (hashicorp/terraform-provider-google#8360, scylladb/scylla-cluster-tests#7940 for Compute Engine; the details from
//! GoogleCloudPlatform/marketing-analytics-jumpstart#163; `Write requests` from GoogleCloudPlatform/python-docs-samples#3482).

use super::Reality;
use super::key::{Api, Key};
use super::words::{api_of, project_of};
use crate::api::{Request, Response, Time};
use crate::google::rest::project_number;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const MINUTE: Time = 60_000;

/// Calls of the present minute, by project, API and group of calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rates {
    /// Minutes since the epoch.
    minute: u64,
    used: BTreeMap<String, u64>,
    /// When whoever was refused is served again.
    refill: Option<Time>,
}

impl Rates {
    /// When something happens next by itself: the refill that somebody waits for.
    #[must_use]
    pub const fn next_event(&self) -> Option<Time> {
        self.refill
    }

    /// Carries out what is due.
    pub fn advance(&mut self, now: Time) {
        if self.refill.is_some_and(|refill| refill <= now) {
            self.refill = None;
        }
    }

    /// Counts a request; the refusal when there were too many.
    pub(crate) fn count(&mut self, reality: &Reality, request: &Request, now: Time) -> Option<Response> {
        let api = api_of(&request.service)?;
        let limit = reality.limit(Key::Rate(api))?;
        if self.minute != now / MINUTE {
            *self = Self { minute: now / MINUTE, ..Self::default() };
        }
        let group = group_of(request);
        let project = project_of(request);
        let used = self.used.entry(format!("{project} {} {group}", api.name())).or_default();
        if *used < limit {
            *used += 1;
            return None;
        }
        self.refill = Some((self.minute + 1) * MINUTE);
        Some(refusal(api, group, &project, limit))
    }
}

fn group_of(request: &Request) -> &'static str {
    if request.method == "GET" || request.path.ends_with("/wait") { "Read" } else { "Write" }
}

fn refusal(api: Api, group: &str, project: &str, limit: u64) -> Response {
    let (host, number) = (api.host(), project_number(project));
    let message = format!(
        "Quota exceeded for quota metric '{group} requests' and limit '{group} requests per minute' of service '{host}' \
         for consumer 'project_number:{number}'."
    );
    let details = json!([{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "domain": "googleapis.com",
        "metadata": {
            "consumer": format!("projects/{number}"),
            "quota_limit": format!("{group}RequestsPerMinutePerProject"),
            "quota_limit_value": limit.to_string(),
            "quota_location": "global",
            "quota_metric": format!("{host}/{}_requests", group.to_lowercase()),
            "service": host,
        },
        "reason": "RATE_LIMIT_EXCEEDED",
    }]);
    let errors = json!([{ "message": message, "domain": "usageLimits", "reason": "rateLimitExceeded" }]);
    let error = |code: u16, status: Option<&str>, errors: Option<Value>| {
        let mut error = json!({ "code": code, "message": message, "details": details });
        if let Some(status) = status {
            error["status"] = json!(status);
        }
        if let Some(errors) = errors {
            error["errors"] = errors;
        }
        Response::json(code, &json!({ "error": error }))
    };
    match api {
        Api::Compute => error(403, None, Some(errors)),
        Api::Container => error(429, Some("RESOURCE_EXHAUSTED"), Some(errors)),
        Api::Filestore => error(429, Some("RESOURCE_EXHAUSTED"), None),
    }
}
