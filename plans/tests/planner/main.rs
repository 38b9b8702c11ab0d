//! The planner on examples and on made-up live states: goldens, and the rules every plan keeps.

#![expect(clippy::disallowed_methods, reason = "a test reads files, starts programs and keeps time")]
#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage has failed")]

mod checker;
mod persistent;
mod saved;
mod scheduled;
mod states;
mod stuck;

use states::{
    everything, faults_of, golden, members, nothing, path, planned, predict, shown, targets, tutorial,
};
use zkprov_plans::diff;
use zkprov_plans::document::Desired;
use zkprov_plans::observed::{Gap, Observed, Ownership, Reading};
use zkprov_plans::plan::{Action, Call, Disruption, Gate, Mode, Plan, Reason, StepKind};
use zkprov_plans::resource::{KubeKind, ResourceKind};
use zkprov_plans::spec::ValidSpec;
use zkprov_plans::zookeeper::Zxid;

#[test]
fn a_first_plan_creates_everything_in_order() {
    let (spec, desired) = tutorial(&[]);
    let plan = planned(&spec, &desired, &nothing(&desired), Mode::Apply);
    golden("tutorial-create.txt", &shown(&spec, &plan));
    let created = plan.changes().filter(|(_, change)| change.action == Action::Create).count();
    assert_eq!(created, desired.documents.len());
    // The formation's quick checks are the one thing set back afterwards.
    let updated: Vec<_> = plan.changes().filter(|(_, change)| change.action != Action::Create).collect();
    assert!(
        matches!(updated.as_slice(), [(_, change)] if change.id.kind == ResourceKind::Ensemble),
        "{updated:#?}"
    );
}

#[test]
fn nothing_to_do_is_an_empty_plan() {
    let (spec, desired) = tutorial(&[]);
    let plan = planned(&spec, &desired, &everything(&desired, 3), Mode::Apply);
    assert!(plan.is_empty(), "{}", shown(&spec, &plan));
    assert_eq!(shown(&spec, &plan).lines().last(), Some("Plan: no changes."));
}

#[test]
fn growing_goes_one_voter_at_a_time_behind_quorum_gates() {
    let (_, three) = tutorial(&[]);
    let (spec, five) = tutorial(&["spec.exhibitor.replicas=5"]);
    let mut observed = everything(&three, 3);
    predict(&mut observed, &five);
    let plan = planned(&spec, &five, &observed, Mode::Apply);
    golden("tutorial-3-to-5.txt", &shown(&spec, &plan));
    assert_eq!(path(&plan), [(3, 4), (4, 5)]);
}

#[test]
fn shrinking_takes_the_leader_last_and_pods_after_their_votes() {
    let (_, five) = tutorial(&["spec.exhibitor.replicas=5"]);
    let (spec, three) = tutorial(&[]);
    let mut observed = everything(&five, 5);
    predict(&mut observed, &three);
    let plan = planned(&spec, &three, &observed, Mode::Apply);
    golden("tutorial-5-to-3.txt", &shown(&spec, &plan));
    assert_eq!(path(&plan), [(5, 4), (4, 3)]);
    let removed: Vec<String> = targets(&plan).iter().flat_map(|target| target.remove.clone()).collect();
    assert_eq!(removed, ["10.0.0.1", "10.0.0.3"], "the lowest ids, never the leader");
    let at = |kind: ResourceKind| {
        plan.changes().filter(|(_, c)| c.id.kind == kind).map(|(at, _)| at).max().unwrap()
    };
    assert!(at(ResourceKind::Ensemble) < at(ResourceKind::Kube(KubeKind::Deployment)));
}

/// The server's dry-runs of these documents stand beside what is live.
#[test]
fn nothing_is_proposed_for_what_cannot_be_read() {
    let (spec, desired) = tutorial(&[]);
    let gap = Gap {
        what: "Compute Engine API".to_owned(),
        why: "connection refused".to_owned(),
        hint: String::new(),
    };
    let mut observed = nothing(&desired);
    for reading in observed.resources.values_mut() {
        *reading = Reading::Unavailable(gap.clone());
    }
    observed.ensemble = Reading::Unavailable(gap);
    for mode in [Mode::Apply, Mode::Destroy { delete_data: true }, Mode::RefreshOnly] {
        let plan = planned(&spec, &desired, &observed, mode);
        assert!(plan.steps.is_empty() && !plan.gaps.is_empty());
    }
}

