//! The plan checker: an independent judge of a finished plan, on the way of every plan to approval.
//!
//! It reads what goes to the APIs, which is calls, their targets, bodies, preconditions and the order of steps, and what was read of
//! the live state. It shares no code with the planner. It does not read why a step is there, nor what the planner says that it
//! interrupts. What the checker finds is a fault of the planner, so a finding refuses the plan.

mod calls;
mod graph;
mod removal;
mod step;
mod votes;

use self::graph::Order;
use crate::plan::{Finding, Mode, Plan};
use crate::planner::PlanInput;
use crate::resource::ResourceId;

/// A plan that the checker has judged: what it found is among the plan's findings. Nothing else is approved.
///
/// ```
/// # use zkprov_plans::{check::CheckedPlan, plan::Plan, planner::{self, PlanInput}};
/// # fn plan(input: &PlanInput<'_>) -> Result<CheckedPlan, planner::PlanError> {
/// let plan = planner::plan(input)?;
/// let checked = CheckedPlan::of(plan, input);
/// # Ok(checked)
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedPlan {
    plan: Plan,
    /// Findings of the planner; those behind them are the checker's.
    planners: usize,
}

impl CheckedPlan {
    /// Judges a plan by what it was made from.
    #[must_use]
    pub fn of(mut plan: Plan, input: &PlanInput<'_>) -> Self {
        let (faults, planners) = (faults(&plan, input), plan.findings.len());
        plan.findings.extend(faults.into_iter().map(Fault::finding));
        Self { plan, planners }
    }

    /// The plan, with what was found among its findings.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The plan alone.
    #[must_use]
    pub fn into_plan(self) -> Plan {
        self.plan
    }

    /// Drops findings of the planner's that hold no longer; what the checker found stays.
    pub fn drop_findings(&mut self, holds_no_longer: impl Fn(&Finding) -> bool) {
        let faults = self.plan.findings.split_off(self.planners);
        self.plan.findings.retain(|finding| !holds_no_longer(finding));
        self.planners = self.plan.findings.len();
        self.plan.findings.extend(faults);
    }
}

/// The codes of all rules.
pub const CODES: [&str; 19] = [
    "order",
    "empty-change",
    "no-call",
    "precondition",
    "unowned",
    "unread",
    "kept-differs",
    "even-size",
    "ensemble-size",
    "votes",
    "ungated",
    "all-at-once",
    "not-awaited",
    "pods-at-once",
    "pods-before-votes",
    "removal-order",
    "mounted",
    "unguarded",
    "data",
];

/// A rule that a plan breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which, in kebab case, e.g. `votes`.
    pub code: &'static str,
    /// About which resource.
    pub subject: Option<ResourceId>,
    /// How, one sentence without a full stop.
    pub message: String,
}

impl Fault {
    fn of(code: &'static str, id: &ResourceId, message: String) -> Self {
        Self { code, subject: Some(id.clone()), message }
    }

    fn finding(self) -> Finding {
        Finding {
            fatal: true,
            code: self.code.to_owned(),
            subject: self.subject,
            message: self.message,
            fix: "this is a fault of zkprov's planner; nothing was changed; please report it with the plan"
                .to_owned(),
        }
    }
}

/// Every rule that a plan breaks. Empty when it keeps them all, and for a plan that is never carried out: one that only shows drift, or
/// one that the planner refuses.
#[must_use]
pub fn faults(plan: &Plan, input: &PlanInput<'_>) -> Vec<Fault> {
    if plan.mode == Mode::RefreshOnly || plan.findings.iter().any(|finding| finding.fatal) {
        return Vec::new();
    }
    let mut faults = graph::faults(plan);
    // Without an order there is nothing to judge.
    if !faults.is_empty() {
        return faults;
    }
    let order = Order::of(plan);
    faults.extend(calls::faults(plan, input));
    faults.extend(votes::faults(plan, input, &order));
    faults.extend(removal::faults(plan, input, &order));
    faults
}
