//! Quorum arithmetic, the choice of members, and the verdict whether an ensemble serves.

use crate::exhibitor::{MAX_ID, RENUMBER_ABOVE};
use crate::observed::{EnsembleState, InstanceState, Member, Mode, Pod, Server};
use crate::readiness::Verdict;
use crate::zookeeper::Zxid;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// The majority of `voters`: how many must be healthy for the ensemble to serve. 0 voters need none.
#[must_use]
pub const fn need(voters: u32) -> u32 {
    if voters == 0 { 0 } else { voters / 2 + 1 }
}

/// How many voters may fail while the rest serves.
#[must_use]
pub const fn tolerated(voters: u32) -> u32 {
    voters - need(voters)
}

/// The odd numbers next to `n`: below, where there is one, and above. For an odd `n`, the next ones on both sides.
#[must_use]
pub const fn neighbours(n: u32) -> (Option<u32>, u32) {
    let distance = if n.is_multiple_of(2) { 1 } else { 2 };
    (n.checked_sub(distance), n.saturating_add(distance))
}

/// The voter counts on the way between two sizes, one voter at a time, without `from`: 3 to 5 is 4, 5.
#[must_use]
pub fn path(from: u32, to: u32) -> Vec<u32> {
    if from <= to { (from + 1..=to).collect() } else { (to..from).rev().collect() }
}

/// Voters in the quorum by their own words: `srvr` says leader or follower, or standalone in an ensemble of one.
#[must_use]
pub fn healthy(state: &EnsembleState) -> u32 {
    let alone = voters(state) == 1;
    let count = state
        .servers
        .iter()
        .filter(|server| !server.observer)
        .filter(|server| member(state, &server.hostname).is_some_and(|member| in_quorum(member, alone)));
    u32::try_from(count.count()).unwrap_or(u32::MAX)
}

/// Voters in the servers spec.
#[must_use]
pub fn voters(state: &EnsembleState) -> u32 {
    let count = state.servers.iter().filter(|server| !server.observer).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Whether the member at this address is in the quorum by its own words.
#[must_use]
pub fn serves(state: &EnsembleState, hostname: &str) -> bool {
    member(state, hostname).is_some_and(|member| in_quorum(member, voters(state) == 1))
}

fn member<'a>(state: &'a EnsembleState, hostname: &str) -> Option<&'a Member> {
    state.members.iter().find(|member| member.hostname == hostname)
}

fn in_quorum(member: &Member, alone: bool) -> bool {
    match member.zookeeper.as_ref().map(|srvr| srvr.mode) {
        Some(Mode::Leader | Mode::Follower) => true,
        Some(Mode::Standalone) => alone,
        Some(Mode::Observer) | None => false,
    }
}

/// The number of a member whose name stays with it: 2 of `exhibitor-2.exhibitor-members.default.svc`. `None` for an address.
#[must_use]
pub fn ordinal(hostname: &str) -> Option<u32> {
    let (name, _) = hostname.strip_suffix(".svc")?.split_once('.')?;
    name.rsplit_once('-')?.1.parse().ok()
}

/// The members to remove to get down to `to` voters, in this order: those out of the quorum, then lowest ids first, the leader
/// last. Of members with numbers, those with the highest numbers go, in the same order.
#[must_use]
pub fn victims(state: &EnsembleState, to: u32) -> Vec<String> {
    let mut candidates: Vec<&Server> = state.servers.iter().filter(|server| !server.observer).collect();
    let surplus = candidates.len().saturating_sub(to as usize);
    if candidates.iter().any(|server| ordinal(&server.hostname).is_some()) {
        // A StatefulSet removes the pods with the highest numbers, whoever they are.
        candidates.sort_by_key(|server| Reverse(ordinal(&server.hostname)));
        candidates.truncate(surplus);
    }
    candidates.sort_by_key(|server| departure(state, server));
    candidates.into_iter().take(surplus).map(|server| server.hostname.clone()).collect()
}

/// The rank of a member among those that leave: out of the quorum, then lowest ids first, the leader last.
/// Of members that know the same, ZooKeeper elects the highest id: who leaves should not lead when the turn comes.
fn departure(state: &EnsembleState, server: &Server) -> (bool, bool, u32) {
    let member = member(state, &server.hostname);
    let serves = member.is_some_and(|member| in_quorum(member, voters(state) == 1));
    let leads =
        member.and_then(|member| member.zookeeper.as_ref()).is_some_and(|srvr| srvr.mode == Mode::Leader);
    (leads, serves, server.id)
}

