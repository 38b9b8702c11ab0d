//! Sets of fields as `managedFields` records them, and the comparison of two objects by field.

use super::schema::{Shape, Type};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A set of field paths, as a tree. Keys are the path elements of `fieldsV1`: `f:name`, `k:{…}`, `v:…`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    /// Whether the path up to here is itself in the set.
    member: bool,
    children: BTreeMap<String, FieldSet>,
}

/// Path elements from the root.
type Path = Vec<String>;

fn field(name: &str) -> String {
    format!("f:{name}")
}

/// The path element of a list item merged by keys; `None` when it lacks them all.
pub(super) fn item_key(item: &Value, keys: &[&str]) -> Option<String> {
    let mut sorted: Vec<&&str> = keys.iter().collect();
    sorted.sort_unstable();
    let pairs = sorted.into_iter().filter_map(|key| {
        let value = item.get(*key).cloned().or_else(|| (*key == "protocol").then(|| json!("TCP")));
        value.map(|value| ((*key).to_owned(), value))
    });
    let pairs: Map<String, Value> = pairs.collect();
    (!pairs.is_empty()).then(|| format!("k:{}", Value::Object(pairs)))
}

/// The parts of a granular value by path element, with their types. Empty for leaves.
pub(super) fn parts<'v, 't>(value: &'v Value, ty: &'t Type) -> Vec<(String, &'v Value, &'t Type)> {
    static ANY: Type = Type::Any;
    match (ty.shape(), value) {
        (Shape::Struct(known), Value::Object(map)) => map
            .iter()
            .map(|(key, value)| (field(key), value, known.fields.get(key.as_str()).unwrap_or(&ANY)))
            .collect(),
        (Shape::Map(item), Value::Object(map)) => {
            map.iter().map(|(key, value)| (field(key), value, item)).collect()
        }
        (Shape::Set, Value::Array(list)) => {
            list.iter().map(|value| (format!("v:{value}"), value, &ANY)).collect()
        }
        (Shape::Keyed(item, keys), Value::Array(list)) => {
            list.iter().filter_map(|value| Some((item_key(value, keys)?, value, item))).collect()
        }
        (Shape::Leaf | Shape::Struct(_) | Shape::Map(_) | Shape::Set | Shape::Keyed(..), _) => Vec::new(),
    }
}

fn is_leaf(ty: &Type) -> bool {
    matches!(ty.shape(), Shape::Leaf)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Fields by which two objects differ.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// Only in the new one, or with another value there.
    pub(super) written: FieldSet,
    /// Only in the old one.
    pub(super) removed: FieldSet,
}

impl Comparison {
    /// Compares two values of a type.
    pub(super) fn of(old: &Value, new: &Value, ty: &Type) -> Self {
        let mut comparison = Self::default();
        comparison.walk(Some(old), Some(new), ty, &mut Vec::new());
        comparison
    }

    fn walk(&mut self, old: Option<&Value>, new: Option<&Value>, ty: &Type, path: &mut Path) {
        if is_leaf(ty) || (old.is_none_or(is_empty) && new.is_none_or(is_empty)) {
            match (old, new) {
                (_, None) => self.removed.add(path),
                (Some(old), Some(new)) if old == new => {}
                (_, Some(_)) => self.written.add(path),
            }
            return;
        }
        match (old, new) {
            (None, _) => self.written.add(path),
            (_, None) => self.removed.add(path),
            (Some(_), Some(_)) => {}
        }
        let before = old.map(|value| parts(value, ty)).unwrap_or_default();
        let after = new.map(|value| parts(value, ty)).unwrap_or_default();
        let find = |list: &[(String, &Value, &Type)], key: &str| list.iter().position(|(at, ..)| at == key);
        let keys: BTreeSet<&String> = before.iter().chain(&after).map(|(key, ..)| key).collect();
        for key in keys {
            let old = find(&before, key).and_then(|at| before.get(at));
            let new = find(&after, key).and_then(|at| after.get(at));
            let Some((_, _, item)) = new.or(old) else { continue };
            path.push(key.clone());
            self.walk(old.map(|part| part.1), new.map(|part| part.1), item, path);
            path.pop();
        }
    }
}

impl FieldSet {
    /// The fields that an applied configuration claims.
    pub(super) fn of(value: &Value, ty: &Type) -> Self {
        let mut set = Self::default();
        set.claim(value, ty);
        set
    }

    fn claim(&mut self, value: &Value, ty: &Type) {
        if is_leaf(ty) {
            self.member = true;
            return;
        }
        // Keys of maps and items of lists are members themselves, fields of structs only if nothing is below them.
        let itemised = !matches!(ty.shape(), Shape::Struct(_));
        for (key, part, item) in parts(value, ty) {
            let child = self.children.entry(key).or_default();
            child.claim(part, item);
            let bare = part.is_null() || part.as_object().is_some_and(Map::is_empty);
            child.member |= itemised || bare;
        }
        self.children.retain(|_, child| child.member || !child.children.is_empty());
    }

    /// Adds a path.
    pub(super) fn add(&mut self, path: &[String]) {
        match path.split_first() {
            None => self.member = true,
            Some((first, rest)) => self.children.entry(first.clone()).or_default().add(rest),
        }
    }

