//! Operations: every change is one, takes virtual time, and may be waited for.

use super::route::{Route, Scope, link, relative};
use super::{Compute, Document};
use crate::api::{Context, Time};
use crate::ids::Ids;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Finished operations that are remembered; older ones are forgotten first.
const REMEMBERED: usize = 400;

/// How long each kind of change takes, in virtual milliseconds.
pub(super) mod takes {
    pub(in crate::compute) const AT_ONCE: u64 = 0;
    pub(in crate::compute) const SMALL_CHANGE: u64 = 2_000;
    pub(in crate::compute) const ADDRESS: u64 = 2_000;
    pub(in crate::compute) const DISK: u64 = 4_000;
    pub(in crate::compute) const FIREWALL: u64 = 8_000;
    pub(in crate::compute) const INSTANCE: u64 = 12_000;
    pub(in crate::compute) const SNAPSHOT: u64 = 30_000;
    pub(in crate::compute) const STOP: u64 = 15_000;
    pub(in crate::compute) const DELETE_INSTANCE: u64 = 20_000;
}

/// What happens at the end of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Effect {
    /// Nothing: it was done when the operation began.
    Nothing,
    /// The target's status becomes `READY` (addresses: as their use says).
    Ready,
    /// The target is gone.
    Removed,
    /// The instance runs.
    Running,
    /// The instance is stopped.
    Stopped,
    /// The instance is suspended.
    Suspended,
    /// The instance runs again where it was suspended.
    Resumed,
}

/// An operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Operation {
    pub(super) document: Document,
    pub(super) end: Time,
    done: bool,
    effect: Effect,
    /// Relative path of the target.
    pub(super) target: String,
    /// Relative path of what else is ready at the end: the snapshot, where the operation is about the disk.
    #[serde(default)]
    also_ready: Option<String>,
    /// What it ends in, when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Value>,
}

/// What an operation does to what.
pub(super) struct Begin<'a> {
    /// `insert`, `setLabels`.
    pub(super) kind: &'a str,
    /// Relative path of the target.
    pub(super) target: &'a str,
    /// Virtual milliseconds.
    pub(super) takes: u64,
    pub(super) effect: Effect,
}

/// A time as Compute Engine writes it: with milliseconds, in Pacific Daylight Time.
pub(super) fn timestamp(now: Time) -> String {
    const PACIFIC: Time = 7 * 3_600_000;
    crate::api::timestamp(now.saturating_sub(PACIFIC)).replace('Z', "-07:00")
}

impl Compute {
    /// Begins an operation in the scope of the request; returns its document as the response to it.
    pub(super) fn begin(&mut self, route: &Route, begin: &Begin<'_>, context: &mut Context<'_>) -> Value {
        let now = context.now;
        let ids = &mut *context.ids;
        let name = format!("operation-{now}-{}-{}-{}", ids.hex(13), ids.hex(8), ids.hex(8));
        let path = format!("{}/operations/{name}", route.parent());
        let mut document = fields_of(json!({
            "kind": "compute#operation", "id": ids.numeric(), "name": name, "operationType": begin.kind,
            "targetLink": link(begin.target), "targetId": self.id_of(begin.target), "status": "RUNNING",
            "user": "sandbox@example.com", "progress": 0, "insertTime": timestamp(now), "startTime": timestamp(now),
            "selfLink": link(&path),
        }));
        match &route.scope {
            Scope::Zone(_) => drop(document.insert("zone".into(), link(&route.parent()).into())),
            Scope::Region(_) => drop(document.insert("region".into(), link(&route.parent()).into())),
            Scope::Global | Scope::Project | Scope::Aggregated => {}
        }
        let operation = Operation {
            document,
            end: now + begin.takes,
            done: false,
            effect: begin.effect,
            target: begin.target.to_owned(),
            also_ready: None,
            error: None,
        };
        self.operations.insert(path.clone(), operation);
        if begin.takes == takes::AT_ONCE {
            self.finish(&path, context.ids);
        }
        self.begun = Some(path.clone());
        self.forget_old_operations();
        self.operations
            .get(&path)
            .map(|operation| Value::Object(operation.document.clone()))
            .unwrap_or_default()
    }

    fn id_of(&self, path: &str) -> Value {
        self.resources.get(path).and_then(|document| document.get("id")).cloned().unwrap_or_default()
    }

