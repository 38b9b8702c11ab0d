//! The Kubernetes API of one cluster, its controllers, and its nodes' kubelets as far as they matter.

mod addresses;
mod admission;
mod answer;
mod apply;
mod bootstrap;
mod claims;
mod clock;
mod columns;
mod controllers;
mod decode;
mod defaults;
mod deletion;
mod discovery;
mod events;
mod eviction;
mod failure;
mod fields;
mod images;
mod kind;
mod logs;
mod managers;
mod network;
mod openapi;
mod patch;
mod programs;
mod protobuf;
mod proxy;
mod registry;
mod reviews;
mod route;
mod scale;
mod schema;
mod selectors;
mod services;
mod store;
mod streams;
mod table;
#[cfg(test)]
mod tests;
mod tree;
mod validation;
mod verbs;
mod wanted;
mod warden;
mod watch;

pub use self::answer::{Answer, PodStream};
pub use self::images::ImageFaults;
pub use self::kind::Kind;
pub use self::watch::WatchCursor;

pub(crate) use zkprov_emulator_common::{api, containers, ids, views};

use self::addresses::Addresses;
use self::failure::Failure;
use self::network::Network;
use self::registry::Registry;
use self::route::{Route, Target};
use self::store::Store;
use self::verbs::Call;
use crate::api::{Context, Request, Response, Time};
use crate::containers::Containers;
use crate::ids::Ids;
use crate::views::{ClusterView, Export, Node, PolicyEngine, share_name};
use serde::{Deserialize, Serialize};
use zkprov_emulator_common::table::{Rows, Tables};

/// What no part of the API server feels responsible for.
fn not_served() -> Response {
    Response::text(404, "text/plain; charset=utf-8", "404 page not found\n")
}

/// One cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    version: String,
    /// Network of its nodes and pods.
    network: String,
    store: Store,
    addresses: Addresses,
    controllers: controllers::Controllers,
    /// Nodes that the cluster should have, in the order they came.
    nodes: Vec<bootstrap::NodeSpec>,
    /// What enforces network policies.
    #[serde(default)]
    policies: PolicyEngine,
    /// Images that its nodes cannot pull.
    #[serde(default)]
    image_faults: ImageFaults,
    /// Zones in which nodes come as pods need them; only an Autopilot cluster has them.
    #[serde(default)]
    zones: Option<Vec<String>>,
}

impl Tables for Cluster {
    fn tables(&mut self, show: &mut dyn FnMut(&str, &mut dyn Rows)) {
        self.store.tables(show);
    }

    fn clocks(&mut self) -> Vec<&mut Time> {
        self.controllers.clocks().collect()
    }
}

impl Cluster {
    /// A fresh control plane with the nodes of the view.
    #[must_use]
    pub fn new(view: &ClusterView, now: Time) -> Self {
        let mut cluster = Self {
            version: view.version.clone(),
            network: view.network.clone(),
            store: Store::new(),
            addresses: Addresses::new(&view.pod_range),
            controllers: controllers::Controllers::default(),
            nodes: Vec::new(),
            policies: view.policies,
            image_faults: ImageFaults::default(),
            zones: view.autopilot.clone(),
        };
        // Uids of what is there from the start come from the cluster's own name: no request asked for them.
        let mut ids = Ids::new(bootstrap::seed(&view.key));
        bootstrap::fill(&mut cluster.registry(now, &mut ids));
        cluster.set_nodes(&view.nodes, now);
        cluster
    }

    fn registry<'a>(&'a mut self, now: Time, ids: &'a mut Ids) -> Registry<'a> {
        let autopilot = self.zones.is_some();
        let (store, addresses) = (&mut self.store, &mut self.addresses);
        Registry { store, addresses, ids, now, autopilot, warnings: Vec::new() }
    }

    /// Takes over what GKE says of the control plane.
    pub fn follow(&mut self, view: &ClusterView) {
        if self.version != view.version {
            self.version.clone_from(&view.version);
        }
        if self.zones != view.autopilot {
            self.zones.clone_from(&view.autopilot);
        }
    }

    /// Zones in which nodes should come for pods that find no place: nothing but in an Autopilot cluster.
    #[must_use]
    pub fn wanted_nodes(&self) -> Vec<String> {
        let disks = self.controllers.disks();
        self.zones.as_ref().map(|zones| wanted::zones(&self.store, zones, disks)).unwrap_or_default()
    }

    /// Nodes that are there now; pods of nodes that went are lost.
    pub fn set_nodes(&mut self, nodes: &[Node], now: Time) {
        let draining = nodes.iter().filter_map(|node| Some((node.name.clone(), node.draining?))).collect();
        let same = self.nodes.iter().map(|node| &node.name).eq(nodes.iter().map(|node| &node.name));
        if same && self.controllers.draining() == &draining {
            return;
        }
        let mut ids = Ids::new(bootstrap::seed(&format!("{}/{}", self.version, self.store.revision())));
        let version = self.version.clone();
        let known = std::mem::take(&mut self.nodes);
        self.nodes = bootstrap::sync_nodes(&mut self.registry(now, &mut ids), known, nodes, &version);
        self.controllers.drain(draining);
    }

    /// From now on this enforces network policies.
    pub const fn enforce(&mut self, policies: PolicyEngine) {
        self.policies = policies;
    }

    /// From now on its nodes cannot pull these images.
    pub fn refuse_images(&mut self, faults: &ImageFaults) {
        if self.image_faults != *faults {
            self.image_faults = faults.clone();
        }
    }

    /// The machine of a node was reset; nothing happens if the node is another cluster's.
    pub fn reset_node(&mut self, node: &str, shares: &mut dyn Containers, now: Time) {
        self.controllers.reset_node(node, shares, now);
    }

