//! The second half: matches become acts and findings, shard by shard.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use detections::event::Event;
use rdkafka::message::{Message as _, OwnedMessage};

use crate::catalog::Catalog;
use crate::config::{KafkaConfig, SinkFormat};
use crate::correlate::{Hit, Ledger};
use crate::enrich::Enricher;
use crate::limits::{ACT_KEPT_US, CACHED_BYTES_MAX, WAITING_BYTES_MAX};
use crate::live::{Correlating, LiveOptions, OutputForms, record};
use crate::sink::written;
use crate::store::Record;
use crate::telemetry::Stage;

use super::client::KafkaFault;
use super::connection::{Connection, Offsets};
use super::feed::{FedEvent, Inner};
use super::judging::bury;
use super::lag::Lag;
use super::message::{Burial, Matched, alert_headers, shortened};
use super::restore::restore;
use super::shard::State;
use super::stream::Stream;
use super::topics::Limits;
use super::worker::{Half, Shared};

/// 1 GiB: acts and findings of all shards of this process. A day of a busy cluster takes some tens of megabytes.
const STATE_BYTES_MAX: usize = 1 << 30;

/// Shards that are restored at once: in between the group is told that we live.
const RESTORED_MAX: usize = 16;

/// Time between two looks for what is too old, microseconds.
const TIDY_US: i64 = 60_000_000;

/// All shards of this process.
#[derive(Debug, Default)]
pub(super) struct Settling {
    shards: BTreeMap<i32, Shard>,
    /// Given to this process, and not read yet.
    wanted: BTreeSet<i32>,
    /// The next message of each shard. A round commits those of all shards that it writes for, also if only time has passed: that
    /// is what shuts out a process whose shards are another's.
    next: BTreeMap<i32, i64>,
    /// Acts and findings that were forgotten to keep within the bound.
    forgotten: u64,
    /// What correlations missed in shards that are another's by now, since rules were loaded.
    missed: Correlating,
    /// Of the round that is not committed yet.
    raised: Raised,
}

#[derive(Debug)]
struct Shard {
    state: State,
    ledger: Ledger,
    stream: Stream,
    tidied_us: i64,
}

/// What came of a round.
#[derive(Debug, Default)]
struct Raised {
    /// Rule and level of each alert.
    alerts: Vec<(String, String)>,
    /// When the events came in that led to them.
    received_us: Vec<i64>,
}

/// What one round of it needs.
struct Round<'a> {
    connection: &'a Connection,
    config: &'a KafkaConfig,
    options: &'a LiveOptions,
    catalog: &'a Catalog,
    limits: Limits,
    now_us: i64,
}

/// The second half with a set of rules.
pub(super) struct SecondHalf<'a> {
    shared: &'a Shared,
    settling: &'a mut Settling,
    catalog: &'a Catalog,
}

impl<'a> SecondHalf<'a> {
    /// Other rules number acts in another way; what is stored goes by their ids.
    pub(super) fn new(
        shared: &'a Shared,
        settling: &'a mut Settling,
        catalog: &'a Catalog,
    ) -> Self {
        let half = Self {
            shared,
            settling,
            catalog,
        };
        half.settling.missed = Correlating::default();
        for shard in half.settling.shards.values_mut() {
            shard.ledger = ledger(shared, catalog);
            shard.stream = Stream::restore(&mut shard.state, &catalog.correlations);
        }
        half
    }
}

impl SecondHalf<'_> {
    fn offsets(&self, shards: BTreeSet<i32>) -> Offsets {
        let mut offsets = Offsets::default();
        for shard in shards {
            let place = (self.shared.config.topics.matches.clone(), shard);
            let next = self.settling.next.get(&shard).copied().unwrap_or(0);
            offsets.0.insert(place, (next, String::new()));
        }
        offsets
    }
}

fn ledger(shared: &Shared, catalog: &Catalog) -> Ledger {
    let cached = CACHED_BYTES_MAX / usize::try_from(shared.shards.max(1)).unwrap_or(1);
    Ledger::new(shared.options.pipeline.window_us, catalog.traits()).with_cache(cached)
}

