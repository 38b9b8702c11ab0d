//! Changing a bucket's fields.

use super::failure::Failure;
use super::{BUCKET_FIELDS, Bucket, upload};
use crate::api::{Request, Time};
use serde_json::{Map, Value};

/// Fields that the service sets. gcloud sends all of them back with the labels.
const OUTPUT: &[&str] = &[
    "etag",
    "generation",
    "id",
    "kind",
    "location",
    "locationType",
    "metageneration",
    "name",
    "projectNumber",
    "rpo",
    "selfLink",
    "timeCreated",
    "updated",
];

impl Bucket {
    /// `PATCH`: what the body names changes, and what it sets to null goes (RFC 7396).
    pub(super) fn patch(&mut self, request: &Request, now: Time) -> Result<(), Failure> {
        let mut body = upload::fields(&request.body)?;
        body.retain(|field, _| !OUTPUT.contains(&field.as_str()));
        if let Some(field) = body.keys().find(|field| !BUCKET_FIELDS.contains(&field.as_str())) {
            return Err(Failure::not_here(&format!("the bucket's field {field}")));
        }
        if let Some(Value::Object(policy)) = body.get_mut("softDeletePolicy") {
            policy.remove("effectiveTime");
        }
        merge(&mut self.given, body);
        self.tidy();
        self.updated = Some(now);
        self.changes += 1;
        Ok(())
    }

    /// A lifecycle without rules is none, as recorded from the service by the Config Connector project
    /// (`storagebucketbasic`).
    pub(super) fn tidy(&mut self) {
        let rules = self.given.get("lifecycle").and_then(|lifecycle| lifecycle.get("rule"));
        if rules.and_then(Value::as_array).is_none_or(Vec::is_empty) {
            self.given.remove("lifecycle");
        }
        self.given.retain(|_, value| value.as_object().is_none_or(|fields| !fields.is_empty()));
    }

    /// Whether an object that is overwritten or deleted stays as a noncurrent version.
    pub(super) fn keeps_versions(&self) -> bool {
        let on = self.given.get("versioning").and_then(|versioning| versioning.get("enabled"));
        on.is_some_and(|on| *on == true)
    }
}

fn merge(given: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (field, value) in patch {
        match (given.get_mut(&field), value) {
            (_, Value::Null) => drop(given.remove(&field)),
            (Some(Value::Object(present)), Value::Object(patch)) => merge(present, patch),
            (_, value) => drop(given.insert(field, value)),
        }
    }
}
