//! Programs that end by themselves: how long the containers of a pod run, and with what status they end.

use super::super::tree::{is_true, items, text};
use super::pods;
use crate::api::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Milliseconds that a Job's program takes which this world knows nothing of.
const MOMENT: Time = 3_000;

/// How a program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ending {
    /// When, or after how many milliseconds.
    pub(super) at: Time,
    /// Its exit status.
    pub(super) code: u8,
}

/// Milliseconds that zkprov takes to fail.
const NO_BACKUP: Time = 1_000;

/// Whether a container is to take a backup with zkprov itself. It must not seem to have taken one.
pub(crate) fn is_backup(container: &Value) -> bool {
    matches!(items(container, "/args"), [first, second, ..] if first == "backup" && second == "--in-cluster")
}

/// How the programs of a pod end after their start, if they do: all of them, when the last one has. `sleep`, `true`, `false`
/// and `sh -c 'exit N'` do as they say; a program that is not known runs on, unless a Job waits for it: then it succeeds
/// after a moment. zkprov's own backups fail, since nothing takes them. Pods that always start their containers again are taken to hold programs that run on.
pub(super) fn ending(pod: &Value) -> Option<Ending> {
    if restarts(pod) == Restarts::Always || pods::exhibitor(pod).is_some() {
        return None;
    }
    let is_job = |owner: &Value| is_true(owner, "/controller") && text(owner, "/kind") == Some("Job");
    let of_job = items(pod, "/metadata/ownerReferences").iter().any(is_job);
    let unknown = of_job.then_some(Ending { at: MOMENT, code: 0 });
    let mut last: Option<Ending> = None;
    for container in items(pod, "/spec/containers") {
        let parts = ["/command", "/args"].into_iter().flat_map(|part| items(container, part));
        let words: Vec<&str> = parts.filter_map(Value::as_str).collect();
        let own = if is_backup(container) {
            Ending { at: NO_BACKUP, code: 1 }
        } else {
            known(&words).map_or(unknown, Known::ending)?
        };
        let worst = last.map_or(own.code, |last| last.code.max(own.code));
        last = Some(Ending { at: last.map_or(own.at, |last| last.at.max(own.at)), code: worst });
    }
    last
}

/// When containers are started again that have ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Restarts {
    /// Whatever they ended with.
    #[default]
    Always,
    /// When they have failed.
    OnFailure,
    /// Not at all.
    Never,
}

/// What a pod's spec says of that.
pub(super) fn restarts(pod: &Value) -> Restarts {
    match text(pod, "/spec/restartPolicy") {
        Some("Never") => Restarts::Never,
        Some("OnFailure") => Restarts::OnFailure,
        Some(_) | None => Restarts::Always,
    }
}

/// A program that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Ends(Ending),
    RunsOn,
}

impl Known {
    const fn ending(self) -> Option<Ending> {
        match self {
            Self::Ends(ending) => Some(ending),
            Self::RunsOn => None,
        }
    }
}

fn known(words: &[&str]) -> Option<Known> {
    let at_once = |code| Some(Known::Ends(Ending { at: 0, code }));
    let name = words.first()?.rsplit('/').next()?;
    match (name, words.get(1..)?) {
        ("true", []) => at_once(0),
        ("false", []) => at_once(1),
        ("sleep", ["infinity"]) => Some(Known::RunsOn),
        ("sleep", [seconds]) => {
            let seconds: Time = seconds.parse().ok()?;
            Some(Known::Ends(Ending { at: seconds.saturating_mul(1000), code: 0 }))
        }
        ("sh" | "bash", ["-c", script]) => match script.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["exit", code] => at_once(code.parse().ok()?),
            inner => known(inner).filter(|_| !script.contains([';', '&', '|', '\n'])),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(policy: &str, owner: &str, commands: &[&[&str]]) -> Value {
        let containers: Vec<Value> = commands.iter().map(|words| json!({"command": words})).collect();
        json!({"metadata": {"ownerReferences": [{"kind": owner, "controller": true}]},
            "spec": {"restartPolicy": policy, "containers": containers}})
    }

    #[test]
    fn a_pod_ends_when_its_last_program_does() {
        let ends = |policy, owner, commands: &[&[&str]]| {
            ending(&pod(policy, owner, commands)).map(|ending| (ending.at, ending.code))
        };
        assert_eq!(ends("Never", "Job", &[&["backup"]]), Some((MOMENT, 0)));
        assert_eq!(ends("Never", "Other", &[&["backup"]]), None);
        assert_eq!(ends("Never", "Other", &[&["sleep", "60"], &["/bin/false"]]), Some((60_000, 1)));
        assert_eq!(ends("Never", "Job", &[&["sleep", "infinity"], &["true"]]), None);
        assert_eq!(ends("OnFailure", "Job", &[&["sh", "-c", "exit 3"]]), Some((0, 3)));
        assert_eq!(ends("OnFailure", "Job", &[&["sh", "-c", "true; false"]]), Some((MOMENT, 0)));
        assert_eq!(ends("Always", "Job", &[&["true"]]), None);
        let mut backup = pod("Never", "Job", &[&[]]);
        backup["spec"]["containers"][0]["args"] = json!(["backup", "--in-cluster", "--to", "/backups"]);
        assert_eq!(ending(&backup), Some(Ending { at: NO_BACKUP, code: 1 }), "it does not seem to be taken");
    }
}
