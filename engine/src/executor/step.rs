//! One step: the precondition on a fresh reading, the calls, the wait.

use super::Run;
use super::retry::{self, Next};
use crate::error::{ProviderError, ProviderErrorKind as Kind, one_line};
use crate::provider::{Course, Provider};
use crate::wait::Deadline;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;
use zkprov_plans::diff;
use zkprov_plans::event::Event;
use zkprov_plans::measure::Measure;
use zkprov_plans::observed::{Live, Ownership, Reading};
use zkprov_plans::plan::{
    Action, Call, Change, FieldChange, Gate, Plan, Precondition, ReadyWhen, Reason, StepIndex,
};
use zkprov_plans::planner::readiness_of;
use zkprov_plans::readiness::Verdict;
use zkprov_plans::resource::ResourceKind;

pub(super) struct Context<'a> {
    pub(super) plan: &'a Plan,
    pub(super) run: &'a Run<'a>,
    pub(super) index: StepIndex,
    /// Whether the step only waits now: a run that is to stop may leave it as it is.
    pub(super) waits: watch::Sender<bool>,
}

/// What the precondition leaves to do.
enum Start {
    /// Carry out the calls on this reading.
    Go(Reading<Live>),
    /// A run before this one, or a call whose answer was lost, has done it already.
    AlreadyDone,
    /// The ensemble is past this step: there is nothing to write, and nothing of it to wait for.
    Outgrown,
}

/// Which number of voters a wait for the ensemble is about.
#[derive(Clone, Copy)]
enum Asks {
    AsPlanned,
    OfVotersThereAre,
}

