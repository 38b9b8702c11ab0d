//! Watches: changes since a revision, as JSON lines.

use super::failure::Failure;
use super::kind::Kind;
use super::selectors::Selector;
use super::store::{ChangeKind, Store};
use super::table;
use super::tree;
use crate::api::Time;
use serde_json::{Value, json};

/// Where a watch stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchCursor {
    pub(super) kind: Kind,
    pub(super) namespace: Option<String>,
    pub(super) selector: Selector,
    pub(super) form: table::Form,
    /// Everything up to here is delivered; `None` before the present state is.
    pub(super) revision: Option<u64>,
    pub(super) bookmarks: bool,
    /// Whether the present state ends with a bookmark that says so.
    pub(super) marks_initial_end: bool,
    pub(super) bookmarked: Time,
    pub(super) deadline: Option<Time>,
    pub(super) started: bool,
}

/// A bookmark tells an idle watch how far it is, this often.
const BOOKMARK_EVERY: Time = 60_000;

impl WatchCursor {
    /// What there is to deliver now, and whether the watch ends.
    pub(super) fn poll(&mut self, store: &Store, now: Time) -> (Vec<u8>, bool) {
        let mut lines = Lines { text: Vec::new() };
        let after = match self.revision {
            Some(revision) => revision,
            None => {
                self.deliver_present(store, now, &mut lines);
                store.revision()
            }
        };
        let Some(changes) = store.changes(self.kind, after) else {
            let message = format!("too old resource version: {after} ({})", store.revision());
            lines.push("ERROR", &Failure::expired(message).status());
            return (lines.text, true);
        };
        for change in changes {
            if self.namespace.as_deref().is_some_and(|wanted| wanted != tree::namespace(&change.object)) {
                continue;
            }
            let matched = change
                .before
                .as_ref()
                .is_some_and(|before| self.selector.matches(&before.object(&change.object)));
            let matches = self.selector.matches(&change.object);
            let event = match (change.change, matched, matches) {
                (ChangeKind::Deleted, true, _) | (ChangeKind::Modified, true, false) => "DELETED",
                (ChangeKind::Modified, true, true) => "MODIFIED",
                (ChangeKind::Added | ChangeKind::Modified, _, true) => "ADDED",
                (ChangeKind::Added | ChangeKind::Modified | ChangeKind::Deleted, ..) => continue,
            };
            self.push(&mut lines, event, &change.object, now);
        }
        self.revision = Some(store.revision());
        let ends = self.deadline.is_some_and(|deadline| now >= deadline);
        if self.bookmarks && (ends || now >= self.bookmarked + BOOKMARK_EVERY) {
            self.bookmarked = now;
            lines.push("BOOKMARK", &self.bookmark(store.revision()));
        }
        (lines.text, ends)
    }

    fn deliver_present(&mut self, store: &Store, now: Time, lines: &mut Lines) {
        let namespace = self.namespace.clone();
        for object in store.list(self.kind, namespace.as_deref()) {
            if !self.selector.matches(object) {
                continue;
            }
            self.push(lines, "ADDED", object, now);
        }
        if self.marks_initial_end {
            let mut bookmark = self.bookmark(store.revision());
            tree::put(&mut bookmark, "/metadata/annotations/k8s.io~1initial-events-end", "true");
            lines.push("BOOKMARK", &bookmark);
        }
    }

    fn push(&mut self, lines: &mut Lines, event: &str, object: &Value, now: Time) {
        let shown = self.form.one(self.kind, object, now, !self.started);
        self.started = true;
        lines.push(event, &shown);
    }

    fn bookmark(&self, revision: u64) -> Value {
        let bookmark = json!({
            "kind": self.kind.info().kind, "apiVersion": self.kind.api_version(),
            "metadata": {"resourceVersion": revision.to_string(), "creationTimestamp": null},
        });
        self.form.bookmark(bookmark, self.kind)
    }
}

struct Lines {
    text: Vec<u8>,
}

impl Lines {
    fn push(&mut self, event: &str, object: &Value) {
        self.text.extend(json!({"type": event, "object": object}).to_string().into_bytes());
        self.text.push(b'\n');
    }
}
