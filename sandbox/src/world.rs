//! The whole world: one value, moved on by requests and by virtual time.

use crate::api::{ClusterKey, Context, Endpoints, Request, Response, Service, Time};
use crate::google::Google;
use crate::ids::Ids;
use crate::kubernetes::Answer;
use crate::members::Members;
use crate::{exhibitor, kubernetes};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Everything there is. Serialises to the state file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct World {
    /// Virtual time the world has been moved on to.
    pub now: Time,
    /// Ids still to be given out.
    pub ids: Ids,
    /// Google's APIs.
    pub google: Google,
    /// The Kubernetes APIs of running clusters.
    pub kubernetes: BTreeMap<ClusterKey, kubernetes::Cluster>,
    /// The Exhibitor ensembles, one for each shared directory.
    pub exhibitor: exhibitor::Shares,
}

impl World {
    /// An empty world at a virtual time.
    #[must_use]
    pub fn new(seed: u64, now: Time) -> Self {
        Self {
            now,
            ids: Ids::new(seed),
            google: Google::default(),
            kubernetes: BTreeMap::new(),
            exhibitor: exhibitor::Shares::default(),
        }
    }

    /// Answers one request at the world's own time. `arrived` is when the same request was first handed in.
    pub fn handle(&mut self, request: &Request, arrived: Time, endpoints: &Endpoints) -> Answer {
        let mut context = Context { now: self.now, arrived, ids: &mut self.ids, endpoints };
        match &request.service {
            Service::Kubernetes(key) => match self.kubernetes.get_mut(key) {
                Some(cluster) => cluster.handle(request, &mut Members(&mut self.exhibitor), &mut context),
                None => Response::text(503, "text/plain", "no such cluster").into(),
            },
            Service::Compute | Service::Container | Service::Filestore | Service::Storage => {
                let answer = self.google.handle(request, &mut context);
                for node in self.google.compute.reset_nodes() {
                    for cluster in self.kubernetes.values_mut() {
                        cluster.reset_node(&node, &mut Members(&mut self.exhibitor), self.now);
                    }
                }
                answer.map_or_else(|| Response::text(404, "text/plain", "no such API").into(), Answer::from)
            }
        }
    }

    /// When something happens next by itself, if anything.
    #[must_use]
    pub fn next_event(&self) -> Option<Time> {
        let parts = [self.google.next_event(), self.exhibitor.next_event()];
        let clusters = self.kubernetes.values().filter_map(kubernetes::Cluster::next_event);
        parts.into_iter().flatten().chain(clusters).min()
    }

    /// Moves virtual time on, event by event. Time never runs backwards.
    pub fn advance_to(&mut self, target: Time) {
        while let Some(next) = self.next_event().filter(|next| *next <= target) {
            let overdue = next <= self.now;
            self.now = self.now.max(next);
            self.settle();
            // What settling twice leaves undone waits for time to go by: it must not hold time up.
            if overdue && self.next_event() == Some(next) {
                break;
            }
        }
        self.now = self.now.max(target);
        self.settle();
    }

    /// The ensembles with their own clocks at the world's: what differs from it after a request is the request's doing.
    pub fn ensembles_now(&mut self) -> &exhibitor::Shares {
        self.exhibitor.advance(self.now, &mut self.ids);
        &self.exhibitor
    }

    /// What there is, in few words: for `zkprov sandbox show`.
    #[must_use]
    pub fn summary(&self) -> Value {
        let clusters: Vec<Value> = self
            .google
            .container
            .running_clusters()
            .iter()
            .map(|view| {
                let nodes: Vec<&str> = view.nodes.iter().map(|node| node.name.as_str()).collect();
                json!({ "cluster": view.key, "version": view.version, "nodes": nodes })
            })
            .collect();
        let exports: Vec<Value> = self
            .google
            .exports()
            .into_iter()
            .map(|export| json!({ "names": export.names, "path": export.path, "up": export.up }))
            .collect();
        json!({
            "now": crate::api::timestamp(self.now),
            "compute": self.google.compute.summary(),
            "runningClusters": clusters,
            "exports": exports,
            "buckets": self.google.storage.summary(),
        })
    }

    /// Carries out everything due at the present time, and lets the parts see each other's changes.
    fn settle(&mut self) {
        let now = self.now;
        self.google.advance(now, &mut self.ids);
        self.follow_clusters(now);
        // A node whose pods have gone is gone at once.
        let drained: Vec<(ClusterKey, Vec<String>)> = self
            .kubernetes
            .iter()
            .map(|(key, cluster)| (key.clone(), cluster.drained()))
            .filter(|(_, nodes)| !nodes.is_empty())
            .collect();
        for (key, nodes) in &drained {
            self.google.container.drained(key, nodes, now);
        }
        if !drained.is_empty() {
            self.follow_clusters(now);
        }
        self.exhibitor.advance(now, &mut self.ids);
    }

    /// Lets the rest of the world see what GKE has: its nodes in Compute Engine, its clusters' Kubernetes APIs.
    fn follow_clusters(&mut self, now: Time) {
        self.google.advance(now, &mut self.ids);
        // A running GKE cluster has a Kubernetes API; a deleted one takes its pods with it.
        let running = self.google.container.running_clusters();
        let gone: Vec<ClusterKey> = self
            .kubernetes
            .keys()
            .filter(|key| !running.iter().any(|view| view.key == **key))
            .cloned()
            .collect();
        for key in gone {
            if let Some(mut cluster) = self.kubernetes.remove(&key) {
                cluster.stop(&mut Members(&mut self.exhibitor), now);
            }
        }
        // What can be mounted: shares of our VMs and Filestore instances; other hosts are taken to serve.
        let exports = self.google.exports();
        for view in running {
            let cluster = self
                .kubernetes
                .entry(view.key.clone())
                .or_insert_with(|| kubernetes::Cluster::new(&view, now));
            cluster.set_nodes(&view.nodes, now);
            cluster.advance(now, &mut self.ids, &mut Members(&mut self.exhibitor), &exports);
        }
    }
}
