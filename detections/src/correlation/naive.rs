//! The definition of what correlations and baselines find, by brute force.
//!
//! It holds all events of one group, and for every event looks at the whole window anew, or at all that the group did. Nothing runs it but tests; it is
//! here because [`Window`](super::Window) is right if and only if it says the same, wherever that one claims to be exact.

mod baseline;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::scalar;
use crate::sigma::ast::{Correlation, Kind};

use super::Moment;
use super::window::{Reached, millionths, rank, units};

/// An event of the group, as one of the inputs. One that is of several stands there once for each.
#[derive(Clone, Debug)]
pub struct NaiveEvent {
    /// When it happened.
    pub at: Moment,
    /// Which input it is of.
    pub input: usize,
    /// What is in the field that the kind looks at.
    pub value: Option<Value>,
}

/// When the condition holds of events in their order, with the index of the event that shows it: the one that completes a
/// sliding window, or the first that is behind the end of one that waits for it. Windows that end behind all events have the
/// index behind the last.
#[must_use]
pub fn reached(spec: &Correlation, events: &[NaiveEvent]) -> Vec<(usize, Reached)> {
    if let Some(memory) = spec.kind.memory() {
        baseline::reached(spec, memory, events)
    } else if spec.bounds.wait_for_end() {
        at_ends(spec, events)
    } else {
        sliding(spec, events)
    }
}

fn sliding(spec: &Correlation, events: &[NaiveEvent]) -> Vec<(usize, Reached)> {
    let mut counted = BTreeSet::new();
    let mut all = Vec::new();
    for (index, event) in events.iter().enumerate() {
        if !takes_part(spec, event) {
            continue;
        }
        let from_us = event.at.time_us - spec.timespan_us;
        let window: Vec<&NaiveEvent> = events[..=index]
            .iter()
            .filter(|other| other.at.time_us >= from_us && takes_part(spec, other))
            .collect();
        let Some((value, first_us)) = measure(spec, &window, Some(event)) else {
            continue;
        };
        if !spec.bounds.hold(value) {
            continue;
        }
        let fresh: BTreeSet<Moment> = moments(&window).difference(&counted).copied().collect();
        all.push((index, exactly(value, first_us, fresh.len())));
        counted.extend(fresh);
    }
    all
}

fn at_ends(spec: &Correlation, events: &[NaiveEvent]) -> Vec<(usize, Reached)> {
    let mut all = Vec::new();
    let mut index = 0;
    while let Some(opening) = events.get(index) {
        if !takes_part(spec, opening) {
            index += 1;
            continue;
        }
        let end_us = opening.at.time_us + spec.timespan_us;
        let is_behind = |event: &NaiveEvent| event.at.time_us > end_us;
        let behind = events.iter().position(is_behind).unwrap_or(events.len());
        let window: Vec<&NaiveEvent> = events[index..behind]
            .iter()
            .filter(|event| takes_part(spec, event))
            .collect();
        if let Some((value, first_us)) = measure(spec, &window, None)
            && spec.bounds.hold(value)
        {
            let fresh = moments(&window).len();
            all.push((behind, exactly(value, first_us, fresh)));
        }
        index = behind;
    }
    all
}

fn exactly(value: f64, first_us: i64, fresh: usize) -> Reached {
    Reached {
        first_us,
        value,
        fresh: fresh as u64,
        exact: true,
    }
}

/// Whether the event has what the kind looks at.
fn takes_part(spec: &Correlation, event: &NaiveEvent) -> bool {
    match &spec.kind {
        Kind::EventCount | Kind::Temporal | Kind::TemporalOrdered | Kind::Spike { .. } => true,
        Kind::ValueCount(_) | Kind::FirstSeen { .. } | Kind::Rare { .. } => {
            !texts(event).is_empty()
        }
        Kind::ValueSum(_) | Kind::ValueAvg(_) | Kind::ValuePercentile(..) => {
            number(event).is_some()
        }
    }
}