impl Context<'_> {
    /// Carries out a change.
    pub(super) async fn change(&self, change: &Change) -> Result<(), ProviderError> {
        if matches!(change.id.kind, ResourceKind::Kube(_) | ResourceKind::Ensemble) {
            self.patiently(|| self.run.providers.lock(&change.id)).await?;
        }
        let provider = self.patiently(|| self.run.providers.of(&change.id)).await?;
        let mut before = None;
        if change.via.is_none() {
            match self.start(&provider, change).await? {
                Start::Go(live) => {
                    let mark = format!("{}/{}", self.run.run_id, self.index);
                    before = self.patiently(|| provider.measure(change, &mark)).await?;
                    self.calls(&provider, change, live).await?;
                }
                Start::AlreadyDone => {}
                Start::Outgrown => return Ok(()),
            }
        }
        self.wait(&provider, change, Asks::AsPlanned).await?;
        match before {
            Some(before) => self.compare(&provider, change, before).await,
            None => Ok(()),
        }
    }

    /// Measures again, and fails the step when something of what was measured before has gone back.
    async fn compare(
        &self,
        provider: &Arc<dyn Provider>,
        change: &Change,
        before: Measure,
    ) -> Result<(), ProviderError> {
        let after = self.patiently(|| provider.measure_again(change, &before)).await?;
        let lost = before.lost(&after);
        self.run.sink.emit(Event::StepMeasured { step: self.index, before, after });
        match lost {
            Some(lost) => {
                let doing = format!("comparing {} with what it was before the step", change.id);
                Err(ProviderError::new(Kind::Failed, doing, lost)
                    .hint("change nothing more; look for the member or the backup that has what is missing"))
            }
            None => Ok(()),
        }
    }

    /// Repeats a harmless call until it is answered; a lasting fault ends it.
    async fn patiently<T, F, Fut>(&self, mut call: F) -> Result<T, ProviderError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, ProviderError>>,
    {
        let mut tries = 1;
        loop {
            let error = match call().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            match retry::next(&error, tries, &self.run.pace, self.jitter(tries)) {
                Next::After(pause) => self.pause(&error, pause).await,
                Next::Refresh(pause) if error.kind != Kind::NotFound => self.pause(&error, pause).await,
                Next::Refresh(_) | Next::Stop => return Err(error),
            }
            tries += 1;
        }
    }

    async fn pause(&self, error: &ProviderError, pause: Duration) {
        let delay_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.run.sink.emit(Event::StepRetried { step: self.index, error: one_line(error), delay_ms });
        sleep(pause).await;
    }

    fn say(&self, message: String) {
        self.run.sink.emit(Event::StepProgress { step: self.index, message });
    }

    fn jitter(&self, tries: u32) -> u64 {
        digest(&format!("{}/{}/{tries}", self.run.run_id, self.index), 0)
    }

    async fn read(
        &self,
        provider: &Arc<dyn Provider>,
        change: &Change,
    ) -> Result<Reading<Live>, ProviderError> {
        self.patiently(|| provider.refresh(&change.id, &change.body)).await
    }

    /// Checks the precondition on a fresh reading.
    async fn start(&self, provider: &Arc<dyn Provider>, change: &Change) -> Result<Start, ProviderError> {
        let reading = self.read(provider, change).await?;
        let live = match &reading {
            Reading::Unavailable(gap) => {
                let doing = format!("reading {}", gap.what);
                return Err(ProviderError::new(Kind::Transient, doing, &gap.why).hint(&gap.hint));
            }
            Reading::Absent => {
                return match (&change.precondition, change.action) {
                    (Precondition::Absent, _) => Ok(Start::Go(reading)),
                    (Precondition::Unchanged(_) | Precondition::Voters(_), Action::Delete) => {
                        Ok(Start::AlreadyDone)
                    }
                    (Precondition::Unchanged(_) | Precondition::Voters(_), _) => {
                        Err(stale(change, "it is not there any more"))
                    }
                };
            }
            Reading::Known(live) => live,
        };
        if change.action == Action::Delete {
            // A delete rests on the resource being ours, whatever its fields say.
            return match live.ownership {
                Ownership::Ours => Ok(Start::Go(reading)),
                Ownership::Foreign | Ownership::Other(_) => Err(stale(change, "it is not ours any more")),
            };
        }
        if let Some(start) = outgrown(change, live, self.plan.replicas) {
            return Ok(start);
        }
        let holds = match &change.precondition {
            Precondition::Absent if forms_by_itself(change, live) => return Ok(Start::Go(reading)),
            Precondition::Absent => return found_instead(change, live),
            Precondition::Unchanged(approved) => {
                diff::fingerprint(&change.id, &change.body, live) == *approved
            }
            Precondition::Voters(wanted) => voters(&live.document) == Some(*wanted),
        };
        if holds {
            return Ok(Start::Go(reading));
        }
        Ok(moved(change, live)?.unwrap_or(Start::Go(reading)))
    }

    async fn calls(
        &self,
        provider: &Arc<dyn Provider>,
        change: &Change,
        mut live: Reading<Live>,
    ) -> Result<(), ProviderError> {
        for (number, call) in change.calls.iter().enumerate() {
            if number > 0 {
                live = self.read(provider, change).await?;
            }
            let result = self.call(provider, change, number, live.clone()).await;
            if result.is_err() && number > 0 && matches!(call, Call::Delete) {
                self.protect_again(provider, change).await;
            }
            result?;
        }
        Ok(())
    }

    /// Protection was lifted for a deletion that then failed: it is set again, as far as the API lets us.
    async fn protect_again(&self, provider: &Arc<dyn Provider>, change: &Change) {
        let lifted = change.calls.iter().any(|call| *call == Call::SetDeletionProtection { on: false });
        if let (true, Ok(live)) = (lifted, self.read(provider, change).await) {
            let call = Call::SetDeletionProtection { on: true };
            let id = request_id(&self.run.run_id, self.index, usize::MAX);
            if let Err(error) =
                provider.call(change, &call, &live, &id, &|course| self.say(course.words())).await
            {
                self.say(format!("the deletion protection could not be set again: {}", one_line(&error)));
            }
        }
    }

    /// One call until it is done, or known to be impossible.
    async fn call(
        &self,
        provider: &Arc<dyn Provider>,
        change: &Change,
        number: usize,
        mut live: Reading<Live>,
    ) -> Result<(), ProviderError> {
        let Some(call) = change.calls.get(number) else { return Ok(()) };
        let request_id = request_id(&self.run.run_id, self.index, number);
        // A call of several requests is not left between them.
        let single = matches!(call, Call::Insert | Call::Delete);
        let progress = |course: Course| {
            let under_way = matches!(course, Course::UnderWay(_));
            self.waits.send_replace(under_way && single);
            self.say(course.words());
        };
        // Pods are told from each other by what their members say.
        let caller = match call.asks_members_of() {
            Some(ensemble) => self.patiently(|| self.run.providers.of(ensemble)).await?,
            None => Arc::clone(provider),
        };
        let mut tries = 1;
        loop {
            self.waits.send_replace(false);
            let error = match caller.call(change, call, &live, &request_id, &progress).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            match retry::next(&error, tries, &self.run.pace, self.jitter(tries)) {
                Next::Stop => return Err(error),
                Next::After(pause) => self.pause(&error, pause).await,
                Next::Refresh(pause) => {
                    self.pause(&error, pause).await;
                    self.patiently(|| provider.settle(&change.id, &progress)).await?;
                    live = self.read(provider, change).await?;
                    if took_effect(change, call, &live) {
                        return Ok(());
                    }
                    if error.kind == Kind::AlreadyExists && !matches!(live, Reading::Absent) {
                        return Err(error);
                    }
                    // The write was conditional: what it rested on moved. Only the approved difference is written.
                    if error.kind == Kind::Stale && number == 0 {
                        match self.start(provider, change).await? {
                            Start::Go(fresh) => live = fresh,
                            Start::AlreadyDone | Start::Outgrown => return Ok(()),
                        }
                    }
                }
            }
            tries += 1;
        }
    }

    /// Waits until the change is ready; the deadline depends on what is waited for.
    async fn wait(
        &self,
        provider: &Arc<dyn Provider>,
        change: &Change,
        asks: Asks,
    ) -> Result<(), ProviderError> {
        self.waits.send_replace(true);
        let allowed = match change.ready_when {
            ReadyWhen::Done => return Ok(()),
            ReadyWhen::EnsembleServes { .. } | ReadyWhen::QuorumHolds { .. } => self.run.pace.formation,
            ReadyWhen::FileServerReady { .. }
            | ReadyWhen::ClusterRunning
            | ReadyWhen::NodePoolRunning
            | ReadyWhen::FilestoreReady
            | ReadyWhen::PodsAnswer { .. }
            | ReadyWhen::Gone => self.run.pace.step,
        };
        let deadline = Deadline::after(allowed, &self.run.pace);
        let mut said = String::new();
        let waiting = || format!("waiting for {}", change.id);
        loop {
            match self.verdict(provider, change, asks).await? {
                Verdict::Ready => return Ok(()),
                Verdict::Failed { reason, hint } => {
                    return Err(ProviderError::new(Kind::Failed, waiting(), reason).hint(hint));
                }
                Verdict::Progressing(message) if message != said => {
                    self.say(message.clone());
                    said = message;
                }
                Verdict::Progressing(_) => {}
            }
            if deadline.bound(provider.changed(change)).await.is_none() {
                let waited = format!("not ready after {} s: {said}", deadline.seconds());
                return Err(ProviderError::new(Kind::Deadline, waiting(), waited)
                    .hint("run `zkprov apply` again to go on waiting, or `zkprov status` to look"));
            }
        }
    }

    /// Waits for what a gate asks, on fresh readings.
    pub(super) async fn gate(&self, gate: &Gate) -> Result<(), ProviderError> {
        let Some(looked) = self.looked_at(gate) else { return Ok(()) };
        let provider = match self.patiently(|| self.run.providers.of(&looked.id)).await {
            Ok(provider) => provider,
            // The cluster is gone, and every mount with it.
            Err(error) if error.kind == Kind::NotFound && matches!(gate, Gate::NoMounts { .. }) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let of_all = matches!(looked.ready_when, ReadyWhen::EnsembleServes { .. });
        let asks = if of_all { Asks::OfVotersThereAre } else { Asks::AsPlanned };
        self.wait(&provider, &looked, asks).await.map_err(|error| {
            let shut = matches!(error.kind, Kind::Deadline | Kind::Failed);
            if shut { ProviderError { kind: Kind::Refused, ..error } } else { error }
        })
    }

    /// Whether it is ready now. Exhibitor itself may go on filling up the ensemble while a gate waits: the gate asks for the
    /// voters there are, the step behind it compares them with the plan.
    async fn verdict(
        &self,
        provider: &Arc<dyn Provider>,
        change: &Change,
        asks: Asks,
    ) -> Result<Verdict, ProviderError> {
        let there = match asks {
            Asks::AsPlanned => None,
            Asks::OfVotersThereAre => match self.read(provider, change).await? {
                Reading::Known(live) => voters(&live.document),
                Reading::Absent | Reading::Unavailable(_) => None,
            },
        };
        match there {
            Some(voters) => {
                let looked = Change::look(&change.id, ReadyWhen::EnsembleServes { voters });
                self.patiently(|| provider.ready(&looked)).await
            }
            None => self.patiently(|| provider.ready(change)).await,
        }
    }

    fn looked_at(&self, gate: &Gate) -> Option<Change> {
        let documents = &self.plan.desired.documents;
        let of_kind = |kind| documents.iter().find(move |document| document.id.kind == kind);
        match gate {
            Gate::Quorum { voters, healthy, .. } => {
                // Planned with members whose pods are gone: waiting for those would be in vain.
                let ready = if healthy < voters {
                    ReadyWhen::QuorumHolds { healthy: *healthy }
                } else {
                    ReadyWhen::EnsembleServes { voters: *voters }
                };
                of_kind(ResourceKind::Ensemble).map(|one| Change::look(&one.id, ready))
            }
            Gate::PodsAnswer { workload, replicas } => {
                Some(Change::look(workload, ReadyWhen::PodsAnswer { replicas: *replicas }))
            }
            Gate::FileServerExports { server } => self
                .plan
                .desired
                .get(server)
                .map(|one| Change::look(server, readiness_of(one, self.plan.replicas))),
            Gate::NoMounts { .. } => documents
                .iter()
                .find(|document| document.id.kind.runs_members())
                .map(|workload| Change::look(&workload.id, ReadyWhen::Gone)),
        }
    }
}

