//! One change for each resource: absent, equal, different, or not ours.

use super::ensemble::migration;
use super::{Draft, PlanInput, pods, volumes};
use crate::diff::{self, Difference};
use crate::document::Document;
use crate::field_path::FieldPath;
use crate::observed::{Live, Ownership, Reading};
use crate::plan::{Action, Call, Change, Disruption, FieldChange, Precondition, ReadyWhen, Reason};
use crate::resource::{KubeKind, ResourceId, ResourceKind};
use crate::rules::{self, How};
use crate::spec::Cluster;
use serde_json::Value;

/// Changes of everything the file asks for, the ensemble itself apart.
pub(super) fn desired(input: &PlanInput<'_>, draft: &mut Draft) {
    for document in &input.desired.documents {
        if document.id.kind == ResourceKind::Ensemble {
            continue;
        }
        match input.observed.resources.get(&document.id) {
            Some(Reading::Unavailable(gap)) => {
                draft.gaps.insert(gap.clone());
            }
            Some(Reading::Known(live)) => existing(input, document, live, draft),
            Some(Reading::Absent) => draft.changes.push(create(input, document)),
            None => {
                draft.gaps.insert(crate::observed::Gap {
                    what: document.id.to_string(),
                    why: "it was not read".to_owned(),
                    hint: String::new(),
                });
            }
        }
    }
}

/// Resources that carry the ensemble's mark and are no longer in the file.
pub(super) fn no_longer_declared(input: &PlanInput<'_>, draft: &mut Draft) {
    for (id, reading) in &input.observed.resources {
        let (Reading::Known(live), None) = (reading, input.desired.get(id)) else { continue };
        if live.ownership != Ownership::Ours || id.kind == ResourceKind::Ensemble {
            continue;
        }
        if migration::leaves(input, id) {
            migration::leave(input, id, live, draft);
            continue;
        }
        if volumes::is_claim(id) {
            volumes::left_over(input, id, live, draft);
            continue;
        }
        let consented = input.replace.contains(id) && !input.spec.protection.data;
        if holds_data(id.kind) && !consented {
            draft.find(
                false,
                "retained",
                id,
                format!("{id} is no longer in the file and is kept: {}", what_it_holds(id.kind)),
                "put it back into the file, or delete it by hand when its data is no longer needed",
            );
            continue;
        }
        draft.changes.push(delete(id, live, Reason::NoLongerDeclared));
    }
}

fn existing(input: &PlanInput<'_>, document: &Document, live: &Live, draft: &mut Draft) {
    let id = &document.id;
    if let Some(message) = diff::refused(live) {
        let (code, message, fix) = volumes::refusal(id, &document.body, live, message).unwrap_or_else(|| {
            let fix = "change the file so that the API accepts it; `zkprov render` shows the document";
            ("refused-by-the-api", format!("the API refuses {id}: {message}"), fix.to_owned())
        });
        draft.refuse(code, id, message, fix);
        return;
    }
    let mut difference = diff::diff(id, &document.body, live);
    difference.fields.extend(pods::unfinished_roll(input, document, live, &difference.fields));
    if let (Some(why), false) = (diff::refusal(live), difference.fields.iter().any(|field| field.replaces)) {
        let fix = "undo the change of the template";
        draft.refuse("refused-by-the-api", id, format!("the API refuses {id}: {why}"), fix);
        return;
    }
    if id.kind == ResourceKind::NodePool && !input.spec.origins.contains_key("spec.cluster.nodeCount") {
        keep_spare_nodes(&mut difference);
    }
    match &live.ownership {
        Ownership::Other(other) => draft.refuse(
            "owned-by-another",
            id,
            format!("{id} belongs to the ensemble {other}"),
            format!("choose another name in the file, or destroy {other} first"),
        ),
        Ownership::Foreign if input.adopt && !difference.fields.iter().any(|field| field.replaces) => {
            let mut change = update(input, document, live, difference);
            (change.action, change.reason) = (Action::Adopt, Reason::Unmarked);
            draft.changes.push(change);
        }
        Ownership::Foreign if input.adopt => {
            let fields: Vec<String> =
                difference.fields.iter().filter(|f| f.replaces).map(|f| f.path.to_string()).collect();
            draft.refuse(
                "cannot-adopt",
                id,
                format!(
                    "{id} carries no mark of zkprov and cannot become what the file says: {} cannot change in place",
                    fields.join(", ")
                ),
                "write into the file what is there, or choose another name in the file",
            );
        }
        Ownership::Foreign => draft.refuse(
            "not-ours",
            id,
            format!("{id} exists and carries no mark of zkprov"),
            "choose another name in the file, or add `--adopt` to take it over",
        ),
        Ownership::Ours if difference.fields.is_empty() => draft.kept.push(keep(document, live)),
        Ownership::Ours => changed(input, document, live, difference, draft),
    }
}

