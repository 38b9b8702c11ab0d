//! The serving process's side of the world: whose turn it is, what time it is, what must be stored.

mod clients;
mod reach;
mod reality;

use super::clusters::Listeners;
use super::store::{Directory, Locked, News, StoreError, wall};
use super::{Clock, Cut, LogEntry, Side};
use crate::api::{ClusterKey, Endpoints, Request, Service, Time};
use crate::faults::{Effect, Faults, service_name};
use crate::kubernetes::{Answer, ImageFaults, WatchCursor};
use crate::world::World;
use clients::Client;
use rustls::ServerConfig;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Longest step of virtual time for a request that waits on an instant clock, so that a long poll sees its deadline.
const WAIT_STEP: Time = 30_000;
/// Shortest such step: nobody who waits looks more often. In a cluster also the longest: its members have much that a client looks
/// at meanwhile, and periods that pass without a change are no events.
const POLL: Time = 5_000;
/// Most virtual time that is caught up at once on a paced clock after nothing was asked for a while.
const CATCH_UP: Time = 15 * 60_000;
/// Recent requests that are remembered.
const LOG_LENGTH: usize = 2_000;
/// Cells that stay in memory when their state is in a directory: those that were used last.
const CELLS: usize = 12;

/// One serving process.
#[derive(Debug)]
pub(crate) struct Core {
    inner: Mutex<Inner>,
    /// Told whenever the world has changed.
    pub(crate) moved: Notify,
    clock: Clock,
    /// Wall clock at the start: time before it went by unserved.
    started: Time,
    seed: u64,
    /// For connections to the clusters that do not come by a port of their own.
    pub(crate) tls: Arc<ServerConfig>,
}

#[derive(Debug)]
struct Inner {
    directory: Option<Directory>,
    world: World,
    /// Wall clock when `world.now` was true.
    anchor: Time,
    listeners: Listeners,
    faults: Faults,
    cut: Option<Cut>,
    /// The request that was cut, by method and target. After it nothing is served any more.
    struck: Option<String>,
    requests: usize,
    mutations: usize,
    log: VecDeque<LogEntry>,
    /// Reads since the world last changed: the second one alike means that someone waits.
    reads: BTreeSet<String>,
    /// Sessions of the ZooKeeper clients that this process serves, which live in real time.
    sessions: BTreeMap<i64, Client>,
    /// The clusters that clients are connected into, by the numbers of the connections.
    connections: BTreeMap<u64, ClusterKey>,
}

/// What is to become of a request before the world sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It goes on, struck by a fault perhaps.
    Serve(Option<Effect>),
    /// The connection is dropped before the request takes effect.
    Drop,
    /// The same, since the Kubernetes API is away for now.
    Away,
}

