//! The simulated Exhibitor and its ZooKeepers against what real ones were recorded to do.

mod behaviour;
mod cases;
mod formation;
mod properties;
mod replay;
mod support;
mod zookeeper;
