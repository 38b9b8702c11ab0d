//! Where Exhibitor, ZooKeeper and Kubernetes say different things of the same member.

use crate::observed::{EnsembleState, InstanceState, Member, Mode};
use crate::quorum;
use std::collections::BTreeMap;

/// Members, by address, whose ZooKeeper serves alone while the ensemble has others: whoever writes there writes into another
/// server.
#[must_use]
pub fn alone(state: &EnsembleState) -> Vec<String> {
    let serves_alone = |member: &&Member| {
        member.zookeeper.as_ref().is_some_and(|srvr| srvr.mode == Mode::Standalone)
            && (member.id.is_none() || quorum::voters(state) > 1)
    };
    let formed = state.members.iter().filter(|_| !state.servers.is_empty());
    formed.filter(serves_alone).map(|member| member.hostname.clone()).collect()
}

/// One line for each disagreement, what endangers data first. Views are some seconds apart: what is gone at the next look was
/// none.
#[must_use]
pub fn disagreements(state: &EnsembleState) -> Vec<String> {
    let alone = alone(state);
    let mut lines: Vec<String> = alone
        .iter()
        .map(|host| format!("{host} serves alone, outside the ensemble: what is written there is lost to it"))
        .collect();
    lines.extend(state.stuck.as_ref().map(|stuck| format!("{}: `zkprov apply` ends it", stuck.words())));
    for member in state.members.iter().filter(|member| !alone.contains(&member.hostname)) {
        lines.extend(of_member(state, member).into_iter().map(|line| format!("{}: {line}", member.hostname)));
    }
    let mut templates: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for pod in state.pods.iter().filter(|pod| !pod.deleting) {
        if let Some(revision) = &pod.revision {
            templates.entry(revision).or_default().push(&pod.name);
        }
    }
    if templates.len() > 1 {
        let pods: Vec<String> = templates.values().map(|pods| pods.join(", ")).collect();
        lines.push(format!(
            "pods run different templates ({}): a roll was cut off, or goes on",
            pods.join("; ")
        ));
    }
    lines
}