impl Core {
    pub(crate) fn new(
        directory: Option<Directory>,
        listeners: Listeners,
        tls: Arc<ServerConfig>,
        options: &super::Options,
    ) -> Result<Self, StoreError> {
        let started = wall();
        let core = Self {
            inner: Mutex::new(Inner {
                directory,
                world: World::new(options.seed, first_moment(options.clock, started)),
                anchor: started,
                listeners,
                faults: Faults::new(options.faults.clone()),
                cut: options.cut_at,
                struck: None,
                requests: 0,
                mutations: 0,
                log: VecDeque::new(),
                reads: BTreeSet::new(),
                sessions: BTreeMap::new(),
                connections: BTreeMap::new(),
            }),
            moved: Notify::new(),
            clock: options.clock,
            started,
            seed: options.seed,
            tls,
        };
        // A damaged state is refused at the start, not at the first request.
        core.set_reality(|reality| {
            reality.apply(&options.reality);
            !options.reality.is_empty()
        })?;
        Ok(core)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a turn at the world: brings it up to date, lets `act` at it, stores what changed. `act` says through its
    /// second argument that it changed the world.
    fn turn<T>(&self, act: impl FnOnce(&mut Inner, &mut bool) -> T) -> Result<T, StoreError> {
        self.turn_at(|inner| self.present(inner), act)
    }

    /// The same, with the world brought to a time of the caller's choice.
    fn turn_at<T>(
        &self,
        target: impl FnOnce(&Inner) -> Time,
        act: impl FnOnce(&mut Inner, &mut bool) -> T,
    ) -> Result<T, StoreError> {
        let mut inner = self.lock();
        let _file_lock = inner.begin(|| self.fresh())?;
        let target = target(&inner);
        let mut changed = inner.move_to(target);
        let result = act(&mut inner, &mut changed);
        if inner.finish(changed)? {
            inner.sync_listeners();
            drop(inner);
            self.moved.notify_waiters();
        }
        Ok(result)
    }

    fn fresh(&self) -> World {
        World::new(self.seed, first_moment(self.clock, wall()))
    }

    /// What virtual time it is now. Time goes on only while some process serves: from the last stored moment or this
    /// process's start, whichever is later.
    fn present(&self, inner: &Inner) -> Time {
        match self.clock {
            Clock::Instant => inner.world.now + 1,
            Clock::Paced { rate } => {
                let elapsed = wall().saturating_sub(inner.anchor.max(self.started));
                inner.world.now + scaled(elapsed, rate).min(CATCH_UP)
            }
        }
    }

    /// Counts and logs a request; says whether it is served.
    pub(crate) fn admit(&self, request: &Request) -> Admission {
        let mut inner = self.lock();
        inner.requests += 1;
        if mutating(request) {
            inner.mutations += 1;
        }
        let cut = inner.cut_now(request, Side::Before);
        let effect = if inner.struck.is_some() { None } else { inner.faults.strike(request) };
        let entry = LogEntry {
            at: inner.world.now,
            service: service_name(&request.service).to_owned(),
            method: request.method.clone(),
            target: target_of(request),
            fault: if inner.struck.is_some() {
                Some("cut".to_owned())
            } else {
                effect.as_ref().map(|e| format!("{e:?}"))
            },
        };
        if inner.log.len() == LOG_LENGTH {
            inner.log.pop_front();
        }
        inner.log.push_back(entry);
        match &request.service {
            _ if cut || inner.struck.is_some() => Admission::Drop,
            Service::Kubernetes(key) if inner.world.google.container.api_away(key, inner.world.now) => {
                Admission::Away
            }
            Service::Kubernetes(_)
            | Service::Compute
            | Service::Container
            | Service::Filestore
            | Service::Storage => Admission::Serve(effect),
        }
    }

    /// After a request took effect: whether its response is to be lost.
    pub(crate) fn cut_after(&self, request: &Request) -> bool {
        let mut inner = self.lock();
        inner.cut_now(request, Side::After) || inner.struck.is_some()
    }

    /// Hands a request to the world. `arrived` is when it was first handed in, `None` when it is now. Returns the answer
    /// and that time.
    pub(crate) fn handle(
        &self,
        request: &Request,
        arrived: Option<Time>,
    ) -> Result<(Answer, Time), StoreError> {
        self.turn(|inner, changed| {
            let instant = matches!(self.clock, Clock::Instant);
            if instant && arrived.is_none() {
                *changed |= inner.waiting_read(request);
            }
            if arrived.is_none()
                && let Some(refusal) = inner.throttle(request)
            {
                // Whoever tries again waits for the next minute.
                *changed |= instant && inner.step(WAIT_STEP, cluster_of(&request.service));
                return (refusal, inner.world.now);
            }
            let arrived = arrived.unwrap_or(inner.world.now);
            // Clusters that came or went in the time that went by.
            if inner.world.google.container.is_touched() {
                inner.sync_listeners();
            }
            (inner.world.handle(request, arrived, &inner.listeners.endpoints), arrived)
        })
    }

    /// What a watch has to deliver, and whether it ends.
    pub(crate) fn watch(
        &self,
        cluster: &str,
        cursor: &mut WatchCursor,
    ) -> Result<(Vec<u8>, bool), StoreError> {
        self.turn(|inner, _| {
            if inner.struck.is_some() || inner.world.google.container.api_away(cluster, inner.world.now) {
                return (Vec::new(), true);
            }
            inner.world.look(cluster, |cluster, now| cluster.watch(cursor, now)).unwrap_or((Vec::new(), true))
        })
    }

    /// Waits until it is worth handing a request in again.
    pub(crate) async fn wait(&self, service: &Service) -> Result<(), StoreError> {
        let moved = self.moved.notified();
        match self.clock {
            Clock::Instant => {
                // Others get their turn first: time moves on when nobody has anything to do but wait.
                tokio::task::yield_now().await;
                self.step(WAIT_STEP, service)
            }
            Clock::Paced { .. } => {
                let _ = tokio::time::timeout(self.pause(cluster_of(service)), moved).await;
                Ok(())
            }
        }
    }

    /// How long it is until something may have happened that nobody tells.
    pub(crate) fn pause(&self, cluster: Option<&str>) -> Duration {
        // Other processes tell us nothing: look again a few times a second.
        const LOOK: Time = 250;
        let Clock::Paced { rate } = self.clock else { return Duration::from_millis(LOOK) };
        let inner = self.lock();
        let next = inner.world.next_event_for(cluster);
        let until = next.map(|next| next.saturating_sub(inner.world.now));
        Duration::from_millis(until.map_or(LOOK, |ms| scaled(ms, 1.0 / rate).clamp(1, LOOK)))
    }

    /// Waits until a watch may have something to deliver.
    pub(crate) async fn wait_for_watch(&self, service: &Service) -> Result<(), StoreError> {
        match self.clock {
            Clock::Paced { .. } => self.wait(service).await,
            Clock::Instant => {
                // A watch alone moves time on only when nothing else is asked: a client that is busy between two
                // requests must not find hours gone by.
                let requests = self.request_count();
                let idle =
                    tokio::time::timeout(Duration::from_millis(10), self.moved.notified()).await.is_err();
                if idle && self.request_count() == requests { self.step(WAIT_STEP, service) } else { Ok(()) }
            }
        }
    }

    /// Moves time to the next event, at most by `limit` milliseconds.
    fn step(&self, limit: Time, service: &Service) -> Result<(), StoreError> {
        self.turn(|inner, changed| *changed |= inner.step(limit, cluster_of(service)))
    }

    /// Moves virtual time on.
    pub(crate) fn advance(&self, milliseconds: Time) -> Result<Time, StoreError> {
        self.turn(|inner, changed| {
            let target = inner.world.now.saturating_add(milliseconds);
            inner.move_to(target);
            *changed = true;
            inner.world.now
        })
    }

    /// Lets this much virtual time go by for one request.
    pub(crate) async fn delay(&self, milliseconds: Time) -> Result<(), StoreError> {
        match self.clock {
            Clock::Instant => self.advance(milliseconds).map(|_| ()),
            Clock::Paced { rate } => {
                tokio::time::sleep(Duration::from_millis(scaled(milliseconds, 1.0 / rate))).await;
                Ok(())
            }
        }
    }

    /// A copy of the world as it is now, all of it.
    pub(crate) fn world(&self) -> Result<World, StoreError> {
        self.turn(|inner, _| {
            let now = inner.world.now;
            inner.world.advance_to(now);
            let mut world = inner.world.clone();
            world.residence = Default::default();
            world
        })
    }

    /// Puts another world in the place of the present one.
    pub(crate) fn restore(&self, world: World) -> Result<(), StoreError> {
        self.turn(|inner, changed| {
            *changed = true;
            inner.replace(world)
        })?
    }

    /// From now on nodes cannot pull these images.
    pub(crate) fn refuse_images(&self, faults: ImageFaults) -> Result<(), StoreError> {
        self.turn(|inner, changed| {
            inner.world.image_faults = faults;
            *changed = true;
        })
    }

    /// Sets where to cut, with changing requests counted anew, and serves again.
    pub(crate) fn set_cut(&self, cut: Option<Cut>) {
        let mut inner = self.lock();
        (inner.cut, inner.struck, inner.mutations) = (cut, None, 0);
    }

    /// Lets `act` see or change the fault rules.
    pub(crate) fn faults<T>(&self, act: impl FnOnce(&mut Faults) -> T) -> T {
        act(&mut self.lock().faults)
    }

    pub(crate) fn endpoints(&self) -> Endpoints {
        self.lock().listeners.endpoints.clone()
    }

    pub(crate) fn now(&self) -> Time {
        self.lock().world.now
    }

    pub(crate) fn request_count(&self) -> usize {
        self.lock().requests
    }

    pub(crate) fn mutation_count(&self) -> usize {
        self.lock().mutations
    }

    pub(crate) fn struck(&self) -> Option<String> {
        self.lock().struck.clone()
    }

    pub(crate) fn log(&self) -> Vec<LogEntry> {
        self.lock().log.iter().cloned().collect()
    }

    /// Stores the present moment, so that time goes on from here in the next process.
    pub(crate) fn close(&self) -> Result<(), StoreError> {
        self.turn(|_, changed| *changed = true)
    }
}

impl Inner {
    /// Takes the file lock, and what other processes have made of the world.
    fn begin(&mut self, fresh: impl FnOnce() -> World) -> Result<Option<Locked>, StoreError> {
        let Some(directory) = &mut self.directory else { return Ok(None) };
        let locked = directory.lock()?;
        let path = directory.path().to_owned();
        let unreadable = |problem| StoreError::Unreadable { path, problem };
        match directory.news()? {
            News::None => return Ok(Some(locked)),
            News::Empty => {
                directory.create()?;
                let archive = directory.archive();
                self.world = fresh();
                self.world.settle_in(Some(archive));
                self.store(false)?;
            }
            News::Anew(rows, anchor) => {
                self.world = World::assemble(&rows, Some(directory.archive())).map_err(unreadable)?;
                self.anchor = anchor;
            }
            News::Changed(rows, anchor) => {
                self.world.accept(&rows).map_err(unreadable)?;
                self.anchor = anchor;
            }
        }
        self.reads.clear();
        self.sync_listeners();
        Ok(Some(locked))
    }

