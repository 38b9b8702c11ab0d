//! Filestore: instances and long-running operations.
//!
//! v1 and v1beta1 come to the same handlers. Networks named in a request are taken to exist.

mod instance;
#[cfg(test)]
mod tests;
mod tier;

use crate::api::{Answer, Context, Request, Response, Time};
use crate::container::places::Place;
use crate::ids::Ids;
use crate::rest::{Code, Failure, Version, check_booleans, enums_as_numbers, timestamp};
use crate::schema::Api;
use crate::table::{Rows, Table};
use crate::views::Export;
use instance::Instance;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Milliseconds of virtual time that operations take.
const CREATE: Time = 180_000;
const UPDATE: Time = 30_000;
const DELETE: Time = 60_000;

/// All of Filestore. Both maps go by full name, `projects/P/locations/L/…/N`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Filestore {
    instances: Table<String, Instance>,
    operations: Table<String, Operation>,
}

/// A long-running operation. Its state is a function of the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Operation {
    /// Full name of the instance.
    target: String,
    verb: Verb,
    /// Version of the request that started it.
    preview: bool,
    start: Time,
    end: Time,
    settled: bool,
    /// The spec an update brings about.
    spec: Map<String, Value>,
    /// The instance when it was done.
    result: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Verb {
    Create,
    Update,
    Delete,
}

impl Verb {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    const fn duration(self) -> Time {
        match self {
            Self::Create => CREATE,
            Self::Update => UPDATE,
            Self::Delete => DELETE,
        }
    }
}

/// What a path names.
struct Route<'a> {
    version: Version,
    project: &'a str,
    /// `-` for all.
    location: &'a str,
    collection: &'a str,
    name: Option<&'a str>,
}

impl Route<'_> {
    fn full_name(&self, name: &str) -> String {
        format!("projects/{}/locations/{}/{}/{name}", self.project, self.location, self.collection)
    }

    /// Whether a full name is in the collection of this path, in any location for `-`.
    fn lists(&self, full_name: &str) -> bool {
        match full_name.split('/').collect::<Vec<&str>>().as_slice() {
            ["projects", project, "locations", location, collection, _] => {
                *project == self.project
                    && *collection == self.collection
                    && (self.location == "-" || *location == self.location)
            }
            _ => false,
        }
    }
}

impl Filestore {
    /// Answers a request.
    pub fn handle(&mut self, request: &Request, context: &mut Context<'_>) -> Answer {
        match self.reply(request, context) {
            Ok(value) => Response::json(200, &value).into(),
            Err(failure) => failure.plain().into(),
        }
    }

    fn reply(&mut self, request: &Request, context: &mut Context<'_>) -> Result<Value, Failure> {
        let segments = request.segments();
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let route = route(&parts)?;
        // An instance here has no snapshots, which `force` would delete with it, and every location answers.
        check_booleans(request, &["force", "returnPartialSuccess"]).map_err(Failure::invalid)?;
        let numbers = enums_as_numbers(request);
        let name = match (request.method.as_str(), route.collection, route.name) {
            ("GET", "instances", None) => {
                let found = self.instances.iter().filter(|(name, _)| route.lists(name));
                let all: Vec<Value> =
                    found.map(|(name, own)| own.render(name, route.version, numbers)).collect();
                return Ok(if all.is_empty() { json!({}) } else { json!({ "instances": all }) });
            }
            ("GET", "instances", Some(name)) => {
                let name = route.full_name(name);
                return Ok(self.instance(&name)?.render(&name, route.version, numbers));
            }
            ("GET", "operations", None) => {
                let found = self.operations.iter().filter(|(name, _)| route.lists(name));
                let all: Vec<Value> =
                    found.map(|(name, own)| own.render(name, context.now, numbers)).collect();
                return Ok(if all.is_empty() { json!({}) } else { json!({ "operations": all }) });
            }
            ("GET", "operations", Some(name)) => {
                let name = route.full_name(name);
                let operation = self.operations.get(&name).ok_or_else(|| not_found(&name))?;
                return Ok(operation.render(&name, context.now, numbers));
            }
            ("POST", "instances", None) => self.create(&route, request, context)?,
            ("PATCH", "instances", Some(name)) => self.update(&route, name, request, context)?,
            ("DELETE", "instances", Some(name)) => self.delete(&route, name, context)?,
            _ => return Err(Failure::new(Code::NotFound, "Method not found.")),
        };
        let operation = self.operations.get(&name).ok_or_else(|| not_found(&name))?;
        Ok(operation.render(&name, context.now, numbers))
    }

