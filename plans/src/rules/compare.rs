//! Comparing what was sent with what came back: servers rewrite links, numbers, defaults and order.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How a declared value and its live counterpart are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Equal as JSON; a number equals the string that prints it (int64 travels as a string).
    Exact,
    /// Links: by the path after `projects/`; a short name equals any link that ends with it.
    Link,
    /// A list whose order means nothing, of scalars or objects.
    Set,
    /// A list of links whose order means nothing.
    LinkSet,
    /// A map of which only the declared keys count (labels).
    Keys,
    /// A list of `{key, value}` of which only the declared keys count (instance metadata).
    Items,
    /// Absent, `false`, `{}` and `{"enabled": false}` are one.
    Flag,
    /// A version; `1.33` equals `1.33.5-gke.100`, since patches are GKE's own business.
    Version,
    /// Present or not, whatever it holds (an ephemeral external address).
    Presence,
    /// An enum whose zero value, this word, the server leaves out.
    Enum(&'static str),
}

impl Compare {
    /// Whether the live value is what was declared.
    #[must_use]
    pub fn equal(self, wanted: &Value, live: Option<&Value>) -> bool {
        match self {
            Self::Version => {
                let (wanted, live) = (text(wanted), live.map(text).unwrap_or_default());
                live == wanted || live.strip_prefix(&wanted).is_some_and(|rest| rest.starts_with(['.', '-']))
            }
            Self::Link => live.is_some_and(|live| same_link(&text(wanted), &text(live))),
            Self::LinkSet => {
                let (wanted, live) = (list(wanted), live.map(list).unwrap_or_default());
                wanted.len() == live.len()
                    && wanted.iter().all(|link| live.iter().any(|other| same_link(&text(link), &text(other))))
            }
            Self::Exact
            | Self::Set
            | Self::Keys
            | Self::Items
            | Self::Flag
            | Self::Presence
            | Self::Enum(_) => self.normal(wanted, Some(wanted)) == self.normal(wanted, live),
        }
    }

    /// The live value in the form that is compared and shown: of what was declared, nothing else.
    #[must_use]
    pub fn normal(self, wanted: &Value, live: Option<&Value>) -> Value {
        let Some(live) = live else {
            return match self {
                Self::Flag => json!(false),
                Self::Presence => json!(false),
                Self::Enum(zero) => json!(zero),
                Self::Keys
                | Self::Items
                | Self::Exact
                | Self::Link
                | Self::Set
                | Self::LinkSet
                | Self::Version => Value::Null,
            };
        };
        match self {
            Self::Exact | Self::Enum(_) => scalars(live),
            Self::Link => json!(path_of(&text(live))),
            Self::Version => json!(text(live)),
            Self::Set => {
                let mut items: Vec<Value> = list(live).iter().map(|item| sorted(&scalars(item))).collect();
                items.sort_by_key(Value::to_string);
                Value::Array(items)
            }
            Self::LinkSet => {
                let mut links: Vec<String> = list(live).iter().map(|link| path_of(&text(link))).collect();
                links.sort();
                json!(links)
            }
            Self::Keys => {
                let keys =
                    wanted.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
                let mut kept = Map::new();
                for key in keys {
                    if let Some(value) = live.get(&key) {
                        kept.insert(key, scalars(value));
                    }
                }
                sorted(&Value::Object(kept))
            }
            Self::Items => {
                let (wanted, live) = (items(wanted), items(live));
                json!(
                    live.into_iter().filter(|(key, _)| wanted.contains_key(key)).collect::<BTreeMap<_, _>>()
                )
            }
            Self::Flag => json!(flag(live)),
            Self::Presence => json!(!list(live).is_empty()),
        }
    }
}

