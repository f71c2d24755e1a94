//! Two threads, one for each half of evaluation. Each owns a consumer and a transactional producer: it collects messages, and
//! evaluates them in a transaction.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message as _, OwnedMessage};

use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::KafkaConfig;
use crate::live::{Live, LiveOptions};

use super::care::Care;
use super::client::{Client, KafkaFault, explain};
use super::connection::{Change, Connection, Offsets};
use super::gaps::{begin_reading, mend};
use super::judging::{FirstHalf, Judging, bury};
use super::lag::Lag;
use super::message::Burial;
use super::settling::{SecondHalf, Settling};
use super::topics::{Limits, TopicFacts};

/// How long it is waited for the first message.
const IDLE_WAIT: Duration = Duration::from_millis(100);

/// If no message comes for so long, what is there is drained.
const DRAINED: Duration = Duration::from_millis(10);

/// 16 MiB: what one transaction evaluates at most, about.
const ROUND_BYTES: usize = 16 << 20;

/// A session without a fault for so long is sound, also if there was nothing to commit.
const SOUND: Duration = Duration::from_secs(5);

/// The first pause after a session failed; it doubles up to the last.
const PAUSE_MIN: Duration = Duration::from_millis(200);

/// The longest pause between two sessions.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// How often it is noted how far behind the partitions are.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What both halves need.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) config: KafkaConfig,
    pub(super) options: LiveOptions,
    pub(super) live: Arc<Live>,
    pub(super) clock: Clock,
    pub(super) lag: Arc<Lag>,
    /// Partitions of the topics of matches and of state.
    pub(super) shards: i32,
    pub(super) limits: Limits,
}

/// A half with a set of rules.
pub(super) trait Half {
    /// Its name, as in ids of groups and transactions.
    const NAME: &'static str;
    /// Whether messages of a partition wait until [`Half::prepare`] has them resumed.
    const WAITS: bool;
    /// The topics that it reads.
    fn topics(config: &KafkaConfig) -> Vec<String>;
    /// A partition is read from here on.
    fn assign(&mut self, topic: &str, partition: i32, offset: i64, metadata: &str);
    /// A partition is another's.
    fn revoke(&mut self, topic: &str, partition: i32);
    /// Gets ready for partitions that came. Called without an open transaction.
    fn prepare(&mut self, connection: &Connection) -> Result<(), KafkaFault>;
    /// Whether there is something to do without any message.
    fn is_due(&self, now_us: i64) -> bool;
    /// Evaluates within a transaction; the offsets to commit with it.
    fn round(
        &mut self,
        connection: &Connection,
        messages: &[OwnedMessage],
        now_us: i64,
    ) -> Result<Offsets, KafkaFault>;
    /// Leaves a message out; the offsets behind it.
    fn pass(&mut self, message: &OwnedMessage) -> Offsets;
    /// The transaction was committed.
    fn committed(&mut self, now_us: i64);
    /// Notes what it holds.
    fn look(&self, _: &Lag) {}
}

/// Why rounds ended.
enum Ended {
    Rules,
    Stop,
}

/// Evaluates what is in Kafka.
pub struct Worker {
    shared: Shared,
}

impl Worker {
    /// Nothing is connected to yet. `facts` are those of the topics.
    #[must_use]
    pub fn new(
        client: Client,
        config: KafkaConfig,
        facts: &BTreeMap<String, TopicFacts>,
        options: LiveOptions,
        live: Arc<Live>,
        clock: Clock,
    ) -> Self {
        let matches = facts.get(&config.topics.matches);
        let shared = Shared {
            client,
            shards: matches.map_or(1, |facts| facts.partitions),
            limits: Limits::of(&config, facts),
            config,
            options,
            live,
            clock,
            lag: Arc::default(),
        };
        Self { shared }
    }

    /// How far it is behind.
    #[must_use]
    pub fn lag(&self) -> Arc<Lag> {
        self.shared.lag.clone()
    }

