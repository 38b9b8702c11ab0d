//! Reading GKE: one list of clusters for each zone, which brings the node pools too; beside it the sizes of instance
//! groups and the operations under way.

use super::super::classify::Api;
use super::super::scan::{List, Listed, link_end, live, name, owner, readings};
use super::{GkeProvider, LIVE_NODE_COUNT, document};
use crate::error::ProviderError;
use crate::provider::{Observation, Observations, ReadRequest};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared, join_all};
use google_cloud_container_v1::model::{self, Operation};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use zkprov_plans::document::{ENSEMBLE_LABEL, OWNER_MARK};
use zkprov_plans::observed::{Live, Ownership, Reading, RunningOperation};
use zkprov_plans::resource::{ResourceId, ResourceKind, Scope};
use zkprov_plans::spec::{Cluster, ValidSpec};

/// Target sizes of instance groups by name; `None` when they could not be read.
pub(super) type GroupSizes = Option<BTreeMap<String, u64>>;

/// All clusters of a zone, as the API sends them: few of them concern a request, and only those become documents.
pub(super) type Clusters = Result<Vec<model::Cluster>, ProviderError>;

pub(super) type Flight = BoxFuture<'static, Arc<Clusters>>;

/// Lists under way, by project and zone. Nothing is kept once a list is there: a list is joined, never remembered.
#[derive(Default)]
pub(super) struct Flights(Mutex<ByZone>);

type ByZone = BTreeMap<(String, String), WeakShared<Flight>>;

fn under_way(flights: &ByZone, key: &(String, String)) -> Option<Shared<Flight>> {
    flights.get(key).and_then(WeakShared::upgrade).filter(|flight| flight.peek().is_none())
}

/// What was read in one zone.
struct Zone {
    /// Documents of the clusters that a request is about.
    clusters: Listed,
    sizes: GroupSizes,
    operations: Vec<Operation>,
}

impl GkeProvider {
    /// The list of a zone's clusters that is under way, if one is.
    pub(super) fn listing(&self, project: &str, zone: &str) -> Option<Shared<Flight>> {
        let flights = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        under_way(&flights, &(project.to_owned(), zone.to_owned()))
    }

    /// All clusters of a zone.
    fn list_clusters(&self, project: &str, zone: &str) -> Shared<Flight> {
        let key = (project.to_owned(), zone.to_owned());
        let mut flights = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = under_way(&flights, &key) {
            return flight;
        }
        let (this, list) = (self.clone(), List::new(ResourceKind::Cluster, project, zone));
        let flight = async move { Arc::new(this.list(&list).await) }.boxed().shared();
        flights.retain(|_, flight| flight.upgrade().is_some());
        if let Some(weak) = flight.downgrade() {
            flights.insert(key, weak);
        }
        flight
    }

    /// The API has no pages for clusters.
    async fn list(&self, list: &List) -> Clusters {
        let call = self.clusters.list_clusters();
        let call = call.set_parent(format!("projects/{}/locations/{}", list.project, list.location));
        let listed = self.caller.read(&list.what(), || call.clone().send()).await?;
        if !listed.missing_zones.is_empty() {
            tracing::warn!(zones = ?listed.missing_zones, "GKE could not list clusters of some zones");
        }
        Ok(listed.clusters)
    }

    /// Sizes of the instance groups of a zone. Where they can't be read, `currentNodeCount` may still tell.
    pub(super) async fn group_sizes(&self, project: &str, zone: &str) -> GroupSizes {
        let list = self.groups.list().set_project(project).set_zone(zone);
        let page = |token| {
            let list = list.clone().set_or_clear_page_token(token);
            async move { list.send().await.map(|page| (page.items, page.next_page_token)) }
        };
        let groups = self.groups_caller.pages(&format!("instance groups in {zone} of {project}"), page).await;
        let groups =
            groups.inspect_err(|error| tracing::debug!(%error, "no sizes of instance groups")).ok()?;
        let sizes = groups
            .into_iter()
            .filter_map(|group| Some((group.name?, u64::try_from(group.target_size?).ok()?)));
        Some(sizes.collect())
    }

