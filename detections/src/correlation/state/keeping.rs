//! What storing and telling need of the groups: what changed, what was found, and how it is put back.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::super::feed::GroupId;
use super::super::plan::Correlations;
use super::{Ended, Group, Lost, State, Told, shard_of};

impl<W> State<W> {
    /// How many groups there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.groups.len()).sum()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a cluster has groups.
    #[must_use]
    pub fn has_groups(&self, cluster: &Arc<str>) -> bool {
        self.timers.contains_key(cluster)
    }

    /// Whether some group waits for time to pass.
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.timers.is_empty()
    }

    /// By correlation, what was given up for want of room, since this was made.
    #[must_use]
    pub fn lost(&self) -> &BTreeMap<usize, Lost> {
        &self.lost
    }

    /// A group.
    #[must_use]
    pub fn group(&self, id: &GroupId) -> Option<&Group<W>> {
        self.shards[usize::from(shard_of(id))]
            .groups
            .get(id)
            .map(Box::as_ref)
    }

    /// Changes what was told of a group's episode.
    pub fn tell(&mut self, id: &GroupId, told: Told) {
        let shard = &mut self.shards[usize::from(shard_of(id))];
        let group = shard.groups.get_mut(id);
        if let Some(episode) = group.and_then(|group| group.episode.as_mut()) {
            episode.told = Some(told);
            self.dirty.insert(*id);
        }
    }

    /// Groups whose episodes changed since the last time, in order.
    pub fn take_found(&mut self) -> BTreeSet<GroupId> {
        std::mem::take(&mut self.found)
    }

    /// Episodes that are over since the last time.
    pub fn take_ended(&mut self) -> Vec<Ended<W>> {
        std::mem::take(&mut self.ended)
    }

    /// Groups that changed since the last time; what is gone has no [`State::group`].
    pub fn take_dirty(&mut self) -> HashSet<GroupId> {
        std::mem::take(&mut self.dirty)
    }

    /// Requests that began or ended since the last time, with the time when they began.
    pub fn take_dirty_started(&mut self) -> Vec<([u8; 16], Option<i64>)> {
        let keys = std::mem::take(&mut self.dirty_started);
        let began = |key: &[u8; 16]| {
            let shard = &self.shards[usize::from(shard_of(key))];
            shard.started.get(key).copied()
        };
        keys.into_iter().map(|key| (key, began(&key))).collect()
    }

    /// Puts a group back that was stored.
    pub fn restore(&mut self, id: GroupId, mut group: Group<W>) {
        let shard = &mut self.shards[usize::from(shard_of(&id))];
        let is_single = group.window.progress() < 2 && group.episode.is_none();
        group.fed_us = group
            .recent
            .last()
            .map_or(group.due_us, |step| step.time_us);
        let fed_us = (i64::MIN, group.fed_us);
        shard.room.note(group.correlation, &id, fed_us, is_single);
        let timers = self.timers.entry(group.cluster.clone()).or_default();
        timers.insert((group.due_us, group.correlation, id));
        if group.episode.is_some() {
            self.found.insert(id);
        }
        shard.groups.insert(id, Box::new(group));
    }

    /// Puts back that a request began.
    pub fn restore_started(&mut self, key: [u8; 16], began_us: i64) {
        let shard = &mut self.shards[usize::from(shard_of(&key))];
        shard.started.insert(key, began_us);
        shard.started_order.insert((began_us, key));
    }

    /// Ends everything, as at the end of all input: windows that wait for their end are decided.
    pub fn finish(&mut self, plan: &Correlations) -> Vec<Ended<W>>
    where
        W: Clone,
    {
        let clusters: BTreeSet<Arc<str>> = self.timers.keys().cloned().collect();
        for cluster in clusters {
            self.advance(plan, &cluster, i64::MAX);
        }
        self.take_ended()
    }
}
