//! One API's table, as `emulators/schemas/generate` writes it.

use crate::rest::Version;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Messages and enums of one API.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Names with their numbers, where those are known.
    pub(super) enums: BTreeMap<String, BTreeMap<String, Option<i32>>>,
    pub(super) messages: BTreeMap<String, BTreeMap<String, Field>>,
}

/// One field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) shape: Shape,
    pub(super) kind: Kind,
    /// Whether only the preview version knows it.
    preview: bool,
    /// Whether its default value is printed when it was set (`optional` in proto3, and messages).
    pub(super) presence: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    One,
    List,
    Map,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Int32,
    /// A string in JSON.
    Int64,
    Double,
    Bool,
    Any,
    Enum(String),
    Message(String),
}

#[derive(Deserialize)]
struct Raw {
    enums: BTreeMap<String, BTreeMap<String, Option<i32>>>,
    messages: BTreeMap<String, BTreeMap<String, String>>,
}

impl Table {
    /// Reads a table; an unreadable one is empty.
    pub(super) fn parse(text: &str) -> Self {
        let Ok(raw) = serde_json::from_str::<Raw>(text) else { return Self::default() };
        let fields = |fields: BTreeMap<String, String>| {
            fields.into_iter().map(|(name, coded)| (name, Field::parse(&coded))).collect()
        };
        let messages = raw.messages.into_iter().map(|(name, given)| (name, fields(given))).collect();
        Self { enums: raw.enums, messages }
    }

    /// Name of an enum value given by name or number.
    pub(super) fn enum_name(&self, name: &str, value: &Value) -> Option<Value> {
        let values = self.enums.get(name)?;
        if let Some(text) = value.as_str() {
            return values.contains_key(text).then(|| Value::from(text));
        }
        let number = value.as_i64().and_then(|number| i32::try_from(number).ok())?;
        values.iter().find(|(_, known)| **known == Some(number)).map(|(name, _)| Value::from(name.as_str()))
    }

    /// Number of an enum value given by name; the name where no number is known.
    pub(super) fn enum_number(&self, name: &str, value: Value) -> Value {
        let number = value.as_str().and_then(|text| self.enums.get(name)?.get(text).copied().flatten());
        number.map_or(value, Value::from)
    }

    /// Whether a value is the one proto3 takes when nothing is set.
    pub(super) fn is_default(&self, kind: &Kind, value: &Value) -> bool {
        match kind {
            Kind::Text => value == "",
            Kind::Int32 => value == 0,
            Kind::Int64 => value == "0",
            Kind::Double => value.as_f64() == Some(0.0),
            Kind::Bool => value == false,
            Kind::Enum(name) => self.enum_number(name, value.clone()) == 0,
            Kind::Any | Kind::Message(_) => false,
        }
    }
}

impl Field {
    /// Reads `[]message:NodePool`, `{}string`, `enum:Cluster.Status preview optional`.
    fn parse(coded: &str) -> Self {
        let mut words = coded.split(' ');
        let coded = words.next().unwrap_or_default();
        let marks: Vec<&str> = words.collect();
        let (shape, name) = match (coded.strip_prefix("[]"), coded.strip_prefix("{}")) {
            (Some(item), _) => (Shape::List, item),
            (None, Some(item)) => (Shape::Map, item),
            (None, None) => (Shape::One, coded),
        };
        let kind = match (name, name.split_once(':')) {
            ("string", _) => Kind::Text,
            ("int32", _) => Kind::Int32,
            ("int64", _) => Kind::Int64,
            ("double", _) => Kind::Double,
            ("bool", _) => Kind::Bool,
            (_, Some(("enum", name))) => Kind::Enum(name.to_owned()),
            (_, Some(("message", name))) => Kind::Message(name.to_owned()),
            _ => Kind::Any,
        };
        Self { shape, kind, preview: marks.contains(&"preview"), presence: marks.contains(&"optional") }
    }

    pub(super) fn known_to(&self, version: Version) -> bool {
        match version {
            Version::V1 => !self.preview,
            Version::V1Beta1 => true,
        }
    }

    /// The value itself, or each value of a list or map.
    pub(super) fn items_mut<'a>(&self, value: &'a mut Value) -> Vec<&'a mut Value> {
        match (self.shape, value) {
            (Shape::One, value) => vec![value],
            (Shape::List, Value::Array(items)) => items.iter_mut().collect(),
            (Shape::Map, Value::Object(entries)) => entries.values_mut().collect(),
            (Shape::List | Shape::Map, _) => Vec::new(),
        }
    }
}
