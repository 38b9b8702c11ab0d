//! The state that each recorded exchange was taken in.

use crate::support::{Lab, SHARE, address};
use serde_json::{Value, json};
use zkprov_sandbox::api::Time;

/// A lab in the state of a recording.
pub(crate) struct Ready {
    pub(crate) lab: Lab,
    /// The member that is asked.
    pub(crate) asked: usize,
    /// How long the recorded answer may take to come up, ms: recordings of a sequence were taken at any time in it.
    pub(crate) over: Time,
}

impl Ready {
    fn now(lab: Lab, asked: usize) -> Option<Self> {
        Some(Self { lab, asked, over: 0 })
    }

    fn within(lab: Lab, asked: usize, over: Time) -> Option<Self> {
        Some(Self { lab, asked, over })
    }
}

/// `config` of a recorded `get-state`, as `config/set` wants it, with hosts of the lab.
fn recorded_config(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/exhibitor/{name}.http", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("a recording");
    let body = text.lines().find(|line| line.starts_with('{')).expect("a body");
    let document: Value = serde_json::from_str(body).expect("JSON");
    let mut config = document["config"].clone();
    for (_, value) in config.as_object_mut().expect("an object") {
        match value {
            Value::Number(number) => *value = json!(number.to_string()),
            Value::String(text) => {
                let parts: Vec<&str> = text.split("198.18.").collect();
                let own = |part: &&str| part.split_once('.').map_or("", |(_, host)| host).to_owned();
                let rest: String =
                    parts.iter().skip(1).map(own).map(|host| format!("198.18.0.{host}")).collect();
                *value = json!(format!("{}{rest}", parts[0]));
            }
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {}
        }
    }
    config
}

/// A lab of version 1.5.5 (or another) with this many members up.
fn up(members: usize, size: u32, version: &str) -> Lab {
    let short = [("EXHIBITOR_CHECK_MS", "1000"), ("EXHIBITOR_CONFIG_CHECK_MS", "1000")];
    let mut lab = Lab::new(size, &[short[0], short[1], ("EXHIBITOR_VERSION", version)]);
    for number in 1..=members {
        lab.start(number);
    }
    lab.await_port(members);
    lab
}

/// An ensemble with this list that serves.
fn formed(members: usize, spec: &str, changes: &[(&str, Value)]) -> Lab {
    let mut lab = up(members, 3, "1.5.5");
    form(&mut lab, spec, changes);
    lab
}

fn form(lab: &mut Lab, spec: &str, changes: &[(&str, Value)]) {
    let voters = spec.split(',').count();
    let mut all = vec![
        ("serversSpec", json!(spec)),
        ("autoManageInstancesFixedEnsembleSize", json!(voters.to_string())),
    ];
    all.extend_from_slice(changes);
    lab.set(1, &all);
    lab.until(60_000, |lab| lab.shares.healthy_voters(SHARE) == voters);
    lab.advance(3_000);
}

const RECORDED: &str = "5:198.18.0.13,6:198.18.0.11,7:198.18.0.12";

fn three() -> Lab {
    formed(3, RECORDED, &[])
}

fn ensemble(members: usize) -> Lab {
    formed(members, &crate::support::spec(members), &[])
}

/// A member that has nowhere to put its data.
fn latent() -> Lab {
    let mut lab =
        Lab::new(0, &[("EXHIBITOR_VERSION", "1.5.5"), ("ZK_DATA_DIR", ""), ("EXHIBITOR_CHECK_MS", "1000")]);
    lab.start(1);
    lab.await_port(1);
    lab.advance(3_000);
    lab
}

/// A list of one, and a pod that is not in it.
fn outsider() -> Lab {
    let mut lab = up(2, 3, "1.5.5");
    lab.set(2, &[("serversSpec", json!("1:198.18.0.12"))]);
    lab.until(60_000, |lab| lab.shares.mode(&address(1)).is_some() && lab.shares.mode(&address(2)).is_some());
    lab
}

