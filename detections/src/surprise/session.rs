//! What each actor did in each ten minutes, from events in any order.
//!
//! A session is a sum: counts are added, first moments are minima. So it does not matter in which order events come, nor over
//! how many threads they are split, if what the threads gathered is [merged](Sessions::merge).
//!
//! That holds for the bounds, too. Where not all can be kept, the first ones of a fixed order are, and that order does not
//! depend on what was seen before what: whatever is among the first of all is among the first of every part, so that it is
//! never dropped on the way, and its counts are whole.

use std::array;
use std::cell::LazyCell;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use crate::correlation::Moment;

use super::actor::{Actor, ActorId};
use super::counts::Table;
use super::features::Features;
use super::limits::{SESSION_VALUES_MAX, SESSIONS_MAX, WINDOW_US};
use super::volume::Class;

/// Sessions that are still going on, of one cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sessions {
    #[serde(with = "sorted")]
    open: HashMap<Key, Session, RandomState>,
    limit: usize,
    events_lost: u64,
}

/// The order in which sessions are handed out, and by which they stay if there are too many.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    bucket_us: i64,
    actor: ActorId,
}

/// What one actor did in one bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// When the bucket began: event time, microseconds since 1970 UTC.
    pub bucket_us: i64,
    /// Who it is of, as the first event shows it.
    pub actor: Arc<Actor>,
    /// Of the first event.
    pub first: Moment,
    /// Event time of the last event, microseconds since 1970 UTC.
    pub last_us: i64,
    /// How many events there were.
    pub events: u64,
    /// By [`Table::SHOWN`].
    values: [Values; Table::SHOWN.len()],
    /// By [`Class`].
    counts: [u64; Class::COUNT],
}

/// The distinct values of one table, by text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Values {
    seen: Vec<Seen>,
    /// How often values were seen that could not be kept.
    beyond: u64,
}

/// A value that a session showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) text: Arc<str>,
    /// How much it matters by its text alone: those that matter most stay if there are too many.
    rank: u8,
    /// The greatest impact it had.
    pub(super) impact: u8,
    pub(super) count: u64,
    /// Of the first event that showed it, for an alert to quote.
    pub(super) first: Moment,
}

impl Default for Sessions {
    fn default() -> Self {
        Self::with_limit(SESSIONS_MAX)
    }
}

impl Sessions {
    /// None yet, and at most so many.
    #[must_use]
    pub fn with_limit(sessions_max: usize) -> Self {
        Self {
            open: HashMap::default(),
            limit: sessions_max,
            events_lost: 0,
        }
    }

    /// Takes an event in. Its identity is asked for only if it may be the first that shows something.
    pub fn add(&mut self, features: &Features, identity: impl FnOnce() -> [u8; 16]) {
        let identity = LazyCell::new(identity);
        let key = Key {
            bucket_us: bucket_of(features.time_us),
            actor: features.actor.id.clone(),
        };
        let session = match self.open.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let bucket_us = entry.key().bucket_us;
                let first = Moment {
                    time_us: features.time_us,
                    identity: *identity,
                };
                entry.insert(Session::new(bucket_us, features.actor.clone(), first))
            }
        };
        session.add(features, (1, features.time_us), &identity);
        self.make_room();
    }

    /// Takes in what another thread gathered.
    pub fn merge(&mut self, other: Self) {
        self.limit = self.limit.min(other.limit);
        self.events_lost += other.events_lost;
        for (key, session) in other.open {
            match self.open.entry(key) {
                Entry::Occupied(mut entry) => entry.get_mut().merge(session),
                Entry::Vacant(entry) => {
                    entry.insert(session);
                }
            }
        }
        self.make_room();
    }

    /// Hands out the sessions of all buckets before this one, sorted by bucket and actor. A bucket is finished when the
    /// watermark has passed its end; what comes later is a session of its own.
    pub fn take_before(&mut self, bucket_us: i64) -> Vec<Session> {
        self.keep_first();
        let finished = self.open.extract_if(|key, _| key.bucket_us < bucket_us);
        let mut finished: Vec<(Key, Session)> = finished.collect();
        finished.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        finished.into_iter().map(|(_, session)| session).collect()
    }

    /// Sessions that are going on.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is going on.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Events of sessions that were dropped for want of room.
    #[must_use]
    pub fn events_lost(&self) -> u64 {
        self.events_lost
    }

    /// A quarter more than allowed is gathered, so that looking for the first ones is seldom needed.
    fn make_room(&mut self) {
        if self.open.len() > self.limit.saturating_add(self.limit / 4) {
            self.keep_first();
        }
    }

    /// Drops what is beyond the bound: the sessions of the latest buckets and the last names.
    fn keep_first(&mut self) {
        if self.open.len() <= self.limit {
            return;
        }
        let mut keys: Vec<Key> = self.open.keys().cloned().collect();
        keys.sort_unstable();
        for key in keys.split_off(self.limit) {
            let session = self.open.remove(&key);
            self.events_lost += session.map_or(0, |session| session.events);
        }
    }
}

