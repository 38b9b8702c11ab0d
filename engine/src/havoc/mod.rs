//! Havoc carried out: each wave strikes an ensemble that is whole, under its lock, and is watched until the ensemble is whole
//! again, while a canary writes and reads. What is killed is the schedule's choice; how it is judged, `zkprov_plans::havoc`'s.

mod canary;
mod session;
#[cfg(test)]
mod tests;
mod watch;

pub use canary::Store;
pub use session::Session;

use crate::connection::Pace;
use crate::error::ProviderError;
use canary::{Notes, Song};
use futures::future::{BoxFuture, join_all};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, timeout};
use watch::{Watch, unless_stopped};
use zkprov_plans::havoc::{Aim, Check, End, Kill, Placement, Record, Schedule, Strike, aim};
use zkprov_plans::observed::{EnsembleState, Pod};

/// How long the members may take to tell what they have, after a run.
const CHECK: Duration = Duration::from_secs(120);
/// How long it may take to remove what the canary wrote.
const CLEAN: Duration = Duration::from_secs(60);
/// And after a run that was interrupted.
const CLEAN_FAST: Duration = Duration::from_secs(5);

/// An ensemble and what it stands on.
pub trait Field: Send + Sync {
    /// Looks at the ensemble once.
    fn look(&self) -> BoxFuture<'_, Result<EnsembleState, ProviderError>>;

    /// Looks at its pods alone, which takes a moment even when members are gone.
    fn pods(&self) -> BoxFuture<'_, Result<Vec<Pod>, ProviderError>>;

    /// Where its voters are, and what can be reset; `Err` inside says which voter is nowhere.
    fn place<'a>(
        &'a self,
        state: &'a EnsembleState,
    ) -> BoxFuture<'a, Result<Result<Placement, String>, ProviderError>>;

    /// Takes the ensemble's lock, or makes sure that it is still held.
    fn hold(&self) -> BoxFuture<'_, Result<(), ProviderError>>;

    /// Kills. `request_id`, a UUID, makes a repetition harmless where the API knows it.
    fn kill<'a>(&'a self, kill: &'a Kill, request_id: &'a str) -> BoxFuture<'a, Result<(), ProviderError>>;

    /// Whether a file server that was killed serves again.
    fn file_server_is_back(&self) -> BoxFuture<'_, Result<bool, ProviderError>>;
}

/// A run.
pub struct Havoc<'a> {
    /// On what.
    pub field: &'a dyn Field,
    /// Who writes meanwhile.
    pub canary: &'a dyn Store,
    /// How often to look.
    pub pace: Pace,
    /// How long the ensemble may take to be whole again.
    pub deadline: Duration,
    /// When no further wave begins.
    pub duration: Option<Duration>,
    /// Becomes true when the user asks to stop.
    pub stop: Receiver<bool>,
    /// Told what happens, in words for people.
    pub tell: &'a (dyn Fn(String) + Send + Sync),
    /// Name of the ensemble.
    pub ensemble: String,
    /// Name of this run, below which the canary writes.
    pub run: String,
}

/// Carries out a schedule; never fails, the record says how it ended.
pub async fn run(schedule: Schedule, havoc: &Havoc<'_>) -> Record {
    let song = Song::default();
    // What nobody can write to is not struck, and the time begins when somebody can.
    let begun = unless_stopped(havoc, canary::first(havoc.canary, havoc.deadline)).await;
    let begun = begun.and_then(|first| first.map_err(End::Aborted));
    let begin = Instant::now();
    let mut watch = Watch::new(havoc, &schedule, begin);
    let end = match begun {
        Err(end) => end,
        Ok(number) => tokio::select! {
            end = rounds(&schedule, havoc, &mut watch) => end.err().unwrap_or(End::Done),
            never = song.sing(havoc.canary, number, begin) => match never {},
        },
    };
    let took = canary::milliseconds(begin.elapsed());
    let notes = song.notes();
    let check = match end {
        End::Interrupted => Check::NotRead { why: "the run was interrupted".to_owned() },
        End::Done | End::TimeUp | End::BudgetBroken(_) | End::NotRecovered(_) | End::Aborted(_) => {
            (havoc.tell)("reading every acknowledged write from every member".to_owned());
            let late = Check::NotRead { why: format!("no answer within {} s", CHECK.as_secs()) };
            timeout(CHECK, check(havoc, &watch.state, &notes)).await.unwrap_or(late)
        }
    };
    let patience = if end == End::Interrupted { CLEAN_FAST } else { CLEAN };
    if let Ok(Err(why)) | Err(why) =
        timeout(patience, havoc.canary.clean()).await.map_err(|_| "no answer".to_owned())
    {
        (havoc.tell)(format!("the canary's znodes are left below {}: {why}", root(&havoc.run)));
    }
    Record {
        ensemble: havoc.ensemble.clone(),
        run: havoc.run.clone(),
        deadline: canary::milliseconds(havoc.deadline),
        strikes: watch.strikes,
        members: watch.members,
        most_down: watch.most_down,
        writes: notes.writes,
        reads: notes.reads,
        took,
        end,
        check,
        schedule,
    }
}

