//! What a group's windows found: one finding for as long as it goes on.

use serde::{Deserialize, Serialize};

use crate::correlation::{Moment, Reached, Usual, Window};
use crate::sigma::ast::Correlation;

use super::Fed;

/// What comes within an hour of the last, or within a window that is longer, is no new finding: an analyst who looks at the first
/// one sees the others in it.
const QUIET_US_MIN: i64 = 3_600_000_000;

/// Nothing goes on for more than a day: what does so for ever is a new finding every day, and not one that was closed long ago.
const LIFE_US_MAX: i64 = 24 * 3_600_000_000;

/// Steps that are told of: the first ones, then the last ones.
const STEPS_MAX: usize = 8;

/// Values that are told of.
const VALUES_TOLD: usize = 20;

/// An event of a group, in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Event time.
    pub time_us: i64,
    /// Which input it was.
    pub input: usize,
    /// What happened.
    pub text: Box<str>,
}

/// What the world was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// 1 for the first time, and one more with each.
    pub revision: u32,
    /// How many events it had then.
    pub events: u64,
    /// When, in the time of the log.
    pub at_us: i64,
}

/// Windows of one group that were reached, one after the other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Episode<W> {
    /// The event that first completed a window; it names the episode.
    pub began: Moment,
    /// Event time of the first event of the first window.
    pub first_us: i64,
    /// Event time of the last event.
    pub last_us: i64,
    /// Events that count.
    pub events: u64,
    /// The highest number that was compared with the condition.
    pub value: f64,
    /// Whether that number is exact.
    pub exact: bool,
    /// What is kept of the event that first completed a window.
    pub witness: W,
    /// What happened: the first steps, then the last ones.
    pub steps: Vec<Step>,
    /// The values that were counted, or were not usual, some of them, sorted.
    pub values: Vec<Box<str>>,
    /// What a baseline knew when it first found something.
    pub usual: Option<Box<Usual>>,
    /// What the world was told.
    pub told: Option<Told>,
}

impl<W: Clone> Episode<W> {
    pub(super) fn new(reached: &Reached, fed: &Fed<W>, steps: Vec<Step>, window: &Window) -> Self {
        let mut episode = Self {
            began: fed.at,
            first_us: reached.first_us,
            last_us: fed.at.time_us,
            events: reached.fresh,
            value: reached.value,
            exact: reached.exact,
            witness: fed.witness.clone(),
            steps,
            values: Vec::new(),
            usual: window.usual().map(Box::new),
            told: None,
        };
        episode.note_values(&window.values());
        episode
    }

    /// Adds a further window.
    pub(super) fn go_on(
        &mut self,
        reached: &Reached,
        fed: &Fed<W>,
        steps: &[Step],
        window: &Window,
    ) {
        self.events += reached.fresh;
        self.last_us = self.last_us.max(fed.at.time_us);
        self.value = self.value.max(reached.value);
        self.exact &= reached.exact;
        // What is older than the last one was told of already, or left out for want of room.
        let newest_us = self.steps.last().map_or(i64::MIN, |step| step.time_us);
        for step in steps {
            if step.time_us >= newest_us && !self.steps.contains(step) {
                self.steps.push(step.clone());
            }
        }
        if let Some(too_many) = self.steps.len().checked_sub(STEPS_MAX) {
            let middle = STEPS_MAX / 2;
            self.steps.drain(middle..middle + too_many);
        }
        self.note_values(&window.values());
    }
}

impl<W> Episode<W> {
    /// Whether an event of this time is no part of it any more.
    pub(super) fn is_over(&self, spec: &Correlation, now_us: i64) -> bool {
        now_us - self.last_us > quiet_us(spec) || now_us - self.began.time_us > LIFE_US_MAX
    }

    /// When nothing can be added any more.
    pub(super) fn expires_us(&self, spec: &Correlation) -> i64 {
        let quiet_us = self.last_us.saturating_add(quiet_us(spec));
        quiet_us.saturating_add(1)
    }

    fn note_values(&mut self, values: &[&str]) {
        for value in values.iter().take(VALUES_TOLD) {
            if !self.values.iter().any(|known| **known == **value) {
                self.values.push((*value).into());
            }
        }
        // The smallest by order are kept.
        self.values.sort_unstable();
        self.values.truncate(VALUES_TOLD);
    }
}

fn quiet_us(spec: &Correlation) -> i64 {
    spec.timespan_us.max(QUIET_US_MIN)
}
