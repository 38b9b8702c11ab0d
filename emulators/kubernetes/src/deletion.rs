//! Deletion: preconditions, grace, finalizers and what happens to dependents.

use super::decode;
use super::failure::Failure;
use super::kind::Kind;
use super::managers::Actor;
use super::registry::Registry;
use super::{clock, tree};
use crate::api::Request;
use serde_json::{Value, json};

/// What becomes of the objects that a deleted one owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Propagation {
    /// They are deleted after it.
    Background,
    /// They are deleted before it.
    Foreground,
    /// They stay.
    Orphan,
}

/// How to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeleteOptions {
    grace: Option<i64>,
    uid: Option<String>,
    resource_version: Option<String>,
    propagation: Propagation,
    dry_run: bool,
}

impl DeleteOptions {
    /// Without any wish.
    pub(super) fn plain() -> Self {
        Self {
            grace: None,
            uid: None,
            resource_version: None,
            propagation: Propagation::Background,
            dry_run: false,
        }
    }

    /// After everything that it owns.
    pub(super) fn foreground() -> Self {
        Self { propagation: Propagation::Foreground, ..Self::plain() }
    }

    /// Of the body and the parameters of a request.
    ///
    /// # Errors
    /// 400 when they can't be read.
    pub(super) fn of(request: &Request) -> Result<Self, Failure> {
        let body = decode::body(request)?;
        Self::read(&body, request)
    }

    /// Of a `DeleteOptions` object and the parameters of a request.
    ///
    /// # Errors
    /// 400 when they can't be read.
    pub(super) fn read(body: &Value, request: &Request) -> Result<Self, Failure> {
        let text = |pointer: &str| tree::text(body, pointer).map(str::to_owned);
        let parameter = |name: &str| request.query(name).map(str::to_owned);
        let propagation = match text("/propagationPolicy").or(parameter("propagationPolicy")).as_deref() {
            Some("Foreground") => Propagation::Foreground,
            Some("Orphan") => Propagation::Orphan,
            None | Some("Background") => Propagation::Background,
            Some(other) => {
                return Err(Failure::bad_request(format!("invalid propagationPolicy {other:?}")));
            }
        };
        let grace = tree::int(body, "/gracePeriodSeconds")
            .or_else(|| request.query("gracePeriodSeconds").and_then(|text| text.parse().ok()));
        let dry_run = tree::items(body, "/dryRun").iter().any(|word| word == "All")
            || request.query("dryRun") == Some("All");
        let uid = text("/preconditions/uid");
        let resource_version = text("/preconditions/resourceVersion");
        Ok(Self { grace, uid, resource_version, propagation, dry_run })
    }

    /// Whether nothing may be deleted.
    pub(super) const fn dry_run(&self) -> bool {
        self.dry_run
    }

    fn check(&self, kind: Kind, object: &Value) -> Result<(), Failure> {
        let pairs = [
            ("UID", &self.uid, tree::uid(object), "deleted and then recreated"),
            (
                "ResourceVersion",
                &self.resource_version,
                tree::text(object, "/metadata/resourceVersion").unwrap_or_default(),
                "modified",
            ),
        ];
        for (what, wanted, actual, fate) in pairs {
            let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != actual) else { continue };
            // Namespaces have a deletion of their own, with words of its own.
            if kind == Kind::Namespace {
                let why = format!(
                    "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {actual}"
                );
                return Err(Failure::conflict(kind, tree::name(object), &why));
            }
            return Err(Failure::precondition(kind, tree::name(object), what, [wanted, actual], fate));
        }
        Ok(())
    }
}

