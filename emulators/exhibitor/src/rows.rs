//! A server's data as rows: each znode and each transaction is one.

use super::shared::{Map, Plain};
use super::tree::Tree;
use crate::table::{RowChange, RowKey, Rows};
use std::sync::Arc;

/// Keys that are stored as a text of their own.
pub(super) trait Key: Ord + Clone {
    fn text(&self) -> String;
    fn read(text: &str) -> Option<Self>;
}

impl Key for Arc<str> {
    fn text(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        Some(Self::from(text))
    }
}

impl Key for u64 {
    fn text(&self) -> String {
        self.to_text()
    }

    fn read(text: &str) -> Option<Self> {
        Self::from_text(text)
    }
}

/// What stands before the changes of a table that is new.
fn anew(is_new: bool, any: bool) -> Vec<RowChange> {
    if is_new && any { vec![(String::new(), None)] } else { Vec::new() }
}

impl<K: Key, V: Plain + Clone + PartialEq> Rows for Map<K, V> {
    fn changes(&mut self) -> serde_json::Result<Vec<RowChange>> {
        let is_new = self.is_new();
        let changed = self.take_changed();
        let mut changes = anew(is_new, !changed.is_empty());
        for key in changed {
            let value = self.get(&key).map(|value| serde_json::to_string(&value.written()));
            changes.push((key.text(), value.transpose()?));
        }
        Ok(changes)
    }

    fn all(&mut self) -> serde_json::Result<Vec<RowChange>> {
        self.settle();
        self.iter()
            .map(|(key, value)| Ok((key.text(), Some(serde_json::to_string(&value.written())?))))
            .collect()
    }

    fn load(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let parsed = K::read(key).ok_or_else(|| format!("{key:?} is not a key of this table"))?;
        match value {
            Some(text) => {
                let read = serde_json::from_str(text).map_err(|error| format!("row {key}: {error}"))?;
                self.insert(parsed, V::from_read(read));
            }
            None => drop(self.remove(&parsed)),
        }
        Ok(())
    }

    fn loaded(&mut self) {
        self.settle();
    }

    fn hide(&mut self, hidden: bool) {
        Map::hide(self, hidden);
    }
}

impl Rows for Tree {
    fn changes(&mut self) -> serde_json::Result<Vec<RowChange>> {
        let is_new = self.entries().is_new();
        let changed = self.entries().take_changed();
        let mut changes = anew(is_new, !changed.is_empty());
        for path in changed {
            changes.push((path.to_string(), self.get(&path).map(serde_json::to_string).transpose()?));
        }
        Ok(changes)
    }

    fn all(&mut self) -> serde_json::Result<Vec<RowChange>> {
        self.entries().settle();
        self.iter().map(|(path, node)| Ok((path.to_owned(), Some(serde_json::to_string(node)?)))).collect()
    }

    fn load(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        match value {
            Some(text) => {
                let node = serde_json::from_str(text).map_err(|error| format!("row {key}: {error}"))?;
                self.insert(key, Arc::new(node));
            }
            None => drop(self.remove(key)),
        }
        Ok(())
    }

    fn loaded(&mut self) {
        self.entries().settle();
    }

    fn hide(&mut self, hidden: bool) {
        self.entries().hide(hidden);
    }
}
