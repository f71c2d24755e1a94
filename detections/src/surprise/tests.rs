use std::sync::Arc;

use super::limits::{DAY_US, WINDOW_US};
use super::*;

mod fixture;
mod formula;
mod gathering;
mod habits;
mod reading;

/// The beginning of a bucket, both counted from 0.
fn at(day: i64, bucket: i64) -> i64 {
    day * DAY_US + bucket * WINDOW_US
}

fn actor(name: &str, kind: Kind, groups: &[&str]) -> Arc<Actor> {
    Arc::new(Actor {
        id: ActorId {
            name: name.into(),
            kind,
        },
        groups: groups.iter().map(|group| Arc::from(*group)).collect(),
    })
}

fn person(name: &str) -> Arc<Actor> {
    actor(name, Kind::Human, &["developers", "team-web"])
}

fn workload(name: &str) -> Arc<Actor> {
    actor(name, Kind::ServiceAccount, &[])
}

fn did(text: &str, impact: u8) -> Did {
    Did {
        text: text.into(),
        rank: impact,
        impact,
    }
}

/// What everybody does all day.
fn ordinary(actor: &Arc<Actor>, time_us: i64) -> Features {
    Features {
        time_us,
        actor: actor.clone(),
        operation: Some(did("get pods", 0)),
        impersonation: None,
        namespace: Some("web".into()),
        client: "kubectl".into(),
        network: "private 10.20.0.0/16".into(),
        outcome: "ok".into(),
        classes: [false, false, false, true],
    }
}

/// The session of some events of one actor and bucket.
fn session_of(events: &[Features]) -> Session {
    let mut sessions = Sessions::default();
    for event in events {
        sessions.add(event, || [0; 16]);
    }
    let mut finished = sessions.take_before(i64::MAX);
    assert_eq!(finished.len(), 1, "one actor and one bucket");
    finished.remove(0)
}

/// A model, fed in short words. It judges from the first day on, and forgets next to nothing.
struct Scene {
    model: Model,
}

impl Scene {
    fn new() -> Self {
        Self::with(Settings {
            learning_us: 0,
            half_life_us: i64::MAX,
            ..Settings::default()
        })
    }

    fn with(settings: Settings) -> Self {
        let model = Model::new(settings);
        Self { model }
    }

    fn learn(&mut self, event: &Features) {
        let session = session_of(std::slice::from_ref(event));
        self.model.learn(&session, Level::Informational);
    }

    /// Some ordinary sessions on each of some days, from the first bucket on.
    fn live(&mut self, actor: &Arc<Actor>, days: std::ops::Range<i64>, sessions: i64) {
        for day in days {
            for bucket in 0..sessions {
                self.learn(&ordinary(actor, at(day, bucket)));
            }
        }
    }

    fn judge(&self, event: &Features) -> Judgement {
        self.model.judge(&session_of(std::slice::from_ref(event)))
    }
}

/// The part of a kind, if there is one.
fn part(judgement: &Judgement, kind: PartKind) -> Option<&Part> {
    judgement.parts.iter().find(|part| part.kind == kind)
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() < 1e-4,
        "found {found}, expected {expected}"
    );
}
