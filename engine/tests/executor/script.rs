//! An API of disks whose faults are written down beforehand, and the plans that are carried out on it.

use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use zkprov_engine::connection::Pace;
use zkprov_engine::error::{ProviderError, ProviderErrorKind as Kind};
use zkprov_engine::executor::{self, ApplyReport, EventSink, Providers, Run};
use zkprov_engine::provider::{Course, Observations, Progress, Provider, ReadRequest};
use zkprov_engine::wait::Clock;
use zkprov_plans::check::CheckedPlan;
use zkprov_plans::diff::{declared, diff, fingerprint};
use zkprov_plans::document::Desired;
use zkprov_plans::event::Event;
use zkprov_plans::field_path::FieldPath;
use zkprov_plans::observed::{Live, Observed, Ownership, Reading};
use zkprov_plans::plan::{
    Action, Call, Change, FieldChange, Gate, Mode, Plan, Precondition, ReadyWhen, Reason, Step, StepKind,
};
use zkprov_plans::planner::PlanInput;
use zkprov_plans::readiness::Verdict;
use zkprov_plans::resource::{ResourceId, ResourceKind};
use zkprov_plans::saved::{Approval, approve};
use zkprov_plans::spec::{Defaults, Source, load};

/// Pauses of round lengths.
pub(crate) const PACE: Pace = Pace {
    poll: Duration::from_secs(1),
    poll_max: Duration::from_secs(1),
    retry: Duration::from_secs(1),
    request: Duration::from_secs(10),
    step: Duration::from_secs(60),
    formation: Duration::from_secs(120),
    restart: Duration::from_secs(120),
    clock: Clock::MACHINE,
};

/// What befalls one call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// None.
    Passes,
    /// It has no effect and is answered so.
    Fails(Kind),
    /// It has no effect; the answer asks to come again after so many seconds.
    Later(u64),
    /// It takes effect, and nobody gets to know.
    Lost,
    /// It is answered at once; its operation takes so many seconds.
    UnderWay(u64),
    /// Somebody else makes the disk this big (or touches it in another way: `None`) before it, and it is refused.
    Overtaken(Option<u64>),
}

/// A live disk.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Disk {
    pub(crate) size: u64,
    pub(crate) ownership: Ownership,
    pub(crate) protected: bool,
    /// Counts every change of it, and stands for its concurrency handle.
    pub(crate) version: u64,
}

impl Disk {
    fn new(size: u64, ownership: Ownership) -> Self {
        Self { size, ownership, protected: true, version: 1 }
    }
}

#[derive(Default)]
struct State {
    disks: BTreeMap<String, Disk>,
    faults: BTreeMap<String, VecDeque<Fault>>,
    verdicts: BTreeMap<String, VecDeque<Verdict>>,
    locked: bool,
    calls: Vec<(String, Call, String)>,
    reads: usize,
    busy: usize,
    busiest: usize,
    events: Vec<Event>,
}

/// The API, and everything that was seen of a run on it.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<State>>);

impl Script {
    /// There is a disk of ours.
    pub(crate) fn disk(self, name: &str, size: u64) -> Self {
        self.somebodys_disk(name, size, Ownership::Ours)
    }

    pub(crate) fn somebodys_disk(self, name: &str, size: u64, ownership: Ownership) -> Self {
        self.with(|state| state.disks.insert(name.to_owned(), Disk::new(size, ownership)));
        self
    }

    /// What befalls the calls on a disk, one after the other; all others succeed.
    pub(crate) fn faults(self, name: &str, faults: &[Fault]) -> Self {
        self.with(|state| state.faults.insert(name.to_owned(), faults.iter().copied().collect()));
        self
    }

    /// What is said of a disk's readiness, look by look; the last word stays.
    pub(crate) fn verdicts(self, name: &str, verdicts: &[Verdict]) -> Self {
        self.with(|state| state.verdicts.insert(name.to_owned(), verdicts.iter().cloned().collect()));
        self
    }

