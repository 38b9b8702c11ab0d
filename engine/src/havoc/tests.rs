//! Runs against an ensemble that is acted out, in paused time.

use super::*;
use crate::error::ProviderErrorKind;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};
use tokio::sync::watch::{Sender, channel};
use tokio::time::sleep;
use zkprov_plans::havoc::{Budget, Wanted, schedule, verdicts};
use zkprov_plans::observed::{Member, Mode, Server, Srvr};

/// Seconds that a replacement takes.
const REPLACED: u64 = 60;

#[derive(Default)]
struct World {
    /// Ids of the voters; the address and the pod of each are made of it.
    voters: Vec<u32>,
    /// Of these the pods are gone, until their places are taken.
    gone: Vec<(u32, Instant)>,
    kills: Vec<Kill>,
    /// Never replaced.
    hopeless: bool,
    /// Another run has the lock.
    locked: bool,
    /// Looks at which a voter does not serve, counted down.
    limping: u32,
    /// Numbers that were written.
    written: BTreeSet<u64>,
    /// Numbers that a read does not find.
    forgotten: BTreeSet<u64>,
}

struct Fake(Mutex<World>);

impl Fake {
    fn new(change: impl FnOnce(&mut World)) -> Self {
        let mut world = World { voters: vec![1, 2, 3], ..World::default() };
        change(&mut world);
        Self(Mutex::new(world))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    fn lose(&self, id: u32) {
        self.world().gone.push((id, Instant::now() + Duration::from_secs(REPLACED)));
    }
}

fn pod(id: u32) -> Pod {
    Pod {
        name: format!("pod-{id}"),
        ip: Some(format!("10.0.0.{id}")),
        host: None,
        revision: None,
        node: Some(format!("node-{id}")),
        phase: "Running".to_owned(),
        ready: true,
        deleting: false,
        trouble: None,
    }
}

impl World {
    fn state(&mut self) -> EnsembleState {
        let now = Instant::now();
        let mut next = self.voters.iter().max().copied().unwrap_or(0);
        for (id, due) in std::mem::take(&mut self.gone) {
            if due > now || self.hopeless {
                self.gone.push((id, due));
                continue;
            }
            next += 1;
            self.voters.retain(|voter| *voter != id);
            self.voters.push(next);
        }
        let gone: Vec<u32> = self.gone.iter().map(|(id, _)| *id).collect();
        let limps = self.limping == 1;
        self.limping = self.limping.saturating_sub(1);
        let serving = |id: &u32| !(gone.contains(id) || limps && *id == self.voters[0]);
        let leader = self.voters.iter().copied().find(|id| serving(id));
        let member = |id: &u32| Member {
            hostname: format!("10.0.0.{id}"),
            id: Some(*id),
            pod: Some(format!("pod-{id}")),
            exhibitor: Some(if serving(id) { 3 } else { 1 }.into()),
            exhibitor_leader: Some(*id) == leader,
            zookeeper: serving(id).then(|| Srvr {
                mode: if Some(*id) == leader { Mode::Leader } else { Mode::Follower },
                zxid: zkprov_plans::zookeeper::Zxid(0x1_0000_0001),
                connections: 0,
                nodes: 4,
                version: "3.4.14".to_owned(),
            }),
        };
        let host = |id: &u32| format!("10.0.0.{id}");
        EnsembleState {
            pods: self.voters.iter().filter(|id| !gone.contains(id)).map(|id| pod(*id)).collect(),
            servers: self
                .voters
                .iter()
                .map(|id| Server { id: *id, hostname: host(id), observer: false })
                .collect(),
            members: self.voters.iter().map(member).collect(),
            ..EnsembleState::default()
        }
    }
}

impl Field for Fake {
    fn look(&self) -> BoxFuture<'_, Result<EnsembleState, ProviderError>> {
        Box::pin(async {
            // As long as members that are gone take.
            let wait = if self.world().gone.is_empty() { 100 } else { 13_000 };
            sleep(Duration::from_millis(wait)).await;
            Ok(self.world().state())
        })
    }

