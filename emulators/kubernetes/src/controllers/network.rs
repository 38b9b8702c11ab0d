//! Tells the members which of each other's ports network policies leave them.

use super::super::kind::Kind;
use super::super::network::{Network, Ports};
use super::super::store::Store;
use super::super::tree::text;
use super::pods;
use crate::containers::Containers;
use crate::views::PolicyEngine;
use serde_json::Value;
use std::collections::BTreeMap;

/// Looks at every pair of members. Returns whether anything stands between any of them.
pub(super) fn run(store: &Store, engine: PolicyEngine, shares: &mut dyn Containers) -> bool {
    let network = Network { store, engine };
    let members: Vec<(&Value, &str)> = store
        .list(Kind::Pod, None)
        .filter(|pod| pods::exhibitor(pod).is_some())
        .filter_map(|pod| Some((pod, text(pod, "/status/podIP")?)))
        .collect();
    let mut any = false;
    for (to, address) in &members {
        let mut walls = BTreeMap::new();
        for (from, other) in &members {
            if let Ports::Only(ports) = network.between(from, to) {
                walls.insert((*other).to_owned(), ports);
            }
        }
        any |= !walls.is_empty();
        shares.wall(address, walls);
    }
    any
}
