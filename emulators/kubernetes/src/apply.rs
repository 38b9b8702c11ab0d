//! Server-side apply: merging a configuration into a live object under field ownership.

use super::failure::Failure;
use super::fields::{Comparison, FieldSet, item_key, parts};
use super::managers::{Actor, Managers, Operation};
use super::schema::{Shape, Type};
use super::tree;
use crate::api::Time;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What an apply needs beside the object.
#[derive(Debug)]
pub(super) struct Apply<'a> {
    /// Type of the object.
    pub(super) ty: &'a Type,
    /// The fields of the configuration as it was sent.
    pub(super) claimed: FieldSet,
    /// Who applies.
    pub(super) actor: &'a Actor,
    /// `apiVersion` of the configuration.
    pub(super) api_version: &'a str,
    /// Whether to take fields that others own.
    pub(super) force: bool,
    /// Now.
    pub(super) now: Time,
}

impl Apply<'_> {
    /// The live object with the configuration merged in: fields that the applier no longer claims, and nobody else
    /// owns, are removed; `managedFields` is up to date. Defaults are not set yet.
    ///
    /// # Errors
    /// 409 when it would change fields of other managers, unless forced.
    pub(super) fn merge_into(&self, live: &Value, config: &Value) -> Result<Value, Failure> {
        let mut managers = Managers::of(live);
        let mut bare = live.clone();
        tree::remove(&mut bare, "/metadata/managedFields");
        let claimed = self.claimed.clone();
        let dropped = managers.applied(self.actor).ensured(self.ty).minus(&claimed.clone().ensured(self.ty));
        let others = managers.others(Operation::Apply, self.actor).ensured(self.ty);
        let mut merged = merge(&bare, config, self.ty);
        prune(&mut merged, self.ty, Some(&dropped), Some(&others), false);
        self.set_zeros(&mut merged, config);
        let changed = Comparison::of(&bare, &merged, self.ty);
        if !self.force {
            managers.check_conflicts(&changed, self.actor)?;
        }
        managers.take_from_others(&changed, self.actor);
        managers.record_apply(claimed, self.actor, self.api_version, self.now);
        managers.write(&mut merged);
        Ok(merged)
    }

    /// A number or a truth value that was sent as zero is claimed, and takes the place of the one before it, although no
    /// encoder writes it.
    fn set_zeros(&self, merged: &mut Value, config: &Value) {
        for path in self.claimed.clone().minus(&FieldSet::of(config, self.ty)).paths() {
            let names: Option<Vec<&str>> = path.iter().map(|element| element.strip_prefix("f:")).collect();
            let Some(names) = names else { continue };
            let pointer: String = names.iter().map(|name| format!("/{}", tree::escape(name))).collect();
            if matches!(merged.pointer(&pointer), Some(Value::Bool(_) | Value::Number(_))) {
                tree::remove(merged, &pointer);
            }
        }
    }
}

impl FieldSet {
    /// The set with every struct field on the way to a member made a member too, so that giving up all of a struct
    /// gives up the struct itself.
    fn ensured(self, ty: &Type) -> Self {
        let mut all = self.clone();
        for path in self.paths() {
            let mut ty = Some(ty);
            for (depth, element) in path.iter().enumerate() {
                let Some(current) = ty else { break };
                let (named, next) = step(current, element);
                if named {
                    all.add(path.get(..=depth).unwrap_or(&path));
                }
                ty = next;
            }
        }
        all
    }
}

/// Whether a path element names a struct field, and the type it leads to.
fn step<'t>(ty: &'t Type, element: &str) -> (bool, Option<&'t Type>) {
    match ty.shape() {
        Shape::Leaf | Shape::Set => (false, None),
        Shape::Struct(known) => {
            let next = element.strip_prefix("f:").and_then(|name| known.fields.get(name));
            (next.is_some(), next)
        }
        Shape::Map(item) | Shape::Keyed(item, _) => (false, Some(item)),
    }
}

