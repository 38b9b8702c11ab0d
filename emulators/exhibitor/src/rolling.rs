//! Rolling changes of the configuration: one host after the other.

use super::Share;
use super::config::{Loaded, SERVERS_SPEC, Settings, View};
use super::member::{Instance, State};
use super::servers::Servers;
use super::timing::ROLLING_ATTEMPTS;
use crate::api::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What one instance remembers of its part in a rolling change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempts {
    /// Its count of restarts when the change reached it.
    restarts: Option<u64>,
    /// Looks at which it was restarted but not serving.
    waiting: u32,
    /// The next host, and how often it was tried.
    next: Option<(String, u32)>,
}

impl Attempts {
    /// Whether a look that finds this state would note that the change reached this instance, or move it on.
    pub(super) fn would_act(&self, restarts: u64, state: State) -> bool {
        match (self.restarts, state) {
            (None, _) => true,
            (Some(mark), State::Serving | State::NotServing) => mark != restarts,
            (Some(_), State::Latent | State::Down) => false,
        }
    }
}

/// Order of a rolling change: new hosts, then those that stay, each alphabetically; a known leader last.
fn rolling_hosts(before: &str, after: &str, leader: Option<&str>) -> Vec<String> {
    let hosts =
        |spec: &str| Servers::parse(spec).0.into_iter().map(|server| server.host).collect::<BTreeSet<_>>();
    let (before, after) = (hosts(before), hosts(after));
    let stay = after.intersection(&before).filter(|host| Some(host.as_str()) != leader);
    let last = leader.filter(|leader| before.contains(*leader) && after.contains(*leader));
    after.difference(&before).chain(stay).cloned().chain(last.map(str::to_owned)).collect()
}

impl Loaded {
    /// `rollStatus`.
    pub(super) fn roll_status(&self) -> String {
        let Some(host) = self.rolling_host() else { return "n/a".to_owned() };
        match self.hosts.get(self.index + 1) {
            Some(next) => format!("Applying to \"{host}\" (next will be \"{next}\")"),
            None => format!("Applying to \"{host}\""),
        }
    }

    /// `rollPercentDone`.
    pub(super) fn roll_percent(&self) -> usize {
        if self.hosts.is_empty() { 0 } else { (100 * self.index / self.hosts.len()).max(1) }
    }

    fn committed(settings: Settings) -> Self {
        Self { rolling: settings.clone(), root: settings, ..Self::default() }
    }

    fn at(&self, index: usize) -> Self {
        Self { index, ..self.clone() }
    }
}

impl Share {
    /// Replaces the configuration at once, on behalf of one instance. False when a rolling change is in progress, or
    /// the file is not the one this instance has read.
    pub(super) fn update_config(&mut self, address: &str, settings: Settings, now: Time) -> bool {
        let Some(member) = self.members.get_mut(address) else { return false };
        if member.loaded.is_rolling() {
            return false;
        }
        member.attempts = Attempts::default();
        self.store(address, Loaded::committed(settings), now)
    }

    /// Begins a rolling change. False as for [`Self::update_config`].
    pub(super) fn start_rolling(
        &mut self,
        address: &str,
        after: Settings,
        leader: Option<&str>,
        now: Time,
    ) -> bool {
        let Some(member) = self.members.get_mut(address) else { return false };
        if member.loaded.is_rolling() {
            return false;
        }
        member.attempts = Attempts::default();
        let root = member.root_view().complete();
        let spec = |settings: &Settings| settings.get(SERVERS_SPEC.property).cloned().unwrap_or_default();
        let hosts = rolling_hosts(&spec(&root), &spec(&after), leader);
        let target = Loaded { version: 0, root, rolling: after, hosts, index: 0 };
        let next = self.next_step(address, &target, 0, now);
        let next = next.unwrap_or_else(|| {
            // The first host does not answer: it goes to the back.
            let mut parked = target;
            let by = parked.hosts.len().min(1);
            parked.hosts.rotate_left(by);
            parked
        });
        self.store(address, next, now)
    }

