//! GET: one resource, a collection, or a collection over all zones and regions.

use super::failure::Failure;
use super::list::{Page, page};
use super::route::{Route, Scope, last, link};
use super::{Compute, Document, catalog, unsupported};
use crate::api::Request;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Collection, and the kind of its members as `kind` fields say it.
const KINDS: &[(&str, &str)] = &[
    ("addresses", "address"),
    // There are none: no group of GKE's is scaled by one. gcloud asks for them before it lists groups.
    ("autoscalers", "autoscaler"),
    ("diskTypes", "diskType"),
    ("disks", "disk"),
    ("firewalls", "firewall"),
    ("images", "image"),
    ("instanceGroupManagers", "instanceGroupManager"),
    ("instanceGroups", "instanceGroup"),
    ("instances", "instance"),
    ("machineTypes", "machineType"),
    ("networks", "network"),
    ("operations", "operation"),
    ("regions", "region"),
    ("resourcePolicies", "resourcePolicy"),
    ("snapshots", "snapshot"),
    ("subnetworks", "subnetwork"),
    ("zones", "zone"),
];

fn kind_of(collection: &str) -> Option<&'static str> {
    KINDS.iter().find(|(name, _)| *name == collection).map(|(_, kind)| *kind)
}

impl Compute {
    pub(super) fn read(&self, request: &Request, route: &Route) -> Result<Value, Failure> {
        match (route.collection.as_str(), route.name.as_deref(), route.verb.as_deref()) {
            ("", _, _) => Ok(Value::Object(catalog::project(&route.project))),
            ("instances", Some(_), Some("serialPort")) => self.serial_port(request, route),
            ("instances", Some(_), Some("getGuestAttributes")) => self.guest_attributes(request, route),
            ("images", Some("family"), Some(family)) => {
                image(&format!("projects/{}/global/images/family/{family}", route.project))
            }
            ("imageFamilyViews", Some(_), None) => {
                image(&route.path()).map(|image| json!({ "image": image }))
            }
            (_, Some(_), None) => self.one(route).map(Value::Object),
            (collection, None, None) => {
                let kind = kind_of(collection).ok_or_else(|| unsupported(request))?;
                match route.scope {
                    Scope::Aggregated => self.aggregated(request, route, kind),
                    Scope::Project | Scope::Global | Scope::Region(_) | Scope::Zone(_) => {
                        self.list(request, route, kind)
                    }
                }
            }
            _ => Err(unsupported(request)),
        }
    }

    /// One resource.
    fn one(&self, route: &Route) -> Result<Document, Failure> {
        let (path, name) = (route.path(), route.name.as_deref().unwrap_or_default());
        let missing = || Failure::not_found(&path);
        match (route.collection.as_str(), &route.scope) {
            ("operations", _) => {
                self.operations.get(&path).map(|operation| operation.document.clone()).ok_or_else(missing)
            }
            ("images", Scope::Global) => {
                catalog::image(&path).map(catalog::Image::document).ok_or_else(missing)
            }
            ("zones" | "regions" | "networks" | "subnetworks" | "machineTypes" | "diskTypes", _)
            | ("instanceGroupManagers" | "instanceGroups", Scope::Zone(_)) => self
                .members(route)
                .into_iter()
                .find(|document| document.get("name").and_then(Value::as_str) == Some(name))
                .map(Cow::into_owned)
                .ok_or_else(missing),
            _ => self.get(&path).cloned(),
        }
    }

