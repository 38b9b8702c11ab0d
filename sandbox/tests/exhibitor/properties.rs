//! What holds whatever happens.

use crate::support::{Lab, SHARE, address, request};
use proptest::prelude::*;
use serde_json::json;
use zkprov_sandbox::api::{Context, Endpoints};

/// Something that happens to an ensemble.
#[derive(Debug, Clone)]
enum Event {
    Wait(u64),
    Start(usize),
    Stop(usize),
    Kill(usize),
    Hang(usize),
    Restart(usize),
    Write(usize),
    Declare(usize),
    Cut,
    Delete,
}

const MEMBERS: usize = 5;

/// What leaves data and membership alone.
fn disturbance() -> impl Strategy<Value = Event> {
    let member = 1..=3usize;
    prop_oneof![
        4 => (1..60_000u64).prop_map(Event::Wait),
        1 => member.clone().prop_map(Event::Kill),
        1 => member.clone().prop_map(Event::Hang),
        1 => member.clone().prop_map(Event::Restart),
        3 => member.prop_map(Event::Write),
    ]
}

fn anything() -> impl Strategy<Value = Event> {
    let member = 1..=MEMBERS;
    prop_oneof![
        4 => disturbance(),
        1 => member.clone().prop_map(Event::Start),
        1 => member.clone().prop_map(Event::Stop),
        1 => member.prop_map(Event::Declare),
        1 => Just(Event::Cut),
        1 => Just(Event::Delete),
    ]
}

/// Brings an event about, without waiting for anything; tells whether a write was acknowledged.
fn happen(lab: &mut Lab, event: &Event, count: usize) -> bool {
    match event {
        Event::Wait(ms) => lab.advance(*ms),
        Event::Start(number) => lab.start(*number),
        Event::Stop(number) => lab.stop(*number),
        Event::Kill(number) => lab.shares.kill_zookeeper(&address(*number)),
        Event::Hang(number) => lab.shares.hang(&address(*number)),
        Event::Restart(number) => put(lab, *number, "GET", "/exhibitor/v1/cluster/restart", ""),
        Event::Write(number) => {
            return lab.shares.write(&address(*number), &format!("/written-{count}"), b"x").is_ok();
        }
        Event::Declare(size) => {
            let body = json!({
                "serversSpec": crate::support::spec(*size),
                "zookeeperInstallDirectory": "/opt/zookeeper",
                "zookeeperDataDirectory": "/opt/zookeeper/snapshots",
                "zooCfgExtra": { "tickTime": "2000", "initLimit": "10" },
                "clientPort": "2181", "connectPort": "2888", "electionPort": "3888", "checkMs": "1000",
            });
            put(lab, 1, "POST", "/exhibitor/v1/config/set", &body.to_string());
        }
        Event::Cut => lab.shares.cut_file(SHARE),
        Event::Delete => lab.shares.delete_file(SHARE),
    }
    false
}

/// Hands a request in, and leaves.
fn put(lab: &mut Lab, number: usize, method: &str, path: &str, body: &str) {
    let endpoints = Endpoints::default();
    let mut context = Context { now: lab.now, arrived: lab.now, ids: &mut lab.ids, endpoints: &endpoints };
    lab.shares.handle(&address(number), &request(method, path, body.as_bytes()), &mut context);
}

/// An ensemble of three whose membership nobody changes by itself.
fn unmanaged() -> Lab {
    let mut lab = Lab::serving(3);
    lab.form(3, &[("autoManageInstances", json!("0"))]);
    lab.advance(20_000);
    lab
}

fn steps_do_not_matter(events: &[Event], steps: &[u64]) -> Result<(), TestCaseError> {
    let mut lab = Lab::serving(3);
    for (count, event) in events.iter().enumerate() {
        happen(&mut lab, event, count);
        // What an event makes due at this very moment is due, not overdue.
        prop_assert!(lab.shares.next_event().is_none_or(|next| next >= lab.now), "overdue after {event:?}");
    }
    let mut at_once = lab.clone();
    for step in steps {
        lab.advance(*step);
        prop_assert!(lab.shares.next_event().is_none_or(|next| next > lab.now));
    }
    at_once.advance(steps.iter().sum());
    prop_assert_eq!(lab.shares, at_once.shares);
    Ok(())
}

/// Schedules that random search once found wrong.
#[test]
fn steps_did_matter_here_once() {
    let at_a_tick = [Event::Declare(1), Event::Wait(59_500), Event::Cut];
    steps_do_not_matter(&at_a_tick, &[1]).expect("what is due now is carried out next");
    let nobody_left = [Event::Stop(2), Event::Stop(1), Event::Stop(3), Event::Cut];
    steps_do_not_matter(&nobody_left, &[1, 1]).expect("damage is recorded when it happens");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_acknowledged_write_is_never_lost_while_the_members_keep_their_data(
        events in prop::collection::vec(disturbance(), 1..60),
    ) {
        let mut lab = unmanaged();
        let mut acknowledged = Vec::new();
        for (count, event) in events.iter().enumerate() {
            if happen(&mut lab, event, count) {
                acknowledged.push(format!("/written-{count}"));
            }
            let leaders = lab.modes(3).into_iter().filter(|mode| *mode == Some("leader")).count();
            prop_assert!(leaders <= 1, "{leaders} leaders");
        }
        lab.until(300_000, |lab| lab.shares.healthy_voters(SHARE) == 3);
        for path in &acknowledged {
            for number in 1..=3 {
                prop_assert!(lab.shares.read(&address(number), path).is_some(), "{path} at {number}");
            }
        }
    }

    #[test]
    fn time_goes_on_and_its_steps_do_not_matter(
        events in prop::collection::vec(anything(), 1..30),
        steps in prop::collection::vec(1..40_000u64, 1..30),
    ) {
        steps_do_not_matter(&events, &steps)?;
    }

    #[test]
    fn any_request_gets_an_answer(
        method in "(GET|POST|PUT|DELETE|HEAD|OPTIONS|[A-Z]{1,5})",
        path in "(/exhibitor/v1)?(/(cluster|config|explorer|index|ui|status|state|set|set-rolling|znode|node-data|4ltr|srvr|restarts|true|%2e|[a-z%/;.]{0,6})){0,5}",
        query in "(\\?key=[/a-z%]{0,8})?",
        body in ".{0,40}",
    ) {
        let mut lab = Lab::serving(3);
        let request = request(&method, &format!("{path}{query}"), body.as_bytes());
        let status = lab.send(1, &request).status;
        prop_assert!([200, 302, 304, 400, 404, 405, 406, 415, 500].contains(&status), "{status}");
    }
}