    fn pods(&self) -> BoxFuture<'_, Result<Vec<Pod>, ProviderError>> {
        Box::pin(async { Ok(self.world().state().pods) })
    }

    fn place<'a>(
        &'a self,
        state: &'a EnsembleState,
    ) -> BoxFuture<'a, Result<Result<Placement, String>, ProviderError>> {
        Box::pin(async { Ok(Placement::of(state)) })
    }

    fn hold(&self) -> BoxFuture<'_, Result<(), ProviderError>> {
        let locked = self.world().locked;
        let error = ProviderError::new(ProviderErrorKind::Locked, "taking the lock", "another run holds it");
        Box::pin(async move { if locked { Err(error) } else { Ok(()) } })
    }

    fn kill<'a>(&'a self, kill: &'a Kill, _: &'a str) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async {
            let whole = self.world().gone.is_empty();
            assert!(whole, "a kill while somebody is gone");
            self.world().kills.push(kill.clone());
            kill.takes.iter().for_each(|voter| self.lose(voter.id));
            Ok(())
        })
    }

    fn file_server_is_back(&self) -> BoxFuture<'_, Result<bool, ProviderError>> {
        Box::pin(async { Ok(true) })
    }
}

impl Store for Fake {
    fn write(&self, number: u64) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let mut world = self.world();
            if world.gone.len() > 1 {
                return Err("no quorum".to_owned());
            }
            world.written.insert(number);
            Ok(())
        })
    }

    fn read(&self, number: u64) -> BoxFuture<'_, Result<bool, String>> {
        let there = !self.world().forgotten.contains(&number);
        Box::pin(async move { Ok(there) })
    }

    fn numbers_on<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<BTreeSet<u64>, String>> {
        let world = self.world();
        let numbers = world.written.difference(&world.forgotten).copied().collect();
        Box::pin(async { Ok(numbers) })
    }

    fn clean(&self) -> BoxFuture<'_, Result<(), String>> {
        self.world().written.clear();
        Box::pin(async { Ok(()) })
    }
}

const WANTED: Wanted =
    Wanted { pods: 1, nodes: 0, file_server: false, rounds: 2, seed: 7, budget: Budget::Quorum };

async fn runs(fake: &Fake, duration: Option<Duration>) -> (Record, Sender<bool>) {
    let (ask, stop) = channel(false);
    let record = runs_until(fake, duration, stop).await;
    (record, ask)
}

async fn runs_until(fake: &Fake, duration: Option<Duration>, stop: Receiver<bool>) -> Record {
    let placement = Placement::of(&fake.world().state()).unwrap();
    let drawn = schedule(&WANTED, &placement).unwrap();
    let havoc = Havoc {
        field: fake,
        canary: fake,
        pace: Pace::default(),
        deadline: Duration::from_secs(300),
        duration,
        stop,
        tell: &|_| (),
        ensemble: "exhibitor".to_owned(),
        run: "r".to_owned(),
    };
    run(drawn, &havoc).await
}

fn failed(record: &Record) -> Vec<&'static str> {
    let bad = verdicts(record).into_iter().filter(|verdict| verdict.passed != Some(true));
    bad.map(|verdict| verdict.name).collect()
}

