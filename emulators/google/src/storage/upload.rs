//! What an upload brings: a name, fields, bytes.

use super::failure::Failure;
use crate::api::Request;
use crate::multipart::parts;
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
    // gcloud names the bucket once more. The path says which one it is.
    fields.remove("bucket");
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
    let parts = parts(content_type, body).map_err(invalid)?;
    let [metadata, media] = parts.as_slice() else {
        return Err(invalid("The multipart body must have two parts."));
    };
    let mut fields = fields(metadata.body)?;
    if let Some(given) = media.header("content-type") {
        fields.entry("contentType").or_insert_with(|| json!(given));
    }
    Ok((fields, media.body.to_vec()))
}

fn invalid(message: &str) -> Failure {
    Failure::new(400, "badContent", message)
}
