//! YAML as a tree of nodes that remember where they stand.
//!
//! Rules need three things that a plain value tree loses: the bytes a node came from, whether a scalar was quoted (`null`
//! is not `'null'`), and duplicate keys, which YAML forbids and which here are a fault with two places.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::diagnostic::Sink;

/// The deepest nesting that a rule file may have. Real rules stay below 10; without a bound a hostile file would exhaust
/// the stack.
const DEPTH_MAX: usize = 64;

/// A node with the bytes it came from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Scalar { text: String, plain: bool },
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// The text of a scalar, quoted or not; `None` for a null and for what is no scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    pub(crate) fn bool(&self) -> Option<bool> {
        match &self.kind {
            Kind::Scalar { text, plain: true } => match text.as_str() {
                "true" | "True" | "TRUE" => Some(true),
                "false" | "False" | "FALSE" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn mapping(&self) -> Option<&[(Node, Node)]> {
        match &self.kind {
            Kind::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    pub(crate) fn sequence(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::Sequence(nodes) => Some(nodes),
            _ => None,
        }
    }

    /// The node itself, or the nodes of the sequence that it is.
    pub(crate) fn one_or_many(&self) -> &[Node] {
        self.sequence().unwrap_or(std::slice::from_ref(self))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// A key and its value.
    pub(crate) fn entry(&self, key: &str) -> Option<&(Node, Node)> {
        self.mapping()?
            .iter()
            .find(|(name, _)| name.text() == Some(key))
    }

    /// The place of a key, or the place to point at if the mapping lacks it.
    pub(crate) fn key_span(&self, key: &str) -> Range<usize> {
        self.entry(key)
            .map_or_else(|| self.head(), |(name, _)| name.span.clone())
    }

    /// The place to point at for what is missing in a mapping: its first key.
    pub(crate) fn head(&self) -> Range<usize> {
        let first = self.mapping().and_then(<[_]>::first);
        first.map_or(self.span.start..self.span.start, |(key, _)| {
            key.span.clone()
        })
    }

    /// Whether two keys are the same to a reader of the mapping, quoted or not.
    fn is_same_key(&self, other: &Node) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Scalar { text, .. }, Kind::Scalar { text: other, .. }) => text == other,
            _ => self.kind == other.kind,
        }
    }

    /// What the node is, in a person's words.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.kind {
            _ if self.is_null() => "nothing",
            Kind::Scalar { .. } => "a single value",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
        }
    }
}

/// The documents of a file. Syntax errors and duplicate keys go to the sink; what stands before them is kept.
pub(crate) fn parse(sink: &mut Sink) -> Vec<Node> {
    let text = sink.source().text.clone();
    let mut builder = Builder {
        offsets: Offsets::new(&text),
        stack: Vec::new(),
        documents: Vec::new(),
    };
    for event in Parser::new_from_str(&text) {
        match event {
            Ok((event, span)) => {
                let range = builder.offsets.byte(span.start.index())
                    ..builder.offsets.byte(span.end.index());
                if let Err(reason) = builder.accept(event, range.clone(), sink) {
                    sink.error("yaml_syntax", range, reason);
                    return builder.documents;
                }
            }
            Err(fault) => {
                let at = builder.offsets.byte(fault.marker().index());
                let message = format!("not valid YAML: {}", fault.info());
                sink.error("yaml_syntax", at..at + 1, message)
                    .help(syntax_help(fault.info()));
                return builder.documents;
            }
        }
    }
    builder.documents
}

/// What to do about a fault of syntax, by the parser's words for it.
fn syntax_help(reason: &str) -> &'static str {
    if reason.contains("tab") {
        "indent with spaces"
    } else if reason.contains("end of stream") || reason.contains("quoted scalar") {
        "close the quote or the bracket"
    } else {
        "a value that holds `: ` or ` #`, or starts with `*`, `&`, `%`, `@`, `[`, `{` or `!`, must be quoted"
    }
}

struct Builder {
    offsets: Offsets,
    stack: Vec<Open>,
    documents: Vec<Node>,
}

enum Open {
    Sequence(usize, Vec<Node>),
    Mapping(usize, Vec<(Node, Node)>, Option<Node>),
}

impl Builder {
    fn accept(
        &mut self,
        event: Event<'_>,
        span: Range<usize>,
        sink: &mut Sink,
    ) -> Result<(), &'static str> {
        match event {
            Event::Alias(_) => return Err("anchors and aliases are not supported in rules"),
            Event::Scalar(text, style, ..) => {
                let kind = Kind::Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                };
                self.add(Node { span, kind }, sink);
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if self.stack.len() >= DEPTH_MAX => {
                return Err("nested too deeply: more than 64 levels");
            }
            Event::SequenceStart(..) => self.stack.push(Open::Sequence(span.start, Vec::new())),
            Event::MappingStart(..) => self.stack.push(Open::Mapping(span.start, Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => self.close(span, sink),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, span: Range<usize>, sink: &mut Sink) {
        let node = match self.stack.pop() {
            Some(Open::Sequence(start, nodes)) => Node {
                span: start..span.end,
                kind: Kind::Sequence(nodes),
            },
            Some(Open::Mapping(start, entries, _)) => Node {
                span: start..span.end,
                kind: Kind::Mapping(entries),
            },
            None => return,
        };
        self.add(node, sink);
    }

    fn add(&mut self, node: Node, sink: &mut Sink) {
        match self.stack.last_mut() {
            None => self.documents.push(node),
            Some(Open::Sequence(_, nodes)) => nodes.push(node),
            Some(Open::Mapping(_, entries, pending)) => match pending.take() {
                None => *pending = Some(node),
                Some(key) => {
                    if let Some((first, _)) =
                        entries.iter().find(|(other, _)| other.is_same_key(&key))
                    {
                        let (line, _) = sink.source().position(first.span.start);
                        let name = key.text().unwrap_or_default();
                        let message = format!("the key `{name}` stands twice in one mapping");
                        sink.error("duplicate_key", key.span.clone(), message)
                            .label(format!("first used in line {line}"))
                            .help("rename one of the two, or join their values in one list");
                    }
                    entries.push((key, node));
                }
            },
        }
    }
}

/// Translates the parser's character indices into bytes.
struct Offsets {
    /// Byte offsets by character; empty if the text is ASCII and both are the same.
    bytes: Vec<usize>,
    length: usize,
}

impl Offsets {
    fn new(text: &str) -> Self {
        let bytes = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().map(|(at, _)| at).collect()
        };
        Self {
            bytes,
            length: text.len(),
        }
    }

    fn byte(&self, character: usize) -> usize {
        if self.bytes.is_empty() {
            character.min(self.length)
        } else {
            self.bytes.get(character).copied().unwrap_or(self.length)
        }
    }
}
