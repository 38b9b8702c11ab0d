//! How one Exhibitor keeps its ZooKeeper: the periodic look, restarts, and reading the shared file.

use super::config::{
    CLIENT_PORT, CONNECT_PORT, DATA_DIRECTORY, ELECTION_PORT, INSTALL_DIRECTORY, Loaded, SharedFile,
    ZOO_CFG_EXTRA,
};
use super::member::{Instance, Known, Member, Process, State, Zoo};
use super::{Share, timing};
use crate::api::Time;

impl Member {
    /// What a look at ZooKeeper would find now, and whether it leads.
    pub(super) fn observed(&self) -> (State, bool) {
        let view = self.view();
        let unset = |key| view.text(key).trim().is_empty();
        if unset(&DATA_DIRECTORY) || unset(&INSTALL_DIRECTORY) {
            return (State::Latent, false);
        }
        match self.mode().filter(|_| self.asked_port_answers()) {
            Some(mode) => (State::Serving, matches!(mode, "leader" | "standalone")),
            None if self.asked_port_answers() => (State::NotServing, false),
            None => (State::Down, false),
        }
    }

    /// The present state as Exhibitor would remember it.
    pub(super) fn look_at_instance(&self, now: Time) -> (Instance, bool) {
        let (state, leader) = self.observed();
        let Known { servers, restart_significant } = self.known.clone();
        (Instance { servers, state, restart_significant, since: now }, leader)
    }

    /// When a ZooKeeper that stays as it is will be restarted, if ever: after this time, at the next look.
    pub(super) fn restart_due(&self) -> Option<Time> {
        let instance = self.instance.as_ref().filter(|_| !self.loaded.is_rolling())?;
        let servers = self.servers();
        let excluded = !servers.0.is_empty() && servers.of(&self.address).is_none();
        match instance.state {
            State::Down | State::NotServing if !excluded && self.switches.restarts => {
                Some(instance.since + self.view().down_restart_ms())
            }
            State::Down | State::NotServing | State::Latent | State::Serving => None,
        }
    }

    /// Stops ZooKeeper; starts it again if asked to. The process dies at once.
    pub(super) fn kill(&mut self, now: Time, restart: bool) {
        self.info(now, "Attempting to stop instance");
        let running = self.process != Process::Stopped { start_at: None };
        let done = now + if running { timing::KILL_MS } else { timing::NO_KILL_MS };
        self.hung = None;
        self.process = Process::Stopped { start_at: restart.then_some(done) };
        self.timers.busy_until = self.timers.busy_until.max(done);
    }

    /// Restarts ZooKeeper because Exhibitor thinks it should, unless the control panel says no.
    pub(super) fn restart(&mut self, now: Time) {
        if let Some(instance) = &mut self.instance {
            instance.since = now;
        }
        if self.switches.restarts {
            self.kill(now, true);
        } else {
            self.info(now, "Restart of ZooKeeper skipped due to control panel setting");
        }
        self.restarts += 1;
    }

    /// The process starts with the configuration that Exhibitor knows of now.
    pub(super) fn start_process(&mut self, now: Time) {
        let servers = self.servers().clone();
        let own = servers.of(&self.address).cloned();
        self.started = now;
        self.hung = None;
        self.info(now, "Process started via: /opt/zookeeper/bin/zkServer.sh");
        // ZooKeeper ignores a list of one; a longer one without an id of its own is an invalid configuration.
        if own.is_none() && servers.0.len() > 1 {
            self.process = Process::Stopped { start_at: None };
            return;
        }
        let int = |key| self.int(key);
        let extra = self.view().text(&ZOO_CFG_EXTRA).to_owned();
        self.zoo = Zoo {
            extra,
            id: own.as_ref().map(|server| server.id),
            client_port: int(&CLIENT_PORT),
            peer_ports: (int(&CONNECT_PORT), int(&ELECTION_PORT)),
            observer: own.is_some_and(|server| server.observer),
            servers,
        };
        let until = now + timing::ZOOKEEPER_START_MS + self.jitter.below(timing::ZOOKEEPER_START_JITTER_MS);
        self.process = Process::Booting { until };
    }
}

impl Share {
    /// Exhibitor has started: it has read the file, and its periods begin.
    pub(super) fn boot(&mut self, address: &str, now: Time) {
        self.mend_file(address, now);
        let loaded = self.read_file(address);
        let Some(member) = self.members.get_mut(address) else { return };
        member.booted = true;
        member.set_loaded(loaded, now);
        member.timers.config = now + member.timers.config_period;
        member.timers.auto = now + member.timers.auto_period;
        member.info(now, "Exhibitor started");
    }