/// Members that are known by address, in the order in which they leave for members with names that stay: the leader last.
#[must_use]
pub fn unnamed(state: &EnsembleState) -> Vec<String> {
    let mut unnamed: Vec<&Server> =
        state.servers.iter().filter(|server| ordinal(&server.hostname).is_none()).collect();
    unnamed.sort_by_key(|server| departure(state, server));
    unnamed.into_iter().map(|server| server.hostname.clone()).collect()
}

/// Addresses that can join: pods outside the ensemble whose Exhibitor answers; those that hold an ensemble's data first, then by
/// number, or in the order of [`EnsembleState::pods`]. Where there are pods with names that stay, no others join.
#[must_use]
pub fn candidates(state: &EnsembleState) -> Vec<String> {
    let answers = |address: &str| member(state, address).is_some_and(|member| member.exhibitor.is_some());
    let outside = |address: &str| state.servers.iter().all(|server| server.hostname != address);
    let named = has_names(state);
    let running = state.pods.iter().filter(|pod| !pod.deleting && pod.host.is_some() == named);
    let running = running.filter_map(Pod::address);
    let mut candidates: Vec<String> =
        running.filter(|address| outside(address) && answers(address)).map(str::to_owned).collect();
    let holders = holders(state);
    candidates.sort_by_key(|address| (!holders.contains(address), ordinal(address)));
    candidates
}

/// Addresses outside the ensemble that hold the data of one: their last transaction is of an epoch, and only an elected leader
/// begins one.
#[must_use]
pub fn holders(state: &EnsembleState) -> Vec<String> {
    let epoch = |member: &Member| Some(member.zookeeper.as_ref()?.zxid.epoch());
    let outside = state.members.iter().filter(|member| member.id.is_none());
    outside.filter(|member| epoch(member) > Some(0)).map(|member| member.hostname.clone()).collect()
}

/// Whether there are pods with names that stay.
fn has_names(state: &EnsembleState) -> bool {
    state.pods.iter().any(|pod| pod.host.is_some())
}

/// Members without a pod that could serve for them, by id: their pods are gone for good, addresses never come back. A member
/// with a name that stays is not lost: its pod comes back under the name, with the data.
#[must_use]
pub fn lost(state: &EnsembleState) -> Vec<String> {
    let hosts = state.servers.iter().map(|server| server.hostname.clone());
    hosts.filter(|host| is_gone(&state.pods, host)).collect()
}

/// Whether no pod is at this address, nor ever will be.
pub(crate) fn is_gone(pods: &[Pod], host: &str) -> bool {
    let comes_back = pods.iter().any(|pod| pod.host.is_some()) && ordinal(host).is_some();
    !comes_back && !pods.iter().any(|pod| is_at(pod, host))
}

/// What is to be done about ids that come near their end, if they do.
#[must_use]
pub fn ids_run_out(state: &EnsembleState) -> Option<(String, String)> {
    let highest = state.servers.iter().map(|server| server.id).max().unwrap_or(0);
    (highest > RENUMBER_ABOVE).then(|| {
        (
            format!("ids are used up to {highest}, and end at {MAX_ID}"),
            "`zkprov apply --compact-ids` numbers the members from 1 again; all restart together".to_owned(),
        )
    })
}

/// Why no majority can serve again by itself, if that is so: too many voters have no pod any more. Exhibitor may still put new
/// pods in their places, with the data of those that are left if they take part.
#[must_use]
pub fn majority_lost(state: &EnsembleState) -> Option<String> {
    let (voters, gone) = (voters(state), lost(state));
    let votes = |server: &&Server| !server.observer && !gone.contains(&server.hostname);
    let left = u32::try_from(state.servers.iter().filter(votes).count()).unwrap_or(u32::MAX);
    (left > 0 && left < need(voters)).then(|| {
        format!(
            "the majority is lost: {} of {voters} members have no pod any more, and {} are needed to serve",
            voters - left,
            need(voters)
        )
    })
}

fn is_at(pod: &Pod, hostname: &str) -> bool {
    !pod.deleting && pod.address() == Some(hostname)
}

