//! What zkprov manages: a closed set of kinds, and the identity of one resource.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The kinds of Kubernetes objects that the templates render.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KubeKind {
    /// `v1/Namespace`
    Namespace,
    /// `v1/ConfigMap`: the declared size; also the parent of the ApplySet
    ConfigMap,
    /// `v1/Service`
    Service,
    /// `v1/ServiceAccount`: who a scheduled backup is
    ServiceAccount,
    /// `rbac.authorization.k8s.io/v1/Role`: what it may
    Role,
    /// `rbac.authorization.k8s.io/v1/RoleBinding`
    RoleBinding,
    /// `policy/v1/PodDisruptionBudget`
    PodDisruptionBudget,
    /// `networking.k8s.io/v1/NetworkPolicy`
    NetworkPolicy,
    /// `admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy`
    ValidatingAdmissionPolicy,
    /// `admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding`
    ValidatingAdmissionPolicyBinding,
    /// `v1/PersistentVolumeClaim`: a member's volume
    PersistentVolumeClaim,
    /// `apps/v1/Deployment`
    Deployment,
    /// `apps/v1/StatefulSet`: members with volumes
    StatefulSet,
    /// `batch/v1/CronJob`: scheduled backups
    CronJob,
}

impl KubeKind {
    /// Every kind, in the order they are created.
    pub const ALL: [Self; 14] = [
        Self::Namespace,
        Self::ValidatingAdmissionPolicy,
        Self::ValidatingAdmissionPolicyBinding,
        Self::ConfigMap,
        Self::NetworkPolicy,
        Self::PodDisruptionBudget,
        Self::Service,
        Self::ServiceAccount,
        Self::Role,
        Self::RoleBinding,
        Self::PersistentVolumeClaim,
        Self::Deployment,
        Self::StatefulSet,
        Self::CronJob,
    ];

    /// Whether objects of this kind run the members' pods.
    #[must_use]
    pub const fn runs_members(self) -> bool {
        match self {
            Self::Deployment | Self::StatefulSet => true,
            Self::Namespace
            | Self::ConfigMap
            | Self::Service
            | Self::ServiceAccount
            | Self::Role
            | Self::RoleBinding
            | Self::PodDisruptionBudget
            | Self::NetworkPolicy
            | Self::ValidatingAdmissionPolicy
            | Self::ValidatingAdmissionPolicyBinding
            | Self::PersistentVolumeClaim
            | Self::CronJob => false,
        }
    }

    /// API version, kind, plural and whether it lives in a namespace.
    #[must_use]
    pub const fn api(self) -> KubeApi {
        const fn of(
            api_version: &'static str,
            kind: &'static str,
            plural: &'static str,
            namespaced: bool,
        ) -> KubeApi {
            KubeApi { api_version, kind, plural, namespaced }
        }
        match self {
            Self::Namespace => of("v1", "Namespace", "namespaces", false),
            Self::ConfigMap => of("v1", "ConfigMap", "configmaps", true),
            Self::Service => of("v1", "Service", "services", true),
            Self::ServiceAccount => of("v1", "ServiceAccount", "serviceaccounts", true),
            Self::Role => of("rbac.authorization.k8s.io/v1", "Role", "roles", true),
            Self::RoleBinding => of("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", true),
            Self::PodDisruptionBudget => of("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", true),
            Self::NetworkPolicy => of("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", true),
            Self::ValidatingAdmissionPolicy => of(
                "admissionregistration.k8s.io/v1",
                "ValidatingAdmissionPolicy",
                "validatingadmissionpolicies",
                false,
            ),
            Self::ValidatingAdmissionPolicyBinding => of(
                "admissionregistration.k8s.io/v1",
                "ValidatingAdmissionPolicyBinding",
                "validatingadmissionpolicybindings",
                false,
            ),
            Self::PersistentVolumeClaim => of("v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
            Self::Deployment => of("apps/v1", "Deployment", "deployments", true),
            Self::StatefulSet => of("apps/v1", "StatefulSet", "statefulsets", true),
            Self::CronJob => of("batch/v1", "CronJob", "cronjobs", true),
        }
    }
}

/// How a Kubernetes kind is addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KubeApi {
    /// `v1` or `group/version`.
    pub api_version: &'static str,
    /// `Deployment`
    pub kind: &'static str,
    /// `deployments`
    pub plural: &'static str,
    /// Whether objects of this kind live in a namespace.
    pub namespaced: bool,
}

/// Everything zkprov can manage. Closed: a new kind makes the compiler list every place it touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResourceKind {
    /// Compute Engine internal address (regional)
    Address,
    /// Compute Engine persistent disk (zonal): the data disk
    Disk,
    /// Compute Engine resource policy with a snapshot schedule (regional)
    SnapshotSchedule,
    /// Compute Engine firewall rule (global)
    Firewall,
    /// Compute Engine VM (zonal), with its boot disk
    Instance,
    /// Filestore instance
    FilestoreInstance,
    /// GKE cluster
    Cluster,
    /// GKE node pool
    NodePool,
    /// An object inside the cluster
    Kube(KubeKind),
    /// The ensemble: Exhibitor's shared configuration, voters above all
    Ensemble,
}

/// Where a resource lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "in")]
pub enum Scope {
    /// A Google Cloud resource: project and location (`global`, a region or a zone).
    Google {
        /// Project id, domain-scoped ones included (`example.com:p`).
        project: String,
        /// `global`, `us-east1` or `us-east1-d`.
        location: String,
    },
    /// A node pool: its cluster.
    Pool {
        /// Project id.
        project: String,
        /// Zone of the cluster.
        location: String,
        /// Cluster name.
        cluster: String,
    },
    /// An object in a cluster; `namespace` is `-` for kinds that have none.
    Kube {
        /// Cluster name or kubeconfig context.
        cluster: String,
        /// Namespace, or `-`.
        namespace: String,
    },
}

