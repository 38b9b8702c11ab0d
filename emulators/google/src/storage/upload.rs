//! What an upload brings: a name, fields, bytes.

use super::failure::Failure;
use crate::api::Request;
use serde_json::{Map, Value, json};

/// An upload, taken apart.
#[derive(Debug, PartialEq)]
pub(super) struct Upload {
    pub(super) name: String,
    pub(super) fields: Map<String, Value>,
    pub(super) media: Vec<u8>,
}

/// A simple upload (`uploadType=media`), or one with the object's fields before its bytes (`multipart`).
pub(super) fn read(request: &Request) -> Result<Upload, Failure> {
    let content_type = request.header("content-type");
    let (mut fields, media) = match request.query("uploadType") {
        Some("media") => {
            let fields = content_type.map(|given| ("contentType".to_owned(), json!(given)));
            (Map::from_iter(fields), request.body.clone())
        }
        Some("multipart") => multipart(content_type.unwrap_or_default(), &request.body)?,
        Some("resumable") => return Err(Failure::not_here("resumable uploads")),
        Some(_) | None => return Err(invalid("Invalid upload type.")),
    };
    let named = fields.remove("name").and_then(|name| name.as_str().map(str::to_owned));
    let name = request.query("name").map(str::to_owned).or(named).unwrap_or_default();
    if name.is_empty() {
        return Err(Failure::new(400, "required", "Required parameter: name"));
    }
    if name.len() > 1024 || name.contains(['\r', '\n']) || matches!(name.as_str(), "." | "..") {
        return Err(Failure::new(
            400,
            "invalid",
            format!("Disallowed unicode characters present in object name '{name}'"),
        ));
    }
    Ok(Upload { name, fields, media })
}

/// The fields of a body that is a JSON object; none of an empty one.
pub(super) fn fields(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body)
        .map_err(|error| Failure::new(400, "parseError", format!("Parse Error: {error}")))
}

/// `multipart/related`: a part of JSON, and a part of bytes.
fn multipart(content_type: &str, body: &[u8]) -> Result<(Map<String, Value>, Vec<u8>), Failure> {
    let boundary = content_type
        .split(';')
        .find_map(|part| part.trim().strip_prefix("boundary="))
        .ok_or_else(|| invalid("Missing boundary in multipart body."))?
        .trim_matches(['"', '\'']);
    // Every boundary but the first is on a line of its own.
    let line = format!("--{boundary}");
    let body = body.strip_prefix(line.as_bytes()).ok_or_else(|| invalid("Malformed multipart body."))?;
    let parts = split(body, format!("\r\n{line}").as_bytes());
    let [metadata, media, _end] = parts.as_slice() else {
        return Err(invalid("The multipart body must have two parts."));
    };
    let (_, metadata) = part(metadata)?;
    let (headers, media) = part(media)?;
    let mut fields = fields(metadata)?;
    if let Some(given) = header(&headers, "content-type") {
        fields.entry("contentType").or_insert_with(|| json!(given));
    }
    Ok((fields, media.to_vec()))
}

/// Headers and body of a part.
fn part(part: &[u8]) -> Result<(String, &[u8]), Failure> {
    let at = part.windows(4).position(|four| four == b"\r\n\r\n");
    let at = at.ok_or_else(|| invalid("Malformed multipart body."))?;
    let (headers, body) = part.split_at(at);
    Ok((String::from_utf8_lossy(headers).into_owned(), body.get(4..).unwrap_or_default()))
}

fn header<'a>(headers: &'a str, name: &str) -> Option<&'a str> {
    let pairs = headers.lines().filter_map(|line| line.split_once(':'));
    pairs.into_iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn split<'a>(mut bytes: &'a [u8], by: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(at) = bytes.windows(by.len()).position(|window| window == by) {
        let (part, rest) = bytes.split_at(at);
        parts.push(part);
        bytes = rest.get(by.len()..).unwrap_or_default();
    }
    parts.push(bytes);
    parts
}

fn invalid(message: &str) -> Failure {
    Failure::new(400, "badContent", message)
}
