use super::*;

#[test]
fn silence_and_return_without_counters() {
    let mut scene = Scene::new();
    scene.unseen_minutes(60, 10);
    scene.unseen_minutes(30, 0);
    assert_eq!(scene.told(), ["75: silent (None) Create #1"]);
    assert!(scene.standing().is_silent);
    scene.unseen_minutes(5, 10);
    assert_eq!(scene.told(), ["91: silent (None) Returned #2"]);
    // It is another silence.
    scene.unseen_minutes(30, 0);
    assert_eq!(scene.told(), ["110: silent (None) Create #1"]);
}

#[test]
fn the_time_at_which_silence_is_told_is_known_before() {
    let mut scene = Scene::new();
    scene.unseen_minutes(60, 10);
    let due_us = START + 59 * MINUTE + 30 * SECOND + 15 * MINUTE;
    assert_eq!(scene.watch.due_us(), Some(due_us));
    assert!(scene.watch.tick(due_us - 1).is_empty());
    let notices = scene.watch.tick(due_us);
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].since_us, START + 59 * MINUTE + 30 * SECOND);
    assert_eq!(notices[0].until_us, due_us);
}

#[test]
fn who_spoke_once_or_seldom_is_not_missed_so_soon() {
    let mut scene = Scene::new();
    scene.unseen_minutes(15, 10);
    scene.unseen_minutes(600, 0);
    assert_eq!(scene.told(), [""; 0], "it was tried out once");
    for _ in 0..10 {
        scene.unseen(10);
        scene.unseen_minutes(39, 0);
    }
    assert_eq!(scene.told(), [""; 0], "it speaks every 40 minutes");
    scene.unseen_minutes(600, 0);
    assert_eq!(scene.told().len(), 1);
}

#[test]
fn a_quiet_cluster_is_not_silent() {
    let mut scene = Scene::new();
    scene.minutes(60, 10, 10);
    scene.minutes(600, 0, 0);
    assert_eq!(scene.told(), [""; 0]);
    // One event whose batch is still being collected is none either.
    scene.minute(1, 0);
    scene.minute(0, 1);
    assert_eq!(scene.told(), [""; 0]);
}

#[test]
fn a_silent_api_server_that_emits_is_told() {
    let mut scene = Scene::new();
    scene.minutes(60, 1, 1);
    scene.minutes(30, 1, 0);
    let told = scene.told();
    assert_eq!(told[0], "75: silent (Emitted) Create #1", "{told:?}");
    assert!(told[1].contains("missing"), "{told:?}");
    scene.minutes(2, 1, 1);
    let told = scene.told();
    assert_eq!(told[0], "91: silent (Emitted) Returned #2", "{told:?}");
}

#[test]
fn an_api_server_that_was_restarted_into_silence_is_told() {
    let mut scene = Scene::new();
    scene.minutes(60, 100, 100);
    scene.restart();
    scene.minutes(30, 0, 0);
    assert_eq!(scene.told(), ["75: silent (Restarted) Create #1"]);
}

#[test]
fn an_api_server_that_does_not_answer_either_is_silent() {
    let mut scene = Scene::new();
    scene.minutes(60, 100, 100);
    scene.unseen_minutes(30, 0);
    assert_eq!(scene.told(), ["75: silent (None) Create #1"]);
    // It was away, and is back.
    scene.restart();
    scene.minutes(30, 100, 100);
    assert_eq!(scene.told(), ["91: silent (None) Returned #2"]);
}

#[test]
fn silence_can_be_switched_off() {
    let mut scene = Scene::with(Options {
        silent_after_us: None,
        ..Options::default()
    });
    scene.unseen_minutes(60, 10);
    scene.unseen_minutes(600, 0);
    assert_eq!(scene.told(), [""; 0]);
    assert!(scene.watch.due_us().is_some(), "it is forgotten some day");
}

#[test]
fn while_we_were_away_nobody_was_silent() {
    let mut scene = Scene::new();
    scene.unseen_minutes(60, 10);
    scene.watch.keep();
    let stored = stored(&mut scene.watch);
    let away_us = scene.now_us + 5 * HOUR;
    scene.watch = restored(&stored, away_us);
    scene.now_us = away_us;
    scene.tick();
    scene.unseen_minutes(14, 0);
    assert_eq!(scene.told(), [""; 0]);
    scene.unseen_minutes(1, 0);
    assert_eq!(scene.told(), ["375: silent (None) Create #1"]);
}

#[test]
fn nobody_is_waited_for_for_ever() {
    let mut scene = Scene::new();
    scene.unseen_minutes(60, 10);
    scene.unseen_minutes(8 * 24 * 60, 0);
    assert_eq!(
        scene.told(),
        [
            "75: silent (None) Create #1",
            "10140: silent (None) Forgotten #2"
        ]
    );
    assert_eq!(scene.watch.standings().count(), 0);
    assert_eq!(scene.watch.due_us(), None);
}
