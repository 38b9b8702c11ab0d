//! The ready-queue of a plan's graph: which steps may start, and what a failure means for the rest. Pure; the executor
//! is its driver.

use crate::plan::{Step, StepIndex};
use std::collections::BTreeMap;

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Done,
    Failed,
    Skipped(Option<StepIndex>),
}

/// The queue. Steps are started in the order of the plan whenever all they come after are done.
#[derive(Debug, Clone)]
pub struct Schedule {
    after: Vec<Vec<StepIndex>>,
    states: Vec<State>,
    stopped: bool,
}

impl Schedule {
    /// A queue with every step waiting.
    #[must_use]
    pub fn new(steps: &[Step]) -> Self {
        Self {
            after: steps.iter().map(|step| step.after.clone()).collect(),
            states: vec![State::Waiting; steps.len()],
            stopped: false,
        }
    }

    /// Steps that may start now, in the order of the plan; none after a failure or a stop.
    #[must_use]
    pub fn ready(&self) -> Vec<StepIndex> {
        if self.stopped {
            return Vec::new();
        }
        let done = |index: &StepIndex| self.states.get(*index) == Some(&State::Done);
        let waiting = self.states.iter().zip(&self.after).enumerate();
        waiting
            .filter(|(_, (state, after))| **state == State::Waiting && after.iter().all(done))
            .map(|(index, _)| index)
            .collect()
    }

    /// A step is started.
    pub fn start(&mut self, index: StepIndex) {
        self.set(index, State::Running);
    }

    /// A step is done.
    pub fn finish(&mut self, index: StepIndex) {
        self.set(index, State::Done);
    }

    /// A step failed: nothing more starts; what is running drains.
    pub fn fail(&mut self, index: StepIndex) {
        self.set(index, State::Failed);
        self.stopped = true;
    }

    /// The user asked to stop: nothing more starts.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    fn set(&mut self, index: StepIndex, state: State) {
        if let Some(slot) = self.states.get_mut(index) {
            *slot = state;
        }
    }

    /// Whether any step is running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.states.contains(&State::Running)
    }

    /// Whether every step is done.
    #[must_use]
    pub fn all_done(&self) -> bool {
        self.states.iter().all(|state| *state == State::Done)
    }

    /// Whether a step has been started at all.
    #[must_use]
    pub fn any_started(&self) -> bool {
        self.states.iter().any(|state| !matches!(state, State::Waiting | State::Skipped(_)))
    }

    /// Closes the queue: what still waits is skipped because of the failed step it depends on, or of the first failure,
    /// or (`None`) because the user stopped the run.
    pub fn skip_rest(&mut self) -> Vec<(StepIndex, Option<StepIndex>)> {
        let first = self.states.iter().position(|state| *state == State::Failed);
        let mut skipped = BTreeMap::new();
        for index in 0..self.states.len() {
            if self.states.get(index) == Some(&State::Waiting) {
                let because = self.why_blocked(index).or(first);
                self.set(index, State::Skipped(because));
                skipped.insert(index, because);
            }
        }
        skipped.into_iter().collect()
    }

    /// The failed step that a step cannot do without, if one failed.
    #[must_use]
    pub fn why_blocked(&self, index: StepIndex) -> Option<StepIndex> {
        self.after.get(index)?.iter().find_map(|before| match self.states.get(*before)? {
            State::Failed => Some(*before),
            State::Skipped(because) => *because,
            State::Waiting | State::Running => self.why_blocked(*before),
            State::Done => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Gate, StepKind};

    fn steps(after: &[&[usize]]) -> Vec<Step> {
        let gate = Gate::Quorum { voters: 3, need: 2, healthy: 3, during: 2 };
        after
            .iter()
            .map(|after| Step { kind: StepKind::Gate(gate.clone()), after: after.to_vec(), seconds: 1 })
            .collect()
    }

    #[test]
    fn branches_run_side_by_side_and_join() {
        let mut schedule = Schedule::new(&steps(&[&[], &[], &[0, 1]]));
        assert_eq!(schedule.ready(), [0, 1]);
        schedule.start(0);
        assert_eq!(schedule.ready(), [1]);
        schedule.start(1);
        schedule.finish(0);
        assert!(schedule.ready().is_empty());
        schedule.finish(1);
        assert_eq!(schedule.ready(), [2]);
        schedule.start(2);
        schedule.finish(2);
        assert!(schedule.all_done() && !schedule.is_running());
    }

    #[test]
    fn a_failure_starts_nothing_more_and_names_the_cause() {
        let mut schedule = Schedule::new(&steps(&[&[], &[0], &[1], &[]]));
        schedule.start(0);
        schedule.fail(0);
        assert!(schedule.ready().is_empty());
        assert_eq!(schedule.skip_rest(), [(1, Some(0)), (2, Some(0)), (3, Some(0))]);
    }

    #[test]
    fn a_stop_has_no_culprit() {
        let mut schedule = Schedule::new(&steps(&[&[], &[0]]));
        schedule.start(0);
        schedule.stop();
        schedule.finish(0);
        assert!(schedule.ready().is_empty());
        assert_eq!(schedule.skip_rest(), [(1, None)]);
        assert!(schedule.any_started());
    }
}
