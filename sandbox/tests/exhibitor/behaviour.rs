//! What an ensemble does by itself and when things break.

use crate::support::{Lab, SHARE, START, address, body, request, spec};
use serde_json::{Value, json};
use zkprov_emulator_common::table::Tables;

/// Three members at the image's own periods, serving.
fn at_image_periods(members: usize) -> Lab {
    let mut lab = Lab::new(u32::try_from(members).expect("few"), &[]);
    for number in 1..=members {
        lab.start(number);
    }
    lab.await_port(members);
    lab.form(members, &[]);
    lab.until(120_000, |lab| lab.shares.healthy_voters(SHARE) == members);
    lab.advance(60_000);
    lab
}

/// Sizes that three pods declare, one after the other, when nobody forms an ensemble for them.
fn left_alone(size: u32, seed: u64) -> (Lab, Vec<usize>) {
    let mut lab = Lab::seeded(seed, size, &[]);
    for number in 1..=3 {
        lab.start(number);
    }
    lab.advance(900_000);
    let sizes = lab.shares.declared_history(SHARE).iter().map(|(_, size)| *size).collect();
    (lab, sizes)
}

#[test]
fn left_alone_with_a_fixed_size_pods_form_an_ensemble_in_minutes() {
    for seed in 0..10 {
        let (lab, sizes) = left_alone(3, seed);
        assert_eq!(sizes, [0, 1, 2, 3], "a fixed size only grows");
        assert_eq!(lab.shares.healthy_voters(SHARE), 3);
        let took = lab.shares.declared_history(SHARE)[3].0 - START;
        assert!((100_000..=480_000).contains(&took), "{took} ms");
    }
}

#[test]
fn left_alone_without_a_fixed_size_members_come_and_go() {
    let regressed =
        (0..10).filter(|seed| left_alone(0, *seed).1.windows(2).any(|pair| pair[1] < pair[0])).count();
    assert!(regressed > 0, "a member seen down once is removed by whoever looks");
}

#[test]
fn an_outsider_serves_alone_and_takes_writes() {
    let mut lab = Lab::new(3, &[]);
    lab.start(1);
    lab.advance(60_000);
    assert_eq!(lab.modes(1), [Some("standalone")]);
    assert!(!lab.shares.ready(&address(1), None, false) && lab.shares.ready(&address(1), None, true));
    lab.shares.write(&address(1), "/customer/a", b"1").unwrap();
    assert_eq!(lab.shares.read(&address(1), "/customer/a").unwrap().data, b"1");
    assert_eq!(lab.shares.healthy_voters(SHARE), 0, "it is in no declared ensemble");
}

#[test]
fn a_write_reaches_every_member_and_survives_the_leader() {
    let mut lab = Lab::serving(3);
    let leader = lab.leader(3);
    let follower = if leader == 1 { 2 } else { 1 };
    let zxid = lab.shares.write(&address(follower), "/keep", b"v1").unwrap();
    assert!(
        (1..=3)
            .all(|number| lab.shares.read(&address(number), "/keep").is_some_and(|node| node.mzxid == zxid))
    );
    lab.shares.kill_zookeeper(&address(leader));
    assert!(lab.shares.write(&address(follower), "/keep", b"v2").is_err(), "no leader yet");
    let gap = lab.until(10_000, |lab| lab.shares.healthy_voters(SHARE) == 2);
    assert!((1_000..=3_400).contains(&gap), "{gap} ms without a leader");
    let later = lab.shares.write(&address(follower), "/keep", b"v3").unwrap();
    assert!(later >> 32 > zxid >> 32, "a new epoch");
    let back = lab.until(20_000, |lab| lab.shares.healthy_voters(SHARE) == 3);
    assert!(back < 8_000, "{back} ms");
    assert_eq!(lab.shares.read(&address(leader), "/keep").unwrap().data, b"v3");
}

