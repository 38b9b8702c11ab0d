//! From whole lists to one reading for each resource of each ensemble.

use crate::error::ProviderError;
use crate::provider::ReadRequest;
use serde_json::Value;
use std::collections::BTreeMap;
use zkprov_plans::document::{ENSEMBLE_LABEL, OWNER_MARK};
use zkprov_plans::observed::{Live, Ownership, Reading};
use zkprov_plans::resource::{ResourceId, ResourceKind, Scope};

/// One list call: everything of one kind in one location of one project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct List {
    pub(super) kind: ResourceKind,
    pub(super) project: String,
    pub(super) location: String,
}

impl List {
    pub(super) fn new(kind: ResourceKind, project: &str, location: &str) -> Self {
        Self { kind, project: project.to_owned(), location: location.to_owned() }
    }

    /// The list that a resource is in; `None` outside Google Cloud. Node pools are in the list of their clusters.
    pub(super) fn of(id: &ResourceId) -> Option<Self> {
        match &id.scope {
            Scope::Google { project, location } => Some(Self::new(id.kind, project, location)),
            Scope::Pool { project, location, .. } => {
                Some(Self::new(ResourceKind::Cluster, project, location))
            }
            Scope::Kube { .. } => None,
        }
    }

    /// The resource of this list with this name.
    pub(super) fn id(&self, name: &str) -> ResourceId {
        let scope = Scope::Google { project: self.project.clone(), location: self.location.clone() };
        ResourceId { kind: self.kind, scope, name: name.to_owned() }
    }

    /// `instances in us-east1-d of my-project`
    pub(super) fn what(&self) -> String {
        let kind = match self.kind {
            ResourceKind::Address => "addresses",
            ResourceKind::Disk => "disks",
            ResourceKind::SnapshotSchedule => "snapshot schedules",
            ResourceKind::Firewall => "firewall rules",
            ResourceKind::Instance => "instances",
            ResourceKind::FilestoreInstance => "Filestore instances",
            ResourceKind::Cluster => "clusters",
            ResourceKind::NodePool => "node pools",
            ResourceKind::Kube(_) => "Kubernetes objects",
            ResourceKind::Ensemble => "ensembles",
        };
        format!("{kind} in {} of {}", self.location, self.project)
    }
}

/// What a list call brought.
pub(super) type Listed = Result<Vec<Value>, ProviderError>;

/// The name of an unreadable list among the readings: no resource can have it.
const WHOLE_LIST: &str = "*";

/// Readings of one list for one ensemble: one for each desired resource in it, and one for each further resource that
/// carries the ensemble's mark. When the list could not be read, all its desired resources are unavailable; if there
/// are none, the list itself is, under the name `*`: something of ours may be there.
pub(super) fn readings(
    api: &str,
    list: &List,
    listed: &Listed,
    request: &ReadRequest<'_>,
) -> BTreeMap<ResourceId, Reading<Live>> {
    let documents = request.desired.documents.iter();
    let desired = documents
        .map(|document| &document.id)
        .filter(|id| id.kind == list.kind && List::of(id).as_ref() == Some(list));
    match listed {
        Ok(items) => {
            let mut readings: BTreeMap<_, _> = desired.map(|id| (id.clone(), Reading::Absent)).collect();
            for item in items {
                let Some(name) = name(item) else { continue };
                let (id, ownership) = (list.id(name), ownership(item, &request.spec.name));
                if ownership == Ownership::Ours || readings.contains_key(&id) {
                    let live = Live { document: item.clone(), predicted: None, ownership };
                    readings.insert(id, Reading::Known(live));
                }
            }
            readings
        }
        Err(error) => {
            let gap = || Reading::Unavailable(error.gap(format!("{api}, {}", list.what())));
            let mut readings: BTreeMap<_, _> = desired.map(|id| (id.clone(), gap())).collect();
            if readings.is_empty() {
                readings.insert(list.id(WHOLE_LIST), gap());
            }
            readings
        }
    }
}

/// A live resource, and whose it is for the ensemble `ensemble`.
pub(super) fn live(document: Value, ensemble: &str) -> Live {
    let ownership = ownership(&document, ensemble);
    Live { document, predicted: None, ownership }
}

fn ownership(document: &Value, ensemble: &str) -> Ownership {
    match owner(document) {
        Some(owner) if owner == ensemble => Ownership::Ours,
        Some(owner) => Ownership::Other(owner.to_owned()),
        None => Ownership::Foreign,
    }
}

/// Labels that GKE puts on what it makes in Compute Engine for a cluster.
const GKE_LABELS: [&str; 2] = ["goog-gke-node", "goog-gke-volume"];

/// The ensemble that a resource belongs to, by its label or, where a kind has no labels, by its description's end.
pub(super) fn owner(document: &Value) -> Option<&str> {
    let labels = document.get("labels").or_else(|| document.get("resourceLabels"));
    // GKE hands a cluster's labels down to its node VMs and their disks: those belong to the cluster, not to us.
    if labels.is_some_and(|labels| GKE_LABELS.iter().any(|label| labels.get(label).is_some())) {
        return None;
    }
    let label = labels.and_then(|labels| labels.get(ENSEMBLE_LABEL)).and_then(Value::as_str);
    label.or_else(|| {
        let description = document.get("description").and_then(Value::as_str)?;
        description.split_once(OWNER_MARK).map(|(_, name)| name.trim())
    })
}

/// The short name of a document: Filestore's are whole paths.
pub(super) fn name(document: &Value) -> Option<&str> {
    document.get("name").and_then(Value::as_str)?.rsplit('/').next()
}

/// Collection and name of a link: `("instances", "vm")` of `https://../projects/P/zones/Z/instances/vm`. The project
/// in a link may be its number, so it is not looked at.
pub(super) fn link_end(link: &str) -> Option<(&str, &str)> {
    let (rest, name) = link.trim_end_matches('/').rsplit_once('/')?;
    Some((rest.rsplit('/').next()?, name))
}
