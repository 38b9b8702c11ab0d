//! Simulated Exhibitors with their ZooKeepers: one group for each shared configuration directory.
//!
//! Modelled on Exhibitor 1.5 as the image `mbabineau/zookeeper-exhibitor` runs it, with ZooKeeper 3.4.6. Each instance
//! follows the source: it reads the shared file in its own period, looks at its ZooKeeper in another, restarts it when
//! a restart-significant setting or the list of servers has changed or ZooKeeper is down, and every one to two minutes
//! may put itself into the list. Nothing is coordinated but by the file and its locks. So formation after one
//! `config/set` follows from the periods: the lock takes 5.1 s; the instance that was asked looks at its ZooKeeper one
//! `checkMs` later; any other first has to read the file (30 s after its start, then every 30 s), then looks one
//! `checkMs` (the new one) later; ZooKeeper needs about 3 s to start and 1 to 2 s to elect. A `config/set` that lowers
//! `checkMs` to 1 s therefore forms an ensemble at most 40 s after the ports answer, even where the file is read every
//! 30 s; one that leaves it at 30 s takes 30 s longer. Durations and where they
//! come from are in `timing`.
//!
//! Environment of the container that matters: `ZK_ENSEMBLE_SIZE` (as [`ContainerStart::ensemble_size`]), `ZK_DATA_DIR`,
//! `ZK_LOG_DIR`, `ZK_PASSWORD`; and, beyond that image, `EXHIBITOR_VERSION` (1.5.6 unless set; 1.5.5 reads numbers from
//! JSON strings only), `EXHIBITOR_KEEPS_COPY` (as our image does, a file that is missing, empty or cut is not believed, and put
//! back from a copy), `EXHIBITOR_CHECK_MS` and `EXHIBITOR_CONFIG_CHECK_MS` (30000 each unless set).
//!
//! ZooKeeper's clients speak its own protocol to a member (`zookeeper`), and its files can be read.
//!
//! Not simulated: backup files, the clean-up of snapshots and logs, searching indexed transaction logs.

mod automanage;
mod changes;
mod clock;
mod config;
mod container;
mod data;
mod health;
mod member;
mod quorum;
mod rest;
mod rolling;
mod rows;
mod servers;
mod shared;
mod supervise;
mod timing;
mod tree;
mod zookeeper;

pub use data::Znode;
pub use health::{Health, Worst};
pub use member::State;
pub use servers::{Server, Servers};
pub use zookeeper::acl::Acl;
pub use zookeeper::{Connected, Received};

pub(crate) use zkprov_emulator_common::{api, containers, ids, table};

use crate::api::{Answer, Context, Request, Time};
use crate::containers::{ContainerStart, PORT};
use crate::ids::Ids;
use crate::table::{Rows, Tables};
use changes::{Change, Outcome};
use config::SharedFile;
use data::Data;
use member::{Member, Process};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use zookeeper::Clients;

/// All shared directories, with the members that mount each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Shares {
    shares: BTreeMap<String, Share>,
}

/// One shared directory and the members that mount it. The directory outlives its members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    file: Option<SharedFile>,
    /// What our image's members keep beside the file.
    #[serde(default)]
    copy: Option<String>,
    /// Names of the lock files.
    locks: BTreeSet<String>,
    changes: Vec<Change>,
    /// How changes ended, by request, until the request picks it up.
    outcomes: BTreeMap<String, Outcome>,
    members: BTreeMap<String, Member>,
    /// What members are known by, by the address of their pod, where that is not the address itself.
    names: BTreeMap<String, String>,
    /// Data on volumes that no member has mounted now, by volume.
    volumes: BTreeMap<String, Data>,
    /// Addresses that swallow requests.
    black_holes: BTreeSet<String>,
    /// When a request that waits has to be looked at again.
    wakeups: BTreeSet<Time>,
    /// Virtual time the share has been moved on to.
    clock: Time,
    #[serde(default)]
    worst: Worst,
    /// Clients of the members' ZooKeepers.
    #[serde(default)]
    clients: Clients,
    /// Sizes the file has declared.
    sizes: Vec<(Time, usize)>,
}

