//! The switches by name: `quota.SSD_TOTAL_GB=250`, `policy.compute.vmExternalIpAccess=deny`.

use crate::google::compute::usage::Metric;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A project's quota in each region.
    Quota(Metric),
    /// Most zonal clusters of a project in one zone.
    ZonalClusters,
    /// A constraint of the organisation.
    Policy(Constraint),
    /// Whether the project has a network called `default`.
    DefaultNetwork,
    /// Whether the principal has a role.
    Role(Role),
    /// Whether the default service account of Compute Engine has roles.
    DefaultServiceAccount,
    /// Most reads, and most changes, that an API takes in a minute.
    Rate(Api),
    /// Locations that an API's lists over several locations lack.
    Partial(Api),
}

/// Constraints of the organisation policy service, `constraints/compute.…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Constraint {
    /// Machines that may have external addresses: none.
    VmExternalIpAccess,
    /// OS Login can't be switched off.
    RequireOsLogin,
    /// New machines have Secure Boot, a virtual TPM and integrity monitoring.
    RequireShieldedVm,
    /// The interactive serial console can't be switched on.
    DisableSerialPortAccess,
}

/// Roles of the principal, each for the part of an API that needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Changes in Compute Engine.
    ComputeAdmin,
    /// Reads in Compute Engine.
    ComputeViewer,
    /// Changes of clusters and node pools.
    ContainerAdmin,
    /// Reads of clusters and node pools.
    ContainerClusterViewer,
    /// Objects in the clusters.
    ContainerDeveloper,
    /// Changes in Filestore.
    FileEditor,
    /// Reads in Filestore.
    FileViewer,
    /// Nodes that run as a service account.
    ServiceAccountUser,
    /// Changes of objects in buckets.
    StorageObjectAdmin,
    /// Reads of objects in buckets.
    StorageObjectViewer,
}

/// The APIs that have rates and partial answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Api {
    /// `compute.googleapis.com`
    Compute,
    /// `container.googleapis.com`
    Container,
    /// `file.googleapis.com`
    Filestore,
}

impl Constraint {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::VmExternalIpAccess,
        Self::RequireOsLogin,
        Self::RequireShieldedVm,
        Self::DisableSerialPortAccess,
    ];

    /// `compute.vmExternalIpAccess`
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::VmExternalIpAccess => "compute.vmExternalIpAccess",
            Self::RequireOsLogin => "compute.requireOsLogin",
            Self::RequireShieldedVm => "compute.requireShieldedVm",
            Self::DisableSerialPortAccess => "compute.disableSerialPortAccess",
        }
    }
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::ComputeAdmin,
        Self::ComputeViewer,
        Self::ContainerAdmin,
        Self::ContainerClusterViewer,
        Self::ContainerDeveloper,
        Self::FileEditor,
        Self::FileViewer,
        Self::ServiceAccountUser,
        Self::StorageObjectAdmin,
        Self::StorageObjectViewer,
    ];

    /// `container.admin` of `roles/container.admin`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ComputeAdmin => "compute.admin",
            Self::ComputeViewer => "compute.viewer",
            Self::ContainerAdmin => "container.admin",
            Self::ContainerClusterViewer => "container.clusterViewer",
            Self::ContainerDeveloper => "container.developer",
            Self::FileEditor => "file.editor",
            Self::FileViewer => "file.viewer",
            Self::ServiceAccountUser => "iam.serviceAccountUser",
            Self::StorageObjectAdmin => "storage.objectAdmin",
            Self::StorageObjectViewer => "storage.objectViewer",
        }
    }
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Compute, Self::Container, Self::Filestore];

    /// As rules of faults and logs name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Container => "container",
            Self::Filestore => "filestore",
        }
    }

    /// `compute.googleapis.com`
    pub(super) const fn host(self) -> &'static str {
        match self {
            Self::Compute => "compute.googleapis.com",
            Self::Container => "container.googleapis.com",
            Self::Filestore => "file.googleapis.com",
        }
    }
}

/// What a switch takes, and the word that switches it off.
enum Form {
    /// A whole number from 0 on.
    Number,
    /// The word that switches it on.
    Word(&'static str, &'static str),
    /// Names of zones and regions with commas between.
    Places,
}

