//! A plan: complete data. Apply makes no choices of its own.

use crate::document::Desired;
use crate::field_path::FieldPath;
use crate::observed::Gap;
use crate::resource::ResourceId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What one run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Make live state equal to the file.
    Apply,
    /// Remove what the ensemble owns.
    Destroy {
        /// Delete data disks and Filestore instances too.
        delete_data: bool,
    },
    /// Show drift alone; no steps.
    RefreshOnly,
}

/// What happens to one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing: live equals desired.
    Keep,
    /// It does not exist yet.
    Create,
    /// Changed in place.
    Update,
    /// Deleted and created again.
    Replace,
    /// Deleted.
    Delete,
    /// An unowned resource that equals the file becomes ours.
    Adopt,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Live equals desired.
    InSync,
    /// Not there.
    NotFound,
    /// It lives in something that does not exist yet, e.g. objects of a cluster to be created.
    ContainerNotFound(ResourceId),
    /// Fields differ.
    FieldsDiffer,
    /// Fields differ that cannot change in place.
    ImmutableFields(Vec<String>),
    /// Live, ours, no longer in the file.
    NoLongerDeclared,
    /// Destroy was asked for.
    DestroyRequested,
    /// It survives a destroy: it holds data, or is not ours.
    Retained(String),
    /// One step of the ensemble between two voter counts.
    EnsembleStep {
        /// Voters before.
        from: u32,
        /// Voters after.
        to: u32,
    },
    /// The majority is lost: the ensemble begins again with the member in this pod.
    Rebuilt(String),
    /// Voters whose pods are gone.
    MembersLost(Vec<String>),
    /// The shared configuration is gone or empty; these pods hold the data of the ensemble that it described.
    ConfigurationLost(Vec<String>),
    /// Pods that read an empty member list where others read one: they are told it again.
    Misread(Vec<String>),
    /// Exhibitor's own roll waits for this member, whose pod is gone.
    RollStuck(String),
    /// Members that a roll has not restarted, because it was cut off: their switches are off.
    RollInterrupted(Vec<String>),
    /// There and equal, but not marked as ours.
    Unmarked,
}

/// One field that differs. Secret values are masked before they get here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// `spec.template.spec.containers[exhibitor].image`
    pub path: FieldPath,
    /// Live value; `None` when absent.
    pub before: Option<Value>,
    /// Desired value; `None` when it goes.
    pub after: Option<Value>,
    /// The key of the file that asks for it, e.g. `spec.exhibitor.image`.
    pub cause: Option<String>,
    /// Who set the live value, where the API tells (Kubernetes field manager).
    pub manager: Option<String>,
    /// Changing it needs a replacement.
    pub replaces: bool,
}

/// A digest of a live resource's identity and of the fields we declare: what a change rests on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fingerprint(pub String);

/// What must still hold right before a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precondition {
    /// Nothing by this name exists.
    Absent,
    /// It exists and its fingerprint is this one.
    Unchanged(Fingerprint),
    /// The ensemble has this many voters: what the step before it in the same plan leaves.
    Voters(u32),
}