/// Nodes that the file does not ask for by number follow the replicas up, never down: GKE chooses which nodes go, and
/// would take members with them.
fn keep_spare_nodes(difference: &mut Difference) {
    let spare = |field: &FieldChange| shrinks(field, "initialNodeCount");
    if difference.fields.iter().any(spare) {
        difference.fields.retain(|field| !spare(field));
        difference.how.retain(|how| *how != How::SetNodePoolSize);
    }
}

/// Whether the number at this path gets smaller.
pub(super) fn shrinks(field: &FieldChange, path: &str) -> bool {
    let number =
        |value: &Option<Value>| value.as_ref().and_then(|value| rules::text(value).parse::<u64>().ok());
    field.path == path && matches!((number(&field.before), number(&field.after)), (Some(b), Some(a)) if a < b)
}

fn changed(
    input: &PlanInput<'_>,
    document: &Document,
    live: &Live,
    difference: Difference,
    draft: &mut Draft,
) {
    let id = &document.id;
    let change = update(input, document, live, difference);
    // A StatefulSet is replaced around its pods: they and their volumes stay.
    let stays = id.kind == ResourceKind::Kube(KubeKind::StatefulSet);
    if change.action == Action::Replace && holds_data(id.kind) && !stays {
        let fields: Vec<String> =
            change.diff.iter().filter(|f| f.replaces).map(|f| f.path.to_string()).collect();
        if input.spec.protection.data {
            draft.refuse(
                "data-would-be-lost",
                id,
                format!(
                    "{} cannot change in place, and replacing {id} would lose {}",
                    fields.join(", "),
                    what_it_holds(id.kind)
                ),
                "undo the edit; without `spec.protection.data`, `--replace` would allow the loss",
            );
        } else if !input.replace.contains(id) {
            draft.refuse(
                "replacement-not-allowed",
                id,
                format!(
                    "{} cannot change in place: {id} would be deleted and created again",
                    fields.join(", ")
                ),
                format!("add `--replace {id}` if {} may go", what_it_holds(id.kind)),
            );
        }
    }
    draft.changes.push(change);
}

/// Whether deleting a resource of this kind loses something that cannot be made again.
pub(super) const fn holds_data(kind: ResourceKind) -> bool {
    match kind {
        ResourceKind::Disk
        | ResourceKind::FilestoreInstance
        | ResourceKind::Cluster
        | ResourceKind::NodePool
        | ResourceKind::Kube(
            KubeKind::Deployment
            | KubeKind::StatefulSet
            | KubeKind::PersistentVolumeClaim
            | KubeKind::Namespace,
        ) => true,
        ResourceKind::Address
        | ResourceKind::SnapshotSchedule
        | ResourceKind::Firewall
        | ResourceKind::Instance
        | ResourceKind::Ensemble
        | ResourceKind::Kube(
            KubeKind::ConfigMap
            | KubeKind::Service
            | KubeKind::ServiceAccount
            | KubeKind::Role
            | KubeKind::RoleBinding
            | KubeKind::PodDisruptionBudget
            | KubeKind::NetworkPolicy
            | KubeKind::ValidatingAdmissionPolicy
            | KubeKind::ValidatingAdmissionPolicyBinding
            | KubeKind::CronJob,
        ) => false,
    }
}

/// What is lost with it.
pub(super) const fn what_it_holds(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Disk | ResourceKind::FilestoreInstance => "the files of the share",
        ResourceKind::Kube(KubeKind::PersistentVolumeClaim) => "a member's data",
        ResourceKind::Cluster | ResourceKind::NodePool | ResourceKind::Kube(_) => {
            "every znode: the members keep their data in their pods"
        }
        ResourceKind::Address
        | ResourceKind::SnapshotSchedule
        | ResourceKind::Firewall
        | ResourceKind::Instance
        | ResourceKind::Ensemble => "nothing",
    }
}

