//! From a Deployment to a StatefulSet: members with volumes come up beside the old ones and take their places, one vote at a
//! time. A newcomer enters before an old member leaves, so that each list shares a majority with the one before it.

use super::safety::down_and_held;
use super::{FORMING_CHECK_MS, Path, check_often, field, odd_at_most, target};
use crate::document::Document;
use crate::observed::{EnsembleState, Live, Reading};
use crate::plan::{
    Change, Disruption, EnsembleTarget, MEMBER_MISSING, NO_QUORUM, ReadyWhen, Reason, StepKind,
};
use crate::planner::{Draft, PlanInput};
use crate::quorum;
use crate::resource::{KubeKind, ResourceId, ResourceKind};
use serde_json::{Value, json};

/// A field of Exhibitor's that is live: whether members without a list entry may enter by themselves.
const AUTO_MANAGE: &str = "autoManageInstances";

/// Whether the file leaves this Deployment for members with volumes.
pub(in crate::planner) fn leaves(input: &PlanInput<'_>, id: &ResourceId) -> bool {
    id.kind == ResourceKind::Kube(KubeKind::Deployment) && successor(input, id).is_some()
}

fn successor<'a>(input: &PlanInput<'a>, id: &ResourceId) -> Option<&'a Document> {
    input.desired.documents.iter().find(|document| {
        document.id.kind == ResourceKind::Kube(KubeKind::StatefulSet)
            && document.id.scope == id.scope
            && document.id.name == id.name
    })
}

/// Deletes the Deployment that is left, or says why not now.
pub(in crate::planner) fn leave(input: &PlanInput<'_>, id: &ResourceId, live: &Live, draft: &mut Draft) {
    if refuse_other_data(input, id, draft) {
        return;
    }
    let share = |pods: Option<&Value>| {
        let volumes = pods?.get("volumes")?.as_array()?;
        volumes
            .iter()
            .find(|volume| volume.get("name").is_some_and(|name| name == "share"))?
            .get("nfs")
            .cloned()
    };
    let old = share(live.document.pointer("/spec/template/spec"));
    let new = share(successor(input, id).and_then(|document| document.body.pointer("/spec/template/spec")));
    if old != new {
        draft.refuse(
            "share-would-move",
            id,
            "members with volumes would mount another share than the ones they replace, and form a second ensemble"
                .to_owned(),
            "move to volumes first, with the file server as it is",
        );
        return;
    }
    // Unread, it stays: the gap stops the plan.
    if matches!(input.observed.ensemble, Reading::Unavailable(_)) {
        return;
    }
    let mut change = crate::planner::changes::delete(id, live, Reason::NoLongerDeclared);
    change.notes.push("its pods have no votes any more by then; their data is on the volumes".to_owned());
    draft.changes.push(change);
}

/// Data that the move could lose: in pods that no shared configuration knows, and under volumes of an ensemble before this
/// one, whose newer transactions would win an election.
fn refuse_other_data(input: &PlanInput<'_>, id: &ResourceId, draft: &mut Draft) -> bool {
    let reading = |kind: ResourceKind| {
        let documents = input.desired.documents.iter().filter(move |one| one.id.kind == kind);
        documents.filter_map(|one| Some((&one.id, input.observed.resources.get(&one.id)?)))
    };
    let formed = reading(ResourceKind::Ensemble).any(|(_, one)| matches!(one, Reading::Known(_)));
    if input.observed.ensemble.known().is_some() && !formed {
        let message = "its members run outside an ensemble, each with data of its own".to_owned();
        draft.refuse("not-formed", id, message, "apply the file without `storage` first, then again with it");
        return true;
    }
    let new = reading(ResourceKind::Kube(KubeKind::StatefulSet)).any(|(_, one)| *one == Reading::Absent);
    let is_bound = |one: &Reading<Live>| {
        one.known().is_some_and(|one| one.document.pointer("/status/phase").is_some_and(|is| is == "Bound"))
    };
    let mut claims = reading(ResourceKind::Kube(KubeKind::PersistentVolumeClaim));
    match claims.find(|(_, one)| new && is_bound(one)) {
        Some((claim, _)) => draft.refuse(
            "volume-of-another-ensemble",
            claim,
            format!("{claim} is of an ensemble before this one, and what it holds could win over what is written now"),
            "look whether its data is still needed, and delete the claim",
        ),
        None => return false,
    }
    true
}

/// Whether old members are to be replaced by members with volumes.
pub(super) fn is_due(input: &PlanInput<'_>, state: &EnsembleState) -> bool {
    input.spec.exhibitor.storage.volume().is_some() && !quorum::unnamed(state).is_empty()
}

