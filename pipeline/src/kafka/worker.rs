//! The thread that owns consumer and producer: it collects messages, and evaluates them in a transaction.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message as _, OwnedMessage};
use rdkafka::topic_partition_list::Offset;

use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::KafkaConfig;
use crate::correlate::Ledger;
use crate::judge::Judge;
use crate::live::{Live, LiveOptions, Told};
use crate::store::Totals;
use crate::telemetry::Stage;

use super::client::{Client, KafkaFault, PATIENCE, explain};
use super::connection::{Change, Connection, Offsets};
use super::judging::{self, Judging};
use super::message::Burial;
use super::settling::{self, Raised, Settling};
use super::topics::inputs;

/// How long it is waited for the first message.
const IDLE_WAIT: Duration = Duration::from_millis(100);

/// 16 MiB: what one transaction evaluates at most, about.
const ROUND_BYTES: usize = 16 << 20;

/// Messages that one transaction evaluates at most.
const ROUND_MESSAGES: usize = 10_000;

/// The first pause after a session failed; it doubles up to the last.
const PAUSE_MIN: Duration = Duration::from_millis(200);

/// The longest pause between two sessions.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// How often it is asked how far behind the partitions are.
const LAG_EVERY: Duration = Duration::from_secs(5);

/// How far evaluation is behind, and what it holds.
#[derive(Debug, Default)]
pub struct Lag {
    state: Mutex<Behind>,
}

/// As of the last look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behind {
    /// Messages that were not read yet, by topic and partition.
    pub(crate) messages: BTreeMap<(String, i32), u64>,
    /// Messages that were deleted before they were read.
    pub(crate) lost: u64,
    /// Acts and findings that were forgotten to keep within the bound of memory.
    pub(crate) forgotten: u64,
    /// Shards of this process, and the bytes of their state.
    pub(crate) shards: usize,
    pub(crate) state_bytes: usize,
    /// Sessions that were begun.
    pub(crate) sessions: u64,
}

