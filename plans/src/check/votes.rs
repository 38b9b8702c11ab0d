//! The ensemble from step to step: what runs beside what, and behind which gate.

use super::Fault;
use super::graph::Order;
use super::step::{Ensemble, Step, majority};
use crate::observed::{Live, Reading};
use crate::plan::{Call, Change, Gate, Mode, Plan, StepIndex, StepKind};
use crate::planner::PlanInput;
use crate::resource::{KubeKind, ResourceKind};
use serde_json::Value;

pub(super) fn faults(plan: &Plan, input: &PlanInput<'_>, order: &Order) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut ensemble = Ensemble::read(input);
    let mut sizes = vec![(None, ensemble.voters)];
    // What has to be done before the next gate is asked.
    let mut disturbed: Vec<StepIndex> = Vec::new();
    for (index, change) in plan.changes() {
        let id = &change.id;
        if template_changes(change, input) && ensemble.voters > 0 {
            let mut fault = |code, message| faults.push(Fault::of(code, id, message));
            if !one_pod_at_a_time(change) {
                fault(
                    "pods-at-once",
                    format!("{id} replaces its pods, and not one after the other, the leader's last"),
                );
            }
            let gate = Wanted { voters: ensemble.voters, need: majority(ensemble.voters), after: &disturbed };
            if !gate.stands_before(index, plan, order) {
                fault("ungated", format!("{id} replaces its pods without a quorum gate before it"));
            }
            ensemble.replace_pods(id.kind);
            disturbed.push(index);
        }
        for call in &change.calls {
            let Call::SetEnsemble(target) = call else { continue };
            let step = Step { index, change, target, before: &ensemble };
            faults.extend(step.faults(input));
            if let Some(other) = disturbed.iter().find(|other| !order.is_before(**other, index)) {
                let message =
                    format!("may run beside step {other}, which restarts members or changes their list");
                faults.push(step.fault("votes", message));
            }
            if step.needs_gate() {
                let gate =
                    Wanted { voters: ensemble.voters, need: majority(target.voters), after: &disturbed };
                if !gate.stands_before(index, plan, order) {
                    let message = "restarts members without a quorum gate right before it".to_owned();
                    faults.push(step.fault("ungated", message));
                }
            }
            ensemble = ensemble.after(target, change);
            sizes.push((Some(index), target.voters));
            disturbed.push(index);
        }
    }
    if let Some((Some(index), voters)) = sizes.last()
        && voters.is_multiple_of(2)
    {
        let message = format!("step {index} is the last of the ensemble's, and leaves {voters} voters");
        faults.push(Fault { code: "ensemble-size", subject: None, message });
    }
    faults.extend(pods(plan, input, &sizes, order));
    faults
}

/// A Deployment's controller replaces pods by itself once the template is there: the leader is spared before, and the pods are looked
/// after behind it. A StatefulSet's pods go when somebody deletes them.
fn one_pod_at_a_time(change: &Change) -> bool {
    let at = |wanted: fn(&Call) -> bool| change.calls.iter().position(wanted);
    let applied = at(|call| *call == Call::Apply);
    let replaced = at(|call| matches!(call, Call::ReplacePods { .. }));
    let spared = at(|call| matches!(call, Call::SpareLeader { .. }));
    let leader_last = spared.is_some() && spared < applied;
    replaced > applied && (leader_last || change.id.kind != ResourceKind::Kube(KubeKind::Deployment))
}

/// A gate that has to stand before a step.
struct Wanted<'a> {
    voters: u32,
    need: u32,
    /// What is done before the gate is asked: it judges what those steps left.
    after: &'a [StepIndex],
}

impl Wanted<'_> {
    fn stands_before(&self, index: StepIndex, plan: &Plan, order: &Order) -> bool {
        plan.steps.iter().enumerate().any(|(gate, step)| {
            let StepKind::Gate(Gate::Quorum { voters, need, healthy, .. }) = &step.kind else { return false };
            *voters == self.voters
                && *need >= self.need
                && *healthy >= majority(*voters).min(*need)
                && order.is_before(gate, index)
                && self.after.iter().all(|one| order.is_before(*one, gate))
        })
    }
}

/// Whether pods are replaced: the server's own answer to our body has another template than what is live.
fn template_changes(change: &Change, input: &PlanInput<'_>) -> bool {
    let applies = change.id.kind.runs_members() && change.calls.contains(&Call::Apply);
    let live = input.observed.resources.get(&change.id).and_then(Reading::known).filter(|_| applies);
    let template = |document: &'_ Value| document.pointer("/spec/template").cloned();
    live.is_some_and(|Live { document, predicted, .. }| {
        predicted.as_ref().and_then(template).is_some_and(|wanted| Some(wanted) != template(document))
    })
}

/// Pods go after their votes, and come before them: there are never fewer pods than voters, whatever runs beside the step or after it.
fn pods(plan: &Plan, input: &PlanInput<'_>, sizes: &[(Option<StepIndex>, u32)], order: &Order) -> Vec<Fault> {
    if plan.mode != Mode::Apply {
        return Vec::new();
    }
    let at = |index: StepIndex| {
        let is_done = |step: &Option<StepIndex>| step.is_none_or(|step| order.is_before(step, index));
        let done = sizes.iter().rposition(|(step, _)| is_done(step)).unwrap_or(0);
        sizes.iter().skip(done).map(|(_, size)| *size).max().unwrap_or(0)
    };
    let too_few = plan.changes().filter_map(|(index, change)| {
        let kept = change.id.kind.runs_members().then(|| kept_pods(change, plan)).flatten()?;
        // Pods that are new stand beside others, until the last step.
        let beside = matches!(input.observed.resources.get(&change.id), Some(Reading::Absent) | None);
        let last = sizes.last().map_or(0, |(_, size)| *size);
        let voters = u64::from(if beside { last } else { at(index) });
        (kept < voters).then(|| {
            let message = format!("{} keeps {kept} pods of {voters} voters", change.id);
            Fault::of("pods-before-votes", &change.id, message)
        })
    });
    too_few.collect()
}

/// How many pods a change of a workload leaves, if it may leave fewer.
fn kept_pods(change: &Change, plan: &Plan) -> Option<u64> {
    if change.calls.contains(&Call::Apply) {
        return change.body.pointer("/spec/replicas")?.as_u64();
    }
    if !change.calls.contains(&Call::Delete) {
        return None;
    }
    // What takes its place has pods of its own.
    let others =
        plan.desired.documents.iter().filter(|one| one.id.kind.runs_members() && one.id != change.id);
    Some(others.filter_map(|one| one.body.pointer("/spec/replicas")?.as_u64()).max().unwrap_or(0))
}
