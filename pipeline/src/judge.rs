//! The part of a run that needs no order: items in, verdicts out. As many as there are cores may run side by side; what
//! they say is put in order and joined by [`Pipeline::merge`](crate::run::Pipeline::merge).

use std::collections::BTreeMap;

use detections::batch::EventBatch;
use detections::engine::{Evaluator, Match, RuleSet};
use detections::event::{Envelope, Event, Origin};

use crate::batch::Batcher;
use crate::decode::framing::Skipped;
use crate::decode::{Item, RawEvent};
use crate::repeats::Fingerprints;
use crate::run::Options;

/// Decides which rules match which events.
#[derive(Debug)]
pub struct Judge<'a> {
    evaluator: Evaluator<'a>,
    batcher: Batcher,
    fingerprints: Fingerprints,
    from_us: Option<i64>,
    to_us: Option<i64>,
    /// What has been taken in since the last verdicts.
    judged: Judged,
}

/// Some records of one input, judged.
#[derive(Debug, Default)]
pub struct Judged {
    pub(crate) tally: Tally,
    /// The events in order.
    pub(crate) rows: Vec<Row>,
    /// Events that matched.
    pub(crate) hits: Vec<RowHits>,
    /// Rules that could not be told.
    pub(crate) blind: Vec<Match>,
}

/// Records that are no event to judge.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) received: u64,
    pub(crate) rejected: BTreeMap<&'static str, u64>,
    pub(crate) ignored: BTreeMap<&'static str, u64>,
    pub(crate) out_of_range: u64,
    pub(crate) skipped: Skipped,
}

/// What is kept of every event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) fingerprint: u128,
    pub(crate) time: Option<i64>,
    pub(crate) envelope: Envelope,
    pub(crate) partial: bool,
}

/// An event that matched rules.
#[derive(Debug)]
pub(crate) struct RowHits {
    pub(crate) row: usize,
    /// By index, in order.
    pub(crate) rules: Vec<usize>,
    pub(crate) event: Event,
    pub(crate) raw: Vec<u8>,
    pub(crate) offset: u64,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(rules: &'a RuleSet, options: &Options, fingerprints: Fingerprints) -> Self {
        Self {
            evaluator: rules.evaluator(),
            batcher: Batcher::new(options.settings.clone()),
            fingerprints,
            from_us: options.from_us,
            to_us: options.to_us,
            judged: Judged::default(),
        }
    }

    /// Takes one decoded item in. True if so much has come together that [`Judge::take`] should be called.
    pub fn accept(&mut self, item: &Item<'_>) -> bool {
        let tally = &mut self.judged.tally;
        tally.received += 1;
        match item {
            Item::Event(event) => self.accept_event(event),
            Item::Rejected(rejected) => {
                *tally.rejected.entry(rejected.reason.as_str()).or_default() += 1;
            }
            Item::Ignored(reason) => *tally.ignored.entry(reason.as_str()).or_default() += 1,
        }
        self.batcher.is_full()
    }

    fn accept_event(&mut self, event: &RawEvent<'_>) {
        let tally = &mut self.judged.tally;
        let Ok(time) = self.batcher.push(event) else {
            *tally.rejected.entry("malformed_json").or_default() += 1;
            return;
        };
        let is_early = matches!((self.from_us, time), (Some(from), Some(time)) if time < from);
        let is_late = matches!((self.to_us, time), (Some(to), Some(time)) if time >= to);
        if is_early || is_late {
            self.batcher.take_back();
            tally.out_of_range += 1;
            return;
        }
        let Origin {
            cluster,
            envelope,
            partial,
            ..
        } = &event.origin;
        self.judged.rows.push(Row {
            fingerprint: self.fingerprints.of(cluster, event.bytes),
            time,
            envelope: *envelope,
            partial: *partial,
        });
    }

    /// Notes what the decoder left out because it was too large.
    pub fn note_skipped(&mut self, skipped: Skipped) {
        self.judged.tally.skipped.oversized += skipped.oversized;
        self.judged.tally.skipped.bytes += skipped.bytes;
    }

    /// Judges what has been taken in since the last time.
    pub fn take(&mut self) -> Judged {
        // The next ones will be about as many.
        let rows = Vec::with_capacity(self.judged.rows.len());
        let next = Judged {
            rows,
            ..Judged::default()
        };
        let mut judged = std::mem::replace(&mut self.judged, next);
        if let Some(batch) = self.batcher.cut() {
            let evaluation = self.evaluator.evaluate(&batch);
            judged.blind = evaluation.blind;
            let by_row = evaluation.matches.chunk_by(|a, b| a.row == b.row);
            judged.hits = by_row
                .filter_map(|matches| RowHits::new(&batch, matches))
                .collect();
            self.batcher.reclaim(batch);
        }
        judged
    }
}

impl Judged {
    /// Bytes of memory, about: a parsed event takes some times what it took as text.
    #[must_use]
    pub fn weight(&self) -> usize {
        let hits = self.hits.iter().map(|hits| 8 * hits.raw.len());
        self.rows.capacity() * size_of::<Row>()
            + self.blind.capacity() * size_of::<Match>()
            + hits.sum::<usize>()
    }
}

impl RowHits {
    fn new(batch: &EventBatch, matches: &[Match]) -> Option<Self> {
        let row = matches.first()?.row;
        Some(Self {
            row,
            rules: matches.iter().map(|found| found.rule).collect(),
            event: batch.event(row).ok()?,
            raw: batch.raw(row).to_vec(),
            offset: batch.offset(row),
        })
    }
}
