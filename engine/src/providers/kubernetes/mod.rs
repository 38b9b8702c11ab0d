//! The Kubernetes API of one cluster: server-side apply as one field manager, dry-runs as predictions, readiness by
//! looking at pods, and watches instead of sleeps.

pub mod access;
pub(crate) mod api;
mod jobs;
mod kill;
pub mod kubeconfig;
mod leases;
mod objects;
mod ready;
mod streams;

pub use access::{KubeAccess, TokenSource, static_token};
pub use jobs::Ended;
pub(crate) use objects::{Place, not_ours, text};
pub(crate) use ready::{api_port, pods_path, selector};
pub use streams::Exit;
pub(crate) use streams::Pod;

use crate::connection::Pace;
use crate::error::{ProviderError, ProviderErrorKind};
use crate::provider::{Observation, Observations, Progress, Provider, ReadRequest};
use crate::providers::kubernetes::api::ApiServer;
use crate::providers::kubernetes::ready::Notes;
use futures::future::{BoxFuture, join, join_all};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use zkprov_plans::observed::{Gap, Live, Ownership, Reading};
use zkprov_plans::plan::{Action, Call, Change};
use zkprov_plans::readiness::Verdict;
use zkprov_plans::resource::{KubeKind, ResourceId, ResourceKind, Scope};

/// How often a read is tried before it counts as failed.
const TRIES: u32 = 3;
/// The longest pause that an API's `Retry-After` gets from a read.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// The Kubernetes API of one cluster.
pub struct KubernetesProvider {
    pub(crate) cluster: String,
    pub(crate) api: ApiServer,
    pub(crate) pace: Pace,
    started: Instant,
    notes: Mutex<Notes>,
}

