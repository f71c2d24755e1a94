//! The first half: messages of the input become matches, each sent to the shard of its rule and cluster.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rdkafka::message::{Message as _, OwnedMessage};

use detections::correlation::Correlations;
use detections::event::Origin;

use crate::catalog::Catalog;
use crate::config::KafkaConfig;
use crate::correlate::hash;
use crate::correlate::stream::Event;
use crate::decode::{Item, Rejected};
use crate::judge::{Judge, Judged, RowHits};
use crate::live::decode_bytes;
use crate::merge::Merger;
use crate::store::Totals;

use super::assembly::{Assembly, Taken};
use super::client::KafkaFault;
use super::connection::{Connection, Offsets};
use super::feed::{FedEvent, shard_of_stream};
use super::message::{Burial, Envelope, Matched, reason};
use super::reach::Reach;
use super::topics::{dead_letters, inputs};
use super::worker::{Half, Shared};

/// Records of one message that become dead letters one by one.
const REJECTS_KEPT_MAX: u64 = 1000;

/// What the first half remembers between rounds.
#[derive(Debug, Default)]
pub(super) struct Judging {
    /// Clusters of the topics.
    clusters: HashMap<String, Arc<str>>,
    assemblies: HashMap<(String, i32), Assembly>,
    reach: Reach,
    merger: Merger,
    matches: String,
    shards: i32,
    /// Bytes of a match or a state that their topics take.
    inner_bytes_max: usize,
    /// Totals of sessions that are over, and bodies of this one.
    before: Totals,
    bodies: u64,
}

/// A message of the input.
struct Source<'a> {
    message: &'a OwnedMessage,
    envelope: &'a Envelope,
    /// The time of its partition, microseconds since 1970 UTC.
    came_us: i64,
}

/// What one round of it needs.
struct Round<'a, 'c> {
    connection: &'a Connection,
    judge: &'a mut Judge<'c>,
    catalog: &'c Catalog,
    now_us: i64,
}

/// The first half with a set of rules.
pub(super) struct FirstHalf<'a> {
    shared: &'a Shared,
    judging: &'a mut Judging,
    judge: Judge<'a>,
    catalog: &'a Catalog,
}

impl<'a> FirstHalf<'a> {
    pub(super) fn new(shared: &'a Shared, judging: &'a mut Judging, catalog: &'a Catalog) -> Self {
        let fingerprints = judging.merger.fingerprints();
        Self {
            shared,
            judge: Judge::new(catalog, &shared.options.pipeline, fingerprints),
            judging,
            catalog,
        }
    }
}

