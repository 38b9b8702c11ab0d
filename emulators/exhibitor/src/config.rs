//! The shared `exhibitor.properties`: its keys, its text, and one instance's view of it.

use super::servers::Servers;
use crate::api::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Values of one section of the file, by the key's name in the file (`servers-spec`).
pub(super) type Settings = BTreeMap<String, String>;

/// One setting under its two names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// Name in REST documents: `serversSpec`.
    pub(super) json: &'static str,
    /// Name in the file, after the section's prefix: `servers-spec`.
    pub(super) property: &'static str,
    /// Whether Exhibitor restarts ZooKeeper when the value changes.
    pub(super) restarts: bool,
}

const fn restarting(json: &'static str, property: &'static str) -> Key {
    Key { json, property, restarts: true }
}

const fn live(json: &'static str, property: &'static str) -> Key {
    Key { json, property, restarts: false }
}

pub(super) const INSTALL_DIRECTORY: Key =
    restarting("zookeeperInstallDirectory", "zookeeper-install-directory");
pub(super) const DATA_DIRECTORY: Key = restarting("zookeeperDataDirectory", "zookeeper-data-directory");
pub(super) const LOG_DIRECTORY: Key = restarting("zookeeperLogDirectory", "zookeeper-log-directory");
/// Not restart-significant by itself: instances compare the parsed lists of servers.
pub(super) const SERVERS_SPEC: Key = live("serversSpec", "servers-spec");
pub(super) const BACKUP_EXTRA: Key = live("backupExtra", "backup-extra");
pub(super) const ZOO_CFG_EXTRA: Key = restarting("zooCfgExtra", "zoo-cfg-extra");
pub(super) const CLIENT_PORT: Key = restarting("clientPort", "client-port");
pub(super) const CONNECT_PORT: Key = restarting("connectPort", "connect-port");
pub(super) const ELECTION_PORT: Key = restarting("electionPort", "election-port");
pub(super) const CHECK_MS: Key = live("checkMs", "check-ms");
pub(super) const BACKUP_PERIOD_MS: Key = live("backupPeriodMs", "backup-period-ms");
pub(super) const AUTO_MANAGE: Key = live("autoManageInstances", "auto-manage-instances");
pub(super) const SETTLING_PERIOD_MS: Key =
    live("autoManageInstancesSettlingPeriodMs", "auto-manage-instances-settling-period-ms");
pub(super) const OBSERVER_THRESHOLD: Key = live("observerThreshold", "observer-threshold");
pub(super) const FIXED_SIZE: Key =
    live("autoManageInstancesFixedEnsembleSize", "auto-manage-instances-fixed-ensemble-size");
pub(super) const APPLY_ALL_AT_ONCE: Key =
    live("autoManageInstancesApplyAllAtOnce", "auto-manage-instances-apply-all-at-once");

/// Text settings in the order of `config/get-state`.
pub(super) const STRINGS: [Key; 9] = [
    live("logIndexDirectory", "log-index-directory"),
    INSTALL_DIRECTORY,
    DATA_DIRECTORY,
    LOG_DIRECTORY,
    SERVERS_SPEC,
    BACKUP_EXTRA,
    ZOO_CFG_EXTRA,
    restarting("javaEnvironment", "java-environment"),
    restarting("log4jProperties", "log4j-properties"),
];

/// Number settings in the order of `config/get-state`.
pub(super) const INTS: [Key; 13] = [
    CLIENT_PORT,
    CONNECT_PORT,
    ELECTION_PORT,
    CHECK_MS,
    live("cleanupPeriodMs", "cleanup-period-ms"),
    live("cleanupMaxFiles", "cleanup-max-files"),
    live("backupMaxStoreMs", "backup-max-store-ms"),
    BACKUP_PERIOD_MS,
    AUTO_MANAGE,
    SETTLING_PERIOD_MS,
    OBSERVER_THRESHOLD,
    FIXED_SIZE,
    APPLY_ALL_AT_ONCE,
];

const ROOT: &str = "com.netflix.exhibitor.";
const ROLLING: &str = "com.netflix.exhibitor-rolling.";
const ROLLING_HOSTNAMES: &str = "com.netflix.exhibitor-rolling-hostnames";
const ROLLING_INDEX: &str = "com.netflix.exhibitor-rolling-hostnames-index";

