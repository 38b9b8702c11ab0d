//! What every write goes through: defaults, validation, admission, field ownership, then the store.

use super::addresses::Addresses;
use super::apply::Apply;
use super::failure::{Cause, Failure};
use super::fields::Comparison;
use super::kind::Kind;
use super::managers::{Actor, Managers};
use super::schema::Type;
use super::store::Store;
use super::{admission, claims, clock, defaults, services, tree, validation, warden};
use crate::api::Time;
use crate::ids::Ids;
use serde_json::{Value, json};

/// How a write is asked for.
#[derive(Debug, Clone)]
pub(super) struct Write {
    /// Who writes.
    pub(super) actor: Actor,
    /// Check only, store nothing.
    pub(super) dry_run: bool,
}

impl Write {
    /// A write by a component of the cluster.
    pub(super) fn by(manager: &str) -> Self {
        Self { actor: Actor::new(manager), dry_run: false }
    }
}

/// The store with what writing to it needs.
#[derive(Debug)]
pub(super) struct Registry<'a> {
    /// The objects.
    pub(super) store: &'a mut Store,
    /// Addresses to give out.
    pub(super) addresses: &'a mut Addresses,
    /// Ids to give out.
    pub(super) ids: &'a mut Ids,
    /// Now.
    pub(super) now: Time,
    /// Whether the cluster is an Autopilot one, which has its own mind about workloads.
    pub(super) autopilot: bool,
    /// What admission has to tell the writer.
    pub(super) warnings: Vec<String>,
}

/// The type of a kind in the schema.
pub(super) fn type_of(kind: Kind) -> Type {
    Type::Struct(kind.info().kind)
}

/// What an object is before anything is set: the structs that are no pointers in the API's own types.
fn blank(kind: Kind) -> Value {
    let mut blank = json!({"metadata": {}, "spec": {}, "status": {}});
    if matches!(kind, Kind::Deployment | Kind::ReplicaSet) {
        let template = json!({"metadata": {}, "spec": {"containers": null}});
        tree::put(&mut blank, "/spec", json!({"selector": null, "strategy": {}, "template": template}));
    } else if kind == Kind::DaemonSet {
        let template = json!({"metadata": {}, "spec": {"containers": null}});
        tree::put(&mut blank, "/spec", json!({"selector": null, "updateStrategy": {}, "template": template}));
        let counts =
            ["currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"];
        for count in counts {
            tree::put(&mut blank, &format!("/status/{count}"), 0);
        }
    } else if kind == Kind::ReplicationController {
        tree::put(&mut blank, "/status/replicas", 0);
    } else if kind == Kind::StatefulSet {
        let template = json!({"metadata": {}, "spec": {"containers": null}});
        tree::put(&mut blank, "/spec", json!({"selector": null, "updateStrategy": {}, "template": template}));
    } else if kind == Kind::CronJob {
        let template = json!({"metadata": {}, "spec": {"containers": null}});
        let job = json!({"metadata": {}, "spec": {"template": template}});
        tree::put(&mut blank, "/spec", json!({"schedule": "", "jobTemplate": job}));
    } else if kind == Kind::Job {
        tree::put(&mut blank, "/spec/template", json!({"metadata": {}, "spec": {"containers": null}}));
    } else if kind == Kind::PersistentVolumeClaim {
        tree::put(&mut blank, "/spec/resources", json!({}));
    } else if kind == Kind::Pod {
        tree::put(&mut blank, "/spec/containers", Value::Null);
    } else if kind == Kind::Service {
        tree::put(&mut blank, "/status/loadBalancer", json!({}));
    }
    blank
}

