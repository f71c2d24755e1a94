//! The groups of all correlations: windows that are open, and what they found.
//!
//! Groups lie in 64 fixed shards by their id, so that what is kept and what is given up does not depend on how many processes there
//! are. Each cluster has a clock of its own: its last event that was fed.
//!
//! Memory is bounded. A shard that is full gives up the oldest group of one event, first of all of the rule that has most of them;
//! a group with two events or more is never given up for a new one: who comes with ever new keys cannot push out an attack that
//! takes its time. What was given up or refused is counted by rule.
//!
//! Baselines are correlations whose groups live long: an episode that is over leaves its group, which goes on.

mod episode;
mod group;
mod keeping;
mod room;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::sigma::ast::{Correlation, Input};

pub use self::episode::{Episode, Step, Told};
pub use self::group::{Ended, Group};
pub use self::room::Lost;

use self::room::Room;
use super::feed::{Feed, GroupId};
use super::moment::Moment;
use super::plan::Correlations;
use super::window::{Reached, takes_part};

/// Shards of the groups.
pub const SHARDS: u8 = 64;

/// How long a request that began is remembered, microseconds: a watch is closed within the hour, a shell may stay open for a day.
const STARTED_KEPT_US: i64 = 24 * 3_600_000_000;

/// Requests that go on, by shard. Beyond it the oldest are forgotten, and may count twice; that is counted.
const STARTED_MAX: usize = 4096;

/// An event on its way to its groups. `W` is what is kept of the event that completes a window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fed<W> {
    /// Its place in the stream.
    pub at: Moment,
    /// The cluster.
    pub cluster: Arc<str>,
    /// The request has begun and goes on; its end will come, too, and does not count again.
    pub goes_on: bool,
    /// What it is to correlations, in order.
    pub feeds: Vec<Feed>,
    /// The event in one line.
    pub brief: Box<str>,
    /// What is kept of it.
    pub witness: W,
}

/// When which group is to be looked at. Of one moment, those come first that feed others.
type Timer = (i64, usize, GroupId);

/// Everything that correlations remember.
#[derive(Debug)]
pub struct State<W> {
    shards: Vec<Shard<W>>,
    /// By cluster, when which group is to be looked at.
    timers: HashMap<Arc<str>, BTreeSet<Timer>>,
    lost: BTreeMap<usize, Lost>,
    /// Groups that changed since they were last stored.
    dirty: HashSet<GroupId>,
    dirty_started: HashSet<[u8; 16]>,
    /// Groups whose episodes changed since they were last looked at.
    found: BTreeSet<GroupId>,
    ended: Vec<Ended<W>>,
}

#[derive(Debug)]
struct Shard<W> {
    /// In boxes: half of a table's places are empty.
    groups: HashMap<GroupId, Box<Group<W>>>,
    room: Room,
    /// Requests that go on, with the time when they began.
    started: HashMap<[u8; 16], i64>,
    started_order: BTreeSet<(i64, [u8; 16])>,
}

impl<W> Default for State<W> {
    fn default() -> Self {
        let shard = |_| Shard {
            groups: HashMap::new(),
            room: Room::default(),
            started: HashMap::new(),
            started_order: BTreeSet::new(),
        };
        Self {
            shards: (0..SHARDS).map(shard).collect(),
            timers: HashMap::new(),
            lost: BTreeMap::new(),
            dirty: HashSet::new(),
            dirty_started: HashSet::new(),
            found: BTreeSet::new(),
            ended: Vec::new(),
        }
    }
}

/// The shard of an id.
#[must_use]
pub fn shard_of(id: &GroupId) -> u8 {
    id[0] % SHARDS
}

impl<W: Clone> State<W> {
    /// Takes an event in; per cluster, events must come in order. What was reached with it, by correlation.
    pub fn feed(&mut self, plan: &Correlations, fed: &Fed<W>) -> Vec<(usize, Reached)> {
        self.advance(plan, &fed.cluster, fed.at.time_us);
        let mut reached = Vec::new();
        for feed in &fed.feeds {
            let Some(spec) = plan.all().get(feed.correlation) else {
                continue;
            };
            let is_due = match spec.inputs.get(feed.input) {
                Some(Input::Rule(_)) => !self.was_counted(plan, feed, fed),
                Some(Input::Correlation(_)) => {
                    let place = (feed.correlation, feed.input);
                    let mut inner = reached.iter().map(|(inner, _)| *inner);
                    inner.any(|inner: usize| plan.outer(inner).contains(&place))
                }
                None => false,
            };
            if is_due {
                let now = self.feed_one(plan, spec, feed, fed);
                reached.extend(now.map(|now| (feed.correlation, now)));
            }
        }
        reached
    }