/// Merges a configuration over a live value.
fn merge(live: &Value, config: &Value, ty: &Type) -> Value {
    match (ty.shape(), live, config) {
        (Shape::Struct(_) | Shape::Map(_), Value::Object(old), Value::Object(new)) => {
            let types: BTreeMap<String, &Type> =
                parts(config, ty).into_iter().map(|(key, _, item)| (key, item)).collect();
            let mut out = old.clone();
            for (key, value) in new {
                let merged = match (old.get(key), types.get(&format!("f:{key}"))) {
                    (Some(before), Some(item)) => merge(before, value, item),
                    (Some(_) | None, _) => value.clone(),
                };
                out.insert(key.clone(), merged);
            }
            Value::Object(out)
        }
        (Shape::Set, Value::Array(old), Value::Array(new)) => {
            let added = new.iter().filter(|value| !old.contains(value));
            Value::Array(old.iter().chain(added).cloned().collect())
        }
        (Shape::Keyed(item, keys), Value::Array(old), Value::Array(new)) => merge_lists(old, new, item, keys),
        (Shape::Leaf | Shape::Struct(_) | Shape::Map(_) | Shape::Set | Shape::Keyed(..), ..) => {
            config.clone()
        }
    }
}

/// Items of both lists: those of the configuration in its own order, those that are only live where they were.
fn merge_lists(old: &[Value], new: &[Value], item: &Type, keys: &[&str]) -> Value {
    let key = |value: &Value| item_key(value, keys);
    let mut waiting = new.iter();
    let mut placed: Vec<Option<String>> = Vec::new();
    let mut out = Vec::new();
    let merged = |value: &Value| {
        let before = old.iter().find(|live| key(live) == key(value));
        before.map_or_else(|| value.clone(), |before| merge(before, value, item))
    };
    for live in old {
        if !new.iter().any(|value| key(value) == key(live)) {
            out.push(live.clone());
            continue;
        }
        while !placed.contains(&key(live)) {
            let Some(next) = waiting.next() else { break };
            placed.push(key(next));
            out.push(merged(next));
        }
    }
    out.extend(waiting.map(merged));
    Value::Array(out)
}

/// Removes what was dropped, except what others own. Inside a dropped struct, what nobody owns goes too.
fn prune(value: &mut Value, ty: &Type, dropped: Option<&FieldSet>, others: Option<&FieldSet>, inside: bool) {
    let mut doomed = Vec::new();
    let mut kept = BTreeMap::new();
    for (key, _, item) in parts(value, ty) {
        let here = dropped.and_then(|set| set.child(&key));
        let theirs = others.and_then(|set| set.child(&key));
        let goes = inside || here.is_some_and(|set| set.contains(&[]));
        if goes && theirs.is_none_or(FieldSet::is_empty) {
            doomed.push(key);
        } else if goes || here.is_some() {
            kept.insert(key, (here, theirs, goes, item));
        }
    }
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !doomed.contains(&format!("f:{key}")));
            for (key, part) in map {
                if let Some((here, theirs, goes, item)) = kept.get(&format!("f:{key}")) {
                    prune(part, item, *here, *theirs, *goes);
                }
            }
        }
        Value::Array(list) => prune_list(list, ty, &doomed, &kept),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Of a part that stays: what of it was dropped, what others own, whether it stands inside something dropped, its type.
type Kept<'a> = (Option<&'a FieldSet>, Option<&'a FieldSet>, bool, &'a Type);

