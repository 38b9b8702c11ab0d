//! `--set path=value`: one value laid over every document, or with `NAME:path=value` over the one of that name.

use super::path;
use super::source::{Findings, Span};
use super::tree::{self, Entry, Node, Value};

/// A parsed `--set`.
pub(super) struct Override {
    /// The document it is for; all of them without a name.
    document: Option<String>,
    /// The keys on the way, outermost first.
    path: Vec<(String, Span)>,
    value: Node,
    /// How many sources are files: their numbers come first.
    files: usize,
}

/// Parses the text of one `--set`, which is the findings' source number `source`; the first `files` are files.
pub(super) fn parse(files: usize, source: usize, text: &str, findings: &mut Findings) -> Option<Override> {
    let whole = span(source, 0, text.chars().count());
    let Some((left, value)) = text.split_once('=') else {
        findings.error(
            Some(whole.into()),
            "invalid-override",
            format!("`{text}` has no `=`"),
            "An override is a path and a value.",
            "write it like `--set spec.exhibitor.replicas=5`".to_owned(),
        );
        return None;
    };
    let (document, path) =
        left.split_once(':').map_or((None, left), |(name, path)| (Some(name.to_owned()), path));
    let start = document.as_ref().map_or(0, |name| name.chars().count() + 1);
    let path = segments(source, path, start);
    if path.iter().any(|(key, _)| key.is_empty()) {
        findings.error(
            Some(whole.into()),
            "invalid-override",
            format!("`{left}` is not a path of keys"),
            "Keys are joined by single dots; a dot that belongs to a key is written `\\.`.",
            "write it like `--set spec.exhibitor.replicas=5`".to_owned(),
        );
        return None;
    }
    // Blanks in place of the path keep the parser's columns those of the argument.
    let indent = left.chars().count() + 1;
    let padded = format!("{}{value}", " ".repeat(indent));
    let before = findings.errors();
    let mut documents = tree::parse(source, &padded, findings);
    if findings.errors() > before {
        return None;
    }
    let value = match (documents.pop(), documents.is_empty()) {
        (Some(value), true) if !value.is_null() => value,
        (Some(_) | None, _) => {
            findings.error(
                Some(span(source, indent.saturating_sub(1), 1).into()),
                "missing-value",
                format!("`--set {left}=` needs one value"),
                "An override replaces a value; it cannot remove a key.",
                "write the value behind the `=`, quoted if it is a text of several words".to_owned(),
            );
            return None;
        }
    };
    Some(Override { document, path, value, files })
}

fn span(source: usize, start: usize, length: usize) -> Span {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Span { source, line: 1, column: number(start).saturating_add(1), length: number(length).max(1) }
}

/// The keys of a path and where each stands; `start` is the column (0-based) of the path in its argument.
fn segments(source: usize, path: &str, start: usize) -> Vec<(String, Span)> {
    let pieces = path::pieces(path).into_iter();
    pieces.map(|(key, at)| (key, span(source, start + at.start, at.len()))).collect()
}

impl Override {
    /// Lays the value over the documents it is for.
    pub(super) fn apply(&self, documents: &mut [Node], findings: &mut Findings) {
        let mut met = false;
        for document in documents.iter_mut() {
            if self.document.as_deref().is_none_or(|name| name == document_name(document)) {
                met = true;
                self.lay_over(document, findings);
            }
        }
        let place = self.path.first().map(|(_, span)| (*span).into());
        if let (false, Some(name)) = (met, &self.document) {
            let mut names: Vec<&str> = documents.iter().map(document_name).collect();
            names.sort_unstable();
            findings.error(
                place,
                "unknown-ensemble",
                format!("no ensemble is named `{name}`"),
                &format!("The files have: {}.", names.join(", ")),
                "name one of them before the colon, or leave `NAME:` out for all of them".to_owned(),
            );
        }
    }

    fn lay_over(&self, document: &mut Node, findings: &mut Findings) {
        let Some(((last, last_span), way)) = self.path.split_last() else { return };
        let mut node = document;
        for (key, key_span) in way {
            let Some(entries) = entries_of(node, key, *key_span, findings) else { return };
            let Some(next) = child(entries, key, *key_span) else { return };
            node = next;
        }
        let Some(entries) = entries_of(node, last, *last_span, findings) else { return };
        let Some(place) = child(entries, last, *last_span) else { return };
        // The value's own place is the argument; what stood in a file is told beside it.
        let in_file = (place.span.source < self.files).then_some(place.span);
        let replaced = place.replaced.or(in_file);
        *place = Node { replaced, ..self.value.clone() };
    }
}

/// The entries below a node, made if there is nothing yet.
fn entries_of<'a>(
    node: &'a mut Node,
    key: &str,
    key_span: Span,
    findings: &mut Findings,
) -> Option<&'a mut Vec<Entry>> {
    if node.is_null() {
        node.value = Value::Map(Vec::new());
    }
    match &mut node.value {
        Value::Map(entries) => Some(entries),
        Value::List(_) | Value::Scalar(_) => {
            findings.error(
                Some(key_span.into()),
                "invalid-override",
                format!("`{key}` cannot be set: what it belongs to is no map"),
                "A path goes through maps only; a list is set as a whole.",
                "set the whole value, such as `--set path=[a, b]`".to_owned(),
            );
            None
        }
    }
}

/// The value of a key, made if it is not there.
fn child<'a>(entries: &'a mut Vec<Entry>, key: &str, key_span: Span) -> Option<&'a mut Node> {
    if !entries.iter().any(|entry| entry.key == key) {
        let node = Node::new(key_span, Value::Map(Vec::new()));
        entries.push(Entry { key: key.to_owned(), key_span, node });
    }
    entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.node)
}

/// The name a document goes by.
pub(super) fn document_name(document: &Node) -> &str {
    let name = document.get("metadata").and_then(|metadata| metadata.get("name"));
    name.and_then(Node::scalar_text).unwrap_or(super::DEFAULT_NAME)
}
