//! The ensemble itself.

use super::{Context, or, quantity, storage};
use crate::spec::quantity::{duration_ms, heap_mib, memory_bytes};
use crate::spec::{Backup, Exhibitor, Exposure, ManagedCluster, Resources, Settings, Spread, file};
use std::collections::BTreeMap;

/// The most voters that make sense: each write waits for a majority.
const MAX_REPLICAS: u32 = 9;
/// ZooKeeper's ports between members.
const QUORUM_PORTS: [u16; 2] = [2888, 3888];
/// Memory that Exhibitor's own JVM needs beside ZooKeeper's heap, in MiB.
const EXHIBITOR_MIB: u64 = 256;
/// The lines of zoo.cfg that an ensemble of changing addresses needs.
const ZOO_CFG: [(&str, &str); 4] =
    [("tickTime", "2000"), ("initLimit", "10"), ("syncLimit", "5"), ("quorumListenOnAllIPs", "true")];

const BASE: &str = "spec.exhibitor";

pub(super) fn complete(given: file::Exhibitor, context: &mut Context<'_>) -> Exhibitor {
    let single = given.allow_single == Some(true);
    let replicas = given.replicas.unwrap_or(3);
    check_replicas(replicas, single, context);
    let client_port = given.client_port.unwrap_or(2181);
    let api_port = given.api_port.unwrap_or(8181);
    check_ports(client_port, api_port, context);
    let resources = given.resources.unwrap_or_default();
    let memory = or(resources.memory, "1Gi");
    let heap = quantity(given.heap, heap_mib, 256);
    check_heap(heap, &memory, context);
    let image = or(given.image, "mbabineau/zookeeper-exhibitor:latest");
    Exhibitor {
        replicas,
        namespace: or(given.namespace, "default"),
        pull_policy: or(given.pull_policy, "IfNotPresent"),
        resources: Resources { cpu: or(resources.cpu, "250m"), memory },
        heap_mib: heap,
        jvm_options: given.jvm_options.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "),
        canary: given.canary.unwrap_or(true),
        settings: settings(given.settings.unwrap_or_default(), context),
        client_port,
        api_port,
        exposure: given.exposure.unwrap_or(Exposure::ClusterIp),
        network_policy: given.network_policy.unwrap_or(true),
        client_labels: given.client_labels,
        disruption_budget: given.disruption_budget.unwrap_or(true),
        spread: given.spread.unwrap_or(Spread::Preferred),
        termination_grace_seconds: grace(given.termination_grace, context),
        storage: storage::complete(given.storage, &image, context),
        backup: given.backup.map(|given| super::backup::complete(given, context)),
        image,
    }
}

fn check_replicas(replicas: u32, single: bool, context: &mut Context<'_>) {
    let path = format!("{BASE}.replicas");
    match replicas {
        0 => context.error(
            &path,
            "zero-replicas",
            "an ensemble of 0 replicas is none".to_owned(),
            "All pods gone means all data gone.",
            "write `3`; to take the ensemble down, run `zkprov destroy`".to_owned(),
        ),
        1 if !single => context.error(
            &path,
            "single-replica",
            "1 replica is no ensemble".to_owned(),
            "Its only member cannot restart without an outage, nor be lost without the data.",
            "write `3`, or add `allowSingle: true` beside it if you mean it".to_owned(),
        ),
        1 | 3 | 5 => {}
        7 | 9 => context.warning(
            &path,
            "many-replicas",
            format!("{replicas} replicas are more than most ensembles need"),
            "Each write waits for a majority: 5 members survive two failures and write faster.",
            "write `5` unless you must survive more failures than two".to_owned(),
        ),
        _ if replicas > MAX_REPLICAS => context.error(
            &path,
            "too-many-replicas",
            format!("{replicas} replicas are too many"),
            "Each write waits for a majority; beyond 9 voters an ensemble only gets slower.",
            "write `9` or fewer; `5` is usual".to_owned(),
        ),
        _ => context.error(
            &path,
            "even-replicas",
            format!("{replicas} replicas are an even number"),
            &format!(
                "ZooKeeper needs a majority, {} of {replicas}: that survives no more failures than {} of {}, and a split \
                 into halves stops it.",
                replicas / 2 + 1,
                replicas / 2,
                replicas - 1,
            ),
            match replicas {
                2 => "write 3, or 1 with `allowSingle: true`".to_owned(),
                _ => format!("write {} or {}", replicas - 1, replicas + 1),
            },
        ),
    }
}

/// A member needs a node of its own as far as `spread` says so.
pub(super) fn check_nodes(exhibitor: &Exhibitor, cluster: &ManagedCluster, context: &mut Context<'_>) {
    let (nodes, replicas) = (cluster.node_count, exhibitor.replicas);
    if nodes >= replicas {
        return;
    }
    let message = format!("{nodes} nodes for {replicas} members");
    let fix = format!("write `nodeCount: {replicas}`, or remove the key");
    let path = "spec.cluster.nodeCount";
    match exhibitor.spread {
        Spread::Required => {
            let reason = "`spread: required` gives each member a node of its own: some would stay pending.";
            context.error(path, "too-few-nodes", message, reason, fix);
        }
        Spread::Preferred => {
            let reason = "A node that holds two members takes both with it.";
            context.warning(path, "too-few-nodes", message, reason, fix);
        }
        Spread::None => {}
    }
}