impl Registry<'_> {
    /// Creates an object and returns it as stored.
    ///
    /// # Errors
    /// 404 without its namespace, 409 when it exists, 422 when it is invalid, 403 or 422 when admission refuses it.
    pub(super) fn create(&mut self, kind: Kind, mut object: Value, write: &Write) -> Result<Value, Failure> {
        self.prepare_new(kind, &mut object)?;
        defaults::apply(kind, &mut object);
        let mut managers = Managers::of(&object);
        let written = Comparison::of(&blank(kind), &object, &type_of(kind));
        managers.record_update(&written, &write.actor, &kind.api_version(), self.now);
        managers.write(&mut object);
        self.finish_new(kind, object, write.dry_run)
    }

    /// Creates an object from an applied configuration.
    fn create_applied(
        &mut self,
        kind: Kind,
        config: &Value,
        apply: &Apply<'_>,
        dry_run: bool,
    ) -> Result<Value, Failure> {
        let mut object = apply.merge_into(&json!({}), config)?;
        self.prepare_new(kind, &mut object)?;
        defaults::apply(kind, &mut object);
        self.finish_new(kind, object, dry_run)
    }

    fn prepare_new(&mut self, kind: Kind, object: &mut Value) -> Result<(), Failure> {
        if tree::name(object).is_empty()
            && let Some(prefix) = tree::text(object, "/metadata/generateName").map(str::to_owned)
        {
            tree::put(object, "/metadata/name", format!("{prefix}{}", self.ids.suffix(5)));
        }
        let (namespace, name) = (tree::namespace(object).to_owned(), tree::name(object).to_owned());
        if tree::text(object, "/metadata/resourceVersion").is_some() {
            return Err(Failure::bad_request("resourceVersion should not be set on objects to be created"));
        }
        if kind.info().namespaced {
            let home = self.store.get(Kind::Namespace, "", &namespace);
            let home = home.ok_or_else(|| Failure::not_found(Kind::Namespace, &namespace))?;
            if tree::is_deleting(home) && kind != Kind::Event {
                let why = format!(
                    "unable to create new content in namespace {namespace} because it is being terminated"
                );
                return Err(Failure::forbidden(kind, &name, &why));
            }
        }
        if self.store.get(kind, &namespace, &name).is_some() {
            return Err(Failure::already_exists(kind, &name));
        }
        if kind.has_status() {
            tree::remove(object, "/status");
        }
        for key in ["selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"] {
            tree::remove(object, &format!("/metadata/{key}"));
        }
        tree::put(object, "/metadata/uid", self.ids.uuid());
        tree::put(object, "/metadata/creationTimestamp", clock::seconds(self.now));
        tree::remove(object, "/metadata/generation");
        if kind.has_generation() {
            tree::put(object, "/metadata/generation", 1);
        }
        tree::put(object, "/kind", kind.info().kind);
        tree::put(object, "/apiVersion", kind.api_version());
        Ok(())
    }

    fn finish_new(&mut self, kind: Kind, mut object: Value, dry_run: bool) -> Result<Value, Failure> {
        // Nobody owns these: they come after the writer's fields were noted down.
        defaults::on_create(kind, &mut object);
        match kind {
            Kind::Namespace => tree::put(&mut object, "/spec/finalizers", json!(["kubernetes"])),
            Kind::Service => services::allocate(&mut object, None, self.addresses),
            Kind::ConfigMap
            | Kind::Endpoints
            | Kind::Event
            | Kind::Node
            | Kind::PersistentVolumeClaim
            | Kind::Pod
            | Kind::Secret
            | Kind::ServiceAccount
            | Kind::DaemonSet
            | Kind::Deployment
            | Kind::ReplicationController
            | Kind::ReplicaSet
            | Kind::StatefulSet
            | Kind::CronJob
            | Kind::Job
            | Kind::PodDisruptionBudget
            | Kind::NetworkPolicy
            | Kind::Role
            | Kind::RoleBinding
            | Kind::EndpointSlice
            | Kind::Lease
            | Kind::ValidatingAdmissionPolicy
            | Kind::ValidatingAdmissionPolicyBinding => {}
        }
        self.adjust(kind, &mut object);
        validation::check(kind, &object, None)?;
        self.judge(kind, &object)?;
        admission::admit(self.store, &admission::Attempt::create(kind, &object))?;
        Ok(if dry_run { object } else { self.store.put(kind, object, self.now) })
    }

    /// Lets Autopilot's mutator at a workload.
    fn adjust(&mut self, kind: Kind, object: &mut Value) {
        if self.autopilot {
            self.warnings.extend(warden::adjust(kind, object));
        }
    }

    /// Asks Autopilot's Warden.
    fn judge(&self, kind: Kind, object: &Value) -> Result<(), Failure> {
        if self.autopilot { warden::judge(kind, object) } else { Ok(()) }
    }

    /// Finds an object.
    ///
    /// # Errors
    /// 404.
    pub(super) fn read(&self, kind: Kind, namespace: &str, name: &str) -> Result<Value, Failure> {
        self.store.get(kind, namespace, name).cloned().ok_or_else(|| Failure::not_found(kind, name))
    }

    /// Replaces an object by a decoded one and returns it as stored. Through `status` only the status is taken.
    ///
    /// # Errors
    /// 409 when it was not made from the present version, 422 and 403 as for [`Self::create`].
    pub(super) fn update(
        &mut self,
        kind: Kind,
        old: &Value,
        mut new: Value,
        write: &Write,
    ) -> Result<Value, Failure> {
        check_version(kind, old, &new)?;
        keep_metadata(old, &mut new);
        let mut managers = if new.pointer("/metadata/managedFields").is_some() {
            Managers::of(&new)
        } else {
            Managers::of(old)
        };
        let mut new = self.shape_update(kind, old, new, write.actor.subresource);
        self.adjust(kind, &mut new);
        validation::check(kind, &new, Some(old))?;
        self.judge(kind, &new)?;
        if kind == Kind::PersistentVolumeClaim {
            claims::admit_growth(&new, old)?;
        }
        let attempt = admission::Attempt::update(kind, &new, old, write.actor.subresource);
        admission::admit(self.store, &attempt)?;
        let mut new = new;
        let bare = |object: &Value| {
            let mut object = object.clone();
            tree::remove(&mut object, "/metadata/managedFields");
            object
        };
        let comparison = Comparison::of(&bare(old), &bare(&new), &type_of(kind));
        managers.record_update(&comparison, &write.actor, &kind.api_version(), self.now);
        managers.write(&mut new);
        Ok(self.finish_update(kind, old, new, write.dry_run))
    }

    /// Server-side apply; creates the object when it is not there. Says whether it did.
    ///
    /// # Errors
    /// 409 for conflicts, 422 and 403 as for [`Self::create`].
    pub(super) fn apply(
        &mut self,
        kind: Kind,
        config: &Value,
        apply: &Apply<'_>,
        dry_run: bool,
    ) -> Result<(Value, bool), Failure> {
        let Some(old) = self.store.get(kind, tree::namespace(config), tree::name(config)).cloned() else {
            if apply.actor.subresource.is_some() {
                return Err(Failure::not_found(kind, tree::name(config)));
            }
            if tree::text(config, "/metadata/uid").is_some() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {}, and no existing object was found",
                    tree::uid(config)
                );
                return Err(Failure::conflict(kind, tree::name(config), &why));
            }
            return Ok((self.create_applied(kind, config, apply, dry_run)?, true));
        };
        check_version(kind, &old, config)?;
        let mut config = config.clone();
        for key in ["resourceVersion", "uid", "creationTimestamp"] {
            tree::remove(&mut config, &format!("/metadata/{key}"));
        }
        let mut new = apply.merge_into(&old, &config)?;
        keep_metadata(&old, &mut new);
        let mut new = self.shape_update(kind, &old, new, apply.actor.subresource);
        self.adjust(kind, &mut new);
        validation::check(kind, &new, Some(&old))?;
        self.judge(kind, &new)?;
        if kind == Kind::PersistentVolumeClaim {
            claims::admit_growth(&new, &old)?;
        }
        admission::admit(self.store, &admission::Attempt::update(kind, &new, &old, apply.actor.subresource))?;
        Ok((self.finish_update(kind, &old, new, dry_run), false))
    }

    /// Carries over what this door may not change, and sets defaults.
    fn shape_update(&mut self, kind: Kind, old: &Value, new: Value, subresource: Option<&str>) -> Value {
        let mut shaped = new;
        if subresource == Some("status") {
            let mut only = old.clone();
            tree::carry(&shaped, &mut only, "/status");
            tree::carry(&shaped, &mut only, "/metadata/managedFields");
            return only;
        }
        if kind.has_status() {
            tree::carry(old, &mut shaped, "/status");
        }
        if kind == Kind::Namespace {
            tree::carry(old, &mut shaped, "/spec/finalizers");
        }
        defaults::apply(kind, &mut shaped);
        if kind == Kind::Service {
            services::allocate(&mut shaped, Some(old), self.addresses);
        }
        tree::put(&mut shaped, "/kind", kind.info().kind);
        tree::put(&mut shaped, "/apiVersion", kind.api_version());
        shaped
    }

    /// Counts the generation and stores what really changed; the last finalizer of a deleted object takes it away.
    fn finish_update(&mut self, kind: Kind, old: &Value, mut new: Value, dry_run: bool) -> Value {
        if kind.has_generation() {
            let annotated = kind == Kind::Deployment
                && old.pointer("/metadata/annotations") != new.pointer("/metadata/annotations");
            let changed = old.get("spec") != new.get("spec") || annotated;
            let generation = tree::int(old, "/metadata/generation").unwrap_or(0);
            tree::put(&mut new, "/metadata/generation", generation + i64::from(changed));
        }
        tree::carry(old, &mut new, "/metadata/resourceVersion");
        if *old == new || dry_run {
            return new;
        }
        let finished = tree::is_deleting(&new) && tree::items(&new, "/metadata/finalizers").is_empty();
        let stored = self.store.put(kind, new, self.now);
        if finished && !matches!(kind, Kind::Pod | Kind::Namespace) {
            self.store.remove(kind, tree::namespace(&stored), tree::name(&stored), self.now);
        }
        stored
    }

    /// A write by a controller: no validation, no admission; the status and anything else as given. Nothing happens
    /// when nothing changed.
    pub(super) fn commit(&mut self, kind: Kind, mut new: Value, actor: &Actor) -> Value {
        let Some(old) = self.store.get(kind, tree::namespace(&new), tree::name(&new)).cloned() else {
            return new;
        };
        tree::carry(&old, &mut new, "/metadata/resourceVersion");
        if old == new {
            return new;
        }
        let mut managers = Managers::of(&old);
        let bare = |object: &Value| {
            let mut object = object.clone();
            tree::remove(&mut object, "/metadata/managedFields");
            object
        };
        let comparison = Comparison::of(&bare(&old), &bare(&new), &type_of(kind));
        managers.record_update(&comparison, actor, &kind.api_version(), self.now);
        managers.write(&mut new);
        if kind.has_generation() && old.get("spec") != new.get("spec") {
            let generation = tree::int(&old, "/metadata/generation").unwrap_or(0);
            tree::put(&mut new, "/metadata/generation", generation + 1);
        }
        self.store.put(kind, new, self.now)
    }
}

