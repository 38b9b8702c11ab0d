//! How a log is replayed: what stands for its placeholders, and which differences are accepted.

use super::capture::{Exchange, read};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use zkprov_sandbox::api::{Endpoints, Request, Response, Service, percent_decode};
use zkprov_sandbox::kubernetes::Answer;
use zkprov_sandbox::world::World;

/// A log and what must be known to replay it.
pub(crate) struct Script {
    pub(crate) log: &'static str,
    /// Which exchanges are in scope.
    pub(crate) includes: fn(&Exchange) -> bool,
    /// What a placeholder stands for.
    pub(crate) names: &'static [(&'static str, &'static str)],
    /// Where one placeholder stands for several names: block, placeholder, and a name for each place it stands at, in
    /// order; the last name serves all further places.
    pub(crate) exceptions: &'static [(usize, &'static str, &'static [&'static str])],
    /// Differences that are accepted: the captured answer's `kind` (if it has one), a colon, the path of the field, where `*`
    /// stands for anything; and why.
    pub(crate) accepted: &'static [(&'static str, &'static str)],
    /// The fewest exchanges that must be in scope, so that a filter that lost its way is noticed.
    pub(crate) at_least: usize,
}

/// Fields whose values differ from run to run; only that they are there is compared.
const VOLATILE: &[&str] = &[
    "address",
    "clusterCaCertificate",
    "createTime",
    "creationTimestamp",
    "endTime",
    "endpoint",
    "etag",
    "fingerprint",
    "id",
    "insertTime",
    "ipAddress",
    "labelFingerprint",
    "lastAttachTimestamp",
    "lastDetachTimestamp",
    "lastStartTimestamp",
    "lastStopTimestamp",
    "licenseCodes",
    "natIP",
    "networkIP",
    "selfLinkWithId",
    "sourceImageId",
    "startTime",
    "targetId",
    "user",
];

/// Virtual time between two exchanges, longer than any operation takes.
const PAUSE: u64 = 20 * 60_000;

/// What stands for every fingerprint in the recordings.
const MASKED_FINGERPRINT: &str = "abcdef0123A=";

/// What later requests take from earlier answers.
#[derive(Debug, Default)]
struct Seen {
    operation: String,
    fingerprint: String,
}

impl Seen {
    fn look_at(&mut self, answer: &Value) {
        if let Some(name) = operation_name(answer) {
            name.clone_into(&mut self.operation);
        }
        if let Some(print) = answer.get("labelFingerprint").and_then(Value::as_str) {
            print.clone_into(&mut self.fingerprint);
        }
    }
}

/// Replays a log; one line for each difference that is not accepted.
pub(crate) fn replay(script: &Script) -> Vec<String> {
    let mut world = World::new(1, 1_767_225_600_000);
    let (mut seen, mut findings, mut used) = (Seen::default(), Vec::new(), BTreeSet::new());
    let exchanges: Vec<Exchange> =
        read(script.log).into_iter().filter(|exchange| (script.includes)(exchange)).collect();
    assert!(exchanges.len() >= script.at_least, "only {} exchanges are in scope", exchanges.len());
    for exchange in &exchanges {
        let request = request_of(script, exchange, &seen);
        let response = send(&mut world, &request);
        let got: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        seen.look_at(&got);
        let place = format!("block {}: {} {}", exchange.block, exchange.method, exchange.target);
        if response.status != exchange.status {
            findings
                .push(format!("{place}: status {}, captured {}: {got}", response.status, exchange.status));
            continue;
        }
        let masked = mask(script, &got.to_string(), &seen.operation);
        let got = flatten(&serde_json::from_str(&masked).expect("JSON"));
        let captured =
            flatten(&serde_json::from_str(&mask(script, &exchange.response.to_string(), "")).expect("JSON"));
        let kind = exchange.response.get("kind").and_then(Value::as_str).unwrap_or_default();
        for (path, difference) in differences(&got, &captured) {
            let path = format!("{kind}:{path}");
            match script.accepted.iter().find(|(glob, _)| glob_matches(glob, &path)) {
                Some((glob, _)) => drop(used.insert(*glob)),
                None => findings.push(format!("{place}: {path}: {difference}")),
            }
        }
        let later = world.now + PAUSE;
        world.advance_to(later);
    }
    let unused = script.accepted.iter().filter(|(glob, _)| !used.contains(glob));
    findings.extend(unused.map(|(glob, _)| format!("accepted difference {glob} does not occur")));
    findings
}