/// The steps from the members there are to members with volumes.
pub(super) fn steps(path: &mut Path<'_>, now: u32, wanted: u32, draft: &mut Draft) {
    if refuse(path, now, wanted, draft) {
        return;
    }
    path.resume(now);
    keep_out(path, now, wanted);
    let mut size = now;
    let mut keep = target(path.state, now, now).keep;
    for old in quorum::unnamed(path.state) {
        if size == wanted {
            vote(path, [size, size + 1], wanted, &keep, None);
            size += 1;
        }
        keep.retain(|host| *host != old);
        vote(path, [size, size - 1], wanted, &keep, Some(old));
        size -= 1;
    }
    path.slow_down(wanted, keep);
}

fn refuse(path: &Path<'_>, now: u32, wanted: u32, draft: &mut Draft) -> bool {
    let id = &path.document.id;
    let (healthy, lost) = (quorum::healthy(path.state), quorum::lost(path.state).len());
    // Exhibitor does not start them again: they are what a roll that goes on repairs first.
    let repaired = down_and_held(path.state);
    let expected = usize::try_from(now).unwrap_or(usize::MAX).saturating_sub(lost);
    let look = "look at `zkprov status`; bring the missing members back first";
    if path.state.rolling {
        let fix = "wait until `zkprov status` shows no roll, then plan again";
        let message = "Exhibitor is rolling another configuration change".to_owned();
        draft.refuse("roll-in-progress", id, message, fix);
    } else if let Some(stuck) = &path.state.stuck {
        let fix = "apply the file without `storage` first, which ends the roll, then again with it";
        draft.refuse("roll-in-progress", id, stuck.words(), fix);
    } else if healthy + repaired < quorum::need(now) {
        let need = quorum::need(now);
        let message =
            format!("{healthy} of {now} voters serve and {need} are needed: membership must not change now");
        draft.refuse(NO_QUORUM, id, message, look);
    } else if usize::try_from(healthy + repaired).unwrap_or(0) < expected {
        let message = format!("{healthy} of {now} voters serve: a change could cost the quorum");
        draft.refuse(MEMBER_MISSING, id, message, look);
    } else if now != wanted && now != wanted + 1 {
        draft.refuse(
            "moves-and-resizes",
            id,
            format!("the ensemble cannot move to volumes and go from {now} to {wanted} members at once"),
            format!(
                "apply with `--set spec.exhibitor.replicas={}` first, then again without it",
                odd_at_most(now)
            ),
        );
    } else {
        return false;
    }
    true
}

/// A live step: from here on no pod enters by itself, and a roll waits for shorter looks.
fn keep_out(path: &mut Path<'_>, now: u32, wanted: u32) {
    let wants = [("checkMs", FORMING_CHECK_MS), (AUTO_MANAGE, "0")];
    let there = |key: &str| path.live.document.pointer(&format!("/settings/{key}")).cloned();
    let differs = |(key, value): &&(&str, &str)| there(key).is_none_or(|there| there != **value);
    let fields: Vec<_> = wants
        .iter()
        .filter(differs)
        .map(|(key, value)| {
            let mut field = field(&format!("settings.{key}"), Value::Null, json!(value));
            (field.before, field.cause) = (there(key), Some("spec.exhibitor.storage.persistent".to_owned()));
            field
        })
        .collect();
    if fields.is_empty() {
        return;
    }
    let to = EnsembleTarget { rolling: false, ..target(path.state, now, wanted) };
    let mut change = super::step(path.document, to, Disruption::None);
    if let Some(settings) = change.body.get_mut("settings") {
        *settings = wants.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    }
    change.diff = fields;
    change.ready_when = ReadyWhen::Done;
    change.precondition = path.precondition();
    path.steps.push(StepKind::Change(change));
}

/// One vote more, or one less.
fn vote(path: &mut Path<'_>, [from, to]: [u32; 2], wanted: u32, keep: &[String], leaving: Option<String>) {
    let alone = from.min(to) == 1;
    let mut next = target(path.state, to, wanted);
    next.keep = keep.to_vec();
    next.remove = leaving.iter().cloned().collect();
    next.rolling = !alone;
    let mut change: Change =
        super::step(path.document, next, if alone { Disruption::All } else { Disruption::OneByOne });
    change.reason = Reason::EnsembleStep { from, to };
    change.diff = vec![field("voters", json!(from), json!(to))];
    change.notes.push(match leaving {
        Some(old) => format!("{old} leaves"),
        None => "the next member with a volume enters, and syncs from the leader".to_owned(),
    });
    check_often(&mut change.body);
    path.push(change, from, to);
}
