//! What is learned, when, and by whom.

use super::super::counts::Table;
use super::*;

/// An ordinary event by another client.
fn by(client: &str, actor: &Arc<Actor>, time_us: i64) -> Features {
    Features {
        client: client.into(),
        ..ordinary(actor, time_us)
    }
}

/// What a stolen credential looks like.
fn theft(actor: &Arc<Actor>, time_us: i64) -> Features {
    Features {
        network: "public 203.0.113.0/24".into(),
        ..by("python-requests", actor, time_us)
    }
}

/// How many people have a client as a habit.
fn people_with(client: &str, scene: &Scene) -> u32 {
    let people = scene.model.circles().get(&Circle::Kind(Kind::Human));
    people.map_or(0, |members| {
        members.peers(Table::Client).actors_with(client)
    })
}

#[test]
fn a_value_is_a_habit_from_the_second_calendar_day_on() {
    let (mut scene, bob) = (Scene::new(), person("bob"));
    for bucket in 0..100 {
        scene.learn(&by("k9s", &bob, at(0, bucket)));
    }
    assert_eq!(people_with("k9s", &scene), 0);
    scene.learn(&by("k9s", &bob, at(1, 0)));
    assert_eq!(people_with("k9s", &scene), 1);
    scene.learn(&by("k9s", &bob, at(2, 0)));
    assert_eq!(people_with("k9s", &scene), 1);
}

#[test]
fn the_same_theft_is_reported_on_the_next_day_and_half_known_on_the_third() {
    let (mut scene, alice) = (Scene::new(), person("alice"));
    scene.live(&alice, 0..10, 50);
    let mut commit = |time_us| {
        let session = session_of(&[theft(&alice, time_us)]);
        let judgement = scene.model.judge(&session);
        scene.model.learn(&session, judgement.reached);
        judgement
    };
    assert_eq!(commit(at(10, 0)).level, Level::Medium);
    let again = commit(at(10, 1));
    assert_eq!(again.level, Level::Medium, "the same day");
    let client = part(&again, PartKind::Client).unwrap();
    assert!(
        client
            .past
            .starts_with("seen on 11 Jan in a finding, and so not learned")
    );
    assert_eq!(
        (client.known_times, client.known_since_us),
        (1, Some(at(10, 0)))
    );
    assert_eq!(commit(at(11, 0)).level, Level::Medium, "the next day");
    assert!(commit(at(12, 0)).bits < MEDIUM_BITS, "the third day");
}

#[test]
fn what_was_no_finding_is_known_at_once() {
    let (mut scene, alice) = (Scene::new(), person("alice"));
    scene.live(&alice, 0..10, 50);
    let bits = |scene: &Scene| scene.judge(&by("k9s", &alice, at(10, 9))).bits;
    near(bits(&scene), 8.0);
    scene.learn(&by("k9s", &alice, at(10, 0)));
    // c = 1, n = 501, T = 2: a bit less than 9 bits, of which four are free.
    assert!(bits(&scene) < 5.0);
}

#[test]
fn a_newcomer_is_at_most_low_for_a_day_and_eight_sessions() {
    let mut scene = Scene::new();
    for name in ["bob", "carol", "dan"] {
        scene.live(&person(name), 0..20, 100);
    }
    let alice = person("alice");
    let act = |time_us| Features {
        operation: Some(did("list secrets", 2)),
        namespace: Some("kube-system".into()),
        ..theft(&alice, time_us)
    };
    let judgement = scene.judge(&act(at(20, 0)));
    assert_eq!((judgement.level, judgement.is_newcomer), (Level::Low, true));
    assert!(judgement.reached > Level::Low && judgement.since_us.is_none());
    scene.live(&alice, 20..21, 100);
    assert!(scene.judge(&act(at(20, 140))).is_newcomer, "not yet a day");
    assert!(!scene.judge(&act(at(21, 0))).is_newcomer);
    let eve = person("eve");
    scene.live(&eve, 20..27, 1);
    let act_of_eve = Features {
        actor: eve.clone(),
        ..act(at(30, 0))
    };
    assert!(scene.judge(&act_of_eve).is_newcomer, "seven sessions");
    scene.live(&eve, 27..28, 1);
    assert!(!scene.judge(&act_of_eve).is_newcomer);
}

#[test]
fn all_of_a_bucket_is_judged_before_any_of_it_is_learned() {
    let mut scene = Scene::new();
    let (alice, bob) = (person("alice"), person("bob"));
    scene.live(&alice, 0..10, 50);
    scene.live(&bob, 0..10, 50);
    let before = scene.model.clone();
    let mut sessions: Vec<Session> = [&alice, &bob]
        .map(|actor| session_of(&[by("k9s", actor, at(10, 0))]))
        .into();
    let judgements = scene.model.follow(&sessions);
    for (session, judgement) in sessions.iter().zip(&judgements) {
        assert_eq!(judgement.as_ref(), Some(&before.judge(session)));
    }
    let mut other = before;
    sessions.reverse();
    other.follow(&sessions);
    assert!(
        other == scene.model,
        "the order within a bucket does not matter"
    );
}

#[test]
fn nothing_is_judged_while_it_learns() {
    let mut model = Model::default();
    let alice = person("alice");
    for day in 0..20 {
        let session = session_of(&[ordinary(&alice, at(day, 70))]);
        let judgements = model.follow(std::slice::from_ref(&session));
        assert_eq!(judgements[0].is_some(), day >= 18, "day {day}");
    }
}