    fn create(
        &mut self,
        route: &Route<'_>,
        request: &Request,
        context: &mut Context<'_>,
    ) -> Result<String, Failure> {
        let id = request.query("instanceId").or_else(|| request.query("instance_id")).unwrap_or_default();
        instance::check_name(id)?;
        let name = route.full_name(id);
        let given = accept(route.version, request)?;
        if self.instances.contains_key(&name) {
            return Err(Failure::new(Code::AlreadyExists, format!("Resource '{name}' already exists")));
        }
        let taken = self.instances.values().map(Instance::range).collect::<Vec<_>>();
        let spec = instance::new_spec(given, route.location, &taken)?;
        self.instances.insert(name.clone(), Instance::new(spec, context.now, context.ids));
        Ok(self.start(route, name, Verb::Create, Map::new(), context))
    }

    fn update(
        &mut self,
        route: &Route<'_>,
        name: &str,
        request: &Request,
        context: &mut Context<'_>,
    ) -> Result<String, Failure> {
        let name = route.full_name(name);
        let given = accept(route.version, request)?;
        let mask = request.query("updateMask").or_else(|| request.query("update_mask")).unwrap_or_default();
        let instance = self.idle_instance(&name)?;
        let spec = instance.updated(&given, mask)?;
        Ok(self.start(route, name, Verb::Update, spec, context))
    }

    fn delete(
        &mut self,
        route: &Route<'_>,
        name: &str,
        context: &mut Context<'_>,
    ) -> Result<String, Failure> {
        let name = route.full_name(name);
        let instance = self.idle_instance(&name)?;
        if instance.is_protected() {
            return Err(Failure::new(
                Code::FailedPrecondition,
                format!("Instance '{name}' cannot be deleted because deletion protection is enabled."),
            ));
        }
        Ok(self.start(route, name, Verb::Delete, Map::new(), context))
    }

    fn start(
        &mut self,
        route: &Route<'_>,
        target: String,
        verb: Verb,
        spec: Map<String, Value>,
        context: &mut Context<'_>,
    ) -> String {
        let start = context.now;
        let name = format!(
            "projects/{}/locations/{}/operations/operation-{start}-{}",
            route.project,
            route.location,
            context.ids.uuid()
        );
        if let Some(instance) = self.instances.get_mut(&target) {
            instance.begin(&name, verb == Verb::Delete);
        }
        let operation = Operation {
            target,
            verb,
            preview: route.version == Version::V1Beta1,
            start,
            end: start + verb.duration(),
            settled: false,
            spec,
            result: None,
        };
        self.operations.insert(name.clone(), operation);
        name
    }

    fn instance(&self, name: &str) -> Result<&Instance, Failure> {
        self.instances.get(name).ok_or_else(|| not_found(name))
    }

    fn idle_instance(&self, name: &str) -> Result<&Instance, Failure> {
        let instance = self.instance(name)?;
        if instance.is_busy() {
            return Err(Failure::new(
                Code::Aborted,
                format!("unable to queue the operation: another operation is running on '{name}'"),
            ));
        }
        Ok(instance)
    }

    /// Whether an instance was touched since its row was last stored.
    #[must_use]
    pub fn is_touched(&self) -> bool {
        self.instances.is_touched()
    }

