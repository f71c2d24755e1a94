//! The sum of what came in. At any time, per run:
//! received = evaluated + repeated + out of range + ignored + rejected (what is in flight is in no column yet).

use std::collections::BTreeMap;

use detections::event::Envelope;

use crate::judge::Tally;

/// Counters of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Records that framing yielded.
    pub received: u64,
    /// Events that the rules have judged.
    pub evaluated: u64,
    /// Byte-equal repeats, dropped.
    pub repeated: u64,
    /// Events outside `--from`/`--to`.
    pub out_of_range: u64,
    /// Records that are no audit events and were not expected to be, by reason.
    pub ignored: BTreeMap<&'static str, u64>,
    /// Records that could not be read, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Events among the evaluated that were cut in the middle and salvaged.
    pub partial: u64,
    /// Events among the evaluated without any time.
    pub timeless: u64,
    /// Evaluated events by envelope.
    pub envelopes: BTreeMap<&'static str, u64>,
    /// Verdicts that the event could not show enough for, by rule index and envelope.
    pub blind: BTreeMap<(usize, &'static str), u64>,
    /// Findings released before the end to keep memory bounded.
    pub released_early: u64,
    /// Matched requests beyond the number whose stages are told apart.
    pub untracked: u64,
    /// What correlations gave up or refused for want of room, by index among all rules.
    pub lost: BTreeMap<usize, u64>,
    /// Why correlations could not be judged, if so.
    pub not_correlated: Option<String>,
    /// Why sessions could not be judged, if so.
    pub not_surprised: Option<String>,
    /// Records larger than a record may be: their beginning was judged or rejected, the rest left out.
    pub oversized: u64,
    /// Bytes of them that were left out.
    pub oversized_bytes: u64,
    /// Earliest event time, microseconds.
    pub first_us: Option<i64>,
    /// Latest event time.
    pub last_us: Option<i64>,
}

impl Account {
    /// Whether every record is accounted for; holds whenever no batch is in flight.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.received
            == self.evaluated
                + self.repeated
                + self.out_of_range
                + self.ignored_total()
                + self.rejected_total()
    }

    /// Ignored records.
    #[must_use]
    pub fn ignored_total(&self) -> u64 {
        self.ignored.values().sum()
    }

    /// Rejected records.
    #[must_use]
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    pub(crate) fn add(&mut self, tally: &Tally) {
        self.received += tally.received;
        self.out_of_range += tally.out_of_range;
        self.oversized += tally.skipped.oversized;
        self.oversized_bytes += tally.skipped.bytes;
        for (reason, count) in &tally.rejected {
            *self.rejected.entry(reason).or_default() += count;
        }
        for (reason, count) in &tally.ignored {
            *self.ignored.entry(reason).or_default() += count;
        }
    }

    pub(crate) fn note_blind(&mut self, rule: usize, envelope: Envelope) {
        *self.blind.entry((rule, envelope.as_str())).or_default() += 1;
    }

    pub(crate) fn note_event(&mut self, envelope: Envelope, partial: bool, time: Option<i64>) {
        self.evaluated += 1;
        self.partial += u64::from(partial);
        self.timeless += u64::from(time.is_none());
        *self.envelopes.entry(envelope.as_str()).or_default() += 1;
        if time.is_some() {
            self.first_us = [self.first_us, time].into_iter().flatten().min();
            self.last_us = self.last_us.max(time);
        }
    }
}
