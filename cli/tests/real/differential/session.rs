//! The session as data: exchanges by name, with bodies from what zkprov renders.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use zkprov_tests::{Bench, example};

/// The rendered ensemble: a namespace of its own, a Service for clients outside the cluster and backups on a schedule make every
/// template render.
const SETS: [&str; 3] = [
    "spec.exhibitor.namespace=zoo",
    "spec.exhibitor.exposure=internal",
    "spec.exhibitor.backup={schedule: \"0 0 1 1 *\", image: zkprov.invalid/zkprov}",
];
/// An ensemble with volumes beside it, of which the documents are taken that the other has not. Nobody makes its volumes, here
/// or there: its pods wait.
const VOLUMES: [&str; 3] = [
    "metadata.name=volumes",
    "spec.exhibitor.namespace=zoo",
    "spec.exhibitor.storage.persistent.class=nobody",
];

/// One request, or one command of kubectl.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    pub(crate) name: String,
    /// `METHOD PATH?QUERY`
    #[serde(default)]
    pub(crate) call: String,
    /// Arguments of kubectl, in place of a call.
    #[serde(default)]
    pub(crate) kubectl: String,
    /// `apply`, `merge`, `strategic` or `json` for the four kinds of patch.
    #[serde(default, rename = "type")]
    pub(crate) patch: String,
    /// `Accept`
    #[serde(default)]
    pub(crate) accept: String,
    /// The body; `KIND/NAME` of a rendered document with its edits; or `document` and `rendered` below `each`.
    #[serde(default)]
    pub(crate) body: Value,
    /// Operations of a JSON patch on the body.
    #[serde(default)]
    pub(crate) edit: Vec<Edit>,
    /// Parts of the answer, by JSON pointer, that later exchanges name as `${NAME}`.
    #[serde(default)]
    pub(crate) keep: BTreeMap<String, String>,
    /// Sent again until the answer has these values at these pointers; `null` for nothing.
    #[serde(default)]
    pub(crate) until: BTreeMap<String, Value>,
    /// Not compared: parts that move by themselves meanwhile.
    #[serde(default)]
    pub(crate) moving: Vec<String>,
    /// For these documents alone, below `each`; by kind.
    #[serde(default)]
    pub(crate) only: Vec<String>,
}

/// A change of a body: sets a value, or without one removes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edit {
    at: String,
    to: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stage {
    /// Once for each rendered document.
    #[serde(default)]
    each: Vec<Exchange>,
    /// The documents from the last to the first.
    #[serde(default)]
    reverse: bool,
    #[serde(default)]
    once: Vec<Exchange>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// What `document` stands for: a rendered document with these changes.
    edits: BTreeMap<String, Vec<Edit>>,
    /// When what controllers do to a document is done.
    settled: BTreeMap<String, BTreeMap<String, Value>>,
    stages: Vec<Stage>,
}

/// All exchanges in order.
pub(crate) struct Session {
    pub(crate) exchanges: Vec<Exchange>,
}

impl Session {
    /// Renders the documents, writes the files that kubectl reads, and unfolds `session.yaml`.
    pub(crate) fn read(bench: &Bench) -> Self {
        let file: File = serde_saphyr::from_str(include_str!("session.yaml")).unwrap();
        let documents = rendered(bench);
        let mut exchanges = Vec::new();
        for stage in file.stages {
            let mut order: Vec<&Value> = documents.iter().collect();
            if stage.reverse {
                order.reverse();
            }
            for document in order {
                let kind = text(document, "/kind");
                let wanted = |exchange: &&Exchange| exchange.only.is_empty() || exchange.only.contains(&kind);
                exchanges.extend(
                    stage
                        .each
                        .iter()
                        .filter(wanted)
                        .map(|each| of(each, document, &file.edits, &file.settled)),
                );
            }
            exchanges.extend(stage.once);
        }
        for exchange in &mut exchanges {
            if let Value::String(name) = exchange.body.clone() {
                let named = documents.iter().find(|document| title(document) == name);
                exchange.body = named.unwrap_or_else(|| panic!("nothing is rendered as {name}")).clone();
                for edit in file.edits.get(&name).into_iter().flatten() {
                    edit.make(&mut exchange.body);
                }
            }
            for edit in std::mem::take(&mut exchange.edit) {
                edit.make(&mut exchange.body);
            }
        }
        Self { exchanges }
    }
}

