//! Snapshots of disks.

use super::disks::strings;
use super::failure::Failure;
use super::operations::{Begin, Effect, fields_of, resolve, set, takes};
use super::route::{Route, link};
use super::{
    Change, Compute, Document, check_labels, check_name, give_labels, newborn, schema, set_labels,
    unsupported,
};
use crate::api::Context;
use serde_json::{Value, json};

/// Fields that a snapshot has from its disk.
const OF_THE_DISK: &[&str] =
    &["architecture", "enableConfidentialCompute", "guestOsFeatures", "licenseCodes", "licenses"];

impl Compute {
    pub(super) fn change_snapshots(
        &mut self,
        change: Change<'_>,
        context: &mut Context<'_>,
    ) -> Result<Value, Failure> {
        let Change { request, route, body } = change;
        let path = route.path();
        let begin = |kind, takes, effect| Begin { kind, target: &path, takes, effect };
        match (request.method.as_str(), route.name.is_some(), route.verb.as_deref()) {
            ("POST", false, None) => {
                let body = schema::check("Snapshot", body)?;
                let source = body.get("sourceDisk").and_then(Value::as_str).unwrap_or_default().to_owned();
                if source.is_empty() {
                    return Err(Failure::required("resource.sourceDisk"));
                }
                let disk = resolve(&source, &route.parent(), "disks");
                let path = self.new_snapshot(&route.project, body, &disk, context)?;
                let begin =
                    Begin { kind: "insert", target: &path, takes: takes::SNAPSHOT, effect: Effect::Ready };
                Ok(self.begin(route, &begin, context))
            }
            ("DELETE", true, None) => {
                self.get(&path)?;
                if self.being_removed(&path) {
                    return Err(Failure::not_ready(&path));
                }
                set(self.get_mut(&path)?, [("status", "DELETING".into())]);
                Ok(self.begin(route, &begin("delete", takes::SMALL_CHANGE, Effect::Removed), context))
            }
            ("POST", true, Some("setLabels")) => {
                let mut body = schema::check("GlobalSetLabelsRequest", body)?;
                set_labels(self.get_mut(&path)?, &mut body)?;
                Ok(self.begin(route, &begin("setLabels", takes::AT_ONCE, Effect::Nothing), context))
            }
            _ => Err(unsupported(request)),
        }
    }

    /// `createSnapshot` of a disk. Its operation is about the disk, as recorded by the Config Connector project
    /// (`regiondiskresourcepolicyattachmentautogen`).
    pub(super) fn snapshot_disk(
        &mut self,
        route: &Route,
        body: Value,
        context: &mut Context<'_>,
    ) -> Result<Value, Failure> {
        let (disk, body) = (route.path(), schema::check("Snapshot", body)?);
        let snapshot = self.new_snapshot(&route.project, body, &disk, context)?;
        let begin =
            Begin { kind: "createSnapshot", target: &disk, takes: takes::SNAPSHOT, effect: Effect::Nothing };
        let operation = self.begin(route, &begin, context);
        self.ready_with(&operation, &snapshot);
        Ok(operation)
    }

    /// Puts a new snapshot of the disk in its place, which is returned.
    fn new_snapshot(
        &mut self,
        project: &str,
        mut body: Document,
        disk: &str,
        context: &mut Context<'_>,
    ) -> Result<String, Failure> {
        let name =
            body.get("name").and_then(Value::as_str).ok_or_else(|| Failure::required("resource.name"))?;
        check_name("resource.name", name)?;
        check_labels("resource.labels", body.get("labels"))?;
        let path = format!("projects/{project}/global/snapshots/{name}");
        if self.resources.contains_key(&path) {
            return Err(Failure::exists(&path));
        }
        let source = self.get(disk)?;
        if self.being_removed(disk) {
            return Err(Failure::not_ready(disk));
        }
        let mut inherited = fields_of(json!({
            "diskSizeGb": source.get("sizeGb"), "sourceDisk": link(disk), "sourceDiskId": source.get("id"),
        }));
        for field in OF_THE_DISK {
            if let Some(value) = source.get(*field) {
                inherited.insert((*field).to_owned(), value.clone());
            }
        }
        let labels = body.remove("labels");
        // The nearest multi-region, unless told otherwise.
        if strings(body.get("storageLocations")).is_empty() {
            let region = disk.split('/').nth(3).unwrap_or_default();
            let near = match region.split('-').next() {
                Some("europe") => "eu",
                Some("asia") => "asia",
                _ => "us",
            };
            body.insert("storageLocations".to_owned(), json!([near]));
        }
        let mut snapshot = newborn("snapshot", &path, body, context);
        snapshot.extend(inherited);
        give_labels(&mut snapshot, labels);
        // Blank disks: nothing on them takes room.
        set(
            &mut snapshot,
            [
                ("creationSizeBytes", "0".into()),
                ("downloadBytes", "5086".into()),
                ("snapshotType", "STANDARD".into()),
                ("status", "CREATING".into()),
                ("storageBytes", "0".into()),
                ("storageBytesStatus", "UP_TO_DATE".into()),
            ],
        );
        self.resources.insert(path.clone(), snapshot);
        Ok(path)
    }

    /// What a new disk has from a snapshot: its smallest size in GB, and fields.
    pub(super) fn snapshot_on_disk(
        &self,
        project: &str,
        reference: &str,
    ) -> Result<(u64, Document), Failure> {
        let path = resolve(reference, &format!("projects/{project}/global"), "snapshots");
        let snapshot = self.get(&path)?;
        if snapshot.get("status").and_then(Value::as_str) != Some("READY") {
            return Err(Failure::not_ready(&path));
        }
        let size = snapshot.get("diskSizeGb").and_then(Value::as_str).and_then(|size| size.parse().ok());
        let mut fields =
            fields_of(json!({ "sourceSnapshot": link(&path), "sourceSnapshotId": snapshot.get("id") }));
        for field in OF_THE_DISK {
            if let Some(value) = snapshot.get(*field) {
                fields.insert((*field).to_owned(), value.clone());
            }
        }
        Ok((size.unwrap_or_default(), fields))
    }
}
