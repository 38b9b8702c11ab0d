//! Static addresses, and which addresses are free.

use super::failure::Failure;
use super::operations::{Begin, Effect, set, takes};
use super::route::{Route, link, relative};
use super::{Change, Compute, Document, catalog, newborn, schema, set_labels, unsupported};
use crate::api::Context;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

impl Compute {
    pub(super) fn change_addresses(
        &mut self,
        change: Change<'_>,
        context: &mut Context<'_>,
    ) -> Result<Value, Failure> {
        let Change { request, route, body } = change;
        let path = route.path();
        match (request.method.as_str(), route.name.is_some(), route.verb.as_deref()) {
            ("POST", false, None) if !route.region().is_empty() => {
                let body = schema::check("Address", body)?;
                let path = self.vacant(route, &body)?;
                let address = self.new_address(route, &path, body, context)?;
                self.resources.insert(path.clone(), address);
                let begin =
                    Begin { kind: "insert", target: &path, takes: takes::ADDRESS, effect: Effect::Ready };
                Ok(self.begin(route, &begin, context))
            }
            ("DELETE", true, None) => {
                let address = self.get(&path)?;
                if let Some(user) = super::disks::users(address).first() {
                    return Err(Failure::in_use("address", &path, relative(user).unwrap_or(user)));
                }
                if self.being_removed(&path) {
                    return Err(Failure::not_ready(&path));
                }
                let begin =
                    Begin { kind: "delete", target: &path, takes: takes::ADDRESS, effect: Effect::Removed };
                Ok(self.begin(route, &begin, context))
            }
            ("POST", true, Some("setLabels")) => {
                let mut body = schema::check("RegionSetLabelsRequest", body)?;
                set_labels(self.get_mut(&path)?, &mut body)?;
                let begin = Begin {
                    kind: "setLabels",
                    target: &path,
                    takes: takes::AT_ONCE,
                    effect: Effect::Nothing,
                };
                Ok(self.begin(route, &begin, context))
            }
            _ => Err(unsupported(request)),
        }
    }

    /// Labels are not taken at the insert: Compute Engine ignores them there, `setLabels` gives them.
    fn new_address(
        &self,
        route: &Route,
        path: &str,
        mut body: Document,
        context: &mut Context<'_>,
    ) -> Result<Document, Failure> {
        body.remove("labels");
        let internal = body.get("addressType").and_then(Value::as_str) == Some("INTERNAL");
        let wanted = body.get("address").and_then(Value::as_str).map(str::to_owned);
        let ip = match wanted {
            Some(text) if !text.is_empty() => {
                self.claim(&route.project, route.region(), &text, internal, "resource.address")?
            }
            _ if internal => self.free_internal(&route.project, route.region()),
            _ => self.free_external(),
        };
        let mut address = newborn("address", path, body, context);
        super::give_labels(&mut address, None);
        let region = format!("projects/{}/regions/{}", route.project, route.region());
        set(
            &mut address,
            [
                ("address", ip.to_string().into()),
                ("addressType", if internal { "INTERNAL" } else { "EXTERNAL" }.into()),
                ("networkTier", "PREMIUM".into()),
                ("region", link(&region).into()),
                ("status", "RESERVING".into()),
            ],
        );
        address.entry("description").or_insert_with(|| "".into());
        if internal {
            address.entry("purpose").or_insert_with(|| "GCE_ENDPOINT".into());
            address.remove("network");
            check_subnetwork(address.get("subnetwork"), &region)?;
            set(&mut address, [("subnetwork", link(&format!("{region}/subnetworks/default")).into())]);
        }
        Ok(address)
    }

