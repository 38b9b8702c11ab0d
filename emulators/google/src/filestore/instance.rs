//! One instance: what it is made of, how it changes, how it is answered.

use super::tier::Tier;
use crate::api::Time;
use crate::container::places::Place;
use crate::ids::Ids;
use crate::rest::{Code, Failure, Version, timestamp};
use crate::schema::Api;
use crate::views::Export;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::net::Ipv4Addr;

/// Fields an update can name.
const MUTABLE: &[&str] = &[
    "deletionProtectionEnabled",
    "deletionProtectionReason",
    "description",
    "fileShares",
    "labels",
    "performanceConfig",
];

/// First address of the ranges given to instances that ask for none: above every region's slice of the `default` network.
const FIRST_RANGE: Ipv4Addr = Ipv4Addr::new(10, 240, 0, 0);

/// An instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Instance {
    spec: Map<String, Value>,
    created: Time,
    etag: String,
    ready: bool,
    deleting: bool,
    /// The operation in flight.
    busy: Option<String>,
}

impl Instance {
    pub(super) fn new(spec: Map<String, Value>, created: Time, ids: &mut Ids) -> Self {
        Self { spec, created, etag: ids.hex(16), ready: false, deleting: false, busy: None }
    }

    pub(super) const fn is_busy(&self) -> bool {
        self.busy.is_some()
    }

    pub(super) fn is_protected(&self) -> bool {
        self.spec.get("deletionProtectionEnabled").is_some_and(|enabled| enabled == true)
    }

    /// An operation starts.
    pub(super) fn begin(&mut self, operation: &str, deleting: bool) {
        self.busy = Some(operation.to_owned());
        self.deleting = deleting;
    }

    /// The operation is done; an update brings its spec.
    pub(super) fn end(&mut self, spec: Map<String, Value>, ids: &mut Ids) {
        self.busy = None;
        self.ready = true;
        self.etag = ids.hex(16);
        if !spec.is_empty() {
            self.spec = spec;
        }
    }

    /// Everything the API knows of it.
    pub(super) fn document(&self, name: &str) -> Value {
        let state = match (self.deleting, self.ready) {
            (true, _) => "DELETING",
            (false, true) => "READY",
            (false, false) => "CREATING",
        };
        let mut out = self.spec.clone();
        let capacity = self.share().and_then(|share| share.get("capacityGb")).cloned().unwrap_or_default();
        for (field, value) in [
            ("capacityGb", capacity),
            ("createTime", json!(timestamp(self.created))),
            ("etag", json!(self.etag)),
            ("name", json!(name)),
            ("state", json!(state)),
        ] {
            out.insert(field.to_owned(), value);
        }
        if !self.ready
            && let Some(network) = out.get_mut("networks").and_then(|networks| networks.get_mut(0))
            && let Some(network) = network.as_object_mut()
        {
            network.remove("ipAddresses");
        }
        Value::Object(out)
    }

    /// The instance as a version of the API gives it.
    pub(super) fn render(&self, name: &str, version: Version, numbers: bool) -> Value {
        Api::Filestore.answer(version, "Instance", numbers, self.document(name))
    }

    /// The spec after an update.
    ///
    /// # Errors
    /// 400 for a mask that is empty or names what cannot change, and for values the tier does not allow; 409 `ABORTED` for
    /// a stale etag.
    pub(super) fn updated(
        &self,
        given: &Map<String, Value>,
        mask: &str,
    ) -> Result<Map<String, Value>, Failure> {
        match given.get("etag").and_then(Value::as_str) {
            Some(etag) if etag != self.etag => {
                return Err(Failure::new(
                    Code::Aborted,
                    format!("etag '{etag}' does not match '{}'", self.etag),
                ));
            }
            _ => {}
        }
        let fields: Vec<&str> = mask.split(',').map(str::trim).filter(|field| !field.is_empty()).collect();
        if fields.is_empty() {
            return Err(Failure::invalid("update_mask must be specified and name at least one field."));
        }
        let mut spec = self.spec.clone();
        for field in fields {
            let name = MUTABLE.iter().find(|name| same_name(name, field)).ok_or_else(|| {
                Failure::invalid(format!(
                    "Invalid value for field 'update_mask': '{field}' cannot be updated."
                ))
            })?;
            match given.get(*name) {
                Some(value) => spec.insert((*name).to_owned(), value.clone()),
                None => spec.remove(*name),
            };
        }
        let tier = Tier::find(text(&self.spec, "tier"))?;
        let present = self.share().and_then(|share| share.get("name"));
        shares(&mut spec, tier, self.capacity())?;
        if spec.get("fileShares").and_then(|shares| shares.pointer("/0/name")) != present {
            return Err(Failure::invalid(
                "Invalid value for field 'instance.file_shares[0].name': it cannot be changed.",
            ));
        }
        Ok(compacted(spec))
    }

