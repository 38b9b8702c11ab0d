//! A new template replaces the pods: one at a time, in sync before the next one goes, the leader's last. Cut off at any call it
//! goes on, and an image that does not start costs one follower.

use crate::harness::{Lab, block_on, example, share, specs};
use crate::persistent::{all_have, name, objects, persistent, write};
use crate::rolls::{ELECTION, elections, forget_worst, names_the_cut};
use serde_json::Value;
use std::collections::BTreeSet;
use zkprov_plans::spec::ValidSpec;
use zkprov_sandbox::server::{Cut, Side};

/// Nobody has it.
const BROKEN: &str = "spec.exhibitor.image=example.invalid/missing:1";

/// The pods' templates differ by this alone.
fn grace(seconds: u32) -> ValidSpec {
    persistent(&[&format!("spec.exhibitor.terminationGrace={seconds}s")])
}

/// Members without volumes.
fn ephemeral(set: &[&str]) -> ValidSpec {
    specs(&example("tutorial"), &[&["spec.exhibitor.settings.check=1s"], set].concat()).remove(0)
}

fn grace_of_a_deployment(seconds: u32) -> ValidSpec {
    ephemeral(&[&format!("spec.exhibitor.terminationGrace={seconds}s")])
}

fn uids(lab: &Lab) -> BTreeSet<String> {
    objects(lab, "Pod")
        .iter()
        .filter(|pod| name(pod).contains("exhibitor"))
        .map(|pod| pod["metadata"]["uid"].to_string())
        .collect()
}

/// Who leads, by the name of the pod; members are known by that or by its address.
fn leader(lab: &Lab) -> String {
    let world = lab.running.world().unwrap();
    let leads = |pod: &Value| {
        let host = format!("{}.exhibitor-members.default.svc", name(pod));
        let address = pod["status"]["podIP"].as_str().unwrap_or_default();
        [host.as_str(), address].iter().any(|known| world.exhibitor.mode(known) == Some("leader"))
    };
    let pods = objects(lab, "Pod");
    let leader = pods.iter().find(|pod| leads(pod));
    leader.map(name).expect("somebody leads")
}

/// Names of the pods in the order in which they were made.
fn by_age(lab: &Lab) -> Vec<String> {
    let mut pods = objects(lab, "Pod");
    pods.retain(|pod| name(pod).contains("exhibitor"));
    pods.sort_by_key(|pod| {
        (pod["metadata"]["creationTimestamp"].to_string(), pod["status"]["startTime"].to_string())
    });
    pods.iter().map(name).collect()
}

fn costs_no_quorum(lab: &Lab, context: &str) {
    let world = lab.running.world().unwrap();
    let worst = world.exhibitor.worst(&share(&world));
    assert!(worst.up.is_none_or(|up| up.up >= up.quorum), "{context}: {worst:?}");
    assert!(worst.outage <= ELECTION, "{context}: {worst:?}");
}

#[test]
fn the_leaders_pod_goes_last_with_one_election() {
    block_on(async {
        let lab = Lab::start().await;
        lab.apply(&grace(60)).await.unwrap();
        write(&lab, "1");
        for seconds in [61, 62, 63] {
            let (before, pods, leads) = (elections(&lab), uids(&lab), leader(&lab));
            forget_worst(&lab);
            lab.apply(&grace(seconds)).await.unwrap();
            assert!(pods.is_disjoint(&uids(&lab)), "every pod is replaced");
            assert_eq!(by_age(&lab).last(), Some(&leads), "{:?}", by_age(&lab));
            assert_eq!(elections(&lab), before + 1);
            costs_no_quorum(&lab, &seconds.to_string());
            all_have(&lab, 3, "1");
            assert!(lab.plan(&grace(seconds)).await.is_empty());
        }
    });
}

