//! What tests ask of an ensemble, and the faults they bring about.

use super::data::{Data, Znode};
use super::member::{Member, Process};
use super::servers::Servers;
use super::{Share, Shares};
use crate::api::Time;
use serde::{Deserialize, Serialize};

/// Sizes that are kept in [`Shares::declared_history`].
const HISTORY: usize = 1_000;

/// An ensemble's votes at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// When.
    pub at: Time,
    /// Voters in `serversSpec`.
    pub declared: usize,
    /// Voters that make a majority of them.
    pub quorum: usize,
    /// Voters that serve in the ensemble.
    pub healthy: usize,
    /// Voters whose ZooKeeper runs: they serve, or look for a leader.
    pub up: usize,
}

impl Health {
    /// How many voters more than the quorum.
    fn margin(&self, voters: usize) -> i64 {
        let signed = |count| i64::try_from(count).unwrap_or(i64::MAX);
        signed(voters) - signed(self.quorum)
    }
}

/// The worst of an ensemble's life since it was last forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worst {
    /// Fewest voters that serve, beyond the quorum. Each election of a leader brings it down to none.
    pub healthy: Option<Health>,
    /// Fewest voters that run, beyond the quorum.
    pub up: Option<Health>,
    /// Longest time without a quorum, virtual ms; one that lasts is counted when it ends.
    pub outage: Time,
    /// Since when there is none.
    #[serde(default)]
    since: Option<Time>,
}

impl Worst {
    fn record(&mut self, now: Health) {
        if self.healthy.is_none_or(|worst| now.margin(now.healthy) < worst.margin(worst.healthy)) {
            self.healthy = Some(now);
        }
        if self.up.is_none_or(|worst| now.margin(now.up) < worst.margin(worst.up)) {
            self.up = Some(now);
        }
        if now.healthy < now.quorum {
            self.since.get_or_insert(now.at);
        } else {
            *self = Self { since: None, ..self.until(now.at) };
        }
    }

    /// The same with what has passed by this time of an outage that lasts.
    fn until(self, now: Time) -> Self {
        let lasting = self.since.map_or(0, |since| now.saturating_sub(since));
        Self { outage: self.outage.max(lasting), ..self }
    }
}

impl Share {
    /// The servers of the shared file, whatever the instances know of it.
    pub(super) fn declared(&self) -> Servers {
        self.file.as_ref().map(|file| file.declared.clone()).unwrap_or_default()
    }

    fn is_healthy(&self, member: &Member, alone: bool) -> bool {
        match member.process {
            Process::Standalone => alone && member.port_answers(),
            Process::Leading | Process::Following { .. } => member.port_answers(),
            Process::Stopped { .. } | Process::Booting { .. } | Process::Looking { .. } => false,
        }
    }

    pub(super) fn health(&self, at: Time) -> Health {
        let servers = self.declared();
        let declared = servers.voters().count();
        let serves =
            |host: &str| self.members.get(host).is_some_and(|member| self.is_healthy(member, declared == 1));
        let healthy = servers.voters().filter(|server| serves(&server.host)).count();
        let runs = |host: &str| {
            self.members.get(host).is_some_and(|member| {
                member.port_answers() || matches!(member.process, Process::Looking { .. })
            })
        };
        let up = servers.voters().filter(|server| runs(&server.host)).count();
        Health { at, declared, quorum: declared / 2 + 1, healthy, up }
    }

    pub(super) fn record_health(&mut self, now: Time) {
        let health = self.health(now);
        self.worst.record(health);
        if self.sizes.last().is_none_or(|(_, size)| *size != health.declared) {
            if self.sizes.len() == HISTORY {
                self.sizes.remove(0);
            }
            self.sizes.push((now, health.declared));
        }
    }
}

/// Oracles: the truth of the simulation, which no request tells.
impl Shares {
    /// Voters of the declared ensemble that serve now.
    #[must_use]
    pub fn healthy_voters(&self, share: &str) -> usize {
        self.health(share).map_or(0, |health| health.healthy)
    }

