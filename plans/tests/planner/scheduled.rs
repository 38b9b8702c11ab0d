//! Plans for backups on a schedule: made with the ensemble, changed in place, gone when the file has them no longer.

use crate::states::{everything, golden, nothing, planned, predict, shown, tutorial};
use zkprov_plans::document::Desired;
use zkprov_plans::observed::{Observed, Reading};
use zkprov_plans::plan::{Action, Disruption, Mode, Plan};
use zkprov_plans::resource::{KubeKind, ResourceKind};
use zkprov_plans::spec::ValidSpec;

const SCHEDULE: &str = "spec.exhibitor.backup={schedule: \"0 3 * * *\", image: example.com/zkprov:1}";
const JOB: ResourceKind = ResourceKind::Kube(KubeKind::CronJob);

fn scheduled(set: &[&str]) -> (ValidSpec, Desired) {
    tutorial(&[&[SCHEDULE], set].concat())
}

/// Kinds and names of what the plan does so.
fn done(plan: &Plan, action: Action) -> Vec<String> {
    let of = plan.changes().filter(|(_, change)| change.action == action);
    of.map(|(_, change)| format!("{} {}", change.id.kind.word(), change.id.name)).collect()
}

/// What was applied, seen by one whose file says something else.
fn seen(before: &Desired, now: &Desired) -> Observed {
    let mut observed = everything(before, 3);
    predict(&mut observed, now);
    for document in &now.documents {
        observed.resources.entry(document.id.clone()).or_insert(Reading::Absent);
    }
    observed
}

#[test]
fn the_first_plan_makes_the_job_after_all_it_needs() {
    let (spec, desired) = scheduled(&[]);
    let plan = planned(&spec, &desired, &nothing(&desired), Mode::Apply);
    golden("scheduled-create.txt", &shown(&spec, &plan));
    let at = |kind| plan.changes().find(|(_, change)| change.id.kind == ResourceKind::Kube(kind)).unwrap().0;
    let job = &plan.steps[at(KubeKind::CronJob)];
    for needed in [KubeKind::ServiceAccount, KubeKind::RoleBinding, KubeKind::ConfigMap, KubeKind::Deployment]
    {
        assert!(job.after.contains(&at(needed)), "{needed:?}");
    }
    assert!(plan.steps[at(KubeKind::RoleBinding)].after.contains(&at(KubeKind::Role)));
}

#[test]
fn a_live_ensemble_gets_it_and_no_member_restarts() {
    let (spec, desired) = scheduled(&[]);
    let (_, before) = tutorial(&[]);
    let plan = planned(&spec, &desired, &seen(&before, &desired), Mode::Apply);
    assert_eq!(
        done(&plan, Action::Create),
        [
            "configmap exhibitor-backup",
            "serviceaccount exhibitor-backup",
            "role exhibitor-backup",
            "rolebinding exhibitor-backup",
            "cronjob exhibitor-backup",
        ]
    );
    // What the ApplySet has is written down on its parent.
    assert_eq!(done(&plan, Action::Update), ["configmap exhibitor-ensemble"]);
    assert!(plan.changes().all(|(_, change)| change.disruption == Disruption::None));
}

#[test]
fn another_schedule_is_one_field() {
    let (_, before) = scheduled(&[]);
    let (spec, desired) = scheduled(&["spec.exhibitor.backup.schedule=0 4 * * *"]);
    let plan = planned(&spec, &desired, &seen(&before, &desired), Mode::Apply);
    let changes: Vec<_> = plan.changes().map(|(_, change)| change).collect();
    assert_eq!(changes.len(), 1);
    assert_eq!(
        changes[0].diff.iter().map(|field| field.path.to_string()).collect::<Vec<_>>(),
        ["spec.schedule"]
    );
    assert_eq!(changes[0].diff[0].cause.as_deref(), Some("spec.exhibitor.backup.schedule"));
}

#[test]
fn one_that_left_the_file_is_pruned_the_job_first() {
    let (_, before) = scheduled(&[]);
    let (spec, desired) = tutorial(&[]);
    let plan = planned(&spec, &desired, &seen(&before, &desired), Mode::Apply);
    golden("scheduled-removed.txt", &shown(&spec, &plan));
    let gone = done(&plan, Action::Delete);
    assert_eq!(gone.len(), 5);
    assert_eq!(gone[0], "cronjob exhibitor-backup");
    let at = |kind| plan.changes().find(|(_, change)| change.id.kind == ResourceKind::Kube(kind)).unwrap().0;
    assert!(plan.steps[at(KubeKind::ServiceAccount)].after.contains(&at(KubeKind::RoleBinding)));
}

#[test]
fn a_destroy_takes_it_before_the_members() {
    let (spec, desired) = scheduled(&[]);
    let plan = planned(&spec, &desired, &everything(&desired, 3), Mode::Destroy { delete_data: false });
    let job = plan.changes().find(|(_, change)| change.id.kind == JOB).unwrap().0;
    let of_members = |kind: ResourceKind| kind.runs_members();
    let members = plan.changes().find(|(_, change)| of_members(change.id.kind)).unwrap().0;
    assert!(plan.steps[members].after.contains(&job));
}
