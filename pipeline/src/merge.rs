//! Puts verdicts in order: counts every record once, and drops byte-equal repeats.

use std::sync::Arc;

use detections::correlation::Fed;

use crate::account::Account;
use crate::correlate::stream::Witness;
use crate::judge::{Judged, RowFed, RowHits};
use crate::repeats::{Fingerprints, Repeats};

/// Where the verdicts of all judges of a run come together.
#[derive(Debug, Default)]
pub struct Merger {
    fingerprints: Fingerprints,
    repeats: Repeats,
    account: Account,
}

/// Rows of a batch that are repeats; mostly there are none.
#[derive(Debug)]
pub(crate) struct Repeated(Vec<usize>);

impl Repeated {
    /// The rows that do not count, in order.
    pub(crate) fn rows(&self) -> &[usize] {
        &self.0
    }

    /// Whether a row counts.
    pub(crate) fn spares(&self, row: usize) -> bool {
        self.0.binary_search(&row).is_err()
    }
}

impl Merger {
    /// How the judges of this run hash events.
    #[must_use]
    pub fn fingerprints(&self) -> Fingerprints {
        self.fingerprints
    }

    /// The counters so far.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn account_mut(&mut self) -> &mut Account {
        &mut self.account
    }

    /// Counts verdicts, in the order of the input.
    pub(crate) fn merge(&mut self, judged: &Judged) -> Repeated {
        self.account.add(&judged.tally);
        let mut repeated = Vec::new();
        for (number, row) in judged.rows.iter().enumerate() {
            if self.repeats.is_repeat(row.fingerprint) {
                self.account.repeated += 1;
                repeated.push(number);
            } else {
                self.account.note_event(row.envelope, row.partial, row.time);
            }
        }
        let repeated = Repeated(repeated);
        for blind in judged
            .blind
            .iter()
            .filter(|blind| repeated.spares(blind.row))
        {
            let envelope = judged.rows[blind.row].envelope;
            self.account.note_blind(blind.rule, envelope);
        }
        repeated
    }

    /// Remembers an event that was judged before, and counts nothing.
    pub(crate) fn remember(&mut self, cluster: &str, bytes: &[u8]) {
        self.repeats.is_repeat(self.fingerprints.of(cluster, bytes));
    }
}

impl Judged {
    /// How many records were not here before, and when the oldest of them was emitted.
    pub(crate) fn fresh(&self, repeated: &Repeated) -> (u64, Option<i64>) {
        let rows = self.rows.iter().enumerate();
        let fresh = rows.filter(|(number, _)| repeated.spares(*number));
        let (mut events, mut oldest_us) = (self.tally.rejected.values().sum(), None);
        for (_, row) in fresh {
            events += 1;
            oldest_us = [oldest_us, row.time].into_iter().flatten().min();
        }
        (events, oldest_us)
    }

    /// The events that feed correlations and count, as ones of an input.
    pub(crate) fn take_fed(
        &mut self,
        repeated: &Repeated,
        input: &Arc<str>,
    ) -> impl Iterator<Item = Fed<Witness>> + use<> {
        let input = input.clone();
        let mut fed = std::mem::take(&mut self.fed);
        fed.retain(|fed| repeated.spares(fed.row));
        fed.into_iter().map(move |RowFed { mut fed, .. }| {
            fed.witness.exemplar.input = input.clone();
            fed
        })
    }

    /// The events that matched and count, with their times.
    pub(crate) fn into_hits(
        self,
        repeated: &Repeated,
    ) -> impl Iterator<Item = (RowHits, Option<i64>)> {
        let rows = self.rows;
        self.hits
            .into_iter()
            .filter(|hits| repeated.spares(hits.row))
            .map(move |hits| {
                let time = rows[hits.row].time;
                (hits, time)
            })
    }
}
