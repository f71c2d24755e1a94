//! How far a cluster's events are in order.

use serde::{Deserialize, Serialize};

/// How late an event may be, microseconds: an API server repeats what was not acknowledged for 248 s.
pub(crate) const LATENESS_US: i64 = 300_000_000;

/// How far ahead of the log's time an event may be, microseconds. What is further ahead has a wrong clock, and would make all others
/// late; with this much the others still have more time than an API server repeats for.
pub(crate) const AHEAD_US: i64 = 30_000_000;

/// How much of the log's time may pass at once, microseconds, while nothing comes from a cluster. After a pause of the whole program the
/// log's time jumps, and what was written down meanwhile is still to come.
const STEP_US: i64 = 10_000_000;

/// The clock of one cluster. It goes by its newest event, and while none comes by the time of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the unit ends each name")]
pub(crate) struct Clock {
    /// The newest event time.
    newest_us: i64,
    /// Time of the log that passed since then.
    idle_us: i64,
    /// The time of the log at the last look.
    looked_us: i64,
    /// Everything before this time was fed, or is late.
    pub(crate) watermark_us: i64,
}

impl Clock {
    /// A clock that starts with an event.
    pub(crate) fn new(time_us: i64, now_us: i64) -> Self {
        Self {
            newest_us: time_us,
            idle_us: 0,
            looked_us: now_us,
            watermark_us: time_us - LATENESS_US,
        }
    }

    /// Notes an event; false if it is late.
    pub(crate) fn note(&mut self, time_us: i64) -> bool {
        if time_us > self.newest_us {
            self.newest_us = time_us;
            self.idle_us = 0;
        }
        time_us >= self.watermark_us
    }

    /// Lets the time of the log pass.
    pub(crate) fn pass(&mut self, now_us: i64) {
        self.idle_us += (now_us - self.looked_us).clamp(0, STEP_US);
        self.looked_us = self.looked_us.max(now_us);
        let watermark_us = self.newest_us + self.idle_us - LATENESS_US;
        self.watermark_us = self.watermark_us.max(watermark_us);
    }

    /// When to look again while something waits.
    pub(crate) fn due_us(&self) -> i64 {
        self.looked_us + STEP_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_clock_goes_by_events_and_stands_still_over_a_pause() {
        let mut clock = Clock::new(1_000 * SECOND, 0);
        assert!(clock.note(1_200 * SECOND));
        clock.pass(SECOND);
        assert_eq!(clock.watermark_us, 901 * SECOND);
        // The program was down for a day.
        clock.pass(86_400 * SECOND);
        assert_eq!(clock.watermark_us, 911 * SECOND);
        assert!(clock.note(911 * SECOND));
        assert!(!clock.note(910 * SECOND));
    }

    #[test]
    fn a_cluster_that_is_silent_goes_on_by_the_log() {
        let mut clock = Clock::new(1_000 * SECOND, 0);
        for now in 0..400 {
            clock.pass(now * SECOND);
        }
        assert_eq!(clock.watermark_us, 1_099 * SECOND);
    }
}
