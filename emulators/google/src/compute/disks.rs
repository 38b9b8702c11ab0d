//! Persistent disks.

use super::failure::Failure;
use super::operations::{Begin, Effect, resolve, set, takes, timestamp};
use super::route::{Route, last, link, relative};
use super::{
    Change, Compute, Document, catalog, check_labels, give_labels, newborn, schema, set_labels, unsupported,
};
use crate::api::{Context, Request, Time};
use serde_json::{Value, json};

impl Compute {
    pub(super) fn change_disks(
        &mut self,
        change: Change<'_>,
        context: &mut Context<'_>,
    ) -> Result<Value, Failure> {
        let Change { request, route, body } = change;
        let path = route.path();
        let begin = |kind, takes, effect| Begin { kind, target: &path, takes, effect };
        match (request.method.as_str(), route.name.is_some(), route.verb.as_deref()) {
            ("POST", false, None) => {
                let mut body = schema::check("Disk", body)?;
                if let Some(image) = request.query("sourceImage") {
                    body.insert("sourceImage".into(), image.into());
                }
                let path = self.vacant(route, &body)?;
                let disk = self.new_disk(route, &path, body, context)?;
                self.resources.insert(path.clone(), disk);
                let begin =
                    Begin { kind: "insert", target: &path, takes: takes::DISK, effect: Effect::Ready };
                Ok(self.begin(route, &begin, context))
            }
            ("DELETE", true, None) => {
                let disk = self.get(&path)?;
                if let Some(user) = users(disk).first() {
                    return Err(Failure::in_use("disk", &path, relative(user).unwrap_or(user)));
                }
                if self.being_removed(&path) {
                    return Err(Failure::not_ready(&path));
                }
                set(self.get_mut(&path)?, [("status", "DELETING".into())]);
                Ok(self.begin(route, &begin("delete", takes::SMALL_CHANGE, Effect::Removed), context))
            }
            ("POST", true, Some("resize")) => {
                let body = schema::check("DisksResizeRequest", body)?;
                self.resize(&path, &body)?;
                Ok(self.begin(route, &begin("resizeDisk", takes::SMALL_CHANGE, Effect::Nothing), context))
            }
            ("PATCH", true, None) => {
                self.patch_disk(request, &path, body)?;
                Ok(self.begin(route, &begin("update", takes::SMALL_CHANGE, Effect::Nothing), context))
            }
            ("POST", true, Some("createSnapshot")) => self.snapshot_disk(route, body, context),
            ("POST", true, Some("setLabels")) => {
                let mut body = schema::check("ZoneSetLabelsRequest", body)?;
                set_labels(self.get_mut(&path)?, &mut body)?;
                Ok(self.begin(route, &begin("setLabels", takes::AT_ONCE, Effect::Nothing), context))
            }
            ("POST", true, Some(verb @ ("addResourcePolicies" | "removeResourcePolicies"))) => {
                let message = if verb.starts_with("add") {
                    "DisksAddResourcePoliciesRequest"
                } else {
                    "DisksRemoveResourcePoliciesRequest"
                };
                let body = schema::check(message, body)?;
                self.change_disk_policies(route, &path, &body, verb.starts_with("add"))?;
                Ok(self.begin(route, &begin(verb, takes::SMALL_CHANGE, Effect::Nothing), context))
            }
            _ => Err(unsupported(request)),
        }
    }

