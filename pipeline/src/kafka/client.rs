//! How Kafka is reached, and with which settings.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::ProducerContext;

use crate::config::KafkaConfig;

/// How long a question to a broker may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// 64 MiB: the client's own bound of a message, beyond any event. What the topic takes is asked of the broker.
const MESSAGE_BYTES_MAX: &str = "67108864";

/// 128 MiB: messages in memory on their way to brokers; whoever sends more waits.
const QUEUE_KIB_MAX: &str = "131072";

/// The library's own bound of a batch.
const BATCH_BYTES_MAX: usize = 1_000_000;

/// Why Kafka could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Kafka: {text}")]
pub struct KafkaFault {
    text: String,
    /// The brokers refused a message for what it is: trying it again is in vain.
    is_poison: bool,
}

impl KafkaFault {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_poison: false,
        }
    }

    pub(crate) fn is_poison(&self) -> bool {
        self.is_poison
    }

    /// What was tried, and how it went.
    pub(crate) fn of(what: &str, error: &KafkaError) -> Self {
        Self {
            text: format!("cannot {what}: {}", explain(error)),
            is_poison: is_refusal(error),
        }
    }
}

/// Whether the brokers, or the library, refuse a message for what it is.
fn is_refusal(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::MessageBatchTooLarge
                | RDKafkaErrorCode::InvalidRecord
                | RDKafkaErrorCode::InvalidMessage
        )
    )
}

/// The text of an error, with what it mostly means.
pub(crate) fn explain(error: &KafkaError) -> String {
    let hint = match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced) => {
            " (another process has taken this one's name: give each its own kafka.instance)"
        }
        Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown) => {
            " (no broker can be reached: see kafka.brokers, TLS and SASL in kafka.settings)"
        }
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::TransactionalIdAuthorizationFailed,
        ) => " (docs/kafka.md lists the rights that are needed)",
        _ => "",
    };
    format!("{error}{hint}")
}

/// The settings that all connections share.
#[derive(Clone, Debug)]
pub struct Client {
    base: ClientConfig,
}

impl Client {
    /// Reads secrets, and has the library check names and values.
    ///
    /// # Errors
    /// If a secret cannot be read or a setting is refused; nothing is connected to.
    pub fn new(config: &KafkaConfig) -> Result<Self, KafkaFault> {
        let mut base = ClientConfig::new();
        base.set("bootstrap.servers", config.brokers.join(","))
            .set("client.id", format!("tidewatch-{}", config.instance))
            .set("reconnect.backoff.max.ms", "2000")
            // Brokers close idle connections; that is no news.
            .set("log.connection.close", "false")
            .set_log_level(RDKafkaLogLevel::Warning);
        for (name, value) in &config.settings {
            base.set(name, value);
        }
        for (name, secret) in &config.secrets {
            base.set(name, secret.read().map_err(KafkaFault::new)?);
        }
        base.create_native_config()
            .map_err(|error| KafkaFault::new(format!("kafka.settings: {error}")))?;
        Ok(Self { base })
    }

    /// The settings of all, with what a user may change, and then what nobody may.
    pub(crate) fn with(&self, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = self.base.clone();
        for (name, value) in defaults {
            if self.base.get(name).is_none() {
                config.set(*name, *value);
            }
        }
        for (name, value) in fixed {
            config.set(*name, *value);
        }
        config
    }

    /// A transactional producer's settings. No batch of its messages is larger than `batch_bytes`: what the least of its topics takes.
    pub(crate) fn transactional(&self, id: &str, batch_bytes: usize) -> ClientConfig {
        self.producer(
            batch_bytes,
            &[
                ("linger.ms", "5"),
                // An open transaction of a process that died holds up all readers for so long.
                ("transaction.timeout.ms", "20000"),
                ("message.timeout.ms", "15000"),
            ],
            ("transactional.id", id),
        )
    }

    /// An idempotent producer's settings; `patience` bounds how long a message may take, `batch_bytes` a batch of them.
    pub(crate) fn idempotent(&self, patience: Duration, batch_bytes: usize) -> ClientConfig {
        let patience_ms = patience.as_millis().to_string();
        let own = ("message.timeout.ms", patience_ms.as_str());
        self.producer(batch_bytes, &[("linger.ms", "2")], own)
    }

    /// What all producers have, with defaults and one fixed setting of its own.
    fn producer(
        &self,
        batch_bytes: usize,
        defaults: &[(&str, &str)],
        own: (&str, &str),
    ) -> ClientConfig {
        let batch = batch_bytes.min(BATCH_BYTES_MAX).to_string();
        let fixed = [
            own,
            ("batch.size", &batch),
            ("queue.buffering.max.kbytes", QUEUE_KIB_MAX),
            ("acks", "all"),
            ("enable.idempotence", "true"),
            // Java's choice: joins by key with its producers work.
            ("partitioner", "murmur2_random"),
            ("message.max.bytes", MESSAGE_BYTES_MAX),
        ];
        self.with(
            &[&[("compression.type", "zstd")], defaults].concat(),
            &fixed,
        )
    }

    /// A consumer's settings. `group` may be one that is only used to keep offsets.
    pub(crate) fn consumer(&self, group: &str) -> ClientConfig {
        self.with(
            &[
                ("session.timeout.ms", "10000"),
                ("queued.max.messages.kbytes", "16384"),
                ("fetch.max.bytes", "16777216"),
                ("statistics.interval.ms", "5000"),
            ],
            &[
                ("group.id", group),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                // Offsets that are gone are told, never jumped over.
                ("auto.offset.reset", "error"),
                ("isolation.level", "read_committed"),
                ("partition.assignment.strategy", "cooperative-sticky"),
            ],
        )
    }
}

/// What the library says of itself goes where all else does.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    // Settings are shared by consumers and producers: that some mean nothing to one of them is no news.
    if facility == "CONFWARN" {
        return;
    }
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(facility, "kafka: {message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(facility, "kafka: {message}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(facility, "kafka: {message}"),
    }
}

/// The client of one that has nothing of its own to tell.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
    }
}

impl rdkafka::consumer::ConsumerContext for Quiet {}

/// Remembers the first message that could not be delivered.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    failed: Mutex<Option<(KafkaError, String)>>,
}

impl Deliveries {
    /// The first failure since the last time.
    pub(crate) fn take_failure(&self) -> Option<(KafkaError, String)> {
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert_with(|| (error.clone(), message.topic().to_owned()));
        }
    }
}
