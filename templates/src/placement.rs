//! Where an interpolation may stand in a template. Quoting makes a value a literal; it is safe only where the
//! language expects a literal. A quoted value inside quotes, in a comment or in a here-document is not, so such
//! templates are refused before they are rendered.

use crate::quote::Language;

/// An interpolation in a place where quoting does not protect it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misplaced {
    /// 1-based line of the template.
    pub(crate) line: usize,
    /// Why it is refused.
    pub(crate) reason: &'static str,
    /// What to write instead.
    pub(crate) fix: &'static str,
}

/// Refuses the first interpolation that stands where a value's quotes would not be read as quotes.
pub(crate) fn check(language: Language, source: &str) -> Result<(), Misplaced> {
    let mut here_document = false;
    for (index, text) in source.lines().enumerate() {
        let text = without_tags(text);
        here_document |= text.contains("<<");
        for (start, _) in text.match_indices("{{") {
            let before = text.get(..start).unwrap_or_default();
            let after = text.get(start..).and_then(|rest| rest.split_once("}}")).map(|(_, after)| after);
            let misplaced = |reason, fix| Err(Misplaced { line: index + 1, reason, fix });
            let Some(after) = after else {
                return misplaced("an interpolation spans lines", "put {{ .. }} on one line");
            };
            match language {
                Language::Json | Language::Yaml if !stands_as_value(before, after) => {
                    return misplaced(
                        "an interpolation makes the whole value, quotes included; here it would stand inside another",
                        "write {{ a ~ \"-b\" }}, without quotes around it",
                    );
                }
                Language::Shell if here_document || !is_assigned(before, after) => {
                    return misplaced(
                        "an interpolation in a shell script must be the whole value of an assignment, before any <<",
                        "write NAME={{ value }} at the top of the script and use \"$NAME\"",
                    );
                }
                Language::Json | Language::Yaml | Language::Shell => {}
            }
        }
    }
    Ok(())
}

/// The line without its `{% .. %}` and `{# .. #}`: they put nothing out.
fn without_tags(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    loop {
        let tag = ["{%", "{#"].into_iter().filter_map(|open| rest.find(open).map(|at| (at, open))).min();
        let Some((at, open)) = tag else {
            out.push_str(rest);
            return out;
        };
        let (before, inside) = rest.split_at(at);
        out.push_str(before);
        let close = if open == "{%" { "%}" } else { "#}" };
        match inside.split_once(close) {
            Some((_, after)) => rest = after,
            None => return out,
        }
    }
}

/// Whether a value may stand between the two: `key: {{ v }}`, `- {{ v }}`, `[{{ v }}, {{ v }}]`, `{{ key }}: `.
fn stands_as_value(before: &str, after: &str) -> bool {
    let before = before.trim_end();
    let list_item = before.trim_start() == "-" || before.ends_with(" -");
    let opened = before.is_empty() || list_item || before.ends_with([':', ',', '[', '{']);
    let after = after.trim_start();
    let closed = after.is_empty() || after.starts_with([',', ']', '}', ':']);
    opened && closed && !before.trim_start().starts_with('#')
}

/// Whether the line is an assignment of this value alone: `NAME={{ v }}`, a comment may follow.
fn is_assigned(before: &str, after: &str) -> bool {
    let name = before.trim_start().trim_start_matches("readonly ").trim_start_matches("local ");
    let Some(name) = name.strip_suffix('=') else { return false };
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name && (after.trim().is_empty() || after.starts_with(' ') && after.trim_start().starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_value_is_accepted() {
        for text in [
            "a: {{ x }}",
            "- {{ x }}",
            "{{ k }}: {{ v }}",
            "a: [{{ x }}, {{ y }}]",
            "{% if a %}b: {{ c }}{% endif %}",
        ] {
            assert_eq!(check(Language::Yaml, text), Ok(()), "{text}");
        }
        for text in
            ["\"a\": {{ x ~ \"-y\" }},", "  {{ x }}{% if not loop.last %},{% endif %}", "{\"a\": {{ x }}}"]
        {
            assert_eq!(check(Language::Json, text), Ok(()), "{text}");
        }
        for text in ["NAME={{ x }}", "readonly A={{ x }}", "A={{ x }}    # what it is", "# {% if smb %}"] {
            assert_eq!(check(Language::Shell, text), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_value_inside_another_is_refused_with_its_line() {
        for (language, text) in [
            (Language::Json, "{\n \"a\": \"{{ x }}\""),
            (Language::Json, "{\n \"a\": [\"{{ x }}\"]"),
            (Language::Yaml, "a: b\nc: d-{{ x }}"),
            (Language::Yaml, "a: b\nc: '{{ x }}'"),
            (Language::Yaml, "a: b\n# {{ x }}"),
            (Language::Yaml, "a: b\nc: {{ x }}-d"),
            (Language::Yaml, "a: b\nc: {{ x"),
            (Language::Shell, "a\necho {{ x }}"),
            (Language::Shell, "a\nA=\"{{ x }}\""),
            (Language::Shell, "a\nA={{ x }}$(id)"),
            (Language::Shell, "cat <<C\nA={{ x }}"),
            (Language::Shell, "a\n# {{ x }}"),
        ] {
            assert_eq!(check(language, text).map_err(|misplaced| misplaced.line), Err(2), "{text}");
        }
    }
}
