//! The state of shards, read from the state topic.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{Client, KafkaFault, PATIENCE, Quiet};
use super::shard::State;

/// How long a transaction that somebody left open is waited for. Brokers end them after `transaction.timeout.ms`, looking every
/// ten seconds.
const OPEN_WAIT: Duration = Duration::from_secs(90);

/// How often it is asked whether that transaction has ended.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// How long no message may come while there should be some.
const SILENCE: Duration = Duration::from_mins(1);

/// Reads shards as of now: all that was committed before this call is in it.
///
/// # Errors
/// If the topic cannot be read to its end.
pub(super) fn restore(
    client: &Client,
    topic: &str,
    shards: &BTreeSet<i32>,
) -> Result<BTreeMap<i32, State>, KafkaFault> {
    let mut states: BTreeMap<i32, State> = shards
        .iter()
        .map(|shard| (*shard, State::default()))
        .collect();
    let failed = |error: KafkaError| KafkaFault::of("read the state", &error);
    let reader = reader(client, "read_committed")?;
    let begins = await_end(client, &reader, topic, shards)?;
    let mut list = TopicPartitionList::new();
    for (shard, begin) in &begins {
        list.add_partition_offset(topic, *shard, Offset::Offset(*begin))
            .map_err(failed)?;
    }
    reader.assign(&list).map_err(failed)?;
    let (mut left, mut foreign) = (begins.into_keys().collect::<BTreeSet<i32>>(), 0_u64);
    let mut heard = Instant::now();
    while !left.is_empty() {
        match reader.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                let state = states.get_mut(&message.partition());
                let (Some(state), Some(key)) = (state, message.key()) else {
                    foreign += 1;
                    continue;
                };
                foreign += u64::from(!state.apply(key, message.payload()));
            }
            Some(Err(KafkaError::PartitionEOF(shard))) => drop(left.remove(&shard)),
            Some(Err(error)) => tracing::debug!(%error, "while the state is read"),
            None if heard.elapsed() > SILENCE => {
                return Err(KafkaFault::new(format!(
                    "cannot read the state: {topic} does not answer"
                )));
            }
            None => {}
        }
    }
    if foreign > 0 {
        tracing::error!(
            topic,
            foreign,
            "messages of the state topic are not ours, and were left out"
        );
    }
    Ok(states)
}

/// A consumer that belongs to no group.
pub(super) fn reader(client: &Client, isolation: &str) -> Result<BaseConsumer<Quiet>, KafkaFault> {
    client
        .with(
            &[
                ("queued.max.messages.kbytes", "16384"),
                // Half a second each otherwise, and a rebalance waits for this.
                ("fetch.wait.max.ms", "50"),
                ("fetch.error.backoff.ms", "50"),
            ],
            &[
                // It has to have one, and never uses it.
                ("group.id", "tidewatch-restore"),
                ("enable.auto.commit", "false"),
                ("auto.offset.reset", "error"),
                // Of the leader: a follower may not know yet what is committed.
                ("client.rack", ""),
                ("enable.partition.eof", "true"),
                ("isolation.level", isolation),
            ],
        )
        .create_with_context(Quiet)
        .map_err(|error| KafkaFault::of("read the state", &error))
}

/// Waits until no transaction is open before the end as it is now: one that is being committed belongs to the state. Where each
/// shard that is not empty begins.
fn await_end(
    client: &Client,
    committed: &BaseConsumer<Quiet>,
    topic: &str,
    shards: &BTreeSet<i32>,
) -> Result<BTreeMap<i32, i64>, KafkaFault> {
    let failed = |error: KafkaError| KafkaFault::of("read the state", &error);
    let mut begins = BTreeMap::new();
    let all = reader(client, "read_uncommitted")?;
    let until = Instant::now() + OPEN_WAIT;
    for shard in shards {
        let (begin, end) = all
            .fetch_watermarks(topic, *shard, PATIENCE)
            .map_err(failed)?;
        if begin == end {
            continue;
        }
        begins.insert(*shard, begin);
        loop {
            let (_, stable) = committed
                .fetch_watermarks(topic, *shard, PATIENCE)
                .map_err(failed)?;
            if stable >= end {
                break;
            }
            if Instant::now() > until {
                return Err(KafkaFault::new(format!(
                    "cannot read the state: a transaction on {topic}/{shard} stays open"
                )));
            }
            std::thread::sleep(ASK_EVERY);
        }
    }
    Ok(begins)
}
