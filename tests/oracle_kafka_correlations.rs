//! Correlations with state in Kafka: two processes find what a replay finds, and no fault makes a threshold missed or reached twice.
//!
//! While bursts are under way one of two processes is killed, stopped in order, or put to sleep until it is a zombie, and the broker is
//! killed; afterwards each burst that was complete was found exactly once with all of its events, and none that was not.
//! `TIDEWATCH_ORACLE_KILLS=100 cargo test --release --test oracle_kafka_correlations` is the long version.

#[path = "common/bursts.rs"]
mod bursts;
mod common;
#[path = "common/installation.rs"]
mod installation;
#[path = "common/kafka/mod.rs"]
mod kafka;
#[path = "common/obligations.rs"]
mod obligations;
#[path = "common/serving.rs"]
mod serving;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::RwLock;
use std::time::{Duration, Instant};

use bursts::{Bursts, RULES};
use installation::{Alert, Installation, assert_once};
use kafka::{Broker, Options};
use obligations::{Random, kills};
use serde_json::Value;
use serving::{Serving, event_list};

/// Faults in the version that runs with all other tests: each kind comes.
const FAULTS: usize = 5;

/// How long everything may take to settle after the last fault.
const SETTLING: Duration = Duration::from_mins(2);

/// A process that is put to sleep is a zombie after this.
const SESSION: &str = "[kafka.settings]\nsession.timeout.ms = 6000\nheartbeat.interval.ms = 1000";

/// The two processes; one that is being replaced is not there.
type Slots = [RwLock<Option<Serving>>; 2];

/// Waits until the alerts are so, and for a while longer: nothing more may come.
fn settled(
    installation: &Installation,
    servings: &[&Serving],
    is_all: impl Fn(&[Alert]) -> bool,
) -> Vec<Alert> {
    let until = Instant::now() + SETTLING;
    while !is_all(&installation.alerts()) {
        let said: String = servings.iter().map(|serving| serving.said()).collect();
        let alerts = installation.alerts();
        assert!(Instant::now() < until, "{alerts:?} {said}");
        std::thread::sleep(Duration::from_millis(300));
    }
    std::thread::sleep(Duration::from_secs(2));
    let alerts = installation.alerts();
    assert_once(&alerts);
    alerts
}

/// The last record of each finding.
fn last(alerts: &[Alert]) -> BTreeMap<String, &Alert> {
    let mut last: BTreeMap<String, &Alert> = BTreeMap::new();
    for alert in alerts {
        last.insert(alert.key.clone(), alert);
    }
    last
}

/// Id, rule and number of requests of a finding.
fn facts(ocsf: &Value) -> (String, String, u64) {
    let text = |at: &str| ocsf.pointer(at).unwrap().as_str().unwrap().to_owned();
    (
        text("/finding_info/uid"),
        text("/finding_info/analytic/name"),
        ocsf["count"].as_u64().unwrap_or(1),
    )
}

/// Recorded acts that correlations of the bundled rules find, in the order of their times, and something much later behind them.
fn recorded() -> Vec<Value> {
    let acts = [
        "denied_burst",
        "attack_story",
        "csr_approved",
        "anonymous_denied_probe",
        "mass_delete",
        "bad_token_401",
    ];
    let logs = acts.map(|act| common::scenario(act).log.clone());
    let lines = logs.iter().flat_map(|log| log.split(|byte| *byte == b'\n'));
    let mut events: Vec<Value> = lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    events.sort_by_key(|event: &Value| event["stageTimestamp"].as_str().unwrap().to_owned());
    let feeds = |event: &&Value| event["verb"] == "delete" && event["stage"] == "ResponseComplete";
    let mut later = events.iter().rfind(feeds).unwrap().clone();
    later["auditID"] = "later".into();
    later["stageTimestamp"] = "2026-11-20T23:59:00.000000Z".into();
    events.push(later);
    events
}

#[test]
fn two_processes_find_what_a_replay_finds() {
    let installation = Installation::new(Broker::start(&Options::default()));
    let (a, b) = (installation.start("a", ""), installation.start("b", ""));
    let mut events = recorded();
    let log: Vec<String> = events.iter().map(Value::to_string).collect();
    let arguments = ["replay", "-", "--cluster", "lab", "--format", "ocsf"];
    let replayed = common::run_with(&arguments, log.join("\n").as_bytes());
    let expected: BTreeSet<_> = replayed
        .lines()
        .iter()
        .map(|line| facts(&serde_json::from_str(line).unwrap()))
        // Stories are told by replay alone.
        .filter(|facts| facts.1 != "attack_story")
        .collect();
    let joined = ["user_denied_many_resources", "mass_deletion"];
    assert!(
        joined
            .iter()
            .all(|rule| expected.iter().any(|facts| facts.1 == *rule))
    );
    // Neighbours take different ways, and those of one minute come in any order.
    let mut random = Random(7);
    let minute = |event: &Value| event["stageTimestamp"].as_str().unwrap()[..16].to_owned();
    for some in events.chunk_by_mut(|one, other| minute(one) == minute(other)) {
        for place in (1..some.len()).rev() {
            some.swap(
                place,
                usize::try_from(random.below(place as u64 + 1)).unwrap(),
            );
        }
    }
    for (number, some) in events.chunks(2).enumerate() {
        let serving = [&a, &b][number % 2];
        assert_eq!(serving.post(&event_list(some)).unwrap(), 200);
    }
    let found = |alerts: &[Alert]| -> BTreeSet<_> {
        last(alerts)
            .values()
            .map(|alert| facts(&alert.ocsf))
            .collect()
    };
    let alerts = settled(&installation, &[&a, &b], |alerts| {
        found(alerts).is_superset(&expected)
    });
    assert_eq!(found(&alerts), expected);
    let held = "tidewatch_correlation_held{of=\"waiting\"}";
    assert_eq!(
        a.count(held) + b.count(held),
        1,
        "the last event alone waits"
    );
}

