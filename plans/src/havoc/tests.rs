//! Schedules on any placement, verdicts over timelines, and how they are printed.

use super::report::{junit, schedule_text, text};
use super::*;
use crate::observed::{EnsembleState, Gap, Member, Mode, Pod, Server, Srvr};
use crate::quorum;
use crate::zookeeper::Zxid;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Voters on nodes given by number; every node has a machine.
fn placement(nodes: &[usize]) -> Placement {
    let machine = |name: String| Machine { project: "p".to_owned(), zone: "z".to_owned(), name };
    let voters = (1..).zip(nodes).map(|(id, node)| Voter {
        id,
        host: format!("10.8.{node}.{id}"),
        pod: format!("exhibitor-{id}"),
        node: format!("node-{node}"),
    });
    let machines = nodes.iter().map(|node| format!("node-{node}")).map(|node| (node.clone(), machine(node)));
    Placement {
        voters: voters.collect(),
        machines: machines.collect(),
        file_server: Some(machine("files".to_owned())),
    }
}

const WANTED: Wanted =
    Wanted { pods: 1, nodes: 0, file_server: false, rounds: 2, seed: 7, budget: Budget::Quorum };

fn refused(wanted: &Wanted, nodes: &[usize]) -> String {
    schedule(wanted, &placement(nodes)).unwrap_err().why
}

#[test]
fn a_budget_is_the_quorums_or_a_number() {
    assert_eq!("quorum-1".parse(), Ok(Budget::Quorum));
    assert_eq!("2".parse(), Ok(Budget::Voters(2)));
    assert!("quorum".parse::<Budget>().is_err() && "-1".parse::<Budget>().is_err());
    for (voters, budget) in [(3, 1), (4, 1), (5, 2), (7, 3)] {
        let drawn = schedule(&WANTED, &placement(&vec![0; voters])).unwrap();
        assert_eq!(drawn.budget, budget, "{voters}");
    }
}

#[test]
fn what_cannot_be_done_is_refused() {
    assert!(refused(&WANTED, &[0]).contains("survives no loss"));
    assert!(refused(&Wanted { pods: 0, ..WANTED }, &[0, 1, 2]).contains("nothing is to be killed"));
    assert!(
        refused(&Wanted { budget: Budget::Voters(2), ..WANTED }, &[0, 1, 2]).contains("breaks the quorum")
    );
    assert!(refused(&Wanted { budget: Budget::Voters(0), ..WANTED }, &[0, 1, 2]).contains("budget is 0"));
    assert!(refused(&Wanted { pods: 4, ..WANTED }, &[0, 1, 2]).contains("more than the 3 voters"));
    let nodes = |nodes| Wanted { pods: 0, nodes, ..WANTED };
    assert!(refused(&nodes(1), &[0, 0, 0]).contains("node-0 holds 3 voters, and the budget is 1"));
    assert!(refused(&nodes(2), &[0, 0, 1]).contains("node-0 holds 2 voters"));
    assert!(schedule(&nodes(1), &placement(&[0, 0, 1])).is_ok());
    let mut external = placement(&[0, 1, 2]);
    external.file_server = None;
    let wanted = Wanted { pods: 0, file_server: true, ..WANTED };
    assert!(schedule(&wanted, &external).unwrap_err().why.contains("no VM"));
    // The file server takes no voter: a budget of none is enough.
    assert!(schedule(&Wanted { budget: Budget::Voters(0), ..wanted }, &placement(&[0, 1, 2])).is_ok());
}

#[test]
fn a_wave_is_aimed_at_the_placement_as_it_is_now() {
    let wave = [Aim::Voter(3), Aim::Node("node-0".to_owned())];
    let kills = aim(&wave, &placement(&[0, 1, 2, 3, 4]), 2).unwrap();
    assert_eq!(kills[0].means, Means::DeletePods(vec!["exhibitor-3".to_owned()]));
    assert!(matches!(&kills[1].means, Means::Reset(machine) if machine.name == "node-0"));
    // The scheduler has put two on the node, and took the victim there.
    assert!(aim(&wave, &placement(&[0, 0, 2, 3, 4]), 2).unwrap_err().contains("3 voters"));
    assert!(aim(&wave, &placement(&[0, 1, 0, 3, 4]), 3).unwrap_err().contains("same voter"));
    assert!(aim(&wave, &placement(&[1, 1, 2, 3, 4]), 2).unwrap_err().contains("no voter any more"));
    assert!(aim(&wave, &placement(&[0, 1]), 2).unwrap_err().contains("there is no voter 3"));
    // A node without a machine loses its members' pods.
    let mut elsewhere = placement(&[0, 1, 2]);
    elsewhere.machines.clear();
    let kills = aim(&[Aim::Node("node-1".to_owned())], &elsewhere, 1).unwrap();
    assert_eq!(kills[0].means, Means::DeletePods(vec!["exhibitor-2".to_owned()]));
}

