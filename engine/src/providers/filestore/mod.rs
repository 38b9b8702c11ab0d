//! Filestore: managed NFS in place of the file server VM.
//!
//! The body is the REST JSON of `Instance`, without its name, which is a parameter of the request. The document's
//! `name` is the whole path.

use super::caller::{Caller, not_connected, tuned};
use super::classify::{Api, is_absent, operation_failure};
use super::labels;
use super::names::{self, with_names};
use super::scan::{self, List, Listed, readings};
use super::strict::{json, typed};
use crate::connection::{Connection, install_crypto};
use crate::credentials::Credentials;
use crate::error::{ProviderError, ProviderErrorKind};
use crate::provider::{Course, Observation, Observations, Progress, Provider, ReadRequest};
use crate::wait::{Backoff, Deadline};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use google_cloud_filestore_v1::client::CloudFilestoreManager;
use google_cloud_filestore_v1::model::{CreateInstanceRequest, Instance, UpdateInstanceRequest};
use google_cloud_gax::Result as Answered;
use google_cloud_longrunning::model::{Operation, operation};
use serde_json::{Value, json as object};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::OnceCell;
use zkprov_plans::observed::{Live, Reading, RunningOperation};
use zkprov_plans::plan::{Call, Change, ReadyWhen};
use zkprov_plans::readiness::{self, Verdict};
use zkprov_plans::resource::{ResourceId, ResourceKind, Scope};
use zkprov_plans::spec::FileServer;

/// Filestore.
pub struct FilestoreProvider {
    caller: Caller,
    endpoint: Option<String>,
    credentials: Credentials,
    /// Made when it is first needed: each client of Google's reads all root certificates, and few ensembles have a Filestore.
    client: OnceCell<CloudFilestoreManager>,
}

/// Where an instance is.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    project: &'a str,
    /// Zone, or region for the regional tiers.
    location: &'a str,
    name: &'a str,
}

impl<'a> Place<'a> {
    fn of(id: &'a ResourceId) -> Result<Self, ProviderError> {
        match (id.kind, &id.scope) {
            (ResourceKind::FilestoreInstance, Scope::Google { project, location }) => {
                Ok(Self { project, location, name: &id.name })
            }
            _ => Err(not_ours(id, "not a Filestore instance")),
        }
    }

    /// `projects/P/locations/L`
    fn parent(&self) -> String {
        format!("projects/{}/locations/{}", self.project, self.location)
    }

    /// `projects/P/locations/L/instances/N`
    fn path(&self) -> String {
        format!("{}/instances/{}", self.parent(), self.name)
    }

