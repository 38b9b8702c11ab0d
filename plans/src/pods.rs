//! What pods and their Deployment or StatefulSet say: members of the status table, how far a rollout is, and what will not heal by
//! waiting. Pure functions of Kubernetes documents.

use crate::observed::Pod;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// A string at a JSON pointer.
fn text<'a>(document: &'a Value, pointer: &str) -> Option<&'a str> {
    document.pointer(pointer).and_then(Value::as_str)
}

/// A count at a JSON pointer; 0 when absent, as Kubernetes leaves out zeros.
fn count(document: &Value, pointer: &str) -> u64 {
    document.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

fn list<'a>(document: &'a Value, pointer: &str) -> &'a [Value] {
    document.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn condition<'a>(document: &'a Value, kind: &str) -> Option<&'a Value> {
    list(document, "/status/conditions").iter().find(|condition| text(condition, "/type") == Some(kind))
}

/// The pod as the status table shows it; `None` for a document without a name.
#[must_use]
pub fn pod(document: &Value) -> Option<Pod> {
    let waiting = containers(document).find_map(|container| {
        let reason =
            text(container, "/state/waiting/reason").or_else(|| text(container, "/state/terminated/reason"));
        reason.filter(|reason| !matches!(*reason, "ContainerCreating" | "PodInitializing"))
    });
    let unschedulable = condition(document, "PodScheduled")
        .filter(|condition| text(condition, "/status") == Some("False"))
        .and_then(|condition| text(condition, "/reason"));
    let ready = condition(document, "Ready").and_then(|condition| text(condition, "/status"));
    Some(Pod {
        name: text(document, "/metadata/name")?.to_owned(),
        ip: text(document, "/status/podIP").filter(|ip| !ip.is_empty()).map(str::to_owned),
        host: host(document),
        revision: revision(document).map(str::to_owned),
        node: text(document, "/spec/nodeName").map(str::to_owned),
        phase: text(document, "/status/phase").unwrap_or("Unknown").to_owned(),
        ready: ready == Some("True"),
        deleting: is_deleting(document),
        trouble: waiting.or(unschedulable).or_else(|| text(document, "/status/reason")).map(str::to_owned),
    })
}

/// The name of a pod in DNS, as members of a StatefulSet are told it (`HOSTNAME` in the pod's template).
fn host(document: &Value) -> Option<String> {
    let set = |pointer| text(document, pointer).filter(|text| !text.is_empty());
    let (name, service) = set("/spec/hostname").zip(set("/spec/subdomain"))?;
    Some(format!("{name}.{service}.{}.svc", set("/metadata/namespace")?))
}

/// Whether a deletion of the object is under way.
#[must_use]
pub fn is_deleting(document: &Value) -> bool {
    document.pointer("/metadata/deletionTimestamp").is_some_and(|stamp| !stamp.is_null())
}

/// Pods of the table in a stable order: by creation, then by name.
#[must_use]
pub fn pods(documents: &[Value]) -> Vec<Pod> {
    let mut documents: Vec<&Value> = documents.iter().collect();
    documents.sort_by_key(|document| {
        (text(document, "/metadata/creationTimestamp"), text(document, "/metadata/name"))
    });
    documents.into_iter().filter_map(pod).collect()
}

fn containers(document: &Value) -> impl Iterator<Item = &Value> {
    list(document, "/status/initContainerStatuses").iter().chain(list(document, "/status/containerStatuses"))
}

fn runs(document: &Value) -> bool {
    let statuses = list(document, "/status/containerStatuses");
    text(document, "/status/phase") == Some("Running")
        && !statuses.is_empty()
        && statuses.iter().all(|status| status.pointer("/state/running").is_some())
}

/// Whether a Deployment's or StatefulSet's controller knows its latest specification, so that its status is about that one.
#[must_use]
pub fn is_seen(workload: &Value) -> bool {
    count(workload, "/status/observedGeneration") >= count(workload, "/metadata/generation")
}

/// Whether this StatefulSet leaves the replacement of pods to whoever deletes them: zkprov, the leader's pod last.
#[must_use]
pub fn waits_for_deletion(workload: &Value) -> bool {
    text(workload, "/spec/updateStrategy/type") == Some("OnDelete")
}

/// The pods that were made from an earlier template of a StatefulSet which does not replace them by itself. All of them, as long as
/// its controller has not seen the latest one.
#[must_use]
pub fn outdated<'a>(workload: &Value, pods: &'a [Pod]) -> Vec<&'a Pod> {
    let of_set = pods.iter().filter(|pod| pod.revision.is_some() && waits_for_deletion(workload));
    of_set.filter(|pod| !has_latest(workload, pod.revision.as_deref())).collect()
}

