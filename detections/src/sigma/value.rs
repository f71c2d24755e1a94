//! Values: from a scalar in the rule to the comparisons it stands for.

use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;
use regex_automata::meta::{BuildError, Regex};
use regex_automata::util::syntax;

use crate::diagnostic::{Sink, did_you_mean};
use crate::scalar;

use super::ast::{FieldRef, Part, Pattern, RegexTest, Relation, ValueTest};
use super::detection::{self, Context};
use super::document::Placeholders;
use super::encoding::{self, Transform};
use super::modifier::{Modifiers, Operator, RegexFlags};
use super::yaml::{Kind, Node};

/// A compiled regular expression may take this much memory. Real rules need kilobytes; a repetition bomb would take all.
const REGEX_BYTES_MAX: usize = 4 << 20;

/// The comparisons that one scalar stands for: several after `expand`.
pub(crate) fn tests(
    node: &Node,
    modifiers: &Modifiers,
    context: &Context<'_>,
    sink: &mut Sink,
) -> Vec<ValueTest> {
    texts(node, modifiers, context, sink)
        .iter()
        .filter_map(|text| test_of_text(text, modifiers, &node.span, context, sink))
        .collect()
}

/// The patterns that one keyword stands for.
pub(crate) fn keywords(
    node: &Node,
    modifiers: &Modifiers,
    context: &Context<'_>,
    sink: &mut Sink,
) -> Vec<Pattern> {
    texts(node, modifiers, context, sink)
        .iter()
        .map(|text| Pattern::new(wildcards(text), Relation::Contains, modifiers.cased))
        .collect()
}

fn texts(
    node: &Node,
    modifiers: &Modifiers,
    context: &Context<'_>,
    sink: &mut Sink,
) -> Vec<String> {
    match node.text() {
        Some(text) if modifiers.expand => expand(text, &node.span, context.lists, sink),
        Some(text) => vec![text.to_owned()],
        None => {
            null_or_nested(node, sink);
            Vec::new()
        }
    }
}

fn null_or_nested(node: &Node, sink: &mut Sink) {
    let what = node.describe();
    let (code, message) = match &node.kind {
        Kind::Scalar { text, .. } if text.is_empty() => {
            ("null_in_list", "the value is missing".to_owned())
        }
        Kind::Scalar { .. } => (
            "null_in_list",
            "a null cannot stand among values or behind a modifier".to_owned(),
        ),
        _ => (
            "bad_value",
            format!("a value must be text, a number or a boolean, not {what}"),
        ),
    };
    let fault = sink.error(code, node.span.clone(), message);
    if node.is_null() {
        fault.help(
            "for a field that is absent or null write `field: null` in a selection of its own, and join the two by \
             `or` in the condition",
        );
    }
}

fn test_of_text(
    text: &str,
    modifiers: &Modifiers,
    span: &Range<usize>,
    context: &Context<'_>,
    sink: &mut Sink,
) -> Option<ValueTest> {
    match modifiers.operator {
        Operator::Text(relation) => pattern_test(text, relation, modifiers, span, sink),
        Operator::Exists => None,
        Operator::FieldRef(relation) => {
            let Some(field) = detection::field(text, span, context, sink) else {
                sink.error(
                    "bad_field",
                    span.clone(),
                    "`fieldref` takes the name of a field",
                );
                return None;
            };
            let cased = modifiers.cased;
            Some(ValueTest::FieldRef(FieldRef {
                field,
                relation,
                cased,
            }))
        }
        Operator::Regex(flags) => regex(text, flags, span, sink).map(ValueTest::Regex),
        Operator::Cidr => cidr(text, span, sink).map(ValueTest::Cidr),
        Operator::Number(ordering) => {
            number(text, span, sink).map(|bound| ValueTest::Number(ordering, bound))
        }
        Operator::Time(part, ordering) => {
            whole(text, span, sink).map(|bound| ValueTest::Time(part, ordering, bound))
        }
    }
}

/// The comparison with a text. Its encoded forms are one comparison, also under `all`.
fn pattern_test(
    text: &str,
    relation: Relation,
    modifiers: &Modifiers,
    span: &Range<usize>,
    sink: &mut Sink,
) -> Option<ValueTest> {
    let forms = forms(text, &modifiers.transforms, span, sink)?;
    let mut tests: Vec<ValueTest> = forms
        .into_iter()
        .map(|parts| ValueTest::Pattern(Pattern::new(parts, relation, modifiers.cased)))
        .collect();
    if tests.len() > 1 {
        Some(ValueTest::OneOf(tests))
    } else {
        tests.pop()
    }
}