/// Deletes an object or begins to. Returns the code and the body of the answer.
///
/// # Errors
/// 404, 409 for a failed precondition, 403 for namespaces that must stay.
pub(super) fn delete(
    registry: &mut Registry<'_>,
    kind: Kind,
    namespace: &str,
    name: &str,
    options: &DeleteOptions,
) -> Result<(u16, Value), Failure> {
    let object = registry.read(kind, namespace, name)?;
    options.check(kind, &object)?;
    if kind == Kind::Namespace && ["default", "kube-system", "kube-public"].contains(&name) {
        return Err(Failure::forbidden(kind, name, "this namespace may not be deleted"));
    }
    let mut finalizers: Vec<Value> = tree::items(&object, "/metadata/finalizers").to_vec();
    if options.propagation == Propagation::Foreground && !finalizers.contains(&json!("foregroundDeletion")) {
        finalizers.push(json!("foregroundDeletion"));
    }
    let grace = grace(kind, &object, options);
    let at_once = finalizers.is_empty() && grace == 0 && kind != Kind::Namespace;
    if at_once && options.dry_run {
        return Ok((200, gone(kind, &object)));
    }
    if !options.dry_run && options.propagation == Propagation::Orphan {
        orphan(registry, &object);
    }
    if at_once && options.propagation == Propagation::Orphan {
        // The mark is all that is answered: the dependents are let go behind it.
        registry.store.remove(kind, namespace, name, registry.now);
        return Ok((200, marked_for(registry, &object, vec![json!("orphan")], 0)));
    }
    if at_once {
        registry.store.remove(kind, namespace, name, registry.now);
        return Ok((200, gone(kind, &object)));
    }
    let mut marked = marked_for(registry, &object, finalizers, grace);
    if kind == Kind::Namespace {
        tree::put(&mut marked, "/status/phase", "Terminating");
        tree::remove(&mut marked, "/metadata/deletionGracePeriodSeconds");
    }
    if options.dry_run || marked == object {
        return Ok((200, marked));
    }
    // The mark has no owner.
    Ok((200, registry.store.put(kind, marked, registry.now)))
}

/// The object marked for deletion.
fn marked_for(registry: &Registry<'_>, object: &Value, finalizers: Vec<Value>, grace: i64) -> Value {
    let mut marked = object.clone();
    if !finalizers.is_empty() {
        tree::put(&mut marked, "/metadata/finalizers", finalizers);
    }
    let earlier = tree::int(object, "/metadata/deletionGracePeriodSeconds");
    if !tree::is_deleting(object) || earlier.is_some_and(|earlier| grace < earlier) {
        let after = u64::try_from(grace).unwrap_or(0) * 1000;
        tree::put(&mut marked, "/metadata/deletionTimestamp", clock::seconds(registry.now + after));
        tree::put(&mut marked, "/metadata/deletionGracePeriodSeconds", grace);
        if let Some(generation) = tree::int(object, "/metadata/generation") {
            tree::put(&mut marked, "/metadata/generation", generation + 1);
        }
    }
    marked
}

/// Seconds that a pod has to end. Pods that never got to a node end at once, as everything else does.
fn grace(kind: Kind, object: &Value, options: &DeleteOptions) -> i64 {
    let over = matches!(tree::text(object, "/status/phase"), Some("Succeeded" | "Failed"));
    if kind != Kind::Pod || over || tree::text(object, "/spec/nodeName").is_none() {
        return 0;
    }
    let own = tree::int(object, "/spec/terminationGracePeriodSeconds").unwrap_or(30);
    options.grace.unwrap_or(own).max(0)
}

/// The answer to a deletion that is done: the object itself for some kinds.
fn gone(kind: Kind, object: &Value) -> Value {
    if matches!(kind, Kind::Pod | Kind::Service | Kind::ServiceAccount) {
        return object.clone();
    }
    let info = kind.info();
    let mut details = json!({"name": tree::name(object), "kind": info.plural, "uid": tree::uid(object)});
    if !info.group.is_empty() {
        tree::put(&mut details, "/group", info.group);
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// Takes the owner's name from its dependents.
fn orphan(registry: &mut Registry<'_>, owner: &Value) {
    for kind in Kind::ALL {
        let dependents: Vec<Value> = registry
            .store
            .list(kind, Some(tree::namespace(owner)))
            .filter(|object| owners(object).any(|uid| uid == tree::uid(owner)))
            .cloned()
            .collect();
        for mut object in dependents {
            let left: Vec<Value> = tree::items(&object, "/metadata/ownerReferences")
                .iter()
                .filter(|reference| tree::text(reference, "/uid") != Some(tree::uid(owner)))
                .cloned()
                .collect();
            if left.is_empty() {
                tree::remove(&mut object, "/metadata/ownerReferences");
            } else {
                tree::put(&mut object, "/metadata/ownerReferences", left);
            }
            registry.commit(kind, object, &Actor::new("kube-controller-manager"));
        }
    }
}

/// Uids of an object's owners.
pub(super) fn owners(object: &Value) -> impl Iterator<Item = &str> {
    tree::items(object, "/metadata/ownerReferences")
        .iter()
        .filter_map(|reference| tree::text(reference, "/uid"))
}
