//! The numbers of the formula, computed by hand.

use super::*;

/// A hundred sessions of one person within a day, and nobody else.
fn alone() -> (Scene, Arc<Actor>) {
    let (mut scene, alice) = (Scene::new(), person("alice"));
    scene.live(&alice, 0..1, 100);
    (scene, alice)
}

/// Two thousand sessions of one person in twenty days: everything new is at its cap.
fn settled() -> (Scene, Arc<Actor>) {
    let (mut scene, alice) = (Scene::new(), person("alice"));
    scene.live(&alice, 0..20, 100);
    (scene, alice)
}

#[test]
fn what_everybody_does_is_no_surprise() {
    let (scene, alice) = settled();
    let judgement = scene.judge(&ordinary(&alice, at(20, 0)));
    assert_eq!((judgement.bits, judgement.parts.len()), (0.0, 0));
    assert_eq!(judgement.level, Level::Informational);
}

#[test]
fn a_value_of_nobody_backs_off_to_its_base() {
    let (scene, alice) = alone();
    let event = Features {
        client: "curl".into(),
        ..ordinary(&alice, at(0, 100))
    };
    // No habits yet: every circle hands 1/64 on. The actor has n = 100 and T = 1: p = (0 + 1/64) / 101 = 1/6464.
    let judgement = scene.judge(&event);
    let client = part(&judgement, PartKind::Client).unwrap();
    near(client.bits_raw, 6464_f64.log2());
    near(client.bits, 8.0);
    assert_eq!((judgement.parts.len(), client.known_times), (1, 0));
}

#[test]
fn below_the_cap_only_what_is_beyond_four_bits_counts() {
    let (mut scene, alice) = (Scene::new(), person("alice"));
    scene.live(&alice, 0..1, 10);
    let event = Features {
        client: "curl".into(),
        ..ordinary(&alice, at(0, 10))
    };
    // p = (1/64) / 11 = 1/704.
    let judgement = scene.judge(&event);
    near(judgement.bits, 704_f64.log2() - 4.0);
}

#[test]
fn each_circle_takes_its_share_by_the_habits_of_its_actors() {
    let (mut scene, alice) = (Scene::new(), person("alice"));
    scene.live(&alice, 0..1, 100);
    // Three of the team, and a person of another one, use k9s on two days.
    let others = [person("bob"), person("carol"), person("dan")];
    let stranger = actor("erin", Kind::Human, &["developers", "team-ml"]);
    let robot = workload("robot");
    for user in others.iter().chain([&stranger]) {
        for day in 0..2 {
            let event = ordinary(user, at(day, 0));
            let client = "k9s".into();
            scene.learn(&Features { client, ..event });
        }
    }
    scene.live(&robot, 0..2, 1);
    let event = Features {
        client: "k9s".into(),
        ..ordinary(&alice, at(0, 100))
    };
    // All: k9s 4, kubectl 1 (the workload). Kind: k9s 4. Team-web (four known actors, fewer than the five developers): k9s 3.
    let all = (4.0 + 2.0 / 64.0) / (5.0 + 2.0);
    let kind = (4.0 + all) / (4.0 + 1.0);
    let team = (3.0 + kind) / (3.0 + 1.0);
    let own: f64 = (0.0 + team) / (100.0 + 1.0);
    let judgement = scene.judge(&event);
    let client = part(&judgement, PartKind::Client).unwrap();
    near(client.bits_raw, -own.log2());
    assert_eq!((client.peers, client.of_peers), (3, 4));
    assert_eq!(client.circle, Circle::Group("team-web".into()));
    let habit = "a habit of 3 of 4 in team-web, 4 of 5 people, 4 of 6 actors";
    assert!(client.past.ends_with(habit), "{}", client.past);
}

