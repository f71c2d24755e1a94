//! Percentiles of a window, about.
//!
//! Numbers are counted in buckets whose bounds grow by one percent each, as `DDSketch` does (Masson, Rim and Lee, 2019). A bucket
//! stands for the number in its middle, so that what is said is at most half a percent off. Exactness is not owed: it would take
//! all numbers in their order, and no rule means one percent more or less. The author of a rule with a bound of 1000 must expect
//! it to hold from 995 on, or only from 1005 on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::content::Arrival;
use super::number::{SCALE, rank};
use super::timeline::{Entry, Timeline};

/// How far from its middle a bucket reaches, relative to it. A little below half a percent, for the sake of rounding.
const ERROR: f64 = 0.0049;

/// The ratio of neighbouring bounds.
const GROWTH: f64 = (1.0 + ERROR) / (1.0 - ERROR);

/// Buckets that are not empty. They span a ratio of twenty thousand, 1 KB to 20 MB, even if none in between is empty; beyond, the
/// lowest become one, and high percentiles are none the worse. Twice as many are half of what [`Timeline`] may keep, which
/// is what lets it merge down to that.
pub(super) const BUCKETS_MAX: usize = 1024;

/// How many numbers there are, by magnitude.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sketch {
    /// By bucket, in the order of the numbers. None is empty.
    counts: BTreeMap<i16, u64>,
    count: u64,
    /// All lower buckets are one with this.
    lowest: i16,
    /// What will leave; `None` if nothing does before the end.
    timeline: Option<Timeline>,
}

impl Sketch {
    pub(super) fn new(slides: bool) -> Self {
        Self {
            counts: BTreeMap::new(),
            count: 0,
            lowest: i16::MIN,
            timeline: slides.then(Timeline::default),
        }
    }

    /// Takes a number in millionths.
    pub(super) fn enter(&mut self, arrival: Arrival, number: i128) {
        let bucket = bucket(number).max(self.lowest);
        *self.counts.entry(bucket).or_default() += 1;
        self.count += 1;
        self.collapse();
        let Some(timeline) = &mut self.timeline else {
            return;
        };
        let entry = Entry {
            time_us: arrival.time_us,
            bucket,
            count: 1,
            sum: 0,
        };
        let span_us = arrival.time_us.saturating_sub(arrival.start_us);
        timeline.push(entry, self.lowest, span_us);
    }

    pub(super) fn leave(&mut self, start_us: i64) {
        let Some(timeline) = &mut self.timeline else {
            return;
        };
        while let Some(entry) = timeline.pop_before(start_us) {
            let bucket = entry.bucket.max(self.lowest);
            self.count -= entry.count;
            let left = self.counts.get_mut(&bucket).map_or(0, |count| {
                *count -= entry.count;
                *count
            });
            if left == 0 {
                self.counts.remove(&bucket);
            }
        }
        if self.counts.is_empty() {
            self.lowest = i16::MIN;
        }
    }

    /// By nearest rank; `None` without numbers. From the top, since rules ask for high percentiles.
    pub(super) fn percentile(&self, percentile: f64) -> Option<f64> {
        let above = self.count.checked_sub(rank(percentile, self.count))?;
        let mut passed = 0;
        let mut from_top = self.counts.iter().rev();
        let found = from_top.find(|(_, count)| {
            passed += **count;
            passed > above
        });
        found.map(|(bucket, _)| middle(*bucket))
    }

    pub(super) fn len(&self) -> u64 {
        self.count
    }

    pub(super) fn weight(&self) -> usize {
        // Nodes of a tree are between half full and full.
        let counts = self.counts.len() * 16 + 128;
        size_of::<Self>() + counts + self.timeline.as_ref().map_or(0, Timeline::weight)
    }

    /// Makes one of the two lowest buckets, if there are too many.
    fn collapse(&mut self) {
        if self.counts.len() > BUCKETS_MAX
            && let Some((_, count)) = self.counts.pop_first()
            && let Some(mut next) = self.counts.first_entry()
        {
            *next.get_mut() += count;
            self.lowest = *next.key();
        }
    }
}

/// Which bucket a number in millionths is in: 0 has its own, negative ones mirror the positive ones.
fn bucket(number: i128) -> i16 {
    if number == 0 {
        return 0;
    }
    let magnitude = number.unsigned_abs() as f64;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the greatest magnitude is 10^24, whose bucket is the 5640th"
    )]
    let distance = (magnitude.ln() / GROWTH.ln()).ceil() as i16 + 1;
    if number < 0 { -distance } else { distance }
}

/// The number that a bucket stands for: as far, relatively, from its lower as from its upper bound.
fn middle(bucket: i16) -> f64 {
    if bucket == 0 {
        return 0.0;
    }
    let upper = GROWTH.powi(i32::from(bucket.abs() - 1));
    let magnitude = 2.0 * upper / (GROWTH + 1.0) / SCALE as f64;
    if bucket < 0 { -magnitude } else { magnitude }
}
