//! Virtual time of one share: what happens next, and carrying it out.
//!
//! Periodic activities that would change nothing are no events. They are skipped by arithmetic, which is sound because
//! nothing they look at changes between two events.

use super::automanage::Sample;
use super::member::{Member, Process};
use super::{Share, timing};
use crate::api::Time;
use zkprov_emulator_common::ticks::tick_at_or_after;

impl Member {
    fn due(&self, timer: Time) -> Time {
        timer.max(self.timers.busy_until)
    }

    /// When the process moves on by itself, after `clock`.
    fn process_event(&self, clock: Time) -> Option<Time> {
        let next = match self.process {
            Process::Stopped { start_at } => start_at,
            Process::Booting { until } => Some(until),
            Process::Looking { join_at, elect_at } => {
                [join_at, elect_at].into_iter().find(|time| *time > clock)
            }
            Process::Standalone | Process::Leading | Process::Following { .. } => None,
        };
        let given_up = self.hung.map(|since| since + timing::HUNG_PEER_MS).filter(|time| *time > clock);
        [next, given_up].into_iter().flatten().min()
    }

    /// When a look at ZooKeeper next changes anything.
    fn check_event(&self) -> Option<Time> {
        let next = self.due(self.timers.check);
        if self.hung.is_some() || self.probing {
            return Some(next);
        }
        let (seen, leader) = self.look_at_instance(next);
        let unchanged =
            self.instance.as_ref().is_some_and(|instance| instance.same(&seen)) && self.leader == leader;
        let rolls = self.loaded.rolling_host() == Some(&self.address)
            && self.attempts.would_act(self.restarts, seen.state);
        if !unchanged || rolls {
            return Some(next);
        }
        self.restart_due().map(|due| tick_at_or_after(next, self.check_period(), due + 1))
    }

    /// Lets the periods that changed nothing before `now` pass.
    fn skip_ticks(&mut self, now: Time) {
        let check_period = self.check_period();
        let timers = &mut self.timers;
        for (timer, period) in [
            (&mut timers.config, timers.config_period),
            (&mut timers.check, check_period),
            (&mut timers.auto, timers.auto_period),
        ] {
            if (*timer).max(timers.busy_until) < now {
                *timer = tick_at_or_after(*timer, period, now);
            }
        }
    }
}

impl Share {
    /// When something happens next by itself.
    pub(super) fn next_event(&self) -> Option<Time> {
        let changes = self.changes.iter().map(|change| change.next_poll);
        let wakeups = self.wakeups.iter().copied();
        let members = self.members.values().filter_map(|member| self.member_event(member));
        changes.chain(wakeups).chain(members).chain(self.session_event()).min()
    }

    fn member_event(&self, member: &Member) -> Option<Time> {
        if member.exited {
            return None;
        }
        if !member.booted {
            return Some(member.answers_at);
        }
        let config = (member.loaded.version != self.version()).then(|| member.due(member.timers.config));
        let auto = self.manage_matters(member).then(|| member.due(member.timers.auto));
        [config, auto, member.check_event(), member.process_event(self.clock)].into_iter().flatten().min()
    }

    /// Whether a run of automatic management would sample something new or change the list.
    fn manage_matters(&self, member: &Member) -> bool {
        if !member.auto_manages() {
            return false;
        }
        let sample = Sample {
            servers: member.servers().clone(),
            statuses: self.statuses(&member.address),
            changed: member.sample.changed,
        };
        sample.statuses != member.sample.statuses || member.wants_change(&sample)
    }

    /// Moves on to a time, event by event.
    pub(super) fn advance(&mut self, now: Time) {
        while let Some(next) = self.next_event().filter(|next| *next <= now) {
            self.step(next.max(self.clock));
        }
        self.clock = self.clock.max(now);
        self.skip(self.clock);
        self.settle(self.clock);
    }

    fn skip(&mut self, now: Time) {
        for member in self.members.values_mut().filter(|member| member.booted) {
            member.skip_ticks(now);
        }
    }

    /// Carries out everything due at one time.
    fn step(&mut self, now: Time) {
        self.skip(now);
        self.wakeups.retain(|time| *time > now);
        self.poll_changes(now);
        let addresses: Vec<String> = self.members.keys().cloned().collect();
        for address in &addresses {
            self.step_process(address, now);
        }
        self.clock = self.clock.max(now);
        self.expire_sessions(now);
        self.settle(now);
        for address in &addresses {
            self.step_timers(address, now);
        }
        self.settle(now);
    }

    fn step_process(&mut self, address: &str, now: Time) {
        let Some(member) = self.members.get_mut(address).filter(|member| !member.exited) else { return };
        if !member.booted && member.answers_at <= now {
            return self.boot(address, now);
        }
        match member.process {
            Process::Stopped { start_at: Some(at) } if at <= now => member.start_process(now),
            Process::Booting { until } if until <= now => self.finish_start(address, now),
            Process::Stopped { .. }
            | Process::Booting { .. }
            | Process::Looking { .. }
            | Process::Standalone
            | Process::Leading
            | Process::Following { .. } => {}
        }
    }

    fn step_timers(&mut self, address: &str, now: Time) {
        let due = |share: &Self, timer: fn(&Member) -> Time| {
            let member = share.members.get(address).filter(|member| member.answers());
            member.is_some_and(|member| member.due(timer(member)) <= now)
        };
        if due(self, |member| member.timers.config) {
            self.check_config(address, now);
        }
        if due(self, |member| member.timers.check) {
            self.check_instance(address, now);
        }
        if due(self, |member| member.timers.auto) {
            self.manage(address, now);
        }
    }

    /// After any change: who leads, and how healthy that leaves the ensemble.
    pub(super) fn settle(&mut self, now: Time) {
        self.settle_quorum(now);
        self.cut_connections();
        self.record_health(now);
    }
}
