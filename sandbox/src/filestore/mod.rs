//! Filestore: instances and long-running operations.

use crate::api::{Answer, Context, Request, Response, Time};
use crate::ids::Ids;
use crate::world::Export;
use serde::{Deserialize, Serialize};

/// All of Filestore.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Filestore {}

impl Filestore {
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

    /// What the instances export.
    #[must_use]
    pub fn exports(&self) -> Vec<Export> {
        Vec::new()
    }
}
