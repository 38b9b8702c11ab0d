//! Edits that would move an ensemble to another place. Its members keep their data in their pods and their membership
//! on the share: pods of another place know nothing of either, and would form a second ensemble beside the first.

use super::ensemble::migration::leaves;
use super::{Draft, PlanInput};
use crate::field_path::FieldPath;
use crate::observed::{Ownership, Reading};
use crate::plan::FieldChange;
use crate::resource::{ResourceId, ResourceKind};

/// Fields of a Deployment or StatefulSet that say where the share is.
const SHARE: &str = "spec.template.spec.volumes[share]";

fn is_of_the_share(field: &FieldChange) -> bool {
    field.path.starts_with(&FieldPath::from(SHARE))
}

const FIX: &str = "undo the edit; to move, back up the data, `zkprov destroy` the ensemble with the old file, and apply the \
    new one";

/// Refuses another cluster, another namespace and another share for an ensemble that is there.
pub(super) fn refuse(input: &PlanInput<'_>, draft: &mut Draft) {
    let others: Vec<&ResourceId> = input
        .observed
        .resources
        .iter()
        .filter(|(id, reading)| {
            let ours = matches!(reading, Reading::Known(live) if live.ownership == Ownership::Ours);
            ours && input.desired.get(id).is_none()
                && !input.replace.contains(id)
                && holds_members(id.kind)
                && !leaves(input, id)
        })
        .map(|(id, _)| id)
        .collect();
    let others = others.into_iter().chain(old_shares(input));
    for id in others {
        let message = format!(
            "the ensemble lives in {id}, which is no longer in the file: its members would not move, and a second \
             ensemble would come up beside them"
        );
        draft.refuse("ensemble-would-move", id, message, FIX);
    }
    let shares: Vec<(ResourceId, String)> = draft
        .changes
        .iter()
        .filter(|change| change.diff.iter().any(|field| is_of_the_share(field) && field.before.is_some()))
        .map(|change| {
            let words = |field: &FieldChange| {
                let value = |value: &Option<serde_json::Value>| {
                    value.as_ref().map(crate::rules::text).unwrap_or_default()
                };
                format!("{} -> {}", value(&field.before), value(&field.after))
            };
            let fields = change.diff.iter().filter(|field| is_of_the_share(field));
            (change.id.clone(), fields.map(words).collect::<Vec<_>>().join(", "))
        })
        .collect();
    for (id, places) in shares {
        let message = format!(
            "the share moves ({places}): the members' configuration is on the old one, and pods with the new one would \
             form a second ensemble"
        );
        draft.refuse("share-would-move", &id, message, FIX);
    }
}

/// Filestore instances that are not in the file any more, while there are members that may have their configuration
/// there: Filestore's address stands in the file, so the members' own document can be the same.
fn old_shares<'a>(input: &'a PlanInput<'_>) -> impl Iterator<Item = &'a ResourceId> {
    let ours = |reading: &Reading<crate::observed::Live>| matches!(reading, Reading::Known(live) if live.ownership == Ownership::Ours);
    let resources = &input.observed.resources;
    let runs = resources.iter().any(|(id, reading)| id.kind.runs_members() && ours(reading));
    let old = move |(id, reading): &(&ResourceId, &Reading<crate::observed::Live>)| {
        runs && id.kind == ResourceKind::FilestoreInstance && ours(reading) && input.desired.get(id).is_none()
    };
    resources.iter().filter(old).map(|(id, _)| id)
}

/// Whether members live in a resource of this kind.
fn holds_members(kind: ResourceKind) -> bool {
    kind == ResourceKind::Cluster || kind.runs_members()
}
