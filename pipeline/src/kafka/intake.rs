//! From a request's body to the input topic: cut as it comes in, acknowledged when all of its messages are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::clock::Clock;
use crate::spool::{BodyMeta, Room, SourceKind};

use super::client::{Client, KafkaFault, explain, log};
use super::cut::{Cutter, Piece};
use super::message::{Burial, Chunk, Envelope};
use super::topics::{TopicFacts, dead_letters};

/// 128 MiB: bodies in memory, until brokers have them.
const IN_FLIGHT_BYTES: usize = 128 << 20;

/// The largest message is one part of this; what a message has besides its value must fit, too.
const OVERHEAD_BYTES: usize = 4096;

/// 1 MiB: the largest message that is cut, also where brokers would take more: a transaction holds some of them.
const CUT_BYTES_MAX: usize = 1 << 20;

/// How long a message may take. The API server gives up after 30 s.
const DELIVERY: Duration = Duration::from_secs(20);

/// How long the last messages are waited for when the process ends.
const FLUSH: Duration = Duration::from_secs(5);

/// Writes bodies to the input topic.
pub struct KafkaIntake {
    producer: ThreadedProducer<Acknowledgements>,
    topic: String,
    limit: usize,
    budget: Arc<Semaphore>,
    next_body: AtomicU64,
    /// Drawn at start, so that parts of this process's bodies are told from those of others.
    run: String,
    clock: Clock,
}

/// What the brokers say, for all bodies.
#[derive(Debug, Default)]
struct Acknowledgements {
    /// No broker can be reached, or the last message failed.
    is_down: Arc<AtomicBool>,
}

/// A message that waits for its acknowledgement: whoever waits for it, and its memory.
struct Waiting {
    done: mpsc::UnboundedSender<Result<(), String>>,
    _room: OwnedSemaphorePermit,
}

impl ClientContext for Acknowledgements {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.is_down.store(true, Ordering::Relaxed);
        }
        tracing::debug!(%error, reason, "kafka");
    }
}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = Box<Waiting>;

    fn delivery(&self, result: &DeliveryResult<'_>, waiting: Box<Waiting>) {
        let told = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(explain(error)),
        };
        self.is_down.store(told.is_err(), Ordering::Relaxed);
        // Its sender may have gone away.
        let _heard = waiting.done.send(told);
    }
}

impl std::fmt::Debug for KafkaIntake {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "KafkaIntake({})", self.topic)
    }
}

impl KafkaIntake {
    /// Writes to this topic, with messages that it takes.
    ///
    /// # Errors
    /// If no producer can be had; whether brokers answer shows later.
    pub fn new(
        client: &Client,
        topic: &str,
        facts: TopicFacts,
        clock: Clock,
    ) -> Result<Arc<Self>, KafkaFault> {
        let producer = client
            .idempotent(DELIVERY, facts.message_bytes_max)
            .create_with_context(Acknowledgements::default())
            .map_err(|error| KafkaFault::of("connect", &error))?;
        let limit = facts
            .message_bytes_max
            .saturating_sub(OVERHEAD_BYTES)
            .min(CUT_BYTES_MAX);
        let run = crate::hex::hex(&clock.now_us().to_be_bytes()[2..]);
        Ok(Arc::new(Self {
            producer,
            topic: topic.to_owned(),
            limit: limit.max(OVERHEAD_BYTES),
            budget: Arc::new(Semaphore::new(IN_FLIGHT_BYTES)),
            next_body: AtomicU64::new(0),
            run: format!("{run}-{:x}", std::process::id()),
            clock,
        }))
    }

    /// Whether there is room.
    #[must_use]
    pub fn room(&self) -> Room {
        let is_down = self.producer.context().is_down.load(Ordering::Relaxed);
        // While nothing is under way, one body may try whether it is over.
        if is_down && self.producer.in_flight_count() > 0 {
            return Room::BrokersDown;
        }
        Room::Free
    }

