//! One pod: an Exhibitor and the ZooKeeper it supervises.

use super::automanage::Sample;
use super::config::{self, CHECK_MS, CLIENT_PORT, Key, Loaded, SERVERS_SPEC, Settings, View};
use super::data::Data;
use super::rolling::Attempts;
use super::servers::Servers;
use super::timing;
use crate::api::Time;
use crate::containers::ContainerStart;
use crate::table::Table;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Exhibitor's word for the state of its ZooKeeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Not looked at yet, or nowhere to put its data.
    Latent,
    /// Does not answer.
    Down,
    /// Answers, but is in no quorum.
    NotServing,
    /// Serves clients.
    Serving,
}

impl State {
    /// `code` of `cluster/status`, `state` of `cluster/state`.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Latent => 0,
            Self::Down => 1,
            Self::NotServing => 2,
            Self::Serving => 3,
        }
    }

    /// `description` of both.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Latent => "latent",
            Self::Down => "down",
            Self::NotServing => "not serving",
            Self::Serving => "serving",
        }
    }
}

/// The ZooKeeper process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Process {
    /// None, until Exhibitor starts one.
    Stopped { start_at: Option<Time> },
    /// Started, the port does not answer yet.
    Booting { until: Time },
    /// Looks for a leader. It takes a while to hear of one that is there, and longer to elect one.
    Looking { join_at: Time, elect_at: Time },
    /// Alone by configuration; accepts writes.
    Standalone,
    /// Leads the members that follow it.
    Leading,
    /// Follows the leader at this address, as a voter or as an observer.
    Following { leader: String },
}

impl Process {
    /// Whether there is no process now.
    pub(super) const fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped { .. })
    }
}

/// ZooKeeper's own configuration, as written when the process was started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Zoo {
    /// `myid`; none for a stand-alone server.
    pub(super) id: Option<i64>,
    pub(super) servers: Servers,
    pub(super) client_port: i64,
    /// Ports of peers and of elections: members must agree on them.
    pub(super) peer_ports: (i64, i64),
    pub(super) observer: bool,
    /// Extra lines of `zoo.cfg`, encoded.
    #[serde(default)]
    pub(super) extra: String,
}

/// Of the configuration in force, what every look at ZooKeeper needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) servers: Servers,
    pub(super) restart_significant: String,
}

/// What Exhibitor remembers of its last look at ZooKeeper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Instance {
    pub(super) servers: Servers,
    pub(super) state: State,
    pub(super) restart_significant: String,
    /// When this was first so, or ZooKeeper was last restarted.
    pub(super) since: Time,
}

impl Instance {
    pub(super) fn same(&self, other: &Self) -> bool {
        self.state == other.state
            && self.restart_significant == other.restart_significant
            && self.servers.same(&other.servers)
    }
}

/// The switches of Exhibitor's control panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Switches {
    pub(super) restarts: bool,
    pub(super) cleanup: bool,
    pub(super) backups: bool,
}

/// When Exhibitor's periodic activities run next. All run on one thread, after `busy_until`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Timers {
    /// Period of reading the shared file, ms: `--configcheckms`.
    pub(super) config_period: Time,
    /// Period of automatic instance management, ms: drawn once, between one and two minutes.
    pub(super) auto_period: Time,
    pub(super) config: Time,
    pub(super) check: Time,
    pub(super) auto: Time,
    pub(super) busy_until: Time,
}

/// A pod with Exhibitor and ZooKeeper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    /// What it is known by: Exhibitor's `HOSTNAME`.
    pub(super) address: String,
    pub(super) env: BTreeMap<String, String>,
    pub(super) defaults: Settings,
    /// When Exhibitor's port answers first.
    pub(super) answers_at: Time,
    pub(super) booted: bool,
    /// `ui/shutdown` was called: the container has ended.
    pub(super) exited: bool,
    pub(super) loaded: Loaded,
    /// When `loaded` was read.
    pub(super) loaded_at: Time,
    pub(super) known: Known,
    /// The so-manieth new file from now on is read in the moment when it is empty; 0 is never.
    #[serde(default)]
    pub(super) misreads: u32,
    pub(super) timers: Timers,
    /// The last look at ZooKeeper; none yet is "latent".
    pub(super) instance: Option<Instance>,
    /// Whether the last look found a leader (or a stand-alone server).
    pub(super) leader: bool,
    /// The present look waits for a ZooKeeper that hangs.
    pub(super) probing: bool,
    /// Restarts of ZooKeeper that Exhibitor decided on, plus one.
    pub(super) restarts: u64,
    pub(super) switches: Switches,
    pub(super) attempts: Attempts,
    pub(super) sample: Sample,
    pub(super) process: Process,
    pub(super) zoo: Zoo,
    pub(super) data: Data,
    /// The volume that the data is on.
    #[serde(default)]
    pub(super) volume: Option<String>,
    /// The only ports that these other members reach.
    #[serde(default)]
    pub(super) walls: BTreeMap<String, Vec<(u16, u16)>>,
    /// When the process was started.
    pub(super) started: Time,
    /// Since when the process hangs.
    pub(super) hung: Option<Time>,
    /// Start times of the log indexes made by `index/new-index`.
    pub(super) indexes: Vec<Time>,
    /// Exhibitor's activity log, newest last.
    pub(super) log: Table<u64, String>,
    pub(super) jitter: Jitter,
}

/// Seeded pseudo-random numbers of one member (splitmix64).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Jitter(u64);

impl Jitter {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below the bound.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound.max(1)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) >> 1
    }
}