/// The short name of the operation in an answer, from which later exchanges take theirs.
fn operation_name(answer: &Value) -> Option<&str> {
    let name = answer.get("name")?.as_str()?;
    let is_operation = answer.get("operationType").is_some() || name.contains("/operations/");
    is_operation.then(|| name.rsplit('/').next().unwrap_or(name))
}

fn send(world: &mut World, request: &Request) -> Response {
    let (arrived, endpoints) = (world.now, Endpoints::default());
    match world.handle(request, arrived, &endpoints) {
        Answer::Done(response) => response,
        Answer::Later | Answer::Watch(_) | Answer::Stream(_) => {
            panic!("{} {} is not answered at once", request.method, request.path)
        }
    }
}

fn request_of(script: &Script, exchange: &Exchange, seen: &Seen) -> Request {
    let service = match exchange.host.as_str() {
        "compute.googleapis.com" => Service::Compute,
        "container.googleapis.com" => Service::Container,
        "file.googleapis.com" => Service::Filestore,
        other => panic!("no service {other}"),
    };
    // Path and body are one text here, so that exceptions count the places in both.
    let text = format!(
        "{}\n{}",
        exchange.target,
        if exchange.body.is_null() { String::new() } else { exchange.body.to_string() }
    );
    let text = fill(script, exchange.block, &text)
        .replace("${operationID}", &seen.operation)
        .replace(MASKED_FINGERPRINT, &seen.fingerprint);
    let (target, body) = text.split_once('\n').expect("two parts");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    Request {
        service,
        method: exchange.method.clone(),
        path: path.to_owned(),
        query: pairs.map(|(key, value)| (percent_decode(key), percent_decode(value))).collect(),
        headers: vec![],
        body: body.as_bytes().to_vec(),
    }
}

/// Puts names in the place of placeholders.
fn fill(script: &Script, block: usize, text: &str) -> String {
    let mut text = text.to_owned();
    for (_, placeholder, names) in script.exceptions.iter().filter(|(at, ..)| *at == block) {
        for name in names.iter().take(names.len() - 1) {
            text = text.replacen(placeholder, name, 1);
        }
        text = text.replace(placeholder, names.last().expect("a name"));
    }
    for (placeholder, name) in script.names {
        text = text.replace(placeholder, name);
    }
    text
}

/// Puts placeholders in the place of names, and one version in the place of all.
fn mask(script: &Script, text: &str, operation: &str) -> String {
    let mut text = text.replace("/compute/beta/", "/compute/v1/");
    if !operation.is_empty() {
        text = text.replace(operation, "${operationID}");
    }
    for (_, placeholder, names) in script.exceptions {
        for name in *names {
            text = text.replace(name, placeholder);
        }
    }
    for (placeholder, name) in script.names {
        text = text.replace(name, placeholder);
    }
    // Two placeholders with one name are one.
    for (placeholder, name) in script.names {
        if let Some((first, _)) = script.names.iter().find(|(_, other)| other == name) {
            text = text.replace(placeholder, first);
        }
    }
    text
}

/// Every leaf by its path; volatile ones as `*`.
fn flatten(value: &Value) -> BTreeMap<String, String> {
    fn walk(path: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
        let name = path.rsplit('.').next().unwrap_or(path);
        let volatile = VOLATILE.contains(&name)
            || (name == "name" && value.as_str().is_some_and(|name| name.contains("operation")));
        match value {
            _ if volatile => drop(leaves.insert(path.to_owned(), "*".to_owned())),
            Value::Object(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    walk(&path, value, leaves);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    walk(&format!("{path}.{index}"), item, leaves);
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => {
                drop(leaves.insert(path.to_owned(), value.to_string()));
            }
        }
    }
    let mut leaves = BTreeMap::new();
    walk("", value, &mut leaves);
    leaves
}

fn differences(got: &BTreeMap<String, String>, captured: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let paths: BTreeSet<&String> = got.keys().chain(captured.keys()).collect();
    paths
        .into_iter()
        .filter_map(|path| match (got.get(path), captured.get(path)) {
            (Some(got), Some(captured)) if got == captured => None,
            (Some(got), Some(captured)) => Some((path.clone(), format!("{got}, captured {captured}"))),
            (Some(got), None) => Some((path.clone(), format!("{got}, not captured"))),
            (None, captured) => {
                Some((path.clone(), format!("missing, captured {}", captured.map_or("", String::as_str))))
            }
        })
        .collect()
}

fn glob_matches(glob: &str, text: &str) -> bool {
    match glob.split_once('*') {
        None => glob == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).any(|at| text.get(at..).is_some_and(|text| glob_matches(rest, text)))
        }),
    }
}
