//! State that is kept row by row: what a request costs to store is what it changes.
//!
//! A [`Table`] is a sorted map that knows which of its rows were touched since it was asked last, and what they were before. A part
//! of the world lists its tables by [`Tables`]; whatever else it has is small, and is stored as one row, the *rest*.

use crate::api::Time;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::{Deref, RangeBounds};

/// What rows go by.
pub trait RowKey: Ord + Clone {
    /// As it is stored; different keys have different texts.
    fn to_text(&self) -> String;
    /// What [`Self::to_text`] made a text of; `None` for any other text.
    fn from_text(text: &str) -> Option<Self>;
}

impl RowKey for String {
    fn to_text(&self) -> String {
        self.clone()
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl RowKey for u64 {
    fn to_text(&self) -> String {
        self.to_string()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A sorted map that remembers its changes. Reads are those of [`BTreeMap`].
#[derive(Debug, Clone)]
pub struct Table<K, V> {
    rows: BTreeMap<K, V>,
    /// What touched rows were when [`Rows::changes`] was last called; `None`: not there.
    before: BTreeMap<K, Option<V>>,
    hidden: bool,
    /// Whether it is new: what is stored under its name is another table's.
    new: bool,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), before: BTreeMap::new(), hidden: false, new: true }
    }
}

impl<K, V> Deref for Table<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.rows
    }
}

/// Equal are tables with equal rows.
impl<K: PartialEq, V: PartialEq> PartialEq for Table<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows
    }
}

impl<K: Eq, V: Eq> Eq for Table<K, V> {}

impl<'a, K, V> IntoIterator for &'a Table<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = std::collections::btree_map::Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.iter()
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Table<K, V> {
    /// The rows count as stored already.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(rows: I) -> Self {
        Self { rows: rows.into_iter().collect(), before: BTreeMap::new(), hidden: false, new: false }
    }
}

impl<K: RowKey, V: Clone> Table<K, V> {
    /// A row to be changed.
    pub fn get_mut<Q: ?Sized + Ord>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let (known, row) = self.rows.get_key_value(key)?;
        if !self.before.contains_key(key) {
            self.before.insert(known.clone(), Some(row.clone()));
        }
        self.rows.get_mut(key)
    }

    /// Sets a row; returns what it was.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let before = self.rows.insert(key.clone(), value);
        self.before.entry(key).or_insert_with(|| before.clone());
        before
    }

    /// Removes a row; returns what it was.
    pub fn remove<Q: ?Sized + Ord>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (key, value) = self.rows.remove_entry(key)?;
        self.before.entry(key).or_insert_with(|| Some(value.clone()));
        Some(value)
    }

    /// Removes the first row and returns it.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        let (key, value) = self.rows.pop_first()?;
        self.before.entry(key.clone()).or_insert_with(|| Some(value.clone()));
        Some((key, value))
    }

    /// Removes the rows of a range that `gone` says so of.
    pub fn remove_where<R: RangeBounds<K>>(&mut self, range: R, mut gone: impl FnMut(&K, &V) -> bool) {
        let keys: Vec<K> =
            self.rows.range(range).filter(|(key, row)| gone(key, row)).map(|(key, _)| key.clone()).collect();
        for key in &keys {
            self.remove(key);
        }
    }

    /// Whether any row was touched since [`Rows::changes`] was last called.
    #[must_use]
    pub fn is_touched(&self) -> bool {
        !self.before.is_empty()
    }
}

impl<K: Serialize, V: Serialize> Serialize for Table<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.hidden {
            serializer.collect_map(std::iter::empty::<(K, V)>())
        } else {
            self.rows.serialize(serializer)
        }
    }
}

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Deserialize<'de> for Table<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from_iter)
    }
}

/// A row by the text of its key, and the JSON of its value; `None` when it is gone. An empty key stands for all rows that were
/// stored so far: no row has one.
pub type RowChange = (String, Option<String>);

/// A table without its types.
pub trait Rows {
    /// The rows that differ from what they were at the last call.
    ///
    /// # Errors
    /// When a value has no JSON.
    fn changes(&mut self) -> serde_json::Result<Vec<RowChange>>;

    /// All rows, all of them stored from now on.
    ///
    /// # Errors
    /// When a value has no JSON.
    fn all(&mut self) -> serde_json::Result<Vec<RowChange>>;

    /// Takes a row as it is stored.
    ///
    /// # Errors
    /// When the text is no key or no value of this table.
    fn load(&mut self, key: &str, value: Option<&str>) -> Result<(), String>;

    /// All rows that are stored were taken.
    fn loaded(&mut self) {}

    /// Whether the table serialises as an empty one, so that the rest of its part can be stored without it.
    fn hide(&mut self, hidden: bool);
}