impl Key {
    /// All switches there are, in the order of the guide.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let quotas = Metric::ALL.map(Self::Quota).into_iter().chain([Self::ZonalClusters]);
        let policies = Constraint::ALL.map(Self::Policy);
        let roles = Role::ALL.map(Self::Role).into_iter().chain([Self::DefaultServiceAccount]);
        let rates = Api::ALL.map(Self::Rate).into_iter().chain(Api::ALL.map(Self::Partial));
        quotas.chain(policies).chain([Self::DefaultNetwork]).chain(roles).chain(rates).collect()
    }

    /// The form of a value that switches it on: `N`, a word, or `PLACE,...`; and the word that switches it off.
    #[must_use]
    pub const fn words(self) -> (&'static str, &'static str) {
        match self.form() {
            Form::Number => ("N", "unlimited"),
            Form::Word(on, off) => (on, off),
            Form::Places => ("PLACE,...", "none"),
        }
    }

    const fn form(self) -> Form {
        match self {
            Self::Quota(_) | Self::ZonalClusters | Self::Rate(_) => Form::Number,
            Self::Policy(Constraint::VmExternalIpAccess) => Form::Word("deny", "allow"),
            Self::Policy(
                Constraint::RequireOsLogin
                | Constraint::RequireShieldedVm
                | Constraint::DisableSerialPortAccess,
            ) => Form::Word("enforced", "off"),
            Self::DefaultNetwork | Self::Role(_) => Form::Word("absent", "present"),
            Self::DefaultServiceAccount => Form::Word("roleless", "editor"),
            Self::Partial(_) => Form::Places,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quota(metric) => write!(out, "quota.{}", metric.name()),
            Self::ZonalClusters => out.write_str("quota.ZONAL_CLUSTERS"),
            Self::Policy(constraint) => write!(out, "policy.{}", constraint.name()),
            Self::DefaultNetwork => out.write_str("network.default"),
            Self::Role(role) => write!(out, "role.{}", role.name()),
            Self::DefaultServiceAccount => out.write_str("serviceAccount.default"),
            Self::Rate(api) => write!(out, "rate.{}.perMinute", api.name()),
            Self::Partial(api) => write!(out, "partial.{}", api.name()),
        }
    }
}

/// To what a switch that is on is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// It is on, and there is nothing more to it.
    On,
    /// A limit.
    Limit(u64),
    /// Zones and regions.
    Places(BTreeSet<String>),
}

/// A switch, and to what it is to be set; `None` is off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// Which.
    pub key: Key,
    /// To what.
    pub setting: Option<Setting>,
}

/// Why a switch's text was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SwitchError(String);

impl Switch {
    pub(super) const fn error(text: String) -> SwitchError {
        SwitchError(text)
    }

    /// Reads a switch's name and value.
    ///
    /// # Errors
    /// When there is no such switch, or it does not take the value; the text says what there is.
    pub fn read(key: &str, value: &str) -> Result<Self, SwitchError> {
        let known = Key::all();
        let Some(found) = known.iter().find(|known| known.to_string() == key) else {
            let names: Vec<String> = known.iter().map(ToString::to_string).collect();
            return Err(SwitchError(format!("{key:?} is no switch; there are {}", names.join(", "))));
        };
        let (on, off) = found.words();
        let bad = || SwitchError(format!("{key} takes {on} or {off}, not {value:?}"));
        if value == off {
            return Ok(Self { key: *found, setting: None });
        }
        let setting = match found.form() {
            Form::Number => Setting::Limit(value.parse().map_err(|_| bad())?),
            Form::Word(..) if value == on => Setting::On,
            Form::Word(..) => return Err(bad()),
            Form::Places => {
                let places: BTreeSet<String> =
                    value.split(',').map(|place| place.trim().to_owned()).collect();
                let unknown = places
                    .iter()
                    .find(|place| crate::google::container::places::Place::find(place).is_none());
                if let Some(unknown) = unknown {
                    return Err(SwitchError(format!("{key}: {unknown:?} is no zone or region")));
                }
                Setting::Places(places)
            }
        };
        Ok(Self { key: *found, setting: Some(setting) })
    }
}

impl FromStr for Switch {
    type Err = SwitchError;

    fn from_str(text: &str) -> Result<Self, SwitchError> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| SwitchError(format!("{text:?} is not KEY=VALUE; for example: quota.CPUS=8")))?;
        Self::read(key, value)
    }
}

/// The value of a switch as it is written.
pub(super) fn text_of(key: Key, setting: &Setting) -> String {
    match setting {
        Setting::On => key.words().0.to_owned(),
        Setting::Limit(limit) => limit.to_string(),
        Setting::Places(places) => places.iter().map(String::as_str).collect::<Vec<_>>().join(","),
    }
}