/// One API call of a change, in order. Closed: the engine carries out each, and nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "call")]
pub enum Call {
    /// `insert` / `create` with the change's body.
    Insert,
    /// `delete`.
    Delete,
    /// Compute `setLabels`, GKE `setResourceLabels`, with the body's labels.
    SetLabels,
    /// `instances.setTags`.
    SetTags,
    /// `instances.setMetadata` with the body's items merged over the live ones.
    SetMetadata,
    /// `instances.stop`, `setMachineType`, `start`.
    SetMachineType,
    /// `instances.start`: it was found stopped.
    StartInstance,
    /// `instances.setDeletionProtection`.
    SetDeletionProtection {
        /// The new value.
        on: bool,
    },
    /// `disks.resize` to the body's `sizeGb`.
    ResizeDisk,
    /// `disks.addResourcePolicies` / `removeResourcePolicies`.
    SetDiskPolicies {
        /// Policy links to add.
        add: Vec<String>,
        /// Policy links to remove.
        remove: Vec<String>,
    },
    /// `firewalls.patch` with the body.
    PatchFirewall,
    /// `resourcePolicies.patch` with the body.
    PatchSnapshotSchedule,
    /// `instances.addAccessConfig` / `deleteAccessConfig`.
    SetAccessConfig {
        /// Whether the VM has an ephemeral external address afterwards.
        external: bool,
    },
    /// `clusters.update` with one `desired…` field.
    UpdateCluster {
        /// Field name of `ClusterUpdate`, e.g. `desiredReleaseChannel`.
        field: String,
        /// Its value.
        value: Value,
    },
    /// `nodePools.setSize`.
    SetNodePoolSize {
        /// Nodes in the pool.
        nodes: u32,
    },
    /// `nodePools.update` with one field group.
    UpdateNodePool {
        /// Fields of `UpdateNodePoolRequest`.
        fields: Value,
    },
    /// Filestore `patch` with an update mask.
    PatchFilestore {
        /// `fileShares`, `labels`, `description`
        mask: Vec<String>,
    },
    /// Kubernetes server-side apply of the body, forced, as our field manager.
    Apply,
    /// The leader's pod gets a deletion cost: the Deployment's controller, which begins at once when its template changes,
    /// replaces it last.
    SpareLeader {
        /// Whose leader.
        ensemble: ResourceId,
    },
    /// The pods of an earlier template go one by one: who does not serve first, then followers, the leader's last, who leads
    /// looked up again each time. A StatefulSet's are deleted, each in sync before the next one; a Deployment's controller deletes
    /// them by itself, and by the cost that the leader's pod has.
    ReplacePods {
        /// Whose members they are.
        ensemble: ResourceId,
    },
    /// Exhibitor `config/set` (all members restart) or `config/set-rolling` (one by one) with the whole document.
    SetEnsemble(EnsembleTarget),
}

impl Call {
    /// The ensemble whose members have to be asked for it, where it is about something else.
    #[must_use]
    pub const fn asks_members_of(&self) -> Option<&ResourceId> {
        if let Self::SpareLeader { ensemble } | Self::ReplacePods { ensemble } = self {
            Some(ensemble)
        } else {
            None
        }
    }
}

/// What the ensemble's shared configuration has to say after a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnsembleTarget {
    /// Voters in `serversSpec` after the step.
    pub voters: u32,
    /// `autoManageInstancesFixedEnsembleSize`: odd.
    pub fixed_size: u32,
    /// Addresses that stay, in the order of their ids; new ones are taken from answering pods outside the ensemble.
    pub keep: Vec<String>,
    /// Addresses outside the ensemble that join before others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub join: Vec<String>,
    /// Addresses that leave; their pods get a deletion cost that makes the Deployment remove them first.
    pub remove: Vec<String>,
    /// Members restart one by one, followers first, the leader last; else nobody has to (live settings, a first formation), or
    /// all restart at once.
    pub rolling: bool,
    /// A znode is written before the step and read on every member after it.
    #[serde(default)]
    pub canary: bool,
    /// The members get the ids from 1 in their order, all at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renumber: bool,
}

/// What a change waits for once its calls are done. Verdicts are functions in [`crate::readiness`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "wait")]
pub enum ReadyWhen {
    /// The operation is done; nothing more.
    Done,
    /// The VM runs and its start-up script of this generation reported ready.
    FileServerReady {
        /// Opaque id of the rendering: `generation=` in the script's report.
        generation: String,
    },
    /// Cluster `RUNNING` and its API answers.
    ClusterRunning,
    /// Node pool `RUNNING`.
    NodePoolRunning,
    /// Filestore `READY`.
    FilestoreReady,
    /// The pods of a Deployment or StatefulSet are at the new template and size, and Exhibitor answers in each (they are not Ready before
    /// the ensemble is formed).
    PodsAnswer {
        /// Pods wanted.
        replicas: u32,
    },
    /// Every voter serves, one leader, no roll: [`crate::quorum::converged`].
    EnsembleServes {
        /// Voters wanted.
        voters: u32,
    },
    /// At least so many voters serve, one of them leads, and no roll is under way: [`crate::quorum::holds`].
    QuorumHolds {
        /// Voters that have to serve.
        healthy: u32,
    },
    /// It is gone.
    Gone,
}

/// What a change interrupts while it is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disruption {
    /// Nothing restarts.
    None,
    /// The file server stops for a while; members keep serving.
    FileServer,
    /// Members restart one by one, the quorum holds.
    OneByOne,
    /// All members restart together: clients wait.
    All,
}