fn check_ports(client: u16, api: u16, context: &mut Context<'_>) {
    for (key, port) in [("clientPort", client), ("apiPort", api)] {
        if QUORUM_PORTS.contains(&port) {
            context.error(
                &format!("{BASE}.{key}"),
                "port-in-use",
                format!("port {port} belongs to the quorum"),
                "Members talk to each other on 2888 and 3888.",
                "choose another port".to_owned(),
            );
        }
    }
    if client == api {
        let given = if context.places.has(&format!("{BASE}.apiPort")) { "apiPort" } else { "clientPort" };
        context.error(
            &format!("{BASE}.{given}"),
            "equal-ports",
            format!("`clientPort` and `apiPort` are both {client}"),
            "ZooKeeper and Exhibitor listen in the same pod.",
            "choose two; the defaults are 2181 and 8181".to_owned(),
        );
    }
}

fn check_heap(heap_mib: u32, memory: &str, context: &mut Context<'_>) {
    let Ok(memory_bytes) = memory_bytes(memory) else { return };
    let (heap, limit) = (u64::from(heap_mib), memory_bytes >> 20);
    let path = if context.places.has("spec.exhibitor.heap") {
        "spec.exhibitor.heap"
    } else {
        "spec.exhibitor.resources.memory"
    };
    let message = format!("a heap of {heap} MiB in a container of {limit} MiB");
    let fix = format!("write `memory: {}Mi`, or a smaller heap", heap + 2 * EXHIBITOR_MIB);
    if heap >= limit {
        let reason =
            "The kernel kills a container that outgrows its limit: every member would restart for ever.";
        context.error(path, "heap-too-large", message, reason, fix);
    } else if heap + EXHIBITOR_MIB > limit {
        let reason = "Exhibitor's own JVM needs about 256 MiB beside ZooKeeper's heap.";
        context.warning(path, "little-memory", message, reason, fix);
    }
}

fn grace(given: Option<String>, context: &mut Context<'_>) -> u32 {
    let ms = quantity(given, duration_ms, 30_000);
    if !ms.is_multiple_of(1000) || !(1_000..=3_600_000).contains(&ms) {
        context.error(
            &format!("{BASE}.terminationGrace"),
            "out-of-range",
            format!("{} is no grace period", shown(ms)),
            "Kubernetes counts it in whole seconds; from 1s to 1h is useful here.",
            "write `30s`".to_owned(),
        );
    }
    ms / 1000
}

fn settings(given: file::Settings, context: &mut Context<'_>) -> Settings {
    let check_ms = quantity(given.check, duration_ms, 30_000);
    at_least("check", check_ms, 1_000, "1s", context);
    let settling_ms = quantity(given.settling, duration_ms, 180_000);
    if u64::from(settling_ms) <= 2 * u64::from(check_ms) {
        let given = if context.places.has("spec.exhibitor.settings.settling") { "settling" } else { "check" };
        context.error(
            &format!("{BASE}.settings.{given}"),
            "settling-too-short",
            format!(
                "`settling` ({}) is not more than twice `check` ({})",
                shown(settling_ms),
                shown(check_ms)
            ),
            "Exhibitor would change the membership before it has seen a member's state twice.",
            format!("write `settling: {}`, or a shorter `check`", shown(check_ms.saturating_mul(6))),
        );
    }
    let cleanup_period_ms = quantity(given.cleanup_period, duration_ms, 300_000);
    at_least("cleanupPeriod", cleanup_period_ms, 1_000, "5m", context);
    let zoo_cfg = zoo_cfg(given.zoo_cfg, context);
    let backup = given.backup.map(|given| backup(given, context));
    let cleanup_max_files = given.cleanup_max_files.unwrap_or(20);
    Settings { check_ms, settling_ms, cleanup_period_ms, cleanup_max_files, zoo_cfg, backup }
}

fn at_least(key: &str, ms: u32, least: u32, usual: &str, context: &mut Context<'_>) {
    if ms < least {
        context.error(
            &format!("{BASE}.settings.{key}"),
            "out-of-range",
            format!("`{key}` of {} is too short", shown(ms)),
            &format!("The least is {}.", shown(least)),
            format!("write `{usual}`"),
        );
    }
}

/// A duration as the file writes it.
fn shown(ms: u32) -> String {
    match ms {
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        _ => format!("{ms}ms"),
    }
}

fn zoo_cfg(
    given: BTreeMap<String, serde_json::Value>,
    context: &mut Context<'_>,
) -> BTreeMap<String, String> {
    let mut lines: BTreeMap<String, String> =
        ZOO_CFG.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    for (key, value) in given {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let numeric = matches!(key.as_str(), "tickTime" | "initLimit" | "syncLimit");
        if numeric && !text.parse::<u32>().is_ok_and(|number| (1..=1_000_000).contains(&number)) {
            context.error(
                &super::super::path::join(&format!("{BASE}.settings.zooCfg"), &key),
                "invalid-zoo-cfg",
                format!("`{key}` must be a whole number from 1 to 1000000"),
                "ZooKeeper would not start with another value.",
                "write the number, or remove the key for its default".to_owned(),
            );
        }
        lines.insert(key, text);
    }
    lines
}

fn backup(given: file::Backup, context: &mut Context<'_>) -> Backup {
    let period_ms = quantity(given.period, duration_ms, 600_000);
    let max_store_ms = quantity(given.max_store, duration_ms, 21_600_000);
    at_least("backup.period", period_ms, 1_000, "10m", context);
    if max_store_ms < period_ms {
        context.error(
            &format!("{BASE}.settings.backup.maxStore"),
            "backup-too-short",
            format!("copies are kept for {}, and made every {}", shown(max_store_ms), shown(period_ms)),
            "Each copy would be gone before the next is made.",
            "write a `maxStore` of several periods, such as `6h`".to_owned(),
        );
    }
    Backup { period_ms, max_store_ms }
}
