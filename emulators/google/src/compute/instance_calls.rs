//! Calls on an instance that is there: settings, power, disks, addresses, and what its guest shows.

use super::disks::{each_attached, strings};
use super::failure::Failure;
use super::operations::{Begin, Effect, resolve, set, takes, timestamp};
use super::route::{Route, link, relative};
use super::shape::{attached_disk, metadata_of, scheduling, set_fingerprint, shielded_config, tags_of};
use super::{Change, Compute, Document, flag, schema, set_labels, unsupported};
use crate::api::{Context, Request};
use serde_json::{Value, json};

fn no_such_device(name: &str) -> Failure {
    Failure::invalid("deviceName", name, "No attached disk found with this device name.")
}

/// What an operation is called, how long it takes, and what its end does.
type Course = (&'static str, u64, Effect);

impl Compute {
    pub(super) fn call_instance(
        &mut self,
        change: Change<'_>,
        context: &mut Context<'_>,
    ) -> Result<Value, Failure> {
        let Change { request, route, body } = change;
        let path = route.path();
        self.get(&path)?;
        if self.being_removed(&path) {
            return Err(Failure::not_ready(&path));
        }
        let verb = route.verb.as_deref().unwrap_or_default();
        let (kind, takes, effect) = match (request.method.as_str(), verb) {
            ("POST", "start" | "stop") => self.switch_power(&path, verb)?,
            ("POST", "suspend" | "resume") => self.switch_suspension(&path, verb, context.now)?,
            ("POST", "reset") => self.reset(&path, context)?,
            ("POST", "setDiskAutoDelete") => self.set_auto_delete(request, &path)?,
            ("POST", "attachDisk" | "detachDisk") => self.change_attached(request, route, body, context)?,
            ("POST", "addAccessConfig" | "deleteAccessConfig") => self.change_access(request, route, body)?,
            ("POST", _) => self.change_settings(request, &path, route, body, context)?,
            ("PATCH", "updateShieldedInstanceConfig") => {
                let body = schema::check("ShieldedInstanceConfig", body)?;
                self.stopped(
                    &path,
                    "The instance must be stopped before its Shielded VM options can be changed",
                )?;
                let config = shielded_config(Some(Value::Object(body)));
                let instance = self.get_mut(&path)?;
                set(instance, [("shieldedInstanceConfig", config.clone()), ("shieldedVmConfig", config)]);
                ("updateShieldedInstanceConfig", takes::SMALL_CHANGE, Effect::Nothing)
            }
            _ => return Err(unsupported(request)),
        };
        if let Ok(instance) = self.get_mut(&path) {
            set_fingerprint(instance);
        }
        Ok(self.begin(route, &Begin { kind, target: &path, takes, effect }, context))
    }

    fn switch_power(&mut self, path: &str, verb: &str) -> Result<Course, Failure> {
        if self.busy(path) {
            return Err(Failure::not_ready(path));
        }
        let instance = self.get_mut(path)?;
        let status = instance.get("status").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(match (verb, status.as_str()) {
            // What is so already stays so.
            ("start", "RUNNING") => ("start", takes::AT_ONCE, Effect::Nothing),
            ("stop", "TERMINATED") => ("stop", takes::AT_ONCE, Effect::Nothing),
            ("start", "TERMINATED") => {
                set(instance, [("status", "STAGING".into())]);
                ("start", takes::INSTANCE, Effect::Running)
            }
            ("stop", "RUNNING") => {
                set(instance, [("status", "STOPPING".into())]);
                if let Some(guest) = self.guests.get_mut(path) {
                    guest.stop();
                }
                ("stop", takes::STOP, Effect::Stopped)
            }
            _ => return Err(Failure::not_ready(path)),
        })
    }

    /// The power goes and comes back: nothing is stopped in order, and the machine boots.
    pub(super) fn reset(&mut self, path: &str, context: &mut Context<'_>) -> Result<Course, Failure> {
        if self.busy(path) || self.get(path)?.get("status").and_then(Value::as_str) != Some("RUNNING") {
            return Err(Failure::not_ready(path));
        }
        let script = self.script_of(path);
        if let Some(guest) = self.guests.get_mut(path) {
            guest.stop();
            guest.boot(context.now, script, context.ids.uuid());
        }
        set(self.get_mut(path)?, [("lastStartTimestamp", timestamp(context.now).into())]);
        self.resets.push(path.to_owned());
        Ok(("reset", takes::SMALL_CHANGE, Effect::Nothing))
    }

    fn change_settings(
        &mut self,
        request: &Request,
        path: &str,
        route: &Route,
        body: Value,
        context: &Context<'_>,
    ) -> Result<Course, Failure> {
        let slow = |kind| Ok((kind, takes::SMALL_CHANGE, Effect::Nothing));
        match route.verb.as_deref().unwrap_or_default() {
            "setLabels" => {
                let mut body = schema::check("InstancesSetLabelsRequest", body)?;
                set_labels(self.get_mut(path)?, &mut body)?;
                slow("compute.instance.setLabels")
            }
            "setMetadata" => {
                let body = schema::check("Metadata", body)?;
                self.check_print(
                    path,
                    "metadata",
                    &body,
                    "Supplied fingerprint does not match current metadata fingerprint.",
                )?;
                let metadata = metadata_of(Some(Value::Object(body)))?;
                set(self.get_mut(path)?, [("metadata", metadata)]);
                let script = self.script_of(path);
                if let Some(guest) = self.guests.get_mut(path) {
                    guest.notice(context.now, script);
                }
                slow("setMetadata")
            }
            "setTags" => {
                let body = schema::check("Tags", body)?;
                self.check_print(
                    path,
                    "tags",
                    &body,
                    "Supplied fingerprint does not match current tags fingerprint.",
                )?;
                for tag in strings(body.get("items")) {
                    super::check_name("tags.items", &tag)?;
                }
                set(self.get_mut(path)?, [("tags", tags_of(body.get("items").cloned()))]);
                slow("setTags")
            }
            "setMachineType" => {
                let body = schema::check("InstancesSetMachineTypeRequest", body)?;
                self.stopped(path, "Instance must be stopped before its machine type can be changed")?;
                let machine = self.machine_type(route, body.get("machineType"))?;
                set(self.get_mut(path)?, [("machineType", machine.into())]);
                slow("setMachineType")
            }
            "setServiceAccount" => {
                let body = schema::check("InstancesSetServiceAccountRequest", body)?;
                self.stopped(path, "The instance must be stopped before the service account can be changed")?;
                let instance = self.get_mut(path)?;
                match body.get("email").and_then(Value::as_str).filter(|email| !email.is_empty()) {
                    Some(_) => set(instance, [("serviceAccounts", json!([body]))]),
                    None => drop(instance.remove("serviceAccounts")),
                }
                slow("setServiceAccount")
            }
            "setScheduling" => {
                let body = schema::check("Scheduling", body)?;
                set(self.get_mut(path)?, [("scheduling", scheduling(Value::Object(body)))]);
                slow("setScheduling")
            }
            "setDeletionProtection" => {
                // The parameter's default in the discovery document.
                let on = flag(request, "deletionProtection", true)?;
                set(self.get_mut(path)?, [("deletionProtection", on.into())]);
                slow("setDeletionProtection")
            }
            _ => Err(unsupported(request)),
        }
    }

    /// Whether a disk goes with its instance.
    fn set_auto_delete(&mut self, request: &Request, path: &str) -> Result<Course, Failure> {
        let name = request.query("deviceName").ok_or_else(|| Failure::required("deviceName"))?;
        if request.query("autoDelete").is_none() {
            return Err(Failure::required("autoDelete"));
        }
        let on = flag(request, "autoDelete", false)?;
        let mut found = false;
        each_attached(self.get_mut(path)?, |disk| {
            if disk.get("deviceName").and_then(Value::as_str) == Some(name) {
                found = true;
                disk.insert("autoDelete".into(), on.into());
            }
        });
        if !found {
            return Err(no_such_device(name));
        }
        Ok(("setDiskAutoDelete", takes::SMALL_CHANGE, Effect::Nothing))
    }

    /// The fingerprint in the body is the one of the instance's present field.
    pub(super) fn check_print(
        &self,
        path: &str,
        field: &str,
        body: &Document,
        message: &str,
    ) -> Result<(), Failure> {
        let present = self.get(path)?.get(field).and_then(|value| value.get("fingerprint"));
        if body.get("fingerprint") == present { Ok(()) } else { Err(Failure::stale(message)) }
    }

    fn stopped(&self, path: &str, why: &str) -> Result<(), Failure> {
        match self.get(path)?.get("status").and_then(Value::as_str) {
            Some("TERMINATED") => Ok(()),
            _ => Err(Failure::usage(why)),
        }
    }

    fn change_attached(
        &mut self,
        request: &Request,
        route: &Route,
        body: Value,
        context: &Context<'_>,
    ) -> Result<Course, Failure> {
        let path = route.path();
        let disks = self.get(&path)?.get("disks").and_then(Value::as_array).cloned().unwrap_or_default();
        let named = |disk: &Value, name: &str| disk.get("deviceName").and_then(Value::as_str) == Some(name);
        if route.verb.as_deref() == Some("attachDisk") {
            let body = schema::check("AttachedDisk", body)?;
            let source = body
                .get("source")
                .and_then(Value::as_str)
                .ok_or_else(|| Failure::required("resource.source"))?;
            let disk = resolve(source, &route.parent(), "disks");
            self.free_disk(&disk)?;
            let index = (0..)
                .find(|index| !disks.iter().any(|disk| disk.get("index") == Some(&json!(index))))
                .unwrap_or(disks.len());
            let attached = attached_disk(&body, &disk, self.get(&disk)?, index);
            if let Some(name) = attached.get("deviceName").and_then(Value::as_str)
                && disks.iter().any(|disk| named(disk, name))
            {
                return Err(Failure::invalid(
                    "resource.deviceName",
                    name,
                    "The device name is already in use.",
                ));
            }
            let all: Vec<Value> = disks.into_iter().chain([Value::Object(attached)]).collect();
            set(self.get_mut(&path)?, [("disks", all.into())]);
            self.attach(&disk, &path, context.now);
            return Ok(("attachDisk", takes::SMALL_CHANGE, Effect::Nothing));
        }
        let name = request.query("deviceName").ok_or_else(|| Failure::required("deviceName"))?;
        let (gone, kept): (Vec<Value>, Vec<Value>) = disks.into_iter().partition(|disk| named(disk, name));
        let [gone] = gone.as_slice() else {
            return Err(no_such_device(name));
        };
        if gone.get("boot") == Some(&Value::Bool(true)) {
            self.stopped(&path, "To detach the boot disk, the instance must be in TERMINATED state.")?;
        }
        set(self.get_mut(&path)?, [("disks", kept.into())]);
        if let Some(disk) = gone.get("source").and_then(Value::as_str).and_then(relative) {
            self.detach(disk, context.now);
        }
        Ok(("detachDisk", takes::SMALL_CHANGE, Effect::Nothing))
    }

    fn change_access(&mut self, request: &Request, route: &Route, body: Value) -> Result<Course, Failure> {
        let path = route.path();
        let nic = request.query("networkInterface").unwrap_or("nic0");
        if nic != "nic0" {
            return Err(Failure::invalid("networkInterface", nic, "The network interface does not exist."));
        }
        let add = route.verb.as_deref() == Some("addAccessConfig");
        let mut interface = self
            .get(&path)?
            .get("networkInterfaces")
            .and_then(|nics| nics.get(0))
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let present = interface.remove("accessConfigs").and_then(|configs| configs.get(0).cloned());
        let released = match (add, &present) {
            (true, Some(_)) => {
                return Err(Failure::usage("At most one access config currently supported"));
            }
            (true, None) => {
                let config = self.access_config(route, schema::check("AccessConfig", body)?)?;
                let ip = config.get("natIP").and_then(Value::as_str).unwrap_or_default();
                self.occupy(&route.project, ip, Some(&path));
                interface.insert("accessConfigs".into(), json!([config]));
                None
            }
            (false, None) => {
                let name = request.query("accessConfig").unwrap_or_default();
                return Err(Failure::invalid("accessConfig", name, "The access config does not exist."));
            }
            (false, Some(config)) => config.get("natIP").and_then(Value::as_str).map(str::to_owned),
        };
        if let Some(ip) = released {
            self.occupy(&route.project, &ip, None);
        }
        interface.remove("fingerprint");
        let print = super::fingerprint(&Value::Object(interface.clone()));
        interface.insert("fingerprint".into(), print.into());
        set(self.get_mut(&path)?, [("networkInterfaces", json!([interface]))]);
        let kind = if add { "addAccessConfig" } else { "deleteAccessConfig" };
        Ok((kind, takes::SMALL_CHANGE, Effect::Nothing))
    }

    pub(super) fn serial_port(&self, request: &Request, route: &Route) -> Result<Value, Failure> {
        let path = route.path();
        let status = self.get(&path)?.get("status").and_then(Value::as_str).unwrap_or_default();
        if status != "RUNNING" {
            return Err(Failure::not_ready(&path));
        }
        let text = self.guests.get(&path).map_or("", |guest| guest.serial.as_str());
        let start = match request.query("start").filter(|start| !start.is_empty()) {
            None => 0,
            Some(start) => {
                start.parse::<usize>().map_err(|_| Failure::invalid("start", start, "Must be a number."))?
            }
        };
        let start = start.min(text.len());
        Ok(json!({
            "kind": "compute#serialPortOutput", "contents": text.get(start..).unwrap_or(text),
            "start": start.to_string(), "next": text.len().to_string(), "selfLink": link(&format!("{path}/serialPort")),
        }))
    }

    pub(super) fn guest_attributes(&self, request: &Request, route: &Route) -> Result<Value, Failure> {
        let path = route.path();
        self.get(&path)?;
        let missing = |what: &str| Failure {
            code: 404,
            reason: "notFound",
            message: format!("The resource '{what}' of type 'Guest Attribute' was not found."),
        };
        let (_, on) = self.seen_by_guest(&path);
        let attributes = self.guests.get(&path).filter(|_| on).map(|guest| &guest.attributes);
        let self_link = link(&format!("{path}/guestAttributes"));
        if let Some(key) = request.query("variableKey").filter(|key| !key.is_empty()) {
            let value = attributes.and_then(|all| all.get(key)).ok_or_else(|| missing(key))?;
            return Ok(json!({
                "kind": "compute#guestAttributes", "variableKey": key, "variableValue": value, "selfLink": self_link,
            }));
        }
        let query = request.query("queryPath").unwrap_or_default();
        let items: Vec<Value> = attributes
            .into_iter()
            .flatten()
            .filter(|(key, _)| {
                *key == query
                    || key.starts_with(&format!("{}/", query.trim_end_matches('/')))
                    || query.is_empty()
            })
            .filter_map(|(key, value)| {
                let (namespace, key) = key.split_once('/')?;
                Some(json!({ "namespace": namespace, "key": key, "value": value }))
            })
            .collect();
        if items.is_empty() {
            return Err(missing(query));
        }
        Ok(json!({
            "kind": "compute#guestAttributes", "queryPath": query, "queryValue": { "items": items },
            "selfLink": self_link,
        }))
    }
}
