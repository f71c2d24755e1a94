//! Baseline documents: what is usual for a group, and what is not.
//!
//! Sigma has nothing for it. All that a baseline shares with correlations (rules, groups, aliases, silence, chains, filters) is
//! theirs: what is read here becomes one of their drafts.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::correlation::COUNT_MAX;
use crate::diagnostic::Sink;

use super::ast::{Kind, Memory, ValueField};
use super::correlation::{
    Demand, Draft, Named, TIMESPAN_US_MAX, aliases, check_keys, duration_us, generate, kind, names,
    places, required_rules, timespan,
};
use super::header;
use super::yaml::Node;

const TYPES: [&str; 3] = ["first_seen", "rare", "spike"];

/// The keys of the section, to tell a slip of the pen.
const KEYS: [&str; 12] = [
    "type",
    "rules",
    "aliases",
    "group-by",
    "of",
    "learn",
    "forget",
    "below",
    "timespan",
    "at-least",
    "deviations",
    "generate",
];

/// Keys that only some types know.
const KEYS_OF_TYPES: [(&str, &[&str]); 5] = [
    ("of", &["first_seen", "rare"]),
    ("below", &["rare"]),
    ("timespan", &["spike"]),
    ("at-least", &["spike"]),
    ("deviations", &["spike"]),
];

/// A year, with a day to spare: what happens once a year need not be remembered by a detection.
const FORGET_US_MAX: i64 = 366 * 86_400_000_000;

/// Below, every bucket is a spike; beyond, none is.
const DEVIATIONS: RangeInclusive<f64> = 0.1..=1000.0;

/// What a baseline looks for, as read.
#[derive(Debug)]
pub(super) struct Baseline {
    /// The fields whose values together are one; none for a spike.
    pub(super) of: Vec<Named>,
    memory: Memory,
    anomaly: Anomaly,
}

#[derive(Debug)]
enum Anomaly {
    FirstSeen,
    Rare { below: f64 },
    Spike { at_least: u64, deviations: f64 },
}

impl Baseline {
    /// The kind, once the fields are resolved.
    pub(super) fn kind(&self, of: Vec<ValueField>) -> Kind {
        let memory = self.memory;
        match self.anomaly {
            Anomaly::FirstSeen => Kind::FirstSeen { of, memory },
            Anomaly::Rare { below } => Kind::Rare { of, memory, below },
            Anomaly::Spike {
                at_least,
                deviations,
            } => Kind::Spike {
                memory,
                at_least,
                deviations,
            },
        }
    }
}

/// Reads a document. Faults go to the sink.
pub(super) fn read(node: &Node, sink: &mut Sink) -> Option<Draft> {
    let header = header::header(node, sink);
    let (key, body) = node.entry("baseline")?;
    if body.mapping().is_none() {
        sink.error(
            "bad_baseline",
            key.span.clone(),
            "`baseline` must be a mapping",
        )
        .help("it needs type, rules, learn, forget, mostly group-by, and what the type asks for");
        return None;
    }
    check_keys(body, ("baseline", &KEYS), sink);
    // All are read before one that is missing ends it: every fault is told at once.
    let kind = kind(body, ("baseline", &TYPES), sink);
    let rules = required_rules(body, "baseline", sink);
    let aliases = aliases(body, sink);
    let memory = memory(body, sink);
    let generate = generate(body, sink);
    let kind = kind?.text;
    check_keys_of(body, &kind, sink);
    let of = if kind == "spike" {
        Some(Vec::new())
    } else {
        of(body, &kind, sink)
    };
    let (anomaly, timespan_us) = match kind.as_str() {
        "rare" => (below(body, sink).map(|below| Anomaly::Rare { below }), 0),
        "spike" => spike(body, memory, sink),
        _ => (Some(Anomaly::FirstSeen), 0),
    };
    Some(Draft {
        demand: Demand::Baseline(Baseline {
            of: of?,
            memory: memory?,
            anomaly: anomaly?,
        }),
        rules: rules?,
        aliases,
        group_by: names(body.get("group-by")),
        timespan_us,
        generate,
        place: body.head(),
        places: places(node),
        header,
    })
}

/// A key that the type does not know would be thought to do something.
fn check_keys_of(body: &Node, kind: &str, sink: &mut Sink) {
    for (key, types) in KEYS_OF_TYPES {
        if body.get(key).is_some() && !types.contains(&kind) {
            sink.error(
                "unused_key",
                body.key_span(key),
                format!("`{kind}` has no use for `{key}`"),
            )
            .help(format!("it goes with {}", types.join(" and ")));
        }
    }
}

