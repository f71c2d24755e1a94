//! The time of the input as a whole: how far all of its partitions were read.
//!
//! Partitions are read by several processes, each at its own pace. What came in at some time is in order only when everything that came
//! in before was read, from all partitions: so the time is that of the partition that is furthest behind. Nothing here reads a clock.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::feed::Reached;

/// Ten minutes: a partition of which nobody spoke for so long is waited for no more. Of one that is read, however far behind, its reader
/// speaks every few seconds.
const GONE_US: i64 = 600_000_000;

/// How much time may pass between two messages, microseconds: after a pause of everything nobody has been silent.
const STEP_US: i64 = 10_000_000;

/// All partitions of the input, as far as they were spoken of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sources {
    partitions: BTreeMap<(String, i32), Source>,
    /// When was last spoken of any.
    said_us: i64,
    /// The time of the input; it never goes back.
    now_us: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    /// Everything that came in before was read; `None` if nobody has said yet.
    at_us: Option<i64>,
    /// How long nobody has spoken of it.
    silent_us: i64,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            partitions: BTreeMap::new(),
            said_us: i64::MIN,
            now_us: i64::MIN,
        }
    }
}

impl Sources {
    /// The time of the input, if it is known.
    pub(super) fn now_us(&self) -> Option<i64> {
        (self.now_us > i64::MIN).then_some(self.now_us)
    }

    /// Takes in how far somebody has read. True if time has passed.
    pub(super) fn hear(&mut self, reached: &Reached) -> bool {
        let passed_us = reached.said_us.saturating_sub(self.said_us);
        // Nobody was silent before the first word.
        let is_first = self.said_us == i64::MIN;
        let passed_us = if is_first {
            0
        } else {
            passed_us.clamp(0, STEP_US)
        };
        self.said_us = reached.said_us;
        for source in self.partitions.values_mut() {
            source.silent_us += passed_us;
        }
        for (topic, count) in &reached.topics {
            for partition in 0..*count {
                let place = (topic.clone(), partition);
                self.partitions.entry(place).or_default();
            }
        }
        for (topic, partition, at_us) in &reached.sources {
            let place = (topic.clone(), *partition);
            let source = self.partitions.entry(place).or_default();
            source.silent_us = 0;
            // Who has just got it may not know yet.
            source.at_us = at_us.or(source.at_us);
        }
        let is_listed = |topic: &String| reached.topics.iter().any(|(listed, _)| listed == topic);
        self.partitions
            .retain(|(topic, _), source| source.silent_us < GONE_US || is_listed(topic));
        self.advance()
    }

    fn advance(&mut self) -> bool {
        let heard = self
            .partitions
            .values()
            .filter(|source| source.silent_us < GONE_US);
        // None is less than any time: a partition that may hold anything holds time up.
        let least = heard.map(|source| source.at_us).min().flatten();
        let is_later = least.is_some_and(|least| least > self.now_us);
        if let Some(least) = least.filter(|_| is_later) {
            self.now_us = least;
        }
        is_later
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn reached(said: i64, sources: &[(i32, Option<i64>)]) -> Reached {
        let sources = sources.iter();
        Reached {
            said_us: said * SECOND,
            sources: sources
                .map(|(partition, at)| ("in".to_owned(), *partition, at.map(|at| at * SECOND)))
                .collect(),
            topics: vec![("in".to_owned(), 2)],
        }
    }

    #[test]
    fn time_is_that_of_the_partition_that_is_furthest_behind() {
        let mut sources = Sources::default();
        assert!(!sources.hear(&reached(1000, &[(0, Some(900))])));
        assert_eq!(sources.now_us(), None, "of the other nothing is known");
        assert!(!sources.hear(&reached(1001, &[(1, None)])));
        assert!(sources.hear(&reached(1002, &[(1, Some(400))])));
        assert_eq!(sources.now_us(), Some(400 * SECOND));
        assert!(sources.hear(&reached(1003, &[(1, Some(950))])));
        assert_eq!(sources.now_us(), Some(900 * SECOND));
        // Another process has got both, and begins with what it reads.
        assert!(!sources.hear(&reached(1004, &[(0, Some(880)), (1, None)])));
        assert_eq!(sources.now_us(), Some(900 * SECOND));
    }

    #[test]
    fn who_reads_holds_time_up_and_who_is_silent_does_so_for_ten_minutes() {
        let mut sources = Sources::default();
        sources.hear(&reached(0, &[(0, Some(0)), (1, Some(0))]));
        for said in (5..=3600).step_by(5) {
            sources.hear(&reached(said, &[(0, Some(said)), (1, Some(1))]));
        }
        assert_eq!(sources.now_us(), Some(SECOND));
        // A day without anybody counts as a moment.
        for said in (90_000..90_590).step_by(5) {
            sources.hear(&reached(said, &[(0, Some(said))]));
        }
        assert_eq!(sources.now_us(), Some(SECOND));
        sources.hear(&reached(90_590, &[(0, Some(90_590))]));
        assert_eq!(sources.now_us(), Some(90_590 * SECOND));
        // It comes back, and is waited for again; time does not go back.
        sources.hear(&reached(90_605, &[(0, Some(90_605)), (1, Some(2))]));
        assert_eq!(sources.now_us(), Some(90_590 * SECOND));
        sources.hear(&reached(90_610, &[(0, Some(90_610)), (1, Some(90_608))]));
        assert_eq!(sources.now_us(), Some(90_608 * SECOND));
    }

    #[test]
    fn one_clock_that_is_far_ahead_makes_nobody_silent() {
        let mut sources = Sources::default();
        sources.hear(&reached(100, &[(0, Some(100)), (1, Some(100))]));
        for said in (105..400).step_by(5) {
            sources.hear(&reached(said, &[(0, Some(said))]));
        }
        sources.hear(&reached(9_000_000, &[(0, Some(9_000_000))]));
        assert_eq!(sources.now_us(), Some(100 * SECOND));
    }
}
