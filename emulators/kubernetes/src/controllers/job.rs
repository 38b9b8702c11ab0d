//! Jobs: pods until so many of them have succeeded, or too many failed.

use super::super::deletion::{self, DeleteOptions};
use super::super::events::Note;
use super::super::kind::Kind;
use super::super::managers::Actor;
use super::super::registry::{Registry, Write};
use super::super::tree::{int, is_true, items, name, namespace, text};
use super::super::{clock, tree};
use super::{Alarm, controller_of, is_active, is_condition, is_ready, replicaset, set_condition};
use crate::api::Time;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const COMPONENT: &str = "job-controller";
/// Milliseconds before a pod is tried again after the first failure; each failure doubles it, up to the longest
/// (`DefaultJobPodFailureBackOff` and `MaxJobPodFailureBackOff` of Kubernetes).
const BACK_OFF: Time = 10_000;
const LONGEST_BACK_OFF: Time = 600_000;

/// Brings every Job a step on. `counted` holds the pods whose end is in the status of their Job already.
pub(super) fn run(registry: &mut Registry<'_>, counted: &mut BTreeSet<String>, alarm: &mut Alarm) {
    let jobs: Vec<Value> = registry.store.list(Kind::Job, None).cloned().collect();
    if !counted.is_empty() {
        let there: BTreeSet<&str> = registry.store.list(Kind::Pod, None).map(tree::uid).collect();
        counted.retain(|uid| there.contains(uid.as_str()));
    }
    for job in jobs.into_iter().filter(|job| !tree::is_deleting(job)) {
        if has_ended(&job) {
            expire(registry, &job, alarm);
        } else {
            step(registry, job, counted, alarm);
        }
    }
}

fn has_ended(job: &Value) -> bool {
    is_condition(job, "Complete") || is_condition(job, "Failed")
}

/// Deletes a Job whose time after its end is over.
fn expire(registry: &mut Registry<'_>, job: &Value, alarm: &mut Alarm) {
    let Some(seconds) = int(job, "/spec/ttlSecondsAfterFinished") else { return };
    let ended = ["Complete", "Failed"].into_iter().find_map(|ty| super::condition(job, ty));
    let ended = ended.and_then(|ended| text(ended, "/lastTransitionTime")).and_then(clock::parse);
    let due = ended.unwrap_or(0) + u64::try_from(seconds).unwrap_or(0) * 1000;
    if due > registry.now {
        alarm.at(due);
        return;
    }
    drop(deletion::delete(registry, Kind::Job, namespace(job), name(job), &DeleteOptions::plain()));
}

/// Why a Job failed: the reason and message of its condition.
type Failure = (&'static str, &'static str);

fn step(registry: &mut Registry<'_>, mut job: Value, counted: &mut BTreeSet<String>, alarm: &mut Alarm) {
    let all = registry.store.list(Kind::Pod, Some(namespace(&job)));
    let pods: Vec<Value> = all.filter(|pod| controller_of(pod) == Some(tree::uid(&job))).cloned().collect();
    count_ends(&mut job, &pods, counted);
    let active: Vec<&Value> = pods.iter().filter(|pod| is_active(pod)).collect();
    let suspended = is_true(&job, "/spec/suspend");
    if suspended {
        tree::remove(&mut job, "/status/startTime");
    } else {
        tree::default(&mut job, "/status/startTime", clock::seconds(registry.now));
    }
    let succeeded = int(&job, "/status/succeeded").unwrap_or(0);
    let running = i64::try_from(active.len()).unwrap_or(0);
    let completions = int(&job, "/spec/completions");
    // Without a number of completions the first success ends the Job, when the other pods have ended.
    let complete = completions.map_or(succeeded > 0 && running == 0, |wanted| succeeded >= wanted);
    let failure = if complete { None } else { failure(&job, &active, registry.now, alarm) };
    let mut count = 0;
    if complete || failure.is_some() || suspended {
        for pod in &active {
            drop(deletion::delete(registry, Kind::Pod, namespace(pod), name(pod), &DeleteOptions::plain()));
        }
    } else {
        let parallel = int(&job, "/spec/parallelism").unwrap_or(1);
        let wanted =
            completions.map_or(if succeeded > 0 { 0 } else { parallel }, |all| parallel.min(all - succeeded));
        let due = back_off(&job, &pods);
        if due > registry.now {
            alarm.at(due);
        } else {
            for _ in running..wanted {
                count += i64::from(create(registry, &job));
            }
        }
        count += running;
    }
    let ready = if count == 0 { 0 } else { active.iter().filter(|pod| is_ready(pod)).count() };
    if count == 0 {
        tree::remove(&mut job, "/status/active");
    } else {
        tree::put(&mut job, "/status/active", count);
    }
    tree::put(&mut job, "/status/ready", ready);
    tree::put(&mut job, "/status/terminating", 0);
    tree::put(&mut job, "/status/uncountedTerminatedPods", json!({}));
    end(registry, &mut job, complete, failure);
    registry.commit(Kind::Job, job, &Actor::through(super::MANAGER, "status"));
}