#[test]
fn the_team_is_the_narrowest_group_of_three_known_actors() {
    let mut scene = Scene::new();
    let circle = |scene: &Scene| {
        let judgement = scene.judge(&by("curl", &person("alice"), at(1, 100)));
        judgement.parts[0].circle.clone()
    };
    scene.live(&person("alice"), 0..1, 100);
    scene.live(&person("bob"), 0..1, 1);
    assert_eq!(circle(&scene), Circle::Kind(Kind::Human));
    let other = actor("erin", Kind::Human, &["developers", "team-ml"]);
    scene.live(&other, 0..1, 1);
    assert_eq!(circle(&scene), Circle::Group("developers".into()));
    scene.live(&person("carol"), 0..1, 1);
    assert_eq!(circle(&scene), Circle::Group("team-web".into()));
}

#[test]
fn who_changes_the_team_takes_the_habits_along() {
    let mut scene = Scene::new();
    for name in ["bob", "carol", "dan"] {
        scene.live(&person(name), 0..1, 1);
    }
    scene.live(&person("alice"), 0..1, 100);
    let mover = |groups: &[&str]| actor("erin", Kind::Human, groups);
    for day in 0..2 {
        scene.learn(&by("k9s", &mover(&["developers", "team-web"]), at(day, 0)));
    }
    let of_team = |scene: &Scene| {
        let judgement = scene.judge(&by("k9s", &person("alice"), at(1, 100)));
        let client = part(&judgement, PartKind::Client).unwrap().clone();
        (client.peers, client.of_peers)
    };
    assert_eq!(of_team(&scene), (1, 5));
    scene.learn(&by("k9s", &mover(&["developers", "team-ml"]), at(2, 0)));
    assert_eq!(of_team(&scene), (0, 4));
}

#[test]
fn a_flood_of_new_values_evicts_itself() {
    let (mut scene, alice) = (Scene::new(), person("alice"));
    scene.live(&alice, 0..2, 50);
    for number in 0..1_000 {
        scene.learn(&by(&format!("client{number}"), &alice, at(2, number % 144)));
    }
    near(scene.judge(&ordinary(&alice, at(10, 0))).bits, 0.0);
    assert_eq!(scene.model.size().values, 8 + 5);
}

#[test]
fn a_habit_that_had_to_go_is_no_habit_of_the_peers_either() {
    let (mut scene, bob) = (Scene::new(), person("bob"));
    for day in 0..2 {
        scene.learn(&by("k9s", &bob, at(day, 0)));
    }
    assert_eq!(people_with("k9s", &scene), 1);
    for number in 0..8 {
        for bucket in 0..5 {
            scene.learn(&by(
                &format!("client{number}"),
                &bob,
                at(2, number * 5 + bucket),
            ));
        }
    }
    assert_eq!(people_with("k9s", &scene), 0);
}

#[test]
fn the_longest_silent_actor_goes_when_there_are_too_many() {
    let mut scene = Scene::with(Settings {
        learning_us: 0,
        half_life_us: i64::MAX,
        actors_max: 3,
        ..Settings::default()
    });
    for (name, days) in [("alice", 2), ("bob", 3), ("carol", 4)] {
        scene.live(&person(name), 0..days, 1);
    }
    scene.live(&person("alice"), 9..10, 1);
    scene.live(&person("dan"), 10..11, 1);
    let size = scene.model.size();
    assert_eq!((size.actors, size.actors_forgotten), (3, 1));
    let known = |name| scene.judge(&ordinary(&person(name), at(11, 0))).sessions;
    assert_eq!(["alice", "bob", "carol", "dan"].map(known), [3, 0, 4, 1]);
    // Alice and Carol have the habit, Bob took his along.
    assert_eq!(people_with("kubectl", &scene), 2);
}

#[test]
fn a_look_alike_does_not_inherit_a_past() {
    let name = "system:serviceaccount:web:shop";
    let mut scene = Scene::new();
    scene.live(&workload(name), 0..10, 50);
    let forged = actor(name, Kind::External, &[]);
    let judgement = scene.judge(&ordinary(&forged, at(10, 0)));
    assert_eq!((judgement.sessions, judgement.is_newcomer), (0, true));
}

#[test]
fn what_is_stored_and_read_back_says_the_same() {
    let mut scene = Scene::new();
    for name in ["alice", "bob", "carol"] {
        scene.live(&person(name), 0..3, 10);
    }
    scene.live(&workload("robot"), 0..3, 10);
    let text = serde_json::to_string(&scene.model).unwrap();
    let read: Model = serde_json::from_str(&text).unwrap();
    let event = theft(&person("alice"), at(3, 0));
    let (one, other) = (scene.judge(&event), Scene { model: read }.judge(&event));
    near(one.bits, other.bits);
    assert_eq!(one.parts.len(), other.parts.len());
    assert_eq!(one.parts[0].past, other.parts[0].past);
    let judgement: Judgement = serde_json::from_str(&serde_json::to_string(&one).unwrap()).unwrap();
    assert_eq!(judgement.level, one.level);
}

#[test]
fn a_part_says_what_was_known_and_what_would_make_it_ordinary() {
    let (mut scene, alice) = (Scene::new(), person("alice"));
    scene.live(&alice, 0..10, 50);
    let judgement = scene.judge(&theft(&alice, at(10, 0)));
    let [network, client] = &*judgement.parts else {
        panic!("{:?}", judgement.parts);
    };
    assert_eq!(
        client.past,
        "never in 500 sessions since 01 Jan (usually kubectl); a habit of 0 of 1 people, 0 of 1 actors"
    );
    // 1/16 of 501, by 15/16.
    assert_eq!(client.ordinary_when, "after about 34 more sessions");
    assert_eq!(&*network.value, "public 203.0.113.0/24");
    assert_eq!(judgement.since_us, Some(0));
    assert_eq!(network.witness.time_us, at(10, 0));
}