impl Share {
    /// The file's modification time; 0 when there is none.
    fn version(&self) -> Time {
        self.file.as_ref().map_or(0, |file| file.modified)
    }

    /// The modification time of a file that is written now: later than the last.
    fn next_version(&self) -> Time {
        self.clock.max(self.version() + 1)
    }

    fn write_file(&mut self, text: String, modified: Time) {
        self.file = Some(SharedFile::new(text, modified));
    }

    /// Whether the requests of the instance at this address to another one are answered.
    fn reaches(&self, from: &str, member: &Member) -> bool {
        member.answers() && !self.swallows(from, &member.address)
    }

    /// Whether a host swallows the requests of the instance at this address.
    fn swallows(&self, from: &str, host: &str) -> bool {
        let member = self.members.get(host);
        self.black_holes.contains(host) || member.is_some_and(|member| !member.lets_in(from, i64::from(PORT)))
    }
}

impl Tables for Share {
    fn tables(&mut self, show: &mut dyn FnMut(&str, &mut dyn Rows)) {
        for (host, member) in &mut self.members {
            show(&format!("log/{host}"), &mut member.log);
            member.data.tables(&format!("of/{host}"), show);
        }
        for (volume, data) in &mut self.volumes {
            data.tables(&format!("on/{volume}"), show);
        }
    }

    fn clocks(&mut self) -> Vec<&mut Time> {
        let timers = self.members.values_mut().map(|member| &mut member.timers);
        let ticks = timers.flat_map(|timers| [&mut timers.config, &mut timers.check, &mut timers.auto]);
        std::iter::once(&mut self.clock).chain(ticks).collect()
    }
}

