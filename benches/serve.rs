//! What an acknowledgement, an alert and an overload cost: `cargo bench --bench serve -- CORPUS [--seconds N] [--overload N]`.
//!
//! The release binary is started with the embedded defaults on a folder of its own, and gets the corpus as the API server posts it:
//! 400 events a body, at fixed times, over three connections. Beside it, in the same run and at the same times, the same bodies are
//! appended to one file, each with `write` and `fdatasync`: what durability costs at least. Then as much as it takes, and then
//! twice as much as it takes, with its memory watched.

#[path = "../tests/common/serving.rs"]
mod serving;

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serving::Serving;

/// As the API server sends by default.
const EVENTS_PER_BODY: usize = 400;

/// As many API servers as a small cluster has.
const SENDERS: usize = 3;

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

#[expect(clippy::print_stdout, reason = "it is the output of a benchmark")]
fn say(text: &str) {
    println!("{text}");
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

/// The corpus as posts of the API server.
fn bodies(corpus: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(corpus);
    let file =
        std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let reader: Box<dyn std::io::Read> = if path.extension().is_some_and(|name| name == "zst") {
        Box::new(zstd::Decoder::new(file).unwrap())
    } else {
        Box::new(file)
    };
    let lines: Vec<Vec<u8>> = BufReader::new(reader)
        .split(b'\n')
        .map(Result::unwrap)
        .collect();
    let lines: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    lines.chunks(EVENTS_PER_BODY).map(event_list).collect()
}

fn event_list(events: &[Vec<u8>]) -> Vec<u8> {
    let mut body =
        br#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":["#.to_vec();
    body.extend(events.join(&b','));
    body.extend(b"]}\n");
    body
}

/// A connection that stays open.
struct Sender {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

impl Sender {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        Self {
            stream: BufReader::new(stream),
            address,
        }
    }

    fn post(&mut self, body: &[u8]) -> u16 {
        if let Ok(status) = self.try_post(body) {
            return status;
        }
        *self = Self::new(self.address);
        0
    }

    fn try_post(&mut self, body: &[u8]) -> std::io::Result<u16> {
        let head = format!(
            "POST /v1/audit/lab/api-1?timeout=30s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().unwrap_or(0);
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap_or(0);
            }
        }
        let mut rest = vec![0; length];
        self.stream.read_exact(&mut rest)?;
        Ok(status)
    }
}

/// How long each body took, at fixed times: a late answer makes the next ones late, and that counts.
fn paced(
    bodies: &[Vec<u8>],
    rate: u64,
    seconds: u64,
    send: &(dyn Fn(usize, &[u8]) + Sync),
) -> Vec<f64> {
    let every = Duration::from_secs_f64(EVENTS_PER_BODY as f64 / rate as f64);
    let count = usize::try_from(seconds * rate).unwrap() / EVENTS_PER_BODY;
    let (next, times) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (next, times) = (&next, &times);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    let due = begun + every * u32::try_from(number).unwrap();
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    send(sender, &bodies[number % bodies.len()]);
                    times
                        .lock()
                        .unwrap()
                        .push(due.elapsed().as_secs_f64() * 1000.0);
                }
            });
        }
    });
    let mut times = times.into_inner().unwrap();
    times.sort_by(f64::total_cmp);
    times
}

fn at(times: &[f64], percent: usize) -> f64 {
    let place = (times.len() * percent).div_ceil(100);
    times[place.clamp(1, times.len()) - 1]
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

/// Waits until all that was acknowledged is evaluated, each event once.
fn settle(serving: &Serving, sent: usize) {
    let total =
        |outcome: &str| serving.metric(&format!("tidewatch_events_total{{outcome=\"{outcome}\"}}"));
    let within = Instant::now() + Duration::from_mins(5);
    while total("received") + 0.5 < sent as f64 {
        assert!(
            Instant::now() < within,
            "{} of {sent} were evaluated",
            total("received")
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let sum = total("evaluated") + total("repeated") + total("ignored") + total("rejected");
    assert!((sum - sent as f64).abs() < 0.5, "{sum} of {sent}");
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

/// Events that the last body lacks.
fn short(bodies: &[Vec<u8>]) -> usize {
    let count = |body: &[u8]| {
        body.windows(10)
            .filter(|window| window == b"\"auditID\":")
            .count()
    };
    bodies
        .last()
        .map_or(0, |body| EVENTS_PER_BODY - count(body).min(EVENTS_PER_BODY))
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
