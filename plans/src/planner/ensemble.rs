//! The ensemble's steps: formation, one voter at a time between odd sizes, settings. Each is a whole configuration
//! document for Exhibitor; a quorum gate stands before every step that could cost a vote.

pub(super) mod compact;
pub(super) mod migration;
mod path;
mod safety;

use self::path::Path;
use self::safety::{fills_up, refuse_growing_roll, refuse_replaced_holders, refuse_unsafe, replaces_pods};
use super::{Draft, PlanInput};
use crate::diff;
use crate::document::Document;
use crate::observed::{EnsembleState, Live, Reading};
use crate::plan::{
    Action, Call, Change, Disruption, EnsembleTarget, FieldChange, Gate, Precondition, ReadyWhen, Reason,
    StepKind,
};
use crate::resource::ResourceKind;
use crate::spec::Storage;
use crate::{exhibitor, quorum, roll, views};
use serde_json::{Value, json};

pub(super) fn steps(input: &PlanInput<'_>, draft: &mut Draft) {
    let Some(document) = input.desired.documents.iter().find(|one| one.id.kind == ResourceKind::Ensemble)
    else {
        return;
    };
    match input.observed.resources.get(&document.id) {
        Some(Reading::Unavailable(gap)) => {
            draft.gaps.insert(gap.clone());
        }
        Some(Reading::Absent) => form(input, document, draft),
        // Not read: nothing is proposed.
        None => {}
        Some(Reading::Known(live)) => match &input.observed.ensemble {
            Reading::Known(state) => changes(input, document, live, state, draft),
            Reading::Absent => form(input, document, draft),
            // Reported with the other gaps: no step while the ensemble cannot be read.
            Reading::Unavailable(_) => {}
        },
    }
}

/// What differs in the shared configuration; shown alone, so without steps.
pub(super) fn drift(input: &PlanInput<'_>, draft: &mut Draft) {
    let documents = input.desired.documents.iter().filter(|one| one.id.kind == ResourceKind::Ensemble);
    for document in documents {
        let Some(Reading::Known(live)) = input.observed.resources.get(&document.id) else { continue };
        let mut fields = diff::diff(&document.id, &document.body, live).fields;
        let mut reason = Reason::FieldsDiffer;
        if let Some(state) = input.observed.ensemble.known() {
            let held = roll::held(state);
            if !state.misread.is_empty() {
                reason = Reason::Misread(state.misread.clone());
                fields.extend(misread_by(state));
            } else if !held.is_empty() {
                reason = Reason::RollInterrupted(held);
            }
        }
        if fields.is_empty() {
            continue;
        }
        let voters = input.spec.exhibitor.replicas;
        let to = EnsembleTarget {
            voters,
            fixed_size: voters,
            keep: Vec::new(),
            join: Vec::new(),
            remove: Vec::new(),
            rolling: true,
            canary: false,
            renumber: false,
        };
        let precondition = Precondition::Unchanged(diff::fingerprint(&document.id, &document.body, live));
        draft.changes.push(Change {
            reason,
            diff: fields,
            precondition,
            ..step(document, to, Disruption::None)
        });
    }
}

/// How often Exhibitor looks at its ZooKeeper while the ensemble forms or changes members: a new period counts from the
/// moment it is read, so at the image's own 30 s a formation takes twice as long, and a roll three times. A live setting:
/// bringing it back restarts nothing.
const FORMING_CHECK_MS: &str = "1000";

/// What an ensemble without volumes risks.
const RISK: &str = "members keep their data in their pods: if all pods go at once, every znode is lost; \
    `spec.exhibitor.storage.persistent` gives each member a volume";

fn form(input: &PlanInput<'_>, document: &Document, draft: &mut Draft) {
    if !refuse_replaced_holders(input, document, draft) {
        draft.ensemble.extend(formation(input, document));
    }
}

/// One whole document forms the ensemble; a second one sets the declared check period, if it is longer. Pods that hold the data of
/// an ensemble whose configuration is lost form it alone: empty ones with them could elect an empty leader.
fn formation(input: &PlanInput<'_>, document: &Document) -> Vec<StepKind> {
    let wanted = input.spec.exhibitor.replicas;
    let holders = input.observed.ensemble.known().map(quorum::holders).unwrap_or_default();
    let held = u32::try_from(holders.len()).unwrap_or(wanted);
    let voters = if held == 0 { wanted } else { held.min(wanted) };
    let mut forming = Change {
        action: Action::Create,
        reason: if held == 0 { Reason::NotFound } else { Reason::ConfigurationLost(holders) },
        ..step(document, whoever(voters, false), Disruption::None)
    };
    let settling = settling(document, whoever(wanted, false));
    if settling.is_some() {
        check_often(&mut forming.body);
    }
    forming.diff = diff::declared(ResourceKind::Ensemble, &forming.body);
    if input.spec.exhibitor.storage == Storage::Ephemeral {
        forming.notes.push(RISK.to_owned());
    }
    let mut steps = vec![StepKind::Change(forming)];
    steps.extend((voters + 1..=wanted).flat_map(|next| grow(document, next)));
    steps.extend(settling.map(StepKind::Change));
    steps
}