impl Shares {
    /// The shares' names.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.shares.keys()
    }

    /// One share.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Share> {
        self.shares.get_mut(key)
    }

    /// Puts a share in the place of what there was.
    pub fn insert(&mut self, key: String, share: Share) {
        self.shares.insert(key, share);
    }

    /// Takes these shares out, so that what is done to them touches no other; [`Self::give`] puts them back.
    #[must_use]
    pub fn take(&mut self, keys: &BTreeSet<String>) -> Self {
        Self { shares: keys.iter().filter_map(|key| self.shares.remove_entry(key)).collect() }
    }

    /// Adds shares.
    pub fn give(&mut self, shares: Self) {
        self.shares.extend(shares.shares);
    }

    /// A container with Exhibitor starts. A container that was at this address or had this name before is gone.
    pub fn start(&mut self, member: ContainerStart, now: Time, ids: &mut Ids) {
        self.stop(&member.address, now);
        self.stop(&member.hostname, now);
        let data = member
            .volume
            .as_ref()
            .and_then(|volume| self.shares.values_mut().find_map(|share| share.volumes.remove(volume)));
        let share = self.shares.entry(member.share.clone()).or_default();
        if member.hostname != member.address {
            share.names.insert(member.address.clone(), member.hostname.clone());
        }
        share.advance(now);
        let host = member.hostname.clone();
        let mut member = Member::new(member, now, ids.number());
        if let Some(mut data) = data {
            data.forget_known();
            member.data = data;
        }
        share.members.insert(host, member);
        share.settle(now);
    }

    /// The container of this address is gone (killed or its grace period is over); its data with it, unless that is on a
    /// volume. A lock file it holds stays.
    pub fn stop(&mut self, address: &str, now: Time) {
        let host = self.host(address).to_owned();
        let Some(share) = self.share_of_mut(&host) else { return };
        share.names.retain(|_, name| *name != host);
        share.advance(now);
        let gone = share.members.remove(&host);
        share.changes.retain(|change| change.address != host);
        share.settle(now);
        if let Some((volume, mut data)) = gone.and_then(|member| Some((member.volume?, member.data))) {
            data.forget_known();
            share.volumes.insert(volume, data);
        }
    }

    /// Which ports of the member at this address are open to others, by their addresses; anyone who is not named reaches
    /// all of them.
    pub fn wall(&mut self, address: &str, walls: BTreeMap<String, Vec<(u16, u16)>>) {
        let walls: BTreeMap<String, Vec<(u16, u16)>> =
            walls.into_iter().map(|(other, ports)| (self.host(&other).to_owned(), ports)).collect();
        if self.member(address).is_some_and(|member| member.walls != walls) {
            self.with_member(address, |member, _| member.walls = walls);
        }
    }

    /// Volumes whose names begin like this are gone, with the data on them.
    pub fn discard(&mut self, prefix: &str) {
        for share in self.shares.values_mut() {
            share.volumes.retain(|volume, _| !volume.starts_with(prefix));
        }
    }

    /// What a member is known by, of its pod's address or of its name.
    fn host<'a>(&'a self, address: &'a str) -> &'a str {
        self.shares.values().find_map(|share| share.names.get(address)).map_or(address, String::as_str)
    }

    /// Whether our exec probe succeeds in this pod: ZooKeeper answers `srvr` with leader, follower or observer
    /// (standalone only if `accept_standalone`) at this port, or else at its own.
    #[must_use]
    pub fn ready(&self, address: &str, port: Option<i64>, accept_standalone: bool) -> bool {
        let Some(member) = self.member(address).filter(|member| member.port_answers()) else { return false };
        let serves = match member.process {
            Process::Standalone => accept_standalone,
            Process::Leading | Process::Following { .. } => true,
            Process::Stopped { .. } | Process::Booting { .. } | Process::Looking { .. } => false,
        };
        serves && port.is_none_or(|port| member.zoo.client_port == port)
    }

    /// Whether Exhibitor's port answers.
    #[must_use]
    pub fn answers(&self, address: &str, now: Time) -> bool {
        self.member(address)
            .is_some_and(|member| !member.exited && (member.booted || member.answers_at <= now))
    }

    /// Whether Exhibitor has ended by itself (`ui/shutdown`), and the container with it.
    #[must_use]
    pub fn exited(&self, address: &str) -> bool {
        self.member(address).is_some_and(|member| member.exited)
    }

    /// A request to the Exhibitor at this address; its `path` begins with `/exhibitor/v1/…` or is `/`.
    /// `None` when nothing listens there.
    pub fn handle(&mut self, address: &str, request: &Request, context: &mut Context<'_>) -> Option<Answer> {
        let host = self.host(address).to_owned();
        let share = self.share_of_mut(&host)?;
        share.advance(context.now);
        share.members.get(&host).filter(|member| member.answers())?;
        let answer = share.respond(&host, request, context);
        share.settle(context.now);
        Some(answer)
    }

    /// When something happens next by itself.
    #[must_use]
    pub fn next_event(&self) -> Option<Time> {
        self.shares.values().filter_map(Share::next_event).min()
    }

    /// The same of one share.
    #[must_use]
    pub fn next_event_of(&self, key: &str) -> Option<Time> {
        self.shares.get(key)?.next_event()
    }

    /// Carries out what is due.
    pub fn advance(&mut self, now: Time, _ids: &mut Ids) {
        for share in self.shares.values_mut() {
            share.advance(now);
        }
    }

    fn share_of(&self, address: &str) -> Option<&Share> {
        self.shares.values().find(|share| share.members.contains_key(address))
    }

    fn share_of_mut(&mut self, address: &str) -> Option<&mut Share> {
        self.shares.values_mut().find(|share| share.members.contains_key(address))
    }

    fn member(&self, address: &str) -> Option<&Member> {
        let host = self.host(address);
        self.share_of(host)?.members.get(host)
    }
}
