//! Who leads, who follows: ZooKeeper's elections over the members of one share.
//!
//! Simplified from 3.4: votes are not exchanged one by one. A server takes part once its own election time is over, the
//! candidate is the best (epoch, last logged transaction, id) that a majority can agree on, each by its own list of
//! voters. Kept from 3.4: each process goes by the list it was started with; a newcomer that the others do not
//! know may follow them, if it has the higher id (the higher id makes the connection, so it must know the lower one);
//! a server alone in its list runs stand-alone.

use super::data::{Operation, Transaction};
use super::member::{Member, Process, Zoo};
use super::{Share, timing};
use crate::api::Time;
use std::cmp::Reverse;
use std::sync::Arc;

impl Member {
    /// Whether its peers hear of it.
    fn heard(&self, now: Time) -> bool {
        self.hung.is_none_or(|since| now < since + timing::HUNG_PEER_MS)
    }

    fn candidate_rank(&self) -> (u64, u64, i64) {
        let logged = self.data.logged().map_or(0, |(_, last)| last.zxid);
        (self.data.epoch, logged, self.zoo.id.unwrap_or(0))
    }

    fn looks(&self, now: Time, joining: bool) -> bool {
        match self.process {
            Process::Looking { join_at, elect_at } => now >= if joining { join_at } else { elect_at },
            Process::Stopped { .. }
            | Process::Booting { .. }
            | Process::Standalone
            | Process::Leading
            | Process::Following { .. } => false,
        }
    }

    /// Begins to look for a leader.
    pub(super) fn look(&mut self, now: Time, voter_unreachable: bool) {
        let (join, elect) = if voter_unreachable {
            (timing::UNREACHABLE_VOTER_JOIN_MS, timing::UNREACHABLE_VOTER_ELECTION_MS)
        } else {
            (0, 0)
        };
        let base = now + timing::ELECTION_MS + self.jitter.below(timing::ELECTION_JITTER_MS);
        self.process = Process::Looking { join_at: base + join, elect_at: base + elect };
    }
}

impl Zoo {
    fn knows(&self, other: &Member) -> bool {
        self.peer_ports == other.zoo.peer_ports
            && self
                .servers
                .0
                .iter()
                .any(|server| Some(server.id) == other.zoo.id && server.host == other.address)
    }

    fn has_voter(&self, id: Option<i64>) -> bool {
        self.servers.voters().any(|server| Some(server.id) == id)
    }

    fn is_majority(&self, count: usize) -> bool {
        count * 2 > self.servers.voters().count()
    }
}

/// Whether two servers can talk about elections: the higher id connects, so it has to know the lower, and reach it.
fn connected(one: &Member, other: &Member) -> bool {
    let connects = |from: &Member, to: &Member| {
        let (_, election) = to.zoo.peer_ports;
        from.zoo.knows(to) && to.lets_in(&from.address, election)
    };
    match one.zoo.id.cmp(&other.zoo.id) {
        std::cmp::Ordering::Less => connects(other, one),
        std::cmp::Ordering::Greater => connects(one, other),
        std::cmp::Ordering::Equal => false,
    }
}

fn can_follow(follower: &Member, leader: &Member) -> bool {
    let (peers, _) = leader.zoo.peer_ports;
    follower.zoo.knows(leader) && connected(follower, leader) && leader.lets_in(&follower.address, peers)
}

impl Share {
    /// Settles who leads and who follows at this time.
    pub(super) fn settle_quorum(&mut self, now: Time) {
        while self.drop_lost(now) || self.join_one(now) || self.elect_one(now) {}
    }

    /// Whether connections to a voter of this server's list get no answer: there is no host at its address, or a policy
    /// drops them.
    pub(super) fn voter_unreachable(&self, member: &Member) -> bool {
        let (_, election) = member.zoo.peer_ports;
        let silent = |host: &String| {
            self.members.get(host).is_none_or(|other| !other.lets_in(&member.address, election))
        };
        member.zoo.servers.voters().any(|server| silent(&server.host))
    }

    /// Members that follow this leader and are heard, as voters.
    fn voting_followers(&self, leader: &str, now: Time) -> usize {
        let follows = |member: &&Member| match &member.process {
            Process::Following { leader: followed } => followed == leader && !member.zoo.observer,
            Process::Stopped { .. }
            | Process::Booting { .. }
            | Process::Looking { .. }
            | Process::Standalone
            | Process::Leading => false,
        };
        self.members.values().filter(follows).filter(|member| member.heard(now)).count()
    }

    /// Leaders without a majority and followers without a leader look again.
    fn drop_lost(&mut self, now: Time) -> bool {
        let lost: Vec<String> = self
            .members
            .values()
            .filter(|member| self.is_lost(member, now))
            .map(|m| m.address.clone())
            .collect();
        for address in &lost {
            self.look_again(address, now);
        }
        !lost.is_empty()
    }

    fn is_lost(&self, member: &Member, now: Time) -> bool {
        match &member.process {
            Process::Leading => {
                !member.heard(now) || !member.zoo.is_majority(self.voting_followers(&member.address, now) + 1)
            }
            Process::Following { leader } => {
                let leads = |leader: &Member| leader.process == Process::Leading && leader.heard(now);
                !member.heard(now) || !self.members.get(leader).is_some_and(leads)
            }
            Process::Stopped { .. }
            | Process::Booting { .. }
            | Process::Looking { .. }
            | Process::Standalone => false,
        }
    }

    /// The member begins to look for a leader.
    pub(super) fn look_again(&mut self, address: &str, now: Time) {
        let unreachable = self.members.get(address).is_some_and(|member| self.voter_unreachable(member));
        if let Some(member) = self.members.get_mut(address) {
            member.look(now, unreachable);
        }
    }

