//! What an acknowledgement and an alert cost with state in Kafka:
//! `cargo bench --bench serve_kafka -- CORPUS [--seconds N] [--rounds N]`.
//!
//! A real broker and the release binary, on this machine. It gets the corpus as the API server posts it: 400 events a body, at fixed
//! times, over three connections. Beside it, in the same run and at the same times, the same bodies are produced bare: idempotent,
//! `acks=all`, in one message or, since no broker takes more, pieces of a mebibyte. Then as much as it takes.
//!
//! A broker that was just started compiles itself while it works, and pauses for it. So both go through a round that does not
//! count, then take turns on the same broker; of the rounds' percentiles the medians are compared.

#[path = "../tests/common/kafka/mod.rs"]
mod kafka;
mod posting;
#[path = "../tests/common/serving.rs"]
mod serving;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use kafka::{Broker, Options};
use posting::{EVENTS_PER_BODY, SENDERS, Sender, at, bodies, paced, say, settle, short};
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer};
use serving::Serving;

/// The largest message of the bare producer: what a broker takes by default, less what a message has besides its value.
const MESSAGE_BYTES: usize = 990_000;

fn main() {
    let given: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let corpus = given
        .first()
        .expect("usage: serve_kafka CORPUS [--seconds N]");
    let number = |name: &str, default: u64| {
        let place = given.iter().position(|word| word == name);
        place
            .and_then(|place| given.get(place + 1)?.parse().ok())
            .unwrap_or(default)
    };
    let (seconds, rounds) = (number("--seconds", 15), number("--rounds", 3));
    let mut bodies = bodies(corpus);
    for rate in [4000, 12_000] {
        acknowledge(&mut bodies, rate, seconds, rounds);
    }
    sustain(&bodies);
}

fn serve(broker: &Broker, folder: &std::path::Path) -> Serving {
    let config = format!(
        "state = \"kafka\"\n[kafka]\nbrokers = [\"{}\"]\ninstance = \"bench\"\n",
        broker.plaintext()
    );
    let serving = Serving::configured(&folder.join("data"), &config);
    serving.wait_for_metric("tidewatch_shards", 64.0);
    serving
}

/// Times of the bare producer, and ours.
type Round = (Vec<f64>, Vec<f64>);

fn acknowledge(bodies: &mut [Vec<u8>], rate: u64, seconds: u64, rounds: u64) {
    let broker = Broker::start(&Options::default());
    broker.create_topic("bare", 12, &[]);
    let producer = Bare::new(&broker);
    let bare = |bodies: &[Vec<u8>]| paced(bodies, rate, seconds, &|_, body| producer.produce(body));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    bare(bodies);
    let serving = serve(&broker, folder.path());
    let warmed = post(&serving, bodies, rate, seconds);
    settle(&serving, warmed.len() * EVENTS_PER_BODY);
    // Its latencies begin anew.
    drop(serving);
    let serving = serve(&broker, folder.path());
    let (mut sent, mut took) = (0, Vec::new());
    for round in 0..rounds {
        let bare = bare(bodies);
        make_new(bodies, round);
        let ours = post(&serving, bodies, rate, seconds);
        sent += ours.len() * EVENTS_PER_BODY;
        settle(&serving, sent);
        took.push((bare, ours));
    }
    for (percent, name) in [(50, "p50"), (99, "p99")] {
        let each = |of: &dyn Fn(&Round) -> f64| {
            let mut each: Vec<f64> = took.iter().map(of).collect();
            let shown: Vec<String> = each.iter().map(|ms| format!("{ms:.2}")).collect();
            each.sort_by(f64::total_cmp);
            (each[each.len() / 2], shown.join(", "))
        };
        let (bare, bare_each) = each(&|(bare, _)| at(bare, percent));
        let (ours, ours_each) = each(&|(_, ours)| at(ours, percent));
        say(&format!(
            "acknowledge {rate}/s {name}, ms by round: {ours_each}; bare acks=all {bare_each}"
        ));
        say(&format!(
            "ratio acknowledge {rate}/s {name} ÷ bare, medians: {:.2}",
            ours / bare
        ));
    }
    for quantile in ["0.5", "0.99"] {
        let name = format!(
            "tidewatch_stage_latency_seconds{{stage=\"evaluate\",quantile=\"{quantile}\"}}"
        );
        let took = serving.metric(&name) * 1000.0;
        say(&format!(
            "from received to committed at {rate}/s, quantile {quantile}: {took:.0} ms"
        ));
    }
}

/// Gives all events other audit ids, so that they are no repeats of those of another round.
fn make_new(bodies: &mut [Vec<u8>], round: u64) {
    const KEY: &[u8] = b"\"auditID\":\"";
    let digits = format!("{:02x}", round + 1);
    let finder = memchr::memmem::Finder::new(KEY);
    for body in bodies {
        let places: Vec<usize> = finder.find_iter(body).collect();
        for place in places {
            let start = place + KEY.len();
            body[start..start + digits.len()].copy_from_slice(digits.as_bytes());
        }
    }
}

/// Posts bodies at fixed times; how long each acknowledgement took.
fn post(serving: &Serving, bodies: &[Vec<u8>], rate: u64, seconds: u64) -> Vec<f64> {
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| Mutex::new(Sender::new(serving.address)))
        .collect();
    paced(bodies, rate, seconds, &|sender, body| {
        assert_eq!(senders[sender].lock().unwrap().post(body), 200);
    })
}

/// As much as it takes, until all of it is evaluated.
fn sustain(bodies: &[Vec<u8>]) {
    let broker = Broker::start(&Options::default());
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let serving = serve(&broker, folder.path());
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
    let sent = begun.elapsed().as_secs_f64();
    let events = bodies.len() * EVENTS_PER_BODY - short(bodies);
    settle(&serving, events);
    let took = begun.elapsed().as_secs_f64();
    let rate = events as f64 / took;
    say(&format!(
        "sustained: {events} events acknowledged in {sent:.2} s, evaluated in {took:.2} s: {rate:.0} events/s; broker and senders on the same cores"
    ));
}

/// A producer that does nothing else.
struct Bare {
    producer: ThreadedProducer<Acknowledged>,
}

#[derive(Default)]
struct Acknowledged;

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = Arc<mpsc::Sender<bool>>;

    fn delivery(&self, result: &DeliveryResult<'_>, waiting: Self::DeliveryOpaque) {
        waiting.send(result.is_ok()).unwrap();
    }
}

impl Bare {
    fn new(broker: &Broker) -> Self {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", broker.plaintext())
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("compression.type", "zstd")
            .set("linger.ms", "2")
            .create_with_context(Acknowledged)
            .unwrap();
        Self { producer }
    }

    /// Produces a body, and waits until it is acknowledged.
    fn produce(&self, body: &[u8]) {
        let (done, acknowledged) = mpsc::channel();
        let done = Arc::new(done);
        let pieces = body.chunks(MESSAGE_BYTES);
        let count = pieces.len();
        for piece in pieces {
            let record = BaseRecord::with_opaque_to("bare", done.clone())
                .key(&body[..64.min(body.len())])
                .payload(piece);
            assert!(self.producer.send(record).is_ok());
        }
        for _ in 0..count {
            assert!(acknowledged.recv().unwrap());
        }
    }
}
