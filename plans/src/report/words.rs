//! The words that all forms of a report share.

use crate::plan::{Action, Change, Disruption, FieldChange, Gate, Mode, Plan, Reason, StepKind};
use crate::resource::{ResourceId, ResourceKind, Scope};
use crate::spec::ValidSpec;
use serde_json::Value;

/// The sign of an action: `+ ~ -/+ - =`, and `<` for what becomes ours.
pub(super) const fn sign(action: Action) -> &'static str {
    match action {
        Action::Keep => "=",
        Action::Create => "+",
        Action::Update => "~",
        Action::Replace => "-/+",
        Action::Delete => "-",
        Action::Adopt => "<",
    }
}

/// The action as a verb: `create`.
#[must_use]
pub const fn action_word(action: Action) -> &'static str {
    match action {
        Action::Keep => "keep",
        Action::Create => "create",
        Action::Update => "update",
        Action::Replace => "replace",
        Action::Delete => "delete",
        Action::Adopt => "adopt",
    }
}

/// `deployment exhibitor`, and where it lives.
pub(super) fn name_and_place(id: &ResourceId) -> (String, String) {
    let place = match &id.scope {
        Scope::Google { location, .. } => location.clone(),
        Scope::Pool { cluster, .. } => cluster.clone(),
        Scope::Kube { cluster, namespace } if namespace == "-" => cluster.clone(),
        Scope::Kube { cluster, namespace } => format!("{cluster}/{namespace}"),
    };
    (format!("{} {}", id.kind.word(), id.name), place)
}

pub(super) fn reason(change: &Change) -> String {
    match &change.reason {
        Reason::InSync => "as the file says".to_owned(),
        Reason::NotFound => "does not exist yet".to_owned(),
        Reason::ContainerNotFound(container) => match &change.via {
            Some(_) => format!("comes with {}", container.name),
            None => format!("{} does not exist yet", container.name),
        },
        Reason::FieldsDiffer => match change.diff.len() {
            1 => "1 field differs".to_owned(),
            count => format!("{count} fields differ"),
        },
        Reason::ImmutableFields(fields) => format!("cannot change in place: {}", fields.join(", ")),
        Reason::NoLongerDeclared => "no longer in the file".to_owned(),
        Reason::DestroyRequested => "destroy".to_owned(),
        Reason::Retained(why) => format!("kept: {why}"),
        Reason::EnsembleStep { from, to } => format!("voters {from} -> {to}"),
        Reason::ConfigurationLost(hosts) => {
            format!("the shared configuration is lost; {} hold the ensemble's data", hosts.join(", "))
        }
        Reason::Misread(pods) => format!("{} read an empty list of members", pods.join(", ")),
        Reason::Rebuilt(pod) => format!("the majority is lost; rebuilt from what {pod} holds"),
        Reason::RollInterrupted(hosts) => {
            format!("a roll was cut off before it came to {}", hosts.join(", "))
        }
        Reason::RollStuck(host) => format!("Exhibitor's roll waits for {host}, whose pod is gone"),
        Reason::MembersLost(lost) => format!("members without a pod: {}", lost.join(", ")),
        Reason::Unmarked => "exists without our mark, becomes ours".to_owned(),
    }
}

/// What restarts; nothing for what interrupts nothing.
pub(super) const fn disruption(change: &Change) -> Option<&'static str> {
    match change.disruption {
        Disruption::None => None,
        Disruption::FileServer => Some("the file server is away for a while; members keep serving"),
        Disruption::OneByOne if matches!(change.id.kind, ResourceKind::NodePool) => {
            Some("nodes are drained in GKE's order, one member at a time")
        }
        Disruption::OneByOne => Some("members restart one by one, followers first, the leader last"),
        Disruption::All => Some("all members restart together, clients wait"),
    }
}

/// A gate in a few words.
#[must_use]
pub fn gate_words(gate: &Gate) -> String {
    match gate {
        Gate::Quorum { voters, need, healthy, during } => {
            format!("quorum: voters {voters}, need {need}, healthy {healthy} -> {during}")
        }
        Gate::PodsAnswer { replicas, .. } => format!("Exhibitor answers in {replicas} pods"),
        Gate::FileServerExports { server } => format!("{} exports the share", server.name),
        Gate::NoMounts { server } => format!("nothing mounts the share of {}", server.name),
    }
}

/// A value on one line; long texts as their number of lines.
pub(super) fn value(value: Option<&Value>) -> String {
    match value {
        None => "(absent)".to_owned(),
        Some(Value::String(text)) if text.contains('\n') => format!("({} lines)", text.lines().count()),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Where a change comes from: `spec.exhibitor.replicas, zkprov.yaml:14:15`, or nothing for what zkprov decides.
pub(super) fn cause(field: &FieldChange, spec: &ValidSpec) -> Option<String> {
    let key = field.cause.as_ref()?;
    // The key itself, or what the file says below it.
    let below = format!("{key}.");
    let place = spec
        .origins
        .get(key)
        .or_else(|| spec.origins.iter().find(|(known, _)| known.starts_with(&below)).map(|(_, place)| place));
    Some(match place {
        Some(place) => format!("{key}, {}:{}:{}", place.file, place.line, place.column),
        None => format!("{key}, by default"),
    })
}

/// Counts by action, in words: `16 to create, 1 to delete`.
#[must_use]
pub fn summary(plan: &Plan) -> String {
    let count = |action: Action| plan.changes().filter(|(_, change)| change.action == action).count();
    let parts: Vec<String> = [
        (Action::Create, "to create"),
        (Action::Update, "to change"),
        (Action::Replace, "to replace"),
        (Action::Delete, "to delete"),
        (Action::Adopt, "to take over"),
    ]
    .into_iter()
    .filter(|(action, _)| count(*action) > 0)
    .map(|(action, words)| format!("{} {words}", count(action)))
    .collect();
    match (parts.is_empty(), plan.gaps.is_empty()) {
        (true, true) => "no changes".to_owned(),
        (true, false) => "no change known".to_owned(),
        (false, _) => parts.join(", "),
    }
}

/// What the run is for, as a heading says it.
pub(super) const fn mode_words(mode: Mode) -> &'static str {
    match mode {
        Mode::Apply => "plan",
        Mode::Destroy { .. } => "destroy plan",
        Mode::RefreshOnly => "drift",
    }
}

/// Seconds along the longest chain of steps.
pub(super) fn critical_path(plan: &Plan) -> u32 {
    let mut finish: Vec<u32> = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        let start = step.after.iter().filter_map(|before| finish.get(*before)).max().copied().unwrap_or(0);
        finish.push(start + step.seconds);
    }
    finish.into_iter().max().unwrap_or(0)
}

/// `40 s`, `6 min`.
pub(super) fn duration(seconds: u32) -> String {
    if seconds < 90 { format!("{seconds} s") } else { format!("{} min", seconds.div_ceil(60)) }
}

/// The quorum gates and ensemble changes, for a heading: `3 -> 4 -> 5`.
pub(super) fn voter_path(plan: &Plan) -> Option<String> {
    let mut sizes: Vec<u32> = Vec::new();
    for step in &plan.steps {
        if let StepKind::Change(change) = &step.kind
            && let Reason::EnsembleStep { from, to } = change.reason
        {
            if sizes.is_empty() {
                sizes.push(from);
            }
            sizes.push(to);
        }
    }
    (!sizes.is_empty()).then(|| sizes.iter().map(u32::to_string).collect::<Vec<_>>().join(" -> "))
}
