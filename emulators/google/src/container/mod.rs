//! Google Kubernetes Engine: clusters, node pools, operations, server config.
//!
//! Requests of v1 and v1beta1 come to the same handlers, by `locations/…` and by the older `zones/…` paths. Where this
//! differs from the real service on purpose: the endpoint appears when the cluster is RUNNING (the real one shows it some
//! minutes before it answers), networks named in a request are taken to exist, and one operation runs on a cluster at a
//! time, those on different node pools too. What GKE does without being asked is off until [`Settings`] switch it on.

mod access;
mod autopilot;
mod create;
mod defaults;
mod model;
mod operations;
pub mod places;
mod pools;
pub mod refusal;
mod render;
mod replace;
mod route;
mod settings;
mod settle;
mod trouble;
mod update;
mod upgrades;
mod versions;
mod windows;

pub use settings::{Settings, Trouble, Upgrades};
pub use trouble::{Code, Outcome};

use crate::api::{Answer, ClusterKey, Context, Request, Response, Time};
use crate::ids::Ids;
use crate::rest::{self, Failure, check_booleans, enums_as_numbers};
use crate::schema::Api;
use crate::table::{Rows, Table};
use crate::views::{ClusterView, Node};
use model::{Cluster, Kind, Operation, Pool};
use places::Place;
use route::{Route, Target};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// All of GKE.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Container {
    clusters: Table<ClusterKey, Cluster>,
    /// By name, which begins with the time: in the order they were made.
    operations: Table<String, Operation>,
    #[serde(default)]
    settings: Settings,
    /// Since when upgrades that GKE begins by itself are counted.
    #[serde(default)]
    upgrades_since: Time,
}

