//! Schedules as Kubernetes reads them: five fields of cron, or a word that stands for them.

use super::formats::{Problem, refuse};

/// A field: what it counts, its least and greatest number, and the names of its numbers from the least on.
struct Field {
    what: &'static str,
    least: u8,
    most: u8,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { what: "minute", least: 0, most: 59, names: &[] },
    Field { what: "hour", least: 0, most: 23, names: &[] },
    Field { what: "day of the month", least: 1, most: 31, names: &[] },
    Field {
        what: "month",
        least: 1,
        most: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    Field {
        what: "day of the week",
        least: 0,
        most: 6,
        names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    },
];
const WORDS: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
/// The most days of each month.
const DAYS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const USUAL: &str = "write it like `\"0 3 * * *\"`, which is every day at three";

/// Checks a schedule, and that its day ever comes.
pub(super) fn check(text: &str) -> Result<(), Problem> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if let [word] = words.as_slice()
        && word.starts_with('@')
    {
        return if WORDS.contains(word) {
            Ok(())
        } else {
            let words = format!("The words are {}.", WORDS.join(", "));
            refuse(
                "invalid-schedule",
                format!("`{word}` is no word for a schedule"),
                &words,
                USUAL.to_owned(),
            )
        };
    }
    let [minute, hour, day, month, weekday] = words.as_slice() else {
        return refuse(
            "invalid-schedule",
            format!("`{text}` has {} fields", words.len()),
            "A schedule has five: minute, hour, day of the month, month, day of the week.",
            USUAL.to_owned(),
        );
    };
    let mut days = Vec::new();
    let mut months = Vec::new();
    for (field, text) in FIELDS.iter().zip([minute, hour, day, month, weekday]) {
        let numbers = field.numbers(text).ok_or_else(|| field.problem(text))?;
        match field.what {
            "day of the month" => days = numbers,
            "month" => months = numbers,
            _ => {}
        }
    }
    let comes = months.iter().any(|month| {
        let last = DAYS.get(usize::from(*month).wrapping_sub(1)).copied().unwrap_or_default();
        days.iter().any(|day| *day <= last)
    });
    // With both fields given, either day is enough.
    if comes || !matches!(*weekday, "*" | "?") {
        return Ok(());
    }
    refuse(
        "invalid-schedule",
        format!("`{text}` never comes"),
        "No month of these has such a day.",
        USUAL.to_owned(),
    )
}

impl Field {
    /// The numbers that a field names; `None` when it is none.
    fn numbers(&self, text: &str) -> Option<Vec<u8>> {
        let parts: Option<Vec<Vec<u8>>> = text.split(',').map(|part| self.part(part)).collect();
        Some(parts?.concat())
    }

    /// `*`, `5`, `1-5`, each with a step such as `/2`.
    fn part(&self, text: &str) -> Option<Vec<u8>> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(number(step).filter(|step| *step > 0)?)),
            None => (text, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (self.least, self.most),
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            None => {
                let first = self.number(range)?;
                (first, if step.is_some() { self.most } else { first })
            }
        };
        (first <= last).then(|| (first..=last).step_by(usize::from(step.unwrap_or(1))).collect())
    }

    fn number(&self, text: &str) -> Option<u8> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let named = named.and_then(|index| u8::try_from(index).ok()).map(|index| index + self.least);
        named.or_else(|| number(text)).filter(|number| (self.least..=self.most).contains(number))
    }

    fn problem(&self, text: &str) -> Problem {
        let Self { what, least, most, names } = self;
        let names = match (names.first(), names.last()) {
            (Some(first), Some(last)) => format!(", or {first} to {last}"),
            _ => String::new(),
        };
        Problem {
            code: "invalid-schedule",
            message: format!("`{text}` is no {what}"),
            reason: format!(
                "This field is `*`, or numbers from {least} to {most}{names}, with `,` between several, `-` in a range and \
                 `/` before a step."
            ),
            fix: USUAL.to_owned(),
        }
    }
}

fn number(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_takes() {
        for right in [
            "0 3 * * *",
            "*/15 0-6,22 1,15 jan-MAR mon",
            "0 0 31 * ?",
            "5/10 * * * 0",
            "0 0 29 2 *",
            "0 0 30 2 fri",
            "@daily",
        ] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let said = |text: &str| check(text).unwrap_err().message;
        assert_eq!(said("0 3 * *"), "`0 3 * *` has 4 fields");
        assert_eq!(said("60 3 * * *"), "`60` is no minute");
        assert_eq!(said("0 +3 * * *"), "`+3` is no hour");
        assert_eq!(said("0 3 0 * *"), "`0` is no day of the month");
        assert_eq!(said("0 3 * 5-2 *"), "`5-2` is no month");
        assert_eq!(said("0 3 * * 7"), "`7` is no day of the week");
        assert_eq!(said("*/0 3 * * *"), "`*/0` is no minute");
        assert_eq!(said("0 0 30 2 *"), "`0 0 30 2 *` never comes");
        assert_eq!(said("@every"), "`@every` is no word for a schedule");
        assert_eq!(said("@every 5m"), "`@every 5m` has 2 fields");
        assert_eq!(said("TZ=UTC 0 3 * * *"), "`TZ=UTC 0 3 * * *` has 6 fields");
    }
}
