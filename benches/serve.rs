//! What an acknowledgement, an alert and an overload cost: `cargo bench --bench serve -- CORPUS [--seconds N] [--overload N]`.
//!
//! The release binary is started with the embedded defaults on a folder of its own, and gets the corpus as the API server posts it:
//! 400 events a body, at fixed times, over three connections. Beside it, in the same run and at the same times, the same bodies are
//! appended to one file, each with `write` and `fdatasync`: what durability costs at least. Then as much as it takes, and then
//! twice as much as it takes, with its memory watched.

mod posting;
#[path = "../tests/common/serving.rs"]
mod serving;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use posting::{EVENTS_PER_BODY, SENDERS, Sender, at, bodies, paced, say, settle, short};
use serving::Serving;

struct Arguments {
    corpus: String,
    seconds: u64,
    overload: u64,
}

fn main() {
    let arguments = arguments();
    let bodies = bodies(&arguments.corpus);
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    say(&format!(
        "{} bodies of {EVENTS_PER_BODY} events, {} MB",
        bodies.len(),
        bytes / 1_000_000
    ));
    for rate in [4000, 12_000] {
        acknowledge(&bodies, rate, arguments.seconds);
    }
    sustain(&bodies);
    overload(&bodies, arguments.overload);
}

fn arguments() -> Arguments {
    let given: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let after = |name: &str| {
        let place = given.iter().position(|word| word == name)?;
        given.get(place + 1)?.parse().ok()
    };
    Arguments {
        corpus: given
            .first()
            .cloned()
            .expect("usage: serve CORPUS [--seconds N] [--overload N]"),
        seconds: after("--seconds").unwrap_or(15),
        overload: after("--overload").unwrap_or(60),
    }
}

fn acknowledge(bodies: &[Vec<u8>], rate: u64, seconds: u64) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let bare = {
        let mut options = OpenOptions::new();
        let path = folder.path().join("bare");
        let file = Mutex::new(
            options
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path)
                .unwrap(),
        );
        paced(bodies, rate, seconds, &|_, body| {
            let mut file = file.lock().unwrap();
            file.write_all(body).unwrap();
            file.sync_data().unwrap();
        })
    };
    let serving = Serving::start(&folder.path().join("data"));
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| Mutex::new(Sender::new(serving.address)))
        .collect();
    let acknowledged = paced(bodies, rate, seconds, &|sender, body| {
        assert_eq!(senders[sender].lock().unwrap().post(body), 200);
    });
    let sent = acknowledged.len() * EVENTS_PER_BODY;
    for (percent, name) in [(50, "p50"), (99, "p99")] {
        let (bare, ours) = (at(&bare, percent), at(&acknowledged, percent));
        say(&format!(
            "acknowledge {rate}/s {name}: {ours:.2} ms, bare write and fdatasync {bare:.2} ms"
        ));
        say(&format!(
            "ratio acknowledge {rate}/s {name} ÷ bare: {:.2}",
            ours / bare
        ));
    }
    settle(&serving, sent);
    for quantile in ["0.5", "0.99"] {
        let name = format!(
            "tidewatch_stage_latency_seconds{{stage=\"evaluate\",quantile=\"{quantile}\"}}"
        );
        say(&format!(
            "from durable to committed at {rate}/s, quantile {quantile}: {:.0} ms",
            serving.metric(&name) * 1000.0
        ));
    }
}

/// As much as it takes, until all of it is evaluated.
fn sustain(bodies: &[Vec<u8>]) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let serving = Serving::start(&folder.path().join("data"));
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            let next = &next;
            let mut sender = Sender::new(serving.address);
            scope.spawn(move || {
                while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    while sender.post(body) != 200 {
                        std::thread::sleep(Duration::from_millis(100));
                    }
                }
            });
        }
    });
    let sent = begun.elapsed();
    let events = bodies.len() * EVENTS_PER_BODY;
    settle(&serving, events - short(bodies));
    let took = begun.elapsed().as_secs_f64();
    say(&format!(
        "sustained: {events} events acknowledged in {:.2} s, committed in {took:.2} s: {:.0} events/s end to end",
        sent.as_secs_f64(),
        events as f64 / took
    ));
}

/// Senders that never rest, against a log that holds little: they are told to come again, memory stays flat, nothing is lost.
fn overload(bodies: &[Vec<u8>], seconds: u64) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let config = "[log]\nquota = \"256MiB\"\n";
    let serving = Serving::configured(&folder.path().join("data"), config);
    let (accepted, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let mut memory = Vec::new();
    std::thread::scope(|scope| {
        for sender in 0..8 {
            let (accepted, refused, stop) = (&accepted, &refused, stop.clone());
            let mut connection = Sender::new(serving.address);
            scope.spawn(move || {
                let mut number = sender;
                while !stop.load(Ordering::Relaxed) {
                    match connection.post(&bodies[number % (bodies.len() - 1)]) {
                        200 => {
                            accepted.fetch_add(1, Ordering::Relaxed);
                            number += 8;
                        }
                        _ => drop(refused.fetch_add(1, Ordering::Relaxed)),
                    }
                }
            });
        }
        for _ in 0..seconds {
            std::thread::sleep(Duration::from_secs(1));
            memory.push(serving.memory_kib() / 1024);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let accepted = accepted.into_inner();
    settle(
        &serving,
        usize::try_from(accepted).unwrap() * EVENTS_PER_BODY,
    );
    let half = memory.len() / 2;
    let most = |part: &[u64]| part.iter().max().copied().unwrap_or(0);
    say(&format!(
        "overload for {seconds} s: {accepted} bodies acknowledged ({:.0} events/s), {} told to come again, all acknowledged ones evaluated",
        accepted as f64 * EVENTS_PER_BODY as f64 / seconds as f64,
        refused.into_inner()
    ));
    say(&format!(
        "memory under overload: at most {} MiB in the first half, {} MiB in the second",
        most(&memory[..half]),
        most(&memory[half..])
    ));
}
