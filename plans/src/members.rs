//! The three views of an ensemble joined: what each pod's Exhibitor answered becomes one [`EnsembleState`].

use crate::exhibitor::{ConfigState, StatusEntry, fixed_size, format_servers, same, settings};
use crate::observed::{EnsembleState, Gap, Live, Member, Ownership, Pod, Reading, Srvr, StuckRoll};
use crate::quorum::is_gone;
use serde_json::json;
use std::collections::BTreeMap;

/// What the Exhibitor of one pod answered in one round. An `Err` says why there is no answer.
#[derive(Debug, Clone, PartialEq)]
pub struct PodAnswers {
    /// Pod name.
    pub pod: String,
    /// `config/get-state`
    pub config: Result<ConfigState, String>,
    /// `cluster/status`: every member, as this pod sees it.
    pub status: Result<Vec<StatusEntry>, String>,
    /// `cluster/state`: the pod's own state.
    pub state: Result<StatusEntry, String>,
    /// `cluster/4ltr/srvr`: its ZooKeeper's own words; `None` when it does not serve.
    pub srvr: Result<Option<Srvr>, String>,
}

/// Joins pods and answers. Configuration and statuses come from the first pod, in the order of `pods`, that gave them,
/// members before pods outside the ensemble. A pod without an answer, and pods that read different member lists, are
/// gaps.
#[must_use]
pub fn assemble(pods: Vec<Pod>, answers: &[PodAnswers]) -> EnsembleState {
    let order = |answer: &&PodAnswers| {
        let position = pods.iter().position(|pod| pod.name == answer.pod).unwrap_or(usize::MAX);
        let address = pods.get(position).and_then(Pod::address);
        let inside = answer.config.as_ref().is_ok_and(|config| is_member(config, address));
        (!inside, position)
    };
    let mut answers: Vec<&PodAnswers> = answers.iter().collect();
    answers.sort_by_key(order);
    let (stuck, config) = stuck_roll(&pods, &answers).unzip();
    let config = config.or_else(|| answers.iter().find_map(|answer| answer.config.as_ref().ok()));
    let status = answers.iter().find_map(|answer| answer.status.as_ref().ok());
    let status: BTreeMap<&str, &StatusEntry> =
        status.into_iter().flatten().map(|entry| (entry.hostname.as_str(), entry)).collect();
    let servers = config.map(|config| config.servers.clone()).unwrap_or_default();
    let mut members = Vec::new();
    for server in &servers {
        let pod = pods.iter().find(|pod| pod.address() == Some(server.hostname.as_str()));
        let own = pod.and_then(|pod| answers.iter().find(|answer| answer.pod == pod.name));
        let seen = status.get(server.hostname.as_str()).copied();
        members.push(member(&server.hostname, Some(server.id), pod, own.copied(), seen));
    }
    for pod in &pods {
        let Some(address) = pod.address() else { continue };
        if servers.iter().all(|server| server.hostname != address) {
            let own = answers.iter().find(|answer| answer.pod == pod.name);
            members.push(member(address, None, Some(pod), own.copied(), None));
        }
    }
    let missed = |own: &ConfigState| own.servers.is_empty() && !servers.is_empty();
    let other = |own: &ConfigState| config.is_some_and(|config| !same(&config.config, &own.config));
    let misread = whose(&answers, missed);
    let holds = |pod: &&Pod| {
        let own = answers.iter().find(|answer| answer.pod == pod.name);
        own.is_some_and(|own| own.state.as_ref().is_ok_and(|state| state.restarts == Some(false)))
    };
    let held = pods.iter().filter(holds).filter_map(|pod| pod.address().map(str::to_owned)).collect();
    // Those that a stuck roll has not come to are not behind, and what they read will not change by itself.
    let behind = whose(&answers, |own| stuck.is_none() && !missed(own) && other(own));
    let differ = if stuck.is_none() { different_lists(&answers, &misread) } else { None };
    EnsembleState {
        gaps: silent(&answers).into_iter().chain(differ).collect(),
        config: config.map(|config| config.config.clone()),
        rolling: stuck.is_none()
            && answers
                .iter()
                .any(|answer| answer.config.as_ref().is_ok_and(|config| config.rolling.is_some())),
        stuck,
        misread,
        behind,
        held,
        pods,
        servers,
        members,
    }
}

/// A roll that waits for ever, and the one of its two configurations by which more members serve: the other may name so many
/// that are gone that nothing could be done by it.
fn stuck_roll<'a>(pods: &[Pod], answers: &[&'a PodAnswers]) -> Option<(StuckRoll, &'a ConfigState)> {
    let configs = || answers.iter().filter_map(|answer| answer.config.as_ref().ok());
    let (waits_for, next) = configs().find_map(ConfigState::rolls_through)?;
    if !is_gone(pods, waits_for) {
        return None;
    }
    let at = |host: &str| {
        let pod = pods.iter().find(|pod| pod.address() == Some(host))?;
        answers.iter().find(|answer| answer.pod == pod.name)
    };
    let serves = |host: &str| at(host).is_some_and(|own| matches!(own.srvr, Ok(Some(_))));
    let serving =
        |config: &&ConfigState| config.servers.iter().filter(|server| serves(&server.hostname)).count();
    let config = configs().rev().max_by_key(serving)?;
    // Whom it comes to next still reads what was before.
    let before = next.and_then(at).and_then(|own| own.config.as_ref().ok());
    let before = before.is_some_and(|own| own.servers == config.servers);
    Some((StuckRoll { waits_for: waits_for.to_owned(), before }, config))
}

