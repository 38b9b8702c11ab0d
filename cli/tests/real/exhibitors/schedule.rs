//! What is done to the members, step by step. Members go by the last number of their address.

/// One step.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// Containers start.
    Start(&'static [u8]),
    /// Everything in a container is killed at once.
    Stop(u8),
    KillZooKeeper(u8),
    /// The present settings with these changes are posted to a member.
    Set {
        at: u8,
        rolling: bool,
        changes: &'static [(&'static str, &'static str)],
    },
    /// A request; what it answers is compared.
    Ask {
        at: u8,
        method: &'static str,
        path: &'static str,
        body: &'static str,
    },
    /// Until it is so, and stays so for some seconds; the time it took is compared.
    Until(Wanted, Bounds),
    /// Somebody writes the shared file, or a lock beside it.
    Share(Damage),
    /// Time goes by, in seconds.
    Pause(u64),
}

/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    /// Exhibitor's port answers everywhere.
    Answers(&'static [u8]),
    /// These are the ensemble in everybody's configuration; each of them serves, one leads.
    Serves(&'static [u8]),
    /// A setting has reached these.
    Setting(&'static [u8], &'static str, &'static str),
    /// A rolling change is under way at this member.
    Rolls(u8),
    /// ZooKeeper of these runs with this line of its configuration.
    Runs(&'static [u8], &'static str),
}

/// How far real times may be from virtual ones: at most `factor` times as long, and at least so much shorter, `slack`
/// seconds either way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) factor: f64,
    pub(super) slack: f64,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Damage {
    /// A lock of a member that is gone.
    LeaveLock,
    RemoveLock,
    Empty,
    /// The second half is gone.
    Cut,
}

/// Nothing random in it but how long a JVM takes, or when in a period of one second it is.
const CLOSE: Bounds = Bounds { factor: 3.0, slack: 1.0 };
/// Elections, and waiting for an unreachable peer.
const LOOSE: Bounds = Bounds { factor: 3.0, slack: 3.0 };
/// The end of a roll, whose first five seconds have gone by before they count.
const ROLLED: Bounds = Bounds { factor: 3.0, slack: 5.0 };
/// Automatic instance management looks every one to two minutes.
const CHANCE: Bounds = Bounds { factor: 2.0, slack: 15.0 };
/// Waiting for the lock, which is Exhibitor's own five or ten seconds.
pub(super) const LOCK: Bounds = Bounds { factor: 1.2, slack: 1.5 };

const fn get(at: u8, path: &'static str) -> Step {
    Step::Ask { at, method: "GET", path, body: "" }
}

const fn ask(at: u8, method: &'static str, path: &'static str, body: &'static str) -> Step {
    Step::Ask { at, method, path, body }
}

const fn set(at: u8, changes: &'static [(&'static str, &'static str)]) -> Step {
    Step::Set { at, rolling: false, changes }
}

/// Nothing has to settle: with a period, real and embedded members take a newcomer in at its second look, up to four minutes after the
/// loss and not two.
const FORM: &[(&str, &str)] = &[
    ("serversSpec", "11:198.18.0.11,12:198.18.0.12,13:198.18.0.13"),
    ("autoManageInstancesFixedEnsembleSize", "3"),
    ("autoManageInstancesSettlingPeriodMs", "0"),
    ("checkMs", "1000"),
    ("javaEnvironment", "export JVMFLAGS=\"-Xmx64m -XX:+UseSerialGC\""),
    ("zooCfgExtra", "tickTime=2000&initLimit=10&syncLimit=5&quorumListenOnAllIPs=true"),
];
const ROLL: &[(&str, &str)] =
    &[("zooCfgExtra", "tickTime=2000&initLimit=10&syncLimit=5&quorumListenOnAllIPs=true&maxClientCnxns=70")];
const HELD: &[(&str, &str)] = &[
    ("zooCfgExtra", "tickTime=2000&initLimit=10&syncLimit=5&quorumListenOnAllIPs=true&maxClientCnxns=71"),
    ("cleanupMaxFiles", "23"),
];
/// Exhibitor takes it: that four are no good idea is ours to know.
const EVEN: &[(&str, &str)] = &[("autoManageInstancesFixedEnsembleSize", "4")];
const ODD: &[(&str, &str)] = &[("autoManageInstancesFixedEnsembleSize", "3")];
const FIVE: &[(&str, &str)] = &[
    ("serversSpec", "11:198.18.0.11,12:198.18.0.12,14:198.18.0.14,15:198.18.0.15,16:198.18.0.16"),
    ("autoManageInstancesFixedEnsembleSize", "5"),
];
const THREE: &[(&str, &str)] = &[
    ("serversSpec", "11:198.18.0.11,12:198.18.0.12,14:198.18.0.14"),
    ("autoManageInstancesFixedEnsembleSize", "3"),
];
const CLEANUP: &[(&str, &str)] = &[("cleanupMaxFiles", "21")];
const AGAIN: &[(&str, &str)] = &[("cleanupMaxFiles", "22")];

const FIRST: &[u8] = &[11, 12, 13];
/// 13 is lost; its successor takes the next free id, which is its own number here.
const SECOND: &[u8] = &[11, 12, 14];
const LARGE: &[u8] = &[11, 12, 14, 15, 16];

/// The schedule: a name, with which differences are accepted, and what is done.
pub(super) const SCHEDULE: &[(&str, &[Step])] = &[
    ("start", &[Step::Start(FIRST), Step::Until(Wanted::Answers(FIRST), CLOSE), get(11, "cluster/list")]),
    ("form", &[set(11, FORM), Step::Until(Wanted::Serves(FIRST), LOOSE)]),
    ("live", &[set(12, CLEANUP), Step::Until(Wanted::Setting(FIRST, "cleanupMaxFiles", "21"), CLOSE)]),
    (
        "roll",
        &[
            Step::Set { at: 11, rolling: true, changes: ROLL },
            Step::Until(Wanted::Rolls(11), CLOSE),
            set(12, CLEANUP),
            Step::Until(Wanted::Serves(FIRST), ROLLED),
        ],
    ),
    // A roll as zkprov drives it: nobody restarts by itself, not even one that has crashed, and what was skipped is forgotten.
    (
        "held",
        &[
            get(11, "cluster/set/restarts/false"),
            get(12, "cluster/set/restarts/false"),
            get(13, "cluster/set/restarts/false"),
            get(13, "cluster/state"),
            set(12, HELD),
            Step::Until(Wanted::Setting(FIRST, "cleanupMaxFiles", "23"), CLOSE),
            Step::Pause(5),
            Step::Until(Wanted::Runs(FIRST, "maxClientCnxns=70"), CLOSE),
            Step::KillZooKeeper(13),
            Step::Pause(6),
            get(13, "cluster/4ltr/srvr"),
            get(13, "cluster/restart"),
            Step::Until(Wanted::Runs(&[13], "maxClientCnxns=71"), CLOSE),
            get(13, "cluster/set/restarts/true"),
            get(11, "cluster/restart"),
            Step::Until(Wanted::Runs(&[11], "maxClientCnxns=71"), CLOSE),
            get(11, "cluster/set/restarts/true"),
            Step::Until(Wanted::Runs(&[12], "maxClientCnxns=70"), CLOSE),
            get(12, "cluster/restart"),
            Step::Until(Wanted::Runs(&[12], "maxClientCnxns=71"), CLOSE),
            get(12, "cluster/set/restarts/true"),
            Step::Until(Wanted::Serves(FIRST), LOOSE),
            Step::Until(Wanted::Runs(FIRST, "maxClientCnxns=71"), CLOSE),
            // One that leaves stops for good.
            get(13, "cluster/set/restarts/false"),
            get(13, "cluster/stop"),
            Step::Pause(6),
            get(13, "cluster/4ltr/ruok"),
            get(13, "cluster/start"),
            get(13, "cluster/set/restarts/true"),
            Step::Until(Wanted::Serves(FIRST), LOOSE),
        ],
    ),
    (
        "even",
        &[
            set(11, EVEN),
            Step::Until(Wanted::Setting(FIRST, "autoManageInstancesFixedEnsembleSize", "4"), CLOSE),
            set(11, ODD),
            Step::Until(Wanted::Setting(FIRST, "autoManageInstancesFixedEnsembleSize", "3"), CLOSE),
        ],
    ),
    (
        "bad",
        &[
            ask(11, "POST", "config/set", "{}"),
            ask(11, "POST", "config/set", "not json"),
            ask(11, "POST", "config/set-rolling", "{\"zooCfgExtra\":{\"a\":1}}"),
            ask(11, "PUT", "config/set", "{}"),
            get(11, "config/nowhere"),
            get(11, "cluster/4ltr/envi"),
        ],
    ),
    (
        "words",
        &[
            get(11, "cluster/4ltr/ruok"),
            get(11, "cluster/4ltr/srvr"),
            get(11, "cluster/4ltr/mntr"),
            get(11, "cluster/4ltr/conf"),
            get(11, "cluster/4ltr/wchs"),
            get(12, "cluster/state/198.18.0.13"),
            get(12, "cluster/set/restarts/true"),
            get(12, "cluster/set/bogus/true"),
            get(12, "ui/tabs"),
            get(12, "index/get-backups"),
        ],
    ),
    (
        "explore",
        &[
            ask(11, "PUT", "explorer/znode/a/b", "68 69"),
            ask(11, "PUT", "explorer/znode/a/c", "6869"),
            get(12, "explorer/node-data?key=/a/b"),
            get(13, "explorer/node?key=/a"),
            ask(12, "PUT", "explorer/znode/a/b", "7a"),
            get(13, "explorer/node-data?key=/a/b"),
            ask(12, "PUT", "explorer/znode/a/b", "no hex"),
            ask(12, "DELETE", "explorer/znode/a", ""),
            get(11, "explorer/node-data?key=/a"),
            get(11, "explorer/node?key=/a"),
        ],
    ),
    ("crash", &[Step::KillZooKeeper(12), Step::Until(Wanted::Serves(FIRST), LOOSE)]),
    (
        "lock",
        &[
            Step::Share(Damage::LeaveLock),
            set(11, AGAIN),
            Step::Share(Damage::RemoveLock),
            set(11, AGAIN),
            Step::Until(Wanted::Setting(FIRST, "cleanupMaxFiles", "22"), CLOSE),
        ],
    ),
    (
        "loss",
        &[
            Step::Stop(13),
            Step::Start(&[14]),
            Step::Until(Wanted::Serves(SECOND), CHANCE),
            // A newcomer that has a leader's snapshot and no transaction yet cannot come back when a leader without that
            // epoch is elected: ZooKeeper 3.4 finds no log to truncate, for ever. The embedded one does not act that.
            ask(11, "PUT", "explorer/znode/kept", "6b"),
            get(11, "cluster/list"),
        ],
    ),
    (
        "grow",
        &[
            Step::Start(&[15, 16]),
            Step::Until(Wanted::Answers(LARGE), CLOSE),
            set(11, FIVE),
            Step::Until(Wanted::Serves(LARGE), LOOSE),
        ],
    ),
    ("shrink", &[set(11, THREE), Step::Until(Wanted::Serves(SECOND), LOOSE)]),
    (
        "empty",
        &[
            Step::Share(Damage::Empty),
            Step::Pause(4),
            get(11, "cluster/list"),
            Step::Until(Wanted::Serves(SECOND), LOOSE),
        ],
    ),
    (
        "cut",
        &[
            Step::Share(Damage::Cut),
            Step::Pause(4),
            get(11, "cluster/list"),
            Step::Until(Wanted::Serves(SECOND), LOOSE),
        ],
    ),
];
