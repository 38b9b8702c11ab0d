//! Simulated Exhibitors with their ZooKeepers: one group for each shared configuration directory.

use crate::api::{Answer, Context, Request, Time};
use crate::ids::Ids;
use serde::{Deserialize, Serialize};

/// All shared directories, with the members that mount each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Shares {}

/// What a pod tells its Exhibitor at the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStart {
    /// `SERVER:PATH` of the share that holds the configuration.
    pub share: String,
    /// Pod address: Exhibitor's `HOSTNAME`.
    pub address: String,
    /// `ZK_ENSEMBLE_SIZE` of the container, 0 when not set.
    pub ensemble_size: u32,
    /// Other environment variables of the container that matter to the image.
    pub env: std::collections::BTreeMap<String, String>,
}

impl Shares {
    /// A container with Exhibitor starts.
    pub fn start(&mut self, _member: MemberStart, _now: Time, _ids: &mut Ids) {}

    /// The container of this address is gone (killed or its grace period is over); its data with it.
    pub fn stop(&mut self, _address: &str, _now: Time) {}

    /// Whether our exec probe succeeds in this pod: ZooKeeper answers `srvr` with leader, follower or observer
    /// (standalone only if `accept_standalone`).
    #[must_use]
    pub fn ready(&self, _address: &str, _accept_standalone: bool) -> bool {
        false
    }

    /// Whether Exhibitor's port answers.
    #[must_use]
    pub fn answers(&self, _address: &str, _now: Time) -> bool {
        false
    }

    /// A request to the Exhibitor at this address; its `path` begins with `/exhibitor/v1/…` or is `/`.
    /// `None` when nothing listens there.
    pub fn handle(
        &mut self,
        _address: &str,
        _request: &Request,
        _context: &mut Context<'_>,
    ) -> Option<Answer> {
        None
    }

    /// When something happens next by itself.
    #[must_use]
    pub fn next_event(&self) -> Option<Time> {
        None
    }

    /// Carries out what is due.
    pub fn advance(&mut self, _now: Time, _ids: &mut Ids) {}
}
