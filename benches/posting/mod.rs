//! Bodies as the API server posts them, and senders that post them at fixed times.

#![allow(dead_code, reason = "every benchmark uses a part of it")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::serving::Serving;

/// As the API server sends by default.
pub(crate) const EVENTS_PER_BODY: usize = 400;

/// As many API servers as a small cluster has.
pub(crate) const SENDERS: usize = 3;

#[expect(clippy::print_stdout, reason = "it is the output of a benchmark")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// The corpus as posts of the API server.
pub(crate) fn bodies(corpus: &str) -> Vec<Vec<u8>> {
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
pub(crate) struct Sender {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

impl Sender {
    pub(crate) fn new(address: SocketAddr) -> Self {
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

    pub(crate) fn post(&mut self, body: &[u8]) -> u16 {
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
pub(crate) fn paced(
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

pub(crate) fn at(times: &[f64], percent: usize) -> f64 {
    let place = (times.len() * percent).div_ceil(100);
    times[place.clamp(1, times.len()) - 1]
}

/// Waits until all that was acknowledged is evaluated, each event once.
pub(crate) fn settle(serving: &Serving, sent: usize) {
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

/// Events that the last body lacks.
pub(crate) fn short(bodies: &[Vec<u8>]) -> usize {
    let count = |body: &[u8]| {
        body.windows(10)
            .filter(|window| window == b"\"auditID\":")
            .count()
    };
    bodies
        .last()
        .map_or(0, |body| EVENTS_PER_BODY - count(body).min(EVENTS_PER_BODY))
}