proptest! {
    #[test]
    fn no_schedule_breaks_the_budget_on_any_placement(
        nodes in prop::collection::vec(0usize..5, 1..10),
        (pods, killed, file_server, rounds) in (0u32..10, 0u32..5, any::<bool>(), 1u32..5),
        seed in any::<u64>(),
        budget in prop_oneof![Just(Budget::Quorum), (0u32..5).prop_map(Budget::Voters)],
    ) {
        let placement = placement(&nodes);
        let wanted = Wanted { pods, nodes: killed, file_server, rounds, seed, budget };
        let Ok(drawn) = schedule(&wanted, &placement) else { return Ok(()) };
        prop_assert!(!drawn.rounds[0].waves.is_empty());
        prop_assert_eq!(&drawn, &schedule(&wanted, &placement).unwrap());
        prop_assert_eq!(drawn.rounds.len(), rounds as usize);
        let voters = u32::try_from(nodes.len()).unwrap();
        for round in &drawn.rounds {
            let mut aims = Vec::new();
            for wave in &round.waves {
                let kills = aim(wave, &placement, drawn.budget).map_err(TestCaseError::fail)?;
                let taken: BTreeSet<u32> =
                    kills.iter().flat_map(|kill| &kill.takes).map(|voter| voter.id).collect();
                prop_assert!(taken.len() <= drawn.budget as usize);
                prop_assert!(voters - u32::try_from(taken.len()).unwrap() >= quorum::need(voters));
                aims.extend(wave.iter().cloned());
            }
            let distinct: BTreeSet<&Aim> = aims.iter().collect();
            prop_assert_eq!(distinct.len(), aims.len());
            prop_assert_eq!(aims.len(), (pods + killed + u32::from(file_server)) as usize);
        }
    }
}

#[test]
fn seeds_and_rounds_strike_different_victims() {
    let victims: BTreeSet<String> = (0..20)
        .flat_map(|seed| schedule(&Wanted { seed, ..WANTED }, &placement(&[0, 1, 2])).unwrap().rounds)
        .map(|round| format!("{:?}", round.waves))
        .collect();
    assert_eq!(victims.len(), 3, "{victims:?}");
}

fn state(voters: u32) -> EnsembleState {
    let host = |id: u32| format!("10.8.0.{id}");
    EnsembleState {
        pods: (1..=voters)
            .map(|id| Pod {
                name: format!("pod-{id}"),
                ip: Some(host(id)),
                host: None,
                revision: None,
                node: Some("node".to_owned()),
                phase: "Running".to_owned(),
                ready: true,
                deleting: false,
                trouble: None,
            })
            .collect(),
        servers: (1..=voters).map(|id| Server { id, hostname: host(id), observer: false }).collect(),
        members: (1..=voters)
            .map(|id| Member {
                hostname: host(id),
                id: Some(id),
                pod: Some(format!("pod-{id}")),
                exhibitor: Some(3.into()),
                exhibitor_leader: id == 1,
                zookeeper: Some(Srvr {
                    mode: if id == 1 { Mode::Leader } else { Mode::Follower },
                    zxid: Zxid(0x1_0000_0001),
                    connections: 0,
                    nodes: 4,
                    version: "3.4.14".to_owned(),
                }),
            })
            .collect(),
        ..EnsembleState::default()
    }
}

#[test]
fn who_is_gone_is_told_from_who_restarts() {
    let gone = |change: fn(&mut EnsembleState), before: &[&str]| {
        let mut state = state(3);
        change(&mut state);
        let before = before.iter().map(|host| (*host).to_owned()).collect();
        down(&state, &before).0.into_iter().collect::<Vec<_>>()
    };
    assert!(gone(|_| (), &[]).is_empty());
    assert_eq!(gone(|state| drop(state.pods.remove(1)), &[]), ["10.8.0.2"]);
    assert_eq!(gone(|state| state.pods[1].deleting = true, &[]), ["10.8.0.2"]);
    assert_eq!(gone(|state| state.pods[1].phase = "Pending".to_owned(), &[]), ["10.8.0.2"]);
    // A member with a volume goes by its name, whatever its pod's address is.
    let named = |state: &mut EnsembleState| {
        state.pods[1].host = Some("exhibitor-1.members".to_owned());
        state.servers[1].hostname = "exhibitor-1.members".to_owned();
        assert!(Placement::of(state).is_ok());
    };
    assert!(gone(named, &[]).is_empty());
    // An election, or Exhibitor restarting everybody: the members are there.
    let electing =
        |state: &mut EnsembleState| state.members.iter_mut().for_each(|member| member.zookeeper = None);
    assert!(gone(electing, &["10.8.0.1", "10.8.0.2"]).is_empty());
    // Whoever answers nothing at one look may be slow.
    let silent = |state: &mut EnsembleState| {
        state.members[1].zookeeper = None;
        let gap = |what: &str| Gap { what: what.to_owned(), why: String::new(), hint: String::new() };
        state.gaps.push(gap("Exhibitor in pod pod-2"));
    };
    assert!(gone(silent, &[]).is_empty());
    assert_eq!(gone(silent, &["10.8.0.2"]), ["10.8.0.2"]);
}

