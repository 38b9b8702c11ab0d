//! The checker: each of its rules refuses a plan that breaks it alone, and no change of a good plan that would break a promise gets
//! past it.

use crate::states::{everything, faults_of, nothing, planned, predict, rendered, tutorial};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use zkprov_plans::check::CODES;
use zkprov_plans::document::Desired;
use zkprov_plans::observed::{Gap, Live, Observed, Ownership, Reading};
use zkprov_plans::plan::{
    Action, Call, Change, Disruption, EnsembleTarget, Gate, Mode, Plan, Precondition, ReadyWhen, Step,
    StepKind,
};
use zkprov_plans::resource::{KubeKind, ResourceKind};
use zkprov_plans::spec::ValidSpec;

/// A good plan, and what it was made from.
#[derive(Clone)]
struct Scene {
    name: &'static str,
    spec: ValidSpec,
    desired: Desired,
    observed: Observed,
    plan: Plan,
}

impl Scene {
    fn new(
        name: &'static str,
        (spec, desired): (ValidSpec, Desired),
        observed: Observed,
        mode: Mode,
    ) -> Self {
        let plan = planned(&spec, &desired, &observed, mode);
        assert!(!plan.steps.is_empty(), "{name} has steps");
        Self { name, spec, desired, observed, plan }
    }

    fn faults(&self, plan: &Plan) -> Vec<&'static str> {
        faults_of(&self.spec, &self.desired, &self.observed, plan)
    }
}

const PERSISTENT: &str = include_str!("../../../examples/persistent/zkprov.yaml");

/// The world of a file, as another file asks for it.
fn from(live: &[&str], wanted: &[&str], voters: u32) -> ((ValidSpec, Desired), Observed) {
    let (_, before) = tutorial(live);
    let wanted = tutorial(wanted);
    let mut observed = everything(&before, voters);
    predict(&mut observed, &wanted.1);
    (wanted, observed)
}

static SCENES: LazyLock<Vec<Scene>> = LazyLock::new(scenes);

fn scenes() -> Vec<Scene> {
    let first = tutorial(&[]);
    let none = nothing(&first.1);
    let mut scenes = vec![Scene::new("creates", first, none, Mode::Apply)];
    for (name, live, wanted, voters) in [
        ("grows", &[][..], &["spec.exhibitor.replicas=5"][..], 3),
        ("shrinks", &["spec.exhibitor.replicas=5"], &[], 5),
        ("sets", &[], &["spec.exhibitor.settings.zooCfg.tickTime=3000"], 3),
        ("agrees", &[], &["spec.exhibitor.settings.zooCfg.electionAlg=1"], 3),
        ("replaces pods", &[], &["spec.exhibitor.terminationGrace=90s"], 3),
        (
            "replaces pods and sets",
            &[],
            &["spec.exhibitor.terminationGrace=90s", "spec.exhibitor.settings.zooCfg.tickTime=3000"],
            3,
        ),
    ] {
        let (wanted, observed) = from(live, wanted, voters);
        scenes.push(Scene::new(name, wanted, observed, Mode::Apply));
    }
    let whole = tutorial(&[]);
    let observed = everything(&whole.1, 3);
    scenes.push(Scene::new("destroys", whole, observed, Mode::Destroy { delete_data: false }));
    let whole = tutorial(&[]);
    let mut observed = everything(&whole.1, 3);
    let Reading::Known(state) = &mut observed.ensemble else { panic!("no members") };
    let gone = state.pods.remove(0);
    state.pods.push(zkprov_plans::observed::Pod {
        name: "exhibitor-9".to_owned(),
        ip: Some("10.0.0.9".to_owned()),
        ..gone
    });
    state.members[0].zookeeper = None;
    scenes.push(Scene::new("replaces a lost member", whole, observed, Mode::Apply));
    let volumes = rendered(PERSISTENT, &[]);
    let none = nothing(&volumes.1);
    scenes.push(Scene::new("creates volumes", volumes, none, Mode::Apply));
    scenes
}

fn scene(name: &str) -> Scene {
    SCENES.iter().find(|scene| scene.name == name).unwrap_or_else(|| panic!("no scene {name}")).clone()
}