/// What the image's `wrapper.sh` writes to `defaults.conf` from the container's environment.
pub(super) fn image_defaults(ensemble_size: u32, env: &BTreeMap<String, String>) -> Settings {
    let set = |name: &str, default: &str| env.get(name).map_or_else(|| default.to_owned(), Clone::clone);
    let transactions = set("ZK_LOG_DIR", "/opt/zookeeper/transactions");
    [
        ("zookeeper-data-directory", set("ZK_DATA_DIR", "/opt/zookeeper/snapshots")),
        ("zookeeper-install-directory", "/opt/zookeeper".to_owned()),
        ("zookeeper-log-directory", transactions.clone()),
        ("log-index-directory", transactions),
        ("cleanup-period-ms", "300000".to_owned()),
        ("cleanup-max-files", "20".to_owned()),
        ("check-ms", set("EXHIBITOR_CHECK_MS", "30000")),
        ("backup-period-ms", "600000".to_owned()),
        ("backup-max-store-ms", "21600000".to_owned()),
        ("client-port", "2181".to_owned()),
        ("connect-port", "2888".to_owned()),
        ("election-port", "3888".to_owned()),
        ("observer-threshold", "0".to_owned()),
        ("zoo-cfg-extra", "tickTime=2000&initLimit=10&syncLimit=5&quorumListenOnAllIPs=true".to_owned()),
        ("auto-manage-instances-settling-period-ms", "0".to_owned()),
        ("auto-manage-instances", "1".to_owned()),
        ("auto-manage-instances-apply-all-at-once", "1".to_owned()),
        ("auto-manage-instances-fixed-ensemble-size", ensemble_size.to_string()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// The file on the share: text, because faults cut it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SharedFile {
    pub(super) text: String,
    /// Modification time: what instances compare to notice a change.
    pub(super) modified: Time,
    /// The servers that it declares.
    pub(super) declared: Servers,
}

impl SharedFile {
    /// Whether the text was written to its end.
    pub(super) fn is_whole(&self) -> bool {
        let last = self.text.lines().last().unwrap_or_default();
        self.text.ends_with('\n') && last.starts_with("com.netflix.exhibitor.zookeeper-log-directory=")
    }

    pub(super) fn new(text: String, modified: Time) -> Self {
        let mut file = Self { text, modified, declared: Servers::default() };
        let loaded = Loaded::read(Some(&file));
        file.declared = Servers::parse(loaded.root.get(SERVERS_SPEC.property).map_or("", String::as_str));
        file
    }
}

/// The file as one instance has last read it; version 0 is no file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Loaded {
    pub(super) version: Time,
    pub(super) root: Settings,
    pub(super) rolling: Settings,
    /// Order of a rolling change; empty when none is in progress.
    pub(super) hosts: Vec<String>,
    /// Which of `hosts` the change has reached.
    pub(super) index: usize,
}

impl Loaded {
    /// Reads the file, as Java's `Properties.load` would: what is cut off is just not there.
    pub(super) fn read(file: Option<&SharedFile>) -> Self {
        let mut loaded = Self::default();
        let Some(file) = file else { return loaded };
        loaded.version = file.modified;
        for (key, value) in properties(&file.text) {
            if key == ROLLING_HOSTNAMES {
                loaded.hosts =
                    value.split(',').filter(|host| !host.trim().is_empty()).map(str::to_owned).collect();
            } else if key == ROLLING_INDEX {
                loaded.index = value.trim().parse().unwrap_or(0);
            } else if let Some(name) = key.strip_prefix(ROLLING) {
                loaded.rolling.insert(name.to_owned(), value);
            } else if let Some(name) = key.strip_prefix(ROOT) {
                loaded.root.insert(name.to_owned(), value);
            }
        }
        loaded
    }

    /// The text Exhibitor writes: both sections in full.
    pub(super) fn text(&self) -> String {
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        for (prefix, section) in [(ROOT, &self.root), (ROLLING, &self.rolling)] {
            for key in STRINGS.iter().chain(&INTS) {
                let value = section.get(key.property).cloned().unwrap_or_default();
                all.insert(format!("{prefix}{}", key.property), value);
            }
        }
        all.insert(ROLLING_HOSTNAMES.to_owned(), self.hosts.join(","));
        all.insert(ROLLING_INDEX.to_owned(), self.index.to_string());
        let mut text = "#Auto-generated by Exhibitor\n".to_owned();
        for (key, value) in all {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{key}={}", escape(&value));
        }
        text
    }

    /// Whether a rolling change is in progress.
    pub(super) fn is_rolling(&self) -> bool {
        !self.hosts.is_empty()
    }

    /// The host a rolling change has reached.
    pub(super) fn rolling_host(&self) -> Option<&str> {
        self.hosts.get(self.index).map(String::as_str)
    }

    /// The section that holds for one host.
    pub(super) fn section(&self, host: &str) -> &Settings {
        let moved = self.hosts.iter().take(self.index + 1).any(|reached| reached == host);
        if self.is_rolling() && moved { &self.rolling } else { &self.root }
    }
}

fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' | ':' | '=' | '#' | '!' => out.extend(['\\', letter]),
            other => out.push(other),
        }
    }
    out
}

fn properties(text: &str) -> Vec<(String, String)> {
    text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).map(property).collect()
}

