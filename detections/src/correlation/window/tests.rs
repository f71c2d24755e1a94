use serde_json::json;

use crate::diagnostic::Source;
use crate::sigma::ast::{Bounds, Header, Input, Level, ValueField};

use super::distinct::TEXT_CHARS_MAX;
use super::*;

mod agreement;
mod baseline;
mod numbers;

const SECOND: i64 = 1_000_000;

/// Over three inputs.
fn correlation(kind: Kind, bounds: Bounds, timespan_us: i64) -> Correlation {
    let input = |name: &str| Input::Rule(name.to_owned());
    Correlation {
        header: header(),
        kind,
        inputs: vec![input("first"), input("second"), input("third")],
        group_by: Vec::new(),
        timespan_us,
        bounds,
        silent: false,
    }
}

fn header() -> Header {
    Header {
        id: String::new(),
        name: String::new(),
        title: String::new(),
        status: None,
        description: String::new(),
        references: Vec::new(),
        author: None,
        date: None,
        modified: None,
        tags: Vec::new(),
        tactics: Vec::new(),
        techniques: Vec::new(),
        false_positives: Vec::new(),
        level: Level::Medium,
        source: Source::new("", ""),
    }
}

fn field() -> ValueField {
    ValueField {
        name: "field".to_owned(),
        paths: Vec::new(),
    }
}

fn exactly(number: f64) -> Bounds {
    Bounds {
        lower: Some((number, false)),
        upper: Some((number, false)),
        except: None,
    }
}

fn less_than(number: f64) -> Bounds {
    Bounds {
        upper: Some((number, true)),
        ..Bounds::default()
    }
}

fn at(time_us: i64, identity: u8) -> Moment {
    Moment {
        time_us,
        identity: [identity; 16],
    }
}

/// A window and its correlation, fed in short words.
struct Scene {
    spec: Correlation,
    window: Window,
}

impl Scene {
    /// Over ten seconds.
    fn new(kind: Kind, bounds: Bounds) -> Self {
        let spec = correlation(kind, bounds, 10 * SECOND);
        let window = Window::new(&spec);
        Self { spec, window }
    }

    fn feed(&mut self, time_us: i64, input: usize) -> Option<Reached> {
        self.window.feed(&self.spec, at(time_us, 0), input, None)
    }

    fn value(&mut self, time_us: i64, value: &Value) -> Option<Reached> {
        self.window.feed(&self.spec, at(time_us, 0), 0, Some(value))
    }

    fn end(&mut self) -> Option<Reached> {
        self.window.end(&self.spec)
    }

    fn weight(&self) -> usize {
        self.window.weight()
    }
}

fn found(first_us: i64, value: f64, fresh: u64) -> Reached {
    Reached {
        first_us,
        value,
        fresh,
        exact: true,
    }
}

#[test]
fn events_exactly_a_timespan_apart_are_in_one_window() {
    let mut scene = Scene::new(Kind::EventCount, Bounds::at_least(2.0));
    assert_eq!(scene.feed(0, 0), None);
    assert_eq!(scene.feed(10 * SECOND, 0), Some(found(0, 2.0, 2)));
    assert_eq!(scene.feed(20 * SECOND + 1, 0), None);
    assert_eq!(scene.window.expires_us(&scene.spec), 30 * SECOND + 2);
}

#[test]
fn a_sliding_condition_is_told_of_for_each_event_while_it_holds() {
    let mut scene = Scene::new(Kind::EventCount, Bounds::at_least(2.0));
    assert_eq!(scene.feed(0, 0), None);
    assert_eq!(scene.feed(1, 0), Some(found(0, 2.0, 2)));
    // The third is one more than the window needs to know.
    let third = scene.feed(2, 0).unwrap();
    assert_eq!((third.value.to_bits(), third.fresh), (2.0_f64.to_bits(), 1));
    assert!(!third.exact && third.first_us == 1);
    // Once the first ones have left, it knows again that these are all.
    assert_eq!(scene.feed(10 * SECOND + 2, 0), Some(found(2, 2.0, 1)));
}