impl Member {
    pub(super) fn new(start: ContainerStart, now: Time, seed: u64) -> Self {
        let mut jitter = Jitter::new(seed);
        let config_period = start.env.get("EXHIBITOR_CONFIG_CHECK_MS").and_then(|value| value.parse().ok());
        let timers = Timers {
            config_period: config_period.unwrap_or(timing::CONFIG_CHECK_MS).max(5),
            auto_period: timing::AUTO_MANAGE_MS + jitter.below(timing::AUTO_MANAGE_MS),
            ..Timers::default()
        };
        Self {
            answers_at: now + timing::JVM_START_MS + jitter.below(timing::JVM_START_JITTER_MS),
            defaults: config::image_defaults(start.ensemble_size, &start.env),
            address: start.hostname,
            env: start.env,
            booted: false,
            exited: false,
            loaded: Loaded::default(),
            loaded_at: now,
            known: Known::default(),
            misreads: 0,
            timers,
            instance: None,
            leader: false,
            probing: false,
            restarts: 1,
            switches: Switches { restarts: true, cleanup: true, backups: true },
            attempts: Attempts::default(),
            sample: Sample::default(),
            process: Process::Stopped { start_at: None },
            zoo: Zoo::default(),
            data: Data::default(),
            volume: start.volume,
            walls: BTreeMap::new(),
            started: now,
            hung: None,
            indexes: Vec::new(),
            log: Table::default(),
            jitter,
        }
    }

    /// Exhibitor's version: `EXHIBITOR_VERSION` of the container, else 1.5.6.
    pub(super) fn version(&self) -> &str {
        self.env.get("EXHIBITOR_VERSION").map_or("1.5.6", String::as_str)
    }

    /// Whether it keeps a copy of the shared file, and believes no damaged one: our image.
    pub(super) fn keeps_copy(&self) -> bool {
        self.env.contains_key("EXHIBITOR_KEEPS_COPY")
    }

    /// The password of the realm, when the image was given one.
    pub(super) fn password(&self) -> Option<&str> {
        self.env.get("ZK_PASSWORD").map(String::as_str).filter(|password| !password.is_empty())
    }

    /// Whether Exhibitor's port answers.
    pub(super) fn answers(&self) -> bool {
        self.booted && !self.exited
    }

    /// Whether another member's connections to this port arrive.
    pub(super) fn lets_in(&self, from: &str, port: i64) -> bool {
        self.walls.get(from).is_none_or(|ports| {
            ports.iter().any(|(first, last)| (i64::from(*first)..=i64::from(*last)).contains(&port))
        })
    }

    /// The configuration that holds for this instance, as far as it knows.
    pub(super) fn view(&self) -> View<'_> {
        View { section: self.loaded.section(&self.address), defaults: &self.defaults }
    }

    /// The configuration before a rolling change.
    pub(super) fn root_view(&self) -> View<'_> {
        View { section: &self.loaded.root, defaults: &self.defaults }
    }

    pub(super) fn int(&self, key: &Key) -> i64 {
        self.view().int(key)
    }

    /// The servers this instance knows of.
    pub(super) const fn servers(&self) -> &Servers {
        &self.known.servers
    }

    /// What `cluster/state` says: the last look, not the present.
    pub(super) fn state(&self) -> State {
        self.instance.as_ref().map_or(State::Latent, |instance| instance.state)
    }

    /// Period of looking at ZooKeeper, ms.
    pub(super) fn check_period(&self) -> Time {
        self.view().period(&CHECK_MS)
    }

    /// Takes over a configuration: the next look at ZooKeeper is one whole period away.
    pub(super) fn set_loaded(&mut self, loaded: Loaded, now: Time) {
        self.loaded = loaded;
        self.loaded_at = now;
        let view = self.view();
        let servers = Servers::parse(view.text(&SERVERS_SPEC));
        self.known = Known { servers, restart_significant: view.restart_significant() };
        self.timers.check = now + self.check_period();
    }

    /// Whether ZooKeeper's client port is the one that Exhibitor asks, and somebody answers there.
    pub(super) fn asked_port_answers(&self) -> bool {
        self.zoo.client_port == self.int(&CLIENT_PORT) && self.port_answers()
    }

    /// Whether ZooKeeper answers four-letter words at all.
    pub(super) fn port_answers(&self) -> bool {
        let up = match self.process {
            Process::Stopped { .. } | Process::Booting { .. } => false,
            Process::Looking { .. } | Process::Standalone | Process::Leading | Process::Following { .. } => {
                true
            }
        };
        up && self.hung.is_none() && self.zoo.client_port > 0
    }

    /// `Mode` of `srvr`; none while it does not serve.
    pub(super) fn mode(&self) -> Option<&'static str> {
        match self.process {
            Process::Stopped { .. } | Process::Booting { .. } | Process::Looking { .. } => None,
            Process::Standalone => Some("standalone"),
            Process::Leading => Some("leader"),
            Process::Following { .. } if self.zoo.observer => Some("observer"),
            Process::Following { .. } => Some("follower"),
        }
    }

    /// Adds a line to the activity log.
    pub(super) fn note(&mut self, now: Time, kind: &str, text: &str) {
        if self.log.len() == timing::LOG_LINES {
            self.log.pop_first();
        }
        let next = self.log.last_key_value().map_or(0, |(number, _)| number + 1);
        self.log.insert(next, format!("{}\t{kind}\t{text}", timing::java_date(now)));
    }

    pub(super) fn info(&mut self, now: Time, text: &str) {
        self.note(now, "INFO", text);
    }
}
