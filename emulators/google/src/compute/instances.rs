//! Instances: how a body becomes a VM, and what the VM's life does to disks, addresses and its guest.

use super::addresses::check_subnetwork;
use super::disks::{find_image, users};
use super::failure::Failure;
use super::guest::{Guest, Script};
use super::operations::{Begin, Effect, resolve, set, takes, timestamp};
use super::route::{Route, last, link, relative};
use super::shape::{
    attached_disk, attached_sources, complete, internal_ip_of, metadata_item, metadata_of, nat_ip_of,
    set_fingerprint,
};
use super::{
    Change, Compute, Document, catalog, check_labels, check_name, fingerprint, give_labels, newborn, schema,
    unsupported,
};
use crate::api::{Context, Time};
use crate::ids::Ids;
use crate::views::Export;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What the machine's CPU is called while it runs.
const PLATFORM: &str = "Intel Broadwell";
/// What it is called while it doesn't.
const NO_PLATFORM: &str = "Unknown CPU Platform";

impl Compute {
    pub(super) fn change_instances(
        &mut self,
        change: Change<'_>,
        context: &mut Context<'_>,
    ) -> Result<Value, Failure> {
        match (change.request.method.as_str(), change.route.name.is_some(), change.route.verb.as_deref()) {
            ("POST", false, None) => self.insert_instance(change, context),
            ("DELETE", true, None) => self.delete_instance(change.route, context),
            ("PUT", true, None) => self.update_instance(change, context),
            ("POST" | "PATCH", true, Some(_)) => self.call_instance(change, context),
            _ => Err(unsupported(change.request)),
        }
    }

    fn insert_instance(&mut self, change: Change<'_>, context: &mut Context<'_>) -> Result<Value, Failure> {
        let Change { route, body, .. } = change;
        let mut body = schema::check("Instance", body)?;
        let path = self.vacant(route, &body)?;
        check_labels("resource.labels", body.get("labels"))?;
        let machine = self.machine_type(route, body.get("machineType"))?;
        let nics = self.interfaces(route, &body)?;
        let (disks, made) = self.attached_disks(route, &path, &body, context)?;
        let metadata = metadata_of(body.remove("metadata"))?;
        let labels = body.remove("labels");
        body.remove("params");
        let mut instance = newborn("instance", &path, body, context);
        give_labels(&mut instance, labels);
        complete(&mut instance);
        set(
            &mut instance,
            [
                ("machineType", machine.into()),
                ("networkInterfaces", nics.into()),
                ("disks", disks.clone().into()),
                ("metadata", metadata),
                ("status", "PROVISIONING".into()),
                ("cpuPlatform", NO_PLATFORM.into()),
                ("zone", link(&route.parent()).into()),
            ],
        );
        set_fingerprint(&mut instance);
        for (path, disk) in made {
            self.resources.insert(path, disk);
        }
        for disk in
            disks.iter().filter_map(|disk| disk.get("source").and_then(Value::as_str).and_then(relative))
        {
            if let Some(document) = self.resources.get_mut(disk) {
                set(document, [("status", "READY".into())]);
            }
            self.attach(disk, &path, context.now);
        }
        self.resources.insert(path.clone(), instance);
        self.occupy_addresses(&path, true);
        self.guests.insert(path.clone(), Guest::default());
        let begin = Begin { kind: "insert", target: &path, takes: takes::INSTANCE, effect: Effect::Running };
        Ok(self.begin(route, &begin, context))
    }

    fn delete_instance(&mut self, route: &Route, context: &mut Context<'_>) -> Result<Value, Failure> {
        let path = route.path();
        let instance = self.get(&path)?;
        if instance.get("deletionProtection").and_then(Value::as_bool) == Some(true) {
            return Err(Failure::usage("Resource cannot be deleted if it's protected against deletion"));
        }
        if self.being_removed(&path) {
            return Err(Failure::not_ready(&path));
        }
        set(self.get_mut(&path)?, [("status", "STOPPING".into())]);
        if let Some(guest) = self.guests.get_mut(&path) {
            guest.stop();
        }
        let begin =
            Begin { kind: "delete", target: &path, takes: takes::DELETE_INSTANCE, effect: Effect::Removed };
        Ok(self.begin(route, &begin, context))
    }