#[test]
fn a_missing_member_stops_every_other_change_of_the_ensemble() {
    let (_, three) = tutorial(&[]);
    let (spec, five) = tutorial(&["spec.exhibitor.replicas=5"]);
    let mut observed = everything(&three, 3);
    predict(&mut observed, &five);
    if let Reading::Known(state) = &mut observed.ensemble {
        state.members[0].zookeeper = None;
    }
    let plan = planned(&spec, &five, &observed, Mode::Apply);
    assert!(path(&plan).is_empty());
    assert!(plan.findings.iter().any(|finding| finding.fatal && finding.code == "member-missing"));
}

/// Restarts are switched off at these members, as their own `cluster/state` says and so the live document.
fn hold(observed: &mut Observed, ids: &[u32]) {
    let hosts: Vec<String> = ids.iter().map(|id| format!("10.0.0.{id}")).collect();
    for (id, reading) in &mut observed.resources {
        if let (ResourceKind::Ensemble, Reading::Known(live)) = (id.kind, reading) {
            live.document[diff::RESTARTS] = format!("off at {}", hosts.join(", ")).into();
        }
    }
    if let Reading::Known(state) = &mut observed.ensemble {
        state.held = hosts;
    }
}

#[test]
fn a_roll_that_was_cut_off_is_named_and_goes_on() {
    let (spec, desired) = tutorial(&[]);
    let mut observed = everything(&desired, 3);
    hold(&mut observed, &[1, 2]);
    let plan = planned(&spec, &desired, &observed, Mode::Apply);
    golden("tutorial-roll-interrupted.txt", &shown(&spec, &plan));
    let reasons: Vec<_> = plan.changes().map(|(_, change)| &change.reason).collect();
    let held = Reason::RollInterrupted(vec!["10.0.0.1".to_owned(), "10.0.0.2".to_owned()]);
    assert!(reasons.contains(&&held), "{reasons:?}");
    let drift = planned(&spec, &desired, &observed, Mode::RefreshOnly);
    assert!(drift.changes().any(|(_, change)| change.reason == held));

    // A member that the roll has left down is what it repairs.
    if let Reading::Known(state) = &mut observed.ensemble {
        state.members[0].zookeeper = None;
    }
    let plan = planned(&spec, &desired, &observed, Mode::Apply);
    assert!(!plan.findings.iter().any(|finding| finding.fatal), "{:?}", plan.findings);
    assert!(shown(&spec, &plan).contains("healthy 2 -> 2"), "{}", shown(&spec, &plan));
    // Another one is not.
    if let Reading::Known(state) = &mut observed.ensemble {
        state.members[2].zookeeper = None;
    }
    let plan = planned(&spec, &desired, &observed, Mode::Apply);
    assert!(plan.findings.iter().any(|finding| finding.fatal && finding.code == "member-missing"));
}

#[test]
fn a_roll_that_was_cut_off_is_rolled_back_by_the_file_and_ended_before_the_size_changes() {
    let (_, before) = tutorial(&[]);
    let mut observed = everything(&before, 3);
    hold(&mut observed, &[2]);
    let rolled = |plan: &Plan| -> Vec<bool> {
        let changes = plan.changes().map(|(_, change)| matches!(change.reason, Reason::RollInterrupted(_)));
        changes.collect()
    };
    let (spec, desired) = tutorial(&["spec.exhibitor.heap=300MiB"]);
    predict(&mut observed, &desired);
    let plan = planned(&spec, &desired, &observed, Mode::Apply);
    let both = plan.changes().any(|(_, change)| {
        let paths: Vec<String> = change.diff.iter().map(|field| field.path.to_string()).collect();
        paths == ["restarts", "settings.javaEnvironment"]
    });
    assert!(both && !rolled(&plan).contains(&true), "one roll does both: {}", shown(&spec, &plan));
    let (spec, desired) = tutorial(&["spec.exhibitor.replicas=5"]);
    predict(&mut observed, &desired);
    let plan = planned(&spec, &desired, &observed, Mode::Apply);
    let steps: Vec<&Reason> = plan.changes().map(|(_, change)| &change.reason).collect();
    let at = |wanted: fn(&Reason) -> bool| steps.iter().position(|reason| wanted(reason)).unwrap();
    let (ended, grown) = (
        at(|reason| matches!(reason, Reason::RollInterrupted(_))),
        at(|reason| matches!(reason, Reason::EnsembleStep { .. })),
    );
    assert!(ended < grown, "{steps:?}");
}

