//! The plan of a recovery: the ensemble is set to the one member that knows most, and grows from it as any other does.

use super::{PlanInput, ensemble, order};
use crate::diff;
use crate::document::Document;
use crate::observed::{EnsembleState, Reading};
use crate::plan::{Change, Disruption, Finding, Gate, Mode, Plan, Precondition, Reason, Step, StepKind};
use crate::recovery::{self, Source, Verdict};
use crate::resource::ResourceKind;
use serde_json::json;

/// The plan that carries out a verdict; a refusal is a plan without steps and with a fatal finding.
#[must_use]
pub fn recover(input: &PlanInput<'_>, state: &EnsembleState, verdict: &Verdict) -> Plan {
    let document = input.desired.documents.iter().find(|one| one.id.kind == ResourceKind::Ensemble);
    let wanted = input.spec.exhibitor.replicas;
    let (mut kinds, mut findings) = (Vec::new(), Vec::new());
    match (verdict, document) {
        (Verdict::Refuse(refusal), _) => findings.push(Finding {
            fatal: true,
            code: refusal.code.to_owned(),
            subject: document.map(|one| one.id.clone()),
            message: refusal.message.clone(),
            fix: refusal.fix.clone(),
        }),
        (Verdict::Rebuild(source), Some(document)) => {
            kinds.push(StepKind::Change(rebuild(input, document, state, source)));
            kinds.extend(growth(input, document, 1, wanted));
        }
        (Verdict::Resume { voters }, Some(document)) => {
            kinds.extend(growth(input, document, *voters, wanted));
        }
        (Verdict::Rebuild(_) | Verdict::Resume { .. }, None) => {}
    }
    Plan {
        ensemble: input.spec.name.clone(),
        mode: Mode::Apply,
        replicas: wanted,
        steps: chained(kinds),
        kept: Vec::new(),
        gaps: Vec::new(),
        findings,
        desired: input.desired.clone(),
    }
}

/// The step to the one member. It writes only if the configuration is still what the verdict rests on.
fn rebuild(input: &PlanInput<'_>, document: &Document, state: &EnsembleState, source: &Source) -> Change {
    let target = recovery::alone(state, source);
    let mut change = ensemble::step(document, target, Disruption::All);
    ensemble::check_often(&mut change.body);
    let (before, after) = recovery::lists(state, source);
    change.reason = Reason::Rebuilt(source.pod.clone());
    change.diff = vec![ensemble::field("servers", json!(before), json!(after))];
    change.precondition = match input.observed.resources.get(&document.id) {
        Some(Reading::Known(live)) => {
            Precondition::Unchanged(diff::fingerprint(&document.id, &change.body, live))
        }
        Some(Reading::Absent | Reading::Unavailable(_)) | None => Precondition::Absent,
    };
    change.notes.push(format!(
        "what {} does not know is lost: its last transaction is {}",
        source.pod,
        source.stored.last()
    ));
    change
}

/// The steps to the declared size, once the pods answer.
fn growth(input: &PlanInput<'_>, document: &Document, from: u32, wanted: u32) -> Vec<StepKind> {
    let mut documents = input.desired.documents.iter();
    let workload = documents.find(|one| one.id.kind.runs_members()).filter(|_| from < wanted);
    let answer = workload.map(|workload| {
        StepKind::Gate(Gate::PodsAnswer {
            workload: workload.id.clone(),
            replicas: order::pods_before(input, &workload.id),
        })
    });
    let grown = (from + 1..=wanted).flat_map(|next| ensemble::grow(document, next));
    let settled = ensemble::settling(document, ensemble::whoever(wanted, false)).map(StepKind::Change);
    answer.into_iter().chain(grown).chain(settled).collect()
}

fn chained(kinds: Vec<StepKind>) -> Vec<Step> {
    let step = |(index, kind): (usize, StepKind)| {
        let seconds = match &kind {
            StepKind::Change(change) => order::seconds(change),
            StepKind::Gate(_) => 2,
        };
        Step { kind, after: index.checked_sub(1).into_iter().collect(), seconds }
    };
    kinds.into_iter().enumerate().map(step).collect()
}
