//! Recorded traffic: blocks of request, status and response, parted by `---`.

use serde_json::Value;

/// One recorded request and its response.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// Position in the log.
    pub(crate) block: usize,
    pub(crate) method: String,
    pub(crate) host: String,
    /// Path with query.
    pub(crate) target: String,
    pub(crate) body: Value,
    pub(crate) status: u16,
    pub(crate) response: Value,
}

/// Every exchange of a log.
pub(crate) fn read(log: &str) -> Vec<Exchange> {
    log.split("\n---\n").enumerate().map(|(block, text)| exchange(block, text)).collect()
}

fn exchange(block: usize, text: &str) -> Exchange {
    let mut lines = text.trim().lines();
    let first = lines.next().unwrap_or_else(|| panic!("block {block} is empty"));
    let (method, url) = first.split_once(' ').unwrap_or_else(|| panic!("block {block}: {first}"));
    let url = url.strip_prefix("https://").unwrap_or_else(|| panic!("block {block}: {url}"));
    let (host, path) = url.split_once('/').unwrap_or_else(|| panic!("block {block}: {url}"));
    let rest: Vec<&str> = lines.collect();
    let is_status = |line: &&str| {
        line.split_once(' ')
            .is_some_and(|(code, _)| code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit()))
    };
    let at = rest.iter().position(is_status).unwrap_or_else(|| panic!("block {block} has no status"));
    Exchange {
        block,
        method: method.to_owned(),
        host: host.to_owned(),
        target: format!("/{path}"),
        body: body_of(&rest[..at]),
        status: rest[at][..3].parse().expect("a status"),
        response: body_of(&rest[at..]),
    }
}

/// The JSON after the headers, null when there is none.
fn body_of(lines: &[&str]) -> Value {
    match lines.iter().position(|line| line.starts_with('{')) {
        None => Value::Null,
        Some(at) => serde_json::from_str(&lines[at..].join("\n")).expect("a JSON body"),
    }
}
