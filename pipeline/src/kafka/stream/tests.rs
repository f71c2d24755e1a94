use std::sync::Arc;

use detections::diagnostic::Source;
use detections::event::{Event as AuditEvent, Origin, Settings};
use detections::sigma::{Placeholders, load};
use serde_json::json;

use super::*;
use crate::correlate::stream::fed;
use crate::kafka::feed::Inner;

const SECOND: i64 = 1_000_000;

const RULES: &str = "
title: Reads
name: reads
logsource: {product: kubernetes}
detection: {selection: {verb: get}, condition: selection}
---
title: Many reads
name: many
correlation: {type: event_count, rules: [reads], group-by: [user.username], timespan: 2m, condition: {gte: 3}}
---
title: Few reads
name: few
correlation: {type: event_count, rules: [reads], group-by: [user.username], timespan: 2m, condition: {lte: 2}}
";

fn plan(text: &str) -> Correlations {
    let loaded = load(&[Source::new("test.yml", text)], &Placeholders::new());
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    Correlations::new(loaded.correlations, &loaded.rules)
}

fn event(plan: &Correlations, time_us: i64, number: usize, more: &str) -> Event {
    let time = jiff::Timestamp::from_microsecond(time_us).unwrap();
    let text = json!({
        "auditID": format!("a{number}"), "stage": "ResponseComplete", "verb": "get",
        "user": {"username": format!("u{}", number % 4)}, "objectRef": {"name": "x"},
        "stageTimestamp": format!("{time:.6}"), "note": more,
    });
    let text = text.to_string();
    let origin = Origin {
        cluster: ["c", "other"][number % 3 / 2].into(),
        ..Origin::default()
    };
    let parsed = AuditEvent::parse(text.as_bytes(), origin, Arc::new(Settings::default())).unwrap();
    let place = (text.as_bytes(), parsed.time_us(), 0);
    fed(plan, &[0], &parsed, place, |_| String::new()).unwrap()
}

/// Numbers that look random, the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// By finding, its last revision and how many events it has.
type Told = BTreeMap<[u8; 16], (u32, u64)>;

fn tell(told: &mut Told, changes: Vec<Change>) {
    for change in changes {
        let count = change.finding.map_or(0, |finding| finding.count);
        let before = told.insert(change.uid, (change.revision, count));
        assert!(before.is_none_or(|before| before.0 < change.revision));
    }
}

/// Events of three partitions, each in the order in which they came in, up to three minutes late.
fn inputs(plan: &Correlations, random: &mut Random) -> Vec<Vec<(i64, Event)>> {
    let start = 1_795_000_000 * SECOND;
    let mut inputs = vec![Vec::new(), Vec::new(), Vec::new()];
    let mut came_us = start;
    for number in 0..60 {
        came_us += i64::try_from(random.below(60)).unwrap() * SECOND + 1;
        let late_us = i64::try_from(random.below(180)).unwrap() * SECOND;
        let event = event(plan, came_us - late_us, number, "");
        inputs[random.below(3)].push((came_us, event));
    }
    inputs
}

/// One log in the order in which everything came in, as with embedded state.
fn as_one_log(plan: &Correlations, inputs: &[Vec<(i64, Event)>], end_us: i64) -> Told {
    let mut all: Vec<&(i64, Event)> = inputs.iter().flatten().collect();
    all.sort_by_key(|(came_us, _)| *came_us);
    let (mut streams, mut state, mut told) = (Streams::default(), State::default(), Told::new());
    for (came_us, event) in all {
        streams.pass(*came_us);
        streams.add(event.clone(), *came_us);
    }
    let mut now_us = end_us;
    while now_us < end_us + 3 * 3600 * SECOND {
        now_us += 5 * SECOND;
        let Ok(changes) = streams.settle(plan, 1, now_us, &mut state);
        tell(&mut told, changes);
    }
    assert_eq!(streams.counts(), StreamCounts::default());
    told
}

/// A shard whose state is what it wrote.
struct Shard<'a> {
    plan: &'a Correlations,
    state: State,
    stream: Stream,
    stored: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    told: Told,
    place: i64,
}

impl Shard<'_> {
    fn take(&mut self, came_us: i64, event: &Event) {
        self.place += 1;
        let bytes = FedEvent::to_bytes(self.plan, event.clone(), came_us, 1 << 20).unwrap();
        let Some(Inner::Fed(fed)) = Inner::parse(&bytes) else {
            panic!("it is not read as it was written")
        };
        let is_read = self.stream.take(self.plan, &fed, self.place, usize::MAX);
        assert!(is_read);
    }

    fn hear(&mut self, said_us: i64, sources: &[(i32, Option<i64>)]) {
        let sources = sources.iter();
        let reached = Reached {
            said_us,
            sources: sources
                .map(|(partition, at_us)| ("in".to_owned(), *partition, *at_us))
                .collect(),
            topics: vec![("in".to_owned(), 3)],
        };
        let Some(Inner::Reached(reached)) = Inner::parse(&reached.to_bytes().unwrap()) else {
            panic!("it is not read as it was written")
        };
        self.stream.hear(&reached, &mut self.state);
    }

    fn settle(&mut self) {
        let changes = self.stream.settle(self.plan, 1, &mut self.state);
        tell(&mut self.told, changes);
        self.stored.extend(self.state.take_changes());
    }

    /// Another process gets it.
    fn restart(&mut self) {
        self.state = State::default();
        for (key, content) in &self.stored {
            assert!(self.state.apply(key, content.as_deref()));
        }
        self.stream = Stream::restore(&mut self.state, self.plan);
        assert!(self.state.take_changes().is_empty(), "nothing is left out");
    }
}