impl Lag {
    pub(crate) fn get(&self) -> Behind {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change(&self, change: impl FnOnce(&mut Behind)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Evaluates what is in Kafka.
pub struct Worker {
    client: Client,
    config: KafkaConfig,
    options: LiveOptions,
    live: Arc<Live>,
    clock: Clock,
    lag: Arc<Lag>,
    told: Told,
    alerts: BTreeMap<(String, String), u64>,
    /// Totals of sessions that are over.
    before: Totals,
    shards: i32,
}

enum Ended {
    Rules,
    Stop,
}

/// What lasts for a session.
struct Session {
    connection: Connection,
    judging: Judging,
    settling: Settling,
    looked: Option<Instant>,
}

impl Worker {
    /// Nothing is connected to yet. `shards` is the number of partitions of the topics of matches and state.
    #[must_use]
    pub fn new(
        client: Client,
        config: KafkaConfig,
        shards: i32,
        options: LiveOptions,
        live: Arc<Live>,
        clock: Clock,
    ) -> Self {
        Self {
            client,
            config,
            options,
            live,
            clock,
            lag: Arc::default(),
            told: Told::default(),
            alerts: BTreeMap::new(),
            before: Totals::default(),
            shards,
        }
    }

    /// How far it is behind.
    #[must_use]
    pub fn lag(&self) -> Arc<Lag> {
        self.lag.clone()
    }

    /// Evaluates until told to stop. A session that fails is followed by another one.
    ///
    /// # Errors
    /// None: whatever fails is tried again.
    pub fn run(mut self) -> io::Result<()> {
        let mut pause = PAUSE_MIN;
        while !self.live.is_stopping() {
            let commits = self.told.commits;
            match self.session() {
                Ok(()) => break,
                Err(fault) => {
                    tracing::error!(%fault, "evaluation begins anew from what was committed");
                    self.told.failed_commits += 1;
                    self.told.fault = Some(fault.to_string());
                    self.tell();
                }
            }
            if self.told.commits > commits {
                pause = PAUSE_MIN;
            }
            self.pause(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
        self.told.ended = true;
        self.tell();
        Ok(())
    }

    fn tell(&self) {
        self.live.told.send_replace(self.told.clone());
    }

    fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.live.is_stopping() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn session(&mut self) -> Result<(), KafkaFault> {
        let config = &self.config;
        let mut topics: Vec<String> = inputs(config).map(|(topic, _)| topic).collect();
        topics.push(config.topics.matches.clone());
        let id = format!("{}-{}", config.group, config.instance);
        let connection = Connection::open(&self.client, &config.group, &id, &topics)?;
        self.lag.change(|lag| lag.sessions += 1);
        let mut session = Session {
            connection,
            judging: Judging::new(inputs(config), &config.topics.matches, self.shards),
            settling: Settling::default(),
            looked: None,
        };
        let ended = self.rounds_with_rules(&mut session);
        self.before = self.told.progress.totals;
        session.connection.close();
        ended
    }

    fn rounds_with_rules(&mut self, session: &mut Session) -> Result<(), KafkaFault> {
        loop {
            let catalog = self.live.rules();
            match self.rounds(session, &catalog)? {
                Ended::Stop => return Ok(()),
                Ended::Rules => tracing::info!("evaluating with the new rules"),
            }
        }
    }

    fn rounds(
        &mut self,
        session: &mut Session,
        catalog: &Arc<Catalog>,
    ) -> Result<Ended, KafkaFault> {
        let options = self.options.pipeline.clone();
        let fingerprints = session.judging.merger.fingerprints();
        let mut judge = Judge::new(&catalog.set, &options, fingerprints);
        let shards = self.shards;
        let ledger = || {
            Ledger::new(options.window_us, catalog.traits())
                .with_cache(Settling::cache_bytes(shards))
        };
        session.settling.renew(ledger);
        loop {
            if self.live.is_stopping() {
                return Ok(Ended::Stop);
            }
            if !Arc::ptr_eq(&self.live.rules(), catalog) {
                return Ok(Ended::Rules);
            }
            let messages = self.collect(session)?;
            session
                .settling
                .restore(&self.client, &self.config.topics.state, ledger)?;
            self.look(session);
            let now_us = self.clock.now_us();
            if messages.is_empty() && !session.settling.is_due(now_us) {
                continue;
            }
            session.connection.begin()?;
            match self.round(session, &messages, &mut judge, catalog, now_us) {
                Ok(raised) => self.note_commit(session, raised),
                Err(fault) => {
                    session.connection.abort();
                    return Err(fault);
                }
            }
        }
    }

    /// Collects messages for a while. Only here partitions come and go, so what is collected of one that goes is dropped with it.
    fn collect(&self, session: &mut Session) -> Result<Vec<OwnedMessage>, KafkaFault> {
        let mut messages: Vec<OwnedMessage> = Vec::new();
        let (mut bytes, mut until) = (0, Instant::now() + IDLE_WAIT);
        while bytes < ROUND_BYTES && messages.len() < ROUND_MESSAGES {
            let wait = until.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                break;
            }
            match session.connection.consumer.poll(wait) {
                None => {}
                Some(Ok(message)) => {
                    if messages.is_empty() {
                        // Two transactions lie between an event and its alert: each waits for half the time.
                        until = Instant::now() + self.options.commit_every / 2;
                    }
                    bytes += message.payload_len() + message.key_len();
                    messages.push(message.detach());
                }
                Some(Err(error)) => self.heard(session, &error)?,
            }
            self.follow(session, &mut messages)?;
        }
        Ok(messages)
    }

    /// Follows what the group has decided.
    fn follow(
        &self,
        session: &mut Session,
        messages: &mut Vec<OwnedMessage>,
    ) -> Result<(), KafkaFault> {
        let group = session.connection.consumer.context().clone();
        for change in group.take_changes() {
            match change {
                Change::Assigned {
                    topic, partition, ..
                } if topic == self.config.topics.matches => {
                    session.settling.assign(partition);
                }
                Change::Assigned {
                    topic,
                    partition,
                    offset,
                    metadata,
                } => session.judging.assign(&topic, partition, offset, &metadata),
                Change::Revoked { topic, partition } => {
                    messages.retain(|message| {
                        message.topic() != topic || message.partition() != partition
                    });
                    if topic == self.config.topics.matches {
                        session.settling.revoke(partition);
                    } else {
                        session.judging.revoke(&topic, partition);
                    }
                }
            }
        }
        group.take_fault().map_or(Ok(()), Err)
    }

    /// An error that the consumer tells of. What passes by itself is left to it.
    fn heard(&self, session: &Session, error: &KafkaError) -> Result<(), KafkaFault> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                self.mend_gaps(session)
            }
            Some(
                RDKafkaErrorCode::Fatal
                | RDKafkaErrorCode::PollExceeded
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::TopicAuthorizationFailed
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

    /// Messages that nobody has read were deleted: that is said and counted, and reading goes on with the oldest that is there.
    fn mend_gaps(&self, session: &Session) -> Result<(), KafkaFault> {
        let failed = |error: KafkaError| KafkaFault::of("go on behind deleted messages", &error);
        let consumer = &session.connection.consumer;
        let committed = consumer.committed(PATIENCE).map_err(failed)?;
        let positions = consumer.position().map_err(failed)?;
        for element in committed.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            let read = positions
                .find_partition(topic, partition)
                .map(|place| place.offset());
            let ((Some(Offset::Offset(next)), _) | (_, Offset::Offset(next))) =
                (read, element.offset())
            else {
                continue;
            };
            let (low, high) = consumer
                .fetch_watermarks(topic, partition, PATIENCE)
                .map_err(failed)?;
            if (low..=high).contains(&next) {
                continue;
            }
            let lost = u64::try_from(low - next).unwrap_or(0);
            tracing::error!(
                topic,
                partition,
                from = next,
                to = low,
                "messages were deleted before they were read"
            );
            self.lag.change(|lag| lag.lost += lost);
            consumer
                .seek(topic, partition, Offset::Offset(low), PATIENCE)
                .map_err(failed)?;
            bury_gap(session, topic, partition, next..low)?;
        }
        Ok(())
    }

    /// Everything of one transaction.
    fn round<'c>(
        &mut self,
        session: &mut Session,
        messages: &[OwnedMessage],
        judge: &mut Judge<'c>,
        catalog: &'c Catalog,
        now_us: i64,
    ) -> Result<Raised, KafkaFault> {
        let connection = &session.connection;
        let of_matches = |message: &&OwnedMessage| message.topic() == self.config.topics.matches;
        let (mut next, mut bodies) = (HashMap::new(), 0);
        let mut round = judging::Round {
            connection,
            judge,
            catalog,
        };
        let mut offsets = Offsets::default();
        for message in messages.iter().filter(|message| !of_matches(message)) {
            bodies += u64::from(session.judging.take(message, &mut round)?);
            next.insert(
                (message.topic().to_owned(), message.partition()),
                message.offset() + 1,
            );
        }
        session
            .judging
            .commit(&next, now_us, connection, &mut offsets)?;
        let matches: Vec<OwnedMessage> = messages.iter().filter(of_matches).cloned().collect();
        for message in &matches {
            let place = (message.topic().to_owned(), message.partition());
            offsets
                .0
                .insert(place, (message.offset() + 1, String::new()));
        }
        let raised = session.settling.settle(
            &matches,
            &settling::Round {
                connection,
                config: &self.config,
                options: &self.options,
                catalog,
                now_us,
            },
        )?;
        connection.commit(&offsets)?;
        self.told.progress.totals.bodies += bodies;
        Ok(raised)
    }

    fn note_commit(&mut self, session: &Session, raised: Raised) {
        let now_us = self.clock.now_us();
        for received_us in raised.received_us {
            let waited_us = u64::try_from(now_us - received_us).unwrap_or(0);
            self.live.latencies().record_us(Stage::Evaluate, waited_us);
        }
        let account = session.judging.merger.account();
        let before = self.before;
        let totals = &mut self.told.progress.totals;
        totals.received = before.received + account.received;
        totals.evaluated = before.evaluated + account.evaluated;
        totals.repeated = before.repeated + account.repeated;
        totals.ignored = before.ignored + account.ignored_total();
        totals.rejected = before.rejected + account.rejected_total();
        totals.raised += raised.alerts.len() as u64;
        for of in raised.alerts {
            *self.alerts.entry(of).or_default() += 1;
        }
        self.told.progress.now_us = now_us;
        self.told.account = Arc::new(account.clone());
        self.told.alerts = Arc::new(self.alerts.clone());
        self.told.commits += 1;
        self.told.fault = None;
        self.tell();
    }

    /// Notes how far behind the partitions are.
    fn look(&self, session: &mut Session) {
        if session
            .looked
            .is_some_and(|looked| looked.elapsed() < LAG_EVERY)
        {
            return;
        }
        session.looked = Some(Instant::now());
        let messages = session.connection.consumer.context().behind();
        self.lag.change(|lag| {
            lag.messages = messages;
            lag.forgotten = session.settling.forgotten;
            lag.shards = session.settling.count();
            lag.state_bytes = session.settling.bytes();
        });
    }
}

/// A gap is a dead letter, too: whoever looks for what is missing finds it there.
fn bury_gap(
    session: &Session,
    topic: &str,
    partition: i32,
    gone: Range<i64>,
) -> Result<(), KafkaFault> {
    let Range { start, end } = gone;
    let explanation = format!(
        "messages {start} to {end} of {topic}/{partition} were deleted before they were read"
    );
    let burial = Burial {
        topic,
        partition,
        offset: start,
        stage: "READ",
        reason: "deleted",
        explanation: &explanation,
        envelope: None,
    };
    session.connection.begin()?;
    judging::bury(&session.connection, &burial, None, &[])?;
    session.connection.commit(&Offsets::default())
}