    /// Lets a cluster's time pass: windows end, and what is over is forgotten.
    pub fn advance(&mut self, plan: &Correlations, cluster: &Arc<str>, to_us: i64) {
        while let Some((due_us, id)) = self.next_due(cluster, to_us) {
            self.look(plan, &id, due_us);
        }
    }

    /// Whether the request was counted when it began. Remembers one that begins.
    fn was_counted(&mut self, plan: &Correlations, feed: &Feed, fed: &Fed<W>) -> bool {
        let id = plan.group_id(feed, &fed.cluster);
        let key = started_key(&id, feed.input, &fed.at.identity);
        self.forget_started(shard_of(&id), fed.at.time_us - STARTED_KEPT_US);
        let shard = &mut self.shards[usize::from(shard_of(&id))];
        if !fed.goes_on {
            let Some(began_us) = shard.started.remove(&key) else {
                return false;
            };
            shard.started_order.remove(&(began_us, key));
            self.dirty_started.insert(key);
            return true;
        }
        if shard.started.contains_key(&key) {
            return true;
        }
        shard.started.insert(key, fed.at.time_us);
        shard.started_order.insert((fed.at.time_us, key));
        self.dirty_started.insert(key);
        if shard.started.len() > STARTED_MAX
            && let Some((_, oldest)) = shard.started_order.pop_first()
        {
            shard.started.remove(&oldest);
            self.dirty_started.insert(oldest);
            self.lost.entry(feed.correlation).or_default().untracked += 1;
        }
        false
    }

    fn forget_started(&mut self, shard: u8, before_us: i64) {
        let shard = &mut self.shards[usize::from(shard)];
        while let Some((began_us, key)) = shard.started_order.first().copied() {
            if began_us >= before_us {
                break;
            }
            shard.started_order.pop_first();
            shard.started.remove(&key);
            self.dirty_started.insert(key);
        }
    }

    /// What the group's window holds, if that is what the correlation looks for.
    fn feed_one(
        &mut self,
        plan: &Correlations,
        spec: &Correlation,
        feed: &Feed,
        fed: &Fed<W>,
    ) -> Option<Reached> {
        let value = feed.value();
        if !takes_part(&spec.kind, value.as_ref()) {
            return None;
        }
        let id = plan.group_id(feed, &fed.cluster);
        if !self.make_room(&id, feed.correlation) {
            return None;
        }
        let shard = &mut self.shards[usize::from(shard_of(&id))];
        let group = shard
            .groups
            .entry(id)
            .or_insert_with(|| Box::new(Group::new(spec, feed, fed)));
        let before_us = group.fed_us;
        group.note(spec, feed.input, fed);
        let forgotten = group.window.forgotten();
        let reached = group.window.feed(spec, fed.at, feed.input, value.as_ref());
        let forgotten = group.window.forgotten().saturating_sub(forgotten);
        let is_single = group.window.progress() < 2 && group.episode.is_none();
        shard
            .room
            .note(feed.correlation, &id, (before_us, group.fed_us), is_single);
        self.set_timer(spec, &id);
        self.dirty.insert(id);
        if forgotten > 0 {
            self.lost.entry(feed.correlation).or_default().forgotten += forgotten;
        }
        let reached = reached?;
        if !spec.silent {
            self.join(spec, &id, &reached, fed);
        }
        Some(reached)
    }

    /// Adds what a window found to the group's episode.
    fn join(&mut self, spec: &Correlation, id: &GroupId, reached: &Reached, fed: &Fed<W>) {
        let shard = &mut self.shards[usize::from(shard_of(id))];
        let Some(group) = shard.groups.get_mut(id) else {
            return;
        };
        let steps = group.steps(spec, reached.first_us);
        let is_over = |episode: &Episode<W>| episode.is_over(spec, fed.at.time_us);
        let before = group.episode.take_if(|episode| is_over(episode));
        if let Some(episode) = &mut group.episode {
            episode.go_on(reached, fed, &steps, &group.window);
        } else {
            let episode = Episode::new(reached, fed, steps, &group.window);
            group.episode = Some(Box::new(episode));
        }
        self.ended.extend(before.map(|before| group.ended(*before)));
        self.set_timer(spec, id);
        self.dirty.insert(*id);
        self.found.insert(*id);
    }

    /// Looks at a group whose time has come: its window ends, or all of it is over.
    fn look(&mut self, plan: &Correlations, id: &GroupId, now_us: i64) {
        let shard = &mut self.shards[usize::from(shard_of(id))];
        let Some(group) = shard.groups.get_mut(id) else {
            return;
        };
        let Some(spec) = plan.all().get(group.correlation) else {
            self.remove(id);
            return;
        };
        if group.window.due_us(spec).is_some_and(|due| due <= now_us) {
            let correlation = group.correlation;
            let reached = group.window.end(spec);
            let last = group.last.take();
            self.dirty.insert(*id);
            if let (Some(reached), Some(mut last)) = (reached, last) {
                if !spec.silent {
                    self.join(spec, id, &reached, &last);
                }
                // To those outside it happens with the end of the window: they may be further than its last event.
                last.at.time_us = now_us - 1;
                self.feed_outer(plan, correlation, &last);
            }
        }
        self.end_episode(spec, id, now_us);
        let is_over = self
            .group(id)
            .is_some_and(|group| group.expires_us(spec) <= now_us);
        if is_over {
            self.remove(id);
        } else {
            self.set_timer(spec, id);
        }
    }