    /// A disk as it comes into being.
    pub(super) fn new_disk(
        &self,
        route: &Route,
        path: &str,
        mut body: Document,
        context: &mut Context<'_>,
    ) -> Result<Document, Failure> {
        check_labels("resource.labels", body.get("labels"))?;
        let (zone, region) =
            (route.parent(), format!("projects/{}/regions/{}", route.project, route.region()));
        let kind = body.get("type").and_then(Value::as_str).unwrap_or("pd-standard").to_owned();
        let (least, most, default) = catalog::disk_sizes(last(&kind)).ok_or_else(|| {
            Failure::invalid("resource.type", &kind, "The referenced disk type cannot be found.")
        })?;
        if let Some(source) = body.get("sourceDisk").and_then(Value::as_str) {
            return Err(Failure::not_found(relative(source).unwrap_or(source)));
        }
        let snapshot = match body.get("sourceSnapshot").and_then(Value::as_str) {
            None => None,
            Some(reference) => Some(self.snapshot_on_disk(&route.project, reference)?),
        };
        let image = match body.get("sourceImage").and_then(Value::as_str) {
            None => None,
            Some(reference) => Some(find_image(&route.project, reference)?),
        };
        let of_source = image.map(|image| image.size_gb).or(snapshot.as_ref().map(|(size, _)| *size));
        let (floor, blank) = of_source.map_or((least, default), |size| (size.max(least), size));
        let size = match body.get("sizeGb").and_then(Value::as_str).map(str::parse::<u64>) {
            None => blank,
            Some(Ok(size)) if (floor..=most).contains(&size) => size,
            Some(size) => {
                let size = size.map_or_else(|_| "-1".to_owned(), |size| size.to_string());
                let why = format!("Must be between {floor} and {most} for this disk type and image.");
                return Err(Failure::invalid("resource.sizeGb", &size, &why));
            }
        };
        let policies = self.policies_of(&region, &body)?;
        let labels = body.remove("labels");
        let mut disk = newborn("disk", path, body, context);
        give_labels(&mut disk, labels);
        set(
            &mut disk,
            [
                ("enableConfidentialCompute", false.into()),
                ("locked", false.into()),
                ("multiWriter", false.into()),
                ("physicalBlockSizeBytes", "4096".into()),
                ("satisfiesPzi", true.into()),
                ("sizeGb", size.to_string().into()),
                ("status", "CREATING".into()),
                ("type", link(&format!("{zone}/diskTypes/{}", last(&kind))).into()),
                ("zone", link(&zone).into()),
            ],
        );
        if !policies.is_empty() {
            disk.insert("resourcePolicies".into(), policies.into());
        }
        if let Some(image) = image {
            let path = image.path();
            set(
                &mut disk,
                [
                    ("sourceImage", link(&path).into()),
                    ("sourceImageId", super::route::stable_id(&path).into()),
                ],
            );
            disk.extend(image.on_disk());
        }
        disk.extend(snapshot.map(|(_, fields)| fields).unwrap_or_default());
        Ok(disk)
    }

    /// Links of the existing policies that a body names.
    fn policies_of(&self, region: &str, body: &Document) -> Result<Vec<String>, Failure> {
        let named = body.get("resourcePolicies").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        named
            .iter()
            .filter_map(Value::as_str)
            .map(|reference| {
                let path = resolve(reference, region, "resourcePolicies");
                self.get(&path).map(|_| link(&path))
            })
            .collect()
    }

    fn change_disk_policies(
        &mut self,
        route: &Route,
        path: &str,
        body: &Document,
        add: bool,
    ) -> Result<(), Failure> {
        let region = format!("projects/{}/regions/{}", route.project, route.region());
        let named = self.policies_of(&region, body)?;
        let disk = self.get_mut(path)?;
        let mut policies: Vec<String> = strings(disk.get("resourcePolicies"));
        policies.retain(|policy| !named.contains(policy));
        if add {
            policies.extend(named);
        }
        if add && policies.len() > 1 {
            return Err(Failure::usage("A disk can have at most one snapshot schedule"));
        }
        match policies.is_empty() {
            true => drop(disk.remove("resourcePolicies")),
            false => drop(disk.insert("resourcePolicies".into(), policies.into())),
        }
        Ok(())
    }

