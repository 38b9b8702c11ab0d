//! Exhibitor's documents: the servers spec, the state document with the shared configuration, the body of
//! `config/set`, and ZooKeeper's `srvr` text. Everything read here comes from a pod and is not trusted.

use crate::observed::{InstanceState, Mode, Server, Srvr};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The highest id that ZooKeeper 3.4 accepts.
pub const MAX_ID: u32 = 255;
/// Above this id all should be numbered anew: Exhibitor's automatic management, which knows no end, counts on from the highest.
pub const RENUMBER_ABOVE: u32 = 200;
/// Key of the member list in the configuration.
pub const SERVERS_KEY: &str = "serversSpec";
/// Key of the declared size in the configuration.
pub const FIXED_SIZE_KEY: &str = "autoManageInstancesFixedEnsembleSize";
/// Key of the lines that ZooKeeper's start sources: the options of its JVM.
pub const JAVA_KEY: &str = "javaEnvironment";
/// Key of the extra `zoo.cfg` lines; a body without it makes Exhibitor answer 500.
const ZOO_CFG_KEY: &str = "zooCfgExtra";

/// Keys of the state document's `config` that describe the asked member, not the shared configuration.
const NOT_SHARED: [&str; 6] =
    ["rollInProgress", "rollStatus", "rollPercentDone", "hostname", "serverId", "controlPanel"];

/// Keys that a whole configuration has; one without them is refused, because what is missing in a `config/set` becomes
/// empty or 0.
const REQUIRED: [&str; 13] = [
    "zookeeperInstallDirectory",
    "zookeeperDataDirectory",
    "zookeeperLogDirectory",
    "logIndexDirectory",
    SERVERS_KEY,
    ZOO_CFG_KEY,
    "clientPort",
    "connectPort",
    "electionPort",
    "checkMs",
    "autoManageInstances",
    "autoManageInstancesSettlingPeriodMs",
    FIXED_SIZE_KEY,
];

/// Keys whose change restarts a member's ZooKeeper. All others take effect at once, and a rolling change of such others
/// alone never ends.
const RESTARTS: [&str; 10] = [
    SERVERS_KEY,
    ZOO_CFG_KEY,
    "clientPort",
    "connectPort",
    "electionPort",
    "zookeeperInstallDirectory",
    "zookeeperDataDirectory",
    "zookeeperLogDirectory",
    JAVA_KEY,
    "log4jProperties",
];

/// A document of Exhibitor that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExhibitorError {
    /// A servers spec that is not `[TYPE:]ID:HOST,...`.
    #[error("servers spec entry `{entry}`: {why}")]
    Servers {
        /// The entry.
        entry: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A document without the expected shape.
    #[error("{document}: {why}")]
    Shape {
        /// Which document.
        document: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// No id is left.
    #[error("server ids only grow and 255 is in use: no id is left for {0}")]
    IdsExhausted(String),
}

fn shape(document: &'static str, why: impl Into<String>) -> ExhibitorError {
    ExhibitorError::Shape { document, why: why.into() }
}

/// Parses `1:10.0.0.1,O:2:10.0.0.2`, by id. An empty text is an ensemble without members.
///
/// # Errors
/// When an entry has no id from 1 to 255, no host, or an id or host of an earlier entry.
pub fn parse_servers(text: &str) -> Result<Vec<Server>, ExhibitorError> {
    let mut servers: Vec<Server> = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let wrong = |why| ExhibitorError::Servers { entry: entry.to_owned(), why };
        let parts: Vec<&str> = entry.split(':').collect();
        let (observer, id, hostname) = match parts.as_slice() {
            [id, host] => (false, *id, *host),
            [kind, id, host] if kind.eq_ignore_ascii_case("s") => (false, *id, *host),
            [kind, id, host] if kind.eq_ignore_ascii_case("o") => (true, *id, *host),
            _ => return Err(wrong("is not ID:HOST, S:ID:HOST or O:ID:HOST")),
        };
        let id = id.parse::<u32>().ok().filter(|id| (1..=MAX_ID).contains(id));
        let id = id.ok_or_else(|| wrong("its id is not a number from 1 to 255"))?;
        if hostname.is_empty() {
            return Err(wrong("it names no host"));
        }
        if servers.iter().any(|server| server.id == id) {
            return Err(wrong("its id is there twice"));
        }
        if servers.iter().any(|server| server.hostname == hostname) {
            return Err(wrong("its host is there twice"));
        }
        servers.push(Server { id, hostname: hostname.to_owned(), observer });
    }
    servers.sort();
    Ok(servers)
}