    /// What is kept row by row.
    pub(crate) fn tables(&mut self, show: &mut dyn FnMut(&str, &mut dyn Rows)) {
        show("filestore/instances", &mut self.instances);
        show("filestore/operations", &mut self.operations);
    }

    /// When something happens next by itself.
    #[must_use]
    pub fn next_event(&self) -> Option<Time> {
        self.operations.values().filter(|operation| !operation.settled).map(|operation| operation.end).min()
    }

    /// Carries out what is due.
    pub fn advance(&mut self, now: Time, ids: &mut Ids) {
        let due = |operation: &Operation| !operation.settled && operation.end <= now;
        let due: Vec<String> =
            self.operations.iter().filter(|(_, own)| due(own)).map(|(name, _)| name.clone()).collect();
        for name in due {
            let Some(operation) = self.operations.get_mut(&name) else { continue };
            operation.settled = true;
            match operation.verb {
                Verb::Delete => {
                    self.instances.remove(&operation.target);
                }
                Verb::Create | Verb::Update => {
                    let Some(instance) = self.instances.get_mut(&operation.target) else { continue };
                    instance.end(std::mem::take(&mut operation.spec), ids);
                    operation.result = Some(instance.document(&operation.target));
                }
            }
        }
    }

    /// What the instances export.
    #[must_use]
    pub fn exports(&self) -> Vec<Export> {
        self.instances.iter().filter_map(|(name, instance)| instance.export(name)).collect()
    }
}

impl Operation {
    fn render(&self, name: &str, now: Time, numbers: bool) -> Value {
        let done = now >= self.end;
        let version = if self.preview { Version::V1Beta1 } else { Version::V1 };
        let mut out = json!({
            "done": done,
            "metadata": {
                "@type": "type.googleapis.com/google.cloud.common.OperationMetadata",
                "apiVersion": version.as_str(),
                "createTime": timestamp(self.start),
                "target": self.target,
                "verb": self.verb.as_str(),
            },
            "name": name,
        });
        if done {
            out["metadata"]["endTime"] = json!(timestamp(self.end));
            out["response"] = match &self.result {
                None => json!({ "@type": "type.googleapis.com/google.protobuf.Empty" }),
                Some(instance) => {
                    let mut whole = Api::Filestore.answer(version, "Instance", numbers, instance.clone());
                    whole["@type"] = json!("type.googleapis.com/google.cloud.filestore.v1.Instance");
                    whole
                }
            };
        }
        out
    }
}

/// Reads `/v1/projects/P/locations/L/{instances,operations}[/N]`.
fn route<'a>(parts: &[&'a str]) -> Result<Route<'a>, Failure> {
    let unknown = || Failure::new(Code::NotFound, "Method not found.");
    let (version, project, location, collection, name) = match parts {
        [version, "projects", project, "locations", location, collection] => {
            (version, project, location, collection, None)
        }
        [version, "projects", project, "locations", location, collection, name] => {
            (version, project, location, collection, Some(*name))
        }
        _ => return Err(unknown()),
    };
    let version = Version::parse(version).ok_or_else(unknown)?;
    if *location != "-" && Place::find(location).is_none() {
        return Err(Failure::new(
            Code::PermissionDenied,
            format!("Location {location} is not found or access is unauthorized."),
        ));
    }
    Ok(Route { version, project, location, collection, name })
}

/// The instance in a request's body.
fn accept(version: Version, request: &Request) -> Result<Map<String, Value>, Failure> {
    let body = request
        .json()
        .map_err(|error| Failure::invalid(format!("Invalid JSON payload received. {error}")))?;
    let Value::Object(given) = Api::Filestore.accept(version, "Instance", "instance", &body)? else {
        return Err(Failure::invalid("The body must be an instance."));
    };
    Ok(given)
}

fn not_found(name: &str) -> Failure {
    Failure::new(Code::NotFound, format!("Resource '{name}' was not found"))
}
