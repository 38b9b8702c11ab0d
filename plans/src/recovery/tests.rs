use super::*;
use crate::observed::InstanceState;
use crate::observed::{Pod, Server, Srvr};
use crate::zookeeper::Zxid;
use proptest::prelude::*;
use serde_json::json;

/// What a pod has: epoch and last transaction, nothing, or nothing that can be read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Disk {
    Gone,
    Unread,
    Empty,
    Data(i64, i64),
}

/// Members by id from 1, with their disks, then pods outside the list; who serves, and how.
fn scene(
    inside: &[(Disk, Option<Mode>)],
    outside: &[(Disk, Option<Mode>)],
) -> (EnsembleState, Vec<Evidence>) {
    let mut state = EnsembleState { config: Some(json!({})), ..EnsembleState::default() };
    let mut read = Vec::new();
    let all = inside.iter().map(|one| (true, one)).chain(outside.iter().map(|one| (false, one)));
    for (number, (member, (disk, serves))) in (1u32..).zip(all) {
        let (hostname, name) = (format!("10.0.0.{number}"), format!("pod-{number}"));
        let there = *disk != Disk::Gone;
        if member {
            state.servers.push(Server { id: number, hostname: hostname.clone(), observer: false });
        }
        if there {
            state.pods.push(Pod {
                name: name.clone(),
                ip: Some(hostname.clone()),
                host: None,
                revision: None,
                node: None,
                phase: "Running".to_owned(),
                ready: serves.is_some(),
                deleting: false,
                trouble: None,
            });
        }
        let srvr = |mode| Srvr { mode, zxid: Zxid(0x1), connections: 0, nodes: 4, version: String::new() };
        state.members.push(Member {
            hostname,
            id: member.then_some(number),
            pod: there.then(|| name.clone()),
            exhibitor: there.then_some(InstanceState::NotServing),
            exhibitor_leader: false,
            zookeeper: serves.map(srvr),
        });
        match disk {
            Disk::Gone => {}
            Disk::Unread => read.push((name, Err("no answer".to_owned()))),
            Disk::Empty => read.push((name, Ok(Stored::default()))),
            Disk::Data(epoch, count) => {
                let last = Some(Zxid((epoch << 32) + count));
                let stored = Stored { current_epoch: Some(*epoch), log: last, ..Stored::default() };
                read.push((name, Ok(stored)));
            }
        }
    }
    let evidence = evidence(&state, &read);
    (state, evidence)
}

fn verdict(inside: &[(Disk, Option<Mode>)], outside: &[(Disk, Option<Mode>)], without: &[&str]) -> String {
    let (state, evidence) = scene(inside, outside);
    let without: Vec<String> = without.iter().map(|name| (*name).to_owned()).collect();
    match judge(&state, &evidence, 3, &without) {
        Verdict::Rebuild(source) => format!("rebuild {}", source.pod),
        Verdict::Resume { voters } => format!("resume {voters}"),
        Verdict::Refuse(refusal) => refusal.code.to_owned(),
    }
}

#[test]
fn the_verdict_follows_from_the_evidence() {
    use Disk::{Data, Empty, Gone, Unread};
    let silent = |disk| (disk, None);
    let leads = |disk| (disk, Some(Mode::Leader));
    let follows = |disk| (disk, Some(Mode::Follower));
    let alone = |disk| (disk, Some(Mode::Standalone));
    let gone = silent(Gone);
    let table: Vec<(&str, String)> = vec![
        // Two of three are gone; their successors are empty, and serve alone.
        ("rebuild pod-1", verdict(&[silent(Data(2, 9)), gone, gone], &[alone(Empty), alone(Empty)], &[])),
        // A later epoch counts more than many transactions of an earlier one.
        ("rebuild pod-3", verdict(&[silent(Data(2, 900)), gone, silent(Data(3, 1)), gone, gone], &[], &[])),
        ("rebuild pod-1", verdict(&[silent(Data(3, 7)), gone, silent(Data(3, 7)), gone, gone], &[], &[])),
        // The list has lost the one member that knows.
        ("rebuild pod-4", verdict(&[silent(Empty), gone, gone], &[silent(Data(5, 1))], &[])),
        // Members are there, but two have lost what they had.
        ("rebuild pod-2", verdict(&[silent(Empty), silent(Data(1, 1)), silent(Empty)], &[], &[])),
        ("pods-not-read", verdict(&[silent(Data(2, 9)), silent(Unread), gone], &[], &[])),
        ("pods-not-read", verdict(&[silent(Data(2, 9)), gone, gone], &[silent(Unread)], &[])),
        ("rebuild pod-1", verdict(&[silent(Data(2, 9)), silent(Unread), gone], &[], &["pod-2"])),
        ("pods-not-read", verdict(&[silent(Data(2, 9)), silent(Unread), silent(Unread)], &[], &["pod-2"])),
        ("majority-holds-data", verdict(&[silent(Data(2, 9)), silent(Data(2, 9)), gone], &[], &[])),
        ("quorum-serves", verdict(&[leads(Data(2, 9)), follows(Data(2, 9)), gone], &[], &[])),
        ("no-data", verdict(&[silent(Empty), gone, gone], &[alone(Empty)], &[])),
        // Empty newcomers have formed a majority before the member that knows came back.
        ("serves-less", verdict(&[silent(Data(5, 2)), leads(Data(1, 0)), follows(Data(1, 0))], &[], &[])),
        ("resume 1", verdict(&[alone(Data(2, 9))], &[alone(Empty), alone(Empty)], &[])),
        ("resume 2", verdict(&[leads(Data(3, 1)), follows(Data(3, 1))], &[alone(Empty)], &[])),
        ("rebuild pod-1", verdict(&[silent(Data(3, 1)), gone], &[alone(Empty)], &[])),
    ];
    for (number, (wanted, found)) in table.iter().enumerate() {
        assert_eq!(wanted, found, "row {number}");
    }
}

