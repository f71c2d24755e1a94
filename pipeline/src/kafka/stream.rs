//! The correlations of a shard: all of those clusters whose streams are judged here.
//!
//! ```text
//!  fed ─▶ coming ──────────────────▶ streams ─▶ findings
//!         until all partitions of    until the watermark,
//!         the input are as far       as with embedded state
//! ```
//!
//! What came in at some time is handed on when the time of the input has come there ([`Sources`]): so streams see one log in which
//! everything stands by the time when it came in, whoever has read it, and however far behind others are.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use detections::correlation::Correlations;

use crate::catalog::Catalog;
use crate::correlate::Change;
use crate::correlate::stream::{
    Event, Kept, StreamCounts, StreamMemory, Streams, decode, encode, event_bytes, event_of, sorted,
};
use crate::live::{Correlating, correlating};

use super::feed::{FedEvent, Reached};
use super::shard::State;
use super::sources::Sources;

/// The first byte of keys of events that are coming.
const COMING: u8 = b'i';

/// The key of how far the input was read.
const SOURCES: &[u8] = b"o";

/// Whether a key of a shard's state is one of its correlations.
pub(super) fn is_part(key: &[u8]) -> bool {
    let mark = key.first().copied().unwrap_or(0);
    mark == COMING || key == SOURCES || Kept::of_mark(mark).is_some()
}

/// What correlations of a shard hold.
#[derive(Debug, Default)]
pub(super) struct Stream {
    streams: Streams,
    /// By when they came in, and their place.
    coming: BTreeMap<Vec<u8>, (i64, Event)>,
    coming_bytes: usize,
    /// Those that are not stored yet.
    fresh: BTreeSet<Vec<u8>>,
    sources: Sources,
    has_heard: bool,
    /// Besides what the streams themselves have missed.
    missed: StreamCounts,
}

impl Stream {
    /// Puts back what is stored in the state. What cannot be read, or belongs to correlations that are gone or mean something else
    /// now, is forgotten.
    pub(super) fn restore(state: &mut State, plan: &Correlations) -> Self {
        let mut stream = Self::default();
        let mut parts = Vec::new();
        let mut left_out = Vec::new();
        for (key, content) in state.parts() {
            let mark = key.first().copied().unwrap_or(0);
            if let Some(kind) = Kept::of_mark(mark) {
                parts.push((kind, key[1..].to_vec(), content));
            } else if stream.restore_own(plan, &key, &content).is_none() {
                left_out.push(key);
            }
        }
        let (streams, unread) = Streams::restore(plan, parts);
        left_out.extend(unread.into_iter().map(|(kind, key)| part(kind, &key)));
        if !left_out.is_empty() {
            let parts = left_out.len();
            tracing::info!(
                parts,
                "forgetting what correlations remembered that are gone or changed"
            );
        }
        for key in left_out {
            state.put_part(key, None);
        }
        stream.streams = streams;
        stream
    }

    fn restore_own(&mut self, plan: &Correlations, key: &[u8], content: &[u8]) -> Option<()> {
        if key == SOURCES {
            self.sources = decode(content)?;
            return Some(());
        }
        let (came_us, event) = content.split_at_checked(8)?;
        let came_us = i64::from_be_bytes(came_us.try_into().ok()?);
        let event = event_of(plan, event)?;
        self.coming_bytes += event.witness.weight();
        self.coming.insert(key.to_vec(), (came_us, event));
        Some(())
    }

    /// Bytes of events that wait, about.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.coming_bytes + self.streams.waiting_bytes()
    }

    /// Whether any cluster's stream is judged here.
    pub(super) fn is_live(&self) -> bool {
        !self.coming.is_empty() || !self.streams.is_empty()
    }

    /// Takes an event in, if there is room for so many bytes. False if it cannot be read.
    pub(super) fn take(
        &mut self,
        plan: &Correlations,
        fed: &FedEvent,
        place: i64,
        room: usize,
    ) -> bool {
        let Some(event) = event_of(plan, &fed.event) else {
            return false;
        };
        // Other processes have other rules, for as long as these are rolled out.
        self.missed.unknown += u64::from(event.feeds.len() < fed.feeds as usize);
        if event.feeds.is_empty() {
            return true;
        }
        let bytes = event.witness.weight();
        if bytes > room {
            self.missed.crowded += 1;
            return true;
        }
        let mut key = vec![COMING];
        key.extend(sorted(fed.came_us));
        key.extend(place.to_be_bytes());
        self.coming_bytes += bytes;
        self.fresh.insert(key.clone());
        self.coming.insert(key, (fed.came_us, event));
        true
    }

    /// Takes in how far the input was read, and hands on what is in order by now.
    pub(super) fn hear(&mut self, reached: &Reached, state: &mut State) {
        self.has_heard = true;
        self.sources.hear(reached);
        let Some(now_us) = self.sources.now_us() else {
            return;
        };
        while let Some(first) = self.coming.first_entry() {
            if first.get().0 > now_us {
                break;
            }
            let (key, (came_us, event)) = first.remove_entry();
            self.coming_bytes -= event.witness.weight();
            if !self.fresh.remove(&key) {
                state.put_part(key, None);
            }
            self.streams.pass(came_us);
            self.streams.add(event, came_us);
        }
        self.streams.pass(now_us);
    }

    /// Says what is to be said by now; everything is in the state afterwards. Correlations stand behind `rules` rules.
    pub(super) fn settle(
        &mut self,
        plan: &Correlations,
        rules: usize,
        state: &mut State,
    ) -> Vec<Change> {
        for key in std::mem::take(&mut self.fresh) {
            if let Some((came_us, event)) = self.coming.get(&key)
                && let Some(bytes) = event_bytes(plan, event)
            {
                let content = [&came_us.to_be_bytes(), bytes.as_slice()].concat();
                state.put_part(key, Some(&content));
            }
        }
        if std::mem::take(&mut self.has_heard) {
            state.put_part(SOURCES.to_vec(), encode(&self.sources).as_deref());
        }
        let Some(now_us) = self.sources.now_us() else {
            return Vec::new();
        };
        let Ok(changes) = self.streams.settle(plan, rules, now_us, state);
        changes
    }

    /// What it holds and has missed, for whoever watches.
    pub(super) fn correlating(&self, catalog: &Catalog) -> Correlating {
        let mut all = correlating(&self.streams, catalog);
        all.add(&Correlating {
            waiting: self.coming.len(),
            counts: self.missed,
            ..Correlating::default()
        });
        all
    }
}

impl StreamMemory for State {
    type Error = Infallible;

    fn put(&mut self, kind: Kept, key: &[u8], content: Option<&[u8]>) -> Result<(), Infallible> {
        self.put_part(part(kind, key), content);
        Ok(())
    }
}

/// The key of a part of the streams.
fn part(kind: Kept, key: &[u8]) -> Vec<u8> {
    let mut part = Vec::with_capacity(key.len() + 1);
    part.push(kind.mark());
    part.extend(key);
    part
}

#[cfg(test)]
mod tests;