fn changes(plan: &mut Plan) -> impl Iterator<Item = &mut Change> {
    plan.steps.iter_mut().filter_map(|step| match &mut step.kind {
        StepKind::Change(change) => Some(change),
        StepKind::Gate(_) => None,
    })
}

fn targets(plan: &mut Plan) -> impl Iterator<Item = &mut EnsembleTarget> {
    let calls = changes(plan).flat_map(|change| &mut change.calls);
    calls.filter_map(|call| if let Call::SetEnsemble(target) = call { Some(target) } else { None })
}

fn first(plan: &mut Plan, kind: ResourceKind) -> &mut Change {
    changes(plan).find(|change| change.id.kind == kind).unwrap()
}

const DEPLOYMENT: ResourceKind = ResourceKind::Kube(KubeKind::Deployment);

/// What breaks one rule: the scene, and the change of its plan or of what was read.
type Break = fn(&mut Scene);

const BROKEN: [(&str, &str, Break); 19] = [
    ("order", "creates", |scene| scene.plan.steps[0].after.push(3)),
    ("empty-change", "grows", |scene| first(&mut scene.plan, DEPLOYMENT).diff.clear()),
    ("no-call", "grows", |scene| first(&mut scene.plan, DEPLOYMENT).calls.clear()),
    ("precondition", "grows", |scene| first(&mut scene.plan, DEPLOYMENT).precondition = Precondition::Absent),
    ("unowned", "grows", |scene| live(scene, DEPLOYMENT).ownership = Ownership::Foreign),
    ("unread", "creates", |scene| {
        let id = first(&mut scene.plan, ResourceKind::Disk).id.clone();
        let gap = Gap { what: "disks".to_owned(), why: "no".to_owned(), hint: String::new() };
        scene.observed.resources.insert(id, Reading::Unavailable(gap));
    }),
    ("kept-differs", "grows", |scene| {
        let differs = first(&mut scene.plan, DEPLOYMENT).clone();
        scene.plan.kept.push(differs);
    }),
    ("even-size", "creates", |scene| {
        let documents = scene.desired.documents.iter_mut();
        let even = documents.filter(|one| one.id.kind == ResourceKind::Ensemble);
        even.for_each(|one| one.body["voters"] = 4.into());
    }),
    ("ensemble-size", "sets", |scene| targets(&mut scene.plan).last().unwrap().fixed_size = 4),
    ("votes", "shrinks", |scene| {
        let target = targets(&mut scene.plan).find(|target| !target.remove.is_empty()).unwrap();
        // The rest follows the same list, so that it is this step alone that drops one more in silence.
        let dropped = target.keep.pop().unwrap();
        targets(&mut scene.plan).for_each(|target| {
            target.keep.retain(|host| *host != dropped);
            target.remove.retain(|host| *host != dropped);
        });
    }),
    ("ungated", "sets", |scene| {
        for step in &mut scene.plan.steps {
            if let StepKind::Gate(Gate::Quorum { voters, .. }) = &mut step.kind {
                *voters = 1;
            }
        }
    }),
    ("all-at-once", "sets", |scene| targets(&mut scene.plan).for_each(|target| target.rolling = false)),
    ("not-awaited", "grows", |scene| {
        let growing = changes(&mut scene.plan)
            .find(|change| change.ready_when == ReadyWhen::EnsembleServes { voters: 4 });
        growing.unwrap().ready_when = ReadyWhen::Done;
    }),
    ("pods-at-once", "replaces pods", |scene| {
        first(&mut scene.plan, DEPLOYMENT).calls.retain(|call| *call == Call::Apply);
    }),
    ("pods-before-votes", "shrinks", |scene| {
        first(&mut scene.plan, DEPLOYMENT).body["spec"]["replicas"] = 1.into()
    }),
    ("removal-order", "destroys", |scene| {
        let workload = position(&scene.plan, DEPLOYMENT);
        free(&mut scene.plan, workload);
    }),
    ("mounted", "destroys", |scene| {
        scene.plan.steps.iter_mut().for_each(|step| {
            if let StepKind::Gate(Gate::NoMounts { server }) = &mut step.kind {
                "other".clone_into(&mut server.name);
            }
        });
    }),
    ("data", "destroys", |scene| {
        let disk =
            scene.plan.kept.iter().find(|change| change.id.kind == ResourceKind::Disk).unwrap().id.clone();
        let mut address = first(&mut scene.plan, ResourceKind::Address).clone();
        address.id = disk;
        let at = position(&scene.plan, ResourceKind::Address);
        scene.plan.steps[at].kind = StepKind::Change(address);
    }),
    ("unguarded", "creates", |scene| {
        let rule = position(&scene.plan, ResourceKind::Firewall);
        free(&mut scene.plan, rule);
    }),
];

