//! What happens while a plan is carried out: one enum for progress, JSON lines and recordings.

use crate::measure::Measure;
use crate::plan::StepIndex;
use serde::{Deserialize, Serialize};

/// One event of a run. Serialised as one JSON line with `type`; holds no credential and no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// Ensemble name.
        ensemble: String,
        /// Number of steps.
        steps: usize,
    },
    /// A step begins.
    StepStarted {
        /// Which.
        step: StepIndex,
        /// Resource id or gate, for people.
        subject: String,
        /// `create`, `update`, ..., `gate`.
        action: String,
    },
    /// A step is under way.
    StepProgress {
        /// Which.
        step: StepIndex,
        /// What is waited for, e.g. `cluster PROVISIONING` or `2 of 3 members serve`.
        message: String,
    },
    /// A call is tried again.
    StepRetried {
        /// Which.
        step: StepIndex,
        /// Why.
        error: String,
        /// Milliseconds until the next try.
        delay_ms: u64,
    },
    /// What was measured of the ensemble before and after a step that restarts members; where something has gone back, the step
    /// fails next.
    StepMeasured {
        /// Which.
        step: StepIndex,
        /// Before its first call.
        before: Measure,
        /// When all serve again.
        after: Measure,
    },
    /// A step is done.
    StepFinished {
        /// Which.
        step: StepIndex,
        /// Milliseconds it took.
        elapsed_ms: u64,
    },
    /// A step failed; nothing more is started.
    StepFailed {
        /// Which.
        step: StepIndex,
        /// The whole chain of causes.
        error: String,
        /// The next command or edit; may be empty.
        hint: String,
    },
    /// A step was not started.
    StepSkipped {
        /// Which.
        step: StepIndex,
        /// The step that failed, or `None` after an interruption.
        because: Option<StepIndex>,
    },
    /// The user asked to stop; what is in flight is drained.
    Interrupted,
    /// The run is over.
    RunFinished {
        /// How.
        outcome: Outcome,
        /// Milliseconds it took.
        elapsed_ms: u64,
    },
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every step is done.
    Done,
    /// Some steps failed; run again to resume.
    Partial,
    /// Nothing was changed.
    Failed,
    /// Stopped by the user; run again to resume.
    Interrupted,
    /// What was approved is not what would be done now; nothing was changed.
    Stale,
    /// A gate refused; nothing was changed.
    Refused,
    /// Another run holds the lock; nothing was changed.
    Locked,
}
