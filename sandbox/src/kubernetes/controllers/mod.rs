//! The controllers, the scheduler and the kubelets.

use super::registry::Registry;
use super::store::Store;
use crate::api::Time;
use crate::exhibitor::Shares;
use crate::world::Export;
use serde::{Deserialize, Serialize};

/// What they remember between runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Controllers {
    /// Revision up to which everything was reconciled.
    reconciled: u64,
}

impl Controllers {
    /// When something is due.
    pub(super) fn next_event(&self, store: &Store) -> Option<Time> {
        (store.revision() != self.reconciled).then(|| store.written())
    }

    /// Does what is due.
    pub(super) fn run(&mut self, registry: &mut Registry<'_>, _shares: &mut Shares, _exports: &[Export]) {
        self.reconciled = registry.store.revision();
    }

    /// The cluster is gone.
    pub(super) fn stop(&mut self, _store: &Store, _shares: &mut Shares, _now: Time) {}
}
