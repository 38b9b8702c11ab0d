//! `PUT` of an instance: the whole document comes back, changed. `gcloud compute instances update-from-file` and
//! terraform (description, IP forwarding) update in this way.

use super::disks::{each_attached, strings};
use super::failure::Failure;
use super::operations::{Begin, Effect, set, takes};
use super::route::relative;
use super::shape::{metadata_of, scheduling, set_fingerprint, shielded_config, tags_of};
use super::{Change, Compute, Document, check_labels, check_name, give_labels, schema};
use crate::api::{Context, Request};
use serde_json::Value;

/// How much an update disturbs, from little to much, as the API's `MostDisruptiveAllowedAction` orders it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    NoEffect,
    Refresh,
    Restart,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::NoEffect => "NO_EFFECT",
            Self::Refresh => "REFRESH",
            Self::Restart => "RESTART",
        }
    }

    /// One that a parameter names.
    fn asked(request: &Request, parameter: &str, default: Self) -> Result<Self, Failure> {
        let all = [Self::NoEffect, Self::Refresh, Self::Restart];
        match request.query(parameter) {
            None | Some("") => Ok(default),
            Some(name) => all
                .into_iter()
                .find(|action| action.as_str() == name)
                .ok_or_else(|| Failure::invalid(parameter, name, "Must be NO_EFFECT, REFRESH or RESTART.")),
        }
    }
}

/// Fields that can be updated, and what that takes by the guides "Update instance properties" and "Enable IP
/// forwarding for VMs".
const FIELDS: &[(&str, Action)] = &[
    ("advancedMachineFeatures", Action::Restart),
    ("canIpForward", Action::Refresh),
    ("deletionProtection", Action::Refresh),
    ("description", Action::Refresh),
    ("displayDevice", Action::Restart),
    ("labels", Action::Refresh),
    ("machineType", Action::Restart),
    ("metadata", Action::Refresh),
    ("minCpuPlatform", Action::Restart),
    ("scheduling", Action::Refresh),
    ("serviceAccounts", Action::Restart),
    ("shieldedInstanceConfig", Action::Restart),
    ("tags", Action::Refresh),
];

/// Fields that are not compared: the service's own, and those of the creation alone.
const IGNORED: &[&str] = &[
    "cpuPlatform",
    "creationTimestamp",
    "disks",
    "fingerprint",
    "id",
    "kind",
    "labelFingerprint",
    "lastStartTimestamp",
    "lastStopTimestamp",
    "lastSuspendedTimestamp",
    "params",
    "resourceStatus",
    "satisfiesPzi",
    "satisfiesPzs",
    "selfLink",
    "shieldedInstanceIntegrityPolicy",
    "startRestricted",
    "status",
    "statusMessage",
];

impl Compute {
    pub(super) fn update_instance(
        &mut self,
        change: Change<'_>,
        context: &mut Context<'_>,
    ) -> Result<Value, Failure> {
        let Change { request, route, body } = change;
        let path = route.path();
        let mut body = schema::check("Instance", body)?;
        let present = self.get(&path)?.clone();
        if self.busy(&path) {
            return Err(Failure::not_ready(&path));
        }
        if body.get("fingerprint") != present.get("fingerprint") {
            return Err(Failure::stale("Supplied fingerprint does not match current instance fingerprint."));
        }
        // What is not in the body is at its default; so are the tags and metadata that have nothing but a fingerprint.
        body.entry("canIpForward").or_insert(Value::Bool(false));
        body.entry("deletionProtection").or_insert(Value::Bool(false));
        let machine = self.machine_type(route, body.get("machineType"))?;
        body.insert("machineType".into(), machine.into());
        let metadata = metadata_of(body.remove("metadata"))?;
        body.insert("metadata".into(), metadata);
        let tags = body.remove("tags").and_then(|tags| tags.get("items").cloned());
        for tag in strings(tags.as_ref()) {
            check_name("resource.tags.items", &tag)?;
        }
        body.insert("tags".into(), tags_of(tags));
        let given = body.remove("scheduling").unwrap_or_default();
        body.insert("scheduling".into(), scheduling(given));
        let given = body.remove("shieldedInstanceConfig");
        body.insert("shieldedInstanceConfig".into(), shielded_config(given));
        check_labels("resource.labels", body.get("labels"))?;

        let same = |field: &str| same(body.get(field), present.get(field));
        let fixed = |field: &&String| {
            !IGNORED.contains(&field.as_str()) && FIELDS.iter().all(|(name, _)| name != field)
        };
        if let Some(field) = body.keys().filter(fixed).find(|field| !same(field)) {
            let value = body.get(field).map(Value::to_string).unwrap_or_default();
            let why = "The field cannot be updated.";
            return Err(Failure::invalid(&format!("resource.{field}"), &value, why));
        }
        let changed: Vec<(&str, Action)> = FIELDS.iter().filter(|(field, _)| !same(field)).copied().collect();
        let restarts = self.check_disruption(request, &path, &changed)?;
        self.update_auto_delete(&path, &body)?;
        self.put_fields(&path, &body, &changed)?;
        let script = self.script_of(&path);
        if let Some(guest) = self.guests.get_mut(&path) {
            guest.notice(context.now, script);
        }
        if restarts {
            self.reset(&path, context)?;
        }
        set_fingerprint(self.get_mut(&path)?);
        let takes = if restarts { takes::INSTANCE } else { takes::SMALL_CHANGE };
        let begin = Begin { kind: "update", target: &path, takes, effect: Effect::Nothing };
        Ok(self.begin(route, &begin, context))
    }

