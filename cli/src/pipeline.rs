//! From the file to a checked plan: load, render, read, plan, check.

use crate::args::Consent;
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::input;
use crate::session::Session;
use std::collections::BTreeSet;
use zkprov_engine::provider::ReadRequest;
use zkprov_plans::check::check;
use zkprov_plans::document::Desired;
use zkprov_plans::plan::{Action, Change, Mode, Plan};
use zkprov_plans::planner::{CLUSTER_NOT_FOUND, PlanInput, plan};
use zkprov_plans::report::Report;
use zkprov_plans::resource::{ResourceId, ResourceKind};
use zkprov_plans::spec::ValidSpec;

/// One ensemble with its plan.
pub(crate) struct Planned {
    pub(crate) spec: ValidSpec,
    pub(crate) plan: Plan,
}

impl Planned {
    pub(crate) const fn report(&self) -> Report<'_> {
        Report { spec: &self.spec, plan: &self.plan }
    }

    /// Whether the plan must not be carried out.
    pub(crate) fn refused(&self) -> bool {
        self.plan.findings.iter().any(|finding| finding.fatal)
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
    let overrides = input::templates(context)?;
    let render = |spec: &ValidSpec| {
        zkprov_templates::render(spec, &overrides).map_err(|error| CommandError::failed("rendering", &error))
    };
    specs.iter().map(render).collect()
}

/// Reads what is live for all specs at once, and plans each.
pub(crate) async fn plan_all(
    context: &Context,
    session: &Session,
    specs: Vec<ValidSpec>,
    mode: Mode,
    consent: &Consent,
) -> Result<Vec<Planned>, CommandError> {
    let desired = render(context, &specs)?;
    plan_rendered(session, specs, desired, mode, consent).await
}

/// As [`plan_all`], for documents rendered before.
pub(crate) async fn plan_rendered(
    session: &Session,
    specs: Vec<ValidSpec>,
    desired: Vec<Desired>,
    mode: Mode,
    consent: &Consent,
) -> Result<Vec<Planned>, CommandError> {
    let replace = replaceable(consent)?;
    let requests: Vec<ReadRequest<'_>> =
        specs.iter().zip(&desired).map(|(spec, desired)| ReadRequest { spec, desired }).collect();
    let observed = session.cloud.observe(&requests).await;
    drop(requests);
    let mut planned = Vec::new();
    for ((spec, desired), observed) in specs.into_iter().zip(desired).zip(observed) {
        let input = PlanInput {
            spec: &spec,
            desired: &desired,
            observed: &observed,
            mode,
            replace: &replace,
            adopt: consent.adopt,
        };
        let mut plan = plan(&input).map_err(|error| CommandError::failed("planning", &error))?;
        plan.findings.extend(check(&plan, &observed, consent.adopt));
        planned.push(Planned { spec, plan });
    }
    expect_created_clusters(&mut planned);
    Ok(planned)
}

/// Ensembles are carried out one after the other: a cluster that one creates is there for those after it, which use it
/// as `existing: true`.
pub(crate) fn expect_created_clusters(planned: &mut [Planned]) {
    let mut created = BTreeSet::new();
    for one in planned {
        one.plan.findings.retain(|finding| {
            let expected = finding.subject.as_ref().is_some_and(|subject| created.contains(subject));
            !(expected && finding.code == CLUSTER_NOT_FOUND)
        });
        let creates =
            |change: &&Change| change.action == Action::Create && change.id.kind == ResourceKind::Cluster;
        created.extend(
            one.plan.changes().map(|(_, change)| change).filter(creates).map(|change| change.id.clone()),
        );
    }
}
