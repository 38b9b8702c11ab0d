//! Whether a live resource is ready: pure functions of what was read.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The verdict of one look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is ready.
    Ready,
    /// Not yet; what is waited for, for people.
    Progressing(String),
    /// It will not become ready by waiting: why, with the next command or edit if there is one.
    Failed {
        /// What is wrong.
        reason: String,
        /// May be empty.
        hint: String,
    },
}

/// How many of the start-up script's own last lines go into the reason of a failure.
const SCRIPT_LINES: usize = 8;
/// What the start-up script puts before each line it writes to the serial console.
const SCRIPT_PREFIX: &str = "fileserver: ";

/// Whether a VM runs. A stopped VM is a failure: it does not start by itself.
#[must_use]
pub fn instance(document: &Value) -> Verdict {
    match status(document) {
        "RUNNING" => Verdict::Ready,
        stopped @ ("TERMINATED" | "SUSPENDED" | "STOPPING" | "SUSPENDING") => Verdict::Failed {
            reason: format!("the VM is {stopped}"),
            hint: "run apply again: it starts a VM that was found stopped".to_owned(),
        },
        other => Verdict::Progressing(waiting("VM", other)),
    }
}

/// Whether the file server's start-up script of this `generation` reported ready.
///
/// `attribute` is the guest attribute `fileserver/status`: it decides. Where it says nothing about this generation
/// (guest attributes can be forbidden by an organisation policy), the last report on the serial console does. The
/// attribute outlives reboots and renderings, so a report of another generation counts for nothing.
#[must_use]
pub fn file_server(attribute: Option<&str>, serial_tail: Option<&str>, generation: &str) -> Verdict {
    let serial = serial_tail.unwrap_or_default();
    let told = attribute.and_then(Report::parse).filter(|report| report.generation == generation);
    let report = told.or_else(|| {
        let mut reports = serial.lines().filter_map(|line| Report::parse(script_line(line)?));
        // The last one of all: behind another rendering's, this one's would be from before it.
        reports.next_back().filter(|report| report.generation == generation)
    });
    match report {
        Some(Report { state: ScriptState::Ready, .. }) => Verdict::Ready,
        Some(Report { state: ScriptState::Running, rest, .. }) => {
            Verdict::Progressing(format!("start-up script running {rest}").trim_end().to_owned())
        }
        Some(Report { state: ScriptState::Failed, rest, .. }) => Verdict::Failed {
            reason: failed_script(rest, serial),
            hint: "gcloud compute instances get-serial-port-output VM --zone=ZONE shows the whole run; mend the \
                   cause and run apply again: the script runs again without a reboot"
                .to_owned(),
        },
        None => Verdict::Progressing("start-up script has not reported yet".to_owned()),
    }
}

/// Whether a cluster runs. `RECONCILING` counts as running: the API server answers while GKE works on it.
#[must_use]
pub fn cluster(document: &Value) -> Verdict {
    match status(document) {
        "RUNNING" | "RECONCILING" => Verdict::Ready,
        bad @ ("ERROR" | "DEGRADED") => Verdict::Failed {
            reason: with_message(&format!("the cluster is {bad}"), document),
            hint: "gcloud container clusters describe CLUSTER --zone=ZONE shows its conditions".to_owned(),
        },
        "STOPPING" => Verdict::Failed {
            reason: "the cluster is being deleted".to_owned(),
            hint: "run apply again once it is gone".to_owned(),
        },
        other => Verdict::Progressing(waiting("cluster", other)),
    }
}

/// Whether a node pool runs.
#[must_use]
pub fn node_pool(document: &Value) -> Verdict {
    match status(document) {
        "RUNNING" => Verdict::Ready,
        bad @ ("ERROR" | "RUNNING_WITH_ERROR") => Verdict::Failed {
            reason: with_message(&format!("the node pool is {bad}"), document),
            hint:
                "gcloud container node-pools describe POOL --cluster=CLUSTER --zone=ZONE shows its conditions"
                    .to_owned(),
        },
        other => Verdict::Progressing(waiting("node pool", other)),
    }
}

