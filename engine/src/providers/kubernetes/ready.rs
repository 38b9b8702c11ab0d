//! Waiting: single looks at what a change waits for, and watches that tell when to look again.

use crate::error::{ProviderError, ProviderErrorKind};
use crate::provider::{Course, Progress};
use crate::providers::kubernetes::KubernetesProvider;
use crate::providers::kubernetes::api::{Failure, READ, plain};
use crate::providers::kubernetes::objects::{Place, not_ours, text};
use crate::wait::Deadline;
use futures::TryStreamExt;
use futures::future::{join_all, select};
use http::Method;
use kube::api::{ListParams, WatchParams};
use kube::core::Request;
use serde_json::Value;
use std::collections::BTreeMap;
use std::pin::pin;
use zkprov_plans::plan::{Change, ReadyWhen};
use zkprov_plans::pods::{self, Rollout, Trouble, TroubleLog};
use zkprov_plans::readiness::Verdict;
use zkprov_plans::resource::{KubeKind, ResourceId};

/// Lines of a failed container's log in the error.
const LOG_LINES: u32 = 5;
/// Longest part of a log line in the error, in characters.
const LOG_WIDTH: usize = 160;
/// Exhibitor's REST port where the Deployment does not name one `api`.
const API_PORT: u64 = 8181;

/// What is remembered between looks.
#[derive(Default)]
pub(crate) struct Notes {
    deployments: BTreeMap<ResourceId, DeploymentNotes>,
}

#[derive(Default)]
struct DeploymentNotes {
    /// Label selector of its pods.
    selector: Option<String>,
    /// Resource version of the last look at the pods.
    seen: Option<String>,
    /// Resource version of the last look at the Deployment.
    version: Option<String>,
    /// The last look waits for what no watch tells: Exhibitor's answers.
    unwatched: bool,
    troubles: TroubleLog,
}

/// Where the watches of a Deployment and its pods begin.
struct Watched {
    selector: String,
    pods: String,
    deployment: Option<String>,
}

impl Notes {
    /// Remembers which pods belong to a Deployment, before it is deleted.
    pub(crate) fn remember_pods(&mut self, id: &ResourceId, deployment: &Value) {
        if let Some(selector) = selector(deployment) {
            self.deployments.entry(id.clone()).or_default().selector = Some(selector);
        }
    }
}

/// The label selector of a Deployment's pods; its templates use equality alone.
pub(crate) fn selector(deployment: &Value) -> Option<String> {
    let labels = deployment.pointer("/spec/selector/matchLabels")?.as_object()?;
    let terms: Vec<String> =
        labels.iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
    (!terms.is_empty()).then(|| terms.join(","))
}

/// The port that is called `api` among the containers at a JSON pointer: Exhibitor's REST port.
pub(crate) fn api_port(document: &Value, containers: &str) -> u64 {
    let containers = document.pointer(containers).and_then(Value::as_array);
    let mut ports =
        containers.into_iter().flatten().filter_map(|container| container.get("ports")?.as_array());
    let named = ports.find_map(|ports| ports.iter().find(|port| text(port, "/name") == Some("api")));
    named.and_then(|port| port.get("containerPort")?.as_u64()).unwrap_or(API_PORT)
}

pub(crate) fn pods_path(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods")
}

impl KubernetesProvider {
    pub(crate) async fn look(&self, change: &Change) -> Result<Verdict, ProviderError> {
        let Some(place) = Place::of(&change.id) else { return Err(not_ours(&change.id)) };
        match &change.ready_when {
            ReadyWhen::Done => Ok(Verdict::Ready),
            ReadyWhen::Gone => self.gone(&change.id, &place).await,
            ReadyWhen::PodsAnswer { replicas } => self.pods_answer(&change.id, *replicas).await,
            ReadyWhen::FileServerReady { .. }
            | ReadyWhen::ClusterRunning
            | ReadyWhen::NodePoolRunning
            | ReadyWhen::FilestoreReady
            | ReadyWhen::EnsembleServes { .. }
            | ReadyWhen::QuorumHolds { .. } => Err(not_ours(&change.id)),
        }
    }

