//! The oracle with state in Kafka: every acknowledged event is an obligation. Two processes share the load while they are killed,
//! stopped in order, put to sleep until they are zombies, and while the broker is killed or hangs. Afterwards each event that owes an
//! alert has exactly one finding, whose record a `read_committed` reader sees once; none was invented, and a fresh event flows.
//!
//! `TIDEWATCH_ORACLE_KILLS=100 cargo test --release --test oracle_kafka` is the long version.

#[path = "common/installation.rs"]
mod installation;
#[path = "common/kafka/mod.rs"]
mod kafka;
#[path = "common/obligations.rs"]
mod obligations;
#[path = "common/serving.rs"]
mod serving;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use installation::{Alert, Installation, assert_once, assert_one_finding_each};
use kafka::{Broker, Options};
use obligations::{Ledger, Random, body, kills, owes_alert, send};
use serving::Serving;

/// Faults in the version that runs with all other tests.
const FAULTS: usize = 8;

/// Senders at a time.
const SENDERS: usize = 3;

/// How long everything may take to settle after the last fault.
const SETTLING: Duration = Duration::from_mins(2);

/// A process that is put to sleep is a zombie after this.
const SESSION: &str = "[kafka.settings]\nsession.timeout.ms = 6000\nheartbeat.interval.ms = 1000";

/// The two processes; one that is being replaced is not there.
type Slots = [RwLock<Option<Serving>>; 2];

#[test]
fn no_fault_loses_an_acknowledged_event_or_says_one_twice() {
    let mut installation = Installation::new(Broker::start(&Options::default()));
    let slots: Slots = [
        RwLock::new(Some(installation.start("a", SESSION))),
        RwLock::new(Some(installation.start("b", SESSION))),
    ];
    let (ledger, next) = (Mutex::new(Ledger::default()), AtomicUsize::new(0));
    let stop = AtomicBool::new(false);
    let mut random = Random(u64::from(std::process::id()));
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (slots, ledger, next, stop) = (&slots, &ledger, &next, &stop);
            scope.spawn(move || {
                let mut random = Random(sender as u64);
                while !stop.load(Ordering::Relaxed) {
                    post_one(slots, ledger, next, &mut random);
                }
            });
        }
        for fault in 0..kills(FAULTS) {
            std::thread::sleep(Duration::from_millis(500 + random.below(2000)));
            // In the short version each kind comes; then what chance wants.
            let kind = if fault < 6 {
                fault as u64
            } else {
                random.below(12)
            };
            fail(kind, &mut installation, &slots, &mut random);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let [a, b] = slots.map(|slot| slot.into_inner().unwrap());
    let (a, b) = (a.unwrap(), b.unwrap());
    settle(&a, &ledger);
    judge(&installation, &ledger.into_inner().unwrap(), &[&a, &b]);
}

/// A sender asks one of the processes; the API server's comes again when there is none, or it does not answer.
fn post_one(slots: &Slots, ledger: &Mutex<Ledger>, next: &AtomicUsize, random: &mut Random) {
    let slot = &slots[usize::try_from(random.below(2)).unwrap()];
    let serving = slot.read().unwrap();
    let Some(serving) = serving.as_ref() else {
        std::thread::sleep(Duration::from_millis(20));
        return;
    };
    let names = body(ledger, next, random);
    if !send(serving, ledger, names) {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Something goes wrong, and is mended again.
fn fail(kind: u64, installation: &mut Installation, slots: &Slots, random: &mut Random) {
    let slot = usize::try_from(random.below(2)).unwrap();
    let name = ["a", "b"][slot];
    let slot = &slots[slot];
    let signal = |name: &str| {
        if let Some(serving) = slot.read().unwrap().as_ref() {
            serving.signal(name);
        }
    };
    match kind {
        // A machine that hangs for longer than the group waits.
        1 => {
            signal("-STOP");
            std::thread::sleep(Duration::from_secs(8));
            signal("-CONT");
        }
        2 => {
            installation.broker.kill();
            installation.broker.restart();
        }
        3 => {
            installation.broker.pause();
            std::thread::sleep(Duration::from_millis(500 + random.below(2500)));
            installation.broker.resume();
        }
        // An instance leaves in order, and another one joins.
        4 => {
            let leaving = slot.write().unwrap().take().unwrap();
            leaving.stop();
            *slot.write().unwrap() = Some(installation.start(name, SESSION));
        }
        // A short pause: of what it does then nobody knows.
        5 => {
            signal("-STOP");
            std::thread::sleep(Duration::from_millis(random.below(2000)));
            signal("-CONT");
        }
        _ => {
            // While it is asked: the senders hold the lock for reading.
            signal("-KILL");
            drop(slot.write().unwrap().take());
            *slot.write().unwrap() = Some(installation.start(name, SESSION));
        }
    }
}

/// Sends what has no answer yet, and a fresh event.
fn settle(serving: &Serving, ledger: &Mutex<Ledger>) {
    let mut left = std::mem::take(&mut ledger.lock().unwrap().unanswered);
    left.push(vec!["fresh".to_owned()]);
    ledger.lock().unwrap().sent.insert("fresh".to_owned());
    let until = Instant::now() + SETTLING;
    while let Some(names) = left.pop() {
        if !send(serving, ledger, names) {
            assert!(
                Instant::now() < until,
                "it takes nothing: {}",
                serving.said()
            );
            std::thread::sleep(Duration::from_millis(200));
            left.extend(ledger.lock().unwrap().unanswered.pop());
        }
    }
}

fn judge(installation: &Installation, ledger: &Ledger, servings: &[&Serving]) {
    assert!(ledger.acknowledged.len() > 200, "there was no load");
    assert_eq!(ledger.acknowledged, ledger.sent);
    let acknowledged = ledger.acknowledged.iter();
    let owed: BTreeSet<String> = acknowledged
        .filter(|name| owes_alert(name))
        .cloned()
        .collect();
    let until = Instant::now() + SETTLING;
    let alerts = loop {
        let alerts = installation.alerts();
        let found: BTreeSet<String> = alerts.iter().filter_map(Alert::pod).collect();
        if owed.is_subset(&found) {
            break alerts;
        }
        let lost: Vec<_> = owed.difference(&found).take(10).collect();
        let said: String = servings.iter().map(|serving| serving.said()).collect();
        assert!(
            Instant::now() < until,
            "acknowledged and lost: {lost:?} of {}: {said}",
            owed.len()
        );
        std::thread::sleep(Duration::from_millis(500));
    };
    assert_once(&alerts);
    assert_one_finding_each(&alerts, &owed);
    let updates = alerts
        .iter()
        .filter(|alert| alert.header("revision") != "1")
        .count();
    assert_eq!(updates, 0, "nothing happened twice");
    assert!(installation.read("tidewatch.input.dlq").is_empty());
    assert!(installation.read("tidewatch.matches.dlq").is_empty());
}
