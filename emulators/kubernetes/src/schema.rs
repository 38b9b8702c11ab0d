//! What the API knows of each type: its fields and how they merge. The data is in `schema.txt`, which
//! `emulators/schemas/generate` writes from Kubernetes' OpenAPI definitions.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The type of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    /// A value without inner structure.
    Scalar(Scalar),
    /// Anything; replaced as a whole.
    Any,
    /// A struct, by name.
    Struct(&'static str),
    /// A map from any key.
    Map {
        /// Type of the values.
        item: Box<Self>,
        /// Whether the map is replaced as a whole.
        atomic: bool,
    },
    /// A list.
    List {
        /// Type of the items.
        item: Box<Self>,
        /// How two lists merge.
        merge: ListMerge,
    },
}

/// Values without inner structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    /// Text.
    String,
    /// A whole number.
    Int,
    /// Any number.
    Number,
    /// `true` or `false`.
    Bool,
    /// Base64 text.
    Bytes,
    /// `500m`, `1Gi`, or a number.
    Quantity,
    /// A whole number or text.
    IntOrString,
    /// A moment.
    Time,
}

/// How two lists merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ListMerge {
    /// The new one replaces the old one.
    Atomic,
    /// By value.
    Set,
    /// By the values of these fields.
    Keys(Vec<&'static str>),
}

/// The fields of a struct.
#[derive(Debug, Default)]
pub(super) struct Struct {
    /// Whether it is replaced as a whole.
    pub(super) atomic: bool,
    /// Field names and types.
    pub(super) fields: BTreeMap<&'static str, Type>,
}

static STRUCTS: LazyLock<BTreeMap<&'static str, Struct>> = LazyLock::new(|| {
    let lines = include_str!("schema.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(parse_struct).collect()
});

fn parse_struct(line: &'static str) -> Option<(&'static str, Struct)> {
    let mut words = line.split_whitespace();
    let head = words.next()?;
    let name = head.trim_end_matches('!');
    let fields = words.filter_map(|word| word.split_once(':').map(|(field, ty)| (field, parse_type(ty))));
    Some((name, Struct { atomic: head.ends_with('!'), fields: fields.collect() }))
}

fn parse_type(text: &'static str) -> Type {
    if let Some(item) = text.strip_prefix("{}") {
        return Type::Map { item: Box::new(parse_type(item)), atomic: false };
    }
    if let Some(item) = text.strip_prefix("{!}") {
        return Type::Map { item: Box::new(parse_type(item)), atomic: true };
    }
    if let Some((keys, item)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let merge = match keys {
            "" => ListMerge::Atomic,
            "=" => ListMerge::Set,
            keys => ListMerge::Keys(keys.split(',').collect()),
        };
        return Type::List { item: Box::new(parse_type(item)), merge };
    }
    match text {
        "string" => Type::Scalar(Scalar::String),
        "int" => Type::Scalar(Scalar::Int),
        "number" => Type::Scalar(Scalar::Number),
        "bool" => Type::Scalar(Scalar::Bool),
        "bytes" => Type::Scalar(Scalar::Bytes),
        "quantity" => Type::Scalar(Scalar::Quantity),
        "intstr" => Type::Scalar(Scalar::IntOrString),
        "time" | "microtime" => Type::Scalar(Scalar::Time),
        "any" => Type::Any,
        name => Type::Struct(name),
    }
}

/// The struct of this name.
pub(super) fn lookup(name: &str) -> Option<&'static Struct> {
    STRUCTS.get(name)
}

#[cfg(test)]
/// All structs, by name.
fn all() -> impl Iterator<Item = (&'static str, &'static Struct)> {
    STRUCTS.iter().map(|(name, fields)| (*name, fields))
}

/// What a type looks like to the merging algorithms.
pub(super) enum Shape<'t> {
    /// Replaced as a whole.
    Leaf,
    /// Known fields, merged one by one.
    Struct(&'static Struct),
    /// Any keys, merged one by one.
    Map(&'t Type),
    /// Items merged by value.
    Set,
    /// Items merged by key.
    Keyed(&'t Type, &'t [&'static str]),
}

impl Type {
    /// How values of this type merge.
    pub(super) fn shape(&self) -> Shape<'_> {
        match self {
            Self::Scalar(_) | Self::Any | Self::Map { atomic: true, .. } => Shape::Leaf,
            Self::Struct(name) => match lookup(name) {
                Some(fields) if !fields.atomic => Shape::Struct(fields),
                Some(_) | None => Shape::Leaf,
            },
            Self::Map { item, atomic: false } => Shape::Map(item),
            Self::List { item, merge } => match merge {
                ListMerge::Atomic => Shape::Leaf,
                ListMerge::Set => Shape::Set,
                ListMerge::Keys(keys) => Shape::Keyed(item, keys),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ty: &Type) {
        match ty {
            Type::Scalar(_) | Type::Any => {}
            Type::Struct(name) => assert!(lookup(name).is_some(), "{name} is not in schema.txt"),
            Type::Map { item, .. } => check(item),
            Type::List { item, merge } => {
                check(item);
                if let (ListMerge::Keys(keys), Type::Struct(name)) = (merge, item.as_ref()) {
                    let fields = &lookup(name).unwrap().fields;
                    assert!(
                        keys.iter().all(|key| fields.contains_key(key)),
                        "{name} lacks a key of {keys:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_type_named_in_the_schema_is_defined() {
        for (_, fields) in all() {
            fields.fields.values().for_each(check);
        }
        assert!(all().count() > 150);
    }
}