impl Half for FirstHalf<'_> {
    const NAME: &'static str = "judge";
    const WAITS: bool = false;

    fn topics(config: &KafkaConfig) -> Vec<String> {
        inputs(config).map(|(topic, _)| topic).collect()
    }

    fn assign(&mut self, topic: &str, partition: i32, offset: i64, metadata: &str) {
        let assembly = Assembly::resume(offset, metadata);
        self.judging.reach.assign(topic, partition, offset);
        let place = (topic.to_owned(), partition);
        self.judging.assemblies.insert(place, assembly);
    }

    fn revoke(&mut self, topic: &str, partition: i32) {
        let place = (topic.to_owned(), partition);
        self.judging.assemblies.remove(&place);
        self.judging.reach.revoke(topic, partition);
    }

    fn prepare(&mut self, _: &Connection) -> Result<(), KafkaFault> {
        Ok(())
    }

    fn pass(&mut self, message: &OwnedMessage) -> Offsets {
        let place = (message.topic().to_owned(), message.partition());
        let next = message.offset() + 1;
        let source = (message.topic(), message.partition());
        self.judging.reach.pass(source, message.offset());
        let assembly = self.judging.assemblies.get(&place);
        let commit = assembly.map_or((next, String::new()), |assembly| assembly.commit(next));
        let mut offsets = Offsets::default();
        offsets.0.insert(place, commit);
        offsets
    }

    fn is_due(&self, now_us: i64) -> bool {
        !self.catalog.correlations.all().is_empty() && self.judging.reach.is_due(now_us)
    }

    fn round(
        &mut self,
        connection: &Connection,
        messages: &[OwnedMessage],
        now_us: i64,
    ) -> Result<Offsets, KafkaFault> {
        let mut round = Round {
            connection,
            judge: &mut self.judge,
            catalog: self.catalog,
            now_us,
        };
        let mut next = HashMap::new();
        for message in messages {
            self.judging.bodies += u64::from(self.judging.take(message, &mut round)?);
            let place = (message.topic().to_owned(), message.partition());
            next.insert(place, message.offset() + 1);
        }
        if self.is_due(now_us) {
            self.judging.say_reached(&mut next, now_us, connection)?;
        }
        self.judging.commit(&next, now_us, connection)
    }

    /// Counts what is committed now.
    fn committed(&mut self, now_us: i64) {
        let Judging {
            before,
            bodies,
            merger,
            ..
        } = &mut *self.judging;
        let account = merger.account();
        self.shared.live.told.send_modify(|told| {
            let totals = &mut told.progress.totals;
            totals.bodies = before.bodies + *bodies;
            totals.received = before.received + account.received;
            totals.evaluated = before.evaluated + account.evaluated;
            totals.repeated = before.repeated + account.repeated;
            totals.ignored = before.ignored + account.ignored_total();
            totals.rejected = before.rejected + account.rejected_total();
            told.progress.now_us = now_us;
            told.account = Arc::new(account.clone());
        });
    }
}

impl Judging {
    /// Begins with what the sessions before have counted.
    pub(super) fn new(shared: &Shared) -> Self {
        let clusters = inputs(&shared.config);
        Self {
            clusters: clusters
                .map(|(topic, cluster)| (topic, cluster.into()))
                .collect(),
            matches: shared.config.topics.matches.clone(),
            shards: shared.shards.max(1),
            inner_bytes_max: shared.limits.inner,
            before: shared.live.totals(),
            ..Self::default()
        }
    }

    /// Evaluates a message; true if a whole body was in it.
    fn take(
        &mut self,
        message: &OwnedMessage,
        round: &mut Round<'_, '_>,
    ) -> Result<bool, KafkaFault> {
        let topic = message.topic();
        let Some(cluster) = self.clusters.get(topic).cloned() else {
            return Ok(false);
        };
        let envelope = Envelope::of(message, &cluster);
        let place = (topic.to_owned(), message.partition());
        let assembly = self.assemblies.entry(place).or_default();
        let payload = message.payload().unwrap_or_default();
        let came_us = self.reach.note(
            (topic, message.partition()),
            message.offset(),
            envelope.received_us,
            round.now_us,
        );
        let taken = assembly.take(
            message.offset(),
            round.now_us,
            envelope.chunk.as_ref(),
            payload,
        );
        match taken {
            Taken::Held | Taken::Known => Ok(false),
            Taken::Stray(bytes) => {
                let why = "a part of a larger body, without the parts before it";
                let burial = Burial {
                    envelope: Some(&envelope),
                    ..Burial::of(message, "incomplete_body", why)
                };
                bury(round.connection, &burial, message.key(), &bytes)?;
                Ok(false)
            }
            Taken::Whole(bytes) => {
                let source = Source {
                    message,
                    envelope: &envelope,
                    came_us,
                };
                self.evaluate(&source, &bytes, round)?;
                Ok(true)
            }
        }
    }

