//! The order of steps: creation from the ground up, deletion in reverse, the ensemble's steps in a chain.

use super::PlanInput;
use super::{changes, pods};
use crate::observed::Reading;
use crate::plan::{Action, Change, Disruption, Gate, Reason, Step, StepKind};
use crate::quorum;
use crate::resource::{KubeKind, ResourceId, ResourceKind};
use std::collections::BTreeMap;

/// How deep a kind stands: what it needs has a smaller number.
const fn depth(kind: ResourceKind) -> u8 {
    match kind {
        ResourceKind::Address | ResourceKind::SnapshotSchedule | ResourceKind::Firewall => 0,
        ResourceKind::Disk | ResourceKind::FilestoreInstance | ResourceKind::Cluster => 1,
        ResourceKind::Instance | ResourceKind::NodePool => 2,
        ResourceKind::Kube(KubeKind::Namespace | KubeKind::ValidatingAdmissionPolicy) => 3,
        ResourceKind::Kube(KubeKind::RoleBinding | KubeKind::Deployment | KubeKind::StatefulSet) => 5,
        ResourceKind::Kube(KubeKind::CronJob) => 6,
        ResourceKind::Kube(_) => 4,
        ResourceKind::Ensemble => 7,
    }
}

/// When a kind goes: what lives in the cluster, the cluster, then the file server and what it needs.
const fn departure(kind: ResourceKind) -> u8 {
    let server = matches!(kind, ResourceKind::Instance | ResourceKind::FilestoreInstance);
    let in_cluster = matches!(kind, ResourceKind::Kube(_) | ResourceKind::NodePool | ResourceKind::Cluster);
    let class = if in_cluster {
        0
    } else if server {
        10
    } else {
        20
    };
    class + 9 - depth(kind)
}

/// Whether members do without: who may not make it still gets an ensemble.
const fn is_for_backups(kind: KubeKind) -> bool {
    matches!(kind, KubeKind::ServiceAccount | KubeKind::Role | KubeKind::RoleBinding | KubeKind::CronJob)
}

/// Whether `one` has to be there before `other` can be created.
fn needs(other: ResourceKind, one: ResourceKind) -> bool {
    use ResourceKind::{
        Address, Cluster, Disk, Ensemble, FilestoreInstance, Firewall, Instance, Kube, NodePool,
        SnapshotSchedule,
    };
    match other {
        Address | SnapshotSchedule | Firewall | FilestoreInstance | Cluster => false,
        Disk => one == SnapshotSchedule,
        // The rules first: the server never listens unguarded.
        Instance => matches!(one, Address | Disk | Firewall),
        NodePool => one == Cluster,
        Kube(kind) => match one {
            Cluster | NodePool => true,
            Kube(below) => match kind {
                KubeKind::Namespace | KubeKind::ValidatingAdmissionPolicy => false,
                KubeKind::ValidatingAdmissionPolicyBinding => below == KubeKind::ValidatingAdmissionPolicy,
                KubeKind::RoleBinding => {
                    matches!(below, KubeKind::Namespace | KubeKind::ServiceAccount | KubeKind::Role)
                }
                KubeKind::Deployment | KubeKind::StatefulSet => {
                    !below.runs_members() && !is_for_backups(below)
                }
                KubeKind::CronJob => below != KubeKind::CronJob,
                KubeKind::ConfigMap
                | KubeKind::Service
                | KubeKind::ServiceAccount
                | KubeKind::Role
                | KubeKind::PersistentVolumeClaim
                | KubeKind::PodDisruptionBudget
                | KubeKind::NetworkPolicy => below == KubeKind::Namespace,
            },
            Instance | FilestoreInstance | Address | Disk | Firewall | SnapshotSchedule => {
                kind.runs_members()
            }
            Ensemble => false,
        },
        Ensemble => matches!(one, Kube(below) if !is_for_backups(below)),
    }
}

/// Puts changes and the ensemble's steps into one graph, in an order that respects it.
pub(super) fn arrange(
    input: &PlanInput<'_>,
    changes: Vec<Change>,
    before_pods: Option<Change>,
    ensemble: Vec<StepKind>,
) -> Vec<Step> {
    let (deletes, mut makes): (Vec<Change>, Vec<Change>) =
        changes.into_iter().partition(|change| change.action == Action::Delete);
    makes.sort_by(|a, b| (depth(a.id.kind), &a.id).cmp(&(depth(b.id.kind), &b.id)));
    let mut sizes = ensemble.iter().filter_map(|step| match step {
        StepKind::Change(Change { reason: Reason::EnsembleStep { from, to }, .. }) => Some((*from, *to)),
        StepKind::Change(_) | StepKind::Gate(_) => None,
    });
    let first = sizes.next();
    let shrinks = first.zip(sizes.next_back().or(first)).is_some_and(|((from, _), (_, to))| to < from);
    let mut graph = Graph { before_pods, ..Graph::default() };
    // Voters leave before their pods: fewer pods and their number come after the ensemble's steps.
    let (late, early): (Vec<Change>, Vec<Change>) = makes.into_iter().partition(|change| {
        let pods = change.id.kind.runs_members() || change.id.kind == ResourceKind::Kube(KubeKind::ConfigMap);
        (shrinks && pods && change.action != Action::Create)
            || change.diff.iter().any(|field| changes::shrinks(field, "initialNodeCount"))
    });
    for change in early {
        graph.make(input, change);
    }
    graph.chain(input, ensemble);
    // Nodes go when their pods have gone.
    let (nodes, pods): (Vec<Change>, Vec<Change>) =
        late.into_iter().partition(|change| change.id.kind == ResourceKind::NodePool);
    for change in pods.into_iter().chain(nodes) {
        graph.make(input, change);
    }
    graph.delete(deletes);
    graph.steps
}