/// Events of one actor and bucket that say the same, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// How many there were, at least one.
    pub events: u64,
    /// The first of them.
    pub first: Moment,
    /// Event time of the last, microseconds since 1970 UTC.
    pub last_us: i64,
}

impl Session {
    /// A session of these events and no others.
    #[must_use]
    pub fn of(features: &Features, tally: &Tally) -> Self {
        let bucket_us = bucket_of(tally.first.time_us);
        let mut session = Self::new(bucket_us, features.actor.clone(), tally.first);
        session.take_in(features, tally);
        session
    }

    /// Takes in events of this actor and bucket.
    pub fn take_in(&mut self, features: &Features, tally: &Tally) {
        let first = Features {
            time_us: tally.first.time_us,
            ..features.clone()
        };
        let identity = LazyCell::new(|| tally.first.identity);
        self.add(&first, (tally.events, tally.last_us), &identity);
    }

    /// Takes in what was gathered elsewhere of this actor and bucket.
    pub fn join(&mut self, other: Self) {
        self.merge(other);
    }

    /// Whether an event is the first that showed something.
    #[must_use]
    pub fn is_shown_by(&self, event: &Moment) -> bool {
        let values = self.values.iter().flat_map(|values| &values.seen);
        self.first == *event || values.map(|seen| &seen.first).any(|first| first == event)
    }

    fn new(bucket_us: i64, actor: Arc<Actor>, first: Moment) -> Self {
        Self {
            bucket_us,
            actor,
            first,
            last_us: first.time_us,
            events: 0,
            values: array::from_fn(|_| Values::default()),
            counts: [0; Class::COUNT],
        }
    }

    /// How many events were of a class.
    #[must_use]
    pub fn count(&self, class: Class) -> u64 {
        self.counts[class as usize]
    }

    /// How often values were seen that could not be kept.
    #[must_use]
    pub fn values_lost(&self) -> u64 {
        self.values.iter().map(|values| values.beyond).sum()
    }

    /// The distinct values of one of [`Table::SHOWN`], by text.
    pub(super) fn values(&self, table: Table) -> &[Seen] {
        &self.values[table as usize].seen
    }

    /// The distinct verbs of its operations.
    pub(super) fn verbs(&self) -> Vec<&str> {
        let operations = self.values(Table::Operation).iter();
        let mut verbs: Vec<&str> = operations.map(|seen| verb_of(&seen.text)).collect();
        // Operations are sorted, and a verb is the beginning of one.
        verbs.dedup();
        verbs
    }

    /// `times` events that say this, the last of them at a time.
    fn add<F>(
        &mut self,
        features: &Features,
        (times, last_us): (u64, i64),
        identity: &LazyCell<[u8; 16], F>,
    ) where
        F: FnOnce() -> [u8; 16],
    {
        let time_us = features.time_us;
        self.events += times;
        self.last_us = self.last_us.max(last_us);
        if time_us <= self.first.time_us {
            let first = Moment {
                time_us,
                identity: **identity,
            };
            self.begin(first, &features.actor);
        }
        for (count, is_of) in self.counts.iter_mut().zip(features.classes) {
            *count += u64::from(is_of) * times;
        }
        let mut see = |table: Table, text: &Arc<str>, (rank, impact): (u8, u8)| {
            let values = &mut self.values[table as usize];
            values.see(text, (rank, impact), (times, time_us), identity);
        };
        for did in [&features.operation, &features.impersonation]
            .into_iter()
            .flatten()
        {
            see(Table::Operation, &did.text, (did.rank, did.impact));
        }
        if let Some(namespace) = &features.namespace {
            see(Table::Namespace, namespace, (0, 0));
        }
        see(Table::Client, &features.client, (0, 0));
        see(Table::Network, &features.network, (0, 0));
        see(Table::Outcome, &features.outcome, (0, 0));
    }