fn of(body: &Node, kind: &str, sink: &mut Sink) -> Option<Vec<Named>> {
    let found = names(body.get("of"));
    if !found.is_empty() && found.iter().all(|named| !named.text.is_empty()) {
        return Some(found);
    }
    sink.error(
        "no_field",
        body.key_span("of"),
        format!("`{kind}` does not say of which field"),
    )
    .help("add `of: [field, …]`; the values of several fields are one together");
    None
}

/// How long it learns and remembers.
fn memory(body: &Node, sink: &mut Sink) -> Option<Memory> {
    let learn_us = time(body, "learn", TIMESPAN_US_MAX, sink);
    let forget_us = time(body, "forget", FORGET_US_MAX, sink);
    let (learn_us, forget_us) = (learn_us?, forget_us?);
    if learn_us > forget_us {
        sink.error(
            "bad_learn",
            body.key_span("learn"),
            "what is learned would be forgotten before it is used",
        )
        .help("`learn` must not be longer than `forget`");
        return None;
    }
    Some(Memory {
        learn_us,
        forget_us,
    })
}

fn time(body: &Node, key: &'static str, most_us: i64, sink: &mut Sink) -> Option<i64> {
    let written = body.get(key);
    let text = written.and_then(Node::text).unwrap_or_default();
    let found = duration_us(text).filter(|us| (1..=most_us).contains(us));
    if found.is_none() {
        let (code, days) = match key {
            "learn" => ("bad_learn", "7d"),
            _ => ("bad_forget", "30d"),
        };
        let message = if written.is_some() {
            format!("`{text}` is no time to {key}")
        } else {
            format!("the baseline has no `{key}`")
        };
        let place = written.map_or_else(|| body.head(), |written| written.span.clone());
        let most = most_us / 86_400_000_000;
        sink.error(code, place, message).help(format!(
            "write a whole number with s, m, h or d, such as `{days}`; at most {most}d"
        ));
    }
    found
}

/// A share in percent.
fn below(body: &Node, sink: &mut Sink) -> Option<f64> {
    let written = body.get("below");
    let text = written.and_then(Node::text).unwrap_or_default();
    let percent = text
        .strip_suffix('%')
        .and_then(|text| text.trim().parse::<f64>().ok());
    let found = percent.filter(|percent| *percent > 0.0 && *percent <= 100.0);
    if found.is_none() {
        let message = if written.is_some() {
            format!("`{text}` is no share")
        } else {
            "`rare` does not say what is rare".to_owned()
        };
        let place = written.map_or_else(|| body.head(), |written| written.span.clone());
        sink.error("bad_below", place, message)
            .help("write a percentage, such as `below: 1%`");
    }
    found.map(|percent| percent / 100.0)
}

/// What a spike is, with the length of its buckets.
fn spike(body: &Node, memory: Option<Memory>, sink: &mut Sink) -> (Option<Anomaly>, i64) {
    let timespan_us = timespan(body, "baseline", sink);
    let at_least = number(body, "at-least", 1..=COUNT_MAX as u64, sink);
    let deviations = number(body, "deviations", DEVIATIONS, sink);
    if let (Some(timespan_us), Some(memory)) = (timespan_us, memory)
        && timespan_us > memory.learn_us
    {
        sink.error(
            "bad_timespan",
            body.key_span("timespan"),
            "nothing is usual before one timespan is over",
        )
        .help("`timespan` must not be longer than `learn`");
        return (None, 0);
    }
    let anomaly = at_least
        .zip(deviations)
        .map(|(at_least, deviations)| Anomaly::Spike {
            at_least,
            deviations,
        });
    (timespan_us.and(anomaly), timespan_us.unwrap_or_default())
}

fn number<T: FromStr + PartialOrd + Display>(
    body: &Node,
    key: &str,
    range: RangeInclusive<T>,
    sink: &mut Sink,
) -> Option<T> {
    let written = body.get(key);
    let text = written.and_then(Node::text).unwrap_or_default();
    let found = text.parse().ok().filter(|number| range.contains(number));
    if found.is_none() {
        let message = if written.is_some() {
            format!("`{text}` is no number that fits here")
        } else {
            format!("`spike` does not say `{key}`")
        };
        let place = written.map_or_else(|| body.head(), |written| written.span.clone());
        let (least, most) = range.into_inner();
        sink.error("bad_number", place, message)
            .help(format!("write `{key}: …`, from {least} to {most}"));
    }
    found
}
