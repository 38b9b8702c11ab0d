//! What an apply has seen of an ensemble, and does about it: members that have misread the shared configuration.
//!
//! Exhibitor truncates the file before it locks and writes it, and tells versions by the file's time: a member that reads in
//! that moment believes in an empty list until somebody writes again. It serves alone meanwhile, and its automatic management
//! writes a list of its own over the ensemble's after 60 to 120 s. A new writing of the same text brings it back.

use super::EnsembleProvider;
use super::read::Sight;
use super::write::spokesman;
use crate::error::ProviderError;
use std::collections::BTreeSet;
use zkprov_plans::exhibitor;
use zkprov_plans::observed::EnsembleState;
use zkprov_plans::quorum;
use zkprov_plans::readiness::Verdict;
use zkprov_plans::resource::ResourceId;
use zkprov_plans::zookeeper::Zxid;

/// Looks, at the provider's pace of one a second, for which a pod may read an empty list that was never seen to read another:
/// Exhibitor reads the file every 30 s at most.
pub(super) const SLOWEST_READ: u32 = 35;
/// Looks for which a roll may go on over a member that has misread it: each of its steps is a new writing. Where it is that
/// member's turn there is no next one.
const ROLLS_ON: u32 = 10;

/// What has been seen of the pods of one ensemble.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Pods that have read a list of servers.
    listed: BTreeSet<String>,
    /// Looks in a row at which some read an empty one where others don't, or since they were last told again.
    misread: u32,
    /// The last transaction of the quorum.
    transaction: Zxid,
    /// Pods there are.
    pods: BTreeSet<String>,
    /// Pods there were when a Deployment's controller was last let go on.
    before: BTreeSet<String>,
}

impl Seen {
    /// Whether exactly `voters` voters serve as one ensemble that has lost nothing since it was first seen.
    pub(super) fn converged(&mut self, state: &EnsembleState, voters: u32) -> Verdict {
        let verdict = quorum::converged(state, voters);
        let lost = quorum::lost_transactions(state, self.transaction).filter(|_| verdict == Verdict::Ready);
        lost.unwrap_or(verdict)
    }

    /// Takes note of the pods there are before a Deployment's controller replaces the next one.
    pub(super) fn let_go_on(&mut self) {
        self.before.clone_from(&self.pods);
    }

    /// Whether it has done so since: a pod is gone, or another one is there.
    pub(super) fn has_gone_on(&self) -> bool {
        self.pods != self.before
    }

    /// Whether the one that was replaced has a successor.
    pub(super) fn has_newcomer(&self) -> bool {
        !self.pods.is_subset(&self.before)
    }

    /// Takes note of a look.
    pub(super) fn note(&mut self, state: &EnsembleState) {
        self.misread = if state.misread.is_empty() { 0 } else { self.misread.saturating_add(1) };
        self.transaction = self.transaction.max(quorum::last_transaction(state));
        self.pods = state.pods.iter().map(|pod| pod.name.clone()).collect();
        if !state.servers.is_empty() {
            let answering = state.members.iter().filter(|member| member.exhibitor.is_some());
            let others = answering.filter_map(|member| member.pod.clone());
            self.listed.extend(others.filter(|pod| !state.misread.contains(pod)));
        }
    }

    /// Whether those that misread are to be told again now.
    fn due(&mut self, state: &EnsembleState) -> bool {
        let knew_better = state.misread.iter().any(|pod| self.listed.contains(pod));
        let patience = match (state.rolling, knew_better) {
            (true, _) => ROLLS_ON,
            (false, true) => 1,
            (false, false) => SLOWEST_READ,
        };
        let due = self.misread >= patience;
        if due {
            self.misread = 0;
            // They are given their time to look before the next try.
            self.listed.retain(|pod| !state.misread.contains(pod));
        }
        due
    }
}

