//! The columns of each kind, as `kubectl get` shows them.

use super::kind::Kind;

/// Its name, and whether it is shown with `-o wide` only.
pub(super) type Column = (&'static str, bool);

/// The columns of a kind.
pub(super) fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::ConfigMap => &[("Name", false), ("Data", false), ("Age", false)],
        Kind::Endpoints => &[("Name", false), ("Endpoints", false), ("Age", false)],
        Kind::Event => &[
            ("Last Seen", false),
            ("Type", false),
            ("Reason", false),
            ("Object", false),
            ("Subobject", true),
            ("Source", true),
            ("Message", false),
            ("First Seen", true),
            ("Count", true),
            ("Name", true),
        ],
        Kind::Namespace => &[("Name", false), ("Status", false), ("Age", false)],
        Kind::Node => &[
            ("Name", false),
            ("Status", false),
            ("Roles", false),
            ("Age", false),
            ("Version", false),
            ("Internal-IP", true),
            ("External-IP", true),
            ("OS-Image", true),
            ("Kernel-Version", true),
            ("Container-Runtime", true),
        ],
        Kind::Pod => &[
            ("Name", false),
            ("Ready", false),
            ("Status", false),
            ("Restarts", false),
            ("Age", false),
            ("IP", true),
            ("Node", true),
            ("Nominated Node", true),
            ("Readiness Gates", true),
        ],
        Kind::Secret => &[("Name", false), ("Type", false), ("Data", false), ("Age", false)],
        Kind::ServiceAccount => &[("Name", false), ("Secrets", false), ("Age", false)],
        Kind::Service => &[
            ("Name", false),
            ("Type", false),
            ("Cluster-IP", false),
            ("External-IP", false),
            ("Port(s)", false),
            ("Age", false),
            ("Selector", true),
        ],
        Kind::Deployment => &[
            ("Name", false),
            ("Ready", false),
            ("Up-to-date", false),
            ("Available", false),
            ("Age", false),
            ("Containers", true),
            ("Images", true),
            ("Selector", true),
        ],
        Kind::DaemonSet => &[
            ("Name", false),
            ("Desired", false),
            ("Current", false),
            ("Ready", false),
            ("Up-to-date", false),
            ("Available", false),
            ("Node Selector", false),
            ("Age", false),
            ("Containers", true),
            ("Images", true),
            ("Selector", true),
        ],
        Kind::ReplicaSet | Kind::ReplicationController => &[
            ("Name", false),
            ("Desired", false),
            ("Current", false),
            ("Ready", false),
            ("Age", false),
            ("Containers", true),
            ("Images", true),
            ("Selector", true),
        ],
        Kind::StatefulSet => {
            &[("Name", false), ("Ready", false), ("Age", false), ("Containers", true), ("Images", true)]
        }
        Kind::CronJob => &[
            ("Name", false),
            ("Schedule", false),
            ("Timezone", false),
            ("Suspend", false),
            ("Active", false),
            ("Last Schedule", false),
            ("Age", false),
            ("Containers", true),
            ("Images", true),
            ("Selector", true),
        ],
        Kind::Job => &[
            ("Name", false),
            ("Status", false),
            ("Completions", false),
            ("Duration", false),
            ("Age", false),
            ("Containers", true),
            ("Images", true),
            ("Selector", true),
        ],
        Kind::Role => &[("Name", false), ("Created At", false)],
        Kind::RoleBinding => &[("Name", false), ("Role", false), ("Age", false)],
        Kind::PersistentVolumeClaim => &[
            ("Name", false),
            ("Status", false),
            ("Volume", false),
            ("Capacity", false),
            ("Access Modes", false),
            ("StorageClass", false),
            ("VolumeAttributesClass", false),
            ("Age", false),
            ("VolumeMode", true),
        ],
        Kind::PodDisruptionBudget => &[
            ("Name", false),
            ("Min Available", false),
            ("Max Unavailable", false),
            ("Allowed Disruptions", false),
            ("Age", false),
        ],
        Kind::NetworkPolicy => &[("Name", false), ("Pod-Selector", false), ("Age", false)],
        Kind::EndpointSlice => {
            &[("Name", false), ("AddressType", false), ("Ports", false), ("Endpoints", false), ("Age", false)]
        }
        Kind::Lease => &[("Name", false), ("Holder", false), ("Age", false)],
        Kind::ValidatingAdmissionPolicy => {
            &[("Name", false), ("Validations", false), ("ParamKind", false), ("Age", false)]
        }
        Kind::ValidatingAdmissionPolicyBinding => {
            &[("Name", false), ("PolicyName", false), ("ParamRef", false), ("Age", false)]
        }
    }
}
