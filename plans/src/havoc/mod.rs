//! Havoc: what is killed when, under a budget of voters, and what became of the ensemble meanwhile.
//!
//! [`schedule()`] draws kills from a seed and the placement of members on nodes; [`Record`] is the timeline that a run leaves
//! behind; [`verdicts`] judge it, and [`report`] prints it. The effects are the engine's.

mod draw;
pub mod picture;

mod record;
pub mod report;

mod schedule;

pub use record::{
    Check, End, Lane, Outcome, Record, Sample, State, Strike, Verdict, Window, down, gaps, lanes, verdicts,
};
pub use schedule::{
    Aim, Budget, Kill, Machine, Means, Placement, Refusal, Round, Schedule, Voter, Wanted, aim, schedule,
};

#[cfg(test)]
mod tests;
