use super::*;

#[test]
fn what_was_emitted_and_has_arrived_is_no_finding() {
    let mut scene = Scene::new();
    scene.minutes(600, 1000, 1000);
    assert_eq!(scene.told(), [""; 0]);
    let standing = scene.standing();
    assert_eq!(
        (standing.emitted, standing.missing, standing.surplus),
        (599_000, 0, 0)
    );
    assert!(standing.counted && !standing.is_silent);
}

#[test]
fn what_is_missing_for_longer_than_the_grace_is_told_with_its_number() {
    let mut scene = Scene::new();
    scene.minutes(20, 100, 100);
    // From the 21st minute on one event in two is taken out.
    scene.minutes(30, 100, 50);
    let told = scene.told();
    assert_eq!(told[0], "27: missing 100 Create #1", "{told:?}");
    assert!(told.len() > 3, "it goes on: {told:?}");
    assert!(told.iter().all(|line| line.contains("missing")));
    // And an hour after the last one is over. What is missing stays so.
    scene.minutes(90, 100, 100);
    let told = scene.told();
    let over = "117: missing 1500 Quiet #8";
    assert_eq!(
        told,
        [
            "52: missing 1350 Update #6",
            "57: missing 1500 Update #7",
            over
        ]
    );
    // The next loss is another finding.
    scene.minutes(1, 2000, 100);
    scene.minutes(20, 100, 100);
    assert_eq!(scene.told(), ["146: missing 1900 Create #1"]);
}

#[test]
fn a_single_loss_is_told_once() {
    let mut scene = Scene::new();
    scene.minutes(20, 100, 100);
    scene.minute(1100, 100);
    scene.minutes(60, 100, 100);
    let told = scene.told();
    assert_eq!(told[0], "26: missing 1000 Create #1");
    assert_eq!(told.len(), 1, "{told:?}");
    scene.minutes(10, 100, 100);
    assert_eq!(scene.told(), ["86: missing 1000 Quiet #2"]);
}

#[test]
fn batches_that_are_late_within_the_grace_are_waited_for() {
    let mut scene = Scene::new();
    scene.minutes(20, 100, 100);
    // All take four minutes, for an hour: the receiver is overloaded, and lets them come again.
    scene.minutes(4, 100, 0);
    for _ in 0..60 {
        scene.late_minute(100, 100, 4 * MINUTE);
    }
    scene.late_minute(100, 500, 4 * MINUTE);
    scene.minutes(20, 100, 100);
    assert_eq!(scene.told(), [""; 0]);
    // One batch is tried for four minutes, while others come at once.
    for _ in 0..10 {
        scene.minute(500, 100);
        scene.minutes(3, 100, 100);
        scene.late_minute(100, 500, 4 * MINUTE);
    }
    assert_eq!(scene.told(), [""; 0]);
}

#[test]
fn being_late_excuses_no_more_than_what_can_be_under_way() {
    let mut scene = Scene::new();
    scene.minutes(20, 100, 100);
    // All are an hour late by their clock; one in ten is taken out.
    for _ in 0..200 {
        scene.late_minute(100, 90, HOUR);
    }
    let told = scene.told();
    assert!(told[0].contains("missing"), "{told:?}");
    let minute: i64 = told[0].split(':').next().unwrap().parse().unwrap();
    assert!((70..=80).contains(&minute), "{told:?}");
}

#[test]
fn what_arrives_after_it_was_called_missing_takes_that_back() {
    let mut scene = Scene::new();
    scene.minutes(20, 100, 100);
    scene.minutes(9, 100, 30);
    scene.minute(100, 100 + 9 * 70);
    scene.minutes(70, 100, 100);
    let told = scene.told();
    assert!(
        told[0].contains("missing") && told[0].contains("Create #1"),
        "{told:?}"
    );
    assert!(told.last().unwrap().starts_with("30: missing"), "{told:?}");
    assert!(told.last().unwrap().contains("Arrived"), "{told:?}");
}

#[test]
fn who_sends_under_another_name_is_missing_under_this_one() {
    let mut scene = Scene::new();
    scene.minutes(30, 100, 0);
    let told = scene.told();
    assert!(
        told[0].contains("missing") && told[0].contains("Create"),
        "{told:?}"
    );
    assert!(told.iter().all(|line| !line.contains("silent")), "{told:?}");
}

