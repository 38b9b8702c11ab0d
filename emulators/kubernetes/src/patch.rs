//! Patches: merge patch (RFC 7386), JSON patch (RFC 6902) and strategic merge patch.

use super::failure::Failure;
use super::schema::{Shape, Type};
use super::tree;
use serde_json::{Map, Value};

/// RFC 7386.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    let mut map = if let Value::Object(map) = target.take() { map } else { Map::new() };
    for (key, change) in changes {
        if change.is_null() {
            map.shift_remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
    *target = Value::Object(map);
}

/// RFC 6902.
///
/// # Errors
/// 422 or 400 as the API server: a failed test, a missing path, a malformed operation.
pub(super) fn json_patch(target: &mut Value, operations: &Value) -> Result<(), Failure> {
    let Value::Array(operations) = operations else {
        return Err(Failure::bad_request("a JSON patch is a list of operations"));
    };
    for operation in operations {
        let what = tree::text(operation, "/op").unwrap_or_default();
        let path = operation.get("path").and_then(Value::as_str).unwrap_or_default();
        let from = operation.get("from").and_then(Value::as_str).unwrap_or_default();
        let value = operation.get("value").cloned().unwrap_or(Value::Null);
        let failed = Failure::unprocessable;
        match what {
            "test" if target.pointer(path).unwrap_or(&Value::Null) == &value => {}
            "test" => return Err(failed()),
            "add" => insert(target, path, value).ok_or_else(failed)?,
            "replace" => *target.pointer_mut(path).ok_or_else(failed)? = value,
            "remove" => drop(take(target, path).ok_or_else(failed)?),
            "copy" => {
                let value = target.pointer(from).cloned().ok_or_else(failed)?;
                insert(target, path, value).ok_or_else(failed)?;
            }
            "move" => {
                let value = take(target, from).ok_or_else(failed)?;
                insert(target, path, value).ok_or_else(failed)?;
            }
            _ => return Err(failed()),
        }
    }
    Ok(())
}

fn insert(target: &mut Value, path: &str, value: Value) -> Option<()> {
    let Some((parent, key)) = path.rsplit_once('/') else {
        *target = value;
        return Some(());
    };
    match target.pointer_mut(parent)? {
        Value::Object(map) => {
            map.insert(key.replace("~1", "/").replace("~0", "~"), value);
        }
        Value::Array(list) => {
            let at = if key == "-" { list.len() } else { key.parse().ok().filter(|at| *at <= list.len())? };
            list.insert(at, value);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
    }
    Some(())
}

fn take(target: &mut Value, path: &str) -> Option<Value> {
    let (parent, key) = path.rsplit_once('/')?;
    match target.pointer_mut(parent)? {
        Value::Object(map) => map.shift_remove(&key.replace("~1", "/").replace("~0", "~")),
        Value::Array(list) => key.parse().ok().filter(|at| *at < list.len()).map(|at: usize| list.remove(at)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Strategic merge: lists merge by the key that the schema names; `$patch`, `$retainKeys`, `$setElementOrder/…` and
/// `$deleteFromPrimitiveList/…` direct it.
pub(super) fn strategic(target: &mut Value, patch: &Value, ty: &Type) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    let mut map = if let Value::Object(map) = target.take() { map } else { Map::new() };
    if changes.get("$patch").and_then(Value::as_str) == Some("replace") {
        map = Map::new();
    }
    if let Some(Value::Array(retained)) = changes.get("$retainKeys") {
        map.retain(|key, _| retained.iter().any(|wanted| wanted.as_str() == Some(key)));
    }
    for (key, change) in changes {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(items)), Value::Array(gone)) = (map.get_mut(list), change) {
                items.retain(|item| !gone.contains(item));
            }
        } else if key.starts_with('$') {
        } else if change.is_null() || change.get("$patch").and_then(Value::as_str) == Some("delete") {
            map.shift_remove(key);
        } else {
            let item = field_type(ty, key);
            let entry = map.entry(key.clone()).or_insert(Value::Null);
            match (item.shape(), change) {
                (Shape::Keyed(item, keys), Value::Array(list)) => merge_list(entry, list, item, keys),
                (Shape::Set, Value::Array(list)) => merge_set(entry, list),
                (_, Value::Object(_)) => strategic(entry, change, item),
                (_, _) => *entry = change.clone(),
            }
        }
    }
    for (key, order) in changes {
        if let (Some(list), Value::Array(order)) = (key.strip_prefix("$setElementOrder/"), order)
            && let Some(Value::Array(items)) = map.get_mut(list)
        {
            reorder(items, order, field_type(ty, list));
        }
    }
    *target = Value::Object(map);
}

fn field_type<'t>(ty: &'t Type, key: &str) -> &'t Type {
    static ANY: Type = Type::Any;
    match ty {
        Type::Struct(name) => {
            super::schema::lookup(name).and_then(|known| known.fields.get(key)).unwrap_or(&ANY)
        }
        Type::Map { item, .. } => item,
        Type::Scalar(_) | Type::Any | Type::List { .. } => &ANY,
    }
}