#[test]
fn an_event_of_several_inputs_counts_once() {
    let mut scene = Scene::new(Kind::EventCount, Bounds::at_least(2.0));
    assert_eq!(scene.feed(0, 0), None);
    assert_eq!(scene.feed(0, 1), None);
    assert_eq!(scene.window.progress(), 1);
    assert_eq!(scene.feed(5, 0), Some(found(0, 2.0, 2)));
    assert_eq!(scene.feed(5, 1), Some(found(0, 2.0, 0)));
    let another = at(5, 1);
    let reached = scene.window.feed(&scene.spec, another, 0, None).unwrap();
    assert_eq!(reached.fresh, 1);
}

#[test]
fn an_exact_number_is_decided_at_the_end() {
    let mut scene = Scene::new(Kind::EventCount, exactly(2.0));
    assert_eq!(scene.window.due_us(&scene.spec), None);
    assert_eq!(scene.feed(5, 0), None);
    assert_eq!(scene.window.due_us(&scene.spec), Some(10 * SECOND + 6));
    assert_eq!(scene.feed(10 * SECOND + 5, 0), None);
    assert_eq!(scene.end(), Some(found(5, 2.0, 2)));
    assert_eq!(scene.window.due_us(&scene.spec), None);
    assert_eq!(scene.end(), None);
    // The next window is one of its own.
    for time_us in [11 * SECOND, 12 * SECOND, 13 * SECOND] {
        assert_eq!(scene.feed(time_us, 0), None);
    }
    assert_eq!(scene.window.progress(), 3);
    assert_eq!(scene.end(), None);
    assert_eq!(scene.window.progress(), 0);
}

#[test]
fn a_window_that_waits_is_looked_at_when_it_is_due_and_not_before() {
    let mut scene = Scene::new(Kind::EventCount, exactly(1.0));
    assert_eq!(scene.window.expires_us(&scene.spec), i64::MIN);
    scene.feed(0, 0);
    let due_us = scene.window.due_us(&scene.spec).unwrap();
    assert_eq!(scene.window.expires_us(&scene.spec), due_us);
    scene.end();
    assert_eq!(scene.window.expires_us(&scene.spec), i64::MIN);
}

#[test]
fn what_comes_late_counts_with_the_newest() {
    let mut scene = Scene::new(Kind::EventCount, Bounds::at_least(2.0));
    scene.feed(12 * SECOND, 0);
    let late = scene.window.feed(&scene.spec, at(0, 1), 1, None);
    assert_eq!(late, Some(found(12 * SECOND, 2.0, 2)));
}

#[test]
fn values_are_distinct_by_their_text() {
    let mut scene = Scene::new(Kind::ValueCount(field()), Bounds::at_least(3.0));
    assert_eq!(scene.value(0, &json!("403")), None);
    assert_eq!(scene.value(1, &json!(403)), None);
    assert_eq!(scene.value(2, &json!(null)), None);
    assert_eq!(scene.value(3, &json!({"a": 1})), None);
    assert_eq!(scene.feed(4, 0), None);
    // All of an array count, but for what is no scalar. Events without a value are not told to be fresh.
    let reached = scene.value(5, &json!([true, "403", null, ["x"], "b"]));
    assert_eq!(reached, Some(found(0, 3.0, 3)));
    assert_eq!(scene.window.values(), ["b", "403", "true"]);
    assert_eq!(scene.window.progress(), 3);
}

#[test]
fn values_leave_a_timespan_after_they_were_last_seen() {
    let mut scene = Scene::new(Kind::ValueCount(field()), Bounds::at_least(2.0));
    scene.value(0, &json!("a"));
    assert_eq!(scene.value(SECOND, &json!("b")), Some(found(0, 2.0, 2)));
    assert_eq!(scene.value(5 * SECOND, &json!("a")), Some(found(0, 2.0, 1)));
    assert_eq!(scene.value(11 * SECOND + 1, &json!("a")), None);
    assert_eq!(scene.window.values(), ["a"]);
}