    fn what(&self) -> String {
        format!("Filestore instance {}", self.name)
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

fn document(instance: &Instance) -> Value {
    with_names(json(instance), names::filestore())
}

impl FilestoreProvider {
    /// Neither makes the client nor sends anything.
    #[must_use]
    pub fn new(connection: &Connection, credentials: &Credentials) -> Self {
        Self {
            caller: Caller::new(Api::Filestore, connection),
            endpoint: connection.endpoints.filestore.clone(),
            credentials: credentials.clone(),
            client: OnceCell::new(),
        }
    }

    /// The client; [`ProviderErrorKind::Invalid`] when the endpoint is not a URL.
    async fn client(&self) -> Result<&CloudFilestoreManager, ProviderError> {
        let make = || async {
            install_crypto();
            let builder = CloudFilestoreManager::builder();
            let client = tuned(builder, self.endpoint.as_ref(), &self.credentials).build().await;
            client.map_err(|error| not_connected(Api::Filestore, &error))
        };
        self.client.get_or_try_init(make).await
    }

    async fn list(&self, list: &List) -> Listed {
        let call = self.client().await?.list_instances();
        let call = call.set_parent(format!("projects/{}/locations/{}", list.project, list.location));
        let page = |token: Option<String>| {
            let call = call.clone().set_page_token(token.unwrap_or_default());
            async move { call.send().await.map(|page| (page.instances, Some(page.next_page_token))) }
        };
        Ok(self.caller.pages(&list.what(), page).await?.iter().map(document).collect())
    }

    /// `None` when it is not there.
    async fn find(&self, place: &Place<'_>) -> Result<Option<Value>, ProviderError> {
        let get = self.client().await?.get_instance().set_name(place.path());
        match self.caller.read(&place.what(), || get.clone().send()).await {
            Ok(instance) => Ok(Some(document(&instance))),
            Err(error) if is_absent(&error, &format!("instances/{}", place.name)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn operations_under_way(
        &self,
        project: &str,
        location: &str,
    ) -> Result<Vec<Operation>, ProviderError> {
        let call = self
            .client()
            .await?
            .list_operations()
            .set_name(format!("projects/{project}/locations/{location}"));
        let page = |token: Option<String>| {
            let call = call.clone().set_page_token(token.unwrap_or_default());
            async move { call.send().await.map(|page| (page.operations, Some(page.next_page_token))) }
        };
        let what = format!("Filestore operations in {location} of {project}");
        let operations = self.caller.pages(&what, page).await?;
        Ok(operations.into_iter().filter(|operation| !operation.done).collect())
    }

    async fn observe_all(&self, requests: &[ReadRequest<'_>]) -> Observations {
        let wanted: Vec<BTreeSet<List>> = requests.iter().map(lists).collect();
        let lists: BTreeSet<&List> = wanted.iter().flatten().collect();
        let listed = join_all(lists.into_iter().map(|list| async move {
            let operations = self.operations_under_way(&list.project, &list.location);
            let (instances, operations) = futures::join!(self.list(list), operations);
            let operations = operations
                .inspect_err(|error| tracing::debug!(%error, "no Filestore operations"))
                .unwrap_or_default();
            (list, (instances, operations))
        }));
        let listed: BTreeMap<&List, (Listed, Vec<Operation>)> = listed.await.into_iter().collect();
        let observe = |(request, wanted): (&ReadRequest<'_>, &BTreeSet<List>)| {
            let mut observation = Observation::default();
            for (list, (instances, operations)) in
                wanted.iter().filter_map(|list| Some((list, listed.get(list)?)))
            {
                observation.resources.extend(readings(Api::Filestore.title(), list, instances, request));
                for operation in operations {
                    let (verb, target) = verb_and_target(operation);
                    let target = target.map(|name| list.id(&name));
                    if let Some(target) = target.filter(|id| observation.resources.contains_key(id)) {
                        observation.operations.push(RunningOperation {
                            target,
                            verb,
                            name: operation.name.clone(),
                        });
                    }
                }
            }
            observation
        };
        requests.iter().zip(&wanted).map(observe).collect()
    }

    async fn refreshed(&self, id: &ResourceId, body: &Value) -> Result<Reading<Live>, ProviderError> {
        let Some(document) = self.find(&Place::of(id)?).await? else { return Ok(Reading::Absent) };
        let owner = scan::owner(body).or_else(|| scan::owner(&document)).unwrap_or_default().to_owned();
        Ok(Reading::Known(scan::live(document, &owner)))
    }

    async fn insert(
        &self,
        doing: &str,
        change: &Change,
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        let place = Place::of(&change.id)?;
        let request = object!({"parent": place.parent(), "instanceId": place.name, "instance": change.body});
        let request: CreateInstanceRequest = typed(doing, &request)?;
        self.sent(doing, progress, self.client().await?.create_instance().with_request(request).send()).await
    }

    /// Deletes, and is content when it is gone already.
    async fn delete(
        &self,
        doing: &str,
        change: &Change,
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        let delete = self.client().await?.delete_instance().set_name(Place::of(&change.id)?.path());
        let deleted = self.sent(doing, progress, delete.send()).await;
        match deleted {
            Err(error) if error.kind == ProviderErrorKind::NotFound => Ok(()),
            Ok(()) | Err(_) => deleted,
        }
    }

    /// One patch for all fields of the mask, on the live etag where the API sent one.
    async fn patch(
        &self,
        doing: &str,
        change: &Change,
        mask: &[String],
        live: &Reading<Live>,
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        let mut instance = object!({"name": Place::of(&change.id)?.path()});
        for field in mask {
            instance[field] = change.body.get(field).cloned().unwrap_or(Value::Null);
        }
        if let Some(wanted) = instance.get_mut("labels") {
            let there = live.known().and_then(|live| live.document.get("labels"));
            *wanted = labels::beside(there, wanted);
        }
        if let Some(etag) = live.known().and_then(|live| live.document.get("etag")) {
            instance["etag"] = etag.clone();
        }
        let request = object!({"instance": instance, "updateMask": mask.join(",")});
        let request: UpdateInstanceRequest = typed(doing, &request)?;
        self.sent(doing, progress, self.client().await?.update_instance().with_request(request).send()).await
    }

    async fn sent(
        &self,
        doing: &str,
        progress: Progress<'_>,
        send: impl Future<Output = Answered<Operation>>,
    ) -> Result<(), ProviderError> {
        let operation = self.caller.write(doing, send).await?;
        self.wait(doing, operation, progress).await
    }

    /// There is no long poll, so operations are asked for at a growing pace.
    async fn wait(
        &self,
        doing: &str,
        mut operation: Operation,
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        let deadline = Deadline::after(self.caller.pace.step, &self.caller.pace);
        let mut backoff = Backoff::polling(&self.caller.pace);
        let get = self.client().await?.get_operation().set_name(&operation.name);
        while !operation.done {
            let state = format!("{} under way", verb_and_target(&operation).0);
            progress(Course::UnderWay(state.clone()));
            deadline.sleep(backoff.pause(), doing, &state).await?;
            match self.caller.poll(doing, self.caller.pace.request, get.clone().send()).await {
                Ok(answer) => operation = answer,
                Err(error) if error.kind == ProviderErrorKind::Transient => {}
                Err(error) => return Err(error),
            }
        }
        match operation.result {
            Some(operation::Result::Error(status)) => {
                let code = google_cloud_gax::error::rpc::Code::from(status.code);
                Err(operation_failure(doing, code.name(), &status.message))
            }
            // The response, or nothing: done. The type may grow, and no result other than an error is a failure.
            _ => Ok(()),
        }
    }

    async fn readiness(&self, change: &Change) -> Result<Verdict, ProviderError> {
        let found = match &change.ready_when {
            ReadyWhen::Done => return Ok(Verdict::Ready),
            ReadyWhen::FilestoreReady | ReadyWhen::Gone => self.find(&Place::of(&change.id)?).await?,
            ReadyWhen::FileServerReady { .. }
            | ReadyWhen::ClusterRunning
            | ReadyWhen::NodePoolRunning
            | ReadyWhen::PodsAnswer { .. }
            | ReadyWhen::EnsembleServes { .. }
            | ReadyWhen::QuorumHolds { .. } => {
                return Err(not_ours(&change.id, "a readiness of another API"));
            }
        };
        Ok(match (found, change.ready_when == ReadyWhen::Gone) {
            (Some(document), false) => readiness::filestore(&document),
            (Some(_), true) => Verdict::Progressing("still there".to_owned()),
            (None, true) => Verdict::Ready,
            (None, false) => Verdict::Progressing("not there yet".to_owned()),
        })
    }

    async fn settle_all(&self, id: &ResourceId, progress: Progress<'_>) -> Result<(), ProviderError> {
        let place = Place::of(id)?;
        for operation in self.operations_under_way(place.project, place.location).await? {
            let (verb, target) = verb_and_target(&operation);
            if target.as_deref() == Some(place.name) {
                self.wait(&format!("waiting for {verb} of {}", place.what()), operation, progress).await?;
            }
        }
        Ok(())
    }
}

/// The verb (`create`) and the instance's name that an operation's metadata tell.
fn verb_and_target(operation: &Operation) -> (String, Option<String>) {
    let metadata = operation.metadata.as_ref().map(json).unwrap_or_default();
    let text = |key: &str| metadata.get(key).and_then(Value::as_str);
    let target = text("target").and_then(scan::link_end).filter(|(collection, _)| *collection == "instances");
    (text("verb").unwrap_or("operation").to_owned(), target.map(|(_, name)| name.to_owned()))
}

/// Where one ensemble has a Filestore instance. Other ensembles don't need the API, so it is not asked for them.
fn lists(request: &ReadRequest<'_>) -> BTreeSet<List> {
    let desired = request.desired.documents.iter().map(|document| &document.id);
    let desired = desired.filter(|id| id.kind == ResourceKind::FilestoreInstance);
    let mut lists: BTreeSet<List> = desired.filter_map(List::of).collect();
    match &request.spec.file_server {
        FileServer::Filestore(filestore) if !request.spec.project.is_empty() => {
            lists.insert(List::new(
                ResourceKind::FilestoreInstance,
                &request.spec.project,
                &filestore.location,
            ));
        }
        FileServer::Filestore(_) | FileServer::SingleNode(_) | FileServer::External(_) => {}
    }
    lists
}

impl Provider for FilestoreProvider {
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
        async move {
            let name = &change.id.name;
            match call {
                Call::Insert => {
                    self.insert(&format!("creating Filestore instance {name}"), change, progress).await
                }
                Call::Delete => {
                    self.delete(&format!("deleting Filestore instance {name}"), change, progress).await
                }
                Call::PatchFilestore { mask } => {
                    let doing = format!("updating Filestore instance {name}");
                    self.patch(&doing, change, mask, live, progress).await
                }
                Call::SetLabels
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
                | Call::Apply
                | Call::SpareLeader { .. }
                | Call::ReplacePods { .. }
                | Call::SetEnsemble(_) => Err(not_ours(&change.id, "a call of another API")),
            }
        }
        .boxed()
    }

    fn ready<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Verdict, ProviderError>> {
        self.readiness(change).boxed()
    }

    fn settle<'a>(
        &'a self,
        id: &'a ResourceId,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        self.settle_all(id, progress).boxed()
    }
}
