//! From the document as written to a [`ValidSpec`]: fills in the defaults, and checks what one key alone cannot show.
//!
//! The functions here always give a value back: where a check fails they report it and go on with the default, so that
//! every problem is found in one run. A spec made while anything was reported as an error is thrown away by the caller.

mod backup;
mod cluster;
mod exhibitor;
mod file_server;
mod storage;

use super::file;
use super::formats::{self, Problem};
use super::source::Findings;
use super::walk::Places;
use super::{Cluster, Defaults, Protection, ValidSpec};
use std::collections::BTreeMap;

/// The most labels that fit beside those zkprov adds; Google Cloud takes 64.
const MAX_LABELS: usize = 56;

/// Where findings about one document go.
pub(super) struct Context<'a> {
    pub findings: &'a mut Findings,
    pub places: &'a Places,
}

impl Context<'_> {
    fn error(&mut self, path: &str, code: &str, message: String, reason: &str, fix: String) {
        self.findings.error(self.places.of(path), code, message, reason, fix);
    }

    fn warning(&mut self, path: &str, code: &str, message: String, reason: &str, fix: String) {
        self.findings.warning(self.places.of(path), code, message, reason, fix);
    }
}

/// Completes one document.
pub(super) fn complete(
    document: file::Document,
    defaults: &Defaults,
    context: &mut Context<'_>,
) -> ValidSpec {
    let metadata = document.metadata.unwrap_or_default();
    let name = metadata.name.unwrap_or_else(|| super::DEFAULT_NAME.to_owned());
    let spec = document.spec.unwrap_or_default();
    let exhibitor = exhibitor::complete(spec.exhibitor.unwrap_or_default(), context);
    let cluster = cluster::complete(spec.cluster.unwrap_or_default(), exhibitor.replicas, context);
    let outside_google = matches!(cluster, Cluster::Kubeconfig { .. });
    let project = project(spec.project, defaults, outside_google, context);
    let zone = zone(spec.zone, outside_google, context);
    let place = file_server::Surroundings { ensemble: &name, zone: &zone, cluster: &cluster };
    let file_server = file_server::complete(spec.file_server, &place, context);
    check_labels(&metadata.labels, &cluster, context);
    backup::check_name(exhibitor.backup.as_ref(), &name, context);
    if let Cluster::Managed(managed) = &cluster {
        exhibitor::check_nodes(&exhibitor, managed, context);
    }
    let protection = spec.protection.unwrap_or_default();
    ValidSpec {
        name,
        labels: metadata.labels,
        project,
        zone,
        file_server,
        cluster,
        exhibitor,
        protection: Protection {
            destroy: protection.destroy.unwrap_or(false),
            data: protection.data.unwrap_or(false),
        },
        origins: BTreeMap::new(),
    }
}

fn project(given: Option<String>, defaults: &Defaults, optional: bool, context: &mut Context<'_>) -> String {
    if let Some(project) = given {
        return project;
    }
    if context.places.has("spec.project") {
        return String::new();
    }
    if let Some(project) = &defaults.project {
        if let Err(Problem { code, message, reason, fix }) = formats::check("project", project) {
            let message = format!("{message} (from --project or GOOGLE_CLOUD_PROJECT)");
            context.findings.error(None, code, message, &reason, fix);
        }
        return project.clone();
    }
    if !optional {
        context.error(
            "spec.project",
            "missing-project",
            "no project is named".to_owned(),
            "Every resource belongs to a Google Cloud project; the current gcloud configuration is not read.",
            "add `project: PROJECT_ID` below `spec`, pass `--project`, or set GOOGLE_CLOUD_PROJECT"
                .to_owned(),
        );
    }
    String::new()
}

fn zone(given: Option<String>, optional: bool, context: &mut Context<'_>) -> String {
    if given.is_none() && !optional && !context.places.has("spec.zone") {
        context.error(
            "spec.zone",
            "missing-zone",
            "no zone is named".to_owned(),
            "File server and cluster stand in one zone.",
            "add `zone: us-east1-d`, or another zone, below `spec`".to_owned(),
        );
    }
    given.unwrap_or_default()
}

fn check_labels(labels: &BTreeMap<String, String>, cluster: &Cluster, context: &mut Context<'_>) {
    let own = match cluster {
        Cluster::Managed(managed) => managed.labels.len(),
        Cluster::Existing { .. } | Cluster::Kubeconfig { .. } => 0,
    };
    let count = labels.len() + own;
    if count > MAX_LABELS {
        context.error(
            "metadata.labels",
            "too-many-labels",
            format!("{count} labels are too many"),
            &format!("A Google Cloud resource carries 64, and zkprov adds its own: {MAX_LABELS} are left."),
            format!("remove {} of them", count - MAX_LABELS),
        );
    }
}

/// Reads a quantity that the walk has already accepted; a value that it refused has become `None`.
fn quantity<T>(given: Option<String>, read: fn(&str) -> Result<T, Problem>, default: T) -> T {
    given.and_then(|text| read(&text).ok()).unwrap_or(default)
}

/// The value, or a copy of the default.
fn or(given: Option<String>, default: &str) -> String {
    given.unwrap_or_else(|| default.to_owned())
}
