//! A YAML text as a tree that remembers where everything stands. The parser is granit-parser's; here events become
//! nodes, aliases are copied within a budget, and whatever is wrong with the syntax is collected.

use super::source::{Findings, Span};
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Tag};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How deep collections may nest; the file needs 6.
const MAX_DEPTH: usize = 64;
/// How many nodes the aliases of one document may add.
const MAX_ALIASED: usize = 10_000;

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub span: Span,
    /// The place in the file of what `--set` replaced.
    pub replaced: Option<Span>,
    pub value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub text: String,
    pub kind: ScalarKind,
}

/// How a scalar was written, which decides what it can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScalarKind {
    /// Plain: a number, a boolean or null when it looks like one, else a string.
    Plain,
    /// Quoted, a block, or tagged `!!str`: a string.
    Quoted,
    /// Plain with a substituted variable: whatever its key wants.
    Substituted,
    /// Not known, and already reported: an unset variable, an alias of nothing.
    Unknown,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: String,
    pub key_span: Span,
    pub node: Node,
}

impl Node {
    pub(super) fn new(span: Span, value: Value) -> Self {
        Self { span, replaced: None, value }
    }

    fn unknown(span: Span) -> Self {
        Self::new(span, Value::Scalar(Scalar { text: String::new(), kind: ScalarKind::Unknown }))
    }

    /// Whether this is null: nothing, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.kind == ScalarKind::Plain
            && matches!(scalar.text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The value of a key, when this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node),
            Value::Scalar(_) | Value::List(_) => None,
        }
    }

    /// As [`Node::get`], to change it.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.value {
            Value::Map(entries) => {
                entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.node)
            }
            Value::Scalar(_) | Value::List(_) => None,
        }
    }

    /// The text, when this is a scalar.
    pub(super) fn scalar_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    fn children(&self) -> Box<dyn Iterator<Item = &Self> + '_> {
        match &self.value {
            Value::Scalar(_) => Box::new(std::iter::empty()),
            Value::List(items) => Box::new(items.iter()),
            Value::Map(entries) => Box::new(entries.iter().map(|entry| &entry.node)),
        }
    }

    /// Nodes in this tree, and how deep it is.
    fn extent(&self) -> (usize, usize) {
        let (mut size, mut depth) = (1, 0);
        for child in self.children() {
            let (child_size, child_depth) = child.extent();
            size += child_size;
            depth = depth.max(child_depth);
        }
        (size, depth + 1)
    }
}

/// Parses every document of a text; what is wrong goes to the findings. A document with a syntax error is left out,
/// the ones behind it are still read.
pub(super) fn parse(source: usize, text: &str, findings: &mut Findings) -> Vec<Node> {
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    options.emit_unresolved_aliases = true;
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { source, findings, documents: Vec::new(), open: Open::default() };
    loop {
        match parser.next_event() {
            None => break,
            Some(Ok((event, span))) => builder.event(event, span),
            Some(Err(error)) => {
                builder.syntax_error(&error);
                builder.open = Open::default();
                if !matches!(parser.proceed_next_document(), Ok(true)) {
                    break;
                }
            }
        }
    }
    builder.documents
}

/// A collection whose end has not been met.
enum Frame {
    List { span: Span, anchor: usize, items: Vec<Node> },
    Map { span: Span, anchor: usize, entries: Vec<Entry>, seen: BTreeMap<String, Span>, key: Option<Key> },
}

/// A map's key, waiting for its value; without a text it was no scalar and its value is dropped.
struct Key {
    text: Option<String>,
    span: Span,
}

/// What belongs to the document being read.
#[derive(Default)]
struct Open {
    frames: Vec<Frame>,
    anchors: BTreeMap<usize, Node>,
    aliased: usize,
}

