//! Typed requests from JSON, where a field that the API does not know is an error.
//!
//! The clients' types keep unknown fields and send them along. They ask for an `Option` of every field they know, and
//! for any value only where they put an unknown one aside: that difference finds the unknown fields of a whole tree.

use crate::error::{ProviderError, ProviderErrorKind};
use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};
use std::cell::RefCell;

type Failure = serde_json::Error;

/// Reads a request or a message from its REST JSON form.
///
/// # Errors
/// [`ProviderErrorKind::Invalid`], naming the unknown fields, or the first field of a wrong type.
pub(super) fn typed<T: DeserializeOwned>(doing: &str, value: &Value) -> Result<T, ProviderError> {
    let found = Found::default();
    let place = Place { path: String::new(), found: &found };
    let invalid = |message: String| {
        ProviderError::new(ProviderErrorKind::Invalid, doing, message)
            .hint("zkprov render prints the body; mend the template or the file that makes it")
    };
    let result = T::deserialize(Tree { value, place });
    let (unknown, last) = (found.unknown.into_inner(), found.last.into_inner());
    if !unknown.is_empty() {
        return Err(invalid(format!("the API knows no field {}", unknown.join(", "))));
    }
    result.map_err(|error| invalid(format!("{last}: {error}")))
}

/// What one walk comes across.
#[derive(Default)]
struct Found {
    unknown: RefCell<Vec<String>>,
    /// The place read last: where a wrong type is.
    last: RefCell<String>,
}

/// Where in the body we are: `disks[0].source`.
#[derive(Clone)]
struct Place<'a> {
    path: String,
    found: &'a Found,
}

impl Place<'_> {
    fn field(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        self.found.last.replace(path.clone());
        Self { path, found: self.found }
    }

    fn item(&self, index: usize) -> Self {
        let path = format!("{}[{index}]", self.path);
        self.found.last.replace(path.clone());
        Self { path, found: self.found }
    }
}

/// A value of the tree.
struct Tree<'a> {
    value: &'a Value,
    place: Place<'a>,
}

impl<'de> Deserializer<'de> for Tree<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.value {
            Value::Object(map) => {
                visitor.visit_map(Fields { map: map.iter(), next: None, place: self.place })
            }
            Value::Array(items) => {
                visitor.visit_seq(Items { items: items.iter().enumerate(), place: self.place })
            }
            leaf @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                leaf.deserialize_any(visitor)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.value.deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Fields<'a> {
    map: serde_json::map::Iter<'a>,
    next: Option<(&'a String, &'a Value)>,
    place: Place<'a>,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        self.next = self.map.next();
        let Some((key, _)) = self.next else { return Ok(None) };
        let key: StringDeserializer<Failure> = key.clone().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let (key, value) =
            self.next.take().ok_or_else(|| serde::de::Error::custom("a value without a key"))?;
        seed.deserialize(Field(Tree { value, place: self.place.field(key) }))
    }
}

struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
    place: Place<'a>,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        let Some((index, value)) = self.items.next() else { return Ok(None) };
        seed.deserialize(Tree { value, place: self.place.item(index) }).map(Some)
    }
}

/// The value of a field: asked for any value, it is one that the API does not know.
struct Field<'a>(Tree<'a>);

macro_rules! pass_on {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            self.0.$method(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Field<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.0.place.found.unknown.borrow_mut().push(self.0.place.path);
        self.0.value.deserialize_any(visitor)
    }

    pass_on! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32
        deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_option deserialize_unit deserialize_seq deserialize_map
        deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.0.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.0.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Failure> {
        self.0.deserialize_tuple(length, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.0.deserialize_tuple_struct(name, length, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.0.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.0.deserialize_enum(name, variants, visitor)
    }
}

/// A message of the clients as REST JSON, its keys sorted: the clients keep maps (labels) in random order. Never fails for the messages we read; if one could not be written, what is
/// left is an empty document, which no rule takes for equal to anything.
pub(super) fn json(message: &impl serde::Serialize) -> Value {
    let mut document = serde_json::to_value(message).unwrap_or_else(|_| Value::Object(Map::new()));
    document.sort_all_objects();
    document
}

#[cfg(test)]
mod tests {
    use super::*;
    use google_cloud_compute_v1::model::{Firewall, Instance};
    use google_cloud_container_v1::model::Cluster;
    use serde_json::json;

    fn complaint<T: DeserializeOwned>(value: &Value) -> String {
        typed::<T>("testing", value).err().map(|error| error.message).unwrap_or_default()
    }

    #[test]
    fn unknown_fields_are_named_at_every_depth() {
        for (value, expected) in [
            (
                json!({"name": "x", "disks": [{"boot": true, "diskSizeGb": "10"}, {"diskSizeGB": 10}]}),
                "disks[1].diskSizeGB",
            ),
            (json!({"labels": {"anything": "goes"}, "tags": {"items": ["a"], "itemz": []}}), "tags.itemz"),
            (
                json!({"mashineType": "e2", "metadata": {"items": [{"key": "k", "valve": {"deep": 1}}]}}),
                "mashineType, metadata.items[0].valve",
            ),
        ] {
            assert_eq!(complaint::<Instance>(&value), format!("the API knows no field {expected}"));
        }
        assert_eq!(
            complaint::<Cluster>(&json!({"releaseChannel": {"chanel": "REGULAR"}})),
            "the API knows no field releaseChannel.chanel"
        );
    }

    #[test]
    fn wrong_types_are_named() {
        let message = complaint::<Instance>(&json!({"disks": [{"boot": "yes"}]}));
        assert!(message.starts_with("disks[0].boot: "), "{message}");
        for value in [json!(null), json!([]), json!("text"), json!(1)] {
            assert!(!complaint::<Instance>(&value).is_empty(), "{value}");
        }
    }

    #[test]
    fn known_bodies_pass_unchanged() {
        let body = json!({"name": "x", "allowed": [{"IPProtocol": "tcp", "ports": ["2049"]}],
            "sourceRanges": ["10.128.0.0/9"], "priority": 900, "description": "d"});
        assert_eq!(json(&typed::<Firewall>("testing", &body).unwrap()), body);
    }
}
