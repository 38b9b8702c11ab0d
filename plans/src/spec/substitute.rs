//! `${env:NAME}` in values: the only substitution inside a file. `$${` stands for `${` itself.

use super::formats::Problem;
use super::source::{Findings, Span};
use super::tree::{Node, Scalar, ScalarKind, Value};

/// Finds the value of an environment variable.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces the variables in every scalar below the node; keys are left alone.
pub(super) fn substitute(node: &mut Node, lookup: Lookup<'_>, findings: &mut Findings) {
    let span = node.span;
    match &mut node.value {
        Value::Scalar(scalar) => {
            if scalar.text.contains("${") {
                substitute_scalar(scalar, span, lookup, findings);
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| substitute(item, lookup, findings)),
        Value::Map(entries) => {
            entries.iter_mut().for_each(|entry| substitute(&mut entry.node, lookup, findings))
        }
    }
}

fn substitute_scalar(scalar: &mut Scalar, span: Span, lookup: Lookup<'_>, findings: &mut Findings) {
    let mut result = String::new();
    let mut rest = scalar.text.as_str();
    let mut replaced = false;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        if let Some(kept) = before.strip_suffix('$') {
            result.push_str(kept);
            result.push_str("${");
            rest = from.get(2..).unwrap_or_default();
            continue;
        }
        result.push_str(before);
        let (variable, behind) = from.split_at(from.find('}').map_or(from.len(), |end| end + 1));
        match value_of(variable, lookup) {
            Ok(value) => result.push_str(&value),
            Err(Problem { code, message, reason, fix }) => {
                // One problem a value: the rest of it waits for the next run.
                let place = inside(scalar, span, scalar.text.len() - from.len(), variable.chars().count());
                findings.error(Some(place.into()), code, message, &reason, fix);
                scalar.kind = ScalarKind::Unknown;
                return;
            }
        }
        replaced = true;
        rest = behind;
    }
    result.push_str(rest);
    scalar.text = result;
    if replaced && scalar.kind == ScalarKind::Plain {
        scalar.kind = ScalarKind::Substituted;
    }
}

/// The value of `${env:NAME}`.
fn value_of(variable: &str, lookup: Lookup<'_>) -> Result<String, Problem> {
    let is_name = |name: &str| {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.bytes().all(word)
    };
    let inner = variable.strip_prefix("${env:").and_then(|rest| rest.strip_suffix('}'));
    let Some(name) = inner.filter(|name| is_name(name)) else {
        let message = if variable.ends_with('}') {
            format!("`{variable}` is not a substitution")
        } else {
            "`${` has no closing `}`".to_owned()
        };
        return Err(Problem {
            code: "invalid-substitution",
            message,
            reason: "The only one is `${env:NAME}`: no defaults, no nesting, no other sources.".to_owned(),
            fix: "write `${env:NAME}`, or `$${` for the characters themselves".to_owned(),
        });
    };
    lookup(name).ok_or_else(|| Problem {
        code: "unset-variable",
        message: format!("the environment variable `{name}` is not set"),
        reason: "An unset variable is never read as empty.".to_owned(),
        fix: format!("set it: `export {name}=...`, or write the value here"),
    })
}

/// The part of a scalar's span that begins `offset` bytes into its text, where the text stands as it was written.
fn inside(scalar: &Scalar, span: Span, offset: usize, length: usize) -> Span {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let characters = number(scalar.text.chars().count());
    let before = number(scalar.text.get(..offset).map_or(0, |text| text.chars().count()));
    let quote = match span.length.checked_sub(characters) {
        Some(0) if scalar.kind == ScalarKind::Plain => 0,
        Some(2) if scalar.kind == ScalarKind::Quoted => 1,
        Some(_) | None => return span,
    };
    Span {
        column: span.column.saturating_add(quote).saturating_add(before),
        length: number(length).max(1),
        ..span
    }
}
