//! What one group's events are to one correlation or baseline, in constant work per event and bounded memory.
//!
//! A [`Window`] takes the events of its group one by one, in the order of their [`Moment`]s, and says when the condition holds:
//!
//! ```text
//! only a lower bound: sliding               an upper bound or an exception: waiting for the end
//!
//!  ×    ×  × ×     ×   each event judges     ×    ×  × ×  ┊       ×   the first event opens,
//!       └────────┘     what is at most        └───────────┘       └─  the end judges once;
//!          └───────┘   a timespan older         timespan              the next event opens anew
//! ```
//!
//! 1. Both edges belong to a window: events exactly a timespan apart are in one.
//! 2. An event that matches several inputs is fed once for each, and is one event. Its number is that of the first input that
//!    has one; of its values all count.
//! 3. An event without the value that a kind looks at takes no part: it opens nothing, is not counted as fresh, and nothing is
//!    judged. Time passes all the same, since the next one that takes part makes old ones leave.
//! 4. A verdict about a bound is never wrong for lack of memory, as long as the loader keeps conditions within [`COUNT_MAX`] and
//!    [`VALUES_MAX`]: what is capped is capped beyond the bound. Sums, means and percentiles of more than 4096 events in a
//!    window are off by what happened in a thousandth of the timespan; percentiles always by half a percent.
//! 5. The state depends on the events alone. Stored, read back and continued, it says the same.
//!
//! A baseline has no window that slides or ends. It learns from the first event of its group on, and judges each event by what
//! was before it, if the group has been learned by then:
//!
//! ```text
//!  first event   learn         a new value        the last event   forget
//!  ×  ×    ×  ×  ┊  ×    ×      ×                  ×               ┊
//!  └─ silent ────┘  └─ known    └─ found                           └─ the group is forgotten, and would learn anew
//! ```
//!
//! Both times include their ends, as windows do. An event that is fed as several inputs is one event, with the values of the
//! first that has some.
//!
//! [`naive`](super::naive) says the same by keeping everything.

mod content;
mod distinct;
mod inputs;
mod known;
mod number;
mod numbers;
mod rare;
mod sketch;
mod spike;
mod timeline;
mod usual;

use std::collections::VecDeque;
use std::mem;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::sigma::ast::{Correlation, Kind, Memory};

use self::content::{Arrival, Content, Look, Measure, Part};
use super::Moment;

pub use self::usual::{Habit, Sighting, Usual};

pub(super) use self::number::{millionths, rank, units};
pub(super) use self::rare::EVENTS_MIN;

/// The most events that an `event_count` may ask for. Each group keeps the times of as many, eight bytes each; a rule that asks
/// for more wants a rate over all groups, which is a metric's work. The loader refuses it: here it would never hold.
pub const COUNT_MAX: usize = 100_000;

/// The most distinct values that a `value_count` may ask for. Each takes some fifty bytes and its text, so that a group at the
/// bound takes a megabyte. The loader refuses more: here it would never hold.
pub const VALUES_MAX: usize = 10_000;

/// Events that are told apart while they wait to be counted as fresh, where the condition itself does not need their times.
/// Beyond it a window is told to have as many fresh ones. It matters once, when a busy window first holds: from then on every
/// event is told by itself.
const FRESH_MAX: usize = 256;

/// Below so many entries a list keeps its memory when it shrinks.
const CAPACITY_FREE: usize = 64;

/// Whether an event with this value takes part in windows of a kind at all.
pub(super) fn takes_part(kind: &Kind, value: Option<&Value>) -> bool {
    Part::of(kind, value).is_some()
}

/// A window in which the condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    /// Event time, microseconds, of the oldest event of the window that counts. `temporal`: of the oldest of the inputs' newest
    /// events. `temporal_ordered`: of the first step of the sequence that starts latest. `spike`: of the bucket's first event.
    pub first_us: i64,
    /// What was compared with the bounds. `first_seen`: how many values of the event were new. `rare`: the least share of one,
    /// 0 to 1. `spike`: the bucket's count.
    pub value: f64,
    /// Events in the window that no earlier one of this window has counted. A sliding window knows at least the newest 256.
    pub fresh: u64,
    /// Whether the value is just that, and not a bound or an estimate for lack of memory.
    pub exact: bool,
}

