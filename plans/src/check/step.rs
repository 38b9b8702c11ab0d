//! One step of the ensemble, as Exhibitor is told it: who votes after it, and who restarts.

use super::Fault;
use crate::exhibitor;
use crate::observed::EnsembleState;
use crate::plan::{Change, EnsembleTarget, Precondition, ReadyWhen, StepIndex};
use crate::planner::PlanInput;
use crate::resource::{KubeKind, ResourceKind};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Voters that have to agree of so many.
pub(super) const fn majority(voters: u32) -> u32 {
    voters / 2 + 1
}

/// The ensemble between two steps.
#[derive(Default)]
pub(super) struct Ensemble {
    pub(super) voters: u32,
    /// Addresses in the list as it was read.
    listed: BTreeSet<String>,
    /// Addresses of voters, as far as they are known; newcomers are whoever is there by then.
    known: Option<BTreeSet<String>>,
    /// What Exhibitor is told to keep to.
    settings: Map<String, Value>,
    /// Exhibitor is still entering pods by itself: nobody relies on this ensemble yet.
    fills_up: bool,
    /// Members that a roll has not restarted yet, or a roll that waits.
    unfinished: bool,
    /// No majority serves, and no step has changed that yet.
    lost: bool,
}

impl Ensemble {
    pub(super) fn read(input: &PlanInput<'_>) -> Self {
        let live = input.observed.resources.iter().find_map(|(id, reading)| {
            reading.known().filter(|_| id.kind == ResourceKind::Ensemble).map(|live| &live.document)
        });
        let settings = live.and_then(|live| live.get("settings")?.as_object()).cloned().unwrap_or_default();
        // Without a shared configuration there are pods, and no ensemble.
        let state = live.and(input.observed.ensemble.known());
        let Some(state) = state else {
            return Self { settings, known: Some(BTreeSet::new()), ..Self::default() };
        };
        let hosts: BTreeSet<String> = state
            .servers
            .iter()
            .filter(|server| !server.observer)
            .map(|server| server.hostname.clone())
            .collect();
        let voters = count(hosts.len());
        let size = state.config.as_ref().map_or(0, exhibitor::fixed_size);
        Self {
            voters,
            settings,
            fills_up: size > voters,
            unfinished: state.stuck.is_some() || !state.held.is_empty(),
            lost: serving(state, &hosts) < majority(voters),
            listed: hosts.clone(),
            known: Some(hosts),
        }
    }

    /// The keys of the settings that the step sets to something else, with their entries.
    fn changed<'m>(&self, wanted: &'m Map<String, Value>) -> Vec<Vec<&'m str>> {
        let same = |one: Option<&Value>, other: &Value| {
            one.map(crate::rules::text) == Some(crate::rules::text(other))
        };
        let mut changed = Vec::new();
        for (key, value) in wanted {
            let live = self.settings.get(key);
            match value.as_object() {
                Some(entries) => changed.extend(
                    entries
                        .iter()
                        .filter(|(entry, value)| !same(live.and_then(|live| live.get(*entry)), value))
                        .map(|(entry, _)| vec![key.as_str(), entry.as_str()]),
                ),
                None if !same(live, value) => changed.push(vec![key.as_str()]),
                None => {}
            }
        }
        changed
    }

    /// As it is after a step.
    pub(super) fn after(mut self, target: &EnsembleTarget, change: &Change) -> Self {
        for (key, value) in wanted(change).into_iter().flatten() {
            match (self.settings.get_mut(key).and_then(Value::as_object_mut), value.as_object()) {
                (Some(live), Some(entries)) => live.extend(entries.clone()),
                (Some(_) | None, _) => drop(self.settings.insert(key.clone(), value.clone())),
            }
        }
        let named: BTreeSet<String> = target.keep.iter().chain(&target.join).cloned().collect();
        let known = Some(named).filter(|named| !named.is_empty());
        Self { voters: target.voters, known, unfinished: false, lost: false, ..self }
    }

    /// As it is when its pods were replaced: those of a Deployment have other addresses.
    pub(super) fn replace_pods(&mut self, kind: ResourceKind) {
        if kind == ResourceKind::Kube(KubeKind::Deployment) {
            self.known = None;
        }
    }
}

fn count(members: usize) -> u32 {
    u32::try_from(members).unwrap_or(u32::MAX)
}

fn serving(state: &EnsembleState, hosts: &BTreeSet<String>) -> u32 {
    let serves = |host: &&String| {
        state.members.iter().any(|member| member.hostname == **host && member.zookeeper.is_some())
    };
    count(hosts.iter().filter(serves).count())
}

/// What a step is judged by.
pub(super) struct Step<'a> {
    pub(super) index: StepIndex,
    pub(super) change: &'a Change,
    pub(super) target: &'a EnsembleTarget,
    /// The ensemble before it.
    pub(super) before: &'a Ensemble,
}

/// The settings that a change sets.
fn wanted(change: &Change) -> Option<&Map<String, Value>> {
    change.body.get("settings")?.as_object()
}

