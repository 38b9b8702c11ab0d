//! Replacing the nodes of a pool, within its surge settings.
//!
//! Google's page on node upgrade strategies: a surge upgrade makes up to `maxSurge` nodes more than the pool has, and takes
//! up to `maxUnavailable` away before their successors are there; both together are how many nodes are upgraded at once.
//! It goes on zone by zone.

use super::Container;
use super::model::{Group, Kind, NEVER, Pool};
use super::operations::{POOL, node_share};
use super::settle::{Staff, pool_mut};
use super::windows::{self, Part};
use crate::api::Time;
use crate::compute::catalog;
use crate::container::key;
use crate::ids::Ids;
use serde_json::Value;

/// Marks the nodes of a pool as to be replaced; how many these are.
pub(super) fn outdate(pool: &mut Pool) -> u32 {
    let mut count = 0;
    for node in pool.groups.iter_mut().flat_map(|group| &mut group.nodes) {
        node.outdated = true;
        count += 1;
    }
    count
}

/// How many nodes an upgrade may have too many, and how many too few.
fn limits(pool: &Pool) -> (usize, usize) {
    let settings = pool.spec.get("upgradeSettings");
    let number = |name: &str| {
        let number = settings.and_then(|settings| settings.get(name)).and_then(Value::as_u64);
        number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
    };
    match (number("maxSurge"), number("maxUnavailable")) {
        (0, 0) => (1, 0),
        limits => limits,
    }
}

impl Group {
    fn is_current(&self) -> bool {
        self.missing == 0 && self.nodes.iter().all(|node| !node.outdated && node.draining.is_none())
    }
}

impl Container {
    /// Lets the next nodes of an upgrade be emptied, if that is due.
    pub(super) fn replace_next(&mut self, name: &str, now: Time, ids: &mut Ids) {
        let Some(operation) = self.operations.get(name).filter(|operation| operation.node_due <= now) else {
            return;
        };
        let operation = operation.clone();
        let at = key(&operation.project, &operation.place, &operation.cluster);
        let mut taken = self.taken_addresses(&operation.project, operation.place.region());
        let mut staff = Staff { taken: &mut taken, octet: catalog::octet(operation.place.region()), ids };
        let mut next = Next::default();
        if let Some((cluster, pool)) = self.clusters.get_mut(&at).zip(operation.pool.as_deref()) {
            let policy = cluster.spec.get("maintenancePolicy").cloned();
            if let Some(pool) = pool_mut(cluster, pool) {
                staff.fill_up(pool);
                // An upgrade that reaches the end of its window pauses until the next one opens.
                let opening = windows::next_opening(policy.as_ref(), Part::Nodes, now);
                next = match opening {
                    Some(now_open) if !operation.automatic || now_open <= now => staff.surge(pool, now),
                    Some(later) => Next { look: Some(later), done: is_over(pool) },
                    None if !operation.automatic => staff.surge(pool, now),
                    None => Next { look: Some(now + windows::LOOK_AGAIN), done: is_over(pool) },
                };
            }
        }
        if let Some(operation) = self.operations.get_mut(name) {
            operation.node_due = next.look.unwrap_or(NEVER);
            if next.done {
                operation.end = now;
            }
        }
    }

    /// Takes nodes of a cluster away whose pods have gone, and lets the upgrade that waits for that go on.
    pub fn drained(&mut self, cluster: &str, nodes: &[String], now: Time) {
        let Some(home) = self.clusters.get_mut(cluster) else { return };
        for group in home.pools.iter_mut().flat_map(|pool| &mut pool.groups) {
            let gone = |node: &super::model::Machine| node.draining.is_some() && nodes.contains(&node.name);
            let alone = group.nodes.iter().filter(|node| gone(node) && node.alone).count();
            group.missing += u32::try_from(alone).unwrap_or(0);
            group.nodes.retain(|node| !gone(node));
        }
        let missing = home.pools.iter().flat_map(|pool| &pool.groups).any(|group| group.missing > 0);
        let operation = home.busy.as_ref().and_then(|name| self.operations.get_mut(name));
        let Some(operation) = operation.filter(|operation| operation.kind == Kind::UpgradeNodes) else {
            return;
        };
        operation.nodes_done += u32::try_from(nodes.len()).unwrap_or(0);
        if operation.nodes_done < operation.nodes_total || missing {
            let next = now + node_share(POOL, operation.nodes_total);
            operation.node_due = operation.node_due.min(next);
        } else {
            operation.end = now;
        }
    }
}

/// What comes next in an upgrade.
#[derive(Default)]
struct Next {
    /// When to look again; otherwise when a node is empty.
    look: Option<Time>,
    /// Whether nothing is left to do.
    done: bool,
}

fn is_over(pool: &Pool) -> bool {
    pool.groups.iter().all(Group::is_current)
}

impl Staff<'_> {
    /// Lets as many nodes be emptied as the pool's settings allow, with successors for those that surge.
    fn surge(&mut self, pool: &mut Pool, now: Time) -> Next {
        let (surge, unavailable) = limits(pool);
        let Some(group) = pool.groups.iter_mut().find(|group| !group.is_current()) else {
            return Next { look: None, done: true };
        };
        let going = |group: &Group, alone: bool| {
            group.nodes.iter().filter(|node| node.draining.is_some() && node.alone == alone).count()
        };
        let mut surge = surge.saturating_sub(going(group, false));
        let missing = usize::try_from(group.missing).unwrap_or(usize::MAX);
        let mut unavailable = unavailable.saturating_sub(going(group, true)).saturating_sub(missing);
        while let Some(at) = group.nodes.iter().position(|node| node.outdated && node.draining.is_none()) {
            let fresh = if surge > 0 { self.node(&group.base) } else { None };
            let Some(old) = group.nodes.get_mut(at).filter(|_| fresh.is_some() || unavailable > 0) else {
                break;
            };
            old.draining = Some(now);
            match fresh {
                Some(fresh) => {
                    surge -= 1;
                    group.nodes.insert(at + 1, fresh);
                }
                None => {
                    unavailable -= 1;
                    old.alone = true;
                }
            }
        }
        // Without an address for a successor nothing moves: that may change.
        let stuck = group.nodes.iter().all(|node| node.draining.is_none());
        Next { look: stuck.then_some(now + POOL), done: false }
    }
}