    /// What a member that keeps a copy has in place of a damaged file.
    fn copy_for(&self, address: &str) -> Option<&String> {
        let keeps = self.members.get(address).is_some_and(Member::keeps_copy);
        let damaged = !self.file.as_ref().is_some_and(SharedFile::is_whole);
        self.copy.as_ref().filter(|_| keeps && damaged)
    }

    /// Puts back a file that has been damaged for a while.
    fn mend_file(&mut self, address: &str, now: Time) {
        let old = now.saturating_sub(self.version()) > timing::ABANDONED_MS;
        if let Some(copy) = self.copy_for(address).filter(|_| old).cloned() {
            self.write_file(copy, now);
        }
    }

    /// The shared file as this member reads it.
    fn read_file(&self, address: &str) -> Loaded {
        match self.copy_for(address) {
            Some(copy) => Loaded::read(Some(&SharedFile::new(copy.clone(), self.version()))),
            None => Loaded::read(self.file.as_ref()),
        }
    }

    /// ZooKeeper's port answers from now on.
    pub(super) fn finish_start(&mut self, address: &str, now: Time) {
        let Some(member) = self.members.get_mut(address) else { return };
        if member.zoo.servers.0.len() > 1 {
            self.look_again(address, now);
        } else {
            member.process = Process::Standalone;
            member.data.save();
            self.track_sessions(address, now);
        }
    }

    /// The periodic reading of the shared file.
    pub(super) fn check_config(&mut self, address: &str, now: Time) {
        self.mend_file(address, now);
        let version = self.version();
        let fresh = self.members.get(address).is_some_and(|member| member.loaded.version != version);
        let loaded = fresh.then(|| self.read_file(address));
        let Some(member) = self.members.get_mut(address) else { return };
        if let Some(mut loaded) = loaded {
            if member.misreads == 1 {
                loaded = Loaded { version: loaded.version, ..Loaded::default() };
            }
            member.misreads = member.misreads.saturating_sub(1);
            member.set_loaded(loaded, now);
        }
        member.timers.config = now + member.timers.config_period;
    }

    /// The periodic look at ZooKeeper.
    pub(super) fn check_instance(&mut self, address: &str, now: Time) {
        let Some(member) = self.members.get_mut(address) else { return };
        if member.hung.is_some() && !member.probing {
            // The four-letter word holds up everything until it times out.
            member.probing = true;
            member.timers.busy_until = now + timing::HUNG_WORD_MS;
            return;
        }
        member.probing = false;
        let (seen, leader) = member.look_at_instance(now);
        member.leader = leader;
        self.check_rolling(address, &seen, now);
        let Some(member) = self.members.get_mut(address) else { return };
        let before = member.instance.clone();
        if before.as_ref().is_some_and(|before| before.same(&seen)) {
            if member.restart_due().is_some_and(|due| now > due) {
                member.info(now, "Restarting down/not-serving ZooKeeper");
                member.restart(now);
            }
        } else {
            member.instance_changed(before.as_ref(), seen, now);
        }
        member.timers.check = now + member.check_period();
    }
}

impl Member {
    fn instance_changed(&mut self, before: Option<&Instance>, seen: Instance, now: Time) {
        self.info(now, &format!("State: {}", seen.state.description()));
        let servers_changed = before.is_some_and(|before| self.servers_changed(before, &seen));
        let config_changed =
            before.is_some_and(|before| before.restart_significant != seen.restart_significant);
        let down = seen.state == State::Down;
        self.instance = Some(seen);
        if servers_changed {
            self.info(now, "Server list has changed");
            self.restart(now);
        } else if config_changed {
            self.info(now, "ZooKeeper related configuration has changed");
            self.restart(now);
        } else if down {
            self.restart(now);
        }
    }

    /// An instance that is not in the list takes every change of state for a change of the list.
    fn servers_changed(&self, before: &Instance, seen: &Instance) -> bool {
        let voters =
            |instance: &Instance| super::servers::Servers(instance.servers.voters().cloned().collect());
        if !voters(before).same(&voters(seen)) {
            return true;
        }
        let own = seen.servers.of(&self.address);
        own.is_none() || own != before.servers.of(&self.address)
    }
}
