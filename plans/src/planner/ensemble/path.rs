//! One way from the ensemble as it is to the declared one: its steps, each with the gate that it needs.

use super::safety::down_and_held;
use super::{
    FORMING_CHECK_MS, check_often, check_period, field, keys, looks_often, misread_by, odd_at_most, restarts,
    setting, settling, step, target, together,
};
use crate::document::Document;
use crate::observed::{EnsembleState, Live};
use crate::plan::{
    Call, Change, Disruption, EnsembleTarget, FieldChange, Gate, Precondition, ReadyWhen, Reason, StepKind,
};
use crate::{diff, exhibitor, quorum, roll};
use serde_json::{Value, json};

/// What the steps rest on, and the steps so far.
pub(super) struct Path<'a> {
    pub(super) document: &'a Document,
    pub(super) live: &'a Live,
    pub(super) state: &'a EnsembleState,
    /// No address known now is one of a member by the time of the first step.
    pub(super) moved: bool,
    /// Exhibitor is still entering pods and restarts the members each time. A roll that comes across waits for ever for a
    /// member that is down; nobody relies on this ensemble yet, so that all may restart together.
    pub(super) forming: bool,
    /// Exhibitor looks often before pods are replaced, and does until the last step.
    pub(super) hurried: bool,
    /// Whether steps that restart members are watched by a znode of ours.
    pub(super) canary: bool,
    pub(super) steps: Vec<StepKind>,
}

