use super::*;
use crate::observed::{Server, Srvr};

/// What one member says.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Says {
    Leads(i64),
    Follows(i64),
    Alone(i64),
    Looks,
    Down,
}

fn address(id: u32) -> String {
    format!("10.0.0.{id}")
}

/// Members that the list has, and those beside it.
fn state(servers: &[(u32, Says)], beside: &[(u32, Says)], held: &[u32]) -> EnsembleState {
    let row = |id: u32, says: Says, inside: bool| {
        let srvr = |mode, zxid: i64| Srvr {
            mode,
            zxid: Zxid(zxid),
            connections: 0,
            nodes: 4,
            version: "3.4.14".to_owned(),
        };
        let (zookeeper, exhibitor) = match says {
            Says::Leads(zxid) => (Some(srvr(Mode::Leader, zxid)), InstanceState::Serving),
            Says::Follows(zxid) => (Some(srvr(Mode::Follower, zxid)), InstanceState::Serving),
            Says::Alone(zxid) => (Some(srvr(Mode::Standalone, zxid)), InstanceState::Serving),
            Says::Looks => (None, InstanceState::NotServing),
            Says::Down => (None, InstanceState::Down),
        };
        Member {
            hostname: address(id),
            id: inside.then_some(id),
            pod: Some(format!("pod-{id}")),
            exhibitor: Some(exhibitor),
            exhibitor_leader: false,
            zookeeper,
        }
    };
    let inside = servers.iter().map(|(id, says)| row(*id, *says, true));
    let outside = beside.iter().map(|(id, says)| row(*id, *says, false));
    let server = |id: u32| Server { id, hostname: address(id), observer: false };
    EnsembleState {
        servers: servers.iter().map(|(id, _)| server(*id)).collect(),
        members: inside.chain(outside).collect(),
        held: held.iter().map(|id| address(*id)).collect(),
        ..EnsembleState::default()
    }
}

fn restart(id: u32) -> Next {
    Next::Restart(address(id))
}

fn waits(next: &Next) -> bool {
    matches!(next, Next::Wait(_))
}

use Says::{Alone, Down, Follows, Leads, Looks};

#[test]
fn followers_go_first_and_the_leader_last() {
    let members = [(1, Follows(5)), (2, Leads(5)), (3, Follows(5))];
    for (held, expected) in
        [(&[1, 2, 3][..], restart(1)), (&[2, 3], restart(3)), (&[2], restart(2)), (&[], Next::Done)]
    {
        assert_eq!(next(&state(&members, &[], held), None), expected, "{held:?}");
    }
}

#[test]
fn who_leads_is_looked_up_again() {
    let moved = [(1, Leads(5)), (2, Follows(5)), (3, Follows(5))];
    assert_eq!(next(&state(&moved, &[], &[1, 3]), None), restart(3));
}

#[test]
fn a_member_that_is_down_comes_before_those_that_serve() {
    let crashed = [(1, Follows(5)), (2, Leads(5)), (3, Down)];
    assert_eq!(next(&state(&crashed, &[], &[1, 2, 3]), None), restart(3));
    // It is not ours to restart: whoever serves does not go down beside it.
    assert!(waits(&next(&state(&crashed, &[], &[1, 2]), None)));
    // Two are down and both are repaired: the first cannot serve before the second runs.
    let two = |first| [(1, first), (2, Down), (3, Down)];
    assert_eq!(next(&state(&two(Down), &[], &[1, 2, 3]), None), restart(1));
    let first = Restarted { host: address(1), floor: Zxid(5) };
    assert_eq!(next(&state(&two(Looks), &[], &[1, 2, 3]), Some(&first)), Next::Release(address(1)));
    assert_eq!(next(&state(&two(Looks), &[], &[2, 3]), None), restart(2));
    let second = Restarted { host: address(2), floor: Zxid(5) };
    let both = [(1, Looks), (2, Looks), (3, Down)];
    assert!(waits(&next(&state(&both, &[], &[2, 3]), Some(&second))), "now they can");
}

#[test]
fn a_newcomer_goes_before_all_others() {
    let grown = [(1, Follows(5)), (2, Leads(5)), (3, Follows(5)), (4, Down)];
    assert_eq!(next(&state(&grown, &[], &[1, 2, 3, 4]), None), restart(4));
    // It ran alone and empty before.
    let alone = [(1, Follows(5)), (2, Leads(5)), (3, Follows(5)), (4, Alone(0))];
    assert_eq!(next(&state(&alone, &[], &[1, 2, 3, 4]), None), restart(4));
}