    /// Ends a group's episode if nothing can be added to it any more. The group may go on for weeks.
    fn end_episode(&mut self, spec: &Correlation, id: &GroupId, now_us: i64) {
        let shard = &mut self.shards[usize::from(shard_of(id))];
        let Some(group) = shard.groups.get_mut(id) else {
            return;
        };
        let is_over = |episode: &mut Box<Episode<W>>| episode.expires_us(spec) <= now_us;
        if let Some(episode) = group.episode.take_if(is_over) {
            self.ended.push(group.ended(*episode));
            self.dirty.insert(*id);
        }
    }

    /// Feeds those that wait for a correlation whose window has ended.
    fn feed_outer(&mut self, plan: &Correlations, inner: usize, last: &Fed<W>) {
        for feed in &last.feeds {
            let Some(spec) = plan.all().get(feed.correlation) else {
                continue;
            };
            if plan.outer(inner).contains(&(feed.correlation, feed.input))
                && self.feed_one(plan, spec, feed, last).is_some()
            {
                self.feed_outer(plan, feed.correlation, last);
            }
        }
    }

    fn remove(&mut self, id: &GroupId) {
        let shard = &mut self.shards[usize::from(shard_of(id))];
        let Some(mut group) = shard.groups.remove(id) else {
            return;
        };
        shard.room.forget(group.correlation, id, group.fed_us);
        if let Some(timers) = self.timers.get_mut(&group.cluster) {
            timers.remove(&(group.due_us, group.correlation, *id));
            if timers.is_empty() {
                self.timers.remove(&group.cluster);
            }
        }
        self.dirty.insert(*id);
        self.found.remove(id);
        let episode = group.episode.take();
        self.ended
            .extend(episode.map(|episode| group.ended(*episode)));
    }

    /// False if there is no room for a group that is new.
    fn make_room(&mut self, id: &GroupId, correlation: usize) -> bool {
        let shard = &self.shards[usize::from(shard_of(id))];
        if shard.groups.contains_key(id) || shard.room.has_place(correlation) {
            return true;
        }
        let Some((of, least)) = shard.room.least(correlation) else {
            self.lost.entry(correlation).or_default().refused += 1;
            return false;
        };
        self.remove(&least);
        self.lost.entry(of).or_default().given_up += 1;
        true
    }

    /// The next group of a cluster whose time has come, with that time.
    fn next_due(&mut self, cluster: &Arc<str>, to_us: i64) -> Option<(i64, GroupId)> {
        let timers = self.timers.get_mut(cluster)?;
        let (due_us, _, id) = *timers.first()?;
        if due_us > to_us {
            return None;
        }
        timers.pop_first();
        let shard = &mut self.shards[usize::from(shard_of(&id))];
        if let Some(group) = shard.groups.get_mut(&id) {
            group.due_us = i64::MAX;
        }
        Some((due_us, id))
    }

    /// Sets when a group is looked at next. A timer that is too early stays: looking moves it.
    fn set_timer(&mut self, spec: &Correlation, id: &GroupId) {
        let shard = &mut self.shards[usize::from(shard_of(id))];
        let Some(group) = shard.groups.get_mut(id) else {
            return;
        };
        let ends_us = group.window.due_us(spec);
        let episode = group.episode.as_ref();
        let over_us = episode.map(|episode| episode.expires_us(spec));
        let sooner = [ends_us, over_us].into_iter().flatten();
        let due_us = sooner.fold(group.expires_us(spec), i64::min);
        if group.due_us <= due_us {
            return;
        }
        let timers = self.timers.entry(group.cluster.clone()).or_default();
        timers.remove(&(group.due_us, group.correlation, *id));
        timers.insert((due_us, group.correlation, *id));
        group.due_us = due_us;
    }
}

/// Names a request that goes on, for one input of a group.
fn started_key(id: &GroupId, input: usize, identity: &[u8; 16]) -> [u8; 16] {
    let mut key = [0; 16];
    for (place, byte) in key.iter_mut().enumerate() {
        *byte = id[place] ^ identity[place];
    }
    // The first byte stays the group's, so that the shard can be told.
    key[0] = id[0];
    let [low, high, ..] = input.to_le_bytes();
    key[1] = key[1].wrapping_add(low);
    key[2] = key[2].wrapping_add(high);
    key
}