    /// Puts another world in the place of this one.
    fn replace(&mut self, world: World) -> Result<(), StoreError> {
        if let Some(directory) = &mut self.directory {
            directory.renew()?;
        }
        self.world = world;
        self.world.settle_in(self.directory.as_ref().map(Directory::archive));
        Ok(())
    }

    /// Stores what a turn has changed, if anything; says whether. When that fails the copy in memory is dropped: what could not
    /// be stored has not happened.
    fn finish(&mut self, changed: bool) -> Result<bool, StoreError> {
        let outcome = self.store(changed);
        if let (Err(_), Some(directory)) = (&outcome, &mut self.directory) {
            directory.forget();
        }
        let changed = outcome? || changed;
        if changed {
            self.reads.clear();
        }
        let Self { world, connections, .. } = self;
        let is_connected = |key: &ClusterKey| connections.values().any(|own| own == key);
        world.unload_idle(CELLS, |cell| cell.clusters().any(is_connected));
        Ok(changed)
    }

    /// Stores what has changed, and the present moment if `moment`; says whether there was anything.
    fn store(&mut self, moment: bool) -> Result<bool, StoreError> {
        let broken = self.world.residence.broken.take();
        let path = self.directory.as_ref().map_or_else(PathBuf::new, |directory| directory.path().to_owned());
        if let Some(problem) = broken {
            return Err(StoreError::Unreadable { path, problem });
        }
        let changes = self
            .world
            .changes(moment)
            .map_err(|error| StoreError::Unreadable { path, problem: error.to_string() })?;
        let gone = std::mem::take(&mut self.world.residence.gone);
        if changes.is_empty() && gone.is_empty() {
            return Ok(false);
        }
        if let Some(directory) = &mut self.directory {
            self.anchor = wall();
            directory.store(&changes, gone, self.anchor)?;
        }
        Ok(!self.world.residence.only_counted)
    }

