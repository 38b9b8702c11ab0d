//! The executor on a scripted API, on time that stands still while anything can be done.

#![expect(clippy::unwrap_used, reason = "tests: what is not as written is to panic")]

mod calls;
mod queue;
mod script;
