//! The dead letters of the topics: listed, sent again, or passed over. How far they were dealt with is kept as the offsets of a
//! group of its own.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Message as _, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::config::KafkaConfig;

use super::client::{Client, Deliveries, KafkaFault, PATIENCE, Quiet};
use super::connection::end_transaction;
use super::message::{
    ERRORS_MESSAGE, ERRORS_OFFSET, ERRORS_PARTITION, ERRORS_REASON, ERRORS_STAGE, ERRORS_TOPIC,
    all_headers, header,
};
use super::topics::{dead_letters, inputs};

/// Letters that one transaction sends again.
const BATCH: usize = 500;

/// 16 KiB: of the topics that letters go back to nothing is known, so hardly two go together.
const BATCH_BYTES: usize = 16 << 10;

/// A dead letter of a topic.
#[derive(Clone, Debug)]
pub struct Letter {
    message: OwnedMessage,
}

impl Letter {
    /// The topic, partition and offset that it is of.
    #[must_use]
    pub fn origin(&self) -> String {
        let of = |name| header(&self.message, name).unwrap_or_else(|| "?".to_owned());
        format!(
            "{}/{}@{}",
            of(ERRORS_TOPIC),
            of(ERRORS_PARTITION),
            of(ERRORS_OFFSET)
        )
    }

    /// Where it failed.
    #[must_use]
    pub fn stage(&self) -> String {
        header(&self.message, ERRORS_STAGE).unwrap_or_default()
    }

    /// Why, in one word.
    #[must_use]
    pub fn reason(&self) -> String {
        header(&self.message, ERRORS_REASON).unwrap_or_default()
    }

    /// Why, for people.
    #[must_use]
    pub fn explanation(&self) -> String {
        header(&self.message, ERRORS_MESSAGE).unwrap_or_default()
    }

    /// When it was buried, microseconds since 1970 UTC.
    #[must_use]
    pub fn at_us(&self) -> i64 {
        self.message
            .timestamp()
            .to_millis()
            .unwrap_or(0)
            .saturating_mul(1000)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.message.payload().unwrap_or_default()
    }

    /// Its headers without those that say why it is dead.
    fn headers(&self) -> OwnedHeaders {
        let all = all_headers(&self.message);
        let all = all
            .iter()
            .filter(|(name, _)| !name.starts_with("__connect.errors."));
        all.fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        })
    }
}

/// The letters of an installation.
pub struct Letters {
    client: Client,
    config: KafkaConfig,
    consumer: BaseConsumer<Quiet>,
}

impl Letters {
    /// Connects.
    ///
    /// # Errors
    /// If settings are wrong.
    pub fn open(config: &KafkaConfig) -> Result<Self, KafkaFault> {
        let client = Client::new(config)?;
        let group = format!("{}.dlq", config.group);
        let mut settings = client.consumer(&group);
        settings.set("enable.partition.eof", "true");
        let consumer = settings
            .create_with_context(Quiet)
            .map_err(|error| KafkaFault::of("read dead letters", &error))?;
        Ok(Self {
            client,
            config: config.clone(),
            consumer,
        })
    }

