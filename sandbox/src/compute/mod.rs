//! Compute Engine: instances, disks, addresses, firewalls, images, snapshots and schedules, machine types, zones,
//! networks, operations, serial port and guest attributes.

use crate::api::{Answer, Context, Request, Response, Time};
use crate::ids::Ids;
use crate::world::{Export, Node};
use serde::{Deserialize, Serialize};

/// All of Compute Engine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Compute {}

impl Compute {
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

    /// Makes the node VMs and instance group managers of GKE stand here, and no others of their kind.
    pub fn sync_nodes(&mut self, _nodes: &[Node], _now: Time, _ids: &mut Ids) {}

    /// What there is, in few words.
    #[must_use]
    pub fn summary(&self) -> serde_json::Value {
        serde_json::json!({})
    }

    /// What file server VMs export.
    #[must_use]
    pub fn exports(&self) -> Vec<Export> {
        Vec::new()
    }
}