/// Whether a pod of this revision was made from the latest template of its StatefulSet; no, as long as the controller has not seen it.
fn has_latest(set: &Value, revision: Option<&str>) -> bool {
    is_seen(set) && revision == text(set, "/status/updateRevision")
}

fn revision(pod: &Value) -> Option<&str> {
    text(pod, "/metadata/labels/controller-revision-hash")
}

/// How far a Deployment's pods are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rollout {
    /// Not there yet; what is waited for.
    Waiting(String),
    /// All wanted pods run the current template; their names, by creation.
    Running(Vec<String>),
}

/// Whether `replicas` pods of a Deployment or StatefulSet run its current template. Readiness is left out: before the ensemble is
/// formed no member is in the quorum.
#[must_use]
pub fn rollout(workload: &Value, pods: &[Value], replicas: u32) -> Rollout {
    let waiting = |message: String| Rollout::Waiting(message);
    let wanted = u64::from(replicas);
    if is_deleting(workload) {
        return waiting("it is being deleted".to_owned());
    }
    if !is_seen(workload) {
        return waiting("the change is not seen by its controller yet".to_owned());
    }
    let updated = count(workload, "/status/updatedReplicas");
    // Nobody but zkprov goes on with these: who waits for it here would wait for ever.
    let waits_for_us =
        waits_for_deletion(workload) || workload.pointer("/spec/paused") == Some(&Value::Bool(true));
    if updated < wanted && !waits_for_us {
        return waiting(format!("{updated} of {wanted} pods have the new template"));
    }
    let total = count(workload, "/status/replicas");
    if total != wanted {
        return waiting(format!("{total} pods, {wanted} wanted"));
    }
    let mut present: Vec<&Value> = pods.iter().filter(|document| !is_deleting(document)).collect();
    present.retain(|document| !matches!(text(document, "/status/phase"), Some("Failed" | "Succeeded")));
    present.sort_by_key(|document| {
        (text(document, "/metadata/creationTimestamp"), text(document, "/metadata/name"))
    });
    let running: Vec<String> = present
        .iter()
        .filter(|document| runs(document))
        .filter_map(|document| text(document, "/metadata/name").map(str::to_owned))
        .collect();
    if running.len() as u64 != wanted || present.len() as u64 != wanted {
        return waiting(format!("{} of {wanted} pods run", running.len()));
    }
    Rollout::Running(running)
}

/// Classes of trouble that waiting does not mend. Each heals now and then by a first retry, hence the patience.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TroubleKind {
    /// The image can't be pulled.
    Image,
    /// The container can't be made from its specification.
    Config,
    /// A volume can't be mounted.
    Mount,
    /// No node takes the pod.
    Schedule,
    /// The container ends again and again.
    Crash,
    /// The pod is refused when it is to be created.
    Create,
}

impl TroubleKind {
    /// How many poll periods the trouble has to last before the wait gives up.
    #[must_use]
    pub const fn patience(self) -> u32 {
        match self {
            Self::Config => 5,
            Self::Crash | Self::Create => 10,
            Self::Image => 20,
            Self::Mount | Self::Schedule => 30,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Image => {
                "check spec.exhibitor.image, and that the nodes may pull it; current container runtimes may refuse \
                 the format of the default image: images/exhibitor builds one that they take"
            }
            Self::Config => "check what the container refers to: `kubectl describe pod` names it",
            Self::Mount => {
                "check that the file server is up and exports the share to the nodes: `zkprov status`, \
                 and the firewall rule for NFS"
            }
            Self::Schedule => {
                "add nodes (spec.cluster.nodeCount), ask for less (spec.exhibitor.resources), \
                 or set spec.exhibitor.spread to preferred"
            }
            Self::Crash => "the last log lines say why the container ends",
            Self::Create => "a quota or an admission policy of the namespace refuses the pods",
        }
    }
}

/// One trouble of one pod, or of the Deployment with its pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Pod name, or the Deployment's.
    pub subject: String,
    /// Class.
    pub kind: TroubleKind,
    /// Kubernetes' reason, e.g. `ImagePullBackOff`.
    pub reason: String,
    /// Kubernetes' message, one line.
    pub message: String,
}