/// `{key, value}` lists as a map.
pub(crate) fn items(value: &Value) -> BTreeMap<String, String> {
    list(value)
        .iter()
        .filter_map(|item| Some((text(item.get("key")?), item.get("value").map(text).unwrap_or_default())))
        .collect()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn flag(value: &Value) -> bool {
    match value {
        Value::Bool(on) => *on,
        Value::Object(map) => map.get("enabled").is_some_and(flag),
        Value::Null => false,
        Value::Number(_) | Value::String(_) | Value::Array(_) => true,
    }
}

/// A scalar as text, without quotes.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

/// Numbers become the strings that print them, everywhere below.
fn scalars(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Array(list) => Value::Array(list.iter().map(scalars).collect()),
        Value::Object(map) => {
            sorted(&Value::Object(map.iter().map(|(k, v)| (k.clone(), scalars(v))).collect()))
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

/// Keys of an object in order, one level.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<_, _> = map.iter().collect();
            Value::Object(ordered.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => value.clone(),
    }
}

/// What comes after `projects/`, or the whole text of a short name.
fn path_of(link: &str) -> String {
    link.split_once("projects/").map_or(link, |(_, path)| path).to_owned()
}

fn same_link(one: &str, other: &str) -> bool {
    let (one, other) = (path_of(one), path_of(other));
    let ends = |long: &str, short: &str| long.strip_suffix(short).is_some_and(|head| head.ends_with('/'));
    one == other || ends(&one, &other) || ends(&other, &one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_may_rewrite_without_drift() {
        let table = [
            (Compare::Exact, json!("100"), json!(100)),
            (
                Compare::Link,
                json!("projects/p/zones/z/machineTypes/n1-standard-1"),
                json!(
                    "https://www.googleapis.com/compute/beta/projects/p/zones/z/machineTypes/n1-standard-1"
                ),
            ),
            (Compare::Link, json!("projects/p/global/networks/default"), json!("default")),
            (Compare::Set, json!(["a", "b"]), json!(["b", "a"])),
            (
                Compare::Set,
                json!([{"IPProtocol": "tcp", "ports": ["445"]}]),
                json!([{"ports": ["445"], "IPProtocol": "tcp"}]),
            ),
            (Compare::Keys, json!({"a": "1"}), json!({"a": "1", "goog-x": "y"})),
            (
                Compare::Items,
                json!([{"key": "a", "value": "1"}]),
                json!([{"key": "b", "value": "2"}, {"key": "a", "value": "1"}]),
            ),
            (Compare::Flag, json!({"enabled": false}), json!({})),
            (Compare::Version, json!("1.33"), json!("1.33.5-gke.100")),
            (Compare::Presence, json!([{"type": "ONE_TO_ONE_NAT"}]), json!([{"natIP": "203.0.113.7"}])),
        ];
        for (compare, wanted, live) in table {
            assert!(compare.equal(&wanted, Some(&live)), "{compare:?} {wanted} {live}");
        }
    }

    #[test]
    fn real_differences_show() {
        let table = [
            (Compare::Exact, json!("100"), json!("200")),
            (
                Compare::Link,
                json!("projects/p/zones/z/machineTypes/n1"),
                json!("projects/p/zones/z/machineTypes/e2"),
            ),
            (Compare::Link, json!("default"), json!("projects/p/global/networks/mydefault")),
            (Compare::Set, json!(["a"]), json!(["a", "b"])),
            (Compare::Keys, json!({"a": "1"}), json!({"a": "2"})),
            (Compare::Keys, json!({"a": "1"}), json!({})),
            (Compare::Items, json!([{"key": "a", "value": "1"}]), json!([])),
            (Compare::Flag, json!({"enabled": true}), json!({})),
            (Compare::Version, json!("1.33"), json!("1.330.1")),
            (Compare::Presence, json!([{}]), json!([])),
        ];
        for (compare, wanted, live) in table {
            assert!(!compare.equal(&wanted, Some(&live)), "{compare:?} {wanted} {live}");
        }
        assert!(!Compare::Exact.equal(&json!("a"), None));
        assert!(!Compare::Keys.equal(&json!({"a": "1"}), None));
        assert!(Compare::Flag.equal(&json!(false), None));
        assert!(Compare::Enum("UNSPECIFIED").equal(&json!("UNSPECIFIED"), None));
        assert!(!Compare::Enum("UNSPECIFIED").equal(&json!("STABLE"), None));
    }
}