fn live(scene: &mut Scene, kind: ResourceKind) -> &mut Live {
    let found = scene.observed.resources.iter_mut().find(|(id, _)| id.kind == kind);
    let Some((_, Reading::Known(live))) = found else { panic!("{kind:?} is not there") };
    live
}

fn position(plan: &Plan, kind: ResourceKind) -> usize {
    plan.changes().find(|(_, change)| change.id.kind == kind).unwrap().0
}

/// Nothing waits for this step any more, but for what waited for what it waits for.
fn free(plan: &mut Plan, index: usize) {
    let before = plan.steps[index].after.clone();
    for step in &mut plan.steps {
        if step.after.contains(&index) {
            step.after.retain(|one| *one != index);
            step.after.extend(before.iter().copied());
        }
    }
}

#[test]
fn each_rule_refuses_a_plan_that_breaks_it_alone() {
    for (code, name, breaks) in BROKEN {
        let mut scene = scene(name);
        breaks(&mut scene);
        let plan = scene.plan.clone();
        assert_eq!(scene.faults(&plan), [code], "{name}");
    }
    let tried: BTreeSet<&str> = BROKEN.iter().map(|(code, _, _)| *code).collect();
    assert_eq!(tried, CODES.into_iter().collect(), "every rule has its plan");
}

/// One thing that is changed in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mutation {
    /// Nothing waits for the step.
    Unawaited,
    /// The step waits for nothing.
    Early,
    Unconditional,
    /// It is over when its calls are.
    NotReady,
    WithoutCalls,
    WithoutCall(usize),
    FewerPods,
    Target(&'static str),
}