    /// The first event says who the actor is. Groups only decide between two that claim to be one and the same event.
    fn begin(&mut self, first: Moment, actor: &Arc<Actor>) {
        if (first, &actor.groups) < (self.first, &self.actor.groups) {
            self.first = first;
            self.actor = actor.clone();
        }
    }

    fn merge(&mut self, other: Self) {
        self.begin(other.first, &other.actor);
        self.last_us = self.last_us.max(other.last_us);
        self.events += other.events;
        for (values, more) in self.values.iter_mut().zip(other.values) {
            values.merge(more);
        }
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
    }
}

impl Values {
    fn see<F>(
        &mut self,
        text: &Arc<str>,
        (rank, impact): (u8, u8),
        (times, time_us): (u64, i64),
        identity: &LazyCell<[u8; 16], F>,
    ) where
        F: FnOnce() -> [u8; 16],
    {
        let first = || Moment {
            time_us,
            identity: **identity,
        };
        match self.place(text) {
            Ok(place) => {
                let seen = &mut self.seen[place];
                seen.count += times;
                seen.impact = seen.impact.max(impact);
                if time_us <= seen.first.time_us {
                    seen.first = seen.first.min(first());
                }
            }
            Err(place) => {
                let new = Seen {
                    text: text.clone(),
                    rank,
                    impact,
                    count: times,
                    first: first(),
                };
                self.seen.insert(place, new);
                self.keep_first();
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.beyond += other.beyond;
        for new in other.seen {
            match self.place(&new.text) {
                Ok(place) => self.seen[place].merge(&new),
                Err(place) => self.seen.insert(place, new),
            }
        }
        self.keep_first();
    }

    /// Most sessions show one or two values, and these are the same copies of the text.
    #[inline]
    fn place(&self, text: &Arc<str>) -> Result<usize, usize> {
        match &*self.seen {
            [first, ..] if Arc::ptr_eq(&first.text, text) => Ok(0),
            seen => seen.binary_search_by(|seen| (*seen.text).cmp(text)),
        }
    }

    /// Drops what is beyond the bound.
    fn keep_first(&mut self) {
        while self.seen.len() > SESSION_VALUES_MAX {
            let last = (0..self.seen.len()).max_by_key(|place| self.seen[*place].order());
            let Some(place) = last else {
                return;
            };
            self.beyond += self.seen.remove(place).count;
        }
    }
}

impl Seen {
    fn merge(&mut self, other: &Self) {
        self.impact = self.impact.max(other.impact);
        self.count += other.count;
        self.first = self.first.min(other.first);
    }

    /// By this order values stay if there are too many: what matters first, then by text.
    fn order(&self) -> (Reverse<u8>, &str) {
        (Reverse(self.rank), &self.text)
    }
}

/// The verb of an operation.
pub(super) fn verb_of(operation: &str) -> &str {
    operation
        .split_once(' ')
        .map_or(operation, |(verb, _)| verb)
}

/// The beginning of the bucket that a time lies in.
#[must_use]
pub fn bucket_of(time_us: i64) -> i64 {
    time_us.saturating_sub(time_us.rem_euclid(WINDOW_US))
}

/// Sessions are stored as a list in their order, so that the same sessions are the same bytes.
mod sorted {
    use serde::{Deserializer, Serializer};

    use super::{ActorId, Deserialize, HashMap, Key, RandomState, Session};

    type Open = HashMap<Key, Session, RandomState>;

    pub(super) fn serialize<S: Serializer>(open: &Open, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sessions: Vec<(&Key, &Session)> = open.iter().collect();
        sessions.sort_unstable_by_key(|(key, _)| *key);
        serializer.collect_seq(sessions.into_iter().map(|(_, session)| session))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Open, D::Error> {
        let sessions = Vec::<Session>::deserialize(deserializer)?;
        let keyed = sessions.into_iter().map(|session| {
            let actor: ActorId = session.actor.id.clone();
            let bucket_us = session.bucket_us;
            (Key { bucket_us, actor }, session)
        });
        Ok(keyed.collect())
    }
}
