//! When an ensemble must not be changed now: too few serve, a member is missing, somebody else's roll is under way.

use crate::document::Document;
use crate::observed::EnsembleState;
use crate::plan::{Action, MAJORITY_LOST, MEMBER_MISSING, NO_QUORUM};
use crate::planner::{Draft, PlanInput, pods};
use crate::{exhibitor, quorum, roll};
use serde_json::Value;

/// A change never starts while a member is missing (unless that member is what it repairs) or a roll is under way.
pub(super) fn refuse_unsafe(
    document: &Document,
    state: &EnsembleState,
    now: u32,
    lost: &[String],
    draft: &mut Draft,
) -> bool {
    let wanted = document.body.get("voters").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    // What reads an empty list comes back with the first step, which tells it again.
    let back = state.members.iter().filter(|member| {
        member.id.is_some() && member.pod.as_ref().is_some_and(|pod| state.misread.contains(pod))
    });
    let healthy = quorum::healthy(state) + u32::try_from(back.count()).unwrap_or(0);
    let need = quorum::need(now);
    // Exhibitor does not start them again: they are what a roll that goes on repairs first.
    let repaired = down_and_held(state);
    if state.rolling {
        draft.refuse(
            "roll-in-progress",
            &document.id,
            "Exhibitor is rolling another configuration change".to_owned(),
            "wait until `zkprov status` shows no roll, then plan again",
        );
    } else if fills_up(state, now, lost) {
        // Its members restart with every newcomer: the gate before the first step waits until they serve.
        return false;
    } else if let Some(why) = quorum::majority_lost(state).filter(|_| healthy + repaired < need) {
        draft.refuse(
            MAJORITY_LOST,
            &document.id,
            why,
            "`zkprov recover` shows what each pod still knows, and rebuilds the ensemble from it",
        );
    } else if healthy + repaired < need {
        draft.refuse(
            NO_QUORUM,
            &document.id,
            format!("{healthy} of {now} voters serve and {need} are needed: membership must not change now"),
            "look at `zkprov status`; bring the missing members back first",
        );
    } else if lost.is_empty() && healthy + repaired < now {
        draft.refuse(
            MEMBER_MISSING,
            &document.id,
            format!("{healthy} of {now} voters serve: a change could cost the quorum"),
            "look at `zkprov status` and wait until all serve, then plan again",
        );
    } else if !lost.is_empty() && wanted != Some(now) {
        // Pods that go or come with the new size could be the last of the quorum, or its successors.
        let fix = match state.stuck {
            None => {
                "Exhibitor gives it to a new pod after 60 to 120 s; look at `zkprov status`, then plan again"
                    .to_owned()
            }
            // Nobody enters until the roll is ended.
            Some(_) => {
                format!("apply with `--set spec.exhibitor.replicas={now}` first, then again without it")
            }
        };
        draft.refuse(
            MEMBER_MISSING,
            &document.id,
            format!(
                "{} has no pod any more: the size must not change before its place is taken",
                lost.join(", ")
            ),
            fix,
        );
    } else {
        return false;
    }
    true
}

/// Voters that do not serve and that Exhibitor does not restart.
pub(super) fn down_and_held(state: &EnsembleState) -> u32 {
    let serves = |host: &String| quorum::serves(state, host);
    let down = roll::held(state).iter().filter(|host| !serves(host)).count();
    u32::try_from(down).unwrap_or(u32::MAX)
}

/// Whether Exhibitor is still entering pods by itself, up to the size it was started with: a formation that was cut off.
pub(super) fn fills_up(state: &EnsembleState, now: u32, lost: &[String]) -> bool {
    lost.is_empty() && state.config.as_ref().is_some_and(|config| exhibitor::fixed_size(config) > now)
}

/// Newcomers are not ready before they are members, and a roll waits for every pod to be ready before it goes on: both
/// at once would wait for each other.
pub(super) fn refuse_growing_roll(document: &Document, now: u32, wanted: u32, draft: &mut Draft) -> bool {
    let refused = now < wanted && replaces_pods(draft);
    if refused {
        draft.refuse(
            "grows-and-rolls",
            &document.id,
            format!("the ensemble cannot grow from {now} to {wanted} while its pods are replaced"),
            format!("apply with `--set spec.exhibitor.replicas={now}` first, then again without it"),
        );
    }
    refused
}

/// Pods that are all that is left of an ensemble stay until it has its configuration again.
pub(super) fn refuse_replaced_holders(input: &PlanInput<'_>, document: &Document, draft: &mut Draft) -> bool {
    let holders = input.observed.ensemble.known().map(quorum::holders).unwrap_or_default();
    let refused = !holders.is_empty() && replaces_pods(draft);
    if refused {
        draft.refuse(
            "repairs-and-rolls",
            &document.id,
            format!(
                "the shared configuration is lost, and {} hold the ensemble's data: they must not be replaced now",
                holders.join(", ")
            ),
            "apply the file with the image and the settings of the pods as they were first, then again as it is",
        );
    }
    refused
}

/// Whether the pods of members are replaced by new ones.
pub(super) fn replaces_pods(draft: &Draft) -> bool {
    draft.changes.iter().any(|change| {
        change.id.kind.runs_members() && change.action == Action::Update && pods::roll(&change.diff)
    })
}
