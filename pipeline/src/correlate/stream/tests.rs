use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::Arc;

use detections::correlation::Correlations;
use detections::diagnostic::Source;
use detections::event::{Event as AuditEvent, Origin, Settings};
use detections::reference;
use detections::sigma::ast::Rule;
use detections::sigma::{Placeholders, load};
use detections::truth::Truth;
use proptest::prelude::*;
use serde_json::json;

use super::clock::LATENESS_US;
use super::*;
use crate::correlate::Finding;

const SECOND: i64 = 1_000_000;

const RULES: &str = r"
title: Reads
name: reads
logsource: {product: kubernetes}
detection: {selection: {verb: get}, condition: selection}
---
title: Lists
name: lists
logsource: {product: kubernetes}
detection: {selection: {verb: list}, condition: selection}
---
title: Many reads
name: many
correlation: {type: event_count, rules: [reads], group-by: [user.username], timespan: 2m, condition: {gte: 3}, generate: true}
---
title: Few requests
name: few
correlation: {type: event_count, rules: [reads, lists], group-by: [user.username], timespan: 2m, condition: {gte: 2, lte: 3}}
---
title: Many names
name: names
correlation: {type: value_count, rules: [reads, lists], timespan: 2m, condition: {field: objectRef.name, gte: 3}}
---
title: A new name
name: news
baseline: {type: first_seen, rules: [reads, lists], group-by: [user.username], of: [objectRef.name], learn: 2m, forget: 30m}
---
title: A rare name
name: rarity
baseline: {type: rare, rules: [reads, lists], of: [verb, objectRef.name], below: 15%, learn: 2m, forget: 30m}
---
title: Many reads at once
name: outburst
baseline: {type: spike, rules: [reads], timespan: 1m, learn: 2m, forget: 30m, at-least: 2, deviations: 0.5}
---
title: A list, then reads
name: chain
correlation: {type: temporal_ordered, rules: [lists, many], group-by: [user.username], timespan: 5m}
";

struct Scene {
    rules: Vec<Rule>,
    plan: Correlations,
}

impl Scene {
    fn new() -> Self {
        let loaded = load(&[Source::new("test.yml", RULES)], &Placeholders::new());
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        Self {
            plan: Correlations::new(loaded.correlations, &loaded.rules),
            rules: loaded.rules,
        }
    }

    /// The event of some JSON, as it goes to its groups.
    fn fed(&self, json: &str, cluster: &str) -> Option<Event> {
        let origin = Origin {
            cluster: cluster.into(),
            ..Origin::default()
        };
        let event =
            AuditEvent::parse(json.as_bytes(), origin, Arc::new(Settings::default())).unwrap();
        let rules = 0..self.rules.len();
        let rules: Vec<usize> = rules
            .filter(|rule| reference::evaluate(&self.rules[*rule], &event) == Truth::True)
            .collect();
        fed(
            &self.plan,
            &rules,
            &event,
            (json.as_bytes(), event.time_us(), 0),
            |event| event.text(&["verb"]).unwrap_or_default().to_owned(),
        )
    }

    fn replay(&self, events: &[Event]) -> BTreeMap<String, Shown> {
        let mut sorter = Sorter::default();
        for event in events {
            sorter.add(event.clone());
        }
        let habits = Habits::default();
        let findings = replayed(&self.plan, self.rules.len(), sorter, habits)
            .unwrap()
            .findings;
        findings
            .iter()
            .map(|finding| (crate::hex::hex(&finding.uid), shown(finding)))
            .collect()
    }

