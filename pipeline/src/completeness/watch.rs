//! What is known of each sender, and what is to be said of it.
//!
//! Everything happens in the time of the log, and nothing here reads a clock: a body arrives when it was received, a look at counters
//! waits until the log has come as far, and time passes with [`Watch::tick`]. So a backlog that is still to be evaluated is never
//! taken for events that are missing, and the same log gives the same notices. Before [`Watch::due_us`] there is nothing to say.
//!
//! What is kept of a sender is some hundred bytes, and is stored in one step with the position in the log:
//!
//! ```text
//!  arrived, scraped, tick ─▶ changed ─▶ stored with the position ─┬─ committed ─▶ keep
//!                                                                 └─ failed ────▶ roll_back, and all of it again
//! ```

mod counted;
mod heard;
mod known;
mod open;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use self::known::{Frame, Known};
use super::{Counters, Notice, Sender};
use crate::hex::hex;

/// Senders that are watched. Their names come in addresses: beyond this number new ones are not, and that is counted. Those whose
/// counters are read come on top.
const SENDERS_MAX: usize = 1000;

/// The note that lists the senders of which there are notes.
const INDEX: &str = "completeness";

/// When something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The least time without a body that is called silence, microseconds; `None` if nothing is to be said of it.
    pub silent_after_us: Option<i64>,
    /// How long what was emitted may be under way, microseconds. The API server collects for 30 s, and then tries for up to 248 s.
    pub grace_us: i64,
    /// Events that may be missing, besides those that are under way at any time.
    pub tolerance: u64,
    /// How long a look at counters tells that a sender is only quiet, microseconds: longer than the time between two looks.
    pub fresh_us: i64,
}

impl Default for Options {
    fn default() -> Self {
        const MINUTE_US: i64 = 60_000_000;
        Self {
            silent_after_us: Some(15 * MINUTE_US),
            grace_us: 5 * MINUTE_US,
            tolerance: 10,
            fresh_us: 5 * MINUTE_US,
        }
    }
}

/// A body that came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// When, microseconds since 1970 UTC; never before an earlier one.
    pub at_us: i64,
    /// Events in it that were not here before: evaluated or rejected. Also a body without any tells that its sender speaks.
    pub events: u64,
    /// When the oldest of them was emitted (its `stageTimestamp`), if any tells.
    pub oldest_us: Option<i64>,
}

/// How a sender stands, for telemetry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// When it was last heard of, microseconds since 1970 UTC.
    pub heard_us: Option<i64>,
    /// Whether its counters were ever read.
    pub counted: bool,
    /// Events that it emitted, of those that can be compared: since counters were first read, or its last restart.
    pub emitted: u64,
    /// Events that arrived since then.
    pub arrived: u64,
    /// Events that it says it lost since then.
    pub dropped: u64,
    /// Events that are neither here nor said to be lost. Some are always under way.
    pub missing: u64,
    /// Events that arrived and were not emitted: repeats, or several API servers that send under one name.
    pub surplus: u64,
    /// Restarts that were seen. One with each look means that several API servers take turns behind the address.
    pub restarts: u64,
    /// Whether it is called silent now.
    pub is_silent: bool,
}

/// Watches over all senders.
#[derive(Clone, Debug)]
pub struct Watch {
    frame: Frame,
    senders: BTreeMap<Sender, Known>,
    /// What changed since the last [`Watch::keep`], as it was before; `None` if it was not there.
    before: BTreeMap<Sender, Option<Known>>,
    untracked: u64,
}

impl Watch {
    /// Knows nobody. Senders could not be heard before `listening_us`, the time of the start.
    #[must_use]
    pub fn new(options: Options, listening_us: i64) -> Self {
        Self {
            frame: Frame {
                options,
                listening_us,
            },
            senders: BTreeMap::new(),
            before: BTreeMap::new(),
            untracked: 0,
        }
    }

    /// Knows what was stored: `note` looks a stored value up by its name.
    ///
    /// # Errors
    /// If `note` fails. What was stored and cannot be understood is forgotten.
    pub fn restore<E>(
        options: Options,
        listening_us: i64,
        mut note: impl FnMut(&str) -> Result<Option<String>, E>,
    ) -> Result<Self, E> {
        let mut watch = Self::new(options, listening_us);
        let index = note(INDEX)?.unwrap_or_else(|| "[]".to_owned());
        let senders: Vec<Sender> = serde_json::from_str(&index).unwrap_or_else(|error| {
            tracing::error!(%error, "the stored list of senders cannot be read, and is forgotten");
            Vec::new()
        });
        for sender in senders {
            let stored = note(&note_of(&sender))?.unwrap_or_default();
            match serde_json::from_str(&stored) {
                Ok(known) => drop(watch.senders.insert(sender, known)),
                Err(error) => {
                    let Sender { cluster, origin } = sender;
                    tracing::error!(cluster, origin, %error, "what was stored of a sender cannot be read, and is forgotten");
                }
            }
        }
        Ok(watch)
    }

