//! What baselines find: every event is judged by all that its group did before.

use std::collections::BTreeSet;

use crate::correlation::Reached;
use crate::correlation::window::EVENTS_MIN;
use crate::sigma::ast::{Correlation, Kind, Memory};

use super::{NaiveEvent, exactly, takes_part, texts};

pub(super) fn reached(
    spec: &Correlation,
    memory: Memory,
    events: &[NaiveEvent],
) -> Vec<(usize, Reached)> {
    // An event that stands there for several inputs is that of the first.
    let mut numbered: Vec<(usize, &NaiveEvent)> = events.iter().enumerate().collect();
    numbered.retain(|(_, event)| takes_part(spec, event));
    numbered.dedup_by_key(|(_, event)| event.at);
    let mut all: Vec<(usize, Reached)> = Vec::new();
    for (place, (index, event)) in numbered.iter().enumerate() {
        let history: Vec<&NaiveEvent> = numbered[..place].iter().map(|(_, event)| *event).collect();
        let before = remembered(memory, &history, event);
        let Some(first) = before.first() else {
            continue;
        };
        if event.at.time_us - first.at.time_us <= memory.learn_us {
            continue;
        }
        all.extend(judge(spec, memory, before, event).map(|reached| (*index, reached)));
    }
    if matches!(spec.kind, Kind::Spike { .. }) {
        tell_once(spec, events, &mut all);
    }
    all
}

/// The events since the last silence that was long enough to forget the group.
fn remembered<'a>(
    memory: Memory,
    history: &'a [&'a NaiveEvent],
    event: &'a NaiveEvent,
) -> &'a [&'a NaiveEvent] {
    let later = history.iter().skip(1).copied().chain([event]);
    let silences = history
        .iter()
        .zip(later)
        .map(|(one, next)| next.at.time_us - one.at.time_us);
    let last = silences
        .enumerate()
        .filter(|(_, us)| *us > memory.forget_us);
    &history[last.map(|(place, _)| place + 1).last().unwrap_or(0)..]
}

fn judge(
    spec: &Correlation,
    memory: Memory,
    before: &[&NaiveEvent],
    event: &NaiveEvent,
) -> Option<Reached> {
    let now_us = event.at.time_us;
    match &spec.kind {
        Kind::FirstSeen { .. } => {
            let is_recent = |other: &&&NaiveEvent| now_us - other.at.time_us <= memory.forget_us;
            let recent = before.iter().filter(is_recent);
            let known: BTreeSet<String> = recent.flat_map(|other| texts(other)).collect();
            let shown: BTreeSet<String> = texts(event).into_iter().collect();
            let new = shown.difference(&known).count();
            (new > 0).then(|| exactly(new as f64, now_us, 1))
        }
        Kind::Rare { below, .. } => {
            let shares = texts(event)
                .into_iter()
                .map(|text| share(memory, before, now_us, &text));
            let least = shares.reduce(f64::min)?;
            let is_rare = before.len() as u64 >= EVENTS_MIN && least < *below;
            is_rare.then(|| exactly(least, now_us, 1))
        }
        Kind::Spike {
            at_least,
            deviations,
            ..
        } => spike(spec, memory, (*at_least, *deviations), before, event),
        _ => None,
    }
}

/// The share of events that show a text. Of those that are `forget` older each weighs half.
fn share(memory: Memory, before: &[&NaiveEvent], now_us: i64, text: &str) -> f64 {
    let weight = |event: &NaiveEvent| {
        let age_us = now_us - event.at.time_us;
        (-(age_us as f64) / memory.forget_us as f64).exp2()
    };
    let all: f64 = before.iter().map(|event| weight(event)).sum();
    let shows = |event: &&&NaiveEvent| texts(event).iter().any(|other| other == text);
    let with: f64 = before.iter().filter(shows).map(|event| weight(event)).sum();
    with / all
}

/// Compares the bucket so far with all that are over and remembered. What is fresh in it is told later.
fn spike(
    spec: &Correlation,
    memory: Memory,
    (at_least, deviations): (u64, f64),
    before: &[&NaiveEvent],
    event: &NaiveEvent,
) -> Option<Reached> {
    let bucket_of = |event: &NaiveEvent| event.at.time_us.div_euclid(spec.timespan_us);
    let now = bucket_of(event);
    let in_bucket = |number: i64| {
        let events = before.iter().filter(|other| bucket_of(other) == number);
        events.count() as u64
    };
    let kept = (memory.forget_us / spec.timespan_us).max(1);
    let first = bucket_of(before.first()?).max(now - kept);
    let counts: Vec<u64> = (first..now).map(in_bucket).collect();
    let median = middle(counts.clone());
    let deviation = middle(counts.iter().map(|count| count.abs_diff(median)).collect());
    let count = in_bucket(now) + 1;
    let limit = median as f64 + deviations * deviation.max(1) as f64;
    let began_us = before
        .iter()
        .copied()
        .chain([event])
        .find(|other| bucket_of(other) == now)?
        .at
        .time_us;
    let is_spike = count >= at_least && count as f64 > limit;
    is_spike.then(|| exactly(count as f64, began_us, 1))
}

/// The least number that half of all do not exceed.
fn middle(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    let half = numbers.len().div_ceil(2);
    half.checked_sub(1).map_or(0, |place| numbers[place])
}

/// The first time that a bucket is found all of its events are fresh.
fn tell_once(spec: &Correlation, events: &[NaiveEvent], all: &mut [(usize, Reached)]) {
    let mut last = None;
    for (index, reached) in all {
        let bucket = events[*index].at.time_us.div_euclid(spec.timespan_us);
        if last.replace((bucket, reached.first_us)) != Some((bucket, reached.first_us)) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count of events"
            )]
            let count = reached.value as u64;
            reached.fresh = count;
        }
    }
}
