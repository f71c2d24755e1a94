//! How what correlations remember is stored.

use std::sync::Arc;

use detections::correlation::{Correlations, Group, GroupId, meaning};
use serde::{Deserialize, Serialize};

use super::clock::Clock;
use super::{Event, Witness};

/// Raised when what is stored changes its form.
const VERSION: u8 = 1;

/// Where all of it lies between commits, by kind and key.
pub trait StreamMemory {
    /// Why it could not.
    type Error;
    /// Stores a value, or forgets it.
    fn put(&mut self, kind: Kept, key: &[u8], content: Option<&[u8]>) -> Result<(), Self::Error>;
}

/// What is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kept {
    /// A group, by its id.
    Group,
    /// When a request began that goes on.
    Started,
    /// An event that waits for the watermark, by its place.
    Waiting,
    /// A cluster's clock, by its name.
    Clock,
}

impl Kept {
    const ALL: [Self; 4] = [Self::Group, Self::Started, Self::Waiting, Self::Clock];

    /// The first byte of a stored key.
    pub(crate) fn mark(self) -> u8 {
        match self {
            Self::Group => b'g',
            Self::Started => b's',
            Self::Waiting => b'w',
            Self::Clock => b'c',
        }
    }

    pub(crate) fn of_mark(mark: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.mark() == mark)
    }
}

/// A group with what its windows mean.
#[derive(Serialize, Deserialize)]
struct StoredGroup {
    correlation: String,
    meaning: [u8; 16],
    group: Group<Witness>,
}

/// An event with the correlations that it feeds, in the order of its feeds.
#[derive(Serialize, Deserialize)]
struct StoredEvent {
    correlations: Vec<(String, [u8; 16])>,
    event: Event,
}

pub(super) fn group_bytes(plan: &Correlations, group: &Group<Witness>) -> Option<Vec<u8>> {
    let spec = plan.all().get(group.correlation)?;
    encode(&StoredGroup {
        correlation: spec.header.id.clone(),
        meaning: meaning(spec),
        group: group.clone(),
    })
}

/// A group, if its correlation is still there and means the same.
pub(super) fn group_of(plan: &Correlations, bytes: &[u8]) -> Option<Group<Witness>> {
    let stored: StoredGroup = decode(bytes)?;
    let correlation = find(plan, &stored.correlation, stored.meaning)?;
    let mut group = stored.group;
    group.correlation = correlation;
    Some(group)
}

pub(crate) fn event_bytes(plan: &Correlations, event: &Event) -> Option<Vec<u8>> {
    let feeds = event.feeds.iter();
    let specs = feeds.filter_map(|feed| plan.all().get(feed.correlation));
    encode(&StoredEvent {
        correlations: specs
            .map(|spec| (spec.header.id.clone(), meaning(spec)))
            .collect(),
        event: event.clone(),
    })
}

/// An event, with the feeds to correlations that are still there.
pub(crate) fn event_of(plan: &Correlations, bytes: &[u8]) -> Option<Event> {
    let StoredEvent {
        correlations,
        mut event,
    } = decode(bytes)?;
    let feeds = std::mem::take(&mut event.feeds).into_iter();
    for (mut feed, (id, meaning)) in feeds.zip(correlations) {
        if let Some(correlation) = find(plan, &id, meaning) {
            feed.correlation = correlation;
            event.feeds.push(feed);
        }
    }
    // The order of correlations may have changed with the rules.
    event
        .feeds
        .sort_by_key(|feed| (feed.correlation, feed.input));
    Some(event)
}

pub(super) fn clock_bytes(clock: &Clock) -> Option<Vec<u8>> {
    encode(clock)
}

pub(super) fn clock_of(bytes: &[u8]) -> Option<Clock> {
    decode(bytes)
}

/// The place of an event that waits: events of one cluster lie together, in order.
pub(super) fn event_key(event: &Event) -> Vec<u8> {
    let mut key = Vec::with_capacity(event.cluster.len() + 26);
    key.extend(event.cluster.as_bytes());
    key.push(0);
    key.extend(sorted(event.at.time_us));
    key.extend(event.at.identity);
    key.push(u8::from(!event.goes_on));
    key
}

/// A time as bytes that sort as it does, also before 1970.
pub(crate) fn sorted(time_us: i64) -> [u8; 8] {
    (time_us ^ i64::MIN).to_be_bytes()
}

pub(super) fn cluster_of(key: &[u8]) -> Option<Arc<str>> {
    std::str::from_utf8(key).ok().map(Arc::from)
}

pub(super) fn id_of(key: &[u8]) -> Option<GroupId> {
    key.try_into().ok()
}

fn find(plan: &Correlations, id: &str, means: [u8; 16]) -> Option<usize> {
    let is_it =
        |spec: &detections::sigma::ast::Correlation| spec.header.id == id && meaning(spec) == means;
    plan.all().iter().position(is_it)
}

pub(crate) fn encode<T: Serialize>(content: &T) -> Option<Vec<u8>> {
    let content = postcard::to_allocvec(content).ok()?;
    let mut bytes = Vec::with_capacity(content.len() + 1);
    bytes.push(VERSION);
    bytes.extend(content);
    Some(bytes)
}

pub(crate) fn decode<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Option<T> {
    let (version, content) = bytes.split_first()?;
    (*version == VERSION).then(|| postcard::from_bytes(content).ok())?
}
