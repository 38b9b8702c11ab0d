//! Plans for members with volumes, and for the move to them.

use crate::states::{
    everything, golden, nothing, path, planned, predict, rendered, shown, targets, tutorial,
};
use zkprov_plans::diff;
use zkprov_plans::document::Desired;
use zkprov_plans::observed::{Observed, Reading};
use zkprov_plans::plan::{Action, Call, Change, Gate, Mode, Plan, Reason, Step, StepKind};
use zkprov_plans::resource::{KubeKind, ResourceKind};
use zkprov_plans::spec::ValidSpec;
use zkprov_plans::zookeeper::Zxid;

const EXAMPLE: &str = include_str!("../../../examples/persistent/zkprov.yaml");
const CLAIM: ResourceKind = ResourceKind::Kube(KubeKind::PersistentVolumeClaim);

fn persistent(set: &[&str]) -> (ValidSpec, Desired) {
    rendered(EXAMPLE, set)
}

/// The same file from before there were volumes.
fn ephemeral() -> Desired {
    rendered(EXAMPLE.split("    storage:").next().unwrap(), &[]).1
}

fn host(ordinal: u32) -> String {
    format!("exhibitor-{ordinal}.exhibitor-members.default.svc")
}

/// Members known by name in place of addresses: `10.0.0.1` is number 0.
fn name_members(observed: &mut Observed, addresses: &[&str]) {
    let Reading::Known(state) = &mut observed.ensemble else { panic!("no members") };
    let ordinal = |address: &str| address.rsplit('.').next().unwrap().parse::<u32>().unwrap() - 1;
    for address in addresses {
        let name = host(ordinal(address));
        for pod in state.pods.iter_mut().filter(|pod| pod.ip.as_deref() == Some(*address)) {
            pod.host = Some(name.clone());
        }
        for server in state.servers.iter_mut().filter(|server| server.hostname == *address) {
            server.hostname.clone_from(&name);
        }
        for member in state.members.iter_mut().filter(|member| member.hostname == *address) {
            member.hostname.clone_from(&name);
        }
    }
}

/// A world that is as the old file says, seen by one who plans the new one.
fn seen(old: &Desired, new: &Desired, voters: u32) -> Observed {
    let mut observed = everything(old, voters);
    predict(&mut observed, new);
    for document in &new.documents {
        observed.resources.entry(document.id.clone()).or_insert(Reading::Absent);
    }
    observed
}

fn changed(plan: &Plan, kind: ResourceKind, action: Action) -> Vec<String> {
    let of_kind = plan.changes().filter(|(_, change)| change.id.kind == kind && change.action == action);
    of_kind.map(|(_, change)| change.id.name.clone()).collect()
}

#[test]
fn a_first_plan_makes_a_claim_for_each_member_before_its_pod() {
    let (spec, desired) = persistent(&[]);
    let plan = planned(&spec, &desired, &nothing(&desired), Mode::Apply);
    golden("persistent-create.txt", &shown(&spec, &plan));
    assert_eq!(changed(&plan, CLAIM, Action::Create).len(), 3);
    let at = |kind| plan.changes().find(|(_, change)| change.id.kind == kind).unwrap();
    let (claim, _) = at(CLAIM);
    let (set, _) = at(ResourceKind::Kube(KubeKind::StatefulSet));
    assert!(plan.steps[set].after.contains(&claim));
}

#[test]
fn members_without_volumes_are_followed_one_vote_at_a_time_the_leader_last() {
    let (spec, desired) = persistent(&[]);
    let observed = seen(&ephemeral(), &desired, 3);
    let plan = planned(&spec, &desired, &observed, Mode::Apply);
    golden("persistent-move.txt", &shown(&spec, &plan));
    assert_eq!(path(&plan), [(3, 4), (4, 3), (3, 4), (4, 3), (3, 4), (4, 3)]);
    assert!(targets(&plan).iter().all(|target| target.fixed_size == 3), "{:#?}", targets(&plan));
    let removed: Vec<String> = targets(&plan).iter().flat_map(|target| target.remove.clone()).collect();
    assert_eq!(removed, ["10.0.0.1", "10.0.0.3", "10.0.0.2"]);
    let (last, change) = plan.changes().last().unwrap();
    assert_eq!((last, change.action), (plan.steps.len() - 1, Action::Delete));
    assert_eq!(change.id.kind, ResourceKind::Kube(KubeKind::Deployment));
}

