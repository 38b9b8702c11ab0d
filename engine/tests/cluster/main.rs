//! The providers of what lives in a cluster, against scripted servers on loopback.

#![expect(clippy::unwrap_used, reason = "a broken fixture is to fail its test")]

mod ensemble;
mod fixtures;
mod kubernetes;
mod lease;
mod loopback;
mod tls;