    /// What every NFS volume that an object has named goes by.
    pub fn shares(&self) -> impl Iterator<Item = String> {
        self.store.mounts().iter().map(|mount| share_name(&self.network, mount))
    }

    /// Whether any of its nodes is to be drained.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        !self.controllers.draining().is_empty()
    }

    /// Nodes to be drained that have no pods any more.
    #[must_use]
    pub fn drained(&self) -> Vec<String> {
        self.controllers.drained(&self.store)
    }

    /// Answers a request. Pod and service proxies reach the simulated Exhibitor of a pod through `shares`.
    pub fn handle(
        &mut self,
        request: &Request,
        shares: &mut dyn Containers,
        context: &mut Context<'_>,
    ) -> Answer {
        let mut answer =
            self.answer(request, shares, context).unwrap_or_else(|failure| Response::from(failure).into());
        if let Answer::Done(response) = &mut answer {
            // Google's own APIs name the character set; an API server does not.
            let plain = |(name, value): &&mut (String, String)| {
                name == "content-type" && value == "application/json; charset=UTF-8"
            };
            if let Some((_, value)) = response.headers.iter_mut().find(plain) {
                "application/json".clone_into(value);
            }
        }
        answer
    }

    fn answer(
        &mut self,
        request: &Request,
        shares: &mut dyn Containers,
        context: &mut Context<'_>,
    ) -> Result<Answer, Failure> {
        match Route::of(&request.path) {
            Route::Object(target) => self.object(request, &target, shares, context),
            Route::Group(group) => Ok(discovery::group(&group).unwrap_or_else(not_served).into()),
            Route::Review(review) => Ok(reviews::answer(&review, request)?.into()),
            Route::Other => {
                let known = discovery::answer(&request.path, request, &self.version);
                let known = known.or_else(|| openapi::answer(&request.path));
                let group = request.path.split('/').nth(2).unwrap_or_default();
                let known = known.or_else(|| (!discovery::serves(group)).then(not_served));
                Ok(known.ok_or_else(Failure::no_such_path)?.into())
            }
        }
    }

    fn object(
        &mut self,
        request: &Request,
        target: &Target,
        shares: &mut dyn Containers,
        context: &mut Context<'_>,
    ) -> Result<Answer, Failure> {
        let now = context.now;
        let served =
            target.subresource.as_deref().is_none_or(|part| target.kind.info().subresources.contains(&part));
        if !served {
            return Err(Failure::no_such_path());
        }
        match target.subresource.as_deref() {
            Some("proxy") => {
                let network = Network { store: &self.store, engine: self.policies };
                return proxy::answer(network, request, target, shares, context);
            }
            Some("exec") => {
                let network = Network { store: &self.store, engine: self.policies };
                return Ok(Answer::Stream(streams::exec(network, request, target, shares, now)?));
            }
            Some("portforward") => {
                return Ok(Answer::Stream(streams::forward(&self.store, request, target)?));
            }
            Some("log") => return Ok(logs::answer(&self.store, request, target, shares, context)?.into()),
            _ => {}
        }
        let watching = matches!(request.query("watch"), Some("true" | "1"));
        let mut call = Call::new(request, target);
        if request.method == "GET" && target.subresource.is_none() && (target.name.is_none() || watching) {
            return verbs::list(&self.store, target, request, now);
        }
        let mut registry = self.registry(now, context.ids);
        let response = match (request.method.as_str(), target.name.is_some(), target.subresource.as_deref()) {
            (_, true, Some("scale")) => call.scale(&mut registry),
            ("POST", true, Some("eviction")) => eviction::evict(&mut registry, &call),
            ("PUT", true, Some("finalize")) => call.update(&mut registry),
            ("GET", true, None | Some("status")) => call.get(&registry),
            ("PUT", true, None | Some("status")) => call.update(&mut registry),
            ("PATCH", true, None | Some("status")) => call.patch(&mut registry),
            ("POST", false, None) => call.create(&mut registry),
            ("DELETE", true, None) => call.delete(&mut registry),
            ("DELETE", false, None) => call.delete_collection(&mut registry),
            _ => Err(Failure::method_not_allowed()),
        };
        let mut response = response?;
        for warning in registry.warnings {
            response.headers.push(("warning".to_owned(), verbs::warning(&warning)));
        }
        Ok(response.into())
    }

    /// The lines a watch has to deliver since its cursor (each a JSON watch event with `\n`), and whether it ends.
    #[must_use]
    pub fn watch(&self, cursor: &mut WatchCursor, now: Time) -> (Vec<u8>, bool) {
        cursor.poll(&self.store, now)
    }

    /// When something happens next by itself.
    #[must_use]
    pub fn next_event(&self, shares: &dyn Containers) -> Option<Time> {
        self.controllers.next_event(&self.store, shares)
    }

    /// Lets the periods before `now` pass in which nothing changed: what is about to change has an effect from then on.
    pub fn skip(&mut self, now: Time) {
        self.controllers.skip(&self.store, now);
    }

    /// Runs the controllers, the scheduler and the kubelets: what is due.
    pub fn advance(&mut self, now: Time, ids: &mut Ids, shares: &mut dyn Containers, exports: &[Export]) {
        let autopilot = self.zones.is_some();
        let (store, addresses) = (&mut self.store, &mut self.addresses);
        let mut registry = Registry { store, addresses, ids, now, autopilot, warnings: Vec::new() };
        let outside = controllers::Outside {
            exports,
            network: &self.network,
            policies: self.policies,
            images: &self.image_faults,
        };
        self.controllers.run(&mut registry, shares, outside);
    }

    /// The cluster is deleted: its pods stop.
    pub fn stop(&mut self, shares: &mut dyn Containers, now: Time) {
        self.controllers.stop(&self.store, shares, now);
    }
}
