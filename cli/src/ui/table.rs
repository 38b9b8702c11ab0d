//! Tables: the ensemble, its settings.

use serde_json::Value;
use zkprov_plans::observed::{EnsembleState, InstanceState, Member, Mode, Pod};
use zkprov_plans::recovery::{Evidence, Verdict};
use zkprov_plans::settings::{Effect, Setting};
use zkprov_plans::{quorum, views};

const HEAD: [&str; 9] = ["MEMBER", "ID", "ROLE", "SERVING", "ZXID", "ZNODES", "CONNS", "EXHIBITOR", "POD"];

/// Members with their ids and roles: ZooKeeper's own words first, Exhibitor's and Kubernetes' views beside them.
pub(crate) fn ensemble_table(state: &EnsembleState) -> String {
    let mut out = table(HEAD, state.members.iter().map(|member| row(state, member)));
    for gap in &state.gaps {
        out.push_str(&format!("could not be read: {}: {}\n", gap.what, gap.why));
    }
    for line in views::disagreements(state) {
        out.push_str(&format!("disagree: {line}\n"));
    }
    out.push_str(&verdict(state));
    out
}

/// Settings: in force, in the file, and what a change costs.
pub(crate) fn settings_table(settings: &[Setting]) -> String {
    let value = |value: &Option<Value>| match value {
        None => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let row = |one: &Setting| {
        let effect = match one.effect {
            Effect::Live => "live",
            Effect::Rolling => "one by one",
            Effect::AllAtOnce => "all at once",
        };
        let differs = one.declared.is_some() && one.live != one.declared;
        let declared = value(&one.declared) + if differs { " *" } else { "" };
        [one.name.clone(), one.key.clone(), value(&one.live), declared, effect.to_owned()]
    };
    table(["KEY", "EXHIBITOR", "LIVE", "FILE", "CHANGE"], settings.iter().map(row))
}

/// What each member and each pod beside them still knows, and what follows from it.
pub(crate) fn evidence_table(evidence: &[Evidence], verdict: &Verdict) -> String {
    const HEAD: [&str; 9] =
        ["MEMBER", "ID", "EPOCH", "ACCEPTED", "LAST LOGGED", "SNAPSHOT", "ZNODES", "SERVES", "POD"];
    fn word<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(|| "-".to_owned(), |value| value.to_string())
    }
    let row = |one: &Evidence| {
        let stored = one.stored.unwrap_or_default();
        let pod = match (&one.pod, &one.unreadable) {
            (None, _) => "gone, and its data".to_owned(),
            (Some(pod), None) => pod.clone(),
            (Some(pod), Some(why)) => format!("{pod} (could not be read: {why})"),
        };
        [
            one.host.clone(),
            word(one.id),
            word(stored.current_epoch),
            word(stored.accepted_epoch),
            word(stored.log),
            word(stored.snapshot),
            word(stored.znodes),
            one.serves.map_or("no", mode).to_owned(),
            pod,
        ]
    };
    let mut out = table(HEAD, evidence.iter().map(row));
    if let Verdict::Rebuild(source) = verdict {
        let (epoch, last) = source.stored.rank();
        out.push_str(&format!("{} knows most: epoch {epoch}, last transaction {last}\n", source.pod));
        if !source.without.is_empty() {
            out.push_str(&format!("given up, with what only they know: {}\n", source.without.join(", ")));
        }
    }
    out
}

/// Lines of columns, each as wide as its widest cell.
fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let mut widths = [0usize; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; N]| {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn row(state: &EnsembleState, member: &Member) -> [String; HEAD.len()] {
    let dash = || "-".to_owned();
    let srvr = member.zookeeper.as_ref();
    let pod = state.pods.iter().find(|pod| Some(&pod.name) == member.pod.as_ref());
    [
        member.hostname.clone(),
        member.id.map_or_else(dash, |id| id.to_string()),
        srvr.map_or_else(dash, |srvr| mode(srvr.mode).to_owned()),
        if srvr.is_some() { "yes" } else { "no" }.to_owned(),
        srvr.map_or_else(dash, |srvr| srvr.zxid.to_string()),
        srvr.map_or_else(dash, |srvr| srvr.nodes.to_string()),
        srvr.map_or_else(dash, |srvr| srvr.connections.to_string()),
        exhibitor(member).to_owned(),
        pod.map_or_else(|| "gone".to_owned(), pod_words),
    ]
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Leader => "leader",
        Mode::Follower => "follower",
        Mode::Observer => "observer",
        Mode::Standalone => "standalone",
    }
}

const fn exhibitor(member: &Member) -> &'static str {
    match (member.exhibitor, member.id) {
        (Some(InstanceState::Latent), _) => "latent",
        (Some(InstanceState::Down), _) => "down",
        (Some(InstanceState::NotServing), _) => "not serving",
        (Some(InstanceState::Serving), None) => "outside",
        (Some(InstanceState::Serving), Some(_)) => "serving",
        (Some(InstanceState::Other(_)), _) => "unknown",
        (None, _) => "no answer",
    }
}

fn pod_words(pod: &Pod) -> String {
    let state = match (&pod.trouble, pod.deleting, pod.ready) {
        (Some(trouble), _, _) => trouble.as_str(),
        (None, true, _) => "terminating",
        (None, false, true) => "ready",
        (None, false, false) => "not ready",
    };
    format!("{} ({state})", pod.name)
}

/// One line: how many serve, how many are needed, how many ids are left.
fn verdict(state: &EnsembleState) -> String {
    let (voters, healthy) = (quorum::voters(state), quorum::healthy(state));
    let need = quorum::need(voters);
    let highest = state.servers.iter().map(|server| server.id).max().unwrap_or(0);
    let rolling = if state.rolling { "; Exhibitor is rolling a change" } else { "" };
    let line = format!(
        "{healthy} of {voters} voters serve, {need} needed; ids used up to {highest} of 255{rolling}\n"
    );
    let ids = quorum::ids_run_out(state).map(|(why, fix)| format!("{why}: {fix}\n"));
    line + &ids.unwrap_or_default()
}