    /// Hands out what was not dealt with yet, by topic, oldest first, until told to stop. Numbers count from 1.
    ///
    /// # Errors
    /// If the topics cannot be read.
    pub fn each(&self, take: &mut dyn FnMut(u64, &Letter) -> bool) -> Result<(), KafkaFault> {
        let failed = |error: KafkaError| KafkaFault::of("read dead letters", &error);
        let mut number = 0;
        for (topic, partition, from) in self.places()? {
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&topic, partition, from)
                .map_err(failed)?;
            self.consumer.assign(&list).map_err(failed)?;
            loop {
                match self.consumer.poll(PATIENCE) {
                    Some(Ok(message)) => {
                        number += 1;
                        let message = message.detach();
                        if !take(number, &Letter { message }) {
                            return Ok(());
                        }
                    }
                    Some(Err(KafkaError::PartitionEOF(_))) => break,
                    Some(Err(error)) => return Err(failed(error)),
                    None => return Err(KafkaFault::new(format!("{topic} does not answer"))),
                }
            }
        }
        Ok(())
    }

    /// Sends letters to where they came from: those with these numbers, or all. All are then dealt with; single ones stay in the
    /// list, since a topic gives up nothing in its middle. How many were sent.
    ///
    /// # Errors
    /// If that fails: then those of the last transaction were not sent.
    pub fn redrive(&self, numbers: &[u64]) -> Result<u64, KafkaFault> {
        let mut letters = Vec::new();
        self.each(&mut |number, letter| {
            if numbers.is_empty() || numbers.contains(&number) {
                letters.push(letter.clone());
            }
            true
        })?;
        let producer: BaseProducer<Deliveries> = self
            .client
            .transactional(&format!("{}-dlq", self.config.group), BATCH_BYTES)
            .create_with_context(Deliveries::default())
            .map_err(|error| KafkaFault::of("redrive", &error))?;
        producer
            .init_transactions(PATIENCE)
            .map_err(|error| KafkaFault::of("redrive", &error))?;
        let mut sent = 0;
        for batch in letters.chunks(BATCH) {
            sent += self.send(&producer, batch, numbers.is_empty())?;
        }
        Ok(sent)
    }

    /// Passes over all that is there now; how many.
    ///
    /// # Errors
    /// If offsets cannot be committed.
    pub fn pass_all(&self) -> Result<u64, KafkaFault> {
        let mut passed = Vec::new();
        self.each(&mut |_, letter| {
            passed.push(letter.clone());
            true
        })?;
        let list = behind(&passed)?;
        if !passed.is_empty() {
            self.consumer
                .commit(&list, rdkafka::consumer::CommitMode::Sync)
                .map_err(|error| KafkaFault::of("pass over dead letters", &error))?;
        }
        Ok(passed.len() as u64)
    }

    fn send(
        &self,
        producer: &BaseProducer<Deliveries>,
        letters: &[Letter],
        deal: bool,
    ) -> Result<u64, KafkaFault> {
        let failed = |error: KafkaError| KafkaFault::of("redrive", &error);
        producer.begin_transaction().map_err(failed)?;
        let mut sent = 0;
        for letter in letters {
            let topic = header(&letter.message, ERRORS_TOPIC);
            let (Some(topic), false) = (topic, letter.bytes().is_empty()) else {
                continue;
            };
            let mut record = BaseRecord::to(&topic)
                .key(letter.message.key().unwrap_or_default())
                .payload(letter.bytes())
                .headers(letter.headers());
            if topic == self.config.topics.matches {
                // The partition is the shard.
                let partition = header(&letter.message, ERRORS_PARTITION);
                record.partition = partition.and_then(|text| text.parse().ok());
            }
            producer.send(record).map_err(|(error, _)| failed(error))?;
            sent += 1;
        }
        let dealt = if deal {
            behind(letters)?
        } else {
            TopicPartitionList::new()
        };
        end_transaction(producer, &self.consumer, &dealt)?;
        Ok(sent)
    }

    /// Partitions of dead letters, and from where on they were not dealt with.
    fn places(&self) -> Result<Vec<(String, i32, Offset)>, KafkaFault> {
        let failed = |error: KafkaError| KafkaFault::of("read dead letters", &error);
        let metadata = self
            .consumer
            .fetch_metadata(None, PATIENCE)
            .map_err(failed)?;
        let mut list = TopicPartitionList::new();
        let of_inputs = inputs(&self.config).map(|(topic, _)| topic);
        for topic in of_inputs.chain([self.config.topics.matches.clone()]) {
            let name = dead_letters(&topic);
            let known = metadata
                .topics()
                .iter()
                .filter(|topic| topic.name() == name);
            for partition in known.flat_map(rdkafka::metadata::MetadataTopic::partitions) {
                list.add_partition(&name, partition.id());
            }
        }
        if list.count() == 0 {
            return Ok(Vec::new());
        }
        let committed = self
            .consumer
            .committed_offsets(list, Duration::from_secs(30))
            .map_err(failed)?;
        let mut places = Vec::new();
        for element in committed.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            let (low, _) = self
                .consumer
                .fetch_watermarks(topic, partition, PATIENCE)
                .map_err(failed)?;
            // Letters that were not dealt with may have grown too old for the topic.
            let from = element.offset().to_raw().unwrap_or(low).max(low);
            places.push((topic.to_owned(), partition, Offset::Offset(from)));
        }
        Ok(places)
    }
}

/// The offsets behind these letters.
fn behind(letters: &[Letter]) -> Result<TopicPartitionList, KafkaFault> {
    let mut next = std::collections::BTreeMap::new();
    for letter in letters {
        let message = &letter.message;
        next.insert((message.topic(), message.partition()), message.offset() + 1);
    }
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in next {
        list.add_partition_offset(topic, partition, Offset::Offset(offset))
            .map_err(|error| KafkaFault::of("commit offsets", &error))?;
    }
    Ok(list)
}
