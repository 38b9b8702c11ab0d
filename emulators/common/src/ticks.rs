//! Periods that pass while nothing happens. What is looked at again and again, with the same result, costs nothing until the
//! result differs; the looks keep their phase.

use crate::api::Time;

/// The first of the times `first`, `first + period`, … that is not before `from`.
///
/// ```
/// use zkprov_emulator_common::ticks::tick_at_or_after;
/// assert_eq!(tick_at_or_after(100, 30, 90), 100);
/// assert_eq!(tick_at_or_after(100, 30, 101), 130);
/// assert_eq!(tick_at_or_after(100, 30, 191), 220);
/// ```
#[must_use]
pub fn tick_at_or_after(first: Time, period: Time, from: Time) -> Time {
    if first >= from { first } else { first + (from - first).div_ceil(period.max(1)) * period.max(1) }
}
