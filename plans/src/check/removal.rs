//! What goes, and after what: the cluster after all in it, the file server after the cluster, its firewall rules around it, data by
//! consent alone.

use super::Fault;
use super::graph::Order;
use crate::plan::{Call, Change, Gate, Mode, Plan, StepIndex, StepKind};
use crate::planner::PlanInput;
use crate::resource::{Family, KubeKind, ResourceId, ResourceKind};
use crate::spec::Retention;

/// Deletes it, and makes nothing in its place.
fn removes(change: &Change) -> bool {
    let makes = [Call::Insert, Call::Apply].iter().any(|call| change.calls.contains(call));
    change.calls.contains(&Call::Delete) && !makes
}

const fn is_file_server(kind: ResourceKind) -> bool {
    matches!(kind, ResourceKind::Instance | ResourceKind::FilestoreInstance)
}

/// Kinds that hold files or transactions.
const fn holds_data(kind: ResourceKind) -> bool {
    matches!(
        kind,
        ResourceKind::Disk
            | ResourceKind::FilestoreInstance
            | ResourceKind::Kube(KubeKind::PersistentVolumeClaim)
    )
}

pub(super) fn faults(plan: &Plan, input: &PlanInput<'_>, order: &Order) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, change) in plan.changes() {
        let id = &change.id;
        let mut fault = |code, message| faults.push(Fault::of(code, id, message));
        if removes(change) {
            if let Some(other) = needed_by(plan, index, change, order) {
                fault("removal-order", format!("{id} may go before {}, which needs it", other.id));
            }
            if is_file_server(id.kind) && !behind_no_mounts(plan, index, id, order) {
                fault("mounted", format!("{id} goes, and nobody looks whether something mounts it"));
            }
        }
        if let Some(rule) = unguarded(plan, index, change, order) {
            fault("unguarded", format!("{id} may listen while {} is not there", rule.id));
        }
        let consent = match plan.mode {
            Mode::Apply => {
                let asked = input.replace.contains(id) && !input.spec.protection.data;
                asked || is_given_up(plan, input, index, change, order)
            }
            Mode::Destroy { delete_data } => delete_data,
            Mode::RefreshOnly => false,
        };
        if change.calls.contains(&Call::Delete) && holds_data(id.kind) && !consent {
            fault("data", format!("{id} holds data and is deleted unasked"));
        }
    }
    faults
}

/// A deletion that is not over when this one begins, of what is in the cluster or mounts from the file server.
fn needed_by<'p>(plan: &'p Plan, index: StepIndex, change: &Change, order: &Order) -> Option<&'p Change> {
    let (cluster, server) = (change.id.kind == ResourceKind::Cluster, is_file_server(change.id.kind));
    let needs = |kind: ResourceKind| {
        (cluster || server) && kind.family() == Family::Kubernetes || server && kind == ResourceKind::Cluster
    };
    let mut others = plan.changes().filter(|(other, change)| {
        needs(change.id.kind) && removes(change) && !order.is_before(*other, index)
    });
    others.next().map(|(_, change)| change)
}

/// Whether a gate looks for mounts before the server goes.
fn behind_no_mounts(plan: &Plan, index: StepIndex, id: &ResourceId, order: &Order) -> bool {
    plan.steps.iter().enumerate().any(|(gate, step)| {
        matches!(&step.kind, StepKind::Gate(Gate::NoMounts { server }) if server == id)
            && order.is_before(gate, index)
    })
}

/// A firewall rule that is not there yet, or no longer, while the server may listen: rules come before it and go after it.
fn unguarded<'p>(plan: &'p Plan, index: StepIndex, change: &Change, order: &Order) -> Option<&'p Change> {
    if change.id.kind != ResourceKind::Instance {
        return None;
    }
    let mut rules = plan.changes().filter(|(_, rule)| rule.id.kind == ResourceKind::Firewall);
    let found = rules.find(|(other, rule)| {
        let inserts = rule.calls.contains(&Call::Insert) && change.calls.contains(&Call::Insert);
        let late = inserts && !order.is_before(*other, index);
        let early = removes(rule) && removes(change) && !order.is_before(index, *other);
        late || early
    });
    found.map(|(_, rule)| rule)
}

/// Whether it is the claim of a member that leaves for good, which the file says is to go: beyond the declared size, and only once
/// the votes and the pods of this plan are what they are to be.
fn is_given_up(plan: &Plan, input: &PlanInput<'_>, index: StepIndex, change: &Change, order: &Order) -> bool {
    let claim = change.id.kind == ResourceKind::Kube(KubeKind::PersistentVolumeClaim);
    let number = change.id.name.rsplit_once('-').and_then(|(_, number)| number.parse::<u32>().ok());
    let volume = input.spec.exhibitor.storage.volume().filter(|_| claim);
    let goes =
        volume.is_some_and(|volume| volume.retention == Retention::Delete) && !input.spec.protection.data;
    let spare = number.is_some_and(|number| number >= input.spec.exhibitor.replicas);
    let mut members = plan
        .changes()
        .filter(|(_, other)| other.id.kind == ResourceKind::Ensemble || other.id.kind.runs_members());
    goes && spare && members.all(|(other, _)| order.is_before(other, index))
}
