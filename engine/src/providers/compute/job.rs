//! One call on one resource.

use super::super::labels;
use super::super::strict::typed;
use crate::error::{ProviderError, ProviderErrorKind};
use crate::provider::Progress;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zkprov_plans::observed::{Live, Reading};
use zkprov_plans::plan::{Call, Change};
use zkprov_plans::resource::{ResourceId, ResourceKind, Scope};

/// The kinds that Compute Engine serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Instance,
    Disk,
    Address,
    Firewall,
    SnapshotSchedule,
}

impl Kind {
    pub(super) const fn of(kind: ResourceKind) -> Option<Self> {
        match kind {
            ResourceKind::Instance => Some(Self::Instance),
            ResourceKind::Disk => Some(Self::Disk),
            ResourceKind::Address => Some(Self::Address),
            ResourceKind::Firewall => Some(Self::Firewall),
            ResourceKind::SnapshotSchedule => Some(Self::SnapshotSchedule),
            ResourceKind::FilestoreInstance
            | ResourceKind::Cluster
            | ResourceKind::NodePool
            | ResourceKind::Kube(_)
            | ResourceKind::Ensemble => None,
        }
    }

    /// The collection in links.
    pub(super) const fn collection(self) -> &'static str {
        match self {
            Self::Instance => "instances",
            Self::Disk => "disks",
            Self::Address => "addresses",
            Self::Firewall => "firewalls",
            Self::SnapshotSchedule => "resourcePolicies",
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Disk => "disk",
            Self::Address => "address",
            Self::Firewall => "firewall rule",
            Self::SnapshotSchedule => "snapshot schedule",
        }
    }
}

/// Where a resource is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) kind: Kind,
    pub(super) project: &'a str,
    /// Zone, region or `global`.
    pub(super) location: &'a str,
    pub(super) name: &'a str,
}

impl<'a> Place<'a> {
    /// # Errors
    /// [`ProviderErrorKind::Invalid`] when the resource is not Compute Engine's.
    pub(super) fn of(id: &'a ResourceId) -> Result<Self, ProviderError> {
        match (Kind::of(id.kind), &id.scope) {
            (Some(kind), Scope::Google { project, location }) => {
                Ok(Self { kind, project, location, name: &id.name })
            }
            (Some(_) | None, Scope::Google { .. } | Scope::Pool { .. } | Scope::Kube { .. }) => {
                Err(not_ours(id, "not a Compute Engine resource"))
            }
        }
    }

    /// `instance singlefs-1-vm`
    pub(super) fn what(&self) -> String {
        format!("{} {}", self.kind.noun(), self.name)
    }
}

/// A call sent to the wrong provider: a mistake of ours, reported instead of guessed at.
pub(super) fn not_ours(id: &ResourceId, why: &str) -> ProviderError {
    ProviderError::new(
        ProviderErrorKind::Invalid,
        format!("working on {id}"),
        format!("{why}; this is a bug in zkprov"),
    )
}

/// One call of a change.
pub(super) struct Job<'a> {
    pub(super) place: Place<'a>,
    pub(super) change: &'a Change,
    /// `creating instance singlefs-1-vm`
    pub(super) doing: String,
    pub(super) progress: Progress<'a>,
    live: &'a Reading<Live>,
    request_id: &'a str,
}

impl<'a> Job<'a> {
    pub(super) fn new(
        change: &'a Change,
        call: &Call,
        live: &'a Reading<Live>,
        request_id: &'a str,
        progress: Progress<'a>,
    ) -> Result<Self, ProviderError> {
        let place = Place::of(&change.id)?;
        let doing = format!("{} {}", verb(call), place.what());
        Ok(Self { place, change, doing, progress, live, request_id })
    }

    /// A message of a request body, read strictly.
    ///
    /// # Errors
    /// [`ProviderErrorKind::Invalid`], naming the field.
    pub(super) fn typed<T: DeserializeOwned>(&self, body: &Value) -> Result<T, ProviderError> {
        typed(&self.doing, body)
    }

    /// Calls of several writes need an id for each: the last digit of the UUID is moved on.
    pub(super) fn request_id(&self, nth: u8) -> String {
        let mut id = self.request_id.to_owned();
        if let Some(digit) = id.pop().and_then(|last| last.to_digit(16)) {
            id.extend(char::from_digit((digit + u32::from(nth)) % 16, 16));
        }
        id
    }

    /// The live document that a conditional write rests on.
    ///
    /// # Errors
    /// [`ProviderErrorKind::Stale`] when there is none.
    pub(super) fn live(&self) -> Result<&'a Value, ProviderError> {
        match self.live {
            Reading::Known(live) => Ok(&live.document),
            Reading::Absent => Err(self.stale("it is not there any more")),
            Reading::Unavailable(gap) => Err(self.stale(&format!("it could not be read: {}", gap.why))),
        }
    }

    /// A concurrency handle of the live document, e.g. at `/tags/fingerprint`.
    ///
    /// # Errors
    /// [`ProviderErrorKind::Stale`] when the document has none: an unconditional write could undo another's change.
    pub(super) fn handle(&self, pointer: &str) -> Result<&'a Value, ProviderError> {
        let handle = self.live()?.pointer(pointer);
        handle.ok_or_else(|| {
            self.stale(&format!("the live document has no {}", pointer.trim_start_matches('/')))
        })
    }

    /// A field of the desired document; `null` when it does not say.
    pub(super) fn body(&self, key: &str) -> Value {
        self.change.body.get(key).cloned().unwrap_or(Value::Null)
    }

    /// The labels to write.
    ///
    /// # Errors
    /// [`ProviderErrorKind::Stale`] when there is no live document.
    pub(super) fn labels(&self) -> Result<Value, ProviderError> {
        Ok(labels::beside(self.live()?.get("labels"), &self.body("labels")))
    }

    pub(super) fn stale(&self, message: &str) -> ProviderError {
        ProviderError::new(ProviderErrorKind::Stale, &self.doing, message)
    }

    pub(super) fn misplaced(&self, call: &Call) -> ProviderError {
        not_ours(&self.change.id, &format!("a {} has no call for {}", self.place.kind.noun(), verb(call)))
    }
}

/// What a call does, for `doing`.
const fn verb(call: &Call) -> &'static str {
    match call {
        Call::Insert => "creating",
        Call::Delete => "deleting",
        Call::SetLabels => "labelling",
        Call::SetTags => "tagging",
        Call::SetMetadata => "setting the metadata of",
        Call::SetMachineType => "setting the machine type of",
        Call::StartInstance => "starting",
        Call::SetDeletionProtection { .. } => "setting the deletion protection of",
        Call::ResizeDisk => "resizing",
        Call::SetDiskPolicies { .. } => "setting the snapshot schedules of",
        Call::PatchFirewall | Call::PatchSnapshotSchedule => "changing",
        Call::SetAccessConfig { .. } => "setting the external address of",
        Call::UpdateCluster { .. } | Call::UpdateNodePool { .. } | Call::PatchFilestore { .. } => "updating",
        Call::SetNodePoolSize { .. } => "resizing",
        Call::Apply => "applying",
        Call::SpareLeader { .. } | Call::ReplacePods { .. } => "replacing the pods of",
        Call::SetEnsemble(_) => "configuring",
    }
}
