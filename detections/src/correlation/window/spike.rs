//! `spike`: how many events a group has in each bucket of time, and whether there are far more than usual.
//!
//! Buckets are aligned to 1970, so that they are the same in every run. Those that are over make up what is usual: the median of
//! their counts, and the median of how far they are from it. Neither is moved by a few spikes. Buckets without events count as
//! zeros and are not stored: how many there are follows from the time.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::sigma::ast::Memory;

use super::Reached;
use super::usual::{Acquaintance, Habit, Usual};

/// Past buckets with events that a group remembers, of 16 bytes: a week in which something happens every ten minutes. With more a
/// busy group would take more room than it is worth; with fewer a working day would push the night before it out.
const BUCKETS_MAX: usize = 1024;

/// What a rule asks of a spike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    pub(super) memory: Memory,
    /// The length of a bucket, microseconds.
    pub(super) bucket_us: i64,
    /// The least count that is a spike.
    pub(super) at_least: u64,
    /// By how many median deviations it must exceed the median.
    pub(super) deviations: f64,
}

/// What a group used to do.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Spike {
    acquaintance: Acquaintance,
    now: Bucket,
    /// Past buckets with events, oldest first: their numbers and counts.
    past: VecDeque<(i64, u64)>,
    /// By count, how many of these have it.
    histogram: BTreeMap<u64, u64>,
    /// The first bucket that is known: of the group's first event, or behind the last one that had to go.
    first: i64,
    /// Buckets that had to go before their time.
    forgotten: u64,
}

/// The bucket of the newest event.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Bucket {
    number: i64,
    /// When its first event was, microseconds.
    began_us: i64,
    count: u64,
    /// How many of its events were reported.
    told: u64,
    /// What was usual before it, once that is asked for: within a bucket it stays the same.
    usual: Option<Normal>,
}

/// What is usual.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Normal {
    spans: u64,
    median: u64,
    deviation: u64,
    /// What a count must exceed.
    limit: f64,
}

impl Spike {
    /// Takes an event.
    pub(super) fn learn(&mut self, demand: &Demand, now_us: i64) -> Option<Reached> {
        let number = now_us.div_euclid(demand.bucket_us);
        if self.acquaintance.events() == 0 {
            self.first = number;
        }
        let is_learned = self.acquaintance.meet(now_us, demand.memory);
        if self.now.count == 0 || self.now.number != number {
            self.close();
            self.leave(oldest(demand, number));
            self.now = Bucket {
                number,
                began_us: now_us,
                ..Bucket::default()
            };
        }
        self.now.count += 1;
        if !is_learned || self.now.count < demand.at_least {
            return None;
        }
        let usual = self.normal(demand);
        let bucket = &mut self.now;
        if (bucket.count as f64) <= usual.limit {
            return None;
        }
        let fresh = bucket.count - bucket.told;
        bucket.told = bucket.count;
        Some(Reached {
            first_us: bucket.began_us,
            value: bucket.count as f64,
            fresh,
            exact: self.forgotten == 0 || self.first <= oldest(demand, number),
        })
    }

    /// What was usual before the newest bucket.
    pub(super) fn usual(&self) -> Usual {
        let usual = self.now.usual.unwrap_or(Normal {
            spans: 0,
            median: 0,
            deviation: 0,
            limit: 0.0,
        });
        self.acquaintance.usual(Habit::Counts {
            spans: usual.spans,
            median: usual.median,
            deviation: usual.deviation,
            limit: usual.limit,
        })
    }

    pub(super) fn events(&self) -> u64 {
        self.acquaintance.events()
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(super) fn weight(&self) -> usize {
        let entry = size_of::<(i64, u64)>();
        size_of::<Self>() + (self.past.capacity() + 2 * self.histogram.len()) * entry
    }

    /// The newest bucket is over.
    fn close(&mut self) {
        if self.now.count > 0 {
            self.past.push_back((self.now.number, self.now.count));
            *self.histogram.entry(self.now.count).or_default() += 1;
        }
    }

    /// What is too old leaves, and what is too much.
    fn leave(&mut self, oldest: i64) {
        while self
            .past
            .front()
            .is_some_and(|(number, _)| *number < oldest)
        {
            self.remove_oldest();
        }
        if self.past.len() > BUCKETS_MAX
            && let Some(number) = self.remove_oldest()
        {
            self.first = number + 1;
            self.forgotten += 1;
        }
    }

    fn remove_oldest(&mut self) -> Option<i64> {
        let (number, count) = self.past.pop_front()?;
        if let Some(many) = self.histogram.get_mut(&count) {
            *many -= 1;
            if *many == 0 {
                self.histogram.remove(&count);
            }
        }
        Some(number)
    }

    /// What was usual before the newest bucket. It is worked out once for each.
    fn normal(&mut self, demand: &Demand) -> Normal {
        if let Some(usual) = self.now.usual {
            return usual;
        }
        let first = self.first.max(oldest(demand, self.now.number));
        let spans = self.now.number.saturating_sub(first);
        let zeros = spans.unsigned_abs().saturating_sub(self.past.len() as u64);
        let counts = self.histogram.iter().map(|(count, many)| (*count, *many));
        let mut counts: Vec<(u64, u64)> = [(0, zeros)].into_iter().chain(counts).collect();
        let usual = normal(&mut counts, demand.deviations);
        self.now.usual = Some(usual);
        usual
    }
}

/// The first bucket that is still remembered in another: as many whole ones as fit into the time after which they are forgotten.
fn oldest(demand: &Demand, number: i64) -> i64 {
    number.saturating_sub((demand.memory.forget_us / demand.bucket_us).max(1))
}

/// What is usual, from counts in their order and how many there are of each.
fn normal(counts: &mut [(u64, u64)], deviations: f64) -> Normal {
    let spans = counts.iter().map(|(_, many)| many).sum();
    let median = middle(counts, spans);
    for (count, _) in &mut *counts {
        *count = count.abs_diff(median);
    }
    counts.sort_unstable();
    let deviation = middle(counts, spans);
    Normal {
        spans,
        median,
        deviation,
        limit: median as f64 + deviations * deviation.max(1) as f64,
    }
}

/// The median, by nearest rank as `value_percentile` has it: the least that half of all do not exceed.
fn middle(counts: &[(u64, u64)], of: u64) -> u64 {
    let mut left = of.div_ceil(2);
    for (count, many) in counts {
        if *many >= left {
            return *count;
        }
        left -= many;
    }
    0
}
