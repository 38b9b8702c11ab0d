//! Where a field stands in a document: a value, written as text for people and for plan files alone.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::{self, Write};

/// The way from a document's root to a field.
///
/// As text: `spec.template.spec.containers[exhibitor].image`. Brackets hold what tells an item of a list from the others, or a key
/// that has dots itself, so that a text is read as it was written.
///
/// ```
/// use zkprov_plans::field_path::FieldPath;
/// let path = FieldPath::from("settings").key("zooCfgExtra").key("autopurge.purgeInterval");
/// assert_eq!(path.to_string(), "settings.zooCfgExtra[autopurge.purgeInterval]");
/// assert_eq!(FieldPath::from(path.to_string().as_str()), path);
/// assert_eq!(path.names().collect::<Vec<_>>(), ["settings", "zooCfgExtra", "autopurge.purgeInterval"]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(Vec<Segment>);

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Segment {
    /// A key of an object, without dots.
    Key(String),
    /// In brackets: an item of a list by its key's value, its own value or its index, or a key of an object that has dots.
    Item(String),
}

impl Segment {
    /// The key or the item, without brackets.
    pub(crate) fn name(&self) -> &str {
        let (Self::Key(name) | Self::Item(name)) = self;
        name
    }
}

impl FieldPath {
    /// The path of a key below this one.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let segment = if key.contains(['.', '[']) { Segment::Item } else { Segment::Key };
        self.below(segment(key.to_owned()))
    }

    /// The path of an item of the list that stands here.
    #[must_use]
    pub fn item(&self, item: &str) -> Self {
        self.below(Segment::Item(item.to_owned()))
    }

    fn below(&self, segment: Segment) -> Self {
        Self(self.0.iter().cloned().chain([segment]).collect())
    }

    /// The path of what stands there below this one.
    #[must_use]
    pub fn join(&self, below: &Self) -> Self {
        Self(self.0.iter().chain(&below.0).cloned().collect())
    }

    /// Keys and items from the root on.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Segment::name)
    }

    /// Its steps from the root on.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether the field is the one at `other`, or stands below it.
    #[must_use]
    pub fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if index == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Item(item) => write!(f, "[{item}]")?,
            }
        }
        Ok(())
    }
}

/// Reads any text: what has no closing bracket ends with the text.
impl From<&str> for FieldPath {
    fn from(text: &str) -> Self {
        let (mut segments, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[') {
                let (item, behind) = inside.split_once(']').unwrap_or((inside, ""));
                segments.push(Segment::Item(item.to_owned()));
                rest = behind;
            } else {
                let key = rest.strip_prefix('.').filter(|_| !segments.is_empty()).unwrap_or(rest);
                let end = key.find(['.', '[']).unwrap_or(key.len());
                let (key, behind) = key.split_at(end);
                segments.push(Segment::Key(key.to_owned()));
                // A dot at the very beginning is no key's.
                rest = if key.is_empty() { behind.get(1..).unwrap_or_default() } else { behind };
            }
        }
        Self(segments)
    }
}

/// What of a text has not been written once more.
struct Rest<'a>(&'a str);

impl fmt::Write for Rest<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
}

impl PartialEq<str> for FieldPath {
    fn eq(&self, other: &str) -> bool {
        let mut rest = Rest(other);
        write!(rest, "{self}").is_ok() && rest.0.is_empty()
    }
}

impl PartialEq<&str> for FieldPath {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl Serialize for FieldPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FieldPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::from(text.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let root = FieldPath::default();
        for (path, text) in [
            (root.clone(), ""),
            (root.key("voters"), "voters"),
            (root.key("a.b"), "[a.b]"),
            (
                root.key("metadata").key("labels").key("zkprov.dev/ensemble"),
                "metadata.labels[zkprov.dev/ensemble]",
            ),
            (root.key("containers").item("exhibitor").key("image"), "containers[exhibitor].image"),
            (root.key("args").item("0"), "args[0]"),
            (root.key("a").item("b").item("c.d").key("e"), "a[b][c.d].e"),
            (root.key("x[y"), "[x[y]"),
        ] {
            assert_eq!(path.to_string(), text);
            assert_eq!(FieldPath::from(text), path, "{text}");
            assert_eq!(path, *text);
            let json = serde_json::to_string(&path).unwrap();
            assert_eq!(serde_json::from_str::<FieldPath>(&json).unwrap(), path);
        }
    }

    #[test]
    fn hostile_text_is_read_to_its_end() {
        for text in
            ["[", "]", "a[b", "a..b", ".a", "a.", "[]", "..", "a[b]c", "servers as 10.8.0.2 reads them"]
        {
            assert!(!FieldPath::from(text).segments().is_empty(), "{text}");
        }
    }

    #[test]
    fn a_field_is_below_whole_keys_alone() {
        let path = FieldPath::from("spec.clusterIPs[0]");
        assert!(path.starts_with(&FieldPath::from("spec")) && path.starts_with(&path));
        assert!(path.starts_with(&FieldPath::from("spec.clusterIPs")));
        assert!(!path.starts_with(&FieldPath::from("spec.clusterIP")));
    }
}