/// A plan from three members with these lines of `zoo.cfg` to the same with those.
fn relined(live: &[&str], wanted: &[&str]) -> (ValidSpec, Plan) {
    let sets = |lines: &[&str]| -> Vec<String> {
        lines.iter().map(|line| format!("spec.exhibitor.settings.zooCfg.{line}")).collect()
    };
    let of = |sets: &[String]| tutorial(&sets.iter().map(String::as_str).collect::<Vec<_>>());
    let (_, before) = of(&sets(live));
    let (spec, desired) = of(&sets(wanted));
    let mut observed = everything(&before, 3);
    predict(&mut observed, &desired);
    let plan = planned(&spec, &desired, &observed, Mode::Apply);
    (spec, plan)
}

/// Steps that restart members, by how many at a time.
fn restarts(plan: &Plan) -> Vec<Disruption> {
    let changes = plan.steps.iter().filter_map(|step| match &step.kind {
        StepKind::Change(change) => Some(change.disruption),
        StepKind::Gate(_) => None,
    });
    changes.filter(|disruption| *disruption != Disruption::None).collect()
}

#[test]
fn what_members_have_to_agree_on_restarts_all_at_once() {
    for (live, wanted) in [
        ("electionAlg=3", "electionAlg=1"),
        (r"quorum\.auth\.enableSasl=false", r"quorum\.auth\.enableSasl=true"),
        ("sslQuorum=false", "sslQuorum=true"),
    ] {
        let (spec, plan) = relined(&[live], &[wanted]);
        assert!(shown(&spec, &plan).contains("all members restart together"), "{}", shown(&spec, &plan));
        assert_eq!(restarts(&plan), [Disruption::All], "{wanted}");
    }
}

/// A key may have dots: what it restarts, and whether it is there, goes by the key and not by its text.
#[test]
fn any_other_line_of_zoo_cfg_restarts_one_member_after_the_other_and_is_no_difference_then() {
    for key in [
        "tickTime",
        r"autopurge\.purgeInterval",
        r"jute\.maxbuffer",
        r"fsync\.warningthresholdms",
        r"4lw\.commands\.whitelist",
    ] {
        let (three, four) = (format!("{key}=3000"), format!("{key}=4000"));
        let (three, four, another) = (three.as_str(), four.as_str(), r"snapshot\.trust\.empty=true");
        for (live, wanted) in [(&[][..], &[four][..]), (&[three], &[four]), (&[three], &[another, four])] {
            let (spec, plan) = relined(live, wanted);
            assert_eq!(
                restarts(&plan),
                [Disruption::OneByOne],
                "{live:?} {wanted:?}\n{}",
                shown(&spec, &plan)
            );
            assert!(plan.steps.iter().any(|step| matches!(step.kind, StepKind::Gate(Gate::Quorum { .. }))));
            let (spec, plan) = relined(wanted, wanted);
            assert!(plan.steps.is_empty(), "{}", shown(&spec, &plan));
        }
    }
}

