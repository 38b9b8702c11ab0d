//! The simulated Exhibitor and its ZooKeepers against what real ones were recorded to do.

#![expect(clippy::disallowed_methods, reason = "a test reads files, starts programs and keeps time")]

mod behaviour;
mod cases;
mod formation;
mod properties;
mod replay;
mod support;
mod zookeeper;
