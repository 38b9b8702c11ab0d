//! The plan as Markdown, for a pull request or a step summary.

use super::{Report, Style, text, words};
use crate::plan::StepKind;
use std::fmt::Write as _;

/// Most characters of a details block: step summaries hold 1 MiB, comments 65,536.
const ROOM: usize = 50_000;

/// A table of steps, then the whole text in a details block.
#[must_use]
pub fn markdown(report: &Report<'_>) -> String {
    let plan = report.plan;
    let mut out = String::new();
    let _ = writeln!(out, "### Ensemble `{}`: {}\n", plan.ensemble, words::summary(plan));
    if !plan.steps.is_empty() {
        out.push_str("| # | | what | why |\n| --: | --- | --- | --- |\n");
    }
    for (index, step) in plan.steps.iter().enumerate() {
        let _ = match &step.kind {
            StepKind::Change(change) => {
                let (name, place) = words::name_and_place(&change.id);
                let sign = words::sign(change.action);
                writeln!(
                    out,
                    "| {} | `{sign}` | `{name}` in {place} | {} |",
                    index + 1,
                    cell(&words::reason(change))
                )
            }
            StepKind::Gate(gate) => {
                writeln!(out, "| {} | `?` | gate | {} |", index + 1, cell(&words::gate_words(gate)))
            }
        };
    }
    for finding in &plan.findings {
        let word = if finding.fatal { "Refused" } else { "Note" };
        let _ = writeln!(out, "\n> **{word}** `{}`: {}. {}", finding.code, finding.message, finding.fix);
    }
    for gap in &plan.gaps {
        let _ = writeln!(out, "\n> **Could not be read**: {}: {}", gap.what, gap.why);
    }
    let whole = text(report, Style { color: false, width: 100, verbose: true });
    let cut: String = whole.chars().take(ROOM).collect();
    let more = if cut.len() < whole.len() { "\n... (cut; `zkprov plan -v` shows the rest)" } else { "" };
    let fence = "`".repeat(longest_run(&cut).max(2) + 1);
    let _ = writeln!(
        out,
        "\n<details><summary>Details</summary>\n\n{fence}text\n{cut}{more}\n{fence}\n\n</details>"
    );
    out
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The longest run of backticks, so that the fence is longer.
fn longest_run(text: &str) -> usize {
    text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0)
}
