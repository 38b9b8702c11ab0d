//! What to rebuild an ensemble from whose majority is lost: the verdict over what each pod holds.
//!
//! ZooKeeper itself elects by the epoch a server has followed, then by its last transaction: what a majority had
//! acknowledged is on the member that ranks highest among a majority. Without a majority nobody can know that; the most
//! that can be said is which of the pods that can be read knows most, and whether one that can't be read might know more.

use crate::exhibitor;
use crate::observed::{EnsembleState, Member, Mode};
use crate::plan::EnsembleTarget;
use crate::quorum;
use crate::zookeeper::Zxid;
use serde::Serialize;

/// What the ZooKeeper of one pod has stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// `currentEpoch`: of the last leader that it followed; `None` when it never was one of several.
    pub current_epoch: Option<i64>,
    /// `acceptedEpoch`: of the last leader that it was ready to follow.
    pub accepted_epoch: Option<i64>,
    /// The last transaction in its logs; `None` without any.
    pub log: Option<Zxid>,
    /// The newest snapshot; `None` without any.
    pub snapshot: Option<Zxid>,
    /// Znodes, when snapshot and logs together tell.
    pub znodes: Option<usize>,
}

/// Epoch followed and last transaction: ZooKeeper's own order of servers.
pub type Rank = (i64, Zxid);

impl Stored {
    /// The last transaction that it knows.
    #[must_use]
    pub fn last(&self) -> Zxid {
        self.log.max(self.snapshot).unwrap_or_default()
    }

    /// What it is elected by. The epoch is at least that of its last transaction.
    #[must_use]
    pub fn rank(&self) -> Rank {
        (self.current_epoch.unwrap_or(0).max(self.last().epoch()), self.last())
    }

    /// Whether it holds the data of an ensemble: only an elected leader begins an epoch, or a server alone in its list goes on in
    /// one.
    #[must_use]
    pub fn holds_data(&self) -> bool {
        self.rank().0 > 0
    }
}

/// What is known of one pod, or of a member without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Address.
    pub host: String,
    /// Pod; `None` when it is gone, and its data with it.
    pub pod: Option<String>,
    /// Id in the list; `None` outside it.
    pub id: Option<u32>,
    /// How its ZooKeeper serves; `None` when it does not.
    pub serves: Option<Mode>,
    /// What it has stored; `None` when its pod is gone or could not be read.
    pub stored: Option<Stored>,
    /// Why its pod could not be read.
    pub unreadable: Option<String>,
}

/// Puts what was read of the pods beside what is known of the members: the list first, by id. `read` has, for each pod by
/// name, what it has stored, or why that could not be read; a pod that is not in it could not be asked.
#[must_use]
pub fn evidence(state: &EnsembleState, read: &[(String, Result<Stored, String>)]) -> Vec<Evidence> {
    let of = |member: &Member| {
        let found = member.pod.as_ref().map(|pod| {
            let read = read.iter().find(|(name, _)| name == pod).map(|(_, read)| read.clone());
            read.unwrap_or_else(|| Err("it does not run".to_owned()))
        });
        Evidence {
            host: member.hostname.clone(),
            pod: member.pod.clone(),
            id: member.id,
            serves: member.zookeeper.as_ref().map(|srvr| srvr.mode),
            stored: found.as_ref().and_then(|read| read.as_ref().ok().copied()),
            unreadable: found.and_then(Result::err),
        }
    };
    let mut all: Vec<Evidence> = state.members.iter().map(of).collect();
    // A pod without an address has no member yet.
    let known = |name: &String| state.members.iter().any(|member| member.pod.as_ref() == Some(name));
    let unplaced = state.pods.iter().filter(|pod| !known(&pod.name));
    all.extend(unplaced.map(|pod| Evidence {
        host: pod.ip.clone().unwrap_or_default(),
        pod: Some(pod.name.clone()),
        id: None,
        serves: None,
        stored: None,
        unreadable: Some(format!("it is {} and has no address", pod.phase)),
    }));
    all
}

/// What `recover` is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// The ensemble is set to this one member, and grows from it.
    Rebuild(Source),
    /// A recovery before this one was interrupted: the ensemble of so many serves, and grows on.
    Resume {
        /// Voters there are.
        voters: u32,
    },
    /// Nothing is to be changed.
    Refuse(Refusal),
}

/// The member an ensemble is rebuilt from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Its address.
    pub host: String,
    /// Its pod.
    pub pod: String,
    /// Its id, which it keeps; `None` when the list has lost it, and it gets a new one.
    pub id: Option<u32>,
    /// What it has stored.
    pub stored: Stored,
    /// Pods that could not be read and were left out by name.
    pub without: Vec<String>,
}

/// Why nothing is to be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Stable kebab-case code.
    pub code: &'static str,
    /// What, without a full stop.
    pub message: String,
    /// What to do.
    pub fix: String,
}

/// Decides over the evidence. `declared` is the size that the file asks for; `without` are pods that the user names as not
/// to be waited for, though they may know more.
#[must_use]
pub fn judge(state: &EnsembleState, evidence: &[Evidence], declared: u32, without: &[String]) -> Verdict {
    refusal(state, evidence, declared, without).unwrap_or_else(|| choose(evidence, without))
}

