//! When a sender was heard of, and how long it is usually silent.

use serde::{Deserialize, Serialize};

/// Ten minutes: how many of them a sender spoke in tells whether it speaks regularly.
const WINDOW_US: i64 = 600_000_000;

/// Ten-minute windows with a body of a sender, from which on its silence is one. One that was tried out once is not missed.
const WINDOWS_MIN: u32 = 3;

/// Ten-minute windows of a day, after which the longest gap counts for a quarter less: a holiday is not usual for ever.
const WINDOWS_OF_DAY: i64 = 144;

/// A sender may be silent for twice its longest usual gap. Beyond eight times the configured time none is usual: else who keeps a
/// sender silent a little longer each time could keep it silent for good.
const PATIENCE_MAX: i64 = 8;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Heard {
    pub(super) last_us: Option<i64>,
    /// Windows in which it was heard.
    windows: u32,
    /// The last one of them.
    window: i64,
    /// The longest time between two bodies that was not called silence.
    gap_us: i64,
}

impl Heard {
    /// A body came. `is_usual` if what was before it was not called silence; before `listening_us` nobody could be heard.
    pub(super) fn hear(&mut self, at_us: i64, listening_us: i64, is_usual: bool) {
        if let Some(last_us) = self.last_us.filter(|_| is_usual) {
            self.gap_us = self.gap_us.max(at_us - last_us.max(listening_us));
        }
        let window = at_us.div_euclid(WINDOW_US);
        if self.last_us.is_none() || window != self.window {
            self.windows = self.windows.saturating_add(1);
            let (day, before) = (window / WINDOWS_OF_DAY, self.window / WINDOWS_OF_DAY);
            if day != before {
                self.gap_us -= self.gap_us / 4;
            }
            self.window = window;
        }
        self.last_us = self.last_us.max(Some(at_us));
    }

    /// How long it may be silent without proof that it had anything to say. `None` if it does not speak regularly.
    pub(super) fn patience_us(&self, silent_after_us: i64) -> Option<i64> {
        let usual = self.gap_us.saturating_mul(2);
        let most = silent_after_us.saturating_mul(PATIENCE_MAX);
        (self.windows >= WINDOWS_MIN).then(|| usual.min(most).max(silent_after_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    /// Its patience in minutes after bodies at these minutes.
    fn patience(minutes: &[i64]) -> Option<i64> {
        let mut heard = Heard::default();
        for minute in minutes {
            heard.hear(minute * MINUTE, 0, true);
        }
        heard
            .patience_us(15 * MINUTE)
            .map(|patience| patience / MINUTE)
    }

    #[test]
    fn patience_is_twice_the_usual_gap_within_bounds() {
        for (minutes, expected) in [
            (&[][..], None),
            (&[1, 2, 3, 4, 5], None),
            (&[1, 11], None),
            (&[9, 10, 20], Some(20)),
            (&[1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21], Some(15)),
            (&[0, 12, 24], Some(24)),
            (&[0, 300, 600], Some(120)),
        ] {
            assert_eq!(patience(minutes), expected, "{minutes:?}");
        }
    }

    #[test]
    fn a_gap_that_is_not_usual_any_more_is_forgotten_with_the_days() {
        let mut minutes: Vec<i64> = vec![0, 50];
        minutes.extend((51..14 * 1440).step_by(5));
        assert_eq!(patience(&[0, 50, 60]), Some(100));
        assert_eq!(patience(&minutes), Some(15));
    }

    #[test]
    fn time_in_which_nobody_listened_is_no_gap() {
        let mut heard = Heard::default();
        for at in [0, 10, 20] {
            heard.hear(at * MINUTE, 0, true);
        }
        heard.hear(500 * MINUTE, 499 * MINUTE, true);
        heard.hear(600 * MINUTE, 0, false);
        assert_eq!(heard.patience_us(15 * MINUTE), Some(20 * MINUTE));
    }
}
