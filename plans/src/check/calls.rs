//! Rules for one change at a time: it has the call that carries it out, its resource is ours and was read, and it has a precondition.

use super::Fault;
use crate::observed::{Ownership, Reading};
use crate::plan::{Action, Call, Change, Plan, Precondition};
use crate::planner::PlanInput;
use crate::resource::{Family, ResourceId, ResourceKind};
use serde_json::Value;

pub(super) fn faults(plan: &Plan, input: &PlanInput<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (_, change) in plan.changes() {
        let id = &change.id;
        let mut fault = |code, message: String| faults.push(Fault::of(code, id, message));
        if change.action == Action::Keep || change.diff.is_empty() {
            fault("empty-change", format!("{id} has a step that changes nothing"));
        }
        match &change.via {
            None if !writes(change, input) => {
                fault("no-call", format!("{id} has a step without the call that carries it out"));
            }
            Some(other) if !inserts(plan, other) => {
                fault("no-call", format!("{id} is to come with {other}, which is not created"));
            }
            None | Some(_) => {}
        }
        if let Some(message) = precondition(change, input) {
            fault("precondition", message);
        }
        if let Some(message) = ownership(change, input) {
            fault("unowned", message);
        }
        let unread = matches!(input.observed.resources.get(id), Some(Reading::Unavailable(_)))
            || id.kind == ResourceKind::Ensemble
                && matches!(input.observed.ensemble, Reading::Unavailable(_));
        if unread {
            fault("unread", format!("{id} is changed although it could not be read"));
        }
    }
    for change in plan.kept.iter().filter(|change| !(change.diff.is_empty() && change.calls.is_empty())) {
        let message = format!("{} differs and is kept", change.id);
        faults.push(Fault::of("kept-differs", &change.id, message));
    }
    let even = input.desired.documents.iter().filter_map(|document| {
        let kind = document.id.kind;
        let declared = if kind == ResourceKind::Ensemble {
            document.body.get("voters")
        } else {
            document.body.pointer("/spec/replicas").filter(|_| kind.runs_members())
        };
        declared.and_then(Value::as_u64).filter(|size| size.is_multiple_of(2)).map(|_| &document.id)
    });
    faults.extend(
        even.map(|id| Fault::of("even-size", id, format!("{id} declares an even number of members"))),
    );
    faults
}

/// Whether a change has the call that makes it so.
fn writes(change: &Change, input: &PlanInput<'_>) -> bool {
    let has = |call: &Call| change.calls.contains(call);
    match change.id.kind.family() {
        Family::Kubernetes => has(&Call::Apply) || has(&Call::Delete),
        Family::Ensemble => change.calls.iter().any(|call| matches!(call, Call::SetEnsemble(_))),
        Family::Google => {
            let absent = input.observed.resources.get(&change.id) == Some(&Reading::Absent);
            if absent { has(&Call::Insert) } else { !change.calls.is_empty() }
        }
    }
}

fn inserts(plan: &Plan, id: &ResourceId) -> bool {
    plan.changes().any(|(_, change)| change.id == *id && change.calls.contains(&Call::Insert))
}

/// What is there is changed as it was read, or as an earlier step leaves it; only what is not there is made.
fn precondition(change: &Change, input: &PlanInput<'_>) -> Option<String> {
    let id = &change.id;
    let there = match input.observed.resources.get(id) {
        Some(Reading::Known(_)) => true,
        // Not read is for another rule; of an ensemble the steps follow each other.
        Some(Reading::Absent) | None => false,
        Some(Reading::Unavailable(_)) => return None,
    };
    match &change.precondition {
        Precondition::Absent if there => Some(format!("{id} is there, and is changed unconditionally")),
        Precondition::Unchanged(_) if !there => {
            Some(format!("{id} is not there, and is changed on the condition that it is"))
        }
        Precondition::Voters(_) if id.kind != ResourceKind::Ensemble => {
            Some(format!("{id} has no voters to rest on"))
        }
        Precondition::Absent | Precondition::Unchanged(_) | Precondition::Voters(_) => None,
    }
}

/// A plan changes what is ours. With the user's consent it takes over what has no mark, and does not delete it.
fn ownership(change: &Change, input: &PlanInput<'_>) -> Option<String> {
    let Some(Reading::Known(live)) = input.observed.resources.get(&change.id) else { return None };
    let deletes = change.calls.contains(&Call::Delete) || change.action == Action::Delete;
    match &live.ownership {
        Ownership::Ours => None,
        Ownership::Foreign if input.adopt && !deletes => None,
        Ownership::Foreign | Ownership::Other(_) => Some(format!("{} is not ours and is changed", change.id)),
    }
}
