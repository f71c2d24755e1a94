//! What is on a topic, from its beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Headers as _};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::client::{Settings, Witness, client};
use super::topics::partitions;

/// A record of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    /// `None` is a tombstone.
    pub(crate) payload: Option<Vec<u8>>,
    /// Of headers with the same name, the last one; a header without a value has an empty one.
    pub(crate) headers: BTreeMap<String, Vec<u8>>,
    /// When it was produced, since 1970.
    pub(crate) timestamp_ms: i64,
}

impl Message {
    fn new(message: &BorrowedMessage) -> Self {
        let headers = message.headers().into_iter().flat_map(|all| all.iter());
        Self {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().map(<[u8]>::to_vec),
            headers: headers
                .map(|one| (one.key.to_owned(), one.value.unwrap_or_default().to_vec()))
                .collect(),
            timestamp_ms: message.timestamp().to_millis().unwrap(),
        }
    }
}

/// Everything that is on a topic now, by partition and offset. With `read_committed`, a partition ends where its oldest open
/// transaction begins.
#[track_caller]
pub(crate) fn read_all(
    settings: Settings,
    topic: &str,
    isolation: &str,
    patience: Duration,
) -> Vec<Message> {
    let mut reader = Reader::new(settings, topic, isolation);
    let until = Instant::now() + patience;
    while reader.ended.len() < reader.partitions {
        reader.assert_before(until);
        reader.receive();
    }
    let mut messages = reader.messages;
    messages.sort_by_key(|message| (message.partition, message.offset));
    messages
}

/// Reads all partitions that a topic has now, from their beginning, as nobody's member.
pub(crate) struct Reader {
    consumer: BaseConsumer<Witness>,
    topic: String,
    partitions: usize,
    messages: Vec<Message>,
    /// Partitions that have been seen to their end.
    ended: BTreeSet<i32>,
}

impl Reader {
    /// `isolation` is `read_committed` or `read_uncommitted`.
    #[track_caller]
    pub(crate) fn new(settings: Settings, topic: &str, isolation: &str) -> Self {
        let group = unused_group();
        let promised = [
            // librdkafka assigns nothing without the name of a group, which nobody joins here.
            ("group.id", &*group),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
            ("enable.partition.eof", "true"),
            ("isolation.level", isolation),
            // Both are half a second otherwise: after a failure, and until an end is told.
            ("fetch.error.backoff.ms", "50"),
            ("fetch.wait.max.ms", "50"),
        ];
        let consumer: BaseConsumer<Witness> = client(settings, &promised);
        let partitions = partitions(&consumer, topic);
        let mut assignment = TopicPartitionList::new();
        for &partition in &partitions {
            // For `Beginning`, librdkafka asks too early, and again half a second later. Where 0 is gone, it resets it.
            let first = Offset::Offset(0);
            assignment
                .add_partition_offset(topic, partition, first)
                .unwrap();
        }
        consumer.assign(&assignment).unwrap();
        Self {
            consumer,
            topic: topic.to_owned(),
            partitions: partitions.len(),
            messages: Vec::new(),
            ended: BTreeSet::new(),
        }
    }

    /// Reads on until `done` is content with all that has been read, also by earlier calls, in the order of arrival. It fails
    /// the test when `patience` is over.
    #[track_caller]
    pub(crate) fn read_until(
        &mut self,
        mut done: impl FnMut(&[Message]) -> bool,
        patience: Duration,
    ) -> &[Message] {
        let until = Instant::now() + patience;
        while !done(&self.messages) {
            self.assert_before(until);
            self.receive();
        }
        &self.messages
    }

    /// Waits a moment for something, and takes with it what else is there.
    fn receive(&mut self) {
        let mut wait = Duration::from_millis(100);
        while let Some(event) = self.consumer.poll(wait) {
            let message = event.map(|message| Message::new(&message));
            take(message, &mut self.messages, &mut self.ended);
            wait = Duration::ZERO;
        }
    }

    #[track_caller]
    fn assert_before(&self, until: Instant) {
        assert!(
            Instant::now() < until,
            "in vain: {} messages on {}{}",
            self.messages.len(),
            self.topic,
            self.consumer.context()
        );
    }
}

fn take(event: KafkaResult<Message>, messages: &mut Vec<Message>, ended: &mut BTreeSet<i32>) {
    match event {
        Ok(message) => messages.push(message),
        Err(KafkaError::PartitionEOF(partition)) => {
            ended.insert(partition);
        }
        Err(error @ KafkaError::MessageConsumptionFatal(_)) => panic!("{error}"),
        // The witness has heard of it, and librdkafka tries again.
        Err(_) => {}
    }
}

/// A group that nobody else asks about.
fn unused_group() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("reader-{}-{next}", process::id())
}
