//! The znodes of one server, by path, with what is asked of all of them at once kept up to date.
//!
//! A copy costs nothing and shares what it has in common with the tree ([`super::shared`]). All changes go through
//! [`Tree::insert`], [`Tree::update`], [`Tree::remove`] and [`Tree::take_over`].

use super::data::{Znode, parent};
use super::shared::{Entries, Map};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// The znodes.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    entries: Map<Arc<str>, Entry>,
    /// Ephemeral znodes, by session and path.
    ephemerals: Map<(i64, Arc<str>), ()>,
    /// Length of all paths and contents, the root's path being `/`.
    bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    node: Arc<Znode>,
    children: usize,
}

/// The least string that sorts after everything below a path: `0` comes after `/`.
fn past(path: &str) -> String {
    format!("{}0", path.trim_end_matches('/'))
}

/// What the paths of all znodes below a path begin with.
fn prefix_of(path: &str) -> String {
    format!("{}/", path.trim_end_matches('/'))
}

impl Tree {
    /// How many znodes there are.
    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Length of all paths and contents.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// A znode.
    pub(super) fn get(&self, path: &str) -> Option<&Znode> {
        self.shared(path).map(|node| &**node)
    }

    /// A znode, to be kept.
    pub(super) fn shared(&self, path: &str) -> Option<&Arc<Znode>> {
        self.entries.get(path).map(|entry| &entry.node)
    }

    /// Whether there is a znode.
    pub(super) fn contains_key(&self, path: &str) -> bool {
        self.entries.get(path).is_some()
    }

    /// All znodes, sorted by path.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Znode)> {
        self.entries.iter().map(|(path, entry)| (&**path, &*entry.node))
    }

    /// How many children a znode has.
    pub(super) fn child_count(&self, path: &str) -> usize {
        self.entries.get(path).map_or(0, |entry| entry.children)
    }

    /// How many znodes there are below a znode.
    pub(super) fn count_below(&self, path: &str) -> usize {
        match self.child_count(path) {
            0 => 0,
            _ if path == "/" => self.len() - 1,
            _ => self.entries.rank(past(path).as_str()) - self.entries.rank(prefix_of(path).as_str()),
        }
    }

    /// Names of the children, sorted by bytes.
    pub(super) fn children(&self, path: &str) -> impl Iterator<Item = &str> {
        self.family(path).map(|child| child.name)
    }

    /// The children, sorted by name.
    pub(super) fn family(&self, path: &str) -> Children<'_> {
        let prefix = prefix_of(path);
        Children { tree: self, below: self.entries.from(prefix.as_str()), prefix }
    }

    /// How many ephemeral znodes there are.
    pub(super) const fn ephemeral_count(&self) -> usize {
        self.ephemerals.len()
    }

    /// Paths of a session's ephemeral znodes.
    pub(super) fn ephemerals(&self, session: i64) -> Vec<Arc<str>> {
        let owned = self.ephemerals.from(&(session, Arc::from("")));
        owned
            .map(|(key, ())| key)
            .take_while(|(owner, _)| *owner == session)
            .map(|(_, path)| path.clone())
            .collect()
    }

    /// Puts a znode into its place; returns the one before.
    pub(super) fn insert(&mut self, path: &str, node: Arc<Znode>) -> Option<Arc<Znode>> {
        let path: Arc<str> = Arc::from(path);
        let (mut before, after) = (None, Share::of(&node));
        let put = |entry: &mut Entry| before = Some(std::mem::replace(&mut entry.node, Arc::clone(&node)));
        if !self.entries.update(&*path, put) {
            let children = self.children(&path).count();
            self.entries.insert(Arc::clone(&path), Entry { node, children });
            if let Some(above) = parent(&path) {
                self.entries.update(above, |entry| entry.children += 1);
            }
        }
        self.count(&path, before.as_deref().map(Share::of), Some(after));
        before
    }

    /// Changes a znode; whether it is there.
    pub(super) fn update(&mut self, path: &str, change: impl FnOnce(&mut Znode)) -> bool {
        let mut shares = None;
        self.entries.update(path, |entry| {
            let before = Share::of(&entry.node);
            change(Arc::make_mut(&mut entry.node));
            shares = Some((before, Share::of(&entry.node)));
        });
        let Some((before, after)) = shares else { return false };
        if before != after {
            self.count(&Arc::from(path), Some(before), Some(after));
        }
        true
    }

    /// Removes a znode; returns it.
    pub(super) fn remove(&mut self, path: &str) -> Option<Arc<Znode>> {
        let Entry { node, .. } = self.entries.remove(path)?;
        if let Some(above) = parent(path) {
            self.entries.update(above, |entry| entry.children -= 1);
        }
        self.count(&Arc::from(path), Some(Share::of(&node)), None);
        Some(node)
    }

    /// Takes over all znodes of another tree.
    pub(super) fn take_over(&mut self, other: &Self) {
        self.entries.take_over(&other.entries);
        self.ephemerals.take_over(&other.ephemerals);
        self.bytes = other.bytes;
    }

    /// Nothing of it is stored: the tree has got another owner.
    pub(super) fn forget_known(&mut self) {
        self.entries.forget_known();
    }

    /// The map that knows what is stored.
    pub(super) const fn entries(&mut self) -> &mut Map<Arc<str>, Entry> {
        &mut self.entries
    }

    fn count(&mut self, path: &Arc<str>, before: Option<Share>, after: Option<Share>) {
        if let Some(after) = after {
            self.bytes += path.len() + after.bytes;
        }
        if let Some(before) = before {
            self.bytes -= path.len() + before.bytes;
        }
        let owner = |share: Option<Share>| share.map(|share| share.owner).filter(|owner| *owner != 0);
        if let Some(owner) = owner(before) {
            self.ephemerals.remove(&(owner, Arc::clone(path)));
        }
        if let Some(owner) = owner(after) {
            self.ephemerals.insert((owner, Arc::clone(path)), ());
        }
    }
}

