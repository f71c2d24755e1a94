//! Correlation documents: from their nodes to [`Correlation`]s whose every name is known.
//!
//! A document may name rules of other files, so it is read first and resolved when all files are there. Baselines are read
//! elsewhere ([`super::baseline`]) and resolved here with the others, since each may feed the other.

mod condition;
mod resolve;

use std::ops::Range;

use crate::diagnostic::{Sink, did_you_mean};

use super::ast::Header;
use super::baseline::Baseline;
use super::header;
use super::yaml::Node;

pub(super) use self::condition::Conditions;
pub(super) use self::resolve::resolve;

/// What the specification knows.
const TYPES: [&str; 7] = [
    "event_count",
    "value_count",
    "temporal",
    "temporal_ordered",
    "value_sum",
    "value_avg",
    "value_percentile",
];

/// The keys of the section, to tell a slip of the pen.
const KEYS: [&str; 7] = [
    "type",
    "rules",
    "aliases",
    "group-by",
    "timespan",
    "condition",
    "generate",
];

/// 90 days: beyond it a window is an archive's question, not a detection's.
pub(super) const TIMESPAN_US_MAX: i64 = 90 * 86_400_000_000;

/// A text and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) text: String,
    pub(super) place: Range<usize>,
}

/// By alias, the fields by rule.
pub(super) type Aliases = Vec<(Named, Vec<(Named, Named)>)>;

/// A document that has been read, with names that are not resolved yet.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) header: Header,
    pub(super) demand: Demand,
    pub(super) rules: Vec<Named>,
    pub(super) aliases: Aliases,
    pub(super) group_by: Vec<Named>,
    pub(super) timespan_us: i64,
    /// Rules of the same file raise findings of their own, too.
    pub(super) generate: bool,
    pub(super) place: Range<usize>,
    /// Where its name and its id stand.
    pub(super) places: [Range<usize>; 2],
}

/// What it looks for.
#[derive(Debug)]
pub(super) enum Demand {
    /// The type of a correlation and its condition.
    Correlation(Named, Conditions),
    /// A baseline.
    Baseline(Baseline),
}