    /// Whether the last that was heard of brokers is that they cannot be reached.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.producer.context().is_down.load(Ordering::Relaxed)
    }

    /// Bytes that wait for brokers.
    #[must_use]
    pub fn in_flight_bytes(&self) -> usize {
        IN_FLIGHT_BYTES - self.budget.available_permits()
    }

    /// Begins a body.
    #[must_use]
    pub fn begin(self: &Arc<Self>, meta: &BodyMeta) -> KafkaBody {
        let number = self.next_body.fetch_add(1, Ordering::Relaxed);
        let cutter = match meta.source {
            // What a cloud wraps is unwrapped as a whole.
            SourceKind::Firehose | SourceKind::Pubsub => Cutter::raw(self.limit),
            _ => Cutter::new(self.limit),
        };
        let (done, answers) = mpsc::unbounded_channel();
        KafkaBody {
            intake: self.clone(),
            envelope: Envelope {
                source: meta.source,
                cluster: meta.cluster.as_str().into(),
                origin: meta.origin.clone(),
                received_us: self.clock.now_us(),
                chunk: None,
            },
            id: format!("{}-{number}", self.run),
            cutter,
            pieces: Vec::new(),
            bytes: 0,
            sent: 0,
            done,
            answers,
        }
    }

    /// Waits for what is under way, at most for a while.
    pub fn close(&self) {
        if let Err(error) = self.producer.flush(FLUSH) {
            tracing::warn!(%error, "some bodies were not acknowledged; their senders will come again");
        }
    }

    async fn send(
        &self,
        topic: &str,
        key: &str,
        value: &[u8],
        headers: rdkafka::message::OwnedHeaders,
        done: &mpsc::UnboundedSender<Result<(), String>>,
    ) -> Result<(), String> {
        let permits = u32::try_from(value.len().clamp(1, IN_FLIGHT_BYTES)).unwrap_or(u32::MAX);
        let room = self.budget.clone().acquire_many_owned(permits).await;
        let waiting = Waiting {
            done: done.clone(),
            _room: room.map_err(|error| error.to_string())?,
        };
        let mut record = BaseRecord::with_opaque_to(topic, Box::new(waiting))
            .key(key)
            .payload(value)
            .headers(headers);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, again)) => {
                    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                        return Err(explain(&error));
                    }
                    record = again;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }
}

/// A body on its way. If it is dropped before it is finished, its sender was not told that it is there; what of it came into the
/// topic is evaluated, and its sender's next try is recognised by its events.
pub struct KafkaBody {
    intake: Arc<KafkaIntake>,
    envelope: Envelope,
    id: String,
    cutter: Cutter,
    pieces: Vec<Piece>,
    bytes: u64,
    sent: usize,
    done: mpsc::UnboundedSender<Result<(), String>>,
    answers: mpsc::UnboundedReceiver<Result<(), String>>,
}

impl KafkaBody {
    /// Bytes so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes bytes in, and sends what has become whole.
    ///
    /// # Errors
    /// If brokers do not take it.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.bytes += bytes.len() as u64;
        self.cutter.push(bytes, &mut self.pieces);
        self.send_pieces().await
    }

    /// Ends the body, and waits until brokers have all of it.
    ///
    /// # Errors
    /// If they have not: then its sender has to come again.
    pub async fn finish(mut self, left_out: u64) -> Result<(), String> {
        self.cutter.finish(&mut self.pieces);
        self.send_pieces().await?;
        if left_out > 0 {
            self.tell_left_out(left_out).await?;
        }
        for _ in 0..self.sent {
            match self.answers.recv().await {
                Some(told) => told?,
                None => return Err("nobody waits for brokers any more".to_owned()),
            }
        }
        Ok(())
    }

    async fn send_pieces(&mut self) -> Result<(), String> {
        for piece in std::mem::take(&mut self.pieces) {
            let (key, chunk, bytes) = match piece {
                // The same bytes go to the same partition, whichever process they come through: so repeats meet.
                Piece::Whole(bytes) => (self.key_of(&bytes), None, bytes),
                Piece::Part {
                    of,
                    number,
                    last,
                    bytes,
                } => {
                    let of = format!("{}-{of}", self.id);
                    let chunk = Chunk {
                        of: of.clone(),
                        number,
                        last,
                    };
                    (of, Some(chunk), bytes)
                }
            };
            let headers = Envelope {
                chunk,
                ..self.envelope.clone()
            }
            .headers();
            let topic = self.intake.topic.clone();
            self.intake
                .send(&topic, &key, &bytes, headers, &self.done)
                .await?;
            self.sent += 1;
        }
        Ok(())
    }

    fn key_of(&self, bytes: &[u8]) -> String {
        let hash = twox_hash::XxHash3_64::oneshot(bytes);
        format!("{}/{hash:016x}", self.envelope.cluster)
    }

    async fn tell_left_out(&mut self, left_out: u64) -> Result<(), String> {
        let explanation = format!(
            "{left_out} bytes of this body were beyond the limit and are not kept; the {} before are evaluated",
            self.bytes
        );
        let burial = Burial {
            topic: &self.intake.topic,
            partition: -1,
            offset: -1,
            stage: "READ",
            reason: "body_too_large",
            explanation: &explanation,
            envelope: Some(&self.envelope),
            is_whole: false,
        };
        let topic = dead_letters(&self.intake.topic);
        let headers = burial.headers();
        self.intake
            .send(&topic, &self.id, &[], headers, &self.done)
            .await?;
        self.sent += 1;
        Ok(())
    }
}
