//! What GKE keeps in Compute Engine: the VMs of nodes, and their instance group managers.

use super::failure::Failure;
use super::list::{Page, page};
use super::operations::{fields_of, set, timestamp};
use super::route::{Route, link, stable_id};
use super::{Compute, Document, catalog, fingerprint, give_labels};
use crate::api::{Request, Time};
use crate::ids::Ids;
use crate::views::Node;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

impl Compute {
    /// Makes the node VMs and instance group managers of GKE stand here, and no others of their kind.
    pub fn sync_nodes(&mut self, nodes: &[Node], now: Time, ids: &mut Ids) {
        let wanted: BTreeMap<String, &Node> = nodes.iter().map(|node| (path_of(node), node)).collect();
        let gone: Vec<String> =
            self.nodes.keys().filter(|path| !wanted.contains_key(*path)).cloned().collect();
        for path in &gone {
            self.nodes.remove(path);
            self.resources.remove(path);
        }
        for (path, node) in wanted {
            // Also when somebody deleted the VM: the group makes it again.
            if !self.resources.contains_key(&path) {
                self.resources.insert(path.clone(), vm(node, now, ids));
            }
            if self.nodes.get(&path) != Some(node) {
                self.nodes.insert(path, node.clone());
            }
        }
    }

    /// Nodes of the zone by their group.
    fn by_group(&self, project: &str, zone: &str) -> BTreeMap<&str, Vec<&Node>> {
        let mut groups: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
        for node in self.nodes.values().filter(|node| node.project == project && node.zone == zone) {
            groups.entry(node.group.as_str()).or_default().push(node);
        }
        groups
    }

    pub(super) fn group_managers(&self, project: &str, zone: &str) -> Vec<Document> {
        let groups = self.by_group(project, zone);
        groups.into_iter().map(|(name, nodes)| manager(project, zone, name, nodes.len())).collect()
    }

    pub(super) fn groups(&self, project: &str, zone: &str) -> Vec<Document> {
        let parent = format!("projects/{project}/zones/{zone}");
        let document = |(name, nodes): (&str, Vec<&Node>)| {
            let path = format!("{parent}/instanceGroups/{name}");
            let mut group = named("instanceGroup", &path, name);
            set(
                &mut group,
                [
                    ("fingerprint", fingerprint(&Value::from(name)).into()),
                    ("network", link(&format!("projects/{project}/global/networks/default")).into()),
                    ("size", nodes.len().into()),
                    ("zone", link(&parent).into()),
                ],
            );
            group
        };
        self.by_group(project, zone).into_iter().map(document).collect()
    }
}

impl Compute {
    /// `listManagedInstances` of a manager, or `listInstances` of a group: POST, although they change nothing.
    pub(super) fn list_group(&self, request: &Request, route: &Route) -> Result<Value, Failure> {
        let (group, zone) = (route.name.as_deref().unwrap_or_default(), route.zone());
        let groups = self.by_group(&route.project, zone);
        let nodes = groups.get(group).ok_or_else(|| Failure::not_found(&route.path()))?;
        let managed = route.collection == "instanceGroupManagers";
        let item = |node: &&Node| {
            let path = path_of(node);
            let vm = self.resources.get(&path);
            let field = |name: &str| vm.and_then(|vm| vm.get(name)).cloned().unwrap_or_default();
            fields_of(if managed {
                json!({
                    "currentAction": "NONE", "id": field("id"), "instance": link(&path),
                    "instanceStatus": field("status"), "name": node.name,
                    "version": { "instanceTemplate": link(&template_of(&route.project, zone, group)) },
                })
            } else {
                json!({ "instance": link(&path), "status": field("status") })
            })
        };
        let Page { items, next } = page(nodes.iter().map(|node| Cow::Owned(item(node))).collect(), request)?;
        let path = route.path();
        let mut answer = if managed {
            json!({ "managedInstances": items })
        } else {
            json!({
                "kind": "compute#instanceGroupsListInstances", "id": path, "items": items,
                "selfLink": link(&format!("{path}/listInstances")),
            })
        };
        if let (Value::Object(fields), Some(next)) = (&mut answer, next) {
            fields.insert("nextPageToken".to_owned(), next.into());
        }
        Ok(answer)
    }
}

/// The instance template that a manager of GKE makes its VMs from.
fn template_of(project: &str, zone: &str, manager: &str) -> String {
    let base = manager.strip_suffix("-grp").unwrap_or(manager);
    format!("projects/{project}/regions/{}/instanceTemplates/{base}", catalog::region_of(zone))
}

pub(super) fn path_of(node: &Node) -> String {
    format!("projects/{}/zones/{}/instances/{}", node.project, node.zone, node.name)
}

