//! Categorical counts: of one actor by sessions, of its peers by habits.
//!
//! Both interpolate by Witten and Bell: what a table has not seen gets a share of it that grows with the number of distinct
//! values (an actor that often shows something new will do so again), and how the share is spread says the next wider table:
//!
//! ```text
//! p(v) = (c(v) + T · p_wider(v)) / (n + T)      c(v) counts of v, n of all, T distinct values, at least 1
//! ```
//!
//! Peers count *actors that have the habit* and not sessions: a garbage collector with thousands of events must not decide what
//! is ordinary for fourteen service accounts.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::limits::DAY_US;

/// What values are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Operation,
    Namespace,
    Client,
    Network,
    /// Whether anything was refused.
    Outcome,
    /// The verbs of the operations: a new resource under a usual verb is less new than a new verb.
    Verb,
}

impl Table {
    pub(super) const COUNT: usize = 6;

    /// Those that a session shows by themselves, and that are judged.
    pub(super) const SHOWN: [Self; 5] = [
        Self::Operation,
        Self::Namespace,
        Self::Client,
        Self::Network,
        Self::Outcome,
    ];

    /// The probability of a value that nobody has shown: one of so many there may be. Of an operation, under its verb.
    pub(super) fn base(self) -> f64 {
        match self {
            Self::Operation | Self::Namespace | Self::Client | Self::Network => 1.0 / 64.0,
            Self::Verb => 1.0 / 16.0,
            Self::Outcome => 1.0 / 2.0,
        }
    }

    /// Values that are kept of one actor. The busiest ones have a third of that.
    fn values_max(self) -> usize {
        match self {
            Self::Operation => 96,
            Self::Namespace => 64,
            Self::Client => 8,
            Self::Network | Self::Verb => 16,
            Self::Outcome => 2,
        }
    }
}

/// On so many calendar days (UTC) an actor must have shown a value until it is a habit, and counts for its peers. One theft
/// teaches the peers nothing; a rollout does, a day later.
const HABIT_DAYS: u32 = 2;

/// When sessions are learned, and what they weigh.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) bucket_us: i64,
    /// Weights are not decayed; newer ones are greater, by 2^(time ÷ half-life), and what is read is divided by the newest.
    pub(super) growth: f64,
    /// The session was a finding: what is new in it counts only from the next day it is seen.
    pub(super) on_probation: bool,
}

/// The values of one actor in one table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Own {
    values: BTreeMap<Arc<str>, Known>,
    /// The sum of all weights.
    total: f64,
    /// Values with a weight.
    distinct: u32,
}

/// What is known of one value of one actor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    /// Sessions that held it, grown; 0 on probation.
    pub(super) weight: f64,
    /// The first and the last session that held it.
    pub(super) first_us: i64,
    pub(super) last_us: i64,
    pub(super) sessions: u32,
    pub(super) days: u32,
}

impl Known {
    pub(super) fn is_on_probation(&self) -> bool {
        self.weight <= 0.0
    }

    fn is_habit(&self) -> bool {
        self.days >= HABIT_DAYS
    }
}

/// What the peers must be told.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Learned {
    /// The value has just become a habit.
    pub(super) is_new_habit: bool,
    /// The habit that had to go for want of room.
    pub(super) forgotten: Option<Arc<str>>,
}

impl Own {
    pub(super) fn probability(&self, value: &str, wider: f64, growth: f64) -> f64 {
        let weight = self.values.get(value).map_or(0.0, |known| known.weight);
        let distinct = self.distinct();
        (weight / growth + distinct * wider) / (self.total / growth + distinct)
    }

    /// How many sessions are remembered, as far as they are not forgotten; one with three values counts three times.
    pub(super) fn sessions(&self, growth: f64) -> f64 {
        self.total / growth
    }

    pub(super) fn distinct(&self) -> f64 {
        f64::from(self.distinct.max(1))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&Arc<str>, &Known)> {
        self.values.iter()
    }

    pub(super) fn known(&self, value: &str) -> Option<&Known> {
        self.values.get(value)
    }

