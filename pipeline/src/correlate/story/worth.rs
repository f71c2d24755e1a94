//! Whether a story is more than its parts, and how bad it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use detections::sigma::ast::Level;

use super::fact::Fact;
use super::fold::Story;

/// Tactics along which a story must go to be told, and from which on it is one level worse than its worst part.
const TACTICS_TOLD: usize = 2;
const TACTICS_RAISED: usize = 3;

impl Story {
    /// Whether it is told: at least two steps along two tactics, of which one came to something; and either one of its parts is
    /// medium at least, or there are three steps along three tactics.
    #[must_use]
    pub fn is_told(&self) -> bool {
        let came_to_something = self.parts.iter().any(|part| part.succeeded);
        let reach = reach(self.parts.iter());
        let is_worth = self.worst() >= Level::Medium || reach >= TACTICS_RAISED;
        came_to_something && reach >= TACTICS_TOLD && is_worth
    }

    /// The worst of its parts; one more if three steps succeeded along three tactics, and not all of it was done by those who may
    /// do everything anyway.
    #[must_use]
    pub fn level(&self) -> Level {
        let more = i8::from(self.is_raised());
        Level::of_points(self.worst().points() + more)
    }

    /// Whether it is worse than its worst part.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        let succeeded = || self.parts.iter().filter(|part| part.succeeded);
        self.worst() >= Level::Medium
            && self.worst() < Level::Critical
            && succeeded().any(|part| !part.trusted)
            && reach(succeeded()) >= TACTICS_RAISED
    }

    /// The worst level of a part.
    #[must_use]
    pub fn worst(&self) -> Level {
        let points = self.parts.iter().map(|part| part.points).max();
        Level::of_points(points.unwrap_or(0))
    }

    /// Its tactics, by id, in the order in which they were first reached.
    #[must_use]
    pub fn tactics(&self) -> Vec<&str> {
        let mut tactics: Vec<&str> = Vec::new();
        for tactic in self.parts.iter().flat_map(|part| &part.tactics) {
            if !tactics.contains(&tactic.as_str()) {
                tactics.push(tactic);
            }
        }
        tactics
    }
}

/// The most tactics of which each has a step of its own. One request that several rules find is one step, and so is what one rule
/// finds again and again: a rule with two tactics is no way along both.
fn reach<'a>(parts: impl Iterator<Item = &'a Arc<Fact>>) -> usize {
    let steps = steps(parts);
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    (0..steps.len())
        .filter(|step| find(&steps, *step, &mut taken, &mut BTreeSet::new()))
        .count()
}

/// Finds a tactic for a step; those that have it already look for another (Kuhn's matching).
fn find<'a>(
    steps: &[BTreeSet<&'a str>],
    step: usize,
    taken: &mut BTreeMap<&'a str, usize>,
    tried: &mut BTreeSet<&'a str>,
) -> bool {
    for tactic in steps.get(step).into_iter().flatten() {
        if !tried.insert(tactic) {
            continue;
        }
        let other = taken.get(tactic).copied();
        if other.is_none_or(|other| find(steps, other, taken, tried)) {
            taken.insert(tactic, step);
            return true;
        }
    }
    false
}

/// The tactics of each step.
fn steps<'a>(parts: impl Iterator<Item = &'a Arc<Fact>>) -> Vec<BTreeSet<&'a str>> {
    let parts: Vec<&Arc<Fact>> = parts.collect();
    let mut step_of: Vec<usize> = (0..parts.len()).collect();
    let mut by_rule: BTreeMap<&str, usize> = BTreeMap::new();
    let mut by_request: BTreeMap<[u8; 16], usize> = BTreeMap::new();
    for (number, part) in parts.iter().enumerate() {
        let of_rule = *by_rule.entry(part.rule.as_str()).or_insert(number);
        let of_request = *by_request.entry(part.request).or_insert(number);
        for other in [of_rule, of_request] {
            unite(&mut step_of, number, other);
        }
    }
    let mut steps: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for (number, part) in parts.iter().enumerate() {
        let tactics = steps.entry(step_of.get(number).copied().unwrap_or(number));
        tactics
            .or_default()
            .extend(part.tactics.iter().map(String::as_str));
    }
    steps.into_values().collect()
}

fn unite(step_of: &mut [usize], one: usize, other: usize) {
    let of = |step_of: &[usize], number: usize| step_of.get(number).copied();
    let (Some(one), Some(other)) = (of(step_of, one), of(step_of, other)) else {
        return;
    };
    for step in step_of {
        if *step == one.max(other) {
            *step = one.min(other);
        }
    }
}