/// The servers spec of these members, in the order of their ids.
#[must_use]
pub fn format_servers(servers: &[Server]) -> String {
    let mut servers: Vec<&Server> = servers.iter().collect();
    servers.sort();
    let entry = |server: &&Server| {
        let kind = if server.observer { "O:" } else { "" };
        format!("{kind}{}:{}", server.id, server.hostname)
    };
    servers.iter().map(entry).collect::<Vec<_>>().join(",")
}

/// What `config/get-state` says.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigState {
    /// The shared configuration with the asked member's own keys, as answered.
    pub config: Value,
    /// Members by id.
    pub servers: Vec<Server>,
    /// A rolling change is under way; what Exhibitor says of it.
    pub rolling: Option<String>,
}

impl ConfigState {
    /// Addresses of the member that a rolling change has reached, and of the one it comes to next, if any: `rollStatus` is
    /// `Applying to "A" (next will be "B")`.
    #[must_use]
    pub fn rolls_through(&self) -> Option<(&str, Option<&str>)> {
        let mut hosts = self.rolling.as_deref()?.split('"').skip(1).step_by(2);
        Some((hosts.next()?, hosts.next()))
    }
}

/// Reads the answer of `config/get-state`.
///
/// # Errors
/// When it has no configuration or its servers spec can't be read: an unreadable member list is never an empty one.
pub fn parse_config_state(answer: &Value) -> Result<ConfigState, ExhibitorError> {
    const DOCUMENT: &str = "config/get-state";
    let config = answer.get("config").filter(|config| config.is_object());
    let config = config.ok_or_else(|| shape(DOCUMENT, "has no object `config`"))?;
    let spec = config.get(SERVERS_KEY).and_then(Value::as_str);
    let spec = spec.ok_or_else(|| shape(DOCUMENT, "has no string `serversSpec`"))?;
    let rolling = config.get("rollInProgress").and_then(Value::as_bool) == Some(true);
    let status = || config.get("rollStatus").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(ConfigState { config: config.clone(), servers: parse_servers(spec)?, rolling: rolling.then(status) })
}

/// One member in the answer of `cluster/status`, or the asked member in that of `cluster/state`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusEntry {
    /// Address; empty in `cluster/state`.
    pub hostname: String,
    /// 0 latent, 1 down, 2 not serving, 3 serving.
    pub state: InstanceState,
    /// Leader, or standalone.
    pub is_leader: bool,
    /// Whether Exhibitor restarts its ZooKeeper by itself; `None` in `cluster/status`, which does not tell.
    pub restarts: Option<bool>,
}

/// Reads the answer of `cluster/status`: every member of the servers spec.
///
/// # Errors
/// When it is not a list of entries with host, code and role.
pub fn parse_status(answer: &Value) -> Result<Vec<StatusEntry>, ExhibitorError> {
    const DOCUMENT: &str = "cluster/status";
    let entries = answer.as_array().ok_or_else(|| shape(DOCUMENT, "is not a list"))?;
    let entry = |entry: &Value| {
        let hostname = entry.get("hostname").and_then(Value::as_str);
        let hostname = hostname.ok_or_else(|| shape(DOCUMENT, "an entry has no `hostname`"))?;
        status_entry(DOCUMENT, hostname, entry, "code")
    };
    entries.iter().map(entry).collect()
}

/// Reads the answer of `cluster/state`: the asked member alone.
///
/// # Errors
/// When it has no state code or role.
pub fn parse_state(answer: &Value) -> Result<StatusEntry, ExhibitorError> {
    status_entry("cluster/state", "", answer, "state")
}

fn status_entry(
    document: &'static str,
    hostname: &str,
    entry: &Value,
    code_key: &str,
) -> Result<StatusEntry, ExhibitorError> {
    let code = entry.get(code_key).and_then(Value::as_u64).and_then(|code| u32::try_from(code).ok());
    let leader = entry.get("isLeader").and_then(Value::as_bool);
    match (code, leader) {
        (Some(code), Some(is_leader)) => {
            let restarts = entry.pointer("/switches/restarts").and_then(Value::as_bool);
            Ok(StatusEntry { hostname: hostname.to_owned(), state: code.into(), is_leader, restarts })
        }
        (Some(_), None) | (None, _) => Err(shape(document, format!("`{code_key}` or `isLeader` is missing"))),
    }
}