#[test]
fn no_fault_makes_a_threshold_missed_or_reached_twice() {
    let faults = kills(FAULTS);
    let mut installation = Installation::new(Broker::start(&Options::default()));
    let rules = installation.folder().join("rules.yml");
    std::fs::write(&rules, RULES).unwrap();
    let paths = rules.to_str().unwrap();
    let more = format!("{SESSION}\n[rules]\nbundled = false\npaths = [{paths:?}]");
    let slots: Slots = ["a", "b"].map(|name| RwLock::new(Some(installation.start(name, &more))));
    let (mut bursts, mut random) = (Bursts::new(faults), Random(u64::from(std::process::id())));
    for fault in 0..faults {
        let turn = std::sync::atomic::AtomicUsize::new(fault);
        let post = |body: &[u8]| {
            let turn = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let serving = slots[turn % 2].read().unwrap();
            let status = serving.as_ref().map(|serving| serving.post(body));
            status.is_some_and(|status| status.is_ok_and(|status| status == 200))
        };
        bursts.send(fault, post, || {
            std::thread::sleep(Duration::from_millis(random.below(400)));
            fail(fault, &mut installation, &slots, &more, &mut random);
        });
    }
    let [a, b] = slots.map(|slot| slot.into_inner().unwrap().unwrap());
    for body in bursts.rest(faults) {
        let until = Instant::now() + SETTLING;
        while !a.post(&body).is_ok_and(|status| status == 200) {
            assert!(Instant::now() < until, "it takes nothing: {}", a.said());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    let owed = bursts.owed();
    let alerts = settled(&installation, &[&a, &b], |alerts| {
        let found = names(alerts);
        owed.iter()
            .all(|(name, count)| found.get(name).is_some_and(|found| found.1 == *count))
    });
    let found = names(&alerts).into_iter();
    let found: BTreeMap<String, u64> = found.map(|(name, (_, count))| (name, count)).collect();
    assert_eq!(found, owed);
    for reason in ["late", "ahead", "crowded", "unknown"] {
        let name = format!("tidewatch_correlation_missed_total{{reason=\"{reason}\"}}");
        assert_eq!(a.count(&name) + b.count(&name), 0, "{reason}");
    }
    assert!(installation.read("tidewatch.input.dlq").is_empty());
    assert!(installation.read("tidewatch.matches.dlq").is_empty());
}

/// By name of the secret: the finding, and how many events it has. Each name has one finding, which was created once.
fn names(alerts: &[Alert]) -> BTreeMap<String, (String, u64)> {
    let mut names = BTreeMap::new();
    for (key, alert) in last(alerts) {
        let object = &alert.ocsf["unmapped"]["tidewatch"]["object"]["name"];
        let name = object.as_str().unwrap().to_owned();
        let twice = names.insert(name, (key, alert.ocsf["count"].as_u64().unwrap()));
        assert!(twice.is_none(), "found twice: {twice:?}");
    }
    let created = alerts
        .iter()
        .filter(|alert| alert.header("activity") == "create");
    assert_eq!(created.count(), names.len());
    names
}

/// Something goes wrong, and is mended again.
fn fail(
    kind: usize,
    installation: &mut Installation,
    slots: &Slots,
    more: &str,
    random: &mut Random,
) {
    let slot = usize::try_from(random.below(2)).unwrap();
    let (name, slot) = (["a", "b"][slot], &slots[slot]);
    let signal = |name: &str| {
        if let Some(serving) = slot.read().unwrap().as_ref() {
            serving.signal(name);
        }
    };
    match kind % 5 {
        1 => {
            installation.broker.kill();
            installation.broker.restart();
        }
        // A machine that hangs for longer than the group waits.
        2 => {
            signal("-STOP");
            std::thread::sleep(Duration::from_secs(8));
            signal("-CONT");
        }
        // An instance leaves in order, and another one joins.
        3 => {
            let leaving = slot.write().unwrap().take().unwrap();
            leaving.stop();
            *slot.write().unwrap() = Some(installation.start(name, more));
        }
        _ => {
            // While it is asked: the senders hold the lock for reading.
            signal("-KILL");
            drop(slot.write().unwrap().take());
            *slot.write().unwrap() = Some(installation.start(name, more));
        }
    }
}
