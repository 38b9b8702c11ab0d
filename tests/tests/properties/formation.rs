//! A formation that is cut off between the pods' start and its one write, and taken up whatever Exhibitor's own automatic
//! management has made of the pods in the meantime.

use crate::harness::{Lab, block_on, example, specs};
use std::time::Duration;
use zkprov_sandbox::faults::{Effect, Rule, When};

/// Seconds between the cut and the next run. Automatic management enters the first pod after one to two minutes, one more
/// each such period, and restarts all members each time.
const PAUSES: [u64; 8] = [0, 75, 105, 120, 135, 165, 210, 300];

fn refuse_config_set() -> Rule {
    let body = Some(r#"{"kind":"Status","status":"Failure","reason":"Forbidden","code":403}"#.to_owned());
    Rule {
        service: Some("kubernetes".to_owned()),
        method: Some("POST".to_owned()),
        path: Some("*config/set".to_owned()),
        when: When::Always,
        effect: Effect::Status { code: 403, body },
    }
}

async fn taken_up() {
    let spec = specs(&example("tutorial"), &[]).remove(0);
    let lab = Lab::start().await;
    lab.running.faults(|faults| faults.push(refuse_config_set()));
    let error = lab.apply(&spec).await.unwrap_err();
    assert!(error.contains("config/set"), "{error}");
    lab.running.faults(|faults| faults.clear());
    let cut = lab.running.world().unwrap();
    let mut failures = Vec::new();
    for seconds in PAUSES {
        lab.running.restore(cut.clone()).unwrap();
        lab.running.advance(Duration::from_secs(seconds)).unwrap();
        if let Err(error) = lab.apply(&spec).await {
            failures.push(format!("{seconds} s after the cut: {error}"));
            continue;
        }
        let again = lab.plan(&spec).await;
        if !again.is_empty() {
            failures.push(format!("{seconds} s after the cut it is not settled:\n{}", again.words()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn a_formation_cut_off_is_taken_up_whatever_exhibitor_made_of_it() {
    block_on(taken_up());
}