#[test]
fn lanes_note_what_changes_and_who_was_replaced() {
    let mut all = BTreeMap::new();
    let mut state = state(3);
    let nobody = BTreeSet::new();
    lanes(&mut all, 0, &state, &nobody);
    lanes(&mut all, 100, &state, &nobody);
    state.members[2].zookeeper = None;
    lanes(&mut all, 200, &state, &nobody);
    lanes(&mut all, 300, &state, &BTreeSet::from(["10.8.0.3".to_owned()]));
    state.servers[2].hostname = "10.8.0.9".to_owned();
    lanes(&mut all, 400, &state, &nobody);
    assert_eq!(all["10.8.0.1"], [(0, State::Leads)]);
    assert_eq!(all["10.8.0.3"], [(0, State::Follows), (200, State::Waits), (300, State::Gone)]);
    assert_eq!(all["10.8.0.9"], [(400, State::Waits)]);
    // A look at which nobody told the list says nothing of anybody.
    state.servers.clear();
    lanes(&mut all, 500, &state, &nobody);
    assert_eq!(all["10.8.0.1"].len(), 1);
}

#[test]
fn the_quorum_is_timed_to_its_first_return() {
    let mut strike = record().strikes.remove(1);
    strike.quorum = Some(0);
    let whole = state(3);
    let mut unled = state(3);
    unled.members[0].zookeeper = None;
    let mut rolling = state(3);
    rolling.rolling = true;
    let begin = strike.at;
    for (after, state, expected) in [
        (100, &whole, Some(0)),
        // Exhibitor rolls something through members that serve.
        (200, &rolling, Some(0)),
        (300, &EnsembleState::default(), Some(0)),
        (1_000, &unled, None),
        (1_500, &EnsembleState::default(), None),
        (2_000, &whole, Some(2_000)),
        // Exhibitor restarts everybody: that is no second first time.
        (60_000, &unled, Some(2_000)),
        (70_000, &whole, Some(2_000)),
    ] {
        strike.note_quorum(begin + after, state);
        assert_eq!(strike.quorum, expected, "{after}");
    }
}

#[test]
fn a_gap_is_from_the_first_try_without_an_answer_to_the_next_answer() {
    let sample = |at, took, outcome| Sample { at, took, outcome };
    let samples = [
        sample(0, 10, Outcome::Ok),
        sample(250, 2000, Outcome::Failed),
        sample(2250, 300, Outcome::Failed),
        sample(2600, 20, Outcome::Ok),
        sample(3000, 1500, Outcome::Ok),
        sample(5000, 400, Outcome::Failed),
    ];
    let expected = [(250, 2620), (3000, 4500), (5000, 9000)].map(|(from, to)| Window { from, to });
    assert_eq!(gaps(&samples, 9000), expected);
    assert!(gaps(&samples[..1], 9000).is_empty());
}

/// A run of two rounds, the leader first.
fn record() -> Record {
    let place = placement(&[0, 1, 2]);
    let drawn = schedule(&Wanted { seed: 3, ..WANTED }, &place).unwrap();
    let kills = |round: usize| aim(&drawn.rounds[round].waves[0], &place, 1).unwrap();
    let strike = |round: usize, at, quorum, serving| Strike {
        round: round + 1,
        at,
        kills: kills(round),
        detected: Some(900),
        quorum,
        serving: Some(serving),
    };
    let strikes = vec![strike(0, 5_000, Some(3_200), 71_300), strike(1, 80_000, Some(0), 40_000)];
    let write = |at: u64| {
        let down = (5_100..8_300).contains(&at);
        let outcome = if down { Outcome::Failed } else { Outcome::Ok };
        Sample { at, took: if down { 900 } else { 20 }, outcome }
    };
    let samples: Vec<Sample> = (0..120).map(|nth| write(nth * 1_000)).collect();
    let host = |id: usize| place.voters[id].host.clone();
    Record {
        ensemble: "exhibitor".to_owned(),
        run: "20260101t000000".to_owned(),
        deadline: 300_000,
        strikes,
        members: BTreeMap::from([
            (host(0), vec![(0, State::Leads), (5_900, State::Gone)]),
            (host(1), vec![(0, State::Follows), (6_000, State::Waits), (8_200, State::Leads)]),
            (host(2), vec![(0, State::Follows), (6_000, State::Waits), (8_200, State::Follows)]),
            ("10.8.0.9".to_owned(), vec![(60_000, State::Waits), (76_300, State::Follows)]),
        ]),
        most_down: 1,
        writes: samples.clone(),
        reads: samples,
        took: 120_000,
        end: End::Done,
        check: Check::Read { members: vec![host(1), host(2), "10.8.0.9".to_owned()], lost: BTreeMap::new() },
        schedule: drawn,
    }
}

