//! Looks one after the other that found too much missing.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// The least deficit since `floor_us`.
    floor: i64,
    floor_us: i64,
    /// What is known to be missing: the least deficit of a whole time of grace.
    pub(super) settled: Option<i64>,
}

impl Run {
    /// The first look that found too much.
    pub(super) fn new(deficit: i64, at_us: i64) -> Self {
        Self {
            floor: deficit,
            floor_us: at_us,
            settled: None,
        }
    }

    /// Another one. It settles at the lowest that was seen; only what differs by more than `slack` is another loss.
    pub(super) fn take(&mut self, deficit: i64, at_us: i64, grace_us: i64, slack: i64) {
        self.floor = self.floor.min(deficit);
        if at_us - self.floor_us < grace_us {
            return;
        }
        let settled = self.settled.unwrap_or(self.floor);
        let is_more = self.floor > settled.saturating_add(slack);
        self.settled = Some(if is_more {
            self.floor
        } else {
            settled.min(self.floor)
        });
        self.floor = deficit;
        self.floor_us = at_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_settles_at_its_lowest_and_rises_for_another_loss_only() {
        let mut run = Run::new(700, 0);
        let looks = [
            (1, 640, None),
            (2, 690, Some(640)),
            (3, 600, Some(640)),
            (4, 620, Some(600)),
            (6, 650, Some(600)),
            (8, 900, Some(600)),
            (10, 910, Some(900)),
        ];
        for (at_us, deficit, expected) in looks {
            run.take(deficit, at_us, 2, 100);
            assert_eq!(run.settled, expected, "at {at_us}");
        }
    }
}
