//! Comparing our answers with captured ones, field by field.

use serde_json::Value;
use std::collections::BTreeMap;

/// A field that may differ, by the end of its path, and why.
pub(crate) struct Accepted {
    pub(crate) path: &'static str,
    pub(crate) reason: &'static str,
}

/// Differences of two answers that no entry accepts, one a line. Which entries were used is counted in `used`.
///
/// Lists of texts are compared as sets, times by being times, and runs of hex digits (parts of generated names) by being
/// there.
pub(crate) fn differences(
    ours: &Value,
    theirs: &Value,
    accepted: &[Accepted],
    used: &mut BTreeMap<&'static str, usize>,
) -> Vec<String> {
    let mut all = Vec::new();
    walk("", ours, theirs, &mut all);
    all.retain(|(path, _)| match accepted.iter().find(|entry| ends_with(path, entry.path)) {
        Some(entry) => {
            *used.entry(entry.path).or_default() += 1;
            false
        }
        None => true,
    });
    all.into_iter().map(|(path, text)| format!("{path}: {text}")).collect()
}

fn ends_with(path: &str, end: &str) -> bool {
    path == end || path.strip_suffix(end).is_some_and(|rest| rest.ends_with('.'))
}

fn walk(path: &str, ours: &Value, theirs: &Value, out: &mut Vec<(String, String)>) {
    let inner = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (name, value) in ours {
                match theirs.get(name) {
                    Some(other) => walk(&inner(name), value, other, out),
                    None => out.push((inner(name), format!("only ours has it: {value}"))),
                }
            }
            for (name, value) in theirs.iter().filter(|(name, _)| !ours.contains_key(*name)) {
                out.push((inner(name), format!("only the capture has it: {value}")));
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            let sorted = |items: &[Value]| {
                let mut texts: Vec<Value> = items
                    .iter()
                    .map(|item| item.as_str().map_or(item.clone(), |text| generic(text).into()))
                    .collect();
                if items.iter().all(Value::is_string) {
                    texts.sort_by_key(Value::to_string);
                }
                texts
            };
            for (index, (mine, other)) in sorted(ours).iter().zip(&sorted(theirs)).enumerate() {
                walk(&format!("{path}[{index}]"), mine, other, out);
            }
        }
        (Value::String(mine), Value::String(other)) if generic(mine) == generic(other) => {}
        (mine, other) if mine == other => {}
        (mine, other) => out.push((path.to_owned(), format!("ours {mine}, captured {other}"))),
    }
}

/// A text without what is generated: times, and words of at least eight hex digits.
fn generic(text: &str) -> String {
    if text.len() >= 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z') {
        return "TIME".to_owned();
    }
    let words = text.split('-').map(|word| {
        let hex = word.len() >= 8
            && word.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if hex { "HEX" } else { word }
    });
    words.collect::<Vec<&str>>().join("-")
}
