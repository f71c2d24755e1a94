//! Bursts for oracles of correlations: three events of one name, sent in three rounds. A name with two events only owes nothing. Event time
//! goes on by a minute with each round, so that the watermark passes the first bursts while later ones are under way; a body without an
//! answer is sent again at the beginning of the next round, byte for byte.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::obligations::Random;
use super::serving::event_list;

/// Bursts that begin in each round.
const BURSTS: usize = 8;

pub(crate) const RULES: &str = "
title: A secret was read
name: secret_read
logsource: {product: kubernetes}
detection:
  selection:
    verb: get
    objectRef.resource: secrets
  condition: selection
level: informational
---
title: One secret read three times
id: 5b9c4e1e-3c7f-4a5d-9a53-6a4f4b1d0c11
name: read_three_times
logsource: {product: kubernetes}
tags: [attack.credential-access, attack.t1552.007]
correlation:
  type: event_count
  rules: [secret_read]
  group-by: [objectRef.name]
  timespan: 1h
  condition: {gte: 3}
level: low
";

pub(crate) struct Bursts {
    /// When the first round begins, in event time: everything lies in the past.
    start: Timestamp,
    pub(crate) random: Random,
    unanswered: Vec<Vec<u8>>,
    /// By name, how many events were sent.
    sent: BTreeMap<String, u64>,
}

impl Bursts {
    pub(crate) fn new(rounds: usize) -> Self {
        let past = SignedDuration::from_mins(120 + i64::try_from(rounds).unwrap());
        Self {
            start: Timestamp::now() - past,
            random: Random(u64::from(std::process::id())),
            unanswered: Vec::new(),
            sent: BTreeMap::new(),
        }
    }

    /// Sends what has no answer, and this round's events, by two senders, while something goes wrong.
    pub(crate) fn send(
        &mut self,
        round: usize,
        post: impl Fn(&[u8]) -> bool + Sync,
        fail: impl FnOnce(),
    ) {
        let mut bodies = std::mem::take(&mut self.unanswered);
        bodies.extend(self.bodies(round));
        let next = Mutex::new(bodies.into_iter());
        let unanswered = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    loop {
                        let Some(body) = next.lock().unwrap().next() else {
                            break;
                        };
                        if !post(&body) {
                            unanswered.lock().unwrap().push(body);
                        }
                        std::thread::sleep(Duration::from_millis(5));
                    }
                });
            }
            fail();
        });
        self.unanswered = unanswered.into_inner().unwrap();
    }

    /// An event of each burst that is under way, in bodies of a few, in any order.
    fn bodies(&mut self, round: usize) -> Vec<Vec<u8>> {
        let mut events = Vec::new();
        for begun in round.saturating_sub(2)..=round {
            for burst in 0..BURSTS {
                // Every fourth stops after two events.
                if round - begun < 2 || burst % 4 != 0 {
                    events.push(self.event(&format!("s-{begun}-{burst}"), round));
                }
            }
        }
        for place in (1..events.len()).rev() {
            let other = usize::try_from(self.random.below(place as u64 + 1)).unwrap();
            events.swap(place, other);
        }
        events.chunks(3).map(event_list).collect()
    }

    fn event(&mut self, name: &str, round: usize) -> Value {
        *self.sent.entry(name.to_owned()).or_default() += 1;
        let number = self.events();
        let minute = SignedDuration::from_mins(i64::try_from(round).unwrap());
        let within = SignedDuration::from_millis(i64::try_from(self.random.below(50_000)).unwrap());
        let time = format!("{:.6}", self.start + minute + within);
        json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata",
            "auditID": format!("{number}"), "stage": "ResponseComplete", "verb": "get",
            "requestURI": format!("/api/v1/namespaces/web/secrets/{name}"),
            "user": {"username": "mallory@example.com", "groups": ["system:authenticated"]},
            "sourceIPs": ["10.0.0.1"],
            "objectRef": {"resource": "secrets", "namespace": "web", "name": name, "apiVersion": "v1"},
            "responseStatus": {"code": 200},
            "requestReceivedTimestamp": time, "stageTimestamp": time,
        })
    }

    /// What has no answer yet, and an event so late that the watermark passes all others.
    pub(crate) fn rest(&mut self, rounds: usize) -> Vec<Vec<u8>> {
        let mut bodies = std::mem::take(&mut self.unanswered);
        let last = self.event("last", rounds + 30);
        bodies.push(event_list(&[last]));
        bodies
    }

    /// Events that were sent.
    pub(crate) fn events(&self) -> u64 {
        self.sent.values().sum()
    }

    /// What is to be found: by name, how many events.
    pub(crate) fn owed(&self) -> BTreeMap<String, u64> {
        let owed = self.sent.iter().filter(|(_, count)| **count >= 3);
        let owed: BTreeMap<String, u64> =
            owed.map(|(name, count)| (name.clone(), *count)).collect();
        assert!(owed.len() > BURSTS, "there was no load");
        owed
    }
}