    fn share(&self) -> Option<&Value> {
        self.spec.get("fileShares")?.get(0)
    }

    fn capacity(&self) -> Option<i64> {
        self.share()?.get("capacityGb")?.as_str()?.parse().ok()
    }

    fn network(&self) -> Option<&Value> {
        self.spec.get("networks")?.get(0)
    }

    /// The address range, if it has one.
    pub(super) fn range(&self) -> Option<Range> {
        Range::parse(self.network()?.get("reservedIpRange")?.as_str()?)
    }

    /// What it exports, once it is there. Its full name says the project that a network without one is in.
    pub(super) fn export(&self, name: &str) -> Option<Export> {
        let project = name.split('/').nth(1).unwrap_or_default();
        let network = match self.network()?.get("network").and_then(Value::as_str).unwrap_or("default") {
            path if path.starts_with("projects/") => path.to_owned(),
            short => format!("projects/{project}/global/networks/{short}"),
        };
        let address = self.network()?.pointer("/ipAddresses/0")?.as_str()?;
        let share = self.share()?.get("name")?.as_str()?;
        let up = self.ready && !self.deleting;
        Some(Export { network, names: vec![address.to_owned()], path: format!("/{share}"), up })
    }
}

/// A new instance's spec from what the client gave.
///
/// # Errors
/// 400 for what the tier does not allow, or a range that is not free among those taken.
pub(super) fn new_spec(
    given: Map<String, Value>,
    location: &str,
    taken: &[Option<Range>],
) -> Result<Map<String, Value>, Failure> {
    let mut spec = given;
    for field in ["capacityGb", "createTime", "etag", "name", "state", "statusMessage", "suspensionReasons"] {
        spec.remove(field);
    }
    if Place::find(location).is_none() {
        return Err(Failure::invalid("A location must be given, not \"-\"."));
    }
    let tier = Tier::find(text(&spec, "tier"))?;
    tier.check_location(location)?;
    shares(&mut spec, tier, None)?;
    network(&mut spec, tier, taken)?;
    spec.entry("protocol").or_insert_with(|| json!("NFS_V3"));
    Ok(compacted(spec))
}

fn compacted(spec: Map<String, Value>) -> Map<String, Value> {
    let mut whole = Value::Object(spec);
    Api::Filestore.drop_defaults("Instance", &mut whole);
    if let Value::Object(spec) = whole { spec } else { Map::new() }
}

/// Checks and completes the one share.
fn shares(spec: &mut Map<String, Value>, tier: &Tier, present: Option<i64>) -> Result<(), Failure> {
    let Some([share]) = spec.get_mut("fileShares").and_then(Value::as_array_mut).map(Vec::as_mut_slice)
    else {
        return Err(Failure::invalid(
            "Invalid value for field 'instance.file_shares': exactly one must be specified.",
        ));
    };
    let name = share.get("name").and_then(Value::as_str).unwrap_or_default();
    let inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    let good = (1..=63).contains(&name.len())
        && name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.chars().all(inner);
    // Basic tiers have ranges of 29 bits and share names of at most 16 characters.
    if !good || (tier.range_bits == 29 && name.len() > 16) {
        return Err(Failure::invalid(format!(
            "Invalid value for field 'instance.file_shares[0].name': \"{name}\" must begin with a lowercase letter and \
             have up to 16 lowercase letters, digits or underscores."
        )));
    }
    let capacity =
        share.get("capacityGb").and_then(Value::as_str).and_then(|text| text.parse().ok()).unwrap_or(0);
    tier.check_capacity(capacity, present)?;
    for option in share.get_mut("nfsExportOptions").and_then(Value::as_array_mut).into_iter().flatten() {
        let Value::Object(option) = option else { continue };
        let defaults = [
            ("accessMode", json!("READ_WRITE")),
            ("securityFlavors", json!(["AUTH_SYS"])),
            ("squashMode", json!("NO_ROOT_SQUASH")),
        ];
        for (field, value) in defaults {
            option.entry(field).or_insert(value);
        }
    }
    Ok(())
}