    /// Live, in batches, with restarts after some of them: the last word on each finding.
    fn live(&self, events: &[Event], batches: &[(usize, bool)]) -> BTreeMap<String, Shown> {
        let mut memory = Stored::default();
        let mut streams = Streams::default();
        let mut told = BTreeMap::new();
        // Later than all events.
        let mut now_us = 1_800_000_000 * SECOND;
        let mut rest = events;
        let mut batches = batches.iter().copied().cycle();
        while !rest.is_empty() {
            let (size, restart) = batches.next().unwrap_or((1, false));
            let (batch, left) = rest.split_at(size.clamp(1, rest.len()));
            rest = left;
            now_us += SECOND;
            for event in batch {
                streams.add(event.clone(), now_us);
            }
            self.settle(&mut streams, now_us, &mut memory, &mut told);
            if restart {
                streams = Streams::restore(&self.plan, memory.all()).0;
            }
        }
        for _ in 0..2_000 {
            now_us += 10 * SECOND;
            self.settle(&mut streams, now_us, &mut memory, &mut told);
        }
        assert_eq!(streams.counts(), StreamCounts::default());
        assert_eq!(streams.held(), (0, 0), "nothing is kept for ever");
        told
    }

    fn settle(
        &self,
        streams: &mut Streams,
        now_us: i64,
        memory: &mut Stored,
        told: &mut BTreeMap<String, Shown>,
    ) {
        let Ok(changes) = streams.settle(&self.plan, self.rules.len(), now_us, memory);
        for change in changes {
            let finding = change.finding.unwrap();
            told.insert(crate::hex::hex(&change.uid), shown(&finding));
        }
    }
}

/// What a finding says.
#[derive(Debug, PartialEq)]
struct Shown {
    rule: usize,
    count: u64,
    times: (Option<i64>, Option<i64>),
    witness: Vec<u8>,
    joined: Joined,
}

fn shown(finding: &Finding) -> Shown {
    Shown {
        rule: finding.rule,
        count: finding.count,
        times: (finding.first_us, finding.last_us),
        witness: finding.exemplar.raw.to_vec(),
        joined: finding.joined.as_deref().unwrap().clone(),
    }
}

#[derive(Default)]
struct Stored(HashMap<(Kept, Vec<u8>), Vec<u8>>);

impl Stored {
    fn all(&self) -> Vec<(Kept, Vec<u8>, Vec<u8>)> {
        let parts = self.0.iter();
        parts
            .map(|((kind, key), content)| (*kind, key.clone(), content.clone()))
            .collect()
    }
}

impl StreamMemory for Stored {
    type Error = Infallible;

    fn put(&mut self, kind: Kept, key: &[u8], content: Option<&[u8]>) -> Result<(), Infallible> {
        match content {
            Some(content) => drop(self.0.insert((kind, key.to_vec()), content.to_vec())),
            None => drop(self.0.remove(&(kind, key.to_vec()))),
        }
        Ok(())
    }
}

/// Events of some minutes, by two users on three objects, some of them long ones that are logged twice.
fn events(scene: &Scene) -> impl Strategy<Value = Vec<Event>> + use<> {
    let one = (
        0..1200_i64,
        0..2_u8,
        0..2_u8,
        0..4_u8,
        prop::bool::weighted(0.1),
    );
    let jsons = prop::collection::vec(one, 1..60).prop_map(|happenings| {
        let mut jsons = Vec::new();
        for (number, (second, verb, user, name, is_long)) in happenings.into_iter().enumerate() {
            let time = |second: i64| {
                format!(
                    "2026-11-20T10:{:02}:{:02}.000000Z",
                    second / 60,
                    second % 60
                )
            };
            let event = |stage: &str, second: i64| {
                json!({
                    "auditID": format!("{number}"),
                    "stage": stage,
                    "verb": if verb == 0 { "get" } else { "list" },
                    "user": {"username": format!("user-{user}")},
                    "objectRef": {"name": format!("name-{name}")},
                    "requestReceivedTimestamp": time(second),
                    "stageTimestamp": time(second),
                })
                .to_string()
            };
            if is_long {
                jsons.push(event("ResponseStarted", second));
                jsons.push(event("ResponseComplete", second + 30));
            } else {
                jsons.push(event("ResponseComplete", second));
            }
        }
        jsons
    });
    let rules = Scene::new();
    assert_eq!(rules.rules.len(), scene.rules.len());
    jsons.prop_map(move |jsons| {
        jsons
            .iter()
            .filter_map(|json| rules.fed(json, "c"))
            .collect()
    })
}

