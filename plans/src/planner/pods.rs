//! Pods that a change of their template replaces, the leader's last.

use super::PlanInput;
use crate::document::Document;
use crate::field_path::FieldPath;
use crate::observed::Live;
use crate::plan::{Call, FieldChange};
use crate::resource::{KubeKind, ResourceId, ResourceKind};
use crate::{pods, quorum};
use serde_json::{Value, json};

/// The path of what is said of pods that a roll has not come to.
const OUTDATED: &str = "pods of an earlier template";

/// A Deployment is paused between two pods; where a run was cut off it stays so.
const PAUSED: &str = "spec.paused";

/// Whether a change of these fields replaces pods.
pub(super) fn roll(fields: &[FieldChange]) -> bool {
    let template = FieldPath::from("spec.template");
    let replaces = |path: &FieldPath| path.starts_with(&template) || *path == OUTDATED || *path == PAUSED;
    fields.iter().any(|field| replaces(&field.path))
}

/// The pods that a roll has not come to, if that is all there is to change.
pub(super) fn interrupted(fields: &[FieldChange]) -> Option<Vec<String>> {
    let [FieldChange { path, before: Some(Value::Array(pods)), .. }] = fields else { return None };
    let names = pods.iter().filter_map(Value::as_str).map(str::to_owned);
    (*path == OUTDATED).then(|| names.collect())
}

/// What is left of a roll that was cut off: pods of an earlier template. A change of the template itself replaces them anyway. A
/// Deployment's controller goes on by itself, and waits for ever where a newcomer waits for a place among the members.
pub(super) fn unfinished_roll(
    input: &PlanInput<'_>,
    document: &Document,
    live: &Live,
    fields: &[FieldChange],
) -> Option<FieldChange> {
    let set = &live.document;
    let deployment = document.id.kind == ResourceKind::Kube(KubeKind::Deployment);
    let by_deletion = goes_by_deletion(document) && pods::waits_for_deletion(set);
    if !(deployment || by_deletion) || roll(fields) {
        return None;
    }
    let outdated: Vec<String> = match input.observed.ensemble.known().filter(|_| by_deletion) {
        Some(state) => pods::outdated(set, &state.pods).into_iter().map(|pod| pod.name.clone()).collect(),
        // A Deployment, or no container has started: the status knows how many, not which.
        None => {
            let count =
                |key: &str| set.pointer(&format!("/status/{key}")).and_then(Value::as_u64).unwrap_or(0);
            let (all, updated) = (count("replicas"), count("updatedReplicas"));
            (updated < all).then(|| format!("{} of {all} pods", all - updated)).into_iter().collect()
        }
    };
    (!outdated.is_empty()).then(|| FieldChange {
        path: OUTDATED.into(),
        before: Some(json!(outdated)),
        after: None,
        cause: None,
        manager: None,
        replaces: false,
    })
}

/// The calls before and after an object is applied whose pods are replaced for it.
pub(super) fn calls(input: &PlanInput<'_>, document: &Document, fields: &[FieldChange]) -> [Option<Call>; 2] {
    let ensembles = input.desired.documents.iter().map(|one| &one.id);
    let Some(ensemble) = ensembles.clone().find(|id| id.kind == ResourceKind::Ensemble && roll(fields))
    else {
        return [None, None];
    };
    let replace = |ensemble: &ResourceId| Some(Call::ReplacePods { ensemble: ensemble.clone() });
    if document.id.kind == ResourceKind::Kube(KubeKind::Deployment) {
        [Some(Call::SpareLeader { ensemble: ensemble.clone() }), replace(ensemble)]
    } else if goes_by_deletion(document) {
        [None, replace(ensemble)]
    } else {
        [None, None]
    }
}

/// Voters that do not serve because of their pods, which a roll replaces first.
pub(super) fn repaired(input: &PlanInput<'_>) -> u32 {
    let Some(state) = input.observed.ensemble.known() else { return 0 };
    let (voters, healthy) = (quorum::voters(state), quorum::healthy(state));
    let unready = state.pods.iter().filter(|pod| !pod.ready).count();
    let repaired = voters.saturating_sub(healthy).min(u32::try_from(unready).unwrap_or(u32::MAX));
    if voters - repaired >= quorum::need(voters) { repaired } else { 0 }
}

fn goes_by_deletion(document: &Document) -> bool {
    document.id.kind == ResourceKind::Kube(KubeKind::StatefulSet) && pods::waits_for_deletion(&document.body)
}
