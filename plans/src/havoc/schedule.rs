//! What is killed when: drawn from a seed, never more voters at once than the budget allows.

use super::draw::Draw;
use crate::observed::EnsembleState;
use crate::quorum;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// How many voters may be gone at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// `quorum-1`: as many as leave the quorum whole.
    Quorum,
    /// So many.
    Voters(u32),
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "quorum-1" => Ok(Self::Quorum),
            _ => text
                .parse()
                .map(Self::Voters)
                .map_err(|_| format!("`{text}` is neither `quorum-1` nor a number of voters")),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Pods a round.
    pub pods: u32,
    /// Nodes a round.
    pub nodes: u32,
    /// The file server's VM, once a round.
    pub file_server: bool,
    /// Rounds.
    pub rounds: u32,
    /// The same seed on the same placement gives the same schedule.
    pub seed: u64,
    /// Voters that may be gone at once.
    pub budget: Budget,
}

/// A VM of Compute Engine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Machine {
    /// Project.
    pub project: String,
    /// Zone.
    pub zone: String,
    /// Name.
    pub name: String,
}

/// A voter and where it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Voter {
    /// ZooKeeper's server id.
    pub id: u32,
    /// Address.
    pub host: String,
    /// Pod.
    pub pod: String,
    /// Node.
    pub node: String,
}

/// Where the voters are, and what can be reset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// Voters, by id.
    pub voters: Vec<Voter>,
    /// The machines of nodes, by node; a node that is not here has none that could be reset.
    pub machines: BTreeMap<String, Machine>,
    /// The file server's machine.
    pub file_server: Option<Machine>,
}

impl Placement {
    /// The placement of an ensemble's voters; machines are known to whoever reads them.
    ///
    /// # Errors
    /// The first voter without a pod on a node, in words.
    pub fn of(state: &EnsembleState) -> Result<Self, String> {
        let mut voters = Vec::new();
        for server in state.servers.iter().filter(|server| !server.observer) {
            let pod = state
                .pods
                .iter()
                .find(|pod| !pod.deleting && pod.address() == Some(server.hostname.as_str()));
            let pod = pod.ok_or_else(|| format!("{} has no pod", server.hostname))?;
            let node = pod.node.clone().ok_or_else(|| format!("{} is on no node", pod.name))?;
            voters.push(Voter { id: server.id, host: server.hostname.clone(), pod: pod.name.clone(), node });
        }
        voters.sort_by_key(|voter| voter.id);
        Ok(Self { voters, ..Self::default() })
    }

    fn on<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a Voter> {
        self.voters.iter().filter(move |voter| voter.node == node)
    }
}

/// What a kill is aimed at, in words that outlive its replacement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Aim {
    /// The pod of a voter, by its place in the order of ids, from 1: a replaced pod has another name and a higher id.
    Voter(usize),
    /// A node and everything on it.
    Node(String),
    /// The file server.
    FileServer,
}

/// How a kill is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Means {
    /// The pods are deleted without grace.
    DeletePods(Vec<String>),
    /// The machine is reset, as by its power switch.
    Reset(Machine),
}

/// A kill on the placement as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kill {
    /// At what.
    pub aim: Aim,
    /// How.
    pub means: Means,
    /// The voters it takes.
    pub takes: Vec<Voter>,
}

/// Kills of one round, in waves: those of a wave strike at once, and the ensemble is whole again before the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Round {
    /// The waves, in their order.
    pub waves: Vec<Vec<Aim>>,
}

/// Everything that is to be killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Schedule {
    /// The seed it was drawn from.
    pub seed: u64,
    /// Voters when it was drawn.
    pub voters: u32,
    /// Voters that may be gone at once.
    pub budget: u32,
    /// The rounds, in their order.
    pub rounds: Vec<Round>,
}

/// Why there is no schedule: nothing that is asked for may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub hint: String,
}

impl Refusal {
    fn new(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { why: why.into(), hint: hint.into() }
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Voter(place) => write!(f, "voter {place}"),
            Self::Node(node) => write!(f, "node {node}"),
            Self::FileServer => write!(f, "file server"),
        }
    }
}

/// The budget in voters.
///
/// # Errors
/// For an ensemble that survives no loss, and for a number that would break the quorum.
fn allowed(budget: Budget, voters: u32) -> Result<u32, Refusal> {
    let most = quorum::tolerated(voters);
    if most == 0 {
        let why = format!("an ensemble of {voters} survives no loss");
        return Err(Refusal::new(why, "`zkprov scale 3` makes one that does"));
    }
    match budget {
        Budget::Quorum => Ok(most),
        Budget::Voters(number) if number <= most => Ok(number),
        Budget::Voters(number) => {
            let why = format!(
                "a budget of {number} breaks the quorum: {} of {voters} voters have to stay",
                quorum::need(voters)
            );
            Err(Refusal::new(why, format!("--budget {most} is the most that leaves the quorum whole")))
        }
    }
}

