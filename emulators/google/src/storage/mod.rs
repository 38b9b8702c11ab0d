//! Cloud Storage's JSON API: buckets, and objects in them.
//!
//! What the real service does with a parameter that is not here (soft deletes, conditions on metadata, resumable uploads)
//! is refused, not ignored. Lifecycle rules are kept, and not carried out.

mod failure;
mod list;
mod object;
#[cfg(test)]
mod tests;
mod update;
mod upload;

use crate::api::{Answer, Context, Request, Response, Time};
use crate::rest::{base64, boolean, check_booleans, project_number, timestamp};
use crate::table::{Rows, Table};
use failure::Failure;
use object::Object;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Where self links point, whichever host was called.
const HOST: &str = "https://www.googleapis.com/storage/v1";
/// Parameters that change what is done, and that are not here.
const NOT_HERE: &[&str] = &[
    "endOffset",
    "filter",
    "ifGenerationNotMatch",
    "ifMetagenerationMatch",
    "ifMetagenerationNotMatch",
    "matchGlob",
    "softDeleted",
    "startOffset",
];
/// Parameters that are booleans.
const BOOLEANS: &[&str] = &[
    "enableObjectRetention",
    "includeFoldersAsPrefixes",
    "includeTrailingDelimiter",
    "overrideUnlockedRetention",
    "returnPartialSuccess",
    "softDeleted",
    "versions",
];
/// Fields of a bucket that are kept as they are given.
const BUCKET_FIELDS: &[&str] = &[
    "iamConfiguration",
    "labels",
    "lifecycle",
    "location",
    "softDeletePolicy",
    "storageClass",
    "versioning",
];

/// All of Cloud Storage. Names of buckets belong to no project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Storage {
    buckets: BTreeMap<String, Bucket>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Bucket {
    project: String,
    created: Time,
    given: Map<String, Value>,
    objects: Table<String, Object>,
    /// Versions that were overwritten or deleted, by name and generation.
    #[serde(default)]
    noncurrent: BTreeMap<String, BTreeMap<u64, Object>>,
    /// When its fields were changed last, if ever.
    #[serde(default)]
    updated: Option<Time>,
    /// How often its fields were changed.
    #[serde(default)]
    changes: u64,
}

impl Storage {
    /// What is kept row by row.
    pub(crate) fn tables(&mut self, show: &mut dyn FnMut(&str, &mut dyn Rows)) {
        for (name, bucket) in &mut self.buckets {
            show(&format!("storage/{name}"), &mut bucket.objects);
        }
    }

    /// Answers a request.
    pub fn handle(&mut self, request: &Request, context: &mut Context<'_>) -> Answer {
        let reply = self.reply(request, context);
        reply.unwrap_or_else(|failure| failure.response(is_media(request))).into()
    }

    /// The buckets' names, each with the number of its objects.
    #[must_use]
    pub fn summary(&self) -> Value {
        self.buckets.iter().map(|(name, bucket)| (name.clone(), json!(bucket.objects.len()))).collect()
    }