impl Half for SecondHalf<'_> {
    const NAME: &'static str = "settle";
    const WAITS: bool = true;

    fn topics(config: &KafkaConfig) -> Vec<String> {
        vec![config.topics.matches.clone()]
    }

    fn assign(&mut self, _: &str, shard: i32, offset: i64, _: &str) {
        self.settling.shards.remove(&shard);
        self.settling.wanted.insert(shard);
        self.settling.next.insert(shard, offset);
    }

    fn revoke(&mut self, _: &str, shard: i32) {
        if let Some(gone) = self.settling.shards.remove(&shard) {
            let missed = gone.stream.correlating(self.catalog);
            self.settling.missed.add(&Correlating {
                groups: 0,
                waiting: 0,
                ..missed
            });
        }
        self.settling.wanted.remove(&shard);
        self.settling.next.remove(&shard);
    }

    /// Reads some of the shards that came to this process; their messages wait until then.
    fn prepare(&mut self, connection: &Connection) -> Result<(), KafkaFault> {
        let settling = &mut *self.settling;
        if settling.wanted.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        let topic = &self.shared.config.topics.state;
        let some: BTreeSet<i32> = settling.wanted.iter().copied().take(RESTORED_MAX).collect();
        let states = restore(&self.shared.client, topic, &some)?;
        let bytes: usize = states.values().map(all_bytes).sum();
        for (number, mut state) in states {
            let shard = Shard {
                tidied_us: state.now_us(),
                ledger: ledger(self.shared, self.catalog),
                stream: Stream::restore(&mut state, &self.catalog.correlations),
                state,
            };
            settling.shards.insert(number, shard);
        }
        let shards = some.len();
        connection.resume(&self.shared.config.topics.matches, &some)?;
        settling.wanted.retain(|shard| !some.contains(shard));
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(shards, bytes, took_ms, "restored the state of shards");
        Ok(())
    }

    fn is_due(&self, now_us: i64) -> bool {
        let mut shards = self.settling.shards.values();
        shards.any(|shard| shard.is_due(now_us))
    }

    fn round(
        &mut self,
        connection: &Connection,
        messages: &[OwnedMessage],
        now_us: i64,
    ) -> Result<Offsets, KafkaFault> {
        let round = Round {
            connection,
            config: &self.shared.config,
            options: &self.shared.options,
            catalog: self.catalog,
            limits: self.shared.limits,
            now_us,
        };
        let written = self.settling.settle(messages, &round)?;
        Ok(self.offsets(written))
    }

    fn pass(&mut self, message: &OwnedMessage) -> Offsets {
        let shard = message.partition();
        self.settling.next.insert(shard, message.offset() + 1);
        self.offsets(BTreeSet::from([shard]))
    }

    fn committed(&mut self, now_us: i64) {
        let live = &self.shared.live;
        let raised = std::mem::take(&mut self.settling.raised);
        let forgotten = std::mem::take(&mut self.settling.forgotten);
        self.shared.lag.change(|lag| lag.forgotten += forgotten);
        for received_us in raised.received_us {
            let waited_us = u64::try_from(now_us - received_us).unwrap_or(0);
            live.latencies().record_us(Stage::Evaluate, waited_us);
        }
        live.told.send_modify(|told| {
            told.progress.totals.raised += raised.alerts.len() as u64;
            let alerts = Arc::make_mut(&mut told.alerts);
            for of in raised.alerts {
                *alerts.entry(of).or_default() += 1;
            }
        });
    }

    fn look(&self, lag: &Lag) {
        let settling = &self.settling;
        let shards = settling.shards.values();
        let bytes = shards.clone().map(|shard| all_bytes(&shard.state));
        lag.change(|lag| {
            lag.shards = settling.shards.len();
            lag.state_bytes = bytes.sum();
        });
        let mut correlating = settling.missed.clone();
        for shard in shards {
            correlating.add(&shard.stream.correlating(self.catalog));
        }
        let told = &self.shared.live.told;
        told.send_modify(|told| told.correlations = Arc::new(correlating));
    }
}

