//! What is wrong with an input, where, why, and the edit or command that mends it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing stops.
    Warning,
    /// The input is refused.
    Error,
}

/// A place in an input: a file (or `<stdin>`, `--set`), and 1-based line and column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    /// Path as the user gave it, `<stdin>`, or `--set spec.zone=…`.
    pub file: String,
    /// 1-based line.
    pub line: u32,
    /// 1-based column, in characters.
    pub column: u32,
    /// Length in characters of what the caret underlines, at least 1.
    pub length: u32,
}

/// One finding about an input. All findings of a run are reported together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Where; `None` when the finding is about the input as a whole.
    pub location: Option<Location>,
    /// How bad.
    pub severity: Severity,
    /// Stable kebab-case code, e.g. `even-replicas`.
    pub code: String,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// Why it is refused, one or two sentences; may be empty.
    pub reason: String,
    /// The edit or command that mends it; may be empty.
    pub fix: String,
    /// The source line the caret stands under, without its line end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_line: Option<String>,
}

impl fmt::Display for Location {
    /// `zkprov.yaml:16:15`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The widest part of a source line that is shown, in characters.
const WINDOW: usize = 160;

/// Renders findings for a terminal, in rustc's manner: what, where with the line and a caret, why, and the fix.
///
/// With `color`, ANSI escapes mark the severity. Control characters of the input never reach the terminal.
#[must_use]
pub fn render_text(diagnostics: &[Diagnostic], color: bool) -> String {
    let blocks: Vec<String> = diagnostics.iter().map(|finding| render(finding, Paint { color })).collect();
    blocks.join("\n")
}

/// ANSI colours, or none.
#[derive(Clone, Copy)]
struct Paint {
    color: bool,
}

impl Paint {
    fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn render(finding: &Diagnostic, paint: Paint) -> String {
    let (word, accent) = match finding.severity {
        Severity::Error => ("error", "1;31"),
        Severity::Warning => ("warning", "1;33"),
    };
    let frame = |text: &str| paint.paint("1;34", text);
    let head = paint.paint(accent, &format!("{word}[{}]", printable(&finding.code)));
    let mut text = format!("{head}: {}\n", paint.paint("1", &printable(&finding.message)));
    let mut margin = "  ".to_owned();
    if let Some(location) = &finding.location {
        let number = location.line.to_string();
        let blank = " ".repeat(number.len());
        let place = format!("{}:{}:{}", printable(&location.file), location.line, location.column);
        text.push_str(&format!("{blank}{} {place}\n", frame("-->")));
        if let Some(line) = &finding.source_line {
            let (line, caret) = excerpt(line, location);
            let bar = frame("|");
            text.push_str(&format!("{blank} {bar}\n{} {bar} {line}\n", frame(&number)));
            text.push_str(&format!("{blank} {bar} {}\n", paint.paint(accent, &caret)));
        }
        margin = format!("{blank} ");
    }
    for (label, content) in [("reason", &finding.reason), ("fix", &finding.fix)] {
        if !content.is_empty() {
            let label = paint.paint("1", label);
            text.push_str(&format!("{margin}{} {label}: {}\n", frame("="), printable(content)));
        }
    }
    text
}

/// The part of a line around its caret, and the line that underlines it.
fn excerpt(line: &str, location: &Location) -> (String, String) {
    let count = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
    let column = count(location.column).saturating_sub(1);
    let characters: Vec<char> = line.chars().collect();
    let cut =
        if characters.len() > WINDOW { column.saturating_sub(WINDOW / 4).min(characters.len()) } else { 0 };
    let shown: String = characters.iter().skip(cut).take(WINDOW).collect();
    let before = column - cut;
    let indent: String = (0..before.min(WINDOW)).map(|_| ' ').collect();
    let room = shown.chars().count().saturating_sub(before).max(1);
    let caret = "^".repeat(count(location.length).clamp(1, room));
    (printable(&shown), format!("{indent}{caret}"))
}

/// The text with every control character replaced by one visible sign, so that columns stay and terminals are safe.
fn printable(text: &str) -> String {
    let hidden = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            _ if c.is_control() || hidden(c) => '\u{fffd}',
            _ => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding() -> Diagnostic {
        Diagnostic {
            location: Some(Location { file: "zkprov.yaml".to_owned(), line: 16, column: 15, length: 1 }),
            severity: Severity::Error,
            code: "even-replicas".to_owned(),
            message: "4 replicas are an even number".to_owned(),
            reason: "ZooKeeper needs a majority.".to_owned(),
            fix: "write 3 or 5".to_owned(),
            source_line: Some("    replicas: 4".to_owned()),
        }
    }

    #[test]
    fn text_has_the_line_and_a_caret() {
        let expected = "\
error[even-replicas]: 4 replicas are an even number
  --> zkprov.yaml:16:15
   |
16 |     replicas: 4
   |               ^
   = reason: ZooKeeper needs a majority.
   = fix: write 3 or 5
";
        assert_eq!(render_text(&[finding()], false), expected);
        assert!(render_text(&[finding()], true).contains("\u{1b}[1;31merror"));
    }

    #[test]
    fn control_characters_stay_out_of_the_terminal() {
        let mut hostile = finding();
        hostile.message = "\u{1b}[2J`\r\n`".to_owned();
        hostile.source_line = Some("\u{1b}]0;x\u{7}".to_owned());
        let text = render_text(&[hostile], false);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let mut long = finding();
        long.source_line = Some(format!("{}X{}", "a".repeat(1000), "b".repeat(1000)));
        long.location = Some(Location { file: "f".to_owned(), line: 1, column: 1001, length: 4000 });
        let text = render_text(&[long], false);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() < 200), "{text}");
        let column = lines[4].find('^').unwrap();
        assert_eq!(lines[3].chars().nth(column), Some('X'));
    }
}
