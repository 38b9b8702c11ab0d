//! When a call is tried again, and after how long.

use crate::connection::Pace;
use crate::error::{ProviderError, ProviderErrorKind};
use std::time::Duration;

/// Tries of one call before a transient fault counts as lasting.
const TRIES: u32 = 8;

/// What to do about a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Try again after this pause.
    After(Duration),
    /// Read the resource again first: it may have happened, or something moved.
    Refresh(Duration),
    /// Give up.
    Stop,
}

/// Decides by the error's class alone. `tries` is how often the call was made, at least 1.
pub(super) fn next(error: &ProviderError, tries: u32, pace: &Pace, jitter: u64) -> Next {
    if tries >= TRIES {
        return Next::Stop;
    }
    let pause = error.retry_after.unwrap_or_else(|| backoff(tries, pace, jitter));
    match error.kind {
        ProviderErrorKind::Transient => Next::After(pause),
        ProviderErrorKind::Busy => Next::Refresh(pause),
        ProviderErrorKind::OutcomeUnknown
        | ProviderErrorKind::Stale
        | ProviderErrorKind::AlreadyExists
        | ProviderErrorKind::NotFound => Next::Refresh(pause.min(pace.retry)),
        ProviderErrorKind::Denied
        | ProviderErrorKind::QuotaExceeded
        | ProviderErrorKind::Invalid
        | ProviderErrorKind::Failed
        | ProviderErrorKind::Deadline
        | ProviderErrorKind::Locked
        | ProviderErrorKind::Refused => Next::Stop,
    }
}

/// Doubles from `pace.retry` up to 32 times that, less up to a quarter so that runs do not fall into step.
fn backoff(tries: u32, pace: &Pace, jitter: u64) -> Duration {
    let full = pace.retry.saturating_mul(1 << tries.saturating_sub(1).min(5));
    full - full.mul_f64(f64::from(u32::try_from(jitter % 250).unwrap_or_default()) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_errors_are_final_and_transient_ones_are_not_for_ever() {
        let pace = Pace::default();
        let error = |kind| ProviderError::new(kind, "doing", "message");
        assert_eq!(next(&error(ProviderErrorKind::Denied), 1, &pace, 0), Next::Stop);
        assert_eq!(next(&error(ProviderErrorKind::QuotaExceeded), 1, &pace, 0), Next::Stop);
        let Next::After(first) = next(&error(ProviderErrorKind::Transient), 1, &pace, 100) else { panic!() };
        let Next::After(third) = next(&error(ProviderErrorKind::Transient), 3, &pace, 100) else { panic!() };
        assert!(first < pace.retry && third > first * 3);
        assert_eq!(next(&error(ProviderErrorKind::Transient), TRIES, &pace, 0), Next::Stop);
    }

    #[test]
    fn the_server_may_say_how_long() {
        let mut error = ProviderError::new(ProviderErrorKind::Transient, "doing", "message");
        error.retry_after = Some(Duration::from_secs(7));
        assert_eq!(next(&error, 1, &Pace::default(), 3), Next::After(Duration::from_secs(7)));
    }
}