/// A fourth pod beside three members, which are enough.
fn spare() -> Lab {
    let mut lab = ensemble(3);
    lab.start(4);
    lab.until(20_000, |lab| lab.shares.answers(&address(4), lab.now));
    lab.advance(5_000);
    lab
}

/// Two of four gone.
fn without_quorum() -> Lab {
    let mut lab = ensemble(4);
    lab.stop(1);
    lab.stop(2);
    lab.advance(3_000);
    lab
}

fn hung() -> Lab {
    let mut lab = ensemble(3);
    lab.shares.hang(&address(1));
    lab
}

/// Members behind a password.
fn secured(members: usize) -> Lab {
    let short = [("EXHIBITOR_CHECK_MS", "1000"), ("EXHIBITOR_CONFIG_CHECK_MS", "1000")];
    let mut lab = Lab::new(2, &[short[0], short[1], ("ZK_PASSWORD", "s3cret")]);
    for number in 1..=members {
        lab.start(number);
    }
    lab.await_port(members);
    lab.authorization = Some("Basic ems6czNjcmV0".to_owned());
    form(&mut lab, &crate::support::spec(members), &[]);
    lab
}

fn rolling(config: &Value) -> Lab {
    let mut lab = three();
    lab.post(1, "/exhibitor/v1/config/set-rolling", config);
    lab
}

fn rolled_cleanup() -> Lab {
    let mut lab = ensemble(3);
    let config = lab.settings(1, &[("cleanupMaxFiles", json!("17"))]);
    lab.post(1, "/exhibitor/v1/config/set-rolling", &config);
    lab
}

fn with_znode(path: &str, data: &[&[u8]]) -> Lab {
    let mut lab = three();
    for data in data {
        lab.shares.write(&address(1), path, data).expect("a quorum");
    }
    lab
}

/// The state for a recording; `None` for one that nobody has thought of.
pub(crate) fn setup(name: &str) -> Option<Ready> {
    let (endpoint, case) = name.split_once('/')?;
    match (endpoint, case) {
        ("auth", _) => secured_case(case),
        ("config-get-state", _) => state_case(name, case),
        (
            "config-set" | "config-set-rolling" | "config-force-commit-rolling" | "config-rollback-rolling",
            _,
        ) => change_case(case),
        ("cluster-status", _) => status_case(case),
        ("explorer-node" | "explorer-node-data" | "explorer-znode", _) => znode_case(endpoint, case),
        ("index" | "ui-backup-config", _) => backup_case(case),
        ("ui-shutdown", "with-password") => Ready::now(secured(2), 2),
        ("4ltr-srvr", "during-election-none") => leader(with_znode("/lab", &[b"x"])),
        ("4ltr-mntr" | "4ltr-stat" | "4ltr-srvr", "serving-3-nodes") => leader(three()),
        ("cluster-state", "restarts-switch-off") => {
            let mut lab = three();
            let leads = lab.leader(3);
            lab.get(leads, "/exhibitor/v1/cluster/set/restarts/false");
            Ready::now(lab, leads)
        }
        ("cluster-state-host", "killed-node") => {
            let mut lab = ensemble(3);
            lab.get(3, "/exhibitor/v1/ui/shutdown").is_null();
            Ready::now(lab, 2)
        }
        ("cluster-state-host", "black-holed") => {
            let mut lab = ensemble(3);
            lab.shares.black_hole(SHARE, "198.18.0.90", true);
            Ready::now(lab, 1)
        }
        ("cluster-state-host", "remote-follower") | ("4ltr-srvr-host", "remote-follower") => {
            // Member 2 is to follow: the highest id leads.
            Ready::now(formed(3, "1:198.18.0.13,3:198.18.0.11,2:198.18.0.12", &[]), 1)
        }
        ("cluster-state-host", "localhost" | "self")
        | ("cluster-state", "serving-3-nodes-leader" | "restarts-after-bad-value") => {
            Ready::now(formed(3, "1:198.18.0.13,3:198.18.0.11,2:198.18.0.12", &[]), 1)
        }
        _ => common_case(case),
    }
}

