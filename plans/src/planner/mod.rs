//! The planner: a pure function from the file and what is live to a plan.
//!
//! Flat steps, each adding to the draft: read what stands in the way, changes of desired resources, resources no longer
//! declared, the ensemble's steps, then the order.

mod changes;
mod destroy;
mod ensemble;
mod moves;
mod order;
mod pods;
mod recover;
mod volumes;

pub use changes::readiness_of;
pub use ensemble::compact::renumbers;
pub use recover::recover;

use crate::document::Desired;
use crate::observed::{Observed, Reading};
use crate::plan::{Action, Change, Finding, Mode, Plan, Step, StepKind};
use crate::resource::{ResourceId, ResourceKind};
use crate::rules;
use crate::spec::{Cluster, ValidSpec};
use std::collections::BTreeSet;

/// Code of the finding that an `existing: true` cluster is not there.
pub const CLUSTER_NOT_FOUND: &str = "cluster-not-found";

/// Everything a plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// The spec.
    pub spec: &'a ValidSpec,
    /// Its rendered documents.
    pub desired: &'a Desired,
    /// What is live.
    pub observed: &'a Observed,
    /// What the run is for.
    pub mode: Mode,
    /// Resources that may be deleted and created again although that loses what they hold.
    pub replace: &'a BTreeSet<ResourceId>,
    /// Take over resources of ours by name that carry no mark.
    pub adopt: bool,
    /// Number the members from 1 again.
    pub compact_ids: bool,
}

/// Why there is no plan at all.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanError {
    /// A template declares a field that no API call of ours could keep.
    #[error("{template}: field `{path}` of {id} is not one zkprov knows for this API")]
    UnknownField {
        /// Id of the document.
        id: String,
        /// Dotted path.
        path: String,
        /// Template file name.
        template: String,
    },
    /// Two documents have one id.
    #[error("{0} is rendered twice")]
    Duplicate(String),
}

/// Makes the plan. Synchronous and deterministic: the same input gives the same bytes.
///
/// # Errors
/// Only for documents no plan can be made from; everything else is a finding or a gap of the plan.
pub fn plan(input: &PlanInput<'_>) -> Result<Plan, PlanError> {
    check_documents(input.desired)?;
    let mut draft = Draft::default();
    match input.mode {
        Mode::Apply => {
            refuse_missing_cluster(input, &mut draft);
            changes::desired(input, &mut draft);
            changes::no_longer_declared(input, &mut draft);
            moves::refuse(input, &mut draft);
            ensemble::steps(input, &mut draft);
        }
        Mode::RefreshOnly => {
            changes::desired(input, &mut draft);
            ensemble::drift(input, &mut draft);
            draft.keep_only_drift();
        }
        Mode::Destroy { delete_data } => destroy::steps(input, delete_data, &mut draft),
    }
    // The voters go with their pods, whatever they would say.
    let destroyed = matches!(input.mode, Mode::Destroy { .. });
    if let (Reading::Unavailable(gap), false) = (&input.observed.ensemble, destroyed) {
        draft.gaps.insert(gap.clone());
    }
    draft.gaps.extend(unread(input));
    let steps = match input.mode {
        // Drift is shown, not carried out: no order, no gates.
        Mode::RefreshOnly => {
            let kinds = draft.changes.into_iter().map(StepKind::Change);
            kinds.map(|kind| Step { kind, after: Vec::new(), seconds: 0 }).collect()
        }
        Mode::Apply | Mode::Destroy { .. } => {
            order::arrange(input, draft.changes, draft.before_pods, draft.ensemble)
        }
    };
    draft.findings.sort();
    Ok(Plan {
        ensemble: input.spec.name.clone(),
        mode: input.mode,
        replicas: input.spec.exhibitor.replicas,
        steps,
        kept: draft.kept,
        gaps: draft.gaps.into_iter().collect(),
        findings: draft.findings,
        desired: input.desired.clone(),
    })
}

/// What could not be read of things that nobody declares: an orphan may hide there.
fn unread(input: &PlanInput<'_>) -> Vec<crate::observed::Gap> {
    let undeclared = input.observed.resources.iter().filter(|(id, _)| input.desired.get(id).is_none());
    undeclared
        .filter_map(|(_, reading)| match reading {
            Reading::Unavailable(gap) => Some(gap.clone()),
            Reading::Known(_) | Reading::Absent => None,
        })
        .collect()
}

/// What the flat steps of the planner add to.
#[derive(Debug, Default)]
struct Draft {
    changes: Vec<Change>,
    /// Steps of the ensemble, gates included, in their order.
    ensemble: Vec<StepKind>,
    /// A step of the ensemble before its pods are replaced.
    before_pods: Option<Change>,
    kept: Vec<Change>,
    gaps: BTreeSet<crate::observed::Gap>,
    findings: Vec<Finding>,
}

impl Draft {
    fn refuse(&mut self, code: &str, subject: &ResourceId, message: String, fix: impl Into<String>) {
        self.find(true, code, subject, message, fix);
    }

    fn find(
        &mut self,
        fatal: bool,
        code: &str,
        subject: &ResourceId,
        message: String,
        fix: impl Into<String>,
    ) {
        self.findings.push(Finding {
            fatal,
            code: code.to_owned(),
            subject: Some(subject.clone()),
            message,
            fix: fix.into(),
        });
    }

    /// Drift is what differs on resources that exist; nothing is to be done about it here.
    fn keep_only_drift(&mut self) {
        let (drifted, rest): (Vec<Change>, Vec<Change>) =
            std::mem::take(&mut self.changes).into_iter().partition(|change| change.action != Action::Create);
        self.changes = drifted.into_iter().filter(|change| !change.diff.is_empty()).collect();
        for missing in rest {
            self.find(
                false,
                "missing",
                &missing.id,
                format!("{} does not exist", missing.id),
                "run `zkprov plan`",
            );
        }
    }
}

fn check_documents(desired: &Desired) -> Result<(), PlanError> {
    let mut seen = BTreeSet::new();
    for document in &desired.documents {
        if !seen.insert(&document.id) {
            return Err(PlanError::Duplicate(document.id.to_string()));
        }
        if let Some(path) = rules::uncovered(document.id.kind, &document.body).into_iter().next() {
            return Err(PlanError::UnknownField {
                id: document.id.to_string(),
                path,
                template: document.template.clone(),
            });
        }
    }
    Ok(())
}

/// A cluster that zkprov does not own has to be there: nothing is created in its place.
fn refuse_missing_cluster(input: &PlanInput<'_>, draft: &mut Draft) {
    let Cluster::Existing { name } = &input.spec.cluster else { return };
    let id = cluster_id(input.spec, name);
    if matches!(input.observed.resources.get(&id), Some(Reading::Absent)) {
        draft.refuse(
            CLUSTER_NOT_FOUND,
            &id,
            format!(
                "the cluster {name} does not exist in {}, and the file says `existing: true`",
                input.spec.zone
            ),
            "correct `spec.cluster.name`, or remove `existing: true` to have zkprov create it",
        );
    }
}

fn cluster_id(spec: &ValidSpec, name: &str) -> ResourceId {
    ResourceId {
        kind: ResourceKind::Cluster,
        scope: crate::resource::Scope::Google { project: spec.project.clone(), location: spec.zone.clone() },
        name: name.to_owned(),
    }
}
