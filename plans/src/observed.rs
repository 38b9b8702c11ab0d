//! What is live, as far as it could be read. Absent is not unknown.

use crate::resource::ResourceId;
use crate::zookeeper::Zxid;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The result of reading one thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading<T> {
    /// It is there, and this is it.
    Known(T),
    /// The API answered that it is not there.
    Absent,
    /// It could not be read: it may or may not be there.
    Unavailable(Gap),
}

impl<T> Reading<T> {
    /// The value, if it is known.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::Unavailable(_) => None,
        }
    }
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// What was asked, e.g. `Compute Engine API, instances in us-east1-d`.
    pub what: String,
    /// Why there was no answer, without credentials.
    pub why: String,
    /// The next command or edit; may be empty.
    pub hint: String,
}

/// Whose a live resource is, by its label, mark or name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ownership {
    /// It carries the mark of this ensemble.
    Ours,
    /// It carries another ensemble's mark.
    Other(String),
    /// It carries no mark of ours.
    Foreign,
}

/// A live resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// The document as the API returned it (Google: JSON with names for enums; Kubernetes: the object, with `managedFields`).
    pub document: Value,
    /// Kubernetes: what a forced server-side-apply dry-run of our body would make of it.
    pub predicted: Option<Value>,
    /// Whose it is.
    pub ownership: Ownership,
}

/// What was read for one ensemble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// One reading for each desired resource, and one for each further live resource that carries this ensemble's mark.
    pub resources: BTreeMap<ResourceId, Reading<Live>>,
    /// The ensemble as its members tell it. `Absent`: no pods, no shared configuration that could be read.
    pub ensemble: Reading<EnsembleState>,
    /// Operations under way on our resources.
    pub operations: Vec<RunningOperation>,
}

/// An operation that the cloud is already carrying out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningOperation {
    /// What it works on.
    pub target: ResourceId,
    /// `insert`, `CREATE_CLUSTER`, ...
    pub verb: String,
    /// Its name in the API.
    pub name: String,
}

/// The three views of one ensemble: Kubernetes' pods, Exhibitor's configuration and states, ZooKeeper's own words.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnsembleState {
    /// Pods of the Deployment or StatefulSet, by name.
    pub pods: Vec<Pod>,
    /// Exhibitor's shared configuration, from the first member that answered; `None` when none did.
    pub config: Option<Value>,
    /// Parsed `serversSpec`, by id; empty while forming.
    pub servers: Vec<Server>,
    /// What each server of `servers` and each pod beside them says, by address.
    pub members: Vec<Member>,
    /// Exhibitor is rolling a change, and goes on with it.
    pub rolling: bool,
    /// Exhibitor is rolling a change, and waits for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<StuckRoll>,
    /// Pods that read an empty member list where others read one, by name: not yet told of a new ensemble, or caught in the
    /// moment when the file was being written, and then alone until somebody writes again.
    #[serde(default)]
    pub misread: Vec<String>,
    /// Pods that read another configuration than `config` otherwise, by name: they have not looked at the latest one yet.
    #[serde(default)]
    pub behind: Vec<String>,
    /// Addresses whose Exhibitor does not restart its ZooKeeper, by a switch of its control panel: what a roll has still to
    /// restart, or has left so when it was cut off.
    #[serde(default)]
    pub held: Vec<String>,
    /// What could not be read about the ensemble.
    pub gaps: Vec<Gap>,
}

/// A roll of Exhibitor's that has reached a member whose pod is gone: only that member could move it on. Automatic management is
/// off and no change is taken until somebody ends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StuckRoll {
    /// Whom it waits for, by address.
    pub waits_for: String,
    /// Whether the configuration of the [`EnsembleState`] is the one from before the roll; else the one that it leads to.
    pub before: bool,
}

impl StuckRoll {
    /// What is wrong.
    #[must_use]
    pub fn words(&self) -> String {
        format!("Exhibitor's roll waits for {}, whose pod is gone, and for ever", self.waits_for)
    }
}

/// A pod of the Deployment or StatefulSet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// Name.
    pub name: String,
    /// Address; `None` before the sandbox of the pod is up.
    pub ip: Option<String>,
    /// The name that stays with it, if it has one: `exhibitor-0.exhibitor-members.default.svc`.
    #[serde(default)]
    pub host: Option<String>,
    /// The revision of its StatefulSet's template that it was made from; `None` for a pod of a Deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Node name.
    pub node: Option<String>,
    /// `Pending`, `Running`, ...
    pub phase: String,
    /// The Ready condition: in the quorum, by our probe.
    pub ready: bool,
    /// A deletion is under way.
    pub deleting: bool,
    /// A waiting or terminated reason of the container: `ImagePullBackOff`, `CrashLoopBackOff`, ...
    pub trouble: Option<String>,
}

impl Pod {
    /// What the ensemble knows it by: the name that stays with it, else its address.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.host.as_deref().or(self.ip.as_deref())
    }

    /// How it is: `exhibitor-1 is Pending (no node has room)`.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { name, phase, trouble, .. } = self;
        let trouble = trouble.as_ref().map(|trouble| format!(" ({trouble})")).unwrap_or_default();
        format!("{name} is {phase}{trouble}")
    }
}

/// One entry of `serversSpec`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Server {
    /// ZooKeeper's server id, 1 to 255.
    pub id: u32,
    /// Address of the pod, or the name that stays with it.
    pub hostname: String,
    /// `O:` entries do not vote.
    pub observer: bool,
}

/// What is said of one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Address.
    pub hostname: String,
    /// Id in `serversSpec`; `None` outside the ensemble.
    pub id: Option<u32>,
    /// Pod with this address.
    pub pod: Option<String>,
    /// What Exhibitor says of it; `None` when it does not list it.
    pub exhibitor: Option<InstanceState>,
    /// Exhibitor says leader (it says so of standalone servers too).
    pub exhibitor_leader: bool,
    /// ZooKeeper's own answer to `srvr`; `None` when it does not serve.
    pub zookeeper: Option<Srvr>,
}

/// What Exhibitor says of an instance: `InstanceStateTypes` of its source, in JSON by their codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
pub enum InstanceState {
    /// Code 0: it has not looked at its ZooKeeper yet.
    Latent,
    /// Code 1: ZooKeeper does not answer.
    Down,
    /// Code 2: ZooKeeper runs and has no quorum.
    NotServing,
    /// Code 3.
    Serving,
    /// A code of another version.
    Other(u32),
}

impl From<u32> for InstanceState {
    fn from(code: u32) -> Self {
        match code {
            0 => Self::Latent,
            1 => Self::Down,
            2 => Self::NotServing,
            3 => Self::Serving,
            code => Self::Other(code),
        }
    }
}

impl From<InstanceState> for u32 {
    fn from(state: InstanceState) -> Self {
        match state {
            InstanceState::Latent => 0,
            InstanceState::Down => 1,
            InstanceState::NotServing => 2,
            InstanceState::Serving => 3,
            InstanceState::Other(code) => code,
        }
    }
}

/// ZooKeeper's answer to `srvr`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Srvr {
    /// Role.
    pub mode: Mode,
    /// The last transaction that it knows.
    pub zxid: Zxid,
    /// Open connections.
    pub connections: u64,
    /// Znodes.
    pub nodes: u64,
    /// `3.4.6-1569965`
    pub version: String,
}

/// ZooKeeper's `Mode:` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The leader of the quorum.
    Leader,
    /// A voter in the quorum.
    Follower,
    /// Follows without a vote.
    Observer,
    /// Alone, outside any quorum.
    Standalone,
}
