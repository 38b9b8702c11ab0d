//! The kinds of object this API server serves.

use serde::{Deserialize, Serialize};

/// A served kind. The order is that of discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the API")]
pub enum Kind {
    ConfigMap,
    Endpoints,
    Event,
    Namespace,
    Node,
    PersistentVolumeClaim,
    Pod,
    ReplicationController,
    Secret,
    ServiceAccount,
    Service,
    DaemonSet,
    Deployment,
    ReplicaSet,
    StatefulSet,
    CronJob,
    Job,
    PodDisruptionBudget,
    NetworkPolicy,
    Role,
    RoleBinding,
    EndpointSlice,
    Lease,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
}

/// What discovery says of a kind.
#[derive(Debug)]
pub(super) struct Info {
    /// API group, empty for the core.
    pub(super) group: &'static str,
    /// Name of the kind, of its list without `List`, and of its type in the schema.
    pub(super) kind: &'static str,
    /// Plural, as in paths.
    pub(super) plural: &'static str,
    /// Singular, as kubectl takes it.
    pub(super) singular: &'static str,
    /// Short names.
    pub(super) short: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub(super) namespaced: bool,
    /// Subresources beside the main one.
    pub(super) subresources: &'static [&'static str],
}

const fn info(
    group: &'static str,
    kind: &'static str,
    names: [&'static str; 2],
    short: &'static [&'static str],
) -> Info {
    let [plural, singular] = names;
    Info { group, kind, plural, singular, short, namespaced: true, subresources: &[] }
}

const fn cluster_wide(mut info: Info) -> Info {
    info.namespaced = false;
    info
}

const fn with(mut info: Info, subresources: &'static [&'static str]) -> Info {
    info.subresources = subresources;
    info
}

static CONFIG_MAP: Info = info("", "ConfigMap", ["configmaps", "configmap"], &["cm"]);
static ENDPOINTS: Info = info("", "Endpoints", ["endpoints", "endpoints"], &["ep"]);
static EVENT: Info = info("", "Event", ["events", "event"], &["ev"]);
static NAMESPACE: Info =
    with(cluster_wide(info("", "Namespace", ["namespaces", "namespace"], &["ns"])), &["finalize", "status"]);
static NODE: Info = with(cluster_wide(info("", "Node", ["nodes", "node"], &["no"])), &["status"]);
static PERSISTENT_VOLUME_CLAIM: Info = with(
    info("", "PersistentVolumeClaim", ["persistentvolumeclaims", "persistentvolumeclaim"], &["pvc"]),
    &["status"],
);
static POD: Info = with(
    info("", "Pod", ["pods", "pod"], &["po"]),
    &["eviction", "exec", "log", "portforward", "proxy", "status"],
);
static REPLICATION_CONTROLLER: Info = with(
    info("", "ReplicationController", ["replicationcontrollers", "replicationcontroller"], &["rc"]),
    &["scale", "status"],
);
static SECRET: Info = info("", "Secret", ["secrets", "secret"], &[]);
static SERVICE_ACCOUNT: Info = info("", "ServiceAccount", ["serviceaccounts", "serviceaccount"], &["sa"]);
static SERVICE: Info = with(info("", "Service", ["services", "service"], &["svc"]), &["proxy", "status"]);
static DAEMON_SET: Info = with(info("apps", "DaemonSet", ["daemonsets", "daemonset"], &["ds"]), &["status"]);
static DEPLOYMENT: Info =
    with(info("apps", "Deployment", ["deployments", "deployment"], &["deploy"]), &["scale", "status"]);
static REPLICA_SET: Info =
    with(info("apps", "ReplicaSet", ["replicasets", "replicaset"], &["rs"]), &["scale", "status"]);
static STATEFUL_SET: Info =
    with(info("apps", "StatefulSet", ["statefulsets", "statefulset"], &["sts"]), &["scale", "status"]);
static CRON_JOB: Info = with(info("batch", "CronJob", ["cronjobs", "cronjob"], &["cj"]), &["status"]);
static JOB: Info = with(info("batch", "Job", ["jobs", "job"], &[]), &["status"]);
static POD_DISRUPTION_BUDGET: Info = with(
    info("policy", "PodDisruptionBudget", ["poddisruptionbudgets", "poddisruptionbudget"], &["pdb"]),
    &["status"],
);
static NETWORK_POLICY: Info =
    info("networking.k8s.io", "NetworkPolicy", ["networkpolicies", "networkpolicy"], &["netpol"]);
static ROLE: Info = info("rbac.authorization.k8s.io", "Role", ["roles", "role"], &[]);
static ROLE_BINDING: Info =
    info("rbac.authorization.k8s.io", "RoleBinding", ["rolebindings", "rolebinding"], &[]);
static ENDPOINT_SLICE: Info =
    info("discovery.k8s.io", "EndpointSlice", ["endpointslices", "endpointslice"], &[]);
