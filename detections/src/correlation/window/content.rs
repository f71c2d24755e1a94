//! What a window keeps beside the times of its events, by the kind of the correlation.

use std::borrow::Cow;
use std::slice;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::scalar;
use crate::sigma::ast::{Bounds, Correlation, Kind};

use super::distinct::Distinct;
use super::inputs::{Inputs, Sequence};
use super::known::Known;
use super::number::millionths;
use super::numbers::Numbers;
use super::rare::Rare;
use super::sketch::Sketch;
use super::spike::{Demand, Spike};
use super::usual::Usual;
use super::{Reached, VALUES_MAX};

/// Distinct values that a window tells apart even if fewer decide, so that a finding can list them.
pub(super) const VALUES_MIN: usize = 64;

/// What an event is to a kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    /// That it happened is all.
    Event,
    /// At least one of them is a scalar.
    Values(&'a [Value]),
    /// In millionths.
    Number(i128),
}

impl<'a> Part<'a> {
    /// `None` if the event lacks what the kind looks at.
    pub(super) fn of(kind: &Kind, value: Option<&'a Value>) -> Option<Self> {
        match kind {
            Kind::EventCount | Kind::Temporal | Kind::TemporalOrdered | Kind::Spike { .. } => {
                Some(Self::Event)
            }
            Kind::ValueCount(_) | Kind::FirstSeen { .. } | Kind::Rare { .. } => {
                let members = match value? {
                    Value::Array(members) => members.as_slice(),
                    single => slice::from_ref(single),
                };
                members
                    .iter()
                    .any(is_scalar)
                    .then_some(Self::Values(members))
            }
            Kind::ValueSum(_) | Kind::ValueAvg(_) | Kind::ValuePercentile(..) => {
                millionths(value?).map(Self::Number)
            }
        }
    }
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Array(_) | Value::Object(_))
}

/// How an event comes in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// Event time, microseconds.
    pub(super) time_us: i64,
    /// What happened earlier is not in a window with it.
    pub(super) start_us: i64,
    /// Which input it is of.
    pub(super) input: usize,
    /// Whether it is the first time: it is fed again for each further input.
    pub(super) is_new: bool,
}

/// How a window is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// What happened earlier is not in it, microseconds.
    pub(super) start_us: i64,
    /// Events in it, as far as their times are known.
    pub(super) events: u64,
    /// The input whose event was just taken; `None` at the end.
    pub(super) fed: Option<usize>,
}

/// What is compared with the bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    pub(super) value: f64,
    /// Event time, microseconds, of the oldest event that counts, if it is not the window's oldest.
    pub(super) first_us: Option<i64>,
    pub(super) exact: bool,
}

/// What is kept. All but the smallest is boxed, since most windows are of the smallest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Content {
    /// `event_count`: nothing. The time of the newest event that had to go while it may still have been in the window.
    Events { dropped_us: i64 },
    /// `value_count`.
    Values(Box<Distinct>),
    /// `temporal`.
    Inputs(Box<Inputs>),
    /// `temporal_ordered`.
    Sequence(Box<Sequence>),
    /// `value_sum` and `value_avg`.
    Numbers(Box<Numbers>),
    /// `value_percentile`.
    Sketch(Box<Sketch>),
    /// `first_seen`.
    Known(Box<Known>),
    /// `rare`.
    Rare(Box<Rare>),
    /// `spike`.
    Spike(Box<Spike>),
}