    /// One member that looks finds a leader that is there.
    fn join_one(&mut self, now: Time) -> bool {
        let found =
            self.members.values().filter(|member| member.looks(now, true) && member.heard(now)).find_map(
                |member| {
                    let leader = self.members.values().find(|leader| self.may_join(member, leader, now))?;
                    Some((member.address.clone(), leader.address.clone()))
                },
            );
        let Some((follower, leader)) = found else { return false };
        self.follow(&follower, &leader);
        true
    }

    /// A server joins when a majority of its own voters say that this is the leader.
    fn may_join(&self, member: &Member, leader: &Member, now: Time) -> bool {
        if leader.process != Process::Leading || !leader.heard(now) || !can_follow(member, leader) {
            return false;
        }
        let says = |peer: &&Member| {
            let agrees = peer.address == leader.address
                || peer.process == (Process::Following { leader: leader.address.clone() });
            agrees && peer.heard(now) && member.zoo.has_voter(peer.zoo.id) && connected(member, peer)
        };
        member.zoo.is_majority(self.members.values().filter(says).count())
    }

    /// One election that can be decided is decided.
    fn elect_one(&mut self, now: Time) -> bool {
        let mut looking: Vec<&Member> =
            self.members.values().filter(|member| member.looks(now, false) && member.heard(now)).collect();
        looking.sort_by_key(|member| Reverse(member.candidate_rank()));
        let elected = looking
            .iter()
            .find_map(|candidate| Some((candidate.address.clone(), electors(candidate, &looking)?)));
        let Some((leader, followers)) = elected else { return false };
        self.lead(&leader, &followers, now);
        for follower in followers {
            self.follow(&follower, &leader);
        }
        true
    }

    fn lead(&mut self, leader: &str, followers: &[String], now: Time) {
        let epochs = followers
            .iter()
            .chain([&leader.to_owned()])
            .filter_map(|address| self.members.get(address))
            .map(|m| m.data.accepted_epoch.max(m.data.epoch))
            .collect::<Vec<_>>();
        let epoch = epochs.into_iter().max().unwrap_or(0) + 1;
        if let Some(member) = self.members.get_mut(leader) {
            member.process = Process::Leading;
            member.data.save();
            member.data.epoch = epoch;
            member.data.accepted_epoch = epoch;
            member.data.zxid = epoch << 32;
        }
        self.track_sessions(leader, now);
    }

    fn follow(&mut self, follower: &str, leader: &str) {
        let Some(data) = self.members.get(leader).map(|member| member.data.clone()) else { return };
        if let Some(member) = self.members.get_mut(follower) {
            member.data.synchronise(&data);
            member.process = Process::Following { leader: leader.to_owned() };
        }
    }

    /// Commits an operation that Exhibitor asks of this member, about a path.
    ///
    /// # Errors
    /// ZooKeeper's message: no connection.
    pub(super) fn commit(
        &mut self,
        address: &str,
        operation: Operation,
        path: &str,
        now: Time,
    ) -> Result<u64, String> {
        self.log(address, Transaction { zxid: 0, time: now, session: 0, cxid: 0, operation })
            .ok_or_else(|| format!("KeeperErrorCode = ConnectionLoss for {path}"))
    }

    /// Gives a transaction the next id, and carries it out on every server of this member's group; `None` when it
    /// serves nobody. Watches fire by what each server's own tree makes of it.
    pub(super) fn log(&mut self, address: &str, transaction: Transaction) -> Option<u64> {
        let group = self.group(address)?;
        let leader = group.first().and_then(|leader| self.members.get(leader))?;
        let zxid = leader.data.zxid + 1;
        let transaction = Arc::new(Transaction { zxid, ..transaction });
        for address in group {
            let events = self.members.get_mut(&address).map(|member| member.data.apply(&transaction));
            self.notify(&address, &events.unwrap_or_default());
        }
        Some(zxid)
    }

    /// The servers that share this member's transactions, leader first; `None` when it serves nobody.
    pub(super) fn group(&self, address: &str) -> Option<Vec<String>> {
        let member = self.members.get(address).filter(|member| member.port_answers())?;
        let leader = match &member.process {
            Process::Standalone => return Some(vec![address.to_owned()]),
            Process::Leading => address.to_owned(),
            Process::Following { leader } => leader.clone(),
            Process::Stopped { .. } | Process::Booting { .. } | Process::Looking { .. } => return None,
        };
        let follows = Process::Following { leader: leader.clone() };
        let followers =
            self.members.values().filter(|member| member.process == follows).map(|m| m.address.clone());
        Some(std::iter::once(leader).chain(followers).collect())
    }
}

/// Who elects this candidate, itself left out; `None` when it does not get a quorum.
fn electors(candidate: &Member, looking: &[&Member]) -> Option<Vec<String>> {
    if !candidate.zoo.has_voter(candidate.zoo.id) {
        return None;
    }
    let mut with: Vec<&Member> =
        looking.iter().copied().filter(|member| can_follow(member, candidate)).collect();
    loop {
        let hears = |member: &Member, voters: &[&Member]| {
            let peers =
                voters.iter().filter(|peer| member.zoo.has_voter(peer.zoo.id) && connected(member, peer));
            let own = usize::from(member.zoo.has_voter(member.zoo.id));
            peers.count() + own + usize::from(member.zoo.has_voter(candidate.zoo.id))
        };
        let kept: Vec<&Member> =
            with.iter().copied().filter(|member| member.zoo.is_majority(hears(member, &with))).collect();
        if kept.len() == with.len() {
            break;
        }
        with = kept;
    }
    let votes = with.iter().filter(|member| candidate.zoo.has_voter(member.zoo.id)).count() + 1;
    candidate.zoo.is_majority(votes).then(|| with.iter().map(|member| member.address.clone()).collect())
}
