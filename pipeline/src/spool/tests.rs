use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;

use super::disk::{Disk, Folder};
use super::simulated::{Faults, Random, SimulatedDisk};
use super::*;

fn meta(origin: &str) -> BodyMeta {
    BodyMeta {
        source: SourceKind::Webhook,
        cluster: "lab".to_owned(),
        origin: origin.to_owned(),
        ..BodyMeta::default()
    }
}

/// A body that shows which one it is all over.
fn body(number: u64, length: usize) -> Vec<u8> {
    let mut random = Random::new(number);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend(random.next_number().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn open(disk: &SimulatedDisk, evaluated: Position) -> (Log, Recovered) {
    Log::open(
        &(Arc::new(disk.clone()) as Arc<dyn Disk>),
        LogOptions::default(),
        evaluated,
        Clock::wall(),
    )
    .unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

type Bodies = Vec<(String, Vec<u8>)>;

/// All bodies by their origins, in the order of the log; damage by its place.
fn read_all(log: &Log, from: Position) -> (Bodies, Vec<(Position, Position)>) {
    let mut reader = log.reader(from);
    let (mut bodies, mut damage) = (Vec::new(), Vec::new());
    while let Some(entry) = reader.next_entry().unwrap() {
        match entry {
            Entry::Body(stored) => {
                let mut bytes = Vec::new();
                stored.open().read_to_end(&mut bytes).unwrap();
                assert_eq!(bytes.len() as u64, stored.meta.bytes);
                bodies.push((stored.meta.origin.clone(), bytes));
            }
            Entry::Damaged { from, to } => damage.push((from, to)),
            Entry::Tick(_) => {}
        }
    }
    (bodies, damage)
}

#[test]
fn bodies_of_all_sizes_come_back_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = [0, 1, 500, 1 << 20, (1 << 20) + 1, 5 << 20];
    let open = || {
        let disk: Arc<dyn Disk> = Arc::new(Folder::open(&folder.path().join("log")).unwrap());
        Log::open(&disk, LogOptions::default(), Position(0), Clock::wall()).unwrap()
    };
    let (log, _) = open();
    let appender = log.appender();
    runtime().block_on(async {
        for (number, size) in sizes.into_iter().enumerate() {
            let bytes = body(number as u64, size);
            let name = number.to_string();
            appender.append(&bytes, meta(&name)).await.unwrap();
        }
    });
    let check = |log: &Log| {
        let (bodies, damage) = read_all(log, Position(0));
        assert!(damage.is_empty());
        assert_eq!(bodies.len(), sizes.len());
        for (number, (name, bytes)) in bodies.into_iter().enumerate() {
            assert_eq!(name, number.to_string());
            assert!(bytes == body(number as u64, sizes[number]));
        }
    };
    check(&log);
    log.close();
    let (log, recovered) = open();
    assert_eq!(recovered.torn_bytes, 0);
    assert!(recovered.last_us > 0);
    check(&log);
}

#[test]
fn a_body_whose_sender_went_away_never_was() {
    let disk = SimulatedDisk::new();
    let (log, _) = open(&disk, Position(0));
    let appender = log.appender();
    runtime().block_on(async {
        let mut given_up = appender.begin(None).await.unwrap();
        given_up.push(&body(1, 3 << 20)).await.unwrap();
        drop(given_up);
        appender.append(b"whole", meta("whole")).await.unwrap();
        assert_eq!(appender.in_flight_bytes(), 0);
    });
    let (bodies, damage) = read_all(&log, Position(0));
    assert_eq!(bodies, [("whole".to_owned(), b"whole".to_vec())]);
    assert!(damage.is_empty());
}

#[test]
fn many_slow_senders_share_the_memory_without_waiting_for_each_other_for_ever() {
    let disk = SimulatedDisk::new();
    let (log, _) = open(&disk, Position(0));
    runtime().block_on(async {
        let senders: Vec<_> = (0..120_u64)
            .map(|number| {
                let appender = log.appender();
                tokio::spawn(async move {
                    let mut writer = appender.begin(None).await.unwrap();
                    for part in body(number, 2_500_000).chunks(100_000) {
                        writer.push(part).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                    writer.finish(meta(&number.to_string())).await.unwrap();
                })
            })
            .collect();
        for sender in senders {
            let within = Duration::from_mins(1);
            tokio::time::timeout(within, sender).await.unwrap().unwrap();
        }
    });
    let (bodies, _) = read_all(&log, Position(0));
    assert_eq!(bodies.len(), 120);
    for (name, bytes) in bodies {
        assert!(bytes == body(name.parse().unwrap(), 2_500_000));
    }
}

#[test]
fn a_full_disk_refuses_and_then_goes_on() {
    let disk = SimulatedDisk::new();
    let (log, _) = open(&disk, Position(0));
    let appender = log.appender();
    runtime().block_on(async {
        appender.append(b"before", meta("before")).await.unwrap();
        disk.set_faults(Faults {
            full: true,
            ..Faults::default()
        });
        let refused = appender.append(&body(1, 9000), meta("refused")).await;
        assert!(matches!(refused, Err(AppendError::Disk(_))), "{refused:?}");
        disk.set_faults(Faults::default());
        appender.append(b"after", meta("after")).await.unwrap();
    });
    let (bodies, damage) = read_all(&log, Position(0));
    let names: Vec<_> = bodies.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["before", "after"]);
    assert!(damage.is_empty());
}

#[test]
fn what_a_failed_sync_forgot_is_never_acknowledged_and_never_read() {
    let disk = SimulatedDisk::new();
    let (log, _) = open(&disk, Position(0));
    let appender = log.appender();
    runtime().block_on(async {
        appender.append(b"before", meta("before")).await.unwrap();
        let mut torn = appender.begin(None).await.unwrap();
        torn.push(&body(7, 2 << 20)).await.unwrap();
        disk.set_faults(Faults {
            sync: true,
            ..Faults::default()
        });
        let refused = appender.append(b"refused", meta("refused")).await;
        assert!(matches!(refused, Err(AppendError::Disk(_))), "{refused:?}");
        disk.set_faults(Faults::default());
        // Its beginning was lost with the sync, though its sender was told nothing yet.
        let lost = torn.finish(meta("torn")).await;
        assert!(matches!(lost, Err(AppendError::Lost)), "{lost:?}");
        appender.append(b"after", meta("after")).await.unwrap();
    });
    let names = |log: &Log| -> Vec<String> {
        let (bodies, damage) = read_all(log, Position(0));
        assert!(damage.is_empty());
        bodies.into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(&log), ["before", "after"]);
    let mut random = Random::new(3);
    for _ in 0..20 {
        let (after, _) = open(&disk.crashed(&mut random), Position(0));
        assert_eq!(names(&after), ["before", "after"]);
    }
}

#[test]
fn rotten_bytes_are_told_and_what_lies_behind_them_is_read() {
    let disk = SimulatedDisk::new();
    let (log, _) = open(&disk, Position(0));
    let appender = log.appender();
    runtime().block_on(async {
        for name in ["one", "two", "three"] {
            appender.append(name.as_bytes(), meta(name)).await.unwrap();
        }
    });
    let name = disk.names().unwrap().pop().unwrap();
    // Somewhere in the second record.
    disk.rot(&name, 250);
    let seen = |log: &Log| {
        let (bodies, damage) = read_all(log, Position(0));
        let names: Vec<_> = bodies.into_iter().map(|(name, _)| name).collect();
        (names.join(" "), damage.len())
    };
    assert_eq!(seen(&log), ("one three".to_owned(), 1));
    // A restart tells a fault of the disk from a torn end, though it reads the same.
    let (reopened, recovered) = open(&disk, Position(0));
    assert_eq!(recovered.torn_bytes, 0);
    assert_eq!(seen(&reopened), ("one three".to_owned(), 1));
}

#[test]
fn evaluated_files_are_removed_and_others_are_not() {
    let disk = SimulatedDisk::new();
    let options = LogOptions {
        quota_bytes: 200 << 20,
        ..LogOptions::default()
    };
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (log, _) = Log::open(&shared, options, Position(0), Clock::wall()).unwrap();
    let appender = log.appender();
    let write = |count: u64| {
        runtime().block_on(async {
            for number in 0..count {
                let bytes = body(number, 10 << 20);
                appender.append(&bytes, meta("large")).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(1100)).await;
            appender.append(b"small", meta("small")).await.unwrap();
        });
    };
    write(15);
    assert_eq!(disk.names().unwrap().len(), 3, "nothing was evaluated yet");
    assert_eq!(appender.room(), Room::Behind);
    let mut reader = log.reader(Position(0));
    while reader.next_entry().unwrap().is_some() {}
    log.release(reader.position());
    assert_eq!(appender.room(), Room::Free);
    write(5);
    // They are removed behind an answer, once a second.
    let until = std::time::Instant::now() + Duration::from_secs(10);
    while disk.names().unwrap().len() >= 4 {
        assert!(std::time::Instant::now() < until);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(appender.kept_bytes() < 200 << 20);
}

/// The oracle: whatever is acknowledged before the power goes is there afterwards, whole, once, in order; and nothing else is
/// that was never sent.
#[test]
fn no_crash_loses_what_was_acknowledged() {
    for seed in 0..60 {
        crashes(seed);
    }
}

/// Small files, so that faults meet the change from one to the next.
fn crashing(disk: &SimulatedDisk) -> Log {
    let options = LogOptions {
        segment_bytes: 100_000,
        ..LogOptions::default()
    };
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Log::open(&disk, options, Position(0), Clock::wall())
        .unwrap()
        .0
}

fn crashes(seed: u64) {
    let mut random = Random::new(seed);
    let mut disk = SimulatedDisk::new();
    let mut acknowledged: BTreeMap<u64, usize> = BTreeMap::new();
    let mut sent: BTreeMap<u64, usize> = BTreeMap::new();
    let mut next = 0;
    for _generation in 0..4 {
        let log = crashing(&disk);
        check(seed, &log, &acknowledged, &sent);
        let runtime = runtime();
        let done = runtime.block_on(async {
            let mut senders = Vec::new();
            for _ in 0..random.below(30) {
                let size = match random.below(10) {
                    0 => (1 << 20) + random.below(1 << 20),
                    1..4 => random.below(100_000),
                    _ => random.below(2000),
                };
                let (number, appender) = (next, log.appender());
                next += 1;
                sent.insert(number, size);
                senders.push(tokio::spawn(async move {
                    let bytes = body(number, size);
                    let written = appender.append(&bytes, meta(&number.to_string())).await;
                    written.is_ok().then_some((number, size))
                }));
                if random.below(8) == 0 {
                    disk.set_faults(Faults {
                        full: random.below(3) == 0,
                        sync: random.below(6) == 0,
                        sync_once: random.below(2) == 0,
                        cut: random.below(3) == 0,
                    });
                    tokio::time::sleep(Duration::from_micros(random.next_number() % 300)).await;
                }
            }
            disk.set_faults(Faults::default());
            tokio::time::sleep(Duration::from_micros(random.next_number() % 4000)).await;
            let mut done = Vec::new();
            for sender in senders {
                // Those who are not done now never will be: the power goes.
                if sender.is_finished() {
                    done.extend(sender.await.unwrap());
                }
            }
            done
        });
        acknowledged.extend(done);
        disk = disk.crashed(&mut random);
    }
    let log = crashing(&disk);
    check(seed, &log, &acknowledged, &sent);
}

fn check(seed: u64, log: &Log, acknowledged: &BTreeMap<u64, usize>, sent: &BTreeMap<u64, usize>) {
    let (bodies, damage) = read_all(log, Position(0));
    assert!(damage.is_empty(), "seed {seed}: {damage:?}");
    let mut seen: BTreeMap<u64, usize> = BTreeMap::new();
    for (name, bytes) in bodies {
        let number = name.parse().unwrap();
        assert!(
            bytes == body(number, sent[&number]),
            "seed {seed}: {number} is another"
        );
        let twice = seen.insert(number, bytes.len());
        assert!(twice.is_none(), "seed {seed}: {number} is there twice");
    }
    for (number, size) in acknowledged {
        assert_eq!(
            seen.get(number),
            Some(size),
            "seed {seed}: {number} is lost"
        );
    }
}