struct Builder<'a> {
    source: usize,
    findings: &'a mut Findings,
    documents: Vec<Node>,
    open: Open,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, at: granit_parser::Span) {
        let span = self.span(&at);
        match event {
            Event::DocumentStart(..) => self.open = Open::default(),
            Event::Scalar(text, style, anchor, tag) => {
                let kind = self.scalar_kind(style, tag.as_deref(), span);
                let scalar = Scalar { text: text.into_owned(), kind };
                self.finish(anchor, Node::new(span, Value::Scalar(scalar)));
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_ref(), span);
                self.open.frames.push(Frame::List { span, anchor, items: Vec::new() });
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_ref(), span);
                self.open.frames.push(Frame::Map {
                    span,
                    anchor,
                    entries: Vec::new(),
                    seen: BTreeMap::new(),
                    key: None,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.frames.pop() {
                Some(Frame::List { span, anchor, items }) => {
                    self.finish(anchor, Node::new(span, Value::List(items)));
                }
                Some(Frame::Map { span, anchor, entries, .. }) => {
                    self.finish(anchor, Node::new(span, Value::Map(entries)));
                }
                None => {}
            },
            Event::Alias(id) => {
                let node = self.alias(id, span);
                self.finish(0, node);
            }
            Event::UnresolvedAlias(name) => {
                self.error(
                    span,
                    "unknown-alias",
                    format!("`*{name}` refers to no anchor"),
                    "An alias repeats a value that was marked `&NAME` earlier in the same document.",
                    format!("write the value itself, or mark one with `&{name}`"),
                );
                self.finish(0, Node::unknown(span));
            }
            // These carry nothing, and what a later version may add (the enum is open) was not asked for.
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Anchor(..) | _ => {}
        }
    }

    fn span(&self, at: &granit_parser::Span) -> Span {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let length =
            if at.start.line() == at.end.line() { at.end.col().saturating_sub(at.start.col()) } else { 1 };
        Span {
            source: self.source,
            line: number(at.start.line()),
            column: number(at.start.col()).saturating_add(1),
            length: number(length).max(1),
        }
    }

    /// Puts a finished node where it belongs: into the open collection, or at the root of the document.
    fn finish(&mut self, anchor: usize, node: Node) {
        if anchor != 0 {
            self.open.anchors.insert(anchor, node.clone());
        }
        match self.open.frames.last_mut() {
            None => self.documents.push(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, seen, key, .. }) => match key.take() {
                None => {
                    let span = node.span;
                    let text = match node.value {
                        Value::Scalar(scalar) => Some(scalar.text),
                        Value::List(_) | Value::Map(_) => None,
                    };
                    let complex = text.is_none();
                    *key = Some(Key { text, span });
                    if complex {
                        self.error(
                            span,
                            "invalid-key",
                            "a key is a word, not a list or a map".to_owned(),
                            "The keys of the file are all words.",
                            "quote the key if it begins with `[`, `{` or `?`".to_owned(),
                        );
                    }
                }
                Some(Key { text: None, .. }) => {}
                Some(Key { text: Some(text), span }) => match seen.insert(text.clone(), span) {
                    None => entries.push(Entry { key: text, key_span: span, node }),
                    Some(first) => self.error(
                        span,
                        "duplicate-key",
                        format!("`{text}` stands here twice"),
                        &format!("It stands on line {} already, and only one can count.", first.line),
                        "remove one of the two".to_owned(),
                    ),
                },
            },
        }
    }

    fn alias(&mut self, id: usize, span: Span) -> Node {
        let Some(node) = self.open.anchors.get(&id).filter(|_| self.open.aliased <= MAX_ALIASED) else {
            if self.open.aliased <= MAX_ALIASED {
                let message = "an alias stands inside the value it repeats".to_owned();
                let fix = "write the value itself".to_owned();
                self.error(span, "recursive-alias", message, "Such a value would have no end.", fix);
            }
            return Node::unknown(span);
        };
        let (size, depth) = node.extent();
        let node = node.clone();
        self.open.aliased += size;
        if depth + self.open.frames.len() > MAX_DEPTH {
            self.error(
                span,
                "too-deep",
                format!("aliases nest deeper than {MAX_DEPTH} levels"),
                "No right file does.",
                "write the values themselves".to_owned(),
            );
            return Node::unknown(span);
        }
        if self.open.aliased > MAX_ALIASED {
            self.error(
                span,
                "too-many-aliases",
                format!("aliases repeat more than {MAX_ALIASED} values in this document"),
                "A few lines of aliases can stand for billions of values.",
                "write the values themselves".to_owned(),
            );
            return Node::unknown(span);
        }
        node
    }

    fn scalar_kind(&mut self, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> ScalarKind {
        match tag.map(Tag::core_suffix) {
            Some(Some("str")) => return ScalarKind::Quoted,
            Some(Some("int" | "bool" | "null" | "float")) => return ScalarKind::Plain,
            Some(_) => {
                self.tag_error(span);
                return ScalarKind::Unknown;
            }
            None => {}
        }
        match style {
            ScalarStyle::Plain => ScalarKind::Plain,
            ScalarStyle::SingleQuoted
            | ScalarStyle::DoubleQuoted
            | ScalarStyle::Literal
            | ScalarStyle::Folded => ScalarKind::Quoted,
        }
    }

    fn refuse_tag(&mut self, tag: Option<&Cow<'_, Tag>>, span: Span) {
        let core = |tag: &Cow<'_, Tag>| matches!(tag.core_suffix(), Some("map" | "seq"));
        if tag.is_some_and(|tag| !core(tag)) {
            self.tag_error(span);
        }
    }

    fn tag_error(&mut self, span: Span) {
        let message = "this value has a tag that means nothing here".to_owned();
        self.error(
            span,
            "unknown-tag",
            message,
            "The file has plain values only.",
            "remove the tag".to_owned(),
        );
    }

    fn syntax_error(&mut self, error: &ScanError) {
        let span = self.span(&granit_parser::Span::empty(*error.marker()));
        if *error.kind() == ErrorKind::RecursionLimitExceeded {
            let message = format!("lists and maps nest deeper than {MAX_DEPTH} levels");
            let fix = "remove the nested brackets".to_owned();
            return self.error(span, "too-deep", message, "No right file does.", fix);
        }
        self.error(
            span,
            "yaml-syntax",
            format!("this is not YAML: {}", error.info()),
            "The rest of this document could not be read.",
            syntax_hint(error.kind()).to_owned(),
        );
    }

    fn error(&mut self, span: Span, code: &str, message: String, reason: &str, fix: String) {
        self.findings.error(Some(span.into()), code, message, reason, fix);
    }
}

