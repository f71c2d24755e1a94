use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicI64;
use std::thread::JoinHandle;
use std::time::Instant;

use serde_json::Value;

use super::*;
use crate::clock::Clock;
use crate::correlate::Said;
use crate::correlate::stream::StreamCounts;
use crate::decode::Decoder;
use crate::rules::RuleSources;
use crate::run::Pipeline;
use crate::spool::disk::Disk;
use crate::spool::simulated::{Random, SimulatedDisk};
use crate::spool::{BodyMeta, Log, LogOptions, SourceKind};
use crate::store::{Cursor, Filter, Record, Store};
use crate::wire::ocsf;

/// The bundled rules, compiled once.
fn catalog() -> Catalog {
    RuleSources::default().load().unwrap().into_catalog()
}

/// All events of the recorded acts, each as one line, by time.
fn events() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/scenarios");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|name| name == "zst"))
        .collect();
    files.sort();
    assert!(files.len() >= 60);
    let mut events = Vec::new();
    for file in files {
        let text = zstd::decode_all(&std::fs::read(file).unwrap()[..]).unwrap();
        events.extend(
            text.split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .map(<[u8]>::to_vec),
        );
    }
    events.sort_by_cached_key(|event| time_of(event));
    events
}

/// Moves events by less than the lateness: further apart, and correlations would rightly leave some out.
fn shuffle(events: &mut [Vec<u8>], random: &mut Random) {
    const MOVED_US: usize = 180_000_000;
    events.sort_by_cached_key(|event| {
        let by = random.below(MOVED_US);
        time_of(event) + i64::try_from(by).unwrap()
    });
}

fn time_of(event: &[u8]) -> i64 {
    let json: Value = serde_json::from_slice(event).unwrap();
    let time = json["stageTimestamp"].as_str().unwrap();
    detections::scalar::micros(time).unwrap()
}

/// A running instance on a disk in memory.
struct Instance {
    log: Arc<Log>,
    store: Arc<Store>,
    live: Arc<Live>,
    clock: Arc<AtomicI64>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
    runtime: tokio::runtime::Runtime,
}

/// When the tests play, microseconds since 1970 UTC: after all events.
const START_US: i64 = 1_800_000_000_000_000;

impl Instance {
    fn start(disk: &SimulatedDisk) -> Self {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let store = Arc::new(Store::open(&disk).unwrap());
        let time = Arc::new(AtomicI64::new(START_US));
        let clock = {
            let time = time.clone();
            Clock::from_fn(move || time.load(Ordering::Relaxed))
        };
        let position = store.progress().unwrap().position;
        let (log, _) = Log::open(&disk, LogOptions::default(), position, clock.clone()).unwrap();
        let log = Arc::new(log);
        let live = Live::new(catalog());
        let options = LiveOptions {
            sinks: true,
            commit_every: Duration::from_millis(5),
            ..LiveOptions::default()
        };
        // The sink of the tests wants all from the beginning.
        store.cursor("test").unwrap();
        let evaluator =
            Evaluator::new(store.clone(), log.clone(), live.clone(), options, clock).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Self {
            log,
            store,
            live,
            clock: time,
            thread: Some(std::thread::spawn(move || evaluator.run())),
            runtime,
        }
    }

    fn post(&self, body: &[u8]) -> bool {
        let appender = self.log.appender();
        let meta = BodyMeta {
            source: SourceKind::Webhook,
            cluster: "lab".to_owned(),
            origin: "api-1".to_owned(),
            ..BodyMeta::default()
        };
        self.runtime.block_on(appender.append(body, meta)).is_ok()
    }

    /// Lets time pass in the log, and waits until that was evaluated.
    fn pass(&self, seconds: i64) {
        let now =
            self.clock.fetch_add(seconds * 1_000_000, Ordering::Relaxed) + seconds * 1_000_000;
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            self.log.appender().tick();
            std::thread::sleep(Duration::from_millis(5));
            let told = self.live.follow().borrow().progress;
            let end = self.log.appender().waiting_bytes();
            if told.now_us >= now && end < 4096 {
                return;
            }
        }
        panic!("time does not pass");
    }

    /// Lets so much time pass that nothing waits any more: for outcomes, for owners, for the watermark, for updates.
    fn pass_all(&self) {
        for _ in 0..45 {
            self.pass(10);
        }
        let held = self.live.follow().borrow().correlations.clone();
        assert_eq!(held.waiting, 0);
        assert_eq!(held.counts, StreamCounts::default());
    }

    /// Stops as kill -9 does: nothing is committed any more.
    fn stop(mut self) {
        self.live.stop();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }

    fn records(&self) -> BTreeMap<String, Record> {
        let mut records = BTreeMap::new();
        let filter = Filter::default();
        self.store
            .findings(&filter, &mut |record| {
                records.insert(record.uid.clone(), record);
                true
            })
            .unwrap();
        records
    }
}

