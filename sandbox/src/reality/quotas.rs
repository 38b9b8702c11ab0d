//! What a project may have in a region, and how many clusters in a zone.
//!
//! Compute Engine takes the request, and its operation fails with `QUOTA_EXCEEDED`, `Quota 'SSD_TOTAL_GB' exceeded.  Limit:
//! 2000.0 in region europe-west1.` (openshift/installer#5936, GoogleCloudPlatform/ai-on-gke#849). GKE refuses with 403:
//! terraform-google-modules/terraform-google-kubernetes-engine#1795 for one quota, googlecodelabs/feedback#950 for several,
//! kyma-project/test-infra#772 for the number of clusters.

use super::key::Key;
use super::words::{change_body, project_of};
use super::{Reality, Undo};
use crate::api::{Context, Endpoints, Request, Response, Service};
use crate::google::compute::usage::{Metric, Usages};
use crate::google::container::Container;
use crate::google::container::places::Place;
use crate::google::rest::{Code, Failure};
use crate::world::World;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Something that there would be too much of.
struct Excess {
    metric: Metric,
    region: String,
    limit: u64,
    before: u64,
    after: u64,
}

/// The refusal, if what a request has just brought about is over a quota; the request is undone then.
pub(super) fn over(
    world: &mut World,
    before: &Usages,
    undo: Undo,
    request: &Request,
    response: &Response,
) -> Option<Response> {
    let project = project_of(request);
    let excesses = excesses(&world.reality, &project, before, &world.usages());
    if excesses.is_empty() {
        return None;
    }
    match undo {
        Undo::Container(container) => {
            world.google.container = *container;
            Some(Failure::new(Code::PermissionDenied, gke_words(&project, &excesses)).with_errors())
        }
        Undo::Compute(compute) => {
            world.google.compute = *compute;
            let done: Value = serde_json::from_slice(&response.body).ok()?;
            let errors: Vec<(&str, String)> = excesses
                .iter()
                .map(|Excess { metric, region, limit, .. }| {
                    let (name, limit) = (metric.name(), number(*limit));
                    (
                        "QUOTA_EXCEEDED",
                        format!("Quota '{name}' exceeded.  Limit: {limit} in region {region}."),
                    )
                })
                .collect();
            let endpoints = Endpoints::default();
            let mut context =
                Context { now: world.now, arrived: world.now, ids: &mut world.ids, endpoints: &endpoints };
            world.google.compute.fail(request, &done, &errors, &mut context)
        }
    }
}

fn excesses(reality: &Reality, project: &str, before: &Usages, after: &Usages) -> Vec<Excess> {
    let mut found = Vec::new();
    for (_, region, usage) in after.iter().filter(|(own, _, _)| *own == project) {
        for metric in Metric::ALL {
            let Some(limit) = reality.limit(Key::Quota(metric)) else { continue };
            let (before, after) = (before.of(project, region).of(metric), usage.of(metric));
            if after > limit && after > before {
                found.push(Excess { metric, region: region.to_owned(), limit, before, after });
            }
        }
    }
    found
}

fn gke_words(project: &str, excesses: &[Excess]) -> String {
    let one = |excess: &Excess, first: &str| {
        let Excess { metric, limit, before, after, .. } = excess;
        format!(
            "{first}nsufficient regional quota to satisfy request: resource \"{}\": request requires '{}' and is short \
             '{}'. project has a quota of '{}' with '{}' available. View and manage quotas at \
             https://console.cloud.google.com/iam-admin/quotas?usage=USED&project={project}.",
            metric.name(),
            number(after - before),
            number(after - limit),
            number(*limit),
            number(limit.saturating_sub(*before)),
        )
    };
    match excesses {
        [excess] => one(excess, "I"),
        several => {
            let mut text = String::new();
            for (at, excess) in several.iter().enumerate() {
                // Writing to a text cannot fail.
                let _ = write!(text, "\n\t({}) {}", at + 1, one(excess, "i"));
            }
            text
        }
    }
}

/// As Google writes an amount: `300.0`.
fn number(amount: u64) -> String {
    format!("{amount}.0")
}

/// Shows limits and usage where a region is read.
pub(super) fn show(world: &World, request: &Request, response: &mut Response) {
    let segments = request.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let limits: Vec<(Metric, u64)> = Metric::ALL
        .into_iter()
        .filter_map(|metric| Some((metric, world.reality.limit(Key::Quota(metric))?)))
        .collect();
    if limits.is_empty() || request.service != Service::Compute || request.method != "GET" {
        return;
    }
    let (["compute", _, "projects", project, "regions"] | ["compute", _, "projects", project, "regions", _]) =
        parts.as_slice()
    else {
        return;
    };
    let usages = world.usages();
    let give = |region: &mut Value| {
        let name = region.get("name").and_then(Value::as_str).unwrap_or_default();
        let usage = usages.of(project, name);
        let quotas: Vec<Value> = limits
            .iter()
            .map(|(metric, limit)| json!({ "metric": metric.name(), "limit": limit, "usage": usage.of(*metric) }))
            .collect();
        if region.get("quotas").is_some() {
            region["quotas"] = json!(quotas);
        }
    };
    change_body(response, |body| match body.get_mut("items").and_then(Value::as_array_mut) {
        Some(regions) => regions.iter_mut().for_each(give),
        None => give(body),
    });
}

/// Refuses one zonal cluster too many.
pub(super) fn refuse_cluster(
    reality: &Reality,
    container: &Container,
    request: &Request,
) -> Option<Response> {
    let limit = reality.limit(Key::ZonalClusters)?;
    let segments = request.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (Service::Container, "POST", [_, "projects", project, "locations" | "zones", zone, "clusters"]) =
        (&request.service, request.method.as_str(), parts.as_slice())
    else {
        return None;
    };
    let zonal = matches!(Place::find(zone), Some(Place::Zone(_)));
    (zonal && container.zonal_clusters(project, zone) >= limit).then(|| {
        let text =
            format!("Your project already has the maximum number of clusters: ({limit}) in location {zone}.");
        Failure::new(Code::PermissionDenied, text).with_errors()
    })
}