    fn reply(&mut self, request: &Request, context: &Context<'_>) -> Result<Response, Failure> {
        check_booleans(request, BOOLEANS).map_err(|what| Failure::new(400, "invalid", what))?;
        let here = |(name, _): &&(String, String)| NOT_HERE.contains(&name.as_str());
        // What is asked to be off is as it is.
        let off = |name: &str| BOOLEANS.contains(&name) && boolean(request, name) == Ok(Some(false));
        if let Some((name, _)) = request.query.iter().filter(|(name, _)| !off(name)).find(here) {
            return Err(Failure::not_here(&format!("the parameter {name}")));
        }
        let segments = request.segments();
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let json = |value: Value| Ok(Response::json(200, &value));
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["storage", "v1", "b"]) => json(self.list_buckets(request)?),
            ("POST", ["storage", "v1", "b"]) => json(self.create_bucket(request, context)?),
            ("GET", ["storage", "v1", "b", name]) => json(self.bucket(name)?.render(name)),
            ("GET", ["storage", "v1", "b", name, "storageLayout"]) => json(self.bucket(name)?.layout(name)),
            // There are none, and gcloud asks for them before it deletes a bucket with all that is in it.
            ("GET", ["storage", "v1", "b", name, "managedFolders"]) => {
                self.bucket(name)?;
                json(json!({ "kind": "storage#managedFolders" }))
            }
            ("PATCH", ["storage", "v1", "b", name]) => {
                let bucket = self.bucket_mut(name)?;
                bucket.patch(request, context.now)?;
                json(bucket.render(name))
            }
            ("DELETE", ["storage", "v1", "b", name]) => self.delete_bucket(name),
            ("GET", ["storage", "v1", "b", name, "o"]) => {
                json(list::page(name, self.bucket(name)?, request)?)
            }
            ("POST", ["upload", "storage", "v1", "b", name, "o"]) => {
                let upload = upload::read(request)?;
                let bucket = self.bucket_mut(name)?;
                json(bucket.insert(name, upload, request, context.now)?)
            }
            ("GET", ["storage", "v1", "b", name, "o", object]) => {
                let found = self.bucket(name)?.object(name, object, request)?;
                if is_media(request) {
                    Ok(found.media())
                } else {
                    json(found.render(name, object, &origin(request)))
                }
            }
            ("GET", ["download", "storage", "v1", "b", name, "o", object]) => {
                Ok(self.bucket(name)?.object(name, object, request)?.media())
            }
            ("DELETE", ["storage", "v1", "b", name, "o", object]) => {
                let bucket = self.bucket_mut(name)?;
                bucket.object(name, object, request)?;
                bucket.delete(object, request, context.now);
                Ok(Response { status: 204, headers: Vec::new(), body: Vec::new() })
            }
            ("PUT" | "PATCH" | "POST", ["storage" | "upload" | "resumable", ..]) => {
                Err(Failure::not_here("this method"))
            }
            _ => Err(Failure::new(404, "notFound", "Not Found")),
        }
    }

    fn bucket(&self, name: &str) -> Result<&Bucket, Failure> {
        self.buckets.get(name).ok_or_else(no_bucket)
    }

    fn bucket_mut(&mut self, name: &str) -> Result<&mut Bucket, Failure> {
        self.buckets.get_mut(name).ok_or_else(no_bucket)
    }

    fn list_buckets(&self, request: &Request) -> Result<Value, Failure> {
        let project = project(request)?;
        let prefix = request.query("prefix").unwrap_or_default();
        let own =
            self.buckets.iter().filter(|(name, own)| own.project == project && name.starts_with(prefix));
        let items: Vec<Value> = own.map(|(name, bucket)| bucket.render(name)).collect();
        Ok(if items.is_empty() {
            json!({ "kind": "storage#buckets" })
        } else {
            json!({ "kind": "storage#buckets", "items": items })
        })
    }

    fn create_bucket(&mut self, request: &Request, context: &Context<'_>) -> Result<Value, Failure> {
        let project = project(request)?.to_owned();
        let mut given = upload::fields(&request.body)?;
        let Some(Value::String(name)) = given.remove("name") else {
            return Err(Failure::new(400, "required", "Required parameter: bucket.name"));
        };
        if let Some(field) = given.keys().find(|field| !BUCKET_FIELDS.contains(&field.as_str())) {
            return Err(Failure::not_here(&format!("the bucket's field {field}")));
        }
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if !(3..=222).contains(&name.len()) || !name.chars().all(allowed) {
            return Err(Failure::new(400, "invalid", format!("Invalid bucket name: '{name}'")));
        }
        if self.buckets.contains_key(&name) {
            let why = "Your previous request to create the named bucket succeeded and you already own it.";
            return Err(Failure::new(409, "conflict", why));
        }
        let mut bucket = Bucket {
            project,
            created: context.now,
            given,
            objects: Table::default(),
            noncurrent: BTreeMap::new(),
            updated: None,
            changes: 0,
        };
        bucket.tidy();
        let value = bucket.render(&name);
        self.buckets.insert(name, bucket);
        Ok(value)
    }

    fn delete_bucket(&mut self, name: &str) -> Result<Response, Failure> {
        let bucket = self.bucket(name)?;
        if !bucket.objects.is_empty() || !bucket.noncurrent.is_empty() {
            return Err(Failure::new(409, "conflict", "The bucket you tried to delete is not empty."));
        }
        self.buckets.remove(name);
        Ok(Response { status: 204, headers: Vec::new(), body: Vec::new() })
    }
}

impl Bucket {
    fn insert(
        &mut self,
        bucket: &str,
        upload: upload::Upload,
        request: &Request,
        now: Time,
    ) -> Result<Value, Failure> {
        let there = self.objects.get(&upload.name);
        condition(request, there.map_or(0, |object| object.generation))?;
        // The microsecond of its creation, and never one that was there before.
        let generation = there.map_or(0, |object| object.generation + 1).max(now * 1000);
        let object = Object::new(upload.fields, upload.media, generation, now)?;
        let value = object.render(bucket, &upload.name, &origin(request));
        let before = self.objects.insert(upload.name.clone(), object);
        self.keep(&upload.name, before, now);
        Ok(value)
    }

    /// Deletes a version that is there: the current one, or the one that the request names.
    fn delete(&mut self, name: &str, request: &Request, now: Time) {
        let asked = request.query("generation").and_then(|asked| asked.parse::<u64>().ok());
        let current = self.objects.get(name).map(|object| object.generation);
        match asked {
            None => {
                let before = self.objects.remove(name);
                self.keep(name, before, now);
            }
            // A version that is named goes for good.
            Some(asked) if current == Some(asked) => drop(self.objects.remove(name)),
            Some(asked) => {
                if let Some(versions) = self.noncurrent.get_mut(name) {
                    versions.remove(&asked);
                }
                self.noncurrent.retain(|_, versions| !versions.is_empty());
            }
        }
    }

