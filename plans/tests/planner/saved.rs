//! Plan files: what they keep is validated again, and what was changed in them is refused.

use crate::states::{TUTORIAL, everything, planned, predict, tutorial};
use std::collections::BTreeMap;
use zkprov_plans::check::CheckedPlan;
use zkprov_plans::plan::{Mode, Plan};
use zkprov_plans::planner::PlanInput;
use zkprov_plans::saved::{Approval, SavedPlan, SavedPlanError, approve};
use zkprov_plans::spec::{Defaults, Inputs, Source};

fn inputs(text: &str, set: &[&str]) -> Inputs {
    Inputs {
        sources: vec![Source { name: "zkprov.yaml".to_owned(), text: text.to_owned() }],
        set: set.iter().map(|one| (*one).to_owned()).collect(),
        environment: BTreeMap::from([("ZONE".to_owned(), "us-east1-d".to_owned())]),
        defaults: Defaults::default(),
    }
}

fn drift() -> Plan {
    let (_, three) = tutorial(&[]);
    let (spec, desired) = tutorial(&["spec.exhibitor.settings.zooCfg.tickTime=3000"]);
    let mut observed = everything(&three, 3);
    predict(&mut observed, &desired);
    planned(&spec, &desired, &observed, Mode::RefreshOnly)
}

#[test]
fn the_specs_of_a_plan_file_are_those_of_its_files() {
    let text = TUTORIAL.replace("us-east1-d", "${env:ZONE}");
    let sealed = SavedPlan::seal("1", inputs(&text, &["spec.exhibitor.replicas=5"]), vec![drift()]);
    let written = serde_json::to_string(&sealed).unwrap();
    let [(spec, plan)] = SavedPlan::open(&written).unwrap().specs().unwrap().try_into().unwrap();
    assert_eq!((spec.exhibitor.replicas, spec.zone.as_str(), plan), (5, "us-east1-d", drift()));
}

/// Whoever can write a digest can write anything into the file. It does not pass for valid by that.
#[test]
fn a_plan_file_is_no_way_around_validation() {
    for (inputs, why) in [
        (inputs(TUTORIAL, &["spec.exhibitor.replicas=4"]), "even number"),
        (inputs(&TUTORIAL.replace("replicas: 3", "replicas: 3\n    surprise: 1"), &[]), "surprise"),
        (inputs(TUTORIAL, &["metadata.name=other"]), "other"),
    ] {
        let written = serde_json::to_string(&SavedPlan::seal("1", inputs, vec![drift()])).unwrap();
        let error = SavedPlan::open(&written).unwrap().specs().unwrap_err();
        assert!(
            matches!(error, SavedPlanError::Files(_)) && error.to_string().contains(why),
            "{why}: {error}"
        );
    }
    let sealed = SavedPlan::seal("1", inputs(TUTORIAL, &[]), vec![drift()]);
    let changed = serde_json::to_string(&sealed).unwrap().replace("replicas: 3", "replicas: 5");
    assert!(matches!(SavedPlan::open(&changed), Err(SavedPlanError::Digest)));
}

#[test]
fn a_plan_that_only_looks_is_never_approved() {
    let (spec, desired) = tutorial(&[]);
    let observed = everything(&desired, 3);
    let replace = Default::default();
    let input = PlanInput {
        spec: &spec,
        desired: &desired,
        observed: &observed,
        mode: Mode::RefreshOnly,
        replace: &replace,
        adopt: false,
        compact_ids: false,
    };
    let plan = drift();
    assert!(!plan.steps.is_empty());
    let refused = approve(CheckedPlan::of(plan, &input), Approval::PlanFile).unwrap_err();
    assert_eq!(refused.iter().map(|finding| finding.code.as_str()).collect::<Vec<_>>(), ["only-looks"]);
}
