//! `first_seen`: the values that a group has shown, and whether one is new.
//!
//! A value is known for as long as it was seen within the time after which it is forgotten, up to [`VALUES_KNOWN_MAX`] values.
//! What is new is known from then on, whether it was reported or not.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::sigma::ast::Memory;

use super::Reached;
use super::distinct::Distinct;
use super::usual::{Acquaintance, Habit, Sighting, Usual};

/// Values that a group knows: some 30 KB. A group that shows more of them has no habit in this field, and what it shows next
/// says nothing. Below some dozens an account that serves many namespaces would forget what it does every week.
pub(super) const VALUES_KNOWN_MAX: usize = 256;

/// What a group is known to show.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Known {
    acquaintance: Acquaintance,
    /// With how many events showed each.
    values: Distinct<u64>,
    /// How many of the newest values were new with the last event.
    found: usize,
    /// Values that made room for new ones.
    forgotten: u64,
}

impl Known {
    /// Takes the values of an event, all different.
    pub(super) fn learn(
        &mut self,
        memory: Memory,
        now_us: i64,
        texts: &[Cow<'_, str>],
    ) -> Option<Reached> {
        let is_learned = self.acquaintance.meet(now_us, memory);
        let start_us = now_us.saturating_sub(memory.forget_us);
        self.values.leave(start_us);
        let exact = self.values.is_exact(start_us);
        let is_known = |text: &&Cow<'_, str>| self.values.note(text).is_some();
        let (known, new): (Vec<_>, Vec<_>) = texts.iter().partition(is_known);
        let too_many = (self.values.len() + new.len()).saturating_sub(VALUES_KNOWN_MAX);
        self.forgotten += too_many as u64;
        // The new ones last, so that they are the newest.
        for text in known.iter().chain(&new) {
            *self.values.see(text, now_us, VALUES_KNOWN_MAX) += 1;
        }
        self.found = new.len();
        let is_found = is_learned && !new.is_empty();
        is_found.then_some(Reached {
            first_us: now_us,
            value: new.len() as f64,
            fresh: 1,
            exact,
        })
    }

    /// What was new with the last event.
    pub(super) fn texts(&self) -> Vec<&str> {
        let newest = self.values.newest().take(self.found);
        newest.map(|held| held.text).collect()
    }

    /// What was known before the last event.
    pub(super) fn usual(&self) -> Usual {
        let known = self.values.newest().skip(self.found).map(|held| Sighting {
            text: held.text.into(),
            times: *held.note,
            last_us: held.seen_us,
        });
        self.acquaintance
            .usual(Habit::of_values(known, self.forgotten))
    }

    pub(super) fn events(&self) -> u64 {
        self.acquaintance.events()
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.values.weight()
    }
}
