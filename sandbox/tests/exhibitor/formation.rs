//! How an ensemble comes to be: by one `config/set`, and by automatic management.

use crate::support::{Lab, SHARE, START, address};
use serde_json::json;

fn started(seed: u64, members: usize) -> Lab {
    let mut lab = Lab::seeded(seed, 3, &[]);
    for number in 1..=members {
        lab.start(number);
    }
    lab
}

#[test]
fn the_port_answers_after_the_jvms_start() {
    let mut lab = started(7, 1);
    assert!(!lab.shares.answers(&address(1), lab.now));
    lab.await_port(1);
    assert!((4_000..=6_000).contains(&(lab.now - START)), "{}", lab.now - START);
    assert_eq!(lab.get(1, "/exhibitor/v1/cluster/state")["description"], "latent");
    assert_eq!(lab.get(1, "/exhibitor/v1/cluster/status"), json!([]));
}

/// How long one `config/set` takes to form an ensemble of three at the image's periods, from the ports answering, ms.
fn formation(seed: u64, check_ms: &str) -> u64 {
    let mut lab = started(seed, 3);
    lab.await_port(3);
    let answered = lab.now;
    lab.form(3, &[("checkMs", json!(check_ms))]);
    assert!(lab.now - answered >= 5_100, "the lock takes its time");
    lab.until(120_000, |lab| lab.shares.healthy_voters(SHARE) == 3);
    let took = lab.now - answered;
    lab.advance(60_000);
    let status = lab.status(2);
    assert!(status.iter().all(|(code, _)| *code == 3), "{status:?}");
    assert_eq!(status.iter().filter(|(_, leader)| *leader).count(), 1);
    assert_eq!(lab.modes(3).iter().filter(|mode| **mode == Some("follower")).count(), 2);
    took
}

#[test]
fn one_set_with_short_looks_forms_the_ensemble_within_forty_seconds() {
    for seed in 0..20 {
        let took = formation(seed, "1000");
        assert!((30_000..=40_000).contains(&took), "{took} ms with seed {seed}");
    }
}

#[test]
fn one_set_that_keeps_the_images_looks_takes_one_period_longer() {
    for seed in 0..5 {
        let took = formation(seed, "30000");
        assert!((58_000..=70_000).contains(&took), "{took} ms with seed {seed}");
    }
}

#[test]
fn one_set_forms_the_ensemble_in_seconds_at_short_periods() {
    let mut lab = Lab::fast(3);
    for number in 1..=3 {
        lab.start(number);
    }
    lab.await_port(3);
    lab.form(3, &[]);
    lab.until(60_000, |lab| lab.shares.healthy_voters(SHARE) == 3);
    let took = lab.now - START;
    assert!((13_000..=28_000).contains(&took), "{took} ms from the containers' start");
}