impl KubernetesProvider {
    /// A provider for the cluster that resource ids call `cluster`. Nothing is sent yet.
    ///
    /// # Errors
    /// When the access can't be used: a bad endpoint or certificate, or no such kubeconfig context.
    pub async fn connect(
        cluster: impl Into<String>,
        access: &KubeAccess,
        pace: Pace,
    ) -> Result<Self, ProviderError> {
        Ok(Self {
            cluster: cluster.into(),
            api: access::connect(access).await?,
            pace,
            started: Instant::now(),
            notes: Mutex::default(),
        })
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Repeats a read that failed in passing.
    pub(crate) async fn patiently<T, F>(&self, look: impl Fn() -> F) -> Result<T, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>>,
    {
        let mut pause = self.pace.retry;
        for _ in 1..TRIES {
            match look().await {
                Err(error) if error.kind == ProviderErrorKind::Transient => {
                    tokio::time::sleep(error.retry_after.unwrap_or(pause).min(LONGEST_PAUSE)).await;
                    pause = pause.saturating_mul(2);
                }
                result => return result,
            }
        }
        look().await
    }

    fn gap(&self, what: String, error: &ProviderError) -> Gap {
        let what = format!("Kubernetes API of cluster {}, {what}", self.cluster);
        Gap { what, why: error.message.clone(), hint: error.hint.clone() }
    }

    /// Reads the desired objects of one request.
    async fn desired(&self, request: &ReadRequest<'_>) -> BTreeMap<ResourceId, Reading<Live>> {
        let documents = request.desired.documents.iter().filter(|document| self.serves(&document.id));
        let reads = documents.map(|document| async {
            let reading = self.read(&document.id, &document.body).await;
            let reading =
                reading.unwrap_or_else(|error| Reading::Unavailable(self.gap(error.doing.clone(), &error)));
            (document.id.clone(), reading)
        });
        join_all(reads).await.into_iter().collect()
    }

    /// Adds the marked objects that nobody declares any more. A kind that can't be listed is a gap under the name `*`.
    async fn undeclared(&self, requests: &[ReadRequest<'_>]) -> Vec<(ResourceId, Reading<Live>, String)> {
        let ensembles: Vec<String> = requests.iter().map(|request| request.spec.name.clone()).collect();
        let mut namespaces: Vec<String> =
            requests.iter().map(|request| request.spec.exhibitor.namespace.clone()).collect();
        namespaces.sort();
        namespaces.dedup();
        let lists = KubeKind::ALL.map(|kind| {
            let (ensembles, namespaces) = (&ensembles, &namespaces);
            async move { (kind, self.marked(kind, ensembles, namespaces).await) }
        });
        let mut found = Vec::new();
        for (kind, listed) in join_all(lists).await {
            match listed {
                Ok(items) => found.extend(items.into_iter().filter_map(|(id, document)| {
                    let owner = objects::mark(&document)?.to_owned();
                    let live = Live { document, predicted: None, ownership: Ownership::Ours };
                    Some((id, Reading::Known(live), owner))
                })),
                Err(error) => {
                    let what = format!("{} that carry the mark of the ensemble", kind.api().plural);
                    let gap = self.gap(what, &error);
                    found.extend(requests.iter().map(|request| {
                        let namespace =
                            if kind.api().namespaced { &request.spec.exhibitor.namespace } else { "-" };
                        let scope =
                            Scope::Kube { cluster: self.cluster.clone(), namespace: namespace.to_owned() };
                        let id = ResourceId { kind: ResourceKind::Kube(kind), scope, name: "*".to_owned() };
                        (id, Reading::Unavailable(gap.clone()), request.spec.name.clone())
                    }));
                }
            }
        }
        found
    }

    async fn carry_out(
        &self,
        change: &Change,
        call: &Call,
        live: &Reading<Live>,
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        let Some(place) = Place::of(&change.id) else { return Err(not_ours(&change.id)) };
        match call {
            Call::Apply => self.apply(&place, &change.body, live).await,
            Call::Delete => {
                if let Some(live) = live.known() {
                    self.notes().remember_pods(&change.id, &live.document);
                }
                self.delete(&place, live, change.action == Action::Replace).await?;
                match change.action {
                    Action::Replace => self.until_gone(&change.id, progress).await,
                    Action::Delete | Action::Keep | Action::Create | Action::Update | Action::Adopt => Ok(()),
                }
            }
            Call::Insert
            | Call::SetLabels
            | Call::SetTags
            | Call::SetMetadata
            | Call::SetMachineType
            | Call::StartInstance
            | Call::SetDeletionProtection { .. }
            | Call::ResizeDisk
            | Call::SetDiskPolicies { .. }
            | Call::PatchFirewall
            | Call::PatchSnapshotSchedule
            | Call::SetAccessConfig { .. }
            | Call::UpdateCluster { .. }
            | Call::SetNodePoolSize { .. }
            | Call::UpdateNodePool { .. }
            | Call::PatchFilestore { .. }
            | Call::SpareLeader { .. }
            | Call::ReplacePods { .. }
            | Call::SetEnsemble(_) => Err(not_ours(&change.id)),
        }
    }
}

impl Provider for KubernetesProvider {
    fn serves(&self, id: &ResourceId) -> bool {
        let here = matches!(&id.scope, Scope::Kube { cluster, .. } if *cluster == self.cluster);
        here && Place::of(id).is_some()
    }

    fn observe<'a>(&'a self, requests: &'a [ReadRequest<'a>]) -> BoxFuture<'a, Observations> {
        Box::pin(async move {
            let desired = join_all(requests.iter().map(|request| self.desired(request)));
            let (mut desired, undeclared) = join(desired, self.undeclared(requests)).await;
            for (id, reading, owner) in undeclared {
                let mine = requests.iter().position(|request| request.spec.name == owner);
                if let Some(resources) = mine.and_then(|index| desired.get_mut(index)) {
                    resources.entry(id).or_insert(reading);
                }
            }
            let observation = |resources| Observation { resources, ..Observation::default() };
            desired.into_iter().map(observation).collect()
        })
    }

    fn refresh<'a>(
        &'a self,
        id: &'a ResourceId,
        body: &'a Value,
    ) -> BoxFuture<'a, Result<Reading<Live>, ProviderError>> {
        Box::pin(self.read(id, body))
    }

    fn call<'a>(
        &'a self,
        change: &'a Change,
        call: &'a Call,
        live: &'a Reading<Live>,
        _request_id: &'a str,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(self.carry_out(change, call, live, progress))
    }

    fn ready<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Verdict, ProviderError>> {
        Box::pin(self.look(change))
    }

    fn settle<'a>(
        &'a self,
        id: &'a ResourceId,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(self.until_settled(id, progress))
    }

    fn changed<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, ()> {
        Box::pin(self.until_changed(&change.id))
    }
}