/// A message and its value.
type Reply = Result<(&'static str, Value), Failure>;

impl Container {
    /// Answers a request.
    pub fn handle(&mut self, request: &Request, context: &mut Context<'_>) -> Answer {
        let reply = Route::parse(&request.segments()).and_then(|route| {
            check_booleans(request, &[]).map_err(Failure::invalid)?;
            let body = request
                .json()
                .map_err(|error| Failure::invalid(format!("Invalid JSON payload received. {error}")))?;
            let (message, value) = self.reply(&request.method, &route, &body, context)?;
            Ok(Api::Container.answer(route.version, message, enums_as_numbers(request), value))
        });
        match reply {
            Ok(value) => Response::json(200, &value).into(),
            Err(failure) => failure.with_errors().into(),
        }
    }

    fn reply(&mut self, method: &str, route: &Route, body: &Value, context: &mut Context<'_>) -> Reply {
        self.check_pools_are_open(route)?;
        let name = match (method, &route.target, route.verb.as_deref()) {
            ("GET", Target::ServerConfig, None) => return Ok(("ServerConfig", versions::server_config())),
            ("GET", Target::Clusters, None) => return Ok(self.list_clusters(route, context)),
            ("GET", Target::Cluster(name), None) => {
                let cluster = self.cluster(route, name)?;
                return Ok(("Cluster", self.render_cluster(cluster, route.version, context.endpoints)));
            }
            ("GET", Target::Pools(name), None) => {
                let cluster = self.cluster(route, name)?;
                let pools = cluster.pools.iter().map(|pool| self.render_pool(cluster, pool, route.version));
                return Ok(("ListNodePoolsResponse", json!({ "nodePools": pools.collect::<Vec<Value>>() })));
            }
            ("GET", Target::Pool(name, pool), None) => {
                let cluster = self.cluster(route, name)?;
                return Ok(("NodePool", self.render_pool(cluster, find_pool(cluster, pool)?, route.version)));
            }
            ("GET", Target::Operations, None) => return Ok(self.list_operations(route, context.now)),
            ("GET", Target::Operation(name), None) => {
                let operation = self.operation(route, name)?;
                return Ok(("Operation", render::operation(operation, route.version, context.now)));
            }
            ("POST", Target::Operation(name), Some("cancel")) => {
                self.cancel(route, name, context.now)?;
                return Ok(("Empty", json!({})));
            }
            ("POST", Target::Clusters, None) => self.create_cluster(route, body, context)?,
            ("PUT", Target::Cluster(name), None) => self.update_cluster(route, name, body, context)?,
            ("DELETE", Target::Cluster(name), None) => self.delete_cluster(route, name, context)?,
            ("POST", Target::Cluster(name), Some(verb)) => {
                self.set_on_cluster(route, name, verb, body, context)?
            }
            ("POST", Target::Pools(name), None) => self.create_pool(route, name, body, context)?,
            ("PUT", Target::Pool(name, pool), None) | ("POST", Target::Pool(name, pool), Some("update")) => {
                self.update_pool(route, (name, pool), body, context)?
            }
            ("DELETE", Target::Pool(name, pool), None) => self.delete_pool(route, (name, pool), context)?,
            ("POST" | "PUT", Target::Pool(name, pool), Some(verb)) => {
                self.set_on_pool(route, (name, pool), verb, body, context)?
            }
            _ => return Err(Failure::new(rest::Code::NotFound, "Method not found.")),
        };
        let operation = self.operation(route, &name)?;
        Ok(("Operation", render::operation(operation, route.version, context.now)))
    }

    fn list_clusters(&self, route: &Route, context: &Context<'_>) -> (&'static str, Value) {
        let clusters: Vec<Value> = self
            .clusters
            .values()
            .filter(|cluster| cluster.project == route.project && route.scope.covers(&cluster.place))
            .map(|cluster| self.render_cluster(cluster, route.version, context.endpoints))
            .collect();
        (
            "ListClustersResponse",
            if clusters.is_empty() { json!({}) } else { json!({ "clusters": clusters }) },
        )
    }

    /// The cluster a path names.
    fn cluster(&self, route: &Route, name: &str) -> Result<&Cluster, Failure> {
        let place = route.place()?;
        self.clusters.get(&key(&route.project, place, name)).ok_or_else(|| {
            Failure::new(
                rest::Code::NotFound,
                format!("Not found: projects/{}/{}/clusters/{name}.", route.project, place.link()),
            )
        })
    }

    /// The cluster a path names, if nothing is running on it.
    fn idle_cluster(&self, route: &Route, name: &str) -> Result<&Cluster, Failure> {
        let cluster = self.cluster(route, name)?;
        match self.running_on(cluster) {
            None => Ok(cluster),
            Some(operation) => Err(Failure::new(
                rest::Code::FailedPrecondition,
                format!(
                    "Operation {} is currently {} {name}. Please wait and try again once it is done.",
                    operation.name,
                    operation.kind.doing()
                ),
            )),
        }
    }

    fn running_on(&self, cluster: &Cluster) -> Option<&Operation> {
        self.operations.get(cluster.busy.as_ref()?)
    }

    /// When something happens next by itself.
    #[must_use]
    pub fn next_event(&self) -> Option<Time> {
        let operations = self.operations.values().filter_map(Operation::next_event);
        operations.chain(self.upgrade_due()).chain(self.growth_due()).min()
    }

    /// Carries out what is due.
    pub fn advance(&mut self, now: Time, ids: &mut Ids) {
        self.settle(now, ids);
    }

    /// What is kept row by row.
    pub(crate) fn tables(&mut self, show: &mut dyn FnMut(&str, &mut dyn Rows)) {
        show("container/clusters", &mut self.clusters);
        show("container/operations", &mut self.operations);
    }

    /// Whether a cluster was touched since its rows were last stored.
    #[must_use]
    pub fn is_touched(&self) -> bool {
        self.clusters.is_touched()
    }

    /// Node VMs of all clusters.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        self.clusters.values().flat_map(render::nodes).collect()
    }

    /// The cluster whose DNS endpoint has this name, and whether it lets in whoever is not Google's own service.
    #[must_use]
    pub fn dns_endpoint(&self, name: &str) -> Option<(ClusterKey, bool)> {
        let named = |cluster: &Cluster| cluster.ready && render::dns_name(cluster) == name;
        let (key, cluster) = self.clusters.iter().find(|(_, cluster)| named(cluster))?;
        Some((key.clone(), endpoints(cluster, "/dnsEndpointConfig/allowExternalTraffic") == Some(true)))
    }

    /// Whether a cluster's Kubernetes API has an address.
    #[must_use]
    pub fn has_ip_endpoint(&self, key: &str) -> bool {
        let off = |cluster: &Cluster| endpoints(cluster, "/ipEndpointsConfig/enabled") == Some(false);
        !self.clusters.get(key).is_some_and(off)
    }

    /// Clusters whose Kubernetes API answers.
    #[must_use]
    pub fn running_clusters(&self) -> Vec<ClusterView> {
        let deleting = |cluster: &Cluster| {
            self.running_on(cluster).is_some_and(|operation| operation.kind == Kind::DeleteCluster)
        };
        self.clusters
            .iter()
            .filter(|(_, cluster)| cluster.ready && !deleting(cluster))
            .map(|(key, cluster)| ClusterView {
                key: key.clone(),
                version: cluster.master_version.clone(),
                network: render::network(cluster),
                pod_range: cluster.pod_range.clone(),
                nodes: render::nodes(cluster),
                policies: cluster.policy_engine(),
                autopilot: autopilot::is_on(&cluster.spec)
                    .then(|| settle::strings(cluster.spec.get("locations"))),
            })
            .collect()
    }
}

/// A switch of `controlPlaneEndpointsConfig`.
fn endpoints(cluster: &Cluster, pointer: &str) -> Option<bool> {
    cluster.spec.get("controlPlaneEndpointsConfig")?.pointer(pointer)?.as_bool()
}

/// `PROJECT/LOCATION/NAME`
fn key(project: &str, place: &Place, name: &str) -> ClusterKey {
    format!("{project}/{}/{name}", place.name())
}

fn find_pool<'a>(cluster: &'a Cluster, name: &str) -> Result<&'a Pool, Failure> {
    cluster.pools.iter().find(|pool| pool.name == name).ok_or_else(|| {
        Failure::new(rest::Code::NotFound, format!("Not found: node pool \"{name}\" not found."))
    })
}
