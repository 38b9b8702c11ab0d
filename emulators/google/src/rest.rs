//! What the GKE and Filestore APIs have in common on the wire: error bodies, versions, enum encoding, time stamps.

use crate::api::{Request, Response, Time};
use serde_json::{Value, json};

/// Version of an API, from the first segment of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `v1`
    V1,
    /// `v1beta1`, which knows more fields.
    V1Beta1,
}

impl Version {
    /// The version a path segment names.
    #[must_use]
    pub fn parse(segment: &str) -> Option<Self> {
        match segment {
            "v1" => Some(Self::V1),
            "v1beta1" => Some(Self::V1Beta1),
            _ => None,
        }
    }

    /// As it stands in paths.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1Beta1 => "v1beta1",
        }
    }
}

/// Canonical codes these APIs answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// 400: wrong whatever the state is.
    InvalidArgument,
    /// 400: wrong in the present state.
    FailedPrecondition,
    /// 403
    PermissionDenied,
    /// 404
    NotFound,
    /// 409: there is one of this name.
    AlreadyExists,
    /// 409: it changed since it was read.
    Aborted,
    /// 501: a method or field of the real service that this world does not have.
    Unimplemented,
}

impl Code {
    const fn http(self) -> u16 {
        match self {
            Self::InvalidArgument | Self::FailedPrecondition => 400,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::Aborted => 409,
            Self::Unimplemented => 501,
        }
    }

    const fn status(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::Aborted => "ABORTED",
            Self::Unimplemented => "UNIMPLEMENTED",
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::InvalidArgument => "badRequest",
            Self::FailedPrecondition => "failedPrecondition",
            Self::PermissionDenied => "forbidden",
            Self::NotFound => "notFound",
            Self::AlreadyExists => "alreadyExists",
            Self::Aborted => "aborted",
            Self::Unimplemented => "notImplemented",
        }
    }
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Canonical code.
    pub code: Code,
    /// What the service says.
    pub message: String,
    /// `details` of the body.
    pub details: Vec<Value>,
}

impl Failure {
    /// A failure without details.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Vec::new() }
    }

    /// 400 `INVALID_ARGUMENT`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// The `google.rpc.Status` form (Filestore).
    #[must_use]
    pub fn plain(&self) -> Response {
        Response::json(self.code.http(), &json!({ "error": self.body() }))
    }

    /// The older form with an `errors` list as well (GKE).
    #[must_use]
    pub fn with_errors(&self) -> Response {
        let mut body = self.body();
        body["errors"] =
            json!([{ "message": self.message, "domain": "global", "reason": self.code.reason() }]);
        Response::json(self.code.http(), &json!({ "error": body }))
    }

    fn body(&self) -> Value {
        let mut body =
            json!({ "code": self.code.http(), "message": self.message, "status": self.code.status() });
        if !self.details.is_empty() {
            body["details"] = Value::Array(self.details.clone());
        }
        body
    }
}

/// Whether the caller wants enums as numbers (`$alt=json;enum-encoding=int`).
#[must_use]
pub fn enums_as_numbers(request: &Request) -> bool {
    ["$alt", "alt"]
        .iter()
        .filter_map(|name| request.query(name))
        .any(|value| value.contains("enum-encoding=int"))
}

/// A boolean parameter of a query; `None` where the query does not have it.
///
/// Google's servers take more spellings than `true` and `false`: their transcoder reads a boolean with `safe_strtob`
/// (protobuf, `stubs/strutil.cc`, called by `DataPiece::ToBool`), whatever the case of the letters. gcloud sends `True`.
///
/// # Errors
/// What the services say when it is not a boolean; an empty value is not.
pub fn boolean(request: &Request, name: &str) -> Result<Option<bool>, String> {
    let Some(value) = request.query(name) else { return Ok(None) };
    let is_one_of = |words: &[&str]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
    match () {
        () if is_one_of(&["true", "t", "yes", "y", "1"]) => Ok(Some(true)),
        () if is_one_of(&["false", "f", "no", "n", "0"]) => Ok(Some(false)),
        () => Err(not_boolean(name, value)),
    }
}

/// Checks that every parameter of a query that is a boolean by its API's discovery document has a boolean's value.
///
/// # Errors
/// What the services say of the first one that has not.
pub fn check_booleans(request: &Request, names: &[&str]) -> Result<(), String> {
    for name in names.iter().chain(&["prettyPrint"]) {
        boolean(request, name)?;
    }
    Ok(())
}

/// How the services refuse a value of a boolean parameter: they name it as their protocol buffers do.
fn not_boolean(name: &str, value: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    format!("Invalid value at '{snake}' (TYPE_BOOL), {}", Value::from(value))
}

/// RFC 3339 in UTC.
#[must_use]
pub fn timestamp(at: Time) -> String {
    let millis = i64::try_from(at).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or_default().to_string()
}

/// Number of a project: made from its id, so that every API of the world gives the same.
#[must_use]
pub fn project_number(project: &str) -> u64 {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(project.as_bytes());
    let value = hash.iter().take(8).fold(0u64, |value, byte| (value << 8) | u64::from(*byte));
    100_000_000_000 + value % 900_000_000_000
}

/// First hex digits of the SHA-256 of a text, at most 64.
#[must_use]
pub fn sha256_hex(text: &str, digits: usize) -> String {
    use sha2::{Digest, Sha256};
    let mut hex = hex::encode(Sha256::digest(text.as_bytes()));
    hex.truncate(digits);
    hex
}

/// Standard base64 with padding.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0u32, |word, at| (word << 8) | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let index = ((word >> (18 - 6 * at)) & 63) as usize;
            let letter = ALPHABET.get(index).copied().unwrap_or(b'A');
            out.push(if at <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (plain, encoded) in cases {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn booleans_of_queries() {
        let asked = |value: &str| Request {
            service: crate::api::Service::Compute,
            method: "POST".into(),
            path: "/".into(),
            query: vec![("deletionProtection".into(), value.into())],
            headers: vec![],
            body: vec![],
        };
        for (value, read) in [
            ("true", Some(true)),
            ("True", Some(true)),
            ("TRUE", Some(true)),
            ("1", Some(true)),
            ("false", Some(false)),
            ("False", Some(false)),
            ("0", Some(false)),
        ] {
            assert_eq!(boolean(&asked(value), "deletionProtection"), Ok(read), "{value}");
        }
        assert_eq!(boolean(&asked("true"), "autoDelete"), Ok(None));
        for value in ["", "maybe", "tru"] {
            let says = format!("Invalid value at 'deletion_protection' (TYPE_BOOL), \"{value}\"");
            assert_eq!(boolean(&asked(value), "deletionProtection"), Err(says.clone()));
            assert_eq!(check_booleans(&asked(value), &["autoDelete", "deletionProtection"]), Err(says));
        }
    }

    #[test]
    fn errors_of_the_two_apis() {
        let failure = Failure::new(Code::NotFound, "Not found: x.");
        let body = |response: Response| serde_json::from_slice::<Value>(&response.body).unwrap();
        assert_eq!(
            body(failure.plain()),
            json!({"error": {"code": 404, "message": "Not found: x.", "status": "NOT_FOUND"}})
        );
        assert_eq!(body(failure.with_errors())["error"]["errors"][0]["reason"], "notFound");
    }

    #[test]
    fn time_stamps_and_project_numbers() {
        assert_eq!(timestamp(1_711_974_896_123), "2024-04-01T12:34:56.123Z");
        assert_eq!(project_number("my-project").to_string().len(), 12);
    }
}
