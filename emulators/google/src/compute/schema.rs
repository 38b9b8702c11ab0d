//! Bodies are checked against the field names and types of Google's discovery document (`schema.json`: message, field,
//! type; written by `emulators/schemas/generate`), and put into the form in which they come back: 64-bit integers as strings,
//! nulls dropped.

use super::failure::Failure;
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// `None` only if the embedded file were damaged, which a test rules out.
static SCHEMA: LazyLock<Option<Map<String, Value>>> =
    LazyLock::new(|| serde_json::from_str(include_str!("schema.json")).ok());

/// Checks a body as a message of this name.
///
/// # Errors
/// When a field is not known or has the wrong type.
pub(super) fn check(message: &str, body: Value) -> Result<Map<String, Value>, Failure> {
    let kind = Value::from(message);
    match conform(&kind, body, "")? {
        Value::Object(fields) => Ok(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Err(
            Failure::malformed("Invalid JSON payload received. Root element must be a message.".to_owned()),
        ),
    }
}

fn conform(kind: &Value, value: Value, at: &str) -> Result<Value, Failure> {
    match kind {
        Value::String(name) => match SCHEMA.as_ref().and_then(|schema| schema.get(name)) {
            Some(Value::Object(fields)) => conform_fields(fields, value, at),
            _ => scalar(name, value, at),
        },
        Value::Array(items) => match (items.first(), value) {
            (Some(item), Value::Array(values)) => values
                .into_iter()
                .filter(|value| !value.is_null())
                .enumerate()
                .map(|(index, value)| conform(item, value, &format!("{at}[{index}]")))
                .collect(),
            (_, other) => Err(wrong(at, "list", &other)),
        },
        Value::Object(fields) => conform_fields(fields, value, at),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(value),
    }
}

fn conform_fields(fields: &Map<String, Value>, value: Value, at: &str) -> Result<Value, Failure> {
    let Value::Object(given) = value else { return Err(wrong(at, "message", &value)) };
    let mut out = Map::new();
    for (name, value) in given {
        let Some(kind) = fields.get("*").or_else(|| fields.get(&name)) else {
            let place = if at.is_empty() { String::new() } else { format!(" at '{at}'") };
            return Err(Failure::malformed(format!(
                "Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field."
            )));
        };
        if !value.is_null() {
            let place = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            out.insert(name, conform(kind, value, &place)?);
        }
    }
    Ok(Value::Object(out))
}

fn scalar(kind: &str, value: Value, at: &str) -> Result<Value, Failure> {
    match (kind, &value) {
        ("any", _)
        | ("string", Value::String(_))
        | ("boolean", Value::Bool(_))
        | ("number", Value::Number(_)) => Ok(value),
        ("int64", Value::Number(number)) if !number.is_f64() => Ok(Value::from(number.to_string())),
        ("int64", Value::String(text)) if text.parse::<i128>().is_ok() => Ok(value),
        ("int32", Value::Number(number)) if !number.is_f64() => Ok(value),
        ("int32", Value::String(text)) => {
            text.parse::<i64>().map(Value::from).map_err(|_| wrong(at, "TYPE_INT32", &value))
        }
        // Maps of anything come without a declared value type.
        ("object", Value::Object(_)) => Ok(value),
        _ => Err(wrong(at, kind, &value)),
    }
}

fn wrong(at: &str, kind: &str, value: &Value) -> Failure {
    let kind = match kind {
        "int64" => "TYPE_INT64",
        "string" => "TYPE_STRING",
        "boolean" => "TYPE_BOOL",
        other => other,
    };
    Failure::malformed(format!("Invalid value at '{at}' ({kind}), {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_type_of_the_schema_is_known() {
        fn known(schema: &Map<String, Value>, kind: &Value) -> bool {
            match kind {
                Value::String(name) => {
                    schema.contains_key(name)
                        || ["string", "int64", "int32", "boolean", "number", "any", "object"]
                            .contains(&name.as_str())
                }
                Value::Array(items) => items.len() == 1 && items.iter().all(|item| known(schema, item)),
                Value::Object(fields) => fields.values().all(|kind| known(schema, kind)),
                Value::Null | Value::Bool(_) | Value::Number(_) => false,
            }
        }
        let schema = SCHEMA.as_ref().unwrap();
        for (name, message) in schema {
            assert!(known(schema, message), "{name}");
        }
    }

    #[test]
    fn integers_and_nulls_are_put_into_form() {
        let body = json!({"name": "d", "sizeGb": 20, "description": null, "labels": {"a": "b"}});
        let checked = check("Disk", body).unwrap();
        assert_eq!(Value::Object(checked), json!({"name": "d", "sizeGb": "20", "labels": {"a": "b"}}));
    }

    #[test]
    fn unknown_and_mistyped_fields_are_named() {
        for (body, says) in [
            (json!({"nmae": "d"}), "Unknown name \"nmae\": Cannot find field."),
            (json!({"disks": [{"sise": 1}]}), "Unknown name \"sise\" at 'disks[0]': Cannot find field."),
            (json!({"name": 7}), "Invalid value at 'name' (TYPE_STRING), 7"),
            (json!({"labels": {"a": true}}), "Invalid value at 'labels.a' (TYPE_STRING), true"),
            (json!([]), "(message)"),
        ] {
            let message = check("Instance", body).unwrap_err().message;
            assert!(message.contains(says), "{message}");
        }
    }
}