impl Path<'_> {
    /// Pods that are gone stay in `serversSpec` until their successors take their places. Returns the members that stay.
    pub(super) fn replace_lost(&mut self, now: u32, lost: &[String]) -> Vec<String> {
        let mut to = target(self.state, now, odd_at_most(now));
        to.keep.retain(|address| !lost.contains(address));
        let keep = to.keep.clone();
        to.remove = lost.to_vec();
        let mut change = step(self.document, to, Disruption::OneByOne);
        change.reason = Reason::MembersLost(lost.to_vec());
        change.diff = vec![field("members", json!(lost), Value::Null)];
        change
            .notes
            .extend(self.state.stuck.as_ref().map(|stuck| format!("{}: it is ended first", stuck.words())));
        change.notes.push("the new members are empty and sync from the leader".to_owned());
        if !self.moved {
            check_often(&mut change.body);
        }
        self.push(change, now, now);
        keep
    }

    /// Posts the configuration as it is. A member that has missed it is alone, and would in a minute or two write a list of
    /// its own.
    pub(super) fn tell_again(&mut self, now: u32) {
        // Where a roll waits, the step that ends it writes anew, too.
        if self.state.misread.is_empty() || self.state.stuck.is_some() {
            return;
        }
        let to = EnsembleTarget { rolling: false, ..target(self.state, now, self.fixed_size(now)) };
        let mut change = step(self.document, to, Disruption::None);
        if let Some(settings) = change.body.get_mut("settings") {
            *settings = json!({});
        }
        change.reason = Reason::Misread(self.state.misread.clone());
        change.diff = misread_by(self.state);
        change.precondition = self.precondition();
        self.steps.push(StepKind::Change(change));
    }

    /// Ends a roll: restarts those that it has not come to, with the configuration as it is, and switches them on again.
    pub(super) fn resume(&mut self, now: u32) {
        let held = roll::held(self.state);
        if held.is_empty() && self.state.stuck.is_none() {
            return;
        }
        let to = target(self.state, now, self.fixed_size(now));
        let mut change = step(self.document, to, Disruption::OneByOne);
        if let Some(settings) = change.body.get_mut("settings") {
            *settings = json!({});
        }
        change.diff = diff::diff(&self.document.id, &change.body, self.live).fields;
        change.diff.retain(diff::is_of_a_roll);
        change.reason = match &self.state.stuck {
            Some(stuck) => Reason::RollStuck(stuck.waits_for.clone()),
            None => Reason::RollInterrupted(held),
        };
        self.push(change, now, now);
    }

    /// Whether a change of these fields restarts members one by one.
    pub(super) fn rolls(&self, fields: &[FieldChange]) -> bool {
        restarts(fields) && !together(fields)
    }

    /// A roll waits for each member to look at its ZooKeeper, several times: first let them look often.
    pub(super) fn hurry(&mut self, now: u32) {
        // With members on the move this live step could not tell who is to stay, nor on what number it rests. A roll that waits is
        // ended by the next roll, which keeps members from restarting for that all at once.
        let cannot = self.moved || self.forming || self.state.stuck.is_some();
        if !(cannot || self.hurried || looks_often(self.live)) {
            self.steps.push(StepKind::Change(self.look_often(now)));
        }
    }

    /// Has Exhibitor look at its ZooKeeper as often as while the ensemble forms.
    pub(super) fn look_often(&self, now: u32) -> Change {
        let live = self.live.document.pointer("/settings/checkMs").cloned().unwrap_or_default();
        let to = EnsembleTarget { rolling: false, ..target(self.state, now, self.fixed_size(now)) };
        let mut change = step(self.document, to, Disruption::None);
        // That alone: whatever else the file sets may restart members, and is rolled with the change itself.
        if let Some(settings) = change.body.get_mut("settings") {
            *settings = json!({"checkMs": FORMING_CHECK_MS});
        }
        change.diff = vec![check_period(live, json!(FORMING_CHECK_MS))];
        change.ready_when = ReadyWhen::Done;
        change.precondition = self.as_read();
        change
    }

    /// The declared size as it is, where Exhibitor may keep to it.
    pub(super) fn fixed_size(&self, now: u32) -> u32 {
        let fixed = self.state.config.as_ref().map(exhibitor::fixed_size);
        fixed.filter(|fixed| !fixed.is_multiple_of(2)).unwrap_or_else(|| odd_at_most(now))
    }

    /// Back to the declared period, with the members that are left of the present ones.
    pub(super) fn slow_down(&mut self, voters: u32, keep: Vec<String>) {
        if self.moved && !self.hurried {
            return;
        }
        let to = EnsembleTarget { keep, ..target(self.state, voters, voters) };
        let Some(mut change) = settling(self.document, to) else { return };
        self.keep_whoever_is_there(&mut change);
        self.steps.push(StepKind::Change(change));
    }

    pub(super) fn settings(&mut self, now: u32, fields: &[FieldChange]) {
        let (restarts, together) = (restarts(fields), together(fields));
        let rolls = restarts && !together;
        // What a roll that was cut off has left is done by then, unless this one does it.
        let mut fields: Vec<FieldChange> =
            fields.iter().filter(|field| rolls || !diff::is_of_a_roll(field)).cloned().collect();
        let often = self.hurried || (rolls && !self.moved);
        if often {
            // Set when the roll is over.
            fields.retain(|field| field.path != "settings.checkMs");
        }
        if fields.is_empty() {
            return;
        }
        let at_once: Vec<&str> = keys(&fields).filter(|key| !exhibitor::restarts(key)).collect();
        let at_once = at_once.join(", ");
        let mut to = target(self.state, now, now);
        to.rolling = rolls;
        let disruption = match (restarts, together) {
            (_, true) => Disruption::All,
            (true, false) => Disruption::OneByOne,
            (false, false) => Disruption::None,
        };
        let mut change = step(self.document, to, disruption);
        if often {
            check_often(&mut change.body);
        }
        change.diff = fields;
        if !restarts {
            change.notes.push("in force at once, no member restarts".to_owned());
        } else if together {
            change.notes.push("members with the old value cannot talk to those with the new one".to_owned());
        } else if !at_once.is_empty() {
            change.notes.push(format!("{at_once} alone would be in force at once"));
        }
        if restarts {
            self.push(change, now, now);
        } else {
            self.keep_whoever_is_there(&mut change);
            change.precondition = self.precondition();
            self.steps.push(StepKind::Change(change));
        }
    }

    /// Names nobody to stay where addresses move: all members there are then stay.
    fn keep_whoever_is_there(&self, change: &mut Change) {
        for call in &mut change.calls {
            if let (true, Call::SetEnsemble(target)) = (self.moved, call) {
                target.keep.clear();
            }
        }
    }

    /// One voter at a time. Through two voters on the way from or to one: a lone server and two empty ones that come
    /// together could elect an empty leader; with one newcomer at a time the server with the data always takes part.
    /// Returns the present members that stay.
    pub(super) fn resize(&mut self, now: u32, wanted: u32, fields: &[FieldChange]) -> Vec<String> {
        let mut leaving = quorum::victims(self.state, wanted).into_iter();
        let mut size = now;
        let mut keep = target(self.state, now, now).keep;
        for next in quorum::path(now, wanted) {
            let mut to = target(self.state, next, if next == wanted { wanted } else { odd_at_most(next) });
            to.remove = if next < size { leaving.next().into_iter().collect() } else { Vec::new() };
            keep.retain(|address| !to.remove.contains(address));
            to.keep.clone_from(&keep);
            let alone = size.min(next) == 1 || self.forming;
            to.rolling = !self.forming;
            let mut change =
                step(self.document, to, if alone { Disruption::All } else { Disruption::OneByOne });
            change.reason = Reason::EnsembleStep { from: size, to: next };
            change.diff = vec![field("voters", json!(size), json!(next))];
            if size == now {
                // The first roll carries the declared settings, too.
                let settings = fields.iter().filter(|one| setting(one).is_some());
                change.diff.extend(settings.filter(|one| one.path != "settings.checkMs").cloned());
            }
            if !self.moved {
                check_often(&mut change.body);
            }
            if alone {
                change.notes.push("a restart of all stops writes for a few seconds".to_owned());
            }
            self.push(change, size, next);
            size = next;
        }
        keep
    }

    pub(super) fn push(&mut self, mut change: Change, from: u32, to: u32) {
        let most = from.max(to);
        self.keep_whoever_is_there(&mut change);
        for call in &mut change.calls {
            if let Call::SetEnsemble(target) = call {
                target.canary = self.canary;
            }
        }
        let lost = u32::try_from(quorum::lost(self.state).len()).unwrap_or(from);
        let first = !self.steps.iter().any(|step| matches!(step, StepKind::Gate(_)));
        // Down since a roll was cut off: the first roll restarts them before all others.
        let down = if first { down_and_held(self.state) } else { 0 };
        self.steps.push(StepKind::Gate(Gate::Quorum {
            voters: from,
            need: quorum::need(to),
            // What the gate asks for: all, but for those whose pods are gone, and those that the step brings back.
            healthy: from.saturating_sub(lost).saturating_sub(down),
            // One member restarts at a time; a member that leaves is away besides.
            during: if to < from { to.saturating_sub(1) } else { most.saturating_sub(1) },
        }));
        change.precondition =
            if self.steps.len() == 1 { self.precondition() } else { Precondition::Voters(from) };
        self.steps.push(StepKind::Change(change));
    }

    pub(super) fn precondition(&self) -> Precondition {
        if self.hurried { Precondition::Voters(quorum::voters(self.state)) } else { self.as_read() }
    }

    fn as_read(&self) -> Precondition {
        Precondition::Unchanged(diff::fingerprint(&self.document.id, &self.document.body, self.live))
    }
}
