//! Compute Engine: instances, disks, addresses, firewalls, images, snapshots and schedules, machine types, zones,
//! networks, operations, serial port and guest attributes.
//!
//! Resources are kept as the documents that a GET returns, by relative path. A change takes effect in its request, and its
//! operation then runs for a while; what starts, stops or removes a resource takes effect at the operation's end.

mod addresses;
mod batch;
pub mod catalog;
mod disks;
mod failure;
mod firewalls;
mod groups;
mod guest;
mod instance_calls;
mod instance_update;
mod instances;
mod list;
mod operations;
mod policies;
mod reads;
mod refusal;
mod route;
mod schema;
mod shape;
mod snapshots;
mod suspension;
pub mod usage;

use crate::api::{Answer, Context, Request, Response, Time};
use crate::ids::Ids;
use crate::rest;
use crate::table::{Rows, Table};
use crate::views::{Export, Node};
use failure::Failure;
use guest::Guest;
use operations::Operation;
use route::{Route, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The longest that `wait` waits, in virtual milliseconds.
const LONGEST_WAIT: Time = 120_000;

/// Parameters of queries that are booleans, of the methods that are here.
const BOOLEANS: &[&str] = &[
    "autoDelete",
    "deletionProtection",
    "discardLocalSsd",
    "forceAttach",
    "guestFlush",
    "includeAllScopes",
    "noGracefulShutdown",
    "returnPartialSuccess",
];

/// A resource as a GET returns it.
type Document = Map<String, Value>;

/// All of Compute Engine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Compute {
    /// By relative path, `projects/P/zones/Z/disks/D`.
    resources: Table<String, Document>,
    /// By relative path.
    operations: Table<String, Operation>,
    /// The inside of each VM, by the instance's relative path.
    guests: Table<String, Guest>,
    /// Nodes of GKE, which stand among the instances, by path.
    nodes: Table<String, Node>,
    /// Instances that were reset, by path, until whoever else is concerned has heard of it.
    #[serde(default)]
    resets: Vec<String>,
    /// Operation that a request with a `requestId` began, so that a repetition gets the same one.
    request_ids: Table<String, String>,
    /// The operation that the present request began.
    #[serde(skip)]
    begun: Option<String>,
}

/// What a handler has to say.
enum Reply {
    Now(Value),
    Later,
}

impl Compute {
    /// Answers a request.
    pub fn handle(&mut self, request: &Request, context: &mut Context<'_>) -> Answer {
        if batch::is_batch(request) {
            return self.batch(request, context);
        }
        match self.respond(request, context) {
            Ok(Reply::Now(value)) => Response::json(200, &value).into(),
            Ok(Reply::Later) => Answer::Later,
            Err(failure) => Response::from(failure).into(),
        }
    }

    fn respond(&mut self, request: &Request, context: &mut Context<'_>) -> Result<Reply, Failure> {
        let route = Route::parse(&request.segments()).ok_or_else(|| Failure::not_found(&request.path))?;
        check_place(&route)?;
        rest::check_booleans(request, BOOLEANS).map_err(Failure::malformed)?;
        let verb = route.verb.as_deref();
        match (request.method.as_str(), route.collection.as_str(), verb) {
            ("GET", _, _) => self.read(request, &route).map(Reply::Now),
            ("POST", "instanceGroupManagers", Some("listManagedInstances"))
            | ("POST", "instanceGroups", Some("listInstances")) => {
                self.list_group(request, &route).map(Reply::Now)
            }
            ("POST", "operations", Some("wait")) => self.wait(&route, context),
            ("DELETE", "operations", None) => {
                let path = route.path();
                self.operations.remove(&path).ok_or_else(|| Failure::not_found(&path))?;
                Ok(Reply::Now(json!({})))
            }
            _ => self.change(request, &route, context).map(Reply::Now),
        }
    }

    /// Waits for an operation, for two minutes at most.
    fn wait(&self, route: &Route, context: &Context<'_>) -> Result<Reply, Failure> {
        let path = route.path();
        let operation = self.operations.get(&path).ok_or_else(|| Failure::not_found(&path))?;
        if !self.is_done(&path) && context.now < context.arrived + LONGEST_WAIT {
            return Ok(Reply::Later);
        }
        Ok(Reply::Now(Value::Object(operation.document.clone())))
    }

