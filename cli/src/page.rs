//! The loopback server behind `zkprov ui`: hands requests of this machine on to a member's Exhibitor, and no other's.
//!
//! Exhibitor has no notion of who asks, and what it does is done as root in the pods. So a page of another origin may lead here,
//! but neither ask nor change anything, and a name that merely resolves to this machine is not taken for it.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use zkprov_engine::error::one_line;
use zkprov_engine::providers::ensemble::Page;

/// Exhibitor's page; all its links are relative.
pub(crate) const INDEX: &str = "/exhibitor/v1/ui/index.html";
/// Largest request body, in bytes: a znode holds a megabyte at most, two digits a byte.
const BODY_LIMIT: usize = 4 << 20;
/// Headers of an answer that say what it is; others are between Exhibitor, the API server and us.
const KEPT: [HeaderName; 5] =
    [header::CONTENT_TYPE, header::ETAG, header::LAST_MODIFIED, header::CACHE_CONTROL, header::ALLOW];

/// Serves until `stop` turns true.
pub(crate) async fn serve(listener: TcpListener, page: Page, mut stop: watch::Receiver<bool>) {
    let port = listener.local_addr().map(|address| address.port()).unwrap_or_default();
    let page = Arc::new(page);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // An error means that nobody can stop us any more.
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        let page = Arc::clone(&page);
        tokio::spawn(async move {
            let handler = service_fn(|request| {
                let page = Arc::clone(&page);
                async move { Ok::<_, Infallible>(answer(&page, port, request).await) }
            });
            // A browser that goes away is no fault.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), handler).await;
        });
    }
}

async fn answer(page: &Page, port: u16, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    if let Some(refusal) = refusal(&head, port) {
        return text(StatusCode::FORBIDDEN, refusal);
    }
    let path = head.uri.path();
    if path == "/" || path == "/exhibitor" || path == "/exhibitor/" {
        let mut response = text(StatusCode::FOUND, INDEX);
        response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(INDEX));
        return response;
    }
    if !path.starts_with("/exhibitor/v1/") {
        return text(StatusCode::NOT_FOUND, "there is only /exhibitor/v1/ here");
    }
    let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await else {
        return text(StatusCode::PAYLOAD_TOO_LARGE, "the request is cut, or larger than 4 MiB");
    };
    match page.ask(onward(head, body.to_bytes().to_vec())).await {
        Ok(answer) => {
            let (head, body) = answer.into_parts();
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = head.status;
            for name in KEPT {
                if let Some(value) = head.headers.get(&name) {
                    response.headers_mut().insert(name, value.clone());
                }
            }
            response
        }
        Err(error) => text(StatusCode::BAD_GATEWAY, &one_line(&error)),
    }
}

/// The request as Exhibitor gets it: without what is between the browser and us.
fn onward(head: Parts, body: Vec<u8>) -> Request<Vec<u8>> {
    let mut onward = Request::new(body);
    *onward.method_mut() = head.method;
    *onward.uri_mut() = head.uri;
    for name in [header::ACCEPT, header::CONTENT_TYPE, header::IF_NONE_MATCH] {
        if let Some(value) = head.headers.get(&name) {
            onward.headers_mut().insert(name, value.clone());
        }
    }
    onward
}

/// Why a request is none of the page that we serve, if it isn't.
fn refusal(head: &Parts, port: u16) -> Option<&'static str> {
    let here = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
    let host = value(&head.headers, &header::HOST).or_else(|| head.uri.authority().map(|host| host.as_str()));
    if !host.is_some_and(|host| here.iter().any(|here| here == host)) {
        return Some("this is a door for programs of this machine: ask for 127.0.0.1 or localhost");
    }
    let origin = value(&head.headers, &header::ORIGIN);
    if origin.is_some_and(|origin| !here.iter().any(|here| origin == format!("http://{here}"))) {
        return Some("a page of another origin may not ask here");
    }
    // Browsers tell where a request without an origin, such as an image's, comes from.
    let site = value(&head.headers, &HeaderName::from_static("sec-fetch-site"));
    let from_elsewhere = site.is_some_and(|site| site != "same-origin" && site != "none");
    let follows_link = head.method == Method::GET
        && value(&head.headers, &HeaderName::from_static("sec-fetch-mode")) == Some("navigate")
        && ["/", INDEX].contains(&head.uri.path());
    (from_elsewhere && !follows_link).then_some("a page of another origin may not ask here")
}

fn value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    // One that can't be read is no name of ours.
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

fn text(status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{words}\n"))));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str, headers: &[(&'static str, &'static str)]) -> bool {
        let (method, path) = line.split_once(' ').unwrap_or_default();
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).map(Request::into_parts).expect("a request");
        refusal(&head, 8181).is_some()
    }

    #[test]
    fn programs_and_the_page_itself_are_heard() {
        let cases: [&[(&str, &str)]; 5] = [
            &[("host", "127.0.0.1:8181")],
            &[("host", "localhost:8181")],
            &[("host", "127.0.0.1:8181"), ("origin", "http://127.0.0.1:8181")],
            &[("host", "localhost:8181"), ("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")],
            &[("host", "localhost:8181"), ("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
        ];
        for headers in cases {
            assert!(!refused("POST /exhibitor/v1/config/set", headers), "{headers:?}");
            assert!(!refused("GET /exhibitor/v1/cluster/stop", headers), "{headers:?}");
        }
    }

    #[test]
    fn other_origins_and_names_are_not() {
        let cases: [&[(&str, &str)]; 8] = [
            &[],
            &[("host", "evil.example:8181")],
            &[("host", "127.0.0.1:9999")],
            &[("host", "127.0.0.1:8181"), ("origin", "https://evil.example")],
            &[("host", "127.0.0.1:8181"), ("origin", "null")],
            &[("host", "127.0.0.1:8181"), ("origin", "http://127.0.0.1:9999")],
            &[("host", "127.0.0.1:8181"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
            &[("host", "127.0.0.1:8181"), ("sec-fetch-site", "same-site"), ("sec-fetch-mode", "navigate")],
        ];
        for headers in cases {
            assert!(refused("POST /exhibitor/v1/config/set", headers), "{headers:?}");
            assert!(refused("GET /exhibitor/v1/cluster/stop", headers), "{headers:?}");
        }
    }

    #[test]
    fn a_link_from_elsewhere_leads_to_the_page_alone() {
        let link =
            [("host", "127.0.0.1:8181"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
        assert!(!refused("GET /", &link));
        assert!(!refused("GET /exhibitor/v1/ui/index.html", &link));
        assert!(refused("GET /exhibitor/v1/cluster/restart", &link));
    }
}
