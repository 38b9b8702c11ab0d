//! A cloud of one's own, and the commands on it: what the binary does, without the process.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use zkprov_engine::cloud::{Cloud, Holder};
use zkprov_engine::connection::{Connection, CredentialSource, Endpoints, Pace, install_crypto};
use zkprov_engine::error::{ProviderError, one_line};
use zkprov_engine::executor::{self, ApplyReport, EventSink, Run};
use zkprov_engine::provider::ReadRequest;
use zkprov_engine::wait::Clock;
use zkprov_plans::check::CheckedPlan;
use zkprov_plans::document::Desired;
use zkprov_plans::event::{Event, Outcome};
use zkprov_plans::observed::{Observed, Ownership, Reading};
use zkprov_plans::plan::{Mode, Plan, Reason};
use zkprov_plans::planner::{PlanInput, plan};
use zkprov_plans::report::{Report, Style, text};
use zkprov_plans::saved::{Approval, approve};
use zkprov_plans::spec::{Defaults, Source, ValidSpec, load};
use zkprov_sandbox::api::{Request, Service};
use zkprov_sandbox::server::{self, Options, Running};
use zkprov_sandbox::world::World;
use zkprov_tests::{STILL, inventory_of};

/// The text of an example's file.
pub(crate) fn example(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name).join("zkprov.yaml");
    std::fs::read_to_string(file).unwrap()
}

/// All ensembles of a text, with overrides as `--set` takes them.
pub(crate) fn specs(text: &str, set: &[&str]) -> Vec<ValidSpec> {
    let set: Vec<String> = set.iter().map(|one| (*one).to_owned()).collect();
    let source = Source { name: "zkprov.yaml".to_owned(), text: text.to_owned() };
    let loaded = load(&[source], &set, &|_| None, &Defaults::default());
    assert!(!loaded.has_errors(), "{:#?}", loaded.diagnostics);
    loaded.specs
}

/// How a plan looks to a reader; for messages of failed tests.
pub(crate) fn words(spec: &ValidSpec, plan: &Plan) -> String {
    let style = Style { color: false, width: 120, verbose: false };
    let mut words = text(&Report { spec, plan }, style);
    for finding in plan.findings.iter().filter(|finding| finding.fatal) {
        words.push_str(&format!("\nfatal: {}: {}", finding.code, finding.message));
    }
    for gap in &plan.gaps {
        words.push_str(&format!("\ngap: {}: {}", gap.what, gap.why));
    }
    words
}

/// An ensemble with what was read and planned for it.
pub(crate) struct Planned {
    pub(crate) spec: ValidSpec,
    pub(crate) plan: Plan,
    checked: CheckedPlan,
}

impl Planned {
    /// Nothing to do, everything read, nothing refused.
    pub(crate) fn is_empty(&self) -> bool {
        self.plan.steps.is_empty() && self.plan.gaps.is_empty() && !self.refused()
    }

    pub(crate) fn refused(&self) -> bool {
        self.plan.findings.iter().any(|finding| finding.fatal)
    }

    pub(crate) fn words(&self) -> String {
        words(&self.spec, &self.plan)
    }
}

/// Runs a test. Unoptimised, the futures of all clients together need more stack than a test's thread has.
pub(crate) fn block_on(test: impl Future<Output = ()> + Send + 'static) {
    const STACK: usize = 32 << 20;
    let run = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).thread_stack_size(STACK).enable_all().build().unwrap();
        runtime.block_on(test);
    };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(run).unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Polls often: the cloud's time goes by only when something asks. Deadlines are zkprov's own, in the cloud's time; a request
/// takes as long as this machine needs.
fn pace(running: &Running) -> Pace {
    let (begin, now) = (Instant::now(), running.clock());
    let start = now();
    let told = move || begin + Duration::from_millis(now() - start);
    Pace {
        poll: Duration::from_millis(1),
        poll_max: Duration::from_millis(4),
        retry: Duration::from_millis(1),
        request: STILL,
        clock: Clock::told_by(Box::leak(Box::new(told))),
        ..Pace::default()
    }
}

/// A served sandbox in memory.
pub(crate) struct Lab {
    pub(crate) running: Running,
    runs: AtomicU32,
    pace: Pace,
}