/// Draws a schedule.
///
/// # Errors
/// When the budget is below what one kill takes, or there are fewer victims than asked for.
pub fn schedule(wanted: &Wanted, placement: &Placement) -> Result<Schedule, Refusal> {
    let voters = u32::try_from(placement.voters.len()).unwrap_or(u32::MAX);
    let budget = allowed(wanted.budget, voters)?;
    let places: Vec<usize> = (1..=placement.voters.len()).collect();
    if wanted.pods == 0 && wanted.nodes == 0 && !wanted.file_server {
        return Err(Refusal::new("nothing is to be killed", "--pods 1"));
    }
    if wanted.pods > voters {
        let why = format!("{} pods a round are more than the {voters} voters", wanted.pods);
        return Err(Refusal::new(why, format!("--pods {voters} at most")));
    }
    if wanted.pods > 0 && budget < 1 {
        return Err(Refusal::new("a pod takes 1 voter, and the budget is 0", "--budget quorum-1"));
    }
    let nodes = eligible(placement, budget);
    if wanted.nodes as usize > nodes.len() {
        return Err(too_few_nodes(wanted, placement, budget, nodes.len()));
    }
    if wanted.file_server && placement.file_server.is_none() {
        let why = "the file server is no VM that could be reset";
        return Err(Refusal::new(why, "leave out --file-server"));
    }
    let rounds = (1..=u64::from(wanted.rounds)).map(|number| {
        let mut draw = Draw::of(wanted.seed, number);
        let pods = draw.shuffle(places.clone()).into_iter().take(wanted.pods as usize).map(Aim::Voter);
        let mut aims: Vec<Aim> = pods.collect();
        aims.extend(draw.shuffle(nodes.clone()).into_iter().take(wanted.nodes as usize).map(Aim::Node));
        aims.extend(wanted.file_server.then_some(Aim::FileServer));
        Round { waves: waves(draw.shuffle(aims), placement, budget) }
    });
    Ok(Schedule { seed: wanted.seed, voters, budget, rounds: rounds.collect() })
}

/// Nodes with voters, and with no more than the budget, by name.
fn eligible(placement: &Placement, budget: u32) -> Vec<String> {
    let nodes: BTreeSet<&String> = placement.voters.iter().map(|voter| &voter.node).collect();
    let fits = |node: &&String| placement.on(node).count() <= budget as usize;
    nodes.into_iter().filter(fits).cloned().collect()
}

fn too_few_nodes(wanted: &Wanted, placement: &Placement, budget: u32, fit: usize) -> Refusal {
    let nodes: BTreeSet<&String> = placement.voters.iter().map(|voter| &voter.node).collect();
    let crowded = nodes.iter().map(|node| (placement.on(node).count(), *node)).max();
    let why = match crowded {
        Some((held, node)) if held > budget as usize => {
            format!("node {node} holds {held} voters, and the budget is {budget}")
        }
        Some(_) | None => format!("{} nodes a round, and {fit} hold voters", wanted.nodes),
    };
    let hint = if fit == 0 {
        "leave out --nodes, or spread the members: `spec.exhibitor.spread: required`".to_owned()
    } else {
        format!("--nodes {fit} at most")
    };
    Refusal::new(why, hint)
}

/// Packs kills into waves, in their order: a kill that would break the budget, or strike a voter twice, waits.
fn waves(aims: Vec<Aim>, placement: &Placement, budget: u32) -> Vec<Vec<Aim>> {
    let mut waves: Vec<Vec<Aim>> = Vec::new();
    for aimed in aims {
        let joined = waves.last().map(|last| [last.as_slice(), std::slice::from_ref(&aimed)].concat());
        let joined = joined.filter(|joined| aim(joined, placement, budget).is_ok());
        match (waves.last_mut(), joined) {
            (Some(last), Some(joined)) => *last = joined,
            (Some(_) | None, _) => waves.push(vec![aimed]),
        }
    }
    waves
}

/// Aims a wave at the placement as it is now.
///
/// # Errors
/// When a victim is not there any more, or the wave would take more voters than the budget: in words.
pub fn aim(wave: &[Aim], placement: &Placement, budget: u32) -> Result<Vec<Kill>, String> {
    let mut kills = Vec::new();
    for aim in wave {
        let (means, takes) = match aim {
            Aim::Voter(place) => {
                let voter = placement.voters.get(place.saturating_sub(1));
                let voter = voter.ok_or_else(|| format!("there is no {aim}"))?;
                (Means::DeletePods(vec![voter.pod.clone()]), vec![voter.clone()])
            }
            Aim::Node(node) => {
                let takes: Vec<Voter> = placement.on(node).cloned().collect();
                if takes.is_empty() {
                    return Err(format!("{aim} holds no voter any more"));
                }
                let means = match placement.machines.get(node) {
                    Some(machine) => Means::Reset(machine.clone()),
                    None => Means::DeletePods(takes.iter().map(|voter| voter.pod.clone()).collect()),
                };
                (means, takes)
            }
            Aim::FileServer => {
                let machine = placement.file_server.clone();
                (Means::Reset(machine.ok_or("the file server is no VM")?), Vec::new())
            }
        };
        kills.push(Kill { aim: aim.clone(), means, takes });
    }
    let taken: Vec<u32> = kills.iter().flat_map(|kill| &kill.takes).map(|voter| voter.id).collect();
    let distinct: BTreeSet<u32> = taken.iter().copied().collect();
    if distinct.len() < taken.len() {
        return Err("two kills of one wave strike the same voter".to_owned());
    }
    if taken.len() > budget as usize {
        return Err(format!("it would take {} voters, and the budget is {budget}", taken.len()));
    }
    Ok(kills)
}
