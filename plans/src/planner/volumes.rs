//! The volumes of members: they only grow, and go only by a step that says so.

use super::changes::{delete, retained};
use super::{Draft, PlanInput};
use crate::observed::{Live, Ownership, Reading};
use crate::plan::Reason;
use crate::resource::{KubeKind, ResourceId, ResourceKind};
use crate::spec::{Retention, Storage};
use serde_json::Value;

const CLAIM: ResourceKind = ResourceKind::Kube(KubeKind::PersistentVolumeClaim);
const SIZE: &str = "/spec/resources/requests/storage";
const CLASS: &str = "/spec/storageClassName";

/// Whether a resource is the claim of a member's volume.
pub(super) fn is_claim(id: &ResourceId) -> bool {
    id.kind == CLAIM
}

/// Why the API refuses what the file makes of a member's volume: code, message and fix; `None` for other resources.
pub(super) fn refusal(
    id: &ResourceId,
    body: &Value,
    live: &Live,
    why: &str,
) -> Option<(&'static str, String, String)> {
    if !is_claim(id) {
        return None;
    }
    let text = |document: &Value, pointer: &str| {
        document.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let (size, wanted) = (text(&live.document, SIZE), text(body, SIZE));
    let (class, other) = (text(&live.document, CLASS), text(body, CLASS));
    let anew = "back up the data, `zkprov destroy --delete-data`, apply the new file, and restore";
    Some(if gib(&wanted) < gib(&size) {
        let fix = format!("write `size: {}` or a larger one; for a smaller one, {anew}", shown(&size));
        ("volume-would-shrink", format!("the volume {id} has {size} and cannot shrink to {wanted}"), fix)
    } else if !other.is_empty() && class != other {
        let fix = format!("write `class: {class}`; for another one, {anew}");
        (
            "volume-class-is-fixed",
            format!("the volume {id} is of class {class} and cannot become {other}"),
            fix,
        )
    } else {
        let fix = format!(
            "ask for `allowVolumeExpansion: true` of the storage class {class}, or write `size: {}`",
            shown(&size)
        );
        ("volume-cannot-grow", format!("the volume {id} cannot grow from {size} to {wanted}: {why}"), fix)
    })
}

/// Gibibytes of a quantity as the templates write it; 0 for another form.
fn gib(quantity: &str) -> u64 {
    quantity.strip_suffix("Gi").and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// A size as the file writes it.
fn shown(quantity: &str) -> String {
    quantity.replace("Gi", "GB")
}

/// The volume of a member that is not in the file any more.
pub(super) fn left_over(input: &PlanInput<'_>, id: &ResourceId, live: &Live, draft: &mut Draft) {
    let retention = match &input.spec.exhibitor.storage {
        Storage::Ephemeral => Retention::Keep,
        Storage::Persistent(volume) => volume.retention,
    };
    let why = match retention {
        Retention::Delete if !input.spec.protection.data => {
            draft.changes.push(delete(id, live, Reason::NoLongerDeclared));
            return;
        }
        Retention::Delete => "the data of a member that left; `spec.protection.data` keeps it",
        Retention::Keep => "the data of a member that left; it serves again when the ensemble grows",
    };
    draft.kept.push(retained(id, why.to_owned()));
}

/// Whether a destroy that keeps data has to keep this one: volumes live in it.
pub(super) fn are_in(input: &PlanInput<'_>, id: &ResourceId) -> bool {
    let holds = matches!(
        id.kind,
        ResourceKind::Cluster | ResourceKind::NodePool | ResourceKind::Kube(KubeKind::Namespace)
    );
    holds
        && input.observed.resources.iter().any(|(other, reading)| {
            let ours = matches!(reading, Reading::Known(live) if live.ownership == Ownership::Ours);
            is_claim(other) && ours
        })
}
