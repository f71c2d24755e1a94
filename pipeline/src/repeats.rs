//! Drops byte-equal repeats, and nothing else.
//!
//! The API server sends a whole batch again when an answer got lost, and an analyst's files overlap. Only equal bytes are a
//! repeat: an audit id is chosen by the client, who could hide one request behind another's.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use crate::limits::REPEATS_WINDOW;

/// Remembers the newest events by a 128-bit hash. The seed is drawn per run, so that nobody can prepare two events that
/// collide.
#[derive(Debug)]
pub struct Repeats {
    seed: u64,
    known: HashSet<u128>,
    order: VecDeque<u128>,
}

impl Default for Repeats {
    fn default() -> Self {
        Self {
            seed: RandomState::new().hash_one(0_u8),
            known: HashSet::new(),
            order: VecDeque::new(),
        }
    }
}

impl Repeats {
    /// Whether these bytes were seen before within the window; remembers them.
    pub fn is_repeat(&mut self, cluster: &str, bytes: &[u8]) -> bool {
        let seed = xxh3_64_with_seed(cluster.as_bytes(), self.seed);
        let hash = xxh3_128_with_seed(bytes, seed);
        if !self.known.insert(hash) {
            return true;
        }
        self.order.push_back(hash);
        if self.order.len() > REPEATS_WINDOW
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_bytes_of_one_cluster_are_a_repeat() {
        let mut repeats = Repeats::default();
        assert!(!repeats.is_repeat("a", b"{}"));
        assert!(repeats.is_repeat("a", b"{}"));
        assert!(!repeats.is_repeat("a", b"{ }"));
        assert!(!repeats.is_repeat("b", b"{}"));
    }
}
