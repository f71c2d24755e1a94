//! The `detection` section: selections, their lines, array blocks and keywords.

use std::ops::Range;

use crate::diagnostic::{Sink, did_you_mean};
use crate::path::FieldPath;
use crate::vocabulary;

use super::ast::{
    ArrayTest, Block, Condition, Detection, FieldTest, Keywords, Quantifier, Search, Selection,
    Test, ValueTest,
};
use super::document::Placeholders;
use super::modifier::{self, Modifiers, Operator};
use super::yaml::{Kind, Node};
use super::{condition, value};

/// What parsing a detection needs to know of its document.
pub(crate) struct Context<'a> {
    pub(crate) lists: &'a Placeholders,
    /// `sigma-version: 3`: brackets in field names are array selectors.
    pub(crate) arrays: bool,
    /// Inside an array block: names are relative to the element, and no vocabulary applies.
    pub(crate) in_element: bool,
}

/// Reads selections and their condition. Faults go to the sink; a part that is faulty is left out.
/// `key` is the place of the key that it stands behind.
pub(crate) fn parse(
    node: &Node,
    key: &Range<usize>,
    context: &Context<'_>,
    sink: &mut Sink,
) -> Option<Detection> {
    let Some(entries) = node.mapping() else {
        sink.error(
            "bad_detection",
            node.span.clone(),
            "`detection` must be a mapping of named selections and a condition",
        );
        return None;
    };
    let mut selections = Vec::new();
    for (key, body) in entries
        .iter()
        .filter(|(key, _)| key.text() != Some("condition"))
    {
        let name = key.text().unwrap_or_default().to_owned();
        let search = search(body, context, sink);
        selections.push(Selection { name, search });
    }
    let condition = condition_of(node, key, &selections, sink)?;
    warn_unused(entries, &selections, &condition, sink);
    let source = sink.source().clone();
    Some(Detection {
        selections,
        condition,
        source,
    })
}

fn condition_of(
    node: &Node,
    key: &Range<usize>,
    selections: &[Selection],
    sink: &mut Sink,
) -> Option<Condition> {
    let names: Vec<&str> = selections
        .iter()
        .map(|selection| selection.name.as_str())
        .collect();
    let Some(written) = node.get("condition") else {
        sink.error("no_condition", key.clone(), "there is no `condition`")
            .help("add `condition: selection`");
        return None;
    };
    let mut parts = Vec::new();
    for one in written.one_or_many() {
        let Some(text) = one.text() else {
            sink.error(
                "bad_condition",
                one.span.clone(),
                "a condition must be text",
            );
            return None;
        };
        parts.push(condition::parse(text, &one.span, &names, sink)?);
    }
    if parts.is_empty() {
        sink.error(
            "no_condition",
            written.span.clone(),
            "the list of conditions is empty",
        )
        .help("write `condition: selection`");
        return None;
    }
    Some(if parts.len() == 1 {
        parts.remove(0)
    } else {
        Condition::Or(parts)
    })
}

fn warn_unused(
    entries: &[(Node, Node)],
    selections: &[Selection],
    condition: &Condition,
    sink: &mut Sink,
) {
    let mut used = vec![false; selections.len()];
    mark_used(condition, &mut used);
    for (used, selection) in used.iter().zip(selections) {
        let key = entries
            .iter()
            .find(|(key, _)| key.text() == Some(selection.name.as_str()));
        if let (false, Some((key, _))) = (used, key) {
            let message = format!(
                "the condition does not use the selection `{}`",
                selection.name
            );
            sink.warning("unused_selection", key.span.clone(), message)
                .help("use it in the condition, or remove it");
        }
    }
}

fn mark_used(condition: &Condition, used: &mut [bool]) {
    match condition {
        Condition::Selection(index) => used[*index] = true,
        Condition::Not(inner) => mark_used(inner, used),
        Condition::And(parts) | Condition::Or(parts) => {
            for part in parts {
                mark_used(part, used);
            }
        }
    }
}

/// A selection: a mapping whose lines must all hold, a list of such mappings, or keywords.
fn search(node: &Node, context: &Context<'_>, sink: &mut Sink) -> Search {
    match &node.kind {
        Kind::Mapping(entries) => {
            if entries.is_empty() {
                sink.error(
                    "empty_selection",
                    node.span.clone(),
                    "the selection is empty",
                )
                .help("an empty selection would match every event; remove it, or give it a field");
            }
            let lines = entries
                .iter()
                .filter_map(|(key, body)| line(key, body, context, sink));
            Search::All(lines.collect())
        }
        Kind::Sequence(items) if items.iter().any(|item| item.mapping().is_some()) => Search::Any(
            items
                .iter()
                .map(|item| search(item, context, sink))
                .collect(),
        ),
        _ => keywords(node, &Modifiers::default(), context, sink),
    }
}

