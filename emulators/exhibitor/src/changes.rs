//! Changes of the shared file: each waits for its lock file to be the oldest, and to be old enough.

use super::config::Settings;
use super::{Share, timing};
use crate::api::Time;
use serde::{Deserialize, Serialize};

const LOCK_PREFIX: &str = "exhibitor-lock-";

/// What an instance wants the lock for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// `config/set`
    Set { request: String, settings: Settings },
    /// `config/set-rolling`
    SetRolling { request: String, settings: Settings },
    /// Automatic instance management.
    AutoManage,
}

/// A change that waits for its lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    /// The instance that makes it.
    pub(super) address: String,
    pub(super) purpose: Purpose,
    /// Name of its lock file.
    lock: String,
    created: Time,
    pub(super) next_poll: Time,
    give_up: Time,
}

/// How a change asked for by a request ended: `message` and `succeeded` of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) message: String,
    pub(super) succeeded: bool,
    pub(super) at: Time,
}

enum Poll {
    Wait,
    Acquired,
    TimedOut,
    Failed(String),
}

impl Share {
    /// Puts a lock file on the share and begins to wait for it.
    pub(super) fn request_change(&mut self, address: &str, purpose: Purpose, wait: Time, now: Time) {
        let Some(member) = self.members.get_mut(address) else { return };
        let lock = format!("{LOCK_PREFIX}_{now}_{}", member.jitter.number());
        if purpose == Purpose::AutoManage {
            // Waits on the thread of the periodic activities.
            member.timers.busy_until = now + timing::LOCK_POLL_MS;
        }
        self.locks.insert(lock.clone());
        let address = address.to_owned();
        self.changes.push(Change {
            address,
            purpose,
            lock,
            created: now,
            next_poll: now,
            give_up: now + wait,
        });
    }

    /// Whether a request's change still waits.
    pub(super) fn is_pending(&self, wanted: &str) -> bool {
        self.changes.iter().any(|change| match &change.purpose {
            Purpose::Set { request, .. } | Purpose::SetRolling { request, .. } => request == wanted,
            Purpose::AutoManage => false,
        })
    }

    /// Looks at the locks for every change whose turn it is.
    pub(super) fn poll_changes(&mut self, now: Time) {
        let mut index = 0;
        while let Some(change) = self.changes.get(index).cloned() {
            if change.next_poll > now {
                index += 1;
                continue;
            }
            match self.poll_lock(&change, now) {
                Poll::Wait => {
                    let next = (now + timing::LOCK_POLL_MS).min(change.give_up.max(now + 1));
                    if let Some(waiting) = self.changes.get_mut(index) {
                        waiting.next_poll = next;
                    }
                    self.keep_busy(&change, next);
                    index += 1;
                }
                Poll::Acquired => {
                    let done = self.carry_out(&change, now);
                    self.finish(index, change, if done { Ok(()) } else { Err(None) }, now);
                }
                Poll::TimedOut => {
                    if let Some(member) = self.members.get_mut(&change.address) {
                        member.note(now, "ERROR", &format!("Could not acquire lock, key: {}", change.lock));
                    }
                    self.finish(index, change, Err(None), now);
                }
                Poll::Failed(message) => self.finish(index, change, Err(Some(message)), now),
            }
        }
    }

    fn keep_busy(&mut self, change: &Change, until: Time) {
        if let Some(member) =
            self.members.get_mut(&change.address).filter(|_| change.purpose == Purpose::AutoManage)
        {
            member.timers.busy_until = member.timers.busy_until.max(until);
        }
    }

    fn poll_lock(&mut self, change: &Change, now: Time) -> Poll {
        let mut stale = Vec::new();
        for name in self.locks.iter().filter(|name| **name != change.lock) {
            // Exhibitor reads the second part of the name without looking whether there is one.
            let Some(stamp) = name.split('_').nth(1) else {
                return Poll::Failed("Index 1 out of bounds for length 1".to_owned());
            };
            if now.saturating_sub(stamp.parse().unwrap_or(0)) > timing::LOCK_STALE_MS {
                stale.push(name.clone());
            }
        }
        for name in stale {
            self.locks.remove(&name);
        }
        let first = self.locks.first() == Some(&change.lock);
        if first && now - change.created >= timing::LOCK_SETTLE_MS {
            Poll::Acquired
        } else if now >= change.give_up {
            Poll::TimedOut
        } else {
            Poll::Wait
        }
    }

    fn carry_out(&mut self, change: &Change, now: Time) -> bool {
        match &change.purpose {
            Purpose::Set { settings, .. } => self.update_config(&change.address, settings.clone(), now),
            Purpose::SetRolling { settings, .. } => {
                self.start_rolling(&change.address, settings.clone(), None, now)
            }
            Purpose::AutoManage => self.apply_managed(&change.address, now),
        }
    }

    fn finish(&mut self, index: usize, change: Change, result: Result<(), Option<String>>, now: Time) {
        self.changes.remove(index);
        self.locks.remove(&change.lock);
        let (request, busy) = match change.purpose {
            Purpose::Set { request, .. } => (
                request,
                "It appears that another process has updated the config. Your change was not committed.",
            ),
            Purpose::SetRolling { request, .. } => (request, "Another process has updated the config."),
            Purpose::AutoManage => return,
        };
        let message = match &result {
            Ok(()) => "OK".to_owned(),
            Err(message) => message.clone().unwrap_or_else(|| busy.to_owned()),
        };
        self.outcomes.insert(request, Outcome { message, succeeded: result.is_ok(), at: now });
    }
}
