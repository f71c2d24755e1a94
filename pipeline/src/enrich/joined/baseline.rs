//! What a baseline found, in words: what was not usual, and what was.

use detections::correlation::{Habit, Sighting, Usual};
use detections::sigma::ast::{Correlation, Kind, Memory, ValueField};
use jiff::Timestamp;

use crate::alert::Evidence;
use crate::correlate::Finding;
use crate::correlate::stream::Joined;

use super::{duration, number, safe, shown};

/// Values that are named in one line.
const KNOWN_SHOWN: usize = 3;

/// The phrase: `first network 203.0.113.0/24 in 12 d; known before: 10.20.0.0/16 (412 times, last 2026-11-19 14:02Z)`.
pub(super) fn phrase(correlation: &Correlation, found: &Joined, finding: &Finding) -> String {
    let Some(usual) = found.usual.as_deref() else {
        return format!("{} requests that are not usual", finding.count);
    };
    let what = singular(correlation.kind.of());
    let of = names(correlation.kind.of());
    let values = shown(&of, &found.counted);
    let age = age(correlation, usual, finding);
    let sure = if found.exact {
        ""
    } else {
        ", as far as is remembered"
    };
    let requests = match finding.count {
        1 => String::new(),
        count => format!(", {count} requests"),
    };
    match (&correlation.kind, &usual.habit) {
        (Kind::Rare { .. }, Habit::Values { known, count, .. }) => {
            let (share, events) = (percent(found.value), usual.events);
            let known = others(&of, known, *count);
            format!(
                "rare {what} {values}: {share} of {events} requests in {age}{requests}; {known}"
            )
        }
        (_, Habit::Values { known, count, .. }) => {
            let known = others(&of, known, *count);
            format!("first {what} {values} in {age}{sure}{requests}; {known}")
        }
        (
            _,
            Habit::Counts {
                spans,
                median,
                deviation,
                ..
            },
        ) => {
            let (value, span) = (number(found.value), duration(correlation.timespan_us));
            format!(
                "{value} requests in {span}; usual are {median}, give or take {deviation}, in {spans} times {span}"
            )
        }
    }
}

/// What was asked for and found, what was known before, and what would make it ordinary.
pub(super) fn evidence(
    correlation: &Correlation,
    memory: Memory,
    found: &Joined,
    line: usize,
) -> Vec<Evidence> {
    let line_of = |text: String, field: &str, values: Vec<String>| Evidence {
        selection: "baseline".to_owned(),
        line,
        text,
        field: field.to_owned(),
        values,
    };
    let of = names(correlation.kind.of());
    let (demand, ordinary) = demand(correlation, memory);
    let values = match correlation.kind {
        Kind::Spike { .. } => vec![number(found.value)],
        _ => found.counted.iter().map(|value| safe(&of, value)).collect(),
    };
    let mut evidence = vec![line_of(demand, correlation.kind.as_str(), values)];
    let Some(usual) = found.usual.as_deref() else {
        return evidence;
    };
    let since = format!("known since {}; {ordinary}", time(usual.since_us));
    let before = vec![usual.events.to_string()];
    evidence.push(line_of(since, "requests before", before));
    match &usual.habit {
        Habit::Values { known, .. } => {
            for sighting in known {
                let text = format!("known before, {}", times(sighting));
                evidence.push(line_of(text, &of, vec![safe(&of, &sighting.text)]));
            }
        }
        Habit::Counts { limit, .. } => {
            let text = "more than this is a spike".to_owned();
            evidence.push(line_of(text, "limit", vec![number(*limit)]));
        }
    }
    evidence
}

/// What was asked for, and what would make it ordinary.
fn demand(correlation: &Correlation, memory: Memory) -> (String, String) {
    let (learn, forget) = (duration(memory.learn_us), duration(memory.forget_us));
    let of = names(correlation.kind.of());
    match &correlation.kind {
        Kind::Rare { below, .. } => {
            let share = percent(*below);
            (
                format!("rare of {of}: below {share} of the group's requests"),
                format!("from {share} on it is usual, and a request weighs half after {forget}"),
            )
        }
        Kind::Spike {
            at_least,
            deviations,
            ..
        } => {
            let span = duration(correlation.timespan_us);
            (
                format!(
                    "spike: at least {at_least} in {span}, and {deviations} deviations above the median"
                ),
                format!("what half of the times of {span} within {forget} come to is usual"),
            )
        }
        _ => (
            format!("first_seen of {of}: not within {forget}, after {learn} of learning"),
            format!("seen again within {forget} it is known"),
        ),
    }
}

/// How long the group had been known, and what it saw is remembered.
fn age(correlation: &Correlation, usual: &Usual, finding: &Finding) -> String {
    let first_us = finding.first_us.unwrap_or(usual.since_us);
    let known_us = first_us.saturating_sub(usual.since_us);
    let memory = correlation.kind.memory();
    duration(memory.map_or(known_us, |memory| known_us.min(memory.forget_us)))
}

/// `known before: 10.20.0.0/16 (412 times, last 2026-11-19 14:02Z), …`.
fn others(of: &str, known: &[Sighting], count: u64) -> String {
    if known.is_empty() {
        return "nothing else is known".to_owned();
    }
    let named = known.iter().take(KNOWN_SHOWN);
    let named: Vec<_> = named
        .map(|sighting| format!("{} ({})", safe(of, &sighting.text), times(sighting)))
        .collect();
    let more = match count.saturating_sub(named.len() as u64) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("known before: {}{more}", named.join(", "))
}

fn times(sighting: &Sighting) -> String {
    let last = time(sighting.last_us);
    match sighting.times {
        1 => format!("once, {last}"),
        times => format!("{times} times, last {last}"),
    }
}

fn time(microseconds: i64) -> String {
    Timestamp::from_microsecond(microseconds).map_or_else(
        |_| "a time outside of the calendar".to_owned(),
        |time| time.strftime("%Y-%m-%d %H:%MZ").to_string(),
    )
}

/// A share as people write it.
fn percent(share: f64) -> String {
    format!("{} %", number(share * 100.0))
}

fn names(of: &[ValueField]) -> String {
    let names: Vec<_> = of.iter().map(|field| field.name.as_str()).collect();
    names.join(" · ")
}

/// What one value of the fields is, in words where there are some.
fn singular(of: &[ValueField]) -> String {
    let words: Vec<_> = of.iter().map(|field| word(&field.name)).collect();
    words.join(" · ")
}

fn word(field: &str) -> &str {
    match field {
        "actor.canonical" | "actor.name" | "user.username" => "actor",
        "agent.family" => "client",
        "exec.namespace" | "objectRef.namespace" => "namespace",
        "objectRef.resource" => "kind of resource",
        "source.client" | "sourceIPs" => "address",
        "source.network" => "network",
        other => other,
    }
}