impl Step<'_> {
    pub(super) fn fault(&self, code: &'static str, message: String) -> Fault {
        Fault::of(code, &self.change.id, format!("step {} {message}", self.index))
    }

    /// Whether the members' list changes.
    fn moves(&self) -> bool {
        let Self { target, before, .. } = self;
        target.voters != before.voters || !target.remove.is_empty() || !target.join.is_empty()
    }

    /// The settings that it changes and that restart members.
    fn restarting(&self) -> Vec<Vec<&str>> {
        let mut changed = wanted(self.change).map_or_else(Vec::new, |wanted| self.before.changed(wanted));
        changed.retain(|setting| setting.first().is_some_and(|key| exhibitor::restarts(key)));
        changed
    }

    fn restarts(&self) -> bool {
        self.moves() || self.target.renumber || !self.restarting().is_empty()
    }

    /// An ensemble whose majority is lost begins again with one member; there is nobody whose vote could be waited for.
    fn rebuilds(&self) -> bool {
        self.before.lost && self.target.voters == 1
    }

    /// Whether a quorum gate has to stand before it.
    pub(super) fn needs_gate(&self) -> bool {
        let ends_a_roll = self.before.unfinished && self.target.rolling;
        self.before.voters > 0 && !self.rebuilds() && (self.restarts() || ends_a_roll)
    }

    pub(super) fn faults(&self, input: &PlanInput<'_>) -> Vec<Fault> {
        let Self { target, before, change, .. } = self;
        let mut faults = Vec::new();
        let mut fault = |code, message| faults.push(self.fault(code, message));
        if target.fixed_size.is_multiple_of(2) {
            fault("ensemble-size", format!("declares {} members", target.fixed_size));
        }
        if target.renumber && !input.compact_ids {
            fault("all-at-once", "gives new ids, which nobody asked for".to_owned());
        }
        if self.restarts() && !self.is_awaited() {
            fault("not-awaited", "restarts members and does not wait for them".to_owned());
        }
        if before.voters == 0 || self.rebuilds() {
            faults.extend(self.stranger());
            return faults;
        }
        if let Precondition::Voters(voters) = change.precondition
            && voters != before.voters
        {
            fault("precondition", format!("rests on {voters} voters, and there are {}", before.voters));
        }
        let restarting = self.restarting();
        let together = restarting.iter().any(|setting| exhibitor::restarts_together(setting));
        let one_by_one = self.moves() || !restarting.is_empty() && !together;
        if one_by_one && !target.rolling && before.voters > 1 && !before.fills_up {
            fault("all-at-once", "restarts all members at once".to_owned());
        }
        faults.extend(self.list());
        faults
    }

    /// Whether a majority of the new list serves before anything else is done.
    fn is_awaited(&self) -> bool {
        match self.change.ready_when {
            ReadyWhen::EnsembleServes { voters } => voters >= majority(self.target.voters),
            ReadyWhen::QuorumHolds { healthy } => healthy >= majority(self.target.voters),
            ReadyWhen::Done
            | ReadyWhen::Gone
            | ReadyWhen::FileServerReady { .. }
            | ReadyWhen::ClusterRunning
            | ReadyWhen::NodePoolRunning
            | ReadyWhen::FilestoreReady
            | ReadyWhen::PodsAnswer { .. } => false,
        }
    }

    /// A name that is no voter's, or whose owner may have another by then: the step then takes whoever is there. Who is to leave may be
    /// gone already.
    fn stranger(&self) -> Option<Fault> {
        let Self { target, before, .. } = self;
        let is_known = |host: &&String| before.known.as_ref().is_some_and(|known| known.contains(*host));
        let is_listed = |host: &&String| before.listed.contains(*host);
        let stranger = target.keep.iter().find(|host| !is_known(host));
        let host =
            stranger.or_else(|| target.remove.iter().find(|host| !is_known(host) && !is_listed(host)))?;
        Some(self.fault("votes", format!("names {host}, which is not known to vote by then")))
    }

    /// One vote comes or goes at a time, nobody leaves unnamed, and no majority of the old list.
    fn list(&self) -> Vec<Fault> {
        let Self { target, before, .. } = self;
        let mut faults: Vec<Fault> = self.stranger().into_iter().collect();
        let mut fault = |message| faults.push(self.fault("votes", message));
        if target.voters.abs_diff(before.voters) > 1 {
            fault(format!("moves from {} to {} voters at once", before.voters, target.voters));
        }
        let (Some(known), false) = (&before.known, target.keep.is_empty()) else { return faults };
        let stays = |host: &&String| target.keep.contains(host);
        let leaves = |host: &&String| target.remove.contains(host);
        if let Some(host) = known.iter().find(|host| stays(host) == leaves(host)) {
            fault(format!("does not say whether {host} stays"));
        }
        if count(target.keep.len() + target.join.len()) > target.voters {
            fault(format!("names more than {} voters", target.voters));
        }
        let gone = count(known.iter().filter(|host| !stays(host)).count());
        if gone >= majority(before.voters) {
            fault(format!("drops {gone} of {} voters: a majority", before.voters));
        }
        faults
    }
}
