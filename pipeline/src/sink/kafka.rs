//! Alerts into a topic of Kafka, each exactly once for whoever reads what is committed.
//!
//! The outbox is here and the topic is there, so no one step can move both. The topic is told how far the outbox was delivered in
//! the same transaction as the alerts, as the offset of a group; after a crash that is asked, and the cursor follows.

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::config::{KafkaConfig, SinkFormat};
use crate::kafka::{
    Client, Deliveries, KafkaFault, PATIENCE, Quiet, Topics, alert_headers, end_transaction,
    shortened,
};
use crate::store::Outgoing;

use super::{Deliver, Delivery, Reached, written};

/// Alerts in one transaction: a commit takes some milliseconds, whatever it holds.
const BATCH: usize = 500;

pub(super) struct KafkaSink {
    config: KafkaConfig,
    topic: String,
    format: SinkFormat,
    /// Names the transactions and the group: nobody else has this outbox.
    id: String,
    connection: Option<Connection>,
}

struct Connection {
    producer: BaseProducer<Deliveries>,
    consumer: BaseConsumer<Quiet>,
    reached: Option<Reached>,
    /// Bytes of an alert that the topic takes.
    bytes_max: usize,
}

/// What a message has besides its value.
const OVERHEAD_BYTES: usize = 8192;

/// Why a batch did not go.
enum Failure {
    Later(KafkaFault),
    /// The topic will never take it.
    Refused(String),
}

impl From<KafkaFault> for Failure {
    /// A record that is refused for what it is stays refused; all else may pass.
    fn from(fault: KafkaFault) -> Self {
        if fault.is_poison() {
            Self::Refused(fault.to_string())
        } else {
            Self::Later(fault)
        }
    }
}

impl KafkaSink {
    /// `store` is the identity of the outbox.
    pub(super) fn new(
        name: &str,
        config: &KafkaConfig,
        topic: &str,
        format: SinkFormat,
        store: &str,
    ) -> Self {
        Self {
            id: format!("{}.sink.{name}.{store}", config.group),
            config: config.clone(),
            topic: topic.to_owned(),
            format,
            connection: None,
        }
    }

    fn connect(&self) -> Result<Connection, KafkaFault> {
        let failed = |error: KafkaError| KafkaFault::of("connect", &error);
        let client = Client::new(&self.config)?;
        let facts = Topics::new(&client)?.prepare_one(&self.config, &self.topic)?;
        let bytes_max = facts.message_bytes_max.saturating_sub(OVERHEAD_BYTES);
        let producer: BaseProducer<Deliveries> = client
            .transactional(&self.id, bytes_max)
            .create_with_context(Deliveries::default())
            .map_err(failed)?;
        producer
            .init_transactions(PATIENCE)
            .map_err(|error| KafkaFault::of("begin transactions", &error))?;
        let consumer: BaseConsumer<Quiet> = client
            .consumer(&self.id)
            .create_with_context(Quiet)
            .map_err(failed)?;
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, 0);
        let committed = consumer.committed_offsets(list, PATIENCE).map_err(failed)?;
        let reached = committed
            .elements()
            .first()
            .and_then(|element| match element.offset() {
                Offset::Offset(next) => u64::try_from(next).ok().map(|next| Reached {
                    next,
                    last: element.metadata().to_owned(),
                }),
                _ => None,
            });
        Ok(Connection {
            producer,
            consumer,
            reached,
            bytes_max,
        })
    }

    fn send(&self, connection: &Connection, records: &[Outgoing]) -> Result<(), Failure> {
        let Connection {
            producer,
            consumer,
            bytes_max,
            ..
        } = connection;
        let failed = |error: KafkaError| KafkaFault::of("deliver", &error);
        producer.begin_transaction().map_err(failed)?;
        for outgoing in records {
            let record = &outgoing.record;
            let whole = written(record, self.format);
            let shorter = (whole.len() > *bytes_max).then(|| shortened(whole, *bytes_max));
            let message = BaseRecord::to(&self.topic)
                .key(record.uid.as_str())
                .payload(shorter.as_deref().unwrap_or(whole))
                .headers(alert_headers(record, self.format));
            producer.send(message).map_err(|(error, _)| failed(error))?;
        }
        let mut list = TopicPartitionList::new();
        if let Some(last) = records.last() {
            let next = i64::try_from(last.number + 1).unwrap_or(i64::MAX);
            let mut place = list.add_partition(&self.topic, 0);
            place.set_offset(Offset::Offset(next)).map_err(failed)?;
            place.set_metadata(last.name());
        }
        Ok(end_transaction(producer, consumer, &list)?)
    }
}

impl Deliver for KafkaSink {
    /// Shuts out whoever had this outbox before, and asks how far he came.
    fn resume(&mut self, _: &str) -> Result<(), String> {
        self.connection = None;
        self.connection = Some(self.connect().map_err(|fault| fault.to_string())?);
        Ok(())
    }

    fn reached(&self) -> Option<Reached> {
        self.connection.as_ref()?.reached.clone()
    }

    fn deliver(&mut self, records: &[Outgoing]) -> Delivery {
        let Some(connection) = &self.connection else {
            return Delivery::Lost("not connected".to_owned());
        };
        match self.send(connection, records) {
            Ok(()) => Delivery::Delivered,
            // Whether the transaction was committed is not known, or the producer is of no use any more: it is asked with a new one.
            Err(Failure::Later(fault)) => {
                self.connection = None;
                Delivery::Lost(fault.to_string())
            }
            Err(Failure::Refused(reason)) => {
                match connection.producer.abort_transaction(PATIENCE) {
                    Ok(()) => Delivery::Refused(reason),
                    Err(error) => {
                        self.connection = None;
                        Delivery::Lost(error.to_string())
                    }
                }
            }
        }
    }

    fn batch(&self) -> usize {
        BATCH
    }
}
