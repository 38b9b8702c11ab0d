//! The providers of what lives in a cluster, against scripted servers on loopback.

mod ensemble;
mod fixtures;
mod kubernetes;
mod lease;
mod loopback;