/// Whether exactly `wanted` voters serve as one ensemble: everything could be read, all have read the same, no roll is under way, the spec has
/// that many voters with a running pod each, Exhibitor and ZooKeeper agree that each serves, and one alone leads.
#[must_use]
pub fn converged(state: &EnsembleState, wanted: u32) -> Verdict {
    let waiting = Verdict::Progressing;
    if let Some(stuck) = &state.stuck {
        return waiting(stuck.words());
    }
    if let Some(gap) = state.gaps.first() {
        return waiting(format!("{}: {}", gap.what, gap.why));
    }
    if state.rolling {
        return waiting("Exhibitor is rolling a change through the members".to_owned());
    }
    if !state.behind.is_empty() {
        return waiting(format!("{} to look at the latest configuration yet", state.behind.join(", ")));
    }
    let ids: BTreeSet<u32> = state.servers.iter().map(|server| server.id).collect();
    if ids.len() != state.servers.len() {
        return waiting("two members have the same id".to_owned());
    }
    let voters = voters(state);
    if voters != wanted {
        return waiting(format!("{voters} of {wanted} members in the ensemble"));
    }
    let lost = lost(state);
    if !lost.is_empty() {
        return waiting(format!(
            "{} has no pod any more; Exhibitor gives its place to a new pod after 60 to 120 s",
            lost.join(", ")
        ));
    }
    let healthy = healthy(state);
    if healthy != wanted {
        return waiting(format!("{healthy} of {wanted} members serve"));
    }
    agreed(state, wanted)
}

/// Whether enough voters serve to change what is wrong with the others: at least `wanted`, one of them leads, and no roll is
/// under way.
#[must_use]
pub fn holds(state: &EnsembleState, wanted: u32) -> Verdict {
    if state.rolling {
        return Verdict::Progressing("Exhibitor is rolling a change through the members".to_owned());
    }
    let serving = healthy(state);
    let mode = |server: &Server| Some(member(state, &server.hostname)?.zookeeper.as_ref()?.mode);
    let leaders = state.servers.iter().filter(|server| mode(server) == Some(Mode::Leader)).count();
    if serving < wanted {
        Verdict::Progressing(format!("{serving} of {wanted} members serve"))
    } else if leaders != 1 && wanted > 1 {
        Verdict::Progressing(format!("{leaders} members lead"))
    } else {
        Verdict::Ready
    }
}

/// The last transaction that any voter of the quorum knows: what is acknowledged is not above it. Each new leader begins an
/// epoch, so this only grows while the data lives. 0 when nobody serves.
#[must_use]
pub fn last_transaction(state: &EnsembleState) -> Zxid {
    let alone = voters(state) == 1;
    let serving = state.members.iter().filter(|member| member.id.is_some() && in_quorum(member, alone));
    serving.filter_map(|member| Some(member.zookeeper.as_ref()?.zxid)).max().unwrap_or_default()
}

/// What an ensemble that serves has lost, if its last transaction is older than one that was seen before it was changed.
#[must_use]
pub fn lost_transactions(state: &EnsembleState, seen: Zxid) -> Option<Verdict> {
    let now = last_transaction(state);
    (now != Zxid::default() && now < seen).then(|| Verdict::Failed {
        reason: format!("its last transaction is {now}, and was {seen} before: acknowledged writes are lost"),
        hint: "change nothing more; look for the member or the backup that has them".to_owned(),
    })
}

/// All voters serve by ZooKeeper's words; whether Exhibitor says so too and one alone leads.
fn agreed(state: &EnsembleState, wanted: u32) -> Verdict {
    let of_ensemble: Vec<&Member> =
        state.servers.iter().filter_map(|server| member(state, &server.hostname)).collect();
    let seen = of_ensemble.iter().filter(|member| member.exhibitor == Some(InstanceState::Serving)).count();
    if seen != state.servers.len() {
        return Verdict::Progressing(format!("Exhibitor sees {seen} of {wanted} members serving"));
    }
    let leads = |member: &&&Member| {
        let mode = member.zookeeper.as_ref().map(|srvr| srvr.mode);
        matches!(mode, Some(Mode::Leader | Mode::Standalone))
    };
    let by_zookeeper = of_ensemble.iter().filter(leads).count();
    let by_exhibitor = of_ensemble.iter().filter(|member| member.exhibitor_leader).count();
    match (by_zookeeper, by_exhibitor) {
        (1, 1) => Verdict::Ready,
        (1, seen) => Verdict::Progressing(format!("one leader, Exhibitor sees {seen}")),
        (leaders, _) => Verdict::Progressing(format!("{leaders} members say that they lead")),
    }
}

#[cfg(test)]
mod tests;