#[derive(Default)]
struct Graph {
    steps: Vec<Step>,
    made: BTreeMap<ResourceId, usize>,
    last_ensemble: Option<usize>,
    /// The ensemble's step before its pods are replaced.
    before_pods: Option<Change>,
}

impl Graph {
    fn push(&mut self, kind: StepKind, mut after: Vec<usize>, seconds: u32) -> usize {
        after.sort_unstable();
        after.dedup();
        self.steps.push(Step { kind, after, seconds });
        self.steps.len() - 1
    }

    fn make(&mut self, input: &PlanInput<'_>, change: Change) {
        let kind = change.id.kind;
        let mut after: Vec<usize> =
            self.made.iter().filter(|(id, _)| needs(kind, id.kind)).map(|(_, index)| *index).collect();
        after.extend(self.last_ensemble);
        if kind == ResourceKind::NodePool && change.disruption == Disruption::OneByOne {
            after.extend(self.made.values().copied());
            after = self.push_gate(quorum_gate(input, self.last_ensemble.is_some()), after);
        }
        if kind.runs_members() {
            after.extend(self.before_pods(input, &change, &after));
        }
        let (id, seconds) = (change.id.clone(), seconds(&change));
        let rolls = kind.runs_members() && pods::roll(&change.diff);
        let drains = kind == ResourceKind::NodePool && change.disruption == Disruption::OneByOne;
        let rolled = (rolls || drains).then(|| quorum_gate(input, self.last_ensemble.is_some())).flatten();
        let index = self.push(StepKind::Change(change), after, seconds);
        self.made.insert(id, index);
        // After a roll every voter has to serve again before anything else happens to the ensemble.
        if let Some(gate) = rolled {
            self.last_ensemble = Some(self.push(StepKind::Gate(gate), vec![index], 120));
        }
    }

    /// Puts a quorum gate behind these steps; what to come after then.
    fn push_gate(&mut self, gate: Option<Gate>, after: Vec<usize>) -> Vec<usize> {
        match gate {
            Some(gate) => vec![self.push(StepKind::Gate(gate), after, 2)],
            None => after,
        }
    }

    /// The share is exported before pods mount it; all voters are healthy before a roll starts.
    fn before_pods(&mut self, input: &PlanInput<'_>, change: &Change, after: &[usize]) -> Vec<usize> {
        let serves =
            |id: &&ResourceId| matches!(id.kind, ResourceKind::Instance | ResourceKind::FilestoreInstance);
        let server = input.desired.documents.iter().map(|document| &document.id).find(serves);
        let mut gates = Vec::new();
        // Asked even of a server that stays as it is: a run that was cut may have left it half started.
        if let Some(server) = server.cloned() {
            let made = self.made.get(&server).copied();
            gates.push(self.push(
                StepKind::Gate(Gate::FileServerExports { server }),
                made.into_iter().collect(),
                5,
            ));
        }
        if pods::roll(&change.diff) && change.action != Action::Create {
            let mut gate = quorum_gate(input, self.last_ensemble.is_some());
            if let Some(Gate::Quorum { healthy, .. }) = &mut gate {
                *healthy -= pods::repaired(input);
            }
            let mut after = after.to_vec();
            if let Some(change) = self.before_pods.take() {
                let (seconds, served) = (seconds(&change), [&after[..], &gates[..]].concat());
                after.push(self.push(StepKind::Change(change), served, seconds));
            }
            gates.extend(self.push_gate(gate, after));
        }
        gates
    }

