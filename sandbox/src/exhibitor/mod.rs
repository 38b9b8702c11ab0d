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
//! Environment of the container that matters: `ZK_ENSEMBLE_SIZE` (as [`MemberStart::ensemble_size`]), `ZK_DATA_DIR`,
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
mod data;
mod health;
mod member;
mod quorum;
mod rest;
mod rolling;
mod servers;
mod shared;
mod supervise;
mod timing;
mod tree;
mod zookeeper;

pub use data::{Changed, Znode};
pub use health::{Health, Worst};
pub use member::State;
pub use servers::{Server, Servers};
pub use zookeeper::acl::Acl;
pub use zookeeper::files::Ended;
pub use zookeeper::{Connected, Received};

use crate::api::{Answer, Context, Request, Time};
use crate::ids::Ids;
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
    /// What members are known by, by the address of their pod, where that is not the address itself.
    #[serde(default)]
    names: BTreeMap<String, String>,
    /// Data on volumes that no member has mounted now, by volume.
    #[serde(default)]
    volumes: BTreeMap<String, Data>,
}

/// One shared directory and the members that mount it. The directory outlives its members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Share {
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

    /// Whether another instance's requests to this one are answered.
    fn reaches(&self, member: &Member) -> bool {
        member.answers() && !self.black_holes.contains(&member.address)
    }
}

/// What a pod tells its Exhibitor at the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStart {
    /// `SERVER:PATH` of the share that holds the configuration.
    pub share: String,
    /// Pod address.
    pub address: String,
    /// Exhibitor's `HOSTNAME`: what other members reach it by.
    pub hostname: String,
    /// The volume that its data is on; `None` for the container's own disk.
    pub volume: Option<String>,
    /// `ZK_ENSEMBLE_SIZE` of the container, 0 when not set.
    pub ensemble_size: u32,
    /// Other environment variables of the container that matter to the image.
    pub env: BTreeMap<String, String>,
}

impl Shares {
    /// A container with Exhibitor starts. A container that was at this address or had this name before is gone.
    pub fn start(&mut self, member: MemberStart, now: Time, ids: &mut Ids) {
        self.stop(&member.address, now);
        self.stop(&member.hostname, now);
        let data = member.volume.as_ref().and_then(|volume| self.volumes.remove(volume));
        if member.hostname != member.address {
            self.names.insert(member.address.clone(), member.hostname.clone());
        }
        let share = self.shares.entry(member.share.clone()).or_default();
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
        self.names.retain(|_, name| *name != host);
        let Some(share) = self.share_of_mut(&host) else { return };
        share.advance(now);
        let gone = share.members.remove(&host);
        share.changes.retain(|change| change.address != host);
        share.settle(now);
        if let Some((volume, mut data)) = gone.and_then(|member| Some((member.volume?, member.data))) {
            data.forget_known();
            self.volumes.insert(volume, data);
        }
    }

    /// What a store has to write of the members' data since this was last called, by share and member, and of the data on
    /// volumes that no member has mounted, by volume. Entries that changed place count as changed where they are now; those of
    /// a member or a volume that is gone have to be removed with it.
    pub fn take_changed(&mut self) -> (BTreeMap<(String, String), Changed>, BTreeMap<String, Changed>) {
        let of_share = |(name, share): (&String, &mut Share)| {
            let name = name.clone();
            let of_member = move |(host, member): (&String, &mut Member)| {
                ((name.clone(), host.clone()), member.data.take_changed())
            };
            share.members.iter_mut().map(of_member).collect::<Vec<_>>()
        };
        let members = self.shares.iter_mut().flat_map(of_share).collect();
        let of_volume = |(volume, data): (&String, &mut Data)| (volume.clone(), data.take_changed());
        (members, self.volumes.iter_mut().map(of_volume).collect())
    }

    /// What a member is known by, of its pod's address or of its name.
    fn host<'a>(&'a self, address: &'a str) -> &'a str {
        self.names.get(address).map_or(address, String::as_str)
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
