//! The oracle for correlations: the process is killed at random moments while bursts are under way; afterwards each burst that was
//! complete was found exactly once with all of its events, and none that was not.
//!
//! A burst is three events of one name, sent in three lives of the process. A name with two events only owes nothing. Event time goes on
//! by a minute with each life, so that the watermark passes the first bursts while later ones are under way; a body without an answer is
//! sent again at the beginning of the next life, byte for byte.
//!
//! `TIDEWATCH_ORACLE_KILLS=100 cargo test --release --test oracle_correlations` is the long version.

#[path = "common/obligations.rs"]
mod obligations;
#[path = "common/serving.rs"]
mod serving;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use obligations::{Random, kills};
use serde_json::{Value, json};
use serving::{Serving, event_list, findings, wait_until};

/// Kills in the version that runs with all other tests.
const KILLS: usize = 12;

/// Bursts that begin in each life.
const BURSTS: usize = 8;

const RULES: &str = "
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

#[test]
fn no_kill_makes_a_threshold_missed_or_reached_twice() {
    let kills = kills(KILLS);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let rules = folder.path().join("rules.yml");
    std::fs::write(&rules, RULES).unwrap();
    let config = format!(
        "[log]\nreserve = \"1MiB\"\n[rules]\nbundled = false\npaths = [{:?}]\n",
        rules.to_str().unwrap()
    );
    let mut scene = Scene::new(kills);
    for life in 0..kills {
        let serving = Serving::configured(&data, &config);
        scene.live(&serving, life);
        serving.kill();
    }
    let serving = Serving::configured(&data, &config);
    scene.finish(&serving, kills);
    drop(serving);
    scene.judge(&data);
}

struct Scene {
    /// When the first life begins, in event time: everything lies in the past.
    start: Timestamp,
    random: Random,
    unanswered: Vec<Vec<u8>>,
    /// By name, how many events were sent.
    sent: BTreeMap<String, u64>,
}

impl Scene {
    fn new(lives: usize) -> Self {
        let past = SignedDuration::from_mins(120 + i64::try_from(lives).unwrap());
        Self {
            start: Timestamp::now() - past,
            random: Random(u64::from(std::process::id())),
            unanswered: Vec::new(),
            sent: BTreeMap::new(),
        }
    }

    /// Sends what has no answer, and this life's events; the process dies somewhere on the way.
    fn live(&mut self, serving: &Serving, life: usize) {
        let mut bodies = std::mem::take(&mut self.unanswered);
        bodies.extend(self.bodies(life));
        let deadline = Duration::from_millis(self.random.below(400));
        let next = Mutex::new(bodies.into_iter());
        let unanswered = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    loop {
                        let Some(body) = next.lock().unwrap().next() else {
                            break;
                        };
                        if !serving.post(&body).is_ok_and(|status| status == 200) {
                            unanswered.lock().unwrap().push(body);
                        }
                        std::thread::sleep(Duration::from_millis(5));
                    }
                });
            }
            std::thread::sleep(deadline);
            serving.signal("-KILL");
        });
        self.unanswered = unanswered.into_inner().unwrap();
    }

    /// An event of each burst that is under way, in bodies of a few, in any order.
    fn bodies(&mut self, life: usize) -> Vec<Vec<u8>> {
        let mut events = Vec::new();
        for begun in life.saturating_sub(2)..=life {
            for burst in 0..BURSTS {
                // Every fourth stops after two events.
                if life - begun < 2 || burst % 4 != 0 {
                    events.push(self.event(&format!("s-{begun}-{burst}"), life));
                }
            }
        }
        for place in (1..events.len()).rev() {
            let other = usize::try_from(self.random.below(place as u64 + 1)).unwrap();
            events.swap(place, other);
        }
        events.chunks(3).map(event_list).collect()
    }

    fn event(&mut self, name: &str, life: usize) -> Value {
        *self.sent.entry(name.to_owned()).or_default() += 1;
        let number = self.sent.values().sum::<u64>();
        let minute = SignedDuration::from_mins(i64::try_from(life).unwrap());
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

    /// Sends what is left, and an event so late that the watermark passes all others.
    fn finish(&mut self, serving: &Serving, lives: usize) {
        for body in std::mem::take(&mut self.unanswered) {
            assert_eq!(serving.post(&body).unwrap(), 200);
        }
        let last = self.event("last", lives + 30);
        assert_eq!(serving.post(&event_list(&[last])).unwrap(), 200);
        let sent = self.sent.values().sum::<u64>();
        wait_until("all is evaluated", || {
            serving.count("tidewatch_events_total{outcome=\"evaluated\"}") >= sent
        });
        // The last one alone waits for the watermark.
        wait_until("all is in order", || {
            serving.count("tidewatch_correlation_held{of=\"waiting\"}") <= 1
        });
        for reason in ["late", "ahead", "crowded"] {
            let name = format!("tidewatch_correlation_missed_total{{reason=\"{reason}\"}}");
            assert_eq!(serving.count(&name), 0, "{reason}");
        }
    }

    fn judge(&self, data: &Path) {
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for record in findings(data) {
            let ocsf: Value = serde_json::from_str(record["ocsf"].as_str().unwrap()).unwrap();
            let name = ocsf["unmapped"]["tidewatch"]["object"]["name"]
                .as_str()
                .unwrap();
            let count = ocsf["count"].as_u64().unwrap();
            let twice = found.insert(name.to_owned(), count);
            assert!(twice.is_none(), "{name} was found twice");
        }
        let owed = self.sent.iter().filter(|(_, count)| **count >= 3);
        let owed: BTreeMap<String, u64> =
            owed.map(|(name, count)| (name.clone(), *count)).collect();
        assert!(owed.len() > BURSTS, "there was no load");
        assert_eq!(found, owed);
    }
}
