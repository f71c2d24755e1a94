//! The consumer with its group, and the transactional producer: made together, and thrown away together.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;

use crate::decode::limits::KEPT_BYTES_MAX;

use super::client::{Client, Deliveries, KafkaFault, PATIENCE, Quiet, explain, log};
use super::restore::reader;
use super::topics::Limits;

/// How long the end of a session may take. A client that hangs is left to itself.
const CLOSING: Duration = Duration::from_secs(15);

/// How long a full queue of messages is waited for.
const ROOM_WAIT: Duration = Duration::from_secs(30);

/// How long an answer is waited for without which it goes on.
const SOON: Duration = Duration::from_secs(2);

/// A partition that came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is read from here on, or from its beginning if the group has never read it; the text was kept beside the offset.
    Assigned {
        topic: String,
        partition: i32,
        offset: Option<i64>,
        metadata: String,
    },
    /// It is another's, or nobody's.
    Revoked { topic: String, partition: i32 },
}

/// What the group decides, as it is told while the consumer is polled.
#[derive(Debug, Default)]
pub(super) struct Group {
    changes: Mutex<Vec<Change>>,
    fault: Mutex<Option<KafkaFault>>,
    behind: Mutex<BTreeMap<(String, i32), u64>>,
}

impl Group {
    pub(super) fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn take_fault(&self) -> Option<KafkaFault> {
        self.fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Messages that were not read yet, by topic and partition, as of the library's last statistics.
    pub(super) fn behind(&self) -> BTreeMap<(String, i32), u64> {
        self.behind
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, changes: impl IntoIterator<Item = Change>) {
        let mut noted = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        noted.extend(changes);
    }

    /// Reads on where the group has committed. That is asked for, and not left to the library: a partition without any offset
    /// begins at its beginning, and what was said beside an offset is needed.
    fn assign(
        consumer: &BaseConsumer<Self>,
        list: &TopicPartitionList,
    ) -> Result<Vec<Change>, KafkaError> {
        let committed = consumer.committed_offsets(list.clone(), PATIENCE)?;
        let mut from = TopicPartitionList::new();
        let mut changes = Vec::new();
        for element in committed.elements() {
            element.error()?;
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            let place = offset.map_or(Offset::Beginning, Offset::Offset);
            from.add_partition_offset(element.topic(), element.partition(), place)?;
            changes.push(Change::Assigned {
                topic: element.topic().to_owned(),
                partition: element.partition(),
                offset,
                metadata: element.metadata().to_owned(),
            });
        }
        consumer.incremental_assign(&from)?;
        Ok(changes)
    }
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
    }

    fn stats(&self, statistics: Statistics) {
        let mut behind = BTreeMap::new();
        for (name, topic) in statistics.topics {
            for (number, partition) in topic.partitions {
                // What is not read by this process has no place.
                if partition.app_offset >= 0 && partition.ls_offset >= 0 {
                    let left = partition.ls_offset - partition.app_offset;
                    behind.insert((name.clone(), number), u64::try_from(left).unwrap_or(0));
                }
            }
        }
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = behind;
    }
}

impl ConsumerContext for Group {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let done = if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            Self::assign(consumer, list)
        } else {
            let revoked = list.elements().into_iter().map(|element| Change::Revoked {
                topic: element.topic().to_owned(),
                partition: element.partition(),
            });
            let revoked = revoked.collect();
            consumer.incremental_unassign(list).map(|()| revoked)
        };
        match done {
            Ok(changes) => {
                tracing::info!(
                    partitions = changes.len(),
                    ?code,
                    "the group has shared out partitions"
                );
                self.note(changes);
            }
            Err(error) => {
                let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
                *fault = Some(KafkaFault::of("take partitions", &error));
            }
        }
    }
}

/// A consumer and a producer.
pub(super) struct Connection {
    pub(super) consumer: BaseConsumer<Group>,
    pub(super) producer: BaseProducer<Deliveries>,
    /// Asks where partitions begin and end. The consumer would have to wait for an answer until its fetches under way have one.
    asker: BaseConsumer<Quiet>,
    /// Bytes that a dead letter may have.
    pub(super) letter_bytes_max: usize,
}

impl Connection {
    /// Shuts out whoever had this id before, ends what he left open, and joins the group.
    pub(super) fn open(
        client: &Client,
        group: &str,
        id: &str,
        topics: &[String],
        limits: Limits,
    ) -> Result<Self, KafkaFault> {
        let failed = |error: KafkaError| KafkaFault::of("join the group", &error);
        let producer: BaseProducer<Deliveries> = client
            .transactional(id, limits.least())
            .create_with_context(Deliveries::default())
            .map_err(failed)?;
        producer
            .init_transactions(PATIENCE)
            .map_err(|error| KafkaFault::of("begin transactions", &error))?;
        let consumer: BaseConsumer<Group> = client
            .consumer(group)
            .create_with_context(Group::default())
            .map_err(failed)?;
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(failed)?;
        Ok(Self {
            consumer,
            producer,
            asker: reader(client, "read_committed")?,
            letter_bytes_max: limits.letters.min(KEPT_BYTES_MAX),
        })
    }

    /// Where a partition begins and ends.
    pub(super) fn marks(&self, topic: &str, partition: i32) -> Result<(i64, i64), KafkaFault> {
        let marks = self.asker.fetch_watermarks(topic, partition, PATIENCE);
        marks.map_err(|error| KafkaFault::of(&format!("ask for the ends of {topic}"), &error))
    }