fn property(line: &str) -> (String, String) {
    let (mut key, mut value, mut in_value) = (String::new(), String::new(), false);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        let plain = match letter {
            '\\' => match letters.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some(other) => other,
                None => continue,
            },
            '=' | ':' if !in_value => {
                in_value = true;
                continue;
            }
            other => other,
        };
        if in_value { value.push(plain) } else { key.push(plain) }
    }
    (key, value)
}

/// Settings of one section with the instance's own defaults behind them.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) section: &'a Settings,
    pub(super) defaults: &'a Settings,
}

impl View<'_> {
    /// A text setting; empty when it is set nowhere.
    pub(super) fn text(&self, key: &Key) -> &str {
        let found = self.section.get(key.property).or_else(|| self.defaults.get(key.property));
        found.map_or("", String::as_str)
    }

    /// A number setting; 0 when it is not a number.
    pub(super) fn int(&self, key: &Key) -> i64 {
        self.text(key).trim().parse::<i32>().map_or(0, i64::from)
    }

    /// A period in milliseconds; Exhibitor repeats nothing more often than every 5 ms.
    pub(super) fn period(&self, key: &Key) -> Time {
        Time::try_from(self.int(key)).unwrap_or(0).max(5)
    }

    /// Every setting, with the defaults filled in.
    pub(super) fn complete(&self) -> Settings {
        let all = STRINGS.iter().map(|key| (key, self.text(key).to_owned()));
        let ints = INTS.iter().map(|key| (key, self.int(key).to_string()));
        all.chain(ints).map(|(key, value)| (key.property.to_owned(), value)).collect()
    }

    /// What decides whether a new configuration needs a restart of ZooKeeper.
    pub(super) fn restart_significant(&self) -> String {
        let texts = STRINGS.iter().filter(|key| key.restarts).map(|key| self.text(key).to_owned());
        let ints = INTS.iter().filter(|key| key.restarts).map(|key| self.int(key).to_string());
        texts.chain(ints).collect()
    }

    /// How long ZooKeeper may be down or not serving before Exhibitor restarts it, ms.
    pub(super) fn down_restart_ms(&self) -> Time {
        let pairs = decode_pairs(self.text(&ZOO_CFG_EXTRA));
        let value = |name: &str| {
            let found = pairs.iter().find(|(key, _)| key == name);
            found
                .and_then(|(_, value)| value.parse::<i32>().ok())
                .and_then(|value| Time::try_from(value).ok())
        };
        let limit = value("initLimit").unwrap_or(0).max(value("syncLimit").unwrap_or(0));
        match value("tickTime") {
            Some(tick) if tick > 0 && limit > 0 => 2 * tick * limit,
            Some(_) | None => Time::try_from(self.int(&CHECK_MS)).unwrap_or(0) * 10,
        }
    }
}

/// Pairs of an encoded setting (`a=1&b=2`). As in Exhibitor, a pair with an empty value is dropped.
pub(super) fn decode_pairs(encoded: &str) -> Vec<(String, String)> {
    let part = |part: &str| {
        let (key, value) = part.split_once('=')?;
        let plain = |text: &str| crate::api::percent_decode(&text.replace('+', " "));
        (!value.is_empty() && !value.contains('=')).then(|| (plain(key), plain(value)))
    };
    encoded.split('&').filter_map(part).collect()
}

/// The encoded form of pairs.
pub(super) fn encode_pairs(pairs: &[(String, String)]) -> String {
    let encoded: Vec<String> =
        pairs.iter().map(|(key, value)| format!("{}={}", url_encode(key), url_encode(value))).collect();
    encoded.join("&")
}

/// As Java's `URLEncoder`.
pub(super) fn url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => {
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_a_round_trip() {
        let mut loaded =
            Loaded { hosts: vec!["a".to_owned(), "b".to_owned()], index: 1, ..Loaded::default() };
        let view = View { section: &Settings::new(), defaults: &image_defaults(3, &BTreeMap::new()) };
        loaded.root = view.complete();
        loaded.rolling = view.complete();
        loaded.rolling.insert("java-environment".to_owned(), "export A=\"b\\c\"\n\tmore: yes".to_owned());
        let file = SharedFile::new(loaded.text(), 7);
        loaded.version = 7;
        assert_eq!(Loaded::read(Some(&file)), loaded);
    }

    #[test]
    fn a_file_cut_in_half_has_lost_its_servers() {
        let mut loaded = Loaded::default();
        loaded.root.insert("servers-spec".to_owned(), "1:a,2:b,3:c".to_owned());
        let text = loaded.text();
        let file = SharedFile::new(text[..text.len() / 2].to_owned(), 7);
        assert_eq!(Loaded::read(Some(&file)).root.get("servers-spec"), None);
    }

    #[test]
    fn pairs_with_empty_values_are_dropped() {
        assert_eq!(decode_pairs("directory="), vec![]);
        let pairs = vec![("a b".to_owned(), "c&d".to_owned())];
        assert_eq!(decode_pairs(&encode_pairs(&pairs)), pairs);
    }
}
