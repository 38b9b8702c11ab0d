//! The whole world: one value, moved on by requests and by virtual time.

use crate::api::{Answer, ClusterKey, Context, Endpoints, Request, Service, Time};
use crate::ids::Ids;
use crate::{compute, container, exhibitor, filestore, kubernetes, serviceusage, storage};
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
    /// Compute Engine.
    pub compute: compute::Compute,
    /// Google Kubernetes Engine.
    pub container: container::Container,
    /// Filestore.
    pub filestore: filestore::Filestore,
    /// Cloud Storage. Worlds that were stored before it was there have none.
    #[serde(default)]
    pub storage: storage::Storage,
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
            compute: compute::Compute::default(),
            container: container::Container::default(),
            filestore: filestore::Filestore::default(),
            storage: storage::Storage::default(),
            kubernetes: BTreeMap::new(),
            exhibitor: exhibitor::Shares::default(),
        }
    }

    /// Answers one request at the world's own time. `arrived` is when the same request was first handed in.
    pub fn handle(&mut self, request: &Request, arrived: Time, endpoints: &Endpoints) -> Answer {
        let mut context = Context { now: self.now, arrived, ids: &mut self.ids, endpoints };
        match &request.service {
            Service::Compute => {
                let answer = self.compute.handle(request, &mut context);
                for node in self.compute.reset_nodes() {
                    for cluster in self.kubernetes.values_mut() {
                        cluster.reset_node(&node, &mut self.exhibitor, self.now);
                    }
                }
                answer
            }
            Service::Container => {
                serviceusage::handle(request).unwrap_or_else(|| self.container.handle(request, &mut context))
            }
            Service::Filestore => self.filestore.handle(request, &mut context),
            Service::Storage => self.storage.handle(request, &mut context),
            Service::Kubernetes(key) => match self.kubernetes.get_mut(key) {
                Some(cluster) => cluster.handle(request, &mut self.exhibitor, &mut context),
                None => Answer::Done(crate::api::Response::text(503, "text/plain", "no such cluster")),
            },
        }
    }

    /// When something happens next by itself, if anything.
    #[must_use]
    pub fn next_event(&self) -> Option<Time> {
        let parts = [
            self.compute.next_event(),
            self.container.next_event(),
            self.filestore.next_event(),
            self.exhibitor.next_event(),
        ];
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
            .container
            .running_clusters()
            .iter()
            .map(|view| {
                let nodes: Vec<&str> = view.nodes.iter().map(|node| node.name.as_str()).collect();
                json!({ "cluster": view.key, "version": view.version, "nodes": nodes })
            })
            .collect();
        let exports: Vec<Value> = self
            .compute
            .exports()
            .into_iter()
            .chain(self.filestore.exports())
            .map(|export| json!({ "names": export.names, "path": export.path, "up": export.up }))
            .collect();
        json!({
            "now": crate::api::timestamp(self.now),
            "compute": self.compute.summary(),
            "runningClusters": clusters,
            "exports": exports,
            "buckets": self.storage.summary(),
        })
    }

    /// Carries out everything due at the present time, and lets the parts see each other's changes.
    fn settle(&mut self) {
        let now = self.now;
        self.compute.advance(now, &mut self.ids);
        self.container.advance(now, &mut self.ids);
        self.filestore.advance(now, &mut self.ids);
        self.follow_clusters(now);
        // A node whose pods have gone is gone at once.
        let drained: Vec<(ClusterKey, Vec<String>)> = self
            .kubernetes
            .iter()
            .map(|(key, cluster)| (key.clone(), cluster.drained()))
            .filter(|(_, nodes)| !nodes.is_empty())
            .collect();
        for (key, nodes) in &drained {
            self.container.drained(key, nodes, now);
        }
        if !drained.is_empty() {
            self.follow_clusters(now);
        }
        self.exhibitor.advance(now, &mut self.ids);
    }

    /// Lets the rest of the world see what GKE has: its nodes in Compute Engine, its clusters' Kubernetes APIs.
    fn follow_clusters(&mut self, now: Time) {
        // Node VMs and instance groups of GKE stand in Compute Engine too.
        self.compute.sync_nodes(&self.container.nodes(), now, &mut self.ids);
        // A running GKE cluster has a Kubernetes API; a deleted one takes its pods with it.
        let running = self.container.running_clusters();
        let gone: Vec<ClusterKey> = self
            .kubernetes
            .keys()
            .filter(|key| !running.iter().any(|view| view.key == **key))
            .cloned()
            .collect();
        for key in gone {
            if let Some(mut cluster) = self.kubernetes.remove(&key) {
                cluster.stop(&mut self.exhibitor, now);
            }
        }
        // What can be mounted: shares of our VMs and Filestore instances; other hosts are taken to serve.
        let exports: Vec<Export> =
            self.compute.exports().into_iter().chain(self.filestore.exports()).collect();
        for view in running {
            let cluster = self
                .kubernetes
                .entry(view.key.clone())
                .or_insert_with(|| kubernetes::Cluster::new(&view, now));
            cluster.follow(&view);
            cluster.set_nodes(&view.nodes, now);
            cluster.advance(now, &mut self.ids, &mut self.exhibitor, &exports);
            // Where GKE manages the nodes, pods that find no place bring some about.
            self.container.want_nodes(&view.key, cluster.wanted_nodes(), now);
        }
    }
}

/// A directory that some server of this world exports by NFS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Every name and address the server is reached by.
    pub names: Vec<String>,
    /// Export path.
    pub path: String,
    /// Whether it answers now.
    pub up: bool,
}

/// A running GKE cluster as the rest of the world needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterView {
    /// `PROJECT/LOCATION/NAME`
    pub key: ClusterKey,
    /// Kubernetes version, `1.33.5-gke.100`.
    pub version: String,
    /// Node names with their internal addresses.
    pub nodes: Vec<Node>,
    /// Zones in which nodes come as pods need them, when the nodes are GKE's business: an Autopilot cluster's.
    pub autopilot: Option<Vec<String>>,
}

/// A node of a GKE cluster, which is a VM too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// VM and node name.
    pub name: String,
    /// Project of the VM.
    pub project: String,
    /// Zone of the VM.
    pub zone: String,
    /// Internal address.
    pub ip: String,
    /// Machine type, short name.
    pub machine_type: String,
    /// Network tags.
    pub tags: Vec<String>,
    /// Name of the instance group manager that owns it.
    pub group: String,
    /// Labels of the VM.
    pub labels: BTreeMap<String, String>,
    /// Since when its pods are to be evicted, because it is being replaced.
    pub draining: Option<Time>,
    /// Kubernetes version of a fresh node of its pool.
    #[serde(default)]
    pub version: String,
}
