//! The embedded cloud: a pure world (state, virtual clock, seeded ids) behind loopback HTTP.
//!
//! [`world::World`] is data and pure functions: a request and a virtual time in, an answer out. [`server`] is the shell:
//! sockets, TLS, files and the wall clock.

pub mod api;
pub mod compute;
pub mod container;
pub mod exhibitor;
pub mod faults;
pub mod filestore;
pub mod ids;
pub mod kubernetes;
pub mod reality;
pub mod rest;
pub mod schema;
pub mod server;
pub mod serviceusage;
pub mod storage;
pub mod world;

pub use server::{reset, show};