#[test]
fn what_cannot_be_known_is_refused() {
    let (mut state, evidence) =
        scene(&[(Disk::Data(1, 1), None), (Disk::Gone, None), (Disk::Gone, None)], &[]);
    let code = |state: &EnsembleState| match judge(state, &evidence, 3, &[]) {
        Verdict::Refuse(refusal) => refusal.code,
        Verdict::Rebuild(_) | Verdict::Resume { .. } => "",
    };
    assert_eq!(code(&state), "");
    state.rolling = true;
    assert_eq!(code(&state), "roll-in-progress");
    state.servers.clear();
    assert_eq!(code(&state), "no-members");
    state.config = None;
    assert_eq!(code(&state), "not-readable");
}

#[test]
fn a_pod_without_an_address_may_know_more() {
    let (mut state, _) = scene(&[(Disk::Data(1, 1), None), (Disk::Gone, None), (Disk::Gone, None)], &[]);
    let mut pod = state.pods[0].clone();
    (pod.name, pod.ip, pod.phase) = ("late".to_owned(), None, "Pending".to_owned());
    state.pods.push(pod);
    let stored = Stored { log: Some(Zxid(0x1_0000_0001)), ..Stored::default() };
    let evidence = evidence(&state, &[("pod-1".to_owned(), Ok(stored))]);
    let Verdict::Refuse(refusal) = judge(&state, &evidence, 3, &[]) else { panic!("not refused") };
    assert_eq!((refusal.code, refusal.message.contains("late (it is Pending")), ("pods-not-read", true));
    assert!(refusal.fix.contains("--without late"));
}

#[test]
fn the_member_keeps_its_id_and_the_others_leave() {
    let (state, evidence) = scene(&[(Disk::Gone, None), (Disk::Data(1, 1), None), (Disk::Gone, None)], &[]);
    let Verdict::Rebuild(source) = judge(&state, &evidence, 3, &[]) else { panic!("not rebuilt") };
    let target = alone(&state, &source);
    assert_eq!((target.voters, target.fixed_size, target.rolling), (1, 1, false));
    assert_eq!(target.keep, ["10.0.0.2"]);
    assert_eq!(target.remove, ["10.0.0.1", "10.0.0.3"]);
    let after = "2:10.0.0.2".to_owned();
    assert_eq!(lists(&state, &source), ("1:10.0.0.1,2:10.0.0.2,3:10.0.0.3".to_owned(), after));
}

fn disks() -> impl Strategy<Value = (Disk, Option<Mode>)> {
    let disk = prop_oneof![
        Just(Disk::Gone),
        Just(Disk::Unread),
        Just(Disk::Empty),
        (0..4i64, 0..4i64).prop_map(|(epoch, count)| Disk::Data(epoch, count)),
    ];
    let serves = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Mode::Standalone)),
        1 => Just(Some(Mode::Follower)),
        1 => Just(Some(Mode::Leader)),
    ];
    (disk, serves).prop_map(|(disk, serves)| (disk, if disk == Disk::Gone { None } else { serves }))
}

proptest! {
    #[test]
    fn nobody_readable_knows_more_than_the_one_that_is_chosen(
        inside in prop::collection::vec(disks(), 1..6),
        outside in prop::collection::vec(disks(), 0..4),
        given_up in prop::collection::vec(1..9usize, 0..3),
    ) {
        let (state, evidence) = scene(&inside, &outside);
        let without: Vec<String> = given_up.iter().map(|number| format!("pod-{number}")).collect();
        if let Verdict::Rebuild(source) = judge(&state, &evidence, 5, &without) {
            for one in &evidence {
                prop_assert!(one.stored.is_none_or(|stored| stored.rank() <= source.stored.rank()));
                let given_up = one.pod.as_ref().is_none_or(|pod| without.contains(pod));
                prop_assert!(one.unreadable.is_none() || given_up, "{one:?} was passed over");
            }
            prop_assert!(source.stored.holds_data());
            prop_assert!(quorum::healthy(&state) < quorum::need(quorum::voters(&state)), "a quorum serves");
            let target = alone(&state, &source);
            prop_assert_eq!(target.keep.len() + target.join.len(), 1);
            prop_assert_eq!(target.remove.len() + target.keep.len(), state.servers.len());
        }
    }

    #[test]
    fn the_order_of_the_pods_does_not_matter(inside in prop::collection::vec(disks(), 1..6)) {
        let (state, evidence) = scene(&inside, &[]);
        let reversed: Vec<Evidence> = evidence.iter().rev().cloned().collect();
        let chosen = |evidence: &[Evidence]| match judge(&state, evidence, 5, &[]) {
            Verdict::Rebuild(source) => Some(source.pod),
            Verdict::Resume { .. } | Verdict::Refuse(_) => None,
        };
        prop_assert_eq!(chosen(&evidence), chosen(&reversed));
    }
}