fn leader(lab: Lab) -> Option<Ready> {
    // The recorded leader had seen four znodes; so has any.
    let asked = lab.leader(3);
    Ready::now(lab, asked)
}

/// States that go by the name of the recording alone.
fn common_case(case: &str) -> Option<Ready> {
    match case {
        "zk-not-running" | "latent-no-data-dir" | "latent-empty-spec" | "unknown-word" => {
            Ready::now(latent(), 1)
        }
        "no-quorum" | "not-serving" => Ready::now(without_quorum(), 4),
        "zk-hung" => Ready::within(hung(), 1, 40_000),
        "outsider-fixed-ensemble-full" => Ready::within(spare(), 4, 5_000),
        "outsider-not-in-spec" => Ready::within(outsider(), 1, 10_000),
        "serving-3-nodes-follower" => {
            let lab = three();
            let follows = if lab.leader(3) == 1 { 2 } else { 1 };
            Ready::now(lab, follows)
        }
        "forming-1-of-3" | "forming-1-of-3-form-urlencoded" => Ready::within(outsider(), 1, 10_000),
        "one-node-killed" => Ready::now(ensemble(3), 2),
        "serving-3-nodes"
        | "serving-3-nodes-accept-any-xml"
        | "serving-3-nodes-form"
        | "host-not-in-ensemble-unroutable"
        | "host-not-there"
        | "name-not-resolvable"
        | "remote-ok"
        | "unreachable"
        | "ok"
        | "bad-value"
        | "restarts-false"
        | "restarts-true"
        | "unknown-type"
        | "backups-false-remote"
        | "backups-true-remote"
        | "method-not-allowed"
        | "unknown-path"
        | "lock-analysis"
        | "root"
        | "tabs"
        | "index"
        | "missing"
        | "root-redirect"
        | "no-auth" => Ready::now(three(), 1),
        _ => None,
    }
}

fn secured_case(case: &str) -> Option<Ready> {
    let mut lab = secured(2);
    let asked = match case {
        "cluster-state-is-open" | "remote-stop-with-password" => 3 - lab.leader(2),
        _ => 1,
    };
    lab.authorization = None;
    Ready::now(lab, asked)
}

fn state_case(name: &str, case: &str) -> Option<Ready> {
    let config = recorded_config(name);
    match case {
        "rolling-1" | "rolling-2" | "rolling-3" => Ready::within(rolling(&config), 2, 40_000),
        "rolling-stuck-non-restart-key" => {
            let mut lab = ensemble(3);
            lab.set(
                1,
                &[
                    ("autoManageInstancesSettlingPeriodMs", json!("40000")),
                    ("autoManageInstancesFixedEnsembleSize", json!("0")),
                ],
            );
            lab.advance(5_000);
            lab.post(1, "/exhibitor/v1/config/set-rolling", &config);
            lab.advance(48_000);
            Ready::now(lab, 1)
        }
        "latent" => Ready::now(latent(), 1),
        "no-quorum" => Ready::now(without_quorum(), 4),
        "outsider-fixed-ensemble-full" => Ready::now(spare(), 4),
        "outsider-not-in-spec" => Ready::within(outsider(), 1, 10_000),
        _ => {
            let version = if case.ends_with("1.5.6") { "1.5.6" } else { "1.5.5" };
            let mut lab = up(3, 3, version);
            let asked = config["hostname"].as_str()?.rsplit('.').next()?.parse::<usize>().ok()? - 10;
            if case.contains("json-numbers") {
                lab.set(
                    asked,
                    &[
                        ("serversSpec", json!("1:198.18.0.11")),
                        ("autoManageInstancesFixedEnsembleSize", json!("0")),
                    ],
                );
                let numbers = lab.get(asked, "/exhibitor/v1/config/get-state")["config"].clone();
                lab.post(asked, "/exhibitor/v1/config/set", &numbers);
            } else {
                lab.post(asked, "/exhibitor/v1/config/set", &config);
            }
            Ready::within(lab, asked, 20_000)
        }
    }
}