/// The number of voters in the ensemble's document.
fn voters(document: &Value) -> Option<u32> {
    document.get("voters").and_then(Value::as_u64).and_then(|voters| u32::try_from(voters).ok())
}

/// What is left of a step when Exhibitor has grown the ensemble by itself, within the declared size: nothing behind the
/// present size; at it, whatever else the step was to set.
fn outgrown(change: &Change, live: &Live, declared: u32) -> Option<Start> {
    let Reason::EnsembleStep { from, to } = change.reason else { return None };
    let now = voters(&live.document).filter(|now| from < to && (to..=declared).contains(now))?;
    Some(if now > to {
        Start::Outgrown
    } else if diff::diff(&change.id, &change.body, live).fields.is_empty() {
        Start::AlreadyDone
    } else {
        Start::Go(Reading::Known(live.clone()))
    })
}

/// Whether an ensemble that was to be formed has begun without us: the image's automatic management enters the first pods
/// by itself when the others take a minute longer. They become members of the ensemble that was approved.
fn forms_by_itself(change: &Change, live: &Live) -> bool {
    let voters = |body: &Value| body.get("voters").and_then(Value::as_u64).unwrap_or(0);
    change.id.kind == ResourceKind::Ensemble
        && live.ownership == Ownership::Ours
        && voters(&live.document) <= voters(&change.body)
        && !diff::diff(&change.id, &change.body, live).fields.is_empty()
}

