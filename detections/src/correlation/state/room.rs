//! How many groups there may be, and which is given up first.

use std::collections::{BTreeMap, BTreeSet};

use crate::correlation::GroupId;

/// Groups of one shard: a million in all shards, some 700 bytes each (`cargo bench --bench keys`).
const SHARD_GROUPS_MAX: usize = 16 << 10;

/// Groups of one correlation in a shard: a quarter, so that a flood of keys of one rule leaves room for the others.
const RULE_GROUPS_MAX: usize = 4 << 10;

/// What was given up for want of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Groups of one event that made room for new ones.
    pub given_up: u64,
    /// Events of new groups for which there was no room.
    pub refused: u64,
    /// Requests that may count twice.
    pub untracked: u64,
    /// Values and counts of baselines that were forgotten before their time.
    pub forgotten: u64,
}

/// The places of one shard.
#[derive(Debug, Default)]
pub(super) struct Room {
    total: usize,
    rules: BTreeMap<usize, OfRule>,
}

#[derive(Debug, Default)]
struct OfRule {
    groups: usize,
    /// Groups of one event by when they were fed, oldest first.
    singles: BTreeSet<(i64, GroupId)>,
}

impl Room {
    /// Whether a new group of a correlation has a place.
    pub(super) fn has_place(&self, correlation: usize) -> bool {
        let groups = self.rules.get(&correlation).map_or(0, |of| of.groups);
        self.total < SHARD_GROUPS_MAX && groups < RULE_GROUPS_MAX
    }

    /// The group to give up for a new one of this correlation, with its own correlation.
    pub(super) fn least(&self, correlation: usize) -> Option<(usize, GroupId)> {
        let oldest = |of: &OfRule| of.singles.first().map(|(_, id)| *id);
        let own = self.rules.get(&correlation);
        if own.is_some_and(|own| own.groups >= RULE_GROUPS_MAX) {
            return Some((correlation, oldest(own?)?));
        }
        let most = self.rules.iter().max_by_key(|(_, of)| of.singles.len())?;
        Some((*most.0, oldest(most.1)?))
    }

    /// Notes that a group was fed, and when before that: at the least time, if it is new.
    pub(super) fn note(
        &mut self,
        correlation: usize,
        id: &GroupId,
        (before_us, time_us): (i64, i64),
        single: bool,
    ) {
        let of = self.rules.entry(correlation).or_default();
        if before_us == i64::MIN {
            of.groups += 1;
            self.total += 1;
        } else {
            of.singles.remove(&(before_us, *id));
        }
        if single {
            of.singles.insert((time_us, *id));
        }
    }

    /// Notes that a group is gone that was last fed at a time.
    pub(super) fn forget(&mut self, correlation: usize, id: &GroupId, fed_us: i64) {
        let Some(of) = self.rules.get_mut(&correlation) else {
            return;
        };
        of.singles.remove(&(fed_us, *id));
        of.groups = of.groups.saturating_sub(1);
        self.total = self.total.saturating_sub(1);
    }
}