/// The znode below which the canary of a run writes.
#[must_use]
pub fn root(run: &str) -> String {
    format!("/zkprov/havoc/{run}")
}

/// Every wave in turn.
async fn rounds(schedule: &Schedule, havoc: &Havoc<'_>, watch: &mut Watch<'_>) -> Result<(), End> {
    for (number, round) in (1..).zip(&schedule.rounds) {
        for (nth, wave) in (0..).zip(&round.waves) {
            if havoc.duration.is_some_and(|duration| watch.begin.elapsed() >= duration) {
                return Err(End::TimeUp);
            }
            let kills = aimed(schedule, havoc, watch, wave).await?;
            let words: Vec<String> = kills.iter().map(|kill| kill.aim.to_string()).collect();
            (havoc.tell)(format!("round {number}: killing {}", words.join(", ")));
            strike(havoc, watch, number, nth, kills).await?;
            watch.until_recovered().await?;
        }
    }
    Ok(())
}

/// Waits until the ensemble is whole and aims a wave at it. It is looked at once more after that: what is killed is what was seen
/// then.
async fn aimed(
    schedule: &Schedule,
    havoc: &Havoc<'_>,
    watch: &mut Watch<'_>,
    wave: &[Aim],
) -> Result<Vec<Kill>, End> {
    let abort = |error: ProviderError| End::Aborted(crate::error::one_line(&error));
    let patience = Instant::now() + havoc.deadline;
    loop {
        let state = watch.until_whole(patience).await?;
        unless_stopped(havoc, havoc.field.hold()).await?.map_err(abort)?;
        let placement = unless_stopped(havoc, havoc.field.place(&state)).await?.map_err(abort)?;
        let placement = placement.map_err(End::Aborted)?;
        let again = watch.look().await?;
        let same = Placement::of(&again).is_ok_and(|now| now.voters == placement.voters);
        if watch.is_whole(&again) && same {
            return aim(wave, &placement, schedule.budget).map_err(End::Aborted);
        }
    }
}

async fn strike(
    havoc: &Havoc<'_>,
    watch: &mut Watch<'_>,
    round: usize,
    wave: usize,
    kills: Vec<Kill>,
) -> Result<(), End> {
    if *havoc.stop.borrow() {
        return Err(End::Interrupted);
    }
    let at = canary::milliseconds(watch.begin.elapsed());
    let ids: Vec<String> =
        (0..kills.len()).map(|nth| crate::executor::request_id(&havoc.run, round, wave * 64 + nth)).collect();
    let killing = kills.iter().zip(&ids).map(|(kill, id)| havoc.field.kill(kill, id));
    let killed = join_all(killing).await;
    watch.strikes.push(Strike { round, at, kills, detected: None, quorum: Some(0), serving: None });
    match killed.into_iter().find_map(Result::err) {
        Some(error) => Err(End::Aborted(crate::error::one_line(&error))),
        None => Ok(()),
    }
}

/// Reads from every voter that has a pod what it has of the acknowledged writes.
async fn check(havoc: &Havoc<'_>, state: &EnsembleState, notes: &Notes) -> Check {
    let mut lost = BTreeMap::new();
    let mut members = Vec::new();
    for server in state.servers.iter().filter(|server| !server.observer) {
        let at = |pod: &&Pod| !pod.deleting && pod.address() == Some(server.hostname.as_str());
        let Some(pod) = state.pods.iter().find(at) else {
            return Check::NotRead { why: format!("{} has no pod", server.hostname) };
        };
        match havoc.canary.numbers_on(&pod.name).await {
            Ok(numbers) => {
                let missing = notes.acknowledged.difference(&numbers).copied().collect();
                lost.insert(server.hostname.clone(), missing);
                members.push(server.hostname.clone());
            }
            Err(why) => return Check::NotRead { why: format!("{}: {why}", server.hostname) },
        }
    }
    if members.is_empty() {
        return Check::NotRead { why: "no member was seen".to_owned() };
    }
    Check::Read { members, lost }
}
