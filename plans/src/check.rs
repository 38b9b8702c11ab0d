//! The plan checker: an independent linter over a finished plan. It shares no code with the planner, and what it finds
//! is a bug of the planner's, so a fatal finding refuses the plan.

use crate::document::Desired;
use crate::observed::{Observed, Ownership, Reading};
use crate::plan::{Action, Call, Change, Finding, Plan, Precondition, Reason, StepKind};
use crate::resource::{ResourceId, ResourceKind};

/// Checks a plan against what it was made from. Empty when the plan keeps every rule.
#[must_use]
pub fn check(plan: &Plan, observed: &Observed, adopt: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut bug = |code: &str, subject: Option<&ResourceId>, message: String| {
        findings.push(Finding {
            fatal: true,
            code: code.to_owned(),
            subject: subject.cloned(),
            message,
            fix: "this is a fault of zkprov's planner; nothing was changed; please report it with the plan"
                .to_owned(),
        });
    };
    for (index, step) in plan.steps.iter().enumerate() {
        if let Some(later) = step.after.iter().find(|before| **before >= index) {
            bug(
                "order",
                None,
                format!("step {index} comes after step {later}, which does not come before it"),
            );
        }
        let StepKind::Change(change) = &step.kind else { continue };
        if change.action == Action::Keep || change.diff.is_empty() {
            bug("empty-change", Some(&change.id), format!("{} has a step that changes nothing", change.id));
        }
        if change.calls.is_empty() && change.via.is_none() {
            bug("no-call", Some(&change.id), format!("{} has a step without a call", change.id));
        }
        if let Some(message) = precondition_fault(change) {
            bug("precondition", Some(&change.id), message);
        }
        if let Some(message) = ownership_fault(change, observed, adopt) {
            bug("unowned", Some(&change.id), message);
        }
        if let Some(message) = size_fault(change) {
            bug("ensemble-size", Some(&change.id), message);
        }
        if unreadable(change, observed) {
            bug(
                "unread",
                Some(&change.id),
                format!("{} is changed although it could not be read", change.id),
            );
        }
    }
    for change in plan.kept.iter().filter(|change| !change.diff.is_empty()) {
        bug("kept-differs", Some(&change.id), format!("{} differs and is kept", change.id));
    }
    if let Some(message) = voter_fault(plan) {
        bug("voters", None, message);
    }
    if let Some(message) = pods_fault(plan, observed) {
        bug("pods-before-votes", None, message);
    }
    if let Some(id) = server_fault(plan) {
        bug("file-server-order", Some(id), format!("{id} goes before what mounts it"));
    }
    if let Some(id) = even_fault(&plan.desired) {
        bug("even-size", Some(id), format!("{id} declares an even number of members"));
    }
    findings
}

fn precondition_fault(change: &Change) -> Option<String> {
    let creates = change.action == Action::Create;
    match &change.precondition {
        Precondition::Absent if !creates => Some(format!("{} is changed unconditionally", change.id)),
        Precondition::Unchanged(_) | Precondition::Voters(_) if creates => {
            Some(format!("{} is created on the condition that it exists", change.id))
        }
        Precondition::Absent | Precondition::Unchanged(_) | Precondition::Voters(_) => None,
    }
}

fn ownership_fault(change: &Change, observed: &Observed, adopt: bool) -> Option<String> {
    let Some(Reading::Known(live)) = observed.resources.get(&change.id) else { return None };
    match (&live.ownership, change.action) {
        (Ownership::Ours, _) => None,
        (Ownership::Foreign, Action::Adopt) if adopt => None,
        (Ownership::Foreign | Ownership::Other(_), _) => {
            Some(format!("{} is not ours and is changed", change.id))
        }
    }
}

fn unreadable(change: &Change, observed: &Observed) -> bool {
    let gap = matches!(observed.resources.get(&change.id), Some(Reading::Unavailable(_)));
    let ensemble =
        change.id.kind == ResourceKind::Ensemble && matches!(observed.ensemble, Reading::Unavailable(_));
    gap || ensemble
}

