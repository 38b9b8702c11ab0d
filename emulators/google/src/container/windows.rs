//! Maintenance windows and exclusions: when GKE may begin an upgrade by itself.
//!
//! The meaning of the fields is that of `MaintenanceWindow` in the API reference. Recurrences are read as far as `gcloud`
//! and the console write them: daily, weekly by day, monthly by day and position. GKE keeps times in UTC, and so do
//! windows here. A recurrence that is not understood never opens.

use crate::api::Time;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use serde_json::Value;

/// Milliseconds after which it is worth looking again at a window that does not open in sight.
pub(super) const LOOK_AGAIN: Time = 30 * 24 * 3_600_000;

const DAY: Time = 24 * 3_600_000;
/// A daily window's length, as the recordings of the service show it.
const DAILY: Time = 4 * 3_600_000;

/// What is to be upgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The control plane, to a newer patch.
    ControlPlane,
    /// The control plane, to the next minor version.
    Minor,
    /// Nodes.
    Nodes,
}

/// The first moment from `now` on at which a maintenance policy lets an upgrade begin; `None` when none is in sight.
pub(super) fn next_opening(policy: Option<&Value>, part: Part, now: Time) -> Option<Time> {
    let window = policy.and_then(|policy| policy.get("window"));
    let exclusions: Vec<(Time, Time)> = exclusions(window, part).collect();
    let mut at = now;
    // Each round passes an exclusion or goes to the beginning of a window.
    for _ in 0..1000 {
        if let Some((_, end)) = exclusions.iter().find(|(start, end)| (*start..*end).contains(&at)) {
            at = *end;
            continue;
        }
        let begins = match window {
            None => at,
            Some(window) => next_window(window, at)?,
        };
        if begins <= at {
            return Some(at);
        }
        at = begins;
    }
    None
}

fn moment(value: &Value, field: &str) -> Option<Time> {
    let text = value.get(field)?.as_str()?;
    let moment: Timestamp = text.parse().ok()?;
    u64::try_from(moment.as_millisecond()).ok()
}

/// Spans of time that keep this part from being upgraded.
fn exclusions(window: Option<&Value>, part: Part) -> impl Iterator<Item = (Time, Time)> {
    let all = window.and_then(|window| window.get("maintenanceExclusions")).and_then(Value::as_object);
    all.into_iter().flatten().filter_map(move |(_, exclusion)| {
        let scope = exclusion.pointer("/maintenanceExclusionOptions/scope").and_then(Value::as_str);
        let holds = match scope {
            Some("NO_MINOR_UPGRADES") => part == Part::Minor,
            Some("NO_MINOR_OR_NODE_UPGRADES") => part != Part::ControlPlane,
            _ => true,
        };
        Some((moment(exclusion, "startTime")?, moment(exclusion, "endTime")?)).filter(|_| holds)
    })
}

/// When the window that is open at a moment began, at the latest that moment itself; else when the next one begins.
fn next_window(window: &Value, at: Time) -> Option<Time> {
    let (first, length, rule) = if let Some(recurring) = window.get("recurringWindow") {
        let span = recurring.get("window")?;
        let first = moment(span, "startTime")?;
        let length = moment(span, "endTime")?.checked_sub(first)?;
        (first, length, Rule::read(recurring.get("recurrence")?.as_str()?)?)
    } else if let Some(daily) = window.get("dailyMaintenanceWindow") {
        let (hours, minutes) = daily.get("startTime")?.as_str()?.split_once(':')?;
        let minutes = hours.parse::<Time>().ok()? * 60 + minutes.parse::<Time>().ok()?;
        (minutes * 60_000, DAILY, Rule::default())
    } else {
        return Some(at);
    };
    let began = date(first)?;
    let time = first % DAY;
    // A window may have begun some days ago and still be open.
    let back = i64::try_from(length / DAY).unwrap_or(0) + 1;
    let start = date(at)?.checked_sub(Span::new().days(back)).ok()?;
    let days = std::iter::successors(Some(start), |day| day.tomorrow().ok()).take(430);
    let starts = days.filter(|day| *day >= began && rule.occurs(*day, began)).filter_map(|day| {
        let midnight = day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond();
        u64::try_from(midnight).ok().map(|midnight| midnight + time)
    });
    starts.into_iter().find(|start| start + length > at).map(|start| start.max(at))
}

