//! The distinct texts of a column, numbered as they are first seen, over all batches.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::limits::{DICTIONARY_BYTES_MAX, DICTIONARY_VALUES_MAX, VALUE_BYTES_MAX};

/// Numbers from 1 on; 0 stands for a value that is not there.
#[derive(Debug)]
pub(super) struct Dictionary {
    table: HashTable<Entry>,
    texts: Vec<u8>,
    longest: usize,
    /// Since it was last cleared: how often it was asked, and how often it knew.
    asked: usize,
    known: usize,
    /// How often it will be asked in vain.
    rests: usize,
    /// The texts come from the log: the hash is seeded, so that nobody can prepare collisions.
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    end: u32,
    number: u32,
}

/// How long a dictionary rests whose texts hardly repeat.
const REST: usize = DICTIONARY_VALUES_MAX;

/// The number of a value that is absent.
pub(super) const ABSENT: u32 = 0;

impl Default for Dictionary {
    fn default() -> Self {
        Self::with_longest(VALUE_BYTES_MAX)
    }
}

impl Dictionary {
    /// Empty, for texts up to so many bytes.
    pub(super) fn with_longest(longest: usize) -> Self {
        Self {
            table: HashTable::new(),
            texts: Vec::new(),
            longest,
            asked: 0,
            known: 0,
            rests: 0,
            hasher: RandomState::default(),
        }
    }

    /// The number of a text, new or known; `None` if it is too long to be kept, or while texts hardly repeat.
    pub(super) fn number(&mut self, text: &[u8]) -> Option<u32> {
        if text.len() > self.longest {
            return None;
        }
        if self.rests > 0 {
            self.rests -= 1;
            return None;
        }
        self.asked += 1;
        let hash = self.hasher.hash_one(text);
        let texts = &self.texts;
        let same = |entry: &Entry| texts.get(entry.range()) == Some(text);
        if let Some(entry) = self.table.find(hash, same) {
            self.known += 1;
            return Some(entry.number);
        }
        let entry = Entry {
            start: u32::try_from(self.texts.len()).ok()?,
            end: u32::try_from(self.texts.len() + text.len()).ok()?,
            number: u32::try_from(self.table.len() + 1).ok()?,
        };
        self.texts.extend_from_slice(text);
        let (texts, hasher) = (&self.texts, &self.hasher);
        self.table.insert_unique(hash, entry, |entry| {
            hasher.hash_one(texts.get(entry.range()).unwrap_or_default())
        });
        Some(entry.number)
    }

    /// Whether it holds more than it should keep.
    pub(super) fn is_full(&self) -> bool {
        self.table.len() >= DICTIONARY_VALUES_MAX || self.texts.len() >= DICTIONARY_BYTES_MAX
    }

    /// Bytes of the texts.
    pub(super) fn bytes(&self) -> usize {
        self.texts.len()
    }

    /// Forgets everything; numbers start anew.
    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.texts.clear();
        (self.asked, self.known) = (0, 0);
    }

    /// Forgets everything, and if most of it was never asked for again, remembers nothing for a while: where values hardly
    /// repeat, judging them costs less than keeping them.
    pub(super) fn clear_or_rest(&mut self) {
        if self.known < self.asked / 2 {
            self.rests = REST;
        }
        self.clear();
    }
}

impl Entry {
    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_their_numbers() {
        let mut dictionary = Dictionary::default();
        let numbers = |dictionary: &mut Dictionary| {
            ["a", "b", "a", ""].map(|text| dictionary.number(text.as_bytes()))
        };
        assert_eq!(
            numbers(&mut dictionary),
            [Some(1), Some(2), Some(1), Some(3)]
        );
        for number in 0..1_000 {
            dictionary.number(format!("x{number}").as_bytes());
        }
        assert_eq!(
            numbers(&mut dictionary),
            [Some(1), Some(2), Some(1), Some(3)]
        );
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut dictionary = Dictionary::default();
        assert_eq!(dictionary.number(&vec![b'x'; VALUE_BYTES_MAX + 1]), None);
        while !dictionary.is_full() {
            let text = format!("{:0>1000}", dictionary.table.len());
            dictionary.number(text.as_bytes());
        }
        assert!(dictionary.texts.len() <= DICTIONARY_BYTES_MAX + VALUE_BYTES_MAX);
        dictionary.clear();
        assert_eq!(dictionary.number(b"a"), Some(1));
    }

    #[test]
    fn where_texts_hardly_repeat_none_are_kept_for_a_while() {
        let mut dictionary = Dictionary::default();
        for number in 0..1_000 {
            dictionary.number(format!("x{number}").as_bytes());
        }
        dictionary.clear_or_rest();
        assert!((0..REST).all(|_| dictionary.number(b"a").is_none()));
        assert!((0..1_000).all(|_| dictionary.number(b"a") == Some(1)));
        dictionary.clear_or_rest();
        assert_eq!(dictionary.number(b"b"), Some(1));
    }
}
