//! Events about objects, counted when they repeat.

use super::kind::Kind;
use super::registry::Registry;
use super::{clock, tree};
use serde_json::{Value, json};

/// Events kept of one namespace; the oldest go first, as they do after an hour on a real cluster.
const KEPT: usize = 200;

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// All is well.
    Normal,
    /// Something needs a look.
    Warning,
}

/// What happened.
#[derive(Debug, Clone)]
pub(super) struct Note<'a> {
    /// How much it matters.
    pub(super) severity: Severity,
    /// One word.
    pub(super) reason: &'a str,
    /// A sentence.
    pub(super) message: String,
    /// Who says so: `kubelet`, `deployment-controller`, …
    pub(super) component: &'a str,
}

impl<'a> Note<'a> {
    /// A normal event.
    pub(super) fn normal(component: &'a str, reason: &'a str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Normal, reason, message: message.into(), component }
    }

    /// A warning.
    pub(super) fn warning(component: &'a str, reason: &'a str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, reason, message: message.into(), component }
    }
}

impl Registry<'_> {
    /// Records an event about an object.
    pub(super) fn note(&mut self, kind: Kind, object: &Value, note: &Note<'_>) {
        let namespace = if kind.info().namespaced { tree::namespace(object) } else { "default" };
        let same = self.store.list(Kind::Event, Some(namespace)).find(|event| {
            tree::text(event, "/involvedObject/uid") == Some(tree::uid(object))
                && tree::text(event, "/reason") == Some(note.reason)
                && tree::text(event, "/message") == Some(note.message.as_str())
        });
        let now = clock::seconds(self.now);
        if let Some(mut event) = same.cloned() {
            let count = tree::int(&event, "/count").unwrap_or(1) + 1;
            tree::put(&mut event, "/count", count);
            tree::put(&mut event, "/lastTimestamp", now);
            self.store.put(Kind::Event, event, self.now);
            return;
        }
        let severity = match note.severity {
            Severity::Normal => "Normal",
            Severity::Warning => "Warning",
        };
        let mut source = json!({"component": note.component});
        if let Some(node) = tree::text(object, "/spec/nodeName").filter(|_| note.component == "kubelet") {
            tree::put(&mut source, "/host", node);
        }
        let event = json!({
            "kind": "Event", "apiVersion": "v1",
            "metadata": {"name": format!("{}.{}", tree::name(object), self.ids.hex(16)), "namespace": namespace,
                "uid": self.ids.uuid(), "creationTimestamp": now},
            "involvedObject": {"kind": kind.info().kind, "namespace": namespace, "name": tree::name(object),
                "uid": tree::uid(object), "apiVersion": kind.api_version(),
                "resourceVersion": object.pointer("/metadata/resourceVersion")},
            "reason": note.reason, "message": note.message, "source": source, "firstTimestamp": now,
            "lastTimestamp": now, "count": 1, "type": severity, "eventTime": null,
            "reportingComponent": note.component, "reportingInstance": "",
        });
        self.store.put(Kind::Event, event, self.now);
        self.forget_old_events(namespace);
    }

    fn forget_old_events(&mut self, namespace: &str) {
        let mut all: Vec<(u64, String)> = self
            .store
            .list(Kind::Event, Some(namespace))
            .map(|event| {
                let revision =
                    tree::text(event, "/metadata/resourceVersion").and_then(|text| text.parse().ok());
                (revision.unwrap_or(0), tree::name(event).to_owned())
            })
            .collect();
        if all.len() > KEPT {
            all.sort_unstable();
            for (_, name) in all.iter().take(all.len() - KEPT) {
                self.store.remove(Kind::Event, namespace, name, self.now);
            }
        }
    }
}