    /// Moves time on; whether something happened by it.
    fn move_to(&mut self, target: Time) -> bool {
        if target > self.world.now {
            self.anchor = wall();
        }
        self.world.residence.sessions = self.sessions.keys().copied().collect();
        self.world.move_to(target)
    }

    fn step(&mut self, limit: Time, cluster: Option<&str>) -> bool {
        let latest = self.world.now + if cluster.is_some() { POLL } else { limit };
        let next = self.world.next_event_for(cluster);
        let target = next.map_or(latest, |next| next.clamp(self.world.now + POLL, latest));
        // A client that polls with several reads sees one step of time, not one for each of them.
        self.reads.clear();
        self.move_to(target) || next.is_some_and(|next| next <= target)
    }

    /// A read that was asked before, with nothing changed since, polls for something: time moves to the next event.
    fn waiting_read(&mut self, request: &Request) -> bool {
        let cluster = cluster_of(&request.service);
        if mutating(request) || cluster.is_none() && self.world.next_event_for(cluster).is_none() {
            return false;
        }
        let first = self.reads.insert(format!("{:?} {}", request.service, target_of(request)));
        !first && self.step(WAIT_STEP, cluster)
    }

    fn sync_listeners(&mut self) {
        // Without an IP endpoint a cluster is reached by its DNS endpoint alone.
        let by_address = |key: &&String| self.world.google.container.has_ip_endpoint(key);
        let keys: BTreeSet<&String> = self.world.clusters().into_iter().filter(by_address).collect();
        self.listeners.sync(&keys);
    }