/// What one group's events are to one correlation. The methods take the correlation each time, and it must stay the same:
/// state that was stored for another one is discarded by who stores it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Window {
    /// Of the newest event that takes part.
    newest: Moment,
    /// Events since the condition last held, or since the window opened. In a sliding window those that have left are the oldest
    /// of them, so that the length of `times` bounds it.
    fresh: u64,
    /// Sliding: when the newest events happened, oldest first, as many as are needed. Waiting for the end: when the window
    /// opened, and nothing while none is open.
    times: VecDeque<i64>,
    content: Content,
}

impl Window {
    /// Without events.
    #[must_use]
    pub fn new(spec: &Correlation) -> Self {
        Self {
            newest: Moment::BEFORE_ALL,
            fresh: 0,
            times: VecDeque::new(),
            content: Content::new(spec),
        }
    }

    /// Takes the next event as one of an input's, with the value of the field that the kind looks at. Where [`Window::due_us`]
    /// is not later than the event, [`Window::end`] comes first.
    ///
    /// One that comes late all the same (what a correlation finds at the end of a window may feed another one that has gone on
    /// meanwhile) counts as if it had happened with the newest.
    ///
    /// Says whether the condition holds, and says so again for each further event while it does. A condition that waits for
    /// the end says nothing here.
    pub fn feed(
        &mut self,
        spec: &Correlation,
        at: Moment,
        input: usize,
        value: Option<&Value>,
    ) -> Option<Reached> {
        debug_assert!(
            self.due_us(spec).is_none_or(|due_us| at.time_us < due_us),
            "a window that is due is ended first"
        );
        let part = Part::of(&spec.kind, value)?;
        let at = Moment {
            time_us: at.time_us.max(self.newest.time_us),
            ..at
        };
        let is_new = at != self.newest;
        if let Some(memory) = spec.kind.memory() {
            return is_new.then(|| self.learn(spec, memory, at, part)).flatten();
        }
        let waits = spec.bounds.wait_for_end();
        self.newest = at;
        if waits {
            self.gather(spec, is_new);
        } else {
            self.slide(spec, is_new);
        }
        let arrival = Arrival {
            time_us: at.time_us,
            start_us: self.start_us(spec),
            input,
            is_new,
        };
        self.content.take(spec, arrival, part);
        if waits {
            return None;
        }
        let measure = self.measure(spec, Some(input))?;
        self.judge(spec, measure)
    }

    /// The event time, microseconds, from which [`Window::end`] must be called before any event of it or later is fed. `None`
    /// if nothing waits.
    #[must_use]
    pub fn due_us(&self, spec: &Correlation) -> Option<i64> {
        if !spec.bounds.wait_for_end() {
            return None;
        }
        self.times
            .front()
            .map(|opened_us| behind_us(spec, *opened_us))
    }

    /// Closes the window, and says whether the condition holds of what it held. [`Window::values`] go on telling them until the
    /// next event.
    pub fn end(&mut self, spec: &Correlation) -> Option<Reached> {
        self.due_us(spec)?;
        let measure = self.measure(spec, None);
        let reached = measure.and_then(|measure| self.judge(spec, measure));
        self.times.clear();
        self.fresh = 0;
        self.newest = Moment::BEFORE_ALL;
        reached
    }

    /// The event time, microseconds, from which the window is as good as new if nothing more is fed. One that waits for its
    /// end is due then, and must be ended first.
    #[must_use]
    pub fn expires_us(&self, spec: &Correlation) -> i64 {
        if let Some(memory) = spec.kind.memory() {
            return self.forgotten_us(memory);
        }
        let last_us = if spec.bounds.wait_for_end() {
            self.times.front().copied()
        } else {
            self.times.back().copied()
        };
        last_us.map_or(i64::MIN, |last_us| behind_us(spec, last_us))
    }

    /// The distinct values of a `value_count`, newest first: at most 64 of them, each at most 128 characters long. Of a
    /// `first_seen` or `rare` those that its last event was reported for.
    #[must_use]
    pub fn values(&self) -> Vec<&str> {
        self.content.values()
    }

    /// What a baseline knew before its last event; `None` for all else.
    #[must_use]
    pub fn usual(&self) -> Option<Usual> {
        self.content.usual()
    }