/// Something was to be created and is there: ours and equal, a run before this one made it.
fn found_instead(change: &Change, live: &Live) -> Result<Start, ProviderError> {
    match &live.ownership {
        Ownership::Ours if diff::diff(&change.id, &change.body, live).fields.is_empty() => {
            Ok(Start::AlreadyDone)
        }
        Ownership::Ours => Err(stale(change, "it was created in the meantime, and differs")),
        Ownership::Foreign | Ownership::Other(_) => {
            Err(stale(change, "it was created in the meantime by somebody else"))
        }
    }
}

/// The fingerprint differs: done already, still the approved difference (`None`), or stale.
fn moved(change: &Change, live: &Live) -> Result<Option<Start>, ProviderError> {
    let now = diff::diff(&change.id, &change.body, live).fields;
    let replaces_pods = change.calls.iter().any(|call| matches!(call, Call::ReplacePods { .. }));
    if now.is_empty() {
        // How many of its pods have followed is seen pod by pod.
        return Ok((!replaces_pods).then_some(Start::AlreadyDone));
    }
    // A try that was cut off leaves switches for restarts off: a step that rolls puts them on again in any case.
    let rolls = change.calls.iter().any(|call| matches!(call, Call::SetEnsemble(target) if target.rolling));
    let counts = |field: &&FieldChange| !(rolls && diff::is_of_a_roll(field));
    if now.iter().filter(counts).eq(change.diff.iter().filter(counts)) {
        return Ok(None);
    }
    Err(stale(change, &format!("approved: {}; now: {}", lines(&change.diff), lines(&now))))
}