/// Whether a Filestore instance serves.
#[must_use]
pub fn filestore(document: &Value) -> Verdict {
    match document.get("state").and_then(Value::as_str).unwrap_or_default() {
        "READY" => Verdict::Ready,
        bad @ ("ERROR" | "SUSPENDED" | "SUSPENDING" | "DELETING") => Verdict::Failed {
            reason: with_message(&format!("the Filestore instance is {bad}"), document),
            hint: "gcloud filestore instances describe INSTANCE --location=ZONE shows why".to_owned(),
        },
        other => Verdict::Progressing(waiting("Filestore instance", other)),
    }
}

fn status(document: &Value) -> &str {
    document.get("status").and_then(Value::as_str).unwrap_or_default()
}

fn waiting(what: &str, state: &str) -> String {
    if state.is_empty() { format!("{what} in an unknown state") } else { format!("{what} {state}") }
}

/// Adds what the API says about a state: `statusMessage`, or the messages of `conditions`.
fn with_message(what: &str, document: &Value) -> String {
    let conditions = document.get("conditions").and_then(Value::as_array);
    let of_conditions = conditions.into_iter().flatten().filter_map(|condition| condition.get("message"));
    let messages: Vec<&str> = document
        .get("statusMessage")
        .into_iter()
        .chain(of_conditions)
        .filter_map(Value::as_str)
        .filter(|message| !message.is_empty())
        .collect();
    if messages.is_empty() { what.to_owned() } else { format!("{what}: {}", messages.join("; ")) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScriptState {
    Ready,
    Running,
    Failed,
}

/// One report of the start-up script: `ready generation=G boot=B bytes=N`, `READY`, `FAILED` and `START` on the serial console.
#[derive(Debug, Clone, Copy)]
struct Report<'a> {
    state: ScriptState,
    generation: &'a str,
    /// What follows the state: fields for people.
    rest: &'a str,
}

impl<'a> Report<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let (word, rest) = text.split_once(' ')?;
        let state = match word {
            "ready" | "READY" => ScriptState::Ready,
            "running" | "START" => ScriptState::Running,
            "failed" | "FAILED" => ScriptState::Failed,
            _ => return None,
        };
        let generation = rest.split(' ').find_map(|field| field.strip_prefix("generation="))?;
        Some(Self { state, generation, rest })
    }
}

/// What the script wrote in a line of the serial console, without the prefixes of console and script runner.
fn script_line(line: &str) -> Option<&str> {
    line.split_once(SCRIPT_PREFIX).map(|(_, own)| own.trim_end())
}

