//! Request bodies: JSON or YAML to objects with known fields only, as the API's own types would hold them.

use super::failure::Failure;
use super::kind::Kind;
use super::schema::{Scalar, Type, lookup};
use crate::api::Request;
use serde_json::{Map, Value};

/// What to do about unknown fields: the `fieldValidation` parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// Drop them silently.
    Ignore,
    /// Drop them and warn.
    Warn,
    /// Refuse.
    Strict,
}

impl Strictness {
    /// Of a request; the default is to warn.
    ///
    /// # Errors
    /// 400 for any other word.
    pub(super) fn of(request: &Request) -> Result<Self, Failure> {
        match request.query("fieldValidation") {
            None | Some("" | "Warn") => Ok(Self::Warn),
            Some("Ignore") => Ok(Self::Ignore),
            Some("Strict") => Ok(Self::Strict),
            Some(other) => Err(Failure::bad_request(format!("invalid fieldValidation {other:?}"))),
        }
    }
}

/// The body as JSON, whether sent as JSON or YAML.
///
/// # Errors
/// 400 when it is neither.
pub(super) fn body(request: &Request) -> Result<Value, Failure> {
    let content_type = request.header("content-type").unwrap_or("application/json");
    if request.body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    if content_type.contains("protobuf") {
        return super::protobuf::decode(&request.body)
            .map_err(|why| Failure::unsupported_body(&format!("{content_type}: {why}")));
    }
    if content_type.contains("yaml") && request.body.first() != Some(&b'{') {
        let text = std::str::from_utf8(&request.body)
            .map_err(|error| Failure::bad_request(format!("error decoding YAML: {error}")))?;
        return serde_saphyr::from_str(text)
            .map_err(|error| Failure::bad_request(format!("error decoding YAML: {error}")));
    }
    request.json().map_err(|error| {
        Failure::bad_request(format!("couldn't get version/kind; json parse error: {error}"))
    })
}

/// An object as its type holds it: without unknown fields, nulls and empty optional values.
///
/// # Errors
/// 400 when a value has the wrong type, or for unknown fields when strict.
pub(super) fn object(
    kind: Kind,
    value: Value,
    strictness: Strictness,
    warnings: &mut Vec<String>,
) -> Result<Value, Failure> {
    typed(kind.info().kind, value, strictness, warnings)
}

/// Like [`object`], for any type of the schema.
///
/// # Errors
/// Like [`object`].
pub(super) fn typed(
    name: &'static str,
    value: Value,
    strictness: Strictness,
    warnings: &mut Vec<String>,
) -> Result<Value, Failure> {
    let context = format!("{name} in version \"v1\" cannot be handled as a {name}");
    let mut walk = Walk { unknown: Vec::new() };
    let decoded = walk
        .value(value, &Type::Struct(name), "")
        .map_err(|mismatch| Failure::bad_request(format!("{context}: json: {mismatch}")))?;
    let unknown: Vec<String> = walk.unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
    match strictness {
        Strictness::Strict if !unknown.is_empty() => {
            let list = unknown.join(", ");
            return Err(Failure::bad_request(format!("{context}: strict decoding error: {list}")));
        }
        Strictness::Warn => warnings.extend(unknown),
        Strictness::Strict | Strictness::Ignore => {}
    }
    Ok(decoded)
}

/// Paths of fields that the type does not have.
pub(super) fn unknown_fields(name: &'static str, value: &Value) -> Vec<String> {
    let mut walk = Walk { unknown: Vec::new() };
    drop(walk.value(value.clone(), &Type::Struct(name), ""));
    walk.unknown
}

struct Walk {
    unknown: Vec<String>,
}

/// Fields that are absent when they hold their type's zero value, because their type is not a pointer.
const ZERO_IS_ABSENT: &[&str] = &[
    "initialDelaySeconds",
    "hostPort",
    "nodePort",
    "minReadySeconds",
    "readOnly",
    "paused",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "stdin",
    "stdinOnce",
    "tty",
    "publishNotReadyAddresses",
    "observedGeneration",
    "availableReplicas",
    "readyReplicas",
    "updatedReplicas",
    "unavailableReplicas",
    "fullyLabeledReplicas",
    "healthCheckNodePort",
    "unschedulable",
    "count",
];

/// Whether Go's encoder leaves the field out.
fn is_omitted(key: &str, value: &Value, ty: &Type) -> bool {
    match (value, ty) {
        (Value::Null, _) => true,
        (Value::Object(map), Type::Map { .. }) => map.is_empty(),
        (Value::Array(list), Type::List { .. }) => list.is_empty(),
        (Value::String(text), Type::Scalar(Scalar::String)) => text.is_empty() && key != "storageClassName",
        (Value::Bool(false), _) => ZERO_IS_ABSENT.contains(&key),
        (Value::Number(number), _) => number.as_i64() == Some(0) && ZERO_IS_ABSENT.contains(&key),
        (Value::Bool(true) | Value::Object(_) | Value::Array(_) | Value::String(_), _) => false,
    }
}