fn named(kind: &str, path: &str, name: &str) -> Document {
    let mut document = Map::new();
    set(
        &mut document,
        [
            ("kind", format!("compute#{kind}").into()),
            ("id", stable_id(path).into()),
            ("name", name.into()),
            ("selfLink", link(path).into()),
        ],
    );
    document
}

fn manager(project: &str, zone: &str, name: &str, size: usize) -> Document {
    const ACTIONS: &[&str] = &[
        "abandoning",
        "creating",
        "creatingWithoutRetries",
        "deleting",
        "recreating",
        "refreshing",
        "restarting",
        "resuming",
        "starting",
        "stopping",
        "suspending",
        "verifying",
    ];
    let parent = format!("projects/{project}/zones/{zone}");
    let base = name.strip_suffix("-grp").unwrap_or(name);
    let template = template_of(project, zone, name);
    let mut actions: Map<String, Value> =
        ACTIONS.iter().map(|action| ((*action).to_owned(), 0.into())).collect();
    actions.insert("none".into(), size.into());
    let one = json!({ "calculated": 1, "fixed": 1 });
    let mut manager = named("instanceGroupManager", &format!("{parent}/instanceGroupManagers/{name}"), name);
    set(
        &mut manager,
        [
            ("baseInstanceName", base.into()),
            ("creationTimestamp", "2024-04-01T12:34:56.123-07:00".into()),
            ("currentActions", actions.into()),
            ("fingerprint", fingerprint(&json!([name, size])).into()),
            ("instanceGroup", link(&format!("{parent}/instanceGroups/{name}")).into()),
            (
                "instanceLifecyclePolicy",
                json!({
                    "defaultActionOnFailure": "REPAIR", "forceUpdateOnRepair": "YES",
                    "onFailedHealthCheck": "DEFAULT_ACTION",
                }),
            ),
            ("instanceTemplate", link(&template).into()),
            ("listManagedInstancesResults", "PAGINATED".into()),
            ("satisfiesPzi", true.into()),
            ("satisfiesPzs", true.into()),
            (
                "serviceAccount",
                format!("{}@cloudservices.gserviceaccount.com", catalog::project_number(project)).into(),
            ),
            ("standbyPolicy", json!({ "mode": "MANUAL" })),
            (
                "status",
                json!({
                    "allInstancesConfig": { "effective": true }, "isStable": true,
                    "stateful": {
                        "hasStatefulConfig": false, "isStateful": false, "perInstanceConfigs": { "allEffective": true },
                    },
                    "versionTarget": { "isReached": true },
                }),
            ),
            ("targetSize", size.into()),
            ("targetSizePolicy", json!({ "mode": "INDIVIDUAL" })),
            ("targetStoppedSize", 0.into()),
            ("targetSuspendedSize", 0.into()),
            (
                "updatePolicy",
                json!({
                    "maxSurge": one, "maxUnavailable": one, "minReadySec": 0, "minimalAction": "REPLACE",
                    "replacementMethod": "SUBSTITUTE", "type": "OPPORTUNISTIC",
                }),
            ),
            (
                "versions",
                json!([{ "instanceTemplate": link(&template), "targetSize": { "calculated": size } }]),
            ),
            ("zone", link(&parent).into()),
        ],
    );
    manager
}

/// A node's VM, as far as somebody looks at it.
fn vm(node: &Node, now: Time, ids: &mut Ids) -> Document {
    let parent = format!("projects/{}/zones/{}", node.project, node.zone);
    let region = format!("projects/{}/regions/{}", node.project, catalog::region_of(&node.zone));
    let network = link(&format!("projects/{}/global/networks/default", node.project));
    let mut vm = named("instance", &path_of(node), &node.name);
    let labels = (!node.labels.is_empty()).then(|| json!(node.labels));
    give_labels(&mut vm, labels);
    let tags = (!node.tags.is_empty()).then(|| json!(node.tags));
    set(
        &mut vm,
        [
            ("id", ids.numeric().into()),
            ("canIpForward", true.into()),
            ("cpuPlatform", "Intel Broadwell".into()),
            ("creationTimestamp", timestamp(now).into()),
            ("lastStartTimestamp", timestamp(now).into()),
            ("deletionProtection", false.into()),
            ("machineType", link(&format!("{parent}/machineTypes/{}", node.machine_type)).into()),
            (
                "networkInterfaces",
                json!([{
                    "kind": "compute#networkInterface", "name": "nic0", "network": network, "networkIP": node.ip,
                    "stackType": "IPV4_ONLY", "subnetwork": link(&format!("{region}/subnetworks/default")),
                    "fingerprint": fingerprint(&Value::from(node.ip.as_str())),
                }]),
            ),
            ("scheduling", super::shape::scheduling(Value::Null)),
            ("startRestricted", false.into()),
            ("status", "RUNNING".into()),
            ("tags", super::shape::tags_of(tags)),
            ("zone", link(&parent).into()),
        ],
    );
    super::shape::set_fingerprint(&mut vm);
    vm
}
