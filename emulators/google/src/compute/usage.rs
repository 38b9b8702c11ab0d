//! What stands in a project, as the regional quotas of Compute Engine count it.

use super::route::last;
use super::shape::nat_ip_of;
use super::{Compute, Document, catalog};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Quotas of a region that are acted out, as the API names them (`Quota.metric`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// GB of `pd-balanced`, `pd-ssd` and `pd-extreme` disks.
    SsdTotalGb,
    /// GB of `pd-standard` disks.
    DisksTotalGb,
    /// Virtual CPUs of machines that run, of the families that share this quota: E2, N1 and the older ones.
    Cpus,
    /// External addresses in use.
    InUseAddresses,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::SsdTotalGb, Self::DisksTotalGb, Self::Cpus, Self::InUseAddresses];

    /// `SSD_TOTAL_GB`
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SsdTotalGb => "SSD_TOTAL_GB",
            Self::DisksTotalGb => "DISKS_TOTAL_GB",
            Self::Cpus => "CPUS",
            Self::InUseAddresses => "IN_USE_ADDRESSES",
        }
    }
}

/// How much of each quota is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    ssd: u64,
    disks: u64,
    cpus: u64,
    addresses: u64,
}

impl Usage {
    /// What a number of like machines uses, each with a boot disk of a type and a size in GB.
    #[must_use]
    pub fn of_machines(number: u64, machine_type: &str, disk: (&str, u64), external: bool) -> Self {
        let mut usage = Self { cpus: number * shared_cpus(machine_type), ..Self::default() };
        usage.add_disk(disk.0, number * disk.1);
        usage.addresses = if external { number } else { 0 };
        usage
    }

    /// How much of a quota.
    #[must_use]
    pub const fn of(&self, metric: Metric) -> u64 {
        match metric {
            Metric::SsdTotalGb => self.ssd,
            Metric::DisksTotalGb => self.disks,
            Metric::Cpus => self.cpus,
            Metric::InUseAddresses => self.addresses,
        }
    }

    fn add(&mut self, other: Self) {
        self.ssd += other.ssd;
        self.disks += other.disks;
        self.cpus += other.cpus;
        self.addresses += other.addresses;
    }

    /// Hyperdisks have quotas of their own.
    fn add_disk(&mut self, kind: &str, gb: u64) {
        match kind {
            "pd-balanced" | "pd-ssd" | "pd-extreme" => self.ssd += gb,
            "pd-standard" => self.disks += gb,
            _ => {}
        }
    }
}

/// Usage by project and region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usages(BTreeMap<(String, String), Usage>);

impl Usages {
    /// Adds what somebody uses in a region.
    pub fn put(&mut self, project: &str, region: &str, usage: Usage) {
        self.0.entry((project.to_owned(), region.to_owned())).or_default().add(usage);
    }

    /// Adds all of another.
    pub fn add(&mut self, other: &Self) {
        for ((project, region), usage) in &other.0 {
            self.put(project, region, *usage);
        }
    }

    /// What is used in a region.
    #[must_use]
    pub fn of(&self, project: &str, region: &str) -> Usage {
        self.0.get(&(project.to_owned(), region.to_owned())).copied().unwrap_or_default()
    }

    /// Each project and region in which there is anything.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, Usage)> {
        self.0.iter().map(|((project, region), usage)| (project.as_str(), region.as_str(), *usage))
    }
}

impl Compute {
    /// What the machines, disks and addresses use that are not GKE's.
    #[must_use]
    pub fn usages(&self) -> Usages {
        let nodes: BTreeSet<String> = self.nodes.keys().cloned().collect();
        let mut usages = Usages::default();
        for (path, document) in &self.resources {
            let ["projects", project, "zones", zone, kind, _] = path.split('/').collect::<Vec<_>>()[..]
            else {
                continue;
            };
            let usage = match kind {
                "disks" => of_disk(document),
                "instances" if !nodes.contains(path) => of_instance(document),
                _ => continue,
            };
            usages.put(project, catalog::region_of(zone), usage);
        }
        usages
    }
}

fn of_disk(disk: &Document) -> Usage {
    let text = |field: &str| disk.get(field).and_then(Value::as_str).unwrap_or_default();
    let mut usage = Usage::default();
    usage.add_disk(last(text("type")), text("sizeGb").parse().unwrap_or(0));
    usage
}

/// A machine that is stopped has no CPUs and no ephemeral address.
fn of_instance(instance: &Document) -> Usage {
    let text = |field: &str| instance.get(field).and_then(Value::as_str).unwrap_or_default();
    if text("status") == "TERMINATED" {
        return Usage::default();
    }
    Usage {
        cpus: shared_cpus(last(text("machineType"))),
        addresses: nat_ip_of(instance).map_or(0, |_| 1),
        ..Usage::default()
    }
}

/// Virtual CPUs of a machine type that count for `CPUS`: newer families have quotas of their own (`N2_CPUS`).
fn shared_cpus(machine_type: &str) -> u64 {
    match machine_type.split('-').next() {
        Some("e2" | "n1" | "f1" | "g1" | "custom") => catalog::cpus(machine_type).unwrap_or(0),
        _ => 0,
    }
}
