use super::*;
use crate::observed::{Gap, Srvr};
use crate::zookeeper::Zxid;
use proptest::prelude::*;

fn srvr(mode: Mode) -> Srvr {
    Srvr { mode, zxid: Zxid(0x1), connections: 0, nodes: 4, version: "3.4.6".to_owned() }
}

/// `count` serving members with ids from 1; `leader` is one of the ids.
fn serving(count: u32, leader: u32) -> EnsembleState {
    let mut state = EnsembleState::default();
    for id in 1..=count {
        let hostname = format!("10.0.0.{id}");
        let mode = match (count, id == leader) {
            (1, _) => Mode::Standalone,
            (_, true) => Mode::Leader,
            (_, false) => Mode::Follower,
        };
        state.servers.push(Server { id, hostname: hostname.clone(), observer: false });
        state.pods.push(Pod {
            name: format!("pod-{id}"),
            ip: Some(hostname.clone()),
            host: None,
            revision: None,
            node: None,
            phase: "Running".to_owned(),
            ready: true,
            deleting: false,
            trouble: None,
        });
        state.members.push(Member {
            hostname,
            id: Some(id),
            pod: Some(format!("pod-{id}")),
            exhibitor: Some(InstanceState::Serving),
            exhibitor_leader: id == leader,
            zookeeper: Some(srvr(mode)),
        });
    }
    state
}

/// Adds an answering pod outside the ensemble.
fn outsider(state: &mut EnsembleState, id: u32) {
    let mut other = serving(1, 1);
    let address = format!("10.0.0.{id}");
    for mut pod in other.pods.drain(..) {
        pod.name = format!("pod-{id}");
        pod.ip = Some(address.clone());
        state.pods.push(pod);
    }
    for mut member in other.members.drain(..) {
        member.hostname.clone_from(&address);
        member.id = None;
        member.pod = Some(format!("pod-{id}"));
        state.members.push(member);
    }
}

#[test]
fn arithmetic() {
    let table = [(0, 0, 0), (1, 1, 0), (2, 2, 0), (3, 2, 1), (4, 3, 1), (5, 3, 2), (7, 4, 3), (9, 5, 4)];
    for (voters, majority, failures) in table {
        assert_eq!((need(voters), tolerated(voters)), (majority, failures), "{voters}");
    }
    for (n, expected) in [
        (0, (None, 1)),
        (1, (None, 3)),
        (2, (Some(1), 3)),
        (3, (Some(1), 5)),
        (4, (Some(3), 5)),
        (6, (Some(5), 7)),
    ] {
        assert_eq!(neighbours(n), expected, "{n}");
    }
    assert_eq!(path(3, 5), [4, 5]);
    assert_eq!(path(5, 3), [4, 3]);
    assert_eq!(path(3, 3), [] as [u32; 0]);
    assert_eq!(path(0, 3), [1, 2, 3]);
}

#[test]
fn a_serving_ensemble_has_converged() {
    for count in [1, 3, 5] {
        assert_eq!(converged(&serving(count, 1), count), Verdict::Ready, "{count}");
        assert_eq!(healthy(&serving(count, 1)), count);
    }
}