impl Walk {
    fn value(&mut self, value: Value, ty: &Type, path: &str) -> Result<Value, String> {
        match (ty, value) {
            (_, Value::Null) => Ok(Value::Null),
            (Type::Any, value) => Ok(value),
            (Type::Struct(name), Value::Object(map)) => self.fields(name, map, path),
            (Type::Map { item, .. }, Value::Object(map)) => {
                let pairs = map.into_iter().map(|(key, value)| {
                    let path = format!("{path}.{key}");
                    self.value(value, item, &path).map(|value| (key, value))
                });
                Ok(Value::Object(pairs.collect::<Result<_, _>>()?))
            }
            (Type::List { item, .. }, Value::Array(list)) => {
                let items = list.into_iter().enumerate().map(|(index, value)| {
                    let path = format!("{path}[{index}]");
                    self.value(value, item, &path)
                });
                Ok(Value::Array(items.collect::<Result<_, _>>()?))
            }
            (Type::Scalar(scalar), value) if scalar.accepts(&value) => Ok(value),
            (ty, value) => Err(mismatch(ty, &value, path)),
        }
    }

    fn fields(&mut self, name: &str, map: Map<String, Value>, path: &str) -> Result<Value, String> {
        let Some(known) = lookup(name) else { return Ok(Value::Object(map)) };
        let mut out = Map::new();
        for (key, value) in map {
            let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let Some(ty) = known.fields.get(key.as_str()) else {
                self.unknown.push(at);
                continue;
            };
            let value = self.value(value, ty, &at)?;
            if !is_omitted(&key, &value, ty) {
                out.insert(key, value);
            }
        }
        Ok(Value::Object(out))
    }
}

impl Scalar {
    fn accepts(self, value: &Value) -> bool {
        match self {
            Self::String | Self::Bytes | Self::Time => value.is_string(),
            Self::Int => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0),
            Self::Number => value.is_number(),
            Self::Bool => value.is_boolean(),
            Self::Quantity => value.is_string() || value.is_number(),
            Self::IntOrString => value.is_string() || value.is_i64(),
        }
    }

    /// The type's name in Go, as error messages say it.
    fn go(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Bytes => "[]uint8",
            Self::Time => "v1.Time",
            Self::Int => "int32",
            Self::Number => "float64",
            Self::Bool => "bool",
            Self::Quantity => "resource.Quantity",
            Self::IntOrString => "intstr.IntOrString",
        }
    }
}

fn mismatch(ty: &Type, value: &Value, path: &str) -> String {
    let sent = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let wanted = match ty {
        Type::Scalar(scalar) => scalar.go().to_owned(),
        Type::Any => "interface {}".to_owned(),
        Type::Struct(name) => format!("v1.{name}"),
        Type::Map { .. } => "map[string]string".to_owned(),
        Type::List { item, .. } => match item.as_ref() {
            Type::Struct(name) => format!("[]v1.{name}"),
            Type::Scalar(scalar) => format!("[]{}", scalar.go()),
            Type::Any | Type::Map { .. } | Type::List { .. } => "[]interface {}".to_owned(),
        },
    };
    format!("cannot unmarshal {sent} into Go struct field {path} of type {wanted}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_fields_are_named_with_their_path() {
        let sent = json!({"spec": {"replicass": 1, "template": {"spec": {"containers": [{"name": "a", "imag": 1}]}}}});
        let mut warnings = Vec::new();
        let kept = object(Kind::Deployment, sent.clone(), Strictness::Warn, &mut warnings).unwrap();
        assert_eq!(kept, json!({"spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}}));
        let wanted =
            ["unknown field \"spec.replicass\"", "unknown field \"spec.template.spec.containers[0].imag\""];
        assert_eq!(warnings, wanted);
        let refused = object(Kind::Deployment, sent, Strictness::Strict, &mut warnings).unwrap_err();
        assert_eq!(refused.code, 400);
    }

    #[test]
    fn a_wrong_type_is_refused() {
        let sent = json!({"spec": {"replicas": "three"}});
        let refused =
            object(Kind::Deployment, sent, Strictness::Ignore, &mut Vec::new()).unwrap_err().status();
        let wanted = "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal string \
                      into Go struct field spec.replicas of type int32";
        assert_eq!(refused["message"], wanted);
    }
}