#[test]
fn a_member_is_back_once_it_knows_what_was_known_before() {
    let restarted = Restarted { host: address(3), floor: Zxid(0x3_0000_0007) };
    let at =
        |says| next(&state(&[(1, Follows(9)), (2, Leads(9)), (3, says)], &[], &[2, 3]), Some(&restarted));
    assert!(waits(&at(Down)) && waits(&at(Looks)));
    assert!(waits(&at(Follows(0x3_0000_0006))), "it lags");
    assert!(waits(&at(Alone(0x3_0000_0007))), "it serves another ensemble");
    assert_eq!(at(Follows(0x3_0000_0007)), Next::Release(address(3)));
    // The leader comes back as a follower of the next one.
    assert_eq!(at(Leads(0x4_0000_0000)), Next::Release(address(3)));
    let gone = state(&[(1, Follows(9)), (2, Leads(9))], &[], &[]);
    assert!(waits(&next(&gone, Some(&restarted))));
}

#[test]
fn from_one_to_two_the_empty_one_waits_for_the_one_with_the_data() {
    let both = [(1, Alone(7)), (2, Alone(0))];
    let pair =
        |second, held: &[u32], restarted| next(&state(&[(1, Alone(7)), (2, second)], &[], held), restarted);
    assert_eq!(floor(&state(&both, &[], &[1, 2])), Zxid(7));
    assert_eq!(pair(Alone(0), &[1, 2], None), restart(2));
    let second = Restarted { host: address(2), floor: Zxid(7) };
    assert!(waits(&pair(Down, &[1, 2], Some(&second))));
    assert_eq!(pair(Looks, &[1, 2], Some(&second)), Next::Release(address(2)));
    assert_eq!(pair(Looks, &[1], None), restart(1));
    assert!(waits(&pair(Down, &[1], None)));
    let first = Restarted { host: address(1), floor: Zxid(7) };
    let alone = state(&[(1, Looks), (2, Looks)], &[], &[1]);
    assert!(waits(&next(&alone, Some(&first))), "a leader has to be there before it counts as back");
    let formed = state(&[(1, Leads(0x1_0000_0000)), (2, Follows(0x1_0000_0000))], &[], &[1]);
    assert_eq!(next(&formed, Some(&first)), Next::Release(address(1)));
}

#[test]
fn who_leaves_stops_after_the_followers_and_before_the_leader() {
    let members = [(1, Follows(5)), (2, Leads(5)), (3, Follows(5))];
    let stays = |held: &[u32], says| next(&state(&members, &[(4, says)], held), None);
    assert_eq!(stays(&[1, 2, 3], Follows(5)), restart(1));
    assert_eq!(stays(&[2], Follows(5)), Next::Stop(address(4)));
    assert_eq!(stays(&[2], Down), restart(2));
    assert_eq!(stays(&[], Follows(5)), Next::Stop(address(4)));
}

#[test]
fn a_leader_that_leaves_stops_first() {
    let members = [(1, Follows(5)), (2, Follows(5)), (3, Follows(5))];
    let state = state(&members, &[(4, Leads(5))], &[1, 2, 3]);
    assert_eq!(next(&state, None), Next::Stop(address(4)));
}

#[test]
fn the_last_one_stands_alone_before_its_peer_stops() {
    let at = |first, second, held: &[u32]| next(&state(&[(1, first)], &[(2, second)], held), None);
    assert_eq!(at(Leads(5), Follows(5), &[1]), restart(1));
    assert_eq!(at(Alone(5), Down, &[]), Next::Done);
    // Its peer led: it stops, and whoever is left alone restarts.
    assert_eq!(at(Follows(5), Leads(5), &[1]), Next::Stop(address(2)));
    assert_eq!(at(Looks, Down, &[1]), restart(1));
}

#[test]
fn only_voters_are_rolled() {
    let state = state(&[(1, Leads(5)), (2, Follows(5)), (3, Follows(5))], &[(4, Down)], &[4]);
    assert_eq!(held(&state), Vec::<String>::new());
    assert_eq!(next(&state, None), Next::Done);
}

/// Nobody writes: the leader's number is that of its epoch, which a follower that lacks nothing never shows.
#[test]
fn an_epoch_without_a_transaction_asks_nothing_of_a_follower() {
    let epoch = Says::Leads(0x4_0000_0000);
    let told = |follower| state(&[(1, epoch), (2, follower), (3, follower)], &[], &[2, 3]);
    for (follower, known) in [(0, 0), (0x3_0000_0007, 0x3_0000_0007)] {
        let told = told(Says::Follows(follower));
        assert_eq!((floor(&told), last_known(&told)), (Zxid(known), Zxid(0x4_0000_0000)));
        let restarted = Restarted { host: address(2), floor: floor(&told) };
        assert_eq!(next(&told, Some(&restarted)), Next::Release(address(2)));
    }
}
