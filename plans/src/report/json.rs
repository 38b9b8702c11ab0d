//! The plan as JSON: `resource_changes[].change.actions` as Terraform's plans have them, so that their policies and jq
//! filters work; steps, gates, gaps and findings beside them.

use super::{Report, words};
use crate::plan::{Action, Change, StepKind};
use crate::saved::FORMAT_VERSION;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

/// The whole plan as one value.
#[must_use]
pub fn json(report: &Report<'_>) -> Value {
    let plan = report.plan;
    json!({
        "format_version": FORMAT_VERSION,
        "ensemble": plan.ensemble,
        "mode": plan.mode,
        "summary": words::summary(plan),
        "replicas": plan.replicas,
        "resource_changes": resource_changes(report).collect::<Vec<_>>(),
        "steps": plan.steps.iter().enumerate().map(|(index, step)| {
            let (kind, subject) = match &step.kind {
                StepKind::Change(change) => ("change", json!(change.id)),
                StepKind::Gate(gate) => ("gate", json!(gate)),
            };
            json!({ "step": index, "kind": kind, "subject": subject, "after": step.after, "seconds": step.seconds })
        }).collect::<Vec<_>>(),
        "expected_seconds": words::critical_path(plan),
        "gaps": plan.gaps,
        "findings": plan.findings,
    })
}

/// All plans of a run as one value, which is made piece by piece as it is written.
#[must_use]
pub fn all_json<'a>(reports: &'a [Report<'a>]) -> impl Serialize {
    All {
        format_version: FORMAT_VERSION,
        resource_changes: AllChanges(reports),
        ensembles: Ensembles(reports),
    }
}

#[derive(Serialize)]
struct All<'a> {
    format_version: &'a str,
    resource_changes: AllChanges<'a>,
    ensembles: Ensembles<'a>,
}

struct AllChanges<'a>(&'a [Report<'a>]);

impl Serialize for AllChanges<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().flat_map(resource_changes))
    }
}

struct Ensembles<'a>(&'a [Report<'a>]);

impl Serialize for Ensembles<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(json))
    }
}

fn resource_changes<'a>(report: &'a Report<'a>) -> impl Iterator<Item = Value> + 'a {
    let changes = report.plan.changes().map(|(_, change)| change).chain(&report.plan.kept);
    changes.map(move |change| resource_change(change, report))
}

/// One JSON line for each resource change, one `summary` line at the end.
#[must_use]
pub fn json_line(report: &Report<'_>) -> String {
    let plan = report.plan;
    let line = |kind: &str, value: Value| {
        json!({ "type": kind, "ensemble": plan.ensemble, kind: value }).to_string()
    };
    let mut lines: Vec<String> = plan
        .changes()
        .map(|(_, change)| line("resource_change", resource_change(change, report)))
        .chain(plan.gaps.iter().map(|gap| line("gap", json!(gap))))
        .chain(plan.findings.iter().map(|finding| line("finding", json!(finding))))
        .collect();
    lines.push(line("summary", json!(words::summary(plan))));
    lines.join("\n") + "\n"
}

const fn actions(action: Action) -> &'static [&'static str] {
    match action {
        Action::Keep => &["no-op"],
        Action::Create => &["create"],
        Action::Update | Action::Adopt => &["update"],
        Action::Replace => &["delete", "create"],
        Action::Delete => &["delete"],
    }
}

fn resource_change(change: &Change, report: &Report<'_>) -> Value {
    let side = |pick: fn(&crate::plan::FieldChange) -> Option<&Value>| -> Value {
        let values: Map<String, Value> = change
            .diff
            .iter()
            .filter_map(|field| Some((field.path.to_string(), pick(field)?.clone())))
            .collect();
        if values.is_empty() { Value::Null } else { Value::Object(values) }
    };
    json!({
        "address": change.id,
        "type": change.id.kind.word(),
        "name": change.id.name,
        "change": {
            "actions": actions(change.action),
            "before": side(|field| field.before.as_ref()),
            "after": side(|field| field.after.as_ref()),
        },
        "action_reason": change.reason,
        "reason": words::reason(change),
        "fields": change.diff.iter().map(|field| json!({
            "path": field.path,
            "before": field.before,
            "after": field.after,
            "cause": words::cause(field, report.spec),
            "manager": field.manager,
            "replaces": field.replaces,
        })).collect::<Vec<_>>(),
        "disruption": change.disruption,
        "notes": change.notes,
    })
}