fn date(time: Time) -> Option<Date> {
    let moment = Timestamp::from_millisecond(i64::try_from(time).ok()?).ok()?;
    Some(moment.to_zoned(TimeZone::UTC).date())
}

/// An RRULE of RFC 5545.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rule {
    frequency: Frequency,
    /// `BYDAY`, with the position in the month where one is given: `1SA`.
    days: Vec<(Option<i8>, Weekday)>,
    /// `BYSETPOS`
    positions: Vec<i8>,
    /// `BYMONTHDAY`
    month_days: Vec<i8>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Frequency {
    #[default]
    Daily,
    Weekly,
    Monthly,
}

impl Rule {
    fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix("RRULE:").unwrap_or(text);
        let mut rule = Self::default();
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=')?;
            let numbers = || value.split(',').map(|number| number.parse().ok()).collect::<Option<Vec<i8>>>();
            match (name, value) {
                ("FREQ", "DAILY") => rule.frequency = Frequency::Daily,
                ("FREQ", "WEEKLY") => rule.frequency = Frequency::Weekly,
                ("FREQ", "MONTHLY") => rule.frequency = Frequency::Monthly,
                ("BYDAY", _) => rule.days = value.split(',').map(week_day).collect::<Option<_>>()?,
                ("BYSETPOS", _) => rule.positions = numbers()?,
                ("BYMONTHDAY", _) => rule.month_days = numbers()?,
                ("INTERVAL", "1") | ("WKST", _) => {}
                _ => return None,
            }
        }
        Some(rule)
    }

    fn occurs(&self, day: Date, first: Date) -> bool {
        match self.frequency {
            Frequency::Daily => {
                self.days.is_empty() || self.days.iter().any(|(_, own)| *own == day.weekday())
            }
            Frequency::Weekly if self.days.is_empty() => day.weekday() == first.weekday(),
            Frequency::Weekly => self.days.iter().any(|(_, own)| *own == day.weekday()),
            Frequency::Monthly => {
                let all: Vec<Date> = day
                    .first_of_month()
                    .series(1.day())
                    .take_while(|other| other.month() == day.month())
                    .collect();
                let chosen: Vec<Date> =
                    all.iter().copied().filter(|other| self.chooses(*other, &all, first)).collect();
                let place = chosen.iter().position(|other| *other == day);
                place.is_some_and(|place| {
                    self.positions.is_empty() || at_position(&self.positions, place, chosen.len())
                })
            }
        }
    }

    /// Whether a day of a month is among those that `BYSETPOS` chooses from.
    fn chooses(&self, day: Date, month: &[Date], first: Date) -> bool {
        if self.days.is_empty() && self.month_days.is_empty() {
            return day.day() == first.day();
        }
        let by_week = self.days.is_empty()
            || self.days.iter().any(|(ordinal, own)| {
                let alike: Vec<&Date> = month.iter().filter(|other| other.weekday() == *own).collect();
                let place = alike.iter().position(|other| **other == day);
                place.is_some_and(|place| {
                    ordinal.is_none_or(|ordinal| at_position(&[ordinal], place, alike.len()))
                })
            });
        let place = usize::try_from(day.day() - 1).unwrap_or(0);
        by_week && (self.month_days.is_empty() || at_position(&self.month_days, place, month.len()))
    }
}

/// Whether a place counted from 0 is one of those positions, which count from 1, or from -1 at the end.
fn at_position(positions: &[i8], place: usize, count: usize) -> bool {
    let (Ok(place), Ok(count)) = (i64::try_from(place), i64::try_from(count)) else { return false };
    positions.iter().any(|position| {
        let position = i64::from(*position);
        if position > 0 { position == place + 1 } else { position == place - count }
    })
}