    /// Where a partition ends; `None` if it is not known soon.
    pub(super) fn end(&self, topic: &str, partition: i32) -> Option<i64> {
        let marks = self.asker.fetch_watermarks(topic, partition, SOON);
        Some(marks.ok()?.1)
    }

    /// How many partitions a topic has; `None` if it is not known soon.
    pub(super) fn partitions(&self, topic: &str) -> Option<i32> {
        let metadata = self.asker.fetch_metadata(Some(topic), SOON).ok()?;
        let known = metadata
            .topics()
            .iter()
            .find(|known| known.name() == topic)?;
        i32::try_from(known.partitions().len()).ok()
    }

    pub(super) fn begin(&self) -> Result<(), KafkaFault> {
        self.producer
            .begin_transaction()
            .map_err(|error| KafkaFault::of("begin a transaction", &error))
    }

    /// Hands a message over. `partition` is chosen by the key if it is `None`.
    pub(super) fn send(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: &[u8],
        value: Option<&[u8]>,
        headers: Option<OwnedHeaders>,
    ) -> Result<(), KafkaFault> {
        let mut record = BaseRecord::to(topic).key(key);
        record.partition = partition;
        record.payload = value;
        record.headers = headers;
        let until = Instant::now() + ROOM_WAIT;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, again))
                    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
                        && Instant::now() < until =>
                {
                    self.producer.poll(Duration::from_millis(10));
                    record = again;
                }
                Err((error, _)) => {
                    return Err(KafkaFault::of(&format!("write to {topic}"), &error));
                }
            }
        }
    }

    /// Commits the transaction with the offsets: all of it, or nothing.
    pub(super) fn commit(&self, offsets: &Offsets) -> Result<(), KafkaFault> {
        if self.consumer.assignment_lost() {
            return Err(KafkaFault::new(
                "the group has given the partitions to others",
            ));
        }
        let list = offsets.to_list()?;
        end_transaction(&self.producer, &self.consumer, &list)
    }

    /// Has messages of a partition wait.
    pub(super) fn hold(&self, topic: &str, partition: i32) -> Result<(), KafkaFault> {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let held = self.consumer.pause(&list);
        held.map_err(|error| KafkaFault::of("hold a partition", &error))
    }

    /// Lets messages of partitions come.
    pub(super) fn resume(&self, topic: &str, partitions: &BTreeSet<i32>) -> Result<(), KafkaFault> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(topic, *partition);
        }
        let resumed = self.consumer.resume(&list);
        resumed.map_err(|error| KafkaFault::of("resume partitions", &error))
    }

    /// Gives the open transaction up, if the broker can be told; if not, it ends it by itself.
    pub(super) fn abort(&self) {
        if let Err(error) = self.producer.abort_transaction(Duration::from_secs(5)) {
            tracing::debug!(
                error = explain(&error),
                "a transaction could not be aborted"
            );
        }
    }

    /// Leaves the group. Bounded: closing has hung in more than one version of the library.
    pub(super) fn close(self) {
        let (done, closed) = mpsc::channel();
        let closing = std::thread::Builder::new().name("kafka closing".to_owned());
        let spawned = closing.spawn(move || {
            drop(self);
            let _heard = done.send(());
        });
        if spawned.is_ok() && closed.recv_timeout(CLOSING).is_err() {
            tracing::warn!("a connection to Kafka did not close in time, and is left");
        }
    }
}

/// Commits what was sent, with these offsets of the consumer's group: all of it, or nothing.
pub(crate) fn end_transaction<C: ConsumerContext>(
    producer: &BaseProducer<Deliveries>,
    consumer: &BaseConsumer<C>,
    offsets: &TopicPartitionList,
) -> Result<(), KafkaFault> {
    flush(producer)?;
    if let Some((error, topic)) = producer.context().take_failure() {
        return Err(KafkaFault::of(&format!("write to {topic}"), &error));
    }
    if offsets.count() > 0 {
        let group = consumer.group_metadata();
        let group = group.ok_or_else(|| KafkaFault::new("the consumer has no group"))?;
        producer
            .send_offsets_to_transaction(offsets, &group, PATIENCE)
            .map_err(|error| KafkaFault::of("commit offsets", &error))?;
    }
    producer
        .commit_transaction(PATIENCE)
        .map_err(|error| KafkaFault::of("commit", &error))
}

/// Waits until all messages have their answers. The library's own flush looks for them ten times a second only.
fn flush(producer: &BaseProducer<Deliveries>) -> Result<(), KafkaFault> {
    let until = Instant::now() + PATIENCE;
    while producer.in_flight_count() > 0 {
        if Instant::now() > until {
            return Err(KafkaFault::new("cannot write: the brokers do not answer"));
        }
        producer.poll(Duration::from_millis(1));
    }
    Ok(())
}

/// Offsets to commit, by topic and partition, with a text beside each.
#[derive(Debug, Default)]
pub(super) struct Offsets(pub(super) HashMap<(String, i32), (i64, String)>);

impl Offsets {
    fn to_list(&self) -> Result<TopicPartitionList, KafkaFault> {
        let failed = |error: KafkaError| KafkaFault::of("commit offsets", &error);
        let mut list = TopicPartitionList::new();
        for ((topic, partition), (offset, metadata)) in &self.0 {
            let mut element = list.add_partition(topic, *partition);
            element
                .set_offset(Offset::Offset(*offset))
                .map_err(failed)?;
            if !metadata.is_empty() {
                element.set_metadata(metadata);
            }
        }
        Ok(list)
    }
}
