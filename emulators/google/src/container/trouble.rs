//! Clusters and node pools that end in `ERROR`, and those that are `DEGRADED`.
//!
//! The shape of a creation that failed is that of kubernetes-sigs/sig-storage-local-static-provisioner#526 (November 2025):
//! the operation is `DONE` and has an `error` with the bare cause, two conditions with the cause and with what GKE makes of
//! it, and the latter as `detail`. What else: a stock-out is told after 35 minutes (akka/akka-core#32992,
//! cilium/cilium#48184), a quota after half a minute (same thread); the cluster or pool stands in `ERROR` with the same
//! conditions (hashicorp/terraform-provider-google#2970, GoogleCloudPlatform/k8s-config-connector#321), its Kubernetes API
//! does not answer, and it can be deleted.

use super::model::Pool;
use super::places::Place;
use crate::api::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// `StatusCondition.code`, as the API reference of GKE v1 lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// Compute Engine has no machines of the type in the zone.
    GceStockout,
    /// A quota of Compute Engine is used up.
    GceQuotaExceeded,
    /// Somebody deleted the service agent of GKE.
    GkeServiceAccountDeleted,
    /// Set by Google's people.
    SetByOperator,
    /// The key that etcd is encrypted with can't be used.
    CloudKmsKeyError,
    /// The key that etcd is encrypted with is gone for good.
    CloudKmsKeyDestroyed,
    /// The cluster's authority is about to expire.
    CaExpiring,
    /// The nodes' service account lacks permissions.
    NodeServiceAccountMissingPermissions,
}

/// What a trouble leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    /// The creation fails.
    Error,
    /// All works, and somebody should look after it.
    Degraded,
}

/// One of the `conditions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Condition {
    code: Option<Code>,
    exhausted: bool,
    message: String,
}

impl Code {
    const fn as_str(self) -> &'static str {
        match self {
            Self::GceStockout => "GCE_STOCKOUT",
            Self::GceQuotaExceeded => "GCE_QUOTA_EXCEEDED",
            Self::GkeServiceAccountDeleted => "GKE_SERVICE_ACCOUNT_DELETED",
            Self::SetByOperator => "SET_BY_OPERATOR",
            Self::CloudKmsKeyError => "CLOUD_KMS_KEY_ERROR",
            Self::CloudKmsKeyDestroyed => "CLOUD_KMS_KEY_DESTROYED",
            Self::CaExpiring => "CA_EXPIRING",
            Self::NodeServiceAccountMissingPermissions => "NODE_SERVICE_ACCOUNT_MISSING_PERMISSIONS",
        }
    }

    /// What the API reference says of the code: no thread shows the real text of these.
    const fn meaning(self) -> &'static str {
        match self {
            Self::GceStockout => "Google Compute Engine resources are temporarily unavailable.",
            Self::GceQuotaExceeded => "Google Compute Engine quota was exceeded.",
            Self::GkeServiceAccountDeleted => "The user deleted their robot service account.",
            Self::SetByOperator => {
                "Cluster state was manually changed by an SRE due to a system logic error."
            }
            Self::CloudKmsKeyError => {
                "Unable to perform an encrypt operation against the CloudKMS key used for etcd level encryption."
            }
            Self::CloudKmsKeyDestroyed => {
                "Cloud KMS key version used for etcd level encryption has been destroyed. This is a permanent error."
            }
            Self::CaExpiring => "Cluster CA is expiring soon.",
            Self::NodeServiceAccountMissingPermissions => "Node service account is missing permissions.",
        }
    }

    /// For what Compute Engine refuses: who says so, after how long, and how many milliseconds later than a creation that
    /// succeeds the failed one is over.
    const fn shortage(self) -> Option<(&'static str, &'static str, Time)> {
        match self {
            Self::GceStockout => Some(("Google Compute Engine", "35m4.033429035s", 35 * 60_000)),
            Self::GceQuotaExceeded => {
                Some(("Insufficient quota to satisfy the request", "26.633785888s", 26_634))
            }
            Self::GkeServiceAccountDeleted
            | Self::SetByOperator
            | Self::CloudKmsKeyError
            | Self::CloudKmsKeyDestroyed
            | Self::CaExpiring
            | Self::NodeServiceAccountMissingPermissions => None,
        }
    }

    /// How much later than a creation that succeeds the failed one is over.
    pub(super) fn delay(self) -> Time {
        self.shortage().map_or(0, |(_, _, delay)| delay)
    }

    /// The conditions of a creation that this spoils. One zone that can't be filled is enough for that: the first.
    pub(super) fn conditions(self, project: &str, place: &Place, pools: &[Pool]) -> Vec<Condition> {
        let wanted = pools.iter().filter(|pool| pool.initial > 0);
        let first = wanted.filter_map(|pool| Some((pool.initial, pool.groups.first()?))).next();
        let (Some((whose, after, _)), Some((wanted, group))) = (self.shortage(), first) else {
            return self.standing();
        };
        let reason = if self == Self::GceStockout {
            format!(
                "The zone 'projects/{project}/zones/{}' does not have enough resources available to fulfill the \
                 request.  '(resource type:compute)'.",
                group.zone
            )
        } else {
            format!("Quota 'SSD_TOTAL_GB' exceeded.  Limit: 250.0 in region {}.", place.region())
        };
        let cause = format!("Instance '{}' creation failed: {reason}", group.refused_machine());
        let summary = format!(
            "{whose}: Not all instances running in IGM after {after}. Expected {wanted}, running 0, transitioning \
             {wanted}. Current errors: [{}]: {cause}",
            self.as_str()
        );
        vec![
            Condition { code: Some(self), exhausted: true, message: cause },
            Condition { code: None, exhausted: true, message: summary },
        ]
    }

    /// The conditions of what works in spite of this.
    pub(super) fn standing(self) -> Vec<Condition> {
        vec![Condition { code: Some(self), exhausted: false, message: self.meaning().to_owned() }]
    }
}

impl Condition {
    /// As the API gives it. A stock-out is taken to have the canonical code that the thread shows of a quota.
    pub(super) fn json(&self) -> Value {
        let mut out = json!({ "message": self.message });
        if let Some(code) = self.code {
            out["code"] = json!(code.as_str());
        }
        if self.exhausted {
            out["canonicalCode"] = json!("RESOURCE_EXHAUSTED");
        }
        out
    }
}

/// A list of conditions as the API gives it.
pub(super) fn listed(conditions: &[Condition]) -> Value {
    conditions.iter().map(Condition::json).collect()
}

/// The one text that stands for all conditions: `detail` of the operation, and the older `statusMessage`.
pub(super) fn summary(conditions: &[Condition]) -> &str {
    let told = conditions.iter().find(|condition| condition.code.is_none()).or(conditions.first());
    told.map_or("", |condition| condition.message.as_str())
}

/// What a failed creation says of itself, for the operation.
pub(super) fn tell(out: &mut Value, conditions: &[Condition], of_pool: bool) {
    let cause = conditions.first().map_or("", |condition| condition.message.as_str());
    let exhausted = conditions.first().is_some_and(|condition| condition.exhausted);
    // google.rpc.Code: RESOURCE_EXHAUSTED, UNKNOWN.
    out["error"] = json!({ "code": if exhausted { 8 } else { 2 }, "message": cause });
    out["detail"] = json!(summary(conditions));
    out["statusMessage"] = json!(summary(conditions));
    out[if of_pool { "nodepoolConditions" } else { "clusterConditions" }] = listed(conditions);
}
