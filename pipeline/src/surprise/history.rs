//! The sessions of a replay, put in order whatever the order of the files.
//!
//! What does not fit into memory lies in sorted runs in files without names; sessions whose parts lie in several runs are joined as
//! they are read again.

use std::cmp::Reverse;
use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::fs::File;
use std::io;
use std::sync::Arc;

use detections::surprise::{Model, Session};

use crate::spill::{self, Run};

use super::gather::Entry;
use super::{Days, Kept, Key, Options};

/// 32 MiB: sessions in memory before they are written down.
const HELD_BYTES_MAX: usize = 32 << 20;

/// Collects sessions.
#[derive(Debug, Default)]
pub(crate) struct History {
    open: HashMap<Key, Kept, foldhash::fast::RandomState>,
    bytes: usize,
    runs: Vec<File>,
    /// Runs cannot be written: everything stays in memory.
    is_stuck: bool,
}

/// What a history comes to.
#[derive(Debug, Default)]
pub struct Replayed {
    /// What is known of each cluster afterwards.
    pub models: BTreeMap<Arc<str>, Model>,
    /// What was found, by day.
    pub(crate) days: Days,
    /// Sessions that were judged.
    pub judged: u64,
    /// Sessions from which was only learned.
    pub learned: u64,
}

/// How far the detector of surprise came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Sessions that were judged.
    pub judged: u64,
    /// Sessions from which was only learned.
    pub learned: u64,
    /// If nothing could be judged: from when on it could have been, of the cluster where that is soonest. Microseconds since 1970 UTC.
    pub learning_until_us: Option<i64>,
}

impl History {
    /// Takes events in that say the same.
    pub(crate) fn add(&mut self, entry: Entry) {
        match self.open.entry(entry.key()) {
            Slot::Occupied(mut slot) => {
                let kept = slot.get_mut();
                // Weighing costs more than adding; only events that are kept change it.
                let before = entry.witness.is_some().then(|| kept.weight());
                kept.add(entry);
                if let Some(before) = before {
                    self.bytes = (self.bytes + kept.weight()).saturating_sub(before);
                }
            }
            Slot::Vacant(slot) => {
                let kept = slot.insert(Kept::of(entry));
                self.bytes += kept.weight();
            }
        }
        if self.bytes >= HELD_BYTES_MAX && !self.is_stuck {
            self.write_run();
        }
    }

    /// Follows all sessions, cluster by cluster, bucket after bucket.
    ///
    /// # Errors
    /// If what was written down cannot be read again.
    pub(crate) fn follow(
        self,
        options: &Options,
        models: BTreeMap<Arc<str>, Model>,
    ) -> io::Result<Replayed> {
        let mut replayed = Replayed {
            models,
            ..Replayed::default()
        };
        let mut bucket: Vec<(Key, Kept)> = Vec::new();
        self.sorted(&mut |key, kept| {
            let is_next = bucket.last().is_some_and(|(last, _)| {
                (&last.cluster, last.bucket_us) != (&key.cluster, key.bucket_us)
            });
            if is_next {
                replayed.judge(std::mem::take(&mut bucket), options);
            }
            bucket.push((key, kept));
        })?;
        replayed.judge(bucket, options);
        Ok(replayed)
    }

    /// Hands all sessions out in order, each whole.
    fn sorted(mut self, take: &mut dyn FnMut(Key, Kept)) -> io::Result<()> {
        let held = self.take_held();
        let runs = self.runs.into_iter().map(Run::of);
        merge(runs.collect::<io::Result<_>>()?, held.into_iter(), take)
    }

    fn take_held(&mut self) -> Vec<(Key, Kept)> {
        let mut held: Vec<_> = self.open.drain().collect();
        held.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        self.bytes = 0;
        held
    }

    pub(crate) fn write_run(&mut self) {
        let held = self.take_held();
        match spill::write(&held) {
            Ok(run) => self.runs.push(run),
            Err(error) => {
                tracing::warn!(%error, "cannot write sessions to the temporary folder; they are kept in memory");
                self.is_stuck = true;
                self.open.extend(held);
            }
        }
    }
}

impl Replayed {
    /// How far it came.
    pub(crate) fn standing(&self) -> Standing {
        let until = self.models.values().filter_map(Model::judges_from_us);
        Standing {
            judged: self.judged,
            learned: self.learned,
            learning_until_us: until.min().filter(|_| self.judged == 0),
        }
    }

    /// The sessions of one bucket of one cluster.
    fn judge(&mut self, bucket: Vec<(Key, Kept)>, options: &Options) {
        let Some((first, _)) = bucket.first() else {
            return;
        };
        let model = self
            .models
            .entry(first.cluster.clone())
            .or_insert_with(|| Model::new(options.settings()));
        let sessions: Vec<Session> = bucket
            .iter()
            .map(|(_, kept)| kept.session.clone())
            .collect();
        let judgements = model.follow(&sessions);
        // Nobody stores what changed.
        drop(model.take_changed());
        for ((key, kept), judgement) in bucket.into_iter().zip(judgements) {
            match judgement {
                None => self.learned += 1,
                Some(judgement) => {
                    self.judged += 1;
                    self.days.add(&key.cluster, &kept, judgement);
                }
            }
        }
    }
}

fn merge(
    mut runs: Vec<Run<(Key, Kept)>>,
    mut held: impl Iterator<Item = (Key, Kept)>,
    take: &mut dyn FnMut(Key, Kept),
) -> io::Result<()> {
    let mut heads: Vec<Option<Kept>> = Vec::new();
    let mut order = BinaryHeap::new();
    for place in 0..=runs.len() {
        let next = next_of(&mut runs, place, &mut held)?;
        heads.push(None);
        if let Some((key, kept)) = next {
            order.push(Reverse((key, place)));
            heads[place] = Some(kept);
        }
    }
    let mut whole: Option<(Key, Kept)> = None;
    while let Some(Reverse((key, place))) = order.pop() {
        let part = heads[place].take();
        if let Some((next, kept)) = next_of(&mut runs, place, &mut held)? {
            order.push(Reverse((next, place)));
            heads[place] = Some(kept);
        }
        let Some(part) = part else { continue };
        whole = match whole.take() {
            Some((known, mut kept)) if known == key => {
                kept.join(part);
                Some((known, kept))
            }
            before => {
                if let Some((key, kept)) = before {
                    take(key, kept);
                }
                Some((key, part))
            }
        };
    }
    if let Some((key, kept)) = whole {
        take(key, kept);
    }
    Ok(())
}

/// The next session of a run; what is held stands behind the runs.
fn next_of(
    runs: &mut [Run<(Key, Kept)>],
    place: usize,
    held: &mut impl Iterator<Item = (Key, Kept)>,
) -> io::Result<Option<(Key, Kept)>> {
    match runs.get_mut(place) {
        Some(run) => run.next(),
        None => Ok(held.next()),
    }
}