#[test]
fn the_size_does_not_change_while_a_member_has_no_pod() {
    let (_, five) = tutorial(&["spec.exhibitor.replicas=5"]);
    let (spec, three) = tutorial(&[]);
    let mut observed = everything(&five, 5);
    predict(&mut observed, &three);
    if let Reading::Known(state) = &mut observed.ensemble {
        state.pods.remove(0);
        state.members[0].zookeeper = None;
    }
    let mut plan = planned(&spec, &three, &observed, Mode::Apply);
    assert!(plan.waits_for_members() && path(&plan).is_empty());
    plan.findings.clear();
    let faults = faults_of(&spec, &three, &observed, &plan);
    assert!(faults.contains(&"pods-before-votes"), "the pods alone must not go: {faults:?}");
}

#[test]
fn an_ensemble_that_exhibitor_still_fills_up_is_waited_for() {
    let (spec, desired) = tutorial(&[]);
    let mut observed = everything(&desired, 2);
    for (size, stopped) in [("2", true), ("3", false)] {
        if let Reading::Known(state) = &mut observed.ensemble {
            // Both restart: a newcomer was entered a moment ago.
            state.members.iter_mut().for_each(|member| member.zookeeper = None);
            state.config = Some(serde_json::json!({"autoManageInstancesFixedEnsembleSize": size}));
        }
        let plan = planned(&spec, &desired, &observed, Mode::Apply);
        assert_eq!(plan.findings.iter().any(|finding| finding.code == "no-quorum"), stopped);
        assert_eq!(path(&plan), if stopped { vec![] } else { vec![(2, 3)] });
    }
}

#[test]
fn a_disk_never_shrinks_and_data_is_never_replaced_unasked() {
    let (_, big) = tutorial(&["spec.fileServer.singleNode.disk.size=200GB"]);
    let (spec, small) = tutorial(&[]);
    let mut observed = everything(&big, 3);
    predict(&mut observed, &small);
    let plan = planned(&spec, &small, &observed, Mode::Apply);
    assert!(plan.findings.iter().any(|finding| finding.fatal), "{:#?}", plan.findings);
    let mut observed = everything(&small, 3);
    predict(&mut observed, &big);
    let grown = planned(&spec, &big, &observed, Mode::Apply);
    let calls: Vec<&Call> = grown.changes().flat_map(|(_, change)| &change.calls).collect();
    assert_eq!(calls, [&Call::ResizeDisk]);
}

#[test]
fn what_is_not_ours_is_never_touched() {
    let (spec, desired) = tutorial(&[]);
    for ownership in [Ownership::Foreign, Ownership::Other("another".to_owned())] {
        let mut observed = everything(&desired, 3);
        for reading in observed.resources.values_mut() {
            if let Reading::Known(live) = reading {
                live.ownership = ownership.clone();
            }
        }
        for mode in [Mode::Apply, Mode::Destroy { delete_data: true }] {
            let plan = planned(&spec, &desired, &observed, mode);
            let touched: Vec<_> =
                plan.changes().filter(|(_, change)| change.id.kind != ResourceKind::Ensemble).collect();
            assert!(touched.is_empty(), "{touched:#?}");
        }
    }
}

#[test]
fn destroy_goes_backwards_and_keeps_the_data_disk() {
    let (spec, desired) = tutorial(&[]);
    let observed = everything(&desired, 3);
    let plan = planned(&spec, &desired, &observed, Mode::Destroy { delete_data: false });
    golden("tutorial-destroy.txt", &shown(&spec, &plan));
    assert!(plan.changes().all(|(_, change)| change.id.kind != ResourceKind::Disk));
    assert!(plan.kept.iter().any(|change| change.id.kind == ResourceKind::Disk));
    let all = planned(&spec, &desired, &observed, Mode::Destroy { delete_data: true });
    assert!(all.changes().any(|(_, change)| change.id.kind == ResourceKind::Disk));
}

#[test]
fn a_stopped_file_server_is_started() {
    let (spec, desired) = tutorial(&[]);
    let mut observed = everything(&desired, 3);
    for (id, reading) in &mut observed.resources {
        if let (ResourceKind::Instance, Reading::Known(live)) = (id.kind, reading) {
            live.document["status"] = "TERMINATED".into();
        }
    }
    let plan = planned(&spec, &desired, &observed, Mode::Apply);
    let calls: Vec<&Call> = plan.changes().flat_map(|(_, change)| &change.calls).collect();
    assert_eq!(calls, [&Call::StartInstance]);
}

