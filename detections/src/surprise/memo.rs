//! What columns were found to mean, by their bytes; and one copy of each text.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::hash::hash;
use crate::limits::{DICTIONARY_BYTES_MAX, DICTIONARY_VALUES_MAX, VALUE_BYTES_MAX};

use super::limits::TEXT_BYTES_MAX;

/// What the bytes of some columns mean. When it is full it forgets everything, which costs reading it anew and nothing else.
///
/// The bytes come from the log: the hash is seeded, so that nobody can prepare collisions.
#[derive(Debug)]
pub(super) struct Memo<V> {
    map: HashMap<Box<[u8]>, V, RandomState>,
    bytes: usize,
}

impl<V> Default for Memo<V> {
    fn default() -> Self {
        Self {
            map: HashMap::default(),
            bytes: 0,
        }
    }
}

impl<V: Clone> Memo<V> {
    #[inline]
    pub(super) fn get(&self, key: &[u8]) -> Option<V> {
        self.map.get(key).cloned()
    }

    /// Remembers a value, and hands it back. What is too long hardly repeats and is not remembered.
    pub(super) fn keep(&mut self, key: &[u8], value: V) -> V {
        if key.len() > VALUE_BYTES_MAX {
            return value;
        }
        if self.map.len() >= DICTIONARY_VALUES_MAX || self.bytes >= DICTIONARY_BYTES_MAX {
            self.map.clear();
            self.bytes = 0;
        }
        self.bytes += key.len();
        self.map.insert(key.into(), value.clone());
        value
    }
}

/// One copy of each text. Two copies are as good: it only saves memory.
#[derive(Debug, Default)]
pub(super) struct Texts {
    known: HashSet<Arc<str>, RandomState>,
}

impl Texts {
    /// The text, cut if it is too long.
    pub(super) fn intern(&mut self, text: &str) -> Arc<str> {
        let text = bounded(text);
        if let Some(known) = self.known.get(&*text) {
            return known.clone();
        }
        if self.known.len() >= DICTIONARY_VALUES_MAX {
            self.known.clear();
        }
        let new: Arc<str> = Arc::from(&*text);
        self.known.insert(new.clone());
        new
    }
}

/// The text, or the beginning and a hash of it, so that long texts with one beginning stay apart.
fn bounded(text: &str) -> Cow<'_, str> {
    if text.len() <= TEXT_BYTES_MAX {
        return text.into();
    }
    let end = text.floor_char_boundary(TEXT_BYTES_MAX - 40);
    let [a, b, c, d, ..] = hash([text]);
    let hash = u32::from_be_bytes([a, b, c, d]);
    format!("{}…{hash:08x}", &text[..end]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut memo = Memo::default();
        let longest = vec![b'x'; VALUE_BYTES_MAX];
        for number in 0..DICTIONARY_BYTES_MAX / VALUE_BYTES_MAX {
            let mut key = longest.clone();
            key[..8].copy_from_slice(&(number as u64).to_le_bytes());
            memo.keep(&key, number);
        }
        assert!(memo.bytes <= DICTIONARY_BYTES_MAX + VALUE_BYTES_MAX);
        assert_eq!(memo.keep(b"one more", 7), 7);
        assert_eq!((memo.map.len(), memo.get(b"one more")), (1, Some(7)));
        assert_eq!(memo.keep(&vec![b'x'; VALUE_BYTES_MAX + 1], 8), 8);
        assert_eq!(memo.map.len(), 1);
    }

    #[test]
    fn long_texts_with_one_beginning_stay_apart() {
        let mut texts = Texts::default();
        let long = "ä".repeat(TEXT_BYTES_MAX);
        let (one, other) = (texts.intern(&long), texts.intern(&format!("{long}x")));
        assert!(one != other && one.len() <= TEXT_BYTES_MAX && other.len() <= TEXT_BYTES_MAX);
        assert!(Arc::ptr_eq(&one, &texts.intern(&long)));
        assert_eq!(&*texts.intern("short"), "short");
    }
}
