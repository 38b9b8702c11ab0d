//! The order of steps, as the executor takes it: whatever a step does not come after may run beside it.

use super::Fault;
use crate::plan::{Plan, StepIndex};
use std::collections::BTreeSet;

/// Which steps are done before another begins.
pub(super) struct Order(Vec<BTreeSet<StepIndex>>);

impl Order {
    /// The order of the steps of a plan in which [`faults`] finds nothing.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut before: Vec<BTreeSet<StepIndex>> = Vec::with_capacity(plan.steps.len());
        for step in &plan.steps {
            let own = step.after.iter().copied();
            let theirs = step.after.iter().filter_map(|index| before.get(*index)).flatten().copied();
            let all = own.chain(theirs).collect();
            before.push(all);
        }
        Self(before)
    }

    /// Whether a step is done before another begins.
    pub(super) fn is_before(&self, one: StepIndex, other: StepIndex) -> bool {
        self.0.get(other).is_some_and(|before| before.contains(&one))
    }
}

/// Every step comes after earlier ones alone.
pub(super) fn faults(plan: &Plan) -> Vec<Fault> {
    let wrong = plan.steps.iter().enumerate().filter_map(|(index, step)| {
        let later = step.after.iter().find(|before| **before >= index)?;
        let message = format!("step {index} comes after step {later}, which does not come before it");
        Some(Fault { code: "order", subject: None, message })
    });
    wrong.collect()
}
