//! HTTP/1.1 and HTTP/2 in front of the core: decoding, bodies, streams, and connections that break when they are told to.

use super::admin;
use super::core::{Admission, Core};
use super::store::StoreError;
use super::{streams, tunnel};
use crate::api::{Request, Response, Service, Time, decode_query};
use crate::faults::Effect;
use crate::kubernetes::{Answer, WatchCursor};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::json;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

/// Largest request body, in bytes.
const BODY_LIMIT: usize = 16 << 20;

/// Ends a connection without a response.
#[derive(Debug, thiserror::Error)]
#[error("connection dropped")]
pub(crate) struct Dropped;

/// A response's body.
#[derive(Debug)]
pub(crate) enum Payload {
    /// The whole of it.
    Whole(Option<Bytes>),
    /// A part, and then the connection breaks; the second number is the length that was promised.
    Broken(Option<Bytes>, u64),
    /// As it comes.
    Stream(mpsc::Receiver<Bytes>),
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Broken(bytes, _) => Poll::Ready(Some(bytes.take().map(Frame::data).ok_or(Dropped))),
            Self::Stream(receiver) => {
                receiver.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Broken(_, promised) => SizeHint::with_exact(*promised),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// Serves one connection until it ends or `running` turns false.
pub(crate) async fn serve_connection<S>(
    core: Arc<Core>,
    service: Service,
    stream: S,
    running: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let stopping = running.clone();
    let handler = service_fn(|request| answer(Arc::clone(&core), service.clone(), request, stopping.clone()));
    let server = auto::Builder::new(TokioExecutor::new());
    let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), handler);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(running) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// Returns when the value turns false or its sender is gone.
pub(crate) async fn stopped(mut running: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is the same.
    let _ = running.wait_for(|running| !running).await;
}

async fn answer(
    core: Arc<Core>,
    service: Service,
    mut request: hyper::Request<Incoming>,
    running: watch::Receiver<bool>,
) -> Result<hyper::Response<Payload>, Dropped> {
    if request.method() == http::Method::CONNECT {
        return Ok(tunnel::open(&core, &service, request, running));
    }
    let upgraded = hyper::upgrade::on(&mut request);
    let request = match decode(service, request).await {
        Ok(request) => request,
        Err(refusal) => return Ok(whole(refusal)),
    };
    if let Some(path) = request.path.strip_prefix("/_sandbox/") {
        return Ok(whole(admin::answer(&core, path, &request)));
    }
    let effect = match core.admit(&request) {
        Admission::Drop => return Err(Dropped),
        Admission::Away => {
            return core
                .wait_for_api()
                .map_or_else(|error| Ok(whole(broken_state(&error))), |()| Err(Dropped));
        }
        Admission::Serve(effect) => effect,
    };
    let respond = |core, request, running| respond(core, request, running, upgraded);
    match effect {
        None => respond(&core, &request, running).await,
        Some(Effect::Status { code, body }) => Ok(whole(fault_response(code, body))),
        Some(Effect::RetryAfter { seconds, code }) => {
            let mut response = fault_response(code, None);
            response.headers.push(("retry-after".to_owned(), seconds.to_string()));
            Ok(whole(response))
        }
        Some(Effect::ResetBefore) => Err(Dropped),
        Some(Effect::Delay { milliseconds }) => match core.delay(milliseconds).await {
            Ok(()) => respond(&core, &request, running).await,
            Err(error) => Ok(whole(broken_state(&error))),
        },
        Some(Effect::ResetAfter) => {
            respond(&core, &request, running).await?;
            Err(Dropped)
        }
        Some(Effect::Truncate) => {
            let (parts, payload) = respond(&core, &request, running).await?.into_parts();
            Ok(hyper::Response::from_parts(parts, truncated(payload)))
        }
    }
}

fn truncated(payload: Payload) -> Payload {
    match payload {
        Payload::Whole(bytes) => {
            let bytes = bytes.unwrap_or_default();
            Payload::Broken(Some(bytes.slice(..bytes.len() / 2)), bytes.len() as u64)
        }
        other @ (Payload::Broken(..) | Payload::Stream(_)) => other,
    }
}

/// Lets the world answer, waiting as long as it says so.
async fn respond(
    core: &Arc<Core>,
    request: &Request,
    running: watch::Receiver<bool>,
    upgraded: OnUpgrade,
) -> Result<hyper::Response<Payload>, Dropped> {
    let mut arrived: Option<Time> = None;
    loop {
        let (answer, since) = match core.handle(request, arrived) {
            Ok(handled) => handled,
            Err(error) => return Ok(whole(broken_state(&error))),
        };
        if core.cut_after(request) {
            return Err(Dropped);
        }
        match answer {
            Answer::Done(response) => return Ok(whole(response)),
            Answer::Watch(cursor) => return Ok(stream(core, &request.service, cursor, running)),
            Answer::Stream(stream) => {
                return Ok(streams::open(core, request, stream, upgraded, running)
                    .unwrap_or_else(|refusal| whole(*refusal)));
            }
            Answer::Later => {
                arrived = Some(since);
                if let Err(error) = core.wait(&request.service).await {
                    return Ok(whole(broken_state(&error)));
                }
                if !*running.borrow() {
                    return Err(Dropped);
                }
            }
        }
    }
}

fn stream(
    core: &Arc<Core>,
    service: &Service,
    mut cursor: WatchCursor,
    running: watch::Receiver<bool>,
) -> hyper::Response<Payload> {
    let (sender, receiver) = mpsc::channel(16);
    let cluster = match service {
        Service::Kubernetes(key) => key.clone(),
        Service::Compute | Service::Container | Service::Filestore | Service::Storage => String::new(),
    };
    let (core, service) = (Arc::clone(core), service.clone());
    tokio::spawn(async move {
        // A store that fails ends the watch; the client starts it again and is told why.
        while let Ok((lines, ended)) = core.watch(&cluster, &mut cursor) {
            let idle = lines.is_empty();
            if !idle && sender.send(Bytes::from(lines)).await.is_err() {
                break;
            }
            if ended || sender.is_closed() || !*running.borrow() {
                break;
            }
            if idle && core.wait_for_watch(&service).await.is_err() {
                break;
            }
        }
    });
    let mut response = hyper::Response::new(Payload::Stream(receiver));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

/// Reads a request to its end; otherwise the response that refuses it.
async fn decode(service: Service, request: hyper::Request<Incoming>) -> Result<Request, Response> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes().to_vec(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(refuse(413, "the request's body is larger than 16 MiB"));
        }
        Err(error) => return Err(refuse(400, &format!("the request's body did not arrive: {error}"))),
    };
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    Ok(Request {
        service,
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: decode_query(parts.uri.query().unwrap_or_default()),
        headers,
        body,
    })
}

pub(crate) fn whole(response: Response) -> hyper::Response<Payload> {
    let mut answer = hyper::Response::new(Payload::Whole(Some(Bytes::from(response.body))));
    *answer.status_mut() = http::StatusCode::from_u16(response.status).unwrap_or_default();
    for (name, value) in response.headers {
        // A header that HTTP cannot carry is a mistake of the world's; the response is still an answer.
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), http::HeaderValue::try_from(value))
        {
            answer.headers_mut().append(name, value);
        }
    }
    answer
}

/// An error in the form that Google's APIs and Kubernetes both show to people.
pub(crate) fn refuse(status: u16, message: &str) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "message": message,
        "error": {"code": status, "message": message, "errors": [{"message": message, "domain": "global"}]},
    });
    Response::json(status, &body)
}

fn fault_response(code: u16, body: Option<String>) -> Response {
    match body {
        Some(body) => Response::text(code, "application/json; charset=UTF-8", body),
        None => refuse(code, "injected fault"),
    }
}

fn broken_state(error: &StoreError) -> Response {
    refuse(500, &error.to_string())
}
