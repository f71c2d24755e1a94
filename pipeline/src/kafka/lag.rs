//! What the rest of the process wants to know of evaluation.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How far evaluation is behind, and what it holds.
#[derive(Debug, Default)]
pub struct Lag {
    state: Mutex<Behind>,
}

/// As of the last look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behind {
    /// Messages that were not read yet, by topic and partition; one map for each half.
    pub(crate) messages: BTreeMap<&'static str, BTreeMap<(String, i32), u64>>,
    /// Messages that were deleted before they were read.
    pub(crate) lost: u64,
    /// Acts and findings that were forgotten to keep within the bound of memory.
    pub(crate) forgotten: u64,
    /// Shards of this process, and the bytes of their state.
    pub(crate) shards: usize,
    pub(crate) state_bytes: usize,
    /// Sessions that were begun, by half.
    pub(crate) sessions: BTreeMap<&'static str, u64>,
    /// Why the last session failed, if none has committed since; by half.
    pub(crate) faults: BTreeMap<&'static str, String>,
}

impl Behind {
    /// A half holds nothing any more.
    pub(super) fn leave(&mut self, half: &str, has_shards: bool) {
        self.messages.remove(half);
        if has_shards {
            (self.shards, self.state_bytes) = (0, 0);
        }
    }
}

impl Lag {
    pub(crate) fn get(&self) -> Behind {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Changes it; returns what is wrong then, if anything is.
    pub(super) fn change(&self, change: impl FnOnce(&mut Behind)) -> Option<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        let faults: Vec<&str> = state.faults.values().map(String::as_str).collect();
        (!faults.is_empty()).then(|| faults.join("; "))
    }
}
