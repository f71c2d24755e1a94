//! Drops byte-equal repeats, and nothing else.
//!
//! The API server sends a whole batch again when an answer got lost, and an analyst's files overlap. Only equal bytes are a
//! repeat: an audit id is chosen by the client, who could hide one request behind another's.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use twox_hash::{XxHash3_64, XxHash3_128};

use crate::limits::REPEATS_WINDOW;

/// Hashes events. The seed is drawn per run, so that nobody can prepare two events that collide.
#[derive(Clone, Copy, Debug)]
pub struct Fingerprints {
    seed: u64,
}

impl Default for Fingerprints {
    fn default() -> Self {
        Self {
            seed: RandomState::new().hash_one(0_u8),
        }
    }
}

impl Fingerprints {
    /// The hash of an event's bytes and its cluster.
    #[must_use]
    pub fn of(self, cluster: &str, bytes: &[u8]) -> u128 {
        let seed = XxHash3_64::oneshot_with_seed(self.seed, cluster.as_bytes());
        XxHash3_128::oneshot_with_seed(seed, bytes)
    }
}

/// Remembers the newest events by their hashes.
#[derive(Debug, Default)]
pub struct Repeats {
    /// The hashes are their own hashes.
    known: HashTable<u128>,
    order: VecDeque<u128>,
}

impl Repeats {
    /// Whether an event of this hash was seen before within the window; remembers it.
    pub fn is_repeat(&mut self, hash: u128) -> bool {
        let entry = self
            .known
            .entry(low_half(&hash), |known| *known == hash, low_half);
        let Entry::Vacant(place) = entry else {
            return true;
        };
        place.insert(hash);
        self.order.push_back(hash);
        if self.order.len() > REPEATS_WINDOW
            && let Some(oldest) = self.order.pop_front()
            && let Ok(entry) = self
                .known
                .find_entry(low_half(&oldest), |known| *known == oldest)
        {
            entry.remove();
        }
        false
    }
}

#[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
fn low_half(hash: &u128) -> u64 {
    *hash as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_bytes_of_one_cluster_are_a_repeat() {
        let prints = Fingerprints::default();
        let mut repeats = Repeats::default();
        let mut is_repeat = |cluster, bytes: &[u8]| repeats.is_repeat(prints.of(cluster, bytes));
        assert!(!is_repeat("a", b"{}"));
        assert!(is_repeat("a", b"{}"));
        assert!(!is_repeat("a", b"{ }"));
        assert!(!is_repeat("b", b"{}"));
    }
}