#[test]
fn one_lost_follower_costs_nothing_two_cost_the_quorum() {
    let mut lab = Lab::serving(3);
    lab.shares.forget_worst(SHARE);
    let leader = lab.leader(3);
    let others: Vec<usize> = (1..=3).filter(|number| *number != leader).collect();
    lab.stop(others[0]);
    assert_eq!((lab.shares.healthy_voters(SHARE), lab.shares.quorum(SHARE)), (2, 2));
    lab.stop(others[1]);
    assert_eq!(lab.shares.healthy_voters(SHARE), 0);
    assert_eq!(lab.shares.worst(SHARE).healthy.map(|health| health.healthy), Some(0));
    lab.advance(120_000);
    assert_eq!(lab.get(leader, "/exhibitor/v1/cluster/4ltr/ruok"), "imok", "as truthful as it ever is");
    assert!(!lab.shares.ready(&address(leader), None, true));
}

#[test]
fn a_replaced_pod_takes_the_lost_ones_place_and_gets_the_data() {
    let mut lab = at_image_periods(3);
    lab.shares.write(&address(1), "/keep", b"v").unwrap();
    let leader = lab.leader(3);
    lab.stop(leader);
    lab.start(4);
    let quorum = lab.until(60_000, |lab| lab.shares.healthy_voters(SHARE) == 2);
    assert!(
        (30_000..=48_000).contains(&quorum),
        "{quorum} ms: the election waits for an address that is gone"
    );
    lab.until(300_000, |lab| lab.shares.mode(&address(4)) == Some("follower"));
    lab.advance(120_000);
    assert_eq!(lab.shares.healthy_voters(SHARE), 3);
    assert_eq!(lab.shares.read(&address(4), "/keep").unwrap().data, b"v");
    let list = lab.get(4, "/exhibitor/v1/cluster/list")["servers"].clone();
    assert!(!list.as_array().unwrap().contains(&json!(address(leader))), "{list}");
}

/// The first look of automatic management takes the loss for a change; only at its second have the statuses settled.
#[test]
fn with_a_settling_period_a_newcomer_is_taken_in_at_its_second_look() {
    for seed in 1..=5 {
        let mut lab = Lab::seeded(seed, 3, &[("EXHIBITOR_CONFIG_CHECK_MS", "1000")]);
        for number in 1..=3 {
            lab.start(number);
        }
        lab.await_port(3);
        lab.form(3, &[("autoManageInstancesSettlingPeriodMs", json!("5000")), ("checkMs", json!("1000"))]);
        lab.until(60_000, |lab| lab.shares.healthy_voters(SHARE) == 3);
        lab.stop(3);
        lab.start(4);
        // One to two minutes between looks.
        let took = lab.until(270_000, |lab| lab.shares.healthy_voters(SHARE) == 3);
        assert!(took > 120_000, "seed {seed}: {took} ms");
    }
}

#[test]
fn all_pods_gone_is_all_data_gone() {
    let mut lab = at_image_periods(3);
    lab.shares.write(&address(1), "/keep", b"v").unwrap();
    for number in 1..=3 {
        lab.stop(number);
    }
    for number in 4..=6 {
        lab.start(number);
    }
    let took = lab.until(900_000, |lab| lab.shares.healthy_voters(SHARE) == 3);
    assert!((120_000..=600_000).contains(&took), "{took} ms");
    assert!(lab.shares.read(&address(4), "/keep").is_none());
}

#[test]
fn a_spare_pod_joins_only_when_it_is_listed() {
    let mut lab = Lab::serving(3);
    lab.start(4);
    lab.start(5);
    lab.advance(300_000);
    assert_eq!(lab.shares.declared_size(SHARE), 3);
    assert_eq!(lab.get(4, "/exhibitor/v1/cluster/state")["description"], "down");
    let began = lab.now;
    lab.form(5, &[]);
    lab.until(60_000, |lab| lab.shares.healthy_voters(SHARE) == 5);
    assert!(lab.now - began < 27_700, "{} ms", lab.now - began);
}

