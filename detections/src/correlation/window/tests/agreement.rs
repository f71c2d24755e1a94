//! Windows say what the naive evaluator says.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::correlation::naive::{self, NaiveEvent};
use crate::correlation::window::content::values_max;
use crate::correlation::window::distinct::Distinct;

use super::*;

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![
        Kind::EventCount,
        Kind::ValueCount(field()),
        Kind::Temporal,
        Kind::TemporalOrdered,
        Kind::ValueSum(field()),
        Kind::ValueAvg(field()),
        Kind::ValuePercentile(field(), 0.0),
        Kind::ValuePercentile(field(), 50.0),
        Kind::ValuePercentile(field(), 90.0),
    ])
}

/// Baselines that learn and forget within the time of some events. No share of a few events is one of these exactly.
fn baselines() -> impl Strategy<Value = Kind> {
    let memory = (0..20_i64, 1..40_i64).prop_map(|(learn_us, forget_us)| Memory {
        learn_us,
        forget_us,
    });
    let below = prop::sample::select(vec![0.071_3, 0.123_4, 0.317_1]);
    let deviations = prop::sample::select(vec![0.5, 1.0, 2.5]);
    (memory, 0..3_u8, below, 1..4_u64, deviations).prop_map(
        |(memory, which, below, at_least, deviations)| {
            let of = vec![field()];
            match which {
                0 => Kind::FirstSeen { of, memory },
                1 => Kind::Rare { of, memory, below },
                _ => Kind::Spike {
                    memory,
                    at_least,
                    deviations,
                },
            }
        },
    )
}

/// `gt`, `gte`, `lt`, `lte`, `eq`, `neq` and ranges, with whole numbers and halves.
fn bounds() -> impl Strategy<Value = Bounds> {
    let number = || (0..12_i32).prop_map(|halves| f64::from(halves) / 2.0);
    let bound = || (number(), any::<bool>());
    let lower = bound().prop_map(|lower| Bounds {
        lower: Some(lower),
        ..Bounds::default()
    });
    let upper = bound().prop_map(|upper| Bounds {
        upper: Some(upper),
        ..Bounds::default()
    });
    let except = number().prop_map(|except| Bounds {
        except: Some(except),
        ..Bounds::default()
    });
    let range = (bound(), bound()).prop_map(|(lower, upper)| Bounds {
        lower: Some(lower),
        upper: Some(upper),
        ..Bounds::default()
    });
    prop_oneof![3 => lower, 1 => upper, 1 => number().prop_map(exactly), 1 => except, 1 => range]
}

/// What a percentile is need not be exact: these hold in any case, and wait for the end or not, as others do.
fn always(bounds: Bounds) -> Bounds {
    if bounds.wait_for_end() {
        Bounds {
            upper: Some((1e15, false)),
            ..Bounds::default()
        }
    } else {
        Bounds::at_least(-1e15)
    }
}

fn specs() -> impl Strategy<Value = Correlation> {
    (kinds(), bounds(), 0..20_i64).prop_map(|(kind, bounds, timespan_us)| {
        let bounds = match kind {
            Kind::ValuePercentile(..) => always(bounds),
            _ => bounds,
        };
        correlation(kind, bounds, timespan_us)
    })
}

fn baseline_specs() -> impl Strategy<Value = Correlation> {
    (baselines(), 1..20_i64)
        .prop_map(|(kind, timespan_us)| correlation(kind, Bounds::default(), timespan_us))
}

fn values() -> impl Strategy<Value = Option<Value>> {
    prop::sample::select(vec![
        None,
        Some(json!(null)),
        Some(json!({"a": 1})),
        Some(json!([])),
        Some(json!(["a", 1, null])),
        Some(json!("a")),
        Some(json!("1")),
        Some(json!(1)),
        Some(json!(2)),
        Some(json!(-3)),
        Some(json!(0.1)),
        Some(json!("0.2")),
        Some(json!(7.25)),
        Some(json!(true)),
        Some(json!(12_345_678)),
    ])
}

/// Sorted, with many at the same time, of the same identity, and as several inputs.
fn events() -> impl Strategy<Value = Vec<NaiveEvent>> {
    let event = (0..60_i64, 0..3_u8, 0..3_usize, values());
    prop::collection::vec(event, 0..80).prop_map(|events| {
        let mut events: Vec<NaiveEvent> = events
            .into_iter()
            .map(|(time_us, identity, input, value)| NaiveEvent {
                at: at(time_us, identity),
                input,
                value,
            })
            .collect();
        events.sort_by_key(|event| (event.at, event.input));
        events.dedup_by_key(|event| (event.at, event.input));
        events
    })
}

/// As it is stored and read back.
fn stored(window: &Window) -> Window {
    serde_json::from_str(&serde_json::to_string(window).unwrap()).unwrap()
}