fn lines(fields: &[FieldChange]) -> String {
    let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "absent".to_owned(), Value::to_string);
    let line =
        |field: &FieldChange| format!("{} {} -> {}", field.path, value(&field.before), value(&field.after));
    fields.iter().map(line).collect::<Vec<_>>().join(", ")
}

fn stale(change: &Change, what: &str) -> ProviderError {
    ProviderError::new(Kind::Stale, format!("changing {}", change.id), what)
        .hint("run `zkprov plan` to see what would be done now")
}

/// Whether a call whose answer was lost, or that met a conflict, has had its effect.
fn took_effect(change: &Change, call: &Call, live: &Reading<Live>) -> bool {
    match live {
        Reading::Absent => matches!(call, Call::Delete),
        Reading::Unavailable(_) => false,
        Reading::Known(live) => {
            let equal = || diff::diff(&change.id, &change.body, live).fields.is_empty();
            match call {
                // Harmless again, and a deletion is known by the absence of what it was about.
                Call::Delete | Call::SpareLeader { .. } | Call::ReplacePods { .. } => false,
                // It comes before a deletion, which has no body to compare with.
                Call::SetDeletionProtection { on } => {
                    let protected = live.document.get("deletionProtection").and_then(Value::as_bool);
                    protected.unwrap_or(false) == *on
                }
                Call::Insert
                | Call::SetLabels
                | Call::SetTags
                | Call::SetMetadata
                | Call::SetMachineType
                | Call::StartInstance
                | Call::ResizeDisk
                | Call::SetDiskPolicies { .. }
                | Call::PatchFirewall
                | Call::PatchSnapshotSchedule
                | Call::SetAccessConfig { .. }
                | Call::UpdateCluster { .. }
                | Call::SetNodePoolSize { .. }
                | Call::UpdateNodePool { .. }
                | Call::PatchFilestore { .. }
                | Call::Apply
                | Call::SetEnsemble(_) => live.ownership == Ownership::Ours && equal(),
            }
        }
    }
}

/// A UUID (version 8: our own derivation) that names one call of one run.
pub(crate) fn request_id(run_id: &str, step: StepIndex, call: usize) -> String {
    let name = format!("{run_id}/{step}/{call}");
    let hex = format!("{:016x}{:016x}", digest(&name, 0), digest(&name, 0x9e37_79b9_7f4a_7c15));
    format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// FNV-1a.
fn digest(text: &str, salt: u64) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325 ^ salt, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
