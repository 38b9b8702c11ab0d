//! Waits that end by progress. A busy machine makes everything slow, but it stops nothing: a wait is given up when nothing at
//! all has moved for a long time, however long the whole of it takes.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A wait that has seen nothing move for so long waits in vain. A process that gets one hundredth of a processor still moves
/// many times in it, and Exhibitor's longest period, in which it takes a lost member's place away, is two minutes.
pub const STILL: Duration = Duration::from_secs(10 * 60);

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Remembers when something moved last.
#[derive(Debug)]
pub struct Patience {
    seen: Option<u64>,
    moved: Instant,
}

impl Default for Patience {
    fn default() -> Self {
        Self { seen: None, moved: Instant::now() }
    }
}

impl Patience {
    /// Takes a sign of life. Every sign that differs from the one before begins the wait anew.
    pub fn sees(&mut self, sign: impl Hash) {
        let mut hasher = DefaultHasher::new();
        sign.hash(&mut hasher);
        let sign = Some(hasher.finish());
        if self.seen != sign {
            (self.seen, self.moved) = (sign, Instant::now());
        }
    }

    /// Whether nothing has moved for longer than anything that is alive stands still.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.moved.elapsed() > STILL
    }
}

/// Looks again and again until `look` returns what is waited for. Until then it returns what it saw instead: as long as that
/// changes, the wait goes on.
///
/// # Panics
/// When what `look` sees has not changed for [`STILL`].
pub fn wait_for<T, S: Debug>(what: &str, mut look: impl FnMut() -> Result<T, S>) -> T {
    let mut patience = Patience::default();
    loop {
        let seen = match look() {
            Ok(found) => return found,
            Err(seen) => format!("{seen:#?}"),
        };
        patience.sees(&seen);
        assert!(!patience.is_over(), "waited in vain for {what}; nothing moves any more:\n{seen}");
        sleep(LOOK);
    }
}

/// How much the machine was wanted by more than it could serve, since a moment.
///
/// What a test says of the time that real members take holds of a machine that has time for them.
#[derive(Debug, Clone, Copy)]
pub struct Strain {
    begun: Instant,
    stalled: Duration,
}

impl Strain {
    /// From now on.
    #[must_use]
    pub fn begin() -> Self {
        Self { begun: Instant::now(), stalled: stalled() }
    }

    /// The limit where the machine had time for its processes, else more of it: when some process had to wait for a processor in
    /// more than half of the time since the beginning, all that time is added.
    #[must_use]
    pub fn allows(&self, limit: Duration) -> Duration {
        excused(limit, self.begun.elapsed(), stalled().saturating_sub(self.stalled))
    }
}

fn excused(limit: Duration, took: Duration, stalled: Duration) -> Duration {
    if stalled * 2 > took { limit + stalled } else { limit }
}

/// For how long since the machine's start some process had to wait for a processor; nothing where the kernel does not tell, see
/// `Documentation/accounting/psi.rst` of Linux.
fn stalled() -> Duration {
    let text = std::fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    let some = text.lines().find(|line| line.starts_with("some "));
    let total = some.and_then(|line| line.rsplit_once("total=")?.1.trim().parse().ok());
    Duration::from_micros(total.unwrap_or_default())
}

/// Processor time that a process and all below it have used, in clock ticks; `None` where there is no `/proc` to tell it, and
/// when the process is gone. Ended children count as long as their parent is there.
pub(crate) fn processor_time(process: u32) -> Option<u64> {
    let mut children: BTreeMap<u32, Vec<(u32, u64)>> = BTreeMap::new();
    let mut total = None;
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Some((parent, used)) =
            std::fs::read_to_string(entry.path().join("stat")).ok().as_deref().and_then(stat)
        else {
            continue;
        };
        if id == process {
            total = Some(used);
        }
        children.entry(parent).or_default().push((id, used));
    }
    let mut below = vec![process];
    while let Some(parent) = below.pop() {
        for (id, used) in children.remove(&parent).unwrap_or_default() {
            total = total.map(|total| total + used);
            below.push(id);
        }
    }
    total
}

/// Parent and processor time of a process, by a line of `/proc/PID/stat` as proc(5) describes it: the name stands in brackets,
/// and may hold any characters.
fn stat(line: &str) -> Option<(u32, u64)> {
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok());
    Some((fields.get(1)?.parse().ok()?, ticks.sum::<Option<u64>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_is_waited_for_and_what_stands_still_is_not() {
        let mut patience = Patience { seen: None, moved: Instant::now() - 2 * STILL };
        assert!(patience.is_over());
        patience.sees("begun");
        assert!(!patience.is_over());
        patience.moved -= 2 * STILL;
        patience.sees("begun");
        assert!(patience.is_over());
        patience.sees("going on");
        assert!(!patience.is_over());
    }

    #[test]
    fn a_wait_ends_with_what_it_waits_for() {
        let mut looks = 0;
        let found = wait_for("the third look", || {
            looks += 1;
            if looks == 3 { Ok(looks) } else { Err(looks) }
        });
        assert_eq!(found, 3);
    }

    #[test]
    fn a_limit_grows_on_a_busy_machine_alone() {
        let seconds = Duration::from_secs;
        assert_eq!(excused(seconds(5), seconds(100), seconds(50)), seconds(5));
        assert_eq!(excused(seconds(5), seconds(100), seconds(51)), seconds(56));
        assert!(Strain::begin().allows(seconds(5)) >= seconds(5));
    }

    #[test]
    fn time_of_a_process_is_that_of_its_children_too() {
        let line = "7 (a) b) S 3 7 7 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 100";
        assert_eq!(stat(line), Some((3, 100)));
        assert_eq!(stat("7 (cut off) S 3"), None);
    }
}