fn keywords(node: &Node, modifiers: &Modifiers, context: &Context<'_>, sink: &mut Sink) -> Search {
    let words = node.one_or_many();
    if words.is_empty() {
        sink.error(
            "empty_selection",
            node.span.clone(),
            "the selection is empty",
        );
    }
    let mut patterns = Vec::new();
    for word in words {
        if word.text().is_none() {
            let what = word.describe();
            let message = format!("a selection must be a mapping or a list of words, not {what}");
            sink.error("bad_selection", word.span.clone(), message);
        } else if context.in_element {
            let message = "keywords cannot stand in an array block";
            sink.error("keyword_in_block", word.span.clone(), message)
                .help("an element that is no object itself is `.`: write `.|contains: word`");
        } else {
            patterns.extend(value::keywords(word, modifiers, context, sink));
        }
    }
    let span = node.span.clone();
    Search::Keywords(Keywords {
        all: modifiers.all,
        patterns,
        span,
    })
}

/// One line of a mapping: `field|modifiers: value`, or `field[any]: block`.
fn line(key: &Node, body: &Node, context: &Context<'_>, sink: &mut Sink) -> Option<Search> {
    let Some(written) = key.text() else {
        sink.error("bad_field", key.span.clone(), "a field name must be text");
        return None;
    };
    let mut words = written.split('|');
    let line = Line {
        name: words.next().unwrap_or_default(),
        chain: words.collect(),
        key,
        body,
        span: key.span.start..body.span.end.max(key.span.end),
    };
    if line.name.is_empty() && !context.in_element {
        let modifiers = line.modifiers(sink);
        modifier::check_keywords(&modifiers, &key.span, sink);
        return Some(keywords(body, &modifiers, context, sink));
    }
    line.search(line.name, context, sink)
}

/// A line taken apart.
struct Line<'a> {
    name: &'a str,
    chain: Vec<&'a str>,
    key: &'a Node,
    body: &'a Node,
    span: Range<usize>,
}

impl Line<'_> {
    fn modifiers(&self, sink: &mut Sink) -> Modifiers {
        modifier::parse(&self.chain, &self.key.span, sink)
    }

    fn name_span(&self, sink: &Sink) -> Range<usize> {
        sink.source().find(self.name, &self.key.span)
    }

    /// What the line demands of a name: its own, or what is left of it behind a quantifier.
    fn search(&self, name: &str, context: &Context<'_>, sink: &mut Sink) -> Option<Search> {
        match Quantified::parse(name) {
            Some(quantified) if context.arrays => return self.array(&quantified, context, sink),
            Some(_) if self.body.mapping().is_some() => {
                let message = "array selectors came with version 3 of Sigma";
                sink.error("array_selector", self.name_span(sink), message)
                    .help("add a line `sigma-version: 3` to the rule");
                return None;
            }
            Some(_) => {
                let message = format!("`{name}` is read as a plain field name");
                sink.warning("array_selector", self.name_span(sink), message)
                    .help("for an array selector add a line `sigma-version: 3` to the rule");
            }
            None => {}
        }
        let modifiers = self.modifiers(sink);
        let place = self.name_span(sink);
        let field = field(name, &place, context, sink);
        // A mapping behind a faulty selector may well be a block.
        if self.body.mapping().is_some() && sink.has_errors_within(&place) {
            return None;
        }
        let test = test(self.body, &modifiers, context, sink)?;
        Some(Search::Field(FieldTest {
            field,
            test,
            span: self.span.clone(),
        }))
    }

    fn array(
        &self,
        name: &Quantified<'_>,
        context: &Context<'_>,
        sink: &mut Sink,
    ) -> Option<Search> {
        let field = field(name.array, &self.name_span(sink), context, sink);
        let inner = Context {
            lists: context.lists,
            arrays: true,
            in_element: true,
        };
        let items = self.body.sequence().unwrap_or_default();
        let block = match &self.body.kind {
            // `volumes[any].hostPath.path: /` is a block of one line.
            _ if !name.rest.is_empty() => {
                Block::Basic(Box::new(self.search(name.rest, &inner, sink)?))
            }
            Kind::Mapping(_) if self.body.get("condition").is_some() => {
                self.refuse_modifiers(sink);
                Block::Extended(Box::new(parse(self.body, &self.key.span, &inner, sink)?))
            }
            Kind::Mapping(_) | Kind::Sequence(_)
                if self.body.mapping().is_some()
                    || items.iter().any(|item| item.mapping().is_some()) =>
            {
                self.refuse_modifiers(sink);
                Block::Basic(Box::new(search(self.body, &inner, sink)))
            }
            // `groups[all]|startswith: x`: the elements are scalars.
            _ => Block::Basic(Box::new(self.search(".", &inner, sink)?)),
        };
        let span = self.span.clone();
        Some(Search::Array(ArrayTest {
            field,
            quantifier: name.quantifier,
            block,
            span,
        }))
    }

    fn refuse_modifiers(&self, sink: &mut Sink) {
        if let (Some(first), Some(last)) = (self.chain.first(), self.chain.last()) {
            let start = sink.source().find(first, &self.key.span).start;
            let end = sink.source().find(last, &(start..self.key.span.end)).end;
            sink.error(
                "stray_modifier",
                start..end,
                "a modifier cannot stand behind an array block",
            )
            .help("put it on the fields inside the block");
        }
    }
}

