//! Writing to topics and asking about them, with librdkafka. [`Reader`] reads them, [`create_topics`] makes them.
//!
//! Every function takes the settings of librdkafka that say where the broker is and how it is spoken to. What a function
//! promises wins over them, so that a test can hand in those of its subject. Nothing returns an error: what does not succeed
//! within `PATIENCE` fails the test, with what librdkafka said about the connection meanwhile. A broker that is away for a
//! moment is waited for.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::{Offset, TopicPartitionList};

pub(crate) use super::reader::{Message, Reader, read_all};
use super::topics::partitions;
pub(crate) use super::topics::{Topic, create_topics};

/// How long anything may take before a test fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How long one request waits for its answer; then it is made again.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// How many of librdkafka's complaints are told, the last ones: it repeats itself with every attempt.
const COMPLAINTS_MAX: usize = 8;

/// Settings of librdkafka, `bootstrap.servers` at least.
pub(crate) type Settings<'a> = &'a [(&'a str, &'a str)];

/// What is produced: key, payload, headers.
pub(crate) type Record<'a> = (Option<&'a [u8]>, &'a [u8], &'a [(&'a str, &'a [u8])]);

/// Writes records, in this order within each partition, and returns when the broker has acknowledged all of them. If the
/// broker fails meanwhile, some may be there twice; with `enable.idempotence` they are not, and half a second is lost.
#[track_caller]
pub(crate) fn produce(settings: Settings, topic: &str, records: &[Record]) {
    let limit = PATIENCE.as_millis().to_string();
    let settings = [&[("message.timeout.ms", &*limit)], settings].concat();
    let promised = [
        ("acks", "all"),
        ("max.in.flight.requests.per.connection", "1"),
    ];
    let producer: BaseProducer<Witness> = client(&settings, &promised);
    let witness = producer.context();
    for record in records {
        send(&producer, topic, record);
    }
    let until = Instant::now() + 2 * PATIENCE;
    while producer.in_flight_count() > 0 {
        assert!(Instant::now() < until, "no word about {topic}{witness}");
        producer.poll(Duration::from_millis(5));
    }
    let delivered = witness.delivered();
    assert!(
        delivered == records.len(),
        "{delivered} of {} records are on {topic}{witness}",
        records.len()
    );
}

/// Hands a record to librdkafka, when there is room for it.
#[track_caller]
fn send(producer: &BaseProducer<Witness>, topic: &str, (key, payload, headers): &Record) {
    let mut record = BaseRecord::to(topic).payload(*payload);
    record.key = *key;
    if !headers.is_empty() {
        let all = headers
            .iter()
            .fold(OwnedHeaders::new(), |all, &(key, value)| {
                let value = Some(value);
                all.insert(Header { key, value })
            });
        record.headers = Some(all);
    }
    while let Err((error, refused)) = producer.send(record) {
        assert!(
            error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull),
            "producing to {topic}: {error}"
        );
        record = refused;
        producer.poll(Duration::from_millis(5));
    }
}

/// The offsets that a group has committed, by partition; partitions without one are missing. Those of a transaction that is
/// still open are not waited for.
#[track_caller]
pub(crate) fn committed(settings: Settings, group: &str, topic: &str) -> BTreeMap<i32, i64> {
    let promised = [("group.id", group), ("isolation.level", "read_uncommitted")];
    let consumer: BaseConsumer<Witness> = client(settings, &promised);
    let partitions = partitions(&consumer, topic);
    let offsets = patiently(&consumer, "committed offsets", || {
        let mut wanted = TopicPartitionList::new();
        for &partition in &partitions {
            wanted.add_partition(topic, partition);
        }
        let offsets = consumer.committed_offsets(wanted, REQUEST_LIMIT)?;
        for element in offsets.elements() {
            element.error()?;
        }
        Ok(offsets)
    });
    let mut committed = BTreeMap::new();
    for element in offsets.elements() {
        if let Offset::Offset(offset) = element.offset() {
            committed.insert(element.partition(), offset);
        }
    }
    committed
}

/// Where each partition ends: the offset that its next record gets, whether or not the last ones are committed.
#[track_caller]
pub(crate) fn end_offsets(settings: Settings, topic: &str) -> BTreeMap<i32, i64> {
    // With `read_committed`, the default, librdkafka asks for the first offset of the oldest open transaction.
    let promised = [("isolation.level", "read_uncommitted")];
    let consumer: BaseConsumer<Witness> = client(settings, &promised);
    let end = |partition| {
        let (_, end) = patiently(&consumer, "the end of a partition", || {
            consumer.fetch_watermarks(topic, partition, REQUEST_LIMIT)
        });
        (partition, end)
    };
    partitions(&consumer, topic).into_iter().map(end).collect()
}

/// Asks until there is an answer.
#[track_caller]
pub(super) fn patiently<T>(
    consumer: &BaseConsumer<Witness>,
    what: &str,
    mut ask: impl FnMut() -> KafkaResult<T>,
) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => {
                // Has the witness hear what there is to hear.
                drop(consumer.poll(Duration::ZERO));
                let witness = consumer.context();
                assert!(Instant::now() < until, "{what}: {error}{witness}");
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// A client with the settings of the test and, over them, what is promised.
#[track_caller]
pub(super) fn client<T: FromClientConfigAndContext<Witness>>(
    settings: Settings,
    promised: Settings,
) -> T {
    let mut config = ClientConfig::new();
    // Of a broker that comes back it is heard at once, where librdkafka waits up to ten seconds.
    config.set("reconnect.backoff.max.ms", "200");
    for (key, value) in settings.iter().chain(promised) {
        config.set(*key, *value);
    }
    match config.create_with_context(Witness::default()) {
        Ok(client) => client,
        Err(error) => panic!("{error}: {config:?}"),
    }
}

/// Hears what librdkafka says on the side.
#[derive(Debug, Default)]
pub(super) struct Witness {
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    delivered: usize,
    complaints: Vec<String>,
}

impl Witness {
    fn delivered(&self) -> usize {
        self.heard.lock().unwrap().delivered
    }

    fn complain(&self, complaint: String) {
        let complaints = &mut self.heard.lock().unwrap().complaints;
        if complaints.contains(&complaint) {
            return;
        }
        if complaints.len() == COMPLAINTS_MAX {
            complaints.remove(0);
        }
        complaints.push(complaint);
    }
}

/// What went wrong on the way, for the end of a message.
impl std::fmt::Display for Witness {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let complaints = &self.heard.lock().unwrap().complaints;
        complaints
            .iter()
            .try_for_each(|line| write!(out, "\n  {line}"))
    }
}

impl ClientContext for Witness {
    fn error(&self, error: KafkaError, reason: &str) {
        // The end of a partition is told like an error.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            self.complain(format!("{error}: {reason}"));
        }
    }
}

impl ConsumerContext for Witness {}

impl ProducerContext for Witness {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => self.heard.lock().unwrap().delivered += 1,
            Err((error, _)) => self.complain(error.to_string()),
        }
    }
}
