//! The status in Prometheus' text format.

use super::View;
use std::fmt::Write;
use zkprov_plans::observed::{EnsembleState, Member, Mode};
use zkprov_plans::quorum;
use zkprov_plans::readiness::Verdict;
use zkprov_plans::views;

/// A metric's samples, each with its labels.
type Samples = Vec<(String, u64)>;

/// All gauges of all ensembles, each under its own heading. What could not be read has no sample but `zkprov_ensemble_up` 0.
pub(super) fn text(views: &[View<'_>]) -> String {
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, samples: Samples| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "# HELP zkprov_{name} {help}\n# TYPE zkprov_{name} gauge");
        for (labels, value) in samples {
            let _ = writeln!(out, "zkprov_{name}{{{labels}}} {value}");
        }
    };
    let all = |value: fn(&View<'_>) -> u64| -> Samples {
        views.iter().map(|view| (label("ensemble", &view.spec.name), value(view))).collect()
    };
    gauge(
        "ensemble_up",
        "Whether the ensemble could be read.",
        all(|view| u64::from(view.state().is_some())),
    );
    gauge(
        "ensemble_converged",
        "Whether every declared member serves, and all views agree.",
        all(|view| u64::from(view.verdict() == Verdict::Ready)),
    );
    gauge(
        "ensemble_declared",
        "Members that the file asks for.",
        all(|view| view.spec.exhibitor.replicas.into()),
    );
    let read = |value: fn(&EnsembleState) -> u64| -> Samples {
        let known = views.iter().filter_map(|view| Some((view, view.state()?)));
        known.map(|(view, state)| (label("ensemble", &view.spec.name), value(state))).collect()
    };
    gauge("ensemble_voters", "Voters in the servers spec.", read(|state| quorum::voters(state).into()));
    gauge(
        "ensemble_healthy",
        "Voters in the quorum, by ZooKeeper.",
        read(|state| quorum::healthy(state).into()),
    );
    gauge(
        "ensemble_quorum",
        "Voters that make a majority.",
        read(|state| quorum::need(quorum::voters(state)).into()),
    );
    gauge("ensemble_rolling", "Whether Exhibitor rolls a change.", read(|state| state.rolling.into()));
    gauge(
        "ensemble_highest_id",
        "The highest server id used, of 255.",
        read(|state| state.servers.iter().map(|server| server.id).max().unwrap_or(0).into()),
    );
    gauge(
        "ensemble_disagreements",
        "Members of which Exhibitor, ZooKeeper and Kubernetes say different things.",
        read(|state| views::disagreements(state).len() as u64),
    );
    let each = |value: fn(&Member) -> Option<u64>| -> Samples {
        let of = |view: &View<'_>| -> Samples {
            let members = view.state().map(|state| state.members.as_slice()).unwrap_or_default();
            let samples = members.iter().filter_map(|member| Some((labels(view, member), value(member)?)));
            samples.collect()
        };
        views.iter().flat_map(of).collect()
    };
    gauge(
        "member_serving",
        "Whether the member serves in the ensemble.",
        each(|member| Some((member.id.is_some() && member.zookeeper.is_some()).into())),
    );
    gauge(
        "member_leader",
        "Whether the member leads.",
        each(|member| Some((member.zookeeper.as_ref()?.mode == Mode::Leader).into())),
    );
    gauge("member_epoch", "The epoch of its last transaction.", each(|member| Some(zxid(member)? >> 32)));
    gauge(
        "member_transaction",
        "The number of its last transaction in that epoch.",
        each(|member| Some(zxid(member)? & u64::from(u32::MAX))),
    );
    gauge("member_znodes", "Znodes.", each(|member| Some(member.zookeeper.as_ref()?.nodes)));
    gauge(
        "member_connections",
        "Open connections.",
        each(|member| Some(member.zookeeper.as_ref()?.connections)),
    );
    out
}

fn zxid(member: &Member) -> Option<u64> {
    u64::try_from(member.zookeeper.as_ref()?.zxid.0).ok()
}

fn labels(view: &View<'_>, member: &Member) -> String {
    let id = member.id.map(|id| id.to_string()).unwrap_or_default();
    let pod = member.pod.as_deref().unwrap_or_default();
    let labels =
        [("ensemble", view.spec.name.as_str()), ("member", &member.hostname), ("id", &id), ("pod", pod)];
    labels.map(|(name, value)| label(name, value)).join(",")
}

fn label(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{name}=\"{value}\"")
}