#[test]
fn a_new_resource_under_a_usual_verb_is_less_new_than_a_new_verb() {
    let (scene, alice) = alone();
    let raw = |text| {
        let operation = Some(did(text, 0));
        let event = ordinary(&alice, at(0, 100));
        let judgement = scene.judge(&Features { operation, ..event });
        part(&judgement, PartKind::Operation).unwrap().bits_raw
    };
    // Of the verb: p = (100 + 1/16) / 101 if it is usual, and (1/16) / 101 if not; of the operation p(verb) / 64 / 101.
    let usual = (100.0 + 1.0 / 16.0) / 101.0;
    let new = (1.0 / 16.0) / 101.0;
    near(raw("get nodes"), -(usual / 64.0 / 101.0_f64).log2());
    near(raw("delete pods"), -(new / 64.0 / 101.0_f64).log2());
}

#[test]
fn impact_makes_an_operation_count_more_up_to_three_quarters() {
    let (scene, alice) = settled();
    for (impact, expected) in [(0, 12.0), (1, 15.0), (2, 18.0), (3, 21.0)] {
        let event = Features {
            operation: Some(did("create secrets", impact)),
            ..ordinary(&alice, at(20, 0))
        };
        let judgement = scene.judge(&event);
        near(judgement.bits, expected);
        near(judgement.bits_before_impact, 12.0);
    }
}

#[test]
fn no_part_alone_reaches_medium_without_impact() {
    let (scene, alice) = settled();
    let event = || ordinary(&alice, at(20, 0));
    let alone = [
        (
            Features {
                operation: Some(did("delete pods", 0)),
                ..event()
            },
            12.0,
        ),
        (
            Features {
                network: "public 203.0.113.0/24".into(),
                ..event()
            },
            10.0,
        ),
        (
            Features {
                client: "curl".into(),
                ..event()
            },
            8.0,
        ),
        (
            Features {
                namespace: Some("victim".into()),
                ..event()
            },
            4.0,
        ),
        (
            Features {
                outcome: "denied".into(),
                ..event()
            },
            4.0,
        ),
    ];
    for (event, expected) in alone {
        let judgement = scene.judge(&event);
        near(judgement.bits, expected);
        assert!(judgement.level < Level::Medium);
    }
}

#[test]
fn a_new_client_from_a_new_network_is_medium() {
    let (scene, alice) = settled();
    let event = Features {
        network: "public 203.0.113.0/24".into(),
        client: "python-requests".into(),
        ..ordinary(&alice, at(20, 0))
    };
    let judgement = scene.judge(&event);
    near(judgement.bits, 18.0);
    assert_eq!(judgement.level, Level::Medium);
    let kinds: Vec<PartKind> = judgement.parts.iter().map(|part| part.kind).collect();
    assert_eq!(kinds, [PartKind::Network, PartKind::Client]);
}

#[test]
fn people_move_inside_the_house_and_workloads_do_not() {
    let (mut scene, alice) = settled();
    let robot = workload("robot");
    scene.live(&robot, 0..20, 100);
    let bits = |scene: &Scene, actor: &Arc<Actor>| {
        let event = Features {
            network: "private 10.60.0.0/16".into(),
            ..ordinary(actor, at(20, 0))
        };
        scene.judge(&event).bits
    };
    near(bits(&scene, &alice), 4.0);
    near(bits(&scene, &robot), 10.0);
    // Once it is the network of some workload, a person there is somebody in a pod.
    let pod = workload("pod");
    for day in 18..20 {
        scene.learn(&Features {
            network: "private 10.60.0.0/16".into(),
            ..ordinary(&pod, at(day, 0))
        });
    }
    assert!(bits(&scene, &alice) > 4.0);
}

#[test]
fn a_new_operation_on_the_whole_cluster_is_one_novelty() {
    let (scene, alice) = settled();
    let everywhere = |operation| Features {
        operation: Some(did(operation, 0)),
        namespace: Some("-".into()),
        ..ordinary(&alice, at(20, 0))
    };
    let judgement = scene.judge(&everywhere("list nodes"));
    assert!(part(&judgement, PartKind::Namespace).is_none());
    let judgement = scene.judge(&everywhere("get pods"));
    assert!(part(&judgement, PartKind::Namespace).is_some());
}

