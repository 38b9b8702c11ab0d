//! Quantities carry units: sizes, memory, CPU and durations as people write them, and the numbers they stand for.

use super::formats::Problem;

/// The units a quantity may carry, with the number of base units in each.
struct Units {
    /// What is measured, e.g. `disk size`.
    what: &'static str,
    units: &'static [(&'static str, u64)],
    /// What a bare number most likely means.
    bare: fn(u64) -> String,
    /// A right one.
    example: &'static str,
}

const DISK: Units = Units {
    what: "disk size",
    units: &[("GB", 1), ("GiB", 1), ("TB", 1024), ("TiB", 1024)],
    bare: |number| format!("{number}GB"),
    example: "100GB",
};

const HEAP: Units = Units {
    what: "heap size",
    units: &[("MiB", 1), ("GiB", 1024)],
    bare: |number| format!("{}MiB", mebi(number)),
    example: "256MiB",
};

const MEMORY: Units = Units {
    what: "memory size",
    units: &[
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
    ],
    bare: |number| format!("{}Mi", mebi(number)),
    example: "1Gi",
};

const DURATION: Units = Units {
    what: "duration",
    units: &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)],
    bare: |number| if number < 1000 { format!("{number}s") } else { format!("{number}ms") },
    example: "30s",
};

/// A number that is too large to count MiB counts bytes.
fn mebi(number: u64) -> u64 {
    if number < 1 << 20 { number } else { number.div_ceil(1 << 20) }
}

/// A disk size in GB. Google counts a GB of disk as 2^30 bytes, so GB and GiB are the same here.
pub(super) fn disk_gb(text: &str) -> Result<u32, Problem> {
    parse(text, &DISK).and_then(|value| narrow(text, value, &DISK))
}

/// A heap size in MiB.
pub(super) fn heap_mib(text: &str) -> Result<u32, Problem> {
    parse(text, &HEAP).and_then(|value| narrow(text, value, &HEAP))
}

/// A Kubernetes memory quantity in bytes.
pub(super) fn memory_bytes(text: &str) -> Result<u64, Problem> {
    parse(text, &MEMORY)
}

/// A duration in milliseconds, at most 24 days (Exhibitor counts in signed 32 bits).
pub(super) fn duration_ms(text: &str) -> Result<u32, Problem> {
    let value = parse(text, &DURATION)?;
    if value > i32::MAX as u64 {
        return Err(too_large(text, &DURATION, "the longest is 24d, which Exhibitor counts in 32 bits"));
    }
    narrow(text, value, &DURATION)
}