/// What a window says of events that are fed one by one. With `store` it is stored and read back before each.
fn fed(spec: &Correlation, events: &[NaiveEvent], store: bool) -> Vec<(usize, Reached)> {
    let mut window = Window::new(spec);
    let mut all = Vec::new();
    for (index, event) in events.iter().enumerate() {
        if store {
            window = stored(&window);
        }
        if window
            .due_us(spec)
            .is_some_and(|due_us| due_us <= event.at.time_us)
        {
            all.extend(window.end(spec).map(|reached| (index, reached)));
        }
        // What has expired can be thrown away.
        if window.expires_us(spec) <= event.at.time_us {
            window = Window::new(spec);
        }
        let reached = window.feed(spec, event.at, event.input, event.value.as_ref());
        all.extend(reached.map(|reached| (index, reached)));
    }
    all.extend(window.end(spec).map(|reached| (events.len(), reached)));
    all
}

/// What a window may say where the naive evaluator says `right`: less than all, if it says so, and about a percentile.
fn bounded(spec: &Correlation, right: Reached, said: Reached) -> Reached {
    let capped = |most: usize| {
        let exact = right.value <= most as f64;
        Reached {
            value: right.value.min(most as f64),
            exact,
            ..right
        }
    };
    match &spec.kind {
        Kind::EventCount if !spec.bounds.wait_for_end() => {
            let capped = capped(times_max(spec));
            let starts_later = !capped.exact && said.first_us >= right.first_us;
            Reached {
                first_us: if starts_later {
                    said.first_us
                } else {
                    right.first_us
                },
                ..capped
            }
        }
        Kind::ValueCount(_) => capped(values_max(&spec.bounds)),
        Kind::ValuePercentile(..) => {
            let is_near = (said.value - right.value).abs() <= right.value.abs() * 0.005;
            Reached {
                value: if is_near { said.value } else { right.value },
                exact: false,
                ..right
            }
        }
        Kind::Rare { .. } => {
            let is_near = (said.value - right.value).abs() < 1e-9;
            Reached {
                value: if is_near { said.value } else { right.value },
                ..right
            }
        }
        _ => right,
    }
}

/// Makes `right` what the window may say, as far as both speak of the same events.
fn all_bounded(
    spec: &Correlation,
    right: Vec<(usize, Reached)>,
    said: &[(usize, Reached)],
) -> Vec<(usize, Reached)> {
    let said = said.iter().map(|(_, reached)| Some(*reached));
    let said = said.chain(std::iter::repeat(None));
    right
        .into_iter()
        .zip(said)
        .map(|((index, right), said)| (index, bounded(spec, right, said.unwrap_or(right))))
        .collect()
}

/// Values as they were seen, the newest last, with all that is known of them.
#[derive(Default)]
struct AllSeen(Vec<(u8, i64)>);

impl AllSeen {
    fn see(&mut self, value: u8, at_us: i64, from_us: i64) {
        self.0
            .retain(|(other, seen_us)| *other != value && *seen_us >= from_us);
        self.0.push((value, at_us));
    }

    fn newest(&self, most: usize) -> Vec<String> {
        let newest = self.0.iter().rev().take(most);
        newest.map(|(value, _)| value.to_string()).collect()
    }
}

proptest! {
    #[test]
    fn windows_say_what_the_naive_evaluator_says(
        spec in specs(), events in events(), store in any::<bool>(),
    ) {
        let said = fed(&spec, &events, store);
        let right = all_bounded(&spec, naive::reached(&spec, &events), &said);
        prop_assert_eq!(said, right);
    }

    #[test]
    fn baselines_say_what_the_naive_evaluator_says(
        spec in baseline_specs(), events in events(), store in any::<bool>(),
    ) {
        let said = fed(&spec, &events, store);
        let right = all_bounded(&spec, naive::reached(&spec, &events), &said);
        prop_assert_eq!(said, right);
    }

    #[test]
    fn the_most_recent_values_are_held_and_whether_they_are_all_is_known(
        sightings in prop::collection::vec((0..3_i64, 0..60_u8), 0..300),
        values_max in 1..40_usize, timespan_us in 0..100_i64, store in 0..50_usize,
    ) {
        let mut distinct = Distinct::<()>::default();
        let mut right = AllSeen::default();
        let mut now_us = 0;
        for (number, (later_us, value)) in sightings.into_iter().enumerate() {
            now_us += later_us;
            let from_us = now_us - timespan_us;
            if number % 50 == store {
                distinct = serde_json::from_str(&serde_json::to_string(&distinct).unwrap()).unwrap();
            }
            distinct.leave(from_us);
            distinct.see(&value.to_string(), now_us, values_max);
            right.see(value, now_us, from_us);
            prop_assert_eq!(distinct.len(), right.0.len().min(values_max));
            prop_assert_eq!(distinct.is_exact(from_us), right.0.len() <= values_max);
            prop_assert_eq!(distinct.texts(), right.newest(values_max));
        }
    }
}

/// Random events prove something only if baselines find something in them, and not everywhere.
#[test]
fn baselines_and_events_meet() {
    let mut runner = TestRunner::deterministic();
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for _ in 0..500 {
        let (spec, events) = (baseline_specs(), events())
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let found = naive::reached(&spec, &events).len();
        let (all, fed) = counts.entry(spec.kind.as_str()).or_default();
        *all += found;
        *fed += events.len();
    }
    assert_eq!(counts.len(), 3);
    for (kind, (found, fed)) in counts {
        assert!(found > 50 && found < fed / 2, "{kind}: {found} of {fed}");
    }
}
