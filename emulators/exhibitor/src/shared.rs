//! A sorted map whose copies share what they have in common.
//!
//! A follower holds nearly what its leader holds, and a world after a request nearly what it held before. Entries lie in
//! chunks: a copy shares all of them, and a change copies the list of chunks and the one chunk that it falls into. So a
//! copy costs nothing, and two maps are compared by the chunks that they do not share.

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Entries of a full chunk. A change copies up to so many entries; a map of 100,000 has about 500 chunks.
const FULL: usize = 256;
/// A chunk that shrinks below this is joined with one beside it.
const SPARSE: usize = 32;

type Chunk<K, V> = Arc<Vec<(K, V)>>;
/// None of them is empty.
type Chunks<K, V> = Arc<Vec<Chunk<K, V>>>;

/// The map.
#[derive(Debug)]
pub(super) struct Map<K, V> {
    chunks: Chunks<K, V>,
    len: usize,
    /// The chunks as they were when [`Self::take_changed`] was last called.
    known: Chunks<K, V>,
    /// Whether it is written as an empty map, see [`Rows::hide`].
    hidden: bool,
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        let chunks = Chunks::default();
        Self { known: Arc::clone(&chunks), chunks, len: 0, hidden: false }
    }
}

impl<K, V> Clone for Map<K, V> {
    fn clone(&self) -> Self {
        Self {
            chunks: Arc::clone(&self.chunks),
            len: self.len,
            known: Arc::clone(&self.known),
            hidden: self.hidden,
        }
    }
}

impl<K, V> Map<K, V> {
    /// How many entries there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// All entries, sorted by key.
    pub(super) fn iter(&self) -> Entries<'_, K, V> {
        Entries { chunks: &self.chunks, chunk: 0, index: 0 }
    }

    /// The first entry.
    pub(super) fn first(&self) -> Option<(&K, &V)> {
        self.chunks.first().and_then(|chunk| chunk.first()).map(|(key, value)| (key, value))
    }

    /// The last entry.
    pub(super) fn last(&self) -> Option<(&K, &V)> {
        self.chunks.last().and_then(|chunk| chunk.last()).map(|(key, value)| (key, value))
    }

    /// Takes over another map's entries. What [`Self::take_changed`] returned before still counts.
    pub(super) fn take_over(&mut self, other: &Self) {
        self.chunks = Arc::clone(&other.chunks);
        self.len = other.len;
    }

    /// Makes [`Self::take_changed`] return every key: the map has got another owner.
    pub(super) fn forget_known(&mut self) {
        self.known = Chunks::default();
    }

    /// Takes all that there is for stored.
    pub(super) fn settle(&mut self) {
        self.known = Arc::clone(&self.chunks);
    }

    /// Whether nothing of it is stored, so that what is stored under its name is another map's.
    pub(super) fn is_new(&self) -> bool {
        self.known.is_empty()
    }

    pub(super) const fn is_hidden(&self) -> bool {
        self.hidden
    }

    pub(super) const fn hide(&mut self, hidden: bool) {
        self.hidden = hidden;
    }
}

impl<K: Ord + Clone, V: Clone> Map<K, V> {
    /// The chunk that a key belongs to, and where it is in it or would be.
    fn locate<Q: Ord + ?Sized>(&self, key: &Q) -> (usize, Result<usize, usize>)
    where
        K: Borrow<Q>,
    {
        let begins_before =
            |chunk: &Chunk<K, V>| chunk.first().is_some_and(|(first, _)| first.borrow() <= key);
        let at = self.chunks.partition_point(begins_before).saturating_sub(1);
        let found = self
            .chunks
            .get(at)
            .map_or(Err(0), |chunk| chunk.binary_search_by(|(known, _)| Borrow::<Q>::borrow(known).cmp(key)));
        (at, found)
    }