    /// Whether the instance is restarted; refused where the request does not allow that much.
    fn check_disruption(
        &self,
        request: &Request,
        path: &str,
        changed: &[(&str, Action)],
    ) -> Result<bool, Failure> {
        let least = Action::asked(request, "minimalAction", Action::NoEffect)?;
        let most = Action::asked(request, "mostDisruptiveAllowedAction", Action::Restart)?;
        let status = self.get(path)?.get("status").and_then(Value::as_str).unwrap_or_default();
        let runs = status == "RUNNING";
        let action = |action: Action| if runs { action } else { action.min(Action::Refresh) };
        let needed = changed.iter().map(|(_, needs)| action(*needs)).max().unwrap_or(Action::NoEffect);
        let needed = needed.max(action(least));
        if needed > most {
            let fields: Vec<&str> =
                changed.iter().filter(|(_, needs)| action(*needs) > most).map(|(field, _)| *field).collect();
            let why = format!("The update of {} needs the action {}.", fields.join(", "), needed.as_str());
            return Err(Failure::invalid("mostDisruptiveAllowedAction", most.as_str(), &why));
        }
        Ok(runs && needed == Action::Restart)
    }

    /// Attached disks stay; whether they go with the instance may change.
    fn update_auto_delete(&mut self, path: &str, body: &Document) -> Result<(), Failure> {
        let Some(Value::Array(given)) = body.get("disks") else { return Ok(()) };
        let of = |disk: &Value| {
            let source = disk.get("source").and_then(Value::as_str).and_then(relative).map(str::to_owned);
            (source, disk.get("autoDelete").and_then(Value::as_bool).unwrap_or(false))
        };
        let given: Vec<(Option<String>, bool)> = given.iter().map(of).collect();
        let mut known = 0;
        each_attached(self.get_mut(path)?, |disk| {
            let source = of(&Value::Object(disk.clone())).0;
            if let Some((_, on)) = given.iter().find(|(other, _)| *other == source) {
                known += 1;
                disk.insert("autoDelete".into(), (*on).into());
            }
        });
        if known == given.len() {
            return Ok(());
        }
        let why = "Disks are attached and detached by calls of their own in the embedded cloud.";
        Err(Failure::invalid("resource.disks", &given.len().to_string(), why))
    }

    fn put_fields(&mut self, path: &str, body: &Document, changed: &[(&str, Action)]) -> Result<(), Failure> {
        let instance = self.get_mut(path)?;
        for (field, _) in changed {
            match (*field, body.get(*field).cloned()) {
                ("labels", labels) => give_labels(instance, labels),
                ("shieldedInstanceConfig", Some(config)) => {
                    set(instance, [("shieldedInstanceConfig", config.clone()), ("shieldedVmConfig", config)])
                }
                (field, Some(value)) => drop(instance.insert(field.to_owned(), value)),
                (field, None) => drop(instance.remove(field)),
            }
        }
        Ok(())
    }
}

/// Whether a value is as before: links by what they name, objects by the fields that are given.
fn same(given: Option<&Value>, present: Option<&Value>) -> bool {
    match (given, present) {
        (None, None) => true,
        (Some(Value::Object(given)), Some(Value::Object(present))) => {
            given.iter().all(|(field, value)| same(Some(value), present.get(field)))
                && present.keys().all(|field| given.contains_key(field) || field == "fingerprint")
        }
        (Some(Value::Array(given)), Some(Value::Array(present))) => {
            given.len() == present.len()
                && given.iter().zip(present).all(|(given, present)| same(Some(given), Some(present)))
        }
        (Some(Value::String(given)), Some(Value::String(present))) => {
            given == present || relative(given).is_some_and(|path| Some(path) == relative(present))
        }
        (Some(given), Some(present)) => given == present,
        (Some(given), None) => is_default(given),
        (None, Some(present)) => is_default(present),
    }
}

/// Whether a value says the same as none.
fn is_default(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}
