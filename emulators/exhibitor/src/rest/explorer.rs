//! `explorer/*`: znodes through Exhibitor's own connection to its ZooKeeper.

use super::{document, empty, error_page, json_text, ok, result, with_header};
use crate::api::{Answer, Context, Request, Response, Time, percent_decode};
use crate::data::{Data, Operation, Znode, parent};
use crate::{Share, timing};
use serde_json::{Value, json};

const ZNODE: &str = "/exhibitor/v1/explorer/znode/";

impl Share {
    pub(super) fn explorer(
        &mut self,
        address: &str,
        rest: &[&str],
        request: &Request,
        context: &Context<'_>,
    ) -> Answer {
        let connected = self.data(address).is_some();
        if !connected && !self.waited(timing::EXPLORER_MS, context) {
            return Answer::Later;
        }
        let answer = match rest {
            ["node"] => json_text(self.node(address, request.query("key"))),
            ["node-data"] => document(&self.node_data(address, request.query("key"))),
            ["usage-listing"] => self.usage_listing(address, request),
            ["analyze"] => self.analyze(address, request),
            _ => self.znode(address, request, context.now),
        };
        answer.into()
    }

    /// The data that this instance's connection sees; `None` without a ZooKeeper that serves.
    fn data(&self, address: &str) -> Option<&Data> {
        self.group(address)?;
        self.members.get(address).filter(|member| member.asked_port_answers()).map(|member| &member.data)
    }

    fn find(&self, address: &str, path: &str) -> Result<(&Data, &Znode), String> {
        check_path(path)?;
        let data =
            self.data(address).ok_or_else(|| format!("KeeperErrorCode = ConnectionLoss for {path}"))?;
        let node = data.nodes.get(path).ok_or_else(|| format!("KeeperErrorCode = NoNode for {path}"))?;
        Ok((data, node))
    }

    fn node(&self, address: &str, key: Option<&str>) -> String {
        let Some((key, (data, _))) = key.and_then(|key| Some((key, self.find(address, key).ok()?))) else {
            return json!([{ "title": "* Exception *", "key": "*", "isLazy": false, "expand": false }])
                .to_string();
        };
        let prefix = key.trim_end_matches('/');
        // Written by itself: a list of 100,000 documents takes ten times as long.
        let mut text = "[".to_owned();
        for name in data.nodes.children(key) {
            let (title, key) = (quoted(name), quoted(&format!("{prefix}/{name}")));
            text.push_str(if text.len() > 1 { ",{\"title\":" } else { "{\"title\":" });
            for part in [&title, ",\"key\":", &key, ",\"isLazy\":true,\"expand\":false}"] {
                text.push_str(part);
            }
        }
        text + "]"
    }

    fn node_data(&self, address: &str, key: Option<&str>) -> Value {
        let Some(key) = key else {
            return json!({ "bytes": "", "str": "Exception", "stat": "Path cannot be null" });
        };
        match self.find(address, key) {
            Ok((data, node)) => {
                let bytes: String = node.data.iter().map(|byte| format!("{byte:02x} ")).collect();
                let children = data.nodes.child_count(key);
                json!({ "bytes": bytes, "str": String::from_utf8_lossy(&node.data), "stat": stat(node, children) })
            }
            Err(message) if message.contains("NoNode") => {
                json!({ "bytes": "", "str": "", "stat": "* not found * " })
            }
            Err(message) => json!({ "bytes": "", "str": "Exception", "stat": message }),
        }
    }

    fn znode(&mut self, address: &str, request: &Request, now: Time) -> Response {
        let path = format!("/{}", percent_decode(request.path.strip_prefix(ZNODE).unwrap_or_default()));
        let done = if request.method == "DELETE" {
            self.delete(address, &path, now)
        } else {
            let kind = request.header("content-type").unwrap_or_default();
            if !kind.is_empty() && !kind.starts_with("application/json") {
                return empty(415);
            }
            let text = String::from_utf8_lossy(&request.body).replace(' ', "");
            check_path(&path)
                .and_then(|()| bytes(&text))
                .and_then(|data| self.write(address, &path, &data, now).map(|_| ()))
        };
        document(&done.map_or_else(|message| result(&message, false), |()| ok()))
    }

    /// Deletes a znode and all below it.
    fn delete(&mut self, address: &str, path: &str, now: Time) -> Result<(), String> {
        let (data, _) = self.find(address, path)?;
        let prefix = path.trim_end_matches('/');
        let children: Vec<String> =
            data.nodes.children(path).map(|name| format!("{prefix}/{name}")).collect();
        for child in children {
            self.delete(address, &child, now)?;
        }
        if parent(path).is_none() || path == "/zookeeper" || path == "/zookeeper/quota" {
            return Err(format!("KeeperErrorCode = BadArguments for {path}"));
        }
        self.commit(address, Operation::Delete { path: path.to_owned() }, path, now).map(|_| ())
    }

