//! Which inputs occurred, and how far a sequence of them has come. Work and memory go with the number of inputs.

use serde::{Deserialize, Serialize};

use super::content::Arrival;

/// When each input last occurred.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Inputs {
    newest_us: Box<[Option<i64>]>,
}

impl Inputs {
    pub(super) fn new(inputs: usize) -> Self {
        Self {
            newest_us: vec![None; inputs].into(),
        }
    }

    pub(super) fn see(&mut self, arrival: Arrival) {
        if let Some(newest_us) = self.newest_us.get_mut(arrival.input) {
            *newest_us = Some(arrival.time_us);
        }
    }

    /// How many inputs occurred since a time, and when the one did that has not for longest.
    pub(super) fn since(&self, start_us: i64) -> Option<(usize, i64)> {
        let times = self.newest_us.iter().flatten().copied();
        let present = times.filter(|time_us| *time_us >= start_us);
        let oldest_us = present.clone().min()?;
        Some((present.count(), oldest_us))
    }

    /// Inputs that ever occurred.
    pub(super) fn len(&self) -> usize {
        self.newest_us.iter().flatten().count()
    }

    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.newest_us)
    }
}

/// How far a sequence of inputs has come.
///
/// Of all ways to have seen the first `k` inputs in their order, only the one that starts latest matters: whatever completes
/// another within the timespan completes it, too. So one time per length is exact.
///
/// An event that matches several inputs must not be two steps of one sequence. What it completes is therefore kept apart until
/// the next event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sequence {
    /// By length less one: when the latest-starting sequence began that ended before the newest event.
    starts_us: Box<[Option<i64>]>,
    /// The same of those that end with the newest event.
    pending_us: Box<[Option<i64>]>,
}

impl Sequence {
    pub(super) fn new(inputs: usize) -> Self {
        Self {
            starts_us: vec![None; inputs].into(),
            pending_us: vec![None; inputs].into(),
        }
    }

    pub(super) fn see(&mut self, arrival: Arrival) {
        if arrival.is_new {
            self.settle();
        }
        let start_us = match arrival.input.checked_sub(1) {
            None => Some(arrival.time_us),
            Some(previous) => self.start_us(previous, arrival.start_us),
        };
        if let Some(pending_us) = self.pending_us.get_mut(arrival.input) {
            *pending_us = start_us;
        }
    }

    /// The length and the start of the sequence that the newest event completes as this input.
    pub(super) fn completed(&self, input: usize) -> Option<(usize, i64)> {
        let start_us = (*self.pending_us.get(input)?)?;
        Some((input + 1, start_us))
    }

    /// The length and the start of the longest sequence so far.
    pub(super) fn longest(&self) -> Option<(usize, i64)> {
        let pairs = self.starts_us.iter().zip(self.pending_us.iter());
        pairs
            .enumerate()
            .rev()
            .find_map(|(index, (start_us, pending_us))| {
                let latest_us = (*start_us).max(*pending_us)?;
                Some((index + 1, latest_us))
            })
    }

    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.starts_us) + size_of_val(&*self.pending_us)
    }

    /// What the newest event completed can be gone on with.
    fn settle(&mut self) {
        for (start_us, pending_us) in self.starts_us.iter_mut().zip(self.pending_us.iter_mut()) {
            *start_us = (*start_us).max(pending_us.take());
        }
    }

    /// When the sequence up to an input began, if that was not too early.
    fn start_us(&self, input: usize, least_us: i64) -> Option<i64> {
        let start_us = (*self.starts_us.get(input)?)?;
        (start_us >= least_us).then_some(start_us)
    }
}
