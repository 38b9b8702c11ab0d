//! The embedded cloud: a pure world (state, virtual clock, seeded ids) behind loopback HTTP.
//!
//! [`world::World`] joins the emulators: a request and a virtual time in, an answer out. [`server`] is the shell: sockets, TLS, files
//! and the wall clock.

mod archive;
pub mod faults;
pub mod reality;
#[expect(clippy::disallowed_methods, reason = "it brings the world its time, files and sockets")]
pub mod server;
pub mod world;

pub use server::{reset, show};
pub use zkprov_emulator_common::{api, containers, ids, views};
pub use zkprov_emulator_exhibitor as exhibitor;
pub use zkprov_emulator_google as google;
pub use zkprov_emulator_kubernetes as kubernetes;