/// The identity of one resource. Deterministic names are the only state zkprov keeps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    /// What it is.
    pub kind: ResourceKind,
    /// Where it lives.
    pub scope: Scope,
    /// Its name there.
    pub name: String,
}

/// How a kind's changes are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// By the field rules of one of Google's APIs.
    Google,
    /// By the Kubernetes API's own dry-run.
    Kubernetes,
    /// By Exhibitor's shared configuration.
    Ensemble,
}

impl ResourceKind {
    /// How changes of this kind are found.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Address
            | Self::Disk
            | Self::SnapshotSchedule
            | Self::Firewall
            | Self::Instance
            | Self::FilestoreInstance
            | Self::Cluster
            | Self::NodePool => Family::Google,
            Self::Kube(_) => Family::Kubernetes,
            Self::Ensemble => Family::Ensemble,
        }
    }

    /// The word that stands for the kind in an id, e.g. `gke` or `deployment`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Disk => "disk",
            Self::SnapshotSchedule => "snapshot-schedule",
            Self::Firewall => "firewall",
            Self::Instance => "instance",
            Self::FilestoreInstance => "filestore",
            Self::Cluster => "gke",
            Self::NodePool => "node-pool",
            Self::Ensemble => "ensemble",
            Self::Kube(kind) => match kind {
                KubeKind::Namespace => "namespace",
                KubeKind::ConfigMap => "configmap",
                KubeKind::Service => "service",
                KubeKind::ServiceAccount => "serviceaccount",
                KubeKind::Role => "role",
                KubeKind::RoleBinding => "rolebinding",
                KubeKind::PodDisruptionBudget => "poddisruptionbudget",
                KubeKind::NetworkPolicy => "networkpolicy",
                KubeKind::ValidatingAdmissionPolicy => "validatingadmissionpolicy",
                KubeKind::ValidatingAdmissionPolicyBinding => "validatingadmissionpolicybinding",
                KubeKind::PersistentVolumeClaim => "persistentvolumeclaim",
                KubeKind::Deployment => "deployment",
                KubeKind::StatefulSet => "statefulset",
                KubeKind::CronJob => "cronjob",
            },
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        let google = [
            Self::Address,
            Self::Disk,
            Self::SnapshotSchedule,
            Self::Firewall,
            Self::Instance,
            Self::FilestoreInstance,
            Self::Cluster,
            Self::NodePool,
            Self::Ensemble,
        ];
        google.into_iter().chain(KubeKind::ALL.map(Self::Kube)).find(|kind| kind.word() == word)
    }
}

impl fmt::Display for ResourceId {
    /// `gke/my-project/us-east1-d/cluster-1`, `deployment/cluster-1/default/exhibitor`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, name) = (self.kind.word(), &self.name);
        match &self.scope {
            Scope::Google { project, location } => write!(f, "{word}/{project}/{location}/{name}"),
            Scope::Pool { project, location, cluster } => {
                write!(f, "{word}/{project}/{location}/{cluster}/{name}")
            }
            Scope::Kube { cluster, namespace } => write!(f, "{word}/{cluster}/{namespace}/{name}"),
        }
    }
}

impl ResourceKind {
    /// Whether resources of this kind run the members' pods.
    #[must_use]
    pub const fn runs_members(self) -> bool {
        match self {
            Self::Kube(kind) => kind.runs_members(),
            Self::Address
            | Self::Disk
            | Self::SnapshotSchedule
            | Self::Firewall
            | Self::Instance
            | Self::FilestoreInstance
            | Self::Cluster
            | Self::NodePool
            | Self::Ensemble => false,
        }
    }
}

/// A string that is not a resource id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a resource id such as gke/my-project/us-east1-d/cluster-1")]
pub struct ParseResourceIdError(String);

impl FromStr for ResourceId {
    type Err = ParseResourceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseResourceIdError(text.to_owned());
        let parts: Vec<&str> = text.split('/').collect();
        let kind = parts.first().and_then(|word| ResourceKind::from_word(word)).ok_or_else(wrong)?;
        let in_cluster = matches!(kind, ResourceKind::Kube(_) | ResourceKind::Ensemble);
        let (scope, name) = match parts.as_slice() {
            [_, cluster, namespace, name] if in_cluster => {
                (Scope::Kube { cluster: (*cluster).to_owned(), namespace: (*namespace).to_owned() }, name)
            }
            [_, project, location, cluster, name] if kind == ResourceKind::NodePool => (
                Scope::Pool {
                    project: (*project).to_owned(),
                    location: (*location).to_owned(),
                    cluster: (*cluster).to_owned(),
                },
                name,
            ),
            [_, project, location, name] if kind != ResourceKind::NodePool => {
                (Scope::Google { project: (*project).to_owned(), location: (*location).to_owned() }, name)
            }
            _ => return Err(wrong()),
        };
        Ok(Self { kind, scope, name: (*name).to_owned() })
    }
}

impl Serialize for ResourceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ResourceId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_their_text() {
        for text in [
            "gke/my-project/us-east1-d/cluster-1",
            "node-pool/example.com:p/us-east1-d/cluster-1/default-pool",
            "validatingadmissionpolicy/cluster-1/-/zkprov-odd",
            "ensemble/cluster-1/default/exhibitor",
        ] {
            assert_eq!(text.parse::<ResourceId>().unwrap().to_string(), text);
        }
        assert!("gke/us-east1-d".parse::<ResourceId>().is_err());
    }
}