#[tokio::test(start_paused = true)]
async fn two_rounds_strike_a_whole_ensemble_and_are_timed() {
    let fake = Fake::new(|_| ());
    let (record, _ask) = runs(&fake, None).await;
    assert!(record.held(), "{record:#?}");
    assert_eq!((record.strikes.len(), record.most_down), (2, 1));
    for strike in &record.strikes {
        // The pods' list tells within a second, and no look at the members within 13.
        assert!(strike.detected.is_some_and(|time| time <= 1_100), "{strike:?}");
        let serving = strike.serving.unwrap();
        assert!((60_000..90_000).contains(&serving), "{serving}");
        assert_eq!(strike.quorum, Some(0));
    }
    // The victim of the second round is a voter of then.
    let ids: Vec<u32> = record.strikes.iter().map(|strike| strike.kills[0].takes[0].id).collect();
    assert_ne!(ids[0], ids[1]);
    assert!(record.acknowledged() > 400, "{}", record.acknowledged());
    assert!(fake.world().written.is_empty(), "the canary's znodes are left");
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_others_break_ends_the_run() {
    let fake = Fake::new(|_| ());
    let meanwhile = async {
        while fake.world().kills.is_empty() {
            sleep(Duration::from_millis(100)).await;
        }
        sleep(Duration::from_secs(5)).await;
        let struck = fake.world().gone[0].0;
        let voters = fake.world().voters.clone();
        let other = voters.into_iter().find(|id| *id != struck).unwrap();
        fake.lose(other);
        Instant::now()
    };
    let ended = async { (runs(&fake, None).await.0, Instant::now()) };
    let ((record, ended), lost) = tokio::join!(ended, meanwhile);
    assert!(matches!(record.end, End::BudgetBroken(_)), "{:?}", record.end);
    assert_eq!((record.most_down, record.strikes.len(), fake.world().kills.len()), (2, 1, 1));
    assert!(ended - lost < Duration::from_secs(3), "noticed after {:?}", ended - lost);
    assert_eq!(failed(&record), ["budget", "recovery", "acknowledged writes"]);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_come_back_in_time_fails_the_run() {
    let fake = Fake::new(|world| world.hopeless = true);
    let (record, _ask) = runs(&fake, None).await;
    assert!(matches!(record.end, End::NotRecovered(_)), "{:?}", record.end);
    assert_eq!(fake.world().kills.len(), 1);
    assert!(record.took >= 300_000 && record.took < 330_000, "{}", record.took);
    assert!(failed(&record).contains(&"recovery"));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_killed_without_the_lock() {
    let fake = Fake::new(|world| world.locked = true);
    let (record, _ask) = runs(&fake, None).await;
    assert!(matches!(&record.end, End::Aborted(why) if why.contains("another run")), "{:?}", record.end);
    assert!(fake.world().kills.is_empty() && record.strikes.is_empty() && !record.held());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_killed_while_a_voter_does_not_serve() {
    // Whole at the first look, not at the second, right before the kill.
    let fake = Fake::new(|world| world.limping = 3);
    let (record, _ask) = runs(&fake, None).await;
    assert!(record.held(), "{record:#?}");
    // Two looks more than it takes otherwise.
    assert!(record.strikes[0].at >= 400, "{}", record.strikes[0].at);
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_run_waits_for_nothing() {
    let fake = Fake::new(|_| ());
    let (ask, stop) = channel(false);
    let interrupt = async {
        sleep(Duration::from_secs(20)).await;
        ask.send(true).unwrap();
    };
    let begin = Instant::now();
    let (record, ()) = tokio::join!(runs_until(&fake, None, stop), interrupt);
    assert_eq!(record.end, End::Interrupted);
    assert_eq!(begin.elapsed(), Duration::from_secs(20));
    assert_eq!((fake.world().kills.len(), failed(&record)), (1, vec!["recovery", "acknowledged writes"]));
    assert!(fake.world().written.is_empty(), "the canary's znodes are left");
}

#[tokio::test(start_paused = true)]
async fn no_wave_begins_when_the_time_is_over() {
    let fake = Fake::new(|_| ());
    let (record, _ask) = runs(&fake, Some(Duration::from_secs(30))).await;
    assert_eq!((&record.end, record.strikes.len()), (&End::TimeUp, 1));
    assert!(record.held());
}

#[tokio::test(start_paused = true)]
async fn a_lost_write_and_a_stale_read_are_found() {
    let fake = Fake::new(|world| world.forgotten = BTreeSet::from([7]));
    let (record, _ask) = runs(&fake, None).await;
    assert_eq!((&record.end, failed(&record)), (&End::Done, vec!["acknowledged writes", "reads"]));
    let Check::Read { lost, members } = &record.check else { panic!("{:?}", record.check) };
    assert_eq!(members.len(), 3);
    assert!(lost.values().all(|numbers| *numbers == [7]), "{lost:?}");
}
