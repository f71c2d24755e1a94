//! What is usual, and what is not.

use crate::correlation::{Habit, Usual};

use super::*;

const HOUR: i64 = 3600 * SECOND;

const DAY: i64 = 24 * HOUR;

/// As most rules have it.
const MEMORY: Memory = Memory {
    learn_us: 7 * DAY,
    forget_us: 30 * DAY,
};

fn first_seen() -> Scene {
    let of = vec![field()];
    let memory = MEMORY;
    Scene::new(Kind::FirstSeen { of, memory }, Bounds::default())
}

fn rare(below: f64) -> Scene {
    let (of, memory) = (vec![field()], MEMORY);
    Scene::new(Kind::Rare { of, memory, below }, Bounds::default())
}

/// In buckets of ten minutes.
fn spike() -> Scene {
    let kind = Kind::Spike {
        memory: MEMORY,
        at_least: 5,
        deviations: 6.0,
    };
    let mut scene = Scene::new(kind, Bounds::default());
    scene.spec.timespan_us = 600 * SECOND;
    scene
}

impl Scene {
    fn usual(&self) -> Usual {
        self.window.usual().unwrap()
    }

    /// Values that were known before the last event, with how often.
    fn known(&self) -> Vec<(String, u64)> {
        let Habit::Values { known, .. } = self.usual().habit else {
            panic!("no values");
        };
        known
            .iter()
            .map(|sighting| (sighting.text.to_string(), sighting.times))
            .collect()
    }

    /// So many events within a minute; the last one that was found.
    fn burst(&mut self, from_us: i64, events: i64) -> Option<Reached> {
        let found = (0..events).filter_map(|number| self.feed(from_us + number * SECOND, 0));
        found.last()
    }
}

fn new_at(time_us: i64, values: f64) -> Reached {
    found(time_us, values, 1)
}

#[test]
fn a_value_is_new_once_the_group_is_known() {
    let mut scene = first_seen();
    assert_eq!(scene.value(0, &json!("office")), None);
    // The end of the time to learn belongs to it.
    assert_eq!(scene.value(7 * DAY, &json!("home")), None);
    assert_eq!(scene.value(7 * DAY + 1, &json!("home")), None);
    let time_us = 8 * DAY;
    assert_eq!(
        scene.value(time_us, &json!("abroad")),
        Some(new_at(time_us, 1.0))
    );
    assert_eq!(scene.window.values(), ["abroad"]);
    assert_eq!(scene.value(time_us + 1, &json!("abroad")), None);
}

#[test]
fn a_value_is_known_for_as_long_as_nothing_forgets_it() {
    let mut scene = first_seen();
    scene.value(0, &json!("a"));
    for day in [10, 20, 30] {
        scene.value(day * DAY, &json!("b"));
    }
    assert_eq!(scene.value(30 * DAY + 1, &json!("b")), None);
    // Exactly as long ago as is remembered, and a moment longer.
    let mut other = first_seen();
    other.value(0, &json!("a"));
    other.value(DAY, &json!("b"));
    assert_eq!(other.value(30 * DAY, &json!("a")), None);
    let time_us = 31 * DAY + 1;
    assert_eq!(
        other.value(time_us, &json!("b")),
        Some(new_at(time_us, 1.0))
    );
}

#[test]
fn a_group_that_was_silent_for_long_is_learned_anew() {
    let mut scene = first_seen();
    scene.value(0, &json!("a"));
    scene.value(8 * DAY, &json!("a"));
    let expires_us = 38 * DAY + 1;
    assert_eq!(scene.window.expires_us(&scene.spec), expires_us);
    assert_eq!(scene.value(expires_us, &json!("b")), None);
    assert_eq!(scene.usual().since_us, expires_us);
    assert_eq!(scene.window.progress(), 1);
}

#[test]
fn what_was_known_explains_what_is_new() {
    let mut scene = first_seen();
    for hour in 0..200 {
        let value = if hour % 50 == 0 { "home" } else { "office" };
        scene.value(hour * HOUR, &json!(value));
    }
    assert!(scene.value(200 * HOUR, &json!("abroad")).is_some());
    let usual = scene.usual();
    assert_eq!((usual.since_us, usual.events), (0, 200));
    let Habit::Values { known, count, .. } = usual.habit else {
        panic!("no values");
    };
    assert_eq!(count, 2);
    assert_eq!(known[0].last_us, 199 * HOUR);
    assert_eq!(
        scene.known(),
        [("office".to_owned(), 196), ("home".to_owned(), 4)]
    );
}