/// What a znode adds to the sums over the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    owner: i64,
    bytes: usize,
}

impl Share {
    fn of(node: &Znode) -> Self {
        Self { owner: node.owner, bytes: node.data.len() }
    }
}

impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        // All else follows from the entries.
        self.entries == other.entries
    }
}

impl Eq for Tree {}

/// One child of a znode.
#[derive(Debug)]
pub(super) struct Child<'t> {
    pub(super) name: &'t str,
    pub(super) node: &'t Znode,
    /// How many children it has itself.
    pub(super) children: usize,
}

/// The children of a znode.
#[derive(Debug)]
pub(super) struct Children<'t> {
    tree: &'t Tree,
    below: Entries<'t, Arc<str>, Entry>,
    prefix: String,
}

impl<'t> Iterator for Children<'t> {
    type Item = Child<'t>;

    fn next(&mut self) -> Option<Child<'t>> {
        loop {
            let (path, entry) = self.below.next()?;
            let rest = path.strip_prefix(&self.prefix)?;
            match rest.split_once('/') {
                // The root itself.
                None if rest.is_empty() => {}
                None => return Some(Child { name: rest, node: &entry.node, children: entry.children }),
                // What is below a child is passed over, however much it is.
                Some((child, _)) => {
                    let past = past(&format!("{}{child}", self.prefix));
                    self.below = self.tree.entries.from(past.as_str());
                }
            }
        }
    }
}

/// As a map from path to znode.
impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = if self.entries.is_hidden() { 0 } else { self.len() };
        serializer.collect_map(self.iter().take(shown))
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map from paths to znodes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut tree = Tree::default();
        while let Some((path, node)) = entries.next_entry::<String, Znode>()? {
            tree.insert(&path, Arc::new(node));
        }
        tree.entries.settle();
        Ok(tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn znode(owner: i64, length: usize) -> Znode {
        Znode { owner, data: vec![0; length], ..Znode::default() }
    }

    fn names(tree: &Tree, path: &str) -> Vec<String> {
        tree.children(path).map(str::to_owned).collect()
    }

    #[test]
    fn children_are_found_beside_paths_that_sort_between() {
        let mut tree = Tree::default();
        for path in ["/", "/a", "/a/b", "/a/b/c", "/a-b", "/a-b/d", "/a0", "/b"] {
            tree.insert(path, Arc::new(znode(0, 1)));
        }
        assert_eq!(names(&tree, "/"), ["a", "a-b", "a0", "b"]);
        assert_eq!(names(&tree, "/a"), ["b"]);
        assert_eq!(names(&tree, "/b"), [""; 0]);
        assert_eq!((tree.count_below("/"), tree.count_below("/a"), tree.count_below("/a-b")), (7, 2, 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// All sums are those of a plain map after any changes, orphans among them.
        #[test]
        fn sums_are_those_of_the_znodes(
            steps in proptest::collection::vec(("(/[a-c0-]{1,2}){1,3}", 0_i64..3, 0_usize..5, 0_u32..4), 0..200),
        ) {
            let mut tree = Tree::default();
            let mut model: BTreeMap<String, Znode> = BTreeMap::new();
            tree.insert("/", Arc::new(znode(0, 0)));
            model.insert("/".to_owned(), znode(0, 0));
            for (path, owner, length, act) in steps {
                match act {
                    0 => prop_assert_eq!(tree.remove(&path), model.remove(&path).map(Arc::new)),
                    1 => {
                        let change = |node: &mut Znode| *node = znode(owner, length);
                        prop_assert_eq!(tree.update(&path, change), model.get_mut(&path).map(change).is_some());
                    }
                    _ => {
                        let node = znode(owner, length);
                        prop_assert_eq!(tree.insert(&path, Arc::new(node.clone())), model.insert(path, node).map(Arc::new));
                    }
                }
            }
            let pairs: Vec<_> = tree.iter().map(|(path, node)| (path.to_owned(), node.clone())).collect();
            prop_assert_eq!(pairs, model.clone().into_iter().collect::<Vec<_>>());
            prop_assert_eq!(tree.bytes(), model.iter().map(|(path, node)| path.len() + node.data.len()).sum::<usize>());
            prop_assert_eq!(tree.ephemeral_count(), model.values().filter(|node| node.owner != 0).count());
            let owned: Vec<_> = model.iter().filter(|(_, node)| node.owner == 1).map(|(path, _)| path.clone()).collect();
            prop_assert_eq!(tree.ephemerals(1).iter().map(|path| path.to_string()).collect::<Vec<_>>(), owned);
            for path in model.keys() {
                let children: Vec<_> = model.keys().filter(|other| other.len() > 1 && parent(other) == Some(path)).collect();
                let prefix = prefix_of(path);
                let children: Vec<_> = children.iter().map(|child| child[prefix.len()..].to_owned()).collect();
                prop_assert_eq!(tree.child_count(path), children.len());
                prop_assert_eq!(names(&tree, path), children);
            }
            let read: Tree = serde_json::from_value(serde_json::to_value(&tree).expect("JSON")).expect("a tree");
            prop_assert_eq!(read.bytes(), tree.bytes());
            prop_assert_eq!(read, tree);
        }
    }
}