/// Three partitions are read at any pace, by processes that come and go: what is found is what one log would have shown.
#[test]
fn however_partitions_are_read_the_same_is_found() {
    let plan = plan(RULES);
    for seed in 0..40 {
        let mut random = Random(seed);
        let inputs = inputs(&plan, &mut random);
        let last = inputs.iter().flatten().map(|(came_us, _)| *came_us).max();
        let end_us = last.unwrap();
        let mut shard = Shard {
            plan: &plan,
            state: State::default(),
            stream: Stream::default(),
            stored: BTreeMap::new(),
            told: Told::new(),
            place: 0,
        };
        let (mut read, mut said_us) = ([0; 3], end_us);
        while (0..3).any(|number| read[number] < inputs[number].len()) {
            let number = random.below(3);
            for _ in 0..random.below(12) {
                let Some((came_us, event)) = inputs[number].get(read[number]) else {
                    break;
                };
                read[number] += 1;
                shard.take(*came_us, event);
            }
            said_us += SECOND;
            let at_us = match (read[number], inputs[number].len()) {
                (0, 1..) => None,
                (read, all) if read == all => Some(end_us),
                (read, _) => Some(inputs[number][read - 1].0),
            };
            shard.hear(said_us, &[(i32::try_from(number).unwrap(), at_us)]);
            if random.below(3) == 0 {
                shard.settle();
                shard.restart();
            }
        }
        for step in 0..3 * 720 {
            let at_us = Some(end_us + step * 5 * SECOND);
            shard.hear(said_us, &[(0, at_us), (1, at_us), (2, at_us)]);
            shard.settle();
        }
        assert_eq!(shard.stream.missed, StreamCounts::default());
        assert_eq!(shard.stream.streams.counts(), StreamCounts::default());
        assert_eq!(shard.stream.waiting_bytes(), 0);
        let counts = |told: Told| -> Vec<_> {
            told.into_iter()
                .map(|(uid, (_, count))| (uid, count))
                .collect()
        };
        let expected = counts(as_one_log(&plan, &inputs, end_us));
        assert!(!expected.is_empty());
        assert_eq!(counts(shard.told), expected, "seed {seed}");
    }
}

#[test]
fn what_only_others_know_is_counted_and_what_cannot_be_read_is_told() {
    let (newer, mut stream) = (plan(RULES), Stream::default());
    let older = plan(RULES.rsplit_once("---").unwrap().0);
    let fed_event = |event: Event| {
        let bytes = FedEvent::to_bytes(&newer, event, SECOND, 1 << 20).unwrap();
        match Inner::parse(&bytes) {
            Some(Inner::Fed(fed)) => fed,
            other => panic!("{other:?}"),
        }
    };
    let fed = fed_event(event(&newer, SECOND, 1, ""));
    assert!(stream.take(&older, &fed, 1, usize::MAX));
    assert_eq!((stream.missed.unknown, stream.coming.len()), (1, 1));
    assert!(stream.take(&newer, &fed, 2, usize::MAX));
    assert_eq!((stream.missed.unknown, stream.coming.len()), (1, 2));
    assert!(stream.take(&newer, &fed, 3, 10));
    assert_eq!((stream.missed.crowded, stream.coming.len()), (1, 2));
    let mut other_form = fed_event(event(&newer, SECOND, 2, ""));
    other_form.event[0] += 1;
    assert!(!stream.take(&newer, &other_form, 4, usize::MAX));
    for bytes in [&b""[..], b"\x02", b"\x03\xff", b"\x04whatever", b"\x01"] {
        assert!(Inner::parse(bytes).is_none(), "{bytes:?}");
    }
}

#[test]
fn an_event_beyond_its_topic_loses_its_longer_members() {
    let plan = plan(RULES);
    let large = event(&plan, SECOND, 1, &"x".repeat(20_000));
    let whole = FedEvent::to_bytes(&plan, large.clone(), 0, 1 << 20).unwrap();
    assert!(whole.len() > 20_000);
    let lighter = FedEvent::to_bytes(&plan, large.clone(), 0, 10_000).unwrap();
    let Some(Inner::Fed(fed)) = Inner::parse(&lighter) else {
        panic!("it is not read as it was written")
    };
    let event = event_of(&plan, &fed.event).unwrap();
    assert_eq!((event.at, event.feeds.len()), (large.at, 2));
    let raw: serde_json::Value = serde_json::from_slice(&event.witness.exemplar.raw).unwrap();
    assert_eq!((&raw["verb"], raw.get("note")), (&json!("get"), None));
    assert!(event.witness.whole.is_some());
    assert!(FedEvent::to_bytes(&plan, large, 0, 100).is_none());
}
