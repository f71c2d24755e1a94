//! The part of a run that needs no order: items in, verdicts out. As many as there are cores may run side by side; what
//! they say is put in order and joined by [`Pipeline::merge`](crate::run::Pipeline::merge).

use std::collections::BTreeMap;

use std::sync::Arc;

use detections::batch::{EventRow, columns_of};
use detections::correlation::Fed;
use detections::engine::{Evaluator, Match, Verdicts};
use detections::event::{Envelope, Event, Settings};

use crate::catalog::Catalog;
use crate::correlate::stream::{Witness, fed};
use crate::decode::framing::Skipped;
use crate::decode::{Item, RawEvent};
use crate::enrich::brief;
use crate::limits::{JUDGED_BYTES_MAX, JUDGED_ROWS_MAX};
use crate::repeats::Fingerprints;
use crate::run::Options;
use crate::surprise::{Gathered, Gatherer};

/// Decides which rules match which events.
#[derive(Debug)]
pub struct Judge<'a> {
    evaluator: Evaluator<'a>,
    catalog: &'a Catalog,
    /// Gathers sessions, if anybody asks how surprising they are.
    gatherer: Option<Gatherer>,
    settings: Arc<Settings>,
    fingerprints: Fingerprints,
    from_us: Option<i64>,
    to_us: Option<i64>,
    verdicts: Verdicts,
    /// What has been taken in since the last time.
    judged: Judged,
    /// Bytes of the events in it that matched.
    bytes: usize,
}

/// Some records of one input, judged.
#[derive(Debug, Default)]
pub struct Judged {
    pub(crate) tally: Tally,
    /// The events in order.
    pub(crate) rows: Vec<Row>,
    /// Events that matched rules that raise findings.
    pub(crate) hits: Vec<RowHits>,
    /// Events that feed correlations.
    pub(crate) fed: Vec<RowFed>,
    /// What the events say, for sessions.
    pub(crate) gathered: Gathered,
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

/// An event that feeds correlations, without the name of its input. Made here, where several threads work.
#[derive(Debug)]
pub(crate) struct RowFed {
    pub(crate) row: usize,
    pub(crate) fed: Fed<Witness>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(catalog: &'a Catalog, options: &Options, fingerprints: Fingerprints) -> Self {
        Self {
            evaluator: catalog.set.evaluator(),
            catalog,
            gatherer: options
                .surprise
                .as_ref()
                .map(|surprise| Gatherer::new(surprise.reading.clone())),
            settings: options.settings.clone(),
            fingerprints,
            from_us: options.from_us,
            to_us: options.to_us,
            verdicts: Verdicts::default(),
            judged: Judged::default(),
            bytes: 0,
        }
    }

    /// Judges one decoded item. True if so much has come together that [`Judge::take`] should be called.
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
        self.judged.rows.len() >= JUDGED_ROWS_MAX || self.bytes >= JUDGED_BYTES_MAX
    }

    /// The event is judged where it was decoded; only one that matches is copied.
    fn accept_event(&mut self, event: &RawEvent<'_>) {
        let tally = &mut self.judged.tally;
        let found;
        let columns = if let Some(columns) = event.columns {
            columns
        } else if let Ok(columns) = columns_of(event.bytes, event.origin.partial) {
            found = columns;
            &found
        } else {
            *tally.rejected.entry("malformed_json").or_default() += 1;
            return;
        };
        let row = EventRow {
            raw: event.bytes,
            columns,
            origin: &event.origin,
            settings: &self.settings,
        };
        let time = row.time();
        let is_early = matches!((self.from_us, time), (Some(from), Some(time)) if time < from);
        let is_late = matches!((self.to_us, time), (Some(to), Some(time)) if time >= to);
        if is_early || is_late {
            tally.out_of_range += 1;
            return;
        }
        let number = self.judged.rows.len();
        self.judged.rows.push(Row {
            fingerprint: self.fingerprints.of(&event.origin.cluster, event.bytes),
            time,
            envelope: event.origin.envelope,
            partial: event.origin.partial,
        });
        if let Some(gatherer) = &mut self.gatherer {
            gatherer.note(&row, event.offset);
        }
        self.evaluator.judge(&row, &mut self.verdicts);
        let blind = self.verdicts.blind.iter();
        let of_row = |rule: &usize| Match {
            row: number,
            rule: *rule,
        };
        self.judged.blind.extend(blind.map(of_row));
        if !self.verdicts.matched.is_empty()
            && let Ok(parsed) = row.event()
        {
            self.keep(number, event, parsed, time);
        }
    }

    /// Keeps of an event that matched what findings and correlations need.
    fn keep(&mut self, row: usize, event: &RawEvent<'_>, parsed: Event, time: Option<i64>) {
        let matched = &self.verdicts.matched;
        let place = (event.bytes, time, event.offset);
        let fed = fed(&self.catalog.correlations, matched, &parsed, place, brief);
        if let Some(fed) = fed {
            self.bytes += fed.witness.weight();
            self.judged.fed.push(RowFed { row, fed });
        }
        let is_loud = |rule: &&usize| self.catalog.is_loud(**rule);
        let rules: Vec<usize> = matched.iter().filter(is_loud).copied().collect();
        if !rules.is_empty() {
            self.bytes += event.bytes.len();
            self.judged.hits.push(RowHits {
                row,
                rules,
                event: parsed,
                raw: event.bytes.to_vec(),
                offset: event.offset,
            });
        }
    }

    /// Notes what the decoder left out because it was too large.
    pub fn note_skipped(&mut self, skipped: Skipped) {
        self.judged.tally.skipped.oversized += skipped.oversized;
        self.judged.tally.skipped.bytes += skipped.bytes;
    }

    /// What was said since the last time.
    pub fn take(&mut self) -> Judged {
        // The next ones will be about as many.
        let rows = Vec::with_capacity(self.judged.rows.len());
        let next = Judged {
            rows,
            ..Judged::default()
        };
        self.bytes = 0;
        if let Some(gatherer) = &mut self.gatherer {
            self.judged.gathered = gatherer.take();
        }
        std::mem::replace(&mut self.judged, next)
    }
}

impl Judged {
    /// Bytes of memory, about: a parsed event takes some times what it took as text.
    #[must_use]
    pub fn weight(&self) -> usize {
        let hits = self.hits.iter().map(|hits| 8 * hits.raw.len());
        let fed = self.fed.iter().map(|fed| fed.fed.witness.weight());
        fed.sum::<usize>()
            + self.gathered.weight()
            + self.rows.capacity() * size_of::<Row>()
            + self.blind.capacity() * size_of::<Match>()
            + hits.sum::<usize>()
    }
}
