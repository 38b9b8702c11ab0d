//! Reviews of the caller: who reaches this API may do everything.

use super::decode;
use super::failure::Failure;
use super::tree;
use crate::api::{Request, Response};
use serde_json::json;

/// Answers a review.
///
/// # Errors
/// 404 for an unknown kind of review, 405 for anything but `POST`, 400 for a bad body.
pub(super) fn answer(review: &str, request: &Request) -> Result<Response, Failure> {
    let status = match review {
        "selfsubjectaccessreviews" | "subjectaccessreviews" => {
            json!({"allowed": true, "reason": "the caller owns the cluster"})
        }
        "selfsubjectrulesreviews" => json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}], "incomplete": false,
        }),
        "selfsubjectreviews" => {
            json!({"userInfo": {"username": "admin", "groups": ["system:masters", "system:authenticated"]}})
        }
        _ => return Err(Failure::no_such_path()),
    };
    if request.method != "POST" {
        return Err(Failure::method_not_allowed());
    }
    let mut body = decode::body(request)?;
    tree::put(&mut body, "/status", status);
    Ok(Response::json(201, &body))
}