    pub(super) async fn observe_all(&self, requests: &[ReadRequest<'_>]) -> Observations {
        let wanted: Vec<BTreeSet<List>> = requests.iter().map(lists).collect();
        let lists: BTreeSet<&List> = wanted.iter().flatten().collect();
        let zones =
            join_all(lists.into_iter().map(|list| async move { (list, self.zone(list, requests).await) }))
                .await;
        let zones: BTreeMap<&List, Zone> = zones.into_iter().collect();
        let observe = |(request, wanted): (&ReadRequest<'_>, &BTreeSet<List>)| {
            let mut observation = Observation::default();
            for (list, zone) in wanted.iter().filter_map(|list| Some((list, zones.get(list)?))) {
                zone.observe(list, request, &mut observation);
            }
            observation
        };
        requests.iter().zip(&wanted).map(observe).collect()
    }

    async fn zone(&self, list: &List, requests: &[ReadRequest<'_>]) -> Zone {
        let (project, zone) = (list.project.as_str(), list.location.as_str());
        let (clusters, sizes, operations) = futures::join!(
            self.list_clusters(project, zone),
            self.group_sizes(project, zone),
            self.operations_under_way(project, zone)
        );
        // Without them a busy cluster is found out when it is written to; nothing is taken for absent.
        let operations =
            operations.inspect_err(|error| tracing::warn!(%error, "GKE operations could not be listed"));
        let concerns =
            |cluster: &&model::Cluster| requests.iter().any(|request| concerns(cluster, list, request));
        let clusters = match clusters.as_ref() {
            Ok(clusters) => Ok(clusters.iter().filter(concerns).map(document).collect()),
            Err(error) => Err(error.again()),
        };
        Zone { clusters, sizes, operations: operations.unwrap_or_default() }
    }
}

impl Zone {
    fn observe(&self, list: &List, request: &ReadRequest<'_>, observation: &mut Observation) {
        let clusters = readings(Api::Container.title(), list, &self.clusters, request);
        // A cluster that somebody else owns is no resource of ours, whether it can be read or not.
        let managed = is_managed(request.spec);
        let clusters =
            clusters.into_iter().filter(|(id, reading)| managed || is_ours(reading) || id.name == "*");
        observation.resources.extend(clusters);
        observation.resources.extend(self.missing(list, request.spec).map(|id| (id, Reading::Absent)));
        observation.resources.extend(self.pools(list, request));
        for operation in &self.operations {
            let target = target_of(operation, list).filter(|id| observation.resources.contains_key(id));
            if let Some(target) = target {
                observation.operations.push(RunningOperation {
                    target,
                    verb: operation.operation_type.name().unwrap_or("OPERATION").to_owned(),
                    name: operation.name.clone(),
                });
            }
        }
    }

    /// The cluster that the spec says exists, where it does not: nothing is to be created in it.
    fn missing(&self, list: &List, spec: &ValidSpec) -> Option<ResourceId> {
        let Cluster::Existing { name: wanted } = &spec.cluster else { return None };
        let clusters = self.clusters.as_ref().ok()?;
        let there = clusters.iter().any(|cluster| name(cluster) == Some(wanted.as_str()));
        (!there && list.location == spec.zone).then(|| list.id(wanted))
    }

    /// Readings of desired node pools, and of every further pool in a cluster of the ensemble.
    fn pools(&self, list: &List, request: &ReadRequest<'_>) -> BTreeMap<ResourceId, Reading<Live>> {
        let documents = request.desired.documents.iter();
        let desired = documents
            .map(|document| &document.id)
            .filter(|id| id.kind == ResourceKind::NodePool && List::of(id).as_ref() == Some(list));
        let clusters = match &self.clusters {
            Ok(clusters) => clusters,
            Err(error) => {
                let gap = error.gap(format!("{}, {}", Api::Container.title(), list.what()));
                return desired.map(|id| (id.clone(), Reading::Unavailable(gap.clone()))).collect();
            }
        };
        let mut pools: BTreeMap<_, _> = desired.map(|id| (id.clone(), Reading::Absent)).collect();
        for cluster in clusters {
            let ours = owner(cluster) == Some(request.spec.name.as_str());
            for pool in pool_documents(cluster, &self.sizes) {
                let (Some(cluster), Some(pool_name)) = (name(cluster), name(&pool)) else { continue };
                let id = pool_id(list, cluster, pool_name);
                if ours || pools.contains_key(&id) {
                    pools.insert(id, Reading::Known(live(pool, &request.spec.name)));
                }
            }
        }
        pools
    }
}

/// The node pools of a cluster as documents of their own: with the live size, and with the cluster's `resourceLabels`,
/// which say whose a pool is.
pub(super) fn pool_documents(cluster: &Value, sizes: &GroupSizes) -> Vec<Value> {
    let pools = cluster.get("nodePools").and_then(Value::as_array).cloned().unwrap_or_default();
    let only_pool = pools.len() == 1;
    let with_size = |mut pool: Value| {
        let current = cluster.get("currentNodeCount").filter(|_| only_pool).and_then(Value::as_u64);
        let size = sizes.as_ref().and_then(|sizes| pool_size(&pool, sizes)).or(current);
        if let Value::Object(fields) = &mut pool {
            if let Some(size) = size {
                fields.insert(LIVE_NODE_COUNT.to_owned(), json!(size));
            }
            if let Some(labels) = cluster.get("resourceLabels") {
                fields.insert("resourceLabels".to_owned(), labels.clone());
            }
        }
        pool
    };
    pools.into_iter().map(with_size).collect()
}

/// The sum of a pool's instance groups; `None` unless every one of them is known.
fn pool_size(pool: &Value, sizes: &BTreeMap<String, u64>) -> Option<u64> {
    let groups =
        pool.get("instanceGroupUrls").and_then(Value::as_array).filter(|groups| !groups.is_empty())?;
    groups.iter().map(|group| sizes.get(link_end(group.as_str()?)?.1).copied()).sum()
}

fn pool_id(list: &List, cluster: &str, pool: &str) -> ResourceId {
    ResourceId {
        kind: ResourceKind::NodePool,
        scope: Scope::Pool {
            project: list.project.clone(),
            location: list.location.clone(),
            cluster: cluster.to_owned(),
        },
        name: pool.to_owned(),
    }
}

/// Whether a request is about a cluster of a list: it has the ensemble's mark, or the file names it.
fn concerns(cluster: &model::Cluster, list: &List, request: &ReadRequest<'_>) -> bool {
    let named = |id: &ResourceId| match &id.scope {
        Scope::Google { .. } => id.kind == ResourceKind::Cluster && id.name == cluster.name,
        Scope::Pool { cluster: pools, .. } => *pools == cluster.name,
        Scope::Kube { .. } => false,
    };
    let existing = match &request.spec.cluster {
        Cluster::Existing { name } => *name == cluster.name,
        Cluster::Managed(_) | Cluster::Kubeconfig { .. } => false,
    };
    let documents = request.desired.documents.iter().map(|document| &document.id);
    cluster.resource_labels.get(ENSEMBLE_LABEL) == Some(&request.spec.name)
        || cluster.description.contains(OWNER_MARK)
        || existing
        || documents.filter(|id| List::of(id).as_ref() == Some(list)).any(named)
}

fn is_managed(spec: &ValidSpec) -> bool {
    match &spec.cluster {
        Cluster::Managed(_) => true,
        Cluster::Existing { .. } | Cluster::Kubeconfig { .. } => false,
    }
}

fn is_ours(reading: &Reading<Live>) -> bool {
    reading.known().is_some_and(|live| live.ownership == Ownership::Ours)
}

/// The cluster or node pool that an operation works on.
fn target_of(operation: &Operation, list: &List) -> Option<ResourceId> {
    match link_end(&operation.target_link)? {
        ("clusters", cluster) => Some(list.id(cluster)),
        ("nodePools", pool) => {
            let cluster_link = operation.target_link.rsplit_once("/nodePools/")?.0;
            Some(pool_id(list, link_end(cluster_link)?.1, pool))
        }
        _ => None,
    }
}

/// Where one ensemble has or may have clusters: the spec's zone and every desired document's own place. A cluster of a
/// kubeconfig context is not GKE's.
fn lists(request: &ReadRequest<'_>) -> BTreeSet<List> {
    let spec = request.spec;
    let google = |id: &&ResourceId| matches!(id.kind, ResourceKind::Cluster | ResourceKind::NodePool);
    let desired = request.desired.documents.iter().map(|document| &document.id).filter(google);
    let mut lists: BTreeSet<List> = desired.filter_map(List::of).collect();
    let on_gke = match &spec.cluster {
        Cluster::Managed(_) | Cluster::Existing { .. } => true,
        Cluster::Kubeconfig { .. } => false,
    };
    if on_gke && !spec.project.is_empty() && !spec.zone.is_empty() {
        lists.insert(List::new(ResourceKind::Cluster, &spec.project, &spec.zone));
    }
    lists
}
