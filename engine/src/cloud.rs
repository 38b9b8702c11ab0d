//! Everything that is live, behind one door: reads all of it at once, and finds the provider of each resource.

mod havoc;

pub use havoc::Ground;

use crate::backup::Bucket;
use crate::connection::{Connection, CredentialSource, Pace};
use crate::credentials::Credentials;
use crate::error::{ProviderError, ProviderErrorKind, one_line};
use crate::executor::Providers;
use crate::lease::{Clock, Lock};
use crate::provider::{Course, Observation, Progress, Provider, ReadRequest};
use crate::providers::compute::ComputeProvider;
use crate::providers::ensemble::{EnsembleProvider, Members, Page};
use crate::providers::filestore::FilestoreProvider;
use crate::providers::gke::{ClusterAccess, GkeProvider};
use crate::providers::kubernetes::kubeconfig::{ContextUser, KubeContext, gke_context_name};
use crate::providers::kubernetes::{Ended, KubeAccess, KubernetesProvider, TokenSource};
use crate::providers::storage::Storage;
use crate::wait::Deadline;
use futures::future::{BoxFuture, join, join_all};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use zkprov_plans::backup::BucketUrl;
use zkprov_plans::document::{Desired, Document};
use zkprov_plans::members;
use zkprov_plans::observed::{EnsembleState, Gap, Live, Observed, Reading};
use zkprov_plans::plan::{Change, ReadyWhen};
use zkprov_plans::readiness::Verdict;
use zkprov_plans::resource::{ResourceId, ResourceKind, Scope};
use zkprov_plans::spec::{Cluster, ValidSpec};

/// Connections to all APIs. Clusters are reached when they are first needed.
pub struct Cloud {
    connection: Connection,
    credentials: Credentials,
    compute: Arc<ComputeProvider>,
    gke: Arc<GkeProvider>,
    filestore: Arc<FilestoreProvider>,
    clusters: Mutex<BTreeMap<String, Arc<InCluster>>>,
}

/// The providers inside one cluster.
struct InCluster {
    kubernetes: Arc<KubernetesProvider>,
    ensemble: Arc<EnsembleProvider>,
}

/// Who holds the lock of an ensemble, and the clock its heartbeats go by.
#[derive(Clone)]
pub struct Holder {
    /// For people, unique to the run.
    pub name: String,
    /// The wall clock.
    pub clock: Clock,
}

/// What was found of the way into a cluster.
enum Door {
    Open(Arc<InCluster>),
    /// There is no cluster, or it is only being created: nothing of ours can be in it.
    NoCluster,
    Closed(Gap),
}

impl Cloud {
    /// Makes the clients; sends nothing.
    ///
    /// # Errors
    /// When an endpoint is not a URL, or credentials that are named cannot be used.
    pub async fn connect(connection: Connection) -> Result<Self, ProviderError> {
        let credentials = Credentials::find(&connection.credentials)?;
        Ok(Self {
            compute: Arc::new(ComputeProvider::connect(&connection, &credentials).await?),
            gke: Arc::new(GkeProvider::connect(&connection, &credentials).await?),
            filestore: Arc::new(FilestoreProvider::new(&connection, &credentials)),
            clusters: Mutex::default(),
            connection,
            credentials,
        })
    }

    /// How fast to poll, how long to wait.
    #[must_use]
    pub const fn pace(&self) -> Pace {
        self.connection.pace
    }

