//! What the projects are like, set from outside and kept.

use crate::support::{Reply, send};
use serde_json::{Value, json};
use zkprov_sandbox::reality::{Change, Preset, Reality};
use zkprov_sandbox::server::{Clock, Options, Running, State, start};

const ADMIN: &str = "/_sandbox/reality";
const DISKS: &str = "/compute/v1/projects/p/zones/us-east1-d/disks";

async fn admin(sandbox: &Running, method: &str, body: &Value) -> Reply {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    send(&sandbox.compute, method, ADMIN, &body).await.expect("a response")
}

fn kept(path: &std::path::Path) -> Options {
    Options { state: State::Dir(path.to_owned()), ..Options::default() }
}

#[tokio::test]
async fn switches_are_read_put_and_patched() {
    let sandbox = start(Options::default()).await.unwrap();
    assert_eq!(admin(&sandbox, "GET", &Value::Null).await.json(), json!({ "like": "default", "on": {} }));
    let trial = admin(&sandbox, "PUT", &json!({ "like": "trial" })).await;
    assert_eq!((trial.status, &trial.json()["like"]), (200, &json!("trial")));
    let patch = json!({ "set": { "quota.SSD_TOTAL_GB": 300, "quota.CPUS": null } });
    let patched = admin(&sandbox, "PATCH", &patch).await.json();
    let on =
        json!({ "quota.SSD_TOTAL_GB": "300", "quota.IN_USE_ADDRESSES": "4", "quota.ZONAL_CLUSTERS": "100" });
    assert_eq!(patched, json!({ "on": on }));
    assert_eq!(admin(&sandbox, "GET", &Value::Null).await.json(), patched);
    let put = admin(&sandbox, "PUT", &json!({ "set": { "network.default": "absent" } })).await.json();
    assert_eq!(put, json!({ "on": { "network.default": "absent" } }), "what is put replaces all");
    let refused = admin(&sandbox, "PATCH", &json!({ "set": { "quota.GPUS": 1 } })).await;
    assert!(refused.status == 400 && refused.body.contains("is no switch"), "{}", refused.body);
    assert_eq!(admin(&sandbox, "GET", &Value::Null).await.json(), put, "and changes nothing");
}

#[tokio::test]
async fn later_servers_of_the_directory_find_the_switches_on() {
    let dir = tempfile::tempdir().unwrap();
    let reality = Change { like: Some(Preset::New), set: vec!["quota.SSD_TOTAL_GB=10".parse().unwrap()] };
    let first = start(Options { reality, ..kept(dir.path()) }).await.unwrap();
    let second = start(kept(dir.path())).await.unwrap();
    for sandbox in [&first, &second] {
        let on = sandbox.reality().unwrap().summary()["on"].clone();
        assert_eq!((&on["quota.SSD_TOTAL_GB"], &on["quota.CPUS"]), (&json!("10"), &json!("24")));
    }
    drop((first, second));
    let shown = zkprov_sandbox::show(dir.path()).unwrap();
    assert_eq!(shown["reality"]["on"]["quota.SSD_TOTAL_GB"], "10");
    // One more switch leaves the others as they are, and the plain world comes back by its name.
    let more = Change { like: None, set: vec!["role.file.editor=absent".parse().unwrap()] };
    let third = start(Options { reality: more, ..kept(dir.path()) }).await.unwrap();
    assert_eq!(third.reality().unwrap().summary()["on"]["quota.CPUS"], "24");
    let plain = Change { like: Some(Preset::Default), set: Vec::new() };
    let fourth = start(Options { reality: plain, ..kept(dir.path()) }).await.unwrap();
    assert_eq!(fourth.reality().unwrap(), Reality::default());
    assert_eq!(third.reality().unwrap(), Reality::default());
}

#[tokio::test]
async fn calls_are_counted_over_all_servers_of_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    // A clock that almost stands: all of this is in one minute.
    let clock = Clock::Paced { rate: 1e-6 };
    let limit = Change { like: None, set: vec!["rate.compute.perMinute=2".parse().unwrap()] };
    let first = start(Options { clock, reality: limit, ..kept(dir.path()) }).await.unwrap();
    let second = start(Options { clock, ..kept(dir.path()) }).await.unwrap();
    let mut statuses = Vec::new();
    for sandbox in [&first, &second, &first, &second] {
        statuses.push(send(&sandbox.compute, "GET", DISKS, "").await.unwrap().status);
    }
    assert_eq!(statuses, [200, 200, 403, 403]);
    let served = send(&first.compute, "POST", "/_sandbox/advance", r#"{"seconds":60}"#).await.unwrap();
    assert_eq!(served.status, 200);
    assert_eq!(send(&second.compute, "GET", DISKS, "").await.unwrap().status, 200);
}

#[tokio::test]
async fn on_an_instant_clock_whoever_tries_again_gets_through() {
    let limit = Change { like: None, set: vec!["rate.compute.perMinute=1".parse().unwrap()] };
    let sandbox = start(Options { reality: limit, ..Options::default() }).await.unwrap();
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let body = r#"{"name":"d","sizeGb":"10"}"#;
        statuses.push(send(&sandbox.compute, "POST", DISKS, body).await.unwrap().status);
        if statuses.ends_with(&[409]) {
            break;
        }
    }
    // The disk is made, the next call is refused until the minute is over, and then finds the disk.
    assert_eq!((statuses.first(), statuses.last()), (Some(&200), Some(&409)), "{statuses:?}");
    assert!(statuses.contains(&403), "{statuses:?}");
}