/// What replay says of the same events, by id.
fn replayed(events: &[Vec<u8>]) -> BTreeMap<String, Value> {
    let catalog = catalog();
    let mut pipeline = Pipeline::new(&catalog, Options::default());
    let bytes = events.join(&b'\n');
    let mut decoder = Decoder::new(&bytes[..], "lab".into());
    pipeline.begin_input("replay");
    while let Some(item) = decoder.next().unwrap() {
        pipeline.accept(&item);
    }
    let report = pipeline.finish();
    let of = |alert: &crate::alert::Alert| (alert.uid.clone(), comparable(ocsf::to_json(alert, 0)));
    report.alerts.iter().map(of).collect()
}

/// Without what tells on which way and when an alert came, and which record of its finding it is.
fn comparable(mut json: Value) -> Value {
    ocsf::revise(&mut json, Said::Created, 0);
    for (parent, key) in [
        ("/metadata", "processed_time"),
        ("/metadata", "uid"),
        ("", "activity_id"),
        ("", "activity_name"),
        ("", "type_uid"),
        ("", "type_name"),
        ("/unmapped/tidewatch", "revision"),
        ("/unmapped/tidewatch/event", "input"),
        ("/unmapped/tidewatch/event", "offset"),
    ] {
        if let Some(Value::Object(members)) = json.pointer_mut(parent) {
            members.remove(key);
        }
    }
    json
}

fn last_words(records: &BTreeMap<String, Record>) -> BTreeMap<String, Value> {
    records
        .values()
        .filter(|record| record.activity != "close")
        .map(|record| {
            let json = serde_json::from_str(&record.ocsf).unwrap();
            (record.uid.clone(), comparable(json))
        })
        .collect()
}

#[test]
fn the_last_word_on_each_finding_is_replays_whatever_the_order() {
    let events = events();
    let expected = replayed(&events);
    assert!(expected.len() > 50);
    for seed in 0..4 {
        let mut random = Random::new(seed);
        let mut shuffled = events.clone();
        shuffle(&mut shuffled, &mut random);
        let instance = Instance::start(&SimulatedDisk::new());
        let mut rest = &shuffled[..];
        while !rest.is_empty() {
            let length = rest.len().min(1 + random.below(60));
            assert!(instance.post(&rest[..length].join(&b'\n')));
            // A body that is sent twice.
            if random.below(10) == 0 {
                assert!(instance.post(&rest[..length].join(&b'\n')));
            }
            if random.below(20) == 0 {
                instance.pass(1 + i64::try_from(random.below(50)).unwrap());
            }
            rest = &rest[length..];
        }
        instance.pass_all();
        let found = last_words(&instance.records());
        for (uid, json) in &expected {
            let live = found
                .get(uid)
                .unwrap_or_else(|| panic!("seed {seed}: {uid} was not raised"));
            assert_eq!(live, json, "seed {seed}");
        }
        let more: Vec<_> = found
            .keys()
            .filter(|uid| !expected.contains_key(*uid))
            .collect();
        assert!(more.is_empty(), "seed {seed}: {more:?}");
        let totals = instance.live.totals();
        assert_eq!(totals.evaluated, events.len() as u64);
        assert_eq!(
            totals.received,
            totals.evaluated + totals.repeated + totals.ignored + totals.rejected
        );
        instance.stop();
    }
}

#[test]
fn a_body_that_is_no_audit_log_is_a_dead_letter() {
    let instance = Instance::start(&SimulatedDisk::new());
    assert!(instance.post(b"this is no audit log"));
    assert!(instance.post(b""));
    assert!(instance.post(b"\xff\xfe{}"));
    instance.pass(1);
    let mut letters = Vec::new();
    instance
        .store
        .dead_letters(&mut |_, letter| {
            letters.push(letter);
            true
        })
        .unwrap();
    let reasons: Vec<_> = letters
        .iter()
        .map(|letter| letter.reason.as_str())
        .collect();
    assert_eq!(reasons, ["not_an_object", "empty", "not_utf8"]);
    assert_eq!(letters[0].text.as_deref(), Some("this is no audit log"));
    assert_eq!(letters[2].hex.as_deref(), Some("fffe7b7d"));
    assert_eq!(instance.live.totals().rejected, 3);
    instance.stop();
}