/// Moves events by less than the lateness.
fn shuffled(events: &[Event], moves: &[i64]) -> Vec<Event> {
    let mut moved: Vec<_> = events
        .iter()
        .zip(moves.iter().cycle())
        .map(|(event, by)| {
            (
                event.at.time_us + by.rem_euclid(LATENESS_US - 2 * SECOND),
                event,
            )
        })
        .collect();
    moved.sort_by_key(|(time_us, event)| (*time_us, event.at));
    moved.into_iter().map(|(_, event)| event.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn live_says_what_replay_says_in_any_order_and_cut(
        events in events(&Scene::new()),
        moves in prop::collection::vec(any::<i64>(), 60),
        other_moves in prop::collection::vec(any::<i64>(), 60),
        batches in prop::collection::vec((1..20_usize, any::<bool>()), 1..8),
    ) {
        let scene = Scene::new();
        let expected = scene.replay(&events);
        let shuffled_events = shuffled(&events, &moves);
        prop_assert_eq!(&scene.replay(&shuffled_events), &expected);
        prop_assert_eq!(&scene.live(&shuffled_events, &batches), &expected);
        prop_assert_eq!(&scene.live(&shuffled(&events, &other_moves), &[(1, true)]), &expected);
    }
}

#[test]
fn what_does_not_fit_into_memory_is_sorted_all_the_same() {
    let scene = Scene::new();
    let json = |number: i64| {
        json!({
            "auditID": format!("{number}"),
            "verb": "get",
            "user": {"username": format!("user-{}", number % 1000)},
            "objectRef": {"name": "x"},
            "annotations": {"padding": "x".repeat(3000)},
            "stageTimestamp": format!("2026-11-20T10:{:02}:{:02}.{:06}Z", number / 60 % 60, number % 60, number),
        })
        .to_string()
    };
    // Three runs and a rest, in no order.
    let count = 30_000_i64;
    let mut sorter = Sorter::default();
    for number in 0..count {
        let number = number * 7919 % count;
        sorter.add(scene.fed(&json(number), "c").unwrap());
    }
    let (mut taken, mut last) = (0, None);
    sorter
        .finish(&mut |event| {
            assert!(last <= Some(event.at));
            last = Some(event.at);
            taken += 1;
        })
        .unwrap();
    assert_eq!(taken, count);
}

#[test]
fn what_comes_too_late_is_counted_and_not_fed() {
    let scene = Scene::new();
    let json = |minute: i64, id: &str| {
        json!({
            "auditID": id, "verb": "get", "user": {"username": "u"}, "objectRef": {"name": "x"},
            "stageTimestamp": format!("2026-11-20T10:{minute:02}:00.000000Z"),
        })
        .to_string()
    };
    let (mut streams, mut memory, mut told) =
        (Streams::default(), Stored::default(), BTreeMap::new());
    let now_us = scene.fed(&json(20, "a"), "c").unwrap().at.time_us;
    streams.add(scene.fed(&json(20, "a"), "c").unwrap(), now_us);
    scene.settle(&mut streams, now_us, &mut memory, &mut told);
    streams.add(scene.fed(&json(10, "b"), "c").unwrap(), now_us);
    streams.add(scene.fed(&json(40, "c"), "c").unwrap(), now_us);
    // Another cluster has a time of its own.
    streams.add(scene.fed(&json(10, "d"), "other").unwrap(), now_us);
    let counts = StreamCounts {
        late: 1,
        ahead: 1,
        ..StreamCounts::default()
    };
    assert_eq!(streams.counts(), counts);
    assert_eq!(streams.held(), (0, 2));
}