    /// Reads everything the requests need, in three rounds at most: Google's APIs, the clusters, the pods' proxies. Never
    /// fails: what could not be read is a gap.
    pub async fn observe(&self, requests: &[ReadRequest<'_>]) -> Vec<Observed> {
        let doors = join_all(requests.iter().map(|request| self.door(request.spec)));
        let google: [&dyn Provider; 3] = [&*self.compute, &*self.gke, &*self.filestore];
        let reads = join_all(google.map(|provider| provider.observe(requests)));
        let (google, doors) = join(reads, doors).await;
        let mut all = look_inside(requests, doors).await;
        for observations in google {
            for (observed, observation) in all.iter_mut().zip(observations) {
                add(observed, observation);
            }
        }
        all
    }

    /// The ensemble as its members tell it.
    pub async fn ensemble(&self, spec: &ValidSpec, desired: &Desired) -> Reading<EnsembleState> {
        let request = ReadRequest { spec, desired };
        match self.door(spec).await {
            Door::Open(inside) => inside.ensemble.observe_ensemble(&request).await,
            Door::NoCluster => Reading::Absent,
            Door::Closed(gap) => Reading::Unavailable(gap),
        }
    }

    /// The way to the members' own page and REST API.
    ///
    /// # Errors
    /// When the cluster does not exist or can't be reached.
    pub async fn page(&self, spec: &ValidSpec, desired: &Desired) -> Result<Page, ProviderError> {
        let inside = self.enter(spec).await?.ok_or_else(|| no_cluster(spec))?;
        Ok(inside.ensemble.page(&ReadRequest { spec, desired }))
    }

    /// The way into the members' pods and to their ZooKeeper.
    ///
    /// # Errors
    /// When the cluster does not exist or can't be reached.
    pub async fn members(&self, spec: &ValidSpec, desired: &Desired) -> Result<Members, ProviderError> {
        let inside = self.enter(spec).await?.ok_or_else(|| no_cluster(spec))?;
        Ok(inside.ensemble.members(&ReadRequest { spec, desired }))
    }

    /// The backups in a bucket. Sends nothing.
    ///
    /// # Errors
    /// When the endpoint of Cloud Storage is not a URL.
    pub fn bucket(&self, url: BucketUrl) -> Result<Bucket, ProviderError> {
        Ok(Bucket::new(Storage::connect(&self.connection, &self.credentials)?, url))
    }

    /// Makes a job of a CronJob of the ensemble's, and waits for its end.
    ///
    /// # Errors
    /// When the cluster can't be reached, when there is no such CronJob, or the job does not end in time.
    pub async fn run_job(
        &self,
        spec: &ValidSpec,
        cron_job: &ResourceId,
        progress: Progress<'_>,
    ) -> Result<Ended, ProviderError> {
        let inside = self.enter(spec).await?.ok_or_else(|| no_cluster(spec))?;
        inside.kubernetes.run_job(cron_job, progress).await
    }

    /// Waits for operations that are under way on resources of these ensembles, from whichever machine they were
    /// started.
    ///
    /// # Errors
    /// When an operation failed, or the API stopped answering.
    pub async fn settle(
        &self,
        requests: &[ReadRequest<'_>],
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        let google: [&dyn Provider; 3] = [&*self.compute, &*self.gke, &*self.filestore];
        for provider in google {
            let observations = provider.observe(requests).await;
            for operation in observations.iter().flat_map(|observation| &observation.operations) {
                let words = format!("{} is under way on {}", operation.verb, operation.target);
                progress(Course::Doing(words));
                provider.settle(&operation.target, progress).await?;
            }
        }
        Ok(())
    }

    /// Waits until the pods of Deployments that are there answer, and no roll goes through them: until then the members
    /// cannot be read. Gives up, without an error, on pods that will never start and at the pace's deadline of a formation:
    /// the reading that follows tells why.
    ///
    /// # Errors
    /// When the API stopped answering, or a roll does not end.
    pub async fn settle_members(
        &self,
        requests: &[ReadRequest<'_>],
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        for request in requests {
            // A cluster that cannot be reached is a gap of the reading that follows.
            let Ok(Some(inside)) = self.enter(request.spec).await else { continue };
            let deadline = Deadline::after(self.pace().formation, &self.pace());
            if let Some(answered) = deadline.bound(inside.pods_answer(request, progress)).await
                && answered?
            {
                inside.ensemble.settle(&inside.ensemble.id(request), progress).await?;
            }
        }
        Ok(())
    }

    /// Waits until every voter serves, for as long as Exhibitor may take to give lost ones' places to new pods and to restart
    /// them all. Gives up without an error: the reading that follows tells who does not serve.
    ///
    /// # Errors
    /// When the API stopped answering.
    pub async fn rest_members(
        &self,
        requests: &[ReadRequest<'_>],
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        for request in requests {
            let Ok(Some(inside)) = self.enter(request.spec).await else { continue };
            let id = inside.ensemble.id(request);
            let rested = inside.ensemble.until_at_rest(&id, progress);
            let deadline = Deadline::after(self.pace().restart, &self.pace());
            if let Some(rested) = deadline.bound(rested).await {
                rested?;
            }
        }
        Ok(())
    }

    /// The providers of one ensemble's resources, for the executor.
    #[must_use]
    pub fn providers<'a>(&'a self, spec: &'a ValidSpec, holder: Holder) -> EnsembleProviders<'a> {
        EnsembleProviders { cloud: self, spec, holder, lock: Mutex::default() }
    }

    /// The kubeconfig context of the spec's cluster, as gcloud would write it.
    ///
    /// # Errors
    /// When the cluster cannot be read, is not there yet, or is somebody's kubeconfig context already.
    pub async fn kube_context(&self, spec: &ValidSpec) -> Result<KubeContext, ProviderError> {
        let name = spec.cluster.name();
        let doing = || format!("reading cluster {name}");
        let not_there = |why: String| {
            ProviderError::new(ProviderErrorKind::NotFound, doing(), why).hint("`zkprov apply` creates it")
        };
        if let Cluster::Kubeconfig { context } = &spec.cluster {
            let why = format!("the file names the kubeconfig context {context}: there is nothing to write");
            return Err(ProviderError::new(ProviderErrorKind::Invalid, doing(), why));
        }
        let user = match self.connection.credentials {
            CredentialSource::Default => ContextUser::GkePlugin,
            CredentialSource::Anonymous => ContextUser::Token(self.credentials.access_token().await?),
        };
        match self.gke.cluster_access(&spec.project, &spec.zone, name).await? {
            Reading::Known(access) if access.is_reachable() => Ok(KubeContext {
                name: gke_context_name(&spec.project, &spec.zone, name),
                endpoint: access.endpoint.trim_start_matches("https://").to_owned(),
                ca_pem: access.ca_pem,
                user,
            }),
            Reading::Known(access) => {
                Err(not_there(format!("it is {} and has no endpoint yet", access.status)))
            }
            Reading::Absent => Err(not_there("it does not exist".to_owned())),
            Reading::Unavailable(gap) => {
                Err(ProviderError::new(ProviderErrorKind::Transient, gap.what, gap.why).hint(gap.hint))
            }
        }
    }

    /// The way into the spec's cluster, as it stands now.
    async fn door(&self, spec: &ValidSpec) -> Door {
        match self.enter(spec).await {
            Ok(Some(inside)) => Door::Open(inside),
            Ok(None) => Door::NoCluster,
            Err(error) => {
                Door::Closed(error.gap(format!("Kubernetes API of cluster {}", spec.cluster.name())))
            }
        }
    }

    async fn enter(&self, spec: &ValidSpec) -> Result<Option<Arc<InCluster>>, ProviderError> {
        let name = spec.cluster.name();
        let (key, access) = match &spec.cluster {
            _ if self.connection.in_cluster => ("this pod's".to_owned(), KubeAccess::Pod),
            Cluster::Kubeconfig { context } => {
                (format!("context {context}"), KubeAccess::Context(context.clone()))
            }
            Cluster::Managed(_) | Cluster::Existing { .. } => {
                let access = match self.gke.cluster_access(&spec.project, &spec.zone, name).await? {
                    Reading::Known(access) if access.is_reachable() && access.status != "PROVISIONING" => {
                        access
                    }
                    Reading::Known(_) | Reading::Absent => return Ok(None),
                    Reading::Unavailable(gap) => {
                        return Err(ProviderError::new(ProviderErrorKind::Transient, gap.what, gap.why)
                            .hint(gap.hint));
                    }
                };
                // A cluster that was deleted and created again has another address or authority.
                (
                    format!("{}/{}/{name} {}", spec.project, spec.zone, access.endpoint),
                    self.kube_access(access),
                )
            }
        };
        let mut clusters = self.clusters.lock().await;
        if let Some(inside) = clusters.get(&key) {
            return Ok(Some(Arc::clone(inside)));
        }
        let kubernetes = Arc::new(KubernetesProvider::connect(name, &access, self.connection.pace).await?);
        let ensemble = Arc::new(EnsembleProvider::new(Arc::clone(&kubernetes)));
        let inside = Arc::new(InCluster { kubernetes, ensemble });
        clusters.insert(key, Arc::clone(&inside));
        Ok(Some(inside))
    }

    fn kube_access(&self, access: ClusterAccess) -> KubeAccess {
        let credentials = self.credentials.clone();
        let token: TokenSource = Arc::new(move || {
            let credentials = credentials.clone();
            Box::pin(async move { credentials.access_token().await })
        });
        KubeAccess::Cluster { endpoint: access.endpoint, ca_pem: access.ca_pem, token }
    }
}

impl InCluster {
    /// Waits for the pods that the request's documents ask for; whether they answer.
    async fn pods_answer(
        &self,
        request: &ReadRequest<'_>,
        progress: Progress<'_>,
    ) -> Result<bool, ProviderError> {
        let runs_members = |one: &&Document| one.id.kind.runs_members();
        let Some(workload) = request.desired.documents.iter().find(runs_members) else { return Ok(false) };
        let live = self.kubernetes.refresh(&workload.id, &workload.body).await?;
        let Reading::Known(live) = live else { return Ok(false) };
        let replicas = live.document.pointer("/spec/replicas").and_then(Value::as_u64);
        let replicas = replicas.and_then(|replicas| u32::try_from(replicas).ok()).unwrap_or(1);
        let looked_at = Change::look(&workload.id, ReadyWhen::PodsAnswer { replicas });
        let mut said = String::new();
        loop {
            match self.kubernetes.ready(&looked_at).await? {
                Verdict::Ready => return Ok(true),
                Verdict::Failed { .. } => return Ok(false),
                Verdict::Progressing(message) if message != said => {
                    progress(Course::Doing(message.clone()));
                    said = message;
                }
                Verdict::Progressing(_) => {}
            }
            self.kubernetes.changed(&looked_at).await;
        }
    }
}

fn no_cluster(spec: &ValidSpec) -> ProviderError {
    let doing = format!("reaching the Kubernetes API of {}", spec.cluster.name());
    ProviderError::new(ProviderErrorKind::NotFound, doing, "the cluster does not exist")
}

fn add(observed: &mut Observed, observation: Observation) {
    observed.resources.extend(observation.resources);
    observed.operations.extend(observation.operations);
}

/// A cluster, and the requests that live in it with their places among all.
type Guests<'a> = (Arc<InCluster>, Vec<(usize, ReadRequest<'a>)>);

/// Reads what lives in the clusters. Ensembles of one cluster are read together, so that its lists are read once.
async fn look_inside<'a>(requests: &[ReadRequest<'a>], doors: Vec<Door>) -> Vec<Observed> {
    let mut all = Vec::with_capacity(requests.len());
    let mut clusters: Vec<Guests<'a>> = Vec::new();
    for (index, (request, door)) in requests.iter().zip(doors).enumerate() {
        all.push(match door {
            Door::NoCluster => not_inside(request, &Reading::Absent, Reading::Absent),
            Door::Closed(gap) => {
                not_inside(request, &Reading::Unavailable(gap.clone()), Reading::Unavailable(gap))
            }
            Door::Open(inside) => {
                match clusters.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &inside)) {
                    Some((_, members)) => members.push((index, *request)),
                    None => clusters.push((inside, vec![(index, *request)])),
                }
                nothing()
            }
        });
    }
    let looks = clusters.iter().map(|(inside, members)| async move {
        let (places, requests): (Vec<usize>, Vec<ReadRequest<'_>>) = members.iter().copied().unzip();
        let states = join_all(requests.iter().map(|request| inside.ensemble.observe_ensemble(request)));
        let (objects, states) = join(inside.kubernetes.observe(&requests), states).await;
        let ids = requests.iter().map(|request| inside.ensemble.id(request));
        places.into_iter().zip(ids).zip(objects.into_iter().zip(states)).collect::<Vec<_>>()
    });
    for ((place, id), (objects, state)) in join_all(looks).await.into_iter().flatten() {
        if let Some(observed) = all.get_mut(place) {
            add(observed, objects);
            observed.resources.insert(id, members::live(&state));
            observed.ensemble = state;
        }
    }
    all
}