    /// Keeps what was current, where the bucket keeps versions.
    fn keep(&mut self, name: &str, before: Option<Object>, now: Time) {
        if let Some(mut object) = before.filter(|_| self.keeps_versions()) {
            object.deleted = Some(now);
            let mut versions = self.noncurrent.remove(name).unwrap_or_default();
            versions.insert(object.generation, object);
            self.noncurrent.insert(name.to_owned(), versions);
        }
    }

    /// Every version of an object, the oldest first; the current one alone unless all are asked for.
    fn versions(&self, all: bool) -> Vec<(&String, &Object)> {
        let mut found: Vec<(&String, &Object)> = self.objects.iter().collect();
        if all {
            let kept = self.noncurrent.iter();
            found.extend(kept.flat_map(|(name, own)| own.values().map(move |object| (name, object))));
            found.sort_by(|one, other| (one.0, one.1.generation).cmp(&(other.0, other.1.generation)));
        }
        found
    }

    /// An object, if it is of the generation that is asked for and fits the request's condition.
    fn object(&self, bucket: &str, name: &str, request: &Request) -> Result<&Object, Failure> {
        let missing = || Failure::new(404, "notFound", format!("No such object: {bucket}/{name}"));
        let asked = request.query("generation");
        let of = |object: &&Object| asked.is_none_or(|asked| asked == object.generation.to_string());
        let kept = || self.noncurrent.get(name)?.values().find(of).filter(|_| asked.is_some());
        let object = self.objects.get(name).filter(of).or_else(kept).ok_or_else(missing)?;
        condition(request, object.generation)?;
        Ok(object)
    }

    fn render(&self, name: &str) -> Value {
        let created = timestamp(self.created);
        let location = self.given.get("location").and_then(Value::as_str).unwrap_or("US").to_uppercase();
        let many = matches!(location.as_str(), "US" | "EU" | "ASIA");
        let mut value = json!({
            "kind": "storage#bucket",
            "id": name,
            "name": name,
            "selfLink": format!("{HOST}/b/{name}"),
            "projectNumber": project_number(&self.project).to_string(),
            "generation": (self.created * 1000).to_string(),
            "metageneration": (1 + self.changes).to_string(),
            "iamConfiguration": {
                "bucketPolicyOnly": { "enabled": false },
                "publicAccessPrevention": "inherited",
                "uniformBucketLevelAccess": { "enabled": false },
            },
            "locationType": if many { "multi-region" } else { "region" },
            "storageClass": "STANDARD",
            "softDeletePolicy": { "retentionDurationSeconds": "604800", "effectiveTime": created },
            "etag": base64(&(self.created + self.changes).to_be_bytes()),
            "timeCreated": created,
            "updated": timestamp(self.updated.unwrap_or(self.created)),
        });
        for (field, given) in &self.given {
            match (&mut value[field], given) {
                (Value::Object(fields), Value::Object(given)) if field != "labels" => {
                    fields.extend(given.clone());
                }
                (value, given) => *value = given.clone(),
            }
        }
        // The older name of uniform access.
        let uniform = value["iamConfiguration"]["uniformBucketLevelAccess"].clone();
        value["iamConfiguration"]["bucketPolicyOnly"] = uniform;
        if let Value::Object(policy) = &mut value["softDeletePolicy"]
            && policy.get("retentionDurationSeconds").is_some_and(|seconds| seconds == "0")
        {
            policy.remove("effectiveTime");
        }
        if many {
            value["rpo"] = json!("DEFAULT");
        }
        value["location"] = json!(location);
        value
    }

    /// What gcloud asks before it lists: where the bucket is, and that its namespace is flat.
    fn layout(&self, name: &str) -> Value {
        let bucket = self.render(name);
        json!({
            "kind": "storage#storageLayout", "bucket": name, "location": bucket["location"],
            "locationType": bucket["locationType"],
        })
    }
}

/// `ifGenerationMatch`: the generation that has to be there, 0 for none.
fn condition(request: &Request, there: u64) -> Result<(), Failure> {
    let Some(wanted) = request.query("ifGenerationMatch") else { return Ok(()) };
    let wanted: u64 = wanted.parse().map_err(|_| {
        Failure::new(
            400,
            "invalidParameter",
            format!("Invalid value for parameter ifGenerationMatch: {wanted}"),
        )
    })?;
    if wanted == there {
        return Ok(());
    }
    let why = "At least one of the pre-conditions you specified did not hold.";
    Err(Failure::new(412, "conditionNotMet", why).at("If-Match"))
}

fn project(request: &Request) -> Result<&str, Failure> {
    request.query("project").ok_or_else(|| Failure::new(400, "required", "Required parameter: project"))
}

fn no_bucket() -> Failure {
    Failure::new(404, "notFound", "The specified bucket does not exist.")
}

/// Where the request came to, which is where an object's bytes can be had as well.
fn origin(request: &Request) -> String {
    match request.header("host") {
        Some(host) => format!("http://{host}"),
        None => "https://storage.googleapis.com".to_owned(),
    }
}

/// Whether an object's bytes are asked for, and not what there is to say of it.
fn is_media(request: &Request) -> bool {
    request.query("alt") == Some("media") || request.path.starts_with("/download/")
}