impl EnsembleProvider {
    /// Writes the shared configuration anew, as it is, when a member has misread it. A roll that waits for such a member is
    /// brought to its end: those that it has not reached restart together, and no data is at stake.
    pub(super) async fn heal(&self, id: &ResourceId, sight: &Sight) -> Result<(), ProviderError> {
        let state = &sight.state;
        if state.misread.is_empty() || !self.seen(id, |seen| seen.due(state)) {
            return Ok(());
        }
        let Some((pod, live)) = spokesman(sight).zip(state.config.as_ref()) else { return Ok(()) };
        // Refused, because another change is under way: that is a new writing, too.
        let _refused = if state.rolling {
            self.ask_to(id, pod, "config/force-commit-rolling").await?
        } else {
            let fixed_size = exhibitor::fixed_size(live);
            let settings = serde_json::Value::Null;
            match exhibitor::compose(live, &settings, &state.servers, fixed_size) {
                Ok(body) => self.post(id, pod, "config/set", &body).await?,
                Err(error) => Err(error.to_string()),
            }
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zkprov_plans::observed::{Member, Mode, Pod, Server, Srvr};

    /// Three members; the pods of `misread` read an empty list.
    fn state(misread: &[&str]) -> EnsembleState {
        let member = |id: u32| Member {
            hostname: format!("10.0.0.{id}"),
            id: Some(id),
            pod: Some(format!("pod-{id}")),
            exhibitor: Some(3.into()),
            exhibitor_leader: id == 1,
            zookeeper: None,
        };
        let server = |id: u32| Server { id, hostname: format!("10.0.0.{id}"), observer: false };
        EnsembleState {
            servers: (1..=3).map(server).collect(),
            members: (1..=3).map(member).collect(),
            misread: misread.iter().map(|pod| (*pod).to_owned()).collect(),
            ..EnsembleState::default()
        }
    }

    /// Of so many looks at this state, those at which the pods are told again; the first is 1.
    fn told(seen: &mut Seen, state: &EnsembleState, looks: u32) -> Vec<u32> {
        let mut look = |_: &u32| {
            seen.note(state);
            seen.due(state)
        };
        (1..=looks).filter(&mut look).collect()
    }

    #[test]
    fn a_member_that_knew_better_is_told_at_once_and_then_given_time() {
        let mut seen = Seen::default();
        assert!(told(&mut seen, &state(&[]), 3).is_empty());
        assert_eq!(told(&mut seen, &state(&["pod-2"]), 50), [1, 36]);
    }

    #[test]
    fn a_pod_that_has_not_looked_yet_is_given_time() {
        let mut seen = Seen::default();
        assert!(told(&mut seen, &state(&["pod-2", "pod-3"]), 34).is_empty());
        assert!(told(&mut seen, &state(&[]), 3).is_empty());
        assert_eq!(told(&mut Seen::default(), &state(&["pod-2"]), 40), [35]);
    }

    #[test]
    fn an_ensemble_that_knows_less_than_before_has_not_converged() {
        let at = |zxid: &str| {
            let mut state = state(&[]);
            for member in &mut state.members {
                member.zookeeper = Some(Srvr {
                    mode: if member.exhibitor_leader { Mode::Leader } else { Mode::Follower },
                    zxid: zxid.parse().unwrap(),
                    connections: 0,
                    nodes: 4,
                    version: "3.4.14".to_owned(),
                });
                state.pods.push(Pod {
                    name: member.pod.clone().unwrap_or_default(),
                    ip: Some(member.hostname.clone()),
                    host: None,
                    revision: None,
                    node: None,
                    phase: "Running".to_owned(),
                    ready: true,
                    deleting: false,
                    trouble: None,
                });
            }
            state
        };
        let mut seen = Seen::default();
        for (zxid, lost) in [("0x300000007", false), ("0x400000000", false), ("0x100000000", true)] {
            let state = at(zxid);
            seen.note(&state);
            let verdict = seen.converged(&state, 3);
            assert_eq!(matches!(verdict, Verdict::Failed { .. }), lost, "{zxid}: {verdict:?}");
            assert_eq!(verdict == Verdict::Ready, !lost, "{zxid}: {verdict:?}");
        }
    }

    #[test]
    fn a_roll_goes_on_for_a_while() {
        let mut seen = Seen::default();
        told(&mut seen, &state(&[]), 1);
        let rolling = EnsembleState { rolling: true, ..state(&["pod-2"]) };
        assert_eq!(told(&mut seen, &rolling, 15), [10]);
    }
}