    /// Gives a rolling change up, or carries it out everywhere at once.
    pub(super) fn cancel_rolling(&mut self, address: &str, commit: bool, now: Time) {
        let Some(member) = self.members.get_mut(address).filter(|member| member.loaded.is_rolling()) else {
            return;
        };
        member.attempts = Attempts::default();
        let section = if commit { &member.loaded.rolling } else { &member.loaded.root };
        let settings = View { section, defaults: &member.defaults }.complete();
        self.store(address, Loaded::committed(settings), now);
    }

    /// At each look at ZooKeeper: the host that the change has reached moves it on once it serves again.
    pub(super) fn check_rolling(&mut self, address: &str, seen: &Instance, now: Time) {
        let Some(member) = self.members.get_mut(address) else { return };
        if member.loaded.rolling_host() != Some(address) {
            return;
        }
        let mark = *member.attempts.restarts.get_or_insert(member.restarts);
        if mark == member.restarts || !member.rolled_servers().same(&seen.servers) {
            return;
        }
        match seen.state {
            State::Serving => self.advance_rolling(address, now),
            State::NotServing => {
                member.attempts.waiting += 1;
                if member.attempts.waiting >= ROLLING_ATTEMPTS {
                    member.info(now, "Ensemble is not achieving quorum. Now falling back to a force commit of the configuration change.");
                    self.cancel_rolling(address, true, now);
                }
            }
            State::Latent | State::Down => {}
        }
    }

    fn advance_rolling(&mut self, address: &str, now: Time) {
        let Some(member) = self.members.get_mut(address) else { return };
        member.attempts.waiting = 0;
        let current = member.loaded.clone();
        if let Some(next) = self.next_step(address, &current, current.index + 1, now) {
            if let Some(member) = self.members.get_mut(address) {
                member.attempts = Attempts::default();
            }
            self.store(address, next, now);
        }
    }

    /// The change with `index` as the host it has reached; committed past the last one. `None` while that host does
    /// not answer and attempts are left.
    fn next_step(&mut self, address: &str, from: &Loaded, index: usize, now: Time) -> Option<Loaded> {
        let Some(host) = from.hosts.get(index) else {
            return Some(Loaded::committed(from.rolling.clone()));
        };
        let reachable = self.members.get(host).is_some_and(super::member::Member::answers);
        if host == address {
            return Some(from.at(index));
        }
        let member = self.members.get_mut(address)?;
        let (tried, count) = member.attempts.next.get_or_insert((host.clone(), 0));
        if tried == host && *count >= ROLLING_ATTEMPTS {
            return None;
        }
        *count += 1;
        let exhausted = *count >= ROLLING_ATTEMPTS;
        match (reachable, exhausted) {
            (true, _) => Some(from.at(index)),
            (false, true) => {
                member.info(
                    now,
                    &format!(
                        "Exhausted attempts to connect to {host} - skipping and moving on to next instance"
                    ),
                );
                self.next_step(address, from, index + 1, now)
            }
            (false, false) => None,
        }
    }

    /// Writes the file if it is the one that the instance has read, and takes it over there.
    fn store(&mut self, address: &str, loaded: Loaded, now: Time) -> bool {
        let version = self.version();
        let Some(member) = self.members.get_mut(address).filter(|member| member.loaded.version == version)
        else {
            return false;
        };
        let modified = now.max(version + 1);
        member.set_loaded(Loaded { version: modified, ..loaded.clone() }, now);
        let text = loaded.text();
        if self.members.get(address).is_some_and(super::member::Member::keeps_copy) {
            self.copy = Some(text.clone());
        }
        self.write_file(text, modified);
        true
    }
}

impl super::member::Member {
    /// The list of servers that a rolling change leads to.
    fn rolled_servers(&self) -> Servers {
        let view = View { section: &self.loaded.rolling, defaults: &self.defaults };
        Servers::parse(view.text(&SERVERS_SPEC))
    }
}

#[cfg(test)]
mod tests {
    use super::rolling_hosts;

    #[test]
    fn new_hosts_first_then_alphabetically() {
        assert_eq!(rolling_hosts("1:c,2:a", "1:c,2:a,3:b", None), ["b", "a", "c"]);
        assert_eq!(rolling_hosts("1:c,2:a,4:d", "1:c,2:a,4:d", Some("a")), ["c", "d", "a"]);
        assert_eq!(rolling_hosts("1:c,2:a", "1:c", Some("a")), ["c"]);
    }
}