fn create(input: &PlanInput<'_>, document: &Document) -> Change {
    let id = &document.id;
    let cluster = input.desired.documents.iter().find(|other| other.id.kind == ResourceKind::Cluster);
    let new_cluster =
        cluster.filter(|other| matches!(input.observed.resources.get(&other.id), Some(Reading::Absent)));
    let inside = matches!(id.kind, ResourceKind::Kube(_) | ResourceKind::NodePool);
    let reason = match new_cluster {
        Some(cluster) if inside => Reason::ContainerNotFound(cluster.id.clone()),
        Some(_) | None => Reason::NotFound,
    };
    let via = new_cluster.filter(|_| id.kind == ResourceKind::NodePool).map(|cluster| cluster.id.clone());
    let calls = match (id.kind, &via) {
        (_, Some(_)) => Vec::new(),
        (ResourceKind::Kube(_), None) => vec![Call::Apply],
        // An address takes its labels only afterwards.
        (ResourceKind::Address, None) => vec![Call::Insert, Call::SetLabels],
        (_, None) => vec![Call::Insert],
    };
    Change {
        id: id.clone(),
        action: Action::Create,
        reason,
        diff: diff::declared(id.kind, &document.body),
        body: document.body.clone(),
        calls,
        via,
        precondition: Precondition::Absent,
        ready_when: readiness_of(document, input.spec.exhibitor.replicas),
        disruption: Disruption::None,
        notes: Vec::new(),
    }
}

fn keep(document: &Document, live: &Live) -> Change {
    Change {
        id: document.id.clone(),
        action: Action::Keep,
        reason: Reason::InSync,
        diff: Vec::new(),
        body: Value::Null,
        calls: Vec::new(),
        via: None,
        precondition: Precondition::Unchanged(diff::fingerprint(&document.id, &document.body, live)),
        ready_when: ReadyWhen::Done,
        disruption: Disruption::None,
        notes: Vec::new(),
    }
}

/// What stays although it is not asked for any more, and why.
pub(super) fn retained(id: &ResourceId, why: String) -> Change {
    Change {
        id: id.clone(),
        action: Action::Keep,
        reason: Reason::Retained(why),
        diff: Vec::new(),
        body: Value::Null,
        calls: Vec::new(),
        via: None,
        precondition: Precondition::Absent,
        ready_when: ReadyWhen::Done,
        disruption: Disruption::None,
        notes: Vec::new(),
    }
}

/// A deletion, with what it waits for.
pub(super) fn delete(id: &ResourceId, live: &Live, reason: Reason) -> Change {
    let protected = live.document.get("deletionProtection").and_then(Value::as_bool) == Some(true);
    let lift = protected.then_some(Call::SetDeletionProtection { on: false });
    Change {
        id: id.clone(),
        action: Action::Delete,
        reason,
        diff: vec![FieldChange {
            path: FieldPath::default(),
            before: live.document.get("name").or_else(|| live.document.pointer("/metadata/name")).cloned(),
            after: None,
            cause: None,
            manager: None,
            replaces: false,
        }],
        body: Value::Null,
        calls: lift.into_iter().chain([Call::Delete]).collect(),
        via: None,
        precondition: Precondition::Unchanged(diff::fingerprint(id, &Value::Null, live)),
        ready_when: ReadyWhen::Gone,
        disruption: Disruption::None,
        notes: Vec::new(),
    }
}

fn update(input: &PlanInput<'_>, document: &Document, live: &Live, difference: Difference) -> Change {
    let id = &document.id;
    let immutable: Vec<String> =
        difference.fields.iter().filter(|field| field.replaces).map(|field| field.path.to_string()).collect();
    let replace = !immutable.is_empty();
    let calls = if matches!(id.kind, ResourceKind::Kube(_)) {
        let [before, after] = pods::calls(input, document, &difference.fields);
        let apply = replace.then_some(Call::Delete).into_iter().chain([Call::Apply]);
        before.into_iter().chain(apply).chain(after).collect()
    } else if replace {
        delete(id, live, Reason::InSync).calls.into_iter().chain([Call::Insert]).collect()
    } else {
        difference.how.iter().filter_map(|how| call(*how, document, live)).collect()
    };
    Change {
        id: id.clone(),
        action: if replace { Action::Replace } else { Action::Update },
        reason: match pods::interrupted(&difference.fields) {
            Some(pods) => Reason::RollInterrupted(pods),
            None if replace => Reason::ImmutableFields(immutable),
            None => Reason::FieldsDiffer,
        },
        disruption: disruption(id.kind, replace, &difference),
        notes: notes(id.kind, replace, &difference),
        diff: difference.fields,
        body: document.body.clone(),
        calls,
        via: None,
        precondition: Precondition::Unchanged(diff::fingerprint(id, &document.body, live)),
        ready_when: readiness_of(document, input.spec.exhibitor.replicas),
    }
}

