//! What plans are made from: the examples as the templates render them, and live states that the tests make up.

use std::collections::{BTreeMap, BTreeSet};
use zkprov_plans::check::faults;
use zkprov_plans::document::Desired;
use zkprov_plans::observed::{
    self, EnsembleState, Live, Member, Observed, Ownership, Pod, Reading, Server, Srvr,
};
use zkprov_plans::plan::{Call, Mode, Plan, Reason};
use zkprov_plans::planner::{PlanInput, plan};
use zkprov_plans::report::{Report, Style, text};
use zkprov_plans::resource::ResourceKind;
use zkprov_plans::spec::{Defaults, Source, ValidSpec, load};
use zkprov_plans::zookeeper::Zxid;

/// The tutorial's file.
pub(crate) const TUTORIAL: &str = include_str!("../../../examples/tutorial/zkprov.yaml");

/// The tutorial with settings, and what the templates make of it.
pub(crate) fn tutorial(set: &[&str]) -> (ValidSpec, Desired) {
    rendered(TUTORIAL, set)
}

/// The first ensemble of a file with settings, and what the templates make of it.
pub(crate) fn rendered(text: &str, set: &[&str]) -> (ValidSpec, Desired) {
    let set: Vec<String> = set.iter().map(|one| (*one).to_owned()).collect();
    let source = Source { name: "zkprov.yaml".to_owned(), text: text.to_owned() };
    let loaded = load(&[source], &set, &|_| None, &Defaults::default());
    assert!(!loaded.has_errors(), "{:#?}", loaded.diagnostics);
    let spec = loaded.specs.into_iter().next().unwrap();
    let desired = zkprov_templates::render(&spec, &zkprov_templates::Overrides::new()).unwrap();
    (spec, desired)
}

/// A world in which nothing of it is there.
pub(crate) fn nothing(desired: &Desired) -> Observed {
    let resources = desired.documents.iter().map(|document| (document.id.clone(), Reading::Absent)).collect();
    Observed { resources, ensemble: Reading::Absent, operations: Vec::new() }
}

/// A world that is as the documents say, with `voters` members that all serve.
pub(crate) fn everything(desired: &Desired, voters: u32) -> Observed {
    let mut resources = BTreeMap::new();
    for document in &desired.documents {
        let mut body = document.body.clone();
        if document.id.kind == ResourceKind::Ensemble {
            body["voters"] = voters.into();
            body["fixedSize"] = voters.into();
        }
        let predicted = matches!(document.id.kind, ResourceKind::Kube(_)).then(|| document.body.clone());
        let live = Live { document: body, predicted, ownership: Ownership::Ours };
        resources.insert(document.id.clone(), Reading::Known(live));
    }
    Observed { resources, ensemble: Reading::Known(members(voters)), operations: Vec::new() }
}

/// So many voters that all serve; the second leads.
pub(crate) fn members(voters: u32) -> EnsembleState {
    let address = |id: u32| format!("10.0.0.{id}");
    let mode = |id: u32| match (voters, id) {
        (1, _) => observed::Mode::Standalone,
        (_, 2) => observed::Mode::Leader,
        _ => observed::Mode::Follower,
    };
    EnsembleState {
        misread: Vec::new(),
        behind: Vec::new(),
        held: Vec::new(),
        stuck: None,
        pods: (1..=voters)
            .map(|id| Pod {
                name: format!("exhibitor-{id}"),
                ip: Some(address(id)),
                host: None,
                revision: None,
                node: None,
                phase: "Running".to_owned(),
                ready: true,
                deleting: false,
                trouble: None,
            })
            .collect(),
        config: None,
        servers: (1..=voters).map(|id| Server { id, hostname: address(id), observer: false }).collect(),
        members: (1..=voters)
            .map(|id| Member {
                hostname: address(id),
                id: Some(id),
                pod: Some(format!("exhibitor-{id}")),
                exhibitor: Some(observed::InstanceState::Serving),
                exhibitor_leader: id == 2,
                zookeeper: Some(Srvr {
                    mode: mode(id),
                    zxid: Zxid(0x1),
                    connections: 1,
                    nodes: 4,
                    version: "3.4.6".to_owned(),
                }),
            })
            .collect(),
        rolling: false,
        gaps: Vec::new(),
    }
}

/// The plan, in which the checker finds nothing.
pub(crate) fn planned(spec: &ValidSpec, desired: &Desired, observed: &Observed, mode: Mode) -> Plan {
    planned_as(PlanInput {
        spec,
        desired,
        observed,
        mode,
        replace: &BTreeSet::new(),
        adopt: false,
        compact_ids: false,
    })
}

/// As [`planned`], with everything that a plan is made from.
pub(crate) fn planned_as(input: PlanInput<'_>) -> Plan {
    let plan = plan(&input).unwrap();
    assert_eq!(faults(&plan, &input), [], "the checker finds nothing:\n{plan:#?}");
    plan
}

/// The codes of the rules that a plan breaks, without repeats.
pub(crate) fn faults_of(
    spec: &ValidSpec,
    desired: &Desired,
    observed: &Observed,
    plan: &Plan,
) -> Vec<&'static str> {
    let replace = BTreeSet::new();
    let input = PlanInput {
        spec,
        desired,
        observed,
        mode: plan.mode,
        replace: &replace,
        adopt: false,
        compact_ids: false,
    };
    let codes: BTreeSet<&'static str> = faults(plan, &input).into_iter().map(|fault| fault.code).collect();
    codes.into_iter().collect()
}

/// The plan as people see it, 100 columns wide.
pub(crate) fn shown(spec: &ValidSpec, plan: &Plan) -> String {
    text(&Report { spec, plan }, Style { color: false, width: 100, verbose: false })
}

/// Compares with a file of `tests/golden`; `UPDATE_GOLDEN=1` rewrites it.
pub(crate) fn golden(name: &str, actual: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; UPDATE_GOLDEN=1 writes it", path.display()));
    assert_eq!(actual, expected, "{} differs; UPDATE_GOLDEN=1 rewrites it", path.display());
}

/// What the API server says that an apply of the documents would make.
pub(crate) fn predict(observed: &mut Observed, desired: &Desired) {
    for document in &desired.documents {
        if let (ResourceKind::Kube(_), Some(Reading::Known(live))) =
            (document.id.kind, observed.resources.get_mut(&document.id))
        {
            live.predicted = Some(document.body.clone());
        }
    }
}

/// The steps between two numbers of voters.
pub(crate) fn path(plan: &Plan) -> Vec<(u32, u32)> {
    let step = |change: &zkprov_plans::plan::Change| {
        if let Reason::EnsembleStep { from, to } = change.reason { Some((from, to)) } else { None }
    };
    plan.changes().filter_map(|(_, change)| step(change)).collect()
}

/// What Exhibitor's configuration is set to, step by step.
pub(crate) fn targets(plan: &Plan) -> Vec<zkprov_plans::plan::EnsembleTarget> {
    let calls = plan.changes().flat_map(|(_, change)| &change.calls);
    calls
        .filter_map(|call| if let Call::SetEnsemble(target) = call { Some(target.clone()) } else { None })
        .collect()
}
