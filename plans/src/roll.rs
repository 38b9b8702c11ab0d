//! A roll that zkprov drives: which member's ZooKeeper restarts next, decided anew from each look at the ensemble.
//!
//! Exhibitor's own rolls go alphabetically, so that the leader is seldom last, and each election stops writes. So every member
//! concerned is first told not to restart by itself (a switch of Exhibitor's control panel), then the configuration is
//! set for all, then ZooKeeper is restarted member by member. A member whose switch is on has been restarted: a roll that is
//! cut off leaves in the switches themselves what is still to do.

use crate::observed::{EnsembleState, InstanceState, Member, Mode};
use crate::quorum::{self, serves};
use crate::zookeeper::Zxid;
use std::cmp::Reverse;

/// A restart that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restarted {
    /// Whose, by address.
    pub host: String,
    /// The last transaction of the quorum before it: what the member has to know to count as synced.
    pub floor: Zxid,
}

/// What a roll does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// ZooKeeper at this address restarts.
    Restart(String),
    /// ZooKeeper at this address, which leaves the ensemble, stops for good.
    Stop(String),
    /// The member is back and has synced: its Exhibitor may restart it again by itself.
    Release(String),
    /// Not yet, and why.
    Wait(String),
    /// Every member has been restarted.
    Done,
}

/// Addresses of voters that are still to be restarted: their switches are off.
#[must_use]
pub fn held(state: &EnsembleState) -> Vec<String> {
    let held = state.servers.iter().filter(|server| state.held.contains(&server.hostname));
    held.map(|server| server.hostname.clone()).collect()
}

/// The last transaction that the ensemble knows now, or that of the one that serves alone while it gets its first peer. 0 when
/// nobody serves.
#[must_use]
pub fn last_known(state: &EnsembleState) -> Zxid {
    known(state, |_| true)
}

/// The last transaction that a follower has to know. An epoch that has begun without a transaction is none: a follower that
/// lacks nothing does not show it.
#[must_use]
pub fn floor(state: &EnsembleState) -> Zxid {
    known(state, |last| last.counter() != 0)
}

fn known(state: &EnsembleState, counts: impl Fn(Zxid) -> bool) -> Zxid {
    let transaction = |host: &str| Some(member(state, host)?.zookeeper.as_ref()?.zxid);
    let voters = state.servers.iter().map(|server| server.hostname.as_str());
    let of_quorum = voters.filter(|host| serves(state, host)).filter_map(transaction);
    let alone = || last(state).and_then(transaction).filter(|last| counts(*last));
    of_quorum.filter(|last| counts(*last)).max().or_else(alone).unwrap_or_default()
}

/// The next action: who does not serve first, for it costs nothing and may be what is repaired; then followers; then those
/// that leave and still take part are stopped; the leader last. A leader that leaves goes first: who no longer knows it could
/// not follow it.
#[must_use]
pub fn next(state: &EnsembleState, restarted: Option<&Restarted>) -> Next {
    if let Some(restarted) = restarted {
        return back(state, restarted);
    }
    if let Some(leader) = leaves(state, &[Mode::Leader]) {
        return Next::Stop(leader);
    }
    let mut held = held(state);
    let last = last(state);
    held.sort_by_key(|host| (last == Some(host.as_str()), serves(state, host)));
    let leaving = leaves(state, &[Mode::Follower, Mode::Observer]);
    let Some(first) = held.first() else {
        return leaving.map_or(Next::Done, Next::Stop);
    };
    let of_leader = last == Some(first.as_str()) && quorum::voters(state) > 1;
    if let Some(host) = leaving.filter(|_| of_leader) {
        return Next::Stop(host);
    }
    match missing(state, first) {
        Some(host) => Next::Wait(format!("{host} to serve before {first} restarts")),
        None => Next::Restart(first.clone()),
    }
}

/// Who takes part in the ensemble in one of these modes, and is in its list no more.
fn leaves(state: &EnsembleState, modes: &[Mode]) -> Option<String> {
    let outside = state.members.iter().filter(|member| member.id.is_none());
    let mut takes_part =
        outside.filter(|member| member.zookeeper.as_ref().is_some_and(|srvr| modes.contains(&srvr.mode)));
    takes_part.next().map(|member| member.hostname.clone())
}

/// Who leads, or, where nobody does, who serves alone and knows most: the last to restart.
#[must_use]
pub fn last(state: &EnsembleState) -> Option<&str> {
    let voters = || state.members.iter().filter(|member| member.id.is_some());
    let in_mode = |wanted: Mode| {
        voters().filter(move |member| member.zookeeper.as_ref().is_some_and(|srvr| srvr.mode == wanted))
    };
    let known = |member: &&Member| (member.zookeeper.as_ref().map(|srvr| srvr.zxid), Reverse(member.id));
    let leader = in_mode(Mode::Leader).max_by_key(known);
    leader.or_else(|| in_mode(Mode::Standalone).max_by_key(known)).map(|member| member.hostname.as_str())
}

/// A voter besides `host` that is away: no restart may cost a second vote. Two voters have none to spare in any case, and
/// one that waits for its peer to come from an ensemble of one cannot serve before.
fn missing<'a>(state: &'a EnsembleState, host: &str) -> Option<&'a str> {
    if !serves(state, host) && last(state) != Some(host) {
        return None;
    }
    let there = |other: &str| serves(state, other) || quorum::voters(state) == 2 && runs(state, other);
    state.servers.iter().map(|server| server.hostname.as_str()).find(|other| *other != host && !there(other))
}

/// Whether a restarted member is back: in the quorum, and knowing all that was known before.
fn back(state: &EnsembleState, restarted: &Restarted) -> Next {
    let host = &restarted.host;
    let Some(member) = member(state, host) else {
        return Next::Wait(format!("{host} to be seen again"));
    };
    // Its only peer has the old list yet; or so many are down that nobody can serve before another one has restarted, too.
    let pair = quorum::voters(state) == 2 && !held(state).iter().all(|other| other == host);
    let up = state.servers.iter().filter(|server| runs(state, &server.hostname)).count();
    let too_few = u32::try_from(up).is_ok_and(|up| up < quorum::need(quorum::voters(state)));
    let synced = member.zookeeper.as_ref().map(|srvr| srvr.zxid) >= Some(restarted.floor);
    match (serves(state, host), synced) {
        (true, true) => Next::Release(host.clone()),
        (true, false) => Next::Wait(format!("{host} to sync with the leader")),
        (false, _) if (pair || too_few) && runs(state, host) => Next::Release(host.clone()),
        (false, _) => Next::Wait(format!("{host} to come back")),
    }
}

fn member<'a>(state: &'a EnsembleState, host: &str) -> Option<&'a Member> {
    state.members.iter().find(|member| member.hostname == host)
}

/// Whether its ZooKeeper runs and looks for a quorum.
fn runs(state: &EnsembleState, host: &str) -> bool {
    let looks =
        |member: &Member| member.zookeeper.is_none() && member.exhibitor == Some(InstanceState::NotServing);
    serves(state, host) || member(state, host).is_some_and(looks)
}

#[cfg(test)]
mod tests;