    async fn gone(&self, id: &ResourceId, place: &Place) -> Result<Verdict, ProviderError> {
        if let Some(document) = self.get(place).await? {
            self.notes().remember_pods(id, &document);
            let finalizers = document.pointer("/metadata/finalizers").and_then(Value::as_array);
            let held: Vec<&str> = finalizers.into_iter().flatten().filter_map(Value::as_str).collect();
            let held =
                if held.is_empty() { String::new() } else { format!(" (held by {})", held.join(", ")) };
            return Ok(Verdict::Progressing(format!("{} is being deleted{held}", place.text())));
        }
        let selector = self.notes().deployments.get(id).and_then(|notes| notes.selector.clone());
        let Some(selector) = selector.filter(|_| place.kind.runs_members()) else {
            return Ok(Verdict::Ready);
        };
        let (pods, version) =
            self.list(pods_path(&place.namespace), &ListParams::default().labels(&selector)).await?;
        if let Some(notes) = self.notes().deployments.get_mut(id) {
            notes.seen = Some(version);
        }
        // A Deployment that is left would select the pods of the StatefulSet beside it, too; and a StatefulSet that comes
        // back has let go of its own.
        let stays = |pod: &&Value| {
            let controller = text(pod, "/metadata/ownerReferences/0/kind");
            let of_set = controller == Some(KubeKind::StatefulSet.api().kind);
            of_set == (place.kind == KubeKind::Deployment)
        };
        Ok(match pods.iter().filter(|pod| !stays(pod)).count() {
            0 => Verdict::Ready,
            left => Verdict::Progressing(format!("{left} pods are stopping")),
        })
    }

    /// Looks once whether `replicas` pods of the Deployment run its current template and Exhibitor answers in each. A
    /// trouble that lasts is a failure, with its reason and the last log lines.
    ///
    /// # Errors
    /// When the API does not answer, or `id` is no object of this cluster.
    pub async fn pods_answer(&self, id: &ResourceId, replicas: u32) -> Result<Verdict, ProviderError> {
        let Some(place) = &Place::of(id) else { return Err(not_ours(id)) };
        let Some(deployment) = self.get(place).await? else {
            return Ok(Verdict::Failed {
                reason: format!("{} is not there any more", place.text()),
                hint: "somebody else deleted it: plan again".to_owned(),
            });
        };
        let Some(selector) = selector(&deployment) else {
            return Ok(Verdict::Failed {
                reason: format!("{} selects no pods", place.text()),
                hint: String::new(),
            });
        };
        let params = ListParams::default().labels(&selector);
        let (pods, version) = self.list(pods_path(&place.namespace), &params).await?;
        {
            let mut notes = self.notes();
            let notes = notes.deployments.entry(id.clone()).or_default();
            notes.selector = Some(selector);
            notes.seen = Some(version);
            notes.version = text(&deployment, "/metadata/resourceVersion").map(str::to_owned);
        }
        let rollout = pods::rollout(&deployment, &pods, replicas);
        if let Some(notes) = self.notes().deployments.get_mut(id) {
            notes.unwatched = matches!(rollout, Rollout::Running(_));
        }
        match rollout {
            Rollout::Waiting(message) => self.waiting(id, place, &deployment, &pods, message).await,
            Rollout::Running(names) => {
                let port = api_port(&deployment, "/spec/template/spec/containers");
                let asked =
                    join_all(names.iter().map(|name| self.exhibitor_answers(place, name, port))).await;
                let answering = asked.into_iter().filter(|answers| *answers).count();
                Ok(if answering == names.len() {
                    Verdict::Ready
                } else {
                    Verdict::Progressing(format!("Exhibitor answers in {answering} of {replicas} pods"))
                })
            }
        }
    }

    async fn exhibitor_answers(&self, place: &Place, pod: &str, port: u64) -> bool {
        let path = format!("{}/{pod}:{port}/proxy/exhibitor/v1/cluster/state", pods_path(&place.namespace));
        self.api.json(plain(Method::GET, &path), READ).await.is_ok()
    }

    /// Pods are not there yet: whether they ever will be.
    async fn waiting(
        &self,
        id: &ResourceId,
        place: &Place,
        deployment: &Value,
        pods: &[Value],
        message: String,
    ) -> Result<Verdict, ProviderError> {
        // Events only explain; without them the pods' own reasons have to do.
        let params = ListParams::default().fields("involvedObject.kind=Pod,type=Warning");
        let path = format!("/api/v1/namespaces/{}/events", place.namespace);
        let events = match self.api.json(Request::new(path).list(&params), READ).await {
            Ok(mut answer) => match answer.get_mut("items").map(Value::take) {
                Some(Value::Array(events)) => events,
                _ => Vec::new(),
            },
            Err(_) => Vec::new(),
        };
        let troubles = pods::troubles(deployment, pods, &events);
        let lasting = {
            let mut notes = self.notes();
            let notes = notes.deployments.entry(id.clone()).or_default();
            notes.troubles.look(&troubles, self.started.elapsed(), self.pace.poll).cloned()
        };
        if let Some(trouble) = lasting {
            return Ok(self.failed(place, &trouble).await);
        }
        Ok(Verdict::Progressing(match troubles.first() {
            Some(trouble) => format!("{message}; {} has {}", trouble.subject, trouble.reason),
            None => message,
        }))
    }