#[test]
fn a_rolling_change_keeps_the_quorum() {
    let mut lab = Lab::serving(3);
    let zoo = json!({ "tickTime": "2000", "initLimit": "10", "syncLimit": "5", "snapCount": "5000" });
    let settings = lab.settings(1, &[("zooCfgExtra", zoo)]);
    lab.shares.forget_worst(SHARE);
    let answer = lab.post(1, "/exhibitor/v1/config/set-rolling", &settings);
    assert_eq!(answer["succeeded"], true);
    let mut seen = Vec::new();
    for _ in 0..60 {
        let config = lab.get(1, "/exhibitor/v1/config/get-state")["config"].clone();
        if seen.last() != Some(&config["rollPercentDone"]) {
            seen.push(config["rollPercentDone"].clone());
        }
        lab.advance(1_000);
    }
    assert_eq!(seen, [json!(1), json!(33), json!(66), json!(0)]);
    assert_eq!(lab.get(1, "/exhibitor/v1/config/get-state")["config"]["zooCfgExtra"]["snapCount"], "5000");
    assert_eq!(lab.shares.healthy_voters(SHARE), 3);
}

#[test]
fn a_rolling_change_of_live_keys_hangs_until_it_is_rolled_back() {
    let mut lab = Lab::serving(3);
    let settings = lab.settings(1, &[("cleanupMaxFiles", json!("17"))]);
    lab.post(1, "/exhibitor/v1/config/set-rolling", &settings);
    lab.advance(3_600_000);
    let state = |lab: &mut Lab| lab.get(1, "/exhibitor/v1/config/get-state")["config"].clone();
    assert_eq!(state(&mut lab)["rollPercentDone"], 1);
    let busy = lab.post(2, "/exhibitor/v1/config/set", &settings);
    assert_eq!(busy["succeeded"], false);
    lab.get(1, "/exhibitor/v1/config/rollback-rolling");
    assert_eq!(state(&mut lab)["rollInProgress"], false);
    assert_eq!(state(&mut lab)["cleanupMaxFiles"], 20);
}

#[test]
fn numbers_are_read_from_strings_only_by_1_5_5() {
    for (version, port) in [("1.5.5", 0), ("1.5.6", 2181)] {
        let mut lab = Lab::new(1, &[("EXHIBITOR_VERSION", version)]);
        lab.start(1);
        lab.await_port(1);
        let numbers = lab.get(1, "/exhibitor/v1/config/get-state")["config"].clone();
        lab.post(1, "/exhibitor/v1/config/set", &numbers);
        assert_eq!(lab.get(1, "/exhibitor/v1/config/get-state")["config"]["clientPort"], port, "{version}");
    }
}

#[test]
fn of_two_changes_at_once_one_is_refused() {
    let mut lab = Lab::serving(3);
    let settings = lab.settings(1, &[("backupPeriodMs", json!("1"))]).to_string();
    let post = request("POST", "/exhibitor/v1/config/set", settings.as_bytes());
    let answers = lab.send_together(&[(1, post.clone()), (2, post)]);
    let succeeded: Vec<Value> = answers.iter().map(|answer| body(answer)["succeeded"].clone()).collect();
    assert_eq!(succeeded.iter().filter(|succeeded| **succeeded == json!(true)).count(), 1, "{succeeded:?}");
    assert_eq!(lab.shares.locks(SHARE), Vec::<&str>::new());
}

#[test]
fn a_damaged_file_takes_the_ensemble_apart() {
    for damage in ["empty", "cut", "delete"] {
        let mut lab = Lab::serving(3);
        let good = lab.shares.properties(SHARE).unwrap().to_owned();
        match damage {
            "empty" => lab.shares.empty_file(SHARE),
            "cut" => lab.shares.cut_file(SHARE),
            _ => lab.shares.delete_file(SHARE),
        }
        lab.until(30_000, |lab| lab.modes(3).iter().filter(|mode| **mode == Some("standalone")).count() >= 2);
        assert_eq!(lab.get(1, "/exhibitor/v1/cluster/status"), json!([]), "{damage}");
        lab.shares.restore_file(SHARE, &good);
        lab.until(60_000, |lab| lab.shares.healthy_voters(SHARE) == 3);
    }
}

#[test]
fn a_zookeeper_that_hangs_is_restarted() {
    let mut lab = Lab::serving(3);
    let leader = lab.leader(3);
    lab.shares.hang(&address(leader));
    assert!(!lab.shares.ready(&address(leader), None, true));
    lab.until(20_000, |lab| lab.shares.healthy_voters(SHARE) == 2);
    lab.until(60_000, |lab| lab.shares.healthy_voters(SHARE) == 3);
}

