//! Sessions are sums: the order of events and the split over threads do not matter, nor at the bounds.

use proptest::prelude::*;

use crate::correlation::Moment;

use super::super::counts::Table;
use super::super::limits::SESSION_VALUES_MAX;
use super::*;

/// An event, and what tells its request from others.
#[derive(Clone, Debug)]
struct Happening {
    features: Features,
    identity: u8,
    /// Which thread sees it, and when it does.
    thread: usize,
    turn: u8,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let words = || prop::sample::select(vec!["a", "b", "c"]);
    let who = (words(), words());
    let what = (words(), 0..4_u8, words(), any::<bool>());
    // Few times, so that several events share one.
    let when = (0..3_i64, 0..3_i64, 0..3_u8);
    let how = (0..3_usize, any::<u8>());
    let one = (who, what, when, how).prop_map(|(who, what, when, how)| {
        let (name, group) = who;
        let (operation, impact, client, is_denied) = what;
        let (bucket, second, identity) = when;
        let actor = actor(name, Kind::Human, &[group]);
        let features = Features {
            operation: Some(Did {
                impact,
                ..did(operation, 0)
            }),
            client: client.into(),
            classes: [is_denied, false, false, true],
            ..ordinary(&actor, at(0, bucket) + second)
        };
        let (thread, turn) = how;
        Happening {
            features,
            identity,
            thread,
            turn,
        }
    });
    prop::collection::vec(one, 0..60)
}

fn gathered<'h>(
    happenings: impl IntoIterator<Item = &'h Happening>,
    sessions_max: usize,
) -> Sessions {
    let mut sessions = Sessions::with_limit(sessions_max);
    for happening in happenings {
        sessions.add(&happening.features, || [happening.identity; 16]);
    }
    sessions
}

/// By three threads, each in an order of its own, merged in turn.
fn split(happenings: &[Happening], sessions_max: usize, first: usize) -> Sessions {
    let mut shuffled: Vec<&Happening> = happenings.iter().collect();
    shuffled.sort_by_key(|happening| happening.turn);
    let thread = |number: usize| {
        let own = shuffled.iter().copied();
        gathered(
            own.filter(|happening| happening.thread == number),
            sessions_max,
        )
    };
    let mut merged = thread(first);
    let mut rest = thread((first + 1) % 3);
    rest.merge(thread((first + 2) % 3));
    merged.merge(rest);
    merged
}

proptest! {
    #[test]
    fn order_and_split_do_not_matter(
        happenings in happenings(), sessions_max in 1..12_usize, first in 0..3_usize,
    ) {
        let mut whole = gathered(&happenings, sessions_max);
        let mut merged = split(&happenings, sessions_max, first);
        let text = serde_json::to_string(&merged).unwrap();
        let mut read: Sessions = serde_json::from_str(&text).unwrap();
        let expected = whole.take_before(i64::MAX);
        prop_assert_eq!(&merged.take_before(i64::MAX), &expected);
        prop_assert_eq!(merged.events_lost(), whole.events_lost());
        prop_assert_eq!(&read.take_before(i64::MAX), &expected);
        let kept: u64 = expected.iter().map(|session| session.events).sum();
        prop_assert_eq!(kept + whole.events_lost(), happenings.len() as u64);
    }

    #[test]
    fn the_first_event_of_each_value_is_its_witness(happenings in happenings()) {
        let mut sessions = gathered(&happenings, 100);
        for session in sessions.take_before(i64::MAX) {
            for seen in session.values(Table::Client) {
                let with_it = happenings.iter().filter(|happening| {
                    let features = &happening.features;
                    let time_us = features.time_us - session.bucket_us;
                    features.actor.id == session.actor.id
                        && (0..WINDOW_US).contains(&time_us)
                        && features.client == seen.text
                });
                let moments: Vec<Moment> = with_it
                    .map(|happening| Moment {
                        time_us: happening.features.time_us,
                        identity: [happening.identity; 16],
                    })
                    .collect();
                prop_assert_eq!(moments.iter().min(), Some(&seen.first));
                prop_assert_eq!(moments.len() as u64, seen.count);
            }
        }
    }
}

#[test]
fn finished_buckets_are_handed_out_in_order() {
    let mut sessions = Sessions::default();
    for (name, bucket) in [("bob", 1), ("alice", 1), ("carol", 0), ("dan", 2)] {
        sessions.add(&ordinary(&person(name), at(0, bucket) + 7), || [0; 16]);
    }
    let names = |finished: Vec<Session>| {
        let names = finished
            .iter()
            .map(|session| session.actor.id.name.to_string());
        names.collect::<Vec<_>>()
    };
    assert_eq!(
        names(sessions.take_before(at(0, 2))),
        ["carol", "alice", "bob"]
    );
    assert_eq!(sessions.len(), 1);
    assert_eq!(names(sessions.take_before(i64::MAX)), ["dan"]);
    assert!(sessions.is_empty());
}

#[test]
fn a_flood_of_harmless_operations_does_not_hide_one_that_matters() {
    let alice = person("alice");
    let mut names: Vec<String> = (0..600).map(|number| format!("get a{number:03}")).collect();
    let run = |names: &[String]| {
        let mut events: Vec<Features> = Vec::new();
        for name in names {
            let operation = Some(did(name, 0));
            events.push(Features {
                operation,
                ..ordinary(&alice, 0)
            });
        }
        let act = Some(did("list secrets", 2));
        events.insert(
            300,
            Features {
                operation: act,
                ..ordinary(&alice, 0)
            },
        );
        session_of(&events)
    };
    let session = run(&names);
    let operations = session.values(Table::Operation);
    assert_eq!(operations.len(), SESSION_VALUES_MAX);
    assert!(operations.iter().any(|seen| &*seen.text == "list secrets"));
    assert_eq!(session.values_lost(), 601 - SESSION_VALUES_MAX as u64);
    names.reverse();
    assert_eq!(run(&names), session);
}

#[test]
fn the_identity_is_asked_for_only_if_it_may_be_the_first() {
    let alice = person("alice");
    let mut sessions = Sessions::default();
    let mut asked = 0;
    for second in [5, 6, 7, 3, 4] {
        sessions.add(&ordinary(&alice, second), || {
            asked += 1;
            [0; 16]
        });
    }
    assert_eq!(asked, 2);
}
