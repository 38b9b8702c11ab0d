//! Pauses and deadlines. Nothing waits without a bound.

use crate::connection::Pace;
use crate::error::{ProviderError, ProviderErrorKind};
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// Longest pause between two tries of the same call.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Pauses that grow by half each time, up to a limit. No jitter: the same run takes the same pauses.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    /// Pauses between polls of one operation: from `pace.poll` to `pace.poll_max`.
    #[must_use]
    pub fn polling(pace: &Pace) -> Self {
        Self { next: pace.poll, max: pace.poll_max.max(pace.poll) }
    }

    /// Pauses between tries of one call: from `pace.retry` to 30 s.
    #[must_use]
    pub fn retrying(pace: &Pace) -> Self {
        Self { next: pace.retry, max: RETRY_MAX.max(pace.retry) }
    }

    /// The next pause; never longer than the limit.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next.min(self.max);
        self.next = (pause + pause / 2).min(self.max);
        pause
    }
}

/// The time that measures deadlines: this machine's, or an emulated cloud's.
#[derive(Clone, Copy)]
pub struct Clock(&'static (dyn Fn() -> Instant + Send + Sync));

impl Clock {
    /// The time of this machine.
    pub const MACHINE: Self = Self(&Instant::now);

    /// The time that a function returns. It must not go back during a wait.
    #[must_use]
    pub const fn told_by(now: &'static (dyn Fn() -> Instant + Send + Sync)) -> Self {
        Self(now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// The end of one wait.
#[derive(Debug, Clone)]
pub struct Deadline {
    clock: Clock,
    end: Instant,
    allowed: Duration,
    /// Longest time of this machine between two looks at the clock.
    look: Duration,
}

impl Deadline {
    /// `allowed` from now, by the clock of a pace.
    #[must_use]
    pub fn after(allowed: Duration, pace: &Pace) -> Self {
        Self { clock: pace.clock, end: (pace.clock.0)() + allowed, allowed, look: pace.poll_max }
    }

    /// How long it is until then; `None` when it has passed.
    fn left(&self) -> Option<Duration> {
        self.end.checked_duration_since((self.clock.0)()).filter(|left| !left.is_zero())
    }

    /// Whether it has passed.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.left().is_none()
    }

    /// What was allowed, in whole seconds.
    #[must_use]
    pub const fn seconds(&self) -> u64 {
        self.allowed.as_secs()
    }

    /// Lets `work` go on until the deadline; `None` when it has not ended by then.
    pub async fn bound<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let late = async {
            while let Some(left) = self.left() {
                tokio::time::sleep(left.min(self.look)).await;
            }
        };
        tokio::select! {
            biased;
            ended = work => Some(ended),
            () = late => None,
        }
    }

    /// Sleeps for `pause`, or less when the deadline is nearer.
    ///
    /// # Errors
    /// [`ProviderErrorKind::Deadline`] when the deadline has passed already; `doing` and `last`, the last state that
    /// was seen, go into the message.
    pub async fn sleep(&self, pause: Duration, doing: &str, last: &str) -> Result<(), ProviderError> {
        let Some(left) = self.left() else {
            let message = format!("not done after {} s; last seen: {last}", self.seconds());
            return Err(ProviderError::new(ProviderErrorKind::Deadline, doing, message).hint(
                "the cloud goes on by itself: run the same command again to wait on, or raise --timeout",
            ));
        };
        tokio::time::sleep(pause.min(left)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn pauses_grow_to_their_limit() {
        let pace = Pace { poll: Duration::from_secs(2), poll_max: Duration::from_secs(5), ..Pace::default() };
        let mut backoff = Backoff::polling(&pace);
        let pauses: Vec<u128> = (0..5).map(|_| backoff.pause().as_millis()).collect();
        assert_eq!(pauses, [2000, 3000, 4500, 5000, 5000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_ends_a_wait() {
        let deadline = Deadline::after(Duration::from_secs(3), &Pace::default());
        let begin = Instant::now();
        deadline.sleep(Duration::from_secs(2), "waiting", "PENDING").await.unwrap();
        deadline.sleep(Duration::from_secs(2), "waiting", "PENDING").await.unwrap();
        assert_eq!(begin.elapsed(), Duration::from_secs(3));
        let error = deadline.sleep(Duration::from_secs(2), "waiting", "PENDING").await.unwrap_err();
        assert_eq!(error.kind, ProviderErrorKind::Deadline);
        assert_eq!(error.to_string(), "waiting: not done after 3 s; last seen: PENDING");
        assert!(deadline.has_passed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_bounds_work() {
        let deadline = Deadline::after(Duration::from_secs(12), &Pace::default());
        let begin = Instant::now();
        let short = deadline.bound(tokio::time::sleep(Duration::from_secs(5)));
        assert_eq!(short.await, Some(()));
        assert_eq!(deadline.bound(std::future::pending::<()>()).await, None);
        assert_eq!(begin.elapsed(), Duration::from_secs(12));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_follows_its_clock_whatever_this_machine_says() {
        static GONE: AtomicU64 = AtomicU64::new(0);
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let clock = Clock::told_by(&|| *START + Duration::from_secs(GONE.load(Ordering::Relaxed)));
        let deadline = Deadline::after(Duration::from_secs(60), &Pace { clock, ..Pace::default() });
        let hour = deadline.bound(tokio::time::sleep(Duration::from_secs(3_600)));
        assert_eq!(hour.await, Some(()), "no time has gone by");
        GONE.store(60, Ordering::Relaxed);
        assert!(deadline.has_passed());
        assert_eq!(deadline.bound(std::future::pending::<()>()).await, None);
    }
}