    /// The value of a key.
    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (at, found) = self.locate(key);
        self.chunks.get(at)?.get(found.ok()?).map(|(_, value)| value)
    }

    /// Entries from this key on, sorted.
    pub(super) fn from<Q: Ord + ?Sized>(&self, key: &Q) -> Entries<'_, K, V>
    where
        K: Borrow<Q>,
    {
        let (chunk, found) = self.locate(key);
        let index = found.unwrap_or_else(|index| index);
        Entries { chunks: &self.chunks, chunk, index }
    }

    /// How many keys are smaller than this one. Costs a look at each chunk.
    pub(super) fn rank<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        let (at, found) = self.locate(key);
        let before: usize = self.chunks.iter().take(at).map(|chunk| chunk.len()).sum();
        before + found.unwrap_or_else(|index| index)
    }

    /// Sets a value; returns the one before.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (at, found) = self.locate(&key);
        let chunks = Arc::make_mut(&mut self.chunks);
        let Some(entries) = chunks.get_mut(at).map(Arc::make_mut) else {
            chunks.push(Arc::new(vec![(key, value)]));
            self.len += 1;
            return None;
        };
        let index = match found {
            Ok(index) => return entries.get_mut(index).map(|(_, old)| std::mem::replace(old, value)),
            Err(index) => index,
        };
        self.len += 1;
        if entries.len() < FULL {
            entries.insert(index, (key, value));
            return None;
        }
        // Keys often come sorted: a chunk that is full at its end stays full.
        let cut = if index == entries.len() { index } else { FULL / 2 };
        let mut second = entries.split_off(cut);
        match index.checked_sub(cut) {
            Some(index) => second.insert(index, (key, value)),
            None => entries.insert(index, (key, value)),
        }
        chunks.insert(at + 1, Arc::new(second));
        None
    }

    /// Changes a value in its place; whether there is one.
    pub(super) fn update<Q: Ord + ?Sized>(&mut self, key: &Q, change: impl FnOnce(&mut V)) -> bool
    where
        K: Borrow<Q>,
    {
        let (at, Ok(index)) = self.locate(key) else { return false };
        let chunk = Arc::make_mut(&mut self.chunks).get_mut(at).map(Arc::make_mut);
        let Some((_, value)) = chunk.and_then(|entries| entries.get_mut(index)) else { return false };
        change(value);
        true
    }

    /// Removes an entry; returns its value.
    pub(super) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (at, Ok(index)) = self.locate(key) else { return None };
        let chunks = Arc::make_mut(&mut self.chunks);
        let entries = chunks.get_mut(at).map(Arc::make_mut)?;
        let (_, removed) = entries.remove(index);
        self.len -= 1;
        if entries.is_empty() {
            chunks.remove(at);
        } else if entries.len() < SPARSE {
            join(chunks, at);
            if let Some(previous) = at.checked_sub(1) {
                join(chunks, previous);
            }
        }
        Some(removed)
    }
}

/// Makes one chunk of this one and the next, if that is far from full.
fn join<K: Clone, V: Clone>(chunks: &mut Vec<Chunk<K, V>>, at: usize) {
    let fits = |next: &Chunk<K, V>| chunks.get(at).is_some_and(|chunk| chunk.len() + next.len() <= FULL / 2);
    if chunks.get(at + 1).is_some_and(fits) {
        let next = chunks.remove(at + 1);
        if let Some(chunk) = chunks.get_mut(at) {
            Arc::make_mut(chunk).extend(next.iter().cloned());
        }
    }
}

impl<K: Ord + Clone, V: PartialEq> Map<K, V> {
    /// Keys that were added, changed or removed since this was last called, sorted. A map that was read from a store has
    /// no changes, and a new map has all of its entries.
    pub(super) fn take_changed(&mut self) -> Vec<K> {
        let changed = Differences::between(&self.known, &self.chunks).cloned().collect();
        self.known = Arc::clone(&self.chunks);
        changed
    }
}

impl<K: Ord, V: PartialEq> PartialEq for Map<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && Differences::between(&self.chunks, &other.chunks).next().is_none()
    }
}

impl<K: Ord, V: Eq> Eq for Map<K, V> {}

type Next<'m, K, V> = (&'m (K, V), Option<&'m Chunk<K, V>>);

/// Entries of a map from some key on.
#[derive(Debug)]
pub(super) struct Entries<'m, K, V> {
    chunks: &'m [Chunk<K, V>],
    chunk: usize,
    index: usize,
}

impl<'m, K, V> Entries<'m, K, V> {
    fn all(chunks: &'m Chunks<K, V>) -> Self {
        Self { chunks, chunk: 0, index: 0 }
    }

    /// The entry that comes next, and the chunk that it begins, if it does.
    fn peek(&mut self) -> Option<Next<'m, K, V>> {
        loop {
            let chunk = self.chunks.get(self.chunk)?;
            if let Some(entry) = chunk.get(self.index) {
                return Some((entry, (self.index == 0).then_some(chunk)));
            }
            (self.chunk, self.index) = (self.chunk + 1, 0);
        }
    }
}

impl<'m, K, V> Iterator for Entries<'m, K, V> {
    type Item = (&'m K, &'m V);