impl Content {
    pub(super) fn new(spec: &Correlation) -> Self {
        let slides = !spec.bounds.wait_for_end();
        match spec.kind {
            Kind::EventCount => Self::Events {
                dropped_us: i64::MIN,
            },
            Kind::ValueCount(_) => Self::Values(Box::default()),
            Kind::Temporal => Self::Inputs(Box::new(Inputs::new(spec.inputs.len()))),
            Kind::TemporalOrdered => Self::Sequence(Box::new(Sequence::new(spec.inputs.len()))),
            Kind::ValueSum(_) | Kind::ValueAvg(_) => Self::Numbers(Box::new(Numbers::new(slides))),
            Kind::ValuePercentile(..) => Self::Sketch(Box::new(Sketch::new(slides))),
            Kind::FirstSeen { .. } => Self::Known(Box::default()),
            Kind::Rare { .. } => Self::Rare(Box::default()),
            Kind::Spike { .. } => Self::Spike(Box::default()),
        }
    }

    /// Whether it is a baseline's.
    pub(super) fn learns(&self) -> bool {
        matches!(self, Self::Known(_) | Self::Rare(_) | Self::Spike(_))
    }

    /// What a baseline makes of an event.
    pub(super) fn learn(
        &mut self,
        spec: &Correlation,
        time_us: i64,
        part: Part<'_>,
    ) -> Option<Reached> {
        match (self, &spec.kind, part) {
            (Self::Known(known), Kind::FirstSeen { memory, .. }, Part::Values(members)) => {
                known.learn(*memory, time_us, &different(members))
            }
            (Self::Rare(rare), Kind::Rare { memory, below, .. }, Part::Values(members)) => {
                rare.learn(*memory, *below, time_us, &different(members))
            }
            (
                Self::Spike(spike),
                Kind::Spike {
                    memory,
                    at_least,
                    deviations,
                },
                _,
            ) => {
                let demand = Demand {
                    memory: *memory,
                    bucket_us: spec.timespan_us,
                    at_least: *at_least,
                    deviations: *deviations,
                };
                spike.learn(&demand, time_us)
            }
            _ => None,
        }
    }

    /// What was usual before the last event; `None` where nothing is learned.
    pub(super) fn usual(&self) -> Option<Usual> {
        match self {
            Self::Known(known) => Some(known.usual()),
            Self::Rare(rare) => Some(rare.usual()),
            Self::Spike(spike) => Some(spike.usual()),
            _ => None,
        }
    }

    /// How much of what is usual had to be forgotten before its time.
    pub(super) fn forgotten(&self) -> u64 {
        match self {
            Self::Known(known) => known.forgotten(),
            Self::Rare(rare) => rare.forgotten(),
            Self::Spike(spike) => spike.forgotten(),
            _ => 0,
        }
    }

    /// The values that a finding names.
    pub(super) fn values(&self) -> Vec<&str> {
        match self {
            Self::Values(values) => values.texts(),
            Self::Known(known) => known.texts(),
            Self::Rare(rare) => rare.texts(),
            _ => Vec::new(),
        }
    }

    /// What is older leaves. Inputs and sequences compare times when they are asked; baselines leave for themselves.
    pub(super) fn leave(&mut self, start_us: i64) {
        match self {
            Self::Values(values) => values.leave(start_us),
            Self::Numbers(numbers) => numbers.leave(start_us),
            Self::Sketch(sketch) => sketch.leave(start_us),
            _ => {}
        }
    }

    /// The time of an event had to go, although the event may still be in the window.
    pub(super) fn lose(&mut self, time_us: i64) {
        if let Self::Events { dropped_us } = self {
            *dropped_us = time_us;
        }
    }

    pub(super) fn take(&mut self, spec: &Correlation, arrival: Arrival, part: Part<'_>) {
        match (self, part) {
            (Self::Values(values), Part::Values(members)) => {
                let values_max = values_max(&spec.bounds);
                for text in members.iter().filter_map(scalar::text) {
                    values.see(&text, arrival.time_us, values_max);
                }
            }
            (Self::Inputs(inputs), _) => inputs.see(arrival),
            (Self::Sequence(sequence), _) => sequence.see(arrival),
            (Self::Numbers(numbers), Part::Number(number)) if arrival.is_new => {
                numbers.enter(arrival, number);
            }
            (Self::Sketch(sketch), Part::Number(number)) if arrival.is_new => {
                sketch.enter(arrival, number);
            }
            _ => {}
        }
    }