/// A body that matches in every event is committed in parts, and goes on where it was when the power was cut.
#[test]
fn a_large_body_is_committed_in_parts_and_counts_once() {
    let events = events();
    let mut body = Vec::new();
    // Each part is larger than what is judged at once.
    for event in &events {
        for copy in 0..12 {
            let text = String::from_utf8(event.clone()).unwrap();
            body.extend(
                text.replace("\"auditID\":\"", &format!("\"auditID\":\"{copy}-"))
                    .bytes(),
            );
            body.push(b'\n');
        }
    }
    let mut random = Random::new(7);
    let mut disk = SimulatedDisk::new();
    let instance = Instance::start(&disk);
    assert!(instance.post(&body));
    let within = Instant::now() + Duration::from_secs(20);
    while instance.store.progress().unwrap().items == 0 {
        assert!(
            Instant::now() < within,
            "the body is never committed in parts"
        );
        std::thread::yield_now();
    }
    disk = disk.crashed(&mut random);
    instance.stop();
    let instance = Instance::start(&disk);
    instance.pass_all();
    assert_eq!(instance.live.totals().evaluated, 12 * events.len() as u64);
    assert_eq!(instance.live.totals().bodies, 1);
    let lines: Vec<Vec<u8>> = body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    assert_eq!(last_words(&instance.records()), replayed(&lines));
    instance.stop();
}

/// What a sink with a cursor of its own has seen: it commits the cursor with what it took, as a file sink does.
#[derive(Default)]
struct Seen {
    records: Vec<(String, u32)>,
}

/// The oracle: power cuts at random moments, and after each every acknowledged event was evaluated exactly once as far as
/// committed alerts tell; none twice, none invented, and a fresh event still flows.
#[test]
fn no_power_cut_loses_an_alert_or_raises_one_twice() {
    let events = events();
    for seed in 0..6 {
        power_cuts(&events, seed);
    }
}

fn power_cuts(events: &[Vec<u8>], seed: u64) {
    let mut random = Random::new(1000 + seed);
    let mut disk = SimulatedDisk::new();
    let mut owed: Vec<Vec<u8>> = events.to_vec();
    shuffle(&mut owed, &mut random);
    // Batches are taken from the end.
    owed.reverse();
    let mut acknowledged: Vec<Vec<u8>> = Vec::new();
    let mut seen = Seen::default();
    for generation in 0..6 {
        let instance = Instance::start(&disk);
        follow(&instance, &mut seen);
        for _ in 0..random.below(12) {
            let length = owed.len().min(1 + random.below(80));
            let batch = owed.split_off(owed.len() - length);
            if instance.post(&batch.join(&b'\n')) {
                acknowledged.extend(batch);
            } else {
                owed.extend(batch);
            }
            if random.below(3) == 0 {
                follow(&instance, &mut seen);
            }
            std::thread::sleep(Duration::from_micros(random.next_number() % 3000));
        }
        // Whatever the disk holds at this moment is all that is left.
        let after = disk.crashed(&mut random);
        let cursor = Store::open(&(Arc::new(after.clone()) as Arc<dyn Disk>))
            .unwrap_or_else(|error| panic!("seed {seed}, generation {generation}: {error}"))
            .cursor("test")
            .unwrap();
        // The sink's own copy is cut to its cursor, as a file is.
        seen.records
            .truncate(usize::try_from(cursor.delivered).unwrap());
        instance.stop();
        disk = after;
    }
    let instance = Instance::start(&disk);
    assert!(instance.post(&owed.join(&b'\n')));
    acknowledged.extend(owed);
    instance.pass_all();
    follow(&instance, &mut seen);
    let mut once = std::collections::BTreeSet::new();
    for record in &seen.records {
        assert!(
            once.insert(record.clone()),
            "seed {seed}: {record:?} came twice"
        );
    }
    let expected = replayed(&acknowledged);
    let found = last_words(&instance.records());
    assert_eq!(found.len(), expected.len(), "seed {seed}");
    for (uid, json) in &expected {
        assert_eq!(found.get(uid), Some(json), "seed {seed}");
        assert!(
            once.contains(&(uid.clone(), 1)),
            "seed {seed}: {uid} was not delivered"
        );
    }
    instance.stop();
}

fn follow(instance: &Instance, seen: &mut Seen) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap();
    loop {
        let cursor = instance.store.cursor("test").unwrap();
        let outgoing = instance.store.outgoing(cursor.next, 10).unwrap();
        let Some(last) = outgoing.last() else {
            return;
        };
        let next = Cursor {
            next: last.number + 1,
            delivered: cursor.delivered + outgoing.len() as u64,
            ..cursor
        };
        for out in &outgoing {
            seen.records
                .push((out.record.uid.clone(), out.record.revision));
        }
        let step = instance.store.begin().unwrap();
        step.set_cursor("test", &next).unwrap();
        step.commit().unwrap();
    }
}