/// Reads ZooKeeper's answer to `srvr`. `None` when it does not serve: no text, or no `Mode:` or `Zxid:` line.
#[must_use]
pub fn parse_srvr(text: &str) -> Option<Srvr> {
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.trim().strip_prefix(name)?.trim_start().strip_prefix(':').map(str::trim))
    };
    let mode = match field("Mode")? {
        "leader" => Mode::Leader,
        "follower" => Mode::Follower,
        "observer" => Mode::Observer,
        "standalone" => Mode::Standalone,
        _ => return None,
    };
    let version = field("Zookeeper version").unwrap_or_default();
    Some(Srvr {
        mode,
        zxid: field("Zxid")?.parse().ok()?,
        connections: field("Connections").and_then(|count| count.parse().ok()).unwrap_or(0),
        nodes: field("Node count").and_then(|count| count.parse().ok()).unwrap_or(0),
        version: version.split(',').next().unwrap_or_default().trim().to_owned(),
    })
}

/// The shared settings of a configuration: all its keys but the member list and the size, as the strings that
/// `config/set` takes.
#[must_use]
pub fn settings(config: &Value) -> Value {
    let mut shared = shared(config);
    shared.remove(SERVERS_KEY);
    shared.remove(FIXED_SIZE_KEY);
    Value::Object(shared)
}

/// The declared size of a configuration; 0 when Exhibitor decides by itself.
#[must_use]
pub fn fixed_size(config: &Value) -> u32 {
    let value = config.get(FIXED_SIZE_KEY);
    let number = value.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
    number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

fn shared(config: &Value) -> Map<String, Value> {
    let empty = Map::new();
    let entries = config.as_object().unwrap_or(&empty);
    let kept = entries.iter().filter(|(key, _)| !NOT_SHARED.contains(&key.as_str()));
    kept.map(|(key, value)| (key.clone(), as_strings(value))).collect()
}

/// Exhibitor 1.5.5 reads integers from JSON strings alone: a number becomes 0.
fn as_strings(value: &Value) -> Value {
    match value {
        Value::Null => json!(""),
        Value::Bool(flag) => json!(if *flag { "1" } else { "0" }),
        Value::Number(number) => json!(number.to_string()),
        Value::String(text) => json!(text),
        Value::Array(items) => Value::Array(items.iter().map(as_strings).collect()),
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), as_strings(value))).collect()
        }
    }
}

/// The body of `config/set`: the whole live configuration, our settings over it, this member list and size.
///
/// Objects among the settings (`zooCfgExtra`, `backupExtra`) are merged entry by entry: what is not declared stays.
///
/// # Errors
/// When the live configuration lacks a key that a `config/set` would then make empty, or the settings are no object.
pub fn compose(
    live: &Value,
    declared: &Value,
    servers: &[Server],
    fixed_size: u32,
) -> Result<Value, ExhibitorError> {
    let mut body = shared(live);
    if let Some(missing) = REQUIRED.iter().find(|key| !body.contains_key(**key)) {
        return Err(shape("config/get-state", format!("its configuration lacks `{missing}`")));
    }
    let declared = match declared {
        Value::Null => &Map::new(),
        Value::Object(entries) => entries,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err(shape("settings", "are not an object"));
        }
    };
    for (key, value) in declared {
        match (body.get_mut(key), as_strings(value)) {
            (Some(Value::Object(entries)), Value::Object(ours)) => entries.extend(ours),
            (_, value) => {
                body.insert(key.clone(), value);
            }
        }
    }
    body.insert(SERVERS_KEY.to_owned(), json!(format_servers(servers)));
    body.insert(FIXED_SIZE_KEY.to_owned(), json!(fixed_size.to_string()));
    Ok(Value::Object(body))
}

/// The keys in which a configuration read back differs from the body that was set, sorted.
#[must_use]
pub fn differing_keys(config: &Value, body: &Value) -> Vec<String> {
    let (config, body) = (shared(config), shared(body));
    let keys: BTreeSet<&String> = body.keys().collect();
    keys.into_iter().filter(|key| config.get(*key) != body.get(*key)).cloned().collect()
}

/// The newest line of `cluster/log` that tells of a start of ZooKeeper, with its time; `None` when it tells of none.
#[must_use]
pub fn last_start(log: &str) -> Option<&str> {
    log.lines().find(|line| line.contains("\tProcess started via: "))
}