    fn finish(&mut self, path: &str, ids: &mut Ids) {
        let Some(operation) = self.operations.get_mut(path) else { return };
        operation.done = true;
        let end = timestamp(operation.end);
        operation.document.insert("status".into(), "DONE".into());
        operation.document.insert("progress".into(), 100.into());
        operation.document.insert("endTime".into(), end.into());
        if let Some(error) = operation.error.clone() {
            set(
                &mut operation.document,
                [
                    ("error", error),
                    ("httpErrorStatusCode", 403.into()),
                    ("httpErrorMessage", "FORBIDDEN".into()),
                ],
            );
        }
        let (effect, target, end) = (operation.effect, operation.target.clone(), operation.end);
        let also_ready = operation.also_ready.clone();
        match effect {
            Effect::Nothing => {}
            Effect::Ready => self.become_ready(&target),
            Effect::Removed => self.remove(&target, end),
            Effect::Running => self.become_running(&target, end, ids),
            Effect::Stopped => self.become_stopped(&target, end),
            Effect::Suspended => self.become_suspended(&target, end),
            Effect::Resumed => self.become_resumed(&target, end),
        }
        if let Some(path) = also_ready {
            self.become_ready(&path);
        }
    }

    /// Lets another resource be ready at the end of an operation that was just begun.
    pub(super) fn ready_with(&mut self, operation: &Value, path: &str) {
        let link = operation.get("selfLink").and_then(Value::as_str).and_then(relative);
        if let Some(operation) = link.and_then(|link| self.operations.get_mut(link)) {
            operation.also_ready = Some(path.to_owned());
        }
    }

    /// Whether an operation that removes the target is under way.
    pub(super) fn being_removed(&self, target: &str) -> bool {
        self.operations.values().any(|operation| {
            !operation.done && operation.effect == Effect::Removed && operation.target == target
        })
    }

    /// Whether any operation on the target is under way that ends in a change.
    pub(super) fn busy(&self, target: &str) -> bool {
        self.operations.values().any(|operation| {
            !operation.done && operation.effect != Effect::Nothing && operation.target == target
        })
    }

    pub(super) fn next_operation(&self) -> Option<Time> {
        self.operations.values().filter(|operation| !operation.done).map(|operation| operation.end).min()
    }

    /// Finishes what is due, in the order in which it ends.
    pub(super) fn finish_operations(&mut self, now: Time, ids: &mut Ids) {
        let mut due: Vec<(Time, String)> = self
            .operations
            .iter()
            .filter(|(_, operation)| !operation.done && operation.end <= now)
            .map(|(path, operation)| (operation.end, path.clone()))
            .collect();
        due.sort();
        for (_, path) in due {
            self.finish(&path, ids);
        }
    }

    fn forget_old_operations(&mut self) {
        let done = self.operations.iter().filter(|(_, operation)| operation.done);
        let mut old: Vec<(Time, String)> =
            done.map(|(path, operation)| (operation.end, path.clone())).collect();
        if old.len() <= REMEMBERED {
            return;
        }
        old.sort();
        for (_, path) in old.into_iter().take(REMEMBERED / 4) {
            self.operations.remove(&path);
            self.request_ids.remove_where(.., |_, operation| *operation == path);
        }
    }

    /// Whether the operation of this path is done.
    pub(super) fn is_done(&self, path: &str) -> bool {
        self.operations.get(path).is_none_or(|operation| operation.done)
    }
}

/// Sets the fields of a document.
pub(super) fn set<const N: usize>(document: &mut Document, fields: [(&str, Value); N]) {
    for (name, value) in fields {
        document.insert(name.to_owned(), value);
    }
}

/// The fields of a JSON object; none of anything else.
pub(super) fn fields_of(value: Value) -> Document {
    match value {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Document::new()
        }
    }
}

/// A link in a body as a relative path of this collection: full and partial URLs and, where the API takes them, names.
pub(super) fn resolve(reference: &str, parent: &str, collection: &str) -> String {
    match relative(reference) {
        Some(path) => path.to_owned(),
        None if reference.contains('/') => {
            let project = parent.split('/').take(2).collect::<Vec<_>>().join("/");
            format!("{project}/{reference}")
        }
        None => format!("{parent}/{collection}/{reference}"),
    }
}