fn change_case(case: &str) -> Option<Ready> {
    let mut lab = three();
    let lock = match case {
        "stale-lock-1-min-old" => format!("exhibitor-lock-_{}_5", lab.now - 60_000),
        "stale-lock-16-min-old" => format!("exhibitor-lock-_{}_5", lab.now - 16 * 60_000),
        "malformed-lock-name" => "exhibitor-lock-junk".to_owned(),
        "second-while-rolling" | "in-progress" => {
            let mut lab = rolled_cleanup();
            lab.advance(1_000);
            return Ready::now(lab, 1);
        }
        "backup-directory"
        | "ints-as-json-numbers-on-1.5.5"
        | "ints-as-json-numbers-on-1.5.6"
        | "not-json-on-1.5.5"
        | "not-json-on-1.5.6"
        | "partial-body-missing-zooCfgExtra-on-1.5.5"
        | "partial-body-missing-zooCfgExtra-on-1.5.6"
        | "partial-body-on-1.5.5"
        | "partial-body-on-1.5.6"
        | "ok"
        | "nothing-rolling"
        | "wrong-path-force-commit" => return Ready::now(lab, 1),
        _ => return None,
    };
    lab.shares.leave_lock(SHARE, &lock);
    Ready::now(lab, 1)
}

fn status_case(case: &str) -> Option<Ready> {
    match case {
        "after-stop-1" | "after-stop-2" | "after-stop-3" | "after-stop-4" | "after-stop-5" => {
            let mut lab = three();
            let follows = if lab.leader(3) == 2 { 1 } else { 2 };
            lab.get(follows, "/exhibitor/v1/cluster/stop");
            // Which follower was stopped shows only in the set of states.
            Ready::within(lab, 1, 10_000)
        }
        "during-restart-1" | "during-restart-2" | "during-restart-3" | "during-restart-4"
        | "during-restart-5" | "during-restart-6" => {
            let mut lab = three();
            lab.get(1, "/exhibitor/v1/cluster/restart/198.18.0.12");
            Ready::within(lab, 1, 10_000)
        }
        "rolling-1" | "rolling-2" | "rolling-3" | "rolling-4" | "rolling-5" => {
            let mut lab = three();
            let config =
                lab.settings(1, &[("zooCfgExtra", json!({ "tickTime": "2000", "initLimit": "10" }))]);
            lab.post(1, "/exhibitor/v1/config/set-rolling", &config);
            Ready::within(lab, 2, 40_000)
        }
        "zk-jvm-killed-1667ms" | "zk-jvm-killed-3729ms" | "zk-jvm-killed-5365ms" | "zk-jvm-killed-6529ms" => {
            let mut lab = formed(3, "1:198.18.0.11,3:198.18.0.12,2:198.18.0.13", &[]);
            lab.shares.kill_zookeeper(&address(3));
            Ready::within(lab, 2, 10_000)
        }
        "one-node-killed" => {
            let mut lab = formed(3, "1:198.18.0.11,3:198.18.0.12,2:198.18.0.13", &[]);
            lab.stop(3);
            Ready::now(lab, 2)
        }
        "four-nodes-one-gone" => {
            let mut lab = ensemble(4);
            lab.stop(1);
            lab.advance(2_000);
            Ready::now(lab, 4)
        }
        "four-nodes-two-gone-no-quorum" => Ready::now(without_quorum(), 4),
        "five-serving" => Ready::now(ensemble(5), 1),
        "scaled-down-after-150s-settle-ens0" => Ready::now(ensemble(3), 1),
        "scaled-down-after-150s-ens0" => Ready::now(formed(2, "1:198.18.0.11,2:198.18.0.12", &[]), 1),
        "scaled-down-2-gone-first-seconds-settle-ens0" => {
            let mut lab = ensemble(4);
            lab.stop(4);
            Ready::within(lab, 1, 60_000)
        }
        "scaled-down-2-gone-first-seconds-ens0" => {
            let mut lab = formed(4, "1:198.18.0.11,4:198.18.0.14", &[]);
            lab.get(1, "/exhibitor/v1/cluster/set/restarts/false");
            lab.shares.kill_zookeeper(&address(1));
            lab.stop(4);
            Ready::within(lab, 1, 5_000)
        }
        "split-brain-two-standalones" => {
            let mut lab = formed(1, "1:198.18.0.11", &[]);
            lab.shares.kill_zookeeper(&address(1));
            Ready::within(lab, 1, 5_000)
        }
        "scaled-down-2-gone-first-seconds-ens3" | "scaled-down-after-150s-ens3" => Ready::now(ensemble(3), 1),
        "all-old-members-gone" => {
            let mut lab = formed(4, "1:198.18.0.11,2:198.18.0.12,4:198.18.0.14", &[]);
            lab.start(5);
            lab.until(20_000, |lab| lab.shares.answers(&address(5), lab.now));
            for number in [1, 2, 3, 4] {
                lab.stop(number);
            }
            Ready::now(lab, 5)
        }
        "config-file-truncated" => {
            let mut lab = three();
            lab.shares.cut_file(SHARE);
            lab.advance(3_000);
            Ready::now(lab, 1)
        }
        "election-1" => {
            let mut lab = ensemble(3);
            lab.shares.kill_zookeeper(&address(3));
            lab.shares.kill_zookeeper(&address(2));
            Ready::within(lab, 3, 10_000)
        }
        _ => common_case(case),
    }
}