/// So many voters, whoever they are by then.
pub(super) const fn whoever(voters: u32, rolling: bool) -> EnsembleTarget {
    EnsembleTarget {
        voters,
        fixed_size: odd_at_most(voters),
        keep: Vec::new(),
        join: Vec::new(),
        remove: Vec::new(),
        rolling,
        canary: false,
        renumber: false,
    }
}

/// The step to one voter more, and the gate before it.
pub(super) fn grow(document: &Document, to: u32) -> [StepKind; 2] {
    let from = to.saturating_sub(1);
    let alone = from == 1;
    let disruption = if alone { Disruption::All } else { Disruption::OneByOne };
    let mut change = step(document, whoever(to, true), disruption);
    change.reason = Reason::EnsembleStep { from, to };
    change.diff = vec![field("voters", json!(from), json!(to))];
    change.precondition = Precondition::Voters(from);
    check_often(&mut change.body);
    let gate = Gate::Quorum { voters: from, need: quorum::need(to), healthy: from, during: from };
    [StepKind::Gate(gate), StepKind::Change(change)]
}

pub(super) fn check_often(body: &mut Value) {
    if let Some(slot) = body.pointer_mut("/settings/checkMs") {
        *slot = json!(FORMING_CHECK_MS);
    }
}

/// Sets the declared check period, if it is longer, once the ensemble has its members.
pub(super) fn settling(document: &Document, target: EnsembleTarget) -> Option<Change> {
    let declared =
        document.body.pointer("/settings/checkMs").filter(|declared| **declared != FORMING_CHECK_MS)?;
    let precondition = Precondition::Voters(target.voters);
    let mut settling = step(document, target, Disruption::None);
    settling.diff = vec![check_period(json!(FORMING_CHECK_MS), declared.clone())];
    settling.precondition = precondition;
    Some(settling)
}

/// Whether Exhibitor looks at its ZooKeeper as often as while the ensemble forms.
fn looks_often(live: &Live) -> bool {
    live.document.pointer("/settings/checkMs").is_some_and(|period| period == FORMING_CHECK_MS)
}

fn check_period(before: Value, after: Value) -> FieldChange {
    FieldChange {
        cause: Some("spec.exhibitor.settings.check".to_owned()),
        ..field("settings.checkMs", before, after)
    }
}

pub(super) fn step(document: &Document, target: EnsembleTarget, disruption: Disruption) -> Change {
    let mut body = document.body.clone();
    if let Some(map) = body.as_object_mut() {
        map.insert("voters".to_owned(), json!(target.voters));
        map.insert("fixedSize".to_owned(), json!(target.fixed_size));
    }
    Change {
        id: document.id.clone(),
        action: Action::Update,
        reason: Reason::FieldsDiffer,
        diff: Vec::new(),
        body,
        ready_when: ReadyWhen::EnsembleServes { voters: target.voters },
        calls: vec![Call::SetEnsemble(target)],
        via: None,
        precondition: Precondition::Absent,
        disruption,
        notes: Vec::new(),
    }
}

