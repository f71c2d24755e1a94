//! `rare`: how a group's events are shared out among values.
//!
//! An event weighs half after the time of `forget`, a quarter after twice as long. Instead of lessening all that is old with each
//! event, what is new weighs more: an event weighs two to the power of the half-lives that have passed since the beginning. When
//! the numbers become great, all are made smaller together.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::sigma::ast::Memory;

use super::Reached;
use super::distinct::Distinct;
use super::known::VALUES_KNOWN_MAX;
use super::usual::{Acquaintance, Habit, Sighting, Usual};

/// Events before which nothing is rare: of fewer, each is one in twenty.
pub(in crate::correlation) const EVENTS_MIN: u64 = 20;

/// Half-lives after which all weights are made smaller. They are at most 2^64 then, and sums of them far from any limit.
const HALF_LIVES_MAX: i64 = 64;

/// What a group shows, and how much of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Rare {
    acquaintance: Acquaintance,
    values: Distinct<Weighed>,
    /// The weight of all events.
    total: f64,
    /// The half-life, counted from 1970, in which an event weighs one at first.
    base: i64,
    /// How many of the newest values were rare with the last event.
    found: usize,
    /// Values that made room for new ones.
    forgotten: u64,
}

/// How often a value was seen.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Weighed {
    times: u64,
    weight: f64,
}

impl Rare {
    /// Takes the values of an event, all different. Those are rare whose share before it is below.
    pub(super) fn learn(
        &mut self,
        memory: Memory,
        below: f64,
        now_us: i64,
        texts: &[Cow<'_, str>],
    ) -> Option<Reached> {
        let before = self.acquaintance.events();
        let is_learned = self.acquaintance.meet(now_us, memory) && before >= EVENTS_MIN;
        let exact = self.forgotten == 0;
        let shares: Vec<f64> = texts.iter().map(|text| self.share(text)).collect();
        let of_shares = texts.iter().zip(&shares);
        let (rare, usual): (Vec<_>, Vec<_>) = of_shares.partition(|(_, share)| **share < below);
        let weight = self.weight_at(now_us, memory);
        self.total += weight;
        // The rare ones last, so that they are the newest.
        for (text, _) in usual.iter().chain(&rare) {
            self.see(text, now_us, weight);
        }
        self.found = rare.len();
        let least = rare.iter().map(|(_, share)| **share).reduce(f64::min)?;
        is_learned.then_some(Reached {
            first_us: now_us,
            value: least,
            fresh: 1,
            exact,
        })
    }

    /// What was rare in the last event.
    pub(super) fn texts(&self) -> Vec<&str> {
        let newest = self.values.newest().take(self.found);
        newest.map(|held| held.text).collect()
    }

    /// What was usual before the last event.
    pub(super) fn usual(&self) -> Usual {
        let known = self.values.newest().skip(self.found).map(|held| Sighting {
            text: held.text.into(),
            times: held.note.times,
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

    /// The share of all events so far that had this value.
    fn share(&mut self, text: &str) -> f64 {
        let total = self.total;
        let weighed = self.values.note(text);
        weighed.map_or(0.0, |weighed| weighed.weight / total)
    }

    fn see(&mut self, text: &str, now_us: i64, weight: f64) {
        let held = self.values.len();
        let weighed = self.values.see(text, now_us, VALUES_KNOWN_MAX);
        weighed.times += 1;
        weighed.weight += weight;
        let is_forgotten = weighed.times == 1 && held == VALUES_KNOWN_MAX;
        self.forgotten += u64::from(is_forgotten);
    }

    /// What an event weighs now.
    fn weight_at(&mut self, now_us: i64, memory: Memory) -> f64 {
        let half_life = now_us.div_euclid(memory.forget_us);
        let passed = half_life.saturating_sub(self.base);
        if passed > HALF_LIVES_MAX {
            self.base = half_life;
            self.lessen(passed);
        }
        let part = now_us.rem_euclid(memory.forget_us) as f64 / memory.forget_us as f64;
        doubled(half_life.saturating_sub(self.base)) * power_of_two(part)
    }

    /// Makes all weights smaller. Multiplying by a power of two loses nothing.
    fn lessen(&mut self, half_lives: i64) {
        let factor = 1.0 / doubled(half_lives);
        self.total *= factor;
        for weighed in self.values.notes_mut() {
            weighed.weight *= factor;
        }
    }
}

/// Two to the power of a whole number.
fn doubled(times: i64) -> f64 {
    2.0_f64.powi(i32::try_from(times).unwrap_or(i32::MAX))
}

/// Two to the power of a part of one, by its binary digits. The libraries of different machines disagree about the last digit of
/// `exp2`, and then about findings; square roots are the same everywhere.
fn power_of_two(part: f64) -> f64 {
    let (mut power, mut factor, mut rest) = (1.0, 2.0_f64, part);
    for _ in 0..40 {
        factor = factor.sqrt();
        rest *= 2.0;
        if rest >= 1.0 {
            rest -= 1.0;
            power *= factor;
        }
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_what_the_library_says() {
        for step in 0..1000 {
            let part = f64::from(step) / 1000.0;
            assert!((power_of_two(part) - part.exp2()).abs() < 1e-11, "{part}");
        }
    }
}