    fn next(&mut self) -> Option<Self::Item> {
        let ((key, value), _) = self.peek()?;
        self.index += 1;
        Some((key, value))
    }
}

/// Keys that only one of two maps has, or that have different values.
struct Differences<'m, K, V> {
    one: Entries<'m, K, V>,
    other: Entries<'m, K, V>,
}

impl<'m, K, V> Differences<'m, K, V> {
    fn between(one: &'m Chunks<K, V>, other: &'m Chunks<K, V>) -> Self {
        // Without chunks there is nothing left to compare.
        let shared = Arc::ptr_eq(one, other);
        let all =
            |chunks| if shared { Entries { chunks: &[], chunk: 0, index: 0 } } else { Entries::all(chunks) };
        Self { one: all(one), other: all(other) }
    }
}

impl<'m, K: Ord, V: PartialEq> Iterator for Differences<'m, K, V> {
    type Item = &'m K;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (one, other) = (self.one.peek(), self.other.peek());
            let (left, right) = match (one, other) {
                (None, None) => return None,
                (Some(((key, _), _)), None) => {
                    self.one.index += 1;
                    return Some(key);
                }
                (None, Some(((key, _), _))) => {
                    self.other.index += 1;
                    return Some(key);
                }
                (Some((_, Some(left))), Some((_, Some(right)))) if Arc::ptr_eq(left, right) => {
                    self.one.chunk += 1;
                    self.other.chunk += 1;
                    continue;
                }
                (Some((left, _)), Some((right, _))) => (left, right),
            };
            let order = left.0.cmp(&right.0);
            if order != Ordering::Greater {
                self.one.index += 1;
            }
            if order != Ordering::Less {
                self.other.index += 1;
            }
            match order {
                Ordering::Less => return Some(&left.0),
                Ordering::Greater => return Some(&right.0),
                Ordering::Equal if left.1 != right.1 => return Some(&left.0),
                Ordering::Equal => {}
            }
        }
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

/// How a key or a value is written: as what it points to.
pub(super) trait Plain: Sized {
    /// What is written.
    type Written<'a>: Serialize
    where
        Self: 'a;
    /// What is read.
    type Read: DeserializeOwned;

    fn written(&self) -> Self::Written<'_>;
    fn from_read(read: Self::Read) -> Self;
}

impl Plain for u64 {
    type Written<'a> = Self;
    type Read = Self;

    fn written(&self) -> Self {
        *self
    }

    fn from_read(read: Self) -> Self {
        read
    }
}

impl Plain for Arc<str> {
    type Written<'a> = &'a str;
    type Read = String;

    fn written(&self) -> &str {
        self
    }

    fn from_read(read: String) -> Self {
        Self::from(read)
    }
}

impl<T: Serialize + DeserializeOwned> Plain for Arc<T> {
    type Written<'a>
        = &'a T
    where
        T: 'a;
    type Read = T;

    fn written(&self) -> &T {
        self
    }

    fn from_read(read: T) -> Self {
        Self::new(read)
    }
}

impl<T: Plain> Plain for Option<T> {
    type Written<'a>
        = Option<T::Written<'a>>
    where
        T: 'a;
    type Read = Option<T::Read>;

    fn written(&self) -> Option<T::Written<'_>> {
        self.as_ref().map(T::written)
    }

    fn from_read(read: Option<T::Read>) -> Self {
        read.map(T::from_read)
    }
}

impl<K: Plain, V: Plain> Serialize for Map<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = if self.hidden { 0 } else { self.len };
        serializer.collect_map(self.iter().take(shown).map(|(key, value)| (key.written(), value.written())))
    }
}

impl<'de, K: Ord + Clone + Plain, V: Clone + Plain> Deserialize<'de> for Map<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader(PhantomData))
    }
}

struct Reader<K, V>(PhantomData<(K, V)>);

impl<'de, K: Ord + Clone + Plain, V: Clone + Plain> Visitor<'de> for Reader<K, V> {
    type Value = Map<K, V>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = Map::default();
        while let Some((key, value)) = entries.next_entry()? {
            map.insert(K::from_read(key), V::from_read(value));
        }
        map.settle();
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// A map of so many entries, made in this order of keys.
    fn filled(keys: impl IntoIterator<Item = u64>) -> Map<u64, u64> {
        keys.into_iter().map(|key| (key, key)).collect()
    }