    /// The link of a machine type of the zone.
    pub(super) fn machine_type(&self, route: &Route, given: Option<&Value>) -> Result<String, Failure> {
        let field = "resource.machineType";
        let given = given.and_then(Value::as_str).ok_or_else(|| Failure::required(field))?;
        let path = resolve(given, &route.parent(), "machineTypes");
        let name = last(&path);
        let custom = name.contains("custom-");
        if path != format!("{}/machineTypes/{name}", route.parent()) {
            return Err(Failure::invalid(field, given, &format!("It must be in zone '{}'.", route.zone())));
        }
        if !custom && !catalog::is_machine_type(name) {
            let why = format!("Machine type with name '{name}' does not exist in zone '{}'.", route.zone());
            return Err(Failure::invalid(field, given, &why));
        }
        Ok(link(&path))
    }

    /// The attached disks of a new instance, and the disks that are made with it.
    fn attached_disks(
        &self,
        route: &Route,
        instance: &str,
        body: &Document,
        context: &mut Context<'_>,
    ) -> Result<(Vec<Value>, BTreeMap<String, Document>), Failure> {
        let given = body.get("disks").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let (mut attached, mut made) = (Vec::new(), BTreeMap::new());
        for (index, disk) in given.iter().filter_map(Value::as_object).enumerate() {
            let path = match disk.get("initializeParams").and_then(Value::as_object) {
                None => {
                    let field = format!("resource.disks[{index}].source");
                    let source = disk.get("source").and_then(Value::as_str);
                    let source = source.ok_or_else(|| Failure::required(&field))?;
                    let path = resolve(source, &route.parent(), "disks");
                    self.free_disk(&path)?;
                    path
                }
                Some(params) => {
                    let (path, document) = self.disk_of(route, last(instance), params, context)?;
                    if self.resources.contains_key(&path) || made.contains_key(&path) {
                        return Err(Failure::exists(&path));
                    }
                    made.insert(path.clone(), document);
                    path
                }
            };
            let document = made
                .get(&path)
                .or_else(|| self.resources.get(&path))
                .ok_or_else(|| Failure::not_found(&path))?;
            attached.push(Value::Object(attached_disk(disk, &path, document, index)));
        }
        let boots = attached.iter().filter(|disk| disk.get("boot") == Some(&Value::Bool(true))).count();
        if boots != 1 {
            let why = "Exactly one disk must be the boot disk.";
            return Err(Failure::invalid("resource.disks", &boots.to_string(), why));
        }
        Ok((attached, made))
    }

    /// The disk exists and nothing uses it.
    pub(super) fn free_disk(&self, path: &str) -> Result<(), Failure> {
        match users(self.get(path)?).first() {
            Some(user) => Err(Failure::in_use("disk", path, relative(user).unwrap_or(user))),
            None if self.being_removed(path) => Err(Failure::not_ready(path)),
            None => Ok(()),
        }
    }

    /// A disk made with its instance, and where it stands: named as the instance unless told otherwise.
    fn disk_of(
        &self,
        route: &Route,
        instance: &str,
        params: &Document,
        context: &mut Context<'_>,
    ) -> Result<(String, Document), Failure> {
        let text = |name: &str| params.get(name).and_then(Value::as_str);
        let name = text("diskName").unwrap_or(instance);
        check_name("resource.disks[0].initializeParams.diskName", name)?;
        let mut body = Map::new();
        for (from, to) in [
            ("sourceImage", "sourceImage"),
            ("diskSizeGb", "sizeGb"),
            ("diskType", "type"),
            ("labels", "labels"),
            ("description", "description"),
            ("resourcePolicies", "resourcePolicies"),
        ] {
            if let Some(value) = params.get(from) {
                body.insert(to.to_owned(), value.clone());
            }
        }
        if let Some(image) = text("sourceImage") {
            find_image(&route.project, image)?;
        }
        let path = format!("{}/disks/{name}", route.parent());
        let disk = self.new_disk(route, &path, body, context)?;
        Ok((path, disk))
    }

