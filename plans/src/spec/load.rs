//! From texts to valid specs, or to everything that is wrong with them.

use super::complete::{self, Context};
use super::overrides::{self, Override};
use super::source::{Findings, Place, Source};
use super::substitute::substitute;
use super::tree::{self, Node, Value};
use super::walk;
use super::{Cluster, Defaults, FileServer, ValidSpec, file};
use crate::diagnostic::{Diagnostic, Severity};
use std::collections::BTreeMap;

/// The longest text that is read, in bytes.
const MAX_TEXT: usize = 16 << 20;

/// What [`load`] made of its sources.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// The valid documents, in the order of the sources. Empty as soon as anything is wrong anywhere.
    pub specs: Vec<ValidSpec>,
    /// Everything found, errors and warnings, in the order of the sources and their lines.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// Whether anything is wrong; warnings alone are not.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Reads every document of every source, lays the overrides (`path=value` or `NAME:path=value`) over them, and checks
/// them one by one and against each other.
///
/// `lookup` finds the environment variables that the files name as `${env:NAME}`. All problems are reported, not only
/// the first.
#[must_use]
pub fn load(
    sources: &[Source],
    overrides: &[String],
    lookup: &dyn Fn(&str) -> Option<String>,
    defaults: &Defaults,
) -> Loaded {
    let settings = overrides.iter().map(|text| Source { name: format!("--set {text}"), text: text.clone() });
    let mut findings = Findings::new(sources.iter().cloned().chain(settings).collect());
    let mut documents = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        documents.extend(parse(index, source, &mut findings));
    }
    for document in &mut documents {
        substitute(document, lookup, &mut findings);
    }
    for (index, text) in overrides.iter().enumerate() {
        let parsed = overrides::parse(sources.len(), sources.len() + index, text, &mut findings);
        if let Some(parsed) = parsed {
            Override::apply(&parsed, &mut documents, &mut findings);
        }
    }
    if documents.is_empty() && findings.errors() == 0 {
        findings.error(
            None,
            "no-ensemble",
            "there is no ensemble in the input".to_owned(),
            "A file holds one or more documents of `kind: Ensemble`.",
            "write a starter file: `zkprov init`".to_owned(),
        );
    }
    let schema = file::schema();
    let mut specs = Vec::new();
    for document in &documents {
        specs.extend(read(document, &schema, defaults, &mut findings));
    }
    check_together(&specs, &mut findings);
    let specs =
        if findings.errors() == 0 { specs.into_iter().map(|read| read.spec).collect() } else { Vec::new() };
    Loaded { specs, diagnostics: findings.into_diagnostics() }
}

/// The documents of one source that hold anything.
fn parse(index: usize, source: &Source, findings: &mut Findings) -> Vec<Node> {
    if source.text.len() > MAX_TEXT {
        findings.error(
            None,
            "too-large",
            format!("`{}` has more than {} MiB", source.name, MAX_TEXT >> 20),
            "A thousand ensembles need a twentieth of that.",
            "name the right file, or split it".to_owned(),
        );
        return Vec::new();
    }
    let mut documents = tree::parse(index, &source.text, findings);
    documents.retain(|document| !document.is_null());
    documents
}

/// A spec and where it begins.
struct Read {
    spec: ValidSpec,
    name: Option<Place>,
    cluster: Option<Place>,
    file_server: Option<Place>,
}