#[test]
fn drift_is_shown_without_steps_to_take() {
    let (spec, desired) = tutorial(&[]);
    let mut observed = everything(&desired, 3);
    for (id, reading) in &mut observed.resources {
        if let (ResourceKind::Kube(KubeKind::Deployment), Reading::Known(live)) = (id.kind, reading) {
            live.document["spec"]["replicas"] = 5.into();
        }
    }
    let plan = planned(&spec, &desired, &observed, Mode::RefreshOnly);
    assert!(shown(&spec, &plan).contains("spec.replicas: 5 -> 3"), "{}", shown(&spec, &plan));
    assert!(plan.steps.iter().all(|step| step.after.is_empty() && matches!(step.kind, StepKind::Change(_))));
}

#[test]
fn protection_refuses_destroy() {
    let (spec, desired) = tutorial(&["spec.protection.destroy=true"]);
    let plan = planned(&spec, &desired, &everything(&desired, 3), Mode::Destroy { delete_data: false });
    assert!(plan.findings.iter().any(|finding| finding.fatal && finding.code == "protected"));
}

#[test]
fn planning_twice_gives_equal_bytes_and_order_of_input_does_not_matter() {
    let (spec, desired) = tutorial(&[]);
    let mut turned = desired.clone();
    turned.documents.reverse();
    let bytes = |desired: &Desired| {
        let mut plan = planned(&spec, desired, &nothing(desired), Mode::Apply);
        plan.desired = Desired::default();
        serde_json::to_string(&plan).unwrap()
    };
    assert_eq!(bytes(&desired), bytes(&desired));
    assert_eq!(bytes(&desired), bytes(&turned));
}

#[test]
fn every_step_says_what_it_rests_on() {
    let (spec, desired) = tutorial(&[]);
    let observed = everything(&desired, 3);
    for document in &desired.documents {
        let Some(Reading::Known(live)) = observed.resources.get(&document.id) else { panic!() };
        let one = diff::fingerprint(&document.id, &document.body, live);
        assert_eq!(one, diff::fingerprint(&document.id, &document.body, live));
    }
    let plan = planned(&spec, &desired, &nothing(&desired), Mode::Apply);
    assert!(plan.steps.iter().all(|step| match &step.kind {
        StepKind::Change(change) => !change.calls.is_empty() || change.via.is_some(),
        StepKind::Gate(_) => true,
    }));
}

#[test]
fn who_holds_the_data_forms_the_ensemble_before_an_empty_pod_joins() {
    let (spec, desired) = tutorial(&[]);
    for (holders, steps) in [(3, vec![]), (2, vec![(2, 3)]), (1, vec![(1, 2), (2, 3)])] {
        let mut observed = everything(&desired, 3);
        let mut state = members(3);
        state.servers.clear();
        for (at, member) in state.members.iter_mut().enumerate() {
            member.id = None;
            let srvr = member.zookeeper.as_mut().unwrap();
            srvr.mode = zkprov_plans::observed::Mode::Standalone;
            // The pods listed last hold it: the order of pods must not decide.
            srvr.zxid = Zxid(if at >= 3 - holders { 0x5_0000_0011 } else { 7 });
        }
        let ensemble = desired.documents.iter().find(|one| one.id.kind == ResourceKind::Ensemble).unwrap();
        observed.resources.insert(ensemble.id.clone(), Reading::Absent);
        assert_eq!(zkprov_plans::quorum::candidates(&state)[0], format!("10.0.0.{}", 4 - holders));
        observed.ensemble = Reading::Known(state);
        let plan = planned(&spec, &desired, &observed, Mode::Apply);
        let reasons: Vec<_> = plan.changes().map(|(_, change)| &change.reason).collect();
        assert!(
            matches!(reasons[0], Reason::ConfigurationLost(hosts) if hosts.len() == holders),
            "{reasons:#?}"
        );
        assert_eq!(targets(&plan)[0].voters as usize, holders);
        assert_eq!(path(&plan), steps);
    }
}
