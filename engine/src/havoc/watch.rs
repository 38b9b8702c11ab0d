//! The ensemble watched: who is gone, whether the budget holds, when it is whole again.

use super::Havoc;
use super::canary::milliseconds;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use zkprov_plans::havoc::{End, Lane, Schedule, Strike, down, lanes};
use zkprov_plans::observed::EnsembleState;
use zkprov_plans::quorum;
use zkprov_plans::readiness::Verdict;

/// How often the pods are looked at while a look at the members goes on.
const GLANCE: Duration = Duration::from_secs(1);

/// What was seen so far.
pub(super) struct Watch<'a> {
    havoc: &'a Havoc<'a>,
    voters: u32,
    budget: u32,
    pub(super) begin: Instant,
    /// The last look.
    pub(super) state: EnsembleState,
    /// Who answered nothing at the last look.
    silent: BTreeSet<String>,
    pub(super) strikes: Vec<Strike>,
    pub(super) members: BTreeMap<String, Lane>,
    pub(super) most_down: u32,
}

impl<'a> Watch<'a> {
    pub(super) fn new(havoc: &'a Havoc<'a>, schedule: &Schedule, begin: Instant) -> Self {
        Self {
            havoc,
            voters: schedule.voters,
            budget: schedule.budget,
            begin,
            state: EnsembleState::default(),
            silent: BTreeSet::new(),
            strikes: Vec::new(),
            members: BTreeMap::new(),
            most_down: 0,
        }
    }

    fn now(&self) -> u64 {
        milliseconds(self.begin.elapsed())
    }

    /// Whether every voter serves.
    pub(super) fn is_whole(&self, state: &EnsembleState) -> bool {
        quorum::converged(state, self.voters) == Verdict::Ready
    }

    /// Looks once. Members that are gone make a look take many seconds: the pods alone are looked at meanwhile, so that a broken
    /// budget is noticed at once.
    ///
    /// # Errors
    /// When the budget is broken, or the user asks to stop. An API that does not answer is borne: the last look stands.
    pub(super) async fn look(&mut self) -> Result<EnsembleState, End> {
        let havoc = self.havoc;
        let mut whole = havoc.field.look();
        loop {
            tokio::select! {
                () = stopped(havoc) => return Err(End::Interrupted),
                state = &mut whole => {
                    return match state {
                        Ok(state) => {
                            self.note(&state, true)?;
                            self.state = state.clone();
                            Ok(state)
                        }
                        Err(error) => {
                            tracing::info!(%error, "the ensemble could not be looked at");
                            // Not whole, whatever it was: nobody knows.
                            Ok(EnsembleState::default())
                        }
                    };
                }
                () = sleep(GLANCE) => {
                    if let Ok(pods) = unless_stopped(havoc, havoc.field.pods()).await? {
                        let state = EnsembleState { pods, ..self.state.clone() };
                        let noted = self.note(&state, false);
                        self.state = state;
                        noted?;
                    }
                }
            }
        }
    }

    /// Notes a look; `whole` when the members were asked too.
    fn note(&mut self, state: &EnsembleState, whole: bool) -> Result<(), End> {
        if state.servers.is_empty() {
            return Ok(());
        }
        let at = self.now();
        let (gone, silent) = down(state, &self.silent);
        if whole {
            self.silent = silent;
        }
        lanes(&mut self.members, at, state, &gone);
        let seen = !gone.is_empty() || (whole && !self.is_whole(state));
        if let Some(strike) = self.strikes.last_mut().filter(|strike| seen && strike.detected.is_none()) {
            strike.detected = Some(at.saturating_sub(strike.at));
        }
        let count = u32::try_from(gone.len()).unwrap_or(u32::MAX);
        self.most_down = self.most_down.max(count);
        if count > self.budget {
            let gone: Vec<String> = gone.into_iter().collect();
            return Err(End::BudgetBroken(format!("{} are gone", gone.join(", "))));
        }
        Ok(())
    }

    /// Waits until every voter serves, until `patience` at most.
    ///
    /// # Errors
    /// When it is over; as [`Watch::look`].
    pub(super) async fn until_whole(&mut self, patience: Instant) -> Result<EnsembleState, End> {
        loop {
            let state = self.look().await?;
            match quorum::converged(&state, self.voters) {
                Verdict::Ready => return Ok(state),
                Verdict::Progressing(why) | Verdict::Failed { reason: why, .. } => {
                    self.pause(patience, why).await?
                }
            }
        }
    }

    /// Watches until the ensemble has come back from the last strike, until the deadline.
    ///
    /// # Errors
    /// When the deadline has passed; as [`Watch::look`].
    pub(super) async fn until_recovered(&mut self) -> Result<(), End> {
        let patience = Instant::now() + self.havoc.deadline;
        let mut said = String::new();
        loop {
            let state = self.look().await?;
            let now = self.now();
            let back =
                unless_stopped(self.havoc, self.havoc.field.file_server_is_back()).await?.unwrap_or(false);
            let whole = quorum::converged(&state, self.voters);
            let Some(strike) = self.strikes.last_mut() else { return Ok(()) };
            strike.note_quorum(now, &state);
            if !back {
                strike.detected = strike.detected.or(Some(now.saturating_sub(strike.at)));
            }
            // The API server may tell of a member for a while that is gone.
            let harmless = strike.kills.iter().all(|kill| kill.takes.is_empty());
            let why = match whole {
                Verdict::Ready if !back => "the file server does not serve yet".to_owned(),
                Verdict::Ready if strike.detected.is_some() || harmless => {
                    strike.serving = Some(now.saturating_sub(strike.at));
                    return Ok(());
                }
                Verdict::Ready => "the loss was never seen".to_owned(),
                Verdict::Progressing(why) | Verdict::Failed { reason: why, .. } => why,
            };
            if why != said {
                (self.havoc.tell)(why.clone());
                said.clone_from(&why);
            }
            self.pause(patience, why).await?;
        }
    }

    async fn pause(&self, patience: Instant, why: String) -> Result<(), End> {
        if Instant::now() >= patience {
            return Err(End::NotRecovered(why));
        }
        unless_stopped(self.havoc, sleep(self.havoc.pace.poll)).await
    }
}

/// Waits for something that nobody minds to be left undone.
///
/// # Errors
/// When the user asks to stop.
pub(super) async fn unless_stopped<T>(havoc: &Havoc<'_>, what: impl Future<Output = T>) -> Result<T, End> {
    tokio::select! {
        () = stopped(havoc) => Err(End::Interrupted),
        done = what => Ok(done),
    }
}

/// Returns when the user asks to stop.
async fn stopped(havoc: &Havoc<'_>) {
    let mut stop = havoc.stop.clone();
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could ask.
        std::future::pending::<()>().await;
    }
}