/// The call that brings a field in line; none for what is not compared or makes the change a replacement.
fn call(how: How, document: &Document, live: &Live) -> Option<Call> {
    let wanted = |path: &str| rules::at(&document.body, path).cloned().unwrap_or_default();
    Some(match how {
        How::SetLabels => Call::SetLabels,
        How::SetTags => Call::SetTags,
        How::SetMetadata => Call::SetMetadata,
        How::SetMachineType => Call::SetMachineType,
        How::StartInstance => Call::StartInstance,
        How::SetDeletionProtection => {
            Call::SetDeletionProtection { on: wanted("deletionProtection").as_bool().unwrap_or_default() }
        }
        How::SetAccessConfig => {
            let configs = wanted("networkInterfaces[].accessConfigs");
            Call::SetAccessConfig { external: configs.as_array().is_some_and(|list| !list.is_empty()) }
        }
        How::ResizeDisk => Call::ResizeDisk,
        How::SetDiskPolicies => {
            let (add, remove) = policies(&document.body, &live.document);
            Call::SetDiskPolicies { add, remove }
        }
        How::PatchFirewall => Call::PatchFirewall,
        How::PatchSnapshotSchedule => Call::PatchSnapshotSchedule,
        How::UpdateCluster(field) => {
            Call::UpdateCluster { field: field.to_owned(), value: cluster_value(field, document) }
        }
        How::SetNodePoolSize => Call::SetNodePoolSize {
            nodes: rules::text(&wanted("initialNodeCount")).parse().unwrap_or_default(),
        },
        How::UpdateNodePool(field) => {
            let value = wanted(&format!("config.{field}"));
            Call::UpdateNodePool { fields: serde_json::json!({ field: pool_value(field, value) }) }
        }
        How::PatchFilestore(entry) => Call::PatchFilestore { mask: vec![entry.to_owned()] },
        How::InputOnly | How::Replace => return None,
    })
}

fn cluster_value(field: &str, document: &Document) -> Value {
    let path = match field {
        "desiredReleaseChannel" => "releaseChannel",
        "desiredMasterVersion" => "initialClusterVersion",
        other => other,
    };
    rules::at(&document.body, path).cloned().unwrap_or_default()
}

/// `UpdateNodePoolRequest` wraps lists and maps that a pool's config holds bare.
fn pool_value(field: &str, value: Value) -> Value {
    match field {
        "tags" => serde_json::json!({ "tags": value }),
        "labels" | "resourceLabels" => serde_json::json!({ "labels": value }),
        _ => value,
    }
}

fn policies(body: &Value, live: &Value) -> (Vec<String>, Vec<String>) {
    let links = |document: &Value| -> Vec<String> {
        let list = document.get("resourcePolicies").and_then(Value::as_array).cloned().unwrap_or_default();
        list.iter().map(rules::text).collect()
    };
    let (wanted, there) = (links(body), links(live));
    let has = |list: &[String], link: &String| {
        list.iter().any(|other| rules::Compare::Link.equal(&link.clone().into(), Some(&other.clone().into())))
    };
    let add = wanted.iter().filter(|link| !has(&there, link)).cloned().collect();
    let remove = there.iter().filter(|link| !has(&wanted, link)).cloned().collect();
    (add, remove)
}