impl Lab {
    pub(crate) async fn start() -> Self {
        install_crypto();
        let options = Options { clock: server::Clock::Instant, ..Options::default() };
        let running = server::start(options).await.unwrap();
        let pace = pace(&running);
        Self { running, runs: AtomicU32::new(0), pace }
    }

    /// New clients, as a new process has them.
    pub(crate) async fn client(&self) -> Client {
        let endpoints = Endpoints {
            compute: Some(self.running.compute.clone()),
            container: Some(self.running.container.clone()),
            filestore: Some(self.running.filestore.clone()),
            storage: Some(self.running.storage.clone()),
        };
        let connection = Connection {
            endpoints,
            credentials: CredentialSource::Anonymous,
            pace: self.pace,
            parallelism: 8,
            in_cluster: false,
        };
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        Client { cloud: Cloud::connect(connection).await.unwrap(), run }
    }

    /// What `zkprov apply` does.
    pub(crate) async fn apply(&self, spec: &ValidSpec) -> Result<(), String> {
        self.client().await.run(spec, Mode::Apply, &never()).await
    }

    /// What `zkprov destroy` does, its orphan check included.
    pub(crate) async fn destroy(&self, spec: &ValidSpec, delete_data: bool) -> Result<(), String> {
        let client = self.client().await;
        client.run(spec, Mode::Destroy { delete_data }, &never()).await?;
        client.orphans(spec, delete_data).await
    }

    /// What `zkprov plan` does.
    pub(crate) async fn plan(&self, spec: &ValidSpec) -> Planned {
        self.client().await.plan(spec, Mode::Apply).await
    }

    /// Lets a run go on until the cut that is set, and be gone with it, as a process that is killed. Returns the request
    /// that was cut; `None` when the run ended before.
    pub(crate) async fn until_cut(&self, run: impl Future<Output = Result<(), String>>) -> Option<String> {
        tokio::select! {
            biased;
            () = self.cut_strikes() => self.running.cut_request(),
            ended = run => {
                // A run may give up on the cut before we see it.
                let request = self.running.cut_request();
                assert!(request.is_some() || ended.is_ok(), "without a cut: {ended:?}");
                request
            }
        }
    }