/// What there is to decide before the choice; `None` when there is a choice.
fn refusal(
    state: &EnsembleState,
    evidence: &[Evidence],
    declared: u32,
    without: &[String],
) -> Option<Verdict> {
    let refuse = |code, message: String, fix: &str| {
        Some(Verdict::Refuse(Refusal { code, message, fix: fix.to_owned() }))
    };
    let voters = quorum::voters(state);
    if state.config.is_none() {
        return refuse(
            "not-readable",
            "no pod tells the shared configuration: nothing is known of the ensemble".to_owned(),
            "look at `zkprov status`",
        );
    }
    if voters == 0 {
        return refuse(
            "no-members",
            "the shared configuration names no members".to_owned(),
            "`zkprov apply` forms the ensemble of the pods that hold its data",
        );
    }
    if state.rolling {
        return refuse(
            "roll-in-progress",
            "Exhibitor is rolling a configuration change".to_owned(),
            "wait until `zkprov status` shows no roll",
        );
    }
    let (healthy, need) = (quorum::healthy(state), quorum::need(voters));
    if healthy >= need {
        return serves(state, evidence, declared);
    }
    let holders = evidence
        .iter()
        .filter(|one| one.id.is_some() && one.stored.is_some_and(|stored| stored.holds_data()));
    if u32::try_from(holders.count()).is_ok_and(|holders| holders >= need) {
        return refuse(
            "majority-holds-data",
            format!(
                "{need} or more of the {voters} members are there with their data: they elect a leader by themselves"
            ),
            "wait, and look at `zkprov status`; `zkprov ui` shows why one does not start",
        );
    }
    let open = |one: &&Evidence| {
        one.unreadable.is_some() && one.pod.as_ref().is_some_and(|pod| !without.contains(pod))
    };
    let unread: Vec<&Evidence> = evidence.iter().filter(open).collect();
    if unread.is_empty() {
        return None;
    }
    let why: Vec<String> = unread
        .iter()
        .map(|one| {
            format!(
                "{} ({})",
                one.pod.as_deref().unwrap_or_default(),
                one.unreadable.as_deref().unwrap_or_default()
            )
        })
        .collect();
    let options: Vec<String> =
        unread.iter().filter_map(|one| Some(format!("--without {}", one.pod.as_ref()?))).collect();
    Some(Verdict::Refuse(Refusal {
        code: "pods-not-read",
        message: format!("may know more than any other, and can't be read: {}", why.join(", ")),
        fix: format!(
            "bring them back, or give up what only they know: `zkprov recover {}`",
            options.join(" ")
        ),
    }))
}

/// A quorum serves: nothing to recover, unless it is a recovery's own.
fn serves(state: &EnsembleState, evidence: &[Evidence], declared: u32) -> Option<Verdict> {
    let voters = quorum::voters(state);
    let known = |inside: bool| {
        let ranks = evidence.iter().filter(|one| (one.serves.is_some() && one.id.is_some()) == inside);
        ranks.filter_map(|one| Some((one.stored?.rank(), one.pod.clone()?))).max()
    };
    if let (Some((best, pod)), Some((serving, _))) = (known(false), known(true))
        && best.0 > serving.0
    {
        return Some(Verdict::Refuse(Refusal {
            code: "serves-less",
            message: format!(
                "a quorum serves, and {pod} holds what it does not know: epoch {} to {}, against epoch {} to {}",
                best.0, best.1, serving.0, serving.1
            ),
            fix: format!("keep {pod} and copy its data before it joins; two histories can't be merged"),
        }));
    }
    if voters < declared && (voters == 1 || voters.is_multiple_of(2)) {
        return Some(Verdict::Resume { voters });
    }
    Some(Verdict::Refuse(Refusal {
        code: "quorum-serves",
        message: format!("{} of {voters} members serve: there is nothing to recover", quorum::healthy(state)),
        fix: "`zkprov apply` replaces members that are missing".to_owned(),
    }))
}

/// The readable pod that knows most; of several that know the same, a member before others, and the lowest id.
fn choose(evidence: &[Evidence], without: &[String]) -> Verdict {
    let readable = evidence.iter().filter_map(|one| Some((one, one.pod.clone()?, one.stored?)));
    let best = readable.max_by_key(|(one, _, stored)| {
        (stored.rank(), one.id.map(|id| u32::MAX - id), std::cmp::Reverse(&one.host))
    });
    match best.filter(|(_, _, stored)| stored.holds_data()) {
        Some((one, pod, stored)) => Verdict::Rebuild(Source {
            host: one.host.clone(),
            pod,
            id: one.id,
            stored,
            without: without.to_vec(),
        }),
        None => Verdict::Refuse(Refusal {
            code: "no-data",
            message: "no pod holds data of this ensemble".to_owned(),
            fix: "restore a backup into a new ensemble".to_owned(),
        }),
    }
}

/// What the shared configuration has to say for the ensemble to be this one member.
#[must_use]
pub fn alone(state: &EnsembleState, source: &Source) -> EnsembleTarget {
    let others = state.servers.iter().filter(|server| server.hostname != source.host);
    let inside = state.servers.iter().any(|server| server.hostname == source.host);
    let own = vec![source.host.clone()];
    EnsembleTarget {
        voters: 1,
        // At its size, no pod enters itself.
        fixed_size: 1,
        keep: if inside { own.clone() } else { Vec::new() },
        join: if inside { Vec::new() } else { own },
        remove: others.map(|server| server.hostname.clone()).collect(),
        rolling: false,
        canary: false,
        renumber: false,
    }
}

/// What the list says before and after, for the plan.
#[must_use]
pub fn lists(state: &EnsembleState, source: &Source) -> (String, String) {
    let after = source.id.map_or_else(|| source.host.clone(), |id| format!("{id}:{}", source.host));
    (exhibitor::format_servers(&state.servers), after)
}

#[cfg(test)]
mod tests;
