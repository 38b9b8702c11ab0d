//! `POST /batch/compute/v1`: several calls in one request, as `multipart/mixed` with a part of `application/http` for
//! each. gcloud sends every command that is about more than one resource in this way.
//!
//! The form is the one of Google's guide "Batching requests" (cloud.google.com/compute/docs/api/how-tos/batch): the
//! answer is 200 whatever the calls' answers are, and has a part for each call, in their order, whose `Content-ID` is
//! the call's with `response-` before it.

use super::failure::Failure;
use super::{Compute, Reply};
use crate::api::{Answer, Context, Request, Response, decode_query};
use crate::multipart::{Part, header, parts};
use serde_json::Value;

/// The most calls in one batch, by that guide.
const MOST_CALLS: usize = 1_000;

/// Whether a request is a batch.
pub(super) fn is_batch(request: &Request) -> bool {
    request.method == "POST" && matches!(request.path.as_str(), "/batch/compute/v1" | "/batch/compute/beta")
}

impl Compute {
    pub(super) fn batch(&mut self, request: &Request, context: &mut Context<'_>) -> Answer {
        let calls = match calls(request) {
            Ok(calls) => calls,
            Err(failure) => return Response::from(failure).into(),
        };
        // A batch of waits is a wait: until one of them is over. In any other batch a wait says how things are.
        let wait = |call: &Request| call.method == "POST" && call.path.ends_with("/wait");
        if calls.iter().all(|(_, call)| wait(call))
            && calls.iter().all(|(_, call)| matches!(self.respond(call, context), Ok(Reply::Later)))
        {
            return Answer::Later;
        }
        let boundary = format!("batch_{}", context.ids.hex(24));
        let mut body = String::new();
        for (id, call) in &calls {
            let answer = match self.respond(call, context) {
                Ok(Reply::Now(value)) => Response::json(200, &value),
                Ok(Reply::Later) => Response::json(200, &self.as_it_is(call)),
                Err(failure) => Response::from(failure),
            };
            let reason = http_reason(answer.status);
            let content = String::from_utf8_lossy(&answer.body);
            body.push_str(&format!(
                "--{boundary}\r\nContent-Type: application/http\r\nContent-ID: {id}\r\n\r\n\
                 HTTP/1.1 {} {reason}\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: {}\r\n\r\n\
                 {content}\r\n",
                answer.status,
                content.len(),
            ));
        }
        body.push_str(&format!("--{boundary}--\r\n"));
        Response::text(200, &format!("multipart/mixed; boundary={boundary}"), body).into()
    }

    /// The operation that a call waits for.
    fn as_it_is(&self, wait: &Request) -> Value {
        let route = super::Route::parse(&wait.segments());
        let operation = route.and_then(|route| self.operations.get(&route.path()));
        operation.map(|operation| Value::Object(operation.document.clone())).unwrap_or_default()
    }
}

/// The calls of a batch, each with the id of its answer.
fn calls(request: &Request) -> Result<Vec<(String, Request)>, Failure> {
    let content_type = request.header("content-type").unwrap_or_default();
    let parts = parts(content_type, &request.body).map_err(|what| Failure::malformed(what.to_owned()))?;
    if parts.len() > MOST_CALLS {
        return Err(Failure::malformed(format!(
            "The batch request has {} calls; at most {MOST_CALLS} are allowed.",
            parts.len()
        )));
    }
    let call = |part: &Part<'_>| Some((answer_id(part), call(request, part.body)?));
    let broken = || Failure::malformed("A part of the batch is not an HTTP request.".to_owned());
    parts.iter().map(|part| call(part).ok_or_else(broken)).collect()
}

/// `<response-X>` of `<X>`.
fn answer_id(part: &Part<'_>) -> String {
    let id = part.header("content-id").unwrap_or_default();
    format!("<response-{}>", id.trim_start_matches('<').trim_end_matches('>'))
}

/// A call that a part's body spells out. Its headers are those of the batch where it has no own ones.
fn call(batch: &Request, text: &[u8]) -> Option<Request> {
    let text = std::str::from_utf8(text).ok()?;
    let (line, rest) = text.split_once('\n')?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?, words.next()?);
    let end = if line.ends_with('\r') { "\r\n" } else { "\n" };
    let (head, body) = rest.split_once(&format!("{end}{end}")).unwrap_or((rest, ""));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let content_type = header(head, "content-type").unwrap_or("application/json");
    let mut headers = batch.headers.clone();
    headers.retain(|(name, _)| !matches!(name.as_str(), "content-type" | "content-length"));
    headers.push(("content-type".to_owned(), content_type.to_owned()));
    Some(Request {
        service: batch.service.clone(),
        method: method.to_owned(),
        path: path.to_owned(),
        query: decode_query(query),
        headers,
        body: body.as_bytes().to_vec(),
    })
}

fn http_reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        412 => "Precondition Failed",
        _ => "Error",
    }
}