/// Pods, by name, whose own configuration is so.
fn whose(answers: &[&PodAnswers], is: impl Fn(&ConfigState) -> bool) -> Vec<String> {
    let configs = answers.iter().filter_map(|answer| Some((&answer.pod, answer.config.as_ref().ok()?)));
    let mut pods: Vec<String> =
        configs.filter(|(_, config)| is(config)).map(|(pod, _)| pod.clone()).collect();
    pods.sort();
    pods
}

fn is_member(config: &ConfigState, address: Option<&str>) -> bool {
    config.servers.iter().any(|server| Some(server.hostname.as_str()) == address)
}

/// One row of the table. What the ensemble says of a member goes before what it says of itself; of itself alone its
/// ZooKeeper is believed.
fn member(
    hostname: &str,
    id: Option<u32>,
    pod: Option<&Pod>,
    own: Option<&PodAnswers>,
    seen: Option<&StatusEntry>,
) -> Member {
    let entry = seen.or_else(|| own?.state.as_ref().ok());
    Member {
        hostname: hostname.to_owned(),
        id,
        pod: pod.map(|pod| pod.name.clone()),
        exhibitor: entry.map(|entry| entry.state),
        exhibitor_leader: entry.is_some_and(|entry| entry.is_leader),
        zookeeper: own.and_then(|own| own.srvr.as_ref().ok()?.clone()),
    }
}

fn exhibitor_in(pod: &str) -> String {
    format!("Exhibitor in pod {pod}")
}

/// Whether nothing in the pod answered at this look.
#[must_use]
pub fn is_silent(state: &EnsembleState, pod: &str) -> bool {
    let answers = |member: &Member| member.pod.as_deref() == Some(pod) && member.zookeeper.is_some();
    let gap = exhibitor_in(pod);
    state.gaps.iter().any(|one| one.what == gap) && !state.members.iter().any(answers)
}

fn silent(answers: &[&PodAnswers]) -> Vec<Gap> {
    let gap = |answer: &&PodAnswers| {
        Some(Gap {
            what: exhibitor_in(&answer.pod),
            why: answer.config.as_ref().err().or(answer.status.as_ref().err())?.clone(),
            hint: "`zkprov status` shows every member".to_owned(),
        })
    };
    let mut gaps: Vec<Gap> = answers.iter().filter_map(gap).collect();
    gaps.sort();
    gaps
}

fn different_lists(answers: &[&PodAnswers], misread: &[String]) -> Option<Gap> {
    let mut lists: Vec<String> = answers
        .iter()
        .filter_map(|answer| Some(format_servers(&answer.config.as_ref().ok()?.servers)))
        .collect();
    lists.sort();
    lists.dedup();
    let [_, _, ..] = lists.as_slice() else { return None };
    let read: Vec<String> =
        lists.iter().filter(|list| !list.is_empty()).map(|list| format!("`{list}`")).collect();
    let why = if misread.is_empty() {
        format!("they read different ones: {}", read.join(", "))
    } else {
        format!("{} read an empty one, others {}", misread.join(", "), read.join(", "))
    };
    Some(Gap {
        what: "the members' list of servers".to_owned(),
        why,
        hint: "if that lasts, `zkprov apply` tells them again".to_owned(),
    })
}

/// What planning may rest on. Without pods there is no ensemble, nor while no pod has started its container: the data is
/// in the pods. With running pods of which none told its configuration, nothing is known.
#[must_use]
pub fn reading(state: EnsembleState) -> Reading<EnsembleState> {
    if state.pods.iter().all(|pod| pod.phase == "Pending") {
        return Reading::Absent;
    }
    if state.config.is_some() {
        return Reading::Known(state);
    }
    let pods: Vec<String> = state.pods.iter().map(Pod::words).collect();
    let whys: Vec<&str> = state.gaps.iter().map(|gap| gap.why.as_str()).collect();
    let why = if whys.is_empty() { String::new() } else { format!(": {}", whys.join("; ")) };
    Reading::Unavailable(Gap {
        what: "Exhibitor's shared configuration".to_owned(),
        why: format!("no pod answers; {}{why}", pods.join(", ")),
        hint: "`zkprov status` shows what each pod waits for".to_owned(),
    })
}

/// The ensemble as a live resource: `{"voters", "fixedSize", "settings"}`, and `"restarts"` where a switch keeps members from
/// restarting. An ensemble without members is not formed yet:
/// absent. So is one of whose members none has a pod: the shared configuration outlives a destroy with the data disk, the
/// members' data does not.
#[must_use]
pub fn live(reading: &Reading<EnsembleState>) -> Reading<Live> {
    let state = match reading {
        Reading::Known(state) => state,
        Reading::Absent => return Reading::Absent,
        Reading::Unavailable(gap) => return Reading::Unavailable(gap.clone()),
    };
    let forgotten = crate::quorum::lost(state).len() == state.servers.len();
    let Some(config) = state.config.as_ref().filter(|_| !forgotten) else {
        return Reading::Absent;
    };
    let mut document = json!({
        "voters": crate::quorum::voters(state),
        "fixedSize": fixed_size(config),
        "settings": settings(config),
    });
    let held = crate::roll::held(state);
    if let (false, Some(document)) = (held.is_empty(), document.as_object_mut()) {
        document.insert(crate::diff::RESTARTS.to_owned(), json!(format!("off at {}", held.join(", "))));
    }
    if let (Some(stuck), Some(document)) = (&state.stuck, document.as_object_mut()) {
        document.insert(crate::diff::ROLL.to_owned(), json!(format!("waits for {}", stuck.waits_for)));
    }
    Reading::Known(Live { document, predicted: None, ownership: Ownership::Ours })
}

#[cfg(test)]
mod tests;