/// Reads one document; `None` when it is no ensemble at all.
fn read(
    document: &Node,
    schema: &serde_json::Value,
    defaults: &Defaults,
    findings: &mut Findings,
) -> Option<Read> {
    let foreign = document.get("kind").and_then(Node::scalar_text).is_some_and(|kind| kind != file::KIND);
    let (value, places) = if foreign {
        // What else the document says follows other rules: only its kind is reported.
        walk::check(&kind_alone(document), &kind_schema(schema), findings)
    } else {
        walk::check(document, schema, findings)
    };
    if foreign {
        return None;
    }
    let raw = match serde_json::from_value::<file::Document>(value?) {
        Ok(raw) => raw,
        Err(error) => {
            let reason = "The schema and the types of the file disagree: this is a bug in zkprov.";
            let fix = "report it with this file".to_owned();
            findings.error(Some(document.span.into()), "internal", error.to_string(), reason, fix);
            return None;
        }
    };
    // A document without a spec has nothing more to find.
    raw.spec.as_ref()?;
    let mut context = Context { findings, places: &places };
    let mut spec = complete::complete(raw, defaults, &mut context);
    spec.origins = places
        .origins()
        .map(|(path, span)| (path.to_owned(), findings.location(span)))
        .collect::<BTreeMap<_, _>>();
    Some(Read {
        name: places.of("metadata.name"),
        cluster: places.of("spec.cluster.name"),
        file_server: places.of("spec.fileServer"),
        spec,
    })
}

fn kind_alone(document: &Node) -> Node {
    let mut document = document.clone();
    if let Value::Map(entries) = &mut document.value {
        entries.retain(|entry| entry.key == "kind");
    }
    document
}

fn kind_schema(schema: &serde_json::Value) -> serde_json::Value {
    let kind = schema.pointer("/properties/kind").cloned().unwrap_or_default();
    serde_json::json!({ "type": "object", "properties": { "kind": kind } })
}

/// What two documents may not share: a name, a cluster of ours, a file server of ours.
fn check_together(specs: &[Read], findings: &mut Findings) {
    let mut owners: BTreeMap<(&str, String), &Read> = BTreeMap::new();
    for read in specs {
        for (what, identity, place) in claims(read) {
            let Some(first) = owners.insert((what, identity.clone()), read) else { continue };
            owners.insert((what, identity), first);
            let (code, message, fix) = match what {
                "ensemble" => (
                    "duplicate-ensemble",
                    format!("a second ensemble is named `{}`", read.spec.name),
                    "give it another `metadata.name`".to_owned(),
                ),
                "cluster" => (
                    "shared-cluster",
                    format!(
                        "`{}` and `{}` both own cluster `{}`",
                        first.spec.name,
                        read.spec.name,
                        read.spec.cluster.name()
                    ),
                    "add `existing: true` to the second one's cluster, or name another".to_owned(),
                ),
                _ => (
                    "shared-file-server",
                    format!("`{}` and `{}` both own the same file server", first.spec.name, read.spec.name),
                    "give the second one another name".to_owned(),
                ),
            };
            let reason = match claims(first)
                .into_iter()
                .find(|(other, _, _)| *other == what)
                .and_then(|claim| claim.2)
            {
                Some(place) => {
                    let location = findings.location(place.span);
                    format!("The first is at {location}: each would undo what the other applies.")
                }
                None => "Each would undo what the other applies.".to_owned(),
            };
            findings.error(place, code, message, &reason, fix);
        }
    }
}

/// What a document claims for itself: the kind of thing, its identity, and where the file says so.
fn claims(read: &Read) -> Vec<(&'static str, String, Option<Place>)> {
    let spec = &read.spec;
    let home = match &spec.cluster {
        Cluster::Kubeconfig { context } => format!("kubeconfig {context}"),
        Cluster::Managed(_) | Cluster::Existing { .. } => spec.project.clone(),
    };
    let mut claims = vec![("ensemble", format!("{home} {}", spec.name), read.name)];
    let here = format!("{} {}", spec.project, spec.zone);
    match &spec.cluster {
        Cluster::Managed(cluster) => {
            claims.push(("cluster", format!("{here} {}", cluster.name), read.cluster))
        }
        Cluster::Existing { .. } | Cluster::Kubeconfig { .. } => {}
    }
    match &spec.file_server {
        FileServer::SingleNode(vm) => claims.push(("vm", format!("{here} {}", vm.name), read.file_server)),
        FileServer::Filestore(server) => {
            claims.push(("filestore", format!("{here} {}", server.name), read.file_server));
        }
        FileServer::External(_) => {}
    }
    claims
}
