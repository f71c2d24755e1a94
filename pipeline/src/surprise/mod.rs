//! How unusual what an account did is for it: the sessions of a log, what a model of its past says of them, and findings.
//!
//! ```text
//! judges (any order) ─▶ gathered: what rows say, by shape ─▶ repeats taken out ─▶ sessions ─▶ sorted by bucket and actor
//!                                                                                                    │
//!                                finding: account, day, what was most surprising ◀── model of a cluster ┘
//! ```
//!
//! 1. Each request counts once: rows that say the same are one entry with a count, and byte-equal repeats are taken off it. The first
//!    moment may stay that of a repeat; it is also that of the event it repeats, which counts in the same session.
//! 2. Replay sorts all sessions before any is judged, on disk if there are many; so the order of files, and how
//!    threads share them, change nothing.
//! 3. Of each session the events are kept that first showed something, without their bodies if they are large: an alert quotes them.

mod daily;
mod gather;
mod history;
mod kept;

use detections::surprise::limits::DAY_US;
use detections::surprise::{Reading, Settings};

pub use self::daily::Surprised;

pub(crate) use self::daily::Days;
pub(crate) use self::gather::{Gathered, Gatherer};
pub(crate) use self::history::History;
pub use self::history::{Replayed, Standing};
pub(crate) use self::kept::{Kept, Key};

/// Two weeks: every day of the week twice, so that what is done on Mondays is not news on the third one. Three days, a week and
/// eighteen days find the same planted acts; shorter times only say more at low level.
pub const LEARNING_US_DEFAULT: i64 = 14 * DAY_US;

/// How the detector of surprise is set.
#[derive(Clone, Debug)]
pub struct Options {
    /// For so long from the day of a cluster's first event on, it says nothing. Microseconds.
    pub learning_us: i64,
    /// What the installation says about its accounts.
    pub reading: Reading,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            learning_us: LEARNING_US_DEFAULT,
            reading: Reading::default(),
        }
    }
}

impl Options {
    /// How a model is made that knows nothing yet.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            learning_us: self.learning_us,
            ..Settings::default()
        }
    }
}

#[cfg(test)]
mod tests;
