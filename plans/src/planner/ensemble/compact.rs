//! Ids from 1 again, before they end at 255.
//!
//! A member with a new id cannot take part among old ones, so all restart together. Each keeps its data, and a majority by new ids
//! shares a member with every majority by old ones: nothing that was acknowledged is lost.

use super::{Path, check_often, field, refuse_unsafe, target};
use crate::document::Document;
use crate::observed::{EnsembleState, Live, Server};
use crate::plan::{Call, Disruption, EnsembleTarget, FieldChange, Plan};
use crate::planner::{Draft, PlanInput};
use crate::{exhibitor, quorum};
use serde_json::json;

/// Plans it where nothing else of the ensemble is to change (`rests`), or says why not.
pub(super) fn steps(
    input: &PlanInput<'_>,
    document: &Document,
    live: &Live,
    state: &EnsembleState,
    rests: bool,
    draft: &mut Draft,
) {
    let now = quorum::voters(state);
    if refuse_unsafe(document, state, now, &quorum::lost(state), draft) {
        return;
    }
    if !rests || draft.changes.iter().any(|change| change.disruption != Disruption::None) {
        draft.refuse(
            "more-than-ids",
            &document.id,
            "the members get new ids, and something else of theirs differs from the file, too".to_owned(),
            "apply without `--compact-ids` first, then again with it",
        );
        return;
    }
    let canary = input.spec.exhibitor.canary;
    let (moved, forming, hurried) = (false, false, false);
    let mut path = Path { document, live, state, moved, forming, hurried, canary, steps: Vec::new() };
    path.hurry(now);
    path.renumber(now);
    path.slow_down(now, target(state, now, now).keep);
    draft.ensemble.extend(path.steps);
}

/// Whether the plan numbers the members anew.
#[must_use]
pub fn renumbers(plan: &Plan) -> bool {
    let calls = plan.changes().flat_map(|(_, change)| &change.calls);
    calls.into_iter().any(|call| matches!(call, Call::SetEnsemble(target) if target.renumber))
}

impl Path<'_> {
    fn renumber(&mut self, now: u32) {
        let fixed_size = self.fixed_size(now);
        let to = EnsembleTarget { rolling: false, renumber: true, ..target(self.state, now, fixed_size) };
        let mut change = super::step(self.document, to, Disruption::All);
        check_often(&mut change.body);
        let ids = |servers: &[Server]| json!(servers.iter().map(|server| server.id).collect::<Vec<_>>());
        let (old, new) = (ids(&self.state.servers), ids(&exhibitor::renumbered(&self.state.servers)));
        change.diff = vec![FieldChange { cause: None, ..field("ids", old, new) }];
        change
            .notes
            .push("all members restart together: no writes for some seconds, and no data is lost".to_owned());
        self.push(change, now, now);
    }
}
