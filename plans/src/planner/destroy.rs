//! Destroy: the plan against nothing. What holds data is kept unless asked for.

use super::changes::{delete, owns_cluster, retained, what_it_holds};
use super::{Draft, PlanInput, volumes};
use crate::observed::{Live, Ownership, Reading};
use crate::plan::Reason;
use crate::resource::{KubeKind, ResourceId, ResourceKind};

pub(super) fn steps(input: &PlanInput<'_>, delete_data: bool, draft: &mut Draft) {
    if input.spec.protection.destroy
        && let Some(first) = input.desired.documents.first()
    {
        draft.refuse(
            "protected",
            &first.id,
            format!("the ensemble {} is protected against destroy", input.spec.name),
            "set `spec.protection.destroy: false` in the file, then run `zkprov destroy` again",
        );
    }
    for (id, reading) in &input.observed.resources {
        match reading {
            Reading::Unavailable(_) if id.kind == ResourceKind::Ensemble => {}
            Reading::Unavailable(gap) => {
                draft.gaps.insert(gap.clone());
            }
            Reading::Absent => {}
            Reading::Known(live) => existing(input, id, live, delete_data, draft),
        }
    }
}

fn existing(input: &PlanInput<'_>, id: &ResourceId, live: &Live, delete_data: bool, draft: &mut Draft) {
    let why = match &live.ownership {
        Ownership::Other(other) => Some(format!("it belongs to the ensemble {other}")),
        Ownership::Foreign => Some("it carries no mark of zkprov".to_owned()),
        Ownership::Ours => match id.kind {
            ResourceKind::Cluster if !owns_cluster(&input.spec.cluster) => {
                Some("the file says `existing: true`".to_owned())
            }
            ResourceKind::Cluster | ResourceKind::NodePool | ResourceKind::Kube(KubeKind::Namespace)
                if !delete_data && volumes::are_in(input, id) =>
            {
                Some("it holds the members' volumes; `--delete-data` deletes it with them".to_owned())
            }
            // The voters go with their pods; the pool goes with its cluster.
            ResourceKind::Ensemble | ResourceKind::NodePool => return,
            ResourceKind::SnapshotSchedule if !delete_data => {
                Some("it takes the snapshots of the data disk, which is kept".to_owned())
            }
            ResourceKind::Disk
            | ResourceKind::FilestoreInstance
            | ResourceKind::Kube(KubeKind::PersistentVolumeClaim)
                if !delete_data =>
            {
                Some(format!("it holds {}; `--delete-data` deletes it too", what_it_holds(id.kind)))
            }
            ResourceKind::Disk
            | ResourceKind::FilestoreInstance
            | ResourceKind::Kube(KubeKind::PersistentVolumeClaim)
                if input.spec.protection.data =>
            {
                draft.refuse(
                    "data-protected",
                    id,
                    format!("{id} holds {} and is protected", what_it_holds(id.kind)),
                    "set `spec.protection.data: false` in the file, or leave out `--delete-data`",
                );
                None
            }
            ResourceKind::Address
            | ResourceKind::Disk
            | ResourceKind::SnapshotSchedule
            | ResourceKind::Firewall
            | ResourceKind::Instance
            | ResourceKind::FilestoreInstance
            | ResourceKind::Cluster
            | ResourceKind::Kube(_) => None,
        },
    };
    match why {
        Some(why) => draft.kept.push(retained(id, why)),
        None => draft.changes.push(delete(id, live, Reason::DestroyRequested)),
    }
}
