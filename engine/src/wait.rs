//! Pauses and deadlines. Nothing waits without a bound.

use crate::connection::Pace;
use crate::error::{ProviderError, ProviderErrorKind};
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

/// The end of one wait.
#[derive(Debug, Clone)]
pub struct Deadline {
    end: Instant,
    allowed: Duration,
}

impl Deadline {
    /// `allowed` from now.
    #[must_use]
    pub fn after(allowed: Duration) -> Self {
        Self { end: Instant::now() + allowed, allowed }
    }

    /// Sleeps for `pause`, or less when the deadline is nearer.
    ///
    /// # Errors
    /// [`ProviderErrorKind::Deadline`] when the deadline has passed already; `doing` and `last`, the last state that
    /// was seen, go into the message.
    pub async fn sleep(&self, pause: Duration, doing: &str, last: &str) -> Result<(), ProviderError> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let message = format!("not done after {} s; last seen: {last}", self.allowed.as_secs());
            return Err(ProviderError::new(ProviderErrorKind::Deadline, doing, message).hint(
                "the cloud goes on by itself: run the same command again to wait on, or raise --timeout",
            ));
        }
        tokio::time::sleep(pause.min(left)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit() {
        let pace = Pace { poll: Duration::from_secs(2), poll_max: Duration::from_secs(5), ..Pace::default() };
        let mut backoff = Backoff::polling(&pace);
        let pauses: Vec<u128> = (0..5).map(|_| backoff.pause().as_millis()).collect();
        assert_eq!(pauses, [2000, 3000, 4500, 5000, 5000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_ends_a_wait() {
        let deadline = Deadline::after(Duration::from_secs(3));
        let begin = Instant::now();
        deadline.sleep(Duration::from_secs(2), "waiting", "PENDING").await.unwrap();
        deadline.sleep(Duration::from_secs(2), "waiting", "PENDING").await.unwrap();
        assert_eq!(begin.elapsed(), Duration::from_secs(3));
        let error = deadline.sleep(Duration::from_secs(2), "waiting", "PENDING").await.unwrap_err();
        assert_eq!(error.kind, ProviderErrorKind::Deadline);
        assert_eq!(error.to_string(), "waiting: not done after 3 s; last seen: PENDING");
    }
}
