//! The topics: made if they are missing, and looked at before anything depends on them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::RDKafkaErrorCode;

use crate::config::KafkaConfig;

use super::client::{Client, KafkaFault, PATIENCE, Quiet};

/// 64 MiB: the largest message of topics that only we use. One event and its act fit in it.
const INNER_BYTES_MAX: &str = "67108864";

/// What is known of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    /// Its partitions.
    pub partitions: i32,
    /// The largest batch of messages that it takes.
    pub message_bytes_max: usize,
}

/// What the topics of an installation take, bytes of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of matches and state.
    pub inner: usize,
    /// Of alerts.
    pub alerts: usize,
    /// Of dead letters, the least of all.
    pub letters: usize,
}

/// What a message has besides its value: key, headers, and the batch that it comes in.
const OVERHEAD_BYTES: usize = 8192;

impl Limits {
    /// The least of them: no batch may be larger.
    pub(super) fn least(&self) -> usize {
        self.inner.min(self.alerts).min(self.letters)
    }

    /// As the brokers say.
    #[must_use]
    pub fn of(config: &KafkaConfig, facts: &BTreeMap<String, TopicFacts>) -> Self {
        let of = |topic: &str| {
            let bytes = facts
                .get(topic)
                .map_or(1_000_000, |facts| facts.message_bytes_max);
            bytes.saturating_sub(OVERHEAD_BYTES).max(OVERHEAD_BYTES)
        };
        let topics = &config.topics;
        let read = inputs(config).map(|(topic, _)| topic);
        Self {
            inner: of(&topics.matches).min(of(&topics.state)),
            alerts: of(&topics.alerts),
            letters: read
                .map(|topic| of(&dead_letters(&topic)))
                .min()
                .unwrap_or(OVERHEAD_BYTES),
        }
    }
}

/// The topics of an installation.
#[derive(Debug)]
pub struct Topics {
    admin: AdminClient<Quiet>,
    runtime: tokio::runtime::Runtime,
}

/// A topic that is needed.
#[derive(Clone, Debug)]
struct Wanted<'a> {
    name: &'a str,
    partitions: i32,
    settings: &'a [(&'a str, &'a str)],
}

/// The name of the dead letters of a topic.
pub(super) fn dead_letters(topic: &str) -> String {
    format!("{topic}.dlq")
}