#[test]
fn only_the_most_frequent_values_are_told() {
    let mut scene = first_seen();
    for number in 0..20_i64 {
        for time in 0..=number {
            let value = format!("value-{number}");
            scene.value(number * HOUR + time, &json!(value));
        }
    }
    assert!(scene.value(8 * DAY, &json!("new")).is_some());
    let known = scene.known();
    assert_eq!(known.len(), 5);
    assert_eq!(known[0], ("value-19".to_owned(), 20));
}

#[test]
fn all_new_values_of_an_event_are_one_finding() {
    let mut scene = first_seen();
    scene.value(0, &json!("a"));
    let time_us = 8 * DAY;
    let reached = scene.value(time_us, &json!(["b", "a", "c", "b", null]));
    assert_eq!(reached, Some(new_at(time_us, 2.0)));
    assert_eq!(scene.window.values(), ["c", "b"]);
    assert_eq!(scene.known(), [("a".to_owned(), 2)]);
}

#[test]
fn an_event_of_several_inputs_teaches_once() {
    let mut scene = first_seen();
    scene.value(0, &json!("a"));
    assert_eq!(scene.value(0, &json!("b")), None);
    assert_eq!(scene.window.progress(), 1);
    let time_us = 8 * DAY;
    assert!(scene.value(time_us, &json!("b")).is_some());
}

#[test]
fn an_event_without_a_value_teaches_nothing() {
    let mut scene = first_seen();
    scene.feed(0, 0);
    assert_eq!(scene.window.expires_us(&scene.spec), i64::MIN);
    scene.value(DAY, &json!("a"));
    assert_eq!(scene.value(8 * DAY, &json!("b")), None);
    assert!(scene.value(8 * DAY + 1, &json!("c")).is_some());
}

#[test]
fn beyond_the_bound_what_was_not_seen_for_longest_is_forgotten() {
    let mut scene = first_seen();
    for number in 0..256 {
        scene.value(number, &json!(number));
    }
    scene.value(256, &json!(0));
    assert_eq!(scene.window.forgotten(), 0);
    scene.value(257, &json!("one more"));
    assert_eq!(scene.window.forgotten(), 1);
    // What was seen again is known; what had to go is found, and said not to be certain.
    assert_eq!(scene.value(8 * DAY, &json!(0)), None);
    let again = scene.value(8 * DAY + 1, &json!(1)).unwrap();
    assert!(!again.exact);
    // Once all could have been forgotten anyway, it is certain again.
    assert_eq!(scene.value(30 * DAY, &json!(0)), None);
    let later = scene.value(40 * DAY, &json!("new")).unwrap();
    assert!(later.exact);
    assert!(scene.weight() < 60_000, "{}", scene.weight());
}

#[test]
fn a_value_is_rare_below_its_share() {
    let mut scene = rare(0.05);
    for hour in 0..192 {
        let value = if hour % 48 == 0 { "delete" } else { "get" };
        assert_eq!(scene.value(hour * HOUR, &json!(value)), None, "{hour}");
    }
    let reached = scene.value(192 * HOUR, &json!("delete")).unwrap();
    assert!((reached.value - 0.02).abs() < 0.002, "{reached:?}");
    assert_eq!(scene.window.values(), ["delete"]);
    assert_eq!(scene.known(), [("get".to_owned(), 188)]);
    assert_eq!(scene.value(193 * HOUR, &json!("get")), None);
    // It reports each, until it is not rare any more.
    let mut found = 0;
    for hour in 194..220 {
        found += usize::from(scene.value(hour * HOUR, &json!("delete")).is_some());
    }
    assert!((4..8).contains(&found), "{found}");
}

#[test]
fn what_is_long_ago_weighs_less() {
    let mut scene = rare(0.1);
    for day in 0..30 {
        scene.value(day * DAY, &json!("old"));
    }
    // One half-life later the old ones weigh a little more than half, and two later a quarter.
    for day in 30..90 {
        scene.value(day * DAY, &json!("new"));
    }
    let old = scene.value(90 * DAY, &json!("old"));
    assert_eq!(old, None);
    for day in 91..120 {
        scene.value(day * DAY, &json!("new"));
    }
    assert!(scene.value(120 * DAY, &json!("old")).is_some());
}

#[test]
fn of_a_few_events_none_is_rare() {
    let mut scene = rare(0.5);
    for day in 0..20 {
        let value = json!(format!("value-{day}"));
        assert_eq!(scene.value(day * DAY, &value), None, "{day}");
    }
    assert!(scene.value(20 * DAY, &json!("another")).is_some());
}