fn week_day(text: &str) -> Option<(Option<i8>, Weekday)> {
    let (ordinal, name) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let day = match name {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    };
    let ordinal = if ordinal.is_empty() { None } else { Some(ordinal.parse().ok()?) };
    Some((ordinal, day))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(text: &str) -> Time {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
    }

    fn opening(window: &Value, part: Part, now: &str) -> Option<String> {
        let policy = json!({ "window": window, "resourceVersion": "x" });
        let found = next_opening(Some(&policy), part, at(now))?;
        Some(Timestamp::from_millisecond(i64::try_from(found).unwrap()).unwrap().to_string())
    }

    #[test]
    fn without_a_window_it_is_open() {
        assert_eq!(next_opening(None, Part::Nodes, 5), Some(5));
        assert_eq!(next_opening(Some(&json!({"resourceVersion": "e3b0c442"})), Part::Nodes, 5), Some(5));
    }

    #[test]
    fn daily_windows_are_open_for_four_hours() {
        let daily = json!({"dailyMaintenanceWindow": {"startTime": "03:00", "duration": "PT4H0M0S"}});
        for (now, opens) in [
            ("2026-03-10T02:00:00Z", "2026-03-10T03:00:00Z"),
            ("2026-03-10T06:59:59Z", "2026-03-10T06:59:59Z"),
            ("2026-03-10T07:00:00Z", "2026-03-11T03:00:00Z"),
        ] {
            assert_eq!(opening(&daily, Part::Nodes, now).as_deref(), Some(opens), "{now}");
        }
        let over_midnight = json!({"dailyMaintenanceWindow": {"startTime": "22:00"}});
        let opens = opening(&over_midnight, Part::Nodes, "2026-03-10T01:30:00Z");
        assert_eq!(opens.as_deref(), Some("2026-03-10T01:30:00Z"));
    }

    #[test]
    fn recurring_windows() {
        let window = |recurrence: &str| {
            json!({"recurringWindow": {"recurrence": recurrence,
                "window": {"startTime": "2026-01-03T09:00:00-04:00", "endTime": "2026-01-03T21:00:00-04:00"}}})
        };
        for (recurrence, now, opens) in [
            ("FREQ=DAILY", "2026-03-10T00:59:00Z", Some("2026-03-10T00:59:00Z")),
            ("FREQ=DAILY", "2026-03-10T01:00:00Z", Some("2026-03-10T13:00:00Z")),
            ("FREQ=DAILY", "2025-12-01T00:00:00Z", Some("2026-01-03T13:00:00Z")),
            ("FREQ=WEEKLY;BYDAY=SA,SU", "2026-03-10T14:00:00Z", Some("2026-03-14T13:00:00Z")),
            ("FREQ=WEEKLY", "2026-03-10T14:00:00Z", Some("2026-03-14T13:00:00Z")),
            ("FREQ=MONTHLY;BYSETPOS=1;BYDAY=SA,SU", "2026-03-10T14:00:00Z", Some("2026-04-04T13:00:00Z")),
            ("FREQ=MONTHLY;BYDAY=-1FR", "2026-03-10T14:00:00Z", Some("2026-03-27T13:00:00Z")),
            ("FREQ=MONTHLY;BYMONTHDAY=15", "2026-03-10T14:00:00Z", Some("2026-03-15T13:00:00Z")),
            ("FREQ=YEARLY", "2026-03-10T14:00:00Z", None),
            ("FREQ=WEEKLY;INTERVAL=2", "2026-03-10T14:00:00Z", None),
        ] {
            let opening = opening(&window(recurrence), Part::Nodes, now);
            assert_eq!(opening.as_deref(), opens, "{recurrence} {now}");
        }
    }

    #[test]
    fn exclusions_keep_what_their_scope_says() {
        let window = |options: Value| {
            json!({"maintenanceExclusions": {"freeze": {"startTime": "2026-03-01T00:00:00Z",
                "endTime": "2026-04-01T00:00:00Z", "maintenanceExclusionOptions": options}}})
        };
        let (now, after) = ("2026-03-10T00:00:00Z", "2026-04-01T00:00:00Z");
        // The service gives the default scope back as an empty message.
        for (options, master, minor, nodes) in [
            (json!({}), after, after, after),
            (json!({"scope": "NO_UPGRADES"}), after, after, after),
            (json!({"scope": "NO_MINOR_UPGRADES"}), now, after, now),
            (json!({"scope": "NO_MINOR_OR_NODE_UPGRADES"}), now, after, after),
        ] {
            let window = window(options);
            for (part, opens) in [(Part::ControlPlane, master), (Part::Minor, minor), (Part::Nodes, nodes)] {
                assert_eq!(opening(&window, part, now).as_deref(), Some(opens), "{window} {part:?}");
            }
        }
    }
}
