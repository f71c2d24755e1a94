//! The second half: matches become acts and findings, shard by shard.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use detections::event::Event;
use rdkafka::message::{Message as _, OwnedMessage};

use crate::catalog::Catalog;
use crate::config::{KafkaConfig, SinkFormat};
use crate::correlate::{Hit, Ledger};
use crate::enrich::Enricher;
use crate::limits::{ACT_KEPT_US, CACHED_BYTES_MAX};
use crate::live::{LiveOptions, OutputForms, record};
use crate::sink::written;
use crate::store::Record;

use super::client::{Client, KafkaFault};
use super::connection::Connection;
use super::judging::bury;
use super::message::{Burial, Matched, alert_headers};
use super::restore::restore;
use super::shard::State;

/// 1 GiB: acts and findings of all shards of this process. A day of a busy cluster takes some tens of megabytes.
const STATE_BYTES_MAX: usize = 1 << 30;

/// Time between two looks for what is too old, microseconds.
const TIDY_US: i64 = 60_000_000;

/// All shards of this process.
#[derive(Debug, Default)]
pub(super) struct Settling {
    shards: BTreeMap<i32, Shard>,
    /// Given to this process, and not read yet.
    wanted: BTreeSet<i32>,
    /// Acts and findings that were forgotten to keep within the bound.
    pub(super) forgotten: u64,
}

#[derive(Debug)]
struct Shard {
    state: State,
    ledger: Ledger,
    tidied_us: i64,
}

/// What came of a round.
#[derive(Debug, Default)]
pub(super) struct Raised {
    /// Rule and level of each alert.
    pub(super) alerts: Vec<(String, String)>,
    /// When the events came in that led to them.
    pub(super) received_us: Vec<i64>,
}

/// What one round of it needs.
pub(super) struct Round<'a> {
    pub(super) connection: &'a Connection,
    pub(super) config: &'a KafkaConfig,
    pub(super) options: &'a LiveOptions,
    pub(super) catalog: &'a Catalog,
    pub(super) now_us: i64,
}

impl Settling {
    pub(super) fn assign(&mut self, shard: i32) {
        self.shards.remove(&shard);
        self.wanted.insert(shard);
    }

    pub(super) fn revoke(&mut self, shard: i32) {
        self.shards.remove(&shard);
        self.wanted.remove(&shard);
    }

    /// Reads the shards that came to this process.
    pub(super) fn restore(
        &mut self,
        client: &Client,
        topic: &str,
        ledger: impl Fn() -> Ledger,
    ) -> Result<(), KafkaFault> {
        if self.wanted.is_empty() {
            return Ok(());
        }
        let begun = std::time::Instant::now();
        let states = restore(client, topic, &self.wanted)?;
        let bytes: usize = states.values().map(State::bytes).sum();
        for (shard, state) in states {
            let tidied_us = state.now_us();
            let ledger = ledger();
            self.shards.insert(
                shard,
                Shard {
                    state,
                    ledger,
                    tidied_us,
                },
            );
        }
        let shards = self.wanted.len();
        self.wanted.clear();
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(shards, bytes, took_ms, "restored the state of shards");
        Ok(())
    }

    /// Other rules number acts in another way; what is stored goes by their ids.
    pub(super) fn renew(&mut self, ledger: impl Fn() -> Ledger) {
        for shard in self.shards.values_mut() {
            shard.ledger = ledger();
        }
    }

    /// How many bytes of acts the ledgers of all shards may keep at hand, each its part.
    pub(super) fn cache_bytes(shards: i32) -> usize {
        CACHED_BYTES_MAX / usize::try_from(shards.max(1)).unwrap_or(1)
    }

    /// Whether a time has come that some act waited for.
    pub(super) fn is_due(&self, now_us: i64) -> bool {
        let due = |shard: &Shard| {
            shard
                .state
                .next_timer()
                .is_some_and(|due_us| due_us <= now_us)
        };
        self.shards.values().any(due)
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.shards.values().map(|shard| shard.state.bytes()).sum()
    }

    /// Shards that are here.
    pub(super) fn count(&self) -> usize {
        self.shards.len()
    }

    /// Takes matches in, and writes what is to be said and all changes of state.
    pub(super) fn settle(
        &mut self,
        messages: &[OwnedMessage],
        round: &Round<'_>,
    ) -> Result<Raised, KafkaFault> {
        let mut raised = Raised::default();
        let index = rule_index(round.catalog);
        let mut touched = BTreeSet::new();
        for message in messages {
            let Some(shard) = self.shards.get_mut(&message.partition()) else {
                let partition = message.partition();
                return Err(KafkaFault(format!("shard {partition} was not restored")));
            };
            touched.insert(message.partition());
            shard.add(message, &index, round, &mut raised)?;
        }
        let is_due = |shard: &Shard| {
            shard
                .state
                .next_timer()
                .is_some_and(|due_us| due_us <= round.now_us)
                || round.now_us - shard.tidied_us >= TIDY_US
        };
        let count = self.shards.len().max(1);
        for (number, shard) in &mut self.shards {
            if touched.contains(number) || is_due(shard) {
                shard.say(round, &mut raised)?;
                shard.tidy(round);
                self.forgotten += shard.state.shrink(STATE_BYTES_MAX / count);
                shard.write(*number, round)?;
            }
        }
        Ok(raised)
    }
}

impl Shard {
    fn add(
        &mut self,
        message: &OwnedMessage,
        index: &HashMap<&str, usize>,
        round: &Round<'_>,
        raised: &mut Raised,
    ) -> Result<(), KafkaFault> {
        let bytes = message.payload().unwrap_or_default();
        let Some(matched) = Matched::parse(bytes) else {
            let burial = Burial::of(message, "other_version", "another version wrote this match");
            return bury(round.connection, &burial, None, bytes);
        };
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
                let burial = Burial::of(message, "unknown_rule", &why);
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
        raised.received_us.push(matched.received_us);
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
        let Ok(changes) = self.ledger.settle(now_us, &mut self.state);
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
    let value = written(record, format);
    let headers = alert_headers(record, format);
    let topic = &round.config.topics.alerts;
    let (key, value) = (record.uid.as_bytes(), value.as_bytes());
    round
        .connection
        .send(topic, None, key, Some(value), Some(headers))
}

fn rule_index(catalog: &Catalog) -> HashMap<&str, usize> {
    let rules = catalog.set.rules().iter().enumerate();
    rules
        .map(|(number, rule)| (rule.id.as_str(), number))
        .collect()
}
