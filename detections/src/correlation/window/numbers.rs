//! Sum and mean of a window.

use serde::{Deserialize, Serialize};

use super::content::Arrival;
use super::number::units;
use super::timeline::{Entry, Timeline};

/// Running totals. They are whole numbers, so that what enters and leaves again leaves nothing behind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Numbers {
    /// In millionths.
    sum: i128,
    count: u64,
    /// What will leave; `None` if nothing does before the end.
    timeline: Option<Timeline>,
}

impl Numbers {
    pub(super) fn new(slides: bool) -> Self {
        Self {
            sum: 0,
            count: 0,
            timeline: slides.then(Timeline::default),
        }
    }

    /// Takes a number in millionths.
    pub(super) fn enter(&mut self, arrival: Arrival, number: i128) {
        self.sum += number;
        self.count += 1;
        let Some(timeline) = &mut self.timeline else {
            return;
        };
        let entry = Entry {
            time_us: arrival.time_us,
            bucket: 0,
            count: 1,
            sum: number,
        };
        let span_us = arrival.time_us.saturating_sub(arrival.start_us);
        timeline.push(entry, 0, span_us);
    }

    pub(super) fn leave(&mut self, start_us: i64) {
        let Some(timeline) = &mut self.timeline else {
            return;
        };
        while let Some(entry) = timeline.pop_before(start_us) {
            self.sum -= entry.sum;
            self.count -= entry.count;
        }
    }

    /// `None` without numbers.
    pub(super) fn sum(&self) -> Option<f64> {
        (self.count > 0).then(|| units(self.sum))
    }

    /// `None` without numbers.
    pub(super) fn mean(&self) -> Option<f64> {
        Some(self.sum()? / self.count as f64)
    }

    pub(super) fn len(&self) -> u64 {
        self.count
    }

    pub(super) fn is_exact(&self) -> bool {
        self.timeline.as_ref().is_none_or(Timeline::is_exact)
    }

    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.timeline.as_ref().map_or(0, Timeline::weight)
    }
}