    /// An address that a request names, if it is one of the region's and nobody has it.
    pub(super) fn claim(
        &self,
        project: &str,
        region: &str,
        text: &str,
        internal: bool,
        field: &str,
    ) -> Result<Ipv4Addr, Failure> {
        let ip: Ipv4Addr =
            text.parse().map_err(|_| Failure::invalid(field, text, "Must be a valid IPV4 address."))?;
        let [first, second, third, fourth] = ip.octets();
        let range = catalog::octet(region);
        if internal && !(first == 10 && second == range && third < 16 && (third, fourth) > (0, 1)) {
            let why = format!("The IP address is not in the subnetwork's range 10.{range}.0.0/20.");
            return Err(Failure::invalid(field, text, &why));
        }
        if self.taken(project).contains(&ip) {
            return Err(Failure {
                code: 400,
                reason: "resourceInUseByAnotherResource",
                message: format!("IP '{ip}' is already being used by another resource."),
            });
        }
        Ok(ip)
    }

    /// The lowest free address of a region's subnetwork. The first two belong to the network.
    pub(super) fn free_internal(&self, project: &str, region: &str) -> Ipv4Addr {
        let (octet, taken) = (catalog::octet(region), self.taken(project));
        let all =
            (0..16).flat_map(|third| (0..=255).map(move |fourth| Ipv4Addr::new(10, octet, third, fourth)));
        all.skip(2).find(|ip| !taken.contains(ip)).unwrap_or(Ipv4Addr::new(10, octet, 15, 254))
    }

    /// The lowest free external address, from a range reserved for documentation (RFC 5737).
    pub(super) fn free_external(&self) -> Ipv4Addr {
        let taken = self.taken_anywhere();
        let all = (2..=254).map(|last| Ipv4Addr::new(203, 0, 113, last));
        all.clone().find(|ip| !taken.contains(ip)).unwrap_or(Ipv4Addr::new(203, 0, 113, 254))
    }

    fn taken(&self, project: &str) -> BTreeSet<Ipv4Addr> {
        let project = format!("projects/{project}/");
        self.resources
            .iter()
            .filter(|(path, _)| path.starts_with(&project))
            .flat_map(|(_, document)| ips(document))
            .collect()
    }

    fn taken_anywhere(&self) -> BTreeSet<Ipv4Addr> {
        self.resources.values().flat_map(ips).collect()
    }

    /// The static address that a reserved IP belongs to, by its relative path.
    pub(super) fn reservation(&self, project: &str, ip: &str) -> Option<String> {
        let project = format!("projects/{project}/");
        self.resources
            .iter()
            .find(|(path, document)| {
                path.starts_with(&project)
                    && path.contains("/addresses/")
                    && document.get("address").and_then(Value::as_str) == Some(ip)
            })
            .map(|(path, _)| path.clone())
    }

    /// Marks a static address as used by an instance, or by nobody.
    pub(super) fn occupy(&mut self, project: &str, ip: &str, instance: Option<&str>) {
        let Some(path) = self.reservation(project, ip) else { return };
        let Some(address) = self.resources.get_mut(&path) else { return };
        match instance {
            Some(instance) => set(address, [("status", "IN_USE".into()), ("users", json!([link(instance)]))]),
            None => {
                address.remove("users");
                set(address, [("status", "RESERVED".into())]);
            }
        }
    }
}

/// A subnetwork that is named is the region's default one.
pub(super) fn check_subnetwork(given: Option<&Value>, region: &str) -> Result<(), Failure> {
    let Some(given) = given.and_then(Value::as_str).filter(|given| !given.is_empty()) else { return Ok(()) };
    let path = super::operations::resolve(given, region, "subnetworks");
    if path == format!("{region}/subnetworks/default") { Ok(()) } else { Err(Failure::not_found(&path)) }
}

/// Addresses that a resource holds.
fn ips(document: &Document) -> Vec<Ipv4Addr> {
    let nics = document.get("networkInterfaces").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let configs = nics.iter().filter_map(|nic| nic.get("accessConfigs")?.as_array()).flatten();
    let texts = document
        .get("address")
        .into_iter()
        .chain(nics.iter().filter_map(|nic| nic.get("networkIP")))
        .chain(configs.filter_map(|config| config.get("natIP")));
    texts.filter_map(|text| text.as_str()?.parse().ok()).collect()
}
