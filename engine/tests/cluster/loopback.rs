//! A scripted HTTP server on loopback: a closure answers, every request is kept.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query, percent-decoded.
    pub(crate) target: String,
    pub(crate) authorization: String,
    pub(crate) content_type: String,
    pub(crate) body: Value,
}

impl Seen {
    /// `GET /api/v1/...` without the query.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target.split('?').next().unwrap_or_default())
    }
}

/// What the server does with a request.
pub(crate) enum Answer {
    Json(u16, Value),
    Text(u16, &'static str, String),
    /// The connection is closed without an answer, after the request was read.
    Hangup,
    /// No answer, until the client gives up.
    Silence,
}

pub(crate) struct Server {
    pub(crate) endpoint: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Serves plain HTTP.
    pub(crate) async fn start(script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen(None, script).await
    }

    /// Serves HTTPS.
    pub(crate) async fn start_tls(
        acceptor: TlsAcceptor,
        script: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Some(acceptor), script).await
    }

    async fn listen(
        tls: Option<TlsAcceptor>,
        script: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let endpoint = format!("{scheme}://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, kept) = (Arc::new(script), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, kept, tls) = (Arc::clone(&script), Arc::clone(&kept), tls.clone());
                let service =
                    service_fn(move |request| answer(Arc::clone(&script), Arc::clone(&kept), request));
                let http = auto::Builder::new(TokioExecutor::new());
                tokio::spawn(async move {
                    // How a connection ends is the client's affair.
                    match tls {
                        None => drop(http.serve_connection(TokioIo::new(stream), service).await),
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                drop(http.serve_connection(TokioIo::new(stream), service).await);
                            }
                        }
                    }
                });
            }
        });
        Self { endpoint, seen }
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Requests of this method so far.
    pub(crate) fn seen_by(&self, method: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.method == method).collect()
    }
}

async fn answer(
    script: Arc<impl Fn(&Seen) -> Answer>,
    kept: Arc<Mutex<Vec<Seen>>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let bytes = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let header = |name: &str| {
        head.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let seen = Seen {
        method: head.method.to_string(),
        target: decoded(head.uri.path_and_query().map_or("/", |target| target.as_str())),
        authorization: header("authorization"),
        content_type: header("content-type"),
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    };
    let answer = script(&seen);
    kept.lock().unwrap().push(seen);
    let respond = |status: u16, kind: &str, body: String| {
        Response::builder().status(status).header("content-type", kind).body(Full::from(body)).unwrap()
    };
    match answer {
        Answer::Json(status, body) => Ok(respond(status, "application/json", body.to_string())),
        Answer::Text(status, kind, body) => Ok(respond(status, kind, body)),
        Answer::Hangup => Err(std::io::Error::other("hang up")),
        Answer::Silence => std::future::pending().await,
    }
}

fn decoded(target: &str) -> String {
    let (mut out, mut bytes) = (Vec::new(), target.bytes());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let hex: String = bytes.by_ref().take(2).map(char::from).collect();
            out.push(u8::from_str_radix(&hex, 16).unwrap());
        } else {
            out.push(if byte == b'+' { b' ' } else { byte });
        }
    }
    String::from_utf8(out).unwrap()
}
