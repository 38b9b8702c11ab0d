//! The ensemble as its members tell it: Exhibitor's REST API and, through it, ZooKeeper's own words, reached through the
//! API server's pod proxy, so that nothing has to be exposed.

mod deletion_cost;
mod evidence;
mod gateway;
mod measure;
mod page;
mod pods;
mod reach;
mod read;
mod roll;
mod seen;
mod write;

pub use gateway::{Gateway, Target};
pub use page::Page;
pub use reach::Members;

use crate::error::{ProviderError, ProviderErrorKind};
use crate::provider::{Course, Observation, Observations, Progress, Provider, ReadRequest};
use crate::providers::kubernetes::KubernetesProvider;
use crate::wait::Deadline;
use futures::future::{BoxFuture, join_all};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use zkprov_plans::measure::Measure;
use zkprov_plans::members;
use zkprov_plans::observed::{EnsembleState, Gap, Live, Reading};
use zkprov_plans::plan::{Call, Change, ReadyWhen};
use zkprov_plans::quorum;
use zkprov_plans::readiness::Verdict;
use zkprov_plans::resource::{KubeKind, ResourceId, ResourceKind, Scope};

/// Ensembles in the cluster of one [`KubernetesProvider`].
pub struct EnsembleProvider {
    kubernetes: Arc<KubernetesProvider>,
    /// Label selectors of the pods of ensembles that were observed with their documents.
    selectors: Mutex<BTreeMap<ResourceId, String>>,
    seen: Mutex<BTreeMap<ResourceId, seen::Seen>>,
}

impl EnsembleProvider {
    /// A provider for the ensembles of this cluster.
    #[must_use]
    pub const fn new(kubernetes: Arc<KubernetesProvider>) -> Self {
        Self { kubernetes, selectors: Mutex::new(BTreeMap::new()), seen: Mutex::new(BTreeMap::new()) }
    }

    /// The id of a spec's ensemble in this cluster.
    #[must_use]
    pub fn id(&self, request: &ReadRequest<'_>) -> ResourceId {
        let namespace = request.spec.exhibitor.namespace.clone();
        let scope = Scope::Kube { cluster: self.kubernetes.cluster.clone(), namespace };
        ResourceId { kind: ResourceKind::Ensemble, scope, name: request.spec.name.clone() }
    }

    /// Reads an ensemble for planning: all pods are asked at once, after their list. What no pod tells is unavailable, never
    /// absent. [`members::live`] makes the live resource of it, so that one round serves both.
    pub async fn observe_ensemble(&self, request: &ReadRequest<'_>) -> Reading<EnsembleState> {
        let id = self.id(request);
        self.remember_selector(&id, request);
        self.reading(&id).await.unwrap_or_else(|error| {
            Reading::Unavailable(Gap {
                what: format!("pods of ensemble {} in cluster {}", id.name, self.kubernetes.cluster),
                why: error.message,
                hint: error.hint,
            })
        })
    }

    /// What a plan or a step rests on is what all have read: for up to 30 s after a change some still tell the one before
    /// it. Those that don't come round are gaps. One that has misread it needs to be told at once, not waited for.
    async fn reading(&self, id: &ResourceId) -> Result<Reading<EnsembleState>, ProviderError> {
        let mut state = self.look(id).await?;
        for _ in 0..seen::SLOWEST_READ {
            if state.behind.is_empty() || state.rolling || !state.misread.is_empty() {
                break;
            }
            tokio::time::sleep(self.kubernetes.pace.poll).await;
            state = self.look(id).await?;
        }
        Ok(members::reading(state))
    }

    /// Looks at an ensemble once, for the status table and for gates: also when no pod answers, with the gaps in
    /// [`EnsembleState::gaps`].
    ///
    /// # Errors
    /// When the pods can't be listed.
    pub async fn look(&self, id: &ResourceId) -> Result<EnsembleState, ProviderError> {
        self.sight(id).await.map(|sight| sight.state)
    }

    /// The selector is known from here on, so that its pods are found.
    pub(crate) fn page(self: &Arc<Self>, request: &ReadRequest<'_>) -> Page {
        let id = self.id(request);
        self.remember_selector(&id, request);
        Page::new(Arc::clone(self), id)
    }

    /// The selector is known from here on, so that its pods are found.
    pub(crate) fn members(self: &Arc<Self>, request: &ReadRequest<'_>) -> Members {
        let id = self.id(request);
        self.remember_selector(&id, request);
        Members::new(Arc::clone(self), id, request.spec.exhibitor.client_port)
    }

    /// Looks during an apply: members that have misread the shared configuration are told it again.
    async fn mend(&self, id: &ResourceId) -> Result<EnsembleState, ProviderError> {
        let sight = self.sight(id).await?;
        self.heal(id, &sight).await?;
        Ok(sight.state)
    }

    fn seen<T>(&self, id: &ResourceId, act: impl FnOnce(&mut seen::Seen) -> T) -> T {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        act(seen.entry(id.clone()).or_default())
    }

    /// Remembers which pods the Deployment of the request's documents selects.
    fn remember_selector(&self, id: &ResourceId, request: &ReadRequest<'_>) {
        let deployment = request.desired.documents.iter().find(|document| {
            document.id.kind == ResourceKind::Kube(KubeKind::Deployment) && document.id.scope == id.scope
        });
        let selector = deployment.and_then(|document| crate::providers::kubernetes::selector(&document.body));
        if let Some(selector) = selector {
            let mut selectors = self.selectors.lock().unwrap_or_else(PoisonError::into_inner);
            selectors.insert(id.clone(), selector);
        }
    }