fn failed_script(rest: &str, serial: &str) -> String {
    let own: Vec<&str> = serial.lines().filter_map(script_line).collect();
    let tail = own.get(own.len().saturating_sub(SCRIPT_LINES)..).unwrap_or_default();
    let head = format!("the start-up script failed: {rest}");
    if tail.is_empty() { head } else { format!("{head}\nits last lines:\n  {}", tail.join("\n  ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn word(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Ready => "ready",
            Verdict::Progressing(_) => "progressing",
            Verdict::Failed { .. } => "failed",
        }
    }

    #[test]
    fn states_of_the_apis() {
        type Row = (fn(&Value) -> Verdict, &'static str, &'static [(&'static str, &'static str)]);
        let table: [Row; 4] = [
            (
                instance,
                "status",
                &[
                    ("PROVISIONING", "progressing"),
                    ("STAGING", "progressing"),
                    ("RUNNING", "ready"),
                    ("REPAIRING", "progressing"),
                    ("TERMINATED", "failed"),
                    ("SUSPENDED", "failed"),
                    ("", "progressing"),
                ],
            ),
            (
                cluster,
                "status",
                &[
                    ("PROVISIONING", "progressing"),
                    ("RUNNING", "ready"),
                    ("RECONCILING", "ready"),
                    ("STOPPING", "failed"),
                    ("ERROR", "failed"),
                    ("DEGRADED", "failed"),
                    ("SOMETHING_NEW", "progressing"),
                ],
            ),
            (
                node_pool,
                "status",
                &[
                    ("PROVISIONING", "progressing"),
                    ("RUNNING", "ready"),
                    ("RUNNING_WITH_ERROR", "failed"),
                    ("RECONCILING", "progressing"),
                    ("ERROR", "failed"),
                ],
            ),
            (
                filestore,
                "state",
                &[
                    ("CREATING", "progressing"),
                    ("READY", "ready"),
                    ("REPAIRING", "progressing"),
                    ("ERROR", "failed"),
                    ("DELETING", "failed"),
                ],
            ),
        ];
        for (verdict, key, rows) in table {
            for (state, expected) in rows {
                let mut document = json!({});
                document[key] = json!(state);
                assert_eq!(word(&verdict(&document)), *expected, "{key} {state}");
            }
            for odd in [json!({}), json!({"status": 2, "state": []}), json!(null), json!([1])] {
                assert_eq!(word(&verdict(&odd)), "progressing", "{odd}");
            }
        }
    }

    #[test]
    fn an_error_brings_what_the_api_says() {
        let document = json!({"status": "ERROR", "statusMessage": "out of addresses",
            "conditions": [{"code": "GCE_STOCKOUT", "message": "no e2-medium"}, {}]});
        let Verdict::Failed { reason, .. } = cluster(&document) else { panic!("not failed") };
        assert_eq!(reason, "the cluster is ERROR: out of addresses; no e2-medium");
    }

    #[test]
    fn reports_of_the_start_up_script() {
        let failed = "[   9.1] startup-script: fileserver: step=mount\r\n\
                      [   9.2] startup-script: fileserver: FAILED generation=g1 step=disk reason=not blank\n";
        let serial = "[   9.2] startup-script: fileserver: FAILED generation=g1 step=disk reason=not blank\n\
                      [  99.2] startup-script: fileserver: READY generation=g2 boot=b bytes=1\n";
        for (attribute, serial, generation, expected) in [
            (Some("ready generation=g1 boot=b bytes=7"), None, "g1", "ready"),
            (Some("ready generation=g1 boot=b bytes=7\n"), None, "g1", "ready"),
            (Some("ready generation=g10 boot=b"), None, "g1", "progressing"),
            (Some("ready generation=g0 boot=b"), None, "g1", "progressing"),
            (Some("running generation=g1 step=packages"), None, "g1", "progressing"),
            (Some("failed generation=g1 step=disk reason=not blank"), None, "g1", "failed"),
            (Some("garbage"), None, "g1", "progressing"),
            (None, None, "g1", "progressing"),
            (None, Some(failed), "g1", "failed"),
            (None, Some(serial), "g1", "progressing"),
            (None, Some(serial), "g2", "ready"),
            (None, Some(serial), "g3", "progressing"),
            (Some("running generation=g2"), Some(serial), "g2", "progressing"),
            (Some("ready generation=g1"), Some(serial), "g2", "ready"),
        ] {
            let verdict = file_server(attribute, serial, generation);
            assert_eq!(word(&verdict), expected, "{attribute:?} {generation}: {verdict:?}");
        }
    }

    #[test]
    fn a_failed_script_is_quoted() {
        let serial = "kernel: noise\nx fileserver: step=disk\nx fileserver: swap signature on /dev/sdb\n";
        let verdict = file_server(Some("failed generation=g step=disk reason=not blank"), Some(serial), "g");
        let Verdict::Failed { reason, .. } = verdict else { panic!("not failed") };
        assert_eq!(
            reason,
            "the start-up script failed: generation=g step=disk reason=not blank\nits last lines:\n  \
             step=disk\n  swap signature on /dev/sdb"
        );
    }
}