/// One change of one resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Whose.
    pub id: ResourceId,
    /// What.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// Field by field; empty iff [`Action::Keep`], [`Action::Create`] lists every declared field.
    pub diff: Vec<FieldChange>,
    /// The desired document, with secrets (none today) masked; `null` for deletes.
    pub body: Value,
    /// The calls, in order; empty for `Keep`, and for a resource that another change's call creates (`via`).
    pub calls: Vec<Call>,
    /// The change whose call creates this one too: a node pool comes with its cluster.
    pub via: Option<ResourceId>,
    /// What must still hold.
    pub precondition: Precondition,
    /// What to wait for.
    pub ready_when: ReadyWhen,
    /// What it interrupts.
    pub disruption: Disruption,
    /// What the user should know first: cost of a replacement, what is kept.
    pub notes: Vec<String>,
}

/// A condition between steps; the executor checks it on fresh readings and stops when it fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "gate")]
pub enum Gate {
    /// All voters healthy before the next one changes.
    Quorum {
        /// Voters now.
        voters: u32,
        /// Majority needed while it happens.
        need: u32,
        /// Healthy voters before.
        healthy: u32,
        /// The fewest healthy voters while the next step runs.
        during: u32,
    },
    /// The pods of a Deployment or StatefulSet run and Exhibitor answers in each.
    PodsAnswer {
        /// Whose.
        workload: ResourceId,
        /// How many.
        replicas: u32,
    },
    /// The file server exports its share.
    FileServerExports {
        /// VM or Filestore.
        server: ResourceId,
    },
    /// No pod mounts the share any more.
    NoMounts {
        /// VM or Filestore.
        server: ResourceId,
    },
}

/// Index of a step in [`Plan::steps`].
pub type StepIndex = usize;

/// One node of the plan's graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// A change or a gate.
    pub kind: StepKind,
    /// Steps that must be done before, by index; all smaller than this step's own.
    pub after: Vec<StepIndex>,
    /// Expected duration in seconds, from what the real clouds take.
    pub seconds: u32,
}

/// A change or a gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::large_enum_variant, reason = "a plan has tens of steps, most of them changes")]
pub enum StepKind {
    /// Something is written.
    Change(Change),
    /// Something must hold.
    Gate(Gate),
}

/// Code of the finding that no majority can serve again by itself: too many voters have no pod any more.
pub const MAJORITY_LOST: &str = "majority-lost";
/// Code of the finding that too few voters serve for any change of the ensemble.
pub const NO_QUORUM: &str = "no-quorum";
/// Code of the finding that a voter does not serve while something else is to change.
pub const MEMBER_MISSING: &str = "member-missing";

/// Something that stops a plan from being applied, or that its reader must know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// Whether the plan is refused.
    pub fatal: bool,
    /// Stable kebab-case code, e.g. `data-would-be-lost`.
    pub code: String,
    /// About which resource.
    pub subject: Option<ResourceId>,
    /// What, one sentence without a full stop.
    pub message: String,
    /// What to do; may be empty.
    pub fix: String,
}

/// Everything one run would do for one ensemble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Ensemble name.
    pub ensemble: String,
    /// What for.
    pub mode: Mode,
    /// Declared replicas.
    pub replicas: u32,
    /// Steps in an order that respects `after`.
    pub steps: Vec<Step>,
    /// Resources that stay as they are, for the report.
    pub kept: Vec<Change>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
    /// Refusals and remarks.
    pub findings: Vec<Finding>,
    /// What the plan was made from.
    pub desired: Desired,
}

impl Change {
    /// A change that changes nothing and only waits.
    #[must_use]
    pub fn look(id: &ResourceId, ready_when: ReadyWhen) -> Self {
        Self {
            id: id.clone(),
            action: Action::Keep,
            reason: Reason::InSync,
            diff: Vec::new(),
            body: Value::Null,
            calls: Vec::new(),
            via: None,
            precondition: Precondition::Absent,
            ready_when,
            disruption: Disruption::None,
            notes: Vec::new(),
        }
    }
}

impl Plan {
    /// Whether there is nothing to do and nothing unknown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.gaps.is_empty()
    }

    /// Whether the plan is refused because voters do not serve now: they may be restarting.
    #[must_use]
    pub fn waits_for_members(&self) -> bool {
        let codes = [MAJORITY_LOST, NO_QUORUM, MEMBER_MISSING];
        self.findings.iter().any(|finding| codes.contains(&finding.code.as_str()))
    }

    /// The changes among the steps, with their index.
    pub fn changes(&self) -> impl Iterator<Item = (StepIndex, &Change)> {
        self.steps.iter().enumerate().filter_map(|(index, step)| match &step.kind {
            StepKind::Change(change) => Some((index, change)),
            StepKind::Gate(_) => None,
        })
    }
}
