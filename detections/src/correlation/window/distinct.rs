//! The distinct values of a window, the most recently seen ones, each with what its owner notes of it.
//!
//! Entries lie in one list and are linked by when they were last seen. What is seen again moves to the front, what is too old
//! leaves at the back; beyond the bound the back leaves early. So the list always holds the most recently seen values, and
//! whether there are as many as a condition asks for is exact. Most windows have one value: neither index nor spare room is
//! made for it.

use std::iter;

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use crate::hash::hash;

use super::CAPACITY_FREE;
use super::content::VALUES_MIN;

/// No place.
const NONE: u32 = u32::MAX;

/// So many entries are looked through as quickly as an index is asked.
const SCANNED_MAX: usize = 16;

/// Characters of a value that are kept to be shown. Values are told apart by the hash of all of it.
pub(super) const TEXT_CHARS_MAX: usize = 128;

/// Distinct values, when each was last seen, and a note on each.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Distinct<N = ()> {
    slots: Vec<Slot<N>>,
    /// The place of the most recently seen.
    newest: u32,
    /// The place of the least recently seen.
    oldest: u32,
    /// When the newest value was last seen that had to go while it may still have been in the window.
    dropped_us: i64,
    /// Bytes of all texts.
    text_bytes: usize,
    /// Places by hash, once there are many. It is built anew after loading.
    #[serde(skip)]
    index: Option<Box<HashTable<u32>>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Slot<N> {
    hash: u64,
    seen_us: i64,
    text: Box<str>,
    newer: u32,
    older: u32,
    note: N,
}

/// A value that is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held<'a, N> {
    /// As far as it is kept to be shown.
    pub(super) text: &'a str,
    /// When it was last seen, microseconds.
    pub(super) seen_us: i64,
    /// What is noted of it.
    pub(super) note: &'a N,
}

impl<N> Default for Distinct<N> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            newest: NONE,
            oldest: NONE,
            dropped_us: i64::MIN,
            text_bytes: 0,
            index: None,
        }
    }
}

impl<N: Default> Distinct<N> {
    /// A value was seen, not earlier than any before. Hands out the note on it, which is empty if it is new.
    pub(super) fn see(&mut self, text: &str, at_us: i64, values_max: usize) -> &mut N {
        let hash = hash_of(text);
        let place = if let Some(place) = self.find(hash) {
            self.unlink(place);
            self.slots[place as usize].seen_us = at_us;
            self.link(place);
            place
        } else {
            if self.slots.len() >= values_max
                && let Some(dropped_us) = self.remove_oldest()
            {
                self.dropped_us = dropped_us;
            }
            self.insert(hash, cut(text), at_us)
        };
        &mut self.slots[place as usize].note
    }
}

impl<N> Distinct<N> {
    /// The note on a value, if it is held.
    pub(super) fn note(&mut self, text: &str) -> Option<&N> {
        let place = self.find(hash_of(text))?;
        Some(&self.slots[place as usize].note)
    }

    /// The notes on all values.
    pub(super) fn notes_mut(&mut self) -> impl Iterator<Item = &mut N> {
        self.slots.iter_mut().map(|slot| &mut slot.note)
    }

