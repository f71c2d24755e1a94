//! The stream of a live run: what came waits for the watermark, is fed in order, and what is found is told.
//!
//! Everything is stored in one step with the position in the log, so that a crash neither loses nor doubles anything. Nothing here
//! reads a clock: the time is the log's.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use detections::correlation::{Correlations, Episode, Feed, GroupId, Lost, Told, Values};

use crate::correlate::family::{Change, Said};
use crate::limits::{UPDATE_WAIT_US, WAITING_BYTES_MAX};

use super::clock::{AHEAD_US, Clock};
use super::memory::{
    Kept, StreamMemory, clock_bytes, clock_of, cluster_of, event_bytes, event_key, event_of,
    group_bytes, group_of, id_of, sorted,
};
use super::{Event, Groups, Witness, finding_of, uid_of};

/// What could not be put in order, since the rules were loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounts {
    /// Events that came later than the lateness allows. Rules about single events have judged them.
    pub late: u64,
    /// Events of a time that is still to come.
    pub ahead: u64,
    /// Events for which there was no room while they waited.
    pub crowded: u64,
    /// Events for correlations that only other processes know: their rules are newer, or older. With state in Kafka only.
    pub unknown: u64,
}

/// The correlations of a live run.
#[derive(Debug, Default)]
pub struct Streams {
    groups: Groups,
    clocks: HashMap<Arc<str>, Clock>,
    /// Clusters whose clocks changed since the last commit.
    moved: BTreeSet<Arc<str>>,
    waiting: BTreeMap<Vec<u8>, Event>,
    waiting_bytes: usize,
    /// Events that came since the last commit.
    added: BTreeSet<Vec<u8>>,
    /// Groups with more to tell, by when.
    untold: BTreeSet<(i64, GroupId)>,
    counts: StreamCounts,
}

/// What is to be told of an episode.
struct Tale<'a> {
    correlation: usize,
    cluster: &'a str,
    values: &'a Values,
    episode: &'a Episode<Witness>,
}

impl Streams {
    /// Puts back what was stored, by kind and key. What cannot be read, or belongs to correlations that are gone or mean something
    /// else now, is left out, and returned.
    pub fn restore(
        plan: &Correlations,
        stored: impl IntoIterator<Item = (Kept, Vec<u8>, Vec<u8>)>,
    ) -> (Self, Vec<(Kept, Vec<u8>)>) {
        let mut streams = Self::default();
        let mut left_out = Vec::new();
        for (kind, key, content) in stored {
            if streams.restore_one(plan, kind, &key, &content).is_none() {
                left_out.push((kind, key));
            }
        }
        for id in streams.groups.take_found() {
            streams.untold.insert((i64::MIN, id));
        }
        streams.groups.take_dirty();
        (streams, left_out)
    }

    fn restore_one(
        &mut self,
        plan: &Correlations,
        kind: Kept,
        key: &[u8],
        content: &[u8],
    ) -> Option<()> {
        match kind {
            Kept::Group => self.groups.restore(id_of(key)?, group_of(plan, content)?),
            Kept::Started => {
                let began_us = i64::from_be_bytes(content.try_into().ok()?);
                self.groups.restore_started(id_of(key)?, began_us);
            }
            Kept::Waiting => {
                let event = event_of(plan, content)?;
                self.waiting_bytes += event.witness.weight();
                self.waiting.insert(key.to_vec(), event);
            }
            Kept::Clock => {
                self.clocks.insert(cluster_of(key)?, clock_of(content)?);
            }
        }
        Some(())
    }

    /// What could not be put in order.
    #[must_use]
    pub fn counts(&self) -> StreamCounts {
        self.counts
    }

    /// By correlation, what was given up for want of room.
    #[must_use]
    pub fn lost(&self) -> &BTreeMap<usize, Lost> {
        self.groups.lost()
    }