impl Draft {
    /// Reads a document. Faults go to the sink.
    pub(super) fn read(node: &Node, sink: &mut Sink) -> Option<Self> {
        let header = header::header(node, sink);
        let (key, body) = node.entry("correlation")?;
        if body.mapping().is_none() {
            sink.error(
                "bad_correlation",
                key.span.clone(),
                "`correlation` must be a mapping",
            )
            .help("it needs type, rules, timespan, and mostly group-by and condition");
            return None;
        }
        check_keys(body, ("correlation", &KEYS), sink);
        // All are read before one that is missing ends it: every fault is told at once.
        let kind = kind(body, ("correlation", &TYPES), sink);
        let rules = required_rules(body, "correlation", sink);
        let aliases = aliases(body, sink);
        let timespan_us = timespan(body, "correlation", sink);
        let (condition, generate) = (Conditions::read(body, sink), generate(body, sink));
        Some(Self {
            demand: Demand::Correlation(kind?, condition),
            rules: rules?,
            aliases,
            group_by: names(body.get("group-by")),
            timespan_us: timespan_us?,
            generate,
            place: body.head(),
            places: places(node),
            header,
        })
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// Whether the rule of this header is silenced by this correlation: it stands in the same file, and is not to be
    /// generated. Rules of other files stand on their own.
    fn silences(&self, rule: &Header) -> Option<bool> {
        let is_input = self.rules.iter().any(|input| rule.is_called(&input.text));
        (is_input && rule.source.name == self.header.source.name).then_some(!self.generate)
    }
}

/// `what` is the kind of the document, with its words, here and below.
pub(super) fn check_keys(body: &Node, (what, keys): (&str, &[&'static str]), sink: &mut Sink) {
    for (key, _) in body.mapping().unwrap_or_default() {
        let word = key.text().unwrap_or_default();
        if !keys.contains(&word) {
            let help = did_you_mean(word, keys.iter().copied()).map_or_else(
                || format!("the keys are {}", keys.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            sink.error(
                "unknown_key",
                key.span.clone(),
                format!("a {what} has no key `{word}`"),
            )
            .help(help);
        }
    }
}

pub(super) fn kind(
    body: &Node,
    (what, types): (&str, &[&'static str]),
    sink: &mut Sink,
) -> Option<Named> {
    let written = body.get("type");
    let word = written.and_then(Node::text).unwrap_or_default();
    if types.contains(&word) {
        return written.map(named);
    }
    let help = did_you_mean(word, types.iter().copied()).map_or_else(
        || format!("the types are {}", types.join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    let message = if written.is_some() {
        format!("there is no {what} type `{word}`")
    } else {
        format!("the {what} has no `type`")
    };
    let place = written.map_or_else(|| body.head(), |written| written.span.clone());
    sink.error("bad_type", place, message).help(help);
    None
}

/// Where the name and the id of a document stand.
pub(super) fn places(node: &Node) -> [Range<usize>; 2] {
    ["name", "id"].map(|key| {
        node.get(key)
            .map_or(node.head(), |value| value.span.clone())
    })
}

fn named(node: &Node) -> Named {
    Named {
        text: node.text().unwrap_or_default().trim().to_owned(),
        place: node.span.clone(),
    }
}

pub(super) fn names(node: Option<&Node>) -> Vec<Named> {
    let nodes = node.filter(|node| !node.is_null()).map(Node::one_or_many);
    nodes.unwrap_or_default().iter().map(named).collect()
}

pub(super) fn required_rules(body: &Node, what: &str, sink: &mut Sink) -> Option<Vec<Named>> {
    let found = names(body.get("rules"));
    let is_text = |named: &Named| !named.text.is_empty();
    if !found.is_empty() && found.iter().all(is_text) {
        return Some(found);
    }
    sink.error(
        "no_rules",
        body.key_span("rules"),
        format!("the {what} does not say which rules feed it"),
    )
    .help("add `rules: [name or id, …]`");
    None
}

pub(super) fn aliases(body: &Node, sink: &mut Sink) -> Aliases {
    let Some(written) = body.get("aliases").filter(|node| !node.is_null()) else {
        return Vec::new();
    };
    let mut aliases = Vec::new();
    for (alias, fields) in written.mapping().unwrap_or_default() {
        let fields = fields.mapping().unwrap_or_default();
        let fields: Vec<_> = fields
            .iter()
            .map(|(rule, field)| (named(rule), named(field)))
            .collect();
        aliases.push((named(alias), fields));
    }
    if aliases.is_empty() || aliases.iter().any(|(_, fields)| fields.is_empty()) {
        sink.error(
            "bad_aliases",
            written.span.clone(),
            "`aliases` must be fields by rule, by alias",
        )
        .help("write `aliases: {alias: {rule: field}}`");
    }
    aliases
}

/// A length of time: a whole number with `s`, `m`, `h` or `d`.
pub(super) fn timespan(body: &Node, what: &str, sink: &mut Sink) -> Option<i64> {
    let written = body.get("timespan");
    let text = written.and_then(Node::text).unwrap_or_default();
    let found = duration_us(text).filter(|us| (1..=TIMESPAN_US_MAX).contains(us));
    if found.is_none() {
        let place = written.map_or_else(|| body.head(), |written| written.span.clone());
        let message = if written.is_some() {
            format!("`{text}` is no timespan")
        } else {
            format!("the {what} has no `timespan`")
        };
        sink.error("bad_timespan", place, message)
            .help("write a whole number with s, m, h or d, such as `10m`; at most 90d");
    }
    found
}

/// Microseconds of `10m`, `1h`…
pub(super) fn duration_us(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    let is_whole = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: i64 = is_whole.then(|| number.parse().ok())??;
    number.checked_mul(seconds)?.checked_mul(1_000_000)
}

pub(super) fn generate(body: &Node, sink: &mut Sink) -> bool {
    let Some(written) = body.get("generate") else {
        return false;
    };
    written.bool().unwrap_or_else(|| {
        sink.error(
            "bad_generate",
            written.span.clone(),
            "`generate` must be true or false",
        );
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read() {
        assert_eq!(duration_us("10m"), Some(600_000_000));
        assert_eq!(duration_us("1d"), Some(86_400_000_000));
        for wrong in ["", "m", "10", "1.5h", "-1h", "10 m", "1M", "９s"] {
            assert_eq!(duration_us(wrong), None, "{wrong}");
        }
    }
}