    /// Chunks of one map that the other does not share.
    fn unshared(one: &Map<u64, u64>, other: &Map<u64, u64>) -> usize {
        let known: BTreeSet<_> = other.chunks.iter().map(Arc::as_ptr).collect();
        one.chunks.iter().filter(|chunk| !known.contains(&Arc::as_ptr(chunk))).count()
    }

    #[test]
    fn a_change_of_a_copy_copies_one_chunk() {
        let map = filled(0..100_000);
        assert!(map.chunks.len() <= 100_000 / FULL + 1, "sorted keys make full chunks: {}", map.chunks.len());
        let mut copy = map.clone();
        assert_eq!(unshared(&copy, &map), 0);
        copy.update(&50_000, |value| *value = 1);
        assert_eq!(unshared(&copy, &map), 1);
        assert_eq!(map.get(&50_000), Some(&50_000));
        copy.insert(50_000, 50_000);
        assert_eq!(copy, map, "equal again, though not shared");
    }

    #[test]
    fn changes_are_those_since_they_were_asked_for() {
        let mut map = filled(0..1_000);
        assert_eq!(map.take_changed().len(), 1_000, "nothing of a new map is known");
        assert_eq!(map.take_changed(), Vec::<u64>::new());
        map.remove(&3);
        map.insert(500, 1);
        map.insert(5_000, 1);
        map.insert(7, 8);
        map.insert(7, 7);
        assert_eq!(map.take_changed(), vec![3, 500, 5_000]);
        let text = serde_json::to_string(&map).expect("JSON");
        let mut read: Map<u64, u64> = serde_json::from_str(&text).expect("a map");
        assert_eq!(read, map);
        assert_eq!(read.take_changed(), Vec::<u64>::new(), "what is read is known");
        let mut other = filled(0..2_000);
        other.take_changed();
        other.take_over(&map);
        assert_eq!(other.take_changed().len(), 1 + 1 + 1_000 + 1);
        other.forget_known();
        assert_eq!(other.take_changed().len(), other.len());
    }

    #[test]
    fn a_map_that_shrinks_has_few_chunks() {
        let mut map = filled(0..100_000);
        for key in (0..100_000).filter(|key| key % 100 != 0) {
            map.remove(&key);
        }
        assert_eq!(map.len(), 1_000);
        assert!(map.chunks.len() <= 1_000 / (SPARSE / 2), "{} chunks", map.chunks.len());
        for key in (0..100_000).step_by(100) {
            assert_eq!(map.remove(&key), Some(key));
        }
        assert!(map.chunks.is_empty() && map.first().is_none() && map.last().is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_does_what_a_btree_map_does(steps in proptest::collection::vec((0_u64..2_000, 0_u32..4), 0..2_000), from in 0_u64..2_000) {
            let (mut map, mut model) = (Map::default(), BTreeMap::new());
            let mut before = (map.clone(), model.clone());
            for (number, (key, act)) in steps.iter().enumerate() {
                match act {
                    0 => prop_assert_eq!(map.remove(key), model.remove(key)),
                    1 => prop_assert_eq!(map.update(key, |value| *value += 1), model.get_mut(key).map(|value| *value += 1).is_some()),
                    _ => prop_assert_eq!(map.insert(*key, number as u64), model.insert(*key, number as u64)),
                }
                if number == steps.len() / 2 {
                    map.take_changed();
                    before = (map.clone(), model.clone());
                }
            }
            let pairs = |map: &Map<u64, u64>| map.iter().map(|(key, value)| (*key, *value)).collect::<Vec<_>>();
            let model_pairs: Vec<_> = model.clone().into_iter().collect();
            prop_assert_eq!(pairs(&map), model_pairs);
            prop_assert_eq!(map.len(), model.len());
            prop_assert_eq!(map.get(&from), model.get(&from));
            prop_assert_eq!(map.rank(&from), model.range(..from).count());
            prop_assert_eq!(map.from(&from).next(), model.range(from..).next());
            prop_assert_eq!(map.from(&from).count(), model.range(from..).count());
            prop_assert_eq!((map.first(), map.last()), (model.first_key_value(), model.last_key_value()));
            // The copy has not moved, and tells what has.
            let expected: Vec<u64> = before.1.keys().chain(model.keys()).copied().collect::<BTreeSet<_>>().into_iter()
                .filter(|key| before.1.get(key) != model.get(key)).collect();
            prop_assert_eq!(pairs(&before.0), before.1.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(map == before.0, expected.is_empty());
            prop_assert_eq!(map.take_changed(), expected);
        }
    }
}