    pub(super) fn habits(&self) -> impl Iterator<Item = &Arc<str>> {
        let habits = self.values.iter().filter(|(_, known)| known.is_habit());
        habits.map(|(value, _)| value)
    }

    /// The most usual values, the most usual first.
    pub(super) fn usual(&self, number: usize) -> Vec<&str> {
        let mut values: Vec<_> = self.values.iter().collect();
        values.sort_by(|(_, one), (_, other)| other.weight.total_cmp(&one.weight));
        values.truncate(number);
        values.into_iter().map(|(value, _)| &**value).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// A session held the value.
    pub(super) fn learn(&mut self, table: Table, value: &Arc<str>, at: At) -> Learned {
        let Some(known) = self.values.get_mut(&**value) else {
            return self.meet(table, value, at);
        };
        let is_other_session = known.last_us != at.bucket_us;
        let is_other_day = day_of(known.last_us) != day_of(at.bucket_us);
        let was_on_probation = known.is_on_probation();
        known.last_us = at.bucket_us;
        known.sessions = known.sessions.saturating_add(u32::from(is_other_session));
        if was_on_probation && !is_other_day {
            return Learned::default();
        }
        if was_on_probation || is_other_session {
            known.weight += at.growth;
            self.total += at.growth;
            self.distinct += u32::from(was_on_probation);
        }
        known.days = known.days.saturating_add(u32::from(is_other_day));
        Learned {
            is_new_habit: is_other_day && known.days == HABIT_DAYS,
            forgotten: None,
        }
    }

    /// A value that is new to the actor.
    fn meet(&mut self, table: Table, value: &Arc<str>, at: At) -> Learned {
        let forgotten = if self.values.len() >= table.values_max() {
            self.forget_lightest()
        } else {
            None
        };
        let weight = if at.on_probation { 0.0 } else { at.growth };
        self.total += weight;
        self.distinct += u32::from(!at.on_probation);
        let known = Known {
            weight,
            first_us: at.bucket_us,
            last_us: at.bucket_us,
            sessions: 1,
            days: 1,
        };
        self.values.insert(value.clone(), known);
        Learned {
            is_new_habit: false,
            forgotten,
        }
    }

    /// The lightest goes, so that a flood of new values evicts itself. Says which habit was lost, if it was one.
    fn forget_lightest(&mut self) -> Option<Arc<str>> {
        let order = |known: &Known, other: &Known| {
            let by_weight = known.weight.total_cmp(&other.weight);
            by_weight.then(known.last_us.cmp(&other.last_us))
        };
        let lightest = self
            .values
            .iter()
            .min_by(|one, other| order(one.1, other.1));
        let value = lightest?.0.clone();
        let known = self.values.remove(&value)?;
        self.total = (self.total - known.weight).max(0.0);
        self.distinct -= u32::from(!known.is_on_probation());
        known.is_habit().then_some(value)
    }
}

/// The habits of a circle of actors in one table: integers, without time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Peers {
    /// How many actors have the habit.
    habits: BTreeMap<Arc<str>, u32>,
    /// The sum of them.
    total: u64,
}

impl Peers {
    pub(super) fn probability(&self, value: &str, wider: f64) -> f64 {
        let distinct = self.habits.len().max(1) as f64;
        let actors = f64::from(self.actors_with(value));
        (actors + distinct * wider) / (self.total as f64 + distinct)
    }

    pub(super) fn actors_with(&self, value: &str) -> u32 {
        self.habits.get(value).copied().unwrap_or(0)
    }

    pub(super) fn len(&self) -> usize {
        self.habits.len()
    }

    pub(super) fn add(&mut self, value: &Arc<str>) {
        *self.habits.entry(value.clone()).or_default() += 1;
        self.total += 1;
    }

    pub(super) fn remove(&mut self, value: &str) {
        let Some(actors) = self.habits.get_mut(value) else {
            return;
        };
        *actors -= 1;
        self.total -= 1;
        if *actors == 0 {
            self.habits.remove(value);
        }
    }
}

/// The calendar day, UTC.
fn day_of(time_us: i64) -> i64 {
    time_us.div_euclid(DAY_US)
}
