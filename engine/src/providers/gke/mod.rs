//! Google Kubernetes Engine: the cluster and its node pool.
//!
//! Bodies are the REST JSON of `Cluster` and `NodePool`. A node pool's document is its entry in the cluster's
//! `nodePools`, with one key of ours: [`LIVE_NODE_COUNT`]. Cluster updates go one field a call, with the etag.

mod access;
mod calls;
mod observe;
mod operations;

pub use access::ClusterAccess;

use super::caller::{Caller, not_connected, tuned};
use super::classify::{Api, is_absent};
use super::names::{self, with_names};
use super::scan;
use super::strict::json;
use crate::connection::{Connection, install_crypto};
use crate::credentials::Credentials;
use crate::error::{ProviderError, ProviderErrorKind};
use crate::provider::{Observations, Progress, Provider, ReadRequest};
use calls::Job;
use futures::FutureExt;
use futures::future::BoxFuture;
use google_cloud_compute_v1::client::InstanceGroupManagers;
use google_cloud_container_v1::client::ClusterManager;
use google_cloud_container_v1::model::Cluster;
use observe::Flights;
use serde_json::{Value, json as object};
use std::sync::Arc;
use zkprov_plans::observed::{Live, Reading};
use zkprov_plans::plan::{Call, Change, ReadyWhen};
use zkprov_plans::readiness::{self, Verdict};
use zkprov_plans::resource::{ResourceId, ResourceKind, Scope};

/// The key in a node pool's document that holds its live size, in nodes over all its zones: the target size of its
/// instance groups, or the cluster's `currentNodeCount` when it has no other pool. Missing when neither could be read.
/// `initialNodeCount` never changes, so it says nothing about the size.
pub const LIVE_NODE_COUNT: &str = "zkprovLiveNodeCount";

/// Google Kubernetes Engine.
#[derive(Clone)]
pub struct GkeProvider {
    caller: Caller,
    groups_caller: Caller,
    clusters: ClusterManager,
    groups: InstanceGroupManagers,
    flights: Arc<Flights>,
}

/// Where a cluster is, and the pool in it that is meant, if one is.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    project: &'a str,
    location: &'a str,
    cluster: &'a str,
    pool: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn of(id: &'a ResourceId) -> Result<Self, ProviderError> {
        match (id.kind, &id.scope) {
            (ResourceKind::Cluster, Scope::Google { project, location }) => {
                Ok(Self { project, location, cluster: &id.name, pool: None })
            }
            (ResourceKind::NodePool, Scope::Pool { project, location, cluster }) => {
                Ok(Self { project, location, cluster, pool: Some(&id.name) })
            }
            _ => Err(not_ours(id, "not a GKE resource")),
        }
    }

    /// `projects/P/locations/Z`
    fn parent(&self) -> String {
        format!("projects/{}/locations/{}", self.project, self.location)
    }

    /// `projects/P/locations/Z/clusters/C`
    fn cluster_path(&self) -> String {
        format!("{}/clusters/{}", self.parent(), self.cluster)
    }

    /// `cluster cluster-1` or `node pool default-pool`
    fn what(&self) -> String {
        match self.pool {
            None => format!("cluster {}", self.cluster),
            Some(pool) => format!("node pool {pool} of cluster {}", self.cluster),
        }
    }
}

/// A call sent to the wrong provider: a mistake of ours, reported instead of guessed at.
fn not_ours(id: &ResourceId, why: &str) -> ProviderError {
    ProviderError::new(
        ProviderErrorKind::Invalid,
        format!("working on {id}"),
        format!("{why}; this is a bug in zkprov"),
    )
}

/// A cluster as a document: JSON with names for enums.
fn document(cluster: &Cluster) -> Value {
    with_names(json(cluster), names::cluster())
}

impl GkeProvider {
    /// Makes the clients; sends nothing.
    ///
    /// # Errors
    /// [`ProviderErrorKind::Invalid`] when an endpoint is not a URL.
    pub async fn connect(connection: &Connection, credentials: &Credentials) -> Result<Self, ProviderError> {
        install_crypto();
        let endpoints = &connection.endpoints;
        let clusters =
            tuned(ClusterManager::builder(), endpoints.container.as_ref(), credentials).build().await;
        let groups =
            tuned(InstanceGroupManagers::builder(), endpoints.compute.as_ref(), credentials).build().await;
        Ok(Self {
            caller: Caller::new(Api::Container, connection),
            groups_caller: Caller::new(Api::Compute, connection),
            clusters: clusters.map_err(|error| not_connected(Api::Container, &error))?,
            groups: groups.map_err(|error| not_connected(Api::Compute, &error))?,
            flights: Arc::default(),
        })
    }

