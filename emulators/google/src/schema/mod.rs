//! What the GKE and Filestore APIs know of each field: names, JSON types, enum values, presence.
//!
//! The tables beside this file are written by `emulators/schemas/generate` from Google's own discovery documents. The world uses them to
//! refuse what the real services refuse (unknown fields and enum values), to drop what proto3 drops, and to answer enums
//! as numbers.

mod merge;
mod table;
#[cfg(test)]
mod tests;

use crate::rest::{Failure, Version};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use table::{Field, Kind, Shape, Table};

/// The APIs that have a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// `container.googleapis.com`, v1 and v1beta1.
    Container,
    /// `file.googleapis.com`, v1 and v1beta1.
    Filestore,
}

impl Api {
    fn table(self) -> &'static Table {
        // A table that does not parse would be empty; a test reads every table.
        static CONTAINER: LazyLock<Table> = LazyLock::new(|| Table::parse(include_str!("container.json")));
        static FILESTORE: LazyLock<Table> = LazyLock::new(|| Table::parse(include_str!("filestore.json")));
        match self {
            Self::Container => &CONTAINER,
            Self::Filestore => &FILESTORE,
        }
    }

    const fn package(self) -> &'static str {
        match self {
            Self::Container => "google.container.v1",
            Self::Filestore => "google.cloud.filestore.v1",
        }
    }

    /// The request body in canonical form: known fields in lower camel case, enums by name, int64 as strings, no nulls.
    ///
    /// `root` is how error texts name the body's own message: empty where the body is the whole request message.
    ///
    /// # Errors
    /// 400 with every unknown field and every value of a wrong type, in the words of the real services.
    pub fn accept(self, version: Version, message: &str, root: &str, body: &Value) -> Result<Value, Failure> {
        let mut reader = Reader { api: self, table: self.table(), version, violations: Vec::new() };
        let value = reader.message(message, body, root);
        match (value, reader.violations) {
            (Some(value), violations) if violations.is_empty() => Ok(value),
            (_, violations) => Err(violated(&violations)),
        }
    }

    /// Whether a message has a field of this name, in any version.
    #[must_use]
    pub fn has_field(self, message: &str, name: &str) -> bool {
        self.table().messages.get(message).is_some_and(|fields| fields.contains_key(name))
    }

    /// Drops what proto3 JSON does not print: false, 0, `""`, `*_UNSPECIFIED` and empty lists and maps of fields without
    /// presence. Empty messages stay.
    pub fn drop_defaults(self, message: &str, value: &mut Value) {
        drop_defaults(self.table(), message, value);
    }

    /// Puts defaults under what a client gave, in canonical form: messages field by field, everything else only where
    /// nothing is given. Inside a message that was given, a boolean without presence that is not there is false, and
    /// stays away.
    pub fn fill(self, message: &str, given: &mut Map<String, Value>, defaults: Value) {
        fill(self.table(), message, given, defaults, false);
    }

    /// The answer as a version of the API gives it: without the fields that version does not know, with enums by number
    /// if asked for.
    #[must_use]
    pub fn answer(self, version: Version, message: &str, as_numbers: bool, value: Value) -> Value {
        answer_message(self.table(), message, version, as_numbers, value)
    }
}

struct Violation {
    field: String,
    description: String,
}

fn violated(violations: &[Violation]) -> Failure {
    let lines: Vec<&str> = violations.iter().map(|violation| violation.description.as_str()).collect();
    let fields: Vec<Value> = violations
        .iter()
        .map(|violation| json!({ "field": violation.field, "description": violation.description }))
        .collect();
    Failure {
        details: vec![
            json!({ "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": fields }),
        ],
        ..Failure::invalid(lines.join("\n"))
    }
}

/// Reads one request body and collects what is wrong with it.
struct Reader<'a> {
    api: Api,
    table: &'a Table,
    version: Version,
    violations: Vec<Violation>,
}