fn prune_list(list: &mut Vec<Value>, ty: &Type, doomed: &[String], kept: &BTreeMap<String, Kept<'_>>) {
    match ty.shape() {
        Shape::Set => list.retain(|value| !doomed.contains(&format!("v:{value}"))),
        Shape::Keyed(_, keys) => {
            list.retain(|value| item_key(value, keys).is_none_or(|key| !doomed.contains(&key)));
            for value in list {
                let Some((here, theirs, goes, item)) = item_key(value, keys).and_then(|key| kept.get(&key))
                else {
                    continue;
                };
                let identity: Map<String, Value> = keys
                    .iter()
                    .filter_map(|key| Some(((*key).to_owned(), value.get(*key)?.clone())))
                    .collect();
                prune(value, item, *here, *theirs, *goes);
                for (key, part) in identity {
                    tree::default(value, &format!("/{}", tree::escape(&key)), part);
                }
            }
        }
        Shape::Leaf | Shape::Struct(_) | Shape::Map(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const DEPLOYMENT: Type = Type::Struct("Deployment");

    fn apply(live: &Value, config: &Value, manager: &str, force: bool) -> Result<Value, Failure> {
        let actor = Actor::new(manager);
        let claimed = FieldSet::of(config, &DEPLOYMENT);
        let apply = Apply { ty: &DEPLOYMENT, claimed, actor: &actor, api_version: "apps/v1", force, now: 0 };
        apply.merge_into(live, config)
    }

    fn config(replicas: i64, env: &[&str]) -> Value {
        let env: Vec<Value> = env.iter().map(|name| json!({"name": name, "value": "1"})).collect();
        json!({"metadata": {"name": "d"}, "spec": {"replicas": replicas, "template": {"spec": {
            "containers": [{"name": "c", "image": "i", "env": env}]}}}})
    }

    #[test]
    fn what_an_applier_gives_up_goes_and_what_others_own_stays() {
        let first = apply(&json!({}), &config(3, &["A", "B"]), "one", false).unwrap();
        let other = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "env": [
            {"name": "B", "value": "1"}, {"name": "C", "value": "2"}]}]}}}});
        let second = apply(&first, &other, "two", false).unwrap();
        let third = apply(&second, &config(3, &[]), "one", false).unwrap();
        let env = third.pointer("/spec/template/spec/containers/0/env").unwrap();
        assert_eq!(env, &json!([{"name": "B", "value": "1"}, {"name": "C", "value": "2"}]));
        let bare = json!({"metadata": {"name": "d"}});
        let fourth = apply(&third, &bare, "one", false).unwrap();
        assert_eq!(fourth.pointer("/spec/replicas"), None);
        assert_eq!(fourth.pointer("/spec/template/spec/containers/0/image"), None);
        assert_eq!(fourth.pointer("/spec/template/spec/containers/0/name"), Some(&json!("c")));
    }

    #[test]
    fn a_conflict_names_the_field_and_its_owner_and_force_takes_it() {
        let first = apply(&json!({}), &config(3, &[]), "one", false).unwrap();
        let refused = apply(&first, &config(5, &[]), "two", false).unwrap_err().status();
        assert_eq!(
            refused["message"],
            r#"Apply failed with 1 conflict: conflict with "one": .spec.replicas"#
        );
        assert_eq!(refused["details"]["causes"][0]["field"], ".spec.replicas");
        let taken = apply(&first, &config(5, &[]), "two", true).unwrap();
        assert_eq!(taken["spec"]["replicas"], 5);
        let again = apply(&taken, &config(3, &[]), "one", false).unwrap_err().status();
        assert!(again["message"].as_str().unwrap().contains("\"two\""), "{again}");
    }

    #[test]
    fn applying_the_same_again_changes_nothing() {
        let first = apply(&json!({}), &config(3, &["A"]), "one", false).unwrap();
        assert_eq!(apply(&first, &config(3, &["A"]), "one", false).unwrap(), first);
    }

    #[test]
    fn lists_keep_the_order_of_the_configuration_and_live_items_their_place() {
        let keyed = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<Value>>();
        let item = Type::Struct("EnvVar");
        let merged = merge_lists(&keyed(&["a", "x", "b"]), &keyed(&["b", "a", "c"]), &item, &["name"]);
        assert_eq!(merged, Value::Array(keyed(&["b", "a", "x", "c"])));
    }
}
