//! How an ensemble comes to be: by one `config/set`, and by automatic management.

use crate::support::{Lab, SHARE, START, address};
use serde_json::json;

fn started(members: usize, size: u32) -> Lab {
    let mut lab = Lab::new(size, &[]);
    for number in 1..=members {
        lab.start(number);
    }
    lab
}

#[test]
fn the_port_answers_after_the_jvms_start() {
    let mut lab = started(1, 3);
    assert!(!lab.shares.answers(&address(1), lab.now));
    lab.await_port(1);
    assert!((8_000..=10_000).contains(&(lab.now - START)), "{}", lab.now - START);
    assert_eq!(lab.get(1, "/exhibitor/v1/cluster/state")["description"], "latent");
    assert_eq!(lab.get(1, "/exhibitor/v1/cluster/status"), json!([]));
}

#[test]
fn one_set_forms_the_ensemble_at_the_images_periods() {
    let mut lab = started(3, 3);
    lab.await_port(3);
    let answered = lab.now;
    lab.form(3, &[("checkMs", json!("1000"))]);
    assert!(lab.now - answered >= 5_100, "the lock takes its time");
    lab.until(60_000, |lab| lab.shares.healthy_voters(SHARE) == 3);
    let took = lab.now - answered;
    assert!(took <= 40_000, "{took} ms from the ports answering");
    lab.advance(5_000);
    let status = lab.status(2);
    assert!(status.iter().all(|(code, _)| *code == 3), "{status:?}");
    assert_eq!(status.iter().filter(|(_, leader)| *leader).count(), 1);
    assert_eq!(lab.modes(3).iter().filter(|mode| **mode == Some("follower")).count(), 2);
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
