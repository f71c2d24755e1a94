//! What the rows of a batch say, gathered where several threads work.
//!
//! Nearly all events of a batch say what another one said: the same account, operation, place, client, network. Such a shape is kept
//! once with a count. An event of a known shape costs reading its features, one look-up, and a comparison of times.

use std::collections::HashMap;
use std::sync::Arc;

use detections::batch::{Column, EventRow};
use detections::correlation::Moment;
use detections::hash::hash;
use detections::surprise::{Features, Reader, Reading, Shape, Tally};

use crate::correlate::Exemplar;
use crate::correlate::stream::{Witness, slim};
use crate::merge::Repeated;

/// Shapes that a thread remembers over its batches, so that it keeps an event for each only once. When there are more it begins anew,
/// which costs a copy of an event and nothing else.
const SHAPES_MAX: usize = 16 << 10;

/// Stands for a row that is nothing to sessions.
const NONE: u32 = u32::MAX;

/// Reads what rows say. One a thread.
#[derive(Debug)]
pub(crate) struct Gatherer {
    reader: Reader,
    known: HashMap<(usize, Shape), Place, foldhash::fast::RandomState>,
    /// The number of the batch that is being gathered.
    batch: u64,
    gathered: Gathered,
}

/// Where a shape was last seen.
#[derive(Debug)]
struct Place {
    batch: u64,
    entry: u32,
    /// The first event of this shape that was kept.
    first: Moment,
    /// Keeps the texts where they are, and the cluster's.
    _held: (Features, Arc<str>),
}

/// What a batch of rows says.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// By row, its entry.
    rows: Vec<u32>,
    entries: Vec<Entry>,
}

/// Rows that say the same.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) cluster: Arc<str>,
    pub(crate) features: Features,
    pub(crate) tally: Tally,
    /// The first of them, unless an earlier one was kept already.
    pub(crate) witness: Option<Witness>,
}

impl Gatherer {
    pub(crate) fn new(reading: Reading) -> Self {
        Self {
            reader: Reader::new(reading),
            known: HashMap::default(),
            batch: 0,
            gathered: Gathered::default(),
        }
    }

    /// Notes the next row.
    pub(crate) fn note(&mut self, row: &EventRow<'_>, offset: u64) {
        let entry = match self.reader.features(row) {
            Some(features) => self.add(features, row, offset),
            None => NONE,
        };
        self.gathered.rows.push(entry);
    }

    /// Ends a batch.
    pub(crate) fn take(&mut self) -> Gathered {
        self.batch += 1;
        if self.known.len() >= SHAPES_MAX {
            self.known.clear();
        }
        std::mem::take(&mut self.gathered)
    }

    fn add(&mut self, features: Features, row: &EventRow<'_>, offset: u64) -> u32 {
        let time_us = features.time_us;
        let cluster = &row.origin.cluster;
        let key = (Arc::as_ptr(cluster).addr(), features.shape());
        let place = self.known.get_mut(&key);
        if let Some(place) = &place
            && place.batch == self.batch
        {
            let entry = &mut self.gathered.entries[place.entry as usize];
            entry.tally.events += 1;
            entry.tally.last_us = entry.tally.last_us.max(time_us);
            if time_us <= entry.tally.first.time_us {
                entry.begin(row, time_us, offset);
            }
            return place.entry;
        }
        let first = Moment {
            time_us,
            identity: mark_of(row),
        };
        let is_first = place.as_ref().is_none_or(|place| first < place.first);
        let number = u32::try_from(self.gathered.entries.len()).unwrap_or(NONE);
        if let Some(place) = place {
            place.batch = self.batch;
            place.entry = number;
            place.first = place.first.min(first);
        } else {
            let place = Place {
                batch: self.batch,
                entry: number,
                first,
                _held: (features.clone(), cluster.clone()),
            };
            self.known.insert(key, place);
        }
        self.gathered.entries.push(Entry {
            cluster: cluster.clone(),
            features,
            tally: Tally {
                events: 1,
                first,
                last_us: time_us,
            },
            witness: is_first.then(|| witness_of(row, offset)),
        });
        number
    }
}

impl Entry {
    /// Takes an event that may be before the first one.
    fn begin(&mut self, row: &EventRow<'_>, time_us: i64, offset: u64) {
        let first = Moment {
            time_us,
            identity: mark_of(row),
        };
        if first < self.tally.first {
            self.tally.first = first;
            self.features.time_us = time_us;
            self.witness = Some(witness_of(row, offset));
        }
    }
}

impl Gathered {
    /// What counts of it, as of an input.
    pub(crate) fn into_counting(
        mut self,
        repeated: &Repeated,
        input: &Arc<str>,
    ) -> impl Iterator<Item = Entry> + use<> {
        for row in repeated.rows() {
            let entry = self.rows.get(*row).copied().unwrap_or(NONE);
            if let Some(entry) = self.entries.get_mut(entry as usize) {
                entry.tally.events -= 1;
            }
        }
        let input = input.clone();
        let counting = self.entries.into_iter();
        counting
            .filter(|entry| entry.tally.events > 0)
            .map(move |mut entry| {
                if let Some(witness) = &mut entry.witness {
                    witness.exemplar.input = input.clone();
                }
                entry
            })
    }

    /// Bytes of memory, about.
    pub(crate) fn weight(&self) -> usize {
        let entries = self.entries.iter().map(Entry::weight);
        self.rows.capacity() * size_of::<u32>() + entries.sum::<usize>()
    }
}

impl Entry {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.witness.as_ref().map_or(0, Witness::weight)
    }
}

fn witness_of(row: &EventRow<'_>, offset: u64) -> Witness {
    let (raw, whole) = slim(row.raw);
    Witness {
        exemplar: Exemplar {
            raw,
            origin: row.origin.clone(),
            input: Arc::default(),
            offset,
        },
        whole,
    }
}

/// What tells events of one microsecond apart: the audit id as it is, which nearly always is a UUID, else a hash of it. It only has
/// to be the same in every run; who sends two requests with one id in one microsecond gains nothing.
fn mark_of(row: &EventRow<'_>) -> [u8; 16] {
    let id = row.slice(Column::AuditId).unwrap_or_default();
    uuid_of(id).unwrap_or_else(|| hash([&*String::from_utf8_lossy(id)]))
}

/// The bytes of a UUID as JSON writes it.
fn uuid_of(text: &[u8]) -> Option<[u8; 16]> {
    let inner = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.len() != 36 {
        return None;
    }
    let mut digits = inner.iter().filter(|byte| **byte != b'-');
    let mut digit = || char::from(*digits.next()?).to_digit(16);
    let mut bytes = [0; 16];
    for byte in &mut bytes {
        *byte = u8::try_from(digit()? * 16 + digit()?).ok()?;
    }
    Some(bytes)
}
