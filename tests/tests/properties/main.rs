//! What holds of every run on the embedded cloud: the plan after an apply is empty, an apply cut at any call and run
//! again ends in the same world, the ensemble keeps its quorum.
//!
//! Everything runs in this process, on virtual time that goes by whenever somebody waits.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod cuts;
mod ensemble;
mod examples;
mod formation;
mod harness;
mod misread;
mod options;
mod persistent;
mod pod_rolls;
mod rolls;
