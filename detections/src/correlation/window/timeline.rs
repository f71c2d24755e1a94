//! The numbers of a sliding window in the order in which they will leave it.
//!
//! Up to [`EVENTS_MAX`] each is kept by itself. Beyond, time is divided into grains of a thousandth of the timespan, and numbers
//! of the same grain become one entry that leaves as a whole, at most one grain late. To merge the two oldest entries instead,
//! each time one is too many, would take less code: but the merged one would become younger with each merge and never leave a
//! busy window, whose sum would grow for ever.

use std::collections::VecDeque;
use std::mem;

use serde::{Deserialize, Serialize};

/// Entries that a window keeps, of 48 bytes: 200 KB. Fewer would make windows coarse that people look at one event at a time;
/// with more a hundred busy groups would take what is meant for a million quiet ones.
pub(super) const EVENTS_MAX: usize = 4096;

/// Grains of a timespan, to start with. Entries of one window are then at most a quarter of what may be kept if they have no
/// buckets, so that many events pass before the next merge.
const GRAINS: i64 = 1024;

/// One number, or several that leave together.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Event time, microseconds, of the newest of them.
    pub(super) time_us: i64,
    /// Only numbers of the same bucket are merged.
    pub(super) bucket: i16,
    /// How many there are.
    pub(super) count: u64,
    /// Their sum in millionths.
    pub(super) sum: i128,
}

/// Numbers that will leave, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Timeline {
    entries: VecDeque<Entry>,
    /// The length of a grain, microseconds; 0 while each number has its own entry.
    grain_us: i64,
}

impl Timeline {
    /// Takes the newest. Buckets below the lowest are one with it; a window is `span_us` long.
    pub(super) fn push(&mut self, entry: Entry, lowest: i16, span_us: i64) {
        if self.entries.len() >= EVENTS_MAX {
            self.condense(lowest, span_us);
        }
        self.entries.push_back(entry);
    }

    /// The oldest, if it is older than the window. Once all are gone numbers are told apart again.
    pub(super) fn pop_before(&mut self, start_us: i64) -> Option<Entry> {
        if self.entries.front()?.time_us >= start_us {
            return None;
        }
        let oldest = self.entries.pop_front();
        if self.entries.is_empty() {
            *self = Self::default();
        }
        oldest
    }

    /// Whether every number leaves on time.
    pub(super) fn is_exact(&self) -> bool {
        self.grain_us == 0
    }

    /// Bytes on the heap, about.
    pub(super) fn weight(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    /// Merges until half the room is free: merging costs as much as some pushes each, however full the window is.
    ///
    /// It comes to an end: with a grain longer than the timespan there are two, each with as many entries as there are buckets.
    fn condense(&mut self, lowest: i16, span_us: i64) {
        if self.grain_us == 0 {
            self.grain_us = span_us / GRAINS + 1;
        }
        self.merge(lowest);
        while self.entries.len() > EVENTS_MAX / 2 && self.grain_us <= span_us {
            self.grain_us = self.grain_us.saturating_mul(2);
            self.merge(lowest);
        }
    }

    fn merge(&mut self, lowest: i16) {
        let grain_us = self.grain_us;
        let mut entries: Vec<Entry> = mem::take(&mut self.entries).into();
        for entry in &mut entries {
            entry.bucket = entry.bucket.max(lowest);
        }
        entries.sort_unstable_by_key(|entry| place(entry, grain_us));
        entries.dedup_by(|entry, kept| {
            let same = place(entry, grain_us) == place(kept, grain_us);
            if same {
                kept.time_us = kept.time_us.max(entry.time_us);
                kept.count += entry.count;
                kept.sum += entry.sum;
            }
            same
        });
        self.entries = entries.into();
    }
}

/// What merged entries have in common: the grain and the bucket.
fn place(entry: &Entry, grain_us: i64) -> (i64, i16) {
    (entry.time_us.div_euclid(grain_us), entry.bucket)
}