#[test]
fn years_of_nothing_cost_nothing() {
    let mut lab = Lab::serving(5);
    lab.advance(600_000);
    assert_eq!(lab.shares.next_event(), None, "nothing is left to happen");
    let before = lab.shares.clone();
    // Gone through period by period these would take hours of ours.
    lab.advance(100 * 365 * 24 * 3_600_000);
    assert_eq!(lab.shares.healthy_voters(SHARE), 5);
    assert_ne!(before, lab.shares, "its periods went on");
}

/// What is stored of the share, whatever its clocks show.
fn stored(lab: &mut Lab) -> String {
    let share = lab.shares.get_mut(SHARE).expect("the share");
    share.clocks().into_iter().for_each(|clock| *clock = 0);
    serde_json::to_string(share).expect("JSON")
}

#[test]
fn a_look_between_two_events_changes_nothing() {
    let looks = ["config/get-state", "cluster/state", "cluster/status", "cluster/4ltr/srvr"];
    let mut lab = Lab::fast(3);
    (1..=3).for_each(|number| lab.start(number));
    lab.await_port(3);
    lab.form(3, &[]);
    let mut quiet = 0;
    for round in 0..400_u32 {
        match round {
            100 => lab.shares.kill_zookeeper(&address(1)),
            200 => lab.shares.hang(&address(2)),
            300 => lab.stop(3),
            _ => {}
        }
        if let Some(next) = lab.shares.next_event() {
            lab.advance(next.saturating_sub(lab.now).min(700));
        }
        if lab.shares.next_event().is_some_and(|next| next <= lab.now + 1_500) {
            continue;
        }
        let before = stored(&mut lab.clone());
        lab.advance(1_500);
        let at = lab.now;
        for look in looks {
            let _ = lab.try_send(1, &request("GET", &format!("/exhibitor/v1/{look}"), b""));
        }
        // A member that does not answer holds up the answer about it, and time goes by.
        if lab.now == at {
            quiet += 1;
            assert_eq!(stored(&mut lab.clone()), before, "round {round}");
        }
    }
    assert!(quiet > 50, "only {quiet} quiet moments");
}

#[test]
fn the_state_survives_serialising_at_any_time() {
    let mut lab = Lab::fast(3);
    for number in 1..=3 {
        lab.start(number);
    }
    lab.await_port(3);
    lab.form(3, &[]);
    let mut copy = serde_json::from_str(&serde_json::to_string(&lab.shares).unwrap()).unwrap();
    assert_eq!(lab.shares, copy);
    for _ in 0..60 {
        lab.advance(1_000);
        copy.advance(lab.now, &mut lab.ids);
    }
    assert_eq!(lab.shares, copy);
}

#[test]
fn the_log_is_a_string_newest_first_and_nested_from_afar() {
    let mut lab = Lab::serving(3);
    let log = lab.get(1, "/exhibitor/v1/cluster/log");
    let lines: Vec<&str> = log.as_str().unwrap().lines().collect();
    assert!(lines[0].ends_with("\tINFO\tState: serving"), "{}", lines[0]);
    assert!(lines.iter().all(|line| line.split('\t').count() == 3));
    let afar = lab.get(2, "/exhibitor/v1/cluster/log/198.18.0.11");
    assert_eq!(serde_json::from_str::<Value>(afar["response"].as_str().unwrap()).unwrap(), log);
}

#[test]
fn a_list_of_one_in_itself_is_a_stand_alone_ensemble() {
    let mut lab = Lab::serving(1);
    assert_eq!(lab.modes(1), [Some("standalone")]);
    assert_eq!(
        lab.shares.health(SHARE).map(|health| (health.declared, health.quorum, health.healthy)),
        Some((1, 1, 1))
    );
    assert_eq!(lab.get(1, "/exhibitor/v1/cluster/list")["servers"], json!([address(1)]));
    assert!(
        lab.shares
            .properties(SHARE)
            .unwrap()
            .contains(&format!("servers-spec={}", spec(1).replace(':', "\\:")))
    );
}