#[test]
fn shares_stay_right_for_years() {
    let mut scene = rare(0.3);
    scene.spec.kind = Kind::Rare {
        of: vec![field()],
        memory: Memory {
            learn_us: HOUR,
            forget_us: HOUR,
        },
        below: 0.3,
    };
    // A quarter of an hour apart: thousands of half-lives.
    for quarter in 0..40_000_i64 {
        let value = if quarter % 2 == 0 { "even" } else { "odd" };
        let reached = scene.value(quarter * 900 * SECOND, &json!(value));
        assert_eq!(reached, None, "{quarter}");
    }
    assert!(
        scene
            .value(40_000 * 900 * SECOND, &json!("third"))
            .is_some()
    );
}

#[test]
fn far_more_than_usual_is_a_spike() {
    let mut scene = spike();
    // Now and then there is one, so that most buckets are empty.
    for hour in 0..200 {
        assert_eq!(scene.feed(hour * HOUR, 0), None);
    }
    let from_us = 200 * HOUR;
    assert_eq!(scene.burst(from_us, 6), None);
    assert_eq!(
        scene.feed(from_us + 6 * SECOND, 0),
        Some(found(from_us, 7.0, 7))
    );
    // It goes on, and each is told.
    let next = scene.feed(from_us + 7 * SECOND, 0);
    assert_eq!(next, Some(found(from_us, 8.0, 1)));
    let Habit::Counts {
        spans,
        median,
        deviation,
        limit,
    } = scene.usual().habit
    else {
        panic!("no counts");
    };
    assert_eq!((spans, median, deviation), (1200, 0, 0));
    assert!((limit - 6.0).abs() < f64::EPSILON);
}

#[test]
fn a_busy_group_may_do_more() {
    let mut scene = spike();
    // 20, 22 or 24 in each ten minutes of eight days.
    for bucket in 0..8 * 144_i64 {
        let events = 20 + bucket % 3 * 2;
        let reached = scene.burst(bucket * 600 * SECOND, events);
        assert_eq!(reached, None, "{bucket}");
    }
    // 22 and six times 2.
    let from_us = 8 * DAY;
    assert_eq!(scene.burst(from_us, 34), None);
    assert!(scene.feed(from_us + 60 * SECOND, 0).is_some());
}

#[test]
fn few_events_are_no_spike_however_unusual() {
    let kind = Kind::Spike {
        memory: MEMORY,
        at_least: 5,
        deviations: 1.0,
    };
    let mut scene = spike();
    scene.spec.kind = kind;
    scene.feed(0, 0);
    assert_eq!(scene.burst(8 * DAY, 4), None);
    assert!(scene.burst(8 * DAY + 4 * SECOND, 1).is_some());
}

#[test]
fn nothing_is_a_spike_while_the_group_is_learned() {
    let mut scene = spike();
    scene.feed(0, 0);
    assert_eq!(scene.burst(DAY, 50), None);
    // What was seen meanwhile is one bucket among many.
    assert!(scene.burst(8 * DAY, 50).is_some());
}

#[test]
fn spikes_that_are_over_hardly_move_what_is_usual() {
    let mut scene = spike();
    scene.feed(0, 0);
    for day in 8..12 {
        assert!(scene.burst(day * DAY, 50).is_some(), "{day}");
    }
}

#[test]
fn a_spike_remembers_a_bounded_number_of_buckets() {
    let mut scene = spike();
    scene.spec.timespan_us = 60 * SECOND;
    for minute in 0..8 * 1440_i64 {
        scene.feed(minute * 60 * SECOND, 0);
    }
    assert!(scene.window.forgotten() > 10_000);
    assert!(scene.weight() < 40_000, "{}", scene.weight());
    let reached = scene.burst(8 * DAY, 50).unwrap();
    assert!(!reached.exact);
    let Habit::Counts { spans, median, .. } = scene.usual().habit else {
        panic!("no counts");
    };
    assert_eq!((spans, median), (1024, 1));
}

#[test]
fn groups_of_one_event_are_small() {
    let mut known = first_seen();
    known.value(0, &json!("10.244.0.0/16"));
    assert!(known.weight() <= 300, "{}", known.weight());
    let mut spike = spike();
    spike.feed(0, 0);
    assert!(spike.weight() <= 320, "{}", spike.weight());
}

#[test]
fn correlations_know_nothing_of_what_is_usual() {
    let mut scene = Scene::new(Kind::EventCount, Bounds::at_least(1.0));
    assert!(scene.feed(0, 0).is_some());
    assert_eq!(scene.window.usual(), None);
    assert_eq!(scene.window.forgotten(), 0);
}