    /// A body came.
    pub fn arrived(&mut self, sender: &Sender, arrival: Arrival) {
        let is_new = !self.senders.contains_key(sender);
        if is_new && self.senders.len() >= SENDERS_MAX {
            self.untracked += 1;
            return;
        }
        let frame = self.frame;
        self.touch(sender).hear(arrival, &frame);
    }

    /// A sender's counters were read. Without the number of events they tell nothing.
    pub fn scraped(&mut self, sender: &Sender, counters: Counters, at_us: i64) {
        if counters.events.is_some() {
            self.touch(sender).look(counters, at_us);
        }
    }

    /// It is `now_us` in the log: what is to be said by now.
    #[must_use]
    pub fn tick(&mut self, now_us: i64) -> Vec<Notice> {
        let frame = self.frame;
        let is_due = |known: &Known| known.due_us(&frame).is_some_and(|due| due <= now_us);
        let due: Vec<Sender> = self
            .senders
            .iter()
            .filter(|(_, known)| is_due(known))
            .map(|(sender, _)| sender.clone())
            .collect();
        let mut notices = Vec::new();
        for sender in due {
            let known = self.touch(&sender);
            notices.extend(known.tick(&sender, now_us, &frame));
            if known.is_gone(now_us, &frame) {
                self.senders.remove(&sender);
            }
        }
        notices
    }

    /// When [`Watch::tick`] next has something to do. It never stays due after it was called with a later time.
    #[must_use]
    pub fn due_us(&self) -> Option<i64> {
        let known = self.senders.values();
        known.filter_map(|known| known.due_us(&self.frame)).min()
    }

    /// Names and values to store for [`Watch::restore`], in one step with the position: of those that changed since [`Watch::keep`].
    #[must_use]
    pub fn changed(&self) -> Vec<(String, String)> {
        let mut notes = Vec::new();
        let mut is_other = false;
        for (sender, before) in &self.before {
            let known = self.senders.get(sender);
            is_other |= known.is_some() != before.is_some();
            // Plain values in maps with texts as keys: writing them does not fail.
            let value = known.map(|known| serde_json::to_string(known).unwrap_or_default());
            notes.push((note_of(sender), value.unwrap_or_default()));
        }
        if is_other {
            let senders: Vec<&Sender> = self.senders.keys().collect();
            let index = serde_json::to_string(&senders).unwrap_or_default();
            notes.push((INDEX.to_owned(), index));
        }
        notes
    }

    /// Whether anything changed since [`Watch::keep`].
    #[must_use]
    pub fn has_changed(&self) -> bool {
        !self.before.is_empty()
    }

    /// What changed was stored.
    pub fn keep(&mut self) {
        self.before.clear();
    }

    /// What changed was not stored: it is forgotten, and will be told again. Looks at counters are not; the next one tells as much.
    pub fn roll_back(&mut self) {
        for (sender, before) in std::mem::take(&mut self.before) {
            match before {
                Some(known) => drop(self.senders.insert(sender, known)),
                None => drop(self.senders.remove(&sender)),
            }
        }
    }

    /// How each sender stands.
    pub fn standings(&self) -> impl Iterator<Item = (&Sender, Standing)> {
        let senders = self.senders.iter();
        senders.map(|(sender, known)| (sender, known.standing()))
    }

    /// Bodies of senders that are not watched, because there are too many.
    #[must_use]
    pub fn untracked(&self) -> u64 {
        self.untracked
    }

    fn touch(&mut self, sender: &Sender) -> &mut Known {
        if !self.before.contains_key(sender) {
            let known = self.senders.get(sender).cloned();
            self.before.insert(sender.clone(), known);
        }
        self.senders.entry(sender.clone()).or_default()
    }
}

/// The name of a sender's note. What it is called itself may be long, and anything.
fn note_of(sender: &Sender) -> String {
    let mut hasher = Sha256::new();
    hasher.update((sender.cluster.len() as u64).to_le_bytes());
    hasher.update(&sender.cluster);
    hasher.update(&sender.origin);
    format!("{INDEX} {}", hex(&hasher.finalize()[..16]))
}