    fn chain(&mut self, input: &PlanInput<'_>, ensemble: Vec<StepKind>) {
        let mut base: Vec<usize> = self
            .made
            .iter()
            .filter(|(id, _)| needs(ResourceKind::Ensemble, id.kind))
            .map(|(_, i)| *i)
            .collect();
        let workload =
            input.desired.documents.iter().map(|document| &document.id).find(|id| id.kind.runs_members());
        // Asked even of one that stays as it is: its pods may still be starting.
        if let (false, Some(workload)) = (ensemble.is_empty(), workload)
            && !self.made.contains_key(workload)
        {
            let replicas = pods_before(input, workload);
            let gate = Gate::PodsAnswer { workload: workload.clone(), replicas };
            base = vec![self.push(StepKind::Gate(gate), base, 5)];
        }
        for kind in ensemble {
            let last = self.last_ensemble.and_then(|last| self.steps.get(last));
            // The gate behind a roll of pods asks the same.
            if matches!(kind, StepKind::Gate(_)) && last.is_some_and(|last| last.kind == kind) {
                continue;
            }
            let mut after = base.clone();
            after.extend(self.last_ensemble);
            let seconds = match &kind {
                StepKind::Change(change) => seconds(change),
                StepKind::Gate(_) => 2,
            };
            self.last_ensemble = Some(self.push(kind, after, seconds));
        }
    }

    /// Deletions in reverse: what needs something goes before it; the file server last, when nothing mounts it.
    fn delete(&mut self, mut deletes: Vec<Change>) {
        deletes.sort_by(|a, b| (departure(a.id.kind), &a.id).cmp(&(departure(b.id.kind), &b.id)));
        let before: Vec<usize> = (0..self.steps.len()).collect();
        let mut gone: BTreeMap<ResourceId, usize> = BTreeMap::new();
        for change in deletes {
            let kind = change.id.kind;
            let mut after = before.clone();
            after
                .extend(gone.iter().filter(|(id, _)| deleted_before(id.kind, kind)).map(|(_, index)| *index));
            if matches!(kind, ResourceKind::Instance | ResourceKind::FilestoreInstance) {
                let gate = Gate::NoMounts { server: change.id.clone() };
                after = vec![self.push(StepKind::Gate(gate), after, 5)];
            }
            let (id, seconds) = (change.id.clone(), seconds(&change));
            let index = self.push(StepKind::Change(change), after, seconds);
            gone.insert(id, index);
        }
    }
}

/// Whether a resource of kind `first` goes before one of kind `then`.
fn deleted_before(first: ResourceKind, then: ResourceKind) -> bool {
    let in_cluster = matches!(first, ResourceKind::Kube(_) | ResourceKind::Cluster | ResourceKind::NodePool);
    let server = matches!(then, ResourceKind::Instance | ResourceKind::FilestoreInstance);
    needs(first, then) || (in_cluster && server)
}

/// Pods there are while the ensemble changes: as many as declared, or on the way down as many as there are; the
/// voters may be fewer by then.
pub(super) fn pods_before(input: &PlanInput<'_>, workload: &ResourceId) -> u32 {
    let declared = input.spec.exhibitor.replicas;
    let live = input.observed.resources.get(workload).and_then(Reading::known);
    let replicas = live.and_then(|live| live.document.pointer("/spec/replicas")?.as_u64());
    replicas.and_then(|replicas| u32::try_from(replicas).ok()).map_or(declared, |live| declared.max(live))
}

/// All voters of an existing ensemble, one of them away.
fn quorum_gate(input: &PlanInput<'_>, resized: bool) -> Option<Gate> {
    let Reading::Known(state) = &input.observed.ensemble else { return None };
    let live = quorum::voters(state);
    // Around a resize the ensemble has its declared size by then; before it, the one it has.
    let voters = if resized { input.spec.exhibitor.replicas } else { live };
    (live > 0).then(|| Gate::Quorum {
        voters,
        need: quorum::need(voters),
        healthy: voters,
        during: voters.saturating_sub(1),
    })
}

/// What the real clouds take, in seconds: Compute Engine, GKE and Filestore as commonly measured, Exhibitor as real
/// members were measured (`tests/real`).
pub(super) const fn seconds(change: &Change) -> u32 {
    let create = matches!(change.action, Action::Create | Action::Replace);
    match change.id.kind {
        ResourceKind::Address | ResourceKind::SnapshotSchedule => 5,
        ResourceKind::Firewall => 10,
        ResourceKind::Disk => 10,
        ResourceKind::Instance => {
            if create {
                90
            } else {
                60
            }
        }
        ResourceKind::FilestoreInstance => 240,
        ResourceKind::Cluster => {
            if create {
                300
            } else {
                180
            }
        }
        ResourceKind::NodePool => {
            if create {
                5
            } else {
                120
            }
        }
        ResourceKind::Kube(KubeKind::Deployment | KubeKind::StatefulSet) => 45,
        ResourceKind::Kube(_) => 1,
        // Exhibitor holds its lock for five seconds; a setting that restarts nobody takes no longer.
        ResourceKind::Ensemble => match change.disruption {
            Disruption::None if !create => 8,
            Disruption::None | Disruption::OneByOne | Disruption::All | Disruption::FileServer => 40,
        },
    }
}
