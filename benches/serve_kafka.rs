//! What an acknowledgement and an alert cost with state in Kafka: `cargo bench --bench serve_kafka -- CORPUS [--seconds N]`.
//!
//! A real broker and the release binary, on this machine. It gets the corpus as the API server posts it: 400 events a body, at fixed
//! times, over three connections. Beside it, in the same run and at the same times, the same bodies are produced bare: idempotent,
//! `acks=all`, in one message or, since no broker takes more, pieces of a mebibyte. Then as much as it takes.

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
    let seconds = given.iter().position(|word| word == "--seconds");
    let seconds = seconds
        .and_then(|place| given.get(place + 1)?.parse().ok())
        .unwrap_or(15);
    let bodies = bodies(corpus);
    for rate in [4000, 12_000] {
        acknowledge(&bodies, rate, seconds);
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

fn acknowledge(bodies: &[Vec<u8>], rate: u64, seconds: u64) {
    let broker = Broker::start(&Options::default());
    broker.create_topic("bare", 12, &[]);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let bare = {
        let producer = Bare::new(&broker);
        producer.produce(&bodies[0]);
        paced(bodies, rate, seconds, &|_, body| producer.produce(body))
    };
    let serving = serve(&broker, folder.path());
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| Mutex::new(Sender::new(serving.address)))
        .collect();
    assert_eq!(senders[0].lock().unwrap().post(&bodies[0]), 200);
    let acknowledged = paced(bodies, rate, seconds, &|sender, body| {
        assert_eq!(senders[sender].lock().unwrap().post(body), 200);
    });
    let sent = (acknowledged.len() + 1) * EVENTS_PER_BODY;
    for (percent, name) in [(50, "p50"), (99, "p99")] {
        let (bare, ours) = (at(&bare, percent), at(&acknowledged, percent));
        say(&format!(
            "acknowledge {rate}/s {name}: {ours:.2} ms, bare acks=all {bare:.2} ms"
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
        let took = serving.metric(&name) * 1000.0;
        say(&format!(
            "from received to committed at {rate}/s, quantile {quantile}: {took:.0} ms"
        ));
    }
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