    /// How many groups and events are held.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        (self.groups.len(), self.waiting.len())
    }

    /// Bytes of events that wait, about.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Whether it has nothing to do with any cluster.
    pub(crate) fn is_empty(&self) -> bool {
        self.clocks.is_empty()
    }

    /// Lets the time of the log pass before more comes, so that how much is taken in at once makes no difference.
    pub(crate) fn pass(&mut self, now_us: i64) {
        for (cluster, clock) in &mut self.clocks {
            let before = *clock;
            clock.pass(now_us);
            let is_busy = self.groups.has_groups(cluster) || !self.waiting.is_empty();
            if is_busy && *clock != before {
                self.moved.insert(cluster.clone());
            }
        }
    }

    /// Takes an event in that came at a time of the log.
    pub(crate) fn add(&mut self, event: Event, now_us: i64) {
        let time_us = event.at.time_us;
        if time_us > now_us + AHEAD_US {
            self.counts.ahead += 1;
            return;
        }
        let clock = self
            .clocks
            .entry(event.cluster.clone())
            .or_insert_with(|| Clock::new(time_us, now_us));
        self.moved.insert(event.cluster.clone());
        if !clock.note(time_us) {
            self.counts.late += 1;
            return;
        }
        let bytes = self.waiting_bytes + event.witness.weight();
        if bytes > WAITING_BYTES_MAX {
            self.counts.crowded += 1;
            return;
        }
        let key = event_key(&event);
        self.added.insert(key.clone());
        match self.waiting.entry(key) {
            Entry::Vacant(place) => {
                self.waiting_bytes = bytes;
                place.insert(event);
            }
            // The same request and stage in other bytes, cut by another way that it took: all that it feeds counts once.
            Entry::Occupied(mut known) => {
                let feeds = &mut known.get_mut().feeds;
                let is_new = |feed: &Feed| {
                    let place = (feed.correlation, feed.input);
                    !feeds
                        .iter()
                        .any(|known| (known.correlation, known.input) == place)
                };
                let more: Vec<Feed> = event.feeds.into_iter().filter(is_new).collect();
                feeds.extend(more);
                feeds.sort_by_key(|feed| (feed.correlation, feed.input));
            }
        }
    }

    /// Feeds what the watermark has passed by now, and says what is to be told; everything is in the memory afterwards.
    /// Correlations stand behind `rules` rules.
    ///
    /// # Errors
    /// If the memory fails; then all of this has to be restored.
    pub fn settle<M: StreamMemory>(
        &mut self,
        plan: &Correlations,
        rules: usize,
        now_us: i64,
        memory: &mut M,
    ) -> Result<Vec<Change>, M::Error> {
        let clusters: BTreeSet<Arc<str>> = self.clocks.keys().cloned().collect();
        for cluster in clusters {
            self.release(plan, &cluster, now_us, memory)?;
        }
        for key in std::mem::take(&mut self.added) {
            if let Some(event) = self.waiting.get(&key) {
                memory.put(Kept::Waiting, &key, event_bytes(plan, event).as_deref())?;
            }
        }
        let changes = self.tell(plan, rules, now_us);
        for id in self.groups.take_dirty() {
            let group = self.groups.group(&id);
            let content = group.and_then(|group| group_bytes(plan, group));
            memory.put(Kept::Group, &id, content.as_deref())?;
        }
        for (key, began_us) in self.groups.take_dirty_started() {
            let content = began_us.map(i64::to_be_bytes);
            memory.put(
                Kept::Started,
                &key,
                content.as_ref().map(<[u8; 8]>::as_slice),
            )?;
        }
        Ok(changes)
    }

    /// When to look again, in the time of the log, if nothing comes.
    #[must_use]
    pub fn due_us(&self) -> Option<i64> {
        let waits = !self.waiting.is_empty() || self.groups.waits();
        let clocks = self.clocks.values().map(Clock::due_us);
        let next = waits.then(|| clocks.min()).flatten();
        let told = self.untold.first().map(|(due_us, _)| *due_us);
        [next, told].into_iter().flatten().min()
    }

    /// Feeds what is in order by now.
    fn release<M: StreamMemory>(
        &mut self,
        plan: &Correlations,
        cluster: &Arc<str>,
        now_us: i64,
        memory: &mut M,
    ) -> Result<(), M::Error> {
        let Some(clock) = self.clocks.get_mut(cluster) else {
            return Ok(());
        };
        let before = *clock;
        clock.pass(now_us);
        let (clock, watermark_us) = (*clock, clock.watermark_us);
        // A cluster that has nothing here needs no clock that goes on.
        let is_busy = self.groups.has_groups(cluster) || !self.waiting.is_empty();
        if self.moved.remove(cluster) || (is_busy && clock != before) {
            let content = clock_bytes(&clock);
            memory.put(Kept::Clock, cluster.as_bytes(), content.as_deref())?;
        }
        let mut from = cluster.as_bytes().to_vec();
        from.push(0);
        let mut to = from.clone();
        // What has the watermark's own time may still get company.
        to.extend(sorted(watermark_us));
        let keys: Vec<Vec<u8>> = self
            .waiting
            .range(from..to)
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            let Some(event) = self.waiting.remove(&key) else {
                continue;
            };
            self.waiting_bytes -= event.witness.weight();
            self.groups.feed(plan, &event);
            self.added.remove(&key);
            memory.put(Kept::Waiting, &key, None)?;
        }
        self.groups
            .advance(plan, cluster, watermark_us.saturating_sub(1));
        Ok(())
    }

    /// What is to be told by now: what is new at once, what goes on once a minute at most, what is over at once.
    fn tell(&mut self, plan: &Correlations, rules: usize, now_us: i64) -> Vec<Change> {
        let mut changes = Vec::new();
        for ended in self.groups.take_ended() {
            let tale = Tale {
                correlation: ended.correlation,
                cluster: &ended.cluster,
                values: &ended.values,
                episode: &ended.episode,
            };
            if tale.has_more() {
                changes.extend(tale.change(plan, rules).map(|(change, _)| change));
            }
        }
        let mut ids = self.groups.take_found();
        while let Some(first) = self
            .untold
            .first()
            .copied()
            .filter(|(due_us, _)| *due_us <= now_us)
        {
            self.untold.remove(&first);
            ids.insert(first.1);
        }
        for id in ids {
            let Some(group) = self.groups.group(&id) else {
                continue;
            };
            let Some(episode) = &group.episode else {
                continue;
            };
            let tale = Tale {
                correlation: group.correlation,
                cluster: &group.cluster,
                values: &group.values,
                episode,
            };
            if !tale.has_more() {
                continue;
            }
            let due_us = episode
                .told
                .map_or(i64::MIN, |told| told.at_us + UPDATE_WAIT_US);
            if due_us > now_us {
                self.untold.insert((due_us, id));
                continue;
            }
            if let Some((change, told)) = tale.change(plan, rules) {
                changes.push(change);
                let at_us = now_us;
                self.groups.tell(&id, Told { at_us, ..told });
            }
        }
        changes
    }
}

impl Tale<'_> {
    fn has_more(&self) -> bool {
        let episode = self.episode;
        episode
            .told
            .is_none_or(|told| told.events != episode.events)
    }

    fn change(&self, plan: &Correlations, rules: usize) -> Option<(Change, Told)> {
        let spec = plan.all().get(self.correlation)?;
        let uid = uid_of(spec, self.cluster, self.values, self.episode);
        let told = self.episode.told;
        let revision = told.map_or(1, |told| told.revision + 1);
        let change = Change {
            uid,
            said: told.map_or(Said::Created, |_| Said::Updated),
            revision,
            finding: Some(finding_of(
                rules + self.correlation,
                uid,
                self.values,
                self.episode,
            )),
        };
        let told = Told {
            revision,
            events: self.episode.events,
            at_us: 0,
        };
        Some((change, told))
    }
}