/// Adds the pods that have ended since to the Job's status. A pod that is deleted afterwards has ended all the same.
fn count_ends(job: &mut Value, pods: &[Value], counted: &mut BTreeSet<String>) {
    for pod in pods {
        let key = match text(pod, "/status/phase") {
            Some("Succeeded") => "/status/succeeded",
            Some("Failed") => "/status/failed",
            Some(_) | None => continue,
        };
        if counted.insert(tree::uid(pod).to_owned()) {
            let before = int(job, key).unwrap_or(0);
            tree::put(job, key, before + 1);
        }
    }
}

/// Whether a Job has failed now.
fn failure(job: &Value, active: &[&Value], now: Time, alarm: &mut Alarm) -> Option<Failure> {
    if let Some(seconds) = int(job, "/spec/activeDeadlineSeconds") {
        let start = text(job, "/status/startTime").and_then(clock::parse);
        let due = start.map(|start| start + u64::try_from(seconds).unwrap_or(0) * 1000);
        if due.is_some_and(|due| due <= now) {
            return Some(("DeadlineExceeded", "Job was active longer than specified deadline"));
        }
        due.into_iter().for_each(|due| alarm.at(due));
    }
    let restarts = active.iter().flat_map(|pod| items(pod, "/status/containerStatuses"));
    let restarts: i64 = restarts.filter_map(|status| int(status, "/restartCount")).sum();
    let failed = int(job, "/status/failed").unwrap_or(0);
    let most = int(job, "/spec/backoffLimit").unwrap_or(6);
    (failed > most || restarts > most)
        .then_some(("BackoffLimitExceeded", "Job has reached the specified backoff limit"))
}

/// When the next pod may be made.
fn back_off(job: &Value, pods: &[Value]) -> Time {
    let failed = int(job, "/status/failed").unwrap_or(0);
    let ended = |pod: &Value| {
        text(pod, "/status/containerStatuses/0/state/terminated/finishedAt").and_then(clock::parse)
    };
    let last = pods.iter().filter(|pod| text(pod, "/status/phase") == Some("Failed")).filter_map(ended).max();
    let doubled =
        u32::try_from(failed - 1).ok().map(|times| (BACK_OFF << times.min(10)).min(LONGEST_BACK_OFF));
    last.zip(doubled).map_or(0, |(last, pause)| last + pause)
}

fn create(registry: &mut Registry<'_>, job: &Value) -> bool {
    let pod = replicaset::from_template(Kind::Job, job);
    let (note, made) = match registry.create(Kind::Pod, pod, &Write::by(super::MANAGER)) {
        Ok(pod) => {
            (Note::normal(COMPONENT, "SuccessfulCreate", format!("Created pod: {}", name(&pod))), true)
        }
        Err(failure) => {
            let why = failure.status();
            let message = format!("Error creating: {}", text(&why, "/message").unwrap_or_default());
            (Note::warning(COMPONENT, "FailedCreate", message), false)
        }
    };
    registry.note(Kind::Job, job, &note);
    made
}

/// Writes how a Job ended, if it did. Since 1.31 another condition comes before the last one.
fn end(registry: &mut Registry<'_>, job: &mut Value, complete: bool, failure: Option<Failure>) {
    let at = clock::seconds(registry.now);
    let (conditions, (reason, message)) = match failure {
        Some(why) => (["FailureTarget", "Failed"], why),
        None if complete => {
            tree::put(job, "/status/completionTime", at.as_str());
            let why = ("CompletionsReached", "Reached expected number of succeeded pods");
            (["SuccessCriteriaMet", "Complete"], why)
        }
        None => return,
    };
    for ty in conditions {
        set_condition(
            job,
            &json!({"type": ty, "status": "True", "reason": reason, "message": message,
                "lastProbeTime": at, "lastTransitionTime": at}),
        );
    }
    let note = if complete {
        Note::normal(COMPONENT, "Completed", "Job completed")
    } else {
        Note::warning(COMPONENT, reason, message)
    };
    registry.note(Kind::Job, job, &note);
}