    /// How the Kubernetes API of a cluster is reached. A list of clusters that is under way for the same project and
    /// zone, e.g. that of [`Provider::observe`], is joined: called together, both cost one request. Else the cluster is read by
    /// its name, whatever else the zone holds.
    ///
    /// # Errors
    /// When the API does not answer; absence is not an error.
    pub async fn cluster_access(
        &self,
        project: &str,
        zone: &str,
        name: &str,
    ) -> Result<Reading<ClusterAccess>, ProviderError> {
        let found = match self.listing(project, zone) {
            Some(listing) => {
                let listed = listing.await;
                let clusters = listed.as_ref().as_ref().map_err(ProviderError::again)?;
                clusters.iter().find(|cluster| cluster.name == name).map(document)
            }
            None => self.find(&Place { project, location: zone, cluster: name, pool: None }).await?,
        };
        found.map_or(Ok(Reading::Absent), |cluster| ClusterAccess::of(&cluster, zone).map(Reading::Known))
    }

    /// The cluster's document.
    async fn get(&self, place: &Place<'_>) -> Result<Value, ProviderError> {
        let get = self.clusters.get_cluster().set_name(place.cluster_path());
        let what = format!("cluster {}", place.cluster);
        self.caller.read(&what, || get.clone().send()).await.map(|cluster| document(&cluster))
    }

    /// The cluster's or the pool's document; `None` when it is not there.
    async fn find(&self, place: &Place<'_>) -> Result<Option<Value>, ProviderError> {
        let cluster = match self.get(place).await {
            Ok(cluster) => cluster,
            Err(error) if is_absent(&error, &format!("clusters/{}", place.cluster)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(pool) = place.pool else { return Ok(Some(cluster)) };
        let sizes = self.group_sizes(place.project, place.location).await;
        Ok(observe::pool_documents(&cluster, &sizes)
            .into_iter()
            .find(|document| scan::name(document) == Some(pool)))
    }

    async fn refreshed(&self, id: &ResourceId, body: &Value) -> Result<Reading<Live>, ProviderError> {
        let found = self.find(&Place::of(id)?).await?;
        let Some(document) = found else { return Ok(Reading::Absent) };
        let owner = scan::owner(body).or_else(|| scan::owner(&document)).unwrap_or_default().to_owned();
        Ok(Reading::Known(scan::live(document, &owner)))
    }

    async fn readiness(&self, change: &Change) -> Result<Verdict, ProviderError> {
        let verdict: fn(&Value) -> Verdict = match &change.ready_when {
            ReadyWhen::Done => return Ok(Verdict::Ready),
            ReadyWhen::Gone => |_| Verdict::Progressing("still there".to_owned()),
            ReadyWhen::ClusterRunning => readiness::cluster,
            ReadyWhen::NodePoolRunning => readiness::node_pool,
            ReadyWhen::FileServerReady { .. }
            | ReadyWhen::FilestoreReady
            | ReadyWhen::PodsAnswer { .. }
            | ReadyWhen::EnsembleServes { .. }
            | ReadyWhen::QuorumHolds { .. } => {
                return Err(not_ours(&change.id, "a readiness of another API"));
            }
        };
        let absent = match change.ready_when == ReadyWhen::Gone {
            true => Verdict::Ready,
            false => Verdict::Progressing("not there yet".to_owned()),
        };
        Ok(self.find(&Place::of(&change.id)?).await?.as_ref().map_or(absent, verdict))
    }
}

impl Provider for GkeProvider {
    fn serves(&self, id: &ResourceId) -> bool {
        Place::of(id).is_ok()
    }

    fn observe<'a>(&'a self, requests: &'a [ReadRequest<'a>]) -> BoxFuture<'a, Observations> {
        self.observe_all(requests).boxed()
    }

    fn refresh<'a>(
        &'a self,
        id: &'a ResourceId,
        body: &'a Value,
    ) -> BoxFuture<'a, Result<Reading<Live>, ProviderError>> {
        self.refreshed(id, body).boxed()
    }

    fn call<'a>(
        &'a self,
        change: &'a Change,
        call: &'a Call,
        live: &'a Reading<Live>,
        _request_id: &'a str,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        async move { self.carry_out(&Job::new(change, call, live, progress)?, call).await }.boxed()
    }

    fn ready<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Verdict, ProviderError>> {
        self.readiness(change).boxed()
    }

    fn settle<'a>(
        &'a self,
        id: &'a ResourceId,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        async move { self.settle_operations(&Place::of(id)?, progress).await }.boxed()
    }
}

/// `{"nodeCount": 3}` and the like as one JSON object with the resource's path.
fn with_path(path: String, more: Value) -> Value {
    let mut request = object!({"name": path});
    if let Value::Object(more) = more {
        for (key, value) in more {
            request[key] = value;
        }
    }
    request
}
