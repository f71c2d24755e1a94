//! A session with the events that an alert would quote.

use std::collections::BTreeMap;
use std::sync::Arc;

use detections::correlation::Moment;
use detections::surprise::{ActorId, Session};
use serde::{Deserialize, Serialize};

use crate::correlate::stream::Witness;

use super::gather::Entry;

/// What a session takes besides its witnesses, about.
const SESSION_BYTES: usize = 2 << 10;

/// The order in which sessions are judged: cluster by cluster, bucket after bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) cluster: Arc<str>,
    pub(crate) bucket_us: i64,
    pub(crate) actor: ActorId,
}

/// A session, and the events that first showed something.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) session: Session,
    pub(crate) witnesses: BTreeMap<Moment, Witness>,
}

impl Entry {
    pub(crate) fn key(&self) -> Key {
        Key {
            cluster: self.cluster.clone(),
            bucket_us: detections::surprise::bucket_of(self.tally.first.time_us),
            actor: self.features.actor.id.clone(),
        }
    }
}

impl Kept {
    pub(crate) fn of(entry: Entry) -> Self {
        let first = entry.tally.first;
        Self {
            session: Session::of(&entry.features, &entry.tally),
            witnesses: entry
                .witness
                .map(|witness| (first, witness))
                .into_iter()
                .collect(),
        }
    }

    pub(crate) fn add(&mut self, entry: Entry) {
        self.session.take_in(&entry.features, &entry.tally);
        if let Some(witness) = entry.witness {
            self.keep(entry.tally.first, witness);
            self.tidy();
        }
    }

    /// Joins what was kept elsewhere of the same session.
    pub(crate) fn join(&mut self, other: Self) {
        self.session.join(other.session);
        for (moment, witness) in other.witnesses {
            self.keep(moment, witness);
        }
        self.tidy();
    }

    /// Bytes of memory, about.
    pub(crate) fn weight(&self) -> usize {
        let witnesses = self.witnesses.values().map(Witness::weight);
        SESSION_BYTES + witnesses.sum::<usize>()
    }

    /// Of two events that claim to be one and the same the lesser by its bytes stays, whichever came first.
    fn keep(&mut self, moment: Moment, witness: Witness) {
        if !self.session.is_shown_by(&moment) {
            return;
        }
        let is_better = self
            .witnesses
            .get(&moment)
            .is_none_or(|known| witness.exemplar.raw < known.exemplar.raw);
        if is_better {
            self.witnesses.insert(moment, witness);
        }
    }

    fn tidy(&mut self) {
        let session = &self.session;
        self.witnesses
            .retain(|moment, _| session.is_shown_by(moment));
    }
}
