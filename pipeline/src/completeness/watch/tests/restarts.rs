use super::*;

#[test]
fn a_restart_begins_the_count_anew() {
    let mut scene = Scene::new();
    scene.minutes(20, 100, 100);
    scene.restart();
    scene.minutes(60, 100, 100);
    assert_eq!(scene.told(), [""; 0]);
    let standing = scene.standing();
    assert_eq!(
        (standing.restarts, standing.emitted, standing.missing),
        (1, 5900, 0)
    );
    // Also where only the counters tell.
    scene.counters.started_ms = None;
    scene.minute(100, 100);
    scene.counters.events = Some(50);
    scene.minutes(60, 100, 100);
    assert_eq!(scene.told(), [""; 0]);
    assert_eq!(scene.standing().restarts, 2);
}

#[test]
fn what_was_missing_before_a_restart_stays_missing() {
    let mut scene = Scene::new();
    scene.minutes(20, 100, 100);
    scene.minute(600, 100);
    scene.minutes(10, 100, 100);
    assert_eq!(scene.told(), ["26: missing 500 Create #1"]);
    scene.restart();
    scene.minutes(10, 100, 100);
    assert_eq!(scene.told(), [""; 0]);
    scene.minute(800, 100);
    scene.minutes(10, 100, 100);
    assert_eq!(scene.told(), ["47: missing 1200 Update #2"]);
    scene.minutes(60, 100, 100);
    assert_eq!(scene.told(), ["107: missing 1200 Quiet #3"]);
}

#[test]
fn what_the_api_server_says_it_lost_is_told_and_is_not_missing_besides() {
    let mut scene = Scene::new();
    scene.lose("webhook", 77);
    scene.minutes(20, 100, 100);
    assert_eq!(
        scene.told(),
        [""; 0],
        "what was lost before the first look is history"
    );
    // The receiver is away: batches are lost four minutes after they were emitted.
    scene.minutes(4, 100, 0);
    for _ in 0..6 {
        scene.lose("webhook", 100);
        scene.minute(100, 0);
    }
    for _ in 0..4 {
        scene.lose("webhook", 100);
        scene.minute(100, 100);
    }
    let told = scene.told();
    assert_eq!(told[0], "25: dropped 100 Create #1");
    assert_eq!(told[1], "26: dropped 200 Update #2");
    assert_eq!(told.len(), 10, "{told:?}");
    assert_eq!(told[9], "34: dropped 1000 Update #10");
    scene.minutes(70, 100, 100);
    assert_eq!(scene.told(), ["94: dropped 1000 Quiet #11"]);
    assert_eq!(scene.standing().missing, 0);
}

#[test]
fn losses_are_told_once_a_minute_by_plugin_with_requests_that_were_refused() {
    let mut scene = Scene::new();
    scene.minutes(3, 100, 100);
    let mut notices = Vec::new();
    for second in 1..=130 {
        scene.lose("buffered", 1);
        scene.counters.rejected = Some(second);
        let at_us = scene.now_us + i64::try_from(second).unwrap() * SECOND;
        scene
            .watch
            .scraped(&sender(), scene.counters.clone(), at_us);
        notices.extend(scene.watch.tick(at_us));
    }
    let counts: Vec<_> = notices
        .iter()
        .map(|notice| (notice.counts.events, notice.counts.rejected))
        .collect();
    assert_eq!(counts, [(1, 1), (61, 61), (121, 121)]);
    assert_eq!(notices[2].counts.plugins["buffered"], 121);
    assert_eq!(notices[0].uid(), notices[2].uid());
    assert_eq!(notices[0].since_us, START + 3 * MINUTE);
}

#[test]
fn a_new_process_that_lost_events_already_says_so() {
    let mut scene = Scene::new();
    scene.lose("webhook", 5000);
    scene.minutes(10, 100, 100);
    scene.restart();
    scene.lose("webhook", 400);
    scene.minute(500, 100);
    assert_eq!(scene.told(), ["11: dropped 400 Create #1"]);
}

#[test]
fn processes_that_take_turns_behind_one_address_say_nothing() {
    let mut scene = Scene::new();
    let mut other = scene.counters.clone();
    other.events = Some(7);
    other.started_ms = Some(START / 1000 - 7_200_000);
    other.errors.insert("webhook".to_owned(), 9999);
    for _ in 0..100 {
        scene.minute(100, 90);
        std::mem::swap(&mut scene.counters, &mut other);
    }
    assert_eq!(scene.told(), [""; 0]);
    assert_eq!(scene.standing().restarts, 99);
}

#[test]
fn the_quiet_hour_after_a_loss_is_no_part_of_it() {
    let mut scene = Scene::new();
    scene.minutes(3, 100, 100);
    scene.lose("webhook", 5);
    scene.minute(105, 100);
    let notices: Vec<_> = (5..70)
        .flat_map(|minute| scene.watch.tick(START + minute * MINUTE))
        .collect();
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].activity, Activity::Close(Ending::Quiet));
    assert_eq!(notices[0].until_us, START + 4 * MINUTE);
    assert_eq!(notices[0].at_us, START + 64 * MINUTE);
}