/// Cuts the roll at every changing call out of so many, and runs again what `then` says.
async fn cut(first: usize, stride: usize, grace: fn(u32) -> ValidSpec, then: u32) {
    let lab = Lab::start().await;
    lab.apply(&grace(60)).await.unwrap();
    write(&lab, "1");
    let world = lab.running.world().unwrap();
    lab.running.set_cut(None);
    lab.apply(&grace(61)).await.unwrap();
    let calls = lab.running.mutation_count();
    // The template, the leader's restart and three deletions; the lock.
    assert!(calls >= 5, "{calls} calls");
    let mut resumed = 0;
    for at in (first..=calls).step_by(stride) {
        lab.running.restore(world.clone()).unwrap();
        forget_worst(&lab);
        lab.running.set_cut(Some(Cut { at, side: Side::After }));
        let died = lab.until_cut(lab.apply(&grace(61))).await.unwrap_or_default();
        lab.running.set_cut(None);
        let context = format!("cut {at} of {calls}, then {then}: {died}");
        let plan = lab.plan(&grace(then)).await;
        resumed += usize::from(names_the_cut(&plan.plan));
        if let Err(error) = lab.apply(&grace(then)).await {
            panic!("{context}: {error}");
        }
        // What goes on by itself while nobody runs, a Deployment's controller and Exhibitor's automatic management, promises nothing.
        if grace(then).exhibitor.storage.volume().is_some() {
            costs_no_quorum(&lab, &context);
        }
        all_have(&lab, 3, "1");
        let plan = lab.plan(&grace(then)).await;
        assert!(plan.is_empty(), "{context}: {}", plan.words());
    }
    assert!(then == 60 || resumed > 0, "no plan named the roll that was cut off");
}

#[test]
fn a_roll_of_pods_that_is_cut_goes_on() {
    block_on(cut(1, 2, grace, 61));
}

#[test]
fn a_roll_of_pods_that_is_cut_goes_back() {
    block_on(cut(2, 2, grace, 60));
}

#[test]
fn a_roll_of_a_deployments_pods_that_is_cut_goes_on() {
    block_on(cut(3, 5, grace_of_a_deployment, 61));
}

#[test]
fn a_roll_of_a_deployments_pods_that_is_cut_goes_back() {
    block_on(cut(4, 10, grace_of_a_deployment, 60));
}

#[test]
fn an_image_that_is_not_there_costs_one_follower_and_the_next_file_repairs_it() {
    block_on(async {
        let lab = Lab::start().await;
        for (good, bad) in [(persistent(&[]), persistent(&[BROKEN])), (ephemeral(&[]), ephemeral(&[BROKEN]))]
        {
            let lab = if good.exhibitor.storage.volume().is_some() { &lab } else { &Lab::start().await };
            lab.apply(&good).await.unwrap();
            write(lab, "1");
            let leads = leader(lab);
            let error = lab.apply(&bad).await.unwrap_err();
            assert!(error.contains("ImagePull"), "{error}");
            assert_eq!(leader(lab), leads);
            if let Err(error) = lab.apply(&good).await {
                panic!("back to the image that is there: {error}");
            }
            all_have(lab, 3, "1");
            let plan = lab.plan(&good).await;
            assert!(plan.is_empty(), "{}", plan.words());
        }
    });
}

#[test]
fn a_first_image_that_is_not_there_is_replaced_by_the_next_file() {
    block_on(async {
        let lab = Lab::start().await;
        let error = lab.apply(&persistent(&[BROKEN])).await.unwrap_err();
        assert!(error.contains("ImagePull"), "{error}");
        lab.apply(&persistent(&[])).await.unwrap();
        write(&lab, "1");
        all_have(&lab, 3, "1");
        assert!(lab.plan(&persistent(&[])).await.is_empty());
    });
}

#[test]
fn a_deployment_is_told_whose_pod_to_remove_last() {
    block_on(async {
        let lab = Lab::start().await;
        lab.apply(&ephemeral(&[])).await.unwrap();
        let pods = uids(&lab);
        let new = grace_of_a_deployment(61);
        lab.apply(&new).await.unwrap();
        assert!(pods.is_disjoint(&uids(&lab)), "every pod is replaced");
        let cost = "/metadata/annotations/controller.kubernetes.io~1pod-deletion-cost";
        let costs = objects(&lab, "Pod").into_iter().filter_map(|pod| {
            let cost = pod.pointer(cost)?.as_str()?.to_owned();
            Some((name(&pod), cost))
        });
        assert_eq!(costs.collect::<Vec<_>>(), [(leader(&lab), "100".to_owned())]);
        assert!(lab.plan(&new).await.is_empty());
    });
}
