//! A scripted HTTP server: for each method and path the answers to give, in order; the last one is repeated.

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::{advance, pause, resume};

/// What a server that stays silent lets go by: more than any request may take, and less than a call may take in all.
const SILENCE: Duration = Duration::from_secs(100);

/// One answer.
#[derive(Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    silent: bool,
    cut: bool,
}

pub(crate) fn ok(body: Value) -> Reply {
    reply(200, body)
}

pub(crate) fn reply(status: u16, body: Value) -> Reply {
    Reply { status, headers: Vec::new(), body: body.to_string().into(), silent: false, cut: false }
}

/// An error document as Compute Engine sends it.
pub(crate) fn error(status: u16, reason: &str, message: &str) -> Reply {
    reply(
        status,
        json!({"error": {"code": status, "message": message,
        "errors": [{"message": message, "domain": "global", "reason": reason}]}}),
    )
}

/// An error document as the other APIs send it.
pub(crate) fn rpc_error(status: u16, code: &str, message: &str) -> Reply {
    reply(status, json!({"error": {"code": status, "message": message, "status": code}}))
}

impl Reply {
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Never answers: the test's clock goes on instead.
    pub(crate) fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Promises the whole body, sends half of it, and drops the connection.
    pub(crate) fn cut(mut self) -> Self {
        self.cut = true;
        self
    }
}

/// A request that came in.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) route: String,
    pub(crate) query: String,
    pub(crate) body: Value,
}

#[derive(Default)]
struct State {
    script: BTreeMap<String, Vec<Reply>>,
    seen: Vec<Seen>,
}

/// The server; it stops with the runtime of its test.
pub(crate) struct Server {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(shared.clone(), request));
                    let _ = Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { url, state }
    }

    /// `route` is the method and the path: `GET /compute/v1/..`.
    pub(crate) fn on(&self, route: &str, replies: impl IntoIterator<Item = Reply>) -> &Self {
        self.state.lock().unwrap().script.insert(route.to_owned(), replies.into_iter().collect());
        self
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    /// Requests of one route.
    pub(crate) fn seen_on(&self, route: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.route == route).collect()
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, std::io::Error>>, Infallible> {
    let route = format!("{} {}", request.method(), request.uri().path());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let reply = {
        let mut state = state.lock().unwrap();
        state.seen.push(Seen { route: route.clone(), query, body });
        match state.script.get_mut(&route) {
            Some(replies) if replies.len() > 1 => replies.remove(0),
            Some(replies) => replies[0].clone(),
            None => error(404, "notFound", &format!("nothing scripted for {route}")),
        }
    };
    if reply.silent {
        pause();
        advance(SILENCE).await;
        resume();
        return std::future::pending().await;
    }
    let mut response = Response::builder().status(reply.status).header("content-type", "application/json");
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    let body = if reply.cut {
        response = response.header("content-length", reply.body.len());
        let half = Bytes::copy_from_slice(&reply.body[..reply.body.len() / 2]);
        let frames = [Ok(Frame::data(half)), Err(std::io::Error::other("cut"))];
        BodyExt::boxed(StreamBody::new(futures::stream::iter(frames)))
    } else {
        Full::new(Bytes::from(reply.body)).map_err(|never: Infallible| match never {}).boxed()
    };
    Ok(response.body(body).expect("a response"))
}