    fn cut_now(&mut self, request: &Request, side: Side) -> bool {
        let due =
            self.cut.is_some_and(|cut| cut.side == side && cut.at == self.mutations) && mutating(request);
        if due {
            self.struck = Some(format!("{} {}", request.method, target_of(request)));
        }
        due
    }
}

/// Whether the request asks for a change: dry runs and waits don't, Exhibitor's switches and restarts do.
fn mutating(request: &Request) -> bool {
    const ORDERS: [&str; 4] = ["set/", "restart", "start", "stop"];
    let wait = request.service == Service::Compute && request.path.ends_with("/wait");
    let to_exhibitor = request.path.split_once("/proxy/exhibitor/v1/cluster/");
    if to_exhibitor.is_some_and(|(_, rest)| ORDERS.iter().any(|order| rest.starts_with(order))) {
        return true;
    }
    !matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS")
        && !wait
        && request.query("dryRun").is_none()
}

/// The cluster that a request is about.
fn cluster_of(service: &Service) -> Option<&str> {
    match service {
        Service::Kubernetes(key) => Some(key),
        Service::Compute | Service::Container | Service::Filestore | Service::Storage => None,
    }
}

fn target_of(request: &Request) -> String {
    let query: Vec<String> = request.query.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if query.is_empty() { request.path.clone() } else { format!("{}?{}", request.path, query.join("&")) }
}

/// When a new world begins. On an instant clock always at the same moment, so that runs are alike.
fn first_moment(clock: Clock, wall: Time) -> Time {
    const NEW_YEAR_2026: Time = 1_767_225_600_000;
    match clock {
        Clock::Instant => NEW_YEAR_2026,
        Clock::Paced { .. } => wall,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "milliseconds of at most a few centuries; casts of floats saturate"
)]
fn scaled(milliseconds: Time, factor: f64) -> Time {
    (milliseconds as f64 * factor) as Time
}
