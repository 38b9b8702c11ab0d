//! How long things take, in virtual milliseconds, and where each number comes from.
//!
//! "Recorded" is a run of Exhibitor 1.5.5 and ZooKeeper 3.4.6, three to five members on two busy cores, one shared
//! directory; "measured" is our image, whose JVMs are small and whose `jps` is a script; "source" is Exhibitor's. From
//! a kill to serving again the recorded members took 5.4 to 6.5 s and ours 1.4 to 2.6 s: a restart here is the recorded one.

use crate::api::Time;

/// Container start to Exhibitor's port answering. Recorded: 8 to 15 s; measured: 2.1 s. Between the two.
pub(super) const JVM_START_MS: Time = 4_000;
/// Spread of [`JVM_START_MS`] over members.
pub(super) const JVM_START_JITTER_MS: Time = 2_000;

/// Period of reading the shared file: the image's `--configcheckms`.
pub(super) const CONFIG_CHECK_MS: Time = 30_000;

/// Automatic instance management runs every one to two of these (source, `Exhibitor.java`), first after one period.
pub(super) const AUTO_MANAGE_MS: Time = 60_000;

/// `zkServer.sh stop` and `jps`, before ZooKeeper is started again. Recorded: about 1 s.
pub(super) const KILL_MS: Time = 1_200;
/// The same when there is no process to stop.
pub(super) const NO_KILL_MS: Time = 400;

/// ZooKeeper's start to its port answering. Recorded: 1 to 4 s to serving, elections included.
pub(super) const ZOOKEEPER_START_MS: Time = 1_500;
/// Spread of [`ZOOKEEPER_START_MS`].
pub(super) const ZOOKEEPER_START_JITTER_MS: Time = 1_000;

/// Looking to serving. Recorded: 2.4 to 3.4 s without a leader after its process was killed.
pub(super) const ELECTION_MS: Time = 1_000;
/// Spread of [`ELECTION_MS`].
pub(super) const ELECTION_JITTER_MS: Time = 1_000;

/// How much longer an election takes while the address of a configured voter cannot be reached (its pod is gone):
/// 3.4's election blocks on it. Recorded: 48 s in all, with 30 s periods. It has to stay below the 40 s after which
/// Exhibitor restarts a ZooKeeper that does not serve, or short periods would never see a quorum again.
pub(super) const UNREACHABLE_VOTER_ELECTION_MS: Time = 36_000;
/// The same for joining a leader that is there: one connection time-out.
pub(super) const UNREACHABLE_VOTER_JOIN_MS: Time = 5_000;

/// How long peers take to give up on a ZooKeeper that hangs: `syncLimit` × `tickTime` of the image.
pub(super) const HUNG_PEER_MS: Time = 10_000;
/// How long a four-letter word waits for a ZooKeeper that hangs. Recorded: 30 s.
pub(super) const HUNG_WORD_MS: Time = 30_000;

/// Between two looks at the lock files (source: 250 ms, plus what the look costs).
pub(super) const LOCK_POLL_MS: Time = 255;
/// How old a lock must be before it is taken to hold (source).
pub(super) const LOCK_SETTLE_MS: Time = 5_000;
/// How long `config/set` tries (source).
pub(super) const LOCK_WAIT_MS: Time = 10_000;
/// How long automatic instance management tries (source).
pub(super) const LOCK_WAIT_AUTO_MS: Time = 30_000;
/// Age from which a lock file counts as left behind (source).
pub(super) const LOCK_STALE_MS: Time = 15 * 60 * 1_000;

/// Age from which a file that is missing, empty or cut is put back by our image (its source).
pub(super) const ABANDONED_MS: Time = 10_000;

/// How long a request to a host that is gone takes to fail: no route to host.
pub(super) const NO_ROUTE_MS: Time = 3_000;
/// How long a request into a black hole takes to fail (source: the connection time-out).
pub(super) const BLACK_HOLE_MS: Time = 10_000;
/// How long the explorer waits for a ZooKeeper without quorum: Curator's 30 s, four times. Recorded: above 60 s.
pub(super) const EXPLORER_MS: Time = 127_000;

/// Attempts that a rolling change makes before it goes on (source).
pub(super) const ROLLING_ATTEMPTS: u32 = 4;
/// Lines of the activity log that are kept (source).
pub(super) const LOG_LINES: usize = 1_000;

/// A time as Java's `Date` prints it, in UTC.
pub(super) fn java_date(time: Time) -> String {
    format_time(time, "%a %b %d %H:%M:%S UTC %Y")
}

/// A time in UTC; empty for what no calendar holds.
pub(super) fn format_time(time: Time, format: &str) -> String {
    i64::try_from(time)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map(|stamp| stamp.strftime(format).to_string())
        .unwrap_or_default()
}
