//! Edits of the file's text that leave comments and formatting alone.

use super::overrides::document_name;
use super::path;
use super::source::{Findings, Source};
use super::tree::{self, Node, Scalar, ScalarKind, Value};

/// Why a text was not edited; it is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text is no YAML.
    #[error("the file is not valid YAML: run `zkprov validate`")]
    Unreadable,
    /// No document, or more than one, goes by the name.
    #[error("the file has {count} ensembles named `{name}`, not one")]
    NotOne {
        /// The name asked for.
        name: String,
        /// How many documents have it.
        count: usize,
    },
    /// The document has no plain value there that could be replaced.
    #[error("`{path}` of `{name}` is not a value written in the file: change what it comes from")]
    NotWritten {
        /// The name of the ensemble.
        name: String,
        /// Where it was looked for.
        path: String,
    },
}

/// The text with another number of replicas for one ensemble, and every other byte as it was.
///
/// # Errors
/// As [`set_scalar`].
pub fn set_replicas(text: &str, ensemble: &str, replicas: u32) -> Result<String, EditError> {
    set_scalar(text, ensemble, "spec.exhibitor.replicas", &replicas.to_string())
}

/// The text with another value at a path of one ensemble, as `--set` has paths, and every other byte as it was.
///
/// Whether the value is a good one is for [`load`](super::load()) to say.
///
/// # Errors
/// When the text is not valid YAML, when not exactly one document has the name, and when what stands at the path comes from an
/// alias, from `${env:NAME}`, is quoted or is missing, or the value is none that can stand unquoted.
pub fn set_scalar(text: &str, ensemble: &str, path: &str, value: &str) -> Result<String, EditError> {
    let name = ensemble.to_owned();
    let mut documents = parse(text)?;
    let count = documents.iter().filter(|document| document_name(document) == name).count();
    let named = documents.iter_mut().find(|document| document_name(document) == name);
    let (Some(document), 1) = (named, count) else { return Err(EditError::NotOne { name, count }) };
    let not_written = EditError::NotWritten { name, path: path.to_owned() };
    let Some(node) = path::keys(path).iter().try_fold(document, |node, key| node.get_mut(key)) else {
        return Err(not_written);
    };
    let Some(edited) = replace(text, node, value) else { return Err(not_written) };
    node.value = Value::Scalar(Scalar { text: value.to_owned(), kind: ScalarKind::Plain });
    // An alias would have changed, or been changed with, another value.
    let same = parse(&edited)?.iter().map(contents).eq(documents.iter().map(contents));
    if same { Ok(edited) } else { Err(not_written) }
}

fn parse(text: &str) -> Result<Vec<Node>, EditError> {
    let source = Source { name: String::new(), text: text.to_owned() };
    let mut findings = Findings::new(vec![source]);
    let documents = tree::parse(0, text, &mut findings);
    if findings.errors() == 0 { Ok(documents) } else { Err(EditError::Unreadable) }
}

/// The text with the plain value at the node's place replaced; `None` when none stands there.
fn replace(text: &str, node: &Node, value: &str) -> Option<String> {
    let start = byte_offset(text, node.span.line, node.span.column)?;
    let old = node.scalar_text()?;
    let behind = text.get(start..)?.strip_prefix(old)?;
    let is_plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
    };
    (is_plain(old) && is_plain(value))
        .then(|| format!("{}{value}{behind}", text.get(..start).unwrap_or_default()))
}

/// Where a 1-based line and column (in characters) begin.
fn byte_offset(text: &str, line: u32, column: u32) -> Option<usize> {
    let (mut at_line, mut at_column) = (1, 1);
    let mut characters = text.char_indices().peekable();
    while let Some((offset, c)) = characters.next() {
        if (at_line, at_column) == (line, column) {
            return Some(offset);
        }
        let ends_line = c == '\n' || (c == '\r' && characters.peek().is_none_or(|(_, next)| *next != '\n'));
        (at_line, at_column) = if ends_line { (at_line + 1, 1) } else { (at_line, at_column + 1) };
    }
    None
}

/// What a tree says, without where it says so.
fn contents(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Scalar(scalar) => serde_json::json!([scalar.text, scalar.kind == ScalarKind::Plain]),
        Value::List(items) => items.iter().map(contents).collect(),
        Value::Map(entries) => {
            entries.iter().map(|entry| (entry.key.clone(), contents(&entry.node))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TUTORIAL: &str = include_str!("../../../examples/tutorial/zkprov.yaml");

    #[test]
    fn only_the_number_changes() {
        let expected = TUTORIAL.replace("replicas: 3 #", "replicas: 5 #");
        assert_ne!(expected, TUTORIAL);
        assert_eq!(set_replicas(TUTORIAL, "exhibitor", 5).unwrap(), expected);
        let windows = TUTORIAL.replace('\n', "\r\n");
        assert_eq!(set_replicas(&windows, "exhibitor", 5).unwrap(), expected.replace('\n', "\r\n"));
    }

    #[test]
    fn the_named_document_is_edited_in_flow_style_too() {
        let text = "{metadata: {name: ä}, spec: {exhibitor: {replicas: 3}}}\n--- # two\n\
                    {metadata: {name: b}, spec: {exhibitor: {replicas: 3, allowSingle: true}}}\n";
        let edited = set_replicas(text, "b", 11).unwrap();
        assert_eq!(edited, text.replace("replicas: 3, allow", "replicas: 11, allow"));
        assert_eq!(set_replicas(text, "ä", 5).unwrap(), text.replace("replicas: 3}", "replicas: 5}"));
    }

    #[test]
    fn what_is_not_a_number_in_the_file_is_refused() {
        let of = |replicas: &str| format!("spec:\n  exhibitor:\n    replicas: {replicas}\n");
        let path = "spec.exhibitor.replicas".to_owned();
        let written = EditError::NotWritten { name: "exhibitor".to_owned(), path };
        for text in ["${env:N}", "\"3\"", "[3]", ""] {
            assert_eq!(set_replicas(&of(text), "exhibitor", 5), Err(written.clone()), "{text}");
        }
        let aliased = "n: &n 3\nspec: {exhibitor: {replicas: *n}}\n";
        assert_eq!(set_replicas(aliased, "exhibitor", 5), Err(written.clone()));
        let anchored = "spec: {exhibitor: {replicas: &n 3}}\nn: *n\n";
        assert_eq!(set_replicas(anchored, "exhibitor", 5), Err(written));
        assert_eq!(set_replicas("a: [", "exhibitor", 5), Err(EditError::Unreadable));
        let heap = "spec:\n  exhibitor:\n    heap: 256MiB # small\n";
        let more = set_scalar(heap, "exhibitor", "spec.exhibitor.heap", "1GiB").unwrap();
        assert_eq!(more, heap.replace("256MiB", "1GiB"));
        for (path, value) in
            [("spec.exhibitor.heap", "a: b"), ("spec.exhibitor.image", "x"), ("spec.exhibitor", "x")]
        {
            let refused = set_scalar(heap, "exhibitor", path, value);
            assert!(matches!(refused, Err(EditError::NotWritten { .. })), "{path} {value}: {refused:?}");
        }
        let not_one = |count| Err(EditError::NotOne { name: "x".to_owned(), count });
        assert_eq!(set_replicas(TUTORIAL, "x", 5), not_one(0));
    }
}
