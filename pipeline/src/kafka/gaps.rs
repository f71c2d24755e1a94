//! Messages that were deleted before anybody has read them: said, counted, and never jumped over in silence.

use std::ops::Range;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::Offset;

use super::client::{KafkaFault, PATIENCE};
use super::connection::{Connection, Offsets};
use super::judging::bury;
use super::lag::Lag;
use super::message::Burial;

/// Messages that nobody has read were deleted: that is said and counted, and the group goes on with the oldest that is there. The
/// session is over then: its consumer cannot be moved.
pub(super) fn mend(connection: &Connection, lag: &Lag) -> KafkaFault {
    match bury_gaps(connection, lag) {
        Ok(0) => KafkaFault::new("an offset was out of range, and no gap was found".to_owned()),
        Ok(gaps) => KafkaFault::new(format!(
            "messages were gone before they were read, in {gaps} places"
        )),
        Err(fault) => fault,
    }
}

fn bury_gaps(connection: &Connection, lag: &Lag) -> Result<u64, KafkaFault> {
    let failed = |error: KafkaError| KafkaFault::of("go on behind deleted messages", &error);
    let consumer = &connection.consumer;
    let committed = consumer.committed(PATIENCE).map_err(failed)?;
    let mut gaps = 0;
    for element in committed.elements() {
        let (topic, partition) = (element.topic(), element.partition());
        let Offset::Offset(next) = element.offset() else {
            continue;
        };
        let (low, high) = connection.marks(topic, partition)?;
        if (low..=high).contains(&next) {
            continue;
        }
        // A log that was cut a little goes on at its end; one that is far shorter was made anew.
        let low = if next > high && high > next / 2 {
            high
        } else {
            low
        };
        tracing::error!(
            topic,
            partition,
            from = next,
            to = low,
            "messages are gone, or the topic was made anew"
        );
        bury_gap(connection, topic, partition, next..low)?;
        gaps += 1;
        let lost = u64::try_from(low - next).unwrap_or(0);
        lag.change(|lag| lag.lost += lost);
    }
    Ok(gaps)
}

/// Notes where partitions begin that the group has never read: otherwise nobody could tell later that what is there was deleted unread.
pub(super) fn begin_reading(
    connection: &Connection,
    fresh: &[(String, i32, i64)],
) -> Result<(), KafkaFault> {
    if fresh.is_empty() {
        return Ok(());
    }
    let mut offsets = Offsets::default();
    for (topic, partition, low) in fresh {
        offsets
            .0
            .insert((topic.clone(), *partition), (*low, String::new()));
    }
    connection.begin()?;
    connection.commit(&offsets)
}

/// A gap is a dead letter, too: whoever looks for what is missing finds it there.
fn bury_gap(
    connection: &Connection,
    topic: &str,
    partition: i32,
    gone: Range<i64>,
) -> Result<(), KafkaFault> {
    let Range { start, end } = gone;
    let explanation = if end >= start {
        format!(
            "messages {start} to {end} of {topic}/{partition} were deleted before they were read"
        )
    } else {
        format!(
            "{topic}/{partition} ends before {start}, up to where it was read: it was made anew, and is read from {end} on"
        )
    };
    let burial = Burial {
        topic,
        partition,
        offset: start,
        stage: "READ",
        reason: "deleted",
        explanation: &explanation,
        envelope: None,
        is_whole: false,
    };
    connection.begin()?;
    bury(connection, &burial, None, &[])?;
    // It is said once: the group goes on behind it.
    let mut behind = Offsets::default();
    behind
        .0
        .insert((topic.to_owned(), partition), (end, String::new()));
    connection.commit(&behind)
}