/// Every way in which an ensemble is not there yet, with a word of what is waited for.
#[test]
fn each_flaw_alone_delays_convergence() {
    type Flaw = fn(&mut EnsembleState);
    let flaws: [(&str, Flaw); 14] = [
        ("rolling", |state| state.rolling = true),
        ("no answer", |state| {
            state.gaps.push(Gap {
                what: "pod-1".to_owned(),
                why: "no answer".to_owned(),
                hint: String::new(),
            });
        }),
        ("2 of 3 members in", |state| drop(state.servers.pop())),
        ("4 of 3 members in", |state| {
            state.servers.push(Server { id: 9, hostname: "10.0.0.9".to_owned(), observer: false });
        }),
        ("same id", |state| state.servers[2].id = 1),
        ("2 of 3 members in", |state| state.servers[2].observer = true),
        ("10.0.0.3 has no pod", |state| drop(state.pods.pop())),
        ("10.0.0.3 has no pod", |state| state.pods[2].deleting = true),
        ("2 of 3 members serve", |state| state.members[2].zookeeper = None),
        ("2 of 3 members serve", |state| state.members[0].zookeeper = Some(srvr(Mode::Standalone))),
        ("2 of 3 members serve", |state| drop(state.members.pop())),
        ("sees 2 of 3", |state| state.members[1].exhibitor = Some(InstanceState::NotServing)),
        ("0 members say that they lead", |state| state.members[0].zookeeper = Some(srvr(Mode::Follower))),
        ("Exhibitor sees 2", |state| state.members[1].exhibitor_leader = true),
    ];
    for (word, flaw) in flaws {
        let mut state = serving(3, 1);
        flaw(&mut state);
        let Verdict::Progressing(message) = converged(&state, 3) else { panic!("{word}") };
        assert!(message.contains(word), "{word}: {message}");
    }
    let mut two_leaders = serving(3, 1);
    two_leaders.members[1].zookeeper = Some(srvr(Mode::Leader));
    assert_eq!(converged(&two_leaders, 3), Verdict::Progressing("2 members say that they lead".to_owned()));
    let mut outside = serving(3, 1);
    outsider(&mut outside, 8);
    assert_eq!(converged(&outside, 3), Verdict::Ready, "a pod outside that claims to lead does not count");
    assert_eq!(healthy(&outside), 3);
}

