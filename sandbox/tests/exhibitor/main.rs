//! The simulated Exhibitor and its ZooKeepers against what real ones were recorded to do.

mod formation;
mod support;