/// Checks and completes the one network: short name, range, address.
fn network(spec: &mut Map<String, Value>, tier: &Tier, taken: &[Option<Range>]) -> Result<(), Failure> {
    let Some([network]) = spec.get_mut("networks").and_then(Value::as_array_mut).map(Vec::as_mut_slice)
    else {
        return Err(Failure::invalid(
            "Invalid value for field 'instance.networks': exactly one must be specified.",
        ));
    };
    let short = network.get("network").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    let short = short.filter(|name| !name.is_empty()).map(str::to_owned).ok_or_else(|| {
        Failure::invalid("Invalid value for field 'instance.networks[0].network': it must be specified.")
    })?;
    let overlaps = |range: &Range| taken.iter().flatten().any(|other| other.overlaps(range));
    let range = match network.get("reservedIpRange").and_then(Value::as_str).filter(|text| !text.is_empty()) {
        Some(text) => Range::parse(text).filter(|range| range.bits <= tier.range_bits && !overlaps(range)).ok_or_else(|| {
            Failure::invalid(format!(
                "Invalid value for field 'instance.networks[0].reserved_ip_range': \"{text}\" must be a free /{} block of \
                 internal addresses.",
                tier.range_bits
            ))
        })?,
        None => Range::after(FIRST_RANGE, tier.range_bits).find(|range| !overlaps(range)).ok_or_else(|| {
            Failure::invalid("There is no free address range for the instance.")
        })?,
    };
    let Value::Object(network) = network else {
        return Err(Failure::invalid("A network must be an object."));
    };
    network.insert("network".to_owned(), json!(short));
    network.insert("reservedIpRange".to_owned(), json!(range.to_string()));
    network.insert("ipAddresses".to_owned(), json!([range.address().to_string()]));
    network.entry("modes").or_insert_with(|| json!(["MODE_IPV4"]));
    network.entry("connectMode").or_insert_with(|| json!("DIRECT_PEERING"));
    Ok(())
}

/// A block of IPv4 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    base: u32,
    bits: u32,
}

impl Range {
    /// Reads `10.0.0.0/29`; `None` for anything else, host bits included.
    fn parse(text: &str) -> Option<Self> {
        let (base, bits) = text.split_once('/')?;
        let base = u32::from(base.parse::<Ipv4Addr>().ok()?);
        let range = Self { base, bits: bits.parse().ok().filter(|bits| (8..=29).contains(bits))? };
        (base % range.size() == 0).then_some(range)
    }

    const fn size(self) -> u32 {
        1 << (32 - self.bits)
    }

    const fn overlaps(self, other: &Self) -> bool {
        self.base < other.base.saturating_add(other.size())
            && other.base < self.base.saturating_add(self.size())
    }

    /// The address of the instance: the third of the block.
    fn address(self) -> Ipv4Addr {
        Ipv4Addr::from(self.base + 2)
    }

    /// Blocks of a size from an address on.
    fn after(first: Ipv4Addr, bits: u32) -> impl Iterator<Item = Self> {
        let size = Self { base: 0, bits }.size();
        (0..4096u32).map(move |nth| Self { base: u32::from(first) + nth * size, bits })
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", Ipv4Addr::from(self.base), self.bits)
    }
}

fn text<'a>(spec: &'a Map<String, Value>, field: &str) -> &'a str {
    spec.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a mask path (`fileShares`, `file_shares`) names a field.
fn same_name(name: &str, path: &str) -> bool {
    path.replace('_', "").eq_ignore_ascii_case(name)
}

/// # Errors
/// 400 when an instance cannot have this name.
pub(super) fn check_name(name: &str) -> Result<(), Failure> {
    let inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let good = (1..=63).contains(&name.len())
        && name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.chars().all(inner)
        && !name.ends_with('-');
    if good {
        return Ok(());
    }
    Err(Failure::invalid(format!(
        "Invalid value for field 'instance_id': \"{name}\" must match the regex '[a-z]([-a-z0-9]{{0,61}}[a-z0-9])?'."
    )))
}