/// The forms of a value: dashes first, while wildcards still are wildcards, then encodings of what must be plain text.
fn forms(
    text: &str,
    transforms: &[Transform],
    span: &Range<usize>,
    sink: &mut Sink,
) -> Option<Vec<Vec<Part>>> {
    let dashes = transforms
        .iter()
        .take_while(|transform| **transform == Transform::WinDash)
        .count();
    let (dashes, encodings) = transforms.split_at(dashes);
    let texts = encoding::apply(text, dashes).into_iter();
    let texts = texts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if encodings.is_empty() {
        return Some(texts.map(|text| wildcards(&text)).collect());
    }
    let mut forms = Vec::new();
    for text in texts {
        let Some(plain) = plain(&text) else {
            sink.error(
                "encoded_wildcard",
                span.clone(),
                "a wildcard cannot be encoded",
            )
            .help("write `\\*` or `\\?` for the character itself");
            return None;
        };
        forms.extend(
            encoding::apply(&plain, encodings)
                .into_iter()
                .filter(|form| !form.is_empty()),
        );
    }
    if forms.is_empty() {
        sink.error(
            "short_value",
            span.clone(),
            "the value is too short to be found when encoded",
        );
        return None;
    }
    let literal =
        |bytes: &Vec<u8>| vec![Part::Literal(String::from_utf8_lossy(bytes).into_owned())];
    Some(forms.iter().map(literal).collect())
}

/// The text that a value without wildcards stands for, its escapes resolved.
fn plain(text: &str) -> Option<String> {
    let parts = wildcards(text).into_iter();
    parts
        .map(|part| {
            if let Part::Literal(text) = part {
                Some(text)
            } else {
                None
            }
        })
        .collect()
}

impl Pattern {
    /// A pattern from its pieces: opened at the ends as the relation demands, in lower case unless `cased`.
    #[must_use]
    pub fn new(parts: Vec<Part>, relation: Relation, cased: bool) -> Self {
        let mut all = Vec::with_capacity(parts.len() + 2);
        if matches!(relation, Relation::Contains | Relation::EndsWith) {
            all.push(Part::Many);
        }
        all.extend(
            parts
                .into_iter()
                .filter(|part| *part != Part::Literal(String::new())),
        );
        if matches!(relation, Relation::Contains | Relation::StartsWith) {
            all.push(Part::Many);
        }
        all.dedup_by(|a, b| *a == Part::Many && *b == Part::Many);
        if !cased {
            for part in &mut all {
                if let Part::Literal(text) = part {
                    *text = scalar::fold(text);
                }
            }
        }
        Self { parts: all, cased }
    }
}

/// Splits at wildcards. A backslash escapes `*`, `?` and itself, and is plain before anything else (the specification's
/// table).
pub(crate) fn wildcards(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => literal.push(
                rest.next_if(|next| matches!(next, '*' | '?' | '\\'))
                    .unwrap_or('\\'),
            ),
            '*' | '?' => {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
                parts.push(if c == '*' { Part::Many } else { Part::One });
            }
            other => literal.push(other),
        }
    }
    parts.push(Part::Literal(literal));
    parts
}

fn regex(text: &str, flags: RegexFlags, span: &Range<usize>, sink: &mut Sink) -> Option<RegexTest> {
    let syntax = syntax::Config::new()
        .case_insensitive(flags.ignore_case)
        .multi_line(flags.multi_line)
        .dot_matches_new_line(flags.dot_all);
    let config = Regex::config()
        .nfa_size_limit(Some(REGEX_BYTES_MAX))
        .onepass_size_limit(Some(REGEX_BYTES_MAX));
    match Regex::builder()
        .syntax(syntax)
        .configure(config)
        .build(text)
    {
        Ok(regex) => {
            let flag = |set: bool, letter: &'static str| if set { letter } else { "" };
            let flags = [
                flag(flags.ignore_case, "i"),
                flag(flags.multi_line, "m"),
                flag(flags.dot_all, "s"),
            ]
            .concat();
            Some(RegexTest {
                text: format!("(?{flags}){text}"),
                regex,
            })
        }
        Err(fault) => {
            let (message, help) = regex_fault(text, &fault);
            sink.error("bad_regex", span.clone(), message).help(help);
            None
        }
    }
}

/// What is wrong with an expression, and what to do.
fn regex_fault(text: &str, fault: &BuildError) -> (String, &'static str) {
    let Some(syntax) = fault.syntax_error() else {
        return (
            "the regular expression is too large".to_owned(),
            "lower the numbers in braces, or split it",
        );
    };
    if ["(?=", "(?!", "(?<=", "(?<!"]
        .iter()
        .any(|mark| text.contains(mark))
    {
        let help = "it cannot be matched in linear time; write two selections and join them by `and` or `and not`";
        return (
            "look-around is not supported in regular expressions".to_owned(),
            help,
        );
    }
    let reason = syntax.to_string();
    let reason = reason
        .lines()
        .last()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned();
    let help =
        "the syntax is that of Rust's `regex`; between single quotes a backslash stands for itself";
    (format!("not a regular expression: {reason}"), help)
}