    /// `None` if there is nothing to compare.
    pub(super) fn measure(&self, spec: &Correlation, look: Look) -> Option<Measure> {
        let measure = |value, first_us, exact| Measure {
            value,
            first_us,
            exact,
        };
        Some(match self {
            Self::Events { dropped_us } => {
                measure(look.events as f64, None, *dropped_us < look.start_us)
            }
            Self::Values(values) => {
                measure(values.len() as f64, None, values.is_exact(look.start_us))
            }
            Self::Inputs(inputs) => {
                let (count, first_us) = inputs.since(look.start_us)?;
                measure(count as f64, Some(first_us), true)
            }
            Self::Sequence(sequence) => {
                let (length, first_us) = match look.fed {
                    Some(input) => sequence.completed(input).map(with_some)?,
                    None => sequence.longest().map_or((0, None), with_some),
                };
                measure(length as f64, first_us, true)
            }
            Self::Numbers(numbers) => {
                let value = match spec.kind {
                    Kind::ValueAvg(_) => numbers.mean()?,
                    _ => numbers.sum()?,
                };
                measure(value, None, numbers.is_exact())
            }
            Self::Sketch(sketch) => {
                let Kind::ValuePercentile(_, percentile) = spec.kind else {
                    return None;
                };
                measure(sketch.percentile(percentile)?, None, false)
            }
            // These judge each event by what was before it.
            Self::Known(_) | Self::Rare(_) | Self::Spike(_) => return None,
        })
    }

    /// Values, inputs, steps or numbers; `None` where events are all there is.
    pub(super) fn progress(&self) -> Option<u64> {
        Some(match self {
            Self::Events { .. } => return None,
            Self::Values(values) => values.len() as u64,
            Self::Inputs(inputs) => inputs.len() as u64,
            Self::Sequence(sequence) => sequence.longest().map_or(0, |(length, _)| length as u64),
            Self::Numbers(numbers) => numbers.len(),
            Self::Sketch(sketch) => sketch.len(),
            Self::Known(known) => known.events(),
            Self::Rare(rare) => rare.events(),
            Self::Spike(spike) => spike.events(),
        })
    }

    /// Bytes on the heap, about.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Events { .. } => 0,
            Self::Values(values) => values.weight(),
            Self::Inputs(inputs) => inputs.weight(),
            Self::Sequence(sequence) => sequence.weight(),
            Self::Numbers(numbers) => numbers.weight(),
            Self::Sketch(sketch) => sketch.weight(),
            Self::Known(known) => known.weight(),
            Self::Rare(rare) => rare.weight(),
            Self::Spike(spike) => spike.weight(),
        }
    }
}

/// The texts of scalars, each once, in their order.
fn different(members: &[Value]) -> Vec<Cow<'_, str>> {
    let mut texts = Vec::with_capacity(members.len());
    for text in members.iter().filter_map(scalar::text) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}

fn with_some((length, first_us): (usize, i64)) -> (usize, Option<i64>) {
    (length, Some(first_us))
}

/// How many values must be told apart: one more than any bound names, so that all greater counts are judged alike.
pub(super) fn values_max(bounds: &Bounds) -> usize {
    let upper = bounds.upper.map(|(bound, _)| bound);
    let beyond = [upper, bounds.except].into_iter().flatten().map(above);
    let most = beyond.fold(bounds.least_count(), u64::max);
    // One more than a rule may name.
    usize::try_from(most)
        .unwrap_or(VALUES_MAX)
        .clamp(VALUES_MIN, VALUES_MAX + 1)
}

/// The least whole number above a bound.
fn above(bound: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "conditions are checked to be below 2^53 when they are read"
    )]
    let whole = bound.max(0.0) as u64;
    whole.saturating_add(1)
}
