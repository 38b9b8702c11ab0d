//! Google's discovery documents, as `tests/install/discovery.sh` fetches them.

use serde_json::{Map, Value};
use std::path::PathBuf;

/// The pinned version, the same as in the script.
const VERSION: &str = "2.202.0";

/// Where the script leaves the documents.
fn folder() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || variable("HOME").unwrap_or_default().join(".cache");
    variable("XDG_CACHE_HOME").unwrap_or_else(home).join(format!("zkprov/discovery-{VERSION}"))
}

/// One API's document.
pub(crate) struct Document(Value);

impl Document {
    /// Reads one; without it the test fails and says how to get it.
    pub(crate) fn read(name: &str) -> Self {
        let path = folder().join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; run tests/install/discovery.sh", path.display()));
        Self(serde_json::from_str(&text).unwrap())
    }

    /// The description of the method that a request calls.
    pub(crate) fn method(&self, http: &str, path: &str) -> Option<&Value> {
        let service = self.0["servicePath"].as_str().unwrap_or_default();
        let fits = |method: &&Value| {
            let template = method.get("flatPath").or_else(|| method.get("path")).and_then(Value::as_str);
            // Bytes are uploaded to a path of their own.
            let upload = method.pointer("/mediaUpload/protocols/simple/path").and_then(Value::as_str);
            method["httpMethod"] == http
                && (template.is_some_and(|template| matches(&format!("/{service}{template}"), path))
                    || upload.is_some_and(|template| matches(template, path)))
        };
        methods(&self.0).into_iter().find(fits)
    }

    /// Whether a method has a parameter, of its own or as every method has it.
    pub(crate) fn has_parameter(&self, method: &Value, name: &str) -> bool {
        [method, &self.0].iter().any(|holder| holder["parameters"].get(name).is_some())
    }

    /// Checks a value against a schema and adds what is wrong to `out`.
    pub(crate) fn check(&self, schema: &Value, value: &Value, at: &str, out: &mut Vec<String>) {
        if let Some(name) = schema["$ref"].as_str() {
            return self.check(&self.0["schemas"][name], value, at, out);
        }
        // An `Any` says itself what it is.
        if let Some(name) = value["@type"].as_str().and_then(|name| name.rsplit('.').next()) {
            let mut fields = value.as_object().cloned().unwrap_or_default();
            fields.remove("@type");
            return self.check(&self.0["schemas"][name], &Value::Object(fields), at, out);
        }
        if schema["type"] == "any" {
            return;
        }
        let format = schema["format"].as_str().unwrap_or_default();
        let right = match schema["type"].as_str() {
            Some("string") if format.ends_with("int64") => {
                value.as_str().is_some_and(|text| text.parse::<i64>().is_ok())
            }
            Some("string") => value.is_string(),
            Some("integer") => value.as_i64().is_some(),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            Some("array") => value.is_array(),
            Some("object") => value.is_object(),
            _ => true,
        };
        if !right {
            out.push(format!("{at}: {value} is no {} {format}", schema["type"]));
        }
        if let (Some(values), Some(text)) = (schema["enum"].as_array(), value.as_str())
            && !values.iter().any(|known| known == text)
        {
            out.push(format!("{at}: {text} is no value of the enum"));
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            self.check(&schema["items"], item, &format!("{at}[{index}]"), out);
        }
        for (name, field) in value.as_object().into_iter().flatten() {
            let known = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
            match known {
                Some(schema) => self.check(schema, field, &format!("{at}.{name}"), out),
                None => out.push(format!("{at}: no field {name}")),
            }
        }
    }
}

/// All methods of a document or resource, however deep.
fn methods(resource: &Value) -> Vec<&Value> {
    let own = resource["methods"].as_object().into_iter().flat_map(Map::values);
    let deeper = resource["resources"].as_object().into_iter().flat_map(Map::values).flat_map(methods);
    own.chain(deeper).collect()
}

/// Whether a path fits a template: `{name}` stands for one segment, before a custom method too.
fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    let segment = |(template, part): (&&str, &&str)| match template
        .strip_prefix('{')
        .and_then(|rest| rest.split_once('}'))
    {
        Some((_, "")) => !part.contains(':'),
        Some((_, verb)) => part.ends_with(verb),
        None => template == part,
    };
    template.len() == path.len() && template.iter().zip(&path).all(segment)
}
