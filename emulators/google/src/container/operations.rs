//! Long-running operations: starting, listing, cancelling.

use super::model::{Effect, Kind, NEVER, Operation};
use super::places::Place;
use super::route::Route;
use super::{Container, key, render};
use crate::api::{Context, Time};
use crate::ids::Ids;
use crate::rest::{Code, Failure};
use serde_json::{Value, json};

/// Milliseconds of virtual time that operations take.
pub(super) const CREATE_CLUSTER: Time = 240_000;
pub(super) const DELETE_CLUSTER: Time = 180_000;
pub(super) const POOL: Time = 60_000;
pub(super) const SET_SIZE: Time = 45_000;
pub(super) const UPDATE: Time = 30_000;
pub(super) const LABELS: Time = 5_000;
/// How long the operations of node pools are PENDING.
const PENDING: Time = 1_000;

/// What is to be done to what.
pub(super) struct Job<'a> {
    pub(super) cluster: &'a str,
    pub(super) pool: Option<&'a str>,
    pub(super) kind: Kind,
    pub(super) duration: Time,
    pub(super) effect: Effect,
    /// Nodes of the pool that are recreated one after the other.
    pub(super) recreated: u32,
}

impl Container {
    /// Starts an operation and marks the cluster busy with it. Returns its name.
    pub(super) fn start(
        &mut self,
        route: &Route,
        job: Job<'_>,
        context: &mut Context<'_>,
    ) -> Result<String, Failure> {
        Ok(self.begin((&route.project, route.place()?), job, context.now, context.ids))
    }

    /// The same, of a project and a place.
    pub(super) fn begin(
        &mut self,
        (project, place): (&str, &Place),
        job: Job<'_>,
        start: Time,
        ids: &mut Ids,
    ) -> String {
        let name = format!("operation-{start}-{}", ids.uuid());
        if let Some(cluster) = self.clusters.get_mut(&key(project, place, job.cluster)) {
            cluster.busy = Some(name.clone());
        }
        let conditions = match &job.effect {
            Effect::Broken(conditions) => conditions.clone(),
            Effect::ClusterReady
            | Effect::ClusterGone
            | Effect::PoolReady
            | Effect::PoolGone
            | Effect::PoolSize(_)
            | Effect::Fields(_)
            | Effect::Refused { .. } => Vec::new(),
        };
        let operation = Operation {
            name: name.clone(),
            project: project.to_owned(),
            place: place.clone(),
            cluster: job.cluster.to_owned(),
            pool: job.pool.map(str::to_owned),
            kind: job.kind,
            start,
            running: if job.pool.is_some() { start + PENDING } else { start },
            // An upgrade ends when its last node has gone, whatever the disruption budgets make of that.
            end: if job.recreated > 0 { NEVER } else { start + job.duration },
            settled: false,
            cancelled: false,
            effect: job.effect,
            nodes_total: job.recreated,
            nodes_done: 0,
            node_due: if job.recreated > 0 { start + node_share(job.duration, job.recreated) } else { NEVER },
            automatic: false,
            conditions,
        };
        self.operations.insert(name.clone(), operation);
        name
    }

    /// The operation a path names.
    pub(super) fn operation(&self, route: &Route, name: &str) -> Result<&Operation, Failure> {
        let place = route.place()?;
        self.operations
            .get(name)
            .filter(|operation| operation.project == route.project && operation.place == *place)
            .ok_or_else(|| {
                let link = place.link();
                Failure::new(
                    Code::NotFound,
                    format!("Not found: projects/{}/{link}/operations/{name}.", route.project),
                )
            })
    }

    pub(super) fn list_operations(&self, route: &Route, now: Time) -> (&'static str, Value) {
        let operations: Vec<Value> = self
            .operations
            .values()
            .filter(|operation| operation.project == route.project && route.scope.covers(&operation.place))
            .map(|operation| render::operation(operation, route.version, now))
            .collect();
        (
            "ListOperationsResponse",
            if operations.is_empty() { json!({}) } else { json!({ "operations": operations }) },
        )
    }

    /// Stops an operation; what it was creating is taken away again.
    pub(super) fn cancel(&mut self, route: &Route, name: &str, now: Time) -> Result<(), Failure> {
        let operation = self.operation(route, name)?;
        let cancellable = match operation.kind {
            Kind::CreateCluster | Kind::CreateNodePool | Kind::UpgradeNodes | Kind::SetNodePoolSize => true,
            Kind::DeleteCluster
            | Kind::UpdateCluster
            | Kind::UpgradeMaster
            | Kind::SetMaintenancePolicy
            | Kind::DeleteNodePool
            | Kind::SetNodePoolManagement => false,
        };
        if !cancellable || operation.settled {
            return Err(Failure::new(
                Code::FailedPrecondition,
                format!("Operation {name} cannot be cancelled."),
            ));
        }
        if let Some(operation) = self.operations.get_mut(name) {
            operation.cancelled = true;
            operation.conditions.clear();
            operation.end = now;
            operation.node_due = NEVER;
            operation.running = operation.running.min(now);
            operation.effect = match operation.kind {
                Kind::CreateCluster => Effect::ClusterGone,
                Kind::CreateNodePool => Effect::PoolGone,
                Kind::DeleteCluster
                | Kind::UpdateCluster
                | Kind::UpgradeMaster
                | Kind::SetMaintenancePolicy
                | Kind::DeleteNodePool
                | Kind::UpgradeNodes
                | Kind::SetNodePoolSize
                | Kind::SetNodePoolManagement => Effect::Fields(Vec::new()),
            };
        }
        Ok(())
    }
}

impl Operation {
    /// When it has something to do next.
    pub(super) fn next_event(&self) -> Option<Time> {
        let due = self.node_due.min(self.end);
        (!self.settled && due != NEVER).then_some(due)
    }
}

/// Milliseconds that one of these nodes takes.
pub(super) fn node_share(duration: Time, nodes: u32) -> Time {
    duration / Time::from(nodes.max(1))
}