fn cidr(text: &str, span: &Range<usize>, sink: &mut Sink) -> Option<IpNet> {
    let network = text
        .parse()
        .ok()
        .or_else(|| Some(text.parse::<IpAddr>().ok()?.into()));
    if network.is_none() {
        sink.error("bad_cidr", span.clone(), format!("`{text}` is no network"))
            .help("write `10.0.0.0/8` or `2001:db8::/32`");
    }
    network.map(unmapped)
}

/// Addresses are compared in their shortest form, so a network of IPv4-mapped IPv6 is one of IPv4.
fn unmapped(network: IpNet) -> IpNet {
    let (address, length) = (network.addr().to_canonical(), network.prefix_len());
    let length = if address.is_ipv4() {
        length.checked_sub(if network.addr().is_ipv4() { 0 } else { 96 })
    } else {
        None
    };
    length
        .and_then(|length| IpNet::new(address, length).ok())
        .unwrap_or(network)
}

fn number(text: &str, span: &Range<usize>, sink: &mut Sink) -> Option<f64> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    if number.is_none() {
        sink.error("bad_number", span.clone(), format!("`{text}` is no number"))
            .help("`lt`, `lte`, `gt` and `gte` compare numbers only");
    }
    number
}

fn whole(text: &str, span: &Range<usize>, sink: &mut Sink) -> Option<i64> {
    let number = text.parse().ok();
    if number.is_none() {
        sink.error(
            "bad_number",
            span.clone(),
            format!("`{text}` is no whole number"),
        )
        .help("a part of a time is a whole number, in UTC: `hour|gte: 22`");
    }
    number
}

/// Replaces every `%name%` by each entry of the list of that name; `\%` is a plain percent sign.
fn expand(text: &str, span: &Range<usize>, lists: &Placeholders, sink: &mut Sink) -> Vec<String> {
    let Some((before, name, after)) = placeholder(text) else {
        return vec![text.replace("\\%", "%")];
    };
    let before = before.replace("\\%", "%");
    let tails = expand(after, span, lists, sink);
    let Some(entries) = lists.get(name) else {
        let help = match did_you_mean(name, lists.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `%{near}%`?"),
            None => format!(
                "give the list with `--lists FILE`, a YAML file with a line `{name}: [value, …]`"
            ),
        };
        sink.error(
            "unknown_placeholder",
            span.clone(),
            format!("there is no list `{name}`"),
        )
        .help(help);
        return Vec::new();
    };
    let with = |entry: &String| {
        tails
            .iter()
            .map(|tail| format!("{before}{entry}{tail}"))
            .collect::<Vec<_>>()
    };
    entries.iter().flat_map(with).collect()
}

/// What stands before, within and behind the first placeholder.
fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let named = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut signs = text
        .match_indices('%')
        .map(|(at, _)| at)
        .filter(|at| !text[..*at].ends_with('\\'));
    let mut open = signs.next()?;
    for close in signs {
        let name = &text[open + 1..close];
        if !name.is_empty() && name.chars().all(named) {
            return Some((&text[..open], name, &text[close + 1..]));
        }
        open = close;
    }
    None
}

/// Whether a bound is a whole `exists` value; anything but a boolean is a fault.
pub(crate) fn exists(node: &Node, sink: &mut Sink) -> Option<bool> {
    let value = node.bool();
    if value.is_none() {
        sink.error(
            "bad_exists",
            node.span.clone(),
            "`exists` takes `true` or `false`",
        );
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        let parts = wildcards(text)
            .into_iter()
            .filter(|part| *part != Part::Literal(String::new()));
        parts
            .map(|part| match part {
                Part::Literal(text) => format!("[{text}]"),
                Part::One => "?".to_owned(),
                Part::Many => "*".to_owned(),
            })
            .collect()
    }

    #[test]
    fn placeholders_may_be_escaped() {
        let lists = Placeholders::from([("name".to_owned(), vec!["a".to_owned(), "b".to_owned()])]);
        let mut sink = Sink::new(crate::diagnostic::Source::new("test", ""));
        let mut expand = |text: &str| super::expand(text, &(0..0), &lists, &mut sink);
        assert_eq!(expand("%name%"), ["a", "b"]);
        assert_eq!(expand(r"\%plain%name%"), ["%plaina", "%plainb"]);
        assert_eq!(expand("%name%-%name%"), ["a-a", "a-b", "b-a", "b-b"]);
        assert_eq!(expand("100% of %name%"), ["100% of a", "100% of b"]);
        assert_eq!(expand("100%"), ["100%"]);
    }

    #[test]
    fn the_specifications_table_of_backslashes() {
        assert_eq!(show(r"a*b?c"), "[a]*[b]?[c]");
        assert_eq!(show(r"\*"), "[*]");
        assert_eq!(show(r"\\*"), r"[\]*");
        assert_eq!(show(r"\\\*"), r"[\*]");
        assert_eq!(show(r"C:\Windows"), r"[C:\Windows]");
        assert_eq!(show(r"\\host\share"), r"[\host\share]");
        assert_eq!(show(r"\\\\host"), r"[\\host]");
        assert_eq!(show(r"ends\"), r"[ends\]");
    }
}