/// What zkprov renders for Kubernetes. kubectl gets it, and the tutorial's own manifest, as files.
fn rendered(bench: &Bench) -> Vec<Value> {
    let render = |name: &str, sets: &[&str], form: &str| {
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let file = example(&format!("{name}/zkprov.yaml"));
        let render = bench.bare("render --stage kubernetes -f").args([file]);
        render.args(sets).args(["--format", form]).run().exits(0)
    };
    let bodies = |name: &str, sets: &[&str]| -> Vec<Value> {
        let documents = render(name, sets, "json").json();
        documents.as_array().unwrap().iter().map(|one| one["body"].clone()).collect()
    };
    std::fs::write(bench.path("rendered.yaml"), render("tutorial", &SETS, "yaml").out).unwrap();
    std::fs::copy(example("tutorial/exhibitor.yaml"), bench.path("tutorial.yaml")).unwrap();
    let mut documents = bodies("tutorial", &SETS);
    // With the namespace goes what is in it, and a deletion by name may come too late.
    let inside = documents.iter().filter(|one| one["kind"] != "Namespace").map(Value::to_string);
    std::fs::write(bench.path("inside.yaml"), inside.collect::<Vec<String>>().join("\n---\n")).unwrap();
    let of_volumes =
        ["Service/volumes-members", "PersistentVolumeClaim/data-volumes-0", "StatefulSet/volumes"];
    let others = bodies("persistent", &VOLUMES).into_iter();
    documents.extend(others.filter(|one| of_volumes.contains(&title(one).as_str())));
    documents
}

fn text(document: &Value, pointer: &str) -> String {
    document.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn title(document: &Value) -> String {
    format!("{}/{}", text(document, "/kind"), text(document, "/metadata/name"))
}

/// An exchange below `each`, for one document.
fn of(
    each: &Exchange,
    document: &Value,
    edits: &BTreeMap<String, Vec<Edit>>,
    settled: &BTreeMap<String, BTreeMap<String, Value>>,
) -> Exchange {
    let title = title(document);
    let mut exchange = each.clone();
    exchange.name = format!("{title}: {}", each.name);
    let version = text(document, "/apiVersion");
    let root = if version.contains('/') { "apis" } else { "api" };
    let plural = match text(document, "/kind").to_lowercase() {
        kind if kind.ends_with('y') => format!("{}ies", kind.trim_end_matches('y')),
        kind => format!("{kind}s"),
    };
    let namespace = text(document, "/metadata/namespace");
    let home = if namespace.is_empty() { String::new() } else { format!("/namespaces/{namespace}") };
    let all = format!("/{root}/{version}/{plural}");
    let collection = format!("/{root}/{version}{home}/{plural}");
    let object = format!("{collection}/{}", text(document, "/metadata/name"));
    for (name, value) in [("${all}", &all), ("${collection}", &collection), ("${object}", &object)] {
        exchange.call = exchange.call.replace(name, value);
    }
    if let Value::String(name) = &exchange.body {
        let changed = name == "document";
        exchange.body = document.clone();
        for edit in edits.get(&title).into_iter().flatten().filter(|_| changed) {
            edit.make(&mut exchange.body);
        }
    }
    if exchange.until.remove("settled").is_some() {
        exchange.until.extend(settled.get(&title).cloned().unwrap_or_default());
    }
    exchange
}

impl Edit {
    fn make(&self, body: &mut Value) {
        let (parent, key) = self.at.rsplit_once('/').unwrap();
        if body.pointer(parent).is_none_or(Value::is_null) {
            Self { at: parent.to_owned(), to: Some(Value::Object(Map::new())) }.make(body);
        }
        match body.pointer_mut(parent).unwrap() {
            Value::Object(map) => match &self.to {
                Some(value) => drop(map.insert(key.replace("~1", "/"), value.clone())),
                None => drop(map.shift_remove(key).unwrap()),
            },
            Value::Array(list) => list[key.parse::<usize>().unwrap()] = self.to.clone().unwrap(),
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                panic!("{} leads into {other}", self.at)
            }
        }
    }
}