    /// Returns when the cut that is set has happened.
    pub(crate) async fn cut_strikes(&self) {
        while self.running.cut_request().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Deletes one of the ensemble's pods, counted round.
    pub(crate) fn kill_pod(&self, which: u64) {
        let mut world = self.running.world().unwrap();
        let cluster = keys(&world, "/kubernetes").remove(0);
        let mut pods = keys(&world, &format!("/kubernetes/{}/store/objects/Pod", cluster.replace('/', "~1")));
        pods.retain(|pod| pod.contains("exhibitor-"));
        let pod = &pods[usize::try_from(which).unwrap() % pods.len()];
        let name = pod.rsplit('/').next().unwrap();
        let request = Request {
            service: Service::Kubernetes(cluster),
            method: "DELETE".to_owned(),
            path: format!("/api/v1/namespaces/default/pods/{name}"),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let now = world.now;
        world.handle(&request, now, &self.running.endpoints());
        self.running.restore(world).unwrap();
    }

    /// What stands there, comparable with another run's.
    pub(crate) fn inventory(&self) -> Vec<String> {
        // Pods that were told to go take their time.
        self.running.advance(Duration::from_secs(120)).unwrap();
        inventory_of(&serde_json::to_value(self.running.world().unwrap()).unwrap())
    }
}

/// Keys of a map in the world's stored form.
pub(crate) fn keys(world: &World, pointer: &str) -> Vec<String> {
    let stored = serde_json::to_value(world).unwrap();
    stored.pointer(pointer).and_then(|value| value.as_object()).unwrap().keys().cloned().collect()
}

/// The name of the only share.
pub(crate) fn share(world: &World) -> String {
    keys(world, "/exhibitor/shares").remove(0)
}

/// A wish to stop that never comes.
pub(crate) fn never() -> watch::Receiver<bool> {
    watch::channel(false).1
}

/// The clients of one run.
pub(crate) struct Client {
    cloud: Cloud,
    run: u32,
}

impl Client {
    pub(crate) async fn plan(&self, spec: &ValidSpec, mode: Mode) -> Planned {
        let (desired, observed) = self.observe(spec).await;
        let input = PlanInput {
            spec,
            desired: &desired,
            observed: &observed,
            mode,
            replace: &Default::default(),
            adopt: false,
            compact_ids: false,
        };
        let checked = CheckedPlan::of(plan(&input).unwrap(), &input);
        Planned { spec: spec.clone(), plan: checked.plan().clone(), checked }
    }

    async fn observe(&self, spec: &ValidSpec) -> (Desired, Observed) {
        let desired = render(spec);
        let observed = self.cloud.observe(&[ReadRequest { spec, desired: &desired }]).await.remove(0);
        (desired, observed)
    }

    /// Settles, plans and carries out.
    pub(crate) async fn run(
        &self,
        spec: &ValidSpec,
        mode: Mode,
        stop: &watch::Receiver<bool>,
    ) -> Result<(), String> {
        let desired = render(spec);
        let request = ReadRequest { spec, desired: &desired };
        let unsettled = |error: ProviderError| format!("settling: {}", one_line(&error));
        self.cloud.settle(&[request], &|_| ()).await.map_err(unsettled)?;
        if mode == Mode::Apply {
            self.cloud.settle_members(&[request], &|_| ()).await.map_err(unsettled)?;
        }
        let mut planned = self.plan(spec, mode).await;
        if planned.plan.waits_for_members() {
            self.cloud.rest_members(&[request], &|_| ()).await.map_err(unsettled)?;
            planned = self.plan(spec, mode).await;
        }
        if planned.refused() || !planned.plan.gaps.is_empty() {
            return Err(format!("refused:\n{}", planned.words()));
        }
        let report = self.carry_out(&planned, stop).await;
        match report.outcome {
            Outcome::Done => Ok(()),
            outcome @ (Outcome::Partial
            | Outcome::Failed
            | Outcome::Interrupted
            | Outcome::Stale
            | Outcome::Refused
            | Outcome::Locked) => Err(failed(&planned, outcome, &report.failures)),
        }
    }

    async fn carry_out(&self, planned: &Planned, stop: &watch::Receiver<bool>) -> ApplyReport {
        let approved = approve(planned.checked.clone(), Approval::Flag).unwrap();
        // Each run comes minutes after the one before it: locks of runs that died have expired.
        let now = jiff::Timestamp::from_second(1_800_000_000 + i64::from(self.run) * 300).unwrap();
        let holder = Holder { name: format!("run {}", self.run), clock: Arc::new(move || now) };
        let providers = self.cloud.providers(&planned.spec, holder);
        let run = Run {
            providers: &providers,
            sink: &Silent,
            pace: self.cloud.pace(),
            parallelism: 8,
            stop: stop.clone(),
            run_id: format!("run-{}", self.run),
        };
        let report = executor::run(&approved, &run).await;
        providers.release().await;
        report
    }

    /// Nothing of the ensemble may be left after a destroy but what is kept on purpose.
    async fn orphans(&self, spec: &ValidSpec, delete_data: bool) -> Result<(), String> {
        let (_, observed) = self.observe(spec).await;
        let again = self.plan(spec, Mode::Destroy { delete_data }).await;
        if !again.is_empty() {
            return Err(format!("destroying again would do something:\n{}", again.words()));
        }
        let kept: Vec<_> = again
            .plan
            .kept
            .iter()
            .filter(|change| matches!(change.reason, Reason::Retained(_)))
            .map(|change| &change.id)
            .collect();
        for (id, reading) in &observed.resources {
            match reading {
                Reading::Known(live) if live.ownership == Ownership::Ours && !kept.contains(&id) => {
                    return Err(format!("{id} is left over"));
                }
                Reading::Known(_) | Reading::Absent => {}
                Reading::Unavailable(gap) => return Err(format!("{id} cannot be read: {}", gap.why)),
            }
        }
        Ok(())
    }
}

fn render(spec: &ValidSpec) -> Desired {
    zkprov_templates::render(spec, &zkprov_templates::Overrides::new()).unwrap()
}

fn failed(planned: &Planned, outcome: Outcome, failures: &[(usize, ProviderError)]) -> String {
    let causes: Vec<String> =
        failures.iter().map(|(step, error)| format!("step {step}: {}", one_line(error))).collect();
    format!("{outcome:?}: {}\n{}", causes.join("; "), planned.words())
}

/// Takes events and says nothing.
struct Silent;

impl EventSink for Silent {
    fn emit(&self, _: Event) {}
}
