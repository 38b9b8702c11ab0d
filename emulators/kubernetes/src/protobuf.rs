//! Bodies in Kubernetes' protobuf encoding, as kubectl sends them from its imperative commands (`create`, `run`,
//! `drain`). Only the fields that those commands fill are known; a body that says more is refused, not cut short.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Map, Value, json};

/// What a serialised object begins with.
const MAGIC: &[u8] = b"k8s\0";

/// One type a line: its name, then NUMBER:FIELD:TYPE. TYPE: `s` text, `i` number, `b` truth, `x` number or text, `t`
/// time, `m` map of text, `y` map of bytes, a name for a message; `*` before it for a list.
const TYPES: &str = "\
TypeMeta 1:apiVersion:s 2:kind:s
ObjectMeta 1:name:s 2:generateName:s 3:namespace:s 5:uid:s 6:resourceVersion:s 7:generation:i 8:creationTimestamp:t \
11:labels:m 12:annotations:m 14:finalizers:*s
Namespace 1:metadata:ObjectMeta
ConfigMap 1:metadata:ObjectMeta 2:data:m 3:binaryData:y 4:immutable:b
Secret 1:metadata:ObjectMeta 2:data:y 3:type:s 4:stringData:m 5:immutable:b
ServiceAccount 1:metadata:ObjectMeta
Service 1:metadata:ObjectMeta 2:spec:ServiceSpec
ServiceSpec 1:ports:*ServicePort 2:selector:m 3:clusterIP:s 4:type:s 7:sessionAffinity:s 10:externalName:s
ServicePort 1:name:s 2:protocol:s 3:port:i 4:targetPort:x 5:nodePort:i
Pod 1:metadata:ObjectMeta 2:spec:PodSpec
PodSpec 2:containers:*Container 3:restartPolicy:s 4:terminationGracePeriodSeconds:i 6:dnsPolicy:s
Container 1:name:s 2:image:s 3:command:*s 4:args:*s 6:ports:*ContainerPort 7:env:*EnvVar 14:imagePullPolicy:s
ContainerPort 1:name:s 2:hostPort:i 3:containerPort:i 4:protocol:s
EnvVar 1:name:s 2:value:s
Deployment 1:metadata:ObjectMeta 2:spec:DeploymentSpec
DeploymentSpec 1:replicas:i 2:selector:LabelSelector 3:template:PodTemplateSpec
PodTemplateSpec 1:metadata:ObjectMeta 2:spec:PodSpec
LabelSelector 1:matchLabels:m
PodDisruptionBudget 1:metadata:ObjectMeta 2:spec:PodDisruptionBudgetSpec
PodDisruptionBudgetSpec 1:minAvailable:x 2:selector:LabelSelector 3:maxUnavailable:x
Eviction 1:metadata:ObjectMeta 2:deleteOptions:DeleteOptions
DeleteOptions 1:gracePeriodSeconds:i 2:preconditions:Preconditions 3:orphanDependents:b 4:propagationPolicy:s \
5:dryRun:*s
Preconditions 1:uid:s 2:resourceVersion:s
SelfSubjectReview 1:metadata:ObjectMeta
SelfSubjectAccessReview 1:metadata:ObjectMeta 2:spec:SelfSubjectAccessReviewSpec
SelfSubjectAccessReviewSpec 1:resourceAttributes:ResourceAttributes
ResourceAttributes 1:namespace:s 2:verb:s 3:group:s 4:version:s 5:resource:s 6:subresource:s 7:name:s";

/// A field as it stands in a message.
enum Wire<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

/// Reads an object.
///
/// # Errors
/// Why it can't be read.
pub(super) fn decode(body: &[u8]) -> Result<Value, String> {
    let envelope = body.strip_prefix(MAGIC).ok_or("it does not begin as Kubernetes' protobuf does")?;
    let fields = fields(envelope).ok_or("it is cut short")?;
    let part = |number: u64| {
        fields.iter().find_map(|(at, wire)| match wire {
            Wire::Bytes(bytes) if *at == number => Some(*bytes),
            Wire::Bytes(_) | Wire::Number(_) => None,
        })
    };
    let head = message("TypeMeta", part(1).unwrap_or_default())?;
    let kind = super::tree::text(&head, "/kind").unwrap_or_default().to_owned();
    let mut object = message(&kind, part(2).unwrap_or_default())?;
    for key in ["kind", "apiVersion"] {
        super::tree::carry(&head, &mut object, &format!("/{key}"));
    }
    Ok(object)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The fields of a message; `None` when it is malformed.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Wire<'_>)>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let wire = match tag & 7 {
            0 => Wire::Number(varint(&mut bytes)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (taken, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Wire::Bytes(taken)
            }
            _ => return None,
        };
        all.push((tag >> 3, wire));
    }
    Some(all)
}