fn nothing() -> Observed {
    Observed { resources: BTreeMap::new(), ensemble: Reading::Absent, operations: Vec::new() }
}

/// The same reading of everything that would be in a cluster that cannot be entered.
fn not_inside(
    request: &ReadRequest<'_>,
    reading: &Reading<Live>,
    ensemble: Reading<EnsembleState>,
) -> Observed {
    let ids = request.desired.documents.iter().map(|document| &document.id);
    let ids = ids.filter(|id| matches!(id.kind, ResourceKind::Kube(_) | ResourceKind::Ensemble));
    let resources = ids.map(|id| (id.clone(), reading.clone())).collect();
    Observed { resources, ensemble, operations: Vec::new() }
}

/// The providers of one ensemble's resources, and its lock.
pub struct EnsembleProviders<'a> {
    cloud: &'a Cloud,
    spec: &'a ValidSpec,
    holder: Holder,
    lock: Mutex<Option<Held>>,
}

/// The lock while it is held, and the task that keeps it.
struct Held {
    lock: Arc<Lock>,
    keeper: Keeper,
}

/// The task that heartbeats. It ends with whoever holds the lock: what is no longer held is to expire.
struct Keeper(JoinHandle<ProviderError>);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl EnsembleProviders<'_> {
    /// Gives the lock back, if it was taken. One that cannot be given back expires by itself.
    pub async fn release(&self) {
        let Some(mut held) = self.lock.lock().await.take() else { return };
        held.keeper.0.abort();
        // The task ends at its next await: then the lock has one owner.
        let _ = (&mut held.keeper.0).await;
        if let Some(lock) = Arc::into_inner(held.lock)
            && let Err(error) = lock.release().await
        {
            tracing::info!(error = one_line(&error), "the lock was not given back and expires by itself");
        }
    }

    async fn inside(&self) -> Result<Arc<InCluster>, ProviderError> {
        self.cloud.enter(self.spec).await?.ok_or_else(|| no_cluster(self.spec))
    }

    async fn hold(&self, id: &ResourceId) -> Result<(), ProviderError> {
        let mut slot = self.lock.lock().await;
        if let Some(held) = slot.as_mut() {
            // The keeper ends only when the lock is lost.
            return if held.keeper.0.is_finished() { Err(lost(&mut held.keeper.0).await) } else { Ok(()) };
        }
        let (name, namespace) = (&self.spec.name, &self.spec.exhibitor.namespace);
        let kubernetes = Arc::clone(&self.inside().await?.kubernetes);
        let clock = Arc::clone(&self.holder.clock);
        match Lock::acquire(kubernetes, name, namespace, &self.holder.name, clock).await {
            Ok(lock) => {
                let lock = Arc::new(lock);
                let kept = Arc::clone(&lock);
                let keeper = Keeper(tokio::spawn(async move { kept.keep().await }));
                *slot = Some(Held { lock, keeper });
                Ok(())
            }
            // The lock lives in the ensemble's namespace, which this step or one after it creates.
            Err(error) if error.kind == ProviderErrorKind::NotFound && is_before_namespace(id) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

async fn lost(keeper: &mut JoinHandle<ProviderError>) -> ProviderError {
    keeper.await.unwrap_or_else(|error| {
        ProviderError::new(ProviderErrorKind::Locked, "keeping the lock of the ensemble", error.to_string())
    })
}

/// Whether a step may come before there is a namespace to hold the lock in.
fn is_before_namespace(id: &ResourceId) -> bool {
    matches!(&id.scope, Scope::Kube { namespace, .. } if namespace == "-")
}

impl Providers for EnsembleProviders<'_> {
    fn of<'b>(&'b self, id: &'b ResourceId) -> BoxFuture<'b, Result<Arc<dyn Provider>, ProviderError>> {
        Box::pin(async move {
            let provider: Arc<dyn Provider> = match id.kind {
                ResourceKind::Address
                | ResourceKind::Disk
                | ResourceKind::SnapshotSchedule
                | ResourceKind::Firewall
                | ResourceKind::Instance => Arc::clone(&self.cloud.compute) as Arc<dyn Provider>,
                ResourceKind::FilestoreInstance => Arc::clone(&self.cloud.filestore) as Arc<dyn Provider>,
                ResourceKind::Cluster | ResourceKind::NodePool => {
                    Arc::clone(&self.cloud.gke) as Arc<dyn Provider>
                }
                ResourceKind::Kube(_) => Arc::clone(&self.inside().await?.kubernetes) as Arc<dyn Provider>,
                ResourceKind::Ensemble => Arc::clone(&self.inside().await?.ensemble) as Arc<dyn Provider>,
            };
            Ok(provider)
        })
    }

    fn lock<'b>(&'b self, id: &'b ResourceId) -> BoxFuture<'b, Result<(), ProviderError>> {
        Box::pin(self.hold(id))
    }
}
