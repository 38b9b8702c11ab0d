//! Reading Compute Engine: one list call for each kind and location, all at once, for all ensembles together.

use super::super::classify::Api;
use super::super::scan::{List, Listed, readings};
use super::ComputeProvider;
use super::filter::filter;
use super::job::Kind;
use super::operations::target;
use crate::provider::{Observation, Observations, ReadRequest};
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use zkprov_plans::observed::RunningOperation;
use zkprov_plans::resource::ResourceKind;

impl ComputeProvider {
    pub(super) async fn observe_all(&self, requests: &[ReadRequest<'_>]) -> Observations {
        let wanted: Vec<BTreeSet<List>> = requests.iter().map(lists).collect();
        let lists: BTreeSet<List> = wanted.iter().flatten().cloned().collect();
        // One operations list serves all kinds of a location.
        let locations: BTreeMap<(&str, &str), Kind> = lists
            .iter()
            .filter_map(|list| Some(((list.project.as_str(), list.location.as_str()), Kind::of(list.kind)?)))
            .collect();
        let needed_by = |list: &List| -> Vec<&ReadRequest<'_>> {
            let wanted = requests.iter().zip(&wanted);
            wanted.filter(|(_, wanted)| wanted.contains(list)).map(|(request, _)| request).collect()
        };
        let resources = join_all(lists.iter().map(|list| {
            let filter = filter(list, &needed_by(list));
            async move { (list, self.list(list, filter).await) }
        }));
        let operations = join_all(locations.iter().map(|(&(project, location), &kind)| async move {
            let under_way = self.operations_under_way(kind, project, location).await;
            // Without them a busy resource is found out when it is written to; nothing is taken for absent.
            under_way
                .inspect_err(|error| tracing::warn!(%error, "operations could not be listed"))
                .unwrap_or_default()
        }));
        let (resources, operations) = futures::join!(resources, operations);
        let resources: BTreeMap<&List, Listed> = resources.into_iter().collect();
        let running: Vec<(&str, &str, RunningTarget)> = locations
            .keys()
            .zip(&operations)
            .flat_map(|(&(project, location), operations)| {
                operations.iter().filter_map(move |operation| {
                    let (collection, name) = target(operation)?;
                    let running = RunningTarget {
                        collection: collection.to_owned(),
                        target: name.to_owned(),
                        verb: operation.operation_type.clone().unwrap_or_default(),
                        name: operation.name.clone().unwrap_or_default(),
                    };
                    Some((project, location, running))
                })
            })
            .collect();
        let observe = |(request, wanted): (&ReadRequest<'_>, &BTreeSet<List>)| {
            let mut observation = Observation::default();
            for list in wanted {
                if let Some(listed) = resources.get(list) {
                    observation.resources.extend(readings(Api::Compute.title(), list, listed, request));
                }
            }
            for list in wanted {
                let here = running.iter().filter(|(project, location, _)| {
                    (*project, *location) == (list.project.as_str(), list.location.as_str())
                });
                for (_, _, running) in here {
                    let id = list.id(&running.target);
                    let same_kind =
                        Kind::of(list.kind).is_some_and(|kind| kind.collection() == running.collection);
                    if same_kind && observation.resources.contains_key(&id) {
                        observation.operations.push(RunningOperation {
                            target: id,
                            verb: running.verb.clone(),
                            name: running.name.clone(),
                        });
                    }
                }
            }
            observation
        };
        requests.iter().zip(&wanted).map(observe).collect()
    }

    async fn list(&self, list: &List, filter: Option<String>) -> Listed {
        match Kind::of(list.kind) {
            Some(Kind::Instance) => self.list_instances(list, filter).await,
            Some(Kind::Disk) => self.list_disks(list, filter).await,
            Some(Kind::Address) => self.list_addresses(list, filter).await,
            Some(Kind::Firewall) => self.list_firewalls(list, filter).await,
            Some(Kind::SnapshotSchedule) => self.list_policies(list, filter).await,
            None => Ok(Vec::new()),
        }
    }
}

struct RunningTarget {
    collection: String,
    target: String,
    verb: String,
    name: String,
}

/// What one ensemble may have in Compute Engine: every kind where its file puts it, so that what the file no longer
/// asks for is found too, and every desired document's own place.
fn lists(request: &ReadRequest<'_>) -> BTreeSet<List> {
    let spec = request.spec;
    let desired = request.desired.documents.iter().map(|document| &document.id);
    let mut lists: BTreeSet<List> =
        desired.filter(|id| Kind::of(id.kind).is_some()).filter_map(List::of).collect();
    if !spec.project.is_empty() && !spec.zone.is_empty() {
        lists.extend([
            List::new(ResourceKind::Instance, &spec.project, &spec.zone),
            List::new(ResourceKind::Disk, &spec.project, &spec.zone),
            List::new(ResourceKind::Address, &spec.project, spec.region()),
            List::new(ResourceKind::SnapshotSchedule, &spec.project, spec.region()),
            List::new(ResourceKind::Firewall, &spec.project, "global"),
        ]);
    }
    lists
}