proptest::proptest! {
    #[test]
    fn what_arrives_within_the_grace_is_never_called_missing(
        minutes in proptest::collection::vec((0_u64..3000, 0_i64..235, 0_u8..5), 10..200),
    ) {
        let mut scene = Scene::new();
        let mut under_way: Vec<(i64, i64, u64)> = Vec::new();
        for (events, seconds, speed) in minutes {
            // Most come at once, some late.
            let took_us = if speed < 3 { SECOND } else { seconds * SECOND };
            scene.emit(events);
            under_way.push((scene.now_us + MINUTE + took_us, scene.now_us, events));
            under_way.sort_unstable();
            scene.now_us += MINUTE;
            let come = under_way.partition_point(|(at_us, ..)| *at_us <= scene.now_us);
            for (at_us, oldest_us, events) in under_way.drain(..come) {
                let arrival = Arrival { at_us, events, oldest_us: Some(oldest_us) };
                scene.watch.arrived(&sender(), arrival);
            }
            scene.watch.scraped(&sender(), scene.counters.clone(), scene.now_us);
            scene.tick();
        }
        proptest::prop_assert_eq!(scene.told(), [""; 0]);
    }

    #[test]
    fn a_loss_that_is_larger_than_what_can_be_under_way_is_always_told(
        before in proptest::collection::vec(0_u64..500, 1..30),
        after in proptest::collection::vec(0_u64..500, 20..40),
        took in 0_i64..300,
    ) {
        let mut scene = Scene::new();
        for events in before {
            scene.late_minute(events, events, took * SECOND);
        }
        scene.late_minute(6000, 0, 0);
        for events in after {
            scene.late_minute(events, events, took * SECOND);
        }
        let told = scene.told();
        proptest::prop_assert!(told.iter().any(|line| line.contains("missing") && line.contains("Create")), "{:?}", told);
        let numbers = told.iter().filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok());
        proptest::prop_assert!(numbers.max().is_some_and(|most| most <= 6000), "{:?}", told);
    }
}

#[test]
fn a_batch_that_is_always_under_way_is_not_missing() {
    let mut scene = Scene::new();
    // At the first look nothing was under way; later there are always some hundred events.
    scene.minutes(10, 0, 0);
    scene.minute(1000, 700);
    scene.minutes(300, 1000, 1000);
    assert_eq!(scene.told(), [""; 0]);
    assert_eq!(scene.standing().missing, 300);
}

#[test]
fn a_small_loss_of_a_quiet_cluster_is_seen_when_it_is_quiet() {
    let mut scene = Scene::new();
    scene.minutes(20, 1000, 1000);
    // Too few to be told from a batch that is under way.
    scene.minute(1000, 900);
    scene.minutes(20, 1000, 1000);
    assert_eq!(scene.told(), [""; 0]);
    scene.minutes(20, 2, 2);
    assert_eq!(scene.told(), ["47: missing 100 Create #1"]);
}

#[test]
fn repeats_are_no_finding_and_hide_no_later_loss() {
    let mut scene = Scene::new();
    scene.minutes(20, 100, 100);
    scene.minutes(5, 100, 900);
    scene.minutes(20, 100, 100);
    assert_eq!(scene.told(), [""; 0]);
    assert_eq!(scene.standing().surplus, 4000);
    scene.minute(600, 100);
    scene.minutes(10, 100, 100);
    assert_eq!(scene.told(), ["51: missing 500 Create #1"]);
}

#[test]
fn a_backlog_of_our_own_is_not_missing() {
    let mut scene = Scene::new();
    scene.minutes(20, 100, 100);
    // The log stands at minute 20, and looks at counters go on: nothing of what was emitted since was evaluated.
    let stands_us = scene.now_us;
    for minute in 1..=30 {
        scene.emit(100);
        let at_us = stands_us + minute * MINUTE;
        scene
            .watch
            .scraped(&sender(), scene.counters.clone(), at_us);
        assert!(scene.watch.tick(stands_us).is_empty());
        assert_eq!(scene.watch.due_us(), Some(stands_us + MINUTE));
    }
    for minute in 0..30 {
        let at_us = stands_us + minute * MINUTE + 30 * SECOND;
        scene.watch.arrived(&sender(), arrival(100, at_us, SECOND));
    }
    scene.now_us = stands_us + 30 * MINUTE;
    scene.tick();
    assert_eq!(scene.told(), [""; 0]);
    assert_eq!(
        (scene.standing().emitted, scene.standing().missing),
        (4900, 0)
    );
}