    /// What stands in a collection, in the order of its names.
    fn members(&self, route: &Route) -> Vec<Cow<'_, Document>> {
        let project = route.project.as_str();
        let made = match (route.collection.as_str(), &route.scope) {
            ("zones", Scope::Project) => {
                let mut zones: Vec<String> = catalog::zones().collect();
                zones.sort();
                zones.iter().filter_map(|zone| catalog::zone(project, zone)).collect()
            }
            ("regions", Scope::Project) => {
                catalog::regions().filter_map(|region| catalog::region(project, region)).collect()
            }
            ("networks", Scope::Global) => vec![catalog::network(project)],
            ("subnetworks", Scope::Region(region)) => vec![catalog::subnetwork(project, region)],
            ("machineTypes", Scope::Zone(zone)) => catalog::machine_types(project, zone),
            ("diskTypes", Scope::Zone(zone)) => catalog::disk_types(project, zone),
            ("images", Scope::Global) => catalog::images(project).map(catalog::Image::document).collect(),
            ("instanceGroupManagers", Scope::Zone(zone)) => self.group_managers(project, zone),
            ("instanceGroups", Scope::Zone(zone)) => self.groups(project, zone),
            // What is kept is lent: a filter leaves most of it out.
            ("operations", _) => {
                let operations = under(&self.operations, &route.sibling(""));
                return operations.map(|(_, operation)| Cow::Borrowed(&operation.document)).collect();
            }
            _ => {
                let resources = under(&self.resources, &route.sibling(""));
                return resources.map(|(_, document)| Cow::Borrowed(document)).collect();
            }
        };
        made.into_iter().map(Cow::Owned).collect()
    }

    fn list(&self, request: &Request, route: &Route, kind: &str) -> Result<Value, Failure> {
        let Page { items, next } = page(self.members(route), request)?;
        let id = format!("{}/{}", route.parent(), route.collection);
        let mut answer = json!({ "kind": format!("compute#{kind}List"), "id": id, "selfLink": link(&id) });
        if let Value::Object(fields) = &mut answer {
            if !items.is_empty() {
                fields.insert("items".into(), items.into());
            }
            if let Some(next) = next {
                fields.insert("nextPageToken".into(), next.into());
            }
        }
        Ok(answer)
    }

    /// A collection over all zones and regions. Only scopes that have members are listed.
    fn aggregated(&self, request: &Request, route: &Route, kind: &str) -> Result<Value, Failure> {
        let scopes = self.scopes(route).into_iter();
        let all = scopes.flat_map(|scope| self.members(&Route { scope, ..route.clone() })).collect();
        let Page { items, next } = page(all, request)?;
        let mut scopes: BTreeMap<String, Vec<Document>> = BTreeMap::new();
        for item in items {
            let place = ["zone", "region"].iter().find_map(|field| {
                let place = last(item.get(*field)?.as_str()?);
                Some(format!("{field}s/{place}"))
            });
            scopes.entry(place.unwrap_or_else(|| "global".to_owned())).or_default().push(item);
        }
        let items: Map<String, Value> = scopes
            .into_iter()
            .map(|(scope, items)| (scope, json!({ route.collection.clone(): items })))
            .collect();
        let id = format!("projects/{}/aggregated/{}", route.project, route.collection);
        let mut answer = json!({
            "kind": format!("compute#{kind}AggregatedList"), "id": id, "selfLink": link(&id), "items": items,
        });
        if let (Value::Object(fields), Some(next)) = (&mut answer, next) {
            fields.insert("nextPageToken".into(), next.into());
        }
        Ok(answer)
    }

    /// Where the members of a collection can stand.
    fn scopes(&self, route: &Route) -> Vec<Scope> {
        let zones = || catalog::zones().map(Scope::Zone);
        let regions = || catalog::regions().map(|region| Scope::Region(region.to_owned()));
        match route.collection.as_str() {
            "addresses" | "operations" => zones().chain(regions()).chain([Scope::Global]).collect(),
            "subnetworks" | "resourcePolicies" => regions().collect(),
            _ => zones().collect(),
        }
    }
}

fn image(path: &str) -> Result<Value, Failure> {
    catalog::image(path).map(|image| Value::Object(image.document())).ok_or_else(|| Failure::not_found(path))
}

/// The entries whose key begins with the prefix.
fn under<'a, T>(
    map: &'a BTreeMap<String, T>,
    prefix: &str,
) -> impl Iterator<Item = (&'a String, &'a T)> + use<'a, T> {
    let prefix = prefix.to_owned();
    map.range(prefix.clone()..).take_while(move |(path, _)| path.starts_with(&prefix))
}