/// A session with so many deletions.
fn deletions(actor: &Arc<Actor>, time_us: i64, number: usize) -> Session {
    let event = Features {
        classes: [false, false, true, true],
        ..ordinary(actor, time_us)
    };
    session_of(&vec![event; number])
}

#[test]
fn volume_is_how_often_a_session_held_as_many() {
    let (mut scene, alice) = (Scene::new(), person("alice"));
    scene.live(&alice, 0..2, 50);
    let few = scene.model.judge(&deletions(&alice, at(2, 0), 9));
    assert_eq!(few.parts.len(), 0);
    // 10 and 15 are in one bin. Nobody of the kind ever deleted: peers 0.5 / 1; p = (0 + 0.5) / (100 + 1).
    for number in [10, 15] {
        let judgement = scene.model.judge(&deletions(&alice, at(2, 0), number));
        let volume = part(&judgement, PartKind::Volume).unwrap();
        near(volume.bits_raw, 202_f64.log2());
        assert_eq!(&*volume.value, format!("{number} deletions"));
    }
    let once = deletions(&alice, at(2, 0), 10);
    scene.model.learn(&once, Level::Informational);
    // Of its own sessions 1 of 101, of the kind's with any 1 of 1: p = (1 + 1.5 / 2) / (101 + 1).
    let judgement = scene.model.judge(&deletions(&alice, at(2, 1), 10));
    near(judgement.bits, -(1.75_f64 / 102.0).log2() - 4.0);
}

#[test]
fn everyday_requests_are_no_volume_and_the_greatest_class_counts() {
    let (mut scene, alice) = (Scene::new(), person("alice"));
    for bucket in 0..100 {
        let session = session_of(&vec![ordinary(&alice, at(0, bucket)); 60]);
        scene.model.learn(&session, Level::Informational);
    }
    let usual = session_of(&vec![ordinary(&alice, at(0, 100)); 60]);
    assert_eq!(scene.model.judge(&usual).parts.len(), 0);
    let refused = Features {
        classes: [true, false, false, true],
        ..ordinary(&alice, at(0, 100))
    };
    let judgement = scene.model.judge(&session_of(&vec![refused; 60]));
    assert_eq!(judgement.parts.len(), 1);
    assert_eq!(&*judgement.parts[0].value, "60 denied");
}

#[test]
fn old_sessions_weigh_half_after_the_half_life() {
    let alice = person("alice");
    let mut scene = Scene::with(Settings {
        learning_us: 0,
        half_life_us: 10 * DAY_US,
        ..Settings::default()
    });
    scene.learn(&ordinary(&alice, at(0, 0)));
    let client = || "curl".into();
    scene.learn(&Features {
        client: client(),
        ..ordinary(&alice, at(10, 0))
    });
    // Ten days later: kubectl 1/4, curl 1/2, T = 2, and no habits: p(curl) = (1/2 + 2/64) / (3/4 + 2).
    let judgement = scene.judge(&Features {
        client: client(),
        ..ordinary(&alice, at(20, 0))
    });
    assert!(part(&judgement, PartKind::Client).is_none());
    let judgement = scene.judge(&Features {
        client: "wget".into(),
        ..ordinary(&alice, at(20, 0))
    });
    // p(wget) = (2/64) / (3/4 + 2).
    let wget = part(&judgement, PartKind::Client).unwrap();
    near(wget.bits_raw, -((2.0 / 64.0) / 2.75_f64).log2());
}

#[test]
fn clocks_thousands_of_years_off_leave_no_infinities() {
    let alice = person("alice");
    let mut scene = Scene::with(Settings {
        learning_us: 0,
        half_life_us: DAY_US,
        ..Settings::default()
    });
    let times = [at(0, 0), i64::MAX, at(1, 0), i64::MIN, at(2, 0)];
    for time_us in times {
        scene.learn(&ordinary(&alice, time_us));
        for time_us in times {
            let bits = scene.judge(&ordinary(&alice, time_us)).bits;
            assert!(bits.is_finite(), "{bits} at {time_us}");
        }
    }
}
