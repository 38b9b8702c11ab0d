//! Exhibitor's REST API: which request goes where, and what all answers share.

mod cluster;
mod config;
mod explorer;
mod index;
mod ui;
mod words;

use super::Share;
use crate::api::{Answer, Context, Request, Response, Time};
use serde_json::{Value, json};

const SERVER: &str = "Jetty(6.1.22)";

/// A path of the API, with the methods it takes.
struct Route<'a> {
    group: &'a str,
    rest: Vec<&'a str>,
    allow: &'static str,
}

const GET: &str = "HEAD,GET,OPTIONS";
const POST: &str = "POST,OPTIONS";
const DELETE: &str = "DELETE,OPTIONS";

/// Methods that a path takes; `None` when there is no such path.
fn allowed(group: &str, rest: &[&str]) -> Option<&'static str> {
    Some(match (group, rest) {
        ("cluster", ["status" | "list" | "log" | "state" | "restart" | "start" | "stop"]) => GET,
        ("cluster", ["log" | "state" | "restart" | "start" | "stop" | "4ltr", _]) => GET,
        ("cluster", ["4ltr" | "set", _, _] | ["set", _, _, _]) => GET,
        ("config", ["get-state" | "rollback-rolling" | "force-commit-rolling"]) => GET,
        ("config", ["set" | "set-rolling"]) => POST,
        ("explorer", ["node" | "node-data"]) => GET,
        ("explorer", ["usage-listing" | "analyze"]) => "HEAD,GET,POST,OPTIONS",
        ("explorer", ["znode", ..]) => "PUT,DELETE,OPTIONS",
        ("index", ["new-index" | "get-backups" | "indexed-logs"]) => GET,
        ("index", [_]) => DELETE,
        ("ui", [_, ..]) => GET,
        _ => return None,
    })
}

impl Share {
    /// Answers a request to the Exhibitor at this address, which is up.
    pub(super) fn respond(&mut self, address: &str, request: &Request, context: &Context<'_>) -> Answer {
        if let Some(refused) = self.unauthorized(address, request) {
            return refused.into();
        }
        if request.path == "/" {
            let host = request.header("host").map_or_else(|| format!("{address}:8181"), str::to_owned);
            let location = format!("http://{host}/exhibitor/v1/ui/index.html");
            return with_header(empty(302), "location", &location).into();
        }
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let Some((group, rest)) = segments.strip_prefix(&["exhibitor", "v1"]).and_then(<[&str]>::split_first)
        else {
            return empty(404).into();
        };
        let Some(allow) = allowed(group, rest) else { return empty(404).into() };
        let method = if request.method == "HEAD" { "GET" } else { request.method.as_str() };
        if method == "OPTIONS" {
            return with_header(empty(200), "allow", allow).into();
        }
        if !allow.split(',').any(|allowed| allowed == method) {
            return with_header(empty(405), "allow", allow).into();
        }
        let route = Route { group, rest: rest.to_vec(), allow };
        let answer = self.dispatch(address, &route, request, context);
        if request.method == "HEAD" { without_body(answer) } else { answer }
    }

    fn dispatch(
        &mut self,
        address: &str,
        route: &Route<'_>,
        request: &Request,
        context: &Context<'_>,
    ) -> Answer {
        match route.group {
            "cluster" => self.cluster(address, &route.rest, request, context),
            "config" => self.config(address, &route.rest, request, context),
            "explorer" => self.explorer(address, &route.rest, request, context),
            "index" => self.index(address, &route.rest, context).into(),
            "ui" => self.ui(address, &route.rest, context).into(),
            _ => with_header(empty(405), "allow", route.allow).into(),
        }
    }

    /// The realm that the image sets up with `ZK_PASSWORD`: everything but exactly `cluster/state`.
    fn unauthorized(&self, address: &str, request: &Request) -> Option<Response> {
        let password = self.members.get(address)?.password()?;
        let wanted = format!("Basic {}", base64(format!("zk:{password}").as_bytes()));
        // Jetty matches the path without its parameters, so they get past the realm, though nowhere.
        let open = request.path.split(';').next() == Some("/exhibitor/v1/cluster/state");
        if open || request.header("authorization") == Some(&wanted) {
            return None;
        }
        let page = error_page(401, "UNAUTHORIZED", &request.path, "");
        Some(with_header(page, "www-authenticate", "Basic realm=\"Zookeeper\""))
    }

    /// Whether a request that takes this long is done; if not, it is looked at again when it is.
    fn waited(&mut self, delay: Time, context: &Context<'_>) -> bool {
        let until = context.arrived + delay;
        if context.now >= until {
            return true;
        }
        self.wakeups.insert(until);
        false
    }
}

/// A JSON answer as Jackson and Jersey write it.
fn json_text(body: String) -> Response {
    with_header(Response::text(200, "application/json", body), "server", SERVER)
}

fn document(body: &Value) -> Response {
    json_text(body.to_string())
}

/// Exhibitor's `Result`.
fn result(message: &str, succeeded: bool) -> Value {
    json!({ "message": message, "succeeded": succeeded })
}

fn ok() -> Value {
    result("OK", true)
}

fn empty(status: u16) -> Response {
    Response { status, headers: vec![("server".to_owned(), SERVER.to_owned())], body: Vec::new() }
}

fn with_header(mut response: Response, name: &str, value: &str) -> Response {
    response.headers.insert(0, (name.to_owned(), value.to_owned()));
    response
}

fn without_body(answer: Answer) -> Answer {
    match answer {
        Answer::Done(mut response) => {
            response.body.clear();
            Answer::Done(response)
        }
        Answer::Later => Answer::Later,
    }
}

/// Jetty's error page.
fn error_page(status: u16, title: &str, path: &str, cause: &str) -> Response {
    let (title, path) = (escape_html(title), escape_html(path));
    let cause = if cause.is_empty() {
        String::new()
    } else {
        format!("<h3>Caused by:</h3><pre>{}</pre>", escape_html(cause))
    };
    let body = format!(
        "<html>\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html; charset=ISO-8859-1\"/>\n\
         <title>Error {status} {title}</title>\n</head>\n<body><h2>HTTP ERROR {status}</h2>\n\
         <p>Problem accessing {path}. Reason:\n<pre>    {title}</pre></p>{cause}<hr /><i><small>Powered by \
         Jetty://</small></i><br/>\n</body>\n</html>\n"
    );
    let page = Response::text(status, "text/html; charset=iso-8859-1", body);
    with_header(with_header(page, "server", SERVER), "cache-control", "must-revalidate,no-cache,no-store")
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            (0..3).fold(0usize, |bits, at| (bits << 8) | usize::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let digit = DIGITS.get((bits >> (18 - 6 * at)) & 63).copied().unwrap_or(b'=');
            out.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_pads() {
        assert_eq!(base64(b"zk:s3cret"), "ems6czNjcmV0");
        assert_eq!(base64(b"zk:s"), "ems6cw==");
        assert_eq!(base64(b"zk:se"), "ems6c2U=");
    }
}