    /// The network interfaces of a new instance, with their addresses.
    fn interfaces(&self, route: &Route, body: &Document) -> Result<Vec<Value>, Failure> {
        let given = body.get("networkInterfaces").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let [nic] = given else {
            let why = "The sandbox has one network, so an instance has one network interface.";
            return Err(Failure::invalid("resource.networkInterfaces", &given.len().to_string(), why));
        };
        let mut nic = nic.as_object().cloned().unwrap_or_default();
        let project = format!("projects/{}", route.project);
        let region = format!("{project}/regions/{}", route.region());
        let network = nic.get("network").and_then(Value::as_str).unwrap_or("global/networks/default");
        let network = resolve(network, &format!("{project}/global"), "networks");
        if network != format!("{project}/global/networks/default") {
            return Err(Failure::not_found(&network));
        }
        check_subnetwork(nic.get("subnetwork"), &region)?;
        let ip = self.internal_ip(route, nic.get("networkIP").and_then(Value::as_str))?;
        let configs = nic.get("accessConfigs").and_then(Value::as_array).cloned();
        set(
            &mut nic,
            [
                ("kind", "compute#networkInterface".into()),
                ("name", "nic0".into()),
                ("network", link(&network).into()),
                ("networkIP", ip.into()),
                ("subnetwork", link(&format!("{region}/subnetworks/default")).into()),
            ],
        );
        nic.entry("stackType").or_insert_with(|| "IPV4_ONLY".into());
        if let Some(config) = configs.as_ref().and_then(|configs| configs.first()) {
            let config = self.access_config(route, config.as_object().cloned().unwrap_or_default())?;
            nic.insert("accessConfigs".into(), json!([config]));
        } else {
            nic.remove("accessConfigs");
        }
        let print = fingerprint(&Value::Object(nic.clone()));
        nic.insert("fingerprint".into(), print.into());
        Ok(vec![Value::Object(nic)])
    }

    /// The internal address that is asked for, by itself or by a link to a static address; otherwise a free one.
    fn internal_ip(&self, route: &Route, given: Option<&str>) -> Result<String, Failure> {
        let (project, region) = (route.project.as_str(), route.region());
        let field = "resource.networkInterfaces[0].networkIP";
        let Some(given) = given.filter(|given| !given.is_empty()) else {
            return Ok(self.free_internal(project, region).to_string());
        };
        let reserved = match relative(given) {
            Some(path) => Some(path.to_owned()),
            None => self.reservation(project, given),
        };
        match reserved {
            Some(path) => self.reserved_ip(&path, region, field),
            None => self.claim(project, region, given, true, field).map(|ip| ip.to_string()),
        }
    }

    /// The IP of a static address of the region that nothing uses.
    fn reserved_ip(&self, path: &str, region: &str, field: &str) -> Result<String, Failure> {
        let address = self.get(path)?;
        if !path.contains(&format!("/regions/{region}/addresses/")) {
            return Err(Failure::invalid(field, path, &format!("The address is not in region '{region}'.")));
        }
        if let Some(user) = users(address).first() {
            return Err(Failure::in_use("address", path, relative(user).unwrap_or(user)));
        }
        match (address.get("status").and_then(Value::as_str), address.get("address").and_then(Value::as_str))
        {
            (Some("RESERVED"), Some(ip)) => Ok(ip.to_owned()),
            _ => Err(Failure::not_ready(path)),
        }
    }

    /// An external address of an interface, with its defaults.
    pub(super) fn access_config(&self, route: &Route, mut config: Document) -> Result<Document, Failure> {
        let field = "resource.networkInterfaces[0].accessConfigs[0].natIP";
        let ip = match config.get("natIP").and_then(Value::as_str).filter(|ip| !ip.is_empty()) {
            None => self.free_external().to_string(),
            Some(given) => match self.reservation(&route.project, given) {
                Some(path) => self.reserved_ip(&path, route.region(), field)?,
                None => {
                    let why = format!(
                        "The specified external IP address '{given}' was not found in region '{}'.",
                        route.region()
                    );
                    return Err(Failure::invalid(field, given, &why));
                }
            },
        };
        set(&mut config, [("kind", "compute#accessConfig".into()), ("natIP", ip.into())]);
        config.entry("name").or_insert_with(|| "external-nat".into());
        config.entry("networkTier").or_insert_with(|| "PREMIUM".into());
        config.entry("type").or_insert_with(|| "ONE_TO_ONE_NAT".into());
        Ok(config)
    }

