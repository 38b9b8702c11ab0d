//! The canary: a client that writes, reads back what it was told is written, and remembers every answer.

use futures::future::BoxFuture;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use zkprov_plans::havoc::{Outcome, Sample};

/// Time between the begins of two tries.
const EVERY: Duration = Duration::from_millis(250);
/// A try that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the canary writes: one session with the ensemble, made anew when it breaks.
pub trait Store: Send + Sync {
    /// Writes a number that was not written before. An error leaves open whether it is.
    fn write(&self, number: u64) -> BoxFuture<'_, Result<(), String>>;

    /// Whether a number that was acknowledged is there, in the words of the session that wrote it; an error also when that
    /// session is over: another one may be a little behind.
    fn read(&self, number: u64) -> BoxFuture<'_, Result<bool, String>>;

    /// Every number that one member has, asked by itself. `pod` is where it is.
    fn numbers_on<'a>(&'a self, pod: &'a str) -> BoxFuture<'a, Result<BTreeSet<u64>, String>>;

    /// Removes everything that was written.
    fn clean(&self) -> BoxFuture<'_, Result<(), String>>;
}

/// What the canary has seen so far.
#[derive(Debug, Default)]
pub(super) struct Song(Mutex<Notes>);

/// Tries in their order; the numbers of acknowledged writes.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes {
    pub(super) writes: Vec<Sample>,
    pub(super) reads: Vec<Sample>,
    pub(super) acknowledged: BTreeSet<u64>,
}

impl Song {
    fn note<T>(&self, change: impl FnOnce(&mut Notes) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was seen so far.
    pub(super) fn notes(&self) -> Notes {
        self.note(|notes| notes.clone())
    }

    /// Writes and reads until it is dropped, from `number` on. Times count from `begin`.
    pub(super) async fn sing(&self, store: &dyn Store, mut number: u64, begin: Instant) -> Infallible {
        loop {
            let next = Instant::now() + EVERY;
            let (write, written) = tried(begin, store.write(number)).await;
            self.note(|notes| {
                notes.writes.push(write);
                if written.is_some() {
                    notes.acknowledged.insert(number);
                }
            });
            if written.is_some() {
                let (mut read, there) = tried(begin, store.read(number)).await;
                if there == Some(false) {
                    read.outcome = Outcome::Stale;
                }
                self.note(|notes| notes.reads.push(read));
            } else {
                // Nobody who answers no write is asked to read: the read fails with it.
                self.note(|notes| notes.reads.push(write));
            }
            number += 1;
            sleep_until(next).await;
        }
    }
}

/// Writes one number after the other until one is acknowledged; the number after that.
///
/// # Errors
/// When `patience` is over, with the last reason.
pub(super) async fn first(store: &dyn Store, patience: Duration) -> Result<u64, String> {
    let begin = Instant::now();
    let mut number = 0;
    loop {
        let next = Instant::now() + EVERY;
        number += 1;
        let why = match timeout(PATIENCE, store.write(number)).await {
            Ok(Ok(())) => return Ok(number + 1),
            Ok(Err(why)) => why,
            Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        if begin.elapsed() >= patience {
            return Err(format!("the canary's first write is not acknowledged: {why}"));
        }
        sleep_until(next).await;
    }
}

/// One try, and its answer.
async fn tried<T>(begin: Instant, answer: impl Future<Output = Result<T, String>>) -> (Sample, Option<T>) {
    let start = Instant::now();
    let answer = match timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the canary was not answered");
            None
        }
        Err(_) => None,
    };
    let outcome = if answer.is_some() { Outcome::Ok } else { Outcome::Failed };
    (Sample { at: milliseconds(start - begin), took: milliseconds(start.elapsed()), outcome }, answer)
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
