//! The verbs of the API on one target: get, list, watch, create, update, patch, delete.

use super::apply::Apply;
use super::decode::{self, Strictness};
use super::deletion::{self, DeleteOptions};
use super::failure::Failure;
use super::fields::FieldSet;
use super::kind::Kind;
use super::managers::Actor;
use super::registry::{Registry, Write, type_of};
use super::route::Target;
use super::selectors::Selector;
use super::store::Store;
use super::table::Form;
use super::watch::WatchCursor;
use super::{patch, scale, tree};
use crate::answer::Answer;
use crate::api::{Request, Response, Time};
use serde_json::{Value, json};

/// A write request, as far as all verbs share it.
pub(super) struct Call<'r> {
    /// The request.
    pub(super) request: &'r Request,
    /// What it is about.
    pub(super) target: &'r Target,
    /// Warnings for the answer.
    pub(super) warnings: Vec<String>,
}

/// The representation that a request wants.
pub(super) fn form(request: &Request) -> Form {
    Form::of(request.header("accept"), request.query("includeObject"))
}

/// Whether a parameter is on.
fn is_on(request: &Request, name: &str) -> bool {
    matches!(request.query(name), Some("true" | "1" | "True"))
}

fn selector(kind: Kind, request: &Request) -> Result<Selector, Failure> {
    let text = |name: &str| request.query(name).unwrap_or_default();
    Selector::parse(kind, text("labelSelector"), text("fieldSelector"))
}

/// A list, or the watch that the parameters ask for.
///
/// # Errors
/// 400 for bad parameters.
pub(super) fn list(store: &Store, target: &Target, request: &Request, now: Time) -> Result<Answer, Failure> {
    let mut wanted = selector(target.kind, request)?;
    if let Some(name) = &target.name {
        wanted = Selector::parse(target.kind, "", &format!("metadata.name={name}"))?;
    }
    if is_on(request, "watch") || is_on(request, "sendInitialEvents") {
        return watch(store, target, request, wanted, now);
    }
    let all = store.list(target.kind, target.namespace.as_deref()).filter(|object| wanted.matches(object));
    let objects: Vec<&Value> = all.collect();
    let limit = request.query("limit").and_then(|text| text.parse::<usize>().ok()).filter(|limit| *limit > 0);
    let start = match request.query("continue").filter(|token| !token.is_empty()) {
        Some(token) => {
            let after = token.strip_prefix("v1:").ok_or_else(|| {
                Failure::bad_request("continue key is not valid: it was not made by this server")
            })?;
            objects.partition_point(|object| position(object).as_str() <= after)
        }
        None => 0,
    };
    let rest = objects.get(start..).unwrap_or_default();
    let page = rest.get(..limit.unwrap_or(rest.len())).unwrap_or(rest);
    let mut metadata = json!({"resourceVersion": store.revision().to_string()});
    if let Some(last) = page.last().filter(|_| page.len() < rest.len()) {
        tree::put(&mut metadata, "/continue", format!("v1:{}", position(last)));
        tree::put(&mut metadata, "/remainingItemCount", rest.len() - page.len());
    }
    Ok(Response::json(200, &form(request).list(target.kind, &metadata, page, now)).into())
}

fn position(object: &Value) -> String {
    format!("{}/{}", tree::namespace(object), tree::name(object))
}

fn watch(
    store: &Store,
    target: &Target,
    request: &Request,
    selector: Selector,
    now: Time,
) -> Result<Answer, Failure> {
    let version = request.query("resourceVersion").unwrap_or_default();
    let number = |text: &str| {
        text.parse::<u64>()
            .map_err(|_| Failure::bad_request(format!("Invalid value: {text:?}: not a resource version")))
    };
    let initial = match request.query("sendInitialEvents") {
        Some(text) => text == "true",
        None => matches!(version, "" | "0"),
    };
    let revision = match (initial, version) {
        (true, _) => None,
        (false, "" | "0") => Some(store.revision()),
        (false, text) => Some(number(text)?),
    };
    let seconds = request.query("timeoutSeconds").and_then(|text| text.parse::<Time>().ok());
    Ok(Answer::Watch(WatchCursor {
        kind: target.kind,
        namespace: target.namespace.clone(),
        selector,
        form: form(request),
        revision,
        bookmarks: is_on(request, "allowWatchBookmarks"),
        marks_initial_end: is_on(request, "sendInitialEvents"),
        bookmarked: now,
        deadline: seconds.filter(|seconds| *seconds > 0).map(|seconds| now + seconds * 1000),
        started: false,
    }))
}

