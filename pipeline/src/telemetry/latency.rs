//! How long things take, as quantiles over the last minute or two.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// What takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From a request's head to its answer.
    Acknowledge,
    /// One sync of the log.
    Sync,
    /// From a body's being durable to the commit of what was found in it.
    Evaluate,
    /// One call of a sink.
    Deliver,
}

impl Stage {
    pub(super) const ALL: [Self; 4] =
        [Self::Acknowledge, Self::Sync, Self::Evaluate, Self::Deliver];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Sync => "sync",
            Self::Evaluate => "evaluate",
            Self::Deliver => "deliver",
        }
    }
}

/// How long a window is; quantiles are of the current one and the one before.
const WINDOW: Duration = Duration::from_mins(1);

/// An hour: what takes longer counts as that.
const MICROSECONDS_MAX: u64 = 3_600_000_000;

/// Quantiles by stage.
#[derive(Debug, Default)]
pub struct Latencies {
    stages: [Mutex<Windows>; 4],
}

#[derive(Debug)]
struct Windows {
    now: Histogram<u64>,
    before: Histogram<u64>,
    begun: Instant,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            now: histogram(),
            before: histogram(),
            begun: Instant::now(),
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "the bounds are constants that the library accepts"
)]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MICROSECONDS_MAX, 2).expect("bounds of a histogram")
}

impl Latencies {
    /// Counts one.
    pub fn record(&self, stage: Stage, took: Duration) {
        self.record_us(stage, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts one, in microseconds.
    pub fn record_us(&self, stage: Stage, took_us: u64) {
        let mut windows = self.windows(stage);
        if windows.begun.elapsed() >= WINDOW {
            let fresh = Windows::default();
            windows.before = std::mem::replace(&mut windows.now, fresh.now);
            windows.begun = fresh.begun;
        }
        windows.now.saturating_record(took_us);
    }

    /// Seconds at these quantiles; `None` if nothing happened of late.
    pub(super) fn quantiles(&self, stage: Stage, quantiles: &[f64]) -> Option<Vec<f64>> {
        let windows = self.windows(stage);
        let mut both = windows.now.clone();
        if windows.begun.elapsed() < 2 * WINDOW {
            both += &windows.before;
        }
        if both.is_empty() {
            return None;
        }
        let seconds = |quantile: &f64| both.value_at_quantile(*quantile) as f64 / 1e6;
        Some(quantiles.iter().map(seconds).collect())
    }

    fn windows(&self, stage: Stage) -> std::sync::MutexGuard<'_, Windows> {
        let windows = &self.stages[stage as usize];
        windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
