//! Reading and writing JSON trees by pointer, without panics.

use serde_json::{Map, Value};

/// The text at a pointer, if there is one that is not empty.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The integer at a pointer.
pub(super) fn int(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

/// Whether the value at a pointer is `true`.
pub(super) fn is_true(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool) == Some(true)
}

/// The items of the list at a pointer; none when there is no list.
pub(super) fn items<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The text entries of the object at a pointer.
pub(super) fn entries<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = (&'v str, &'v str)> {
    let object = value.pointer(pointer).and_then(Value::as_object);
    object.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

/// `metadata.name`, or nothing.
pub(super) fn name(value: &Value) -> &str {
    text(value, "/metadata/name").unwrap_or_default()
}

/// `metadata.namespace`, or nothing.
pub(super) fn namespace(value: &Value) -> &str {
    text(value, "/metadata/namespace").unwrap_or_default()
}

/// `metadata.uid`, or nothing.
pub(super) fn uid(value: &Value) -> &str {
    text(value, "/metadata/uid").unwrap_or_default()
}

/// Whether deletion has begun.
pub(super) fn is_deleting(value: &Value) -> bool {
    text(value, "/metadata/deletionTimestamp").is_some()
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// Escapes one key for use in a pointer.
pub(super) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Sets the value at a pointer through objects (list items by index), making objects that are missing.
pub(super) fn put(value: &mut Value, pointer: &str, new: impl Into<Value>) {
    let mut tokens = pointer.split('/').skip(1);
    put_at(value, &mut tokens, new.into());
}

fn put_at<'p>(value: &mut Value, tokens: &mut impl Iterator<Item = &'p str>, new: Value) {
    let Some(key) = tokens.next().map(unescape) else {
        *value = new;
        return;
    };
    if let Value::Array(list) = value
        && let Some(item) = key.parse::<usize>().ok().and_then(|index| list.get_mut(index))
    {
        return put_at(item, tokens, new);
    }
    let mut map = if let Value::Object(map) = value.take() { map } else { Map::new() };
    put_at(map.entry(key).or_insert(Value::Null), tokens, new);
    *value = Value::Object(map);
}

/// Sets the value at a pointer unless there is one.
pub(super) fn default(value: &mut Value, pointer: &str, new: impl Into<Value>) {
    if value.pointer(pointer).is_none_or(Value::is_null) {
        put(value, pointer, new);
    }
}

/// Removes the value at a pointer and returns it.
pub(super) fn remove(value: &mut Value, pointer: &str) -> Option<Value> {
    let (parent, key) = pointer.rsplit_once('/')?;
    value.pointer_mut(parent)?.as_object_mut()?.shift_remove(&unescape(key))
}

/// Copies the value at a pointer from one tree to another; where the source has none it is removed.
pub(super) fn carry(from: &Value, to: &mut Value, pointer: &str) {
    match from.pointer(pointer) {
        Some(value) => put(to, pointer, value.clone()),
        None => {
            remove(to, pointer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn puts_through_missing_objects_and_list_items() {
        let mut value = json!({"a": [{"b": 1}]});
        put(&mut value, "/a/0/c~1d", 2);
        put(&mut value, "/x/y", "z");
        assert_eq!(value, json!({"a": [{"b": 1, "c/d": 2}], "x": {"y": "z"}}));
        assert_eq!((remove(&mut value, "/a/0/b"), remove(&mut value, "/a/0/b")), (Some(json!(1)), None));
    }
}