    /// Another run holds the lock.
    pub(crate) fn locked(self) -> Self {
        self.with(|state| state.locked = true);
        self
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    /// Sizes of all disks.
    pub(crate) fn sizes(&self) -> Vec<(String, u64)> {
        self.with(|state| state.disks.iter().map(|(name, disk)| (name.clone(), disk.size)).collect())
    }

    /// Calls that arrived, with their request ids.
    pub(crate) fn calls(&self) -> Vec<(String, Call, String)> {
        self.with(|state| state.calls.clone())
    }

    /// Reads that arrived.
    pub(crate) fn reads(&self) -> usize {
        self.with(|state| state.reads)
    }

    /// The most calls that were under way at once.
    pub(crate) fn busiest(&self) -> usize {
        self.with(|state| state.busiest)
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.with(|state| state.events.clone())
    }

    fn live(&self, name: &str) -> Reading<Live> {
        self.with(|state| {
            state.disks.get(name).map_or(Reading::Absent, |disk| Reading::Known(live(name, disk)))
        })
    }

    /// Carries out a plan as `run_id` until it ends.
    pub(crate) async fn run(&self, plan: &Plan, parallelism: usize) -> ApplyReport {
        let stop = watch::channel(false).1;
        self.stoppable(plan, parallelism, stop).await
    }

    pub(crate) async fn stoppable(
        &self,
        plan: &Plan,
        parallelism: usize,
        stop: watch::Receiver<bool>,
    ) -> ApplyReport {
        let approved = approve(checked(plan), Approval::Flag).unwrap();
        let run =
            Run { providers: self, sink: self, pace: PACE, parallelism, stop, run_id: "run".to_owned() };
        executor::run(&approved, &run).await
    }

    /// A call arrives, takes effect after a second or not, and is answered after another.
    async fn carry_out(
        &self,
        change: &Change,
        call: &Call,
        rests_on: &Reading<Live>,
        progress: Progress<'_>,
    ) -> Result<(), ProviderError> {
        let name = &change.id.name;
        sleep(Duration::from_secs(1)).await;
        let fault = self.with(|state| state.faults.get_mut(name).and_then(VecDeque::pop_front));
        let refused = |kind| Err(ProviderError::new(kind, format!("changing {name}"), "as the script says"));
        let answer = match fault {
            Some(Fault::Fails(kind)) => refused(kind),
            Some(Fault::Later(seconds)) => refused(Kind::Transient)
                .map_err(|error| ProviderError { retry_after: Some(Duration::from_secs(seconds)), ..error }),
            Some(Fault::Overtaken(size)) => {
                self.with(|state| {
                    if let Some(disk) = state.disks.get_mut(name) {
                        *disk = Disk {
                            size: size.unwrap_or(disk.size),
                            version: disk.version + 1,
                            ..disk.clone()
                        };
                    }
                });
                refused(Kind::Stale)
            }
            Some(Fault::Lost) => self.take_effect(change, call, rests_on).and(refused(Kind::OutcomeUnknown)),
            Some(Fault::UnderWay(seconds)) => {
                progress(Course::UnderWay(format!("{name} is being changed")));
                sleep(Duration::from_secs(seconds)).await;
                self.take_effect(change, call, rests_on)
            }
            Some(Fault::Passes) | None => self.take_effect(change, call, rests_on),
        };
        sleep(Duration::from_secs(1)).await;
        answer
    }

    fn take_effect(
        &self,
        change: &Change,
        call: &Call,
        rests_on: &Reading<Live>,
    ) -> Result<(), ProviderError> {
        let name = &change.id.name;
        let refused = |kind| ProviderError::new(kind, format!("changing {name}"), "it moved");
        if !matches!(call, Call::Insert) && self.live(name) != *rests_on {
            return Err(refused(Kind::Stale));
        }
        self.with(|state| {
            let there = state.disks.get_mut(name);
            let size = change.body["sizeGb"].as_u64().unwrap_or_default();
            match (call, there) {
                (Call::Insert, None) => {
                    state.disks.insert(name.clone(), Disk::new(size, Ownership::Ours));
                }
                (Call::Insert, Some(_)) => return Err(refused(Kind::AlreadyExists)),
                (Call::ResizeDisk, Some(disk)) => {
                    (disk.size, disk.version) = (size, disk.version + 1);
                }
                (Call::SetDeletionProtection { on }, Some(disk)) => {
                    (disk.protected, disk.version) = (*on, disk.version + 1);
                }
                (Call::Delete, Some(disk)) if disk.protected => return Err(refused(Kind::Invalid)),
                (Call::Delete, Some(_)) => {
                    state.disks.remove(name);
                }
                (_, None) => return Err(refused(Kind::NotFound)),
                (other, Some(_)) => panic!("{other:?} is not in the script"),
            }
            Ok(())
        })
    }
}

/// The plan, as if what it rests on had been read; every disk in it may be deleted.
fn checked(plan: &Plan) -> CheckedPlan {
    const FILE: &str = include_str!("../../../examples/tutorial/zkprov.yaml");
    let source = Source { name: "zkprov.yaml".to_owned(), text: FILE.to_owned() };
    let set = ["spec.protection.data=false".to_owned()];
    let spec = load(&[source], &set, &|_| None, &Defaults::default()).specs.remove(0);
    let read = |change: &Change| match change.precondition {
        Precondition::Absent => Reading::Absent,
        Precondition::Unchanged(_) | Precondition::Voters(_) => {
            Reading::Known(live(&change.id.name, &Disk::new(1, Ownership::Ours)))
        }
    };
    let resources = plan.changes().map(|(_, change)| (change.id.clone(), read(change))).collect();
    let observed = Observed { resources, ensemble: Reading::Absent, operations: Vec::new() };
    let replace = plan.changes().map(|(_, change)| change.id.clone()).collect();
    let input = PlanInput {
        spec: &spec,
        desired: &plan.desired,
        observed: &observed,
        mode: plan.mode,
        replace: &replace,
        adopt: false,
        compact_ids: false,
    };
    CheckedPlan::of(plan.clone(), &input)
}

fn live(name: &str, disk: &Disk) -> Live {
    let document = json!({
        "name": name, "sizeGb": disk.size, "deletionProtection": disk.protected, "users": disk.version
    });
    Live { document, predicted: None, ownership: disk.ownership.clone() }
}

impl Provider for Script {
    fn serves(&self, _: &ResourceId) -> bool {
        true
    }

