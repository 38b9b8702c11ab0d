//! PersistentVolumeClaims: what the API server refuses of them, and the storage classes of a GKE cluster.

use super::failure::{Cause, Failure};
use super::kind::Kind;
use super::tree::{self, items, text};
use serde_json::Value;

/// The class of a claim that names none.
pub(super) const DEFAULT_CLASS: &str = "standard-rwo";
/// The finalizer that keeps a claim while a pod uses it.
pub(super) const PROTECTION: &str = "kubernetes.io/pvc-protection";

/// The classes that GKE has by itself, all of volumes that can grow.
const CLASSES: [&str; 3] = ["premium-rwo", "standard", DEFAULT_CLASS];
const SIZE: &str = "/spec/resources/requests/storage";

/// Whether somebody makes volumes of this class.
pub(super) fn is_class(name: &str) -> bool {
    CLASSES.contains(&name)
}

/// What a claim in a pod's volume is called.
pub(super) fn claim_of(volume: &Value) -> Option<&str> {
    text(volume, "/persistentVolumeClaim/claimName")
}

/// Bytes of a quantity such as `10Gi`; 0 for what is none.
fn bytes(quantity: &str) -> u128 {
    let split = quantity.find(|c: char| !c.is_ascii_digit()).unwrap_or(quantity.len());
    let (number, unit) = quantity.split_at(split);
    let power = ["", "Ki", "Mi", "Gi", "Ti", "Pi"].iter().position(|known| *known == unit);
    let factor = power.and_then(|power| 1024_u128.checked_pow(u32::try_from(power).ok()?));
    number.parse::<u128>().ok().zip(factor).map_or(0, |(number, factor)| number.saturating_mul(factor))
}

/// Checks the spec of a claim, or of a template for claims.
pub(super) fn check_spec(claim: &Value, field: &str, causes: &mut Vec<Cause>) {
    if items(claim, "/spec/accessModes").is_empty() {
        let why = "at least 1 access mode is required";
        causes.push(Cause::required(format!("{field}.accessModes"), why));
    }
    if text(claim, SIZE).is_none() {
        causes.push(Cause::required(format!("{field}.resources[storage]"), ""));
    }
}

/// Checks a claim that is about to be stored.
pub(super) fn check(claim: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    check_spec(claim, "spec", causes);
    let Some(old) = old else { return };
    let bound = text(old, "/status/phase") == Some("Bound");
    let fixed = |claim: &Value| {
        let mut spec = claim.get("spec").cloned().unwrap_or_default();
        if bound {
            tree::remove(&mut spec, "/resources/requests");
        }
        // The volume is named once, when the claim is bound.
        if text(old, "/spec/volumeName").is_none() {
            tree::remove(&mut spec, "/volumeName");
        }
        spec
    };
    if fixed(old) != fixed(claim) {
        let why = "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName \
                   for bound claims";
        causes.push(Cause::new("FieldValueForbidden", "spec", why));
    }
    let (capacity, wanted) = (text(old, "/status/capacity/storage"), text(claim, SIZE));
    if let Some((capacity, wanted)) = capacity.zip(wanted)
        && bytes(wanted) < bytes(capacity)
    {
        let why = "Forbidden: field can not be less than status.capacity";
        causes.push(Cause::new("FieldValueForbidden", "spec.resources.requests.storage", why));
    }
}

/// Refuses a larger volume of a class that none of the provisioners here serves.
///
/// # Errors
/// 403, as the admission plugin of the API server says it.
pub(super) fn admit_growth(claim: &Value, old: &Value) -> Result<(), Failure> {
    let size = |claim: &'_ Value| text(claim, SIZE).map_or(0, bytes);
    let class = text(old, "/spec/storageClassName").unwrap_or_default();
    if size(claim) <= size(old) || is_class(class) {
        return Ok(());
    }
    let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must \
               support resize";
    Err(Failure::forbidden(Kind::PersistentVolumeClaim, tree::name(claim), why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claim(size: &str, class: &str) -> Value {
        json!({"spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": class,
            "resources": {"requests": {"storage": size}}},
            "status": {"phase": "Bound", "capacity": {"storage": "10Gi"}}})
    }

    #[test]
    fn volumes_grow_and_never_shrink() {
        for (size, class, refused) in
            [("10Gi", "standard", 0), ("1Ti", "standard", 0), ("9Gi", "standard", 1), ("20Gi", "other", 1)]
        {
            let mut causes = Vec::new();
            check(&claim(size, class), Some(&claim("10Gi", "standard")), &mut causes);
            assert_eq!(causes.len(), refused, "{size} {class}: {causes:?}");
        }
    }

    #[test]
    fn only_known_classes_grow() {
        let grown = |class: &str| admit_growth(&claim("20Gi", class), &claim("10Gi", class)).is_ok();
        assert_eq!([grown("premium-rwo"), grown("by-hand")], [true, false]);
    }
}