/// The options of ZooKeeper's JVM in a `javaEnvironment` as we write it; `None` for any other.
pub fn jvm_flags(java: &str) -> Option<std::str::SplitWhitespace<'_>> {
    let options = java.strip_prefix("export JVMFLAGS=\"")?.strip_suffix('"')?;
    (!options.contains('"')).then(|| options.split_whitespace())
}

/// Whether two answers hold the same shared configuration.
#[must_use]
pub fn same(one: &Value, other: &Value) -> bool {
    shared(one) == shared(other)
}

/// Whether setting this key restarts ZooKeeper. A rolling change is for such keys only.
#[must_use]
pub fn restarts(key: &str) -> bool {
    RESTARTS.contains(&key)
}

/// Whether members with the old value and members with the new one cannot form a quorum together, by the key of a setting and its
/// entry where it has some (`electionPort`; `zooCfgExtra`, `electionAlg`): then all restart at once.
#[must_use]
pub fn restarts_together(setting: &[&str]) -> bool {
    const PORTS: [&str; 2] = ["connectPort", "electionPort"];
    // How members elect, and how they prove to each other who they are.
    const LINES: [&str; 3] = ["electionAlg", "quorum.auth.", "sslQuorum"];
    match setting {
        [key] => PORTS.contains(key),
        [ZOO_CFG_KEY, line] => LINES.iter().any(|known| line.starts_with(known)),
        _ => false,
    }
}

/// Gives members their ids: those in `keep` keep theirs from `current`, others get ids above every id ever seen.
///
/// # Errors
/// When an address to keep is not in `current`, or no id up to 255 is left.
pub fn assign_ids(
    current: &[Server],
    keep: &[String],
    add: &[String],
) -> Result<Vec<Server>, ExhibitorError> {
    let known = |host: &String| current.iter().find(|server| server.hostname == *host).cloned();
    let mut servers = Vec::new();
    for host in keep {
        let gone = || ExhibitorError::Servers { entry: host.clone(), why: "it is to stay and is not there" };
        servers.push(known(host).ok_or_else(gone)?);
    }
    let highest = current.iter().map(|server| server.id).max().unwrap_or(0);
    let mut free = highest.saturating_add(1)..=MAX_ID;
    for host in add {
        let id = free.next().ok_or_else(|| ExhibitorError::IdsExhausted(host.clone()))?;
        servers.push(Server { id, hostname: host.clone(), observer: false });
    }
    servers.sort();
    Ok(servers)
}

/// The same members with ids from 1, in the order of their ids.
#[must_use]
pub fn renumbered(servers: &[Server]) -> Vec<Server> {
    let mut servers = servers.to_vec();
    servers.sort();
    for (id, server) in (1..).zip(&mut servers) {
        server.id = id;
    }
    servers
}

/// ZooKeeper's own id in the answer to its word `conf`.
#[must_use]
pub fn server_id(conf: &str) -> Option<u32> {
    conf.lines().find_map(|line| line.strip_prefix("serverId="))?.trim().parse().ok()
}

/// The answer of `config/set` and `config/set-rolling`: `Ok` when it was taken, else Exhibitor's own message.
///
/// # Errors
/// Exhibitor's message, or what is wrong with the answer.
pub fn parse_result(answer: &Value) -> Result<(), String> {
    match answer.get("succeeded").and_then(Value::as_bool) {
        Some(true) => Ok(()),
        Some(false) => {
            Err(answer.get("message").and_then(Value::as_str).unwrap_or("no reason given").to_owned())
        }
        None => Err("the answer has no `succeeded`".to_owned()),
    }
}

/// What a znode holds, by the answer of `explorer/node-data`; empty when there is no such znode.
///
/// # Errors
/// Exhibitor's message when its ZooKeeper does not answer, or what is wrong with the answer.
pub fn parse_node(answer: &Value) -> Result<String, String> {
    let text = |key: &str| answer.get(key).and_then(Value::as_str);
    match (text("str"), text("stat")) {
        (Some(_), Some(stat)) if stat.contains("* not found *") => Ok(String::new()),
        (Some("Exception"), Some(why)) if !why.starts_with("czxid") => Err(why.to_owned()),
        (Some(value), Some(_)) => Ok(value.to_owned()),
        (Some(_), None) | (None, _) => {
            Err("the answer of `explorer/node-data` has no `str` or no `stat`".to_owned())
        }
    }
}

#[cfg(test)]
pub(crate) mod recorded;
#[cfg(test)]
mod tests;