fn disruption(kind: ResourceKind, replace: bool, difference: &Difference) -> Disruption {
    match kind {
        ResourceKind::Instance if replace || difference.how.contains(&How::SetMachineType) => {
            Disruption::FileServer
        }
        ResourceKind::Kube(KubeKind::Deployment) if replace => Disruption::All,
        ResourceKind::Kube(_) if kind.runs_members() && pods::roll(&difference.fields) => {
            Disruption::OneByOne
        }
        ResourceKind::Cluster if replace => Disruption::All,
        ResourceKind::NodePool if replace => Disruption::All,
        ResourceKind::NodePool if moves_pods(difference) => Disruption::OneByOne,
        ResourceKind::Address
        | ResourceKind::Disk
        | ResourceKind::SnapshotSchedule
        | ResourceKind::Firewall
        | ResourceKind::Instance
        | ResourceKind::FilestoreInstance
        | ResourceKind::Cluster
        | ResourceKind::NodePool
        | ResourceKind::Kube(_)
        | ResourceKind::Ensemble => Disruption::None,
    }
}

/// Whether nodes go, and the members on them with them.
fn moves_pods(difference: &Difference) -> bool {
    let upgrade = difference.how.iter().any(|how| matches!(how, How::UpdateNodePool(_)));
    upgrade || difference.fields.iter().any(|field| shrinks(field, "initialNodeCount"))
}

fn notes(kind: ResourceKind, replace: bool, difference: &Difference) -> Vec<String> {
    let mut notes = Vec::new();
    if replace {
        notes.push(if kind == ResourceKind::Instance {
            "the VM is deleted and created again; the data disk stays; members keep serving, their configuration is out \
             of reach for about 2 minutes"
                .to_owned()
        } else if kind == ResourceKind::Kube(KubeKind::StatefulSet) {
            "the StatefulSet is deleted and created again around its pods: none restarts".to_owned()
        } else if kind == ResourceKind::Kube(KubeKind::Service) {
            "the Service is deleted and created again, with another address: new connections fail for a moment, and \
             clients that keep the old address have to resolve the name again; open ones stay"
                .to_owned()
        } else {
            format!("deleting and creating it again loses {}", what_it_holds(kind))
        });
    }
    if difference.how.contains(&How::SetMachineType) {
        notes.push(
            "the VM stops and starts: about 1 minute without the share; members keep serving".to_owned(),
        );
    }
    if kind == ResourceKind::NodePool && moves_pods(difference) {
        notes.push(
            "GKE drains nodes within the disruption budget; each member on them is replaced by an empty one that syncs \
             from the leader"
                .to_owned(),
        );
    }
    if kind == ResourceKind::Kube(KubeKind::StatefulSet) && pods::roll(&difference.fields) {
        notes.push(
            "pods are replaced one at a time, the leader's last; each comes back with its data".to_owned(),
        );
    }
    if kind == ResourceKind::Kube(KubeKind::Deployment) && pods::roll(&difference.fields) {
        notes.push(
            "every pod is replaced, one at a time, the leader's last; each new one is empty, takes the place of the one \
             before it, and syncs from the leader"
                .to_owned(),
        );
    }
    notes
}

/// What a resource waits for once it is written. `replicas` is the declared size.
#[must_use]
pub fn readiness_of(document: &Document, replicas: u32) -> ReadyWhen {
    match document.id.kind {
        ResourceKind::Instance => ReadyWhen::FileServerReady { generation: generation(&document.body) },
        ResourceKind::FilestoreInstance => ReadyWhen::FilestoreReady,
        ResourceKind::Cluster => ReadyWhen::ClusterRunning,
        ResourceKind::NodePool => ReadyWhen::NodePoolRunning,
        ResourceKind::Kube(KubeKind::Deployment | KubeKind::StatefulSet) => {
            ReadyWhen::PodsAnswer { replicas }
        }
        ResourceKind::Ensemble => ReadyWhen::EnsembleServes { voters: replicas },
        ResourceKind::Address
        | ResourceKind::Disk
        | ResourceKind::SnapshotSchedule
        | ResourceKind::Firewall
        | ResourceKind::Kube(_) => ReadyWhen::Done,
    }
}

/// The rendering's id, which the start-up script reports back.
fn generation(body: &Value) -> String {
    let items = rules::at(body, "metadata.items").map(rules::items).unwrap_or_default();
    items.get("zkprov-generation").cloned().unwrap_or_default()
}

/// Whether the run would touch a cluster that is not ours.
pub(super) const fn owns_cluster(cluster: &Cluster) -> bool {
    match cluster {
        Cluster::Managed(_) => true,
        Cluster::Existing { .. } | Cluster::Kubeconfig { .. } => false,
    }
}