static LEASE: Info = info("coordination.k8s.io", "Lease", ["leases", "lease"], &[]);
static ADMISSION_POLICY: Info = with(
    cluster_wide(info(
        "admissionregistration.k8s.io",
        "ValidatingAdmissionPolicy",
        ["validatingadmissionpolicies", "validatingadmissionpolicy"],
        &[],
    )),
    &["status"],
);
static ADMISSION_BINDING: Info = cluster_wide(info(
    "admissionregistration.k8s.io",
    "ValidatingAdmissionPolicyBinding",
    ["validatingadmissionpolicybindings", "validatingadmissionpolicybinding"],
    &[],
));

impl Kind {
    /// Every kind, in the order of discovery.
    pub const ALL: [Self; 25] = [
        Self::ConfigMap,
        Self::Endpoints,
        Self::Event,
        Self::Namespace,
        Self::Node,
        Self::PersistentVolumeClaim,
        Self::Pod,
        Self::ReplicationController,
        Self::Secret,
        Self::ServiceAccount,
        Self::Service,
        Self::DaemonSet,
        Self::Deployment,
        Self::ReplicaSet,
        Self::StatefulSet,
        Self::CronJob,
        Self::Job,
        Self::PodDisruptionBudget,
        Self::NetworkPolicy,
        Self::Role,
        Self::RoleBinding,
        Self::EndpointSlice,
        Self::Lease,
        Self::ValidatingAdmissionPolicy,
        Self::ValidatingAdmissionPolicyBinding,
    ];

    /// What discovery says of it.
    pub(super) fn info(self) -> &'static Info {
        match self {
            Self::ConfigMap => &CONFIG_MAP,
            Self::Endpoints => &ENDPOINTS,
            Self::Event => &EVENT,
            Self::Namespace => &NAMESPACE,
            Self::Node => &NODE,
            Self::PersistentVolumeClaim => &PERSISTENT_VOLUME_CLAIM,
            Self::Pod => &POD,
            Self::ReplicationController => &REPLICATION_CONTROLLER,
            Self::Secret => &SECRET,
            Self::ServiceAccount => &SERVICE_ACCOUNT,
            Self::Service => &SERVICE,
            Self::DaemonSet => &DAEMON_SET,
            Self::Deployment => &DEPLOYMENT,
            Self::ReplicaSet => &REPLICA_SET,
            Self::StatefulSet => &STATEFUL_SET,
            Self::CronJob => &CRON_JOB,
            Self::Job => &JOB,
            Self::PodDisruptionBudget => &POD_DISRUPTION_BUDGET,
            Self::NetworkPolicy => &NETWORK_POLICY,
            Self::Role => &ROLE,
            Self::RoleBinding => &ROLE_BINDING,
            Self::EndpointSlice => &ENDPOINT_SLICE,
            Self::Lease => &LEASE,
            Self::ValidatingAdmissionPolicy => &ADMISSION_POLICY,
            Self::ValidatingAdmissionPolicyBinding => &ADMISSION_BINDING,
        }
    }

    /// The kind that a path names. Every group serves `v1` and nothing else.
    pub(super) fn find(group: &str, plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.info().group == group && kind.info().plural == plural)
    }

    /// `apiVersion` of its objects.
    pub(super) fn api_version(self) -> String {
        match self.info().group {
            "" => "v1".to_owned(),
            group => format!("{group}/v1"),
        }
    }

    /// `deployments.apps`, as messages name it.
    pub(super) fn qualified(self) -> String {
        let info = self.info();
        if info.group.is_empty() { info.plural.to_owned() } else { format!("{}.{}", info.plural, info.group) }
    }

    /// Whether a `PUT` makes an object that is not there.
    pub(super) fn is_created_by_put(self) -> bool {
        matches!(self, Self::Endpoints | Self::Event | Self::Lease | Self::Service)
    }

    /// `Deployment.apps`, or the kind alone in the core group.
    pub(super) fn of_group(self) -> String {
        let info = self.info();
        if info.group.is_empty() { info.kind.to_owned() } else { format!("{}.{}", info.kind, info.group) }
    }

    /// Whether its status is written through a subresource of its own.
    pub(super) fn has_status(self) -> bool {
        self.info().subresources.contains(&"status")
    }

    /// Whether `metadata.generation` counts the changes of its spec.
    pub(super) fn has_generation(self) -> bool {
        match self {
            Self::DaemonSet
            | Self::Deployment
            | Self::ReplicationController
            | Self::ReplicaSet
            | Self::StatefulSet
            | Self::CronJob
            | Self::Job
            | Self::PodDisruptionBudget
            | Self::NetworkPolicy
            | Self::EndpointSlice
            | Self::ValidatingAdmissionPolicy
            | Self::ValidatingAdmissionPolicyBinding => true,
            Self::ConfigMap
            | Self::Endpoints
            | Self::Event
            | Self::Namespace
            | Self::Node
            | Self::PersistentVolumeClaim
            | Self::Pod
            | Self::Secret
            | Self::ServiceAccount
            | Self::Service
            | Self::Role
            | Self::RoleBinding
            | Self::Lease => false,
        }
    }
}
