//! The Kubernetes API of one cluster, its controllers, and its nodes' kubelets as far as they matter.

use crate::api::{Answer, Context, Request, Response, Time};
use crate::exhibitor::Shares;
use crate::ids::Ids;
use crate::world::{ClusterView, Export, Node};
use serde::{Deserialize, Serialize};

/// One cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cluster {}

/// Where a watch stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchCursor {}

impl Cluster {
    /// A fresh control plane with the nodes of the view.
    #[must_use]
    pub fn new(_view: &ClusterView, _now: Time) -> Self {
        Self {}
    }

    /// Nodes that are there now; pods of nodes that went are lost.
    pub fn set_nodes(&mut self, _nodes: &[Node], _now: Time) {}

    /// Answers a request. Pod and service proxies reach the simulated Exhibitor of a pod through `shares`.
    pub fn handle(&mut self, _request: &Request, _shares: &mut Shares, _context: &mut Context<'_>) -> Answer {
        Response::text(404, "text/plain", "not found").into()
    }

    /// The lines a watch has to deliver since its cursor (each a JSON watch event with `\n`), and whether it ends.
    pub fn watch(&self, _cursor: &mut WatchCursor, _now: Time) -> (Vec<u8>, bool) {
        (Vec::new(), true)
    }

    /// When something happens next by itself.
    #[must_use]
    pub fn next_event(&self) -> Option<Time> {
        None
    }

    /// Runs the controllers, the scheduler and the kubelets: what is due.
    pub fn advance(&mut self, _now: Time, _ids: &mut Ids, _shares: &mut Shares, _exports: &[Export]) {}

    /// The cluster is deleted: its pods stop.
    pub fn stop(&mut self, _shares: &mut Shares, _now: Time) {}
}
