//! OpenAPI v3, made from the schema: enough for `kubectl apply`, `diff` and `explain`.

use super::kind::Kind;
use super::schema::{self, ListMerge, Scalar, Struct, Type};
use crate::api::Response;
use serde_json::{Map, Value, json};

/// Answers a path below `/openapi`.
pub(super) fn answer(path: &str) -> Option<Response> {
    let rest = path.strip_prefix("/openapi/v3")?.trim_matches('/');
    if rest.is_empty() {
        let paths: Map<String, Value> = groups()
            .map(|path| (path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}")})))
            .collect();
        return Some(Response::json(200, &json!({"paths": paths})));
    }
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| group_path(*kind) == rest).collect();
    (!kinds.is_empty()).then(|| Response::json(200, &document(&kinds)))
}

fn group_path(kind: Kind) -> String {
    match kind.info().group {
        "" => "api/v1".to_owned(),
        group => format!("apis/{group}/v1"),
    }
}

fn groups() -> impl Iterator<Item = String> {
    let mut all: Vec<String> = Kind::ALL.into_iter().map(group_path).collect();
    all.sort();
    all.dedup();
    all.into_iter()
}

fn definition(name: &str) -> String {
    format!("io.k8s.api.v1.{name}")
}

fn document(kinds: &[Kind]) -> Value {
    let mut schemas = Map::new();
    for kind in kinds {
        add(&mut schemas, kind.info().kind);
        let gvk = json!([{"group": kind.info().group, "kind": kind.info().kind, "version": "v1"}]);
        if let Some(schema) = schemas.get_mut(&definition(kind.info().kind)) {
            super::tree::put(schema, "/x-kubernetes-group-version-kind", gvk);
        }
    }
    let paths: Map<String, Value> = kinds.iter().flat_map(|kind| paths(*kind)).collect();
    json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.33"}, "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn paths(kind: Kind) -> Vec<(String, Value)> {
    let info = kind.info();
    let home = if info.namespaced { "/namespaces/{namespace}" } else { "" };
    let collection = format!("/{}{home}/{}", group_path(kind), info.plural);
    let query =
        |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    let write = json!([query("dryRun"), query("fieldManager"), query("fieldValidation")]);
    let gvk = json!({"group": info.group, "kind": info.kind, "version": "v1"});
    let body = |types: &[&str]| {
        let schema = json!({"schema": {"$ref": format!("#/components/schemas/{}", definition(info.kind))}});
        let content: Map<String, Value> =
            types.iter().map(|media| ((*media).to_owned(), schema.clone())).collect();
        json!({"content": content})
    };
    let operation = |action: &str, types: &[&str]| {
        json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk, "parameters": write,
            "requestBody": body(types), "responses": {"200": body(&["application/json"])}})
    };
    let read = |action: &str| {
        json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk,
            "responses": {"200": body(&["application/json"])}})
    };
    let patches = [
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
    ];
    vec![
        (collection.clone(), json!({"get": read("list"), "post": operation("post", &["*/*"])})),
        (
            format!("{collection}/{{name}}"),
            json!({"get": read("get"), "put": operation("put", &["*/*"]), "patch": operation("patch", &patches),
                "delete": read("delete")}),
        ),
    ]
}

fn add(schemas: &mut Map<String, Value>, name: &str) {
    if schemas.contains_key(&definition(name)) {
        return;
    }
    let Some(known) = schema::lookup(name) else { return };
    schemas.insert(definition(name), Value::Null);
    for ty in known.fields.values() {
        if let Some(inner) = inner(ty) {
            add(schemas, inner);
        }
    }
    schemas.insert(definition(name), object(known));
}

fn inner(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::Struct(name) => Some(name),
        Type::Map { item, .. } | Type::List { item, .. } => inner(item),
        Type::Scalar(_) | Type::Any => None,
    }
}

fn object(known: &Struct) -> Value {
    let properties: Map<String, Value> =
        known.fields.iter().map(|(name, ty)| ((*name).to_owned(), property(ty))).collect();
    let mut schema = json!({"type": "object", "properties": properties});
    if known.atomic {
        super::tree::put(&mut schema, "/x-kubernetes-map-type", "atomic");
    }
    schema
}

fn property(ty: &Type) -> Value {
    match ty {
        Type::Scalar(scalar) => scalar_schema(*scalar),
        Type::Any => json!({"type": "object"}),
        Type::Struct(name) => {
            json!({"allOf": [{"$ref": format!("#/components/schemas/{}", definition(name))}]})
        }
        Type::Map { item, .. } => json!({"type": "object", "additionalProperties": property(item)}),
        Type::List { item, merge } => {
            let mut list = json!({"type": "array", "items": property(item)});
            let (kind, keys) = match merge {
                ListMerge::Atomic => ("atomic", None),
                ListMerge::Set => ("set", None),
                ListMerge::Keys(keys) => ("map", Some(keys)),
            };
            super::tree::put(&mut list, "/x-kubernetes-list-type", kind);
            if let Some(keys) = keys {
                super::tree::put(&mut list, "/x-kubernetes-list-map-keys", keys.clone());
                super::tree::put(
                    &mut list,
                    "/x-kubernetes-patch-merge-key",
                    keys.first().copied().unwrap_or_default(),
                );
                super::tree::put(&mut list, "/x-kubernetes-patch-strategy", "merge");
            }
            list
        }
    }
}

fn scalar_schema(scalar: Scalar) -> Value {
    match scalar {
        Scalar::String => json!({"type": "string"}),
        Scalar::Bytes => json!({"type": "string", "format": "byte"}),
        Scalar::Time => json!({"type": "string", "format": "date-time"}),
        Scalar::Int => json!({"type": "integer"}),
        Scalar::Number => json!({"type": "number"}),
        Scalar::Bool => json!({"type": "boolean"}),
        Scalar::Quantity => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        Scalar::IntOrString => {
            json!({"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_of_a_document_resolves() {
        for kind in Kind::ALL {
            let document = document(&[kind]);
            let text = document.to_string();
            let schemas = document.pointer("/components/schemas").and_then(Value::as_object).unwrap();
            for part in text.split("#/components/schemas/").skip(1) {
                let name = part.split('"').next().unwrap();
                assert!(schemas.contains_key(name), "{kind:?}: {name}");
            }
        }
    }
}