    /// Voters that the shared file declares.
    #[must_use]
    pub fn declared_size(&self, share: &str) -> usize {
        self.health(share).map_or(0, |health| health.declared)
    }

    /// Voters that make a majority of the declared ensemble.
    #[must_use]
    pub fn quorum(&self, share: &str) -> usize {
        self.health(share).map_or(1, |health| health.quorum)
    }

    /// Votes of the ensemble now; `None` for a share that nobody has mounted yet.
    #[must_use]
    pub fn health(&self, share: &str) -> Option<Health> {
        self.shares.get(share).map(|share| share.health(share.clock))
    }

    /// The worst since [`Self::forget_worst`].
    #[must_use]
    pub fn worst(&self, share: &str) -> Worst {
        self.shares.get(share).map_or_else(Worst::default, |share| share.worst.until(share.clock))
    }

    /// Forgets the worst so far.
    pub fn forget_worst(&mut self, share: &str) {
        if let Some(share) = self.shares.get_mut(share) {
            share.worst = Worst::default();
            share.worst.record(share.health(share.clock));
        }
    }

    /// Every size the shared file has declared, with the time from which it did; at most the last 1,000.
    #[must_use]
    pub fn declared_history(&self, share: &str) -> &[(Time, usize)] {
        self.shares.get(share).map_or(&[], |share| share.sizes.as_slice())
    }

    /// Text of `exhibitor.properties` on the share.
    #[must_use]
    pub fn properties(&self, share: &str) -> Option<&str> {
        Some(self.shares.get(share)?.file.as_ref()?.text.as_str())
    }

    /// `Mode` that ZooKeeper's `srvr` tells at this address; `None` while it does not serve.
    #[must_use]
    pub fn mode(&self, address: &str) -> Option<&'static str> {
        self.member(address).filter(|member| member.port_answers()).and_then(Member::mode)
    }

    /// What a client of this member reads at a path; `None` when it does not serve or has no such znode.
    #[must_use]
    pub fn read(&self, address: &str, path: &str) -> Option<&Znode> {
        let address = self.host(address);
        let share = self.share_of(address)?;
        share.group(address)?;
        share.members.get(address)?.data.nodes.get(path)
    }

    /// Writes as a client of this member; makes the znode and its parents as needed. Returns the transaction's id.
    ///
    /// # Errors
    /// ZooKeeper's message, such as `KeeperErrorCode = ConnectionLoss for /a` without a quorum.
    pub fn write(&mut self, address: &str, path: &str, data: &[u8]) -> Result<u64, String> {
        let lost = || format!("KeeperErrorCode = ConnectionLoss for {path}");
        let host = self.host(address).to_owned();
        let share = self.share_of_mut(&host).ok_or_else(lost)?;
        let now = share.clock;
        share.write(&host, path, data, now)
    }
}

impl Share {
    /// Sets a znode's content; makes it and its parents as needed.
    pub(super) fn write(&mut self, address: &str, path: &str, data: &[u8], now: Time) -> Result<u64, String> {
        let lost = |path: &str| format!("KeeperErrorCode = ConnectionLoss for {path}");
        if !path.starts_with('/') {
            return Err("Path must start with / character".to_owned());
        }
        let held = self.held(address).ok_or_else(|| lost(path))?;
        if held.nodes.contains_key(path) {
            let change = held.change(path, data);
            return self.commit(address, change, path, now);
        }
        let parents = path.match_indices('/').map(|(at, _)| &path[..at]).filter(|parent| !parent.is_empty());
        for parent in parents {
            let held = self.held(address).ok_or_else(|| lost(path))?;
            if !held.nodes.contains_key(parent) {
                let creation = held.creation(parent, &[]);
                self.commit(address, creation, parent, now)?;
            }
        }
        let creation = self.held(address).ok_or_else(|| lost(path))?.creation(path, data);
        self.commit(address, creation, path, now)
    }