/// The value of a window, and when its oldest event that counts happened. `last` completes it; `None` at the end.
fn measure(
    spec: &Correlation,
    window: &[&NaiveEvent],
    last: Option<&NaiveEvent>,
) -> Option<(f64, i64)> {
    let oldest_us = window.first()?.at.time_us;
    match &spec.kind {
        Kind::EventCount => Some((moments(window).len() as f64, oldest_us)),
        Kind::ValueCount(_) => {
            let values: BTreeSet<String> = window.iter().flat_map(|event| texts(event)).collect();
            Some((values.len() as f64, oldest_us))
        }
        Kind::Temporal => {
            let inputs = 0..spec.inputs.len();
            let newest: Vec<i64> = inputs.filter_map(|input| newest(window, input)).collect();
            Some((newest.len() as f64, *newest.iter().min()?))
        }
        Kind::TemporalOrdered => match last {
            Some(last) => Some(((last.input + 1) as f64, start(window, last)?)),
            None => Some(longest(spec, window).unwrap_or((0.0, oldest_us))),
        },
        Kind::ValueSum(_) => Some((units(numbers(window).iter().sum()), oldest_us)),
        Kind::ValueAvg(_) => {
            let numbers = numbers(window);
            let sum = units(numbers.iter().sum());
            Some((sum / numbers.len() as f64, oldest_us))
        }
        Kind::ValuePercentile(_, percentile) => {
            let mut numbers = numbers(window);
            numbers.sort_unstable();
            let rank = rank(*percentile, numbers.len() as u64);
            let index = usize::try_from(rank).ok()?.checked_sub(1)?;
            Some((units(*numbers.get(index)?), oldest_us))
        }
        Kind::FirstSeen { .. } | Kind::Rare { .. } | Kind::Spike { .. } => None,
    }
}

fn moments(window: &[&NaiveEvent]) -> BTreeSet<Moment> {
    window.iter().map(|event| event.at).collect()
}

/// When an input occurred for the last time.
fn newest(window: &[&NaiveEvent], input: usize) -> Option<i64> {
    let of_input = window.iter().filter(|event| event.input == input);
    of_input.map(|event| event.at.time_us).max()
}

/// The latest time at which a sequence of inputs in their order can have begun that ends with this event as its input.
fn start(window: &[&NaiveEvent], last: &NaiveEvent) -> Option<i64> {
    let Some(previous) = last.input.checked_sub(1) else {
        return Some(last.at.time_us);
    };
    let before = window
        .iter()
        .filter(|event| event.input == previous && event.at < last.at);
    before.filter_map(|event| start(window, event)).max()
}

/// How many inputs occurred in their order, and the latest time at which that can have begun.
fn longest(spec: &Correlation, window: &[&NaiveEvent]) -> Option<(f64, i64)> {
    (0..spec.inputs.len()).rev().find_map(|input| {
        let ends = window.iter().filter(|event| event.input == input);
        let latest_us = ends.filter_map(|event| start(window, event)).max()?;
        Some(((input + 1) as f64, latest_us))
    })
}

fn texts(event: &NaiveEvent) -> Vec<String> {
    let text = |value: &Value| scalar::text(value).map(String::from);
    match &event.value {
        None => Vec::new(),
        Some(Value::Array(members)) => members.iter().filter_map(text).collect(),
        Some(single) => text(single).into_iter().collect(),
    }
}

fn number(event: &NaiveEvent) -> Option<i128> {
    event.value.as_ref().and_then(millionths)
}

/// The numbers of the events, in millionths; an event that stands there for several inputs has that of the first.
fn numbers(window: &[&NaiveEvent]) -> Vec<i128> {
    let mut by_moment = BTreeMap::new();
    for event in window {
        if let Some(number) = number(event) {
            by_moment.entry(event.at).or_insert(number);
        }
    }
    by_moment.into_values().collect()
}