#[test]
fn a_move_that_was_cut_goes_on_where_it_stands() {
    let (spec, desired) = persistent(&[]);
    let old = ephemeral();
    // Of four voters the last has a volume.
    let mut observed = seen(&old, &desired, 4);
    name_members(&mut observed, &["10.0.0.4"]);
    for document in desired.documents.iter().filter(|one| old.get(&one.id).is_none()) {
        let live = everything(&desired, 3).resources.remove(&document.id).unwrap();
        observed.resources.insert(document.id.clone(), live);
    }
    let plan = planned(&spec, &desired, &observed, Mode::Apply);
    let steps = [(4, 3), (3, 4), (4, 3), (3, 4), (4, 3)];
    assert_eq!(path(&plan), steps, "{}", shown(&spec, &plan));
    // Cut off when the list was set and nobody had restarted: that roll goes on first, and starts the newcomer.
    let Reading::Known(state) = &mut observed.ensemble else { panic!("no members") };
    state.held = state.servers.iter().map(|server| server.hostname.clone()).collect();
    state.members[3].zookeeper = None;
    let ensemble = desired.documents.iter().find(|one| one.id.kind == ResourceKind::Ensemble).unwrap();
    let Some(Reading::Known(live)) = observed.resources.get_mut(&ensemble.id) else { panic!("no ensemble") };
    live.document[diff::RESTARTS] = "off at all".into();
    let plan = planned(&spec, &desired, &observed, Mode::Apply);
    assert_eq!(path(&plan), steps, "{}", shown(&spec, &plan));
    let (_, first) = plan.changes().find(|(_, change)| change.id.kind == ResourceKind::Ensemble).unwrap();
    assert!(matches!(first.reason, Reason::RollInterrupted(_)), "{}", shown(&spec, &plan));
    assert!(plan.findings.iter().all(|finding| !finding.fatal), "{:?}", plan.findings);
    // All have volumes; only the old Deployment is left.
    let mut observed = seen(&old, &desired, 3);
    name_members(&mut observed, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    for (id, live) in everything(&desired, 3).resources {
        observed.resources.insert(id, live);
    }
    let plan = planned(&spec, &desired, &observed, Mode::Apply);
    assert_eq!(changed(&plan, ResourceKind::Kube(KubeKind::Deployment), Action::Delete), ["exhibitor"]);
    assert_eq!(plan.steps.len(), 1, "{}", shown(&spec, &plan));
}

#[test]
fn a_move_never_starts_where_other_data_could_win_or_be_lost() {
    let (spec, desired) = persistent(&[]);
    let codes = |observed: &Observed| -> Vec<String> {
        let plan = planned(&spec, &desired, observed, Mode::Apply);
        plan.findings.iter().filter(|one| one.fatal).map(|one| one.code.clone()).collect()
    };
    // A claim that an earlier ensemble has left.
    let mut observed = seen(&ephemeral(), &desired, 3);
    let claim = desired.documents.iter().find(|one| one.id.kind == CLAIM).unwrap();
    let mut left = everything(&desired, 3).resources.remove(&claim.id).unwrap();
    if let Reading::Known(live) = &mut left {
        live.document["status"] = serde_json::json!({"phase": "Bound"});
    }
    observed.resources.insert(claim.id.clone(), left);
    assert_eq!(codes(&observed), ["volume-of-another-ensemble"]);
    // Members that no configuration knows.
    let mut observed = seen(&ephemeral(), &desired, 3);
    let ensemble = desired.documents.iter().find(|one| one.id.kind == ResourceKind::Ensemble).unwrap();
    observed.resources.insert(ensemble.id.clone(), Reading::Absent);
    if let Reading::Known(state) = &mut observed.ensemble {
        state.servers.clear();
    }
    assert_eq!(codes(&observed), ["not-formed"]);
}

/// Pods `exhibitor-0` ... of a set whose latest revision is `new`: so many of the first ones have an earlier one.
fn revised(observed: &mut Observed, desired: &Desired, earlier: usize) {
    name_members(observed, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    let Reading::Known(state) = &mut observed.ensemble else { panic!("no members") };
    for (number, pod) in state.pods.iter_mut().enumerate() {
        pod.revision = Some(if number < earlier { "old" } else { "new" }.to_owned());
    }
    let set = desired.documents.iter().find(|one| one.id.kind == ResourceKind::Kube(KubeKind::StatefulSet));
    let Some(Reading::Known(live)) = observed.resources.get_mut(&set.unwrap().id) else { panic!("no set") };
    live.document["status"] = serde_json::json!({"replicas": 3, "updateRevision": "new"});
}

fn replaced(plan: &Plan) -> &Change {
    let (_, change) = plan.changes().find(|(_, change)| change.id.kind.runs_members()).unwrap();
    change
}

/// The check periods that the plan sets, in its order; `pods` where pods are replaced.
fn periods(plan: &Plan) -> Vec<&str> {
    let told = plan.changes().filter_map(|(_, change)| match change.id.kind {
        kind if kind.runs_members() => Some("pods"),
        _ => change.body.pointer("/settings/checkMs")?.as_str(),
    });
    told.collect()
}

#[test]
fn a_new_template_replaces_pods_behind_a_gate() {
    let (_, old) = persistent(&[]);
    let (spec, new) = persistent(&["spec.exhibitor.terminationGrace=61s"]);
    let mut observed = seen(&old, &new, 3);
    revised(&mut observed, &new, 0);
    let plan = planned(&spec, &new, &observed, Mode::Apply);
    golden("persistent-template.txt", &shown(&spec, &plan));
    assert!(matches!(&replaced(&plan).calls[..], [Call::Apply, Call::ReplacePods { .. }]), "{plan:?}");
}

#[test]
fn a_roll_of_pods_that_was_cut_is_named_and_goes_on() {
    let (spec, desired) = persistent(&[]);
    let mut observed = everything(&desired, 3);
    revised(&mut observed, &desired, 0);
    assert!(planned(&spec, &desired, &observed, Mode::Apply).steps.is_empty());
    revised(&mut observed, &desired, 2);
    let plan = planned(&spec, &desired, &observed, Mode::Apply);
    golden("persistent-resume.txt", &shown(&spec, &plan));
    assert_eq!(
        replaced(&plan).reason,
        Reason::RollInterrupted(vec!["exhibitor-1".to_owned(), "exhibitor-2".to_owned()])
    );
    // A member is missing: its pod is what the roll repairs first. Where its pod is well the gate waits for it.
    let gate = |ready: bool| {
        let mut observed = observed.clone();
        let Reading::Known(state) = &mut observed.ensemble else { panic!("no members") };
        state.pods[0].ready = ready;
        state.members[0].zookeeper = None;
        let plan = planned(&spec, &desired, &observed, Mode::Apply);
        assert_eq!(periods(&plan), ["pods"], "nothing is asked of members while one is repaired");
        let healthy = |step: &Step| match &step.kind {
            StepKind::Gate(Gate::Quorum { healthy, .. }) => Some(*healthy),
            StepKind::Gate(_) | StepKind::Change(_) => None,
        };
        plan.steps.iter().find_map(healthy)
    };
    assert_eq!((gate(false), gate(true)), (Some(2), Some(3)));
}

#[test]
fn pods_and_settings_roll_while_exhibitor_looks_often() {
    const NEW: [&str; 2] = ["spec.exhibitor.terminationGrace=61s", "spec.exhibitor.heap=300MiB"];
    let (_, old) = persistent(&[]);
    let (spec, new) = persistent(&NEW);
    let mut observed = seen(&old, &new, 3);
    revised(&mut observed, &new, 0);
    let plan = planned(&spec, &new, &observed, Mode::Apply);
    assert_eq!(periods(&plan), ["1000", "pods", "1000", "30000"], "{}", shown(&spec, &plan));
    // A Deployment's newcomers have other addresses: who stays is known by then.
    let (_, old) = tutorial(&[]);
    let (spec, new) = tutorial(&NEW);
    let plan = planned(&spec, &new, &seen(&old, &new, 3), Mode::Apply);
    golden("template-and-setting.txt", &shown(&spec, &plan));
    assert_eq!(periods(&plan), ["1000", "pods", "1000", "30000"]);
    let kept: Vec<usize> = targets(&plan).iter().map(|target| target.keep.len()).collect();
    assert_eq!(kept, [3, 0, 0]);
    // The declared period is as short.
    let (_, old) = tutorial(&["spec.exhibitor.settings.check=1s"]);
    let (spec, new) = tutorial(&["spec.exhibitor.settings.check=1s", NEW[0]]);
    let plan = planned(&spec, &new, &seen(&old, &new, 3), Mode::Apply);
    assert_eq!(periods(&plan), ["pods"], "{}", shown(&spec, &plan));
}

#[test]
fn pods_that_hold_what_a_lost_configuration_described_are_not_replaced() {
    let (_, old) = persistent(&[]);
    let (spec, new) = persistent(&["spec.exhibitor.terminationGrace=61s"]);
    let mut observed = seen(&old, &new, 3);
    revised(&mut observed, &new, 0);
    let Reading::Known(state) = &mut observed.ensemble else { panic!("no members") };
    state.servers.clear();
    for member in &mut state.members {
        member.id = None;
        member.zookeeper.as_mut().unwrap().zxid = Zxid(0x2_0000_0001);
    }
    let ensemble = new.documents.iter().find(|one| one.id.kind == ResourceKind::Ensemble).unwrap();
    observed.resources.insert(ensemble.id.clone(), Reading::Absent);
    let plan = planned(&spec, &new, &observed, Mode::Apply);
    assert!(plan.findings.iter().any(|one| one.code == "repairs-and-rolls"), "{:#?}", plan.findings);
}

#[test]
fn the_highest_numbers_leave() {
    let (_, five) = persistent(&["spec.exhibitor.replicas=5"]);
    let (spec, three) = persistent(&["spec.exhibitor.storage.persistent.retention=delete"]);
    let mut observed = seen(&five, &three, 5);
    name_members(&mut observed, &["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"]);
    let plan = planned(&spec, &three, &observed, Mode::Apply);
    golden("persistent-5-to-3.txt", &shown(&spec, &plan));
    let removed: Vec<String> = targets(&plan).iter().flat_map(|target| target.remove.clone()).collect();
    assert_eq!(removed, [host(3), host(4)]);
    assert_eq!(changed(&plan, CLAIM, Action::Delete), ["data-exhibitor-3", "data-exhibitor-4"]);
}

#[test]
fn a_destroy_keeps_volumes_and_what_they_are_in() {
    let (spec, desired) = persistent(&["spec.exhibitor.namespace=zoo"]);
    let observed = everything(&desired, 3);
    let plan = planned(&spec, &desired, &observed, Mode::Destroy { delete_data: false });
    golden("persistent-destroy.txt", &shown(&spec, &plan));
    for kind in [CLAIM, ResourceKind::Cluster, ResourceKind::Kube(KubeKind::Namespace)] {
        assert_eq!(changed(&plan, kind, Action::Delete), [] as [&str; 0]);
    }
    let plan = planned(&spec, &desired, &observed, Mode::Destroy { delete_data: true });
    assert_eq!(changed(&plan, CLAIM, Action::Delete).len(), 3);
    assert_eq!(changed(&plan, ResourceKind::Cluster, Action::Delete), ["cluster-1"]);
}
