//! What two answers have in common, and the list of accepted differences.

use super::session::Exchange;
use regex::Regex;
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::LazyLock;

/// Texts that a server makes up, and what stands for them. The letters are those of Kubernetes' generated names.
static MADE_UP: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    const LETTERS: &str = "[bcdfghjklmnpqrstvwxz2456789]";
    let pairs = [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}".to_owned(), "UID"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z".to_owned(), "TIME"),
        (r"\b(10|34|198)\.\d+\.\d+\.\d+(:\d+)?\b".to_owned(), "ADDRESS"),
        (r"ResourceVersion in (record \(|object meta: )\d+".to_owned(), "ResourceVersion in ${1}VERSION"),
        (
            r"ResourceVersion in (the precondition \(|precondition: )\d+".to_owned(),
            "ResourceVersion in ${1}VERSION",
        ),
        (format!("exhibitor-{LETTERS}{{7,10}}-{LETTERS}{{5}}\\b"), "exhibitor-HASH-ID"),
        (format!("exhibitor-{LETTERS}{{7,10}}\\b"), "exhibitor-HASH"),
        (format!("exhibitor-{LETTERS}{{5}}\\b"), "exhibitor-ID"),
        (format!("\\bvolumes-{LETTERS}{{7,10}}\\b"), "volumes-HASH"),
        (r"\b(kwok-\d+|gke-cluster-1-default-pool-\w+-\w+)\b".to_owned(), "NODE"),
    ];
    pairs.map(|(pattern, name)| (Regex::new(&pattern).unwrap(), name)).into()
});

/// An answer without what a server makes up, with lists of named things as maps.
pub(crate) fn normal(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(plain(text)),
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(normal).collect();
            // How many pods are on the node that is drained is chance: their lines are one.
            list.dedup_by(|one, other| one.is_string() && one == other);
            by_name(&list).map_or_else(|| Value::Array(sorted(list)), Value::Object)
        }
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (plain(key), field(key, value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn plain(text: &str) -> String {
    let replace =
        |text: String, (pattern, name): &(Regex, &str)| pattern.replace_all(&text, *name).into_owned();
    MADE_UP.iter().fold(text.to_owned(), replace)
}

fn field(key: &str, value: &Value) -> Value {
    match (key, value) {
        ("resourceVersion", Value::String(text)) if text.parse::<u64>().is_ok() => json!("VERSION"),
        ("pod-template-hash", Value::String(_)) => json!("HASH"),
        ("nodePort", Value::Number(_)) => json!("PORT"),
        ("managedFields", Value::Array(entries)) => owners(entries),
        _ => normal(value),
    }
}

/// `managedFields` by manager, operation and subresource; when they wrote is left out.
fn owners(entries: &[Value]) -> Value {
    let of = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let named = entries.iter().map(|entry| {
        let name =
            format!("{} {} {}", of(entry, "manager"), of(entry, "operation"), of(entry, "subresource"));
        let owned = json!({"apiVersion": entry["apiVersion"], "fieldsType": entry["fieldsType"],
            "fieldsV1": normal(&entry["fieldsV1"]), "time": entry["time"].is_string()});
        (name.trim_end().to_owned(), owned)
    });
    Value::Object(named.collect())
}

/// A list as a map, where every item has a name of its own.
fn by_name(list: &[Value]) -> Option<Map<String, Value>> {
    let name = |item: &Value| {
        let pointers = ["/name", "/metadata/name", "/type", "/resource", "/groupVersion"];
        pointers.iter().find_map(|pointer| item.pointer(pointer)?.as_str().map(str::to_owned))
    };
    let map: Option<Map<String, Value>> = list.iter().map(|item| Some((name(item)?, item.clone()))).collect();
    map.filter(|map| map.len() == list.len() && !list.is_empty())
}

/// Objects whose names are made up have no order of their own.
fn sorted(mut list: Vec<Value>) -> Vec<Value> {
    if list.iter().all(|item| item.pointer("/metadata").is_some()) {
        // Replica sets by their revision.
        list.sort_by_key(|item| {
            (item.pointer("/metadata/annotations").map(Value::to_string), item.to_string())
        });
    }
    list
}

/// Whether an answer has the values that are waited for, in a status that is about the present object.
pub(crate) fn reached(answer: &Value, wanted: &BTreeMap<String, Value>) -> bool {
    let observed = answer.pointer("/body/status/observedGeneration");
    let stale = observed.is_some() && observed != answer.pointer("/body/metadata/generation");
    wanted.is_empty()
        || !stale
            && wanted.iter().all(|(pointer, value)| answer.pointer(pointer).unwrap_or(&Value::Null) == value)
}

/// One place where two answers differ.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Difference {
    exchange: String,
    pointer: String,
    real: Option<Value>,
    embedded: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show =
            |value: &Option<Value>| value.as_ref().map_or_else(|| "(absent)".to_owned(), Value::to_string);
        let Self { exchange, pointer, real, embedded } = self;
        write!(f, "{exchange} | {pointer}\n  real:     {}\n  embedded: {}", show(real), show(embedded))
    }
}

/// Where two normal answers to an exchange differ.
pub(crate) fn differences(exchange: &Exchange, real: &Value, embedded: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(&exchange.name, String::new(), Some(real), Some(embedded), &mut found);
    found.retain(|difference| !exchange.moving.iter().any(|pattern| matches(pattern, &difference.pointer)));
    found
}

fn compare(
    exchange: &str,
    at: String,
    real: Option<&Value>,
    embedded: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    if real == embedded {
        return;
    }
    let below = |key: &str| format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
    match (real, embedded) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                compare(exchange, below(key), one.get(key), other.get(key), found);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            for index in 0..one.len().max(other.len()) {
                compare(exchange, below(&index.to_string()), one.get(index), other.get(index), found);
            }
        }
        _ => found.push(Difference {
            exchange: exchange.to_owned(),
            pointer: at,
            real: real.cloned(),
            embedded: embedded.cloned(),
        }),
    }
}