    /// Carries out a change, once for each `requestId`.
    fn change(
        &mut self,
        request: &Request,
        route: &Route,
        context: &mut Context<'_>,
    ) -> Result<Value, Failure> {
        let key = request.query("requestId").map(|id| format!("{} {} {id}", request.method, request.path));
        if let Some(operation) =
            key.as_ref().and_then(|key| self.request_ids.get(key)).and_then(|path| self.operations.get(path))
        {
            return Ok(Value::Object(operation.document.clone()));
        }
        self.begun = None;
        let body = request
            .json()
            .map_err(|error| Failure::malformed(format!("Invalid JSON payload received. {error}")))?;
        let change = Change { request, route, body };
        let answer = match route.collection.as_str() {
            "instances" => self.change_instances(change, context),
            "disks" => self.change_disks(change, context),
            "addresses" => self.change_addresses(change, context),
            "firewalls" => self.change_firewalls(change, context),
            "resourcePolicies" => self.change_policies(change, context),
            "snapshots" => self.change_snapshots(change, context),
            _ => Err(unsupported(request)),
        }?;
        if let (Some(key), Some(operation)) = (key, self.begun.take()) {
            self.request_ids.insert(key, operation);
        }
        Ok(answer)
    }

    /// When something happens next by itself.
    #[must_use]
    pub fn next_event(&self) -> Option<Time> {
        self.next_operation().into_iter().chain(self.guests.values().filter_map(Guest::next_event)).min()
    }

    /// Carries out what is due.
    pub fn advance(&mut self, now: Time, ids: &mut Ids) {
        self.finish_operations(now, ids);
        let due: Vec<String> = self
            .guests
            .iter()
            .filter(|(_, guest)| guest.next_event().is_some_and(|next| next <= now))
            .map(|(path, _)| path.clone())
            .collect();
        for path in due {
            let (disks, attributes_on) = self.seen_by_guest(&path);
            if let Some(guest) = self.guests.get_mut(&path) {
                guest.advance(now, &disks, attributes_on);
            }
        }
    }

    /// What there is, in few words.
    #[must_use]
    pub fn summary(&self) -> Value {
        let mut kinds: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for (path, document) in &self.resources {
            let kind = path.rsplit('/').nth(1).unwrap_or_default();
            let status = document.get("status").cloned().unwrap_or_default();
            kinds.entry(kind).or_default().push(json!({ "path": path, "status": status }));
        }
        json!(kinds)
    }

    /// Nodes of GKE whose machines were reset since this was asked last, by name.
    pub fn reset_nodes(&mut self) -> Vec<String> {
        let resets = std::mem::take(&mut self.resets);
        resets.iter().filter_map(|path| self.nodes.get(path)).map(|node| node.name.clone()).collect()
    }

    /// Whether a resource or a guest was touched since its row was last stored.
    #[must_use]
    pub fn is_touched(&self) -> bool {
        self.resources.is_touched() || self.guests.is_touched()
    }

    /// What is kept row by row.
    pub(crate) fn tables(&mut self, show: &mut dyn FnMut(&str, &mut dyn Rows)) {
        show("compute/resources", &mut self.resources);
        show("compute/operations", &mut self.operations);
        show("compute/guests", &mut self.guests);
        show("compute/nodes", &mut self.nodes);
        show("compute/requestIds", &mut self.request_ids);
    }

    /// What file server VMs export.
    #[must_use]
    pub fn exports(&self) -> Vec<Export> {
        self.guests.iter().filter_map(|(path, guest)| self.export_of(path, guest)).collect()
    }

    fn get(&self, path: &str) -> Result<&Document, Failure> {
        self.resources.get(path).ok_or_else(|| Failure::not_found(path))
    }

    fn get_mut(&mut self, path: &str) -> Result<&mut Document, Failure> {
        self.resources.get_mut(path).ok_or_else(|| Failure::not_found(path))
    }

    /// The new resource's path, if its name is good and free.
    fn vacant(&self, route: &Route, body: &Document) -> Result<String, Failure> {
        let name =
            body.get("name").and_then(Value::as_str).ok_or_else(|| Failure::required("resource.name"))?;
        check_name("resource.name", name)?;
        let path = route.sibling(name);
        if self.resources.contains_key(&path) { Err(Failure::exists(&path)) } else { Ok(path) }
    }
}

/// A change that a request asks for.
struct Change<'a> {
    request: &'a Request,
    route: &'a Route,
    body: Value,
}