    fn observe<'a>(&'a self, requests: &'a [ReadRequest<'a>]) -> BoxFuture<'a, Observations> {
        panic!("the executor observes nothing, but did so for {} ensembles", requests.len())
    }

    fn refresh<'a>(
        &'a self,
        id: &'a ResourceId,
        _: &'a Value,
    ) -> BoxFuture<'a, Result<Reading<Live>, ProviderError>> {
        self.with(|state| state.reads += 1);
        Box::pin(async {
            tokio::task::yield_now().await;
            Ok(self.live(&id.name))
        })
    }

    fn call<'a>(
        &'a self,
        change: &'a Change,
        call: &'a Call,
        live: &'a Reading<Live>,
        request_id: &'a str,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            self.with(|state| {
                state.calls.push((change.id.name.clone(), call.clone(), request_id.to_owned()));
                state.busy += 1;
                state.busiest = state.busiest.max(state.busy);
            });
            let answer = self.carry_out(change, call, live, progress).await;
            self.with(|state| state.busy -= 1);
            answer
        })
    }

    fn ready<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Verdict, ProviderError>> {
        let verdict = self.with(|state| {
            let verdicts = state.verdicts.get_mut(&change.id.name)?;
            if verdicts.len() > 1 { verdicts.pop_front() } else { verdicts.front().cloned() }
        });
        Box::pin(async { Ok(verdict.unwrap_or(Verdict::Ready)) })
    }

    fn settle<'a>(&'a self, _: &'a ResourceId, _: Progress<'a>) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async { Ok(()) })
    }
}

