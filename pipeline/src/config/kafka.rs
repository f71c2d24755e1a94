//! What the configuration says of Kafka.

use std::collections::BTreeMap;

use super::resolve::Resolver;
use super::resolved::{Config, KafkaConfig, KafkaSource, KafkaTopics, StateKind};
use super::values::{Secret, Value};

/// Settings that what is promised depends on, with what they are for. They are ours.
const OURS: &[&str] = &[
    "acks",
    "auto.offset.reset",
    "batch.size",
    "bootstrap.servers",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.protocol",
    "isolation.level",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "partitioner",
    "request.required.acks",
    "transactional.id",
];

/// Settings whose values are secrets.
const SECRETS: &[&str] = &[
    "sasl.oauthbearer.client.secret",
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
];

impl Resolver<'_> {
    /// Kafka, if there are brokers.
    pub(super) fn kafka(&mut self) -> Option<KafkaConfig> {
        let brokers = self.texts("kafka.brokers");
        if brokers.is_empty() {
            return None;
        }
        let instance = self.optional("kafka.instance");
        Some(KafkaConfig {
            brokers,
            group: self.text("kafka.group"),
            instance: instance.unwrap_or_else(host_name),
            settings: self.settings(),
            secrets: self.secrets(),
            format: self.format("kafka"),
            topics: self.topics(),
            sources: self.kafka_sources(),
        })
    }

    fn topics(&self) -> KafkaTopics {
        let name = |name: &str| self.text(&format!("kafka.topics.{name}"));
        let count = |name: &str| {
            i32::try_from(self.number(&format!("kafka.topics.{name}"))).unwrap_or(i32::MAX)
        };
        KafkaTopics {
            input: name("input"),
            matches: name("matches"),
            state: name("state"),
            alerts: name("alerts"),
            partitions: count("partitions"),
            shards: count("shards"),
            replication: count("replication"),
        }
    }

    fn kafka_sources(&mut self) -> Vec<KafkaSource> {
        let mut sources = Vec::new();
        for path in self.values.children("kafka.sources") {
            let list = format!("{path}.topics");
            let topics = self.texts(&list);
            if topics.is_empty() {
                self.missing(&list, "a source names the topics that it reads");
            }
            sources.push(KafkaSource {
                topics,
                cluster: self.text(&format!("{path}.cluster")),
            });
        }
        sources
    }

    fn settings(&self) -> BTreeMap<String, String> {
        match self.value("kafka.settings") {
            Some(Value::Settings(settings)) => settings,
            _ => BTreeMap::new(),
        }
    }

    fn secrets(&self) -> BTreeMap<String, Secret> {
        match self.value("kafka.secrets") {
            Some(Value::Secrets(secrets)) => secrets,
            _ => BTreeMap::new(),
        }
    }

    /// What no field can say alone.
    pub(super) fn check_kafka(&mut self, config: &Config) {
        let of_kafka = config.state == StateKind::Kafka;
        if config.kafka.is_none() && of_kafka {
            self.missing(
                "kafka.brokers",
                "Kafka is used, and nobody knows where it is",
            );
        }
        if !of_kafka && !self.values.children("kafka.sources").is_empty() {
            let message = "topics are read by processes that have their state in Kafka";
            let help = "set state = \"kafka\", or let the webhook send here";
            self.fault("kafka.sources[0].topics", message.to_owned(), help);
        }
        for name in self.settings().keys() {
            if OURS.contains(&name.as_str()) {
                let message =
                    format!("`{name}` is not for you to set: what is promised depends on it");
                self.fault("kafka.settings", message, "leave it out");
            } else if SECRETS.contains(&name.as_str()) {
                let message =
                    format!("`{name}` is a secret, and secrets do not stand in this file");
                let help = "say where it is: kafka.secrets = { \"…\" = { file = \"…\" } }";
                self.fault("kafka.settings", message, help);
            }
        }
        if !of_kafka {
            return;
        }
        if let Some(sink) = config.sinks.first() {
            let message =
                "with state in Kafka alerts go to its topic, and to no sink of this process";
            let help = "read the topic from there, or keep state embedded";
            self.fault(&format!("sinks.{}", sink.name), message.to_owned(), help);
        }
        if !config.files.is_empty() {
            let message =
                "with state in Kafka no files are followed: how far they were read is kept nowhere";
            let help = "follow them with a process of embedded state, or ship them to a topic of kafka.sources";
            self.fault("files[0]", message.to_owned(), help);
        }
        let Some(kafka) = &config.kafka else { return };
        let topics = &kafka.topics;
        let mut names = vec![
            &topics.input,
            &topics.matches,
            &topics.state,
            &topics.alerts,
        ];
        names.extend(kafka.sources.iter().flat_map(|source| &source.topics));
        names.sort_unstable();
        if let Some([twice, _]) = names.array_windows().find(|[one, next]| one == next) {
            let message = format!("the topic `{twice}` is used for two things");
            self.fault("kafka.topics.input", message, "give each its own");
        }
    }

    fn fault(&mut self, path: &str, message: String, help: &str) {
        let span = self.values.span(path);
        self.sink.error("kafka", span, message).help(help);
    }
}

/// What this host is called; in Kubernetes, the pod's name.
fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