/// What every new resource has.
fn newborn(kind: &str, path: &str, body: Document, context: &mut Context<'_>) -> Document {
    let mut document = body;
    operations::set(
        &mut document,
        [
            ("kind", format!("compute#{kind}").into()),
            ("id", context.ids.numeric().into()),
            ("creationTimestamp", operations::timestamp(context.now).into()),
            ("name", route::last(path).into()),
            ("selfLink", route::link(path).into()),
        ],
    );
    document
}

/// The zone or region of the request is one that there is.
fn check_place(route: &Route) -> Result<(), Failure> {
    match &route.scope {
        Scope::Zone(zone) if !catalog::is_zone(zone) => Err(Failure::invalid("zone", zone, "Unknown zone.")),
        Scope::Region(region) if !catalog::is_region(region) => {
            Err(Failure::invalid("region", region, "Unknown region."))
        }
        Scope::Zone(_) | Scope::Region(_) | Scope::Project | Scope::Aggregated | Scope::Global => Ok(()),
    }
}

/// RFC 1035: a letter, then letters, digits and hyphens, 63 characters at most, no hyphen at the end.
fn check_name(field: &str, name: &str) -> Result<(), Failure> {
    let good = name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if good {
        return Ok(());
    }
    let why = "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'";
    Err(Failure::invalid(field, name, why))
}

/// Labels as the API takes them: at most 64; keys and values of lower-case letters, digits, `_` and `-`.
fn check_labels(field: &str, labels: Option<&Value>) -> Result<(), Failure> {
    let good = |text: &str| {
        text.chars().count() <= 63
            && text
                .chars()
                .all(|c| matches!(c, '_' | '-') || c.is_numeric() || (c.is_alphabetic() && !c.is_uppercase()))
    };
    let Some(Value::Object(labels)) = labels else { return Ok(()) };
    if labels.len() > 64 {
        return Err(Failure::invalid(field, &labels.len().to_string(), "At most 64 labels are allowed."));
    }
    for (key, value) in labels {
        let value = value.as_str().unwrap_or_default();
        if !key.starts_with(|c: char| c.is_alphabetic() && !c.is_uppercase()) || !good(key) {
            return Err(Failure::invalid(field, key, "Label key is invalid."));
        }
        if !good(value) {
            return Err(Failure::invalid(field, value, &format!("Label value of '{key}' is invalid.")));
        }
    }
    Ok(())
}

/// Sets labels if the fingerprint is the present one, as `setLabels` of every kind does.
fn set_labels(document: &mut Document, body: &mut Document) -> Result<(), Failure> {
    check_labels("labels", body.get("labels"))?;
    if body.get("labelFingerprint") != document.get("labelFingerprint") {
        return Err(Failure::stale("Labels fingerprint either invalid or resource labels have changed"));
    }
    give_labels(document, body.remove("labels"));
    Ok(())
}

/// Puts labels and their fingerprint into a document; no empty map.
fn give_labels(document: &mut Document, labels: Option<Value>) {
    let labels = labels.filter(|labels| labels.as_object().is_some_and(|map| !map.is_empty()));
    let print = fingerprint(labels.as_ref().unwrap_or(&Value::Null));
    document.insert("labelFingerprint".into(), print.into());
    match labels {
        Some(labels) => drop(document.insert("labels".into(), labels)),
        None => drop(document.remove("labels")),
    }
}

/// Eight bytes in base64, changed with the content. That of nothing is the one that Google's nothing has.
fn fingerprint(content: &Value) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if content.is_null() {
        return "42WmSpB8rSM=".to_owned();
    }
    let digest = Sha256::digest(content.to_string());
    let number = digest.iter().take(8).fold(0u128, |value, byte| (value << 8) | u128::from(*byte)) << 2;
    let letters = (0..11).rev().map(|place| usize::try_from((number >> (6 * place)) & 63).unwrap_or(0));
    letters.filter_map(|at| LETTERS.get(at)).map(|byte| char::from(*byte)).chain(['=']).collect()
}

/// A boolean of the query, or its default.
fn flag(request: &Request, name: &str, default: bool) -> Result<bool, Failure> {
    let given = rest::boolean(request, name);
    given.map(|given| given.unwrap_or(default)).map_err(Failure::malformed)
}

fn unsupported(request: &Request) -> Failure {
    Failure {
        code: 404,
        reason: "notFound",
        message: format!("The sandbox has no {} {}", request.method, request.path),
    }
}