/// The object may name the version that it was made from.
fn check_version(kind: Kind, old: &Value, new: &Value) -> Result<(), Failure> {
    let name = tree::name(old);
    let differs = |pointer: &str| {
        let wanted = tree::text(new, pointer);
        wanted.is_some() && wanted != tree::text(old, pointer)
    };
    if differs("/metadata/resourceVersion") {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Failure::conflict(kind, name, why));
    }
    if differs("/metadata/uid") {
        let cause = Cause::invalid("metadata.uid", &json!(tree::uid(new)), "field is immutable");
        // Most kinds check their metadata twice.
        let once = matches!(
            kind,
            Kind::PodDisruptionBudget
                | Kind::ValidatingAdmissionPolicy
                | Kind::ValidatingAdmissionPolicyBinding
        );
        return Err(Failure::invalid(kind, name, vec![cause; if once { 1 } else { 2 }]));
    }
    if differs("/metadata/name") {
        let field = "metadata.name";
        let value = new.pointer("/metadata/name").unwrap_or(&Value::Null);
        return Err(Failure::invalid(kind, name, vec![Cause::invalid(field, value, "field is immutable")]));
    }
    Ok(())
}

/// What no client can change.
fn keep_metadata(old: &Value, new: &mut Value) {
    for key in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
        "resourceVersion",
    ] {
        tree::carry(old, new, &format!("/metadata/{key}"));
    }
}