    /// What is in the set below a path element.
    pub(super) fn child(&self, element: &str) -> Option<&Self> {
        self.children.get(element)
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Self::is_empty)
    }

    /// Whether the path itself is in it.
    pub(super) fn contains(&self, path: &[String]) -> bool {
        match path.split_first() {
            None => self.member,
            Some((first, rest)) => self.children.get(first).is_some_and(|child| child.contains(rest)),
        }
    }

    /// Fields in either.
    pub(super) fn union(mut self, other: &Self) -> Self {
        self.member |= other.member;
        for (key, child) in &other.children {
            let mine = self.children.remove(key).unwrap_or_default();
            self.children.insert(key.clone(), mine.union(child));
        }
        self
    }

    /// Fields in this one that are not in the other.
    pub(super) fn minus(mut self, other: &Self) -> Self {
        self.member &= !other.member;
        self.children = std::mem::take(&mut self.children)
            .into_iter()
            .map(|(key, child)| match other.children.get(&key) {
                Some(theirs) => (key, child.minus(theirs)),
                None => (key, child),
            })
            .filter(|(_, child)| !child.is_empty())
            .collect();
        self
    }

    /// Fields in both.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let both = self.children.iter().filter_map(|(key, child)| {
            let common = child.intersection(other.children.get(key)?);
            (!common.is_empty()).then(|| (key.clone(), common))
        });
        Self { member: self.member && other.member, children: both.collect() }
    }

    /// Drops a path and all below it.
    pub(super) fn drop_tree(&mut self, path: &[&str]) {
        match path {
            [] => {}
            [last] => {
                self.children.remove(*last);
            }
            [first, rest @ ..] => {
                if let Some(child) = self.children.get_mut(*first) {
                    child.drop_tree(rest);
                    if child.is_empty() {
                        self.children.remove(*first);
                    }
                }
            }
        }
    }

    /// Every path of the set, in order.
    pub(super) fn paths(&self) -> Vec<Path> {
        let mut all = Vec::new();
        self.collect(&mut Vec::new(), &mut all);
        all
    }

    fn collect(&self, at: &mut Path, all: &mut Vec<Path>) {
        if self.member {
            all.push(at.clone());
        }
        for (key, child) in &self.children {
            at.push(key.clone());
            child.collect(at, all);
            at.pop();
        }
    }

    /// `fieldsV1`.
    pub(super) fn to_json(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".to_owned(), json!({}));
        }
        for (key, child) in &self.children {
            map.insert(key.clone(), child.to_json());
        }
        Value::Object(map)
    }

    /// Reads `fieldsV1`.
    pub(super) fn from_json(value: &Value) -> Self {
        let mut set = Self::read(value);
        set.member = false;
        set
    }

    fn read(value: &Value) -> Self {
        let map = value.as_object();
        let children = map.into_iter().flatten().filter(|(key, _)| *key != ".");
        let children: BTreeMap<String, Self> =
            children.map(|(key, child)| (key.clone(), Self::read(child))).collect();
        Self { member: children.is_empty() || map.is_some_and(|map| map.contains_key(".")), children }
    }
}

/// A path as error messages show it: `.spec.containers[name="a"].image`.
pub(super) fn show(path: &[String]) -> String {
    path.iter().map(|element| show_element(element)).collect()
}

fn show_element(element: &str) -> String {
    if let Some(name) = element.strip_prefix("f:") {
        return format!(".{name}");
    }
    if let Some(value) = element.strip_prefix("v:") {
        return format!("[={value}]");
    }
    let keys =
        element.strip_prefix("k:").and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
    let pairs: Vec<String> = keys.iter().flatten().map(|(key, value)| format!("{key}={value}")).collect();
    format!("[{}]", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOYMENT: Type = Type::Struct("Deployment");

    #[test]
    fn an_applied_configuration_claims_leaves_list_items_and_map_keys() {
        let config = json!({
            "metadata": {"labels": {"app": "x"}},
            "spec": {
                "selector": {"matchLabels": {"app": "x"}},
                "template": {"spec": {"containers": [
                    {"name": "c", "image": "i", "ports": [{"containerPort": 80}], "command": ["a"], "resources": {}}
                ]}},
            },
        });
        let set = FieldSet::of(&config, &DEPLOYMENT).to_json();
        assert_eq!(
            set,
            json!({
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {
                    "f:selector": {},
                    "f:template": {"f:spec": {"f:containers": {r#"k:{"name":"c"}"#: {
                        ".": {}, "f:command": {}, "f:image": {}, "f:name": {}, "f:resources": {},
                        "f:ports": {r#"k:{"containerPort":80,"protocol":"TCP"}"#: {".": {}, "f:containerPort": {}}},
                    }}}},
                },
            })
        );
        assert_eq!(FieldSet::from_json(&set).to_json(), set);
    }

    #[test]
    fn an_update_claims_what_is_new_with_its_parents_and_what_changed() {
        let old = json!({"metadata": {}, "spec": {"replicas": 1}});
        let new = json!({"metadata": {"labels": {"app": "x"}}, "spec": {"replicas": 2}});
        let comparison = Comparison::of(&old, &new, &DEPLOYMENT);
        let wanted =
            json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:replicas": {}}});
        assert_eq!(comparison.written.to_json(), wanted);
        assert_eq!(Comparison::of(&new, &old, &DEPLOYMENT).removed.paths().len(), 2);
    }

    #[test]
    fn paths_read_as_the_api_server_prints_them() {
        let path =
            ["f:spec", r#"k:{"containerPort":80,"protocol":"TCP"}"#, "f:name", r#"v:"x""#].map(String::from);
        assert_eq!(show(&path), r#".spec[containerPort=80,protocol="TCP"].name[="x"]"#);
    }
}