impl Reader<'_> {
    fn message(&mut self, message: &str, body: &Value, at: &str) -> Option<Value> {
        let Value::Object(given) = body else {
            self.wrong(at, message, body);
            return None;
        };
        let fields = self.table.messages.get(message)?;
        let mut out = Map::new();
        for (name, value) in given {
            let camel = camel_case(name);
            match fields.get(&camel).filter(|field| field.known_to(self.version)) {
                _ if value.is_null() => {}
                None => self.unknown(at, name),
                Some(field) => {
                    let path = join(at, &snake_case(&camel));
                    if let Some(value) = self.field(field, value, &path) {
                        out.insert(camel, value);
                    }
                }
            }
        }
        Some(Value::Object(out))
    }

    fn field(&mut self, field: &Field, value: &Value, at: &str) -> Option<Value> {
        match (field.shape, value) {
            (Shape::One, value) => self.scalar(&field.kind, value, at),
            (Shape::List, Value::Array(items)) => items
                .iter()
                .enumerate()
                .map(|(index, item)| self.scalar(&field.kind, item, &format!("{at}[{index}]")))
                .collect::<Option<Vec<Value>>>()
                .map(Value::Array),
            (Shape::Map, Value::Object(entries)) => entries
                .iter()
                .map(|(key, item)| Some((key.clone(), self.scalar(&field.kind, item, at)?)))
                .collect::<Option<Map<String, Value>>>()
                .map(Value::Object),
            (Shape::List | Shape::Map, _) => {
                self.wrong(at, "TYPE_MESSAGE", value);
                None
            }
        }
    }

    fn scalar(&mut self, kind: &Kind, value: &Value, at: &str) -> Option<Value> {
        let (read, expected) = match kind {
            Kind::Message(message) => return self.message(message, value, at),
            Kind::Any => (Some(value.clone()), "TYPE_MESSAGE"),
            Kind::Text => (value.is_string().then(|| value.clone()), "TYPE_STRING"),
            Kind::Bool => (value.is_boolean().then(|| value.clone()), "TYPE_BOOL"),
            Kind::Double => (value.is_number().then(|| value.clone()), "TYPE_DOUBLE"),
            Kind::Int32 => {
                (integer(value).and_then(|n| i32::try_from(n).ok()).map(Value::from), "TYPE_INT32")
            }
            Kind::Int64 => (integer(value).map(|n| Value::from(n.to_string())), "TYPE_INT64"),
            Kind::Enum(name) => {
                let found = self.table.enum_name(name, value);
                if found.is_none() {
                    self.wrong(at, &format!("type.googleapis.com/{}.{name}", self.api.package()), value);
                }
                return found;
            }
        };
        if read.is_none() {
            self.wrong(at, expected, value);
        }
        read
    }

    fn unknown(&mut self, at: &str, name: &str) {
        let place = if at.is_empty() { String::new() } else { format!(" at '{at}'") };
        self.violations.push(Violation {
            field: at.to_owned(),
            description: format!(
                "Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field."
            ),
        });
    }

    fn wrong(&mut self, at: &str, expected: &str, value: &Value) {
        self.violations.push(Violation {
            field: at.to_owned(),
            description: format!("Invalid value at '{at}' ({expected}), {value}"),
        });
    }
}

/// An integer given as a number or, as proto3 JSON allows, as a string.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

fn drop_defaults(table: &Table, message: &str, value: &mut Value) {
    let (Some(fields), Value::Object(entries)) = (table.messages.get(message), value) else { return };
    entries.retain(|name, value| {
        let Some(field) = fields.get(name) else { return true };
        if let Kind::Message(inner) = &field.kind {
            for item in field.items_mut(value) {
                drop_defaults(table, inner, item);
            }
        }
        match field.shape {
            Shape::One => field.presence || !table.is_default(&field.kind, value),
            Shape::List => value.as_array().is_some_and(|items| !items.is_empty()),
            Shape::Map => value.as_object().is_some_and(|items| !items.is_empty()),
        }
    });
}

fn fill(table: &Table, message: &str, given: &mut Map<String, Value>, defaults: Value, nested: bool) {
    let (Some(fields), Value::Object(defaults)) = (table.messages.get(message), defaults) else { return };
    for (name, default) in defaults {
        let field = fields.get(&name);
        let is_false = nested && field.is_some_and(|field| field.kind == Kind::Bool && !field.presence);
        match (given.get_mut(&name), field.map(|field| &field.kind)) {
            (Some(Value::Object(inner)), Some(Kind::Message(message))) => {
                fill(table, message, inner, default, true)
            }
            // A map, like labels.
            (Some(Value::Object(inner)), _) => {
                for (key, value) in default.as_object().into_iter().flatten() {
                    inner.entry(key.as_str()).or_insert_with(|| value.clone());
                }
            }
            (Some(_), _) => {}
            (None, _) if is_false => {}
            (None, _) => {
                given.insert(name, default);
            }
        }
    }
}

fn answer_message(table: &Table, message: &str, version: Version, as_numbers: bool, value: Value) -> Value {
    // Messages without a table, like `Empty`, have nothing to change.
    let Some(fields) = table.messages.get(message) else { return value };
    let Value::Object(entries) = value else { return value };
    let known = entries.into_iter().filter_map(|(name, mut value)| {
        // `@type` of an `Any` is no field.
        if name.starts_with('@') {
            return Some((name, value));
        }
        let field = fields.get(&name).filter(|field| field.known_to(version))?;
        for item in field.items_mut(&mut value) {
            match &field.kind {
                Kind::Message(inner) => {
                    *item = answer_message(table, inner, version, as_numbers, item.take())
                }
                Kind::Enum(name) if as_numbers => *item = table.enum_number(name, item.take()),
                Kind::Enum(_)
                | Kind::Text
                | Kind::Int32
                | Kind::Int64
                | Kind::Double
                | Kind::Bool
                | Kind::Any => {}
            }
        }
        Some((name, value))
    });
    Value::Object(known.collect())
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// `initial_node_count` is `initialNodeCount` too.
fn camel_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut raise = false;
    for letter in name.chars() {
        match letter {
            '_' if !out.is_empty() => raise = true,
            letter if raise => {
                out.extend(letter.to_uppercase());
                raise = false;
            }
            letter => out.push(letter),
        }
    }
    out
}

fn snake_case(name: &str) -> String {
    name.chars().fold(String::with_capacity(name.len() + 4), |mut out, letter| {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
        out
    })
}