    /// Evaluates until told to stop. A session that fails is followed by another one.
    ///
    /// # Errors
    /// If a thread fails.
    pub fn run(self) -> io::Result<()> {
        let shared = &self.shared;
        let ended = std::thread::scope(|scope| {
            let judging = std::thread::Builder::new()
                .name("judging".to_owned())
                .spawn_scoped(scope, || shared.sessions::<FirstHalf<'_>>(Shared::judge))?;
            shared.sessions::<SecondHalf<'_>>(Shared::settle);
            let failed = |_| io::Error::other("the thread that judges has failed");
            judging.join().map_err(failed)
        });
        shared.live.told.send_modify(|told| told.ended = true);
        ended
    }
}

impl Shared {
    /// One session after the other, until told to stop.
    fn sessions<H: Half>(
        &self,
        session: impl Fn(&Self, &Connection, &mut Care) -> Result<(), KafkaFault>,
    ) {
        let mut pause = PAUSE_MIN;
        let mut care = Care::default();
        while !self.live.is_stopping() {
            let begun = Instant::now();
            let ended = self.connect::<H>().and_then(|connection| {
                self.lag
                    .change(|lag| *lag.sessions.entry(H::NAME).or_default() += 1);
                // A fault of ours in one message must not end the thread in silence.
                let ended =
                    catch_unwind(AssertUnwindSafe(|| session(self, &connection, &mut care)));
                connection.close();
                ended.unwrap_or_else(|_| {
                    care.panicked();
                    Err(KafkaFault::new(
                        "evaluation failed; its message stands above",
                    ))
                })
            });
            // What it held is nobody's now, or another's.
            self.lag.change(|lag| lag.leave(H::NAME, H::WAITS));
            let Err(fault) = ended else { return };
            tracing::error!(half = H::NAME, %fault, "evaluation begins anew from what was committed");
            let faults = self
                .lag
                .change(|lag| drop(lag.faults.insert(H::NAME, fault.to_string())));
            self.live.told.send_modify(|told| {
                told.failed_commits += 1;
                told.fault = faults;
            });
            if begun.elapsed() > PAUSE_MAX {
                pause = PAUSE_MIN;
            }
            self.pause(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn connect<H: Half>(&self) -> Result<Connection, KafkaFault> {
        let config = &self.config;
        // A group for each half: so each half is shared out evenly by itself.
        let group = format!("{}.{}", config.group, H::NAME);
        let id = format!("{group}.{}", config.instance);
        Connection::open(&self.client, &group, &id, &H::topics(config), self.limits)
    }

    fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.live.is_stopping() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn judge(&self, connection: &Connection, care: &mut Care) -> Result<(), KafkaFault> {
        let mut judging = Judging::new(self);
        loop {
            let catalog = self.live.rules();
            let mut half = FirstHalf::new(self, &mut judging, &catalog);
            if matches!(
                self.rounds(connection, &mut half, &catalog, care)?,
                Ended::Stop
            ) {
                return Ok(());
            }
        }
    }

    fn settle(&self, connection: &Connection, care: &mut Care) -> Result<(), KafkaFault> {
        let mut settling = Settling::default();
        loop {
            let catalog = self.live.rules();
            let mut half = SecondHalf::new(self, &mut settling, &catalog);
            if matches!(
                self.rounds(connection, &mut half, &catalog, care)?,
                Ended::Stop
            ) {
                return Ok(());
            }
            tracing::info!("evaluating with the new rules");
        }
    }

    fn rounds<H: Half>(
        &self,
        connection: &Connection,
        half: &mut H,
        catalog: &Arc<Catalog>,
        care: &mut Care,
    ) -> Result<Ended, KafkaFault> {
        let begun = Instant::now();
        let mut looked = None;
        loop {
            if self.live.is_stopping() {
                return Ok(Ended::Stop);
            }
            if !Arc::ptr_eq(&self.live.rules(), catalog) {
                return Ok(Ended::Rules);
            }
            let messages = self.collect(connection, half, care.messages_max)?;
            half.prepare(connection)?;
            if looked.is_none_or(|looked: Instant| looked.elapsed() >= LOOK_EVERY) {
                looked = Some(Instant::now());
                let behind = connection.consumer.context().behind();
                self.lag
                    .change(|lag| drop(lag.messages.insert(H::NAME, behind)));
                half.look(&self.lag);
                if begun.elapsed() > SOUND {
                    self.sound::<H>(0);
                }
            }
            let now_us = self.clock.now_us();
            if messages.is_empty() && !half.is_due(now_us) {
                continue;
            }
            connection.begin()?;
            care.trying(&messages);
            let offsets = match care.poisoned(&messages) {
                Some((message, why)) => {
                    let burial = Burial {
                        is_whole: H::WAITS,
                        ..Burial::of(message, "cannot_be_evaluated", &why)
                    };
                    let payload = message.payload().unwrap_or_default();
                    let buried = bury(connection, &burial, None, payload);
                    buried.map(|()| half.pass(message))
                }
                None => half.round(connection, &messages, now_us),
            };
            if let Err(fault) = offsets.and_then(|offsets| connection.commit(&offsets)) {
                connection.abort();
                care.failed(&fault);
                return Err(fault);
            }
            care.succeeded();
            half.committed(self.clock.now_us());
            self.sound::<H>(1);
        }
    }

    /// All is well with a half, which has made so many commits since it was last said.
    fn sound<H: Half>(&self, commits: u64) {
        let faults = self.lag.change(|lag| drop(lag.faults.remove(H::NAME)));
        self.live.told.send_modify(|told| {
            told.commits += commits;
            told.fault = faults;
        });
    }

    /// Collects messages for a while. Only here partitions come and go, so what is collected of one that goes is dropped with it.
    fn collect<H: Half>(
        &self,
        connection: &Connection,
        half: &mut H,
        messages_max: usize,
    ) -> Result<Vec<OwnedMessage>, KafkaFault> {
        let (mut messages, mut fresh) = (Vec::<OwnedMessage>::new(), Vec::new());
        let (mut bytes, mut until) = (0, Instant::now() + IDLE_WAIT);
        while bytes < ROUND_BYTES && messages.len() < messages_max {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // What is there is evaluated at once; only while more comes it is waited for.
            let wait = if messages.is_empty() {
                left
            } else {
                left.min(DRAINED)
            };
            let polled = connection.consumer.poll(wait);
            let is_drained = polled.is_none() && !messages.is_empty();
            match polled {
                None => {}
                Some(Ok(message)) => {
                    if messages.is_empty() {
                        // Two transactions lie between an event and its alert: each waits for half the time.
                        until = Instant::now() + self.options.commit_every / 2;
                    }
                    bytes += message.payload_len() + message.key_len();
                    messages.push(message.detach());
                }
                Some(Err(error)) => self.heard(connection, &error)?,
            }
            // Before anything else: what was taken away is not evaluated.
            follow(connection, half, &mut messages, &mut fresh)?;
            if is_drained {
                break;
            }
        }
        begin_reading(connection, &fresh)?;
        Ok(messages)
    }

    /// An error that the consumer tells of. What passes by itself is left to it.
    fn heard(&self, connection: &Connection, error: &KafkaError) -> Result<(), KafkaFault> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                Err(mend(connection, &self.lag))
            }
            Some(
                RDKafkaErrorCode::Fatal
                | RDKafkaErrorCode::PollExceeded
                | RDKafkaErrorCode::GroupAuthorizationFailed,
            ) => Err(KafkaFault::of("read", error)),
            _ => {
                tracing::warn!(
                    error = explain(error),
                    "while reading; it will be tried again"
                );
                Ok(())
            }
        }
    }
}

/// Follows what the group has decided.
fn follow<H: Half>(
    connection: &Connection,
    half: &mut H,
    messages: &mut Vec<OwnedMessage>,
    fresh: &mut Vec<(String, i32, i64)>,
) -> Result<(), KafkaFault> {
    let group = connection.consumer.context();
    for change in group.take_changes() {
        match change {
            Change::Assigned {
                topic,
                partition,
                offset,
                metadata,
            } => {
                let from = match offset {
                    Some(offset) => offset,
                    None => connection.marks(&topic, partition)?.0,
                };
                if H::WAITS {
                    connection.hold(&topic, partition)?;
                }
                half.assign(&topic, partition, from, &metadata);
                if offset.is_none() {
                    fresh.push((topic, partition, from));
                }
            }
            Change::Revoked { topic, partition } => {
                messages
                    .retain(|message| message.topic() != topic || message.partition() != partition);
                fresh.retain(|place| place.0 != topic || place.1 != partition);
                half.revoke(&topic, partition);
            }
        }
    }
    group.take_fault().map_or(Ok(()), Err)
}