    fn evaluate(
        &mut self,
        source: &Source<'_>,
        bytes: &[u8],
        round: &mut Round<'_, '_>,
    ) -> Result<(), KafkaFault> {
        let (connection, catalog) = (round.connection, round.catalog);
        let (message, envelope) = (source.message, source.envelope);
        let mut failed = None;
        let mut rejects = 0;
        let skipped = decode_bytes(envelope.source, &envelope.cluster, bytes, &mut |item| {
            let is_full = round.judge.accept(item);
            let sent = match item {
                Item::Rejected(rejected) => {
                    rejects += 1;
                    reject(connection, message, envelope, rejected, rejects)
                }
                _ => Ok(()),
            };
            failed = failed.take().or(sent.err());
            if is_full && failed.is_none() {
                let judged = round.judge.take();
                failed = self.send(judged, source, connection, catalog).err();
            }
        });
        round.judge.note_skipped(skipped);
        if let Some(fault) = failed {
            return Err(fault);
        }
        let judged = round.judge.take();
        self.send(judged, source, connection, catalog)
    }

    fn send(
        &mut self,
        mut judged: Judged,
        source: &Source<'_>,
        connection: &Connection,
        catalog: &Catalog,
    ) -> Result<(), KafkaFault> {
        let repeated = self.merger.merge(&judged);
        let message = source.message;
        let (topic, partition, at) = (message.topic(), message.partition(), message.offset());
        let input = format!("kafka {topic}/{partition} at {at}");
        for fed in judged.take_fed(&repeated, &input.as_str().into()) {
            self.feed(fed, source.came_us, connection, &catalog.correlations)?;
        }
        for (hits, time) in judged.into_hits(&repeated) {
            for (shard, rules) in self.shards_of(&hits, catalog) {
                let (raw, origin) = fitting(&hits, self.inner_bytes_max);
                let matched = Matched {
                    rules,
                    raw,
                    origin,
                    input: input.clone(),
                    offset: hits.offset,
                    time,
                    received_us: source.envelope.received_us,
                };
                let value = matched.to_bytes();
                connection.send(&self.matches, Some(shard), &[], Some(&value), None)?;
            }
        }
        Ok(())
    }

    /// Sends an event to the correlations of its cluster.
    fn feed(
        &self,
        fed: Event,
        came_us: i64,
        connection: &Connection,
        plan: &Correlations,
    ) -> Result<(), KafkaFault> {
        let shard = shard_of_stream(&fed.cluster, self.shards);
        let bytes_max = self.inner_bytes_max / 2;
        let Some(value) = FedEvent::to_bytes(plan, fed, came_us, bytes_max) else {
            tracing::error!(
                bytes_max,
                "correlations miss an event: its topic does not take what they need of it (max.message.bytes)"
            );
            return Ok(());
        };
        connection.send(&self.matches, Some(shard), &[], Some(&value), None)
    }

    /// Tells all shards how far this process has read. The offsets of all its partitions are committed with it: so who was shut out
    /// can say nothing.
    fn say_reached(
        &mut self,
        next: &mut HashMap<(String, i32), i64>,
        now_us: i64,
        connection: &Connection,
    ) -> Result<(), KafkaFault> {
        let inputs: Vec<String> = self.clusters.keys().cloned().collect();
        let reached = self.reach.say(connection, &inputs, now_us);
        for (place, offset) in self.reach.next() {
            next.entry(place.clone()).or_insert(offset);
        }
        let Some(value) = reached.to_bytes() else {
            return Ok(());
        };
        for shard in 0..self.shards {
            connection.send(&self.matches, Some(shard), &[], Some(&value), None)?;
        }
        Ok(())
    }

    /// Which shards an event goes to, each with the ids of its rules: all of one rule in one cluster is judged in one place.
    fn shards_of(&self, hits: &RowHits, catalog: &Catalog) -> BTreeMap<i32, Vec<String>> {
        let mut shards: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        for rule in &hits.rules {
            let Some(header) = catalog.header(*rule) else {
                continue;
            };
            let shard = shard_of(&hits.event.origin().cluster, &header.id, self.shards);
            shards.entry(shard).or_default().push(header.id.clone());
        }
        shards
    }