impl Settling {
    /// Takes matches in, and writes what is to be said and all changes of state; of which shards.
    fn settle(
        &mut self,
        messages: &[OwnedMessage],
        round: &Round<'_>,
    ) -> Result<BTreeSet<i32>, KafkaFault> {
        let index = rule_index(round.catalog);
        let waiting = self
            .shards
            .values()
            .map(|shard| shard.stream.waiting_bytes());
        let mut room = WAITING_BYTES_MAX.saturating_sub(waiting.sum());
        let (mut touched, mut stirred) = (BTreeSet::new(), BTreeSet::new());
        for message in messages {
            let number = message.partition();
            let shard = self.shards.get_mut(&number);
            let shard =
                shard.ok_or_else(|| KafkaFault::new(format!("shard {number} was not restored")))?;
            touched.insert(number);
            self.next.insert(number, message.offset() + 1);
            if shard.add(message, &index, round, &mut room, &mut self.raised)? {
                stirred.insert(number);
            }
        }
        for (number, shard) in &mut self.shards {
            let is_old = round.now_us - shard.tidied_us >= TIDY_US;
            if stirred.contains(number) || is_old || shard.is_due(round.now_us) {
                touched.insert(*number);
                shard.say(round, &mut self.raised)?;
                shard.tidy(round);
            }
        }
        touched.extend(self.shrink());
        for number in &touched {
            if let Some(shard) = self.shards.get_mut(number) {
                shard.write(*number, round)?;
            }
        }
        Ok(touched)
    }

    /// Forgets what is oldest in the largest shards, while all of them together hold too much.
    fn shrink(&mut self) -> Vec<i32> {
        let mut shrunk = Vec::new();
        loop {
            let total: usize = self.shards.values().map(|shard| shard.state.bytes()).sum();
            let largest = self
                .shards
                .iter_mut()
                .max_by_key(|(_, shard)| shard.state.bytes());
            let (Some((number, shard)), Some(excess)) =
                (largest, total.checked_sub(STATE_BYTES_MAX))
            else {
                return shrunk;
            };
            // Some at once, so that not each round has to.
            let wanted = shard
                .state
                .bytes()
                .saturating_sub(excess + STATE_BYTES_MAX / 64);
            let gone = shard.state.shrink(wanted);
            self.forgotten += gone;
            shrunk.push(*number);
            if gone == 0 {
                return shrunk;
            }
        }
    }
}

impl Shard {
    /// Whether a time has come that some act waited for.
    fn is_due(&self, now_us: i64) -> bool {
        self.state
            .next_timer()
            .is_some_and(|due_us| due_us <= now_us)
    }

    /// Takes a message in; false if there is nothing to be said or written for it.
    fn add(
        &mut self,
        message: &OwnedMessage,
        index: &HashMap<&str, usize>,
        round: &Round<'_>,
        room: &mut usize,
        raised: &mut Raised,
    ) -> Result<bool, KafkaFault> {
        let bytes = message.payload().unwrap_or_default();
        match Inner::parse(bytes) {
            Some(Inner::Matched(matched)) => {
                self.add_match(message, &matched, index, round)?;
                raised.received_us.push(matched.received_us);
                Ok(true)
            }
            Some(Inner::Fed(fed)) => self.feed(message, &fed, round, room),
            Some(Inner::Reached(reached)) => {
                self.stream.hear(&reached, &mut self.state);
                // Where there is nothing to do, nothing is written down.
                Ok(self.stream.is_live())
            }
            None => {
                let burial = Burial {
                    is_whole: true,
                    ..Burial::of(message, "other_version", "another version wrote this match")
                };
                bury(round.connection, &burial, None, bytes)?;
                Ok(false)
            }
        }
    }

    /// Takes an event in that feeds correlations.
    fn feed(
        &mut self,
        message: &OwnedMessage,
        fed: &FedEvent,
        round: &Round<'_>,
        room: &mut usize,
    ) -> Result<bool, KafkaFault> {
        let before = self.stream.waiting_bytes();
        let plan = &round.catalog.correlations;
        if self.stream.take(plan, fed, message.offset(), *room) {
            *room = room.saturating_sub(self.stream.waiting_bytes() - before);
            return Ok(true);
        }
        let burial = Burial {
            is_whole: true,
            ..Burial::of(message, "other_version", "another version wrote this event")
        };
        let bytes = message.payload().unwrap_or_default();
        bury(round.connection, &burial, None, bytes)?;
        Ok(false)
    }