    /// All values, newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = Held<'_, N>> {
        let first = self.slots.get(self.newest as usize);
        let slots = iter::successors(first, |slot| self.slots.get(slot.older as usize));
        slots.map(|slot| Held {
            text: &slot.text,
            seen_us: slot.seen_us,
            note: &slot.note,
        })
    }

    /// Values that were last seen earlier leave.
    pub(super) fn leave(&mut self, start_us: i64) {
        let is_old = |slot: &Slot<N>| slot.seen_us < start_us;
        while self.slots.get(self.oldest as usize).is_some_and(is_old) {
            self.remove_oldest();
        }
        if self.slots.capacity() > CAPACITY_FREE.max(self.slots.len() * 8) {
            self.slots.shrink_to(self.slots.len() * 2);
            self.index = None;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether it holds all values that were seen since. What was dropped was older than all that stayed: so nothing that
    /// went early can be in the window once anything has left it in time.
    pub(super) fn is_exact(&self, start_us: i64) -> bool {
        self.dropped_us < start_us
    }

    /// The newest values, newest first.
    pub(super) fn texts(&self) -> Vec<&str> {
        let newest = self.newest().take(VALUES_MIN);
        newest.map(|held| held.text).collect()
    }

    /// Bytes on the heap, about.
    pub(super) fn weight(&self) -> usize {
        let slots = self.slots.capacity() * size_of::<Slot<N>>();
        let index = self.index.as_ref().map_or(0, |index| {
            size_of::<HashTable<u32>>() + index.allocation_size()
        });
        size_of::<Self>() + slots + self.text_bytes + index
    }

    fn find(&mut self, hash: u64) -> Option<u32> {
        if self.slots.len() > SCANNED_MAX && self.index.is_none() {
            self.index = Some(Box::new(index(&self.slots)));
        }
        if let Some(index) = &self.index {
            let same = |place: &u32| self.slots[*place as usize].hash == hash;
            return index.find(hash, same).copied();
        }
        let index = self.slots.iter().position(|slot| slot.hash == hash);
        index.map(place_of)
    }

    fn insert(&mut self, hash: u64, text: Box<str>, seen_us: i64) -> u32
    where
        N: Default,
    {
        // The first of most windows is the last.
        if self.slots.capacity() == 0 {
            self.slots.reserve_exact(1);
        }
        let place = place_of(self.slots.len());
        self.text_bytes += text.len();
        self.slots.push(Slot {
            hash,
            seen_us,
            text,
            newer: NONE,
            older: NONE,
            note: N::default(),
        });
        if let Some(index) = &mut self.index {
            let slots = &self.slots;
            index.insert_unique(hash, place, |place| slots[*place as usize].hash);
        }
        self.link(place);
        place
    }

    /// Removes the least recently seen value, and tells when that was.
    fn remove_oldest(&mut self) -> Option<i64> {
        let place = self.oldest;
        let hash = self.slots.get(place as usize)?.hash;
        self.unlink(place);
        if let Some(index) = &mut self.index
            && let Ok(entry) = index.find_entry(hash, |other| *other == place)
        {
            entry.remove();
        }
        let removed = self.slots.swap_remove(place as usize);
        self.text_bytes -= removed.text.len();
        self.moved(place_of(self.slots.len()), place);
        Some(removed.seen_us)
    }

    /// The last entry has taken the place of one that was removed, unless it was that one.
    fn moved(&mut self, from: u32, to: u32) {
        let Some(slot) = self.slots.get(to as usize) else {
            return;
        };
        let (hash, newer, older) = (slot.hash, slot.newer, slot.older);
        self.join(newer, to);
        self.join(to, older);
        if let Some(index) = &mut self.index
            && let Some(place) = index.find_mut(hash, |other| *other == from)
        {
            *place = to;
        }
    }

    /// Makes an entry that is not linked the most recently seen one.
    fn link(&mut self, place: u32) {
        let before = self.newest;
        self.join(NONE, place);
        self.join(place, before);
    }

    fn unlink(&mut self, place: u32) {
        let slot = &self.slots[place as usize];
        let (newer, older) = (slot.newer, slot.older);
        self.join(newer, older);
    }

    /// Makes neighbours of two entries. Without a newer one the older is the newest of all, and the other way round.
    fn join(&mut self, newer: u32, older: u32) {
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
    }
}

fn index<N>(slots: &[Slot<N>]) -> HashTable<u32> {
    let mut index = HashTable::with_capacity(slots.len());
    for (place, slot) in slots.iter().enumerate() {
        index.insert_unique(slot.hash, place_of(place), |place| {
            slots[*place as usize].hash
        });
    }
    index
}

/// There are never as many entries as there are places.
fn place_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(NONE)
}

/// Stored windows hold it: it must be the same in every process and version. Whoever writes the values must not be able to
/// prepare two that count as one, at any cost that pays: finding a pair takes some 2^32 hashes.
fn hash_of(text: &str) -> u64 {
    let whole = hash([text]);
    let mut head = [0; 8];
    head.copy_from_slice(&whole[..8]);
    u64::from_le_bytes(head)
}

fn cut(text: &str) -> Box<str> {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => text[..end].into(),
        None => text.into(),
    }
}
