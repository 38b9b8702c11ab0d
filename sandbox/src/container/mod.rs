//! Google Kubernetes Engine: clusters, node pools, operations, server config.

use crate::api::{Answer, Context, Request, Response, Time};
use crate::ids::Ids;
use crate::world::{ClusterView, Node};
use serde::{Deserialize, Serialize};

/// All of GKE.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Container {}

impl Container {
    /// Answers a request.
    pub fn handle(&mut self, _request: &Request, _context: &mut Context<'_>) -> Answer {
        Response::text(404, "text/plain", "not found").into()
    }

    /// When something happens next by itself.
    #[must_use]
    pub fn next_event(&self) -> Option<Time> {
        None
    }

    /// Carries out what is due.
    pub fn advance(&mut self, _now: Time, _ids: &mut Ids) {}

    /// Node VMs of all clusters.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        Vec::new()
    }

    /// Clusters whose Kubernetes API answers.
    #[must_use]
    pub fn running_clusters(&self) -> Vec<ClusterView> {
        Vec::new()
    }
}