fn size_fault(change: &Change) -> Option<String> {
    change.calls.iter().find_map(|call| {
        let Call::SetEnsemble(target) = call else { return None };
        let even = target.fixed_size.is_multiple_of(2);
        even.then(|| format!("{} would be declared with {} members", change.id, target.fixed_size))
    })
}

/// Ensemble steps move one voter at a time, each behind a quorum gate, and join end to end.
fn voter_fault(plan: &Plan) -> Option<String> {
    let mut last: Option<u32> = None;
    for (index, step) in plan.steps.iter().enumerate() {
        let StepKind::Change(change) = &step.kind else { continue };
        let Reason::EnsembleStep { from, to } = change.reason else { continue };
        if from.abs_diff(to) != 1 {
            return Some(format!("step {index} moves from {from} to {to} voters at once"));
        }
        if last.is_some_and(|last| last != from) {
            return Some(format!("step {index} starts at {from} voters, not where the step before it ends"));
        }
        let gated = step
            .after
            .iter()
            .any(|before| matches!(plan.steps.get(*before).map(|step| &step.kind), Some(StepKind::Gate(_))));
        if !gated {
            return Some(format!("step {index} has no quorum gate before it"));
        }
        last = Some(to);
    }
    None
}

/// Pods go after their votes: a Deployment or StatefulSet shrinks behind the step that leaves as few voters as it keeps pods.
fn pods_fault(plan: &Plan, observed: &Observed) -> Option<String> {
    if plan.findings.iter().any(|finding| finding.fatal) {
        // Refused already, and so without the ensemble's steps.
        return None;
    }
    let voters = observed.resources.iter().find_map(|(id, reading)| match reading {
        Reading::Known(live) if id.kind == ResourceKind::Ensemble => live.document.get("voters")?.as_u64(),
        Reading::Known(_) | Reading::Absent | Reading::Unavailable(_) => None,
    })?;
    let mut left = voters;
    plan.steps.iter().enumerate().find_map(|(index, step)| {
        let StepKind::Change(change) = &step.kind else { return None };
        if let Reason::EnsembleStep { to, .. } = change.reason {
            left = u64::from(to);
        }
        let shrinks =
            change.id.kind.runs_members() && change.diff.iter().any(|field| field.path == "spec.replicas");
        let pods = change.body.pointer("/spec/replicas").filter(|_| shrinks)?.as_u64()?;
        (pods < left).then(|| format!("step {index} keeps {pods} pods of {left} voters"))
    })
}

/// Deleting a file server comes after every deletion inside the cluster, and of the cluster.
fn server_fault(plan: &Plan) -> Option<&ResourceId> {
    let deleted = |index: usize| match plan.steps.get(index).map(|step| &step.kind) {
        Some(StepKind::Change(change)) if change.action == Action::Delete => Some(&change.id),
        Some(StepKind::Change(_) | StepKind::Gate(_)) | None => None,
    };
    let server =
        |id: &&ResourceId| matches!(id.kind, ResourceKind::Instance | ResourceKind::FilestoreInstance);
    let mounts = |id: &ResourceId| matches!(id.kind, ResourceKind::Kube(_) | ResourceKind::Cluster);
    (0..plan.steps.len()).find_map(|index| {
        let id = deleted(index).filter(server)?;
        let later = (index + 1..plan.steps.len()).filter_map(deleted).any(mounts);
        later.then_some(id)
    })
}

fn even_fault(desired: &Desired) -> Option<&ResourceId> {
    let size = |document: &crate::document::Document| {
        let declared = if document.id.kind == ResourceKind::Ensemble {
            document.body.get("voters")
        } else if document.id.kind.runs_members() {
            document.body.pointer("/spec/replicas")
        } else {
            None
        };
        declared.and_then(serde_json::Value::as_u64)
    };
    desired
        .documents
        .iter()
        .find(|document| size(document).is_some_and(|n| n.is_multiple_of(2)))
        .map(|one| &one.id)
}