    /// What a member holds, whether it serves or not.
    fn held(&self, address: &str) -> Option<&Data> {
        self.members.get(address).map(|member| &member.data)
    }
}

/// Faults.
impl Shares {
    /// The shared file is there, but empty (as a reader can see it while it is being written).
    pub fn empty_file(&mut self, share: &str) {
        self.damage(share, |text| text.clear());
    }

    /// This member reads the so-manieth new file in the moment between its being emptied and written, and takes it for empty.
    pub fn misreads(&mut self, address: &str, nth: u32) {
        let host = self.host(address).to_owned();
        let member = self.share_of_mut(&host).and_then(|share| share.members.get_mut(&host));
        if let Some(member) = member {
            member.misreads = nth;
        }
    }

    /// The second half of the shared file is lost.
    pub fn cut_file(&mut self, share: &str) {
        self.damage(share, |text| {
            let half = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(half);
        });
    }

    /// The shared file is gone.
    pub fn delete_file(&mut self, share: &str) {
        self.with_share(share, |share| share.file = None);
    }

    /// The shared file is put back, as from a copy.
    pub fn restore_file(&mut self, share: &str, text: &str) {
        self.shares.entry(share.to_owned()).or_default();
        self.with_share(share, |share| share.write_file(text.to_owned(), share.next_version()));
    }

    /// The directory itself is gone with its disk: file and locks.
    pub fn erase(&mut self, share: &str) {
        self.with_share(share, |share| {
            share.file = None;
            share.copy = None;
            share.locks.clear();
        });
    }

    /// Leaves a lock file behind, as an instance does that is killed in the middle of a change. A name without `_`
    /// blocks every change until it is removed by hand.
    pub fn leave_lock(&mut self, share: &str, name: &str) {
        self.shares.entry(share.to_owned()).or_default().locks.insert(name.to_owned());
    }

    /// Names of the lock files on the share.
    #[must_use]
    pub fn locks(&self, share: &str) -> Vec<&str> {
        self.shares.get(share).map_or_else(Vec::new, |share| share.locks.iter().map(String::as_str).collect())
    }

    /// Removes a lock file by hand.
    pub fn remove_lock(&mut self, share: &str, name: &str) {
        if let Some(share) = self.shares.get_mut(share) {
            share.locks.remove(name);
        }
    }

    /// ZooKeeper at this address stops answering, but its process stays.
    pub fn hang(&mut self, address: &str) {
        self.with_member(address, |member, now| member.hung = Some(now));
    }

    /// ZooKeeper's process at this address dies; Exhibitor is to notice.
    pub fn kill_zookeeper(&mut self, address: &str) {
        self.with_member(address, |member, _| {
            member.process = Process::Stopped { start_at: None };
            member.hung = None;
        });
    }

    /// From now on (or no longer), requests to this address get no answer at all.
    pub fn black_hole(&mut self, share: &str, address: &str, active: bool) {
        let address = &self.host(address).to_owned();
        let share = self.shares.entry(share.to_owned()).or_default();
        if active {
            share.black_holes.insert(address.clone());
        } else {
            share.black_holes.remove(address);
        }
    }

    pub(super) fn with_member(&mut self, address: &str, change: impl FnOnce(&mut Member, Time)) {
        let host = self.host(address).to_owned();
        let Some(share) = self.share_of_mut(&host) else { return };
        let now = share.clock;
        if let Some(member) = share.members.get_mut(&host) {
            change(member, now);
        }
        share.settle(now);
    }

    fn with_share(&mut self, share: &str, change: impl FnOnce(&mut Share)) {
        let Some(share) = self.shares.get_mut(share) else { return };
        change(share);
        share.settle(share.clock);
    }

    fn damage(&mut self, share: &str, damage: impl FnOnce(&mut String)) {
        self.with_share(share, |share| {
            let modified = share.next_version();
            if let Some(mut text) = share.file.take().map(|file| file.text) {
                damage(&mut text);
                share.write_file(text, modified);
            }
        });
    }
}