    async fn failed(&self, place: &Place, trouble: &Trouble) -> Verdict {
        let mut reason = format!("{}: {}", trouble.subject, trouble.reason);
        if !trouble.message.is_empty() {
            reason.push_str(": ");
            reason.push_str(&trouble.message);
        }
        let log = self.last_lines(place, &trouble.subject).await;
        if !log.is_empty() {
            reason.push_str("; last log lines: ");
            reason.push_str(&log.join(" | "));
        }
        Verdict::Failed { reason, hint: trouble.kind.hint().to_owned() }
    }

    /// The last log lines of a pod, of its last try where it ended before; none when there are none to be had.
    async fn last_lines(&self, place: &Place, pod: &str) -> Vec<String> {
        for previous in ["&previous=true", ""] {
            let path = format!("{}/{pod}/log?tailLines={LOG_LINES}{previous}", pods_path(&place.namespace));
            let Ok(request) = plain(Method::GET, &path) else { continue };
            if let Ok(log) = self.api.text(request, READ).await {
                let lines = log.lines().map(str::trim).filter(|line| !line.is_empty());
                let lines: Vec<String> = lines.map(|line| line.chars().take(LOG_WIDTH).collect()).collect();
                if !lines.is_empty() {
                    return lines;
                }
            }
        }
        Vec::new()
    }

    /// Waits until the object is gone.
    pub(crate) async fn until_gone(
        &self,
        id: &ResourceId,
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        let Some(place) = Place::of(id) else { return Err(not_ours(id)) };
        let wait = async {
            loop {
                match self.gone(id, &place).await? {
                    Verdict::Progressing(message) => progress(Course::Doing(message)),
                    Verdict::Ready | Verdict::Failed { .. } => return Ok(()),
                }
                self.until_changed(id).await;
            }
        };
        let deadline = Deadline::after(self.pace.step, &self.pace);
        deadline.bound(wait).await.unwrap_or_else(|| {
            let message = format!("not gone after {} s", deadline.seconds());
            Err(ProviderError::new(
                ProviderErrorKind::Deadline,
                format!("deleting {}", place.text()),
                message,
            ))
        })
    }

    /// Waits for a deletion that is under way already; nothing else in Kubernetes blocks a write.
    pub(crate) async fn until_settled(
        &self,
        id: &ResourceId,
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        let Some(place) = Place::of(id) else { return Err(not_ours(id)) };
        match self.get(&place).await? {
            Some(document) if pods::is_deleting(&document) => self.until_gone(id, progress).await,
            Some(_) | None => Ok(()),
        }
    }

    /// Returns at the first event of the Deployment or one of its pods since the last look, or after a pause: the longest
    /// one while a watch stands, the shortest where no watch would tell.
    pub async fn until_changed(&self, id: &ResourceId) {
        let watched = self.watched(id);
        let pause = if watched.is_some() { self.pace.poll_max } else { self.pace.poll };
        let deadline = tokio::time::Instant::now() + pause;
        let Some((place, watched)) = Place::of(id).zip(watched) else {
            return tokio::time::sleep_until(deadline).await;
        };
        let seconds = u32::try_from(pause.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        let params = WatchParams::default().timeout(seconds).disable_bookmarks();
        let event = async {
            let of_pods = params.clone().labels(&watched.selector);
            let pods = self.first_event(pods_path(&place.namespace), of_pods, &watched.pods);
            let Some(version) = &watched.deployment else { return pods.await };
            let named = params.fields(&format!("metadata.name={}", place.name));
            let own = self.first_event(place.request().url_path, named, version);
            select(pin!(pods), pin!(own)).await.factor_first().0
        };
        // A watch that can't be had, or ends without an event, must not turn the wait into a busy loop.
        if let Ok(Err(())) = tokio::time::timeout_at(deadline, event).await {
            tokio::time::sleep_until(deadline.min(tokio::time::Instant::now() + self.pace.poll)).await;
        }
    }

    /// What a watch of a Deployment begins from, if the last look left anything that a watch would tell.
    fn watched(&self, id: &ResourceId) -> Option<Watched> {
        let notes = self.notes();
        let notes = notes.deployments.get(id).filter(|notes| !notes.unwatched)?;
        Some(Watched {
            selector: notes.selector.clone()?,
            pods: notes.seen.clone()?,
            deployment: notes.version.clone(),
        })
    }

    async fn first_event(&self, path: String, params: WatchParams, since: &str) -> Result<(), ()> {
        let stream = self.api.watch(Request::new(path).watch(&params, since)).await;
        let stream = stream.map_err(|failure: Failure| {
            tracing::debug!(failure = %failure.of_read("watching"), "no watch");
        })?;
        let event = pin!(stream).try_next().await.map_err(drop)?;
        event.map(drop).ok_or(())
    }
}