    /// Marks the static addresses of an instance as used, or as free.
    fn occupy_addresses(&mut self, path: &str, used: bool) {
        let Some(instance) = self.resources.get(path) else { return };
        let ips = [internal_ip_of(instance), nat_ip_of(instance)];
        let project = path.split('/').nth(1).unwrap_or_default().to_owned();
        for ip in ips.into_iter().flatten() {
            self.occupy(&project, &ip, used.then_some(path));
        }
    }

    /// The end of an insert of something that has a status.
    pub(super) fn become_ready(&mut self, path: &str) {
        if let Some(document) = self.resources.get_mut(path) {
            let status = match document.get("status").and_then(Value::as_str) {
                Some("CREATING") => "READY",
                Some("RESERVING") => "RESERVED",
                _ => return,
            };
            set(document, [("status", status.into())]);
        }
    }

    /// The end of a delete.
    pub(super) fn remove(&mut self, path: &str, now: Time) {
        if path.contains("/instances/") {
            self.occupy_addresses(path, false);
            let disks = self.resources.get(path).map(attached_sources).unwrap_or_default();
            for (disk, auto_delete) in disks {
                if auto_delete {
                    self.resources.remove(&disk);
                } else {
                    self.detach(&disk, now);
                }
            }
            self.guests.remove(path);
        }
        self.resources.remove(path);
    }

    /// Power on.
    pub(super) fn become_running(&mut self, path: &str, now: Time, ids: &mut Ids) {
        let script = self.script_of(path);
        let Some(instance) = self.resources.get_mut(path) else { return };
        set(
            instance,
            [
                ("status", "RUNNING".into()),
                ("cpuPlatform", PLATFORM.into()),
                ("lastStartTimestamp", timestamp(now).into()),
            ],
        );
        if !self.guests.contains_key(path) {
            self.guests.insert(path.to_owned(), Guest::default());
        }
        if let Some(guest) = self.guests.get_mut(path) {
            guest.boot(now, script, ids.uuid());
        }
    }

    /// Power off.
    pub(super) fn become_stopped(&mut self, path: &str, now: Time) {
        let Some(instance) = self.resources.get_mut(path) else { return };
        set(
            instance,
            [
                ("status", "TERMINATED".into()),
                ("cpuPlatform", NO_PLATFORM.into()),
                ("lastStopTimestamp", timestamp(now).into()),
            ],
        );
    }

    /// The start-up script in an instance's metadata, if it says what it is.
    pub(super) fn script_of(&self, path: &str) -> Option<Script> {
        let instance = self.resources.get(path)?;
        let text = metadata_item(instance, "startup-script")?;
        Script::read(text, metadata_item(instance, "sandbox-startup-script") == Some("fail"))
    }

    /// What a guest sees of its surroundings: attached disks with sizes in GB by device name, and whether guest attributes
    /// are on.
    pub(super) fn seen_by_guest(&self, path: &str) -> (BTreeMap<String, u64>, bool) {
        let Some(instance) = self.resources.get(path) else { return (BTreeMap::new(), false) };
        let disks = instance.get("disks").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let disks = disks
            .iter()
            .filter_map(|disk| {
                let size = disk.get("diskSizeGb")?.as_str()?.parse().ok()?;
                Some((disk.get("deviceName")?.as_str()?.to_owned(), size))
            })
            .collect();
        let on = metadata_item(instance, "enable-guest-attributes");
        (disks, on.is_some_and(|on| on.eq_ignore_ascii_case("true")))
    }

    pub(super) fn export_of(&self, path: &str, guest: &Guest) -> Option<Export> {
        let instance = self.resources.get(path)?;
        let share = self.script_of(path)?.share_path?;
        let mut parts = path.split('/');
        let (project, zone, name) = (parts.nth(1)?, parts.nth(1)?, parts.nth(1)?);
        // A domain-scoped project `example.com:p` stands as `p.example.com` in DNS.
        let domain = match project.split_once(':') {
            Some((domain, id)) => format!("{id}.{domain}"),
            None => project.to_owned(),
        };
        let mut names = vec![format!("{name}.{zone}.c.{domain}.internal"), name.to_owned()];
        names.extend(internal_ip_of(instance));
        let network = instance.get("networkInterfaces")?.get(0)?.get("network")?.as_str()?;
        let network = relative(network)?.to_owned();
        Some(Export { network, names, up: guest.exports(&share), path: share })
    }
}