/// Whether a field says nothing: zero, empty, or a message of such fields.
fn is_zero(wire: &Wire<'_>) -> bool {
    match wire {
        Wire::Number(number) => *number == 0,
        Wire::Bytes(bytes) => {
            bytes.is_empty() || fields(bytes).is_some_and(|inner| inner.iter().all(|(_, wire)| is_zero(wire)))
        }
    }
}

/// Name and type of a field.
fn known(line: &'static str, number: u64) -> Option<(&'static str, &'static str)> {
    line.split_whitespace().skip(1).find_map(|word| {
        let (at, rest) = word.split_once(':')?;
        (at.parse() == Ok(number)).then(|| rest.split_once(':'))?
    })
}

fn message(name: &str, bytes: &[u8]) -> Result<Value, String> {
    let line = TYPES.lines().find(|line| line.split(' ').next() == Some(name));
    let line = line.ok_or_else(|| format!("type {name:?} is only read as JSON"))?;
    let mut object = Map::new();
    for (number, wire) in fields(bytes).ok_or_else(|| format!("{name} is malformed"))? {
        let Some((field, ty)) = known(line, number) else {
            if is_zero(&wire) {
                continue;
            }
            return Err(format!("field {number} of {name} is only read as JSON"));
        };
        match ty.strip_prefix('*') {
            Some(item) => {
                let list = object.entry(field).or_insert_with(|| json!([]));
                if let Value::Array(list) = list {
                    list.push(value(item, &wire)?);
                }
            }
            None if matches!(ty, "m" | "y") => {
                let map = object.entry(field).or_insert_with(|| json!({}));
                if let Value::Object(map) = map {
                    let (key, value) = entry(ty, &wire)?;
                    map.insert(key, value);
                }
            }
            None => {
                object.insert(field.to_owned(), value(ty, &wire)?);
            }
        }
    }
    Ok(Value::Object(object))
}

fn text(bytes: &[u8]) -> Result<Value, String> {
    std::str::from_utf8(bytes).map(|text| json!(text)).map_err(|error| error.to_string())
}

/// One entry of a map: a message of key and value.
fn entry(ty: &str, wire: &Wire<'_>) -> Result<(String, Value), String> {
    let Wire::Bytes(bytes) = wire else { return Err("a map entry is a number".to_owned()) };
    let (mut key, mut value) = (String::new(), json!(""));
    for (number, wire) in fields(bytes).ok_or("a map entry is malformed")? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => key = String::from_utf8_lossy(bytes).into_owned(),
            (2, Wire::Bytes(bytes)) if ty == "y" => value = json!(BASE64_STANDARD.encode(bytes)),
            (2, Wire::Bytes(bytes)) => value = text(bytes)?,
            (_, Wire::Bytes(_) | Wire::Number(_)) => {}
        }
    }
    Ok((key, value))
}

fn value(ty: &str, wire: &Wire<'_>) -> Result<Value, String> {
    match (ty, wire) {
        ("i", Wire::Number(number)) => Ok(json!(number.cast_signed())),
        ("b", Wire::Number(number)) => Ok(json!(*number != 0)),
        ("s", Wire::Bytes(bytes)) => text(bytes),
        // Who creates an object does not say when.
        ("t", Wire::Bytes(_)) => Ok(Value::Null),
        ("x", Wire::Bytes(bytes)) => int_or_string(bytes),
        (name, Wire::Bytes(bytes)) => message(name, bytes),
        (name, Wire::Number(_)) => Err(format!("a number stands where {name} belongs")),
    }
}

fn int_or_string(bytes: &[u8]) -> Result<Value, String> {
    let (mut is_text, mut number, mut word) = (false, json!(0), json!(""));
    for (at, wire) in fields(bytes).ok_or("a number or text is malformed")? {
        match (at, wire) {
            (1, Wire::Number(kind)) => is_text = kind == 1,
            (2, Wire::Number(value)) => number = json!(value.cast_signed()),
            (3, Wire::Bytes(bytes)) => word = text(bytes)?,
            (_, Wire::Number(_) | Wire::Bytes(_)) => {}
        }
    }
    Ok(if is_text { word } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    fn body(kind: &str, raw: &[u8]) -> Vec<u8> {
        let head = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &head), field(2, raw)].concat()
    }

    #[test]
    fn a_namespace_is_read_and_empty_unknown_fields_are_passed_over() {
        let raw = [field(1, &[field(1, b"x"), field(4, b"")].concat()), field(3, &field(1, b""))].concat();
        let wanted = json!({"metadata": {"name": "x"}, "kind": "Namespace", "apiVersion": "v1"});
        assert_eq!(decode(&body("Namespace", &raw)), Ok(wanted));
    }

    #[test]
    fn what_is_not_known_or_cut_is_refused() {
        assert!(decode(&body("Namespace", &field(9, b"x"))).unwrap_err().contains("field 9 of Namespace"));
        assert!(decode(&body("Node", b"")).is_err());
        let whole = body("Namespace", &field(1, &field(1, b"x")));
        for length in 0..whole.len() {
            drop(decode(whole.get(..length).unwrap()));
        }
        assert!(decode(b"{}").is_err());
    }
}
