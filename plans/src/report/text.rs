//! The plan as text: scannable columns, one line a step, the differences below.

use super::words;
use super::{Report, Style};
use crate::plan::{Action, Change, FieldChange, Finding, Mode, Reason, StepKind};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use std::fmt::Write as _;

/// Declared fields shown of a resource that is created, unless verbose.
const SHOWN: usize = 4;
/// Lines of context around a changed line of a long text.
const CONTEXT: usize = 1;

/// The plan as text, ending with a summary line.
#[must_use]
pub fn text(report: &Report<'_>, style: Style) -> String {
    let mut page = Page { report, style, out: String::new() };
    page.heading();
    page.steps();
    page.kept();
    page.notes();
    page.summary();
    page.out
}

struct Page<'a> {
    report: &'a Report<'a>,
    style: Style,
    out: String,
}

impl Page<'_> {
    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.style.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn action_color(action: Action) -> &'static str {
        match action {
            Action::Create => "32",
            Action::Update | Action::Adopt => "33",
            Action::Replace | Action::Delete => "31",
            Action::Keep => "2",
        }
    }

    fn heading(&mut self) {
        let (spec, plan) = (self.report.spec, self.report.plan);
        let place = [spec.project.as_str(), spec.zone.as_str(), spec.cluster.name()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(", ");
        let title = format!("Ensemble {}", plan.ensemble);
        let heading = format!("{} ({place}): {}", self.paint("1", &title), words::mode_words(plan.mode));
        self.line(&heading);
        self.line("");
    }

    fn steps(&mut self) {
        let plan = self.report.plan;
        let widest = plan
            .changes()
            .map(|(_, change)| words::name_and_place(&change.id).0.len())
            .max()
            .unwrap_or(0)
            .min(self.style.width.saturating_sub(40).max(24));
        for (index, step) in plan.steps.iter().enumerate() {
            match &step.kind {
                StepKind::Change(change) => self.change(index + 1, change, widest),
                StepKind::Gate(gate) => {
                    let words = self.dim(&format!("{:>3}   ? {}", index + 1, words::gate_words(gate)));
                    self.line(&words);
                }
            }
        }
        if !plan.steps.is_empty() {
            self.line("");
        }
    }

    fn change(&mut self, number: usize, change: &Change, widest: usize) {
        let (name, place) = words::name_and_place(&change.id);
        let sign =
            self.paint(Self::action_color(change.action), &format!("{:>3}", words::sign(change.action)));
        let tail = format!("{place}  {}", words::reason(change));
        let line = format!("{number:>3} {sign} {name:<widest$}  {}", self.dim(&tail));
        self.line(&line);
        match change.action {
            Action::Create => self.created(change),
            Action::Update | Action::Replace | Action::Adopt => {
                for field in &change.diff {
                    self.field(field);
                }
            }
            Action::Delete | Action::Keep => {}
        }
        for note in
            words::disruption(change).into_iter().map(str::to_owned).chain(change.notes.iter().cloned())
        {
            let note = self.paint("33", &format!("        ! {note}"));
            self.line(&note);
        }
    }

    fn created(&mut self, change: &Change) {
        // Names, labels and kinds say nothing new; the rest in the order of the document.
        let telling = |field: &&FieldChange| {
            let path = field.path.to_string();
            let plain = ["apiVersion", "kind", "name", "description"].contains(&path.as_str());
            !(plain
                || path.starts_with("metadata.") && !path.starts_with("metadata.items")
                || path.contains("abels"))
        };
        let fields: Vec<&FieldChange> = change.diff.iter().filter(telling).collect();
        let shown = if self.style.verbose { fields.len() } else { fields.len().min(SHOWN) };
        for field in fields.iter().take(shown) {
            let value = self.fit(&words::value(field.after.as_ref()), field.path.to_string().len() + 10);
            let line = self.dim(&format!("        {}: {value}", field.path));
            self.line(&line);
        }
        if fields.len() > shown {
            let more = self.dim(&format!("        ... {} more fields (-v shows them)", fields.len() - shown));
            self.line(&more);
        }
    }

    /// Cuts a value so that the line fits.
    fn fit(&self, value: &str, used: usize) -> String {
        let room = self.style.width.saturating_sub(used).max(16);
        if self.style.verbose || value.chars().count() <= room {
            return value.to_owned();
        }
        let kept: String = value.chars().take(room.saturating_sub(3)).collect();
        format!("{kept}...")
    }

    fn field(&mut self, field: &FieldChange) {
        let long =
            |value: &Option<Value>| value.as_ref().and_then(Value::as_str).is_some_and(|t| t.contains('\n'));
        let from =
            words::cause(field, self.report.spec).map(|cause| format!("  <- {cause}")).unwrap_or_default();
        let by = field.manager.as_ref().map(|who| format!("  (set by {who})")).unwrap_or_default();
        let replaces = if field.replaces { "  forces replacement" } else { "" };
        let remark = self.dim(&format!("{from}{by}{replaces}"));
        if long(&field.before) || long(&field.after) {
            self.line(&format!("        {}:{remark}", field.path));
            self.lines(field);
            return;
        }
        let before = self.paint("31", &words::value(field.before.as_ref()));
        let after = self.paint("32", &words::value(field.after.as_ref()));
        self.line(&format!("        {}: {before} -> {after}{remark}", field.path));
    }

    fn lines(&mut self, field: &FieldChange) {
        let text =
            |value: &Option<Value>| value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        let (before, after) = (text(&field.before), text(&field.after));
        let diff = TextDiff::from_lines(&before, &after);
        for group in diff.grouped_ops(CONTEXT) {
            for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                let (sign, color) = match change.tag() {
                    ChangeTag::Delete => ("-", "31"),
                    ChangeTag::Insert => ("+", "32"),
                    ChangeTag::Equal => (" ", "2"),
                };
                let line = self.paint(color, &format!("          {sign} {}", change.value().trim_end()));
                self.line(&line);
            }
        }
    }

    fn kept(&mut self) {
        let plan = self.report.plan;
        let retained: Vec<&Change> =
            plan.kept.iter().filter(|change| matches!(change.reason, Reason::Retained(_))).collect();
        for change in &retained {
            let (name, place) = words::name_and_place(&change.id);
            self.line(&format!("      = {name}  {place}  {}", words::reason(change)));
        }
        let same = plan.kept.len() - retained.len();
        if same > 0 {
            let noun = if same == 1 { "resource" } else { "resources" };
            let line = self.dim(&format!("      = {same} {noun} as the file says"));
            self.line(&line);
        }
        if !plan.kept.is_empty() {
            self.line("");
        }
    }

    fn notes(&mut self) {
        let plan = self.report.plan;
        for gap in &plan.gaps {
            let line = self.paint("31", &format!("could not be read: {}", gap.what));
            self.line(&line);
            self.line(&format!("  why: {}", gap.why));
            if !gap.hint.is_empty() {
                self.line(&format!("  next: {}", gap.hint));
            }
        }
        for finding in &plan.findings {
            self.finding(finding);
        }
        if !(plan.gaps.is_empty() && plan.findings.is_empty()) {
            self.line("");
        }
    }

    fn finding(&mut self, finding: &Finding) {
        let (word, color) = if finding.fatal { ("refused", "31") } else { ("note", "33") };
        let head = self.paint(color, &format!("{word}[{}]", finding.code));
        self.line(&format!("{head}: {}", finding.message));
        if !finding.fix.is_empty() {
            self.line(&format!("  fix: {}", finding.fix));
        }
    }

    fn summary(&mut self) {
        let plan = self.report.plan;
        let words = words::summary(plan);
        let mut line = match plan.mode {
            Mode::RefreshOnly if plan.steps.is_empty() => "Drift: none".to_owned(),
            Mode::RefreshOnly if plan.steps.len() == 1 => {
                "Drift: 1 resource differs from the file".to_owned()
            }
            Mode::RefreshOnly => format!("Drift: {} resources differ from the file", plan.steps.len()),
            Mode::Apply | Mode::Destroy { .. } => format!("Plan: {words}"),
        };
        if let Some(path) = words::voter_path(plan) {
            let _ = write!(line, "; voters {path}");
        }
        let seconds = words::critical_path(plan);
        if seconds > 0 && plan.mode != Mode::RefreshOnly {
            let _ = write!(line, "; about {}", words::duration(seconds));
        }
        if !plan.gaps.is_empty() {
            let _ = write!(
                line,
                "; {} could not be read, nothing is proposed for what depends on it",
                plan.gaps.len()
            );
        }
        let line = format!("{}.", self.paint("1", &line));
        self.line(&line);
    }
}