#[test]
fn values_are_told_after_the_end_until_the_next_event() {
    let mut scene = Scene::new(Kind::ValueCount(field()), less_than(3.0));
    scene.value(0, &json!("a"));
    scene.value(1, &json!("b"));
    assert_eq!(scene.end(), Some(found(0, 2.0, 2)));
    assert_eq!(scene.window.values(), ["b", "a"]);
    scene.value(20 * SECOND, &json!("c"));
    assert_eq!(scene.window.values(), ["c"]);
}

#[test]
fn long_values_are_cut_but_told_apart() {
    let long = "é".repeat(TEXT_CHARS_MAX + 1);
    let mut scene = Scene::new(Kind::ValueCount(field()), Bounds::at_least(2.0));
    scene.value(0, &json!(format!("{long}a")));
    let reached = scene.value(1, &json!(format!("{long}b")));
    assert_eq!(reached, Some(found(0, 2.0, 2)));
    assert_eq!(scene.window.values()[0].chars().count(), TEXT_CHARS_MAX);
}

#[test]
fn more_values_than_a_condition_asks_for_are_capped_and_said_to_be() {
    let mut scene = Scene::new(Kind::ValueCount(field()), Bounds::at_least(3.0));
    let mut last = None;
    for number in 0..100 {
        last = scene.value(number, &json!(number));
    }
    let last = last.unwrap();
    assert_eq!(last.value.to_bits(), 64.0_f64.to_bits());
    assert!(!last.exact && last.fresh == 1);
    assert_eq!(scene.window.values().len(), 64);
    // After they have left by themselves, it is exact again.
    scene.value(5 * SECOND, &json!("a"));
    scene.value(5 * SECOND + 1, &json!("b"));
    let again = scene.value(15 * SECOND, &json!("c"));
    assert_eq!(again, Some(found(5 * SECOND, 3.0, 1)));
}

#[test]
fn a_count_of_values_that_must_not_be_great_is_judged_right_beyond_the_bound() {
    for (values, holds) in [(99, true), (100, true), (101, false), (5000, false)] {
        let at_most = Bounds {
            upper: Some((100.0, false)),
            ..Bounds::default()
        };
        let mut scene = Scene::new(Kind::ValueCount(field()), at_most);
        for number in 0..values {
            scene.value(0, &json!(number));
        }
        assert_eq!(scene.end().is_some(), holds, "{values}");
    }
}

#[test]
fn inputs_count_in_any_order() {
    let mut scene = Scene::new(Kind::Temporal, Bounds::at_least(3.0));
    assert_eq!(scene.feed(0, 2), None);
    assert_eq!(scene.feed(SECOND, 0), None);
    assert_eq!(scene.feed(4 * SECOND, 2), None);
    // The oldest of the inputs' newest events is that of the first.
    assert_eq!(scene.feed(11 * SECOND, 1), Some(found(SECOND, 3.0, 3)));
    assert_eq!(scene.feed(11 * SECOND + 1, 1), None);
    assert_eq!(scene.window.progress(), 3);
}

#[test]
fn one_input_without_the_others_is_found_at_the_end() {
    let mut scene = Scene::new(Kind::Temporal, less_than(2.0));
    scene.feed(0, 0);
    scene.feed(1, 0);
    assert_eq!(scene.end(), Some(found(1, 1.0, 2)));
    scene.feed(20 * SECOND, 0);
    scene.feed(20 * SECOND + 1, 1);
    assert_eq!(scene.end(), None);
}

#[test]
fn a_sequence_is_found_in_its_order_only() {
    let mut scene = Scene::new(Kind::TemporalOrdered, Bounds::at_least(3.0));
    for (time_us, input) in [(0, 2), (1, 1), (2, 0), (3, 1)] {
        assert_eq!(scene.feed(time_us, input), None);
    }
    assert_eq!(scene.window.progress(), 2);
    assert_eq!(scene.feed(10 * SECOND + 2, 2), Some(found(2, 3.0, 3)));
    assert_eq!(scene.feed(10 * SECOND + 3, 2), None);
}

