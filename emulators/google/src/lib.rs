//! Google Cloud as far as an ensemble needs it: Compute Engine, Google Kubernetes Engine, Filestore, Cloud Storage and Service
//! Usage. Pure: a request and a virtual time in, an answer out.

pub mod compute;
pub mod container;
pub mod filestore;
mod multipart;
pub mod rest;
pub mod schema;
pub mod serviceusage;
pub mod storage;

pub(crate) use zkprov_emulator_common::{api, ids, table, views};

use api::{Answer, Context, Request, Service, Time};
use ids::Ids;
use serde::{Deserialize, Serialize};
use table::{Rows, Tables};
use views::Export;

/// All of its APIs' state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Google {
    /// Compute Engine.
    pub compute: compute::Compute,
    /// Google Kubernetes Engine.
    pub container: container::Container,
    /// Filestore.
    pub filestore: filestore::Filestore,
    /// Cloud Storage.
    pub storage: storage::Storage,
}

impl Google {
    /// Answers a request to one of these APIs; `None` for a request to a cluster's Kubernetes API.
    pub fn handle(&mut self, request: &Request, context: &mut Context<'_>) -> Option<Answer> {
        match &request.service {
            Service::Compute => Some(self.compute.handle(request, context)),
            Service::Container => {
                Some(serviceusage::handle(request).unwrap_or_else(|| self.container.handle(request, context)))
            }
            Service::Filestore => Some(self.filestore.handle(request, context)),
            Service::Storage => Some(self.storage.handle(request, context)),
            Service::Kubernetes(_) => None,
        }
    }

    /// When something happens next by itself.
    #[must_use]
    pub fn next_event(&self) -> Option<Time> {
        let parts = [self.compute.next_event(), self.container.next_event(), self.filestore.next_event()];
        parts.into_iter().flatten().min()
    }

    /// Carries out what is due; GKE's node VMs and instance groups stand in Compute Engine too.
    pub fn advance(&mut self, now: Time, ids: &mut Ids) {
        self.compute.advance(now, ids);
        self.container.advance(now, ids);
        self.filestore.advance(now, ids);
        if self.is_touched() {
            self.compute.sync_nodes(&self.container.nodes(), now, ids);
        }
    }

    /// Whether anything may differ from what was last stored.
    #[must_use]
    pub fn is_touched(&self) -> bool {
        self.container.is_touched() || self.compute.is_touched() || self.filestore.is_touched()
    }

    /// What can be mounted: shares of file server VMs and of Filestore instances.
    #[must_use]
    pub fn exports(&self) -> Vec<Export> {
        self.compute.exports().into_iter().chain(self.filestore.exports()).collect()
    }
}

impl Tables for Google {
    fn tables(&mut self, show: &mut dyn FnMut(&str, &mut dyn Rows)) {
        self.compute.tables(show);
        self.container.tables(show);
        self.filestore.tables(show);
        self.storage.tables(show);
    }
}

/// A project's cloud for tests of one API: it answers, and its time goes on.
#[cfg(test)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) ids: Ids,
    pub(crate) google: Google,
}

#[cfg(test)]
impl World {
    pub(crate) fn new(seed: u64, now: Time) -> Self {
        Self { now, ids: Ids::new(seed), google: Google::default() }
    }

    pub(crate) fn handle(&mut self, request: &Request, arrived: Time, endpoints: &api::Endpoints) -> Answer {
        let mut context = Context { now: self.now, arrived, ids: &mut self.ids, endpoints };
        self.google.handle(request, &mut context).expect("one of Google's APIs")
    }

    pub(crate) fn advance_to(&mut self, target: Time) {
        while let Some(next) = self.google.next_event().filter(|next| *next <= target) {
            self.now = self.now.max(next);
            self.google.advance(self.now, &mut self.ids);
            // There are no pods here: a node that is to be drained is empty at once.
            for view in self.google.container.running_clusters() {
                let drained = view.nodes.iter().filter(|node| node.draining.is_some());
                let drained: Vec<String> = drained.map(|node| node.name.clone()).collect();
                self.google.container.drained(&view.key, &drained, self.now);
            }
        }
        self.now = target;
        self.google.advance(target, &mut self.ids);
    }
}
