//! From the file to a checked plan: load, render, read, plan, check.

use crate::args::Consent;
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::input;
use crate::session::Session;
use std::collections::BTreeSet;
use zkprov_engine::provider::ReadRequest;
use zkprov_plans::check::CheckedPlan;
use zkprov_plans::document::Desired;
use zkprov_plans::observed::Observed;
use zkprov_plans::plan::{Action, Change, Mode, Plan};
use zkprov_plans::planner::{CLUSTER_NOT_FOUND, PlanInput, plan};
use zkprov_plans::report::Report;
use zkprov_plans::resource::{ResourceId, ResourceKind};
use zkprov_plans::spec::ValidSpec;
use zkprov_templates::Templates;

/// One ensemble with its plan.
pub(crate) struct Planned {
    pub(crate) spec: ValidSpec,
    pub(crate) checked: CheckedPlan,
}

impl Planned {
    pub(crate) const fn plan(&self) -> &Plan {
        self.checked.plan()
    }

    pub(crate) const fn report(&self) -> Report<'_> {
        Report { spec: &self.spec, plan: self.plan() }
    }

    /// Whether the plan must not be carried out.
    pub(crate) fn refused(&self) -> bool {
        self.plan().findings.iter().any(|finding| finding.fatal)
    }
}

/// What the run may do, parsed.
pub(crate) fn replaceable(consent: &Consent) -> Result<BTreeSet<ResourceId>, CommandError> {
    let parse = |text: &String| {
        text.parse().map_err(|error| {
            CommandError::new(Exit::Usage, format!("--replace: {error}")).hint("`zkprov plan` prints the ids")
        })
    };
    consent.replace.iter().map(parse).collect()
}

/// Renders every spec.
pub(crate) fn render(context: &Context, specs: &[ValidSpec]) -> Result<Vec<Desired>, CommandError> {
    let failed = |error| CommandError::failed("rendering", &error);
    let templates = Templates::new(&input::templates(context)?).map_err(failed)?;
    specs.iter().map(|spec| templates.render(spec).map_err(failed)).collect()
}

/// What was read for all specs at once. Each is planned when its turn comes: a fleet's plans, which are many times its
/// documents, need not all be there at the same time.
pub(crate) struct Plans {
    rest: Box<dyn Iterator<Item = ((ValidSpec, Desired), Observed)>>,
    mode: Mode,
    replace: BTreeSet<ResourceId>,
    adopt: bool,
    compact_ids: bool,
    created: Created,
}

impl Iterator for Plans {
    type Item = Result<Planned, CommandError>;

    fn next(&mut self) -> Option<Self::Item> {
        let ((spec, desired), observed) = self.rest.next()?;
        let input = PlanInput {
            spec: &spec,
            desired: &desired,
            observed: &observed,
            mode: self.mode,
            replace: &self.replace,
            adopt: self.adopt,
            compact_ids: self.compact_ids,
        };
        let mut checked = match plan(&input) {
            Ok(plan) => CheckedPlan::of(plan, &input),
            Err(error) => return Some(Err(CommandError::failed("planning", &error))),
        };
        self.created.expect(&mut checked);
        Some(Ok(Planned { spec, checked }))
    }
}

/// Reads what is live for all specs at once.
pub(crate) async fn read_all(
    session: &Session,
    specs: Vec<ValidSpec>,
    desired: Vec<Desired>,
    mode: Mode,
    consent: &Consent,
) -> Result<Plans, CommandError> {
    let replace = replaceable(consent)?;
    let requests: Vec<ReadRequest<'_>> =
        specs.iter().zip(&desired).map(|(spec, desired)| ReadRequest { spec, desired }).collect();
    let observed = session.cloud.observe(&requests).await;
    drop(requests);
    let rest = Box::new(specs.into_iter().zip(desired).zip(observed));
    let Consent { adopt, compact_ids, .. } = *consent;
    Ok(Plans { rest, mode, replace, adopt, compact_ids, created: Created::default() })
}

/// Reads what is live for all specs at once, and plans each.
pub(crate) async fn plan_rendered(
    session: &Session,
    specs: Vec<ValidSpec>,
    desired: Vec<Desired>,
    mode: Mode,
    consent: &Consent,
) -> Result<Vec<Planned>, CommandError> {
    read_all(session, specs, desired, mode, consent).await?.collect()
}

/// Clusters that plans so far create. Ensembles are carried out one after the other: a cluster that one creates is there
/// for those after it, which use it as `existing: true`.
#[derive(Default)]
pub(crate) struct Created(BTreeSet<ResourceId>);

impl Created {
    /// Drops what the next plan finds missing and a plan before it creates.
    pub(crate) fn expect(&mut self, checked: &mut CheckedPlan) {
        checked.drop_findings(|finding| {
            let expected = finding.subject.as_ref().is_some_and(|subject| self.0.contains(subject));
            expected && finding.code == CLUSTER_NOT_FOUND
        });
        let creates =
            |change: &&Change| change.action == Action::Create && change.id.kind == ResourceKind::Cluster;
        self.0.extend(
            checked
                .plan()
                .changes()
                .map(|(_, change)| change)
                .filter(creates)
                .map(|change| change.id.clone()),
        );
    }
}