impl Providers for Script {
    fn of<'a>(&'a self, _: &'a ResourceId) -> BoxFuture<'a, Result<Arc<dyn Provider>, ProviderError>> {
        let provider: Arc<dyn Provider> = Arc::new(self.clone());
        Box::pin(async { Ok(provider) })
    }

    fn lock<'a>(&'a self, _: &'a ResourceId) -> BoxFuture<'a, Result<(), ProviderError>> {
        let locked = self.with(|state| state.locked);
        let answer = if locked {
            Err(ProviderError::new(Kind::Locked, "taking the lock", "another run holds it"))
        } else {
            Ok(())
        };
        Box::pin(async { answer })
    }
}

impl EventSink for Script {
    fn emit(&self, event: Event) {
        self.with(|state| state.events.push(event));
    }
}

fn id(name: &str) -> ResourceId {
    format!("disk/my-project/us-east1-d/{name}").parse().unwrap()
}

/// A disk of 100 GB that is to be made.
pub(crate) fn create(name: &str) -> Change {
    let body = json!({ "name": name, "sizeGb": 100 });
    Change {
        action: Action::Create,
        reason: Reason::NotFound,
        diff: declared(ResourceKind::Disk, &body),
        body,
        calls: vec![Call::Insert],
        ..Change::look(&id(name), ReadyWhen::Done)
    }
}

/// A disk of 100 GB of ours that is to have 200.
pub(crate) fn grow(name: &str) -> Change {
    let before = live(name, &Disk::new(100, Ownership::Ours));
    let (id, body) = (id(name), json!({ "name": name, "sizeGb": 200 }));
    Change {
        action: Action::Update,
        reason: Reason::FieldsDiffer,
        diff: diff(&id, &body, &before).fields,
        precondition: Precondition::Unchanged(fingerprint(&id, &body, &before)),
        body,
        calls: vec![Call::ResizeDisk],
        ..Change::look(&id, ReadyWhen::Done)
    }
}

/// A disk of 100 GB of ours that is to go, once its protection is lifted.
pub(crate) fn delete(name: &str) -> Change {
    let before = live(name, &Disk::new(100, Ownership::Ours));
    let id = id(name);
    let gone = FieldChange {
        path: FieldPath::default(),
        before: Some(name.into()),
        after: None,
        cause: None,
        manager: None,
        replaces: false,
    };
    Change {
        action: Action::Delete,
        reason: Reason::DestroyRequested,
        diff: vec![gone],
        precondition: Precondition::Unchanged(fingerprint(&id, &Value::Null, &before)),
        calls: vec![Call::SetDeletionProtection { on: false }, Call::Delete],
        ..Change::look(&id, ReadyWhen::Gone)
    }
}

/// A gate on a file server that is to answer.
pub(crate) fn gate(name: &str) -> Gate {
    Gate::PodsAnswer { workload: id(name), replicas: 3 }
}

/// A plan of these steps, each with the numbers of those it comes after.
pub(crate) fn plan(steps: Vec<(StepKind, &[usize])>) -> Plan {
    let step = |(kind, after): (StepKind, &[usize])| Step { kind, after: after.to_vec(), seconds: 1 };
    Plan {
        ensemble: "exhibitor".to_owned(),
        mode: Mode::Apply,
        replicas: 3,
        steps: steps.into_iter().map(step).collect(),
        kept: Vec::new(),
        gaps: Vec::new(),
        findings: Vec::new(),
        desired: Desired::default(),
    }
}

/// A plan of one change.
pub(crate) fn only(change: Change) -> Plan {
    plan(vec![(StepKind::Change(change), &[])])
}

/// What is left of a second's fraction does not matter.
pub(crate) fn seconds(since: Instant) -> u64 {
    since.elapsed().as_secs()
}