    fn add_match(
        &mut self,
        message: &OwnedMessage,
        matched: &Matched,
        index: &HashMap<&str, usize>,
        round: &Round<'_>,
    ) -> Result<(), KafkaFault> {
        let bytes = message.payload().unwrap_or_default();
        let settings = round.options.pipeline.settings.clone();
        let Ok(event) = Event::parse(&matched.raw, matched.origin.clone(), settings) else {
            let burial = Burial::of(message, "malformed_json", "this match holds no event");
            return bury(round.connection, &burial, None, bytes);
        };
        let now_us = self.state.now_us().max(round.now_us);
        let input: Arc<str> = matched.input.as_str().into();
        for rule in &matched.rules {
            let Some(rule) = index.get(rule.as_str()) else {
                // While rules are rolled out: whoever redrives it later finds it.
                let why =
                    format!("the rule {rule} is not known to the process that has this shard");
                let burial = Burial {
                    is_whole: true,
                    ..Burial::of(message, "unknown_rule", &why)
                };
                bury(round.connection, &burial, None, bytes)?;
                continue;
            };
            let hit = Hit {
                rule: *rule,
                event: &event,
                raw: &matched.raw,
                time: matched.time,
                input: &input,
                offset: matched.offset,
            };
            let Ok(()) = self.ledger.add(&hit, now_us, &mut self.state);
        }
        Ok(())
    }

    /// Says what is to be said by now.
    fn say(&mut self, round: &Round<'_>, raised: &mut Raised) -> Result<(), KafkaFault> {
        self.state.advance(round.now_us);
        let now_us = self.state.now_us();
        let enricher = Enricher {
            catalog: round.catalog,
            settings: round.options.pipeline.settings.clone(),
            automation: &round.options.pipeline.automation,
        };
        let format = round.config.format;
        let forms = OutputForms {
            ecs: format == SinkFormat::Ecs,
        };
        let Ok(mut changes) = self.ledger.settle(now_us, &mut self.state);
        let (plan, rules) = (&round.catalog.correlations, round.catalog.set.rules().len());
        if self.stream.is_live() {
            changes.extend(self.stream.settle(plan, rules, &mut self.state));
        }
        for change in changes {
            let uid = change.uid;
            let previous = self.state.finding(&uid);
            let Some(record) = record(change, previous.as_ref(), &enricher, now_us, forms) else {
                continue;
            };
            publish(round, &record, format)?;
            self.state.keep(&uid, &record);
            raised.alerts.push((record.rule, record.level));
        }
        Ok(())
    }

    fn tidy(&mut self, round: &Round<'_>) {
        if round.now_us - self.tidied_us < TIDY_US {
            return;
        }
        let kept_us = round.options.pipeline.window_us + ACT_KEPT_US;
        if !self.state.forget(round.now_us - kept_us) {
            self.tidied_us = round.now_us;
        }
    }

    /// Writes the changes of state.
    fn write(&mut self, number: i32, round: &Round<'_>) -> Result<(), KafkaFault> {
        let topic = &round.config.topics.state;
        for (key, value) in self.state.take_changes() {
            round
                .connection
                .send(topic, Some(number), &key, value.as_deref(), None)?;
        }
        Ok(())
    }
}

fn publish(round: &Round<'_>, record: &Record, format: SinkFormat) -> Result<(), KafkaFault> {
    let whole = written(record, format);
    let shorter =
        (whole.len() > round.limits.alerts).then(|| shortened(whole, round.limits.alerts));
    let value = shorter.as_deref().unwrap_or(whole);
    let headers = alert_headers(record, format);
    let topic = &round.config.topics.alerts;
    let (key, value) = (record.uid.as_bytes(), value.as_bytes());
    round
        .connection
        .send(topic, None, key, Some(value), Some(headers))
}

fn all_bytes(state: &State) -> usize {
    state.bytes() + state.parts_bytes()
}

fn rule_index(catalog: &Catalog) -> HashMap<&str, usize> {
    let rules = catalog.set.rules().iter().enumerate();
    rules
        .map(|(number, rule)| (rule.header.id.as_str(), number))
        .collect()
}