/// Another target of a step, by name.
type Aim = (&'static str, fn(&mut EnsembleTarget));

const TARGETS: [Aim; 9] = [
    ("a voter more", |target| target.voters += 1),
    ("a voter less", |target| target.voters -= 1),
    ("an even size", |target| target.fixed_size += 1),
    ("at once", |target| target.rolling = false),
    ("new ids", |target| target.renumber = true),
    ("one forgotten", |target| drop(target.keep.pop())),
    ("one more leaves", |target| target.remove.extend(target.keep.pop())),
    ("a stranger stays", |target| target.keep.push("10.9.9.9".to_owned())),
    ("nobody leaves", |target| target.remove.clear()),
];

impl Mutation {
    fn all() -> Vec<Self> {
        let mut all =
            vec![Self::Unawaited, Self::Early, Self::Unconditional, Self::NotReady, Self::WithoutCalls];
        all.extend((0..3).map(Self::WithoutCall));
        all.push(Self::FewerPods);
        all.extend(TARGETS.iter().map(|(name, _)| Self::Target(name)));
        all
    }

    /// Changes a step of a plan.
    fn make(self, plan: &mut Plan, index: usize) {
        match (self, &mut plan.steps[index].kind) {
            (Self::Unawaited, _) => free(plan, index),
            (Self::Early, _) => plan.steps[index].after.clear(),
            (_, StepKind::Gate(_)) => {}
            (Self::Unconditional, StepKind::Change(change)) => change.precondition = Precondition::Absent,
            (Self::NotReady, StepKind::Change(change)) => change.ready_when = ReadyWhen::Done,
            (Self::WithoutCalls, StepKind::Change(change)) => change.calls.clear(),
            (Self::WithoutCall(call), StepKind::Change(change)) => {
                if call < change.calls.len() {
                    change.calls.remove(call);
                }
            }
            (Self::FewerPods, StepKind::Change(change)) => {
                if let Some(replicas) = change.body.pointer_mut("/spec/replicas") {
                    *replicas = 1.into();
                }
            }
            (Self::Target(name), StepKind::Change(change)) => {
                let (_, aim) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
                for call in &mut change.calls {
                    if let Call::SetEnsemble(target) = call {
                        aim(target);
                    }
                }
            }
        }
    }
}

/// Why a change of a step breaks no promise, where it does not.
fn harmless(mutation: Mutation, plan: &Plan, index: usize) -> Option<&'static str> {
    let disturbs =
        |step: &Step| matches!(&step.kind, StepKind::Change(change) if change.disruption != Disruption::None);
    let change = match &plan.steps[index].kind {
        StepKind::Change(change) => change,
        StepKind::Gate(Gate::Quorum { .. }) => {
            let lets_through = plan.steps.iter().filter(|step| step.after.contains(&index));
            return if !plan.steps[..index].iter().any(disturbs) {
                (mutation == Mutation::Early).then_some("nothing was disturbed before it is asked")
            } else {
                (!lets_through.into_iter().any(disturbs)).then_some("what it lets through restarts nobody")
            };
        }
        StepKind::Gate(Gate::PodsAnswer { .. } | Gate::FileServerExports { .. } | Gate::NoMounts { .. }) => {
            return Some("what it lets through waits for the share by itself");
        }
    };
    let ensemble = change.id.kind == ResourceKind::Ensemble;
    let live = change.disruption == Disruption::None && ensemble;
    let made = change.via.is_some() || change.calls.iter().any(makes);
    let reasons = [
        (
            matches!(
                mutation,
                Mutation::NotReady | Mutation::Early | Mutation::Unawaited | Mutation::Target("at once")
            ) && live,
            "it restarts nobody",
        ),
        (mutation == Mutation::Unconditional && live, "the ensemble is there by then, so it is refused"),
        (
            matches!(mutation, Mutation::Unawaited | Mutation::Early) && made,
            "what needs it waits, or is refused by the API",
        ),
        (
            mutation == Mutation::Early && change.action == Action::Delete,
            "nothing needs it, or the API refuses",
        ),
        (mutation == Mutation::NotReady && !ensemble, "a gate asks before anybody restarts"),
        (
            mutation == Mutation::WithoutCall(1) && change.id.kind == ResourceKind::Address,
            "its description has the mark, too",
        ),
    ];
    reasons.into_iter().find(|(holds, _)| *holds).map(|(_, reason)| reason)
}

fn makes(call: &Call) -> bool {
    matches!(call, Call::Insert | Call::Apply | Call::SetNodePoolSize { .. })
}

/// A plan with one thing changed is refused, unless that breaks no promise.
#[test]
fn what_would_break_a_promise_is_refused() {
    let (mut caught, mut passed) = (0, BTreeMap::<&str, Vec<String>>::new());
    for scene in SCENES.iter() {
        for (index, step) in scene.plan.steps.iter().enumerate() {
            for mutation in Mutation::all() {
                let mut mutant = scene.plan.clone();
                mutation.make(&mut mutant, index);
                if mutant == scene.plan {
                    continue;
                }
                if !scene.faults(&mutant).is_empty() {
                    caught += 1;
                    continue;
                }
                let reason = harmless(mutation, &scene.plan, index).unwrap_or("NOT CAUGHT");
                let what = match &step.kind {
                    StepKind::Change(change) => change.id.to_string(),
                    StepKind::Gate(gate) => format!("{gate:?}"),
                };
                passed
                    .entry(reason)
                    .or_default()
                    .push(format!("{}, step {index}, {what}: {mutation:?}", scene.name));
            }
        }
    }
    let counted: BTreeMap<&str, usize> =
        passed.iter().map(|(reason, plans)| (*reason, plans.len())).collect();
    println!("{caught} changed plans are refused; harmless: {counted:#?}");
    assert_eq!(passed.get("NOT CAUGHT"), None);
    assert!(caught > 400, "{caught}");
}