fn merge_set(target: &mut Value, added: &[Value]) {
    let mut items = if let Value::Array(items) = target.take() { items } else { Vec::new() };
    for value in added {
        if !items.contains(value) {
            items.push(value.clone());
        }
    }
    *target = Value::Array(items);
}

fn merge_list(target: &mut Value, changes: &[Value], item: &Type, keys: &[&str]) {
    let mut items = if let Value::Array(items) = target.take() { items } else { Vec::new() };
    // Strategic merge knows one key only: the first.
    let key = keys.first().copied().unwrap_or("name");
    let directive = |change: &Value| change.get("$patch").and_then(Value::as_str).map(str::to_owned);
    if changes.iter().any(|change| directive(change).as_deref() == Some("replace")) {
        items = changes.iter().filter(|change| directive(change).is_none()).cloned().collect();
        *target = Value::Array(items);
        return;
    }
    for change in changes {
        let at = items.iter().position(|item| item.get(key) == change.get(key) && item.get(key).is_some());
        match (directive(change).as_deref(), at) {
            (Some("delete"), Some(at)) => drop(items.remove(at)),
            (Some("delete"), None) => {}
            (_, Some(at)) => {
                if let Some(existing) = items.get_mut(at) {
                    strategic(existing, change, item);
                }
            }
            (_, None) => {
                let mut new = Value::Null;
                strategic(&mut new, change, item);
                items.push(new);
            }
        }
    }
    *target = Value::Array(items);
}

/// Puts items into the given order; items that it does not name keep their place behind their predecessor.
fn reorder(items: &mut [Value], order: &[Value], ty: &Type) {
    let key = match ty.shape() {
        Shape::Keyed(_, keys) => keys.first().copied(),
        Shape::Leaf | Shape::Struct(_) | Shape::Map(_) | Shape::Set => None,
    };
    let rank = |item: &Value| {
        order.iter().position(|wanted| match key {
            Some(key) => wanted.get(key) == item.get(key),
            None => wanted == item,
        })
    };
    let mut last = 0;
    let mut ranked: Vec<(usize, Value)> = Vec::new();
    for item in items.iter() {
        last = rank(item).unwrap_or(last);
        ranked.push((last, item.clone()));
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    for (slot, (_, item)) in items.iter_mut().zip(ranked) {
        *slot = item;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merge_patch_removes_nulls() {
        let mut value = json!({"a": {"b": 1, "c": 2}, "d": [1]});
        merge(&mut value, &json!({"a": {"b": null, "e": {"f": null, "g": 1}}, "d": [2]}));
        assert_eq!(value, json!({"a": {"c": 2, "e": {"g": 1}}, "d": [2]}));
    }

    #[test]
    fn json_patch_tests_adds_moves_and_refuses() {
        let mut value = json!({"a": [1, 2], "b": {"x/y": 1}});
        let patch = json!([
            {"op": "test", "path": "/b/x~1y", "value": 1}, {"op": "add", "path": "/a/1", "value": 9},
            {"op": "add", "path": "/a/-", "value": 3}, {"op": "move", "from": "/b/x~1y", "path": "/c"},
            {"op": "remove", "path": "/a/0"},
        ]);
        json_patch(&mut value, &patch).unwrap();
        assert_eq!(value, json!({"a": [9, 2, 3], "b": {}, "c": 1}));
        assert!(json_patch(&mut value, &json!([{"op": "remove", "path": "/nope"}])).is_err());
        assert!(json_patch(&mut value, &json!([{"op": "test", "path": "/c", "value": 2}])).is_err());
    }

    #[test]
    fn strategic_merge_follows_the_keys_and_directives() {
        let ty = Type::Struct("PodSpec");
        let mut spec = json!({
            "containers": [{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}],
            "volumes": [{"name": "v", "emptyDir": {}}],
            "tolerations": [{"key": "k"}],
        });
        let patch = json!({
            "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
            "containers": [
                {"name": "a", "env": [{"name": "X", "$patch": "delete"}, {"name": "Y", "value": "2"}]},
                {"name": "b", "$patch": "delete"}, {"name": "c", "image": "3"},
            ],
            "volumes": [{"name": "v", "$retainKeys": ["name", "nfs"], "nfs": {"server": "s", "path": "/p"}}],
            "tolerations": [],
        });
        strategic(&mut spec, &patch, &ty);
        let wanted = json!({
            "containers": [
                {"name": "c", "image": "3"}, {"name": "a", "image": "1", "env": [{"name": "Y", "value": "2"}]},
            ],
            "volumes": [{"name": "v", "nfs": {"server": "s", "path": "/p"}}],
            "tolerations": [],
        });
        assert_eq!(spec, wanted);
    }
}
