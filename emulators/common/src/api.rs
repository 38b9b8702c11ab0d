//! Requests and answers of the world, free of any HTTP library.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Virtual time: milliseconds since the Unix epoch.
pub type Time = u64;

/// A virtual time in RFC 3339, with milliseconds, in UTC: `2026-01-01T00:00:00.000Z`.
#[must_use]
pub fn timestamp(time: Time) -> String {
    let milliseconds = i64::try_from(time).unwrap_or(i64::MAX);
    let moment = jiff::Timestamp::from_millisecond(milliseconds).unwrap_or(jiff::Timestamp::MAX);
    format!("{moment:.3}")
}

/// A cluster, as `PROJECT/LOCATION/NAME`.
pub type ClusterKey = String;

/// Which API a request came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// `compute.googleapis.com`
    Compute,
    /// `container.googleapis.com`
    Container,
    /// `file.googleapis.com`
    Filestore,
    /// `storage.googleapis.com`
    Storage,
    /// The Kubernetes API of one cluster.
    Kubernetes(ClusterKey),
}

/// A request, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which API.
    pub service: Service,
    /// Upper case.
    pub method: String,
    /// Path without query, as sent (still percent-encoded), beginning with `/`.
    pub path: String,
    /// Decoded query pairs, in order.
    pub query: Vec<(String, String)>,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body as sent.
    pub body: Vec<u8>,
}

impl Request {
    /// First value of a query parameter.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// First value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; an empty body is `{}`.
    ///
    /// # Errors
    /// When the body is not JSON.
    pub fn json(&self) -> Result<Value, serde_json::Error> {
        if self.body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(&self.body) }
    }

    /// Percent-decoded, non-empty segments of the path.
    #[must_use]
    pub fn segments(&self) -> Vec<String> {
        self.path.split('/').filter(|part| !part.is_empty()).map(percent_decode).collect()
    }
}

/// Decodes `%XX`; other bytes stay.
#[must_use]
pub fn percent_decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The pairs of a query, decoded, in order.
#[must_use]
pub fn decode_query(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode(&text.replace('+', " "));
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}

/// A finished response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Response {
    /// A JSON response.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), "application/json; charset=UTF-8".to_owned())],
            body: body.to_string().into_bytes(),
        }
    }

    /// A text response.
    #[must_use]
    pub fn text(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.into(),
        }
    }
}

/// What the world says to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The response.
    Done(Response),
    /// Not yet (a long poll): hand the same request in again when the world has moved on. At `deadline` the handler
    /// answers [`Answer::Done`] with what there is; it must be computed from the request's first hand-in, so the shell
    /// passes the time of that in [`Context::arrived`].
    Later,
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self::Done(response)
    }
}

/// What handlers get beside the request.
#[derive(Debug)]
pub struct Context<'a> {
    /// Virtual time now.
    pub now: Time,
    /// Virtual time when this request was first handed in (for long polls).
    pub arrived: Time,
    /// Deterministic ids.
    pub ids: &'a mut crate::ids::Ids,
    /// Where this process serves the world: what selfLinks and endpoints say.
    pub endpoints: &'a Endpoints,
}

/// Where one process serves the world.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// `host:port` of each cluster's Kubernetes API.
    pub clusters: std::collections::BTreeMap<ClusterKey, String>,
    /// PEM of the CA that signed those endpoints' certificates.
    pub ca_pem: String,
}
