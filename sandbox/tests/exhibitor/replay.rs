//! Every recorded exchange, answered the same by a simulated ensemble in the same state.
//!
//! Not among the fixtures: the recordings of `cluster/log`, 75 kB of lines each, whose shape has a test of its own, and
//! whose lines tell of processes that are not simulated.

#![expect(clippy::unwrap_used, reason = "a broken recording fails the test")]

use crate::cases::{Ready, setup};
use crate::support::{Lab, request};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use zkprov_sandbox::api::{Request, Response, Time};

/// A recorded exchange.
struct Exchange {
    method: String,
    path: String,
    /// Headers and body of the request.
    headers: Vec<(String, String)>,
    body: Option<String>,
    /// The answer; without one, how long the client waited in vain, ms.
    answer: Result<Answer, Time>,
}

#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    /// Those that matter to clients.
    headers: Vec<(String, String)>,
    body: Value,
}

const HEADERS: [&str; 6] =
    ["content-type", "allow", "location", "www-authenticate", "content-disposition", "etag"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/exhibitor")
}

fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()) {
        for file in std::fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            let name = file.strip_prefix(root()).unwrap().to_str().unwrap();
            names.insert(name.strip_suffix(".http").unwrap().to_owned());
        }
    }
    names
}

fn parse(text: &str) -> Exchange {
    let (notes, rest): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("# "));
    let mut first = notes[0].split_whitespace().skip(1);
    let (method, path) = (first.next().unwrap().to_owned(), first.next().unwrap().to_owned());
    let (mut headers, mut body) = (Vec::new(), None);
    for part in notes.iter().filter_map(|note| note.strip_prefix("# request part: ")) {
        match part.split_once(':') {
            Some(("zk", "s3cret")) => headers.push(("authorization".into(), "Basic ems6czNjcmV0".into())),
            Some(("zk", _)) => headers.push(("authorization".into(), "Basic ems6YmFk".into())),
            Some((name, value)) if !part.starts_with(['{', '[']) => {
                headers.push((name.to_lowercase(), value.trim().to_owned()));
            }
            _ if part.starts_with('-') => {}
            _ => body = Some(part.to_owned()),
        }
    }
    let rest = rest.join("\n");
    let rest = rest.trim_start();
    let answer = match rest.strip_prefix("curl: (28) Operation timed out after ") {
        Some(waited) => Err(waited.split(' ').next().unwrap().parse().unwrap()),
        None => Ok(parse_answer(rest)),
    };
    Exchange { method, path, headers, body, answer }
}

fn parse_answer(text: &str) -> Answer {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    normal(status, headers, body.trim_end())
}

fn normal(status: u16, mut headers: Vec<(String, String)>, body: &str) -> Answer {
    headers.retain(|(name, _)| HEADERS.contains(&name.as_str()));
    for (name, value) in &mut headers {
        *value = if name == "etag" { "TAG".to_owned() } else { mask(value) };
    }
    headers.sort();
    let html = headers.iter().any(|(_, value)| value.starts_with("text/html"));
    let body = if html {
        page(body)
    } else {
        serde_json::from_str(body).map_or_else(|_| json!(mask(body)), |document| mask_value(&document, ""))
    };
    Answer { status, headers, body }
}

/// Of a page, what tells what is wrong; the rest is stack traces and layout.
fn page(body: &str) -> Value {
    let told = body.lines().filter(|line| line.contains("Problem accessing") || line.contains("HTTP ERROR"));
    let told: Vec<&str> = told.collect();
    let title = if told.is_empty() { Value::Null } else { json!(body.contains("Jetty://")) };
    json!({ "told": told, "jetty": title })
}

fn mask_value(value: &Value, key: &str) -> Value {
    match value {
        Value::String(_) if matches!(key, "version" | "from" | "to") => json!("MASKED"),
        Value::String(text) => json!(mask(text)),
        Value::Number(_) if matches!(key, "modifiedDate" | "entryCount") => json!(0),
        Value::Array(items) => mask_list(items),
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| (key.clone(), mask_value(value, key)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Which member leads is chance: of a status, hosts are compared in order and states as a set.
fn mask_list(items: &[Value]) -> Value {
    let masked: Vec<Value> = items.iter().map(|item| mask_value(item, "")).collect();
    if !masked.iter().any(|item| item.get("isLeader").is_some()) {
        return Value::from(masked);
    }
    let hosts: Vec<Value> = masked.iter().map(|item| item["hostname"].clone()).collect();
    let states = masked
        .iter()
        .map(|item| format!("{} {} leader: {}", item["code"], item["description"], item["isLeader"]));
    let mut states: Vec<String> = states.collect();
    states.sort();
    json!({ "hosts": hosts, "states": states })
}

/// Masks the network of addresses, and numbers that depend on time or traffic.
fn mask(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_hexdigit()).len();
        let number = rest[..digits].chars().take_while(char::is_ascii_digit).count();
        let counted = ["Received: ", "Sent: ", "0x", "_received\\t", "_received\t", "_sent\t", "127.0.0.1:"];
        if digits > 0 && counted.iter().any(|before| out.ends_with(before)) {
            out.push('N');
            rest = &rest[digits..];
        } else if number >= 6 {
            out.push('N');
            rest = &rest[number..];
        } else if out.ends_with("198.18.") && number > 0 {
            out.push('0');
            rest = &rest[number..];
        } else if number > 0 {
            out.push_str(&rest[..number]);
            rest = &rest[number..];
        } else {
            out.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    out
}

fn normal_response(response: &Response) -> Answer {
    normal(response.status, response.headers.clone(), String::from_utf8_lossy(&response.body).trim_end())
}

/// The request of an exchange, put to a lab; bodies that were not recorded are the present settings.
fn to_send(exchange: &Exchange, lab: &mut Lab, asked: usize) -> Request {
    let body = match exchange.body.as_deref() {
        Some("@body-num.json") => lab.get(asked, "/exhibitor/v1/config/get-state")["config"].to_string(),
        Some(file) if file.starts_with('@') => lab.settings(asked, &[]).to_string(),
        Some(text) => text.to_owned(),
        None => String::new(),
    };
    let path = exchange.path.replace("198.18.60.", "198.18.0.").replace("198.18.50.", "198.18.0.");
    let mut request = request(&exchange.method, &path.replace("198.18.70.", "198.18.0."), body.as_bytes());
    request.headers = exchange.headers.clone();
    request
}

fn replay(name: &str) -> Result<(), String> {
    let text = std::fs::read_to_string(root().join(format!("{name}.http"))).unwrap();
    let exchange = parse(&text);
    let Some(ready) = setup(name) else { return Err(format!("{name}: no state is described for it")) };
    let Ready { mut lab, asked, over } = ready;
    let request = to_send(&exchange, &mut lab, asked);
    let limit = lab.now + over;
    loop {
        let began = lab.now;
        let answer = normal_response(&lab.send(asked, &request));
        match &exchange.answer {
            Err(waited) if lab.now - began > *waited => return Ok(()),
            Ok(recorded) if *recorded == answer => return Ok(()),
            Ok(_) | Err(_) => {}
        }
        if lab.now >= limit {
            let recorded = exchange.answer.map_err(|waited| format!("no answer for {waited} ms"));
            return Err(format!("{name}\n  recorded  {recorded:?}\n  simulated {answer:?}"));
        }
        lab.advance(100);
    }
}

#[test]
fn recorded_exchanges_are_answered_alike() {
    let names = names();
    let failed: Vec<String> = names.iter().filter_map(|name| replay(name).err()).collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), names.len(), failed.join("\n"));
    assert!(names.len() > 170, "only {} recordings", names.len());
}