fn of_member(state: &EnsembleState, member: &Member) -> Vec<&'static str> {
    let serves = member.zookeeper.is_some();
    let mut lines = Vec::new();
    if member.id.is_some() && state.held.contains(&member.hostname) {
        lines.push(
            "Exhibitor's switch for restarts is off, a crash would last: a roll was cut off, or goes on",
        );
    }
    if member.id.is_some() {
        match member.exhibitor {
            Some(InstanceState::Serving) if !serves => {
                lines.push("Exhibitor says serving, ZooKeeper does not serve")
            }
            Some(state) if serves && state != InstanceState::Serving => {
                lines.push("ZooKeeper serves, Exhibitor says that it does not");
            }
            Some(_) | None => {}
        }
        let leads = member.zookeeper.as_ref().is_some_and(|srvr| srvr.mode == Mode::Leader);
        if leads != member.exhibitor_leader && serves && quorum::voters(state) > 1 {
            lines.push(if leads {
                "it leads, Exhibitor says that it follows"
            } else {
                "Exhibitor says that it leads, ZooKeeper says that it follows"
            });
        }
    }
    let pod = state.pods.iter().find(|pod| Some(&pod.name) == member.pod.as_ref() && !pod.deleting);
    match pod {
        Some(pod) if pod.ready && !serves => {
            lines.push("Kubernetes sends clients to its pod, ZooKeeper does not serve");
        }
        Some(pod) if !pod.ready && serves && member.id.is_some() => {
            lines.push("ZooKeeper serves, Kubernetes sends no clients: the pod is not ready");
        }
        Some(_) | None => {}
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::{Pod, Server, Srvr};

    fn state(changes: impl Fn(&mut EnsembleState)) -> Vec<String> {
        let member = |id: u32| Member {
            hostname: format!("10.0.0.{id}"),
            id: Some(id),
            pod: Some(format!("pod-{id}")),
            exhibitor: Some(InstanceState::Serving),
            exhibitor_leader: id == 1,
            zookeeper: Some(Srvr {
                mode: if id == 1 { Mode::Leader } else { Mode::Follower },
                zxid: crate::zookeeper::Zxid(0x1_0000_0002),
                connections: 1,
                nodes: 4,
                version: "3.4.14".to_owned(),
            }),
        };
        let pod = |id: u32| Pod {
            name: format!("pod-{id}"),
            ip: Some(format!("10.0.0.{id}")),
            host: None,
            revision: None,
            node: None,
            phase: "Running".to_owned(),
            ready: true,
            deleting: false,
            trouble: None,
        };
        let server = |id: u32| Server { id, hostname: format!("10.0.0.{id}"), observer: false };
        let mut state = EnsembleState {
            pods: (1..=3).map(pod).collect(),
            servers: (1..=3).map(server).collect(),
            members: (1..=3).map(member).collect(),
            ..EnsembleState::default()
        };
        changes(&mut state);
        disagreements(&state)
    }

    fn mode(state: &mut EnsembleState, at: usize, mode: Mode) {
        if let Some(srvr) = &mut state.members[at].zookeeper {
            srvr.mode = mode;
        }
    }

    #[test]
    fn agreement_has_no_lines() {
        assert_eq!(state(|_| ()), Vec::<String>::new());
    }

    #[test]
    fn a_roll_of_pods_that_stands_still_is_seen() {
        let revised = |revisions: [&str; 3]| {
            state(|state| {
                for (pod, revision) in state.pods.iter_mut().zip(revisions) {
                    pod.revision = Some(revision.to_owned());
                }
            })
        };
        assert_eq!(revised(["a", "a", "a"]), Vec::<String>::new());
        let lines = revised(["b", "a", "a"]);
        assert!(lines[0].contains("(pod-2, pod-3; pod-1)"), "{lines:?}");
    }

    #[test]
    fn who_serves_alone_comes_first() {
        let lines = state(|state| {
            state.members[0].exhibitor = Some(InstanceState::Down);
            mode(state, 2, Mode::Standalone);
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("10.0.0.3 serves alone"), "{lines:?}");
        // One that the ensemble does not know.
        let outside = state(|state| {
            state.members[1].id = None;
            mode(state, 1, Mode::Standalone);
        });
        assert!(outside[0].starts_with("10.0.0.2 serves alone"), "{outside:?}");
        // An ensemble of one is alone by right, and before a formation everybody is.
        let of_one = |state: &mut EnsembleState| {
            state.servers.truncate(1);
            state.members.truncate(1);
            state.pods.truncate(1);
            mode(state, 0, Mode::Standalone);
        };
        assert_eq!(state(of_one), Vec::<String>::new());
        assert_eq!(
            state(|state| {
                state.servers.clear();
                for at in 0..3 {
                    state.members[at].id = None;
                    mode(state, at, Mode::Standalone);
                }
            }),
            Vec::<String>::new()
        );
    }

    #[test]
    fn each_pair_of_views_is_compared() {
        type Change = fn(&mut EnsembleState);
        let cases: [(&str, Change); 6] = [
            ("Exhibitor says serving", |state| {
                state.members[1].zookeeper = None;
                state.pods[1].ready = false;
            }),
            ("ZooKeeper serves, Exhibitor", |state| {
                state.members[1].exhibitor = Some(InstanceState::NotServing)
            }),
            ("it leads, Exhibitor", |state| state.members[0].exhibitor_leader = false),
            ("Exhibitor says that it leads", |state| state.members[1].exhibitor_leader = true),
            ("Kubernetes sends clients", |state| {
                state.members[1].zookeeper = None;
                state.members[1].exhibitor = Some(InstanceState::Down);
            }),
            ("Kubernetes sends no clients", |state| state.pods[1].ready = false),
        ];
        for (words, change) in cases {
            let lines = state(change);
            assert_eq!(lines.len(), 1, "{words}: {lines:?}");
            assert!(lines[0].contains(words), "{words}: {lines:?}");
        }
    }
}