impl Topics {
    /// Connects.
    ///
    /// # Errors
    /// If that is not possible at all; a broker that does not answer shows later.
    pub fn new(client: &Client) -> Result<Self, KafkaFault> {
        let admin = AdminClient::from_config_and_context(&client.with(&[], &[]), Quiet)
            .map_err(|error| KafkaFault::of("connect", &error))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|error| KafkaFault::new(error.to_string()))?;
        Ok(Self { admin, runtime })
    }

    /// Makes what is missing for `state = "kafka"`, and looks whether what is there will do.
    ///
    /// # Errors
    /// All that is wrong, with what to do.
    pub fn prepare(
        &self,
        config: &KafkaConfig,
    ) -> Result<BTreeMap<String, TopicFacts>, KafkaFault> {
        let topics = &config.topics;
        let inner = [("max.message.bytes", INNER_BYTES_MAX)];
        // Only closed segments are compacted: with small ones, and soon, a shard is restored from little more than its state.
        let compacted = [
            ("max.message.bytes", INNER_BYTES_MAX),
            ("cleanup.policy", "compact"),
            ("segment.bytes", "134217728"),
            ("min.cleanable.dirty.ratio", "0.1"),
            ("max.compaction.lag.ms", "3600000"),
        ];
        let outer = |name| Wanted {
            name,
            partitions: topics.partitions,
            settings: &[],
        };
        let read = inputs(config)
            .map(|(topic, _)| topic)
            .chain([topics.matches.clone()]);
        let letters: Vec<String> = read.map(|topic| dead_letters(&topic)).collect();
        let mut wanted = vec![
            outer(&topics.input),
            outer(&topics.alerts),
            Wanted {
                name: &topics.matches,
                partitions: topics.shards,
                settings: &inner,
            },
            Wanted {
                name: &topics.state,
                partitions: topics.shards,
                settings: &compacted,
            },
        ];
        // A match that is buried is kept whole: it can be sent again.
        let of_matches = dead_letters(&topics.matches);
        wanted.extend(letters.iter().map(|name| Wanted {
            name,
            partitions: 1,
            settings: if *name == of_matches { &inner } else { &[] },
        }));
        self.make(&wanted, topics.replication)?;
        let names: Vec<String> = wanted.iter().map(|wanted| wanted.name.to_owned()).collect();
        self.await_known(&names)?;
        self.check(config, self.facts(names)?)
    }

    /// Makes the topic of a sink if it is missing.
    ///
    /// # Errors
    /// If it cannot be had.
    pub fn prepare_one(&self, config: &KafkaConfig, topic: &str) -> Result<TopicFacts, KafkaFault> {
        let wanted = Wanted {
            name: topic,
            partitions: config.topics.partitions,
            settings: &[],
        };
        self.make(&[wanted], config.topics.replication)?;
        let names = vec![topic.to_owned()];
        self.await_known(&names)?;
        let facts = self.facts(names)?;
        let found = facts.get(topic).copied();
        found.ok_or_else(|| KafkaFault::new(format!("there is no topic {topic}")))
    }

    fn make(&self, wanted: &[Wanted<'_>], replication: i32) -> Result<(), KafkaFault> {
        let known = self.partitions()?;
        let missing = wanted
            .iter()
            .filter(|wanted| !known.contains_key(wanted.name));
        let new: Vec<NewTopic<'_>> = missing
            .map(|wanted| {
                let replication = TopicReplication::Fixed(replication);
                let mut topic = NewTopic::new(wanted.name, wanted.partitions, replication);
                for (name, value) in wanted.settings {
                    topic = topic.set(name, value);
                }
                topic
            })
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let made = self
            .runtime
            .block_on(self.admin.create_topics(&new, &options));
        let made = made.map_err(|error| KafkaFault::of("make topics", &error))?;
        let mut faults = Vec::new();
        for result in made {
            match result {
                Ok(topic) => tracing::info!(topic, "made the topic"),
                // Another process of the group was faster.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => faults.push(format!("cannot make the topic {topic}: {code}")),
            }
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(KafkaFault::new(faults.join("; ")))
    }

    /// A topic that was just made is not known to all brokers at once.
    fn await_known(&self, names: &[String]) -> Result<(), KafkaFault> {
        let until = Instant::now() + PATIENCE;
        loop {
            let known = self.partitions()?;
            let missing = names.iter().find(|name| !known.contains_key(*name));
            match missing {
                None => return Ok(()),
                Some(name) if Instant::now() > until => {
                    return Err(KafkaFault::new(format!(
                        "the topic {name} was made, and is not there"
                    )));
                }
                Some(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    fn partitions(&self) -> Result<BTreeMap<String, i32>, KafkaFault> {
        let metadata = self
            .admin
            .inner()
            .fetch_metadata(None, PATIENCE)
            .map_err(|error| KafkaFault::of("ask for topics", &error))?;
        let topics = metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none());
        Ok(topics
            .map(|topic| {
                let count = i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX);
                (topic.name().to_owned(), count)
            })
            .collect())
    }

    fn facts(&self, names: Vec<String>) -> Result<BTreeMap<String, TopicFacts>, KafkaFault> {
        let known = self.partitions()?;
        let asked: Vec<ResourceSpecifier<'_>> = names
            .iter()
            .map(|name| ResourceSpecifier::Topic(name))
            .collect();
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let found = self
            .runtime
            .block_on(self.admin.describe_configs(&asked, &options));
        let found =
            found.map_err(|error| KafkaFault::of("ask for the topics' settings", &error))?;
        let mut facts = BTreeMap::new();
        for (name, settings) in names.into_iter().zip(found) {
            let partitions = known.get(&name).copied().unwrap_or(0);
            let settings = settings.map_err(|code| {
                KafkaFault::new(format!("cannot ask for the settings of {name}: {code}"))
            })?;
            let limit = settings
                .get("max.message.bytes")
                .and_then(|entry| entry.value.as_ref()?.parse().ok());
            facts.insert(
                name,
                TopicFacts {
                    partitions,
                    message_bytes_max: limit.unwrap_or(1_000_000),
                },
            );
        }
        Ok(facts)
    }

    fn check(
        &self,
        config: &KafkaConfig,
        facts: BTreeMap<String, TopicFacts>,
    ) -> Result<BTreeMap<String, TopicFacts>, KafkaFault> {
        let topics = &config.topics;
        let partitions = |name: &String| facts.get(name).map_or(0, |facts| facts.partitions);
        let mut faults = Vec::new();
        let (matches, state) = (partitions(&topics.matches), partitions(&topics.state));
        if matches != state {
            faults.push(format!(
                "{} has {matches} partitions and {} has {state}: they must have the same number, since a shard is a partition of both",
                topics.matches, topics.state
            ));
        }
        let known = self.partitions()?;
        for (topic, _) in inputs(config).filter(|(topic, _)| !known.contains_key(topic)) {
            // It may come yet; the other topics are read meanwhile.
            tracing::warn!(
                topic,
                "there is no such topic: kafka.sources names topics of others, which are not made"
            );
        }
        for inner in [&topics.matches, &topics.state] {
            let limit = facts.get(inner).map_or(0, |facts| facts.message_bytes_max);
            if limit < 4 << 20 {
                tracing::warn!(
                    topic = inner,
                    limit,
                    "larger events will be cut: set its max.message.bytes to {INNER_BYTES_MAX}"
                );
            }
        }
        if faults.is_empty() {
            return Ok(facts);
        }
        Err(KafkaFault::new(faults.join("; ")))
    }
}

/// All topics that are read, each with the cluster of its events.
pub(super) fn inputs(config: &KafkaConfig) -> impl Iterator<Item = (String, String)> {
    let own = (config.topics.input.clone(), "default".to_owned());
    let others = config.sources.iter().flat_map(|source| {
        let cluster = source.cluster.clone();
        let topics = source.topics.iter().cloned();
        topics.map(move |topic| (topic, cluster.clone()))
    });
    std::iter::once(own).chain(others)
}