/// What most likely mends a syntax error.
fn syntax_hint(kind: &ErrorKind) -> &'static str {
    use ErrorKind as K;
    let is_one_of = |kinds: &[ErrorKind]| kinds.contains(kind);
    if is_one_of(&[K::TabNotAllowed, K::TabInBlockIndentation, K::TabInIndentation, K::TabInPlainScalar]) {
        "indent with spaces"
    } else if is_one_of(&[K::UnclosedQuotedScalar, K::DocumentIndicatorInQuotedScalar]) {
        "close the quotation mark"
    } else if is_one_of(&[K::SimpleKeyExpected, K::InvalidSimpleKey, K::InvalidColonPlacement]) {
        "write `key: value`, or quote a value that has a `:` in it"
    } else if is_one_of(&[K::MappingValueNotAllowed, K::InvalidIndentation, K::ExpectedBlockMappingKey]) {
        "indent the keys of one map alike, or quote a value that has a `:` in it"
    } else if is_one_of(&[K::ExpectedFlowMappingSeparator, K::UnexpectedEofFlowMapping]) {
        "close the `{` before this line"
    } else if is_one_of(&[K::ExpectedFlowSequenceSeparator, K::UnexpectedEofFlowSequence]) {
        "close the `[` before this line"
    } else if matches!(kind, K::UnclosedFlowCollection { .. }) {
        "close the bracket"
    } else {
        "mend the syntax here or on the line above"
    }
}