fn container_trouble(reason: &str) -> Option<TroubleKind> {
    match reason {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ErrImageNeverPull"
        | "InvalidImageName"
        | "ImageInspectError"
        | "RegistryUnavailable" => Some(TroubleKind::Image),
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            Some(TroubleKind::Config)
        }
        "CrashLoopBackOff" => Some(TroubleKind::Crash),
        _ => None,
    }
}

fn event_trouble(reason: &str) -> Option<TroubleKind> {
    match reason {
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => Some(TroubleKind::Mount),
        _ => None,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The troubles of a Deployment's pods now. `events` are the namespace's warnings; they are kept by Kubernetes for an
/// hour, so one counts only while its pod has not started.
#[must_use]
pub fn troubles(deployment: &Value, pods: &[Value], events: &[Value]) -> Vec<Trouble> {
    let name = text(deployment, "/metadata/name").unwrap_or_default();
    let mut found = Vec::new();
    if let Some(failure) =
        condition(deployment, "ReplicaFailure").filter(|condition| text(condition, "/status") == Some("True"))
    {
        found.push(Trouble {
            subject: name.to_owned(),
            kind: TroubleKind::Create,
            reason: text(failure, "/reason").unwrap_or("ReplicaFailure").to_owned(),
            message: one_line(text(failure, "/message").unwrap_or_default()),
        });
    }
    // What is wrong with a pod of an earlier template ends with it.
    let outdated =
        |document: &Value| waits_for_deletion(deployment) && !has_latest(deployment, revision(document));
    let alive = pods.iter().filter(|one| !is_deleting(one) && !runs(one) && !outdated(one));
    // Where members may not share a node, a new one waits for the node of the one that ends.
    let room_comes = pods.iter().any(is_deleting);
    let troubles = alive.filter_map(|document| pod_trouble(document, events));
    found.extend(troubles.filter(|trouble| !(room_comes && trouble.kind == TroubleKind::Schedule)));
    found
}

fn pod_trouble(document: &Value, events: &[Value]) -> Option<Trouble> {
    let name = text(document, "/metadata/name")?;
    let trouble = |kind, reason: &str, message: &str| Trouble {
        subject: name.to_owned(),
        kind,
        reason: reason.to_owned(),
        message: one_line(message),
    };
    for status in containers(document) {
        let reason = text(status, "/state/waiting/reason").unwrap_or_default();
        if let Some(kind) = container_trouble(reason) {
            return Some(trouble(kind, reason, text(status, "/state/waiting/message").unwrap_or_default()));
        }
    }
    let refused = condition(document, "PodScheduled").filter(|condition| {
        text(condition, "/status") == Some("False") && text(condition, "/reason") == Some("Unschedulable")
    });
    if let Some(refused) = refused {
        let message = text(refused, "/message").unwrap_or_default();
        return Some(trouble(TroubleKind::Schedule, "Unschedulable", message));
    }
    let uid = text(document, "/metadata/uid");
    let of_pod = events.iter().filter(|event| {
        text(event, "/involvedObject/name") == Some(name)
            && (uid.is_none() || text(event, "/involvedObject/uid").is_none_or(|about| Some(about) == uid))
    });
    of_pod
        .filter_map(|event| {
            let reason = text(event, "/reason")?;
            let kind = event_trouble(reason)?;
            Some(trouble(kind, reason, text(event, "/message").unwrap_or_default()))
        })
        .next_back()
}

/// Remembers since when each trouble is seen, so that one which a retry heals is no failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TroubleLog {
    since: BTreeMap<(String, TroubleKind), Duration>,
}

impl TroubleLog {
    /// Takes one look at time `at` (any monotonic clock) and returns the first trouble that has lasted for its patience,
    /// counted in poll periods. A trouble that is not seen any more is forgotten.
    pub fn look<'a>(
        &mut self,
        troubles: &'a [Trouble],
        at: Duration,
        period: Duration,
    ) -> Option<&'a Trouble> {
        let seen = |key: &(String, TroubleKind)| {
            troubles.iter().any(|trouble| trouble.subject == key.0 && trouble.kind == key.1)
        };
        self.since.retain(|key, _| seen(key));
        for trouble in troubles {
            self.since.entry((trouble.subject.clone(), trouble.kind)).or_insert(at);
        }
        troubles.iter().find(|trouble| {
            let since = self.since.get(&(trouble.subject.clone(), trouble.kind));
            since.is_some_and(|since| {
                at.saturating_sub(*since) >= period.saturating_mul(trouble.kind.patience())
            })
        })
    }
}

#[cfg(test)]
mod tests;