/// Whether a pattern, in which `*` stands for any text, is the whole text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).any(|at| text.is_char_boundary(at) && matches(rest, &text[at..]))
        }),
    }
}

/// A line of `accepted.txt`.
struct Line {
    text: &'static str,
    exchange: &'static str,
    pointer: &'static str,
    /// `-`: only the real one has it; `+`: only the embedded one.
    side: &'static str,
}

/// The differences that are accepted, and which of them were met.
pub(crate) struct Accepted {
    lines: Vec<Line>,
    used: RefCell<BTreeSet<&'static str>>,
}

impl Accepted {
    /// Those of `accepted.txt`.
    pub(crate) fn read() -> Self {
        Self::of(include_str!("accepted.txt"))
    }

    fn of(text: &'static str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let line = |text: &'static str| {
            let parts: Vec<&str> = text.split(" | ").map(str::trim).collect();
            let [exchange, pointer, reason] = parts.as_slice() else { panic!("not three parts: {text}") };
            assert!(!reason.is_empty(), "no reason: {text}");
            let (side, pointer) = match pointer.split_at(1) {
                (side @ ("-" | "+"), pointer) => (side, pointer),
                _ => ("", *pointer),
            };
            Line { text, exchange, pointer, side }
        };
        Self { lines: lines.map(line).collect(), used: RefCell::default() }
    }

    pub(crate) fn count(&self) -> usize {
        self.lines.len()
    }

    /// Whether a difference is accepted. What zkprov rests on never is: the status, why something is refused, and whether
    /// the fields it applies are its own.
    pub(crate) fn covers(&self, difference: &Difference) -> bool {
        let rested_on = |pointer: &str| {
            ["/code", "/exit", "/body/reason"].contains(&pointer)
                || pointer.contains("/managedFields/zkprov ")
        };
        let fits = |line: &&Line| {
            let side = match (&difference.real, &difference.embedded) {
                (Some(_), None) => "-",
                (None, Some(_)) => "+",
                _ => "",
            };
            matches(line.exchange, &difference.exchange)
                && matches(line.pointer, &difference.pointer)
                && (line.side.is_empty() || line.side == side)
        };
        let lines: Vec<&Line> = self.lines.iter().filter(fits).collect();
        self.used.borrow_mut().extend(lines.iter().map(|line| line.text));
        !lines.is_empty() && !rested_on(&difference.pointer)
    }

    /// Lines that no difference needed.
    pub(crate) fn unused(&self) -> Vec<&'static str> {
        let used = self.used.borrow();
        self.lines.iter().map(|line| line.text).filter(|text| !used.contains(text)).collect()
    }
}

pub(crate) fn check_itself() {
    let find = |one: Value, other: Value| {
        let mut found = Vec::new();
        compare("x", String::new(), Some(&normal(&one)), Some(&normal(&other)), &mut found);
        found.iter().map(|difference| difference.pointer.clone()).collect::<Vec<String>>()
    };
    // Made up, or in another order.
    let pod = |id: &str, ip: &str| {
        json!({"metadata": {"name": format!("exhibitor-7446d4fdc-{id}"), "resourceVersion": "12"},
        "status": {"podIP": ip, "conditions": [{"type": "Ready", "status": "True"}]}})
    };
    let pods = |one: Value, other: Value| json!({"items": [one, other]});
    let (a, b) = (pod("nc5j7", "10.8.1.2"), pod("5ldtz", "198.18.64.2"));
    assert_eq!(find(pods(a.clone(), b.clone()), pods(b.clone(), a.clone())), Vec::<String>::new());
    // Really different, wherever it stands.
    let mut unready = a.clone();
    unready["status"]["conditions"][0]["status"] = json!("False");
    assert_eq!(find(a, unready), ["/status/conditions/Ready/status"]);
    assert_eq!(find(json!({"a": [1, 2]}), json!({"a": [1]})), ["/a/1"]);
    assert_eq!(find(json!({"a": null}), json!({})), ["/a"]);
    let evicted = |id: &str| format!("pod/exhibitor-7446d4fdc-{id} evicted");
    let (one, two) = (json!([evicted("nc5j7")]), json!([evicted("nc5j7"), evicted("5ldtz")]));
    assert_eq!(find(one.clone(), two), Vec::<String>::new());
    assert_eq!(find(one, json!([evicted("nc5j7"), "node drained"])), ["/1"]);
    let owned = |field: &str| json!({"managedFields": [{"manager": "zkprov", "operation": "Apply", "fieldsV1": {field: {}}}]});
    let both = ["/managedFields/zkprov Apply/fieldsV1/f:a", "/managedFields/zkprov Apply/fieldsV1/f:b"];
    assert_eq!(find(owned("f:a"), owned("f:b")), both);
    // What is accepted, what never is, and what is left over.
    let accepted = Accepted::of(
        "x | /body/a* | it is so\nx | /code | never\nx | -/body/c | the real one's\ny | * | elsewhere",
    );
    let difference = |pointer: &str| Difference {
        exchange: "x".to_owned(),
        pointer: pointer.to_owned(),
        real: None,
        embedded: Some(json!(1)),
    };
    assert!(accepted.covers(&difference("/body/ab")));
    assert!(!accepted.covers(&difference("/body/b")));
    assert!(!accepted.covers(&difference("/code")));
    assert!(!accepted.covers(&difference("/body/c")));
    assert_eq!(accepted.unused(), ["x | -/body/c | the real one's", "y | * | elsewhere"]);
}