#[test]
fn a_schedule_is_told_in_full_before_anything_is_killed() {
    let place = placement(&[0, 0, 1, 2, 3]);
    let wanted = Wanted { pods: 2, nodes: 1, file_server: true, rounds: 2, ..WANTED };
    let drawn = schedule(&wanted, &place).unwrap();
    insta::assert_snapshot!(schedule_text("exhibitor", &drawn, &place));
    let json = report::schedule_json("exhibitor", &drawn, &place);
    assert_eq!(json["rounds"].as_array().map(Vec::len), Some(2));
    assert!(json["rounds"][0][0][0]["takes"].as_array().is_some());
}

#[test]
fn a_run_that_held_is_told_in_every_form() {
    let record = record();
    assert!(record.held());
    insta::assert_snapshot!(text(&record));
    insta::assert_snapshot!(junit(&record));
    insta::assert_snapshot!(picture::svg(&record));
    let json = report::json(&record);
    assert_eq!(json["held"], true);
    assert_eq!(json["availability"]["writes"]["longestGapMs"], 3_020);
}

#[test]
fn each_thing_that_goes_wrong_fails_a_verdict() {
    type Change = fn(&mut Record);
    let cases: [(&str, Option<bool>, Change); 9] = [
        ("budget", Some(false), |record| record.most_down = 2),
        ("recovery", Some(false), |record| {
            record.strikes[1].serving = None;
            record.end = End::NotRecovered("2 of 3 members serve".to_owned());
        }),
        ("recovery", None, |record| {
            record.strikes[1].serving = None;
            record.end = End::Interrupted;
        }),
        ("recovery", None, |record| record.strikes.clear()),
        ("acknowledged writes", Some(false), |record| {
            let lost = BTreeMap::from([("10.8.0.9".to_owned(), vec![4, 5])]);
            record.check = Check::Read { members: vec!["10.8.0.9".to_owned()], lost };
        }),
        ("acknowledged writes", None, |record| {
            record.check = Check::NotRead { why: "no member answers".to_owned() };
        }),
        ("acknowledged writes", Some(false), |record| record.writes.clear()),
        ("reads", Some(false), |record| record.reads[3].outcome = Outcome::Stale),
        ("reads", None, |record| record.reads.clear()),
    ];
    for (name, passed, change) in cases {
        let mut record = record();
        change(&mut record);
        let all = verdicts(&record);
        let found = all.iter().find(|verdict| verdict.name == name).unwrap();
        assert_eq!(found.passed, passed, "{found:?}");
        assert!(!record.held(), "{name}");
        assert_eq!(all.iter().filter(|verdict| verdict.passed != Some(true)).count(), 1, "{all:?}");
    }
}

#[test]
fn an_aborted_run_names_its_reason_and_nothing_in_it_is_markup() {
    let mut record = record();
    record.ensemble = "a<b>&\"c'\u{1}".to_owned();
    record.end = End::Aborted("2 < 3 & \"gone\"".to_owned());
    let xml = junit(&record);
    assert!(xml.contains("failures=\"1\""), "{xml}");
    assert!(xml.contains("2 &lt; 3 &amp; &quot;gone&quot;"), "{xml}");
    for document in [xml, picture::svg(&record)] {
        assert!(!document.contains("a<b") && !document.contains('\u{1}'), "{document}");
        assert!(document.contains("a&lt;b&gt;&amp;&quot;c&apos; "), "{document}");
    }
    assert!(text(&record).contains("aborted: 2 < 3"), "{}", text(&record));
}

#[test]
fn a_run_of_no_time_has_a_picture() {
    let mut record = record();
    (record.took, record.writes, record.reads) = (0, Vec::new(), Vec::new());
    record.members.clear();
    assert!(picture::svg(&record).ends_with("</svg>\n"));
}
