//! Six days of five accounts, five acts on the last one, and a newcomer: what the prototype says of them.
//!
//! The events are made up. The numbers are those of `score.py`, the prototype that fixed the formula, over the same file with
//! four days of learning; it takes a group of one actor for a team.

use crate::batch::BatchBuilder;
use crate::event::Origin;

use super::*;

const EVENTS: &str = include_str!("events.ndjson");

/// Actor, bits, bits before impact, level, leading value; sessions without a surprising value are left out.
const EXPECTED: [(&str, f64, f64, Level, &str); 6] = [
    (
        "alice",
        38.648_766_912_617_866,
        33.099_177_941_745_246,
        Level::High,
        "list secrets",
    ),
    (
        "system:serviceaccount:web:shop",
        22.0,
        16.0,
        Level::Medium,
        "create pods exec",
    ),
    ("bob", 12.0, 12.0, Level::Low, "k9s"),
    (
        "carol",
        19.617_920_601_371_825,
        16.617_920_601_371_825,
        Level::Medium,
        "delete pods",
    ),
    (
        "mallory",
        29.372_049_579_881_438,
        24.990_972_616_752_92,
        Level::Low,
        "get secrets",
    ),
    ("dan", 25.0, 16.0, Level::High, "impersonate users"),
];

fn sessions() -> Vec<Session> {
    let mut builder = BatchBuilder::new(Arc::default());
    for line in EVENTS.lines() {
        builder
            .push(line.as_bytes(), &Origin::default(), 0)
            .unwrap();
    }
    let batch = builder.finish();
    // The prototype counted every line.
    let mut reader = Reader::new(Reading {
        stages: Stages::All,
        ..Reading::default()
    });
    let mut sessions = Sessions::default();
    for row in 0..batch.rows() {
        let row = batch.row(row);
        let features = reader.features(&row).unwrap();
        sessions.add(&features, || identity_of(&row));
    }
    sessions.take_before(i64::MAX)
}

#[test]
fn the_prototype_is_agreed_with() {
    let sessions = sessions();
    let mut model = Model::new(Settings {
        learning_us: 4 * DAY_US,
        team_actors_min: 1,
        ..Settings::default()
    });
    let judgements = model.follow(&sessions);
    assert_eq!(judgements.iter().flatten().count(), 28);
    let surprising: Vec<(&Session, &Judgement)> = sessions
        .iter()
        .zip(&judgements)
        .filter_map(|(session, judgement)| Some((session, judgement.as_ref()?)))
        .filter(|(_, judgement)| !judgement.parts.is_empty())
        .collect();
    assert_eq!(surprising.len(), EXPECTED.len());
    for ((session, judgement), expected) in surprising.into_iter().zip(EXPECTED) {
        let (name, bits, bits_before_impact, level, leading) = expected;
        assert_eq!(&*session.actor.id.name, name);
        near(judgement.bits, bits);
        near(judgement.bits_before_impact, bits_before_impact);
        assert_eq!(
            (judgement.level, &*judgement.parts[0].value),
            (level, leading)
        );
    }
}

#[test]
fn the_witness_is_the_first_event_that_showed_the_value() {
    let sessions = sessions();
    let theft = sessions
        .iter()
        .find(|session| &*session.actor.id.name == "alice" && session.events == 3)
        .unwrap();
    let mut model = Model::default();
    for session in &sessions {
        if session.bucket_us < theft.bucket_us {
            model.learn(session, Level::Informational);
        }
    }
    let judgement = model.judge(theft);
    assert!(!judgement.parts.is_empty());
    for part in &judgement.parts {
        assert_eq!((part.witness, part.count), (theft.first, 3));
    }
}