#[test]
fn the_leader_and_the_healthy_go_last() {
    assert_eq!(victims(&serving(5, 5), 3), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(victims(&serving(5, 2), 3), ["10.0.0.1", "10.0.0.3"]);
    assert_eq!(victims(&serving(3, 1), 3), [] as [&str; 0]);
    let mut sick = serving(5, 5);
    sick.members[0].zookeeper = None;
    assert_eq!(victims(&sick, 4), ["10.0.0.1"], "one out of the quorum costs nothing");
    assert_eq!(victims(&serving(3, 3), 0).last().unwrap(), "10.0.0.3");
}

#[test]
fn candidates_answer_and_are_outside() {
    let mut state = serving(3, 1);
    assert_eq!(candidates(&state), [] as [&str; 0]);
    outsider(&mut state, 7);
    outsider(&mut state, 6);
    assert_eq!(candidates(&state), ["10.0.0.7", "10.0.0.6"], "in the order of the pods");
    state.members[3].exhibitor = None;
    state.pods[4].deleting = true;
    assert_eq!(candidates(&state), [] as [&str; 0]);
}

proptest! {
    #[test]
    fn two_majorities_always_meet(voters in 1_u32..=255) {
        prop_assert!(2 * need(voters) > voters);
        prop_assert!(2 * (need(voters) - 1) <= voters);
        prop_assert_eq!(need(voters) + tolerated(voters), voters);
        let (below, above) = neighbours(voters);
        prop_assert!(above % 2 == 1 && above > voters);
        prop_assert!(below.is_none_or(|below| below % 2 == 1 && below < voters));
    }

    #[test]
    fn a_path_moves_one_voter_at_a_time(from in 0_u32..=20, to in 0_u32..=20) {
        let mut at = from;
        for next in path(from, to) {
            prop_assert_eq!(at.abs_diff(next), 1);
            at = next;
        }
        prop_assert_eq!(at, to);
    }

    #[test]
    fn removing_victims_one_by_one_keeps_the_leader(count in 1_u32..=9, leader in 1_u32..=9, to in 1_u32..=9) {
        let leader = leader.min(count);
        let state = serving(count, leader);
        let victims = victims(&state, to);
        prop_assert_eq!(victims.len(), count.saturating_sub(to) as usize);
        let leads = format!("10.0.0.{leader}");
        prop_assert!(!victims.contains(&leads), "{:?}", victims);
    }
}

#[test]
fn a_quorum_holds_without_the_members_whose_pods_are_gone() {
    let mut state = serving(3, 1);
    state.pods.pop();
    state.members.pop();
    assert_eq!(holds(&state, 2), Verdict::Ready);
    assert!(!matches!(converged(&state, 3), Verdict::Ready));
    assert_eq!(holds(&state, 3), Verdict::Progressing("2 of 3 members serve".to_owned()));
    let rolling = EnsembleState { rolling: true, ..state.clone() };
    assert!(matches!(holds(&rolling, 2), Verdict::Progressing(_)));
    if let Some(leader) = state.members.first_mut() {
        leader.zookeeper = Some(srvr(Mode::Follower));
    }
    assert_eq!(holds(&state, 2), Verdict::Progressing("0 members lead".to_owned()));
}

/// The same ensemble, its members known by names that stay; numbers begin at 0.
fn named(mut state: EnsembleState) -> EnsembleState {
    let name = |id: u32| format!("zk-{}.zk-members.default.svc", id - 1);
    let renamed = |address: &str| name(address.rsplit('.').next().unwrap_or_default().parse().unwrap());
    for pod in &mut state.pods {
        pod.host = pod.ip.as_deref().map(renamed);
    }
    for server in &mut state.servers {
        server.hostname = renamed(&server.hostname);
    }
    for member in &mut state.members {
        member.hostname = renamed(&member.hostname);
    }
    state
}

#[test]
fn names_that_stay_have_a_number() {
    for (host, number) in [
        ("zk-0.zk-members.default.svc", Some(0)),
        ("my-zk-12.my-zk-members.zoo.svc", Some(12)),
        ("10.0.0.1", None),
        ("zk-0.example.com", None),
        ("zk.zk-members.default.svc", None),
    ] {
        assert_eq!(ordinal(host), number, "{host}");
    }
}

#[test]
fn the_highest_numbers_leave_whoever_leads_and_the_leader_last_of_them() {
    let hosts = |numbers: &[u32]| -> Vec<String> {
        numbers.iter().map(|number| format!("zk-{number}.zk-members.default.svc")).collect()
    };
    assert_eq!(victims(&named(serving(5, 1)), 3), hosts(&[3, 4]));
    assert_eq!(victims(&named(serving(5, 5)), 3), hosts(&[3, 4]), "the leader last");
    let mut state = named(serving(5, 1));
    state.members[1].zookeeper = None;
    assert_eq!(victims(&state, 3), hosts(&[3, 4]), "a StatefulSet keeps zk-1, however it is");
}

#[test]
fn a_member_with_a_name_is_waited_for_and_one_without_is_lost() {
    let mut state = named(serving(3, 1));
    state.pods.remove(2);
    state.members[2].zookeeper = None;
    assert_eq!(lost(&state), Vec::<String>::new());
    assert!(matches!(converged(&state, 3), Verdict::Progressing(why) if why == "2 of 3 members serve"));
    // Names mean nothing where no pod has one: the Deployment of another file was made on the same share.
    for pod in &mut state.pods {
        pod.host = None;
    }
    assert_eq!(lost(&state).len(), 3);
}

#[test]
fn pods_with_names_join_before_others_in_the_order_of_their_numbers() {
    let mut state = serving(3, 1);
    for id in [9, 8] {
        outsider(&mut state, id);
    }
    let mut fresh = named(serving(2, 1));
    for (pod, member) in fresh.pods.drain(..).zip(fresh.members.drain(..)).rev() {
        state.pods.push(pod);
        state.members.push(Member { id: None, zookeeper: None, ..member });
    }
    assert_eq!(candidates(&state), ["zk-0.zk-members.default.svc", "zk-1.zk-members.default.svc"]);
    assert_eq!(unnamed(&state), ["10.0.0.2", "10.0.0.3", "10.0.0.1"], "the leader last");
}
