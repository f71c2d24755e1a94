//! What correlations are told on the topic of matches: events that feed them, and how far the input was read. Everything of one
//! cluster goes to one shard, since its correlations may feed each other, and are judged in one order.

use detections::correlation::Correlations;
use serde::{Deserialize, Serialize};

use crate::correlate::stream::{Event, Whole, event_bytes, members_of};

use super::judging::shard_of;
use super::message::Matched;

/// The first byte of an event that feeds. Each form of anything on this topic has a number of its own.
const FED_VERSION: u8 = 2;

/// The first byte of how far the input was read.
const REACHED_VERSION: u8 = 3;

/// A longer member of an event is left out, if the event is too large for its topic, in bytes.
const MEMBER_BYTES_MAX: usize = 4 << 10;

/// What is kept of such an event at most, in bytes.
const EVENT_BYTES_MAX: usize = 64 << 10;

/// A message of the topic of matches.
#[derive(Debug)]
pub(super) enum Inner {
    Matched(Matched),
    Fed(FedEvent),
    Reached(Reached),
}

/// An event that feeds correlations.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FedEvent {
    /// The time of its source when it came, microseconds since 1970 UTC.
    pub(super) came_us: i64,
    /// How many inputs of correlations it feeds.
    pub(super) feeds: u32,
    /// As it is stored while it waits.
    pub(super) event: Vec<u8>,
}

/// How far some partitions of the input were read: everything that came in before that time has been sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reached {
    /// When this was said, by the clock of who said it, microseconds since 1970 UTC.
    pub(super) said_us: i64,
    /// Topic, partition, and the time; none if it is not known yet.
    pub(super) sources: Vec<(String, i32, Option<i64>)>,
    /// All topics of the input, and how many partitions they have: others speak for the rest.
    pub(super) topics: Vec<(String, i32)>,
}

impl Inner {
    /// `None` if another version wrote it.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (&FED_VERSION, content) => postcard::from_bytes(content).ok().map(Self::Fed),
            (&REACHED_VERSION, content) => postcard::from_bytes(content).ok().map(Self::Reached),
            _ => Matched::parse(bytes).map(Self::Matched),
        }
    }
}

impl FedEvent {
    /// As a message of at most so many bytes. `None` if no part of it fits.
    pub(super) fn to_bytes(
        plan: &Correlations,
        mut event: Event,
        came_us: i64,
        bytes_max: usize,
    ) -> Option<Vec<u8>> {
        let whole = pack(plan, &event, came_us)?;
        if whole.len() <= bytes_max {
            return Some(whole);
        }
        lighten(&mut event);
        pack(plan, &event, came_us).filter(|lighter| lighter.len() <= bytes_max)
    }
}

fn pack(plan: &Correlations, event: &Event, came_us: i64) -> Option<Vec<u8>> {
    let fed = FedEvent {
        came_us,
        feeds: u32::try_from(event.feeds.len()).ok()?,
        event: event_bytes(plan, event)?,
    };
    written(FED_VERSION, &fed)
}

/// Leaves the longer members of an event out; what feeds was read from it before.
fn lighten(event: &mut Event) {
    let witness = &mut event.witness;
    let raw = witness.exemplar.raw.clone();
    witness.exemplar.raw = members_of(&raw, |bytes, key, value| {
        let room = EVENT_BYTES_MAX.saturating_sub(bytes + key.len());
        value.len() <= MEMBER_BYTES_MAX.min(room)
    });
    witness.whole.get_or_insert_with(|| Whole::of(&raw));
}

impl Reached {
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        written(REACHED_VERSION, self)
    }
}

fn written<T: Serialize>(version: u8, content: &T) -> Option<Vec<u8>> {
    let mut bytes = vec![version];
    bytes.extend(postcard::to_allocvec(content).ok()?);
    Some(bytes)
}

/// The shard that judges all correlations of a cluster. It is part of what is stored, as that of a rule is.
pub(super) fn shard_of_stream(cluster: &str, shards: i32) -> i32 {
    // No rule has an id like this.
    shard_of(cluster, "\0correlations", shards)
}