    /// Notes how far a partition is read, and gives up what never became whole.
    fn commit(
        &mut self,
        next: &HashMap<(String, i32), i64>,
        now_us: i64,
        connection: &Connection,
    ) -> Result<Offsets, KafkaFault> {
        let mut offsets = Offsets::default();
        for (place, next) in next {
            let Some(assembly) = self.assemblies.get_mut(place) else {
                continue;
            };
            for bytes in assembly.expire(now_us) {
                let burial = Burial {
                    topic: &place.0,
                    partition: place.1,
                    offset: *next,
                    stage: "VALUE_CONVERTER",
                    reason: "incomplete_body",
                    explanation: "the rest of a larger body never came; it was never acknowledged",
                    envelope: None,
                    is_whole: false,
                };
                bury(connection, &burial, None, &bytes)?;
            }
            offsets.0.insert(place.clone(), assembly.commit(*next));
        }
        Ok(offsets)
    }
}

/// An event that the topics take. One that is too large for them is cut like one that was cut on its way here: who did what stands
/// at its front, and the alert says that there is more.
fn fitting(hits: &RowHits, bytes_max: usize) -> (Arc<[u8]>, Origin) {
    let origin = hits.event.origin().clone();
    // Half: an act may hold it beside a match that waits, and what cannot be compressed grows.
    let bytes_max = bytes_max / 2;
    if hits.raw.len() <= bytes_max {
        return (hits.raw.as_slice().into(), origin);
    }
    let bytes = hits.raw.len();
    tracing::warn!(
        bytes,
        bytes_max,
        "an event is cut: its topics take no more (max.message.bytes)"
    );
    let partial = Origin {
        partial: true,
        ..origin
    };
    (hits.raw[..bytes_max].into(), partial)
}

/// The shard of a rule in a cluster. It is part of what is stored: changing it would take acts apart.
pub(super) fn shard_of(cluster: &str, rule: &str, shards: i32) -> i32 {
    let [a, b, c, d, ..] = hash([cluster, rule]);
    let shards = u32::try_from(shards.max(1)).unwrap_or(1);
    i32::try_from(u32::from_le_bytes([a, b, c, d]) % shards).unwrap_or(0)
}

fn reject(
    connection: &Connection,
    message: &OwnedMessage,
    envelope: &Envelope,
    rejected: &Rejected<'_>,
    number: u64,
) -> Result<(), KafkaFault> {
    let (code, mut explanation) = reason(rejected);
    match number {
        ..=REJECTS_KEPT_MAX => {}
        // One more says that there are more; the message itself stays in its topic.
        n if n == REJECTS_KEPT_MAX + 1 => {
            explanation = format!(
                "more than {REJECTS_KEPT_MAX} records of this message cannot be read; the rest is in the topic"
            );
        }
        _ => return Ok(()),
    }
    let burial = Burial {
        envelope: Some(envelope),
        ..Burial::of(message, code, &explanation)
    };
    bury(connection, &burial, message.key(), rejected.bytes)
}

/// Puts bytes among the dead letters of their topic.
pub(super) fn bury(
    connection: &Connection,
    burial: &Burial<'_>,
    key: Option<&[u8]>,
    bytes: &[u8],
) -> Result<(), KafkaFault> {
    // What is cut cannot be sent again; matches are small enough to be kept whole.
    let bytes_max = if burial.is_whole {
        bytes.len()
    } else {
        connection.letter_bytes_max
    };
    let kept = &bytes[..bytes.len().min(bytes_max)];
    let topic = dead_letters(burial.topic);
    connection.send(
        &topic,
        None,
        key.unwrap_or_default(),
        Some(kept),
        Some(burial.headers()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_spread_and_stay() {
        let mut counts = [0; 16];
        for rule in 0..400 {
            let shard = shard_of("prod", &format!("rule-{rule}"), 16);
            counts[usize::try_from(shard).unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| (8..60).contains(count)),
            "{counts:?}"
        );
        // Stored acts lie where this says; a change would orphan them.
        assert_eq!(
            shard_of("prod", "rule-1", 64),
            shard_of("prod", "rule-1", 64)
        );
    }
}
