//! Effects: live readers and writers for each API, the waiting for operations, and the executor. No terminal.

pub mod connection;
pub mod error;
pub mod provider;