impl<'r> Call<'r> {
    /// A call of one request.
    pub(super) fn new(request: &'r Request, target: &'r Target) -> Self {
        Self { request, target, warnings: Vec::new() }
    }

    fn name(&self) -> &'r str {
        self.target.name.as_deref().unwrap_or_default()
    }

    fn namespace(&self) -> &'r str {
        self.target.namespace.as_deref().unwrap_or_default()
    }

    /// Whether nothing may be stored.
    ///
    /// # Errors
    /// 400 for any word but `All`.
    pub(super) fn dry_run(&self) -> Result<bool, Failure> {
        match self.request.query("dryRun") {
            None | Some("") => Ok(false),
            Some("All") => Ok(true),
            Some(other) => Err(Failure::bad_request(format!("Invalid value: {other:?}: Unsupported value"))),
        }
    }

    /// Who writes: the `fieldManager` parameter, else the program that the user agent names.
    fn write(&self) -> Result<Write, Failure> {
        let agent = self.request.header("user-agent").unwrap_or("unknown");
        let agent = agent.split('/').next().unwrap_or(agent);
        let manager = self.request.query("fieldManager").filter(|name| !name.is_empty()).unwrap_or(agent);
        let subresource = match self.target.subresource.as_deref() {
            Some("status") => Some("status"),
            Some("scale") => Some("scale"),
            Some(_) | None => None,
        };
        let actor = Actor { manager: manager.to_owned(), subresource };
        Ok(Write { actor, dry_run: self.dry_run()? })
    }

    fn decode(&mut self, value: Value) -> Result<Value, Failure> {
        let strictness = Strictness::of(self.request)?;
        self.check_kind(&value)?;
        let mut object = decode::object(self.target.kind, value, strictness, &mut self.warnings)?;
        if self.target.kind.info().namespaced {
            let wanted = self.namespace();
            let own = tree::namespace(&object);
            if !own.is_empty() && own != wanted {
                let message =
                    "the namespace of the provided object does not match the namespace sent on the request";
                return Err(Failure::bad_request(message));
            }
            tree::put(&mut object, "/metadata/namespace", wanted);
        } else {
            tree::remove(&mut object, "/metadata/namespace");
        }
        Ok(object)
    }

    fn check_kind(&self, value: &Value) -> Result<(), Failure> {
        let kind = self.target.kind;
        let (wanted, version) = (kind.info().kind, kind.api_version());
        let sent = (tree::text(value, "/kind"), tree::text(value, "/apiVersion"));
        if sent.0.is_some_and(|sent| sent != wanted) || sent.1.is_some_and(|sent| sent != version) {
            let message = format!(
                "the object provided is unrecognized (must be of type {wanted}): {version} was asked for, {} {} was sent",
                sent.1.unwrap_or_default(),
                sent.0.unwrap_or_default()
            );
            return Err(Failure::bad_request(message));
        }
        Ok(())
    }

    fn answer(&self, code: u16, object: &Value, now: Time) -> Response {
        let shown = form(self.request).one(self.target.kind, object, now, true);
        let mut response = Response::json(code, &shown);
        for warning in &self.warnings {
            response.headers.push(("warning".to_owned(), self::warning(warning)));
        }
        response
    }

    /// `GET` of one object.
    ///
    /// # Errors
    /// 404.
    pub(super) fn get(&self, registry: &Registry<'_>) -> Result<Response, Failure> {
        let object = registry.read(self.target.kind, self.namespace(), self.name())?;
        Ok(self.answer(200, &object, registry.now))
    }

    /// `POST` to a collection.
    ///
    /// # Errors
    /// As for [`Registry::create`], and 400 for a bad body.
    pub(super) fn create(&mut self, registry: &mut Registry<'_>) -> Result<Response, Failure> {
        let write = self.write()?;
        let object = self.decode(decode::body(self.request)?)?;
        let object = registry.create(self.target.kind, object, &write)?;
        Ok(self.answer(201, &object, registry.now))
    }

    /// `PUT` of an object or its status.
    ///
    /// # Errors
    /// As for [`Registry::update`], and 400 for a bad body.
    pub(super) fn update(&mut self, registry: &mut Registry<'_>) -> Result<Response, Failure> {
        let write = self.write()?;
        let mut object = self.decode(decode::body(self.request)?)?;
        tree::default(&mut object, "/metadata/name", self.name());
        if tree::name(&object) != self.name() {
            let message = format!(
                "the name of the object ({}) does not match the name on the URL ({})",
                tree::name(&object),
                self.name()
            );
            return Err(Failure::bad_request(message));
        }
        let kind = self.target.kind;
        let old = match registry.read(kind, self.namespace(), self.name()) {
            Err(_) if kind.is_created_by_put() && self.target.subresource.is_none() => {
                tree::remove(&mut object, "/metadata/resourceVersion");
                let object = registry.create(kind, object, &write)?;
                return Ok(self.answer(201, &object, registry.now));
            }
            old => old?,
        };
        // A PUT names the object by its uid; a patch that changes it is no more than wrong.
        if tree::text(&object, "/metadata/uid").is_some_and(|uid| uid != tree::uid(&old)) {
            let (wanted, actual) = (tree::uid(&object), tree::uid(&old));
            let why =
                format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {actual}");
            return Err(Failure::conflict(kind, self.name(), &why));
        }
        let object = registry.update(kind, &old, object, &write)?;
        Ok(self.answer(200, &object, registry.now))
    }

    /// `PATCH` of an object or its status, of any of the four kinds.
    ///
    /// # Errors
    /// As for [`Registry::update`] and [`Registry::apply`], 400 for a bad body, 415 for another kind of patch.
    pub(super) fn patch(&mut self, registry: &mut Registry<'_>) -> Result<Response, Failure> {
        let write = self.write()?;
        let content_type = self.request.header("content-type").unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default().trim();
        if content_type == "application/apply-patch+yaml" {
            return self.apply(registry, &write);
        }
        let body = decode::body(self.request)?;
        let old = registry.read(self.target.kind, self.namespace(), self.name())?;
        let new = patched(content_type, &old, &body, self.target.kind)?;
        let new = self.decode(new)?;
        let object = registry.update(self.target.kind, &old, new, &write)?;
        Ok(self.answer(200, &object, registry.now))
    }

    fn apply(&mut self, registry: &mut Registry<'_>, write: &Write) -> Result<Response, Failure> {
        let kind = self.target.kind;
        if self.request.query("fieldManager").is_none_or(str::is_empty) {
            let message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
            return Err(Failure::bad_request(message));
        }
        let body = decode::body(self.request)?;
        let version = tree::text(&body, "/apiVersion").unwrap_or_default().to_owned();
        if self.check_kind(&body).is_err() {
            let sent = tree::text(&body, "/kind").unwrap_or_default();
            return Err(Failure::bad_request(format!("invalid object type: {version}, Kind={sent}")));
        }
        if !tree::items(&body, "/metadata/managedFields").is_empty() {
            return Err(Failure::bad_request("metadata.managedFields must be nil"));
        }
        let unknown = decode::unknown_fields(kind.info().kind, &body);
        if let Some(field) = unknown.first() {
            let group = if kind.info().group.is_empty() { "/v1".to_owned() } else { kind.api_version() };
            let message = format!(
                "failed to create typed patch object ({}/{}; {group}, Kind={}): .{field}: field not declared in schema",
                self.namespace(),
                self.name(),
                kind.info().kind
            );
            return Err(Failure::untyped(message));
        }
        let ty = type_of(kind);
        // Also what says the same as nothing, and so is not stored, is claimed.
        let claimed = FieldSet::of(&body, &ty);
        let mut config = self.decode(body)?;
        tree::default(&mut config, "/metadata/name", self.name());
        let force = is_on(self.request, "force");
        let apply =
            Apply { ty: &ty, claimed, actor: &write.actor, api_version: &version, force, now: registry.now };
        let (object, created) = registry.apply(kind, &config, &apply, write.dry_run)?;
        Ok(self.answer(if created { 201 } else { 200 }, &object, registry.now))
    }

    /// `DELETE` of one object.
    ///
    /// # Errors
    /// 404, 409 for a failed precondition, 400 for bad options.
    pub(super) fn delete(&self, registry: &mut Registry<'_>) -> Result<Response, Failure> {
        let options = DeleteOptions::of(self.request)?;
        let (code, body) =
            deletion::delete(registry, self.target.kind, self.namespace(), self.name(), &options)?;
        Ok(Response::json(code, &body))
    }

    /// `DELETE` of a collection.
    ///
    /// # Errors
    /// 400 for bad parameters.
    pub(super) fn delete_collection(&self, registry: &mut Registry<'_>) -> Result<Response, Failure> {
        let options = DeleteOptions::of(self.request)?;
        let wanted = selector(self.target.kind, self.request)?;
        let all = registry.store.list(self.target.kind, self.target.namespace.as_deref());
        let doomed: Vec<Value> = all.filter(|object| wanted.matches(object)).cloned().collect();
        for object in &doomed {
            deletion::delete(
                registry,
                self.target.kind,
                tree::namespace(object),
                tree::name(object),
                &options,
            )?;
        }
        let metadata = json!({"resourceVersion": registry.store.revision().to_string()});
        let shown: Vec<&Value> = doomed.iter().collect();
        Ok(Response::json(200, &Form::Full.list(self.target.kind, &metadata, &shown, registry.now)))
    }

    /// Any verb on the scale of a workload.
    ///
    /// # Errors
    /// As for [`Registry::update`].
    pub(super) fn scale(&mut self, registry: &mut Registry<'_>) -> Result<Response, Failure> {
        let kind = self.target.kind;
        let old = registry.read(kind, self.namespace(), self.name())?;
        let shown = scale::of(&old);
        let content_type = self.request.header("content-type").unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default().trim();
        let wanted = match self.request.method.as_str() {
            "GET" => return Ok(Response::json(200, &shown)),
            "PUT" => decode::body(self.request)?,
            "PATCH" if content_type == "application/apply-patch+yaml" => {
                let mut merged = shown.clone();
                patch::merge(&mut merged, &decode::body(self.request)?);
                merged
            }
            "PATCH" => patched(content_type, &shown, &decode::body(self.request)?, kind)?,
            _ => return Err(Failure::method_not_allowed()),
        };
        let strictness = Strictness::of(self.request)?;
        let wanted = decode::typed("Scale", wanted, strictness, &mut self.warnings)?;
        let stored = scale::write(registry, kind, &old, &wanted, &self.write()?)?;
        Ok(Response::json(200, &scale::of(&stored)))
    }
}

/// A warning as the header of that name carries it.
pub(super) fn warning(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("299 - \"{text}\"")
}

fn patched(content_type: &str, old: &Value, body: &Value, kind: Kind) -> Result<Value, Failure> {
    let mut new = old.clone();
    match content_type {
        "application/merge-patch+json" => patch::merge(&mut new, body),
        "application/strategic-merge-patch+json" => patch::strategic(&mut new, body, &type_of(kind)),
        "application/json-patch+json" => patch::json_patch(&mut new, body)?,
        _ => return Err(Failure::unsupported_patch()),
    }
    Ok(new)
}