#[test]
fn a_sequence_starts_as_late_as_it_can() {
    let mut scene = Scene::new(Kind::TemporalOrdered, Bounds::at_least(3.0));
    for (time_us, input) in [
        (0, 0),
        (1, 1),
        (5 * SECOND, 0),
        (6 * SECOND, 1),
        (7 * SECOND, 0),
    ] {
        assert_eq!(scene.feed(time_us, input), None);
    }
    let reached = scene.feed(15 * SECOND, 2);
    assert_eq!(reached.map(|reached| reached.first_us), Some(5 * SECOND));
}

#[test]
fn an_event_is_one_step_of_a_sequence() {
    let mut scene = Scene::new(Kind::TemporalOrdered, Bounds::at_least(3.0));
    // The same event matches all three inputs, as an input that is listed again does: it takes three events.
    for time_us in 0..2 {
        for input in 0..3 {
            assert_eq!(scene.feed(time_us, input), None);
        }
    }
    assert_eq!(scene.feed(2, 0), None);
    assert_eq!(scene.feed(2, 1), None);
    assert_eq!(scene.feed(2, 2), Some(found(0, 3.0, 3)));
}

#[test]
fn a_part_of_a_sequence_may_be_enough() {
    let mut scene = Scene::new(Kind::TemporalOrdered, Bounds::at_least(2.0));
    assert_eq!(scene.feed(0, 0), None);
    assert_eq!(scene.feed(1, 1), Some(found(0, 2.0, 2)));
    assert_eq!(scene.feed(2, 0), None);
    assert_eq!(scene.feed(3, 2), Some(found(0, 3.0, 2)));
}

#[test]
fn a_sequence_that_stays_incomplete_is_found_at_the_end() {
    let mut scene = Scene::new(Kind::TemporalOrdered, less_than(3.0));
    scene.feed(0, 0);
    scene.feed(1, 2);
    scene.feed(2, 1);
    assert_eq!(scene.end(), Some(found(0, 2.0, 3)));
    scene.feed(20 * SECOND, 1);
    assert_eq!(scene.end(), Some(found(20 * SECOND, 0.0, 1)));
    for input in 0..3 {
        scene.feed(40 * SECOND + i64::try_from(input).unwrap(), input);
    }
    assert_eq!(scene.end(), None);
}

#[test]
fn windows_of_one_event_are_small() {
    let mut count = Scene::new(Kind::EventCount, Bounds::at_least(5.0));
    count.feed(0, 0);
    assert!(count.weight() < 120, "{}", count.weight());
    let mut values = Scene::new(Kind::ValueCount(field()), Bounds::at_least(5.0));
    values.value(0, &json!("alice"));
    assert!(values.weight() <= 200, "{}", values.weight());
}

#[test]
fn the_greatest_windows_stay_within_what_their_constants_promise() {
    let mut count = Scene::new(Kind::EventCount, Bounds::at_least(COUNT_MAX as f64));
    for time_us in 0..2 * COUNT_MAX as u64 {
        count.feed(i64::try_from(time_us).unwrap(), 0);
    }
    assert!(count.weight() < 3 << 20, "{}", count.weight());
    let mut values = Scene::new(
        Kind::ValueCount(field()),
        Bounds::at_least(VALUES_MAX as f64),
    );
    let mut last = None;
    for number in 0..2 * VALUES_MAX {
        last = values.value(0, &json!(number));
    }
    assert!(last.is_some());
    assert!(values.weight() < 2 << 20, "{}", values.weight());
    // What is no longer needed is given back.
    count.feed(20 * SECOND, 0);
    values.value(20 * SECOND, &json!(0));
    assert!(count.weight() < 1000, "{}", count.weight());
    assert!(values.weight() < 3000, "{}", values.weight());
}
