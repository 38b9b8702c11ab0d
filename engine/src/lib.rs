//! Effects: live readers and writers for each API, the waiting for operations, and the executor. No terminal.

pub mod backup;
pub mod cloud;
pub mod connection;
pub mod credentials;
pub mod error;
pub mod executor;
pub mod havoc;
pub mod lease;
pub mod provider;
pub mod providers;
pub mod wait;