    /// `disks.update`: what the mask names changes. gcloud sends it as `paths`.
    fn patch_disk(&mut self, request: &Request, path: &str, body: Value) -> Result<(), Failure> {
        let body = schema::check("Disk", body)?;
        self.get(path)?;
        let masks = request.query.iter().filter(|(name, _)| name == "paths" || name == "updateMask");
        let mut fields: Vec<String> =
            masks.flat_map(|(_, value)| value.split(',')).map(|field| field.trim().to_owned()).collect();
        if fields.is_empty() {
            fields = body.keys().filter(|field| *field != "name").cloned().collect();
        }
        for field in fields {
            let value = body.get(&field).cloned();
            match field.as_str() {
                "sizeGb" => self.resize(path, &body)?,
                "accessMode" | "labels" | "provisionedIops" | "provisionedThroughput" => {
                    self.check_updatable(path, &field, value.as_ref())?;
                    let disk = self.get_mut(path)?;
                    match value {
                        Some(labels) if field == "labels" => give_labels(disk, Some(labels)),
                        Some(value) => drop(disk.insert(field, value)),
                        None if field == "labels" => give_labels(disk, None),
                        None => drop(disk.remove(&field)),
                    }
                }
                other => {
                    let why = "The field cannot be updated.";
                    return Err(Failure::invalid("updateMask", other, why));
                }
            }
        }
        Ok(())
    }

    /// Whether disks of this type have a setting that may be updated. By the guide "Modify the settings of a disk",
    /// performance is set for Hyperdisks and pd-extreme alone, and access modes for Hyperdisks.
    fn check_updatable(&self, path: &str, field: &str, value: Option<&Value>) -> Result<(), Failure> {
        if field == "labels" {
            return check_labels("resource.labels", value);
        }
        let kind = self.get(path)?.get("type").and_then(Value::as_str).map(last).unwrap_or_default();
        let has = match field {
            "provisionedIops" => kind.starts_with("hyperdisk-") || kind == "pd-extreme",
            _ => kind.starts_with("hyperdisk-"),
        };
        if has {
            return Ok(());
        }
        let value = value.and_then(Value::as_str).unwrap_or_default();
        let why = format!("It cannot be specified for disk type {kind}.");
        Err(Failure::invalid(&format!("resource.{field}"), value, &why))
    }

    fn resize(&mut self, path: &str, body: &Document) -> Result<(), Failure> {
        let disk = self.get_mut(path)?;
        let wanted = body.get("sizeGb").and_then(Value::as_str).ok_or_else(|| Failure::required("sizeGb"))?;
        let present = disk.get("sizeGb").and_then(Value::as_str).unwrap_or_default();
        let number = |text: &str| text.parse::<u64>().unwrap_or(0);
        if number(wanted) <= number(present) {
            let why = format!("New disk size '{wanted}' must be larger than existing size '{present}'.");
            return Err(Failure::invalid("sizeGb", wanted, &why));
        }
        set(disk, [("sizeGb", wanted.into())]);
        for user in users(disk) {
            if let Some(instance) = relative(&user).and_then(|user| self.resources.get_mut(user)) {
                each_attached(instance, |attached| {
                    if attached.get("source").and_then(Value::as_str).and_then(relative) == Some(path) {
                        attached.insert("diskSizeGb".into(), wanted.into());
                    }
                });
            }
        }
        Ok(())
    }

    /// Marks the disk as used by the instance.
    pub(super) fn attach(&mut self, disk: &str, instance: &str, now: Time) {
        if let Some(disk) = self.resources.get_mut(disk) {
            set(disk, [("users", json!([link(instance)])), ("lastAttachTimestamp", timestamp(now).into())]);
        }
    }

    /// Marks the disk as used by nobody.
    pub(super) fn detach(&mut self, disk: &str, now: Time) {
        if let Some(disk) = self.resources.get_mut(disk) {
            disk.remove("users");
            set(disk, [("lastDetachTimestamp", timestamp(now).into())]);
        }
    }
}

/// The image that a reference names, from a project that has public images.
pub(super) fn find_image(project: &str, reference: &str) -> Result<&'static catalog::Image, Failure> {
    let path = resolve(reference, &format!("projects/{project}/global"), "images");
    catalog::image(&path).ok_or_else(|| Failure::not_found(&path))
}

/// Links of what uses a resource.
pub(super) fn users(document: &Document) -> Vec<String> {
    strings(document.get("users"))
}

/// The texts of a list.
pub(super) fn strings(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Lets `act` change each attached disk of an instance.
pub(super) fn each_attached(instance: &mut Document, mut act: impl FnMut(&mut Document)) {
    if let Some(Value::Array(disks)) = instance.get_mut("disks") {
        disks.iter_mut().filter_map(Value::as_object_mut).for_each(&mut act);
    }
}
