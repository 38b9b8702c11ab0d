//! Automatic instance management: instances that put themselves into the list, and others out of it.

use super::changes::Purpose;
use super::config::{
    APPLY_ALL_AT_ONCE, AUTO_MANAGE, FIXED_SIZE, OBSERVER_THRESHOLD, SERVERS_SPEC, SETTLING_PERIOD_MS,
};
use super::member::{Member, State};
use super::servers::{Server, Servers};
use super::{Share, timing};
use crate::api::Time;
use serde::{Deserialize, Serialize};

/// One entry of `cluster/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) host: String,
    pub(super) state: State,
    pub(super) leader: bool,
}

/// The cluster as an instance last sampled it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) servers: Servers,
    pub(super) statuses: Vec<Status>,
    /// When the statuses last differed from the sample before.
    pub(super) changed: Time,
}

impl Sample {
    fn state(&self, host: &str) -> Option<State> {
        self.statuses.iter().find(|status| status.host == host).map(|status| status.state)
    }

    fn has_dead(&self) -> bool {
        self.statuses.iter().any(|status| status.state == State::Down)
    }

    fn leader(&self) -> Option<&str> {
        self.statuses.iter().find(|status| status.leader).map(|status| status.host.as_str())
    }

    fn live(&self) -> impl Iterator<Item = &Server> {
        self.servers.0.iter().filter(|server| self.state(&server.host) != Some(State::Down))
    }
}

impl Member {
    /// Whether this instance takes part in automatic management at all, now.
    pub(super) fn auto_manages(&self) -> bool {
        self.int(&AUTO_MANAGE) != 0 && !self.loaded.is_rolling() && self.state() != State::Latent
    }

    /// Whether the list should change, as this instance sees it.
    pub(super) fn wants_change(&self, sample: &Sample) -> bool {
        let outside = self.servers().of(&self.address).is_none();
        let size = self.int(&FIXED_SIZE);
        match usize::try_from(size) {
            Ok(size) if size > 0 => outside && (sample.servers.0.len() < size || sample.has_dead()),
            Ok(_) | Err(_) => outside || sample.has_dead(),
        }
    }

    /// The list as this instance would have it.
    fn wanted_servers(&self, sample: &Sample) -> Servers {
        let mut wanted: Vec<Server> = sample.live().cloned().collect();
        let outside = self.servers().of(&self.address).is_none();
        let threshold = usize::try_from(self.int(&OBSERVER_THRESHOLD)).unwrap_or(0);
        let standard = wanted.iter().filter(|server| !server.observer).count();
        let fixed = usize::try_from(self.int(&FIXED_SIZE)).unwrap_or(0);
        if fixed > 0 && wanted.len() >= fixed {
            return sample.servers.clone();
        }
        if outside {
            // With a fixed size the newcomer is not counted yet, without one it is.
            let voters = if fixed > 0 { standard } else { standard + 1 };
            let observer = threshold > 0 && voters >= threshold;
            wanted.push(Server { id: sample.servers.max_id() + 1, host: self.address.clone(), observer });
        }
        Servers(wanted)
    }
}

impl Share {
    /// `cluster/status` as the instance at this address sees it now.
    pub(super) fn statuses(&self, address: &str) -> Vec<Status> {
        let Some(asked) = self.members.get(address) else { return Vec::new() };
        let status = |server: &Server| match self.members.get(&server.host) {
            Some(member) if member.address == address || self.reaches(address, member) => {
                Status { host: server.host.clone(), state: member.state(), leader: member.leader }
            }
            Some(_) | None => Status { host: server.host.clone(), state: State::Down, leader: false },
        };
        asked.servers().0.iter().map(status).collect()
    }

    /// One run of automatic instance management.
    pub(super) fn manage(&mut self, address: &str, now: Time) {
        let statuses = self.statuses(address);
        let Some(member) = self.members.get_mut(address) else { return };
        member.timers.auto = now + member.timers.auto_period;
        if !member.auto_manages() {
            return;
        }
        member.sample.servers = member.servers().clone();
        if member.sample.statuses != statuses {
            member.sample.statuses = statuses;
            member.sample.changed = now;
        }
        if !member.wants_change(&member.sample) {
            return;
        }
        let all_at_once = member.int(&APPLY_ALL_AT_ONCE) != 0;
        if !all_at_once && !member.sample.statuses.is_empty() && member.sample.leader().is_none() {
            member.info(
                now,
                "Ensemble is not currently in quorum. Automatic Instance Management will wait for quorum.",
            );
            return;
        }
        let settling = Time::try_from(member.int(&SETTLING_PERIOD_MS)).unwrap_or(0);
        if now.saturating_sub(member.sample.changed) < settling {
            member.info(
                now,
                "Ensemble state is not yet stable. Automatic Instance Management will wait for stability.",
            );
            return;
        }
        self.request_change(address, Purpose::AutoManage, timing::LOCK_WAIT_AUTO_MS, now);
    }

    /// The lock is held: writes the list that this instance wants.
    pub(super) fn apply_managed(&mut self, address: &str, now: Time) -> bool {
        let Some(member) = self.members.get_mut(address) else { return false };
        let wanted = member.wanted_servers(&member.sample);
        if wanted.0.is_empty() || wanted.same(&member.sample.servers) {
            return true;
        }
        let text = format!(
            "Automatic Instance Management will change the server list: {} ==> {wanted}",
            member.sample.servers
        );
        member.info(now, &text);
        let mut settings = member.view().complete();
        settings.insert(SERVERS_SPEC.property.to_owned(), wanted.to_string());
        let leader = member.sample.leader().map(str::to_owned);
        let done = if member.int(&APPLY_ALL_AT_ONCE) != 0 {
            self.update_config(address, settings, now)
        } else {
            self.start_rolling(address, settings, leader.as_deref(), now)
        };
        if let Some(member) = self.members.get_mut(address) {
            if done {
                member.sample = Sample { changed: now, ..Sample::default() };
            } else {
                member.info(now, "Could not initiate Automatic Instance Management config change. Another process is already making a config change.");
            }
        }
        done
    }
}
