//! What was usual for a group when a baseline found something that was not: what the finding is explained by.

use serde::{Deserialize, Serialize};

use crate::sigma::ast::Memory;

/// Values that an explanation names.
const SIGHTINGS_MAX: usize = 5;

/// What was usual for a group before an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usual {
    /// When the group's first event was, microseconds.
    pub since_us: i64,
    /// Its events before this one.
    pub events: u64,
    /// What it did.
    pub habit: Habit,
}

/// What a group used to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Habit {
    /// Values that it showed, beside those that are reported.
    Values {
        /// Some of them, the most frequent first.
        known: Vec<Sighting>,
        /// How many there are.
        count: u64,
        /// How many had to be forgotten before their time.
        forgotten: u64,
    },
    /// How many events it had in a timespan.
    Counts {
        /// How many past timespans were looked at, those without events included.
        spans: u64,
        /// The median of their counts.
        median: u64,
        /// The median of how far the counts are from it.
        deviation: u64,
        /// What a count must exceed.
        limit: f64,
    },
}

/// A value that a group has shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The value; of a long one its head.
    pub text: Box<str>,
    /// In how many events.
    pub times: u64,
    /// When for the last time, microseconds.
    pub last_us: i64,
}

impl Habit {
    /// Of all values that are known.
    pub(super) fn of_values(known: impl Iterator<Item = Sighting>, forgotten: u64) -> Self {
        let mut known: Vec<Sighting> = known.collect();
        let count = known.len() as u64;
        known.sort_by(|one, other| {
            let newest = (other.times, other.last_us).cmp(&(one.times, one.last_us));
            newest.then_with(|| one.text.cmp(&other.text))
        });
        known.truncate(SIGHTINGS_MAX);
        Self::Values {
            known,
            count,
            forgotten,
        }
    }
}

/// Since when a group is known, and by how many events.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Acquaintance {
    since_us: i64,
    events: u64,
}

impl Acquaintance {
    /// Another event. Says whether the group has been learned by now: the end of the time still belongs to it.
    pub(super) fn meet(&mut self, now_us: i64, memory: Memory) -> bool {
        if self.events == 0 {
            self.since_us = now_us;
        }
        self.events += 1;
        now_us.saturating_sub(self.since_us) > memory.learn_us
    }

    /// Events so far.
    pub(super) fn events(self) -> u64 {
        self.events
    }

    /// What was usual before the newest event.
    pub(super) fn usual(self, habit: Habit) -> Usual {
        Usual {
            since_us: self.since_us,
            events: self.events.saturating_sub(1),
            habit,
        }
    }
}