impl<K: RowKey, V: Clone + PartialEq + Serialize + DeserializeOwned> Rows for Table<K, V> {
    fn changes(&mut self) -> serde_json::Result<Vec<RowChange>> {
        let mut changes = Vec::new();
        if self.new && !self.before.is_empty() {
            self.new = false;
            changes.push((String::new(), None));
        }
        for (key, before) in std::mem::take(&mut self.before) {
            let now = self.rows.get(&key);
            if now != before.as_ref() {
                changes.push((key.to_text(), now.map(serde_json::to_string).transpose()?));
            }
        }
        Ok(changes)
    }

    fn all(&mut self) -> serde_json::Result<Vec<RowChange>> {
        self.before.clear();
        self.new = false;
        self.rows.iter().map(|(key, row)| Ok((key.to_text(), Some(serde_json::to_string(row)?)))).collect()
    }

    fn load(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let parsed = K::from_text(key).ok_or_else(|| format!("{key:?} is not a key of this table"))?;
        match value {
            Some(text) => {
                let row = serde_json::from_str(text).map_err(|error| format!("row {key}: {error}"))?;
                self.rows.insert(parsed, row);
            }
            None => drop(self.rows.remove(&parsed)),
        }
        Ok(())
    }

    fn hide(&mut self, hidden: bool) {
        self.hidden = hidden;
    }
}

/// A part of the world, with its tables.
pub trait Tables {
    /// Shows every table with its name, which no other table of this part has.
    fn tables(&mut self, show: &mut dyn FnMut(&str, &mut dyn Rows));

    /// Times of the part that move while nothing happens in it: its own clock, periods that pass. They follow from the rest of the
    /// part and the present time, so that they differ is no change of the part.
    fn clocks(&mut self) -> Vec<&mut Time> {
        Vec::new()
    }

    /// The part without the rows of its tables.
    ///
    /// # Errors
    /// When it has no JSON.
    fn rest(&mut self) -> serde_json::Result<String>
    where
        Self: Serialize + Sized,
    {
        self.tables(&mut |_, table| table.hide(true));
        let text = serde_json::to_string(self);
        self.tables(&mut |_, table| table.hide(false));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table<String, u32> {
        [("a", 1), ("b", 2), ("c", 3)].into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    #[test]
    fn only_rows_that_differ_are_changes() {
        let mut table = table();
        *table.get_mut("a").unwrap() += 1;
        *table.get_mut("b").unwrap() += 1;
        *table.get_mut("b").unwrap() -= 1;
        table.remove("c");
        table.insert("d".to_owned(), 4);
        table.insert("e".to_owned(), 5);
        table.remove("e");
        let change = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
        assert!(table.is_touched());
        assert_eq!(
            table.changes().unwrap(),
            [change("a", Some("2")), change("c", None), change("d", Some("4"))]
        );
        assert!(!table.is_touched());
        assert_eq!(table.changes().unwrap(), []);
    }

    #[test]
    fn a_new_table_takes_the_place_of_what_was_stored() {
        let mut table = Table::<String, u32>::default();
        assert_eq!(table.changes().unwrap(), [], "nothing to store");
        let mut table = Table::<String, u32>::default();
        table.insert("a".to_owned(), 1);
        assert_eq!(table.changes().unwrap(), [(String::new(), None), ("a".to_owned(), Some("1".to_owned()))]);
        table.insert("a".to_owned(), 2);
        assert_eq!(table.changes().unwrap(), [("a".to_owned(), Some("2".to_owned()))]);
    }

    #[test]
    fn rows_come_back_as_they_were_stored() {
        let mut stored = Table::<u64, String>::default();
        stored.insert(10, "ten".to_owned());
        stored.insert(9, "nine".to_owned());
        let mut loaded = Table::<u64, String>::default();
        for (key, value) in stored.all().unwrap() {
            loaded.load(&key, value.as_deref()).unwrap();
        }
        assert_eq!(loaded, stored);
        assert!(!loaded.is_touched());
        assert!(loaded.load("ten", None).is_err());
        loaded.load("9", None).unwrap();
        assert_eq!(loaded.len(), 1);
    }

    #[derive(Serialize)]
    struct Part {
        rows: Table<String, u32>,
        other: u32,
    }

    impl Tables for Part {
        fn tables(&mut self, show: &mut dyn FnMut(&str, &mut dyn Rows)) {
            show("rows", &mut self.rows);
        }
    }

    #[test]
    fn the_rest_of_a_part_is_without_its_rows() {
        let mut part = Part { rows: table(), other: 7 };
        assert_eq!(part.rest().unwrap(), r#"{"rows":{},"other":7}"#);
        assert_eq!(serde_json::to_string(&part).unwrap(), r#"{"rows":{"a":1,"b":2,"c":3},"other":7}"#);
    }
}
