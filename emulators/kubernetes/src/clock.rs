//! Virtual time as the API writes it.

use crate::api::Time;
use jiff::Timestamp;

fn timestamp(now: Time) -> Timestamp {
    i64::try_from(now)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

/// RFC 3339 with whole seconds, as `metav1.Time`.
pub(super) fn seconds(now: Time) -> String {
    timestamp(now).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Reads any RFC 3339 moment.
pub(super) fn parse(text: &str) -> Option<Time> {
    text.parse::<Timestamp>().ok().and_then(|at| Time::try_from(at.as_millisecond()).ok())
}

/// A span as `kubectl get` shows ages: `42s`, `5m10s`, `12m`, `3h7m`, `2d`.
pub(super) fn age(since: Time, now: Time) -> String {
    let seconds = now.saturating_sub(since) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let pair = |big: u64, unit: char, small: u64, small_unit: char| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{small_unit}") }
    };
    if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        pair(minutes, 'm', seconds % 60, 's')
    } else if hours < 3 {
        format!("{minutes}m")
    } else if hours < 8 {
        pair(hours, 'h', minutes % 60, 'm')
    } else if hours < 48 {
        format!("{hours}h")
    } else if days < 8 {
        pair(days, 'd', hours % 24, 'h')
    } else {
        format!("{days}d")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_kubectl_prints_them() {
        let shown = |seconds: u64| age(0, seconds * 1000);
        let texts = [0, 119, 120, 121, 600, 10_800, 11_400, 100_000, 180_000, 900_000].map(shown);
        assert_eq!(texts, ["0s", "119s", "2m", "2m1s", "10m", "3h", "3h10m", "27h", "2d2h", "10d"]);
    }
}