    /// The label selector of an ensemble's pods; `app=NAME` in our templates and in the tutorial.
    fn selector(&self, id: &ResourceId) -> String {
        let selectors = self.selectors.lock().unwrap_or_else(PoisonError::into_inner);
        selectors.get(id).cloned().unwrap_or_else(|| format!("app={}", id.name))
    }

    /// Waits until every voter there is serves, whatever their number.
    pub(crate) async fn until_at_rest(
        &self,
        id: &ResourceId,
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        let mut said = String::new();
        loop {
            let state = self.look(id).await?;
            match quorum::converged(&state, quorum::voters(&state)) {
                Verdict::Ready | Verdict::Failed { .. } => return Ok(()),
                Verdict::Progressing(message) if message != said => {
                    progress(Course::Doing(message.clone()));
                    said = message;
                }
                Verdict::Progressing(_) => {}
            }
            tokio::time::sleep(self.kubernetes.pace.poll).await;
        }
    }

    /// Waits until no roll is under way.
    async fn until_still(&self, id: &ResourceId, progress: Progress<'_>) -> Result<(), ProviderError> {
        let wait = async {
            let mut said = false;
            while self.mend(id).await?.rolling {
                if !said {
                    progress(Course::Doing("Exhibitor is rolling a change through the members".to_owned()));
                    said = true;
                }
                tokio::time::sleep(self.kubernetes.pace.poll).await;
            }
            Ok(())
        };
        let deadline = Deadline::after(self.kubernetes.pace.formation, &self.kubernetes.pace);
        deadline.bound(wait).await.unwrap_or_else(|| {
            let message = format!("Exhibitor still rolls a change after {} s", deadline.seconds());
            let hint = "`zkprov ui` shows which member it waits for; \
                        its control panel can commit the change or roll it back";
            Err(ProviderError::new(ProviderErrorKind::Deadline, format!("waiting for {id}"), message)
                .hint(hint))
        })
    }
}

fn not_a_call(id: &ResourceId) -> ProviderError {
    let message = "an ensemble has one call: its shared configuration is set";
    ProviderError::new(ProviderErrorKind::Invalid, format!("changing {id}"), message)
}

/// The namespace of an ensemble's pods.
fn namespace(id: &ResourceId) -> Result<&str, ProviderError> {
    match (&id.scope, id.kind) {
        (Scope::Kube { namespace, .. }, ResourceKind::Ensemble) => Ok(namespace),
        _ => {
            Err(ProviderError::new(ProviderErrorKind::Invalid, format!("reading {id}"), "it is no ensemble"))
        }
    }
}

impl Provider for EnsembleProvider {
    fn serves(&self, id: &ResourceId) -> bool {
        let here = matches!(&id.scope, Scope::Kube { cluster, .. } if *cluster == self.kubernetes.cluster);
        here && id.kind == ResourceKind::Ensemble
    }

    fn observe<'a>(&'a self, requests: &'a [ReadRequest<'a>]) -> BoxFuture<'a, Observations> {
        let read = |request: &'a ReadRequest<'a>| async move {
            let reading = members::live(&self.observe_ensemble(request).await);
            let resources = BTreeMap::from([(self.id(request), reading)]);
            Observation { resources, ..Observation::default() }
        };
        Box::pin(join_all(requests.iter().map(read)))
    }

    fn refresh<'a>(
        &'a self,
        id: &'a ResourceId,
        _body: &'a Value,
    ) -> BoxFuture<'a, Result<Reading<Live>, ProviderError>> {
        Box::pin(async { Ok(members::live(&self.reading(id).await?)) })
    }

    fn call<'a>(
        &'a self,
        change: &'a Change,
        call: &'a Call,
        _live: &'a Reading<Live>,
        _request_id: &'a str,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        match call {
            Call::SetEnsemble(target) => Box::pin(self.set(change, target, progress)),
            Call::SpareLeader { ensemble } => Box::pin(self.spare_leader(ensemble)),
            Call::ReplacePods { ensemble } => Box::pin(self.replace_pods(change, ensemble, progress)),
            Call::Insert
            | Call::Delete
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
            | Call::Apply => Box::pin(async { Err(not_a_call(&change.id)) }),
        }
    }

    fn ready<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Verdict, ProviderError>> {
        Box::pin(async {
            match change.ready_when {
                ReadyWhen::Done => Ok(Verdict::Ready),
                ReadyWhen::EnsembleServes { voters } => {
                    let state = self.mend(&change.id).await?;
                    Ok(self.seen(&change.id, |seen| seen.converged(&state, voters)))
                }
                ReadyWhen::QuorumHolds { healthy } => {
                    Ok(quorum::holds(&self.mend(&change.id).await?, healthy))
                }
                ReadyWhen::FileServerReady { .. }
                | ReadyWhen::ClusterRunning
                | ReadyWhen::NodePoolRunning
                | ReadyWhen::FilestoreReady
                | ReadyWhen::PodsAnswer { .. }
                | ReadyWhen::Gone => Err(not_a_call(&change.id)),
            }
        })
    }

    fn measure<'a>(
        &'a self,
        change: &'a Change,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<Option<Measure>, ProviderError>> {
        Box::pin(self.measured(change, mark))
    }

    fn measure_again<'a>(
        &'a self,
        change: &'a Change,
        before: &'a Measure,
    ) -> BoxFuture<'a, Result<Measure, ProviderError>> {
        Box::pin(self.measured_again(change, before))
    }

    /// Exhibitor has no watch: the provider's own pace.
    fn changed<'a>(&'a self, _change: &'a Change) -> BoxFuture<'a, ()> {
        Box::pin(tokio::time::sleep(self.kubernetes.pace.poll))
    }

    fn settle<'a>(
        &'a self,
        id: &'a ResourceId,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(self.until_still(id, progress))
    }
}