    fn usage_listing(&self, address: &str, request: &Request) -> Response {
        let wanted = match question(request) {
            Ok(wanted) => wanted,
            Err(page) => return *page,
        };
        let start = wanted.get("startPath").and_then(Value::as_str).unwrap_or("/");
        let most = wanted.get("maxChildrenForTraversal").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let mut lines = "Path\tCreateDate\tChildQty\tDeepChildQty\n".to_owned();
        if let Ok((data, node)) = self.find(address, start) {
            let children = data.nodes.child_count(start);
            list_usage(data, start, (node, children), most, &mut lines);
        }
        let listing = with_header(Response::text(200, "text/plain", lines), "server", super::SERVER);
        with_header(listing, "content-disposition", "attachment; filename=listing_tab_delimited.txt")
    }

    fn analyze(&self, address: &str, request: &Request) -> Response {
        let wanted = match question(request) {
            Ok(wanted) => wanted,
            Err(page) => return *page,
        };
        let (mut nodes, mut error) = (Vec::new(), String::new());
        for item in wanted.as_array().into_iter().flatten() {
            let path = item.get("path").and_then(Value::as_str).unwrap_or_default();
            match self.find(address, path) {
                Ok((data, _)) => {
                    // By the recipe of locks, a child's content is the id of who holds it.
                    let children = data.nodes.family(path);
                    let ids: Vec<_> =
                        children.map(|child| String::from_utf8_lossy(&child.node.data)).collect();
                    nodes.push(json!({ "childIds": ids, "max": item.get("max").and_then(Value::as_i64), "path": path }));
                }
                Err(message) => error = message,
            }
        }
        if !error.is_empty() {
            nodes.clear();
        }
        let answer = json_text(json!({ "error": error, "nodes": nodes }).to_string());
        with_header(answer, "content-disposition", "attachment; filename=analysis.txt")
    }
}

/// The JSON of a question, in the body or in `request=`.
fn question(request: &Request) -> Result<Value, Box<Response>> {
    let text = match request.query("request").filter(|_| request.method == "GET") {
        Some(text) => text.as_bytes(),
        None => &request.body,
    };
    serde_json::from_slice(text)
        .map_err(|error| Box::new(error_page(400, &error.to_string(), &request.path, "")))
}

/// A text as JSON writes it.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) { format!("\"{text}\"") } else { Value::from(text).to_string() }
}

/// The line of a znode with so many children, and the lines of all below it.
fn list_usage(data: &Data, path: &str, (node, children): (&Znode, usize), most: u64, lines: &mut String) {
    let deep = if children == 0 { 0 } else { data.nodes.count_below(path) };
    for (end, part) in [
        ('\t', path),
        ('\t', &node.ctime.to_string()),
        ('\t', &children.to_string()),
        ('\n', &deep.to_string()),
    ] {
        lines.push_str(part);
        lines.push(end);
    }
    if children == 0 || u64::try_from(children).is_ok_and(|count| count > most) {
        return;
    }
    let prefix = path.trim_end_matches('/');
    for child in data.nodes.family(path) {
        let path = format!("{prefix}/{}", child.name);
        list_usage(data, &path, (child.node, child.children), most, lines);
    }
}

fn check_path(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("Path length must be > 0".to_owned());
    }
    if !path.starts_with('/') {
        return Err("Path must start with / character".to_owned());
    }
    if path.len() > 1 && path.ends_with('/') {
        return Err("Path must not end with / character".to_owned());
    }
    if path.contains("//") {
        return Err(format!("Invalid path string \"{path}\" caused by empty node name specified"));
    }
    Ok(())
}

fn bytes(hex: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<char> = hex.chars().collect();
    let pair = |pair: &[char]| {
        let text: String = pair.iter().collect();
        u8::from_str_radix(&text, 16).map_err(|_| format!("For input string: \"{text}\" under radix 16"))
    };
    digits.chunks_exact(2).map(pair).collect()
}

fn stat(node: &Znode, children: usize) -> String {
    format!(
        "czxid: {}, mzxid: {}, ctime: {}, mtime: {}, version: {}, cversion: {}, aversion: {}, ephemeralOwner: {}, \
         dataLength: {}, numChildren: {children}, pzxid: {}",
        node.czxid,
        node.mzxid,
        node.ctime,
        node.mtime,
        node.version,
        node.shown_cversion(children),
        node.aversion,
        node.owner,
        node.data.len(),
        node.pzxid
    )
}