    /// Values and counts that a baseline had to forget before their time, since its group began.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.content.forgotten()
    }

    /// How many events, values, inputs or steps it holds: what is lost if it is dropped.
    #[must_use]
    pub fn progress(&self) -> u64 {
        if self.times.is_empty() && !self.content.learns() {
            return 0;
        }
        self.content.progress().unwrap_or_else(|| self.events())
    }

    /// Bytes of memory, about, with what it points to.
    #[must_use]
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.times.capacity() * size_of::<i64>() + self.content.weight()
    }

    /// Takes an event into a baseline. What was known is forgotten first, if that is so long ago.
    fn learn(
        &mut self,
        spec: &Correlation,
        memory: Memory,
        at: Moment,
        part: Part<'_>,
    ) -> Option<Reached> {
        if self.forgotten_us(memory) <= at.time_us {
            self.content = Content::new(spec);
        }
        self.newest = at;
        self.content.learn(spec, at.time_us, part)
    }

    /// The first event time, microseconds, at which nothing of a baseline is left.
    fn forgotten_us(&self, memory: Memory) -> i64 {
        if self.newest == Moment::BEFORE_ALL {
            return i64::MIN;
        }
        let last_us = self.newest.time_us.saturating_add(memory.forget_us);
        last_us.saturating_add(1)
    }

    /// What happened earlier is not in a window with the newest event.
    fn start_us(&self, spec: &Correlation) -> i64 {
        self.newest.time_us.saturating_sub(spec.timespan_us)
    }

    /// Events in the window, as far as it knows. One that waits for the end remembers the time of the first, and counts them; a
    /// sliding one remembers the times, and those that are fresh are among them. So the greater number is the right one in both.
    fn events(&self) -> u64 {
        self.fresh.max(self.times.len() as u64)
    }

    /// The newest event joins the window that waits for its end, or opens one.
    fn gather(&mut self, spec: &Correlation, is_new: bool) {
        if self.times.is_empty() {
            self.content = Content::new(spec);
            self.push_time();
        }
        self.fresh += u64::from(is_new);
    }

    /// What is too old for the newest event leaves, and it joins the rest.
    fn slide(&mut self, spec: &Correlation, is_new: bool) {
        let start_us = self.start_us(spec);
        while self
            .times
            .front()
            .is_some_and(|time_us| *time_us < start_us)
        {
            self.times.pop_front();
        }
        if self.times.capacity() > CAPACITY_FREE.max(self.times.len() * 8) {
            self.times.shrink_to(self.times.len() * 2);
        }
        self.fresh = self.fresh.min(self.times.len() as u64);
        self.content.leave(start_us);
        if !is_new {
            return;
        }
        if self.times.len() >= times_max(spec)
            && let Some(time_us) = self.times.pop_front()
        {
            self.content.lose(time_us);
        }
        self.push_time();
        self.fresh = (self.fresh + 1).min(self.times.len() as u64);
    }

    fn push_time(&mut self) {
        // Most groups never see a second event: the first takes no more room than it needs.
        if self.times.capacity() == 0 {
            self.times.reserve_exact(1);
        }
        self.times.push_back(self.newest.time_us);
    }

    /// What is to be compared, after an event of the input `fed`, or at the end.
    fn measure(&self, spec: &Correlation, fed: Option<usize>) -> Option<Measure> {
        let look = Look {
            start_us: self.start_us(spec),
            events: self.events(),
            fed,
        };
        self.content.measure(spec, look)
    }

    fn judge(&mut self, spec: &Correlation, measure: Measure) -> Option<Reached> {
        let oldest_us = *self.times.front()?;
        if !spec.bounds.hold(measure.value) {
            return None;
        }
        Some(Reached {
            first_us: measure.first_us.unwrap_or(oldest_us),
            value: measure.value,
            fresh: mem::take(&mut self.fresh),
            exact: measure.exact,
        })
    }
}

/// The first event time, microseconds, that is not in a window with this one.
fn behind_us(spec: &Correlation, time_us: i64) -> i64 {
    time_us.saturating_add(spec.timespan_us).saturating_add(1)
}

/// How many times a sliding window remembers: as many as a count needs to hold. Others need them to know what is fresh.
fn times_max(spec: &Correlation) -> usize {
    if spec.kind != Kind::EventCount {
        return FRESH_MAX;
    }
    let least = usize::try_from(spec.bounds.least_count()).unwrap_or(COUNT_MAX);
    least.clamp(1, COUNT_MAX)
}

#[cfg(test)]
mod tests;
