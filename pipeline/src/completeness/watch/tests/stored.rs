use super::*;

#[test]
fn senders_are_told_apart_and_bounded() {
    let mut watch = Watch::new(Options::default(), START);
    let named = |number: usize| Sender {
        cluster: "prod".to_owned(),
        origin: number.to_string(),
    };
    for number in 0..SENDERS_MAX + 5 {
        watch.arrived(&named(number), arrival(1, START, 0));
        watch.arrived(&named(number), arrival(1, START, 0));
    }
    assert_eq!(
        (watch.standings().count(), watch.untracked()),
        (SENDERS_MAX, 10)
    );
    // Those whose counters are read come on top.
    let counters = Counters {
        events: Some(1),
        ..Counters::default()
    };
    watch.scraped(&named(SENDERS_MAX), counters, START);
    assert_eq!(watch.standings().count(), SENDERS_MAX + 1);
    // A page without the count is none.
    watch.scraped(&named(5000), Counters::default(), START);
    assert_eq!(watch.standings().count(), SENDERS_MAX + 1);
}

/// A day with everything in it.
fn eventful(scene: &mut Scene, mut step: impl FnMut(&mut Scene)) {
    let parts: [(usize, u64, u64, u64); 9] = [
        (20, 100, 100, 0),
        (12, 100, 40, 0),
        (30, 100, 100, 0),
        (5, 100, 0, 100),
        (20, 0, 0, 0),
        (20, 300, 0, 0),
        (2, 100, 3000, 0),
        (90, 100, 100, 1),
        (90, 100, 100, 0),
    ];
    for (count, emitted, arrived, lost) in parts {
        for _ in 0..count {
            scene.lose("webhook", lost);
            scene.minute(emitted, arrived);
            step(scene);
        }
    }
    scene.restart();
    for _ in 0..60 {
        scene.minute(100, 90);
        step(scene);
    }
}

#[test]
fn what_is_stored_is_all_that_counts() {
    let mut whole = Scene::new();
    eventful(&mut whole, |_| {});
    let mut store = BTreeMap::new();
    let mut parted = Scene::new();
    eventful(&mut parted, |scene| {
        store.extend(scene.watch.changed());
        scene.watch = restored(&store, START);
    });
    assert_eq!(parted.told, whole.told);
    assert!(whole.told.len() > 10, "{:?}", whole.told);
    for kind in ["silent", "missing", "dropped"] {
        assert!(
            whole.told.iter().any(|line| line.contains(kind)),
            "{kind}: {:?}",
            whole.told
        );
    }
    let state: usize = store.values().map(String::len).sum();
    assert!(state < 2000, "{state} bytes: {store:?}");
}

#[test]
fn what_could_not_be_stored_is_told_again() {
    let mut whole = Scene::new();
    eventful(&mut whole, |_| {});
    let mut failing = Scene::new();
    eventful(&mut failing, |scene| {
        scene.watch.keep();
        let before = scene.watch.clone();
        scene
            .watch
            .arrived(&sender(), arrival(5000, scene.now_us + 10, 0));
        let _lost = scene.watch.tick(scene.now_us + HOUR);
        scene.watch.roll_back();
        assert_eq!(scene.watch.senders, before.senders);
        assert!(scene.watch.changed().is_empty());
    });
    assert_eq!(failing.told, whole.told);
}

#[test]
fn a_sender_that_was_never_stored_is_gone_after_rolling_back() {
    let mut watch = Watch::new(Options::default(), START);
    watch.arrived(&sender(), arrival(1, START, 0));
    assert_eq!(watch.changed().len(), 2, "itself, and the list");
    watch.roll_back();
    assert_eq!(watch.standings().count(), 0);
    assert!(watch.changed().is_empty());
}

#[test]
fn what_is_stored_and_cannot_be_read_is_forgotten() {
    let mut scene = Scene::new();
    scene.minutes(5, 100, 100);
    let mut stored = stored(&mut scene.watch);
    assert_eq!(restored(&stored, START).senders, scene.watch.senders);
    // Fields that are not known yet, or not any more, are no fault.
    let name = note_of(&sender());
    let further = stored[&name].replacen('{', "{\"further\":1,", 1);
    stored.insert(name.clone(), further);
    assert_eq!(restored(&stored, START).senders, scene.watch.senders);
    stored.insert(name, "{".to_owned());
    assert_eq!(restored(&stored, START).standings().count(), 0);
    stored.insert(INDEX.to_owned(), "nonsense".to_owned());
    assert_eq!(restored(&stored, START).standings().count(), 0);
}

#[test]
fn a_notice_knows_its_sender_and_its_proof() {
    let mut watch = Watch::new(Options::default(), START);
    for minute in 0..40 {
        watch.arrived(&sender(), arrival(1, START + minute * MINUTE, 0));
    }
    let notices = watch.tick(START + 3 * HOUR);
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].sender, sender());
    assert_eq!(notices[0].counts.proof, Proof::None);
    assert_eq!(notices[0].at_us, START + 3 * HOUR);
    assert_ne!(notices[0].activity, Activity::Close(Ending::Returned));
}