fn znode_case(endpoint: &str, case: &str) -> Option<Ready> {
    match (endpoint, case) {
        (_, "zk-not-running") => Ready::now(latent(), 1),
        (_, "no-quorum") => Ready::now(without_quorum(), 4),
        ("explorer-node-data", "found") => Ready::now(with_znode("/lab/a", &[b"hello", b"hello2"]), 1),
        ("explorer-node-data", "empty-node") => {
            let mut lab = with_znode("/lab/a", &[b"x"]);
            lab.shares.write(&address(2), "/lab/c", b"y").expect("a quorum");
            Ready::now(lab, 1)
        }
        ("explorer-znode", "delete-recursive" | "put-update" | "put-bad-hex") => {
            Ready::now(with_znode("/lab/a", &[b"x"]), 1)
        }
        (
            _,
            "child"
            | "no-key"
            | "not-found"
            | "root"
            | "bad-path"
            | "delete-missing"
            | "put-create"
            | "put-no-content-type",
        ) => Ready::now(three(), 1),
        _ => None,
    }
}

fn backup_case(case: &str) -> Option<Ready> {
    let directory = json!({ "directory": "/opt/zookeeper/local_configs/backups" });
    let backed_up =
        || formed(1, "1:198.18.0.11", &[("backupExtra", directory), ("backupPeriodMs", json!("60000"))]);
    match case {
        "with-directory" | "get-backups-before" => Ready::now(backed_up(), 1),
        "get-backups-active" => {
            let mut lab = backed_up();
            lab.shares.write(&address(1), "/lab", b"x").expect("it serves");
            lab.advance(60_000);
            Ready::now(lab, 1)
        }
        "indexed-logs-after-new-index" => {
            let mut lab = three();
            lab.get(1, "/exhibitor/v1/index/new-index");
            Ready::now(lab, 1)
        }
        "filesystem"
        | "get-backups-no-directory-configured"
        | "indexed-logs"
        | "new-index"
        | "no-such-restore"
        | "no-such-restore-backup" => Ready::now(three(), 1),
        _ => None,
    }
}