/// A Kubernetes CPU quantity in millicores: `250m`.
pub(super) fn cpu_millis(text: &str) -> Result<u32, Problem> {
    let number = text.strip_suffix('m').unwrap_or_default();
    match number.parse::<u32>() {
        Ok(millis @ 1..=1_000_000) if is_number(number) => Ok(millis),
        Ok(_) | Err(_) => {
            let cores = text.parse::<f64>().ok().filter(|cores| *cores > 0.0 && *cores <= 1000.0);
            let fix = cores.map_or_else(
                || "write millicores, such as `250m`".to_owned(),
                |cores| format!("write `{:.0}m`", (cores * 1000.0).ceil()),
            );
            Err(Problem {
                code: "invalid-quantity",
                message: format!("`{text}` is not a CPU quantity"),
                reason: "CPU is counted in whole millicores: 1000m is one core.".to_owned(),
                fix,
            })
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse(text: &str, units: &Units) -> Result<u64, Problem> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = unit.trim_start_matches(' ');
    if !is_number(number) {
        return Err(Problem {
            code: "invalid-quantity",
            message: format!("`{text}` is not a {}", units.what),
            reason: format!("A {} is a whole number and its unit.", units.what),
            fix: format!("write it like `{}`; units: {}", units.example, units.names()),
        });
    }
    if unit.is_empty() {
        return Err(Problem {
            code: "missing-unit",
            message: format!("`{text}` has no unit"),
            reason: format!("A {} carries its unit, so that nobody has to guess it.", units.what),
            fix: format!("write `{}`; units: {}", (units.bare)(number.parse().unwrap_or(1)), units.names()),
        });
    }
    let Some((name, factor)) = units.units.iter().find(|(name, _)| *name == unit) else {
        let meant =
            compound(text, units).or_else(|| units.nearest(unit).map(|name| format!("{number}{name}")));
        return Err(Problem {
            code: "unknown-unit",
            message: format!("`{unit}` is not a unit of a {}", units.what),
            reason: format!("It is one whole number with one unit: {}.", units.names()),
            fix: format!("write `{}`", meant.unwrap_or_else(|| units.example.to_owned())),
        });
    };
    if text.len() != number.len() + name.len() {
        return Err(Problem {
            code: "invalid-quantity",
            message: format!("`{text}` has a space between number and unit"),
            reason: "A quantity is one word.".to_owned(),
            fix: format!("write `{number}{name}`"),
        });
    }
    let value = number.parse::<u64>().ok().and_then(|value| value.checked_mul(*factor));
    value.ok_or_else(|| too_large(text, units, "it does not fit the API's number"))
}

fn narrow(text: &str, value: u64, units: &Units) -> Result<u32, Problem> {
    u32::try_from(value).map_err(|_| too_large(text, units, "it does not fit the API's number"))
}

fn too_large(text: &str, units: &Units, reason: &str) -> Problem {
    Problem {
        code: "out-of-range",
        message: format!("`{text}` is too large a {}", units.what),
        reason: format!("{reason}."),
        fix: format!("write a smaller one, such as `{}`", units.example),
    }
}

impl Units {
    fn names(&self) -> String {
        let names: Vec<&str> = self.units.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }

    /// The unit that was most likely meant: the longest that the word begins with, else one with the same first letter.
    fn nearest(&self, word: &str) -> Option<&'static str> {
        let names = || self.units.iter().map(|(name, _)| *name);
        let first = |text: &str| text.chars().next().map(|c| c.to_ascii_lowercase());
        let begun = names().filter(|name| word.starts_with(name)).max_by_key(|name| name.len());
        begun.or_else(|| names().find(|name| first(name) == first(word)))
    }
}

/// The sum of a quantity in several parts, such as `1m30s`, in the largest unit that measures it wholly.
fn compound(text: &str, units: &Units) -> Option<String> {
    let (mut sum, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, behind) =
            behind.split_at(behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len()));
        let (_, factor) = units.units.iter().find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        rest = behind;
    }
    let whole = units.units.iter().filter(|(_, factor)| sum > 0 && sum.is_multiple_of(*factor));
    whole.max_by_key(|(_, factor)| *factor).map(|(name, factor)| format!("{}{name}", sum / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_become_numbers() {
        assert_eq!(disk_gb("100GB").unwrap(), 100);
        assert_eq!(disk_gb("1TiB").unwrap(), 1024);
        assert_eq!(heap_mib("2GiB").unwrap(), 2048);
        assert_eq!(memory_bytes("1Gi").unwrap(), 1 << 30);
        assert_eq!(duration_ms("3m").unwrap(), 180_000);
        assert_eq!(duration_ms("24d").unwrap(), 2_073_600_000);
        assert_eq!(cpu_millis("250m").unwrap(), 250);
    }

    #[test]
    fn every_refusal_proposes_something_right() {
        for (text, fix) in [
            ("100", "write `100GB`; units: GB, GiB, TB, TiB"),
            ("100 GB", "write `100GB`"),
            ("100Gi", "write `100GB`"),
            ("1t", "write `1TB`"),
            ("1x", "write `100GB`"),
            ("big", "write it like `100GB`; units: GB, GiB, TB, TiB"),
            ("99999999999999999999GB", "write a smaller one, such as `100GB`"),
        ] {
            assert_eq!(disk_gb(text).unwrap_err().fix, fix, "{text}");
        }
        assert_eq!(cpu_millis("0.5").unwrap_err().fix, "write `500m`");
        assert_eq!(cpu_millis("2").unwrap_err().fix, "write `2000m`");
        assert_eq!(memory_bytes("1GB").unwrap_err().fix, "write `1G`");
        assert_eq!(memory_bytes("1073741824").unwrap_err().fix, "write `1024Mi`; units: Mi, Gi, Ti, M, G, T");
        for (text, fix) in [
            ("30", "write `30s`; units: ms, s, m, h, d"),
            ("30000", "write `30000ms`; units: ms, s, m, h, d"),
            ("1m30s", "write `90s`"),
            ("1h30m", "write `90m`"),
            ("10min", "write `10m`"),
            ("5 seconds", "write `5s`"),
        ] {
            assert_eq!(duration_ms(text).unwrap_err().fix, fix, "{text}");
        }
        assert_eq!(duration_ms("25d").unwrap_err().code, "out-of-range");
    }
}