fn changes(
    input: &PlanInput<'_>,
    document: &Document,
    live: &Live,
    state: &EnsembleState,
    draft: &mut Draft,
) {
    for host in views::alone(state) {
        draft.find(
            false,
            "serves-alone",
            &document.id,
            format!("{host} serves alone, outside the ensemble: what is written there is lost to it"),
            "look at `zkprov status`; its pod gets no clients from the Service, keep others away from it",
        );
    }
    if let Some((why, fix)) = quorum::ids_run_out(state) {
        draft.find(false, "ids-run-out", &document.id, why, fix);
    }
    let wanted = input.spec.exhibitor.replicas;
    let now = quorum::voters(state);
    let difference = diff::diff(&document.id, &document.body, live);
    let lost = quorum::lost(state);
    let migrates = migration::is_due(input, state);
    let still = lost.is_empty() && state.misread.is_empty() && state.stuck.is_none() && !migrates;
    let rests = still && difference.fields.is_empty();
    if input.compact_ids && exhibitor::renumbered(&state.servers) != state.servers {
        compact::steps(input, document, live, state, rests, draft);
        return;
    }
    // Not while a member is what the new pods repair.
    let all_serve = now == wanted && quorum::healthy(state) == now && !state.rolling;
    let forming = fills_up(state, now, &lost);
    let hurried = still && all_serve && !forming && replaces_pods(draft) && !looks_often(live);
    if rests && !hurried {
        draft.kept.push(Change {
            action: Action::Keep,
            reason: Reason::InSync,
            precondition: Precondition::Unchanged(diff::fingerprint(&document.id, &document.body, live)),
            calls: Vec::new(),
            ready_when: ReadyWhen::Done,
            body: Value::Null,
            ..step(document, target(state, now, wanted), Disruption::None)
        });
        return;
    }
    let canary = input.spec.exhibitor.canary;
    if migrates {
        let (moved, forming) = (false, false);
        let mut path = Path { document, live, state, moved, forming, hurried, canary, steps: Vec::new() };
        path.tell_again(now);
        migration::steps(&mut path, now, wanted, draft);
        draft.ensemble.extend(path.steps);
        return;
    }
    if refuse_unsafe(document, state, now, &lost, draft) || refuse_growing_roll(document, now, wanted, draft)
    {
        return;
    }
    let moved = !quorum::unnamed(state).is_empty() && members_move(draft, now, wanted);
    let mut path = Path { document, live, state, moved, forming, hurried, canary, steps: Vec::new() };
    if hurried {
        draft.before_pods = Some(path.look_often(now));
    }
    path.tell_again(now);
    // A roll of settings restarts them anyway.
    let rolls = now == wanted && path.rolls(&difference.fields);
    if lost.is_empty() && !rolls {
        path.resume(now);
    }
    if !lost.is_empty() {
        path.hurry(now);
        let keep = path.replace_lost(now, &lost);
        path.slow_down(now, keep);
    } else if now == wanted {
        if rolls {
            path.hurry(now);
        }
        path.settings(now, &difference.fields);
        if rolls || hurried {
            path.slow_down(now, target(state, now, now).keep);
        }
    } else {
        path.hurry(now);
        let keep = path.resize(now, wanted, &difference.fields);
        path.slow_down(wanted, keep);
    }
    draft.ensemble.extend(path.steps);
}

fn target(state: &EnsembleState, voters: u32, fixed_size: u32) -> EnsembleTarget {
    EnsembleTarget {
        voters,
        fixed_size,
        keep: state
            .servers
            .iter()
            .filter(|server| !server.observer)
            .map(|server| server.hostname.clone())
            .collect(),
        join: Vec::new(),
        remove: Vec::new(),
        rolling: true,
        canary: false,
        renumber: false,
    }
}

/// The largest odd size that is not above this many voters: what Exhibitor may keep the ensemble at by itself.
const fn odd_at_most(voters: u32) -> u32 {
    if voters.is_multiple_of(2) { voters.saturating_sub(1) } else { voters }
}

/// Whether pods are replaced before the ensemble's own steps: the members have other addresses by then. On the way down
/// the voters leave first.
fn members_move(draft: &Draft, now: u32, wanted: u32) -> bool {
    wanted >= now && draft.changes.iter().any(|change| change.disruption == Disruption::OneByOne)
}

/// Whether a change of these fields restarts members.
fn restarts(fields: &[FieldChange]) -> bool {
    keys(fields).any(exhibitor::restarts)
}

/// Whether it restarts all at once.
fn together(fields: &[FieldChange]) -> bool {
    fields.iter().filter_map(setting).any(|names| exhibitor::restarts_together(&names))
}

/// The setting that a field is about: its key, and its entry where that holds an object.
fn setting(field: &FieldChange) -> Option<Vec<&str>> {
    let mut names = field.path.names();
    (names.next() == Some("settings")).then(|| names.collect())
}

/// The keys of the settings that fields are about.
fn keys(fields: &[FieldChange]) -> impl Iterator<Item = &str> {
    fields.iter().filter_map(|field| setting(field)?.first().copied())
}

/// What each pod reads that has misread the shared configuration, and what it is to read.
fn misread_by(state: &EnsembleState) -> Vec<FieldChange> {
    let servers = exhibitor::format_servers(&state.servers);
    let read = |pod: &String| FieldChange {
        cause: None,
        ..field(&format!("servers as {pod} reads them"), json!(""), json!(servers))
    };
    state.misread.iter().map(read).collect()
}

pub(super) fn field(path: &str, before: Value, after: Value) -> FieldChange {
    FieldChange {
        path: path.into(),
        before: Some(before),
        after: Some(after).filter(|after| !after.is_null()),
        cause: Some("spec.exhibitor.replicas".to_owned()),
        manager: None,
        replaces: false,
    }
}
