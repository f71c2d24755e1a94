//! How much is emitted, how long it takes to arrive, and so how much may be under way.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Events of a batch of the webhook, unless its flags say otherwise.
const BATCH_EVENTS: u64 = 400;

/// After this a batch is sent if it is not full, unless the flags say otherwise.
const BATCH_US: i64 = 30_000_000;

/// What a batch needs from there to the log, at most times.
const TRAVEL_US: i64 = 5_000_000;

/// Looks that are remembered within the time of grace.
const LOOKS: i64 = 8;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Pace {
    /// Looks of the time of grace: when, and how much had been emitted since the base.
    looks: VecDeque<(i64, u64)>,
    /// The last look.
    last: (i64, u64),
    /// The longest that an event took which arrived since `took_since_us`.
    took_us: i64,
    took_since_us: i64,
    /// The same of the time of grace before.
    took_before_us: i64,
}

impl Pace {
    /// Nothing was emitted since the base, which is now.
    pub(super) fn begin(&mut self, at_us: i64) {
        self.looks.clear();
        self.last = (at_us, 0);
    }

    /// An event took so long. The API server's clock says when it was emitted, and ours when it came.
    pub(super) fn took(&mut self, took_us: i64) {
        self.took_us = self.took_us.max(took_us);
    }

    /// A look at the counters: so much was emitted since the base. Returns how much of it may be under way.
    pub(super) fn look(&mut self, at_us: i64, emitted: u64, grace_us: i64) -> u64 {
        let is_apart = |&(at_us, _): &(i64, u64)| self.last.0 - at_us >= grace_us / LOOKS;
        if self.looks.back().is_none_or(is_apart) {
            self.looks.push_back(self.last);
        }
        self.last = (at_us, emitted);
        // One of before the time of grace is kept, to tell what was emitted since it began.
        while self
            .looks
            .get(1)
            .is_some_and(|(second_us, _)| *second_us <= at_us - grace_us)
        {
            self.looks.pop_front();
        }
        let took_us = self.took_us.max(self.took_before_us);
        if at_us - self.took_since_us >= grace_us {
            self.took_before_us = std::mem::take(&mut self.took_us);
            self.took_since_us = at_us;
        }
        let usual = self.within(BATCH_US).min(BATCH_EVENTS);
        let usual = usual.saturating_add(self.within(TRAVEL_US));
        // Nothing may take longer than the grace, whatever was seen: else what is held back would excuse what is taken out.
        usual.max(self.within(took_us.clamp(0, grace_us)))
    }

    /// Events that were emitted within so many microseconds before the last look, as far as looks tell.
    fn within(&self, span_us: i64) -> u64 {
        let (last_us, sum) = self.last;
        let from_us = last_us - span_us;
        let mut after = self.last;
        for &before in self.looks.iter().rev() {
            if before.0 <= from_us {
                return (sum - after.1).saturating_add(share(before, after, from_us));
            }
            after = before;
        }
        sum - after.1
    }
}

/// What was emitted from a time on up to the second of two looks, if it was emitted evenly.
fn share(before: (i64, u64), after: (i64, u64), from_us: i64) -> u64 {
    let events = u128::from(after.1 - before.1);
    let part = u128::from(from_us.abs_diff(after.0));
    let whole = u128::from(before.0.abs_diff(after.0)).max(1);
    u64::try_from((events * part).div_ceil(whole)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    /// A pace of so many events in each of these minutes.
    fn pace(minutes: &[u64]) -> (Pace, u64) {
        let mut pace = Pace::default();
        pace.begin(0);
        let (mut emitted, mut under_way) = (0, 0);
        for (minute, events) in (1..).zip(minutes) {
            emitted += events;
            under_way = pace.look(minute * MINUTE, emitted, 5 * MINUTE);
        }
        (pace, under_way)
    }

    #[test]
    fn a_batch_and_some_seconds_are_under_way() {
        for (each, expected) in [(0, 0), (12, 7), (600, 350), (60_000, 5400)] {
            assert_eq!(pace(&[each; 20]).1, expected, "{each}");
        }
    }

    #[test]
    fn what_takes_longer_is_under_way_for_longer_up_to_the_grace() {
        for (took, expected) in [
            (-MINUTE, 350),
            (20_000_000, 350),
            (MINUTE, 600),
            (90_000_000, 900),
            (600 * MINUTE, 3000),
        ] {
            let (mut pace, mut told) = (pace(&[600; 20]).0, Vec::new());
            pace.took(took);
            for minute in 21..33 {
                told.push(pace.look(minute * MINUTE, minute.unsigned_abs() * 600, 5 * MINUTE));
            }
            assert_eq!(told[0], expected, "{took}");
            // It is remembered for a time of grace, and for two at most.
            assert_eq!(told[5], expected, "{took}");
            assert_eq!(told[11], 350, "{took}");
        }
    }

    #[test]
    fn a_burst_is_under_way_where_it_was() {
        let (pace, under_way) = pace(&[0, 0, 6000, 0, 0, 60]);
        assert_eq!(under_way, 35);
        for (minutes, expected) in [(0, 0), (1, 60), (3, 60), (4, 6060), (5, 6060), (50, 6060)] {
            assert_eq!(pace.within(minutes * MINUTE), expected, "{minutes}");
        }
    }

    #[test]
    fn few_looks_are_kept_however_often_it_is_looked() {
        let mut pace = Pace::default();
        pace.begin(0);
        for second in 1..5000 {
            pace.look(second * 1_000_000, second.unsigned_abs() * 10, 5 * MINUTE);
        }
        assert!(pace.looks.len() <= 10, "{}", pace.looks.len());
        assert_eq!(pace.within(MINUTE), 600);
        assert!((2990..=3010).contains(&pace.within(5 * MINUTE)));
    }
}