/// A name with an array selector: `rules[any]`, `volumes[all].hostPath`.
struct Quantified<'a> {
    array: &'a str,
    quantifier: Quantifier,
    /// The path below the element; empty if the element itself is meant.
    rest: &'a str,
}

impl<'a> Quantified<'a> {
    const WORDS: [(&'static str, Quantifier); 4] = [
        ("[any]", Quantifier::Any),
        ("[all]", Quantifier::All),
        ("[all_or_empty]", Quantifier::AllOrEmpty),
        ("[none]", Quantifier::None),
    ];

    /// Splits at the first quantifier, which ends a key.
    fn parse(name: &'a str) -> Option<Self> {
        name.match_indices('[').find_map(|(at, _)| {
            let (array, selector) = name.split_at(at);
            Self::WORDS.into_iter().find_map(|(word, quantifier)| {
                let rest = selector.strip_prefix(word)?;
                let rest = if rest.is_empty() {
                    rest
                } else {
                    rest.strip_prefix('.')?
                };
                Some(Self {
                    array,
                    quantifier,
                    rest,
                })
            })
        })
    }
}

/// The path of a name; `None` is the element itself (`.`).
pub(super) fn field(
    name: &str,
    span: &Range<usize>,
    context: &Context<'_>,
    sink: &mut Sink,
) -> Option<FieldPath> {
    if context.in_element && matches!(name, "." | "") {
        return None;
    }
    let path = if context.arrays {
        FieldPath::parse_with_positions(name).unwrap_or_else(|selector| {
            let message = format!("`{selector}` is neither a position nor a quantifier");
            let span = sink.source().find(&selector, span);
            sink.error("bad_array_selector", span, message)
                .help("write `[any]`, `[all]`, `[all_or_empty]`, `[none]` or `[0]`; a literal bracket is `\\[`");
            FieldPath::parse(name)
        })
    } else {
        FieldPath::parse(name)
    };
    if !context.in_element {
        check_vocabulary(&path, span, sink);
    }
    Some(path)
}

pub(super) fn check_vocabulary(path: &FieldPath, span: &Range<usize>, sink: &mut Sink) {
    let (root, written) = (path.first(), path.as_str());
    match vocabulary::check(path) {
        vocabulary::Check::Known => {}
        vocabulary::Check::UnknownInView { known } => {
            let below = |name: &'static str| name.split_once('.').map_or(name, |(_, rest)| rest);
            let rest = written.split_once('.').map_or("", |(_, rest)| rest);
            let help = match did_you_mean(rest, known.iter().map(|name| below(name))) {
                Some(near) => format!("did you mean `{root}.{near}`?"),
                None => format!("the fields of this view are `{}`", known.join("`, `")),
            };
            let message = match rest {
                "" => format!("`{root}` is a view, not a field"),
                rest => format!("the view `{root}` has no field `{rest}`"),
            };
            sink.error("unknown_field", span.clone(), message)
                .help(help);
        }
        vocabulary::Check::Unknown { known } => {
            let help = match did_you_mean(root, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "the rule is kept, but this line sees nothing unless a forwarder adds the field; \
                         docs/fields.md lists the fields"
                    .to_owned(),
            };
            let message = format!("an audit event has no field `{root}`");
            sink.warning("unknown_field", span.clone(), message)
                .help(help);
        }
    }
}

fn test(
    body: &Node,
    modifiers: &Modifiers,
    context: &Context<'_>,
    sink: &mut Sink,
) -> Option<Test> {
    if modifiers.operator == Operator::Exists {
        return value::exists(body, sink).map(Test::Exists);
    }
    if body.is_null() && is_plain(modifiers) {
        return Some(Test::Null);
    }
    if body.mapping().is_some() {
        sink.error("bad_value", body.span.clone(), "a field cannot be compared with a mapping")
            .help("write the path with dots: `objectRef.resource: pods`; blocks need `[any]`, `[all]` or `[none]`");
        return None;
    }
    let nodes = body.one_or_many();
    if nodes.is_empty() {
        sink.error(
            "empty_list",
            body.span.clone(),
            "the list of values is empty, so nothing can match",
        );
        return None;
    }
    let values: Vec<ValueTest> = nodes
        .iter()
        .flat_map(|node| value::tests(node, modifiers, context, sink))
        .collect();
    // All of nothing would match everything: a list that is empty matches nothing, with `all` too.
    let all = modifiers.all && !values.is_empty();
    Some(Test::Values {
        all,
        negated: modifiers.negated,
        values,
    })
}

fn is_plain(modifiers: &Modifiers) -> bool {
    modifiers.operator == Operator::Text(super::ast::Relation::Equals)
        && modifiers.transforms.is_empty()
        && !modifiers.negated
        && !modifiers.all
        && !modifiers.expand
}
